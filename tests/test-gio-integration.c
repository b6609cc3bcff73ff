/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Three contexts under load share a GMainContext with what is not ours: calls over D-Bus, a file
 * monitor, subprocesses, a socket service and its clients. Every question is answered, and nobody
 * is starved.
 *
 * The load is a chain of leases. Each answer lends the context of the lowest priority a few runs of
 * a bottom half. Each run lends a few to the context above it, and each of those a few to the one
 * on top; a run begins a round of posts, bottom halves, descriptors and timers in its context,
 * unless one is going on there. So all are flooded again and again and yet fall quiet now and then,
 * without which GLib never comes to a source of lower priority. */
#include "invoke-test.h"

#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>

#define WITH_TSAN 0
#if defined (__SANITIZE_THREAD__)
#undef WITH_TSAN
#define WITH_TSAN 1
#elif defined (__has_feature)
#if __has_feature (thread_sanitizer)
#undef WITH_TSAN
#define WITH_TSAN 1
#endif
#endif

#define LEASE      20   /* runs that are lent to the context above */
#define BURST      50   /* posts in a round, and schedules of one bottom half */
#define MIN_ROUNDS 300
#define QUESTIONS  40   /* of each kind */

typedef struct _Rig Rig;
typedef struct _Load Load;
typedef struct _Kind Kind;

/* --- The load --------------------------------------------------------------------------------- */

struct _Load
{
  Rig *rig;
  Load *above;                  /* of higher priority; NULL: there is none */
  AioContext *context;
  AioBH *spin;
  AioBH *merging;
  AioTimer timer;
  int fds[2];
  pthread_t producer;

  /* Home thread. */
  guint lease;                  /* so often spin may still run */
  guint n_spins;
  guint n_rounds;
  guint n_posts;                /* of the round, as all that follow: how many have run */
  gboolean merged, read, fired;
  gboolean open;                /* the round is going on */

  /* The producer's, under the lock. */
  pthread_mutex_t lock;
  pthread_cond_t asked;
  gboolean flood;
  gboolean over;
  gboolean is_merged;           /* its schedules have all been made */
};

typedef struct
{
  const char *name;
  guint n_lanes;                /* so many are asked at a time */
  void (*begin) (Kind *kind);   /* and end: NULL if there is nothing to do */
  void (*ask) (Kind       *kind,
               const char *text);
  void (*end) (Rig *rig);
} KindType;

struct _Kind
{
  const KindType *type;
  Rig *rig;
  GHashTable *open;             /* the texts that wait for an answer */
  guint n_asked;
  guint n_answered;
};

typedef enum
{
  TOP,
  MIDDLE,
  BOTTOM,
  N_LOADS
} Place;

#define MAX_KINDS 5

/* All but the first work with threads of GLib's, whose locks a thread sanitizer does not see. */
static const guint n_kinds = WITH_TSAN ? 1 : MAX_KINDS;

struct _Rig
{
  GMainContext *main_context;
  Load loads[N_LOADS];
  GSource *bystander;
  guint n_bystander;            /* how often it ran */
  gboolean winding_down;        /* no round is begun any more */
  gboolean ended;
  GDestroyNotify on_end;
  gpointer end_data;

  GDBusConnection *bus;
  guint object_id;
  GFileMonitor *monitor;
  char *folder;
  GSocketService *service;
  GSocketAddress *address;
  Kind kinds[MAX_KINDS];
};

static gboolean
all_had_rounds (Rig *rig)
{
  for (guint i = 0; i < N_LOADS; i++)
    if (rig->loads[i].n_rounds < MIN_ROUNDS)
      return FALSE;
  return TRUE;
}

static gboolean
is_round_open (Rig *rig)
{
  for (guint i = 0; i < N_LOADS; i++)
    if (rig->loads[i].open)
      return TRUE;
  return FALSE;
}

static gboolean
all_answered (Rig *rig)
{
  for (guint i = 0; i < n_kinds; i++)
    if (rig->kinds[i].n_answered < QUESTIONS)
      return FALSE;
  return TRUE;
}

