/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Signal handlers that schedule, at 10 kHz, in the midst of whatever the library is doing. */
#include "bh-test.h"

#include <fcntl.h>
#include <sys/time.h>

/* ---- One handler at a time, in the one thread that lets the signal in ---- */

static void (*on_signal) (void);
static atomic_uint n_signals;
static atomic_uint n_errno_lost;

/* Leaves errno to the library: what the interrupted code had there must be there afterwards. */
static void
handler (int signum)
{
  int before = errno;

  if (on_signal != NULL)
    on_signal ();
  if (errno != before)
    {
      atomic_fetch_add (&n_errno_lost, 1);
      errno = before;
    }
  atomic_fetch_add (&n_signals, 1);
}

static void
mask_signal (int how)
{
  sigset_t set;

  sigemptyset (&set);
  sigaddset (&set, SIGALRM);
  g_assert_cmpint (pthread_sigmask (how, &set, NULL), ==, 0);
}

static void
set_timer (long first_usec,
           long period_usec)
{
  struct itimerval timer = { { 0, period_usec }, { 0, first_usec } };

  g_assert_cmpint (setitimer (ITIMER_REAL, &timer, NULL), ==, 0);
}

static void
start_signals (void (*func) (void))
{
  atomic_store (&n_signals, 0);
  atomic_store (&n_errno_lost, 0);
  on_signal = func;
  set_timer (100, 100);
}

/* The last one may still be under way: on_signal is left in place until the mask is closed. */
static void
stop_signals (void)
{
  set_timer (0, 0);
  mask_signal (SIG_BLOCK);
  mask_signal (SIG_UNBLOCK);
  on_signal = NULL;
  g_assert_cmpuint (atomic_load (&n_errno_lost), ==, 0);
}

static guint
n_wanted (void)
{
  return g_test_thorough () ? 300000 : 10000;
}

/* ---- errno (R27) ---- */

typedef struct
{
  AioContext *context;
  AioBH *by_handler[2];
  AioBH *own;
  AioBH *idle;
  atomic_uint handler_runs;
  guint own_runs;
} Plain;

static Plain plain;

static void
plain_handler (void)
{
  aio_bh_schedule (plain.by_handler[0]);
  aio_bh_schedule_idle (plain.idle);
  aio_bh_schedule (plain.own);
  aio_bh_schedule (plain.by_handler[1]);
  aio_bh_cancel (plain.idle);
  aio_context_notify (plain.context);
}

static void
plain_handler_cb (gpointer data)
{
  atomic_fetch_add (&plain.handler_runs, 1);
}

/* What a callback puts into errno stays there while the signals come in. */
static void
plain_own_cb (gpointer data)
{
  int error;

  errno = 1234;
  spin (200);
  error = errno;
  g_assert_cmpint (error, ==, 1234);
  plain.own_runs++;
}

static void
plain_init (Loop *loop)
{
  memset (&plain, 0, sizeof plain);
  plain.context = loop->context;
  plain.by_handler[0] = aio_bh_new (loop->context, plain_handler_cb, NULL);
  plain.by_handler[1] = aio_bh_new (loop->context, plain_handler_cb, NULL);
  plain.own = aio_bh_new (loop->context, plain_own_cb, NULL);
  plain.idle = aio_bh_new (loop->context, plain_handler_cb, NULL);
}

static void
plain_clear (void)
{
  aio_bh_delete (plain.by_handler[0]);
  aio_bh_delete (plain.by_handler[1]);
  aio_bh_delete (plain.own);
  aio_bh_delete (plain.idle);
}

static void
schedule_with_errno (AioBH *bh)
{
  int error;

  errno = 4321;
  aio_bh_schedule (bh);
  error = errno;
  g_assert_cmpint (error, ==, 4321);
}

static void
errno_kept (Loop *loop)
{
  plain_init (loop);
  start_signals (plain_handler);
  while (atomic_load (&n_signals) < n_wanted ())
    {
      schedule_with_errno (plain.own);
      schedule_with_errno (plain.by_handler[0]);
      loop_iterate (loop, FALSE);
      aio_test_moved_to (atomic_load (&n_signals));
    }
  stop_signals ();
  while (loop_iterate (loop, FALSE))
    ;
  g_assert_cmpuint (plain.own_runs, >, 0);
  g_assert_cmpuint (atomic_load (&plain.handler_runs), >, 0);
  plain_clear ();
}

static void
test_errno (void)
{
  g_test_summary ("C1, R27: a handler schedules, cancels and notifies inside schedule itself and "
                  "inside the dispatch; errno is kept on both sides");
  both_ways_at_home (errno_kept);
}

