/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 1. What stays of a context as long as anyone holds one of its bottom halves: the notifier,
 * the home rule, and the place where threads wait for runs to end. */
#pragma once

#include <aioctx-gsource/aio-fork-private.h>
#include <aioctx-gsource/aio-home-private.h>
#include <aioctx-gsource/aio-notify-private.h>

typedef struct _AioAnchor AioAnchor;

struct _AioAnchor
{
  AioNotify notify;                     /* producers look at it: on a line of its own */
  _Alignas (64) AioHome home;
  char *name;                           /* immutable; for messages */

  /* Atomic, any thread. */
  _Atomic (guint) refs;
  _Atomic (guint) n_waiters;            /* threads in aio_anchor_wait() */
  _Atomic (guint64) n_merged;           /* schedules that found COUNTED, see aio-bh-private.h */

  /* With home.lock: told when a run that somebody waits for is over. */
  pthread_cond_t run_ended;

  AioAnchor *next_spare;                /* while it is not in use */
};

AioAnchor *aio_anchor_new          (const char        *name,
                                    GError           **error);
AioAnchor *aio_anchor_ref          (AioAnchor         *anchor);
void       aio_anchor_unref        (AioAnchor         *anchor);
void       aio_anchor_report_fork  (AioAnchor         *anchor,
                                    const char        *where);
void       aio_anchor_wait         (AioAnchor         *anchor,
                                    _Atomic (guint64) *run);
void       aio_anchor_tell_waiters (AioAnchor         *anchor);

/* Is this process a child made by fork(), and the context its parent's? */
static inline gboolean
aio_anchor_is_forked (AioAnchor *anchor)
{
  return aio_fork_is_child (anchor->notify.fork_generation);
}

/* A child made by fork() may drop references to what the parent made, and nothing else. */
static inline gboolean
aio_anchor_is_usable (AioAnchor  *anchor,
                      const char *where)
{
  if (!aio_anchor_is_forked (anchor))
    return TRUE;
  aio_anchor_report_fork (anchor, where);
  return FALSE;
}

/* The run word of a callback: how deep it is on the stack of the home thread, and how often that
 * depth has come back to 0. Written by the home thread only, so it takes no locked instruction. */
#define AIO_RUN_DEPTH_BITS  16
#define AIO_RUN_DEPTH(run)  ((run) & ((G_GUINT64_CONSTANT (1) << AIO_RUN_DEPTH_BITS) - 1))
#define AIO_RUN_EPOCH(run)  ((run) >> AIO_RUN_DEPTH_BITS)

/* Home thread. Relaxed is enough: the exchange that releases the entry comes right after it and
 * publishes it to who cancels, see aio_bh_cancel_sync(). */
static inline void
aio_run_begin (_Atomic (guint64) *run)
{
  aio_store_relaxed (run, aio_load_relaxed (run) + 1);
}

/* Home thread. Returns TRUE when it was the outermost run.
 *
 * The store comes before the look for waiters, and no barrier keeps them apart: the waiter pays for
 * both sides, with a membarrier between counting itself in and reading the word, see
 * aio_anchor_wait(). */
static inline gboolean
aio_run_end (_Atomic (guint64) *run,
             AioAnchor         *anchor)
{
  guint64 value = aio_load_relaxed (run) - 1;
  gboolean outermost = AIO_RUN_DEPTH (value) == 0;

  if (outermost)
    value += G_GUINT64_CONSTANT (1) << AIO_RUN_DEPTH_BITS;
  aio_store_release (run, value);
  AIO_PAUSE (RUN_ENDED);
  if (G_UNLIKELY (aio_load_full (&anchor->n_waiters) != 0) && outermost)
    aio_anchor_tell_waiters (anchor);
  return outermost;
}
