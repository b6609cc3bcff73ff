/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* I/O threads by the names of QEMU's tests and of QEMU itself, and waiting for them. */
#include "iothread.h"
#include "block/aio-wait.h"
#include "qapi/error.h"
#include "../aio-test.h"

#define N_THREADS 5

static IOThread *threads[N_THREADS];
static AioContext *contexts[N_THREADS];

typedef struct
{
  QemuEvent done;
  QEMUBH *bh;
  AioContext *seen;
} Hello;

static void
hello_cb (void *opaque)
{
  Hello *hello = opaque;

  hello->seen = qemu_get_current_aio_context ();
  qemu_bh_delete (hello->bh);
  qemu_event_set (&hello->done);
}

static void
start_threads (void)
{
  for (int i = 0; i < N_THREADS; i++)
    {
      Hello hello;

      threads[i] = iothread_new ();
      contexts[i] = iothread_get_aio_context (threads[i]);
      qemu_event_init (&hello.done, false);
      hello.bh = aio_bh_new (contexts[i], hello_cb, &hello);
      qemu_bh_schedule (hello.bh);
      qemu_event_wait (&hello.done);
      qemu_event_destroy (&hello.done);
      g_assert_true (hello.seen == contexts[i]);
    }
}

static void
join_threads (void)
{
  for (int i = 0; i < N_THREADS; i++)
    aio_context_ref (contexts[i]);
  for (int i = 0; i < N_THREADS; i++)
    iothread_join (threads[i]);
  for (int i = 0; i < N_THREADS; i++)
    aio_context_unref (contexts[i]);
}

static void
test_lifecycle (void)
{
  g_test_summary ("C26: threads start, run a bottom half in their own context, and are joined");
  start_threads ();
  join_threads ();
}

/* --- Five that kick one another --------------------------------------------------------------- */

static QEMUBH *kicks[N_THREADS];
static int counts[N_THREADS];
static int left;                /* atomic */
static QemuSemaphore finished;

static void
kick_cb (void *opaque)
{
  int self = GPOINTER_TO_INT (opaque);
  int rest = __atomic_sub_fetch (&left, 1, __ATOMIC_SEQ_CST);

  counts[self]++;
  if (rest > 0)
    {
      qemu_bh_schedule (kicks[(self + 1) % N_THREADS]);
      qemu_bh_schedule (kicks[(self + (rest % 3) + 2) % N_THREADS]);
    }
  else if (rest == 0)
    qemu_sem_post (&finished);
}

static void
test_kicking (void)
{
  int n = g_test_thorough () ? 500000 : 20000, total = 0;

  g_test_summary ("C3, C15, C19: five contexts schedule each other's bottom halves, and none of "
                  "the chains is lost");
  start_threads ();
  __atomic_store_n (&left, n, __ATOMIC_SEQ_CST);
  qemu_sem_init (&finished, 0);
  for (int i = 0; i < N_THREADS; i++)
    {
      counts[i] = 0;
      kicks[i] = aio_bh_new (contexts[i], kick_cb, GINT_TO_POINTER (i));
    }
  qemu_bh_schedule (kicks[0]);
  qemu_sem_wait (&finished);
  /* Those that are still scheduled run before the threads end. */
  for (int i = 0; i < N_THREADS; i++)
    iothread_stop (threads[i]);
  for (int i = 0; i < N_THREADS; i++)
    {
      qemu_bh_delete (kicks[i]);
      g_assert_cmpint (counts[i], >, 0);
      total += counts[i];
    }
  g_assert_cmpint (total, >=, n);
  qemu_sem_destroy (&finished);
  join_threads ();
}

/* --- Waiting ---------------------------------------------------------------------------------- */

static void
note_context (void *opaque)
{
  *(AioContext **) opaque = qemu_get_current_aio_context ();
}

static void
test_wait_bh (void)
{
  AioContext *seen = NULL;

  g_test_summary ("C8: aio_wait_bh_oneshot() runs it there and waits, or here when here is there");
  start_threads ();
  for (int i = 0; i < 200; i++)
    {
      aio_wait_bh_oneshot (contexts[i % N_THREADS], note_context, &seen);
      g_assert_true (seen == contexts[i % N_THREADS]);
    }
  aio_wait_bh_oneshot (qemu_get_aio_context (), note_context, &seen);
  g_assert_true (seen == qemu_get_aio_context ());
  join_threads ();
}

static int requests;            /* atomic */

static void
finish_request (void *opaque)
{
  (void) opaque;
  __atomic_fetch_sub (&requests, 1, __ATOMIC_SEQ_CST);
  aio_wait_kick ();
}

static void
test_wait_while (void)
{
  g_test_summary ("C12: AIO_WAIT_WHILE() ends when the condition does, and says whether it waited");
  start_threads ();
  g_assert_false (AIO_WAIT_WHILE (NULL, false));
  for (int round = 0; round < 100; round++)
    {
      __atomic_store_n (&requests, N_THREADS, __ATOMIC_SEQ_CST);
      for (int i = 0; i < N_THREADS; i++)
        aio_bh_schedule_oneshot (contexts[i], finish_request, NULL);
      AIO_WAIT_WHILE_UNLOCKED (contexts[0], __atomic_load_n (&requests, __ATOMIC_SEQ_CST) > 0);
    }
  join_threads ();
}

/* --- As QEMU has it --------------------------------------------------------------------------- */

static void
test_create (void)
{
  Error *error = NULL;
  IOThread *thread = iothread_create ("disk0", &error);
  char *id;

  g_test_summary ("C26, C28: made with a name, found by it, set up for busy polling, destroyed");
  g_assert_null (error);
  g_assert_nonnull (thread);
  g_assert_true (iothread_by_id ("disk0") == thread);
  id = iothread_get_id (thread);
  g_assert_cmpstr (id, ==, "disk0");
  g_free (id);
  g_assert_nonnull (iothread_get_g_main_context (thread));
  aio_context_set_poll_params (iothread_get_aio_context (thread), 20000, 0, 0, &error);
  g_assert_null (error);
  aio_wait_bh_oneshot (iothread_get_aio_context (thread), note_context, &contexts[0]);
  aio_context_set_poll_params (iothread_get_aio_context (thread), -1, 0, 0, &error);
  g_assert_nonnull (error);
  g_assert_nonnull (strstr (error_get_pretty (error), "-1"));
  error_free (error);
  iothread_stop (thread);
  iothread_destroy (thread);
  g_assert_null (iothread_by_id ("disk0"));
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  qemu_init_main_loop (&error_abort);
  aio_test_add ("/iothread/lifecycle", test_lifecycle);
  aio_test_add ("/iothread/kicking", test_kicking);
  aio_test_add ("/iothread/wait-bh", test_wait_bh);
  aio_test_add ("/iothread/wait-while", test_wait_while);
  aio_test_add ("/iothread/create", test_create);
  return g_test_run ();
}
