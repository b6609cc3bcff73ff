/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Long runs in which every single wakeup counts: each event waits until the one before it was seen,
 * so that one that is lost stays lost, and the watchdog barks. */
#include "aio-test.h"

#define MAX_FDS       8
#define MAX_PRODUCERS 4

static int
scaled (int n_rounds)
{
  return g_test_thorough () ? 20 * n_rounds : n_rounds;
}

typedef struct _Arena Arena;

/* A thread with a bottom half of its own, in turn with the home thread. */
typedef struct
{
  Arena *arena;
  AioBH *bh;
  int goal;
  guint seed;
  atomic_int asked;             /* the number of the event that is on its way */
  atomic_int wanted;            /* the same, if it is a bare notification */
  atomic_int seen;              /* the number of the last one that has arrived */
} Producer;

struct _Arena
{
  AioContext *context;
  GMainContext *loop;
  Producer producers[MAX_PRODUCERS];
  guint n_producers;
  guint seed;
  int left;
  int depth;
  gboolean nests;
};

/* A bare notification came, which may have ended an iteration already. */
static gboolean
is_wanted (Producer *producer)
{
  return atomic_load (&producer->wanted) == atomic_load (&producer->seen) + 1;
}

static gboolean
is_any_wanted (Arena *arena)
{
  guint i;

  for (i = 0; i < arena->n_producers; i++)
    {
      if (is_wanted (&arena->producers[i]))
        return TRUE;
    }
  return FALSE;
}

static void
maybe_nest (Arena *arena)
{
  if (!arena->nests || arena->left == 0 || arena->depth == 3 || rand_r (&arena->seed) % 4 != 0 ||
      is_any_wanted (arena))
    return;

  /* While any are left one of them is on its way, so a blocking iteration will come back. */
  arena->depth++;
  if (rand_r (&arena->seed) % 2 == 0)
    aio_context_poll (arena->context, TRUE);
  else
    g_main_context_iteration (arena->loop, TRUE);
  arena->depth--;
}

static void
see (gpointer data)
{
  Producer *producer = data;

  /* An idle schedule that was to be promoted may have run before: then it runs twice. */
  if (atomic_load (&producer->seen) == atomic_load (&producer->asked))
    return;
  producer->arena->left--;
  atomic_fetch_add (&producer->seen, 1);
  maybe_nest (producer->arena);
}

static void *
produce (void *data)
{
  Producer *producer = data;
  int i, spin;

  for (i = 0; i < producer->goal; i++)
    {
      for (spin = rand_r (&producer->seed) % 512; spin > 0; spin--)
        atomic_signal_fence (memory_order_seq_cst);
      atomic_store (&producer->asked, i + 1);
      switch (rand_r (&producer->seed) % 4)
        {
        case 0:
          g_assert_true (aio_context_post (producer->arena->context, see, producer, NULL));
          break;
        case 1:
          aio_bh_schedule_idle (producer->bh);
          aio_bh_schedule (producer->bh);
          break;
        case 2:
          atomic_store (&producer->wanted, i + 1);
          aio_context_notify (producer->arena->context);
          break;
        default:
          aio_bh_schedule (producer->bh);
          break;
        }
      while (atomic_load (&producer->seen) == i)
        sched_yield ();
    }
  return NULL;
}

/* What bare notifications asked for. The next one may have come meanwhile, and have ended an
 * iteration that was nested in see(): nothing else will tell. */
static void
look_for_wanted (Arena *arena)
{
  guint i;

  while (is_any_wanted (arena))
    {
      for (i = 0; i < arena->n_producers; i++)
        {
          if (is_wanted (&arena->producers[i]))
            see (&arena->producers[i]);
        }
    }
}

static void
arena_init (Arena *arena,
            guint  n_producers,
            int    goal)
{
  guint i;

  *arena = (Arena) { .context = aio_context_new_full ("arena", NULL), .seed = n_producers };
  arena->loop = g_main_context_new ();
  g_assert_true (g_main_context_acquire (arena->loop));
  aio_context_attach (arena->context, arena->loop);
  arena->n_producers = n_producers;
  arena->left = n_producers * goal;
  for (i = 0; i < n_producers; i++)
    {
      Producer *producer = &arena->producers[i];

      *producer = (Producer) { .arena = arena, .goal = goal, .seed = i };
      producer->bh = aio_bh_new (arena->context, see, producer);
    }
}

