/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a dump says of each kind of thing in each state, from which thread, and on a signal. */
#include "aio-test.h"

#include <aioctx-gsource/aio-dump-private.h>
#include <aioctx-gsource/aio-func-name-private.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define HOUR_NS (G_GINT64_CONSTANT (3600) * 1000000000)

static void
assert_has (const char *text,
            const char *part)
{
  if (strstr (text, part) == NULL)
    g_error ("no \"%s\" in:\n%s", part, text);
}

static void
assert_lacks (const char *text,
              const char *part)
{
  if (strstr (text, part) != NULL)
    g_error ("\"%s\" in:\n%s", part, text);
}

static void
assert_dumped (AioContext *context,
               const char *part)
{
  g_autofree char *text = aio_context_dump (context);

  assert_has (text, part);
}

static void
assert_not_dumped (AioContext *context,
                   const char *part)
{
  g_autofree char *text = aio_context_dump (context);

  assert_lacks (text, part);
}

static guint
count_parts (const char *text,
             const char *part)
{
  guint n = 0;

  for (const char *found = strstr (text, part); found != NULL; found = strstr (found + 1, part))
    n++;
  return n;
}

/* --- Kinds and states ------------------------------------------------------------------------- */

static void
test_bottom_halves (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("halves", NULL);
  AioBH *resting = aio_bh_new_full (context, "resting-one", nothing, NULL, NULL);
  AioBH *pending = aio_bh_new_full (context, "pending-one", nothing, NULL, NULL);
  AioBH *idle = aio_bh_new_full (context, "idle-one", nothing, NULL, NULL);
  AioBH *both = aio_bh_new_full (context, "both", nothing, NULL, NULL);
  AioBH *cancelled = aio_bh_new_full (context, "cancelled-one", nothing, NULL, NULL);

  g_test_summary ("a dump names each bottom half with its state, and how often it has run");

  aio_bh_schedule (pending);
  aio_bh_schedule_idle (idle);
  aio_bh_schedule_idle (both);
  aio_bh_schedule (both);
  aio_bh_schedule (cancelled);
  g_assert_true (aio_bh_cancel (cancelled));
  assert_dumped (context, "\n  bh \"resting-one\" resting, runs 0, total -, longest -, woke -, ");
  assert_dumped (context, "\n  bh \"pending-one\" pending, runs 0, ");
  assert_dumped (context, "\n  bh \"idle-one\" pending-idle, runs 0, ");
  assert_dumped (context, "\n  bh \"both\" pending, runs 0, ");
  assert_dumped (context, "\n  bh \"cancelled-one\" cancelled, runs 0, ");
  while (aio_context_poll (context, FALSE))
    ;
  aio_bh_schedule (pending);
  aio_context_poll (context, FALSE);
  assert_dumped (context, "\n  bh \"pending-one\" resting, runs 2, ");
  assert_dumped (context, "\n  bh \"idle-one\" resting, runs 1, ");

  aio_bh_delete (resting);
  aio_bh_delete (pending);
  aio_bh_delete (idle);
  aio_bh_delete (both);
  aio_bh_delete (cancelled);
}

typedef struct
{
  AioContext *context;
  AioBH *bh;
  AioTimer *timer;
} Self;

static void
dump_while_running (gpointer data)
{
  Self *self = data;

  assert_dumped (self->context, "\n  bh \"self\" running, ");
  aio_bh_schedule (self->bh);
  assert_dumped (self->context, "\n  bh \"self\" running+pending, ");
  aio_bh_delete (self->bh);
  assert_dumped (self->context, "\n  bh \"self\" running+dead, ");
  assert_dumped (self->context, ", iterations on the stack 1, ");
}

static void
test_running (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("running", NULL);
  Self self = { context, NULL, NULL };

  g_test_summary ("a callback that is on the stack is told as running, also if it is due again, "
                  "and if it was deleted");

  self.bh = aio_bh_new_full (context, "self", dump_while_running, &self, NULL);
  aio_bh_schedule (self.bh);
  aio_context_poll (context, FALSE);
  while (aio_context_poll (context, FALSE))
    ;
  assert_not_dumped (context, "\"self\"");
}

static void
test_oneshots (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("oneshots", NULL);

  g_test_summary ("one-shots and posts that are pending are told, by name or by function");

  aio_bh_schedule_oneshot_full (context, "shot", nothing, NULL, NULL);
  aio_context_post (context, nothing, NULL, NULL);
  assert_dumped (context, "\n  oneshot \"shot\" pending, runs -, total -, longest -, woke -, ");
  assert_dumped (context, "\n  oneshot \"test-dump+0x");
  assert_dumped (context, "no home thread");
  aio_context_poll (context, FALSE);
  assert_not_dumped (context, "\n  oneshot");
}

