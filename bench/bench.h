/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the benchmarks share: each question is measured for all peers in turn, round after round,
 * so that a machine that slows down slows all of them; medians and ratios are what counts. */
#pragma once

#include <glib.h>
#include <stdlib.h>

/* Does the work n times. */
typedef void (*BenchFunc) (gpointer data,
                           guint    n);

typedef struct
{
  const char *name;
  BenchFunc func;
  gpointer data;
} BenchPeer;

#define BENCH_ROUNDS 15

static inline int
bench_compare (gconstpointer a,
               gconstpointer b)
{
  double x = *(const double *) a;
  double y = *(const double *) b;

  return (x > y) - (x < y);
}

static inline double
bench_round (const BenchPeer *peer,
             guint            n)
{
  gint64 begin = g_get_monotonic_time ();

  peer->func (peer->data, n);
  return (double) (g_get_monotonic_time () - begin) * 1000.0 / n;
}

/* How many operations take about 10 ms. */
static inline guint
bench_calibrate (const BenchPeer *peer)
{
  guint n = 1;

  while (n < 1000000 && bench_round (peer, n) * n < 10e6)
    n *= 2;
  return n;
}

/* Prints a line for each peer; the first one is ours and is what the others are compared with. */
static inline void
bench_run (const char      *question,
           const BenchPeer *peers,
           guint            n_peers)
{
  double (*rounds)[BENCH_ROUNDS] = g_malloc (n_peers * sizeof *rounds);
  guint *n = g_new (guint, n_peers);
  double ours = 0;

  for (guint i = 0; i < n_peers; i++)
    n[i] = bench_calibrate (&peers[i]);
  for (guint round = 0; round < BENCH_ROUNDS; round++)
    for (guint i = 0; i < n_peers; i++)
      rounds[i][round] = bench_round (&peers[i], n[i]);

  g_print ("%s\n", question);
  for (guint i = 0; i < n_peers; i++)
    {
      double median;

      qsort (rounds[i], BENCH_ROUNDS, sizeof (double), bench_compare);
      median = rounds[i][BENCH_ROUNDS / 2];
      if (i == 0)
        ours = median;
      g_print ("  %-44s %9.1f ns  [%.1f .. %.1f]  %6.2f x ours\n", peers[i].name, median,
               rounds[i][0], rounds[i][BENCH_ROUNDS - 1], median / ours);
    }
  g_free (n);
  g_free (rounds);
}
