/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Race windows held open: built against the library with pause points. At each point of the
 * protocol the thread that passes it is made to do, or to wait for, something else; then comes
 * silence, so that nothing repairs what was lost. */
#include "bh-test.h"

#include <aioctx-gsource/aio-pause-private.h>

/* What happens at the point, once. */
static void (*act_at_point) (void *data);
static void *act_data;
static atomic_int act_point = -1;
static atomic_uint n_acts;

static void
act_once (AioPausePoint point)
{
  int expected = point;

  if (!atomic_compare_exchange_strong (&act_point, &expected, -1))
    return;
  atomic_fetch_add (&n_acts, 1);
  act_at_point (act_data);
}

static void
arm (AioPausePoint   point,
     void          (*act) (void *data),
     void           *data)
{
  act_at_point = act;
  act_data = data;
  atomic_store (&act_point, point);
}

static void
disarm (void)
{
  atomic_store (&act_point, -1);
}

/* ---- Every operation at every point ---- */

typedef enum
{
  OP_SCHEDULE,
  OP_IDLE,
  OP_CANCEL,
  OP_SCHEDULE_OTHER,
  OP_IDLE_OTHER,
  OP_NOTIFY,
  N_SIGNAL_OPS,
  OP_POST = N_SIGNAL_OPS,
  OP_ONESHOT,
  OP_DELETE,
  OP_DELETE_OTHER,
  N_OPS
} Op;

/* How the home thread comes to the point. */
typedef enum
{
  STYLE_AWAKE,          /* nobody sleeps, or is about to */
  STYLE_FOREIGN,        /* somebody else's loop: park, schedule, dispatch */
  STYLE_FOREIGN_MAIN,   /* the same with a GMainContext */
  STYLE_SLEEP,          /* it sleeps, and another thread schedules */
  STYLE_SLEEP_MAIN,
  N_STYLES
} Style;

typedef struct
{
  AioPausePoint point;
  Op op;
  Style style;
  AioContext *context;
  GMainContext *main_context;
  AioBH *target;
  AioBH *other;
  atomic_uint value;            /* relaxed: the schedule has to order it */
  atomic_int cancelled;
  atomic_int awake;             /* the home thread is back from its sleep */
  guint seen;
  guint runs;
  guint other_runs;
  guint shot_runs;
  guint destroyed;
  guint other_destroyed;
} Scene;

static void
target_cb (gpointer data)
{
  Scene *scene = data;

  scene->runs++;
  scene->seen = atomic_load_explicit (&scene->value, memory_order_relaxed);
}

static void
target_destroy (gpointer data)
{
  ((Scene *) data)->destroyed++;
}

static void
other_cb (gpointer data)
{
  ((Scene *) data)->other_runs++;
}

static void
other_destroy (gpointer data)
{
  ((Scene *) data)->other_destroyed++;
}

static void
shot_cb (gpointer data)
{
  ((Scene *) data)->shot_runs++;
}

static void
scene_op (void *data)
{
  Scene *scene = data;

  switch (scene->op)
    {
    case OP_SCHEDULE:
      atomic_store_explicit (&scene->value, 2, memory_order_relaxed);
      aio_bh_schedule (scene->target);
      break;
    case OP_IDLE:
      atomic_store_explicit (&scene->value, 2, memory_order_relaxed);
      aio_bh_schedule_idle (scene->target);
      break;
    case OP_CANCEL:
      atomic_store (&scene->cancelled, aio_bh_cancel (scene->target));
      break;
    case OP_SCHEDULE_OTHER:
      aio_bh_schedule (scene->other);
      break;
    case OP_IDLE_OTHER:
      aio_bh_schedule_idle (scene->other);
      break;
    case OP_NOTIFY:
      aio_context_notify (scene->context);
      break;
    case OP_POST:
      g_assert_true (aio_context_post (scene->context, shot_cb, scene, NULL));
      break;
    case OP_ONESHOT:
      aio_bh_schedule_oneshot (scene->context, shot_cb, scene);
      break;
    case OP_DELETE:
      aio_bh_delete (scene->target);
      break;
    case OP_DELETE_OTHER:
    case N_OPS:
      aio_bh_delete (scene->other);
      break;
    }
}

