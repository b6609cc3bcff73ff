/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program: a context in the main loop of GTK, the actions, and the command line. */
#include "gtk-filesum.h"

/* Drawing and the context take turns: sources of one priority that are ready have their turn in
 * each iteration. Behind drawing, the context would get nothing on a machine that is too slow to
 * draw all frames; before it, there would be no frames while there is always something to do. */
#define PRIORITY GDK_PRIORITY_REDRAW

/* And this is how long a turn of the context may be, in microseconds, whatever the threads send. */
#define BUDGET 2000

struct _FilesumApp
{
  GtkApplication parent;
  AioContext *context;
  Options options;
};

G_DEFINE_FINAL_TYPE (FilesumApp, filesum_app, GTK_TYPE_APPLICATION)

static void
filesum_app_activate (GApplication *app)
{
  FilesumApp *self = FILESUM_APP (app);
  FilesumWindow *window = filesum_window_new (GTK_APPLICATION (app), self->context,
                                              self->options.n_workers);

  gtk_window_present (GTK_WINDOW (window));
  if (self->options.benchmark || self->options.output != NULL || self->options.screenshot != NULL)
    benchmark_start (window, self->context, &self->options);
  else if (self->options.paths != NULL)
    filesum_window_open (window, (const char *const *) self->options.paths);
}

/* All windows close, and each takes its run down. The program ends when the last thread has. */
static void
on_quit (GSimpleAction *action,
         GVariant      *parameter,
         gpointer       app)
{
  GList *windows = g_list_copy (gtk_application_get_windows (app));

  for (GList *each = windows; each != NULL; each = each->next)
    gtk_window_destroy (each->data);
  g_list_free (windows);
}

static void
on_about (GSimpleAction *action,
          GVariant      *parameter,
          gpointer       app)
{
  gtk_show_about_dialog (gtk_application_get_active_window (app),
                         "program-name", "Checksums",
                         "version", AIO_VERSION_S,
                         "comments", "An example of aioctx-gsource: several threads hash files, "
                                     "and the window never waits.",
                         "license-type", GTK_LICENSE_LGPL_2_1,
                         "logo-icon-name", "folder-symbolic",
                         NULL);
}

static const GActionEntry actions[] = {
  { .name = "quit", .activate = on_quit },
  { .name = "about", .activate = on_about },
};

static const struct
{
  const char *action;
  const char *accels[3];
} shortcuts[] = {
  { "win.open", { "<Control>o" } },
  { "win.cancel", { "Escape" } },
  { "win.save", { "<Control>s" } },
  { "win.copy", { "<Control>c" } },
  { "window.close", { "<Control>w" } },
  { "app.quit", { "<Control>q" } },
};

/* The context runs with all else that is in the main loop of GTK. */
static void
app_attach_context (FilesumApp *self)
{
  self->context = aio_context_new_full ("window", NULL);
  aio_context_set_priority (self->context, self->options.priority);
  aio_context_set_budget (self->context, 0, self->options.budget);
  aio_context_attach (self->context, NULL);
}

static void
filesum_app_startup (GApplication *app)
{
  G_APPLICATION_CLASS (filesum_app_parent_class)->startup (app);
  app_attach_context (FILESUM_APP (app));
  g_action_map_add_action_entries (G_ACTION_MAP (app), actions, G_N_ELEMENTS (actions), app);
  for (guint i = 0; i < G_N_ELEMENTS (shortcuts); i++)
    gtk_application_set_accels_for_action (GTK_APPLICATION (app), shortcuts[i].action,
                                           shortcuts[i].accels);
}

/* No run is active any more: each one held the program. */
static void
filesum_app_shutdown (GApplication *app)
{
  FilesumApp *self = FILESUM_APP (app);

  G_APPLICATION_CLASS (filesum_app_parent_class)->shutdown (app);
  aio_context_detach (self->context);
  g_clear_pointer (&self->context, aio_context_unref);
}

static gboolean
options_are_valid (Options *options)
{
  const char *problem = NULL;

  if (options->n_workers < 1 || options->n_workers > 256)
    problem = "--jobs is 1 to 256";
  else if (options->budget < 0 || options->flood < 0)
    problem = "--budget and --flood are 0 or more";
  else if (options->paths == NULL && (options->benchmark || options->output != NULL))
    problem = "which folders?";
  if (problem != NULL)
    g_printerr ("gtk-filesum: %s\n", problem);
  return problem == NULL;
}

static int
filesum_app_handle_local_options (GApplication *app,
                                  GVariantDict *dict)
{
  return options_are_valid (&FILESUM_APP (app)->options) ? -1 : 2;
}

static void
filesum_app_finalize (GObject *object)
{
  FilesumApp *self = FILESUM_APP (object);

  g_strfreev (self->options.paths);
  g_free (self->options.output);
  g_free (self->options.screenshot);
  G_OBJECT_CLASS (filesum_app_parent_class)->finalize (object);
}

static void
filesum_app_class_init (FilesumAppClass *class)
{
  GApplicationClass *app_class = G_APPLICATION_CLASS (class);

  G_OBJECT_CLASS (class)->finalize = filesum_app_finalize;
  app_class->activate = filesum_app_activate;
  app_class->startup = filesum_app_startup;
  app_class->shutdown = filesum_app_shutdown;
  app_class->handle_local_options = filesum_app_handle_local_options;
}

static void
filesum_app_init (FilesumApp *self)
{
  Options *options = &self->options;
  const GOptionEntry entries[] = {
    { "jobs", 'j', 0, G_OPTION_ARG_INT, &options->n_workers,
      "Hash with N threads (default: one per processor)", "N" },
    { "benchmark", 0, 0, G_OPTION_ARG_NONE, &options->benchmark,
      "Hash the folders, print how it went and how long the frames took, and quit", NULL },
    { "output", 'o', 0, G_OPTION_ARG_FILENAME, &options->output,
      "Write the sums to FILE when all are there", "FILE" },
    { "screenshot", 0, 0, G_OPTION_ARG_FILENAME, &options->screenshot,
      "Write a picture of the window to FILE, as PNG", "FILE" },
    { "screenshot-at", 0, 0, G_OPTION_ARG_INT, &options->screenshot_at,
      "Take it after N files (default: at the end)", "N" },
    { "priority", 0, 0, G_OPTION_ARG_INT, &options->priority,
      "The priority of the context in the main loop (default: that of drawing)", "N" },
    { "budget", 0, 0, G_OPTION_ARG_INT, &options->budget,
      "How long it may keep the window busy at a time (default: 2000; 0: no limit)", "USEC" },
    { "flood", 0, 0, G_OPTION_ARG_INT, &options->flood,
      "With --benchmark: N callbacks of 50 µs that are scheduled all the time", "N" },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->paths, NULL,
      "[FOLDER…]" },
    G_OPTION_ENTRY_NULL
  };

  options->n_workers = CLAMP (g_get_num_processors (), 1, 256);
  options->priority = PRIORITY;
  options->budget = BUDGET;
  g_application_add_main_option_entries (G_APPLICATION (self), entries);
}

FilesumApp *
filesum_app_new (void)
{
  return g_object_new (FILESUM_TYPE_APP,
                       "application-id", APP_ID,
                       "resource-base-path", APP_RESOURCES,
                       "flags", G_APPLICATION_NON_UNIQUE,
                       NULL);
}

int
filesum_app_get_status (FilesumApp *self)
{
  return self->options.status;
}
