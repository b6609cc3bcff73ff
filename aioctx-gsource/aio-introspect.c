/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-boxed-private.h>
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-introspect.h>

#include <string.h>

AIO_DEFINE_BOXED_TYPE (AioContextStats, aio_context_stats, aio_context_stats_copy,
                       aio_context_stats_free)

#define NSEC_PER_USEC G_GINT64_CONSTANT (1000)

G_STATIC_ASSERT (AIO_STATS_BUCKETS == AIO_METER_BUCKETS);

static void
add_profile (AioContext      *context,
             AioContextStats *stats)
{
  AioBHSet *bhs = &context->bhs;
  AioMeterFigures *figures = aio_load_acquire (&context->meter.figures);

  stats->coalesced = aio_load_relaxed (&context->anchor->n_merged) +
                     aio_load_relaxed (&bhs->n_idle_merged);
  stats->schedules = aio_load_relaxed (&bhs->n_scheduled) + stats->coalesced;
  for (guint i = 0; i < AIO_STATS_BUCKETS && figures != NULL; i++)
    {
      stats->latency[i] = aio_load_relaxed (&figures->latency[i]);
      stats->run_time[i] = aio_load_relaxed (&figures->run_time[i]);
    }
}

/**
 * aio_context_get_stats: (skip)
 * @context: a context
 * @stats: (out caller-allocates): where to store the figures
 * @size: the size of what @stats points to, `sizeof (AioContextStats)`
 *
 * Tells what the context has done so far. The figures are counted by the home thread as it goes;
 * another thread may see some of them a moment before the others.
 *
 * What needs a clock, or the help of who schedules, is counted with
 * [method@Aio.Context.set_profiling] only, from when that was switched on, and is 0 without.
 *
 * A program that was compiled against an older version gets the fields it knows; one that was
 * compiled against a newer one gets zeros in those that this version does not.
 *
 * Thread: any thread.
 *
 * Since: 1.0
 */
void
aio_context_get_stats (AioContext      *context,
                       AioContextStats *stats,
                       gsize            size)
{
  AioContextStats all = { 0 };
  AioBHSet *bhs;

  g_return_if_fail (context != NULL);
  g_return_if_fail (stats != NULL);
  if (!aio_anchor_is_usable (context->anchor, G_STRFUNC))
    return;

  bhs = &context->bhs;
  all.iterations = aio_load_relaxed (&context->n_iterations);
  all.passes = aio_load_relaxed (&bhs->n_passes);
  all.runs = aio_load_relaxed (&bhs->n_runs);
  all.wakeups_sent = aio_load_relaxed (&context->anchor->notify.writes);
  all.wakeups_saved = all.runs - MIN (all.runs, all.wakeups_sent);
  all.cancels = aio_load_relaxed (&bhs->n_cancels);
  all.max_depth = aio_load_relaxed (&bhs->max_depth);
  all.slow_callbacks = aio_load_relaxed (&context->meter.n_slow);
  if (aio_meter_profiles (&context->meter))
    add_profile (context, &all);

  memset (stats, 0, size);
  memcpy (stats, &all, MIN (size, sizeof all));
}

/**
 * aio_context_dup_stats: (rename-to aio_context_get_stats)
 * @context: a context
 *
 * As aio_context_get_stats(), for languages that cannot tell how large a structure is.
 *
 * Thread: any thread.
 *
 * Returns: (transfer full): the figures
 *
 * Since: 1.0
 */
AioContextStats *
aio_context_dup_stats (AioContext *context)
{
  AioContextStats *stats;

  g_return_val_if_fail (context != NULL, NULL);

  stats = g_new0 (AioContextStats, 1);
  aio_context_get_stats (context, stats, sizeof *stats);
  return stats;
}

/**
 * aio_context_stats_copy:
 * @stats: (nullable): what [method@Aio.Context.dup_stats] returned
 *
 * Copies the figures. (In C, an assignment does.)
 *
 * Thread: any thread.
 *
 * Returns: (transfer full) (nullable): a copy
 *
 * Since: 1.0
 */
AioContextStats *
aio_context_stats_copy (const AioContextStats *stats)
{
  return g_memdup2 (stats, sizeof *stats);
}

/**
 * aio_context_stats_free:
 * @stats: (transfer full) (nullable): what [method@Aio.Context.dup_stats] returned, or a copy of it
 *
 * Frees the figures. %NULL is fine.
 *
 * Thread: any thread.
 *
 * Since: 1.0
 */
