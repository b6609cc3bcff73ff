/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libuv, used as its documentation says on the pages "uv_async_t — Async handle" (uv_async_send()
 * is the one function that other threads may call), "uv_poll_t — Poll handle" and "uv_timer_t —
 * Timer handle". */
#include "peers.h"

#include <uv.h>

/* A handle is closed by the loop, which then frees it. */
typedef struct
{
  union
  {
    uv_handle_t any;
    uv_async_t async;
    uv_poll_t poll;
    uv_timer_t timer;
  } uv;
  BenchCall func;
  gpointer data;
} Handle;

static gpointer
libuv_open (void)
{
  uv_loop_t *loop = g_new (uv_loop_t, 1);

  uv_loop_init (loop);
  return loop;
}

static void
libuv_close (gpointer loop)
{
  uv_run (loop, UV_RUN_DEFAULT);
  uv_loop_close (loop);
  g_free (loop);
}

static inline void
libuv_iterate (gpointer loop)
{
  uv_run (loop, UV_RUN_NOWAIT);
}

static void
libuv_run (gpointer loop)
{
  uv_run (loop, UV_RUN_DEFAULT);
}

static void
libuv_stop (gpointer loop)
{
  uv_stop (loop);
}

static Handle *
handle_new (BenchCall func,
            gpointer  data)
{
  Handle *self = g_malloc (sizeof (Handle));

  self->func = func;
  self->data = data;
  return self;
}

static void
on_closed (uv_handle_t *uv)
{
  g_free (uv);
}

static void
handle_free (gpointer handle)
{
  uv_close (handle, on_closed);
}

static inline void
call (Handle *self)
{
  self->func (self->data);
}

static void
on_async (uv_async_t *async)
{
  call ((Handle *) async);
}

static void
on_poll (uv_poll_t *poll,
         int        status,
         int        events)
{
  call ((Handle *) poll);
}

static void
on_timer (uv_timer_t *timer)
{
  call ((Handle *) timer);
}

static gpointer
libuv_call_new (gpointer  loop,
                BenchCall func,
                gpointer  data)
{
  Handle *self = handle_new (func, data);

  uv_async_init (loop, &self->uv.async, on_async);
  return self;
}

static inline void
libuv_send (gpointer handle)
{
  uv_async_send (handle);
}

BENCH_REPEAT (libuv, libuv_send, libuv_iterate)

static gpointer
libuv_fd_new (gpointer  loop,
              int       fd,
              BenchCall func,
              gpointer  data)
{
  Handle *self = handle_new (func, data);

  uv_poll_init (loop, &self->uv.poll, fd);
  uv_poll_start (&self->uv.poll, UV_READABLE, on_poll);
  return self;
}

static gpointer
libuv_timer_new (gpointer  loop,
                 BenchCall func,
                 gpointer  data)
{
  Handle *self = handle_new (func, data);

  uv_timer_init (loop, &self->uv.timer);
  return self;
}

static inline void
libuv_arm (gpointer timer,
           guint    ms)
{
  uv_timer_start (timer, on_timer, ms, 0);
}

static inline void
libuv_cancel (gpointer timer)
{
  uv_timer_stop (timer);
}

BENCH_REPEAT_TIMER (libuv, libuv_arm, libuv_cancel)

const BenchPeer bench_libuv = {
  .name = "libuv",
  .open = libuv_open, .close = libuv_close, .iterate = libuv_iterate,
  .run = libuv_run, .stop = libuv_stop,
  .call_how = "uv_async_send + uv_run", .call_from_other_threads = TRUE,
  .call_new = libuv_call_new, .call_free = handle_free, .send = libuv_send,
  .burst = libuv_burst, .merge = libuv_merge,
  .call_own = sizeof (Handle) - sizeof (uv_async_t),
  .fd_how = "uv_poll_start", .fd_new = libuv_fd_new, .fd_free = handle_free,
  .fd_own = sizeof (Handle) - sizeof (uv_poll_t),
  .timer_how = "uv_timer_start",
  .timer_new = libuv_timer_new, .timer_free = handle_free, .arm = libuv_arm,
  .arm_cancel = libuv_arm_cancel, .timer_own = sizeof (Handle) - sizeof (uv_timer_t)
};
