/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What users of GIO would otherwise write themselves around descriptors and bottom halves: an
 * object is kept alive, its descriptor found, and the callback has the type that GIO's own sources
 * take. */
#include <aioctx-gsource/aio-bh.h>
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-gio-private.h>
#include <aioctx-gsource/aio-gio.h>

#include <gio/gfiledescriptorbased.h>

static void
on_cancelled (GCancellable *cancellable,
              gpointer      bh)
{
  aio_bh_cancel (bh);
}

/**
 * aio_bh_connect_cancellable:
 * @bh: a bottom half
 * @cancellable: a #GCancellable
 *
 * Has a #GCancellable cancel a bottom half: whenever it fires, [method@Aio.BH.cancel] is called, in
 * the thread that cancels. If it is cancelled already, that happens at once. What is scheduled
 * later runs.
 *
 * The connection keeps a reference to @bh, and lasts until g_cancellable_disconnect() or the end of
 * @cancellable.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: the id for g_cancellable_disconnect(), or 0 if @cancellable is cancelled already
 *
 * Since: 1.0
 */
gulong
aio_bh_connect_cancellable (AioBH        *bh,
                            GCancellable *cancellable)
{
  g_return_val_if_fail (bh != NULL, 0);
  g_return_val_if_fail (G_IS_CANCELLABLE (cancellable), 0);

  return g_cancellable_connect (cancellable, G_CALLBACK (on_cancelled), aio_bh_ref (bh),
                                (GDestroyNotify) aio_bh_unref);
}

/* --- Descriptors, and objects with one -------------------------------------------------------- */

typedef struct _GioHandler GioHandler;

struct _GioHandler
{
  AioContext *context;          /* no reference; valid while it runs */
  int fd;
  gpointer object;              /* a reference; NULL: there is only the descriptor */
  AioFdWatchFunc on_fd;
  GSocketSourceFunc on_socket;
  GPollableSourceFunc on_stream;
  gpointer data;
  GDestroyNotify destroy;
};

static void
gio_handler_free (gpointer data)
{
  GioHandler *handler = data;

  if (handler->destroy != NULL)
    handler->destroy (handler->data);
  g_clear_object (&handler->object);
  g_free (handler);
}

/* Under the lock of the set, with one that is in it: was it set here, and what does it call? (Only
 * its address is of use to others.) */
gboolean
aio_gio_find_func (const AioFdHandler *handler,
                   AioFdFunc          *func)
{
  const GioHandler *gio = handler->data;

  if (handler->destroy != gio_handler_free)
    return FALSE;
  if (gio->on_fd != NULL)
    *func = (AioFdFunc) (void (*) (void)) gio->on_fd;
  else if (gio->on_socket != NULL)
    *func = (AioFdFunc) (void (*) (void)) gio->on_socket;
  else
    *func = (AioFdFunc) (void (*) (void)) gio->on_stream;
  return TRUE;
}

/* Its callback, or another thread, may have set another one in its place. */
static void
stop_if (GioHandler *handler,
         gboolean    stop)
{
  if (stop)
    aio_context_remove_fd_handler (handler->context, handler->fd, handler);
}

static void
on_fd_read (gpointer data)
{
  GioHandler *handler = data;

  stop_if (handler, !handler->on_fd (handler->fd, G_IO_IN, handler->data));
}

static void
on_fd_write (gpointer data)
{
  GioHandler *handler = data;

  stop_if (handler, !handler->on_fd (handler->fd, G_IO_OUT, handler->data));
}

static void
on_socket_read (gpointer data)
{
  GioHandler *handler = data;

  stop_if (handler, !handler->on_socket (handler->object, G_IO_IN, handler->data));
}

static void
on_socket_write (gpointer data)
{
  GioHandler *handler = data;

  stop_if (handler, !handler->on_socket (handler->object, G_IO_OUT, handler->data));
}

