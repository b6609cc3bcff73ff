/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What profiling asks of producers: when an entry was pushed, and how many schedules merged. It
 * costs others nothing: a push looks at a flag anyway, and takes the slow path when that is raised;
 * and a schedule exchanges a word for the state anyway. So here the flag is one that is always
 * raised, and the word is another one. */
#include <aioctx-gsource/aio-bh-watch-private.h>
#include <aioctx-gsource/aio-fork-private.h>
#include <aioctx-gsource/aio-oneshot-private.h>

_Atomic (guint64) aio_bh_mark = AIO_BH_NORMAL;

/* A flag that is always raised. Nobody writes it. */
static AioNotifyFlag always_asleep = AIO_NOTIFY_ASLEEP;

static pthread_mutex_t profiled_lock = PTHREAD_MUTEX_INITIALIZER;
static guint n_profiled;        /* under the lock: sets that are */

static void
lock_profiled (void)
{
  pthread_mutex_lock (&profiled_lock);
}

static void
unlock_profiled (void)
{
  pthread_mutex_unlock (&profiled_lock);
}

/* The child of a fork() gets the lock free. */
AIO_FORK_HANDLERS (lock_profiled, unlock_profiled, unlock_profiled)

/* Home thread. A push that still sees the other flag does what it must all the same: the raised one
 * leads to a look at the notifier, whose own flag is the other. */
void
aio_bh_set_choose_flag (AioBHSet *set)
{
  gboolean slow = set->watch != NULL || aio_meter_profiles (set->meter);

  aio_store_relaxed (&set->flag, slow ? &always_asleep : &set->anchor->notify.state);
}

/* Under the home lock. */
void
aio_bh_add_figures (AioBH *bh)
{
  AioBHFigures *figures = aio_load_relaxed (&bh->figures);

  if (figures == NULL)
    {
      /* Release: pairs with the acquire in aio_bh_stamp(). */
      aio_store_release (&bh->figures, g_new0 (AioBHFigures, 1));
      return;
    }
  aio_store_relaxed (&figures->scheduled_ns, 0);
  aio_store_relaxed (&figures->total_ns, 0);
  aio_store_relaxed (&figures->longest_ns, 0);
}

static void
begin_figures (AioBHSet *set)
{
  aio_home_lock (&set->anchor->home);
  for (AioBH *bh = set->first; bh != NULL; bh = bh->next)
    aio_bh_add_figures (bh);
  aio_home_unlock (&set->anchor->home);
  aio_store_relaxed (&set->n_scheduled, 0);
  aio_store_relaxed (&set->n_idle_merged, 0);
  aio_exchange_full (&set->anchor->n_merged, 0);
}

/* Home thread: the meter was switched. The word is one for the whole process, because whoever
 * schedules has no time to look whose bottom half it is. */
void
aio_bh_set_profile (AioBHSet *set,
                    gboolean  on)
{
  if (on)
    begin_figures (set);
  aio_bh_set_choose_flag (set);

  lock_profiled ();
  n_profiled += on ? 1 : -1;
  aio_store_relaxed (&aio_bh_mark, n_profiled != 0 ? AIO_BH_COUNTED : AIO_BH_NORMAL);
  unlock_profiled ();
}

/* Any thread; for a bottom half also a signal handler. The entry has its place and is not linked
 * yet, so it belongs to the caller, and the link publishes what is written here. */
void
aio_bh_stamp (AioEntry entry)
{
  AioBHFigures *figures;

  if (aio_entry_kind (entry) == AIO_ENTRY_ONESHOT)
    ((AioOneshot *) aio_entry_node (entry))->scheduled_ns = aio_meter_now ();
  else if ((figures = aio_load_acquire (&aio_entry_bh (entry)->figures)) != NULL)
    aio_store_relaxed (&figures->scheduled_ns, aio_meter_now ());
}
