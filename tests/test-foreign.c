/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A context as a guest in a loop that is not GLib's: three functions around each wait. The other
 * tests run in such loops, too; this is about the descriptor and the timeout themselves. */
#include "loop-test.h"

static gint64
now_ns (AioContext *context)
{
  return aio_context_get_time_ns (context, AIO_CLOCK_MONOTONIC);
}

static void
count (gpointer data)
{
  ++*(guint *) data;
}

/* --- The descriptor --------------------------------------------------------------------------- */

static void
test_fd_asked_again (void)
{
  AioContext *context = aio_context_new ();
  int fds[2], fd, before, i;
  guint n = 0;
  AioTimer timer;

  g_test_summary ("C18: the descriptor for foreign loops is another one after the first handler at "
                  "most; from then on it stays, also with a timer, after the removal of all, and "
                  "after a turn under a GMainContext; the former one stays open");

  open_pipe (fds);
  before = aio_context_get_fd (context);
  g_assert_cmpint (before, >=, 0);
  aio_context_set_fd_handler (context, fds[0], count, NULL, &n);
  fd = aio_context_get_fd (context);
  aio_timer_init (&timer, context, AIO_CLOCK_REALTIME, count, &n);
  aio_timer_mod_ns (&timer, aio_context_get_time_ns (context, AIO_CLOCK_REALTIME) + HOUR);
  for (i = 0; i < 2; i++)
    {
      aio_context_get_timeout_ns (context);
      aio_context_dispatch (context);
      g_assert_cmpint (aio_context_get_fd (context), ==, fd);
      aio_context_set_fd_handler (context, fds[0], NULL, NULL, NULL);
      aio_context_attach (context, NULL);
      g_main_context_iteration (NULL, FALSE);
      g_assert_cmpint (aio_context_get_fd (context), ==, fd);
      aio_context_detach (context);
    }
  g_assert_cmpint (fcntl (before, F_GETFD), >=, 0);
  aio_timer_clear (&timer);
  aio_context_unref (context);
  close_both (fds);
}

static void *
write_now_and_then (void *data)
{
  int *fd = data;
  int i;

  for (i = 0; i < 10; i++)
    {
      g_usleep (3000);
      put (*fd);
    }
  return NULL;
}

typedef struct
{
  int fd;
  int n;
} Counter;

static void
count_bytes (gpointer data)
{
  Counter *counter = data;

  while (take (counter->fd))
    counter->n++;
}

static void
test_fd_asked_once (void)
{
  AioContext *context = aio_context_new ();
  struct pollfd pollfd = { .events = POLLIN };
  Counter counter = { 0 };
  pthread_t thread;
  int fds[2];

  g_test_summary ("C18, C20: a foreign loop that has asked for the descriptor before the first "
                  "handler was set, and does not ask again, is told to come back soon enough to "
                  "hear of everything");

  open_pipe (fds);
  pollfd.fd = aio_context_get_fd (context);
  counter.fd = fds[0];
  aio_context_set_fd_handler (context, fds[0], count_bytes, NULL, &counter);
  thread = thread_start (write_now_and_then, &fds[1]);
  while (counter.n < 10)
    {
      int timeout = loop_ms_from_ns (aio_context_get_timeout_ns (context));

      poll (&pollfd, 1, timeout);
      aio_context_dispatch (context);
    }
  thread_join (thread);
  aio_context_set_fd_handler (context, fds[0], NULL, NULL, NULL);
  aio_context_unref (context);
  close_both (fds);
}

/* A descriptor that is closed before its removal, while a duplicate of it is readable for ever. */
static void
leave_stale (AioContext *context,
             int        *twin)
{
  Reports reports;
  int fds[2];

  open_pipe (fds);
  put (fds[1]);
  *twin = dup (fds[0]);
  aio_context_set_fd_handler (context, fds[0], count_bytes, NULL, &(Counter) { fds[0], 0 });
  close (fds[0]);
  reports_begin (&reports);
  aio_context_set_fd_handler (context, fds[0], NULL, NULL, NULL);
  g_assert_cmpuint (reports.n, ==, 1);
  reports_end (&reports);
  close (fds[1]);
}

