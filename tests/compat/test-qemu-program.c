/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program of 2012 around the main loop, with the include lines of that time. It is compiled as
 * C++, too. */
#include "qemu-common.h"
#include "qemu-aio.h"
#include "main-loop.h"
#include "qemu-timer.h"
#include "qemu-thread.h"
#include "event_notifier.h"

#include <sys/socket.h>
#include <sys/wait.h>

struct AioContext;
typedef struct QEMUBH QEMUBH;

static void
count (void *opaque)
{
  ++*(int *) opaque;
}

/* --- A channel with room for so much ---------------------------------------------------------- */

typedef struct
{
  int fds[2];
  int room, got, asked;
} Channel;

static int
channel_can_read (void *opaque)
{
  Channel *channel = (Channel *) opaque;

  channel->asked++;
  return channel->room;
}

static void
channel_read (void *opaque)
{
  Channel *channel = (Channel *) opaque;
  char buffer[16];
  int n = (int) read (channel->fds[0], buffer, (size_t) MIN (channel->room, 16));

  g_assert_cmpint (n, >, 0);
  channel->got += n;
  channel->room -= n;
}

static void
channel_write (void *opaque)
{
  Channel *channel = (Channel *) opaque;

  g_assert_cmpint (write (channel->fds[1], "abcdefgh", 8), ==, 8);
  qemu_set_fd_handler (channel->fds[1], NULL, NULL, NULL);
}

static void
test_channel (void)
{
  Channel channel = { { -1, -1 }, 3, 0, 0 };

  g_test_summary ("C20: no more is read than there is room for");
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, channel.fds), ==, 0);
  qemu_set_fd_handler2 (channel.fds[0], channel_can_read, channel_read, NULL, &channel);
  qemu_set_fd_handler (channel.fds[1], NULL, channel_write, &channel);
  while (channel.got < 3)
    main_loop_wait (0);
  for (int i = 0; i < 5; i++)
    main_loop_wait (1);
  g_assert_cmpint (channel.got, ==, 3);
  channel.room = 100;
  qemu_notify_event ();
  while (channel.got < 8)
    main_loop_wait (0);
  g_assert_cmpint (channel.asked, >, 2);
  qemu_set_fd_handler2 (channel.fds[0], NULL, NULL, NULL, NULL);
  close (channel.fds[0]);
  close (channel.fds[1]);
}

/* --- Timers and bottom halves ----------------------------------------------------------------- */

static void
test_clocks (void)
{
  QEMUClock *clocks[] = { rt_clock, vm_clock };
  QEMUClockType types[] = { QEMU_CLOCK_REALTIME, QEMU_CLOCK_VIRTUAL };

  g_test_summary ("C22: each clock of 2012 is one of today's");
  for (int i = 0; i < 2; i++)
    {
      int64_t before = qemu_clock_get_ns (types[i]), now = qemu_get_clock_ns (clocks[i]);

      g_assert_cmpint (before, <=, now);
      g_assert_cmpint (now, <=, qemu_clock_get_ns (types[i]));
      g_assert_cmpint (qemu_get_clock_us (clocks[i]), >=, now / SCALE_US);
      g_assert_cmpint (qemu_get_clock_ms (clocks[i]), >=, now / SCALE_MS);
    }
  /* The time of day may be set meanwhile, but hardly to 1970. */
  g_assert_cmpint (qemu_get_clock_ms (host_clock), >, 1000LL * 60 * 60 * 24 * 365 * 40);
}

static void
test_timers (void)
{
  int n = 0;
  QEMUTimer *timers[3] = { qemu_new_timer_ms (rt_clock, count, &n),
                           qemu_new_timer_ns (vm_clock, count, &n),
                           qemu_new_timer (host_clock, SCALE_US, count, &n) };

  g_test_summary ("C22: timers by the clocks of 2012");
  qemu_mod_timer (timers[0], qemu_get_clock_ms (rt_clock) + 3);
  qemu_mod_timer (timers[1], qemu_get_clock_ns (vm_clock) + get_ticks_per_sec () / 1000);
  qemu_mod_timer_ns (timers[2], 1);
  g_assert_true (qemu_timer_pending (timers[0]));
  g_assert_false (qemu_timer_expired (timers[1], 0));
  while (n < 3)
    main_loop_wait (0);
  for (int i = 0; i < 3; i++)
    {
      qemu_del_timer (timers[i]);
      qemu_free_timer (timers[i]);
    }
}

static void
test_bhs (void)
{
  int n = 0;
  uint32_t timeout = 1000;
  QEMUBH *bh = qemu_bh_new (count, &n);
  QEMUBH *idle = qemu_bh_new (count, &n);

  g_test_summary ("C9, C10: bottom halves of the main loop");
  qemu_bh_schedule_idle (idle);
  qemu_bh_update_timeout (&timeout);
  g_assert_cmpint (timeout, ==, 10);
  qemu_bh_schedule (bh);
  qemu_bh_update_timeout (&timeout);
  g_assert_cmpint (timeout, ==, 0);
  g_assert_cmpint (qemu_bh_poll (), ==, 1);
  g_assert_cmpint (n, ==, 2);
  g_assert_cmpint (qemu_bh_poll (), ==, 0);
  qemu_bh_schedule (bh);
  qemu_bh_cancel (bh);
  while (qemu_bh_poll ())
    ;
  g_assert_cmpint (n, ==, 2);
  qemu_bh_delete (bh);
  qemu_bh_delete (idle);
}

