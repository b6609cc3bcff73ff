/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One bottom half at a time: what scheduling costs and keeps, merging, idle ones, what the poll
 * returns, the timeout, names and dead ones. Order, nesting, cancel and delete have programs of
 * their own. */
#include "bh-test.h"

#include <sys/mman.h>
#include <dlfcn.h>
#include <fcntl.h>

#if defined (__has_feature)
#if __has_feature (address_sanitizer) || __has_feature (thread_sanitizer)
#define TEST_SANITIZED
#endif
#endif
#if defined (__SANITIZE_ADDRESS__) || defined (__SANITIZE_THREAD__)
#define TEST_SANITIZED
#endif

/* What this thread has asked of the allocator and of locks. */
static _Thread_local guint n_costs;

#if defined (__GLIBC__) && !defined (TEST_SANITIZED)
#define TEST_COUNTS_COSTS

/* The allocator and the locks are wrapped by definitions in the program, which the library's calls
 * find first. A sanitizer has its own allocator in this place, so it goes without. */
extern void *__libc_malloc (size_t size);
extern void *__libc_calloc (size_t n, size_t size);
extern void *__libc_realloc (void *memory, size_t size);
extern void *__libc_memalign (size_t alignment, size_t size);
extern void  __libc_free (void *memory);

void *
malloc (size_t size)
{
  n_costs++;
  return __libc_malloc (size);
}

void *
calloc (size_t n,
        size_t size)
{
  n_costs++;
  return __libc_calloc (n, size);
}

void *
realloc (void   *memory,
         size_t  size)
{
  n_costs++;
  return __libc_realloc (memory, size);
}

void *
aligned_alloc (size_t alignment,
               size_t size)
{
  n_costs++;
  return __libc_memalign (alignment, size);
}

int
posix_memalign (void   **memory,
                size_t   alignment,
                size_t   size)
{
  n_costs++;
  *memory = __libc_memalign (alignment, size);
  return *memory != NULL ? 0 : ENOMEM;
}

void
free (void *memory)
{
  n_costs++;
  __libc_free (memory);
}

int
pthread_mutex_lock (pthread_mutex_t *mutex)
{
  static int (*lock) (pthread_mutex_t *mutex);

  if (lock == NULL)
    *(void **) &lock = dlsym (RTLD_NEXT, "pthread_mutex_lock");
  n_costs++;
  return lock (mutex);
}

void
g_mutex_lock (GMutex *mutex)
{
  static void (*lock) (GMutex *mutex);

  if (lock == NULL)
    *(void **) &lock = dlsym (RTLD_NEXT, "g_mutex_lock");
  n_costs++;
  lock (mutex);
}

#endif

/* ---- What schedule, schedule_idle, cancel and notify cost and keep (C1) ---- */

typedef struct
{
  AioContext *context;
  AioBH *bh;
} Target;

typedef enum
{
  OP_SCHEDULE,
  OP_IDLE,
  OP_CANCEL,
  OP_NOTIFY,
  N_OPS
} Op;

static void
apply (Target *target,
       Op      op)
{
  switch (op)
    {
    case OP_SCHEDULE:
      aio_bh_schedule (target->bh);
      break;
    case OP_IDLE:
      aio_bh_schedule_idle (target->bh);
      break;
    case OP_CANCEL:
      aio_bh_cancel (target->bh);
      break;
    case OP_NOTIFY:
    case N_OPS:
      aio_context_notify (target->context);
      break;
    }
}

static void
assert_clean (Target *target,
              Op      op)
{
  guint before = n_costs;
  int error;

  errno = 4711;
  apply (target, op);
  error = errno;
  g_assert_cmpuint (n_costs, ==, before);
  g_assert_cmpint (error, ==, 4711);
}

/* Each operation after each other one, so that each meets an entry in every state. */
static void
assert_pairs_clean (Target *target)
{
  Op first, second;

  for (first = 0; first < N_OPS; first++)
    for (second = 0; second < N_OPS; second++)
      {
        assert_clean (target, first);
        assert_clean (target, second);
      }
}

static void *
assert_pairs_clean_thread (void *target)
{
  assert_pairs_clean (target);
  return NULL;
}

static void
assert_pairs_clean_callback (gpointer target)
{
  assert_pairs_clean (target);
}

static void
skip_costs (void)
{
#ifndef TEST_COUNTS_COSTS
  g_test_message ("allocations and locks are not counted in this build, errno is");
#endif
}

