/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The moments in between: what happens to a context after somebody has taken the way to sleep and
 * before the sleep, in the middle of a busy look, and in a process that was forked there. */
#include "loop-test.h"
#include <sys/wait.h>

static gboolean
never (gpointer data)
{
  return FALSE;
}

static void
count (gpointer data)
{
  ++*(guint *) data;
}

static guint64
wakeups_of (AioContext *context)
{
  AioContextStats stats;

  aio_context_get_stats (context, &stats, sizeof stats);
  return stats.wakeups_sent;
}

/* --- A visit between GLib's prepare and GLib's poll ------------------------------------------- */

/* What a GPollFunc does before it polls. It has no data, so there is one at a time. */
static struct
{
  void (*func) (gpointer data, GPollFD *fds, guint n);
  gpointer data;
  gboolean each_time;           /* also before polls that do not sleep, again and again */
  guint n;                      /* visits so far */
  int ready;                    /* what the poll behind the last visit said, without a sleep */
} visit;

static int
visiting_poll (GPollFD *fds,
               guint    n,
               int      timeout_ms)
{
  if (!visit.each_time && (visit.n > 0 || timeout_ms == 0))
    return g_poll (fds, n, timeout_ms);
  visit.n++;
  visit.func (visit.data, fds, n);
  if (visit.each_time)
    return g_poll (fds, n, timeout_ms);
  visit.ready = g_poll (fds, n, 0);
  return visit.ready;
}

/* Until it has no more to do by itself: then the next iteration that blocks would sleep. */
static void
settle (Loop *loop)
{
  guint i;

  for (i = 0; i < 5; i++)
    loop_pass (loop);
}

static void
visit_begin (Loop     *loop,
             void    (*func) (gpointer data, GPollFD *fds, guint n),
             gpointer  data,
             gboolean  each_time)
{
  settle (loop);
  visit.func = func;
  visit.data = data;
  visit.each_time = each_time;
  visit.n = 0;
  visit.ready = -1;
  g_main_context_set_poll_func (loop->main_context, visiting_poll);
}

static void
visit_end (Loop *loop)
{
  g_main_context_set_poll_func (loop->main_context, NULL);
}

typedef struct
{
  Loop *loop;
  int fds[2];
  gboolean by_thread;
  atomic_bool is_set;
  guint n_read;
} First;

static void
first_read (gpointer data)
{
  First *first = data;

  first->n_read++;
  take (first->fds[0]);
}

static void
first_set (gpointer data)
{
  First *first = data;

  aio_context_set_fd_handler (first->loop->context, first->fds[0], first_read, NULL, first);
  atomic_store (&first->is_set, TRUE);
}

static void *
first_set_later (void *data)
{
  First *first = data;

  thread_wait_asleep (first->loop->tid);
  if (first->by_thread)
    first_set (first);
  else
    aio_bh_schedule_oneshot (first->loop->context, first_set, first);
  return NULL;
}

static gboolean
first_is_set (gpointer data)
{
  return atomic_load (&((First *) data)->is_set);
}

/* The last poll of the visit takes what was meant for the first one, and finds nothing. */
static void
first_visit (gpointer  data,
             GPollFD  *fds,
             guint     n)
{
  First *first = data;
  AioContext *context = first->loop->context;
  pthread_t thread = thread_start (first_set_later, first);

  while (!aio_context_poll_until (context, first_is_set, first, 100000))
    continue;
  thread_join (thread);
  aio_context_poll (context, FALSE);
  g_assert_true (first_is_set (first));
  put (first->fds[1]);
}

static void
first_init (First    *first,
            Loop     *loop,
            gboolean  by_thread)
{
  *first = (First) { .loop = loop, .by_thread = by_thread };
  open_pipe (first->fds);
}

static void
first_clear (First *first)
{
  aio_context_set_fd_handler (first->loop->context, first->fds[0], NULL, NULL, NULL);
  close_both (first->fds);
}

static void
first_handler_main (Loop     *loop,
                    gboolean  by_thread)
{
  First first;

  first_init (&first, loop, by_thread);
  visit_begin (loop, first_visit, &first, FALSE);
  while (visit.n == 0)
    loop_turn (loop, TRUE);
  g_assert_cmpint (visit.ready, >, 0);
  LOOP_WAIT (loop, first.n_read > 0);
  visit_end (loop);
  loop_assert_quiet (loop);
  g_assert_cmpuint (first.n_read, ==, 1);
  first_clear (&first);
}

