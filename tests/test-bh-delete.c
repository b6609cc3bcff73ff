/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The end of bottom halves: when the destroy notify runs, who may delete whom and where from. */
#include "bh-test.h"


/* ---- A bottom half that is watched ---- */

typedef struct _Probe Probe;

/* What the callback gets is freed by the destroy notify: a sanitizer sees who touches it later. */
typedef struct
{
  Probe *probe;
} ProbeData;

struct _Probe
{
  Loop *loop;
  AioBH *bh;
  guint runs;
  guint destroyed;
  guint inside;                 /* how deep the callback is on the stack */
  pthread_t destroyer;
  void (*act) (Probe *probe);           /* in the callback */
  void (*last_act) (Probe *probe);      /* in the destroy notify */
  Probe *others;
};

static void
probe_cb (gpointer data)
{
  Probe *probe = ((ProbeData *) data)->probe;

  g_assert_cmpuint (probe->destroyed, ==, 0);
  probe->runs++;
  probe->inside++;
  if (probe->act != NULL)
    probe->act (probe);
  probe->inside--;
  g_assert_cmpuint (probe->destroyed, ==, 0);
  g_assert_true (((ProbeData *) data)->probe == probe);
}

static void
probe_destroy (gpointer data)
{
  Probe *probe = ((ProbeData *) data)->probe;

  g_free (data);
  g_assert_cmpuint (probe->inside, ==, 0);
  g_assert_cmpuint (probe->destroyed, ==, 0);
  probe->destroyed++;
  probe->destroyer = pthread_self ();
  if (probe->last_act != NULL)
    probe->last_act (probe);
}

static void
probe_init (Probe *probe,
            Loop  *loop)
{
  ProbeData *data = g_new (ProbeData, 1);

  memset (probe, 0, sizeof *probe);
  data->probe = probe;
  probe->loop = loop;
  probe->bh = aio_bh_new_full (loop->context, "probe", probe_cb, data, probe_destroy);
}

static void
probes_init (Probe *probes,
             guint  n,
             Loop  *loop)
{
  guint i;

  for (i = 0; i < n; i++)
    {
      probe_init (&probes[i], loop);
      probes[i].others = probes;
    }
}

static void *
delete_thread (void *bh)
{
  aio_bh_delete (bh);
  return NULL;
}

static void
drain (Loop *loop)
{
  loop_iterate (loop, FALSE);
  loop_iterate (loop, FALSE);
}

/* ---- On the home thread ---- */

static void
leave_alone (AioBH *bh)
{
}

static void
schedule_twice (AioBH *bh)
{
  aio_bh_schedule (bh);
  aio_bh_schedule (bh);
}

static void
schedule_and_cancel (AioBH *bh)
{
  aio_bh_schedule (bh);
  aio_bh_cancel (bh);
}

static void
cancel_idle_and_promote (AioBH *bh)
{
  aio_bh_schedule_idle (bh);
  aio_bh_cancel (bh);
  aio_bh_schedule (bh);
}

static void (*const states[]) (AioBH *bh) = {
  leave_alone,
  aio_bh_schedule,
  schedule_twice,
  aio_bh_schedule_idle,
  schedule_and_cancel,
  cancel_idle_and_promote
};

static void
at_home (Loop *loop)
{
  Probe probe;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (states); i++)
    {
      probe_init (&probe, loop);
      states[i] (probe.bh);
      aio_bh_delete (probe.bh);
      g_assert_cmpuint (probe.destroyed, ==, 1);
      g_assert_false (loop_iterate (loop, FALSE));
      g_assert_cmpuint (probe.runs, ==, 0);
      g_assert_cmpuint (probe.destroyed, ==, 1);
    }
}

static void
test_at_home (void)
{
  g_test_summary ("C7: on the home thread delete implies cancel, whatever the state, the "
                  "callback does not start again, and the destroy notify has run when delete "
                  "returns");
  both_ways_at_home (at_home);
}

