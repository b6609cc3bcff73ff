/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The home thread's side of bottom halves: looking, running, reaping. Everything here is for the
 * home thread, or for the one that finalises the context. */
#include <aioctx-gsource/aio-bh-watch-private.h>
#include <aioctx-gsource/aio-bh.h>
#include <aioctx-gsource/aio-fork-private.h>
#include <aioctx-gsource/aio-oneshot-private.h>
#include <aioctx-gsource/aio-trace-private.h>

#include <sched.h>

/* How long a pass waits for a producer that has swapped the head and not yet stored the link: it
 * needs a few nanoseconds, unless it was preempted just there. (A test that goes through all orders
 * of all steps asks for less.) */
#ifndef AIO_LINK_SPINS
#define AIO_LINK_SPINS  64
#define AIO_LINK_YIELDS 32
#endif

void
aio_bh_set_init (AioBHSet   *set,
                 AioAnchor  *anchor,
                 AioContext *context,
                 AioMeter   *meter)
{
  set->anchor = anchor;
  set->context = context;
  set->meter = meter;
  aio_bh_set_choose_flag (set);
  aio_queue_init (&set->queue);
}

static inline AioOneshot *
entry_oneshot (AioEntry entry)
{
  return (AioOneshot *) aio_entry_node (entry);
}

/* The tail has moved on: nothing leads to the node that was there any more. */
static void
free_retired (AioBHSet *set)
{
  AioEntry retired = set->retired;

  set->retired = 0;
  if (aio_entry_kind (retired) == AIO_ENTRY_ONESHOT)
    aio_oneshot_free (entry_oneshot (retired));
  else
    aio_bh_unref (aio_entry_bh (retired));
}

/* The tail has moved on to this entry. It may be the last one of passes that wait further out on
 * the stack; they learn it here. A one-shot is retired at once: it goes with the next entry. */
static void
note_taken (AioBHSet *set,
            AioEntry  entry)
{
  for (AioPass *pass = set->passes; pass != NULL; pass = pass->outer)
    if (pass->last == aio_entry_node (entry))
      pass->done = TRUE;
  if (set->retired != 0)
    free_retired (set);
  if (aio_entry_kind (entry) == AIO_ENTRY_ONESHOT)
    set->retired = entry;
}

/* Takes the next entry. */
static AioEntry
take_entry (AioBHSet *set)
{
  AioEntry entry = aio_queue_pop (&set->queue);

  if (entry != 0)
    note_taken (set, entry);
  return entry;
}

/* A deleted bottom half is not on the stack (any more): what is left to do for it. */
static void
settle_deleted (AioBH *bh)
{
  AioHome *home = &bh->anchor->home;
  gboolean destroy = aio_load_acquire (&bh->life) == AIO_BH_DELETED;
  gboolean unqueued = bh->unqueued;

  if (destroy)
    aio_store_release (&bh->life, AIO_BH_DESTROYED);
  if (unqueued)
    {
      aio_home_lock (home);
      aio_bh_unlink_locked (bh);
      aio_home_unlock (home);
    }
  if (destroy)
    aio_bh_call_destroy (bh);
  if (unqueued)
    aio_bh_disown (bh);
}

/* Its entry has been taken: releases it, and tells what was due. From the exchange on it may be
 * scheduled anew.
 *
 * Deleted before the exchange: this was its last entry, and the state stays set for ever. Deleted
 * around the exchange: either nobody has claimed it since, then this was the last entry; or
 * somebody has, then one more is coming and the rest is done when it comes. */
static guint64
release (AioBH *bh)
{
  guint64 state;

  if (aio_load_acquire (&bh->life) == AIO_BH_LIVE)
    {
      state = aio_exchange_full (&bh->state, 0);
      if (aio_load_acquire (&bh->life) == AIO_BH_LIVE)
        return state;
      if (aio_exchange_full (&bh->state, AIO_BH_NORMAL) != 0)
        return 0;
    }
  bh->unqueued = TRUE;
  return 0;
}

/* Before the entry is released: after that somebody may push it anew, and stamp it. */
static gint64
take_stamp (AioBH *bh)
{
  AioBHFigures *figures = aio_load_relaxed (&bh->figures);
  gint64 scheduled_ns;

  if (figures == NULL)
    return 0;
  scheduled_ns = aio_load_relaxed (&figures->scheduled_ns);
  aio_store_relaxed (&figures->scheduled_ns, 0);
  return scheduled_ns;
}

/* An entry stands for one schedule, and for those that merged with it. Of the idle ones the state
 * has the number. */
static void
count_schedules (AioBHSet *set,
                 guint64   state)
{
  guint64 n_idle = state / AIO_BH_IDLE;

  aio_count (&set->n_scheduled, 1);
  if (n_idle != 0)
    aio_count (&set->n_idle_merged, state & AIO_BH_BUSY ? n_idle : n_idle - 1);
}

