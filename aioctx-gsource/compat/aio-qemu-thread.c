/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "aio-qemu-private.h"

#include <time.h>

void
aio_qemu_thread_fail (int         error,
                      const char *where)
{
  g_error ("%s: %s", where, g_strerror (error));
}

void
aio_qemu_thread_create (QemuThread  *thread,
                        const char  *name,
                        void      *(*start_routine) (void *),
                        void        *arg,
                        int          mode)
{
  aio_qemu_thread_check (pthread_create (&thread->thread, NULL, start_routine, arg),
                         "qemu_thread_create");
#ifdef __linux__
  if (name != NULL)
    {
      /* The kernel takes 15 characters and a 0. */
      char *prefix = g_strndup (name, 15);

      pthread_setname_np (thread->thread, prefix);
      g_free (prefix);
    }
#endif
  if (mode == QEMU_THREAD_DETACHED)
    pthread_detach (thread->thread);
}

void
aio_qemu_rec_mutex_init (QemuRecMutex *mutex)
{
  pthread_mutexattr_t attributes;

  pthread_mutexattr_init (&attributes);
  pthread_mutexattr_settype (&attributes, PTHREAD_MUTEX_RECURSIVE);
  aio_qemu_thread_check (pthread_mutex_init (&mutex->m.lock, &attributes), "qemu_rec_mutex_init");
  pthread_mutexattr_destroy (&attributes);
}

/* On the clock that does not jump. */
void
aio_qemu_cond_init (QemuCond *cond)
{
  pthread_condattr_t attributes;

  pthread_condattr_init (&attributes);
  pthread_condattr_setclock (&attributes, CLOCK_MONOTONIC);
  aio_qemu_thread_check (pthread_cond_init (&cond->cond, &attributes), "qemu_cond_init");
  pthread_condattr_destroy (&attributes);
}

static struct timespec
deadline_from_ms (int ms)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  ts.tv_sec += ms / 1000;
  ts.tv_nsec += ms % 1000 * 1000000L;
  if (ts.tv_nsec >= NANOSECONDS_PER_SECOND)
    {
      ts.tv_nsec -= NANOSECONDS_PER_SECOND;
      ts.tv_sec++;
    }
  return ts;
}

static bool
wait_until (QemuCond              *cond,
            QemuMutex             *mutex,
            const struct timespec *deadline)
{
  int error = pthread_cond_timedwait (&cond->cond, &mutex->lock, deadline);

  if (error != ETIMEDOUT)
    aio_qemu_thread_check (error, "qemu_cond_timedwait");
  return error == 0;
}

bool
aio_qemu_cond_timedwait (QemuCond  *cond,
                         QemuMutex *mutex,
                         int        ms)
{
  struct timespec deadline = deadline_from_ms (MAX (ms, 0));

  return wait_until (cond, mutex, &deadline);
}

bool
aio_qemu_sem_timedwait (QemuSemaphore *sem,
                        int            ms)
{
  struct timespec deadline = deadline_from_ms (MAX (ms, 0));
  bool in_time = true, taken;

  qemu_mutex_lock (&sem->mutex);
  while (sem->count == 0 && in_time)
    in_time = wait_until (&sem->cond, &sem->mutex, &deadline);
  taken = sem->count > 0;
  if (taken)
    sem->count--;
  qemu_mutex_unlock (&sem->mutex);
  return taken;
}