static void
test_fd_anew (void)
{
  AioContext *context = aio_context_new ();
  struct epoll_event event = { EPOLLIN, { 0 } };
  int epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  Counter counter = { 0 };
  int fds[2], twins[3], i, round;

  g_test_summary ("C20, C18: descriptors that are closed too early make the context begin anew, "
                  "several times: a foreign loop that has asked once still hears of everything");

  open_pipe (fds);
  counter.fd = fds[0];
  aio_context_set_fd_handler (context, fds[0], count_bytes, NULL, &counter);
  g_assert_cmpint (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, aio_context_get_fd (context), &event), ==,
                   0);
  for (round = 0; round < 3; round++)
    {
      leave_stale (context, &twins[round]);
      for (i = 0; i < 3; i++)
        {
          aio_context_get_timeout_ns (context);
          aio_context_dispatch (context);
        }
      put (fds[1]);
      while (counter.n <= round)
        {
          int timeout = loop_ms_from_ns (aio_context_get_timeout_ns (context));

          epoll_wait (epoll_fd, &event, 1, timeout);
          aio_context_dispatch (context);
        }
    }
  aio_context_set_fd_handler (context, fds[0], NULL, NULL, NULL);
  aio_context_unref (context);
  for (i = 0; i < 3; i++)
    close (twins[i]);
  close (epoll_fd);
  close_both (fds);
}

/* What makes a sleeping context's descriptor readable. */
typedef enum
{
  CAUSE_BH,
  CAUSE_ONESHOT,
  CAUSE_POST,
  CAUSE_NOTIFY,
  CAUSE_FD,
  CAUSE_NOTIFIER,
  CAUSE_NEW_FD,
  CAUSE_TIMER,
  CAUSE_ANTICIPATED,
  N_CAUSES
} Cause;

typedef struct
{
  AioContext *context;
  AioBH *bh;
  AioTimer timer;
  AioEventNotifier notifier;
  int fds[2];
  int new_fds[2];
  guint n;
  Cause cause;
} Guest;

static void
guest_called (gpointer data)
{
  Guest *guest = data;

  guest->n++;
}

static void
guest_read (gpointer data)
{
  Guest *guest = data;

  guest->n++;
  take (guest->fds[0]);
}

static void
guest_notified (AioEventNotifier *notifier)
{
  Guest *guest = (Guest *) ((char *) notifier - G_STRUCT_OFFSET (Guest, notifier));

  guest->n++;
  aio_event_notifier_test_and_clear (notifier);
}

static void
guest_init (Guest *guest)
{
  *guest = (Guest) { .context = aio_context_new_full ("guest", NULL) };
  guest->bh = aio_bh_new (guest->context, guest_called, guest);
  aio_timer_init (&guest->timer, guest->context, AIO_CLOCK_MONOTONIC, guest_called, guest);
  open_pipe (guest->fds);
  open_pipe (guest->new_fds);
  put (guest->new_fds[1]);
  aio_context_set_fd_handler (guest->context, guest->fds[0], guest_read, NULL, guest);
  g_assert_true (aio_event_notifier_init (&guest->notifier, FALSE, NULL));
  aio_context_set_event_notifier (guest->context, &guest->notifier, guest_notified, NULL, NULL);
}

static void
guest_clear (Guest *guest)
{
  aio_timer_clear (&guest->timer);
  aio_bh_delete (guest->bh);
  aio_context_set_fd_handler (guest->context, guest->fds[0], NULL, NULL, NULL);
  aio_context_set_fd_handler (guest->context, guest->new_fds[0], NULL, NULL, NULL);
  aio_context_set_event_notifier (guest->context, &guest->notifier, NULL, NULL, NULL);
  aio_context_unref (guest->context);
  aio_event_notifier_clear (&guest->notifier);
  close_both (guest->fds);
  close_both (guest->new_fds);
}

