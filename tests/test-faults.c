/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each system call of the library fails in turn: the first of its kind, the second, and so on until
 * a scenario gets through untouched. Whatever fails, the scenario comes to its end. */
#include "faults-test.h"
#include "loop-test.h"

typedef struct
{
  Call call;
  int reason;
  gboolean may_last;            /* it may also go on failing from then on */
} Fault;

/* What stands behind a refusal: a GError, or another way to get there. */
static const Fault all_faults[] = {
  { CALL_EVENTFD, EMFILE, TRUE },
  { CALL_EVENTFD, ENOMEM, FALSE },
  { CALL_PIPE, ENFILE, TRUE },
  { CALL_EPOLL_CREATE, EMFILE, TRUE },
  { CALL_EPOLL_CREATE, ENOMEM, FALSE },
  { CALL_EPOLL_CTL, ENOSPC, TRUE },
  { CALL_EPOLL_CTL, ENOMEM, FALSE },
  { CALL_TIMERFD_CREATE, EMFILE, TRUE },
  { CALL_TIMERFD_SETTIME, EPERM, TRUE },
  { CALL_TIMERFD_SETTIME, ECANCELED, TRUE },
  { CALL_EPOLL_WAIT, EINTR, FALSE },
  { CALL_EPOLL_WAIT, EPERM, FALSE },
  { CALL_EPOLL_PWAIT2, EINTR, FALSE },
  { CALL_PPOLL, EINTR, FALSE },
  { CALL_PPOLL, ENOMEM, FALSE },
  { CALL_G_POLL, EINTR, FALSE },
  { CALL_READ, EINTR, FALSE },
  { CALL_READ, EAGAIN, FALSE },
  { CALL_WRITE, EINTR, FALSE },
  { CALL_WRITE, EAGAIN, FALSE },
  { CALL_OPEN, ENFILE, TRUE },
  { CALL_FCNTL, EMFILE, FALSE },
  { CALL_DUP, EMFILE, TRUE },
  { CALL_MEMBARRIER, EPERM, TRUE },
  { CALL_THREAD, EAGAIN, TRUE },
};

/* What is to go wrong in the present run. With CALL_NONE it is the limit of descriptors, if there
 * is a reason. */
static Fault present;
static int present_n;
static gboolean present_lasts;

/* The scenario has opened what it needs for itself. */
static void
begin_to_fail (void)
{
  if (present.call == CALL_NONE && present.reason != 0)
    limit_fds (lowest_free_fd () + present_n - 1);
  else
    fault_set (present.call, present.reason, present_n, present_lasts);
}

static void
relent (void)
{
  fault_end ();
  limit_fds (0);
}

/* Says what could not be had and why. From now on nothing is refused. */
static void
check_refusal (const char *text,
               const char *who)
{
  g_test_message ("%s", text);
  g_assert_true (present.call == CALL_NONE || atomic_load (&fault.n_struck) > 0);
  g_assert_nonnull (strstr (text, who));
  g_assert_nonnull (strstr (text, g_strerror (present.reason)));
  relent ();
}

static void
check_error (GError     **error,
             const char  *who)
{
  g_assert_nonnull (*error);
  g_assert_cmpuint ((*error)->domain, ==, G_IO_ERROR);
  if (present.call == CALL_THREAD)
    g_assert_cmpint ((*error)->code, ==, G_IO_ERROR_FAILED);
  else
    g_assert_cmpint ((*error)->code, ==, (int) g_io_error_from_errno (present.reason));
  check_refusal ((*error)->message, who);
  g_clear_error (error);
}

static void
count (gpointer data)
{
  ++*(guint *) data;
}

static void
count_atomic (gpointer data)
{
  atomic_fetch_add ((atomic_uint *) data, 1);
}

/* --- Wakeups ---------------------------------------------------------------------------------- */

typedef struct
{
  AioContext *context;
  AioBH *bh;
  atomic_uint n_runs;
  guint n_rounds;
  pid_t tid;
} Alarm;

