/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The g_test kit: the virtual clock, and running until something is so. */
#include "testing-test.h"

/* --- The clock -------------------------------------------------------------------------------- */

static void
assert_all_clocks (AioContext *context,
                   gint64      now)
{
  for (int clock = AIO_CLOCK_MONOTONIC; clock <= AIO_CLOCK_VIRTUAL; clock++)
    g_assert_cmpint (aio_context_get_time_ns (context, clock), ==, now);
}

static void
test_clocks (void)
{
  AioContext *context = aio_testing_context_new ();
  AioContext *other = aio_context_new ();

  g_test_summary ("All clocks of a testing context are one, which begins at 0 and stands still; "
                  "others keep theirs");

  assert_all_clocks (context, 0);
  g_usleep (2000);
  aio_testing_run_until_idle (context, 0);
  assert_all_clocks (context, 0);
  g_assert_cmpint (aio_testing_advance_ns (context, 5 * HOUR), ==, 5 * HOUR);
  assert_all_clocks (context, 5 * HOUR);
  g_assert_cmpint (aio_testing_advance_ns (context, 0), ==, 5 * HOUR);
  g_assert_cmpint (aio_testing_advance_ns (context, G_MAXINT64), ==, G_MAXINT64);
  g_assert_cmpint (aio_testing_advance_ns (context, 1), ==, G_MAXINT64);
  g_assert_cmpint (aio_context_get_time_ns (other, AIO_CLOCK_VIRTUAL), ==, 0);
  g_assert_cmpint (aio_context_get_time_ns (other, AIO_CLOCK_MONOTONIC), !=, G_MAXINT64);
  g_assert_cmpstr (aio_context_get_name (context), ==, "/testing/clock/all");
  aio_context_unref (other);
  end (context);
}

static void
test_deadlines (void)
{
  static const struct { const char *name; gint64 deadline; AioClock clock; } timers[] = {
    { "d", 30, AIO_CLOCK_MONOTONIC }, { "b", 20, AIO_CLOCK_REALTIME },
    { "a", 10, AIO_CLOCK_VIRTUAL }, { "c", 20, AIO_CLOCK_BOOTTIME },
    { "e", 41, AIO_CLOCK_MONOTONIC },
  };
  AioTimer all[G_N_ELEMENTS (timers)];
  Entry entries[G_N_ELEMENTS (timers)];
  Log log;

  g_test_summary ("C22: timers of all clocks fire in the order of their deadlines, equal ones as "
                  "armed, and the clock stands at each deadline meanwhile");

  log_begin (&log);
  for (guint i = 0; i < G_N_ELEMENTS (timers); i++)
    {
      entries[i] = (Entry) { &log, timers[i].name };
      aio_timer_init (&all[i], log.context, timers[i].clock, write_entry, &entries[i]);
      aio_timer_mod_ns (&all[i], timers[i].deadline);
    }
  g_assert_cmpint (aio_testing_advance_ns (log.context, 40), ==, 40);
  g_assert_cmpstr (log.log->str, ==, "a@10 b@20 c@20 d@30 ");
  g_assert_true (aio_timer_pending (&all[4]));
  aio_testing_advance_ns (log.context, 1);
  g_assert_cmpstr (log.log->str, ==, "a@10 b@20 c@20 d@30 e@41 ");
  for (guint i = 0; i < G_N_ELEMENTS (timers); i++)
    aio_timer_clear (&all[i]);
  log_end (&log);
}

typedef struct
{
  Log *log;
  AioTimer timer;
  AioBH *bh;
  gint64 period;
} Ticker;

static void
on_tick (gpointer data)
{
  Ticker *ticker = data;

  write_entry (&(Entry) { ticker->log, "tick" });
  if (ticker->bh != NULL)
    aio_bh_schedule (ticker->bh);
  aio_timer_mod_ns (&ticker->timer, now_ns (ticker->log->context) + ticker->period);
}

