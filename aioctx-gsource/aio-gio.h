/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>

G_BEGIN_DECLS

/**
 * AioFdWatchFunc:
 * @fd: the descriptor
 * @condition: what it is ready for: %G_IO_IN or %G_IO_OUT
 * @data: (closure): what was given with the watch
 *
 * Called in the home thread when a descriptor is ready. It may do whatever an #AioBHFunc may. (It
 * has the shape of GUnixFDSourceFunc.)
 *
 * Returns: %G_SOURCE_CONTINUE, or %G_SOURCE_REMOVE to have the watch removed
 *
 * Since: 1.0
 */
typedef gboolean (*AioFdWatchFunc) (int           fd,
                                    GIOCondition  condition,
                                    gpointer      data);

AIO_EXPORT gulong   aio_bh_connect_cancellable       (AioBH                 *bh,
                                                      GCancellable          *cancellable);
AIO_EXPORT gboolean aio_context_set_fd_watch         (AioContext            *context,
                                                      int                    fd,
                                                      GIOCondition           condition,
                                                      AioFdWatchFunc         func,
                                                      gpointer               data,
                                                      GDestroyNotify         destroy,
                                                      GError               **error);
AIO_EXPORT gboolean aio_context_set_socket_handler   (AioContext            *context,
                                                      GSocket               *socket,
                                                      GIOCondition           condition,
                                                      GSocketSourceFunc      func,
                                                      gpointer               data,
                                                      GDestroyNotify         destroy,
                                                      GError               **error);
AIO_EXPORT gboolean aio_context_set_pollable_handler (AioContext            *context,
                                                      GPollableInputStream  *stream,
                                                      GPollableSourceFunc    func,
                                                      gpointer               data,
                                                      GDestroyNotify         destroy,
                                                      GError               **error);

G_END_DECLS