static void *
scene_op_thread (void *data)
{
  scene_op (data);
  return NULL;
}

static void
scene_op_in_thread (void *data)
{
  thread_run (scene_op_thread, data);
}

/* The last value was seen, unless a cancel or delete came before it. */
static gboolean
target_is_settled (Scene *scene)
{
  if (scene->op == OP_DELETE)
    return scene->destroyed == 1;
  if (scene->op == OP_CANCEL && atomic_load (&scene->cancelled) == 1)
    return TRUE;
  return scene->seen == atomic_load_explicit (&scene->value, memory_order_relaxed);
}

static gboolean
scene_is_settled (Scene *scene)
{
  if (atomic_load (&act_point) != -1 || !target_is_settled (scene))
    return FALSE;
  if (scene->op == OP_SCHEDULE_OTHER || scene->op == OP_IDLE_OTHER)
    return scene->other_runs == 1;
  if (scene->op == OP_POST || scene->op == OP_ONESHOT)
    return scene->shot_runs == 1;
  return scene->op != OP_DELETE_OTHER || scene->other_destroyed == 1;
}

static void
schedule_target (Scene *scene)
{
  atomic_store_explicit (&scene->value, 1, memory_order_relaxed);
  aio_bh_schedule (scene->target);
}

/* Where the schedule was undone the home thread may sleep on. */
static void *
wake_thread (void *data)
{
  Scene *scene = data;

  nap (300);
  schedule_target (scene);
  while (scene->op == OP_CANCEL && atomic_load (&scene->awake) == 0)
    {
      nap (200);
      if (atomic_load (&scene->cancelled) == 1)
        aio_context_notify (scene->context);
    }
  return NULL;
}

static gboolean
scene_iterate (Scene    *scene,
               gboolean  blocking)
{
  return scene->main_context != NULL ? g_main_context_iteration (scene->main_context, blocking)
                                     : aio_context_poll (scene->context, blocking);
}

static void
play_awake (Scene *scene)
{
  schedule_target (scene);
  scene_iterate (scene, FALSE);
}

/* Passes the point without ever sleeping. */
static void
play_foreign (Scene *scene)
{
  int priority;

  if (scene->main_context != NULL)
    {
      g_assert_true (g_main_context_acquire (scene->main_context));
      g_main_context_prepare (scene->main_context, &priority);
      g_main_context_release (scene->main_context);
    }
  else
    aio_context_get_timeout_ns (scene->context);
  schedule_target (scene);
  if (scene->main_context != NULL)
    g_main_context_iteration (scene->main_context, FALSE);
  else
    aio_context_dispatch (scene->context);
}

/* A point on the way to sleep is passed without any help; what is done there has to be enough to
 * end the sleep, if it can be. For the others somebody has to wake the thread. */
static gboolean
needs_waker (Scene *scene)
{
  return (scene->point != AIO_PAUSE_LOOKED && scene->point != AIO_PAUSE_RAISED) ||
         scene->op == OP_CANCEL || scene->op == OP_NOTIFY || scene->op == OP_DELETE_OTHER ||
         scene->op == OP_DELETE;
}

static void
play_sleep (Scene *scene)
{
  gboolean waker = needs_waker (scene);
  pthread_t thread;

  if (waker)
    g_assert_cmpint (pthread_create (&thread, NULL, wake_thread, scene), ==, 0);
  scene_iterate (scene, TRUE);
  atomic_store (&scene->awake, 1);
  if (waker)
    pthread_join (thread, NULL);
}

