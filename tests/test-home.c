/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which thread is a context's home, how the home moves, and what happens to those who are not. */
#include "aio-test.h"

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

static void *
is_not_home (void *data)
{
  g_assert_false (aio_context_is_home_thread (data));
  return NULL;
}

static void *
poll_here (void *data)
{
  aio_context_poll (data, FALSE);
  g_assert_true (aio_context_is_home_thread (data));
  return NULL;
}

static void
test_fresh (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  int ran = 0;
  AioBH *bh = aio_bh_new (context, count, &ran);

  g_test_summary ("C17: a fresh context has no home thread");

  g_assert_false (aio_context_is_home_thread (context));
  thread_run (is_not_home, context);
  aio_bh_schedule (bh);
  aio_context_notify (context);
  g_assert_nonnull (aio_context_get_source (context));
  g_assert_false (aio_context_is_home_thread (context));
  aio_bh_delete (bh);
}

static void
by_poll (AioContext *context)
{
  aio_context_poll (context, FALSE);
}

static void
by_poll_until (AioContext *context)
{
  aio_context_poll_until (context, never, NULL, 0);
}

static void
by_bh_poll (AioContext *context)
{
  aio_bh_poll (context);
}

static void
by_dispatch (AioContext *context)
{
  aio_context_dispatch (context);
}

static void
by_main_loop (AioContext *context)
{
  g_autoptr (GMainContext) loop = g_main_context_new ();

  aio_context_attach (context, loop);
  g_main_context_iteration (loop, FALSE);
  g_assert_true (aio_context_is_home_thread (context));
  aio_context_detach (context);
}

static void (*const iterators[]) (AioContext *context) = {
  by_poll, by_poll_until, by_bh_poll, by_dispatch, by_main_loop,
};

static void
test_iterating (void)
{
  guint i;

  g_test_summary ("C17: home is the thread that iterates, however it does so, and afterwards too");

  for (i = 0; i < G_N_ELEMENTS (iterators); i++)
    {
      g_autoptr (AioContext) context = aio_context_new ();

      aio_bh_schedule_oneshot (context, count, &(int) { 0 });
      iterators[i] (context);
      g_assert_true (aio_context_is_home_thread (context));
      thread_run (is_not_home, context);
      g_assert_true (aio_context_is_home_thread (context));
    }
}

/* The other thread and this one take steps in turn. */
typedef struct
{
  AioContext *context;
  GMainContext *loop;
  atomic_int step;
  pid_t tid;
} Steps;

static void
wait_for_step (Steps *steps,
               int    step)
{
  while (atomic_load (&steps->step) != step)
    g_usleep (100);
}

static void *
was_home_once (void *data)
{
  Steps *steps = data;

  poll_here (steps->context);
  atomic_store (&steps->step, 1);
  wait_for_step (steps, 2);
  g_assert_false (aio_context_is_home_thread (steps->context));
  poll_here (steps->context);
  return NULL;
}

static void
test_moves (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Steps steps = { .context = context };
  pthread_t thread;

  g_test_summary ("C17: home until another thread iterates, then that one is");

  thread = thread_start (was_home_once, &steps);
  wait_for_step (&steps, 1);
  g_assert_false (aio_context_is_home_thread (context));
  poll_here (context);
  atomic_store (&steps.step, 2);
  thread_join (thread);
  g_assert_false (aio_context_is_home_thread (context));
  poll_here (context);
}

static void *
own_for_a_while (void *data)
{
  Steps *steps = data;

  g_assert_true (g_main_context_acquire (steps->loop));
  g_assert_true (aio_context_is_home_thread (steps->context));
  g_main_context_iteration (steps->loop, FALSE);
  g_assert_true (aio_context_is_home_thread (steps->context));
  atomic_store (&steps->step, 1);
  wait_for_step (steps, 2);
  g_main_context_release (steps->loop);
  return NULL;
}

static void
test_owner (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("owned", NULL);
  g_autoptr (GMainContext) loop = g_main_context_new ();
  Steps steps = { .context = context, .loop = loop };
  int ran = 0;
  pthread_t thread;

  g_test_summary ("C17: while attached it is the owner of the GMainContext; a poll in another "
                  "thread is a g_critical, and FALSE");

  poll_here (context);
  aio_context_attach (context, loop);
  thread = thread_start (own_for_a_while, &steps);
  wait_for_step (&steps, 1);
  g_assert_false (aio_context_is_home_thread (context));
  aio_bh_schedule_oneshot (context, count, &ran);
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*owned*");
  g_assert_false (aio_context_poll (context, TRUE));
  g_test_assert_expected_messages ();
  g_assert_cmpint (ran, ==, 0);

  atomic_store (&steps.step, 2);
  thread_join (thread);
  g_assert_true (aio_context_poll (context, TRUE));
  g_assert_cmpint (ran, ==, 1);
  g_assert_true (aio_context_is_home_thread (context));
}

static void
check_owner (gpointer data)
{
  Steps *steps = data;

  g_assert_true (g_main_context_is_owner (steps->loop));
  atomic_store (&steps->step, 1);
}