static void
test_instant (void)
{
  Entry entry;
  Log log;
  Ticker ticker = { &log, { { 0 } }, NULL, 10 };

  g_test_summary ("What a callback schedules runs at the same instant, before the clock goes on");

  log_begin (&log);
  entry = (Entry) { &log, "bh" };
  ticker.bh = aio_bh_new (log.context, write_entry, &entry);
  aio_timer_init (&ticker.timer, log.context, AIO_CLOCK_MONOTONIC, on_tick, &ticker);
  aio_timer_mod_ns (&ticker.timer, 5);
  aio_bh_schedule (ticker.bh);
  aio_testing_advance_ns (log.context, 25);
  g_assert_cmpstr (log.log->str, ==, "bh@0 tick@5 bh@5 tick@15 bh@15 tick@25 bh@25 ");
  aio_timer_clear (&ticker.timer);
  aio_bh_delete (ticker.bh);
  log_end (&log);
}

static void
advance_inside (gpointer data)
{
  Log *log = data;

  write_entry (&(Entry) { log, "(" });
  aio_testing_advance_ns (log->context, 100);
  write_entry (&(Entry) { log, ")" });
}

static void
test_nested (void)
{
  Log log;
  AioTimer outer;
  Ticker ticker = { &log, { { 0 } }, NULL, 60 };

  g_test_summary ("C13: a callback may advance the clock, which never goes back");

  log_begin (&log);
  aio_timer_init (&outer, log.context, AIO_CLOCK_MONOTONIC, advance_inside, &log);
  aio_timer_init (&ticker.timer, log.context, AIO_CLOCK_MONOTONIC, on_tick, &ticker);
  aio_timer_mod_ns (&outer, 10);
  aio_timer_mod_ns (&ticker.timer, 20);
  g_assert_cmpint (aio_testing_advance_ns (log.context, 50), ==, 110);
  g_assert_cmpstr (log.log->str, ==, "(@10 tick@20 tick@80 )@110 ");
  aio_timer_clear (&outer);
  aio_timer_clear (&ticker.timer);
  log_end (&log);
}

static void
test_to_next (void)
{
  Entry entry;
  Log log;
  AioTimer timer;
  AioBH *bh;

  g_test_summary ("advance_to_next runs what is due, then moves the clock to the next deadline");

  log_begin (&log);
  entry = (Entry) { &log, "x" };
  bh = aio_bh_new (log.context, write_entry, &entry);
  aio_timer_init (&timer, log.context, AIO_CLOCK_MONOTONIC, write_entry, &entry);
  g_assert_false (aio_testing_advance_to_next (log.context));
  aio_bh_schedule (bh);
  aio_timer_mod_ns (&timer, 3 * HOUR);
  g_assert_true (aio_testing_advance_to_next (log.context));
  g_assert_cmpstr (log.log->str, ==, "x@0 x@10800000000000 ");
  aio_bh_schedule (bh);
  g_assert_false (aio_testing_advance_to_next (log.context));
  aio_testing_assert_not_scheduled (bh);
  g_assert_cmpint (now_ns (log.context), ==, 3 * HOUR);
  aio_timer_clear (&timer);
  aio_bh_delete (bh);
  log_end (&log);
}

typedef struct
{
  AioBH *bh;
  guint n;
} Poller;

static void
on_poller (gpointer data)
{
  Poller *poller = data;

  poller->n++;
  aio_bh_schedule_idle (poller->bh);
}

static void
test_idle (void)
{
  AioContext *context = aio_testing_context_new ();
  Poller poller = { NULL, 0 };

  g_test_summary ("C5: an idle bottom half that schedules itself runs every 10 virtual ms");

  poller.bh = aio_bh_new (context, on_poller, &poller);
  aio_bh_schedule_idle (poller.bh);
  aio_testing_advance_ns (context, SEC);
  g_assert_cmpuint (poller.n, >=, 100);
  g_assert_cmpuint (poller.n, <=, 102);
  poller.n = 0;
  g_assert_true (aio_testing_advance_to_next (context));
  g_assert_cmpint (now_ns (context), ==, SEC + 10 * MSEC);
  g_assert_cmpuint (poller.n, >, 0);
  aio_bh_delete (poller.bh);
  end (context);
}

