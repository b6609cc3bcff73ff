/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The bottom halves of a context: the public functions that are given a context, or
 * give one. */
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-bh.h>

/* These are functions here; programs get the macros, which add the callback's name. */
#undef aio_bh_new
#undef aio_bh_schedule_oneshot

#define DEFAULT_NAME "unnamed"

/**
 * aio_bh_new: (skip)
 * @context: a context
 * @func: what to run
 * @data: passed to @func
 *
 * Makes a bottom half. There is a macro of the same name, which makes the function's name the name
 * of the bottom half.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: (transfer none): the bottom half; it belongs to the context until
 *   [method@Aio.BH.delete]
 *
 * Since: 1.0
 */
AioBH *
aio_bh_new (AioContext *context,
            AioBHFunc   func,
            gpointer    data)
{
  return aio_bh_new_full (context, DEFAULT_NAME, func, data, NULL);
}

/**
 * aio_bh_new_full: (constructor) (rename-to aio_bh_new)
 * @context: a context
 * @name: (nullable): a name for reports; it is interned
 * @func: (scope notified) (closure data) (destroy destroy): what to run
 * @data: passed to @func
 * @destroy: (nullable): called once with @data when the bottom half ends
 *
 * Makes a bottom half, with a name and a destroy notify. Nothing is scheduled yet.
 *
 * The destroy notify runs in the home thread, or in the thread that finalises the context. It may
 * schedule and delete, but not iterate.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: (transfer none): the bottom half; it belongs to the context until
 *   [method@Aio.BH.delete]
 *
 * Since: 1.0
 */
AioBH *
aio_bh_new_full (AioContext     *context,
                 const char     *name,
                 AioBHFunc       func,
                 gpointer        data,
                 GDestroyNotify  destroy)
{
  g_return_val_if_fail (context != NULL, NULL);
  g_return_val_if_fail (func != NULL, NULL);
  if (!aio_context_takes_new (context, G_STRFUNC))
    return NULL;

  return aio_bh_set_add (&context->bhs, name != NULL ? name : DEFAULT_NAME, func, data, destroy);
}

/**
 * aio_bh_get_context:
 * @bh: a bottom half
 *
 * Gets the context that the bottom half runs in.
 *
 * Thread: home thread.
 *
 * Returns: (transfer none) (nullable): the context, %NULL when @bh is dead
 *
 * Since: 1.0
 */
AioContext *
aio_bh_get_context (AioBH *bh)
{
  g_return_val_if_fail (bh != NULL, NULL);
  if (!aio_anchor_is_usable (bh->anchor, G_STRFUNC))
    return NULL;
  if (aio_home_is_taken (&bh->anchor->home))
    {
      g_critical ("%s: AioContext “%s” of bottom half “%s” is iterated by another thread",
                  G_STRFUNC, bh->anchor->name, bh->name);
      return NULL;
    }

  /* A dead one has no context any more. */
  if (aio_load_acquire (&bh->life) != AIO_BH_LIVE)
    return NULL;
  aio_context_frown_at_thread (bh->set->context, G_STRFUNC);
  return bh->set->context;
}

/**
 * aio_bh_schedule_oneshot: (skip)
 * @context: a context
 * @func: what to run
 * @data: passed to @func
 *
 * Schedules a callback that runs once and needs no bottom half. There is a macro of the same name,
 * which adds the function's name for reports.
 *
 * Thread: any thread. Not signal safe.
 *
 * Since: 1.0
 */
void
aio_bh_schedule_oneshot (AioContext *context,
                         AioBHFunc   func,
                         gpointer    data)
{
  aio_bh_schedule_oneshot_full (context, NULL, func, data, NULL);
}

/**
 * aio_bh_schedule_oneshot_full:
 * @context: a context
 * @name: (nullable): a name for reports; it is interned
 * @func: (scope notified) (closure data) (destroy destroy): what to run
 * @data: passed to @func
 * @destroy: (nullable): called once with @data, after the run or instead of it
 *
 * Schedules a callback that runs once and then frees itself, in order with bottom halves and posts.
 *
 * A one-shot that has not run when the context ends is dropped, with its destroy notify.
 *
 * Thread: any thread. Not signal safe.
 *
 * Since: 1.0
 */
void
aio_bh_schedule_oneshot_full (AioContext     *context,
                              const char     *name,
                              AioBHFunc       func,
                              gpointer        data,
                              GDestroyNotify  destroy)
{
  g_return_if_fail (context != NULL);
  g_return_if_fail (func != NULL);
  if (!aio_anchor_is_usable (context->anchor, G_STRFUNC))
    return;

  aio_bh_set_add_oneshot (&context->bhs, g_intern_string (name), func, data, destroy);
}

/**
 * aio_context_post:
 * @context: a context
 * @func: (scope notified) (closure data) (destroy destroy): what to run
 * @data: passed to @func
 * @destroy: (nullable): called once with @data, after the run or instead of it
 *
 * Runs a function in the home thread of the context, in order with everything that is posted or
 * scheduled there, and never before this function has returned in the same thread.
 *
 * The context of an I/O thread that was stopped is closed: it takes no posts.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: %TRUE if it will run; %FALSE if the context is closed, and then @destroy has been called
 *
 * Since: 1.0
 */
gboolean
aio_context_post (AioContext     *context,
                  AioBHFunc       func,
                  gpointer        data,
                  GDestroyNotify  destroy)
{
  g_return_val_if_fail (context != NULL, FALSE);
  g_return_val_if_fail (func != NULL, FALSE);
  if (!aio_anchor_is_usable (context->anchor, G_STRFUNC))
    return FALSE;

  return aio_bh_set_post (&context->bhs, func, data, destroy);
}

/**
 * aio_bh_poll:
 * @context: a context
 *
 * Runs what is scheduled: one pass over the bottom halves, one-shots and posts that were pending
 * when it began, idle ones too. It never sleeps, and costs as much as there is to run, whatever is
 * registered.
 *
 * Thread: home thread. As for [method@Aio.Context.poll].
 *
 * Returns: 1 if anything but idle bottom halves ran, else 0
 *
 * Since: 1.0
 */
int
aio_bh_poll (AioContext *context)
{
  AioVisit visit;
  gboolean progress;

  g_return_val_if_fail (context != NULL, 0);
  if (!aio_context_enter (context, G_STRFUNC, &visit))
    return 0;

  progress = aio_context_run_bhs (context);
  aio_context_leave (context, &visit);
  return progress ? 1 : 0;
}

/**
 * aio_bh_update_timeout:
 * @context: a context
 * @timeout_ms: (inout): a timeout in milliseconds; %G_MAXUINT32 for ever
 *
 * Lowers a timeout as far as the bottom halves ask for it: to 0 if a normal one is pending, to at
 * most 10 if only idle ones are; else it is left alone.
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_bh_update_timeout (AioContext *context,
                       guint32    *timeout_ms)
{
  AioLook look;

  g_return_if_fail (context != NULL);
  g_return_if_fail (timeout_ms != NULL);
  /* Looking takes what is cancelled out of the queue, and that is for the home thread alone. */
  if (!aio_context_take_home (context, G_STRFUNC))
    return;

  look = aio_bh_set_look (&context->bhs);
  if (look >= AIO_LOOK_HOLE)
    *timeout_ms = 0;
  else if (look == AIO_LOOK_IDLE)
    *timeout_ms = MIN (*timeout_ms, AIO_IDLE_DELAY_MS);
}