static void
test_clean_awake (void)
{
  AioContext *context = aio_context_new ();
  guint runs = 0;
  Target target = { context, aio_bh_new (context, count_run, &runs) };
  Target outer = { context, NULL };

  g_test_summary ("C1: schedule, schedule_idle, cancel and notify keep errno, allocate and free "
                  "nothing and take no lock: before the first iteration, in a thread that never "
                  "met the library, between iterations, in a callback");
  skip_costs ();
  assert_pairs_clean (&target);
  thread_run (assert_pairs_clean_thread, &target);
  aio_bh_poll (context);
  assert_pairs_clean (&target);
  thread_run (assert_pairs_clean_thread, &target);
  outer.bh = aio_bh_new (context, assert_pairs_clean_callback, &target);
  aio_bh_schedule (outer.bh);
  g_assert_cmpint (aio_bh_poll (context), ==, 1);
  aio_bh_delete (outer.bh);
  aio_bh_delete (target.bh);
  aio_context_unref (context);
}

/* Runs each operation against a context that has just been told that its thread goes to sleep. */
static void
assert_asleep_clean (Target *target,
                     void    (*prepare) (AioContext *context))
{
  Op op;

  for (op = 0; op < N_OPS; op++)
    {
      g_assert_cmpint (aio_context_get_timeout_ns (target->context), <, 0);
      if (prepare != NULL)
        prepare (target->context);
      assert_clean (target, op);
      aio_context_dispatch (target->context);
      aio_context_dispatch (target->context);
    }
}

static void
test_clean_asleep (void)
{
  AioContext *context = aio_context_new ();
  guint runs = 0;
  Target target = { context, aio_bh_new (context, count_run, &runs) };

  g_test_summary ("C1: the same holds when the home thread has to be woken");
  skip_costs ();
  assert_asleep_clean (&target, NULL);
  g_assert_cmpuint (runs, ==, 2);
  aio_bh_delete (target.bh);
  aio_context_unref (context);
}

static void
test_clean_full (void)
{
  AioContext *context = aio_context_new ();
  guint runs = 0;
  Target target = { context, aio_bh_new (context, count_run, &runs) };

  g_test_summary ("C1: nor do they block or change errno when the wakeup descriptor is full, and "
                  "the context goes on afterwards");
  skip_costs ();
  assert_asleep_clean (&target, fill_wakeup);
  g_assert_cmpuint (runs, ==, 2);
  aio_bh_delete (target.bh);
  aio_context_unref (context);
}

/* ---- Merging (C2) ---- */

static void
merge (Loop *loop)
{
  guint runs = 0;
  AioBH *bh = aio_bh_new (loop->context, count_run, &runs);
  guint round;

  for (round = 1; round <= 10; round++)
    {
      aio_bh_schedule (bh);
      aio_bh_schedule (bh);
      aio_bh_schedule (bh);
      g_assert_cmpuint (runs, ==, round - 1);
      g_assert_true (loop_iterate (loop, FALSE));
      g_assert_cmpuint (runs, ==, round);
      g_assert_false (loop_iterate (loop, FALSE));
      g_assert_cmpuint (runs, ==, round);
    }
  aio_bh_delete (bh);
}

static void
test_merge (void)
{
  g_test_summary ("C2: schedules before the callback starts merge into one run, and one "
                  "iteration does it");
  both_ways (merge);
}

typedef struct
{
  AioBH *bh;
  guint runs;
  guint seen;
  guint written;
  gboolean pending[2];
} Rerun;

static void *
write_and_schedule (void *data)
{
  Rerun *rerun = data;

  rerun->written++;
  aio_bh_schedule (rerun->bh);
  aio_bh_schedule (rerun->bh);
  return NULL;
}

static void
rerun_cb (gpointer data)
{
  Rerun *rerun = data;

  rerun->seen = rerun->written;
  rerun->pending[0] = aio_bh_is_scheduled (rerun->bh);
  if (rerun->runs++ % 2 == 0)
    thread_run (write_and_schedule, rerun);
  rerun->pending[1] = aio_bh_is_scheduled (rerun->bh);
}

static void
during_callback (Loop *loop)
{
  Rerun rerun = { .runs = 0 };

  rerun.bh = aio_bh_new (loop->context, rerun_cb, &rerun);
  aio_bh_schedule (rerun.bh);
  g_assert_true (loop_iterate (loop, FALSE));
  g_assert_cmpuint (rerun.runs, ==, 1);
  g_assert_false (rerun.pending[0]);
  g_assert_true (rerun.pending[1]);
  g_assert_true (loop_iterate (loop, FALSE));
  g_assert_cmpuint (rerun.runs, ==, 2);
  g_assert_cmpuint (rerun.seen, ==, 1);
  g_assert_false (rerun.pending[1]);
  g_assert_false (loop_iterate (loop, FALSE));
  aio_bh_delete (rerun.bh);
}

