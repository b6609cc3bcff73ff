/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The phases of an iteration, whoever drives it:
 *
 *   park      look; if nothing is due raise the flag and look again; how long may be slept?
 *   (sleep)   GLib, a foreign loop, or aio_context_poll() itself
 *   unpark    lower the flag
 *   collect   drain the wakeup descriptor, see which descriptors are ready and timers over
 *   run       one pass over the bottom halves, the ready handlers, the timers that are due
 *
 * The GSource calls park in prepare(), unpark and collect in check() and run in dispatch(), and
 * GLib may leave out any of them: so park and unpark set and clear state, and count nothing. */
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-bh.h>
#include <aioctx-gsource/aio-trace-private.h>

#include <poll.h>

#define NSEC_PER_SEC  G_GINT64_CONSTANT (1000000000)
#define NSEC_PER_MSEC G_GINT64_CONSTANT (1000000)
#define NSEC_PER_USEC G_GINT64_CONSTANT (1000)

#define IDLE_DELAY_NS (AIO_IDLE_DELAY_MS * NSEC_PER_MSEC)

/* Looks in a row that meet the same hole in the queue without sleeping in between. Then the
 * producer gets a millisecond: it may be waiting for this very processor. */
#define HOLE_LOOKS    3

/* How often to come back for descriptors that nobody sees: a foreign loop that does not poll them,
 * or the monitor, which the system has refused them. */
#define BLIND_TIMEOUT_NS (10 * NSEC_PER_MSEC)

static __thread AioContext *current_context __attribute__ ((tls_model ("initial-exec")));
static __thread AioContext *thread_context __attribute__ ((tls_model ("initial-exec")));

static gint64
now_ns (void)
{
  return g_get_monotonic_time () * NSEC_PER_USEC;
}

/* Never negative, which would be for ever. (MAX() would ask the clock twice.) */
static gint64
time_left (gint64 deadline,
           gint64 now)
{
  return deadline > now ? deadline - now : 0;
}

/**
 * aio_context_get_current:
 *
 * Gets the context whose callback is running in this thread, the innermost one if they are nested;
 * else, in an I/O thread, the context of that; else nothing.
 *
 * Thread: any thread.
 *
 * Returns: (transfer none) (nullable): the context
 *
 * Since: 1.0
 */
AioContext *
aio_context_get_current (void)
{
  return current_context != NULL ? current_context : thread_context;
}

/* An I/O thread: what aio_context_get_current() says outside of callbacks. */
void
aio_context_set_for_thread (AioContext *context)
{
  thread_context = context;
}

AioContext *
aio_context_get_for_thread (void)
{
  return thread_context;
}

/* --- The phases ------------------------------------------------------------------------------- */

/* A notification was taken, or not. Who has parked further out on the stack has to be told, see
 * repark(). */
static gboolean
took (AioContext *context,
      gboolean    notified)
{
  if (notified)
    context->n_taken++;
  return notified;
}

static gint64
hole_timeout (AioContext *context)
{
  return context->n_holes++ < HOLE_LOOKS ? 0 : NSEC_PER_MSEC;
}

/* Idle ones run 10 ms after they were first seen. Time over, it is left to check() to say so, as
 * any iteration is good enough; but where GLib skips check() again and again (when other threads
 * change what it polls) nobody would, so the second time it is ready. */
static AioPark
park_idle (AioContext *context)
{
  gint64 now = now_ns ();
  gint64 left;

  if (context->idle_since == 0)
    context->idle_since = now;
  left = context->idle_since + IDLE_DELAY_NS - now;
  if (left > 0)
    return (AioPark) { FALSE, FALSE, left };
  return (AioPark) { context->n_overdue++ > 0, FALSE, 0 };
}

/* The sleep is over, or was left out. Returns whether a notification ended it. The wakeup
 * descriptor is drained, and the queue looked at, after this. */
gboolean
aio_context_unpark (AioContext *context)
{
  context->parked = FALSE;
  return took (context, aio_notify_lower (&context->anchor->notify) == AIO_NOTIFY_NOTIFIED);
}

/* Nobody sleeps any more, but no iteration begins by that: a notification stays for the next one.
 * Returns what the flag was. */
AioNotifyState
aio_context_stop_sleep (AioContext *context)
{
  context->parked = FALSE;
  return aio_notify_lower_asleep (&context->anchor->notify);
}

