/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions that are called in the home thread of a context, and whose result comes back.
 *
 * A call is one object with a state that leaves WAITING once, under one lock: it is begun, or
 * cancelled, or the context is closed. That is all there is to "exactly once or not at all". The
 * post that brings it to the home thread holds a reference to it, so whoever gave up waiting is not
 * needed any more; and it holds none to the context, so a context can end with calls in its queue:
 * the destroy notify of the post closes them.
 *
 * Threads that wait for each other. A thread that waits makes a call that is addressed to it if it
 * would otherwise wait for the caller, and the caller for it, be it through others. So there is no
 * circle of threads that wait in aio_context_invoke_sync(). It makes no other calls, which keep
 * their place among the posts; and it does not iterate, which would run callbacks of all kinds in
 * the middle of the one that waits. */
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-fork-private.h>
#include <aioctx-gsource/aio-invoke.h>

#define INVOKE_TAG (__extension__ (gpointer) aio_context_invoke_async)

typedef enum
{
  CALL_WAITING,
  CALL_RUNNING,
  CALL_FINISHED,
  CALL_CANCELLED,       /* before it began, and it never will */
  CALL_CLOSED           /* the context ended, or was stopped, before it began */
} CallState;

typedef struct _Call Call;

struct _Call
{
  /* Immutable. */
  AioContext *context;          /* no reference; valid while the state is WAITING */
  AioAnchor *anchor;
  AioInvokeFunc func;
  gpointer data;
  GDestroyNotify destroy;       /* async: called when the task ends */
  GCancellable *cancellable;
  guint64 caller;               /* the thread that waits; 0: none does, it is async */

  /* Atomic, any thread. */
  _Atomic (guint) refs;

  /* Under the lock. */
  CallState state;
  guint64 home;                 /* who is to make it, as far as one knows; 0: nobody */
  gboolean may_move;            /* the owner of a GMainContext may be it: ask them */
  guint64 runner;               /* who makes it */
  gboolean result;              /* of the runner until the state is FINISHED, as the next */
  GError *error;
  GTask *task;                  /* async: given away when the call is over */
  gboolean task_ready;          /* its handler is connected: it may be given away */
  gulong handler;               /* async: of cancellable */
  Call *next_waiting;           /* sync: the list of calls that threads wait for */
  pthread_cond_t changed;       /* sync: for who waits: look again */
};

/* Guards all calls. Locks of contexts are taken inside it, never the other way round; and no
 * callback runs while it is held. */
static pthread_mutex_t calls_lock = PTHREAD_MUTEX_INITIALIZER;
static Call *waiting_calls;     /* oldest first */

static void
lock_calls (void)
{
  pthread_mutex_lock (&calls_lock);
}

static void
unlock_calls (void)
{
  pthread_mutex_unlock (&calls_lock);
}

/* The child of a fork() gets the lock free and the list whole. What is in it then belongs to
 * threads that the child does not have, and is passed over. */
AIO_FORK_HANDLERS (lock_calls, unlock_calls, unlock_calls)

/* The lock is what hands the new call to a thread that cancels it. The reference comes before: who
 * has a toggle reference to the cancellable is called. */
static Call *
call_new (AioContext    *context,
          AioInvokeFunc  func,
          gpointer       data,
          GCancellable  *cancellable)
{
  Call *call = g_new0 (Call, 1);

  if (cancellable != NULL)
    g_object_ref (cancellable);
  lock_calls ();
  call->context = context;
  call->anchor = aio_anchor_ref (context->anchor);
  call->func = func;
  call->data = data;
  call->cancellable = cancellable;
  pthread_cond_init (&call->changed, NULL);
  aio_store_relaxed (&call->refs, 1);
  unlock_calls ();
  return call;
}

static Call *
call_ref (Call *call)
{
  aio_fetch_add_full (&call->refs, 1);
  return call;
}

static void
call_unref (gpointer data)
{
  Call *call = data;

  if (aio_fetch_sub_full (&call->refs, 1) != 1)
    return;
  g_clear_object (&call->cancellable);
  g_clear_error (&call->error);
  pthread_cond_destroy (&call->changed);
  aio_anchor_unref (call->anchor);
  g_free (call);
}

/* Threads that wait look again whether there is a call that they can make: who waits for whom has
 * changed. Those in the list of another process do not exist. */
static void
wake_waiting_locked (void)
{
  for (Call *call = waiting_calls; call != NULL; call = call->next_waiting)
    if (!aio_anchor_is_forked (call->anchor))
      pthread_cond_signal (&call->changed);
}

