/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* filesum hashes files on several threads and prints the sums in order.
 *
 * The hashing has no idea of a terminal; hasher.h says in which order to read it. Around it:
 *
 *   main.c      sets up the main loop, the hasher and Ctrl-C, and takes all down again
 *   output.c    the lines on standard output and the messages on standard error
 *   progress.c  the progress bar
 *   options.c   the command line
 *
 * The same hasher sits behind the window of gtk-filesum, in the folder beside this one.
 */
#pragma once

#include "hasher.h"

#include <stdio.h>

typedef struct _Filesum Filesum;
typedef struct _Options Options;
typedef struct _Progress Progress;

typedef enum
{
  EXIT_OK = 0,
  EXIT_SOME_FAILED = 1,
  EXIT_USAGE = 2,
  EXIT_INTERRUPTED = 130
} ExitStatus;

struct _Options
{
  Work work;
  const char *algorithm_name;   /* upper case, as it stands in messages */
  gboolean progress;
  gboolean stats;
  gboolean version;
};

/* The program. Main thread only, but for the fields that say otherwise. */
struct _Filesum
{
  Options options;              /* immutable once the threads run */
  GMainLoop *loop;
  AioContext *context;
  AioBH *interrupt;             /* scheduled by the signal handler */
  Hasher *hasher;
  Progress *progress;           /* NULL without a bar */

  gboolean interrupted;
  ExitStatus status;

  guint64 n_matched;            /* these are for --check */
  guint64 n_differ;
  guint64 n_unreadable;
  guint64 n_bad_lines;
};

/* output.c */
gboolean      output_job          (Filesum        *self,
                                   Job            *job);
void          output_verdict      (Filesum        *self);
void          output_message      (Filesum        *self,
                                   const char     *format,
                                   ...) G_GNUC_PRINTF (2, 3);

/* progress.c */
Progress     *progress_new        (Filesum        *filesum);
void          progress_tick       (Progress       *self);
void          progress_set_total  (Progress       *self,
                                   guint64         files,
                                   guint64         bytes);
void          progress_hide       (Progress       *self,
                                   FILE           *stream);
void          progress_finish     (Progress       *self);
void          progress_free       (Progress       *self);

/* options.c */
gboolean      options_parse       (Options        *options,
                                   char          **argv,
                                   GError        **error);
void          options_clear       (Options        *options);
