/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A TCP echo server: what a client sends, it gets back.
 *
 *   echo [--threads=N] [--address=ADDRESS] [--port=PORT]
 *
 * Try it with "nc 127.0.0.1 7777". It ends on Ctrl-C.
 *
 * The main thread runs a GMainLoop, as any GLib program does, with one AioContext attached to it.
 * That accepts connections, prints statistics, and ends the program. Each connection is given to
 * one of N I/O threads, in turn, by a post. An I/O thread runs an AioContext of its own, which
 * watches the connections that the thread was given: however many they are, an iteration costs as
 * much as there are ready ones among them.
 *
 * A connection belongs to its thread from the post on, so nothing here needs a lock. */
#include <aioctx-gsource/aioctx-gsource.h>

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_SIZE     (64 * 1024)
#define ACCEPTS_PER_RUN 64
#define NSEC_PER_SEC    G_GINT64_CONSTANT (1000000000)

typedef struct
{
  /* Immutable. */
  AioIOThread *thread;
  AioContext *context;

  /* Written by the I/O thread, read by the main thread for the statistics. */
  atomic_uint n_open;
  atomic_ullong n_bytes;

  /* The I/O thread only; the main thread's once the I/O thread has been stopped. */
  GQueue connections;
  char buffer[BUFFER_SIZE];
} Worker;

typedef struct
{
  Worker *worker;
  GList link;                   /* in worker->connections */
  int fd;

  /* What the client has sent and not taken back yet. While there is any we read no more of it. */
  char *unsent;
  gsize n_unsent;
} Connection;

typedef struct
{
  GMainLoop *loop;
  AioContext *context;
  int listener;
  AioTimer accept_again;        /* armed while we are out of descriptors */

  AioTimer every_second;
  gint64 next_second;
  guint64 n_bytes_before;

  GPtrArray *workers;
  guint n_accepted;
} Server;

/* --- A connection, in its I/O thread ---------------------------------------------------------- */

static void connection_read  (gpointer data);
static void connection_write (gpointer data);

/* The handler goes first and the descriptor after it: the kernel may give its number to the next
 * connection at once. */
static void
connection_close (Connection *self)
{
  Worker *worker = self->worker;

  aio_context_set_fd_handler (worker->context, self->fd, NULL, NULL, NULL);
  close (self->fd);
  g_queue_unlink (&worker->connections, &self->link);
  atomic_fetch_sub (&worker->n_open, 1);
  g_free (self->unsent);
  g_free (self);
}

/* Handlers are level-triggered: they are called as long as the socket is ready. A socket is nearly
 * always ready to be written to, so it is watched for that only while there is something to write,
 * and then for nothing else: a client that sends and never reads has to stop sending some time,
 * and costs us no more than one buffer. */
static void
connection_watch (Connection *self)
{
  g_autoptr (GError) error = NULL;
  gboolean writing = self->n_unsent > 0;

  if (!aio_context_set_fd_handler_full (self->worker->context, self->fd,
                                        writing ? NULL : connection_read,
                                        writing ? connection_write : NULL,
                                        NULL, NULL, self, NULL, &error))
    {
      g_printerr ("echo: %s\n", error->message);
      connection_close (self);
    }
}

