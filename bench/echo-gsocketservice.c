/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* examples/echo.c once more, with GSocketService and GIO's asynchronous streams, as the GIO
 * reference manual says: "Highlevel network functionality", GSocketService; GInputStream,
 * g_input_stream_read_async(); GOutputStream, g_output_stream_write_all_async(). One thread.
 *
 *   echo-gsocketservice [PORT]
 *
 * The manual does not say so, but the defaults would not do here: a backlog of 10, and Nagle's
 * algorithm. */
#include "echo-peer.h"

#include <gio/gio.h>
#include <gio/gnetworking.h>

typedef struct
{
  GSocketConnection *connection;
  GInputStream *input;
  GOutputStream *output;
  char buffer[ECHO_BUFFER_SIZE];
} Client;

static void client_read (Client *self);

static void
client_free (Client *self)
{
  g_object_unref (self->connection);
  g_free (self);
}

static void
on_written (GObject      *output,
            GAsyncResult *result,
            gpointer      data)
{
  Client *self = data;

  if (g_output_stream_write_all_finish (self->output, result, NULL, NULL))
    client_read (self);
  else
    client_free (self);
}

static void
on_read (GObject      *input,
         GAsyncResult *result,
         gpointer      data)
{
  Client *self = data;
  gssize n = g_input_stream_read_finish (self->input, result, NULL);

  if (n > 0)
    g_output_stream_write_all_async (self->output, self->buffer, n, G_PRIORITY_DEFAULT, NULL,
                                     on_written, self);
  else
    client_free (self);
}

static void
client_read (Client *self)
{
  g_input_stream_read_async (self->input, self->buffer, sizeof self->buffer, G_PRIORITY_DEFAULT,
                             NULL, on_read, self);
}

static gboolean
on_incoming (GSocketService    *service,
             GSocketConnection *connection,
             GObject           *source,
             gpointer           data)
{
  Client *client = g_malloc (sizeof *client);
  GSocket *socket = g_socket_connection_get_socket (connection);

  g_socket_set_option (socket, IPPROTO_TCP, TCP_NODELAY, TRUE, NULL);
  client->connection = g_object_ref (connection);
  client->input = g_io_stream_get_input_stream (G_IO_STREAM (connection));
  client->output = g_io_stream_get_output_stream (G_IO_STREAM (connection));
  client_read (client);
  return TRUE;
}

int
main (int    argc,
      char **argv)
{
  GSocketService *service;
  GSocketAddress *address, *effective;
  GError *error = NULL;

  echo_raise_descriptor_limit ();
  service = g_socket_service_new ();
  address = g_inet_socket_address_new_from_string ("127.0.0.1", echo_parse_port (argc, argv));
  g_socket_listener_set_backlog (G_SOCKET_LISTENER (service), SOMAXCONN);
  if (!g_socket_listener_add_address (G_SOCKET_LISTENER (service), address, G_SOCKET_TYPE_STREAM,
                                      G_SOCKET_PROTOCOL_TCP, NULL, &effective, &error))
    g_error ("%s", error->message);
  g_signal_connect (service, "incoming", G_CALLBACK (on_incoming), NULL);
  g_socket_service_start (service);
  echo_print_port (g_inet_socket_address_get_port (G_INET_SOCKET_ADDRESS (effective)));
  g_main_loop_run (g_main_loop_new (NULL, FALSE));
  return 0;
}
