/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why the context was woken, the last 64 times: for whoever wonders why a process is never idle. A
 * wakeup is the end of a sleep, however short, in the own poll, in that of GLib, or in a foreign
 * loop. The reason is what there is to do then, the most urgent kind first; with nothing to do it
 * was somebody else's, or a wakeup that came late. */
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-func-name-private.h>

/* Written by the home thread, under the home lock, so that any thread may read it there. */
struct _AioWakeLog
{
  AioWake wakes[AIO_N_WAKES];
  guint64 n;                    /* so far */
};

/* Home thread. What was noted is forgotten when it is switched off. */
void
aio_context_log_wakes (AioContext *context,
                       gboolean    on)
{
  AioWakeLog *former = context->wakes;
  AioWakeLog *log = NULL;

  if (on)
    log = former != NULL ? former : g_new0 (AioWakeLog, 1);
  aio_home_lock (&context->anchor->home);
  context->wakes = log;
  aio_home_unlock (&context->anchor->home);
  if (log != former)
    g_free (former);
}

static gboolean
find_bh (AioContext *context,
         AioWake    *wake)
{
  AioWork work;

  if (!aio_bh_set_peek (&context->bhs, &work))
    return FALSE;
  wake->reason = AIO_WAKE_BH;
  wake->name = work.name != NULL ? work.name : aio_func_name (work.func);
  return TRUE;
}

static gboolean
find_fd (AioContext *context,
         AioWake    *wake)
{
  if (context->fds.first_ready == NULL)
    return FALSE;
  wake->reason = AIO_WAKE_FD;
  wake->fd = context->fds.first_ready->fd;
  return TRUE;
}

static gboolean
find_timer (AioContext *context,
            AioWake    *wake)
{
  AioWork work;

  if (!aio_timer_set_peek (context->timers, &work))
    return FALSE;
  wake->reason = AIO_WAKE_TIMER;
  wake->name = work.name != NULL ? work.name : aio_func_name (work.func);
  return TRUE;
}

/* Home thread, after a sleep, with what is ready collected. */
void
aio_context_note_wake (AioContext *context,
                       gboolean    notified)
{
  AioWakeLog *log = context->wakes;
  AioWake wake = { .time_ns = aio_meter_now (), .reason = AIO_WAKE_OTHER, .fd = -1 };

  if (notified)
    wake.reason = AIO_WAKE_NOTIFY;
  else if (!find_fd (context, &wake) && !find_timer (context, &wake))
    find_bh (context, &wake);
  aio_home_lock (&context->anchor->home);
  log->wakes[log->n++ % AIO_N_WAKES] = wake;
  aio_home_unlock (&context->anchor->home);
}

/* Under the home lock, or in the home thread. The latest first; returns how many. */
guint
aio_context_list_wakes (AioContext *context,
                        AioWake    *wakes,
                        guint       n)
{
  AioWakeLog *log = context->wakes;
  guint n_kept = log != NULL ? MIN (log->n, AIO_N_WAKES) : 0;

  n = MIN (n, n_kept);
  for (guint i = 0; i < n; i++)
    wakes[i] = log->wakes[(log->n - 1 - i) % AIO_N_WAKES];
  return n;
}