static void
arena_clear (Arena *arena)
{
  guint i;

  for (i = 0; i < arena->n_producers; i++)
    {
      g_assert_cmpint (atomic_load (&arena->producers[i].seen), ==, arena->producers[i].goal);
      aio_bh_delete (arena->producers[i].bh);
    }
  aio_context_detach (arena->context);
  aio_context_unref (arena->context);
  g_main_context_release (arena->loop);
  g_main_context_unref (arena->loop);
}

typedef void (*WayFunc) (Arena *arena);

static void
run_arena (Arena         *arena,
           const WayFunc *ways,
           guint          n_ways)
{
  pthread_t threads[MAX_PRODUCERS];
  guint i;

  for (i = 0; i < arena->n_producers; i++)
    threads[i] = thread_start (produce, &arena->producers[i]);
  while (arena->left > 0)
    {
      aio_test_moved_to (arena->left);
      look_for_wanted (arena);
      if (arena->left > 0)
        ways[rand_r (&arena->seed) % n_ways] (arena);
    }
  for (i = 0; i < arena->n_producers; i++)
    thread_join (threads[i]);
}

/* Ways to iterate. */

static void
way_own (Arena *arena)
{
  aio_context_poll (arena->context, TRUE);
}

static void
way_own_look (Arena *arena)
{
  aio_context_poll (arena->context, FALSE);
}

static void
way_bh_poll (Arena *arena)
{
  aio_bh_poll (arena->context);
}

static void
way_loop (Arena *arena)
{
  g_main_context_iteration (arena->loop, TRUE);
}

static void
way_loop_look (Arena *arena)
{
  g_main_context_iteration (arena->loop, FALSE);
}

static void
way_pending (Arena *arena)
{
  g_main_context_pending (arena->loop);
}

/* A loop that is not GLib's own. */
typedef struct
{
  int priority;
  int timeout;
  int n_fds;
  GPollFD fds[MAX_FDS];
} Turn;

static void
turn_prepare (Turn  *turn,
              Arena *arena)
{
  g_main_context_prepare (arena->loop, &turn->priority);
  turn->n_fds = g_main_context_query (arena->loop, turn->priority, &turn->timeout, turn->fds,
                                      MAX_FDS);
}

static void
turn_finish (Turn  *turn,
             Arena *arena)
{
  g_main_context_check (arena->loop, turn->priority, turn->fds, turn->n_fds);
  g_main_context_dispatch (arena->loop);
}

static void
way_foreign (Arena *arena)
{
  Turn turn;

  turn_prepare (&turn, arena);
  g_poll (turn.fds, turn.n_fds, turn.timeout);
  turn_finish (&turn, arena);
}

static void
way_foreign_without_check (Arena *arena)
{
  Turn turn;

  turn_prepare (&turn, arena);
  g_poll (turn.fds, turn.n_fds, turn.timeout);
}

static void
way_foreign_without_poll (Arena *arena)
{
  Turn turn;

  turn_prepare (&turn, arena);
  g_poll (turn.fds, turn.n_fds, 0);
  turn_finish (&turn, arena);
}

static void
way_foreign_own_poll_between (Arena *arena)
{
  gboolean nests = arena->nests;
  Turn turn;

  turn_prepare (&turn, arena);
  aio_context_poll (arena->context, FALSE);
  /* Between its prepare and its poll nobody may iterate the GMainContext itself. */
  arena->nests = FALSE;
  look_for_wanted (arena);
  arena->nests = nests;
  if (arena->left > 0)
    g_poll (turn.fds, turn.n_fds, turn.timeout);
  turn_finish (&turn, arena);
}

static void
way_get_timeout (Arena *arena)
{
  GPollFD record = { .fd = aio_context_get_fd (arena->context), .events = G_IO_IN };
  gint64 timeout = aio_context_get_timeout_ns (arena->context);

  g_poll (&record, 1, timeout < 0 ? -1 : (int) ((timeout + 999999) / 1000000));
  aio_context_dispatch (arena->context);
}

