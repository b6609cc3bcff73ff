/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The window. It shows one run at a time, and offers what one can do with it as actions. */
#include "gtk-filesum.h"

#define FRAMES_PER_REFRESH 6
#define ROWS_PER_FRAME 8
#define ROWS_WITH_WIDGETS 250

struct _FilesumWindow
{
  GtkApplicationWindow parent;
  AioContext *context;
  int n_workers;
  Run *run;                     /* the last one, or NULL */
  AioBH *refresh;
  gint64 next_refresh;          /* in which frame */

  GtkWidget *subtitle;
  GtkWidget *open_button;
  GtkWidget *cancel_button;
  GtkWidget *content;
  GtkWidget *stack;
  GtkWidget *sums;
  GtkWidget *panel;
  GtkWidget *bars;
  GtkWidget *meter;
  GtkWidget *meter_label;
};

G_DEFINE_FINAL_TYPE (FilesumWindow, filesum_window, GTK_TYPE_APPLICATION_WINDOW)

/* -- What is seen of a run ------------------------------------------------------------------- */

static char *
describe_run (Run *run)
{
  g_autofree char *bytes = g_format_size (run_get_bytes (run));
  g_autofree char *rate = g_format_size (run_get_bytes (run) / MAX (run_get_seconds (run), 0.001));
  GString *text = g_string_new (NULL);
  guint64 total;

  g_string_append_printf (text, "%" G_GUINT64_FORMAT, run_get_files (run));
  if (run_is_active (run) && run_get_total (run, &total))
    g_string_append_printf (text, " of %" G_GUINT64_FORMAT, total);
  g_string_append_printf (text, " files · %s · %s/s", bytes, rate);
  if (run_get_problems (run) > 0)
    g_string_append_printf (text, " · %" G_GUINT64_FORMAT " not read", run_get_problems (run));
  if (run_was_cancelled (run))
    g_string_append (text, " · cancelled");
  return g_string_free (text, FALSE);
}

static void
window_show_meter (FilesumWindow *self)
{
  FrameMeter *meter = FRAME_METER (self->meter);
  g_autofree char *text = g_strdup_printf ("Frames: 99 %% ≤ %.0f ms, longest %.0f ms",
                                           frame_meter_get_ms (meter, 0.99),
                                           frame_meter_get_ms (meter, 1.0));

  gtk_label_set_text (GTK_LABEL (self->meter_label), text);
}

static void
window_show_run (FilesumWindow *self)
{
  g_autofree char *text = describe_run (self->run);
  GtkWidget *bar = gtk_widget_get_first_child (self->bars);

  gtk_label_set_text (GTK_LABEL (self->subtitle), text);
  for (guint i = 0; bar != NULL; i++)
    {
      double fraction = 0.0;
      const char *path = NULL;

      if (run_is_active (self->run))
        path = run_get_current (self->run, i, &fraction);
      thread_bar_set (THREAD_BAR (bar), path, fraction);
      bar = gtk_widget_get_next_sibling (bar);
    }
}

static void
window_show_all (FilesumWindow *self)
{
  window_show_run (self);
  window_show_meter (self);
}

/* The view makes widgets for the first rows, which takes its time; the others get those that are
 * scrolled out of sight. So the first ones come a few in each frame. */
static gboolean
window_fill_list (FilesumWindow *self)
{
  SumList *sums = run_get_sums (self->run);
  gboolean first = g_list_model_get_n_items (G_LIST_MODEL (sums)) < ROWS_WITH_WIDGETS;

  sum_list_flush (sums, first ? ROWS_PER_FRAME : G_MAXUINT);
  return first;
}

/* A bottom half for the window: the threads schedule it after each block, as an idle one, and it
 * goes when the window goes. It runs far more often than anybody can look: what is on the screen
 * may stay there for some frames. */
