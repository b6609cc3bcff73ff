/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>

G_BEGIN_DECLS

/**
 * AioWakeReason:
 * @AIO_WAKE_OTHER: nothing of this context: another source of the #GMainContext, a signal, or a
 *   wakeup that came late
 * @AIO_WAKE_BH: a bottom half, a one-shot or a post
 * @AIO_WAKE_FD: a descriptor or an event notifier
 * @AIO_WAKE_TIMER: a timer
 * @AIO_WAKE_NOTIFY: [method@Aio.Context.notify]
 *
 * What there was to do when a sleep of a context ended.
 *
 * Since: 1.0
 */
typedef enum
{
  AIO_WAKE_OTHER,
  AIO_WAKE_BH,
  AIO_WAKE_FD,
  AIO_WAKE_TIMER,
  AIO_WAKE_NOTIFY
} AioWakeReason;

typedef struct _AioWake AioWake;

/**
 * AioWake:
 * @time_ns: when, on the monotonic clock, in nanoseconds
 * @reason: what there was to do
 * @fd: the descriptor; -1 if it was something else
 * @name: (nullable): the name of the bottom half or the timer, valid for ever; %NULL if it was
 *   something else
 *
 * One wakeup of a context.
 *
 * Since: 1.0
 */
struct _AioWake
{
  gint64 time_ns;
  AioWakeReason reason;
  int fd;
  const char *name;
};

G_END_DECLS