static void
first_handler_foreign (Loop     *loop,
                       gboolean  by_thread)
{
  First first;
  int fd;

  first_init (&first, loop, by_thread);
  settle (loop);
  fd = aio_context_get_fd (loop->context);
  g_assert_cmpint (aio_context_get_timeout_ns (loop->context), ==, -1);
  first_visit (&first, NULL, 0);
  g_assert_true (is_readable (fd));
  LOOP_WAIT (loop, first.n_read > 0);
  loop_assert_quiet (loop);
  g_assert_cmpuint (first.n_read, ==, 1);
  first_clear (&first);
}

static void
test_first_handler_home (Loop *loop)
{
  g_test_summary ("G4, C20, C18: the first handler is set by a one-shot in a visit: the sleeper, "
                  "who polls the plain wakeup descriptor, is told of the other one");

  if (loop->way == WAY_MAIN)
    first_handler_main (loop, FALSE);
  else
    first_handler_foreign (loop, FALSE);
}

static void
test_first_handler_thread (Loop *loop)
{
  g_test_summary ("G4, C20, R7: the same by another thread, while the visit sleeps");

  if (loop->way == WAY_MAIN)
    first_handler_main (loop, TRUE);
  else
    first_handler_foreign (loop, TRUE);
}

static void
visit_by_poll (gpointer  data,
               GPollFD  *fds,
               guint     n)
{
  aio_context_poll (((Loop *) data)->context, FALSE);
}

static void
test_far_timer_main (Loop *loop)
{
  AioTimer timer;
  guint64 before;

  g_test_summary ("C14, C15, G4: visits that leave nothing behind, with a timer far away, write no "
                  "wakeup: the sleeper sleeps");

  aio_timer_init (&timer, loop->context, AIO_CLOCK_MONOTONIC, nothing, NULL);
  aio_timer_mod_ns (&timer, aio_context_get_time_ns (loop->context, AIO_CLOCK_MONOTONIC) + HOUR);
  visit_begin (loop, visit_by_poll, loop, TRUE);
  before = wakeups_of (loop->context);
  loop_assert_quiet (loop);
  visit_end (loop);
  g_assert_cmpuint (visit.n, >, 0);
  g_assert_cmpuint (wakeups_of (loop->context) - before, <=, 5);
  aio_timer_clear (&timer);
}

static void
test_far_timer_foreign (Loop *loop)
{
  AioTimer timer;
  guint64 before;
  guint i;

  g_test_summary ("C14, C15, G4: the same before a foreign loop's wait");

  aio_timer_init (&timer, loop->context, AIO_CLOCK_MONOTONIC, nothing, NULL);
  aio_timer_mod_ns (&timer, aio_context_get_time_ns (loop->context, AIO_CLOCK_MONOTONIC) + HOUR);
  settle (loop);
  /* The first may have to open a descriptor that tells of the timer, and say so. */
  for (i = 0; i < 3; i++)
    {
      aio_context_get_fd (loop->context);
      aio_context_get_timeout_ns (loop->context);
      aio_context_poll (loop->context, FALSE);
      aio_context_dispatch (loop->context);
    }
  aio_context_get_timeout_ns (loop->context);
  before = wakeups_of (loop->context);
  for (i = 0; i < 100; i++)
    aio_context_poll (loop->context, FALSE);
  g_assert_cmpuint (wakeups_of (loop->context), ==, before);
  g_assert_false (is_readable (aio_context_get_fd (loop->context)));
  aio_timer_clear (&timer);
}

/* --- Descriptors that were closed too early --------------------------------------------------- */

typedef struct
{
  Loop *loop;
  AioBH *bh;
  guint n_ran;
  int stranger[2];
} Anew;

static void *
anew_schedule (void *data)
{
  aio_bh_schedule (((Anew *) data)->bh);
  return NULL;
}

