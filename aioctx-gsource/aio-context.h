/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>

G_BEGIN_DECLS

/**
 * AIO_TYPE_CONTEXT:
 *
 * The boxed type of #AioContext.
 *
 * Since: 1.0
 */
#define AIO_TYPE_CONTEXT (aio_context_get_type ())

AIO_EXPORT GType       aio_context_get_type       (void) G_GNUC_CONST;
AIO_EXPORT AioContext *aio_context_new            (void);
AIO_EXPORT AioContext *aio_context_new_full       (const char    *name,
                                                   GError       **error);
AIO_EXPORT AioContext *aio_context_ref            (AioContext    *context);
AIO_EXPORT void        aio_context_unref          (AioContext    *context);
AIO_EXPORT GSource    *aio_context_get_source     (AioContext    *context);
AIO_EXPORT guint       aio_context_attach         (AioContext    *context,
                                                   GMainContext  *main_context);
AIO_EXPORT void        aio_context_detach         (AioContext    *context);
AIO_EXPORT const char *aio_context_get_name       (AioContext    *context);
AIO_EXPORT void        aio_context_set_priority   (AioContext    *context,
                                                   int            priority);
AIO_EXPORT int         aio_context_get_priority   (AioContext    *context);
AIO_EXPORT AioContext *aio_context_get_current    (void);
AIO_EXPORT gboolean    aio_context_is_home_thread (AioContext    *context);
AIO_EXPORT gboolean    aio_context_poll           (AioContext    *context,
                                                   gboolean       blocking);
AIO_EXPORT gboolean    aio_context_poll_until     (AioContext    *context,
                                                   AioPredicate   predicate,
                                                   gpointer       data,
                                                   gint64         timeout_usec);
AIO_EXPORT void        aio_context_set_budget     (AioContext    *context,
                                                   guint          max_callbacks,
                                                   gint64         max_usec);
AIO_EXPORT void        aio_context_notify         (AioContext    *context);
AIO_EXPORT int         aio_context_get_fd         (AioContext    *context);
AIO_EXPORT gint64      aio_context_get_timeout_ns (AioContext    *context);
AIO_EXPORT gboolean    aio_context_dispatch       (AioContext    *context);
AIO_EXPORT gboolean    aio_context_set_busy_poll  (AioContext    *context,
                                                   gint64         max_ns,
                                                   GError       **error);
AIO_EXPORT gboolean    aio_context_post           (AioContext    *context,
                                                   AioBHFunc      func,
                                                   gpointer       data,
                                                   GDestroyNotify destroy);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AioContext, aio_context_unref)

G_END_DECLS
