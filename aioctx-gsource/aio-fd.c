/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptor handlers: which there are, which are ready, running them.
 *
 * A handler is never changed, only replaced by another one. So who runs it, or has found it ready,
 * cannot meet another one's callbacks or data. The table and the monitor may be changed by any
 * thread, under the lock; the rest is the home thread's. */
#include <aioctx-gsource/aio-fd-private.h>
#include <aioctx-gsource/aio-debug-private.h>
#include <aioctx-gsource/aio-fault-private.h>
#include <aioctx-gsource/aio-patience-private.h>
#include <aioctx-gsource/aio-trace-private.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#ifdef __linux__
#define DEFAULT_MONITOR aio_fdmon_epoll
#else
#define DEFAULT_MONITOR aio_fdmon_poll
#endif

/* NULL: there is none of that name. */
const AioFdMonitor *
aio_fd_monitor_by_name (const char *name)
{
  static const AioFdMonitor *monitors[] = { &DEFAULT_MONITOR, &aio_fdmon_poll };

  for (guint i = 0; i < G_N_ELEMENTS (monitors); i++)
    if (g_strcmp0 (monitors[i]->name, name) == 0)
      return monitors[i];
  return NULL;
}

/* What AIOCTX_DEBUG asks for; NULL: nothing that can be had. */
static const AioFdMonitor *
choose_monitor_to_debug (void)
{
  static _Atomic (gboolean) told;
  const char *name = aio_debug_get ()->fdmon;
  const AioFdMonitor *monitor = aio_fd_monitor_by_name (name);

  if (monitor == NULL && name != NULL && !aio_exchange_full (&told, TRUE))
    aio_debug_complain ("fdmon", name, "epoll (where the system has it) or poll");
  return monitor;
}

/* What the environment asks for, else the best there is. */
static const AioFdMonitor *
choose_monitor (void)
{
  static _Atomic (gboolean) warned;
  const char *name = g_getenv ("AIOCTX_FDMON");
  const AioFdMonitor *monitor = aio_fd_monitor_by_name (name);
  const AioFdMonitor *debug = choose_monitor_to_debug ();

  if (debug != NULL)
    return debug;
  if (monitor == NULL && name != NULL && !aio_exchange_full (&warned, TRUE))
    g_warning ("AIOCTX_FDMON: there is no descriptor monitor “%s” here, taking “%s”", name,
               DEFAULT_MONITOR.name);
  return monitor != NULL ? monitor : &DEFAULT_MONITOR;
}

void
aio_fd_set_init (AioFdSet  *set,
                 AioAnchor *anchor,
                 AioMeter  *meter)
{
  set->anchor = anchor;
  set->meter = meter;
  set->monitor = choose_monitor ();
  aio_store_relaxed (&set->fd, -1);
  set->former_fd = -1;
  for (guint tag = 0; tag < AIO_FD_N_TAGS; tag++)
    set->tag_fds[tag] = -1;
  set->tag_fds[AIO_FD_TAG_WAKEUP] = anchor->notify.wakeup.read_fd;
  pthread_mutex_init (&set->lock, NULL);
}

/* In a forked child the lock may be held for ever by a thread that exists in the parent only. */
void
aio_fd_set_lock (AioFdSet *set)
{
  if (!aio_anchor_is_forked (set->anchor))
    pthread_mutex_lock (&set->lock);
}

/* What was found out under the lock is said without it: a log handler may call us. */
void
aio_fd_set_unlock (AioFdSet *set)
{
  GString *report = g_steal_pointer (&set->report);

  if (!aio_anchor_is_forked (set->anchor))
    pthread_mutex_unlock (&set->lock);
  if (G_LIKELY (report == NULL))
    return;
  g_critical ("AioContext “%s”: %s", set->anchor->name, report->str);
  g_string_free (report, TRUE);
}

/* --- Handlers --------------------------------------------------------------------------------- */

