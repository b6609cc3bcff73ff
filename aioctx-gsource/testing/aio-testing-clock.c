/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running and the clock. What is due is run until there is nothing more at this instant; only then
 * the clock moves, to the next instant at which something happens. */
#include <aioctx-gsource/testing/aio-testing-private.h>

/* So many iterations without the clock moving are taken for a loop that never ends. */
#define MAX_AT_ONE_INSTANT 100000

/* So many instants for one condition that may take for ever, too. */
#define MAX_INSTANTS 1000000

/* An idle bottom half runs this long after its schedule, if nothing else happens before. */
#define IDLE_DELAY_NS (10 * NSEC_PER_MSEC)

/* How long something outside of the context is waited for, in real time. */
#define DEFAULT_PATIENCE_MS 60000

/* What is waited for; the predicate may be NULL. */
typedef struct
{
  Kit *kit;
  const Place *place;
  AioPredicate predicate;
  gpointer data;
  gboolean value;               /* what the predicate has said last */
} Wait;

static gboolean
ask (Wait *wait)
{
  wait->value = wait->predicate != NULL && wait->predicate (wait->data);
  return wait->value;
}

static guint64
count_runs (Kit *kit)
{
  AioContextStats stats;

  aio_context_get_stats (kit->context, &stats, sizeof stats);
  return stats.runs;
}

/* Has anything run, an idle bottom half included? */
static gboolean
iterate (Kit *kit)
{
  guint64 before = count_runs (kit);
  gboolean progress = aio_context_poll (kit->context, FALSE);

  return progress || count_runs (kit) != before;
}

static void
fail_busy (Wait  *wait,
           guint  n)
{
  g_autofree char *busy = list_busy (wait->kit);

  fail (wait->place, wait->kit,
        g_strdup_printf ("is still busy after %u iteration%s: %s", n, n == 1 ? "" : "s", busy));
}

/* Runs what is due, and what that makes due, without moving the clock. FALSE: it ended before,
 * because the condition holds or the test has failed. */
static gboolean
run_instant (Wait *wait)
{
  guint n = 0;

  do
    {
      if (n++ == MAX_AT_ONE_INSTANT)
        {
          fail_busy (wait, MAX_AT_ONE_INSTANT);
          return FALSE;
        }
      iterate (wait->kit);
      if (ask (wait))
        return FALSE;
    }
  while (hooks->look (wait->kit->context) == AIO_TEST_DUE);
  return TRUE;
}

static gint64
later (gint64 now,
       gint64 by)
{
  return by < NEVER - now ? now + by : NEVER;
}

/* When something happens next. */
static gint64
next_instant (Kit *kit)
{
  gint64 deadline = hooks->next_deadline_ns (kit->context);

  if (hooks->look (kit->context) == AIO_TEST_IDLE)
    deadline = MIN (deadline, later (kit_now (kit), IDLE_DELAY_NS));
  return deadline;
}

/**
 * aio_testing_advance_ns:
 * @context: a testing context
 * @duration_ns: by how much, in nanoseconds
 *
 * Lets virtual time pass.
 *
 * What is due runs at once. Then the clock goes from deadline to deadline, in their order, and at
 * each of them everything runs that is due by then, and that the callbacks schedule. In the end the
 * clock is @duration_ns further. An idle bottom half that is pending when this is called runs at
 * once, for this is an iteration; one that a callback schedules runs with whatever happens next, or
 * 10 virtual milliseconds later.
 *
 * It may be called in a callback. The test fails if the context is busy without end at one instant.
 *
 * Thread: home thread.
 *
 * Returns: the time by the virtual clock, in nanoseconds
 *
 * Since: 1.0
 */
gint64
aio_testing_advance_ns (AioContext *context,
                        gint64      duration_ns)
{
  Place place = take_place (G_STRFUNC);
  Wait wait = { kit_of (context, G_STRFUNC), &place, NULL, NULL, FALSE };
  gint64 target, now;

  g_return_val_if_fail (duration_ns >= 0, -1);
  if (wait.kit == NULL)
    return -1;

  aio_context_ref (context);
  target = later (kit_now (wait.kit), duration_ns);
  while (run_instant (&wait))
    {
      gint64 next = next_instant (wait.kit);

      if (next > target || next == NEVER)
        {
          kit_move_clock (wait.kit, target);
          break;
        }
      kit_move_clock (wait.kit, next);
    }
  now = kit_now (wait.kit);
  aio_context_unref (context);
  return now;
}

/**
 * aio_testing_advance_to_next:
 * @context: a testing context
 *
 * Runs what is due, and idle bottom halves that are pending; then moves the virtual clock to the
 * next deadline and runs what is due there. An idle bottom half that was scheduled by what ran
 * counts as a deadline 10 virtual milliseconds from now.
 *
 * Thread: home thread.
 *
 * Returns: %TRUE; %FALSE if nothing is going to happen any more, and the clock was not moved
 *
 * Since: 1.0
 */
gboolean
aio_testing_advance_to_next (AioContext *context)
{
  Place place = take_place (G_STRFUNC);
  Wait wait = { kit_of (context, G_STRFUNC), &place, NULL, NULL, FALSE };
  gboolean moved = FALSE;

  if (wait.kit == NULL)
    return FALSE;

  aio_context_ref (context);
  if (run_instant (&wait))
    {
      gint64 next = next_instant (wait.kit);

      moved = next != NEVER;
      if (moved)
        {
          kit_move_clock (wait.kit, next);
          run_instant (&wait);
        }
    }
  aio_context_unref (context);
  return moved;
}

