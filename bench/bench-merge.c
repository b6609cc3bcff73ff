/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What it costs to schedule again what is pending already. */
#include "rig.h"

#include <stdatomic.h>

static atomic_uint word;

/* As far away as a function of a library is. */
static void G_GNUC_NO_INLINE
exchange_once (void)
{
  atomic_exchange (&word, 3);
}

static void
exchange (gpointer data,
          guint    n)
{
  for (guint i = 0; i < n; i++)
    exchange_once ();
}

int
main (int    argc,
      char **argv)
{
  const BenchSubject floor_only = {
    "floor: an exchange", "atomic_exchange", NULL, exchange, NULL, NULL
  };

  bench_begin (argc, argv);
  bench_rigs_run (&(BenchQuestion) { "merge", "Schedule again while pending", 1 },
                  bench_peers, &(BenchPlan) { .sort = BENCH_OF_MERGES, .n_calls = 1 },
                  bench_rig_merge, &floor_only, 1);
  return bench_end ();
}
