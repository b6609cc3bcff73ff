/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The windows of invoked functions, held open for as long as it takes. */
#include "invoke-test.h"
#include <aioctx-gsource/aio-context-private.h>

/* Where the thread stops, once. */
static __thread AioPausePoint held_at;
static __thread Gate *held_by;

static void
hold (AioPausePoint point)
{
  Gate *gate = held_by;

  if (gate == NULL || point != held_at)
    return;
  held_by = NULL;
  gate_pass (gate);
}

static void
hold_me_at (AioPausePoint  point,
            Gate          *gate)
{
  held_at = point;
  held_by = gate;
}

/* --- Lent ------------------------------------------------------------------------------------- */

typedef struct
{
  atomic_int *n_runs;
  int place;            /* among the runs */
} Run;

typedef struct
{
  AioContext *context;
  GMainContext *main_context;
  Run borrower;
  Run owner;
  Gate gate;
  atomic_int owner_tid;
  atomic_bool owner_is_back;
} Lent;

static gboolean
note_place (gpointer       data,
            GCancellable  *cancellable,
            GError       **error)
{
  Run *run = data;

  run->place = atomic_fetch_add (run->n_runs, 1) + 1;
  return TRUE;
}

static void *
borrow (void *data)
{
  Lent *lent = data;

  hold_me_at (AIO_PAUSE_BORROWED, &lent->gate);
  g_assert_true (aio_context_invoke_sync (lent->context, note_place, &lent->borrower, NULL, NULL));
  return NULL;
}

static void *
own (void *data)
{
  Lent *lent = data;

  g_assert_true (g_main_context_acquire (lent->main_context));
  atomic_store (&lent->owner_tid, gettid ());
  g_assert_true (aio_context_invoke_sync (lent->context, note_place, &lent->owner, NULL, NULL));
  g_main_context_release (lent->main_context);
  atomic_store (&lent->owner_is_back, TRUE);
  return NULL;
}

/* The owner comes when the context has been lent, as nobody was its owner yet. */
static void
test_lent_to_one (void)
{
  g_autoptr (GMainContext) main_context = g_main_context_new ();
  g_autoptr (AioContext) context = aio_context_new ();
  atomic_int n_runs = 0;
  Lent lent = { context, main_context, { &n_runs, 0 }, { &n_runs, 0 },
                GATE_INIT, 0, FALSE };
  pthread_t borrower, owner;

  g_test_summary ("C29, C17: the owner of the main loop waits while the context is lent");
  aio_context_attach (context, main_context);
  borrower = thread_start (borrow, &lent);
  gate_wait_reached (&lent.gate);
  owner = thread_start (own, &lent);
  while (atomic_load (&lent.owner_tid) == 0)
    sched_yield ();
  thread_wait_asleep (atomic_load (&lent.owner_tid));
  g_assert_false (atomic_load (&lent.owner_is_back));
  gate_open (&lent.gate);
  thread_join (borrower);
  thread_join (owner);
  g_assert_cmpint (lent.borrower.place, ==, 1);
  g_assert_cmpint (lent.owner.place, ==, 2);
  aio_context_detach (context);
}

/* --- A circle --------------------------------------------------------------------------------- */

/* A thread that is lent a context, and may call a function in another one meanwhile. */
typedef struct
{
  AioContext *context;
  AioContext *other;            /* NULL: it waits until inside is opened */
  Gate inside;
  Gate behind;                  /* where it stops when it has given the context back */
  atomic_int tid;
  pthread_t thread;
} Link;

static gboolean
link_inside (gpointer       data,
             GCancellable  *cancellable,
             GError       **error)
{
  Link *link = data;

  if (link->other != NULL)
    return aio_context_invoke_sync (link->other, do_nothing, NULL, NULL, error);
  gate_pass (&link->inside);
  hold_me_at (AIO_PAUSE_GIVEN_BACK, &link->behind);
  return TRUE;
}

