/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Iterations inside callbacks: they go on with the interrupted pass, and it goes on afterwards. */
#include "aio-test.h"

/* How a loop is iterated; with a GMainContext all of them can be mixed. */
typedef enum
{
  WAY_BH_POLL,
  WAY_POLL,
  WAY_POLL_BLOCKING,
  N_OWN_WAYS,
  WAY_MAIN = N_OWN_WAYS,
  WAY_MAIN_BLOCKING,
  N_WAYS
} Way;

typedef struct
{
  AioContext *context;
  GMainContext *main_context;
  Way outer;
  Way inner;
} Loop;

static gboolean
iterate (Loop *loop,
         Way   way)
{
  switch (way)
    {
    case WAY_BH_POLL:
      return aio_bh_poll (loop->context);
    case WAY_POLL:
      return aio_context_poll (loop->context, FALSE);
    case WAY_POLL_BLOCKING:
      return aio_context_poll (loop->context, TRUE);
    case WAY_MAIN:
      return g_main_context_iteration (loop->main_context, FALSE);
    case WAY_MAIN_BLOCKING:
    case N_WAYS:
      break;
    }
  return g_main_context_iteration (loop->main_context, TRUE);
}

static gboolean
iterate_inner (Loop *loop)
{
  return iterate (loop, loop->inner);
}

static void
all_pairs (Loop *loop,
           Way   n_ways,
           void (*func) (Loop *loop))
{
  for (loop->outer = 0; loop->outer < n_ways; loop->outer++)
    for (loop->inner = 0; loop->inner < n_ways; loop->inner++)
      {
        aio_test_moved ();
        func (loop);
      }
}

/* Runs a case with each pair of ways, the outer and the nested one. */
static void
all_ways (void (*func) (Loop *loop))
{
  Loop loop = { aio_context_new (), NULL, 0, 0 };

  all_pairs (&loop, N_OWN_WAYS, func);
  aio_context_unref (loop.context);

  loop.context = aio_context_new ();
  loop.main_context = g_main_context_new ();
  g_assert_cmpuint (aio_context_attach (loop.context, loop.main_context), !=, 0);
  all_pairs (&loop, N_WAYS, func);
  aio_context_detach (loop.context);
  aio_context_unref (loop.context);
  g_main_context_unref (loop.main_context);
}

/* ---- A chain: each callback iterates until the next one has run ---- */

#define MAX_LINKS 100

typedef struct _Chain Chain;

typedef struct
{
  Chain *chain;
  guint index;
  AioBH *bh;
  gboolean ended;
} Link;

typedef enum
{
  LINK_BH,
  LINK_IDLE,
  LINK_ONESHOT
} LinkKind;

struct _Chain
{
  Loop *loop;
  guint n;
  guint n_started;
  guint n_ended;
  Link links[MAX_LINKS];
};

static void
link_cb (gpointer data)
{
  Link *link = data;
  Chain *chain = link->chain;

  g_assert_cmpuint (link->index, ==, chain->n_started);
  chain->n_started++;
  if (link->index + 1 < chain->n)
    while (!link[1].ended)
      iterate_inner (chain->loop);
  g_assert_cmpuint (chain->n_ended, ==, chain->n - 1 - link->index);
  chain->n_ended++;
  link->ended = TRUE;
}

static void
link_schedule (Link     *link,
               LinkKind  kind)
{
  AioContext *context = link->chain->loop->context;

  if (kind == LINK_ONESHOT && link->index % 2 == 0)
    aio_bh_schedule_oneshot (context, link_cb, link);
  else if (kind == LINK_ONESHOT)
    aio_context_post (context, link_cb, link, NULL);
  else
    link->bh = aio_bh_new (context, link_cb, link);
  if (kind == LINK_IDLE)
    aio_bh_schedule_idle (link->bh);
  else if (kind == LINK_BH)
    aio_bh_schedule (link->bh);
}

