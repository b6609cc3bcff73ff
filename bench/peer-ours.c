/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peers.h"

#include <aioctx-gsource/aioctx-gsource.h>
#include <stdatomic.h>

typedef struct
{
  AioContext *context;
  GMainContext *main_context;
  AioIOThread *io_thread;
  GMainLoop *main_loop;
  atomic_bool quit;

  /* The callback that asks for the others, where they are to be asked for by one. */
  AioBH *driver;
  AioBH **driven;
  guint n_driven;
} Ours;

static Ours *
ours_open (void)
{
  Ours *self = g_new0 (Ours, 1);

  self->context = aio_context_new ();
  return self;
}

static gpointer
poll_open (void)
{
  return ours_open ();
}

static gpointer
source_open (void)
{
  Ours *self = ours_open ();

  self->main_context = g_main_context_new ();
  self->main_loop = g_main_loop_new (self->main_context, FALSE);
  aio_context_attach (self->context, self->main_context);
  return self;
}

static gpointer
io_thread_open (void)
{
  Ours *self = g_new0 (Ours, 1);

  self->io_thread = aio_io_thread_new ("bench", NULL);
  self->context = aio_context_ref (aio_io_thread_get_context (self->io_thread));
  return self;
}

static void
ours_close (gpointer loop)
{
  Ours *self = loop;

  if (self->main_context != NULL)
    aio_context_detach (self->context);
  g_clear_pointer (&self->io_thread, aio_io_thread_unref);
  g_clear_pointer (&self->driver, aio_bh_delete);
  aio_context_unref (self->context);
  g_clear_pointer (&self->main_loop, g_main_loop_unref);
  g_clear_pointer (&self->main_context, g_main_context_unref);
  g_free (self);
}

static inline void
poll_iterate (gpointer loop)
{
  aio_context_poll (((Ours *) loop)->context, FALSE);
}

static inline void
bh_poll_iterate (gpointer loop)
{
  aio_bh_poll (((Ours *) loop)->context);
}

static inline void
source_iterate (gpointer loop)
{
  g_main_context_iteration (((Ours *) loop)->main_context, FALSE);
}

static void
poll_run (gpointer loop)
{
  Ours *self = loop;

  while (!atomic_load_explicit (&self->quit, memory_order_relaxed))
    aio_context_poll (self->context, TRUE);
}

static void
poll_stop (gpointer loop)
{
  atomic_store_explicit (&((Ours *) loop)->quit, TRUE, memory_order_relaxed);
}

static void
source_run (gpointer loop)
{
  Ours *self = loop;

  g_main_context_push_thread_default (self->main_context);
  g_main_loop_run (self->main_loop);
  g_main_context_pop_thread_default (self->main_context);
}

static void
source_stop (gpointer loop)
{
  g_main_loop_quit (((Ours *) loop)->main_loop);
}

static gpointer
ours_call_new (gpointer  loop,
               BenchCall func,
               gpointer  data)
{
  return aio_bh_new (((Ours *) loop)->context, func, data);
}

static void
ours_call_free (gpointer call)
{
  aio_bh_delete (call);
}

static inline void
ours_send (gpointer call)
{
  aio_bh_schedule (call);
}

BENCH_REPEAT (poll, ours_send, poll_iterate)
BENCH_REPEAT (bh_poll, ours_send, bh_poll_iterate)
BENCH_REPEAT (source, ours_send, source_iterate)

/* A batch is asked for by a callback of the same context, which then asks for itself: the next pass
 * runs all of them. Of one callback alone it is the one that asks for itself. */
static void
drive (gpointer data)
{
  Ours *self = data;

  if (self->n_driven == 1)
    bench_ran++;
  else
    for (guint i = 0; i < self->n_driven; i++)
      aio_bh_schedule (self->driven[i]);
  aio_bh_schedule (self->driver);
}

