/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What code of the years in between uses: the lock of a context, timers and handlers that other
 * threads set, loops of one's own in threads of one's own. */
#include "qemu/osdep.h"
#include "block/aio-wait.h"
#include "block/aio.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/thread.h"
#include "qemu/timer.h"
#include "sysemu/iothread.h"

#include "../aio-test.h"

/* --- Locks ------------------------------------------------------------------------------------ */

typedef struct
{
  AioContext *ctx;
  EventNotifier e;
  atomic_bool acquired;
} AcquireTest;

static void
ready_cb (EventNotifier *e)
{
  event_notifier_test_and_clear (e);
}

static void *
acquire_thread (void *opaque)
{
  AcquireTest *test = opaque;

  event_notifier_set (&test->e);
  aio_context_acquire (test->ctx);
  atomic_store (&test->acquired, true);
  aio_context_release (test->ctx);
  return NULL;
}

static void
test_acquire (void)
{
  AcquireTest test = { .ctx = aio_context_new (NULL) };
  QemuThread threads[4];

  g_test_summary ("C17: a context that this thread has acquired, even twice, keeps others waiting");
  event_notifier_init (&test.e, false);
  aio_set_event_notifier (test.ctx, &test.e, false, ready_cb, NULL, NULL);
  aio_context_acquire (test.ctx);
  aio_context_acquire (test.ctx);
  for (size_t i = 0; i < ARRAY_SIZE (threads); i++)
    qemu_thread_create (&threads[i], "acquire", acquire_thread, &test, QEMU_THREAD_JOINABLE);
  g_assert_true (aio_poll (test.ctx, true));
  g_assert_false (atomic_load (&test.acquired));
  aio_context_release (test.ctx);
  g_usleep (2000);
  g_assert_false (atomic_load (&test.acquired));
  aio_context_release (test.ctx);
  for (size_t i = 0; i < ARRAY_SIZE (threads); i++)
    qemu_thread_join (&threads[i]);
  g_assert_true (atomic_load (&test.acquired));
  aio_set_event_notifier (test.ctx, &test.e, false, NULL, NULL, NULL);
  event_notifier_cleanup (&test.e);
  aio_context_unref (test.ctx);
}

static void
test_not_acquired (void)
{
  AioContext *ctx = aio_context_new (NULL);

  g_test_summary ("C28: to release what was not acquired is a critical warning");
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*has not acquired AioContext*");
  aio_context_release (ctx);
  g_test_assert_expected_messages ();
  aio_context_acquire (ctx);
  aio_context_release (ctx);
  aio_context_unref (ctx);
}

static gint64 shared;           /* guarded by the lock of the context */

static void *
add_thread (void *opaque)
{
  for (int i = 0; i < 2000; i++)
    {
      aio_context_acquire (opaque);
      shared++;
      aio_context_release (opaque);
    }
  return NULL;
}

static void
test_exclusion (void)
{
  AioContext *ctx = aio_context_new (NULL);
  QemuThread threads[3];

  g_test_summary ("C30: who has acquired the context is alone");
  shared = 0;
  for (size_t i = 0; i < ARRAY_SIZE (threads); i++)
    qemu_thread_create (&threads[i], "add", add_thread, ctx, QEMU_THREAD_JOINABLE);
  for (size_t i = 0; i < ARRAY_SIZE (threads); i++)
    qemu_thread_join (&threads[i]);
  g_assert_cmpint (shared, ==, 6000);
  aio_context_unref (ctx);
}

static atomic_bool done;

static void
finish_locked (void *opaque)
{
  aio_context_acquire (opaque);
  atomic_store (&done, true);
  aio_context_release (opaque);
  aio_wait_kick ();
}

static void
test_wait_while (void)
{
  IOThread *iothread = iothread_create ("lock", &error_abort);
  AioContext *ctx = iothread_get_aio_context (iothread);

  g_test_summary ("C12: AIO_WAIT_WHILE() lets others acquire the context meanwhile, however often "
                  "it is held, and has it again afterwards");
  for (int depth = 0; depth < 3; depth++)
    {
      atomic_store (&done, false);
      for (int i = 0; i < depth; i++)
        aio_context_acquire (ctx);
      aio_bh_schedule_oneshot (ctx, finish_locked, ctx);
      AIO_WAIT_WHILE (ctx, !atomic_load (&done));
      for (int i = 0; i < depth; i++)
        aio_context_release (ctx);
    }
  iothread_destroy (iothread);
}

/* --- The global mutex ------------------------------------------------------------------------- */

static int guarded;             /* by the global mutex */

static void
touch (void *opaque)
{
  (void) opaque;
  g_assert_true (qemu_mutex_iothread_locked ());
  guarded++;
}

static void *
touch_thread (void *opaque)
{
  for (int i = 0; i < 500; i++)
    {
      qemu_mutex_lock_iothread ();
      guarded++;
      qemu_bh_schedule (opaque);
      qemu_mutex_unlock_iothread ();
    }
  atomic_store (&done, true);
  qemu_notify_event ();
  return NULL;
}

