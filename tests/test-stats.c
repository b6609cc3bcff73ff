/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The figures that a context keeps about itself. */
#include "aio-test.h"

static AioContextStats
get_stats (AioContext *context)
{
  AioContextStats stats;

  memset (&stats, 0xff, sizeof stats);
  aio_context_get_stats (context, &stats, sizeof stats);
  return stats;
}

static void
test_fresh (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  AioContextStats stats = get_stats (context), zeros;

  g_test_summary ("C15: a fresh context has done nothing");

  memset (&zeros, 0, sizeof zeros);
  g_assert_cmpmem (&stats, sizeof stats, &zeros, sizeof zeros);
}

static void
test_runs (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  AioBH *bh = aio_bh_new (context, nothing, NULL);
  AioBH *idle = aio_bh_new (context, nothing, NULL);
  AioContextStats stats;

  g_test_summary ("C9, C2: runs count callbacks of each kind; a schedule that merged is no run");

  aio_bh_schedule (bh);
  aio_bh_schedule (bh);
  aio_bh_schedule_idle (idle);
  aio_bh_schedule_oneshot (context, nothing, NULL);
  g_assert_true (aio_context_post (context, nothing, NULL, NULL));
  aio_context_poll (context, FALSE);
  stats = get_stats (context);
  g_assert_cmpuint (stats.runs, ==, 4);
  g_assert_cmpuint (stats.passes, ==, 1);
  g_assert_cmpuint (stats.iterations, ==, 1);
  g_assert_cmpuint (stats.max_depth, ==, 4);
  g_assert_cmpuint (stats.cancels, ==, 0);
  g_assert_cmpuint (stats.slow_callbacks, ==, 0);

  aio_bh_schedule (bh);
  aio_context_poll (context, FALSE);
  stats = get_stats (context);
  g_assert_cmpuint (stats.runs, ==, 5);
  g_assert_cmpuint (stats.passes, ==, 2);
  g_assert_cmpuint (stats.max_depth, ==, 4);
  aio_bh_delete (bh);
  aio_bh_delete (idle);
}

static void
test_iterations (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  g_autoptr (GMainContext) loop = g_main_context_new ();
  AioContextStats stats;

  g_test_summary ("C18: iterations count those with nothing to do as well, passes do not");

  aio_context_poll (context, FALSE);
  aio_bh_poll (context);
  aio_context_dispatch (context);
  stats = get_stats (context);
  g_assert_cmpuint (stats.iterations, ==, 3);
  g_assert_cmpuint (stats.passes, ==, 0);

  aio_context_attach (context, loop);
  aio_bh_schedule_oneshot (context, nothing, NULL);
  g_main_context_iteration (loop, FALSE);
  stats = get_stats (context);
  g_assert_cmpuint (stats.iterations, ==, 4);
  g_assert_cmpuint (stats.passes, ==, 1);
  g_assert_cmpuint (stats.runs, ==, 1);
}

static void
test_cancels (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  AioBH *bhs[5];
  AioContextStats stats;
  guint i;

  g_test_summary ("C6: cancels count what came up with nothing left to run");

  for (i = 0; i < G_N_ELEMENTS (bhs); i++)
    {
      bhs[i] = aio_bh_new (context, nothing, NULL);
      aio_bh_schedule (bhs[i]);
    }
  aio_bh_cancel (bhs[1]);
  aio_bh_cancel (bhs[3]);
  aio_context_poll (context, FALSE);
  stats = get_stats (context);
  g_assert_cmpuint (stats.runs, ==, 3);
  g_assert_cmpuint (stats.cancels, ==, 2);
  g_assert_cmpuint (stats.passes, ==, 1);
  g_assert_cmpuint (stats.max_depth, ==, 3);
  for (i = 0; i < G_N_ELEMENTS (bhs); i++)
    aio_bh_delete (bhs[i]);
}

static void
test_wakeups (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  AioContextStats stats;
  int i;

  g_test_summary ("C15: wakeups sent are those written; saved are the runs beyond, never below 0");

  for (i = 0; i < 10; i++)
    aio_bh_schedule_oneshot (context, nothing, NULL);
  aio_context_poll (context, TRUE);
  stats = get_stats (context);
  g_assert_cmpuint (stats.wakeups_sent, ==, 0);
  g_assert_cmpuint (stats.wakeups_saved, ==, 10);

  for (i = 1; i <= 30; i++)
    {
      g_assert_cmpint (aio_context_get_timeout_ns (context), ==, -1);
      aio_context_notify (context);
      aio_context_dispatch (context);
      stats = get_stats (context);
      g_assert_cmpuint (stats.wakeups_sent, ==, i);
      g_assert_cmpuint (stats.wakeups_saved, ==, MAX (10 - i, 0));
    }
}

static void
test_size (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  struct
  {
    AioContextStats stats;
    guint64 more[4];
  } newer;
  guint64 older[3] = { 7, 7, 7 };
  guint i;

  g_test_summary ("C28: a program that knows fewer fields gets those, one that knows more gets "
                  "zeros");

  aio_bh_schedule_oneshot (context, nothing, NULL);
  aio_context_poll (context, FALSE);
  aio_context_get_stats (context, (AioContextStats *) older, 2 * sizeof older[0]);
  g_assert_cmpuint (older[0], ==, 1);
  g_assert_cmpuint (older[1], ==, 1);
  g_assert_cmpuint (older[2], ==, 7);

  memset (&newer, 0xff, sizeof newer);
  aio_context_get_stats (context, &newer.stats, sizeof newer);
  g_assert_cmpuint (newer.stats.runs, ==, 1);
  for (i = 0; i < G_N_ELEMENTS (newer.more); i++)
    g_assert_cmpuint (newer.more[i], ==, 0);
}

static void *
poll_and_post (void *data)
{
  AioContext *context = data;
  int i;

  for (i = 0; i < 2000; i++)
    {
      g_assert_true (aio_context_post (context, nothing, NULL, NULL));
      g_assert_true (aio_context_poll (context, FALSE));
    }
  return NULL;
}

static void
test_any_thread (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  AioContextStats stats;
  guint64 last = 0;
  pthread_t thread;

  g_test_summary ("C30: any thread may ask while another one iterates; the figures only grow");

  g_assert_cmpint (pthread_create (&thread, NULL, poll_and_post, context), ==, 0);
  do
    {
      stats = get_stats (context);
      g_assert_cmpuint (stats.runs, >=, last);
      last = stats.runs;
    }
  while (last < 1000);
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
  stats = get_stats (context);
  g_assert_cmpuint (stats.runs, ==, 2000);
  g_assert_cmpuint (stats.iterations, ==, 2000);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_add ("/stats/fresh", test_fresh);
  aio_test_add ("/stats/runs", test_runs);
  aio_test_add ("/stats/iterations", test_iterations);
  aio_test_add ("/stats/cancels", test_cancels);
  aio_test_add ("/stats/wakeups", test_wakeups);
  aio_test_add ("/stats/size", test_size);
  aio_test_add ("/stats/any-thread", test_any_thread);
  return g_test_run ();
}