AioFdHandler *
aio_fd_handler_new (AioFdSet *set,
                    int       fd)
{
  AioFdHandler *handler = g_new0 (AioFdHandler, 1);

  handler->set = set;
  handler->fd = fd;
  handler->refs = 1;
  return handler;
}

static void
handler_ref (AioFdHandler *handler)
{
  handler->refs++;
}

/* Home thread. With the last reference its destroy notify runs: it is neither ready nor on the
 * stack any more. */
void
aio_fd_handler_unref (AioFdHandler *handler)
{
  if (--handler->refs != 0)
    return;
  if (handler->destroy != NULL)
    handler->destroy (handler->data);
  g_free (handler);
}

/* The poll(2) events that it waits for. Error and hang-up are always reported. */
guint
aio_fd_handler_events (AioFdHandler *handler)
{
  return (handler->on_read != NULL ? POLLIN : 0) | (handler->on_write != NULL ? POLLOUT : 0);
}

static gboolean
is_removed (AioFdHandler *handler)
{
  return aio_load_acquire (&handler->removed) != 0;
}

/* Home thread. */
static gboolean
is_on_stack (AioFdHandler *handler)
{
  return aio_load_relaxed (&handler->depth) != 0;
}

/* Home thread. */
static gboolean
is_ready (AioFdHandler *handler)
{
  return aio_load_relaxed (&handler->ready) != 0;
}

/* --- The ready list, home thread -------------------------------------------------------------- */

static void
append_ready (AioFdSet     *set,
              AioFdHandler *handler,
              guint         ready)
{
  guint before = aio_load_relaxed (&handler->ready);
  gboolean queued = before != 0;

  aio_store_relaxed (&handler->ready, before | ready);
  if (queued || ready == 0)
    return;
  handler_ref (handler);
  handler->ready_since = set->n_passes;
  handler->ready_next = NULL;
  handler->ready_previous = set->last_ready;
  if (set->last_ready != NULL)
    set->last_ready->ready_next = handler;
  else
    set->first_ready = handler;
  set->last_ready = handler;
}

/* The list's reference goes to the caller. */
static void
unlink_ready (AioFdSet     *set,
              AioFdHandler *handler)
{
  if (handler->ready_previous != NULL)
    handler->ready_previous->ready_next = handler->ready_next;
  else
    set->first_ready = handler->ready_next;
  if (handler->ready_next != NULL)
    handler->ready_next->ready_previous = handler->ready_previous;
  else
    set->last_ready = handler->ready_previous;
  aio_store_relaxed (&handler->ready, 0);
}

/* What a monitor found. Error and hang-up are something for both, as users of poll(2) expect: the
 * next read or write tells what it is. One that is on the stack is not entered again. */
void
aio_fd_set_mark_ready (AioFdSet     *set,
                       AioFdHandler *handler,
                       guint         poll_events)
{
  guint ready = 0;

  if (is_on_stack (handler))
    return;
  if (handler->on_read != NULL && poll_events & (POLLIN | POLLPRI | POLLERR | POLLHUP))
    ready |= AIO_FD_READ;
  if (handler->on_write != NULL && poll_events & (POLLOUT | POLLERR | POLLHUP))
    ready |= AIO_FD_WRITE;
  append_ready (set, handler, ready);
}

/* A removed handler leaves the ready list at once, so that its destroy notify need not wait. */
void
aio_fd_handler_forget (AioFdHandler *handler)
{
  if (!is_ready (handler))
    return;
  unlink_ready (handler->set, handler);
  aio_fd_handler_unref (handler);
}

/* Calls func for each handler that is in the table, until it says TRUE. It may not change the
 * table: the lock is held. */
static gboolean
for_each_locked (AioFdSet *set,
                 gboolean (*func) (AioFdHandler *handler))
{
  GHashTableIter iter;
  gpointer handler;
  gboolean found = FALSE;

  if (set->handlers == NULL)
    return FALSE;
  g_hash_table_iter_init (&iter, set->handlers);
  while (g_hash_table_iter_next (&iter, NULL, &handler))
    found |= func (handler);
  return found;
}

