/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What programs have compiled in stays as it is, and what each object costs stays small. */
#include "aio-test.h"
#include <aioctx-gsource/aio-bh-private.h>
#include <aioctx-gsource/aio-context-private.h>
#include <malloc.h>
#include <stddef.h>

static void
test_public (void)
{
  g_test_summary ("Public structs keep their sizes, or only grow at their ends");

  g_assert_cmpuint (sizeof (AioTimer), ==, 16 * sizeof (gpointer));
  g_assert_cmpuint (sizeof (AioEventNotifier), ==, 2 * sizeof (int));
  g_assert_cmpuint (sizeof (AioWake), ==, 8 + 2 * sizeof (int) + sizeof (gpointer));
  g_assert_cmpuint (offsetof (AioWake, reason), ==, 8);
  g_assert_cmpuint (offsetof (AioWake, name), ==, 8 + 2 * sizeof (int));
  g_assert_cmpuint (AIO_CLOCK_VIRTUAL, ==, 3);
  g_assert_cmpuint (AIO_WAKE_NOTIFY, ==, AIO_WAKE_OTHER + 4);
}

/* Programs of today give today's size, and read these places. */
static void
test_stats (void)
{
  g_test_summary ("AioContextStats only grows: what is there keeps its place");

  g_assert_cmpuint (offsetof (AioContextStats, iterations), ==, 0);
  g_assert_cmpuint (offsetof (AioContextStats, slow_callbacks), ==, 7 * 8);
  g_assert_cmpuint (offsetof (AioContextStats, schedules), ==, 8 * 8);
  g_assert_cmpuint (offsetof (AioContextStats, latency), ==, 10 * 8);
  g_assert_cmpuint (offsetof (AioContextStats, run_time), ==, (10 + AIO_STATS_BUCKETS) * 8);
  g_assert_cmpuint (sizeof (AioContextStats), >=, (10 + 2 * AIO_STATS_BUCKETS) * 8);
}

/* What malloc has given away; 0 where a sanitizer has taken its place. */
static gsize
allocated (void)
{
  return mallinfo2 ().uordblks;
}

#define N 1000

static gsize
bytes_per_bh (AioContext *context)
{
  static AioBH *bhs[N];
  gsize before = allocated (), used;

  for (guint i = 0; i < N; i++)
    bhs[i] = aio_bh_new (context, nothing, NULL);
  used = allocated () - before;
  for (guint i = 0; i < N; i++)
    aio_bh_delete (bhs[i]);
  return used / N;
}

static gsize
bytes_per_timer (AioContext *context)
{
  static AioTimer *timers[N];
  gsize before = allocated (), used;

  for (guint i = 0; i < N; i++)
    timers[i] = aio_timer_new (context, AIO_CLOCK_MONOTONIC, nothing, NULL, NULL);
  used = allocated () - before;
  for (guint i = 0; i < N; i++)
    aio_timer_free (timers[i]);
  return used / N;
}

/* Some of it is kept for the next ones: so the first hundred are all there is to see. */
static gsize
bytes_per_context (void)
{
  AioContext *contexts[100];
  gsize before = allocated (), used;

  for (guint i = 0; i < G_N_ELEMENTS (contexts); i++)
    contexts[i] = aio_context_new ();
  used = allocated () - before;
  for (guint i = 0; i < G_N_ELEMENTS (contexts); i++)
    aio_context_unref (contexts[i]);
  return used / G_N_ELEMENTS (contexts);
}

static void
test_private (void)
{
  gsize context_bytes = bytes_per_context (), bh_bytes, timer_bytes;
  AioContext *context = aio_context_new ();

  g_test_summary ("A bottom half takes two cache lines, a context 2 KiB");

  bh_bytes = bytes_per_bh (context);
  timer_bytes = bytes_per_timer (context);
  aio_context_unref (context);
  g_test_message ("a bottom half: %zu bytes (struct %zu)", bh_bytes, sizeof (AioBH));
  g_test_message ("a context: %zu bytes (struct %zu)", context_bytes, sizeof (AioContext));
  g_test_message ("a timer: %zu bytes (struct %zu)", timer_bytes, sizeof (AioTimer));
  g_assert_cmpuint (offsetof (AioBH, anchor), ==, 64);
  g_assert_cmpuint (sizeof (AioBH), ==, 128);
  g_assert_cmpuint (sizeof (AioContext), <=, 2048);
  if (allocated () == 0)
    return;
  /* They come in chunks, of which the last is not full, and malloc adds something to each. */
  g_assert_cmpuint (bh_bytes, <, 128 * 64 / N + 128 + 3);
  g_assert_cmpuint (context_bytes, <=, 2048);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_add ("/sizes/public", test_public);
  aio_test_add ("/sizes/stats", test_stats);
  aio_test_add ("/sizes/private", test_private);
  return g_test_run ();
}
