/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 0. Named points of the wakeup and queue protocol at which a test build can stop a thread,
 * to hold a race window open. In the library that is installed they compile to nothing. */
#pragma once

typedef enum
{
  AIO_PAUSE_CLAIMED,      /* schedule: entry claimed, head not yet swapped */
  AIO_PAUSE_SWAPPED,      /* push: head swapped, the asleep flag not yet looked at */
  AIO_PAUSE_FLAG_SEEN,    /* push: nobody sleeps, so nobody will be woken; link not yet stored */
  AIO_PAUSE_WAKER,        /* push: asleep turned into awake, link not yet stored */
  AIO_PAUSE_LINKED,       /* push: link stored, nothing written yet */
  AIO_PAUSE_WRITTEN,      /* push: wakeup written, not yet counted out */
  AIO_PAUSE_LOOKED,       /* sleeper: queue looked at, flag not yet raised */
  AIO_PAUSE_RAISED,       /* sleeper: flag raised, queue not yet looked at again */
  AIO_PAUSE_LOWERED,      /* waking: flag lowered, wakeup descriptor not yet drained */
  AIO_PAUSE_DRAINED,      /* waking: drained, queue not yet looked at */
  AIO_PAUSE_RUN_BEGUN,    /* pass: run counted, entry not yet released */
  AIO_PAUSE_RELEASED,     /* pass: entry released, callback not yet called */
  AIO_PAUSE_RUN_ENDED,    /* pass: end of the run stored, waiters not yet looked for */
  AIO_PAUSE_BORROWED,     /* invoke: the context is lent to the caller, not yet entered */
  AIO_PAUSE_GIVEN_BACK,   /* invoke: it is free again, those who wait do not know yet */
  AIO_PAUSE_CONNECTED,    /* invoke: the cancellable may fire, the call is not yet ready for it */
  AIO_PAUSE_N_POINTS
} AioPausePoint;

#ifdef AIO_TEST_PAUSES
/* Set by tests before any thread is started; must be as signal safe as the code it sits in. */
extern void (*aio_pause_hook) (AioPausePoint point);
#define AIO_PAUSE(point) \
  do { if (aio_pause_hook != NULL) aio_pause_hook (AIO_PAUSE_##point); } while (0)
#else
#define AIO_PAUSE(point) do { } while (0)
#endif
