/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The timers of a context: the public functions that are given a context. */
#include <aioctx-gsource/aio-context-private.h>

static gboolean
is_clock (AioClock clock)
{
  return (guint) clock < AIO_N_CLOCKS;
}

/**
 * aio_timer_init: (skip)
 * @timer: (out caller-allocates): memory for a timer that is not in use
 * @context: the context that it runs in
 * @clock: what its deadlines are measured by
 * @func: (scope forever) (closure data): what to call
 * @data: passed to @func
 *
 * Makes a timer that is embedded in something else. It is not armed yet. Clear it with
 * [method@Aio.Timer.clear] before its memory goes; the context may be gone by then.
 *
 * Thread: any thread.
 *
 * Since: 1.0
 */
void
aio_timer_init (AioTimer     *timer,
                AioContext   *context,
                AioClock      clock,
                AioTimerFunc  func,
                gpointer      data)
{
  g_return_if_fail (timer != NULL);

  /* One that cannot be had is none: it may be cleared, as one that is all zeros. */
  *timer = (AioTimer) { 0 };
  g_return_if_fail (context != NULL);
  g_return_if_fail (is_clock (clock));
  g_return_if_fail (func != NULL);
  if (aio_context_takes_new (context, G_STRFUNC))
    aio_timer_node_init ((AioTimerNode *) timer, context->timers, clock, func, data, NULL);
}

/**
 * aio_timer_new: (constructor)
 * @context: the context that it runs in
 * @clock: what its deadlines are measured by
 * @func: (scope notified) (closure data) (destroy destroy): what to call
 * @data: passed to @func
 * @destroy: (nullable): called once with @data when the timer is freed, or when the context ends
 *   before that
 *
 * Makes a timer on the heap. It is not armed yet.
 *
 * Thread: any thread.
 *
 * Returns: (transfer full): the timer
 *
 * Since: 1.0
 */
AioTimer *
aio_timer_new (AioContext     *context,
               AioClock        clock,
               AioTimerFunc    func,
               gpointer        data,
               GDestroyNotify  destroy)
{
  AioTimer *timer;

  g_return_val_if_fail (context != NULL, NULL);
  g_return_val_if_fail (is_clock (clock), NULL);
  g_return_val_if_fail (func != NULL, NULL);
  if (!aio_context_takes_new (context, G_STRFUNC))
    return NULL;

  timer = g_new (AioTimer, 1);
  aio_timer_node_init ((AioTimerNode *) timer, context->timers, clock, func, data, destroy);
  aio_timer_node_put_on_heap ((AioTimerNode *) timer);
  return timer;
}

/**
 * aio_context_get_time_ns:
 * @context: a context
 * @clock: a clock
 *
 * Reads a clock, as the timers of the context do.
 *
 * Thread: any thread.
 *
 * Returns: nanoseconds; what they count from depends on the clock
 *
 * Since: 1.0
 */
gint64
aio_context_get_time_ns (AioContext *context,
                         AioClock    clock)
{
  g_return_val_if_fail (context != NULL, -1);
  g_return_val_if_fail (is_clock (clock), -1);
  if (!aio_anchor_is_usable (context->anchor, G_STRFUNC))
    return -1;

  return aio_timer_set_now (context->timers, aio_timer_set_clock (context->timers, clock));
}
