/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The budget of a dispatch: what it leaves, how it gives way, and that everything gets its turn. */
#include "loop-test.h"

#define MAX_FDS 64

/* Everything a case runs is a Task: it notes its number when it runs. */
typedef struct _Stage Stage;
typedef struct _Task  Task;

struct _Task
{
  Stage *stage;
  guint number;
  AioBH *bh;
  AioTimer *timer;
  int fds[2];
  guint n_runs;
  guint n_destroyed;
  void (*act) (Task *task);     /* what it does besides; may be NULL */
};

struct _Stage
{
  Loop *loop;                   /* NULL: the case drives the phases by hand */
  AioContext *context;
  GMainContext *main_context;
  GArray *order;                /* numbers of tasks */
  Task *tasks;
  guint n_tasks;
};

static void
task_run (gpointer data)
{
  Task *task = data;

  g_array_append_val (task->stage->order, task->number);
  task->n_runs++;
  if (task->act != NULL)
    task->act (task);
}

static void
task_destroyed (gpointer data)
{
  Task *task = data;

  task->n_destroyed++;
}

static void
schedule_itself (Task *task)
{
  aio_bh_schedule (task->bh);
}

static void
rearm_in_the_past (Task *task)
{
  aio_timer_mod_ns (task->timer, 1);
}

/* --- A stage ---------------------------------------------------------------------------------- */

static void
stage_init (Stage      *stage,
            AioContext *context,
            guint       n_tasks)
{
  *stage = (Stage) { .context = context, .n_tasks = n_tasks };
  stage->order = g_array_new (FALSE, FALSE, sizeof (guint));
  stage->tasks = g_new0 (Task, n_tasks);
  for (guint i = 0; i < n_tasks; i++)
    stage->tasks[i] = (Task) { .stage = stage, .number = i, .fds = { -1, -1 } };
}

static void
stage_init_loop (Stage *stage,
                 Loop  *loop,
                 guint  n_tasks)
{
  stage_init (stage, loop->context, n_tasks);
  stage->loop = loop;
  stage->main_context = loop->main_context;
}

/* A context of its own, whose GMainContext the case drives by hand; it may run so many callbacks at
 * a time, 0: any number. */
static void
stage_init_by_hand (Stage *stage,
                    guint  n_tasks,
                    guint  limit)
{
  stage_init (stage, aio_context_new_full ("handy", NULL), n_tasks);
  stage->main_context = g_main_context_new ();
  g_assert_true (g_main_context_acquire (stage->main_context));
  g_assert_cmpuint (aio_context_attach (stage->context, stage->main_context), !=, 0);
  if (limit != 0)
    aio_context_set_budget (stage->context, limit, 0);
}

static void
stage_add_bh (Stage *stage,
              guint  i)
{
  stage->tasks[i].bh = aio_bh_new (stage->context, task_run, &stage->tasks[i]);
}

/* Bottom halves for all tasks, scheduled in the order of their numbers. */
static void
stage_schedule_all (Stage *stage)
{
  for (guint i = 0; i < stage->n_tasks; i++)
    {
      if (stage->tasks[i].bh == NULL)
        stage_add_bh (stage, i);
      aio_bh_schedule (stage->tasks[i].bh);
    }
}

static void
stage_clear_tasks (Stage *stage)
{
  for (guint i = 0; i < stage->n_tasks; i++)
    {
      Task *task = &stage->tasks[i];

      g_clear_pointer (&task->bh, aio_bh_delete);
      g_clear_pointer (&task->timer, aio_timer_free);
      if (task->fds[0] < 0)
        continue;
      aio_context_set_fd_handler (stage->context, task->fds[0], NULL, NULL, NULL);
      close_both (task->fds);
    }
}

static void
stage_clear (Stage *stage)
{
  stage_clear_tasks (stage);
  g_free (stage->tasks);
  g_array_unref (stage->order);
  if (stage->loop != NULL)
    return;
  if (stage->context != NULL)
    aio_context_detach (stage->context);
  g_clear_pointer (&stage->context, aio_context_unref);
  g_main_context_release (stage->main_context);
  g_main_context_unref (stage->main_context);
}

static void
stage_assert_order (Stage *stage,
                    guint  n)
{
  g_assert_cmpuint (stage->order->len, ==, n);
  for (guint i = 0; i < n; i++)
    g_assert_cmpuint (g_array_index (stage->order, guint, i), ==, i);
}

/* --- Phases by hand --------------------------------------------------------------------------- */

typedef struct
{
  gboolean prepared;
  int timeout;
  gboolean checked;
  guint n_ran;
} Step;

static Step
stage_step_full (Stage    *stage,
                 gboolean  with_check)
{
  guint before = stage->order->len;
  GPollFD fds[MAX_FDS];
  int priority, n;
  Step step = { 0 };

  step.prepared = g_main_context_prepare (stage->main_context, &priority);
  n = g_main_context_query (stage->main_context, priority, &step.timeout, fds, MAX_FDS);
  g_assert_cmpint (n, <=, MAX_FDS);
  for (int i = 0; i < n; i++)
    fds[i].revents = 0;
  g_poll (fds, n, 0);
  if (with_check)
    step.checked = g_main_context_check (stage->main_context, priority, fds, n);
  g_main_context_dispatch (stage->main_context);
  step.n_ran = stage->order->len - before;
  return step;
}

static Step
stage_step (Stage *stage)
{
  return stage_step_full (stage, TRUE);
}

static void
stage_assert_rests (Stage *stage)
{
  Step step = stage_step (stage);

  g_assert_false (step.prepared);
  g_assert_cmpint (step.timeout, ==, 0);
  g_assert_false (step.checked);
  g_assert_cmpuint (step.n_ran, ==, 0);
}

static void
stage_assert_runs (Stage *stage,
                   guint  n)
{
  Step step = stage_step (stage);

  g_assert_cmpint (step.timeout, ==, 0);
  g_assert_cmpuint (step.n_ran, ==, n);
}

static void
stage_assert_sleeps (Stage *stage)
{
  Step step = stage_step (stage);

  g_assert_false (step.prepared);
  g_assert_cmpint (step.timeout, ==, -1);
  g_assert_false (step.checked);
  g_assert_cmpuint (step.n_ran, ==, 0);
}