static void
run_chain (Loop     *loop,
           guint     n,
           LinkKind  kind)
{
  Chain chain = { loop, n, 0, 0, { { NULL, 0, NULL, FALSE } } };
  guint i;

  for (i = 0; i < n; i++)
    {
      chain.links[i].chain = &chain;
      chain.links[i].index = i;
      link_schedule (&chain.links[i], kind);
    }
  while (!chain.links[0].ended)
    iterate (loop, loop->outer);
  g_assert_cmpuint (chain.n_started, ==, n);
  g_assert_cmpuint (chain.n_ended, ==, n);
  g_assert_cmpint (aio_bh_poll (loop->context), ==, 0);
  for (i = 0; i < n; i++)
    if (chain.links[i].bh != NULL)
      aio_bh_delete (chain.links[i].bh);
}

static void
chain_100 (Loop *loop)
{
  run_chain (loop, MAX_LINKS, LINK_BH);
}

static void
chain_oneshots (Loop *loop)
{
  run_chain (loop, MAX_LINKS, LINK_ONESHOT);
}

/* A blocking iteration may take 10 ms for an idle one, so the chain is short. */
static void
chain_idle (Loop *loop)
{
  run_chain (loop, 4, LINK_IDLE);
}

static void
test_chain (void)
{
  g_test_summary ("C13, R11: a hundred bottom halves of one pass, each iterates until the next "
                  "one has run; blocking too, because nothing of the pass is held back");
  all_ways (chain_100);
}

static void
test_chain_oneshots (void)
{
  g_test_summary ("C13, R11, C3: the same with one-shots and posts");
  all_ways (chain_oneshots);
}

static void
test_chain_idle (void)
{
  g_test_summary ("C13, R11, C5: the same with idle ones");
  all_ways (chain_idle);
}

/* ---- Written orders ---- */

static GString *trace;

/* A bottom half that writes its letter and then does what the case says. */
typedef struct _Actor Actor;

struct _Actor
{
  const char *letter;
  Loop *loop;
  AioBH *bh;
  void (*act) (Actor *actor);
  Actor *others;
};

enum
{
  A,
  B,
  C,
  D,
  E,
  N_ACTORS
};

static void
actor_cb (gpointer data)
{
  Actor *actor = data;

  g_string_append (trace, actor->letter);
  if (actor->act != NULL)
    actor->act (actor);
}

static void
actors_init (Actor *actors,
             Loop  *loop)
{
  static const char *const letters[] = { "a", "b", "c", "d", "e" };
  guint i;

  trace = g_string_new (NULL);
  for (i = 0; i < N_ACTORS; i++)
    {
      Actor actor = { letters[i], loop, NULL, NULL, actors };

      actors[i] = actor;
      actors[i].bh = aio_bh_new (loop->context, actor_cb, &actors[i]);
    }
}

static void
actors_clear (Actor *actors)
{
  guint i;

  for (i = 0; i < N_ACTORS; i++)
    aio_bh_delete (actors[i].bh);
  g_string_free (trace, TRUE);
  trace = NULL;
}

static void
schedule_abc (Actor *actors)
{
  aio_bh_schedule (actors[A].bh);
  aio_bh_schedule (actors[B].bh);
  aio_bh_schedule (actors[C].bh);
}

static void
assert_trace (const char *expected)
{
  g_assert_cmpstr (trace->str, ==, expected);
  g_string_truncate (trace, 0);
}

static void
nest_once (Actor *actor)
{
  g_string_append_c (trace, '(');
  g_assert_true (iterate_inner (actor->loop));
  g_string_append_c (trace, ')');
}

static void
schedule_d_and_nest (Actor *actor)
{
  aio_bh_schedule (actor->others[D].bh);
  nest_once (actor);
}

static void
oldest_first (Loop *loop)
{
  Actor actors[N_ACTORS];

  actors_init (actors, loop);
  actors[A].act = schedule_d_and_nest;
  schedule_abc (actors);
  g_assert_true (iterate (loop, loop->outer));
  assert_trace ("a(bcd)");
  actors[A].act = NULL;
  actors[B].act = schedule_d_and_nest;
  schedule_abc (actors);
  g_assert_true (iterate (loop, loop->outer));
  assert_trace ("ab(cd)");
  actors_clear (actors);
}

static void
test_oldest_first (void)
{
  g_test_summary ("C13, C4: a nested iteration goes on with the interrupted pass, oldest first, "
                  "then runs what the callback scheduled; the outer one finds nothing left");
  all_ways (oldest_first);
}