static void
test_no_home (void)
{
  Loop loop = { aio_context_new (), NULL };
  Probe probe;
  guint i;

  g_test_summary ("C7, C17: the same while there is no home thread yet");
  for (i = 0; i < G_N_ELEMENTS (states); i++)
    {
      probe_init (&probe, &loop);
      states[i] (probe.bh);
      aio_bh_delete (probe.bh);
      g_assert_cmpuint (probe.destroyed, ==, 1);
    }
  g_assert_cmpint (aio_bh_poll (loop.context), ==, 0);
  g_assert_cmpuint (probe.runs, ==, 0);
  aio_context_unref (loop.context);
}

static void
after_a_run (Loop *loop)
{
  Probe probe;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (states); i++)
    {
      probe_init (&probe, loop);
      aio_bh_schedule (probe.bh);
      g_assert_true (loop_iterate (loop, FALSE));
      states[i] (probe.bh);
      aio_bh_delete (probe.bh);
      g_assert_cmpuint (probe.destroyed, ==, 1);
      g_assert_false (loop_iterate (loop, FALSE));
      g_assert_cmpuint (probe.runs, ==, 1);
    }
}

static void
test_after_a_run (void)
{
  g_test_summary ("C7: the same for one that has run before");
  both_ways_at_home (after_a_run);
}

static void
ignore_run (gpointer data)
{
}

static void
without_notify (Loop *loop)
{
  AioBH *bh = aio_bh_new (loop->context, ignore_run, NULL);

  aio_bh_schedule (bh);
  aio_bh_delete (bh);
  bh = aio_bh_new (loop->context, ignore_run, NULL);
  aio_bh_schedule (bh);
  thread_run (delete_thread, bh);
  drain (loop);
}

static void
test_without_notify (void)
{
  g_test_summary ("C7: a destroy notify is not needed");
  both_ways_at_home (without_notify);
}

/* ---- Inside callbacks ---- */

static void
delete_self (Probe *probe)
{
  aio_bh_delete (probe->bh);
  g_assert_cmpuint (probe->destroyed, ==, 0);
}

static void
assert_first_destroyed (Probe *probe)
{
  g_assert_cmpuint (probe->others[0].destroyed, ==, 1);
}

static void
from_own_callback (Loop *loop)
{
  Probe probes[2];

  probes_init (probes, 2, loop);
  probes[0].act = delete_self;
  probes[1].act = assert_first_destroyed;
  aio_bh_schedule (probes[0].bh);
  aio_bh_schedule (probes[1].bh);
  g_assert_true (loop_iterate (loop, FALSE));
  g_assert_cmpuint (probes[0].destroyed, ==, 1);
  g_assert_cmpuint (probes[1].runs, ==, 1);
  aio_bh_delete (probes[1].bh);
}

static void
test_from_own_callback (void)
{
  g_test_summary ("C7, R9: deleting itself is fine; the destroy notify runs as soon as the "
                  "callback has returned, before the next one");
  both_ways_at_home (from_own_callback);
}

static void
schedule_and_delete_self (Probe *probe)
{
  aio_bh_schedule (probe->bh);
  aio_bh_delete (probe->bh);
  aio_bh_schedule (probe->bh);
  aio_bh_schedule_idle (probe->bh);
  g_assert_false (aio_bh_is_scheduled (probe->bh));
  g_assert_false (aio_bh_cancel (probe->bh));
  g_assert_false (aio_bh_cancel_sync (probe->bh));
  aio_bh_delete (probe->bh);
}

static void
rescheduled (Loop *loop)
{
  Probe probe;

  probe_init (&probe, loop);
  probe.act = schedule_and_delete_self;
  aio_bh_schedule (probe.bh);
  g_assert_true (loop_iterate (loop, FALSE));
  g_assert_cmpuint (probe.destroyed, ==, 1);
  g_assert_false (loop_iterate (loop, FALSE));
  g_assert_cmpuint (probe.runs, ==, 1);
}

static void
test_rescheduled (void)
{
  g_test_summary ("C7: one that scheduled and then deleted itself is not run again, and what is "
                  "done to it afterwards does nothing");
  both_ways_at_home (rescheduled);
}

/* The outer run schedules and iterates, the inner one deletes. */
static void
delete_in_nested_run (Probe *probe)
{
  if (probe->inside == 3)
    {
      delete_self (probe);
      return;
    }
  aio_bh_schedule (probe->bh);
  loop_iterate (probe->loop, FALSE);
  g_assert_cmpuint (probe->runs, ==, 3);
  g_assert_cmpuint (probe->destroyed, ==, 0);
}

