/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Profiling, the report of slow callbacks, and the log of wakeups. */
#include "loop-test.h"

#define N_THREADS   3
#define N_SCHEDULES 20000

static void
count (gpointer data)
{
  ++*(guint *) data;
}

static AioContextStats
get_stats (AioContext *context)
{
  AioContextStats stats;

  aio_context_get_stats (context, &stats, sizeof stats);
  return stats;
}

static guint64
sum (const guint64 *histogram)
{
  guint64 all = 0;

  for (guint i = 0; i < AIO_STATS_BUCKETS; i++)
    all += histogram[i];
  return all;
}

/* Longer than the threshold that the cases set, which is a microsecond. */
static void
burn (gpointer data)
{
  gint64 end = g_get_monotonic_time () + 1000;

  if (data != NULL)
    count (data);
  while (g_get_monotonic_time () < end)
    ;
}

/* --- Profiling -------------------------------------------------------------------------------- */

static void
test_profile_off (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  guint n = 0;
  AioBH *bh = aio_bh_new (context, count, &n);
  AioContextStats stats;

  g_test_summary ("C2: without profiling nothing that needs a clock or a producer is counted");

  aio_bh_schedule (bh);
  aio_bh_schedule (bh);
  g_assert_true (aio_context_poll (context, FALSE));
  stats = get_stats (context);
  g_assert_false (aio_context_get_profiling (context));
  g_assert_cmpuint (stats.runs, ==, 1);
  g_assert_cmpuint (stats.schedules + stats.coalesced, ==, 0);
  g_assert_cmpuint (sum (stats.latency) + sum (stats.run_time), ==, 0);
  aio_bh_delete (bh);
}

static void
test_profile_counts (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  guint n = 0;
  AioBH *bh = aio_bh_new (context, count, &n);
  AioBH *late, *idle = aio_bh_new (context, count, &n);
  AioContextStats stats;

  g_test_summary ("C2, C5: profiling counts each schedule, and those that merged, normal and idle");

  aio_context_set_profiling (context, TRUE);
  g_assert_true (aio_context_get_profiling (context));
  late = aio_bh_new (context, count, &n);
  for (guint i = 0; i < 5; i++)
    aio_bh_schedule (bh);
  for (guint i = 0; i < 3; i++)
    aio_bh_schedule_idle (idle);
  aio_bh_schedule_idle (late);
  aio_bh_schedule (late);
  aio_bh_schedule (late);
  aio_bh_schedule_oneshot (context, count, &n);
  g_assert_true (aio_context_post (context, count, &n, NULL));
  g_assert_true (aio_context_poll (context, FALSE));

  stats = get_stats (context);
  g_assert_cmpuint (n, ==, 5);
  g_assert_cmpuint (stats.schedules, ==, 5 + 3 + 3 + 1 + 1);
  g_assert_cmpuint (stats.coalesced, ==, 4 + 2 + 2);
  g_assert_cmpuint (sum (stats.latency), ==, 5);
  g_assert_cmpuint (sum (stats.run_time), ==, 5);
  aio_bh_delete (bh);
  aio_bh_delete (idle);
  aio_bh_delete (late);
}

static void
on_fd (gpointer data)
{
  drain (*(int *) data);
}

static void
test_profile_kinds (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  guint n = 0;
  AioTimer timer;
  int fds[2];

  g_test_summary ("C20, C22: profiling times handlers of descriptors and timers, too");

  open_pipe (fds);
  aio_context_set_profiling (context, TRUE);
  aio_context_set_fd_handler (context, fds[0], on_fd, NULL, &fds[0]);
  aio_timer_init (&timer, context, AIO_CLOCK_MONOTONIC, burn, &n);
  aio_timer_mod_ns (&timer, 0);
  put (fds[1]);
  while (sum (get_stats (context).run_time) < 2)
    aio_context_poll (context, TRUE);
  g_assert_cmpuint (n, ==, 1);
  g_assert_cmpuint (get_stats (context).run_time[AIO_STATS_BUCKETS - 1], ==, 0);
  g_assert_cmpuint (sum (get_stats (context).latency), ==, 0);
  aio_timer_clear (&timer);
  aio_context_set_fd_handler (context, fds[0], NULL, NULL, NULL);
  close_both (fds);
}

