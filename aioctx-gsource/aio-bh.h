/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>

G_BEGIN_DECLS

/**
 * AIO_TYPE_BH:
 *
 * The boxed type of #AioBH.
 *
 * Since: 1.0
 */
#define AIO_TYPE_BH (aio_bh_get_type ())

AIO_EXPORT GType       aio_bh_get_type              (void) G_GNUC_CONST;
AIO_EXPORT AioBH      *aio_bh_new                   (AioContext     *context,
                                                     AioBHFunc       func,
                                                     gpointer        data);
AIO_EXPORT AioBH      *aio_bh_new_full              (AioContext     *context,
                                                     const char     *name,
                                                     AioBHFunc       func,
                                                     gpointer        data,
                                                     GDestroyNotify  destroy);
AIO_EXPORT void        aio_bh_schedule              (AioBH          *bh);
AIO_EXPORT void        aio_bh_schedule_idle         (AioBH          *bh);
AIO_EXPORT gboolean    aio_bh_cancel                (AioBH          *bh);
AIO_EXPORT gboolean    aio_bh_cancel_sync           (AioBH          *bh);
AIO_EXPORT void        aio_bh_delete                (AioBH          *bh);
AIO_EXPORT AioBH      *aio_bh_ref                   (AioBH          *bh);
AIO_EXPORT void        aio_bh_unref                 (AioBH          *bh);
AIO_EXPORT gboolean    aio_bh_is_scheduled          (AioBH          *bh);
AIO_EXPORT const char *aio_bh_get_name              (AioBH          *bh);
AIO_EXPORT AioContext *aio_bh_get_context           (AioBH          *bh);
AIO_EXPORT void        aio_bh_schedule_oneshot      (AioContext     *context,
                                                     AioBHFunc       func,
                                                     gpointer        data);
AIO_EXPORT void        aio_bh_schedule_oneshot_full (AioContext     *context,
                                                     const char     *name,
                                                     AioBHFunc       func,
                                                     gpointer        data,
                                                     GDestroyNotify  destroy);
AIO_EXPORT int         aio_bh_poll                  (AioContext     *context);
AIO_EXPORT void        aio_bh_update_timeout        (AioContext     *context,
                                                     guint32        *timeout_ms);

#ifndef __GI_SCANNER__

/* The function's name becomes the bottom half's, for reports. Write (aio_bh_new) to get the plain
 * function. */
#define aio_bh_new(context, func, data) \
  (aio_bh_new_full ((context), #func, (func), (data), NULL))

#define aio_bh_schedule_oneshot(context, func, data) \
  (aio_bh_schedule_oneshot_full ((context), #func, (func), (data), NULL))

#endif

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AioBH, aio_bh_unref)

G_END_DECLS
