/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a bottom half costs, beside what GLib offers for the same work.
 *
 * The peers are used as the GLib reference manual says: "The Main Event Loop", g_idle_add() for
 * work in the same thread and g_main_context_invoke() for work from another one. */
#include "bench.h"

#include <aioctx-gsource/aioctx-gsource.h>
#include <pthread.h>
#include <stdatomic.h>

#define BATCH 1000

static guint n_ran;

static void
count_run (gpointer data)
{
  n_ran++;
}

static gboolean
count_idle (gpointer data)
{
  n_ran++;
  return G_SOURCE_REMOVE;
}

/* --- One thread ------------------------------------------------------------------------------- */

typedef struct
{
  AioContext *context;
  AioBH *bh[BATCH];
} Ours;

static void
ours_init (Ours     *ours,
           gboolean  attach)
{
  ours->context = aio_context_new ();
  for (guint i = 0; i < BATCH; i++)
    ours->bh[i] = aio_bh_new (ours->context, count_run, NULL);
  if (attach)
    aio_context_attach (ours->context, NULL);
}

static void
ours_clear (Ours *ours)
{
  for (guint i = 0; i < BATCH; i++)
    aio_bh_delete (ours->bh[i]);
  aio_context_detach (ours->context);
  aio_context_unref (ours->context);
}

static void
schedule_and_bh_poll (gpointer data,
                      guint    n)
{
  Ours *ours = data;

  for (guint i = 0; i < n; i++)
    {
      aio_bh_schedule (ours->bh[0]);
      aio_bh_poll (ours->context);
    }
}

static void
schedule_and_poll (gpointer data,
                   guint    n)
{
  Ours *ours = data;

  for (guint i = 0; i < n; i++)
    {
      aio_bh_schedule (ours->bh[0]);
      aio_context_poll (ours->context, TRUE);
    }
}

static void
schedule_and_iterate (gpointer data,
                      guint    n)
{
  Ours *ours = data;

  for (guint i = 0; i < n; i++)
    {
      aio_bh_schedule (ours->bh[0]);
      g_main_context_iteration (NULL, FALSE);
    }
}

static void
idle_and_iterate (gpointer data,
                  guint    n)
{
  for (guint i = 0; i < n; i++)
    {
      g_idle_add (count_idle, NULL);
      g_main_context_iteration (NULL, FALSE);
    }
}

static void
schedule_batch (gpointer data,
                guint    n)
{
  Ours *ours = data;

  for (guint i = 0; i < n; i += BATCH)
    {
      for (guint k = 0; k < BATCH; k++)
        aio_bh_schedule (ours->bh[k]);
      aio_bh_poll (ours->context);
    }
}

static void
idle_batch (gpointer data,
            guint    n)
{
  for (guint i = 0; i < n; i += BATCH)
    {
      for (guint k = 0; k < BATCH; k++)
        g_idle_add (count_idle, NULL);
      while (g_main_context_iteration (NULL, FALSE))
        ;
    }
}

static void
schedule_pending (gpointer data,
                  guint    n)
{
  Ours *ours = data;

  for (guint i = 0; i < n; i++)
    aio_bh_schedule (ours->bh[0]);
  aio_bh_poll (ours->context);
}

static void
bench_one_thread (void)
{
  Ours alone, attached;

  ours_init (&alone, FALSE);
  ours_init (&attached, TRUE);
  bench_run ("Schedule one callback and run it", (BenchPeer[]) {
    { "schedule + aio_bh_poll", schedule_and_bh_poll, &alone },
    { "schedule + aio_context_poll", schedule_and_poll, &alone },
    { "schedule + g_main_context_iteration", schedule_and_iterate, &attached },
    { "g_idle_add + g_main_context_iteration", idle_and_iterate, NULL },
  }, 4);
  bench_run ("1000 callbacks scheduled, then run; each", (BenchPeer[]) {
    { "schedule + aio_bh_poll", schedule_batch, &alone },
    { "g_idle_add + g_main_context_iteration", idle_batch, NULL },
  }, 2);
  bench_run ("Schedule again while pending", (BenchPeer[]) {
    { "aio_bh_schedule", schedule_pending, &alone },
  }, 1);
  ours_clear (&alone);
  ours_clear (&attached);
}

