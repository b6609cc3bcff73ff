/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The descriptors and event notifiers of a context: the public functions that are given a
 * context. */
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-event-notifier.h>

/**
 * aio_context_set_fd_monitor:
 * @context: a context
 * @name: `"epoll"` or `"poll"`
 * @error: where to store an error
 *
 * Chooses how descriptors are watched, before the first handler is set. The default is the best
 * that the system has; the environment variable `AIOCTX_FDMON` names another one for all contexts.
 *
 * Thread: home thread.
 *
 * Returns: %TRUE, or %FALSE with @error set, in the domain %G_IO_ERROR: the monitor is not
 *   supported here, or it is too late
 *
 * Since: 1.0
 */
gboolean
aio_context_set_fd_monitor (AioContext  *context,
                            const char  *name,
                            GError     **error)
{
  const AioFdMonitor *monitor;

  g_return_val_if_fail (context != NULL, FALSE);
  g_return_val_if_fail (name != NULL, FALSE);
  if (!aio_context_may_act (context, G_STRFUNC))
    return FALSE;

  monitor = aio_fd_monitor_by_name (name);
  if (monitor == NULL)
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                 "AioContext “%s”: there is no descriptor monitor “%s” here",
                 context->anchor->name, name);
  else if (monitor != context->fds.monitor && aio_fd_set_is_active (&context->fds))
    g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY,
                 "AioContext “%s” watches its descriptors with %s already",
                 context->anchor->name, context->fds.monitor->name);
  else
    {
      context->fds.monitor = monitor;
      return TRUE;
    }
  return FALSE;
}

static void
drop_removed (gpointer handler)
{
  aio_fd_handler_forget (handler);
  aio_fd_handler_unref (handler);
}

/* A handler has been taken out of the table; nobody can find it any more but the home thread, which
 * may have it in its ready list or on its stack. Elsewhere than there it is passed on to it. */
static void
dispose (AioContext   *context,
         AioFdHandler *handler)
{
  AioHome *home = &context->anchor->home;
  gboolean at_home;

  aio_home_lock (home);
  at_home = aio_home_is_self (home) || aio_load_relaxed (&home->thread) == 0;
  /* Nobody else iterates, and nobody can begin to while the lock is held. One reference is ours, so
   * no destroy notify runs under it. */
  if (at_home)
    aio_fd_handler_forget (handler);
  aio_home_unlock (home);
  if (at_home)
    aio_fd_handler_unref (handler);
  else
    aio_bh_set_add_disposal (&context->bhs, drop_removed, handler);
}

/* Any thread. NULL removes. With epoll the change is in force at once, also for a wait that has
 * begun; what the kernel does not know the home thread has to look at, so it is woken: it may poll
 * the plain wakeup descriptor still, or a list of descriptors, or a file that is always ready. */
static gboolean
replace (AioContext    *context,
         int            fd,
         AioFdHandler  *handler,
         GError       **error)
{
  AioFdHandler *former;
  gboolean had_handlers = aio_fd_set_has_handlers (&context->fds);

  if (!aio_fd_set_replace (&context->fds, fd, handler, &former, error))
    return FALSE;
  if (handler != NULL &&
      (!had_handlers || aio_load_relaxed (&context->fds.fd) < 0 ||
       aio_load_relaxed (&context->fds.n_always) != 0))
    aio_notify_wake (&context->anchor->notify);
  if (former != NULL)
    dispose (context, former);
  return TRUE;
}

/* Home thread. Removes the handler with this data, which has run and wants to end; another one may
 * have been set in its place. In a forked child, which it may have made, it stays. */
void
aio_context_remove_fd_handler (AioContext *context,
                               int         fd,
                               gpointer    data)
{
  AioFdHandler *handler;

  if (aio_anchor_is_forked (context->anchor))
    return;
  handler = aio_fd_set_remove (&context->fds, fd, data);
  if (handler != NULL)
    dispose (context, handler);
}

/**
 * aio_context_set_fd_handler_full: (skip)
 * @context: a context
 * @fd: a file descriptor
 * @on_read: (nullable) (scope notified) (closure data) (destroy destroy): called while @fd is
 *   readable
 * @on_write: (nullable) (scope notified) (closure data): called while @fd is writable
 * @io_poll: (nullable) (scope notified) (closure data): a quick way to tell that there is
 *   something to do, for busy polling
 * @io_poll_ready: (nullable) (scope notified) (closure data): called in place of @on_read when
 *   @io_poll has said so
 * @data: passed to all of them
 * @destroy: (nullable): called once with @data when the handler is gone
 * @error: where to store an error
 *
 * Sets the handler of a descriptor, in place of the one that is there; with neither @on_read nor
 * @on_write it removes that one. To remove what is not there does nothing.
 *
 * Handlers are level-triggered: they are called in each iteration in which the descriptor is ready.
 * An error or a hang-up is reported to both. A handler that is on the stack is not entered again by
 * a nested iteration. Regular files are always ready. Remove the handler before you close the
 * descriptor.
 *
 * The new handler is in force for the next wait, even one that has begun. In the home thread the
 * former one does not run again after this; from another thread one run that is in progress may
 * still finish, and its destroy notify runs in the home thread.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: %TRUE, or %FALSE with @error set, in the domain %G_IO_ERROR: then the former handler
 *   stays, and @destroy is not called
 *
 * Since: 1.0
 */
