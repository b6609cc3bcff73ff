/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one I/O thread is at: its name, a bar for the file that it reads, and the file's name. */
#include "gtk-filesum.h"

struct _ThreadBar
{
  GtkWidget parent;
  GtkWidget *title;
  GtkWidget *bar;
  GtkWidget *file;
};

G_DEFINE_FINAL_TYPE (ThreadBar, thread_bar, GTK_TYPE_WIDGET)

static void
thread_bar_dispose (GObject *object)
{
  GtkWidget *child;

  while ((child = gtk_widget_get_first_child (GTK_WIDGET (object))) != NULL)
    gtk_widget_unparent (child);
  G_OBJECT_CLASS (thread_bar_parent_class)->dispose (object);
}

static void
thread_bar_class_init (ThreadBarClass *class)
{
  G_OBJECT_CLASS (class)->dispose = thread_bar_dispose;
  gtk_widget_class_set_layout_manager_type (GTK_WIDGET_CLASS (class), GTK_TYPE_BOX_LAYOUT);
}

static void
thread_bar_init (ThreadBar *self)
{
  GtkLayoutManager *layout = gtk_widget_get_layout_manager (GTK_WIDGET (self));

  gtk_box_layout_set_spacing (GTK_BOX_LAYOUT (layout), 12);
  self->title = gtk_label_new (NULL);
  gtk_widget_set_parent (self->title, GTK_WIDGET (self));
  self->bar = gtk_progress_bar_new ();
  gtk_widget_set_size_request (self->bar, 120, -1);
  gtk_widget_set_valign (self->bar, GTK_ALIGN_CENTER);
  gtk_widget_set_parent (self->bar, GTK_WIDGET (self));
  self->file = gtk_label_new (NULL);
  gtk_label_set_xalign (GTK_LABEL (self->file), 0.0);
  gtk_label_set_ellipsize (GTK_LABEL (self->file), PANGO_ELLIPSIZE_MIDDLE);
  gtk_widget_set_hexpand (self->file, TRUE);
  gtk_widget_add_css_class (self->file, "dim-label");
  gtk_widget_add_css_class (self->file, "caption");
  gtk_widget_set_parent (self->file, GTK_WIDGET (self));
}

GtkWidget *
thread_bar_new (guint number)
{
  ThreadBar *self = g_object_new (THREAD_TYPE_BAR, NULL);
  g_autofree char *title = g_strdup_printf ("Thread %u", number + 1);

  gtk_label_set_text (GTK_LABEL (self->title), title);
  gtk_accessible_update_property (GTK_ACCESSIBLE (self->bar),
                                  GTK_ACCESSIBLE_PROPERTY_LABEL, title, -1);
  thread_bar_set (self, NULL, 0.0);
  return GTK_WIDGET (self);
}

void
thread_bar_set (ThreadBar  *self,
                const char *path,
                double      fraction)
{
  g_autofree char *printable = printable_name (path != NULL ? path : "Idle");
  g_autofree char *name = g_utf8_make_valid (printable, -1);

  gtk_progress_bar_set_fraction (GTK_PROGRESS_BAR (self->bar), fraction);
  gtk_label_set_text (GTK_LABEL (self->file), name);
}
