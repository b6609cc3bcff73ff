/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 4. */
#pragma once

#include <aioctx-gsource/aio-fd-private.h>

gboolean aio_gio_find_func (const AioFdHandler *handler,
                            AioFdFunc          *func);
