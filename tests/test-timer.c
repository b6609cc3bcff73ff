/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timers: when they fire and in which order, arming and cancelling, and what a callback may do. */
#include "loop-test.h"

static gint64
now_ns (Loop     *loop,
        AioClock  clock)
{
  return aio_context_get_time_ns (loop->context, clock);
}

/* A timer that counts, and looks at the clock. */
typedef struct _Alarm Alarm;

struct _Alarm
{
  AioTimer timer;
  Loop *loop;
  AioClock clock;
  gint64 deadline;
  guint n;
  guint id;
  void (*act) (Alarm *alarm);
  gpointer data;
};

static GArray *fired;           /* the ids, in the order in which they fired */

static void
alarm_fired (gpointer data)
{
  Alarm *alarm = data;

  g_assert_cmpint (now_ns (alarm->loop, alarm->clock), >=, alarm->deadline);
  g_assert_false (aio_timer_pending (&alarm->timer));
  g_assert_cmpint (aio_timer_expire_time_ns (&alarm->timer), ==, -1);
  alarm->n++;
  if (fired != NULL)
    g_array_append_val (fired, alarm->id);
  if (alarm->act != NULL)
    alarm->act (alarm);
}

static void
alarm_init (Alarm    *alarm,
            Loop     *loop,
            AioClock  clock)
{
  *alarm = (Alarm) { .loop = loop, .clock = clock };
  aio_timer_init (&alarm->timer, loop->context, clock, alarm_fired, alarm);
}

static void
alarm_set (Alarm  *alarm,
           gint64  deadline)
{
  alarm->deadline = deadline;
  aio_timer_mod_ns (&alarm->timer, deadline);
}

static void
alarm_clear (Alarm *alarm)
{
  aio_timer_clear (&alarm->timer);
}

/* --- When ------------------------------------------------------------------------------------- */

static void
test_once (Loop *loop)
{
  Alarm alarm;
  gint64 deadline;

  g_test_summary ("C22, C11: a timer fires once each time it is armed");

  g_assert_cmpuint (sizeof (AioTimer), ==, 16 * sizeof (gpointer));
  alarm_init (&alarm, loop, AIO_CLOCK_MONOTONIC);
  g_assert_false (aio_timer_pending (&alarm.timer));
  g_assert_cmpint (aio_timer_expire_time_ns (&alarm.timer), ==, -1);
  loop_pass (loop);
  g_assert_cmpuint (alarm.n, ==, 0);

  deadline = now_ns (loop, AIO_CLOCK_MONOTONIC) + 2 * MSEC;
  alarm_set (&alarm, deadline);
  g_assert_true (aio_timer_pending (&alarm.timer));
  g_assert_cmpint (aio_timer_expire_time_ns (&alarm.timer), ==, deadline);
  LOOP_WAIT (loop, alarm.n > 0);
  loop_pass (loop);
  g_assert_cmpuint (alarm.n, ==, 1);

  alarm_set (&alarm, now_ns (loop, AIO_CLOCK_MONOTONIC));
  loop_pass (loop);
  loop_pass (loop);
  g_assert_cmpuint (alarm.n, ==, 2);
  loop_assert_quiet (loop);
  alarm_clear (&alarm);
}

static void
test_clocks (Loop *loop)
{
  static const AioClock clocks[] = { AIO_CLOCK_MONOTONIC, AIO_CLOCK_BOOTTIME, AIO_CLOCK_REALTIME };
  static const gint64 steps[] = { -1, 0, 1, 1000, 99999, 100001, 999999, 1000000, 1000001, 1500000,
                                  2999999 };
  guint clock, i;

  g_test_summary ("C22, R19: on no clock does a timer fire early, whether its deadline is whole "
                  "milliseconds away or not");

  for (clock = 0; clock < G_N_ELEMENTS (clocks); clock++)
    {
      Alarm alarm;

      alarm_init (&alarm, loop, clocks[clock]);
      for (i = 0; i < G_N_ELEMENTS (steps); i++)
        {
          alarm_set (&alarm, now_ns (loop, clocks[clock]) + steps[i]);
          LOOP_WAIT (loop, alarm.n > i);
          g_assert_cmpuint (alarm.n, ==, i + 1);
        }
      alarm_clear (&alarm);
    }
}

static void
test_clocks_together (Loop *loop)
{
  static const AioClock clocks[] = { AIO_CLOCK_REALTIME, AIO_CLOCK_MONOTONIC, AIO_CLOCK_BOOTTIME };
  Alarm alarms[9];
  guint i, round, n;

  g_test_summary ("C22: timers on several clocks at once all fire, none early");

  for (i = 0; i < G_N_ELEMENTS (alarms); i++)
    alarm_init (&alarms[i], loop, clocks[i % 3]);
  for (round = 1; round <= 5; round++)
    {
      for (i = 0; i < G_N_ELEMENTS (alarms); i++)
        alarm_set (&alarms[i], now_ns (loop, clocks[i % 3]) + (i * 7 + round) % 9 * 300000);
      do
        {
          loop_turn (loop, TRUE);
          for (i = 0, n = 0; i < G_N_ELEMENTS (alarms); i++)
            n += alarms[i].n;
        }
      while (n < round * G_N_ELEMENTS (alarms));
    }
  for (i = 0; i < G_N_ELEMENTS (alarms); i++)
    {
      g_assert_cmpuint (alarms[i].n, ==, 5);
      alarm_clear (&alarms[i]);
    }
}

static void
test_time (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  gint64 before, after;

  g_test_summary ("C22: get_time_ns reads the clocks that GLib reads, in nanoseconds");

  before = g_get_monotonic_time () * 1000;
  after = aio_context_get_time_ns (context, AIO_CLOCK_MONOTONIC);
  g_assert_cmpint (after, >=, before);
  g_assert_cmpint (after, <=, (g_get_monotonic_time () + 1) * 1000);
  before = g_get_real_time () * 1000;
  after = aio_context_get_time_ns (context, AIO_CLOCK_REALTIME);
  g_assert_cmpint (after, >=, before);
  g_assert_cmpint (after, <=, (g_get_real_time () + 1) * 1000);
  before = aio_context_get_time_ns (context, AIO_CLOCK_MONOTONIC);
  after = aio_context_get_time_ns (context, AIO_CLOCK_BOOTTIME);
  g_assert_cmpint (after, >=, before);
}

