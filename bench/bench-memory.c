/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of the heap a loop, a callback, a timer and a descriptor take, as mallinfo2() sees it, among
 * many. What the benchmark itself allocates for each of a peer's things is taken off. */
#include "rig.h"

#include <malloc.h>

#define N_LOOPS  200
#define N_THINGS 4000

static const BenchPeer *const peers[] = {
  &bench_ours_poll, &bench_ours_source, &bench_glib, &bench_glib_ready_time,
  BENCH_OTHERS
};

/* Blocks that were mapped on their own are counted apart. */
static double
heap (void)
{
  struct mallinfo2 info = mallinfo2 ();

  return (double) info.uordblks + (double) info.hblkhd;
}

/* Own of the benchmark, with what malloc() adds to a block of its own. */
static double
rounded (gsize own)
{
  gpointer block;
  gsize size;

  if (own == 0)
    return 0;
  block = g_malloc (own);
  size = malloc_usable_size (block) + sizeof (gsize);
  g_free (block);
  return (double) size;
}

static double
of_loop (const BenchPeer *peer)
{
  gpointer loops[N_LOOPS];
  double before;

  peer->close (peer->open ());
  before = heap ();
  for (guint i = 0; i < N_LOOPS; i++)
    {
      loops[i] = peer->open ();
      peer->iterate (loops[i]);
    }
  before = (heap () - before) / N_LOOPS;
  for (guint i = 0; i < N_LOOPS; i++)
    peer->close (loops[i]);
  return before;
}

/* With N_THINGS more in the second than in the first. */
static double
of_things (const BenchPeer *peer,
           BenchPlan        few,
           BenchPlan        many)
{
  BenchRigConfig config = { peer, few };
  gpointer rig;
  double first, second;

  bench_rig_free (bench_rig_new (&config));
  first = heap ();
  rig = bench_rig_new (&config);
  first = heap () - first;
  bench_rig_free (rig);
  config.plan = many;
  second = heap ();
  rig = bench_rig_new (&config);
  second = heap () - second;
  bench_rig_free (rig);
  /* The rig's own array has a pointer for each. */
  return (second - first) / N_THINGS - sizeof (gpointer);
}

static void
tell (const char      *key,
      const char      *title,
      const BenchPeer *peer,
      const char      *how,
      double           bytes)
{
  bench_tell (&(BenchQuestion) { key, title, 1 }, "bytes", peer->name, how, bytes);
}

static void
tell_calls (const BenchPeer *peer)
{
  if (peer->merge != NULL)
    tell ("memory-call", "Memory of a callback", peer, peer->call_how,
          of_things (peer, (BenchPlan) { .n_calls = 1 }, (BenchPlan) { .n_calls = N_THINGS + 1 })
          - rounded (peer->call_own));
}

static void
tell_timers (const BenchPeer *peer)
{
  if (peer->timer_new != NULL)
    tell ("memory-timer", "Memory of an armed timer", peer, peer->timer_how,
          of_things (peer, (BenchPlan) { .n_timers = 1 }, (BenchPlan) { .n_timers = N_THINGS + 1 })
          - rounded (peer->timer_own));
}

static void
tell_fds (const BenchPeer *peer)
{
  if (peer->fd_new != NULL)
    tell ("memory-fd", "Memory of a descriptor's handler", peer, peer->fd_how,
          of_things (peer, (BenchPlan) { .n_fds = 1 }, (BenchPlan) { .n_fds = N_THINGS + 1 })
          - rounded (peer->fd_own));
}

int
main (int    argc,
      char **argv)
{
  bench_begin (argc, argv);
  for (guint i = 0; i < G_N_ELEMENTS (peers); i++)
    tell ("memory-loop", "Memory of a loop", peers[i], "", of_loop (peers[i]));
  for (guint i = 0; i < G_N_ELEMENTS (peers); i++)
    tell_calls (peers[i]);
  for (guint i = 0; i < G_N_ELEMENTS (peers); i++)
    tell_timers (peers[i]);
  if (bench_open_fds (N_THINGS + 1) > N_THINGS)
    for (guint i = 0; i < G_N_ELEMENTS (peers); i++)
      tell_fds (peers[i]);
  bench_close_fds ();
  return bench_end ();
}
