/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands in for the library's header of this name when its sources are compiled for the explorer:
 * each atomic access becomes a call, and so a point at which another thread may be let run. Locks,
 * waits, the clock and memory are taken over as well. See explore.h. */
#pragma once

#include <gio/gio.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>

guint64  explore_load     (const volatile void *p,
                           gsize                size,
                           const char          *func,
                           const char          *what);
void     explore_store    (volatile void       *p,
                           gsize                size,
                           guint64              value,
                           gboolean             release,
                           const char          *func,
                           const char          *what);
guint64  explore_exchange (volatile void       *p,
                           gsize                size,
                           guint64              value,
                           const char          *func,
                           const char          *what);
guint64  explore_add      (volatile void       *p,
                           gsize                size,
                           guint64              value,
                           const char          *func,
                           const char          *what);
gboolean explore_swap_if  (volatile void       *p,
                           gsize                size,
                           void                *expected,
                           guint64              value,
                           const char          *func,
                           const char          *what);
int      explore_lock     (pthread_mutex_t     *mutex);
int      explore_unlock   (pthread_mutex_t     *mutex);
int      explore_wait     (pthread_cond_t      *cond,
                           pthread_mutex_t     *mutex);
int      explore_tell_all (pthread_cond_t      *cond);
int      explore_poll     (struct pollfd       *fds,
                           nfds_t               n,
                           const struct timespec *timeout);
gpointer explore_alloc    (gsize                n,
                           gsize                size,
                           gsize                alignment);
void     explore_free     (gpointer             p);
GString *explore_string   (const char          *text);
char    *explore_end_string (GString           *string);
gint64   explore_time     (void);

/* What a call returns, as a value of what is pointed to; nobody need use it. One may stand in the
 * arguments of another, hence the numbers. */
#define EXPLORE_PASTE(a, b)             a##b
#define EXPLORE_NAME(n)                 EXPLORE_PASTE (explored_, n)
#define EXPLORE_VALUE_AS(name, p, call) \
  __extension__ ({ __typeof__ ((void) 0, *(p)) name = (__typeof__ (name)) (call); name; })
#define EXPLORE_VALUE(p, call)          EXPLORE_VALUE_AS (EXPLORE_NAME (__COUNTER__), p, call)

#define aio_load_relaxed(p) \
  EXPLORE_VALUE (p, explore_load ((p), sizeof *(p), __func__, #p))
#define aio_load_acquire(p)             aio_load_relaxed (p)
#define aio_load_full(p)                aio_load_relaxed (p)

#define aio_store_relaxed(p, value) \
  explore_store ((p), sizeof *(p), (guint64) (value), FALSE, __func__, #p)
#define aio_store_release(p, value) \
  explore_store ((p), sizeof *(p), (guint64) (value), TRUE, __func__, #p)

#define aio_exchange_full(p, value) \
  EXPLORE_VALUE (p, explore_exchange ((p), sizeof *(p), (guint64) (value), __func__, #p))
#define aio_fetch_add_full(p, value) \
  EXPLORE_VALUE (p, explore_add ((p), sizeof *(p), (guint64) (value), __func__, #p))
#define aio_fetch_sub_full(p, value) \
  EXPLORE_VALUE (p, explore_add ((p), sizeof *(p), -(guint64) (value), __func__, #p))
#define aio_compare_and_swap_full(p, expected, value) \
  explore_swap_if ((p), sizeof *(p), (expected), (guint64) (value), __func__, #p)

/* Statistics (64 bits) would make states differ that are the same. What is left is the depth of a
 * home rule. */
#define aio_count(p, n) \
  do { if (sizeof *(p) < 8) aio_store_relaxed ((p), aio_load_relaxed (p) + (n)); } while (0)

/* A pass looks for a missing link twice, then gives up. */
#define AIO_LINK_SPINS                  1
#define AIO_LINK_YIELDS                 1
#define aio_cpu_relax()                 do { } while (0)

#define g_aligned_alloc0                explore_alloc
#define g_aligned_free                  explore_free
#define g_free                          explore_free
#define g_get_monotonic_time            explore_time
#define g_string_free(string, segment)  explore_end_string ((string))
#define g_string_new                    explore_string
#define g_usleep(usec)                  do { } while (0)
#define ppoll(fds, n, timeout, mask)    explore_poll ((fds), (n), (timeout))
#define pthread_cond_broadcast          explore_tell_all
#define pthread_cond_wait               explore_wait
#define pthread_mutex_lock              explore_lock
#define pthread_mutex_unlock            explore_unlock
#define sched_yield()                   do { } while (0)