/* What there is to run, as far as one can tell without a system call. */
AioLook
aio_context_look (AioContext *context)
{
  if (context->fds.first_ready != NULL || aio_timer_set_is_due (context->timers))
    return AIO_LOOK_WORK;
  if (aio_load_full (&context->fds.n_always) != 0)
    {
      aio_fd_set_mark_always (&context->fds);
      if (context->fds.first_ready != NULL)
        return AIO_LOOK_WORK;
    }
  return aio_bh_set_look (&context->bhs);
}

/* The descriptor that is readable at a deadline; FALSE if there is none to be had, or it cannot be
 * set. */
static gboolean
arm_timerfd (AioContext *context,
             AioClock    clock,
             gint64      deadline)
{
  AioTimerFd *timerfd = &context->timerfds[clock];

  if (!context->fds.monitor->is_one_fd)
    return FALSE;
  if (timerfd->fd < 0)
    {
      if (deadline == AIO_TIMER_NEVER || !aio_timerfd_open (timerfd, clock))
        return FALSE;
      if (!aio_fd_set_watch_tag (&context->fds, AIO_FD_TAG_TIMER + clock, timerfd->fd))
        {
          aio_timerfd_clear (timerfd);
          return FALSE;
        }
    }
  return aio_timerfd_arm (timerfd, clock, deadline);
}

/* Does a descriptor tell of the deadline? */
static inline gboolean
is_told (AioContext *context,
         AioClock    clock,
         gint64      deadline)
{
  return context->timerfds[clock].armed == deadline || arm_timerfd (context, clock, deadline);
}

/* How long until the next deadline, in nanoseconds; -1 for ever: there is none, or a descriptor
 * tells. The clock is read only if it has to be. */
static gint64
park_timers (AioContext *context,
             AioSleep    sleep)
{
  gint64 timeout = -1;

  for (guint clock = 0; clock < AIO_CLOCK_VIRTUAL; clock++)
    {
      gint64 earliest = aio_timer_set_earliest (context->timers, clock);
      gboolean exact = sleep == AIO_SLEEP_EXACT && clock == AIO_CLOCK_MONOTONIC;
      gint64 left;

      if (!exact && is_told (context, clock, earliest))
        continue;
      if (earliest == AIO_TIMER_NEVER)
        continue;
      left = time_left (earliest, aio_timer_set_now (context->timers, clock));
      timeout = timeout < 0 ? left : MIN (timeout, left);
    }
  return timeout;
}

static gint64
sooner (gint64 a,
        gint64 b)
{
  if (a < 0 || b < 0)
    return MAX (a, b);
  return MIN (a, b);
}

/* Raises the flag if nothing is due, and tells how long may be slept. The flag stays down whenever
 * the answer is 0 because there is work: then nobody has to write during what follows.
 *
 * Look, raise, look again: the second look is what makes it safe, see aio-notify-private.h; the
 * first spares the exchange, and the producers' writes, when there is work anyway. Deadlines are
 * looked at behind the raise, too. */
AioPark
aio_context_park (AioContext *context,
                  AioSleep    sleep)
{
  AioNotify *notify = &context->anchor->notify;
  AioLook look = aio_context_look (context);
  AioPark park = { FALSE, FALSE, -1 };

  if (look < AIO_LOOK_HOLE)
    {
      if (took (context, aio_notify_take (notify) || !aio_notify_raise (notify)))
        {
          context->parked = FALSE;
          return (AioPark) { FALSE, TRUE, 0 };
        }
      context->parked = TRUE;
      context->parked_shell = NULL;
      look = aio_context_look (context);
    }
  if (look >= AIO_LOOK_HOLE)
    {
      park.notified = aio_context_unpark (context);
      park.ready = look == AIO_LOOK_WORK;
      park.timeout_ns = park.ready || park.notified ? 0 : hole_timeout (context);
      return park;
    }

  context->n_holes = 0;
  if (look == AIO_LOOK_IDLE)
    park = park_idle (context);
  else
    context->idle_since = context->n_overdue = 0;
  park.timeout_ns = sooner (park.timeout_ns, park_timers (context, sleep));
  if (G_UNLIKELY (context->fds.has_refused) && aio_fd_set_watch_refused (&context->fds))
    park.timeout_ns = sooner (park.timeout_ns, BLIND_TIMEOUT_NS);
  context->wakes_at = park.timeout_ns < 0 ? G_MAXINT64 : now_ns () + park.timeout_ns;
  if (aio_fd_set_is_active (&context->fds))
    aio_fd_set_suspend_runs (&context->fds);
  return park;
}

