/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each public type the GLib way: g_autoptr, and a boxed GType whose copies end one by one. */
#include "aio-test.h"

static void
count (gpointer n)
{
  ++*(guint *) n;
}

static void
test_autoptr (void)
{
  guint n_destroyed = 0;

  g_test_summary ("C23, C7: g_autoptr of each type drops what it holds, and nothing more");
  {
    g_autoptr (AioContext) context = aio_context_new_full ("auto", NULL);
    g_autoptr (AioBH) bh = aio_bh_ref (aio_bh_new_full (context, "bh", nothing, &n_destroyed,
                                                        count));
    g_autoptr (AioTimer) timer = aio_timer_new (context, AIO_CLOCK_MONOTONIC, nothing,
                                                &n_destroyed, count);
    g_autoptr (AioEventNotifier) notifier = aio_event_notifier_new (FALSE, NULL);
    g_autoptr (AioIOThread) thread = aio_io_thread_new ("auto", NULL);
    g_autoptr (AioContextStats) stats = aio_context_dup_stats (context);

    g_assert_true (timer != NULL && notifier != NULL && thread != NULL && stats != NULL);
    aio_bh_delete (bh);
    g_assert_cmpuint (n_destroyed, ==, 1);
  }
  g_assert_cmpuint (n_destroyed, ==, 2);
}

/* As a binding has it: a value of the type is copied, and each copy freed by itself. */
static void
copy_and_free (GType    type,
               gpointer boxed)
{
  g_auto (GValue) value = G_VALUE_INIT;
  gpointer copies[3];

  g_assert_true (G_TYPE_IS_BOXED (type));
  g_value_init (&value, type);
  g_value_set_boxed (&value, boxed);
  copies[0] = g_boxed_copy (type, boxed);
  copies[1] = g_boxed_copy (type, copies[0]);
  copies[2] = g_value_dup_boxed (&value);
  for (guint i = 0; i < G_N_ELEMENTS (copies); i++)
    {
      g_assert_nonnull (copies[i]);
      g_boxed_free (type, copies[i]);
    }
}

static void
test_boxed_context (void)
{
  AioContext *context = aio_context_new_full ("boxed", NULL);
  AioContext *copy = g_boxed_copy (AIO_TYPE_CONTEXT, context);
  guint n = 0;

  g_test_summary ("C23: copies of a context are references");
  copy_and_free (AIO_TYPE_CONTEXT, context);
  aio_context_post (context, count, &n, NULL);
  aio_context_unref (context);
  aio_context_poll (copy, FALSE);
  g_assert_cmpuint (n, ==, 1);
  g_boxed_free (AIO_TYPE_CONTEXT, copy);
}

static void
test_boxed_bh (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  guint n = 0;
  AioBH *bh = aio_bh_new_full (context, "boxed", count, &n, NULL);
  AioBH *copy = g_boxed_copy (AIO_TYPE_BH, bh);

  g_test_summary ("C7: copies of a bottom half are references, which outlast its deletion");
  copy_and_free (AIO_TYPE_BH, bh);
  aio_bh_schedule (copy);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (n, ==, 1);
  aio_bh_delete (bh);
  aio_bh_schedule (copy);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (n, ==, 1);
  g_assert_cmpstr (aio_bh_get_name (copy), ==, "boxed");
  g_boxed_free (AIO_TYPE_BH, copy);
}

static void
test_boxed_timer (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  guint n = 0, n_destroyed = 0;
  AioTimer *timer = aio_timer_new (context, AIO_CLOCK_MONOTONIC, count, &n, NULL);
  AioTimer *other = aio_timer_new (context, AIO_CLOCK_MONOTONIC, nothing, &n_destroyed, count);
  AioTimer *copy = g_boxed_copy (AIO_TYPE_TIMER, timer);

  g_test_summary ("C22: a timer lives, and stays armed, until its last copy is freed");
  copy_and_free (AIO_TYPE_TIMER, timer);
  copy_and_free (AIO_TYPE_TIMER, other);
  g_assert_cmpuint (n_destroyed, ==, 0);
  aio_timer_free (other);
  g_assert_cmpuint (n_destroyed, ==, 1);
  aio_timer_mod_ns (timer, 0);
  aio_timer_free (timer);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (n, ==, 1);
  g_boxed_free (AIO_TYPE_TIMER, copy);
}

typedef struct
{
  AioTimer *timer;
  guint n;
  guint n_destroyed;
  gboolean free_too;
} Deletion;

static void
count_deletion (gpointer data)
{
  Deletion *deletion = data;

  deletion->n_destroyed++;
}

static void
delete_inside (gpointer data)
{
  Deletion *deletion = data;

  deletion->n++;
  aio_timer_delete (deletion->timer);
  aio_timer_mod_ns (deletion->timer, 0);
  if (deletion->free_too)
    aio_timer_free (deletion->timer);
  g_assert_cmpuint (deletion->n_destroyed, ==, 0);
}

