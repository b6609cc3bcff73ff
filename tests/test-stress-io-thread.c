/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* I/O threads that are started and stopped at random moments, with work in all states. */
#include "aio-test.h"

static int
scaled (int n_rounds)
{
  return g_test_thorough () ? 20 * n_rounds : n_rounds;
}

typedef struct
{
  AioIOThread *thread;
  AioContext *context;
  AioBH *bh;
  guint number;
  guint seed;                   /* of the thread that plays the round */
  atomic_int begun;
  atomic_int over;
  int accepted;
  int refused;
  atomic_int ran;
  atomic_int dropped;
  atomic_int bh_ran;
} Round;

static void
spin_at_random (guint *seed)
{
  int spin;

  for (spin = rand_r (seed) % 20000; spin > 0; spin--)
    atomic_signal_fence (memory_order_seq_cst);
}

static void
count_ran (gpointer data)
{
  atomic_fetch_add (&((Round *) data)->ran, 1);
}

static void
count_dropped (gpointer data)
{
  atomic_fetch_add (&((Round *) data)->dropped, 1);
}

static void
run_again (gpointer data)
{
  Round *round = data;

  atomic_fetch_add (&round->bh_ran, 1);
  aio_bh_schedule (round->bh);
}

static void *
keep_busy (void *data)
{
  Round *round = data;
  guint seed = round->number + 1;

  atomic_store (&round->begun, 1);
  while (atomic_load (&round->over) == 0)
    {
      aio_bh_schedule (round->bh);
      if (aio_context_post (round->context, count_ran, round, count_dropped))
        round->accepted++;
      else
        round->refused++;
      aio_context_notify (round->context);
      if (rand_r (&seed) % 8 == 0)
        sched_yield ();
    }
  return NULL;
}

static void *
stop_it (void *data)
{
  Round *round = data;
  guint seed = round->number + 2;

  spin_at_random (&seed);
  aio_io_thread_stop (round->thread);
  return NULL;
}

static void
end_thread (Round *round)
{
  pthread_t stopper;

  switch (rand_r (&round->seed) % 4)
    {
    case 0:
      aio_io_thread_stop (round->thread);
      break;
    case 1:
      aio_io_thread_stop (round->thread);
      aio_io_thread_stop (round->thread);
      break;
    case 2:
      stopper = thread_start (stop_it, round);
      spin_at_random (&round->seed);
      aio_io_thread_stop (round->thread);
      thread_join (stopper);
      break;
    default:
      break;
    }
  aio_io_thread_unref (round->thread);
}

static void
one_round (guint number)
{
  Round round = { .number = number, .seed = number };
  pthread_t thread;

  round.thread = aio_io_thread_new ("round", NULL);
  round.context = aio_context_ref (aio_io_thread_get_context (round.thread));
  round.bh = aio_bh_new (round.context, run_again, &round);
  thread = thread_start (keep_busy, &round);
  if (number % 2 == 0)
    {
      while (atomic_load (&round.begun) == 0)
        sched_yield ();
    }
  spin_at_random (&round.seed);
  end_thread (&round);

  g_assert_false (aio_context_is_home_thread (round.context));
  atomic_store (&round.over, 1);
  thread_join (thread);
  g_assert_cmpint (atomic_load (&round.ran), ==, round.accepted);
  g_assert_cmpint (atomic_load (&round.dropped), ==, round.accepted + round.refused);

  /* What was scheduled after the end is still there for whoever polls. */
  aio_bh_schedule (round.bh);
  atomic_store (&round.bh_ran, 0);
  g_assert_true (aio_context_poll (round.context, FALSE));
  g_assert_cmpint (atomic_load (&round.bh_ran), ==, 1);
  aio_bh_delete (round.bh);
  aio_context_unref (round.context);
}

static void
test_random_moments (void)
{
  int i, n = scaled (500);

  g_test_summary ("R23, C26: start and stop at random moments, twice, from two sides, under load");

  for (i = 0; i < n; i++)
    {
      aio_test_moved ();
      one_round (i);
    }
}

static void
test_at_once (void)
{
  int i, n = scaled (500);

  g_test_summary ("R23, C26: stopped before it has done anything, in each way");

  for (i = 0; i < n; i++)
    {
      Round round = { .number = i, .seed = i, .thread = aio_io_thread_new (NULL, NULL) };

      aio_test_moved ();
      end_thread (&round);
    }
}

static void
drop_from_inside (gpointer data)
{
  aio_io_thread_unref (data);
}

static void
test_from_inside (void)
{
  int i, n = scaled (300);

  g_test_summary ("R23, C26: the last reference is dropped in a callback, while others post");

  for (i = 0; i < n; i++)
    {
      Round round = { .number = i, .seed = i, .thread = aio_io_thread_new (NULL, NULL) };
      pthread_t thread;

      aio_test_moved ();
      round.context = aio_context_ref (aio_io_thread_get_context (round.thread));
      round.bh = aio_bh_new (round.context, run_again, &round);
      thread = thread_start (keep_busy, &round);
      spin_at_random (&round.seed);
      g_assert_true (aio_context_post (round.context, drop_from_inside, round.thread, NULL));
      while (aio_test_count_threads () > 1)
        sched_yield ();
      atomic_store (&round.over, 1);
      thread_join (thread);
      while (aio_test_count_threads () > 0)
        sched_yield ();
      g_assert_cmpint (atomic_load (&round.ran), ==, round.accepted);
      g_assert_cmpint (atomic_load (&round.dropped), ==, round.accepted + round.refused);
      aio_bh_delete (round.bh);
      aio_context_unref (round.context);
    }
}

#define N_ALIVE 8

static void
test_many_alive (void)
{
  AioIOThread *alive[N_ALIVE] = { NULL };
  int i, n = scaled (1000);
  Round round = { .seed = 0 };

  g_test_summary ("R23, C19: several live at a time and end in any order");

  for (i = 0; i < n; i++)
    {
      AioIOThread **slot = &alive[rand_r (&round.seed) % N_ALIVE];

      if (i % 64 == 0)
        aio_test_moved ();
      g_clear_pointer (slot, aio_io_thread_unref);
      *slot = aio_io_thread_new ("one of many", NULL);
      g_assert_true (aio_context_post (aio_io_thread_get_context (*slot), count_ran, &round,
                                       count_dropped));
    }
  for (i = 0; i < N_ALIVE; i++)
    g_clear_pointer (&alive[i], aio_io_thread_unref);
  g_assert_cmpint (atomic_load (&round.ran), ==, n);
  g_assert_cmpint (atomic_load (&round.dropped), ==, n);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  /* An I/O thread would make it, and GLib keeps it: not a descriptor that leaked. */
  g_main_context_default ();
  aio_test_count_threads ();
  aio_test_add ("/stress-io-thread/random-moments", test_random_moments);
  aio_test_add ("/stress-io-thread/at-once", test_at_once);
  aio_test_add ("/stress-io-thread/from-inside", test_from_inside);
  aio_test_add ("/stress-io-thread/many-alive", test_many_alive);
  return g_test_run ();
}
