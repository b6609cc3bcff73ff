/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What bottom halves do, one habit after the other. Each call of turn() makes one pass. */
#include <aioctx-gsource/aioctx-gsource.h>

static AioContext *context;

static void
show (gpointer name)
{
  g_print (" %s", (char *) name);
}

static void
turn (const char *what)
{
  gboolean progress;

  g_print ("%s:", what);
  progress = aio_context_poll (context, FALSE);
  g_print ("%s\n", progress ? "" : " (no progress)");
}

static AioBH *
named (const char *name)
{
  return aio_bh_new_full (context, name, show, (char *) name, NULL);
}

/* Scheduled twice, it runs once, in the place of the first time. */
static void
show_order (AioBH *a,
            AioBH *b)
{
  aio_bh_schedule (b);
  aio_bh_schedule (a);
  aio_bh_schedule (b);
  turn ("order");
}

/* A callback that schedules its own bottom half is called again in the next pass. */
static void
again (gpointer data)
{
  AioBH **bh = data;

  g_print (" again");
  aio_bh_schedule (*bh);
}

static void
show_again (void)
{
  AioBH *bh = NULL;

  bh = aio_bh_new (context, again, &bh);
  aio_bh_schedule (bh);
  turn ("pass 1");
  turn ("pass 2");
  aio_bh_delete (bh);
  turn ("deleted");
}

static void
show_cancel (AioBH *a,
             AioBH *b)
{
  aio_bh_schedule (a);
  aio_bh_schedule (b);
  if (aio_bh_cancel (a))
    g_print ("a was pending\n");
  turn ("cancelled");
}

/* Idle work is no progress; a normal schedule makes normal work of it. */
static void
show_idle (AioBH *a)
{
  aio_bh_schedule_idle (a);
  turn ("idle");
  aio_bh_schedule_idle (a);
  aio_bh_schedule (a);
  turn ("normal again");
}

/* What has to run only once needs no bottom half of its own. */
static void
show_oneshots (void)
{
  aio_bh_schedule_oneshot (context, show, (char *) "one-shot");
  aio_context_post (context, show, g_strdup ("post"), g_free);
  turn ("once");
}

int
main (void)
{
  AioBH *a, *b;

  context = aio_context_new_full ("demo", NULL);
  a = named ("a");
  b = named ("b");
  show_order (a, b);
  show_again ();
  show_cancel (a, b);
  show_idle (a);
  show_oneshots ();
  aio_bh_delete (a);
  aio_bh_delete (b);
  aio_context_unref (context);
  return 0;
}