static void
test_during_callback (void)
{
  g_test_summary ("C2: a schedule from another thread while the callback runs causes one more "
                  "run, which sees what was written before");
  both_ways (during_callback);
}

static void
other_thread (Loop *loop)
{
  Rerun rerun = { .runs = 1 };

  rerun.bh = aio_bh_new (loop->context, rerun_cb, &rerun);
  thread_run (write_and_schedule, &rerun);
  thread_run (write_and_schedule, &rerun);
  g_assert_cmpuint (rerun.runs, ==, 1);
  while (rerun.runs == 1)
    loop_iterate (loop, TRUE);
  g_assert_cmpuint (rerun.seen, ==, 2);
  g_assert_false (loop_iterate (loop, FALSE));
  aio_bh_delete (rerun.bh);
}

static void
test_other_thread (void)
{
  g_test_summary ("C2: what was written before a schedule that merged is visible to the run");
  both_ways (other_thread);
}

/* ---- A sleeper (C2, C5): one event, then silence ---- */

typedef struct
{
  Target target;
  Op op;
  atomic_int sleeping;
} Sleeper;

static void *
wake_sleeper (void *data)
{
  Sleeper *sleeper = data;

  while (atomic_load (&sleeper->sleeping) == 0)
    nap (100);
  nap (5000);
  apply (&sleeper->target, sleeper->op);
  return NULL;
}

static void
sleep_until_run (Loop *loop,
                 Op    op)
{
  guint runs = 0;
  Sleeper sleeper = { { loop->context, aio_bh_new (loop->context, count_run, &runs) }, op, 0 };
  pthread_t thread;

  g_assert_cmpint (pthread_create (&thread, NULL, wake_sleeper, &sleeper), ==, 0);
  loop_iterate (loop, FALSE);
  atomic_store (&sleeper.sleeping, 1);
  while (runs == 0)
    loop_iterate (loop, TRUE);
  g_assert_cmpuint (runs, ==, 1);
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
  aio_bh_delete (sleeper.target.bh);
}

static void
sleeper (Loop *loop)
{
  guint round;

  for (round = 0; round < 10; round++)
    {
      sleep_until_run (loop, OP_SCHEDULE);
      sleep_until_run (loop, OP_IDLE);
    }
}

static void
test_sleeper (void)
{
  g_test_summary ("C2, C5: a schedule, and an idle one, from another thread reach a home thread "
                  "that sleeps without an end");
  both_ways (sleeper);
}

/* ---- Idle ones (C5, C9) ---- */

static void
idle_runs (Loop *loop)
{
  guint idle_runs_seen = 0, runs = 0;
  AioBH *idle = aio_bh_new (loop->context, count_run, &idle_runs_seen);
  AioBH *normal = aio_bh_new (loop->context, count_run, &runs);

  aio_bh_schedule_idle (idle);
  g_assert_true (aio_bh_is_scheduled (idle));
  g_assert_cmpuint (idle_runs_seen, ==, 0);
  loop_iterate (loop, FALSE);
  g_assert_cmpuint (idle_runs_seen, ==, 1);
  g_assert_false (aio_bh_is_scheduled (idle));
  loop_iterate (loop, FALSE);
  g_assert_cmpuint (idle_runs_seen, ==, 1);

  aio_bh_schedule_idle (idle);
  aio_bh_schedule (normal);
  g_assert_true (loop_iterate (loop, TRUE));
  g_assert_cmpuint (runs, ==, 1);
  g_assert_cmpuint (idle_runs_seen, ==, 2);

  aio_bh_schedule_idle (idle);
  while (idle_runs_seen == 2)
    loop_iterate (loop, TRUE);
  g_assert_cmpuint (idle_runs_seen, ==, 3);
  aio_bh_delete (idle);
  aio_bh_delete (normal);
}

static void
test_idle (void)
{
  g_test_summary ("C5: an idle one runs in an iteration that does not block, in one that "
                  "something else woke, and with nothing else to wake the loop");
  both_ways (idle_runs);
}

static gboolean
count_source (gpointer data)
{
  count_run (data);
  return G_SOURCE_REMOVE;
}