static void
window_refresh (gpointer window)
{
  FilesumWindow *self = window;
  GdkFrameClock *clock = gtk_widget_get_frame_clock (GTK_WIDGET (self));
  gint64 frame = clock != NULL ? gdk_frame_clock_get_frame_counter (clock) : 0;

  if (self->run == NULL || frame < self->next_refresh)
    return;
  self->next_refresh = frame + (window_fill_list (self) ? 1 : FRAMES_PER_REFRESH);
  window_show_all (self);
}

static void
window_set_enabled (FilesumWindow *self,
                    const char    *action,
                    gboolean       enabled)
{
  GAction *found = g_action_map_lookup_action (G_ACTION_MAP (self), action);

  g_simple_action_set_enabled (G_SIMPLE_ACTION (found), enabled);
}

static void
window_update_actions (FilesumWindow *self)
{
  gboolean active = self->run != NULL && run_is_active (self->run);

  window_set_enabled (self, "open", !active);
  window_set_enabled (self, "cancel", active);
  window_set_enabled (self, "save", self->run != NULL && !active);
  window_set_enabled (self, "copy", self->run != NULL);
  gtk_widget_set_visible (self->open_button, !active);
  gtk_widget_set_visible (self->cancel_button, active);
}

/* -- The columns of the list ------------------------------------------------------------------ */

static GtkLabel *
cell_new (GtkListItem        *item,
          float               xalign,
          PangoEllipsizeMode  ellipsize)
{
  GtkWidget *label = gtk_label_new (NULL);

  gtk_label_set_xalign (GTK_LABEL (label), xalign);
  gtk_label_set_ellipsize (GTK_LABEL (label), ellipsize);
  gtk_label_set_single_line_mode (GTK_LABEL (label), TRUE);
  gtk_list_item_set_child (item, label);
  return GTK_LABEL (label);
}

static void
on_name_setup (GtkSignalListItemFactory *factory,
               GtkListItem              *item)
{
  cell_new (item, 0.0f, PANGO_ELLIPSIZE_MIDDLE);
}

static void
on_size_setup (GtkSignalListItemFactory *factory,
               GtkListItem              *item)
{
  gtk_widget_add_css_class (GTK_WIDGET (cell_new (item, 1.0f, PANGO_ELLIPSIZE_NONE)), "numeric");
}

static void
on_sum_setup (GtkSignalListItemFactory *factory,
              GtkListItem              *item)
{
  gtk_widget_add_css_class (GTK_WIDGET (cell_new (item, 0.0f, PANGO_ELLIPSIZE_END)), "monospace");
}

static void
on_name_bind (GtkSignalListItemFactory *factory,
              GtkListItem              *item)
{
  g_autofree char *name = sum_row_get_name (gtk_list_item_get_item (item));

  gtk_label_set_text (GTK_LABEL (gtk_list_item_get_child (item)), name);
}

static void
on_size_bind (GtkSignalListItemFactory *factory,
              GtkListItem              *item)
{
  g_autofree char *size = sum_row_get_size (gtk_list_item_get_item (item));

  gtk_label_set_text (GTK_LABEL (gtk_list_item_get_child (item)), size);
}

static void
on_sum_bind (GtkSignalListItemFactory *factory,
             GtkListItem              *item)
{
  const char *sum = sum_row_get_sum (gtk_list_item_get_item (item));

  gtk_label_set_text (GTK_LABEL (gtk_list_item_get_child (item)), sum);
}

/* -- A run ------------------------------------------------------------------------------------ */

static void
on_run_ended (FilesumWindow *self,
              Run           *run)
{
  frame_meter_stop (FRAME_METER (self->meter));
  window_update_actions (self);
  window_show_all (self);
}

static void
window_report (FilesumWindow *self,
               const char    *what,
               const GError  *error)
{
  GtkWidget *dialog = gtk_message_dialog_new (GTK_WINDOW (self),
                                              GTK_DIALOG_MODAL | GTK_DIALOG_DESTROY_WITH_PARENT,
                                              GTK_MESSAGE_ERROR, GTK_BUTTONS_CLOSE, "%s", what);

  gtk_message_dialog_format_secondary_text (GTK_MESSAGE_DIALOG (dialog), "%s", error->message);
  g_signal_connect (dialog, "response", G_CALLBACK (gtk_window_destroy), NULL);
  gtk_window_present (GTK_WINDOW (dialog));
}

