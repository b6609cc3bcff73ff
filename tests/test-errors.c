/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the system refuses is a GError and leaves nothing behind; misuse is a message that names the
 * object, and changes nothing. */
#include "aio-test.h"
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

static void
count (gpointer data)
{
  ++*(int *) data;
}

static gboolean
never (gpointer data)
{
  return FALSE;
}

/* These stand in for the C library's, so that the system seems to refuse for any reason. */
static int refusal;

int
eventfd (unsigned int value,
         int          flags)
{
  if (refusal != 0)
    {
      errno = refusal;
      return -1;
    }
  return syscall (SYS_eventfd2, value, flags);
}

int
pipe2 (int fds[2],
       int flags)
{
  if (refusal != 0)
    {
      errno = refusal;
      return -1;
    }
  return syscall (SYS_pipe2, fds, flags);
}

static void
unlimit_fds (void)
{
  limit_fds (0);
}

/* It says what could not be had, for whom, and why. */
static void
check_error (GError     *error,
             const char *name,
             int         reason)
{
  g_assert_nonnull (error);
  g_assert_cmpuint (error->domain, ==, G_IO_ERROR);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, name));
  if (reason != 0)
    {
      g_assert_nonnull (strstr (error->message, g_strerror (reason)));
      g_assert_cmpint (error->code, ==, (int) g_io_error_from_errno (reason));
    }
}

static void
test_context_without_fds (void)
{
  int lowest = lowest_free_fd (), limit;
  AioContext *context;
  guint before = aio_test_count_fds ();

  g_test_summary ("C27, R22: each descriptor in turn is refused; a GError, and nothing leaks");

  for (limit = lowest; limit < lowest + 10; limit++)
    {
      g_autoptr (GError) error = NULL;

      limit_fds (limit);
      context = aio_context_new_full ("starved", &error);
      g_assert_true (context != NULL || aio_context_new_full (NULL, NULL) == NULL);
      unlimit_fds ();
      if (context != NULL)
        break;
      check_error (error, "starved", EMFILE);
      g_assert_cmpuint (aio_test_count_fds (), ==, before);
    }
  g_assert_cmpint (limit, >, lowest);
  g_assert_nonnull (context);
  aio_context_unref (context);
}

static void
test_context_refused (void)
{
  static const int reasons[] = { EMFILE, ENFILE, ENOMEM };
  guint i;

  g_test_summary ("C27: the reason of the system is in the text, whatever it is");

  for (i = 0; i < G_N_ELEMENTS (reasons); i++)
    {
      g_autoptr (GError) error = NULL;

      refusal = reasons[i];
      g_assert_null (aio_context_new_full ("refused", &error));
      refusal = 0;
      check_error (error, "refused", reasons[i]);
    }
}