typedef struct
{
  AioContext *context;
  int fds[2];
  int ready;                    /* one that waits for its turn while another runs */
  guint n_calls;
} Pipes;

static void
on_readable (gpointer data)
{
  Pipes *pipes = data;
  g_autofree char *text = aio_context_dump (pipes->context);

  g_assert_cmpuint (count_parts (text, " running, read, runs 1, "), ==, 1);
  g_assert_cmpuint (count_parts (text, " resting, read, runs 1, "), ==, pipes->n_calls);
  g_assert_cmpuint (count_parts (text, " pending, read, runs 0, "), ==, 1 - pipes->n_calls);
  pipes->n_calls++;
}

static void
test_descriptors (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("descriptors", NULL);
  Pipes pipes = { context, { -1, -1 }, -1, 0 };
  g_autofree char *waits = NULL;
  int more[2];

  g_test_summary ("a dump names each descriptor, what is waited for, and its state");

  g_assert_cmpint (pipe (pipes.fds), ==, 0);
  g_assert_cmpint (pipe (more), ==, 0);
  aio_context_set_fd_handler (context, more[1], NULL, nothing, NULL);
  waits = g_strdup_printf ("\n  fd %d \"test-dump+0x", more[1]);
  assert_dumped (context, waits);
  assert_dumped (context, " resting, write, runs 0, total -, longest -, woke -, calls test-dump");
  aio_context_set_fd_handler (context, more[1], NULL, NULL, NULL);

  aio_context_set_fd_handler (context, pipes.fds[0], on_readable, NULL, &pipes);
  aio_context_set_fd_handler (context, more[0], on_readable, NULL, &pipes);
  g_assert_cmpint (write (pipes.fds[1], "x", 1), ==, 1);
  g_assert_cmpint (write (more[1], "x", 1), ==, 1);
  aio_context_poll (context, TRUE);
  g_assert_cmpuint (pipes.n_calls, ==, 2);

  aio_context_set_fd_handler (context, pipes.fds[0], NULL, NULL, NULL);
  aio_context_set_fd_handler (context, more[0], NULL, NULL, NULL);
  close (pipes.fds[0]);
  close (pipes.fds[1]);
  close (more[0]);
  close (more[1]);
}

static gboolean
on_watch (int          fd,
          GIOCondition condition,
          gpointer     data)
{
  return G_SOURCE_CONTINUE;
}

static void
test_watch (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("watch", NULL);
  g_autofree char *line = NULL;
  int fds[2];

  g_test_summary ("of a handler that the library has put in between, a dump names what is called "
                  "in the end");

  g_assert_cmpint (pipe (fds), ==, 0);
  g_assert_true (aio_context_set_fd_watch (context, fds[0], G_IO_IN, on_watch, NULL, NULL, NULL));
  line = g_strdup_printf ("\n  fd %d \"%s\" resting, read, runs 0, ", fds[0],
                          aio_func_name ((AioBHFunc) (void (*) (void)) on_watch));
  assert_dumped (context, line);
  g_assert_true (aio_context_set_fd_watch (context, fds[0], 0, NULL, NULL, NULL, NULL));
  close (fds[0]);
  close (fds[1]);
}

static void
test_broken (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("broken", NULL);
  int fds[2];

  g_test_summary ("a descriptor that was closed too early is told as broken, once that is known");

  g_assert_cmpint (pipe (fds), ==, 0);
  aio_context_set_fd_handler (context, fds[0], nothing, NULL, NULL);
  close (fds[0]);
  aio_fd_set_lock (&context->fds);
  aio_fd_set_report_closed (&context->fds,
                            g_hash_table_lookup (context->fds.handlers, GINT_TO_POINTER (fds[0])),
                            EBADF);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_CRITICAL, "*was closed before*");
  aio_fd_set_unlock (&context->fds);
  g_test_assert_expected_messages ();
  assert_dumped (context, " broken, read, ");
  aio_context_set_fd_handler (context, fds[0], NULL, NULL, NULL);
  close (fds[1]);
}

static void
on_set (AioEventNotifier *notifier)
{
  aio_event_notifier_test_and_clear (notifier);
}