static void
test_idle_any_wake (void)
{
  GMainContext *main_context = g_main_context_new ();
  AioContext *context = aio_context_new ();
  GSource *source = g_idle_source_new ();
  guint runs = 0, sources = 0;
  AioBH *idle = aio_bh_new (context, count_run, &runs);

  g_test_summary ("C5: an iteration that a strange source woke is a pass for an idle one");
  aio_context_attach (context, main_context);
  g_source_set_priority (source, aio_context_get_priority (context));
  g_source_set_callback (source, count_source, &sources, NULL);
  g_source_attach (source, main_context);
  g_source_unref (source);
  aio_bh_schedule_idle (idle);
  g_assert_true (g_main_context_iteration (main_context, TRUE));
  g_assert_cmpuint (sources, ==, 1);
  g_assert_cmpuint (runs, ==, 1);

  aio_bh_schedule_idle (idle);
  aio_context_notify (context);
  g_main_context_iteration (main_context, TRUE);
  g_assert_cmpuint (runs, ==, 2);
  aio_bh_delete (idle);
  aio_context_unref (context);
  g_main_context_unref (main_context);
}

static void
test_idle_promotion (void)
{
  AioContext *context = aio_context_new ();
  guint runs = 0;
  AioBH *bh = aio_bh_new (context, count_run, &runs);

  g_test_summary ("C5, C9: an idle one is no progress; schedule makes a normal one of it; "
                  "schedule_idle on a scheduled one changes nothing");
  aio_bh_schedule_idle (bh);
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  g_assert_cmpuint (runs, ==, 1);
  aio_bh_schedule_idle (bh);
  g_assert_false (aio_context_poll (context, FALSE));
  g_assert_cmpuint (runs, ==, 2);

  aio_bh_schedule_idle (bh);
  aio_bh_schedule (bh);
  g_assert_cmpint (aio_bh_poll (context), ==, 1);
  g_assert_cmpuint (runs, ==, 3);
  aio_bh_schedule (bh);
  aio_bh_schedule_idle (bh);
  g_assert_cmpint (aio_bh_poll (context), ==, 1);
  g_assert_cmpuint (runs, ==, 4);
  aio_bh_schedule_idle (bh);
  aio_bh_schedule (bh);
  aio_bh_schedule_idle (bh);
  g_assert_true (aio_context_poll (context, TRUE));
  g_assert_cmpuint (runs, ==, 5);

  /* The promotion goes with the run. */
  aio_bh_schedule_idle (bh);
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  g_assert_cmpuint (runs, ==, 6);
  aio_bh_delete (bh);
  aio_context_unref (context);
}

static void *
schedule_thread (void *bh)
{
  aio_bh_schedule (bh);
  return NULL;
}

static void
test_promotion_wakes (void)
{
  AioContext *context = aio_context_new ();
  int fd = aio_context_get_fd (context);
  guint runs = 0;
  AioBH *bh = aio_bh_new (context, count_run, &runs);

  g_test_summary ("C5, C6: a promotion, and a schedule after a cancel, wake the thread that has "
                  "gone to sleep over the idle or cancelled entry");
  aio_bh_schedule_idle (bh);
  g_assert_cmpint (aio_context_get_timeout_ns (context), >, 0);
  g_assert_false (is_readable (fd));
  thread_run (schedule_thread, bh);
  g_assert_true (is_readable (fd));
  g_assert_true (aio_context_dispatch (context));
  g_assert_cmpuint (runs, ==, 1);

  aio_bh_schedule (bh);
  aio_bh_cancel (bh);
  g_assert_cmpint (aio_context_get_timeout_ns (context), <, 0);
  g_assert_false (is_readable (fd));
  thread_run (schedule_thread, bh);
  g_assert_true (is_readable (fd));
  g_assert_true (aio_context_dispatch (context));
  g_assert_cmpuint (runs, ==, 2);
  aio_bh_delete (bh);
  aio_context_unref (context);
}

static void
test_promotion_wakes_source (void)
{
  GMainContext *main_context = g_main_context_new ();
  AioContext *context = aio_context_new ();
  guint runs = 0;
  AioBH *bh = aio_bh_new (context, count_run, &runs);
  GPollFD fds[4];
  int priority, timeout, n;

  g_test_summary ("C5: the same under a GMainContext, between its prepare and its poll");
  aio_context_attach (context, main_context);
  g_assert_true (g_main_context_acquire (main_context));
  g_main_context_iteration (main_context, FALSE);
  aio_bh_schedule_idle (bh);
  g_assert_false (g_main_context_prepare (main_context, &priority));
  n = g_main_context_query (main_context, G_MAXINT, &timeout, fds, G_N_ELEMENTS (fds));
  g_assert_cmpint (timeout, >, 0);
  g_assert_cmpint (timeout, <=, 10);
  g_assert_cmpint (g_poll (fds, n, 0), ==, 0);
  thread_run (schedule_thread, bh);
  g_assert_cmpint (g_poll (fds, n, 0), >, 0);
  g_assert_true (g_main_context_check (main_context, G_MAXINT, fds, n));
  g_main_context_dispatch (main_context);
  g_assert_cmpuint (runs, ==, 1);
  g_main_context_release (main_context);
  aio_bh_delete (bh);
  aio_context_unref (context);
  g_main_context_unref (main_context);
}

