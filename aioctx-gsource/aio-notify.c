/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-notify-private.h>
#include <aioctx-gsource/aio-fork-private.h>

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <sched.h>
#include <unistd.h>

#ifndef AIO_WAKEUP_PIPE
#include <sys/eventfd.h>
#endif

#ifdef AIO_TEST_PAUSES
void (*aio_pause_hook) (AioPausePoint point);
#endif

#ifdef AIO_WAKEUP_PIPE

static gboolean
open_descriptors (AioNotify *notify)
{
  int fds[2];

  if (pipe2 (fds, O_CLOEXEC | O_NONBLOCK) != 0)
    return FALSE;
  notify->read_fd = fds[0];
  notify->write_fd = fds[1];
  return TRUE;
}

#else

static gboolean
open_descriptors (AioNotify *notify)
{
  notify->read_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  notify->write_fd = notify->read_fd;
  return notify->read_fd >= 0;
}

#endif

gboolean
aio_notify_init (AioNotify   *notify,
                 const char  *name,
                 GError     **error)
{
  notify->fork_generation = aio_fork_generation ();
  if (!open_descriptors (notify))
    {
      int saved_errno = errno;

      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno),
                   "Cannot open the wakeup descriptor of AioContext “%s”: %s",
                   name, g_strerror (saved_errno));
      return FALSE;
    }
  return TRUE;
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

  close (notify->read_fd);
  if (notify->write_fd != notify->read_fd)
    close (notify->write_fd);
}

/* Makes the descriptor readable. Signal safe, keeps errno. A full pipe (EAGAIN) is readable
 * already, and so is an eventfd at its maximum. In a forked child the descriptor is shared with the
 * parent, which must not be woken. */
void
aio_notify_write (AioNotify *notify)
{
  static const guint64 one = 1;
  int saved_errno = errno;
  gssize n;

  if (aio_fork_is_child (notify->fork_generation))
    return;

  aio_fetch_add_full (&notify->writes, 1);
  do
    n = write (notify->write_fd, &one, notify->write_fd == notify->read_fd ? sizeof one : 1);
  while (n < 0 && errno == EINTR);
  errno = saved_errno;
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
  guint64 buffer[32];
  gssize n;

  do
    n = read (notify->read_fd, buffer, sizeof buffer);
  while ((n < 0 && errno == EINTR) || n == sizeof buffer);
  AIO_PAUSE (DRAINED);
}