static void
window_make_bars (FilesumWindow *self)
{
  GtkWidget *child;

  while ((child = gtk_widget_get_first_child (self->bars)) != NULL)
    gtk_box_remove (GTK_BOX (self->bars), child);
  for (guint i = 0; i < run_get_n_workers (self->run); i++)
    gtk_box_append (GTK_BOX (self->bars), thread_bar_new (i));
}

static void
window_show_new_run (FilesumWindow *self)
{
  GListModel *model = g_object_ref (G_LIST_MODEL (run_get_sums (self->run)));
  g_autoptr (GtkMultiSelection) selection = gtk_multi_selection_new (model);

  gtk_column_view_set_model (GTK_COLUMN_VIEW (self->sums), GTK_SELECTION_MODEL (selection));
  gtk_stack_set_visible_child_name (GTK_STACK (self->stack), "sums");
  gtk_revealer_set_reveal_child (GTK_REVEALER (self->panel), TRUE);
  gtk_widget_show (self->subtitle);
  window_make_bars (self);
  window_update_actions (self);
  window_show_run (self);
}

/* The program does not end before the threads of its runs have: each run holds it. */
static void
window_watch_run (FilesumWindow *self)
{
  GtkApplication *app = gtk_window_get_application (GTK_WINDOW (self));

  g_application_hold (G_APPLICATION (app));
  g_signal_connect_object (self->run, "ended", G_CALLBACK (g_application_release), app,
                           G_CONNECT_SWAPPED);
  g_signal_connect_object (self->run, "ended", G_CALLBACK (on_run_ended), self,
                           G_CONNECT_SWAPPED);
}

/* Hashes what is in these folders. Not while a run is active. */
void
filesum_window_open (FilesumWindow     *self,
                     const char *const *paths)
{
  g_autoptr (GError) error = NULL;
  Run *run = run_new (self->context, paths, self->n_workers, self->refresh, &error);

  if (run == NULL)
    {
      window_report (self, "The threads could not be started", error);
      return;
    }
  g_clear_object (&self->run);
  self->run = run;
  window_show_new_run (self);
  window_watch_run (self);
  frame_meter_start (FRAME_METER (self->meter));
  run_start (self->run);
}

/* What has no path, say a folder on a server that is not mounted, cannot be read with open(). */
static void
window_open_files (FilesumWindow *self,
                   GPtrArray     *files)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) paths = NULL;

  for (guint i = 0; i < files->len; i++)
    {
      const char *path = g_file_peek_path (g_ptr_array_index (files, i));

      if (path != NULL)
        g_strv_builder_add (builder, path);
    }
  paths = g_strv_builder_end (builder);
  if (*paths != NULL)
    filesum_window_open (self, (const char *const *) paths);
}

/* -- Actions ---------------------------------------------------------------------------------- */

static gboolean
on_drop (GtkDropTarget *target,
         const GValue  *value,
         double         x,
         double         y,
         gpointer       data)
{
  FilesumWindow *self = data;
  g_autoptr (GPtrArray) files = g_ptr_array_new ();

  if (self->run != NULL && run_is_active (self->run))
    return FALSE;
  for (GSList *each = g_value_get_boxed (value); each != NULL; each = each->next)
    g_ptr_array_add (files, each->data);
  window_open_files (self, files);
  return TRUE;
}

static void
on_open_response (GtkNativeDialog *dialog,
                  int              response,
                  gpointer         data)
{
  g_autoptr (GPtrArray) files = g_ptr_array_new_with_free_func (g_object_unref);
  g_autoptr (GListModel) chosen = gtk_file_chooser_get_files (GTK_FILE_CHOOSER (dialog));

  for (guint i = 0; i < g_list_model_get_n_items (chosen); i++)
    g_ptr_array_add (files, g_list_model_get_item (chosen, i));
  if (response == GTK_RESPONSE_ACCEPT)
    window_open_files (data, files);
  gtk_native_dialog_destroy (dialog);
  g_object_unref (dialog);
}

