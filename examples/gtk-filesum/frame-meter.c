/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long the frames of the window take. The frame clock ticks before each frame; when the main
 * loop is held up, the next tick is late. Each interval is a bar; the line is what a frame has at
 * 60 a second. */
#include "gtk-filesum.h"

#define N_BARS 90
#define BAR_WIDTH 2
#define HEIGHT 32
#define FRAME_USEC (G_USEC_PER_SEC / 60)
#define FULL_HEIGHT_USEC (3 * FRAME_USEC)
#define FRAMES_PER_LABEL 30

struct _FrameMeter
{
  GtkWidget parent;
  GArray *intervals;            /* of gint64, in microseconds, since the start */
  gint64 last;                  /* the tick before this one, or 0 */
  guint tick_id;
};

G_DEFINE_FINAL_TYPE (FrameMeter, frame_meter, GTK_TYPE_WIDGET)

static gint
compare_intervals (gconstpointer a,
                   gconstpointer b)
{
  const gint64 *x = a, *y = b;

  return (*x > *y) - (*x < *y);
}

guint
frame_meter_get_n_frames (FrameMeter *self)
{
  return self->intervals->len;
}

/* In milliseconds: the interval that this part of all, from 0 to 1, did not exceed. */
double
frame_meter_get_ms (FrameMeter *self,
                    double      quantile)
{
  g_autoptr (GArray) sorted = g_array_copy (self->intervals);

  if (sorted->len == 0)
    return 0.0;
  g_array_sort (sorted, compare_intervals);
  return g_array_index (sorted, gint64, (guint) (quantile * (sorted->len - 1) + 0.5)) / 1000.0;
}

static void
frame_meter_describe (FrameMeter *self)
{
  g_autofree char *text =
    g_strdup_printf ("99 of 100 frames took at most %.1f ms, the longest %.1f ms",
                     frame_meter_get_ms (self, 0.99), frame_meter_get_ms (self, 1.0));

  gtk_widget_set_tooltip_text (GTK_WIDGET (self), text);
  gtk_accessible_update_property (GTK_ACCESSIBLE (self),
                                  GTK_ACCESSIBLE_PROPERTY_DESCRIPTION, text, -1);
}

/* The time of the frame clock is smoothed; what counts here is when it really was. */
static gboolean
frame_meter_tick (GtkWidget     *widget,
                  GdkFrameClock *clock,
                  gpointer       data)
{
  FrameMeter *self = FRAME_METER (widget);
  gint64 now = g_get_monotonic_time ();
  gint64 interval = now - self->last;

  if (self->last != 0)
    g_array_append_val (self->intervals, interval);
  self->last = now;
  if (self->intervals->len % FRAMES_PER_LABEL == 1)
    frame_meter_describe (self);
  gtk_widget_queue_draw (widget);
  return G_SOURCE_CONTINUE;
}

void
frame_meter_start (FrameMeter *self)
{
  g_array_set_size (self->intervals, 0);
  self->last = 0;
  if (self->tick_id == 0)
    self->tick_id = gtk_widget_add_tick_callback (GTK_WIDGET (self), frame_meter_tick, NULL, NULL);
}

void
frame_meter_stop (FrameMeter *self)
{
  if (self->tick_id != 0)
    gtk_widget_remove_tick_callback (GTK_WIDGET (self), self->tick_id);
  self->tick_id = 0;
  frame_meter_describe (self);
}

/* In the colour of the text, which is right in dark and in light. */
static void
frame_meter_snapshot (GtkWidget   *widget,
                      GtkSnapshot *snapshot)
{
  FrameMeter *self = FRAME_METER (widget);
  guint n = MIN (self->intervals->len, N_BARS);
  GdkRGBA color, faint;
  float y = HEIGHT - (float) HEIGHT * FRAME_USEC / FULL_HEIGHT_USEC;

  gtk_style_context_get_color (gtk_widget_get_style_context (widget), &color);
  faint = color;
  faint.alpha *= 0.5f;
  for (guint i = 0; i < n; i++)
    {
      gint64 usec = g_array_index (self->intervals, gint64, self->intervals->len - n + i);
      float height = (float) HEIGHT * MIN (usec, FULL_HEIGHT_USEC) / FULL_HEIGHT_USEC;

      gtk_snapshot_append_color (snapshot, &faint,
                                 &GRAPHENE_RECT_INIT ((N_BARS - n + i) * BAR_WIDTH,
                                                      HEIGHT - height, BAR_WIDTH - 1, height));
    }
  gtk_snapshot_append_color (snapshot, &color,
                             &GRAPHENE_RECT_INIT (0, y, N_BARS * BAR_WIDTH, 1));
}

static void
frame_meter_measure (GtkWidget      *widget,
                     GtkOrientation  orientation,
                     int             for_size,
                     int            *minimum,
                     int            *natural,
                     int            *minimum_baseline,
                     int            *natural_baseline)
{
  *minimum = *natural = orientation == GTK_ORIENTATION_HORIZONTAL ? N_BARS * BAR_WIDTH : HEIGHT;
}

static void
frame_meter_finalize (GObject *object)
{
  g_array_unref (FRAME_METER (object)->intervals);
  G_OBJECT_CLASS (frame_meter_parent_class)->finalize (object);
}

static void
frame_meter_class_init (FrameMeterClass *class)
{
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS (class);

  G_OBJECT_CLASS (class)->finalize = frame_meter_finalize;
  widget_class->measure = frame_meter_measure;
  widget_class->snapshot = frame_meter_snapshot;
  gtk_widget_class_set_accessible_role (widget_class, GTK_ACCESSIBLE_ROLE_IMG);
}

static void
frame_meter_init (FrameMeter *self)
{
  self->intervals = g_array_new (FALSE, FALSE, sizeof (gint64));
}