static void
scene_init (Scene *scene)
{
  scene->context = aio_context_new ();
  if (scene->style == STYLE_FOREIGN_MAIN || scene->style == STYLE_SLEEP_MAIN)
    {
      scene->main_context = g_main_context_new ();
      aio_context_attach (scene->context, scene->main_context);
    }
  scene->target = aio_bh_new_full (scene->context, "target", target_cb, scene, target_destroy);
  scene->other = aio_bh_new_full (scene->context, "other", other_cb, scene, other_destroy);
  aio_bh_ref (scene->target);
  aio_bh_ref (scene->other);
  scene_iterate (scene, FALSE);
}

static void
scene_clear (Scene *scene)
{
  aio_bh_delete (scene->target);
  aio_bh_delete (scene->other);
  g_assert_cmpuint (scene->destroyed, ==, 1);
  g_assert_cmpuint (scene->other_destroyed, ==, 1);
  aio_bh_unref (scene->target);
  aio_bh_unref (scene->other);
  if (scene->main_context != NULL)
    aio_context_detach (scene->context);
  aio_context_unref (scene->context);
  if (scene->main_context != NULL)
    g_main_context_unref (scene->main_context);
}

static void
scene_check (Scene *scene)
{
  g_assert_false (aio_bh_is_scheduled (scene->target));
  g_assert_false (aio_bh_is_scheduled (scene->other));
  g_assert_cmpint (aio_bh_poll (scene->context), ==, 0);
  g_assert_cmpuint (scene->other_runs, <=, 1);
  g_assert_cmpuint (scene->shot_runs, <=, 1);
  g_assert_cmpuint (scene->runs, <=, 2);
  if (scene->op == OP_CANCEL && atomic_load (&scene->cancelled) == 1)
    g_assert_cmpuint (scene->runs, ==, 0);
}

static void
play (AioPausePoint point,
      Op            op,
      Style         style,
      gboolean      by_thread)
{
  Scene scene = { .point = point, .op = op, .style = style };

  g_test_message ("point %d, operation %d, style %d, %s", point, op, style,
                  by_thread ? "by another thread" : "as a signal");
  scene_init (&scene);
  arm (point, by_thread ? scene_op_in_thread : scene_op, &scene);
  if (style == STYLE_AWAKE)
    play_awake (&scene);
  else if (style < STYLE_SLEEP)
    play_foreign (&scene);
  else
    play_sleep (&scene);
  /* Not every style comes by every point; none is left out by all of them, see play_all(). */
  disarm ();
  if (scene.op == OP_NOTIFY || atomic_load (&n_acts) != 0)
    while (!scene_is_settled (&scene))
      scene_iterate (&scene, TRUE);
  scene_iterate (&scene, FALSE);
  scene_check (&scene);
  scene_clear (&scene);
  aio_test_moved ();
}

static void
play_point (AioPausePoint point,
            gboolean      by_thread)
{
  guint acts = 0;
  Style style;
  Op op;

  for (op = 0; op < (by_thread ? N_OPS : N_SIGNAL_OPS); op++)
    for (style = 0; style < N_STYLES; style++)
      {
        atomic_store (&n_acts, 0);
        play (point, op, style, by_thread);
        acts += atomic_load (&n_acts);
      }
  g_assert_cmpuint (acts, >=, by_thread ? N_OPS : N_SIGNAL_OPS);
}

static void
test_signal_anywhere (void)
{
  AioPausePoint point;

  g_test_summary ("C1, C2: schedule, schedule_idle, cancel and notify at every point of "
                  "schedule, of falling asleep, waking and dispatch, in the thread that is just "
                  "there, as a signal handler would: nothing is lost and nothing hangs");
  for (point = 0; point <= AIO_PAUSE_RUN_ENDED; point++)
    play_point (point, FALSE);
}

