/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 1. A flag with a descriptor: an eventfd(2), or a pipe where there is none. The wakeup
 * descriptor of a context is one, too. */
#include <aioctx-gsource/aio-boxed-private.h>
#include <aioctx-gsource/aio-event-notifier.h>
#include <aioctx-gsource/aio-fault-private.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#ifdef AIO_WAKEUP_PIPE

static gboolean
open_descriptors (AioEventNotifier *notifier)
{
  int fds[2];

  if (pipe2 (fds, O_CLOEXEC | O_NONBLOCK) != 0)
    return FALSE;
  notifier->read_fd = fds[0];
  notifier->write_fd = fds[1];
  return TRUE;
}

#else

#include <sys/eventfd.h>

static gboolean
open_descriptors (AioEventNotifier *notifier)
{
  notifier->read_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  notifier->write_fd = notifier->read_fd;
  return notifier->read_fd >= 0;
}

#endif

static AioEventNotifier *
event_notifier_copy (AioEventNotifier *notifier)
{
  return g_atomic_rc_box_acquire (notifier);
}

AIO_DEFINE_BOXED_TYPE (AioEventNotifier, aio_event_notifier, event_notifier_copy,
                       aio_event_notifier_free)

/**
 * aio_event_notifier_init: (skip)
 * @notifier: (out caller-allocates): a notifier that is not in use
 * @initially_set: whether it is set at first
 * @error: where to store an error
 *
 * Opens a notifier that is embedded in something else.
 *
 * Thread: any thread.
 *
 * Returns: %TRUE, or %FALSE with @error set, in the domain %G_IO_ERROR, if the system has no
 *   descriptor left
 *
 * Since: 1.0
 */
gboolean
aio_event_notifier_init (AioEventNotifier  *notifier,
                         gboolean           initially_set,
                         GError           **error)
{
  g_return_val_if_fail (notifier != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (aio_fault_strikes () || !open_descriptors (notifier))
    {
      int saved_errno = errno;

      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno),
                   "Cannot open a descriptor for an event notifier: %s",
                   g_strerror (saved_errno));
      return FALSE;
    }
  if (initially_set)
    aio_event_notifier_set (notifier);
  return TRUE;
}

/**
 * aio_event_notifier_clear: (skip)
 * @notifier: a notifier
 *
 * Closes a notifier that was opened with [func@Aio.EventNotifier.init]. Remove its handler first.
 * To reset a notifier, use [method@Aio.EventNotifier.test_and_clear].
 *
 * Thread: any thread, if no other uses @notifier.
 *
 * Since: 1.0
 */
void
aio_event_notifier_clear (AioEventNotifier *notifier)
{
  g_return_if_fail (notifier != NULL);

  close (notifier->read_fd);
  if (notifier->write_fd != notifier->read_fd)
    close (notifier->write_fd);
  notifier->read_fd = -1;
  notifier->write_fd = -1;
}

/**
 * aio_event_notifier_new: (constructor)
 * @initially_set: whether it is set at first
 * @error: where to store an error
 *
 * Makes a notifier on the heap. C programs usually embed theirs, see
 * [func@Aio.EventNotifier.init].
 *
 * Thread: any thread.
 *
 * Returns: (transfer full) (nullable): the notifier, or %NULL with @error set, in the domain
 *   %G_IO_ERROR
 *
 * Since: 1.0
 */
AioEventNotifier *
aio_event_notifier_new (gboolean   initially_set,
                        GError   **error)
{
  AioEventNotifier *notifier = g_atomic_rc_box_new (AioEventNotifier);

  if (aio_event_notifier_init (notifier, initially_set, error))
    return notifier;
  g_atomic_rc_box_release (notifier);
  return NULL;
}

/**
 * aio_event_notifier_free:
 * @notifier: (transfer full) (nullable): what [ctor@Aio.EventNotifier.new] returned, or a boxed
 *   copy of it
 *
 * Frees a notifier on the heap. It is closed with its last copy. %NULL is fine.
 *
 * Thread: any thread.
 *
 * Since: 1.0
 */
void
aio_event_notifier_free (AioEventNotifier *notifier)
{
  if (notifier != NULL)
    g_atomic_rc_box_release_full (notifier, (GDestroyNotify) aio_event_notifier_clear);
}

/**
 * aio_event_notifier_set:
 * @notifier: a notifier
 *
 * Sets a notifier: its descriptor becomes readable. Setting it again changes nothing.
 *
 * Thread: any thread and signal handler. Allocates nothing, takes no lock, never blocks, keeps
 * errno.
 *
 * Since: 1.0
 */
void
aio_event_notifier_set (AioEventNotifier *notifier)
{
  static const guint64 one = 1;
  int saved_errno = errno;
  gsize size;
  gssize n;

  g_return_if_fail (notifier != NULL);

  /* A full pipe (EAGAIN) is readable already, and so is an eventfd at its maximum. */
  size = notifier->write_fd == notifier->read_fd ? sizeof one : 1;
  do
    n = write (notifier->write_fd, &one, size);
  while (n < 0 && errno == EINTR);
  errno = saved_errno;
}

/**
 * aio_event_notifier_test_and_clear:
 * @notifier: a notifier
 *
 * Resets a notifier.
 *
 * Thread: any thread.
 *
 * Returns: whether it was set
 *
 * Since: 1.0
 */
gboolean
aio_event_notifier_test_and_clear (AioEventNotifier *notifier)
{
  guint64 buffer[32];
  gboolean was_set = FALSE;
  gssize n;

  g_return_val_if_fail (notifier != NULL, FALSE);

  /* An eventfd is empty after one read, a pipe after one that came back short. */
  do
    {
      n = read (notifier->read_fd, buffer, sizeof buffer);
      was_set |= n > 0;
    }
  while (n == sizeof buffer || (n < 0 && errno == EINTR));
  return was_set;
}

/**
 * aio_event_notifier_get_fd:
 * @notifier: a notifier
 *
 * Gets the descriptor that is readable while the notifier is set.
 *
 * Thread: any thread.
 *
 * Returns: a file descriptor, which belongs to the notifier
 *
 * Since: 1.0
 */
int
aio_event_notifier_get_fd (AioEventNotifier *notifier)
{
  g_return_val_if_fail (notifier != NULL, -1);

  return notifier->read_fd;
}
