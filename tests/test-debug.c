/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* AIOCTX_DEBUG: what is understood, and what each key does. The variable is read once in a process,
 * so a case sets it, and runs itself again in a child process, which makes the contexts. */
#include "aio-test.h"

#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-debug-private.h>
#include <aioctx-gsource/aio-func-name-private.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>

/* --- The text --------------------------------------------------------------------------------- */

static GPtrArray *
parse (const char *text,
       AioDebug   *debug)
{
  GPtrArray *complaints = g_ptr_array_new_with_free_func (g_free);

  aio_debug_parse (text, debug, complaints);
  return complaints;
}

static void
test_parse (void)
{
  static const struct { const char *text; AioDebug wanted; } table[] = {
    { "", { 0 } },
    { " ,;:\t\n,", { 0 } },
    { "leaks", { .leaks = TRUE } },
    { "Leaks", { .leaks = TRUE } },
    { "HELP,profile;threads:wakes\tleaks",
      { .help = TRUE, .profile = TRUE, .threads = TRUE, .wakes = TRUE, .leaks = TRUE } },
    { "leaks leaks,,leaks", { .leaks = TRUE } },
    { "slow=20ms", { .slow_ns = 20000000 } },
    { "SLOW=500US", { .slow_ns = 500000 } },
    { "slow=1s", { .slow_ns = 1000000000 } },
    { "slow=1us", { .slow_ns = 1000 } },
    { "slow=007ms", { .slow_ns = 7000000 } },
    { "slow=9223372036s", { .slow_ns = G_GINT64_CONSTANT (9223372036000000000) } },
    { "slow=1s,slow=2s", { .slow_ns = 2000000000 } },
    { "shuffle=1", { .shuffle = 1 } },
    { "shuffle=4294967295", { .shuffle = 4294967295 } },
    { "fdmon=poll", { .fdmon = (char *) "poll" } },
    { "fdmon=a=b", { .fdmon = (char *) "a=b" } },
    { "dump=USR1,dump=USR2", { .dump = (char *) "USR2" } },
    { "slow=5ms leaks:shuffle=3;dump=HUP",
      { .slow_ns = 5000000, .leaks = TRUE, .shuffle = 3, .dump = (char *) "HUP" } },
  };

  g_test_summary ("C28: keys and values of AIOCTX_DEBUG, separated as GLib does it");

  for (guint i = 0; i < G_N_ELEMENTS (table); i++)
    {
      const AioDebug *wanted = &table[i].wanted;
      AioDebug debug;
      GPtrArray *complaints = parse (table[i].text, &debug);

      g_test_message ("“%s”", table[i].text);
      g_assert_cmpuint (complaints->len, ==, 0);
      g_assert_cmpint (debug.help, ==, wanted->help);
      g_assert_cmpint (debug.leaks, ==, wanted->leaks);
      g_assert_cmpint (debug.profile, ==, wanted->profile);
      g_assert_cmpint (debug.threads, ==, wanted->threads);
      g_assert_cmpint (debug.wakes, ==, wanted->wakes);
      g_assert_cmpint (debug.slow_ns, ==, wanted->slow_ns);
      g_assert_cmpuint (debug.shuffle, ==, wanted->shuffle);
      g_assert_cmpstr (debug.dump, ==, wanted->dump);
      g_assert_cmpstr (debug.fdmon, ==, wanted->fdmon);
      aio_debug_clear (&debug);
      g_ptr_array_unref (complaints);
    }
}

#define KEYS "dump, fdmon, help, leaks, profile, shuffle, slow, threads, wakes"
#define NOT_A_TIME " is not understood, a time such as 500us, 20ms or 1s is expected"
#define NOT_A_SEED " is not understood, a number from 1 to 4294967295 is expected"

