/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-timer-private.h>
#include <aioctx-gsource/aio-boxed-private.h>
#include <aioctx-gsource/aio-patience-private.h>
#include <aioctx-gsource/aio-timer-heap-private.h>
#include <aioctx-gsource/aio-trace-private.h>

#include <time.h>

#define NSEC_PER_SEC G_GINT64_CONSTANT (1000000000)

static AioTimer *timer_copy (AioTimer *timer);

AIO_DEFINE_BOXED_TYPE (AioTimer, aio_timer, timer_copy, aio_timer_free)

static inline AioTimerNode *
node_of (AioTimer *timer)
{
  return (AioTimerNode *) timer;
}

/* --- The set ---------------------------------------------------------------------------------- */

AioTimerSet *
aio_timer_set_new (AioAnchor *anchor,
                   AioMeter  *meter)
{
  AioTimerSet *set = g_new0 (AioTimerSet, 1);

  set->anchor = aio_anchor_ref (anchor);
  set->meter = meter;
  aio_store_relaxed (&set->refs, 1);
  for (guint clock = 0; clock < AIO_N_CLOCKS; clock++)
    aio_store_relaxed (&set->earliest[clock], AIO_TIMER_NEVER);
  pthread_mutex_init (&set->lock, NULL);
  pthread_cond_init (&set->run_ended, NULL);
  return set;
}

void
aio_timer_set_unref (AioTimerSet *set)
{
  if (aio_fetch_sub_full (&set->refs, 1) != 1)
    return;
  /* In a forked child threads of the parent may wait for ever, and glibc would wait for them. */
  if (!aio_anchor_is_forked (set->anchor))
    {
      pthread_cond_destroy (&set->run_ended);
      pthread_mutex_destroy (&set->lock);
    }
  aio_anchor_unref (set->anchor);
  g_free (set);
}

/* In a forked child the lock may be held for ever by a thread that exists in the parent only. */
static void
lock (AioTimerSet *set)
{
  if (!aio_anchor_is_forked (set->anchor))
    pthread_mutex_lock (&set->lock);
}

static void
unlock (AioTimerSet *set)
{
  if (!aio_anchor_is_forked (set->anchor))
    pthread_mutex_unlock (&set->lock);
}

