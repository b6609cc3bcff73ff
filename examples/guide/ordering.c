/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What runs first, and what a callback sees of the thread that asked for it. */
#include <aioctx-gsource/aioctx-gsource.h>
#include <stdatomic.h>

static AioContext *context;

static void
show (gpointer text)
{
  g_print (" %s", (char *) text);
}

static void
turn (const char *what)
{
  g_print ("%s:", what);
  while (aio_context_poll (context, FALSE))
    ;
  g_print ("\n");
}

static void
in_thread (GThreadFunc func,
           gpointer    data)
{
  g_thread_join (g_thread_new ("producer", func, data));
}

/* ---- One thread: all in order, of whatever kind it is ---- */

static gpointer
schedule_mixture (gpointer bh)
{
  aio_context_post (context, show, (char *) "post", NULL);
  aio_bh_schedule (bh);
  aio_bh_schedule_oneshot (context, show, (char *) "one-shot");
  return NULL;
}

/* ---- Two threads: in order if one knows of the other ---- */

static gpointer
post_text (gpointer text)
{
  aio_context_post (context, show, text, NULL);
  return NULL;
}

static void
show_two_threads (void)
{
  in_thread (post_text, (char *) "first");
  in_thread (post_text, (char *) "second"); /* begins when the first thread has ended */
  turn ("two threads");
}

/* ---- What was written before the schedule is seen ---- */

typedef struct
{
  int width;
  int height;
} Size;

static void
show_size (gpointer data)
{
  Size *size = data;

  g_print (" %dx%d", size->width, size->height);
  g_free (size);
}

static gpointer
measure (gpointer data)
{
  Size *size = g_new (Size, 1);

  size->width = 640;
  size->height = 480;
  aio_context_post (context, show_size, size, NULL);
  return NULL;
}

/* ---- And so before each schedule that has merged ---- */

typedef struct
{
  AioBH *changed;
  atomic_int level;             /* written while it may be read, hence atomic */
} Meter;

static void
show_level (gpointer data)
{
  Meter *meter = data;

  g_print (" %d", atomic_load_explicit (&meter->level, memory_order_relaxed));
}

static gpointer
raise_level (gpointer data)
{
  Meter *meter = data;

  for (int i = 1; i <= 1000; i++)
    {
      atomic_store_explicit (&meter->level, i, memory_order_relaxed);
      aio_bh_schedule (meter->changed);
    }
  return NULL;
}

int
main (void)
{
  AioBH *bh;
  Meter meter = { NULL, 0 };

  context = aio_context_new ();
  bh = aio_bh_new (context, show, (char *) "bottom-half");
  in_thread (schedule_mixture, bh);
  turn ("one thread");
  show_two_threads ();
  in_thread (measure, NULL);
  turn ("a size");
  meter.changed = aio_bh_new (context, show_level, &meter);
  in_thread (raise_level, &meter);
  turn ("a level");
  aio_bh_delete (meter.changed);
  aio_bh_delete (bh);
  aio_context_unref (context);
  return 0;
}