static void
schedule_e (Actor *actor)
{
  aio_bh_schedule (actor->others[E].bh);
}

static void
nested_boundary (Loop *loop)
{
  Actor actors[N_ACTORS];

  actors_init (actors, loop);
  actors[A].act = schedule_d_and_nest;
  actors[B].act = schedule_e;
  actors[D].act = schedule_e;
  schedule_abc (actors);
  iterate (loop, loop->outer);
  assert_trace ("a(bcd)");
  g_assert_true (aio_bh_is_scheduled (actors[E].bh));
  iterate (loop, loop->outer);
  assert_trace ("e");
  actors_clear (actors);
}

static void
test_nested_boundary (void)
{
  g_test_summary ("C4, C13: what is scheduled inside a nested pass runs neither in that pass nor "
                  "in the rest of the outer one, but in the next");
  all_ways (nested_boundary);
}

static void
nest_twice (Actor *actor)
{
  schedule_d_and_nest (actor);
  aio_bh_schedule (actor->others[C].bh);
  nest_once (actor);
}

static void
two_passes_inside (Loop *loop)
{
  Actor actors[N_ACTORS];

  actors_init (actors, loop);
  actors[A].act = nest_twice;
  actors[B].act = schedule_e;
  schedule_abc (actors);
  iterate (loop, loop->outer);
  assert_trace ("a(bcd)(ec)");
  g_assert_cmpint (aio_bh_poll (loop->context), ==, 0);
  actors_clear (actors);
}

static void
test_two_passes_inside (void)
{
  g_test_summary ("C13, C3: a second nested pass in the same callback goes on where the first "
                  "ended");
  all_ways (two_passes_inside);
}

/* a is interrupted by b, which is interrupted by c: each leaves something to the one inside it. */
static void
three_levels (Loop *loop)
{
  Actor actors[N_ACTORS];

  actors_init (actors, loop);
  actors[A].act = nest_once;
  actors[B].act = schedule_d_and_nest;
  schedule_abc (actors);
  aio_bh_schedule (actors[E].bh);
  iterate (loop, loop->outer);
  assert_trace ("a(b(ced))");
  g_assert_cmpint (aio_bh_poll (loop->context), ==, 0);
  actors_clear (actors);
}

static void
test_three_levels (void)
{
  g_test_summary ("C13: three levels, the innermost does what the two around it have left");
  all_ways (three_levels);
}

static gboolean
source_cb (gpointer data)
{
  g_string_append (trace, data);
  return G_SOURCE_REMOVE;
}

/* Adds a source that outdoes the context: the nested iteration runs nothing of the latter. */
static void
nest_over_source (Actor *actor)
{
  GSource *source = g_idle_source_new ();

  g_source_set_priority (source, aio_context_get_priority (actor->loop->context) - 1);
  g_source_set_callback (source, source_cb, "s", NULL);
  g_source_attach (source, actor->loop->main_context);
  g_source_unref (source);
  g_string_append_c (trace, '(');
  g_main_context_iteration (actor->loop->main_context, TRUE);
  g_string_append_c (trace, ')');
}

static void
test_outer_goes_on (void)
{
  Loop loop = { aio_context_new (), g_main_context_new (), WAY_MAIN, WAY_MAIN };
  Actor actors[N_ACTORS];

  g_test_summary ("C13, G3: the outer pass goes on with what a nested iteration has left, here "
                  "all of it, because a source of higher priority took the nested iterations");
  aio_context_attach (loop.context, loop.main_context);
  actors_init (actors, &loop);
  actors[A].act = nest_over_source;
  actors[B].act = nest_over_source;
  schedule_abc (actors);
  iterate (&loop, loop.outer);
  assert_trace ("a(s)b(s)c");
  g_assert_cmpint (aio_bh_poll (loop.context), ==, 0);

  actors[C].act = nest_once;
  schedule_abc (actors);
  aio_bh_schedule (actors[D].bh);
  iterate (&loop, loop.outer);
  assert_trace ("a(s)b(s)c(d)");
  actors_clear (actors);
  aio_context_detach (loop.context);
  aio_context_unref (loop.context);
  g_main_context_unref (loop.main_context);
}