static void
test_timer_delete (void)
{
  AioContext *context = aio_context_new ();
  Deletion deletion = { .timer = NULL };
  AioTimer *timer = aio_timer_new (context, AIO_CLOCK_MONOTONIC, delete_inside, &deletion,
                                   count_deletion);

  g_test_summary ("C22, C24: a timer that is deleted has ended, though there are copies of it, and "
                  "its context may end");
  aio_timer_mod_ns (timer, 0);
  aio_timer_delete (timer);
  g_assert_cmpuint (deletion.n_destroyed, ==, 1);
  g_assert_false (aio_timer_pending (timer));
  aio_timer_mod_ns (timer, 0);
  g_assert_false (aio_timer_mod_anticipate_ns (timer, 0));
  aio_timer_delete (timer);
  g_assert_false (aio_context_poll (context, FALSE));
  aio_context_unref (context);
  aio_timer_delete (timer);
  aio_timer_free (timer);
  g_assert_cmpuint (deletion.n, ==, 0);
  g_assert_cmpuint (deletion.n_destroyed, ==, 1);
}

static void
test_timer_delete_inside (void)
{
  g_autoptr (AioContext) context = aio_context_new ();

  g_test_summary ("C22: one that deletes itself ends when its callback has returned, also when "
                  "that frees it, too");
  for (guint i = 0; i < 2; i++)
    {
      Deletion deletion = { .free_too = i != 0 };

      deletion.timer = aio_timer_new (context, AIO_CLOCK_MONOTONIC, delete_inside, &deletion,
                                      count_deletion);
      aio_timer_mod_ns (deletion.timer, 0);
      g_assert_true (aio_context_poll (context, FALSE));
      g_assert_cmpuint (deletion.n_destroyed, ==, 1);
      g_assert_false (aio_context_poll (context, FALSE));
      if (i == 0)
        aio_timer_free (deletion.timer);
      g_assert_cmpuint (deletion.n, ==, 1);
      g_assert_cmpuint (deletion.n_destroyed, ==, 1);
    }
}

static void
test_boxed_event_notifier (void)
{
  AioEventNotifier *notifier = aio_event_notifier_new (TRUE, NULL);
  AioEventNotifier *copy = g_boxed_copy (AIO_TYPE_EVENT_NOTIFIER, notifier);

  g_test_summary ("C27: a notifier is closed with its last copy, and not before");
  copy_and_free (AIO_TYPE_EVENT_NOTIFIER, notifier);
  aio_event_notifier_free (notifier);
  g_assert_true (aio_event_notifier_test_and_clear (copy));
  g_boxed_free (AIO_TYPE_EVENT_NOTIFIER, copy);
}

static void
test_boxed_io_thread (void)
{
  AioIOThread *thread = aio_io_thread_new ("boxed", NULL);
  AioIOThread *copy = g_boxed_copy (AIO_TYPE_IO_THREAD, thread);

  g_test_summary ("C26: an I/O thread runs until its last copy is freed");
  copy_and_free (AIO_TYPE_IO_THREAD, thread);
  aio_io_thread_unref (thread);
  g_assert_true (aio_context_post (aio_io_thread_get_context (copy), nothing, NULL, NULL));
  g_boxed_free (AIO_TYPE_IO_THREAD, copy);
}

static void
test_boxed_stats (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  g_autoptr (AioContextStats) before = NULL, after = NULL, copy = NULL;
  AioContextStats same;

  g_test_summary ("C9: figures on the heap are those of aio_context_get_stats() at that time");
  before = aio_context_dup_stats (context);
  copy_and_free (AIO_TYPE_CONTEXT_STATS, before);
  copy = g_boxed_copy (AIO_TYPE_CONTEXT_STATS, before);
  aio_bh_schedule_oneshot (context, nothing, NULL);
  aio_context_poll (context, FALSE);
  after = aio_context_dup_stats (context);
  aio_context_get_stats (context, &same, sizeof same);
  g_assert_cmpmem (after, sizeof *after, &same, sizeof same);
  g_assert_cmpmem (before, sizeof *before, copy, sizeof *copy);
  g_assert_cmpuint (before->runs, ==, 0);
  g_assert_cmpuint (after->runs, ==, 1);
}

static void
test_misuse (void)
{
  g_test_summary ("C28: NULL where a context is wanted, and where nothing is fine");
  aio_context_stats_free (NULL);
  g_assert_null (aio_context_stats_copy (NULL));
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_CRITICAL, "*context != NULL*");
  g_assert_null (aio_context_dup_stats (NULL));
  g_test_assert_expected_messages ();
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* An I/O thread would make it, and GLib keeps it: not a descriptor that leaked. */
  g_main_context_default ();
  aio_test_add ("/ownership/autoptr", test_autoptr);
  aio_test_add ("/ownership/boxed/context", test_boxed_context);
  aio_test_add ("/ownership/boxed/bh", test_boxed_bh);
  aio_test_add ("/ownership/boxed/timer", test_boxed_timer);
  aio_test_add ("/ownership/boxed/event-notifier", test_boxed_event_notifier);
  aio_test_add ("/ownership/boxed/io-thread", test_boxed_io_thread);
  aio_test_add ("/ownership/boxed/stats", test_boxed_stats);
  aio_test_add ("/ownership/timer/delete", test_timer_delete);
  aio_test_add ("/ownership/timer/delete-inside", test_timer_delete_inside);
  aio_test_add ("/ownership/misuse", test_misuse);
  return g_test_run ();
}