static void
lend (Load  *load,
      guint  n_runs)
{
  load->lease = MAX (load->lease, n_runs);
  aio_bh_schedule (load->spin);
}

/* With each answer, and at the end of each round. */
static void
go_on (Rig   *rig,
       guint  n_runs)
{
  aio_test_moved ();
  rig->winding_down = rig->winding_down || (all_answered (rig) && all_had_rounds (rig));
  if (!rig->winding_down)
    lend (&rig->loads[BOTTOM], n_runs);
  else if (!is_round_open (rig) && !rig->ended)
    {
      rig->ended = TRUE;
      rig->on_end (rig->end_data);
    }
}

static void
look_at_round (Load *load)
{
  if (!load->open || load->n_posts < BURST || !load->merged || !load->read || !load->fired)
    return;
  load->open = FALSE;
  load->n_rounds++;
  go_on (load->rig, 1);
}

static void
on_post (gpointer data)
{
  Load *load = data;

  load->n_posts++;
  look_at_round (load);
}

/* The one that comes behind the last schedule counts. */
static void
on_merging (gpointer data)
{
  Load *load = data;

  pthread_mutex_lock (&load->lock);
  load->merged = load->is_merged;
  pthread_mutex_unlock (&load->lock);
  look_at_round (load);
}

static void
on_readable (gpointer data)
{
  Load *load = data;

  g_assert_true (take (load->fds[0]));
  load->read = TRUE;
  look_at_round (load);
}

static void
on_timer (gpointer data)
{
  Load *load = data;

  load->fired = TRUE;
  look_at_round (load);
}

static gboolean
wait_for_round (Load *load)
{
  gboolean over;

  pthread_mutex_lock (&load->lock);
  while (!load->flood && !load->over)
    pthread_cond_wait (&load->asked, &load->lock);
  over = load->over;
  load->flood = FALSE;
  pthread_mutex_unlock (&load->lock);
  return !over;
}

static void *
produce (void *data)
{
  Load *load = data;

  while (wait_for_round (load))
    {
      for (int i = 0; i < BURST; i++)
        {
          g_assert_true (aio_context_post (load->context, on_post, load, NULL));
          aio_bh_schedule (load->merging);
        }
      pthread_mutex_lock (&load->lock);
      load->is_merged = TRUE;
      pthread_mutex_unlock (&load->lock);
      aio_bh_schedule (load->merging);
    }
  return NULL;
}

static void
begin_round (Load *load)
{
  load->open = TRUE;
  load->n_posts = 0;
  load->merged = load->read = load->fired = FALSE;
  pthread_mutex_lock (&load->lock);
  load->flood = TRUE;
  load->is_merged = FALSE;
  pthread_cond_signal (&load->asked);
  pthread_mutex_unlock (&load->lock);
  put (load->fds[1]);
  aio_timer_mod_ns (&load->timer,
                    aio_context_get_time_ns (load->context, AIO_CLOCK_MONOTONIC) + MSEC / 10);
}

static void
spin (gpointer data)
{
  Load *load = data;

  g_assert_true (g_main_context_is_owner (load->rig->main_context));
  load->n_spins++;
  if (load == &load->rig->loads[BOTTOM])
    g_source_set_ready_time (load->rig->bystander, 0);
  if (load->rig->winding_down)
    return;
  if (!load->open)
    begin_round (load);
  if (load->above != NULL)
    lend (load->above, LEASE);
  if (--load->lease > 0)
    aio_bh_schedule (load->spin);
}

static void
load_init (Load       *load,
           Rig        *rig,
           const char *name,
           int         priority)
{
  GError *error = NULL;

  load->rig = rig;
  load->context = aio_context_new_full (name, &error);
  g_assert_no_error (error);
  aio_context_set_priority (load->context, priority);
  aio_context_attach (load->context, rig->main_context);
  load->spin = aio_bh_new (load->context, spin, load);
  load->merging = aio_bh_new (load->context, on_merging, load);
  aio_timer_init (&load->timer, load->context, AIO_CLOCK_MONOTONIC, on_timer, load);
  open_pair (load->fds);
  aio_context_set_fd_handler (load->context, load->fds[0], on_readable, NULL, load);
  pthread_mutex_init (&load->lock, NULL);
  pthread_cond_init (&load->asked, NULL);
  load->producer = thread_start (produce, load);
}

