/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Undoing a schedule, and waiting until nobody runs any more. */
#include "bh-test.h"

static void
destroy_count (gpointer data)
{
  *(guint *) data += 1000;
}

/* ---- cancel, and cancel_sync where it does not wait ---- */

typedef gboolean (*CancelFunc) (AioBH *bh);

static void
undo (Loop       *loop,
      CancelFunc  cancel)
{
  guint runs = 0;
  AioBH *bh = aio_bh_new_full (loop->context, "undone", count_run, &runs, destroy_count);

  g_assert_false (cancel (bh));
  aio_bh_schedule (bh);
  g_assert_true (cancel (bh));
  g_assert_false (aio_bh_is_scheduled (bh));
  g_assert_false (cancel (bh));
  g_assert_false (loop_iterate (loop, FALSE));
  g_assert_cmpuint (runs, ==, 0);

  aio_bh_schedule_idle (bh);
  g_assert_true (cancel (bh));
  g_assert_false (loop_iterate (loop, FALSE));
  aio_bh_schedule_idle (bh);
  aio_bh_schedule (bh);
  aio_bh_schedule_idle (bh);
  g_assert_true (cancel (bh));
  g_assert_false (cancel (bh));
  g_assert_false (loop_iterate (loop, FALSE));
  g_assert_cmpuint (runs, ==, 0);

  aio_bh_schedule (bh);
  cancel (bh);
  aio_bh_schedule (bh);
  aio_bh_schedule (bh);
  g_assert_true (loop_iterate (loop, FALSE));
  g_assert_cmpuint (runs, ==, 1);
  g_assert_false (loop_iterate (loop, FALSE));
  g_assert_false (cancel (bh));

  aio_bh_schedule (bh);
  cancel (bh);
  aio_bh_schedule_idle (bh);
  g_assert_true (aio_bh_is_scheduled (bh));
  g_assert_cmpint (aio_bh_poll (loop->context), ==, 0);
  g_assert_cmpuint (runs, ==, 2);

  aio_bh_delete (bh);
  g_assert_cmpuint (runs, ==, 1002);
}

static void
undo_cancel (Loop *loop)
{
  undo (loop, aio_bh_cancel);
}

static void
undo_cancel_sync (Loop *loop)
{
  undo (loop, aio_bh_cancel_sync);
}

static void
test_undo (void)
{
  g_test_summary ("C6: cancel undoes a schedule, normal and idle, tells whether there was one, "
                  "and frees nothing: it can be scheduled again");
  both_ways_at_home (undo_cancel);
  both_ways_at_home (undo_cancel_sync);
}

typedef struct
{
  AioBH *first;
  AioBH *second;
  CancelFunc cancel;
  guint runs;
} Pass;

static void
cancel_second (gpointer data)
{
  Pass *pass = data;

  g_assert_true (pass->cancel (pass->second));
  g_assert_false (pass->cancel (pass->first));
  aio_bh_schedule (pass->first);
  g_assert_true (pass->cancel (pass->first));
}

static void
same_pass (Loop       *loop,
           CancelFunc  cancel)
{
  Pass pass = { .cancel = cancel };

  pass.first = aio_bh_new (loop->context, cancel_second, &pass);
  pass.second = aio_bh_new (loop->context, count_run, &pass.runs);
  aio_bh_schedule (pass.first);
  aio_bh_schedule (pass.second);
  g_assert_true (loop_iterate (loop, FALSE));
  g_assert_false (loop_iterate (loop, FALSE));
  g_assert_cmpuint (pass.runs, ==, 0);
  aio_bh_delete (pass.first);
  aio_bh_delete (pass.second);
}

static void
same_pass_cancel (Loop *loop)
{
  same_pass (loop, aio_bh_cancel);
}

static void
same_pass_cancel_sync (Loop *loop)
{
  same_pass (loop, aio_bh_cancel_sync);
}

static void
test_same_pass (void)
{
  g_test_summary ("C6: a callback cancels the next one of its pass, and itself: what runs "
                  "already is not pending; inside its own callback cancel_sync does not wait");
  both_ways_at_home (same_pass_cancel);
  both_ways_at_home (same_pass_cancel_sync);
}

typedef struct
{
  AioBH *bh;
  gboolean result;
} CancelCall;

