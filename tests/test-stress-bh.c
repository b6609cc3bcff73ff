/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Storms over bottom halves, each with silence at its end: what is lost stays lost. */
#include "bh-test.h"

/* ---- The last value is seen (R1) ---- */

#define N_CELLS 8

typedef struct
{
  AioBH *bh;
  atomic_uint written;          /* relaxed: the schedule has to order it */
  atomic_uint seen;
} Cell;

typedef struct
{
  Loop *loop;
  Cell cells[N_CELLS];
  guint n_rounds;
  guint index;
  guint32 random;
} Writer;

static void
cell_cb (gpointer data)
{
  Cell *cell = data;

  atomic_store (&cell->seen, atomic_load_explicit (&cell->written, memory_order_relaxed));
}

static void
cell_write (Cell  *cell,
            guint  value)
{
  atomic_store_explicit (&cell->written, value, memory_order_relaxed);
  aio_bh_schedule (cell->bh);
}

/* Without a schedule of its own, so nothing repairs what was lost. */
static void
cell_wait (Cell *cell)
{
  guint value = atomic_load_explicit (&cell->written, memory_order_relaxed);

  while (atomic_load (&cell->seen) != value)
    sched_yield ();
}

static atomic_uint writers_left;

static void *
writer_thread (void *data)
{
  Writer *writer = data;
  guint round, i;

  for (round = 1; round <= writer->n_rounds; round++)
    {
      cell_write (&writer->cells[next_random (&writer->random) % N_CELLS], round);
      if (round % 1000 != 0)
        continue;
      for (i = 0; i < N_CELLS; i++)
        cell_wait (&writer->cells[i]);
      aio_test_moved ();
    }
  for (i = 0; i < N_CELLS; i++)
    cell_wait (&writer->cells[i]);
  atomic_fetch_sub (&writers_left, 1);
  aio_context_notify (writer->loop->context);
  return NULL;
}

static void
writer_init (Writer *writer,
             Loop   *loop,
             guint   n_rounds)
{
  guint i;

  memset (writer, 0, sizeof *writer);
  writer->loop = loop;
  writer->n_rounds = n_rounds;
  writer->random = g_test_rand_int () | 1;
  for (i = 0; i < N_CELLS; i++)
    writer->cells[i].bh = aio_bh_new (loop->context, cell_cb, &writer->cells[i]);
}

static void
writer_clear (Writer *writer)
{
  guint i;

  for (i = 0; i < N_CELLS; i++)
    aio_bh_delete (writer->cells[i].bh);
}

static void
run_writers (Loop   *loop,
             void *(*func) (void *data),
             guint   n_writers,
             guint   n_rounds)
{
  Writer writers[3];
  pthread_t threads[3];
  guint i;

  atomic_store (&writers_left, n_writers);
  for (i = 0; i < n_writers; i++)
    {
      writer_init (&writers[i], loop, n_rounds);
      g_assert_cmpint (pthread_create (&threads[i], NULL, func, &writers[i]), ==, 0);
    }
  while (atomic_load (&writers_left) != 0)
    loop_iterate (loop, TRUE);
  for (i = 0; i < n_writers; i++)
    {
      pthread_join (threads[i], NULL);
      writer_clear (&writers[i]);
    }
}

static void
last_value (Loop *loop)
{
  run_writers (loop, writer_thread, 3, g_test_thorough () ? 10000000 : 300000);
}

static void
test_last_value (void)
{
  g_test_summary ("C2, R1: threads write a value and schedule, with heavy merging; in the end "
                  "the callback has seen the last value of each");
  both_ways_at_home (last_value);
}

/* One merge aimed at the moment in which the home thread releases the entry: the delay between the
 * two schedules wanders over it. */
static void *
aiming_thread (void *data)
{
  Writer *writer = data;
  guint round;

  for (round = 1; round <= writer->n_rounds; round++)
    {
      Cell *cell = &writer->cells[round % 2];

      cell_write (cell, 2 * round);
      spin (next_random (&writer->random) % 300);
      cell_write (cell, 2 * round + 1);
      cell_wait (cell);
      if (round % 1000 == 0)
        aio_test_moved ();
    }
  atomic_fetch_sub (&writers_left, 1);
  aio_context_notify (writer->loop->context);
  return NULL;
}

static void
aimed_merge (Loop *loop)
{
  Writer writer;
  pthread_t thread;

  writer_init (&writer, loop, g_test_thorough () ? 10000000 : 50000);
  atomic_store (&writers_left, 1);
  g_assert_cmpint (pthread_create (&thread, NULL, aiming_thread, &writer), ==, 0);
  while (atomic_load (&writers_left) != 0)
    loop_iterate (loop, FALSE);
  pthread_join (thread, NULL);
  writer_clear (&writer);
}

static void
test_aimed_merge (void)
{
  g_test_summary ("C2, R1: one merge at the moment of the release, then silence");
  both_ways_at_home (aimed_merge);
}

/* ---- One event, then silence ---- */

static void *
single_thread (void *data)
{
  Writer *writer = data;
  guint round;

  for (round = 1; round <= writer->n_rounds; round++)
    {
      Cell *cell = &writer->cells[next_random (&writer->random) % 2];

      spin (next_random (&writer->random) % 2000);
      cell_write (cell, round);
      cell_wait (cell);
      if (round % 1000 == 0)
        aio_test_moved ();
    }
  atomic_fetch_sub (&writers_left, 1);
  aio_context_notify (writer->loop->context);
  return NULL;
}

static void
single_events (Loop *loop)
{
  run_writers (loop, single_thread, 1, g_test_thorough () ? 2000000 : 50000);
}

