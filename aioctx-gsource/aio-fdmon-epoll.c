/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Watches descriptors with epoll(7). The epoll descriptor stands for all of them. */
#include <aioctx-gsource/aio-fd-private.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#ifdef __linux__

#include <sys/epoll.h>

#define N_EVENTS 64
#define NSEC_PER_SEC  G_GINT64_CONSTANT (1000000000)
#define NSEC_PER_MSEC G_GINT64_CONSTANT (1000000)

/* In place of a generation: the number is a tag and not a descriptor. Generations begin at 1. */
#define TAG_GENERATION 0

static guint64
key_of (guint32 number,
        guint32 generation)
{
  return number | (guint64) generation << 32;
}

static gboolean
control_tag (int      epoll_fd,
             AioFdTag tag,
             int      fd)
{
  struct epoll_event event = { .events = EPOLLIN, .data.u64 = key_of (tag, TAG_GENERATION) };

  return epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static gboolean
epoll_open (AioFdSet  *set,
            GError   **error)
{
  int fd = epoll_create1 (EPOLL_CLOEXEC);
  int saved_errno;

  if (fd >= 0 && control_tag (fd, AIO_FD_TAG_WAKEUP, set->tag_fds[AIO_FD_TAG_WAKEUP]))
    {
      aio_store_relaxed (&set->fd, fd);
      aio_fetch_add_full (&set->n_openings, 1);
      return TRUE;
    }
  saved_errno = errno;
  if (fd >= 0)
    close (fd);
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno),
               "Cannot open an epoll descriptor for AioContext “%s”: %s", set->anchor->name,
               g_strerror (saved_errno));
  return FALSE;
}

static void
epoll_close (AioFdSet *set)
{
  close (aio_load_relaxed (&set->fd));
  if (set->former_fd >= 0)
    close (set->former_fd);
}

static int
control_in (int           epoll_fd,
            AioFdHandler *handler,
            int           operation)
{
  guint events = aio_fd_handler_events (handler);
  struct epoll_event event = {
    .events = (events & POLLIN ? EPOLLIN : 0) | (events & POLLOUT ? EPOLLOUT : 0),
    .data.u64 = key_of (handler->fd, handler->generation),
  };

  return epoll_ctl (epoll_fd, operation, handler->fd, &event) == 0 ? 0 : errno;
}

static int
control (AioFdSet     *set,
         AioFdHandler *handler,
         int           operation)
{
  return control_in (aio_load_relaxed (&set->fd), handler, operation);
}

/* The kernel may know better than we whether the number is registered: it was closed and opened
 * anew meanwhile (ENOENT), or shares its file with one that still is (EEXIST). */
static gboolean
epoll_watch (AioFdSet      *set,
             AioFdHandler  *handler,
             AioFdHandler  *former,
             GError       **error)
{
  gboolean known = former != NULL && former->watched && !former->broken;
  int reason = control (set, handler, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD);

  if (reason == ENOENT && known)
    {
      aio_fd_set_report_closed (set, former, reason);
      reason = control (set, handler, EPOLL_CTL_ADD);
    }
  else if (reason == EEXIST)
    reason = control (set, handler, EPOLL_CTL_MOD);
  if (reason == EPERM)
    {
      handler->always = TRUE;
      if (known)
        aio_fd_set_report_closed (set, former, ENOENT);
    }
  if (reason == 0 || reason == EPERM)
    return TRUE;
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (reason),
               "Cannot watch descriptor %d in AioContext “%s”: %s", handler->fd,
               set->anchor->name, g_strerror (reason));
  return FALSE;
}

static int
epoll_unwatch (AioFdSet     *set,
               AioFdHandler *handler)
{
  return control (set, handler, EPOLL_CTL_DEL);
}

static gboolean
epoll_watch_tag (AioFdSet *set,
                 AioFdTag  tag,
                 int       fd)
{
  return control_tag (aio_load_relaxed (&set->fd), tag, fd);
}

/* Nanoseconds: since Linux 5.11 and glibc 2.35. Filters of system calls that do not know it yet may
 * refuse it with whatever errno. */
static int
pwait2 (int                 epoll_fd,
        struct epoll_event *events,
        struct timespec    *timeout)
{
#ifdef HAVE_EPOLL_PWAIT2
  return epoll_pwait2 (epoll_fd, events, N_EVENTS, timeout, NULL);
#else
  errno = ENOSYS;
  return -1;
#endif
}

