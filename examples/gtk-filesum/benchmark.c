/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --benchmark, --output and --screenshot: what is done without a user. All of it is done
 * between two frames of the window, so it waits for nothing, and nothing waits for it. */
#include "gtk-filesum.h"

/* The first frames take long. The work begins when the window has come to rest. */
#define FRAMES_TO_SETTLE 20

/* As many frames after the end, the end is on the screen. */
#define FRAMES_AT_END 3

typedef struct
{
  FilesumWindow *window;
  Options *options;
  guint n_frames;
  guint n_frames_at_end;
  gboolean shot;
  gulong handler;
  AioContext *context;
  GPtrArray *flood;             /* of AioBH; empty without --flood */
} Benchmark;

#define FLOOD_USEC 50

static void
benchmark_fail (Benchmark  *self,
                const char *path,
                const char *problem)
{
  g_printerr ("gtk-filesum: %s: %s\n", path, problem);
  self->options->status = 1;
}

static void
benchmark_print (Benchmark *self)
{
  Run *run = filesum_window_get_run (self->window);
  FrameMeter *meter = filesum_window_get_meter (self->window);
  double seconds = MAX (run_get_seconds (run), 1e-6);

  g_print ("files          %" G_GUINT64_FORMAT "\n", run_get_files (run));
  g_print ("bytes          %" G_GUINT64_FORMAT "\n", run_get_bytes (run));
  g_print ("not read       %" G_GUINT64_FORMAT "\n", run_get_problems (run));
  g_print ("seconds        %.3f\n", seconds);
  g_print ("files/s        %.0f\n", run_get_files (run) / seconds);
  g_print ("bytes/s        %.0f\n", run_get_bytes (run) / seconds);
  g_print ("frames         %u\n", frame_meter_get_n_frames (meter));
  g_print ("frame p50 ms   %.2f\n", frame_meter_get_ms (meter, 0.50));
  g_print ("frame p99 ms   %.2f\n", frame_meter_get_ms (meter, 0.99));
  g_print ("frame max ms   %.2f\n", frame_meter_get_ms (meter, 1.00));
}

static void
benchmark_write_output (Benchmark *self)
{
  g_autoptr (GError) error = NULL;
  gsize length;
  g_autofree char *text = sum_list_format (run_get_sums (filesum_window_get_run (self->window)),
                                           &length);

  if (!g_file_set_contents (self->options->output, text, length, &error))
    benchmark_fail (self, self->options->output, error->message);
}

/* The window as GTK draws it, header bar and all, without what is around it on the screen. */
static void
benchmark_take_screenshot (Benchmark *self)
{
  GtkWidget *widget = GTK_WIDGET (self->window);
  g_autoptr (GdkPaintable) paintable = gtk_widget_paintable_new (widget);
  int width = gdk_paintable_get_intrinsic_width (paintable);
  int height = gdk_paintable_get_intrinsic_height (paintable);
  GskRenderer *renderer = gtk_native_get_renderer (GTK_NATIVE (widget));
  GtkSnapshot *snapshot = gtk_snapshot_new ();
  g_autoptr (GskRenderNode) node = NULL;
  g_autoptr (GdkTexture) texture = NULL;

  gdk_paintable_snapshot (paintable, snapshot, width, height);
  node = gtk_snapshot_free_to_node (snapshot);
  if (node != NULL)
    texture = gsk_renderer_render_texture (renderer, node,
                                           &GRAPHENE_RECT_INIT (0, 0, width, height));
  if (texture == NULL || !gdk_texture_save_to_png (texture, self->options->screenshot))
    benchmark_fail (self, self->options->screenshot, "no screenshot");
  self->shot = TRUE;
}

/* One callback of the flood: some work, and again in the next pass. */
static void
flood_work (gpointer data)
{
  AioBH **bh = data;
  gint64 end = g_get_monotonic_time () + FLOOD_USEC;

  while (g_get_monotonic_time () < end)
    ;
  aio_bh_schedule (*bh);
}

static void
benchmark_start_flood (Benchmark *self)
{
  for (int i = 0; i < self->options->flood; i++)
    {
      AioBH **bh = g_new (AioBH *, 1);

      *bh = aio_bh_new_full (self->context, "flood", flood_work, bh, g_free);
      g_ptr_array_add (self->flood, *bh);
      aio_bh_schedule (*bh);
    }
}

static void
benchmark_conclude (Benchmark *self)
{
  Run *run = filesum_window_get_run (self->window);

  if (run_get_problems (run) > 0 || run_was_cancelled (run))
    self->options->status = 1;
  if (self->options->output != NULL)
    benchmark_write_output (self);
  if (self->options->screenshot != NULL && !self->shot)
    benchmark_take_screenshot (self);
  if (self->options->benchmark)
    benchmark_print (self);
}

/* Returns TRUE when all is done. */
static gboolean
benchmark_step (Benchmark *self)
{
  Run *run = filesum_window_get_run (self->window);

  if (self->n_frames++ < FRAMES_TO_SETTLE)
    return FALSE;
  if (run == NULL)
    {
      benchmark_start_flood (self);
      filesum_window_open (self->window, (const char *const *) self->options->paths);
    }
  else if (!run_is_active (run))
    return ++self->n_frames_at_end > FRAMES_AT_END;
  else if (self->options->screenshot != NULL && !self->shot && self->options->screenshot_at > 0 &&
           run_get_files (run) >= (guint) self->options->screenshot_at)
    benchmark_take_screenshot (self);
  return FALSE;
}

/* Behind the drawing of a frame: only now has each widget been drawn that is to be in a picture. */
static void
on_after_paint (GdkFrameClock *clock,
                gpointer       data)
{
  Benchmark *self = data;
  FilesumWindow *window = self->window;
  gboolean close = self->options->benchmark;

  if (!benchmark_step (self))
    return;
  benchmark_conclude (self);
  gdk_frame_clock_end_updating (clock);
  g_signal_handler_disconnect (clock, self->handler);    /* takes self along */
  if (close)
    gtk_window_close (GTK_WINDOW (window));
}

static void
benchmark_free (gpointer  data,
                GClosure *closure)
{
  Benchmark *self = data;

  g_ptr_array_unref (self->flood);
  g_free (self);
}

/* Takes over from the user. The window is shown by now, and the options outlive it. */
void
benchmark_start (FilesumWindow *window,
                 AioContext    *context,
                 Options       *options)
{
  GdkFrameClock *clock = gtk_widget_get_frame_clock (GTK_WIDGET (window));
  Benchmark *self = g_new0 (Benchmark, 1);

  self->window = window;
  self->context = context;
  self->options = options;
  self->flood = g_ptr_array_new_with_free_func ((GDestroyNotify) aio_bh_delete);
  self->handler = g_signal_connect_data (clock, "after-paint", G_CALLBACK (on_after_paint), self,
                                         benchmark_free, 0);
  gdk_frame_clock_begin_updating (clock);
}