/* --- Running ---------------------------------------------------------------------------------- */

typedef struct
{
  AioContext *context;
  guint left;
} Chain;

static void
on_chain (gpointer data)
{
  Chain *chain = data;

  if (--chain->left > 0)
    aio_bh_schedule_oneshot (chain->context, on_chain, chain);
}

static void
test_until_idle (void)
{
  AioContext *context = aio_testing_context_new ();
  Chain chain = { context, 7 };
  AioTimer late, due;
  AioBH *idle;
  guint n = 0, n_timers = 0;

  g_test_summary ("run_until_idle runs all that is due, idle bottom halves too, tells in how many "
                  "iterations, and leaves the clock alone");

  idle = aio_bh_new (context, count_run, &n);
  aio_timer_init (&late, context, AIO_CLOCK_MONOTONIC, count_run, &n_timers);
  aio_timer_init (&due, context, AIO_CLOCK_MONOTONIC, count_run, &n_timers);
  aio_timer_mod_ns (&late, 1);
  aio_timer_mod_ns (&due, 0);
  g_assert_cmpuint (aio_testing_run_until_idle (context, 1), ==, 1);
  g_assert_cmpuint (n_timers, ==, 1);
  g_assert_cmpuint (aio_testing_run_until_idle (context, 0), ==, 0);

  on_chain (&chain);
  aio_bh_schedule_idle (idle);
  g_assert_cmpuint (aio_testing_run_until_idle (context, 6), ==, 6);
  g_assert_cmpuint (chain.left, ==, 0);
  g_assert_cmpuint (n, ==, 1);
  g_assert_cmpint (now_ns (context), ==, 0);
  g_assert_true (aio_timer_pending (&late));
  aio_timer_clear (&late);
  aio_timer_clear (&due);
  aio_bh_delete (idle);
  end (context);
}

static void
test_until (void)
{
  AioContext *context = aio_testing_context_new ();
  AioTimer timer;
  guint n = 0;

  g_test_summary ("run_until moves the clock until the condition holds or the virtual timeout is "
                  "over; 0 is one iteration");

  aio_timer_init (&timer, context, AIO_CLOCK_MONOTONIC, count_run, &n);
  aio_timer_mod_ns (&timer, HOUR);
  g_assert_false (aio_testing_run_until (context, is_set, &n, 0));
  g_assert_cmpint (now_ns (context), ==, 0);
  g_assert_false (aio_testing_run_until (context, is_set, &n, G_TIME_SPAN_MINUTE));
  g_assert_cmpint (now_ns (context), ==, 60 * SEC);
  g_assert_true (aio_testing_run_until (context, is_set, &n, G_TIME_SPAN_HOUR));
  g_assert_cmpint (now_ns (context), ==, HOUR);
  aio_timer_mod_ns (&timer, HOUR);
  g_assert_true (aio_testing_run_until (context, is_set, &n, 0));
  g_assert_cmpuint (n, ==, 1);

  n = 0;
  g_assert_true (aio_testing_run_until (context, is_set, &n, 0));
  aio_timer_mod_ns (&timer, 24 * HOUR);
  n = 0;
  g_assert_true (aio_testing_run_until (context, is_set, &n, -1));
  g_assert_cmpint (now_ns (context), ==, 24 * HOUR);
  aio_timer_clear (&timer);
  end (context);
}

typedef struct
{
  AioContext *context;
  AioTimer timer;
  guint done;
} Answer;

static void
on_answer (gpointer data)
{
  Answer *answer = data;

  aio_timer_mod_ns (&answer->timer, now_ns (answer->context) + HOUR);
}

static void *
answer_later (void *data)
{
  Answer *answer = data;

  g_usleep (20000);
  aio_context_post (answer->context, on_answer, answer, NULL);
  return NULL;
}