static void
test_precise (Loop *loop)
{
  Alarm alarm;
  gint64 late = G_MAXINT64;
  guint i;

  g_test_summary ("C22: deadlines are kept below the millisecond, also where the poll counts in "
                  "milliseconds: some try at least is less than half of one late");

  if (monitor_is_poll () || way_is_foreign (loop->way))
    {
      g_test_skip ("about loops with a descriptor for timers");
      return;
    }
  alarm_init (&alarm, loop, AIO_CLOCK_MONOTONIC);
  for (i = 1; i <= 2000 && late > MSEC / 2; i++)
    {
      alarm_set (&alarm, now_ns (loop, AIO_CLOCK_MONOTONIC) + 200000);
      LOOP_WAIT (loop, alarm.n >= i);
      late = now_ns (loop, AIO_CLOCK_MONOTONIC) - alarm.deadline;
    }
  g_assert_cmpint (late, <=, MSEC / 2);
  alarm_clear (&alarm);
}

static void
test_no_spin (Loop *loop)
{
  Alarm alarm;
  guint i, n = 0;

  g_test_summary ("C14, R14, R19: waiting for a deadline takes a few iterations, not a spin in its "
                  "last millisecond");

  alarm_init (&alarm, loop, AIO_CLOCK_MONOTONIC);
  for (i = 1; i <= 10; i++)
    {
      alarm_set (&alarm, now_ns (loop, AIO_CLOCK_MONOTONIC) + 2 * MSEC + i * 77777);
      while (alarm.n < i)
        {
          loop_turn (loop, TRUE);
          n++;
        }
    }
  g_assert_cmpuint (n, <=, 60);
  alarm_clear (&alarm);
}

static void
schedule_again (gpointer data)
{
  aio_bh_schedule (*(AioBH **) data);
}

static void
test_fair (Loop *loop)
{
  AioClock clock;
  AioBH *bh = NULL;

  g_test_summary ("C4, C22: a bottom half that schedules itself, so that the loop never sleeps, "
                  "does not keep timers from firing");

  bh = aio_bh_new (loop->context, schedule_again, &bh);
  aio_bh_schedule (bh);
  for (clock = 0; clock < AIO_CLOCK_VIRTUAL; clock++)
    {
      Alarm alarm;

      alarm_init (&alarm, loop, clock);
      loop_pass (loop);
      alarm_set (&alarm, now_ns (loop, clock) + 2 * MSEC);
      LOOP_WAIT (loop, alarm.n > 0);
      alarm_clear (&alarm);
    }
  aio_bh_delete (bh);
}

static void
test_no_descriptor_left (Loop *loop)
{
  struct rlimit before, none;
  int lowest = dup (STDOUT_FILENO);
  AioClock clock;

  g_test_summary ("C27, C22: with no descriptor left for them timers still fire, and not early");

  close (lowest);
  loop_pass (loop);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  none = before;
  none.rlim_cur = lowest;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  for (clock = 0; clock < AIO_CLOCK_VIRTUAL; clock++)
    {
      Alarm alarm;

      alarm_init (&alarm, loop, clock);
      alarm_set (&alarm, now_ns (loop, clock) + 2 * MSEC + 1234);
      LOOP_WAIT (loop, alarm.n > 0);
      alarm_clear (&alarm);
    }
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &before), ==, 0);
}

static void
test_quiet (Loop *loop)
{
  static const gint64 ages[] = { HOUR, 24 * 365 * HOUR, G_MAXINT64 / 4, 0 };
  Alarm alarms[4][4];
  AioClock clock;
  guint i;

  g_test_summary ("C14, R14: timers far away, up to the end of time, cause no wakeup and no "
                  "negative timeout");

  for (clock = 0; clock < 4; clock++)
    for (i = 0; i < 4; i++)
      {
        alarm_init (&alarms[clock][i], loop, clock);
        alarm_set (&alarms[clock][i], ages[i] > 0 ? now_ns (loop, clock) + ages[i]
                                                  : G_MAXINT64 - clock);
      }
  for (i = 0; i < 4; i++)
    {
      loop_assert_quiet (loop);
      for (clock = 0; clock < 4; clock++)
        {
          g_assert_true (aio_timer_pending (&alarms[clock][i].timer));
          g_assert_cmpuint (alarms[clock][i].n, ==, 0);
          alarm_clear (&alarms[clock][i]);
        }
    }
}

static void
test_end_of_time (Loop *loop)
{
  static const gint64 deadlines[] = { G_MAXINT64, G_MAXINT64 - 1, G_MAXINT64 - SEC,
                                      G_MAXINT64 / 1000, G_GINT64_CONSTANT (1) << 62,
                                      (gint64) G_MAXINT * MSEC * 2, (gint64) G_MAXUINT * MSEC };
  guint i;

  g_test_summary ("C22, R14, C28: INT64_MAX and other huge deadlines are legal, and armed");

  for (i = 0; i < G_N_ELEMENTS (deadlines); i++)
    {
      Alarm far, near;
      gint64 deadline = deadlines[i];

      if (deadline < now_ns (loop, AIO_CLOCK_MONOTONIC) + HOUR)
        deadline += now_ns (loop, AIO_CLOCK_MONOTONIC) + HOUR;
      alarm_init (&far, loop, AIO_CLOCK_MONOTONIC);
      alarm_init (&near, loop, AIO_CLOCK_MONOTONIC);
      alarm_set (&far, deadline);
      g_assert_true (aio_timer_pending (&far.timer));
      g_assert_cmpint (aio_timer_expire_time_ns (&far.timer), ==, deadline);
      alarm_set (&near, now_ns (loop, AIO_CLOCK_MONOTONIC) + MSEC);
      LOOP_WAIT (loop, near.n > 0);
      if (i == 0)
        loop_assert_quiet (loop);
      g_assert_cmpuint (far.n, ==, 0);
      g_assert_true (aio_timer_del (&far.timer));
      alarm_clear (&far);
      alarm_clear (&near);
    }
}

static void
test_past (Loop *loop)
{
  static const gint64 deadlines[] = { G_MININT64, G_MININT64 + 1, -SEC, -2, -1, 0, 1 };
  AioClock clock;
  guint i;

  g_test_summary ("C22, C28: deadlines in the past, 0 and negative ones are due now, and armed "
                  "until they have fired");

  for (clock = AIO_CLOCK_MONOTONIC; clock <= AIO_CLOCK_VIRTUAL; clock++)
    for (i = 0; i < G_N_ELEMENTS (deadlines); i++)
      {
        Alarm alarm;

        if (clock == AIO_CLOCK_VIRTUAL && deadlines[i] > 0)
          continue;
        alarm_init (&alarm, loop, clock);
        alarm_set (&alarm, deadlines[i]);
        g_assert_true (aio_timer_pending (&alarm.timer));
        g_assert_cmpint (aio_timer_expire_time_ns (&alarm.timer), !=, -1);
        if (i % 2)
          LOOP_WAIT (loop, alarm.n > 0);
        else
          loop_pass (loop);
        loop_pass (loop);
        g_assert_cmpuint (alarm.n, ==, 1);
        alarm_clear (&alarm);
      }
}

