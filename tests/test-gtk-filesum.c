/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The example with a window, on a screen of its own: an Xvfb that this program starts. Some cases
 * run the program as a user does and look at what comes out; the others have its window in here,
 * and press what is in it. GTK_FILESUM and FILESUM are the paths of the programs. */
#include "../examples/gtk-filesum/gtk-filesum.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define N_FILES 300
#define N_ODD_FILES 8

static char *home;              /* of this program and those that it starts */
static char *tree;              /* a folder to hash */
static char *sums;              /* what filesum prints for it */

/* -- A screen and a home ---------------------------------------------------------------------- */

static void
die_with_parent (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
}

/* Returns FALSE where there is no Xvfb. It chooses a free number, and says which when it is up. */
static gboolean
screen_start (GPid *pid)
{
  const char *argv[] = { "Xvfb", "-displayfd", "3", "-screen", "0", "1280x800x24", "-nolisten",
                         "tcp", "-noreset", NULL };
  g_autofree char *display = NULL;
  char number[16] = "";
  gsize length = 0;
  int ends[2], target = 3;

  g_assert_no_errno (pipe2 (ends, O_CLOEXEC));
  if (!g_spawn_async_with_pipes_and_fds (NULL, argv, NULL,
                                         G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD
                                         | G_SPAWN_STDERR_TO_DEV_NULL,
                                         die_with_parent, NULL, -1, -1, -1, &ends[1], &target, 1,
                                         pid, NULL, NULL, NULL, NULL))
    return FALSE;
  close (ends[1]);
  while (length < sizeof number - 1 && read (ends[0], number + length, 1) == 1
         && number[length] != '\n')
    length++;
  close (ends[0]);
  if (length == 0)
    return FALSE;
  number[length] = '\0';
  display = g_strconcat (":", number, NULL);
  g_setenv ("DISPLAY", display, TRUE);
  return TRUE;
}

/* Nothing of the user's session: no settings, no bus, no compositor, no graphics card. */
static void
make_home (void)
{
  const char *gone[] = { "WAYLAND_DISPLAY", "GTK_THEME", "GTK_MODULES", "GTK_DEBUG",
                         "XDG_RUNTIME_DIR", "AIOCTX_DEBUG" };

  home = g_dir_make_tmp ("test-gtk-filesum-XXXXXX", NULL);
  g_assert_nonnull (home);
  for (guint i = 0; i < G_N_ELEMENTS (gone); i++)
    g_unsetenv (gone[i]);
  g_setenv ("HOME", home, TRUE);
  g_setenv ("XDG_CACHE_HOME", home, TRUE);
  g_setenv ("XDG_CONFIG_HOME", home, TRUE);
  g_setenv ("XDG_DATA_HOME", home, TRUE);
  g_setenv ("XDG_RUNTIME_DIR", home, TRUE);
  g_setenv ("DBUS_SESSION_BUS_ADDRESS", "disabled:", TRUE);
  g_setenv ("GDK_BACKEND", "x11", TRUE);
  g_setenv ("GSK_RENDERER", "cairo", TRUE);
  g_setenv ("LIBGL_ALWAYS_SOFTWARE", "1", TRUE);
  g_setenv ("GSETTINGS_BACKEND", "memory", TRUE);
  g_setenv ("GTK_A11Y", "test", TRUE);
  g_setenv ("LC_ALL", "C.UTF-8", TRUE);
}

static void
remove_folder (char *path)
{
  char *argv[] = { (char *) "rm", (char *) "-rf", (char *) "--", path, NULL };

  g_assert_true (g_spawn_sync (NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
                               NULL));
  g_free (path);
}

/* -- Folders, and running programs ------------------------------------------------------------ */

static void
add_file (const char *folder,
          const char *name,
          const char *content,
          gssize      length)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autoptr (GError) error = NULL;

  g_file_set_contents (path, content, length, &error);
  g_assert_no_error (error);
}

static char *
make_folder (const char *name)
{
  char *path = g_build_filename (home, name, NULL);

  g_assert_no_errno (g_mkdir_with_parents (path, 0755));
  return path;
}

