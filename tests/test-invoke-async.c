/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* aio_context_invoke_async(): the conventions of GTask, and what cancelling and the end of the
 * context do to calls on their way. */
#include "invoke-test.h"

/* What the callback saw. Its GMainContext is iterated by the thread that made the call. */
typedef struct
{
  AioContext *context;
  GMainContext *main_context;
  Counted counted;
  guint n_callbacks;
  guint n_destroyed_then;
  pthread_t thread;
  gboolean result;
  GError *error;
  GAsyncResult *kept;
} Answer;

static void
on_answer (GObject      *source,
           GAsyncResult *result,
           gpointer      data)
{
  Answer *answer = data;

  g_assert_null (source);
  g_assert_null (g_async_result_get_source_object (result));
  g_assert_true (g_async_result_get_user_data (result) == data);
  answer->n_callbacks++;
  answer->n_destroyed_then = answer->counted.n_destroyed;
  answer->thread = pthread_self ();
  answer->result = aio_context_invoke_finish (answer->context, result, &answer->error);
}

static void
answer_init (Answer     *answer,
             AioContext *context)
{
  *answer = (Answer) { .context = context, .counted = { .context = context } };
  answer->main_context = g_main_context_new ();
  g_main_context_push_thread_default (answer->main_context);
}

static void
answer_call (Answer       *answer,
             GCancellable *cancellable)
{
  aio_context_invoke_async (answer->context, counted_run, &answer->counted, counted_destroyed,
                            cancellable, on_answer, answer);
  g_assert_cmpuint (answer->n_callbacks, ==, 0);
}

static void
answer_wait (Answer *answer)
{
  while (answer->n_callbacks == 0)
    g_main_context_iteration (answer->main_context, TRUE);
}

/* Nothing may come any more. */
static void
answer_clear (Answer *answer)
{
  while (g_main_context_iteration (answer->main_context, FALSE))
    continue;
  g_assert_cmpuint (answer->n_callbacks, ==, 1);
  g_assert_cmpuint (answer->n_destroyed_then, ==, 0);
  g_assert_cmpuint (answer->counted.n_destroyed, ==, 1);
  g_assert_true (pthread_equal (answer->thread, pthread_self ()));
  g_assert_true (pthread_equal (answer->counted.destroyed_in, pthread_self ()));
  g_main_context_pop_thread_default (answer->main_context);
  g_main_context_unref (answer->main_context);
}

static void
answer_assert_failed (Answer *answer,
                      int     code)
{
  g_assert_error (answer->error, G_IO_ERROR, code);
  g_assert_false (answer->result);
  g_assert_cmpuint (answer->counted.n, ==, 0);
  g_clear_error (&answer->error);
}

static void
answer_assert_done (Answer *answer)
{
  g_assert_no_error (answer->error);
  g_assert_true (answer->result);
  g_assert_cmpuint (answer->counted.n, ==, 1);
}

/* ---- Where things happen ---- */

static void
test_result (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  Answer answer;

  g_test_summary ("C29: the function runs in the home thread; the callback, and behind it the "
                  "destroy notify of the data, in the thread-default GMainContext of the caller");
  answer_init (&answer, aio_io_thread_get_context (thread));
  answer_call (&answer, NULL);
  answer_wait (&answer);
  answer_assert_done (&answer);
  g_assert_false (pthread_equal (answer.counted.thread, pthread_self ()));
  answer_clear (&answer);
}

static void
test_never_inline (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Answer answer;

  g_test_summary ("C29: also in the home thread, and while there is none, the function runs in the "
                  "next pass");
  answer_init (&answer, context);
  aio_context_poll (context, FALSE);
  answer_call (&answer, NULL);
  g_assert_cmpuint (answer.counted.n, ==, 0);
  aio_context_poll (context, TRUE);
  g_assert_cmpuint (answer.counted.n, ==, 1);
  g_assert_cmpuint (answer.n_callbacks, ==, 0);
  answer_wait (&answer);
  answer_assert_done (&answer);
  answer_clear (&answer);
}