static gboolean
mark_if_always (AioFdHandler *handler)
{
  if (handler->always && !handler->broken)
    aio_fd_set_mark_ready (handler->set, handler, POLLIN | POLLOUT);
  return is_ready (handler);
}

/* Regular files are always ready, as with poll(2). */
void
aio_fd_set_mark_always (AioFdSet *set)
{
  if (aio_load_full (&set->n_always) == 0)
    return;
  aio_fd_set_lock (set);
  for_each_locked (set, mark_if_always);
  aio_fd_set_unlock (set);
}

static gboolean
ask_io_poll (AioFdHandler *handler)
{
  gboolean ready = !is_removed (handler) && !is_on_stack (handler) &&
                   handler->io_poll (handler->data);

  if (ready && !is_removed (handler))
    append_ready (handler->set, handler, AIO_FD_POLLED);
  return ready;
}

/* At most so many handlers, each with a reference. */
static guint
list_with_io_poll (AioFdSet      *set,
                   AioFdHandler **handlers,
                   guint          max)
{
  guint n;

  aio_fd_set_lock (set);
  n = MIN (set->with_io_poll->len, max);
  for (guint i = 0; i < n; i++)
    {
      handlers[i] = set->with_io_poll->pdata[i];
      handler_ref (handlers[i]);
    }
  aio_fd_set_unlock (set);
  return n;
}

/* For busy polling: asks the handlers that have a quicker way to tell. They are listed first, since
 * no lock is held while a function of the user runs; who comes meanwhile is asked the next time. */
gboolean
aio_fd_set_ask_io_poll (AioFdSet *set)
{
  guint max = aio_load_relaxed (&set->n_io_poll);
  AioFdHandler *some[16];
  AioFdHandler **handlers = some;
  gboolean found = FALSE;
  guint n;

  if (max == 0)
    return FALSE;
  if (max > G_N_ELEMENTS (some))
    handlers = g_new (AioFdHandler *, max);
  n = list_with_io_poll (set, handlers, max);
  for (guint i = 0; i < n; i++)
    {
      found |= ask_io_poll (handlers[i]);
      aio_fd_handler_unref (handlers[i]);
    }
  if (handlers != some)
    g_free (handlers);
  return found;
}

/* --- Running, home thread --------------------------------------------------------------------- */

/* The handlers on the stack are not watched while a nested iteration sleeps: what they are there
 * for is still to be read, and would end each sleep at once. */
void
aio_fd_set_suspend_runs (AioFdSet *set)
{
  if (set->runs == NULL)
    return;
  aio_fd_set_lock (set);
  for (AioFdRun *run = set->runs; run != NULL; run = run->outer)
    {
      AioFdHandler *handler = run->handler;

      if (handler->watched && !handler->broken && !is_removed (handler))
        {
          int reason = set->monitor->unwatch (set, handler);

          if (reason != 0)
            aio_fd_set_report_closed (set, handler, reason);
          handler->watched = FALSE;
          handler->suspended = TRUE;
          aio_fetch_add_full (&set->n_changes, 1);
        }
    }
  aio_fd_set_unlock (set);
}

/* Under the lock. The monitor gets it back, or refuses it: the system may be short of what that
 * takes, which passes. */
static void
watch_again (AioFdHandler  *handler,
             GError       **error)
{
  AioFdSet *set = handler->set;

  aio_fetch_add_full (&set->n_changes, 1);
  handler->refused = !set->monitor->watch (set, handler, NULL, error);
  if (handler->refused && fcntl (handler->fd, F_GETFD) < 0)
    {
      handler->refused = FALSE;
      aio_fd_set_report_closed (set, handler, errno);
    }
  handler->watched = !handler->refused && !handler->broken && !handler->always;
  /* Behind its number there is a regular file now. */
  if (handler->always)
    aio_fetch_add_full (&set->n_always, 1);
}

