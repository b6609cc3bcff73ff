/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Load for echo servers: connections that each have one message on the way, all the time.
 *
 *   echo-load --port=PORT [--connections=N] [--active=N] [--size=BYTES] [--duration=SECONDS]
 *     measures a server that runs already, and prints one line;
 *
 *   echo-load --compare [--connections=N,N,…] [--rounds=N] [--server=NAME=COMMAND…] …
 *     starts each server in turn, round after round, and prints a table. A server has to print
 *     "listening on ADDRESS port PORT" first. Without --server it takes those that were built
 *     beside this program; the first is the one that the others are compared with.
 *
 * With --active only so many of the connections send, and the others are just there.
 *
 * One thread with plain epoll, no library. It keeps one processor busy, so a server has the other
 * one to itself on a machine with two. "CPU" is what the server's process used per message, in all
 * its threads, which is the better figure where the load and not the server is the bottleneck. */
#include "echo-peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NSEC_PER_SEC   G_GINT64_CONSTANT (1000000000)
#define MAX_EVENTS     256
#define MAX_ROUNDS     99
#define MAX_SERVERS    16

static struct
{
  const char *address;
  int port;
  char *connections;
  int active;
  int size;
  double duration;
  gboolean compare;
  int rounds;
  char **servers;
} options = { "127.0.0.1", 0, NULL, 0, 64, 2.0, FALSE, 3, NULL };

static gint64
clock_ns (clockid_t clock)
{
  struct timespec now;

  clock_gettime (clock, &now);
  return now.tv_sec * NSEC_PER_SEC + now.tv_nsec;
}

/* --- Latencies: 64 buckets for each power of two, so within 1.6 % ----------------------------- */

#define SUB_BITS    6
#define SUB_BUCKETS (1 << SUB_BITS)
#define N_BUCKETS   (SUB_BUCKETS * 40)

typedef struct
{
  guint64 count[N_BUCKETS];
  guint64 n;
} Histogram;

static void
histogram_add (Histogram *self,
               guint64    ns)
{
  guint shift = ns < SUB_BUCKETS ? 0 : g_bit_nth_msf (ns, -1) - SUB_BITS;
  guint bucket = ns < SUB_BUCKETS ? ns : (shift + 1) * SUB_BUCKETS + ((ns >> shift) % SUB_BUCKETS);

  self->count[MIN (bucket, N_BUCKETS - 1)]++;
  self->n++;
}

static double
bucket_begin_us (guint bucket)
{
  guint shift = bucket / SUB_BUCKETS;

  if (shift == 0)
    return bucket / 1e3;
  return (double) ((guint64) (SUB_BUCKETS + bucket % SUB_BUCKETS) << (shift - 1)) / 1e3;
}

static double
histogram_quantile_us (const Histogram *self,
                       double           quantile)
{
  guint64 rank = (guint64) ((double) self->n * quantile);
  guint64 seen = 0;

  for (guint i = 0; i < N_BUCKETS; i++)
    {
      seen += self->count[i];
      if (seen > rank)
        return bucket_begin_us (i);
    }
  return 0;
}

/* --- The load --------------------------------------------------------------------------------- */

typedef struct
{
  int fd;
  gboolean active;
  int sent, received;           /* bytes of the present message */
  gint64 begin;
} Connection;

typedef struct
{
  int epoll_fd;
  int size;
  char *message;
  char *scratch;
  int n_greeted;                /* connections whose first message has come back */
  gboolean started;             /* that was all of them */
  gboolean measuring;
  Histogram latencies;
} Load;

typedef struct
{
  double messages_per_second;
  double p50, p99, p999;        /* microseconds */
  double cpu;                   /* microseconds of the server's per message; 0: unknown */
} Result;

static void
die (const char *what)
{
  g_printerr ("echo-load: %s: %s\n", what, g_strerror (errno));
  exit (1);
}

static void
connection_send (Load       *load,
                 Connection *self)
{
  gssize n = send (self->fd, load->message + self->sent, load->size - self->sent, MSG_NOSIGNAL);

  if (n >= 0)
    self->sent += n;
  else if (errno != EAGAIN)
    die ("send");
}

static void
connection_begin (Load       *load,
                  Connection *self,
                  gint64      now)
{
  self->begin = now;
  self->sent = self->received = 0;
  connection_send (load, self);
}

