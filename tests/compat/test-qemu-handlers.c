/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Event notifiers, descriptors and timers of a context, by QEMU's names, with and without 2012's
 * flush predicates. */
#include "compat-test.h"

typedef struct
{
  EventNotifier e;
  int n;
  int active;           /* requests in flight */
  bool auto_set;        /* set again while there are some */
  bool removes;         /* the callback removes the handler */
} NotifierTest;

static int
active_cb (EventNotifier *e)
{
  NotifierTest *test = container_of (e, NotifierTest, e);

  return test->active > 0;
}

static void
ready_cb (EventNotifier *e)
{
  NotifierTest *test = container_of (e, NotifierTest, e);

  g_assert_true (event_notifier_test_and_clear (e));
  test->n++;
  if (test->active > 0)
    test->active--;
  if (test->auto_set && test->active > 0)
    event_notifier_set (e);
  if (test->removes)
    aio_set_event_notifier (ctx, e, NULL, NULL, NULL);
}

static void
test_set (void)
{
  NotifierTest test = { .n = 0 };

  g_test_summary ("C20: a notifier that is added runs nothing, and can be removed");
  g_assert_cmpint (event_notifier_init (&test.e, false), ==, 0);
  aio_set_event_notifier (ctx, &test.e, ready_cb, NULL, NULL);
  settle ();
  g_assert_cmpint (test.n, ==, 0);
  aio_set_event_notifier (ctx, &test.e, NULL, NULL, NULL);
  settle ();
  g_assert_cmpint (test.n, ==, 0);
  event_notifier_cleanup (&test.e);
}

static void
test_wait (void)
{
  NotifierTest test = { .n = 0 };

  g_test_summary ("C11, C20: each set is one run; nothing runs after the removal");
  event_notifier_init (&test.e, false);
  aio_set_event_notifier (ctx, &test.e, ready_cb, NULL, NULL);
  g_assert_false (step (false));
  for (int i = 1; i <= 3; i++)
    {
      event_notifier_set (&test.e);
      g_assert_true (step (true));
      g_assert_cmpint (test.n, ==, i);
      g_assert_false (step (false));
    }
  event_notifier_set (&test.e);
  aio_set_event_notifier (ctx, &test.e, NULL, NULL, NULL);
  settle ();
  g_assert_cmpint (test.n, ==, 3);
  event_notifier_cleanup (&test.e);
}

static void
test_wait_flush (void)
{
  NotifierTest test = { .n = 0, .active = 1 };

  g_test_summary ("C20: with a predicate, aio_poll() says whether somebody is busy, and does not "
                  "wait when nobody is");
  event_notifier_init (&test.e, false);
  aio_set_event_notifier (ctx, &test.e, ready_cb, active_cb);
  if (main_context == NULL)
    g_assert_true (aio_poll (ctx, false));
  else
    step (false);
  g_assert_cmpint (test.n, ==, 0);
  g_assert_cmpint (test.active, ==, 1);

  event_notifier_set (&test.e);
  g_assert_true (step (true));
  g_assert_cmpint (test.n, ==, 1);
  g_assert_cmpint (test.active, ==, 0);
  g_assert_false (step (false));
  if (main_context == NULL)
    g_assert_false (aio_poll (ctx, true));
  aio_set_event_notifier (ctx, &test.e, NULL, NULL);
  event_notifier_cleanup (&test.e);
}

static void
test_wait_no_flush (void)
{
  NotifierTest test = { .n = 0 }, dummy = { .active = 1 };

  g_test_summary ("C20: a handler without predicate is run while another one is busy");
  event_notifier_init (&test.e, false);
  event_notifier_init (&dummy.e, false);
  aio_set_event_notifier (ctx, &test.e, ready_cb, NULL);
  aio_set_event_notifier (ctx, &dummy.e, ready_cb, active_cb);

  event_notifier_set (&test.e);
  g_assert_true (step (true));
  g_assert_cmpint (test.n, ==, 1);
  event_notifier_set (&test.e);
  g_assert_true (step (true));
  g_assert_cmpint (test.n, ==, 2);
  event_notifier_set (&dummy.e);
  g_assert_true (step (true));
  g_assert_cmpint (test.n, ==, 2);
  g_assert_cmpint (dummy.n, ==, 1);
  g_assert_cmpint (dummy.active, ==, 0);

  aio_set_event_notifier (ctx, &test.e, NULL, NULL);
  aio_set_event_notifier (ctx, &dummy.e, NULL, NULL);
  event_notifier_cleanup (&test.e);
  event_notifier_cleanup (&dummy.e);
}