static void
test_profile_buckets (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  guint64 slow = 0;
  AioContextStats stats;

  g_test_summary ("C2: element i of a histogram counts what took from 2^i ns on");

  aio_context_set_profiling (context, TRUE);
  aio_bh_schedule_oneshot (context, burn, NULL);
  aio_bh_schedule_oneshot (context, burn, NULL);
  aio_context_poll (context, FALSE);
  stats = get_stats (context);
  /* A millisecond is between 2^19 and 2^20 ns; what the machine adds makes it more, never less. */
  for (guint i = 19; i < AIO_STATS_BUCKETS; i++)
    slow += stats.run_time[i];
  g_assert_cmpuint (slow, ==, 2);
  g_assert_cmpuint (sum (stats.run_time), ==, 2);
  for (guint i = 19, late = 0; i < AIO_STATS_BUCKETS; i++)
    {
      late += stats.latency[i];
      g_assert_true (i + 1 < AIO_STATS_BUCKETS || late >= 1);
    }
}

static void
test_profile_switch (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  g_autoptr (AioContext) other = aio_context_new ();
  guint n = 0, n_other = 0;
  AioBH *bh = aio_bh_new (context, count, &n);
  AioBH *other_bh = aio_bh_new (other, count, &n_other);

  g_test_summary ("C2, C19: profiling can be switched while something is pending, begins with 0, "
                  "and is that of one context");

  aio_bh_schedule (bh);
  aio_context_set_profiling (context, TRUE);
  aio_bh_schedule (bh);
  aio_bh_schedule (bh);
  aio_bh_schedule (other_bh);
  aio_bh_schedule (other_bh);
  aio_context_set_profiling (context, FALSE);
  aio_bh_schedule (bh);
  g_assert_true (aio_context_poll (context, FALSE));
  g_assert_true (aio_context_poll (other, FALSE));
  g_assert_false (aio_context_poll (context, FALSE));
  g_assert_cmpuint (n, ==, 1);
  g_assert_cmpuint (n_other, ==, 1);
  g_assert_cmpuint (get_stats (context).schedules, ==, 0);
  g_assert_cmpuint (get_stats (other).schedules, ==, 0);

  aio_context_set_profiling (context, TRUE);
  aio_context_set_profiling (context, TRUE);
  g_assert_cmpuint (get_stats (context).schedules, ==, 0);
  g_assert_cmpuint (sum (get_stats (context).run_time), ==, 0);
  aio_bh_schedule (bh);
  aio_bh_schedule (bh);
  g_assert_true (aio_context_poll (context, FALSE));
  g_assert_cmpuint (get_stats (context).schedules, ==, 2);
  g_assert_cmpuint (get_stats (context).coalesced, ==, 1);
  aio_bh_delete (bh);
  aio_bh_delete (other_bh);
}

static void
test_profile_meaning (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  guint n = 0;
  AioBH *bh = aio_bh_new (context, count, &n);
  guint32 timeout = 1000;

  g_test_summary ("C5, C6, C9, C10: a schedule means the same with profiling");

  aio_context_set_profiling (context, TRUE);
  aio_bh_schedule (bh);
  aio_bh_update_timeout (context, &timeout);
  g_assert_cmpuint (timeout, ==, 0);
  g_assert_cmpint (aio_context_get_timeout_ns (context), ==, 0);
  g_assert_true (aio_bh_is_scheduled (bh));
  g_assert_cmpint (aio_bh_poll (context), ==, 1);

  aio_bh_schedule (bh);
  g_assert_true (aio_bh_cancel (bh));
  g_assert_false (aio_bh_cancel (bh));
  g_assert_cmpint (aio_bh_poll (context), ==, 0);

  aio_bh_schedule (bh);
  aio_bh_schedule_idle (bh);
  g_assert_cmpint (aio_bh_poll (context), ==, 1);
  aio_bh_schedule_idle (bh);
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  g_assert_cmpuint (n, ==, 3);

  aio_bh_schedule (bh);
  aio_bh_ref (bh);
  aio_bh_delete (bh);
  aio_bh_schedule (bh);
  g_assert_false (aio_bh_is_scheduled (bh));
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  g_assert_cmpuint (n, ==, 3);
  aio_bh_schedule (bh);
  aio_bh_unref (bh);
}

/* --- With threads ----------------------------------------------------------------------------- */