static void *
cancel_sync_thread (void *data)
{
  CancelCall *call = data;

  call->result = aio_bh_cancel_sync (call->bh);
  return NULL;
}

static void
nobody_runs (Loop *loop)
{
  guint runs = 0;
  CancelCall call = { aio_bh_new (loop->context, count_run, &runs), TRUE };

  thread_run (cancel_sync_thread, &call);
  g_assert_false (call.result);
  aio_bh_schedule (call.bh);
  thread_run (cancel_sync_thread, &call);
  g_assert_true (call.result);
  aio_bh_schedule_idle (call.bh);
  thread_run (cancel_sync_thread, &call);
  g_assert_true (call.result);
  loop_iterate (loop, FALSE);
  g_assert_cmpuint (runs, ==, 0);
  aio_bh_schedule (call.bh);
  g_assert_true (loop_iterate (loop, FALSE));
  thread_run (cancel_sync_thread, &call);
  g_assert_false (call.result);
  aio_bh_delete (call.bh);
}

static void
test_nobody_runs (void)
{
  g_test_summary ("C6: from another thread, with nobody in the callback, cancel_sync returns at "
                  "once, though the home thread does not iterate");
  both_ways_at_home (nobody_runs);
}

/* ---- Waiting for a run in another thread ---- */

typedef struct
{
  Loop *loop;
  AioBH *bh;
  guint depth;                  /* how many runs of it shall be on the stack */
  guint inside;
  atomic_int called;
  atomic_int ended;
  atomic_int returned;
  gboolean result;
} Waiting;

static void *
wait_thread (void *data)
{
  Waiting *waiting = data;

  atomic_store (&waiting->called, 1);
  waiting->result = aio_bh_cancel_sync (waiting->bh);
  g_assert_cmpint (atomic_load (&waiting->ended), ==, 1);
  atomic_store (&waiting->returned, 1);
  return NULL;
}

/* The innermost run lets the other thread call; all of them have to end before it may return. */
static void
waited_for_cb (gpointer data)
{
  Waiting *waiting = data;
  pthread_t thread;

  waiting->inside++;
  if (waiting->inside < waiting->depth)
    {
      aio_bh_schedule (waiting->bh);
      loop_iterate (waiting->loop, FALSE);
    }
  else
    {
      g_assert_cmpint (pthread_create (&thread, NULL, wait_thread, waiting), ==, 0);
      pthread_detach (thread);
      spin_until (&waiting->called);
    }
  /* Time for the other thread to return too early. */
  nap (2000);
  g_assert_cmpint (atomic_load (&waiting->returned), ==, 0);
  if (--waiting->inside == 0)
    atomic_store (&waiting->ended, 1);
}

static void
wait_at_depth (Loop  *loop,
               guint  depth)
{
  Waiting waiting = { .loop = loop, .depth = depth };

  waiting.bh = aio_bh_new (loop->context, waited_for_cb, &waiting);
  aio_bh_schedule (waiting.bh);
  g_assert_true (loop_iterate (loop, FALSE));
  /* Nothing more happens here: the end of the run alone has to wake the other thread. */
  spin_until (&waiting.returned);
  g_assert_false (waiting.result);
  aio_bh_delete (waiting.bh);
}

static void
waits (Loop *loop)
{
  guint round, depth;

  for (round = 0; round < 10; round++)
    for (depth = 1; depth <= 4; depth++)
      wait_at_depth (loop, depth);
}

static void
test_waits (void)
{
  g_test_summary ("C6: cancel_sync in another thread returns when the runs in progress are over, "
                  "at every nesting depth, and needs no further iteration for that");
  both_ways_at_home (waits);
}

/* ---- Inside, at any depth, there is nothing to wait for ---- */

typedef struct
{
  Loop *loop;
  AioBH *outer;
  AioBH *inner;
  guint runs;
} Inside;

static void
outer_cb (gpointer data)
{
  Inside *inside = data;

  inside->runs++;
  aio_bh_schedule (inside->inner);
  loop_iterate (inside->loop, FALSE);
  g_assert_cmpuint (inside->runs, ==, 2);
}