static void
test_complaints (void)
{
  static const struct { const char *text; const char *complaint; } table[] = {
    { "lekas", "there is no key “lekas”, only " KEYS },
    { "lekas=3", "there is no key “lekas”, only " KEYS },
    { "=", "there is no key “”, only " KEYS },
    { "slo=1s", "there is no key “slo”, only " KEYS },
    { "slower=1s", "there is no key “slower”, only " KEYS },
    { "slow", "“slow” wants a time such as 500us, 20ms or 1s behind a “=”" },
    { "slow=", "“slow=”" NOT_A_TIME },
    { "slow=20", "“slow=20”" NOT_A_TIME },
    { "slow=0ms", "“slow=0ms”" NOT_A_TIME },
    { "slow=-1ms", "“slow=-1ms”" NOT_A_TIME },
    { "slow=+1ms", "“slow=+1ms”" NOT_A_TIME },
    { "slow=ms", "“slow=ms”" NOT_A_TIME },
    { "slow=1.5ms", "“slow=1.5ms”" NOT_A_TIME },
    { "slow=1msec", "“slow=1msec”" NOT_A_TIME },
    { "slow=9223372037s", "“slow=9223372037s”" NOT_A_TIME },
    { "slow=99999999999999999999us", "“slow=99999999999999999999us”" NOT_A_TIME },
    { "shuffle=0", "“shuffle=0”" NOT_A_SEED },
    { "shuffle=4294967296", "“shuffle=4294967296”" NOT_A_SEED },
    { "shuffle=7x", "“shuffle=7x”" NOT_A_SEED },
    { "SHUFFLE=x", "“shuffle=x”" NOT_A_SEED },
    { "wakes=1", "“wakes=1” is not understood, no value is expected" },
    { "leaks=", "“leaks=” is not understood, no value is expected" },
    { "fdmon", "“fdmon” wants epoll or poll behind a “=”" },
    { "fdmon=", "“fdmon=” is not understood, epoll or poll is expected" },
    { "dump", "“dump” wants a signal such as USR1 behind a “=”" },
  };

  g_test_summary ("C28: what is not understood is named, with what would be; nothing else comes "
                  "of it");

  for (guint i = 0; i < G_N_ELEMENTS (table); i++)
    {
      char *text = g_strdup_printf ("slow=7s,%s,profile", table[i].text);
      char *complaint = g_strdup_printf ("AIOCTX_DEBUG: %s", table[i].complaint);
      AioDebug debug;
      GPtrArray *complaints = parse (text, &debug);

      g_assert_cmpuint (complaints->len, ==, 1);
      g_assert_cmpstr (complaints->pdata[0], ==, complaint);
      g_assert_cmpint (debug.slow_ns, ==, G_GINT64_CONSTANT (7000000000));
      g_assert_true (debug.profile);
      g_assert_false (debug.leaks || debug.wakes || debug.help || debug.threads);
      g_assert_cmpuint (debug.shuffle, ==, 0);
      g_assert_null (debug.fdmon);
      g_assert_null (debug.dump);
      g_ptr_array_unref (complaints);
      g_free (complaint);
      g_free (text);
    }
}

/* Bytes that are likely to mean something. */
static void
fill_at_random (char *text,
                guint length)
{
  static const char likely[] = "slow=shuffle=dump,fdmon;help leaks:19ums\t\xff\xc3";

  for (guint i = 0; i < length; i++)
    text[i] = g_test_rand_bit () ? likely[g_test_rand_int_range (0, sizeof likely - 1)]
                                 : (char) g_test_rand_int_range (1, 256);
  text[length] = '\0';
}

static void
test_garbage (void)
{
  guint n = g_test_thorough () ? 1000000 : 20000;

  g_test_summary ("C28: any text is taken or complained about, word by word");

  for (guint i = 0; i < n; i++)
    {
      char text[65];
      guint length = (guint) g_test_rand_int_range (0, sizeof text);
      GPtrArray *complaints;
      AioDebug debug;

      fill_at_random (text, length);
      complaints = parse (text, &debug);
      g_assert_cmpuint (complaints->len, <=, (length + 1) / 2);
      g_assert_cmpint (debug.slow_ns, >=, 0);
      aio_debug_clear (&debug);
      g_ptr_array_unref (complaints);
    }
}

/* --- In a child process ----------------------------------------------------------------------- */

/* TRUE in the child, which has the variable set. In the parent it has run by then, and succeeded.
 *
 * In the locale of a test the quotation marks of messages become question marks; in a pattern these
 * match both. */
