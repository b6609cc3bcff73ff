/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 0. Tells which side of a fork() an object was made on. */
#pragma once

#include <glib.h>
#include <pthread.h>

/* Handlers of pthread_atfork(), installed when the library is loaded, which is before the program
 * can install its own: so those run without our locks, and may stop I/O threads and start them. */
#define AIO_FORK_HANDLERS(prepare, parent, child) \
  static void __attribute__ ((constructor)) \
  install_fork_handlers (void) \
  { \
    pthread_atfork (prepare, parent, child); \
  }

guint    aio_fork_generation (void);
gboolean aio_fork_is_child   (guint generation);