static void *
cannot_acquire (void *data)
{
  g_assert_false (g_main_context_acquire (data));
  return NULL;
}

static void
check_locked_out (gpointer data)
{
  Steps *steps = data;

  thread_run (cannot_acquire, steps->loop);
  atomic_store (&steps->step, 2);
}

static void
test_poll_acquires (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  g_autoptr (GMainContext) loop = g_main_context_new ();
  Steps steps = { .context = context, .loop = loop };

  g_test_summary ("C17: a poll of an attached context owns its GMainContext meanwhile");

  aio_context_attach (context, loop);
  aio_bh_schedule_oneshot (context, check_owner, &steps);
  g_assert_true (aio_context_poll (context, TRUE));
  g_assert_cmpint (atomic_load (&steps.step), ==, 1);
  g_assert_false (g_main_context_is_owner (loop));

  aio_bh_schedule_oneshot (context, check_locked_out, &steps);
  g_assert_true (aio_context_poll (context, TRUE));
  g_assert_cmpint (atomic_load (&steps.step), ==, 2);
  g_assert_true (g_main_context_acquire (loop));
  g_main_context_release (loop);
}

static void *
home_functions (void *data)
{
  AioContext *context = data;
  g_autoptr (GMainContext) loop = g_main_context_new ();
  guint32 timeout = 77;
  int ran = 0;
  AioBH *bh = aio_bh_new (context, count, &ran);

  g_assert_true (aio_bh_get_context (bh) == context);
  g_assert_nonnull (aio_context_get_source (context));
  aio_context_set_priority (context, 7);
  g_assert_cmpuint (aio_context_attach (context, loop), >, 0);
  aio_context_detach (context);
  aio_bh_update_timeout (context, &timeout);
  g_assert_cmpuint (timeout, ==, 77);
  aio_bh_delete (bh);
  return NULL;
}

static void
test_free_for_all (void)
{
  g_autoptr (AioContext) fresh = aio_context_new ();
  g_autoptr (AioContext) resting = aio_context_new ();

  g_test_summary ("C17: functions for the home thread serve any thread while there is none, or "
                  "while nobody iterates");

  home_functions (fresh);
  thread_run (home_functions, fresh);
  poll_here (resting);
  thread_run (home_functions, resting);
  g_assert_cmpint (aio_context_get_priority (resting), ==, 7);
}

static void
stay_inside (gpointer data)
{
  Steps *steps = data;

  atomic_store (&steps->step, 1);
  wait_for_step (steps, 2);
}

static void *
iterate_and_stay (void *data)
{
  Steps *steps = data;

  aio_bh_schedule_oneshot (steps->context, stay_inside, steps);
  g_assert_true (aio_context_poll (steps->context, TRUE));
  return NULL;
}

static void
expect_refusal (void)
{
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*crowded*");
}

static void
refuse_all (AioContext *context)
{
  expect_refusal ();
  g_assert_false (aio_context_poll (context, FALSE));
  g_test_assert_expected_messages ();
  expect_refusal ();
  g_assert_false (aio_context_poll (context, TRUE));
  g_test_assert_expected_messages ();
  expect_refusal ();
  g_assert_false (aio_context_poll_until (context, never, NULL, 0));
  g_test_assert_expected_messages ();
  expect_refusal ();
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  g_test_assert_expected_messages ();
  expect_refusal ();
  g_assert_false (aio_context_dispatch (context));
  g_test_assert_expected_messages ();
}

static void
test_two_at_once (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("crowded", NULL);
  Steps steps = { .context = context };
  int ran = 0;
  pthread_t thread;

  g_test_summary ("C17: the second thread that iterates gets a g_critical that names the context, "
                  "and FALSE");

  thread = thread_start (iterate_and_stay, &steps);
  wait_for_step (&steps, 1);
  aio_bh_schedule_oneshot (context, count, &ran);
  refuse_all (context);
  g_assert_cmpint (ran, ==, 0);
  g_assert_false (aio_context_is_home_thread (context));
  atomic_store (&steps.step, 2);
  thread_join (thread);
  g_assert_true (aio_context_poll (context, TRUE));
  g_assert_cmpint (ran, ==, 1);
}

static void
end_sleep (gpointer data)
{
  Steps *steps = data;

  atomic_store (&steps->step, 2);
}

static gboolean
is_over (gpointer data)
{
  Steps *steps = data;
  int before = 0;

  atomic_compare_exchange_strong (&steps->step, &before, 1);
  return before == 2;
}

static void *
sleep_in_poll (void *data)
{
  Steps *steps = data;

  steps->tid = gettid ();
  aio_context_poll_until (steps->context, is_over, steps, -1);
  return NULL;
}

static void
test_second_while_asleep (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("crowded", NULL);
  Steps steps = { .context = context };
  pthread_t thread;

  g_test_summary ("C17: also while the first one sleeps in its poll, which goes on sleeping well");

  thread = thread_start (sleep_in_poll, &steps);
  wait_for_step (&steps, 1);
  thread_await_asleep (steps.tid);
  refuse_all (context);
  aio_bh_schedule_oneshot (context, end_sleep, &steps);
  thread_join (thread);
}

