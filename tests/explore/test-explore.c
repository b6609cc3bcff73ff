/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small cases of the library's own code, in every order of their steps; then the same with faults
 * put in, which have to be found. See explore.h. */
#include "explore.h"

#include <string.h>

#define N_DATA 3
#define MAX_LOG 8

/* In the arena, so that it is part of the state. */
typedef struct
{
  AioContext *context;
  AioBH *bhs[2];
  _Atomic (guint64) data[N_DATA];       /* one word for each producer */
  guint64 seen[N_DATA];                 /* what the callbacks saw of it */
  guint64 log[MAX_LOG];                 /* who ran, in order */
  guint64 n_logged;
  guint64 n_destroyed;
  guint64 running;
  _Atomic (guint64) flag;
} World;

static World *world;

/* --- What the threads do ---------------------------------------------------------------------- */

static void
publish (guint   who,
         guint64 value)
{
  /* Relaxed: the schedule that follows has to publish it. */
  aio_store_relaxed (&world->data[who], value);
}

static void
see (gpointer data)
{
  for (guint i = 0; i < N_DATA; i++)
    world->seen[i] = aio_load_relaxed (&world->data[i]);
}

static void
note (gpointer data)
{
  if (world->n_logged == MAX_LOG)
    explore_fail ("too many runs");
  else
    world->log[world->n_logged++] = GPOINTER_TO_UINT (data);
}

static void
count_destroyed (gpointer data)
{
  world->n_destroyed++;
}

static void
home_polls (void)
{
  for (;;)
    aio_context_poll (world->context, TRUE);
}

static void
home_looks_between (void)
{
  for (;;)
    {
      aio_context_poll (world->context, FALSE);
      aio_context_poll (world->context, TRUE);
    }
}

/* --- What they find --------------------------------------------------------------------------- */

static AioContext *
make_world_of (AioBHFunc      func,
               gpointer       first,
               gpointer       second,
               GDestroyNotify destroy)
{
  AioContext *context = aio_context_new ();

  world = explore_new (sizeof (World));
  world->context = context;
  world->bhs[0] = aio_bh_new_full (context, "first", func, first, destroy);
  world->bhs[1] = aio_bh_new_full (context, "second", func, second, destroy);
  return context;
}

static AioContext *
make_world (void)
{
  return make_world_of (see, NULL, NULL, count_destroyed);
}

static AioContext *
make_noting_world (void)
{
  return make_world_of (note, GUINT_TO_POINTER (1), GUINT_TO_POINTER (2), count_destroyed);
}

static guint64
state_of (AioBH *bh)
{
  guint64 state;

  memcpy (&state, &bh->state, sizeof state);
  return state;
}

static void
check_asleep (void)
{
  explore_assert (explore_is_asleep (0));
}

/* Nothing was lost: the home thread sleeps for ever, and has seen all that was published before a
 * schedule. */
static void
check_seen (void)
{
  check_asleep ();
  explore_assert (memcmp (&world->data, &world->seen, sizeof world->seen) == 0);
}

/* --- The cases -------------------------------------------------------------------------------- */

static void
schedule_as_0 (void)
{
  publish (0, 1);
  aio_bh_schedule (world->bhs[0]);
}

static void
schedule_as_1 (void)
{
  publish (1, 1);
  aio_bh_schedule (world->bhs[0]);
}

static void
schedule_as_2 (void)
{
  publish (2, 1);
  aio_bh_schedule (world->bhs[0]);
}

static void
schedule_twice (void)
{
  schedule_as_0 ();
  publish (0, 2);
  aio_bh_schedule (world->bhs[0]);
}

static void
schedule_second_as_1 (void)
{
  publish (1, 1);
  aio_bh_schedule (world->bhs[1]);
}

static const ExploreCase single = {
  .name = "one thread schedules twice",
  .setup = make_world, .check = check_seen,
  .threads = { home_polls, schedule_twice },
};

static const ExploreCase merge = {
  .name = "two threads schedule one bottom half",
  .setup = make_world, .check = check_seen,
  .threads = { home_polls, schedule_as_0, schedule_as_1 },
};

static const ExploreCase again = {
  .name = "one thread schedules twice, another once",
  .setup = make_world, .check = check_seen,
  .threads = { home_polls, schedule_twice, schedule_as_1 },
};

