/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 1. "Is anyone asleep?": a flag that producers look at, and the descriptor that wakes.
 *
 * The protocol, and why no wakeup is lost
 * =======================================
 * A producer first publishes (swaps the queue's head, or changes an entry's state), then looks at
 * the flag. A sleeper first raises the flag, then looks at what was published. All four accesses
 * are "full" (see aio-atomic-private.h), so they stand in one total order, and in each such order
 * at least one side sees the other:
 *
 *   producer: publish; aio_notify_begin_wake()        sleeper: aio_notify_raise(); look again
 *
 *   - the producer's look comes after the raise: it finds ASLEEP, and who turns ASLEEP into AWAKE
 *     (one producer a sleep) writes the descriptor, aio_notify_finish_wake();
 *   - it comes before the raise: then the publishing came before the sleeper's second look, which
 *     sees it, and the sleeper lowers the flag and does not sleep.
 *
 * That is all it takes, so while the flag is AWAKE a producer pays one load of a line that nobody
 * writes, and while it is raised one producer pays the write.
 *
 * Waking: lower the flag, drain the descriptor, look. In this order: a producer that publishes
 * after the drain finds the flag AWAKE and writes nothing, but the look comes after the drain and
 * sees its entry; one that published before needs no write any more. A write that arrives late
 * (from a producer that turned ASLEEP into AWAKE but was held up before it wrote, while the sleeper
 * woke for another reason) leaves the descriptor readable: the next sleep ends at once and looks
 * around in vain. Spurious, never lost.
 *
 * NOTIFIED is the bare notification (aio_notify_poke()): it replaces whatever was there, and is
 * sticky. aio_notify_raise() refuses to sleep on it; only the start of an iteration takes it
 * (aio_notify_take()), or the end of the sleep that it ended (aio_notify_lower()). Producers never
 * wipe it, because they swap ASLEEP for AWAKE and nothing else.
 *
 * Life. What a producer touches after its entry is published may be gone, because the callback may
 * have dropped the last reference. So it looks at the flag before it stores the link that makes the
 * entry reachable, and if it is the one that has to write, it has counted itself in (wakers) by
 * then. aio_notify_close() waits until nobody is counted in, then closes the descriptors. */
#pragma once

#include <aioctx-gsource/aio-atomic-private.h>
#include <aioctx-gsource/aio-pause-private.h>
#include <aioctx-gsource/aio-event-notifier.h>

typedef enum
{
  AIO_NOTIFY_AWAKE,     /* the home thread will look before it sleeps: nothing to write */
  AIO_NOTIFY_ASLEEP,    /* it sleeps or is about to: who turns this into AWAKE writes */
  AIO_NOTIFY_NOTIFIED   /* somebody asked for an iteration */
} AioNotifyState;

/* An AioNotifyState, as producers see it. */
typedef _Atomic (guint) AioNotifyFlag;

typedef struct
{
  /* Atomic, any thread. */
  AioNotifyFlag state;
  _Atomic (guint) wakers;       /* producers between "I have to write" and "I have written" */
  _Atomic (guint64) writes;     /* wakeups written so far */

  /* Immutable. */
  AioEventNotifier wakeup;      /* polled by the sleeper */
  const char *name;             /* of the context, for tracing; the anchor's */
  guint fork_generation;
} AioNotify;

gboolean aio_notify_init        (AioNotify   *notify,
                                 const char  *name,
                                 GError     **error);
void     aio_notify_close       (AioNotify   *notify);
void     aio_notify_write       (AioNotify   *notify);
void     aio_notify_finish_wake (AioNotify   *notify);
void     aio_notify_wake        (AioNotify   *notify);
void     aio_notify_poke        (AioNotify   *notify);
void     aio_notify_drain       (AioNotify   *notify);

/* Any thread, signal safe. FALSE: nobody sleeps, so there is nobody to wake. Full: pairs with the
 * exchange in aio_notify_raise(), see above. */
static inline gboolean
aio_notify_is_raised (AioNotifyFlag *flag)
{
  return G_UNLIKELY (aio_load_full (flag) == AIO_NOTIFY_ASLEEP);
}