/* With names that hold newlines, backslashes, markup, and what is no UTF-8. */
static void
make_tree (void)
{
  const char *odd[N_ODD_FILES] = { "new\nline", "back\\slash", "<b>bold & more", "\xff\xfe",
                                   "-rf", " ", "caf\xc3\xa9", "carriage\rreturn" };
  g_autofree char *deep = NULL;

  tree = make_folder ("tree");
  deep = make_folder ("tree/deep/deeper");
  for (guint i = 0; i < N_FILES; i++)
    {
      g_autofree char *name = g_strdup_printf ("file-%04u", i);
      g_autofree char *content = g_strnfill (i * 97, 'a' + i % 26);

      add_file (i % 3 == 0 ? deep : tree, name, content, -1);
    }
  for (guint i = 0; i < N_ODD_FILES; i++)
    add_file (tree, odd[i], odd[i], -1);
}

typedef struct
{
  int status;
  char *out;
  char *err;
} Output;

static void
output_clear (Output *self)
{
  g_free (self->out);
  g_free (self->err);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Output, output_clear)

/* The arguments end with NULL. */
static Output
run (const char *variable,
     ...)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) environment = g_get_environ ();
  Output self = { 0 };
  int status;
  va_list args;

  environment = g_environ_setenv (environment, "GTK_A11Y", "none", TRUE);
  environment = g_environ_setenv (environment, "G_DEBUG", "fatal-criticals", TRUE);
  g_ptr_array_add (argv, (char *) g_getenv (variable));
  va_start (args, variable);
  do
    g_ptr_array_add (argv, va_arg (args, char *));
  while (g_ptr_array_index (argv, argv->len - 1) != NULL);
  va_end (args);
  g_spawn_sync (NULL, (char **) argv->pdata, environment, G_SPAWN_DEFAULT, die_with_parent, NULL,
                &self.out, &self.err, &status, &error);
  g_assert_no_error (error);
  g_assert_true (WIFEXITED (status));
  self.status = WEXITSTATUS (status);
  return self;
}

static char *
filesum (const char *path)
{
  g_auto (Output) output = run ("FILESUM", path, NULL);

  return g_steal_pointer (&output.out);
}

static char *
read_file (const char *path)
{
  g_autoptr (GError) error = NULL;
  char *text;

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  return text;
}

/* -- The program, from outside ---------------------------------------------------------------- */

/* The number behind a name in the lines of --benchmark. */
static double
benchmark_get (const char *out,
               const char *name)
{
  g_auto (GStrv) lines = g_strsplit (out, "\n", -1);
  double value = -1.0;

  for (guint i = 0; lines[i] != NULL; i++)
    if (g_str_has_prefix (lines[i], name))
      value = g_ascii_strtod (lines[i] + strlen (name), NULL);
  g_assert_cmpfloat (value, >=, 0.0);
  return value;
}

typedef struct
{
  int width;
  int height;
  guint n_colors;
  double brightness;            /* the mean, from 0 to 255 */
} Picture;

static Picture
look_at (const char *path)
{
  g_autoptr (GFile) file = g_file_new_for_path (path);
  g_autoptr (GError) error = NULL;
  g_autoptr (GdkTexture) texture = gdk_texture_new_from_file (file, &error);
  g_autoptr (GHashTable) colors = g_hash_table_new (NULL, NULL);
  g_autofree guint32 *pixels = NULL;
  Picture picture = { 0 };
  gsize n;

  g_assert_no_error (error);
  picture.width = gdk_texture_get_width (texture);
  picture.height = gdk_texture_get_height (texture);
  n = (gsize) picture.width * (gsize) picture.height;
  pixels = g_new (guint32, n);
  gdk_texture_download (texture, (guchar *) pixels, (gsize) picture.width * 4);
  for (gsize i = 0; i < n; i++)
    {
      g_hash_table_add (colors, GUINT_TO_POINTER (pixels[i]));
      picture.brightness += (double) (pixels[i] >> 8 & 0xff) / (double) n;
    }
  picture.n_colors = g_hash_table_size (colors);
  return picture;
}

static void
test_benchmark (void)
{
  g_autofree char *file = g_build_filename (home, "sums", NULL);
  g_autofree char *written = NULL;

  g_test_summary ("the program prints the sums that filesum prints, and how long frames took");
  {
    g_auto (Output) output = run ("GTK_FILESUM", "--benchmark", "--output", file, tree, NULL);

    g_assert_cmpstr (output.err, ==, "");
    g_assert_cmpint (output.status, ==, 0);
    g_assert_cmpfloat (benchmark_get (output.out, "files   "), ==, N_FILES + N_ODD_FILES);
    g_assert_cmpfloat (benchmark_get (output.out, "not read"), ==, 0);
    g_assert_cmpfloat (benchmark_get (output.out, "frames"), >=, 0);
    g_assert_cmpfloat (benchmark_get (output.out, "frame p50 ms"), <=,
                       benchmark_get (output.out, "frame p99 ms"));
    g_assert_cmpfloat (benchmark_get (output.out, "frame p99 ms"), <=,
                       benchmark_get (output.out, "frame max ms"));
  }
  written = read_file (file);
  g_assert_cmpstr (written, ==, sums);
}