static gboolean
is_child (const char *debug)
{
  if (g_test_subprocess ())
    return TRUE;
  g_setenv ("AIOCTX_DEBUG", debug, TRUE);
  g_test_trap_subprocess (NULL, 60 * G_USEC_PER_SEC, 0);
  g_unsetenv ("AIOCTX_DEBUG");
  g_test_trap_assert_passed ();
  return FALSE;
}

static void
make_and_drop (void)
{
  aio_context_unref (aio_context_new ());
}

static void
test_help (void)
{
  g_test_summary ("C28: the help has a line for each key");

  if (is_child ("help"))
    make_and_drop ();
  else
    g_test_trap_assert_stderr ("*AIOCTX_DEBUG takes*\n  dump=SIGNAL *\n  fdmon=NAME *\n  help *\n"
                               "  leaks *\n  profile *\n  shuffle=SEED *\n  slow=TIME *\n"
                               "  threads *\n  wakes *\n");
}

static void *
make_in_thread (void *unused)
{
  make_and_drop ();
  return NULL;
}

/* Warnings are fatal in a test. */
static void
test_messages (void)
{
  pthread_t threads[4];

  g_test_summary ("C28: complaints are messages, which end no program, and come once");

  if (!is_child ("lekas,slow=20"))
    {
      g_test_trap_assert_stderr ("*there is no key ?lekas?, only dump,*?slow=20? is not under*");
      g_test_trap_assert_stderr_unmatched ("*lekas*lekas*");
      g_test_trap_assert_stderr_unmatched ("*slow=20*slow=20*");
      return;
    }
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    pthread_create (&threads[i], NULL, make_in_thread, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (threads); i++)
    pthread_join (threads[i], NULL);
  make_and_drop ();
}

static void
make_on_message (const char     *domain,
                 GLogLevelFlags  level,
                 const char     *message,
                 gpointer        data)
{
  guint *n = data;

  (*n)++;
  make_and_drop ();
}

static void
test_messages_reenter (void)
{
  guint handler;
  guint n = 0;

  g_test_summary ("C28: who is told a complaint may make contexts");

  if (!is_child ("lekas,leaks=1"))
    return;
  handler = g_log_set_handler ("aioctx-gsource", G_LOG_LEVEL_MESSAGE, make_on_message, &n);
  make_and_drop ();
  g_log_remove_handler ("aioctx-gsource", handler);
  g_assert_cmpuint (n, ==, 2);
}

static void
test_empty (void)
{
  g_test_summary ("C28: an empty variable asks for nothing");

  if (is_child (""))
    make_and_drop ();
  else
    g_test_trap_assert_stderr ("");
}

/* --- Each key --------------------------------------------------------------------------------- */

static void
leave_things (void)
{
  g_autoptr (AioContext) dropped G_GNUC_UNUSED = aio_context_new_full ("dropped", NULL);
  AioContext *left = aio_context_new_full ("left", NULL);
  AioContext *attached = aio_context_new_full ("attached", NULL);
  AioTimer *timer = aio_timer_new (left, AIO_CLOCK_MONOTONIC, nothing, NULL, NULL);
  AioBH *deleted = aio_bh_new_full (left, "deleted", nothing, NULL, NULL);
  int ends[2];

  g_assert_cmpint (pipe (ends), ==, 0);
  aio_bh_new_full (left, "tick", nothing, NULL, NULL);
  aio_bh_new_full (left, "tock", nothing, NULL, NULL);
  aio_bh_delete (deleted);
  aio_timer_set_name (timer, "alarm");
  aio_context_set_fd_handler (left, ends[0], nothing, NULL, NULL);
  aio_context_attach (attached, NULL);
  g_assert_cmpuint (aio_context_post (attached, nothing, NULL, NULL), ==, TRUE);
  aio_context_ref (left);
}

static void
test_leaks (void)
{
  g_test_summary ("C24: at exit contexts that were not finalised are named, with what they hold");

  if (is_child ("leaks"))
    {
      leave_things ();
      return;
    }
  g_test_trap_assert_stderr ("*AioContext “left” was not finalised (2 references): tock, tick, "
                             "descriptor *, timer “alarm”\n*");
  g_test_trap_assert_stderr ("*AioContext “attached” was not finalised (2 references, attached): "
                             "empty\n*");
  g_test_trap_assert_stderr_unmatched ("*dropped*");
  g_test_trap_assert_stderr_unmatched ("*deleted*");
}