static void *
guest_cause (void *data)
{
  Guest *guest = data;

  switch (guest->cause)
    {
    case CAUSE_BH:
      aio_bh_schedule (guest->bh);
      break;
    case CAUSE_ONESHOT:
      aio_bh_schedule_oneshot (guest->context, guest_called, guest);
      break;
    case CAUSE_POST:
      g_assert_true (aio_context_post (guest->context, guest_called, guest, NULL));
      break;
    case CAUSE_NOTIFY:
      aio_context_notify (guest->context);
      break;
    case CAUSE_FD:
      put (guest->fds[1]);
      break;
    case CAUSE_NOTIFIER:
      aio_event_notifier_set (&guest->notifier);
      break;
    case CAUSE_NEW_FD:
      aio_context_set_fd_handler (guest->context, guest->new_fds[0], guest_called, NULL, guest);
      break;
    case CAUSE_TIMER:
      aio_timer_mod_ns (&guest->timer, 0);
      break;
    case CAUSE_ANTICIPATED:
    case N_CAUSES:
      g_assert_true (aio_timer_mod_anticipate_ns (&guest->timer, 1));
      break;
    }
  return NULL;
}

/* Until it has no more to do by itself. */
static void
guest_settle (Guest *guest)
{
  guint i;

  aio_context_get_fd (guest->context);
  for (i = 0; i < 10; i++)
    {
      aio_context_get_timeout_ns (guest->context);
      aio_context_dispatch (guest->context);
    }
}

static void
test_causes (void)
{
  Guest guest;
  Cause cause;

  g_test_summary ("C18, R7, C12: after get_timeout_ns each thing that another thread can do for "
                  "the context makes its descriptor readable; dispatch does it, and makes the "
                  "descriptor unreadable again");

  if (monitor_is_poll ())
    {
      g_test_skip ("with poll(2) no descriptor stands for all others");
      return;
    }
  for (cause = 0; cause < N_CAUSES; cause++)
    {
      int fd;

      guest_init (&guest);
      fd = aio_context_get_fd (guest.context);
      guest.cause = cause;
      guest_settle (&guest);
      g_assert_cmpint (aio_context_get_timeout_ns (guest.context), ==, -1);
      g_assert_false (is_readable (fd));
      thread_run (guest_cause, &guest);
      g_assert_true (is_readable (fd));
      g_assert_true (aio_context_dispatch (guest.context) == (cause != CAUSE_NOTIFY));
      g_assert_cmpuint (guest.n, ==, cause == CAUSE_NOTIFY ? 0 : 1);
      if (cause == CAUSE_NEW_FD)
        aio_context_set_fd_handler (guest.context, guest.new_fds[0], NULL, NULL, NULL);
      guest_settle (&guest);
      g_assert_cmpint (aio_context_get_timeout_ns (guest.context), ==, -1);
      g_assert_false (is_readable (fd));
      aio_context_dispatch (guest.context);
      guest_clear (&guest);
    }
}

static void
test_awake (void)
{
  AioContextStats before, after;
  Guest guest;
  Cause cause;

  g_test_summary ("C15, C18: between dispatch and get_timeout_ns nobody writes a wakeup; the next "
                  "timeout is 0, or the descriptor is readable");

  if (monitor_is_poll ())
    {
      g_test_skip ("with poll(2) no descriptor stands for all others");
      return;
    }
  for (cause = 0; cause < N_CAUSES; cause++)
    {
      guest_init (&guest);
      guest.cause = cause;
      guest_settle (&guest);
      aio_context_get_stats (guest.context, &before, sizeof before);
      thread_run (guest_cause, &guest);
      aio_context_get_stats (guest.context, &after, sizeof after);
      g_assert_cmpuint (after.wakeups_sent, ==, before.wakeups_sent);
      g_assert_true (aio_context_get_timeout_ns (guest.context) == 0 ||
                     is_readable (aio_context_get_fd (guest.context)));
      aio_context_dispatch (guest.context);
      if (cause == CAUSE_NEW_FD)
        {
          aio_context_get_timeout_ns (guest.context);
          aio_context_dispatch (guest.context);
        }
      g_assert_cmpuint (guest.n, >=, cause == CAUSE_NOTIFY ? 0 : 1);
      guest_clear (&guest);
    }
}

/* --- The timeout ------------------------------------------------------------------------------ */