gboolean
aio_context_set_fd_handler_full (AioContext      *context,
                                 int              fd,
                                 AioFdFunc        on_read,
                                 AioFdFunc        on_write,
                                 AioPollFunc      io_poll,
                                 AioFdFunc        io_poll_ready,
                                 gpointer         data,
                                 GDestroyNotify   destroy,
                                 GError         **error)
{
  AioFdHandler *handler;

  g_return_val_if_fail (context != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);
  if (!aio_anchor_is_usable (context->anchor, G_STRFUNC))
    return FALSE;
  if (fd < 0)
    {
      g_critical ("%s: AioContext “%s” was given descriptor %d", G_STRFUNC,
                  context->anchor->name, fd);
      return FALSE;
    }
  if (on_read == NULL && on_write == NULL)
    return replace (context, fd, NULL, error);
  if (!aio_context_takes_new (context, G_STRFUNC))
    return FALSE;

  handler = aio_fd_handler_new (&context->fds, fd);
  handler->on_read = on_read;
  handler->on_write = on_write;
  handler->io_poll = io_poll;
  handler->io_poll_ready = io_poll_ready;
  handler->data = data;
  handler->destroy = destroy;
  if (replace (context, fd, handler, error))
    return TRUE;
  handler->destroy = NULL;
  aio_fd_handler_unref (handler);
  return FALSE;
}

/**
 * aio_context_set_fd_handler: (skip)
 * @context: a context
 * @fd: a file descriptor
 * @on_read: (nullable) (scope forever) (closure data): called while @fd is readable
 * @on_write: (nullable) (scope forever) (closure data): called while @fd is writable
 * @data: passed to both
 *
 * As [method@Aio.Context.set_fd_handler_full]. If the system refuses, that is a critical warning
 * that names the descriptor and the context, and the former handler stays.
 *
 * Thread: any thread. Not signal safe.
 *
 * Since: 1.0
 */
void
aio_context_set_fd_handler (AioContext *context,
                            int         fd,
                            AioFdFunc   on_read,
                            AioFdFunc   on_write,
                            gpointer    data)
{
  GError *error = NULL;

  aio_context_set_fd_handler_full (context, fd, on_read, on_write, NULL, NULL, data, NULL, &error);
  if (error != NULL)
    {
      g_critical ("%s: %s", G_STRFUNC, error->message);
      g_error_free (error);
    }
}

/* What a descriptor handler needs to call one of a notifier. */
typedef struct
{
  AioEventNotifier *notifier;
  AioEventNotifierFunc on_set;
  AioEventNotifierPollFunc io_poll;
  AioEventNotifierFunc io_poll_ready;
} NotifierHandler;

static void
notifier_on_read (gpointer data)
{
  NotifierHandler *handler = data;

  handler->on_set (handler->notifier);
}

static gboolean
notifier_io_poll (gpointer data)
{
  NotifierHandler *handler = data;

  return handler->io_poll (handler->notifier);
}

static void
notifier_io_poll_ready (gpointer data)
{
  NotifierHandler *handler = data;

  handler->io_poll_ready (handler->notifier);
}

/* Under the lock of the set, with one that is in it: is it that of a notifier, and what does it
 * call? (Only its address is of use to others.) */
gboolean
aio_context_is_notifier (const AioFdHandler *handler,
                         AioFdFunc          *on_set)
{
  if (handler->on_read != notifier_on_read)
    return FALSE;
  *on_set = (AioFdFunc) (void (*) (void)) ((NotifierHandler *) handler->data)->on_set;
  return TRUE;
}

/**
 * aio_context_set_event_notifier: (skip)
 * @context: a context
 * @notifier: an event notifier
 * @on_set: (nullable) (scope forever): called while @notifier is set; it does its own
 *   [method@Aio.EventNotifier.test_and_clear]; %NULL removes the handler
 * @io_poll: (nullable) (scope forever): as in [method@Aio.Context.set_fd_handler_full]
 * @io_poll_ready: (nullable) (scope forever): as there
 *
 * Sets the handler of an event notifier, or removes it.
 *
 * Thread: any thread. Not signal safe.
 *
 * Since: 1.0
 */
void
aio_context_set_event_notifier (AioContext               *context,
                                AioEventNotifier         *notifier,
                                AioEventNotifierFunc      on_set,
                                AioEventNotifierPollFunc  io_poll,
                                AioEventNotifierFunc      io_poll_ready)
{
  NotifierHandler *handler;
  GError *error = NULL;
  int fd;

  g_return_if_fail (context != NULL);
  g_return_if_fail (notifier != NULL);

  fd = aio_event_notifier_get_fd (notifier);
  if (on_set == NULL)
    {
      aio_context_set_fd_handler (context, fd, NULL, NULL, NULL);
      return;
    }
  handler = g_new (NotifierHandler, 1);
  *handler = (NotifierHandler) { notifier, on_set, io_poll, io_poll_ready };
  if (aio_context_set_fd_handler_full (context, fd, notifier_on_read, NULL,
                                       io_poll != NULL ? notifier_io_poll : NULL,
                                       io_poll_ready != NULL ? notifier_io_poll_ready : NULL,
                                       handler, g_free, &error))
    return;
  g_free (handler);
  if (error != NULL)
    {
      g_critical ("%s: %s", G_STRFUNC, error->message);
      g_error_free (error);
    }
}