typedef struct
{
  AioBH *bh;
  atomic_uint n_done;
  guint64 n_seen[N_THREADS];
  guint64 written[N_THREADS];
  guint64 n_runs;
} Flood;

typedef struct
{
  Flood *flood;
  guint number;
} Producer;

/* C2: what was written before a schedule, merged or not, is seen by the run. */
static void
look_at_writes (gpointer data)
{
  Flood *flood = data;

  flood->n_runs++;
  for (guint i = 0; i < N_THREADS; i++)
    flood->n_seen[i] = __atomic_load_n (&flood->written[i], __ATOMIC_RELAXED);
}

static void *
produce (void *data)
{
  Producer *producer = data;
  Flood *flood = producer->flood;

  for (guint64 i = 1; i <= N_SCHEDULES; i++)
    {
      __atomic_store_n (&flood->written[producer->number], i, __ATOMIC_RELAXED);
      aio_bh_schedule (flood->bh);
    }
  atomic_fetch_add (&flood->n_done, 1);
  return NULL;
}

static gboolean
all_done (gpointer data)
{
  return atomic_load (&((Flood *) data)->n_done) == N_THREADS;
}

/* Toggles profiling between the iterations if asked to. */
static AioContextStats
run_flood (gboolean toggle)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Flood flood = { .bh = aio_bh_new (context, look_at_writes, &flood) };
  Producer producers[N_THREADS];
  pthread_t threads[N_THREADS];
  AioContextStats stats;

  aio_context_set_profiling (context, TRUE);
  for (guint i = 0; i < N_THREADS; i++)
    {
      producers[i] = (Producer) { &flood, i };
      threads[i] = thread_start (produce, &producers[i]);
    }
  for (guint i = 1; !all_done (&flood); i++)
    {
      aio_context_poll (context, FALSE);
      if (toggle)
        aio_context_set_profiling (context, i % 2 == 0);
    }
  for (guint i = 0; i < N_THREADS; i++)
    thread_join (threads[i]);
  while (aio_context_poll (context, FALSE))
    ;
  for (guint i = 0; i < N_THREADS; i++)
    g_assert_cmpuint (flood.n_seen[i], ==, N_SCHEDULES);
  stats = get_stats (context);
  g_assert_cmpuint (flood.n_runs, ==, stats.runs);
  aio_bh_delete (flood.bh);
  return stats;
}

static void
test_profile_threads (void)
{
  AioContextStats stats = run_flood (FALSE);

  g_test_summary ("C2, R1: with profiling every schedule of every thread is counted, and every run "
                  "sees what was written before the schedules that merged into it");

  g_assert_cmpuint (stats.schedules, ==, N_THREADS * N_SCHEDULES);
  g_assert_cmpuint (stats.coalesced, ==, N_THREADS * N_SCHEDULES - stats.runs);
  g_assert_cmpuint (sum (stats.latency), ==, stats.runs);
}

static void
test_profile_toggled (void)
{
  g_test_summary ("C2, R1: nothing is lost when profiling is switched under a flood of schedules");

  run_flood (TRUE);
}

/* --- Slow callbacks --------------------------------------------------------------------------- */

typedef struct
{
  GString *what;
  guint n;
  guint n_destroyed;
  AioContext *context;
} Report;

static void
on_slow (AioContext *context,
         const char *what,
         gint64      duration_ns,
         gpointer    data)
{
  Report *report = data;

  g_assert_true (context == report->context);
  /* The clock that burn() looks at has microseconds. */
  g_assert_cmpint (duration_ns, >=, 999 * 1000);
  g_string_append_printf (report->what, "%s;", what);
  report->n++;
}

static void
on_slow_gone (gpointer data)
{
  ((Report *) data)->n_destroyed++;
}