static void
test_timeout (void)
{
  Guest guest;
  gint64 timeout;

  g_test_summary ("C18, C10, C14, R14: the timeout is endless with nothing due, 0 with a bottom "
                  "half pending, 10 ms at most with an idle one, no longer than the next deadline "
                  "unless the descriptor tells");

  guest_init (&guest);
  guest_settle (&guest);
  timeout = aio_context_get_timeout_ns (guest.context);
  if (monitor_is_poll ())
    g_assert_cmpint (timeout, >, 0);
  else
    g_assert_cmpint (timeout, ==, -1);
  aio_context_dispatch (guest.context);

  aio_bh_schedule (guest.bh);
  g_assert_cmpint (aio_context_get_timeout_ns (guest.context), ==, 0);
  g_assert_true (aio_context_dispatch (guest.context));
  aio_bh_schedule_idle (guest.bh);
  timeout = aio_context_get_timeout_ns (guest.context);
  g_assert_cmpint (timeout, >=, 0);
  g_assert_cmpint (timeout, <=, 10 * MSEC);
  g_assert_false (aio_context_dispatch (guest.context));
  g_assert_cmpuint (guest.n, ==, 2);

  aio_timer_mod_ns (&guest.timer, now_ns (guest.context) + 1500000);
  do
    {
      struct pollfd pollfd = { aio_context_get_fd (guest.context), POLLIN, 0 };

      timeout = aio_context_get_timeout_ns (guest.context);
      g_assert_cmpint (timeout, <=, 1500000);
      poll (&pollfd, 1, loop_ms_from_ns (timeout));
      aio_context_dispatch (guest.context);
    }
  while (guest.n == 2);
  g_assert_cmpuint (guest.n, ==, 3);
  guest_clear (&guest);
}

static void
test_called_often (void)
{
  Guest guest;
  int i;

  g_test_summary ("C18, G4: get_timeout_ns may be called twice before a wait, and dispatch without "
                  "it, or when nothing was ready");

  guest_init (&guest);
  for (i = 0; i < 5; i++)
    g_assert_false (aio_context_dispatch (guest.context));
  put (guest.fds[1]);
  aio_timer_mod_ns (&guest.timer, 0);
  aio_bh_schedule (guest.bh);
  g_assert_true (aio_context_dispatch (guest.context));
  aio_context_get_timeout_ns (guest.context);
  aio_context_get_timeout_ns (guest.context);
  aio_context_dispatch (guest.context);
  g_assert_cmpuint (guest.n, ==, 3);

  aio_context_get_timeout_ns (guest.context);
  aio_context_get_timeout_ns (guest.context);
  put (guest.fds[1]);
  aio_bh_schedule (guest.bh);
  aio_context_get_timeout_ns (guest.context);
  aio_context_dispatch (guest.context);
  aio_context_get_timeout_ns (guest.context);
  aio_context_dispatch (guest.context);
  g_assert_cmpuint (guest.n, ==, 5);
  guest_clear (&guest);
}

/* Somebody asked for the timeout and is about to sleep; before it does the same thread polls the
 * context by itself, which leaves something behind that the sleeper did not count on. */
static void
test_visit (void)
{
  Guest guest;
  Cause cause;

  g_test_summary ("G4, C18: an own poll between get_timeout_ns and the wait takes no wakeup from "
                  "the sleeper, who also hears of what came after that poll");

  if (monitor_is_poll ())
    {
      g_test_skip ("with poll(2) no descriptor stands for all others");
      return;
    }
  for (cause = 0; cause < N_CAUSES; cause++)
    {
      guest_init (&guest);
      guest.cause = cause;
      guest_settle (&guest);
      g_assert_cmpint (aio_context_get_timeout_ns (guest.context), ==, -1);
      aio_context_poll (guest.context, FALSE);
      thread_run (guest_cause, &guest);
      g_assert_true (is_readable (aio_context_get_fd (guest.context)));
      aio_context_dispatch (guest.context);
      g_assert_cmpuint (guest.n, ==, cause == CAUSE_NOTIFY ? 0 : 1);
      guest_clear (&guest);
    }
}

static void
arm_timer (gpointer data)
{
  Guest *guest = data;

  aio_timer_mod_ns (&guest->timer, now_ns (guest->context) + MSEC);
}

