/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an iteration costs when 1, a tenth or all of N descriptors are ready. */
#include "rig.h"

#define MAX_FDS 10000

static void
ask (const char *key,
     const char *title,
     guint       size,
     guint       n_ready,
     gboolean    same_fd)
{
  const BenchPlan plan = {
    .sort = BENCH_OF_FDS, .n_fds = size, .n_ready = n_ready, .same_fd = same_fd
  };

  bench_rigs_run (&(BenchQuestion) { key, title, size }, bench_peers, &plan, bench_rig_ready,
                  NULL, 0);
}

int
main (int    argc,
      char **argv)
{
  guint n;

  bench_begin (argc, argv);
  n = bench_open_fds (MAX_FDS);
  for (guint size = 10; size <= n; size *= 10)
    {
      ask ("fds-1", "1 of N descriptors is ready, the same each time", size, 1, TRUE);
      ask ("fds-another", "1 of N descriptors is ready, another each time", size, 1, FALSE);
      ask ("fds-tenth", "A tenth of N descriptors is ready", size, size / 10, FALSE);
      ask ("fds-all", "All of N descriptors are ready", size, size, FALSE);
    }
  bench_close_fds ();
  return bench_end ();
}
