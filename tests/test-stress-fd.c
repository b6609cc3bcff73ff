/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors, timers, notifiers and bottom halves of several contexts in several threads, all at
 * once, and a thread that meddles with all of them. */
#include "loop-test.h"

/* --- A ring of contexts through which tokens travel ------------------------------------------- */

#define N_NODES  5
#define N_TOKENS 40

typedef struct _Ring Ring;

typedef struct
{
  Ring *ring;
  guint index;
  Loop loop;
  AioIOThread *io_thread;       /* NULL: a thread of our own drives the loop */
  AioContext *context;
  pthread_t thread;
  int fds[2];                   /* tokens come in at the first; the second is its predecessor's */
  AioContext *watched_by;       /* the meddler's */
  AioTimer timer;
  AioEventNotifier notifier;
  AioBH *bh;
  atomic_uint n_fired;
  atomic_uint n_rung;
  atomic_uint n_run;
  atomic_bool ready;
} Node;

struct _Ring
{
  Node nodes[N_NODES];
  guint n_wanted;
  atomic_uint n_hops;
  atomic_uint n_tickets;
  atomic_uint n_destroyed;
  atomic_bool over;
};

typedef struct
{
  Node *node;
  guint magic;
} Ticket;

#define MAGIC 0x7e57

static void
ticket_free (gpointer data)
{
  Ticket *ticket = data;

  g_assert_cmpuint (ticket->magic, ==, MAGIC);
  atomic_fetch_add (&ticket->node->ring->n_destroyed, 1);
  ticket->magic = 0;
  g_free (ticket);
}

/* Passes on what is there, a token at a time. Two contexts may do it at once for a moment, when the
 * meddler has just taken the descriptor from one to the other. */
static void
pass_on (gpointer data)
{
  Ticket *ticket = data;
  Node *node = ticket->node;
  Node *next = &node->ring->nodes[(node->index + 1) % N_NODES];
  guint i;

  g_assert_cmpuint (ticket->magic, ==, MAGIC);
  for (i = 0; i < 3 && take (node->fds[0]); i++)
    {
      atomic_fetch_add (&node->ring->n_hops, 1);
      put (next->fds[1]);
    }
  g_assert_cmpuint (ticket->magic, ==, MAGIC);
}

static void
watch_node (Node       *node,
            AioContext *context)
{
  Ticket *ticket = g_new (Ticket, 1);

  *ticket = (Ticket) { node, MAGIC };
  atomic_fetch_add (&node->ring->n_tickets, 1);
  g_assert_true (aio_context_set_fd_handler_full (context, node->fds[0], pass_on, NULL, NULL, NULL,
                                                  ticket, ticket_free, NULL));
  node->watched_by = context;
}

static void
unwatch_node (Node *node)
{
  aio_context_set_fd_handler (node->watched_by, node->fds[0], NULL, NULL, NULL);
}

static void
node_fired (gpointer data)
{
  Node *node = data;

  atomic_fetch_add (&node->n_fired, 1);
}

static void
node_run (gpointer data)
{
  Node *node = data;

  atomic_fetch_add (&node->n_run, 1);
}

static void
node_rung (AioEventNotifier *notifier)
{
  Node *node = (Node *) ((char *) notifier - G_STRUCT_OFFSET (Node, notifier));

  aio_event_notifier_test_and_clear (notifier);
  atomic_fetch_add (&node->n_rung, 1);
}

static void *
node_drive (void *data)
{
  Node *node = data;

  loop_init (&node->loop, node->index % N_WAYS, "node");
  node->context = node->loop.context;
  atomic_store (&node->ready, TRUE);
  LOOP_WAIT (&node->loop, atomic_load (&node->ring->over));
  return NULL;
}

static void
node_init (Node *node,
           Ring *ring,
           guint index)
{
  node->ring = ring;
  node->index = index;
  open_pipe (node->fds);
  g_assert_true (aio_event_notifier_init (&node->notifier, FALSE, NULL));
  if (index == N_NODES - 1)
    {
      node->io_thread = aio_io_thread_new ("node", NULL);
      node->context = aio_io_thread_get_context (node->io_thread);
    }
  else
    {
      node->thread = thread_start (node_drive, node);
      while (!atomic_load (&node->ready))
        g_usleep (100);
    }
  aio_timer_init (&node->timer, node->context, index % AIO_CLOCK_VIRTUAL, node_fired, node);
  node->bh = aio_bh_new (node->context, node_run, node);
  aio_context_set_event_notifier (node->context, &node->notifier, node_rung, NULL, NULL);
  watch_node (node, node->context);
}