static void
on_stream_read (gpointer data)
{
  GioHandler *handler = data;

  stop_if (handler, !handler->on_stream (handler->object, handler->data));
}

/* Sets a handler that is on the heap; the callbacks that are not wanted are NULL. */
static gboolean
set_handler (AioContext        *context,
             const GioHandler  *wanted,
             AioFdFunc          on_read,
             AioFdFunc          on_write,
             GError           **error)
{
  GioHandler *handler = g_new (GioHandler, 1);

  *handler = *wanted;
  handler->context = context;
  if (handler->object != NULL)
    g_object_ref (handler->object);
  if (aio_context_set_fd_handler_full (context, handler->fd, on_read, on_write, NULL, NULL, handler,
                                       gio_handler_free, error))
    return TRUE;
  g_clear_object (&handler->object);
  g_free (handler);
  return FALSE;
}

static gboolean
remove_handler (AioContext  *context,
                int          fd,
                GError     **error)
{
  return aio_context_set_fd_handler_full (context, fd, NULL, NULL, NULL, NULL, NULL, NULL, error);
}

/**
 * aio_context_set_fd_watch:
 * @context: a context
 * @fd: a file descriptor
 * @condition: %G_IO_IN, %G_IO_OUT or both; more may be given, as for g_unix_fd_source_new()
 * @func: (nullable) (scope notified) (closure data) (destroy destroy): called while @fd is ready;
 *   %NULL removes the watch
 * @data: passed to @func
 * @destroy: (nullable): called once with @data when the watch is gone
 * @error: where to store an error
 *
 * Sets the handler of a descriptor, as aio_context_set_fd_handler_full() does, with one function
 * for all conditions. This is the form for languages in which each function has data of its own.
 *
 * @func is called with %G_IO_IN or with %G_IO_OUT, once for each that is ready; an error or a
 * hang-up comes as both, and reading or writing tells which it is. It returns %G_SOURCE_CONTINUE,
 * or %G_SOURCE_REMOVE to have the watch removed. Remove it before you close the descriptor.
 *
 * To watch an event notifier, watch [method@Aio.EventNotifier.get_fd] for %G_IO_IN, and have @func
 * call [method@Aio.EventNotifier.test_and_clear].
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: %TRUE, or %FALSE with @error set, in the domain %G_IO_ERROR: then the former handler
 *   stays, and @destroy is not called
 *
 * Since: 1.0
 */
gboolean
aio_context_set_fd_watch (AioContext      *context,
                          int              fd,
                          GIOCondition     condition,
                          AioFdWatchFunc   func,
                          gpointer         data,
                          GDestroyNotify   destroy,
                          GError         **error)
{
  GioHandler handler = { .fd = fd, .on_fd = func, .data = data, .destroy = destroy };

  g_return_val_if_fail (context != NULL, FALSE);
  g_return_val_if_fail (func == NULL || (condition & (G_IO_IN | G_IO_OUT)) != 0, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  if (func == NULL)
    return remove_handler (context, fd, error);
  return set_handler (context, &handler, condition & G_IO_IN ? on_fd_read : NULL,
                      condition & G_IO_OUT ? on_fd_write : NULL, error);
}

/**
 * aio_context_set_socket_handler:
 * @context: a context
 * @socket: a socket
 * @condition: %G_IO_IN, %G_IO_OUT or both; more may be given, as for g_socket_create_source()
 * @func: (nullable) (scope notified) (closure data) (destroy destroy): called while @socket is
 *   ready; %NULL removes the handler
 * @data: passed to @func
 * @destroy: (nullable): called once with @data when the handler is gone
 * @error: where to store an error
 *
 * Sets the handler of a socket, as aio_context_set_fd_handler_full() does for its descriptor.
 *
 * @func is called with %G_IO_IN or with %G_IO_OUT, once for each that is ready; an error or a
 * hang-up comes as both, and reading or writing tells which it is. It returns %G_SOURCE_CONTINUE,
 * or %G_SOURCE_REMOVE to have the handler removed.
 *
 * The handler keeps a reference to @socket. Remove it before you close the socket.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: %TRUE, or %FALSE with @error set, in the domain %G_IO_ERROR: then the former handler
 *   stays, and @destroy is not called
 *
 * Since: 1.0
 */
gboolean
aio_context_set_socket_handler (AioContext         *context,
                                GSocket            *socket,
                                GIOCondition        condition,
                                GSocketSourceFunc   func,
                                gpointer            data,
                                GDestroyNotify      destroy,
                                GError            **error)
{
  GioHandler handler = { .object = socket, .on_socket = func, .data = data, .destroy = destroy };

  g_return_val_if_fail (context != NULL, FALSE);
  g_return_val_if_fail (G_IS_SOCKET (socket), FALSE);
  g_return_val_if_fail (func == NULL || (condition & (G_IO_IN | G_IO_OUT)) != 0, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  handler.fd = g_socket_get_fd (socket);
  if (handler.fd < 0)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED, "The socket is closed");
      return FALSE;
    }
  if (func == NULL)
    return remove_handler (context, handler.fd, error);
  return set_handler (context, &handler, condition & G_IO_IN ? on_socket_read : NULL,
                      condition & G_IO_OUT ? on_socket_write : NULL, error);
}

