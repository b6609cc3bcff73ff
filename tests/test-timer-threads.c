/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timers that other threads arm and cancel. */
#include "loop-test.h"

static gint64
now_ns (Loop     *loop,
        AioClock  clock)
{
  return aio_context_get_time_ns (loop->context, clock);
}

/* --- Arming wakes the sleeper ----------------------------------------------------------------- */

typedef struct
{
  Loop *loop;
  AioTimer timer;
  AioClock clock;
  gint64 after;
  gboolean anticipates;
  atomic_int n;
} Shared;

static void
shared_fired (gpointer data)
{
  Shared *shared = data;

  atomic_fetch_add (&shared->n, 1);
}

static void
shared_init (Shared   *shared,
             Loop     *loop,
             AioClock  clock)
{
  *shared = (Shared) { .loop = loop, .clock = clock };
  aio_timer_init (&shared->timer, loop->context, clock, shared_fired, shared);
}

static void *
arm_later (void *data)
{
  Shared *shared = data;
  gint64 deadline;

  thread_wait_asleep (shared->loop->tid);
  deadline = shared->after < 0 ? 0 : now_ns (shared->loop, shared->clock) + shared->after;
  if (shared->anticipates)
    g_assert_true (aio_timer_mod_anticipate_ns (&shared->timer, deadline));
  else
    aio_timer_mod_ns (&shared->timer, deadline);
  return NULL;
}

static void
test_arm (Loop *loop)
{
  AioClock clock;
  guint i;

  g_test_summary ("C22, R7: another thread arms a timer while the context sleeps for ever: it "
                  "fires, on each clock, due or not");

  for (clock = 0; clock <= AIO_CLOCK_VIRTUAL; clock++)
    for (i = 0; i < 4; i++)
      {
        Shared shared;
        pthread_t thread;

        shared_init (&shared, loop, clock);
        shared.after = i % 2 == 0 || clock == AIO_CLOCK_VIRTUAL ? -1 : 2 * MSEC;
        shared.anticipates = i / 2 != 0;
        thread = thread_start (arm_later, &shared);
        LOOP_WAIT (loop, atomic_load (&shared.n) > 0);
        thread_join (thread);
        loop_pass (loop);
        g_assert_cmpint (atomic_load (&shared.n), ==, 1);
        aio_timer_clear (&shared.timer);
      }
}

static void
test_arm_earlier (Loop *loop)
{
  Shared far, near;
  AioClock clock;
  guint i;

  g_test_summary ("C22, R7: another thread arms a timer for earlier than what the context sleeps "
                  "for, or moves the one that it sleeps for to earlier");

  for (clock = 0; clock < AIO_CLOCK_VIRTUAL; clock++)
    for (i = 0; i < 4; i++)
      {
        Shared *which = i < 2 ? &near : &far;
        pthread_t thread;

        shared_init (&far, loop, clock);
        shared_init (&near, loop, clock);
        aio_timer_mod_ns (&far.timer, now_ns (loop, clock) + HOUR);
        which->after = MSEC;
        which->anticipates = i % 2 != 0;
        thread = thread_start (arm_later, which);
        LOOP_WAIT (loop, atomic_load (&which->n) > 0);
        thread_join (thread);
        g_assert_cmpint (atomic_load (&far.n) + atomic_load (&near.n), ==, 1);
        aio_timer_clear (&far.timer);
        aio_timer_clear (&near.timer);
      }
}

static void *
put_off_later (void *data)
{
  Shared *shared = data;

  thread_wait_asleep (shared->loop->tid);
  aio_timer_mod_ns (&shared->timer, now_ns (shared->loop, shared->clock) + HOUR);
  return NULL;
}

static void *
cancel_later (void *data)
{
  Shared *shared = data;

  thread_wait_asleep (shared->loop->tid);
  g_assert_true (aio_timer_del (&shared->timer));
  return NULL;
}

