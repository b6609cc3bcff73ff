/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "../aio-qemu-base.h"

G_BEGIN_DECLS

#define NANOSECONDS_PER_SECOND 1000000000LL

#define SCALE_MS 1000000
#define SCALE_US 1000
#define SCALE_NS 1

/* There is no virtual machine that could stop: all but HOST run on as the monotonic clock does. */
typedef enum
{
  QEMU_CLOCK_REALTIME = 0,
  QEMU_CLOCK_VIRTUAL = 1,
  QEMU_CLOCK_HOST = 2,
  QEMU_CLOCK_VIRTUAL_RT = 3,
  QEMU_CLOCK_MAX
} QEMUClockType;

#define QEMU_TIMER_ATTR_EXTERNAL 1
#define QEMU_TIMER_ATTR_ALL      0xffffffff

typedef void QEMUTimerCB (void *opaque);

typedef struct QEMUTimer QEMUTimer;

/* An armed AioTimer and what is needed to arm it. The native timer holds on to its context from
 * init to clear; QEMU's has no such bracket, as a timer that is not armed may simply be forgotten.
 * So it is initialised when it is armed, and cleared when it fires or is deleted. */
struct QEMUTimer
{
  /*< private >*/
  AioTimer native;
  pthread_mutex_t lock;         /* guards native and in_use; a leaf */
  bool in_use;                  /* native is initialised */
  AioContext *ctx;
  QEMUTimerCB *cb;
  void *opaque;
  QEMUClockType type;
  int scale;
};

AIO_EXPORT void    aio_qemu_timer_init           (QEMUTimer     *ts,
                                                  AioContext    *ctx,
                                                  QEMUClockType  type,
                                                  int            scale,
                                                  QEMUTimerCB   *cb,
                                                  void          *opaque);
AIO_EXPORT void    aio_qemu_timer_mod_ns         (QEMUTimer     *ts,
                                                  int64_t        expire_time);
AIO_EXPORT void    aio_qemu_timer_anticipate_ns  (QEMUTimer     *ts,
                                                  int64_t        expire_time);
AIO_EXPORT void    aio_qemu_timer_del            (QEMUTimer     *ts);
AIO_EXPORT int64_t aio_qemu_timer_expire_time_ns (QEMUTimer     *ts);
AIO_EXPORT int64_t aio_qemu_clock_get_ns         (QEMUClockType  type);
AIO_EXPORT int64_t aio_qemu_timer_scaled         (QEMUTimer     *ts,
                                                  int64_t        time);

/* --- Clocks ----------------------------------------------------------------------------------- */

static inline int64_t
qemu_clock_get_ns (QEMUClockType type)
{
  return aio_qemu_clock_get_ns (type);
}

static inline int64_t
qemu_clock_get_us (QEMUClockType type)
{
  return qemu_clock_get_ns (type) / SCALE_US;
}

static inline int64_t
qemu_clock_get_ms (QEMUClockType type)
{
  return qemu_clock_get_ns (type) / SCALE_MS;
}

static inline int64_t
get_clock (void)
{
  return qemu_clock_get_ns (QEMU_CLOCK_REALTIME);
}

static inline int64_t
get_clock_realtime (void)
{
  return qemu_clock_get_ns (QEMU_CLOCK_HOST);
}

static inline int64_t
get_ticks_per_sec (void)
{
  return NANOSECONDS_PER_SECOND;
}

/* Nothing has to be set up. */
#define init_clocks(...) ((void) 0)

/* Rounded up, so that a sleep is never too short; -1 is for ever. */
static inline int
qemu_timeout_ns_to_ms (int64_t ns)
{
  int64_t ms;

  if (ns < 0)
    return -1;
  ms = ns / SCALE_MS + (ns % SCALE_MS != 0);
  return (int) MIN (ms, INT32_MAX);
}

/* The shorter of two timeouts; negative is for ever. */
static inline int64_t
qemu_soonest_timeout (int64_t timeout1,
                      int64_t timeout2)
{
  return (int64_t) MIN ((uint64_t) timeout1, (uint64_t) timeout2);
}

/* --- Timers of a context ---------------------------------------------------------------------- */

static inline void
aio_qemu_timer_init_6 (AioContext    *ctx,
                       QEMUTimer     *ts,
                       QEMUClockType  type,
                       int            scale,
                       QEMUTimerCB   *cb,
                       void          *opaque)
{
  aio_qemu_timer_init (ts, ctx, type, scale, cb, opaque);
}

static inline QEMUTimer *
aio_qemu_timer_new (AioContext    *ctx,
                    QEMUClockType  type,
                    int            scale,
                    QEMUTimerCB   *cb,
                    void          *opaque)
{
  QEMUTimer *ts = g_new0 (QEMUTimer, 1);

  aio_qemu_timer_init (ts, ctx, type, scale, cb, opaque);
  return ts;
}

/* The names are the native functions' too; in parentheses they are those. */
#define aio_timer_init(ctx, ts, type, scale, cb, opaque) \
  aio_qemu_timer_init_6 ((ctx), (ts), (type), (scale), (cb), (opaque))
#define aio_timer_new(ctx, type, scale, cb, opaque) \
  aio_qemu_timer_new ((ctx), (type), (scale), (cb), (opaque))

/* Attributes matter for record and replay only, here and below. */
#define aio_timer_init_with_attrs(ctx, ts, type, scale, attributes, cb, opaque) \
  ((void) (attributes), aio_qemu_timer_init_6 ((ctx), (ts), (type), (scale), (cb), (opaque)))
