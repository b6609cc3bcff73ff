/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* examples/echo.c once more, with libuv's streams, as its manual says: "uv_stream_t", uv_listen(),
 * uv_read_start(), uv_try_write(), uv_write(). One thread.
 *
 *   echo-libuv [PORT]
 *
 * The echo server of libuv's guide allocates for each read and each write; this one does it only
 * when a client is slow, as ours, so it shows what the loop costs. */
#include "echo-peer.h"

#include <netinet/in.h>
#include <string.h>
#include <uv.h>

typedef struct
{
  uv_tcp_t stream;
  uv_write_t write;
  char *unsent;
} Client;

static char buffer[ECHO_BUFFER_SIZE];

static void client_read (Client *self);

static void
on_closed (uv_handle_t *handle)
{
  Client *self = (Client *) handle;

  g_free (self->unsent);
  g_free (self);
}

static void
client_close (Client *self)
{
  uv_close ((uv_handle_t *) &self->stream, on_closed);
}

static void
on_alloc (uv_handle_t *handle,
          size_t       suggested,
          uv_buf_t    *buf)
{
  *buf = uv_buf_init (buffer, sizeof buffer);
}

static void
on_written (uv_write_t *write,
            int         status)
{
  Client *self = write->data;

  if (status == UV_ECANCELED)
    return;
  g_clear_pointer (&self->unsent, g_free);
  if (status < 0)
    client_close (self);
  else
    client_read (self);
}

static void
client_keep_rest (Client     *self,
                  const char *bytes,
                  gsize       n)
{
  uv_buf_t buf;

  uv_read_stop ((uv_stream_t *) &self->stream);
  self->unsent = g_memdup2 (bytes, n);
  self->write.data = self;
  buf = uv_buf_init (self->unsent, n);
  uv_write (&self->write, (uv_stream_t *) &self->stream, &buf, 1, on_written);
}

static void
on_read (uv_stream_t    *stream,
         ssize_t         n,
         const uv_buf_t *buf)
{
  Client *self = (Client *) stream;
  uv_buf_t echo;
  int sent;

  if (n == 0)
    return;
  if (n < 0)
    {
      client_close (self);
      return;
    }
  echo = uv_buf_init (buf->base, n);
  sent = uv_try_write (stream, &echo, 1);
  if (sent < 0 && sent != UV_EAGAIN)
    client_close (self);
  else if (sent < n)
    client_keep_rest (self, buf->base + MAX (sent, 0), n - MAX (sent, 0));
}

static void
client_read (Client *self)
{
  uv_read_start ((uv_stream_t *) &self->stream, on_alloc, on_read);
}

static void
on_connection (uv_stream_t *listener,
               int          status)
{
  Client *client = g_new0 (Client, 1);

  uv_tcp_init (listener->loop, &client->stream);
  if (status < 0 || uv_accept (listener, (uv_stream_t *) &client->stream) < 0)
    {
      client_close (client);
      return;
    }
  uv_tcp_nodelay (&client->stream, 1);
  client_read (client);
}

int
main (int    argc,
      char **argv)
{
  uv_tcp_t listener;
  struct sockaddr_in address;
  int length = sizeof address;

  echo_raise_descriptor_limit ();
  uv_tcp_init (uv_default_loop (), &listener);
  uv_ip4_addr ("127.0.0.1", echo_parse_port (argc, argv), &address);
  uv_tcp_bind (&listener, (struct sockaddr *) &address, 0);
  if (uv_listen ((uv_stream_t *) &listener, SOMAXCONN, on_connection) < 0)
    g_error ("cannot listen");
  uv_tcp_getsockname (&listener, (struct sockaddr *) &address, &length);
  echo_print_port (ntohs (address.sin_port));
  uv_run (uv_default_loop (), UV_RUN_DEFAULT);
  return 0;
}