gint64
aio_timer_set_now (AioTimerSet *set,
                   AioClock     clock)
{
  static const clockid_t ids[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME };
  struct timespec ts;

  if (clock == AIO_CLOCK_VIRTUAL)
    return aio_load_acquire (&set->virtual_now);
  clock_gettime (ids[clock], &ts);
  return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* Home thread. Makes timers due and wakes nobody: who moves the clock iterates the context. The
 * release pairs with the acquire in aio_timer_set_now(). */
void
aio_timer_set_move_clock (AioTimerSet *set,
                          gint64       now)
{
  aio_store_release (&set->virtual_now, now);
}

static void
publish_earliest (AioTimerSet *set,
                  guint        clock)
{
  AioTimerNode *first = set->heaps[clock];
  gint64 earliest = first != NULL ? first->deadline : AIO_TIMER_NEVER;

  /* Full: pairs with the look behind the raise in aio_context_park(). Who comes earlier stores here
   * and looks at the flag in aio_notify_wake(). Later ones wake nobody. */
  if (earliest < aio_load_relaxed (&set->earliest[clock]))
    aio_exchange_full (&set->earliest[clock], earliest);
  else
    aio_store_release (&set->earliest[clock], earliest);
}

static void
append_due (AioTimerSet  *set,
            AioTimerNode *timer)
{
  timer->state = AIO_TIMER_DUE;
  timer->next = NULL;
  timer->previous = set->last_due;
  if (set->last_due != NULL)
    set->last_due->next = timer;
  else
    set->first_due = timer;
  set->last_due = timer;
  aio_count (&set->n_due, 1);
}

static void
remove_due (AioTimerSet  *set,
            AioTimerNode *timer)
{
  if (timer->previous != NULL)
    timer->previous->next = timer->next;
  else
    set->first_due = timer->next;
  if (timer->next != NULL)
    timer->next->previous = timer->previous;
  else
    set->last_due = timer->previous;
  aio_count (&set->n_due, -1);
}

static void
insert_locked (AioTimerSet  *set,
               AioTimerNode *timer,
               gint64        deadline)
{
  timer->deadline = MAX (deadline, 0);
  timer->order = set->n_armed_ever++;
  timer->state = AIO_TIMER_ARMED;
  aio_timer_heap_insert (&set->heaps[timer->clock], timer);
  publish_earliest (set, timer->clock);
}

/* Returns whether it was armed. */
static gboolean
disarm_locked (AioTimerSet  *set,
               AioTimerNode *timer)
{
  AioTimerState state = timer->state;

  timer->state = AIO_TIMER_IDLE;
  if (state == AIO_TIMER_DUE)
    remove_due (set, timer);
  else if (state == AIO_TIMER_ARMED)
    {
      aio_timer_heap_remove (&set->heaps[timer->clock], timer);
      publish_earliest (set, timer->clock);
    }
  return state != AIO_TIMER_IDLE;
}

/* --- Running, in the home thread -------------------------------------------------------------- */

/* Those that are due go to a list before any of them runs: a timer that is armed by a callback,
 * with whatever deadline, is left to the next pass; and the list is there for nested passes. */
static void
collect_due_locked (AioTimerSet *set)
{
  for (guint clock = 0; clock < AIO_N_CLOCKS; clock++)
    {
      gint64 now;

      if (set->heaps[clock] == NULL)
        continue;
      now = aio_timer_set_now (set, clock);
      while (set->heaps[clock] != NULL && set->heaps[clock]->deadline <= now)
        {
          AioTimerNode *timer = set->heaps[clock];

          aio_timer_heap_remove (&set->heaps[clock], timer);
          append_due (set, timer);
        }
      publish_earliest (set, clock);
    }
}

/* Home thread. Finds one that is due now, the longest one first; the system is asked. */
gboolean
aio_timer_set_peek (AioTimerSet *set,
                    AioWork     *work)
{
  AioTimerNode *timer;

  lock (set);
  timer = set->first_due;
  for (guint clock = 0; clock < AIO_N_CLOCKS && timer == NULL; clock++)
    if (set->heaps[clock] != NULL &&
        set->heaps[clock]->deadline <= aio_timer_set_now (set, clock))
      timer = set->heaps[clock];
  if (timer != NULL)
    *work = (AioWork) { "timer", timer->name, timer->func, -1 };
  unlock (set);
  return timer != NULL;
}

static gboolean
is_running_locked (AioTimerSet        *set,
                   const AioTimerNode *timer)
{
  for (AioTimerRun *run = set->runs; run != NULL; run = run->outer)
    if (run->timer == timer)
      return TRUE;
  return FALSE;
}

/* Takes it out of the list of those on the heap, if it is still there. */
static void
unlink_all (AioTimerSet  *set,
            AioTimerNode *timer)
{
  if (timer->all_previous == NULL && set->all != timer)
    return;
  if (timer->all_previous != NULL)
    timer->all_previous->all_next = timer->all_next;
  else
    set->all = timer->all_next;
  if (timer->all_next != NULL)
    timer->all_next->all_previous = timer->all_previous;
  timer->all_next = timer->all_previous = NULL;
}

/* One on the heap that has been deleted, and does not run. If it was not freed, then its destroy
 * notify may do that. */
static void
finish (AioTimerNode *timer,
        gboolean      freed)
{
  AioTimerSet *set = timer->set;
  GDestroyNotify destroy = timer->destroy;

  timer->destroy = NULL;
  if (destroy != NULL)
    destroy (timer->data);
  if (!freed)
    return;
  g_free (timer);
  aio_timer_set_unref (set);
}

static gint64
call_measured (AioTimerSet   *set,
               const AioWork *work,
               gpointer       data)
{
  AioTimerFunc func = work->func;
  gint64 began = aio_meter_begin (set->meter, 0);

  func (data);
  return aio_meter_end (set->meter, work, began);
}

/* The timer may be gone when the callback returns; what the set knows of it is in the run. */
static void
call_locked (AioTimerSet  *set,
             AioTimerNode *timer)
{
  AioTimerRun run = { set->runs, timer, timer, ++set->n_runs };
  AioTimerNode *ended = NULL;
  gboolean freed;
  AioTimerFunc func = timer->func;
  gpointer data = timer->data;

  AioWork work = { "timer", timer->name, func, -1 };
  gint64 ran = 0;

  AIO_TRACE3 (timer, timer->name, timer->deadline, timer->clock);
  remove_due (set, timer);
  timer->state = AIO_TIMER_IDLE;
  timer->n_runs++;
  set->runs = &run;
  unlock (set);

  if (aio_meter_is_on (set->meter))
    ran = call_measured (set, &work, data);
  else
    func (data);

  lock (set);
  set->runs = run.outer;
  if (run.timer != NULL)
    run.timer->longest_ns = MAX (run.timer->longest_ns, ran);
  if (set->n_waiters != 0)
    pthread_cond_broadcast (&set->run_ended);
  if (run.timer != NULL && run.timer->dead && !is_running_locked (set, run.timer))
    ended = run.timer;
  if (ended == NULL)
    return;
  freed = ended->freed;
  unlock (set);
  finish (ended, freed);
  lock (set);
}

/* Calls all that are due, or as many as the turn allows; returns how many. */
guint
aio_timer_set_run (AioTimerSet *set,
                   AioTurn     *turn)
{
  guint n = 0;

  lock (set);
  collect_due_locked (set);
  while (set->first_due != NULL && aio_turn_goes_on (turn))
    {
      call_locked (set, set->first_due);
      n++;
      if (aio_anchor_is_forked (set->anchor))
        break;
    }
  unlock (set);
  return n;
}

/* --- The end of the context ------------------------------------------------------------------- */

static const char *
clock_name (guint clock)
{
  static const char *names[] = { "monotonic", "boottime", "realtime", "virtual" };

  return names[clock];
}

static void
append_name (GString      *names,
             AioTimerNode *timer)
{
  if (names->len != 0)
    g_string_append (names, ", ");
  if (timer->name != NULL)
    g_string_append_printf (names, "timer “%s”", timer->name);
  else
    g_string_append_printf (names, "timer %p", (gpointer) timer);
  g_string_append_printf (names, " (%s)", clock_name (timer->clock));
}

/* The context ends: disarms all for good, and names those that should not be there any more: the
 * ones on the heap, and embedded ones that are armed (of others nobody here knows). */
void
aio_timer_set_close (AioTimerSet *set,
                     GString     *names)
{
  AioTimerNode *timer;

  lock (set);
  set->closed = TRUE;
  for (timer = set->all; timer != NULL; timer = timer->all_next)
    append_name (names, timer);
  for (guint clock = 0; clock < AIO_N_CLOCKS; clock++)
    while ((timer = set->heaps[clock]) != NULL || (timer = set->first_due) != NULL)
      {
        if (!timer->on_heap)
          append_name (names, timer);
        disarm_locked (set, timer);
      }
  unlock (set);
}

/* After that: the destroy notifies of timers on the heap. Their memory goes with aio_timer_free(),
 * which may come at any time. */
void
aio_timer_set_drop_all (AioTimerSet *set)
{
  AioTimerNode *timer;

  lock (set);
  while ((timer = set->all) != NULL)
    {
      GDestroyNotify destroy = timer->destroy;
      gpointer data = timer->data;

      unlink_all (set, timer);
      timer->destroy = NULL;
      unlock (set);
      if (destroy != NULL)
        destroy (data);
      lock (set);
    }
  unlock (set);
}

/* --- Looking ---------------------------------------------------------------------------------- */

static void
visit_heap (AioTimerNode    *root,
            AioTimerVisitor  visit,
            gpointer         data)
{
  GPtrArray *todo = g_ptr_array_new ();

  g_ptr_array_add (todo, root);
  while (todo->len != 0)
    {
      AioTimerNode *timer = g_ptr_array_steal_index_fast (todo, todo->len - 1);

      if (timer == NULL)
        continue;
      visit (data, timer);
      g_ptr_array_add (todo, timer->next);
      g_ptr_array_add (todo, timer->child);
    }
  g_ptr_array_unref (todo);
}

/* How many callbacks have been called so far. */
guint64
aio_timer_set_count_runs (AioTimerSet *set)
{
  guint64 n;

  lock (set);
  n = set->n_runs;
  unlock (set);
  return n;
}

static void
list_locked (AioTimerSet     *set,
             AioTimerVisitor  visit,
             gpointer         data)
{
  for (AioTimerNode *timer = set->first_due; timer != NULL; timer = timer->next)
    visit (data, timer);
  for (guint clock = 0; clock < AIO_N_CLOCKS; clock++)
    visit_heap (set->heaps[clock], visit, data);
  for (AioTimerNode *timer = set->all; timer != NULL; timer = timer->all_next)
    if (timer->state == AIO_TIMER_IDLE)
      visit (data, timer);
}

/* The visitor must not touch the timers. */
void
aio_timer_set_list (AioTimerSet     *set,
                    AioTimerVisitor  visit,
                    gpointer         data)
{
  lock (set);
  list_locked (set, visit, data);
  unlock (set);
}

/* Not in any list: embedded, or freed by its own callback. One that is on the stack twice is listed
 * with the innermost run. */
static gboolean
is_listed_by_run (AioTimerSet *set,
                  AioTimerRun *run)
{
  AioTimerNode *timer = run->timer;
  AioTimerRun *other = set->runs;

  if (timer == NULL || timer->state != AIO_TIMER_IDLE || (timer->on_heap && !timer->freed))
    return FALSE;
  while (other->timer != timer)
    other = other->outer;
  return other == run;
}

/* As above, and with those that are running and in no list. FALSE if somebody has the lock and does
 * not go on. */
gboolean
aio_timer_set_try_list (AioTimerSet     *set,
                        AioTimerVisitor  visit,
                        gpointer         data)
{
  if (!aio_lock_patiently (&set->lock))
    return FALSE;
  list_locked (set, visit, data);
  for (AioTimerRun *run = set->runs; run != NULL; run = run->outer)
    if (is_listed_by_run (set, run))
      visit (data, run->timer);
  pthread_mutex_unlock (&set->lock);
  return TRUE;
}

/* For visitors. */
gboolean
aio_timer_is_running (const AioTimerNode *timer)
{
  return is_running_locked (timer->set, timer);
}

/* --- Timers ----------------------------------------------------------------------------------- */

void
aio_timer_node_init (AioTimerNode   *timer,
                     AioTimerSet    *set,
                     AioClock        clock,
                     AioTimerFunc    func,
                     gpointer        data,
                     GDestroyNotify  destroy)
{
  aio_fetch_add_full (&set->refs, 1);
  *timer = (AioTimerNode) { .set = set, .func = func, .data = data, .destroy = destroy,
                            .clock = aio_timer_set_clock (set, clock) };
}

/**
 * aio_timer_set_name:
 * @timer: a timer
 * @name: (nullable): a name for reports; it is interned
 *
 * Gives a timer a name. One without is called by its function.
 *
 * Thread: any thread. Not signal safe.
 *
 * Since: 1.0
 */
void
aio_timer_set_name (AioTimer   *timer,
                    const char *name)
{
  AioTimerNode *node;

  g_return_if_fail (timer != NULL);
  node = node_of (timer);
  g_return_if_fail (node->set != NULL);

  lock (node->set);
  node->name = g_intern_string (name);
  unlock (node->set);
}

/**
 * aio_timer_clear: (skip)
 * @timer: a timer that was initialised with [func@Aio.Timer.init]
 *
 * Disarms an embedded timer and gives up what it holds. After that its memory may go, also in its
 * own callback. A timer that is all zeros is fine.
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_timer_clear (AioTimer *timer)
{
  AioTimerNode *node = node_of (timer);
  AioTimerSet *set;
  gboolean running;

  g_return_if_fail (timer != NULL);
  g_return_if_fail (!node->on_heap);

  set = node->set;
  if (set == NULL)
    return;
  lock (set);
  disarm_locked (set, node);
  running = is_running_locked (set, node);
  for (AioTimerRun *run = set->runs; run != NULL; run = run->outer)
    if (run->timer == node)
      run->timer = NULL;
  unlock (set);
  if (running && !aio_home_is_self (&set->anchor->home))
    g_critical ("%s: timer %p is cleared while it runs in the home thread of AioContext “%s”",
                G_STRFUNC, (gpointer) timer, set->anchor->name);
  node->set = NULL;
  aio_timer_set_unref (set);
}

/* One on the heap has joined its set. */
void
aio_timer_node_put_on_heap (AioTimerNode *timer)
{
  AioTimerSet *set = timer->set;

  timer->on_heap = TRUE;
  timer->refs = 1;
  lock (set);
  timer->all_next = set->all;
  if (timer->all_next != NULL)
    timer->all_next->all_previous = timer;
  set->all = timer;
  unlock (set);
}

static AioTimer *
timer_copy (AioTimer *timer)
{
  AioTimerNode *node = node_of (timer);

  g_return_val_if_fail (node->on_heap, NULL);

  lock (node->set);
  node->refs++;
  unlock (node->set);
  return timer;
}

/* Under the lock. Returns whether it is not running, and so may be finished. */
static gboolean
kill_locked (AioTimerSet  *set,
             AioTimerNode *timer)
{
  disarm_locked (set, timer);
  unlink_all (set, timer);
  timer->dead = TRUE;
  return !is_running_locked (set, timer);
}

/**
 * aio_timer_delete:
 * @timer: what [ctor@Aio.Timer.new] returned, or a boxed copy of it
 *
 * Disarms a timer for good: to arm it again does nothing. Its destroy notify runs before this
 * returns; in its own callback it runs when the outermost run is over. To delete it again is fine.
 *
 * The memory goes with the last copy, by [method@Aio.Timer.free]. In C that one is enough. Where a
 * garbage collector has the copies, this is how a timer ends in time, before its context; and how
 * it ends at all, if its callback refers to it.
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_timer_delete (AioTimer *timer)
{
  AioTimerNode *node = node_of (timer);
  gboolean now;

  g_return_if_fail (timer != NULL);
  g_return_if_fail (node->on_heap);

  lock (node->set);
  now = kill_locked (node->set, node);
  unlock (node->set);
  if (now)
    finish (node, FALSE);
}

/**
 * aio_timer_free:
 * @timer: (transfer full) (nullable): what [ctor@Aio.Timer.new] returned, or a boxed copy of it
 *
 * Disarms a timer and frees it. Its destroy notify runs before this returns; in its own callback it
 * runs when the outermost run is over. %NULL is fine.
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_timer_free (AioTimer *timer)
{
  AioTimerNode *node = node_of (timer);
  AioTimerSet *set;
  gboolean now = FALSE;

  if (timer == NULL)
    return;
  g_return_if_fail (node->on_heap);

  set = node->set;
  /* A copy that is made and freed while the timer goes, in its callback or destroy notify, counts
   * to 0 for a second time. */
  lock (set);
  if (--node->refs == 0 && !node->freed)
    {
      node->freed = TRUE;
      now = kill_locked (set, node);
    }
  unlock (set);
  if (now)
    finish (node, TRUE);
}

