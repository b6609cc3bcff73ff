/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* filesum hashes files on several threads and prints the sums in order.
 *
 * A tour, in the order in which to read the files:
 *
 *   main.c      sets up the main loop, the threads and Ctrl-C, and takes all down again
 *   flow.c      the main thread's part: what is found is dealt out, what is done is printed
 *   worker.c    a thread that hashes, block by block
 *   finder.c    a thread that looks for files, and counts them for the progress bar
 *   walk.c      where the files come from: folders and what is in them ...
 *   list.c      ... or the lines of a list of sums to check
 *   output.c    the lines on standard output and the messages on standard error
 *   progress.c  the progress bar
 *   options.c   the command line
 *   escape.c    file names that hold newlines and backslashes
 *
 * The threads share next to nothing and hold no lock. They hand things over, in two ways:
 *
 *   aio_context_post()   "run this function over there": each post runs, in order;
 *   aio_bh_schedule()    "it is your turn": any number of schedules merge into one run.
 *
 * What was written before either of them is visible to the function that runs then. So a thing
 * needs no lock as long as it is clear whose it is; the comments below say whose.
 */
#pragma once

#include <aioctx-gsource/aioctx-gsource.h>
#include <stdatomic.h>
#include <stdio.h>

/* These bounds keep memory flat, however many files there are. --help tells the user. */
#define FILES_IN_FLIGHT 1024           /* found, but not yet printed */
#define FILES_PER_BATCH 128            /* found at once */
#define FILES_PER_WORKER 16            /* handed to one worker, the one it reads included */
#define BLOCK_KIB 256                  /* read at once: Ctrl-C has to wait for no more */

/* What a file costs beside its bytes; balances the workers, and steadies the progress bar. */
#define FILE_COST (16 * 1024)

typedef struct _Filesum Filesum;
typedef struct _Finder Finder;
typedef struct _Job Job;
typedef struct _Options Options;
typedef struct _Progress Progress;
typedef struct _Source Source;
typedef struct _Worker Worker;

typedef enum
{
  EXIT_OK = 0,
  EXIT_SOME_FAILED = 1,
  EXIT_USAGE = 2,
  EXIT_INTERRUPTED = 130
} ExitStatus;

struct _Options
{
  char **paths;
  char *check;                  /* the list of sums to check, or NULL to print sums */
  GChecksumType algorithm;
  const char *algorithm_name;   /* upper case, as it stands in messages */
  int n_workers;
  gboolean progress;
  gboolean stats;
  gboolean version;
};

/* One file. It travels from the finder through the main thread to a worker and back, and whoever
 * has it may touch it. Only the mark that it is done stays in the main thread, which looks at it
 * while the job is away. */
struct _Job
{
  char *path;                   /* NULL only for a bad line of a list */
  guint64 size;                 /* as the finder saw it; only a hint */
  char *expected;               /* with --check: the sum on the list ... */
  guint line;                   /* ... and where it stands there */
  Worker *worker;
  char *digest;                 /* the sum; or, where there is none, one of these two: */
  int error_number;             /* why, from errno; not 0 */
  const char *problem;          /* why, for what errno has no word; a literal */
  gboolean done;                /* main thread only */
};

/* Where jobs come from. One step does little, so that whoever calls it stays responsive: it finds
 * a job, or it only gets nearer to one (*job stays NULL). FALSE means that it was the last step. */
struct _Source
{
  gboolean (*step) (Source *source,
                    Job   **job);
  void     (*free) (Source *source);
};

/* The program. Main thread only, but for the fields that say otherwise. */
struct _Filesum
{
  Options options;              /* immutable once the threads run */
  GMainLoop *loop;
  AioContext *context;          /* other threads post to it */

  AioBH *advance;               /* deal out, print, ask for more; scheduled by all that changes */
  AioBH *found;                 /* scheduled by the finder: its batch is ours now */
  AioBH *interrupt;             /* scheduled by the signal handler */

  Finder *finder;
  GPtrArray *workers;
  Progress *progress;           /* NULL without a bar */

  GQueue order;                 /* every job in flight, in the order of printing; owns them */
  GQueue waiting;               /* those of them that no worker has yet */
  gboolean asked;               /* the finder is at work on a batch */
  gboolean stopping;
  gboolean interrupted;
  gboolean broken;              /* standard output takes no more */
  ExitStatus status;

  _Atomic guint64 bytes;        /* any thread: read so far */
  guint64 files;                /* hashed so far */
  guint64 n_matched;            /* the rest is for --check */
  guint64 n_differ;
  guint64 n_unreadable;
  guint64 n_bad_lines;
};

/* job.c */
Job          *job_new             (const char     *path,
                                   guint64         size);
Job          *job_new_failed      (const char     *path,
                                   int             error_number,
                                   const char     *problem);
gboolean      job_has_failed      (Job            *job);
const char   *job_get_problem     (Job            *job);
void          job_free            (Job            *job);

/* flow.c */
void          flow_advance        (gpointer        filesum);
void          flow_found          (gpointer        filesum);
void          flow_done           (Filesum        *self,
                                   Job            *job);

/* worker.c */
Worker       *worker_new          (Filesum        *filesum,
                                   guint           number,
                                   GError        **error);
void          worker_give         (Worker         *self,
                                   Job            *job);
guint64       worker_get_load     (Worker         *self);
gboolean      worker_is_full      (Worker         *self);
AioContext   *worker_get_context  (Worker         *self);
void          worker_stop         (Worker         *self);
void          worker_free         (Worker         *self);

/* finder.c */
Finder       *finder_new          (Filesum        *filesum,
                                   GError        **error);
void          finder_ask          (Finder         *self);
Job          *finder_take         (Finder         *self,
                                   guint           nth);
gboolean      finder_at_end       (Finder         *self);
AioContext   *finder_get_context  (Finder         *self);
void          finder_stop         (Finder         *self);
void          finder_free         (Finder         *self);

/* walk.c, list.c */
Source       *walk_new            (char          **paths);
Source       *list_new            (const char     *path,
                                   const Options  *options,
                                   GError        **error);

/* output.c */
void          output_job          (Filesum        *self,
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

/* escape.c */
gboolean      escape_is_needed    (const char     *name);
char         *escape_name         (const char     *name);
char         *unescape_name       (const char     *name);
char         *printable_name      (const char     *name);
