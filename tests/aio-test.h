/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every test program shares: it counts the open descriptors around each case. */
#pragma once

#include <aioctx-gsource/aioctx-gsource.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static inline guint
aio_test_count_entries (const char *folder)
{
  DIR *dir = opendir (folder);
  guint n = 0;

  g_assert_nonnull (dir);
  while (readdir (dir) != NULL)
    n++;
  closedir (dir);
  return n;
}

static inline guint
aio_test_count_fds (void)
{
  return aio_test_count_entries ("/proc/self/fd");
}

static inline gboolean
is_readable (int fd)
{
  struct pollfd record = { fd, POLLIN, 0 };

  return poll (&record, 1, 0) == 1;
}

static inline int
lowest_free_fd (void)
{
  int fd = dup (STDOUT_FILENO);

  g_assert_cmpint (fd, >=, 0);
  close (fd);
  return fd;
}

/* 0: as many as there may usually be. */
static inline void
limit_fds (rlim_t limit)
{
  static struct rlimit usual;
  struct rlimit now;

  if (usual.rlim_cur == 0)
    g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &usual), ==, 0);
  now = usual;
  if (limit != 0)
    now.rlim_cur = limit;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &now), ==, 0);
}

static inline void *
aio_test_tell_tid (void *tid)
{
  *(pid_t *) tid = gettid ();
  return NULL;
}

/* The kernel lists a thread a moment longer than one has to wait for it in order to join it. */
static inline void
aio_test_run_first_thread (void)
{
  char folder[64];
  pthread_t thread;
  pid_t tid;

  g_assert_cmpint (pthread_create (&thread, NULL, aio_test_tell_tid, &tid), ==, 0);
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
  g_snprintf (folder, sizeof folder, "/proc/self/task/%d", (int) tid);
  while (access (folder, F_OK) == 0)
    sched_yield ();
}

/* The threads that came since the first call, which belongs into main(). Some sanitizers start one
 * of their own with the first of the program: that is not counted. */
static inline guint
aio_test_count_threads (void)
{
  static guint n_at_first;

  if (n_at_first == 0)
    {
      aio_test_run_first_thread ();
      n_at_first = aio_test_count_entries ("/proc/self/task");
    }
  return aio_test_count_entries ("/proc/self/task") - n_at_first;
}

static inline void
nothing (gpointer data G_GNUC_UNUSED)
{
}

/* --- Threads ---------------------------------------------------------------------------------- */

/* It lets no signal in: those of a test are for the thread that the test is about. */
static inline pthread_t
thread_start (void *(*func) (void *),
              void *data)
{
  pthread_t thread;
  sigset_t all, before;

  sigfillset (&all);
  pthread_sigmask (SIG_SETMASK, &all, &before);
  g_assert_cmpint (pthread_create (&thread, NULL, func, data), ==, 0);
  pthread_sigmask (SIG_SETMASK, &before, NULL);
  return thread;
}

static inline void
thread_join (pthread_t thread)
{
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
}

static inline void
thread_run (void *(*func) (void *),
            void *data)
{
  thread_join (thread_start (func, data));
}

static inline char
thread_state (pid_t tid)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/task/%d/stat", (int) tid);
  g_autofree char *text = NULL;
  const char *end;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return '?';
  end = strrchr (text, ')');
  return end != NULL && end[1] == ' ' ? end[2] : '?';
}

/* Until a thread that is about to sleep does. Who relies on it knows what it can sleep in. */
static inline void
thread_await_asleep (pid_t tid)
{
  do
    {
      while (thread_state (tid) != 'S')
        g_usleep (100);
      g_usleep (1000);
    }
  while (thread_state (tid) != 'S');
}

/* Until a thread of ours sleeps, most likely in its poll; or for as long as anybody may ask for. A
 * test may not rely on it: it only makes the interesting interleaving likely. */
static inline void
thread_wait_asleep (pid_t tid)
{
  int i;

  for (i = 0; i < 1000 && thread_state (tid) != 'S'; i++)
    g_usleep (100);
  g_usleep (1000);
}

/* --- Turning a hang into a failure with a name ------------------------------------------------ */