/* -1, with an error: a stream that decrypts, decompresses or lies in memory is readable at other
 * moments than what is below it. */
static int
get_stream_fd (GPollableInputStream  *stream,
               GError               **error)
{
  if (g_input_stream_is_closed (G_INPUT_STREAM (stream)))
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CLOSED, "The stream is closed");
  else if (!G_IS_FILE_DESCRIPTOR_BASED (stream) || !g_pollable_input_stream_can_poll (stream))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                 "A %s has no descriptor that could be watched", G_OBJECT_TYPE_NAME (stream));
  else
    return g_file_descriptor_based_get_fd (G_FILE_DESCRIPTOR_BASED (stream));
  return -1;
}

/**
 * aio_context_set_pollable_handler:
 * @context: a context
 * @stream: a stream on a descriptor: of a socket connection, a pipe, a subprocess
 * @func: (nullable) (scope notified) (closure data) (destroy destroy): called while @stream is
 *   readable; %NULL removes the handler
 * @data: passed to @func
 * @destroy: (nullable): called once with @data when the handler is gone
 * @error: where to store an error
 *
 * Sets the handler of a stream, as aio_context_set_fd_handler_full() does for its descriptor.
 *
 * @func returns %G_SOURCE_CONTINUE, or %G_SOURCE_REMOVE to have the handler removed. It reads with
 * g_pollable_input_stream_read_nonblocking().
 *
 * A stream without a descriptor of its own, such as that of a TLS connection, is not supported:
 * attach its g_pollable_input_stream_create_source() beside the context.
 *
 * The handler keeps a reference to @stream. Remove it before you close the stream.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: %TRUE, or %FALSE with @error set, in the domain %G_IO_ERROR: then the former handler
 *   stays, and @destroy is not called
 *
 * Since: 1.0
 */
gboolean
aio_context_set_pollable_handler (AioContext            *context,
                                  GPollableInputStream  *stream,
                                  GPollableSourceFunc    func,
                                  gpointer               data,
                                  GDestroyNotify         destroy,
                                  GError               **error)
{
  GioHandler handler = { .object = stream, .on_stream = func, .data = data, .destroy = destroy };

  g_return_val_if_fail (context != NULL, FALSE);
  g_return_val_if_fail (G_IS_POLLABLE_INPUT_STREAM (stream), FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);

  handler.fd = get_stream_fd (stream, error);
  if (handler.fd < 0)
    return FALSE;
  if (func == NULL)
    return remove_handler (context, handler.fd, error);
  return set_handler (context, &handler, on_stream_read, NULL, error);
}