static void
test_context_new_aborts (void)
{
  g_test_summary ("C27: aio_context_new aborts like g_main_context_new, and says why");

  if (g_test_subprocess ())
    {
      refusal = EMFILE;
      aio_context_new ();
      return;
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr ("*Too many open files*");
}

/* Starts I/O threads with ever more descriptors, until one works. The limit stays on while that one
 * runs: the thread must not need more than its creator has tried. */
static void
starve_io_threads (void)
{
  int lowest = lowest_free_fd (), limit, ran = 0;

  for (limit = lowest; limit < lowest + 20 && ran == 0; limit++)
    {
      g_autoptr (GError) error = NULL;
      AioIOThread *thread;

      limit_fds (limit);
      thread = aio_io_thread_new ("starved", &error);
      if (thread != NULL)
        {
          g_assert_true (aio_context_post (aio_io_thread_get_context (thread), count, &ran, NULL));
          aio_io_thread_unref (thread);
          g_assert_cmpint (ran, ==, 1);
        }
      unlimit_fds ();
      if (thread == NULL)
        check_error (error, "starved", EMFILE);
    }
  g_assert_cmpint (limit, >, lowest + 1);
  g_assert_cmpint (ran, ==, 1);
}

static void
test_io_thread_without_fds (void)
{
  g_test_summary ("C27, R22: the same for an I/O thread, which needs several");

  g_main_context_default ();
  starve_io_threads ();
}

static void
test_first_io_thread_without_fds (void)
{
  g_test_summary ("C27, R22: also for the first of the process, for which GLib opens more");

  if (g_test_subprocess ())
    {
      starve_io_threads ();
      return;
    }
  g_test_trap_subprocess (NULL, 60 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_INHERIT_STDERR);
  g_test_trap_assert_passed ();
}

static void
test_io_thread_without_thread (void)
{
  pthread_attr_t usual, greedy;
  g_autoptr (GError) error = NULL;
  AioIOThread *thread;

  g_test_summary ("C27, R22: when the system has no thread left; nothing leaks");

  g_assert_cmpint (pthread_getattr_default_np (&usual), ==, 0);
  g_assert_cmpint (pthread_attr_init (&greedy), ==, 0);
  g_assert_cmpint (pthread_attr_setstacksize (&greedy, (size_t) 1 << 47), ==, 0);
  g_assert_cmpint (pthread_setattr_default_np (&greedy), ==, 0);
  thread = aio_io_thread_new ("threadless", &error);
  g_assert_cmpint (pthread_setattr_default_np (&usual), ==, 0);
  pthread_attr_destroy (&greedy);
  pthread_attr_destroy (&usual);

  if (thread != NULL)
    {
      aio_io_thread_unref (thread);
      g_test_skip ("this system has a stack of 128 TiB to give away");
      return;
    }
  check_error (error, "threadless", 0);
}

static void
test_context_rounds (void)
{
  GMainContext *loop = g_main_context_new ();
  int i, ran = 0;

  g_test_summary ("C27: after 10 000 rounds the process has as many descriptors as before");

  for (i = 0; i < 10000; i++)
    {
      AioContext *context = aio_context_new ();
      AioBH *bh = aio_bh_new (context, count, &ran);

      if (i % 2 == 0)
        aio_context_attach (context, loop);
      aio_bh_schedule (bh);
      if (i % 3 == 0)
        aio_context_poll (context, FALSE);
      aio_bh_delete (bh);
      if (i % 4 == 0)
        aio_context_detach (context);
      else if (i % 4 == 2)
        g_source_destroy (aio_context_get_source (context));
      aio_context_unref (context);
    }
  g_assert_cmpint (ran, ==, 3334);
  g_main_context_unref (loop);
}

static void
test_io_thread_rounds (void)
{
  int i, ran = 0, n = g_test_thorough () ? 10000 : 500;

  g_test_summary ("C27: the same for I/O threads");

  for (i = 0; i < n; i++)
    {
      AioIOThread *thread = aio_io_thread_new (NULL, NULL);

      g_assert_true (aio_context_post (aio_io_thread_get_context (thread), count, &ran, NULL));
      aio_io_thread_unref (thread);
      if (i % 100 == 0)
        aio_test_moved ();
    }
  g_assert_cmpint (ran, ==, n);
}

#define REFUSES(function, call) \
  G_STMT_START { \
    g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, \
                           "*" function "*assertion*failed*"); \
    call; \
    g_test_assert_expected_messages (); \
  } G_STMT_END