static void
test_slow_names (void)
{
  AioContext *context = aio_context_new_full ("slow one", NULL);
  Report report = { g_string_new (NULL), 0, 0, context };
  AioBH *bh = aio_bh_new_full (context, "the culprit", burn, NULL, NULL);
  AioTimer timer;

  g_test_summary ("C24: a slow callback is reported by name, with its time, whatever its kind");

  aio_context_set_slow_callback (context, 1, on_slow, &report, on_slow_gone);
  aio_timer_init (&timer, context, AIO_CLOCK_MONOTONIC, burn, NULL);
  aio_timer_set_name (&timer, "the clock");
  aio_timer_mod_ns (&timer, 0);
  aio_bh_schedule (bh);
  aio_bh_schedule_oneshot_full (context, "the shot", burn, NULL, NULL);
  while (report.n < 3)
    aio_context_poll (context, FALSE);
  g_assert_cmpstr (report.what->str, ==,
                   "bottom half “the culprit”;one-shot “the shot”;timer “the clock”;");
  g_assert_cmpuint (get_stats (context).slow_callbacks, ==, 3);

  aio_context_set_slow_callback (context, G_MAXINT64, on_slow, &report, on_slow_gone);
  g_assert_cmpuint (report.n_destroyed, ==, 1);
  aio_bh_schedule (bh);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (report.n, ==, 3);
  aio_bh_delete (bh);
  aio_timer_clear (&timer);
  aio_context_unref (context);
  g_assert_cmpuint (report.n_destroyed, ==, 2);
  g_string_free (report.what, TRUE);
}

static void
burn_fd (gpointer data)
{
  on_fd (data);
  burn (NULL);
}

static void
test_slow_fd (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Report report = { g_string_new (NULL), 0, 0, context };
  g_autofree char *expected = NULL;
  int fds[2];

  g_test_summary ("C24: a slow handler is reported by the number of its descriptor");

  open_pipe (fds);
  expected = g_strdup_printf ("handler of descriptor %d;", fds[0]);
  aio_context_set_slow_callback (context, 1, on_slow, &report, NULL);
  aio_context_set_fd_handler (context, fds[0], burn_fd, NULL, &fds[0]);
  put (fds[1]);
  g_assert_true (aio_context_poll (context, TRUE));
  g_assert_cmpstr (report.what->str, ==, expected);
  aio_context_set_fd_handler (context, fds[0], NULL, NULL, NULL);
  close_both (fds);
  g_string_free (report.what, TRUE);
}

static void
test_slow_message (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("talker", NULL);
  AioBH *bh = aio_bh_new_full (context, "the culprit", burn, NULL, NULL);

  g_test_summary ("C24: without a function there is a message, and not one for each");

  aio_context_set_slow_callback (context, 1, NULL, NULL, NULL);
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_MESSAGE,
                         "AioContext “talker”: bottom half “the culprit” took *.* ms");
  for (guint i = 0; i < 3; i++)
    {
      aio_bh_schedule (bh);
      aio_context_poll (context, FALSE);
    }
  g_test_assert_expected_messages ();
  g_assert_cmpuint (get_stats (context).slow_callbacks, ==, 3);

  aio_context_set_slow_callback (context, 0, NULL, NULL, NULL);
  aio_bh_schedule (bh);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (get_stats (context).slow_callbacks, ==, 3);
  aio_bh_delete (bh);
}

static void
on_slow_once (AioContext *context,
              const char *what,
              gint64      duration_ns,
              gpointer    data)
{
  ++*(guint *) data;
  aio_context_set_slow_callback (context, 0, NULL, NULL, NULL);
  aio_context_unref (context);
}

static void
test_slow_ends_itself (void)
{
  AioContext *context = aio_context_new ();
  guint n = 0;

  g_test_summary ("C23: the function may end the report, and drop the last reference");

  aio_context_set_slow_callback (context, 1, on_slow_once, &n, NULL);
  aio_bh_schedule_oneshot (context, burn, NULL);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (n, ==, 1);
}

/* Ends the report: first a call that is further in, then the outer one, which goes on. */
static void
on_slow_replace (AioContext *context,
                 const char *what,
                 gint64      duration_ns,
                 gpointer    data)
{
  Report *report = data;

  if (++report->n == 1)
    aio_context_poll (context, FALSE);
  aio_context_set_slow_callback (context, 0, NULL, NULL, NULL);
  g_assert_cmpuint (report->n_destroyed, ==, 0);
}

static void
test_slow_replaced (void)
{
  AioContext *context = aio_context_new ();
  Report report = { NULL, 0, 0, context };

  g_test_summary ("C23: the data of a function that is replaced by itself ends when it has "
                  "returned");

  aio_context_set_slow_callback (context, 1, on_slow_replace, &report, on_slow_gone);
  aio_bh_schedule_oneshot (context, burn, NULL);
  aio_bh_schedule_oneshot (context, burn, NULL);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (report.n, ==, 2);
  g_assert_cmpuint (report.n_destroyed, ==, 1);
  aio_context_unref (context);
  g_assert_cmpuint (report.n_destroyed, ==, 1);
}

