/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Producers, and the order among what they schedule.
 *
 * The contract promises an order between two schedules only if one happens before the other. The
 * shuffle takes any other order for possible, and looks at entries as follows:
 *
 *   - those of one producer, that is of one thread, stay in order;
 *   - those of the home thread stay in their place among those of other threads: it may have joined
 *     or started these, or passed them something, which orders them;
 *   - those of declared producers may come anywhere. */
#include <aioctx-gsource/testing/aio-testing-private.h>

#include <pthread.h>
#include <signal.h>
#include <string.h>

/* Ids of declared producers have this bit, those of threads do not. */
#define DECLARED (G_GUINT64_CONSTANT (1) << 63)

/* Only so many of the oldest entries are considered for each place. */
#define WINDOW 256

/* Sebastiano Vigna's splitmix64, public domain: the same numbers for a seed on all systems. */
static guint64
next_random (Kit *kit)
{
  guint64 z = kit->random += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* What stands before an entry, of what has not got its place yet. */
typedef struct
{
  guint64 self;                 /* the home thread */
  GArray *producers;            /* ids */
  gboolean home;
  gboolean others;              /* threads */
} Before;

static gboolean
contains (GArray  *producers,
          guint64  id)
{
  for (guint i = 0; i < producers->len; i++)
    if (g_array_index (producers, guint64, i) == id)
      return TRUE;
  return FALSE;
}

/* May the entry come before all those? Adds it to them. */
static gboolean
may_be_next (Before  *before,
             guint64  producer)
{
  gboolean is_home = producer == before->self;
  gboolean known = contains (before->producers, producer);
  gboolean ordered = known;

  if (!(producer & DECLARED))
    {
      ordered |= before->home || (is_home && before->others);
      before->home |= is_home;
      before->others |= !is_home;
    }
  if (!known)
    g_array_append_val (before->producers, producer);
  return !ordered;
}

typedef struct
{
  const char *name;
  guint index;
} Candidate;

/* By name: threads push in an order that differs from run to run, and a seed has to mean the same
 * whatever that was. */
static int
compare_candidates (gconstpointer a,
                    gconstpointer b)
{
  const Candidate *first = a;
  const Candidate *second = b;
  int order = g_strcmp0 (first->name, second->name);

  return order != 0 ? order : (int) first->index - (int) second->index;
}

static void
find_candidates (AioTestEntry *todo,
                 guint         n,
                 Before       *before,
                 GArray       *candidates)
{
  g_array_set_size (candidates, 0);
  g_array_set_size (before->producers, 0);
  before->home = before->others = FALSE;
  for (guint i = 0; i < MIN (n, WINDOW); i++)
    if (may_be_next (before, todo[i].producer))
      {
        Candidate candidate = { todo[i].name, i };

        g_array_append_val (candidates, candidate);
      }
  g_array_sort (candidates, compare_candidates);
}

/* Fills one place after the other with any of those that may come next. */
void
shuffle_arrange (gpointer      data,
                 AioTestEntry *entries,
                 guint         n)
{
  Kit *kit = data;
  Before before = { hooks->get_producer (), g_array_new (FALSE, FALSE, sizeof (guint64)), FALSE,
                    FALSE };
  GArray *candidates = g_array_new (FALSE, FALSE, sizeof (Candidate));
  AioTestEntry *place = entries;
  gboolean reordered = FALSE;

  for (guint left = n; left > 1; left--, place++)
    {
      AioTestEntry chosen;
      guint index;

      find_candidates (place, left, &before, candidates);
      index = g_array_index (candidates, Candidate, next_random (kit) % candidates->len).index;
      chosen = place[index];
      memmove (place + 1, place, index * sizeof *place);
      *place = chosen;
      reordered |= index != 0;
    }
  kit->n_reordered += reordered;
  g_array_unref (before.producers);
  g_array_unref (candidates);
}

/**
 * aio_testing_set_shuffle:
 * @context: a testing context
 * @seed: which order; 0: the one in which things were scheduled, the default
 *
 * Lets bottom halves, one-shots and posts run in another order that the contract allows as well. A
 * test that passes only in the order that things happen to come in fails with some seeds.
 *
 * What one thread has scheduled stays in order; what several threads have is mixed. What the home
 * thread has scheduled stays where it is, since it may have started or joined the others; producers
 * that were declared by [func@testing_produce] are mixed with all. Only what is pending when a pass
 * begins is mixed, so running the context in between keeps an order. The kit cannot see that two
 * other threads have synchronised.
 *
 * Take the seed from g_test_rand_int(): then `--seed` repeats a run. The seed is printed with
 * g_test_message(), and is part of the kit's messages.
 *
 * Thread: home thread.
 *
 * Since: 0.1
 */
void
aio_testing_set_shuffle (AioContext *context,
                         guint32     seed)
{
  Kit *kit = kit_of (context, G_STRFUNC);

  if (kit == NULL)
    return;
  kit->seed = seed;
  kit->random = seed;
  hooks->set_arrange (context, seed != 0 ? shuffle_arrange : NULL);
  if (seed != 0 && g_test_initialized ())
    g_test_message ("AioContext “%s” is shuffled with seed %u", aio_context_get_name (context),
                    seed);
}

/* --- Declared producers ----------------------------------------------------------------------- */

typedef struct
{
  guint64 id;
  AioTestingFunc func;
  gpointer data;
} Producer;

static guint64
producer_id (Kit        *kit,
             const char *name)
{
  gpointer id;

  if (kit->producers == NULL)
    kit->producers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  id = g_hash_table_lookup (kit->producers, name);
  if (id == NULL)
    {
      id = GUINT_TO_POINTER (g_hash_table_size (kit->producers) + 1);
      g_hash_table_insert (kit->producers, g_strdup (name), id);
    }
  return DECLARED | GPOINTER_TO_UINT (id);
}

static void *
produce (void *data)
{
  Producer *producer = data;

  hooks->declare_producer (producer->id);
  producer->func (producer->data);
  return NULL;
}

/**
 * aio_testing_produce:
 * @context: a testing context
 * @name: the name of a producer
 * @func: (scope call) (closure data): what it does
 * @data: passed to @func
 *
 * Schedules and posts on behalf of a producer: calls a function in a thread of its own, and waits
 * until it has returned.
 *
 * For the shuffle this producer is concurrent with everything else in the test, the home thread
 * included; what it schedules, also with several calls, stays in order. So a test can act for
 * several threads and still be the same in each run.
 *
 * Thread: home thread. The function must not wait for it.
 *
 * Since: 0.1
 */
void
aio_testing_produce (AioContext     *context,
                     const char     *name,
                     AioTestingFunc  func,
                     gpointer        data)
{
  Kit *kit = kit_of (context, G_STRFUNC);
  Producer producer;
  pthread_t thread;
  sigset_t all, before;
  int reason;

  g_return_if_fail (name != NULL);
  g_return_if_fail (func != NULL);
  if (kit == NULL)
    return;

  producer = (Producer) { producer_id (kit, name), func, data };
  /* Signals are the business of the test's own thread. */
  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  reason = pthread_create (&thread, NULL, produce, &producer);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  if (reason != 0)
    g_error ("Cannot start producer “%s”: %s", name, g_strerror (reason));
  pthread_join (thread, NULL);
}
