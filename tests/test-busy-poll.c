/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Busy polling: looking for work for a while before sleeping. Whether that pays is for the
 * benchmarks; here it must not lose, delay for ever or starve anything. */
#include "loop-test.h"
#include <glib-unix.h>

#define BUSY_NS (50 * MSEC)

static void
set_busy (AioContext *context,
          gint64      max_ns)
{
  GError *error = NULL;

  g_assert_true (aio_context_set_busy_poll (context, max_ns, &error));
  g_assert_no_error (error);
}

static gint64
now_ns (Loop *loop)
{
  return aio_context_get_time_ns (loop->context, AIO_CLOCK_MONOTONIC);
}

/* --- A queue that can be asked ---------------------------------------------------------------- */

/* Something with a descriptor that is slow to tell, and a memory word that is quick. */
typedef struct
{
  Loop *loop;
  int fds[2];
  atomic_int n_in;              /* what came */
  int n_out;                    /* what was handled */
  atomic_int n_asked;
  guint n_read;
  guint n_polled;
  gboolean on_stack;
  gboolean nests;
  gboolean leaves;              /* leaves the memory word alone */
} Ring;

static gboolean
ring_ask (gpointer data)
{
  Ring *ring = data;

  atomic_fetch_add (&ring->n_asked, 1);
  g_assert_false (ring->on_stack);
  return atomic_load (&ring->n_in) != ring->n_out;
}

static void
ring_handle (Ring *ring)
{
  g_assert_false (ring->on_stack);
  if (!ring->leaves)
    ring->n_out = atomic_load (&ring->n_in);
  ring->on_stack = TRUE;
  if (ring->nests)
    loop_pass (ring->loop);
  ring->on_stack = FALSE;
}

static void
ring_polled (gpointer data)
{
  Ring *ring = data;

  ring->n_polled++;
  ring_handle (ring);
}

static void
ring_read (gpointer data)
{
  Ring *ring = data;

  ring->n_read++;
  drain (ring->fds[0]);
  ring_handle (ring);
}

static void
ring_init (Ring *ring,
           Loop *loop)
{
  *ring = (Ring) { .loop = loop };
  open_pipe (ring->fds);
  g_assert_true (aio_context_set_fd_handler_full (loop->context, ring->fds[0], ring_read, NULL,
                                                  ring_ask, ring_polled, ring, NULL, NULL));
}

static void
ring_clear (Ring *ring)
{
  aio_context_set_fd_handler (ring->loop->context, ring->fds[0], NULL, NULL, NULL);
  close_both (ring->fds);
}

static void
test_off (Loop *loop)
{
  Ring ring;

  g_test_summary ("C14, C28: busy polling is off by default: io_poll functions are not asked, the "
                  "processor is not used");

  ring_init (&ring, loop);
  atomic_store (&ring.n_in, 1);
  loop_pass (loop);
  loop_assert_quiet (loop);
  g_assert_cmpint (atomic_load (&ring.n_asked), ==, 0);
  g_assert_cmpuint (ring.n_read + ring.n_polled, ==, 0);
  put (ring.fds[1]);
  LOOP_WAIT (loop, ring.n_read > 0);

  if (loop->way == WAY_POLL)
    {
      set_busy (loop->context, BUSY_NS);
      set_busy (loop->context, 0);
      loop_assert_quiet (loop);
      g_assert_cmpint (atomic_load (&ring.n_asked), ==, 0);
    }
  ring_clear (&ring);
}

static void *
feed (void *data)
{
  Ring *ring = data;
  int i;

  for (i = 0; i < 200; i++)
    {
      int asked = atomic_load (&ring->n_asked);
      int tries;

      /* A little later than the loop begins to look; for some it sleeps already. */
      for (tries = 0; tries < 50 && atomic_load (&ring->n_asked) == asked; tries++)
        g_usleep (i % 8);
      atomic_fetch_add (&ring->n_in, 1);
      if (i % 2 || atomic_load (&ring->n_asked) == asked)
        put (ring->fds[1]);
      else
        g_usleep (1000);
      put (ring->fds[1]);
    }
  return NULL;
}

