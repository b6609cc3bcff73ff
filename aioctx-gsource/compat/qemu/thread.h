/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's names for threads and locks, over pthreads. What needs more than a call is in the library,
 * also because a strict C11 program does not see all of pthread.h. */
#pragma once

#include "../aio-qemu-base.h"

G_BEGIN_DECLS

typedef struct QemuThread QemuThread;
typedef struct QemuMutex QemuMutex;
typedef struct QemuRecMutex QemuRecMutex;
typedef struct QemuCond QemuCond;
typedef struct QemuSemaphore QemuSemaphore;
typedef struct QemuEvent QemuEvent;
typedef struct QemuSpin QemuSpin;

#define QEMU_THREAD_JOINABLE 0
#define QEMU_THREAD_DETACHED 1

struct QemuThread
{
  pthread_t thread;
};

struct QemuMutex
{
  pthread_mutex_t lock;
};

struct QemuRecMutex
{
  QemuMutex m;
};

struct QemuCond
{
  pthread_cond_t cond;
};

struct QemuSemaphore
{
  QemuMutex mutex;
  QemuCond cond;
  unsigned int count;
};

struct QemuEvent
{
  QemuMutex mutex;
  QemuCond cond;
  bool set;
};

struct QemuSpin
{
  QemuMutex m;
};

AIO_EXPORT void aio_qemu_thread_fail    (int             error,
                                         const char     *where) G_GNUC_NORETURN;
AIO_EXPORT void aio_qemu_thread_create  (QemuThread     *thread,
                                         const char     *name,
                                         void         *(*start_routine) (void *),
                                         void           *arg,
                                         int             mode);
AIO_EXPORT void aio_qemu_rec_mutex_init (QemuRecMutex   *mutex);
AIO_EXPORT void aio_qemu_cond_init      (QemuCond       *cond);
AIO_EXPORT bool aio_qemu_cond_timedwait (QemuCond       *cond,
                                         QemuMutex      *mutex,
                                         int             ms);
AIO_EXPORT bool aio_qemu_sem_timedwait  (QemuSemaphore  *sem,
                                         int             ms);

static inline void
aio_qemu_thread_check (int         error,
                       const char *where)
{
  if (G_UNLIKELY (error != 0))
    aio_qemu_thread_fail (error, where);
}

/* --- Threads ---------------------------------------------------------------------------------- */

/* With a name, or without as in 2012. */
#define qemu_thread_create(...) AIO_QEMU_CALL (aio_qemu_thread_create_, __VA_ARGS__)
#define aio_qemu_thread_create_4(thread, start_routine, arg, mode) \
  aio_qemu_thread_create ((thread), NULL, (start_routine), (arg), (mode))
#define aio_qemu_thread_create_5(thread, name, start_routine, arg, mode) \
  aio_qemu_thread_create ((thread), (name), (start_routine), (arg), (mode))

static inline void *
qemu_thread_join (QemuThread *thread)
{
  void *result = NULL;

  aio_qemu_thread_check (pthread_join (thread->thread, &result), G_STRFUNC);
  return result;
}

static inline void
qemu_thread_get_self (QemuThread *thread)
{
  thread->thread = pthread_self ();
}

static inline bool
qemu_thread_is_self (QemuThread *thread)
{
  return pthread_equal (pthread_self (), thread->thread) != 0;
}

G_GNUC_NORETURN static inline void
qemu_thread_exit (void *result)
{
  pthread_exit (result);
}

/* Threads always have their names. */
static inline void
qemu_thread_naming (bool enable)
{
  (void) enable;
}

/* --- Mutexes ---------------------------------------------------------------------------------- */

static inline void
qemu_mutex_init (QemuMutex *mutex)
{
  aio_qemu_thread_check (pthread_mutex_init (&mutex->lock, NULL), G_STRFUNC);
}

static inline void
qemu_mutex_destroy (QemuMutex *mutex)
{
  aio_qemu_thread_check (pthread_mutex_destroy (&mutex->lock), G_STRFUNC);
}

static inline void
qemu_mutex_lock (QemuMutex *mutex)
{
  aio_qemu_thread_check (pthread_mutex_lock (&mutex->lock), G_STRFUNC);
}

/* 0 if it was free. */
static inline int
qemu_mutex_trylock (QemuMutex *mutex)
{
  return pthread_mutex_trylock (&mutex->lock);
}

static inline void
qemu_mutex_unlock (QemuMutex *mutex)
{
  aio_qemu_thread_check (pthread_mutex_unlock (&mutex->lock), G_STRFUNC);
}

static inline void
qemu_rec_mutex_init (QemuRecMutex *mutex)
{
  aio_qemu_rec_mutex_init (mutex);
}

static inline void
qemu_rec_mutex_destroy (QemuRecMutex *mutex)
{
  qemu_mutex_destroy (&mutex->m);
}

static inline void
qemu_rec_mutex_lock (QemuRecMutex *mutex)
{
  qemu_mutex_lock (&mutex->m);
}