/* The outermost run of a handler is over. */
static void
resume (AioFdSet     *set,
        AioFdHandler *handler)
{
  GError *error = NULL;

  handler->suspended = FALSE;
  aio_fd_set_lock (set);
  if (!is_removed (handler) && !handler->broken)
    watch_again (handler, &error);
  aio_fd_set_unlock (set);
  if (error != NULL && handler->refused)
    {
      set->has_refused = TRUE;
      g_warning ("AioContext “%s” does not see descriptor %d for now: %s", set->anchor->name,
                 handler->fd, error->message);
    }
  g_clear_error (&error);
}

/* Returns whether it still is. One that runs, as its io_poll function found something, is not
 * watched before it has come to its end. */
static gboolean
watch_if_refused (AioFdHandler *handler)
{
  if (handler->refused && !is_on_stack (handler))
    watch_again (handler, NULL);
  return handler->refused;
}

/* Returns whether some handler is still not watched, so that this has to be tried again soon. */
gboolean
aio_fd_set_watch_refused (AioFdSet *set)
{
  aio_fd_set_lock (set);
  set->has_refused = for_each_locked (set, watch_if_refused);
  aio_fd_set_unlock (set);
  return set->has_refused;
}

/* What runs when there is something to read; NULL if there is not. */
static AioFdFunc
reader_of (AioFdHandler *handler,
           guint         ready)
{
  if (ready & AIO_FD_OWED)
    return NULL;
  if (ready & AIO_FD_POLLED && handler->io_poll_ready != NULL)
    return handler->io_poll_ready;
  return ready & (AIO_FD_READ | AIO_FD_POLLED) ? handler->on_read : NULL;
}

/* A callback may remove or replace the handler; then the other one does not run. Returns FALSE if
 * the turn ended between the two. */
static gboolean
call_handler (AioFdHandler *handler,
              guint         ready,
              AioTurn      *turn)
{
  AioFdFunc reader = reader_of (handler, ready);

  if (reader != NULL)
    reader (handler->data);
  if (!(ready & AIO_FD_WRITE) || is_removed (handler))
    return TRUE;
  if (reader != NULL && !aio_turn_goes_on (turn))
    return FALSE;
  handler->on_write (handler->data);
  return TRUE;
}

/* The next turn begins with its on_write, or a budget of one callback would always end before it.
 * What there is to read is found again. */
static void
owe_write (AioFdSet     *set,
           AioFdHandler *handler)
{
  handler_ref (handler);
  aio_store_relaxed (&handler->ready, AIO_FD_WRITE | AIO_FD_OWED);
  handler->ready_previous = NULL;
  handler->ready_next = set->first_ready;
  if (set->first_ready != NULL)
    set->first_ready->ready_previous = handler;
  else
    set->last_ready = handler;
  set->first_ready = handler;
}

static gboolean
call_measured (AioFdSet     *set,
               AioFdHandler *handler,
               guint         ready,
               AioTurn      *turn)
{
  AioWork work = { "handler of descriptor", NULL, NULL, handler->fd };
  gint64 began = aio_meter_begin (set->meter, 0);
  gboolean done;
  gint64 ran;

  done = call_handler (handler, ready, turn);
  ran = aio_meter_end (set->meter, &work, began);
  aio_count (&handler->total_ns, ran);
  if (ran > aio_load_relaxed (&handler->longest_ns))
    aio_store_relaxed (&handler->longest_ns, ran);
  return done;
}

static void
run_handler (AioFdSet     *set,
             AioFdHandler *handler,
             guint         ready,
             AioTurn      *turn)
{
  AioFdRun run = { set->runs, handler };
  gboolean done;

  set->runs = &run;
  aio_count (&handler->depth, 1);
  aio_count (&handler->n_runs, 1);
  AIO_TRACE1 (fd, handler->fd);
  if (aio_meter_is_on (set->meter))
    done = call_measured (set, handler, ready, turn);
  else
    done = call_handler (handler, ready, turn);
  aio_count (&handler->depth, -1);
  set->runs = run.outer;
  /* Not in a child that the callback has made: what the kernel watches is the parent's. */
  if (handler->suspended && !aio_anchor_is_forked (set->anchor))
    resume (set, handler);
  /* Another callback, the one for slow ones, may have removed it. */
  if (!done && !is_removed (handler))
    owe_write (set, handler);
}

