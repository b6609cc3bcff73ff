/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Busy polling: before it sleeps, the home thread looks again and again for a while. A producer
 * then finds it awake and pays no system call, and nor does the home thread.
 *
 * The while adapts itself, after "Adaptive polling in the KVM halt path" (Linux,
 * Documentation/virt/kvm/halt-polling.rst): a wait that a longer look would have covered makes it
 * longer, one that is longer than the user's limit makes it shorter, since looking was in vain. */
#include <aioctx-gsource/aio-context-private.h>

#define NSEC_PER_MSEC G_GINT64_CONSTANT (1000000)

/* From nothing it grows to this. */
#define FIRST_NS        4000

/* Looks between two readings of the clock, and between two of the descriptors: these take a system
 * call. */
#define LOOKS_PER_CLOCK 8
#define CLOCKS_PER_FDS  4

/* Wakeups found in a row for which the descriptors of plain sources are not polled. */
#define FOUND_PER_POLL  16

static gint64
now_of (AioContext *context)
{
  return aio_timer_set_now (context->timers, AIO_CLOCK_MONOTONIC);
}

/* When looking has to end: the limit, the caller's deadline. */
static gint64
end_of_look (AioContext *context,
             gint64      begin,
             gint64      deadline)
{
  gint64 end = begin + MIN (context->busy.current_ns, G_MAXINT64 - begin);

  return deadline >= 0 ? MIN (end, deadline) : end;
}

/* Timers end it, too: also one that was armed meanwhile, which wakes nobody as nobody sleeps. And
 * idle bottom halves, whose time begins when the way to sleep is taken. The other clocks are read
 * only if something is armed on them. */
static gboolean
is_over (AioContext *context,
         gint64      end)
{
  gint64 now = now_of (context);

  if (now >= end || aio_context_look (context) == AIO_LOOK_IDLE ||
      aio_timer_set_earliest (context->timers, AIO_CLOCK_MONOTONIC) <= now)
    return TRUE;
  for (guint clock = AIO_CLOCK_MONOTONIC + 1; clock < AIO_CLOCK_VIRTUAL; clock++)
    {
      gint64 earliest = aio_timer_set_earliest (context->timers, clock);

      if (earliest != AIO_TIMER_NEVER && earliest <= aio_timer_set_now (context->timers, clock))
        return TRUE;
    }
  return FALSE;
}

static gboolean
look_once (AioContext *context)
{
  return aio_context_look (context) >= AIO_LOOK_HOLE ||
         aio_load_acquire (&context->anchor->notify.state) == AIO_NOTIFY_NOTIFIED ||
         aio_fd_set_ask_io_poll (&context->fds);
}

/* Looks without sleeping; the flag is down all the time. ask_fds may look at descriptors. TRUE:
 * there is something. */
static gboolean
look_busily (AioContext *context,
             gint64      begin,
             gint64      deadline,
             gboolean  (*ask_fds) (AioContext *context, gpointer data),
             gpointer    data)
{
  gint64 end = end_of_look (context, begin, deadline);

  for (guint i = 1; ; i++)
    {
      if (look_once (context))
        return TRUE;
      aio_cpu_relax ();
      if (i % LOOKS_PER_CLOCK != 0)
        continue;
      if (i % (LOOKS_PER_CLOCK * CLOCKS_PER_FDS) == 0 && ask_fds (context, data))
        return TRUE;
      if (is_over (context, end))
        return FALSE;
    }
}

/* A wait is over that began then: was it worth looking? */
static void
adapt (AioContext *context,
       gint64      waited)
{
  AioBusyPoll *busy = &context->busy;

  if (waited <= busy->current_ns)
    return;
  if (waited > busy->max_ns)
    busy->current_ns /= 2;
  else
    busy->current_ns = MIN (MAX (MIN (busy->current_ns, G_MAXINT64 / 2) * 2, FIRST_NS),
                             busy->max_ns);
}

static gboolean
ask_own_fds (AioContext *context,
             gpointer    unused)
{
  if (aio_fd_set_is_active (&context->fds))
    aio_context_collect (context);
  return context->fds.first_ready != NULL || context->timer_fired;
}

/* Before the sleep of aio_context_poll(). TRUE: there is something, do not sleep. */
gboolean
aio_context_busy_wait (AioContext *context,
                       gint64      deadline)
{
  context->busy.began = now_of (context);
  return look_busily (context, context->busy.began, deadline, ask_own_fds, NULL);
}

/* After the wait, with the sleep if there was one. */
void
aio_context_busy_done (AioContext *context)
{
  adapt (context, now_of (context) - context->busy.began);
}

/* --- In an I/O thread, as the GPollFunc of its GMainContext ----------------------------------- */

typedef struct
{
  GPollFD *fds;
  guint n;
  int ready;
} GLibPoll;

