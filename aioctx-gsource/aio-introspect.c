/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-introspect.h>

#include <string.h>

/**
 * aio_context_get_stats:
 * @context: a context
 * @stats: (out caller-allocates): where to store the figures
 * @size: the size of what @stats points to, `sizeof (AioContextStats)`
 *
 * Tells what the context has done so far. The figures are counted by the home thread as it goes;
 * another thread may see some of them a moment before the others.
 *
 * A program that was compiled against an older version gets the fields it knows; one that was
 * compiled against a newer one gets zeros in those that this version does not.
 *
 * Thread: any thread.
 *
 * Since: 0.1
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

  memset (stats, 0, size);
  memcpy (stats, &all, MIN (size, sizeof all));
}