/* --- Running ---------------------------------------------------------------------------------- */

/* Only one thread can begin it. If it is another one than was thought, that may close a circle. */
static void
call_begin_locked (Call *call)
{
  call->state = CALL_RUNNING;
  call->runner = aio_home_self ();
  if (call->runner != call->home)
    wake_waiting_locked ();
}

static gboolean
call_func (AioAnchor      *anchor,
           AioInvokeFunc   func,
           gpointer        data,
           GCancellable   *cancellable,
           GError        **error)
{
  GError *reason = NULL;
  gboolean result = func (data, cancellable, &reason);

  if (result && reason != NULL)
    {
      g_critical ("AioContext “%s”: an invoked function returned TRUE and set an error: %s",
                  anchor->name, reason->message);
      g_clear_error (&reason);
    }
  if (reason != NULL)
    g_propagate_error (error, reason);
  return result;
}

/* In the state RUNNING, so nobody else touches the result; in the home thread of the context, which
 * is entered. */
static void
call_run (Call *call)
{
  call->result = call_func (call->anchor, call->func, call->data, call->cancellable, &call->error);
}

/* What the caller is told when the call is over. */
static gboolean
call_take_outcome (Call    *call,
                   GError **error)
{
  switch (call->state)
    {
    case CALL_CANCELLED:
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CANCELLED, "Operation was cancelled");
      return FALSE;
    case CALL_CLOSED:
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED,
                   "AioContext “%s” was closed before it could call the function",
                   call->anchor->name);
      return FALSE;
    case CALL_FINISHED:
      if (call->error != NULL)
        g_propagate_error (error, g_steal_pointer (&call->error));
      return call->result;
    case CALL_WAITING:
    case CALL_RUNNING:
      break;
    }
  g_assert_not_reached ();
}

/* Any thread: the call is over, and the caller is told. An async one gives its task away. */
static void deliver_task (GTask *task);

static void
call_tell (Call *call)
{
  GTask *task;

  lock_calls ();
  task = g_steal_pointer (&call->task);
  pthread_cond_signal (&call->changed);
  unlock_calls ();
  if (task != NULL)
    deliver_task (task);
}

/* It has run. From here on the caller may go on, and end the context. */
static void
call_finish (Call *call)
{
  lock_calls ();
  call->state = CALL_FINISHED;
  unlock_calls ();
  call_tell (call);
}

/* It will not run, unless it has begun. */
static void
call_give_up (Call      *call,
              CallState  state)
{
  gboolean over;

  lock_calls ();
  over = call->state == CALL_WAITING;
  if (over)
    call->state = state;
  /* Not ready: who is connecting the handler tells. */
  over &= call->task == NULL || call->task_ready;
  unlock_calls ();
  if (over)
    call_tell (call);
}

/* The handler has a reference to the call, and GLib orders what it does behind the making of the
 * call and before its end by locks of its own. Thread sanitizers do not see those; what they see is
 * our lock, and the count of a reference that is taken all the same. */
static void
on_cancelled (GCancellable *cancellable,
              gpointer      data)
{
  Call *call;

  lock_calls ();
  call = call_ref (data);
  unlock_calls ();
  call_give_up (call, CALL_CANCELLED);
  call_unref (call);
}

/* Disconnecting does not wait for a handler that is running in another thread, as
 * g_cancellable_disconnect() does; it could be that we are inside another handler of the same
 * emission. Each handler has a reference to its call. */
static gulong
call_connect (Call *call)
{
  if (call->cancellable == NULL)
    return 0;
  return g_cancellable_connect (call->cancellable, G_CALLBACK (on_cancelled), call_ref (call),
                                call_unref);
}

static void
call_disconnect (Call   *call,
                 gulong  handler)
{
  if (handler != 0)
    g_signal_handler_disconnect (call->cancellable, handler);
}

/* The post, in the home thread. Another thread may have made the call by now, or given it up. */
static void
on_posted (gpointer data)
{
  Call *call = data;
  gboolean mine;

  lock_calls ();
  mine = call->state == CALL_WAITING;
  if (mine)
    call_begin_locked (call);
  unlock_calls ();
  if (!mine)
    return;
  call_run (call);
  call_finish (call);
}

/* Behind the run, or in place of it: then the context has refused the post, or has ended. */
static void
on_post_gone (gpointer data)
{
  call_give_up (data, CALL_CLOSED);
  call_unref (data);
}

static void
call_post (Call *call)
{
  aio_context_post (call->context, on_posted, call_ref (call), on_post_gone);
}