typedef struct
{
  AioContext *context;
  int fd;
  guint n_destroyed;
} Ending;

static void
count_destroyed (gpointer data)
{
  ((Ending *) data)->n_destroyed++;
}

/* What the context has is taken out, what it can still drop is dropped, and the rest refused. */
static void
tidy_up (gpointer data)
{
  Ending *ending = data;
  AioContext *context = ending->context;

  ending->n_destroyed++;
  aio_context_set_fd_handler (context, ending->fd, NULL, NULL, NULL);
  aio_bh_schedule_oneshot_full (context, "too late", burn, ending, count_destroyed);
  aio_context_set_profiling (context, FALSE);
  aio_context_set_wake_log (context, FALSE);
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*set_slow*being finalised*");
  aio_context_set_slow_callback (context, 1, NULL, data, count_destroyed);
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*set_prof*being finalised*");
  aio_context_set_profiling (context, TRUE);
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*set_wake*being finalised*");
  aio_context_set_wake_log (context, TRUE);
  g_test_assert_expected_messages ();
}

static void
test_slow_end (void)
{
  AioContext *other = aio_context_new ();
  Ending ending = { aio_context_new (), 0, 0 };
  AioBH *bh = aio_bh_new (other, burn, NULL);

  g_test_summary ("C8, C23: the report's destroy notify at the end of the context is one like "
                  "others, and other contexts go on being profiled");

  aio_context_set_profiling (other, TRUE);
  aio_context_set_profiling (ending.context, TRUE);
  aio_context_set_slow_callback (ending.context, 1, on_slow, &ending, tidy_up);
  aio_context_unref (ending.context);
  g_assert_cmpuint (ending.n_destroyed, ==, 2);

  for (guint i = 0; i < 5; i++)
    aio_bh_schedule (bh);
  aio_context_poll (other, FALSE);
  g_assert_cmpuint (get_stats (other).coalesced, ==, 4);
  aio_bh_delete (bh);
  aio_context_unref (other);
}

static void
delete_bh (gpointer data)
{
  burn (NULL);
  aio_bh_delete (*(AioBH **) data);
}

/* A handler whose on_write the turn has left, as its on_read has used the budget up. */
typedef struct
{
  int fds[2];
  guint n_destroyed;
} Unwanted;

static void
on_slow_unwanted (AioContext *context,
                  const char *what,
                  gint64      ran_ns,
                  gpointer    data)
{
  Unwanted *unwanted = data;

  aio_context_set_fd_handler (context, unwanted->fds[0], NULL, NULL, NULL);
}

static void
on_unwanted_read (gpointer data)
{
  burn (NULL);
}

static void
on_unwanted_gone (gpointer data)
{
  Unwanted *unwanted = data;

  unwanted->n_destroyed++;
}

static void
test_slow_removed (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Unwanted unwanted = { .n_destroyed = 0 };

  g_test_summary ("C20, C21: the function for slow callbacks may remove the handler that was slow, "
                  "also between its two callbacks: then its data ends");
  open_pair (unwanted.fds);
  put (unwanted.fds[1]);
  aio_context_set_budget (context, 1, 0);
  aio_context_set_slow_callback (context, 1, on_slow_unwanted, &unwanted, NULL);
  aio_context_set_fd_handler_full (context, unwanted.fds[0], on_unwanted_read, on_unwanted_read,
                                   NULL, NULL, &unwanted, on_unwanted_gone, NULL);
  g_assert_true (aio_context_dispatch (context));
  g_assert_cmpuint (unwanted.n_destroyed, ==, 1);
  close_both (unwanted.fds);
}

static void
test_slow_deleted (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Report report = { g_string_new (NULL), 0, 0, context };
  AioBH *bh;

  g_test_summary ("C7, R9: one that deletes itself is reported all the same, profiled or not");

  aio_context_set_slow_callback (context, 1, on_slow, &report, NULL);
  for (guint i = 0; i < 2; i++)
    {
      aio_context_set_profiling (context, i != 0);
      bh = aio_bh_new_full (context, "gone", delete_bh, &bh, NULL);
      aio_bh_schedule (bh);
      aio_context_poll (context, FALSE);
    }
  g_assert_cmpstr (report.what->str, ==, "bottom half “gone”;bottom half “gone”;");
  g_string_free (report.what, TRUE);
}

