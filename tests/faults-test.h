/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The system calls of the library, wrapped by the linker (--wrap, see meson.build): the Nth of a
 * kind fails. Only calls of the library are: those of the tests themselves go past it. */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

typedef enum
{
  CALL_NONE,
  CALL_EVENTFD,
  CALL_PIPE,
  CALL_EPOLL_CREATE,
  CALL_EPOLL_CTL,
  CALL_EPOLL_WAIT,
  CALL_EPOLL_PWAIT2,
  CALL_PPOLL,
  CALL_G_POLL,
  CALL_TIMERFD_CREATE,
  CALL_TIMERFD_SETTIME,
  CALL_READ,
  CALL_WRITE,
  CALL_OPEN,
  CALL_FCNTL,
  CALL_DUP,
  CALL_MEMBARRIER,
  CALL_THREAD,
  CALL_KEY,
  CALL_KEY_SET,
  N_CALLS
} Call;

static struct
{
  _Atomic (Call) call;          /* which kind is to fail */
  atomic_int reason;            /* with which errno */
  atomic_int left;              /* at 1 the next one fails */
  atomic_bool lasts;            /* and all that come after it */
  atomic_size_t least;          /* smaller writes do not fail: those that wake somebody */
  atomic_uint n_struck;
  atomic_uint n_struck_ever[N_CALLS];
  atomic_uint n_calls[N_CALLS];
} fault;

static inline void
fault_set (Call     call,
           int      reason,
           int      n,
           gboolean lasts)
{
  atomic_store (&fault.reason, reason);
  atomic_store (&fault.left, n);
  atomic_store (&fault.lasts, lasts);
  atomic_store (&fault.n_struck, 0);
  atomic_store (&fault.call, call);
}

static inline void
fault_end (void)
{
  atomic_store (&fault.call, CALL_NONE);
}

static inline gboolean
fault_strikes (Call call)
{
  int left;

  atomic_fetch_add (&fault.n_calls[call], 1);
  if (atomic_load (&fault.call) != call)
    return FALSE;
  left = atomic_fetch_sub (&fault.left, 1);
  if (left > 1 || (left < 1 && !atomic_load (&fault.lasts)))
    return FALSE;
  atomic_fetch_add (&fault.n_struck, 1);
  atomic_fetch_add (&fault.n_struck_ever[call], 1);
  errno = atomic_load (&fault.reason);
  return TRUE;
}

#define WRAP(kind, result, name, parameters, arguments)   \
  extern result __real_##name parameters;                 \
  extern result __wrap_##name parameters;                 \
  result __wrap_##name parameters                         \
  {                                                       \
    return fault_strikes (kind) ? -1 : __real_##name arguments; \
  }

WRAP (CALL_EVENTFD, int, eventfd, (unsigned int value, int flags), (value, flags))
WRAP (CALL_PIPE, int, pipe2, (int *fds, int flags), (fds, flags))
WRAP (CALL_EPOLL_CREATE, int, epoll_create1, (int flags), (flags))
WRAP (CALL_EPOLL_WAIT, int, epoll_wait,
      (int epoll_fd, struct epoll_event *events, int n, int timeout),
      (epoll_fd, events, n, timeout))
WRAP (CALL_EPOLL_PWAIT2, int, epoll_pwait2,
      (int epoll_fd, struct epoll_event *events, int n, const struct timespec *timeout,
       const sigset_t *mask),
      (epoll_fd, events, n, timeout, mask))
WRAP (CALL_PPOLL, int, ppoll,
      (struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask),
      (fds, n, timeout, mask))
WRAP (CALL_G_POLL, int, g_poll, (GPollFD *fds, guint n, int timeout), (fds, n, timeout))
WRAP (CALL_TIMERFD_CREATE, int, timerfd_create, (int clock, int flags), (clock, flags))
WRAP (CALL_READ, ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size))
WRAP (CALL_DUP, int, dup3, (int from, int to, int flags), (from, to, flags))
/* These are declared with any number of arguments; the library gives them so many. */
WRAP (CALL_OPEN, int, open64, (const char *path, int flags, int mode), (path, flags, mode))
WRAP (CALL_MEMBARRIER, long, syscall, (long number, long a, long b, long c), (number, a, b, c))

extern int __real_epoll_ctl (int epoll_fd, int operation, int fd, struct epoll_event *event);
extern int __wrap_epoll_ctl (int epoll_fd, int operation, int fd, struct epoll_event *event);