/* Wakes the home thread if the timer is the next one now: it may be sleeping for longer. It looks
 * at the deadlines after it has raised the flag; here the deadline is stored before the flag is
 * looked at, see publish_earliest(). So either it sees the deadline, or we see the flag. After the
 * unlock the callback may have freed timer and set; the anchor's memory stays. */
static void
arm (AioTimerNode *timer,
     gint64        deadline)
{
  AioTimerSet *set = timer->set;
  AioNotify *notify = &set->anchor->notify;
  gboolean first;

  lock (set);
  if (set->closed || timer->dead)
    {
      unlock (set);
      return;
    }
  disarm_locked (set, timer);
  insert_locked (set, timer, deadline);
  first = set->heaps[timer->clock] == timer;
  unlock (set);
  if (first)
    aio_notify_wake (notify);
}

static gboolean
is_usable (AioTimer   *timer,
           const char *where)
{
  AioTimerSet *set = node_of (timer)->set;

  if (G_UNLIKELY (set == NULL))
    {
      g_critical ("%s: timer %p is not initialised", where, (gpointer) timer);
      return FALSE;
    }
  return aio_anchor_is_usable (set->anchor, where);
}

/**
 * aio_timer_mod_ns:
 * @timer: a timer
 * @deadline_ns: when to fire, in nanoseconds of the timer's clock; a time in the past, and a
 *   negative one, is due now
 *
 * Arms a timer, or changes its deadline.
 *
 * It fires once, never early. Timers with equal deadlines fire in the order in which they were
 * armed. Armed in its own callback it fires in the next pass at the earliest.
 *
 * Thread: any thread. Not signal safe.
 *
 * Since: 1.0
 */
