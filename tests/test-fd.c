/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors: what becomes ready is handled, and nothing else happens. */
#include "loop-test.h"
#include <dlfcn.h>
#include <glib-unix.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* --- A system that refuses -------------------------------------------------------------------- */

static int refusal;             /* the errno that epoll_ctl gives when it adds or changes */

typedef int (*EpollCtlFunc) (int, int, int, struct epoll_event *);

int
epoll_ctl (int                 epoll_fd,
           int                 op,
           int                 fd,
           struct epoll_event *event)
{
  static EpollCtlFunc next;

  if (next == NULL)
    *(void **) &next = dlsym (RTLD_NEXT, "epoll_ctl");
  if (refusal == 0 || op == EPOLL_CTL_DEL)
    return next (epoll_fd, op, fd, event);
  errno = refusal;
  return -1;
}

static guint n_refused_pwait2;
static gboolean refuse_pwait2;

typedef int (*EpollPwait2Func) (int, struct epoll_event *, int, const struct timespec *,
                                const sigset_t *);

int
epoll_pwait2 (int                    epoll_fd,
              struct epoll_event    *events,
              int                    max_events,
              const struct timespec *timeout,
              const sigset_t        *mask)
{
  static EpollPwait2Func next;

  if (next == NULL)
    *(void **) &next = dlsym (RTLD_NEXT, "epoll_pwait2");
  if (!refuse_pwait2 && next != NULL)
    return next (epoll_fd, events, max_events, timeout, mask);
  n_refused_pwait2++;
  errno = EPERM;
  return -1;
}

/* --- Readiness -------------------------------------------------------------------------------- */

static void
test_read (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };

  g_test_summary ("C20, C11: a read handler runs while there is something to read, once a pass");

  open_pipe (fds);
  watch.fd = fds[0];
  watch_set (&watch, TRUE, FALSE);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 0);

  put (fds[1]);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 1);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 2);
  LOOP_WAIT (loop, watch.n_read >= 3);
  g_assert_cmpuint (watch.n_read, ==, 3);

  take (fds[0]);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 3);
  put (fds[1]);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 4);
  g_assert_cmpuint (watch.n_write, ==, 0);

  watch_remove (&watch);
  close_both (fds);
}

static void
test_write (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };

  g_test_summary ("C20: a write handler runs while there is room, once a pass");

  open_pair (fds);
  watch.fd = fds[0];
  watch_set (&watch, FALSE, TRUE);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_write, ==, 1);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_write, ==, 2);

  fill (fds[0]);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_write, ==, 2);
  put (fds[1]);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_write, ==, 2);
  drain (fds[1]);
  LOOP_WAIT (loop, watch.n_write >= 3);
  g_assert_cmpuint (watch.n_write, ==, 3);
  g_assert_cmpuint (watch.n_read, ==, 0);

  watch_remove (&watch);
  close_both (fds);
}

static void
test_both (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };

  g_test_summary ("C20: a descriptor has a read and a write handler, each for its own");

  open_pair (fds);
  watch.fd = fds[0];
  watch.takes = TRUE;
  watch_set (&watch, TRUE, TRUE);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 0);
  g_assert_cmpuint (watch.n_write, ==, 1);

  put (fds[1]);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 1);
  g_assert_cmpuint (watch.n_write, ==, 2);

  fill (fds[0]);
  put (fds[1]);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 2);
  g_assert_cmpuint (watch.n_write, ==, 2);

  watch_remove (&watch);
  close_both (fds);
}

/* The reader or the writer of a pipe whose other end is closed, with these handlers. */
static void
hang_up (Loop     *loop,
         int       which,
         gboolean  reads,
         gboolean  writes)
{
  int fds[2];
  Watch watch = { .loop = loop };

  open_pipe (fds);
  watch.fd = fds[which];
  if (which == 1)
    fill (fds[1]);
  watch_set (&watch, reads, writes);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read + watch.n_write, ==, 0);

  close (fds[1 - which]);
  LOOP_WAIT (loop, watch.n_read + watch.n_write > 0);
  g_assert_cmpuint (watch.n_read, ==, reads ? 1 : 0);
  g_assert_cmpuint (watch.n_write, ==, writes ? 1 : 0);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, reads ? 2 : 0);
  g_assert_cmpuint (watch.n_write, ==, writes ? 2 : 0);

  watch_remove (&watch);
  close (fds[which]);
}

static void
test_hang_up (Loop *loop)
{
  int which;

  g_test_summary ("C20: errors (POLLERR) and hang-ups (POLLHUP) reach read and write handlers, "
                  "whichever there are");

  for (which = 0; which < 2; which++)
    {
      hang_up (loop, which, TRUE, FALSE);
      hang_up (loop, which, FALSE, TRUE);
      hang_up (loop, which, TRUE, TRUE);
    }
}

static void
test_end_of_stream (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };

  g_test_summary ("C20: the end of a stream is something to read");

  open_pair (fds);
  watch.fd = fds[0];
  watch_set (&watch, TRUE, FALSE);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 0);
  g_assert_cmpint (shutdown (fds[1], SHUT_WR), ==, 0);
  LOOP_WAIT (loop, watch.n_read > 0);
  close (fds[1]);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 2);

  watch_remove (&watch);
  close (fds[0]);
}

static int
open_plain_file (void)
{
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp ("test-fd-XXXXXX", &path, NULL);

  g_assert_cmpint (fd, >=, 0);
  unlink (path);
  return fd;
}

static void
remove_at_tenth (Watch *watch)
{
  if (watch->n_read == 10)
    watch_remove (watch);
}

static void
test_plain_file (Loop *loop)
{
  int fds[] = { open_plain_file (), open ("/", O_RDONLY | O_CLOEXEC),
                open ("/dev/null", O_RDWR | O_CLOEXEC) };
  guint i;

  g_test_summary ("C20, C14: what epoll refuses to watch, regular files and the like, is always "
                  "ready, as with poll(2); after its removal the loop sleeps");

  for (i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      Watch watch = { .loop = loop, .fd = fds[i] };
      Watch writer = { .loop = loop, .fd = fds[i] };
      Watch both = { .loop = loop, .fd = fds[i] };

      watch.act = remove_at_tenth;
      watch_set (&watch, TRUE, FALSE);
      loop_pass (loop);
      g_assert_cmpuint (watch.n_read, ==, 1);
      LOOP_WAIT (loop, watch.n_read >= 10);
      loop_pass (loop);
      g_assert_cmpuint (watch.n_read, ==, 10);
      g_assert_cmpuint (watch.n_destroyed, ==, 1);

      watch_set (&writer, FALSE, TRUE);
      loop_pass (loop);
      g_assert_cmpuint (writer.n_write, ==, 1);
      watch_set (&both, TRUE, TRUE);
      loop_pass (loop);
      g_assert_cmpuint (both.n_write, ==, 1);
      g_assert_cmpuint (both.n_read, ==, 1);
      g_assert_cmpuint (writer.n_write, ==, 1);
      g_assert_cmpuint (writer.n_destroyed, ==, 1);
      watch_remove (&both);
      close (fds[i]);
    }
  loop_assert_quiet (loop);
}

static void
remove_and_close (Watch *watch)
{
  watch_remove (watch);
  close (watch->fd);
  watch->fd = -1;
}

