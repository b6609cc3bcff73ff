/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The producers' side of bottom halves: what any thread, and mostly any signal handler, may do. */
#include <aioctx-gsource/aio-bh-watch-private.h>
#include <aioctx-gsource/aio-bh.h>
#include <aioctx-gsource/aio-boxed-private.h>
#include <aioctx-gsource/aio-fork-private.h>
#include <aioctx-gsource/aio-oneshot-private.h>
#include <aioctx-gsource/aio-trace-private.h>

/**
 * AioBH:
 *
 * A bottom half: a callback that is allocated once and then scheduled as often as you like.
 *
 * It belongs to one [struct@Aio.Context] for life and runs in that context's home thread. Schedules
 * that come before it has run merge into one run, which sees everything that was written before any
 * of them. Bottom halves run in the order in which they were scheduled.
 *
 * The context owns it from [ctor@Aio.BH.new] until [method@Aio.BH.delete] or its own end.
 * References only keep the pointer valid: a bottom half that was deleted, or whose context is gone,
 * is dead, and scheduling or cancelling it does nothing.
 *
 * Since: 1.0
 */
AIO_DEFINE_BOXED_TYPE (AioBH, aio_bh, aio_bh_ref, aio_bh_unref)

static inline gboolean
is_live (AioBH *bh)
{
  return aio_load_acquire (&bh->life) == AIO_BH_LIVE;
}

AioBH *
aio_bh_set_add (AioBHSet       *set,
                const char     *name,
                AioBHFunc       func,
                gpointer        data,
                GDestroyNotify  destroy)
{
  AioBH *bh = aio_bh_alloc ();

  aio_store_relaxed (&bh->refs, 1);
  bh->func = func;
  bh->data = data;
  bh->destroy = destroy;
  bh->name = g_intern_string (name);
  bh->set = set;
  bh->anchor = aio_anchor_ref (set->anchor);

  aio_home_lock (&set->anchor->home);
  bh->next = set->first;
  if (bh->next != NULL)
    bh->next->previous = bh;
  set->first = bh;
  if (aio_meter_profiles (set->meter))
    aio_bh_add_figures (bh);
  aio_home_unlock (&set->anchor->home);
  return bh;
}

/* Takes it out of the list of its set, the home lock being held. */
void
aio_bh_unlink_locked (AioBH *bh)
{
  if (bh->previous != NULL)
    bh->previous->next = bh->next;
  else
    bh->set->first = bh->next;
  if (bh->next != NULL)
    bh->next->previous = bh->previous;
}

/* The rest of a push that has found the flag raised: somebody sleeps, or wants to know who pushes
 * (see aio_bh_watch_push()) or when. */
static void G_GNUC_NO_INLINE
link_and_wake (AioBHSet     *set,
               AioNode      *former,
               AioNode      *node,
               AioEntryKind  kind)
{
  AioNotify *notify = &set->anchor->notify;
  gboolean wake;

  if (set->watch != NULL)
    aio_bh_watch_push ((AioEntry) node | kind);
  if (aio_meter_profiles (set->meter))
    aio_bh_stamp ((AioEntry) node | kind);
  wake = aio_notify_begin_wake (notify);
  if (wake)
    AIO_PAUSE (WAKER);
  aio_queue_link (former, node, kind);
  if (wake)
    aio_notify_finish_wake (notify);
}

/* The head has been swapped. The flag is looked at before the link is stored, because after that
 * neither the bottom half nor the set may be touched: the callback may have run and dropped the
 * last reference to both. The notifier may be touched by the one who is counted in as its waker. */
static inline void
finish_push (AioBHSet      *set,
             AioNotifyFlag *flag,
             AioNode       *former,
             AioNode       *node,
             AioEntryKind   kind)
{
  if (aio_notify_is_raised (flag))
    {
      link_and_wake (set, former, node, kind);
      return;
    }
  AIO_PAUSE (FLAG_SEEN);
  AIO_TRACE1 (notify__saved, set);
  aio_queue_link (former, node, kind);
}

/* Puts an entry into the queue. To be called by who turned the state from 0, and nobody else.
 * Wait-free: an exchange of the head, a load of the asleep flag and, once a sleep, the wakeup. */
void
aio_bh_push (AioBH *bh)
{
  AioBHSet *set = bh->set;
  AioNotifyFlag *flag = aio_load_relaxed (&set->flag);
  AioEntryKind kind = bh->turn ^= 1;
  AioNode *node = &bh->nodes[kind];

  finish_push (set, flag, aio_queue_swap (&set->queue, node), node, kind);
}

