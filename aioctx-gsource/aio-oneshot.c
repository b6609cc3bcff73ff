/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of one-shots and posts. They are made in one thread and freed in another, again and again,
 * which is what malloc likes least. So each thread has a list of its own, and full batches travel
 * back through one shared slot: the thread that frees puts a batch in when the slot is empty, the
 * one that runs out takes whatever is there. One atomic operation a batch; and no ABA problem,
 * because the slot is only ever emptied or filled as a whole. */
#include <aioctx-gsource/aio-oneshot-private.h>

#include <pthread.h>

#define BATCH 128

typedef struct
{
  AioOneshot *first;
  guint n;
} FreeList;

static _Atomic (AioOneshot *) shared_batch;

static __thread FreeList free_list __attribute__ ((tls_model ("initial-exec")));
static __thread gboolean exit_handler_set __attribute__ ((tls_model ("initial-exec")));
static pthread_key_t exit_key;
static gboolean has_exit_key;
static pthread_once_t exit_key_once = PTHREAD_ONCE_INIT;

static void
free_all (AioOneshot *first)
{
  while (first != NULL)
    {
      AioOneshot *next = first->u.next_free;

      g_free (first);
      first = next;
    }
}

/* A thread ends. Other destructors may still free one-shots in it: they set the handler again. */
static void
on_thread_exit (gpointer unused)
{
  AioOneshot *first = free_list.first;

  free_list = (FreeList) { NULL, 0 };
  exit_handler_set = FALSE;
  free_all (first);
}

static void
make_exit_key (void)
{
  has_exit_key = pthread_key_create (&exit_key, on_thread_exit) == 0;
}

/* To be asked by each thread before its list holds anything: also by those that only free. FALSE if
 * the system refuses, say because the process has all the keys that it may have: then the list has
 * to stay empty, since nothing would free it with the thread. */
static gboolean
ensure_exit_handler (void)
{
  if (G_LIKELY (exit_handler_set))
    return TRUE;
  pthread_once (&exit_key_once, make_exit_key);
  exit_handler_set = has_exit_key && pthread_setspecific (exit_key, &exit_handler_set) == 0;
  return exit_handler_set;
}

static void
push_free (AioOneshot *oneshot)
{
  oneshot->u.next_free = free_list.first;
  free_list.first = oneshot;
  free_list.n++;
}

/* The thread's list is empty: takes the shared batch. The exchange pairs with the swap in
 * hand_over_batch(). The load first keeps the line shared while there is nothing to take. */
static void
take_batch (void)
{
  AioOneshot *batch = aio_load_relaxed (&shared_batch);

  if (batch == NULL || !ensure_exit_handler ())
    return;
  batch = aio_exchange_full (&shared_batch, NULL);
  if (batch == NULL)
    return;
  free_list.first = batch;
  free_list.n = BATCH;
}

/* The thread's list holds a batch: into the slot with it, or back to malloc if the slot is full. */
static void
hand_over_batch (void)
{
  AioOneshot *batch = free_list.first;
  AioOneshot *expected = NULL;

  free_list = (FreeList) { NULL, 0 };
  if (aio_load_relaxed (&shared_batch) != NULL ||
      !aio_compare_and_swap_full (&shared_batch, &expected, batch))
    free_all (batch);
}

AioOneshot *
aio_oneshot_alloc (void)
{
  AioOneshot *oneshot;

  if (G_UNLIKELY (free_list.first == NULL))
    take_batch ();
  oneshot = free_list.first;
  if (oneshot == NULL)
    return g_new (AioOneshot, 1);
  free_list.first = oneshot->u.next_free;
  free_list.n--;
  return oneshot;
}

void
aio_oneshot_free (AioOneshot *oneshot)
{
  if (!ensure_exit_handler ())
    {
      g_free (oneshot);
      return;
    }
  if (free_list.n == BATCH)
    hand_over_batch ();
  push_free (oneshot);
}