static void
test_no_leaks (void)
{
  g_test_summary ("C24: at exit it is said, too, that every context was finalised");

  if (is_child ("leaks"))
    make_and_drop ();
  else
    g_test_trap_assert_stderr ("AIOCTX_DEBUG=leaks: every AioContext was finalised\n");
}

static void
test_leaks_own (void)
{
  g_test_summary ("C24: the context of the thread that writes dumps is the library's, and no leak");

  if (is_child ("leaks"))
    {
      g_assert_true (aio_dump_on_signal (SIGUSR1));
      make_and_drop ();
      return;
    }
  g_test_trap_assert_stderr ("AIOCTX_DEBUG=leaks: every AioContext was finalised\n");
}

static void
test_leaks_fork (void)
{
  g_autoptr (AioContext) context = NULL;
  pid_t child;
  int status;

  g_test_summary ("C25: what a forked child has of its parent's is no leak of its own");

  if (!is_child ("leaks"))
    {
      g_test_trap_assert_stderr_unmatched ("*not finalised*");
      return;
    }
  context = aio_context_new_full ("parent's", NULL);
  child = fork ();
  if (child == 0)
    exit (0);
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_cmpint (status, ==, 0);
}

static void
sleep_a_little (gpointer data)
{
  g_usleep (5000);
}

static void
run_one (AioBHFunc func)
{
  g_autoptr (AioContext) context = aio_context_new_full ("sleepy", NULL);

  aio_bh_schedule_oneshot_full (context, "nap", func, NULL, NULL);
  g_assert_true (aio_context_poll (context, FALSE));
}

static void
test_slow (void)
{
  g_test_summary ("C28: slow callbacks are reported for every context");

  if (is_child ("slow=1ms"))
    run_one (sleep_a_little);
  else
    g_test_trap_assert_stderr ("*AioContext ?sleepy?: one-shot ?nap? took *");
}

static void
test_not_slow (void)
{
  g_test_summary ("C28: callbacks that do not take so long are not reported");

  if (is_child ("slow=1000s"))
    run_one (sleep_a_little);
  else
    g_test_trap_assert_stderr_unmatched ("*took*");
}

static void
test_wakes (void)
{
  g_autoptr (AioContext) context = NULL;
  AioTimer *timer;
  AioWake wake;

  g_test_summary ("C14: wakeups are noted for every context");

  if (!is_child ("wakes"))
    return;
  context = aio_context_new ();
  timer = aio_timer_new (context, AIO_CLOCK_MONOTONIC, nothing, NULL, NULL);
  aio_timer_mod_ns (timer, aio_context_get_time_ns (context, AIO_CLOCK_MONOTONIC) + 1000000);
  while (!aio_context_poll (context, TRUE))
    ;
  g_assert_cmpuint (aio_context_get_wakes (context, &wake, 1), ==, 1);
  g_assert_cmpint (wake.reason, ==, AIO_WAKE_TIMER);
  aio_timer_free (timer);
}

static void
test_profile (void)
{
  g_autoptr (AioContext) context = NULL;
  AioContextStats stats;
  AioBH *bh;

  g_test_summary ("C15: every context is profiled");

  if (!is_child ("profile"))
    return;
  context = aio_context_new ();
  g_assert_true (aio_context_get_profiling (context));
  bh = aio_bh_new (context, nothing, NULL);
  aio_bh_schedule (bh);
  aio_bh_schedule (bh);
  aio_context_poll (context, FALSE);
  aio_context_get_stats (context, &stats, sizeof stats);
  g_assert_cmpuint (stats.schedules, ==, 2);
  g_assert_cmpuint (stats.coalesced, ==, 1);
  aio_bh_delete (bh);
  aio_context_set_profiling (context, FALSE);
  g_assert_false (aio_context_get_profiling (context));
}

static const char *
monitor_of_new_context (void)
{
  g_autoptr (AioContext) context = aio_context_new ();

  return context->fds.monitor->name;
}