/* Or for a moment: it makes the interesting case likely, and there are very many rounds. */
static void
wait_for_sleep (pid_t tid)
{
  for (guint i = 0; i < 20 && thread_state (tid) != 'S'; i++)
    g_usleep (20);
}

static void *
ring (void *data)
{
  Alarm *alarm = data;

  for (guint i = 0; i < alarm->n_rounds; i++)
    {
      if (i == 0)
        wait_for_sleep (alarm->tid);
      aio_bh_schedule (alarm->bh);
      while (atomic_load (&alarm->n_runs) <= i)
        sched_yield ();
    }
  return NULL;
}

/* A thread schedules, and waits each time until it has run. */
static void
check_wakeups (Loop  *loop,
               guint  n_rounds)
{
  Alarm alarm = { .context = loop->context, .n_rounds = n_rounds, .tid = gettid () };
  pthread_t thread;

  alarm.bh = aio_bh_new (loop->context, count_atomic, &alarm.n_runs);
  thread = thread_start (ring, &alarm);
  LOOP_WAIT (loop, atomic_load (&alarm.n_runs) == n_rounds);
  thread_join (thread);
  aio_bh_delete (alarm.bh);
}

static void
try_wakeups (Loop *loop)
{
  begin_to_fail ();
  check_wakeups (loop, 5);
}

static void
try_busy_poll (Loop *loop)
{
  GError *error = NULL;
  AioTimer timer;
  guint n = 0;

  if (loop->way != WAY_POLL)
    return;
  g_assert_true (aio_context_set_busy_poll (loop->context, 300000, &error));
  g_assert_no_error (error);
  begin_to_fail ();
  check_wakeups (loop, 5);
  aio_timer_init (&timer, loop->context, AIO_CLOCK_MONOTONIC, count, &n);
  aio_timer_mod_ns (&timer, aio_context_get_time_ns (loop->context, AIO_CLOCK_MONOTONIC) + MSEC);
  LOOP_WAIT (loop, n == 1);
  aio_timer_clear (&timer);
}

/* --- Contexts --------------------------------------------------------------------------------- */

static void
try_context (Loop *loop)
{
  Loop newborn = { .way = loop->way };
  GError *error = NULL;
  guint n = 0;

  begin_to_fail ();
  while ((newborn.context = aio_context_new_full ("newborn", &error)) == NULL)
    check_error (&error, "newborn");
  g_assert_no_error (error);
  /* GLib's own calls may end the program, and are not what is asked here. */
  if (present.call == CALL_NONE)
    relent ();
  loop_init_driver (&newborn);
  aio_bh_schedule_oneshot (newborn.context, count, &n);
  LOOP_WAIT (&newborn, n == 1);
  check_wakeups (&newborn, 1);
  loop_clear (&newborn);
}

/* --- Handlers --------------------------------------------------------------------------------- */

static void
check_runs (Watch *watch,
            int    peer)
{
  guint seen = watch->n_read;

  put (peer);
  LOOP_WAIT (watch->loop, watch->n_read > seen);
}

/* In the place of a former one, if there is one: which stays while the new one is refused. */
static void
set_watch (Watch *watch,
           Watch *former,
           int    peer)
{
  GError *error = NULL;
  g_autofree char *who = g_strdup_printf ("descriptor %d", watch->fd);

  while (!aio_context_set_fd_handler_full (watch->loop->context, watch->fd, watch_read, NULL, NULL,
                                           NULL, watch, watch_destroyed, &error))
    {
      g_assert_nonnull (error);
      g_assert_nonnull (strstr (error->message, "faulty"));
      check_error (&error, who);
      g_assert_cmpuint (watch->n_destroyed, ==, 0);
      if (former == NULL)
        continue;
      check_runs (former, peer);
      g_assert_cmpuint (former->n_destroyed, ==, 0);
    }
  g_assert_no_error (error);
}

