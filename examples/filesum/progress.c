/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The progress bar.
 *
 * Every worker ticks it after every block, from its own thread, thousands of times a second. Yet
 * the main thread hardly notices: a tick is aio_bh_schedule_idle(), ticks merge, and an idle bottom
 * half runs with what runs anyway, or 10 ms later. What is left is held down to a few redraws a
 * second by the bottom half itself. Where no work is going on there is no tick, and nothing wakes
 * up. */
#include "filesum.h"

#include <sys/ioctl.h>
#include <unistd.h>

/* Eight a second, and a last one at the end: never more than ten. */
#define REDRAW_INTERVAL (G_USEC_PER_SEC / 8)
#define BAR_WIDTH 20

struct _Progress
{
  /* Immutable. */
  Filesum *filesum;
  AioBH *redraw;
  gint64 started;
  gboolean shares_terminal;     /* with standard output */

  /* Main thread only. */
  gint64 drawn;                 /* when */
  gboolean visible;
  gboolean finished;
  gboolean total_is_known;
  guint64 total_files;
  guint64 total_bytes;
};

static char *
format_bytes (double bytes)
{
  const char *unit = "kMGTPE";

  bytes /= 1000;
  while (bytes >= 1000 && unit[1] != '\0')
    {
      bytes /= 1000;
      unit++;
    }
  return g_strdup_printf ("%.1f %cB", bytes, *unit);
}

/* How much of the work is done, from 0 to 1. */
static double
progress_get_fraction (Progress *self,
                       guint64   bytes)
{
  double total = (double) self->total_bytes + (double) self->total_files * FILE_COST;
  double done = (double) bytes + (double) self->filesum->hasher->files * FILE_COST;

  return total > 0 ? CLAMP (done / total, 0.0, 1.0) : 1.0;
}

static void
append_bar (GString *text,
            double   fraction)
{
  guint filled = fraction * BAR_WIDTH;

  g_string_append_c (text, '[');
  for (guint i = 0; i < BAR_WIDTH; i++)
    g_string_append_c (text, i < filled ? '#' : '-');
  g_string_append_printf (text, "] %3u%%  ", (guint) (fraction * 100));
}

static void
append_eta (GString *text,
            double   seconds)
{
  guint left = MIN (seconds, G_MAXINT);

  g_string_append_printf (text, "  ETA %u:%02u", left / 60, left % 60);
}

static GString *
progress_describe (Progress *self)
{
  GString *text = g_string_new (NULL);
  guint64 bytes = atomic_load_explicit (&self->filesum->hasher->bytes, memory_order_relaxed);
  double seconds = (double) (g_get_monotonic_time () - self->started) / G_USEC_PER_SEC;
  g_autofree char *done = format_bytes (bytes);
  g_autofree char *rate = format_bytes (bytes / MAX (seconds, 0.001));
  double fraction = 0.0;

  if (self->total_is_known)
    {
      fraction = progress_get_fraction (self, bytes);
      append_bar (text, fraction);
    }
  g_string_append_printf (text, "%" G_GUINT64_FORMAT, self->filesum->hasher->files);
  if (self->total_is_known)
    g_string_append_printf (text, "/%" G_GUINT64_FORMAT, self->total_files);
  g_string_append_printf (text, " files  %s  %s/s", done, rate);

  if (self->finished)
    g_string_append_printf (text, "  in %.1f s", seconds);
  else if (fraction > 0.0)
    append_eta (text, seconds / fraction - seconds);
  return text;
}

static void
progress_draw (Progress *self)
{
  GString *text = progress_describe (self);
  struct winsize window = { 0 };

  /* A line that is too long would wrap, and the next one would not cover it. */
  if (ioctl (STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
    g_string_truncate (text, window.ws_col - 1);
  fprintf (stderr, "\r\033[K%s", text->str);
  fflush (stderr);
  g_string_free (text, TRUE);
  self->drawn = g_get_monotonic_time ();
  self->visible = TRUE;
}

static void
progress_redraw (gpointer data)
{
  Progress *self = data;

  if (g_get_monotonic_time () - self->drawn >= REDRAW_INTERVAL)
    progress_draw (self);
}

/* Any thread. */
void
progress_tick (Progress *self)
{
  aio_bh_schedule_idle (self->redraw);
}

/* From now on there is a bar, and a time when it will be full. */
void
progress_set_total (Progress *self,
                    guint64   files,
                    guint64   bytes)
{
  self->total_is_known = TRUE;
  self->total_files = files;
  self->total_bytes = bytes;
}

/* Makes room for a line of other output, unless that goes elsewhere. */
void
progress_hide (Progress *self,
               FILE     *stream)
{
  if (stream == stdout && !self->shares_terminal)
    return;
  if (self->visible)
    fputs ("\r\033[K", stderr);
  self->visible = FALSE;
}

/* Leaves the last state on the screen. */
void
progress_finish (Progress *self)
{
  self->finished = TRUE;
  progress_draw (self);
  fputc ('\n', stderr);
  self->visible = FALSE;
}

Progress *
progress_new (Filesum *filesum)
{
  Progress *self = g_new0 (Progress, 1);

  self->filesum = filesum;
  self->started = self->drawn = g_get_monotonic_time ();
  self->shares_terminal = isatty (STDOUT_FILENO);
  self->redraw = aio_bh_new (filesum->context, progress_redraw, self);
  return self;
}

void
progress_free (Progress *self)
{
  aio_bh_delete (self->redraw);
  g_free (self);
}
