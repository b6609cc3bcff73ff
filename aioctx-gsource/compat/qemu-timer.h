/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timers as they were in 2012: of the main loop, by clock. */
#pragma once

#include "qemu/timer.h"

G_BEGIN_DECLS

typedef struct QEMUClock
{
  /*< private >*/
  QEMUClockType type;
} QEMUClock;

AIO_EXPORT QEMUClock aio_qemu_clocks[QEMU_CLOCK_MAX];
#define rt_clock   (&aio_qemu_clocks[QEMU_CLOCK_REALTIME])
#define vm_clock   (&aio_qemu_clocks[QEMU_CLOCK_VIRTUAL])
#define host_clock (&aio_qemu_clocks[QEMU_CLOCK_HOST])

static inline int64_t
qemu_get_clock_ns (QEMUClock *clock)
{
  return qemu_clock_get_ns (clock->type);
}

static inline int64_t
qemu_get_clock_us (QEMUClock *clock)
{
  return qemu_clock_get_us (clock->type);
}

static inline int64_t
qemu_get_clock_ms (QEMUClock *clock)
{
  return qemu_clock_get_ms (clock->type);
}

static inline QEMUTimer *
qemu_new_timer (QEMUClock   *clock,
                int          scale,
                QEMUTimerCB *cb,
                void        *opaque)
{
  return timer_new (clock->type, scale, cb, opaque);
}

static inline QEMUTimer *
qemu_new_timer_ns (QEMUClock   *clock,
                   QEMUTimerCB *cb,
                   void        *opaque)
{
  return qemu_new_timer (clock, SCALE_NS, cb, opaque);
}

static inline QEMUTimer *
qemu_new_timer_us (QEMUClock   *clock,
                   QEMUTimerCB *cb,
                   void        *opaque)
{
  return qemu_new_timer (clock, SCALE_US, cb, opaque);
}

static inline QEMUTimer *
qemu_new_timer_ms (QEMUClock   *clock,
                   QEMUTimerCB *cb,
                   void        *opaque)
{
  return qemu_new_timer (clock, SCALE_MS, cb, opaque);
}

static inline void
qemu_mod_timer (QEMUTimer *ts,
                int64_t    expire_time)
{
  timer_mod (ts, expire_time);
}

static inline void
qemu_mod_timer_ns (QEMUTimer *ts,
                   int64_t    expire_time)
{
  timer_mod_ns (ts, expire_time);
}

static inline void
qemu_del_timer (QEMUTimer *ts)
{
  timer_del (ts);
}

static inline void
qemu_free_timer (QEMUTimer *ts)
{
  timer_free (ts);
}

static inline bool
qemu_timer_pending (QEMUTimer *ts)
{
  return timer_pending (ts);
}

static inline bool
qemu_timer_expired (QEMUTimer *timer_head,
                    int64_t    current_time)
{
  return timer_expired (timer_head, current_time);
}

static inline uint64_t
qemu_timer_expire_time_ns (QEMUTimer *ts)
{
  return timer_expire_time_ns (ts);
}

G_END_DECLS