/* The visit finds what is stale; then somebody opens something, and schedules. */
static void
anew_visit (gpointer  data,
            GPollFD  *fds,
            guint     n)
{
  Anew *anew = data;
  guint i;

  aio_context_poll (anew->loop->context, FALSE);
  open_pipe (anew->stranger);
  for (i = 0; i < n; i++)
    {
      g_assert_cmpint (fds[i].fd, !=, anew->stranger[0]);
      g_assert_cmpint (fds[i].fd, !=, anew->stranger[1]);
    }
  thread_run (anew_schedule, anew);
}

static void
test_anew (Loop *loop)
{
  Anew anew = { .loop = loop };
  Watch stale = { .loop = loop }, other = { .loop = loop };
  int stale_fds[2], other_fds[2], duplicate, filler;
  Reports reports;

  g_test_summary ("G4, C20, R17: a visit makes the set of descriptors anew: the number that the "
                  "sleeper is about to poll is not given to a stranger, and a schedule wakes");

  open_pipe (stale_fds);
  open_pipe (other_fds);
  stale.fd = stale_fds[0];
  other.fd = other_fds[0];
  anew.bh = aio_bh_new (loop->context, count, &anew.n_ran);
  watch_set (&stale, TRUE, FALSE);
  watch_set (&other, TRUE, FALSE);
  visit_begin (loop, anew_visit, &anew, FALSE);
  reports_begin (&reports);
  duplicate = fcntl (stale.fd, F_DUPFD_CLOEXEC, 0);
  close (stale.fd);
  watch_remove (&stale);
  filler = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  put (stale_fds[1]);
  while (visit.n == 0)
    loop_turn (loop, TRUE);
  g_assert_cmpint (visit.ready, >, 0);
  visit_end (loop);
  LOOP_WAIT (loop, anew.n_ran > 0);
  loop_assert_quiet (loop);
  g_assert_true (reports_mention_fd (&reports, stale_fds[0]));
  reports_end (&reports);

  g_assert_cmpuint (stale.n_read, ==, 0);
  put (other_fds[1]);
  other.takes = TRUE;
  LOOP_WAIT (loop, other.n_read > 0);
  watch_remove (&other);
  aio_bh_delete (anew.bh);
  close (filler);
  close (duplicate);
  close (stale_fds[1]);
  close_both (other_fds);
  close_both (anew.stranger);
}

static void
test_regular_in_place (Loop *loop)
{
  Watch former = { .loop = loop }, watch = { .loop = loop };
  int fds[2], duplicate, file;
  Reports reports;

  g_test_summary ("C20, C14, R17: a number that was closed while a duplicate lives, reused by a "
                  "regular file: the former registration is reported and does not make it spin");

  open_pipe (fds);
  former.fd = watch.fd = fds[0];
  watch_set (&former, TRUE, FALSE);
  settle (loop);
  reports_begin (&reports);
  duplicate = fcntl (fds[0], F_DUPFD_CLOEXEC, 0);
  put (fds[1]);
  file = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  g_assert_cmpint (dup3 (file, fds[0], O_CLOEXEC), ==, fds[0]);
  close (file);
  watch_set (&watch, TRUE, FALSE);
  LOOP_WAIT (loop, watch.n_read > 0);
  watch_remove (&watch);
  close (fds[0]);
  loop_assert_quiet (loop);
  if (!monitor_is_poll ())
    g_assert_true (reports_mention_fd (&reports, fds[0]));
  reports_end (&reports);
  close (duplicate);
  close (fds[1]);
}

