/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 4. What the compat library needs and the public interface does not offer: exported, so that
 * the two libraries need not know each other's structs, but not installed. */
#pragma once

#include <aioctx-gsource/aio-context.h>

AIO_EXPORT void   aio_compat_call_bh     (AioBH      *bh);
AIO_EXPORT gint64 aio_compat_ask_timeout (AioContext *context);
