/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The global context and the main loop, by their names of 2012 and later. */
#include "main-loop.h"
#include "qemu-aio.h"
#include "qapi/error.h"
#include "../aio-test.h"

#include <signal.h>
#include <sys/resource.h>

static void
count (void *opaque)
{
  ++*(int *) opaque;
}

static void
test_bh (void)
{
  int n = 0;
  QEMUBH *bh = qemu_bh_new (count, &n);
  uint32_t timeout = 1000;

  g_test_summary ("C9, C10: bottom halves of the global context");
  g_assert_true (aio_bh_get_context (bh) == qemu_get_aio_context ());
  g_assert_cmpint (qemu_bh_poll (), ==, 0);
  qemu_bh_update_timeout (&timeout);
  g_assert_cmpuint (timeout, ==, 1000);
  qemu_bh_schedule (bh);
  qemu_bh_update_timeout (&timeout);
  g_assert_cmpuint (timeout, ==, 0);
  g_assert_cmpint (qemu_bh_poll (), ==, 1);
  g_assert_cmpint (n, ==, 1);
  qemu_bh_schedule (bh);
  while (n == 1)
    main_loop_wait (false);
  g_assert_cmpint (n, ==, 2);
  qemu_bh_delete (bh);
}

static void
test_notify_event (void)
{
  g_test_summary ("C12: qemu_notify_event() ends main_loop_wait()");
  qemu_notify_event ();
  main_loop_wait (false);
  main_loop_wait (true);
}

/* --- qemu_set_fd_handler2 --------------------------------------------------------------------- */

typedef struct
{
  int fds[2];
  int room;             /* how many bytes may be read */
  int reads;
  int asked;
} Channel;

static int
can_read (void *opaque)
{
  Channel *channel = opaque;

  channel->asked++;
  return channel->room;
}

static void
channel_read (void *opaque)
{
  Channel *channel = opaque;
  char c;

  g_assert_cmpint (channel->room, >, 0);
  g_assert_cmpint (read (channel->fds[0], &c, 1), ==, 1);
  channel->room--;
  channel->reads++;
}

static void
channel_write (void *opaque)
{
  Channel *channel = opaque;

  g_assert_cmpint (write (channel->fds[1], "ab", 2), ==, 2);
  qemu_set_fd_handler (channel->fds[1], NULL, NULL, NULL);
}

static void
channel_open (Channel *channel)
{
  g_assert_cmpint (pipe (channel->fds), ==, 0);
}

static void
channel_close (Channel *channel)
{
  qemu_set_fd_handler2 (channel->fds[0], NULL, NULL, NULL, NULL);
  qemu_set_fd_handler2 (channel->fds[1], NULL, NULL, NULL, NULL);
  close (channel->fds[0]);
  close (channel->fds[1]);
}

static void
test_can_read (void)
{
  Channel channel = { .room = 1 };

  g_test_summary ("C20: input is read while the predicate says so, and the loop does not spin "
                  "while it does not");
  channel_open (&channel);
  g_assert_cmpint (qemu_set_fd_handler2 (channel.fds[0], can_read, channel_read, NULL, &channel),
                   ==, 0);
  g_assert_cmpint (qemu_set_fd_handler (channel.fds[1], NULL, channel_write, &channel), ==, 0);
  while (channel.reads == 0)
    main_loop_wait (false);
  g_assert_cmpint (channel.asked, >, 0);
  /* There may be a late wakeup, but not one each time. */
  for (int i = 0; i < 4; i++)
    main_loop_wait (true);
  g_assert_cmpint (main_loop_wait (true), ==, 0);
  g_assert_cmpint (channel.reads, ==, 1);
  channel.room = 5;
  while (channel.reads == 1)
    main_loop_wait (false);
  g_assert_cmpint (channel.reads, ==, 2);
  channel_close (&channel);
  main_loop_wait (true);
}