/* --- Order, and what one dispatch does -------------------------------------------------------- */

static void
post_task (Stage *stage,
           guint  i)
{
  Task *task = &stage->tasks[i];

  switch (i % 3)
    {
    case 0:
      stage_add_bh (stage, i);
      aio_bh_schedule (task->bh);
      break;
    case 1:
      aio_bh_schedule_oneshot_full (stage->context, "oneshot", task_run, task, task_destroyed);
      break;
    default:
      g_assert_true (aio_context_post (stage->context, task_run, task, task_destroyed));
    }
}

static void
test_order (Loop *loop)
{
  const guint limit = 7;
  Stage stage;
  guint n_passes = 0;

  g_test_summary ("C16, C3: at most N callbacks a dispatch; in order, nothing dropped or doubled");
  stage_init_loop (&stage, loop, 1000);
  aio_context_set_budget (loop->context, limit, 0);
  for (guint i = 0; i < stage.n_tasks; i++)
    post_task (&stage, i);
  while (stage.order->len < stage.n_tasks)
    {
      guint before = stage.order->len;

      loop_turn (loop, TRUE);
      n_passes++;
      if (loop->way == WAY_POLL)
        g_assert_cmpuint (stage.order->len, ==, stage.n_tasks);
      else
        g_assert_cmpuint (stage.order->len - before, <=, limit);
    }
  stage_assert_order (&stage, stage.n_tasks);
  loop_pass (loop);
  loop_pass (loop);
  stage_assert_order (&stage, stage.n_tasks);
  for (guint i = 0; i < stage.n_tasks; i++)
    g_assert_cmpuint (stage.tasks[i].n_destroyed, ==, i % 3 == 0 ? 0 : 1);
  /* A foreign loop does not sit out: each dispatch does as much as it may. */
  if (way_is_foreign (loop->way))
    g_assert_cmpuint (n_passes, ==, (stage.n_tasks + limit - 1) / limit);
  stage_clear (&stage);
}

static void
test_default (Loop *loop)
{
  Stage stage;

  g_test_summary ("C16: no limit unless it is set, and none again when it is set to nothing");
  stage_init_loop (&stage, loop, 3000);
  stage_schedule_all (&stage);
  loop_pass (loop);
  stage_assert_order (&stage, stage.n_tasks);

  aio_context_set_budget (loop->context, 1, 1);
  aio_context_set_budget (loop->context, 0, 0);
  g_array_set_size (stage.order, 0);
  stage_schedule_all (&stage);
  loop_pass (loop);
  stage_assert_order (&stage, stage.n_tasks);

  aio_context_set_budget (loop->context, G_MAXUINT, G_MAXINT64);
  g_array_set_size (stage.order, 0);
  stage_schedule_all (&stage);
  loop_pass (loop);
  stage_assert_order (&stage, stage.n_tasks);
  stage_clear (&stage);
}

/* What is left of a turn that was cut short is pending as before: it can be cancelled, deleted, and
 * scheduled again, and keeps its place. */
static void
test_leftovers (void)
{
  Stage stage;
  guint expected[] = { 0, 1, 3, 5 };

  g_test_summary ("C16, C3, C6, C7: what is left over is pending as before");
  stage_init_by_hand (&stage, 6, 2);
  stage_schedule_all (&stage);
  stage_assert_runs (&stage, 2);
  g_assert_true (aio_bh_cancel (stage.tasks[2].bh));
  g_assert_true (aio_bh_is_scheduled (stage.tasks[3].bh));
  aio_bh_schedule (stage.tasks[3].bh);
  aio_bh_delete (g_steal_pointer (&stage.tasks[4].bh));
  while (stage.order->len < 4)
    stage_step (&stage);
  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    g_assert_cmpuint (g_array_index (stage.order, guint, i), ==, expected[i]);
  stage_step (&stage);
  stage_step (&stage);
  g_assert_cmpuint (stage.order->len, ==, 4);
  stage_clear (&stage);
}

/* --- The iteration after ---------------------------------------------------------------------- */

static void
test_rest (void)
{
  Stage stage;

  g_test_summary ("C16: after a dispatch that was cut short it sits one iteration out and goes on");
  stage_init_by_hand (&stage, 10, 4);
  stage_schedule_all (&stage);
  stage_assert_runs (&stage, 4);
  stage_assert_rests (&stage);
  stage_assert_runs (&stage, 4);
  stage_assert_rests (&stage);
  stage_assert_runs (&stage, 2);
  stage_assert_sleeps (&stage);
  stage_assert_order (&stage, 10);
  stage_clear (&stage);
}

static void
test_rest_without_check (void)
{
  Stage stage;

  g_test_summary ("C16, C18: the same in a loop that leaves check out");
  stage_init_by_hand (&stage, 6, 2);
  stage_schedule_all (&stage);
  for (guint i = 0; i < 3; i++)
    {
      Step step = stage_step_full (&stage, FALSE);

      /* It is ready in prepare, so GLib knows without a check; but dispatches after one only. */
      g_assert_true (step.prepared);
      stage_assert_runs (&stage, 2);
      if (i == 2)
        break;
      step = stage_step_full (&stage, FALSE);
      g_assert_false (step.prepared);
      g_assert_cmpint (step.timeout, ==, 0);
      g_assert_cmpuint (step.n_ran, ==, 0);
    }
  stage_assert_order (&stage, 6);
  stage_assert_sleeps (&stage);
  stage_clear (&stage);
}

static void
test_rest_and_pending (void)
{
  Stage stage;

  g_test_summary ("C16, G1: g_main_context_pending() may be the iteration that is sat out");
  stage_init_by_hand (&stage, 6, 2);
  stage_schedule_all (&stage);
  g_assert_true (g_main_context_pending (stage.main_context));
  g_assert_true (g_main_context_pending (stage.main_context));
  g_main_context_dispatch (stage.main_context);
  g_assert_cmpuint (stage.order->len, ==, 2);
  g_assert_false (g_main_context_pending (stage.main_context));
  g_assert_true (g_main_context_pending (stage.main_context));
  stage_assert_runs (&stage, 2);
  g_assert_false (g_main_context_pending (stage.main_context));
  stage_assert_runs (&stage, 2);
  stage_assert_order (&stage, 6);
  g_assert_false (g_main_context_pending (stage.main_context));
  stage_assert_sleeps (&stage);
  stage_clear (&stage);
}

