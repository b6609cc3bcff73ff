/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>

G_BEGIN_DECLS

/**
 * AIO_TYPE_IO_THREAD:
 *
 * The boxed type of #AioIOThread.
 *
 * Since: 1.0
 */
#define AIO_TYPE_IO_THREAD (aio_io_thread_get_type ())

AIO_EXPORT GType         aio_io_thread_get_type         (void) G_GNUC_CONST;
AIO_EXPORT AioIOThread  *aio_io_thread_new              (const char   *name,
                                                         GError      **error);
AIO_EXPORT AioIOThread  *aio_io_thread_ref              (AioIOThread  *thread);
AIO_EXPORT void          aio_io_thread_unref            (AioIOThread  *thread);
AIO_EXPORT AioContext   *aio_io_thread_get_context      (AioIOThread  *thread);
AIO_EXPORT GMainContext *aio_io_thread_get_main_context (AioIOThread  *thread);
AIO_EXPORT void          aio_io_thread_stop             (AioIOThread  *thread);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AioIOThread, aio_io_thread_unref)

G_END_DECLS