static void
test_asked (Loop *loop)
{
  Ring ring;
  pthread_t thread;

  g_test_summary ("C11: while it polls busily the loop asks io_poll functions, and runs "
                  "io_poll_ready for those that say so; descriptors are noticed, too");

  ring_init (&ring, loop);
  set_busy (loop->context, BUSY_NS);
  thread = thread_start (feed, &ring);
  LOOP_WAIT (loop, ring.n_out == 200);
  thread_join (thread);
  drain (ring.fds[0]);
  g_assert_cmpint (atomic_load (&ring.n_asked), >, 0);
  ring_clear (&ring);
}

static void
test_ready_is_progress (Loop *loop)
{
  Ring ring;
  guint i;

  g_test_summary ("C11: an io_poll_ready handler that ran is progress; level-triggered as others "
                  "are: it runs again while its function says so");

  ring_init (&ring, loop);
  set_busy (loop->context, BUSY_NS);
  atomic_store (&ring.n_in, 1);
  g_assert_true (aio_context_poll (loop->context, TRUE));
  g_assert_cmpuint (ring.n_polled, ==, 1);
  g_assert_cmpuint (ring.n_read, ==, 0);

  ring.leaves = TRUE;
  for (i = 2; i < 5; i++)
    {
      atomic_store (&ring.n_in, i);
      g_assert_true (aio_context_poll (loop->context, TRUE));
      g_assert_cmpuint (ring.n_polled, ==, i);
    }
  ring_clear (&ring);
}

static void
ring_notify_nested (gpointer data)
{
  Ring *ring = data;

  ring->n_polled++;
  g_assert_false (ring->on_stack);
  ring->on_stack = TRUE;
  aio_context_notify (ring->loop->context);
  loop_turn (ring->loop, TRUE);
  loop_pass (ring->loop);
  ring->on_stack = FALSE;
  ring->n_out = atomic_load (&ring->n_in);
}

static void
test_not_entered_again (Loop *loop)
{
  Ring ring = { .loop = loop };

  g_test_summary ("C13, R12: an io_poll function whose handler is on the stack is not asked by a "
                  "nested iteration, nor is the handler entered again");

  open_pipe (ring.fds);
  put (ring.fds[1]);
  g_assert_true (aio_context_set_fd_handler_full (loop->context, ring.fds[0], ring_notify_nested,
                                                  NULL, ring_ask, ring_notify_nested, &ring, NULL,
                                                  NULL));
  set_busy (loop->context, BUSY_NS);
  atomic_store (&ring.n_in, 1);
  g_assert_true (aio_context_poll (loop->context, TRUE));
  g_assert_cmpuint (ring.n_polled, ==, 1);
  take (ring.fds[0]);
  ring_clear (&ring);
}

static gboolean
never (gpointer data)
{
  return FALSE;
}

/* Asked in turn, each replaces or removes itself and the others, and schedules. */
typedef struct
{
  Loop *loop;
  int fds[3][2];
  AioBH *bh;
  guint n_asked;
  guint n_destroyed;
  guint n_ran;
} Changing;

static void
changing_destroyed (gpointer data)
{
  ((Changing *) data)->n_destroyed++;
}

static void
changing_nothing (gpointer data)
{
}

static void
changing_ran (gpointer data)
{
  ((Changing *) data)->n_ran++;
}

static gboolean
changing_ask (gpointer data)
{
  Changing *self = data;
  guint i;

  self->n_asked++;
  for (i = 0; i < G_N_ELEMENTS (self->fds); i++)
    {
      if (self->n_asked < 20)
        g_assert_true (aio_context_set_fd_handler_full (self->loop->context, self->fds[i][0],
                                                        changing_nothing, NULL, changing_ask, NULL,
                                                        self, changing_destroyed, NULL));
      else
        aio_context_set_fd_handler (self->loop->context, self->fds[i][0], NULL, NULL, NULL);
    }
  if (self->n_asked == 20)
    aio_bh_schedule (self->bh);
  return FALSE;
}