static void
test_null_context (void)
{
  AioContextStats stats;
  guint32 timeout = 5;

  g_test_summary ("C28: NULL where a context is wanted is caught, and a harmless value comes back");

  REFUSES ("aio_context_ref", g_assert_null (aio_context_ref (NULL)));
  REFUSES ("aio_context_unref", aio_context_unref (NULL));
  REFUSES ("aio_context_get_source", g_assert_null (aio_context_get_source (NULL)));
  REFUSES ("aio_context_attach", g_assert_cmpuint (aio_context_attach (NULL, NULL), ==, 0));
  REFUSES ("aio_context_detach", aio_context_detach (NULL));
  REFUSES ("aio_context_get_name", g_assert_null (aio_context_get_name (NULL)));
  REFUSES ("aio_context_set_priority", aio_context_set_priority (NULL, 1));
  REFUSES ("aio_context_get_priority", aio_context_get_priority (NULL));
  REFUSES ("aio_context_is_home_thread", g_assert_false (aio_context_is_home_thread (NULL)));
  REFUSES ("aio_context_poll", g_assert_false (aio_context_poll (NULL, TRUE)));
  REFUSES ("aio_context_poll_until",
           g_assert_false (aio_context_poll_until (NULL, never, NULL, -1)));
  REFUSES ("aio_context_notify", aio_context_notify (NULL));
  REFUSES ("aio_context_get_fd", g_assert_cmpint (aio_context_get_fd (NULL), ==, -1));
  REFUSES ("aio_context_get_timeout_ns", aio_context_get_timeout_ns (NULL));
  REFUSES ("aio_context_dispatch", g_assert_false (aio_context_dispatch (NULL)));
  REFUSES ("aio_context_post", g_assert_false (aio_context_post (NULL, nothing, NULL, NULL)));
  REFUSES ("aio_context_get_stats", aio_context_get_stats (NULL, &stats, sizeof stats));
  REFUSES ("aio_bh_new", g_assert_null (aio_bh_new (NULL, nothing, NULL)));
  REFUSES ("aio_bh_new", g_assert_null ((aio_bh_new) (NULL, nothing, NULL)));
  REFUSES ("aio_bh_schedule_oneshot", aio_bh_schedule_oneshot (NULL, nothing, NULL));
  REFUSES ("aio_bh_schedule_oneshot", (aio_bh_schedule_oneshot) (NULL, nothing, NULL));
  REFUSES ("aio_bh_poll", g_assert_cmpint (aio_bh_poll (NULL), ==, 0));
  REFUSES ("aio_bh_update_timeout", aio_bh_update_timeout (NULL, &timeout));
  g_assert_cmpuint (timeout, ==, 5);
}

static void
test_null_bh (void)
{
  g_test_summary ("C28: NULL where a BH is wanted");

  REFUSES ("aio_bh_schedule", aio_bh_schedule (NULL));
  REFUSES ("aio_bh_schedule_idle", aio_bh_schedule_idle (NULL));
  REFUSES ("aio_bh_cancel", g_assert_false (aio_bh_cancel (NULL)));
  REFUSES ("aio_bh_cancel_sync", g_assert_false (aio_bh_cancel_sync (NULL)));
  REFUSES ("aio_bh_delete", aio_bh_delete (NULL));
  REFUSES ("aio_bh_ref", g_assert_null (aio_bh_ref (NULL)));
  REFUSES ("aio_bh_unref", aio_bh_unref (NULL));
  REFUSES ("aio_bh_is_scheduled", g_assert_false (aio_bh_is_scheduled (NULL)));
  REFUSES ("aio_bh_get_name", g_assert_null (aio_bh_get_name (NULL)));
  REFUSES ("aio_bh_get_context", g_assert_null (aio_bh_get_context (NULL)));
}

static void
test_null_io_thread (void)
{
  g_test_summary ("C28: NULL where an I/O thread is wanted");

  REFUSES ("aio_io_thread_ref", g_assert_null (aio_io_thread_ref (NULL)));
  REFUSES ("aio_io_thread_unref", aio_io_thread_unref (NULL));
  REFUSES ("aio_io_thread_stop", aio_io_thread_stop (NULL));
  REFUSES ("aio_io_thread_get_context", g_assert_null (aio_io_thread_get_context (NULL)));
  REFUSES ("aio_io_thread_get_main_context",
           g_assert_null (aio_io_thread_get_main_context (NULL)));
}