static void
note_order (gpointer data)
{
  Counted *counted = data;

  g_assert_cmpuint (counted->n_destroyed, ==, 0);
  counted->n += 10;
}

static void
test_order (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Answer answers[2];
  Counted between = { context, 0, 0, 0, 0 };
  guint i;

  g_test_summary ("C29, C3: functions and posts run in the order in which they came");
  for (i = 0; i < 2; i++)
    answer_init (&answers[i], context);
  answer_call (&answers[1], NULL);
  g_assert_true (aio_context_post (context, note_order, &between, NULL));
  answer_call (&answers[0], NULL);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (between.n, ==, 10);
  for (i = 2; i-- > 0;)
    {
      /* Both were made while the second one's GMainContext was the default. */
      while (answers[i].n_callbacks == 0)
        g_main_context_iteration (answers[1].main_context, TRUE);
      answer_assert_done (&answers[i]);
    }
  for (i = 2; i-- > 0;)
    answer_clear (&answers[i]);
}

static void
on_kept (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Answer *answer = data;

  on_answer (source, result, data);
  answer->kept = g_object_ref (result);
}

static void
test_kept_result (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  Answer answer;

  g_test_summary ("C29: the data lives as long as the result does");
  answer_init (&answer, aio_io_thread_get_context (thread));
  aio_context_invoke_async (answer.context, counted_run, &answer.counted, counted_destroyed, NULL,
                            on_kept, &answer);
  answer_wait (&answer);
  while (g_main_context_iteration (answer.main_context, FALSE))
    continue;
  g_assert_cmpuint (answer.counted.n_destroyed, ==, 0);
  g_clear_object (&answer.kept);
  answer_clear (&answer);
}

static void
test_nobody_listens (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  Answer answer;

  g_test_summary ("C29: the callback and the destroy notify may be left out");
  answer_init (&answer, aio_io_thread_get_context (thread));
  aio_context_invoke_async (answer.context, counted_run, &answer.counted, NULL, NULL, NULL, NULL);
  answer_call (&answer, NULL);
  answer_wait (&answer);
  g_assert_cmpuint (answer.counted.n, ==, 2);
  answer_clear (&answer);
}

/* ---- What comes back ---- */

static void
test_errors (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  AioContext *context = aio_io_thread_get_context (thread);
  Answer answer;

  g_test_summary ("C29, C28: the GError of the function comes back");
  answer_init (&answer, context);
  aio_context_invoke_async (context, fail_busy, "me", NULL, NULL, on_answer, &answer);
  answer_wait (&answer);
  g_assert_cmpstr (answer.error->message, ==, "No time for me");
  answer_assert_failed (&answer, G_IO_ERROR_BUSY);

  answer.n_callbacks = 0;
  aio_context_invoke_async (context, fail_silently, NULL, NULL, NULL, on_answer, &answer);
  answer_wait (&answer);
  g_assert_false (answer.result);
  g_assert_no_error (answer.error);

  answer.n_callbacks = 0;
  answer_call (&answer, NULL);
  answer_wait (&answer);
  answer_assert_done (&answer);
  answer_clear (&answer);
}

/* ---- Cancelling ---- */

static gboolean
has_handlers (GCancellable *cancellable)
{
  guint id = g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE);

  return g_signal_has_handler_pending (cancellable, id, 0, TRUE);
}

static void
test_cancelled_before (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Answer answer;

  g_test_summary ("C29: cancelled before the call, the function never runs, and the callback comes "
                  "from the main loop all the same");
  answer_init (&answer, aio_io_thread_get_context (thread));
  g_cancellable_cancel (cancellable);
  answer_call (&answer, cancellable);
  answer_wait (&answer);
  io_settle (thread);
  answer_assert_failed (&answer, G_IO_ERROR_CANCELLED);
  answer_clear (&answer);
  g_assert_cmpuint (G_OBJECT (cancellable)->ref_count, ==, 1);
}

