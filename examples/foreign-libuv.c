/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An AioContext in a program that runs libuv's loop.
 *
 * An iteration of libuv runs its timers, then the prepare handles, polls, and then runs the check
 * handles. So around each poll
 *   prepare   asks the context how long it may sleep and starts a timer for that long;
 *   poll      has a handle for the context's descriptor (asked for when the context has its first
 *             handlers): it only has to end the sleep;
 *   check     dispatches, whatever it was that ended the sleep. */
#include "foreign-work.h"

#include <uv.h>

#define NSEC_PER_MSEC G_GINT64_CONSTANT (1000000)

typedef struct
{
  AioContext *context;
  uv_prepare_t prepare;
  uv_poll_t poll;
  uv_timer_t timer;
  uv_check_t check;
} UvContext;

/* Neither the timer nor the descriptor has anything to do but to end the sleep. */
static void
on_timer (uv_timer_t *timer)
{
}

static void
on_readable (uv_poll_t *poll,
             int        status,
             int        events)
{
}

/* libuv counts from the time at which the iteration began, so that is brought up to date first. Its
 * milliseconds are rounded up: to wake too early is to come back with nothing to do. */
static void
on_prepare (uv_prepare_t *prepare)
{
  UvContext *self = prepare->data;
  gint64 timeout_ns = aio_context_get_timeout_ns (self->context);

  uv_update_time (prepare->loop);
  if (timeout_ns < 0)
    uv_timer_stop (&self->timer);
  else
    uv_timer_start (&self->timer, on_timer,
                    timeout_ns / NSEC_PER_MSEC + (timeout_ns % NSEC_PER_MSEC != 0), 0);
}

static void
on_check (uv_check_t *check)
{
  UvContext *self = check->data;

  aio_context_dispatch (self->context);
}

static void
uv_context_init (UvContext  *self,
                 uv_loop_t  *loop,
                 AioContext *context)
{
  self->context = context;
  self->prepare.data = self;
  self->check.data = self;
  uv_prepare_init (loop, &self->prepare);
  uv_check_init (loop, &self->check);
  uv_timer_init (loop, &self->timer);
  uv_poll_init (loop, &self->poll, aio_context_get_fd (context));
  uv_prepare_start (&self->prepare, on_prepare);
  uv_check_start (&self->check, on_check);
  uv_poll_start (&self->poll, UV_READABLE, on_readable);
}

/* The loop ends when it has no handle left. */
static void
uv_context_close (UvContext *self)
{
  uv_close ((uv_handle_t *) &self->prepare, NULL);
  uv_close ((uv_handle_t *) &self->check, NULL);
  uv_close ((uv_handle_t *) &self->timer, NULL);
  uv_close ((uv_handle_t *) &self->poll, NULL);
}

static void
on_finished (gpointer data)
{
  g_print ("finished\n");
  uv_context_close (data);
}

int
main (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  UvContext uv_context = { 0 };
  uv_loop_t loop;
  Work *work;

  uv_loop_init (&loop);
  work = work_new (context, on_finished, &uv_context);
  uv_context_init (&uv_context, &loop, context);
  uv_run (&loop, UV_RUN_DEFAULT);
  g_print ("the loop has no handle left\n");
  work_free (work);
  uv_loop_close (&loop);
  return 0;
}
