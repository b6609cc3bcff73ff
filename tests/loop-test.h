/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of descriptors and timers share: every case runs once for each way to drive a
 * context, and once more with a signal every millisecond. */
#pragma once

#include "aio-test.h"
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>

#define MSEC G_GINT64_CONSTANT (1000000)
#define SEC  (1000 * MSEC)
#define HOUR (3600 * SEC)

/* --- The program and its threads -------------------------------------------------------------- */

static inline void
loop_test_init (int    *argc,
                char ***argv)
{
  g_test_init (argc, argv, NULL);
  /* An I/O thread would make it, and GLib keeps it: not a descriptor that leaked. */
  g_main_context_default ();
  aio_test_start_watchdog ();
}

/* --- Descriptors ------------------------------------------------------------------------------ */

static inline void
open_pipe (int fds[2])
{
  g_assert_cmpint (pipe2 (fds, O_CLOEXEC | O_NONBLOCK), ==, 0);
}

static inline void
open_pair (int fds[2])
{
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), ==, 0);
}

static inline void
close_both (int fds[2])
{
  close (fds[0]);
  close (fds[1]);
}

static inline void
put (int fd)
{
  char c = 'x';

  g_assert_cmpint (write (fd, &c, 1), ==, 1);
}

/* Takes one byte; was there one? */
static inline gboolean
take (int fd)
{
  char c;

  return read (fd, &c, 1) == 1;
}

static inline void
fill (int fd)
{
  char buffer[4096] = { 0 };

  while (write (fd, buffer, sizeof buffer) > 0)
    continue;
}

static inline void
drain (int fd)
{
  char buffer[4096];

  while (read (fd, buffer, sizeof buffer) > 0)
    continue;
}

/* Is the context to use poll(2)? */
static inline gboolean
monitor_is_poll (void)
{
  return g_strcmp0 (g_getenv ("AIOCTX_FDMON"), "poll") == 0;
}

/* --- The ways to drive a context -------------------------------------------------------------- */

typedef enum
{
  WAY_POLL,     /* by itself */
  WAY_MAIN,     /* g_main_context_iteration() */
  WAY_PHASES,   /* prepare, query, poll, check, dispatch; some checks are left out */
  WAY_EPOLL,    /* a foreign loop on epoll */
  WAY_PPOLL,    /* a foreign loop on poll(2) */
  N_WAYS
} Way;

static const char *const loop_way_names[N_WAYS] G_GNUC_UNUSED = {
  "poll", "main", "phases", "foreign-epoll", "foreign-poll"
};

/* With poll(2) GLib polls each descriptor. */
#define LOOP_MAX_FDS 512

typedef struct
{
  AioContext *context;
  GMainContext *main_context;   /* NULL in the ways that need none */
  int epoll_fd;                 /* -1 in the ways that need none */
  int guest_fd;                 /* what that watches for the context */
  guint n_guests;               /* how many that were */
  Way way;
  pid_t tid;                    /* of the thread that made it */
  guint n_turns;
} Loop;

static inline gboolean
way_is_main (Way way)
{
  return way == WAY_MAIN || way == WAY_PHASES;
}

static inline gboolean
way_is_foreign (Way way)
{
  return way == WAY_EPOLL || way == WAY_PPOLL;
}

static inline void
loop_init_driver (Loop *loop)
{
  loop->epoll_fd = loop->guest_fd = -1;
  loop->tid = gettid ();
  if (way_is_main (loop->way))
    {
      loop->main_context = g_main_context_new ();
      g_assert_cmpuint (aio_context_attach (loop->context, loop->main_context), !=, 0);
    }
  if (loop->way == WAY_EPOLL)
    loop->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
}

static inline void
loop_init (Loop       *loop,
           Way         way,
           const char *name)
{
  *loop = (Loop) { .way = way };
  loop->context = aio_context_new_full (name, NULL);
  g_assert_nonnull (loop->context);
  loop_init_driver (loop);
}