static void
test_thread_anywhere (void)
{
  AioPausePoint point;

  g_test_summary ("C1, C2, C7, R3: another thread schedules, cancels, posts or deletes, and is "
                  "done with it, while one stands still at any point: no retry, no wait, nothing "
                  "lost, though nothing else happens afterwards");
  for (point = 0; point <= AIO_PAUSE_RUN_ENDED; point++)
    play_point (point, TRUE);
}

/* ---- A producer that is stopped half way ---- */

typedef struct
{
  AioContext *context;
  AioBH *first;
  AioBH *second;
  atomic_int held;
  atomic_int go;
  char trace[3];
  guint n;
} Held;

static void
hold (void *data)
{
  Held *held = data;

  atomic_store (&held->held, 1);
  spin_until (&held->go);
}

static void
first_cb (gpointer data)
{
  Held *held = data;

  held->trace[held->n++] = '1';
}

static void
second_cb (gpointer data)
{
  Held *held = data;

  held->trace[held->n++] = '2';
}

static void *
schedule_first_thread (void *data)
{
  aio_bh_schedule (((Held *) data)->first);
  return NULL;
}

static void
hold_at (AioPausePoint point)
{
  Held held = { .context = aio_context_new () };
  pthread_t thread;
  guint i;

  held.first = aio_bh_new (held.context, first_cb, &held);
  held.second = aio_bh_new (held.context, second_cb, &held);
  /* At one point nobody sleeps, at the others somebody does. */
  if (point != AIO_PAUSE_FLAG_SEEN)
    aio_context_get_timeout_ns (held.context);
  arm (point, hold, &held);
  g_assert_cmpint (pthread_create (&thread, NULL, schedule_first_thread, &held), ==, 0);
  spin_until (&held.held);
  aio_bh_schedule (held.second);
  for (i = 0; i < 5; i++)
    {
      aio_context_dispatch (held.context);
      aio_context_get_timeout_ns (held.context);
      aio_context_poll (held.context, FALSE);
    }
  /* Before its place is taken the first one delays nobody, and after its link is stored nobody. */
  g_assert_cmpstr (held.trace, ==, point == AIO_PAUSE_CLAIMED  ? "2"
                                   : point >= AIO_PAUSE_LINKED ? "12"
                                                               : "");
  atomic_store (&held.go, 1);
  while (held.n < 2)
    aio_context_poll (held.context, TRUE);
  g_assert_cmpstr (held.trace, ==, point == AIO_PAUSE_CLAIMED ? "21" : "12");
  pthread_join (thread, NULL);
  aio_bh_delete (held.first);
  aio_bh_delete (held.second);
  aio_context_unref (held.context);
}

static void
test_stopped_producer (void)
{
  AioPausePoint point;

  g_test_summary ("C1, C2, C3: a thread that is stopped inside schedule delays the entries "
                  "behind it, no more: others schedule, the home thread iterates, and the order "
                  "stays");
  for (point = AIO_PAUSE_CLAIMED; point <= AIO_PAUSE_WRITTEN; point++)
    hold_at (point);
}

/* ---- The callback drops everything while schedule is still on its way out (R8) ---- */

typedef enum
{
  LAST_BH,
  LAST_PROMOTED,
  LAST_ONESHOT,
  LAST_POST,
  N_LASTS
} Last;

typedef struct
{
  Last kind;
  AioContext *context;
  GMainContext *main_context;
  AioBH *bh;
  atomic_int held;
  atomic_int dropped;
  guint destroyed;
} Drop;

static void
drop_everything (gpointer data)
{
  Drop *drop = data;

  if (drop->bh != NULL)
    aio_bh_delete (drop->bh);
  if (drop->main_context != NULL)
    aio_context_detach (drop->context);
  aio_context_unref (drop->context);
  atomic_store (&drop->dropped, 1);
}

static void
drop_destroy (gpointer data)
{
  ((Drop *) data)->destroyed++;
}

/* Until the callback has dropped the references, and a while longer, for the finaliser. */
static void
linger (void *data)
{
  Drop *drop = data;

  atomic_store (&drop->held, 1);
  spin_until (&drop->dropped);
  nap (300);
}