static void
test_ask_changes (Loop *loop)
{
  Changing self = { .loop = loop };
  guint i;

  g_test_summary ("C20, C21, R9: io_poll functions are asked without a lock: they may replace and "
                  "remove handlers, their own and others, and schedule");

  self.bh = aio_bh_new (loop->context, changing_ran, &self);
  for (i = 0; i < G_N_ELEMENTS (self.fds); i++)
    open_pipe (self.fds[i]);
  set_busy (loop->context, G_MAXINT64);
  changing_ask (&self);
  while (self.n_ran == 0)
    aio_context_poll_until (loop->context, never, NULL, 100);
  g_assert_cmpuint (self.n_asked, >=, 20);
  g_assert_cmpuint (self.n_destroyed, >=, 3);
  g_assert_cmpuint (self.n_destroyed % 3, ==, 0);
  for (i = 0; i < G_N_ELEMENTS (self.fds); i++)
    close_both (self.fds[i]);
  aio_bh_delete (self.bh);
}

/* --- Event notifiers -------------------------------------------------------------------------- */

typedef struct
{
  AioEventNotifier notifier;    /* first */
  atomic_int flag;
  guint n_set;
  guint n_polled;
} PolledBell;

static void
bell_set (AioEventNotifier *notifier)
{
  PolledBell *bell = (PolledBell *) notifier;

  bell->n_set++;
  aio_event_notifier_test_and_clear (notifier);
}

static gboolean
bell_ask (AioEventNotifier *notifier)
{
  return atomic_load (&((PolledBell *) notifier)->flag);
}

static void
bell_polled (AioEventNotifier *notifier)
{
  PolledBell *bell = (PolledBell *) notifier;

  bell->n_polled++;
  atomic_store (&bell->flag, 0);
}

static void
test_notifier (Loop *loop)
{
  PolledBell bell = { .n_set = 0 };

  g_test_summary ("C11: a notifier's io_poll and io_poll_ready are given the notifier; on_set "
                  "still does what it did");

  g_assert_true (aio_event_notifier_init (&bell.notifier, FALSE, NULL));
  aio_context_set_event_notifier (loop->context, &bell.notifier, bell_set, bell_ask, bell_polled);
  set_busy (loop->context, BUSY_NS);
  atomic_store (&bell.flag, 1);
  g_assert_true (aio_context_poll (loop->context, TRUE));
  g_assert_cmpuint (bell.n_polled, ==, 1);
  aio_event_notifier_set (&bell.notifier);
  g_assert_true (aio_context_poll (loop->context, TRUE));
  g_assert_cmpuint (bell.n_set, ==, 1);
  aio_context_set_event_notifier (loop->context, &bell.notifier, NULL, NULL, NULL);
  aio_event_notifier_clear (&bell.notifier);
}

/* --- It ends ---------------------------------------------------------------------------------- */

static void
test_goes_to_sleep (Loop *loop)
{
  Ring ring;

  g_test_summary ("C14: nothing comes: after the time that was set the context sleeps");

  set_busy (loop->context, MSEC);
  loop_assert_quiet (loop);
  ring_init (&ring, loop);
  loop_assert_quiet (loop);
  ring_clear (&ring);
}

static void
fire (gpointer data)
{
  ++*(guint *) data;
}

static void
test_timers (Loop *loop)
{
  AioTimer timer, far;
  guint n = 0, i;

  g_test_summary ("C22: timers fire in time while the loop polls busily, however long it may");

  aio_timer_init (&timer, loop->context, AIO_CLOCK_MONOTONIC, fire, &n);
  aio_timer_init (&far, loop->context, AIO_CLOCK_REALTIME, fire, &n);
  aio_timer_mod_ns (&far, G_MAXINT64);
  set_busy (loop->context, G_MAXINT64);
  for (i = 1; i <= 30; i++)
    {
      aio_timer_mod_ns (&timer, now_ns (loop) + i * 50000);
      LOOP_WAIT (loop, n >= i);
    }
  g_assert_cmpuint (n, ==, 30);
  aio_timer_clear (&timer);
  aio_timer_clear (&far);
}

