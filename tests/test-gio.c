/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Objects of GIO: a cancellable that cancels a bottom half, handlers of sockets and of streams. */
#include "invoke-test.h"

#include <gio/gunixinputstream.h>

static void
count (gpointer data)
{
  ++*(guint *) data;
}

/* ---- Cancellables ---- */

static void
test_cancellable (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  GCancellable *cancellable = g_cancellable_new ();
  guint n = 0;
  AioBH *bh = aio_bh_new (context, count, &n);
  gulong id = aio_bh_connect_cancellable (bh, cancellable);

  g_test_summary ("C33, C6: a cancellable that fires undoes a schedule; later ones stand");
  g_assert_cmpuint (id, !=, 0);
  aio_bh_schedule (bh);
  g_cancellable_cancel (cancellable);
  g_assert_false (aio_bh_is_scheduled (bh));
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (n, ==, 0);
  aio_bh_schedule (bh);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (n, ==, 1);

  /* It may fire again. */
  g_cancellable_reset (cancellable);
  aio_bh_schedule (bh);
  g_cancellable_cancel (cancellable);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (n, ==, 1);

  g_cancellable_reset (cancellable);
  g_cancellable_disconnect (cancellable, id);
  aio_bh_schedule (bh);
  g_cancellable_cancel (cancellable);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (n, ==, 2);
  g_object_unref (cancellable);
  aio_bh_delete (bh);
}

static void
test_cancelled_already (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  GCancellable *cancellable = g_cancellable_new ();
  guint n = 0;
  AioBH *bh = aio_bh_new (context, count, &n);

  g_test_summary ("C33: one that has fired before undoes the schedule at once");
  g_cancellable_cancel (cancellable);
  aio_bh_schedule (bh);
  g_assert_cmpuint (aio_bh_connect_cancellable (bh, cancellable), ==, 0);
  g_assert_false (aio_bh_is_scheduled (bh));
  g_object_unref (cancellable);
  aio_bh_delete (bh);
}

static void *
cancel (void *cancellable)
{
  g_cancellable_cancel (cancellable);
  return NULL;
}

static void
test_cancellable_outlives (void)
{
  AioContext *context = aio_context_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  guint n = 0;
  AioBH *bh = aio_bh_new (context, count, &n);

  g_test_summary ("C33, C7: the bottom half, and its context, may be gone when it fires");
  g_assert_cmpuint (aio_bh_connect_cancellable (bh, cancellable), !=, 0);
  aio_bh_delete (bh);
  aio_context_unref (context);
  thread_run (cancel, cancellable);
}

/* ---- Sockets ---- */

typedef struct
{
  AioContext *context;
  GSocket *sockets[2];
  GIOCondition seen;
  guint n;
  guint n_destroyed;
  guint remove_after;           /* 0: stay */
  gboolean replace;
} Pair;

static void
pair_destroyed (gpointer data)
{
  ((Pair *) data)->n_destroyed++;
}

static GSocket *
socket_new (int fd)
{
  GError *error = NULL;
  GSocket *socket = g_socket_new_from_fd (fd, &error);

  g_assert_no_error (error);
  return socket;
}

static void
pair_init (Pair *pair)
{
  int fds[2];

  open_pair (fds);
  *pair = (Pair) { .context = aio_context_new_full ("loopy", NULL) };
  pair->sockets[0] = socket_new (fds[0]);
  pair->sockets[1] = socket_new (fds[1]);
}

static void
pair_clear (Pair *pair)
{
  g_object_unref (pair->sockets[0]);
  g_object_unref (pair->sockets[1]);
  aio_context_unref (pair->context);
}

static void
pair_send (Pair *pair)
{
  g_assert_cmpint (g_socket_send (pair->sockets[1], "x", 1, NULL, NULL), ==, 1);
}

static gboolean
on_socket_once (GSocket      *socket,
                GIOCondition  condition,
                gpointer      data)
{
  ((Pair *) data)->n += 100;
  return G_SOURCE_REMOVE;
}

