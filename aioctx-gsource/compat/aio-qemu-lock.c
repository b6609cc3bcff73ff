/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The lock of a context. It is there while somebody has it or waits for it, so a context that is
 * never locked knows nothing of it, and nothing is left when the context goes. */
#include "aio-qemu-private.h"

/* Under the lock of the table. */
typedef struct
{
  pthread_t owner;              /* while depth is not 0 */
  guint depth;
  guint n_waiters;
  pthread_cond_t released;
} Lock;

/* Guards what follows; a leaf. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *table;       /* AioContext, no reference → Lock */

static Lock *
find_or_add_locked (AioContext *ctx)
{
  Lock *lock;

  if (table == NULL)
    table = g_hash_table_new (NULL, NULL);
  lock = g_hash_table_lookup (table, ctx);
  if (lock == NULL)
    {
      lock = g_new0 (Lock, 1);
      pthread_cond_init (&lock->released, NULL);
      g_hash_table_insert (table, ctx, lock);
    }
  return lock;
}

/* NULL if this thread does not have it. */
static Lock *
find_mine_locked (AioContext *ctx)
{
  Lock *lock = table == NULL ? NULL : g_hash_table_lookup (table, ctx);

  if (lock == NULL || lock->depth == 0 || !pthread_equal (lock->owner, pthread_self ()))
    return NULL;
  return lock;
}

static void
take (AioContext *ctx,
      guint       depth)
{
  Lock *lock;

  pthread_mutex_lock (&table_lock);
  lock = find_mine_locked (ctx);
  if (lock == NULL)
    {
      lock = find_or_add_locked (ctx);
      lock->n_waiters++;
      while (lock->depth != 0)
        pthread_cond_wait (&lock->released, &table_lock);
      lock->n_waiters--;
      lock->owner = pthread_self ();
    }
  lock->depth += depth;
  pthread_mutex_unlock (&table_lock);
}

/* Returns how often it was held, which is 0 in a thread that does not have it. */
static guint
give (AioContext *ctx,
      guint       depth)
{
  Lock *lock;
  guint held = 0;

  pthread_mutex_lock (&table_lock);
  lock = find_mine_locked (ctx);
  if (lock != NULL)
    {
      held = lock->depth;
      lock->depth -= MIN (depth, held);
    }
  if (lock != NULL && lock->depth == 0 && lock->n_waiters != 0)
    pthread_cond_signal (&lock->released);
  else if (lock != NULL && lock->depth == 0)
    {
      g_hash_table_remove (table, ctx);
      pthread_cond_destroy (&lock->released);
      g_free (lock);
    }
  pthread_mutex_unlock (&table_lock);
  return held;
}

void
aio_qemu_context_acquire (AioContext *ctx)
{
  g_return_if_fail (ctx != NULL);

  take (ctx, 1);
}

void
aio_qemu_context_release (AioContext *ctx)
{
  g_return_if_fail (ctx != NULL);

  if (give (ctx, 1) == 0)
    g_critical ("aio_context_release: this thread has not acquired AioContext “%s”",
                aio_context_get_name (ctx));
}

/* For as long as one waits for another thread. Returns what aio_qemu_context_take_back() needs. */
guint
aio_qemu_context_let_go (AioContext *ctx)
{
  return ctx == NULL ? 0 : give (ctx, G_MAXUINT);
}

void
aio_qemu_context_take_back (AioContext *ctx,
                            guint       depth)
{
  if (depth != 0)
    take (ctx, depth);
}