static void
inner_cb (gpointer data)
{
  Inside *inside = data;

  inside->runs++;
  g_assert_false (aio_bh_cancel_sync (inside->outer));
  g_assert_false (aio_bh_cancel_sync (inside->inner));
  aio_bh_schedule (inside->outer);
  g_assert_true (aio_bh_cancel_sync (inside->outer));
}

static void
does_not_wait (Loop *loop)
{
  Inside inside = { .loop = loop };

  inside.outer = aio_bh_new (loop->context, outer_cb, &inside);
  inside.inner = aio_bh_new (loop->context, inner_cb, &inside);
  aio_bh_schedule (inside.outer);
  g_assert_true (loop_iterate (loop, FALSE));
  g_assert_false (loop_iterate (loop, FALSE));
  g_assert_cmpuint (inside.runs, ==, 2);
  aio_bh_delete (inside.outer);
  aio_bh_delete (inside.inner);
}

static void
test_does_not_wait (void)
{
  g_test_summary ("C6: in the home thread cancel_sync does not wait for a run further out on the "
                  "same stack");
  both_ways_at_home (does_not_wait);
}

/* ---- Not for later runs ---- */

typedef struct
{
  AioBH *bh;
  atomic_int stop;
  atomic_int returned;
  gint held;                    /* a later run that holds still until cancel_sync has returned */
  gint runs;
  guint n_good;
} Later;

static void *
later_thread (void *data)
{
  Later *later = data;

  aio_bh_cancel_sync (later->bh);
  atomic_store (&later->returned, 1);
  return NULL;
}

/* The first run lets cancel_sync begin, sees it take the schedule away, and schedules again. The
 * second one does not end before cancel_sync has returned. That the other thread is held up on its
 * way from the cancel to the wait is no fault, so one round may fail: a limit ends it. */
static void
later_cb (gpointer data)
{
  Later *later = data;
  pthread_t thread;
  guint i;

  if (++later->runs == 1)
    {
      aio_bh_schedule (later->bh);
      g_assert_cmpint (pthread_create (&thread, NULL, later_thread, later), ==, 0);
      pthread_detach (thread);
      while (aio_bh_is_scheduled (later->bh))
        nap (50);
      nap (5000);
      g_assert_cmpint (atomic_load (&later->returned), ==, 0);
      aio_bh_schedule (later->bh);
    }
  else
    {
      for (i = 0; i < 4000 && atomic_load (&later->returned) == 0; i++)
        nap (50);
      later->n_good += atomic_load (&later->returned) != 0;
    }
}

static void
later_runs (Loop *loop)
{
  Later later = { .n_good = 0 };
  guint round;

  later.bh = aio_bh_new (loop->context, later_cb, &later);
  for (round = 0; round < 10; round++)
    {
      later.runs = 0;
      atomic_store (&later.returned, 0);
      aio_bh_schedule (later.bh);
      while (later.runs < 2)
        loop_iterate (loop, TRUE);
      spin_until (&later.returned);
    }
  g_assert_cmpuint (later.n_good, >, 0);
  aio_bh_delete (later.bh);
}

static void
test_later_runs (void)
{
  g_test_summary ("C6: cancel_sync waits for the run that was in progress, and no longer: a run "
                  "that began afterwards may take as long as it likes");
  both_ways_at_home (later_runs);
}

static void
for_ever_cb (gpointer data)
{
  Later *later = data;

  later->runs++;
  if (atomic_load (&later->stop) == 0)
    aio_bh_schedule (later->bh);
}

static void *
for_ever_thread (void *data)
{
  Later *later = data;
  guint i, n = g_test_thorough () ? 200000 : 2000;

  for (i = 0; i < n; i++)
    {
      /* It may have been cancelled between two runs. */
      aio_bh_schedule (later->bh);
      if (i % 16 == 0)
        nap (20);
      aio_bh_cancel_sync (later->bh);
    }
  atomic_store (&later->stop, 1);
  aio_bh_schedule (later->bh);
  return NULL;
}

static void
for_ever (Loop *loop)
{
  Later later = { .n_good = 0 };
  pthread_t thread;

  later.bh = aio_bh_new (loop->context, for_ever_cb, &later);
  g_assert_cmpint (pthread_create (&thread, NULL, for_ever_thread, &later), ==, 0);
  while (atomic_load (&later.stop) == 0 || aio_bh_is_scheduled (later.bh))
    loop_iterate (loop, TRUE);
  pthread_join (thread, NULL);
  loop_iterate (loop, FALSE);
  aio_bh_delete (later.bh);
}