static void
idle_again (gpointer data)
{
  Rerun *rerun = data;

  rerun->runs++;
  aio_bh_schedule_idle (rerun->bh);
}

/* Late wakeups only lower the counts, so a slow machine does not fail this. */
static void
idle_rate (Loop *loop)
{
  Rerun rerun = { .runs = 0 };
  guint iterations = 0;
  gint64 start, usec;

  rerun.bh = aio_bh_new (loop->context, idle_again, &rerun);
  aio_bh_schedule_idle (rerun.bh);
  start = g_get_monotonic_time ();
  do
    {
      loop_iterate (loop, TRUE);
      iterations++;
      usec = g_get_monotonic_time () - start;
    }
  while (usec < 300 * 1000);
  g_assert_cmpuint (rerun.runs, >, 0);
  g_assert_cmpuint (rerun.runs, <=, usec / 10000 + 2);
  g_assert_cmpuint (iterations, <=, usec / 10000 + 10);
  aio_bh_delete (rerun.bh);
}

static void
test_idle_rate (void)
{
  g_test_summary ("R13, C14: an idle one that schedules itself again causes at most 100 wakeups "
                  "a second and no busy loop");
  both_ways (idle_rate);
}

/* ---- What the poll returns (C9) and the timeout (C10) ---- */

static void
destroy_count (gpointer data)
{
  ++*(guint *) data;
}

static void
ignore_run (gpointer data)
{
}

static void *
delete_thread (void *bh)
{
  aio_bh_delete (bh);
  return NULL;
}

static void
test_poll_result (void)
{
  AioContext *context = aio_context_new ();
  guint runs = 0, destroyed = 0;
  AioBH *one = aio_bh_new (context, count_run, &runs);
  AioBH *two = aio_bh_new (context, count_run, &runs);

  g_test_summary ("C9, C11: aio_bh_poll returns 1 iff a bottom half that is not idle ran; a "
                  "cancelled one, a destroy notify and a notify are no progress");
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  aio_bh_schedule (one);
  g_assert_cmpint (aio_bh_poll (context), ==, 1);
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  aio_bh_schedule_idle (one);
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  aio_bh_schedule_idle (one);
  aio_bh_schedule (two);
  g_assert_cmpint (aio_bh_poll (context), ==, 1);
  aio_bh_schedule (two);
  aio_bh_schedule_idle (one);
  g_assert_cmpint (aio_bh_poll (context), ==, 1);
  g_assert_cmpuint (runs, ==, 6);

  aio_bh_schedule (one);
  aio_bh_cancel (one);
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  aio_context_notify (context);
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  aio_bh_schedule_oneshot (context, count_run, &runs);
  g_assert_cmpint (aio_bh_poll (context), ==, 1);
  g_assert_true (aio_context_post (context, count_run, &runs, NULL));
  g_assert_cmpint (aio_bh_poll (context), ==, 1);
  g_assert_cmpuint (runs, ==, 8);

  thread_run (delete_thread, aio_bh_new_full (context, "gone", ignore_run, &destroyed,
                                             destroy_count));
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  g_assert_cmpuint (destroyed, ==, 1);
  aio_bh_delete (one);
  aio_bh_delete (two);
  aio_context_unref (context);
}

static void
test_many_registered (void)
{
  const guint n_registered = 100000, n_rounds = 1000000;
  AioContext *context = aio_context_new ();
  AioBH **bhs = g_new (AioBH *, n_registered);
  guint runs = 0, i;

  g_test_summary ("C9: a pass costs what is scheduled, whatever is registered: a walk over all "
                  "of them would take minutes here");
  for (i = 0; i < n_registered; i++)
    bhs[i] = aio_bh_new (context, count_run, &runs);
  for (i = 0; i < n_rounds; i++)
    {
      aio_bh_schedule (bhs[i % n_registered]);
      g_assert_cmpint (aio_bh_poll (context), ==, 1);
    }
  g_assert_cmpuint (runs, ==, n_rounds);
  for (i = 0; i < n_registered; i++)
    aio_bh_delete (bhs[i]);
  g_free (bhs);
  aio_context_unref (context);
}