static void
load_clear (Load *load)
{
  pthread_mutex_lock (&load->lock);
  load->over = TRUE;
  pthread_cond_signal (&load->asked);
  pthread_mutex_unlock (&load->lock);
  thread_join (load->producer);
  aio_context_set_fd_handler (load->context, load->fds[0], NULL, NULL, NULL);
  close_both (load->fds);
  aio_timer_clear (&load->timer);
  aio_bh_delete (load->merging);
  aio_bh_delete (load->spin);
  aio_context_detach (load->context);
  aio_context_unref (load->context);
  pthread_cond_destroy (&load->asked);
  pthread_mutex_destroy (&load->lock);
}

/* --- Questions -------------------------------------------------------------------------------- */

static void
ask_next (Kind *kind)
{
  char *text = g_strdup_printf ("%s-%u", kind->type->name, kind->n_asked++);

  g_hash_table_add (kind->open, text);
  kind->type->ask (kind, text);
}

/* Each text comes back once, in the thread that runs the GMainContext. */
static void
answered (Kind       *kind,
          const char *text)
{
  g_assert_true (g_main_context_is_owner (kind->rig->main_context));
  g_assert_true (g_hash_table_remove (kind->open, text));
  kind->n_answered++;
  if (kind->n_asked < QUESTIONS)
    ask_next (kind);
  go_on (kind->rig, LEASE);
}

/* What is known until the answer comes. */
typedef struct
{
  Kind *kind;                   /* NULL: the end of the service */
  GSocketConnection *connection;
  char text[32];
} Talk;

static Talk *
talk_new (Kind              *kind,
          const char        *text,
          GSocketConnection *connection)
{
  Talk *talk = g_new0 (Talk, 1);

  talk->kind = kind;
  talk->connection = connection;
  g_strlcpy (talk->text, text, sizeof talk->text);
  return talk;
}

static void
talk_end (Talk *talk)
{
  if (talk->kind != NULL)
    answered (talk->kind, talk->text);
  g_clear_object (&talk->connection);
  g_free (talk);
}

/* --- D-Bus ------------------------------------------------------------------------------------ */

static GTestDBus *test_bus;

#define OBJECT_PATH      "/org/example/Echo"
#define OBJECT_INTERFACE "org.example.Echo"

static const char object_xml[] =
  "<node><interface name='" OBJECT_INTERFACE "'><method name='Echo'>"
  "<arg type='s' direction='in'/><arg type='s' direction='out'/>"
  "</method></interface></node>";

static void
on_method_call (GDBusConnection       *bus,
                const char            *sender,
                const char            *path,
                const char            *interface,
                const char            *method,
                GVariant              *arguments,
                GDBusMethodInvocation *invocation,
                gpointer               data)
{
  Rig *rig = data;

  g_assert_true (g_main_context_is_owner (rig->main_context));
  g_dbus_method_invocation_return_value (invocation, arguments);
}

static const GDBusInterfaceVTable object_vtable = { .method_call = on_method_call };

static void
on_reply (GObject      *bus,
          GAsyncResult *result,
          gpointer      data)
{
  GError *error = NULL;
  GVariant *reply = g_dbus_connection_call_finish (G_DBUS_CONNECTION (bus), result, &error);
  const char *text;

  g_assert_no_error (error);
  g_variant_get (reply, "(&s)", &text);
  answered (data, text);
  g_variant_unref (reply);
}

/* To an object of this process, by way of the daemon. */
static void
ask_object (Kind       *kind,
            const char *text)
{
  GDBusConnection *bus = kind->rig->bus;

  g_dbus_connection_call (bus, g_dbus_connection_get_unique_name (bus), OBJECT_PATH,
                          OBJECT_INTERFACE, "Echo", g_variant_new ("(s)", text),
                          G_VARIANT_TYPE ("(s)"), G_DBUS_CALL_FLAGS_NONE, G_MAXINT, NULL,
                          on_reply, kind);
}

