/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A little of each kind of event, one after the other:
 *
 *   1. another thread posts three times and schedules a bottom half;
 *   2. that arms a timer;
 *   3. the timer writes into a pipe;
 *   4. the pipe has a handler, which reads from it until its end;
 *   5. and then says that the work is finished. */
#include "foreign-work.h"

#include <errno.h>
#include <unistd.h>

#define NSEC_PER_MSEC G_GINT64_CONSTANT (1000000)

struct _Work
{
  AioContext *context;
  AioBH *begin;
  AioBH *finished;
  AioTimer timer;
  int pipe_fds[2];              /* -1 when closed */
  GThread *thread;
};

static void
close_fd (int *fd)
{
  if (*fd >= 0)
    close (*fd);
  *fd = -1;
}

/* The event loop's thread again, behind the posts. */
static void
work_begin (gpointer data)
{
  Work *self = data;
  gint64 now = aio_context_get_time_ns (self->context, AIO_CLOCK_MONOTONIC);

  g_print ("bottom half from a thread\n");
  aio_timer_mod_ns (&self->timer, now + 20 * NSEC_PER_MSEC);
}

static void
work_post (gpointer number)
{
  g_print ("post %d from a thread\n", GPOINTER_TO_INT (number));
}

static gpointer
work_thread (gpointer data)
{
  Work *self = data;

  for (int i = 1; i <= 3; i++)
    aio_context_post (self->context, work_post, GINT_TO_POINTER (i), NULL);
  aio_bh_schedule (self->begin);
  return NULL;
}

static void
work_tick (gpointer data)
{
  Work *self = data;

  g_print ("timer\n");
  if (write (self->pipe_fds[1], "hello", 5) != 5)
    g_printerr ("the pipe is full\n");
  close_fd (&self->pipe_fds[1]);
}

static void
work_read (gpointer data)
{
  Work *self = data;
  char text[16];
  gssize n = read (self->pipe_fds[0], text, sizeof text);

  if (n > 0)
    {
      g_print ("pipe: %.*s\n", (int) n, text);
    }
  else if (n == 0)
    {
      g_print ("pipe: end\n");
      aio_context_set_fd_handler (self->context, self->pipe_fds[0], NULL, NULL, NULL);
      close_fd (&self->pipe_fds[0]);
      aio_bh_schedule (self->finished);
    }
}

/* Calls finished, as a bottom half, when all is done. */
Work *
work_new (AioContext *context,
          AioBHFunc   finished,
          gpointer    data)
{
  Work *self = g_new0 (Work, 1);

  if (pipe (self->pipe_fds) != 0)
    g_error ("pipe: %s", g_strerror (errno));
  self->context = context;
  self->begin = aio_bh_new (context, work_begin, self);
  self->finished = aio_bh_new (context, finished, data);
  aio_timer_init (&self->timer, context, AIO_CLOCK_MONOTONIC, work_tick, self);
  aio_context_set_fd_handler (context, self->pipe_fds[0], work_read, NULL, self);
  self->thread = g_thread_new ("work", work_thread, self);
  return self;
}

void
work_free (Work *self)
{
  g_thread_join (self->thread);
  aio_timer_clear (&self->timer);
  aio_bh_delete (self->begin);
  aio_bh_delete (self->finished);
  if (self->pipe_fds[0] >= 0)
    aio_context_set_fd_handler (self->context, self->pipe_fds[0], NULL, NULL, NULL);
  close_fd (&self->pipe_fds[0]);
  close_fd (&self->pipe_fds[1]);
  g_free (self);
}