static void
assert_timeout (AioContext *context,
                guint32     before,
                guint32     after)
{
  guint32 timeout = before;

  aio_bh_update_timeout (context, &timeout);
  g_assert_cmpuint (timeout, ==, after);
}

/* A value that is lowered for idle ones only: to 10 ms at most, but not to a busy loop. */
static void
assert_idle_timeout (AioContext *context)
{
  static const guint32 values[] = { 10, 11, 1000, G_MAXINT32, 0x80000000u, G_MAXUINT32 };
  guint32 timeout;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (values); i++)
    {
      timeout = values[i];
      aio_bh_update_timeout (context, &timeout);
      g_assert_cmpuint (timeout, >, 0);
      g_assert_cmpuint (timeout, <=, 10);
    }
  assert_timeout (context, 0, 0);
  assert_timeout (context, 1, 1);
  assert_timeout (context, 5, 5);
}

static void
assert_no_timeout (AioContext *context)
{
  static const guint32 values[] = { 0, 1, 10, 11, G_MAXINT32, 0x80000000u, G_MAXUINT32 };
  guint i;

  for (i = 0; i < G_N_ELEMENTS (values); i++)
    assert_timeout (context, values[i], values[i]);
}

static void
assert_zero_timeout (AioContext *context)
{
  assert_timeout (context, 0, 0);
  assert_timeout (context, 7, 0);
  assert_timeout (context, G_MAXINT32, 0);
  assert_timeout (context, G_MAXUINT32, 0);
}

static void
test_timeout (void)
{
  AioContext *context = aio_context_new ();
  guint runs = 0;
  AioBH *normal = aio_bh_new (context, count_run, &runs);
  AioBH *idle = aio_bh_new (context, count_run, &runs);

  g_test_summary ("C10, R14: update_timeout lowers the value to 0 for a normal one, to at most "
                  "10 for idle ones, keeps a smaller one, and leaves it alone without any");
  assert_no_timeout (context);
  aio_bh_schedule (normal);
  assert_zero_timeout (context);
  aio_bh_schedule_idle (idle);
  assert_zero_timeout (context);
  aio_bh_cancel (normal);
  assert_idle_timeout (context);
  aio_bh_schedule (idle);
  assert_zero_timeout (context);
  aio_bh_poll (context);
  assert_no_timeout (context);

  aio_bh_schedule_idle (idle);
  assert_idle_timeout (context);
  aio_bh_schedule (normal);
  assert_zero_timeout (context);
  aio_bh_poll (context);
  assert_no_timeout (context);
  aio_bh_schedule_oneshot (context, count_run, &runs);
  assert_zero_timeout (context);
  aio_bh_poll (context);
  aio_context_post (context, count_run, &runs, NULL);
  assert_zero_timeout (context);
  aio_bh_poll (context);
  assert_no_timeout (context);
  g_assert_cmpuint (runs, ==, 5);
  aio_bh_delete (normal);
  aio_bh_delete (idle);
  aio_context_unref (context);
}

static void
test_timeout_cancelled (void)
{
  AioContext *context = aio_context_new ();
  guint runs = 0;
  AioBH *normal = aio_bh_new (context, count_run, &runs);
  AioBH *idle = aio_bh_new (context, count_run, &runs);

  g_test_summary ("C10, C7: cancelled ones do not count, nor do those that were deleted while "
                  "they were pending");
  aio_bh_schedule (normal);
  aio_bh_cancel (normal);
  assert_no_timeout (context);
  aio_bh_schedule_idle (idle);
  aio_bh_cancel (idle);
  assert_no_timeout (context);
  aio_bh_schedule_idle (idle);
  aio_bh_schedule (idle);
  aio_bh_cancel (idle);
  assert_no_timeout (context);
  aio_bh_schedule_idle (idle);
  assert_idle_timeout (context);
  aio_bh_cancel (idle);
  aio_bh_schedule (idle);
  assert_zero_timeout (context);
  aio_bh_cancel (idle);
  aio_bh_schedule_idle (idle);
  assert_idle_timeout (context);

  aio_bh_schedule (normal);
  assert_zero_timeout (context);
  aio_bh_poll (context);
  g_assert_cmpuint (runs, ==, 2);
  aio_bh_schedule (normal);
  aio_bh_schedule_idle (idle);
  aio_bh_delete (normal);
  assert_idle_timeout (context);
  aio_bh_delete (idle);
  assert_no_timeout (context);
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  g_assert_cmpuint (runs, ==, 2);
  aio_context_unref (context);
}