/* Two in socket pairs, the first of which is replaced. */
static void
try_handlers (Loop *loop)
{
  int fds[2][2];
  Watch watches[3] = {
    { .loop = loop, .takes = TRUE }, { .loop = loop, .takes = TRUE },
    { .loop = loop, .takes = TRUE },
  };

  open_pair (fds[0]);
  open_pair (fds[1]);
  watches[0].fd = watches[2].fd = fds[0][0];
  watches[1].fd = fds[1][0];
  begin_to_fail ();
  set_watch (&watches[0], NULL, -1);
  check_runs (&watches[0], fds[0][1]);
  set_watch (&watches[1], NULL, -1);
  check_runs (&watches[1], fds[1][1]);
  set_watch (&watches[2], &watches[0], fds[0][1]);
  check_runs (&watches[2], fds[0][1]);
  check_runs (&watches[1], fds[1][1]);
  check_wakeups (loop, 1);
  watch_remove (&watches[2]);
  watch_remove (&watches[1]);
  for (guint i = 0; i < G_N_ELEMENTS (watches); i++)
    g_assert_cmpuint (watches[i].n_destroyed, ==, 1);
  close_both (fds[0]);
  close_both (fds[1]);
}

static void
try_file (Loop *loop)
{
  Watch watch = { .loop = loop };
  guint seen;

  watch.fd = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (watch.fd, >=, 0);
  begin_to_fail ();
  set_watch (&watch, NULL, -1);
  LOOP_WAIT (loop, watch.n_read >= 2);
  check_wakeups (loop, 1);
  watch_remove (&watch);
  seen = watch.n_read;
  check_wakeups (loop, 1);
  g_assert_cmpuint (watch.n_read, ==, seen);
  close (watch.fd);
}

static void
wait_inside (Watch *watch)
{
  Watch *other = watch->data;

  watch->act = NULL;
  /* Not before: what is ready already is run without a sleep. */
  put (*(int *) other->data);
  LOOP_WAIT (watch->loop, other->n_read > 0);
}

/* While a handler is on the stack it is taken out of what is watched. If it cannot be put back,
 * that is said, and it is put back as soon as that can be done. */
static void
try_nested (Loop *loop)
{
  int fds[2][2];
  Watch inner = { .loop = loop, .takes = TRUE, .data = &fds[1][1] };
  Watch outer = { .loop = loop, .takes = TRUE, .act = wait_inside, .data = &inner };
  Reports reports;

  open_pair (fds[0]);
  open_pair (fds[1]);
  outer.fd = fds[0][0];
  inner.fd = fds[1][0];
  watch_set (&outer, TRUE, FALSE);
  watch_set (&inner, TRUE, FALSE);
  reports_begin (&reports);
  put (fds[0][1]);
  begin_to_fail ();
  while (outer.n_read == 0)
    loop_turn (loop, TRUE);
  if (reports.n != 0)
    {
      g_assert_true (reports_mention_fd (&reports, outer.fd));
      g_assert_cmpuint (reports.n, ==, 1);
      put (fds[0][1]);
      for (guint i = 0; i < 3; i++)
        loop_turn (loop, FALSE);
      if (present_lasts)
        g_assert_cmpuint (outer.n_read, ==, 1);
      check_refusal (reports.text->str, "faulty");
      LOOP_WAIT (loop, outer.n_read > 1);
    }
  check_runs (&outer, fds[0][1]);
  g_assert_cmpuint (reports.n, <=, 1);
  reports_end (&reports);
  check_wakeups (loop, 1);
  watch_remove (&outer);
  watch_remove (&inner);
  close_both (fds[0]);
  close_both (fds[1]);
}

/* The descriptor of a handler is closed while its file lives on: the kernel reports it for ever,
 * and the epoll set has to be made anew. */
