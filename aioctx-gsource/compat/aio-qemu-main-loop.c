/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one global context of the project, and the loop around it. */
#include "aio-qemu-private.h"

#include <aioctx-gsource/aio-atomic-private.h>

/* Guards the making of the contexts; a leaf. */
static pthread_mutex_t main_lock = PTHREAD_MUTEX_INITIALIZER;

/* Atomic, any thread: NULL until it is made, then for ever the same. */
static _Atomic (AioContext *) main_context;

/* Under the lock. */
static bool attached;

static pthread_mutex_t bql = PTHREAD_MUTEX_INITIALIZER;
static __thread bool bql_held;
static __thread bool is_main_thread;
static __thread AioContext *thread_context;

static AioContext *
make_locked (GError **error)
{
  AioContext *ctx = aio_load_relaxed (&main_context);   /* written under the lock */

  if (ctx == NULL)
    {
      ctx = aio_context_new_full ("qemu-main", error);
      aio_store_release (&main_context, ctx);   /* pairs with get_main_context() */
    }
  return ctx;
}

/* NULL if there is none yet. */
static AioContext *
get_main_context (void)
{
  return aio_load_acquire (&main_context);      /* pairs with make_locked() */
}

AioContext *
aio_qemu_main_context (void)
{
  AioContext *ctx = get_main_context ();
  GError *error = NULL;

  if (G_LIKELY (ctx != NULL))
    return ctx;
  pthread_mutex_lock (&main_lock);
  ctx = make_locked (&error);
  pthread_mutex_unlock (&main_lock);
  if (ctx == NULL)
    g_error ("%s", error->message);
  return ctx;
}

static bool
attach_locked (GError **error)
{
  AioContext *ctx;

  if (attached)
    return true;
  ctx = make_locked (error);
  if (ctx == NULL)
    return false;
  aio_context_attach (ctx, NULL);
  attached = true;
  return true;
}

/* May be called more than once. The thread that does is the main thread. */
int
aio_qemu_init_main_loop (Error **errp)
{
  GError *error = NULL;
  bool done;

  is_main_thread = true;
  pthread_mutex_lock (&main_lock);
  done = attach_locked (&error);
  pthread_mutex_unlock (&main_lock);
  if (!done)
    {
      aio_qemu_error_take (errp, error);
      return -EMFILE;
    }
  aio_qemu_io_handler_context ();
  return 0;
}

void
aio_qemu_notify_event (void)
{
  AioContext *ctx = get_main_context ();

  if (ctx != NULL)
    aio_context_notify (ctx);
}

/* --- One iteration ---------------------------------------------------------------------------- */

#define N_FDS_ON_STACK 64

static int
poll_unlocked (GMainContext *context,
               GPollFD      *fds,
               guint         n,
               int           timeout)
{
  int ret;

  aio_qemu_bql_unlock ();
  ret = g_main_context_get_poll_func (context) (fds, n, timeout);
  aio_qemu_bql_lock ();
  return ret;
}

static int
iterate (GMainContext *context,
         bool          blocking)
{
  GPollFD on_stack[N_FDS_ON_STACK];
  GPollFD *fds = on_stack;
  int size = N_FDS_ON_STACK, n, priority, timeout, ret;

  g_main_context_prepare (context, &priority);
  while ((n = g_main_context_query (context, priority, &timeout, fds, size)) > size)
    {
      if (fds != on_stack)
        g_free (fds);
      size = n;
      fds = g_new (GPollFD, size);
    }
  ret = poll_unlocked (context, fds, n, blocking ? timeout : 0);
  if (g_main_context_check (context, priority, fds, n))
    g_main_context_dispatch (context);
  if (fds != on_stack)
    g_free (fds);
  return ret;
}

/* Not g_main_context_iteration(): the global mutex is held for all but the sleep, also if the
 * caller has not taken it, so callbacks are alone with what it guards. */
int
aio_qemu_main_loop_wait (int nonblocking)
{
  GMainContext *context = g_main_context_default ();
  bool held = bql_held;
  int ret;

  if (!is_main_thread)
    aio_qemu_init_main_loop (&aio_qemu_error_abort);
  if (!g_main_context_acquire (context))
    {
      g_critical ("main_loop_wait: the default GMainContext is run by another thread");
      return -1;
    }
  if (!held)
    aio_qemu_bql_lock ();
  ret = iterate (context, nonblocking == 0);
  if (!held)
    aio_qemu_bql_unlock ();
  g_main_context_release (context);
  return ret;
}

/* --- Whose context is this? ------------------------------------------------------------------- */

bool
aio_qemu_in_main_thread (void)
{
  return is_main_thread || bql_held;
}

AioContext *
aio_qemu_get_current (void)
{
  if (thread_context != NULL)
    return thread_context;
  if (aio_qemu_in_main_thread ())
    return aio_qemu_main_context ();
  return aio_context_get_current ();
}

void
aio_qemu_set_current (AioContext *ctx)
{
  thread_context = ctx;
}

/* --- The global mutex ------------------------------------------------------------------------- */

void
aio_qemu_bql_lock (void)
{
  if (bql_held)
    g_error ("The global mutex is held by this thread already");
  pthread_mutex_lock (&bql);
  bql_held = true;
}

void
aio_qemu_bql_unlock (void)
{
  if (!bql_held)
    g_error ("The global mutex is not held by this thread");
  bql_held = false;
  pthread_mutex_unlock (&bql);
}

bool
aio_qemu_bql_locked (void)
{
  return bql_held;
}

void
aio_qemu_bql_cond_wait (QemuCond *cond)
{
  bql_held = false;
  pthread_cond_wait (&cond->cond, &bql);
  bql_held = true;
}

/* --- Children --------------------------------------------------------------------------------- */

/* Guards the set of children; a leaf. */
static pthread_mutex_t child_lock = PTHREAD_MUTEX_INITIALIZER;
static GHashTable *children;

static void
child_ended (GPid     pid,
             int      status,
             gpointer data)
{
  pthread_mutex_lock (&child_lock);
  g_hash_table_remove (children, GINT_TO_POINTER (pid));
  pthread_mutex_unlock (&child_lock);
}

int
aio_qemu_add_child_watch (pid_t pid)
{
  bool added;

  pthread_mutex_lock (&child_lock);
  if (children == NULL)
    children = g_hash_table_new (NULL, NULL);
  added = g_hash_table_add (children, GINT_TO_POINTER (pid));
  pthread_mutex_unlock (&child_lock);
  if (!added)
    return 1;
  g_child_watch_add (pid, child_ended, NULL);
  return 0;
}