static void
test_exact (void)
{
  Stage stage;

  g_test_summary ("C16: as many as the budget allows, and nothing left, is no cut");
  stage_init_by_hand (&stage, 4, 4);
  stage_schedule_all (&stage);
  stage_assert_runs (&stage, 4);
  stage_schedule_all (&stage);
  stage_assert_runs (&stage, 4);
  stage_assert_sleeps (&stage);
  stage_clear (&stage);
}

static void
test_notify_in_rest (void)
{
  Stage stage;

  g_test_summary ("C12, C16: a notification during the rest is not lost");
  stage_init_by_hand (&stage, 2, 1);
  stage_schedule_all (&stage);
  stage_assert_runs (&stage, 1);
  aio_bh_cancel (stage.tasks[1].bh);
  aio_context_notify (stage.context);
  stage_assert_rests (&stage);
  g_assert_true (g_main_context_iteration (stage.main_context, TRUE));
  stage_assert_sleeps (&stage);
  stage_clear (&stage);
}

/* Its 10 ms were over before the first of them ran. */
static void
test_idle (void)
{
  Stage stage;
  Step step;

  g_test_summary ("C5, C16: idle bottom halves that are left over do not wait for another 10 ms");
  stage_init_by_hand (&stage, 5, 1);
  for (guint i = 0; i < stage.n_tasks; i++)
    {
      stage_add_bh (&stage, i);
      aio_bh_schedule_idle (stage.tasks[i].bh);
    }
  while (stage.order->len == 0)
    g_main_context_iteration (stage.main_context, TRUE);
  for (guint i = 1; i < stage.n_tasks; i++)
    {
      stage_assert_rests (&stage);
      step = stage_step (&stage);
      g_assert_cmpint (step.timeout, ==, 0);
      g_assert_cmpuint (step.n_ran, ==, 1);
    }
  stage_assert_order (&stage, stage.n_tasks);
  /* And that is over: a new one waits as ever. */
  aio_bh_schedule_idle (stage.tasks[0].bh);
  step = stage_step_full (&stage, FALSE);
  g_assert_false (step.prepared);
  g_assert_cmpint (step.timeout, >, 0);
  aio_bh_cancel (stage.tasks[0].bh);
  stage_assert_sleeps (&stage);
  stage_clear (&stage);
}

/* --- Time ------------------------------------------------------------------------------------- */

#define TIME_LIMIT 20000        /* us: fast callbacks take less by far */

static void
burn (Task *task)
{
  gint64 end = g_get_monotonic_time () + TIME_LIMIT + 1;

  while (g_get_monotonic_time () < end)
    continue;
}

/* The first dispatch, when a callback takes too long. On a slow machine it ends even earlier. */
static void
assert_at_most (guint slow,
                guint limit)
{
  Stage stage;
  guint n;

  stage_init_by_hand (&stage, 100, 0);
  aio_context_set_budget (stage.context, 0, TIME_LIMIT);
  stage.tasks[slow - 1].act = burn;
  stage_schedule_all (&stage);
  n = stage_step (&stage).n_ran;
  g_assert_cmpuint (n, >=, 1);
  g_assert_cmpuint (n, <=, limit);
  stage_assert_rests (&stage);
  while (stage.order->len < stage.n_tasks)
    stage_step (&stage);
  stage_assert_order (&stage, stage.n_tasks);
  stage_clear (&stage);
}

static void
test_time (void)
{
  g_test_summary ("C16: the clock is read after 1, 2, 4, 8, 16 callbacks and then after every 16");
  assert_at_most (1, 1);
  assert_at_most (2, 2);
  assert_at_most (3, 4);
  assert_at_most (5, 8);
  assert_at_most (9, 16);
  assert_at_most (17, 32);
  assert_at_most (40, 48);
  assert_at_most (49, 64);
}

static void
test_time_and_number (void)
{
  Stage stage;

  g_test_summary ("C16: of two limits the one that comes first holds");
  stage_init_by_hand (&stage, 20, 0);
  aio_context_set_budget (stage.context, 3, HOUR / 1000);
  stage_schedule_all (&stage);
  stage_assert_runs (&stage, 3);
  stage_assert_rests (&stage);
  aio_context_set_budget (stage.context, 18, HOUR / 1000);
  stage_assert_runs (&stage, 17);
  stage_assert_sleeps (&stage);
  aio_context_set_budget (stage.context, 18, TIME_LIMIT);
  stage.tasks[0].act = burn;
  stage_schedule_all (&stage);
  stage_assert_runs (&stage, 1);
  stage_assert_rests (&stage);
  stage_clear (&stage);
}

/* --- Who keeps to it, and who does not -------------------------------------------------------- */

static void
test_own_poll (void)
{
  Stage stage;

  g_test_summary ("C16: aio_context_poll() and aio_bh_poll() run everything, attached or not");
  stage_init_by_hand (&stage, 9, 0);
  aio_context_set_budget (stage.context, 2, 1);
  for (guint i = 0; i < 2; i++)
    {
      g_array_set_size (stage.order, 0);
      stage_schedule_all (&stage);
      g_assert_true (aio_context_poll (stage.context, TRUE));
      stage_assert_order (&stage, 9);
      g_array_set_size (stage.order, 0);
      stage_schedule_all (&stage);
      g_assert_cmpint (aio_bh_poll (stage.context), ==, 1);
      stage_assert_order (&stage, 9);
      aio_context_detach (stage.context);
    }
  stage_clear (&stage);
}

/* A poll of one's own takes over from a turn that was cut short, and nothing is left to rest
 * for. */
static void
test_own_poll_goes_on (void)
{
  Stage stage;

  g_test_summary ("C16, C18: an own poll goes on with what a dispatch has left");
  stage_init_by_hand (&stage, 5, 2);
  stage_schedule_all (&stage);
  stage_assert_runs (&stage, 2);
  g_assert_true (aio_context_poll (stage.context, TRUE));
  stage_assert_order (&stage, 5);
  stage_assert_rests (&stage);
  stage_assert_sleeps (&stage);
  stage_clear (&stage);
}

