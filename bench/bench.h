/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the benchmarks share: each question is measured for all subjects in turn, round after round,
 * so that a machine that slows down slows all of them; medians and ratios are what counts.
 *
 *   bench-NAME [--json] [--quick] [--rounds=N]
 *
 * --quick answers fast and means nothing: it shows that the program works. */
#pragma once

#include <glib.h>
#include <stdlib.h>

/* Somebody who does the work, in one way of several. What setup returns is passed to the others;
 * without a setup it is the configuration. A round has a setup of its own, which is not measured,
 * so that subjects do not meet in the kernel and spread includes where memory happens to lie. */
typedef struct
{
  const char *name;
  const char *how;
  gpointer (*setup) (gconstpointer config);
  void (*work) (gpointer state,
                guint    n);
  void (*teardown) (gpointer state);
  gconstpointer config;
} BenchSubject;

/* A question, and its size: how many of what it is about there are. */
typedef struct
{
  const char *key;
  const char *title;
  guint size;
} BenchQuestion;

/* How many callbacks ran in the thread that looks at it. */
extern _Thread_local guint bench_ran;

void bench_count (gpointer data);

void     bench_begin    (int     argc,
                         char  **argv);
int      bench_end      (void);
gboolean bench_is_quick (void);

/* Whether that size is to be measured at all. */
gboolean bench_takes    (guint size);

/* The first subject is what the others are compared with. */
void     bench_run      (const BenchQuestion *question,
                         const BenchSubject  *subjects,
                         guint                n_subjects);

/* As bench_run(), of a figure that was counted and not measured round after round. */
void     bench_tell     (const BenchQuestion *question,
                         const char          *unit,
                         const char          *name,
                         const char          *how,
                         double               value);