#define aio_timer_new_with_attrs(ctx, type, scale, attributes, cb, opaque) \
  ((void) (attributes), aio_qemu_timer_new ((ctx), (type), (scale), (cb), (opaque)))

/* The timers of a context, or of the main loop. */
typedef struct QEMUTimerListGroup
{
  AioContext *ctx;              /* NULL: the global one */
} QEMUTimerListGroup;

AIO_EXPORT QEMUTimerListGroup aio_qemu_main_loop_tlg;
#define main_loop_tlg aio_qemu_main_loop_tlg

static inline void
timer_init_full (QEMUTimer          *ts,
                 QEMUTimerListGroup *timer_list_group,
                 QEMUClockType       type,
                 int                 scale,
                 int                 attributes,
                 QEMUTimerCB        *cb,
                 void               *opaque)
{
  (void) attributes;
  aio_qemu_timer_init (ts, timer_list_group != NULL ? timer_list_group->ctx : NULL, type, scale,
                       cb, opaque);
}

static inline QEMUTimer *
timer_new_full (QEMUTimerListGroup *timer_list_group,
                QEMUClockType       type,
                int                 scale,
                int                 attributes,
                QEMUTimerCB        *cb,
                void               *opaque)
{
  QEMUTimer *ts = g_new0 (QEMUTimer, 1);

  timer_init_full (ts, timer_list_group, type, scale, attributes, cb, opaque);
  return ts;
}

/* --- Timers of the main loop ------------------------------------------------------------------ */

static inline void
timer_init (QEMUTimer     *ts,
            QEMUClockType  type,
            int            scale,
            QEMUTimerCB   *cb,
            void          *opaque)
{
  aio_qemu_timer_init (ts, NULL, type, scale, cb, opaque);
}

static inline void
timer_init_ns (QEMUTimer     *ts,
               QEMUClockType  type,
               QEMUTimerCB   *cb,
               void          *opaque)
{
  timer_init (ts, type, SCALE_NS, cb, opaque);
}

static inline void
timer_init_us (QEMUTimer     *ts,
               QEMUClockType  type,
               QEMUTimerCB   *cb,
               void          *opaque)
{
  timer_init (ts, type, SCALE_US, cb, opaque);
}

static inline void
timer_init_ms (QEMUTimer     *ts,
               QEMUClockType  type,
               QEMUTimerCB   *cb,
               void          *opaque)
{
  timer_init (ts, type, SCALE_MS, cb, opaque);
}

static inline QEMUTimer *
timer_new (QEMUClockType  type,
           int            scale,
           QEMUTimerCB   *cb,
           void          *opaque)
{
  return aio_qemu_timer_new (NULL, type, scale, cb, opaque);
}

static inline QEMUTimer *
timer_new_ns (QEMUClockType  type,
              QEMUTimerCB   *cb,
              void          *opaque)
{
  return timer_new (type, SCALE_NS, cb, opaque);
}

static inline QEMUTimer *
timer_new_us (QEMUClockType  type,
              QEMUTimerCB   *cb,
              void          *opaque)
{
  return timer_new (type, SCALE_US, cb, opaque);
}

static inline QEMUTimer *
timer_new_ms (QEMUClockType  type,
              QEMUTimerCB   *cb,
              void          *opaque)
{
  return timer_new (type, SCALE_MS, cb, opaque);
}

/* --- Any timer -------------------------------------------------------------------------------- */

static inline void
timer_mod_ns (QEMUTimer *ts,
              int64_t    expire_time)
{
  aio_qemu_timer_mod_ns (ts, expire_time);
}

static inline void
timer_mod (QEMUTimer *ts,
           int64_t    expire_timer)
{
  aio_qemu_timer_mod_ns (ts, aio_qemu_timer_scaled (ts, expire_timer));
}

static inline void
timer_mod_anticipate_ns (QEMUTimer *ts,
                         int64_t    expire_time)
{
  aio_qemu_timer_anticipate_ns (ts, expire_time);
}

static inline void
timer_mod_anticipate (QEMUTimer *ts,
                      int64_t    expire_time)
{
  aio_qemu_timer_anticipate_ns (ts, aio_qemu_timer_scaled (ts, expire_time));
}

static inline void
timer_del (QEMUTimer *ts)
{
  aio_qemu_timer_del (ts);
}

static inline void
timer_deinit (QEMUTimer *ts)
{
  aio_qemu_timer_del (ts);
}

/* NULL and an armed timer are fine. */
static inline void
timer_free (QEMUTimer *ts)
{
  if (ts == NULL)
    return;
  aio_qemu_timer_del (ts);
  g_free (ts);
}

/* All ones while it is not armed. */
static inline uint64_t
timer_expire_time_ns (QEMUTimer *ts)
{
  return (uint64_t) aio_qemu_timer_expire_time_ns (ts);
}

static inline bool
timer_pending (QEMUTimer *ts)
{
  return aio_qemu_timer_expire_time_ns (ts) >= 0;
}

/* In units of the timer. One that is not armed counts as expired, as at QEMU. */
static inline bool
timer_expired (QEMUTimer *timer_head,
               int64_t    current_time)
{
  return timer_head != NULL && aio_qemu_timer_expire_time_ns (timer_head) <=
                               aio_qemu_timer_scaled (timer_head, current_time);
}

G_END_DECLS
