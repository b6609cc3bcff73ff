/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of bottom halves share. */
#pragma once

#include "aio-test.h"
#include <fcntl.h>

/* One of the ways to run a context: its own poll, or a GMainContext. */
typedef struct
{
  AioContext *context;
  GMainContext *main_context;
} Loop;

static inline gboolean
loop_iterate (Loop     *loop,
              gboolean  blocking)
{
  return loop->main_context != NULL ? g_main_context_iteration (loop->main_context, blocking)
                                    : aio_context_poll (loop->context, blocking);
}

static inline void
each_way (void     (*func) (Loop *loop),
          gboolean   at_home)
{
  Loop loop;
  guint i;

  for (i = 0; i < 2; i++)
    {
      aio_test_moved ();
      loop = (Loop) { aio_context_new (), i == 1 ? g_main_context_new () : NULL };
      if (i == 1)
        g_assert_cmpuint (aio_context_attach (loop.context, loop.main_context), !=, 0);
      if (at_home)
        loop_iterate (&loop, FALSE);
      func (&loop);
      if (i == 1)
        aio_context_detach (loop.context);
      aio_context_unref (loop.context);
      g_clear_pointer (&loop.main_context, g_main_context_unref);
    }
}

static inline void
both_ways (void (*func) (Loop *loop))
{
  each_way (func, FALSE);
}

/* The loop has been iterated once, so that this thread is its home. */
static inline void
both_ways_at_home (void (*func) (Loop *loop))
{
  each_way (func, TRUE);
}

static inline void
nap (long usec)
{
  struct timespec time = { usec / 1000000, usec % 1000000 * 1000 };

  nanosleep (&time, NULL);
}

static inline void
spin_until (atomic_int *flag)
{
  while (atomic_load (flag) == 0)
    nap (20);
}

static inline void
spin (guint n)
{
  volatile guint i;

  for (i = 0; i < n; i++)
    ;
}

static inline guint32
next_random (guint32 *state)
{
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

static inline void
count_run (gpointer data)
{
  ++*(guint *) data;
}

/* Leaves no room for one more wakeup: an eventfd is counted up to its limit, a pipe is filled
 * through a second opening of its other end. */
static inline void
fill_wakeup (AioContext *context)
{
  static const char dust[4096];
  const guint64 limit = G_MAXUINT64 - 1;
  int fd = aio_context_get_fd (context);
  char path[64];
  int other;

  if (write (fd, &limit, sizeof limit) > 0 || errno == EAGAIN)
    return;
  g_snprintf (path, sizeof path, "/proc/self/fd/%d", fd);
  other = open (path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  g_assert_cmpint (other, >=, 0);
  while (write (other, dust, sizeof dust) > 0 || write (other, dust, 1) > 0)
    ;
  close (other);
}
