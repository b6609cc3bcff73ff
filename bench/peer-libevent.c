/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libevent, used as "Working with events" in its book says ("Making an event active manually",
 * evtimer_new()), with the locks of "Locks and threading", which other threads need. */
#include "peers.h"

#include <event2/event.h>
#include <event2/thread.h>

typedef struct
{
  struct event *event;
  BenchCall func;
  gpointer data;
} Handle;

static gpointer
libevent_open (void)
{
  static gsize initialized;

  if (g_once_init_enter (&initialized))
    {
      evthread_use_pthreads ();
      g_once_init_leave (&initialized, 1);
    }
  return event_base_new ();
}

static void
libevent_close (gpointer loop)
{
  event_base_free (loop);
}

static inline void
libevent_iterate (gpointer loop)
{
  event_base_loop (loop, EVLOOP_NONBLOCK);
}

static void
libevent_run (gpointer loop)
{
  event_base_loop (loop, EVLOOP_NO_EXIT_ON_EMPTY);
}

static void
libevent_stop (gpointer loop)
{
  event_base_loopbreak (loop);
}

static void
on_event (evutil_socket_t fd,
          short           what,
          void           *data)
{
  Handle *self = data;

  self->func (self->data);
}

static Handle *
handle_new (gpointer  loop,
            int       fd,
            short     what,
            BenchCall func,
            gpointer  data)
{
  Handle *self = g_new (Handle, 1);

  *self = (Handle) { event_new (loop, fd, what, on_event, self), func, data };
  return self;
}

static void
handle_free (gpointer handle)
{
  event_free (((Handle *) handle)->event);
  g_free (handle);
}

static gpointer
libevent_call_new (gpointer  loop,
                   BenchCall func,
                   gpointer  data)
{
  return handle_new (loop, -1, 0, func, data);
}

static inline void
libevent_send (gpointer handle)
{
  event_active (((Handle *) handle)->event, EV_READ, 0);
}

BENCH_REPEAT (libevent, libevent_send, libevent_iterate)

static gpointer
libevent_fd_new (gpointer  loop,
                 int       fd,
                 BenchCall func,
                 gpointer  data)
{
  Handle *self = handle_new (loop, fd, EV_READ | EV_PERSIST, func, data);

  event_add (self->event, NULL);
  return self;
}

static inline void
libevent_arm (gpointer timer,
              guint    ms)
{
  struct timeval after = { ms / 1000, ms % 1000 * 1000 };

  evtimer_add (((Handle *) timer)->event, &after);
}

static inline void
libevent_cancel (gpointer timer)
{
  evtimer_del (((Handle *) timer)->event);
}

BENCH_REPEAT_TIMER (libevent, libevent_arm, libevent_cancel)

const BenchPeer bench_libevent = {
  .name = "libevent",
  .open = libevent_open, .close = libevent_close, .iterate = libevent_iterate,
  .run = libevent_run, .stop = libevent_stop,
  .call_how = "event_active + event_base_loop", .call_from_other_threads = TRUE,
  .call_new = libevent_call_new, .call_free = handle_free, .send = libevent_send,
  .burst = libevent_burst, .merge = libevent_merge, .call_own = sizeof (Handle),
  .fd_how = "event_add", .fd_new = libevent_fd_new, .fd_free = handle_free,
  .fd_own = sizeof (Handle),
  .timer_how = "evtimer_add",
  .timer_new = libevent_call_new, .timer_free = handle_free, .arm = libevent_arm,
  .arm_cancel = libevent_arm_cancel, .timer_own = sizeof (Handle)
};
