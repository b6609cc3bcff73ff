/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* All contexts of the process, for those who look inside. A context is in the list from the moment
 * it is whole until its end begins. */
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-fork-private.h>
#include <aioctx-gsource/aio-patience-private.h>

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;

/* Oldest last. Debuggers know it by this name. */
AioContext *aio_all_contexts;

static void
lock_list (void)
{
  pthread_mutex_lock (&list_lock);
}

static void
unlock_list (void)
{
  pthread_mutex_unlock (&list_lock);
}

/* The child of a fork() gets the lock free and the list whole. */
AIO_FORK_HANDLERS (lock_list, unlock_list, unlock_list)

void
aio_context_enlist (AioContext *context)
{
  lock_list ();
  context->list_next = aio_all_contexts;
  if (context->list_next != NULL)
    context->list_next->list_previous = context;
  aio_all_contexts = context;
  unlock_list ();
}

void
aio_context_delist (AioContext *context)
{
  lock_list ();
  if (context->list_previous != NULL)
    context->list_previous->list_next = context->list_next;
  else
    aio_all_contexts = context->list_next;
  if (context->list_next != NULL)
    context->list_next->list_previous = context->list_previous;
  unlock_list ();
}

/* Any thread. None of them ends meanwhile, and none is made; the visitor calls back nobody. Locks
 * of contexts are taken inside the lock of the list. FALSE if somebody has that and does not go
 * on. */
gboolean
aio_context_for_each (AioContextVisitor visit,
                      gpointer          data)
{
  if (!aio_lock_patiently (&list_lock))
    return FALSE;
  for (AioContext *context = aio_all_contexts; context != NULL; context = context->list_next)
    visit (data, context);
  unlock_list ();
  return TRUE;
}