static void
consume_tags (AioContext *context,
              guint       tags)
{
  if (tags & 1u << AIO_FD_TAG_WAKEUP)
    aio_notify_drain (&context->anchor->notify);
  for (guint clock = 0; clock < AIO_CLOCK_VIRTUAL; clock++)
    if (tags & 1u << (AIO_FD_TAG_TIMER + clock))
      {
        aio_timerfd_consume (&context->timerfds[clock]);
        context->timer_fired = TRUE;
      }
}

/* Waits until a descriptor is ready, for so long at most; -1 for ever. Marks handlers ready, and
 * returns the tags of the context's own descriptors. */
static guint
wait_for_descriptors (AioContext *context,
                      gint64      timeout_ns)
{
  struct pollfd wakeup = { context->anchor->notify.wakeup.read_fd, POLLIN, 0 };
  struct timespec ts = { timeout_ns / NSEC_PER_SEC, timeout_ns % NSEC_PER_SEC };

  if (aio_fd_set_is_active (&context->fds))
    return context->fds.monitor->wait (&context->fds, timeout_ns);
  ppoll (&wakeup, 1, timeout_ns < 0 ? NULL : &ts, NULL);
  return wakeup.revents != 0 ? 1u << AIO_FD_TAG_WAKEUP : 0;
}

/* Sees which descriptors are ready. What was pending at the wakeup descriptor is taken. */
void
aio_context_collect (AioContext *context)
{
  consume_tags (context, wait_for_descriptors (context, 0));
  aio_fd_set_mark_always (&context->fds);
}

/* Is a timer over that no descriptor tells of: because there is none, or because it was armed since
 * a descriptor was last set? The clock is read only for such a one. A loop that is never idle never
 * parks; so a deadline that stays is told to the descriptor the second time, and one that moves
 * with each iteration never is. */
static gboolean
has_untold_timer (AioContext *context)
{
  for (guint clock = 0; clock < AIO_CLOCK_VIRTUAL; clock++)
    {
      AioTimerFd *timerfd = &context->timerfds[clock];
      gint64 earliest = aio_timer_set_earliest (context->timers, clock);

      if (earliest == timerfd->armed)
        continue;
      if (earliest <= aio_timer_set_now (context->timers, clock))
        return TRUE;
      if (earliest == timerfd->seen)
        arm_timerfd (context, clock, earliest);
      timerfd->seen = earliest;
    }
  return FALSE;
}

/* Is there anything to run now that we are awake? Idle ones count, and may stand before a hole. */
gboolean
aio_context_is_due (AioContext *context)
{
  return aio_context_look (context) != AIO_LOOK_NOTHING || context->timer_fired ||
         has_untold_timer (context);
}

/* Whoever sleeps exactly has to ask the clocks; for others descriptors do. */
static gboolean
has_due_timers (AioContext *context,
                AioSleep    sleep)
{
  if (aio_timer_set_is_idle (context->timers))
    return FALSE;
  return sleep == AIO_SLEEP_EXACT || context->timer_fired ||
         aio_timer_set_is_due (context->timers) || has_untold_timer (context);
}

/* Idle ones that a turn has left were to run in this very pass: they are not to wait any longer, so
 * they have been seen long ago. */
static AioPassResult
run_bhs (AioContext *context,
         AioTurn    *turn)
{
  AioPassResult result;

  context->idle_since = 0;
  context->n_overdue = 0;
  result = aio_bh_set_run (&context->bhs, turn);
  if (turn != NULL && turn->cut)
    context->idle_since = 1;
  return result;
}

static gint64
begin_dispatch (AioContext *context)
{
  AIO_TRACE1 (dispatch__begin, context->meter.context_name);
  aio_count (&context->n_iterations, 1);
  return aio_trace_mark_begin ();
}

/* The context is there until it is left, whatever the callbacks have dropped. */
static void
end_dispatch (AioContext *context,
              gint64      began,
              guint       n_callbacks)
{
  aio_trace_mark_end (began, context->meter.context_name, n_callbacks);
  AIO_TRACE2 (dispatch__end, context->meter.context_name, n_callbacks);
}

/* A pass over the bottom halves alone, for aio_bh_poll(). Returns whether there was progress. */
gboolean
aio_context_run_bhs (AioContext *context)
{
  AioPassResult result;
  gint64 began = begin_dispatch (context);

  result = run_bhs (context, NULL);
  end_dispatch (context, began, result.n_runs);
  return result.progress;
}

