/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What it costs to make and to unmake a loop, a callback, a timer. */
#include "rig.h"

static void
make_loops (gpointer data,
            guint    n)
{
  const BenchPeer *peer = data;

  for (guint i = 0; i < n; i++)
    peer->close (peer->open ());
}

/* Some peers free at the next iteration what is freed. */
#define AT_ONCE 64

static void
make_calls (gpointer data,
            guint    n)
{
  BenchRig *rig = data;
  gpointer calls[AT_ONCE];

  for (guint i = 0; i < n; i += AT_ONCE)
    {
      for (guint k = 0; k < AT_ONCE; k++)
        calls[k] = rig->peer->call_new (rig->loop, bench_count, NULL);
      for (guint k = 0; k < AT_ONCE; k++)
        rig->peer->call_free (calls[k]);
      rig->peer->iterate (rig->loop);
    }
}

static void
make_timers (gpointer data,
             guint    n)
{
  BenchRig *rig = data;
  gpointer timers[AT_ONCE];

  for (guint i = 0; i < n; i += AT_ONCE)
    {
      for (guint k = 0; k < AT_ONCE; k++)
        timers[k] = rig->peer->timer_new (rig->loop, bench_count, NULL);
      for (guint k = 0; k < AT_ONCE; k++)
        rig->peer->timer_free (timers[k]);
      rig->peer->iterate (rig->loop);
    }
}

static void
ask_loops (void)
{
  static const BenchPeer *const peers[] = {
    &bench_ours_poll, &bench_ours_source, &bench_glib,
    BENCH_OTHERS
    &bench_ours_io_thread,
  };
  BenchSubject subjects[G_N_ELEMENTS (peers)];

  for (guint i = 0; i < G_N_ELEMENTS (peers); i++)
    subjects[i] = (BenchSubject) { peers[i]->name, "", NULL, make_loops, NULL, peers[i] };
  bench_run (&(BenchQuestion) { "create-loop", "Make a loop and unmake it", 1 }, subjects,
             G_N_ELEMENTS (subjects));
}

int
main (int    argc,
      char **argv)
{
  bench_begin (argc, argv);
  ask_loops ();
  bench_rigs_run (&(BenchQuestion) { "create-call", "Make a callback and unmake it", 1 },
                  bench_peers, &(BenchPlan) { .sort = BENCH_OF_REGISTERED, .n_calls = 1 },
                  make_calls, NULL, 0);
  bench_rigs_run (&(BenchQuestion) { "create-timer", "Make a timer and unmake it", 1 },
                  bench_peers, &(BenchPlan) { .sort = BENCH_OF_TIMERS }, make_timers, NULL, 0);
  return bench_end ();
}
