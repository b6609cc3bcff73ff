/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the shuffle may not touch: built against the library with pause points, in the place of the
 * kit. */
#include "../aio-test.h"

#include <aioctx-gsource/aio-pause-private.h>
#include <aioctx-gsource/aio-test-hooks-private.h>

static atomic_int stop_next, stopped, go_on;

/* The next one who pushes stops between its place in the queue and the link to it. */
static void
stop_once (AioPausePoint point)
{
  int expected = 1;

  if (point != AIO_PAUSE_SWAPPED || !atomic_compare_exchange_strong (&stop_next, &expected, 0))
    return;
  atomic_store (&stopped, 1);
  while (atomic_load (&go_on) == 0)
    g_usleep (100);
}

static GString *order;

static void
write_name (gpointer name)
{
  g_string_append (order, name);
}

static void *
schedule (void *bh)
{
  aio_bh_schedule (bh);
  return NULL;
}

static void
reverse (gpointer      data,
         AioTestEntry *entries,
         guint         n)
{
  for (guint i = 0; i < n / 2; i++)
    {
      AioTestEntry entry = entries[i];

      entries[i] = entries[n - 1 - i];
      entries[n - 1 - i] = entry;
    }
}

static void
test_hole (void)
{
  static const char *names[] = { "a", "b", "c", "d", "e" };
  AioContext *context = aio_context_new ();
  const AioTestHooks *hooks = aio__test_hooks ();
  AioBH *bhs[G_N_ELEMENTS (names)];
  pthread_t thread;

  g_test_summary ("C2, C3: while a producer has not linked its entry, the one before it keeps its "
                  "place; nothing is lost or runs twice");

  hooks->adopt (context, g_new (int, 1), g_free);
  hooks->set_arrange (context, reverse);
  order = g_string_new (NULL);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    bhs[i] = aio_bh_new (context, write_name, (gpointer) names[i]);
  for (guint i = 0; i < 3; i++)
    aio_bh_schedule (bhs[i]);

  atomic_store (&stop_next, 1);
  g_assert_cmpint (pthread_create (&thread, NULL, schedule, bhs[3]), ==, 0);
  while (atomic_load (&stopped) == 0)
    g_usleep (100);
  aio_bh_schedule (bhs[4]);
  aio_context_poll (context, FALSE);
  g_assert_cmpstr (order->str, ==, "bac");

  atomic_store (&go_on, 1);
  pthread_join (thread, NULL);
  while (aio_bh_is_scheduled (bhs[4]) || aio_bh_is_scheduled (bhs[3]))
    aio_context_poll (context, FALSE);
  g_assert_cmpstr (order->str, ==, "baced");

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    aio_bh_delete (bhs[i]);
  aio_context_unref (context);
  g_string_free (order, TRUE);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_pause_hook = stop_once;
  /* A queue that was tied into a ring keeps it busy for ever. */
  alarm (60);
  aio_test_add ("/testing/hole", test_hole);
  return g_test_run ();
}