static guint
run_timers (AioContext *context,
            AioSleep    sleep,
            AioTurn    *turn)
{
  gboolean due = has_due_timers (context, sleep);

  context->timer_fired = FALSE;
  return due ? aio_timer_set_run (context->timers, turn) : 0;
}

static guint
run_fds (AioContext *context,
         AioTurn    *turn)
{
  return context->fds.first_ready != NULL ? aio_fd_set_run (&context->fds, turn) : 0;
}

/* Handlers and timers, each of which is progress. */
static guint
add_events (AioContext    *context,
            AioPassResult *all,
            guint          n)
{
  context->n_events += n;
  all->n_entries += n;
  all->n_runs += n;
  return n;
}

/* Returns how much there was of it. */
static guint
run_kind (AioContext    *context,
          AioKind        kind,
          AioSleep       sleep,
          AioTurn       *turn,
          AioPassResult *all)
{
  AioPassResult bhs;

  if (kind == AIO_KIND_FDS)
    return add_events (context, all, run_fds (context, turn));
  if (kind == AIO_KIND_TIMERS)
    return add_events (context, all, run_timers (context, sleep, turn));
  bhs = run_bhs (context, turn);
  all->n_entries += bhs.n_entries;
  all->n_runs += bhs.n_runs;
  all->progress |= bhs.progress;
  return bhs.n_entries;
}

/* Until the turn has ended. Then the next one begins with the kind that has waited longest. */
static AioPassResult
run_for_a_turn (AioContext *context,
                AioSleep    sleep,
                AioTurn    *turn)
{
  AioKind first = context->first_kind;
  AioPassResult all = { 0, 0, FALSE };

  context->first_kind = AIO_KIND_BHS;
  for (guint i = 0; i < AIO_N_KINDS && !aio_turn_has_ended (turn); i++)
    {
      AioKind kind = (first + i) % AIO_N_KINDS;
      guint n = run_kind (context, kind, sleep, turn, &all);

      turn->called_fds |= kind == AIO_KIND_FDS && n != 0;
      if (turn->cut)
        context->first_kind = (n != 0 ? kind + 1 : kind) % AIO_N_KINDS;
    }
  return all;
}

/* As much as there is. */
static AioPassResult
run_all (AioContext *context,
         AioSleep    sleep)
{
  AioPassResult all;

  context->first_kind = AIO_KIND_BHS;
  all = run_bhs (context, NULL);
  add_events (context, &all, run_fds (context, NULL));
  add_events (context, &all, run_timers (context, sleep, NULL));
  return all;
}

/* One pass, between enter and leave: bottom halves, ready handlers, due timers. */
AioPassResult
aio_context_run (AioContext *context,
                 AioSleep    sleep,
                 AioTurn    *turn)
{
  guint n_events = context->n_events;
  gint64 began = begin_dispatch (context);
  AioPassResult all = turn == NULL ? run_all (context, sleep)
                                   : run_for_a_turn (context, sleep, turn);

  /* Also of an event in a nested iteration. */
  all.progress |= context->n_events != n_events;
  end_dispatch (context, began, all.n_runs);
  return all;
}

/* Has a turn used its budget up, with more to do? A callback may have made due what comes after it,
 * so that nothing was cut short; it is a flood all the same. */
static gboolean
has_to_give_way (AioContext    *context,
                 const AioTurn *turn)
{
  if (turn->cut || G_LIKELY (!aio_turn_is_limited (turn)))
    return turn->cut;
  return (turn->called_fds || aio_context_is_due (context)) && aio_turn_is_used_up (turn);
}

/* One pass within the budget. Returns whether there was progress. */
gboolean
aio_context_run_turn (AioContext *context,
                      AioSleep    sleep,
                      GSource    *source)
{
  AioBudget budget = { aio_load_relaxed (&context->max_callbacks),
                       aio_load_relaxed (&context->max_usec) };
  AioTurn turn;
  gboolean progress;

  aio_turn_begin (&turn, source, &budget);
  progress = aio_context_run (context, sleep, &turn).progress;
  if (has_to_give_way (context, &turn))
    context->rest = AIO_REST_NEXT;
  return progress;
}

/* --- Entering and leaving --------------------------------------------------------------------- */

/* Makes the calling thread the home thread if it is not. */
gboolean
aio_context_take_home (AioContext *context,
                       const char *where)
{
  if (!aio_anchor_is_usable (context->anchor, where))
    return FALSE;
  if (G_LIKELY (aio_home_is_self (&context->anchor->home)))
    return TRUE;
  if (!aio_context_may_act (context, where))
    return FALSE;
  if (aio_home_take_over (&context->anchor->home))
    return TRUE;
  aio_context_report_taken (context, where);
  return FALSE;
}