/* Those that became ready in this very pass, by a look of one of its callbacks, are left to the
 * next. */
static gboolean
has_ready_before (AioFdSet *set,
                  guint     pass)
{
  return set->first_ready != NULL && (gint) (set->first_ready->ready_since - pass) < 0;
}

/* Runs all that are marked ready, or as many as the turn allows; returns how many. It ends in a
 * child that a callback has made. A nested iteration goes on with what is left here, and adds to
 * it. */
guint
aio_fd_set_run (AioFdSet *set,
                AioTurn  *turn)
{
  guint pass = ++set->n_passes;
  guint n = 0;

  while (has_ready_before (set, pass) && aio_turn_goes_on (turn))
    {
      AioFdHandler *handler = set->first_ready;
      guint ready = aio_load_relaxed (&handler->ready);

      unlink_ready (set, handler);
      if (!is_removed (handler) && !is_on_stack (handler))
        {
          run_handler (set, handler, ready, turn);
          n++;
        }
      aio_fd_handler_unref (handler);
      if (aio_anchor_is_forked (set->anchor))
        break;
    }
  return n;
}

/* --- The table, any thread -------------------------------------------------------------------- */

static gboolean
activate_locked (AioFdSet  *set,
                 GError   **error)
{
  if (aio_fd_set_is_active (set))
    return TRUE;
  if (!set->monitor->open (set, error))
    return FALSE;
  set->handlers = g_hash_table_new (NULL, NULL);
  set->with_io_poll = g_ptr_array_new ();
  /* Full: a sleeper that has raised its flag sees this, or we see the flag and wake it. */
  aio_exchange_full (&set->active, TRUE);
  return TRUE;
}

/* Opens the monitor if it is not. The caller wakes the home thread, which may be sleeping on the
 * plain wakeup descriptor. */
gboolean
aio_fd_set_activate (AioFdSet  *set,
                     GError   **error)
{
  gboolean active;

  aio_fd_set_lock (set);
  active = activate_locked (set, error);
  aio_fd_set_unlock (set);
  return active;
}

/* Home thread: watches a descriptor of the context's own. */
gboolean
aio_fd_set_watch_tag (AioFdSet *set,
                      AioFdTag  tag,
                      int       fd)
{
  gboolean watched;

  aio_fd_set_lock (set);
  watched = activate_locked (set, NULL) && set->monitor->watch_tag (set, tag, fd);
  if (watched)
    set->tag_fds[tag] = fd;
  aio_fd_set_unlock (set);
  return watched;
}

static void
list_locked (AioFdSet     *set,
             AioFdVisitor  visit,
             gpointer      data)
{
  GHashTableIter iter;
  gpointer handler;

  if (set->handlers == NULL)
    return;
  g_hash_table_iter_init (&iter, set->handlers);
  while (g_hash_table_iter_next (&iter, NULL, &handler))
    visit (data, handler);
}

/* Any thread. The visitor must not touch the handlers. */
void
aio_fd_set_list (AioFdSet     *set,
                 AioFdVisitor  visit,
                 gpointer      data)
{
  aio_fd_set_lock (set);
  list_locked (set, visit, data);
  aio_fd_set_unlock (set);
}

/* As above; FALSE if somebody has the lock and does not go on. */
gboolean
aio_fd_set_try_list (AioFdSet     *set,
                     AioFdVisitor  visit,
                     gpointer      data)
{
  if (!aio_lock_patiently (&set->lock))
    return FALSE;
  list_locked (set, visit, data);
  pthread_mutex_unlock (&set->lock);
  return TRUE;
}