/* It was not 0, so there is an entry. Merged while somebody counts that (the exchange has wiped the
 * number of idle schedules, so they are counted here); or the entry now means more than when the
 * home thread looked at it before it went to sleep. The bottom half is not touched, because its
 * callback may have dropped the last reference, and has its address here for tracing only; anchors
 * are for ever. */
static void G_GNUC_NO_INLINE
meet_entry (AioBH     *bh,
            AioAnchor *anchor,
            guint64    old)
{
  gboolean merged = (old & AIO_BH_COUNTED) != 0;
  guint64 n_merged = old / AIO_BH_IDLE + merged;

  if (n_merged != 0 && aio_load_relaxed (&aio_bh_mark) == AIO_BH_COUNTED)
    {
      AIO_TRACE1 (coalesce, bh);
      aio_fetch_add_full (&anchor->n_merged, n_merged);
    }
  if (!merged)
    aio_notify_wake (&anchor->notify);
}

/**
 * aio_bh_schedule:
 * @bh: a bottom half
 *
 * Schedules a bottom half to run in its home thread.
 *
 * If it is pending already, nothing changes: it keeps its place. If it was scheduled with
 * [method@Aio.BH.schedule_idle] it becomes a normal one. A schedule that comes after the callback
 * has started causes one more run, in the next pass. What was written before this call is visible
 * to the run.
 *
 * Thread: any thread and signal handler. The caller must own @bh or keep a reference for the
 * duration of the call. Allocates nothing, takes no lock, never blocks, keeps errno, and is
 * wait-free on x86-64 and on aarch64 with LSE: one atomic operation if pending, else two, and one
 * write to a descriptor if the home thread sleeps.
 *
 * Since: 1.0
 */
void
aio_bh_schedule (AioBH *bh)
{
  AioAnchor *anchor;
  guint64 old;

  g_return_if_fail (bh != NULL);

  AIO_TRACE2 (schedule, bh, AIO_TRACE_IN_MEMORY (bh->name));
  /* Not 0 and not normal: the entry is in the queue already and now means more. It was cancelled or
   * idle when the home thread looked at it before it went to sleep. State first, flag second: the
   * exchange pairs with aio_notify_raise(), as a push does. */
  anchor = bh->anchor;
  old = aio_exchange_full (&bh->state, aio_load_relaxed (&aio_bh_mark));
  if (old & AIO_BH_NORMAL)
    return;
  if (old == 0)
    aio_bh_push (bh);
  else
    meet_entry (bh, anchor, old);
}

/**
 * aio_bh_schedule_idle:
 * @bh: a bottom half
 *
 * Schedules a bottom half to run when the loop goes round next, or 10 milliseconds from now at the
 * latest.
 *
 * Its run does not count as progress of [method@Aio.Context.poll]. If it is pending already,
 * nothing changes.
 *
 * Thread: any thread and signal handler. As for [method@Aio.BH.schedule].
 *
 * Since: 1.0
 */
void
aio_bh_schedule_idle (AioBH *bh)
{
  AioNotify *notify;
  guint64 old;

  g_return_if_fail (bh != NULL);

  AIO_TRACE2 (schedule, bh, AIO_TRACE_IN_MEMORY (bh->name));
  /* As in aio_bh_schedule(). */
  notify = &bh->anchor->notify;
  old = aio_fetch_add_full (&bh->state, AIO_BH_IDLE);
  if (old == 0)
    aio_bh_push (bh);
  else if (old == AIO_BH_HOLD)
    aio_notify_wake (notify);
}

/**
 * aio_bh_cancel:
 * @bh: a bottom half
 *
 * Undoes a schedule. Frees nothing; @bh can be scheduled again, and may then keep its former place.
 *
 * Thread: any thread and signal handler. As for [method@Aio.BH.schedule].
 *
 * Returns: whether it was pending
 *
 * Since: 1.0
 */
gboolean
aio_bh_cancel (AioBH *bh)
{
  guint64 old;

  g_return_val_if_fail (bh != NULL, FALSE);

  /* Acquire: if a pass has taken it, aio_bh_cancel_sync() must see that it is running. */
  if ((aio_load_acquire (&bh->state) & AIO_BH_PENDING) == 0 || !is_live (bh))
    return FALSE;
  old = aio_exchange_full (&bh->state, AIO_BH_HOLD);
  /* Taken in between: the state is ours now, and not 0, so there has to be an entry. */
  if (old == 0)
    aio_bh_push (bh);
  return (old & AIO_BH_PENDING) != 0;
}

/**
 * aio_bh_cancel_sync:
 * @bh: a bottom half
 *
 * Undoes a schedule, and waits until the runs that are in progress are over, at every nesting
 * depth. It does not wait for runs that begin later.
 *
 * In the home thread, and so inside the bottom half's own callback, it does not wait. Two callbacks
 * in two threads that do this to each other wait for ever.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: whether it was pending
 *
 * Since: 1.0
 */