static void
try_stale (Loop *loop)
{
  int stale[2], fine[2], twin;
  Watch watch = { .loop = loop, .takes = TRUE };
  Watch lost = { .loop = loop };
  AioTimer timer;
  Reports reports;
  guint n = 0;

  open_pair (stale);
  open_pair (fine);
  twin = dup (stale[0]);
  watch.fd = fine[0];
  lost.fd = stale[0];
  watch_set (&watch, TRUE, FALSE);
  watch_set (&lost, TRUE, FALSE);
  check_runs (&watch, fine[1]);
  reports_begin (&reports);
  close (stale[0]);
  watch_remove (&lost);
  put (stale[1]);
  begin_to_fail ();
  check_runs (&watch, fine[1]);
  check_wakeups (loop, 2);
  aio_timer_init (&timer, loop->context, AIO_CLOCK_BOOTTIME, count, &n);
  aio_timer_mod_ns (&timer, aio_context_get_time_ns (loop->context, AIO_CLOCK_BOOTTIME) + MSEC);
  LOOP_WAIT (loop, n == 1);
  aio_timer_clear (&timer);
  /* By the second look at the latest it is out of the set. */
  relent ();
  check_runs (&watch, fine[1]);
  check_wakeups (loop, 2);
  if (present.call == CALL_EPOLL_CTL && present.reason == ENOSPC && present_n == 1 &&
      !present_lasts)
    loop_assert_quiet (loop);
  g_assert_true (reports_mention_fd (&reports, lost.fd));
  reports_end (&reports);
  watch_remove (&watch);
  close_both (fine);
  close (stale[1]);
  close (twin);
}

/* --- Timers and notifiers --------------------------------------------------------------------- */

static void
arm_all (Loop     *loop,
         AioTimer  timers[3],
         gint64    from_now)
{
  for (AioClock clock = AIO_CLOCK_MONOTONIC; clock <= AIO_CLOCK_REALTIME; clock++)
    aio_timer_mod_ns (&timers[clock],
                      aio_context_get_time_ns (loop->context, clock) + from_now * (clock + 1));
}

/* One for each clock; set far away at first, so that they are moved. */
static void
try_timers (Loop *loop)
{
  AioTimer timers[3];
  guint n = 0;

  begin_to_fail ();
  for (AioClock clock = AIO_CLOCK_MONOTONIC; clock <= AIO_CLOCK_REALTIME; clock++)
    aio_timer_init (&timers[clock], loop->context, clock, count, &n);
  arm_all (loop, timers, HOUR);
  check_wakeups (loop, 1);
  g_assert_cmpuint (n, ==, 0);
  for (guint i = 1; i <= 2; i++)
    {
      arm_all (loop, timers, MSEC / 5);
      LOOP_WAIT (loop, n == 3 * i);
    }
  check_wakeups (loop, 1);
  g_assert_cmpuint (n, ==, 6);
  for (guint i = 0; i < 3; i++)
    aio_timer_clear (&timers[i]);
}

/* With a handler as well: the epoll set is there before the descriptors of the timers. */
static void
try_timers_and_handler (Loop *loop)
{
  Watch watch = { .loop = loop, .takes = TRUE };
  int fds[2];

  open_pipe (fds);
  watch.fd = fds[0];
  watch_set (&watch, TRUE, FALSE);
  try_timers (loop);
  check_runs (&watch, fds[1]);
  watch_remove (&watch);
  close_both (fds);
}

typedef struct
{
  AioEventNotifier notifier;
  pid_t tid;
  guint n;
} Bell;

static void
on_bell (AioEventNotifier *notifier)
{
  Bell *bell = (Bell *) notifier;

  if (aio_event_notifier_test_and_clear (notifier))
    bell->n++;
}

static void *
pull_bell (void *data)
{
  Bell *bell = data;

  wait_for_sleep (bell->tid);
  aio_event_notifier_set (&bell->notifier);
  return NULL;
}

/* It has no GError: a refusal is a message that says the same. */
static void
hang_up_bell (Loop *loop,
              Bell *bell)
{
  g_autofree char *who =
    g_strdup_printf ("descriptor %d", aio_event_notifier_get_fd (&bell->notifier));
  Reports reports;
  guint n_before;

  reports_begin (&reports);
  do
    {
      n_before = reports.n;
      aio_context_set_event_notifier (loop->context, &bell->notifier, on_bell, NULL, NULL);
      if (reports.n != n_before)
        check_refusal (reports.text->str, who);
    }
  while (reports.n != n_before);
  reports_end (&reports);
}