static void
test_does_not_block (Loop *loop)
{
  g_test_summary ("C11: a poll that does not block does not look for long either; a timeout ends "
                  "the look, and so does a notification");

  set_busy (loop->context, G_MAXINT64);
  g_assert_false (aio_context_poll (loop->context, FALSE));
  aio_context_notify (loop->context);
  g_assert_false (aio_context_poll (loop->context, TRUE));
}

static void
test_poll_until (Loop *loop)
{
  guint i;

  g_test_summary ("C11: the timeout of poll_until ends the look");

  set_busy (loop->context, G_MAXINT64);
  for (i = 0; i < 20; i++)
    g_assert_false (aio_context_poll_until (loop->context, never, NULL, 500));
}

typedef struct
{
  Loop *loop;
  AioBH *bh;
  AioTimer timer;
  int fds[2];
  guint n;
  atomic_int n_seen;
  atomic_bool over;
} Kicks;

static void
kicked (gpointer data)
{
  Kicks *kicks = data;

  take (kicks->fds[0]);
  kicks->n++;
  atomic_fetch_add (&kicks->n_seen, 1);
}

static void *
kick (void *data)
{
  Kicks *kicks = data;
  int i, rounds = g_test_thorough () ? 100000 : 400;

  for (i = 0; i < rounds; i++)
    {
      switch (i % 4)
        {
        case 0:
          aio_bh_schedule (kicks->bh);
          break;
        case 1:
          put (kicks->fds[1]);
          break;
        case 2:
          aio_timer_mod_ns (&kicks->timer, 0);
          break;
        default:
          g_assert_true (aio_context_post (kicks->loop->context, kicked, kicks, NULL));
        }
      while (atomic_load (&kicks->n_seen) <= i)
        sched_yield ();
      if (i % 8 == 0)
        g_usleep (i % 100);
      if (i % 256 == 0)
        aio_test_moved ();
    }
  atomic_store (&kicks->over, TRUE);
  aio_context_notify (kicks->loop->context);
  return NULL;
}

static void
kicks_init (Kicks *kicks,
            Loop  *loop)
{
  *kicks = (Kicks) { .loop = loop };
  open_pipe (kicks->fds);
  kicks->bh = aio_bh_new (loop->context, kicked, kicks);
  aio_timer_init (&kicks->timer, loop->context, AIO_CLOCK_MONOTONIC, kicked, kicks);
  aio_context_set_fd_handler (loop->context, kicks->fds[0], kicked, NULL, kicks);
}

static void
kicks_clear (Kicks *kicks)
{
  aio_context_set_fd_handler (kicks->loop->context, kicks->fds[0], NULL, NULL, NULL);
  aio_timer_clear (&kicks->timer);
  aio_bh_delete (kicks->bh);
  close_both (kicks->fds);
}

static void
test_nothing_lost (Loop *loop)
{
  static const gint64 spans[] = { 1, 1000, 20000, MSEC, G_MAXINT64 };
  guint i;

  g_test_summary ("C11, R7, R4: bottom halves, descriptors, timers and posts from another thread, "
                  "one at a time, at random moments of the look and of the sleep: none is lost");

  for (i = 0; i < G_N_ELEMENTS (spans); i++)
    {
      Kicks kicks;
      pthread_t thread;

      kicks_init (&kicks, loop);
      set_busy (loop->context, spans[i]);
      thread = thread_start (kick, &kicks);
      LOOP_WAIT (loop, atomic_load (&kicks.over));
      thread_join (thread);
      kicks_clear (&kicks);
    }
}

/* --- I/O threads ------------------------------------------------------------------------------ */