static void
nested_self (Loop *loop)
{
  Probe probe;

  probe_init (&probe, loop);
  probe.act = delete_in_nested_run;
  aio_bh_schedule (probe.bh);
  loop_iterate (loop, FALSE);
  g_assert_cmpuint (probe.destroyed, ==, 1);
  g_assert_cmpuint (probe.runs, ==, 3);
  drain (loop);
}

static void
test_nested_self (void)
{
  g_test_summary ("C7: three runs deep the destroy notify waits for the outermost callback");
  both_ways_at_home (nested_self);
}

enum
{
  PREVIOUS,
  SELF,
  NEXT,
  TOP,
  N_ROLES
};

static const guint orders[6][3] = {
  { PREVIOUS, SELF, NEXT }, { PREVIOUS, NEXT, SELF }, { SELF, PREVIOUS, NEXT },
  { SELF, NEXT, PREVIOUS }, { NEXT, PREVIOUS, SELF }, { NEXT, SELF, PREVIOUS }
};

static const guint *order;
static guint depth_of_self;

static void
iterate_inside (Probe *probe)
{
  loop_iterate (probe->loop, FALSE);
}

/* What is on the stack is destroyed later, all else at once. */
static void
delete_neighbours (Probe *probe)
{
  guint i;

  if (probe->inside < depth_of_self)
    {
      aio_bh_schedule (probe->bh);
      iterate_inside (probe);
      return;
    }
  for (i = 0; i < 3; i++)
    {
      Probe *other = &probe->others[order[i]];

      aio_bh_delete (other->bh);
      g_assert_cmpuint (other->destroyed, ==, other->inside == 0 ? 1 : 0);
    }
  loop_iterate (probe->loop, FALSE);
}

/* At depth 2 the one before is on the stack, at depth 3 another one around it, too. When "self" is
 * entered several times, "next" has its turn before the innermost run. */
static void
neighbours_at (Loop *loop,
               guint depth)
{
  Probe probes[N_ROLES];
  guint i;

  probes_init (probes, N_ROLES, loop);
  probes[SELF].act = delete_neighbours;
  if (depth >= 2)
    probes[PREVIOUS].act = iterate_inside;
  if (depth >= 3)
    probes[TOP].act = iterate_inside;
  aio_bh_schedule (probes[TOP].bh);
  aio_bh_schedule (probes[PREVIOUS].bh);
  aio_bh_schedule (probes[SELF].bh);
  aio_bh_schedule (probes[NEXT].bh);
  drain (loop);
  g_assert_cmpuint (probes[PREVIOUS].runs, ==, 1);
  g_assert_cmpuint (probes[SELF].runs, ==, depth_of_self);
  g_assert_cmpuint (probes[NEXT].runs, ==, depth_of_self > 1 ? 1 : 0);
  for (i = 0; i < 3; i++)
    g_assert_cmpuint (probes[i].destroyed, ==, 1);
  aio_bh_delete (probes[TOP].bh);
}

static void
neighbours (Loop *loop)
{
  guint i, depth;

  for (i = 0; i < G_N_ELEMENTS (orders); i++)
    for (depth = 1; depth <= 3; depth++)
      for (depth_of_self = 1; depth_of_self <= 3; depth_of_self++)
        {
          order = orders[i];
          neighbours_at (loop, depth);
        }
}

static void
test_neighbours (void)
{
  g_test_summary ("C7, R9: from a callback delete the previous, itself and the next one, in each "
                  "order, at depth 1 to 3, with itself once to three times on the stack");
  both_ways_at_home (neighbours);
}

/* The next one is the last of its pass, and a new one, very likely at the same address, takes its
 * place in the queue. */
static void
replace_next (Probe *probe)
{
  Probe *next = &probe->others[1];

  aio_bh_delete (next->bh);
  probe_init (next, probe->loop);
  aio_bh_schedule (next->bh);
}

