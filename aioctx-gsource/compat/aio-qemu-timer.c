/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "aio-qemu-private.h"
#include "qemu-timer.h"

#include <time.h>

QEMUTimerListGroup aio_qemu_main_loop_tlg;

QEMUClock aio_qemu_clocks[QEMU_CLOCK_MAX] = {
  { QEMU_CLOCK_REALTIME }, { QEMU_CLOCK_VIRTUAL }, { QEMU_CLOCK_HOST }, { QEMU_CLOCK_VIRTUAL_RT }
};

static AioClock
clock_of (QEMUClockType type)
{
  return type == QEMU_CLOCK_HOST ? AIO_CLOCK_REALTIME : AIO_CLOCK_MONOTONIC;
}

int64_t
aio_qemu_clock_get_ns (QEMUClockType type)
{
  struct timespec ts;

  clock_gettime (type == QEMU_CLOCK_HOST ? CLOCK_REALTIME : CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * (int64_t) NANOSECONDS_PER_SECOND + ts.tv_nsec;
}

/* A time in units of the timer, in nanoseconds; what does not fit is for ever. */
int64_t
aio_qemu_timer_scaled (QEMUTimer *ts,
                       int64_t    time)
{
  if (time > INT64_MAX / ts->scale)
    return INT64_MAX;
  return MAX (time, 0) * ts->scale;
}

void
aio_qemu_timer_init (QEMUTimer     *ts,
                     AioContext    *ctx,
                     QEMUClockType  type,
                     int            scale,
                     QEMUTimerCB   *cb,
                     void          *opaque)
{
  g_return_if_fail (type < QEMU_CLOCK_MAX);
  g_return_if_fail (scale > 0);

  memset (ts, 0, sizeof *ts);
  pthread_mutex_init (&ts->lock, NULL);
  ts->ctx = ctx != NULL ? ctx : aio_qemu_main_context ();
  ts->type = type;
  ts->scale = scale;
  ts->cb = cb;
  ts->opaque = opaque;
}

static void
clear_locked (QEMUTimer *ts)
{
  if (ts->in_use)
    aio_timer_clear (&ts->native);
  ts->in_use = false;
}

/* The callback may free the timer. Another thread may have armed it again by now: then it is left
 * alone. */
static void
fire (gpointer data)
{
  QEMUTimer *ts = data;
  QEMUTimerCB *cb;
  void *opaque;

  pthread_mutex_lock (&ts->lock);
  if (ts->in_use && !aio_timer_pending (&ts->native))
    clear_locked (ts);
  cb = ts->cb;
  opaque = ts->opaque;
  pthread_mutex_unlock (&ts->lock);
  cb (opaque);
}

static void
use_locked (QEMUTimer *ts)
{
  if (!ts->in_use)
    (aio_timer_init) (&ts->native, ts->ctx, clock_of (ts->type), fire, ts);
  ts->in_use = true;
}

void
aio_qemu_timer_mod_ns (QEMUTimer *ts,
                       int64_t    expire_time)
{
  pthread_mutex_lock (&ts->lock);
  use_locked (ts);
  aio_timer_mod_ns (&ts->native, expire_time);
  pthread_mutex_unlock (&ts->lock);
}

void
aio_qemu_timer_anticipate_ns (QEMUTimer *ts,
                              int64_t    expire_time)
{
  pthread_mutex_lock (&ts->lock);
  use_locked (ts);
  aio_timer_mod_anticipate_ns (&ts->native, expire_time);
  pthread_mutex_unlock (&ts->lock);
}

void
aio_qemu_timer_del (QEMUTimer *ts)
{
  pthread_mutex_lock (&ts->lock);
  clear_locked (ts);
  pthread_mutex_unlock (&ts->lock);
}

int64_t
aio_qemu_timer_expire_time_ns (QEMUTimer *ts)
{
  int64_t expire_time = -1;

  pthread_mutex_lock (&ts->lock);
  if (ts->in_use)
    expire_time = aio_timer_expire_time_ns (&ts->native);
  pthread_mutex_unlock (&ts->lock);
  return expire_time;
}