static void
node_stop (Node *node)
{
  if (node->io_thread != NULL)
    aio_io_thread_stop (node->io_thread);
  else
    {
      aio_context_notify (node->context);
      thread_join (node->thread);
    }
}

/* Whatever is left runs before its destroy notifies are counted. */
static void
node_clear (Node *node)
{
  guint i;

  aio_context_set_event_notifier (node->context, &node->notifier, NULL, NULL, NULL);
  aio_event_notifier_clear (&node->notifier);
  aio_timer_clear (&node->timer);
  aio_bh_delete (node->bh);
  if (node->io_thread == NULL && node->loop.main_context != NULL)
    aio_context_detach (node->context);
  for (i = 0; i < 3; i++)
    aio_context_poll (node->context, FALSE);
}

static void
node_free (Node *node)
{
  if (node->io_thread != NULL)
    aio_io_thread_unref (node->io_thread);
  else
    loop_clear (&node->loop);
  close_both (node->fds);
}

/* Each deed is done to one node by the one thread that does any. */
static void
meddle (Ring   *ring,
        guint32 random)
{
  Node *node = &ring->nodes[random % N_NODES];
  Node *other = &ring->nodes[random / 8 % N_NODES];
  gint64 now;

  switch (random / 64 % 9)
    {
    case 0:
      watch_node (node, node->watched_by);
      break;
    case 1:
      unwatch_node (node);
      watch_node (node, other->context);
      break;
    case 2:
      now = aio_context_get_time_ns (node->context, node->index % AIO_CLOCK_VIRTUAL);
      aio_timer_mod_ns (&node->timer, now + random / 1024 % 100000);
      break;
    case 3:
      aio_timer_mod_anticipate_ns (&node->timer, 0);
      break;
    case 4:
      aio_timer_del_sync (&node->timer);
      break;
    case 5:
      aio_event_notifier_set (&node->notifier);
      break;
    case 6:
      aio_bh_schedule (node->bh);
      break;
    case 7:
      aio_context_notify (node->context);
      break;
    default:
      aio_bh_schedule_idle (node->bh);
    }
}

static guint
count_tokens (Ring *ring)
{
  guint i, n = 0;

  for (i = 0; i < N_NODES; i++)
    while (take (ring->nodes[i].fds[0]))
      n++;
  return n;
}

static void
test_ring (void)
{
  Ring *ring = g_new0 (Ring, 1);
  guint32 random = g_test_rand_int ();
  guint i;

  g_test_summary ("C20, C21, C22, C19, R16, R7, R17: tokens travel through pipes that contexts in "
                  "several threads watch, each driven in its own way, while a thread replaces the "
                  "handlers, hands the pipes from one context to another, arms and cancels: no "
                  "token is lost or doubled, none gets stuck, each destroy notify runs once");

  ring->n_wanted = g_test_thorough () ? 3000000 : 100000;
  for (i = 0; i < N_NODES; i++)
    node_init (&ring->nodes[i], ring, i);
  for (i = 0; i < N_TOKENS; i++)
    put (ring->nodes[i % N_NODES].fds[1]);
  for (i = 0; atomic_load (&ring->n_hops) < ring->n_wanted; i++)
    {
      random = random * 1664525 + 1013904223;
      meddle (ring, random >> 8);
      if (i % 64 == 0)
        g_usleep (random >> 25);
      aio_test_moved_to (atomic_load (&ring->n_hops));
    }
  atomic_store (&ring->over, TRUE);
  for (i = 0; i < N_NODES; i++)
    node_stop (&ring->nodes[i]);
  for (i = 0; i < N_NODES; i++)
    unwatch_node (&ring->nodes[i]);
  for (i = 0; i < N_NODES; i++)
    node_clear (&ring->nodes[i]);
  g_assert_cmpuint (count_tokens (ring), ==, N_TOKENS);
  g_assert_cmpuint (atomic_load (&ring->n_destroyed), ==, atomic_load (&ring->n_tickets));
  for (i = 0; i < N_NODES; i++)
    node_free (&ring->nodes[i]);
  g_free (ring);
}

/* --- Contexts that do not live long ----------------------------------------------------------- */

#define N_MAKERS 3

typedef struct
{
  guint index;
  guint rounds;
  int *shared;                  /* a pipe that is always readable, and all watch */
} Maker;

static void
read_nothing (gpointer data)
{
  ++*(guint *) data;
}