/* Does the descriptor that the foreign loop has been given stand for all others? Not if there is
 * none that does, or if it was not asked for since. Then the loop has to come back now and then. */
static gboolean
is_given_fd_enough (AioContext *context)
{
  guint n_openings = aio_load_acquire (&context->fds.n_openings);

  return n_openings != 0 && aio_load_relaxed (&context->given_opening) == n_openings;
}

/* Does the descriptor that the sleeper polls tell of everything, now that a visit is over? */
static gboolean
is_sleeper_told (AioContext *context)
{
  if (!aio_fd_set_is_active (&context->fds))
    return TRUE;
  return context->parked_shell != NULL ? !aio_context_polls_other (context)
                                       : is_given_fd_enough (context);
}

/* Does the sleeper come back in time for the next deadline: told by a descriptor, or by itself? The
 * clock was read at different moments for the two times that are compared. */
static gboolean
is_told_of_timers (AioContext *context,
                   gint64      wakes_at)
{
  gint64 left = park_timers (context, AIO_SLEEP_COARSE);

  return left < 0 ||
         (wakes_at != G_MAXINT64 && wakes_at - now_ns () <= left + NSEC_PER_MSEC);
}

/* Does the sleeper come back soon for a handler that the monitor has refused? One that ended in the
 * visit may be the first. */
static gboolean
is_back_for_refused (AioContext *context,
                     gint64      wakes_at)
{
  return G_LIKELY (!context->fds.has_refused) || wakes_at - now_ns () <= BLIND_TIMEOUT_NS;
}

/* Somebody slept for the context while this thread visited it (a poll of its own between GLib's
 * prepare and GLib's poll, say), and is going to sleep on. The visit has lowered the flag, and may
 * have taken the wakeup that was meant for the sleeper: that one is sent again. Otherwise the flag
 * goes up again, and what the visit has left behind wakes the sleeper, who counted on less: work, a
 * descriptor that stands for more than the one it polls, a deadline that no descriptor tells, a
 * handler that is not watched for now. */
static void G_GNUC_NO_INLINE
repark (AioContext *context,
        AioVisit   *visit)
{
  AioNotify *notify = &context->anchor->notify;

  if (visit->parked_shell != NULL && !aio_context_is_live_shell (context, visit->parked_shell))
    return;
  context->parked = TRUE;
  context->parked_shell = visit->parked_shell;
  context->wakes_at = visit->wakes_at;
  if (visit->found == AIO_NOTIFY_ASLEEP && visit->n_taken == context->n_taken &&
      aio_notify_raise_again (notify) && aio_context_look (context) == AIO_LOOK_NOTHING &&
      is_told_of_timers (context, visit->wakes_at) && is_sleeper_told (context) &&
      is_back_for_refused (context, visit->wakes_at))
    return;
  /* A notification of meanwhile is for whichever iteration begins first, which may be ours. */
  aio_notify_lower_asleep (notify);
  aio_notify_write (notify);
}

/* Somebody sleeps for the context: a visit wakes it, and remembers what it has to put back. */
static void G_GNUC_NO_INLINE
unpark_for_visit (AioContext *context,
                  AioVisit   *visit)
{
  visit->parked_shell = context->parked_shell;
  visit->wakes_at = context->wakes_at;
  visit->n_taken = context->n_taken;
  visit->found = aio_context_stop_sleep (context);
}

/* Every function that runs callbacks goes through here and aio_context_leave(). */
gboolean
aio_context_enter (AioContext *context,
                   const char *where,
                   AioVisit   *visit)
{
  if (!aio_context_take_home (context, where))
    return FALSE;

  visit->outer = current_context;
  current_context = context;
  visit->parked = context->parked;
  if (G_UNLIKELY (visit->parked))
    unpark_for_visit (context, visit);
  aio_home_enter (&context->anchor->home);
  return TRUE;
}

/* The last reference may have gone in a callback: then the outermost iteration ends the context.
 * The reference count is read before the depth is stored, and the depth is the last thing that is
 * touched: who drops the last reference in another thread and sees no depth any more ends the
 * context itself, see aio_context_unref(). */
