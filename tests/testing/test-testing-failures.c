/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The g_test kit: each way to fail, and what it says then. The cases named "subprocess" fail; each
 * is run by a case that reads its message. */
#include "testing-test.h"

/* Left over on purpose: children of a trap end by abort(). */
static AioContext *context;
static guint n;
static AioTimer timer;

static void
begin (void)
{
  context = aio_testing_context_new ();
}

/* --- Busy for ever ---------------------------------------------------------------------------- */

static AioBH *again_bh;

static void
again (gpointer data)
{
  aio_bh_schedule (again_bh);
}

static void
again_idle (gpointer data)
{
  aio_bh_schedule_idle (again_bh);
}

static void
again_post (gpointer data)
{
  aio_context_post (context, again_post, NULL, NULL);
}

static void
again_oneshot (gpointer data)
{
  aio_bh_schedule_oneshot (context, again_oneshot, NULL);
}

static void
again_timer (gpointer data)
{
  aio_timer_mod_ns (&timer, 0);
}

static void
leave_it (gpointer data)
{
}

static void
busy_bh (void)
{
  begin ();
  again_bh = aio_bh_new (context, again, NULL);
  aio_bh_schedule (again_bh);
  aio_bh_new (context, leave_it, NULL);
  aio_testing_run_until_idle (context, 10);
}

static void
busy_idle (void)
{
  begin ();
  again_bh = aio_bh_new (context, again_idle, NULL);
  aio_bh_schedule_idle (again_bh);
  aio_testing_run_until_idle (context, 1);
}

static void
busy_post (void)
{
  begin ();
  again_post (NULL);
  again_oneshot (NULL);
  aio_testing_set_shuffle (context, 99);
  aio_testing_run_until_idle (context, 10);
}

static void
busy_fd (void)
{
  int fds[2];

  begin ();
  g_assert_cmpint (pipe (fds), ==, 0);
  g_assert_cmpint (dup2 (fds[0], 77), ==, 77);
  g_assert_cmpint (write (fds[1], "x", 1), ==, 1);
  aio_context_set_fd_handler (context, 77, leave_it, NULL, NULL);
  aio_testing_run_until_idle (context, 10);
}

static void
busy_timer (void)
{
  begin ();
  aio_timer_init (&timer, context, AIO_CLOCK_MONOTONIC, again_timer, NULL);
  aio_timer_mod_ns (&timer, 0);
  aio_testing_advance_ns (context, 1);
}

static void
every_ns (gpointer data)
{
  aio_timer_mod_ns (&timer, aio_context_get_time_ns (context, AIO_CLOCK_VIRTUAL) + 1);
}

static void
endless (void)
{
  begin ();
  aio_timer_init (&timer, context, AIO_CLOCK_MONOTONIC, every_ns, NULL);
  aio_timer_mod_ns (&timer, 1);
  aio_testing_run_until (context, is_set, &n, -1);
}

static void
patience (void)
{
  begin ();
  g_setenv ("AIO_TESTING_PATIENCE_MS", "20", TRUE);
  aio_testing_run_until (context, is_set, &n, -1);
}

/* --- Not clean -------------------------------------------------------------------------------- */

static void
left_over (void)
{
  begin ();
  aio_bh_schedule (aio_bh_new_full (context, "busy one", count_run, &n, NULL));
  aio_bh_schedule_idle (aio_bh_new_full (context, "lazy one", count_run, &n, NULL));
  aio_bh_new_full (context, "quiet one", count_run, &n, NULL);
  aio_bh_delete (aio_bh_new_full (context, "dead one", count_run, &n, NULL));
  aio_bh_schedule_oneshot_full (context, "shot", count_run, &n, NULL);
  aio_context_post (context, count_run, &n, NULL);
  aio_context_set_fd_handler (context, 0, leave_it, NULL, NULL);
  aio_timer_new (context, AIO_CLOCK_MONOTONIC, (AioTimerFunc) (void (*) (void)) aio_bh_schedule,
                 NULL, NULL);
  aio_timer_init (&timer, context, AIO_CLOCK_REALTIME, count_run, &n);
  aio_timer_mod_ns (&timer, 4711);
  aio_testing_assert_clean (context);
}

