/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "aio-qemu-private.h"
#include "iothread.h"

#include <inttypes.h>

struct IOThread
{
  AioIOThread *native;
  char *id;
};

/* Guards the list; a leaf. */
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static GList *threads;

/* The first thing that runs in the thread. */
static void
set_current (void *opaque)
{
  aio_qemu_set_current (opaque);
}

IOThread *
aio_qemu_io_thread_new (const char  *id,
                        Error      **errp)
{
  GError *error = NULL;
  AioIOThread *native = aio_io_thread_new (id, &error);
  AioContext *ctx;
  IOThread *iothread;

  if (native == NULL)
    {
      aio_qemu_error_take (errp, error);
      return NULL;
    }
  ctx = aio_io_thread_get_context (native);
  aio_bh_schedule_oneshot (ctx, set_current, ctx);
  iothread = g_new (IOThread, 1);
  iothread->native = native;
  iothread->id = g_strdup (id);
  pthread_mutex_lock (&list_lock);
  threads = g_list_prepend (threads, iothread);
  pthread_mutex_unlock (&list_lock);
  return iothread;
}

void
aio_qemu_io_thread_stop (IOThread *iothread)
{
  aio_io_thread_stop (iothread->native);
}

void
aio_qemu_io_thread_free (IOThread *iothread)
{
  pthread_mutex_lock (&list_lock);
  threads = g_list_remove (threads, iothread);
  pthread_mutex_unlock (&list_lock);
  aio_io_thread_stop (iothread->native);
  aio_io_thread_unref (iothread->native);
  g_free (iothread->id);
  g_free (iothread);
}

IOThread *
aio_qemu_io_thread_by_id (const char *id)
{
  IOThread *found = NULL;

  pthread_mutex_lock (&list_lock);
  for (GList *l = threads; l != NULL && found == NULL; l = l->next)
    if (g_strcmp0 (((IOThread *) l->data)->id, id) == 0)
      found = l->data;
  pthread_mutex_unlock (&list_lock);
  return found;
}

const char *
aio_qemu_io_thread_get_id (IOThread *iothread)
{
  return iothread->id;
}

AioContext *
aio_qemu_io_thread_get_ctx (IOThread *iothread)
{
  return aio_io_thread_get_context (iothread->native);
}

GMainContext *
aio_qemu_io_thread_get_main (IOThread *iothread)
{
  return aio_io_thread_get_main_context (iothread->native);
}

/* --- Busy polling ----------------------------------------------------------------------------- */

typedef struct
{
  AioContext *ctx;
  int64_t max_ns;
} PollParams;

static void
apply (void *opaque)
{
  PollParams *params = opaque;

  aio_context_set_busy_poll (params->ctx, params->max_ns, NULL);
}

static bool
is_of_other_thread (AioContext *ctx)
{
  bool found = false;

  pthread_mutex_lock (&list_lock);
  for (GList *l = threads; l != NULL && !found; l = l->next)
    found = aio_qemu_io_thread_get_ctx (l->data) == ctx;
  pthread_mutex_unlock (&list_lock);
  return found && !aio_context_is_home_thread (ctx);
}

/* The native function is for the home thread; an I/O thread is asked to do it. */
void
aio_qemu_set_poll_params (AioContext  *ctx,
                          int64_t      max_ns,
                          Error      **errp)
{
  GError *error = NULL;

  if (max_ns < 0)
    aio_qemu_error_set (errp, "A context cannot poll for %" PRId64 " ns", max_ns);
  else if (is_of_other_thread (ctx))
    {
      PollParams params = { ctx, max_ns };

      (aio_bh_schedule_oneshot_full) (ctx, "aio_context_set_poll_params", apply,
                                      g_memdup2 (&params, sizeof params), g_free);
    }
  else if (!aio_context_set_busy_poll (ctx, max_ns, &error) && error != NULL)
    aio_qemu_error_take (errp, error);
}