void
aio_context_leave (AioContext *context,
                   AioVisit   *visit)
{
  AioHome *home = &context->anchor->home;

  current_context = visit->outer;
  if (G_UNLIKELY (visit->parked))
    repark (context, visit);
  if (aio_load_relaxed (&home->depth) == 1 && aio_load_acquire (&context->refs) == 0)
    aio_context_finalize (context);
  else
    aio_home_leave (home);
}

/* --- The mini event loop ---------------------------------------------------------------------- */

/* Returns whether a notification ended it. */
static gboolean
sleep_parked (AioContext *context,
              gint64      timeout_ns)
{
  guint tags = wait_for_descriptors (context, timeout_ns);
  gboolean notified = aio_context_unpark (context);

  consume_tags (context, tags);
  if (G_UNLIKELY (context->wakes != NULL))
    aio_context_note_wake (context, notified);
  return notified;
}

/* Sleeps until something is due, or until the deadline (monotonic ns, -1 for ever). Returns TRUE
 * when the caller is to come back whatever there was to run: notified, or the time is over. */
static gboolean
sleep_until (AioContext *context,
             gint64      deadline)
{
  AioPark park = aio_context_park (context, AIO_SLEEP_EXACT);
  gint64 left = deadline < 0 ? -1 : time_left (deadline, now_ns ());

  if (park.notified || park.ready)
    {
      /* Descriptors get their turn, also when there is always something else to do. */
      if (aio_fd_set_is_active (&context->fds))
        aio_context_collect (context);
      return park.notified;
    }
  return sleep_parked (context, sooner (park.timeout_ns, left)) || left == 0;
}

/* As sleep_until(), but looks for a while before it sleeps. */
static gboolean
wait_until (AioContext *context,
            gint64      deadline)
{
  gboolean last;

  if (context->busy.max_ns == 0 || aio_context_look (context) >= AIO_LOOK_HOLE)
    return sleep_until (context, deadline);
  if (aio_context_busy_wait (context, deadline))
    last = took (context, aio_notify_take (&context->anchor->notify));
  else
    last = sleep_until (context, deadline);
  aio_context_busy_done (context);
  return last;
}

static gboolean
iterate_entered (AioContext *context,
                 gint64      deadline)
{
  AioPassResult result;
  gboolean last;

  do
    {
      last = deadline == 0 || took (context, aio_notify_take (&context->anchor->notify));
      if (!last)
        last = wait_until (context, deadline);
      else if (aio_fd_set_is_active (&context->fds))
        aio_context_collect (context);
      result = aio_context_run (context, AIO_SLEEP_EXACT, NULL);
    }
  while (!last && result.n_entries == 0);
  return result.progress;
}

/* Nobody may run the GMainContext meanwhile: it would sleep for us. */
static gboolean
acquire_main (AioContext    *context,
              const char    *where,
              GMainContext **main_context)
{
  *main_context = aio_context_get_main (context);
  if (*main_context == NULL)
    return TRUE;
  aio_context_frown_at_thread (context, where);
  if (!g_main_context_acquire (*main_context))
    {
      g_critical ("%s: AioContext “%s” is attached to a GMainContext that another thread owns",
                  where, context->anchor->name);
      return FALSE;
    }
  g_main_context_ref (*main_context);
  return TRUE;
}

static void
release_main (GMainContext *main_context)
{
  if (main_context == NULL)
    return;
  g_main_context_release (main_context);
  g_main_context_unref (main_context);
}

/* One iteration; the deadline as in sleep_until(), 0: do not sleep. */
static gboolean
iterate (AioContext *context,
         gint64      deadline,
         const char *where)
{
  GMainContext *main_context;
  AioVisit visit;
  gboolean progress = FALSE;

  /* In a forked child another thread of the parent may hold the lock of the GMainContext. */
  if (!aio_anchor_is_usable (context->anchor, where) ||
      !acquire_main (context, where, &main_context))
    return FALSE;
  if (aio_context_enter (context, where, &visit))
    {
      progress = iterate_entered (context, deadline);
      aio_context_leave (context, &visit);
    }
  release_main (main_context);
  return progress;
}

/**
 * aio_context_poll:
 * @context: a context
 * @blocking: whether to wait for something to run
 *
 * Runs one iteration of the context, without any main loop.
 *
 * If something is pending it runs. Otherwise a blocking poll sleeps until something has run or
 * [method@Aio.Context.notify] is called; one that does not block returns at once. It may return
 * %FALSE for no visible reason, so wait for a condition in a loop, or call
 * [method@Aio.Context.poll_until].
 *
 * It may be called from a callback, and then goes on with what the interrupted iteration has left.
 * On an attached context it acquires the #GMainContext for its duration, and runs nothing but this
 * context.
 *
 * Thread: home thread. Another thread becomes the home thread by this call if nobody iterates the
 * context; else it is a critical warning, and %FALSE.
 *
 * Returns: %TRUE if there was progress: a bottom half that was not idle, a one-shot, a post, a
 *   descriptor or notifier handler, or a timer ran
 *
 * Since: 1.0
 */