static void
test_not_in_aio_wait (void)
{
  Channel channel = { .room = 5 };

  g_test_summary ("C20: waiting for the global context does not run handlers of the main loop");
  channel_open (&channel);
  qemu_set_fd_handler (channel.fds[0], channel_read, NULL, &channel);
  g_assert_cmpint (write (channel.fds[1], "x", 1), ==, 1);
  aio_poll (qemu_get_aio_context (), false);
  g_assert_false (qemu_aio_wait ());
  g_assert_cmpint (channel.reads, ==, 0);
  while (channel.reads == 0)
    main_loop_wait (false);
  channel_close (&channel);
}

static void
test_fill_and_poll (void)
{
  Channel channel = { .room = 0 };
  GArray *pollfds = g_array_new (FALSE, FALSE, sizeof (GPollFD));
  fd_set reads, writes, errors;
  int n = -1;

  g_test_summary ("C20: a loop of one's own, around select() and around g_poll()");
  channel_open (&channel);
  qemu_set_fd_handler2 (channel.fds[0], can_read, channel_read, NULL, &channel);
  g_assert_cmpint (write (channel.fds[1], "xyz", 3), ==, 3);
  FD_ZERO (&reads);
  FD_ZERO (&writes);
  FD_ZERO (&errors);
  qemu_iohandler_fill (&n, &reads, &writes, &errors);
  g_assert_cmpint (n, ==, -1);
  channel.room = 2;
  qemu_iohandler_fill (&n, &reads, &writes, &errors);
  g_assert_cmpint (n, ==, channel.fds[0]);
  n = select (n + 1, &reads, &writes, &errors, NULL);
  g_assert_cmpint (n, ==, 1);
  qemu_iohandler_poll (&reads, &writes, &errors, n);
  g_assert_cmpint (channel.reads, ==, 1);

  qemu_iohandler_fill (pollfds);
  g_assert_cmpuint (pollfds->len, ==, 1);
  n = g_poll ((GPollFD *) (void *) pollfds->data, pollfds->len, -1);
  qemu_iohandler_poll (pollfds, n);
  g_assert_cmpint (channel.reads, ==, 2);
  g_array_free (pollfds, TRUE);
  channel_close (&channel);
}

static void
set_flag (EventNotifier *e)
{
  event_notifier_test_and_clear (e);
  event_notifier_set_handler (e, NULL);
}

static void
test_notifier_handler (void)
{
  EventNotifier e;

  g_test_summary ("C20: event_notifier_set_handler() is a handler of the main loop");
  g_assert_cmpint (event_notifier_init (&e, true), ==, 0);
  event_notifier_set_handler (&e, set_flag);
  while (event_notifier_test_and_clear (&e))
    {
      event_notifier_set (&e);
      main_loop_wait (false);
    }
  event_notifier_cleanup (&e);
}

/* --- qemu_aio_* ------------------------------------------------------------------------------- */

typedef struct
{
  EventNotifier e;
  int in_flight;
  int completed;
} Queue;

static void
complete_one (EventNotifier *e)
{
  Queue *queue = container_of (e, Queue, e);

  event_notifier_test_and_clear (e);
  queue->completed++;
  if (--queue->in_flight > 0)
    event_notifier_set (e);
}

static int
is_busy (EventNotifier *e)
{
  return container_of (e, Queue, e)->in_flight > 0;
}

static void
test_aio_flush (void)
{
  Queue queue = { .in_flight = 10 };
  int n = 0;
  QEMUBH *bh = qemu_bh_new (count, &n);

  g_test_summary ("C20: qemu_aio_wait() runs bottom halves first, then waits for who is busy, and "
                  "says when nobody is");
  g_assert_false (qemu_aio_wait ());
  event_notifier_init (&queue.e, true);
  qemu_aio_set_event_notifier (&queue.e, complete_one, is_busy);
  qemu_bh_schedule (bh);
  g_assert_true (qemu_aio_wait ());
  g_assert_cmpint (n, ==, 1);
  g_assert_cmpint (queue.completed, ==, 0);
  g_assert_true (qemu_aio_wait ());
  g_assert_cmpint (queue.completed, ==, 1);
  qemu_aio_flush ();
  g_assert_cmpint (queue.completed, ==, 10);
  g_assert_false (qemu_aio_wait ());
  qemu_aio_set_event_notifier (&queue.e, NULL, NULL);
  event_notifier_cleanup (&queue.e);
  qemu_bh_delete (bh);
}