static void
refused (Loop *loop,
         int   fd)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (aio_context_set_fd_handler_full (loop->context, fd, nothing, NULL, NULL, NULL,
                                                   NULL, NULL, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_assert_nonnull (strstr (error->message, "loopy"));
}

static void
test_own (Loop *loop)
{
  Watch watch = { .loop = loop, .takes = TRUE };
  guint n_ran = 0;
  int fds[2];

  g_test_summary ("C28, C12: the context's own descriptors are refused as descriptors to watch; "
                  "wakeups are still taken from them");

  refused (loop, aio_context_get_fd (loop->context));
  open_pipe (fds);
  watch.fd = fds[0];
  watch_set (&watch, TRUE, FALSE);
  refused (loop, aio_context_get_fd (loop->context));
  g_assert_true (aio_context_post (loop->context, count, &n_ran, NULL));
  put (fds[1]);
  LOOP_WAIT (loop, n_ran == 1 && watch.n_read == 1);
  loop_assert_quiet (loop);
  watch_remove (&watch);
  close_both (fds);
}

/* --- A pass ends ------------------------------------------------------------------------------ */

static void
ask_for_more (Watch *watch)
{
  Loop *loop = watch->loop;

  /* Not more often than there was a pass. */
  g_assert_cmpuint (watch->n_read, <=, *(guint *) watch->data);
  if (loop->main_context != NULL)
    g_main_context_pending (loop->main_context);
  aio_context_get_timeout_ns (loop->context);
}

static void
test_pass_ends (Loop *loop)
{
  Watch watches[4];
  int fds[2][2];
  guint n_passes = 0, i;

  g_test_summary ("C20, C16: handlers of descriptors that are ready all the time, which ask "
                  "whether there is more: each runs once in a pass, and the pass ends");

  for (i = 0; i < G_N_ELEMENTS (watches); i++)
    {
      watches[i] = (Watch) { .loop = loop, .act = ask_for_more, .data = &n_passes };
      if (i < 2)
        {
          open_pipe (fds[i]);
          put (fds[i][1]);
        }
      watches[i].fd = i < 2 ? fds[i][0] : open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);
      watch_set (&watches[i], TRUE, FALSE);
    }
  while (n_passes++ < 20)
    loop_pass (loop);
  for (i = 0; i < G_N_ELEMENTS (watches); i++)
    {
      g_assert_cmpuint (watches[i].n_read, >=, 5);
      watch_remove (&watches[i]);
      if (i < 2)
        close_both (fds[i]);
      else
        close (watches[i].fd);
    }
}

/* --- Busy looks ------------------------------------------------------------------------------- */

/* A wait that is longer than the look makes the look twice as long: waits that grow as it does make
 * it at least this long. Each comes twice, as the loop may be late for one. */
#define LONG_LOOK_MS 65
#define N_WAITS      28

typedef struct
{
  AioContext *context;
  atomic_uint n;
  atomic_bool over;
} WarmUp;

static void
warm_up_called (gpointer data)
{
  atomic_fetch_add (&((WarmUp *) data)->n, 1);
}

static void
warm_up_wait (WarmUp *warm_up,
              guint   n)
{
  while (atomic_load (&warm_up->n) < n)
    sched_yield ();
}

static void *
warm_up_run (void *data)
{
  WarmUp *warm_up = data;
  guint i;

  for (i = 0; i < N_WAITS; i++)
    {
      g_usleep (10u << i / 2);
      g_assert_true (aio_context_post (warm_up->context, warm_up_called, warm_up, NULL));
      warm_up_wait (warm_up, i + 1);
    }
  atomic_store (&warm_up->over, TRUE);
  aio_context_notify (warm_up->context);
  return NULL;
}

static void
set_busy (gpointer context)
{
  GError *error = NULL;

  g_assert_true (aio_context_set_busy_poll (context, G_MAXINT64, &error));
  g_assert_no_error (error);
}

typedef struct
{
  AioBH *idle;
  guint at;                     /* schedules it then */
  guint n_asked;
  guint n_ran;
} Asked;

static gboolean
asked_ask (gpointer data)
{
  Asked *asked = data;

  if (++asked->n_asked == asked->at)
    aio_bh_schedule_idle (asked->idle);
  return FALSE;
}

static void
asked_ran (gpointer data)
{
  ((Asked *) data)->n_ran++;
}

static void
asked_read (gpointer data)
{
  g_assert_not_reached ();
}

static void
test_idle_ends_look (Loop *loop)
{
  WarmUp warm_up = { .context = loop->context };
  Asked asked = { .n_asked = 0 };
  pthread_t thread;
  int fds[2];
  guint i;

  g_test_summary ("C5, C11: an idle bottom half ends a busy look, however long that may be: there "
                  "is not much of a look between its schedule and its run");

  set_busy (loop->context);
  thread = thread_start (warm_up_run, &warm_up);
  LOOP_WAIT (loop, atomic_load (&warm_up.over));
  thread_join (thread);

  open_pipe (fds);
  g_assert_true (aio_context_set_fd_handler_full (loop->context, fds[0], asked_read, NULL,
                                                  asked_ask, nothing, &asked, NULL, NULL));
  asked.idle = aio_bh_new (loop->context, asked_ran, &asked);
  for (i = 0; i < 4; i++)
    {
      asked.n_asked = asked.n_ran = 0;
      asked.at = i % 2 ? 100 : 0;
      if (asked.at == 0)
        aio_bh_schedule_idle (asked.idle);
      LOOP_WAIT (loop, asked.n_ran > 0);
      g_assert_cmpuint (asked.n_asked, <=, asked.at + 500);
    }
  aio_context_set_fd_handler (loop->context, fds[0], NULL, NULL, NULL);
  aio_bh_delete (asked.idle);
  close_both (fds);
}