static const ExploreCase three = {
  .name = "three threads schedule one bottom half",
  .setup = make_world, .check = check_seen,
  .threads = { home_polls, schedule_as_0, schedule_as_1, schedule_as_2 },
};

static const ExploreCase two = {
  .name = "two threads schedule two bottom halves",
  .setup = make_world, .check = check_seen,
  .threads = { home_looks_between, schedule_twice, schedule_second_as_1 },
};

static const ExploreCase handler = {
  .name = "a signal handler interrupts the home thread",
  .setup = make_world, .check = check_seen,
  .threads = { home_polls, schedule_as_1 },
  .handler = schedule_twice,
};

/* Two nodes by turns: an entry that was cancelled is taken out by a look, while it is scheduled. */
static void
cancel_between (void)
{
  aio_bh_schedule (world->bhs[0]);
  aio_bh_cancel (world->bhs[0]);
  publish (0, 1);
  aio_bh_schedule (world->bhs[0]);
}

static void
cancel_often (void)
{
  aio_bh_schedule (world->bhs[0]);
  aio_bh_cancel (world->bhs[0]);
  cancel_between ();
}

static const ExploreCase cancelled = {
  .name = "cancelled and scheduled again, swept by looks",
  .setup = make_world, .check = check_seen,
  .threads = { home_polls, cancel_often },
};

static const ExploreCase cancelled_by_handler = {
  .name = "a signal handler cancels and schedules",
  .setup = make_world, .check = check_seen,
  .threads = { home_polls, schedule_second_as_1 },
  .handler = cancel_between,
};

static const ExploreCase cancelled_beside = {
  .name = "cancelled and scheduled again, beside another",
  .setup = make_world, .check = check_seen,
  .threads = { home_polls, cancel_between, schedule_second_as_1 },
};

static void
cancel_first (void)
{
  aio_bh_cancel (world->bhs[0]);
}

/* Who has cancelled it may have cancelled any of the schedules, so it may not have run. */
static void
check_settled (void)
{
  check_asleep ();
  explore_assert ((state_of (world->bhs[0]) & AIO_BH_PENDING) == 0);
  explore_assert (state_of (world->bhs[1]) == 0);
}

static const ExploreCase cancelled_elsewhere = {
  .name = "one thread schedules twice, another cancels",
  .setup = make_world, .check = check_settled,
  .threads = { home_polls, schedule_twice, cancel_first },
};

static void
promote (void)
{
  aio_bh_schedule_idle (world->bhs[0]);
  publish (0, 1);
  aio_bh_schedule (world->bhs[0]);
}

static void
idle_as_1 (void)
{
  publish (1, 1);
  aio_bh_schedule_idle (world->bhs[0]);
}

static const ExploreCase promoted = {
  .name = "idle, then normal; idle from another thread",
  .setup = make_world, .check = check_seen,
  .threads = { home_polls, promote, idle_as_1 },
};

/* The first cannot be met by a look at the queue only: the flag is what counts. */
static void
revive_cancelled (void)
{
  publish (0, 1);
  aio_bh_schedule (world->bhs[0]);
}

static AioContext *
make_world_with_cancelled_behind_idle (void)
{
  AioContext *context = make_world ();

  aio_bh_schedule_idle (world->bhs[1]);
  aio_bh_schedule (world->bhs[0]);
  aio_bh_cancel (world->bhs[0]);
  return context;
}

static const ExploreCase revived = {
  .name = "a cancelled entry behind an idle one is scheduled",
  .setup = make_world_with_cancelled_behind_idle, .check = check_seen,
  .threads = { home_polls, revive_cancelled },
};

/* Order. */

static void
first_then_second (void)
{
  aio_bh_schedule (world->bhs[0]);
  aio_bh_schedule (world->bhs[1]);
}

static void
post_three_four (void)
{
  aio_context_post (world->context, note, GUINT_TO_POINTER (3), NULL);
  aio_context_post (world->context, note, GUINT_TO_POINTER (4), NULL);
}

static gsize
place_of (guint64 who)
{
  for (gsize i = 0; i < world->n_logged; i++)
    if (world->log[i] == who)
      return i;
  return MAX_LOG;
}

