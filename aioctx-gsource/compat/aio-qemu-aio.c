/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Contexts, and handlers of the kinds that the native library does not have: with a flush
 * predicate, with a bool io_poll, on an EventNotifier. */
#include "aio-qemu-private.h"

#include <aioctx-gsource/aio-atomic-private.h>
#include <aioctx-gsource/aio-compat-private.h>

AioContext *
aio_qemu_context_new_1 (Error **errp)
{
  GError *error = NULL;
  AioContext *ctx = aio_context_new_full (NULL, &error);

  if (ctx == NULL)
    aio_qemu_error_take (errp, error);
  return ctx;
}

int64_t
aio_qemu_compute_timeout (AioContext *ctx)
{
  return aio_compat_ask_timeout (ctx);
}

/* --- Bottom halves ---------------------------------------------------------------------------- */

typedef struct
{
  QEMUBHFunc *cb;
  void *opaque;
  const char *name;
  MemReentrancyGuard *guard;
} GuardedBH;

/* At QEMU, too, a warning is all there is for now. */
static void
run_guarded (gpointer data)
{
  GuardedBH guarded = *(GuardedBH *) data;
  bool was_engaged = guarded.guard->engaged_in_io;

  if (was_engaged)
    g_warning ("Bottom half “%s” runs inside its own device", guarded.name);
  guarded.guard->engaged_in_io = true;
  guarded.cb (guarded.opaque);
  guarded.guard->engaged_in_io = was_engaged;
}

QEMUBH *
aio_qemu_bh_new (AioContext         *ctx,
                 QEMUBHFunc         *cb,
                 void               *opaque,
                 const char         *name,
                 MemReentrancyGuard *guard)
{
  GuardedBH *guarded;

  if (guard == NULL)
    return (aio_bh_new_full) (ctx, name, cb, opaque, NULL);

  guarded = g_new (GuardedBH, 1);
  *guarded = (GuardedBH) { cb, opaque, g_intern_string (name), guard };
  return (aio_bh_new_full) (ctx, name, run_guarded, guarded, g_free);
}

void
aio_qemu_bh_call (QEMUBH *bh)
{
  aio_compat_call_bh (bh);
}

/* --- Handlers --------------------------------------------------------------------------------- */

typedef struct
{
  /* Immutable. */
  AioContext *ctx;
  int fd;
  bool is_of_2012;              /* set by a call that takes a flush predicate */
  IOHandler *io_read;
  IOHandler *io_write;
  AioFlushHandler *io_flush;
  AioPollFn *io_poll;
  IOHandler *io_poll_ready;
  void *opaque;

  /* Instead of the ones above, if there is a notifier. */
  EventNotifier *notifier;
  EventNotifierHandler *on_set;
  AioFlushEventNotifierHandler *on_flush;
  EventNotifierHandler *on_poll_ready;

  /* Atomic, any thread. */
  _Atomic (guint) refs;
  _Atomic (guint) n_armed;      /* how often the native library has it */

  /* Home thread only. */
  guint depth;                  /* how often it is on the stack */
} Handler;

/* Guards the list of 2012's handlers. A leaf: none is asked while it is held. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static GList *listed;

/* Atomic, any thread; written under the lock. Relaxed is enough: who has set a handler sees it, and
 * who has not been told of one need not. */
static _Atomic (guint) n_listed;

/* Relaxed would do for one that there is already, but the header has no such addition. */
static Handler *
handler_ref (Handler *handler)
{
  aio_fetch_add_full (&handler->refs, 1);
  return handler;
}

static void
handler_unref (gpointer data)
{
  Handler *handler = data;

  /* Pairs with itself: the last one sees what all others did to the handler. */
  if (aio_fetch_sub_full (&handler->refs, 1) == 1)
    g_free (handler);
}

static void
list (Handler *handler)
{
  pthread_mutex_lock (&list_lock);
  listed = g_list_prepend (listed, handler_ref (handler));
  aio_count (&n_listed, 1);
  pthread_mutex_unlock (&list_lock);
}

/* Takes out a handler, or the one of a descriptor; or there is none. */
static void
unlist (Handler    *handler,
        AioContext *ctx,
        int         fd)
{
  Handler *former = NULL;

  if (aio_load_relaxed (&n_listed) == 0)
    return;
  pthread_mutex_lock (&list_lock);
  for (GList *l = listed; l != NULL && former == NULL; l = l->next)
    {
      Handler *each = l->data;

      if (handler != NULL ? each != handler : each->ctx != ctx || each->fd != fd)
        continue;
      former = each;
      listed = g_list_delete_link (listed, l);
      aio_count (&n_listed, -1);
      break;
    }
  pthread_mutex_unlock (&list_lock);
  if (former != NULL)
    handler_unref (former);
}