static void
replaced (Loop *loop)
{
  Probe probes[2];

  probes_init (probes, 2, loop);
  probes[0].act = replace_next;
  aio_bh_schedule (probes[0].bh);
  aio_bh_schedule (probes[1].bh);
  loop_iterate (loop, FALSE);
  g_assert_cmpuint (probes[1].runs, ==, 0);
  loop_iterate (loop, FALSE);
  g_assert_cmpuint (probes[1].runs, ==, 1);
  aio_bh_delete (probes[0].bh);
  aio_bh_delete (probes[1].bh);
}

static void
test_replaced (void)
{
  g_test_summary ("C7, C4, R9: the last of a pass is deleted and a new one scheduled in its "
                  "place: the old one does not run, the new one in the next pass");
  both_ways_at_home (replaced);
}

/* ---- From another thread ---- */

static void
from_afar (Loop *loop)
{
  Probe probe;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (states); i++)
    {
      probe_init (&probe, loop);
      states[i] (probe.bh);
      thread_run (delete_thread, probe.bh);
      g_assert_false (loop_iterate (loop, FALSE));
      g_assert_cmpuint (probe.runs, ==, 0);
      g_assert_cmpuint (probe.destroyed, ==, 1);
      g_assert_true (pthread_equal (probe.destroyer, pthread_self ()));
      drain (loop);
    }
}

static void
from_afar_poll (Loop *loop)
{
  Probe probe;
  guint i;

  for (i = 0; i < G_N_ELEMENTS (states); i++)
    {
      probe_init (&probe, loop);
      states[i] (probe.bh);
      thread_run (delete_thread, probe.bh);
      g_assert_cmpint (aio_bh_poll (loop->context), ==, 0);
      g_assert_cmpuint (probe.runs, ==, 0);
      g_assert_cmpuint (probe.destroyed, ==, 1);
    }
}

static void
ignore_source_dispatch (Loop *loop)
{
  /* Under GLib an iteration that only calls destroy notifies has dispatched a source, which is
   * what g_main_context_iteration() tells. */
  if (loop->main_context == NULL)
    from_afar (loop);
  from_afar_poll (loop);
}

static void
test_from_afar (void)
{
  g_test_summary ("C7, C11: after a delete in another thread nothing starts, and the destroy "
                  "notify runs in the next pass, in the home thread, without being progress");
  both_ways_at_home (ignore_source_dispatch);
}

static void
test_from_afar_wakes (void)
{
  Loop loop = { aio_context_new (), NULL };
  int fd = aio_context_get_fd (loop.context);
  Probe probe;
  guint i;

  g_test_summary ("C7, R7: a delete in another thread wakes the home thread, whatever the state "
                  "of the bottom half was when it went to sleep");
  aio_bh_poll (loop.context);
  for (i = 0; i < G_N_ELEMENTS (states); i++)
    {
      probe_init (&probe, &loop);
      states[i] (probe.bh);
      if (aio_context_get_timeout_ns (loop.context) != 0)
        {
          g_assert_false (is_readable (fd));
          thread_run (delete_thread, probe.bh);
          g_assert_true (is_readable (fd));
        }
      else
        thread_run (delete_thread, probe.bh);
      g_assert_false (aio_context_dispatch (loop.context));
      g_assert_cmpuint (probe.destroyed, ==, 1);
      g_assert_cmpint (aio_context_get_timeout_ns (loop.context), <, 0);
      aio_context_dispatch (loop.context);
    }
  aio_context_unref (loop.context);
}

static void *
delete_later_thread (void *bh)
{
  nap (3000);
  aio_bh_delete (bh);
  return NULL;
}

static void
wakes_sleeper (Loop *loop)
{
  pthread_t thread;
  Probe probe;
  guint i;

  for (i = 0; i < 10; i++)
    {
      probe_init (&probe, loop);
      schedule_and_cancel (probe.bh);
      g_assert_cmpint (pthread_create (&thread, NULL, delete_later_thread, probe.bh), ==, 0);
      while (probe.destroyed == 0)
        loop_iterate (loop, TRUE);
      g_assert_cmpuint (probe.runs, ==, 0);
      pthread_join (thread, NULL);
    }
}

static void
test_wakes_sleeper (void)
{
  g_test_summary ("C7, R7: the same with a home thread that really sleeps, and silence "
                  "afterwards");
  both_ways_at_home (wakes_sleeper);
}