/* An I/O thread that looks for long, and what has happened in it, in which order. */
typedef struct
{
  AioIOThread *thread;
  AioContext *context;
  AioTimer timer;
  GSource *source;
  int fds[2];
  guint n_events;
  atomic_uint n_nested;
  atomic_int source_at, timer_at, read_at;   /* the place in that order; 0: not yet */
  atomic_bool attached;
} Worker;

static void
worker_init (Worker *worker)
{
  WarmUp warm_up = { .n = 0 };

  *worker = (Worker) { .thread = aio_io_thread_new ("looking", NULL) };
  worker->context = warm_up.context = aio_io_thread_get_context (worker->thread);
  open_pipe (worker->fds);
  g_assert_true (aio_context_post (worker->context, set_busy, worker->context, NULL));
  warm_up_run (&warm_up);
}

static void
worker_clear (Worker *worker)
{
  aio_io_thread_stop (worker->thread);
  aio_context_set_fd_handler (worker->context, worker->fds[0], NULL, NULL, NULL);
  if (worker->source != NULL)
    g_source_unref (worker->source);
  close_both (worker->fds);
  aio_io_thread_unref (worker->thread);
  aio_test_moved ();
}

static gboolean
worker_source_ran (gpointer data)
{
  Worker *worker = data;

  atomic_store (&worker->source_at, ++worker->n_events);
  return G_SOURCE_REMOVE;
}

static void
worker_timer_ran (gpointer data)
{
  Worker *worker = data;

  atomic_store (&worker->timer_at, ++worker->n_events);
}

static void
worker_read (gpointer data)
{
  Worker *worker = data;

  take (worker->fds[0]);
  atomic_store (&worker->read_at, ++worker->n_events);
}

/* In the thread. A plain timeout that is within the look, so that it ends it. */
static void
worker_attach (Worker *worker,
               guint   ms)
{
  worker->source = g_timeout_source_new (ms);
  g_source_set_callback (worker->source, worker_source_ran, worker, NULL);
  g_source_attach (worker->source, g_main_context_get_thread_default ());
  atomic_store (&worker->attached, TRUE);
}

static void
worker_attach_far (gpointer data)
{
  worker_attach (data, LONG_LOOK_MS * 3 / 4);
}

static void
worker_wait (atomic_int *at)
{
  while (atomic_load (at) == 0)
    g_usleep (1000);
}

/* On a machine that stands still for a while both come together; so there is more than one try. */
#define TRIES 5

static gboolean
sees_first_handler (void)
{
  Worker worker;
  gboolean seen;

  worker_init (&worker);
  put (worker.fds[1]);
  g_assert_true (aio_context_post (worker.context, worker_attach_far, &worker, NULL));
  while (!atomic_load (&worker.attached))
    g_usleep (1000);
  /* Now it looks, with the list of descriptors that it has made before. */
  g_usleep (10000);
  aio_context_set_fd_handler (worker.context, worker.fds[0], worker_read, NULL, &worker);
  worker_wait (&worker.read_at);
  worker_wait (&worker.source_at);
  seen = atomic_load (&worker.read_at) < atomic_load (&worker.source_at);
  worker_clear (&worker);
  return seen;
}

static void
test_first_handler_in_look (void)
{
  guint i;

  g_test_summary ("C20, R7: the first handler, set by another thread during the busy look of an "
                  "I/O thread, is in force then and not when the look is over");

  for (i = 0; i < TRIES && !sees_first_handler (); i++)
    continue;
  g_assert_cmpuint (i, <, TRIES);
}