static void
test_put_off (Loop *loop)
{
  gboolean cancels;

  g_test_summary ("C22, C14: another thread puts off or cancels the timer that the context sleeps "
                  "for: it does not fire, and the context sleeps on");

  for (cancels = FALSE; cancels <= TRUE; cancels++)
    {
      Shared shared;
      pthread_t thread;

      shared_init (&shared, loop, AIO_CLOCK_MONOTONIC);
      aio_timer_mod_ns (&shared.timer, now_ns (loop, AIO_CLOCK_MONOTONIC) + 10 * SEC);
      loop_pass (loop);
      thread = thread_start (cancels ? cancel_later : put_off_later, &shared);
      loop_assert_quiet (loop);
      thread_join (thread);
      g_assert_true (aio_timer_pending (&shared.timer) == !cancels);
      g_assert_cmpint (atomic_load (&shared.n), ==, 0);
      aio_timer_clear (&shared.timer);
    }
}

static void *
arm_again_and_again (void *data)
{
  Shared *shared = data;
  guint i;

  for (i = 0; i < 2000; i++)
    {
      aio_timer_mod_ns (&shared->timer, now_ns (shared->loop, shared->clock) + HOUR - i * 1000);
      if (i % 64 == 0)
        g_usleep (100);
    }
  aio_context_notify (shared->loop->context);
  atomic_store (&shared->n, 1);
  return NULL;
}

static void
test_far_ones_wake_little (Loop *loop)
{
  AioContextStats before, after;
  guint turns = 0;
  Shared shared;
  pthread_t thread;

  g_test_summary ("C15: however often timers are armed by another thread, at most one wakeup is "
                  "written a sleep");

  shared_init (&shared, loop, AIO_CLOCK_MONOTONIC);
  loop_pass (loop);
  aio_context_get_stats (loop->context, &before, sizeof before);
  thread = thread_start (arm_again_and_again, &shared);
  while (!atomic_load (&shared.n))
    {
      aio_context_notify (loop->context);
      loop_turn (loop, TRUE);
      turns++;
    }
  thread_join (thread);
  aio_context_get_stats (loop->context, &after, sizeof after);
  g_assert_cmpuint (after.wakeups_sent - before.wakeups_sent, <=, turns + 1);
  aio_timer_clear (&shared.timer);
}

/* --- Cancelling with a wait ------------------------------------------------------------------- */

typedef struct
{
  Loop *loop;
  AioTimer timer;
  AioTimer other;
  atomic_bool started;
  atomic_bool may_end;
  atomic_bool ended;
  atomic_bool returned;
  atomic_int n;
  gboolean arms_again;
  gboolean nests;
} Slow;

static void
slow_fired (gpointer data)
{
  Slow *slow = data;

  atomic_fetch_add (&slow->n, 1);
  if (slow->arms_again && atomic_load (&slow->n) == 1)
    aio_timer_mod_ns (&slow->timer, 0);
  atomic_store (&slow->started, TRUE);
  while (!atomic_load (&slow->may_end))
    if (slow->nests)
      loop_pass (slow->loop);
    else
      sched_yield ();
  g_assert_false (atomic_load (&slow->returned));
  atomic_store (&slow->ended, TRUE);
}

static void *
cancel_while_running (void *data)
{
  Slow *slow = data;
  gboolean was_armed;

  while (!atomic_load (&slow->started))
    sched_yield ();
  was_armed = aio_timer_del (&slow->timer);
  g_assert_true (was_armed == (slow->arms_again && !slow->nests));
  g_assert_false (atomic_load (&slow->ended));
  atomic_store (&slow->may_end, TRUE);
  g_assert_false (aio_timer_del_sync (&slow->timer));
  g_assert_true (atomic_load (&slow->ended));
  return NULL;
}

static void
test_del_sync (Loop *loop)
{
  guint i;

  g_test_summary ("C6, C22: del does not wait for a run in progress, del_sync does; neither takes "
                  "it for armed");

  for (i = 0; i < 40; i++)
    {
      Slow slow = { .loop = loop, .arms_again = i % 2, .nests = i / 2 % 2 && !(i % 2) };
      pthread_t thread;

      aio_timer_init (&slow.timer, loop->context, AIO_CLOCK_MONOTONIC, slow_fired, &slow);
      aio_timer_mod_ns (&slow.timer, 0);
      thread = thread_start (cancel_while_running, &slow);
      LOOP_WAIT (loop, atomic_load (&slow.ended));
      thread_join (thread);
      loop_pass (loop);
      g_assert_cmpint (atomic_load (&slow.n), ==, 1);
      aio_timer_clear (&slow.timer);
    }
}