static void *
send_last_thread (void *data)
{
  Drop *drop = data;

  if (drop->kind == LAST_ONESHOT)
    aio_bh_schedule_oneshot_full (drop->context, "last", drop_everything, drop, drop_destroy);
  else if (drop->kind == LAST_POST)
    aio_context_post (drop->context, drop_everything, drop, drop_destroy);
  else
    aio_bh_schedule (drop->bh);
  return NULL;
}

static void
drop_at (AioPausePoint point,
         Last          kind,
         gboolean      attached)
{
  Drop drop = { .kind = kind, .context = aio_context_new () };
  pthread_t thread;
  int priority;

  if (attached)
    {
      drop.main_context = g_main_context_new ();
      aio_context_attach (drop.context, drop.main_context);
    }
  if (kind == LAST_BH || kind == LAST_PROMOTED)
    drop.bh = aio_bh_new_full (drop.context, "last", drop_everything, &drop, drop_destroy);
  if (kind == LAST_PROMOTED)
    aio_bh_schedule_idle (drop.bh);
  if (attached)
    {
      g_assert_true (g_main_context_acquire (drop.main_context));
      g_main_context_prepare (drop.main_context, &priority);
      g_main_context_release (drop.main_context);
    }
  else if (point != AIO_PAUSE_FLAG_SEEN)
    aio_context_get_timeout_ns (drop.context);
  arm (point, linger, &drop);
  g_assert_cmpint (pthread_create (&thread, NULL, send_last_thread, &drop), ==, 0);
  spin_until (&drop.held);
  if (attached)
    g_main_context_iteration (drop.main_context, FALSE);
  else
    aio_context_dispatch (drop.context);
  g_assert_cmpint (atomic_load (&drop.dropped), ==, 1);
  g_assert_cmpuint (drop.destroyed, ==, 1);
  if (attached)
    g_main_context_unref (drop.main_context);
  pthread_join (thread, NULL);
}

static void
test_last_reference (void)
{
  Last kind;

  g_test_summary ("C1, R8: schedule and post end well though the callback has dropped the last "
                  "references to bottom half and context before they came to their end");
  for (kind = 0; kind < N_LASTS; kind++)
    {
      drop_at (AIO_PAUSE_LINKED, kind, FALSE);
      drop_at (AIO_PAUSE_WRITTEN, kind, FALSE);
      drop_at (AIO_PAUSE_LINKED, kind, TRUE);
      drop_at (AIO_PAUSE_WRITTEN, kind, TRUE);
    }
}

/* ---- cancel_sync against each step of a run ---- */

typedef struct
{
  AioContext *context;
  AioBH *bh;
  atomic_int called;
  atomic_int returned;
  gboolean result;
  guint runs;
} Sync;

static void *
cancel_sync_thread (void *data)
{
  Sync *sync = data;

  atomic_store (&sync->called, 1);
  sync->result = aio_bh_cancel_sync (sync->bh);
  atomic_store (&sync->returned, 1);
  return NULL;
}

static void
start_cancel_sync (void *data)
{
  Sync *sync = data;
  pthread_t thread;

  g_assert_cmpint (pthread_create (&thread, NULL, cancel_sync_thread, sync), ==, 0);
  pthread_detach (thread);
  spin_until (&sync->called);
  nap (3000);
}

static void
sync_cb (gpointer data)
{
  Sync *sync = data;

  sync->runs++;
  g_assert_cmpint (atomic_load (&sync->returned), ==, 0);
  nap (1000);
  g_assert_cmpint (atomic_load (&sync->returned), ==, 0);
}

