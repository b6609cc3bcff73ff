/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>
#include <aioctx-gsource/aio-wake.h>

G_BEGIN_DECLS

/**
 * AIO_STATS_BUCKETS:
 *
 * How many elements the histograms of #AioContextStats have.
 *
 * Since: 1.0
 */
#define AIO_STATS_BUCKETS 32

/**
 * AIO_TYPE_CONTEXT_STATS:
 *
 * The boxed type of #AioContextStats.
 *
 * Since: 1.0
 */
#define AIO_TYPE_CONTEXT_STATS (aio_context_stats_get_type ())

typedef struct _AioContextStats AioContextStats;

/**
 * AioContextStats:
 * @iterations: how often the context was iterated, with something to do or without
 * @passes: iterations in which at least one entry was taken from the queue
 * @runs: callbacks run: bottom halves, one-shots and posts
 * @wakeups_sent: wakeups written to the wakeup descriptor
 * @wakeups_saved: runs that needed no write of their own: @runs - @wakeups_sent, never below 0
 * @cancels: entries that came up in a pass with nothing left to run
 * @max_depth: the most callbacks that one pass has run
 * @slow_callbacks: callbacks that ran for longer than the threshold of
 *   [method@Aio.Context.set_slow_callback]
 * @schedules: with profiling: entries that were taken from the queue, and schedules that merged
 *   with one of them
 * @coalesced: with profiling: of these, those that merged
 * @latency: (array fixed-size=32): with profiling: how long entries waited from schedule to run
 * @run_time: (array fixed-size=32): with profiling: how long callbacks of all kinds ran
 *
 * What a context has done so far. It only grows: new fields are added at the end.
 *
 * The last two are histograms. Element i counts durations from 2^i nanoseconds up to twice that;
 * the last one counts longer ones, too.
 *
 * Since: 1.0
 */
struct _AioContextStats
{
  guint64 iterations;
  guint64 passes;
  guint64 runs;
  guint64 wakeups_sent;
  guint64 wakeups_saved;
  guint64 cancels;
  guint64 max_depth;
  guint64 slow_callbacks;
  guint64 schedules;
  guint64 coalesced;
  guint64 latency[AIO_STATS_BUCKETS];
  guint64 run_time[AIO_STATS_BUCKETS];
};

AIO_EXPORT void     aio_context_get_stats         (AioContext      *context,
                                                   AioContextStats *stats,
                                                   gsize            size);
AIO_EXPORT void     aio_context_set_profiling     (AioContext      *context,
                                                   gboolean         profiling);
AIO_EXPORT gboolean aio_context_get_profiling     (AioContext      *context);
AIO_EXPORT void     aio_context_set_slow_callback (AioContext      *context,
                                                   gint64           threshold_usec,
                                                   AioSlowFunc      func,
                                                   gpointer         data,
                                                   GDestroyNotify   destroy);
AIO_EXPORT void     aio_context_set_wake_log      (AioContext      *context,
                                                   gboolean         on);
AIO_EXPORT guint    aio_context_get_wakes         (AioContext      *context,
                                                   AioWake         *wakes,
                                                   guint            n);

AIO_EXPORT GType            aio_context_stats_get_type (void) G_GNUC_CONST;
AIO_EXPORT AioContextStats *aio_context_stats_copy     (const AioContextStats *stats);
AIO_EXPORT void             aio_context_stats_free     (AioContextStats       *stats);
AIO_EXPORT AioContextStats *aio_context_dup_stats      (AioContext            *context);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AioContextStats, aio_context_stats_free)

G_END_DECLS
