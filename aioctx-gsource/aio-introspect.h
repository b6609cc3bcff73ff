/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>

G_BEGIN_DECLS

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
 * @slow_callbacks: reserved for the slow-callback report, 0 for now
 *
 * What a context has done so far. It only grows: new fields are added at the end.
 *
 * Since: 0.1
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
};

AIO_EXPORT void aio_context_get_stats (AioContext      *context,
                                       AioContextStats *stats,
                                       gsize            size);

G_END_DECLS