static void
pair_watch (Pair              *pair,
            GIOCondition       condition,
            GSocketSourceFunc  func)
{
  GError *error = NULL;
  gboolean done = aio_context_set_socket_handler (pair->context, pair->sockets[0], condition, func,
                                                  pair, pair_destroyed, &error);

  g_assert_no_error (error);
  g_assert_true (done);
}

static gboolean
on_socket (GSocket      *socket,
           GIOCondition  condition,
           gpointer      data)
{
  Pair *pair = data;
  char c;

  g_assert_true (socket == pair->sockets[0]);
  g_assert_cmpuint (pair->n_destroyed, ==, 0);
  pair->n++;
  pair->seen |= condition;
  if (condition == G_IO_IN)
    g_assert_cmpint (g_socket_receive (socket, &c, 1, NULL, NULL), ==, 1);
  if (pair->replace)
    pair_watch (pair, G_IO_IN, on_socket_once);
  return pair->n != pair->remove_after;
}

static void
test_socket (void)
{
  Pair pair;
  GError *error = NULL;

  g_test_summary ("C33, C20, C21: the handler of a socket runs while it is ready, keeps a "
                  "reference to it, and is removed");
  pair_init (&pair);
  pair_watch (&pair, G_IO_IN | G_IO_ERR, on_socket);
  g_assert_cmpuint (G_OBJECT (pair.sockets[0])->ref_count, ==, 2);
  g_assert_false (aio_context_poll (pair.context, FALSE));
  pair_send (&pair);
  pair_send (&pair);
  while (pair.n < 2)
    aio_context_poll (pair.context, TRUE);
  g_assert_cmpuint (pair.seen, ==, G_IO_IN);
  g_assert_true (aio_context_set_socket_handler (pair.context, pair.sockets[0], 0, NULL, NULL, NULL,
                                                 &error));
  g_assert_no_error (error);
  g_assert_cmpuint (pair.n_destroyed, ==, 1);
  g_assert_cmpuint (G_OBJECT (pair.sockets[0])->ref_count, ==, 1);
  pair_send (&pair);
  g_assert_false (aio_context_poll (pair.context, FALSE));
  pair_clear (&pair);
}

static void
test_socket_out (void)
{
  Pair pair;

  g_test_summary ("C33, C20: readable and writable come one by one");
  pair_init (&pair);
  pair_watch (&pair, G_IO_OUT, on_socket);
  aio_context_poll (pair.context, TRUE);
  g_assert_cmpuint (pair.seen, ==, G_IO_OUT);
  /* The former one is destroyed by this, the socket stays referenced. */
  pair_watch (&pair, G_IO_IN | G_IO_OUT, on_socket);
  g_assert_cmpuint (pair.n_destroyed, ==, 1);
  pair.n_destroyed = pair.n = 0;
  pair_send (&pair);
  while (pair.n < 2)
    aio_context_poll (pair.context, TRUE);
  g_assert_cmpuint (pair.seen, ==, G_IO_IN | G_IO_OUT);
  g_assert_true (aio_context_set_socket_handler (pair.context, pair.sockets[0], 0, NULL, NULL, NULL,
                                                 NULL));
  pair_clear (&pair);
}

static void
test_socket_source_remove (void)
{
  Pair pair;

  g_test_summary ("C33: G_SOURCE_REMOVE removes the handler, but not another one that the callback "
                  "has set in its place");
  pair_init (&pair);
  pair.remove_after = 1;
  pair_watch (&pair, G_IO_IN, on_socket);
  pair_send (&pair);
  pair_send (&pair);
  aio_context_poll (pair.context, TRUE);
  aio_context_poll (pair.context, FALSE);
  g_assert_cmpuint (pair.n, ==, 1);
  g_assert_cmpuint (pair.n_destroyed, ==, 1);

  pair.n = pair.n_destroyed = 0;
  pair.replace = TRUE;
  pair_watch (&pair, G_IO_IN, on_socket);
  aio_context_poll (pair.context, TRUE);
  g_assert_cmpuint (pair.n, ==, 1);
  g_assert_cmpuint (pair.n_destroyed, ==, 1);
  pair_send (&pair);
  aio_context_poll (pair.context, TRUE);
  g_assert_cmpuint (pair.n, ==, 101);
  g_assert_cmpuint (pair.n_destroyed, ==, 2);
  pair_clear (&pair);
}