static void
test_visit_arms (void)
{
  Guest guest;
  struct pollfd pollfd = { .events = POLLIN };
  int timeout = -1;

  g_test_summary ("G4, C22: an own poll between get_timeout_ns and the wait, in which a timer is "
                  "armed that the sleeper has not heard of, ends the sleep");

  if (monitor_is_poll ())
    {
      g_test_skip ("with poll(2) no descriptor stands for all others");
      return;
    }
  guest_init (&guest);
  pollfd.fd = aio_context_get_fd (guest.context);
  guest_settle (&guest);
  g_assert_cmpint (aio_context_get_timeout_ns (guest.context), ==, -1);
  aio_bh_schedule_oneshot (guest.context, arm_timer, &guest);
  g_assert_true (aio_context_poll (guest.context, FALSE));
  while (guest.n == 0)
    {
      poll (&pollfd, 1, timeout);
      aio_context_dispatch (guest.context);
      timeout = loop_ms_from_ns (aio_context_get_timeout_ns (guest.context));
    }
  guest_clear (&guest);
}

/* --- Whole programs --------------------------------------------------------------------------- */

/* A producer in another thread does a bit of everything, and counts what it is owed. */
typedef struct
{
  Guest guests[2];
  guint rounds;
  atomic_bool over;
  guint n_own;                  /* what the loop itself was told on its own pipe */
  int own[2];
  pid_t tid;
} Program;

static void *
produce (void *data)
{
  Program *program = data;
  guint i;

  for (i = 0; i < program->rounds; i++)
    {
      Guest *guest = &program->guests[i % 2];

      if (i % 10 == 0)
        thread_wait_asleep (program->tid);
      switch (i / 2 % 4)
        {
        case 0:
          g_assert_true (aio_context_post (guest->context, guest_called, guest, NULL));
          break;
        case 1:
          put (guest->fds[1]);
          break;
        case 2:
          put (program->own[1]);
          break;
        default:
          aio_timer_mod_ns (&guest->timer, now_ns (guest->context) + 20000);
          while (aio_timer_pending (&guest->timer))
            g_usleep (10);
        }
    }
  atomic_store (&program->over, TRUE);
  put (program->own[1]);
  return NULL;
}

static void
program_init (Program *program)
{
  *program = (Program) { .rounds = g_test_thorough () ? 80000 : 400, .tid = gettid () };
  guest_init (&program->guests[0]);
  guest_init (&program->guests[1]);
  open_pipe (program->own);
}

static gboolean
program_goes_on (Program *program)
{
  guint n = program->guests[0].n + program->guests[1].n + program->n_own;

  return !atomic_load (&program->over) || n < program->rounds + 1;
}

static void
program_clear (Program *program)
{
  g_assert_cmpuint (program->guests[0].n + program->guests[1].n + program->n_own, ==,
                    program->rounds + 1);
  guest_clear (&program->guests[0]);
  guest_clear (&program->guests[1]);
  close_both (program->own);
}

static int
shorter_ms (gint64 a,
            gint64 b)
{
  return loop_ms_from_ns (a < 0 || b < 0 ? MAX (a, b) : MIN (a, b));
}

static void
program_before_wait (Program *program,
                     int     *timeout)
{
  *timeout = shorter_ms (aio_context_get_timeout_ns (program->guests[0].context),
                         aio_context_get_timeout_ns (program->guests[1].context));
}

static void
program_after_wait (Program *program)
{
  while (take (program->own[0]))
    program->n_own++;
  aio_context_dispatch (program->guests[0].context);
  aio_context_dispatch (program->guests[1].context);
}

static void
test_epoll_program (void)
{
  Program program;
  int epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  pthread_t thread;
  guint i;

  g_test_summary ("C18, C19: a plain epoll loop with a pipe of its own drives two contexts with "
                  "posts, descriptors and timers: nothing is lost");

  program_init (&program);
  for (i = 0; i < 3; i++)
    {
      int fd = i < 2 ? aio_context_get_fd (program.guests[i].context) : program.own[0];
      struct epoll_event event = { EPOLLIN, { 0 } };

      g_assert_cmpint (epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fd, &event), ==, 0);
    }
  thread = thread_start (produce, &program);
  while (program_goes_on (&program))
    {
      struct epoll_event events[3];
      int timeout;

      program_before_wait (&program, &timeout);
      epoll_wait (epoll_fd, events, 3, timeout);
      program_after_wait (&program);
    }
  thread_join (thread);
  program_clear (&program);
  close (epoll_fd);
}