void
aio_timer_mod_ns (AioTimer *timer,
                  gint64    deadline_ns)
{
  g_return_if_fail (timer != NULL);
  if (is_usable (timer, G_STRFUNC))
    arm (node_of (timer), deadline_ns);
}

/**
 * aio_timer_mod_anticipate_ns:
 * @timer: a timer
 * @deadline_ns: when to fire, as for [method@Aio.Timer.mod_ns]
 *
 * Arms a timer unless it is armed already for that time or an earlier one.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: %TRUE if it is armed now, or earlier than before
 *
 * Since: 1.0
 */
gboolean
aio_timer_mod_anticipate_ns (AioTimer *timer,
                             gint64    deadline_ns)
{
  AioTimerNode *node = node_of (timer);
  AioTimerSet *set;
  AioNotify *notify;
  gboolean change, first = FALSE;

  g_return_val_if_fail (timer != NULL, FALSE);
  if (!is_usable (timer, G_STRFUNC))
    return FALSE;

  set = node->set;
  notify = &set->anchor->notify;
  lock (set);
  change = !set->closed && !node->dead &&
           (node->state == AIO_TIMER_IDLE || MAX (deadline_ns, 0) < node->deadline);
  if (change)
    {
      disarm_locked (set, node);
      insert_locked (set, node, deadline_ns);
      first = set->heaps[node->clock] == node;
    }
  unlock (set);
  /* As in arm(). */
  if (first)
    aio_notify_wake (notify);
  return change;
}