static void *
link_run (void *data)
{
  Link *link = data;

  atomic_store (&link->tid, gettid ());
  g_assert_true (aio_context_invoke_sync (link->context, link_inside, link, NULL, NULL));
  return NULL;
}

static void
link_start (Link       *link,
            AioContext *context,
            AioContext *other)
{
  *link = (Link) { context, other, GATE_INIT, GATE_INIT, 0, 0 };
  link->thread = thread_start (link_run, link);
}

static void
link_start_asleep (Link       *link,
                   AioContext *context,
                   AioContext *other)
{
  link_start (link, context, other);
  while (atomic_load (&link->tid) == 0)
    sched_yield ();
  thread_wait_asleep (atomic_load (&link->tid));
}

/* Two of the three have been refused by somebody who is no part of the circle. */
static void
test_circle_of_loans (void)
{
  AioContext *contexts[3];
  Link former[3], links[3];
  guint i;

  g_test_summary ("C29: threads that wait for each other in a circle come to know who has the "
                  "context that they wait for");
  for (i = 0; i < 3; i++)
    contexts[i] = aio_context_new ();
  for (i = 1; i < 3; i++)
    {
      link_start (&former[i], contexts[i], NULL);
      gate_wait_reached (&former[i].inside);
    }
  link_start_asleep (&links[0], contexts[0], contexts[1]);
  for (i = 1; i < 3; i++)
    {
      gate_open (&former[i].inside);
      gate_wait_reached (&former[i].behind);
      link_start_asleep (&links[i], contexts[i], contexts[(i + 1) % 3]);
      gate_open (&former[i].behind);
      thread_join (former[i].thread);
    }
  for (i = 0; i < 3; i++)
    {
      thread_join (links[i].thread);
      aio_context_unref (contexts[i]);
    }
}

/* --- A circle that comes back ----------------------------------------------------------------- */

/* A plain thread, which is lent a context, and three I/O threads. */
typedef struct
{
  AioContext *lent;
  AioContext *a;
  AioContext *b;
  AioContext *aside;
  Gate in_plain;
  Gate in_b;
  Gate in_aside;
  atomic_int a_tid;
  atomic_int b_tid;
  atomic_int n_waits_of_b;
} Ring;

static gboolean
ring_call (Ring          *ring,
           AioContext    *context,
           AioInvokeFunc  func)
{
  g_assert_true (aio_context_invoke_sync (context, func, ring, NULL, NULL));
  return TRUE;
}

static gboolean
ring_in_aside (gpointer       data,
               GCancellable  *cancellable,
               GError       **error)
{
  gate_pass (&((Ring *) data)->in_aside);
  return TRUE;
}

/* In the plain thread: out of the circle for a while. */
static gboolean
ring_leave (gpointer       data,
            GCancellable  *cancellable,
            GError       **error)
{
  Ring *ring = data;

  return ring_call (ring, ring->aside, ring_in_aside);
}

static void
ring_b_waits (Ring *ring)
{
  atomic_store (&ring->b_tid, gettid ());
  atomic_fetch_add (&ring->n_waits_of_b, 1);
}

static gboolean
ring_in_b (gpointer       data,
           GCancellable  *cancellable,
           GError       **error)
{
  Ring *ring = data;

  gate_pass (&ring->in_b);
  ring_b_waits (ring);
  return ring_call (ring, ring->a, do_nothing);
}

static gboolean
ring_in_plain (gpointer       data,
               GCancellable  *cancellable,
               GError       **error)
{
  Ring *ring = data;

  gate_pass (&ring->in_plain);
  return ring_call (ring, ring->b, ring_in_b);
}

static gboolean
ring_in_a (gpointer       data,
           GCancellable  *cancellable,
           GError       **error)
{
  Ring *ring = data;

  atomic_store (&ring->a_tid, gettid ());
  return ring_call (ring, ring->lent, ring_in_plain);
}

static gboolean
ring_begin (gpointer       data,
            GCancellable  *cancellable,
            GError       **error)
{
  Ring *ring = data;

  return ring_call (ring, ring->a, ring_in_a);
}