static void
test_poll_program (void)
{
  Program program;
  pthread_t thread;

  g_test_summary ("C18, C19: a plain poll loop does the same");

  program_init (&program);
  thread = thread_start (produce, &program);
  while (program_goes_on (&program))
    {
      struct pollfd fds[3] = { { aio_context_get_fd (program.guests[0].context), POLLIN, 0 },
                               { aio_context_get_fd (program.guests[1].context), POLLIN, 0 },
                               { program.own[0], POLLIN, 0 } };
      int timeout;

      program_before_wait (&program, &timeout);
      poll (fds, 3, timeout);
      program_after_wait (&program);
    }
  thread_join (thread);
  program_clear (&program);
}

/* --- Together with a GMainContext ------------------------------------------------------------- */

static void
test_source_meanwhile (void)
{
  AioContext *context = aio_context_new ();
  guint n = 0;

  g_test_summary ("C2, C18: a foreign loop that is about to wait is woken, although the GSource of "
                  "the context is destroyed or replaced between its question and its wait");

  aio_context_attach (context, NULL);
  g_assert_cmpint (aio_context_get_timeout_ns (context), ==, -1);
  aio_context_detach (context);
  aio_bh_schedule_oneshot (context, count, &n);
  g_assert_true (is_readable (aio_context_get_fd (context)));
  aio_context_dispatch (context);
  g_assert_cmpuint (n, ==, 1);

  g_source_destroy (aio_context_get_source (context));
  g_assert_cmpint (aio_context_get_timeout_ns (context), ==, -1);
  aio_context_attach (context, NULL);
  aio_bh_schedule_oneshot (context, count, &n);
  g_assert_true (is_readable (aio_context_get_fd (context)));
  aio_context_dispatch (context);
  g_assert_cmpuint (n, ==, 2);
  aio_context_detach (context);
  aio_context_unref (context);
}

/* --- Misuse ----------------------------------------------------------------------------------- */

typedef struct
{
  AioContext *context;
  atomic_bool inside;
  atomic_bool done;
} Held;

static void *
intrude (void *data)
{
  Held *held = data;

  while (!atomic_load (&held->inside))
    sched_yield ();
  g_assert_cmpint (aio_context_get_timeout_ns (held->context), ==, -1);
  g_assert_false (aio_context_dispatch (held->context));
  atomic_store (&held->done, TRUE);
  return NULL;
}

static void
hold (gpointer data)
{
  Held *held = data;

  atomic_store (&held->inside, TRUE);
  while (!atomic_load (&held->done))
    sched_yield ();
}

static void
test_misuse (void)
{
  Held held = { .context = aio_context_new_full ("misused", NULL) };
  Reports reports;
  pthread_t thread;

  g_test_summary ("C28, C17: NULL, and a second thread at the same time, are critical warnings");

  reports_begin (&reports);
  g_assert_cmpint (aio_context_get_fd (NULL), ==, -1);
  g_assert_cmpint (aio_context_get_timeout_ns (NULL), ==, -1);
  g_assert_false (aio_context_dispatch (NULL));
  g_assert_cmpuint (reports.n, ==, 3);
  thread = thread_start (intrude, &held);
  aio_bh_schedule_oneshot (held.context, hold, &held);
  g_assert_true (aio_context_poll (held.context, TRUE));
  thread_join (thread);
  g_assert_cmpuint (reports.n, ==, 5);
  g_assert_true (reports_mention (&reports, "misused"));
  reports_end (&reports);
  aio_context_unref (held.context);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  aio_test_add ("/foreign/fd-asked-again", test_fd_asked_again);
  aio_test_add ("/foreign/fd-asked-once", test_fd_asked_once);
  aio_test_add ("/foreign/fd-anew", test_fd_anew);
  aio_test_add ("/foreign/causes", test_causes);
  aio_test_add ("/foreign/awake", test_awake);
  aio_test_add ("/foreign/timeout", test_timeout);
  aio_test_add ("/foreign/called-often", test_called_often);
  aio_test_add ("/foreign/visit", test_visit);
  aio_test_add ("/foreign/visit-arms", test_visit_arms);
  aio_test_add ("/foreign/epoll-program", test_epoll_program);
  aio_test_add ("/foreign/poll-program", test_poll_program);
  aio_test_add ("/foreign/source-meanwhile", test_source_meanwhile);
  aio_test_add ("/foreign/misuse", test_misuse);
  return g_test_run ();
}
