/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bottom halves that end with an object, whatever thread drops its last reference. */
#include "invoke-test.h"
#include <sys/wait.h>

/* An object that knows whether it lives; others may look at it when it does not. */
typedef struct
{
  atomic_bool alive;
  atomic_uint n_runs;
  atomic_uint n_destroyed;
  pthread_t ended_in;
  Gate *dispose_gate;           /* where its disposal stops; NULL: nowhere */
} Record;

typedef struct
{
  GObject parent;
  Record *record;
} Thing;

typedef GObjectClass ThingClass;

GType thing_get_type (void);

G_DEFINE_TYPE (Thing, thing, G_TYPE_OBJECT)

static void
thing_init (Thing *thing)
{
}

static void
thing_dispose (GObject *object)
{
  Thing *thing = (Thing *) object;

  if (thing->record->dispose_gate != NULL)
    gate_pass (thing->record->dispose_gate);
  G_OBJECT_CLASS (thing_parent_class)->dispose (object);
}

static void
thing_finalize (GObject *object)
{
  Thing *thing = (Thing *) object;

  thing->record->ended_in = pthread_self ();
  atomic_store (&thing->record->alive, FALSE);
  G_OBJECT_CLASS (thing_parent_class)->finalize (object);
}

static void
thing_class_init (ThingClass *klass)
{
  klass->dispose = thing_dispose;
  klass->finalize = thing_finalize;
}

static GObject *
thing_new (Record *record)
{
  Thing *thing = g_object_new (thing_get_type (), NULL);

  *record = (Record) { TRUE, 0, 0, 0, NULL };
  thing->record = record;
  return (GObject *) thing;
}

static void
count_run (gpointer object)
{
  Thing *thing = object;

  g_assert_true (atomic_load (&thing->record->alive));
  atomic_fetch_add (&thing->record->n_runs, 1);
}

static void
count_run_of (gpointer data)
{
  Record *record = data;

  g_assert_true (atomic_load (&record->alive));
  atomic_fetch_add (&record->n_runs, 1);
}

static void
count_destroyed (gpointer data)
{
  Record *record = data;

  atomic_fetch_add (&record->n_destroyed, 1);
}

static void *
drop (void *object)
{
  g_object_unref (object);
  return NULL;
}

/* ---- The object lives ---- */

static void
test_runs (void)
{
  AioContext *context = aio_context_new ();
  Record record;
  GObject *object = thing_new (&record);
  AioBH *bh = aio_bh_new_for_object (context, count_run, object);

  g_test_summary ("C32: while the object lives it is a bottom half as any other, named after the "
                  "type; it holds no reference");
  g_assert_cmpuint (object->ref_count, ==, 1);
  g_assert_cmpstr (aio_bh_get_name (bh), ==, "Thing");
  aio_bh_schedule (bh);
  g_assert_true (aio_context_poll (context, TRUE));
  aio_bh_schedule_idle (bh);
  aio_bh_poll (context);
  g_assert_cmpuint (record.n_runs, ==, 2);
  g_assert_cmpuint (object->ref_count, ==, 1);
  aio_bh_delete (bh);
  g_object_unref (object);
  g_assert_false (record.alive);
  aio_context_unref (context);
}

static void
test_deleted_first (void)
{
  AioContext *context = aio_context_new ();
  Record record;
  GObject *object = thing_new (&record);
  guint i;

  g_test_summary ("C32, C7: it may be deleted before the object ends, which then means nothing");
  for (i = 1; i <= 100; i++)
    {
      AioBH *bh = aio_bh_new_for_object_full (context, "named", object, count_run_of, &record,
                                              count_destroyed);

      g_assert_cmpstr (aio_bh_get_name (bh), ==, "named");
      aio_bh_schedule (bh);
      aio_bh_delete (bh);
      g_assert_cmpuint (record.n_destroyed, ==, i);
    }
  g_object_unref (object);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (record.n_runs, ==, 0);
  g_assert_cmpuint (record.n_destroyed, ==, 100);
  aio_context_unref (context);
}

/* ---- The object ends ---- */

static void
run_object_ends (gboolean elsewhere)
{
  AioContext *context = aio_context_new ();
  Record record;
  GObject *object = thing_new (&record);
  AioBH *bhs[3];
  guint i;

  aio_context_poll (context, FALSE);
  for (i = 0; i < 3; i++)
    {
      bhs[i] = aio_bh_ref (aio_bh_new_for_object_full (context, NULL, object, count_run_of, &record,
                                                       count_destroyed));
      aio_bh_schedule (bhs[i]);
    }
  if (elsewhere)
    thread_run (drop, object);
  else
    g_object_unref (object);
  for (i = 0; i < 3; i++)
    {
      g_assert_false (aio_bh_is_scheduled (bhs[i]));
      aio_bh_schedule (bhs[i]);
    }
  g_assert_cmpuint (record.n_destroyed, ==, elsewhere ? 0 : 3);
  g_assert_false (aio_context_poll (context, FALSE));
  g_assert_cmpuint (record.n_destroyed, ==, 3);
  g_assert_cmpuint (record.n_runs, ==, 0);
  for (i = 0; i < 3; i++)
    aio_bh_unref (bhs[i]);
  aio_context_unref (context);
}