static void
test_flush_ten_deep (void)
{
  NotifierTest test = { .active = 10, .auto_set = true };

  g_test_summary ("C20: aio_flush() waits until the last of ten requests has completed");
  event_notifier_init (&test.e, false);
  aio_set_event_notifier (ctx, &test.e, ready_cb, active_cb);
  event_notifier_set (&test.e);
  g_assert_true (step (true));
  g_assert_cmpint (test.n, ==, 1);
  g_assert_cmpint (test.active, ==, 9);
  aio_flush (ctx);
  g_assert_cmpint (test.n, ==, 10);
  g_assert_cmpint (test.active, ==, 0);
  g_assert_false (step (false));
  aio_set_event_notifier (ctx, &test.e, NULL, NULL);
  event_notifier_cleanup (&test.e);
}

static void
test_remove_from_callback (void)
{
  NotifierTest test = { .removes = true };

  g_test_summary ("C20, C21: a handler removes itself");
  event_notifier_init (&test.e, false);
  aio_set_event_notifier (ctx, &test.e, ready_cb, NULL, NULL);
  event_notifier_set (&test.e);
  g_assert_true (step (true));
  g_assert_cmpint (test.n, ==, 1);
  event_notifier_set (&test.e);
  settle ();
  g_assert_cmpint (test.n, ==, 1);
  event_notifier_cleanup (&test.e);
}

/* --- Descriptors ------------------------------------------------------------------------------ */

typedef struct
{
  int fds[2];
  int reads, writes;
  bool busy;
} PipeTest;

static void
pipe_read (void *opaque)
{
  PipeTest *test = opaque;
  char c;

  g_assert_cmpint (read (test->fds[0], &c, 1), ==, 1);
  test->reads++;
  test->busy = false;
}

static void
pipe_write (void *opaque)
{
  PipeTest *test = opaque;

  test->writes++;
  aio_set_fd_handler (ctx, test->fds[1], NULL, NULL, NULL, NULL, NULL);
}

static int
pipe_busy (void *opaque)
{
  return ((PipeTest *) opaque)->busy;
}

static void
test_fd (void)
{
  PipeTest test = { .busy = true };

  g_test_summary ("C20: descriptors, with a predicate as in 2012 and without as at present");
  g_assert_cmpint (pipe (test.fds), ==, 0);
  aio_set_fd_handler (ctx, test.fds[0], pipe_read, NULL, pipe_busy, &test);
  aio_set_fd_handler (ctx, test.fds[1], NULL, pipe_write, NULL, NULL, &test);
  while (test.writes == 0)
    step (true);
  g_assert_cmpint (write (test.fds[1], "x", 1), ==, 1);
  aio_flush (ctx);
  g_assert_cmpint (test.reads, ==, 1);
  g_assert_false (step (false));
  aio_set_fd_handler (ctx, test.fds[0], NULL, NULL, NULL, NULL);
  close (test.fds[0]);
  close (test.fds[1]);
}

/* --- Nesting ---------------------------------------------------------------------------------- */

typedef struct
{
  EventNotifier e;
  QEMUBH *bh;
  int depth, entered, bh_runs;
} NestTest;

static void
nest_bh (void *opaque)
{
  ((NestTest *) opaque)->bh_runs++;
}

static void
nest_cb (EventNotifier *e)
{
  NestTest *test = container_of (e, NestTest, e);

  g_assert_cmpint (test->depth, ==, 0);
  test->depth++;
  test->entered++;
  qemu_bh_schedule (test->bh);
  while (test->bh_runs < test->entered)
    aio_poll (ctx, true);
  event_notifier_test_and_clear (e);
  test->depth--;
}