gboolean
aio_context_poll (AioContext *context,
                  gboolean    blocking)
{
  g_return_val_if_fail (context != NULL, FALSE);

  return iterate (context, blocking ? -1 : 0, G_STRFUNC);
}

/* Monotonic ns, -1 for ever. A timeout that leads beyond the end of time is for ever, too. */
static gint64
deadline_from_usec (gint64 timeout_usec)
{
  gint64 now = now_ns ();

  if (timeout_usec < 0 || timeout_usec >= (G_MAXINT64 - now) / NSEC_PER_USEC)
    return -1;
  return now + timeout_usec * NSEC_PER_USEC;
}

/**
 * aio_context_poll_until:
 * @context: a context
 * @predicate: (scope call): the condition to wait for
 * @data: (closure predicate): passed to @predicate
 * @timeout_usec: how long to wait, in microseconds; negative: for ever; 0: one iteration that does
 *   not block
 *
 * Iterates the context until a condition holds. The condition is asked for before the first
 * iteration and after each one.
 *
 * Thread: home thread. As for [method@Aio.Context.poll].
 *
 * Returns: what @predicate returned last; %FALSE also on misuse
 *
 * Since: 1.0
 */
gboolean
aio_context_poll_until (AioContext   *context,
                        AioPredicate  predicate,
                        gpointer      data,
                        gint64        timeout_usec)
{
  gint64 deadline;
  gboolean value;

  g_return_val_if_fail (context != NULL, FALSE);
  g_return_val_if_fail (predicate != NULL, FALSE);
  if (!aio_context_may_act (context, G_STRFUNC))
    return FALSE;

  aio_context_ref (context);
  deadline = deadline_from_usec (timeout_usec);
  while (!(value = predicate (data)))
    {
      gboolean over = deadline >= 0 && deadline <= now_ns ();

      if (over && timeout_usec > 0)
        break;
      iterate (context, over ? 0 : deadline, G_STRFUNC);
      if (over)
        {
          value = predicate (data);
          break;
        }
    }
  aio_context_unref (context);
  return value;
}

/**
 * aio_context_set_budget:
 * @context: a context
 * @max_callbacks: how many callbacks one dispatch may run; 0: no limit, the default
 * @max_usec: for how many microseconds one dispatch may go on; 0: no limit, the default
 *
 * Limits what one dispatch does, so that a flood of work cannot keep the other sources of a
 * #GMainContext waiting. What is left over is dispatched later, in order; nothing is dropped. After
 * a dispatch that has used this up, with more to do, the context sits one iteration of the
 * #GMainContext out, so ready sources of lower priority get their turn, too. One that was cut short
 * is followed by one that begins with another kind of work: bottom halves, descriptor handlers and
 * timers do not keep each other waiting either.
 *
 * A callback that has begun is not interrupted. The clock is read after 1, 2, 4, 8, 16 callbacks,
 * and then after every 16. A budget that is set by a callback is that of the next dispatch.
 *
 * An iteration that is sat out may find nothing to do, so do not take %FALSE from
 * g_main_context_iteration() or g_main_context_pending() for "nothing is left". It is used up by
 * g_main_context_pending(), too.
 *
 * The budget is that of the #GSource and of [method@Aio.Context.dispatch].
 * [method@Aio.Context.poll] and [func@Aio.BH.poll] run everything that is pending.
 *
 * For a user interface 2000 microseconds is a good choice: of the 16.7 milliseconds between two
 * frames at 60 Hz this leaves most to the toolkit.
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_context_set_budget (AioContext *context,
                        guint       max_callbacks,
                        gint64      max_usec)
{
  g_return_if_fail (context != NULL);
  if (!aio_context_may_act (context, G_STRFUNC))
    return;
  if (max_usec < 0)
    {
      g_critical ("%s: AioContext “%s” cannot have a budget of %" G_GINT64_FORMAT " µs", G_STRFUNC,
                  context->anchor->name, max_usec);
      return;
    }

  aio_store_relaxed (&context->max_callbacks, max_callbacks);
  aio_store_relaxed (&context->max_usec, MIN (max_usec, G_MAXINT64 / 2));
}

/**
 * aio_context_notify:
 * @context: a context
 *
 * Makes an iteration of the context return that starts or sleeps now, with everything looked at
 * again, although nothing was scheduled. It is remembered until an iteration begins.
 *
 * So `flag = TRUE; aio_context_notify (context)` ends a `while (!flag) aio_context_poll (context,
 * TRUE)`, whatever that is doing at the moment.
 *
 * Thread: any thread and signal handler. Allocates nothing, takes no lock, never blocks, keeps
 * errno.
 *
 * Since: 1.0
 */