static void
home_burst (gpointer  loop,
            gpointer *calls,
            guint     size,
            guint     n)
{
  Ours *self = loop;
  guint begin = bench_ran;

  if (self->driver == NULL)
    self->driver = aio_bh_new (self->context, drive, self);
  self->driven = (AioBH **) calls;
  self->n_driven = size;
  aio_bh_schedule (self->driver);
  while (bench_ran - begin < n)
    aio_bh_poll (self->context);
  aio_bh_cancel (self->driver);
  aio_bh_poll (self->context);
}

typedef struct
{
  AioContext *context;
  int fd;
} Handler;

static gpointer
ours_fd_new (gpointer  loop,
             int       fd,
             BenchCall func,
             gpointer  data)
{
  Handler *handler = g_new (Handler, 1);

  *handler = (Handler) { ((Ours *) loop)->context, fd };
  aio_context_set_fd_handler (handler->context, fd, func, NULL, data);
  return handler;
}

static void
ours_fd_free (gpointer data)
{
  Handler *handler = data;

  aio_context_set_fd_handler (handler->context, handler->fd, NULL, NULL, NULL);
  g_free (handler);
}

/* Deadlines are absolute. Who arms many at once asks for the time once. */
static gint64 now_ns;

static gpointer
ours_timer_new (gpointer  loop,
                BenchCall func,
                gpointer  data)
{
  AioTimer *timer = g_new (AioTimer, 1);
  AioContext *context = ((Ours *) loop)->context;

  now_ns = aio_context_get_time_ns (context, AIO_CLOCK_MONOTONIC);
  aio_timer_init (timer, context, AIO_CLOCK_MONOTONIC, func, data);
  return timer;
}

static void
ours_timer_free (gpointer timer)
{
  aio_timer_clear (timer);
  g_free (timer);
}

static inline void
ours_arm (gpointer timer,
          guint    ms)
{
  aio_timer_mod_ns (timer, now_ns + ms * G_GINT64_CONSTANT (1000000));
}

static inline void
ours_cancel (gpointer timer)
{
  aio_timer_del (timer);
}

BENCH_REPEAT_TIMER (ours, ours_arm, ours_cancel)

#define CALLS                                                           \
  .call_from_other_threads = TRUE,                                      \
  .call_new = ours_call_new, .call_free = ours_call_free, .send = ours_send
#define FDS_AND_TIMERS                                                          \
  .fd_how = "aio_context_set_fd_handler",                                       \
  .fd_new = ours_fd_new, .fd_free = ours_fd_free, .fd_own = sizeof (Handler),   \
  .timer_how = "aio_timer_mod_ns",                                              \
  .timer_new = ours_timer_new, .timer_free = ours_timer_free,                   \
  .arm = ours_arm, .arm_cancel = ours_arm_cancel

const BenchPeer bench_ours_poll = {
  .name = "ours",
  .open = poll_open, .close = ours_close, .iterate = poll_iterate,
  .run = poll_run, .stop = poll_stop,
  .call_how = "aio_bh_schedule + aio_context_poll", CALLS,
  .burst = poll_burst, .merge = poll_merge,
  FDS_AND_TIMERS
};

const BenchPeer bench_ours_source = {
  .name = "ours in GMainContext",
  .open = source_open, .close = ours_close, .iterate = source_iterate,
  .run = source_run, .stop = source_stop,
  .call_how = "aio_bh_schedule + g_main_context_iteration", CALLS,
  .burst = source_burst, .merge = source_merge,
  FDS_AND_TIMERS
};

const BenchPeer bench_ours_bh_poll = {
  .name = "ours, aio_bh_poll",
  .open = poll_open, .close = ours_close, .iterate = bh_poll_iterate,
  .call_how = "aio_bh_schedule + aio_bh_poll", CALLS,
  .burst = bh_poll_burst, .merge = bh_poll_merge
};

const BenchPeer bench_ours_home = {
  .name = "ours, home thread",
  .open = poll_open, .close = ours_close, .iterate = bh_poll_iterate,
  .call_how = "aio_bh_schedule in a callback + aio_bh_poll", CALLS,
  .burst = home_burst
};

const BenchPeer bench_ours_io_thread = {
  .name = "ours, I/O thread",
  .open = io_thread_open, .close = ours_close,
  .call_how = "aio_bh_schedule to an AioIOThread", CALLS
};