static void
worker_attach_both (gpointer data)
{
  Worker *worker = data;
  gint64 now = aio_context_get_time_ns (worker->context, AIO_CLOCK_MONOTONIC);

  worker_attach (worker, LONG_LOOK_MS / 2);
  aio_timer_mod_ns (&worker->timer, now + LONG_LOOK_MS * MSEC * 9 / 10);
}

static gboolean
sleeps_once (void)
{
  Worker worker;
  gboolean seen;

  worker_init (&worker);
  /* With a handler GLib polls what tells of timers, too. */
  aio_context_set_fd_handler (worker.context, worker.fds[0], worker_read, NULL, &worker);
  put (worker.fds[1]);
  worker_wait (&worker.read_at);
  aio_timer_init (&worker.timer, worker.context, AIO_CLOCK_MONOTONIC, worker_timer_ran, &worker);
  g_assert_true (aio_context_post (worker.context, worker_attach_both, &worker, NULL));
  worker_wait (&worker.source_at);
  worker_wait (&worker.timer_at);
  seen = atomic_load (&worker.source_at) < atomic_load (&worker.timer_at);
  aio_io_thread_stop (worker.thread);
  aio_timer_clear (&worker.timer);
  worker_clear (&worker);
  return seen;
}

static void
test_plain_timeout_once (void)
{
  guint i;

  g_test_summary ("C18, C19: a plain timeout that ends the busy look of an I/O thread is over "
                  "then, not after a sleep as long again: it comes before a timer that is later");

  for (i = 0; i < TRIES && !sleeps_once (); i++)
    continue;
  g_assert_cmpuint (i, <, TRIES);
}

static void
worker_nest (gpointer data)
{
  Worker *worker = data;

  worker_attach (worker, 2 * LONG_LOOK_MS);
  while (atomic_load (&worker->source_at) == 0)
    {
      g_main_context_iteration (g_main_context_get_thread_default (), TRUE);
      atomic_fetch_add (&worker->n_nested, 1);
    }
  worker_read (worker);
}

static void
test_nested_sleeps (void)
{
  Worker worker;

  g_test_summary ("C14, R12, C13: a handler that has not read its data yet waits in a nested "
                  "iteration of an I/O thread that polls busily: that is not ready all the time");

  worker_init (&worker);
  aio_context_set_fd_handler (worker.context, worker.fds[0], worker_nest, NULL, &worker);
  put (worker.fds[1]);
  worker_wait (&worker.read_at);
  g_assert_cmpuint (atomic_load (&worker.n_nested), <=, 10);
  worker_clear (&worker);
}

/* --- Forks ------------------------------------------------------------------------------------ */

#define CHILD_LIMIT_SECONDS 20

/* A child that hangs ends by a signal. */
static void
assert_child_well (pid_t pid)
{
  int status;

  g_assert_cmpint (TEMP_FAILURE_RETRY (waitpid (pid, &status, 0)), ==, pid);
  g_assert_false (WIFSIGNALED (status));
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);
}

static pid_t
fork_child (void)
{
  pid_t pid = fork ();

  g_assert_cmpint (pid, >=, 0);
  if (pid == 0)
    alarm (CHILD_LIMIT_SECONDS);
  return pid;
}

typedef struct
{
  Watch watch;
  int fds[2];
  int go[2];
  pid_t child;                  /* 0: this is it */
} Forked;

/* The nested poll has suspended this handler. The parent removes it, and then the child returns. */
static void
fork_in_handler (Watch *watch)
{
  Forked *forked = watch->data;
  char c;

  aio_context_poll_until (watch->loop->context, never, NULL, 1000);
  forked->child = fork_child ();
  if (forked->child == 0)
    g_assert_cmpint (read (forked->go[0], &c, 1), ==, 1);
  else
    watch_remove (watch);
}

static void
test_fork_in_handler (Loop *loop)
{
  Forked forked = { .child = -1 };

  g_test_summary ("C25, R24, C14: fork in a handler that was suspended by a nested poll: the child "
                  "adds nothing to what the parent watches");

  open_pipe (forked.fds);
  put (forked.fds[1]);
  g_assert_cmpint (pipe2 (forked.go, O_CLOEXEC), ==, 0);
  forked.watch = (Watch) { .loop = loop, .fd = forked.fds[0], .act = fork_in_handler,
                           .data = &forked };
  watch_set (&forked.watch, TRUE, FALSE);
  while (forked.child == -1)
    loop_turn (loop, TRUE);
  if (forked.child == 0)
    _exit (0);
  put (forked.go[1]);
  assert_child_well (forked.child);
  loop_assert_quiet (loop);
  g_assert_cmpuint (forked.watch.n_read, ==, 1);
  close_both (forked.fds);
  close_both (forked.go);
}