/* Readiness comes as edges, for both directions at once. No more than the one message can arrive,
 * so after its last byte there is no need to read until EAGAIN. */
static void
connection_go_on (Load       *load,
                  Connection *self)
{
  gint64 now;

  if (self->sent < load->size)
    connection_send (load, self);
  while (self->received < self->sent)
    {
      gssize n = recv (self->fd, load->scratch, load->size - self->received, 0);

      if (n < 0 && errno == EAGAIN)
        return;
      if (n == 0)
        errno = ECONNRESET;
      if (n <= 0)
        die ("recv");
      if (memcmp (load->scratch, load->message + self->received, n) != 0)
        die ("that is not what was sent");
      self->received += n;
    }
  if (self->received < load->size)
    return;
  now = clock_ns (CLOCK_MONOTONIC);
  if (load->measuring)
    histogram_add (&load->latencies, now - self->begin);
  if (!load->started)
    load->n_greeted++;
  else if (self->active)
    connection_begin (load, self, now);
}

/* Gone without a trace when it is closed: tens of thousands in TIME_WAIT would use up the ports. */
static int
connect_to (const char *address,
            int         port)
{
  struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons (port) };
  struct linger linger = { 1, 0 };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;

  if (fd < 0)
    die ("socket");
  if (inet_pton (AF_INET, address, &name.sin_addr) != 1)
    die (address);
  if (connect (fd, (struct sockaddr *) &name, sizeof name) != 0)
    die ("connect");
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt (fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
  g_unix_set_fd_nonblocking (fd, TRUE, NULL);
  return fd;
}

static void
load_run_once (Load *self)
{
  struct epoll_event events[MAX_EVENTS];
  int n = epoll_wait (self->epoll_fd, events, MAX_EVENTS, 100);

  for (int i = 0; i < n; i++)
    connection_go_on (self, events[i].data.ptr);
}

static void
load_run_until (Load   *self,
                gint64  end)
{
  while (clock_ns (CLOCK_MONOTONIC) < end)
    load_run_once (self);
}

/* Only when the server has answered on all connections, the idle ones too, has it accepted them. A
 * GSocketService accepts one connection an iteration: under load that would take minutes. */
static void
load_start (Load       *self,
            Connection *connections,
            int         n)
{
  for (int i = 0; i < n; i++)
    {
      Connection *connection = &connections[i];
      struct epoll_event event = {
        .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection
      };

      epoll_ctl (self->epoll_fd, EPOLL_CTL_ADD, connection->fd, &event);
      connection_begin (self, connection, clock_ns (CLOCK_MONOTONIC));
    }
  while (self->n_greeted < n)
    load_run_once (self);

  self->started = TRUE;
  for (int i = 0; i < n; i++)
    if (connections[i].active)
      connection_begin (self, &connections[i], clock_ns (CLOCK_MONOTONIC));
}

/* The server's CPU clock, if it is a process that we know. */
static gint64
server_cpu_ns (GPid server)
{
  clockid_t clock;

  return server != 0 && clock_getcpuclockid (server, &clock) == 0 ? clock_ns (clock) : 0;
}

/* Not measured: the first quarter as long as the measurement itself. */
static void
load_measure (Load   *self,
              GPid    server,
              Result *result)
{
  gint64 duration = (gint64) (options.duration * (double) NSEC_PER_SEC);
  gint64 cpu, begin;

  load_run_until (self, clock_ns (CLOCK_MONOTONIC) + duration / 4);
  self->measuring = TRUE;
  cpu = server_cpu_ns (server);
  begin = clock_ns (CLOCK_MONOTONIC);
  load_run_until (self, begin + duration);
  duration = clock_ns (CLOCK_MONOTONIC) - begin;
  cpu = server_cpu_ns (server) - cpu;

  result->messages_per_second = (double) self->latencies.n * 1e9 / (double) duration;
  result->p50 = histogram_quantile_us (&self->latencies, 0.5);
  result->p99 = histogram_quantile_us (&self->latencies, 0.99);
  result->p999 = histogram_quantile_us (&self->latencies, 0.999);
  result->cpu = (double) cpu / 1e3 / (double) MAX (self->latencies.n, 1);
}

