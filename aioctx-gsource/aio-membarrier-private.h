/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 0. A full barrier in every running thread of the process, paid for by the caller alone. */
#pragma once

#include <glib.h>

gboolean aio_membarrier (void);
