/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Event notifiers: a flag with a descriptor. */
#include "loop-test.h"
#include <sys/ioctl.h>

typedef struct
{
  AioEventNotifier notifier;    /* first */
  Loop *loop;
  gboolean keeps;               /* leaves it set */
  guint n;
  void (*act) (gpointer data);
  gpointer data;
} Bell;

static void
bell_rings (AioEventNotifier *notifier)
{
  Bell *bell = (Bell *) notifier;

  bell->n++;
  if (!bell->keeps)
    g_assert_true (aio_event_notifier_test_and_clear (notifier));
  if (bell->act != NULL)
    bell->act (bell->data);
}

static void
bell_init (Bell     *bell,
           Loop     *loop,
           gboolean  initially_set)
{
  GError *error = NULL;

  *bell = (Bell) { .loop = loop };
  g_assert_true (aio_event_notifier_init (&bell->notifier, initially_set, &error));
  g_assert_no_error (error);
  aio_context_set_event_notifier (loop->context, &bell->notifier, bell_rings, NULL, NULL);
}

static void
bell_clear (Bell *bell)
{
  aio_context_set_event_notifier (bell->loop->context, &bell->notifier, NULL, NULL, NULL);
  aio_event_notifier_clear (&bell->notifier);
}

/* --- By itself -------------------------------------------------------------------------------- */

static void
test_flag (void)
{
  AioEventNotifier notifier;
  int i;

  g_test_summary ("C1: a notifier is a flag: set once or often, it is set; cleared once, it is "
                  "not; its descriptor is readable while it is set");

  g_assert_cmpuint (sizeof (AioEventNotifier), ==, 2 * sizeof (int));
  g_assert_true (aio_event_notifier_init (&notifier, FALSE, NULL));
  g_assert_false (is_readable (aio_event_notifier_get_fd (&notifier)));
  g_assert_false (aio_event_notifier_test_and_clear (&notifier));
  for (i = 0; i < 1000; i++)
    aio_event_notifier_set (&notifier);
  g_assert_true (is_readable (aio_event_notifier_get_fd (&notifier)));
  g_assert_true (aio_event_notifier_test_and_clear (&notifier));
  g_assert_false (is_readable (aio_event_notifier_get_fd (&notifier)));
  g_assert_false (aio_event_notifier_test_and_clear (&notifier));
  aio_event_notifier_clear (&notifier);

  g_assert_true (aio_event_notifier_init (&notifier, TRUE, NULL));
  g_assert_true (is_readable (aio_event_notifier_get_fd (&notifier)));
  g_assert_true (aio_event_notifier_test_and_clear (&notifier));
  g_assert_false (aio_event_notifier_test_and_clear (&notifier));
  aio_event_notifier_clear (&notifier);
}

static void
test_full (void)
{
  const guint64 most = G_MAXUINT64 - 1;
  AioEventNotifier notifier;
  int i;

  g_test_summary ("C1: set never blocks and keeps errno, also when there is no room for one more");

  g_assert_true (aio_event_notifier_init (&notifier, FALSE, NULL));
  for (i = 0; i < 100000; i++)
    {
      errno = ENOTTY;
      aio_event_notifier_set (&notifier);
      g_assert_cmpint (errno, ==, ENOTTY);
    }
  g_assert_true (aio_event_notifier_test_and_clear (&notifier));
  g_assert_false (aio_event_notifier_test_and_clear (&notifier));

  if (write (aio_event_notifier_get_fd (&notifier), &most, sizeof most) == sizeof most)
    {
      errno = ENOTTY;
      aio_event_notifier_set (&notifier);
      g_assert_cmpint (errno, ==, ENOTTY);
    }
  else
    aio_event_notifier_set (&notifier);
  g_assert_true (aio_event_notifier_test_and_clear (&notifier));
  g_assert_false (aio_event_notifier_test_and_clear (&notifier));
  aio_event_notifier_clear (&notifier);
}