/* The end of what drives the context, which may go first. */
static inline void
loop_clear_driver (Loop *loop)
{
  if (loop->main_context != NULL)
    g_main_context_unref (g_steal_pointer (&loop->main_context));
  if (loop->epoll_fd >= 0)
    close (loop->epoll_fd);
  loop->epoll_fd = -1;
}

static inline void
loop_clear (Loop *loop)
{
  if (loop->context != NULL && loop->main_context != NULL)
    aio_context_detach (loop->context);
  g_clear_pointer (&loop->context, aio_context_unref);
  loop_clear_driver (loop);
}

static inline gboolean
loop_turn_phases (Loop     *loop,
                  gboolean  blocking)
{
  GPollFD fds[LOOP_MAX_FDS];
  int priority, timeout, n, i;
  gboolean skip = blocking && loop->n_turns++ % 3 == 2;

  g_assert_true (g_main_context_acquire (loop->main_context));
  g_main_context_prepare (loop->main_context, &priority);
  n = g_main_context_query (loop->main_context, priority, &timeout, fds, LOOP_MAX_FDS);
  g_assert_cmpint (n, <=, LOOP_MAX_FDS);
  for (i = 0; i < n; i++)
    fds[i].revents = 0;
  if (g_poll (fds, n, blocking ? timeout : 0) < 0)
    for (i = 0; i < n; i++)
      fds[i].revents = 0;
  if (!skip)
    g_main_context_check (loop->main_context, priority, fds, n);
  g_main_context_dispatch (loop->main_context);
  g_main_context_release (loop->main_context);
  return FALSE;
}

static inline int
loop_ms_from_ns (gint64 ns)
{
  return ns < 0 ? -1 : (int) MIN ((ns + MSEC - 1) / MSEC, G_MAXINT);
}

/* The descriptor is another one after the first handler was set, or when the context had to begin
 * anew; the former one may be closed by then. */
static inline void
loop_watch_guest (Loop *loop)
{
  struct epoll_event event = { EPOLLIN, { 0 } };
  int fd = aio_context_get_fd (loop->context);

  if (fd == loop->guest_fd)
    return;
  if (loop->guest_fd >= 0)
    epoll_ctl (loop->epoll_fd, EPOLL_CTL_DEL, loop->guest_fd, &event);
  g_assert_cmpint (epoll_ctl (loop->epoll_fd, EPOLL_CTL_ADD, fd, &event), ==, 0);
  loop->guest_fd = fd;
  loop->n_guests++;
}

static inline gboolean
loop_turn_epoll (Loop     *loop,
                 gboolean  blocking)
{
  struct epoll_event event;
  gint64 timeout;

  loop_watch_guest (loop);
  timeout = aio_context_get_timeout_ns (loop->context);
  epoll_wait (loop->epoll_fd, &event, 1, blocking ? loop_ms_from_ns (timeout) : 0);
  return aio_context_dispatch (loop->context);
}

static inline gboolean
loop_turn_ppoll (Loop     *loop,
                 gboolean  blocking)
{
  struct pollfd fd = { aio_context_get_fd (loop->context), POLLIN, 0 };
  gint64 timeout = aio_context_get_timeout_ns (loop->context);
  struct timespec ts;

  if (!blocking)
    timeout = 0;
  ts = (struct timespec) { timeout / SEC, timeout % SEC };
  ppoll (&fd, 1, timeout < 0 ? NULL : &ts, NULL);
  return aio_context_dispatch (loop->context);
}

/* One iteration; for the ways that can tell, whether there was progress. */
static inline gboolean
loop_turn (Loop     *loop,
           gboolean  blocking)
{
  switch (loop->way)
    {
    case WAY_MAIN:
      return g_main_context_iteration (loop->main_context, blocking);
    case WAY_PHASES:
      return loop_turn_phases (loop, blocking);
    case WAY_EPOLL:
      return loop_turn_epoll (loop, blocking);
    case WAY_PPOLL:
      return loop_turn_ppoll (loop, blocking);
    case WAY_POLL:
    case N_WAYS:
      break;
    }
  return aio_context_poll (loop->context, blocking);
}

/* One that does not sleep. */
static inline gboolean
loop_pass (Loop *loop)
{
  return loop_turn (loop, FALSE);
}