static void
test_global_mutex (void)
{
  QemuThread thread;
  QEMUBH *bh = qemu_bh_new (touch, NULL);

  g_test_summary ("C18, C30: callbacks of main_loop_wait() have the global mutex, whether its "
                  "caller has it or not, and the sleep has not");
  for (int held = 0; held < 2; held++)
    {
      atomic_store (&done, false);
      guarded = 0;
      qemu_thread_create (&thread, "touch", touch_thread, bh, QEMU_THREAD_JOINABLE);
      if (held)
        qemu_mutex_lock_iothread ();
      while (!atomic_load (&done))
        main_loop_wait (false);
      if (held)
        qemu_mutex_unlock_iothread ();
      g_assert_false (qemu_mutex_iothread_locked ());
      qemu_thread_join (&thread);
      main_loop_wait (true);
      g_assert_cmpint (guarded, >, 500);
      g_assert_cmpint (guarded, <=, 1000);
    }
  qemu_bh_delete (bh);
}

/* --- Other threads ---------------------------------------------------------------------------- */

static void
count (void *opaque)
{
  atomic_fetch_add ((atomic_int *) opaque, 1);
}

static void
test_timers_of_others (void)
{
  IOThread *iothread = iothread_create ("timers", &error_abort);
  AioContext *ctx = iothread_get_aio_context (iothread);
  QEMUTimer *timers[32];
  atomic_int n = 0;
  int deleted = 0;

  g_test_summary ("C22, R18: timers of an I/O thread are armed, moved, deleted, freed from here");
  for (size_t i = 0; i < ARRAY_SIZE (timers); i++)
    {
      timers[i] = aio_timer_new (ctx, QEMU_CLOCK_REALTIME, SCALE_MS, count, &n);
      timer_mod (timers[i], qemu_clock_get_ms (QEMU_CLOCK_REALTIME) + 1000000);
      g_assert_true (timer_pending (timers[i]));
    }
  for (size_t i = 0; i < ARRAY_SIZE (timers); i += 2, deleted++)
    {
      timer_del (timers[i]);
      g_assert_false (timer_pending (timers[i]));
    }
  for (size_t i = 1; i < ARRAY_SIZE (timers); i += 2)
    timer_mod (timers[i], qemu_clock_get_ms (QEMU_CLOCK_REALTIME) + 1);
  while (atomic_load (&n) + deleted < (int) ARRAY_SIZE (timers))
    g_usleep (100);
  iothread_stop (iothread);
  for (size_t i = 0; i < ARRAY_SIZE (timers); i++)
    timer_free (timers[i]);
  iothread_destroy (iothread);
}

typedef struct
{
  AioContext *ctx;
  EventNotifier e;
  atomic_bool stop;
  atomic_int events;
} OwnLoop;

static void
own_event (EventNotifier *e)
{
  OwnLoop *loop = container_of (e, OwnLoop, e);

  g_assert_true (qemu_get_current_aio_context () == loop->ctx);
  if (event_notifier_test_and_clear (e))
    atomic_fetch_add (&loop->events, 1);
}

static void *
own_loop_thread (void *opaque)
{
  OwnLoop *loop = opaque;

  qemu_set_current_aio_context (loop->ctx);
  while (!atomic_load (&loop->stop))
    aio_poll (loop->ctx, true);
  return NULL;
}

static void
stop_own_loop (void *opaque)
{
  atomic_store (&((OwnLoop *) opaque)->stop, true);
}

static void
test_own_loop (void)
{
  OwnLoop loop = { .ctx = aio_context_new (&error_abort) };
  QemuThread thread;
  int n = 0;

  g_test_summary ("C17, C20: a thread with a loop of its own, whose handlers are set from here");
  event_notifier_init (&loop.e, false);
  qemu_thread_create (&thread, "own-loop", own_loop_thread, &loop, QEMU_THREAD_JOINABLE);
  aio_set_event_notifier (loop.ctx, &loop.e, own_event, NULL, NULL);
  for (int i = 1; i <= 50; i++)
    {
      event_notifier_set (&loop.e);
      while (atomic_load (&loop.events) < i)
        g_usleep (20);
    }
  aio_wait_bh_oneshot (loop.ctx, stop_own_loop, &loop);
  qemu_thread_join (&thread);
  aio_set_event_notifier (loop.ctx, &loop.e, NULL, NULL, NULL);
  event_notifier_cleanup (&loop.e);
  aio_bh_schedule_oneshot (loop.ctx, count, &n);
  aio_context_unref (loop.ctx);
  g_assert_cmpint (n, ==, 0);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  qemu_init_main_loop (&error_abort);
  aio_test_add ("/lock/acquire", test_acquire);
  aio_test_add ("/lock/not-acquired", test_not_acquired);
  aio_test_add ("/lock/exclusion", test_exclusion);
  aio_test_add ("/lock/wait-while", test_wait_while);
  aio_test_add ("/lock/global-mutex", test_global_mutex);
  aio_test_add ("/threads/timers", test_timers_of_others);
  aio_test_add ("/threads/own-loop", test_own_loop);
  return g_test_run ();
}
