/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 1. Which thread may touch what is marked "Home thread only": the one that iterates the
 * context, and afterwards until another one does. A diagnostic, not a lock: who moves a context
 * between threads synchronises that himself. */
#pragma once

#include <aioctx-gsource/aio-atomic-private.h>
#include <glib.h>
#include <pthread.h>

typedef struct
{
  /* Guards the moves of home, and whatever the owner puts under it. A leaf: nothing else is locked
   * and no callback runs while it is held, save that GMainContext may be asked who owns it. */
  pthread_mutex_t lock;

  /* Atomic, any thread; written under the lock. */
  _Atomic (guint64) thread;     /* an id of aio_home_self(), 0 while there is none */
  _Atomic (int) tid;            /* how the kernel calls it; 0: not known */

  /* Atomic, any thread; written by the home thread. */
  _Atomic (guint) depth;        /* iterations of it that are on its stack */

  /* Under the lock. */
  gboolean pinned;              /* no other thread may take over: an I/O thread's context */

  /* Immutable. */
  guint fork_generation;
} AioHome;

/* What there was before aio_home_borrow(). */
typedef struct
{
  guint64 thread;
  gboolean pinned;
  gboolean changed;             /* others may have been refused because of the loan */
} AioHomeLoan;

extern __thread guint64 aio_home_thread_id;

guint64  aio_home_new_id         (void);
void     aio_home_adopt_id       (guint64  id);
guint64  aio_home_self_slow      (void);
void     aio_home_init           (AioHome *home);
void     aio_home_clear          (AioHome *home);
void     aio_home_lock           (AioHome *home);
gboolean aio_home_try_lock       (AioHome *home);
void     aio_home_unlock         (AioHome *home);
gboolean aio_home_is_taken       (AioHome *home);
gboolean aio_home_take_over      (AioHome *home);
void     aio_home_pin            (AioHome *home,
                                  guint64  id);
void     aio_home_arrive         (AioHome *home);
void     aio_home_leave_for_good (AioHome *home);
gboolean aio_home_borrow         (AioHome     *home,
                                  gboolean     entitled,
                                  AioHomeLoan *loan);
void     aio_home_give_back      (AioHome           *home,
                                  const AioHomeLoan *loan);

/* The id of the calling thread. Ids are not used again, unlike pthread_self() and addresses of
 * thread-local variables, so that a new thread is never taken for one that has ended. */
static inline guint64
aio_home_self (void)
{
  guint64 id = aio_home_thread_id;

  return G_LIKELY (id != 0) ? id : aio_home_self_slow ();
}

/* Relaxed is enough: the answer is TRUE only for the thread that wrote the word itself. */
static inline gboolean
aio_home_is_self (AioHome *home)
{
  return aio_load_relaxed (&home->thread) == aio_home_self ();
}

/* Has any thread iterated, and not given the context up? A snapshot: relaxed, as it only diagnoses.
 */
static inline gboolean
aio_home_is_there (AioHome *home)
{
  return aio_load_relaxed (&home->thread) != 0;
}

/* Home thread: an iteration begins. */
static inline void
aio_home_enter (AioHome *home)
{
  aio_count (&home->depth, 1);
}

/* Home thread: it is over. The release pairs with the acquire in aio_home_take_over(): the next
 * home thread sees what this one did, also when it was GLib's lock that passed the context on. */
static inline void
aio_home_leave (AioHome *home)
{
  aio_store_release (&home->depth, aio_load_relaxed (&home->depth) - 1);
}
