/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a context comes into being and how it ends; whose it is meanwhile. */
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-boxed-private.h>
#include <aioctx-gsource/aio-fork-private.h>
#include <aioctx-gsource/aio-trace-private.h>

/**
 * AioContext:
 *
 * An event loop unit: bottom halves that any thread and any signal handler can schedule.
 *
 * It is driven by a #GMainContext ([method@Aio.Context.attach]), by itself
 * ([method@Aio.Context.poll]), by the loop of an I/O thread ([struct@Aio.IOThread]) or by a foreign
 * event loop ([method@Aio.Context.get_fd]). The thread that does so is its home thread; callbacks
 * run there and nowhere else.
 *
 * Since: 1.0
 */
AIO_DEFINE_BOXED_TYPE (AioContext, aio_context, aio_context_ref, aio_context_unref)

/**
 * aio_context_new:
 *
 * Makes a context without a name. Ends the program if the system has no descriptor left, as
 * g_main_context_new() does.
 *
 * Thread: any thread.
 *
 * Returns: (transfer full): the context
 *
 * Since: 1.0
 */
AioContext *
aio_context_new (void)
{
  GError *error = NULL;
  AioContext *context = aio_context_new_full (NULL, &error);

  if (context == NULL)
    g_error ("%s", error->message);
  return context;
}

/**
 * aio_context_new_full:
 * @name: (nullable): a name for reports; it is copied
 * @error: where to store an error
 *
 * Makes a context.
 *
 * Thread: any thread.
 *
 * Returns: (transfer full) (nullable): the context, or %NULL with @error set, in the domain
 *   %G_IO_ERROR, if the system has no descriptor left
 *
 * Since: 1.0
 */
AioContext *
aio_context_new_full (const char  *name,
                      GError     **error)
{
  AioAnchor *anchor;
  AioContext *context;

  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  anchor = aio_anchor_new (name != NULL ? name : "unnamed", error);
  if (anchor == NULL)
    return NULL;

  context = g_aligned_alloc0 (1, sizeof (AioContext), 64);
  context->anchor = anchor;
  aio_store_relaxed (&context->refs, 1);
  aio_store_relaxed (&context->priority, G_PRIORITY_DEFAULT);
  aio_meter_init (&context->meter, context, anchor->name);
  aio_bh_set_init (&context->bhs, anchor, context, &context->meter);
  aio_fd_set_init (&context->fds, anchor, &context->meter);
  context->timers = aio_timer_set_new (anchor, &context->meter);
  for (guint clock = 0; clock < G_N_ELEMENTS (context->timerfds); clock++)
    aio_timerfd_init (&context->timerfds[clock]);
  aio_context_apply_debug (context);
  aio_context_enlist (context);
  return context;
}

/**
 * aio_context_ref:
 * @context: a context
 *
 * Takes a reference.
 *
 * Thread: any thread.
 *
 * Returns: (transfer full): @context
 *
 * Since: 1.0
 */
AioContext *
aio_context_ref (AioContext *context)
{
  g_return_val_if_fail (context != NULL, NULL);

  aio_fetch_add_full (&context->refs, 1);
  return context;
}

/* For who knows that the memory is there still, but not whether the context has begun to end: then
 * it is FALSE. */
gboolean
aio_context_try_ref (AioContext *context)
{
  guint refs = aio_load_acquire (&context->refs);

  while (refs != 0)
    if (aio_compare_and_swap_full (&context->refs, &refs, refs + 1))
      return TRUE;
  return FALSE;
}

/**
 * aio_context_unref:
 * @context: (transfer full): a context
 *
 * Drops a reference. With the last one the context ends: what is left in it is dropped, with its
 * destroy notify, and bottom halves that were not deleted are named in a critical warning. In a
 * callback the end comes after the outermost iteration.
 *
 * While it is attached its #GMainContext holds a reference.
 *
 * Thread: any thread, if no other iterates the context. Not signal safe.
 *
 * Since: 1.0
 */