/* --- Waiting ---------------------------------------------------------------------------------- */

static void
enter_list_locked (Call *call)
{
  Call **link = &waiting_calls;

  while (*link != NULL)
    link = &(*link)->next_waiting;
  *link = call;
}

static void
leave_list_locked (Call *call)
{
  Call **link = &waiting_calls;

  while (*link != call)
    link = &(*link)->next_waiting;
  *link = call->next_waiting;
}

/* The context was lent to this thread. Whoever was refused it meanwhile, and waits, tries again. */
static void
give_back (AioContext        *context,
           const AioHomeLoan *loan)
{
  aio_home_give_back (&context->anchor->home, loan);
  if (!loan->changed)
    return;
  AIO_PAUSE (GIVEN_BACK);
  lock_calls ();
  wake_waiting_locked ();
  unlock_calls ();
}

/* The call that the thread waits for; if there are several, the last one is the innermost. */
static Call *
innermost_locked (guint64 thread)
{
  Call *found = NULL;

  for (Call *call = waiting_calls; call != NULL; call = call->next_waiting)
    if (call->caller == thread && !aio_anchor_is_forked (call->anchor))
      found = call;
  return found;
}

/* Does one thread wait until another returns? Each thread waits for one other at most: the one that
 * makes its call or is going to. The bound is for circles that are about to be broken elsewhere. */
static gboolean
waits_for_locked (guint64 thread,
                  guint64 other)
{
  for (Call *bound = waiting_calls; thread != other && bound != NULL; bound = bound->next_waiting)
    {
      Call *call = innermost_locked (thread);

      if (call == NULL)
        return FALSE;
      thread = call->state == CALL_WAITING ? call->home : call->runner;
    }
  return thread == other;
}

/* The home rule learns of the owner of a GMainContext when that iterates; before that only the
 * owner itself can tell. All who wait are asked, and learn the answer. */
static void
tell_home_locked (Call *call)
{
  guint64 self = aio_home_self ();

  if (!call->may_move || call->home == self || !aio_context_is_home_thread (call->context))
    return;
  call->home = self;
  wake_waiting_locked ();
}

/* The context of the thread's own call is another's. That may be another one than before: who has
 * just been given it back, or has taken it since. Who looks for circles has to know. */
static void
learn_home_locked (Call *call)
{
  gboolean may_move = aio_context_may_move (call->context);
  guint64 home = may_move ? call->home : aio_load_relaxed (&call->anchor->home.thread);

  if (call->home == home && call->may_move == may_move)
    return;
  call->home = home;
  call->may_move = may_move;
  wake_waiting_locked ();
}

/* Finds a call that this thread may make: it is the home thread, or there is none, and would wait
 * in a circle. Its own call may be such a one, if the context was lent to another thread before. As
 * long as the state is WAITING the context is there, because its end would close the call first,
 * for which it needs the lock. It may have begun to end, though. The call is begun, and has a
 * reference to its context. */
static Call *
begin_one_locked (AioHomeLoan *loan)
{
  for (Call *call = waiting_calls; call != NULL; call = call->next_waiting)
    {
      if (call->state != CALL_WAITING || aio_anchor_is_forked (call->anchor))
        continue;
      tell_home_locked (call);
      if (!waits_for_locked (aio_home_self (), call->caller))
        continue;
      if (!aio_context_borrow (call->context, loan))
        {
          if (call->caller == aio_home_self ())
            learn_home_locked (call);
          continue;
        }
      if (aio_context_try_ref (call->context))
        {
          call_begin_locked (call);
          return call_ref (call);
        }
      aio_home_give_back (&call->anchor->home, loan);
    }
  return NULL;
}

/* The caller is told when this thread has left the context and dropped its reference: then it is as
 * if the caller had borrowed it. */
static void
run_lent (Call              *call,
          const AioHomeLoan *loan)
{
  AioVisit visit;

  aio_context_enter (call->context, G_STRFUNC, &visit);
  call_run (call);
  aio_context_leave (call->context, &visit);
  give_back (call->context, loan);
  aio_context_unref (call->context);
  call_finish (call);
  call_unref (call);
}

/* Makes calls of others meanwhile. What is in the list has been posted; so it may have begun, and
 * the one who makes it may wait for us by now, through others, when nobody could see yet that this
 * closes a circle. Hence all look again; and once more whenever this thread has made a call, within
 * which it may have waited for somebody else. */