static void
test_foreign_dispatch (void)
{
  Stage stage;

  g_test_summary ("C16: aio_context_dispatch() keeps to the budget and sits nothing out");
  stage_init_by_hand (&stage, 5, 0);
  aio_context_detach (stage.context);
  aio_context_set_budget (stage.context, 2, 0);
  stage_schedule_all (&stage);
  for (guint n = 2; n <= 6; n += 2)
    {
      g_assert_cmpint (aio_context_get_timeout_ns (stage.context), ==, 0);
      g_assert_true (aio_context_dispatch (stage.context));
      g_assert_cmpuint (stage.order->len, ==, MIN (n, 5));
    }
  g_assert_cmpint (aio_context_get_timeout_ns (stage.context), ==, -1);
  g_assert_false (aio_context_dispatch (stage.context));
  stage_assert_order (&stage, 5);
  stage_clear (&stage);
}

/* --- Nested iterations ------------------------------------------------------------------------ */

static void
poll_inside (Task *task)
{
  g_assert_true (aio_context_poll (task->stage->context, FALSE));
  stage_assert_order (task->stage, task->stage->n_tasks);
}

static void
test_nested_poll (void)
{
  Stage stage;

  g_test_summary ("C13, C16: a nested poll goes on with the interrupted turn, without a limit");
  stage_init_by_hand (&stage, 8, 3);
  stage.tasks[1].act = poll_inside;
  stage_schedule_all (&stage);
  stage_assert_runs (&stage, 8);
  stage_assert_sleeps (&stage);
  stage_clear (&stage);
}

static void
iterate_inside (Task *task)
{
  Stage *stage = task->stage;
  guint wanted = stage->order->len + 5;

  while (stage->order->len < wanted)
    {
      guint before = stage->order->len;

      g_main_context_iteration (stage->main_context, TRUE);
      g_assert_cmpuint (stage->order->len - before, <=, 3);
    }
}

static void
test_nested_iteration (void)
{
  Stage stage;

  g_test_summary ("C13, C16: a nested iteration of the GMainContext has a budget of its own");
  stage_init_by_hand (&stage, 12, 3);
  stage.tasks[1].act = iterate_inside;
  stage_schedule_all (&stage);
  /* 0, 1 { 2 3 4, 5 6 7 } 8; then the outer one is used up. */
  stage_assert_runs (&stage, 9);
  stage_assert_rests (&stage);
  stage_assert_runs (&stage, 3);
  stage_assert_sleeps (&stage);
  stage_assert_order (&stage, 12);
  stage_clear (&stage);
}

/* --- Changes from a callback ------------------------------------------------------------------ */

static void
detach_inside (Task *task)
{
  aio_context_detach (task->stage->context);
}

static void
destroy_source_inside (Task *task)
{
  g_source_destroy (aio_context_get_source (task->stage->context));
}

static void
attach_again (Stage *stage)
{
  g_assert_cmpuint (aio_context_attach (stage->context, stage->main_context), !=, 0);
}

static void
test_detach (void)
{
  void (*acts[]) (Task *) = { detach_inside, destroy_source_inside };

  g_test_summary ("C16: a detach in a callback ends the turn, with a budget too, and it goes on");
  for (guint i = 0; i < G_N_ELEMENTS (acts); i++)
    for (guint limit = 2; limit <= 3; limit++)
      {
        Stage stage;

        stage_init_by_hand (&stage, 6, limit);
        stage.tasks[1].act = acts[i];
        stage_schedule_all (&stage);
        stage_assert_runs (&stage, 2);
        stage_step (&stage);
        g_assert_cmpuint (stage.order->len, ==, 2);
        attach_again (&stage);
        while (stage.order->len < 6)
          stage_step (&stage);
        stage_assert_order (&stage, 6);
        stage_clear (&stage);
      }
}

static void
set_budget_inside (Task *task)
{
  aio_context_set_budget (task->stage->context, 1, 0);
  aio_context_set_priority (task->stage->context, G_PRIORITY_LOW);
}

static void
test_set_inside (void)
{
  Stage stage;

  g_test_summary ("C16: a budget that is set in a callback is that of the next turn");
  stage_init_by_hand (&stage, 7, 3);
  stage.tasks[0].act = set_budget_inside;
  stage_schedule_all (&stage);
  stage_assert_runs (&stage, 3);
  stage_assert_rests (&stage);
  stage_assert_runs (&stage, 1);
  aio_context_set_budget (stage.context, 0, 0);
  stage_assert_rests (&stage);
  stage_assert_runs (&stage, 3);
  stage_assert_sleeps (&stage);
  stage_clear (&stage);
}

static void
test_move (void)
{
  Stage stage;
  GMainContext *first;

  g_test_summary ("C16, C19: moved to another GMainContext before the rest was taken, it goes on");
  stage_init_by_hand (&stage, 6, 0);
  first = stage.main_context;
  aio_context_set_budget (stage.context, 2, 0);
  stage_schedule_all (&stage);
  stage_assert_runs (&stage, 2);
  aio_context_detach (stage.context);
  stage.main_context = g_main_context_new ();
  g_assert_true (g_main_context_acquire (stage.main_context));
  attach_again (&stage);
  /* At most one iteration is sat out, and none sleeps. */
  if (stage_step (&stage).n_ran == 0)
    stage_assert_runs (&stage, 2);
  stage_assert_rests (&stage);
  stage_assert_runs (&stage, 2);
  stage_assert_sleeps (&stage);
  stage_assert_order (&stage, 6);
  g_main_context_release (first);
  g_main_context_unref (first);
  stage_clear (&stage);
}

static void
unref_inside (Task *task)
{
  aio_context_unref (task->stage->context);
}

/* Dispatched by a foreign loop, or by a shell that was attached by hand. */
static void
end_inside (gboolean by_shell)
{
  Stage stage;

  stage_init_by_hand (&stage, 4, 0);
  aio_context_detach (stage.context);
  aio_context_set_budget (stage.context, 2, 0);
  if (by_shell)
    g_source_attach (aio_context_get_source (stage.context), stage.main_context);
  stage.tasks[0].act = unref_inside;
  for (guint i = 0; i < stage.n_tasks; i++)
    aio_context_post (stage.context, task_run, &stage.tasks[i], task_destroyed);
  if (by_shell)
    stage_assert_runs (&stage, 2);
  else
    g_assert_true (aio_context_dispatch (stage.context));
  stage_assert_order (&stage, 2);
  for (guint i = 0; i < stage.n_tasks; i++)
    g_assert_cmpuint (stage.tasks[i].n_destroyed, ==, 1);
  stage.context = NULL;
  stage_assert_sleeps (&stage);
  stage_clear (&stage);
}