static void
try_notifier (Loop *loop)
{
  Bell bell = { .tid = gettid () };
  GError *error = NULL;
  pthread_t thread;

  begin_to_fail ();
  while (!aio_event_notifier_init (&bell.notifier, TRUE, &error))
    check_error (&error, "event notifier");
  g_assert_no_error (error);
  hang_up_bell (loop, &bell);
  LOOP_WAIT (loop, bell.n == 1);
  thread = thread_start (pull_bell, &bell);
  LOOP_WAIT (loop, bell.n == 2);
  thread_join (thread);
  aio_context_set_event_notifier (loop->context, &bell.notifier, NULL, NULL, NULL);
  aio_event_notifier_clear (&bell.notifier);
}

/* --- I/O threads ------------------------------------------------------------------------------ */

static void
await (atomic_uint *n,
       guint        wanted)
{
  while (atomic_load (n) < wanted)
    sched_yield ();
  g_assert_cmpuint (atomic_load (n), ==, wanted);
}

static gboolean
poll_busily (gpointer       data,
             GCancellable  *cancellable,
             GError       **error)
{
  return aio_context_set_busy_poll (data, 100000, error);
}

typedef struct
{
  int fd;
  atomic_uint n_read;
  atomic_uint n_fired;
  atomic_uint n_posted;
} Errands;

static void
read_errand (gpointer data)
{
  Errands *errands = data;

  if (take (errands->fd))
    atomic_fetch_add (&errands->n_read, 1);
}

static void
run_errands (AioContext *context,
             Errands    *errands,
             int         peer)
{
  g_autofree char *who = g_strdup_printf ("descriptor %d", errands->fd);
  GError *error = NULL;
  AioTimer timer;

  aio_timer_init (&timer, context, AIO_CLOCK_BOOTTIME, count_atomic, &errands->n_fired);
  while (!aio_context_set_fd_handler_full (context, errands->fd, read_errand, NULL, NULL, NULL,
                                           errands, NULL, &error))
    check_error (&error, who);
  for (guint i = 1; i <= 3; i++)
    {
      aio_timer_mod_ns (&timer, aio_context_get_time_ns (context, AIO_CLOCK_BOOTTIME) + MSEC / 4);
      await (&errands->n_fired, i);
      put (peer);
      await (&errands->n_read, i);
      g_assert_true (aio_context_post (context, count_atomic, &errands->n_posted, NULL));
      await (&errands->n_posted, i);
      if (i == 1)
        g_assert_true (aio_context_invoke_sync (context, poll_busily, context, NULL, &error));
      g_assert_no_error (error);
    }
  aio_timer_del_sync (&timer);
  aio_timer_clear (&timer);
  aio_context_set_fd_handler (context, errands->fd, NULL, NULL, NULL);
}

static void
try_io_thread (Loop *loop)
{
  Errands errands = { 0 };
  AioIOThread *thread;
  GError *error = NULL;
  int fds[2];

  if (loop->way != WAY_POLL)
    return;
  open_pipe (fds);
  errands.fd = fds[0];
  begin_to_fail ();
  while ((thread = aio_io_thread_new ("faulty", &error)) == NULL)
    check_error (&error, "faulty");
  g_assert_no_error (error);
  run_errands (aio_io_thread_get_context (thread), &errands, fds[1]);
  g_assert_true (aio_context_post (aio_io_thread_get_context (thread), count_atomic,
                                   &errands.n_posted, NULL));
  aio_io_thread_unref (thread);
  g_assert_cmpuint (atomic_load (&errands.n_posted), ==, 4);
  close_both (fds);
}

static void
take_long (gpointer data)
{
  atomic_uint *step = data;

  atomic_store (step, 1);
  g_usleep (2000);
  atomic_store (step, 2);
}

