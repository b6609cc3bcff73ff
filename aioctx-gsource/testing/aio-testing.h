/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The g_test kit: for programs that test code which uses bottom halves and timers. Link it with
 * what "pkg-config --libs aioctx-gsource-testing-1" says. */
#pragma once

#include <aioctx-gsource/aioctx-gsource.h>

G_BEGIN_DECLS

/**
 * AioTestingFunc:
 * @data: what was given with it
 *
 * Stands for a producer: schedules or posts, in a thread of its own.
 *
 * Since: 1.0
 */
typedef void (*AioTestingFunc) (gpointer data);

typedef struct _AioTestingCounters AioTestingCounters;

/**
 * AioTestingCounters:
 * @iterations: how often the context was iterated, with something to do or without
 * @runs: callbacks run: bottom halves, one-shots and posts
 * @timer_runs: timers that have fired
 * @clock_moves: how often the virtual clock was moved
 * @reordered: passes that the shuffle has brought into another order
 *
 * What has happened in a testing context so far. It only grows: new fields are added at the end.
 *
 * Since: 1.0
 */
struct _AioTestingCounters
{
  guint64 iterations;
  guint64 runs;
  guint64 timer_runs;
  guint64 clock_moves;
  guint64 reordered;
};

typedef struct _AioTestingFixture AioTestingFixture;

/**
 * AioTestingFixture:
 * @context: a testing context of this test case
 *
 * A fixture for g_test_add(). It may be the first field of a larger one.
 *
 * Since: 1.0
 */
struct _AioTestingFixture
{
  AioContext *context;

  /*< private >*/
  gpointer priv[3];
};

AIO_EXPORT AioContext *aio_testing_context_new          (void);
AIO_EXPORT gint64      aio_testing_advance_ns           (AioContext         *context,
                                                         gint64              duration_ns);
AIO_EXPORT gboolean    aio_testing_advance_to_next      (AioContext         *context);
AIO_EXPORT guint       aio_testing_run_until_idle       (AioContext         *context,
                                                         guint               max_iterations);
AIO_EXPORT gboolean    aio_testing_run_until            (AioContext         *context,
                                                         AioPredicate        predicate,
                                                         gpointer            data,
                                                         gint64              timeout_usec);
AIO_EXPORT void        aio_testing_get_counters         (AioContext         *context,
                                                         AioTestingCounters *counters,
                                                         gsize               size);

AIO_EXPORT void        aio_testing_assert_clean         (AioContext         *context);
AIO_EXPORT void        aio_testing_assert_scheduled     (AioBH              *bh);
AIO_EXPORT void        aio_testing_assert_not_scheduled (AioBH              *bh);

AIO_EXPORT void        aio_testing_set_shuffle          (AioContext         *context,
                                                         guint32             seed);
AIO_EXPORT void        aio_testing_produce              (AioContext         *context,
                                                         const char         *name,
                                                         AioTestingFunc      func,
                                                         gpointer            data);

AIO_EXPORT void        aio_testing_stall_ns             (AioContext         *context,
                                                         gint64              duration_ns);
AIO_EXPORT void        aio_testing_delay_bh             (AioBH              *bh,
                                                         gint64              delay_ns);
AIO_EXPORT void        aio_testing_fail_creation        (guint               nth);
AIO_EXPORT gboolean    aio_testing_creation_failed      (void);

AIO_EXPORT void        aio_testing_fixture_set_up       (AioTestingFixture  *fixture,
                                                         gconstpointer       data);
AIO_EXPORT void        aio_testing_fixture_tear_down    (AioTestingFixture  *fixture,
                                                         gconstpointer       data);

AIO_EXPORT void        aio_testing_called_from          (const char         *domain,
                                                         const char         *file,
                                                         int                 line,
                                                         const char         *func);

#ifndef __GI_SCANNER__

/**
 * aio_testing_add: (skip)
 * @path: the path of the test case
 * @data: (nullable): passed to @func
 * @func: the test case: void func (AioTestingFixture *fixture, gconstpointer data)
 *
 * Adds a test case that gets a testing context of its own. When it is over nothing may be left in
 * the context.
 *
 * Since: 0.1
 */
#define aio_testing_add(path, data, func) \
  g_test_add ((path), AioTestingFixture, (data), aio_testing_fixture_set_up, (func), \
              aio_testing_fixture_tear_down)

/* A failure is reported with the place of the call, as by the assertions of GLib. Write
 * (aio_testing_run_until) to get the plain function. */
#define aio_testing_called_from_here_ \
  aio_testing_called_from (G_LOG_DOMAIN, __FILE__, __LINE__, G_STRFUNC)

#define aio_testing_advance_ns(context, duration_ns) \
  (aio_testing_called_from_here_, (aio_testing_advance_ns) ((context), (duration_ns)))
#define aio_testing_advance_to_next(context) \
  (aio_testing_called_from_here_, (aio_testing_advance_to_next) (context))
#define aio_testing_run_until_idle(context, max_iterations) \
  (aio_testing_called_from_here_, (aio_testing_run_until_idle) ((context), (max_iterations)))
#define aio_testing_run_until(context, predicate, data, timeout_usec) \
  (aio_testing_called_from_here_, \
   (aio_testing_run_until) ((context), (predicate), (data), (timeout_usec)))
#define aio_testing_assert_clean(context) \
  (aio_testing_called_from_here_, (aio_testing_assert_clean) (context))
#define aio_testing_assert_scheduled(bh) \
  (aio_testing_called_from_here_, (aio_testing_assert_scheduled) (bh))
#define aio_testing_assert_not_scheduled(bh) \
  (aio_testing_called_from_here_, (aio_testing_assert_not_scheduled) (bh))

#endif

G_END_DECLS