/* --- Why it woke ------------------------------------------------------------------------------ */

static AioWake
last_wake (AioContext *context)
{
  AioWake wake = { 0, AIO_WAKE_OTHER, -1, NULL };

  g_assert_cmpuint (aio_context_get_wakes (context, &wake, 1), ==, 1);
  return wake;
}

/* Between the two a foreign loop would sleep. */
static void
fall_asleep (AioContext *context)
{
  g_assert_cmpint (aio_context_get_timeout_ns (context), !=, 0);
}

static void
test_wakes_reasons (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  guint n = 0;
  AioBH *bh = aio_bh_new_full (context, "bell", count, &n, NULL);
  AioTimer timer;
  int fds[2];

  g_test_summary ("C14: the log tells why the context was woken; of several reasons a descriptor "
                  "is named first, for it is the one that nobody in the process has caused");

  open_pipe (fds);
  aio_context_set_wake_log (context, TRUE);
  aio_timer_init (&timer, context, AIO_CLOCK_VIRTUAL, count, &n);
  aio_timer_set_name (&timer, "alarm");

  fall_asleep (context);
  aio_bh_schedule (bh);
  aio_context_dispatch (context);
  g_assert_cmpint (last_wake (context).reason, ==, AIO_WAKE_BH);
  g_assert_cmpstr (last_wake (context).name, ==, "bell");
  g_assert_cmpint (last_wake (context).fd, ==, -1);

  fall_asleep (context);
  aio_timer_mod_ns (&timer, 0);
  aio_context_dispatch (context);
  g_assert_cmpint (last_wake (context).reason, ==, AIO_WAKE_TIMER);
  g_assert_cmpstr (last_wake (context).name, ==, "alarm");

  fall_asleep (context);
  aio_context_notify (context);
  aio_context_dispatch (context);
  g_assert_cmpint (last_wake (context).reason, ==, AIO_WAKE_NOTIFY);

  fall_asleep (context);
  aio_context_dispatch (context);
  g_assert_cmpint (last_wake (context).reason, ==, AIO_WAKE_OTHER);

  aio_context_set_fd_handler (context, fds[0], on_fd, NULL, &fds[0]);
  aio_context_dispatch (context);
  put (fds[1]);
  g_assert_true (aio_context_poll (context, TRUE));
  g_assert_cmpint (last_wake (context).reason, ==, AIO_WAKE_FD);
  g_assert_cmpint (last_wake (context).fd, ==, fds[0]);
  g_assert_cmpint (last_wake (context).time_ns, <=, g_get_monotonic_time () * 1000 + 999);

  fall_asleep (context);
  aio_bh_schedule (bh);
  put (fds[1]);
  g_assert_true (aio_context_dispatch (context));
  g_assert_cmpint (last_wake (context).reason, ==, AIO_WAKE_FD);

  g_assert_cmpuint (n, ==, 3);
  aio_context_set_fd_handler (context, fds[0], NULL, NULL, NULL);
  aio_timer_clear (&timer);
  aio_bh_delete (bh);
  close_both (fds);
}

static void
test_wakes_ring (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  guint n = 0;
  AioBH *bhs[3];
  AioWake wakes[100];

  g_test_summary ("C14: the last 64 are kept, the latest first; none while it is off");

  for (guint i = 0; i < 3; i++)
    bhs[i] = aio_bh_new_full (context, (const char *[]) { "a", "b", "c" }[i], count, &n, NULL);
  g_assert_cmpuint (aio_context_get_wakes (context, wakes, 100), ==, 0);
  aio_context_set_wake_log (context, TRUE);
  g_assert_cmpuint (aio_context_get_wakes (context, wakes, 100), ==, 0);
  for (guint i = 0; i < 80; i++)
    {
      fall_asleep (context);
      aio_bh_schedule (bhs[i % 3]);
      aio_context_dispatch (context);
    }
  g_assert_cmpuint (aio_context_get_wakes (context, wakes, 2), ==, 2);
  g_assert_cmpuint (aio_context_get_wakes (context, wakes, 100), ==, 64);
  for (guint i = 0; i < 64; i++)
    {
      g_assert_cmpstr (wakes[i].name, ==, aio_bh_get_name (bhs[(79 - i) % 3]));
      g_assert_true (i == 0 || wakes[i].time_ns <= wakes[i - 1].time_ns);
    }
  aio_context_set_wake_log (context, FALSE);
  g_assert_cmpuint (aio_context_get_wakes (context, wakes, 100), ==, 0);
  for (guint i = 0; i < 3; i++)
    aio_bh_delete (bhs[i]);
}