static void
count_handler_locked (AioFdSet     *set,
                      AioFdHandler *handler,
                      int           by)
{
  aio_fetch_add_full (&set->n_handlers, by);
  if (handler->always)
    aio_fetch_add_full (&set->n_always, by);
  if (handler->io_poll == NULL)
    return;
  if (by > 0)
    g_ptr_array_add (set->with_io_poll, handler);
  else
    g_ptr_array_remove_fast (set->with_io_poll, handler);
  aio_store_relaxed (&set->n_io_poll, set->with_io_poll->len);
}

static void
link_locked (AioFdSet     *set,
             AioFdHandler *handler)
{
  handler->all_previous = NULL;
  handler->all_next = set->all;
  if (set->all != NULL)
    set->all->all_previous = handler;
  set->all = handler;
}

static void
unlink_locked (AioFdSet     *set,
               AioFdHandler *handler)
{
  if (handler->all_previous != NULL)
    handler->all_previous->all_next = handler->all_next;
  else
    set->all = handler->all_next;
  if (handler->all_next != NULL)
    handler->all_next->all_previous = handler->all_previous;
}

static gboolean
insert_locked (AioFdSet      *set,
               AioFdHandler  *handler,
               AioFdHandler  *former,
               GError       **error)
{
  handler->generation = ++set->n_generations;
  if (aio_fault_strikes ())
    {
      g_set_error (error, G_IO_ERROR, g_io_error_from_errno (errno),
                   "Cannot watch descriptor %d for AioContext “%s”: %s", handler->fd,
                   set->anchor->name, g_strerror (errno));
      return FALSE;
    }
  if (!set->monitor->watch (set, handler, former, error))
    return FALSE;
  handler->watched = !handler->always;
  g_hash_table_insert (set->handlers, GINT_TO_POINTER (handler->fd), handler);
  link_locked (set, handler);
  count_handler_locked (set, handler, 1);
  return TRUE;
}

static void
remove_locked (AioFdSet     *set,
               AioFdHandler *former,
               gboolean      replaced)
{
  int reason = 0;

  unlink_locked (set, former);
  count_handler_locked (set, former, -1);
  aio_store_release (&former->removed, TRUE);
  if (replaced)
    return;
  g_hash_table_remove (set->handlers, GINT_TO_POINTER (former->fd));
  if (former->watched && !former->broken)
    reason = set->monitor->unwatch (set, former);
  former->watched = FALSE;
  if (reason != 0)
    aio_fd_set_report_closed (set, former, reason);
}

static gboolean
is_own_locked (AioFdSet *set,
               int       fd)
{
  for (guint tag = 0; tag < AIO_FD_N_TAGS; tag++)
    if (set->tag_fds[tag] == fd)
      return TRUE;
  return fd == aio_load_relaxed (&set->fd);
}

/* Puts a handler, or with NULL nothing, in the place of the one that is there, which it passes to
 * the caller together with the set's reference. On failure nothing has changed. */
gboolean
aio_fd_set_replace (AioFdSet      *set,
                    int            fd,
                    AioFdHandler  *handler,
                    AioFdHandler **former,
                    GError       **error)
{
  gboolean done = TRUE;

  *former = NULL;
  aio_fd_set_lock (set);
  if (handler != NULL && is_own_locked (set, fd))
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT,
                   "Cannot watch descriptor %d in AioContext “%s”: it is its own", fd,
                   set->anchor->name);
      done = FALSE;
    }
  else if (handler != NULL && !activate_locked (set, error))
    {
      g_prefix_error (error, "Cannot watch descriptor %d: ", fd);
      done = FALSE;
    }
  else if (set->handlers != NULL)
    {
      *former = g_hash_table_lookup (set->handlers, GINT_TO_POINTER (fd));
      if (handler != NULL)
        done = insert_locked (set, handler, *former, error);
      if (done && *former != NULL)
        remove_locked (set, *former, handler != NULL);
      aio_fetch_add_full (&set->n_changes, 1);
    }
  aio_fd_set_unlock (set);
  if (!done)
    *former = NULL;
  return done;
}

/* Takes out the handler that has this data, and passes it to the caller as above; NULL if another
 * one is there by now. */