static void
way_move (Arena *arena)
{
  aio_context_detach (arena->context);
  aio_context_attach (arena->context, arena->loop);
}

static const WayFunc one_way_own[] = { way_own };
static const WayFunc one_way_loop[] = { way_loop };
static const WayFunc one_way_foreign[] = { way_foreign };
static const WayFunc looks_between[] = {
  way_own, way_own_look, way_loop, way_loop_look, way_bh_poll,
};
static const WayFunc all_ways[] = {
  way_own, way_own_look, way_bh_poll, way_loop, way_loop_look, way_pending, way_foreign,
  way_foreign_without_check, way_foreign_without_poll, way_foreign_own_poll_between,
  way_get_timeout, way_move,
};

static void
run_ways (const WayFunc *ways,
          guint          n_ways,
          gboolean       nests)
{
  guint n_producers;

  for (n_producers = 1; n_producers <= MAX_PRODUCERS; n_producers += 3)
    {
      Arena arena;

      arena_init (&arena, n_producers, scaled (50000 / n_producers));
      arena.nests = nests;
      run_arena (&arena, ways, n_ways);
      arena_clear (&arena);
    }
}

static void
test_nested (void)
{
  g_test_summary ("R2, C13: BHs that run nested blocking polls, under one kind of loop each; one "
                  "scheduler, and four");

  run_ways (one_way_loop, G_N_ELEMENTS (one_way_loop), TRUE);
  run_ways (one_way_own, G_N_ELEMENTS (one_way_own), TRUE);
  run_ways (one_way_foreign, G_N_ELEMENTS (one_way_foreign), TRUE);
}

static void
test_looks_between (void)
{
  g_test_summary ("R5, R6: looks that do not block, between the sleeps, eat no wakeup");

  run_ways (looks_between, G_N_ELEMENTS (looks_between), FALSE);
}

static void
test_all_ways (void)
{
  g_test_summary ("C18, R2, R5, R6: any mixture of all the ways to iterate, flat and nested");

  run_ways (all_ways, G_N_ELEMENTS (all_ways), FALSE);
  run_ways (all_ways, G_N_ELEMENTS (all_ways), TRUE);
}

/* A signal handler is one of the producers, and interrupts the home thread wherever it is. */
static Producer *signalled;
static atomic_int n_signals;

static void
schedule_in_handler (int signum)
{
  atomic_store (&signalled->asked, atomic_fetch_add (&n_signals, 1) + 1);
  aio_bh_schedule (signalled->bh);
  aio_context_notify (signalled->arena->context);
}

static void *
send_signals (void *data)
{
  pthread_t home = *(pthread_t *) data;
  int i, n_rounds = signalled->goal;

  for (i = 0; i < n_rounds; i++)
    {
      pthread_kill (home, SIGUSR1);
      while (atomic_load (&signalled->seen) == i)
        sched_yield ();
    }
  return NULL;
}

static void
test_signals (void)
{
  struct sigaction action = { .sa_handler = schedule_in_handler };
  pthread_t self = pthread_self (), sender;
  Arena arena;

  g_test_summary ("C12, R25: a signal handler that interrupts the home thread anywhere is heard");

  arena_init (&arena, 1, scaled (20000));
  signalled = &arena.producers[0];
  sigaction (SIGUSR1, &action, NULL);
  sender = thread_start (send_signals, &self);
  while (arena.left > 0)
    {
      aio_test_moved_to (arena.left);
      all_ways[rand_r (&arena.seed) % G_N_ELEMENTS (all_ways)] (&arena);
    }
  thread_join (sender);
  signal (SIGUSR1, SIG_DFL);
  g_assert_cmpint (atomic_load (&n_signals), ==, signalled->goal);
  arena_clear (&arena);
}

/* Many contexts in one GMainContext. */

#define N_CONTEXTS 40

typedef struct
{
  AioContext *contexts[N_CONTEXTS];
  AioBH *bhs[N_CONTEXTS];
  atomic_int seen[N_CONTEXTS];
  atomic_int left;
  int n_rounds;
} Crowd;

static void
see_in_crowd (gpointer data)
{
  atomic_fetch_add ((atomic_int *) data, 1);
}

typedef struct
{
  Crowd *crowd;
  int first;
} Visitor;