static void
test_notifier (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("notifier", NULL);
  g_autofree char *line = NULL;
  AioEventNotifier notifier;

  g_test_summary ("an event notifier is told as such");

  g_assert_true (aio_event_notifier_init (&notifier, TRUE, NULL));
  aio_context_set_event_notifier (context, &notifier, on_set, NULL, NULL);
  line = g_strdup_printf ("\n  notifier %d \"test-dump+0x", aio_event_notifier_get_fd (&notifier));
  assert_dumped (context, line);
  aio_context_poll (context, TRUE);
  assert_dumped (context, " resting, read, runs 1, ");
  aio_context_set_event_notifier (context, &notifier, NULL, NULL, NULL);
  aio_event_notifier_clear (&notifier);
}

static void
on_timer (gpointer data)
{
  Self *self = data;

  assert_dumped (self->context, "\n  timer \"embedded\" running, runs 1, ");
  assert_dumped (self->context, "\n  timer \"due\" pending, overdue by ");
  aio_timer_mod_ns (self->timer, 0);
  assert_dumped (self->context, "\n  timer \"embedded\" running+armed, overdue by ");
  aio_timer_del (self->timer);
}

static void
free_itself (gpointer data)
{
  Self *self = data;

  assert_dumped (self->context, "\n  timer \"due\" running, ");
  aio_timer_free (self->timer);
  assert_dumped (self->context, "\n  timer \"due\" running+dead, ");
}

static void
test_timers (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("timers", NULL);
  Self self = { context, NULL, NULL }, due = { context, NULL, NULL };
  AioTimer embedded;
  AioTimer *timer = aio_timer_new (context, AIO_CLOCK_BOOTTIME, nothing, NULL, NULL);

  g_test_summary ("a dump names each timer that is armed, runs, or is on the heap, with its "
                  "deadline");

  aio_timer_init (&embedded, context, AIO_CLOCK_MONOTONIC, on_timer, &self);
  aio_timer_set_name (&embedded, "embedded");
  aio_timer_set_name (timer, "heap");
  self.timer = &embedded;
  due.timer = aio_timer_new (context, AIO_CLOCK_MONOTONIC, free_itself, &due, NULL);
  aio_timer_set_name (due.timer, "due");
  assert_dumped (context, "\n  timer \"heap\" resting, runs 0, total -, longest -, woke -, ");
  aio_timer_mod_ns (timer, G_MAXINT64 - 1);
  assert_dumped (context, " s (boottime 9223372036854775806 ns), runs 0, ");
  assert_dumped (context, "\n  timer \"heap\" armed, in ");
  aio_timer_mod_ns (&embedded, 5);
  assert_dumped (context, "\n  timer \"embedded\" armed, overdue by ");
  assert_dumped (context, " (monotonic 5 ns), ");
  aio_timer_mod_ns (due.timer, 6);
  aio_context_poll (context, FALSE);
  assert_not_dumped (context, "embedded");
  assert_not_dumped (context, "due\"");
  aio_timer_free (timer);
  aio_timer_clear (&embedded);
}

static void
test_context (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("the one", NULL);
  g_autoptr (GMainContext) main_context = g_main_context_new ();
  g_autofree char *home = g_strdup_printf (", home thread %d (this one), ", (int) gettid ());

  g_test_summary ("a dump tells how the context is driven, and its figures");

  assert_dumped (context, "context \"the one\" awake, iterations on the stack 0, not attached, "
                          "no home thread, priority 0, budget 0 callbacks 0 us\n  stats: ");
  aio_context_set_budget (context, 7, 2000);
  aio_context_set_priority (context, -5);
  aio_context_post (context, nothing, NULL, NULL);
  aio_context_poll (context, FALSE);
  assert_dumped (context, home);
  assert_dumped (context, ", priority -5, budget 7 callbacks 2000 us\n");
  assert_dumped (context, "\n  stats: iterations 1, passes 1, runs 1, wakeups sent 0, wakeups "
                          "saved 1, cancels 0, deepest pass 1, slow callbacks 0, schedules -, "
                          "coalesced -\n  latency: -\n  run time: -\n");
  g_assert_cmpuint (aio_context_attach (context, main_context), !=, 0);
  assert_dumped (context, ", attached, ");
  aio_context_detach (context);
  assert_dumped (context, ", not attached, ");
  aio_context_notify (context);
  assert_dumped (context, "context \"the one\" notified, ");
  while (aio_context_get_timeout_ns (context) != -1)
    aio_context_dispatch (context);
  assert_dumped (context, "context \"the one\" asleep, ");
  aio_context_dispatch (context);
}