/**
 * aio_testing_run_until_idle:
 * @context: a testing context
 * @max_iterations: how many iterations it may take
 *
 * Runs what is due, and what that makes due, until nothing is left: no bottom half (idle ones run
 * as well), post, ready descriptor, or timer that is due. The clock is not moved.
 *
 * The test fails if that takes more than @max_iterations; the message names what keeps the context
 * busy.
 *
 * Thread: home thread.
 *
 * Returns: in how many iterations something has run
 *
 * Since: 1.0
 */
guint
aio_testing_run_until_idle (AioContext *context,
                            guint       max_iterations)
{
  Place place = take_place (G_STRFUNC);
  Wait wait = { kit_of (context, G_STRFUNC), &place, NULL, NULL, FALSE };
  guint n = 0;

  if (wait.kit == NULL)
    return 0;

  aio_context_ref (context);
  for (;;)
    {
      gboolean resting = hooks->look (context) == AIO_TEST_RESTING;

      if (!resting && n == max_iterations)
        {
          fail_busy (&wait, n);
          break;
        }
      if (iterate (wait.kit))
        n++;
      else if (resting)
        break;
    }
  aio_context_unref (context);
  return n;
}

static gint64
patience_usec (void)
{
  const char *text = g_getenv ("AIO_TESTING_PATIENCE_MS");
  gint64 patience = text != NULL ? g_ascii_strtoll (text, NULL, 10) : 0;

  return (patience > 0 ? patience : DEFAULT_PATIENCE_MS) * NSEC_PER_USEC;
}

static gboolean
is_wait_over (gpointer data)
{
  Wait *wait = data;

  return ask (wait) || next_instant (wait->kit) != NEVER;
}

/* Nothing is left that time could bring about. Another thread, or a descriptor, can: that takes
 * real time. FALSE: it has taken too much. */
static gboolean
wait_for_others (Wait *wait)
{
  gint64 patience = patience_usec ();

  if (aio_context_poll_until (wait->kit->context, is_wait_over, wait, patience))
    return TRUE;
  fail (wait->place, wait->kit,
        g_strdup_printf ("has nothing to do, the condition does not hold, and nothing has come "
                         "from outside for %" G_GINT64_FORMAT " ms", patience / NSEC_PER_USEC));
  return FALSE;
}

static void
fail_endless (Wait *wait)
{
  g_autofree char *left = list_left_over (wait->kit);

  fail (wait->place, wait->kit,
        g_strdup_printf ("has moved its clock %u times, to %" G_GINT64_FORMAT " ns, and the "
                         "condition does not hold; there is %s", MAX_INSTANTS,
                         kit_now (wait->kit), left));
}

/* Until the condition holds, or the clock has reached the deadline; NEVER: there is none. */
static void
run_until (Wait   *wait,
           gint64  deadline)
{
  guint n = 0;

  while (run_instant (wait))
    {
      gint64 next = next_instant (wait->kit);

      if (next == NEVER && deadline == NEVER)
        {
          if (!wait_for_others (wait) || wait->value)
            return;
          continue;
        }
      if (next > deadline)
        {
          kit_move_clock (wait->kit, deadline);
          ask (wait);
          return;
        }
      if (deadline == NEVER && n++ == MAX_INSTANTS)
        {
          fail_endless (wait);
          return;
        }
      kit_move_clock (wait->kit, next);
    }
}

/**
 * aio_testing_run_until:
 * @context: a testing context
 * @predicate: (scope call): the condition to wait for
 * @data: (closure predicate): passed to @predicate
 * @timeout_usec: how long to wait by the virtual clock, in microseconds; negative: for ever; 0: one
 *   iteration
 *
 * Runs the context, and moves its clock from deadline to deadline, until a condition holds. The
 * condition is asked for before the first iteration and after each one.
 *
 * With a timeout the clock does not wait for other threads: if nothing is left to run it jumps.
 * What other threads and descriptors bring is waited for only without a timeout, while nothing is
 * armed, in real time; the test fails after a minute of that (the environment variable
 * `AIO_TESTING_PATIENCE_MS` says otherwise). To wait for them in other cases use
 * [method@Aio.Context.poll_until], which has a real timeout also on a testing context.
 *
 * Thread: home thread.
 *
 * Returns: what @predicate returned last; %FALSE also on misuse
 *
 * Since: 1.0
 */
gboolean
aio_testing_run_until (AioContext   *context,
                       AioPredicate  predicate,
                       gpointer      data,
                       gint64        timeout_usec)
{
  Place place = take_place (G_STRFUNC);
  Wait wait = { kit_of (context, G_STRFUNC), &place, predicate, data, FALSE };
  gint64 timeout_ns = timeout_usec < NEVER / NSEC_PER_USEC ? timeout_usec * NSEC_PER_USEC : NEVER;

  g_return_val_if_fail (predicate != NULL, FALSE);
  if (wait.kit == NULL)
    return FALSE;

  aio_context_ref (context);
  if (!ask (&wait))
    {
      if (timeout_usec != 0)
        run_until (&wait, timeout_usec < 0 ? NEVER : later (kit_now (wait.kit), timeout_ns));
      else
        {
          iterate (wait.kit);
          ask (&wait);
        }
    }
  aio_context_unref (context);
  return wait.value;
}