static int
fd_is_busy (void *opaque)
{
  return ((Channel *) opaque)->room > 0;
}

static void
test_aio_fd (void)
{
  Channel channel = { .room = 3 };

  g_test_summary ("C20: qemu_aio_set_fd_handler()");
  channel_open (&channel);
  qemu_aio_set_fd_handler (channel.fds[0], channel_read, NULL, fd_is_busy, &channel);
  g_assert_cmpint (write (channel.fds[1], "xyz", 3), ==, 3);
  qemu_aio_flush ();
  g_assert_cmpint (channel.reads, ==, 3);
  qemu_aio_set_fd_handler (channel.fds[0], NULL, NULL, NULL, NULL);
  channel_close (&channel);
}

/* --- Control blocks --------------------------------------------------------------------------- */

typedef struct
{
  BlockDriverAIOCB common;
  int kept;
} MyAIOCB;

static void
my_cancel (BlockDriverAIOCB *acb)
{
  ((MyAIOCB *) acb)->kept = -1;
}

static void
my_completion (void *opaque, int ret)
{
  *(int *) opaque = ret;
}

static void
test_pool (void)
{
  AIOPool pool = { .aiocb_size = sizeof (MyAIOCB), .cancel = my_cancel };
  const AIOCBInfo info = { .aiocb_size = sizeof (MyAIOCB) };
  int ret = 0;
  MyAIOCB *acb = qemu_aio_get (&pool, NULL, my_completion, &ret);
  MyAIOCB *other = qemu_aio_get (&pool, NULL, my_completion, &ret);

  g_test_summary ("C1: released blocks are used again, with what was left in them; counted ones go "
                  "with the last reference");
  g_assert_true (acb != other);
  g_assert_cmpint (acb->kept, ==, 0);
  acb->common.cb (acb->common.opaque, -5);
  g_assert_cmpint (ret, ==, -5);
  acb->common.pool->cancel (&acb->common);
  qemu_aio_release (acb);
  g_assert_true (qemu_aio_get (&pool, NULL, my_completion, &ret) == acb);
  g_assert_cmpint (acb->kept, ==, -1);
  qemu_aio_release (acb);
  qemu_aio_release (other);
  while ((other = (MyAIOCB *) pool.free_aiocb) != NULL)
    {
      pool.free_aiocb = other->common.next;
      g_free (other);
    }

  acb = qemu_aio_get (&info, NULL, my_completion, &ret);
  g_assert_true (acb->common.aiocb_info == &info);
  qemu_aio_ref (acb);
  qemu_aio_unref (acb);
  g_assert_cmpint (acb->kept, ==, 0);
  qemu_aio_unref (acb);
}

/* --- The rest --------------------------------------------------------------------------------- */

static void
reap_a_child (void)
{
  pid_t pid = fork ();

  if (pid == 0)
    _exit (0);
  g_assert_cmpint (pid, >, 0);
  g_assert_cmpint (qemu_add_child_watch (pid), ==, 0);
  g_assert_cmpint (qemu_add_child_watch (pid), ==, 1);
  while (kill (pid, 0) == 0)
    {
      qemu_notify_event ();
      main_loop_wait (false);
    }
  g_assert_cmpint (errno, ==, ESRCH);
}

static void
test_child (void)
{
  g_test_summary ("C18: a watched child is reaped by the main loop");
  reap_a_child ();
}

static void *
lock_and_schedule (void *opaque)
{
  qemu_mutex_lock_iothread ();
  g_assert_true (qemu_mutex_iothread_locked ());
  g_assert_true (qemu_get_current_aio_context () == qemu_get_aio_context ());
  qemu_bh_schedule ((QEMUBH *) opaque);
  qemu_mutex_unlock_iothread ();
  g_assert_null (qemu_get_current_aio_context ());
  return NULL;
}

