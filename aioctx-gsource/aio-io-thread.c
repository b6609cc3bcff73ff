/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-boxed-private.h>
#include <aioctx-gsource/aio-fault-private.h>
#include <aioctx-gsource/aio-fork-private.h>
#include <aioctx-gsource/aio-io-thread.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

typedef enum
{
  RUNNING,
  STOPPING,     /* asked to end */
  STOPPED       /* joined, or left alone */
} IOThreadState;

/**
 * AioIOThread:
 *
 * A thread that runs one [struct@Aio.Context], within a #GMainContext of its own.
 *
 * That #GMainContext is the thread-default one there, so GIO calls that are made in the thread
 * deliver their results in it, and plain sources may be attached to it.
 *
 * Since: 1.0
 */
struct _AioIOThread
{
  /* Immutable once the thread runs. */
  AioContext *context;
  GMainContext *main_context;
  GThread *thread;
  guint64 home;                 /* the thread's id, see aio_home_self() */

  /* Atomic, any thread. */
  _Atomic (guint) refs;         /* the users' */
  _Atomic (gboolean) dropped;   /* refs was 0: for good, whatever callbacks do to it since */
  _Atomic (guint) holders;      /* 1 for all users, 1 for the thread: who goes last frees */

  /* Guards state; a leaf. */
  pthread_mutex_t lock;
  pthread_cond_t stopped;
  IOThreadState state;

  /* The thread's own. */
  gboolean ended;
};

AIO_DEFINE_BOXED_TYPE (AioIOThread, aio_io_thread, aio_io_thread_ref, aio_io_thread_unref)

static void
io_thread_free (AioIOThread *self)
{
  gboolean is_child = aio_anchor_is_forked (self->context->anchor);

  if (is_child)
    aio_context_abandon_attachment (self->context);
  aio_context_unref (self->context);
  g_main_context_unref (self->main_context);
  /* In a forked child threads of the parent may wait for ever, and glibc would wait for them. */
  if (!is_child)
    {
      pthread_cond_destroy (&self->stopped);
      pthread_mutex_destroy (&self->lock);
    }
  g_free (self);
}

static void
drop_holder (AioIOThread *self)
{
  if (aio_fetch_sub_full (&self->holders, 1) == 1)
    io_thread_free (self);
}

/* The entry behind the last one that is to run. What that scheduled stays in the queue. */
static void
end_thread (gpointer data)
{
  AioIOThread *self = data;

  self->ended = TRUE;
  aio_bh_set_end_passes (&self->context->bhs);
}

/* Somebody may have destroyed the source of the context. Without one nothing would run any more,
 * not even the end of the thread. */
static void
stay_attached (AioIOThread *self)
{
  if (G_UNLIKELY (aio_context_get_main (self->context) == NULL))
    aio_context_attach (self->context, self->main_context);
}

static gpointer
run_thread (gpointer data)
{
  AioIOThread *self = data;

  aio_home_adopt_id (self->home);
  aio_home_arrive (&self->context->anchor->home);
  aio_context_set_for_thread (self->context);
  /* Held throughout, so that nobody else gets it between two iterations, and before it becomes the
   * thread-default one, which fails if somebody has it. Who asks whether it is free holds it for a
   * moment. */
  while (!g_main_context_acquire (self->main_context))
    g_usleep (10);
  g_main_context_push_thread_default (self->main_context);
  while (!self->ended)
    {
      g_main_context_iteration (self->main_context, TRUE);
      stay_attached (self);
    }
  aio_context_set_for_thread (NULL);
  aio_context_detach (self->context);
  aio_home_leave_for_good (&self->context->anchor->home);
  g_main_context_pop_thread_default (self->main_context);
  g_main_context_release (self->main_context);
  drop_holder (self);
  return NULL;
}

/* g_main_context_new() ends the program if it gets no descriptor. So they are taken and given back
 * just before: one for the GMainContext, and one for the default one of the process, which GLib
 * makes as soon as another becomes thread-default. That leaves a race with other threads, but turns
 * the usual case into an error. */
static gboolean
probe_descriptors (const char  *name,
                   GError     **error)
{
  int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  int other = fd >= 0 ? fcntl (fd, F_DUPFD_CLOEXEC, 0) : -1;
  int saved_errno = errno;

  if (fd >= 0)
    close (fd);
  if (other >= 0)
    {
      close (other);
      return TRUE;
    }
  g_set_error (error, G_IO_ERROR, g_io_error_from_errno (saved_errno),
               "Cannot open a descriptor for the main loop of I/O thread “%s”: %s",
               name, g_strerror (saved_errno));
  return FALSE;
}

/* The context has its home from now on, also before the thread has run its first instruction. */
static gboolean
start_thread (AioIOThread  *self,
              const char   *name,
              GError      **error)
{
  GError *reason = NULL;

  self->home = aio_home_new_id ();
  aio_context_attach (self->context, self->main_context);
  aio_home_pin (&self->context->anchor->home, self->home);
  if (aio_fault_strikes ())
    g_set_error_literal (&reason, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN, g_strerror (EAGAIN));
  else
    self->thread = g_thread_try_new (name, run_thread, self, &reason);
  if (self->thread != NULL)
    return TRUE;

  aio_home_leave_for_good (&self->context->anchor->home);
  aio_context_detach (self->context);
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_FAILED, "Cannot start I/O thread “%s”: %s",
               name, reason->message);
  g_error_free (reason);
  return FALSE;
}

/**
 * aio_io_thread_new:
 * @name: (nullable): a name for the thread, its context, and reports; it is copied
 * @error: where to store an error
 *
 * Starts a thread that iterates a context of its own.
 *
 * Thread: any thread.
 *
 * Returns: (transfer full) (nullable): the I/O thread, or %NULL with @error set, in the domain
 *   %G_IO_ERROR, if the system has no descriptor or no thread left
 *
 * Since: 1.0
 */