static void
on_open (GSimpleAction *action,
         GVariant      *parameter,
         gpointer       data)
{
  GtkFileChooserNative *dialog =
    gtk_file_chooser_native_new ("Choose Folders", data, GTK_FILE_CHOOSER_ACTION_SELECT_FOLDER,
                                 "_Hash", "_Cancel");

  gtk_file_chooser_set_select_multiple (GTK_FILE_CHOOSER (dialog), TRUE);
  gtk_native_dialog_set_modal (GTK_NATIVE_DIALOG (dialog), TRUE);
  g_signal_connect_object (dialog, "response", G_CALLBACK (on_open_response), data, 0);
  gtk_native_dialog_show (GTK_NATIVE_DIALOG (dialog));
}

static void
on_cancel (GSimpleAction *action,
           GVariant      *parameter,
           gpointer       data)
{
  run_stop (FILESUM_WINDOW (data)->run);
}

static void
on_saved (GObject      *file,
          GAsyncResult *result,
          gpointer      data)
{
  g_autoptr (FilesumWindow) self = data;
  g_autoptr (GError) error = NULL;

  if (!g_file_replace_contents_finish (G_FILE (file), result, NULL, &error))
    window_report (self, "The sums could not be saved", error);
}

static void
on_save_response (GtkNativeDialog *dialog,
                  int              response,
                  gpointer         data)
{
  FilesumWindow *self = data;
  g_autoptr (GFile) file = gtk_file_chooser_get_file (GTK_FILE_CHOOSER (dialog));
  gsize length;

  if (response == GTK_RESPONSE_ACCEPT && file != NULL)
    {
      char *text = sum_list_format (run_get_sums (self->run), &length);
      g_autoptr (GBytes) bytes = g_bytes_new_take (text, length);

      g_file_replace_contents_bytes_async (file, bytes, NULL, FALSE, G_FILE_CREATE_NONE, NULL,
                                           on_saved, g_object_ref (self));
    }
  gtk_native_dialog_destroy (dialog);
  g_object_unref (dialog);
}

static void
on_save (GSimpleAction *action,
         GVariant      *parameter,
         gpointer       data)
{
  GtkFileChooserNative *dialog =
    gtk_file_chooser_native_new ("Save Sums", data, GTK_FILE_CHOOSER_ACTION_SAVE,
                                 "_Save", "_Cancel");

  gtk_file_chooser_set_current_name (GTK_FILE_CHOOSER (dialog), "sums.sha256");
  gtk_native_dialog_set_modal (GTK_NATIVE_DIALOG (dialog), TRUE);
  g_signal_connect_object (dialog, "response", G_CALLBACK (on_save_response), data, 0);
  gtk_native_dialog_show (GTK_NATIVE_DIALOG (dialog));
}

static void
on_copy (GSimpleAction *action,
         GVariant      *parameter,
         gpointer       data)
{
  FilesumWindow *self = data;
  GtkSelectionModel *model = gtk_column_view_get_model (GTK_COLUMN_VIEW (self->sums));
  g_autoptr (GtkBitset) selected = gtk_selection_model_get_selection (model);
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint64 i = 0; i < gtk_bitset_get_size (selected); i++)
    {
      guint position = gtk_bitset_get_nth (selected, i);
      g_autoptr (SumRow) row = g_list_model_get_item (G_LIST_MODEL (model), position);
      g_autofree char *line = sum_row_format (row);

      g_string_append (text, line != NULL ? line : "");
    }
  gdk_clipboard_set_text (gtk_widget_get_clipboard (GTK_WIDGET (self)), text->str);
}

static const GActionEntry actions[] = {
  { .name = "open", .activate = on_open },
  { .name = "cancel", .activate = on_cancel },
  { .name = "save", .activate = on_save },
  { .name = "copy", .activate = on_copy },
};