static void *
wait_for_run (void *data)
{
  Slow *slow = data;

  while (!atomic_load (&slow->started))
    sched_yield ();
  g_assert_false (aio_timer_del_sync (&slow->timer));
  g_assert_true (atomic_load (&slow->ended));
  atomic_store (&slow->returned, TRUE);
  return NULL;
}

static void *
let_it_end (void *data)
{
  Slow *slow = data;

  g_usleep (2000);
  atomic_store (&slow->may_end, TRUE);
  return NULL;
}

static void
test_del_sync_waits (Loop *loop)
{
  guint i;

  g_test_summary ("C6, C22: del_sync returns after the run that it waits for, also when that nests "
                  "iterations");

  for (i = 0; i < 20; i++)
    {
      Slow slow = { .loop = loop, .nests = i % 2 };
      pthread_t waiter, ender;

      aio_timer_init (&slow.timer, loop->context, AIO_CLOCK_REALTIME, slow_fired, &slow);
      aio_timer_mod_ns (&slow.timer, 0);
      waiter = thread_start (wait_for_run, &slow);
      ender = thread_start (let_it_end, &slow);
      LOOP_WAIT (loop, atomic_load (&slow.ended));
      while (!atomic_load (&slow.returned))
        sched_yield ();
      thread_join (waiter);
      thread_join (ender);
      aio_timer_clear (&slow.timer);
    }
}

/* A context that ends behind the run that is waited for. */
typedef struct
{
  AioContext *context;
  AioTimer timer;
  atomic_bool started;
  atomic_int waiter_tids[4];
  atomic_int n_waiters;
} Last;

static void
last_fired (gpointer data)
{
  Last *last = data;

  atomic_store (&last->started, TRUE);
  for (guint i = 0; i < G_N_ELEMENTS (last->waiter_tids); i++)
    {
      while (atomic_load (&last->waiter_tids[i]) == 0)
        sched_yield ();
      thread_wait_asleep (atomic_load (&last->waiter_tids[i]));
    }
  aio_timer_clear (&last->timer);
  aio_context_unref (last->context);
}

static void *
wait_for_last (void *data)
{
  Last *last = data;

  while (!atomic_load (&last->started))
    sched_yield ();
  atomic_store (&last->waiter_tids[atomic_fetch_add (&last->n_waiters, 1)], gettid ());
  g_assert_false (aio_timer_del_sync (&last->timer));
  return NULL;
}

static void
test_del_sync_to_the_end (void)
{
  g_test_summary ("C6, C22, C23: del_sync waits for a run that clears the timer and drops the last "
                  "reference to the context");

  for (guint i = 0; i < 50; i++)
    {
      Last last = { .context = aio_context_new () };
      pthread_t waiters[G_N_ELEMENTS (last.waiter_tids)];

      aio_timer_init (&last.timer, last.context, AIO_CLOCK_MONOTONIC, last_fired, &last);
      aio_timer_mod_ns (&last.timer, 0);
      for (guint j = 0; j < G_N_ELEMENTS (waiters); j++)
        waiters[j] = thread_start (wait_for_last, &last);
      aio_context_poll (last.context, TRUE);
      for (guint j = 0; j < G_N_ELEMENTS (waiters); j++)
        thread_join (waiters[j]);
    }
}

static void
cancel_self (gpointer data)
{
  Slow *slow = data;

  atomic_fetch_add (&slow->n, 1);
  g_assert_false (aio_timer_del_sync (&slow->timer));
  aio_timer_mod_ns (&slow->timer, 0);
  g_assert_true (aio_timer_del_sync (&slow->timer));
  aio_timer_mod_ns (&slow->other, 0);
  loop_pass (slow->loop);
  g_assert_cmpint (atomic_load (&slow->n), ==, 11);
}

static void
cancel_below (gpointer data)
{
  Slow *slow = data;

  atomic_fetch_add (&slow->n, 10);
  g_assert_false (aio_timer_del_sync (&slow->timer));
}