static void
test_end_inside (void)
{
  g_test_summary ("C16, C23: the last reference goes in a turn that is cut short");
  end_inside (FALSE);
  end_inside (TRUE);
}

static void
test_shell_by_hand (void)
{
  Stage stage;

  g_test_summary ("C16: a shell that was attached by hand keeps to the budget");
  stage_init_by_hand (&stage, 5, 0);
  aio_context_detach (stage.context);
  g_source_attach (aio_context_get_source (stage.context), stage.main_context);
  aio_context_set_budget (stage.context, 3, 0);
  stage_schedule_all (&stage);
  stage_assert_runs (&stage, 3);
  stage_assert_rests (&stage);
  stage_assert_runs (&stage, 2);
  stage_assert_sleeps (&stage);
  stage_clear (&stage);
}

/* --- Every kind of work gets its turn --------------------------------------------------------- */

#define TURNS 6

static void
stage_add_fd (Stage *stage,
              guint  i)
{
  Task *task = &stage->tasks[i];

  open_pipe (task->fds);
  put (task->fds[1]);
  aio_context_set_fd_handler (stage->context, task->fds[0], task_run, NULL, task);
}

static void
stage_add_timer (Stage *stage,
                 guint  i)
{
  Task *task = &stage->tasks[i];

  task->timer = aio_timer_new (stage->context, AIO_CLOCK_MONOTONIC, task_run, task, NULL);
  task->act = rearm_in_the_past;
  rearm_in_the_past (task);
}

static guint
fewest_runs (Stage *stage)
{
  guint n = G_MAXUINT;

  for (guint i = 0; i < stage->n_tasks; i++)
    n = MIN (n, stage->tasks[i].n_runs);
  return n;
}

/* So many of each kind, all of which have always something to do. */
static void
mix_kinds (Loop  *loop,
           guint  limit,
           guint  n_bhs,
           guint  n_fds,
           guint  n_timers)
{
  Stage stage;
  guint n_iterations = 0;

  stage_init_loop (&stage, loop, n_bhs + n_fds + n_timers);
  aio_context_set_budget (loop->context, limit, 0);
  for (guint i = 0; i < stage.n_tasks; i++)
    {
      if (i >= n_bhs + n_fds)
        stage_add_timer (&stage, i);
      else if (i >= n_bhs)
        stage_add_fd (&stage, i);
      else
        stage_add_bh (&stage, i);
    }
  for (guint i = 0; i < n_bhs; i++)
    {
      stage.tasks[i].act = schedule_itself;
      aio_bh_schedule (stage.tasks[i].bh);
    }
  while (stage.n_tasks != 0 && fewest_runs (&stage) < TURNS)
    {
      guint before = stage.order->len;

      loop_turn (loop, TRUE);
      if (loop->way != WAY_POLL)
        g_assert_cmpuint (stage.order->len - before, <=, limit);
      if (n_iterations++ > 1000)
        g_error ("budget %u: of %u bottom halves, %u descriptors and %u timers one never runs",
                 limit, n_bhs, n_fds, n_timers);
    }
  stage_clear (&stage);
  aio_test_moved ();
}

static void
test_kinds (Loop *loop)
{
  guint limits[] = { 1, 3 };

  g_test_summary ("C16: no kind of work keeps another one waiting, however many there are of each");
  for (guint i = 0; i < G_N_ELEMENTS (limits); i++)
    {
      guint n = limits[i];
      guint counts[] = { 0, 1, n, 2 * n + 1 };

      for (guint mix = 0; mix < 64; mix++)
        mix_kinds (loop, n, counts[mix % 4], counts[mix / 4 % 4], counts[mix / 16]);
    }
}

/* Too slow for the budget, so nothing else fits into its turn. */
static void
burn_and_schedule_itself (Task *task)
{
  gint64 end = g_get_monotonic_time () + 10;

  while (g_get_monotonic_time () < end)
    continue;
  aio_bh_schedule (task->bh);
}

static void
test_slow_kind (Loop *loop)
{
  Stage stage;
  guint n_iterations = 0;

  g_test_summary ("C16: one slow bottom half, over and over, does not keep a descriptor waiting");
  stage_init_loop (&stage, loop, 3);
  aio_context_set_budget (loop->context, 0, 5);
  stage_add_bh (&stage, 0);
  stage.tasks[0].act = burn_and_schedule_itself;
  aio_bh_schedule (stage.tasks[0].bh);
  stage_add_fd (&stage, 1);
  stage_add_timer (&stage, 2);
  while (fewest_runs (&stage) < TURNS)
    {
      loop_turn (loop, TRUE);
      g_assert_cmpuint (n_iterations++, <, 1000);
    }
  stage_clear (&stage);
}

/* One task that has more to do whenever it has run. Its turns use the budget up and leave nothing
 * of the pass, so they are not cut short; all the same they have to give way. */
static void
assert_gives_way (Stage *stage)
{
  for (guint turns = 1; turns <= TURNS; turns++)
    {
      g_assert_cmpuint (stage_step (stage).n_ran, ==, 1);
      stage_assert_rests (stage);
    }
  stage_clear (stage);
}

static void
test_whole_turn (void)
{
  Stage stage;

  g_test_summary ("C16: a dispatch that uses the budget up and has more to do sits one out, too");
  stage_init_by_hand (&stage, 1, 0);
  aio_context_set_budget (stage.context, 0, 5);
  stage_add_bh (&stage, 0);
  stage.tasks[0].act = burn_and_schedule_itself;
  aio_bh_schedule (stage.tasks[0].bh);
  assert_gives_way (&stage);

  stage_init_by_hand (&stage, 1, 1);
  stage_add_fd (&stage, 0);
  assert_gives_way (&stage);

  stage_init_by_hand (&stage, 1, 1);
  stage_add_timer (&stage, 0);
  assert_gives_way (&stage);
}