static void
on_read (gpointer data)
{
  Handler *handler = handler_ref (data);

  handler->depth++;
  if (handler->notifier != NULL)
    handler->on_set (handler->notifier);
  else
    handler->io_read (handler->opaque);
  handler->depth--;
  handler_unref (handler);
}

static void
on_write (gpointer data)
{
  Handler *handler = handler_ref (data);

  handler->depth++;
  handler->io_write (handler->opaque);
  handler->depth--;
  handler_unref (handler);
}

static gboolean
io_poll (gpointer data)
{
  Handler *handler = data;

  return handler->io_poll (handler->opaque);
}

static void
io_poll_ready (gpointer data)
{
  Handler *handler = handler_ref (data);

  handler->depth++;
  if (handler->notifier != NULL)
    handler->on_poll_ready (handler->notifier);
  else
    handler->io_poll_ready (handler->opaque);
  handler->depth--;
  handler_unref (handler);
}

/* The end of the context may be what removes it: then it is still listed. When it was armed anew
 * the native library has it twice for a while. Full: pairs with itself, as for the references. */
static void
handler_removed (gpointer data)
{
  Handler *handler = data;

  if (aio_fetch_sub_full (&handler->n_armed, 1) == 1 && handler->is_of_2012)
    unlist (handler, NULL, -1);
  handler_unref (handler);
}

/* Gives the native library a reference. */
static bool
arm (Handler  *handler,
     GError  **error)
{
  bool reads = handler->io_read != NULL || handler->on_set != NULL;
  bool polls_ready = handler->io_poll_ready != NULL || handler->on_poll_ready != NULL;

  handler_ref (handler);
  aio_fetch_add_full (&handler->n_armed, 1);    /* pairs with handler_removed() */
  if (aio_context_set_fd_handler_full (handler->ctx, handler->fd,
                                       reads ? on_read : NULL,
                                       handler->io_write != NULL ? on_write : NULL,
                                       handler->io_poll != NULL ? io_poll : NULL,
                                       polls_ready ? io_poll_ready : NULL,
                                       handler, handler_removed, error))
    return true;
  aio_fetch_sub_full (&handler->n_armed, 1);
  handler_unref (handler);
  return false;
}

static int
report (GError *error)
{
  if (error != NULL)
    g_critical ("%s", error->message);
  g_clear_error (&error);
  return -EIO;
}

static int
set_handler (const Handler *template)
{
  Handler *handler;
  GError *error = NULL;
  bool done;

  unlist (NULL, template->ctx, template->fd);
  if (template->io_read == NULL && template->io_write == NULL && template->on_set == NULL)
    {
      aio_context_set_fd_handler (template->ctx, template->fd, NULL, NULL, NULL);
      return 0;
    }
  handler = g_memdup2 (template, sizeof *template);
  aio_store_relaxed (&handler->refs, 1);        /* nobody else knows it yet */
  if (handler->is_of_2012)
    list (handler);
  done = arm (handler, &error);
  if (!done)
    unlist (handler, NULL, -1);
  handler_unref (handler);
  return done ? 0 : report (error);
}

int
aio_qemu_set_fd_handler (AioContext      *ctx,
                         int              fd,
                         IOHandler       *io_read,
                         IOHandler       *io_write,
                         AioPollFn       *poll,
                         IOHandler       *poll_ready,
                         void            *opaque)
{
  Handler template = { .ctx = ctx, .fd = fd, .io_read = io_read, .io_write = io_write,
                       .io_poll = poll, .io_poll_ready = poll_ready, .opaque = opaque };

  return set_handler (&template);
}

int
aio_qemu_set_fd_flush (AioContext      *ctx,
                       int              fd,
                       IOHandler       *io_read,
                       IOHandler       *io_write,
                       AioFlushHandler *io_flush,
                       void            *opaque)
{
  Handler template = { .ctx = ctx, .fd = fd, .is_of_2012 = true, .io_read = io_read,
                       .io_write = io_write, .io_flush = io_flush, .opaque = opaque };

  return set_handler (&template);
}

