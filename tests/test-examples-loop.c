/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the example programs of the loop. ECHO, FOREIGN_EPOLL and FOREIGN_LIBUV are their paths; the
 * last one is not set where there is no libuv. */
#include "aio-test.h"

#include <arpa/inet.h>
#include <glib-unix.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* Waiting as long as this is hanging. */
#define HANGS_MS 60000

/* --- Programs --------------------------------------------------------------------------------- */

/* Not a GSubprocess: that one is finalised in a thread of GLib's own, some time later, and the
 * descriptors that it holds until then would be counted against the test. */
typedef struct
{
  GPid pid;
  int out;
  int err;
  int port;                     /* of a server */
} Child;

static char *
read_line (int fd)
{
  GString *line = g_string_new (NULL);
  char byte = '\0';

  while (read (fd, &byte, 1) == 1 && byte != '\n')
    g_string_append_c (line, byte);
  return g_string_free (line, FALSE);
}

static char *
read_all (int fd)
{
  GString *text = g_string_new (NULL);
  char buffer[4096];
  gssize n;

  while ((n = read (fd, buffer, sizeof buffer)) > 0)
    g_string_append_len (text, buffer, n);
  return g_string_free (text, FALSE);
}

static Child
child_start (const char *const    *argv,
             GSpawnChildSetupFunc  setup,
             gpointer              data)
{
  g_autoptr (GError) error = NULL;
  Child child = { 0 };

  g_spawn_async_with_pipes (NULL, (char **) argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, setup, data,
                            &child.pid, NULL, &child.out, &child.err, &error);
  g_assert_no_error (error);
  return child;
}

/* Returns the exit status, or minus the signal that ended the child. */
static int
child_wait (Child *child)
{
  int status;

  g_assert_cmpint (waitpid (child->pid, &status, 0), ==, child->pid);
  close (child->out);
  close (child->err);
  return WIFSIGNALED (status) ? -WTERMSIG (status) : WEXITSTATUS (status);
}

/* --- Foreign loops ---------------------------------------------------------------------------- */

#define WORK_LINES          \
  "post 1 from a thread\n"  \
  "post 2 from a thread\n"  \
  "post 3 from a thread\n"  \
  "bottom half from a thread\n" \
  "timer\n"                 \
  "pipe: hello\n"           \
  "pipe: end\n"             \
  "finished\n"

static void
check_foreign (const char *program,
               const char *last_line)
{
  const char *argv[] = { program, NULL };
  Child child = child_start (argv, NULL, NULL);
  g_autofree char *out = read_all (child.out);
  g_autofree char *err = read_all (child.err);
  g_autofree char *expected = g_strconcat (WORK_LINES, last_line, "\n", NULL);

  g_assert_cmpstr (err, ==, "");
  g_assert_cmpstr (out, ==, expected);
  g_assert_cmpint (child_wait (&child), ==, 0);
}

static void
test_foreign_epoll (void)
{
  g_test_summary ("C3, C18, C20, C22: posts, a bottom half, a timer and a descriptor under a loop "
                  "written with epoll, which asks for a descriptor and a timeout and dispatches");

  check_foreign (g_getenv ("FOREIGN_EPOLL"), "the loop has seen its own descriptor");
}

static void
test_foreign_libuv (void)
{
  g_test_summary ("C3, C18, C20, C22: posts, a bottom half, a timer and a descriptor under libuv, "
                  "with a uv_poll_t for the context's descriptor");

  if (g_getenv ("FOREIGN_LIBUV") == NULL)
    {
      g_test_skip ("built without libuv");
      return;
    }
  check_foreign (g_getenv ("FOREIGN_LIBUV"), "the loop has no handle left");
}

/* --- The echo server -------------------------------------------------------------------------- */

static Child
echo_start (const char           *threads,
            GSpawnChildSetupFunc  setup,
            gpointer              data)
{
  const char *argv[] = { g_getenv ("ECHO"), "--port=0", threads, NULL };
  Child child = child_start (argv, setup, data);
  g_autofree char *line = read_line (child.out);

  g_assert_cmpint (sscanf (line, "listening on 127.0.0.1 port %d", &child.port), ==, 1);
  return child;
}