/* --- A handler with two callbacks ------------------------------------------------------------- */

static void
assert_both_run (Loop *loop,
                 guint limit)
{
  Watch watches[3] = { { 0 } };
  int fds[3][2];
  guint total = 0;
  guint fewest = 0;

  aio_context_set_budget (loop->context, limit, 0);
  for (guint i = 0; i < 3; i++)
    {
      open_pair (fds[i]);
      put (fds[i][1]);
      watches[i] = (Watch) { .loop = loop, .fd = fds[i][0] };
      watch_set (&watches[i], TRUE, TRUE);
    }
  for (guint n = 0; n < 1000 && fewest < TURNS; n++)
    {
      guint before = total;

      loop_turn (loop, TRUE);
      total = 0;
      fewest = G_MAXUINT;
      for (guint i = 0; i < 3; i++)
        {
          total += watches[i].n_read + watches[i].n_write;
          fewest = MIN (fewest, MIN (watches[i].n_read, watches[i].n_write));
        }
      if (loop->way != WAY_POLL)
        g_assert_cmpuint (total - before, <=, limit);
    }
  g_assert_cmpuint (fewest, ==, TURNS);
  for (guint i = 0; i < 3; i++)
    {
      watch_remove (&watches[i]);
      g_assert_cmpuint (watches[i].n_destroyed, ==, 1);
      close_both (fds[i]);
    }
}

static void
test_two_callbacks (Loop *loop)
{
  g_test_summary ("C16, C20: a descriptor that is readable and writable has two callbacks: each "
                  "counts, and both get their turn");
  for (guint limit = 1; limit <= 7; limit++)
    assert_both_run (loop, limit);
}

static void
detach_watched (Watch *watch)
{
  aio_context_detach (watch->loop->context);
}

static void
remove_watched (Watch *watch)
{
  watch_remove (watch);
}

/* What a turn has left between the two callbacks of a handler. */
static void
test_between_two (Loop *loop)
{
  Watch watch = { .loop = loop, .act = detach_watched };
  int fds[2];

  g_test_summary ("C16, C21: a turn that ends between the two callbacks of a descriptor");
  open_pair (fds);
  put (fds[1]);
  watch.fd = fds[0];
  watch_set (&watch, TRUE, TRUE);
  while (watch.n_read == 0)
    loop_turn (loop, TRUE);
  g_assert_cmpuint (watch.n_write, ==, 0);
  g_assert_cmpuint (aio_context_attach (loop->context, loop->main_context), !=, 0);
  watch.act = NULL;
  while (watch.n_write == 0)
    loop_turn (loop, TRUE);
  g_assert_cmpuint (watch.n_read, ==, 1);

  watch.act = remove_watched;
  aio_context_set_budget (loop->context, 1, 0);
  while (watch.n_destroyed == 0)
    loop_turn (loop, TRUE);
  g_assert_cmpuint (watch.n_read, ==, 2);
  g_assert_cmpuint (watch.n_write, ==, 1);
  close_both (fds);
}

/* --- Floods ----------------------------------------------------------------------------------- */

/* Two threads that post without an end; they only wait while a thousand of theirs are pending. */
typedef struct _Flood Flood;

typedef struct
{
  Flood *flood;
  atomic_uint n_pending;
  guint n_posted;
  guint n_ran;
  pthread_t thread;
} Producer;

struct _Flood
{
  AioContext *context;
  atomic_bool over;
  Producer producers[2];
};

typedef struct
{
  Producer *producer;
  guint number;
} Drop;

static void
drop_ran (gpointer data)
{
  Drop *drop = data;

  g_assert_cmpuint (drop->number, ==, drop->producer->n_ran);
  drop->producer->n_ran++;
}

static void
drop_free (gpointer data)
{
  Drop *drop = data;

  atomic_fetch_sub (&drop->producer->n_pending, 1);
  g_free (drop);
}

static void *
produce (void *data)
{
  Producer *producer = data;

  while (!atomic_load (&producer->flood->over))
    {
      Drop *drop;

      if (atomic_load (&producer->n_pending) > 1000)
        {
          g_usleep (50);
          continue;
        }
      drop = g_new (Drop, 1);
      *drop = (Drop) { producer, producer->n_posted++ };
      atomic_fetch_add (&producer->n_pending, 1);
      g_assert_true (aio_context_post (producer->flood->context, drop_ran, drop, drop_free));
    }
  return NULL;
}

static void
flood_begin (Flood      *flood,
             AioContext *context)
{
  *flood = (Flood) { .context = context };
  for (guint i = 0; i < 2; i++)
    {
      flood->producers[i].flood = flood;
      flood->producers[i].thread = thread_start (produce, &flood->producers[i]);
    }
}

static void
flood_stop (Flood *flood)
{
  atomic_store (&flood->over, TRUE);
  for (guint i = 0; i < 2; i++)
    thread_join (flood->producers[i].thread);
}

/* None was dropped, and none doubled. */
static void
flood_end (Flood *flood,
           Loop  *loop)
{
  flood_stop (flood);
  for (guint i = 0; i < 2; i++)
    {
      LOOP_WAIT (loop, flood->producers[i].n_ran == flood->producers[i].n_posted);
      g_assert_cmpuint (atomic_load (&flood->producers[i].n_pending), ==, 0);
    }
}

/* Bottom halves that never end. */
static void
torrent_begin (Stage *stage)
{
  stage_schedule_all (stage);
  for (guint i = 0; i < stage->n_tasks; i++)
    stage->tasks[i].act = schedule_itself;
}

/* A plain source of GLib. The one with a pace is always late, as the frame clock of a toolkit is
 * when a frame takes long. */
typedef struct
{
  GSource *source;
  guint n_turns;
  gint64 pace;                  /* us until it is ready again; 0: always */
} Neighbour;

static gboolean
neighbour_dispatch (GSource     *source,
                    GSourceFunc  callback,
                    gpointer     data)
{
  return callback (data);
}

static gboolean
neighbour_turn (gpointer data)
{
  Neighbour *neighbour = data;

  neighbour->n_turns++;
  if (neighbour->pace != 0)
    g_source_set_ready_time (neighbour->source, g_get_monotonic_time () + neighbour->pace);
  return G_SOURCE_CONTINUE;
}