static void
check_order (void)
{
  check_asleep ();
  explore_assert (world->n_logged == 4);
  explore_assert (place_of (1) < place_of (2));
  explore_assert (place_of (3) < place_of (4));
}

static const ExploreCase ordered = {
  .name = "bottom halves of one thread, posts of another",
  .setup = make_noting_world, .check = check_order,
  .threads = { home_polls, first_then_second, post_three_four },
};

/* Bare notifications. */

static void
set_and_notify (void)
{
  aio_store_relaxed (&world->flag, 1);
  aio_context_notify (world->context);
}

static void
home_waits_for_flag (void)
{
  while (aio_load_relaxed (&world->flag) == 0)
    aio_context_poll (world->context, TRUE);
}

static void
home_looks_for_flag (void)
{
  while (aio_load_relaxed (&world->flag) == 0)
    {
      aio_context_poll (world->context, FALSE);
      if (aio_load_relaxed (&world->flag) == 0)
        aio_context_poll (world->context, TRUE);
    }
}

static void
check_home_has_ended (void)
{
  explore_assert (!explore_is_asleep (0));
}

static const ExploreCase notified = {
  .name = "a bare notification beside schedules",
  .setup = make_world, .check = check_home_has_ended,
  .threads = { home_waits_for_flag, set_and_notify, schedule_as_1 },
};

static const ExploreCase notified_between = {
  .name = "a bare notification, and looks that do not block",
  .setup = make_world, .check = check_home_has_ended,
  .threads = { home_looks_for_flag, set_and_notify, schedule_as_1 },
};

static void
schedule_and_cancel (void)
{
  aio_bh_schedule (world->bhs[0]);
  aio_bh_cancel (world->bhs[0]);
}

/* Nothing but the notification makes the home thread come back. */
static const ExploreCase notified_alone = {
  .name = "a bare notification beside a schedule that is cancelled",
  .setup = make_world, .check = check_home_has_ended,
  .threads = { home_waits_for_flag, set_and_notify, schedule_and_cancel },
};

static const ExploreCase notified_by_handler = {
  .name = "a bare notification from a signal handler",
  .setup = make_world, .check = check_home_has_ended,
  .threads = { home_waits_for_flag, schedule_as_1 },
  .handler = set_and_notify,
};

/* Ends. */

static void
delete_first (void)
{
  aio_bh_delete (world->bhs[0]);
}

/* Its reference has to be there before it may be dropped by others. */
static AioContext *
make_world_with_reference (void)
{
  AioContext *context = make_world ();

  aio_bh_ref (world->bhs[0]);
  return context;
}

static void
schedule_and_unref (void)
{
  aio_bh_schedule (world->bhs[0]);
  aio_bh_unref (world->bhs[0]);
}

static void
check_destroyed_once (void)
{
  check_asleep ();
  explore_assert (world->n_destroyed == 1);
}

static const ExploreCase deleted = {
  .name = "one thread deletes, another schedules",
  .setup = make_world_with_reference, .check = check_destroyed_once,
  .threads = { home_polls, delete_first, schedule_and_unref },
};

static void
delete_self (gpointer data)
{
  aio_bh_delete (world->bhs[0]);
}

static AioContext *
make_self_deleting_world (void)
{
  return make_world_of (delete_self, NULL, NULL, count_destroyed);
}

static void
schedule_first (void)
{
  aio_bh_schedule (world->bhs[0]);
}

static const ExploreCase self_deleted = {
  .name = "scheduled by who has no reference, deleted by its callback",
  .setup = make_self_deleting_world, .check = check_destroyed_once,
  .threads = { home_polls, schedule_first },
};

/* The home thread ends the context as soon as it has seen the schedule, which may not be over: an
 * idle one lets it wake without being woken. The anchor is for ever, as in the library. */
static AioContext *
make_ending_world (void)
{
  AioContext *context = make_noting_world ();

  aio_bh_schedule_idle (world->bhs[1]);
  aio_anchor_ref (context->anchor);
  return context;
}

static void
home_ends_context (void)
{
  while (place_of (1) == MAX_LOG)
    aio_context_poll (world->context, TRUE);
  aio_bh_delete (world->bhs[0]);
  aio_bh_delete (world->bhs[1]);
  aio_context_unref (world->context);
}