static void
test_object_ends (void)
{
  g_test_summary ("C32, C7: when the object ends, its bottom halves are dead and do not run, "
                  "scheduled or not");
  run_object_ends (FALSE);
}

static void
test_object_ends_elsewhere (void)
{
  g_test_summary ("C32, C7: so when it ends in another thread; the destroy notifies then run in "
                  "the next pass");
  run_object_ends (TRUE);
}

static void
test_being_disposed (void)
{
  AioContext *context = aio_context_new ();
  Gate gate = GATE_INIT;
  Record record;
  GObject *object = thing_new (&record);
  AioBH *bh = aio_bh_new_for_object (context, count_run, object);
  pthread_t thread;

  g_test_summary ("C32: once the last reference has gone in another thread there is no run any "
                  "more, while the disposal is still going on");
  record.dispose_gate = &gate;
  thread = thread_start (drop, object);
  gate_wait_reached (&gate);
  aio_bh_schedule (bh);
  aio_context_poll (context, TRUE);
  g_assert_cmpuint (record.n_runs, ==, 0);
  gate_open (&gate);
  thread_join (thread);
  aio_context_poll (context, FALSE);
  aio_context_unref (context);
}

static void
test_disposed (void)
{
  AioContext *context = aio_context_new ();
  Record record;
  GObject *object = thing_new (&record);
  AioBH *bh;

  g_test_summary ("C32: an object that was disposed of counts as gone, though it is referenced");
  aio_bh_schedule (aio_bh_new_for_object (context, count_run, object));
  g_object_run_dispose (object);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (record.n_runs, ==, 0);

  /* Like any weak notify, a new one waits for the next time. */
  bh = aio_bh_new_for_object (context, count_run, object);
  aio_bh_schedule (bh);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (record.n_runs, ==, 1);
  aio_bh_schedule (bh);
  g_object_unref (object);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (record.n_runs, ==, 1);
  aio_context_unref (context);
}

/* ---- It ends while its callback runs ---- */

typedef struct
{
  Record record;
  GObject *object;
  AioBH *bh;
  gboolean elsewhere;
} Ending;

static void
end_inside (gpointer data)
{
  Ending *ending = data;

  if (ending->elsewhere)
    thread_run (drop, ending->object);
  else
    g_object_unref (ending->object);
  g_assert_true (atomic_load (&ending->record.alive));
  aio_bh_schedule (ending->bh);
  count_run_of (&ending->record);
}

static void
ending_destroyed (gpointer data)
{
  Ending *ending = data;

  count_destroyed (&ending->record);
}

static void
test_ends_in_run (void)
{
  AioContext *context = aio_context_new ();
  guint i;

  g_test_summary ("C32: the object lives until the callback has returned, and then ends in the "
                  "home thread, whoever dropped the last reference meanwhile");
  for (i = 0; i < 2; i++)
    {
      Ending ending = { .elsewhere = i != 0 };

      ending.object = thing_new (&ending.record);
      ending.bh = aio_bh_new_for_object_full (context, NULL, ending.object, end_inside, &ending,
                                              ending_destroyed);
      aio_bh_schedule (ending.bh);
      aio_context_poll (context, TRUE);
      g_assert_false (ending.record.alive);
      g_assert_true (pthread_equal (ending.record.ended_in, pthread_self ()));
      aio_context_poll (context, FALSE);
      g_assert_cmpuint (ending.record.n_runs, ==, 1);
      g_assert_cmpuint (ending.record.n_destroyed, ==, 1);
    }
  aio_context_unref (context);
}

/* ---- Races ---- */

typedef struct
{
  AioBH *bh;
  GObject *object;
  guint spins;
} Race;

static void *
schedule_and_drop (void *data)
{
  Race *race = data;
  guint i;

  for (i = 0; i < 10; i++)
    aio_bh_schedule (race->bh);
  for (i = 0; i < race->spins; i++)
    atomic_thread_fence (memory_order_seq_cst);
  g_object_unref (race->object);
  for (i = 0; i < 10; i++)
    aio_bh_schedule (race->bh);
  aio_bh_unref (race->bh);
  return NULL;
}

static gboolean
is_destroyed (gpointer data)
{
  Record *record = data;

  return atomic_load (&record->n_destroyed) != 0;
}