static void
test_virtual (Loop *loop)
{
  static const struct
  {
    gint64 deadline;
    guint n;
  } table[] = {
    { G_MININT64, 1 }, { -1000000, 1 }, { -1, 1 }, { 0, 1 }, { 1, 0 }, { 2, 0 }, { 999, 0 },
    { 1000, 0 }, { 999999, 0 }, { 1000000, 0 }, { 1000001, 0 }, { SEC, 0 }, { G_MAXINT64, 0 },
  };
  Alarm alarms[G_N_ELEMENTS (table)];
  guint i;

  g_test_summary ("R19, C22: the virtual clock of a context begins at 0 and stands still: what is "
                  "due at 0 fires, what is due at 1 does not, and nothing waits for it");

  g_assert_cmpint (now_ns (loop, AIO_CLOCK_VIRTUAL), ==, 0);
  for (i = 0; i < G_N_ELEMENTS (table); i++)
    {
      alarm_init (&alarms[i], loop, AIO_CLOCK_VIRTUAL);
      alarm_set (&alarms[i], table[i].deadline);
    }
  loop_pass (loop);
  loop_assert_quiet (loop);
  for (i = 0; i < G_N_ELEMENTS (table); i++)
    {
      g_assert_cmpuint (alarms[i].n, ==, table[i].n);
      g_assert_true (aio_timer_pending (&alarms[i].timer) == (table[i].n == 0));
      alarm_clear (&alarms[i]);
    }
  g_assert_cmpint (now_ns (loop, AIO_CLOCK_VIRTUAL), ==, 0);
}

/* How long would the one who sleeps for the context sleep? Milliseconds, -1 for ever. */
static int
timeout_of (Loop *loop)
{
  GPollFD fds[LOOP_MAX_FDS];
  int priority, timeout;

  if (way_is_foreign (loop->way))
    {
      timeout = loop_ms_from_ns (aio_context_get_timeout_ns (loop->context));
      aio_context_dispatch (loop->context);
      return timeout;
    }
  g_assert_true (g_main_context_acquire (loop->main_context));
  g_main_context_prepare (loop->main_context, &priority);
  g_main_context_query (loop->main_context, priority, &timeout, fds, LOOP_MAX_FDS);
  g_main_context_release (loop->main_context);
  return timeout;
}

static void
test_timeout (Loop *loop)
{
  Alarm alarm;
  int timeout;

  g_test_summary ("C31, R14, R19: the timeout is endless without a timer; with one it is not "
                  "longer than its deadline, in the right unit, unless a descriptor tells; with "
                  "one on the virtual clock it is endless; with one that is due it is 0");

  if (loop->way == WAY_POLL)
    {
      g_test_skip ("its timeout is its own");
      return;
    }
  g_assert_cmpint (timeout_of (loop), ==, -1);
  alarm_init (&alarm, loop, AIO_CLOCK_MONOTONIC);
  alarm_set (&alarm, now_ns (loop, AIO_CLOCK_MONOTONIC) + 5 * SEC);
  timeout = timeout_of (loop);
  g_assert_cmpint (timeout, <=, 5001);
  g_assert_true (timeout == -1 || timeout > 0);
  if (timeout >= 0 && !(monitor_is_poll () && way_is_foreign (loop->way)))
    g_assert_cmpint (timeout, >, 1000);

  alarm_set (&alarm, now_ns (loop, AIO_CLOCK_MONOTONIC));
  if (way_is_foreign (loop->way))
    g_assert_cmpint (aio_context_get_timeout_ns (loop->context), ==, 0);
  LOOP_WAIT (loop, alarm.n > 0);
  alarm_clear (&alarm);

  alarm_init (&alarm, loop, AIO_CLOCK_VIRTUAL);
  alarm_set (&alarm, 1);
  g_assert_cmpint (timeout_of (loop), ==, -1);
  alarm_clear (&alarm);
  g_assert_cmpint (timeout_of (loop), ==, -1);
}

/* GLib counts milliseconds in an int, which has room for 24 days. */
static void
test_far_timeout (Loop *loop)
{
  static const int days[] = { 25, 40, 50, 36500 };
  Alarm alarm;

  g_test_summary ("R14, C22: no deadline is so far away that the timeout becomes negative, or "
                  "short");

  if (loop->way == WAY_POLL)
    {
      g_test_skip ("its timeout is its own");
      return;
    }
  alarm_init (&alarm, loop, AIO_CLOCK_MONOTONIC);
  for (guint i = 0; i < G_N_ELEMENTS (days); i++)
    {
      int timeout;

      alarm_set (&alarm, now_ns (loop, AIO_CLOCK_MONOTONIC) + days[i] * 24 * HOUR);
      timeout = timeout_of (loop);
      g_assert_true (timeout == -1 || timeout > 20 * 24 * 3600 * 1000 ||
                     (monitor_is_poll () && way_is_foreign (loop->way)));
      g_assert_cmpint (timeout, >=, -1);
    }
  alarm_clear (&alarm);
}

static void
test_progress (Loop *loop)
{
  Alarm alarm;

  g_test_summary ("C11: a timer that fired is progress, one that did not is not");

  alarm_init (&alarm, loop, AIO_CLOCK_MONOTONIC);
  alarm_set (&alarm, now_ns (loop, AIO_CLOCK_MONOTONIC) + HOUR);
  g_assert_false (loop_pass (loop));
  alarm_set (&alarm, 0);
  g_assert_true (loop_pass (loop));
  g_assert_false (loop_pass (loop));
  alarm_set (&alarm, now_ns (loop, AIO_CLOCK_MONOTONIC) + MSEC);
  while (alarm.n < 2)
    g_assert_true (loop_turn (loop, TRUE) || way_is_foreign (loop->way));
  alarm_clear (&alarm);
}

static gboolean
is_over (gpointer data)
{
  return !aio_timer_pending (data);
}

static void
test_poll_until (void)
{
  Loop loop;
  Alarm alarm;
  gint64 before;

  g_test_summary ("C11, C22: poll_until ends at its timeout although a timer is far away, and is "
                  "ended by one that its predicate waits for");

  loop_init (&loop, WAY_POLL, "until");
  alarm_init (&alarm, &loop, AIO_CLOCK_MONOTONIC);
  alarm_set (&alarm, now_ns (&loop, AIO_CLOCK_MONOTONIC) + HOUR);
  before = g_get_monotonic_time ();
  g_assert_false (aio_context_poll_until (loop.context, is_over, &alarm.timer, 3000));
  g_assert_cmpint (g_get_monotonic_time () - before, >=, 3000);
  alarm_set (&alarm, now_ns (&loop, AIO_CLOCK_MONOTONIC) + MSEC);
  g_assert_true (aio_context_poll_until (loop.context, is_over, &alarm.timer, -1));
  alarm_clear (&alarm);
  loop_clear (&loop);
}

