/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-anchor-private.h>
#include <aioctx-gsource/aio-fork-private.h>
#include <aioctx-gsource/aio-membarrier-private.h>

#include <time.h>

/* Anchors are never given back to malloc, but used again. A schedule that makes an entry more
 * urgent looks at the notifier after the callback may have dropped the last reference to
 * everything; what it finds then is an anchor still, and at worst it wakes another context in
 * vain. */
static pthread_mutex_t spare_lock = PTHREAD_MUTEX_INITIALIZER;
static AioAnchor *spare;

static void
lock_spare (void)
{
  pthread_mutex_lock (&spare_lock);
}

static void
unlock_spare (void)
{
  pthread_mutex_unlock (&spare_lock);
}

/* The child of a fork() gets the lock free, for contexts of its own. */
AIO_FORK_HANDLERS (lock_spare, unlock_spare, unlock_spare)

static AioAnchor *
anchor_alloc (void)
{
  AioAnchor *anchor;

  lock_spare ();
  anchor = spare;
  if (anchor != NULL)
    spare = anchor->next_spare;
  unlock_spare ();
  return anchor != NULL ? anchor : g_aligned_alloc0 (1, sizeof (AioAnchor), 64);
}

static void
anchor_free (AioAnchor *anchor)
{
  lock_spare ();
  anchor->next_spare = spare;
  spare = anchor;
  unlock_spare ();
}

AioAnchor *
aio_anchor_new (const char  *name,
                GError     **error)
{
  AioAnchor *anchor = anchor_alloc ();

  if (!aio_notify_init (&anchor->notify, name, error))
    {
      anchor_free (anchor);
      return NULL;
    }
  aio_store_relaxed (&anchor->notify.writes, 0);
  aio_home_init (&anchor->home);
  pthread_cond_init (&anchor->run_ended, NULL);
  anchor->notify.name = anchor->name = g_strdup (name);
  aio_store_relaxed (&anchor->refs, 1);
  return anchor;
}

AioAnchor *
aio_anchor_ref (AioAnchor *anchor)
{
  aio_fetch_add_full (&anchor->refs, 1);
  return anchor;
}

/* The context has closed the notifier by then. */
void
aio_anchor_unref (AioAnchor *anchor)
{
  if (aio_fetch_sub_full (&anchor->refs, 1) != 1)
    return;
  g_free (anchor->name);
  /* In a forked child threads of the parent may wait for ever, and glibc would wait for them. */
  if (aio_anchor_is_forked (anchor))
    {
      g_aligned_free (anchor);
      return;
    }
  pthread_cond_destroy (&anchor->run_ended);
  aio_home_clear (&anchor->home);
  anchor_free (anchor);
}

void
aio_anchor_report_fork (AioAnchor  *anchor,
                        const char *where)
{
  g_critical ("%s: AioContext “%s” was made before fork() and belongs to the parent process",
              where, anchor->name);
}

/* One millisecond from now, for who cannot have a barrier. */
static void
wait_a_moment (AioAnchor *anchor)
{
  struct timespec until;

  clock_gettime (CLOCK_REALTIME, &until);
  until.tv_nsec += G_TIME_SPAN_MILLISECOND * 1000;
  if (until.tv_nsec >= 1000000000)
    {
      until.tv_nsec -= 1000000000;
      until.tv_sec++;
    }
  pthread_cond_timedwait (&anchor->run_ended, &anchor->home.lock, &until);
}

/* Any thread but the home thread: waits until the outermost of the runs that are now in progress is
 * over; later runs are not waited for.
 *
 * Counting in, barrier in all threads, reading the run word; against aio_run_end()'s storing the
 * word and looking for waiters. Where the home thread stands when the membarrier hits it decides:
 * past its look, then its store is complete and we see the new epoch; before its look, then it sees
 * the count and takes the lock to tell us, which it gets only when we have begun to wait. */
void
aio_anchor_wait (AioAnchor         *anchor,
                 _Atomic (guint64) *run)
{
  guint64 begun = aio_load_acquire (run);
  gboolean barrier;

  if (AIO_RUN_DEPTH (begun) == 0)
    return;

  aio_home_lock (&anchor->home);
  aio_fetch_add_full (&anchor->n_waiters, 1);
  barrier = aio_membarrier ();
  while (AIO_RUN_EPOCH (aio_load_acquire (run)) == AIO_RUN_EPOCH (begun))
    {
      if (barrier)
        pthread_cond_wait (&anchor->run_ended, &anchor->home.lock);
      else
        wait_a_moment (anchor);
    }
  aio_fetch_sub_full (&anchor->n_waiters, 1);
  aio_home_unlock (&anchor->home);
}

/* Home thread: a run is over and somebody waits for one. */
void
aio_anchor_tell_waiters (AioAnchor *anchor)
{
  aio_home_lock (&anchor->home);
  pthread_cond_broadcast (&anchor->run_ended);
  aio_home_unlock (&anchor->home);
}