/* Without the barrier of the kernel it looks again now and then. */
static void
try_cancel_sync (Loop *loop)
{
  AioIOThread *thread;
  atomic_uint step = 0;
  AioBH *bh;

  if (loop->way != WAY_POLL)
    return;
  thread = aio_io_thread_new ("faulty", NULL);
  bh = aio_bh_new (aio_io_thread_get_context (thread), take_long, &step);
  begin_to_fail ();
  for (guint i = 0; i < 2; i++)
    {
      atomic_store (&step, 0);
      aio_bh_schedule (bh);
      while (atomic_load (&step) == 0)
        sched_yield ();
      aio_bh_cancel_sync (bh);
      g_assert_cmpuint (atomic_load (&step), ==, 2);
    }
  aio_bh_delete (bh);
  aio_io_thread_unref (thread);
}

/* --- One scenario, all faults ----------------------------------------------------------------- */

typedef struct
{
  const char *name;
  LoopFunc run;
  gboolean needs_epoll;
  gboolean with_limit;          /* also with few descriptors */
} Scenario;

static const Scenario scenarios[] = {
  { "wakeups", try_wakeups, FALSE, FALSE },
  { "busy-poll", try_busy_poll, FALSE, FALSE },
  { "context", try_context, FALSE, FALSE },
  { "handlers", try_handlers, FALSE, TRUE },
  { "file", try_file, FALSE, FALSE },
  { "nested", try_nested, FALSE, FALSE },
  { "stale", try_stale, TRUE, TRUE },
  { "timers", try_timers, FALSE, TRUE },
  { "timers-and-handler", try_timers_and_handler, FALSE, TRUE },
  { "notifier", try_notifier, FALSE, TRUE },
  { "io-thread", try_io_thread, FALSE, FALSE },
  { "cancel-sync", try_cancel_sync, FALSE, FALSE },
};

static gboolean
try_once (const Scenario *scenario,
          Way             way)
{
  static char name[128];
  guint before = aio_test_count_fds ();
  Loop loop;

  g_snprintf (name, sizeof name, "%s: call %d, no. %d%s, %s", g_test_get_path (), present.call,
              present_n, present_lasts ? " and on" : "", g_strerror (present.reason));
  aio_test_moved ();
  loop_init (&loop, way, "faulty");
  scenario->run (&loop);
  relent ();
  loop_clear (&loop);
  g_assert_cmpuint (aio_test_count_fds (), ==, before);
  return atomic_load (&fault.n_struck) != 0;
}

/* How often is waited depends on chance, and has no end while a file is always ready. */
#define MAX_N 15

/* Ever later calls, until there is none so late. */
static void
try_each (const Scenario *scenario,
          Way             way,
          const Fault    *failing,
          gboolean        lasts)
{
  present = *failing;
  present_lasts = lasts;
  for (present_n = 1; present_n <= MAX_N && try_once (scenario, way); present_n++)
    continue;
}

/* Which kinds of calls the scenario makes when nothing fails. */
static void
find_calls (const Scenario *scenario,
            Way             way,
            gboolean        called[N_CALLS])
{
  for (Call call = 0; call < N_CALLS; call++)
    atomic_store (&fault.n_calls[call], 0);
  present = (Fault) { CALL_NONE, 0, FALSE };
  present_lasts = FALSE;
  present_n = 0;
  try_once (scenario, way);
  for (Call call = 0; call < N_CALLS; call++)
    called[call] = atomic_load (&fault.n_calls[call]) != 0;
}

typedef struct
{
  const Scenario *scenario;
  Way way;
} Case;

static void
test_scenario (gconstpointer data)
{
  const Case *test = data;
  gboolean called[N_CALLS];

  g_test_summary ("C27, R22, C20, C22, C12, R25: whichever system call fails, in whichever place: "
                  "the right error or another way, the old handler stays, nothing is lost");

  find_calls (test->scenario, test->way, called);
  for (guint i = 0; i < G_N_ELEMENTS (all_faults); i++)
    {
      if (!called[all_faults[i].call])
        continue;
      try_each (test->scenario, test->way, &all_faults[i], FALSE);
      if (all_faults[i].may_last)
        try_each (test->scenario, test->way, &all_faults[i], TRUE);
    }
  if (!test->scenario->with_limit)
    return;
  present = (Fault) { CALL_NONE, EMFILE, FALSE };
  present_lasts = TRUE;
  atomic_store (&fault.n_struck, 0);
  for (present_n = 1; present_n <= 5; present_n++)
    try_once (test->scenario, test->way);
}