static void
cancel_sync_at (AioPausePoint point)
{
  Sync sync = { .context = aio_context_new () };

  sync.bh = aio_bh_new (sync.context, sync_cb, &sync);
  arm (point, start_cancel_sync, &sync);
  aio_bh_schedule (sync.bh);
  aio_bh_poll (sync.context);
  spin_until (&sync.returned);
  g_assert_cmpuint (sync.runs, ==, sync.result ? 0 : 1);
  g_assert_cmpint (aio_bh_poll (sync.context), ==, 0);
  aio_bh_delete (sync.bh);
  aio_context_unref (sync.context);
}

static void
test_cancel_sync (void)
{
  guint round;

  g_test_summary ("C6: cancel_sync begins just before the entry is released, just after it, and "
                  "when the run is over: TRUE and no run, or the run is over when it returns; "
                  "and it returns without any further iteration");
  for (round = 0; round < 5; round++)
    {
      cancel_sync_at (AIO_PAUSE_RUN_BEGUN);
      cancel_sync_at (AIO_PAUSE_RELEASED);
      cancel_sync_at (AIO_PAUSE_RUN_ENDED);
    }
}

/* ---- Random naps at every point ---- */

static atomic_uint nap_seed;
static _Thread_local guint32 nap_random;

static void
nap_at_random (AioPausePoint point)
{
  struct timespec time = { 0, 0 };
  guint32 random;

  if (nap_random == 0)
    nap_random = atomic_fetch_add (&nap_seed, 0x9e3779b9u) | 1;
  random = next_random (&nap_random);
  if (random % 16 == 0)
    {
      time.tv_nsec = random / 16 % 20000;
      nanosleep (&time, NULL);
    }
  else if (random % 4 == 0)
    sched_yield ();
}

/* One bottom half, used by one thread; data may be a value to see, or the end. */
typedef struct
{
  AioContext *context;
  AioBH *bh;
  guint32 random;
  guint n_rounds;
  guint value;                  /* the thread's own count */
  atomic_uint written;
  atomic_uint seen;
  atomic_uint shots_sent;
  atomic_uint shots_run;
  atomic_uint destroyed;
  atomic_int valid;             /* the callback may run */
} Lane;

static atomic_uint lanes_left;

static void
lane_cb (gpointer data)
{
  Lane *lane = data;

  g_assert_cmpint (atomic_load (&lane->valid), ==, 1);
  atomic_store (&lane->seen, atomic_load_explicit (&lane->written, memory_order_relaxed));
}

static void
lane_destroy (gpointer data)
{
  atomic_fetch_add (&((Lane *) data)->destroyed, 1);
}

static void
lane_shot (gpointer data)
{
  Lane *lane = data;

  atomic_fetch_add (&lane->shots_run, 1);
}

static void
lane_new_bh (Lane *lane)
{
  lane->bh = aio_bh_ref (aio_bh_new_full (lane->context, "lane", lane_cb, lane, lane_destroy));
}

static void
lane_schedule (Lane    *lane,
               gboolean idle)
{
  atomic_store_explicit (&lane->written, ++lane->value, memory_order_relaxed);
  if (idle)
    aio_bh_schedule_idle (lane->bh);
  else
    aio_bh_schedule (lane->bh);
}

/* Waits for the destroy notify: nothing else happens in this lane until then. */
static void
lane_replace (Lane *lane)
{
  guint destroyed = atomic_load (&lane->destroyed);

  aio_bh_delete (lane->bh);
  while (atomic_load (&lane->destroyed) == destroyed)
    nap (1);
  aio_bh_unref (lane->bh);
  lane_new_bh (lane);
}

static void
lane_shoot (Lane *lane)
{
  atomic_fetch_add (&lane->shots_sent, 1);
  if (next_random (&lane->random) % 2 == 0)
    g_assert_true (aio_context_post (lane->context, lane_shot, lane, NULL));
  else
    aio_bh_schedule_oneshot (lane->context, lane_shot, lane);
}