static void
neighbour_begin (Neighbour    *neighbour,
                 GMainContext *main_context,
                 int           priority,
                 gint64        pace)
{
  static GSourceFuncs funcs = { NULL, NULL, neighbour_dispatch, NULL, NULL, NULL };

  *neighbour = (Neighbour) { .pace = pace };
  neighbour->source = pace != 0 ? g_source_new (&funcs, sizeof (GSource)) : g_idle_source_new ();
  g_source_set_priority (neighbour->source, priority);
  g_source_set_callback (neighbour->source, neighbour_turn, neighbour, NULL);
  if (pace != 0)
    g_source_set_ready_time (neighbour->source, 0);
  g_source_attach (neighbour->source, main_context);
}

static void
neighbour_end (Neighbour *neighbour)
{
  g_source_destroy (neighbour->source);
  g_source_unref (neighbour->source);
}

#define FRAMES 50

/* The numbers of GTK: G_PRIORITY_DEFAULT for input, 120 for its frame clock. */
static void
live_beside_flood (Loop  *loop,
                   guint  max_callbacks,
                   gint64 max_usec)
{
  Neighbour same, clock, idle;
  Flood flood;
  Stage stage;

  aio_context_set_budget (loop->context, max_callbacks, max_usec);
  stage_init_loop (&stage, loop, 10);
  torrent_begin (&stage);
  flood_begin (&flood, loop->context);
  neighbour_begin (&same, loop->main_context, G_PRIORITY_DEFAULT, 0);
  LOOP_WAIT (loop, same.n_turns >= FRAMES);
  neighbour_end (&same);
  neighbour_begin (&clock, loop->main_context, 120, 1000);
  neighbour_begin (&idle, loop->main_context, G_PRIORITY_DEFAULT_IDLE, 0);
  LOOP_WAIT (loop, clock.n_turns >= FRAMES && idle.n_turns >= FRAMES);
  LOOP_WAIT (loop, flood.producers[0].n_ran >= FRAMES && flood.producers[1].n_ran >= FRAMES);
  g_assert_cmpuint (fewest_runs (&stage), >, 0);
  neighbour_end (&clock);
  neighbour_end (&idle);
  stage_clear (&stage);
  flood_end (&flood, loop);
}

static void
test_flood (Loop *loop)
{
  g_test_summary ("C16, C3: beside a flood from two threads each source gets its turn, at the same "
                  "and at lower priority; and of the flood nothing is dropped or doubled");
  live_beside_flood (loop, 64, 0);
  aio_test_moved ();
  live_beside_flood (loop, 0, 200);
  aio_test_moved ();
  live_beside_flood (loop, 1, 1);
}

/* The phases show how often: the lower one after each cut, whatever else there is. */
static void
test_turn_about (void)
{
  Neighbour low;
  Stage stage;

  g_test_summary ("C16: a source of lower priority runs after each dispatch that was cut short");
  stage_init_by_hand (&stage, 3, 2);
  torrent_begin (&stage);
  neighbour_begin (&low, stage.main_context, G_PRIORITY_LOW, 0);
  for (guint i = 1; i <= FRAMES; i++)
    {
      g_assert_true (stage_step (&stage).prepared);
      g_assert_cmpuint (stage.order->len, ==, 2 * i);
      g_assert_cmpuint (low.n_turns, ==, i - 1);
      g_assert_true (stage_step (&stage).prepared);
      g_assert_cmpuint (stage.order->len, ==, 2 * i);
      g_assert_cmpuint (low.n_turns, ==, i);
    }
  neighbour_end (&low);
  stage_clear (&stage);
}

/* --- Several contexts in one GMainContext ----------------------------------------------------- */

#define N_FELLOWS 3

/* Which of them begins when is in the bits of the number. */
static void
share_main_context (guint begins,
                    guint n_fellows,
                    int   priority_step)
{
  GMainContext *main_context = g_main_context_new ();
  Stage stages[N_FELLOWS];
  Neighbour low;

  neighbour_begin (&low, main_context, G_PRIORITY_LOW, 0);
  for (guint i = 0; i < n_fellows; i++)
    {
      stage_init (&stages[i], aio_context_new (), 3);
      aio_context_set_budget (stages[i].context, 2, 0);
      aio_context_set_priority (stages[i].context, (int) i * priority_step);
      aio_context_attach (stages[i].context, main_context);
    }
  for (guint round = 0; round < 4; round++)
    {
      for (guint i = 0; i < n_fellows; i++)
        if ((begins >> 2 * i) % 4 == round)
          torrent_begin (&stages[i]);
      g_main_context_iteration (main_context, FALSE);
    }
  for (guint i = 0; i < n_fellows; i++)
    torrent_begin (&stages[i]);
  low.n_turns = 0;
  for (guint i = 0; i < 200; i++)
    g_main_context_iteration (main_context, FALSE);
  g_assert_cmpuint (low.n_turns, >=, 20);
  neighbour_end (&low);
  for (guint i = 0; i < n_fellows; i++)
    {
      g_assert_cmpuint (fewest_runs (&stages[i]), >=, 10);
      stage_clear_tasks (&stages[i]);
      g_free (stages[i].tasks);
      g_array_unref (stages[i].order);
      aio_context_detach (stages[i].context);
      aio_context_unref (stages[i].context);
    }
  g_main_context_unref (main_context);
}

static void
test_fellows (void)
{
  g_test_summary ("C16, C19: several contexts with a budget do not take turns for ever: what is of "
                  "lower priority gets its own, whenever each of them began");
  for (guint n_fellows = 2; n_fellows <= N_FELLOWS; n_fellows++)
    for (guint begins = 0; begins < 1u << 2 * n_fellows; begins++)
      {
        share_main_context (begins, n_fellows, 0);
        /* Each lower one gets in when the ones above it rest. */
        share_main_context (begins, n_fellows, 10);
        share_main_context (begins, n_fellows, -10);
      }
}

/* --- An I/O thread ---------------------------------------------------------------------------- */