static void
check_ended (void)
{
  explore_assert (!explore_is_asleep (0));
  explore_assert (world->n_destroyed == 2);
}

static const ExploreCase ended = {
  .name = "the context ends while a schedule is on its way out",
  .setup = make_ending_world, .check = check_ended,
  .threads = { home_ends_context, schedule_as_0 },
};

static void
take_a_while (gpointer data)
{
  world->running = TRUE;
  explore_pause ();
  world->running = FALSE;
  world->n_logged++;
}

static AioContext *
make_slow_world (void)
{
  return make_world_of (take_a_while, NULL, NULL, NULL);
}

/* Scheduled once: after the cancel it has run, or never will. */
static void
cancel_and_wait (void)
{
  guint64 n;

  aio_bh_schedule (world->bhs[0]);
  aio_bh_cancel_sync (world->bhs[0]);
  explore_assert (!world->running);
  n = world->n_logged;
  explore_pause ();
  explore_assert (world->n_logged == n);
}

static const ExploreCase waited = {
  .name = "a cancel that waits for the run",
  .setup = make_slow_world, .check = check_asleep,
  .threads = { home_polls, cancel_and_wait },
  .counts_runs = TRUE,
};

/* Nested. */

static void
poll_until_second (gpointer data)
{
  if (data == NULL)
    {
      see (NULL);
      while (world->seen[1] == 0)
        aio_context_poll (world->context, TRUE);
    }
  see (NULL);
}

static AioContext *
make_nesting_world (void)
{
  return make_world_of (poll_until_second, NULL, GUINT_TO_POINTER (1), NULL);
}

static const ExploreCase nested = {
  .name = "a callback polls until another bottom half has run",
  .setup = make_nesting_world, .check = check_seen,
  .threads = { home_polls, schedule_as_0, schedule_second_as_1 },
};

static const ExploreCase nested_handler = {
  .name = "a callback polls until a signal handler's bottom half has run",
  .setup = make_nesting_world, .check = check_seen,
  .threads = { home_polls, schedule_as_0 },
  .handler = schedule_second_as_1,
};

/* The source, iterated in the ways that a GMainContext has: prepare that is ready, or not; then
 * poll; check may be left out, dispatch may not come, and then neither prepare nor check come again
 * before it does. In between, somebody may poll the context itself. */

typedef struct
{
  GSource *source;
  GPollFD *record;
  gboolean ready;
} Main;

static void
main_sleep (Main *loop,
            int   timeout)
{
  struct timespec ts = { 0, timeout * 1000000 };
  struct pollfd record = { loop->record->fd, POLLIN, 0 };

  explore_poll (&record, 1, timeout < 0 ? NULL : &ts);
  loop->record->revents = record.revents != 0 ? G_IO_IN : 0;
}

static void
main_iterate (Main     *loop,
              gboolean  visits)
{
  const GSourceFuncs *funcs = loop->source->source_funcs;
  gboolean was_ready = loop->ready;
  int timeout = 0;

  if (!loop->ready)
    loop->ready = funcs->prepare (loop->source, &timeout);
  if (visits)
    aio_context_poll (world->context, FALSE);
  main_sleep (loop, loop->ready ? 0 : timeout);
  if (!was_ready && explore_choose (2) == 1)
    return;
  if (!loop->ready)
    loop->ready = funcs->check (loop->source);
  if (!loop->ready || explore_choose (2) == 1)
    return;
  loop->ready = FALSE;
  funcs->dispatch (loop->source, NULL, NULL);
}

static AioContext *
keep_source (AioContext *context)
{
  AioShell *shell = (AioShell *) aio_context_get_source (context);

  explore_keep (&shell->context, sizeof *shell - G_STRUCT_OFFSET (AioShell, context));
  return context;
}

static AioContext *
make_main_world (void)
{
  return keep_source (make_world ());
}

static void
run_main (gboolean visits)
{
  GSource *source = aio_context_get_source (world->context);
  Main loop = { source, &((AioShell *) source)->polled, FALSE };

  for (;;)
    main_iterate (&loop, visits && explore_choose (2) == 1);
}

static void
home_runs_main (void)
{
  run_main (FALSE);
}