AioIOThread *
aio_io_thread_new (const char  *name,
                   GError     **error)
{
  AioIOThread *self;
  AioContext *context;

  g_return_val_if_fail (error == NULL || *error == NULL, NULL);

  name = name != NULL ? name : "io-thread";
  context = aio_context_new_full (name, error);
  if (context == NULL)
    return NULL;
  if (!probe_descriptors (name, error))
    {
      aio_context_unref (context);
      return NULL;
    }

  self = g_new0 (AioIOThread, 1);
  self->context = context;
  g_main_context_default ();
  self->main_context = g_main_context_new ();
  aio_store_relaxed (&self->refs, 1);
  aio_store_relaxed (&self->holders, 2);
  pthread_mutex_init (&self->lock, NULL);
  pthread_cond_init (&self->stopped, NULL);
  if (!start_thread (self, name, error))
    {
      io_thread_free (self);
      return NULL;
    }
  return self;
}

/**
 * aio_io_thread_ref:
 * @thread: an I/O thread
 *
 * Takes a reference.
 *
 * Thread: any thread.
 *
 * Returns: (transfer full): @thread
 *
 * Since: 1.0
 */
AioIOThread *
aio_io_thread_ref (AioIOThread *thread)
{
  g_return_val_if_fail (thread != NULL, NULL);

  aio_fetch_add_full (&thread->refs, 1);
  return thread;
}

/* Asks the thread to end; TRUE for the first who does. */
static gboolean
ask_to_end (AioIOThread *self)
{
  gboolean first;

  pthread_mutex_lock (&self->lock);
  first = self->state == RUNNING;
  if (first)
    {
      self->state = STOPPING;
      aio_bh_set_end_with (&self->context->bhs, end_thread, self);
    }
  pthread_mutex_unlock (&self->lock);
  return first;
}

static void
join (AioIOThread *self)
{
  g_thread_join (self->thread);
  pthread_mutex_lock (&self->lock);
  self->state = STOPPED;
  pthread_cond_broadcast (&self->stopped);
  pthread_mutex_unlock (&self->lock);
}

static void
wait_until_joined (AioIOThread *self)
{
  pthread_mutex_lock (&self->lock);
  while (self->state != STOPPED)
    pthread_cond_wait (&self->stopped, &self->lock);
  pthread_mutex_unlock (&self->lock);
}

static void
stop (AioIOThread *self)
{
  if (ask_to_end (self))
    join (self);
  else
    wait_until_joined (self);
}

/**
 * aio_io_thread_stop:
 * @thread: an I/O thread
 *
 * Ends the thread and waits for it. What was scheduled or posted before runs, what that schedules
 * does not. Afterwards the context has no home thread and takes no posts; bottom halves that are
 * scheduled stay pending, and any thread may iterate it.
 *
 * It may be called at any moment and more than once, also by several threads.
 *
 * Thread: any thread but the I/O thread itself, where it is a critical warning and does nothing.
 *
 * Since: 1.0
 */
void
aio_io_thread_stop (AioIOThread *thread)
{
  g_return_if_fail (thread != NULL);
  if (!aio_anchor_is_usable (thread->context->anchor, G_STRFUNC))
    return;
  if (aio_home_self () == thread->home)
    {
      g_critical ("%s: I/O thread “%s” cannot wait for its own end",
                  G_STRFUNC, thread->context->anchor->name);
      return;
    }

  stop (thread);
}

/* A callback that runs before the end may take a reference and drop it: what comes with the last
 * reference comes once. Full: the swap pairs with itself, in whoever else drops the last one. */
static gboolean
drop_reference (AioIOThread *self)
{
  return aio_fetch_sub_full (&self->refs, 1) == 1 && !aio_exchange_full (&self->dropped, TRUE);
}

/**
 * aio_io_thread_unref:
 * @thread: (transfer full): an I/O thread
 *
 * Drops a reference. The last one stops the thread as [method@Aio.IOThread.stop] does. In one of
 * the thread's own callbacks it asks the thread to end and does not wait. A reference that one of
 * these takes while the thread ends has to be dropped in there.
 *
 * Thread: any thread. Not signal safe.
 *
 * Since: 1.0
 */
void
aio_io_thread_unref (AioIOThread *thread)
{
  g_return_if_fail (thread != NULL);

  if (!drop_reference (thread))
    return;
  if (aio_anchor_is_forked (thread->context->anchor))
    {
      /* The thread exists in the parent only: nobody to wait for, and nobody else to free it. */
      io_thread_free (thread);
      return;
    }
  if (aio_home_self () != thread->home)
    stop (thread);
  else if (ask_to_end (thread))
    g_thread_unref (thread->thread);
  drop_holder (thread);
}

/**
 * aio_io_thread_get_context:
 * @thread: an I/O thread
 *
 * Gets the context that the thread iterates.
 *
 * Thread: any thread.
 *
 * Returns: (transfer none): the context; it is valid as long as @thread is
 *
 * Since: 1.0
 */
AioContext *
aio_io_thread_get_context (AioIOThread *thread)
{
  g_return_val_if_fail (thread != NULL, NULL);

  return thread->context;
}

/**
 * aio_io_thread_get_main_context:
 * @thread: an I/O thread
 *
 * Gets the #GMainContext that the thread runs, for plain GLib sources.
 *
 * Thread: any thread.
 *
 * Returns: (transfer none): the #GMainContext; it is valid as long as @thread is
 *
 * Since: 1.0
 */
GMainContext *
aio_io_thread_get_main_context (AioIOThread *thread)
{
  g_return_val_if_fail (thread != NULL, NULL);

  return thread->main_context;
}
