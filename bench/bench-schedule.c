/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What it costs to ask for one callback and to run it. */
#include "rig.h"

static const BenchPeer *const under_glib[] = {
  &bench_ours_source, &bench_glib, &bench_glib_ready_time, &bench_bare_eventfd, &bench_bare_epoll,
  NULL
};

int
main (int    argc,
      char **argv)
{
  bench_begin (argc, argv);
  bench_rigs_run (&(BenchQuestion) { "schedule", "Schedule one callback and run it", 1 },
                  bench_peers, &(BenchPlan) { .n_calls = 1, .burst = 1 }, bench_rig_burst, NULL, 0);
  bench_open_fds (1);
  bench_rigs_run (&(BenchQuestion) { "schedule-full",
                    "Schedule and one iteration, with a descriptor and a timer", 1 },
                  bench_peers,
                  &(BenchPlan) { .n_calls = 1, .burst = 1, .n_fds = 1, .n_timers = 1 },
                  bench_rig_burst, NULL, 0);
  bench_close_fds ();
  bench_rigs_run (&(BenchQuestion) { "iteration",
                    "Schedule and one iteration of a GMainContext", 1 },
                  under_glib, &(BenchPlan) { .n_calls = 1, .burst = 1 }, bench_rig_burst, NULL, 0);
  return bench_end ();
}