static void
test_fdmon (void)
{
  g_test_summary ("C20: the key chooses how descriptors are watched, before AIOCTX_FDMON");

  g_setenv ("AIOCTX_FDMON", "epoll", TRUE);
  if (is_child ("fdmon=poll"))
    g_assert_cmpstr (monitor_of_new_context (), ==, "poll");
  g_unsetenv ("AIOCTX_FDMON");
}

static void
test_fdmon_unknown (void)
{
  g_test_summary ("C20: a monitor that there is not is named, once, and does not count");

  g_setenv ("AIOCTX_FDMON", "poll", TRUE);
  if (is_child ("fdmon=kqueue"))
    {
      g_assert_cmpstr (monitor_of_new_context (), ==, "poll");
      g_assert_cmpstr (monitor_of_new_context (), ==, "poll");
    }
  else
    {
      g_test_trap_assert_stderr ("*?fdmon=kqueue? is not understood, epoll *or poll is expected*");
      g_test_trap_assert_stderr_unmatched ("*kqueue*kqueue*");
    }
  g_unsetenv ("AIOCTX_FDMON");
}

static void
test_dump (void)
{
  g_autofree char *path = g_strdup_printf ("%s/test-debug-%d", g_get_tmp_dir (),
                                            (int) getpid ());
  g_autofree char *dump = NULL;

  g_test_summary ("C1, C24: contexts are dumped when the signal comes; the one that does so is no "
                  "leak");

  if (g_test_subprocess ())
    {
      g_autoptr (AioContext) context G_GNUC_UNUSED = aio_context_new_full ("dumped", NULL);

      raise (SIGUSR1);
      do
        g_clear_pointer (&dump, g_free);
      while (!g_file_get_contents (g_getenv ("AIOCTX_DUMP"), &dump, NULL, NULL) ||
             strstr (dump, "dumped") == NULL);
      return;
    }
  remove (path);
  g_setenv ("AIOCTX_DUMP", path, TRUE);
  is_child ("leaks,dump=USR1");
  g_unsetenv ("AIOCTX_DUMP");
  g_test_trap_assert_stderr ("*every AioContext was finalised\n*");
  remove (path);
}

static void
test_dump_unknown (void)
{
  g_test_summary ("C28: a signal that no dump can be on is named");

  if (is_child ("dump=KILL"))
    make_and_drop ();
  else
    g_test_trap_assert_stderr ("*?dump=KILL? is not understood, a signal such as USR1 is exp*");
}

/* --- The shuffle ------------------------------------------------------------------------------ */

#define N_THREADS 2
#define N_EACH    8

typedef struct
{
  AioContext *context;
  GString *order;
  char letter;
} Letter;

static void
append_letter (gpointer data)
{
  Letter *letter = data;

  g_string_append_c (letter->order, letter->letter);
}

typedef struct
{
  Letter letters[N_EACH];
} Producer;

static void *
post_letters (void *data)
{
  Producer *producer = data;

  for (guint i = 0; i < N_EACH; i++)
    aio_context_post (producer->letters[i].context, append_letter, &producer->letters[i], NULL);
  return NULL;
}

/* One thread has posted abcdefgh, then another one ABCDEFGH. */
static char *
order_of_letters (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  GString *order = g_string_new (NULL);
  Producer producers[N_THREADS];

  for (guint i = 0; i < N_THREADS; i++)
    {
      pthread_t thread;

      for (guint j = 0; j < N_EACH; j++)
        producers[i].letters[j] = (Letter) { context, order, (char) ((i == 0 ? 'a' : 'A') + j) };
      pthread_create (&thread, NULL, post_letters, &producers[i]);
      pthread_join (thread, NULL);
    }
  aio_context_poll (context, FALSE);
  return g_string_free (order, FALSE);
}

/* Those of the letters that are of one case. */
static char *
filter (const char *order,
        gboolean    upper)
{
  GString *found = g_string_new (NULL);

  for (; *order != '\0'; order++)
    if (g_ascii_isupper (*order) == upper)
      g_string_append_c (found, *order);
  return g_string_free (found, FALSE);
}