static void *
ring_run (void *data)
{
  Ring *ring = data;

  ring_call (ring, ring->lent, ring_begin);
  return NULL;
}

static void
ring_call_from_b (gpointer data)
{
  Ring *ring = data;

  ring_b_waits (ring);
  ring_call (ring, ring->lent, ring_leave);
}

static void
ring_wait_for_b (Ring *ring,
                 int   n)
{
  while (atomic_load (&ring->n_waits_of_b) < n)
    sched_yield ();
  thread_wait_asleep (atomic_load (&ring->b_tid));
  thread_wait_asleep (atomic_load (&ring->a_tid));
}

/* The plain thread makes a call of a's, and within that waits for b; and while it waits it makes a
 * call of b's, within which it waits for somebody aside. Then b waits for a. That closes a circle
 * as soon as the one aside is done; and a alone can open it. */
static void
test_circle_comes_back (void)
{
  g_autoptr (AioIOThread) a = io_new ("a");
  g_autoptr (AioIOThread) b = io_new ("b");
  g_autoptr (AioIOThread) aside = io_new ("aside");
  g_autoptr (AioContext) lent = aio_context_new ();
  Ring ring = { lent, aio_io_thread_get_context (a), aio_io_thread_get_context (b),
                aio_io_thread_get_context (aside), GATE_INIT, GATE_INIT, GATE_INIT, 0, 0, 0 };
  pthread_t plain;

  g_test_summary ("C29: a circle that closes because a call within another is over is found");
  plain = thread_start (ring_run, &ring);
  gate_wait_reached (&ring.in_plain);
  g_assert_true (aio_context_post (ring.b, ring_call_from_b, &ring, NULL));
  ring_wait_for_b (&ring, 1);
  gate_open (&ring.in_plain);
  gate_wait_reached (&ring.in_b);
  gate_wait_reached (&ring.in_aside);
  gate_open (&ring.in_b);
  ring_wait_for_b (&ring, 2);
  gate_open (&ring.in_aside);
  thread_join (plain);
  io_settle (b);
}

/* --- Connecting ------------------------------------------------------------------------------- */

typedef struct
{
  AioContext *context;
  GCancellable *cancellable;
  Gate gate;
  guint n_destroyed;
  guint n_told;
} Connecting;

static gboolean
never (gpointer       data,
       GCancellable  *cancellable,
       GError       **error)
{
  g_assert_not_reached ();
}

static void
on_destroyed (gpointer data)
{
  ((Connecting *) data)->n_destroyed++;
}