/* The figures stay as long as the bottom half, which is running. */
static void G_GNUC_NO_INLINE
call_measured (AioBHSet *set,
               AioBH    *bh,
               guint64   state,
               gint64    scheduled_ns)
{
  AioWork work = { "bottom half", bh->name, bh->func, -1 };
  AioBHFigures *figures = aio_load_relaxed (&bh->figures);
  gint64 began;
  gint64 ran;

  count_schedules (set, state);
  began = aio_meter_begin (set->meter, scheduled_ns);
  bh->func (bh->data);
  ran = aio_meter_end (set->meter, &work, began);
  if (figures == NULL)
    return;
  aio_count (&figures->total_ns, ran);
  if (ran > aio_load_relaxed (&figures->longest_ns))
    aio_store_relaxed (&figures->longest_ns, ran);
}

/* The run is counted before the entry is released: who cancels after the release must see that it
 * runs. The callback may delete the bottom half, which stays until the outermost run is over. */
static void
run_bh (AioBHSet      *set,
        AioBH         *bh,
        AioPassResult *result)
{
  gboolean measured = aio_meter_is_on (set->meter);
  gint64 scheduled_ns = measured ? take_stamp (bh) : 0;
  guint64 state;

  aio_run_begin (&bh->run);
  AIO_PAUSE (RUN_BEGUN);
  state = release (bh);
  AIO_PAUSE (RELEASED);
  if (state & AIO_BH_PENDING)
    {
      result->n_runs++;
      result->progress |= (state & AIO_BH_BUSY) != 0;
      AIO_TRACE1 (bh__begin, bh->name);
      if (measured)
        call_measured (set, bh, state, scheduled_ns);
      else
        bh->func (bh->data);
      AIO_TRACE1 (bh__end, bh->name);
    }
  else
    aio_count (&set->n_cancels, 1);
  if (aio_run_end (&bh->run, set->anchor) && aio_load_acquire (&bh->life) != AIO_BH_LIVE)
    settle_deleted (bh);
}

static AioWork
work_of_oneshot (const AioOneshot *oneshot)
{
  return (AioWork) { "one-shot", oneshot->u.name, aio_bh_watch_func (oneshot), -1 };
}

static void G_GNUC_NO_INLINE
call_oneshot_measured (AioBHSet         *set,
                       const AioOneshot *oneshot)
{
  AioWork work = work_of_oneshot (oneshot);
  AioBHFunc func = oneshot->func;
  gpointer data = oneshot->data;
  gint64 began;

  aio_count (&set->n_scheduled, 1);
  began = aio_meter_begin (set->meter, oneshot->scheduled_ns);
  func (data);
  aio_meter_end (set->meter, &work, began);
}

/* A nested pass inside the callback frees the one-shot, so everything is read before. */
static void
run_oneshot (AioBHSet      *set,
             AioOneshot    *oneshot,
             AioPassResult *result)
{
  AioBHFunc func = oneshot->func;
  gpointer data = oneshot->data;
  GDestroyNotify destroy = oneshot->destroy;
  const char *name = oneshot->u.name;

  if (func != NULL)
    {
      result->n_runs++;
      result->progress = TRUE;
      AIO_TRACE1 (bh__begin, name);
      if (aio_meter_is_on (set->meter))
        call_oneshot_measured (set, oneshot);
      else
        func (data);
      AIO_TRACE1 (bh__end, name);
    }
  if (destroy != NULL)
    destroy (data);
}

static void
run_entry (AioBHSet      *set,
           AioEntry       entry,
           AioPassResult *result)
{
  result->n_entries++;
  if (aio_entry_kind (entry) == AIO_ENTRY_ONESHOT)
    run_oneshot (set, entry_oneshot (entry), result);
  else
    run_bh (set, aio_entry_bh (entry), result);
}

/* There is an entry behind the tail, but its link is missing. Gives the producer some time; FALSE
 * when that was not enough: the caller comes back later, and must not sleep for ever. */
static gboolean
wait_for_link (AioBHSet *set)
{
  for (guint i = 0; i < AIO_LINK_SPINS + AIO_LINK_YIELDS; i++)
    {
      if (aio_queue_next (set->queue.tail) != 0)
        return TRUE;
      if (i < AIO_LINK_SPINS)
        aio_cpu_relax ();
      else
        sched_yield ();
    }
  return FALSE;
}

static void
count_pass (AioBHSet            *set,
            const AioPassResult *result)
{
  if (result->n_entries != 0)
    aio_count (&set->n_passes, 1);
  aio_count (&set->n_runs, result->n_runs);
  if (result->n_runs > aio_load_relaxed (&set->max_depth))
    aio_store_relaxed (&set->max_depth, result->n_runs);
}

