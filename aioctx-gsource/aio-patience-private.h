/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 0. Taking a lock for a look inside, when its holder may be stopped: by a debugger, which
 * lets one thread go on to make a report. Every lock of the library is held for moments only, so
 * who does not get one for this long never will. */
#pragma once

#include <glib.h>
#include <pthread.h>
#include <time.h>

#define AIO_PATIENCE_NS 200000000

/* FALSE: not locked. The time of day, because that is what every libc can wait by; it is looked at
 * only if somebody has the lock. */
static inline gboolean
aio_lock_patiently (pthread_mutex_t *lock)
{
  struct timespec until;

  if (pthread_mutex_trylock (lock) == 0)
    return TRUE;
  clock_gettime (CLOCK_REALTIME, &until);
  until.tv_nsec += AIO_PATIENCE_NS;
  if (until.tv_nsec >= 1000000000)
    {
      until.tv_nsec -= 1000000000;
      until.tv_sec++;
    }
  return pthread_mutex_timedlock (lock, &until) == 0;
}