static void *
visit_crowd (void *data)
{
  Visitor *visitor = data;
  Crowd *crowd = visitor->crowd;
  guint seed = visitor->first;
  int i, which, seen;

  /* Each visitor has every fourth context to itself. */
  for (i = 0; i < crowd->n_rounds; i++)
    {
      which = visitor->first + 4 * (rand_r (&seed) % (N_CONTEXTS / 4));
      seen = atomic_load (&crowd->seen[which]);
      aio_bh_schedule (crowd->bhs[which]);
      while (atomic_load (&crowd->seen[which]) == seen)
        sched_yield ();
    }
  if (atomic_fetch_sub (&crowd->left, 1) == 1)
    aio_context_notify (crowd->contexts[0]);
  return NULL;
}

static void
test_many_contexts (void)
{
  Crowd crowd = { .n_rounds = scaled (10000), .left = 4 };
  GMainContext *loop = g_main_context_new ();
  Visitor visitors[4];
  pthread_t threads[4];
  int i, total = 0;

  g_test_summary ("C19: forty contexts of different priorities in one GMainContext");

  for (i = 0; i < N_CONTEXTS; i++)
    {
      crowd.contexts[i] = aio_context_new ();
      crowd.bhs[i] = aio_bh_new (crowd.contexts[i], see_in_crowd, &crowd.seen[i]);
      aio_context_set_priority (crowd.contexts[i], i % 3 * 100 - 100);
      aio_context_attach (crowd.contexts[i], loop);
    }
  for (i = 0; i < 4; i++)
    {
      visitors[i] = (Visitor) { &crowd, i };
      threads[i] = thread_start (visit_crowd, &visitors[i]);
    }
  while (atomic_load (&crowd.left) > 0)
    {
      aio_test_moved_to (atomic_load (&crowd.left));
      g_main_context_iteration (loop, TRUE);
    }
  for (i = 0; i < 4; i++)
    thread_join (threads[i]);
  for (i = 0; i < N_CONTEXTS; i++)
    {
      total += atomic_load (&crowd.seen[i]);
      aio_bh_delete (crowd.bhs[i]);
      aio_context_unref (crowd.contexts[i]);
    }
  g_assert_cmpint (total, ==, 4 * crowd.n_rounds);
  g_main_context_unref (loop);
}

/* Many threads with one context each: a few tokens go round. */

#define N_THREADS 6
#define N_TOKENS  2

typedef struct
{
  AioIOThread *threads[N_THREADS];
  atomic_int over;
} Ring;

typedef struct
{
  Ring *ring;
  AioBH *bhs[N_THREADS];
  int at;
  int hops;
} Token;

static void
pass_token (gpointer data)
{
  Token *token = data;

  g_assert_true (aio_context_get_current () ==
                 aio_io_thread_get_context (token->ring->threads[token->at]));
  if (token->hops % 1024 == 0)
    aio_test_moved ();
  if (--token->hops == 0)
    {
      atomic_fetch_add (&token->ring->over, 1);
      return;
    }
  token->at = (token->at + 1) % N_THREADS;
  if (token->hops % 2 == 0)
    aio_bh_schedule (token->bhs[token->at]);
  else
    g_assert_true (aio_context_post (aio_io_thread_get_context (token->ring->threads[token->at]),
                                     pass_token, token, NULL));
}

static void
token_init (Token *token,
            Ring  *ring)
{
  int i;

  *token = (Token) { .ring = ring, .hops = scaled (50000) };
  for (i = 0; i < N_THREADS; i++)
    token->bhs[i] = aio_bh_new (aio_io_thread_get_context (ring->threads[i]), pass_token, token);
}

static void
test_many_threads (void)
{
  Ring ring = { .over = 0 };
  Token tokens[N_TOKENS];
  int i, j;

  g_test_summary ("C19: threads with one context each pass tokens round, all else is silent");

  for (i = 0; i < N_THREADS; i++)
    ring.threads[i] = aio_io_thread_new ("ring", NULL);
  for (i = 0; i < N_TOKENS; i++)
    {
      token_init (&tokens[i], &ring);
      aio_bh_schedule (tokens[i].bhs[0]);
    }
  while (atomic_load (&ring.over) < N_TOKENS)
    g_usleep (1000);
  for (i = 0; i < N_TOKENS; i++)
    {
      for (j = 0; j < N_THREADS; j++)
        aio_bh_delete (tokens[i].bhs[j]);
    }
  for (i = 0; i < N_THREADS; i++)
    aio_io_thread_unref (ring.threads[i]);
}