static void
test_io_thread (void)
{
  AioIOThread *thread = aio_io_thread_new ("crowded", NULL);
  g_autoptr (AioContext) context = aio_context_ref (aio_io_thread_get_context (thread));
  int ran = 0;

  g_test_summary ("C17, C26: an I/O thread's context has its home thread from creation until stop "
                  "returns");

  g_assert_false (aio_context_is_home_thread (context));
  refuse_all (context);
  aio_io_thread_stop (thread);
  g_assert_false (aio_context_is_home_thread (context));
  aio_bh_schedule_oneshot (context, count, &ran);
  g_assert_cmpint (aio_bh_poll (context), ==, 1);
  g_assert_cmpint (ran, ==, 1);
  g_assert_true (aio_context_is_home_thread (context));
  aio_io_thread_unref (thread);
}

static void
check_home_in_thread (gpointer data)
{
  Steps *steps = data;

  g_assert_true (aio_context_is_home_thread (steps->context));
  atomic_store (&steps->step, 1);
}

static void
test_io_thread_inside (void)
{
  AioIOThread *thread = aio_io_thread_new ("inside", NULL);
  Steps steps = { .context = aio_io_thread_get_context (thread) };

  g_test_summary ("C17: the I/O thread is home in its own callbacks");

  g_assert_true (aio_context_post (steps.context, check_home_in_thread, &steps, NULL));
  aio_io_thread_unref (thread);
  g_assert_cmpint (atomic_load (&steps.step), ==, 1);
}

/* Two threads pass the home to and fro; both produce all the time, also the one that has just
 * given the home away. */
typedef struct _Relay Relay;

typedef struct
{
  Relay *relay;
  int number;
  int posted;
  int expected;
} Runner;

struct _Relay
{
  AioContext *context;
  AioBH *bhs[2];
  Runner runners[2];
  atomic_int baton;
  int goal;
};

typedef struct
{
  Runner *runner;
  int sequence;
} Parcel;

static void
open_parcel (gpointer data)
{
  Parcel *parcel = data;

  g_assert_cmpint (parcel->sequence, ==, parcel->runner->expected++);
}

static void
post_some (Runner *runner)
{
  int i;

  for (i = 0; i < 3 && runner->posted < runner->relay->goal; i++)
    {
      Parcel *parcel = g_new (Parcel, 1);

      *parcel = (Parcel) { runner, runner->posted++ };
      g_assert_true (aio_context_post (runner->relay->context, open_parcel, parcel, g_free));
      aio_bh_schedule (runner->relay->bhs[runner->number]);
    }
}

static void *
run_relay (void *data)
{
  Runner *runner = data;
  Relay *relay = runner->relay;

  while (runner->posted < relay->goal)
    {
      post_some (runner);
      if (atomic_load (&relay->baton) != runner->number)
        continue;
      aio_context_poll (relay->context, FALSE);
      post_some (runner);
      aio_context_poll (relay->context, FALSE);
      atomic_store (&relay->baton, 1 - runner->number);
    }
  return NULL;
}

static void
test_schedule_during_move (void)
{
  Relay relay = { .context = aio_context_new_full ("relay", NULL) };
  pthread_t threads[2];
  int i, ran = 0;

  g_test_summary ("C17, C3: other threads, the old home too, may go on scheduling during a move");

  relay.goal = g_test_thorough () ? 1000000 : 20000;
  for (i = 0; i < 2; i++)
    {
      relay.runners[i] = (Runner) { .relay = &relay, .number = i };
      relay.bhs[i] = aio_bh_new (relay.context, count, &ran);
    }
  for (i = 0; i < 2; i++)
    threads[i] = thread_start (run_relay, &relay.runners[i]);
  for (i = 0; i < 2; i++)
    thread_join (threads[i]);

  while (aio_context_poll (relay.context, FALSE))
    ;
  for (i = 0; i < 2; i++)
    {
      g_assert_cmpint (relay.runners[i].expected, ==, relay.goal);
      g_assert_false (aio_bh_is_scheduled (relay.bhs[i]));
      aio_bh_delete (relay.bhs[i]);
    }
  g_assert_cmpint (ran, >, 0);
  aio_context_unref (relay.context);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  /* An I/O thread would make it, and GLib keeps it: not a descriptor that leaked. */
  g_main_context_default ();
  aio_test_add ("/home/fresh", test_fresh);
  aio_test_add ("/home/iterating", test_iterating);
  aio_test_add ("/home/moves", test_moves);
  aio_test_add ("/home/owner", test_owner);
  aio_test_add ("/home/poll-acquires", test_poll_acquires);
  aio_test_add ("/home/free-for-all", test_free_for_all);
  aio_test_add ("/home/two-at-once", test_two_at_once);
  aio_test_add ("/home/second-while-asleep", test_second_while_asleep);
  aio_test_add ("/home/io-thread", test_io_thread);
  aio_test_add ("/home/io-thread-inside", test_io_thread_inside);
  aio_test_add ("/home/schedule-during-move", test_schedule_during_move);
  return g_test_run ();
}