static void
delete_self_in_thread (Probe *probe)
{
  thread_run (delete_thread, probe->bh);
  g_assert_cmpuint (probe->destroyed, ==, 0);
}

static void
during_callback (Loop *loop)
{
  Probe probe;

  probe_init (&probe, loop);
  probe.act = delete_self_in_thread;
  aio_bh_schedule (probe.bh);
  g_assert_true (loop_iterate (loop, FALSE));
  while (probe.destroyed == 0)
    loop_iterate (loop, TRUE);
  g_assert_cmpuint (probe.runs, ==, 1);
  drain (loop);
}

static void
test_during_callback (void)
{
  g_test_summary ("C7: deleted by another thread while its callback runs, the destroy notify "
                  "waits for the end of that");
  both_ways_at_home (during_callback);
}

typedef struct
{
  AioBH *bh;
  pthread_barrier_t *barrier;
} Racer;

static void *
race_thread (void *data)
{
  Racer *racer = data;

  pthread_barrier_wait (racer->barrier);
  aio_bh_delete (racer->bh);
  aio_bh_unref (racer->bh);
  return NULL;
}

static void
race (Loop *loop)
{
  guint round, n_rounds = g_test_thorough () ? 20000 : 300;
  pthread_barrier_t barrier;
  pthread_t threads[2];
  Racer racer = { NULL, &barrier };
  Probe probe;

  for (round = 0; round < n_rounds; round++)
    {
      pthread_barrier_init (&barrier, NULL, 3);
      probe_init (&probe, loop);
      racer.bh = probe.bh;
      states[round % G_N_ELEMENTS (states)] (probe.bh);
      aio_bh_ref (probe.bh);
      aio_bh_ref (probe.bh);
      aio_bh_ref (probe.bh);
      g_assert_cmpint (pthread_create (&threads[0], NULL, race_thread, &racer), ==, 0);
      g_assert_cmpint (pthread_create (&threads[1], NULL, race_thread, &racer), ==, 0);
      pthread_barrier_wait (&barrier);
      loop_iterate (loop, FALSE);
      if (round % 2 == 0)
        aio_bh_delete (probe.bh);
      pthread_join (threads[0], NULL);
      pthread_join (threads[1], NULL);
      loop_iterate (loop, FALSE);
      g_assert_cmpuint (probe.destroyed, ==, 1);
      g_assert_null (aio_bh_get_context (probe.bh));
      aio_bh_unref (probe.bh);
      pthread_barrier_destroy (&barrier);
      aio_test_moved ();
    }
}

static void
test_race (void)
{
  g_test_summary ("C7: two or three threads delete the same one while the home thread iterates: "
                  "one destroy notify, by the next pass at the latest");
  both_ways_at_home (race);
}

/* ---- The context goes first ---- */

static void
test_finaliser (void)
{
  Loop loop;
  Probe probe;
  guint i;

  g_test_summary ("C7, C24, R10: deleted by another thread and never polled again: the destroy "
                  "notify runs at the end of the context, without a message");
  for (i = 0; i < G_N_ELEMENTS (states); i++)
    {
      loop.context = aio_context_new ();
      loop.main_context = NULL;
      aio_bh_poll (loop.context);
      probe_init (&probe, &loop);
      states[i] (probe.bh);
      thread_run (delete_thread, probe.bh);
      g_assert_cmpuint (probe.destroyed, ==, 0);
      aio_context_unref (loop.context);
      g_assert_cmpuint (probe.destroyed, ==, 1);
      g_assert_cmpuint (probe.runs, ==, 0);
    }
}

static void
delete_first_and_second (Probe *probe)
{
  aio_bh_schedule (probe->others[0].bh);
  aio_bh_delete (probe->others[0].bh);
  aio_bh_delete (probe->others[1].bh);
  aio_bh_schedule_idle (probe->others[1].bh);
}