/* -- The window ------------------------------------------------------------------------------- */

static void
filesum_window_dispose (GObject *object)
{
  FilesumWindow *self = FILESUM_WINDOW (object);

  if (self->run != NULL)
    run_stop (self->run);
  g_clear_object (&self->run);
  G_OBJECT_CLASS (filesum_window_parent_class)->dispose (object);
}

static void
filesum_window_finalize (GObject *object)
{
  FilesumWindow *self = FILESUM_WINDOW (object);

  aio_bh_unref (self->refresh);
  aio_context_unref (self->context);
  G_OBJECT_CLASS (filesum_window_parent_class)->finalize (object);
}

static void
bind_children (GtkWidgetClass *class)
{
  gtk_widget_class_bind_template_child (class, FilesumWindow, subtitle);
  gtk_widget_class_bind_template_child (class, FilesumWindow, open_button);
  gtk_widget_class_bind_template_child (class, FilesumWindow, cancel_button);
  gtk_widget_class_bind_template_child (class, FilesumWindow, content);
  gtk_widget_class_bind_template_child (class, FilesumWindow, stack);
  gtk_widget_class_bind_template_child (class, FilesumWindow, sums);
  gtk_widget_class_bind_template_child (class, FilesumWindow, panel);
  gtk_widget_class_bind_template_child (class, FilesumWindow, bars);
  gtk_widget_class_bind_template_child (class, FilesumWindow, meter);
  gtk_widget_class_bind_template_child (class, FilesumWindow, meter_label);
}

static void
bind_callbacks (GtkWidgetClass *class)
{
  gtk_widget_class_bind_template_callback (class, on_name_setup);
  gtk_widget_class_bind_template_callback (class, on_name_bind);
  gtk_widget_class_bind_template_callback (class, on_size_setup);
  gtk_widget_class_bind_template_callback (class, on_size_bind);
  gtk_widget_class_bind_template_callback (class, on_sum_setup);
  gtk_widget_class_bind_template_callback (class, on_sum_bind);
}

static void
filesum_window_class_init (FilesumWindowClass *class)
{
  g_type_ensure (FRAME_TYPE_METER);
  G_OBJECT_CLASS (class)->dispose = filesum_window_dispose;
  G_OBJECT_CLASS (class)->finalize = filesum_window_finalize;
  gtk_widget_class_set_template_from_resource (GTK_WIDGET_CLASS (class),
                                               APP_RESOURCES "/window.ui");
  bind_children (GTK_WIDGET_CLASS (class));
  bind_callbacks (GTK_WIDGET_CLASS (class));
}

static void
filesum_window_init (FilesumWindow *self)
{
  GtkDropTarget *target = gtk_drop_target_new (GDK_TYPE_FILE_LIST, GDK_ACTION_COPY);

  gtk_widget_init_template (GTK_WIDGET (self));
  g_action_map_add_action_entries (G_ACTION_MAP (self), actions, G_N_ELEMENTS (actions), self);
  window_update_actions (self);

  g_signal_connect (target, "drop", G_CALLBACK (on_drop), self);
  gtk_widget_add_controller (self->content, GTK_EVENT_CONTROLLER (target));
  gtk_widget_add_css_class (self->content, "drop-area");
}

FilesumWindow *
filesum_window_new (GtkApplication *app,
                    AioContext     *context,
                    int             n_workers)
{
  FilesumWindow *self = g_object_new (FILESUM_TYPE_WINDOW, "application", app, NULL);

  self->context = aio_context_ref (context);
  self->n_workers = n_workers;
  self->refresh = aio_bh_ref (aio_bh_new_for_object (context, window_refresh, G_OBJECT (self)));
  return self;
}

Run *
filesum_window_get_run (FilesumWindow *self)
{
  return self->run;
}

FrameMeter *
filesum_window_get_meter (FilesumWindow *self)
{
  return FRAME_METER (self->meter);
}