static void
test_other_thread (void)
{
  Answer answer = { aio_testing_context_new (), { { 0 } }, 0 };
  pthread_t thread;

  g_test_summary ("Without a timeout run_until waits for other threads in real time, then goes on "
                  "with virtual time");

  aio_timer_init (&answer.timer, answer.context, AIO_CLOCK_MONOTONIC, count_run, &answer.done);
  g_assert_cmpint (pthread_create (&thread, NULL, answer_later, &answer), ==, 0);
  g_assert_true (aio_testing_run_until (answer.context, is_set, &answer.done, -1));
  g_assert_cmpint (now_ns (answer.context), ==, HOUR);
  pthread_join (thread, NULL);
  aio_timer_clear (&answer.timer);
  end (answer.context);
}

static void
drain (gpointer data)
{
  int fd = *(int *) data;
  char byte;

  g_assert_cmpint (read (fd, &byte, 1), ==, 1);
}

static void
test_descriptor (void)
{
  AioContext *context = aio_testing_context_new ();
  int fds[2];

  g_test_summary ("C20: descriptors are real; what they bring runs as everything else");

  g_assert_cmpint (pipe (fds), ==, 0);
  aio_context_set_fd_handler (context, fds[0], drain, NULL, &fds[0]);
  g_assert_cmpuint (aio_testing_run_until_idle (context, 0), ==, 0);
  g_assert_cmpint (write (fds[1], "ab", 2), ==, 2);
  g_assert_cmpuint (aio_testing_run_until_idle (context, 2), ==, 2);
  g_assert_cmpint (write (fds[1], "c", 1), ==, 1);
  aio_testing_advance_ns (context, 1);
  g_assert_cmpuint (aio_testing_run_until_idle (context, 0), ==, 0);
  aio_context_set_fd_handler (context, fds[0], NULL, NULL, NULL);
  close (fds[0]);
  close (fds[1]);
  end (context);
}

static void
test_attached (void)
{
  GMainContext *main_context = g_main_context_new ();
  AioContext *context = aio_testing_context_new ();
  AioTimer timer;
  guint n = 0;

  g_test_summary ("C18: a testing context works under a GMainContext, on the virtual clock");

  aio_timer_init (&timer, context, AIO_CLOCK_MONOTONIC, count_run, &n);
  aio_timer_mod_ns (&timer, MSEC);
  aio_context_attach (context, main_context);
  g_usleep (2000);
  g_main_context_iteration (main_context, FALSE);
  g_assert_cmpuint (n, ==, 0);
  aio_testing_stall_ns (context, MSEC);
  g_main_context_iteration (main_context, FALSE);
  g_assert_cmpuint (n, ==, 1);
  aio_timer_mod_ns (&timer, 2 * MSEC);
  aio_testing_advance_ns (context, MSEC);
  g_assert_cmpuint (n, ==, 2);
  aio_context_detach (context);
  aio_timer_clear (&timer);
  end (context);
  g_main_context_unref (main_context);
}

static void
test_counters (void)
{
  AioContext *context = aio_testing_context_new ();
  struct { AioTestingCounters known; guint64 unknown; } counters = { { 0 }, 1 };
  AioTimer timer;
  guint n = 0;

  g_test_summary ("The counters tell what has run, and zeros for fields that are not known here");

  aio_timer_init (&timer, context, AIO_CLOCK_MONOTONIC, count_run, &n);
  for (int i = 0; i < 3; i++)
    aio_context_post (context, count_run, &n, NULL);
  aio_timer_mod_ns (&timer, 1);
  aio_testing_advance_ns (context, 2);
  aio_testing_get_counters (context, &counters.known, sizeof counters);
  g_assert_cmpuint (counters.known.runs, ==, 3);
  g_assert_cmpuint (counters.known.timer_runs, ==, 1);
  g_assert_cmpuint (counters.known.clock_moves, ==, 2);
  g_assert_cmpuint (counters.known.reordered, ==, 0);
  g_assert_cmpuint (counters.known.iterations, >=, 2);
  g_assert_cmpuint (counters.unknown, ==, 0);

  counters.known.runs = 77;
  aio_testing_get_counters (context, &counters.known, sizeof (guint64));
  g_assert_cmpuint (counters.known.runs, ==, 77);
  aio_timer_clear (&timer);
  end (context);
}