void
aio_context_unref (AioContext *context)
{
  AioHome *home;

  g_return_if_fail (context != NULL);

  home = &context->anchor->home;
  if (aio_fetch_sub_full (&context->refs, 1) != 1)
    return;
  /* Acquire: pairs with aio_home_leave(), as a move of home does. In a forked child the thread that
   * iterated does not exist, unless it is the one that forked. */
  if (aio_load_acquire (&home->depth) != 0 &&
      (aio_home_is_self (home) || !aio_fork_is_child (home->fork_generation)))
    return;

  /* Nobody iterates, and nobody has a reference to begin with: this thread is the home thread. */
  aio_home_pin (home, aio_home_self ());
  aio_home_enter (home);
  aio_context_finalize (context);
}

/* One g_critical for all that is left: a report that comes in pieces is hard to read. In a forked
 * child, which cannot delete anything, there is nobody to blame. */
static void
close_parts (AioContext *context)
{
  GString *names = g_string_new (NULL);

  context->ending = TRUE;
  aio_bh_set_close (&context->bhs, names);
  aio_fd_set_close (&context->fds, names);
  aio_timer_set_close (context->timers, names);
  if (names->len != 0 && !aio_anchor_is_forked (context->anchor))
    {
      AIO_TRACE2 (leak, context->anchor->name, names->str);
      g_critical ("AioContext “%s” was finalised with callbacks that were not deleted: %s",
                  context->anchor->name, names->str);
    }
  g_string_free (names, TRUE);
}

/* While the rest is still there: the function that slow callbacks are reported to has a destroy
 * notify, too. */
static void
stop_measuring (AioContext *context)
{
  if (aio_meter_profiles (&context->meter))
    {
      aio_meter_use (&context->meter, AIO_METER_PROFILE, FALSE);
      aio_bh_set_profile (&context->bhs, FALSE);
    }
  aio_meter_clear (&context->meter);
  aio_context_log_wakes (context, FALSE);
}

/* In the home thread, with a depth of 1: so the destroy notifies that run here may delete bottom
 * halves as in any callback, and may pass references around without ending the context twice. */
void
aio_context_finalize (AioContext *context)
{
  AioAnchor *anchor = context->anchor;

  aio_context_delist (context);
  if (context->shell != NULL)
    aio_context_let_go_of_shell (context);
  close_parts (context);
  stop_measuring (context);
  aio_fd_set_drop_all (&context->fds);
  aio_timer_set_drop_all (context->timers);
  aio_bh_set_drop_all (&context->bhs);
  aio_fd_set_clear (&context->fds);
  for (guint clock = 0; clock < G_N_ELEMENTS (context->timerfds); clock++)
    aio_timerfd_clear (&context->timerfds[clock]);
  aio_notify_close (&anchor->notify);
  aio_timer_set_unref (context->timers);
  aio_home_leave (&anchor->home);
  aio_home_leave_for_good (&anchor->home);
  g_aligned_free (context);
  aio_anchor_unref (anchor);
}

/* A destroy notify that runs at the end of the context may take out what is left in it, but not put
 * anything new into it. */
gboolean
aio_context_takes_new (AioContext *context,
                       const char *where)
{
  if (!aio_anchor_is_usable (context->anchor, where))
    return FALSE;
  if (!context->ending)
    return TRUE;
  g_critical ("%s: AioContext “%s” is being finalised", where, context->anchor->name);
  return FALSE;
}

/**
 * aio_context_get_name:
 * @context: a context
 *
 * Gets the name that the context was made with, or a stand-in for it.
 *
 * Thread: any thread.
 *
 * Returns: (transfer none): the name
 *
 * Since: 1.0
 */
const char *
aio_context_get_name (AioContext *context)
{
  g_return_val_if_fail (context != NULL, NULL);

  return context->anchor->name;
}

/* --- The home thread -------------------------------------------------------------------------- */

static gboolean
is_main_owner (AioContext *context)
{
  gboolean owner;

  aio_home_lock (&context->anchor->home);
  owner = context->attachment != NULL &&
          g_main_context_is_owner (context->attachment->main_context);
  aio_home_unlock (&context->anchor->home);
  return owner;
}

/**
 * aio_context_is_home_thread:
 * @context: a context
 *
 * Asks whether the calling thread is the one that iterates the context, or, if nobody does at the
 * moment, the last one that did. While it is attached the owner of the #GMainContext is.
 *
 * Thread: any thread.
 *
 * Returns: %TRUE in the home thread; %FALSE elsewhere, and while there is none
 *
 * Since: 1.0
 */