void
aio_context_notify (AioContext *context)
{
  g_return_if_fail (context != NULL);

  aio_notify_poke (&context->anchor->notify);
}

/* --- For foreign loops ------------------------------------------------------------------------ */

/**
 * aio_context_get_fd:
 * @context: a context
 *
 * Gets the descriptor that a foreign event loop polls for input on behalf of the context. It
 * belongs to the context: do not read from it, do not close it.
 *
 * It is another one once the context has descriptor handlers, so ask before each wait, or when you
 * have set the first. As long as you have not, and with the `poll` monitor, it does not tell of
 * them; then the timeout makes the foreign loop come back every 10 ms.
 *
 * Around every wait: call [method@Aio.Context.get_timeout_ns] before it, and
 * [method@Aio.Context.dispatch] after it, whether the descriptor was readable or not.
 *
 * Thread: any thread.
 *
 * Returns: a file descriptor
 *
 * Since: 1.0
 */
int
aio_context_get_fd (AioContext *context)
{
  int fd;

  g_return_val_if_fail (context != NULL, -1);
  if (!aio_anchor_is_usable (context->anchor, G_STRFUNC))
    return -1;

  /* Acquire, and before the number is read: the monitor stores the number first. If it opens
   * another file meanwhile the count is out of date, and get_timeout_ns() knows. */
  aio_store_relaxed (&context->given_opening, aio_load_acquire (&context->fds.n_openings));
  fd = aio_load_relaxed (&context->fds.fd);
  return fd >= 0 ? fd : context->anchor->notify.wakeup.read_fd;
}

/**
 * aio_context_get_timeout_ns:
 * @context: a context
 *
 * Tells how long a foreign event loop may sleep, and marks the context asleep until the next
 * [method@Aio.Context.dispatch], so that producers make its descriptor readable. Call it before
 * every wait.
 *
 * Thread: home thread. As for [method@Aio.Context.poll].
 *
 * Returns: nanoseconds; 0: do not sleep; -1: for ever
 *
 * Since: 1.0
 */
gint64
aio_context_get_timeout_ns (AioContext *context)
{
  gint64 timeout_ns;

  g_return_val_if_fail (context != NULL, -1);
  if (!aio_context_take_home (context, G_STRFUNC))
    return -1;

  timeout_ns = aio_context_park (context, AIO_SLEEP_EXACT).timeout_ns;
  if (aio_fd_set_is_active (&context->fds) && !is_given_fd_enough (context))
    timeout_ns = sooner (timeout_ns, BLIND_TIMEOUT_NS);
  return timeout_ns;
}

/**
 * aio_context_dispatch:
 * @context: a context
 *
 * Runs what is pending, after a foreign event loop has waited. To be called after every wait, ready
 * or not.
 *
 * Thread: home thread. As for [method@Aio.Context.poll].
 *
 * Returns: %TRUE if there was progress, see [method@Aio.Context.poll]
 *
 * Since: 1.0
 */
gboolean
aio_context_dispatch (AioContext *context)
{
  AioVisit visit;
  gboolean progress;
  gboolean slept;
  gboolean notified;

  g_return_val_if_fail (context != NULL, FALSE);
  if (!aio_context_enter (context, G_STRFUNC, &visit))
    return FALSE;

  /* The sleep that get_timeout_ns() was asked for is over; that of a GMainContext goes on. Nobody
   * tells whether the descriptor is readable, so it is read in any case. */
  slept = visit.parked && visit.parked_shell == NULL;
  visit.parked = visit.parked && !slept;
  notified = slept && took (context, aio_notify_take (&context->anchor->notify));
  aio_context_collect (context);
  if (G_UNLIKELY (context->wakes != NULL) && slept)
    aio_context_note_wake (context, notified);
  progress = aio_context_run_turn (context, AIO_SLEEP_EXACT, NULL);
  aio_context_leave (context, &visit);
  return progress;
}