static void
test_del_sync_at_home (Loop *loop)
{
  Slow slow = { .loop = loop };

  g_test_summary ("C6, C22: in the home thread del_sync does not wait: neither in the timer's own "
                  "callback, nor in one nested in it");

  aio_timer_init (&slow.timer, loop->context, AIO_CLOCK_MONOTONIC, cancel_self, &slow);
  aio_timer_init (&slow.other, loop->context, AIO_CLOCK_MONOTONIC, cancel_below, &slow);
  aio_timer_mod_ns (&slow.timer, 0);
  LOOP_WAIT (loop, atomic_load (&slow.n) > 0);
  loop_pass (loop);
  g_assert_cmpint (atomic_load (&slow.n), ==, 11);
  aio_timer_clear (&slow.timer);
  aio_timer_clear (&slow.other);
}

/* The waiter asks about a run; before that ends the timer is armed again, and then runs on and on.
 * It waits for the first one only. */
typedef struct
{
  Loop *loop;
  AioTimer timer;
  atomic_int n;
  atomic_bool over;
} Endless;

static void
endless_fired (gpointer data)
{
  Endless *endless = data;

  atomic_fetch_add (&endless->n, 1);
  g_usleep (20);
  if (!atomic_load (&endless->over))
    aio_timer_mod_ns (&endless->timer, 0);
}

static void *
wait_often (void *data)
{
  Endless *endless = data;
  guint i;

  for (i = 0; i < 200; i++)
    {
      int before = atomic_load (&endless->n);

      aio_timer_del_sync (&endless->timer);
      aio_timer_mod_ns (&endless->timer, 0);
      while (atomic_load (&endless->n) == before)
        sched_yield ();
    }
  atomic_store (&endless->over, TRUE);
  aio_timer_del_sync (&endless->timer);
  aio_context_notify (endless->loop->context);
  return NULL;
}

static void
test_del_sync_no_longer (Loop *loop)
{
  Endless endless = { .loop = loop };
  pthread_t thread;

  g_test_summary ("C6, C22: del_sync waits for the runs in progress, and not for later ones of a "
                  "timer that arms itself all the time");

  aio_timer_init (&endless.timer, loop->context, AIO_CLOCK_MONOTONIC, endless_fired, &endless);
  aio_timer_mod_ns (&endless.timer, 0);
  thread = thread_start (wait_often, &endless);
  LOOP_WAIT (loop, atomic_load (&endless.over));
  thread_join (thread);
  aio_timer_clear (&endless.timer);
}

/* --- Storms ----------------------------------------------------------------------------------- */

#define N_ARMERS 3
#define N_TIMERS 8

typedef struct _Armer Armer;

typedef struct
{
  Armer *armer;
  AioTimer timer;
  AioClock clock;
  gint64 deadline;              /* written before each arming, read by the callback */
  guint value;                  /* likewise */
  guint n_armed;                /* the armer's */
  guint n_cancelled;            /* the armer's */
  guint n_fired;                /* home thread; the armer after a del_sync */
  guint seen;                   /* home thread */
} Charge;

struct _Armer
{
  Loop *loop;
  guint rounds;
  guint32 seed;
  atomic_uint *n_over;
  Charge charges[N_TIMERS];
};

static void
charge_fired (gpointer data)
{
  Charge *charge = data;

  g_assert_cmpint (now_ns (charge->armer->loop, charge->clock), >=, charge->deadline);
  charge->n_fired++;
  charge->seen = charge->value;
}

static void
charge_arm (Charge *charge,
            gint64  after)
{
  charge->deadline = now_ns (charge->armer->loop, charge->clock) + after;
  charge->value = ++charge->n_armed;
  if (charge->n_armed % 2)
    aio_timer_mod_ns (&charge->timer, charge->deadline);
  else
    g_assert_true (aio_timer_mod_anticipate_ns (&charge->timer, charge->deadline));
}

/* Each arming ends in a run or in a cancel that tells so, never in both or neither. */
static void
charge_settle (Charge *charge)
{
  if (aio_timer_del_sync (&charge->timer))
    charge->n_cancelled++;
  else if (charge->n_armed != 0)
    g_assert_cmpuint (charge->seen, ==, charge->value);
  g_assert_cmpuint (charge->n_fired + charge->n_cancelled, ==, charge->n_armed);
  g_assert_false (aio_timer_pending (&charge->timer));
}

