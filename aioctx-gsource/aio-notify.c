/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-notify-private.h>
#include <aioctx-gsource/aio-fork-private.h>
#include <aioctx-gsource/aio-trace-private.h>

#ifdef AIO_TEST_PAUSES
void (*aio_pause_hook) (AioPausePoint point);
#endif

gboolean
aio_notify_init (AioNotify   *notify,
                 const char  *name,
                 GError     **error)
{
  notify->fork_generation = aio_fork_generation;
  if (aio_event_notifier_init (&notify->wakeup, FALSE, error))
    return TRUE;
  g_prefix_error (error, "AioContext “%s” cannot have a wakeup descriptor: ", name);
  return FALSE;
}

/* Waits for the producers that are about to write, then closes the descriptors. They are between
 * two instructions or in write(), which does not block, so the wait is short; in a forked child
 * their threads do not exist. The state stays AWAKE: who comes later writes nothing. */
void
aio_notify_close (AioNotify *notify)
{
  aio_exchange_full (&notify->state, AIO_NOTIFY_AWAKE);
  while (aio_load_full (&notify->wakers) != 0 && !aio_fork_is_child (notify->fork_generation))
    g_usleep (10);

  aio_event_notifier_clear (&notify->wakeup);
}

/* Makes the descriptor readable. Signal safe, keeps errno. In a forked child the descriptor is
 * shared with the parent, which must not be woken. */
void
aio_notify_write (AioNotify *notify)
{
  if (aio_fork_is_child (notify->fork_generation))
    return;
  AIO_TRACE1 (notify__sent, notify->name);
  aio_fetch_add_full (&notify->writes, 1);
  aio_event_notifier_set (&notify->wakeup);
}

/* The second half of aio_notify_begin_wake(). After the counting out nothing here may be touched:
 * aio_notify_close() may be waiting for just that. */
void
aio_notify_finish_wake (AioNotify *notify)
{
  AIO_PAUSE (LINKED);
  aio_notify_write (notify);
  AIO_PAUSE (WRITTEN);
  aio_fetch_sub_full (&notify->wakers, 1);
}

/* Wakes the home thread if it sleeps, for a change that is visible without a link: an entry that is
 * in the queue already has become more urgent. Signal safe. */
void
aio_notify_wake (AioNotify *notify)
{
  if (aio_notify_begin_wake (notify))
    aio_notify_finish_wake (notify);
}

/* Asks for an iteration, whether anything is pending or not. Signal safe. Who swaps ASLEEP out
 * writes, as in aio_notify_begin_wake(). */
void
aio_notify_poke (AioNotify *notify)
{
  if (aio_exchange_full (&notify->state, AIO_NOTIFY_NOTIFIED) == AIO_NOTIFY_ASLEEP)
    aio_notify_write (notify);
}

/* Home thread: makes the descriptor unreadable again. Only after the flag was lowered, and before
 * the queue is looked at. */
void
aio_notify_drain (AioNotify *notify)
{
  aio_event_notifier_test_and_clear (&notify->wakeup);
  AIO_PAUSE (DRAINED);
}