static void
add_scenario (const Scenario *scenario,
              Way             way)
{
  static Case cases[G_N_ELEMENTS (scenarios)][N_WAYS];
  Case *test = &cases[scenario - scenarios][way];
  g_autofree char *path = g_strdup_printf ("/faults/%s/%s", scenario->name, loop_way_names[way]);

  *test = (Case) { scenario, way };
  g_test_add_data_func (path, test, test_scenario);
}

/* --- What the library asks for once in a process ---------------------------------------------- */

static void
refuse_pwait2 (int reason)
{
  static const Scenario timers = { "timers", try_timers, FALSE, FALSE };

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 60 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_INHERIT_STDERR);
      g_test_trap_assert_passed ();
      return;
    }
  present = (Fault) { CALL_EPOLL_PWAIT2, reason, TRUE };
  present_lasts = TRUE;
  present_n = 1;
  g_assert_true (try_once (&timers, WAY_POLL) || monitor_is_poll ());
  /* It is not tried again. */
  g_assert_cmpuint (atomic_load (&fault.n_struck), <=, 1);
}

static void
test_no_pwait2 (void)
{
  g_test_summary ("C22, C27: where the kernel has no epoll_pwait2(), milliseconds do, rounded up");

  refuse_pwait2 (ENOSYS);
}

static void
test_forbidden_pwait2 (void)
{
  g_test_summary ("C22, C27: the same where a sandbox forbids it");

  refuse_pwait2 (EPERM);
}

static void *
run_oneshots (void *data)
{
  AioContext *context = data;
  guint n = 0;

  for (guint i = 0; i < 1000; i++)
    aio_bh_schedule_oneshot (context, count, &n);
  g_assert_true (aio_context_poll (context, FALSE));
  g_assert_cmpuint (n, ==, 1000);
  return NULL;
}

/* In threads, too: what a thread keeps for itself has to go with it. */
static void
refuse_key (Call call,
            int  reason)
{
  g_autoptr (AioContext) context = NULL;

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 60 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_INHERIT_STDERR);
      g_test_trap_assert_passed ();
      return;
    }
  context = aio_context_new ();
  fault_set (call, reason, 1, TRUE);
  run_oneshots (context);
  thread_run (run_oneshots, context);
  g_assert_cmpuint (atomic_load (&fault.n_struck), >, 0);
  if (call == CALL_KEY)
    g_assert_cmpuint (atomic_load (&n_keys_set), ==, 0);
}

static void
test_no_key (void)
{
  g_test_summary ("C8: a process that has no thread-specific key left keeps its own ones: nothing "
                  "is stored under a key that was not given");

  refuse_key (CALL_KEY, EAGAIN);
}

static void
test_no_key_value (void)
{
  g_test_summary ("C8: nothing is kept for a thread whose end nobody would notice");

  refuse_key (CALL_KEY_SET, ENOMEM);
}

/* Dumps that a signal asks for. */

static void
wait_for (const char *path,
          const char *mark,
          guint       n)
{
  for (;;)
    {
      g_autofree char *text = NULL;
      guint found = 0;

      g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
      for (const char *at = text; (at = strstr (at, mark)) != NULL; at++)
        found++;
      g_assert_cmpuint (found, <=, n);
      if (found == n)
        return;
      g_usleep (1000);
    }
}

static void
dump_with_fault (Call        call,
                 int         reason,
                 const char *path,
                 guint       n)
{
  fault_set (call, reason, 1, FALSE);
  g_assert_cmpint (raise (SIGUSR1), ==, 0);
  /* Its last line. */
  wait_for (path, "wakes -\n", n);
  g_assert_cmpuint (atomic_load (&fault.n_struck), ==, 1);
  fault_end ();
}