static void
run_load (const char *address,
          int         port,
          int         n_connections,
          GPid        server,
          Result     *result)
{
  int n_active = options.active > 0 ? MIN (options.active, n_connections) : n_connections;
  Connection *connections = g_new0 (Connection, n_connections);
  Load *load = g_new0 (Load, 1);

  load->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  load->size = options.size;
  load->message = g_malloc (load->size);
  load->scratch = g_malloc (load->size);
  for (int i = 0; i < load->size; i++)
    load->message[i] = (char) (i * 7 + i / 251);
  for (int i = 0; i < n_connections; i++)
    connections[i] = (Connection) { .fd = connect_to (address, port), .active = i < n_active };

  load_start (load, connections, n_connections);
  load_measure (load, server, result);

  for (int i = 0; i < n_connections; i++)
    close (connections[i].fd);
  close (load->epoll_fd);
  g_free (load->message);
  g_free (load->scratch);
  g_free (load);
  g_free (connections);
}

/* --- A comparison ----------------------------------------------------------------------------- */

typedef struct
{
  const char *name;
  char **argv;
  Result results[MAX_ROUNDS];
} Server;

static int
read_port (int out)
{
  char line[256];
  gsize length = 0;
  int port = 0;

  while (length < sizeof line - 1 && read (out, line + length, 1) == 1 && line[length] != '\n')
    length++;
  line[length] = '\0';
  if (sscanf (line, "listening on %*s port %d", &port) != 1)
    {
      g_printerr ("echo-load: the server prints \"%s\"\n", line);
      exit (1);
    }
  return port;
}

static void
server_measure (Server *self,
                int     n_connections,
                Result *result)
{
  GError *error = NULL;
  GPid pid;
  int out;

  if (!g_spawn_async_with_pipes (NULL, self->argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, NULL, NULL,
                                 &pid, NULL, &out, NULL, &error))
    g_error ("%s", error->message);
  run_load ("127.0.0.1", read_port (out), n_connections, pid, result);
  kill (pid, SIGTERM);
  waitpid (pid, NULL, 0);
  close (out);
}

static int
compare_doubles (gconstpointer a,
                 gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;

  return (x > y) - (x < y);
}

/* Of one field of all rounds. */
static double
median (const Server *server,
        gsize         offset)
{
  double values[MAX_ROUNDS];

  for (int i = 0; i < options.rounds; i++)
    values[i] = *(const double *) ((const char *) &server->results[i] + offset);
  qsort (values, options.rounds, sizeof (double), compare_doubles);
  return values[options.rounds / 2];
}

static void
print_rows (const Server *servers,
            guint         n_servers,
            int           n_connections)
{
  double first_rate = median (&servers[0], offsetof (Result, messages_per_second));
  double first_cpu = median (&servers[0], offsetof (Result, cpu));

  for (guint i = 0; i < n_servers; i++)
    {
      double rate = median (&servers[i], offsetof (Result, messages_per_second));
      double cpu = median (&servers[i], offsetof (Result, cpu));

      g_print ("%11d  %-16s %9.0f %6.2f x %9.0f %9.0f %9.0f %9.2f %6.2f x\n", n_connections,
               servers[i].name, rate, rate / first_rate,
               median (&servers[i], offsetof (Result, p50)),
               median (&servers[i], offsetof (Result, p99)),
               median (&servers[i], offsetof (Result, p999)), cpu, cpu / first_cpu);
    }
}

static void
compare (Server *servers,
         guint   n_servers)
{
  char **counts = g_strsplit (options.connections, ",", -1);

  g_print ("%d bytes a message, %s, %d rounds of %.1f s\n", options.size,
           options.active > 0 ? "few connections active" : "all connections active",
           options.rounds, options.duration);
  g_print ("%11s  %-16s %9s %8s %9s %9s %9s %9s %8s\n", "connections", "server", "msg/s", "",
           "p50 us", "p99 us", "p99.9 us", "CPU us", "");
  for (char **count = counts; *count != NULL; count++)
    {
      for (int round = 0; round < options.rounds; round++)
        for (guint i = 0; i < n_servers; i++)
          server_measure (&servers[i], atoi (*count), &servers[i].results[round]);
      print_rows (servers, n_servers, atoi (*count));
    }
  g_strfreev (counts);
}