/* One pass: runs what was in the queue when it began, oldest first. What is scheduled meanwhile
 * comes behind the last entry and is left to the next pass. What an interrupted pass further out
 * has left is at the front of the queue, so a nested pass goes on with it by itself; and so does
 * the next pass with what the end of a turn has left. */
AioPassResult
aio_bh_set_run (AioBHSet *set,
                AioTurn  *turn)
{
  AioPassResult result = { 0, 0, FALSE };
  AioPass pass = { set->passes, NULL, FALSE, FALSE };

  if (G_UNLIKELY (set->watch != NULL))
    aio_bh_watch_arrange (set);
  pass.last = aio_load_full (&set->queue.head);
  if (pass.last == set->queue.tail)
    return result;

  set->passes = &pass;
  while (!pass.done && aio_turn_goes_on (turn))
    {
      AioEntry entry = take_entry (set);

      if (entry != 0)
        run_entry (set, entry, &result);
      else if (!wait_for_link (set))
        break;
    }
  set->passes = pass.outer;
  result.progress |= pass.progress;
  if (pass.outer != NULL)
    pass.outer->progress |= result.progress;
  count_pass (set, &result);
  return result;
}

/* In a callback: every pass that is on the stack ends when the callback returns. */
void
aio_bh_set_end_passes (AioBHSet *set)
{
  for (AioPass *pass = set->passes; pass != NULL; pass = pass->outer)
    pass->done = TRUE;
}

/* Deleted by another thread, and the next pass has to call its destroy notify. On the stack it is
 * the outermost run that has to. */
static gboolean
owes_destroy (AioBH *bh)
{
  return aio_load_acquire (&bh->life) == AIO_BH_DELETED &&
         AIO_RUN_DEPTH (aio_load_relaxed (&bh->run)) == 0;
}

/* A post that came too late. An entry without a function that is not withdrawn has something to
 * destroy. */
static gboolean
is_withdrawn (AioOneshot *oneshot)
{
  return oneshot->func == NULL && oneshot->destroy == NULL;
}

/* What the entry asks for. */
static AioLook
entry_due (AioEntry entry)
{
  AioBH *bh;
  guint64 state;

  if (aio_entry_kind (entry) == AIO_ENTRY_ONESHOT)
    return is_withdrawn (entry_oneshot (entry)) ? AIO_LOOK_NOTHING : AIO_LOOK_WORK;

  bh = aio_entry_bh (entry);
  if (owes_destroy (bh))
    return AIO_LOOK_WORK;
  if (aio_load_acquire (&bh->life) != AIO_BH_LIVE)
    return AIO_LOOK_NOTHING;

  /* Full: pairs with aio_bh_schedule(), by way of the notifier. */
  state = aio_load_full (&bh->state);
  if (state & AIO_BH_BUSY)
    return AIO_LOOK_WORK;
  return state & AIO_BH_PENDING ? AIO_LOOK_IDLE : AIO_LOOK_NOTHING;
}

/* The entry at the front has nothing to run and no destroy notify to call. Takes it, if that is
 * still so: it would stay until the next pass, which may be never. Calls nothing of the user's. */
static gboolean
sweep_front (AioBHSet *set,
             AioEntry  entry)
{
  guint64 hold = AIO_BH_HOLD;
  AioNode *former = set->queue.tail;
  AioBH *bh;

  if (aio_entry_kind (entry) == AIO_ENTRY_ONESHOT)
    return take_entry (set) != 0;

  bh = aio_entry_bh (entry);
  if (aio_load_acquire (&bh->life) == AIO_BH_LIVE)
    {
      /* The tail moves first: once the state is 0 a producer may push the other node, and that may
       * be the one that was the tail. If the state has changed, nothing has happened: as long as it
       * is not 0 nobody pushes, so the former tail still leads here. */
      set->queue.tail = aio_entry_node (entry);
      if (!aio_compare_and_swap_full (&bh->state, &hold, 0))
        {
          set->queue.tail = former;
          return FALSE;
        }
      aio_count (&set->n_cancels, 1);
      note_taken (set, entry);
      return TRUE;
    }
  if (owes_destroy (bh))
    return FALSE;
  take_entry (set);
  bh->unqueued = TRUE;
  if (AIO_RUN_DEPTH (aio_load_relaxed (&bh->run)) == 0)
    settle_deleted (bh);
  return TRUE;
}

/* Is there anything to run, up to the entry that is now the youngest? Runs nothing. */
AioLook
aio_bh_set_look (AioBHSet *set)
{
  AioNode *last = aio_load_full (&set->queue.head);
  AioNode *node = set->queue.tail;
  AioLook found = AIO_LOOK_NOTHING;

  while (node != last)
    {
      AioEntry entry = aio_queue_next (node);
      AioLook due;

      if (entry == 0)
        return AIO_LOOK_HOLE;
      due = entry_due (entry);
      if (due == AIO_LOOK_WORK)
        return due;
      found = MAX (found, due);
      if (due != AIO_LOOK_NOTHING || node != set->queue.tail)
        node = aio_entry_node (entry);
      else if (sweep_front (set, entry))
        node = set->queue.tail;
    }
  return found;
}