static void
test_leaks (void)
{
  Loop loop = { aio_context_new (), NULL };
  Probe probes[2];
  guint i;

  g_test_summary ("C24, R10: those that were never deleted are named in one message, each "
                  "destroy notify runs once, even when they delete each other");
  probes_init (probes, 2, &loop);
  for (i = 0; i < 2; i++)
    {
      aio_bh_ref (probes[i].bh);
      probes[i].last_act = delete_first_and_second;
    }
  aio_bh_schedule (probes[1].bh);
  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*probe*probe*");
  aio_context_unref (loop.context);
  g_test_assert_expected_messages ();
  for (i = 0; i < 2; i++)
    {
      g_assert_cmpuint (probes[i].destroyed, ==, 1);
      g_assert_cmpuint (probes[i].runs, ==, 0);
      g_assert_null (aio_bh_get_context (probes[i].bh));
      aio_bh_unref (probes[i].bh);
    }
}

/* ---- What a destroy notify may do ---- */

/* Schedules a living one, deletes another, and fumbles with the dying. */
static void
busy_end (Probe *probe)
{
  aio_bh_schedule (probe->others[1].bh);
  aio_bh_delete (probe->others[2].bh);
  aio_bh_schedule (probe->bh);
  aio_bh_schedule_idle (probe->bh);
  g_assert_false (aio_bh_cancel (probe->bh));
  g_assert_null (aio_bh_get_context (probe->bh));
  aio_bh_delete (probe->bh);
}

typedef enum
{
  END_AT_HOME,
  END_IN_CALLBACK,
  END_FROM_AFAR,
  N_ENDS
} End;

static void
busy_end_by (Loop *loop,
             End   end)
{
  Probe probes[3];

  probes_init (probes, 3, loop);
  probes[0].last_act = busy_end;
  aio_bh_schedule (probes[2].bh);
  if (end == END_AT_HOME)
    {
      aio_bh_delete (probes[0].bh);
      g_assert_cmpuint (probes[2].destroyed, ==, 1);
    }
  else if (end == END_IN_CALLBACK)
    {
      probes[0].act = delete_self;
      aio_bh_cancel (probes[2].bh);
      aio_bh_schedule (probes[0].bh);
    }
  else
    thread_run (delete_thread, probes[0].bh);
  while (probes[1].runs == 0)
    loop_iterate (loop, TRUE);
  drain (loop);
  g_assert_cmpuint (probes[0].destroyed, ==, 1);
  g_assert_cmpuint (probes[1].runs, ==, 1);
  g_assert_cmpuint (probes[2].destroyed, ==, 1);
  aio_bh_delete (probes[1].bh);
}

static void
busy_ends (Loop *loop)
{
  End end;

  for (end = 0; end < N_ENDS; end++)
    busy_end_by (loop, end);
}

static void
test_busy_ends (void)
{
  g_test_summary ("C7: a destroy notify may schedule and delete others; on the dying one it does "
                  "nothing");
  both_ways_at_home (busy_ends);
}

/* ---- Random steps against a model ---- */

typedef struct _Model Model;

typedef struct
{
  Model *model;
  AioBH *bh;
  gboolean pending;
  guint scheduled;              /* the step at which it became pending */
  guint on_stack;
  gboolean deleted;
} ModelBH;

struct _Model
{
  Loop *loop;
  ModelBH *bhs[6];
  guint32 random;
  guint step;
  guint pass_step;              /* the step at which the outermost iteration began */
  guint depth;
  guint n_alive;
};

static void model_steps (Model *model);

static void
model_cb (gpointer data)
{
  ModelBH *bh = data;
  Model *model = bh->model;

  g_assert_false (bh->deleted);
  g_assert_true (bh->pending);
  bh->pending = FALSE;
  bh->on_stack++;
  model_steps (model);
  bh->on_stack--;
}

static void
model_destroy (gpointer data)
{
  ModelBH *bh = data;

  g_assert_true (bh->deleted);
  g_assert_cmpuint (bh->on_stack, ==, 0);
  bh->model->n_alive--;
  g_free (bh);
}

static ModelBH *
model_bh_new (Model *model)
{
  ModelBH *bh = g_new0 (ModelBH, 1);

  bh->model = model;
  bh->bh = aio_bh_new_full (model->loop->context, "model", model_cb, bh, model_destroy);
  model->n_alive++;
  return bh;
}

