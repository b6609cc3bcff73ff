/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the sources of the compat library. */
#pragma once

#include "aio-qemu.h"

void aio_qemu_error_take (Error  **errp,
                          GError  *error);