#define LOOP_WAIT(loop, condition)       \
  G_STMT_START {                         \
    while (!(condition))                 \
      loop_turn ((loop), TRUE);          \
  } G_STMT_END

/* --- A handler that counts -------------------------------------------------------------------- */

typedef struct _Watch Watch;

struct _Watch
{
  Loop *loop;
  int fd;
  gboolean takes;               /* its read handler takes a byte */
  guint n_read;
  guint n_write;
  guint n_destroyed;
  void (*act) (Watch *watch);   /* what its handlers do besides; may be NULL */
  gpointer data;                /* for act */
};

static inline void
watch_read (gpointer data)
{
  Watch *watch = data;

  g_assert_cmpuint (watch->n_destroyed, ==, 0);
  watch->n_read++;
  if (watch->takes)
    take (watch->fd);
  if (watch->act != NULL)
    watch->act (watch);
}

static inline void
watch_write (gpointer data)
{
  Watch *watch = data;

  g_assert_cmpuint (watch->n_destroyed, ==, 0);
  watch->n_write++;
  if (watch->act != NULL)
    watch->act (watch);
}

static inline void
watch_destroyed (gpointer data)
{
  Watch *watch = data;

  watch->n_destroyed++;
}

/* Makes the watch the handler of its descriptor. */
static inline void
watch_set (Watch    *watch,
           gboolean  reads,
           gboolean  writes)
{
  GError *error = NULL;
  gboolean done;

  watch->n_destroyed = 0;
  done = aio_context_set_fd_handler_full (watch->loop->context, watch->fd,
                                          reads ? watch_read : NULL, writes ? watch_write : NULL,
                                          NULL, NULL, watch, watch_destroyed, &error);
  g_assert_no_error (error);
  g_assert_true (done);
}

static inline void
watch_remove (Watch *watch)
{
  aio_context_set_fd_handler (watch->loop->context, watch->fd, NULL, NULL, NULL);
}

/* --- Is it quiet? ----------------------------------------------------------------------------- */

typedef struct
{
  AioContext *context;
  pid_t tid;
  atomic_bool over;
} Silence;

static inline void *
silence_end (void *data)
{
  Silence *silence = data;

  thread_wait_asleep (silence->tid);
  g_usleep (200000);
  atomic_store (&silence->over, TRUE);
  aio_context_notify (silence->context);
  return NULL;
}

static inline guint64
iterations_of (AioContext *context)
{
  AioContextStats stats;

  aio_context_get_stats (context, &stats, sizeof stats);
  return stats.iterations;
}