static void
test_plain_file_number (Loop *loop)
{
  int fds[2];
  Watch file = { .loop = loop, .fd = open_plain_file () };
  Watch reader = { .loop = loop };

  g_test_summary ("R17, C20: the number of a regular file is free for a pipe afterwards, and the "
                  "other way round");

  file.act = remove_and_close;
  reader.fd = file.fd;
  watch_set (&file, TRUE, FALSE);
  LOOP_WAIT (loop, file.n_read > 0);
  open_pipe (fds);
  g_assert_cmpint (fds[0], ==, reader.fd);

  watch_set (&reader, TRUE, FALSE);
  loop_pass (loop);
  loop_assert_quiet (loop);
  g_assert_cmpuint (reader.n_read, ==, 0);
  put (fds[1]);
  LOOP_WAIT (loop, reader.n_read > 0);
  watch_remove (&reader);
  close_both (fds);

  file = (Watch) { .loop = loop, .fd = open_plain_file () };
  g_assert_cmpint (file.fd, ==, reader.fd);
  watch_set (&file, TRUE, FALSE);
  LOOP_WAIT (loop, file.n_read > 1);
  watch_remove (&file);
  close (file.fd);
}

/* --- Progress, sleep, wakeups ----------------------------------------------------------------- */

static void *
put_later (void *data)
{
  int *fd_and_tid = data;

  thread_wait_asleep (fd_and_tid[1]);
  put (fd_and_tid[0]);
  return NULL;
}

static void
test_wake (Loop *loop)
{
  int fds[2], fd_and_tid[2];
  Watch watch = { .loop = loop };
  int i;

  g_test_summary ("C11, R7: what another thread writes wakes the sleeper");

  open_pipe (fds);
  watch.fd = fds[0];
  watch.takes = TRUE;
  watch_set (&watch, TRUE, FALSE);
  fd_and_tid[0] = fds[1];
  fd_and_tid[1] = loop->tid;
  for (i = 0; i < 20; i++)
    {
      pthread_t thread = thread_start (put_later, fd_and_tid);

      LOOP_WAIT (loop, (int) watch.n_read > i);
      thread_join (thread);
      g_assert_cmpuint (watch.n_read, ==, i + 1);
    }
  watch_remove (&watch);
  close_both (fds);
}

static void
test_progress (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };
  Watch next = { .loop = loop };
  Watch last = { .loop = loop };

  g_test_summary ("C11: a handler that ran is progress; a destroy notify and a set that changed "
                  "are not");

  open_pair (fds);
  watch.fd = next.fd = last.fd = fds[0];
  watch.takes = TRUE;
  watch_set (&watch, TRUE, FALSE);
  g_assert_false (loop_pass (loop));
  put (fds[1]);
  g_assert_true (loop_pass (loop));
  g_assert_false (loop_pass (loop));
  put (fds[1]);
  g_assert_true (loop_turn (loop, TRUE));

  watch_set (&next, TRUE, FALSE);
  g_assert_false (loop_pass (loop));
  watch_set (&last, FALSE, TRUE);
  g_assert_true (loop_pass (loop));
  watch_remove (&last);
  g_assert_false (loop_pass (loop));
  g_assert_cmpuint (watch.n_destroyed, ==, 1);
  close_both (fds);
}

static void
test_quiet (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };

  g_test_summary ("C14, R15: with no handler, with one that is not ready, and after its removal "
                  "the context sleeps");

  open_pair (fds);
  loop_assert_quiet (loop);

  watch.fd = fds[0];
  fill (fds[0]);
  watch_set (&watch, TRUE, TRUE);
  loop_assert_quiet (loop);
  g_assert_cmpuint (watch.n_read + watch.n_write, ==, 0);

  watch_remove (&watch);
  put (fds[1]);
  loop_assert_quiet (loop);
  g_assert_cmpuint (watch.n_read + watch.n_write, ==, 0);
  close_both (fds);
}

static void
test_ready_but_not_wanted (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };

  g_test_summary ("C14, C20: readable is nothing to a handler that writes, and room nothing to one "
                  "that reads");

  open_pair (fds);
  watch.fd = fds[0];
  put (fds[1]);
  fill (fds[0]);
  watch_set (&watch, FALSE, TRUE);
  loop_assert_quiet (loop);

  drain (fds[0]);
  drain (fds[1]);
  watch_set (&watch, TRUE, FALSE);
  loop_assert_quiet (loop);
  g_assert_cmpuint (watch.n_read + watch.n_write, ==, 0);

  watch_remove (&watch);
  close_both (fds);
}

static void
test_timeout (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };
  GPollFD polled[LOOP_MAX_FDS];
  int priority, timeout;

  g_test_summary ("C31, R15: a handler that is not ready leaves the timeout endless; one that can "
                  "always run makes it 0 or the descriptor readable");

  open_pipe (fds);
  watch.fd = fds[0];
  watch_set (&watch, TRUE, FALSE);
  loop_pass (loop);
  if (way_is_foreign (loop->way))
    {
      gint64 timeout_ns;

      aio_context_get_fd (loop->context);
      timeout_ns = aio_context_get_timeout_ns (loop->context);
      g_assert_cmpint (timeout_ns, ==, monitor_is_poll () ? 10 * MSEC : -1);
      aio_context_dispatch (loop->context);
    }
  if (way_is_main (loop->way))
    {
      g_assert_true (g_main_context_acquire (loop->main_context));
      g_assert_false (g_main_context_prepare (loop->main_context, &priority));
      g_main_context_query (loop->main_context, priority, &timeout, polled, LOOP_MAX_FDS);
      g_assert_cmpint (timeout, ==, -1);
      g_main_context_release (loop->main_context);
    }
  watch_remove (&watch);
  close_both (fds);
}

static int
count_polled (Loop *loop,
              int  *last)
{
  GPollFD polled[LOOP_MAX_FDS];
  int priority, timeout, n;

  g_assert_true (g_main_context_acquire (loop->main_context));
  g_main_context_prepare (loop->main_context, &priority);
  n = g_main_context_query (loop->main_context, G_MAXINT, &timeout, polled, LOOP_MAX_FDS);
  g_assert_cmpint (n, <=, LOOP_MAX_FDS);
  g_main_context_release (loop->main_context);
  *last = polled[n - 1].fd;
  return n;
}

static gboolean
is_epoll (int fd)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  g_autofree char *target = g_file_read_link (path, NULL);

  return target != NULL && strstr (target, "eventpoll") != NULL;
}

static void
test_polled (Loop *loop)
{
  int last, with, without, i;
  int fds[10][2];

  g_test_summary ("C31: a GMainContext polls one descriptor for a context, whatever hangs on it; a "
                  "plain wakeup descriptor as long as there is no handler");

  if (monitor_is_poll ())
    {
      g_test_skip ("one descriptor for many is what poll(2) cannot give");
      return;
    }
  aio_context_detach (loop->context);
  without = count_polled (loop, &last);
  aio_context_attach (loop->context, loop->main_context);
  g_assert_cmpint (count_polled (loop, &last), ==, without + 1);
  g_assert_false (is_epoll (last));

  for (i = 0; i < 10; i++)
    {
      open_pipe (fds[i]);
      aio_context_set_fd_handler (loop->context, fds[i][0], watch_read, NULL, NULL);
      loop_pass (loop);
      with = count_polled (loop, &last);
      g_assert_cmpint (with, ==, without + 1);
    }
  for (i = 0; i < 10; i++)
    {
      aio_context_set_fd_handler (loop->context, fds[i][0], NULL, NULL, NULL);
      close_both (fds[i]);
      loop_pass (loop);
      g_assert_cmpint (count_polled (loop, &last), <=, without + 1);
    }
}

#define MANY 400

