/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a child process may do with what its parent made: drop it. And the parent sleeps on. */
#include "aio-test.h"
#include <signal.h>
#include <sys/wait.h>

#if defined (__SANITIZE_THREAD__)
#define HAVE_TSAN 1
#elif defined (__has_feature)
#if __has_feature (thread_sanitizer)
#define HAVE_TSAN 1
#endif
#endif

#define SILENCE_USEC 20000

typedef void (*ChildFunc) (gpointer data);

/* Runs a function in a child process. An assertion that fails there ends the child by a signal. */
static void
run_child (ChildFunc func,
           gpointer  data)
{
  int status;
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    {
      alarm (60);
      func (data);
      _exit (0);
    }
  g_assert_cmpint (TEMP_FAILURE_RETRY (waitpid (pid, &status, 0)), ==, pid);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

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

typedef struct
{
  AioContext *context;
  AioBH *bh;
  AioBH *pending;
  AioIOThread *thread;
  GMainContext *loop;
  int ran;
  atomic_int step;
  pid_t sleeper;
} Things;

static void
things_init (Things *things)
{
  *things = (Things) { .context = aio_context_new_full ("parental", NULL) };
  things->loop = g_main_context_new ();
  things->bh = aio_bh_new_full (things->context, "bh", count, &things->ran, NULL);
  things->pending = aio_bh_new_full (things->context, "pending", count, &things->ran, NULL);
}

static void
things_clear (Things *things)
{
  aio_bh_delete (things->bh);
  aio_bh_delete (things->pending);
  aio_context_unref (things->context);
  g_main_context_unref (things->loop);
}

static void
use_signal_safe_calls (gpointer data)
{
  Things *things = data;
  int i;

  for (i = 0; i < 3; i++)
    {
      aio_bh_schedule (things->bh);
      aio_bh_schedule_idle (things->pending);
      aio_context_notify (things->context);
      aio_bh_cancel (things->bh);
      aio_bh_schedule (things->bh);
    }
}

static void
use_each_alone (gpointer data)
{
  Things *things = data;

  aio_bh_cancel (things->pending);
  aio_bh_schedule_idle (things->bh);
}

static void
use_promotion (gpointer data)
{
  Things *things = data;

  aio_bh_schedule_idle (things->pending);
  aio_bh_schedule (things->pending);
}

static void
use_notify (gpointer data)
{
  aio_context_notify (((Things *) data)->context);
}

static const ChildFunc silent_uses[] = {
  use_signal_safe_calls, use_each_alone, use_promotion, use_notify,
};

static void
test_parent_sleeps (void)
{
  Things things;
  guint i;

  g_test_summary ("C25, R24: schedule, schedule_idle, cancel and notify in the child are silent "
                  "and do not wake the parent");

  things_init (&things);
  for (i = 0; i < G_N_ELEMENTS (silent_uses); i++)
    {
      g_assert_cmpint (aio_context_get_timeout_ns (things.context), ==, -1);
      run_child (silent_uses[i], &things);
      g_assert_false (is_readable (aio_context_get_fd (things.context)));
      g_assert_false (aio_bh_is_scheduled (things.bh));

      /* The parent's own schedule still wakes it. */
      aio_bh_schedule (things.bh);
      g_assert_true (is_readable (aio_context_get_fd (things.context)));
      g_assert_true (aio_context_dispatch (things.context));
    }
  g_assert_cmpint (things.ran, ==, (int) i);
  things_clear (&things);
}

static void
end_sleep (gpointer data)
{
  atomic_store (&((Things *) data)->step, 2);
}

static gboolean
is_over (gpointer data)
{
  Things *things = data;
  int before = 0;

  atomic_compare_exchange_strong (&things->step, &before, 1);
  return before == 2;
}

static void *
sleep_in_poll (void *data)
{
  Things *things = data;

  things->sleeper = gettid ();
  aio_context_poll_until (things->context, is_over, things, -1);
  return NULL;
}

static pthread_t
start_sleeper (Things *things)
{
  pthread_t thread;

  g_assert_cmpint (pthread_create (&thread, NULL, sleep_in_poll, things), ==, 0);
  while (atomic_load (&things->step) == 0)
    g_usleep (100);
  thread_await_asleep (things->sleeper);
  return thread;
}

static void
end_sleeper (Things    *things,
             pthread_t  thread)
{
  g_assert_true (aio_context_post (things->context, end_sleep, things, NULL));
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
}

static guint64
iterations (AioContext *context)
{
  AioContextStats stats;

  aio_context_get_stats (context, &stats, sizeof stats);
  return stats.iterations;
}

static void
test_parents_thread_sleeps (void)
{
  Things things;
  pthread_t thread;
  guint64 before;
  guint i;

  g_test_summary ("C25, R24: nor does it end the poll that another thread of the parent sleeps in");

  things_init (&things);
  thread = start_sleeper (&things);
  before = iterations (things.context);
  for (i = 0; i < G_N_ELEMENTS (silent_uses); i++)
    run_child (silent_uses[i], &things);
  g_usleep (SILENCE_USEC);
  g_assert_cmpuint (iterations (things.context), ==, before);
  g_assert_cmpint (things.ran, ==, 0);
  end_sleeper (&things, thread);
  things_clear (&things);
}

#define REFUSES(call) \
  G_STMT_START { \
    g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*parental*"); \
    call; \
    g_test_assert_expected_messages (); \
  } G_STMT_END

static void
call_iterators (gpointer data)
{
  Things *things = data;

  REFUSES (g_assert_false (aio_context_poll (things->context, FALSE)));
  REFUSES (g_assert_false (aio_context_poll (things->context, TRUE)));
  REFUSES (g_assert_false (aio_context_poll_until (things->context, never, NULL, -1)));
  REFUSES (g_assert_false (aio_context_dispatch (things->context)));
  REFUSES (g_assert_cmpint (aio_bh_poll (things->context), ==, 0));
  g_assert_cmpint (things->ran, ==, 0);
}

static void
test_iterators (void)
{
  Things things;

  g_test_summary ("C25: to iterate in the child is a g_critical and runs nothing");

  things_init (&things);
  aio_bh_schedule (things.pending);
  run_child (call_iterators, &things);
  g_assert_true (aio_bh_is_scheduled (things.pending));
  things_clear (&things);
}

static void
call_mutators (gpointer data)
{
  Things *things = data;
  guint32 timeout = 5;
  int dropped = 0;

  REFUSES (g_assert_null (aio_context_get_source (things->context)));
  REFUSES (g_assert_cmpuint (aio_context_attach (things->context, things->loop), ==, 0));
  REFUSES (aio_context_detach (things->context));
  REFUSES (aio_context_set_priority (things->context, 7));
  REFUSES (aio_context_get_timeout_ns (things->context));
  REFUSES (g_assert_false (aio_context_post (things->context, nothing, &dropped, count)));
  REFUSES (g_assert_null (aio_bh_new (things->context, nothing, NULL)));
  REFUSES (aio_bh_schedule_oneshot_full (things->context, "lost", nothing, &dropped, count));
  REFUSES (g_assert_false (aio_bh_cancel_sync (things->pending)));
  REFUSES (aio_bh_delete (things->bh));
  REFUSES (aio_bh_update_timeout (things->context, &timeout));
  g_assert_cmpuint (timeout, ==, 5);
}

static void
test_mutators (void)
{
  Things things;

  g_test_summary ("C25: so is to change anything");

  things_init (&things);
  aio_bh_schedule (things.pending);
  run_child (call_mutators, &things);
  g_assert_true (aio_context_poll (things.context, FALSE));
  g_assert_cmpint (things.ran, ==, 1);
  things_clear (&things);
}

static void
call_readers (gpointer data)
{
  Things *things = data;

  REFUSES (g_assert_false (aio_context_is_home_thread (things->context)));
  REFUSES (aio_context_get_fd (things->context));
  REFUSES (g_assert_null (aio_bh_get_context (things->bh)));
  REFUSES (g_assert_false (aio_bh_is_scheduled (things->pending)));
}

static void
test_readers (void)
{
  Things things;

  g_test_summary ("C25: and to ask for a state that is the parent's");

  things_init (&things);
  aio_bh_schedule (things.pending);
  run_child (call_readers, &things);
  things_clear (&things);
}

static void
iterate_main_loop (gpointer data)
{
  Things *things = data;
  int i;

  for (i = 0; i < 3; i++)
    g_assert_false (g_main_context_iteration (things->loop, FALSE));
  aio_bh_schedule (things->bh);
  aio_context_notify (things->context);
  for (i = 0; i < 3; i++)
    g_assert_false (g_main_context_iteration (things->loop, FALSE));
  g_assert_cmpint (things->ran, ==, 0);
}

static void
test_main_loop (void)
{
  Things things;

  g_test_summary ("C25: a GMainContext that goes on in the child does not drive the parent's "
                  "contexts, and does not eat the parent's wakeup");

  things_init (&things);
  aio_context_attach (things.context, things.loop);
  while (g_main_context_iteration (things.loop, FALSE))
    ;
  g_assert_cmpint (aio_context_get_timeout_ns (things.context), ==, -1);
  aio_bh_schedule (things.pending);
  g_assert_true (is_readable (aio_context_get_fd (things.context)));
  run_child (iterate_main_loop, &things);
  g_assert_true (is_readable (aio_context_get_fd (things.context)));
  g_assert_true (g_main_context_iteration (things.loop, FALSE));
  g_assert_cmpint (things.ran, ==, 1);
  things_clear (&things);
}

static void
drop_context (gpointer data)
{
  Things *things = data;
  guint before = aio_test_count_fds ();

  aio_bh_unref (things->bh);
  aio_context_unref (things->context);
  g_assert_cmpuint (aio_test_count_fds (), <, before);
}

static void
test_unref (void)
{
  Things things;
  int dropped = 0;

  g_test_summary ("C25: unref in the child closes its descriptors, silently; the parent's live");

  things_init (&things);
  aio_bh_ref (things.bh);
  aio_bh_schedule (things.bh);
  aio_bh_schedule_idle (things.pending);
  g_assert_true (aio_context_post (things.context, nothing, &dropped, count));
  run_child (drop_context, &things);
  g_assert_cmpint (dropped, ==, 0);
  aio_bh_unref (things.bh);

  g_assert_true (aio_context_poll (things.context, TRUE));
  g_assert_cmpint (things.ran, ==, 2);
  g_assert_cmpint (dropped, ==, 1);
  g_assert_cmpint (aio_context_get_timeout_ns (things.context), ==, -1);
  aio_bh_schedule (things.bh);
  g_assert_true (is_readable (aio_context_get_fd (things.context)));
  things_clear (&things);
}

static void
drop_attached_context (gpointer data)
{
  Things *things = data;
  guint before = aio_test_count_fds ();

  aio_context_unref (things->context);
  g_assert_cmpuint (aio_test_count_fds (), ==, before);
  g_main_context_unref (things->loop);
  g_assert_cmpuint (aio_test_count_fds (), <, before - 1);
}

static void
test_unref_attached (void)
{
  Things things;

  g_test_summary ("C25, C23: so does the end of the GMainContext that it is attached to");

  things_init (&things);
  aio_context_attach (things.context, things.loop);
  run_child (drop_attached_context, &things);
  aio_bh_schedule (things.bh);
  g_assert_true (g_main_context_iteration (things.loop, FALSE));
  g_assert_cmpint (things.ran, ==, 1);
  things_clear (&things);
}

static void
drop_context_twice (gpointer data)
{
  Things *things = data;
  guint before = aio_test_count_fds ();

  aio_context_unref (things->context);
  aio_context_unref (things->context);
  g_assert_cmpuint (aio_test_count_fds (), <, before);
}

static void
test_unref_while_polled (void)
{
  Things things;
  pthread_t thread;

  g_test_summary ("C25: also while another thread, which the child does not have, iterated it");

  things_init (&things);
  thread = start_sleeper (&things);
  /* One reference is the sleeper's, inside its poll_until. */
  run_child (drop_context_twice, &things);
  end_sleeper (&things, thread);
  things_clear (&things);
}

static void
work_alone (gpointer data)
{
  AioContext *context = aio_context_new ();
  GMainContext *loop = g_main_context_new ();
  int ran = 0;

  g_assert_true (aio_context_post (context, count, &ran, NULL));
  g_assert_true (aio_context_poll (context, TRUE));
  aio_context_attach (context, loop);
  g_assert_true (aio_context_post (context, count, &ran, NULL));
  g_assert_true (g_main_context_iteration (loop, TRUE));
  g_assert_cmpint (aio_context_get_timeout_ns (context), ==, -1);
  g_assert_true (aio_context_post (context, count, &ran, NULL));
  g_assert_true (is_readable (aio_context_get_fd (context)));
  g_assert_true (aio_context_dispatch (context));
  g_assert_cmpint (ran, ==, 3);
  aio_context_unref (context);
  g_main_context_unref (loop);
#ifndef HAVE_TSAN
  {
    AioIOThread *thread = aio_io_thread_new ("child", NULL);

    g_assert_true (aio_context_post (aio_io_thread_get_context (thread), count, &ran, NULL));
    aio_io_thread_unref (thread);
    g_assert_cmpint (ran, ==, 4);
  }
#endif
}

static void
test_child_works (void)
{
  Things things;

  g_test_summary ("C25: what the child makes for itself works");

  things_init (&things);
  run_child (work_alone, NULL);
  things_clear (&things);
}

static void
poll_refused (gpointer data)
{
  REFUSES (aio_context_poll (((Things *) data)->context, FALSE));
}

static void
have_a_child (gpointer data)
{
  Things *things = data;
  Things mine;

  run_child (poll_refused, things);
  things_init (&mine);
  g_assert_cmpint (aio_context_get_timeout_ns (mine.context), ==, -1);
  run_child (use_signal_safe_calls, &mine);
  g_assert_false (is_readable (aio_context_get_fd (mine.context)));
  run_child (poll_refused, &mine);
  aio_bh_schedule (mine.bh);
  g_assert_true (aio_context_poll (mine.context, FALSE));
  things_clear (&mine);
}

static void
test_grandchild (void)
{
  Things things;

  g_test_summary ("C25: each generation has its own");

  things_init (&things);
  run_child (have_a_child, &things);
  things_clear (&things);
}

static void
drop_io_thread (gpointer data)
{
  Things *things = data;
  guint before = aio_test_count_fds ();

  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*threaded*");
  aio_io_thread_stop (things->thread);
  g_test_assert_expected_messages ();
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*threaded*");
  g_assert_false (aio_context_post (aio_io_thread_get_context (things->thread), nothing, NULL,
                                    NULL));
  g_test_assert_expected_messages ();
  aio_io_thread_unref (things->thread);
  g_assert_cmpuint (aio_test_count_fds (), <, before);
}

static void
test_io_thread (void)
{
  Things things = { .thread = aio_io_thread_new ("threaded", NULL) };
  AioContext *context = aio_io_thread_get_context (things.thread);

  g_test_summary ("C25, C26: the child drops the parent's I/O thread without waiting for it");

  g_usleep (SILENCE_USEC);
  run_child (drop_io_thread, &things);
  g_assert_true (aio_context_post (context, count, &things.ran, NULL));
  aio_io_thread_unref (things.thread);
  g_assert_cmpint (things.ran, ==, 1);
}

/* While it is set, forking stops it, and starts another one on both sides. */
static AioIOThread *paused;

static gboolean
give_value (gpointer       data,
            GCancellable  *cancellable,
            GError       **error)
{
  return TRUE;
}

static void
pause_thread (void)
{
  if (paused == NULL)
    return;
  g_assert_true (aio_context_invoke_sync (aio_io_thread_get_context (paused), give_value, NULL,
                                          NULL, NULL));
  aio_io_thread_stop (paused);
  aio_io_thread_unref (paused);
}

static void
resume_thread (void)
{
  if (paused != NULL)
    paused = aio_io_thread_new ("again", NULL);
}

static void
use_new_thread (gpointer data)
{
  int *ran = data;

  g_assert_true (aio_context_post (aio_io_thread_get_context (paused), count, ran, NULL));
  aio_io_thread_stop (paused);
  g_clear_pointer (&paused, aio_io_thread_unref);
  g_assert_cmpint (*ran, ==, 1);
}

static void *
switch_profiling (void *data)
{
  atomic_int *done = data;

  while (!*done)
    {
      g_autoptr (AioContext) context = aio_context_new ();

      aio_context_set_profiling (context, TRUE);
      aio_context_set_profiling (context, FALSE);
    }
  return NULL;
}

static void
drop_and_make (gpointer data)
{
  Things *things = data;
  AioContext *context;

  alarm (5);
  aio_context_unref (things->context);
  context = aio_context_new ();
  aio_context_set_profiling (context, TRUE);
  aio_context_unref (context);
}

static void
test_profiled (void)
{
  Things things = { .context = aio_context_new () };
  atomic_int done = 0;
  pthread_t thread;

  g_test_summary ("C25: the child drops a profiled context, and has one of its own, whatever "
                  "threads of the parent were about");

  aio_context_set_profiling (things.context, TRUE);
  pthread_create (&thread, NULL, switch_profiling, &done);
  for (guint i = 0; i < 200; i++)
    run_child (drop_and_make, &things);
  done = 1;
  pthread_join (thread, NULL);
  aio_context_unref (things.context);
}

static void
test_handlers (void)
{
  int ran = 0;

  g_test_summary ("C25, C26: handlers of pthread_atfork() may end contexts and make new ones");

  paused = aio_io_thread_new ("first", NULL);
  alarm (60);
  run_child (use_new_thread, &ran);
  alarm (0);
  use_new_thread (&ran);
}

int
main (int    argc,
      char **argv)
{
  pthread_atfork (pause_thread, resume_thread, resume_thread);
  g_test_init (&argc, &argv, NULL);
  /* An I/O thread would make it, and GLib keeps it: not a descriptor that leaked. */
  g_main_context_default ();
  aio_test_add ("/fork/parent-sleeps", test_parent_sleeps);
  aio_test_add ("/fork/parents-thread-sleeps", test_parents_thread_sleeps);
  aio_test_add ("/fork/iterators", test_iterators);
  aio_test_add ("/fork/mutators", test_mutators);
  aio_test_add ("/fork/readers", test_readers);
  aio_test_add ("/fork/main-loop", test_main_loop);
  aio_test_add ("/fork/unref", test_unref);
  aio_test_add ("/fork/unref-attached", test_unref_attached);
  aio_test_add ("/fork/unref-while-polled", test_unref_while_polled);
  aio_test_add ("/fork/child-works", test_child_works);
  aio_test_add ("/fork/grandchild", test_grandchild);
  aio_test_add ("/fork/io-thread", test_io_thread);
  aio_test_add ("/fork/profiled", test_profiled);
  aio_test_add ("/fork/handlers", test_handlers);
  return g_test_run ();
}