static void
test_socket_hang_up (void)
{
  Pair pair;

  g_test_summary ("C33, C20: a hang-up comes as readable and as writable");
  pair_init (&pair);
  pair.remove_after = 1;
  g_socket_close (pair.sockets[1], NULL);
  pair_watch (&pair, G_IO_OUT, on_socket);
  aio_context_poll (pair.context, TRUE);
  g_assert_cmpuint (pair.seen, ==, G_IO_OUT);
  pair_watch (&pair, G_IO_IN, on_socket_once);
  aio_context_poll (pair.context, TRUE);
  g_assert_cmpuint (pair.n, ==, 101);
  pair_clear (&pair);
}

static void
test_socket_refused (void)
{
  Pair pair;
  GError *error = NULL;

  g_test_summary ("C33, C28: a closed socket, and misuse; the destroy notify does not run");
  pair_init (&pair);
  expect_critical ("*G_IS_SOCKET*");
  g_assert_false (aio_context_set_socket_handler (pair.context, NULL, G_IO_IN, on_socket, NULL,
                                                  NULL, &error));
  expect_critical ("*condition*");
  g_assert_false (aio_context_set_socket_handler (pair.context, pair.sockets[0], G_IO_HUP,
                                                  on_socket, NULL, NULL, &error));
  expect_critical ("*context != NULL*");
  g_assert_false (aio_context_set_socket_handler (NULL, pair.sockets[0], G_IO_IN, on_socket, NULL,
                                                  NULL, &error));
  expect_critical ("*bh != NULL*");
  g_assert_cmpuint (aio_bh_connect_cancellable (NULL, NULL), ==, 0);
  g_test_assert_expected_messages ();
  g_assert_no_error (error);

  g_socket_close (pair.sockets[0], NULL);
  g_assert_false (aio_context_set_socket_handler (pair.context, pair.sockets[0], G_IO_IN, on_socket,
                                                  &pair, pair_destroyed, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CLOSED);
  g_clear_error (&error);
  g_assert_cmpuint (pair.n_destroyed, ==, 0);
  pair_clear (&pair);
}

/* ---- Streams ---- */

typedef struct
{
  GInputStream *stream;
  guint n;
  guint n_destroyed;
  gboolean at_end;
} Stream;

static void
stream_destroyed (gpointer data)
{
  ((Stream *) data)->n_destroyed++;
}

static gboolean
on_stream (GObject  *object,
           gpointer  data)
{
  Stream *self = data;
  GError *error = NULL;
  char c;
  gssize n;

  g_assert_true (object == (GObject *) self->stream);
  n = g_pollable_input_stream_read_nonblocking (G_POLLABLE_INPUT_STREAM (object), &c, 1, NULL,
                                                &error);
  g_assert_no_error (error);
  self->n += (guint) n;
  self->at_end = n == 0;
  return n != 0;
}

static gboolean
stream_watch (AioContext  *context,
              Stream      *self,
              GError     **error)
{
  return aio_context_set_pollable_handler (context, G_POLLABLE_INPUT_STREAM (self->stream),
                                           on_stream, self, stream_destroyed, error);
}

/* Two bytes, then the end. */
static void
read_to_end (Stream *self,
             int     fd)
{
  g_autoptr (AioContext) context = aio_context_new ();
  GError *error = NULL;

  g_assert_true (stream_watch (context, self, &error));
  g_assert_no_error (error);
  g_assert_false (aio_context_poll (context, FALSE));
  put (fd);
  put (fd);
  close (fd);
  while (!self->at_end)
    aio_context_poll (context, TRUE);
  g_assert_cmpuint (self->n, ==, 2);
  g_assert_cmpuint (self->n_destroyed, ==, 1);
  g_assert_cmpuint (G_OBJECT (self->stream)->ref_count, ==, 1);
}

static void
test_stream_of_pipe (void)
{
  int fds[2];
  Stream self = { NULL, 0, 0, FALSE };

  g_test_summary ("C33: the handler of a stream on a pipe");
  open_pipe (fds);
  self.stream = g_unix_input_stream_new (fds[0], TRUE);
  read_to_end (&self, fds[1]);
  g_object_unref (self.stream);
}

static void
test_stream_of_socket (void)
{
  int fds[2];
  Stream self = { NULL, 0, 0, FALSE };
  GSocket *socket;
  GSocketConnection *connection;

  g_test_summary ("C33: the handler of the stream of a socket connection");
  open_pair (fds);
  socket = socket_new (fds[0]);
  connection = g_socket_connection_factory_create_connection (socket);
  self.stream = g_io_stream_get_input_stream (G_IO_STREAM (connection));
  read_to_end (&self, fds[1]);
  g_object_unref (connection);
  g_object_unref (socket);
}

static void
test_stream_removed (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  int fds[2];
  Stream self = { NULL, 0, 0, FALSE };

  g_test_summary ("C33, C21: no function removes the handler");
  open_pipe (fds);
  self.stream = g_unix_input_stream_new (fds[0], TRUE);
  g_assert_true (stream_watch (context, &self, NULL));
  put (fds[1]);
  g_assert_true (aio_context_set_pollable_handler (context, G_POLLABLE_INPUT_STREAM (self.stream),
                                                   NULL, NULL, NULL, NULL));
  g_assert_cmpuint (self.n_destroyed, ==, 1);
  g_assert_false (aio_context_poll (context, FALSE));
  g_object_unref (self.stream);
  close (fds[1]);
}

static void
assert_stream_refused (AioContext   *context,
                       GInputStream *stream,
                       int           code)
{
  Stream self = { stream, 0, 0, FALSE };
  GError *error = NULL;

  g_assert_false (stream_watch (context, &self, &error));
  g_assert_error (error, G_IO_ERROR, code);
  g_assert_cmpuint (self.n_destroyed, ==, 0);
  g_clear_error (&error);
}

static void
test_stream_refused (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  GInputStream *memory = g_memory_input_stream_new ();
  int fds[2];
  GInputStream *pipe_stream;

  g_test_summary ("C33, C28: streams without a descriptor, closed ones, and misuse");
  open_pipe (fds);
  pipe_stream = g_unix_input_stream_new (fds[0], TRUE);
  assert_stream_refused (context, memory, G_IO_ERROR_NOT_SUPPORTED);
  g_input_stream_close (pipe_stream, NULL, NULL);
  assert_stream_refused (context, pipe_stream, G_IO_ERROR_CLOSED);
  expect_critical ("*G_IS_POLLABLE*");
  g_assert_false (aio_context_set_pollable_handler (context, NULL, on_stream, NULL, NULL, NULL));
  g_test_assert_expected_messages ();
  g_object_unref (pipe_stream);
  close (fds[1]);
  g_object_unref (memory);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  aio_test_add ("/gio/cancellable/fires", test_cancellable);
  aio_test_add ("/gio/cancellable/cancelled-already", test_cancelled_already);
  aio_test_add ("/gio/cancellable/outlives", test_cancellable_outlives);
  aio_test_add ("/gio/socket/in", test_socket);
  aio_test_add ("/gio/socket/out", test_socket_out);
  aio_test_add ("/gio/socket/source-remove", test_socket_source_remove);
  aio_test_add ("/gio/socket/hang-up", test_socket_hang_up);
  aio_test_add ("/gio/socket/refused", test_socket_refused);
  aio_test_add ("/gio/stream/of-pipe", test_stream_of_pipe);
  aio_test_add ("/gio/stream/of-socket", test_stream_of_socket);
  aio_test_add ("/gio/stream/removed", test_stream_removed);
  aio_test_add ("/gio/stream/refused", test_stream_refused);
  return g_test_run ();
}