static void
test_many (Loop *loop)
{
  g_autofree int (*fds)[2] = (int (*)[2]) g_new (int, 2 * MANY);
  g_autofree Watch *watches = g_new0 (Watch, MANY);
  guint i, sum;

  g_test_summary ("C20, R26: of many descriptors those that are ready are handled, and each of "
                  "them, in however many passes");

  for (i = 0; i < MANY; i++)
    {
      open_pipe (fds[i]);
      watches[i] = (Watch) { .loop = loop, .fd = fds[i][0], .takes = TRUE };
      watch_set (&watches[i], TRUE, FALSE);
    }
  put (fds[MANY / 2][1]);
  LOOP_WAIT (loop, watches[MANY / 2].n_read > 0);
  loop_pass (loop);
  for (i = 0; i < MANY; i++)
    g_assert_cmpuint (watches[i].n_read, ==, i == MANY / 2 ? 1 : 0);

  for (i = 0; i < MANY; i++)
    put (fds[i][1]);
  do
    {
      loop_turn (loop, TRUE);
      for (i = 0, sum = 0; i < MANY; i++)
        sum += watches[i].n_read;
    }
  while (sum < MANY + 1);
  loop_pass (loop);
  for (i = 0; i < MANY; i++)
    {
      g_assert_cmpuint (watches[i].n_read, ==, i == MANY / 2 ? 2 : 1);
      watch_remove (&watches[i]);
      close_both (fds[i]);
    }
  loop_pass (loop);
  for (i = 0; i < MANY; i++)
    g_assert_cmpuint (watches[i].n_destroyed, ==, 1);
}

/* A plain source that goes first, and reads what was there for the handler. */
typedef struct
{
  Watch *watch;
  guint n;
} Greedy;

static gboolean
read_it_away (int          fd,
              GIOCondition condition,
              gpointer     data)
{
  Greedy *greedy = data;

  greedy->n++;
  g_assert_true (take (fd));
  return G_SOURCE_CONTINUE;
}

static void
test_not_ready_any_more (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };
  Greedy greedy = { .watch = &watch };
  GSource *source;
  guint i;

  g_test_summary ("C20, G3: a descriptor that was ready when GLib checked, while a source of "
                  "higher priority had its turn and read it empty, is looked at again before its "
                  "handler is called");

  open_pipe (fds);
  watch.fd = fds[0];
  watch_set (&watch, TRUE, FALSE);
  loop_pass (loop);
  source = g_unix_fd_source_new (fds[0], G_IO_IN);
  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_set_callback (source, G_SOURCE_FUNC (read_it_away), &greedy, NULL);
  g_source_attach (source, loop->main_context);
  for (i = 1; i <= 5; i++)
    {
      put (fds[1]);
      LOOP_WAIT (loop, greedy.n == i);
      loop_pass (loop);
    }
  g_assert_cmpuint (watch.n_read, ==, 0);
  g_source_destroy (source);
  g_source_unref (source);
  watch_remove (&watch);
  close_both (fds);
}

/* Descriptors that are always ready may not keep others from their turn, nor bottom halves, nor
 * the callers. */
static void
schedule_again (gpointer data)
{
  AioBH *bh = *(AioBH **) data;

  aio_bh_schedule (bh);
}

static void
test_fair (Loop *loop)
{
  int busy[2], fds[2];
  Watch greedy = { .loop = loop };
  Watch watch = { .loop = loop };
  AioBH *bh = NULL;

  g_test_summary ("C4, C20: neither a bottom half that schedules itself nor a descriptor that is "
                  "always ready starves another descriptor");

  open_pair (busy);
  open_pipe (fds);
  bh = aio_bh_new (loop->context, schedule_again, &bh);
  greedy.fd = busy[0];
  watch.fd = fds[0];
  watch.takes = TRUE;
  watch_set (&greedy, FALSE, TRUE);
  watch_set (&watch, TRUE, FALSE);
  aio_bh_schedule (bh);
  loop_pass (loop);
  put (fds[1]);
  LOOP_WAIT (loop, watch.n_read > 0);
  g_assert_cmpuint (greedy.n_write, <=, 10);

  aio_bh_delete (bh);
  watch_remove (&greedy);
  watch_remove (&watch);
  close_both (busy);
  close_both (fds);
}

static guint64
count_wakeups (Loop *loop)
{
  AioContextStats stats;

  aio_context_get_stats (loop->context, &stats, sizeof stats);
  return stats.wakeups_sent;
}

typedef struct
{
  Watch other;
  int fds[2];
  AioBH *bh;
} Editor;

static void
edit_without_wakeup (Watch *watch)
{
  Editor *editor = watch->data;
  guint64 before = count_wakeups (watch->loop);
  int i;

  for (i = 0; i < 10; i++)
    {
      watch_set (&editor->other, TRUE, FALSE);
      watch_remove (&editor->other);
      aio_bh_schedule (editor->bh);
    }
  aio_bh_cancel (editor->bh);
  g_assert_cmpuint (count_wakeups (watch->loop), ==, before);
}

static void
do_nothing (gpointer data)
{
}

static void
test_no_wakeups (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };
  Editor editor = { .other = { .loop = loop } };

  g_test_summary ("C15: while handlers run nothing that the home thread does writes a wakeup");

  open_pipe (fds);
  open_pipe (editor.fds);
  editor.other.fd = editor.fds[0];
  editor.bh = aio_bh_new (loop->context, do_nothing, NULL);
  watch = (Watch) { .loop = loop, .fd = fds[0], .takes = TRUE, .act = edit_without_wakeup };
  watch.data = &editor;
  watch_set (&watch, TRUE, FALSE);
  loop_pass (loop);
  put (fds[1]);
  LOOP_WAIT (loop, watch.n_read > 0);

  aio_bh_delete (editor.bh);
  watch_remove (&watch);
  close_both (fds);
  close_both (editor.fds);
}

typedef struct
{
  Loop *loop;
  AioBH *bh;
  gboolean over;
} Producer;

static void
producer_ended (gpointer data)
{
  Producer *producer = data;

  producer->over = TRUE;
}

static void *
schedule_often (void *data)
{
  Producer *producer = data;
  int i;

  for (i = 0; i < 20000; i++)
    {
      aio_bh_schedule (producer->bh);
      if (i % 100 == 0)
        g_usleep (100);
    }
  g_assert_true (aio_context_post (producer->loop->context, producer_ended, producer, NULL));
  return NULL;
}

static void
test_wakeups (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };
  Producer producer = { .loop = loop };
  guint64 turns = 0, before;
  pthread_t thread;

  g_test_summary ("C15: also with descriptors at most one wakeup is written a sleep");

  open_pipe (fds);
  watch.fd = fds[0];
  watch_set (&watch, TRUE, FALSE);
  loop_pass (loop);
  producer.bh = aio_bh_new (loop->context, do_nothing, NULL);
  before = count_wakeups (loop);
  thread = thread_start (schedule_often, &producer);
  while (!producer.over)
    {
      loop_turn (loop, TRUE);
      turns++;
    }
  thread_join (thread);
  g_assert_cmpuint (count_wakeups (loop) - before, <=, turns + 1);

  aio_bh_delete (producer.bh);
  watch_remove (&watch);
  close_both (fds);
}

/* --- Handlers come and go --------------------------------------------------------------------- */

static void
test_replace (Loop *loop)
{
  int fds[2];
  Watch first = { .loop = loop };
  Watch second = { .loop = loop };

  g_test_summary ("C20, C21: a new handler takes the place of the old one, whose destroy notify "
                  "runs once");

  open_pair (fds);
  first.fd = second.fd = fds[0];
  put (fds[1]);
  watch_set (&first, TRUE, FALSE);
  loop_pass (loop);
  g_assert_cmpuint (first.n_read, ==, 1);

  watch_set (&second, TRUE, FALSE);
  loop_pass (loop);
  g_assert_cmpuint (first.n_read, ==, 1);
  g_assert_cmpuint (first.n_destroyed, ==, 1);
  g_assert_cmpuint (second.n_read, ==, 1);

  watch_set (&first, FALSE, TRUE);
  loop_pass (loop);
  g_assert_cmpuint (first.n_write, ==, 1);
  g_assert_cmpuint (first.n_read, ==, 1);
  g_assert_cmpuint (second.n_read, ==, 1);
  g_assert_cmpuint (second.n_destroyed, ==, 1);

  watch_remove (&first);
  loop_pass (loop);
  g_assert_cmpuint (first.n_write, ==, 1);
  g_assert_cmpuint (first.n_destroyed, ==, 1);
  close_both (fds);
}