static void
test_cancelled_waiting (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Gate gate = GATE_INIT;
  Answer answer;

  g_test_summary ("C29: cancelled before it begins, the function never does, and the callback does "
                  "not wait for the home thread");
  answer_init (&answer, aio_io_thread_get_context (thread));
  gate_block (&gate, answer.context);
  answer_call (&answer, cancellable);
  g_cancellable_cancel (cancellable);
  g_assert_cmpuint (answer.n_callbacks, ==, 0);
  /* The answer stands, whatever becomes of the cancellable. */
  g_cancellable_reset (cancellable);
  answer_wait (&answer);
  gate_open (&gate);
  io_settle (thread);
  answer_assert_failed (&answer, G_IO_ERROR_CANCELLED);
  answer_clear (&answer);
  g_assert_false (has_handlers (cancellable));
}

typedef struct
{
  Answer *answer;
  Gate begun;
} Running;

static gboolean
count_when_cancelled (gpointer       data,
                      GCancellable  *cancellable,
                      GError       **error)
{
  Running *running = data;

  succeed_when_cancelled (&running->begun, cancellable, error);
  return counted_run (&running->answer->counted, cancellable, error);
}

static void
running_gone (gpointer data)
{
  Running *running = data;

  counted_destroyed (&running->answer->counted);
}

static void
test_cancelled_running (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Answer answer;
  Running running = { &answer, GATE_INIT };

  g_test_summary ("C29: cancelled while the function runs, its own result comes back");
  answer_init (&answer, aio_io_thread_get_context (thread));
  aio_context_invoke_async (answer.context, count_when_cancelled, &running, running_gone,
                            cancellable, on_answer, &answer);
  gate_wait_reached (&running.begun);
  gate_open (&running.begun);
  g_cancellable_cancel (cancellable);
  answer_wait (&answer);
  answer_assert_done (&answer);
  answer_clear (&answer);
}

static void
test_handler_is_gone (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Answer answer;

  g_test_summary ("C29: a call that is over has left nothing behind in its cancellable");
  answer_init (&answer, aio_io_thread_get_context (thread));
  answer_call (&answer, cancellable);
  g_assert_true (has_handlers (cancellable));
  answer_wait (&answer);
  g_assert_false (has_handlers (cancellable));
  answer_assert_done (&answer);
  answer_clear (&answer);
  io_settle (thread);
  g_assert_cmpuint (G_OBJECT (cancellable)->ref_count, ==, 1);
}

static void
wait_in_handler (GCancellable *cancellable,
                 gpointer      data)
{
  answer_wait (data);
}

static void
test_answer_while_cancelling (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Gate gate = GATE_INIT;
  Answer answer;
  gulong handler;

  g_test_summary ("C29: another handler of the cancellable may run the main loop, and the callback "
                  "comes there");
  answer_init (&answer, aio_io_thread_get_context (thread));
  gate_block (&gate, answer.context);
  answer_call (&answer, cancellable);
  handler = g_cancellable_connect (cancellable, G_CALLBACK (wait_in_handler), &answer, NULL);
  g_cancellable_cancel (cancellable);
  g_assert_cmpuint (answer.n_callbacks, ==, 1);
  g_cancellable_disconnect (cancellable, handler);
  gate_open (&gate);
  answer_assert_failed (&answer, G_IO_ERROR_CANCELLED);
  answer_clear (&answer);
}

static void
test_cancel_races (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  guint n = g_test_thorough () ? 50000 : 2000;
  guint n_ran = 0;
  guint i;

  g_test_summary ("C29: cancelled at any moment, there is one callback, one destroy notify, and a "
                  "run if and only if the result says so");
  for (i = 0; i < n; i++)
    {
      GCancellable *cancellable = g_cancellable_new ();
      gpointer args[2] = { cancellable, GUINT_TO_POINTER (g_test_rand_int_range (0, 5000)) };
      Answer answer;
      pthread_t canceller;

      answer_init (&answer, aio_io_thread_get_context (thread));
      canceller = thread_start (cancel_soon, args);
      answer_call (&answer, cancellable);
      answer_wait (&answer);
      if (answer.error == NULL)
        answer_assert_done (&answer);
      else
        answer_assert_failed (&answer, G_IO_ERROR_CANCELLED);
      n_ran += answer.counted.n;
      thread_join (canceller);
      answer_clear (&answer);
      g_object_unref (cancellable);
      aio_test_moved ();
    }
  g_test_message ("%u of %u ran", n_ran, n);
}