static void
test_profiling (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("profiled", NULL);
  AioBH *bh = aio_bh_new_full (context, "timed", nothing, NULL, NULL);

  g_test_summary ("with profiling a dump has times, without it has \"-\"");

  aio_context_set_profiling (context, TRUE);
  aio_bh_schedule (bh);
  assert_dumped (context, "\n  bh \"timed\" pending, scheduled ");
  aio_context_poll (context, FALSE);
  assert_dumped (context, "\n  bh \"timed\" resting, runs 1, total ");
  assert_not_dumped (context, ", total -, longest -");
  assert_dumped (context, ", schedules 1, coalesced 0\n  latency: from ");
  assert_dumped (context, "\n  run time: from ");
  aio_context_set_profiling (context, FALSE);
  assert_dumped (context, "\n  bh \"timed\" resting, runs 1, total -, longest -, ");
  aio_bh_delete (bh);
}

static void
test_wakes (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("woken", NULL);
  AioBH *bh = aio_bh_new_full (context, "waker", nothing, NULL, NULL);

  g_test_summary ("a dump has the remembered wakeups, and who has woken the context when");

  assert_dumped (context, "\n  wakes -\n");
  aio_context_set_wake_log (context, TRUE);
  g_assert_cmpint (aio_context_get_timeout_ns (context), ==, -1);
  aio_bh_schedule (bh);
  aio_context_dispatch (context);
  assert_dumped (context, " ago: bh \"waker\"\n");
  assert_dumped (context, "\n  wake ");
  assert_not_dumped (context, "woke -");
  assert_not_dumped (context, "wakes -");
  aio_bh_delete (bh);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void
compare_with_text (AioContext         *context,
                   const char * const *names)
{
  g_autofree char *script = g_test_build_filename (G_TEST_DIST, "dump-json.py", NULL);
  g_autofree char *folder = g_dir_make_tmp ("aio-dump-XXXXXX", NULL);
  g_autofree char *json_path = g_build_filename (folder, "json", NULL);
  g_autofree char *text_path = g_build_filename (folder, "text", NULL);
  g_autofree char *text = aio_context_dump (context);
  g_autofree char *json = aio_context_dump_json (context);
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  const char *python = g_getenv ("PYTHON");
  GError *error = NULL;
  int status;

  g_file_set_contents (json_path, json, -1, NULL);
  g_file_set_contents (text_path, text, -1, NULL);
  g_ptr_array_add (argv, (gpointer) (python != NULL ? python : "python3"));
  g_ptr_array_add (argv, script);
  g_ptr_array_add (argv, json_path);
  g_ptr_array_add (argv, text_path);
  for (guint i = 0; names[i] != NULL; i++)
    g_ptr_array_add (argv, (gpointer) names[i]);
  g_ptr_array_add (argv, NULL);
  g_spawn_sync (NULL, (char **) argv->pdata, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL,
                &status, &error);
  g_assert_no_error (error);
  g_spawn_check_wait_status (status, &error);
  g_assert_no_error (error);
  unlink (json_path);
  unlink (text_path);
  rmdir (folder);
}

static void
test_json (void)
{
  static const char * const names[] = {
    "plain", "\"quoted\" \\ back", "two\nlines\ttab\r\b\f", "bell \a escape \033 delete \177",
    "Grüße, 世界 🦊", "invalid \xef\xbf\xbd byte", "", NULL,
  };
  g_autoptr (AioContext) context = aio_context_new_full ("a \"context\"\n", NULL);
  AioEventNotifier notifier;
  AioBH *bhs[G_N_ELEMENTS (names) - 1];
  AioTimer timer;

  g_test_summary ("JSON and text say the same, whatever is in names");

  for (guint i = 0; i < G_N_ELEMENTS (bhs); i++)
    bhs[i] = aio_bh_new_full (context, i == 5 ? "invalid \xff byte" : names[i], nothing, NULL,
                              NULL);
  g_assert_true (aio_event_notifier_init (&notifier, TRUE, NULL));
  aio_context_set_event_notifier (context, &notifier, on_set, NULL, NULL);
  aio_timer_init (&timer, context, AIO_CLOCK_VIRTUAL, nothing, NULL);
  aio_timer_mod_ns (&timer, 1500000);
  assert_dumped (context, " armed, in 1.5 ms (virtual 1500000 ns), ");
  aio_bh_schedule (bhs[1]);
  aio_bh_schedule_oneshot_full (context, "one\"shot", nothing, NULL, NULL);
  compare_with_text (context, names);
  aio_context_set_profiling (context, TRUE);
  aio_context_set_wake_log (context, TRUE);
  while (aio_context_poll (context, FALSE))
    ;
  compare_with_text (context, names);

  aio_timer_clear (&timer);
  aio_context_set_event_notifier (context, &notifier, NULL, NULL, NULL);
  aio_event_notifier_clear (&notifier);
  for (guint i = 0; i < G_N_ELEMENTS (bhs); i++)
    aio_bh_delete (bhs[i]);
}

/* --- All of them ------------------------------------------------------------------------------ */

static void
test_all (void)
{
  g_autoptr (AioContext) first G_GNUC_UNUSED = aio_context_new_full ("first", NULL);
  g_autoptr (AioContext) second G_GNUC_UNUSED = aio_context_new_full ("second", NULL);
  g_autofree char *text = aio_dump_all_to_string (AIO_DUMP_TEXT);
  g_autofree char *json = aio_dump_all_to_string (AIO_DUMP_JSON);
  g_autofree char *heading = g_strdup_printf (", pid %d, program \"test-dump\", contexts 2\n"
                                              "context \"first\" ", (int) getpid ());
  char *written = NULL;
  size_t size = 0;
  FILE *stream = open_memstream (&written, &size);

  g_test_summary ("a dump of all begins with the time and the process, and has the oldest first");

  g_assert_true (g_str_has_prefix (text, "aioctx dump 20"));
  assert_has (text, heading);
  g_assert_true (strstr (text, "\"first\"") < strstr (text, "\"second\""));
  g_assert_true (g_str_has_prefix (json, "{\"time\": \"20"));
  g_assert_cmpuint (count_parts (json, "\n"), ==, 1);
  aio_dump_all (stream);
  assert_has (written, "context \"second\" ");
  fclose (stream);
  free (written);
}

static void
dump_within (gpointer    data,
             AioContext *context)
{
  char **text = data;

  *text = aio_dump_all_to_string (AIO_DUMP_TEXT);
}

static void
test_locked (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("locked", NULL);
  AioBH *bh = aio_bh_new_full (context, "hidden", nothing, NULL, NULL);
  g_autofree char *all = NULL;
  g_autofree char *text = NULL;

  g_test_summary ("a dump does not wait for ever for a lock whose holder was stopped");

  aio_home_lock (&context->anchor->home);
  aio_fd_set_lock (&context->fds);
  pthread_mutex_lock (&context->timers->lock);
  text = aio_context_dump (context);
  assert_has (text, "\n  bottom halves (locked)\n  descriptors (locked)\n  timers (locked)\n");
  assert_has (text, ", attached -, home thread -, ");
  assert_lacks (text, "hidden");
  pthread_mutex_unlock (&context->timers->lock);
  aio_fd_set_unlock (&context->fds);
  aio_home_unlock (&context->anchor->home);

  g_assert_true (aio_context_for_each (dump_within, &all));
  assert_has (all, ", contexts (locked)\n");
  aio_bh_delete (bh);
}

/* --- Threads ---------------------------------------------------------------------------------- */

typedef struct
{
  AioContext *context;
  AioBH *bh;
  AioTimer timer;
  _Atomic (gboolean) began;
  _Atomic (gboolean) end;
  guint n;
} Churn;

static void
churn_on (gpointer data)
{
  Churn *churn = data;
  AioBH *extra = aio_bh_new_full (churn->context, "extra", nothing, NULL, NULL);

  churn->n++;
  aio_bh_schedule (extra);
  aio_context_post (churn->context, nothing, NULL, NULL);
  aio_timer_mod_ns (&churn->timer, churn->n % 2 != 0 ? 0 : HOUR_NS);
  aio_context_set_budget (churn->context, churn->n % 3, churn->n % 5);
  aio_context_set_wake_log (churn->context, churn->n % 64 != 0);
  aio_context_set_profiling (churn->context, churn->n % 32 < 16);
  aio_bh_delete (extra);
  if (!atomic_load (&churn->end))
    aio_bh_schedule (churn->bh);
  atomic_store (&churn->began, TRUE);
}

static void
finish_churn (gpointer data)
{
  Churn *churn = data;

  aio_context_set_profiling (churn->context, FALSE);
  aio_timer_clear (&churn->timer);
  aio_bh_delete (churn->bh);
}

static void
test_other_thread (void)
{
  AioIOThread *thread = aio_io_thread_new ("churner", NULL);
  Churn churn = { .context = aio_io_thread_get_context (thread) };
  guint n = g_test_thorough () ? 2000 : 200;

  g_test_summary ("C17: any thread may dump while the home thread goes on");

  churn.bh = aio_bh_new_full (churn.context, "churning", churn_on, &churn, NULL);
  aio_timer_init (&churn.timer, churn.context, AIO_CLOCK_MONOTONIC, nothing, NULL);
  aio_bh_schedule (churn.bh);
  while (!atomic_load (&churn.began))
    sched_yield ();
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *text = aio_context_dump (churn.context);
      g_autofree char *all = aio_dump_all_to_string (AIO_DUMP_JSON);

      assert_has (text, "\n  bh \"churning\" ");
      assert_has (text, "\n  oneshots - (the home thread knows them)\n");
      assert_lacks (text, "(this one)");
      assert_has (all, "\"churner\"");
    }
  atomic_store (&churn.end, TRUE);
  aio_context_post (churn.context, finish_churn, &churn, NULL);
  aio_io_thread_stop (thread);
  aio_io_thread_unref (thread);
}