/* --- Requests --------------------------------------------------------------------------------- */

typedef struct
{
  BlockDriverAIOCB common;
  QEMUBH *bh;
} Request;

static AIOPool request_pool;
static int completions;

static void
request_cancel (BlockDriverAIOCB *acb)
{
  qemu_bh_delete (((Request *) acb)->bh);
  qemu_aio_release (acb);
}

static void
request_bh (void *opaque)
{
  Request *request = (Request *) opaque;

  qemu_bh_delete (request->bh);
  request->common.cb (request->common.opaque, 7);
  qemu_aio_release (request);
}

static BlockDriverAIOCB *
submit (BlockDriverCompletionFunc *cb)
{
  Request *request = (Request *) qemu_aio_get (&request_pool, NULL, cb, NULL);

  request->bh = qemu_bh_new (request_bh, request);
  qemu_bh_schedule (request->bh);
  return &request->common;
}

static void
request_completed (void *opaque,
                   int   ret)
{
  (void) opaque;
  g_assert_cmpint (ret, ==, 7);
  if (++completions < 10)
    submit (request_completed);
}

static void
test_requests (void)
{
  BlockDriverAIOCB *acb;

  g_test_summary ("C4, C7: requests that are completed by bottom halves, each by the next pass");
  request_pool.cancel = request_cancel;
  request_pool.aiocb_size = (int) sizeof (Request);
  submit (request_completed);
  qemu_aio_flush ();
  g_assert_cmpint (completions, ==, 10);
  acb = submit (request_completed);
  acb->pool->cancel (acb);
  qemu_aio_flush ();
  g_assert_cmpint (completions, ==, 10);
  g_assert_false (qemu_aio_wait ());
  while (request_pool.free_aiocb != NULL)
    {
      acb = request_pool.free_aiocb;
      request_pool.free_aiocb = acb->next;
      g_free (acb);
    }
}

/* --- Completions by a worker thread ----------------------------------------------------------- */

typedef struct
{
  EventNotifier e;
  QemuSemaphore handled;
  int active, n;
} Worker;

static Worker worker;

static int
worker_flush (EventNotifier *e)
{
  (void) e;
  return worker.active > 0;
}

static void
worker_ready (EventNotifier *e)
{
  if (!event_notifier_test_and_clear (e))
    return;
  worker.n++;
  worker.active--;
  qemu_sem_post (&worker.handled);
}

static void *
worker_thread (void *opaque)
{
  (void) opaque;
  for (int i = 0; i < 5; i++)
    {
      event_notifier_set (&worker.e);
      qemu_sem_wait (&worker.handled);
    }
  return NULL;
}

static void
test_worker (void)
{
  QemuThread thread;

  g_test_summary ("C20: a flush waits for what a thread completes");
  qemu_sem_init (&worker.handled, 0);
  g_assert_cmpint (event_notifier_init (&worker.e, 0), ==, 0);
  worker.active = 5;
  qemu_aio_set_event_notifier (&worker.e, worker_ready, worker_flush);
  qemu_thread_create (&thread, worker_thread, NULL, QEMU_THREAD_JOINABLE);
  qemu_aio_flush ();
  g_assert_cmpint (worker.n, ==, 5);
  g_assert_false (qemu_aio_wait ());
  qemu_thread_join (&thread);
  qemu_aio_set_event_notifier (&worker.e, NULL, NULL);
  event_notifier_cleanup (&worker.e);
  qemu_sem_destroy (&worker.handled);
}

static int pipe_fds[2];

static void
pipe_read (void *opaque)
{
  char c;

  g_assert_cmpint (read (pipe_fds[0], &c, 1), ==, 1);
  count (opaque);
}

static int
pipe_busy (void *opaque)
{
  return *(int *) opaque < 3;
}

static void
test_pipe (void)
{
  int n = 0;

  g_test_summary ("C20: qemu_aio_wait() as long as it says that somebody is busy");
  g_assert_cmpint (pipe (pipe_fds), ==, 0);
  g_assert_cmpint (write (pipe_fds[1], "abcd", 4), ==, 4);
  qemu_aio_set_fd_handler (pipe_fds[0], pipe_read, NULL, pipe_busy, &n);
  while (qemu_aio_wait ())
    ;
  g_assert_cmpint (n, ==, 3);
  qemu_aio_set_fd_handler (pipe_fds[0], NULL, NULL, NULL, NULL);
  close (pipe_fds[0]);
  close (pipe_fds[1]);
}

static void
test_child (void)
{
  pid_t pid = fork ();

  g_test_summary ("C18: a child is reaped by the main loop");
  if (pid == 0)
    _exit (0);
  qemu_add_child_watch (pid);
  while (kill (pid, 0) == 0)
    main_loop_wait (1);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  g_assert_cmpint (qemu_init_main_loop (), ==, 0);
  g_test_add_func ("/program/channel", test_channel);
  g_test_add_func ("/program/clocks", test_clocks);
  g_test_add_func ("/program/timers", test_timers);
  g_test_add_func ("/program/bhs", test_bhs);
  g_test_add_func ("/program/requests", test_requests);
  g_test_add_func ("/program/worker", test_worker);
  g_test_add_func ("/program/pipe", test_pipe);
  g_test_add_func ("/program/child", test_child);
  return g_test_run ();
}
