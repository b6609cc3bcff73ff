/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sixteen threads do at random what one may do from any thread to one context, which moves between
 * two GMainContexts and its own poll all the time. AIO_TEST_SECONDS says for how long. */
#include "loop-test.h"

#define N_THREADS 16
#define N_SHARED  8

/* Threads write the number of their schedule, then schedule; the callback notes what it saw. */
typedef struct
{
  AioBH *bh;
  atomic_uint written[N_THREADS];
  atomic_uint seen[N_THREADS];
} Mark;

typedef struct
{
  AioContext *context;
  Mark marks[N_SHARED];
  atomic_uint n_running;        /* threads */
  atomic_bool over;
  atomic_uint n_wanted;         /* posts that were taken, bottom halves with a destroy notify */
  atomic_uint n_ended;          /* their destroy notifies */
  atomic_uint n_posts;
  atomic_uint n_posts_run;
} Storm;

typedef struct
{
  Storm *storm;
  guint number;
  guint32 random;
  AioBH *own;                   /* made and deleted by this thread */
  AioTimer *timer;
} Hand;

static guint
draw (Hand  *hand,
      guint  n)
{
  hand->random ^= hand->random << 13;
  hand->random ^= hand->random >> 17;
  hand->random ^= hand->random << 5;
  return hand->random % n;
}

static void
note_marks (gpointer data)
{
  Mark *mark = data;

  for (guint i = 0; i < N_THREADS; i++)
    atomic_store (&mark->seen[i], atomic_load_explicit (&mark->written[i], memory_order_relaxed));
}

static void
run_post (gpointer data)
{
  atomic_fetch_add (&((Storm *) data)->n_posts_run, 1);
}

static void
note_end (gpointer data)
{
  atomic_fetch_add (&((Storm *) data)->n_ended, 1);
}

static void
schedule_mark (Hand *hand,
               Mark *mark)
{
  guint now = atomic_load_explicit (&mark->written[hand->number], memory_order_relaxed) + 1;

  atomic_store_explicit (&mark->written[hand->number], now, memory_order_relaxed);
  aio_bh_schedule (mark->bh);
}

static void
renew_own (Hand *hand)
{
  Storm *storm = hand->storm;

  if (hand->own != NULL)
    {
      aio_bh_delete (hand->own);
      aio_bh_unref (hand->own);
    }
  atomic_fetch_add (&storm->n_wanted, 1);
  hand->own = aio_bh_ref (aio_bh_new_full (storm->context, "own", nothing, storm, note_end));
}

static void
post (Hand *hand)
{
  Storm *storm = hand->storm;

  atomic_fetch_add (&storm->n_wanted, 1);
  g_assert_true (aio_context_post (storm->context, run_post, storm, note_end));
  atomic_fetch_add (&storm->n_posts, 1);
}

static void
do_something (Hand *hand)
{
  Mark *mark = &hand->storm->marks[draw (hand, N_SHARED)];
  AioContext *context = hand->storm->context;

  switch (draw (hand, 16))
    {
    case 0: renew_own (hand); break;
    case 1: post (hand); break;
    case 2: aio_bh_cancel (hand->own); break;
    case 3: aio_bh_schedule_idle (hand->own); break;
    case 4: aio_bh_cancel_sync (hand->own); break;
    case 5: aio_context_notify (context); break;
    case 6: aio_bh_delete (hand->own); break;
    case 7:
      aio_timer_mod_ns (hand->timer, aio_context_get_time_ns (context, AIO_CLOCK_MONOTONIC) +
                                       draw (hand, 200000));
      break;
    case 8: aio_timer_del (hand->timer); break;
    case 9: sched_yield (); break;
    case 10: aio_bh_schedule (hand->own); break;
    default: schedule_mark (hand, mark); break;
    }
}

static void *
storm_thread (void *data)
{
  Hand *hand = data;

  hand->timer = aio_timer_new (hand->storm->context, AIO_CLOCK_MONOTONIC, nothing, NULL, NULL);
  renew_own (hand);
  while (!atomic_load (&hand->storm->over))
    do_something (hand);
  for (guint i = 0; i < N_SHARED; i++)
    schedule_mark (hand, &hand->storm->marks[i]);
  aio_timer_del_sync (hand->timer);
  aio_bh_delete (hand->own);
  aio_bh_unref (hand->own);
  atomic_fetch_sub (&hand->storm->n_running, 1);
  aio_context_notify (hand->storm->context);
  return NULL;
}