int
aio_qemu_set_event_notifier (AioContext           *ctx,
                             EventNotifier        *notifier,
                             EventNotifierHandler *io_read,
                             AioPollFn            *poll,
                             EventNotifierHandler *poll_ready)
{
  Handler template = { .ctx = ctx, .fd = event_notifier_get_fd (notifier), .io_poll = poll,
                       .opaque = notifier, .notifier = notifier, .on_set = io_read,
                       .on_poll_ready = poll_ready };

  return set_handler (&template);
}

int
aio_qemu_set_notifier_flush (AioContext                   *ctx,
                             EventNotifier                *notifier,
                             EventNotifierHandler         *io_read,
                             AioFlushEventNotifierHandler *io_flush)
{
  Handler template = { .ctx = ctx, .fd = event_notifier_get_fd (notifier), .is_of_2012 = true,
                       .notifier = notifier, .on_set = io_read, .on_flush = io_flush };

  return set_handler (&template);
}

/* --- Waiting with flush predicates ------------------------------------------------------------ */

static GPtrArray *
list_of_context (AioContext *ctx)
{
  GPtrArray *handlers = g_ptr_array_new_with_free_func (handler_unref);

  pthread_mutex_lock (&list_lock);
  for (GList *l = listed; l != NULL; l = l->next)
    if (((Handler *) l->data)->ctx == ctx)
      g_ptr_array_add (handlers, handler_ref (l->data));
  pthread_mutex_unlock (&list_lock);
  return handlers;
}

/* One without a predicate is never busy. */
static bool
is_busy (Handler *handler)
{
  if (handler->on_flush != NULL)
    return handler->on_flush (handler->notifier) != 0;
  return handler->io_flush != NULL && handler->io_flush (handler->opaque) != 0;
}

static bool
is_listed (Handler *handler)
{
  bool found;

  pthread_mutex_lock (&list_lock);
  found = g_list_find (listed, handler) != NULL;
  pthread_mutex_unlock (&list_lock);
  return found;
}

static void
arm_all (GPtrArray *handlers)
{
  for (guint i = 0; i < handlers->len; i++)
    {
      GError *error = NULL;

      if (is_listed (handlers->pdata[i]) && !arm (handlers->pdata[i], &error))
        report (error);
    }
}

/* Is any handler of the context busy? One that is on the stack, and waited for, has to be entered
 * again, or it would be waited for in vain: it is armed anew, which makes it another handler for
 * the native library. With eager false that is done only if nobody else can make progress. */
static bool
is_context_busy (AioContext *ctx,
                 bool        eager)
{
  GPtrArray *handlers = list_of_context (ctx);
  GPtrArray *on_stack = g_ptr_array_new ();
  bool elsewhere = false, busy;

  for (guint i = 0; i < handlers->len; i++)
    {
      Handler *handler = handlers->pdata[i];

      /* A predicate may have removed it. */
      if (!is_listed (handler) || !is_busy (handler))
        continue;
      if (handler->depth != 0)
        g_ptr_array_add (on_stack, handler);
      else
        elsewhere = true;
    }
  busy = elsewhere || on_stack->len != 0;
  if (eager || !elsewhere)
    arm_all (on_stack);
  g_ptr_array_unref (on_stack);
  g_ptr_array_unref (handlers);
  return busy;
}

static bool
has_handlers_of_2012 (AioContext *ctx)
{
  bool found = false;

  if (G_LIKELY (aio_load_relaxed (&n_listed) == 0))
    return false;
  pthread_mutex_lock (&list_lock);
  for (GList *l = listed; l != NULL && !found; l = l->next)
    found = ((Handler *) l->data)->ctx == ctx;
  pthread_mutex_unlock (&list_lock);
  return found;
}

/* 2012's is told by 2012's handlers: it is about bottom halves and who is busy, and says no more of
 * handlers that are ready while nobody is than that it does not wait for them. */
bool
aio_qemu_poll (AioContext *ctx,
               bool        blocking)
{
  bool timer_is_due;

  if (!has_handlers_of_2012 (ctx))
    return aio_context_poll (ctx, blocking);
  if (aio_bh_poll (ctx))
    return true;
  if (is_context_busy (ctx, false))
    {
      aio_context_poll (ctx, blocking);
      return true;
    }
  timer_is_due = aio_compat_ask_timeout (ctx) == 0;
  return aio_context_poll (ctx, FALSE) && timer_is_due;
}

/* 2012's qemu_aio_wait(): bottom halves first; then for who is busy; not at all for nobody. */
bool
aio_qemu_wait (AioContext *ctx)
{
  if (aio_bh_poll (ctx))
    return true;
  if (!is_context_busy (ctx, true))
    return false;
  aio_context_poll (ctx, TRUE);
  return true;
}