/* --- Two threads: a producer posts, a GMainContext runs it ------------------------------------ */

typedef struct
{
  AioContext *context;
  GMainContext *main_context;
  gboolean invoke;
  guint n;
} Posts;

static gpointer
produce (gpointer data)
{
  Posts *posts = data;

  for (guint i = 0; i < posts->n; i++)
    {
      if (posts->invoke)
        g_main_context_invoke (posts->main_context, count_idle, NULL);
      else
        aio_context_post (posts->context, count_run, NULL, NULL);
    }
  return NULL;
}

static void
receive (gpointer data,
         guint    n)
{
  Posts *posts = data;
  GThread *producer;

  n_ran = 0;
  posts->n = n;
  producer = g_thread_new ("producer", produce, posts);
  while (n_ran < n)
    g_main_context_iteration (posts->main_context, TRUE);
  g_thread_join (producer);
}

static void
bench_posts (void)
{
  GMainContext *main_context = g_main_context_new ();
  Posts ours = { aio_context_new (), main_context, FALSE, 0 };
  Posts glib = { NULL, main_context, TRUE, 0 };

  /* Acquired, or g_main_context_invoke() would run the callback in the producer's thread. */
  g_main_context_acquire (main_context);
  aio_context_attach (ours.context, main_context);
  bench_run ("Another thread posts, a GMainContext runs it; each", (BenchPeer[]) {
    { "aio_context_post", receive, &ours },
    { "g_main_context_invoke", receive, &glib },
  }, 2);
  aio_context_detach (ours.context);
  aio_context_unref (ours.context);
  g_main_context_release (main_context);
  g_main_context_unref (main_context);
}

/* --- A budget that is not hit ----------------------------------------------------------------- */

#define PASS 64

typedef struct
{
  AioContext *context;
  GMainContext *main_context;
  AioBH *bh[PASS];
} Limited;

/* About 200 ns of work, which is little for a callback. */
static void
work_a_little (gpointer data)
{
  static volatile guint sink;

  for (guint i = 0; i < 110; i++)
    sink++;
}

static void
limited_init (Limited   *limited,
              AioBHFunc  func,
              guint      max_callbacks,
              gint64     max_usec)
{
  limited->context = aio_context_new ();
  limited->main_context = g_main_context_new ();
  aio_context_set_budget (limited->context, max_callbacks, max_usec);
  for (guint i = 0; i < PASS; i++)
    limited->bh[i] = aio_bh_new (limited->context, func, NULL);
  aio_context_attach (limited->context, limited->main_context);
}

static void
limited_clear (Limited *limited)
{
  for (guint i = 0; i < PASS; i++)
    aio_bh_delete (limited->bh[i]);
  aio_context_detach (limited->context);
  aio_context_unref (limited->context);
  g_main_context_unref (limited->main_context);
}

static void
iterate_limited (gpointer data,
                 guint    n)
{
  Limited *limited = data;

  for (guint i = 0; i < n; i += PASS)
    {
      for (guint k = 0; k < PASS; k++)
        aio_bh_schedule (limited->bh[k]);
      g_main_context_iteration (limited->main_context, FALSE);
    }
}

static void
bench_budget_of (const char *question,
                 AioBHFunc   func)
{
  Limited none, number, time;

  limited_init (&none, func, 0, 0);
  limited_init (&number, func, 1000, 0);
  limited_init (&time, func, 0, G_USEC_PER_SEC);
  bench_run (question, (BenchPeer[]) {
    { "no budget", iterate_limited, &none },
    { "1000 callbacks", iterate_limited, &number },
    { "1 second", iterate_limited, &time },
  }, 3);
  limited_clear (&none);
  limited_clear (&number);
  limited_clear (&time);
}

static void
bench_budget (void)
{
  bench_budget_of ("An unhit budget, 64 callbacks a pass that do nothing; each", count_run);
  bench_budget_of ("An unhit budget, 64 callbacks a pass that do a little; each", work_a_little);
}

int
main (void)
{
  bench_one_thread ();
  bench_posts ();
  bench_budget ();
  return 0;
}