static void
left_named_timer (void)
{
  begin ();
  aio_timer_init (&timer, context, AIO_CLOCK_MONOTONIC, count_run, &n);
  aio_timer_set_name (&timer, "kettle");
  aio_timer_mod_ns (&timer, 815);
  aio_testing_assert_clean (context);
}

static void
left_attached (void)
{
  begin ();
  aio_context_attach (context, NULL);
  aio_testing_assert_clean (context);
}

static void
left_referenced (AioTestingFixture *fixture,
                 gconstpointer      data)
{
  g_test_summary ("Run by another case");

  if (!g_test_subprocess ())
    return;
  aio_context_ref (fixture->context);
}

static void
left_in_fixture (AioTestingFixture *fixture,
                 gconstpointer      data)
{
  g_test_summary ("Run by another case");

  if (!g_test_subprocess ())
    return;
  aio_bh_new_full (fixture->context, "forgotten", count_run, &n, NULL);
}

/* --- Scheduled or not ------------------------------------------------------------------------- */

static void
not_scheduled (void)
{
  begin ();
  aio_testing_assert_scheduled (aio_bh_new_full (context, "flush", count_run, &n, NULL));
}

static void
scheduled (void)
{
  AioBH *bh;

  begin ();
  bh = aio_bh_new_full (context, "flush", count_run, &n, NULL);
  aio_bh_schedule (bh);
  aio_testing_assert_not_scheduled (bh);
}

static void
without_macro (void)
{
  begin ();
  (aio_testing_assert_scheduled) (aio_bh_new_full (context, "flush", count_run, &n, NULL));
}

/* --- Misuse ----------------------------------------------------------------------------------- */

static void
not_a_testing_context (void)
{
  aio_testing_context_new ();
  aio_testing_advance_ns (aio_context_new_full ("plain", NULL), 1);
}

static void *
advance_in_thread (void *unused)
{
  aio_testing_advance_ns (context, 1);
  return NULL;
}

static void
start_thread (gpointer unused)
{
  pthread_t thread;

  g_assert_cmpint (pthread_create (&thread, NULL, advance_in_thread, NULL), ==, 0);
  pthread_join (thread, NULL);
}

static void
wrong_thread (void)
{
  begin ();
  aio_context_post (context, start_thread, NULL, NULL);
  aio_testing_run_until_idle (context, 1);
}

/* --- The cases -------------------------------------------------------------------------------- */

typedef struct
{
  const char *name;
  void (*func) (void);
  const char *message;          /* a pattern; quotation marks come as ? where the locale is C */
} Failure;

#define HERE "*test-testing-failures.c:*"

static const Failure failures[] = {
  { "busy-bh", busy_bh,
    HERE "busy_bh: AioContext ?/testing/failures/busy-bh/subprocess? is still busy after 10 "
    "iterations: bottom half ?again? (scheduled)\n*" },
  { "busy-idle", busy_idle,
    HERE "busy_idle: *busy after 1 iteration: bottom half ?again_idle? (scheduled as idle)*" },
  { "busy-post", busy_post,
    HERE "busy_post: *: *one-shot ?again_oneshot?* (shuffled with seed 99)\n*" },
  { "busy-post-too", busy_post,
    HERE "busy_post: *: *a post* (shuffled with seed 99)\n*" },
  { "busy-fd", busy_fd, HERE "busy_fd: *: descriptor 77 (ready)\n*" },
  { "busy-timer", busy_timer,
    HERE "busy_timer: *still busy after 100000 iterations: timer 0x* (armed for 0 ns)\n*" },
  { "endless", endless,
    HERE "endless: *has moved its clock 1000000 times, to 100000? ns, and the condition does not "
    "hold; there is timer 0x*" },
  { "patience", patience,
    HERE "patience: *has nothing to do, the condition does not hold, and nothing has come from "
    "outside for 20 ms\n*" },
  { "left-over", left_over, HERE "left_over: *is not clean, there is: *" },
  { "left-over-bhs", left_over,
    "*bottom half ?quiet one?, bottom half ?lazy one? (scheduled as idle), bottom half ?busy one? "
    "(scheduled)*" },
  { "left-over-oneshot", left_over, "*, one-shot ?shot?, a post, *" },
  { "left-over-fd", left_over, "*, descriptor 0,*" },
  { "left-over-timer", left_over, "*, timer 0x* (armed for 4711 ns)*" },
  { "left-over-heap-timer", left_over, "*, timer 0x* (calls aio_bh_schedule, not armed)*" },
  { "left-over-named-timer", left_named_timer, "*there is: timer ?kettle? (armed for 815 ns)*" },
  { "left-attached", left_attached,
    HERE "left_attached: *is not clean, it is attached to a GMainContext\n*" },
  { "not-scheduled", not_scheduled,
    HERE "not_scheduled: bottom half ?flush? is not scheduled\n*" },
  { "scheduled", scheduled, HERE "scheduled: bottom half ?flush? is scheduled\n*" },
  { "without-macro", without_macro,
    "*aio-testing:0:aio_testing_assert_scheduled: bottom half ?flush? is not scheduled\n*" },
  { "not-testing", not_a_testing_context,
    "*aio_testing_advance_ns: AioContext ?plain? was not made by aio_testing_context_new()*" },
  { "wrong-thread", wrong_thread,
    "*aio_testing_advance_ns: AioContext ?/testing/*? is iterated by another thread*" },
};