/* ---- Names, references, dead ones ---- */

static void
test_name (void)
{
  AioContext *context = aio_context_new ();
  char name[] = "of the moment";
  guint runs = 0;
  AioBH *macro = aio_bh_new (context, count_run, &runs);
  AioBH *function = (aio_bh_new) (context, count_run, &runs);
  AioBH *full = aio_bh_new_full (context, name, count_run, &runs, NULL);

  g_test_summary ("C7: the macro names a bottom half after its function, a given name is "
                  "interned, and the function under the macro works too");
  memset (name, '-', strlen (name));
  g_assert_cmpstr (aio_bh_get_name (macro), ==, "count_run");
  g_assert_cmpstr (aio_bh_get_name (full), ==, "of the moment");
  g_assert_true (aio_bh_get_name (full) == g_intern_string ("of the moment"));
  aio_bh_schedule (macro);
  aio_bh_schedule (function);
  aio_bh_schedule (full);
  g_assert_cmpint (aio_bh_poll (context), ==, 1);
  g_assert_cmpuint (runs, ==, 3);
  aio_bh_delete (macro);
  aio_bh_delete (function);
  aio_bh_delete (full);
  aio_context_unref (context);
}

static void
test_references (void)
{
  AioContext *context = aio_context_new ();
  guint destroyed = 0;
  AioBH *bh = aio_bh_new_full (context, "kept", ignore_run, &destroyed, destroy_count);

  g_test_summary ("C7: references only keep the pointer valid: dropping them deletes nothing; "
                  "the boxed type and g_autoptr count them");
  {
    g_autoptr (AioBH) kept = aio_bh_ref (bh);
    AioBH *boxed = g_boxed_copy (AIO_TYPE_BH, kept);

    g_assert_true (kept == bh);
    g_assert_true (boxed == bh);
    g_boxed_free (AIO_TYPE_BH, boxed);
  }
  g_assert_cmpuint (destroyed, ==, 0);
  g_assert_true (aio_bh_get_context (bh) == context);
  aio_bh_schedule (bh);
  g_assert_cmpint (aio_bh_poll (context), ==, 1);

  aio_bh_ref (bh);
  aio_bh_delete (bh);
  g_assert_cmpuint (destroyed, ==, 1);
  g_assert_cmpstr (aio_bh_get_name (bh), ==, "kept");
  aio_bh_unref (bh);
  aio_context_unref (context);
}

static void
assert_dead (AioBH *bh)
{
  g_assert_null (aio_bh_get_context (bh));
  aio_bh_schedule (bh);
  g_assert_false (aio_bh_is_scheduled (bh));
  aio_bh_schedule_idle (bh);
  g_assert_false (aio_bh_is_scheduled (bh));
  g_assert_false (aio_bh_cancel (bh));
  g_assert_false (aio_bh_cancel_sync (bh));
  g_assert_cmpstr (aio_bh_get_name (bh), ==, "mortal");
}

static void
test_dead_deleted (void)
{
  AioContext *context = aio_context_new ();
  guint destroyed = 0;
  g_autoptr (AioBH) bh = aio_bh_ref (aio_bh_new_full (context, "mortal", ignore_run, &destroyed,
                                                      destroy_count));

  g_test_summary ("C7: on a deleted one schedule and cancel do nothing, silently, and a second "
                  "delete is a no-op, also when the context is gone");
  aio_bh_poll (context);
  aio_bh_schedule (bh);
  aio_bh_delete (bh);
  g_assert_cmpuint (destroyed, ==, 1);
  assert_dead (bh);
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  aio_bh_delete (bh);
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  aio_context_unref (context);
  assert_dead (bh);
  aio_bh_delete (bh);
  g_assert_cmpuint (destroyed, ==, 1);
}

static void
test_dead_orphaned (void)
{
  AioContext *context = aio_context_new ();
  guint destroyed = 0;
  g_autoptr (AioBH) bh = aio_bh_ref (aio_bh_new_full (context, "mortal", ignore_run, &destroyed,
                                                      destroy_count));

  g_test_summary ("C7, C24, R10: one that was never deleted dies with its context, which names "
                  "it; the reference stays valid and everything on it is a no-op");
  aio_bh_schedule (bh);
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*mortal*");
  aio_context_unref (context);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (destroyed, ==, 1);
  assert_dead (bh);
  aio_bh_delete (bh);
  g_assert_cmpuint (destroyed, ==, 1);
}