gboolean
aio_bh_cancel_sync (AioBH *bh)
{
  gboolean pending;

  g_return_val_if_fail (bh != NULL, FALSE);
  if (!aio_anchor_is_usable (bh->anchor, G_STRFUNC))
    return FALSE;

  /* The exchange in here is ordered against the pass's exchange that releases the entry. Ours came
   * first: that run does not happen. Theirs came first: the run word, which was raised before, is
   * visible to us. */
  pending = aio_bh_cancel (bh);
  if (!aio_home_is_self (&bh->anchor->home))
    aio_anchor_wait (bh->anchor, &bh->run);
  return pending;
}

/* Home thread: the set gives up its reference; not before the tail of the queue has left the nodes,
 * if it is one of them. */
void
aio_bh_disown (AioBH *bh)
{
  AioBHSet *set = bh->set;

  if (set->queue.tail == &bh->nodes[0] || set->queue.tail == &bh->nodes[1])
    set->retired = (AioEntry) &bh->nodes[0] | AIO_ENTRY_BH_0;
  else
    aio_bh_unref (bh);
}

void
aio_bh_call_destroy (AioBH *bh)
{
  if (bh->destroy != NULL)
    bh->destroy (bh->data);
}

/* Home thread, or there is none; the home lock is held. Returns TRUE when the caller is to call the
 * destroy notify; on the stack it is left to the outermost run. */
static gboolean
delete_at_home_locked (AioBH *bh)
{
  gboolean on_stack = AIO_RUN_DEPTH (aio_load_relaxed (&bh->run)) != 0;

  aio_store_release (&bh->life, on_stack ? AIO_BH_DELETED : AIO_BH_DESTROYED);
  /* Not 0: there is an entry, and when it comes the bottom half is reaped. */
  bh->unqueued = aio_exchange_full (&bh->state, AIO_BH_NORMAL) == 0;
  if (bh->unqueued && !on_stack)
    {
      aio_bh_unlink_locked (bh);
      aio_bh_disown (bh);
    }
  return !on_stack;
}

/* Any other thread. The home thread has to do the rest, so there has to be an entry; it wakes. The
 * set cannot go away before that: it waits for the last of its entries. */
static void
delete_from_afar (AioBH *bh)
{
  if (aio_exchange_full (&bh->state, AIO_BH_NORMAL) == 0)
    aio_bh_push (bh);
  else
    aio_notify_wake (&bh->anchor->notify);
}

/**
 * aio_bh_delete:
 * @bh: a bottom half
 *
 * Ends a bottom half. It is cancelled, its destroy notify runs once, and the context gives up its
 * ownership. A second delete does nothing.
 *
 * On the home thread the callback does not start again after this call, and the destroy notify runs
 * before it returns; if @bh is on the stack (its callback deletes it, for instance) it runs when
 * the outermost run is over. From another thread a run that was taken from the queue already may
 * still start, and the destroy notify runs in the next pass, for which the home thread is woken.
 *
 * Thread: any thread. Not signal safe.
 *
 * Since: 1.0
 */
void
aio_bh_delete (AioBH *bh)
{
  AioHome *home;
  gboolean at_home, destroy = FALSE;

  g_return_if_fail (bh != NULL);
  if (!aio_anchor_is_usable (bh->anchor, G_STRFUNC))
    return;

  home = &bh->anchor->home;
  aio_bh_ref (bh);
  aio_home_lock (home);
  if (is_live (bh))
    {
      /* Without a home thread nobody iterates, and nobody can begin to while the lock is held. */
      at_home = aio_home_is_self (home) || aio_load_relaxed (&home->thread) == 0;
      if (at_home)
        destroy = delete_at_home_locked (bh);
      else
        {
          aio_store_release (&bh->life, AIO_BH_DELETED);
          delete_from_afar (bh);
        }
    }
  aio_home_unlock (home);
  if (destroy)
    aio_bh_call_destroy (bh);
  aio_bh_unref (bh);
}

/**
 * aio_bh_ref:
 * @bh: a bottom half
 *
 * Takes a reference. It keeps the pointer valid, also beyond the end of the context, but it does
 * not keep the bottom half from being deleted.
 *
 * Thread: any thread.
 *
 * Returns: (transfer full): @bh
 *
 * Since: 1.0
 */
AioBH *
aio_bh_ref (AioBH *bh)
{
  g_return_val_if_fail (bh != NULL, NULL);

  aio_fetch_add_full (&bh->refs, 1);
  return bh;
}