typedef struct
{
  _Atomic (gboolean) hangs;
  _Atomic (gboolean) go_on;
  pid_t tid;
} Hang;

static void
hang (gpointer data)
{
  Hang *self = data;

  self->tid = gettid ();
  atomic_store (&self->hangs, TRUE);
  while (!atomic_load (&self->go_on))
    g_usleep (100);
}

static void
test_hanging (void)
{
  AioIOThread *thread = aio_io_thread_new ("hanger", NULL);
  AioContext *context = aio_io_thread_get_context (thread);
  AioBH *bh = aio_bh_new_full (context, "hanging", hang, NULL, NULL);
  g_autofree char *home = NULL;
  Hang self = { FALSE, FALSE, 0 };

  g_test_summary ("a dump from another thread names the callback in which the home thread hangs");

  aio_bh_delete (bh);
  bh = aio_bh_new_full (context, "hanging", hang, &self, NULL);
  aio_bh_schedule (bh);
  while (!atomic_load (&self.hangs))
    sched_yield ();
  home = g_strdup_printf (" awake, iterations on the stack 1, attached, home thread %d, ",
                          (int) self.tid);
  assert_dumped (context, home);
  assert_dumped (context, "\n  bh \"hanging\" running, runs 0, ");
  atomic_store (&self.go_on, TRUE);
  aio_bh_delete (bh);
  aio_io_thread_stop (thread);
  aio_io_thread_unref (thread);
}

