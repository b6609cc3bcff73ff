/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 2. A deadline as a descriptor, for sleepers whose own timeout is too coarse (GLib's, in
 * milliseconds) or would not notice that the clock was set. */
#pragma once

#include <aioctx-gsource/aio-timer.h>

typedef struct
{
  /* Home thread only. */
  int fd;               /* -1: not opened yet */
  gint64 armed;         /* the deadline it is set to; G_MAXINT64: none */
  gint64 seen;          /* the deadline that it was not set to when somebody last had to ask */
} AioTimerFd;

void     aio_timerfd_init    (AioTimerFd *self);
void     aio_timerfd_clear   (AioTimerFd *self);
gboolean aio_timerfd_open    (AioTimerFd *self,
                              AioClock    clock);
gboolean aio_timerfd_arm     (AioTimerFd *self,
                              AioClock    clock,
                              gint64      deadline);
void     aio_timerfd_consume (AioTimerFd *self);
