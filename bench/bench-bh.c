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

int
main (void)
{
  bench_one_thread ();
  bench_posts ();
  return 0;
}