static void
home_runs_main_with_visits (void)
{
  run_main (TRUE);
}

static const ExploreCase under_main = {
  .name = "under a GMainContext: two threads schedule one bottom half",
  .setup = make_main_world, .check = check_seen,
  .threads = { home_runs_main, schedule_as_0, schedule_as_1 },
};

static const ExploreCase under_main_visited = {
  .name = "under a GMainContext, with polls between prepare and poll",
  .setup = make_main_world, .check = check_seen,
  .threads = { home_runs_main_with_visits, schedule_twice },
};

static const ExploreCase under_main_cancelled = {
  .name = "under a GMainContext: cancelled and scheduled again",
  .setup = make_main_world, .check = check_seen,
  .threads = { home_runs_main, cancel_between },
};

/* A blocking iteration of the same source inside a callback. */
static void
iterate_until_second (gpointer data)
{
  see (NULL);
  if (data == NULL && world->seen[1] == 0)
    {
      GSource *source = aio_context_get_source (world->context);
      Main loop = { source, &((AioShell *) source)->polled, FALSE };

      while (world->seen[1] == 0)
        main_iterate (&loop, FALSE);
    }
  see (NULL);
}

static AioContext *
make_nesting_main_world (void)
{
  return keep_source (make_world_of (iterate_until_second, NULL, GUINT_TO_POINTER (1), NULL));
}

static const ExploreCase nested_main = {
  .name = "under a GMainContext: a callback iterates until another bottom half has run",
  .setup = make_nesting_main_world, .check = check_seen,
  .threads = { home_runs_main, schedule_as_0, schedule_second_as_1 },
};

/* --- The tests -------------------------------------------------------------------------------- */

/* In the weak order each store may come at any time that it may in the other, and more. */
static void
explore (const ExploreCase *thing)
{
  ExploreResult result;

  explore_run (thing, NULL, EXPLORE_WEAK, TRUE, &result);
  g_test_message ("%s: %" G_GUINT64_FORMAT " states, %" G_GUINT64_FORMAT " steps, %"
                  G_GUINT64_FORMAT " ends", thing->name, result.n_states, result.n_steps,
                  result.n_ends);
  if (result.failure != NULL)
    {
      g_printerr ("%s: %s\n%s", thing->name, result.failure, result.trace->str);
      g_test_fail ();
    }
  explore_clear (&result);
}

/* Those that take long are left to the slow suite. */
static void
explore_deep (const ExploreCase *thing)
{
  if (g_test_thorough ())
    explore (thing);
}

static void
test_schedule (void)
{
  g_test_summary ("C1, C2, R1, R4, R7: schedules from threads and from a signal handler in every "
                  "order, with store buffers: each is seen by a run that sees what it published");

  explore (&single);
  explore (&merge);
  explore (&handler);
  explore_deep (&again);
  explore_deep (&two);
  explore_deep (&three);
}

static void
test_order (void)
{
  g_test_summary ("C3, C8: bottom halves and posts run in the order of each thread, posts once");

  explore_deep (&ordered);
  if (!g_test_thorough ())
    g_test_skip ("in the slow suite");
}

static void
test_cancel (void)
{
  g_test_summary ("C6, C2: cancels, schedules and sweeping looks in every order; no bottom half is "
                  "in the queue twice, none is pushed while its node is the tail");

  explore (&cancelled);
  explore (&cancelled_elsewhere);
  explore (&cancelled_by_handler);
  explore_deep (&cancelled_beside);
}

static void
test_idle (void)
{
  g_test_summary ("C5, C2: an idle schedule or a cancelled one becomes urgent while others sleep");

  explore (&revived);
  explore_deep (&promoted);
}

static void
test_notify (void)
{
  g_test_summary ("C12, R5, R6: a bare notification in every order is never optimised away");

  explore (&notified);
  explore (&notified_alone);
  explore (&notified_between);
  explore (&notified_by_handler);
}

static void
test_end (void)
{
  g_test_summary ("C1, C7, R8, R9: nothing that was freed is touched, and destroy notifies run "
                  "once");

  explore (&self_deleted);
  explore (&ended);
  explore_deep (&deleted);
}

static void
test_wait (void)
{
  g_test_summary ("C6: a cancel that waits sees the end of the run, or is told of it");

  explore (&waited);
}

