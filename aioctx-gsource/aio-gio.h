/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>

G_BEGIN_DECLS

AIO_EXPORT gulong   aio_bh_connect_cancellable       (AioBH                 *bh,
                                                      GCancellable          *cancellable);
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