static void
test_for_ever (void)
{
  g_test_summary ("C6, C4: nor does it wait for ever for one that schedules itself for ever");
  both_ways_at_home (for_ever);
}

/* ---- Storms ---- */

typedef struct
{
  Loop *loop;
  AioBH *bh;
  atomic_int valid;
  atomic_int done;
  atomic_uint runs;
  guint32 random;
} Storm;

/* What the callback uses is valid only between schedule and the return of cancel_sync. */
static void
valid_cb (gpointer data)
{
  Storm *storm = data;

  g_assert_cmpint (atomic_load (&storm->valid), ==, 1);
  atomic_fetch_add (&storm->runs, 1);
  g_assert_cmpint (atomic_load (&storm->valid), ==, 1);
}

static void *
valid_thread (void *data)
{
  Storm *storm = data;
  guint round, n_rounds = g_test_thorough () ? 2000000 : 50000;

  for (round = 0; round < n_rounds; round++)
    {
      atomic_store (&storm->valid, 1);
      if (round % 4 == 3)
        aio_bh_schedule_idle (storm->bh);
      else
        aio_bh_schedule (storm->bh);
      spin (next_random (&storm->random) % 400);
      aio_bh_cancel_sync (storm->bh);
      atomic_store (&storm->valid, 0);
      if (round % 64 == 0)
        aio_test_moved ();
    }
  atomic_store (&storm->valid, 1);
  atomic_store (&storm->done, 1);
  aio_bh_schedule (storm->bh);
  return NULL;
}

static void
validity (Loop *loop)
{
  Storm storm = { .loop = loop };
  guint32 random = g_test_rand_int () | 1;
  pthread_t thread;

  storm.random = g_test_rand_int () | 1;
  storm.bh = aio_bh_new (loop->context, valid_cb, &storm);
  g_assert_cmpint (pthread_create (&thread, NULL, valid_thread, &storm), ==, 0);
  while (atomic_load (&storm.done) == 0 || aio_bh_is_scheduled (storm.bh))
    loop_iterate (loop, next_random (&random) % 4 == 0);
  pthread_join (thread, NULL);
  loop_iterate (loop, FALSE);
  g_assert_cmpuint (atomic_load (&storm.runs), >, 0);
  aio_bh_delete (storm.bh);
}

static void
test_validity (void)
{
  g_test_summary ("C6: after cancel_sync, and before the next schedule, the callback neither "
                  "runs nor starts, whatever the home thread was doing");
  both_ways_at_home (validity);
}

typedef struct _Flicker Flicker;

typedef struct
{
  Flicker *flicker;
  AioBH *bh;
  guint index;
} FlickerBH;

struct _Flicker
{
  FlickerBH bhs[2];
  atomic_uint round;
  atomic_uint seen;
  guint n_rounds;
  guint32 random;
};

static void
flicker_cb (gpointer data)
{
  FlickerBH *bh = data;
  guint round = atomic_load (&bh->flicker->round);

  if (round % 2 == bh->index)
    atomic_store (&bh->flicker->seen, round);
}

static void
flicker_some (Flicker *flicker)
{
  guint n = next_random (&flicker->random) % 8;

  for (; n > 0; n--)
    {
      AioBH *bh = flicker->bhs[next_random (&flicker->random) % 2].bh;

      if (next_random (&flicker->random) % 4 == 0)
        aio_bh_schedule_idle (bh);
      else
        aio_bh_schedule (bh);
      spin (next_random (&flicker->random) % 200);
      aio_bh_cancel (bh);
      if (next_random (&flicker->random) % 16 == 0)
        nap (20);
    }
}

/* Each round ends with one schedule and silence: whatever became of the entries before, this one
 * has to run. */
static void *
flicker_thread (void *data)
{
  Flicker *flicker = data;
  guint round;

  for (round = 1; round <= flicker->n_rounds; round++)
    {
      AioBH *bh = flicker->bhs[round % 2].bh;

      flicker_some (flicker);
      atomic_store (&flicker->round, round);
      aio_bh_schedule (bh);
      while (atomic_load (&flicker->seen) != round || aio_bh_is_scheduled (bh))
        if (next_random (&flicker->random) % 64 == 0)
          nap (1);
      if (round % 64 == 0)
        aio_test_moved ();
    }
  return NULL;
}