static void
run_failing (gconstpointer data)
{
  const Failure *failure = data;

  if (g_test_subprocess ())
    failure->func ();
}

static void
trap (const char *path,
      const char *message)
{
  g_test_trap_subprocess (path, 0, 0);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr (message);
}

static void
run_trap (gconstpointer data)
{
  const Failure *failure = data;
  g_autofree char *path = g_strdup_printf ("/testing/failures/%s/subprocess", failure->name);

  g_test_summary ("C28: a failure says what is wrong by name, and where the test has asked");

  trap (path, failure->message);
}

static void
test_fixture (void)
{
  g_test_summary ("At the end of a fixture nothing may be left, and nobody may hold the context");

  trap ("/testing/failures/fixture/left/subprocess",
        "*aio_testing_*?/testing/failures/fixture/left/subprocess? is not clean, there is: bottom "
        "half ?forgotten?\n*");
  trap ("/testing/failures/fixture/referenced/subprocess",
        "*is not gone, others hold 1 reference to it\n*");
}

/* Two failures of one case, without aborting. */
static void
test_nonfatal (void)
{
  g_test_summary ("g_test_set_nonfatal_assertions(): a failure is noted, and the test goes on");

  if (g_test_subprocess ())
    {
      g_test_set_nonfatal_assertions ();
      begin ();
      again_bh = aio_bh_new (context, again, NULL);
      aio_bh_schedule (again_bh);
      g_assert_cmpuint (aio_testing_run_until_idle (context, 3), ==, 3);
      aio_testing_assert_clean (context);
      aio_bh_delete (again_bh);
      aio_testing_assert_clean (context);
      aio_context_unref (context);
      g_printerr ("went on\n");
      return;
    }
  trap (NULL, "*still busy after 3 iterations*is not clean*went on\n*");
}

/* What is left over from the macro is not used twice. */
static void
test_place (void)
{
  g_test_summary ("The place that a message names is that of its own call");

  if (g_test_subprocess ())
    {
      AioBH *bh;

      begin ();
      bh = aio_bh_new_full (context, "flush", count_run, &n, NULL);
      aio_testing_assert_not_scheduled (bh);
      (aio_testing_assert_scheduled) (bh);
      return;
    }
  trap (NULL, "*aio-testing:0:aio_testing_assert_scheduled: *");
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_main_context_default ();
  for (guint i = 0; i < G_N_ELEMENTS (failures); i++)
    {
      g_autofree char *path = g_strdup_printf ("/testing/failures/%s", failures[i].name);
      g_autofree char *inner = g_strdup_printf ("%s/subprocess", path);

      g_test_add_data_func (path, &failures[i], run_trap);
      g_test_add_data_func (inner, &failures[i], run_failing);
    }
  aio_testing_add ("/testing/failures/fixture/left/subprocess", NULL, left_in_fixture);
  aio_testing_add ("/testing/failures/fixture/referenced/subprocess", NULL, left_referenced);
  aio_test_add ("/testing/failures/fixture", test_fixture);
  aio_test_add ("/testing/failures/nonfatal", test_nonfatal);
  aio_test_add ("/testing/failures/place", test_place);
  return g_test_run ();
}