static void
test_problems (void)
{
  g_autofree char *folder = make_folder ("problems");
  g_autofree char *fifo = g_build_filename (folder, "pipe", NULL);
  g_autofree char *file = g_build_filename (home, "sums", NULL);
  g_autofree char *expected = NULL;
  g_autofree char *written = NULL;

  g_test_summary ("what cannot be read is counted, and the rest is summed up");
  add_file (folder, "good", "good", -1);
  g_assert_no_errno (mkfifo (fifo, 0600));
  {
    g_auto (Output) output = run ("GTK_FILESUM", "--benchmark", "--output", file, folder,
                                  "/nonexistent", NULL);

    g_assert_cmpint (output.status, ==, 1);
    g_assert_cmpfloat (benchmark_get (output.out, "files   "), ==, 1);
    g_assert_cmpfloat (benchmark_get (output.out, "not read"), ==, 2);
  }
  written = read_file (file);
  expected = filesum (folder);
  g_assert_cmpstr (written, ==, expected);
}

static void
test_flood (void)
{
  g_autofree char *folder = make_folder ("few");
  g_auto (Output) output = { 0 };

  g_test_summary ("C16: thanks to the budget, frames are drawn while callbacks of a higher "
                  "priority never run out");
  add_file (folder, "one", "one", -1);
  output = run ("GTK_FILESUM", "--benchmark", "--flood", "400", "--priority", "0", folder,
                NULL);
  g_assert_cmpstr (output.err, ==, "");
  g_assert_cmpint (output.status, ==, 0);
  g_assert_cmpfloat (benchmark_get (output.out, "files   "), ==, 1);
}

static void
test_usage (void)
{
  g_auto (Output) nothing = run ("GTK_FILESUM", "--benchmark", NULL);
  g_auto (Output) threads = run ("GTK_FILESUM", "--jobs", "0", NULL);

  g_test_summary ("a wrong command line ends with status 2 and a reason");
  g_assert_cmpint (nothing.status, ==, 2);
  g_assert_nonnull (strstr (nothing.err, "which folders?"));
  g_assert_cmpint (threads.status, ==, 2);
  g_assert_nonnull (strstr (threads.err, "--jobs"));
}

static void
test_screenshot (void)
{
  g_autofree char *light_file = g_build_filename (home, "light.png", NULL);
  g_autofree char *dark_file = g_build_filename (home, "dark.png", NULL);
  Picture light, dark;

  g_test_summary ("the window shows something, light or dark as the theme is");
  g_setenv ("GTK_THEME", "Adwaita", TRUE);
  {
    g_auto (Output) output = run ("GTK_FILESUM", "--benchmark", "--screenshot", light_file, tree,
                                  NULL);

    g_assert_cmpint (output.status, ==, 0);
  }
  g_setenv ("GTK_THEME", "Adwaita:dark", TRUE);
  {
    g_auto (Output) output = run ("GTK_FILESUM", "--benchmark", "--screenshot", dark_file, tree,
                                  NULL);

    g_assert_cmpint (output.status, ==, 0);
  }
  g_unsetenv ("GTK_THEME");
  light = look_at (light_file);
  dark = look_at (dark_file);
  g_assert_cmpint (light.width, >=, 600);
  g_assert_cmpint (light.height, >=, 400);
  g_assert_cmpuint (light.n_colors, >, 50);
  g_assert_cmpuint (dark.n_colors, >, 50);
  g_assert_cmpfloat (light.brightness, >, 150.0);
  g_assert_cmpfloat (dark.brightness, <, 100.0);
}

/* -- The window, from inside ------------------------------------------------------------------ */

typedef void (*Drive) (FilesumApp *app, FilesumWindow *window);

static void
iterate (void)
{
  g_main_context_iteration (NULL, TRUE);
}

static gboolean
on_idle (gpointer data)
{
  GApplication *app = g_application_get_default ();
  GtkWindow *window = gtk_application_get_active_window (GTK_APPLICATION (app));

  ((Drive *) data)[0] (FILESUM_APP (app), FILESUM_WINDOW (window));
  return G_SOURCE_REMOVE;
}