/* --- Processes -------------------------------------------------------------------------------- */

static void
dump_in_child (AioContext *context)
{
  g_autofree char *text = aio_context_dump (context);
  g_autofree char *json = aio_context_dump_json (context);
  g_autofree char *all = aio_dump_all_to_string (AIO_DUMP_TEXT);
  AioContext *own = aio_context_new_full ("own", NULL);

  g_assert_cmpstr (text, ==, "context \"parent's\" was made before fork() and belongs to the "
                             "parent process\n");
  assert_has (json, "\"forked\": true");
  assert_has (all, text);
  assert_dumped (own, "context \"own\" awake, ");
  aio_context_unref (own);
}

static void
test_fork (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("parent's", NULL);
  pid_t pid;
  int status;

  g_test_summary ("a child made by fork() says of contexts of the parent whose they are");

  /* As if another thread of the parent had been just there. */
  pthread_mutex_lock (&context->timers->lock);
  aio_home_lock (&context->anchor->home);
  pid = fork ();
  if (pid == 0)
    {
      dump_in_child (context);
      _exit (0);
    }
  aio_home_unlock (&context->anchor->home);
  pthread_mutex_unlock (&context->timers->lock);
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status) && WEXITSTATUS (status) == 0);
}

/* --- On a signal, in processes of their own --------------------------------------------------- */

/* Waits until a file has that many dumps in it. */
static char *
wait_for_dumps (const char *path,
                const char *mark,
                guint       n)
{
  for (;;)
    {
      g_autofree char *text = NULL;

      if (g_file_get_contents (path, &text, NULL, NULL) && count_parts (text, mark) >= n &&
          g_str_has_suffix (text, "\n"))
        return g_steal_pointer (&text);
      g_usleep (1000);
    }
}

static char *
temporary_path (const char *ending)
{
  g_autofree char *name = g_strdup_printf ("aio-dump-XXXXXX%s", ending);
  char *path = NULL;
  int fd = g_file_open_tmp (name, &path, NULL);

  g_assert_cmpint (fd, >=, 0);
  close (fd);
  return path;
}

typedef struct
{
  AioBH *bh;
  const char *path;
  char *text;
} Hung;

/* The loop hangs until the dump is there. */
static void
signal_in_callback (gpointer data)
{
  Hung *self = data;

  g_assert_cmpint (kill (getpid (), SIGUSR1), ==, 0);
  self->text = wait_for_dumps (self->path, "wakes -\n", 1);
}

