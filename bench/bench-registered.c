/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What it costs to schedule and run one of N callbacks that are registered. */
#include "rig.h"

int
main (int    argc,
      char **argv)
{
  bench_begin (argc, argv);
  for (guint size = 1; size <= 100000; size *= 10)
    bench_rigs_run (&(BenchQuestion) { "registered", "Schedule and run one of N registered", size },
                    bench_peers,
                    &(BenchPlan) { .sort = BENCH_OF_REGISTERED, .n_calls = size, .burst = 1 },
                    bench_rig_burst, NULL, 0);
  return bench_end ();
}