static void *
armer_run (void *data)
{
  Armer *armer = data;
  guint i;

  for (i = 0; i < armer->rounds; i++)
    {
      guint32 random = (armer->seed = armer->seed * 1664525 + 1013904223) >> 8;
      Charge *charge = &armer->charges[random % N_TIMERS];
      gint64 after = random / N_TIMERS % 4 == 0 ? -1 : (gint64) (random / 64 % 300000);

      charge_settle (charge);
      charge_arm (charge, after);
      if (random / 32 % 16 == 0)
        g_usleep (random / 512 % 200);
      if (i % 256 == 0)
        aio_test_moved ();
    }
  atomic_fetch_add (armer->n_over, 1);
  aio_context_notify (armer->loop->context);
  return NULL;
}

static void
test_storm (Loop *loop)
{
  g_autofree Armer *armers = g_new0 (Armer, N_ARMERS);
  pthread_t threads[N_ARMERS];
  atomic_uint n_over = 0;
  guint i, j;

  g_test_summary ("C22, C6, C2: threads arm and cancel with del_sync, at random: none fires early, "
                  "each arming ends in one run or one cancel, and a run sees what was written "
                  "before it was armed");

  for (i = 0; i < N_ARMERS; i++)
    {
      armers[i] = (Armer) { .loop = loop, .seed = i + 1, .n_over = &n_over };
      armers[i].rounds = g_test_thorough () ? 100000 : 1500;
      for (j = 0; j < N_TIMERS; j++)
        {
          Charge *charge = &armers[i].charges[j];

          charge->armer = &armers[i];
          charge->clock = j % AIO_CLOCK_VIRTUAL;
          aio_timer_init (&charge->timer, loop->context, charge->clock, charge_fired, charge);
        }
    }
  for (i = 0; i < N_ARMERS; i++)
    threads[i] = thread_start (armer_run, &armers[i]);
  LOOP_WAIT (loop, atomic_load (&n_over) == N_ARMERS);
  for (i = 0; i < N_ARMERS; i++)
    {
      thread_join (threads[i]);
      for (j = 0; j < N_TIMERS; j++)
        {
          charge_settle (&armers[i].charges[j]);
          aio_timer_clear (&armers[i].charges[j].timer);
        }
    }
}

/* Two threads and the home thread at one timer: nothing can be counted, but it may not break, nor
 * lost in the end. */
typedef struct
{
  Loop *loop;
  AioTimer timer;
  guint rounds;
  atomic_uint n_over;
  atomic_int n;
} Fought;

static void
fought_fired (gpointer data)
{
  Fought *fought = data;

  if (atomic_fetch_add (&fought->n, 1) % 3 == 0)
    aio_timer_mod_ns (&fought->timer, now_ns (fought->loop, AIO_CLOCK_MONOTONIC) + 1000);
}

static void *
fight (void *data)
{
  Fought *fought = data;
  guint i;

  for (i = 0; i < fought->rounds; i++)
    {
      gint64 now = now_ns (fought->loop, AIO_CLOCK_MONOTONIC);

      switch (i % 7)
        {
        case 0:
          aio_timer_mod_ns (&fought->timer, now + 50000);
          break;
        case 1:
          aio_timer_mod_anticipate_ns (&fought->timer, now);
          break;
        case 2:
          aio_timer_del (&fought->timer);
          break;
        case 3:
          aio_timer_del_sync (&fought->timer);
          break;
        case 4:
          aio_timer_mod_ns (&fought->timer, G_MAXINT64);
          break;
        case 5:
          g_assert_cmpint (aio_timer_expire_time_ns (&fought->timer), >=, -1);
          break;
        default:
          aio_timer_pending (&fought->timer);
        }
    }
  atomic_fetch_add (&fought->n_over, 1);
  aio_context_notify (fought->loop->context);
  return NULL;
}

static void
test_fought_over (Loop *loop)
{
  Fought fought = { .loop = loop, .rounds = g_test_thorough () ? 1000000 : 20000 };
  pthread_t threads[2];
  int before;
  guint i;

  g_test_summary ("C22, C6: threads that arm, move and cancel one and the same timer, which arms "
                  "itself, too; in the end it still fires");

  aio_timer_init (&fought.timer, loop->context, AIO_CLOCK_MONOTONIC, fought_fired, &fought);
  for (i = 0; i < 2; i++)
    threads[i] = thread_start (fight, &fought);
  LOOP_WAIT (loop, atomic_load (&fought.n_over) == 2);
  for (i = 0; i < 2; i++)
    thread_join (threads[i]);
  aio_timer_del (&fought.timer);
  before = atomic_load (&fought.n);
  aio_timer_mod_ns (&fought.timer, 0);
  LOOP_WAIT (loop, atomic_load (&fought.n) > before);
  aio_timer_clear (&fought.timer);
}