void
aio_context_stats_free (AioContextStats *stats)
{
  g_free (stats);
}

/**
 * aio_context_set_profiling:
 * @context: a context
 * @profiling: whether to profile it
 *
 * Switches profiling on or off. With it each callback is timed, and so is its way from the schedule
 * to the run; and schedules that merge are counted. The figures begin with 0 when it is switched
 * on. Without it none of this costs anything. While a context is profiled, schedules that merge
 * cost a little more in all contexts of the process.
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_context_set_profiling (AioContext *context,
                           gboolean    profiling)
{
  g_return_if_fail (context != NULL);
  if (!aio_context_may_act (context, G_STRFUNC))
    return;
  if (!profiling == !aio_meter_profiles (&context->meter))
    return;
  if (profiling && !aio_context_takes_new (context, G_STRFUNC))
    return;

  aio_meter_use (&context->meter, AIO_METER_PROFILE, profiling);
  aio_bh_set_profile (&context->bhs, profiling);
}

/**
 * aio_context_get_profiling:
 * @context: a context
 *
 * Asks whether the context is profiled.
 *
 * Thread: any thread.
 *
 * Returns: whether it is
 *
 * Since: 1.0
 */
gboolean
aio_context_get_profiling (AioContext *context)
{
  g_return_val_if_fail (context != NULL, FALSE);

  return aio_meter_profiles (&context->meter);
}

/**
 * aio_context_set_slow_callback:
 * @context: a context
 * @threshold_usec: what is slow, in microseconds; 0: no report
 * @func: (nullable) (scope notified) (closure data) (destroy destroy): is told of each slow
 *   callback; %NULL: a message is logged, at most one a second
 * @data: passed to @func
 * @destroy: (nullable): called once with @data when the function is replaced, or the context ends;
 *   but not before @func has returned
 *
 * Reports callbacks that run for too long: bottom halves, one-shots, posts, descriptor handlers and
 * timers. Such a callback keeps everything else in its thread waiting.
 *
 * The time of a callback includes what it iterates itself, say in a nested main loop.
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_context_set_slow_callback (AioContext     *context,
                               gint64          threshold_usec,
                               AioSlowFunc     func,
                               gpointer        data,
                               GDestroyNotify  destroy)
{
  g_return_if_fail (context != NULL);
  if (!aio_context_may_act (context, G_STRFUNC))
    return;
  if (threshold_usec < 0)
    {
      g_critical ("%s: AioContext “%s” cannot have callbacks that are slow after %" G_GINT64_FORMAT
                  " µs", G_STRFUNC, context->anchor->name, threshold_usec);
      return;
    }

  if ((threshold_usec != 0 || destroy != NULL) && !aio_context_takes_new (context, G_STRFUNC))
    return;

  threshold_usec = MIN (threshold_usec, G_MAXINT64 / NSEC_PER_USEC);
  aio_meter_set_slow (&context->meter, threshold_usec * NSEC_PER_USEC, func, data, destroy);
}

/**
 * aio_context_set_wake_log:
 * @context: a context
 * @on: whether to log
 *
 * Switches on or off that the context remembers why it was woken, the last 64 times. That is the
 * answer to "why is my process never idle?".
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_context_set_wake_log (AioContext *context,
                          gboolean    on)
{
  g_return_if_fail (context != NULL);
  if (!aio_context_may_act (context, G_STRFUNC))
    return;
  if (on && !aio_context_takes_new (context, G_STRFUNC))
    return;

  aio_context_log_wakes (context, on);
}

/**
 * aio_context_get_wakes: (skip)
 * @context: a context
 * @wakes: where to store them
 * @n: how many there is room for
 *
 * Tells what has woken the context, the latest first.
 *
 * Thread: home thread.
 *
 * Returns: how many were stored; 0 if they are not logged
 *
 * Since: 1.0
 */
guint
aio_context_get_wakes (AioContext *context,
                       AioWake    *wakes,
                       guint       n)
{
  g_return_val_if_fail (context != NULL, 0);
  g_return_val_if_fail (wakes != NULL || n == 0, 0);
  if (!aio_context_may_act (context, G_STRFUNC))
    return 0;

  return aio_context_list_wakes (context, wakes, n);
}