static gboolean
on_other_source (gpointer data)
{
  return G_SOURCE_REMOVE;
}

static void
test_wakes_glib (void)
{
  g_autoptr (GMainContext) main_context = g_main_context_new ();
  g_autoptr (AioContext) context = aio_context_new ();
  g_autoptr (GSource) other = g_timeout_source_new (1);
  guint n = 0;
  AioTimer timer;

  g_test_summary ("C14, C18: under a GMainContext, too; a wakeup for another source is told apart");

  aio_context_set_wake_log (context, TRUE);
  aio_context_attach (context, main_context);
  aio_timer_init (&timer, context, AIO_CLOCK_MONOTONIC, count, &n);
  aio_timer_mod_ns (&timer, aio_context_get_time_ns (context, AIO_CLOCK_MONOTONIC) + MSEC);
  while (n == 0)
    g_main_context_iteration (main_context, TRUE);
  g_assert_cmpint (last_wake (context).reason, ==, AIO_WAKE_TIMER);
  g_assert_nonnull (last_wake (context).name);

  g_source_set_callback (other, on_other_source, NULL, NULL);
  g_source_attach (other, main_context);
  while (!g_source_is_destroyed (other))
    g_main_context_iteration (main_context, TRUE);
  g_assert_cmpint (last_wake (context).reason, ==, AIO_WAKE_OTHER);

  aio_timer_clear (&timer);
  aio_context_detach (context);
}

/* --- Misuse ----------------------------------------------------------------------------------- */

static void
test_misuse (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("misused", NULL);

  g_test_summary ("C28: NULL and negative numbers are critical warnings, and change nothing");

  expect_critical ("*misused*-1*");
  aio_context_set_slow_callback (context, -1, NULL, NULL, NULL);
  expect_critical ("*context != NULL*");
  aio_context_set_profiling (NULL, TRUE);
  expect_critical ("*context != NULL*");
  g_assert_false (aio_context_get_profiling (NULL));
  expect_critical ("*context != NULL*");
  aio_context_set_wake_log (NULL, TRUE);
  expect_critical ("*wakes != NULL*");
  g_assert_cmpuint (aio_context_get_wakes (context, NULL, 1), ==, 0);
  expect_critical ("*timer != NULL*");
  aio_timer_set_name (NULL, "x");
  g_test_assert_expected_messages ();
  g_assert_cmpuint (aio_context_get_wakes (context, NULL, 0), ==, 0);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);

  aio_test_add ("/measure/profile/off", test_profile_off);
  aio_test_add ("/measure/profile/counts", test_profile_counts);
  aio_test_add ("/measure/profile/kinds", test_profile_kinds);
  aio_test_add ("/measure/profile/buckets", test_profile_buckets);
  aio_test_add ("/measure/profile/switch", test_profile_switch);
  aio_test_add ("/measure/profile/meaning", test_profile_meaning);
  aio_test_add ("/measure/profile/threads", test_profile_threads);
  aio_test_add ("/measure/profile/toggled", test_profile_toggled);
  aio_test_add ("/measure/slow/names", test_slow_names);
  aio_test_add ("/measure/slow/fd", test_slow_fd);
  aio_test_add ("/measure/slow/message", test_slow_message);
  aio_test_add ("/measure/slow/ends-itself", test_slow_ends_itself);
  aio_test_add ("/measure/slow/replaced", test_slow_replaced);
  aio_test_add ("/measure/slow/end", test_slow_end);
  aio_test_add ("/measure/slow/deleted", test_slow_deleted);
  aio_test_add ("/measure/slow/removed", test_slow_removed);
  aio_test_add ("/measure/wakes/reasons", test_wakes_reasons);
  aio_test_add ("/measure/wakes/ring", test_wakes_ring);
  aio_test_add ("/measure/wakes/glib", test_wakes_glib);
  aio_test_add ("/measure/misuse", test_misuse);
  return g_test_run ();
}