static char *
last_line (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  guint n = g_strv_length (lines);

  g_assert_cmpuint (n, >=, 2);
  g_assert_cmpstr (lines[n - 1], ==, "");
  return g_strdup (lines[n - 2]);
}

/* Whatever it is doing, one signal is enough, and nothing is left over that the library would
 * complain about. Returns the last line of the output. */
static char *
echo_stop (Child *child,
           int    signum)
{
  g_autofree char *out = NULL;
  g_autofree char *err = NULL;

  g_assert_cmpint (kill (child->pid, signum), ==, 0);
  out = read_all (child->out);
  err = read_all (child->err);
  g_assert_cmpint (child_wait (child), ==, 0);
  g_assert_cmpstr (err, ==, "");
  return last_line (out);
}

static int
connect_to (int port)
{
  struct sockaddr_in name = { .sin_family = AF_INET, .sin_port = htons (port) };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (fd, >=, 0);
  name.sin_addr.s_addr = htonl (INADDR_LOOPBACK);
  g_assert_cmpint (connect (fd, (struct sockaddr *) &name, sizeof name), ==, 0);
  g_assert_true (g_unix_set_fd_nonblocking (fd, TRUE, NULL));
  return fd;
}

/* A stream of bytes that goes out and has to come back the same. */
typedef struct
{
  int fd;
  guint seed;
  gsize n;                      /* how many there are */
  gsize sent, received;
} Stream;

static void
fill (char  *bytes,
      guint  seed,
      gsize  offset,
      gsize  n)
{
  for (gsize i = 0; i < n; i++)
    bytes[i] = (char) ((offset + i) * 7 + (offset + i) / 251 + seed);
}

/* Returns whether the kernel took any. */
static gboolean
stream_send (Stream *self)
{
  char bytes[65536];
  gsize n = MIN (sizeof bytes, self->n - self->sent);
  gssize sent;

  fill (bytes, self->seed, self->sent, n);
  sent = send (self->fd, bytes, n, MSG_NOSIGNAL);
  g_assert_true (sent >= 0 || errno == EAGAIN);
  self->sent += MAX (sent, 0);
  return sent > 0;
}

static void
stream_receive (Stream *self)
{
  char bytes[65536], expected[65536];
  gssize n = recv (self->fd, bytes, sizeof bytes, 0);

  if (n < 0 && errno == EAGAIN)
    return;
  g_assert_cmpint (n, >, 0);
  fill (expected, self->seed, self->received, n);
  g_assert_cmpmem (bytes, n, expected, n);
  self->received += n;
}

/* Until all bytes of all streams are back. */
static void
streams_run (Stream *streams,
             guint   n)
{
  g_autofree struct pollfd *fds = g_new0 (struct pollfd, n);
  gboolean all_back = FALSE;

  while (!all_back)
    {
      all_back = TRUE;
      for (guint i = 0; i < n; i++)
        {
          Stream *stream = &streams[i];
          gboolean back = stream->received == stream->n;

          fds[i].fd = back ? -1 : stream->fd;
          fds[i].events = POLLIN | (stream->sent < stream->n ? POLLOUT : 0);
          all_back = all_back && back;
        }
      if (all_back)
        break;
      g_assert_cmpint (poll (fds, n, HANGS_MS), >, 0);
      for (guint i = 0; i < n; i++)
        {
          if (fds[i].fd >= 0 && fds[i].revents & POLLOUT)
            stream_send (&streams[i]);
          if (fds[i].fd >= 0 && fds[i].revents & ~POLLOUT)
            stream_receive (&streams[i]);
        }
    }
}

/* A connection is closed by the server too once it has seen our end. */
static void
expect_end (int fd)
{
  struct pollfd poll_fd = { fd, POLLIN, 0 };
  char byte;

  g_assert_cmpint (shutdown (fd, SHUT_WR), ==, 0);
  g_assert_cmpint (poll (&poll_fd, 1, HANGS_MS), ==, 1);
  g_assert_cmpint (recv (fd, &byte, 1, 0), ==, 0);
}