/* Any thread, signal safe. TRUE: somebody sleeps and the caller has to wake it, by calling
 * aio_notify_finish_wake() as soon as its entry is linked.
 *
 * Cost while nobody sleeps: one load. The load is full: it pairs with the exchange in
 * aio_notify_raise(), see above. The counting in comes before the swap, so that aio_notify_close(),
 * which makes the state AWAKE for good and then waits for wakers to be 0, either is seen by the
 * swap, which fails, or sees the count. */
static inline gboolean
aio_notify_begin_wake (AioNotify *notify)
{
  guint expected = AIO_NOTIFY_ASLEEP;

  if (!aio_notify_is_raised (&notify->state))
    return FALSE;

  aio_fetch_add_full (&notify->wakers, 1);
  if (aio_compare_and_swap_full (&notify->state, &expected, AIO_NOTIFY_AWAKE))
    return TRUE;
  aio_fetch_sub_full (&notify->wakers, 1);
  return FALSE;
}

/* Home thread: the last thing before the second look. FALSE: there was a notification, which is
 * taken by this; do not sleep. Pairs with aio_notify_begin_wake(). */
static inline gboolean
aio_notify_raise (AioNotify *notify)
{
  AIO_PAUSE (LOOKED);
  if (aio_exchange_full (&notify->state, AIO_NOTIFY_ASLEEP) == AIO_NOTIFY_NOTIFIED)
    {
      /* A poke between the two exchanges has written the descriptor: taking it here as well only
       * makes the next iteration come back early. */
      aio_exchange_full (&notify->state, AIO_NOTIFY_AWAKE);
      return FALSE;
    }
  AIO_PAUSE (RAISED);
  return TRUE;
}

/* Home thread: the same for somebody who sleeps already, if the flag is down. FALSE: it is not, and
 * a notification stays where it is. Full, and pairs with aio_notify_begin_wake() as the exchange in
 * aio_notify_raise() does: a swap that fails leaves the flag down, and the caller writes. */
static inline gboolean
aio_notify_raise_again (AioNotify *notify)
{
  guint awake = AIO_NOTIFY_AWAKE;

  AIO_PAUSE (LOOKED);
  if (!aio_compare_and_swap_full (&notify->state, &awake, AIO_NOTIFY_ASLEEP))
    return FALSE;
  AIO_PAUSE (RAISED);
  return TRUE;
}

/* Home thread: the first thing after sleeping, or instead of it. Returns what the flag was.
 * Saves the exchange when a producer has lowered the flag already: nobody but the home thread
 * raises it, so AWAKE stays AWAKE; and what that producer published is seen by the look that
 * follows, which loads with acquire. */
static inline AioNotifyState
aio_notify_lower (AioNotify *notify)
{
  AioNotifyState state = AIO_NOTIFY_AWAKE;

  if (aio_load_acquire (&notify->state) != AIO_NOTIFY_AWAKE)
    state = aio_exchange_full (&notify->state, AIO_NOTIFY_AWAKE);
  AIO_PAUSE (LOWERED);
  return state;
}

/* Home thread: the same where no iteration begins: a notification stays where it is. Full, also
 * where the swap fails: what whoever had lowered the flag published is seen by the look that
 * follows. */
static inline AioNotifyState
aio_notify_lower_asleep (AioNotify *notify)
{
  guint state = AIO_NOTIFY_ASLEEP;

  aio_compare_and_swap_full (&notify->state, &state, AIO_NOTIFY_AWAKE);
  AIO_PAUSE (LOWERED);
  return state;
}

/* Home thread, at the start of an iteration: takes a notification that is there. The acquire pairs
 * with the exchange in aio_notify_poke(): what the notifier wrote before is visible. */
static inline gboolean
aio_notify_take (AioNotify *notify)
{
  return aio_load_acquire (&notify->state) == AIO_NOTIFY_NOTIFIED &&
         aio_notify_lower (notify) == AIO_NOTIFY_NOTIFIED;
}
