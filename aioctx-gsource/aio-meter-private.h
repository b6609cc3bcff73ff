/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 1. How long the callbacks of one context take: for profiling, and for the report of slow
 * ones. While neither is on, it costs a callback one predictable branch. While one is, the clock is
 * read before and after each. */
#pragma once

#include <aioctx-gsource/aio-atomic-private.h>
#include <aioctx-gsource/aio-types.h>

#include <time.h>

#define AIO_METER_BUCKETS 32

/* Bucket i counts durations from 2^i ns, the last one all that are longer than its own. Atomic,
 * written by the home thread. */
typedef _Atomic (guint64) AioHistogram[AIO_METER_BUCKETS];

/* What ran. */
typedef struct
{
  const char *kind;             /* for people */
  const char *name;             /* NULL: it has none */
  AioBHFunc func;               /* then this tells */
  int fd;                       /* of a handler; else -1 */
} AioWork;

typedef enum
{
  AIO_METER_PROFILE = 1 << 0,
  AIO_METER_SLOW    = 1 << 1
} AioMeterUse;

/* Who is told of slow callbacks. Home thread only. */
typedef struct
{
  guint refs;                   /* the meter's, and one for each call that is on the stack */
  AioSlowFunc func;             /* NULL: a message */
  gpointer data;
  GDestroyNotify destroy;
} AioSlowHook;

/* With profiling. */
typedef struct
{
  AioHistogram latency;
  AioHistogram run_time;
} AioMeterFigures;

typedef struct
{
  /* Immutable. */
  AioContext *context;          /* opaque here */
  const char *context_name;

  /* Atomic, any thread; written by the home thread. */
  _Atomic (guint) on;           /* uses, see AioMeterUse */
  _Atomic (guint64) n_slow;
  _Atomic (AioMeterFigures *) figures;  /* made by the first profiling, and kept; else NULL */

  /* Home thread only. */
  gint64 slow_ns;
  AioSlowHook *slow_hook;       /* NULL: a message */
  gint64 reported_ns;           /* monotonic, when the last message was said; 0: never */
  guint n_unsaid;               /* slow callbacks since, that no message has told of */
} AioMeter;

void   aio_meter_init         (AioMeter       *meter,
                               AioContext     *context,
                               const char     *context_name);
void   aio_meter_clear        (AioMeter       *meter);
void   aio_meter_use          (AioMeter       *meter,
                               AioMeterUse     use,
                               gboolean        on);
void   aio_meter_set_slow     (AioMeter       *meter,
                               gint64          slow_ns,
                               AioSlowFunc     func,
                               gpointer        data,
                               GDestroyNotify  destroy);
gint64 aio_meter_begin        (AioMeter       *meter,
                               gint64          scheduled_ns);
gint64 aio_meter_end          (AioMeter       *meter,
                               const AioWork  *work,
                               gint64          began_ns);
char  *aio_work_describe      (const AioWork  *work);

static inline gboolean
aio_meter_is_on (AioMeter *meter)
{
  return G_UNLIKELY (aio_load_relaxed (&meter->on) != 0);
}

static inline gboolean
aio_meter_profiles (AioMeter *meter)
{
  return (aio_load_relaxed (&meter->on) & AIO_METER_PROFILE) != 0;
}

/* Monotonic nanoseconds. Signal safe, and keeps errno: it is a call into the vDSO. */
static inline gint64
aio_meter_now (void)
{
  struct timespec ts;

  clock_gettime (CLOCK_MONOTONIC, &ts);
  return ts.tv_sec * G_GINT64_CONSTANT (1000000000) + ts.tv_nsec;
}