static void
test_nested (void)
{
  NestTest test = { .depth = 0 };

  g_test_summary ("C13, R12: a handler that polls before it has cleared its event is not entered "
                  "again by that, and is afterwards");
  event_notifier_init (&test.e, false);
  test.bh = aio_bh_new (ctx, nest_bh, &test);
  aio_set_event_notifier (ctx, &test.e, nest_cb, NULL, NULL);
  for (int i = 1; i <= 3; i++)
    {
      event_notifier_set (&test.e);
      while (test.entered < i)
        step (true);
    }
  settle ();
  g_assert_cmpint (test.entered, ==, 3);
  g_assert_cmpint (test.bh_runs, ==, 3);
  aio_set_event_notifier (ctx, &test.e, NULL, NULL, NULL);
  qemu_bh_delete (test.bh);
  event_notifier_cleanup (&test.e);
}

/* The first completion drains the others, which come by the same notifier. */
static void
drain_cb (EventNotifier *e)
{
  NotifierTest *test = container_of (e, NotifierTest, e);

  event_notifier_test_and_clear (e);
  test->n++;
  test->active--;
  if (test->active > 0)
    event_notifier_set (e);
  if (test->n == 1)
    {
      aio_flush (ctx);
      g_assert_cmpint (test->active, ==, 0);
    }
}

static void
test_drain_in_completion (void)
{
  NotifierTest test = { .active = 5 };

  g_test_summary ("C13: draining in a completion handler enters it again, as nobody else could "
                  "make progress");
  event_notifier_init (&test.e, false);
  aio_set_event_notifier (ctx, &test.e, drain_cb, active_cb);
  event_notifier_set (&test.e);
  aio_flush (ctx);
  g_assert_cmpint (test.n, ==, 5);
  aio_set_event_notifier (ctx, &test.e, NULL, NULL);
  event_notifier_cleanup (&test.e);
}

/* --- Busy polling ----------------------------------------------------------------------------- */

typedef struct
{
  EventNotifier always, other;
  int ready, nested_reads;
} PollTest;

static PollTest *poll_test;

static bool
poll_true (void *opaque)
{
  g_assert_true (opaque == &poll_test->always);
  return true;
}

static bool
poll_false (void *opaque)
{
  g_assert_true (opaque == &poll_test->other);
  return false;
}

static void
poll_read (EventNotifier *e)
{
  event_notifier_test_and_clear (e);
  poll_test->nested_reads++;
}

static void
poll_not_read (EventNotifier *e)
{
  (void) e;
  g_assert_not_reached ();
}

static void
poll_ready (EventNotifier *e)
{
  g_assert_true (e == &poll_test->always);
  g_assert_cmpint (poll_test->ready, ==, 0);
  poll_test->ready++;
  event_notifier_set (&poll_test->other);
  while (poll_test->nested_reads == 0)
    aio_poll (ctx, true);
}

static void
test_nested_poll_handler (void)
{
  static PollTest test;

  g_test_summary ("C13: while a poll handler runs, a nested iteration neither asks nor enters it");
  memset (&test, 0, sizeof test);
  poll_test = &test;
  if (main_context != NULL)
    return;
  event_notifier_init (&test.always, false);
  event_notifier_init (&test.other, false);
  aio_set_event_notifier (ctx, &test.always, poll_not_read, poll_true, poll_ready);
  aio_set_event_notifier (ctx, &test.other, poll_read, poll_false, poll_not_read);
  aio_context_set_poll_params (ctx, 1000000000, 0, 0, NULL);
  while (test.ready == 0)
    aio_poll (ctx, true);
  g_assert_cmpint (test.nested_reads, ==, 1);
  aio_set_event_notifier (ctx, &test.always, NULL, NULL, NULL);
  aio_set_event_notifier (ctx, &test.other, NULL, NULL, NULL);
  event_notifier_cleanup (&test.always);
  event_notifier_cleanup (&test.other);
}

/* --- Timers ----------------------------------------------------------------------------------- */

typedef struct
{
  QEMUTimer timer;
  QEMUClockType clock;
  int64_t ns;
  int n, max;
} TimerTest;