/**
 * aio_bh_unref:
 * @bh: (transfer full): a bottom half
 *
 * Drops a reference that was taken with [method@Aio.BH.ref]. The one that the context holds is
 * dropped by [method@Aio.BH.delete].
 *
 * Thread: any thread. Not signal safe.
 *
 * Since: 1.0
 */
void
aio_bh_unref (AioBH *bh)
{
  g_return_if_fail (bh != NULL);

  if (aio_fetch_sub_full (&bh->refs, 1) != 1)
    return;
  aio_anchor_unref (bh->anchor);
  g_free (aio_load_relaxed (&bh->figures));
  aio_bh_free (bh);
}

/**
 * aio_bh_is_scheduled:
 * @bh: a bottom half
 *
 * Asks whether a run is due, normal or idle. The answer is a snapshot: other threads go on.
 *
 * Thread: any thread.
 *
 * Returns: whether @bh is pending
 *
 * Since: 1.0
 */
gboolean
aio_bh_is_scheduled (AioBH *bh)
{
  g_return_val_if_fail (bh != NULL, FALSE);
  if (!aio_anchor_is_usable (bh->anchor, G_STRFUNC))
    return FALSE;

  return is_live (bh) && (aio_load_acquire (&bh->state) & AIO_BH_PENDING) != 0;
}

/**
 * aio_bh_get_name:
 * @bh: a bottom half
 *
 * Gets the name that reports use: what [ctor@Aio.BH.new_full] was given, or the name of the
 * callback.
 *
 * Thread: any thread.
 *
 * Returns: (transfer none): the name
 *
 * Since: 1.0
 */
const char *
aio_bh_get_name (AioBH *bh)
{
  g_return_val_if_fail (bh != NULL, NULL);

  return bh->name;
}

static AioOneshot *
oneshot_new (const char     *name,
             AioBHFunc       func,
             gpointer        data,
             GDestroyNotify  destroy)
{
  AioOneshot *oneshot = aio_oneshot_alloc ();

  oneshot->func = func;
  oneshot->data = data;
  oneshot->destroy = destroy;
  oneshot->u.name = name;
  oneshot->scheduled_ns = 0;
  return oneshot;
}

/* The name must live for ever. */
void
aio_bh_set_add_oneshot (AioBHSet       *set,
                        const char     *name,
                        AioBHFunc       func,
                        gpointer        data,
                        GDestroyNotify  destroy)
{
  AioOneshot *oneshot = oneshot_new (name, func, data, destroy);
  AioNode *former;

  AIO_TRACE2 (schedule, NULL, name);
  former = aio_queue_swap (&set->queue, &oneshot->node);
  finish_push (set, aio_load_relaxed (&set->flag), former, &oneshot->node, AIO_ENTRY_ONESHOT);
}

/* As a one-shot, but exact about the end: after the swap, and before the link makes the entry
 * reachable, it looks whether the set was closed. Swap and look are full and so is closing, before
 * which nobody swaps the marker (see aio_bh_set_end_with()). Not closed: the swap came before the
 * closing, the entry is in the queue before the marker, and will run. Closed: nobody else can see
 * the entry yet, so it is withdrawn, and what is linked is an empty one. */
gboolean
aio_bh_set_post (AioBHSet       *set,
                 AioBHFunc       func,
                 gpointer        data,
                 GDestroyNotify  destroy)
{
  AioOneshot *oneshot = oneshot_new (NULL, func, data, destroy);
  AioNode *former;
  gboolean closed;

  AIO_TRACE2 (schedule, NULL, NULL);
  former = aio_queue_swap (&set->queue, &oneshot->node);
  closed = aio_load_full (&set->closed);
  if (G_UNLIKELY (closed))
    {
      oneshot->func = NULL;
      oneshot->destroy = NULL;
    }
  finish_push (set, aio_load_relaxed (&set->flag), former, &oneshot->node, AIO_ENTRY_ONESHOT);
  if (closed && destroy != NULL)
    destroy (data);
  return !closed;
}

/* Any thread: calls a destroy notify in the home thread, in the next pass. */
void
aio_bh_set_add_disposal (AioBHSet       *set,
                         GDestroyNotify  destroy,
                         gpointer        data)
{
  aio_bh_set_add_oneshot (set, NULL, NULL, data, destroy);
}

/* Refuses posts from now on, and queues func behind all that was scheduled or posted before; a
 * shuffle does not change that. Pairs with aio_bh_set_post(). */
void
aio_bh_set_end_with (AioBHSet  *set,
                     AioBHFunc  func,
                     gpointer   data)
{
  guint64 producer;

  aio_exchange_full (&set->closed, TRUE);
  producer = aio_bh_declare_producer (AIO_PRODUCER_FENCE);
  aio_bh_set_add_oneshot (set, "end of the I/O thread", func, data, NULL);
  aio_bh_declare_producer (producer);
}
