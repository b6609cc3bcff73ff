/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An AioContext in a program that has an event loop of its own and no GMainLoop. Here the loop is
 * written with epoll; poll(), select() or io_uring will do as well.
 *
 * Three calls are all it takes:
 *   aio_context_get_fd()           once the context has its first handlers: watch this descriptor
 *                                  for input;
 *   aio_context_get_timeout_ns()   before every wait: sleep no longer than this;
 *   aio_context_dispatch()         after every wait, whether the descriptor was ready or not. */
#include "foreign-work.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define NSEC_PER_MSEC G_GINT64_CONSTANT (1000000)
#define MAX_EVENTS 16

/* The last thing in the context. It tells the loop through a descriptor that the loop watches on
 * its own account. */
static void
on_finished (gpointer data)
{
  guint64 one = 1;

  g_print ("finished\n");
  if (write (GPOINTER_TO_INT (data), &one, sizeof one) != sizeof one)
    g_error ("eventfd: %s", g_strerror (errno));
}

static void
watch (int epoll_fd,
       int fd)
{
  struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

  if (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
    g_error ("epoll_ctl: %s", g_strerror (errno));
}

/* epoll_wait() counts in milliseconds. They are rounded up: to wake too early is to come back with
 * nothing to do. (Where the last microsecond counts, there is epoll_pwait2().) */
static int
timeout_ms (AioContext *context)
{
  gint64 timeout_ns = aio_context_get_timeout_ns (context);

  if (timeout_ns < 0)
    return -1;
  return MIN (timeout_ns / NSEC_PER_MSEC + (timeout_ns % NSEC_PER_MSEC != 0), G_MAXINT);
}

/* Returns when quit_fd is readable. */
static void
run_loop (AioContext *context,
          int         epoll_fd,
          int         quit_fd)
{
  gboolean running = TRUE;

  while (running)
    {
      struct epoll_event events[MAX_EVENTS];
      int n = epoll_wait (epoll_fd, events, MAX_EVENTS, timeout_ms (context));

      aio_context_dispatch (context);
      for (int i = 0; i < n; i++)
        if (events[i].data.fd == quit_fd)
          running = FALSE;
    }
}

int
main (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  int epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  int quit_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  Work *work;

  work = work_new (context, on_finished, GINT_TO_POINTER (quit_fd));
  watch (epoll_fd, aio_context_get_fd (context));
  watch (epoll_fd, quit_fd);
  run_loop (context, epoll_fd, quit_fd);
  g_print ("the loop has seen its own descriptor\n");
  work_free (work);
  close (quit_fd);
  close (epoll_fd);
  return 0;
}
