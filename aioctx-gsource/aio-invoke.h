/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>

G_BEGIN_DECLS

/**
 * AioInvokeFunc:
 * @data: (closure): what was given with the function
 * @cancellable: (nullable): what was given with the function; it may be cancelled while the
 *   function runs
 * @error: where to store an error
 *
 * A function that is called in the home thread of a context on behalf of another thread.
 *
 * It may do whatever an #AioBHFunc may. Results beyond success travel in @data.
 *
 * Returns: %TRUE, or %FALSE with @error set
 *
 * Since: 1.0
 */
typedef gboolean (*AioInvokeFunc) (gpointer       data,
                                   GCancellable  *cancellable,
                                   GError       **error);

AIO_EXPORT gboolean aio_context_invoke_sync   (AioContext           *context,
                                               AioInvokeFunc         func,
                                               gpointer              data,
                                               GCancellable         *cancellable,
                                               GError              **error);
AIO_EXPORT void     aio_context_invoke_async  (AioContext           *context,
                                               AioInvokeFunc         func,
                                               gpointer              data,
                                               GDestroyNotify        destroy,
                                               GCancellable         *cancellable,
                                               GAsyncReadyCallback   callback,
                                               gpointer              user_data);
AIO_EXPORT gboolean aio_context_invoke_finish (AioContext           *context,
                                               GAsyncResult         *result,
                                               GError              **error);

G_END_DECLS
