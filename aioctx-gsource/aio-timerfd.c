/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-timerfd-private.h>

#include <errno.h>
#include <unistd.h>

#define NSEC_PER_SEC G_GINT64_CONSTANT (1000000000)

void
aio_timerfd_init (AioTimerFd *self)
{
  self->fd = -1;
  self->armed = G_MAXINT64;
  self->seen = G_MAXINT64;
}

void
aio_timerfd_clear (AioTimerFd *self)
{
  if (self->fd >= 0)
    close (self->fd);
  aio_timerfd_init (self);
}

#ifdef __linux__

#include <sys/timerfd.h>

gboolean
aio_timerfd_open (AioTimerFd *self,
                  AioClock    clock)
{
  static const int ids[] = { CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME };

  self->fd = timerfd_create (ids[clock], TFD_CLOEXEC | TFD_NONBLOCK);
  return self->fd >= 0;
}

/* One system call, and none if nothing has changed. FALSE if the system refuses. A timerfd that is
 * set to 0 is off, so what is due at 0 is set to 1 ns. On the wall clock it also becomes readable
 * when the clock is set: then whoever sleeps for a deadline looks at it anew
 * (TFD_TIMER_CANCEL_ON_SET, timerfd_create(2)). That it was may be told here too, by ECANCELED, and
 * then the timer is set all the same. */
gboolean
aio_timerfd_arm (AioTimerFd *self,
                 AioClock    clock,
                 gint64      deadline)
{
  struct itimerspec spec = { { 0, 0 }, { 0, 0 } };
  int flags = TFD_TIMER_ABSTIME;

  if (deadline == self->armed)
    return TRUE;
  self->armed = deadline;
  if (deadline != G_MAXINT64)
    {
      spec.it_value.tv_sec = deadline / NSEC_PER_SEC;
      spec.it_value.tv_nsec = deadline % NSEC_PER_SEC;
      if (deadline <= 0)
        spec.it_value.tv_nsec = 1;
    }
  if (clock == AIO_CLOCK_REALTIME)
    flags |= TFD_TIMER_CANCEL_ON_SET;
  if (timerfd_settime (self->fd, flags, &spec, NULL) == 0 || errno == ECANCELED)
    return TRUE;
  self->armed = G_MAXINT64;
  return FALSE;
}

#else

gboolean
aio_timerfd_open (AioTimerFd *self,
                  AioClock    clock)
{
  return FALSE;
}

gboolean
aio_timerfd_arm (AioTimerFd *self,
                 AioClock    clock,
                 gint64      deadline)
{
  return FALSE;
}

#endif

/* It has become readable. What it was set to is over, so the next arming sets it anew. */
void
aio_timerfd_consume (AioTimerFd *self)
{
  guint64 n_expirations;
  gssize n = read (self->fd, &n_expirations, sizeof n_expirations);

  /* Whether it expired, was cancelled (ECANCELED), or was set anew meanwhile (EAGAIN). */
  (void) n;
  self->armed = G_MAXINT64;
}