/* ---- The end of the context ---- */

static void
test_stopped_before (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  Answer answer;

  g_test_summary ("C29, C26: the context of a thread that was stopped is closed");
  answer_init (&answer, aio_io_thread_get_context (thread));
  aio_io_thread_stop (thread);
  answer_call (&answer, NULL);
  answer_wait (&answer);
  answer_assert_failed (&answer, G_IO_ERROR_CLOSED);
  answer_clear (&answer);
}

static void
test_stop_races (void)
{
  guint n = g_test_thorough () ? 20000 : 500;
  guint n_ran = 0;
  guint i;

  g_test_summary ("C29, C26, C23: against a stop and the end of the context, there is one callback "
                  "with the right result");
  for (i = 0; i < n; i++)
    {
      AioIOThread *thread = io_new ("worker");
      Answer answer;

      answer_init (&answer, aio_io_thread_get_context (thread));
      if (i % 4 == 0)
        aio_io_thread_stop (thread);
      answer_call (&answer, NULL);
      /* With this the context is gone, too. */
      aio_io_thread_unref (thread);
      answer_wait (&answer);
      if (answer.error == NULL)
        answer_assert_done (&answer);
      else
        answer_assert_failed (&answer, G_IO_ERROR_CLOSED);
      n_ran += answer.counted.n;
      answer_clear (&answer);
      aio_test_moved ();
    }
  g_assert_cmpuint (n_ran, ==, n - (n + 3) / 4);
}

static void
test_finalised (void)
{
  AioContext *context = aio_context_new_full ("shortlived", NULL);
  Answer answer;

  g_test_summary ("C29, C8: a context that is finalised closes the calls in its queue; the result "
                  "can be had when it is gone");
  answer_init (&answer, context);
  answer_call (&answer, NULL);
  aio_context_unref (context);
  g_assert_cmpuint (answer.n_callbacks, ==, 0);
  answer_wait (&answer);
  g_assert_nonnull (strstr (answer.error->message, "shortlived"));
  answer_assert_failed (&answer, G_IO_ERROR_CLOSED);
  answer_clear (&answer);
}

static void
test_cancelled_finalised (void)
{
  AioContext *context = aio_context_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Answer answer;

  g_test_summary ("C29: a call that was cancelled, and whose context is finalised, is over once");
  answer_init (&answer, context);
  answer_call (&answer, cancellable);
  g_cancellable_cancel (cancellable);
  aio_context_unref (context);
  answer_wait (&answer);
  answer_assert_failed (&answer, G_IO_ERROR_CANCELLED);
  answer_clear (&answer);
}

/* ---- Misuse ---- */

static void
on_answer_misuse (GObject      *source,
                  GAsyncResult *result,
                  gpointer      data)
{
  Answer *answer = data;
  AioContext *other = aio_context_new ();

  expect_critical ("*context != NULL*");
  g_assert_false (aio_context_invoke_finish (NULL, result, NULL));
  expect_critical ("*call->context == context*");
  g_assert_false (aio_context_invoke_finish (other, result, NULL));
  g_test_assert_expected_messages ();
  aio_context_unref (other);
  on_answer (source, result, answer);
}