/* Half of the time the home thread deletes the bottom half at the same moment. */
static void
race_once (AioContext *context,
           gboolean    delete_too)
{
  Record record;
  GObject *object = thing_new (&record);
  AioBH *bh = aio_bh_new_for_object_full (context, NULL, object, count_run_of, &record,
                                          count_destroyed);
  Race race = { aio_bh_ref (bh), object, (guint) g_test_rand_int_range (0, 3000) };
  pthread_t thread;

  aio_bh_ref (bh);
  thread = thread_start (schedule_and_drop, &race);
  aio_context_poll (context, FALSE);
  if (delete_too)
    aio_bh_delete (bh);
  aio_context_poll_until (context, is_destroyed, &record, -1);
  thread_join (thread);
  aio_context_poll (context, FALSE);
  g_assert_false (record.alive);
  g_assert_cmpuint (record.n_destroyed, ==, 1);
  aio_bh_unref (bh);
}

static void
test_races (void)
{
  AioContext *context = aio_context_new ();
  guint n = g_test_thorough () ? 50000 : 2000;
  guint i;

  g_test_summary ("C32: while one thread schedules and drops the object, and the home thread runs "
                  "and deletes, no callback meets a dead object, and each destroy notify comes "
                  "once");
  for (i = 0; i < n; i++)
    {
      race_once (context, i % 2 != 0);
      aio_test_moved ();
    }
  aio_context_unref (context);
}

/* ---- Other orders of ending ---- */

static void
test_context_ends_first (void)
{
  AioContext *context = aio_context_new_full ("shortlived", NULL);
  Record record;
  GObject *object = thing_new (&record);

  g_test_summary ("C32, C24: one that is still there at the end of its context is reported; the "
                  "object may go later");
  aio_bh_new_for_object_full (context, "forgotten", object, count_run_of, &record, count_destroyed);
  expect_critical ("*shortlived*forgotten*");
  aio_context_unref (context);
  g_test_assert_expected_messages ();
  g_assert_cmpuint (record.n_destroyed, ==, 1);
  g_object_unref (object);
  g_assert_false (record.alive);
}

static void
test_strong (void)
{
  AioContext *context = aio_context_new ();
  Record record;
  GObject *object = thing_new (&record);
  AioBH *bh = aio_bh_new_full (context, "strong", count_run, g_object_ref (object), g_object_unref);

  g_test_summary ("C32: one that keeps its object alive takes a reference as its data");
  g_object_unref (object);
  aio_bh_schedule (bh);
  aio_context_poll (context, TRUE);
  g_assert_cmpuint (record.n_runs, ==, 1);
  aio_bh_delete (bh);
  g_assert_false (record.alive);
  aio_context_unref (context);
}

static void
test_fork (void)
{
  AioContext *context = aio_context_new ();
  Record record;
  GObject *object = thing_new (&record);
  AioBH *bh = aio_bh_new_for_object (context, count_run, object);
  pid_t pid;
  int status;

  g_test_summary ("C32, C25: in a forked child the object may end in silence");
  pid = fork ();
  if (pid == 0)
    {
      g_log_set_always_fatal (G_LOG_LEVEL_CRITICAL);
      g_object_unref (object);
      _exit (atomic_load (&record.alive) ? 1 : 0);
    }
  g_assert_cmpint (TEMP_FAILURE_RETRY (waitpid (pid, &status, 0)), ==, pid);
  g_assert_true (WIFEXITED (status) && WEXITSTATUS (status) == 0);
  aio_bh_delete (bh);
  g_object_unref (object);
  aio_context_unref (context);
}

static void
test_misuse (void)
{
  AioContext *context = aio_context_new ();
  Record record;
  GObject *object = thing_new (&record);

  g_test_summary ("C28: NULL where an object is wanted");
  expect_critical ("*context != NULL*");
  g_assert_null (aio_bh_new_for_object (NULL, count_run, object));
  expect_critical ("*func != NULL*");
  g_assert_null (aio_bh_new_for_object (context, NULL, object));
  expect_critical ("*G_IS_OBJECT*");
  g_assert_null (aio_bh_new_for_object (context, count_run, NULL));
  g_test_assert_expected_messages ();
  g_object_unref (object);
  aio_context_unref (context);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  aio_test_add ("/for-object/runs", test_runs);
  aio_test_add ("/for-object/deleted-first", test_deleted_first);
  aio_test_add ("/for-object/object-ends", test_object_ends);
  aio_test_add ("/for-object/object-ends-elsewhere", test_object_ends_elsewhere);
  aio_test_add ("/for-object/being-disposed", test_being_disposed);
  aio_test_add ("/for-object/disposed", test_disposed);
  aio_test_add ("/for-object/ends-in-run", test_ends_in_run);
  aio_test_add ("/for-object/races", test_races);
  aio_test_add ("/for-object/context-ends-first", test_context_ends_first);
  aio_test_add ("/for-object/strong", test_strong);
  aio_test_add ("/for-object/fork", test_fork);
  aio_test_add ("/for-object/misuse", test_misuse);
  return g_test_run ();
}
