/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which thread schedules what, for the shuffle; see aio-bh-shuffle.c. */
#include <aioctx-gsource/testing/aio-testing-private.h>

#include <pthread.h>
#include <signal.h>

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
 * Since: 1.0
 */
void
aio_testing_set_shuffle (AioContext *context,
                         guint32     seed)
{
  Kit *kit = kit_of (context, G_STRFUNC);

  if (kit == NULL)
    return;
  kit->seed = seed;
  hooks->set_shuffle (context, seed);
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
  return AIO_TEST_DECLARED | GPOINTER_TO_UINT (id);
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
 * Since: 1.0
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
