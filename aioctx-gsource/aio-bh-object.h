/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>

G_BEGIN_DECLS

AIO_EXPORT AioBH *aio_bh_new_for_object      (AioContext     *context,
                                              AioBHFunc       func,
                                              GObject        *object);
AIO_EXPORT AioBH *aio_bh_new_for_object_full (AioContext     *context,
                                              const char     *name,
                                              GObject        *object,
                                              AioBHFunc       func,
                                              gpointer        data,
                                              GDestroyNotify  destroy);

G_END_DECLS
