/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program that is never idle, because of a deliberate mistake, and the ways to find out why; see
 * docs/looking-inside.md. */
#include <aioctx-gsource/aioctx-gsource.h>

#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PERIOD_USEC 20000       /* 50 ticks a second */
#define N_TICKS 2000

typedef struct
{
  AioContext *context;
  AioTimer tick;
  AioBH *redraw;
  AioBH *save;
  guint n_ticks;
} Program;

static void
arm (Program *program)
{
  gint64 now = aio_context_get_time_ns (program->context, AIO_CLOCK_MONOTONIC);

  aio_timer_mod_ns (&program->tick, now + PERIOD_USEC);
}

static void
on_tick (gpointer data)
{
  Program *program = data;

  aio_bh_schedule (program->redraw);
  if (++program->n_ticks % 1000 == 0)
    aio_bh_schedule (program->save);
  arm (program);
}

static void
on_redraw (gpointer data)
{
}

/* It takes its time. */
static void
on_save (gpointer data)
{
  g_usleep (30 * G_TIME_SPAN_MILLISECOND);
}

static gboolean
has_run (gpointer data)
{
  Program *program = data;

  return program->n_ticks >= N_TICKS;
}

static void
run (Program *program)
{
  arm (program);
  aio_context_poll_until (program->context, has_run, program, -1);
}

/* --- One of these --------------------------------------------------------------------------- */

static void
show_stats (Program *program)
{
  gint64 began = g_get_monotonic_time ();
  AioContextStats stats;

  run (program);
  aio_context_get_stats (program->context, &stats, sizeof stats);
  g_print ("in %d ms: %u iterations, %u callbacks, %u wakeups sent\n",
           (int) ((g_get_monotonic_time () - began) / G_TIME_SPAN_MILLISECOND),
           (guint) stats.iterations, (guint) stats.runs, (guint) stats.wakeups_sent);
}

static void
show_wakes (Program *program)
{
  static const char *reasons[] = { "other", "bottom half", "descriptor", "timer", "notify" };
  AioWake wakes[4];
  guint n;

  aio_context_set_wake_log (program->context, TRUE);
  run (program);
  n = aio_context_get_wakes (program->context, wakes, G_N_ELEMENTS (wakes));
  for (guint i = 0; i + 1 < n; i++)
    g_print ("%s %s, after %d us of sleep and work\n", reasons[wakes[i].reason],
             wakes[i].name != NULL ? wakes[i].name : "",
             (int) ((wakes[i].time_ns - wakes[i + 1].time_ns) / 1000));
}

static void
on_slow (AioContext *context,
         const char *what,
         gint64      duration_ns,
         gpointer    data)
{
  g_print ("slow: %s, %d ms\n", what, (int) (duration_ns / 1000000));
}

static void
show_slow (Program *program)
{
  aio_context_set_slow_callback (program->context, 20 * G_TIME_SPAN_MILLISECOND, on_slow, NULL,
                                 NULL);
  run (program);
}

static void
show_dump (Program *program)
{
  g_autofree char *text = NULL;

  aio_context_set_profiling (program->context, TRUE);
  aio_context_set_wake_log (program->context, TRUE);
  run (program);
  text = aio_context_dump (program->context);
  g_print ("%s", text);
}

static void
hang (gpointer data)
{
  g_print ("hanging\n");
  for (;;)
    pause ();
}

static void
show_hang (Program *program)
{
  aio_dump_on_signal (SIGUSR1);
  run (program);
  aio_bh_schedule (aio_bh_new (program->context, hang, NULL));
  aio_context_poll (program->context, TRUE);
}

static const struct
{
  const char *name;
  void (*show) (Program *program);
} ways[] = {
  { "stats", show_stats },
  { "wakes", show_wakes },
  { "slow", show_slow },
  { "dump", show_dump },
  { "hang", show_hang },
};

int
main (int    argc,
      char **argv)
{
  Program program = { .context = aio_context_new_full ("main", NULL) };

  setlocale (LC_ALL, "");
  program.redraw = aio_bh_new (program.context, on_redraw, NULL);
  program.save = aio_bh_new (program.context, on_save, NULL);
  aio_timer_init (&program.tick, program.context, AIO_CLOCK_MONOTONIC, on_tick, &program);
  aio_timer_set_name (&program.tick, "tick");
  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    if (argc == 2 && strcmp (ways[i].name, argv[1]) == 0)
      ways[i].show (&program);
  aio_timer_clear (&program.tick);
  aio_bh_delete (program.redraw);
  aio_bh_delete (program.save);
  aio_context_unref (program.context);
  return 0;
}