static void
dump_with_faults (const char *path,
                  const char *on_stderr)
{
  g_autoptr (AioContext) context = aio_context_new_full ("dumped", NULL);
  int fd = open (on_stderr, O_WRONLY | O_APPEND | O_CLOEXEC);

  g_assert_nonnull (context);
  g_log_set_always_fatal (G_LOG_FATAL_MASK);
  g_assert_cmpint (dup2 (fd, STDERR_FILENO), ==, STDERR_FILENO);
  close (fd);
  g_setenv ("AIOCTX_DUMP", path, TRUE);
  g_assert_true (aio_dump_on_signal (SIGUSR1));
  atomic_store (&fault.least, 64);
  dump_with_fault (CALL_OPEN, EINTR, path, 1);
  dump_with_fault (CALL_WRITE, EINTR, path, 2);
  dump_with_fault (CALL_WRITE, 0, path, 3);
  wait_for (on_stderr, "AIOCTX_DUMP", 0);
  dump_with_fault (CALL_WRITE, ENOSPC, on_stderr, 1);
  dump_with_fault (CALL_OPEN, EACCES, on_stderr, 2);
  /* It was said once. */
  wait_for (on_stderr, "AIOCTX_DUMP: cannot write", 1);
  wait_for (path, "wakes -\n", 3);
}

static void
test_dump (void)
{
  g_autofree char *path = NULL, *on_stderr = NULL;

  g_test_summary ("C18, C27: a dump that is interrupted or written in parts is whole, and one that "
                  "the file does not take goes to stderr");

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 60 * G_USEC_PER_SEC, G_TEST_SUBPROCESS_INHERIT_STDERR);
      g_test_trap_assert_passed ();
      return;
    }
  close (g_file_open_tmp ("aio-faults-XXXXXX", &path, NULL));
  close (g_file_open_tmp ("aio-faults-XXXXXX", &on_stderr, NULL));
  dump_with_faults (path, on_stderr);
  unlink (path);
  unlink (on_stderr);
}

/* A kind that nothing ever met would be no test of it. */
static void
test_all_struck (void)
{
  g_test_summary ("C27: each kind of call has failed at least once in what ran before this");

  for (guint i = 0; i < G_N_ELEMENTS (all_faults); i++)
    g_test_message ("call %d: %u times", all_faults[i].call,
                    atomic_load (&fault.n_struck_ever[all_faults[i].call]));
  g_assert_cmpuint (atomic_load (&fault.n_struck_ever[CALL_READ]), >, 0);
  g_assert_cmpuint (atomic_load (&fault.n_struck_ever[CALL_WRITE]), >, 0);
  g_assert_cmpuint (atomic_load (&fault.n_struck_ever[CALL_PPOLL]), >, 0);
  g_assert_cmpuint (atomic_load (&fault.n_struck_ever[CALL_THREAD]), >, 0);
  if (monitor_is_poll ())
    return;
  for (Call call = CALL_EPOLL_CREATE; call < CALL_THREAD; call++)
    g_assert_cmpuint (atomic_load (&fault.n_struck_ever[call]), >, 0);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  for (guint i = 0; i < G_N_ELEMENTS (scenarios); i++)
    for (Way way = 0; way < N_WAYS; way++)
      if (!scenarios[i].needs_epoll || !monitor_is_poll ())
        add_scenario (&scenarios[i], way);
  aio_test_add ("/faults-once/no-pwait2", test_no_pwait2);
  aio_test_add ("/faults-once/forbidden-pwait2", test_forbidden_pwait2);
  aio_test_add ("/faults-once/no-key", test_no_key);
  aio_test_add ("/faults-once/no-key-value", test_no_key_value);
  /* The thread that writes dumps keeps its descriptors. */
  g_test_add_func ("/faults-once/dump", test_dump);
  aio_test_add ("/faults-once/all-struck", test_all_struck);
  return g_test_run ();
}