static void
wait_for_call (Call *call)
{
  lock_calls ();
  enter_list_locked (call);
  wake_waiting_locked ();
  while (call->state == CALL_WAITING || call->state == CALL_RUNNING)
    {
      AioHomeLoan loan;
      Call *other = begin_one_locked (&loan);

      if (other == NULL)
        {
          pthread_cond_wait (&call->changed, &calls_lock);
          continue;
        }
      unlock_calls ();
      run_lent (other, &loan);
      lock_calls ();
      wake_waiting_locked ();
    }
  leave_list_locked (call);
  unlock_calls ();
}

/* In the home thread, or while there is none. */
static gboolean
invoke_inline (AioContext         *context,
               AioInvokeFunc       func,
               gpointer            data,
               GCancellable       *cancellable,
               const AioHomeLoan  *loan,
               GError            **error)
{
  AioVisit visit;
  gboolean result;

  AIO_PAUSE (BORROWED);
  aio_context_ref (context);
  aio_context_enter (context, G_STRFUNC, &visit);
  result = call_func (context->anchor, func, data, cancellable, error);
  aio_context_leave (context, &visit);
  give_back (context, loan);
  aio_context_unref (context);
  return result;
}

/* Once it is posted, the context may end at any moment. */
static gboolean
invoke_and_wait (AioContext     *context,
                 AioInvokeFunc   func,
                 gpointer        data,
                 GCancellable   *cancellable,
                 GError        **error)
{
  Call *call = call_new (context, func, data, cancellable);
  gulong handler;
  gboolean result;

  call->caller = aio_home_self ();
  call->home = aio_load_relaxed (&context->anchor->home.thread);
  call->may_move = aio_context_may_move (context);
  handler = call_connect (call);
  call_post (call);
  wait_for_call (call);
  call_disconnect (call, handler);
  result = call_take_outcome (call, error);
  call_unref (call);
  return result;
}

/**
 * aio_context_invoke_sync:
 * @context: a context
 * @func: (scope call) (closure data): what to call
 * @data: passed to @func
 * @cancellable: (nullable): cancels the call as long as @func has not begun; also passed to @func
 * @error: where to store an error
 *
 * Calls a function in the home thread of the context, and waits for its result.
 *
 * In the home thread it is called at once; likewise if there is none, in the calling thread, which
 * is the home thread for the duration. Otherwise it is called in order with what is posted, and the
 * caller waits. A home thread that never iterates again makes it wait for ever, save for
 * @cancellable.
 *
 * When @cancellable fires before @func has begun, it will not begin, and this returns
 * %G_IO_ERROR_CANCELLED. Once it has begun, this returns when it is over, with its result. So @func
 * never outlives the call.
 *
 * Calls may be nested in circles: when the thread that waits here is itself waited for, through
 * other calls of this kind, by the one that it waits for, it makes the call that closes the circle.
 * Such a call comes before what was posted earlier. Nothing else runs in the thread that waits.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: what @func returned; %FALSE with @error set to %G_IO_ERROR_CANCELLED or, if the context
 *   was stopped or finalised before, to %G_IO_ERROR_CLOSED: then @func was not called
 *
 * Since: 1.0
 */
gboolean
aio_context_invoke_sync (AioContext     *context,
                         AioInvokeFunc   func,
                         gpointer        data,
                         GCancellable   *cancellable,
                         GError        **error)
{
  AioHomeLoan loan;

  g_return_val_if_fail (context != NULL, FALSE);
  g_return_val_if_fail (func != NULL, FALSE);
  g_return_val_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);
  if (!aio_anchor_is_usable (context->anchor, G_STRFUNC))
    return FALSE;

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (aio_context_borrow (context, &loan))
    return invoke_inline (context, func, data, cancellable, &loan, error);
  return invoke_and_wait (context, func, data, cancellable, error);
}

/* --- Without waiting -------------------------------------------------------------------------- */

/* In the caller's GMainContext. The lock is what hands the results over. */
static gboolean
return_task (gpointer data)
{
  GTask *task = data;
  Call *call = g_task_get_task_data (task);
  GError *error = NULL;
  gboolean result;
  gulong handler;

  lock_calls ();
  handler = call->handler;
  unlock_calls ();
  call_disconnect (call, handler);
  result = call_take_outcome (call, &error);
  if (error != NULL)
    g_task_return_error (task, error);
  else
    g_task_return_boolean (task, result);
  return G_SOURCE_REMOVE;
}

/* Any thread. To return the task right here would do the same, but its last reference could then go
 * in this thread or in that, and with it the data. The lock keeps return_task() waiting until the
 * source is let go of: behind that the GMainContext may end, and GLib does not expect one that ends
 * in the middle of g_source_unref(). */
