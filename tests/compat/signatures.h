/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Calls in each form that C and C++ share. */

static int notifier_counter;

static inline void
count (void *opaque)
{
  ++*(int *) opaque;
}

static inline int
never_busy (void *opaque)
{
  return *(int *) opaque < 0;
}

static inline bool
never_ready (void *opaque)
{
  (void) opaque;
  return false;
}

static inline void
notifier_count (EventNotifier *e)
{
  (void) e;
  notifier_counter++;
}

static inline int
notifier_busy (EventNotifier *e)
{
  (void) e;
  return 0;
}

static inline void
test_contexts (void)
{
  Error *error = NULL;
  Error **errp = &error;
  AioContext *contexts[] = { aio_context_new (), aio_context_new (NULL), aio_context_new (&error),
                             aio_context_new (errp), aio_context_new ((&error)) };

  g_test_summary ("C27: a context with and without an Error");
  g_assert_true (error == NULL);
  for (size_t i = 0; i < ARRAY_SIZE (contexts); i++)
    aio_context_unref (contexts[i]);
}

static inline void
test_bhs (void)
{
  int n = 0;
  AioContext *ctx = aio_context_new ();
  MemReentrancyGuard guard = { false };
  QEMUBH *bhs[6];

  g_test_summary ("C2: bottom halves with and without name and guard");
  bhs[0] = aio_bh_new (ctx, count, &n);
  bhs[1] = aio_bh_new_full (ctx, count, &n, "full");
  bhs[2] = aio_bh_new_full (ctx, count, &n, "full", &guard);
  bhs[3] = qemu_bh_new (count, &n);
  bhs[4] = qemu_bh_new_full (count, &n, "full");
  bhs[5] = qemu_bh_new_full (count, &n, "full", NULL);
  aio_bh_schedule_oneshot (ctx, count, &n);
  aio_bh_schedule_oneshot_full (ctx, count, &n, "oneshot");
  g_assert_cmpstr (aio_bh_get_name (bhs[0]), ==, "count");
  g_assert_cmpstr (aio_bh_get_name (bhs[2]), ==, "full");
  for (int i = 0; i < 6; i++)
    qemu_bh_schedule (bhs[i]);
  while (aio_bh_poll (ctx) || qemu_bh_poll ())
    ;
  g_assert_cmpint (n, ==, 8);
  for (int i = 0; i < 6; i++)
    qemu_bh_delete (bhs[i]);
  aio_context_unref (ctx);
}

static inline void
test_timers (void)
{
  int n = 0;
  AioContext *ctx = aio_context_new (NULL);
  QEMUTimer *timer = aio_timer_new (ctx, QEMU_CLOCK_REALTIME, SCALE_MS, count, &n);
  QEMUTimer embedded;

  g_test_summary ("C22: timers of a context and of the main loop");
  aio_timer_init (ctx, &embedded, QEMU_CLOCK_REALTIME, SCALE_NS, count, &n);
  timer_mod (timer, 0);
  timer_mod (&embedded, 0);
  aio_poll (ctx, true);
  g_assert_cmpint (n, ==, 2);
  timer_free (timer);
  timer_del (&embedded);
  aio_context_unref (ctx);
}

static inline void
test_handlers (void)
{
  int n = 0, fds[2];
  AioContext *ctx = aio_context_new (NULL);
  EventNotifier e;

  g_test_summary ("C20: handlers of 2012, of 2013 and of today");
  g_assert_cmpint (pipe (fds), ==, 0);
  g_assert_cmpint (event_notifier_init (&e, true), ==, 0);
  aio_set_fd_handler (ctx, fds[1], NULL, count, &n);
  aio_poll (ctx, false);
  aio_set_fd_handler (ctx, fds[1], NULL, count, never_busy, &n);
  aio_poll (ctx, false);
  aio_set_fd_handler (ctx, fds[1], NULL, count, never_ready, NULL, &n);
  aio_poll (ctx, false);
  g_assert_cmpint (n, ==, 3);
  aio_set_fd_handler (ctx, fds[1], NULL, NULL, NULL);

  notifier_counter = 0;
  aio_set_event_notifier (ctx, &e, notifier_count);
  aio_poll (ctx, false);
  aio_set_event_notifier (ctx, &e, notifier_count, notifier_busy);
  aio_poll (ctx, false);
  aio_set_event_notifier (ctx, &e, notifier_count, never_ready, notifier_count);
  aio_poll (ctx, false);
  g_assert_cmpint (notifier_counter, ==, 3);
  notifier_counter = 0;
  aio_set_event_notifier (ctx, &e, NULL);
  event_notifier_set_handler (&e, NULL);
  event_notifier_cleanup (&e);
  close (fds[0]);
  close (fds[1]);
  aio_context_unref (ctx);
}