static void
test_nested (void)
{
  g_test_summary ("C13, R2, R11: a nested iteration sleeps and is woken, in every order");

  explore (&nested);
  explore (&nested_handler);
  explore_deep (&nested_main);
}

static void
test_main_context (void)
{
  g_test_summary ("C18, G1, G2, G3, G4, R5: the phases of the source with any of them left out, "
                  "and polls in between");

  explore (&under_main);
  explore (&under_main_visited);
  explore (&under_main_cancelled);
}

/* Faults. Each is an access made weaker than the library has it; the case has to notice. */

typedef struct
{
  ExplorePlant plant;
  const ExploreCase *thing;
} Planted;

static const Planted planted[] = {
  { { "R4: the sleeper raises the flag with a plain store", EXPLORE_PLAIN,
      "aio_notify_raise", "&notify->state" }, &single },
  { { "R4: the producer swaps the head with a plain store", EXPLORE_PLAIN,
      "aio_queue_swap", "&queue->head" }, &single },
  { { "R4: a promotion is a plain store", EXPLORE_PLAIN,
      "aio_bh_schedule", "&bh->state" }, &revived },
  { { "R4: a notification is a plain store", EXPLORE_PLAIN,
      "aio_notify_poke", "&notify->state" }, &notified },
  { { "R1: a schedule that merges does not publish", EXPLORE_NO_FENCE,
      "aio_bh_schedule", "&bh->state" }, &merge },
  { { "R1: a schedule that merges only looks", EXPLORE_SKIP,
      "aio_bh_schedule", "&bh->state" }, &merge },
  { { "R1: the pass releases with a load and a store", EXPLORE_PLAIN,
      "release", "&bh->state" }, &merge },
  { { "R6: a producer wipes a notification", EXPLORE_ANYWAY,
      "aio_notify_begin_wake", "&notify->state" }, &notified_alone },
  { { "R6: lowering the flag wipes a notification", EXPLORE_PLAIN,
      "aio_notify_lower", "&notify->state" }, &notified },
  { { "C6: a sweep releases the entry before the tail moves", EXPLORE_EARLY_SWAP,
      "sweep_front", "&bh->state" }, &cancelled },
  { { "C6: a cancel is a load and a store", EXPLORE_PLAIN,
      "aio_bh_cancel", "&bh->state" }, &cancelled_elsewhere },
  { { "C6: no barrier for who waits for a run", EXPLORE_NOTHING,
      "aio_membarrier", "-" }, &waited },
  { { "C5: an idle schedule is a load and a store", EXPLORE_PLAIN,
      "aio_bh_schedule_idle", "&bh->state" }, &promoted },
  { { "C7: a delete from afar is a load and a store", EXPLORE_PLAIN,
      "delete_from_afar", "&bh->state" }, &deleted },
  { { "R8: the end does not wait for wakers", EXPLORE_NOTHING,
      "aio_notify_close", "&notify->wakers" }, &ended },
};

static void
test_planted (void)
{
  g_test_summary ("R1, R4, R6, R8: the explorer finds what it is made to find");

  for (guint i = 0; i < G_N_ELEMENTS (planted); i++)
    {
      const ExplorePlant *plant = &planted[i].plant;
      ExploreResult result;

      explore_run (planted[i].thing, plant, EXPLORE_X86, g_test_verbose (), &result);
      g_test_message ("%s: %s", plant->name,
                      result.failure != NULL ? result.failure : "NOT FOUND");
      if (g_test_verbose ())
        g_printerr ("%s", result.trace->str);
      if (result.failure == NULL)
        g_test_fail ();
      explore_clear (&result);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/explore/schedule", test_schedule);
  g_test_add_func ("/explore/order", test_order);
  g_test_add_func ("/explore/cancel", test_cancel);
  g_test_add_func ("/explore/idle", test_idle);
  g_test_add_func ("/explore/notify", test_notify);
  g_test_add_func ("/explore/end", test_end);
  g_test_add_func ("/explore/wait", test_wait);
  g_test_add_func ("/explore/nested", test_nested);
  g_test_add_func ("/explore/main-context", test_main_context);
  g_test_add_func ("/explore/planted", test_planted);
  return g_test_run ();
}