static void
test_shuffle_names (void)
{
  g_autoptr (AioContext) context = NULL;
  g_autofree char *pattern = NULL;

  g_test_summary ("C28: a post is told by its function also in a context that is shuffled");

  if (!is_child ("slow=1ms,shuffle=7"))
    {
      pattern = g_strdup_printf ("*: one-shot ?%s? took *", aio_func_name (sleep_a_little));
      g_test_trap_assert_stderr (pattern);
      return;
    }
  context = aio_context_new_full ("sleepy", NULL);
  g_assert_true (aio_context_post (context, sleep_a_little, NULL, NULL));
  g_assert_true (aio_context_poll (context, FALSE));
}

static void
test_shuffle (void)
{
  g_autofree char *order = NULL, *again = NULL, *lower = NULL, *upper = NULL;

  g_test_summary ("C3: every context is shuffled: what two threads have posted is mixed, each "
                  "thread's stays in order, and a seed means the same each time");

  if (!is_child ("shuffle=7"))
    return;
  order = order_of_letters ();
  again = order_of_letters ();
  lower = filter (order, FALSE);
  upper = filter (order, TRUE);
  g_assert_cmpstr (order, ==, again);
  g_assert_cmpstr (order, !=, "abcdefghABCDEFGH");
  g_assert_cmpstr (lower, ==, "abcdefgh");
  g_assert_cmpstr (upper, ==, "ABCDEFGH");
}

static void
count (gpointer data)
{
  (*(guint *) data)++;
}

typedef struct
{
  AioContext *context;
  guint *n_runs;
  guint n_posted;
} Poster;

static void *
post_many (void *data)
{
  Poster *poster = data;

  for (guint i = 0; i < N_EACH; i++)
    poster->n_posted += aio_context_post (poster->context, count, poster->n_runs, NULL);
  return NULL;
}

/* The thread is held up, so that all posts and the end are in one pass. */
static void
wait_for_flag (gpointer data)
{
  while (!g_atomic_int_get ((int *) data))
    g_usleep (100);
}

static void *
raise_later (void *data)
{
  g_usleep (2000);
  g_atomic_int_set ((int *) data, TRUE);
  return NULL;
}

static void
stop_behind_posts (void)
{
  AioIOThread *thread = aio_io_thread_new ("shuffled", NULL);
  pthread_t helper;
  guint n_runs = 0;
  int flag = FALSE;
  Poster poster = { aio_io_thread_get_context (thread), &n_runs, 0 };

  aio_context_post (poster.context, wait_for_flag, &flag, NULL);
  pthread_create (&helper, NULL, post_many, &poster);
  pthread_join (helper, NULL);
  pthread_create (&helper, NULL, raise_later, &flag);
  aio_io_thread_stop (thread);
  pthread_join (helper, NULL);
  g_assert_cmpuint (n_runs, ==, poster.n_posted);
  g_assert_cmpuint (n_runs, ==, N_EACH);
  aio_io_thread_unref (thread);
}

static void
test_shuffle_stop (void)
{
  g_test_summary ("C26: the end of an I/O thread is not shuffled: what was posted before it runs");

  if (is_child ("shuffle=7"))
    for (guint i = 0; i < 20; i++)
      stop_behind_posts ();
}

/* --- Threads ---------------------------------------------------------------------------------- */

typedef void (*Func) (void);

static void *
run_in_thread (void *func)
{
  (*(Func *) func) ();
  return NULL;
}

static void
in_other_thread (Func func)
{
  pthread_t thread;

  pthread_create (&thread, NULL, run_in_thread, &func);
  pthread_join (thread, NULL);
}

static AioContext *the_context;
static AioBH *the_bh;
static GMainContext *the_loop;

static void
call_home_functions (void)
{
  aio_context_set_priority (the_context, 7);
  g_assert_true (aio_bh_get_context (the_bh) == the_context);
}

static void
poll_it (void)
{
  aio_context_poll (the_context, FALSE);
}

#define EXPECT(function) \
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, \
                         function ": the calling thread is not the home thread of AioContext " \
                         "“strict”")