/* --- Others ----------------------------------------------------------------------------------- */

typedef struct
{
  AioContext *context;
  guint n_destroyed;
  guint n_fired;
} Maker;

static void
maker_fired (gpointer data)
{
  Maker *maker = data;

  maker->n_fired++;
}

static void
maker_destroyed (gpointer data)
{
  Maker *maker = data;

  maker->n_destroyed++;
}

static void *
make_timer (void *data)
{
  Maker *maker = data;
  AioTimer *timer = aio_timer_new (maker->context, AIO_CLOCK_MONOTONIC, maker_fired, maker,
                                   maker_destroyed);

  aio_timer_mod_ns (timer, 0);
  return timer;
}

static void
test_made_elsewhere (Loop *loop)
{
  Maker maker = { .context = loop->context };
  void *timer;
  pthread_t thread;

  g_test_summary ("C22: a timer may be made in any thread; it fires in the home thread");

  thread = thread_start (make_timer, &maker);
  LOOP_WAIT (loop, maker.n_fired > 0);
  g_assert_cmpint (pthread_join (thread, &timer), ==, 0);
  aio_timer_free (timer);
  g_assert_cmpuint (maker.n_fired, ==, 1);
  g_assert_cmpuint (maker.n_destroyed, ==, 1);
}

static void
stop_thread (gpointer data)
{
  aio_io_thread_stop (data);
}

static void
test_io_threads (void)
{
  AioIOThread *first = aio_io_thread_new ("first", NULL);
  AioIOThread *second = aio_io_thread_new ("second", NULL);
  Loop loop = { .context = aio_io_thread_get_context (first) };
  Shared shared;
  AioTimer stopper;
  int i;

  g_test_summary ("C22, C17: timers of an I/O thread, armed from outside; one of them stops "
                  "another I/O thread");

  shared_init (&shared, &loop, AIO_CLOCK_MONOTONIC);
  for (i = 0; i < 200; i++)
    {
      aio_timer_mod_ns (&shared.timer, i % 2 ? 0 : now_ns (&loop, AIO_CLOCK_MONOTONIC) + 50000);
      while (atomic_load (&shared.n) <= i)
        g_usleep (10);
    }
  aio_timer_init (&stopper, loop.context, AIO_CLOCK_MONOTONIC, stop_thread, second);
  aio_timer_mod_ns (&stopper, 0);
  while (aio_timer_pending (&stopper))
    g_usleep (10);
  aio_io_thread_stop (second);
  aio_io_thread_stop (first);

  aio_timer_mod_ns (&shared.timer, 0);
  g_assert_true (aio_timer_pending (&shared.timer));
  g_assert_true (aio_context_poll (loop.context, FALSE));
  g_assert_cmpint (atomic_load (&shared.n), ==, 201);
  aio_timer_clear (&shared.timer);
  aio_timer_clear (&stopper);
  aio_io_thread_unref (second);
  aio_io_thread_unref (first);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  loop_test_add_interrupted ("/timer-threads/arm", test_arm);
  loop_test_add_interrupted ("/timer-threads/arm-earlier", test_arm_earlier);
  loop_test_add ("/timer-threads/put-off", test_put_off);
  loop_test_add ("/timer-threads/far-ones-wake-little", test_far_ones_wake_little);
  loop_test_add ("/timer-threads/del-sync", test_del_sync);
  loop_test_add ("/timer-threads/del-sync-waits", test_del_sync_waits);
  aio_test_add ("/timer-threads/del-sync-to-the-end", test_del_sync_to_the_end);
  loop_test_add ("/timer-threads/del-sync-at-home", test_del_sync_at_home);
  loop_test_add ("/timer-threads/del-sync-no-longer", test_del_sync_no_longer);
  loop_test_add_interrupted ("/timer-threads/storm", test_storm);
  loop_test_add ("/timer-threads/fought-over", test_fought_over);
  loop_test_add ("/timer-threads/made-elsewhere", test_made_elsewhere);
  aio_test_add ("/timer-threads/io-threads", test_io_threads);
  return g_test_run ();
}