static void
test_errno_full (void)
{
  Loop loop = { aio_context_new (), NULL };
  guint32 random = g_test_rand_int () | 1;
  guint round, seen;

  g_test_summary ("C1, R27: errno is kept also when the handler's wakeup cannot be written");
  plain_init (&loop);
  start_signals (plain_handler);
  for (round = 0; round < n_wanted () / 10; round++)
    {
      seen = atomic_load (&n_signals);
      if (aio_context_get_timeout_ns (loop.context) != 0)
        {
          fill_wakeup (loop.context);
          while (atomic_load (&n_signals) == seen)
            spin (next_random (&random) % 100);
        }
      aio_context_dispatch (loop.context);
      aio_test_moved ();
    }
  stop_signals ();
  g_assert_cmpuint (atomic_load (&plain.handler_runs), >, 0);
  plain_clear ();
  aio_context_unref (loop.context);
}

/* ---- One signal, then silence ---- */

typedef struct
{
  AioBH *bhs[2];
  atomic_uint written;
  guint seen[2];
} Single;

static Single single;

static void
single_handler (void)
{
  aio_bh_schedule (single.bhs[0]);
  aio_bh_schedule (single.bhs[1]);
}

static void
single_cb (gpointer data)
{
  *(guint *) data = atomic_load (&single.written);
}

/* The signal comes while the thread iterates, falls asleep or sleeps. A sleep that begins after it
 * is not interrupted by it, so the schedule alone has to end that. */
static void
one_signal (Loop *loop)
{
  guint32 random = g_test_rand_int () | 1;
  guint round, n_rounds = g_test_thorough () ? 500000 : 10000, i;

  for (i = 0; i < 2; i++)
    single.bhs[i] = aio_bh_new (loop->context, single_cb, &single.seen[i]);
  on_signal = single_handler;
  for (round = 1; round <= n_rounds; round++)
    {
      atomic_store (&single.written, round);
      set_timer (1 + next_random (&random) % 20, 0);
      spin (next_random (&random) % 8000);
      if (next_random (&random) % 4 == 0)
        aio_bh_schedule (single.bhs[next_random (&random) % 2]);
      while (single.seen[0] != round || single.seen[1] != round)
        loop_iterate (loop, TRUE);
      aio_test_moved ();
    }
  stop_signals ();
  for (i = 0; i < 2; i++)
    aio_bh_delete (single.bhs[i]);
  memset (&single, 0, sizeof single);
}

static void
test_one_signal (void)
{
  g_test_summary ("C1, C2: one signal in the home thread, at any moment on the way to sleep, "
                  "then silence: what its handler scheduled runs");
  both_ways_at_home (one_signal);
}

/* ---- Order between handlers and a thread ---- */

/* The handler, in the home thread, and another thread schedule by turns: the handler hands over to
 * the thread and waits for its answer, inside the very window that it has interrupted. So all
 * schedules stand in one order. */
typedef enum
{
  TURN_HANDLER,
  TURN_THREAD
} Turn;

typedef struct
{
  AioBH *bh;
  atomic_uint number;
  atomic_int pending;
} TurnBH;

typedef struct
{
  TurnBH bhs[32];
  AioContext *context;
  atomic_int turn;
  atomic_int stop;
  atomic_uint issued;
  guint started;
  guint32 random;
} Turns;

static Turns turns;

static void
turn_cb (gpointer data)
{
  TurnBH *bh = data;

  g_assert_cmpuint (atomic_load (&bh->number), ==, turns.started);
  turns.started++;
  atomic_store (&bh->pending, 0);
}

/* Called by one at a time. */
static void
turn_issue (guint which)
{
  TurnBH *bh = &turns.bhs[which];

  if (atomic_load (&bh->pending) != 0)
    return;
  atomic_store (&bh->pending, 1);
  atomic_store (&bh->number, atomic_fetch_add (&turns.issued, 1));
  aio_bh_schedule (bh->bh);
}

static void
turns_handler (void)
{
  guint i;

  if (atomic_load (&turns.turn) != TURN_HANDLER)
    return;
  turn_issue (atomic_load (&n_signals) % 16);
  atomic_store (&turns.turn, TURN_THREAD);
  for (i = 0; i < 2000 && atomic_load (&turns.turn) == TURN_THREAD; i++)
    spin (5);
  if (atomic_load (&turns.turn) != TURN_HANDLER)
    return;
  turn_issue ((atomic_load (&n_signals) + 7) % 16);
}

static void *
turns_thread (void *unused)
{
  guint n = 0;

  mask_signal (SIG_BLOCK);
  while (atomic_load (&turns.stop) == 0)
    {
      if (atomic_load (&turns.turn) != TURN_THREAD)
        continue;
      turn_issue (16 + n++ % 16);
      turn_issue (16 + n++ % 16);
      atomic_store (&turns.turn, TURN_HANDLER);
    }
  return NULL;
}