static void
look_around (Actor *actor)
{
  guint32 timeout = 1000;

  g_assert_true (aio_bh_is_scheduled (actor->others[B].bh));
  g_assert_false (aio_bh_is_scheduled (actor->bh));
  aio_bh_update_timeout (actor->loop->context, &timeout);
  g_assert_cmpuint (timeout, ==, 0);
  g_assert_true (aio_bh_cancel (actor->others[B].bh));
  nest_once (actor);
  timeout = 1000;
  aio_bh_update_timeout (actor->loop->context, &timeout);
  g_assert_cmpuint (timeout, ==, 1000);
}

static void
state_inside (Loop *loop)
{
  Actor actors[N_ACTORS];

  actors_init (actors, loop);
  actors[A].act = look_around;
  schedule_abc (actors);
  iterate (loop, loop->outer);
  assert_trace ("a(c)");
  actors_clear (actors);
}

static void
test_state_inside (void)
{
  g_test_summary ("C13, C10, C6: what the interrupted pass still has to do is pending: it counts "
                  "for the timeout and can be cancelled");
  all_ways (state_inside);
}

/* ---- Entered again ---- */

typedef struct
{
  Loop *loop;
  AioBH *bh;
  guint depth;
  guint runs;
} Reentrant;

static void
reentrant_cb (gpointer data)
{
  Reentrant *reentrant = data;

  reentrant->runs++;
  if (++reentrant->depth < 100)
    {
      aio_bh_schedule (reentrant->bh);
      g_assert_true (iterate_inner (reentrant->loop));
      g_assert_cmpuint (reentrant->runs, ==, 100);
    }
  reentrant->depth--;
}

static void
reentered (Loop *loop)
{
  Reentrant reentrant = { .loop = loop };

  reentrant.bh = aio_bh_new (loop->context, reentrant_cb, &reentrant);
  aio_bh_schedule (reentrant.bh);
  g_assert_true (iterate (loop, loop->outer));
  g_assert_cmpuint (reentrant.runs, ==, 100);
  g_assert_cmpuint (reentrant.depth, ==, 0);
  g_assert_cmpint (aio_bh_poll (loop->context), ==, 0);
  aio_bh_delete (reentrant.bh);
}

static void
test_reentered (void)
{
  g_test_summary ("C13, C4: a callback may be entered again by an iteration inside it, here a "
                  "hundred times; what it schedules for itself runs in the nested pass");
  all_ways (reentered);
}

/* ---- A nested wait for another thread ---- */

typedef struct
{
  Loop *loop;
  AioBH *waiting;
  AioBH *answer;
  atomic_int waits;
  gboolean answered;
} Wait;

static void *
answer_thread (void *data)
{
  struct timespec nap = { 0, 1000000 };
  Wait *wait = data;

  while (atomic_load (&wait->waits) == 0)
    nanosleep (&nap, NULL);
  nanosleep (&nap, NULL);
  aio_bh_schedule (wait->answer);
  return NULL;
}

static void
answer_cb (gpointer data)
{
  Wait *wait = data;

  wait->answered = TRUE;
}

static void
waiting_cb (gpointer data)
{
  Wait *wait = data;

  atomic_store (&wait->waits, 1);
  while (!wait->answered)
    iterate_inner (wait->loop);
}

static void
nested_wait (Loop *loop)
{
  Wait wait = { .loop = loop };
  pthread_t thread;

  wait.waiting = aio_bh_new (loop->context, waiting_cb, &wait);
  wait.answer = aio_bh_new (loop->context, answer_cb, &wait);
  g_assert_cmpint (pthread_create (&thread, NULL, answer_thread, &wait), ==, 0);
  aio_bh_schedule (wait.waiting);
  iterate (loop, loop->outer);
  g_assert_true (wait.answered);
  pthread_join (thread, NULL);
  aio_bh_delete (wait.waiting);
  aio_bh_delete (wait.answer);
}

static void
test_nested_wait (void)
{
  g_test_summary ("C13, R2: an iteration inside a callback sleeps, and a schedule from another "
                  "thread, followed by silence, wakes it");
  all_ways (nested_wait);
}

