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

/* How many fork() calls lie between the first process and this one; to be remembered in an object
 * that is made. Written only by the child's atfork handler, when the process has one thread; so a
 * plain word is enough, also for signal handlers. */
extern G_GNUC_INTERNAL volatile guint aio_fork_generation;

/* Was the object made before a fork() whose child this process is? Signal safe. */
static inline gboolean
aio_fork_is_child (guint generation)
{
  return G_UNLIKELY (generation != aio_fork_generation);
}