static void
test_single_events (void)
{
  g_test_summary ("C2, C11: a schedule while the home thread falls asleep, sleeps or wakes, then "
                  "silence");
  both_ways_at_home (single_events);
}

/* ---- A nested blocking poll under fire (R2) ---- */

typedef struct
{
  Loop *loop;
  AioBH *bh;
  AioBH *answer;
  guint asked;
  guint answered;
} Nest;

static void
nest_answer (gpointer data)
{
  Nest *nest = data;

  nest->answered = nest->asked;
}

static void
nest_cb (gpointer data)
{
  Nest *nest = data;
  guint i;

  if (atomic_load (&writers_left) == 0)
    return;
  nest->asked++;
  aio_bh_schedule (nest->answer);
  while (nest->answered != nest->asked)
    aio_context_poll (nest->loop->context, TRUE);
  for (i = 0; i < 3 && atomic_load (&writers_left) != 0; i++)
    loop_iterate (nest->loop, TRUE);
  aio_bh_schedule (nest->bh);
}

static void
nested_poll (Loop *loop)
{
  Nest nest = { .loop = loop };

  nest.bh = aio_bh_new (loop->context, nest_cb, &nest);
  nest.answer = aio_bh_new (loop->context, nest_answer, &nest);
  aio_bh_schedule (nest.bh);
  run_writers (loop, single_thread, 1, g_test_thorough () ? 500000 : 10000);
  loop_iterate (loop, FALSE);
  aio_bh_schedule (nest.bh);
  run_writers (loop, writer_thread, 3, g_test_thorough () ? 5000000 : 50000);
  loop_iterate (loop, FALSE);
  g_assert_cmpuint (nest.answered, >, 0);
  aio_bh_delete (nest.bh);
  aio_bh_delete (nest.answer);
}

static void
test_nested_poll (void)
{
  g_test_summary ("R2, C13, C2: a callback runs blocking iterations while one thread sends "
                  "single events, and while three send many");
  both_ways_at_home (nested_poll);
}

/* ---- Everything at once on shared bottom halves ---- */

typedef struct
{
  AioBH *bhs[4];
  atomic_uint runs[4];
  guint n_rounds;
} Shared;

typedef struct
{
  Shared *shared;
  guint32 random;
} Hand;

static void
shared_cb (gpointer data)
{
  atomic_fetch_add ((atomic_uint *) data, 1);
}

static void
shared_step (Shared  *shared,
             guint32  random)
{
  AioBH *bh = shared->bhs[random % 4];

  switch (random / 4 % 8)
    {
    case 0:
      aio_bh_cancel (bh);
      break;
    case 1:
      aio_bh_cancel_sync (bh);
      break;
    case 2:
      aio_bh_schedule_idle (bh);
      break;
    case 3:
      aio_bh_is_scheduled (bh);
      break;
    default:
      aio_bh_schedule (bh);
      break;
    }
}

static void *
hand_thread (void *data)
{
  Hand *hand = data;
  guint round;

  for (round = 0; round < hand->shared->n_rounds; round++)
    {
      shared_step (hand->shared, next_random (&hand->random));
      if (round % 1024 == 0)
        {
          nap (50);
          aio_test_moved ();
        }
    }
  atomic_fetch_sub (&writers_left, 1);
  return NULL;
}

/* When the storm is over each of them can still be scheduled and runs, once. */
static void
shared_epilogue (Loop   *loop,
                 Shared *shared)
{
  guint i, before;

  while (loop_iterate (loop, FALSE))
    ;
  for (i = 0; i < 4; i++)
    {
      g_assert_false (aio_bh_is_scheduled (shared->bhs[i]));
      before = atomic_load (&shared->runs[i]);
      aio_bh_schedule (shared->bhs[i]);
      g_assert_true (loop_iterate (loop, TRUE));
      g_assert_cmpuint (atomic_load (&shared->runs[i]), ==, before + 1);
      aio_bh_delete (shared->bhs[i]);
    }
}

static void
shared_storm (Loop *loop)
{
  Shared shared = { .n_rounds = g_test_thorough () ? 10000000 : 200000 };
  Hand hands[3];
  pthread_t threads[3];
  guint i;

  for (i = 0; i < 4; i++)
    shared.bhs[i] = aio_bh_new (loop->context, shared_cb, &shared.runs[i]);
  atomic_store (&writers_left, G_N_ELEMENTS (hands));
  for (i = 0; i < G_N_ELEMENTS (hands); i++)
    {
      hands[i].shared = &shared;
      hands[i].random = g_test_rand_int () | 1;
      g_assert_cmpint (pthread_create (&threads[i], NULL, hand_thread, &hands[i]), ==, 0);
    }
  while (atomic_load (&writers_left) != 0)
    loop_iterate (loop, FALSE);
  for (i = 0; i < G_N_ELEMENTS (hands); i++)
    pthread_join (threads[i], NULL);
  shared_epilogue (loop, &shared);
}

static void
test_shared (void)
{
  g_test_summary ("C1, C2, C6: three threads schedule and cancel the same ones; afterwards each "
                  "of them works as on the first day");
  both_ways_at_home (shared_storm);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  aio_test_add ("/stress-bh/last-value", test_last_value);
  aio_test_add ("/stress-bh/aimed-merge", test_aimed_merge);
  aio_test_add ("/stress-bh/single-events", test_single_events);
  aio_test_add ("/stress-bh/nested-poll", test_nested_poll);
  aio_test_add ("/stress-bh/shared", test_shared);
  return g_test_run ();
}