static inline int
qemu_rec_mutex_trylock (QemuRecMutex *mutex)
{
  return qemu_mutex_trylock (&mutex->m);
}

static inline void
qemu_rec_mutex_unlock (QemuRecMutex *mutex)
{
  qemu_mutex_unlock (&mutex->m);
}

/* --- Conditions ------------------------------------------------------------------------------- */

static inline void
qemu_cond_init (QemuCond *cond)
{
  aio_qemu_cond_init (cond);
}

static inline void
qemu_cond_destroy (QemuCond *cond)
{
  aio_qemu_thread_check (pthread_cond_destroy (&cond->cond), G_STRFUNC);
}

static inline void
qemu_cond_signal (QemuCond *cond)
{
  aio_qemu_thread_check (pthread_cond_signal (&cond->cond), G_STRFUNC);
}

static inline void
qemu_cond_broadcast (QemuCond *cond)
{
  aio_qemu_thread_check (pthread_cond_broadcast (&cond->cond), G_STRFUNC);
}

static inline void
qemu_cond_wait (QemuCond  *cond,
                QemuMutex *mutex)
{
  aio_qemu_thread_check (pthread_cond_wait (&cond->cond, &mutex->lock), G_STRFUNC);
}

/* False when the time is over. */
static inline bool
qemu_cond_timedwait (QemuCond  *cond,
                     QemuMutex *mutex,
                     int        ms)
{
  return aio_qemu_cond_timedwait (cond, mutex, ms);
}

/* --- Semaphores ------------------------------------------------------------------------------- */

static inline void
qemu_sem_init (QemuSemaphore *sem,
               int            init)
{
  qemu_mutex_init (&sem->mutex);
  qemu_cond_init (&sem->cond);
  sem->count = (unsigned int) init;
}

static inline void
qemu_sem_destroy (QemuSemaphore *sem)
{
  qemu_cond_destroy (&sem->cond);
  qemu_mutex_destroy (&sem->mutex);
}

static inline void
qemu_sem_post (QemuSemaphore *sem)
{
  qemu_mutex_lock (&sem->mutex);
  sem->count++;
  qemu_cond_signal (&sem->cond);
  qemu_mutex_unlock (&sem->mutex);
}

static inline void
qemu_sem_wait (QemuSemaphore *sem)
{
  qemu_mutex_lock (&sem->mutex);
  while (sem->count == 0)
    qemu_cond_wait (&sem->cond, &sem->mutex);
  sem->count--;
  qemu_mutex_unlock (&sem->mutex);
}

/* 0, or -1 when the time is over. */
static inline int
qemu_sem_timedwait (QemuSemaphore *sem,
                    int            ms)
{
  return aio_qemu_sem_timedwait (sem, ms) ? 0 : -1;
}

/* --- Events ----------------------------------------------------------------------------------- */

static inline void
qemu_event_init (QemuEvent *ev,
                 bool       init)
{
  qemu_mutex_init (&ev->mutex);
  qemu_cond_init (&ev->cond);
  ev->set = init;
}

static inline void
qemu_event_destroy (QemuEvent *ev)
{
  qemu_cond_destroy (&ev->cond);
  qemu_mutex_destroy (&ev->mutex);
}

/* Who waits for it may destroy it as soon as it returns. */
static inline void
qemu_event_set (QemuEvent *ev)
{
  qemu_mutex_lock (&ev->mutex);
  ev->set = true;
  qemu_cond_broadcast (&ev->cond);
  qemu_mutex_unlock (&ev->mutex);
}

static inline void
qemu_event_reset (QemuEvent *ev)
{
  qemu_mutex_lock (&ev->mutex);
  ev->set = false;
  qemu_mutex_unlock (&ev->mutex);
}

static inline void
qemu_event_wait (QemuEvent *ev)
{
  qemu_mutex_lock (&ev->mutex);
  while (!ev->set)
    qemu_cond_wait (&ev->cond, &ev->mutex);
  qemu_mutex_unlock (&ev->mutex);
}

/* --- Spin locks ------------------------------------------------------------------------------- */

/* They sleep: a thread that spins on a lock whose owner does not run helps nobody. */
static inline void
qemu_spin_init (QemuSpin *spin)
{
  qemu_mutex_init (&spin->m);
}

static inline void
qemu_spin_destroy (QemuSpin *spin)
{
  qemu_mutex_destroy (&spin->m);
}

static inline void
qemu_spin_lock (QemuSpin *spin)
{
  qemu_mutex_lock (&spin->m);
}

/* True if it is taken. */
static inline bool
qemu_spin_trylock (QemuSpin *spin)
{
  return qemu_mutex_trylock (&spin->m) != 0;
}

static inline void
qemu_spin_unlock (QemuSpin *spin)
{
  qemu_mutex_unlock (&spin->m);
}

static inline bool
qemu_spin_locked (QemuSpin *spin)
{
  if (qemu_spin_trylock (spin))
    return true;
  qemu_spin_unlock (spin);
  return false;
}

G_END_DECLS