/**
 * aio_timer_del:
 * @timer: a timer
 *
 * Disarms a timer. It can be armed again.
 *
 * Thread: any thread. Not signal safe. From another thread a run that is about to start may still
 * start.
 *
 * Returns: whether it was armed
 *
 * Since: 1.0
 */
gboolean
aio_timer_del (AioTimer *timer)
{
  AioTimerNode *node = node_of (timer);
  gboolean armed;

  g_return_val_if_fail (timer != NULL, FALSE);
  if (node->set == NULL || !aio_anchor_is_usable (node->set->anchor, G_STRFUNC))
    return FALSE;

  lock (node->set);
  armed = disarm_locked (node->set, node);
  unlock (node->set);
  return armed;
}

/* The outermost run of the timer that is on the stack; 0 if there is none. */
static guint64
outermost_run_locked (AioTimerSet  *set,
                      AioTimerNode *timer)
{
  guint64 serial = 0;

  for (AioTimerRun *run = set->runs; run != NULL; run = run->outer)
    if (run->called == timer)
      serial = run->serial;
  return serial;
}

static gboolean
is_on_stack_locked (AioTimerSet *set,
                    guint64      serial)
{
  for (AioTimerRun *run = set->runs; run != NULL; run = run->outer)
    if (run->serial == serial)
      return TRUE;
  return FALSE;
}

