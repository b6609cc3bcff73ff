/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pair of accesses that the wakeup protocol stands on, on the real machine: a producer
 * publishes and looks at the flag, a sleeper raises the flag and looks at what was published. With
 * the library's inline functions one of them always sees the other. With plain stores both may
 * miss, and where the machine shows that, we know that the test would notice.
 *
 * 10^6 rounds each; "-m thorough" makes it 10^7, AIO_LITMUS_ROUNDS=100000000 as many as it says. */
#include "aio-test.h"

#include <aioctx-gsource/aio-bh-private.h>

#define N_PAIRS 512

/* What two threads meet at, once each. */
typedef struct
{
  _Alignas (64) AioNotify notify;
  AioQueue queue;
  _Alignas (64) AioNode node;
  _Alignas (64) _Atomic (guint64) state;
  _Alignas (64) guint8 producer_saw;
  _Alignas (64) guint8 sleeper_saw;
} Pair;

typedef void (*Side) (Pair *pair);

typedef struct
{
  Pair *pairs;
  Side producer;
  int n_batches;
  _Alignas (64) atomic_int begun;
  _Alignas (64) atomic_int ended;
} Match;

/* Spins, as the threads are to meet; but not for long, as there may be one processor only. */
static void
await (atomic_int *word,
       int         value)
{
  guint spin = 0;

  while (atomic_load_explicit (word, memory_order_acquire) != value)
    {
      if (++spin % 4096 == 0)
        sched_yield ();
    }
}

/* Nothing at all or some microseconds, and anything in between as often. */
static guint
any_delay (guint *seed)
{
  guint scale = rand_r (seed) % 14;

  return rand_r (seed) % (1u << scale);
}

static void
play (Pair *pairs,
      Side  side,
      guint delay)
{
  while (delay-- > 0)
    atomic_signal_fence (memory_order_seq_cst);
  for (guint i = 0; i < N_PAIRS; i++)
    side (&pairs[i]);
}

static void *
produce (void *data)
{
  Match *match = data;
  guint seed = 1;

  for (int i = 1; i <= match->n_batches; i++)
    {
      await (&match->begun, i);
      play (match->pairs, match->producer, any_delay (&seed));
      atomic_store_explicit (&match->ended, i, memory_order_release);
    }
  return NULL;
}

static void
reset (Pair *pairs)
{
  for (guint i = 0; i < N_PAIRS; i++)
    {
      aio_queue_init (&pairs[i].queue);
      aio_store_relaxed (&pairs[i].notify.state, AIO_NOTIFY_AWAKE);
      aio_store_relaxed (&pairs[i].state, 0);
    }
}

static int
count_lost (const Pair *pairs)
{
  int n = 0;

  for (guint i = 0; i < N_PAIRS; i++)
    n += !pairs[i].producer_saw && !pairs[i].sleeper_saw;
  return n;
}

static int
n_rounds (void)
{
  const char *wanted = g_getenv ("AIO_LITMUS_ROUNDS");

  if (wanted != NULL)
    return MAX (atoi (wanted), N_PAIRS);
  return g_test_thorough () ? 10000000 : 1000000;
}

/* Returns in how many rounds neither saw the other. */
static int
run_match (Side producer,
           Side sleeper)
{
  Match match = { .producer = producer, .n_batches = n_rounds () / N_PAIRS };
  guint seed = 2;
  pthread_t thread;
  int lost = 0;

  match.pairs = g_aligned_alloc0 (N_PAIRS, sizeof (Pair), 64);
  g_assert_cmpint (pthread_create (&thread, NULL, produce, &match), ==, 0);
  for (int i = 1; i <= match.n_batches; i++)
    {
      if (i % 1024 == 1)
        aio_test_moved ();
      reset (match.pairs);
      atomic_store_explicit (&match.begun, i, memory_order_release);
      play (match.pairs, sleeper, any_delay (&seed));
      await (&match.ended, i);
      lost += count_lost (match.pairs);
    }
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
  g_aligned_free (match.pairs);
  g_test_message ("%d rounds, %d lost", match.n_batches * N_PAIRS, lost);
  return lost;
}

/* As the library does it. */

static void
push (Pair *pair)
{
  AioNode *former = aio_queue_swap (&pair->queue, &pair->node);

  pair->producer_saw = aio_notify_is_raised (&pair->notify.state);
  aio_queue_link (former, &pair->node, AIO_ENTRY_ONESHOT);
}

static void
raise_and_look_at_queue (Pair *pair)
{
  aio_notify_raise (&pair->notify);
  pair->sleeper_saw = !aio_queue_is_empty (&pair->queue);
}

static void
test_push (void)
{
  g_test_summary ("R4: who pushes sees the flag, or who goes to sleep sees the queue, or both");

  g_assert_cmpint (run_match (push, raise_and_look_at_queue), ==, 0);
}

static void
promote (Pair *pair)
{
  aio_exchange_full (&pair->state, AIO_BH_NORMAL);
  pair->producer_saw = aio_notify_begin_wake (&pair->notify);
}

static void
raise_and_look_at_state (Pair *pair)
{
  aio_notify_raise (&pair->notify);
  pair->sleeper_saw = aio_load_full (&pair->state) != 0;
}

static void
test_promote (void)
{
  g_test_summary ("R4: who makes an entry urgent sees the flag, or who goes to sleep sees its "
                  "state");

  g_assert_cmpint (run_match (promote, raise_and_look_at_state), ==, 0);
}

/* Without the fences. */

static void
promote_plainly (Pair *pair)
{
  aio_store_relaxed (&pair->state, AIO_BH_NORMAL);
  pair->producer_saw = aio_load_relaxed (&pair->notify.state) == AIO_NOTIFY_ASLEEP;
}

static void
raise_plainly (Pair *pair)
{
  aio_store_relaxed (&pair->notify.state, AIO_NOTIFY_ASLEEP);
  pair->sleeper_saw = aio_load_relaxed (&pair->state) != 0;
}

/* On a busy machine the two threads seldom run at the same time, so it is tried again. */
static void
expect_lost (Side producer,
             Side sleeper)
{
  int lost = 0;

  for (guint i = 0; i < 5 && lost == 0; i++)
    lost = run_match (producer, sleeper);
  if (lost == 0)
    g_test_skip ("this machine does not show it: no round was lost without fences");
}

static void
test_no_fence (void)
{
  g_test_summary ("R4: with plain stores on both sides, some rounds are lost");

  expect_lost (promote_plainly, raise_plainly);
}

static void
test_one_fence (void)
{
  g_test_summary ("R4: a fence on the side of the producer alone is not enough");

  expect_lost (promote, raise_plainly);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  aio_test_add ("/litmus/push", test_push);
  aio_test_add ("/litmus/promote", test_promote);
  aio_test_add ("/litmus/no-fence", test_no_fence);
  aio_test_add ("/litmus/one-fence", test_one_fence);
  return g_test_run ();
}