/* What is not there any more takes no memory: that one always succeeds. */
int
__wrap_epoll_ctl (int                 epoll_fd,
                  int                 operation,
                  int                 fd,
                  struct epoll_event *event)
{
  if (operation != EPOLL_CTL_DEL && fault_strikes (CALL_EPOLL_CTL))
    return -1;
  return __real_epoll_ctl (epoll_fd, operation, fd, event);
}

extern int __real_fcntl64 (int fd, int operation, long value);
extern int __wrap_fcntl64 (int fd, int operation, long value);

/* To ask for the flags takes nothing, either. */
int
__wrap_fcntl64 (int  fd,
                int  operation,
                long value)
{
  if (operation == F_DUPFD_CLOEXEC && fault_strikes (CALL_FCNTL))
    return -1;
  return __real_fcntl64 (fd, operation, value);
}

extern int __real_timerfd_settime (int fd, int flags, const struct itimerspec *value,
                                   struct itimerspec *old);
extern int __wrap_timerfd_settime (int fd, int flags, const struct itimerspec *value,
                                   struct itimerspec *old);

/* With ECANCELED the kernel says that the wall clock was set; the timer is set nevertheless. */
int
__wrap_timerfd_settime (int                      fd,
                        int                      flags,
                        const struct itimerspec *value,
                        struct itimerspec       *old)
{
  if (!fault_strikes (CALL_TIMERFD_SETTIME))
    return __real_timerfd_settime (fd, flags, value, old);
  if (errno == ECANCELED)
    {
      __real_timerfd_settime (fd, flags, value, old);
      errno = ECANCELED;
    }
  return -1;
}

extern ssize_t __real_write (int fd, const void *data, size_t size);
extern ssize_t __wrap_write (int fd, const void *data, size_t size);

/* EAGAIN is never said of an empty one, so it is filled up first. With 0 for a reason a part of it
 * is written. */
ssize_t
__wrap_write (int         fd,
              const void *data,
              size_t      size)
{
  const guint64 most = G_MAXUINT64 - 1;
  char dust[4096] = { 0 };

  if (size < atomic_load (&fault.least) || !fault_strikes (CALL_WRITE))
    return __real_write (fd, data, size);
  if (errno == 0)
    return __real_write (fd, data, (size + 1) / 2);
  if (errno == EAGAIN && size == sizeof most)
    {
      /* What a writer before us has put there keeps the maximum from fitting in: as good. */
      while (__real_write (fd, &most, sizeof most) > 0)
        continue;
      errno = EAGAIN;
    }
  else if (errno == EAGAIN)
    while (__real_write (fd, dust, sizeof dust) > 0)
      continue;
  return -1;
}

extern GThread *__real_g_thread_try_new (const char *name, GThreadFunc func, gpointer data,
                                         GError **error);
extern GThread *__wrap_g_thread_try_new (const char *name, GThreadFunc func, gpointer data,
                                         GError **error);

GThread *
__wrap_g_thread_try_new (const char   *name,
                         GThreadFunc   func,
                         gpointer      data,
                         GError      **error)
{
  if (!fault_strikes (CALL_THREAD))
    return __real_g_thread_try_new (name, func, data, error);
  g_set_error (error, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN, "Error creating thread: %s",
               g_strerror (errno));
  return NULL;
}

extern int __real_pthread_key_create (pthread_key_t *key, void (*destroy) (void *));
extern int __wrap_pthread_key_create (pthread_key_t *key, void (*destroy) (void *));
extern int __real_pthread_setspecific (pthread_key_t key, const void *value);
extern int __wrap_pthread_setspecific (pthread_key_t key, const void *value);

static atomic_uint n_keys_set;

int
__wrap_pthread_key_create (pthread_key_t *key,
                           void         (*destroy) (void *))
{
  if (fault_strikes (CALL_KEY))
    return errno;
  return __real_pthread_key_create (key, destroy);
}

int
__wrap_pthread_setspecific (pthread_key_t  key,
                            const void    *value)
{
  atomic_fetch_add (&n_keys_set, 1);
  if (fault_strikes (CALL_KEY_SET))
    return errno;
  return __real_pthread_setspecific (key, value);
}

/* From here on these are the real ones. */
#define eventfd         __real_eventfd
#define pipe2           __real_pipe2
#define epoll_create1   __real_epoll_create1
#define epoll_ctl       __real_epoll_ctl
#define epoll_wait      __real_epoll_wait
#define ppoll           __real_ppoll
#define g_poll          __real_g_poll
#define timerfd_create  __real_timerfd_create
#define read            __real_read
#define write           __real_write
#define dup3            __real_dup3