typedef struct
{
  AioIOThread *thread;
  AioContext *context;
  gint64 max_ns;
  gboolean done;
  atomic_int n;
  atomic_int n_plain;
  GSource *source;
} Worker;

static void
configure (gpointer data)
{
  Worker *worker = data;

  set_busy (worker->context, worker->max_ns);
  atomic_fetch_add (&worker->n, 1);
}

static void
worker_init (Worker *worker,
             gint64  max_ns)
{
  *worker = (Worker) { .thread = aio_io_thread_new ("busy", NULL), .max_ns = max_ns };
  worker->context = aio_io_thread_get_context (worker->thread);
  g_assert_true (aio_context_post (worker->context, configure, worker, NULL));
  while (!atomic_load (&worker->n))
    g_usleep (10);
  atomic_store (&worker->n, 0);
}

static void
test_io_thread_nothing_lost (void)
{
  static const gint64 spans[] = { 1, 20000, MSEC, G_MAXINT64 };
  guint i;

  g_test_summary ("C11, C22, R7: the same in an I/O thread");

  for (i = 0; i < G_N_ELEMENTS (spans); i++)
    {
      Worker worker;
      Loop loop = { .way = WAY_MAIN };
      Kicks kicks;

      worker_init (&worker, spans[i]);
      loop.context = worker.context;
      kicks_init (&kicks, &loop);
      thread_run (kick, &kicks);
      aio_io_thread_stop (worker.thread);
      kicks_clear (&kicks);
      aio_io_thread_unref (worker.thread);
    }
}

static gboolean
plain_ran (gpointer data)
{
  Worker *worker = data;

  atomic_fetch_add (&worker->n_plain, 1);
  return G_SOURCE_CONTINUE;
}

static gboolean
plain_ran_once (gpointer data)
{
  plain_ran (data);
  return G_SOURCE_REMOVE;
}

static gboolean
plain_read (int          fd,
            GIOCondition condition,
            gpointer     data)
{
  take (fd);
  return plain_ran (data);
}

static void
keep_busy (gpointer data)
{
  Worker *worker = data;

  atomic_fetch_add (&worker->n, 1);
  if (!worker->done)
    aio_context_post (worker->context, keep_busy, worker, NULL);
}

static void
finish (gpointer data)
{
  Worker *worker = data;

  worker->done = TRUE;
}

static void
wait_for_plain (Worker *worker,
                int     n)
{
  while (atomic_load (&worker->n_plain) < n)
    g_usleep (100);
}

/* Attached in the thread itself: what GLib allocates on the way is freed there, and no sanitizer
 * sees that GLib's own locks order the two. */
static void
attach_here (gpointer source)
{
  g_source_attach (source, g_main_context_get_thread_default ());
}

static void
attach_there (Worker  *worker,
              GSource *source)
{
  g_assert_true (aio_context_post (worker->context, attach_here, source, NULL));
}

/* A timeout, an idle function, and a descriptor of GLib's in the busy thread. */
static void
plain_sources_work (Worker *worker)
{
  GSource *timeout = g_timeout_source_new (2);
  GSource *idle;
  GSource *reader;
  int fds[2];
  int before;

  atomic_store (&worker->n_plain, 0);
  g_source_set_callback (timeout, plain_ran, worker, NULL);
  attach_there (worker, timeout);
  wait_for_plain (worker, 3);
  g_source_destroy (timeout);
  g_source_unref (timeout);

  before = atomic_load (&worker->n_plain);
  idle = g_idle_source_new ();
  g_source_set_priority (idle, G_PRIORITY_DEFAULT);
  g_source_set_callback (idle, plain_ran_once, worker, NULL);
  attach_there (worker, idle);
  wait_for_plain (worker, before + 1);
  g_source_unref (idle);

  open_pipe (fds);
  before = atomic_load (&worker->n_plain);
  reader = g_unix_fd_source_new (fds[0], G_IO_IN);
  g_source_set_callback (reader, G_SOURCE_FUNC (plain_read), worker, NULL);
  attach_there (worker, reader);
  put (fds[1]);
  wait_for_plain (worker, before + 1);
  g_usleep (2000);
  put (fds[1]);
  wait_for_plain (worker, before + 2);
  g_source_destroy (reader);
  g_source_unref (reader);
  close_both (fds);
}