static void
test_same_data (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };

  g_test_summary ("C21: a handler that replaces itself with the same data gets a destroy notify "
                  "for each time it was set");

  open_pair (fds);
  watch.fd = fds[0];
  put (fds[1]);
  watch_set (&watch, TRUE, FALSE);
  aio_context_set_fd_handler_full (loop->context, fds[0], watch_read, watch_write, NULL, NULL,
                                   &watch, NULL, NULL);
  g_assert_cmpuint (watch.n_destroyed, <=, 1);
  watch.n_destroyed = 0;
  loop_pass (loop);
  watch.n_destroyed = 0;
  g_assert_cmpuint (watch.n_read, ==, 1);
  g_assert_cmpuint (watch.n_write, ==, 1);
  watch_remove (&watch);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_destroyed, ==, 0);
  close_both (fds);
}

static void
test_remove (Loop *loop)
{
  int fds[2], other[2];
  Watch watch = { .loop = loop };

  g_test_summary ("C21, C20: after its removal a handler does not run; to remove what is not there "
                  "is nothing");

  open_pipe (fds);
  open_pipe (other);
  watch.fd = fds[0];
  watch_set (&watch, TRUE, FALSE);
  loop_pass (loop);
  put (fds[1]);
  watch_remove (&watch);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 0);
  g_assert_cmpuint (watch.n_destroyed, ==, 1);

  watch_remove (&watch);
  aio_context_set_fd_handler (loop->context, other[0], NULL, NULL, &watch);
  aio_context_set_fd_handler (loop->context, 15000, NULL, NULL, NULL);
  aio_context_set_fd_handler (loop->context, G_MAXINT, NULL, NULL, NULL);
  g_assert_true (aio_context_set_fd_handler_full (loop->context, other[0], NULL, NULL, NULL, NULL,
                                                  NULL, NULL, NULL));
  loop_pass (loop);
  g_assert_cmpuint (watch.n_destroyed, ==, 1);

  watch_set (&watch, TRUE, FALSE);
  LOOP_WAIT (loop, watch.n_read > 0);
  watch_remove (&watch);
  close_both (fds);
  close_both (other);
}

static void
test_removed_before_pass (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };

  g_test_summary ("C21: removed between its readiness and the pass, a handler does not run");

  open_pipe (fds);
  watch.fd = fds[0];
  put (fds[1]);
  watch_set (&watch, TRUE, FALSE);
  watch_remove (&watch);
  loop_pass (loop);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 0);
  g_assert_cmpuint (watch.n_destroyed, ==, 1);
  close_both (fds);
}

static void
remove_self_then_look (Watch *watch)
{
  if (watch->n_read != 2)
    return;
  watch_remove (watch);
  g_assert_cmpuint (watch->n_destroyed, ==, 0);
  if (watch->data != NULL)
    loop_pass (watch->loop);
  g_assert_cmpuint (watch->n_destroyed, ==, 0);
}

static void
test_remove_self (Loop *loop)
{
  int fds[2];
  gpointer nests;

  g_test_summary ("C21, C20: a handler may remove itself; its data is kept until it has returned, "
                  "also through a nested iteration");

  open_pipe (fds);
  put (fds[1]);
  for (nests = NULL; nests != fds + 1; nests = nests == NULL ? fds : fds + 1)
    {
      Watch watch = { .loop = loop, .fd = fds[0], .act = remove_self_then_look, .data = nests };

      watch_set (&watch, TRUE, FALSE);
      LOOP_WAIT (loop, watch.n_read >= 2);
      loop_pass (loop);
      g_assert_cmpuint (watch.n_read, ==, 2);
      g_assert_cmpuint (watch.n_destroyed, ==, 1);
    }
  close_both (fds);
}

static void
check_current (Watch *watch)
{
  g_assert_true (aio_context_get_current () == watch->loop->context);
  g_assert_true (aio_context_is_home_thread (watch->loop->context));
}

static void
test_current (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };

  g_test_summary ("C17: a handler runs in the home thread, and its context is the current one");

  open_pair (fds);
  watch = (Watch) { .loop = loop, .fd = fds[0], .act = check_current };
  put (fds[1]);
  watch_set (&watch, TRUE, TRUE);
  LOOP_WAIT (loop, watch.n_read > 0 && watch.n_write > 0);
  g_assert_null (aio_context_get_current ());
  watch_remove (&watch);
  close_both (fds);
}

/* --- The end of things ------------------------------------------------------------------------ */

static void
test_leftover (Loop *loop)
{
  int fds[2];
  Watch reader = { .loop = loop };
  Watch writer = { .loop = loop };
  Reports reports;

  g_test_summary ("C24: handlers that are still there when the context ends are named in one "
                  "critical warning, and their destroy notify runs");

  open_pair (fds);
  reader.fd = fds[0];
  writer.fd = fds[1];
  watch_set (&reader, TRUE, FALSE);
  watch_set (&writer, FALSE, TRUE);
  loop_pass (loop);
  reports_begin (&reports);
  loop_clear (loop);
  g_assert_cmpuint (reports.n, ==, 1);
  g_assert_true (reports_mention (&reports, "loopy"));
  g_assert_true (reports_mention_fd (&reports, fds[0]));
  g_assert_true (reports_mention_fd (&reports, fds[1]));
  reports_end (&reports);
  g_assert_cmpuint (reader.n_destroyed, ==, 1);
  g_assert_cmpuint (writer.n_destroyed, ==, 1);
  g_assert_cmpuint (reader.n_read, ==, 0);
  close_both (fds);
}

static void
drop_context (Watch *watch)
{
  Loop *loop = watch->loop;

  watch_remove (watch);
  if (loop->main_context != NULL)
    aio_context_detach (loop->context);
  aio_context_unref (g_steal_pointer (&loop->context));
  g_assert_cmpuint (watch->n_destroyed, ==, 0);
}

static void
test_last_reference (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };

  g_test_summary ("C23: the last reference may go in a handler");

  open_pipe (fds);
  watch = (Watch) { .loop = loop, .fd = fds[0], .act = drop_context };
  watch_set (&watch, TRUE, FALSE);
  loop_pass (loop);
  put (fds[1]);
  while (watch.n_read == 0)
    loop_turn (loop, TRUE);
  g_assert_cmpuint (watch.n_read, ==, 1);
  g_assert_cmpuint (watch.n_destroyed, ==, 1);
  close_both (fds);
}

static void
test_order_of_ends (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };
  int order;

  g_test_summary ("C23, R20, R21: source, GMainContext and handlers may go in any order, and a "
                  "shell comes back with all of them");

  open_pipe (fds);
  put (fds[1]);
  watch.fd = fds[0];
  for (order = 0; order < 4; order++)
    {
      watch_set (&watch, TRUE, FALSE);
      LOOP_WAIT (loop, watch.n_read > 0);
      if (order == 0)
        watch_remove (&watch);
      if (order == 1)
        g_source_destroy (aio_context_get_source (loop->context));
      else if (order == 2)
        aio_context_detach (loop->context);
      else
        g_main_context_unref (g_steal_pointer (&loop->main_context));
      watch_remove (&watch);

      watch = (Watch) { .loop = loop, .fd = fds[0] };
      watch_set (&watch, TRUE, FALSE);
      g_assert_true (aio_context_poll (loop->context, TRUE));
      g_assert_cmpuint (watch.n_read, ==, 1);
      g_clear_pointer (&loop->main_context, g_main_context_unref);
      loop_init_driver (loop);
      LOOP_WAIT (loop, watch.n_read >= 3);
      watch_remove (&watch);
      watch.n_read = 0;
    }
  close_both (fds);
}