/* --- In which order --------------------------------------------------------------------------- */

#define N_ORDERED 100

typedef struct
{
  gint64 deadline;
  guint armed;
} Rank;

static int
compare_ranks (gconstpointer a,
               gconstpointer b,
               gpointer      data)
{
  const Rank *ranks = data;
  guint i = *(const guint *) a;
  guint j = *(const guint *) b;

  if (ranks[i].deadline != ranks[j].deadline)
    return ranks[i].deadline < ranks[j].deadline ? -1 : 1;
  return ranks[i].armed < ranks[j].armed ? -1 : 1;
}

static void
begin_order (void)
{
  fired = g_array_new (FALSE, FALSE, sizeof (guint));
}

static void
end_order (void)
{
  g_clear_pointer (&fired, g_array_unref);
}

/* Arms all, some several times, cancels some, and sees them fire in the order of a plain sort. */
static void
order_round (Loop     *loop,
             guint     n_deadlines,
             gboolean  ahead)
{
  g_autofree Alarm *alarms = g_new (Alarm, N_ORDERED);
  Rank ranks[N_ORDERED];
  guint expected[N_ORDERED];
  guint i, j, n = 0, n_armed = 0;
  gint64 base = now_ns (loop, AIO_CLOCK_MONOTONIC) + (ahead ? 2 * MSEC : -SEC);

  begin_order ();
  for (i = 0; i < N_ORDERED; i++)
    {
      alarm_init (&alarms[i], loop, AIO_CLOCK_MONOTONIC);
      alarms[i].id = i;
    }
  for (i = 0; i < 3 * N_ORDERED; i++)
    {
      j = g_test_rand_int_range (0, N_ORDERED);
      ranks[j].deadline = base + g_test_rand_int_range (0, n_deadlines);
      ranks[j].armed = n_armed++;
      aio_timer_del (&alarms[j].timer);
      if (i % 4 != 3)
        alarm_set (&alarms[j], ranks[j].deadline);
    }
  for (i = 0; i < N_ORDERED; i++)
    if (aio_timer_pending (&alarms[i].timer))
      expected[n++] = i;
  g_qsort_with_data (expected, n, sizeof (guint), compare_ranks, ranks);

  LOOP_WAIT (loop, fired->len >= n);
  loop_pass (loop);
  g_assert_cmpuint (fired->len, ==, n);
  for (i = 0; i < n; i++)
    g_assert_cmpuint (g_array_index (fired, guint, i), ==, expected[i]);
  for (i = 0; i < N_ORDERED; i++)
    alarm_clear (&alarms[i]);
  end_order ();
}

static void
test_order (Loop *loop)
{
  guint i, rounds = g_test_thorough () ? 500 : 10;

  g_test_summary ("C22, R19: timers fire in the order of their deadlines, and of arming where "
                  "those are equal; those that were cancelled do not");

  for (i = 0; i < rounds; i++)
    {
      order_round (loop, 1, FALSE);
      order_round (loop, 10, i % 2);
      order_round (loop, 100000, i % 2);
    }
}

static void
test_arm_order (Loop *loop)
{
  gint64 deadline = now_ns (loop, AIO_CLOCK_MONOTONIC) - SEC;
  Alarm alarms[10];
  guint i;

  g_test_summary ("C22: equal deadlines fire in arm order, also when one that fired is armed for "
                  "the same deadline again");

  begin_order ();
  for (i = 0; i < 10; i++)
    {
      alarm_init (&alarms[i], loop, AIO_CLOCK_MONOTONIC);
      alarms[i].id = i;
    }
  for (i = 0; i < 10; i++)
    alarm_set (&alarms[i * 3 % 10], deadline);
  loop_pass (loop);
  g_assert_cmpuint (fired->len, ==, 10);
  for (i = 0; i < 10; i++)
    g_assert_cmpuint (g_array_index (fired, guint, i), ==, i * 3 % 10);
  for (i = 0; i < 10; i++)
    alarm_set (&alarms[9 - i], deadline);
  loop_pass (loop);
  g_assert_cmpuint (fired->len, ==, 20);
  for (i = 0; i < 10; i++)
    {
      g_assert_cmpuint (g_array_index (fired, guint, 10 + i), ==, 9 - i);
      alarm_clear (&alarms[i]);
    }
  end_order ();
}

/* --- Arming and cancelling -------------------------------------------------------------------- */

static void
test_mod (Loop *loop)
{
  Alarm alarm;
  gint64 now = now_ns (loop, AIO_CLOCK_MONOTONIC);

  g_test_summary ("C22: arming an armed timer moves it, to earlier or later; it fires once");

  alarm_init (&alarm, loop, AIO_CLOCK_MONOTONIC);
  alarm_set (&alarm, now + HOUR);
  alarm_set (&alarm, now + 2 * HOUR);
  g_assert_cmpint (aio_timer_expire_time_ns (&alarm.timer), ==, now + 2 * HOUR);
  loop_pass (loop);
  alarm_set (&alarm, now + MSEC);
  g_assert_cmpint (aio_timer_expire_time_ns (&alarm.timer), ==, now + MSEC);
  LOOP_WAIT (loop, alarm.n > 0);
  loop_pass (loop);
  g_assert_cmpuint (alarm.n, ==, 1);

  alarm_set (&alarm, now);
  alarm_set (&alarm, now_ns (loop, AIO_CLOCK_MONOTONIC) + HOUR);
  loop_pass (loop);
  g_assert_cmpuint (alarm.n, ==, 1);
  alarm_set (&alarm, now);
  alarm_set (&alarm, now);
  loop_pass (loop);
  loop_pass (loop);
  g_assert_cmpuint (alarm.n, ==, 2);
  alarm_clear (&alarm);
}

static void
test_anticipate (Loop *loop)
{
  static const struct
  {
    gint64 before;              /* -1: not armed */
    gint64 deadline;
    gboolean result;
    gint64 after;
  } table[] = {
    { -1, 500, TRUE, 500 }, { -1, G_MAXINT64, TRUE, G_MAXINT64 }, { 500, 499, TRUE, 499 },
    { 500, 500, FALSE, 500 }, { 500, 501, FALSE, 500 }, { 500, G_MAXINT64, FALSE, 500 },
    { G_MAXINT64, G_MAXINT64, FALSE, G_MAXINT64 }, { G_MAXINT64, 1, TRUE, 1 },
    { 1, 2, FALSE, 1 },
  };
  Alarm alarm;
  guint i;

  g_test_summary ("C22, R19: mod_anticipate arms, or moves to earlier, and tells whether it did; a "
                  "table on the virtual clock");

  alarm_init (&alarm, loop, AIO_CLOCK_VIRTUAL);
  for (i = 0; i < G_N_ELEMENTS (table); i++)
    {
      aio_timer_del (&alarm.timer);
      if (table[i].before >= 0)
        aio_timer_mod_ns (&alarm.timer, table[i].before);
      g_assert_true (aio_timer_mod_anticipate_ns (&alarm.timer, table[i].deadline) ==
                     table[i].result);
      g_assert_cmpint (aio_timer_expire_time_ns (&alarm.timer), ==, table[i].after);
    }
  loop_pass (loop);
  g_assert_cmpuint (alarm.n, ==, 0);
  g_assert_true (aio_timer_mod_anticipate_ns (&alarm.timer, -5));
  g_assert_false (aio_timer_mod_anticipate_ns (&alarm.timer, 1));
  loop_pass (loop);
  g_assert_cmpuint (alarm.n, ==, 1);
  alarm_clear (&alarm);
}

