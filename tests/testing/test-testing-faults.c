/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The g_test kit: what goes wrong on purpose. */
#include "testing-test.h"

/* --- Delays ----------------------------------------------------------------------------------- */

static void
test_stall (void)
{
  AioTimer timers[2];
  Entry entries[2];
  Log log;

  g_test_summary ("C22: after a stall timers fire late, together, in the order of their deadlines");

  log_begin (&log);
  for (int i = 0; i < 2; i++)
    {
      entries[i] = (Entry) { &log, i == 0 ? "a" : "b" };
      aio_timer_init (&timers[i], log.context, AIO_CLOCK_MONOTONIC, write_entry, &entries[i]);
      aio_timer_mod_ns (&timers[i], 10 * (i + 1));
    }
  aio_testing_stall_ns (log.context, 35);
  g_assert_cmpstr (log.log->str, ==, "");
  aio_testing_advance_ns (log.context, 0);
  g_assert_cmpstr (log.log->str, ==, "a@35 b@35 ");
  aio_testing_stall_ns (log.context, G_MAXINT64);
  g_assert_cmpint (now_ns (log.context), ==, G_MAXINT64);
  for (int i = 0; i < 2; i++)
    aio_timer_clear (&timers[i]);
  log_end (&log);
}

static void
delete_bh (gpointer data)
{
  AioBH **bh = data;

  aio_bh_delete (g_steal_pointer (bh));
}

static void
test_delay (void)
{
  Entry first, second;
  Log log;
  AioBH *a, *b, *suicide;

  g_test_summary ("C3, C7: a delayed bottom half begins late, so does what is behind it; the delay "
                  "can be changed, and goes with the bottom half");

  log_begin (&log);
  first = (Entry) { &log, "a" };
  second = (Entry) { &log, "b" };
  a = aio_bh_new (log.context, write_entry, &first);
  b = aio_bh_new (log.context, write_entry, &second);
  suicide = aio_bh_new_full (log.context, "suicide", delete_bh, &suicide, delete_bh);
  aio_testing_delay_bh (a, 500);
  aio_testing_delay_bh (a, 5);
  aio_bh_schedule (a);
  aio_bh_schedule (b);
  aio_testing_assert_scheduled (a);
  aio_testing_run_until_idle (log.context, 1);
  g_assert_cmpstr (log.log->str, ==, "a@5 b@5 ");
  aio_testing_delay_bh (a, 0);
  aio_bh_schedule (a);
  aio_testing_run_until_idle (log.context, 1);
  g_assert_cmpstr (log.log->str, ==, "a@5 b@5 a@5 ");
  aio_bh_delete (a);
  aio_bh_delete (b);
  aio_bh_delete (suicide);
  log_end (&log);
}

static void
test_delay_destroy (void)
{
  AioContext *context = aio_testing_context_new ();
  guint n = 0;
  AioBH *bh;

  g_test_summary ("C7: the destroy notify of a delayed bottom half gets its own data, once");

  bh = aio_bh_new_full (context, "bh", count_run, &n, count_run);
  aio_testing_delay_bh (bh, 7);
  aio_bh_schedule (bh);
  aio_testing_advance_ns (context, 1);
  g_assert_cmpuint (n, ==, 1);
  g_assert_cmpint (now_ns (context), ==, 7);
  aio_bh_delete (bh);
  g_assert_cmpuint (n, ==, 2);
  end (context);
}

/* --- Failing creation ------------------------------------------------------------------------- */

static gboolean
make_context (GError **error)
{
  AioContext *context = aio_context_new_full ("victim", error);

  if (context == NULL)
    return FALSE;
  aio_context_unref (context);
  return TRUE;
}

static gboolean
make_notifier (GError **error)
{
  AioEventNotifier *notifier = aio_event_notifier_new (FALSE, error);

  if (notifier == NULL)
    return FALSE;
  aio_event_notifier_free (notifier);
  return TRUE;
}

static gboolean
make_thread (GError **error)
{
  AioIOThread *thread = aio_io_thread_new ("victim", error);

  if (thread == NULL)
    return FALSE;
  aio_io_thread_unref (thread);
  return TRUE;
}

static void
never (gpointer unused)
{
  g_assert_not_reached ();
}

static gboolean
make_handler (GError **error)
{
  AioContext *context = aio_context_new ();
  int fds[2];
  gboolean set;

  g_assert_cmpint (pipe (fds), ==, 0);
  set = aio_context_set_fd_handler_full (context, fds[0], never, NULL, NULL, NULL, NULL, NULL,
                                         error);
  aio_context_set_fd_handler (context, fds[0], NULL, NULL, NULL);
  close (fds[0]);
  close (fds[1]);
  aio_context_unref (context);
  return set;
}

/* In how many steps it can fail. */
static guint
count_steps (gboolean (*make) (GError **error),
             guint      first)
{
  guint nth;

  for (nth = first; ; nth++)
    {
      g_autoptr (GError) error = NULL;

      aio_testing_fail_creation (nth);
      if (make (&error))
        break;
      g_assert_nonnull (error);
      g_assert_cmpint (error->domain, ==, G_IO_ERROR);
      g_assert_true (aio_testing_creation_failed ());
    }
  g_assert_false (aio_testing_creation_failed ());
  aio_testing_fail_creation (0);
  return nth - first;
}

static void
test_creation (void)
{
  g_test_summary ("C27: each step of creation can be made to fail, and nothing leaks");

  g_assert_cmpuint (count_steps (make_context, 1), ==, 1);
  g_assert_cmpuint (count_steps (make_notifier, 1), ==, 1);
  g_assert_cmpuint (count_steps (make_thread, 1), >=, 2);
  /* The first step is that of the context, which aborts. */
  g_assert_cmpuint (count_steps (make_handler, 2), ==, 1);
}

static void
test_once (void)
{
  g_autoptr (GError) error = NULL;

  g_test_summary ("C27: one step fails, with the error of the system; the next does not");

  aio_testing_fail_creation (2);
  g_assert_true (make_context (&error));
  g_assert_no_error (error);
  g_assert_false (make_context (&error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  g_assert_nonnull (strstr (error->message, "victim"));
  g_clear_error (&error);
  g_assert_true (make_context (&error));
  g_assert_no_error (error);
  aio_testing_fail_creation (1);
  aio_testing_fail_creation (0);
  g_assert_true (make_context (&error));
  g_assert_false (aio_testing_creation_failed ());
}

static void
test_left_on (void)
{
  g_test_summary ("A failure that did not happen is over at the end of the test case");

  aio_testing_fail_creation (1);
}

static void
test_left_over (void)
{
  g_autoptr (GError) error = NULL;

  g_test_summary ("A failure that did not happen is over at the end of the test case: here");

  g_assert_true (make_context (&error));
  g_assert_no_error (error);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_main_context_default ();
  aio_test_add ("/testing/faults/stall", test_stall);
  aio_test_add ("/testing/faults/delay", test_delay);
  aio_test_add ("/testing/faults/delay-destroy", test_delay_destroy);
  aio_test_add ("/testing/faults/creation", test_creation);
  aio_test_add ("/testing/faults/once", test_once);
  aio_test_add ("/testing/faults/left/a-on", test_left_on);
  aio_test_add ("/testing/faults/left/b-over", test_left_over);
  return g_test_run ();
}