/* Runs the program in here, with this function for a user, who closes the window in the end. */
static void
with_window (Drive drive)
{
  g_autoptr (FilesumApp) app = filesum_app_new ();
  char *argv[] = { (char *) "gtk-filesum", NULL };

  g_idle_add (on_idle, &drive);
  g_assert_cmpint (g_application_run (G_APPLICATION (app), 1, argv), ==, 0);
}

static gboolean
is_enabled (gpointer    map,
            const char *action)
{
  return g_action_group_get_action_enabled (G_ACTION_GROUP (map), action);
}

static void
press (FilesumWindow *window,
       const char    *action)
{
  g_assert_true (gtk_widget_activate_action (GTK_WIDGET (window), action, NULL));
}

static void
open_folder (FilesumWindow *window,
             const char    *path)
{
  const char *paths[] = { path, NULL };

  filesum_window_open (window, paths);
}

static void
wait_for_end (FilesumWindow *window)
{
  while (run_is_active (filesum_window_get_run (window)))
    iterate ();
}

static GtkWidget *
find (GtkWidget *widget,
      GType      type)
{
  GtkWidget *found = G_TYPE_CHECK_INSTANCE_TYPE (widget, type) ? widget : NULL;
  GtkWidget *child = gtk_widget_get_first_child (widget);

  for (; found == NULL && child != NULL; child = gtk_widget_get_next_sibling (child))
    found = find (child, type);
  return found;
}

static char *
list_format (FilesumWindow *window)
{
  GtkWidget *view = find (GTK_WIDGET (window), GTK_TYPE_COLUMN_VIEW);
  GListModel *model = G_LIST_MODEL (gtk_column_view_get_model (GTK_COLUMN_VIEW (view)));
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < g_list_model_get_n_items (model); i++)
    {
      g_autoptr (SumRow) row = g_list_model_get_item (model, i);
      g_autofree char *line = sum_row_format (row);

      g_string_append (text, line);
    }
  return g_string_free (text, FALSE);
}

static void
drive_list (FilesumApp    *app,
            FilesumWindow *window)
{
  g_autofree char *listed = NULL;

  g_assert_true (is_enabled (window, "open"));
  g_assert_false (is_enabled (window, "cancel"));
  g_assert_false (is_enabled (window, "save"));
  g_assert_false (is_enabled (window, "copy"));

  open_folder (window, tree);
  g_assert_false (is_enabled (window, "open"));
  g_assert_true (is_enabled (window, "cancel"));
  wait_for_end (window);
  g_assert_true (is_enabled (window, "open"));
  g_assert_false (is_enabled (window, "cancel"));
  g_assert_true (is_enabled (window, "save"));

  listed = list_format (window);
  g_assert_cmpstr (listed, ==, sums);
  press (window, "window.close");
}

static void
test_list (void)
{
  g_test_summary ("the list has what filesum prints; actions are enabled when they make sense");
  with_window (drive_list);
}

static void
on_text (GObject      *clipboard,
         GAsyncResult *result,
         gpointer      data)
{
  *(char **) data = gdk_clipboard_read_text_finish (GDK_CLIPBOARD (clipboard), result, NULL);
}

static void
drive_copy (FilesumApp    *app,
            FilesumWindow *window)
{
  GtkWidget *view = find (GTK_WIDGET (window), GTK_TYPE_COLUMN_VIEW);
  g_autofree char *text = NULL;

  open_folder (window, tree);
  wait_for_end (window);
  gtk_selection_model_select_all (gtk_column_view_get_model (GTK_COLUMN_VIEW (view)));
  press (window, "win.copy");
  gdk_clipboard_read_text_async (gtk_widget_get_clipboard (GTK_WIDGET (window)), NULL, on_text,
                                 &text);
  while (text == NULL)
    iterate ();
  g_assert_cmpstr (text, ==, sums);
  press (window, "window.close");
}

static void
test_copy (void)
{
  g_test_summary ("the selected sums are copied as filesum prints them");
  with_window (drive_copy);
}

/* A folder that takes long to hash, and no room. */
static char *
make_long_work (void)
{
  char *folder = make_folder ("long");

  for (guint i = 0; i < 64; i++)
    {
      g_autofree char *name = g_strdup_printf ("long-%02u", i);
      g_autofree char *path = g_build_filename (folder, name, NULL);

      add_file (folder, name, "", 0);
      g_assert_no_errno (truncate (path, (off_t) 16 << 30));
    }
  return folder;
}