/* The run may clear the timer and drop the last reference to the context. So the waiter has one to
 * the set, which the caller drops behind the lock. */
static void
wait_for_run_locked (AioTimerSet *set,
                     guint64      serial)
{
  aio_fetch_add_full (&set->refs, 1);
  set->n_waiters++;
  while (is_on_stack_locked (set, serial))
    pthread_cond_wait (&set->run_ended, &set->lock);
  set->n_waiters--;
}

/**
 * aio_timer_del_sync:
 * @timer: a timer
 *
 * Disarms a timer, and waits until the runs that are in progress are over, at every nesting depth.
 * It does not wait for runs that begin later. In the home thread it does not wait.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: whether it was armed
 *
 * Since: 1.0
 */
gboolean
aio_timer_del_sync (AioTimer *timer)
{
  AioTimerNode *node = node_of (timer);
  AioTimerSet *set;
  guint64 serial;
  gboolean armed, waits;

  g_return_val_if_fail (timer != NULL, FALSE);
  if (node->set == NULL || !aio_anchor_is_usable (node->set->anchor, G_STRFUNC))
    return FALSE;

  set = node->set;
  lock (set);
  armed = disarm_locked (set, node);
  serial = outermost_run_locked (set, node);
  waits = serial != 0 && !aio_home_is_self (&set->anchor->home);
  if (waits)
    wait_for_run_locked (set, serial);
  unlock (set);
  if (waits)
    aio_timer_set_unref (set);
  return armed;
}

/**
 * aio_timer_pending:
 * @timer: a timer
 *
 * Asks whether a timer is armed. It is until its callback starts.
 *
 * Thread: any thread.
 *
 * Returns: whether it is armed
 *
 * Since: 1.0
 */
gboolean
aio_timer_pending (AioTimer *timer)
{
  return aio_timer_expire_time_ns (timer) >= 0;
}

/**
 * aio_timer_expire_time_ns:
 * @timer: a timer
 *
 * Tells when a timer fires.
 *
 * Thread: any thread.
 *
 * Returns: nanoseconds of its clock, -1 if it is not armed
 *
 * Since: 1.0
 */
gint64
aio_timer_expire_time_ns (AioTimer *timer)
{
  AioTimerNode *node = node_of (timer);
  gint64 deadline = -1;

  g_return_val_if_fail (timer != NULL, -1);
  if (node->set == NULL || !aio_anchor_is_usable (node->set->anchor, G_STRFUNC))
    return -1;

  lock (node->set);
  if (node->state != AIO_TIMER_IDLE)
    deadline = node->deadline;
  unlock (node->set);
  return deadline;
}