static void
test_signal_file (void)
{
  g_autoptr (AioContext) context = NULL;
  g_autofree char *path = NULL;
  Hung self = { NULL, NULL, NULL };

  g_test_summary ("C18: on a signal the dump is appended to a file, also while the loop hangs");

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
      g_test_trap_assert_passed ();
      return;
    }
  path = temporary_path (".txt");
  self.path = path;
  g_setenv ("AIOCTX_DUMP", self.path, TRUE);
  g_assert_true (aio_dump_on_signal (SIGUSR1));
  g_assert_true (aio_dump_on_signal (SIGUSR1));
  context = aio_context_new_full ("hung", NULL);
  self.bh = aio_bh_new_full (context, "hanging", signal_in_callback, &self, NULL);
  aio_bh_schedule (self.bh);
  aio_context_poll (context, FALSE);
  g_assert_true (g_str_has_prefix (self.text, "aioctx dump "));
  assert_has (self.text, "contexts 1\ncontext \"hung\" awake, ");
  assert_has (self.text, "\n  bh \"hanging\" running, ");
  assert_lacks (self.text, "\"aioctx-dump\"");
  g_free (self.text);
  aio_bh_delete (self.bh);
  kill (getpid (), SIGUSR1);
  g_free (wait_for_dumps (self.path, "aioctx dump ", 2));
  unlink (self.path);
}

static void
test_signal_json (void)
{
  g_autoptr (AioContext) context = NULL;
  g_autofree char *path = NULL;
  g_autofree char *text = NULL;

  g_test_summary ("a file whose name ends in .json gets an object in a line, with a newline in "
                  "no other place");

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
      g_test_trap_assert_passed ();
      return;
    }
  path = temporary_path (".json");
  context = aio_context_new_full ("in\njson", NULL);
  g_setenv ("AIOCTX_DUMP", path, TRUE);
  g_assert_true (aio_dump_on_signal_name ("SIGUSR2"));
  kill (getpid (), SIGUSR2);
  text = wait_for_dumps (path, "\n", 1);
  g_assert_true (g_str_has_prefix (text, "{\"time\": "));
  assert_has (text, "\"name\": \"in\\njson\"");
  g_assert_cmpuint (count_parts (text, "\n"), ==, 1);
  unlink (path);
}

static void
test_signal_stderr (void)
{
  g_autoptr (AioContext) context = NULL;
  g_autofree char *path = NULL;
  g_autofree char *text = NULL;
  int fd;

  g_test_summary ("without a file, and with one that cannot be opened, the dump goes to stderr");

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, 0);
      g_test_trap_assert_passed ();
      return;
    }
  path = temporary_path ("");
  fd = open (path, O_WRONLY | O_APPEND | O_CLOEXEC);
  g_assert_cmpint (dup2 (fd, STDERR_FILENO), ==, STDERR_FILENO);
  close (fd);
  context = aio_context_new_full ("said", NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK);
  g_setenv ("AIOCTX_DUMP", "/nowhere/at/all", TRUE);
  g_assert_true (aio_dump_on_signal_name ("USR1"));
  kill (getpid (), SIGUSR1);
  text = wait_for_dumps (path, "wakes -\n", 1);
  assert_has (text, "/nowhere/at/all");
  assert_has (text, "\ncontext \"said\" ");
  unlink (path);
}

static void
test_signal_many (void)
{
  g_autoptr (AioContext) context = NULL;
  g_autofree char *path = NULL;
  g_autofree char *text = NULL;
  struct sigaction action;

  g_test_summary ("C18: a storm of signals does no harm, keeps errno, and the last one is dumped");

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
      g_test_trap_assert_passed ();
      return;
    }
  path = temporary_path (".txt");
  g_setenv ("AIOCTX_DUMP", path, TRUE);
  g_assert_true (aio_dump_on_signal_name ("12"));
  g_assert_cmpint (sigaction (12, NULL, &action), ==, 0);
  g_assert_true (action.sa_flags & SA_RESTART);
  for (guint i = 0; i < 1000; i++)
    {
      errno = 1000 + i;
      kill (getpid (), 12);
      g_assert_cmpint (errno, ==, 1000 + i);
    }
  context = aio_context_new_full ("late", NULL);
  kill (getpid (), 12);
  text = wait_for_dumps (path, "\"late\"", 1);
  g_assert_cmpuint (count_parts (text, "aioctx dump "), <=, 1001);
  unlink (path);
}

/* The thread sanitizer ends children of fork() that start a thread. */
#ifdef __SANITIZE_THREAD__
#define DUMPS_OF_CHILD 0
#else
#define DUMPS_OF_CHILD 1
#endif

static void
dump_in_forked_process (const char *path)
{
  kill (getpid (), SIGUSR1);
  if (DUMPS_OF_CHILD == 0)
    return;
  aio_dump_on_signal (SIGUSR1);
  kill (getpid (), SIGUSR1);
  g_free (wait_for_dumps (path, "aioctx dump ", DUMPS_OF_CHILD));
}