static void
detach_in_handler (Watch *watch)
{
  aio_context_detach (watch->loop->context);
}

static void
test_detach (Loop *loop)
{
  int a[2], b[2];
  Watch first = { .loop = loop };
  Watch second = { .loop = loop };

  g_test_summary ("C16: a detach in a handler ends the pass after it; the rest goes on later, with "
                  "nothing lost");

  open_pipe (a);
  open_pipe (b);
  first = (Watch) { .loop = loop, .fd = a[0], .takes = TRUE, .act = detach_in_handler };
  second = (Watch) { .loop = loop, .fd = b[0], .takes = TRUE, .act = detach_in_handler };
  watch_set (&first, TRUE, FALSE);
  watch_set (&second, TRUE, FALSE);
  loop_pass (loop);
  put (a[1]);
  put (b[1]);
  LOOP_WAIT (loop, first.n_read + second.n_read > 0);
  g_assert_cmpuint (first.n_read + second.n_read, ==, 1);
  loop_pass (loop);
  g_assert_cmpuint (first.n_read + second.n_read, ==, 1);

  aio_context_attach (loop->context, loop->main_context);
  LOOP_WAIT (loop, first.n_read + second.n_read > 1);
  g_assert_cmpuint (first.n_read, ==, 1);
  g_assert_cmpuint (second.n_read, ==, 1);
  watch_remove (&first);
  watch_remove (&second);
  close_both (a);
  close_both (b);
}

typedef struct
{
  AioIOThread *thread;
  int fd;
  atomic_int n;
} Remote;

static void
on_remote (gpointer data)
{
  Remote *remote = data;

  take (remote->fd);
  g_assert_true (aio_context_get_current () == aio_io_thread_get_context (remote->thread));
  atomic_fetch_add (&remote->n, 1);
}

static void
stop_remote (Watch *watch)
{
  Remote *remote = watch->data;

  aio_io_thread_stop (remote->thread);
}

static void
test_io_thread (Loop *loop)
{
  int fds[2], own[2];
  Remote remote = { .thread = aio_io_thread_new ("remote", NULL) };
  AioContext *context = aio_io_thread_get_context (remote.thread);
  Watch watch = { .loop = loop };
  int i;

  g_test_summary ("C17, C20: handlers in an I/O thread's context, set and removed from outside; "
                  "the I/O thread of another context may be stopped in a handler");

  open_pipe (fds);
  open_pipe (own);
  remote.fd = fds[0];
  for (i = 0; i < 50; i++)
    {
      aio_context_set_fd_handler (context, fds[0], on_remote, NULL, &remote);
      put (fds[1]);
      while (atomic_load (&remote.n) <= i)
        g_usleep (10);
      aio_context_set_fd_handler (context, fds[0], NULL, NULL, NULL);
    }

  watch = (Watch) { .loop = loop, .fd = own[0], .takes = TRUE, .act = stop_remote };
  watch.data = &remote;
  watch_set (&watch, TRUE, FALSE);
  put (own[1]);
  LOOP_WAIT (loop, watch.n_read > 0);
  put (fds[1]);
  loop_pass (loop);
  g_assert_cmpint (atomic_load (&remote.n), ==, 50);

  watch_remove (&watch);
  aio_io_thread_unref (remote.thread);
  close_both (fds);
  close_both (own);
}

static void
do_forever (gpointer data)
{
  AioTimer *timer = data;

  aio_timer_mod_ns (timer, 0);
}

static void
test_busy_io_thread (void)
{
  int i, fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);

  g_test_summary ("C26: an I/O thread whose descriptor is always ready, and whose timer is always "
                  "due, can be stopped");

  for (i = 0; i < 20; i++)
    {
      AioIOThread *thread = aio_io_thread_new ("busy", NULL);
      AioContext *context = aio_io_thread_get_context (thread);
      AioTimer timer;

      aio_timer_init (&timer, context, AIO_CLOCK_MONOTONIC, do_forever, &timer);
      aio_timer_mod_ns (&timer, 0);
      aio_context_set_fd_handler (context, fd, do_nothing, NULL, NULL);
      g_usleep (i * 10);
      aio_io_thread_stop (thread);
      aio_timer_clear (&timer);
      aio_context_set_fd_handler (context, fd, NULL, NULL, NULL);
      aio_io_thread_unref (thread);
    }
  close (fd);
}

/* In the child: what is not allowed is reported and does nothing; the references go. */
static int
as_a_child (Loop  *loop,
            Watch *watch,
            int    fd)
{
  Reports reports;
  guint n;

  reports_begin (&reports);
  aio_context_set_fd_handler (loop->context, fd, watch_read, NULL, watch);
  aio_context_set_fd_handler (loop->context, watch->fd, NULL, NULL, NULL);
  aio_context_set_fd_handler_full (loop->context, fd, watch_read, NULL, NULL, NULL, watch, NULL,
                                   NULL);
  aio_context_get_timeout_ns (loop->context);
  aio_context_dispatch (loop->context);
  n = reports.n;
  aio_context_unref (loop->context);
  return n == 5 ? 0 : 1;
}

static void
test_fork (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };
  int status;
  pid_t child;

  g_test_summary ("C25: in a forked child calls about descriptors are critical warnings that "
                  "change nothing; dropping the context leaves the parent's descriptors watched");

  open_pipe (fds);
  watch.fd = fds[0];
  watch.takes = TRUE;
  watch_set (&watch, TRUE, FALSE);
  loop_pass (loop);

  child = fork ();
  g_assert_cmpint (child, >=, 0);
  if (child == 0)
    {
      /* The reference of the GMainContext, that goes with it. */
      if (loop->main_context != NULL)
        aio_context_unref (loop->context);
      _exit (as_a_child (loop, &watch, fds[1]));
    }
  g_assert_cmpint (TEMP_FAILURE_RETRY (waitpid (child, &status, 0)), ==, child);
  g_assert_true (WIFEXITED (status));
  g_assert_cmpint (WEXITSTATUS (status), ==, 0);

  put (fds[1]);
  LOOP_WAIT (loop, watch.n_read > 0);
  watch_remove (&watch);
  close_both (fds);
}

/* --- What goes wrong -------------------------------------------------------------------------- */

static void
test_closed (Loop *loop)
{
  int fds[2], own[2];
  Watch closed = { .loop = loop };
  Watch watch = { .loop = loop };
  Reports reports;
  int i;

  g_test_summary ("C20: a descriptor that was closed before its removal is reported by name, at "
                  "its removal at the latest; the others are not disturbed");

  open_pipe (fds);
  open_pipe (own);
  closed.fd = fds[0];
  watch.fd = own[0];
  watch.takes = TRUE;
  watch_set (&closed, TRUE, FALSE);
  watch_set (&watch, TRUE, FALSE);
  loop_pass (loop);

  reports_begin (&reports);
  close_both (fds);
  for (i = 0; i < 3; i++)
    {
      put (own[1]);
      LOOP_WAIT (loop, (int) watch.n_read > i);
    }
  loop_assert_quiet (loop);
  watch_remove (&closed);
  g_assert_cmpuint (reports.n, ==, 1);
  g_assert_true (reports_mention (&reports, "loopy"));
  g_assert_true (reports_mention_fd (&reports, closed.fd));
  loop_pass (loop);
  g_assert_cmpuint (closed.n_destroyed, ==, 1);
  loop_assert_quiet (loop);
  g_assert_cmpuint (reports.n, ==, 1);
  reports_end (&reports);

  put (own[1]);
  LOOP_WAIT (loop, watch.n_read > 3);
  watch_remove (&watch);
  close_both (own);
}

