/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* aio_context_invoke_sync(): where the function runs, what comes back, and who waits for whom. */
#include "invoke-test.h"
#include <sys/wait.h>

/* A call from a thread of its own. */
typedef struct
{
  AioContext *context;
  AioInvokeFunc func;
  gpointer data;
  GCancellable *cancellable;
  gboolean result;
  GError *error;
  atomic_int tid;
  pthread_t thread;
} Caller;

static void *
caller_run (void *data)
{
  Caller *caller = data;

  atomic_store (&caller->tid, gettid ());
  caller->result = aio_context_invoke_sync (caller->context, caller->func, caller->data,
                                            caller->cancellable, &caller->error);
  return NULL;
}

static void
caller_start (Caller *caller)
{
  caller->thread = thread_start (caller_run, caller);
}

static void
caller_wait_asleep (Caller *caller)
{
  while (atomic_load (&caller->tid) == 0)
    g_usleep (100);
  thread_await_asleep (atomic_load (&caller->tid));
}

static void
caller_join (Caller *caller)
{
  thread_join (caller->thread);
}

static void
caller_assert_failed (Caller *caller,
                      int     code)
{
  g_assert_error (caller->error, G_IO_ERROR, code);
  g_assert_false (caller->result);
  g_clear_error (&caller->error);
}

static void
caller_assert_done (Caller *caller)
{
  g_assert_no_error (caller->error);
  g_assert_true (caller->result);
}

/* ---- Where it runs ---- */

static void
test_at_home (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Counted counted = { context, 0, 0, 0, 0 };

  g_test_summary ("C29: in the home thread the function is called at once");
  aio_context_poll (context, FALSE);
  g_assert_true (aio_context_post (context, nothing, NULL, NULL));
  g_assert_true (aio_context_invoke_sync (context, counted_run, &counted, NULL, NULL));
  g_assert_cmpuint (counted.n, ==, 1);
  g_assert_null (aio_context_get_current ());
  g_assert_true (aio_context_is_home_thread (context));
}

static gboolean
run_inside (gpointer       data,
            GCancellable  *cancellable,
            GError       **error)
{
  Counted *counted = data;

  g_assert_true (aio_context_invoke_sync (counted->context, counted_run, counted, NULL, error));
  g_assert_true (aio_context_get_current () == counted->context);
  return TRUE;
}

static void *
poll_elsewhere (void *context)
{
  aio_context_poll (context, FALSE);
  return NULL;
}

static void
test_without_home (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Counted counted = { context, 0, 0, 0, 0 };

  g_test_summary ("C29, C17: without a home thread the function is called at once, in the calling "
                  "thread; afterwards there is none still");
  g_assert_true (aio_context_invoke_sync (context, run_inside, &counted, NULL, NULL));
  g_assert_cmpuint (counted.n, ==, 1);
  g_assert_true (pthread_equal (counted.thread, pthread_self ()));
  g_assert_false (aio_context_is_home_thread (context));
  thread_run (poll_elsewhere, context);
}

static void
test_in_io_thread (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  Counted counted = { aio_io_thread_get_context (thread), 0, 0, 0, 0 };

  g_test_summary ("C29: the function runs in the home thread, and the caller waits for it");
  g_assert_true (aio_context_invoke_sync (counted.context, counted_run, &counted, NULL, NULL));
  g_assert_cmpuint (counted.n, ==, 1);
  g_assert_false (pthread_equal (counted.thread, pthread_self ()));
  g_assert_true (aio_context_invoke_sync (counted.context, run_inside, &counted, NULL, NULL));
  g_assert_cmpuint (counted.n, ==, 2);
}

static void
quit_loop (gpointer loop)
{
  g_main_loop_quit (loop);
}

/* First while nobody runs the main loop, then while it runs. */
static void *
invoke_twice (void *data)
{
  Counted *counted = data;
  pthread_t inline_thread;

  g_assert_true (aio_context_invoke_sync (counted->context, counted_run, counted, NULL, NULL));
  inline_thread = counted->thread;
  g_assert_true (pthread_equal (inline_thread, pthread_self ()));
  return NULL;
}