static void
echo_through (Child *child,
              guint  n_streams,
              gsize  n_bytes)
{
  g_autofree Stream *streams = g_new0 (Stream, n_streams);

  for (guint i = 0; i < n_streams; i++)
    {
      streams[i].fd = connect_to (child->port);
      streams[i].seed = i;
      streams[i].n = n_bytes;
    }
  streams_run (streams, n_streams);
  for (guint i = 0; i < n_streams; i++)
    {
      expect_end (streams[i].fd);
      close (streams[i].fd);
    }
}

static void
check_echo (const char *threads,
            guint       n_streams,
            gsize       n_bytes,
            int         signum)
{
  Child child = echo_start (threads, NULL, NULL);
  g_autofree char *expected = NULL;
  g_autofree char *last = NULL;

  echo_through (&child, n_streams, n_bytes);
  last = echo_stop (&child, signum);
  expected = g_strdup_printf ("%u connections accepted, %" G_GSIZE_FORMAT " bytes sent",
                              n_streams, n_streams * n_bytes);
  g_assert_cmpstr (last, ==, expected);
}

static void
test_echo_data (void)
{
  g_test_summary ("C1, C20, C21: megabytes come back as they were, from one and from three I/O "
                  "threads; a signal handler schedules the end");

  check_echo ("--threads=1", 1, 4000000, SIGTERM);
  check_echo ("--threads=3", 7, 1000003, SIGINT);
}

static void
test_echo_connections (void)
{
  struct rlimit old, limit;

  g_test_summary ("C8, C20: many connections, each posted to its I/O thread");

  getrlimit (RLIMIT_NOFILE, &old);
  limit = old;
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  check_echo ("--threads=2", g_test_thorough () && limit.rlim_cur > 5100 ? 5000 : 300, 100,
              SIGTERM);
  setrlimit (RLIMIT_NOFILE, &old);
}

/* More than all socket buffers on the way can hold. */
#define TOO_MUCH (128 * 1024 * 1024)

static void
test_echo_slow_client (void)
{
  Child child = echo_start ("--threads=1", NULL, NULL);
  Stream slow = { connect_to (child.port), 1, TOO_MUCH, 0, 0 };
  struct pollfd poll_fd = { slow.fd, POLLOUT, 0 };
  g_autofree char *last = NULL;

  g_test_summary ("C20: read and write handlers are exchanged in callbacks; who sends and does not "
                  "read has to stop some time, holds up nobody else, and loses nothing");

  do
    while (stream_send (&slow))
      ;
  while (slow.sent < slow.n && poll (&poll_fd, 1, 200) == 1);
  g_assert_cmpuint (slow.sent, <, slow.n);
  g_assert_cmpuint (slow.received, ==, 0);

  echo_through (&child, 2, 500000);
  slow.n = slow.sent;
  streams_run (&slow, 1);
  expect_end (slow.fd);
  close (slow.fd);
  last = echo_stop (&child, SIGTERM);
  g_assert_true (g_str_has_prefix (last, "3 connections accepted"));
}

/* Ends a server with connections open, one of them with bytes on the way in both directions. */
static void
test_echo_busy_end (void)
{
  Child child = echo_start ("--threads=2", NULL, NULL);
  Stream stream = { connect_to (child.port), 1, TOO_MUCH, 0, 0 };
  int idle = connect_to (child.port);
  g_autofree char *last = NULL;

  g_test_summary ("C24, C26: I/O threads stop with handlers still set, and nothing is left over");

  while (stream.received == 0)
    {
      struct pollfd poll_fd = { stream.fd, POLLIN | POLLOUT, 0 };

      g_assert_cmpint (poll (&poll_fd, 1, HANGS_MS), ==, 1);
      stream_send (&stream);
      stream_receive (&stream);
    }
  while (stream_send (&stream))
    ;
  last = echo_stop (&child, SIGTERM);
  g_assert_true (g_str_has_prefix (last, "2 connections accepted"));
  close (stream.fd);
  close (idle);
}

/* --- The echo server without descriptors ------------------------------------------------------ */