static inline long
thread_sleeps (void)
{
  struct rusage usage;

  getrusage (RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

/* Waits for a fifth of a second for nothing. Neither may an iteration return over and over, nor may
 * one wake up or go round inside. A foreign loop whose context has no descriptor for all, with
 * poll(2), has to come back every 10 ms. */
static inline void
loop_assert_quiet (Loop *loop)
{
  Silence silence = { .context = loop->context, .tid = gettid () };
  pthread_t thread = thread_start (silence_end, &silence);
  guint64 iterations = iterations_of (loop->context);
  long sleeps = thread_sleeps ();
  guint limit = way_is_foreign (loop->way) && monitor_is_poll () ? 60 : 10;
  guint n = 0;

  aio_test_pause_interruptions (TRUE);
  while (!atomic_load (&silence.over))
    {
      loop_turn (loop, TRUE);
      n++;
    }
  aio_test_pause_interruptions (FALSE);
  iterations = iterations_of (loop->context) - iterations;
  sleeps = thread_sleeps () - sleeps;
  thread_join (thread);
  g_assert_cmpuint (n, <=, limit);
  g_assert_cmpint (sleeps, <=, limit + 5);
  g_assert_cmpuint (iterations, <=, limit + 5);
}

/* --- Reports ---------------------------------------------------------------------------------- */

/* Collects what the library reports, as a warning or as a critical one. */
typedef struct
{
  GString *text;
  guint n;
  guint id;
} Reports;

static inline gboolean
reports_not_fatal (const char     *domain,
                   GLogLevelFlags  level,
                   const char     *message,
                   gpointer        data)
{
  return FALSE;
}

static inline void
reports_take (const char     *domain,
              GLogLevelFlags  level,
              const char     *message,
              gpointer        data)
{
  Reports *reports = data;

  reports->n++;
  g_string_append_printf (reports->text, "%s\n", message);
}

static inline void
reports_begin (Reports *reports)
{
  reports->n = 0;
  reports->text = g_string_new (NULL);
  g_test_log_set_fatal_handler (reports_not_fatal, NULL);
  reports->id = g_log_set_handler ("aioctx-gsource",
                                   G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING | G_LOG_FLAG_FATAL |
                                     G_LOG_FLAG_RECURSION,
                                   reports_take, reports);
}

static inline gboolean
reports_mention (Reports    *reports,
                 const char *what)
{
  return strstr (reports->text->str, what) != NULL;
}

static inline gboolean
reports_mention_fd (Reports *reports,
                    int      fd)
{
  g_autofree char *pattern = g_strdup_printf ("\\b%d\\b", fd);

  return g_regex_match_simple (pattern, reports->text->str, 0, 0);
}

static inline void
reports_end (Reports *reports)
{
  g_log_remove_handler ("aioctx-gsource", reports->id);
  g_test_log_set_fatal_handler (NULL, NULL);
  g_string_free (reports->text, TRUE);
}

static inline void
expect_critical (const char *pattern)
{
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, pattern);
}

/* --- Cases ------------------------------------------------------------------------------------ */

typedef void (*LoopFunc) (Loop *loop);

typedef struct
{
  LoopFunc func;
  Way way;
  gboolean interrupted;
  char *path;
} LoopCase;

static inline void
loop_run_case (gconstpointer data)
{
  const LoopCase *test = data;
  guint before = aio_test_count_fds ();
  Loop loop;

  aio_test_moved ();
  loop_init (&loop, test->way, "loopy");
  if (test->interrupted)
    aio_test_interrupt (TRUE);
  test->func (&loop);
  if (test->interrupted)
    aio_test_interrupt (FALSE);
  loop_clear (&loop);
  g_assert_cmpuint (aio_test_count_fds (), ==, before);
}

static inline void
loop_case_free (gpointer data)
{
  LoopCase *test = data;

  g_free (test->path);
  g_free (test);
}

static inline void
loop_test_add_way (const char *path,
                   LoopFunc    func,
                   Way         way,
                   gboolean    interrupted)
{
  LoopCase *test = g_new0 (LoopCase, 1);

  test->func = func;
  test->way = way;
  test->interrupted = interrupted;
  test->path = g_strdup_printf ("%s/%s%s", path, loop_way_names[way],
                                interrupted ? "-interrupted" : "");
  g_test_add_data_func_full (test->path, test, loop_run_case, loop_case_free);
}

/* A case for each way. */
static inline void
loop_test_add (const char *path,
               LoopFunc    func)
{
  Way way;

  for (way = 0; way < N_WAYS; way++)
    loop_test_add_way (path, func, way, FALSE);
}

/* A case for each way, and again for each under signals. */
static inline void
loop_test_add_interrupted (const char *path,
                           LoopFunc    func)
{
  Way way;

  loop_test_add (path, func);
  for (way = 0; way < N_WAYS; way++)
    loop_test_add_way (path, func, way, TRUE);
}

/* A case for the ways of GLib. */
static inline void
loop_test_add_main (const char *path,
                    LoopFunc    func)
{
  loop_test_add_way (path, func, WAY_MAIN, FALSE);
  loop_test_add_way (path, func, WAY_PHASES, FALSE);
}

/* A case for the ways of which an iteration says whether there was progress. */
static inline void
loop_test_add_telling (const char *path,
                       LoopFunc    func)
{
  loop_test_add_way (path, func, WAY_POLL, FALSE);
  loop_test_add_way (path, func, WAY_EPOLL, FALSE);
  loop_test_add_way (path, func, WAY_PPOLL, FALSE);
}