static void
test_null_arguments (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "old");

  g_test_summary ("C28: NULL where a function or a result is wanted, and an error that is set");

  REFUSES ("aio_bh_new", g_assert_null (aio_bh_new_full (context, "none", NULL, NULL, NULL)));
  REFUSES ("aio_bh_schedule_oneshot",
           aio_bh_schedule_oneshot_full (context, "none", NULL, NULL, NULL));
  REFUSES ("aio_context_post", g_assert_false (aio_context_post (context, NULL, NULL, NULL)));
  REFUSES ("aio_context_poll_until",
           g_assert_false (aio_context_poll_until (context, NULL, NULL, -1)));
  REFUSES ("aio_bh_update_timeout", aio_bh_update_timeout (context, NULL));
  REFUSES ("aio_context_get_stats", aio_context_get_stats (context, NULL, 8));
  REFUSES ("aio_context_new_full", g_assert_null (aio_context_new_full ("none", &error)));
  REFUSES ("aio_io_thread_new", g_assert_null (aio_io_thread_new ("none", &error)));
  g_assert_cmpstr (error->message, ==, "old");
  g_assert_false (aio_context_poll (context, FALSE));
}

static void
expect_critical (const char *name)
{
  g_autofree char *pattern = g_strdup_printf ("*%s*", name);

  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, pattern);
}

static void
test_attached_twice (void)
{
  g_autoptr (GMainContext) loop = g_main_context_new ();
  g_autoptr (GMainContext) other = g_main_context_new ();
  AioContext *context = aio_context_new_full ("possessive", NULL);
  int ran = 0;
  guint id;

  g_test_summary ("C28: attaching twice is a g_critical that names the context, and 0");

  id = aio_context_attach (context, loop);
  expect_critical ("possessive");
  g_assert_cmpuint (aio_context_attach (context, loop), ==, 0);
  g_test_assert_expected_messages ();
  expect_critical ("possessive");
  g_assert_cmpuint (aio_context_attach (context, other), ==, 0);
  g_test_assert_expected_messages ();

  g_assert_true (g_main_context_find_source_by_id (loop, id) == aio_context_get_source (context));
  aio_bh_schedule_oneshot (context, count, &ran);
  g_assert_false (g_main_context_iteration (other, FALSE));
  g_assert_true (g_main_context_iteration (loop, FALSE));
  g_assert_cmpint (ran, ==, 1);

  aio_context_detach (context);
  g_source_attach (aio_context_get_source (context), other);
  expect_critical ("possessive");
  g_assert_cmpuint (aio_context_attach (context, loop), ==, 0);
  g_test_assert_expected_messages ();

  /* No reference was kept: the post that is pending is dropped with the last one. */
  g_assert_true (aio_context_post (context, nothing, &ran, count));
  aio_context_unref (context);
  g_assert_cmpint (ran, ==, 2);
}

typedef struct
{
  AioContext *context;
  atomic_int step;
} Gate;

static void
stay_inside (gpointer data)
{
  Gate *gate = data;

  atomic_store (&gate->step, 1);
  while (atomic_load (&gate->step) == 1)
    g_usleep (100);
}

static void *
iterate_and_stay (void *data)
{
  Gate *gate = data;

  aio_bh_schedule_oneshot (gate->context, stay_inside, gate);
  g_assert_true (aio_context_poll (gate->context, TRUE));
  return NULL;
}

#define REFUSES_THREAD(call) \
  G_STMT_START { \
    expect_critical ("guarded"); \
    call; \
    g_test_assert_expected_messages (); \
  } G_STMT_END