/* NAME=COMMAND, with a command that begins with ./ looked for beside this program. */
static gboolean
server_init (Server     *self,
             const char *setting,
             const char *here)
{
  char **parts = g_strsplit (setting, "=", 2);
  GError *error = NULL;

  if (parts[1] == NULL || !g_shell_parse_argv (parts[1], NULL, &self->argv, &error))
    {
      g_printerr ("echo-load: --server=%s: write NAME=COMMAND\n", setting);
      exit (2);
    }
  self->name = parts[0];
  if (g_str_has_prefix (self->argv[0], "./"))
    self->argv[0] = g_build_filename (here, self->argv[0] + 2, NULL);
  return g_file_test (self->argv[0], G_FILE_TEST_IS_EXECUTABLE);
}

static void
compare_all (const char *program)
{
  static const char *const defaults[] = {
    "ours=./echo-aioctx --threads=1 --port=0",
    "ours, 2 threads=./echo-aioctx --threads=2 --port=0",
    "GSocketService=./echo-gsocketservice",
    "libuv=./echo-libuv",
    NULL
  };
  const char *const *settings = options.servers ? (const char *const *) options.servers : defaults;
  Server *servers = g_new0 (Server, MAX_SERVERS);
  char *here = g_path_get_dirname (program);
  guint n = 0;

  for (; *settings != NULL && n < MAX_SERVERS; settings++)
    {
      if (server_init (&servers[n], *settings, here))
        n++;
      else
        g_printerr ("echo-load: %s is not there\n", servers[n].argv[0]);
    }
  if (n > 0)
    compare (servers, n);
  g_free (here);
  g_free (servers);
}

/* --- Options ---------------------------------------------------------------------------------- */

static const GOptionEntry entries[] = {
  { "address", 0, 0, G_OPTION_ARG_STRING, &options.address, "Connect there (127.0.0.1)", "IPV4" },
  { "port", 0, 0, G_OPTION_ARG_INT, &options.port, "Connect there", "PORT" },
  { "connections", 0, 0, G_OPTION_ARG_STRING, &options.connections, "How many, or a list", "N,…" },
  { "active", 0, 0, G_OPTION_ARG_INT, &options.active, "How many of them send (all)", "N" },
  { "size", 0, 0, G_OPTION_ARG_INT, &options.size, "Bytes of a message (64)", "BYTES" },
  { "duration", 0, 0, G_OPTION_ARG_DOUBLE, &options.duration, "How long (2)", "SECONDS" },
  { "compare", 0, 0, G_OPTION_ARG_NONE, &options.compare, "Start servers and compare them", NULL },
  { "rounds", 0, 0, G_OPTION_ARG_INT, &options.rounds, "How often each is measured (3)", "N" },
  { "server", 0, 0, G_OPTION_ARG_STRING_ARRAY, &options.servers, "A server", "NAME=COMMAND" },
  { 0 }
};

static void
parse_options (int    argc,
               char **argv)
{
  GOptionContext *parser = g_option_context_new (NULL);
  GError *error = NULL;

  g_option_context_add_main_entries (parser, entries, NULL);
  if (!g_option_context_parse (parser, &argc, &argv, &error))
    g_printerr ("echo-load: %s\n", error->message);
  else if (options.size < 1 || options.duration <= 0 || options.rounds < 1 ||
           options.rounds > MAX_ROUNDS || (options.port <= 0 && !options.compare))
    g_printerr ("echo-load: see --help\n");
  else
    {
      g_option_context_free (parser);
      return;
    }
  exit (2);
}

int
main (int    argc,
      char **argv)
{
  Result result;

  parse_options (argc, argv);
  echo_raise_descriptor_limit ();
  if (options.connections == NULL)
    options.connections = g_strdup (options.compare ? "10,100,1000,5000" : "100");
  if (options.compare)
    {
      compare_all (argv[0]);
      return 0;
    }
  run_load (options.address, options.port, atoi (options.connections), 0, &result);
  g_print ("%.0f messages/s, %.1f MB/s, latency p50 %.0f us, p99 %.0f us, p99.9 %.0f us\n",
           result.messages_per_second, result.messages_per_second * options.size / 1e6,
           result.p50, result.p99, result.p999);
  return 0;
}