static gboolean
is_not_ready (int error)
{
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

/* Returns how much the kernel has taken, or -1 if the connection is broken. */
static gssize
connection_send (Connection *self,
                 const char *bytes,
                 gsize       n)
{
  gssize sent = send (self->fd, bytes, n, MSG_NOSIGNAL);

  if (sent < 0)
    return is_not_ready (errno) ? 0 : -1;
  atomic_fetch_add_explicit (&self->worker->n_bytes, sent, memory_order_relaxed);
  return sent;
}

/* All connections of a thread share a buffer; one gets its own only when its client is slow. */
static void
connection_read (gpointer data)
{
  Connection *self = data;
  char *buffer = self->worker->buffer;
  gssize received = recv (self->fd, buffer, BUFFER_SIZE, 0);
  gssize sent;

  if (received < 0 && is_not_ready (errno))
    return;
  sent = received > 0 ? connection_send (self, buffer, received) : -1;
  if (sent < 0)
    {
      connection_close (self);
    }
  else if (sent < received)
    {
      self->n_unsent = received - sent;
      self->unsent = g_memdup2 (buffer + sent, self->n_unsent);
      connection_watch (self);
    }
}

static void
connection_write (gpointer data)
{
  Connection *self = data;
  gssize sent = connection_send (self, self->unsent, self->n_unsent);

  if (sent < 0)
    {
      connection_close (self);
      return;
    }
  self->n_unsent -= sent;
  memmove (self->unsent, self->unsent + sent, self->n_unsent);
  if (self->n_unsent == 0)
    {
      g_clear_pointer (&self->unsent, g_free);
      connection_watch (self);
    }
}

/* The first thing that happens to a connection in its I/O thread. */
static void
connection_start (gpointer data)
{
  Connection *self = data;

  self->link.data = self;
  g_queue_push_tail_link (&self->worker->connections, &self->link);
  atomic_fetch_add (&self->worker->n_open, 1);
  connection_watch (self);
}

/* --- The I/O threads -------------------------------------------------------------------------- */

static Worker *
worker_new (guint    number,
            GError **error)
{
  g_autofree char *name = g_strdup_printf ("echo-%u", number);
  AioIOThread *thread = aio_io_thread_new (name, error);
  Worker *self;

  if (thread == NULL)
    return NULL;
  self = g_new0 (Worker, 1);
  self->thread = thread;
  self->context = aio_io_thread_get_context (thread);
  return self;
}

/* Stopping a thread runs what was posted to it before, so a connection is in the list of its thread
 * by then. Nobody but us uses the list afterwards. */
static void
worker_free (gpointer data)
{
  Worker *self = data;

  aio_io_thread_stop (self->thread);
  while (!g_queue_is_empty (&self->connections))
    connection_close (g_queue_peek_head (&self->connections));
  aio_io_thread_unref (self->thread);
  g_free (self);
}

/* --- Accepting, in the main thread ------------------------------------------------------------ */

static void server_accept (gpointer data);

/* Without a free descriptor a connection cannot be accepted, and the listening socket stays ready
 * all the same: we would be called again and again. So we stop watching it for a second; clients
 * wait in the kernel's queue meanwhile. */
static void
server_pause (Server *self)
{
  gint64 now = aio_context_get_time_ns (self->context, AIO_CLOCK_MONOTONIC);

  aio_context_set_fd_handler (self->context, self->listener, NULL, NULL, NULL);
  aio_timer_mod_ns (&self->accept_again, now + NSEC_PER_SEC);
}

static void
server_resume (gpointer data)
{
  Server *self = data;

  aio_context_set_fd_handler (self->context, self->listener, server_accept, NULL, self);
}

static void
server_hand_out (Server *self,
                 int     fd)
{
  Worker *worker = g_ptr_array_index (self->workers, self->n_accepted++ % self->workers->len);
  Connection *connection = g_new0 (Connection, 1);
  int on = 1;

  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  connection->worker = worker;
  connection->fd = fd;
  aio_context_post (worker->context, connection_start, connection, NULL);
}

/* Not more than a few at a time, so that the rest of the main loop gets its turn in a rush. */
static void
server_accept (gpointer data)
{
  Server *self = data;

  for (guint i = 0; i < ACCEPTS_PER_RUN; i++)
    {
      int fd = accept4 (self->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

      if (fd >= 0)
        {
          server_hand_out (self, fd);
        }
      else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        {
          g_printerr ("echo: cannot accept: %s\n", g_strerror (errno));
          server_pause (self);
          return;
        }
      else if (is_not_ready (errno))
        {
          return;
        }
      /* Any other error is that of a connection which broke before we came to it. */
    }
}

/* --- Statistics, in the main thread ----------------------------------------------------------- */

static guint64
server_count_bytes (Server *self)
{
  guint64 n_bytes = 0;

  for (guint i = 0; i < self->workers->len; i++)
    {
      Worker *worker = g_ptr_array_index (self->workers, i);

      n_bytes += atomic_load_explicit (&worker->n_bytes, memory_order_relaxed);
    }
  return n_bytes;
}

static guint
server_count_open (Server *self)
{
  guint n_open = 0;

  for (guint i = 0; i < self->workers->len; i++)
    {
      Worker *worker = g_ptr_array_index (self->workers, i);

      n_open += atomic_load (&worker->n_open);
    }
  return n_open;
}

/* A timer fires once, and is armed again here. The next deadline is counted from the last one, not
 * from now, so that delays do not add up. */
static void
server_print_statistics (gpointer data)
{
  Server *self = data;
  guint64 n_bytes = server_count_bytes (self);
  gint64 now = aio_context_get_time_ns (self->context, AIO_CLOCK_MONOTONIC);

  g_print ("%u connections, %.1f MB/s\n", server_count_open (self),
           (n_bytes - self->n_bytes_before) / 1e6);
  self->n_bytes_before = n_bytes;
  self->next_second = MAX (self->next_second + NSEC_PER_SEC, now);
  aio_timer_mod_ns (&self->every_second, self->next_second);
}

/* --- From the beginning to the end, in the main thread ---------------------------------------- */

/* Scheduling a bottom half is one of the few things that a signal handler may do. */
static AioBH *quit;

static void
on_signal (int signum)
{
  aio_bh_schedule (quit);
}

static void
server_quit (gpointer data)
{
  Server *self = data;

  g_main_loop_quit (self->loop);
}

static void
catch_signals (Server *self)
{
  struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

  quit = aio_bh_new (self->context, server_quit, self);
  sigaction (SIGINT, &action, NULL);
  sigaction (SIGTERM, &action, NULL);
}

/* From now on a signal ends the program at once. */
static void
release_signals (void)
{
  signal (SIGINT, SIG_DFL);
  signal (SIGTERM, SIG_DFL);
}

static gboolean
server_start (Server  *self,
              int      listener,
              int      n_threads,
              GError **error)
{
  self->listener = listener;
  self->loop = g_main_loop_new (NULL, FALSE);
  self->context = aio_context_new ();
  self->workers = g_ptr_array_new_with_free_func (worker_free);
  aio_context_attach (self->context, NULL);
  aio_timer_init (&self->accept_again, self->context, AIO_CLOCK_MONOTONIC, server_resume, self);
  aio_timer_init (&self->every_second, self->context, AIO_CLOCK_MONOTONIC,
                  server_print_statistics, self);

  self->next_second = aio_context_get_time_ns (self->context, AIO_CLOCK_MONOTONIC) + NSEC_PER_SEC;
  aio_timer_mod_ns (&self->every_second, self->next_second);
  for (int i = 0; i < n_threads; i++)
    {
      Worker *worker = worker_new (i, error);

      if (worker == NULL)
        return FALSE;
      g_ptr_array_add (self->workers, worker);
    }
  return aio_context_set_fd_handler_full (self->context, listener, server_accept, NULL, NULL, NULL,
                                          self, NULL, error);
}

/* A signal handler runs in any thread, so it may be at work in an I/O thread even now. Hence its
 * bottom half goes when the threads are gone. */
static void
server_stop (Server *self)
{
  aio_context_set_fd_handler (self->context, self->listener, NULL, NULL, NULL);
  close (self->listener);
  aio_timer_clear (&self->accept_again);
  aio_timer_clear (&self->every_second);
  g_ptr_array_unref (self->workers);
  g_clear_pointer (&quit, aio_bh_delete);
  aio_context_detach (self->context);
  aio_context_unref (self->context);
  g_main_loop_unref (self->loop);
}

/* The usual limit is 1024 descriptors, out of regard for select(), which we do not use. */
static void
raise_descriptor_limit (void)
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
}

static void
print_address (int listener)
{
  struct sockaddr_storage name;
  socklen_t length = sizeof name;
  char host[NI_MAXHOST] = "", port[NI_MAXSERV] = "";

  getsockname (listener, (struct sockaddr *) &name, &length);
  getnameinfo ((struct sockaddr *) &name, length, host, sizeof host, port, sizeof port,
               NI_NUMERICHOST | NI_NUMERICSERV);
  g_print ("listening on %s port %s\n", host, port);
}

/* Returns the listening socket, or -1 with errno set. */
static int
listen_on (const struct addrinfo *address)
{
  int fd = socket (address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  int on = 1;
  int error;

  if (fd < 0)
    return -1;
  setsockopt (fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind (fd, address->ai_addr, address->ai_addrlen) == 0 && listen (fd, SOMAXCONN) == 0)
    return fd;
  error = errno;
  close (fd);
  errno = error;
  return -1;
}

static int
open_listener (const char *address,
               int         port)
{
  struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
  g_autofree char *service = g_strdup_printf ("%d", port);
  struct addrinfo *found;
  int failed = getaddrinfo (address, service, &hints, &found);
  int fd;

  if (failed != 0)
    {
      g_printerr ("echo: %s: %s\n", address, gai_strerror (failed));
      return -1;
    }
  fd = listen_on (found);
  if (fd < 0)
    g_printerr ("echo: %s port %d: %s\n", address, port, g_strerror (errno));
  freeaddrinfo (found);
  return fd;
}

static gboolean
serve (int listener,
       int n_threads)
{
  g_autoptr (GError) error = NULL;
  Server server = { 0 };

  if (!server_start (&server, listener, n_threads, &error))
    {
      g_printerr ("echo: %s\n", error->message);
      server_stop (&server);
      return FALSE;
    }

  catch_signals (&server);
  print_address (listener);
  g_main_loop_run (server.loop);
  release_signals ();

  g_print ("%u connections accepted, %" G_GUINT64_FORMAT " bytes sent\n", server.n_accepted,
           server_count_bytes (&server));
  server_stop (&server);
  return TRUE;
}

static int n_threads = 0;
static int port = 7777;
static char *address = NULL;

static const GOptionEntry options[] = {
  { "threads", 't', 0, G_OPTION_ARG_INT, &n_threads, "I/O threads (one per processor)", "N" },
  { "address", 'a', 0, G_OPTION_ARG_STRING, &address, "Listen there (127.0.0.1)", "ADDRESS" },
  { "port", 'p', 0, G_OPTION_ARG_INT, &port, "Listen there; 0: any (7777)", "PORT" },
  { 0 }
};

static gboolean
parse_options (int    argc,
               char **argv)
{
  g_autoptr (GOptionContext) parser = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (parser, "Sends back to each client what it has sent.");
  g_option_context_add_main_entries (parser, options, NULL);
  if (!g_option_context_parse (parser, &argc, &argv, &error))
    g_printerr ("echo: %s\n", error->message);
  else if (argc > 1)
    g_printerr ("echo: unexpected argument \"%s\"\n", argv[1]);
  else if (n_threads < 0 || n_threads > 1000)
    g_printerr ("echo: there can be 1 to 1000 threads\n");
  else if (port < 0 || port > 65535)
    g_printerr ("echo: there is no port %d\n", port);
  else
    return TRUE;
  return FALSE;
}

int
main (int    argc,
      char **argv)
{
  int listener;

  if (!parse_options (argc, argv))
    return 2;
  raise_descriptor_limit ();
  listener = open_listener (address != NULL ? address : "127.0.0.1", port);
  g_free (address);
  if (listener < 0)
    return 1;
  return serve (listener, n_threads > 0 ? n_threads : (int) g_get_num_processors ()) ? 0 : 1;
}
