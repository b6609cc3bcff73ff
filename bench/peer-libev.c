/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libev, used as ev(3) says in its sections "ev_async - how to wake up an event loop" (the one
 * watcher that other threads may speak to), "ev_io - is this file descriptor readable or writable?"
 * and "ev_timer - relative and optionally repeating timeouts". */
#include "peers.h"

/* The header's own names for its structs break the rules of aliasing, as its manual says. */
#pragma GCC diagnostic ignored "-Wstrict-aliasing"
#include <ev.h>

typedef struct
{
  union
  {
    ev_async async;
    ev_io io;
    ev_timer timer;
  } ev;
  struct ev_loop *loop;
  BenchCall func;
  gpointer data;
} Handle;

static gpointer
libev_open (void)
{
  return ev_loop_new (EVFLAG_AUTO);
}

static void
libev_close (gpointer loop)
{
  ev_loop_destroy (loop);
}

static inline void
libev_iterate (gpointer loop)
{
  ev_run (loop, EVRUN_NOWAIT);
}

static void
libev_run (gpointer loop)
{
  ev_run (loop, 0);
}

static void
libev_stop (gpointer loop)
{
  ev_break (loop, EVBREAK_ALL);
}

static Handle *
handle_new (gpointer  loop,
            BenchCall func,
            gpointer  data)
{
  Handle *self = g_new0 (Handle, 1);

  self->loop = loop;
  self->func = func;
  self->data = data;
  return self;
}

static void
on_async (struct ev_loop *loop,
          ev_async       *async,
          int             events)
{
  Handle *self = (Handle *) async;

  self->func (self->data);
}

static void
on_io (struct ev_loop *loop,
       ev_io          *io,
       int             events)
{
  Handle *self = (Handle *) io;

  self->func (self->data);
}

static void
on_timer (struct ev_loop *loop,
          ev_timer       *timer,
          int             events)
{
  Handle *self = (Handle *) timer;

  self->func (self->data);
}

static gpointer
libev_call_new (gpointer  loop,
                BenchCall func,
                gpointer  data)
{
  Handle *self = handle_new (loop, func, data);

  ev_async_init (&self->ev.async, on_async);
  ev_async_start (loop, &self->ev.async);
  return self;
}

static void
libev_call_free (gpointer handle)
{
  Handle *self = handle;

  ev_async_stop (self->loop, &self->ev.async);
  g_free (self);
}

static inline void
libev_send (gpointer handle)
{
  Handle *self = handle;

  ev_async_send (self->loop, &self->ev.async);
}

BENCH_REPEAT (libev, libev_send, libev_iterate)

static gpointer
libev_fd_new (gpointer  loop,
              int       fd,
              BenchCall func,
              gpointer  data)
{
  Handle *self = handle_new (loop, func, data);

  ev_io_init (&self->ev.io, on_io, fd, EV_READ);
  ev_io_start (loop, &self->ev.io);
  return self;
}

static void
libev_fd_free (gpointer handle)
{
  Handle *self = handle;

  ev_io_stop (self->loop, &self->ev.io);
  g_free (self);
}

static gpointer
libev_timer_new (gpointer  loop,
                 BenchCall func,
                 gpointer  data)
{
  Handle *self = handle_new (loop, func, data);

  ev_timer_init (&self->ev.timer, on_timer, 0., 0.);
  return self;
}

static inline void
libev_arm (gpointer timer,
           guint    ms)
{
  Handle *self = timer;

  ev_timer_set (&self->ev.timer, ms * 1e-3, 0.);
  ev_timer_start (self->loop, &self->ev.timer);
}

static inline void
libev_cancel (gpointer timer)
{
  Handle *self = timer;

  ev_timer_stop (self->loop, &self->ev.timer);
}

BENCH_REPEAT_TIMER (libev, libev_arm, libev_cancel)

static void
libev_timer_free (gpointer timer)
{
  libev_cancel (timer);
  g_free (timer);
}

const BenchPeer bench_libev = {
  .name = "libev",
  .open = libev_open, .close = libev_close, .iterate = libev_iterate,
  .run = libev_run, .stop = libev_stop,
  .call_how = "ev_async_send + ev_run", .call_from_other_threads = TRUE,
  .call_new = libev_call_new, .call_free = libev_call_free, .send = libev_send,
  .burst = libev_burst, .merge = libev_merge,
  .call_own = sizeof (Handle) - sizeof (ev_async),
  .fd_how = "ev_io_start", .fd_new = libev_fd_new, .fd_free = libev_fd_free,
  .fd_own = sizeof (Handle) - sizeof (ev_io),
  .timer_how = "ev_timer_start",
  .timer_new = libev_timer_new, .timer_free = libev_timer_free, .arm = libev_arm,
  .arm_cancel = libev_arm_cancel, .timer_own = sizeof (Handle) - sizeof (ev_timer)
};