static void
check_home_functions (AioContext   *context,
                      AioBH        *bh,
                      GMainContext *loop)
{
  guint32 timeout = 5;

  REFUSES_THREAD (g_assert_cmpuint (aio_context_attach (context, loop), ==, 0));
  REFUSES_THREAD (aio_context_detach (context));
  REFUSES_THREAD (g_assert_null (aio_context_get_source (context)));
  REFUSES_THREAD (aio_context_set_priority (context, 7));
  REFUSES_THREAD (aio_context_get_timeout_ns (context));
  REFUSES_THREAD (g_assert_false (aio_context_dispatch (context)));
  REFUSES_THREAD (g_assert_false (aio_context_poll (context, FALSE)));
  REFUSES_THREAD (g_assert_false (aio_context_poll_until (context, never, NULL, 0)));
  REFUSES_THREAD (g_assert_cmpint (aio_bh_poll (context), ==, 0));
  REFUSES_THREAD (aio_bh_update_timeout (context, &timeout));
  g_assert_cmpuint (timeout, ==, 5);
  REFUSES_THREAD (g_assert_null (aio_bh_get_context (bh)));
}

static void
test_wrong_thread (void)
{
  g_autoptr (GMainContext) loop = g_main_context_new ();
  g_autoptr (AioContext) context = aio_context_new_full ("guarded", NULL);
  Gate gate = { .context = context };
  AioBH *bh = aio_bh_new (context, nothing, NULL);
  pthread_t thread;

  g_test_summary ("C28, C17: what is for the home thread is a g_critical in another one while that "
                  "iterates, names the context and changes nothing");

  g_assert_cmpint (pthread_create (&thread, NULL, iterate_and_stay, &gate), ==, 0);
  while (atomic_load (&gate.step) == 0)
    g_usleep (100);
  check_home_functions (context, bh, loop);
  atomic_store (&gate.step, 2);
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);

  g_assert_cmpint (aio_context_get_priority (context), ==, G_PRIORITY_DEFAULT);
  g_assert_cmpuint (aio_context_attach (context, loop), >, 0);
  g_assert_true (aio_bh_get_context (bh) == context);
  aio_bh_delete (bh);
}

static void
note_end (gpointer data)
{
  atomic_store ((atomic_int *) data, 2);
}

static void
stop_inside (gpointer data)
{
  AioIOThread *thread = data;

  expect_critical ("suicidal");
  aio_io_thread_stop (thread);
  g_test_assert_expected_messages ();
}

static void
test_stop_inside (void)
{
  AioIOThread *thread = aio_io_thread_new ("suicidal", NULL);
  AioContext *context = aio_io_thread_get_context (thread);
  atomic_int step = 0;

  g_test_summary ("C28, C26: an I/O thread that stops itself gets a g_critical and runs on");

  g_assert_true (aio_context_post (context, stop_inside, thread, NULL));
  g_assert_true (aio_context_post (context, note_end, &step, NULL));
  while (atomic_load (&step) == 0)
    g_usleep (100);
  g_assert_true (aio_context_post (context, nothing, NULL, NULL));
  aio_io_thread_unref (thread);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  /* An I/O thread would make it, and GLib keeps it: not a descriptor that leaked. */
  if (!g_test_subprocess ())
    g_main_context_default ();
  aio_test_add ("/errors/context/without-fds", test_context_without_fds);
  aio_test_add ("/errors/context/refused", test_context_refused);
  aio_test_add ("/errors/context/new-aborts", test_context_new_aborts);
  aio_test_add ("/errors/context/rounds", test_context_rounds);
  aio_test_add ("/errors/io-thread/without-fds", test_io_thread_without_fds);
  g_test_add_func ("/errors/io-thread/first-without-fds", test_first_io_thread_without_fds);
  aio_test_add ("/errors/io-thread/without-thread", test_io_thread_without_thread);
  aio_test_add ("/errors/io-thread/rounds", test_io_thread_rounds);
  aio_test_add ("/errors/null/context", test_null_context);
  aio_test_add ("/errors/null/bh", test_null_bh);
  aio_test_add ("/errors/null/io-thread", test_null_io_thread);
  aio_test_add ("/errors/null/arguments", test_null_arguments);
  aio_test_add ("/errors/attached-twice", test_attached_twice);
  aio_test_add ("/errors/wrong-thread", test_wrong_thread);
  aio_test_add ("/errors/stop-inside", test_stop_inside);
  return g_test_run ();
}