static void
limit_busy_thread (gpointer data)
{
  AioContext *context = data;
  GError *error = NULL;

  aio_context_set_budget (context, 16, 100);
  g_assert_true (aio_context_set_busy_poll (context, 50000, &error));
  g_assert_no_error (error);
}

/* Within the thread: there a neighbour counts, and tells when it has had enough. */
typedef struct
{
  Neighbour low;
  atomic_bool enough;
} Guest;

static gboolean
guest_turn (gpointer data)
{
  Guest *guest = data;

  if (++guest->low.n_turns == FRAMES)
    atomic_store (&guest->enough, TRUE);
  return G_SOURCE_CONTINUE;
}

static void
test_io_thread (void)
{
  AioIOThread *thread = aio_io_thread_new ("limited", NULL);
  AioContext *context = aio_io_thread_get_context (thread);
  Guest guest = { .enough = FALSE };
  Flood flood;

  g_test_summary ("C16, C26: an I/O thread with a budget that polls busily, beside a flood; stop "
                  "runs what was posted before it");
  g_assert_true (aio_context_post (context, limit_busy_thread, context, NULL));
  flood_begin (&flood, context);
  guest.low.source = g_idle_source_new ();
  g_source_set_callback (guest.low.source, guest_turn, &guest, NULL);
  g_source_attach (guest.low.source, aio_io_thread_get_main_context (thread));
  while (!atomic_load (&guest.enough))
    g_usleep (1000);
  flood_stop (&flood);
  aio_io_thread_stop (thread);
  for (guint i = 0; i < 2; i++)
    g_assert_cmpuint (flood.producers[i].n_ran, ==, flood.producers[i].n_posted);
  neighbour_end (&guest.low);
  aio_io_thread_unref (thread);
}

/* With nothing to do it sleeps, also after a turn that was cut short. */
static void
wake_and_sleep (gpointer data)
{
  atomic_fetch_add ((atomic_uint *) data, 1);
}

static void
test_io_thread_sleeps (void)
{
  AioIOThread *thread = aio_io_thread_new ("limited", NULL);
  AioContext *context = aio_io_thread_get_context (thread);
  atomic_uint n = 0;

  g_test_summary ("C14, C15, C16: no wakeup is lost around a turn that was cut short");
  g_assert_true (aio_context_post (context, limit_busy_thread, context, NULL));
  for (guint round = 1; round <= 300; round++)
    {
      for (guint i = 0; i < 40; i++)
        g_assert_true (aio_context_post (context, wake_and_sleep, &n, NULL));
      while (atomic_load (&n) != 40 * round)
        sched_yield ();
      if (round % 30 == 0)
        g_usleep (1000);
    }
  aio_io_thread_unref (thread);
}

/* --- Misuse ----------------------------------------------------------------------------------- */

static void *
set_from_thread (void *data)
{
  aio_context_set_budget (data, 5, 0);
  return NULL;
}

static void
set_elsewhere (Task *task)
{
  thread_run (set_from_thread, task->stage->context);
}

static void
test_misuse (void)
{
  Reports reports;
  Stage stage;

  g_test_summary ("C28, C17: misuse of aio_context_set_budget() is reported and changes nothing");
  stage_init_by_hand (&stage, 6, 2);
  reports_begin (&reports);
  aio_context_set_budget (NULL, 3, 0);
  g_assert_cmpuint (reports.n, ==, 1);
  aio_context_set_budget (stage.context, 3, -1);
  g_assert_cmpuint (reports.n, ==, 2);
  aio_context_set_budget (stage.context, 0, G_MININT64);
  g_assert_cmpuint (reports.n, ==, 3);
  g_assert_true (reports_mention (&reports, "handy"));
  stage.tasks[0].act = set_elsewhere;
  stage_schedule_all (&stage);
  stage_assert_runs (&stage, 2);
  g_assert_cmpuint (reports.n, ==, 4);
  stage_assert_rests (&stage);
  stage_assert_runs (&stage, 2);
  g_assert_cmpuint (reports.n, ==, 4);
  reports_end (&reports);
  stage_clear (&stage);
}

static void
add_cases_by_hand (void)
{
  aio_test_add ("/budget/leftovers", test_leftovers);
  aio_test_add ("/budget/rest", test_rest);
  aio_test_add ("/budget/rest/without-check", test_rest_without_check);
  aio_test_add ("/budget/rest/pending", test_rest_and_pending);
  aio_test_add ("/budget/rest/notify", test_notify_in_rest);
  aio_test_add ("/budget/exact", test_exact);
  aio_test_add ("/budget/whole-turn", test_whole_turn);
  aio_test_add ("/budget/idle", test_idle);
  aio_test_add ("/budget/time", test_time);
  aio_test_add ("/budget/time-and-number", test_time_and_number);
  aio_test_add ("/budget/own-poll", test_own_poll);
  aio_test_add ("/budget/own-poll/goes-on", test_own_poll_goes_on);
  aio_test_add ("/budget/foreign-dispatch", test_foreign_dispatch);
  aio_test_add ("/budget/nested/poll", test_nested_poll);
  aio_test_add ("/budget/nested/iteration", test_nested_iteration);
  aio_test_add ("/budget/callback/detach", test_detach);
  aio_test_add ("/budget/callback/set", test_set_inside);
  aio_test_add ("/budget/callback/end", test_end_inside);
  aio_test_add ("/budget/move", test_move);
  aio_test_add ("/budget/shell-by-hand", test_shell_by_hand);
  aio_test_add ("/budget/turn-about", test_turn_about);
  aio_test_add ("/budget/fellows", test_fellows);
  aio_test_add ("/budget/io-thread", test_io_thread);
  aio_test_add ("/budget/io-thread/sleeps", test_io_thread_sleeps);
  aio_test_add ("/budget/misuse", test_misuse);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  add_cases_by_hand ();
  loop_test_add ("/budget/order", test_order);
  loop_test_add ("/budget/default", test_default);
  loop_test_add ("/budget/kinds", test_kinds);
  loop_test_add ("/budget/slow-kind", test_slow_kind);
  loop_test_add ("/budget/two-callbacks", test_two_callbacks);
  loop_test_add_way ("/budget/between-two", test_between_two, WAY_MAIN, FALSE);
  loop_test_add_main ("/budget/flood", test_flood);
  return g_test_run ();
}