static void
on_told (GObject      *source,
         GAsyncResult *result,
         gpointer      data)
{
  Connecting *connecting = data;
  GError *error = NULL;

  g_assert_false (aio_context_invoke_finish (connecting->context, result, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
  g_error_free (error);
  connecting->n_told++;
}

static void *
invoke (void *data)
{
  Connecting *connecting = data;

  hold_me_at (AIO_PAUSE_CONNECTED, &connecting->gate);
  aio_context_invoke_async (connecting->context, never, connecting, on_destroyed,
                            connecting->cancellable, on_told, connecting);
  return NULL;
}

static void
iterate_default (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    continue;
}

static gboolean
has_handlers (GCancellable *cancellable)
{
  return g_signal_has_handler_pending (cancellable,
                                       g_signal_lookup ("cancelled", G_TYPE_CANCELLABLE), 0, TRUE);
}

/* The result goes to the default main context, which another thread iterates than the one that
 * invokes. */
static void
test_cancelled_while_connecting (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  Connecting connecting = { context, cancellable, GATE_INIT, 0, 0 };
  pthread_t victim;

  g_test_summary ("C29: a cancel within invoke_async is told after that has returned, once");
  victim = thread_start (invoke, &connecting);
  gate_wait_reached (&connecting.gate);
  g_assert_true (has_handlers (cancellable));
  g_cancellable_cancel (cancellable);
  iterate_default ();
  g_assert_cmpuint (connecting.n_told, ==, 0);
  gate_open (&connecting.gate);
  thread_join (victim);
  iterate_default ();
  g_assert_cmpuint (connecting.n_told, ==, 1);
  g_assert_cmpuint (connecting.n_destroyed, ==, 1);
  g_assert_false (has_handlers (cancellable));
}

/* --- Behind a call that another thread has made ----------------------------------------------- */

typedef struct
{
  AioContext *context;          /* of nobody but the owner of main_context */
  GMainContext *main_context;
  AioContext *other;            /* of an I/O thread */
  Gate gate;
  atomic_int io_tid;
  atomic_int waiter_tid;
  gboolean ended;
  gboolean ended_in_time;
} Parting;

static void
note_ended (gpointer ended)
{
  *(gboolean *) ended = TRUE;
}

static gboolean
let_go (gpointer       context,
        GCancellable  *cancellable,
        GError       **error)
{
  aio_context_detach (context);
  return TRUE;
}

static gboolean
call_and_part (gpointer       data,
               GCancellable  *cancellable,
               GError       **error)
{
  Parting *parting = data;

  atomic_store (&parting->io_tid, gettid ());
  g_assert_true (aio_context_invoke_sync (parting->context, let_go, parting->context, NULL, NULL));
  aio_context_unref (parting->context);
  parting->ended_in_time = parting->ended;
  return TRUE;
}

static void *
own_and_call (void *data)
{
  Parting *parting = data;

  g_assert_true (g_main_context_acquire (parting->main_context));
  hold_me_at (AIO_PAUSE_GIVEN_BACK, &parting->gate);
  g_assert_true (aio_context_invoke_sync (parting->other, call_and_part, parting, NULL, NULL));
  g_main_context_release (parting->main_context);
  return NULL;
}

/* Whoever begins to wait makes all others look again. */
static void *
wait_too (void *data)
{
  Parting *parting = data;

  atomic_store (&parting->waiter_tid, gettid ());
  g_assert_true (aio_context_invoke_sync (parting->other, do_nothing, NULL, NULL, NULL));
  return NULL;
}

static void
test_parting (void)
{
  g_autoptr (GMainContext) main_context = g_main_context_new ();
  g_autoptr (AioIOThread) io_thread = io_new ("caller");
  Parting parting = { aio_context_new (), main_context, aio_io_thread_get_context (io_thread),
                      GATE_INIT, 0, 0, FALSE, FALSE };
  pthread_t owner, waiter;

  g_test_summary ("C29, C23: when a call returns, who made it in a circle has left the context: so "
                  "that ends with the caller's reference");
  aio_context_attach (parting.context, main_context);
  aio_bh_schedule_oneshot_full (parting.context, NULL, note_ended, &parting.ended, note_ended);
  owner = thread_start (own_and_call, &parting);
  gate_wait_reached (&parting.gate);
  waiter = thread_start (wait_too, &parting);
  while (atomic_load (&parting.waiter_tid) == 0)
    sched_yield ();
  thread_wait_asleep (atomic_load (&parting.waiter_tid));
  thread_wait_asleep (atomic_load (&parting.io_tid));
  gate_open (&parting.gate);
  thread_join (owner);
  thread_join (waiter);
  g_assert_true (parting.ended_in_time);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  /* Brings a worker thread of GLib's with it, whose descriptor stays. */
  g_type_ensure (G_TYPE_TASK);
  aio_pause_hook = hold;
  aio_test_add ("/invoke-pauses/lent-to-one", test_lent_to_one);
  aio_test_add ("/invoke-pauses/circle-of-loans", test_circle_of_loans);
  aio_test_add ("/invoke-pauses/circle-comes-back", test_circle_comes_back);
  aio_test_add ("/invoke-pauses/cancelled-while-connecting", test_cancelled_while_connecting);
  aio_test_add ("/invoke-pauses/parting", test_parting);
  return g_test_run ();
}