/* ---- What rests costs nothing (C9, R26) ---- */

#define N_RESTING 20000

static int
compare_addresses (gconstpointer a,
                   gconstpointer b)
{
  guintptr x = *(const guintptr *) a, y = *(const guintptr *) b;

  return (x > y) - (x < y);
}

/* The longest stretch of memory in which nothing lies but the bottom halves: whole pages of it. */
static void *
find_stretch (guintptr *addresses,
              gsize    *length)
{
  const guintptr page = sysconf (_SC_PAGESIZE);
  guintptr best = 0, first = addresses[0];
  guint i;

  qsort (addresses, N_RESTING, sizeof *addresses, compare_addresses);
  *length = 0;
  first = addresses[0];
  for (i = 1; i < N_RESTING; i++)
    {
      guintptr begin = (first + page - 1) & ~(page - 1);
      guintptr end = addresses[i] & ~(page - 1);

      if (addresses[i] - addresses[i - 1] > 1024)
        first = addresses[i];
      else if (end > begin && end - begin > *length)
        {
          best = begin;
          *length = end - begin;
        }
    }
  return (void *) best;
}

static void
test_resting (void)
{
  AioContext *context = aio_context_new ();
  guintptr *addresses = g_new (guintptr, N_RESTING);
  AioBH **resting = g_new (AioBH *, N_RESTING);
  guint runs = 0, i, round;
  AioBH *bh;
  gsize length;
  void *stretch;

  g_test_summary ("C9, R26: a schedule and a poll touch nothing of the bottom halves that rest: "
                  "their memory cannot even be read meanwhile");

  for (i = 0; i < N_RESTING; i++)
    {
      resting[i] = aio_bh_new (context, count_run, &runs);
      addresses[i] = (guintptr) resting[i];
    }
  stretch = find_stretch (addresses, &length);
  bh = aio_bh_new (context, count_run, &runs);
  aio_bh_schedule (bh);
  aio_bh_poll (context);

  g_assert_cmpuint (length, >, N_RESTING * 64);
  g_assert_cmpint (mprotect (stretch, length, PROT_NONE), ==, 0);
  for (round = 0; round < 10; round++)
    {
      aio_bh_schedule (bh);
      g_assert_cmpint (aio_bh_poll (context), ==, 1);
      aio_bh_schedule (bh);
      g_assert_true (aio_context_poll (context, TRUE));
      g_assert_false (aio_context_poll (context, FALSE));
    }
  g_assert_cmpint (mprotect (stretch, length, PROT_READ | PROT_WRITE), ==, 0);
  g_assert_cmpuint (runs, ==, 21);

  for (i = 0; i < N_RESTING; i++)
    aio_bh_delete (resting[i]);
  aio_bh_delete (bh);
  aio_context_unref (context);
  g_free (resting);
  g_free (addresses);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  aio_test_add ("/bh/clean/awake", test_clean_awake);
  aio_test_add ("/bh/clean/asleep", test_clean_asleep);
  aio_test_add ("/bh/clean/full", test_clean_full);
  aio_test_add ("/bh/merge", test_merge);
  aio_test_add ("/bh/during-callback", test_during_callback);
  aio_test_add ("/bh/other-thread", test_other_thread);
  aio_test_add ("/bh/sleeper", test_sleeper);
  aio_test_add ("/bh/idle/runs", test_idle);
  aio_test_add ("/bh/idle/any-wake", test_idle_any_wake);
  aio_test_add ("/bh/idle/promotion", test_idle_promotion);
  aio_test_add ("/bh/idle/promotion-wakes", test_promotion_wakes);
  aio_test_add ("/bh/idle/promotion-wakes-source", test_promotion_wakes_source);
  aio_test_add ("/bh/idle/rate", test_idle_rate);
  aio_test_add ("/bh/poll-result", test_poll_result);
  aio_test_add ("/bh/many-registered", test_many_registered);
  aio_test_add ("/bh/timeout/values", test_timeout);
  aio_test_add ("/bh/timeout/cancelled", test_timeout_cancelled);
  aio_test_add ("/bh/name", test_name);
  aio_test_add ("/bh/references", test_references);
  aio_test_add ("/bh/dead/deleted", test_dead_deleted);
  aio_test_add ("/bh/dead/orphaned", test_dead_orphaned);
  aio_test_add ("/bh/resting", test_resting);
  return g_test_run ();
}
