/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a callback costs when N are scheduled and then run. */
#include "rig.h"

int
main (int    argc,
      char **argv)
{
  bench_begin (argc, argv);
  for (guint size = 1; size <= 10000; size *= 10)
    bench_rigs_run (&(BenchQuestion) { "batch", "Callbacks scheduled, then run; each", size },
                    bench_peers, &(BenchPlan) { .n_calls = size, .burst = size }, bench_rig_burst,
                    NULL, 0);
  return bench_end ();
}