static void
model_delete (ModelBH *bh)
{
  bh->deleted = TRUE;
  aio_bh_delete (bh->bh);
}

static void
model_schedule (ModelBH *bh)
{
  if (!bh->pending)
    bh->scheduled = bh->model->step;
  bh->pending = TRUE;
  aio_bh_schedule (bh->bh);
}

static void
model_step (Model *model)
{
  ModelBH **bh = &model->bhs[next_random (&model->random) % G_N_ELEMENTS (model->bhs)];

  model->step++;
  g_assert_true (aio_bh_is_scheduled ((*bh)->bh) == (*bh)->pending);
  switch (next_random (&model->random) % 8)
    {
    case 0:
      g_assert_true (aio_bh_cancel ((*bh)->bh) == (*bh)->pending);
      (*bh)->pending = FALSE;
      break;
    case 1:
      model_delete (*bh);
      *bh = model_bh_new (model);
      break;
    case 2:
      if (!(*bh)->pending)
        (*bh)->scheduled = model->step;
      (*bh)->pending = TRUE;
      aio_bh_schedule_idle ((*bh)->bh);
      break;
    case 3:
      if (model->depth == 5)
        break;
      model->depth++;
      loop_iterate (model->loop, FALSE);
      model->depth--;
      break;
    default:
      model_schedule (*bh);
      break;
    }
}

static void
model_steps (Model *model)
{
  guint n = next_random (&model->random) % 5;

  for (; n > 0; n--)
    model_step (model);
}

/* Whatever was pending when the iteration began is not any more, unless it was scheduled since. */
static void
model_iterate (Model *model)
{
  guint i;

  model->pass_step = ++model->step;
  loop_iterate (model->loop, FALSE);
  for (i = 0; i < G_N_ELEMENTS (model->bhs); i++)
    if (model->bhs[i]->pending)
      g_assert_cmpuint (model->bhs[i]->scheduled, >, model->pass_step);
}

static void
model_run (Loop *loop)
{
  guint round, n_rounds = g_test_thorough () ? 2000000 : 50000, i;
  Model model = { .loop = loop };

  model.random = g_test_rand_int () | 1;
  for (i = 0; i < G_N_ELEMENTS (model.bhs); i++)
    model.bhs[i] = model_bh_new (&model);
  for (round = 0; round < n_rounds; round++)
    {
      model_steps (&model);
      model_iterate (&model);
      if (round % 1000 == 0)
        aio_test_moved ();
    }
  for (i = 0; i < G_N_ELEMENTS (model.bhs); i++)
    model_delete (model.bhs[i]);
  g_assert_cmpuint (model.n_alive, ==, 0);
}

static void
test_model (void)
{
  g_test_summary ("C7, C6, C11, C13, R9: random schedules, cancels, deletes and nested "
                  "iterations in and outside of callbacks do what a model says");
  both_ways_at_home (model_run);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  aio_test_add ("/bh-delete/at-home", test_at_home);
  aio_test_add ("/bh-delete/no-home", test_no_home);
  aio_test_add ("/bh-delete/after-a-run", test_after_a_run);
  aio_test_add ("/bh-delete/without-notify", test_without_notify);
  aio_test_add ("/bh-delete/own-callback", test_from_own_callback);
  aio_test_add ("/bh-delete/rescheduled", test_rescheduled);
  aio_test_add ("/bh-delete/nested-self", test_nested_self);
  aio_test_add ("/bh-delete/neighbours", test_neighbours);
  aio_test_add ("/bh-delete/replaced", test_replaced);
  aio_test_add ("/bh-delete/afar", test_from_afar);
  aio_test_add ("/bh-delete/afar-wakes", test_from_afar_wakes);
  aio_test_add ("/bh-delete/wakes-sleeper", test_wakes_sleeper);
  aio_test_add ("/bh-delete/during-callback", test_during_callback);
  aio_test_add ("/bh-delete/race", test_race);
  aio_test_add ("/bh-delete/finaliser", test_finaliser);
  aio_test_add ("/bh-delete/leaks", test_leaks);
  aio_test_add ("/bh-delete/busy-ends", test_busy_ends);
  aio_test_add ("/bh-delete/model", test_model);
  return g_test_run ();
}