static AioWork
work_of (AioEntry entry)
{
  AioBH *bh;

  if (aio_entry_kind (entry) == AIO_ENTRY_ONESHOT)
    return work_of_oneshot (entry_oneshot (entry));
  bh = aio_entry_bh (entry);
  return (AioWork) { "bottom half", bh->name, bh->func, -1 };
}

/* Home thread. Finds what the next pass begins with: the oldest that is normal, else the oldest
 * idle one. */
gboolean
aio_bh_set_peek (AioBHSet *set,
                 AioWork  *work)
{
  AioLook best = AIO_LOOK_NOTHING;

  for (AioEntry entry = aio_queue_next (set->queue.tail);
       entry != 0 && best != AIO_LOOK_WORK;
       entry = aio_queue_next (aio_entry_node (entry)))
    {
      AioLook due = entry_due (entry);

      if (due <= best)
        continue;
      best = due;
      *work = work_of (entry);
    }
  return best != AIO_LOOK_NOTHING;
}

static void
name_all_locked (AioBHSet *set,
                 GString  *names)
{
  for (AioBH *bh = set->first; bh != NULL; bh = bh->next)
    if (aio_load_relaxed (&bh->life) == AIO_BH_LIVE)
      g_string_append_printf (names, "%s%s", names->len != 0 ? ", " : "", bh->name);
}

/* Any thread. Those that were not deleted. */
void
aio_bh_set_name_all (AioBHSet *set,
                     GString  *names)
{
  aio_home_lock (&set->anchor->home);
  name_all_locked (set, names);
  aio_home_unlock (&set->anchor->home);
}

/* The context ends: deletes what is left, as if the owner had done it just now, and names it. */
void
aio_bh_set_close (AioBHSet *set,
                  GString  *names)
{
  aio_exchange_full (&set->closed, TRUE);
  aio_home_lock (&set->anchor->home);
  name_all_locked (set, names);
  for (AioBH *bh = set->first; bh != NULL; bh = bh->next)
    {
      if (aio_load_relaxed (&bh->life) != AIO_BH_LIVE)
        continue;
      aio_store_release (&bh->life, AIO_BH_DELETED);
      bh->unqueued = aio_exchange_full (&bh->state, AIO_BH_NORMAL) == 0;
    }
  aio_home_unlock (&set->anchor->home);
}

/* Ends all entries that can be reached without running any callback but destroy notifies. */
static void
drop_entries (AioBHSet *set)
{
  AioEntry entry;

  while ((entry = take_entry (set)) != 0)
    {
      if (aio_entry_kind (entry) == AIO_ENTRY_ONESHOT)
        {
          AioOneshot *oneshot = entry_oneshot (entry);

          if (oneshot->destroy != NULL)
            oneshot->destroy (oneshot->data);
        }
      else
        {
          aio_entry_bh (entry)->unqueued = TRUE;
          settle_deleted (aio_entry_bh (entry));
        }
    }
}

/* Ends a bottom half without an entry, if there is one. */
static gboolean
drop_one_unqueued (AioBHSet *set)
{
  AioBH *bh;

  aio_home_lock (&set->anchor->home);
  for (bh = set->first; bh != NULL && !bh->unqueued; bh = bh->next)
    ;
  aio_home_unlock (&set->anchor->home);
  if (bh != NULL)
    settle_deleted (bh);
  return bh != NULL;
}

static gboolean
is_all_gone (AioBHSet *set)
{
  gboolean gone;

  aio_home_lock (&set->anchor->home);
  gone = set->first == NULL && aio_queue_is_empty (&set->queue);
  aio_home_unlock (&set->anchor->home);
  return gone;
}

/* After that: bottom halves, one-shots and posts are dropped, each with its destroy notify. Then it
 * waits for the entries that are on their way: of a schedule in another thread that has claimed a
 * bottom half but not yet pushed it (who did that may hold a reference to the bottom half, but none
 * to us). In a forked child those threads do not exist. */
void
aio_bh_set_drop_all (AioBHSet *set)
{
  /* In a forked child there may be some, on the stack of a thread that does not exist. */
  set->passes = NULL;
  for (;;)
    {
      drop_entries (set);
      while (drop_one_unqueued (set))
        ;
      if (is_all_gone (set) || aio_anchor_is_forked (set->anchor))
        break;
      g_usleep (10);
    }
  if (set->retired != 0)
    free_retired (set);
  if (set->watch != NULL)
    aio_bh_watch_free (set->watch);
}
