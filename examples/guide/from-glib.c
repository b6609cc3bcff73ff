/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The same twice: with sources of GLib's, and with what hangs on a context. */
#include <aioctx-gsource/aioctx-gsource.h>
#include <glib-unix.h>
#include <unistd.h>

#define NSEC_PER_MSEC G_GINT64_CONSTANT (1000000)

typedef struct
{
  GMainLoop *loop;
  int pipe_fds[2];
  guint redraw_id;              /* before */
  AioContext *context;          /* after */
  AioBH *redraw;
  AioTimer timer;
} Program;

static void
read_pipe (Program *program)
{
  char text[16];
  gssize n = read (program->pipe_fds[0], text, sizeof text);

  g_print ("read %d bytes\n", (int) n);
  g_main_loop_quit (program->loop);
}

static void
write_pipe (Program *program)
{
  if (write (program->pipe_fds[1], "hello", 5) != 5)
    g_error ("the pipe is full");
}

/* ---- Before: a source for each ---- */

static gboolean
on_redraw_idle (gpointer data)
{
  Program *program = data;

  program->redraw_id = 0;
  g_print ("redraw\n");
  return G_SOURCE_REMOVE;
}

/* It has to see to it itself that there is one redraw at a time; and it is for one thread. */
static void
queue_redraw_before (Program *program)
{
  if (program->redraw_id == 0)
    program->redraw_id = g_idle_add_full (G_PRIORITY_DEFAULT, on_redraw_idle, program, NULL);
}

static gboolean
on_timeout_before (gpointer data)
{
  write_pipe (data);
  return G_SOURCE_REMOVE;
}

static gboolean
on_readable_before (int          fd,
                    GIOCondition condition,
                    gpointer     data)
{
  read_pipe (data);
  return G_SOURCE_REMOVE;
}

static void
run_before (Program *program)
{
  queue_redraw_before (program);
  queue_redraw_before (program);
  g_timeout_add (5, on_timeout_before, program);
  g_unix_fd_add (program->pipe_fds[0], G_IO_IN, on_readable_before, program);
  g_main_loop_run (program->loop);
}

/* ---- After: one source ---- */

static void
on_redraw (gpointer data)
{
  g_print ("redraw\n");
}

/* From any thread. */
static void
queue_redraw (Program *program)
{
  aio_bh_schedule (program->redraw);
}

static void
on_timeout (gpointer data)
{
  write_pipe (data);
}

static void
on_readable (gpointer data)
{
  Program *program = data;

  read_pipe (program);
  aio_context_set_fd_handler (program->context, program->pipe_fds[0], NULL, NULL, NULL);
}

static void
run_after (Program *program)
{
  gint64 now = aio_context_get_time_ns (program->context, AIO_CLOCK_MONOTONIC);

  queue_redraw (program);
  queue_redraw (program);
  aio_timer_mod_ns (&program->timer, now + 5 * NSEC_PER_MSEC);
  aio_context_set_fd_handler (program->context, program->pipe_fds[0], on_readable, NULL, program);
  g_main_loop_run (program->loop);
}

static void
set_up (Program *program)
{
  program->context = aio_context_new ();
  aio_context_attach (program->context, NULL);
  program->redraw = aio_bh_new (program->context, on_redraw, NULL);
  aio_timer_init (&program->timer, program->context, AIO_CLOCK_MONOTONIC, on_timeout, program);
}

static void
tear_down (Program *program)
{
  aio_timer_clear (&program->timer);
  aio_bh_delete (program->redraw);
  aio_context_detach (program->context);
  aio_context_unref (program->context);
}

int
main (void)
{
  Program program = { .loop = g_main_loop_new (NULL, FALSE) };

  if (!g_unix_open_pipe (program.pipe_fds, 0, NULL))
    g_error ("no pipe");
  run_before (&program);
  set_up (&program);
  run_after (&program);
  tear_down (&program);
  close (program.pipe_fds[0]);
  close (program.pipe_fds[1]);
  g_main_loop_unref (program.loop);
  return 0;
}