static void
test_del (Loop *loop)
{
  Alarm alarm;

  g_test_summary ("C22: del cancels, and tells whether the timer was armed, due or not");

  alarm_init (&alarm, loop, AIO_CLOCK_MONOTONIC);
  g_assert_false (aio_timer_del (&alarm.timer));
  g_assert_false (aio_timer_del_sync (&alarm.timer));
  alarm_set (&alarm, G_MAXINT64);
  g_assert_true (aio_timer_del (&alarm.timer));
  g_assert_false (aio_timer_del (&alarm.timer));
  alarm_set (&alarm, 0);
  g_assert_true (aio_timer_del_sync (&alarm.timer));
  g_assert_false (aio_timer_pending (&alarm.timer));
  g_assert_cmpint (aio_timer_expire_time_ns (&alarm.timer), ==, -1);
  loop_assert_quiet (loop);
  g_assert_cmpuint (alarm.n, ==, 0);

  alarm_set (&alarm, 0);
  loop_pass (loop);
  g_assert_cmpuint (alarm.n, ==, 1);
  g_assert_false (aio_timer_del (&alarm.timer));
  alarm_clear (&alarm);
}

/* --- In callbacks ----------------------------------------------------------------------------- */

static void
arm_again (Alarm *alarm)
{
  alarm_set (alarm->data != NULL ? alarm->data : alarm, alarm->deadline - (alarm->n % 3));
}

static void
test_arm_again (Loop *loop)
{
  Alarm alarm;
  guint i;

  g_test_summary ("C22: a timer armed again in its callback, even for the past, fires in the next "
                  "pass, and not in this one");

  alarm_init (&alarm, loop, AIO_CLOCK_MONOTONIC);
  alarm.act = arm_again;
  alarm_set (&alarm, now_ns (loop, AIO_CLOCK_MONOTONIC) - SEC);
  for (i = 1; i <= 10; i++)
    {
      loop_pass (loop);
      g_assert_cmpuint (alarm.n, ==, i);
    }
  LOOP_WAIT (loop, alarm.n > 20);
  alarm_clear (&alarm);
}

static void
test_ping_pong (Loop *loop)
{
  Alarm alarms[2];
  guint i;

  g_test_summary ("C22: two timers that arm each other for the past cannot hang a pass");

  for (i = 0; i < 2; i++)
    {
      alarm_init (&alarms[i], loop, i == 0 ? AIO_CLOCK_MONOTONIC : AIO_CLOCK_VIRTUAL);
      alarms[i].act = arm_again;
      alarms[i].data = &alarms[1 - i];
    }
  alarm_set (&alarms[0], 0);
  for (i = 1; i <= 10; i++)
    {
      loop_pass (loop);
      g_assert_cmpuint (alarms[0].n + alarms[1].n, ==, i);
    }
  for (i = 0; i < 2; i++)
    alarm_clear (&alarms[i]);
}

static void
cancel_other (Alarm *alarm)
{
  Alarm *other = alarm->data;

  g_assert_true (aio_timer_pending (&other->timer));
  g_assert_cmpint (aio_timer_expire_time_ns (&other->timer), ==, other->deadline);
  g_assert_true (aio_timer_del (&other->timer));
  g_assert_false (aio_timer_pending (&other->timer));
  g_assert_false (aio_timer_del (&other->timer));
}

static void
put_off_other (Alarm *alarm)
{
  alarm_set (alarm->data, now_ns (alarm->loop, AIO_CLOCK_MONOTONIC) + HOUR);
}

static void
test_due_one (Loop *loop)
{
  gint64 past = now_ns (loop, AIO_CLOCK_MONOTONIC) - SEC;
  Alarm alarms[3];
  guint i;

  g_test_summary ("C22, C21: a timer that is due in this pass is armed still: the one before it "
                  "cancels it or puts it off, and it does not fire");

  for (i = 0; i < 3; i++)
    {
      alarm_init (&alarms[i], loop, AIO_CLOCK_MONOTONIC);
      alarm_set (&alarms[i], past + i);
    }
  alarms[0].act = cancel_other;
  alarms[0].data = &alarms[1];
  loop_pass (loop);
  g_assert_cmpuint (alarms[0].n, ==, 1);
  g_assert_cmpuint (alarms[1].n, ==, 0);
  g_assert_cmpuint (alarms[2].n, ==, 1);

  for (i = 0; i < 3; i++)
    alarm_set (&alarms[i], past + i);
  alarms[0].act = put_off_other;
  loop_pass (loop);
  loop_pass (loop);
  g_assert_cmpuint (alarms[0].n, ==, 2);
  g_assert_cmpuint (alarms[1].n, ==, 0);
  g_assert_cmpuint (alarms[2].n, ==, 2);
  g_assert_true (aio_timer_pending (&alarms[1].timer));
  for (i = 0; i < 3; i++)
    alarm_clear (&alarms[i]);
}

static void
bring_forward_other (Alarm *alarm)
{
  Alarm *other = alarm->data;

  if (other->n == 0)
    {
      other->deadline = alarm->deadline - 10;
      g_assert_true (aio_timer_mod_anticipate_ns (&other->timer, alarm->deadline - 10));
    }
}

static void
test_anticipated_due (Loop *loop)
{
  gint64 past = now_ns (loop, AIO_CLOCK_MONOTONIC) - SEC;
  Alarm alarms[2];
  guint i;

  g_test_summary ("C22: a timer that is due in this pass and is armed for earlier by the one "
                  "before it fires once, in this pass or the next");

  for (i = 0; i < 2; i++)
    {
      alarm_init (&alarms[i], loop, AIO_CLOCK_MONOTONIC);
      alarm_set (&alarms[i], past + i);
    }
  alarms[0].act = bring_forward_other;
  alarms[0].data = &alarms[1];
  loop_pass (loop);
  loop_pass (loop);
  loop_pass (loop);
  for (i = 0; i < 2; i++)
    {
      g_assert_cmpuint (alarms[i].n, ==, 1);
      alarm_clear (&alarms[i]);
    }
}