static void
test_threads (void)
{
  g_test_summary ("C17: who is strict is told when another thread than the home thread acts as "
                  "such, although nobody iterates; it goes on all the same");

  if (!is_child ("threads"))
    return;
  the_context = aio_context_new_full ("strict", NULL);
  the_bh = aio_bh_new (the_context, nothing, NULL);
  in_other_thread (call_home_functions);
  poll_it ();
  call_home_functions ();

  EXPECT ("aio_context_set_priority");
  EXPECT ("aio_bh_get_context");
  in_other_thread (call_home_functions);
  g_test_assert_expected_messages ();
  g_assert_cmpint (aio_context_get_priority (the_context), ==, 7);

  EXPECT ("aio_context_poll");
  in_other_thread (poll_it);
  g_test_assert_expected_messages ();
  EXPECT ("aio_context_poll");
  poll_it ();
  g_test_assert_expected_messages ();
  poll_it ();
  aio_bh_delete (the_bh);
  aio_context_unref (the_context);
}

static void
test_not_strict (void)
{
  g_test_summary ("C17: by default another thread may act while nobody iterates");

  if (!is_child ("wakes"))
    return;
  the_context = aio_context_new_full ("strict", NULL);
  the_bh = aio_bh_new (the_context, nothing, NULL);
  poll_it ();
  in_other_thread (call_home_functions);
  in_other_thread (poll_it);
  aio_bh_delete (the_bh);
  aio_context_unref (the_context);
}

static void
iterate_main (void)
{
  aio_bh_schedule (the_bh);
  g_main_context_iteration (the_loop, FALSE);
}

static void
act_as_owner (void)
{
  g_assert_true (g_main_context_acquire (the_loop));
  call_home_functions ();
  g_main_context_release (the_loop);
}

static void
test_threads_main (void)
{
  g_test_summary ("C17: a context that moves with its GMainContext is no offence to the strict; "
                  "to poll it from elsewhere is");

  if (!is_child ("threads"))
    return;
  the_context = aio_context_new_full ("strict", NULL);
  the_bh = aio_bh_new (the_context, nothing, NULL);
  the_loop = g_main_context_new ();
  aio_context_attach (the_context, the_loop);
  iterate_main ();
  in_other_thread (iterate_main);
  act_as_owner ();
  iterate_main ();
  in_other_thread (act_as_owner);
  in_other_thread (iterate_main);

  EXPECT ("aio_context_poll");
  poll_it ();
  g_test_assert_expected_messages ();
  aio_bh_delete (the_bh);
  aio_context_detach (the_context);
  aio_context_unref (the_context);
  g_main_context_unref (the_loop);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  if (!g_test_subprocess ())
    {
      g_unsetenv ("AIOCTX_DEBUG");
      g_unsetenv ("AIOCTX_FDMON");
    }
  /* Comes into being with the first I/O thread, and stays. */
  g_main_context_default ();

  aio_test_add ("/debug/parse", test_parse);
  aio_test_add ("/debug/complaints", test_complaints);
  aio_test_add ("/debug/garbage", test_garbage);
  aio_test_add ("/debug/help", test_help);
  aio_test_add ("/debug/messages", test_messages);
  aio_test_add ("/debug/messages-reenter", test_messages_reenter);
  aio_test_add ("/debug/empty", test_empty);
  g_test_add_func ("/debug/leaks", test_leaks);
  aio_test_add ("/debug/no-leaks", test_no_leaks);
  g_test_add_func ("/debug/leaks-own", test_leaks_own);
  aio_test_add ("/debug/leaks-fork", test_leaks_fork);
  aio_test_add ("/debug/slow", test_slow);
  aio_test_add ("/debug/not-slow", test_not_slow);
  aio_test_add ("/debug/wakes", test_wakes);
  aio_test_add ("/debug/profile", test_profile);
  aio_test_add ("/debug/fdmon", test_fdmon);
  aio_test_add ("/debug/fdmon-unknown", test_fdmon_unknown);
  g_test_add_func ("/debug/dump", test_dump);
  aio_test_add ("/debug/no-dump", test_dump_unknown);
  aio_test_add ("/debug/shuffle", test_shuffle);
  aio_test_add ("/debug/shuffle-names", test_shuffle_names);
  aio_test_add ("/debug/shuffle-stop", test_shuffle_stop);
  aio_test_add ("/debug/threads", test_threads);
  aio_test_add ("/debug/not-strict", test_not_strict);
  aio_test_add ("/debug/threads-main", test_threads_main);
  return g_test_run ();
}