static void
test_io_thread_plain_sources (void)
{
  static const gint64 spans[] = { MSEC, G_MAXINT64 };
  guint i;

  g_test_summary ("C18, C19: plain sources in the thread go on working while it polls busily: with "
                  "nothing to do, and with something to do all the time");

  for (i = 0; i < G_N_ELEMENTS (spans); i++)
    {
      Worker worker;

      worker_init (&worker, spans[i]);
      plain_sources_work (&worker);
      g_assert_true (aio_context_post (worker.context, keep_busy, &worker, NULL));
      plain_sources_work (&worker);
      g_assert_true (aio_context_post (worker.context, finish, &worker, NULL));
      aio_io_thread_stop (worker.thread);
      g_assert_cmpint (atomic_load (&worker.n), >, 0);
      aio_io_thread_unref (worker.thread);
    }
}

static void
never_called (gpointer data)
{
  g_assert_not_reached ();
}

static void
test_io_thread_stops (void)
{
  guint i;

  g_test_summary ("C26, R23: an I/O thread that polls busily can be stopped at any moment");

  for (i = 0; i < 100; i++)
    {
      AioIOThread *thread = aio_io_thread_new ("busy", NULL);
      Worker worker = { .thread = thread, .max_ns = G_MAXINT64 };
      AioTimer timer;

      worker.context = aio_io_thread_get_context (thread);
      aio_timer_init (&timer, worker.context, AIO_CLOCK_MONOTONIC, never_called, NULL);
      if (i % 2)
        aio_timer_mod_ns (&timer, G_MAXINT64);
      g_assert_true (aio_context_post (worker.context, configure, &worker, NULL));
      g_usleep (i % 50);
      aio_io_thread_stop (thread);
      aio_timer_clear (&timer);
      aio_io_thread_unref (thread);
    }
}

/* Two busy threads throw a ball. */
typedef struct _Court Court;

typedef struct
{
  Court *court;
  AioIOThread *thread;
  AioContext *context;
  guint side;
} Player;

struct _Court
{
  Player players[2];
  guint rounds;
  atomic_uint n;
  gint64 max_ns;
};

static void
hit (gpointer data)
{
  Player *player = data;
  Court *court = player->court;
  Player *other = &court->players[1 - player->side];
  guint n = atomic_fetch_add (&court->n, 1);

  if (n < court->rounds)
    g_assert_true (aio_context_post (other->context, hit, other, NULL));
}

static void
play_busily (gpointer data)
{
  Player *player = data;

  set_busy (player->context, player->court->max_ns);
}

static void
test_two_busy (void)
{
  static const gint64 spans[] = { 1000, 20000, MSEC };
  guint i, side;

  g_test_summary ("C11, R4, R7: two I/O threads that poll busily hand a post to each other: it is "
                  "never lost between the look and the sleep");

  for (i = 0; i < G_N_ELEMENTS (spans); i++)
    {
      Court court = { .rounds = g_test_thorough () ? 1000000 : 5000, .max_ns = spans[i] };

      for (side = 0; side < 2; side++)
        {
          Player *player = &court.players[side];

          *player = (Player) { &court, aio_io_thread_new ("player", NULL), NULL, side };
          player->context = aio_io_thread_get_context (player->thread);
          g_assert_true (aio_context_post (player->context, play_busily, player, NULL));
        }
      hit (&court.players[0]);
      while (atomic_load (&court.n) <= court.rounds)
        g_usleep (1000);
      for (side = 0; side < 2; side++)
        aio_io_thread_unref (court.players[side].thread);
      aio_test_moved ();
    }
}