static void
drive_cancel (FilesumApp    *app,
              FilesumWindow *window)
{
  g_autofree char *folder = make_long_work ();
  g_autofree char *listed = NULL;
  Run *active;

  open_folder (window, folder);
  active = filesum_window_get_run (window);
  while (run_get_bytes (active) == 0)
    iterate ();
  press (window, "win.cancel");
  g_assert_true (run_is_active (active));
  wait_for_end (window);
  g_assert_true (run_was_cancelled (active));
  g_assert_cmpuint (run_get_files (active), <, 64);
  g_assert_true (is_enabled (window, "open"));

  open_folder (window, tree);
  wait_for_end (window);
  listed = list_format (window);
  g_assert_cmpstr (listed, ==, sums);
  press (window, "window.close");
}

static void
test_cancel (void)
{
  g_test_summary ("cancelling does not wait; the threads end, and the next folder is hashed");
  with_window (drive_cancel);
}

static void
drive_close (FilesumApp    *app,
             FilesumWindow *window)
{
  g_autofree char *folder = make_long_work ();

  open_folder (window, folder);
  while (run_get_bytes (filesum_window_get_run (window)) == 0)
    iterate ();
  press (window, "window.close");
}

static void
drive_quit (FilesumApp    *app,
            FilesumWindow *window)
{
  g_autofree char *folder = make_long_work ();

  open_folder (window, folder);
  while (run_get_bytes (filesum_window_get_run (window)) == 0)
    iterate ();
  press (window, "app.quit");
  g_assert_null (gtk_application_get_windows (GTK_APPLICATION (app)));
}

static void
test_close (void)
{
  g_test_summary ("a window that is closed in the middle of its work takes the threads along");
  with_window (drive_close);
  with_window (drive_quit);
}

static GtkDropTarget *
find_drop_target (GtkWidget *widget)
{
  g_autoptr (GListModel) controllers = gtk_widget_observe_controllers (widget);

  for (guint i = 0; i < g_list_model_get_n_items (controllers); i++)
    {
      g_autoptr (GtkEventController) each = g_list_model_get_item (controllers, i);

      if (GTK_IS_DROP_TARGET (each))
        return GTK_DROP_TARGET (each);
    }
  g_assert_not_reached ();
}

static gboolean
drop (FilesumWindow *window,
      const char    *path)
{
  GtkDropTarget *target = find_drop_target (gtk_window_get_child (GTK_WINDOW (window)));
  g_autoptr (GFile) file = g_file_new_for_path (path);
  GSList files = { file, NULL };
  GValue value = G_VALUE_INIT;
  gboolean accepted = FALSE;

  g_value_init (&value, GDK_TYPE_FILE_LIST);
  g_value_set_boxed (&value, &files);
  g_signal_emit_by_name (target, "drop", &value, 0.0, 0.0, &accepted);
  g_value_unset (&value);
  return accepted;
}

static void
drive_drop (FilesumApp    *app,
            FilesumWindow *window)
{
  g_autofree char *listed = NULL;

  g_assert_true (drop (window, tree));
  g_assert_false (drop (window, tree));         /* one at a time */
  wait_for_end (window);
  listed = list_format (window);
  g_assert_cmpstr (listed, ==, sums);
  press (window, "window.close");
}

static void
test_drop (void)
{
  g_test_summary ("a folder that is dropped on the window is hashed");
  with_window (drive_drop);
}

/* Presses what opens a dialog, and closes that. */
static void
expect_dialog (FilesumWindow *window,
               const char    *action,
               GType          type)
{
  GListModel *toplevels = gtk_window_get_toplevels ();
  gpointer dialog = NULL;

  press (window, action);
  for (guint i = 0; i < g_list_model_get_n_items (toplevels); i++)
    {
      g_autoptr (GtkWidget) each = g_list_model_get_item (toplevels, i);

      if (G_TYPE_CHECK_INSTANCE_TYPE (each, type) && gtk_widget_get_visible (each))
        dialog = each;
    }
  g_assert_nonnull (dialog);
  g_object_add_weak_pointer (dialog, &dialog);
  gtk_window_close (dialog);
  while (dialog != NULL && gtk_widget_get_visible (dialog))
    iterate ();
  g_clear_weak_pointer (&dialog);
}

