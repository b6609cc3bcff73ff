/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>

G_BEGIN_DECLS

/**
 * AioFdFunc: (skip)
 * @data: (closure): what was given with the handler
 *
 * Called in the home thread when a descriptor is ready. It may do whatever an #AioBHFunc may.
 *
 * Since: 1.0
 */
typedef void (*AioFdFunc) (gpointer data);

/**
 * AioPollFunc: (skip)
 * @data: (closure): what was given with the handler
 *
 * Asked in a tight loop while the context polls busily: is there something to do? It should do
 * little, and must not block or iterate.
 *
 * Returns: %TRUE when there is
 *
 * Since: 1.0
 */
typedef gboolean (*AioPollFunc) (gpointer data);

AIO_EXPORT gboolean aio_context_set_fd_monitor      (AioContext     *context,
                                                     const char     *name,
                                                     GError        **error);
AIO_EXPORT void     aio_context_set_fd_handler      (AioContext     *context,
                                                     int             fd,
                                                     AioFdFunc       on_read,
                                                     AioFdFunc       on_write,
                                                     gpointer        data);
AIO_EXPORT gboolean aio_context_set_fd_handler_full (AioContext     *context,
                                                     int             fd,
                                                     AioFdFunc       on_read,
                                                     AioFdFunc       on_write,
                                                     AioPollFunc     io_poll,
                                                     AioFdFunc       io_poll_ready,
                                                     gpointer        data,
                                                     GDestroyNotify  destroy,
                                                     GError        **error);

G_END_DECLS