/* ---- A GMainLoop inside a callback ---- */

static GMainLoop *inner_loop;

static void
run_inner_loop (Actor *actor)
{
  g_string_append_c (trace, '(');
  g_main_loop_run (inner_loop);
  g_string_append_c (trace, ')');
}

static void
quit_inner_loop (Actor *actor)
{
  g_main_loop_quit (inner_loop);
}

static void
test_main_loop (void)
{
  Loop loop = { aio_context_new (), g_main_context_new (), WAY_MAIN, WAY_MAIN };
  Actor actors[N_ACTORS];

  g_test_summary ("C13, C18, R11: a callback runs a GMainLoop, and the next bottom half of the "
                  "same pass ends it");
  inner_loop = g_main_loop_new (loop.main_context, FALSE);
  aio_context_attach (loop.context, loop.main_context);
  actors_init (actors, &loop);
  actors[A].act = run_inner_loop;
  actors[C].act = quit_inner_loop;
  schedule_abc (actors);
  aio_bh_schedule (actors[D].bh);
  iterate (&loop, WAY_MAIN_BLOCKING);
  assert_trace ("a(bcd)");
  g_assert_false (iterate (&loop, WAY_MAIN));
  actors_clear (actors);
  g_main_loop_unref (inner_loop);
  aio_context_detach (loop.context);
  aio_context_unref (loop.context);
  g_main_context_unref (loop.main_context);
}

/* ---- Idle work that iterates ---- */

static void
count (gpointer n)
{
  ++*(guint *) n;
}

static void
poll_once (gpointer context)
{
  aio_context_poll (context, FALSE);
}

static void
test_progress_inside_idle (void)
{
  AioContext *context = aio_context_new ();
  AioBH *idle = aio_bh_new (context, poll_once, context);
  guint n = 0;
  AioTimer timer;

  g_test_summary ("C9, C11, C13: what runs in an iteration that idle work makes is progress of the "
                  "outer iteration, too; of aio_bh_poll() only a bottom half is");

  aio_bh_schedule_idle (idle);
  aio_bh_schedule_oneshot (context, count, &n);
  g_assert_true (aio_context_poll (context, FALSE));
  aio_bh_schedule_idle (idle);
  aio_bh_schedule_oneshot (context, count, &n);
  g_assert_cmpint (aio_bh_poll (context), ==, 1);
  g_assert_cmpuint (n, ==, 2);

  aio_timer_init (&timer, context, AIO_CLOCK_VIRTUAL, count, &n);
  aio_bh_schedule_idle (idle);
  aio_timer_mod_ns (&timer, 0);
  g_assert_true (aio_context_poll (context, FALSE));
  aio_bh_schedule_idle (idle);
  aio_timer_mod_ns (&timer, 0);
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  g_assert_cmpuint (n, ==, 4);

  aio_bh_schedule_idle (idle);
  g_assert_false (aio_context_poll (context, FALSE));
  aio_timer_clear (&timer);
  aio_bh_delete (idle);
  aio_context_unref (context);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  aio_test_add ("/bh-nested/chain", test_chain);
  aio_test_add ("/bh-nested/chain-oneshots", test_chain_oneshots);
  aio_test_add ("/bh-nested/chain-idle", test_chain_idle);
  aio_test_add ("/bh-nested/oldest-first", test_oldest_first);
  aio_test_add ("/bh-nested/boundary", test_nested_boundary);
  aio_test_add ("/bh-nested/two-passes-inside", test_two_passes_inside);
  aio_test_add ("/bh-nested/three-levels", test_three_levels);
  aio_test_add ("/bh-nested/outer-goes-on", test_outer_goes_on);
  aio_test_add ("/bh-nested/state-inside", test_state_inside);
  aio_test_add ("/bh-nested/reentered", test_reentered);
  aio_test_add ("/bh-nested/wait", test_nested_wait);
  aio_test_add ("/bh-nested/main-loop", test_main_loop);
  aio_test_add ("/bh-nested/progress-inside-idle", test_progress_inside_idle);
  return g_test_run ();
}