static void
on_daemon_reply (GObject      *bus,
                 GAsyncResult *result,
                 gpointer      data)
{
  GError *error = NULL;
  GVariant *reply = g_dbus_connection_call_finish (G_DBUS_CONNECTION (bus), result, &error);

  g_assert_no_error (error);
  g_variant_unref (reply);
  talk_end (data);
}

static void
ask_daemon (Kind       *kind,
            const char *text)
{
  g_dbus_connection_call (kind->rig->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                          "org.freedesktop.DBus", "ListNames", NULL, G_VARIANT_TYPE ("(as)"),
                          G_DBUS_CALL_FLAGS_NONE, G_MAXINT, NULL, on_daemon_reply,
                          talk_new (kind, text, NULL));
}

static void
begin_bus (Kind *kind)
{
  Rig *rig = kind->rig;
  GDBusConnectionFlags flags = G_DBUS_CONNECTION_FLAGS_AUTHENTICATION_CLIENT |
                               G_DBUS_CONNECTION_FLAGS_MESSAGE_BUS_CONNECTION;
  GDBusNodeInfo *info = g_dbus_node_info_new_for_xml (object_xml, NULL);
  GError *error = NULL;

  rig->bus = g_dbus_connection_new_for_address_sync (g_test_dbus_get_bus_address (test_bus), flags,
                                                     NULL, NULL, &error);
  g_assert_no_error (error);
  rig->object_id = g_dbus_connection_register_object (rig->bus, OBJECT_PATH, info->interfaces[0],
                                                      &object_vtable, rig, NULL, &error);
  g_assert_no_error (error);
  g_dbus_node_info_unref (info);
}

static void
end_bus (Rig *rig)
{
  GError *error = NULL;

  g_dbus_connection_unregister_object (rig->bus, rig->object_id);
  g_dbus_connection_close_sync (rig->bus, NULL, &error);
  g_assert_no_error (error);
  g_clear_object (&rig->bus);
}

/* --- Files ------------------------------------------------------------------------------------ */

static void
on_file_event (GFileMonitor      *monitor,
               GFile             *file,
               GFile             *other,
               GFileMonitorEvent  event,
               gpointer           data)
{
  g_autofree char *name = g_file_get_basename (file);

  if (event != G_FILE_MONITOR_EVENT_CREATED)
    return;
  g_assert_cmpint (g_remove (g_file_peek_path (file)), ==, 0);
  answered (data, name);
}

static void
ask_monitor (Kind       *kind,
             const char *text)
{
  g_autofree char *path = g_build_filename (kind->rig->folder, text, NULL);
  int fd = g_creat (path, 0600);

  g_assert_cmpint (fd, >=, 0);
  close (fd);
}

static void
begin_monitor (Kind *kind)
{
  Rig *rig = kind->rig;
  GError *error = NULL;
  GFile *file;

  rig->folder = g_dir_make_tmp ("aioctx-XXXXXX", &error);
  g_assert_no_error (error);
  file = g_file_new_for_path (rig->folder);
  rig->monitor = g_file_monitor_directory (file, G_FILE_MONITOR_NONE, NULL, &error);
  g_assert_no_error (error);
  g_signal_connect (rig->monitor, "changed", G_CALLBACK (on_file_event), kind);
  g_object_unref (file);
}

static void
end_monitor (Rig *rig)
{
  g_file_monitor_cancel (rig->monitor);
  g_clear_object (&rig->monitor);
  g_assert_cmpint (g_rmdir (rig->folder), ==, 0);
  g_clear_pointer (&rig->folder, g_free);
}

/* --- Processes -------------------------------------------------------------------------------- */

