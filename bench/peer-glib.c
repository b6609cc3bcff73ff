/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GLib, used as "The Main Event Loop" in its reference manual says: g_idle_add() for what is to run
 * later in the same thread, g_main_context_invoke() for another one, g_source_set_ready_time() for
 * a source of one's own that other threads wake, g_unix_fd_add() and g_timeout_add() (all of them
 * by their long form, which names the GMainContext). */
#include "peers.h"

#include <glib-unix.h>

typedef struct
{
  GMainContext *main_context;
  GMainLoop *main_loop;
} Loop;

typedef struct
{
  GMainContext *main_context;
  BenchCall func;
  gpointer data;
  GSource *source;
} Handle;

static gpointer
glib_open (void)
{
  Loop *self = g_new (Loop, 1);

  self->main_context = g_main_context_new ();
  self->main_loop = g_main_loop_new (self->main_context, FALSE);
  return self;
}

static void
glib_close (gpointer loop)
{
  Loop *self = loop;

  g_main_loop_unref (self->main_loop);
  g_main_context_unref (self->main_context);
  g_free (self);
}

static inline void
glib_iterate (gpointer loop)
{
  g_main_context_iteration (((Loop *) loop)->main_context, FALSE);
}

static void
glib_run (gpointer loop)
{
  g_main_loop_run (((Loop *) loop)->main_loop);
}

static void
glib_stop (gpointer loop)
{
  g_main_loop_quit (((Loop *) loop)->main_loop);
}

static gpointer
glib_call_new (gpointer  loop,
               BenchCall func,
               gpointer  data)
{
  Handle *self = g_new0 (Handle, 1);

  *self = (Handle) { ((Loop *) loop)->main_context, func, data, NULL };
  return self;
}

static gboolean
call_once (gpointer data)
{
  Handle *self = data;

  self->func (self->data);
  return G_SOURCE_REMOVE;
}

static inline void
idle_send (gpointer call)
{
  Handle *self = call;
  GSource *source = g_idle_source_new ();

  g_source_set_callback (source, call_once, self, NULL);
  g_source_attach (source, self->main_context);
  g_source_unref (source);
}

static inline void
invoke_send (gpointer call)
{
  Handle *self = call;

  g_main_context_invoke_full (self->main_context, G_PRIORITY_DEFAULT, call_once, self, NULL);
}

BENCH_REPEAT (idle, idle_send, glib_iterate)

/* A source of one's own, ready when it is told so. */

static gboolean
ready_dispatch (GSource     *source,
                GSourceFunc  callback,
                gpointer     data)
{
  g_source_set_ready_time (source, -1);
  return callback (data);
}

static GSourceFuncs ready_funcs = { .dispatch = ready_dispatch };

static gboolean
call_again (gpointer data)
{
  Handle *self = data;

  self->func (self->data);
  return G_SOURCE_CONTINUE;
}

static void
attach (Handle      *self,
        GSource     *source,
        GSourceFunc  func)
{
  self->source = source;
  g_source_set_callback (source, func, self, NULL);
  g_source_attach (source, self->main_context);
}

static gpointer
ready_call_new (gpointer  loop,
                BenchCall func,
                gpointer  data)
{
  Handle *self = glib_call_new (loop, func, data);

  attach (self, g_source_new (&ready_funcs, sizeof (GSource)), call_again);
  return self;
}

static void
handle_free (gpointer handle)
{
  Handle *self = handle;

  if (self->source != NULL)
    {
      g_source_destroy (self->source);
      g_source_unref (self->source);
    }
  g_free (self);
}

static inline void
ready_send (gpointer call)
{
  g_source_set_ready_time (((Handle *) call)->source, 0);
}

BENCH_REPEAT (ready, ready_send, glib_iterate)

/* Descriptors. */

static gboolean
on_unix_fd (int          fd,
            GIOCondition condition,
            gpointer     data)
{
  return call_again (data);
}

static gpointer
glib_fd_new (gpointer  loop,
             int       fd,
             BenchCall func,
             gpointer  data)
{
  Handle *self = glib_call_new (loop, func, data);

  attach (self, g_unix_fd_source_new (fd, G_IO_IN), G_SOURCE_FUNC (on_unix_fd));
  return self;
}

/* Timers: a source each time that one is armed. */

static gboolean
on_timeout (gpointer data)
{
  Handle *self = data;

  g_clear_pointer (&self->source, g_source_unref);
  self->func (self->data);
  return G_SOURCE_REMOVE;
}

static inline void
glib_arm (gpointer timer,
          guint    ms)
{
  attach (timer, g_timeout_source_new (ms), on_timeout);
}

static inline void
glib_cancel (gpointer timer)
{
  Handle *self = timer;

  g_source_destroy (self->source);
  g_clear_pointer (&self->source, g_source_unref);
}

BENCH_REPEAT_TIMER (glib, glib_arm, glib_cancel)

#define LOOP .open = glib_open, .close = glib_close, .iterate = glib_iterate, \
  .run = glib_run, .stop = glib_stop

const BenchPeer bench_glib = {
  .name = "GLib",
  LOOP,
  .call_how = "g_idle_add + g_main_context_iteration",
  .call_from_other_threads = TRUE,
  .call_new = glib_call_new, .call_free = handle_free, .send = idle_send,
  .burst = idle_burst,
  .fd_how = "g_unix_fd_add",
  .fd_new = glib_fd_new, .fd_free = handle_free, .fd_own = sizeof (Handle),
  .timer_how = "g_timeout_add",
  .timer_new = glib_call_new, .timer_free = handle_free, .arm = glib_arm,
  .arm_cancel = glib_arm_cancel, .timer_own = sizeof (Handle)
};

const BenchPeer bench_glib_invoke = {
  .name = "GLib",
  LOOP,
  .call_how = "g_main_context_invoke",
  .call_from_other_threads = TRUE,
  .call_new = glib_call_new, .call_free = handle_free, .send = invoke_send
};

const BenchPeer bench_glib_ready_time = {
  .name = "GLib, ready time",
  LOOP,
  .call_how = "g_source_set_ready_time",
  .call_from_other_threads = TRUE,
  .call_new = ready_call_new, .call_free = handle_free, .send = ready_send,
  .burst = ready_burst, .merge = ready_merge,
  .call_own = sizeof (Handle)
};