static void *
invoke_and_quit (void *data)
{
  gpointer *args = data;
  Counted *counted = args[0];

  g_assert_true (aio_context_invoke_sync (counted->context, counted_run, counted, NULL, NULL));
  g_assert_false (pthread_equal (counted->thread, pthread_self ()));
  g_assert_true (aio_context_post (counted->context, quit_loop, args[1], NULL));
  return NULL;
}

static void
test_attached (void)
{
  g_autoptr (GMainContext) main_context = g_main_context_new ();
  GMainLoop *loop = g_main_loop_new (main_context, FALSE);
  AioContext *context = aio_context_new ();
  Counted counted = { context, 0, 0, 0, 0 };
  gpointer args[2] = { &counted, loop };
  pthread_t thread;

  g_test_summary ("C29, C17: of an attached context, the owner of the GMainContext is the home "
                  "thread; while nobody owns that there is none");
  aio_context_attach (context, main_context);
  thread_run (invoke_twice, &counted);
  g_main_context_acquire (main_context);
  thread = thread_start (invoke_and_quit, args);
  g_main_loop_run (loop);
  thread_join (thread);
  g_assert_true (pthread_equal (counted.thread, pthread_self ()));
  g_assert_cmpuint (counted.n, ==, 2);
  g_main_context_release (main_context);
  aio_context_detach (context);
  aio_context_unref (context);
  g_main_loop_unref (loop);
}

/* ---- What comes back ---- */

static void
assert_fails_as_told (AioContext *context)
{
  GError *error = NULL;

  g_assert_false (aio_context_invoke_sync (context, fail_busy, "you", NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_BUSY);
  g_assert_cmpstr (error->message, ==, "No time for you");
  g_clear_error (&error);
  g_assert_false (aio_context_invoke_sync (context, fail_busy, "you", NULL, NULL));
  g_assert_false (aio_context_invoke_sync (context, fail_silently, NULL, NULL, &error));
  g_assert_no_error (error);
}

static void
test_errors (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  g_autoptr (AioContext) context = aio_context_new_full ("loopy", NULL);
  GError *error = NULL;

  g_test_summary ("C29, C28: the GError of the function comes back; one beside TRUE is reported");
  assert_fails_as_told (context);
  assert_fails_as_told (aio_io_thread_get_context (thread));
  expect_critical ("*loopy*but why*");
  g_assert_true (aio_context_invoke_sync (context, succeed_with_error, NULL, NULL, &error));
  g_assert_no_error (error);
  g_test_assert_expected_messages ();
}

static void
append (gpointer data)
{
  GString *text = data;

  g_string_append_c (text, 'a' + (char) text->len);
}

static gboolean
append_last (gpointer       data,
             GCancellable  *cancellable,
             GError       **error)
{
  g_string_append_c (data, '!');
  return TRUE;
}

static void
test_order (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  AioContext *context = aio_io_thread_get_context (thread);
  GString *text = g_string_new (NULL);
  Gate gate = GATE_INIT;
  guint i;

  g_test_summary ("C29, C3: a function runs behind what was posted before");
  gate_block (&gate, context);
  for (i = 0; i < 3; i++)
    g_assert_true (aio_context_post (context, append, text, NULL));
  gate_open (&gate);
  g_assert_true (aio_context_invoke_sync (context, append_last, text, NULL, NULL));
  g_assert_cmpstr (text->str, ==, "abc!");
  g_string_free (text, TRUE);
}

/* ---- Cancelling ---- */

static void
test_cancelled_before (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  AioContext *contexts[2] = { aio_io_thread_get_context (thread), aio_context_new () };
  GCancellable *cancellable = g_cancellable_new ();
  guint i;

  g_test_summary ("C29: cancelled before the call, the function does not run");
  g_cancellable_cancel (cancellable);
  for (i = 0; i < 2; i++)
    {
      Counted counted = { contexts[i], 0, 0, 0, 0 };
      GError *error = NULL;

      g_assert_false (aio_context_invoke_sync (contexts[i], counted_run, &counted, cancellable,
                                               &error));
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&error);
      g_assert_cmpuint (counted.n, ==, 0);
    }
  g_object_unref (cancellable);
  aio_context_unref (contexts[1]);
}