static guint n_destroyed;

static void
count_destroyed (gpointer data)
{
  n_destroyed++;
}

static void
free_self (gpointer data)
{
  Alarm *alarm = data;

  aio_timer_clear (&alarm->timer);
  memset (alarm, 0x55, sizeof *alarm);
  g_free (alarm);
  n_destroyed++;
}

static void
arm_and_free_self (gpointer data)
{
  Alarm *alarm = data;

  aio_timer_mod_ns (&alarm->timer, 0);
  free_self (data);
}

static void
nest_and_free_self (gpointer data)
{
  Alarm *alarm = data;

  loop_pass (alarm->loop);
  free_self (data);
}

static void
test_clear_self (Loop *loop)
{
  static const AioTimerFunc funcs[] = { free_self, arm_and_free_self, nest_and_free_self };
  guint i;

  g_test_summary ("C22, C23, R9, R18: a timer may be cleared in its own callback, armed again or "
                  "not, and the memory that it lies in freed");

  n_destroyed = 0;
  for (i = 0; i < G_N_ELEMENTS (funcs); i++)
    {
      Alarm *alarm = g_new0 (Alarm, 1);

      alarm->loop = loop;
      aio_timer_init (&alarm->timer, loop->context, AIO_CLOCK_MONOTONIC, funcs[i], alarm);
      aio_timer_mod_ns (&alarm->timer, 0);
      LOOP_WAIT (loop, n_destroyed > i);
      loop_pass (loop);
    }
  g_assert_cmpuint (n_destroyed, ==, i);
  loop_assert_quiet (loop);
}

typedef struct
{
  Loop *loop;
  AioTimer *timers[4];
  guint who_acts;
  guint victim;
  gboolean frees;
  guint n[4];
  guint depth;
  guint wanted_depth;
} Victims;

typedef struct
{
  Victims *victims;
  guint index;
} Member;

static void
member_fired (gpointer data)
{
  Member *member = data;
  Victims *victims = member->victims;
  guint index = member->index;

  victims->n[index]++;
  victims->depth++;
  if (index < victims->who_acts && victims->depth < victims->wanted_depth)
    loop_pass (victims->loop);
  if (index == victims->who_acts)
    {
      if (victims->depth < victims->wanted_depth)
        loop_pass (victims->loop);
      g_clear_pointer (&victims->timers[victims->victim], aio_timer_free);
    }
  victims->depth--;
}

static void
test_free_matrix (Loop *loop)
{
  gint64 past = now_ns (loop, AIO_CLOCK_MONOTONIC) - SEC;
  guint who, victim, depth, i;

  g_test_summary ("R9, R18, C23: in a timer's callback free itself, the one before, the next, the "
                  "last, at depth 1 to 3; the destroy notify of each runs once");

  for (who = 0; who < 4; who++)
    for (victim = 0; victim < 4; victim++)
      for (depth = 1; depth <= 3; depth++)
        {
          Victims victims = { .loop = loop, .who_acts = who, .victim = victim };
          Member members[4];

          victims.wanted_depth = depth;
          n_destroyed = 0;
          for (i = 0; i < 4; i++)
            {
              members[i] = (Member) { &victims, i };
              victims.timers[i] = aio_timer_new (loop->context, AIO_CLOCK_MONOTONIC, member_fired,
                                                 &members[i], count_destroyed);
              aio_timer_mod_ns (victims.timers[i], past + i);
            }
          loop_pass (loop);
          loop_pass (loop);
          g_assert_cmpuint (n_destroyed, ==, 1);
          for (i = 0; i < 4; i++)
            g_assert_cmpuint (victims.n[i], ==,
                              i == victim && i > who && depth == 1 ? 0 : victims.n[i] ? 1 : 0);
          g_assert_cmpuint (victims.n[who], ==, 1);
          for (i = 0; i < 4; i++)
            aio_timer_free (victims.timers[i]);
          g_assert_cmpuint (n_destroyed, ==, 4);
        }
}

static void
heap_fired (gpointer data)
{
  AioTimer **timer = data;

  g_clear_pointer (timer, aio_timer_free);
  g_assert_cmpuint (n_destroyed, ==, 0);
}

static void
test_free (Loop *loop)
{
  AioTimer *timer;
  int unused;

  g_test_summary ("R18, C23, C28: freeing an armed timer, a due one, one in its own callback, and "
                  "NULL is fine; the destroy notify runs once, after the callback");

  n_destroyed = 0;
  aio_timer_free (NULL);
  timer = aio_timer_new (loop->context, AIO_CLOCK_MONOTONIC, heap_fired, &unused, count_destroyed);
  aio_timer_free (timer);
  g_assert_cmpuint (n_destroyed, ==, 1);
  timer = aio_timer_new (loop->context, AIO_CLOCK_REALTIME, heap_fired, &unused, count_destroyed);
  aio_timer_mod_ns (timer, G_MAXINT64);
  aio_timer_free (timer);
  g_assert_cmpuint (n_destroyed, ==, 2);
  timer = aio_timer_new (loop->context, AIO_CLOCK_BOOTTIME, heap_fired, &unused, count_destroyed);
  aio_timer_mod_ns (timer, 0);
  aio_timer_free (timer);
  g_assert_cmpuint (n_destroyed, ==, 3);
  timer = aio_timer_new (loop->context, AIO_CLOCK_BOOTTIME, heap_fired, &unused, NULL);
  aio_timer_free (timer);
  loop_assert_quiet (loop);

  n_destroyed = 0;
  timer = aio_timer_new (loop->context, AIO_CLOCK_MONOTONIC, heap_fired, &timer, count_destroyed);
  aio_timer_mod_ns (timer, 0);
  LOOP_WAIT (loop, timer == NULL);
  g_assert_cmpuint (n_destroyed, ==, 1);
}

static void
test_boxed (Loop *loop)
{
  AioTimer *timer, *copy;
  Alarm alarm = { .loop = loop };

  g_test_summary ("R18, C23: a boxed copy of a heap timer keeps it");

  n_destroyed = 0;
  g_assert_true (G_TYPE_IS_BOXED (AIO_TYPE_TIMER));
  timer = aio_timer_new (loop->context, AIO_CLOCK_MONOTONIC, count_destroyed, &alarm, NULL);
  copy = g_boxed_copy (AIO_TYPE_TIMER, timer);
  aio_timer_free (timer);
  aio_timer_mod_ns (copy, 0);
  loop_pass (loop);
  g_assert_cmpuint (n_destroyed, ==, 1);
  g_boxed_free (AIO_TYPE_TIMER, copy);
}

static AioTimer *borrowed;

