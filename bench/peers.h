/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The event loops that are compared, each behind the same few functions, in peer-NAME.c. What takes
 * nanoseconds is repeated within a peer's own file, so that no call through a pointer is measured.
 *
 * A loop opened in one thread may be iterated by another one afterwards. */
#pragma once

#include "bench.h"

typedef void (*BenchCall) (gpointer data);

typedef struct
{
  const char *name;

  gpointer (*open)    (void);
  void     (*close)   (gpointer loop);
  void     (*iterate) (gpointer loop);          /* once, without waiting */

  /* Iterates until stop is called, by a callback of that loop. NULL: the loop has a thread. */
  void     (*run)     (gpointer loop);
  void     (*stop)    (gpointer loop);

  /* A callback that is registered once and can be asked for again and again. */
  const char *call_how;
  gboolean    call_from_other_threads;
  gboolean    one_call_at_once;
  gpointer  (*call_new)  (gpointer  loop,
                          BenchCall func,
                          gpointer  data);
  void      (*call_free) (gpointer  call);
  void      (*send)      (gpointer  call);

  /* n times, by so many at once: sends, and iterates until they have run. They count. */
  void      (*burst)     (gpointer  loop,
                          gpointer *calls,
                          guint     size,
                          guint     n);
  /* Sends it n times, without an iteration. Who has this has registered it beforehand. */
  void      (*merge)     (gpointer  call,
                          guint     n);

  /* A descriptor that becomes readable. */
  const char *fd_how;
  gpointer  (*fd_new)    (gpointer  loop,
                          int       fd,
                          BenchCall func,
                          gpointer  data);
  void      (*fd_free)   (gpointer  handler);

  const char *timer_how;
  gpointer  (*timer_new)  (gpointer     loop,
                           BenchCall    func,
                           gpointer     data);
  void      (*timer_free) (gpointer     timer);
  void      (*arm)        (gpointer     timer,
                           guint        ms);
  void      (*arm_cancel) (gpointer     timer,
                           const guint *ms,
                           guint        n_ms,
                           guint        n);

  /* What of their memory is the benchmark's own. */
  gsize call_own, fd_own, timer_own;
} BenchPeer;

/* Ours, by what iterates the context. */
extern const BenchPeer bench_ours_poll;         /* aio_context_poll() */
extern const BenchPeer bench_ours_source;       /* g_main_context_iteration() */
extern const BenchPeer bench_ours_bh_poll;      /* aio_bh_poll(): callbacks and nothing else */
extern const BenchPeer bench_ours_home;         /* the same, asked for by another callback */
extern const BenchPeer bench_ours_io_thread;

extern const BenchPeer bench_glib;              /* g_idle_add(), g_unix_fd_add(), g_timeout_add() */
extern const BenchPeer bench_glib_invoke;       /* g_main_context_invoke() */
extern const BenchPeer bench_glib_ready_time;   /* a GSource that stays */

/* A GSource by hand: what there is to reach under a GMainContext. Its sends are for one thread. */
extern const BenchPeer bench_bare;              /* nothing polled */
extern const BenchPeer bench_bare_eventfd;      /* one eventfd polled */
extern const BenchPeer bench_bare_epoll;        /* one epoll descriptor with all the others */

extern const BenchPeer bench_libuv, bench_libev, bench_libevent, bench_sd_event;

/* Those of other projects that were built, each with its comma, for the midst of a list. */
#ifdef HAVE_LIBUV
#define BENCH_LIBUV &bench_libuv,
#else
#define BENCH_LIBUV
#endif
#ifdef HAVE_LIBEV
#define BENCH_LIBEV &bench_libev,
#else
#define BENCH_LIBEV
#endif
#ifdef HAVE_LIBEVENT
#define BENCH_LIBEVENT &bench_libevent,
#else
#define BENCH_LIBEVENT
#endif
#ifdef HAVE_LIBSYSTEMD
#define BENCH_SD_EVENT &bench_sd_event,
#else
#define BENCH_SD_EVENT
#endif
#define BENCH_OTHERS BENCH_LIBUV BENCH_LIBEV BENCH_LIBEVENT BENCH_SD_EVENT

/* Those that were built: ours first, then the peers, then the floors. Ends with NULL. */
extern const BenchPeer *const bench_peers[];

/* Defines the two functions that repeat what takes nanoseconds. */
#define BENCH_REPEAT(prefix, send, iterate)                             \
  static void                                                           \
  prefix##_burst (gpointer loop, gpointer *calls, guint size, guint n)  \
  {                                                                     \
    for (guint i = 0; i < n; i += size)                                 \
      {                                                                 \
        guint target = bench_ran + size;                                \
                                                                        \
        for (guint k = 0; k < size; k++)                                \
          send (calls[k]);                                              \
        while (bench_ran != target)                                     \
          iterate (loop);                                               \
      }                                                                 \
  }                                                                     \
                                                                        \
  G_GNUC_UNUSED static void                                             \
  prefix##_merge (gpointer call, guint n)                               \
  {                                                                     \
    for (guint i = 0; i < n; i++)                                       \
      send (call);                                                      \
  }

/* As BENCH_REPEAT, for a timer that is armed for far away and cancelled. */
#define BENCH_REPEAT_TIMER(prefix, arm, cancel)                                         \
  static void                                                                           \
  prefix##_arm_cancel (gpointer timer, const guint *ms, guint n_ms, guint n)            \
  {                                                                                     \
    for (guint i = 0; i < n; i++)                                                       \
      {                                                                                 \
        arm (timer, ms[i % n_ms]);                                                      \
        cancel (timer);                                                                 \
      }                                                                                 \
  }
