/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What timers cost: an iteration beside N that are far away, to arm and cancel one among N, and to
 * let one run out. */
#include "rig.h"

#define MAX_TIMERS 100000

static void
ask_far (guint size)
{
  const BenchPlan plan = { .n_calls = 1, .burst = 1, .n_timers = size };

  bench_rigs_run (&(BenchQuestion) { "timers-far",
                    "One callback and one iteration beside N timers that are far away", size },
                  bench_peers, &plan, bench_rig_burst, NULL, 0);
}

static void
ask_arm (guint size)
{
  const BenchPlan plan = { .sort = BENCH_OF_TIMERS, .n_timers = size };

  bench_rigs_run (&(BenchQuestion) { "timer-arm", "Arm and cancel a timer among N", size },
                  bench_peers, &plan, bench_rig_arm_cancel, NULL, 0);
}

static void
ask_fire (guint size)
{
  const BenchPlan plan = { .sort = BENCH_OF_TIMERS, .n_timers = size };

  bench_rigs_run (&(BenchQuestion) { "timer-fire", "Arm a timer that is due, and run it", size },
                  bench_peers, &plan, bench_rig_fire, NULL, 0);
}

int
main (int    argc,
      char **argv)
{
  bench_begin (argc, argv);
  ask_far (0);
  for (guint size = 10; size <= MAX_TIMERS; size *= 10)
    ask_far (size);
  for (guint size = 10; size <= MAX_TIMERS; size *= 10)
    ask_arm (size);
  ask_fire (0);
  ask_fire (1000);
  return bench_end ();
}