static void
turns_run (Loop *loop)
{
  pthread_t thread;
  guint i, n = n_wanted ();

  memset (&turns, 0, sizeof turns);
  turns.context = loop->context;
  for (i = 0; i < G_N_ELEMENTS (turns.bhs); i++)
    turns.bhs[i].bh = aio_bh_new (loop->context, turn_cb, &turns.bhs[i]);
  mask_signal (SIG_BLOCK);
  g_assert_cmpint (pthread_create (&thread, NULL, turns_thread, NULL), ==, 0);
  mask_signal (SIG_UNBLOCK);
  start_signals (turns_handler);
  while (atomic_load (&n_signals) < n)
    {
      loop_iterate (loop, FALSE);
      aio_test_moved_to (atomic_load (&n_signals));
    }
  stop_signals ();
  atomic_store (&turns.stop, 1);
  pthread_join (thread, NULL);
  while (loop_iterate (loop, FALSE))
    ;
  g_assert_cmpuint (turns.started, ==, atomic_load (&turns.issued));
  g_assert_cmpuint (turns.started, >, 0);
  for (i = 0; i < G_N_ELEMENTS (turns.bhs); i++)
    aio_bh_delete (turns.bhs[i].bh);
}

static void
test_turns (void)
{
  g_test_summary ("C3, C1: a handler in the home thread and another thread schedule by turns, "
                  "both within one interrupted step of the home thread: the order is kept");
  both_ways_at_home (turns_run);
}

/* ---- A producer that is interrupted by its own kind ---- */

typedef struct
{
  Loop *loop;
  AioBH *bhs[4];
  atomic_uint written[4];
  atomic_uint seen[4];
  atomic_uint rounds;
  guint n_rounds;
  guint32 random;
} Kin;

static Kin kin;

/* Writes before it schedules, also when it interrupts a thread that is between the same two steps
 * for the same bottom half. */
static void
kin_handler (void)
{
  guint which = atomic_load (&n_signals) % 4;

  atomic_fetch_add_explicit (&kin.written[which], 1, memory_order_relaxed);
  aio_bh_schedule (kin.bhs[which]);
  aio_bh_cancel (kin.bhs[(which + 1) % 4]);
  aio_bh_schedule (kin.bhs[(which + 1) % 4]);
}

static void
kin_cb (gpointer data)
{
  guint which = GPOINTER_TO_UINT (data);

  atomic_store (&kin.seen[which],
                atomic_load_explicit (&kin.written[which], memory_order_relaxed));
}

static void
kin_wait (void)
{
  guint i;

  /* Silence: no signal, no schedule. */
  mask_signal (SIG_BLOCK);
  for (i = 0; i < 4; i++)
    while (atomic_load (&kin.seen[i]) !=
           atomic_load_explicit (&kin.written[i], memory_order_relaxed))
      sched_yield ();
  mask_signal (SIG_UNBLOCK);
}

static void *
kin_thread (void *unused)
{
  guint round, which;

  mask_signal (SIG_UNBLOCK);
  for (round = 0; round < kin.n_rounds; round++)
    {
      which = next_random (&kin.random) % 4;
      atomic_fetch_add_explicit (&kin.written[which], 1, memory_order_relaxed);
      aio_bh_schedule (kin.bhs[which]);
      if (round % 64 == 0)
        kin_wait ();
      aio_test_moved ();
    }
  kin_wait ();
  mask_signal (SIG_BLOCK);
  atomic_store (&kin.rounds, 1);
  aio_context_notify (kin.loop->context);
  return NULL;
}

static void
kin_run (Loop *loop)
{
  pthread_t thread;
  guint i;

  memset (&kin, 0, sizeof kin);
  kin.loop = loop;
  kin.n_rounds = g_test_thorough () ? 10000000 : 300000;
  kin.random = g_test_rand_int () | 1;
  for (i = 0; i < 4; i++)
    kin.bhs[i] = aio_bh_new (loop->context, kin_cb, GUINT_TO_POINTER (i));
  mask_signal (SIG_BLOCK);
  start_signals (kin_handler);
  g_assert_cmpint (pthread_create (&thread, NULL, kin_thread, NULL), ==, 0);
  while (atomic_load (&kin.rounds) == 0)
    loop_iterate (loop, TRUE);
  pthread_join (thread, NULL);
  set_timer (0, 0);
  on_signal = NULL;
  mask_signal (SIG_UNBLOCK);
  g_assert_cmpuint (atomic_load (&n_errno_lost), ==, 0);
  for (i = 0; i < 4; i++)
    aio_bh_delete (kin.bhs[i]);
}

static void
test_kin (void)
{
  g_test_summary ("C1, C2, R1: a handler interrupts a thread inside schedule and schedules the "
                  "same and others; then silence, and the last value of each was seen");
  both_ways_at_home (kin_run);
}

/* Before any thread is started: only the thread that runs the cases lets the signal in. */
static void
install_handler (void)
{
  struct sigaction action;

  memset (&action, 0, sizeof action);
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  g_assert_cmpint (sigaction (SIGALRM, &action, NULL), ==, 0);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  install_handler ();
  mask_signal (SIG_BLOCK);
  aio_test_start_watchdog ();
  mask_signal (SIG_UNBLOCK);
  aio_test_add ("/stress-signal/errno", test_errno);
  aio_test_add ("/stress-signal/errno-full", test_errno_full);
  aio_test_add ("/stress-signal/one-signal", test_one_signal);
  aio_test_add ("/stress-signal/turns", test_turns);
  aio_test_add ("/stress-signal/kin", test_kin);
  return g_test_run ();
}