gboolean
aio_context_is_home_thread (AioContext *context)
{
  g_return_val_if_fail (context != NULL, FALSE);
  if (!aio_anchor_is_usable (context->anchor, G_STRFUNC))
    return FALSE;

  return aio_home_is_self (&context->anchor->home) || is_main_owner (context);
}

/* Does the GMainContext that the context is attached to run in another thread just now? */
static gboolean
is_driven_elsewhere (AioContext *context)
{
  GMainContext *main_context = aio_context_get_main (context);

  if (main_context == NULL || g_main_context_is_owner (main_context))
    return FALSE;
  if (!g_main_context_acquire (main_context))
    return TRUE;
  g_main_context_release (main_context);
  return FALSE;
}

void
aio_context_report_taken (AioContext *context,
                          const char *where)
{
  g_critical ("%s: AioContext “%s” is iterated by another thread", where, context->anchor->name);
}

/* May the calling thread do what is reserved for the home thread? Yes in that thread, and anywhere
 * as long as nobody iterates. Catches mistakes; guards nothing. */
gboolean
aio_context_may_act (AioContext *context,
                     const char *where)
{
  AioHome *home = &context->anchor->home;

  if (!aio_anchor_is_usable (context->anchor, where))
    return FALSE;
  if (aio_home_is_self (home))
    return TRUE;
  if (!aio_home_is_taken (home) && !is_driven_elsewhere (context))
    {
      aio_context_frown_at_thread (context, where);
      return TRUE;
    }
  aio_context_report_taken (context, where);
  return FALSE;
}

typedef enum
{
  MAIN_FREE,            /* not attached, or nobody owns the GMainContext */
  MAIN_OURS,
  MAIN_OTHERS
} MainOwner;

/* GLib tells nobody else who the owner is, but whether there is one: to ask is to be the owner for
 * a moment, as in g_main_context_invoke(). Who wants to be it just then is refused, so it is asked
 * only where nothing else tells. */
static MainOwner
ask_main_owner_locked (AioContext *context)
{
  GMainContext *main_context;

  if (context->attachment == NULL)
    return MAIN_FREE;
  main_context = context->attachment->main_context;
  if (g_main_context_is_owner (main_context))
    return MAIN_OURS;
  if (aio_load_relaxed (&context->anchor->home.thread) != 0 ||
      !g_main_context_acquire (main_context))
    return MAIN_OTHERS;
  g_main_context_release (main_context);
  return MAIN_FREE;
}

/* Any thread. Under the lock, because the attachment is cleared under it, before the GMainContext
 * is freed. */
static MainOwner
ask_main_owner (AioContext *context)
{
  MainOwner owner;

  aio_home_lock (&context->anchor->home);
  owner = ask_main_owner_locked (context);
  aio_home_unlock (&context->anchor->home);
  return owner;
}

/* Any thread. Lets the caller enter the context as its home thread until aio_home_give_back(), if
 * it is that anyway, or if there is none. Reports nothing, and is a lock against other borrowers
 * and against GMainContexts. One that was stopped, and has no home thread, is not lent. */
gboolean
aio_context_borrow (AioContext  *context,
                    AioHomeLoan *loan)
{
  AioHome *home = &context->anchor->home;
  MainOwner owner;

  if (aio_home_is_self (home))
    return aio_home_borrow (home, FALSE, loan);
  if (aio_load_full (&context->bhs.closed))
    return FALSE;
  owner = ask_main_owner (context);
  return owner != MAIN_OTHERS && aio_home_borrow (home, owner == MAIN_OURS, loan);
}

/* Any thread. May a thread be entitled to be the home thread that the home rule does not know of
 * yet? */
gboolean
aio_context_may_move (AioContext *context)
{
  AioHome *home = &context->anchor->home;
  gboolean may;

  aio_home_lock (home);
  may = aio_load_relaxed (&home->thread) == 0 || (!home->pinned && context->attachment != NULL);
  aio_home_unlock (home);
  return may;
}