static void
test_heap (void)
{
  AioEventNotifier *notifier, *copy;

  g_test_summary ("C23: a notifier on the heap, for bindings: a boxed copy is the same notifier, "
                  "and freeing nothing is nothing");

  notifier = aio_event_notifier_new (TRUE, NULL);
  g_assert_nonnull (notifier);
  g_assert_true (G_TYPE_IS_BOXED (AIO_TYPE_EVENT_NOTIFIER));
  copy = g_boxed_copy (AIO_TYPE_EVENT_NOTIFIER, notifier);
  aio_event_notifier_free (notifier);
  g_assert_true (aio_event_notifier_test_and_clear (copy));
  aio_event_notifier_set (copy);
  g_assert_true (aio_event_notifier_test_and_clear (copy));
  g_boxed_free (AIO_TYPE_EVENT_NOTIFIER, copy);
  aio_event_notifier_free (NULL);
}

static void
test_no_descriptor_left (void)
{
  struct rlimit before, none;
  AioEventNotifier notifier;
  AioEventNotifier *heap;
  GError *error = NULL;
  int lowest = dup (STDOUT_FILENO);

  g_test_summary ("C27, R22: no descriptor left: a GError, and nothing leaks");

  close (lowest);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &before), ==, 0);
  none = before;
  none.rlim_cur = lowest;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &none), ==, 0);
  g_assert_false (aio_event_notifier_init (&notifier, TRUE, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  g_assert_nonnull (strstr (error->message, g_strerror (EMFILE)));
  g_clear_error (&error);
  g_assert_false (aio_event_notifier_init (&notifier, FALSE, NULL));
  heap = aio_event_notifier_new (FALSE, &error);
  g_assert_null (heap);
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
  g_clear_error (&error);
  setrlimit (RLIMIT_NOFILE, &before);
}

/* --- In a context ----------------------------------------------------------------------------- */

static void
test_rings (Loop *loop)
{
  Bell bell;
  int i;

  g_test_summary ("C11, C20: a notifier's handler runs once for any number of sets; it does its "
                  "own test_and_clear");

  bell_init (&bell, loop, FALSE);
  loop_pass (loop);
  g_assert_cmpuint (bell.n, ==, 0);
  for (i = 1; i <= 10; i++)
    {
      int sets;

      for (sets = 0; sets < i; sets++)
        aio_event_notifier_set (&bell.notifier);
      if (i % 2)
        LOOP_WAIT (loop, (int) bell.n >= i);
      loop_pass (loop);
      g_assert_cmpuint (bell.n, ==, i);
      loop_pass (loop);
      g_assert_cmpuint (bell.n, ==, i);
    }
  bell_clear (&bell);
}

static void
test_level (Loop *loop)
{
  Bell bell;

  g_test_summary ("C20: level-triggered: a notifier that its handler leaves set rings again; one "
                  "that was set before its handler was rings, too; one that is cleared does not");

  bell_init (&bell, loop, TRUE);
  bell.keeps = TRUE;
  loop_pass (loop);
  loop_pass (loop);
  g_assert_cmpuint (bell.n, ==, 2);
  g_assert_true (aio_event_notifier_test_and_clear (&bell.notifier));
  loop_pass (loop);
  g_assert_cmpuint (bell.n, ==, 2);
  loop_assert_quiet (loop);

  aio_event_notifier_set (&bell.notifier);
  g_assert_true (aio_event_notifier_test_and_clear (&bell.notifier));
  loop_pass (loop);
  g_assert_cmpuint (bell.n, ==, 2);
  bell_clear (&bell);
}

static void
test_progress (Loop *loop)
{
  Bell bell;

  g_test_summary ("C11: a notifier's handler that ran is progress");

  bell_init (&bell, loop, FALSE);
  g_assert_false (loop_pass (loop));
  aio_event_notifier_set (&bell.notifier);
  g_assert_true (loop_pass (loop));
  g_assert_false (loop_pass (loop));
  aio_event_notifier_set (&bell.notifier);
  g_assert_true (loop_turn (loop, TRUE));
  bell_clear (&bell);
}

static void
test_removed (Loop *loop)
{
  Bell bell;

  g_test_summary ("C21: a notifier without a handler does not ring, wakes nobody, and stays set");

  bell_init (&bell, loop, FALSE);
  loop_pass (loop);
  aio_context_set_event_notifier (loop->context, &bell.notifier, NULL, NULL, NULL);
  aio_event_notifier_set (&bell.notifier);
  loop_assert_quiet (loop);
  g_assert_cmpuint (bell.n, ==, 0);
  aio_context_set_event_notifier (loop->context, &bell.notifier, bell_rings, NULL, NULL);
  LOOP_WAIT (loop, bell.n > 0);
  aio_context_set_event_notifier (loop->context, &bell.notifier, NULL, NULL, NULL);
  aio_context_set_event_notifier (loop->context, &bell.notifier, NULL, NULL, NULL);
  aio_event_notifier_clear (&bell.notifier);
}

static void
set_itself (gpointer data)
{
  Bell *bell = data;

  if (bell->n < 5)
    aio_event_notifier_set (&bell->notifier);
}

static void
test_sets_itself (Loop *loop)
{
  Bell bell;
  guint i;

  g_test_summary ("C20: a notifier that its handler sets rings in the next pass, not in this one");

  bell_init (&bell, loop, FALSE);
  bell.act = set_itself;
  bell.data = &bell;
  aio_event_notifier_set (&bell.notifier);
  for (i = 1; i <= 5; i++)
    {
      loop_pass (loop);
      g_assert_cmpuint (bell.n, ==, i);
    }
  loop_pass (loop);
  g_assert_cmpuint (bell.n, ==, 5);
  bell_clear (&bell);
}

static void
remove_bell (gpointer data)
{
  bell_clear (data);
}

static void
test_removes_itself (Loop *loop)
{
  Bell bell;

  g_test_summary ("C20, R9: a notifier may be removed and closed in its own handler");

  bell_init (&bell, loop, TRUE);
  bell.act = remove_bell;
  bell.data = &bell;
  LOOP_WAIT (loop, bell.n > 0);
  loop_assert_quiet (loop);
  g_assert_cmpuint (bell.n, ==, 1);
}

/* --- From elsewhere --------------------------------------------------------------------------- */

static void *
set_later (void *data)
{
  Bell *bell = data;

  thread_wait_asleep (bell->loop->tid);
  aio_event_notifier_set (&bell->notifier);
  return NULL;
}

static void
test_wakes (Loop *loop)
{
  Bell bell;
  guint i;

  g_test_summary ("C11, R7: a notifier that another thread sets wakes the sleeper");

  bell_init (&bell, loop, FALSE);
  for (i = 0; i < 20; i++)
    {
      pthread_t thread = thread_start (set_later, &bell);

      LOOP_WAIT (loop, bell.n > i);
      thread_join (thread);
    }
  g_assert_cmpuint (bell.n, ==, 20);
  bell_clear (&bell);
}

static void *
add_later (void *data)
{
  Bell *bell = data;

  thread_wait_asleep (bell->loop->tid);
  aio_context_set_event_notifier (bell->loop->context, &bell->notifier, bell_rings, NULL, NULL);
  return NULL;
}

static void
test_added_by_thread (Loop *loop)
{
  Bell bell = { .loop = loop };
  guint i;

  g_test_summary ("C20, R7: a notifier that is set and gets its handler from another thread while "
                  "the context sleeps rings");

  g_assert_true (aio_event_notifier_init (&bell.notifier, FALSE, NULL));
  for (i = 0; i < 20; i++)
    {
      pthread_t thread;

      aio_event_notifier_set (&bell.notifier);
      thread = thread_start (add_later, &bell);
      LOOP_WAIT (loop, bell.n > i);
      thread_join (thread);
      aio_context_set_event_notifier (loop->context, &bell.notifier, NULL, NULL, NULL);
    }
  aio_event_notifier_clear (&bell.notifier);
}

static Bell *signalled;
static atomic_int n_signals;
static atomic_int n_errno_lost;

static void
set_in_signal (int signum)
{
  int before = errno;

  errno = EXDEV;
  aio_event_notifier_set (&signalled->notifier);
  if (errno != EXDEV)
    atomic_fetch_add (&n_errno_lost, 1);
  atomic_fetch_add (&n_signals, 1);
  errno = before;
}

static void
test_signal (Loop *loop)
{
  struct sigaction action = { .sa_handler = set_in_signal };
  struct sigaction before;
  struct itimerval interval = { { 0, 500 }, { 0, 500 } };
  struct itimerval off = { { 0, 0 }, { 0, 0 } };
  Bell bell;
  guint i;

  g_test_summary ("C1, R27, R25: a notifier may be set in a signal handler, which interrupts the "
                  "loop or a set of the same notifier; the loop sees it, errno is kept");

  bell_init (&bell, loop, FALSE);
  signalled = &bell;
  atomic_store (&n_signals, 0);
  sigaction (SIGALRM, &action, &before);
  setitimer (ITIMER_REAL, &interval, NULL);
  for (i = 0; i < 20; i++)
    {
      int seen;

      LOOP_WAIT (loop, bell.n > i);
      seen = atomic_load (&n_signals);
      while (atomic_load (&n_signals) == seen)
        {
          errno = ENOTTY;
          aio_event_notifier_set (&bell.notifier);
          g_assert_cmpint (errno, ==, ENOTTY);
        }
    }
  setitimer (ITIMER_REAL, &off, NULL);
  sigaction (SIGALRM, &before, NULL);
  g_assert_cmpint (atomic_load (&n_errno_lost), ==, 0);
  bell_clear (&bell);
}

#define N_SETTERS 3

typedef struct
{
  Bell bell;
  guint rounds;
  atomic_uint values[N_SETTERS];
  guint seen[N_SETTERS];
  atomic_uint n_started;
} Storm;

static void
storm_look (gpointer data)
{
  Storm *storm = data;
  guint i;

  for (i = 0; i < N_SETTERS; i++)
    storm->seen[i] = atomic_load (&storm->values[i]);
}

static void *
storm_set (void *data)
{
  Storm *storm = data;
  guint me = atomic_fetch_add (&storm->n_started, 1);
  guint i;

  for (i = 1; i <= storm->rounds; i++)
    {
      atomic_store (&storm->values[me], i);
      aio_event_notifier_set (&storm->bell.notifier);
      if (i % 512 == 0)
        sched_yield ();
    }
  return NULL;
}

static gboolean
storm_is_over (Storm *storm)
{
  guint i;

  for (i = 0; i < N_SETTERS; i++)
    if (storm->seen[i] != storm->rounds)
      return FALSE;
  return TRUE;
}

static void
test_storm (Loop *loop)
{
  Storm storm = { .rounds = g_test_thorough () ? 2000000 : 50000 };
  pthread_t threads[N_SETTERS];
  guint i;

  g_test_summary ("C1, C20: threads that set one notifier all the time: the handler sees what was "
                  "written before the last set of each");

  bell_init (&storm.bell, loop, FALSE);
  storm.bell.act = storm_look;
  storm.bell.data = &storm;
  for (i = 0; i < N_SETTERS; i++)
    threads[i] = thread_start (storm_set, &storm);
  LOOP_WAIT (loop, storm_is_over (&storm));
  for (i = 0; i < N_SETTERS; i++)
    thread_join (threads[i]);
  bell_clear (&storm.bell);
}

/* --- The end, and misuse ---------------------------------------------------------------------- */

static void
test_leftover (Loop *loop)
{
  Bell bell;
  Reports reports;

  g_test_summary ("C24: a notifier's handler that is there when the context ends is reported");

  bell_init (&bell, loop, TRUE);
  reports_begin (&reports);
  loop_clear (loop);
  g_assert_cmpuint (reports.n, ==, 1);
  g_assert_true (reports_mention (&reports, "loopy"));
  reports_end (&reports);
  g_assert_cmpuint (bell.n, ==, 0);
  aio_event_notifier_clear (&bell.notifier);
}

static void
test_cleared_first (Loop *loop)
{
  Bell bell;
  Reports reports;
  int lower[16];
  int fd;
  guint i;

  g_test_summary ("C20: a notifier that was cleared with its handler still there is reported by "
                  "name, and cannot make the loop spin");

  /* A sanitizer that opens something meanwhile gets one of these numbers, not the notifier's. */
  for (i = 0; i < G_N_ELEMENTS (lower); i++)
    lower[i] = dup (STDIN_FILENO);
  bell_init (&bell, loop, TRUE);
  for (i = 0; i < G_N_ELEMENTS (lower); i++)
    close (lower[i]);
  LOOP_WAIT (loop, bell.n > 0);
  fd = aio_event_notifier_get_fd (&bell.notifier);
  reports_begin (&reports);
  aio_event_notifier_clear (&bell.notifier);
  loop_assert_quiet (loop);
  aio_context_set_fd_handler (loop->context, fd, NULL, NULL, NULL);
  g_assert_cmpuint (reports.n, ==, 1);
  g_assert_true (reports_mention (&reports, "loopy"));
  g_assert_true (reports_mention_fd (&reports, fd));
  reports_end (&reports);
  loop_assert_quiet (loop);
  g_assert_cmpuint (bell.n, ==, 1);
}

static void
test_misuse (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("misused", NULL);
  AioEventNotifier notifier;

  g_test_summary ("C28: NULL is a critical warning that changes nothing");

  g_assert_true (aio_event_notifier_init (&notifier, FALSE, NULL));
  expect_critical ("*notifier*");
  g_assert_false (aio_event_notifier_init (NULL, FALSE, NULL));
  expect_critical ("*notifier*");
  aio_event_notifier_clear (NULL);
  expect_critical ("*notifier*");
  aio_event_notifier_set (NULL);
  expect_critical ("*notifier*");
  g_assert_false (aio_event_notifier_test_and_clear (NULL));
  expect_critical ("*notifier*");
  g_assert_cmpint (aio_event_notifier_get_fd (NULL), ==, -1);
  expect_critical ("*context*");
  aio_context_set_event_notifier (NULL, &notifier, bell_rings, NULL, NULL);
  expect_critical ("*notifier*");
  aio_context_set_event_notifier (context, NULL, bell_rings, NULL, NULL);
  g_test_assert_expected_messages ();
  aio_event_notifier_clear (&notifier);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  aio_test_add ("/event-notifier/flag", test_flag);
  aio_test_add ("/event-notifier/full", test_full);
  aio_test_add ("/event-notifier/heap", test_heap);
  aio_test_add ("/event-notifier/no-descriptor-left", test_no_descriptor_left);
  loop_test_add_interrupted ("/event-notifier/rings", test_rings);
  loop_test_add ("/event-notifier/level", test_level);
  loop_test_add_telling ("/event-notifier/progress", test_progress);
  loop_test_add ("/event-notifier/removed", test_removed);
  loop_test_add ("/event-notifier/sets-itself", test_sets_itself);
  loop_test_add ("/event-notifier/removes-itself", test_removes_itself);
  loop_test_add_interrupted ("/event-notifier/wakes", test_wakes);
  loop_test_add_interrupted ("/event-notifier/added-by-thread", test_added_by_thread);
  loop_test_add ("/event-notifier/signal", test_signal);
  loop_test_add_interrupted ("/event-notifier/storm", test_storm);
  loop_test_add ("/event-notifier/leftover", test_leftover);
  loop_test_add ("/event-notifier/cleared-first", test_cleared_first);
  aio_test_add ("/event-notifier/misuse", test_misuse);
  return g_test_run ();
}