static void
test_cancelled_waiting (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Counted counted = { aio_io_thread_get_context (thread), 0, 0, 0, 0 };
  Caller caller = { counted.context, counted_run, &counted, cancellable, TRUE, NULL, 0, 0 };
  Gate gate = GATE_INIT;

  g_test_summary ("C29: cancelled before it begins, the function never does, and the caller "
                  "returns although the home thread is busy");
  gate_block (&gate, counted.context);
  caller_start (&caller);
  caller_wait_asleep (&caller);
  g_cancellable_cancel (cancellable);
  caller_join (&caller);
  caller_assert_failed (&caller, G_IO_ERROR_CANCELLED);
  gate_open (&gate);
  io_settle (thread);
  g_assert_cmpuint (counted.n, ==, 0);
  g_assert_cmpuint (G_OBJECT (cancellable)->ref_count, ==, 1);
}

static void
test_cancelled_running (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Gate begun = GATE_INIT;
  Caller caller = { aio_io_thread_get_context (thread), succeed_when_cancelled, &begun,
                    cancellable, FALSE, NULL, 0, 0 };

  g_test_summary ("C29: cancelled while the function runs, its own result comes back");
  caller_start (&caller);
  gate_wait_reached (&begun);
  gate_open (&begun);
  g_cancellable_cancel (cancellable);
  caller_join (&caller);
  caller_assert_done (&caller);
}

/* Its data is on the stack of the caller. */
static void
race_cancel_once (AioContext *context,
                  guint       spins,
                  guint      *n_ran)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  gpointer args[2] = { cancellable, GUINT_TO_POINTER (spins) };
  Counted counted = { context, 0, 0, 0, 0 };
  GError *error = NULL;
  pthread_t thread = thread_start (cancel_soon, args);

  if (aio_context_invoke_sync (context, counted_run, &counted, cancellable, &error))
    {
      g_assert_no_error (error);
      g_assert_cmpuint (counted.n, ==, 1);
      ++*n_ran;
    }
  else
    {
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
      g_clear_error (&error);
      g_assert_cmpuint (counted.n, ==, 0);
    }
  thread_join (thread);
  memset (&counted, 0xff, sizeof counted);
}

static void
test_cancel_races (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  AioContext *context = aio_io_thread_get_context (thread);
  guint n = g_test_thorough () ? 100000 : 3000;
  guint n_ran = 0;
  guint i;

  g_test_summary ("C29: cancelled at any moment, the function runs once and its result comes back, "
                  "or never");
  for (i = 0; i < n; i++)
    {
      race_cancel_once (context, (guint) g_test_rand_int_range (0, 4000), &n_ran);
      aio_test_moved ();
    }
  g_test_message ("%u of %u ran", n_ran, n);
}

/* ---- Threads that wait for each other ---- */

typedef struct
{
  AioContext *contexts[3];
  guint n_contexts;
  guint depth;
  guint limit;
} Circle;

/* Each level in the next context. */
static gboolean
go_round (gpointer       data,
          GCancellable  *cancellable,
          GError       **error)
{
  Circle *circle = data;
  AioContext *here = circle->contexts[circle->depth % circle->n_contexts];

  g_assert_true (aio_context_get_current () == here);
  g_assert_true (aio_context_is_home_thread (here));
  if (++circle->depth == circle->limit)
    return TRUE;
  g_assert_true (aio_context_invoke_sync (circle->contexts[circle->depth % circle->n_contexts],
                                          go_round, circle, NULL, error));
  g_assert_true (aio_context_get_current () == here);
  return TRUE;
}

