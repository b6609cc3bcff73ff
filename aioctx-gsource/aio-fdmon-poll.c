/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watches descriptors with poll(2), where there is nothing better. Each wait costs as much as there
 * are handlers, and no descriptor stands for all of them. */
#include <aioctx-gsource/aio-fd-private.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#define NSEC_PER_SEC G_GINT64_CONSTANT (1000000000)

static gboolean
poll_open (AioFdSet  *set,
           GError   **error)
{
  return TRUE;
}

static void
poll_close (AioFdSet *set)
{
}

static gboolean
poll_watch (AioFdSet      *set,
            AioFdHandler  *handler,
            AioFdHandler  *former,
            GError       **error)
{
  int saved_errno;

  if (fcntl (handler->fd, F_GETFD) >= 0)
    return TRUE;
  saved_errno = errno;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno),
               "Cannot watch descriptor %d in AioContext “%s”: %s", handler->fd,
               set->anchor->name, g_strerror (saved_errno));
  return FALSE;
}

static int
poll_unwatch (AioFdSet     *set,
              AioFdHandler *handler)
{
  return fcntl (handler->fd, F_GETFD) >= 0 ? 0 : errno;
}

/* What one wait is for. */
typedef struct
{
  struct pollfd *fds;           /* the wakeup descriptor, and one for each handler */
  guint32 *generations;         /* of the handlers; that of the wakeup descriptor is not used */
  guint n;
} Waited;

static void
add_waited (Waited  *waited,
            int      fd,
            short    events,
            guint32  generation)
{
  waited->fds[waited->n] = (struct pollfd) { fd, events, 0 };
  waited->generations[waited->n++] = generation;
}

static Waited
list_descriptors (AioFdSet *set)
{
  Waited waited = { NULL, NULL, 0 };
  GHashTableIter iter;
  gpointer value;
  guint n_max;

  aio_fd_set_lock (set);
  n_max = g_hash_table_size (set->handlers) + 1;
  waited.fds = g_new (struct pollfd, n_max);
  waited.generations = g_new (guint32, n_max);
  add_waited (&waited, set->tag_fds[AIO_FD_TAG_WAKEUP], POLLIN, 0);
  g_hash_table_iter_init (&iter, set->handlers);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      AioFdHandler *handler = value;

      if (handler->watched && !handler->broken)
        add_waited (&waited, handler->fd, aio_fd_handler_events (handler), handler->generation);
    }
  aio_fd_set_unlock (set);
  return waited;
}

static void
mark_ready (AioFdSet      *set,
            struct pollfd *pollfd,
            guint32        generation)
{
  AioFdHandler *handler;

  if (pollfd->revents == 0)
    return;
  handler = aio_fd_set_lookup (set, pollfd->fd, generation);
  if (handler == NULL)
    return;
  if (pollfd->revents & POLLNVAL)
    aio_fd_set_report_closed (set, handler, EBADF);
  else
    aio_fd_set_mark_ready (set, handler, pollfd->revents);
}

static guint
poll_wait_ready (AioFdSet *set,
                 gint64    timeout_ns)
{
  struct timespec ts = { timeout_ns / NSEC_PER_SEC, timeout_ns % NSEC_PER_SEC };
  Waited waited = list_descriptors (set);
  guint tags = 0;

  if (ppoll (waited.fds, waited.n, timeout_ns < 0 ? NULL : &ts, NULL) > 0)
    {
      tags = waited.fds[0].revents != 0 ? 1u << AIO_FD_TAG_WAKEUP : 0;
      aio_fd_set_lock (set);
      for (guint i = 1; i < waited.n; i++)
        mark_ready (set, &waited.fds[i], waited.generations[i]);
      aio_fd_set_unlock (set);
    }
  g_free (waited.fds);
  g_free (waited.generations);
  return tags;
}

const AioFdMonitor aio_fdmon_poll = {
  "poll", FALSE, poll_open, poll_close, poll_watch, poll_unwatch, NULL, poll_wait_ready,
};