static void
drop_reference (gpointer context)
{
  aio_context_unref (context);
}

static void
test_last_reference (void)
{
  AioContext *context = aio_testing_context_new ();
  guint destroyed = 0;

  g_test_summary ("C23: the last reference may go in a callback that the kit runs");

  aio_bh_schedule_oneshot_full (context, NULL, count_run, &destroyed, count_run);
  aio_context_post (context, drop_reference, context, NULL);
  aio_testing_run_until_idle (context, 10);
  g_assert_cmpuint (destroyed, ==, 2);
}

static void
test_dropped (void)
{
  AioContext *context = aio_testing_context_new ();
  guint destroyed = 0;

  g_test_summary ("C24: posts and one-shots that are pending at the end are dropped, with their "
                  "destroy notifies");

  aio_context_post (context, drop_reference, &destroyed, count_run);
  aio_bh_schedule_oneshot_full (context, NULL, drop_reference, &destroyed, count_run);
  aio_context_unref (context);
  g_assert_cmpuint (destroyed, ==, 2);
}

/* --- The fixture ------------------------------------------------------------------------------ */

typedef struct
{
  AioTestingFixture parent;
  AioBH *bh;
  guint n;
} MyFixture;

static void
my_set_up (MyFixture     *fixture,
           gconstpointer  data)
{
  aio_testing_fixture_set_up (&fixture->parent, data);
  fixture->bh = aio_bh_new (fixture->parent.context, count_run, &fixture->n);
}

static void
my_tear_down (MyFixture     *fixture,
              gconstpointer  data)
{
  aio_bh_delete (fixture->bh);
  aio_testing_fixture_tear_down (&fixture->parent, data);
  g_assert_null (fixture->parent.context);
}

static void
test_fixture (MyFixture     *fixture,
              gconstpointer  data)
{
  g_test_summary ("A fixture of one's own begins with that of the kit");

  g_assert_cmpstr (data, ==, "data");
  aio_bh_schedule (fixture->bh);
  aio_testing_run_until_idle (fixture->parent.context, 1);
  g_assert_cmpuint (fixture->n, ==, 1);
}

static void
test_plain_fixture (AioTestingFixture *fixture,
                    gconstpointer      data)
{
  g_test_summary ("aio_testing_add() makes the context");

  g_assert_cmpstr (data, ==, "data");
  g_assert_cmpstr (aio_context_get_name (fixture->context), ==, "/testing/fixture/plain");
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_main_context_default ();
  aio_test_add ("/testing/clock/all", test_clocks);
  aio_test_add ("/testing/clock/deadlines", test_deadlines);
  aio_test_add ("/testing/clock/instant", test_instant);
  aio_test_add ("/testing/clock/nested", test_nested);
  aio_test_add ("/testing/clock/to-next", test_to_next);
  aio_test_add ("/testing/clock/idle", test_idle);
  aio_test_add ("/testing/run/until-idle", test_until_idle);
  aio_test_add ("/testing/run/until", test_until);
  aio_test_add ("/testing/run/other-thread", test_other_thread);
  aio_test_add ("/testing/run/descriptor", test_descriptor);
  aio_test_add ("/testing/run/attached", test_attached);
  aio_test_add ("/testing/run/counters", test_counters);
  aio_test_add ("/testing/run/last-reference", test_last_reference);
  aio_test_add ("/testing/run/dropped", test_dropped);
  g_test_add ("/testing/fixture/own", MyFixture, "data", my_set_up, test_fixture, my_tear_down);
  aio_testing_add ("/testing/fixture/plain", "data", test_plain_fixture);
  return g_test_run ();
}