AioFdHandler *
aio_fd_set_remove (AioFdSet *set,
                   int       fd,
                   gpointer  data)
{
  AioFdHandler *handler;

  aio_fd_set_lock (set);
  handler = g_hash_table_lookup (set->handlers, GINT_TO_POINTER (fd));
  if (handler != NULL && handler->data != data)
    handler = NULL;
  if (handler != NULL)
    {
      remove_locked (set, handler, FALSE);
      aio_fetch_add_full (&set->n_changes, 1);
    }
  aio_fd_set_unlock (set);
  return handler;
}

/* Under the lock: the handler that was registered under this generation, if it still is and has
 * not been given up. */
AioFdHandler *
aio_fd_set_lookup (AioFdSet *set,
                   int       fd,
                   guint32   generation)
{
  AioFdHandler *handler = g_hash_table_lookup (set->handlers, GINT_TO_POINTER (fd));

  if (handler == NULL || handler->generation != generation || handler->broken)
    return NULL;
  return handler;
}

/* Under the lock. The kernel says that the descriptor is not open, or is another file than the one
 * that was registered. Said once; then it is left alone, so that the loop does not spin on it. */
void
aio_fd_set_report_closed (AioFdSet     *set,
                          AioFdHandler *handler,
                          int           reason)
{
  handler->broken = TRUE;
  set->maybe_stale = TRUE;
  aio_fetch_add_full (&set->n_changes, 1);
  if (set->report == NULL)
    set->report = g_string_new (NULL);
  g_string_append_printf (set->report,
                          "%sdescriptor %d was closed before its handler was removed (%s)",
                          set->report->len != 0 ? ", " : "", handler->fd, g_strerror (reason));
}

/* Home thread: all that is watched, as GLib polls it. */
GPollFD *
aio_fd_set_list_polled (AioFdSet *set,
                        guint    *n)
{
  GHashTableIter iter;
  GPollFD *polled;
  gpointer value;

  *n = 0;
  aio_fd_set_lock (set);
  polled = g_new0 (GPollFD, g_hash_table_size (set->handlers));
  g_hash_table_iter_init (&iter, set->handlers);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      AioFdHandler *handler = value;

      if (!handler->watched || handler->broken)
        continue;
      polled[*n].fd = handler->fd;
      polled[(*n)++].events = aio_fd_handler_events (handler);
    }
  aio_fd_set_unlock (set);
  return polled;
}

/* --- The end of the context ------------------------------------------------------------------- */

/* Names the handlers that are still there. */
void
aio_fd_set_close (AioFdSet *set,
                  GString  *names)
{
  GHashTableIter iter;
  gpointer fd;

  if (set->handlers == NULL)
    return;
  g_hash_table_iter_init (&iter, set->handlers);
  while (g_hash_table_iter_next (&iter, &fd, NULL))
    g_string_append_printf (names, "%sdescriptor %d", names->len != 0 ? ", " : "",
                            GPOINTER_TO_INT (fd));
}

static gboolean
is_any (gpointer fd,
        gpointer handler,
        gpointer unused)
{
  return TRUE;
}

/* Removes them, with their destroy notifies, which may remove others. The kernel's set may be
 * shared with the parent process of a forked child, so it is closed later and not emptied. */
void
aio_fd_set_drop_all (AioFdSet *set)
{
  AioFdHandler *handler;

  while (set->handlers != NULL &&
         (handler = g_hash_table_find (set->handlers, is_any, NULL)) != NULL)
    {
      g_hash_table_remove (set->handlers, GINT_TO_POINTER (handler->fd));
      unlink_locked (set, handler);
      aio_store_release (&handler->removed, TRUE);
      aio_fd_handler_forget (handler);
      aio_fd_handler_unref (handler);
    }
}

void
aio_fd_set_clear (AioFdSet *set)
{
  if (aio_fd_set_is_active (set))
    set->monitor->close (set);
  g_clear_pointer (&set->handlers, g_hash_table_unref);
  g_clear_pointer (&set->with_io_poll, g_ptr_array_unref);
  pthread_mutex_destroy (&set->lock);
}