static void
deliver_task (GTask *task)
{
  GSource *source = g_idle_source_new ();

  g_source_set_static_name (source, "[AioContext] invoke");
  g_source_set_priority (source, g_task_get_priority (task));
  g_source_set_callback (source, return_task, task, g_object_unref);
  lock_calls ();
  g_source_attach (source, g_task_get_context (task));
  g_source_unref (source);
  unlock_calls ();
}

/* The task ends, and with it the data: the function has run, or never will. */
static void
on_task_gone (gpointer data)
{
  Call *call = data;

  if (call->destroy != NULL)
    call->destroy (call->data);
  call_unref (call);
}

/* The lock, as in call_new(). */
static void
call_give_task (Call           *call,
                GTask          *task,
                GDestroyNotify  destroy)
{
  g_task_set_task_data (task, call_ref (call), on_task_gone);
  lock_calls ();
  call->destroy = destroy;
  call->task = task;
  unlock_calls ();
}

/* Returns whether it is still to run. */
static gboolean
make_task_ready (Call   *call,
                 gulong  handler)
{
  gboolean waiting;

  AIO_PAUSE (CONNECTED);
  lock_calls ();
  call->handler = handler;
  call->task_ready = TRUE;
  waiting = call->state == CALL_WAITING;
  unlock_calls ();
  return waiting;
}

/**
 * aio_context_invoke_async:
 * @context: a context
 * @func: (scope notified) (closure data) (destroy destroy): what to call
 * @data: passed to @func
 * @destroy: (nullable): called once with @data, when the result is not needed any more
 * @cancellable: (nullable): cancels the call as long as @func has not begun; also passed to @func
 * @callback: (nullable) (scope async) (closure user_data): called when the result is there
 * @user_data: passed to @callback
 *
 * Calls a function in the home thread of the context, in order with what is posted there, and does
 * not wait.
 *
 * The callback comes in the thread-default #GMainContext of the caller, never before this function
 * has returned. The source object of the result is %NULL. @data lives until the callback has
 * returned, and ends in that #GMainContext, save if the callback keeps a reference to the result.
 *
 * When @cancellable fires before @func has begun, it will not begin, and the result is
 * %G_IO_ERROR_CANCELLED, without waiting for the home thread. Once it has begun, the result is that
 * of @func, cancelled or not.
 *
 * The call does not keep the context alive. When that is stopped or finalised before, the result is
 * %G_IO_ERROR_CLOSED.
 *
 * Thread: any thread. Not signal safe.
 *
 * Since: 1.0
 */
void
aio_context_invoke_async (AioContext          *context,
                          AioInvokeFunc        func,
                          gpointer             data,
                          GDestroyNotify       destroy,
                          GCancellable        *cancellable,
                          GAsyncReadyCallback  callback,
                          gpointer             user_data)
{
  Call *call;
  GTask *task;

  g_return_if_fail (context != NULL);
  g_return_if_fail (func != NULL);
  g_return_if_fail (cancellable == NULL || G_IS_CANCELLABLE (cancellable));
  if (!aio_anchor_is_usable (context->anchor, G_STRFUNC))
    return;

  call = call_new (context, func, data, cancellable);
  task = g_task_new (NULL, cancellable, callback, user_data);
  g_task_set_source_tag (task, INVOKE_TAG);
  /* What the function returned counts, also if it was cancelled while it ran. */
  g_task_set_check_cancellable (task, FALSE);
  call_give_task (call, task, destroy);
  if (make_task_ready (call, call_connect (call)))
    call_post (call);
  else
    call_tell (call);
  call_unref (call);
}

/**
 * aio_context_invoke_finish:
 * @context: the context; it need not exist any more
 * @result: what the callback of [method@Aio.Context.invoke_async] was given
 * @error: where to store an error
 *
 * Gets the result of a call.
 *
 * Thread: any thread.
 *
 * Returns: what the function returned; %FALSE with @error set, see
 *   [method@Aio.Context.invoke_async]
 *
 * Since: 1.0
 */
gboolean
aio_context_invoke_finish (AioContext    *context,
                           GAsyncResult  *result,
                           GError       **error)
{
  Call *call;

  g_return_val_if_fail (context != NULL, FALSE);
  g_return_val_if_fail (g_task_is_valid (result, NULL), FALSE);
  g_return_val_if_fail (g_async_result_is_tagged (result, INVOKE_TAG), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  call = g_task_get_task_data (G_TASK (result));
  g_return_val_if_fail (call->context == context, FALSE);
  return g_task_propagate_boolean (G_TASK (result), error);
}