static void
test_attached_later (Loop *loop)
{
  GMainContext *main_context = g_main_context_new ();
  Loop attached = *loop;

  g_test_summary ("C14, C18: a context that polls busily by itself sleeps under a GMainContext");

  set_busy (loop->context, HOUR);
  aio_context_attach (loop->context, main_context);
  attached.way = WAY_MAIN;
  attached.main_context = main_context;
  loop_assert_quiet (&attached);
  aio_context_detach (loop->context);
  set_busy (loop->context, 0);
  loop_assert_quiet (loop);
  g_main_context_unref (main_context);
}

/* --- Misuse ----------------------------------------------------------------------------------- */

static void
test_misuse (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("misused", NULL);
  g_autoptr (GError) error = NULL;

  g_test_summary ("C28: NULL and a negative time are critical warnings that change nothing");

  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*context*");
  g_assert_false (aio_context_set_busy_poll (NULL, 1000, &error));
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*misused*");
  g_assert_false (aio_context_set_busy_poll (context, -1, &error));
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*misused*");
  g_assert_false (aio_context_set_busy_poll (context, G_MININT64, NULL));
  g_test_assert_expected_messages ();
  g_assert_no_error (error);
  g_assert_true (aio_context_set_busy_poll (context, 0, NULL));
}

static void
test_not_here (Loop *loop)
{
  GError *error = NULL;

  g_test_summary ("C28, C19: under a GMainContext that is not an I/O thread's it is refused with a "
                  "GError, and the other sources are left in peace");

  g_assert_false (aio_context_set_busy_poll (loop->context, MSEC, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED);
  g_assert_nonnull (strstr (error->message, "loopy"));
  g_clear_error (&error);
  g_assert_false (aio_context_set_busy_poll (loop->context, MSEC, NULL));
  set_busy (loop->context, 0);
  loop_assert_quiet (loop);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  loop_test_add ("/busy-poll/off", test_off);
  loop_test_add_way ("/busy-poll/asked", test_asked, WAY_POLL, FALSE);
  loop_test_add_way ("/busy-poll/ready-is-progress", test_ready_is_progress, WAY_POLL, FALSE);
  loop_test_add_way ("/busy-poll/not-entered-again", test_not_entered_again, WAY_POLL, FALSE);
  loop_test_add_way ("/busy-poll/ask-changes", test_ask_changes, WAY_POLL, FALSE);
  loop_test_add_way ("/busy-poll/notifier", test_notifier, WAY_POLL, FALSE);
  loop_test_add_way ("/busy-poll/goes-to-sleep", test_goes_to_sleep, WAY_POLL, FALSE);
  loop_test_add_way ("/busy-poll/timers", test_timers, WAY_POLL, FALSE);
  loop_test_add_way ("/busy-poll/timers", test_timers, WAY_POLL, TRUE);
  loop_test_add_way ("/busy-poll/does-not-block", test_does_not_block, WAY_POLL, FALSE);
  loop_test_add_way ("/busy-poll/poll-until", test_poll_until, WAY_POLL, FALSE);
  loop_test_add_way ("/busy-poll/nothing-lost", test_nothing_lost, WAY_POLL, FALSE);
  loop_test_add_way ("/busy-poll/nothing-lost", test_nothing_lost, WAY_POLL, TRUE);
  aio_test_add ("/busy-poll/io-thread/nothing-lost", test_io_thread_nothing_lost);
  aio_test_add ("/busy-poll/io-thread/plain-sources", test_io_thread_plain_sources);
  aio_test_add ("/busy-poll/io-thread/stops", test_io_thread_stops);
  aio_test_add ("/busy-poll/io-thread/two", test_two_busy);
  loop_test_add_way ("/busy-poll/attached-later", test_attached_later, WAY_POLL, FALSE);
  loop_test_add_main ("/busy-poll/not-here", test_not_here);
  aio_test_add ("/busy-poll/misuse", test_misuse);
  return g_test_run ();
}