static void
test_closed_then_replaced (Loop *loop)
{
  int fds[2];
  Watch closed = { .loop = loop };
  Watch again = { .loop = loop };
  Reports reports;
  int number;

  g_test_summary ("C20: closed before its removal, opened anew with the same number, and given a "
                  "new handler: the kernel tells (ENOENT), so it is reported; the new handler "
                  "works");

  open_pipe (fds);
  number = closed.fd = again.fd = fds[0];
  watch_set (&closed, TRUE, FALSE);
  loop_pass (loop);
  close_both (fds);
  open_pipe (fds);
  g_assert_cmpint (fds[0], ==, number);

  reports_begin (&reports);
  watch_set (&again, TRUE, FALSE);
  put (fds[1]);
  LOOP_WAIT (loop, again.n_read > 0);
  loop_pass (loop);
  g_assert_cmpuint (closed.n_read, ==, 0);
  g_assert_cmpuint (closed.n_destroyed, ==, 1);
  /* With poll(2) the kernel knows nothing of it, if nothing was polled meanwhile. */
  if (!monitor_is_poll ())
    {
      g_assert_true (reports_mention (&reports, "loopy"));
      g_assert_true (reports_mention_fd (&reports, number));
    }
  reports_end (&reports);
  watch_remove (&again);
  close_both (fds);
}

static void
test_closed_and_twin (Loop *loop)
{
  int fds[2], plain[2], twin;
  Watch stale = { .loop = loop };
  Watch closed = { .loop = loop };
  Reports reports;

  g_test_summary ("C20: one descriptor is closed and leaves a duplicate that is reported for ever, "
                  "another one is just closed: both are named, the loop does not spin");

  open_pipe (fds);
  open_pipe (plain);
  twin = dup (fds[0]);
  stale.fd = fds[0];
  closed.fd = plain[0];
  watch_set (&stale, TRUE, FALSE);
  watch_set (&closed, TRUE, FALSE);
  loop_pass (loop);

  reports_begin (&reports);
  close_both (plain);
  close (fds[0]);
  watch_remove (&stale);
  put (fds[1]);
  loop_assert_quiet (loop);
  watch_remove (&closed);
  loop_pass (loop);
  g_assert_true (reports_mention_fd (&reports, fds[0]));
  g_assert_true (reports_mention_fd (&reports, plain[0]));
  reports_end (&reports);
  g_assert_cmpuint (stale.n_destroyed + closed.n_destroyed, ==, 2);
  close (twin);
  close (fds[1]);
}

static void
test_closed_twin (Loop *loop)
{
  int fds[2], twin;
  Watch closed = { .loop = loop };
  Watch again = { .loop = loop };
  Reports reports;

  g_test_summary ("C20, R17: a descriptor that was closed before its removal while a duplicate "
                  "lives on cannot make the loop spin, which epoll would go on to report");

  open_pipe (fds);
  twin = dup (fds[0]);
  closed.fd = fds[0];
  watch_set (&closed, TRUE, FALSE);
  loop_pass (loop);

  reports_begin (&reports);
  close (fds[0]);
  watch_remove (&closed);
  put (fds[1]);
  loop_assert_quiet (loop);
  g_assert_cmpuint (closed.n_read, ==, 0);
  g_assert_true (reports_mention (&reports, "loopy"));
  g_assert_true (reports_mention_fd (&reports, fds[0]));

  /* The same file again, under whatever number is free, maybe the old one. */
  again.fd = dup (twin);
  watch_set (&again, TRUE, FALSE);
  LOOP_WAIT (loop, again.n_read > 0);
  g_assert_cmpuint (closed.n_read, ==, 0);
  watch_remove (&again);
  loop_assert_quiet (loop);
  reports_end (&reports);
  close (again.fd);
  close (twin);
  close (fds[1]);
}

static void
test_closed_twin_ready (Loop *loop)
{
  int fds[2], twin;
  Watch closed = { .loop = loop };
  Reports reports;

  g_test_summary ("C20: closed while it is readable and a duplicate lives on; removed in its own "
                  "handler");

  open_pipe (fds);
  twin = dup (fds[0]);
  closed = (Watch) { .loop = loop, .fd = fds[0], .act = remove_self_then_look };
  put (fds[1]);
  watch_set (&closed, TRUE, FALSE);
  LOOP_WAIT (loop, closed.n_read > 0);

  reports_begin (&reports);
  close (fds[0]);
  if (!monitor_is_poll ())
    LOOP_WAIT (loop, closed.n_read > 1);
  else
    {
      loop_pass (loop);
      watch_remove (&closed);
    }
  loop_assert_quiet (loop);
  g_assert_true (reports_mention_fd (&reports, fds[0]));
  g_assert_cmpuint (closed.n_destroyed, ==, 1);
  reports_end (&reports);
  close (twin);
  close (fds[1]);
}

static void
test_refused (Loop *loop)
{
  static const int refusals[] = { ENOSPC, ENOMEM, EMFILE };
  int fds[2];
  Watch old = { .loop = loop };
  Watch new = { .loop = loop };
  GError *error = NULL;
  guint i;

  g_test_summary ("C27: what epoll refuses comes back as a GError; the old handler stays, and the "
                  "destroy notify of the new one is not called");

  if (monitor_is_poll ())
    {
      g_test_skip ("about epoll");
      return;
    }
  open_pair (fds);
  old.fd = new.fd = fds[0];
  for (i = 0; i < G_N_ELEMENTS (refusals); i++)
    {
      refusal = refusals[i];
      g_assert_false (aio_context_set_fd_handler_full (loop->context, fds[0], watch_read, NULL,
                                                       NULL, NULL, &new, watch_destroyed, &error));
      refusal = 0;
      g_assert_error (error, G_IO_ERROR, (int) g_io_error_from_errno (refusals[i]));
      g_assert_nonnull (strstr (error->message, "loopy"));
      g_assert_nonnull (strstr (error->message, g_strerror (refusals[i])));
      g_clear_error (&error);
    }
  put (fds[1]);
  loop_pass (loop);
  g_assert_cmpuint (new.n_read + new.n_destroyed, ==, 0);

  watch_set (&old, TRUE, FALSE);
  refusal = ENOSPC;
  g_assert_false (aio_context_set_fd_handler_full (loop->context, fds[0], watch_read, watch_write,
                                                   NULL, NULL, &new, watch_destroyed, &error));
  refusal = 0;
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_NO_SPACE);
  g_clear_error (&error);
  loop_pass (loop);
  g_assert_cmpuint (old.n_read, ==, 1);
  g_assert_cmpuint (old.n_write + old.n_destroyed, ==, 0);
  g_assert_cmpuint (new.n_read + new.n_write + new.n_destroyed, ==, 0);

  watch_remove (&old);
  loop_pass (loop);
  g_assert_cmpuint (old.n_destroyed, ==, 1);
  g_assert_cmpuint (new.n_destroyed, ==, 0);
  close_both (fds);
}

static void
test_refused_plain (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };
  Reports reports;

  g_test_summary ("C27: where there is no GError to set, it falls back or a critical warning names "
                  "the descriptor and the context");

  if (monitor_is_poll ())
    {
      g_test_skip ("about epoll");
      return;
    }
  open_pair (fds);
  watch.fd = fds[0];
  put (fds[1]);
  reports_begin (&reports);
  refusal = ENOSPC;
  aio_context_set_fd_handler (loop->context, fds[0], watch_read, NULL, &watch);
  refusal = 0;
  loop_pass (loop);
  if (watch.n_read == 0)
    {
      g_assert_cmpuint (reports.n, ==, 1);
      g_assert_true (reports_mention (&reports, "loopy"));
      g_assert_true (reports_mention_fd (&reports, fds[0]));
    }
  reports_end (&reports);
  watch_remove (&watch);
  close_both (fds);
}

