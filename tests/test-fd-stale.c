/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kernel has reported belongs to a file that is not there any more when it is looked at.
 * The calls that wait are ours here: the library that is linked statically takes them. */
#include "loop-test.h"
#include <sys/syscall.h>

typedef struct
{
  AioContext *context;
  int fd;
  int other[2];
  guint n_former, n_present;
} Stage;

/* What happens between the kernel's answer and its use; called once. */
static void (*after_wait) (Stage *stage);
static Stage *staged;

static void
waited (int n)
{
  void (*func) (Stage *stage) = after_wait;

  if (n <= 0 || func == NULL)
    return;
  after_wait = NULL;
  func (staged);
}

int
epoll_wait (int                 epfd,
            struct epoll_event *events,
            int                 max,
            int                 timeout)
{
  int n = syscall (SYS_epoll_pwait, epfd, events, max, timeout, NULL, 0);

  waited (n);
  return n;
}

int
epoll_pwait2 (int                    epfd,
              struct epoll_event    *events,
              int                    max,
              const struct timespec *timeout,
              const sigset_t        *mask)
{
  int n = syscall (SYS_epoll_pwait2, epfd, events, max, timeout, mask, 0);

  waited (n);
  return n;
}

static void
on_former (gpointer data)
{
  ((Stage *) data)->n_former++;
}

static void
on_present (gpointer data)
{
  ((Stage *) data)->n_present++;
}

/* The number is that of another file, which has nothing to read. */
static void
reuse_number (Stage *stage)
{
  aio_context_set_fd_handler (stage->context, stage->fd, NULL, NULL, NULL);
  g_assert_cmpint (dup2 (stage->other[0], stage->fd), ==, stage->fd);
  aio_context_set_fd_handler (stage->context, stage->fd, on_present, NULL, stage);
}

static void
test_number_reused (void)
{
  Stage stage = { .context = aio_context_new_full ("stale", NULL) };
  int fds[2];

  g_test_summary ("R16, R17, C20: an event of a file whose number another one has taken meanwhile "
                  "does not reach that one's handler");

  open_pipe (fds);
  open_pipe (stage.other);
  stage.fd = fds[0];
  aio_context_set_fd_handler (stage.context, stage.fd, on_former, NULL, &stage);
  put (fds[1]);
  staged = &stage;
  after_wait = reuse_number;
  aio_context_poll (stage.context, FALSE);
  g_assert_null (after_wait);
  aio_context_poll (stage.context, FALSE);
  g_assert_cmpuint (stage.n_former, ==, 0);
  g_assert_cmpuint (stage.n_present, ==, 0);

  put (stage.other[1]);
  g_assert_true (aio_context_poll (stage.context, TRUE));
  g_assert_cmpuint (stage.n_present, ==, 1);
  aio_context_set_fd_handler (stage.context, stage.fd, NULL, NULL, NULL);
  aio_context_unref (stage.context);
  close_both (fds);
  close_both (stage.other);
}

int
main (int    argc,
      char **argv)
{
  /* It is epoll whose answers are kept apart by more than the number. */
  g_unsetenv ("AIOCTX_FDMON");
  loop_test_init (&argc, &argv);

  aio_test_add ("/fd-stale/number-reused", test_number_reused);
  return g_test_run ();
}