static void *
make_contexts (void *data)
{
  Maker *maker = data;
  guint i;

  for (i = 0; i < maker->rounds; i++)
    {
      Loop loop;
      int own[2];
      guint n_shared = 0, n_own = 0, n_fired = 0;
      AioTimer timer;

      loop_init (&loop, (i + maker->index) % N_WAYS, "brief");
      open_pipe (own);
      aio_timer_init (&timer, loop.context, i % AIO_CLOCK_VIRTUAL, read_nothing, &n_fired);
      aio_timer_mod_ns (&timer, i % 2 ? 0 : G_MAXINT64);
      aio_context_set_fd_handler (loop.context, maker->shared[0], read_nothing, NULL, &n_shared);
      aio_context_set_fd_handler (loop.context, own[0], read_nothing, NULL, &n_own);
      put (own[1]);
      LOOP_WAIT (&loop, n_shared > 1 && n_own > 1 && n_fired >= i % 2);
      aio_context_set_fd_handler (loop.context, own[0], NULL, NULL, NULL);
      aio_context_set_fd_handler (loop.context, maker->shared[0], NULL, NULL, NULL);
      aio_timer_clear (&timer);
      loop_clear (&loop);
      close_both (own);
      if (i % 64 == 0)
        aio_test_moved ();
    }
  return NULL;
}

static void
test_brief_contexts (void)
{
  pthread_t threads[N_MAKERS];
  Maker makers[N_MAKERS];
  int shared[2];
  guint i;

  g_test_summary ("C19, C27, C23: threads make and drop contexts with descriptors and timers, one "
                  "of which all watch; nothing of one reaches another, nothing stays open");

  open_pipe (shared);
  put (shared[1]);
  for (i = 0; i < N_MAKERS; i++)
    {
      makers[i] = (Maker) { i, g_test_thorough () ? 50000 : 500, shared };
      threads[i] = thread_start (make_contexts, &makers[i]);
    }
  for (i = 0; i < N_MAKERS; i++)
    thread_join (threads[i]);
  close_both (shared);
}

/* --- Very many -------------------------------------------------------------------------------- */

typedef struct
{
  int fds[2];
  guint n_read;
  guint n_fired;
  AioTimer timer;
} One;

static void
one_read (gpointer data)
{
  One *one = data;

  one->n_read++;
  take (one->fds[0]);
}

static void
one_fired (gpointer data)
{
  One *one = data;

  one->n_fired++;
}

static guint
how_many (void)
{
  struct rlimit limit;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  return MIN (limit.rlim_cur, 40000) / 2 - 100;
}

static void
test_very_many (Loop *loop)
{
  guint n = how_many ();
  One *ones = g_new0 (One, n);
  guint i, round, seen;

  g_test_summary ("C20, C22, R26: as many descriptors as the limit allows, and as many timers: "
                  "each is served, and no more than it asks for");

  for (i = 0; i < n; i++)
    {
      open_pipe (ones[i].fds);
      aio_context_set_fd_handler (loop->context, ones[i].fds[0], one_read, NULL, &ones[i]);
      aio_timer_init (&ones[i].timer, loop->context, AIO_CLOCK_MONOTONIC, one_fired, &ones[i]);
    }
  for (round = 1; round <= 2; round++)
    {
      gint64 now = aio_context_get_time_ns (loop->context, AIO_CLOCK_MONOTONIC);

      for (i = 0; i < n; i++)
        {
          put (ones[i].fds[1]);
          aio_timer_mod_ns (&ones[i].timer, now + (i * 7919) % n * 1000);
        }
      do
        {
          loop_turn (loop, TRUE);
          for (i = 0, seen = 0; i < n; i++)
            seen += ones[i].n_read + ones[i].n_fired;
          aio_test_moved_to (seen);
        }
      while (seen < 2 * n * round);
    }
  loop_pass (loop);
  for (i = 0; i < n; i++)
    {
      g_assert_cmpuint (ones[i].n_read, ==, 2);
      g_assert_cmpuint (ones[i].n_fired, ==, 2);
      aio_context_set_fd_handler (loop->context, ones[i].fds[0], NULL, NULL, NULL);
      aio_timer_clear (&ones[i].timer);
      close_both (ones[i].fds);
    }
  g_free (ones);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  aio_test_add ("/stress-fd/ring", test_ring);
  aio_test_add ("/stress-fd/brief-contexts", test_brief_contexts);
  loop_test_add_way ("/stress-fd/very-many", test_very_many, WAY_POLL, FALSE);
  loop_test_add_way ("/stress-fd/very-many", test_very_many, WAY_EPOLL, FALSE);
  if (!monitor_is_poll ())
    loop_test_add_way ("/stress-fd/very-many", test_very_many, WAY_MAIN, FALSE);
  return g_test_run ();
}