static gboolean
is_never (gpointer data)
{
  return FALSE;
}

typedef struct
{
  AioContext *context;
  int fds[2];
  guint n_read;
} Visited;

/* The nested iteration sleeps, so the handler has to be watched again when it is over. */
static void
sleep_inside_then_refuse (gpointer data)
{
  Visited *visited = data;

  take (visited->fds[0]);
  if (visited->n_read++ > 0)
    return;
  aio_context_poll_until (visited->context, is_never, NULL, 1000);
  refusal = ENOSPC;
}

static void
test_refused_in_visit (void)
{
  Visited visited = { .context = aio_context_new_full ("loopy", NULL) };
  Reports reports;

  g_test_summary ("C20, G4: a handler that epoll does not take back, at the end of a visit: who "
                  "sleeps without a timeout is woken, and comes back for it");

  if (monitor_is_poll ())
    {
      g_test_skip ("about epoll");
      aio_context_unref (visited.context);
      return;
    }
  open_pipe (visited.fds);
  reports_begin (&reports);
  aio_context_set_fd_handler (visited.context, visited.fds[0], sleep_inside_then_refuse, NULL,
                              &visited);
  aio_context_dispatch (visited.context);
  aio_context_get_fd (visited.context);
  g_assert_cmpint (aio_context_get_timeout_ns (visited.context), ==, -1);
  put (visited.fds[1]);
  g_assert_true (aio_context_poll (visited.context, TRUE));
  g_assert_true (reports_mention_fd (&reports, visited.fds[0]));
  g_assert_true (is_readable (aio_context_get_fd (visited.context)));

  aio_context_dispatch (visited.context);
  put (visited.fds[1]);
  g_assert_cmpint (aio_context_get_timeout_ns (visited.context), >=, 0);
  refusal = 0;
  aio_context_dispatch (visited.context);
  aio_context_get_timeout_ns (visited.context);
  g_assert_true (aio_context_dispatch (visited.context));
  g_assert_cmpuint (visited.n_read, ==, 2);
  reports_end (&reports);
  aio_context_set_fd_handler (visited.context, visited.fds[0], NULL, NULL, NULL);
  close_both (visited.fds);
  aio_context_unref (visited.context);
}

static void
test_no_nanoseconds (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };
  AioContextStats before, after;

  g_test_summary ("C14, C22: where a filter of system calls refuses the wait with nanoseconds, the "
                  "loop sleeps by milliseconds and does not spin");

  if (monitor_is_poll ())
    {
      g_test_skip ("about epoll");
      return;
    }
  open_pipe (fds);
  watch.fd = fds[0];
  watch_set (&watch, TRUE, FALSE);
  aio_context_get_stats (loop->context, &before, sizeof before);
  aio_test_pause_interruptions (TRUE);
  refuse_pwait2 = TRUE;
  aio_context_poll_until (loop->context, is_never, NULL, 100000);
  refuse_pwait2 = FALSE;
  aio_test_pause_interruptions (FALSE);
  aio_context_get_stats (loop->context, &after, sizeof after);
  g_assert_cmpuint (after.iterations - before.iterations, <, 10);
  g_assert_cmpuint (n_refused_pwait2, <=, 1);
  watch_remove (&watch);
  close_both (fds);
}

static void
test_no_descriptor_left (Loop *loop)
{
  struct rlimit before, none;
  int fds[2], files[2];
  Watch watch = { .loop = loop };
  GError *error = NULL;
  gboolean done;
  int i;

  g_test_summary ("C27, R22: no descriptor left for the epoll set: a GError, and nothing leaks");

  open_pipe (fds);
  watch.fd = fds[0];
  files[0] = open_plain_file ();
  files[1] = dup (files[0]);
  close (files[1]);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  none = before;
  none.rlim_cur = files[1];
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  for (i = 0; i < 3; i++)
    {
      done = aio_context_set_fd_handler_full (loop->context, fds[0], watch_read, NULL, NULL, NULL,
                                              &watch, watch_destroyed, &error);
      if (done)
        break;
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
      g_assert_nonnull (strstr (error->message, "loopy"));
      g_clear_error (&error);
    }
  setrlimit (RLIMIT_NOFILE, &before);
  g_assert_no_error (error);
  /* A monitor that needs none, or had one from the start, gets by. */
  if (!done)
    {
      put (fds[1]);
      loop_pass (loop);
      g_assert_cmpuint (watch.n_read + watch.n_destroyed, ==, 0);
      watch_set (&watch, TRUE, FALSE);
      LOOP_WAIT (loop, watch.n_read > 0);
    }
  else if (loop->way == WAY_POLL)
    g_assert_true (monitor_is_poll ());
  watch_remove (&watch);
  close (files[0]);
  close_both (fds);
}

static void
test_closed_number (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };
  GError *error = NULL;

  g_test_summary ("C27, C20: a number that is not open is refused with a GError, or reported when "
                  "it is polled");

  open_pipe (fds);
  close_both (fds);
  watch.fd = fds[0];
  if (aio_context_set_fd_handler_full (loop->context, fds[0], watch_read, NULL, NULL, NULL, &watch,
                                       watch_destroyed, &error))
    {
      Reports reports;

      g_assert_true (monitor_is_poll ());
      reports_begin (&reports);
      loop_assert_quiet (loop);
      watch_remove (&watch);
      g_assert_cmpuint (reports.n, ==, 1);
      g_assert_true (reports_mention_fd (&reports, fds[0]));
      reports_end (&reports);
      return;
    }
  g_assert_nonnull (error);
  g_assert_true (error->domain == G_IO_ERROR);
  g_clear_error (&error);
  g_assert_cmpuint (watch.n_destroyed, ==, 0);
  watch_remove (&watch);
}

/* What is taken out of a context by the destroy notifies at its end. */
typedef struct
{
  AioContext *context;
  int fds[3][2];
  guint n;
} Rest;

static void
rest_remove_all (gpointer data)
{
  Rest *rest = data;
  guint i;

  rest->n++;
  for (i = 0; i < G_N_ELEMENTS (rest->fds); i++)
    aio_context_set_fd_handler (rest->context, rest->fds[i][0], NULL, NULL, NULL);
}

static void
rest_nothing (gpointer data)
{
}

static void
test_end_removes (void)
{
  Rest rest = { .context = aio_context_new_full ("rest", NULL) };
  guint i;

  g_test_summary ("C24, C23, R9: destroy notifies that run at the end of a context may remove "
                  "handlers, others and such as are gone");

  for (i = 0; i < G_N_ELEMENTS (rest.fds); i++)
    {
      open_pipe (rest.fds[i]);
      g_assert_true (aio_context_set_fd_handler_full (rest.context, rest.fds[i][0], rest_nothing,
                                                      NULL, NULL, NULL, &rest, rest_remove_all,
                                                      NULL));
    }
  aio_bh_new_full (rest.context, "last", rest_nothing, &rest, rest_remove_all);
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*rest*last*descriptor*");
  aio_context_unref (rest.context);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (rest.n, ==, 4);
  for (i = 0; i < G_N_ELEMENTS (rest.fds); i++)
    close_both (rest.fds[i]);
}