static void
borrow (gpointer data)
{
  n_destroyed++;
  g_boxed_free (AIO_TYPE_TIMER, g_boxed_copy (AIO_TYPE_TIMER, borrowed));
}

static void
borrow_freed (gpointer data)
{
  aio_timer_free (borrowed);
  g_boxed_free (AIO_TYPE_TIMER, g_boxed_copy (AIO_TYPE_TIMER, borrowed));
}

static void
test_borrowed_while_freed (Loop *loop)
{
  g_test_summary ("C23: the destroy notify of a timer that is freed may copy it and free the copy; "
                  "so may its callback, once it has freed it");

  n_destroyed = 0;
  borrowed = aio_timer_new (loop->context, AIO_CLOCK_MONOTONIC, borrow_freed, NULL, borrow);
  aio_timer_free (borrowed);
  g_assert_cmpuint (n_destroyed, ==, 1);
  borrowed = aio_timer_new (loop->context, AIO_CLOCK_MONOTONIC, borrow_freed, NULL, borrow);
  aio_timer_mod_ns (borrowed, 0);
  LOOP_WAIT (loop, n_destroyed == 2);
  loop_assert_quiet (loop);
}

static void
test_use_again (Loop *loop)
{
  Alarm alarm;
  guint i;

  g_test_summary ("C23: a timer that was cleared, twice even, may be used anew, on another clock");

  for (i = 0; i < 4; i++)
    {
      alarm_init (&alarm, loop, i % AIO_CLOCK_VIRTUAL);
      alarm_set (&alarm, 0);
      LOOP_WAIT (loop, alarm.n > 0);
      alarm_set (&alarm, 0);
      alarm_clear (&alarm);
      alarm_clear (&alarm);
    }
  loop_assert_quiet (loop);
}

/* --- The end of things ------------------------------------------------------------------------ */

static void
test_leftover (Loop *loop)
{
  Alarm embedded;
  AioTimer *heap;
  Reports reports;

  g_test_summary ("C24: timers that are armed still when the context ends are reported by name, "
                  "and the destroy notify of a heap timer runs once; both may be freed then");

  n_destroyed = 0;
  alarm_init (&embedded, loop, AIO_CLOCK_MONOTONIC);
  alarm_set (&embedded, 0);
  heap = aio_timer_new (loop->context, AIO_CLOCK_REALTIME, count_destroyed, NULL, count_destroyed);
  aio_timer_mod_ns (heap, G_MAXINT64);
  aio_timer_set_name (&embedded.timer, "toaster");
  aio_timer_set_name (heap, "kettle");
  reports_begin (&reports);
  loop_clear (loop);
  g_assert_cmpuint (reports.n, ==, 1);
  g_assert_true (reports_mention (&reports, "loopy"));
  g_assert_true (reports_mention (&reports, "timer “toaster” (monotonic)"));
  g_assert_true (reports_mention (&reports, "timer “kettle” (realtime)"));
  reports_end (&reports);
  g_assert_cmpuint (n_destroyed, ==, 1);
  g_assert_cmpuint (embedded.n, ==, 0);

  aio_timer_mod_ns (&embedded.timer, 0);
  aio_timer_mod_ns (heap, 0);
  g_assert_false (aio_timer_del (&embedded.timer));
  alarm_clear (&embedded);
  aio_timer_free (heap);
  g_assert_cmpuint (n_destroyed, ==, 1);
}

static void
test_outlives (Loop *loop)
{
  Alarm embedded;

  g_test_summary ("C23, R18: a timer that is not armed may outlive its context");

  alarm_init (&embedded, loop, AIO_CLOCK_MONOTONIC);
  loop_clear (loop);
  g_assert_false (aio_timer_pending (&embedded.timer));
  g_assert_false (aio_timer_del (&embedded.timer));
  g_assert_false (aio_timer_del_sync (&embedded.timer));
  alarm_clear (&embedded);
}

static void
drop_context (Alarm *alarm)
{
  Loop *loop = alarm->loop;

  if (loop->main_context != NULL)
    aio_context_detach (loop->context);
  aio_context_unref (g_steal_pointer (&loop->context));
  alarm_clear (alarm);
}

static void
test_last_reference (Loop *loop)
{
  Alarm alarm;

  g_test_summary ("C23: the last reference may go in a timer's callback");

  alarm_init (&alarm, loop, AIO_CLOCK_MONOTONIC);
  alarm.act = drop_context;
  alarm_set (&alarm, now_ns (loop, AIO_CLOCK_MONOTONIC) + MSEC);
  while (alarm.n == 0)
    loop_turn (loop, TRUE);
  g_assert_cmpuint (alarm.n, ==, 1);
}

static void
detach (Alarm *alarm)
{
  aio_context_detach (alarm->loop->context);
}

static void
test_detach (Loop *loop)
{
  gint64 past = now_ns (loop, AIO_CLOCK_MONOTONIC) - SEC;
  Alarm alarms[3];
  guint i;

  g_test_summary ("C16, C22: a detach in a callback ends the pass after it; the timers that were "
                  "due then fire later, in order");

  begin_order ();
  for (i = 0; i < 3; i++)
    {
      alarm_init (&alarms[i], loop, AIO_CLOCK_MONOTONIC);
      alarms[i].id = i;
      alarm_set (&alarms[i], past + i);
    }
  alarms[0].act = detach;
  loop_pass (loop);
  loop_pass (loop);
  g_assert_cmpuint (fired->len, ==, 1);
  g_assert_true (aio_timer_pending (&alarms[1].timer));
  aio_context_attach (loop->context, loop->main_context);
  LOOP_WAIT (loop, fired->len == 3);
  for (i = 0; i < 3; i++)
    {
      g_assert_cmpuint (g_array_index (fired, guint, i), ==, i);
      alarm_clear (&alarms[i]);
    }
  end_order ();
}

static void
test_moves (Loop *loop)
{
  Loop other;
  Alarm alarm;
  Way way;
  guint n = 0;

  g_test_summary ("C18, C22: a timer fires whoever drives the context next, also when another one "
                  "has set a descriptor for it and left");

  alarm_init (&alarm, loop, AIO_CLOCK_MONOTONIC);
  for (way = 0; way < N_WAYS; way++)
    {
      alarm_set (&alarm, now_ns (loop, AIO_CLOCK_MONOTONIC) + 3 * MSEC);
      loop_pass (loop);
      if (loop->main_context != NULL)
        aio_context_detach (loop->context);
      other = (Loop) { .context = loop->context, .way = way };
      loop_init_driver (&other);
      LOOP_WAIT (&other, alarm.n > n);
      n = alarm.n;
      if (other.main_context != NULL)
        aio_context_detach (loop->context);
      loop_clear_driver (&other);
      if (loop->main_context != NULL)
        aio_context_attach (loop->context, loop->main_context);
    }
  alarm_clear (&alarm);
}