static void
flicker_init (Flicker *flicker,
              Loop    *loop)
{
  guint i;

  flicker->random = g_test_rand_int () | 1;
  for (i = 0; i < 2; i++)
    {
      flicker->bhs[i].flicker = flicker;
      flicker->bhs[i].index = i;
      flicker->bhs[i].bh = aio_bh_new (loop->context, flicker_cb, &flicker->bhs[i]);
    }
}

static void
flicker_clear (Flicker *flicker,
               Loop    *loop)
{
  guint i;

  loop_iterate (loop, FALSE);
  for (i = 0; i < 2; i++)
    aio_bh_delete (flicker->bhs[i].bh);
}

static void
flickering (Loop *loop)
{
  Flicker flicker = { .n_rounds = g_test_thorough () ? 100000 : 2000 };
  pthread_t thread;

  flicker_init (&flicker, loop);
  g_assert_cmpint (pthread_create (&thread, NULL, flicker_thread, &flicker), ==, 0);
  while (atomic_load (&flicker.seen) < flicker.n_rounds)
    loop_iterate (loop, TRUE);
  pthread_join (thread, NULL);
  flicker_clear (&flicker, loop);
}

static void
test_flickering (void)
{
  g_test_summary ("C6, C2: schedules and cancels while the home thread goes to sleep and wakes; "
                  "the last schedule, followed by silence, is not lost");
  both_ways_at_home (flickering);
}

/* The home thread looks at the queue all the time, as it does on its way to sleep, and takes out
 * what was cancelled. Meanwhile the other thread schedules and cancels one bottom half: so its two
 * entries follow each other. */
static void *
look_thread (void *data)
{
  Flicker *flicker = data;
  AioBH *bh;
  guint round, i;

  for (round = 1; round <= flicker->n_rounds; round++)
    {
      bh = flicker->bhs[round % 2].bh;
      for (i = 0; i < 200; i++)
        {
          aio_bh_schedule (bh);
          spin (next_random (&flicker->random) % 8);
          aio_bh_cancel (bh);
          spin (next_random (&flicker->random) % 64);
        }
      atomic_store (&flicker->round, round);
      aio_bh_schedule (bh);
      while (atomic_load (&flicker->seen) != round || aio_bh_is_scheduled (bh))
        sched_yield ();
      aio_test_moved ();
    }
  return NULL;
}

static void
looked_at (Loop *loop)
{
  Flicker flicker = { .n_rounds = g_test_thorough () ? 100000 : 1000 };
  pthread_t thread;
  guint32 timeout = 1000;
  guint i;

  flicker_init (&flicker, loop);
  g_assert_cmpint (pthread_create (&thread, NULL, look_thread, &flicker), ==, 0);
  while (atomic_load (&flicker.seen) < flicker.n_rounds)
    {
      for (i = 0; i < 500; i++)
        aio_bh_update_timeout (loop->context, &timeout);
      loop_iterate (loop, FALSE);
    }
  pthread_join (thread, NULL);
  flicker_clear (&flicker, loop);
}

static void
test_looked_at (void)
{
  g_test_summary ("C6, C2, C10: schedules and cancels while the home thread looks at the queue "
                  "and takes out what was cancelled; the last schedule is not lost");
  both_ways_at_home (looked_at);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  aio_test_add ("/bh-cancel/undo", test_undo);
  aio_test_add ("/bh-cancel/same-pass", test_same_pass);
  aio_test_add ("/bh-cancel/nobody-runs", test_nobody_runs);
  aio_test_add ("/bh-cancel/waits", test_waits);
  aio_test_add ("/bh-cancel/does-not-wait", test_does_not_wait);
  aio_test_add ("/bh-cancel/later-runs", test_later_runs);
  aio_test_add ("/bh-cancel/for-ever", test_for_ever);
  aio_test_add ("/bh-cancel/validity", test_validity);
  aio_test_add ("/bh-cancel/flickering", test_flickering);
  aio_test_add ("/bh-cancel/looked-at", test_looked_at);
  return g_test_run ();
}