static void
run_circle (guint n_contexts)
{
  const char *names[] = { "red", "green", "blue" };
  Circle circle = { { NULL }, n_contexts, 0, 30 };
  AioIOThread *threads[3] = { NULL };
  guint i;

  for (i = 0; i < n_contexts; i++)
    {
      threads[i] = io_new (names[i]);
      circle.contexts[i] = aio_io_thread_get_context (threads[i]);
    }
  g_assert_true (aio_context_invoke_sync (circle.contexts[0], go_round, &circle, NULL, NULL));
  g_assert_cmpuint (circle.depth, ==, circle.limit);
  for (i = 0; i < n_contexts; i++)
    aio_io_thread_unref (threads[i]);
}

static void
test_nested (void)
{
  guint i, n = g_test_thorough () ? 2000 : 100;

  g_test_summary ("C29: calls may be nested in circles of two and three threads; a thread that "
                  "begins a call before its caller waits for it is seen in the circle, too");
  for (i = 0; i < n; i++)
    {
      run_circle (2 + i % 2);
      aio_test_moved ();
    }
}

typedef struct
{
  AioContext *other;
  atomic_uint *n_inside;
  guint n_calls;
} Side;

static gboolean
count_call (gpointer       data,
            GCancellable  *cancellable,
            GError       **error)
{
  ++*(guint *) data;
  return TRUE;
}

/* Both are in their callbacks before either calls. */
static void
call_across (gpointer data)
{
  Side *side = data;

  atomic_fetch_add (side->n_inside, 1);
  while (atomic_load (side->n_inside) < 2)
    g_usleep (10);
  g_assert_true (aio_context_invoke_sync (side->other, count_call, &side->n_calls, NULL, NULL));
}

static void
test_across (void)
{
  g_autoptr (AioIOThread) red = io_new ("red");
  g_autoptr (AioIOThread) green = io_new ("green");
  guint n = g_test_thorough () ? 20000 : 1000;
  guint i;

  g_test_summary ("C29: two home threads that call each other at the same moment both return");
  for (i = 0; i < n; i++)
    {
      atomic_uint n_inside = 0;
      Side sides[2] = { { aio_io_thread_get_context (green), &n_inside, 0 },
                        { aio_io_thread_get_context (red), &n_inside, 0 } };

      aio_context_post (sides[1].other, call_across, &sides[0], NULL);
      aio_context_post (sides[0].other, call_across, &sides[1], NULL);
      /* From a thread that they do not wait for: behind the posts. */
      io_settle (red);
      io_settle (green);
      g_assert_cmpuint (sides[0].n_calls, ==, 1);
      g_assert_cmpuint (sides[1].n_calls, ==, 1);
      aio_test_moved ();
    }
}

/* What a function does to the thread that waits for it. */
typedef struct
{
  AioContext *waiting;
  GString *text;
  guint n_before_return;
} Tease;

static gboolean
tease (gpointer       data,
       GCancellable  *cancellable,
       GError       **error)
{
  Tease *self = data;

  g_assert_true (aio_context_post (self->waiting, append, self->text, NULL));
  g_assert_true (aio_context_invoke_sync (self->waiting, append_last, self->text, NULL, error));
  return TRUE;
}

static void
test_only_calls (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  g_autoptr (AioContext) context = aio_context_new ();
  Tease self = { context, g_string_new (NULL), 0 };

  g_test_summary ("C29: a thread that waits makes the call that closes a circle, and runs nothing "
                  "else");
  aio_context_poll (context, FALSE);
  g_assert_true (aio_context_invoke_sync (aio_io_thread_get_context (thread), tease, &self, NULL,
                                          NULL));
  g_assert_cmpstr (self.text->str, ==, "!");
  aio_context_poll (context, FALSE);
  g_assert_cmpstr (self.text->str, ==, "!b");
  g_string_free (self.text, TRUE);
}

static gboolean
pass_gate (gpointer       data,
           GCancellable  *cancellable,
           GError       **error)
{
  gate_pass (data);
  return TRUE;
}