static gboolean
ask_glib_fds (AioContext *context,
              gpointer    data)
{
  GLibPoll *poll = data;

  poll->ready = g_poll (poll->fds, poll->n, 0);
  return poll->ready > 0 || aio_context_polls_other (context);
}

static int
none_ready (GPollFD *fds,
            guint    n)
{
  for (guint i = 0; i < n; i++)
    fds[i].revents = 0;
  return 0;
}

static int
sooner_ms (int    ms,
           gint64 ns)
{
  int other = (int) MIN ((ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC, G_MAXINT);

  if (ns < 0)
    return ms;
  return ms < 0 ? other : MIN (ms, other);
}

/* The flag was left down by prepare(), so it goes up here, and check() is told of a notification as
 * prepare() would have told it. GLib has made its list of descriptors before that: if another one
 * has come to stand for ours since, it has to make it anew. */
static int
sleep_in_glib (AioContext *context,
               GPollFD    *fds,
               guint       n,
               int         timeout_ms)
{
  AioPark park = aio_context_park (context, AIO_SLEEP_COARSE);

  context->parked_shell = context->shell;
  context->shell->notified |= park.notified;
  if (park.ready || park.notified || aio_context_polls_other (context))
    return none_ready (fds, n);
  return g_poll (fds, n, sooner_ms (timeout_ms, park.timeout_ns));
}

/* Plain sources in the thread keep working: their descriptors are polled while it looks, their
 * timeouts end the look, and when there is always something to do here they get their turn now and
 * then. */
int
aio_context_poll_func (GPollFD *fds,
                       guint    n,
                       int      timeout_ms)
{
  AioContext *context = aio_context_get_for_thread ();
  GLibPoll poll = { fds, n, 0 };
  gint64 deadline = -1;
  gboolean found;

  if (context == NULL || !context->busy.left_to_poll)
    return g_poll (fds, n, timeout_ms);
  context->busy.left_to_poll = FALSE;
  if (timeout_ms == 0)
    return g_poll (fds, n, 0);

  context->busy.began = now_of (context);
  if (timeout_ms > 0)
    deadline = context->busy.began + timeout_ms * NSEC_PER_MSEC;
  found = look_busily (context, context->busy.began, deadline, ask_glib_fds, &poll);
  if (!found && deadline >= 0)
    timeout_ms = sooner_ms (timeout_ms, MAX (deadline - now_of (context), 0));
  if (!found)
    poll.ready = sleep_in_glib (context, fds, n, timeout_ms);
  else if (poll.ready <= 0)
    poll.ready = context->busy.n_found++ % FOUND_PER_POLL == 0 ? g_poll (fds, n, 0)
                                                               : none_ready (fds, n);
  aio_context_busy_done (context);
  return poll.ready;
}

/**
 * aio_context_set_busy_poll:
 * @context: a context
 * @max_ns: how long to look at most, in nanoseconds; 0: not at all, the default
 * @error: where to store an error
 *
 * Lets the home thread look for work for a while before it sleeps. That makes a wakeup from another
 * thread cheap and quick, and takes processor time while there is nothing to do. How long it looks
 * adapts itself, up to @max_ns.
 *
 * It works in [method@Aio.Context.poll], and in an I/O thread, where plain sources keep working. In
 * any other #GMainContext it is not possible. In an I/O thread the looking is done by the GPollFunc
 * of its #GMainContext, so that one has to be iterated by functions which call it, as
 * g_main_context_iteration() does, and not by a loop that calls poll(2) itself.
 *
 * Thread: home thread.
 *
 * Returns: %TRUE, or %FALSE with @error set to %G_IO_ERROR_NOT_SUPPORTED: the context is attached
 *   to a #GMainContext that is not an I/O thread's
 *
 * Since: 1.0
 */
gboolean
aio_context_set_busy_poll (AioContext  *context,
                           gint64       max_ns,
                           GError     **error)
{
  GMainContext *main_context;
  gboolean in_io_thread;

  g_return_val_if_fail (context != NULL, FALSE);
  g_return_val_if_fail (error == NULL || *error == NULL, FALSE);
  if (!aio_context_may_act (context, G_STRFUNC))
    return FALSE;
  if (max_ns < 0)
    {
      g_critical ("%s: AioContext “%s” cannot poll for %" G_GINT64_FORMAT " ns", G_STRFUNC,
                  context->anchor->name, max_ns);
      return FALSE;
    }

  main_context = aio_context_get_main (context);
  in_io_thread = main_context != NULL && aio_context_get_for_thread () == context;
  if (max_ns > 0 && main_context != NULL && !in_io_thread)
    {
      g_set_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED,
                   "AioContext “%s” is attached to a GMainContext that does not poll busily",
                   context->anchor->name);
      return FALSE;
    }
  if (in_io_thread)
    g_main_context_set_poll_func (main_context, max_ns > 0 ? aio_context_poll_func : NULL);
  context->busy.max_ns = max_ns;
  context->busy.current_ns = MIN (max_ns, FIRST_NS);
  return TRUE;
}