static void
test_signal_fork (void)
{
  g_autofree char *path = NULL;
  g_autofree char *text = NULL;
  g_autofree char *by_child = NULL;
  pid_t pid;
  int status;

  g_test_summary ("C18: a child made by fork() is silent, until it asks for dumps itself");

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, G_TEST_SUBPROCESS_INHERIT_STDERR);
      g_test_trap_assert_passed ();
      return;
    }
  path = temporary_path (".txt");
  g_setenv ("AIOCTX_DUMP", path, TRUE);
  g_assert_true (aio_dump_on_signal (SIGUSR1));
  pid = fork ();
  if (pid == 0)
    {
      dump_in_forked_process (path);
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, 0), ==, pid);
  g_assert_true (WIFEXITED (status) && WEXITSTATUS (status) == 0);
  kill (getpid (), SIGUSR1);
  text = wait_for_dumps (path, "aioctx dump ", 1 + DUMPS_OF_CHILD);
  by_child = g_strdup_printf (", pid %d, ", (int) pid);
  g_assert_cmpuint (count_parts (text, by_child), ==, DUMPS_OF_CHILD);
  g_assert_cmpuint (count_parts (text, "aioctx dump "), ==, 1 + DUMPS_OF_CHILD);
  unlink (path);
}

static void
test_signal_misuse (void)
{
  static const int unfit[] = { 0, -1, SIGKILL, SIGSTOP, SIGSEGV, SIGABRT, 32, 9999 };
  static const char * const names[] = { "", "SIG", "KILL", "USR", "usr1", "9", "-1", "SIGUSR1x" };

  g_test_summary ("a signal that is not fit for dumps is refused by its number");

  for (guint i = 0; i < G_N_ELEMENTS (unfit); i++)
    {
      g_autofree char *message = g_strdup_printf ("*no dump on signal %d:*", unfit[i]);

      g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_CRITICAL, message);
      g_assert_false (aio_dump_on_signal (unfit[i]));
      g_test_assert_expected_messages ();
    }
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    g_assert_false (aio_dump_on_signal_name (names[i]));
}

static void
test_misuse (void)
{
  g_test_summary ("NULL and unknown formats are refused");

  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_CRITICAL, "*context != NULL*");
  g_assert_null (aio_context_dump (NULL));
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_CRITICAL, "*context != NULL*");
  g_assert_null (aio_context_dump_json (NULL));
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_CRITICAL, "*stream != NULL*");
  aio_dump_all (NULL);
  g_test_expect_message (G_LOG_DOMAIN, G_LOG_LEVEL_CRITICAL, "*format ==*");
  g_assert_null (aio_dump_all_to_string ((AioDumpFormat) 7));
  g_test_assert_expected_messages ();
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_set_prgname ("test-dump");
  /* GLib makes it with the first I/O thread, and it keeps its descriptor. */
  g_main_context_default ();
  aio_test_add ("/dump/bottom-halves", test_bottom_halves);
  aio_test_add ("/dump/running", test_running);
  aio_test_add ("/dump/oneshots", test_oneshots);
  aio_test_add ("/dump/descriptors", test_descriptors);
  aio_test_add ("/dump/watch", test_watch);
  aio_test_add ("/dump/broken", test_broken);
  aio_test_add ("/dump/notifier", test_notifier);
  aio_test_add ("/dump/timers", test_timers);
  aio_test_add ("/dump/context", test_context);
  aio_test_add ("/dump/profiling", test_profiling);
  aio_test_add ("/dump/wakes", test_wakes);
  aio_test_add ("/dump/json", test_json);
  aio_test_add ("/dump/all", test_all);
  aio_test_add ("/dump/locked", test_locked);
  aio_test_add ("/dump/other-thread", test_other_thread);
  aio_test_add ("/dump/hanging", test_hanging);
  aio_test_add ("/dump/fork", test_fork);
  aio_test_add ("/dump/misuse", test_misuse);
  aio_test_add ("/dump/signal/misuse", test_signal_misuse);
  /* The thread that writes dumps keeps its descriptors. */
  g_test_add_func ("/dump/signal/file", test_signal_file);
  g_test_add_func ("/dump/signal/json", test_signal_json);
  g_test_add_func ("/dump/signal/stderr", test_signal_stderr);
  g_test_add_func ("/dump/signal/many", test_signal_many);
  g_test_add_func ("/dump/signal/fork", test_signal_fork);
  return g_test_run ();
}