static void
wait_for_gate (gpointer data)
{
  gpointer *args = data;

  g_assert_true (aio_context_invoke_sync (args[0], pass_gate, args[1], NULL, NULL));
}

static void
test_no_overtaking (void)
{
  g_autoptr (AioIOThread) red = io_new ("red");
  g_autoptr (AioIOThread) green = io_new ("green");
  GString *text = g_string_new (NULL);
  Caller caller = { aio_io_thread_get_context (red), append_last, text, NULL, FALSE, NULL, 0, 0 };
  Gate gate = GATE_INIT;
  gpointer args[2] = { aio_io_thread_get_context (green), &gate };

  g_test_summary ("C29, C3: the call of a thread that is in no circle keeps its place, also while "
                  "the home thread waits for another call");
  aio_context_post (caller.context, wait_for_gate, args, NULL);
  gate_wait_reached (&gate);
  aio_context_post (caller.context, append, text, NULL);
  caller_start (&caller);
  caller_wait_asleep (&caller);
  gate_open (&gate);
  caller_join (&caller);
  caller_assert_done (&caller);
  g_assert_cmpstr (text->str, ==, "a!");
  g_string_free (text, TRUE);
}

static gboolean
call_back (gpointer       data,
           GCancellable  *cancellable,
           GError       **error)
{
  Counted *counted = data;

  return aio_context_invoke_sync (counted->context, counted_run, counted, NULL, error);
}

static void *
poll_once (void *context)
{
  aio_context_poll (context, FALSE);
  return NULL;
}

/* The home rule knows of no home thread, or of a former one. */
static void
run_main_owner (gboolean had_home)
{
  g_autoptr (GMainContext) main_context = g_main_context_new ();
  g_autoptr (AioIOThread) thread = io_new ("worker");
  g_autoptr (AioContext) context = aio_context_new ();
  Counted counted = { context, 0, 0, 0, 0 };

  if (had_home)
    thread_run (poll_once, context);
  aio_context_attach (context, main_context);
  g_assert_true (g_main_context_acquire (main_context));
  g_assert_true (aio_context_invoke_sync (aio_io_thread_get_context (thread), call_back, &counted,
                                          NULL, NULL));
  g_assert_true (pthread_equal (counted.thread, pthread_self ()));
  g_main_context_release (main_context);
  aio_context_detach (context);
}

static void
test_main_owner (void)
{
  g_test_summary ("C29, C17: the owner of a GMainContext that waits makes the calls to a context "
                  "which is attached there and has not been iterated");
  run_main_owner (FALSE);
  run_main_owner (TRUE);
}

/* A thread that owns a GMainContext, and has not iterated it. */
typedef struct _Owner Owner;

struct _Owner
{
  Owner *other;
  GMainContext *main_context;
  Side side;
};

static void *
own_and_call (void *data)
{
  Owner *owner = data;

  g_main_context_push_thread_default (owner->main_context);
  call_across (&owner->side);
  /* The other's call has come meanwhile, or comes now. */
  while (owner->other->side.n_calls == 0)
    g_main_context_iteration (owner->main_context, TRUE);
  g_main_context_pop_thread_default (owner->main_context);
  return NULL;
}

static void
owners_across (void)
{
  atomic_uint n_inside = 0;
  AioContext *contexts[2];
  Owner owners[2];
  pthread_t threads[2];
  guint i;

  for (i = 0; i < 2; i++)
    {
      contexts[i] = aio_context_new ();
      owners[i].main_context = g_main_context_new ();
      owners[i].other = &owners[1 - i];
      owners[1 - i].side = (Side) { contexts[i], &n_inside, 0 };
      aio_context_attach (contexts[i], owners[i].main_context);
    }
  for (i = 0; i < 2; i++)
    threads[i] = thread_start (own_and_call, &owners[i]);
  for (i = 0; i < 2; i++)
    thread_join (threads[i]);
  for (i = 0; i < 2; i++)
    {
      g_assert_cmpuint (owners[i].side.n_calls, ==, 1);
      aio_context_detach (contexts[i]);
      aio_context_unref (contexts[i]);
      g_main_context_unref (owners[i].main_context);
    }
}

