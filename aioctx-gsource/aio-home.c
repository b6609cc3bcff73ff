/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-home-private.h>
#include <aioctx-gsource/aio-fork-private.h>
#include <aioctx-gsource/aio-patience-private.h>

#include <sys/syscall.h>
#include <unistd.h>

/* initial-exec: one load instead of a call into the dynamic linker. */
__thread guint64 aio_home_thread_id __attribute__ ((tls_model ("initial-exec")));

guint64
aio_home_new_id (void)
{
  static _Atomic (guint64) last_id;

  return aio_fetch_add_full (&last_id, 1) + 1;
}

/* Gives the calling thread, which has none yet, an id that was made for it. */
void
aio_home_adopt_id (guint64 id)
{
  aio_home_thread_id = id;
}

guint64
aio_home_self_slow (void)
{
  aio_home_thread_id = aio_home_new_id ();
  return aio_home_thread_id;
}

void
aio_home_init (AioHome *home)
{
  pthread_mutex_init (&home->lock, NULL);
  home->fork_generation = aio_fork_generation;
}

void
aio_home_clear (AioHome *home)
{
  pthread_mutex_destroy (&home->lock);
}

/* In a forked child the lock may be held for ever by a thread of the parent; and the child, which
 * may only drop references, needs none. */
void
aio_home_lock (AioHome *home)
{
  if (!aio_fork_is_child (home->fork_generation))
    pthread_mutex_lock (&home->lock);
}

/* For a look inside: FALSE if somebody has it and does not go on. */
gboolean
aio_home_try_lock (AioHome *home)
{
  return aio_lock_patiently (&home->lock);
}

void
aio_home_unlock (AioHome *home)
{
  if (!aio_fork_is_child (home->fork_generation))
    pthread_mutex_unlock (&home->lock);
}

/* Of the calling thread. People know threads by this number, and so do debuggers. */
static int
self_tid (void)
{
#ifdef SYS_gettid
  return syscall (SYS_gettid);
#else
  return 0;
#endif
}

/* Under the lock. */
static void
settle_locked (AioHome *home,
               guint64  id)
{
  aio_store_relaxed (&home->thread, id);
  aio_store_relaxed (&home->tid, id == aio_home_self () ? self_tid () : 0);
}

/* Does another thread iterate now, or has it been promised the context? Under the lock. The acquire
 * pairs with aio_home_leave(). */
static gboolean
is_taken_locked (AioHome *home)
{
  return aio_load_relaxed (&home->thread) != aio_home_self () &&
         (home->pinned || aio_load_acquire (&home->depth) != 0);
}

gboolean
aio_home_is_taken (AioHome *home)
{
  gboolean taken;

  aio_home_lock (home);
  taken = is_taken_locked (home);
  aio_home_unlock (home);
  return taken;
}

/* Makes the calling thread the home thread, unless another one is and iterates. */
gboolean
aio_home_take_over (AioHome *home)
{
  gboolean taken;

  aio_home_lock (home);
  taken = is_taken_locked (home);
  if (!taken)
    settle_locked (home, aio_home_self ());
  aio_home_unlock (home);
  return !taken;
}

/* Reserves the context for a thread, which may not have been started yet. */
void
aio_home_pin (AioHome *home,
              guint64  id)
{
  aio_home_lock (home);
  home->pinned = TRUE;
  settle_locked (home, id);
  aio_home_unlock (home);
}

/* The thread that it was reserved for has been started. */
void
aio_home_arrive (AioHome *home)
{
  aio_home_lock (home);
  settle_locked (home, aio_home_self ());
  aio_home_unlock (home);
}

/* The home thread gives the context up: there is none until somebody iterates it. */
void
aio_home_leave_for_good (AioHome *home)
{
  aio_home_lock (home);
  home->pinned = FALSE;
  settle_locked (home, 0);
  aio_home_unlock (home);
}

/* For a while the calling thread is the home thread, and no other can take over: if it is already,
 * if there is none, or, when it is entitled to be, if nobody iterates. Unlike a take-over this is
 * safe against others who try at the same moment; it is not an iteration, so afterwards everything
 * is as it was before. The acquire pairs with aio_home_leave(). */
gboolean
aio_home_borrow (AioHome     *home,
                 gboolean     entitled,
                 AioHomeLoan *loan)
{
  guint64 self = aio_home_self ();
  gboolean idle, may;

  aio_home_lock (home);
  *loan = (AioHomeLoan) { aio_load_relaxed (&home->thread), home->pinned, FALSE };
  idle = aio_load_acquire (&home->depth) == 0;
  may = loan->thread == self || (idle && (loan->thread == 0 || (entitled && !home->pinned)));
  if (may)
    {
      loan->changed = idle && (loan->thread != self || !loan->pinned);
      if (loan->thread != 0)
        loan->thread = self;
      aio_store_relaxed (&home->thread, self);
      home->pinned = TRUE;
    }
  aio_home_unlock (home);
  return may;
}

/* Does nothing if the end of the context has taken it for itself. */
void
aio_home_give_back (AioHome           *home,
                    const AioHomeLoan *loan)
{
  aio_home_lock (home);
  if (aio_home_is_self (home))
    {
      aio_store_relaxed (&home->thread, loan->thread);
      home->pinned = loan->pinned;
    }
  aio_home_unlock (home);
}