static void
test_misuse (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("misused", NULL);
  Watch watch = { .loop = NULL };
  int fds[2];

  g_test_summary ("C28: NULL and negative descriptors are critical warnings that change nothing");

  open_pipe (fds);
  put (fds[1]);
  expect_critical ("*context*");
  aio_context_set_fd_handler (NULL, fds[0], watch_read, NULL, &watch);
  expect_critical ("*context*");
  g_assert_false (aio_context_set_fd_handler_full (NULL, fds[0], watch_read, NULL, NULL, NULL,
                                                   &watch, watch_destroyed, NULL));
  expect_critical ("*fd*");
  aio_context_set_fd_handler (context, -1, watch_read, NULL, &watch);
  expect_critical ("*fd*");
  aio_context_set_fd_handler (context, -1, NULL, NULL, NULL);
  expect_critical ("*fd*");
  aio_context_set_fd_handler (context, G_MININT, NULL, watch_write, &watch);
  expect_critical ("*fd*");
  g_assert_false (aio_context_set_fd_handler_full (context, -1, watch_read, NULL, NULL, NULL,
                                                   &watch, watch_destroyed, NULL));
  g_test_assert_expected_messages ();
  g_assert_false (aio_context_poll (context, FALSE));
  g_assert_cmpuint (watch.n_read + watch.n_destroyed, ==, 0);
  close_both (fds);
}

static void
test_error_already_set (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("misused", NULL);
  g_autoptr (GError) error = g_error_new_literal (G_IO_ERROR, G_IO_ERROR_FAILED, "before");
  Watch watch = { .loop = NULL };
  int fds[2];

  g_test_summary ("C28: a GError that is set already is misuse");

  open_pipe (fds);
  expect_critical ("*error*");
  g_assert_false (aio_context_set_fd_handler_full (context, fds[0], watch_read, NULL, NULL, NULL,
                                                   &watch, watch_destroyed, &error));
  g_test_assert_expected_messages ();
  g_assert_cmpstr (error->message, ==, "before");
  g_assert_cmpuint (watch.n_destroyed, ==, 0);
  close_both (fds);
}

static void
test_create_many (void)
{
  int rounds = g_test_thorough () ? 10000 : 1000;
  int fds[2];
  int i;

  g_test_summary ("C27: contexts with descriptors, made and dropped, leave nothing open");

  open_pipe (fds);
  for (i = 0; i < rounds; i++)
    {
      AioContext *context = aio_context_new ();

      aio_context_set_fd_handler (context, fds[0], watch_read, NULL, NULL);
      aio_context_poll (context, FALSE);
      aio_context_set_fd_handler (context, fds[0], NULL, NULL, NULL);
      aio_context_unref (context);
    }
  close_both (fds);
}

static void
test_two_contexts (Loop *loop)
{
  int fds[2];
  Loop other;
  Watch mine = { .loop = loop };
  Watch theirs = { .loop = &other };

  g_test_summary ("C19: one descriptor in two contexts belongs to each");

  loop_init (&other, loop->way, "other");
  open_pipe (fds);
  mine.fd = theirs.fd = fds[0];
  watch_set (&mine, TRUE, FALSE);
  watch_set (&theirs, TRUE, FALSE);
  put (fds[1]);
  LOOP_WAIT (loop, mine.n_read > 0);
  g_assert_cmpuint (theirs.n_read, ==, 0);
  watch_remove (&mine);
  LOOP_WAIT (&other, theirs.n_read > 0);
  loop_pass (loop);
  g_assert_cmpuint (mine.n_read, ==, 1);
  watch_remove (&theirs);
  loop_clear (&other);
  close_both (fds);
}

static void
test_monitor_by_environment (void)
{
  g_autofree char *before = g_strdup (g_getenv ("AIOCTX_FDMON"));
  static const char *const names[] = { "epoll", "poll" };
  guint n_open[2];
  guint i;

  g_test_summary ("C20: AIOCTX_FDMON chooses how descriptors are watched: with poll(2) there is no "
                  "epoll set");

  for (i = 0; i < G_N_ELEMENTS (names); i++)
    {
      AioContext *context;
      guint n;
      Watch watch = { .loop = NULL };
      int fds[2];

      g_setenv ("AIOCTX_FDMON", names[i], TRUE);
      n = aio_test_count_fds ();
      open_pipe (fds);
      put (fds[1]);
      context = aio_context_new ();
      aio_context_set_fd_handler (context, fds[0], watch_read, NULL, &watch);
      g_assert_true (aio_context_poll (context, TRUE));
      g_assert_cmpuint (watch.n_read, ==, 1);
      n_open[i] = aio_test_count_fds () - n;
      aio_context_set_fd_handler (context, fds[0], NULL, NULL, NULL);
      aio_context_unref (context);
      close_both (fds);
    }
  g_assert_cmpuint (n_open[0], ==, n_open[1] + 1);
  if (before != NULL)
    g_setenv ("AIOCTX_FDMON", before, TRUE);
  else
    g_unsetenv ("AIOCTX_FDMON");
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  loop_test_add_interrupted ("/fd/read", test_read);
  loop_test_add_interrupted ("/fd/write", test_write);
  loop_test_add_interrupted ("/fd/both", test_both);
  loop_test_add_interrupted ("/fd/hang-up", test_hang_up);
  loop_test_add_interrupted ("/fd/end-of-stream", test_end_of_stream);
  loop_test_add ("/fd/plain-file", test_plain_file);
  loop_test_add ("/fd/plain-file-number", test_plain_file_number);
  loop_test_add_interrupted ("/fd/wake", test_wake);
  loop_test_add_telling ("/fd/progress", test_progress);
  loop_test_add ("/fd/quiet", test_quiet);
  loop_test_add ("/fd/ready-but-not-wanted", test_ready_but_not_wanted);
  loop_test_add ("/fd/timeout", test_timeout);
  loop_test_add_main ("/fd/polled", test_polled);
  loop_test_add_interrupted ("/fd/many", test_many);
  loop_test_add ("/fd/fair", test_fair);
  loop_test_add_main ("/fd/not-ready-any-more", test_not_ready_any_more);
  loop_test_add ("/fd/no-wakeups", test_no_wakeups);
  loop_test_add ("/fd/wakeups", test_wakeups);
  loop_test_add_interrupted ("/fd/replace", test_replace);
  loop_test_add ("/fd/same-data", test_same_data);
  loop_test_add ("/fd/remove", test_remove);
  loop_test_add ("/fd/removed-before-pass", test_removed_before_pass);
  loop_test_add ("/fd/remove-self", test_remove_self);
  loop_test_add ("/fd/current", test_current);
  loop_test_add ("/fd/leftover", test_leftover);
  loop_test_add ("/fd/last-reference", test_last_reference);
  loop_test_add_main ("/fd/order-of-ends", test_order_of_ends);
  loop_test_add_main ("/fd/detach", test_detach);
  loop_test_add ("/fd/io-thread", test_io_thread);
  loop_test_add ("/fd/fork", test_fork);
  loop_test_add ("/fd/closed", test_closed);
  loop_test_add ("/fd/closed-then-replaced", test_closed_then_replaced);
  loop_test_add ("/fd/closed-and-twin", test_closed_and_twin);
  loop_test_add ("/fd/closed-twin", test_closed_twin);
  loop_test_add ("/fd/closed-twin-ready", test_closed_twin_ready);
  loop_test_add ("/fd/refused", test_refused);
  loop_test_add ("/fd/refused-plain", test_refused_plain);
  aio_test_add ("/fd/refused-in-visit", test_refused_in_visit);
  loop_test_add ("/fd/no-descriptor-left", test_no_descriptor_left);
  loop_test_add ("/fd/closed-number", test_closed_number);
  loop_test_add ("/fd/two-contexts", test_two_contexts);
  aio_test_add ("/fd/busy-io-thread", test_busy_io_thread);
  loop_test_add_way ("/fd/no-nanoseconds", test_no_nanoseconds, WAY_POLL, FALSE);
  aio_test_add ("/fd/end-removes", test_end_removes);
  aio_test_add ("/fd/misuse", test_misuse);
  aio_test_add ("/fd/error-already-set", test_error_already_set);
  aio_test_add ("/fd/create-many", test_create_many);
  aio_test_add ("/fd/monitor-by-environment", test_monitor_by_environment);
  return g_test_run ();
}