/* Whichever of them runs first forks, while the others are still to run in this pass. */
typedef struct
{
  Watch watches[3];
  AioTimer timers[3];
  int fds[3][2];
  pid_t child;
  guint n_ran;                  /* by the process that it is, since the fork */
} Pass;

static void
pass_ran (gpointer data)
{
  Pass *pass = data;

  if (pass->child == -1)
    pass->child = fork_child ();
  else
    pass->n_ran++;
}

static void
pass_handler_ran (Watch *watch)
{
  pass_ran (watch->data);
}

static void
pass_run (Pass *pass,
          Loop *loop)
{
  while (pass->child == -1)
    loop_turn (loop, TRUE);
  if (pass->child == 0)
    _exit (pass->n_ran == 0 ? 0 : 1);
  assert_child_well (pass->child);
  LOOP_WAIT (loop, pass->n_ran == 2);
}

static void
test_fork_in_pass (Loop *loop)
{
  Pass pass = { .child = -1 };
  guint i;

  g_test_summary ("C25: fork in a handler or timer callback: the child does not run what the pass "
                  "has left, the parent does");

  for (i = 0; i < 3; i++)
    {
      open_pipe (pass.fds[i]);
      put (pass.fds[i][1]);
      pass.watches[i] = (Watch) { .loop = loop, .fd = pass.fds[i][0], .takes = TRUE,
                                  .act = pass_handler_ran, .data = &pass };
      watch_set (&pass.watches[i], TRUE, FALSE);
    }
  pass_run (&pass, loop);

  pass.child = -1;
  pass.n_ran = 0;
  for (i = 0; i < 3; i++)
    {
      aio_timer_init (&pass.timers[i], loop->context, AIO_CLOCK_MONOTONIC, pass_ran, &pass);
      aio_timer_mod_ns (&pass.timers[i], 0);
    }
  pass_run (&pass, loop);
  for (i = 0; i < 3; i++)
    {
      aio_timer_clear (&pass.timers[i]);
      watch_remove (&pass.watches[i]);
      close_both (pass.fds[i]);
    }
}

typedef struct
{
  GMainContext *main_context;
  atomic_bool over;
} Hammer;

static void *
hammer_run (void *data)
{
  Hammer *hammer = data;

  while (!atomic_load (&hammer->over))
    {
      GSource *source = g_idle_source_new ();

      g_source_attach (source, hammer->main_context);
      g_source_destroy (source);
      g_source_unref (source);
    }
  return NULL;
}

static void
test_fork_while_locked (Loop *loop)
{
  Hammer hammer = { .main_context = loop->main_context };
  Reports reports;
  pthread_t thread;
  guint i;

  g_test_summary ("C25: poll in a child is a critical warning, also when another thread of the "
                  "parent held the lock of the GMainContext, for which it does not wait");

  reports_begin (&reports);
  thread = thread_start (hammer_run, &hammer);
  for (i = 0; i < 100; i++)
    {
      pid_t child = fork_child ();

      if (child == 0)
        _exit (!aio_context_poll (loop->context, FALSE) && reports.n == 1 ? 0 : 1);
      assert_child_well (child);
    }
  atomic_store (&hammer.over, TRUE);
  thread_join (thread);
  g_assert_cmpuint (reports.n, ==, 0);
  reports_end (&reports);
}

