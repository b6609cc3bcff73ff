/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Does one operation N times, for others to count instructions or system calls:
 *
 *   ops NAME N        ops --list        ops --versions
 *
 * What comes before and after happens outside measured_work(), and does not grow with N. */
#include "rig.h"

#include <aioctx-gsource/aioctx-gsource.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>

#define BATCH 1000

typedef struct
{
  const char *name;
  const BenchPeer *peer;
  BenchPlan plan;
  void (*work) (gpointer rig, guint n);
} Op;

static void
post_and_poll (gpointer data,
               guint    n)
{
  BenchRig *rig = data;
  AioContext *context = aio_bh_get_context (rig->calls[0]);

  for (guint i = 0; i < n; i++)
    {
      aio_context_post (context, bench_count, NULL, NULL);
      rig->peer->iterate (rig->loop);
    }
}

static void
iterate_only (gpointer data,
              guint    n)
{
  BenchRig *rig = data;

  for (guint i = 0; i < n; i++)
    rig->peer->iterate (rig->loop);
}

static gpointer
send_all (gpointer data)
{
  BenchRig *rig = data;

  for (guint i = 0; i < rig->plan.n_calls; i++)
    rig->peer->send (rig->calls[i]);
  return NULL;
}

/* Another thread sends all calls while a callback keeps the loop awake. */
static void
on_storm (gpointer data)
{
  pthread_t thread;

  pthread_create (&thread, NULL, send_all, data);
  pthread_join (thread, NULL);
  bench_ran++;
}

static void
storm (gpointer data,
       guint    n)
{
  BenchRig *rig = data;
  gpointer call = rig->peer->call_new (rig->loop, on_storm, rig);

  for (guint i = 0; i < n; i++)
    {
      guint target = bench_ran + rig->plan.n_calls + 1;

      rig->peer->send (call);
      while (bench_ran != target)
        rig->peer->iterate (rig->loop);
    }
  rig->peer->call_free (call);
}

#define ONE   { .n_calls = 1, .burst = 1 }
#define MANY  { .n_calls = BATCH, .burst = BATCH }
#define MERGE { .sort = BENCH_OF_MERGES, .n_calls = 1 }
#define FD    { .sort = BENCH_OF_FDS, .n_fds = 10, .n_ready = 1 }
#define TIMER { .sort = BENCH_OF_TIMERS, .n_timers = 100 }

#define OPS_OF(prefix, peer)                                    \
  { prefix "-schedule", &peer, ONE, bench_rig_burst },          \
  { prefix "-batch", &peer, MANY, bench_rig_burst },            \
  { prefix "-storm", &peer, MANY, storm },                      \
  { prefix "-fd", &peer, FD, bench_rig_ready },                 \
  { prefix "-arm", &peer, TIMER, bench_rig_arm_cancel },        \
  { prefix "-fire", &peer, TIMER, bench_rig_fire }

static const Op ops[] = {
  OPS_OF ("poll", bench_ours_poll),
  OPS_OF ("source", bench_ours_source),
  { "poll-merge", &bench_ours_poll, MERGE, bench_rig_merge },
  { "poll-post", &bench_ours_poll, ONE, post_and_poll },
  { "poll-rest", &bench_ours_poll, ONE, iterate_only },
  { "source-rest", &bench_ours_source, ONE, iterate_only },
  { "bh-poll-schedule", &bench_ours_bh_poll, ONE, bench_rig_burst },
  { "bh-poll-batch", &bench_ours_bh_poll, MANY, bench_rig_burst },
  { "bh-poll-rest", &bench_ours_bh_poll, ONE, iterate_only },
  { "home-schedule", &bench_ours_home, ONE, bench_rig_burst },
  { "home-batch", &bench_ours_home, MANY, bench_rig_burst },
  OPS_OF ("glib", bench_glib),
#ifdef HAVE_LIBUV
  OPS_OF ("libuv", bench_libuv),
#endif
#ifdef HAVE_LIBEV
  OPS_OF ("libev", bench_libev),
#endif
#ifdef HAVE_LIBEVENT
  OPS_OF ("libevent", bench_libevent),
#endif
};

/* Callgrind is told this name. */
void measured_work (const Op *op,
                    gpointer  rig,
                    guint     n);

void G_GNUC_NO_INLINE
measured_work (const Op *op,
               gpointer  rig,
               guint     n)
{
  op->work (rig, n);
}

/* Once before, so that what happens only once is not in what is counted. A counter that sees all of
 * the program compares two numbers N. */
static void
do_op (const Op *op,
       guint     n)
{
  BenchRigConfig config = { op->peer, op->plan };
  gpointer rig;

  bench_open_fds (10);
  rig = bench_rig_new (&config);
  op->work (rig, 1);
  measured_work (op, rig, n);
  bench_rig_free (rig);
  bench_close_fds ();
}

int
main (int    argc,
      char **argv)
{
  if (argc == 2 && strcmp (argv[1], "--versions") == 0)
    g_print ("%s\n", VERSIONS);
  for (guint i = 0; i < G_N_ELEMENTS (ops); i++)
    {
      if (argc == 2 && strcmp (argv[1], "--list") == 0)
        g_print ("%s\n", ops[i].name);
      if (argc == 3 && strcmp (argv[1], ops[i].name) == 0)
        {
          do_op (&ops[i], (guint) atoi (argv[2]));
          return 0;
        }
    }
  return argc == 2 ? 0 : 2;
}