static void
test_global_mutex (void)
{
  int n = 0;
  QEMUBH *bh = qemu_bh_new (count, &n);
  QemuThread thread;

  g_test_summary ("C18: main_loop_wait() gives the global mutex up while it sleeps");
  qemu_mutex_lock_iothread ();
  qemu_thread_create (&thread, lock_and_schedule, bh, QEMU_THREAD_JOINABLE);
  while (n == 0)
    main_loop_wait (false);
  g_assert_true (bql_locked ());
  qemu_mutex_unlock_iothread ();
  g_assert_false (bql_locked ());
  qemu_thread_join (&thread);
  qemu_bh_delete (bh);
}

static void
test_main_timer (void)
{
  int n = 0;
  QEMUTimer *timer = timer_new_ms (QEMU_CLOCK_VIRTUAL, count, &n);

  g_test_summary ("C22: timers of the main loop");
  timer_mod (timer, qemu_clock_get_ms (QEMU_CLOCK_VIRTUAL) + 3);
  while (n == 0)
    main_loop_wait (false);
  timer_free (timer);
}

static void
test_current (void)
{
  AioContext *own = aio_context_new (NULL);

  g_test_summary ("C17: the current context is the global one in the main thread, unless set");
  g_assert_true (qemu_get_current_aio_context () == qemu_get_aio_context ());
  g_assert_true (in_aio_context_home_thread (qemu_get_aio_context ()));
  qemu_set_current_aio_context (own);
  g_assert_true (qemu_get_current_aio_context () == own);
  qemu_set_current_aio_context (NULL);
  aio_context_unref (own);
}

static void
test_errors (void)
{
  struct rlimit limit, none;
  Error *error = NULL;
  EventNotifier e;

  g_test_summary ("C27: without a descriptor left there is an errno, or an Error");
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  none = limit;
  none.rlim_cur = 0;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  g_assert_cmpint (event_notifier_init (&e, false), ==, -EMFILE);
  g_assert_null (aio_context_new (&error));
  g_assert_null (aio_context_new (NULL));
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  g_assert_nonnull (error);
  g_assert_cmpuint (strlen (error_get_pretty (error)), >, 0);
  error_free (error);
  event_notifier_cleanup (&e);
}

int
main (int   argc,
      char *argv[])
{
  Channel first = { .room = 0 };
  QEMUTimer *timer;

  g_test_init (&argc, &argv, NULL);
  g_assert_cmpint (qemu_init_main_loop (), ==, 0);
  g_assert_cmpint (qemu_init_main_loop (&error_abort), ==, 0);
  /* What the contexts open when they are first asked for it, they keep. */
  channel_open (&first);
  qemu_set_fd_handler (first.fds[0], channel_read, NULL, &first);
  qemu_aio_set_fd_handler (first.fds[0], channel_read, NULL, NULL, &first);
  timer = timer_new_ms (QEMU_CLOCK_REALTIME, count, NULL);
  timer_mod (timer, qemu_clock_get_ms (QEMU_CLOCK_REALTIME) + 1000000);
  main_loop_wait (true);
  timer_free (timer);
  qemu_aio_set_fd_handler (first.fds[0], NULL, NULL, NULL, NULL);
  channel_close (&first);
  reap_a_child ();

  aio_test_add ("/main-loop/bh", test_bh);
  aio_test_add ("/main-loop/notify-event", test_notify_event);
  aio_test_add ("/main-loop/can-read", test_can_read);
  aio_test_add ("/main-loop/not-in-aio-wait", test_not_in_aio_wait);
  aio_test_add ("/main-loop/fill-and-poll", test_fill_and_poll);
  aio_test_add ("/main-loop/notifier-handler", test_notifier_handler);
  aio_test_add ("/main-loop/aio-flush", test_aio_flush);
  aio_test_add ("/main-loop/aio-fd", test_aio_fd);
  aio_test_add ("/main-loop/pool", test_pool);
  aio_test_add ("/main-loop/child", test_child);
  aio_test_add ("/main-loop/global-mutex", test_global_mutex);
  aio_test_add ("/main-loop/timer", test_main_timer);
  aio_test_add ("/main-loop/errors", test_errors);
  aio_test_add ("/main-loop/current", test_current);
  return g_test_run ();
}