/* What the kernel tells about the timerfds of this process: is there one on the wall clock that
 * notices when that is set (TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)? */
static gboolean
notices_setting (void)
{
  GDir *dir = g_dir_open ("/proc/self/fdinfo", 0, NULL);
  gboolean found = FALSE;
  const char *name;

  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *path = g_build_filename ("/proc/self/fdinfo", name, NULL);
      g_autofree char *text = NULL;

      if (g_file_get_contents (path, &text, NULL, NULL) &&
          g_regex_match_simple ("^clockid: 0$", text, G_REGEX_MULTILINE, 0) &&
          g_regex_match_simple ("^settime flags: 0?3$", text, G_REGEX_MULTILINE, 0))
        found = TRUE;
    }
  g_dir_close (dir);
  return found;
}

typedef struct
{
  Loop *loop;
  atomic_bool found;
  atomic_bool over;
} Sight;

static void *
look_at_sleeper (void *data)
{
  Sight *sight = data;

  thread_await_asleep (sight->loop->tid);
  atomic_store (&sight->found, notices_setting ());
  atomic_store (&sight->over, TRUE);
  aio_context_notify (sight->loop->context);
  return NULL;
}

static void
test_clock_is_set (Loop *loop)
{
  Alarm alarm;
  Sight sight = { .loop = loop };
  pthread_t thread;

  g_test_summary ("C22: who sleeps for a timer on the wall clock is woken when that is set");

  if (monitor_is_poll ())
    {
      g_test_skip ("about the descriptors in an epoll set");
      return;
    }
  alarm_init (&alarm, loop, AIO_CLOCK_REALTIME);
  alarm_set (&alarm, now_ns (loop, AIO_CLOCK_REALTIME) + HOUR);
  thread = thread_start (look_at_sleeper, &sight);
  LOOP_WAIT (loop, atomic_load (&sight.over));
  thread_join (thread);
  g_assert_true (atomic_load (&sight.found));
  alarm_clear (&alarm);
}

/* --- Misuse ----------------------------------------------------------------------------------- */

static void
test_misuse (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("misused", NULL);
  AioTimer timer = { { NULL } };

  g_test_summary ("C28: NULL and clocks that do not exist are critical warnings");

  expect_critical ("*timer*");
  aio_timer_init (NULL, context, AIO_CLOCK_MONOTONIC, count_destroyed, NULL);
  expect_critical ("*context*");
  aio_timer_init (&timer, NULL, AIO_CLOCK_MONOTONIC, count_destroyed, NULL);
  expect_critical ("*clock*");
  aio_timer_init (&timer, context, (AioClock) 4, count_destroyed, NULL);
  expect_critical ("*clock*");
  aio_timer_init (&timer, context, (AioClock) -1, count_destroyed, NULL);
  expect_critical ("*func*");
  aio_timer_init (&timer, context, AIO_CLOCK_MONOTONIC, NULL, NULL);
  expect_critical ("*context*");
  g_assert_null (aio_timer_new (NULL, AIO_CLOCK_MONOTONIC, count_destroyed, NULL, NULL));
  expect_critical ("*func*");
  g_assert_null (aio_timer_new (context, AIO_CLOCK_MONOTONIC, NULL, NULL, NULL));
  expect_critical ("*clock*");
  g_assert_null (aio_timer_new (context, (AioClock) 17, count_destroyed, NULL, NULL));
  expect_critical ("*timer*");
  aio_timer_mod_ns (NULL, 0);
  expect_critical ("*timer*");
  g_assert_false (aio_timer_mod_anticipate_ns (NULL, 0));
  expect_critical ("*timer*");
  g_assert_false (aio_timer_del (NULL));
  expect_critical ("*timer*");
  g_assert_false (aio_timer_del_sync (NULL));
  expect_critical ("*timer*");
  g_assert_false (aio_timer_pending (NULL));
  expect_critical ("*timer*");
  g_assert_cmpint (aio_timer_expire_time_ns (NULL), ==, -1);
  expect_critical ("*timer*");
  aio_timer_clear (NULL);
  expect_critical ("*context*");
  aio_context_get_time_ns (NULL, AIO_CLOCK_MONOTONIC);
  expect_critical ("*clock*");
  aio_context_get_time_ns (context, (AioClock) 4);
  g_test_assert_expected_messages ();
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  loop_test_add ("/timer/once", test_once);
  loop_test_add_interrupted ("/timer/clocks", test_clocks);
  loop_test_add_interrupted ("/timer/clocks-together", test_clocks_together);
  aio_test_add ("/timer/time", test_time);
  loop_test_add ("/timer/precise", test_precise);
  loop_test_add ("/timer/no-spin", test_no_spin);
  loop_test_add ("/timer/fair", test_fair);
  loop_test_add ("/timer/no-descriptor-left", test_no_descriptor_left);
  loop_test_add ("/timer/quiet", test_quiet);
  loop_test_add ("/timer/end-of-time", test_end_of_time);
  loop_test_add ("/timer/past", test_past);
  loop_test_add ("/timer/virtual", test_virtual);
  loop_test_add ("/timer/timeout", test_timeout);
  loop_test_add ("/timer/far-timeout", test_far_timeout);
  loop_test_add_telling ("/timer/progress", test_progress);
  aio_test_add ("/timer/poll-until", test_poll_until);
  loop_test_add_interrupted ("/timer/order", test_order);
  loop_test_add ("/timer/arm-order", test_arm_order);
  loop_test_add ("/timer/mod", test_mod);
  loop_test_add ("/timer/anticipate", test_anticipate);
  loop_test_add ("/timer/del", test_del);
  loop_test_add ("/timer/arm-again", test_arm_again);
  loop_test_add ("/timer/ping-pong", test_ping_pong);
  loop_test_add ("/timer/due-one", test_due_one);
  loop_test_add ("/timer/anticipated-due", test_anticipated_due);
  loop_test_add ("/timer/clear-self", test_clear_self);
  loop_test_add ("/timer/free-matrix", test_free_matrix);
  loop_test_add ("/timer/free", test_free);
  loop_test_add ("/timer/boxed", test_boxed);
  loop_test_add ("/timer/borrowed-while-freed", test_borrowed_while_freed);
  loop_test_add ("/timer/use-again", test_use_again);
  loop_test_add ("/timer/leftover", test_leftover);
  loop_test_add ("/timer/outlives", test_outlives);
  loop_test_add ("/timer/last-reference", test_last_reference);
  loop_test_add_main ("/timer/detach", test_detach);
  loop_test_add ("/timer/moves", test_moves);
  loop_test_add ("/timer/clock-is-set", test_clock_is_set);
  aio_test_add ("/timer/misuse", test_misuse);
  return g_test_run ();
}