/* A few iterations here, a few there, and none for a while. */
static void
iterate_in_turn (Storm         *storm,
                 GMainContext **loops,
                 guint32        turn)
{
  GMainContext *loop = loops[turn % 3];

  if (loop != NULL)
    g_assert_cmpuint (aio_context_attach (storm->context, loop), !=, 0);
  /* The last thread notifies behind its count, so this comes back once more. */
  for (guint i = 0; i < 1 + turn % 7 && atomic_load (&storm->n_running) != 0; i++)
    if (loop != NULL)
      g_main_context_iteration (loop, TRUE);
    else
      aio_context_poll (storm->context, TRUE);
  if (loop != NULL)
    aio_context_detach (storm->context);
}

static gint64
storm_end (void)
{
  const char *seconds = g_getenv ("AIO_TEST_SECONDS");
  gint64 length = seconds != NULL ? g_ascii_strtoll (seconds, NULL, 10)
                                  : g_test_thorough () ? 60 : 3;

  return g_get_monotonic_time () + length * G_USEC_PER_SEC;
}

static void
check_marks (Storm *storm)
{
  for (guint i = 0; i < N_SHARED; i++)
    {
      for (guint k = 0; k < N_THREADS; k++)
        g_assert_cmpuint (atomic_load (&storm->marks[i].seen[k]), ==,
                          atomic_load (&storm->marks[i].written[k]));
      g_assert_false (aio_bh_is_scheduled (storm->marks[i].bh));
      aio_bh_delete (storm->marks[i].bh);
    }
}

static void
run_storm (Storm *storm,
           Hand   hands[N_THREADS])
{
  GMainContext *loops[3] = { g_main_context_new (), NULL, g_main_context_new () };
  gint64 end = storm_end ();
  pthread_t threads[N_THREADS];
  guint32 turn = 0;

  atomic_store (&storm->n_running, N_THREADS);
  for (guint i = 0; i < N_THREADS; i++)
    threads[i] = thread_start (storm_thread, &hands[i]);
  while (atomic_load (&storm->n_running) != 0)
    {
      iterate_in_turn (storm, loops, turn++);
      aio_test_moved ();
      if (g_get_monotonic_time () >= end)
        atomic_store (&storm->over, TRUE);
    }
  for (guint i = 0; i < N_THREADS; i++)
    thread_join (threads[i]);
  while (aio_context_poll (storm->context, FALSE))
    continue;
  g_test_message ("%u moves, %u posts", turn, atomic_load (&storm->n_posts));
  g_main_context_unref (loops[0]);
  g_main_context_unref (loops[2]);
}

static void
test_storm (void)
{
  Storm storm = { 0 };
  Hand hands[N_THREADS];

  g_test_summary ("C1, C2, C3, C6, C7, C8, C12, C17, C18, C22, R1, R9: sixteen threads schedule, "
                  "cancel, delete, post and arm against one context that moves: nothing is lost, "
                  "each destroy notify runs once");

  storm.context = aio_context_new_full ("storm", NULL);
  for (guint i = 0; i < N_SHARED; i++)
    storm.marks[i].bh = aio_bh_new (storm.context, note_marks, &storm.marks[i]);
  for (guint i = 0; i < N_THREADS; i++)
    hands[i] = (Hand) { &storm, i, g_test_rand_int () | 1, NULL, NULL };
  run_storm (&storm, hands);
  check_marks (&storm);
  g_assert_cmpuint (atomic_load (&storm.n_posts_run), ==, atomic_load (&storm.n_posts));
  g_assert_cmpuint (atomic_load (&storm.n_ended), ==, atomic_load (&storm.n_wanted));
  for (guint i = 0; i < N_THREADS; i++)
    aio_timer_free (hands[i].timer);
  aio_context_unref (storm.context);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  aio_test_add ("/stress-storm/moving", test_storm);
  return g_test_run ();
}