static void
test_main_owners_across (void)
{
  guint n = g_test_thorough () ? 5000 : 300;
  guint i;

  g_test_summary ("C29, C17: so do two of them that call each other");
  for (i = 0; i < n; i++)
    {
      owners_across ();
      aio_test_moved ();
    }
}

/* ---- A context without a home thread is lent to one thread at a time ---- */

#define LENT_ROUNDS (g_test_thorough () ? 30000u : 1000u)

typedef struct
{
  AioContext *context;
  gboolean polls;
  guint n_inside;
  guint n_calls;
} Lent;

static gboolean
use_lent (gpointer       data,
          GCancellable  *cancellable,
          GError       **error)
{
  Lent *lent = data;

  g_assert_cmpuint (lent->n_inside++, ==, 0);
  g_assert_true (aio_context_is_home_thread (lent->context));
  lent->n_calls++;
  g_assert_cmpuint (--lent->n_inside, ==, 0);
  /* This makes calls of others that were refused the context, and have posted. */
  if (lent->polls)
    aio_context_poll (lent->context, FALSE);
  return TRUE;
}

static gboolean
is_enough (gpointer       data,
           GCancellable  *cancellable,
           GError       **error)
{
  Lent *lent = data;

  g_assert_cmpuint (lent->n_inside, ==, 0);
  return lent->n_calls >= LENT_ROUNDS;
}

static void *
use_many_times (void *data)
{
  Lent *lent = data;
  guint i;

  for (i = 0; i < LENT_ROUNDS; i++)
    {
      g_assert_true (aio_context_invoke_sync (lent->context, use_lent, lent, NULL, NULL));
      aio_test_moved ();
    }
  return NULL;
}

static void
run_lent (gboolean polls)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Lent lent = { context, polls, 0, 0 };
  pthread_t threads[3];
  guint i;

  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = thread_start (use_many_times, &lent);
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    thread_join (threads[i]);
  g_assert_cmpuint (lent.n_calls, ==, 3 * LENT_ROUNDS);
  g_assert_false (aio_context_is_home_thread (context));
}

static void
test_lent (void)
{
  g_test_summary ("C29: several threads that call a context without a home thread take turns");
  run_lent (FALSE);
  run_lent (TRUE);
}

/* The main loop has its first iterations while the context is lent. */
static void
test_lent_and_main (void)
{
  g_autoptr (GMainContext) main_context = g_main_context_new ();
  g_autoptr (AioContext) context = aio_context_new ();
  Lent lent = { context, FALSE, 0, 0 };
  pthread_t thread;

  g_test_summary ("C29, C17: a context is lent while nobody has iterated its GMainContext, which "
                  "gives way until it is back");
  aio_context_attach (context, main_context);
  thread = thread_start (use_many_times, &lent);
  while (!aio_context_invoke_sync (context, is_enough, &lent, NULL, NULL))
    g_main_context_iteration (main_context, FALSE);
  thread_join (thread);
  aio_context_detach (context);
}

/* ---- The end of the context ---- */

