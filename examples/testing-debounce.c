/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How to test a debounce: code that waits until things have been quiet for a while. */
#include <aioctx-gsource/testing/aio-testing.h>

#define MSEC G_GINT64_CONSTANT (1000000)
#define SEC  (1000 * MSEC)

/* --- The code under test ---------------------------------------------------------------------- */

/* Saves a document half a second after the last change, and five seconds after the first one at the
 * latest. Any thread may schedule "changed", as often as it likes. */
typedef struct
{
  AioContext *context;
  AioBH *changed;
  AioTimer timer;
  gint64 latest;                /* valid while the timer is armed */
  guint n_saves;
} Saver;

static void
on_changed (gpointer data)
{
  Saver *saver = data;
  gint64 now = aio_context_get_time_ns (saver->context, AIO_CLOCK_MONOTONIC);

  if (!aio_timer_pending (&saver->timer))
    saver->latest = now + 5 * SEC;
  aio_timer_mod_ns (&saver->timer, MIN (now + 500 * MSEC, saver->latest));
}

static void
on_quiet (gpointer data)
{
  Saver *saver = data;

  saver->n_saves++;
}

static void
saver_init (Saver      *saver,
            AioContext *context)
{
  saver->context = context;
  saver->n_saves = 0;
  saver->changed = aio_bh_new (context, on_changed, saver);
  aio_timer_init (&saver->timer, context, AIO_CLOCK_MONOTONIC, on_quiet, saver);
}

static void
saver_clear (Saver *saver)
{
  aio_bh_delete (saver->changed);
  aio_timer_clear (&saver->timer);
}

/* --- Its tests -------------------------------------------------------------------------------- */

/* Ten changes, 100 ms apart: nothing is saved until it has been quiet for half a second. */
static void
test_burst (AioTestingFixture *fixture,
            gconstpointer      data)
{
  Saver saver;

  saver_init (&saver, fixture->context);
  for (int i = 0; i < 10; i++)
    {
      aio_bh_schedule (saver.changed);
      aio_testing_advance_ns (fixture->context, 100 * MSEC);
    }
  g_assert_cmpuint (saver.n_saves, ==, 0);
  aio_testing_advance_ns (fixture->context, 400 * MSEC - 1);
  g_assert_cmpuint (saver.n_saves, ==, 0);
  aio_testing_advance_ns (fixture->context, 1);
  g_assert_cmpuint (saver.n_saves, ==, 1);

  g_assert_false (aio_testing_advance_to_next (fixture->context));
  saver_clear (&saver);
}

/* Schedules before a run merge into it. */
static void
test_merge (AioTestingFixture *fixture,
            gconstpointer      data)
{
  AioTestingCounters counters;
  Saver saver;

  saver_init (&saver, fixture->context);
  for (int i = 0; i < 1000; i++)
    aio_bh_schedule (saver.changed);
  aio_testing_assert_scheduled (saver.changed);
  g_assert_cmpuint (aio_testing_run_until_idle (fixture->context, 1), ==, 1);
  aio_testing_assert_not_scheduled (saver.changed);

  aio_testing_get_counters (fixture->context, &counters, sizeof counters);
  g_assert_cmpuint (counters.runs, ==, 1);
  saver_clear (&saver);
}

/* Somebody types for a minute and never stops for long: it is saved all the same. */
static void
test_latest (AioTestingFixture *fixture,
             gconstpointer      data)
{
  Saver saver;

  saver_init (&saver, fixture->context);
  while (aio_context_get_time_ns (fixture->context, AIO_CLOCK_MONOTONIC) < 60 * SEC)
    {
      aio_bh_schedule (saver.changed);
      aio_testing_advance_ns (fixture->context, 250 * MSEC);
    }
  g_assert_cmpuint (saver.n_saves, >=, 11);
  saver_clear (&saver);
}

/* The program was held up for ten seconds between a change and the next: one save, not two. */
static void
test_stall (AioTestingFixture *fixture,
            gconstpointer      data)
{
  Saver saver;

  saver_init (&saver, fixture->context);
  aio_bh_schedule (saver.changed);
  aio_testing_run_until_idle (fixture->context, 1);
  aio_testing_stall_ns (fixture->context, 10 * SEC);
  aio_bh_schedule (saver.changed);
  aio_testing_advance_ns (fixture->context, 10 * SEC);
  g_assert_cmpuint (saver.n_saves, ==, 1);
  saver_clear (&saver);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_testing_add ("/debounce/burst", NULL, test_burst);
  aio_testing_add ("/debounce/merge", NULL, test_merge);
  aio_testing_add ("/debounce/latest", NULL, test_latest);
  aio_testing_add ("/debounce/stall", NULL, test_stall);
  return g_test_run ();
}