static void
timer_cb (void *opaque)
{
  TimerTest *test = opaque;

  g_assert_false (timer_pending (&test->timer));
  test->n++;
  if (test->n < test->max)
    timer_mod (&test->timer, qemu_clock_get_ns (test->clock) + test->ns);
}

static void
test_timer (void)
{
  g_test_summary ("C22: timers fire once each time they are armed, never early, and can be "
                  "re-armed in their callback");
  for (int clock = 0; clock < QEMU_CLOCK_MAX; clock++)
    {
      TimerTest test = { .clock = (QEMUClockType) clock, .ns = 3 * SCALE_MS, .max = 3 };
      int64_t start = qemu_clock_get_ns (QEMU_CLOCK_REALTIME);

      aio_timer_init (ctx, &test.timer, test.clock, SCALE_NS, timer_cb, &test);
      g_assert_false (timer_pending (&test.timer));
      timer_mod (&test.timer, qemu_clock_get_ns (test.clock) + test.ns);
      g_assert_true (timer_pending (&test.timer));
      while (test.n < test.max)
        step (true);
      if (clock != QEMU_CLOCK_HOST)
        g_assert_cmpint (qemu_clock_get_ns (QEMU_CLOCK_REALTIME) - start, >=, 9 * SCALE_MS);
      g_assert_false (timer_pending (&test.timer));
      settle ();
      g_assert_cmpint (test.n, ==, 3);
      timer_del (&test.timer);
    }
}

static void
test_timer_mod (void)
{
  TimerTest test = { .max = 0 };
  QEMUTimer *timer = aio_timer_new (ctx, QEMU_CLOCK_REALTIME, SCALE_MS, timer_cb, &test);
  int64_t now = qemu_clock_get_ms (QEMU_CLOCK_REALTIME);

  g_test_summary ("C22, R18, R19: deadlines in the timer's unit, moved, asked for and deleted");
  timer_init_ms (&test.timer, QEMU_CLOCK_REALTIME, timer_cb, &test);
  timer_mod (timer, now + 100000);
  g_assert_cmpuint (timer_expire_time_ns (timer), ==, (uint64_t) (now + 100000) * SCALE_MS);
  timer_mod_anticipate (timer, now + 200000);
  g_assert_cmpuint (timer_expire_time_ns (timer), ==, (uint64_t) (now + 100000) * SCALE_MS);
  timer_mod_anticipate (timer, now + 50000);
  g_assert_cmpuint (timer_expire_time_ns (timer), ==, (uint64_t) (now + 50000) * SCALE_MS);
  timer_mod_ns (timer, 77);
  g_assert_cmpuint (timer_expire_time_ns (timer), ==, 77);
  timer_mod (timer, now + 50000);
  g_assert_false (timer_expired (timer, now));
  g_assert_true (timer_expired (timer, now + 50000));
  g_assert_cmpint (aio_compute_timeout (ctx), >, 0);
  g_assert_cmpint (aio_compute_timeout (ctx), <=, 50001LL * SCALE_MS);
  timer_del (timer);
  g_assert_false (timer_pending (timer));
  g_assert_cmpuint (timer_expire_time_ns (timer), ==, UINT64_MAX);

  timer_mod (timer, -5);
  step (true);
  g_assert_cmpint (test.n, ==, 1);
  timer_mod (timer, INT64_MAX);
  g_assert_true (timer_pending (timer));
  timer_free (timer);
  timer_free (NULL);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  /* The global context, which timers without one belong to, keeps its descriptor. */
  qemu_get_aio_context ();
  add_case ("/event/set", test_set);
  add_case ("/event/wait", test_wait);
  add_case ("/event/wait-flush", test_wait_flush);
  add_case ("/event/wait-no-flush", test_wait_no_flush);
  add_case ("/event/flush-ten-deep", test_flush_ten_deep);
  add_case ("/event/remove-from-callback", test_remove_from_callback);
  add_case ("/event/drain-in-completion", test_drain_in_completion);
  add_case ("/event/nested", test_nested);
  add_case ("/event/nested-poll-handler", test_nested_poll_handler);
  add_case ("/fd", test_fd);
  add_case ("/timer/schedule", test_timer);
  add_case ("/timer/mod", test_timer_mod);
  return g_test_run ();
}