static void
on_process_ended (GObject      *process,
                  GAsyncResult *result,
                  gpointer      data)
{
  g_autofree char *text = NULL;
  GError *error = NULL;

  g_subprocess_communicate_utf8_finish (G_SUBPROCESS (process), result, &text, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (g_subprocess_get_successful (G_SUBPROCESS (process)));
  answered (data, text);
}

static void
ask_process (Kind       *kind,
             const char *text)
{
  GError *error = NULL;
  GSubprocess *process = g_subprocess_new (G_SUBPROCESS_FLAGS_STDIN_PIPE |
                                           G_SUBPROCESS_FLAGS_STDOUT_PIPE, &error, "cat", NULL);

  g_assert_no_error (error);
  g_subprocess_communicate_utf8_async (process, text, NULL, on_process_ended, kind);
  g_object_unref (process);
}

/* --- Sockets ---------------------------------------------------------------------------------- */

static void
talk_read (Talk                *talk,
           GAsyncReadyCallback  callback)
{
  g_input_stream_read_all_async (g_io_stream_get_input_stream (G_IO_STREAM (talk->connection)),
                                 talk->text, sizeof talk->text, G_PRIORITY_DEFAULT, NULL, callback,
                                 talk);
}

static void
talk_write (Talk                *talk,
            GAsyncReadyCallback  callback)
{
  g_output_stream_write_all_async (g_io_stream_get_output_stream (G_IO_STREAM (talk->connection)),
                                   talk->text, sizeof talk->text, G_PRIORITY_DEFAULT, NULL,
                                   callback, talk);
}

static void
end_read (GObject      *stream,
          GAsyncResult *result)
{
  GError *error = NULL;
  gsize n;

  g_input_stream_read_all_finish (G_INPUT_STREAM (stream), result, &n, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (n, ==, sizeof ((Talk *) NULL)->text);
}

static void
end_write (GObject      *stream,
           GAsyncResult *result)
{
  GError *error = NULL;

  g_output_stream_write_all_finish (G_OUTPUT_STREAM (stream), result, NULL, &error);
  g_assert_no_error (error);
}

static void
on_echoed (GObject      *stream,
           GAsyncResult *result,
           gpointer      data)
{
  end_write (stream, result);
  talk_end (data);
}

static void
on_heard (GObject      *stream,
          GAsyncResult *result,
          gpointer      data)
{
  end_read (stream, result);
  talk_write (data, on_echoed);
}

static gboolean
on_incoming (GSocketService    *service,
             GSocketConnection *connection,
             GObject           *source,
             gpointer           data)
{
  talk_read (talk_new (NULL, "", g_object_ref (connection)), on_heard);
  return TRUE;
}

static void
on_echo (GObject      *stream,
         GAsyncResult *result,
         gpointer      data)
{
  end_read (stream, result);
  talk_end (data);
}

static void
on_said (GObject      *stream,
         GAsyncResult *result,
         gpointer      data)
{
  Talk *talk = data;

  end_write (stream, result);
  memset (talk->text, 0, sizeof talk->text);
  talk_read (talk, on_echo);
}

static void
on_connected (GObject      *client,
              GAsyncResult *result,
              gpointer      data)
{
  Talk *talk = data;
  GError *error = NULL;

  talk->connection = g_socket_client_connect_finish (G_SOCKET_CLIENT (client), result, &error);
  g_assert_no_error (error);
  talk_write (talk, on_said);
}

static void
ask_service (Kind       *kind,
             const char *text)
{
  GSocketClient *client = g_socket_client_new ();

  g_socket_client_connect_async (client, G_SOCKET_CONNECTABLE (kind->rig->address), NULL,
                                 on_connected, talk_new (kind, text, NULL));
  g_object_unref (client);
}

/* The system finds a name for the socket that is no file. */
static void
begin_service (Kind *kind)
{
  Rig *rig = kind->rig;
  GSocketAddress *wanted =
    g_unix_socket_address_new_with_type ("", 0, G_UNIX_SOCKET_ADDRESS_ANONYMOUS);
  GError *error = NULL;

  rig->service = g_socket_service_new ();
  g_socket_listener_add_address (G_SOCKET_LISTENER (rig->service), wanted, G_SOCKET_TYPE_STREAM,
                                 G_SOCKET_PROTOCOL_DEFAULT, NULL, &rig->address, &error);
  g_assert_no_error (error);
  g_signal_connect (rig->service, "incoming", G_CALLBACK (on_incoming), NULL);
  g_object_unref (wanted);
}

/* The service ends when it has been told, by the main loop, that it accepts nobody any more. */
static void
end_service (Rig *rig)
{
  g_socket_service_stop (rig->service);
  g_socket_listener_close (G_SOCKET_LISTENER (rig->service));
  g_object_add_weak_pointer (G_OBJECT (rig->service), (gpointer *) &rig->service);
  g_object_unref (rig->service);
  while (rig->service != NULL)
    g_main_context_iteration (rig->main_context, TRUE);
  g_clear_object (&rig->address);
}

/* --- All together ----------------------------------------------------------------------------- */

/* The file monitor is asked about one file at a time, so that no event stands for two. */
static const KindType all_kinds[] = {
  { "socket", 4, begin_service, ask_service, end_service },
  { "object", 4, begin_bus, ask_object, end_bus },
  { "daemon", 4, NULL, ask_daemon, NULL },
  { "file", 1, begin_monitor, ask_monitor, end_monitor },
  { "process", 2, NULL, ask_process, NULL },
};

G_STATIC_ASSERT (G_N_ELEMENTS (all_kinds) == MAX_KINDS);

/* A source of GLib's with the priority of the lowest context, for which it is made ready once for
 * each run there. GLib dispatches both in every iteration in which they are ready. */
static gboolean
on_bystander (gpointer data)
{
  Rig *rig = data;
  guint n_spins = rig->loads[BOTTOM].n_spins;

  g_assert_cmpuint (++rig->n_bystander, <=, n_spins);
  g_assert_cmpuint (n_spins - rig->n_bystander, <=, 1);
  if (rig->n_bystander == n_spins)
    g_source_set_ready_time (rig->bystander, -1);
  return G_SOURCE_CONTINUE;
}

static gboolean
dispatch_bystander (GSource     *source,
                    GSourceFunc  callback,
                    gpointer     data)
{
  return callback (data);
}

static GSourceFuncs bystander_funcs = { .dispatch = dispatch_bystander };

static void
begin_loads (Rig *rig)
{
  load_init (&rig->loads[TOP], rig, "top", G_PRIORITY_HIGH);
  load_init (&rig->loads[MIDDLE], rig, "middle", G_PRIORITY_DEFAULT);
  load_init (&rig->loads[BOTTOM], rig, "bottom", G_PRIORITY_LOW);
  rig->loads[MIDDLE].above = &rig->loads[TOP];
  rig->loads[BOTTOM].above = &rig->loads[MIDDLE];

  rig->bystander = g_source_new (&bystander_funcs, sizeof (GSource));
  g_source_set_priority (rig->bystander, G_PRIORITY_LOW);
  g_source_set_callback (rig->bystander, on_bystander, rig, NULL);
  g_source_attach (rig->bystander, rig->main_context);
}

static void
begin_questions (Rig *rig)
{
  for (guint i = 0; i < n_kinds; i++)
    {
      rig->kinds[i].type = &all_kinds[i];
      rig->kinds[i].rig = rig;
      rig->kinds[i].open = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
    }
  for (guint i = 0; i < n_kinds; i++)
    if (rig->kinds[i].type->begin != NULL)
      rig->kinds[i].type->begin (&rig->kinds[i]);
  for (guint i = 0; i < n_kinds; i++)
    for (guint lane = 0; lane < rig->kinds[i].type->n_lanes; lane++)
      ask_next (&rig->kinds[i]);
}

static void
end_questions (Rig *rig)
{
  for (guint i = 0; i < n_kinds; i++)
    {
      if (rig->kinds[i].type->end != NULL)
        rig->kinds[i].type->end (rig);
      g_assert_cmpuint (rig->kinds[i].n_answered, ==, QUESTIONS);
      g_assert_cmpuint (g_hash_table_size (rig->kinds[i].open), ==, 0);
      g_hash_table_unref (rig->kinds[i].open);
    }
}

/* In the thread that runs the GMainContext, which is its thread-default one. */
static gboolean
rig_begin (gpointer       data,
           GCancellable  *cancellable,
           GError       **error)
{
  Rig *rig = data;

  rig->main_context = g_main_context_ref_thread_default ();
  begin_loads (rig);
  begin_questions (rig);
  return TRUE;
}

static gboolean
rig_end (gpointer       data,
         GCancellable  *cancellable,
         GError       **error)
{
  Rig *rig = data;

  end_questions (rig);
  for (guint i = 0; i < N_LOADS; i++)
    load_clear (&rig->loads[i]);
  g_source_destroy (rig->bystander);
  g_source_unref (rig->bystander);
  g_main_context_unref (rig->main_context);
  return TRUE;
}

/* --- Cases ------------------------------------------------------------------------------------ */

static void
run_in_main_loop (void)
{
  GMainContext *main_context = g_main_context_new ();
  GMainLoop *loop = g_main_loop_new (main_context, FALSE);
  Rig rig = { .on_end = (GDestroyNotify) g_main_loop_quit, .end_data = loop };

  g_main_context_push_thread_default (main_context);
  rig_begin (&rig, NULL, NULL);
  g_main_loop_run (loop);
  rig_end (&rig, NULL, NULL);
  while (g_main_context_iteration (main_context, FALSE))
    continue;
  g_main_context_pop_thread_default (main_context);
  g_main_loop_unref (loop);
  g_main_context_unref (main_context);
}

static void
open_gate (gpointer gate)
{
  gate_open (gate);
}

static void
run_in_io_thread (void)
{
  AioIOThread *thread = io_new ("host");
  AioContext *context = aio_io_thread_get_context (thread);
  Gate over = GATE_INIT;
  Rig rig = { .on_end = open_gate, .end_data = &over };

  aio_context_invoke_sync (context, rig_begin, &rig, NULL, NULL);
  g_assert_true (rig.main_context == aio_io_thread_get_main_context (thread));
  gate_pass (&over);
  aio_context_invoke_sync (context, rig_end, &rig, NULL, NULL);
  aio_io_thread_unref (thread);
}

/* What GLib opens once and never closes again, it opens in the first run, which is not counted. */
static gboolean
begin_bus_daemon (void)
{
  g_autofree char *program = g_find_program_in_path ("dbus-daemon");

  if (program == NULL)
    return FALSE;
  if (test_bus == NULL)
    {
      test_bus = g_test_dbus_new (G_TEST_DBUS_NONE);
      g_test_dbus_up (test_bus);
      run_in_main_loop ();
    }
  return TRUE;
}

static void
end_bus_daemon (void)
{
  if (test_bus == NULL)
    return;
  g_test_dbus_down (test_bus);
  g_clear_object (&test_bus);
}

/* GLib closes some descriptors in threads of its own, a little later. */
static void
run_case (void (*run) (void))
{
  guint before;

  if (!begin_bus_daemon ())
    {
      g_test_skip ("there is no dbus-daemon");
      return;
    }
  before = aio_test_count_fds ();
  run ();
  while (aio_test_count_fds () > before)
    g_usleep (1000);
}

static void
test_main_loop (void)
{
  g_test_summary ("C18, C19: three busy contexts and GIO in one main loop");
  run_case (run_in_main_loop);
}

static void
test_io_thread (void)
{
  g_test_summary ("C18, C19, C26: three busy contexts and GIO in an I/O thread's main context");
  run_case (run_in_io_thread);
}

int
main (int    argc,
      char **argv)
{
  int status;

  /* No modules that would talk to a bus of the desktop. */
  g_setenv ("GIO_USE_VFS", "local", TRUE);
  loop_test_init (&argc, &argv);
  g_test_add_func ("/gio-integration/main-loop", test_main_loop);
  g_test_add_func ("/gio-integration/io-thread", test_io_thread);
  status = g_test_run ();
  end_bus_daemon ();
  return status;
}