static int
wait_for_events (int                 epoll_fd,
                 struct epoll_event *events,
                 gint64              timeout_ns)
{
  struct timespec ts = { timeout_ns / NSEC_PER_SEC, timeout_ns % NSEC_PER_SEC };
  static _Atomic (gboolean) has_no_pwait2;
  int n;

  if (timeout_ns <= 0)
    return epoll_wait (epoll_fd, events, N_EVENTS, timeout_ns < 0 ? -1 : 0);
  if (!aio_load_relaxed (&has_no_pwait2))
    {
      n = pwait2 (epoll_fd, events, &ts);
      if (n >= 0 || errno == EINTR)
        return n;
      aio_store_relaxed (&has_no_pwait2, TRUE);
    }
  /* Here there are only milliseconds, which are rounded up: never early. */
  timeout_ns = MIN (timeout_ns, G_MAXINT * NSEC_PER_MSEC - NSEC_PER_MSEC);
  return epoll_wait (epoll_fd, events, N_EVENTS,
                     (timeout_ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC);
}

/* Somebody may be on the way to sleep on the present epoll descriptor. Its number becomes the
 * wakeup descriptor's, so that no stranger gets it and the sleeper can be woken. The epoll set
 * behind it is closed, and with that gone from the sets of others. */
static void
retire_fd (AioFdSet *set)
{
  int fd = aio_load_relaxed (&set->fd);

  if (set->former_fd >= 0)
    close (set->former_fd);
  set->former_fd = dup3 (set->tag_fds[AIO_FD_TAG_WAKEUP], fd, O_CLOEXEC);
  if (set->former_fd < 0)
    close (fd);
}

/* The kernel has no room: that says nothing about the descriptor. */
static gboolean
is_shortage (int reason)
{
  return reason == ENOMEM || reason == ENOSPC;
}

/* Puts all that is watched into another epoll set; FALSE if the kernel has no room for it. */
static gboolean
fill_afresh (AioFdSet *set,
             int       epoll_fd)
{
  GHashTableIter iter;
  gpointer value;

  for (guint tag = 0; tag < AIO_FD_N_TAGS; tag++)
    if (set->tag_fds[tag] >= 0 && !control_tag (epoll_fd, tag, set->tag_fds[tag]))
      return FALSE;
  g_hash_table_iter_init (&iter, set->handlers);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      AioFdHandler *handler = value;
      int reason;

      if (!handler->watched || handler->broken)
        continue;
      reason = control_in (epoll_fd, handler, EPOLL_CTL_ADD);
      if (is_shortage (reason))
        return FALSE;
      if (reason != 0)
        aio_fd_set_report_closed (set, handler, reason);
    }
  return TRUE;
}

/* The kernel reports a registration that is not ours any more: its number was closed, while the
 * file behind it lives on elsewhere (a duplicate, a child process). It cannot be removed by number.
 * So the whole set is made anew. Who watches the former one from outside learns of it by the count
 * of openings: the numbers may be the same. If the system refuses, the former set stays, in which
 * nothing is missing, and the next report brings the next attempt. */
static void
start_afresh (AioFdSet *set)
{
  int fd = epoll_create1 (EPOLL_CLOEXEC);

  if (fd < 0)
    return;
  /* First: what is found to be closed while it is filled makes it stale again. */
  set->maybe_stale = FALSE;
  if (!fill_afresh (set, fd))
    {
      set->maybe_stale = TRUE;
      close (fd);
      return;
    }
  retire_fd (set);
  aio_store_relaxed (&set->fd, fd);
  aio_fetch_add_full (&set->n_openings, 1);
}

static guint
epoll_wait_ready (AioFdSet *set,
                  gint64    timeout_ns)
{
  struct epoll_event events[N_EVENTS];
  int n = wait_for_events (aio_load_relaxed (&set->fd), events, timeout_ns);
  gboolean unknown = FALSE;
  guint tags = 0;

  if (n <= 0)
    return 0;
  aio_fd_set_lock (set);
  for (int i = 0; i < n; i++)
    {
      guint32 number = (guint32) events[i].data.u64;
      guint32 generation = events[i].data.u64 >> 32;
      AioFdHandler *handler;

      if (generation == TAG_GENERATION)
        {
          tags |= 1u << number;
          continue;
        }
      handler = aio_fd_set_lookup (set, number, generation);
      if (handler != NULL)
        aio_fd_set_mark_ready (set, handler, events[i].events);
      else
        unknown = TRUE;
    }
  /* Mostly it was removed while this thread was on its way from the kernel to the lock. */
  if (unknown && set->maybe_stale)
    start_afresh (set);
  aio_fd_set_unlock (set);
  return tags;
}

const AioFdMonitor aio_fdmon_epoll = {
  "epoll", TRUE, epoll_open, epoll_close, epoll_watch, epoll_unwatch, epoll_watch_tag,
  epoll_wait_ready,
};

#endif