static gboolean
end_child_loop (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

static void
test_child_goes_on (Loop *loop)
{
  Watch watch = { .loop = loop, .takes = TRUE };
  GSource *source = g_timeout_source_new (100);
  gboolean over = FALSE;
  guint n = 0;
  int fds[2];
  pid_t child;

  g_test_summary ("C25, C14: a child that goes on with the GMainContext is not kept awake by what "
                  "is readable for the parent; the parent's loop works as before");

  open_pipe (fds);
  watch.fd = fds[0];
  watch_set (&watch, TRUE, FALSE);
  settle (loop);
  g_source_set_callback (source, end_child_loop, &over, NULL);
  g_source_attach (source, loop->main_context);
  put (fds[1]);
  child = fork_child ();
  if (child == 0)
    {
      while (!over)
        {
          loop_turn (loop, TRUE);
          n++;
        }
      _exit (n <= 10 && watch.n_read == 0 ? 0 : 1);
    }
  assert_child_well (child);
  g_source_destroy (source);
  g_source_unref (source);
  LOOP_WAIT (loop, watch.n_read > 0);
  loop_assert_quiet (loop);
  put (fds[1]);
  LOOP_WAIT (loop, watch.n_read > 1);
  watch_remove (&watch);
  close_both (fds);
}

/* --- Misuse ----------------------------------------------------------------------------------- */

typedef struct
{
  AioTimer timer;
  atomic_bool inside;
  atomic_bool cleared;
} Cleared;

static void
cleared_fired (gpointer data)
{
  Cleared *cleared = data;

  atomic_store (&cleared->inside, TRUE);
  while (!atomic_load (&cleared->cleared))
    sched_yield ();
}

static void *
cleared_clear (void *data)
{
  Cleared *cleared = data;

  while (!atomic_load (&cleared->inside))
    sched_yield ();
  aio_timer_clear (&cleared->timer);
  atomic_store (&cleared->cleared, TRUE);
  return NULL;
}

static void
test_clear_while_it_runs (Loop *loop)
{
  Cleared cleared = { .inside = FALSE };
  Reports reports;
  pthread_t thread;

  g_test_summary ("C28: a timer that is cleared by another thread while its callback runs is a "
                  "critical warning");

  reports_begin (&reports);
  aio_timer_init (&cleared.timer, loop->context, AIO_CLOCK_MONOTONIC, cleared_fired, &cleared);
  aio_timer_mod_ns (&cleared.timer, 0);
  thread = thread_start (cleared_clear, &cleared);
  LOOP_WAIT (loop, atomic_load (&cleared.cleared));
  thread_join (thread);
  g_assert_cmpuint (reports.n, ==, 1);
  g_assert_true (reports_mention (&reports, "loopy"));
  reports_end (&reports);
}

/* A case for one way of each kind: each takes a while. */
static void
add_three (const char *path,
           LoopFunc    func)
{
  loop_test_add_way (path, func, WAY_POLL, FALSE);
  loop_test_add_way (path, func, WAY_MAIN, FALSE);
  loop_test_add_way (path, func, WAY_EPOLL, FALSE);
}

/* For those that take the way to sleep first, and sleep later. */
static void
add_sleepers (const char *path,
              LoopFunc    func)
{
  loop_test_add_way (path, func, WAY_MAIN, FALSE);
  loop_test_add_way (path, func, WAY_PPOLL, FALSE);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  add_sleepers ("/visits/first-handler/home", test_first_handler_home);
  add_sleepers ("/visits/first-handler/thread", test_first_handler_thread);
  loop_test_add_way ("/visits/far-timer", test_far_timer_main, WAY_MAIN, FALSE);
  loop_test_add_way ("/visits/far-timer", test_far_timer_foreign, WAY_PPOLL, FALSE);
  loop_test_add_way ("/visits/anew", test_anew, WAY_MAIN, FALSE);
  add_three ("/visits/regular-in-place", test_regular_in_place);
  add_three ("/visits/own", test_own);
  loop_test_add ("/visits/pass-ends", test_pass_ends);
  loop_test_add_way ("/visits/look/idle", test_idle_ends_look, WAY_POLL, FALSE);
  aio_test_add ("/visits/look/first-handler", test_first_handler_in_look);
  aio_test_add ("/visits/look/plain-timeout", test_plain_timeout_once);
  aio_test_add ("/visits/look/nested", test_nested_sleeps);
  add_three ("/visits/fork/in-handler", test_fork_in_handler);
  add_three ("/visits/fork/in-pass", test_fork_in_pass);
  loop_test_add_main ("/visits/fork/while-locked", test_fork_while_locked);
  loop_test_add_main ("/visits/fork/goes-on", test_child_goes_on);
  loop_test_add ("/visits/clear-while-it-runs", test_clear_while_it_runs);
  return g_test_run ();
}