static atomic_uint aio_test_moves G_GNUC_UNUSED;

/* Long cases call this now and then. */
static inline void
aio_test_moved (void)
{
  atomic_fetch_add (&aio_test_moves, 1);
}

/* The same for who goes round while it waits: it moves when what it waits for is another number. */
static inline void
aio_test_moved_to (guint n)
{
  atomic_store (&aio_test_moves, n);
}

static inline void *
aio_test_watchdog (void *data G_GNUC_UNUSED)
{
  guint seen = 0, seconds;

  for (seconds = 0; seconds < 100; seconds++)
    {
      sleep (1);
      if (atomic_load (&aio_test_moves) != seen)
        seconds = 0;
      seen = atomic_load (&aio_test_moves);
    }
  dprintf (STDOUT_FILENO, "Bail out! %s: nothing moved for 100 s\n", g_test_get_path ());
  abort ();
  return NULL;
}

static inline void
aio_test_start_watchdog (void)
{
  pthread_detach (thread_start (aio_test_watchdog, NULL));
}

/* --- Interruptions ---------------------------------------------------------------------------- */

/* Not SIGALRM, which some programs and limits of a child want for themselves. */
#define AIO_TEST_SIGNAL (SIGRTMIN + 5)

static atomic_uint aio_test_n_signals G_GNUC_UNUSED;

static inline void
aio_test_on_signal (int signum G_GNUC_UNUSED)
{
  atomic_fetch_add (&aio_test_n_signals, 1);
}

static guint aio_test_n_interruptions;
static timer_t aio_test_timer;

static inline void
aio_test_set_timer (long nsec)
{
  struct itimerspec interval = { { 0, nsec }, { 0, nsec } };

  g_assert_cmpint (timer_settime (aio_test_timer, 0, &interval, NULL), ==, 0);
}

/* A signal every millisecond, that restarts nothing; or its end. Calls may be nested. */
static inline void
aio_test_interrupt (gboolean on)
{
  struct sigaction action = { .sa_handler = aio_test_on_signal };
  struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = AIO_TEST_SIGNAL };

  if (!on && --aio_test_n_interruptions == 0)
    g_assert_cmpint (timer_delete (aio_test_timer), ==, 0);
  if (!on || aio_test_n_interruptions++ != 0)
    return;
  g_assert_cmpint (sigaction (AIO_TEST_SIGNAL, &action, NULL), ==, 0);
  g_assert_cmpint (timer_create (CLOCK_MONOTONIC, &event, &aio_test_timer), ==, 0);
  aio_test_set_timer (1000000);
}

/* For those who count how often they wake up: not for the signals, please. */
static inline void
aio_test_pause_interruptions (gboolean on)
{
  if (aio_test_n_interruptions != 0)
    aio_test_set_timer (on ? 0 : 1000000);
}

/* With AIO_TEST_ALARM=1 in the environment any test program runs under the signals, throughout. */
static void __attribute__ ((constructor))
aio_test_interrupt_if_asked (void)
{
  if (getenv ("AIO_TEST_ALARM") != NULL)
    aio_test_interrupt (TRUE);
}

/* --- Cases ------------------------------------------------------------------------------------ */

typedef struct _AioTestCase AioTestCase;

struct _AioTestCase
{
  AioTestCase *next;
  GTestFunc func;
};

static inline void
aio_test_run_case (gconstpointer data)
{
  const AioTestCase *test = data;
  guint before = aio_test_count_fds ();

  aio_test_moved ();
  test->func ();
  g_assert_cmpuint (aio_test_count_fds (), ==, before);
}

/* Adds a case that must leave as many descriptors open as it found. The cases stay in a list: a
 * child process of g_test_trap_subprocess() runs one and frees none, which would be called a
 * leak. */
static inline void
aio_test_add (const char *path,
              GTestFunc   func)
{
  static AioTestCase *cases;
  AioTestCase *test = g_new0 (AioTestCase, 1);

  test->func = func;
  test->next = cases;
  cases = test;
  g_test_add_data_func (path, test, aio_test_run_case);
}
