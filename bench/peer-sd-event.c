/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* sd-event of libsystemd, used as sd_event_add_defer(3), sd_event_add_io(3), sd_event_add_time(3)
 * and sd_event_source_set_enabled(3) say. It is for one thread. */
#include "peers.h"

#include <sys/epoll.h>
#include <systemd/sd-event.h>
#include <time.h>

typedef struct
{
  sd_event_source *source;
  BenchCall func;
  gpointer data;
} Handle;

static gpointer
sd_open (void)
{
  sd_event *loop = NULL;

  if (sd_event_new (&loop) < 0)
    g_error ("sd_event_new fails");
  return loop;
}

static void
sd_close (gpointer loop)
{
  sd_event_unref (loop);
}

static inline void
sd_iterate (gpointer loop)
{
  sd_event_run (loop, 0);
}

static Handle *
handle_new (BenchCall func,
            gpointer  data)
{
  Handle *self = g_new (Handle, 1);

  *self = (Handle) { NULL, func, data };
  return self;
}

static void
handle_free (gpointer handle)
{
  sd_event_source_disable_unref (((Handle *) handle)->source);
  g_free (handle);
}

static int
call (Handle *self)
{
  self->func (self->data);
  return 0;
}

static int
on_defer (sd_event_source *source,
          void            *data)
{
  return call (data);
}

static int
on_io (sd_event_source *source,
       int              fd,
       guint32          events,
       void            *data)
{
  return call (data);
}

static int
on_time (sd_event_source *source,
         guint64          usec,
         void            *data)
{
  return call (data);
}

static gpointer
sd_call_new (gpointer  loop,
             BenchCall func,
             gpointer  data)
{
  Handle *self = handle_new (func, data);

  sd_event_add_defer (loop, &self->source, on_defer, self);
  sd_event_source_set_enabled (self->source, SD_EVENT_OFF);
  return self;
}

static inline void
sd_send (gpointer handle)
{
  sd_event_source_set_enabled (((Handle *) handle)->source, SD_EVENT_ONESHOT);
}

BENCH_REPEAT (sd, sd_send, sd_iterate)

static gpointer
sd_fd_new (gpointer  loop,
           int       fd,
           BenchCall func,
           gpointer  data)
{
  Handle *self = handle_new (func, data);

  sd_event_add_io (loop, &self->source, fd, EPOLLIN, on_io, self);
  return self;
}

static gpointer
sd_timer_new (gpointer  loop,
              BenchCall func,
              gpointer  data)
{
  Handle *self = handle_new (func, data);

  sd_event_add_time (loop, &self->source, CLOCK_MONOTONIC, 0, 1, on_time, self);
  sd_event_source_set_enabled (self->source, SD_EVENT_OFF);
  return self;
}

static inline void
sd_arm (gpointer timer,
        guint    ms)
{
  Handle *self = timer;

  sd_event_source_set_time_relative (self->source, ms * G_GUINT64_CONSTANT (1000));
  sd_event_source_set_enabled (self->source, SD_EVENT_ONESHOT);
}

static inline void
sd_cancel (gpointer timer)
{
  sd_event_source_set_enabled (((Handle *) timer)->source, SD_EVENT_OFF);
}

BENCH_REPEAT_TIMER (sd, sd_arm, sd_cancel)

const BenchPeer bench_sd_event = {
  .name = "sd-event",
  .open = sd_open, .close = sd_close, .iterate = sd_iterate,
  .call_how = "SD_EVENT_ONESHOT + sd_event_run",
  .call_new = sd_call_new, .call_free = handle_free, .send = sd_send,
  .burst = sd_burst, .merge = sd_merge, .call_own = sizeof (Handle),
  .fd_how = "sd_event_add_io", .fd_new = sd_fd_new, .fd_free = handle_free,
  .fd_own = sizeof (Handle),
  .timer_how = "sd_event_source_set_time_relative",
  .timer_new = sd_timer_new, .timer_free = handle_free, .arm = sd_arm,
  .arm_cancel = sd_arm_cancel, .timer_own = sizeof (Handle)
};