static void
test_stopped_before (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  Counted counted = { aio_io_thread_get_context (thread), 0, 0, 0, 0 };
  GError *error = NULL;

  g_test_summary ("C29, C26: the context of a thread that was stopped is closed");
  aio_io_thread_stop (thread);
  g_assert_false (aio_context_invoke_sync (counted.context, counted_run, &counted, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_assert_nonnull (strstr (error->message, "worker"));
  g_clear_error (&error);
  g_assert_cmpuint (counted.n, ==, 0);
}

static void *
stop_thread (void *thread)
{
  aio_io_thread_stop (thread);
  return NULL;
}

static void
test_stopped_waiting (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  Counted counted = { aio_io_thread_get_context (thread), 0, 0, 0, 0 };
  Caller caller = { counted.context, counted_run, &counted, NULL, FALSE, NULL, 0, 0 };
  Gate gate = GATE_INIT;
  pthread_t stopper;

  g_test_summary ("C29, C26: a call that is accepted before the stop is made");
  gate_block (&gate, counted.context);
  caller_start (&caller);
  caller_wait_asleep (&caller);
  stopper = thread_start (stop_thread, thread);
  gate_open (&gate);
  caller_join (&caller);
  thread_join (stopper);
  caller_assert_done (&caller);
  g_assert_cmpuint (counted.n, ==, 1);
}

static void
test_stop_races (void)
{
  guint n = g_test_thorough () ? 20000 : 500;
  guint n_ran = 0;
  guint i;

  g_test_summary ("C29, C26: against a stop at any moment, the function runs and its result comes "
                  "back, or the context is closed");
  for (i = 0; i < n; i++)
    {
      AioIOThread *thread = io_new ("worker");
      Counted counted = { aio_io_thread_get_context (thread), 0, 0, 0, 0 };
      Caller caller = { counted.context, counted_run, &counted, NULL, FALSE, NULL, 0, 0 };

      caller_start (&caller);
      g_usleep ((gulong) g_test_rand_int_range (0, 60));
      aio_io_thread_stop (thread);
      caller_join (&caller);
      if (caller.error == NULL)
        caller_assert_done (&caller);
      else
        caller_assert_failed (&caller, G_IO_ERROR_CLOSED);
      g_assert_cmpuint (counted.n, ==, caller.result ? 1 : 0);
      n_ran += counted.n;
      aio_io_thread_unref (thread);
      aio_test_moved ();
    }
  g_test_message ("%u of %u ran", n_ran, n);
}

static void
test_finalised_waiting (void)
{
  AioContext *context = aio_context_new_full ("shortlived", NULL);
  Counted counted = { context, 0, 0, 0, 0 };
  Caller caller = { context, counted_run, &counted, NULL, TRUE, NULL, 0, 0 };
  guint32 timeout_ms = G_MAXUINT32;

  g_test_summary ("C29, C8: a context that is finalised closes the calls in its queue");
  aio_context_poll (context, FALSE);
  caller_start (&caller);
  caller_wait_asleep (&caller);
  /* Before it has posted it needs the context. */
  while (timeout_ms != 0)
    aio_bh_update_timeout (context, &timeout_ms);
  aio_context_unref (context);
  caller_join (&caller);
  caller_assert_failed (&caller, G_IO_ERROR_CLOSED);
  g_assert_cmpuint (counted.n, ==, 0);
}

static gboolean
drop_last (gpointer       data,
           GCancellable  *cancellable,
           GError       **error)
{
  Counted *counted = data;

  aio_context_unref (counted->context);
  return counted_run (data, cancellable, error);
}

static gboolean
drop_last_from_afar (gpointer       data,
                     GCancellable  *cancellable,
                     GError       **error)
{
  Counted *counted = data;

  return aio_context_invoke_sync (counted->context, drop_last, counted, NULL, error);
}

static void
test_last_reference (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  Counted counted = { aio_context_new (), 0, 0, 0, 0 };

  g_test_summary ("C29, C23: the function may drop the last reference to its context");
  g_assert_true (aio_context_post (counted.context, nothing, &counted, counted_destroyed));
  g_assert_true (aio_context_invoke_sync (counted.context, drop_last, &counted, NULL, NULL));
  g_assert_cmpuint (counted.n_destroyed, ==, 1);

  counted = (Counted) { aio_context_new (), 0, 0, 0, 0 };
  aio_context_poll (counted.context, FALSE);
  g_assert_true (aio_context_post (counted.context, nothing, &counted, counted_destroyed));
  g_assert_true (aio_context_invoke_sync (aio_io_thread_get_context (thread), drop_last_from_afar,
                                          &counted, NULL, NULL));
  g_assert_cmpuint (counted.n, ==, 1);
  g_assert_cmpuint (counted.n_destroyed, ==, 1);
}

/* ---- Misuse, fork ---- */

static void
test_misuse (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  GError *error = NULL;

  g_test_summary ("C28: NULL where an object is wanted, and a cancellable that is none");
  expect_critical ("*context != NULL*");
  g_assert_false (aio_context_invoke_sync (NULL, do_nothing, NULL, NULL, &error));
  expect_critical ("*func != NULL*");
  g_assert_false (aio_context_invoke_sync (context, NULL, NULL, NULL, &error));
  expect_critical ("*G_IS_CANCELLABLE*");
  g_assert_false (aio_context_invoke_sync (context, do_nothing, NULL, (GCancellable *) context,
                                           &error));
  g_test_assert_expected_messages ();
  g_assert_no_error (error);
}

typedef struct
{
  AioContext *context;
  atomic_bool over;
} Hammer;

static void *
hammer (void *data)
{
  Hammer *self = data;

  while (!atomic_load (&self->over))
    g_assert_true (aio_context_invoke_sync (self->context, do_nothing, NULL, NULL, NULL));
  return NULL;
}

static G_GNUC_NORETURN void
be_child (AioContext *of_parent)
{
  AioContext *context = aio_context_new ();
  gboolean done = aio_context_invoke_sync (context, do_nothing, NULL, NULL, NULL);
  Reports reports;

  aio_context_unref (context);
  reports_begin (&reports);
  done &= !aio_context_invoke_sync (of_parent, do_nothing, NULL, NULL, NULL);
  done &= reports_mention (&reports, "worker");
  _exit (done ? 0 : 1);
}

static void
test_fork (void)
{
  g_autoptr (AioIOThread) thread = io_new ("worker");
  Hammer self = { aio_io_thread_get_context (thread), FALSE };
  pthread_t caller = thread_start (hammer, &self);
  guint i;

  g_test_summary ("C25: a child that was forked in the middle of calls can make its own; those of "
                  "its parent are a critical warning");
  for (i = 0; i < 20; i++)
    {
      pid_t pid = fork ();
      int status;

      if (pid == 0)
        be_child (self.context);
      g_assert_cmpint (TEMP_FAILURE_RETRY (waitpid (pid, &status, 0)), ==, pid);
      g_assert_true (WIFEXITED (status) && WEXITSTATUS (status) == 0);
    }
  atomic_store (&self.over, TRUE);
  thread_join (caller);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  aio_test_add ("/invoke/at-home", test_at_home);
  aio_test_add ("/invoke/without-home", test_without_home);
  aio_test_add ("/invoke/in-io-thread", test_in_io_thread);
  aio_test_add ("/invoke/attached", test_attached);
  aio_test_add ("/invoke/errors", test_errors);
  aio_test_add ("/invoke/order", test_order);
  aio_test_add ("/invoke/cancelled/before", test_cancelled_before);
  aio_test_add ("/invoke/cancelled/waiting", test_cancelled_waiting);
  aio_test_add ("/invoke/cancelled/running", test_cancelled_running);
  aio_test_add ("/invoke/cancelled/races", test_cancel_races);
  aio_test_add ("/invoke/nested", test_nested);
  aio_test_add ("/invoke/across", test_across);
  aio_test_add ("/invoke/only-calls", test_only_calls);
  aio_test_add ("/invoke/no-overtaking", test_no_overtaking);
  aio_test_add ("/invoke/main-owner", test_main_owner);
  aio_test_add ("/invoke/main-owners-across", test_main_owners_across);
  aio_test_add ("/invoke/lent", test_lent);
  aio_test_add ("/invoke/lent-and-main", test_lent_and_main);
  aio_test_add ("/invoke/stopped/before", test_stopped_before);
  aio_test_add ("/invoke/stopped/waiting", test_stopped_waiting);
  aio_test_add ("/invoke/stopped/races", test_stop_races);
  aio_test_add ("/invoke/finalised-waiting", test_finalised_waiting);
  aio_test_add ("/invoke/last-reference", test_last_reference);
  aio_test_add ("/invoke/misuse", test_misuse);
  aio_test_add ("/invoke/fork", test_fork);
  return g_test_run ();
}