static void
test_misuse (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  GTask *other = g_task_new (NULL, NULL, NULL, NULL);
  Answer answer;

  g_test_summary ("C28: NULL where an object is wanted, a cancellable that is none, a result of "
                  "something else, the wrong context");
  expect_critical ("*context != NULL*");
  aio_context_invoke_async (NULL, do_nothing, NULL, NULL, NULL, NULL, NULL);
  expect_critical ("*func != NULL*");
  aio_context_invoke_async (context, NULL, NULL, NULL, NULL, NULL, NULL);
  expect_critical ("*G_IS_CANCELLABLE*");
  aio_context_invoke_async (context, do_nothing, NULL, NULL, (GCancellable *) context, NULL, NULL);
  expect_critical ("*g_task_is_valid*");
  g_assert_false (aio_context_invoke_finish (context, NULL, NULL));
  expect_critical ("*is_tagged*");
  g_assert_false (aio_context_invoke_finish (context, G_ASYNC_RESULT (other), NULL));
  g_test_assert_expected_messages ();
  g_task_return_boolean (other, TRUE);
  g_object_unref (other);
  while (g_main_context_iteration (NULL, FALSE))
    continue;

  answer_init (&answer, context);
  aio_context_invoke_async (context, counted_run, &answer.counted, counted_destroyed, NULL,
                            on_answer_misuse, &answer);
  aio_context_poll (context, FALSE);
  answer_wait (&answer);
  answer_assert_done (&answer);
  answer_clear (&answer);
}

/* A binding that keeps a wrapper of an object is told so when somebody else takes a reference. */
static void
on_toggled (gpointer  other,
            GObject  *object,
            gboolean  is_last)
{
  if (!is_last)
    g_cancellable_cancel (other);
}

static void
test_toggled (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  g_autoptr (GCancellable) other = g_cancellable_new ();
  GCancellable *cancellable = g_cancellable_new ();
  Counted counted = { .context = context };
  Answer answer;

  g_test_summary ("C29: who has a toggle reference to the cancellable, and is told of the one that "
                  "a call takes, may do what any callback may: cancel another call");
  answer_init (&answer, context);
  answer_call (&answer, other);
  g_object_add_toggle_ref (G_OBJECT (cancellable), on_toggled, other);
  g_object_unref (cancellable);
  aio_context_invoke_async (context, counted_run, &counted, NULL, cancellable, NULL, NULL);
  answer_wait (&answer);
  answer_assert_failed (&answer, G_IO_ERROR_CANCELLED);
  aio_context_poll (context, TRUE);
  answer_clear (&answer);
  g_assert_cmpuint (counted.n, ==, 1);
  g_object_remove_toggle_ref (G_OBJECT (cancellable), on_toggled, other);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  /* Brings a worker thread of GLib's with it, whose descriptor stays. */
  g_type_ensure (G_TYPE_TASK);
  aio_test_add ("/invoke-async/result", test_result);
  aio_test_add ("/invoke-async/never-inline", test_never_inline);
  aio_test_add ("/invoke-async/order", test_order);
  aio_test_add ("/invoke-async/kept-result", test_kept_result);
  aio_test_add ("/invoke-async/nobody-listens", test_nobody_listens);
  aio_test_add ("/invoke-async/errors", test_errors);
  aio_test_add ("/invoke-async/cancelled/before", test_cancelled_before);
  aio_test_add ("/invoke-async/cancelled/waiting", test_cancelled_waiting);
  aio_test_add ("/invoke-async/cancelled/running", test_cancelled_running);
  aio_test_add ("/invoke-async/cancelled/handler-is-gone", test_handler_is_gone);
  aio_test_add ("/invoke-async/cancelled/answer-while-cancelling", test_answer_while_cancelling);
  aio_test_add ("/invoke-async/cancelled/races", test_cancel_races);
  aio_test_add ("/invoke-async/cancelled/toggled", test_toggled);
  aio_test_add ("/invoke-async/stopped/before", test_stopped_before);
  aio_test_add ("/invoke-async/stopped/races", test_stop_races);
  aio_test_add ("/invoke-async/finalised", test_finalised);
  aio_test_add ("/invoke-async/cancelled-finalised", test_cancelled_finalised);
  aio_test_add ("/invoke-async/misuse", test_misuse);
  return g_test_run ();
}
