/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 0. A name for a callback that nobody has named. */
#pragma once

#include <glib.h>

const char *aio_func_name (void (*func) (gpointer));