#define FEW_DESCRIPTORS 32

static void
limit_descriptors (gpointer data)
{
  struct rlimit limit = { FEW_DESCRIPTORS, FEW_DESCRIPTORS };

  setrlimit (RLIMIT_NOFILE, &limit);
}

static guint
count_lines (const char *text)
{
  guint n = 0;

  for (; *text != '\0'; text++)
    n += *text == '\n';
  return n;
}

/* Half of them have to wait in the kernel until the others are gone. */
static void
test_echo_no_descriptors (void)
{
  Child child = echo_start ("--threads=1", limit_descriptors, NULL);
  gint64 begin = g_get_monotonic_time ();
  g_autofree char *first = NULL;
  g_autofree char *err = NULL;
  int fds[FEW_DESCRIPTORS];
  gint64 seconds;

  g_test_summary ("C14, C20, C22: when the server has no descriptor left it stops watching the "
                  "listening socket and tries again by a timer; it does not spin");

  for (guint i = 0; i < FEW_DESCRIPTORS; i++)
    fds[i] = connect_to (child.port);
  first = read_line (child.err);
  g_assert_cmpstr (first, ==, "echo: cannot accept: Too many open files");
  for (guint i = 0; i < FEW_DESCRIPTORS / 2; i++)
    close (fds[i]);
  for (guint i = FEW_DESCRIPTORS / 2; i < FEW_DESCRIPTORS; i++)
    {
      Stream stream = { fds[i], i, 1000, 0, 0 };

      streams_run (&stream, 1);
      close (fds[i]);
    }

  kill (child.pid, SIGTERM);
  err = read_all (child.err);
  seconds = (g_get_monotonic_time () - begin) / G_USEC_PER_SEC;
  g_assert_cmpuint (count_lines (err), <=, seconds + 1);
  g_assert_cmpint (child_wait (&child), ==, 0);
}

static void
check_refused (const char *option,
               int         status,
               const char *message)
{
  const char *argv[] = { g_getenv ("ECHO"), option, NULL };
  Child child = child_start (argv, NULL, NULL);
  g_autofree char *err = read_all (child.err);

  g_assert_cmpstr (err, ==, message);
  g_assert_cmpint (child_wait (&child), ==, status);
}

static void
test_echo_usage (void)
{
  Child child = echo_start ("--threads=1", NULL, NULL);
  g_autofree char *taken = g_strdup_printf ("--port=%d", child.port);
  g_autofree char *message = g_strdup_printf ("echo: 127.0.0.1 port %d: Address already in use\n",
                                              child.port);
  g_autofree char *last = NULL;

  g_test_summary ("C27: what cannot be had is refused with a message that says what and why");

  check_refused ("--threads=-1", 2, "echo: there can be 1 to 1000 threads\n");
  check_refused ("--port=70000", 2, "echo: there is no port 70000\n");
  check_refused ("what", 2, "echo: unexpected argument \"what\"\n");
  check_refused (taken, 1, message);
  last = echo_stop (&child, SIGTERM);
  g_assert_cmpstr (last, ==, "0 connections accepted, 0 bytes sent");
}

int
main (int    argc,
      char **argv)
{
  g_setenv ("LC_ALL", "C", TRUE);
  g_test_init (&argc, &argv, NULL);
  g_assert_nonnull (g_getenv ("ECHO"));
  g_assert_nonnull (g_getenv ("FOREIGN_EPOLL"));

  aio_test_add ("/examples/foreign/epoll", test_foreign_epoll);
  aio_test_add ("/examples/foreign/libuv", test_foreign_libuv);
  aio_test_add ("/examples/echo/data", test_echo_data);
  aio_test_add ("/examples/echo/connections", test_echo_connections);
  aio_test_add ("/examples/echo/slow-client", test_echo_slow_client);
  aio_test_add ("/examples/echo/busy-end", test_echo_busy_end);
  aio_test_add ("/examples/echo/no-descriptors", test_echo_no_descriptors);
  aio_test_add ("/examples/echo/usage", test_echo_usage);
  return g_test_run ();
}