static void
lane_step (Lane *lane)
{
  switch (next_random (&lane->random) % 8)
    {
    case 0:
      lane_schedule (lane, TRUE);
      break;
    case 1:
      aio_bh_cancel (lane->bh);
      break;
    case 2:
      aio_bh_cancel_sync (lane->bh);
      atomic_store (&lane->valid, 0);
      if (next_random (&lane->random) % 2 == 0)
        sched_yield ();
      atomic_store (&lane->valid, 1);
      break;
    case 3:
      lane_shoot (lane);
      break;
    case 4:
      if (next_random (&lane->random) % 4 == 0)
        lane_replace (lane);
      break;
    default:
      lane_schedule (lane, FALSE);
      break;
    }
}

static void *
lane_thread (void *data)
{
  Lane *lane = data;
  guint round, n;

  atomic_store (&lane->valid, 1);
  for (round = 0; round < lane->n_rounds; round++)
    {
      for (n = next_random (&lane->random) % 5; n > 0; n--)
        lane_step (lane);
      lane_schedule (lane, next_random (&lane->random) % 16 == 0);
      /* Silence. */
      while (atomic_load (&lane->seen) != lane->value || aio_bh_is_scheduled (lane->bh) ||
             atomic_load (&lane->shots_run) != atomic_load (&lane->shots_sent))
        nap (1);
      aio_test_moved ();
    }
  atomic_fetch_sub (&lanes_left, 1);
  aio_context_notify (lane->context);
  return NULL;
}

static void
run_lanes (guint         n_lanes,
           GMainContext *main_context)
{
  AioContext *context = aio_context_new ();
  Lane lanes[3] = { { .context = context } };
  pthread_t threads[3];
  guint i;

  if (main_context != NULL)
    aio_context_attach (context, main_context);
  aio_context_poll (context, FALSE);
  atomic_store (&lanes_left, n_lanes);
  for (i = 0; i < n_lanes; i++)
    {
      lanes[i].context = context;
      lanes[i].n_rounds = g_test_thorough () ? 50000 : 400;
      lanes[i].random = g_test_rand_int () | 1;
      lane_new_bh (&lanes[i]);
      g_assert_cmpint (pthread_create (&threads[i], NULL, lane_thread, &lanes[i]), ==, 0);
    }
  while (atomic_load (&lanes_left) != 0)
    {
      if (main_context != NULL)
        g_main_context_iteration (main_context, TRUE);
      else
        aio_context_poll (context, TRUE);
    }
  for (i = 0; i < n_lanes; i++)
    {
      pthread_join (threads[i], NULL);
      aio_bh_delete (lanes[i].bh);
      aio_bh_unref (lanes[i].bh);
    }
  if (main_context != NULL)
    aio_context_detach (context);
  aio_context_unref (context);
}

static void
test_random_naps (void)
{
  GMainContext *main_context = g_main_context_new ();
  guint n_lanes;

  g_test_summary ("C2, C6, C7, C8, R1, R9: one to three threads schedule, cancel, delete and "
                  "post, with random pauses at every point, and wait in silence for what must "
                  "come");
  atomic_store (&nap_seed, g_test_rand_int ());
  aio_pause_hook = nap_at_random;
  for (n_lanes = 1; n_lanes <= 3; n_lanes++)
    {
      run_lanes (n_lanes, NULL);
      run_lanes (n_lanes, main_context);
    }
  aio_pause_hook = act_once;
  g_main_context_unref (main_context);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  aio_pause_hook = act_once;
  aio_test_add ("/bh-pauses/signal-anywhere", test_signal_anywhere);
  aio_test_add ("/bh-pauses/thread-anywhere", test_thread_anywhere);
  aio_test_add ("/bh-pauses/stopped-producer", test_stopped_producer);
  aio_test_add ("/bh-pauses/last-reference", test_last_reference);
  aio_test_add ("/bh-pauses/cancel-sync", test_cancel_sync);
  aio_test_add ("/bh-pauses/random-naps", test_random_naps);
  return g_test_run ();
}
