/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A loop of some peer with so many callbacks, descriptors and timers: what most questions need. */
#pragma once

#include "peers.h"

/* What a question is about, and what a peer therefore must have. */
typedef enum
{
  BENCH_OF_CALLS,
  BENCH_OF_REGISTERED,          /* calls that a loop knows of when they are not asked for */
  BENCH_OF_MERGES,
  BENCH_OF_FDS,
  BENCH_OF_TIMERS
} BenchSort;

typedef struct
{
  BenchSort sort;
  guint n_calls;
  guint burst;                  /* calls of them that are sent at once */
  guint n_fds;
  guint n_ready;                /* fds of them that become readable at once */
  gboolean same_fd;             /* and not others each time */
  guint n_timers;               /* armed for far away */
} BenchPlan;

typedef struct
{
  const BenchPeer *peer;
  BenchPlan plan;
  gpointer loop;
  gpointer *calls;
  gpointer *fds;
  gpointer *timers;
  gpointer timer;               /* one more, not armed */
  guint next_fd;
} BenchRig;

typedef struct
{
  const BenchPeer *peer;
  BenchPlan plan;
} BenchRigConfig;

gpointer bench_rig_new  (gconstpointer config);
void     bench_rig_free (gpointer      rig);

/* Kinds of work. */
void bench_rig_burst      (gpointer rig,
                           guint    n);
void bench_rig_merge      (gpointer rig,
                           guint    n);
void bench_rig_ready      (gpointer rig,
                           guint    n);
void bench_rig_arm_cancel (gpointer rig,
                           guint    n);
void bench_rig_fire       (gpointer rig,
                           guint    n);

/* The eventfds that all rigs share, as many as were asked for or as the system gives. */
guint bench_open_fds  (guint n);
void  bench_close_fds (void);

/* Asks the question of those of the peers that can answer it, and of more subjects. A list of peers
 * ends with NULL. */
void bench_rigs_run (const BenchQuestion    *question,
                     const BenchPeer *const *peers,
                     const BenchPlan        *plan,
                     void                  (*work) (gpointer rig, guint n),
                     const BenchSubject     *more,
                     guint                   n_more);