static void
drive_dialogs (FilesumApp    *app,
               FilesumWindow *window)
{
  open_folder (window, tree);
  wait_for_end (window);
  expect_dialog (window, "win.show-help-overlay", GTK_TYPE_SHORTCUTS_WINDOW);
  expect_dialog (window, "app.about", GTK_TYPE_ABOUT_DIALOG);
  expect_dialog (window, "win.open", GTK_TYPE_FILE_CHOOSER_DIALOG);
  expect_dialog (window, "win.save", GTK_TYPE_FILE_CHOOSER_DIALOG);
  press (window, "window.close");
}

static void
test_dialogs (void)
{
  g_test_summary ("the actions of the menu show what they should");
  with_window (drive_dialogs);
}

static void
drive_shortcuts (FilesumApp    *app,
                 FilesumWindow *window)
{
  const char *expected[][2] = { { "win.open", "<Control>o" }, { "win.cancel", "Escape" },
                                { "win.save", "<Control>s" }, { "win.copy", "<Control>c" },
                                { "window.close", "<Control>w" }, { "app.quit", "<Control>q" },
                                { "win.show-help-overlay", "<Control>question" } };

  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      g_auto (GStrv) accels = gtk_application_get_accels_for_action (GTK_APPLICATION (app),
                                                                     expected[i][0]);

      g_assert_cmpstr (accels[0], ==, expected[i][1]);
    }
  press (window, "window.close");
}

static void
test_shortcuts (void)
{
  g_test_summary ("each action has a key");
  with_window (drive_shortcuts);
}

static void
drive_accessible (FilesumApp    *app,
                  FilesumWindow *window)
{
  GtkWidget *top = GTK_WIDGET (window);

  open_folder (window, tree);
  gtk_test_accessible_assert_property (find (top, GTK_TYPE_PROGRESS_BAR),
                                       GTK_ACCESSIBLE_PROPERTY_LABEL, "Thread 1");
  gtk_test_accessible_assert_property (find (top, GTK_TYPE_COLUMN_VIEW),
                                       GTK_ACCESSIBLE_PROPERTY_LABEL, "Sums");
  gtk_test_accessible_assert_property (find (top, GTK_TYPE_MENU_BUTTON),
                                       GTK_ACCESSIBLE_PROPERTY_LABEL, "Main Menu");
  gtk_test_accessible_assert_property (find (top, FRAME_TYPE_METER),
                                       GTK_ACCESSIBLE_PROPERTY_LABEL, "Time of each frame");
  gtk_test_accessible_assert_role (find (top, FRAME_TYPE_METER), GTK_ACCESSIBLE_ROLE_IMG);
  wait_for_end (window);
  press (window, "window.close");
}

static void
test_accessible (void)
{
  g_test_summary ("what has no text says what it is to those who cannot see it");
  with_window (drive_accessible);
}

static int
run_tests (void)
{
  int status;

  make_tree ();
  sums = filesum (tree);
  g_test_add_func ("/gtk-filesum/benchmark", test_benchmark);
  g_test_add_func ("/gtk-filesum/problems", test_problems);
  g_test_add_func ("/gtk-filesum/flood", test_flood);
  g_test_add_func ("/gtk-filesum/usage", test_usage);
  g_test_add_func ("/gtk-filesum/screenshot", test_screenshot);
  g_test_add_func ("/gtk-filesum/list", test_list);
  g_test_add_func ("/gtk-filesum/copy", test_copy);
  g_test_add_func ("/gtk-filesum/cancel", test_cancel);
  g_test_add_func ("/gtk-filesum/close", test_close);
  g_test_add_func ("/gtk-filesum/drop", test_drop);
  g_test_add_func ("/gtk-filesum/dialogs", test_dialogs);
  g_test_add_func ("/gtk-filesum/shortcuts", test_shortcuts);
  g_test_add_func ("/gtk-filesum/accessible", test_accessible);
  status = g_test_run ();
  g_free (sums);
  g_free (tree);
  return status;
}

int
main (int    argc,
      char **argv)
{
  GPid screen;
  int status = 0;

  make_home ();
  if (screen_start (&screen))
    {
      g_test_init (&argc, &argv, NULL);
      status = run_tests ();
      kill (screen, SIGTERM);
    }
  else
    puts ("TAP version 13\n1..0 # SKIP there is no Xvfb here, or it does not start");
  remove_folder (home);
  return status;
}
