/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 0. Tells which side of a fork() an object was made on. */
#pragma once

#include <glib.h>

guint    aio_fork_generation (void);
gboolean aio_fork_is_child   (guint generation);