/* Two threads that sleep in their own polls. */
typedef struct
{
  AioContext *contexts[2];
  AioBH *bhs[2];
  int counts[2];
  int n_rounds;
} PingPong;

static void
take_ping (gpointer data)
{
  ++*(int *) data;
}

static void
play (PingPong *game,
      int       side)
{
  int i;

  for (i = 1; i <= game->n_rounds; i++)
    {
      if (side == 0)
        aio_bh_schedule (game->bhs[1]);
      while (game->counts[side] != i)
        aio_context_poll (game->contexts[side], TRUE);
      if (side == 1)
        aio_bh_schedule (game->bhs[0]);
      if (i % 1024 == 0)
        aio_test_moved ();
    }
}

static void *
play_second (void *data)
{
  play (data, 1);
  return NULL;
}

static void
test_ping_pong (void)
{
  PingPong game = { .n_rounds = scaled (20000) };
  pthread_t thread;
  int i;

  g_test_summary ("C11, C12, R4: two threads wake each other, and nothing else does");

  for (i = 0; i < 2; i++)
    {
      game.contexts[i] = aio_context_new ();
      game.bhs[i] = aio_bh_new (game.contexts[i], take_ping, &game.counts[i]);
    }
  thread = thread_start (play_second, &game);
  play (&game, 0);
  thread_join (thread);
  for (i = 0; i < 2; i++)
    {
      aio_bh_delete (game.bhs[i]);
      aio_context_unref (game.contexts[i]);
    }
}

/* The home moves between threads that sleep in turn. */
typedef struct
{
  Arena arena;
  atomic_int turn;
} Wanderer;

typedef struct
{
  Wanderer *wanderer;
  int number;
} Walker;

static void *
walk (void *data)
{
  Walker *walker = data;
  Wanderer *wanderer = walker->wanderer;
  Arena *arena = &wanderer->arena;
  gboolean over;

  do
    {
      while (atomic_load (&wanderer->turn) != walker->number)
        sched_yield ();
      if (arena->left % 256 == 0)
        aio_test_moved ();
      look_for_wanted (arena);
      if (arena->left > 0)
        aio_context_poll (arena->context, TRUE);
      over = arena->left == 0;
      atomic_store (&wanderer->turn, (walker->number + 1) % 3);
    }
  while (!over);
  return NULL;
}

static void
test_moving_home (void)
{
  Wanderer wanderer = { .turn = 0 };
  Walker walkers[3];
  pthread_t threads[3], producer;
  int i;

  g_test_summary ("C17, R5: three threads are home in turn; the wakeup finds the one that sleeps");

  arena_init (&wanderer.arena, 1, scaled (20000));
  aio_context_detach (wanderer.arena.context);
  producer = thread_start (produce, &wanderer.arena.producers[0]);
  for (i = 0; i < 3; i++)
    {
      walkers[i] = (Walker) { &wanderer, i };
      threads[i] = thread_start (walk, &walkers[i]);
    }
  for (i = 0; i < 3; i++)
    thread_join (threads[i]);
  thread_join (producer);
  arena_clear (&wanderer.arena);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  /* An I/O thread would make it, and GLib keeps it: not a descriptor that leaked. */
  g_main_context_default ();
  aio_test_add ("/stress-wakeup/nested", test_nested);
  aio_test_add ("/stress-wakeup/looks-between", test_looks_between);
  aio_test_add ("/stress-wakeup/all-ways", test_all_ways);
  aio_test_add ("/stress-wakeup/signals", test_signals);
  aio_test_add ("/stress-wakeup/many-contexts", test_many_contexts);
  aio_test_add ("/stress-wakeup/many-threads", test_many_threads);
  aio_test_add ("/stress-wakeup/ping-pong", test_ping_pong);
  aio_test_add ("/stress-wakeup/moving-home", test_moving_home);
  return g_test_run ();
}