static inline void *
thread_func (void *arg)
{
  return arg;
}

static inline void
test_threads (void)
{
  int token = 0;
  QemuThread thread;

  g_test_summary ("C26: threads with and without a name");
  qemu_thread_create (&thread, thread_func, &token, QEMU_THREAD_JOINABLE);
  g_assert_true (qemu_thread_join (&thread) == &token);
  qemu_thread_create (&thread, "a-name-that-is-too-long", thread_func, &token,
                      QEMU_THREAD_JOINABLE);
  g_assert_true (qemu_thread_join (&thread) == &token);
}

static inline void
test_locks (void)
{
  QemuMutex mutex;
  QemuRecMutex rec;
  QemuCond cond;
  QemuSemaphore sem;
  QemuEvent event;
  QemuSpin spin;

  g_test_summary ("C28: locks that nobody else holds");
  qemu_mutex_init (&mutex);
  qemu_cond_init (&cond);
  qemu_mutex_lock (&mutex);
  g_assert_cmpint (qemu_mutex_trylock (&mutex), !=, 0);
  g_assert_false (qemu_cond_timedwait (&cond, &mutex, 1));
  qemu_cond_signal (&cond);
  qemu_cond_broadcast (&cond);
  qemu_mutex_unlock (&mutex);
  qemu_cond_destroy (&cond);
  qemu_mutex_destroy (&mutex);
  qemu_rec_mutex_init (&rec);
  qemu_rec_mutex_lock (&rec);
  g_assert_cmpint (qemu_rec_mutex_trylock (&rec), ==, 0);
  qemu_rec_mutex_unlock (&rec);
  qemu_rec_mutex_unlock (&rec);
  qemu_rec_mutex_destroy (&rec);
  qemu_sem_init (&sem, 1);
  qemu_sem_wait (&sem);
  g_assert_cmpint (qemu_sem_timedwait (&sem, 1), ==, -1);
  qemu_sem_post (&sem);
  g_assert_cmpint (qemu_sem_timedwait (&sem, 1), ==, 0);
  qemu_sem_destroy (&sem);
  qemu_event_init (&event, false);
  qemu_event_set (&event);
  qemu_event_wait (&event);
  qemu_event_reset (&event);
  qemu_event_destroy (&event);
  qemu_spin_init (&spin);
  qemu_spin_lock (&spin);
  g_assert_true (qemu_spin_trylock (&spin));
  qemu_spin_unlock (&spin);
}

static inline void
test_main_loop (void)
{
  Error *error = NULL;

  g_test_summary ("C18: the main loop with and without an Error");
  g_assert_cmpint (qemu_init_main_loop (), ==, 0);
  g_assert_cmpint (qemu_init_main_loop (&error), ==, 0);
  g_assert_cmpint (qemu_init_main_loop (NULL), ==, 0);
  main_loop_wait (true);
}

static inline void
add_signature_tests (void)
{
  /* The main loop keeps its descriptors. */
  qemu_init_main_loop ();
  qemu_set_fd_handler (0, NULL, NULL, NULL);
  aio_test_add ("/signatures/contexts", test_contexts);
  aio_test_add ("/signatures/bhs", test_bhs);
  aio_test_add ("/signatures/timers", test_timers);
  aio_test_add ("/signatures/handlers", test_handlers);
  aio_test_add ("/signatures/threads", test_threads);
  aio_test_add ("/signatures/locks", test_locks);
  aio_test_add ("/signatures/main-loop", test_main_loop);
}
