/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* In which order bottom halves run, and in which pass. */
#include "bh-test.h"


/* ---- Written orders: each callback adds its letter to the trace ---- */

static GString *trace;

static void
note (gpointer letter)
{
  g_string_append (trace, letter);
}

static void
assert_trace (const char *expected)
{
  g_assert_cmpstr (trace->str, ==, expected);
  g_string_truncate (trace, 0);
}

/* The bottom halves a, b, c and d of one loop. */
typedef struct
{
  AioBH *a;
  AioBH *b;
  AioBH *c;
  AioBH *d;
} Letters;

static void
letters_init (Letters *letters,
              Loop    *loop)
{
  trace = g_string_new (NULL);
  letters->a = aio_bh_new (loop->context, note, "a");
  letters->b = aio_bh_new (loop->context, note, "b");
  letters->c = aio_bh_new (loop->context, note, "c");
  letters->d = aio_bh_new (loop->context, note, "d");
}

static void
letters_clear (Letters *letters)
{
  aio_bh_delete (letters->a);
  aio_bh_delete (letters->b);
  aio_bh_delete (letters->c);
  aio_bh_delete (letters->d);
  g_string_free (trace, TRUE);
  trace = NULL;
}

static void
fifo (Loop *loop)
{
  Letters letters;
  guint round;

  letters_init (&letters, loop);
  for (round = 0; round < 5; round++)
    {
      aio_bh_schedule (letters.c);
      aio_bh_schedule (letters.a);
      aio_bh_schedule (letters.d);
      aio_bh_schedule (letters.b);
      loop_iterate (loop, FALSE);
      assert_trace ("cadb");
      aio_bh_schedule (letters.b);
      loop_iterate (loop, FALSE);
      assert_trace ("b");
      aio_bh_schedule (letters.b);
      aio_bh_schedule (letters.a);
      loop_iterate (loop, FALSE);
      assert_trace ("ba");
    }
  letters_clear (&letters);
}

static void
test_fifo (void)
{
  g_test_summary ("C3: bottom halves run in the order in which they were scheduled");
  both_ways (fifo);
}

static void
fifo_kinds (Loop *loop)
{
  Letters letters;

  letters_init (&letters, loop);
  aio_bh_schedule_oneshot (loop->context, note, "1");
  aio_bh_schedule (letters.b);
  aio_context_post (loop->context, note, "2", NULL);
  aio_bh_schedule (letters.a);
  aio_bh_schedule_oneshot_full (loop->context, "three", note, "3", NULL);
  (aio_bh_schedule_oneshot) (loop->context, note, "4");
  aio_bh_schedule (letters.c);
  loop_iterate (loop, FALSE);
  assert_trace ("1b2a34c");
  letters_clear (&letters);
}

static void
test_fifo_kinds (void)
{
  g_test_summary ("C3: one-shots and posts keep their place among bottom halves");
  both_ways (fifo_kinds);
}

static void
fifo_idle (Loop *loop)
{
  Letters letters;

  letters_init (&letters, loop);
  aio_bh_schedule_idle (letters.d);
  aio_bh_schedule_idle (letters.a);
  aio_bh_schedule_idle (letters.b);
  aio_bh_schedule_idle (letters.d);
  loop_iterate (loop, FALSE);
  assert_trace ("dab");
  letters_clear (&letters);
}

static void
test_fifo_idle (void)
{
  g_test_summary ("C3: idle ones keep their order");
  both_ways (fifo_idle);
}

static gsize
place_of (char letter)
{
  const char *found = strchr (trace->str, letter);

  g_assert_nonnull (found);
  g_assert_null (strchr (found + 1, letter));
  return found - trace->str;
}

static void
fifo_mixed (Loop *loop)
{
  Letters letters;

  letters_init (&letters, loop);
  aio_bh_schedule_idle (letters.b);
  aio_bh_schedule (letters.d);
  aio_bh_schedule_idle (letters.a);
  aio_bh_schedule (letters.c);
  loop_iterate (loop, FALSE);
  g_assert_cmpuint (trace->len, ==, 4);
  g_assert_cmpuint (place_of ('b'), <, place_of ('a'));
  g_assert_cmpuint (place_of ('d'), <, place_of ('c'));
  letters_clear (&letters);
}

static void
test_fifo_mixed (void)
{
  g_test_summary ("C3: each of the two kinds keeps its own order when they are mixed");
  both_ways (fifo_mixed);
}

static void
keeps_place (Loop *loop)
{
  Letters letters;

  letters_init (&letters, loop);
  aio_bh_schedule (letters.a);
  aio_bh_schedule (letters.b);
  aio_bh_schedule (letters.a);
  aio_bh_schedule (letters.c);
  aio_bh_schedule (letters.b);
  aio_bh_schedule_idle (letters.a);
  aio_bh_schedule (letters.a);
  loop_iterate (loop, FALSE);
  assert_trace ("abc");
  letters_clear (&letters);
}

static void
test_keeps_place (void)
{
  g_test_summary ("C3, C5: scheduling a pending one again keeps its place, and schedule_idle on "
                  "a scheduled one changes nothing");
  both_ways (keeps_place);
}

static void
cancelled_place (Loop *loop)
{
  Letters letters;

  letters_init (&letters, loop);
  aio_bh_schedule (letters.a);
  aio_bh_schedule (letters.b);
  aio_bh_schedule (letters.c);
  aio_bh_cancel (letters.b);
  aio_bh_schedule (letters.d);
  aio_bh_schedule (letters.b);
  loop_iterate (loop, FALSE);
  g_assert_cmpuint (trace->len, ==, 4);
  g_assert_cmpuint (place_of ('a'), <, place_of ('c'));
  g_assert_cmpuint (place_of ('c'), <, place_of ('d'));
  g_assert_cmpuint (place_of ('a'), <, place_of ('b'));
  letters_clear (&letters);
}

static void
test_cancelled_place (void)
{
  g_test_summary ("C3, C6: one that is cancelled and scheduled again runs once, early or late, "
                  "and the others keep their places");
  both_ways (cancelled_place);
}

/* ---- Never inline, and in the next pass (C4) ---- */

typedef struct
{
  Loop *loop;
  Letters letters;
  AioBH *actor;
  pthread_t runner;
} Act;

static void
act_init (Act       *act,
          Loop      *loop,
          AioBHFunc  func)
{
  act->loop = loop;
  letters_init (&act->letters, loop);
  act->actor = aio_bh_new (loop->context, func, act);
}

static void
act_clear (Act *act)
{
  aio_bh_delete (act->actor);
  letters_clear (&act->letters);
}

static void
schedule_all (Act *act)
{
  aio_bh_schedule (act->letters.b);
  aio_bh_schedule_idle (act->letters.d);
  aio_bh_schedule_oneshot (act->loop->context, note, "1");
  aio_context_post (act->loop->context, note, "2", NULL);
  aio_bh_schedule (act->letters.a);
}

static void *
schedule_all_thread (void *act)
{
  schedule_all (act);
  return NULL;
}

static void
schedule_all_inside (gpointer act)
{
  note ("(");
  schedule_all (act);
  note (")");
}

static void
assert_all_ran (Act *act)
{
  while (strpbrk (trace->str, "d") == NULL)
    loop_iterate (act->loop, TRUE);
  g_string_erase (trace, place_of ('d'), 1);
  assert_trace ("b12a");
}

static void
never_inline (Loop *loop)
{
  Act act;

  act_init (&act, loop, schedule_all_inside);
  schedule_all (&act);
  assert_trace ("");
  assert_all_ran (&act);
  thread_run (schedule_all_thread, &act);
  assert_trace ("");
  assert_all_ran (&act);

  aio_bh_schedule (act.actor);
  loop_iterate (loop, FALSE);
  assert_trace ("()");
  assert_all_ran (&act);
  act_clear (&act);
}

static void
test_never_inline (void)
{
  g_test_summary ("C4, C3: nothing runs inline: neither at home, nor from another thread, nor "
                  "from a callback, and what a callback schedules waits for the next pass");
  both_ways (never_inline);
}

static void
note_runner (gpointer data)
{
  Act *act = data;

  act->runner = pthread_self ();
}

static void *
schedule_actor_thread (void *data)
{
  Act *act = data;

  aio_bh_schedule (act->actor);
  g_assert_false (aio_context_is_home_thread (act->loop->context));
  return NULL;
}

static void
home_thread (Loop *loop)
{
  Act act;

  act_init (&act, loop, note_runner);
  thread_run (schedule_actor_thread, &act);
  loop_iterate (loop, TRUE);
  g_assert_true (pthread_equal (act.runner, pthread_self ()));
  act_clear (&act);
}

static void
test_home_thread (void)
{
  g_test_summary ("C4: the callback runs in the home thread, whoever scheduled it");
  both_ways (home_thread);
}

/* Runs once between b, which has run already, and c, which is still to come. */
static void
schedule_neighbours (gpointer data)
{
  Act *act = data;

  note ("*");
  aio_bh_schedule (act->letters.b);
  aio_bh_schedule (act->letters.c);
  aio_bh_schedule (act->letters.a);
}

static void
neighbours (Loop *loop)
{
  Act act;

  act_init (&act, loop, schedule_neighbours);
  aio_bh_schedule (act.letters.b);
  aio_bh_schedule (act.actor);
  aio_bh_schedule (act.letters.c);
  loop_iterate (loop, FALSE);
  assert_trace ("b*c");
  loop_iterate (loop, FALSE);
  assert_trace ("ba");
  g_assert_false (loop_iterate (loop, FALSE));
  act_clear (&act);
}

static void
test_neighbours (void)
{
  g_test_summary ("C4, C2, C3: one that already ran in this pass runs again in the next, one "
                  "that is still pending in this pass runs once");
  both_ways (neighbours);
}

static void
cancel_and_schedule (gpointer data)
{
  Act *act = data;

  note ("*");
  g_assert_true (aio_bh_cancel (act->letters.b));
  aio_bh_schedule (act->letters.b);
}

static void
cancelled_in_pass (Loop *loop)
{
  Act act;

  act_init (&act, loop, cancel_and_schedule);
  aio_bh_schedule (act.actor);
  aio_bh_schedule (act.letters.b);
  aio_bh_schedule (act.letters.c);
  loop_iterate (loop, FALSE);
  g_assert_cmpuint (place_of ('*'), ==, 0);
  place_of ('c');
  loop_iterate (loop, FALSE);
  g_assert_cmpuint (trace->len, ==, 3);
  place_of ('b');
  g_assert_false (loop_iterate (loop, FALSE));
  act_clear (&act);
}

static void
test_cancelled_in_pass (void)
{
  g_test_summary ("C4: one that was pending when the pass began and was cancelled since runs "
                  "once, in this pass or the next");
  both_ways (cancelled_in_pass);
}

static void
schedule_self (gpointer data)
{
  Act *act = data;

  note ("*");
  aio_bh_schedule (act->actor);
}

static gboolean
sees_no_wait (Loop *loop)
{
  GPollFD fds[4];
  int priority, timeout;
  gboolean ready;

  if (loop->main_context == NULL)
    return aio_context_get_timeout_ns (loop->context) == 0;
  g_assert_true (g_main_context_acquire (loop->main_context));
  ready = g_main_context_prepare (loop->main_context, &priority);
  g_main_context_query (loop->main_context, priority, &timeout, fds, G_N_ELEMENTS (fds));
  g_main_context_release (loop->main_context);
  return ready && timeout == 0;
}

static void
self_scheduling (Loop *loop)
{
  Act act;
  guint round;

  act_init (&act, loop, schedule_self);
  aio_bh_schedule (act.actor);
  aio_bh_schedule (act.letters.a);
  g_assert_true (loop_iterate (loop, TRUE));
  assert_trace ("*a");
  for (round = 0; round < 1000; round++)
    {
      aio_bh_schedule (act.letters.a);
      g_assert_true (sees_no_wait (loop));
      g_assert_true (loop_iterate (loop, TRUE));
      assert_trace ("*a");
    }
  act_clear (&act);
}

static void
test_self_scheduling (void)
{
  g_test_summary ("C4: one that schedules itself runs once in each pass, hangs none, and the "
                  "loop does not sleep in between; it lets the others have their turn");
  both_ways (self_scheduling);
}

static void
schedule_self_idle (gpointer data)
{
  Act *act = data;

  note ("*");
  aio_bh_schedule_idle (act->actor);
}

static void
self_scheduling_idle (Loop *loop)
{
  Act act;
  guint round;

  act_init (&act, loop, schedule_self_idle);
  aio_bh_schedule_idle (act.actor);
  for (round = 0; round < 1000; round++)
    {
      aio_bh_schedule (act.letters.a);
      loop_iterate (loop, TRUE);
      g_assert_cmpuint (trace->len, ==, 2);
      place_of ('*');
      place_of ('a');
      g_string_truncate (trace, 0);
    }
  act_clear (&act);
}

static void
test_self_scheduling_idle (void)
{
  g_test_summary ("C4, C5: an idle one that schedules itself runs once in each pass, too");
  both_ways (self_scheduling_idle);
}

/* ---- One causal order over threads, callbacks and nested iterations ---- */

/* Entries are numbered as they are issued, and each issue happens after the one before, in
 * whatever thread. So they must start in the order of their numbers. */
typedef struct _Order Order;

typedef struct
{
  Order *order;
  AioBH *bh;
  guint number;
  atomic_int pending;
} OrderBH;

struct _Order
{
  Loop *loop;
  gboolean idle;
  gboolean threads;
  pthread_mutex_t lock;
  guint issued;
  guint limit;
  guint started;
  guint depth;
  guint32 random;
  OrderBH bhs[16];
};

static void order_start (Order *order,
                         guint  number);

typedef struct
{
  Order *order;
  guint number;
} OrderShot;

static void
order_shot (gpointer data)
{
  OrderShot shot = *(OrderShot *) data;

  g_free (data);
  order_start (shot.order, shot.number);
}

static void
order_bh (gpointer data)
{
  OrderBH *bh = data;
  guint number = bh->number;

  atomic_store (&bh->pending, 0);
  order_start (bh->order, number);
}

static void
order_issue_shot (Order *order,
                  guint  number,
                  guint  random)
{
  OrderShot *shot = g_new (OrderShot, 1);

  shot->order = order;
  shot->number = number;
  if (random % 2 == 0)
    aio_bh_schedule_oneshot (order->loop->context, order_shot, shot);
  else
    g_assert_true (aio_context_post (order->loop->context, order_shot, shot, NULL));
}

/* The caller makes sure that issues follow each other. */
static void
order_issue (Order *order,
             guint  random)
{
  OrderBH *bh = &order->bhs[random % G_N_ELEMENTS (order->bhs)];

  if (order->issued == order->limit)
    return;
  random /= G_N_ELEMENTS (order->bhs);
  if (!atomic_load (&bh->pending) && (order->idle || random % 4 < 3))
    {
      bh->number = order->issued++;
      atomic_store (&bh->pending, 1);
      if (order->idle)
        aio_bh_schedule_idle (bh->bh);
      else
        aio_bh_schedule (bh->bh);
    }
  else if (!order->idle)
    order_issue_shot (order, order->issued++, random);
}

static void *
order_issue_thread (void *data)
{
  Order *order = data;

  order_issue (order, next_random (&order->random));
  if (next_random (&order->random) % 2 == 0)
    order_issue (order, next_random (&order->random));
  return NULL;
}

/* Issues a few, at home and in threads that come and go. */
static void
order_issue_some (Order *order)
{
  guint n = next_random (&order->random) % 4;

  for (; n > 0; n--)
    if (next_random (&order->random) % 8 == 0)
      thread_run (order_issue_thread, order);
    else
      order_issue (order, next_random (&order->random));
}

static void
order_start (Order *order,
             guint  number)
{
  g_assert_cmpuint (number, ==, order->started);
  order->started++;
  if (order->threads)
    {
      pthread_mutex_lock (&order->lock);
      if (number % 3 == 0)
        order_issue (order, next_random (&order->random));
      pthread_mutex_unlock (&order->lock);
      return;
    }
  order_issue_some (order);
  if (order->depth < 6 && next_random (&order->random) % 4 == 0)
    {
      order->depth++;
      loop_iterate (order->loop, FALSE);
      order->depth--;
      order_issue_some (order);
    }
}

static void
order_init (Order *order,
            Loop  *loop,
            guint  limit)
{
  guint i;

  memset (order, 0, sizeof *order);
  order->loop = loop;
  order->limit = limit;
  order->random = g_test_rand_int () | 1;
  pthread_mutex_init (&order->lock, NULL);
  for (i = 0; i < G_N_ELEMENTS (order->bhs); i++)
    {
      order->bhs[i].order = order;
      order->bhs[i].bh = aio_bh_new (loop->context, order_bh, &order->bhs[i]);
    }
}

static void
order_clear (Order *order)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (order->bhs); i++)
    aio_bh_delete (order->bhs[i].bh);
  pthread_mutex_destroy (&order->lock);
}

static void
causal_kind (Loop     *loop,
             gboolean  idle)
{
  Order order;

  order_init (&order, loop, g_test_thorough () ? 200000 : 5000);
  order.idle = idle;
  while (order.started < order.limit)
    {
      order_issue_some (&order);
      loop_iterate (loop, FALSE);
    }
  order_clear (&order);
}

static void
causal (Loop *loop)
{
  causal_kind (loop, FALSE);
}

static void
causal_idle (Loop *loop)
{
  causal_kind (loop, TRUE);
}

static void
test_causal (void)
{
  g_test_summary ("C3, C13: one order over bottom halves, one-shots and posts, issued at home, "
                  "in callbacks, in nested iterations and in threads that were waited for");
  both_ways (causal);
}

static void
test_causal_idle (void)
{
  g_test_summary ("C3, C13: the same among idle ones");
  both_ways (causal_idle);
}

static void *
order_thread (void *data)
{
  Order *order = data;
  struct timespec nap = { 0, 50000 };
  gboolean more;
  guint random;

  do
    {
      pthread_mutex_lock (&order->lock);
      random = next_random (&order->random);
      order_issue (order, random);
      more = order->issued < order->limit;
      pthread_mutex_unlock (&order->lock);
      if (random % 512 == 0)
        nanosleep (&nap, NULL);
    }
  while (more);
  return NULL;
}

static void
mutex_kind (Loop     *loop,
            gboolean  idle)
{
  pthread_t threads[2];
  Order order;
  guint i;

  order_init (&order, loop, g_test_thorough () ? 1000000 : 30000);
  order.idle = idle;
  order.threads = TRUE;
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    g_assert_cmpint (pthread_create (&threads[i], NULL, order_thread, &order), ==, 0);
  while (order.started < order.limit)
    {
      /* Blocking over idle ones would take 10 ms for each handful. */
      loop_iterate (loop, !idle);
      aio_test_moved ();
    }
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    pthread_join (threads[i], NULL);
  order_clear (&order);
}

static void
under_mutex (Loop *loop)
{
  mutex_kind (loop, FALSE);
}

static void
under_mutex_idle (Loop *loop)
{
  mutex_kind (loop, TRUE);
}

static void
test_under_mutex (void)
{
  g_test_summary ("C3: two threads and the callbacks, synchronised by a mutex: what was "
                  "scheduled first runs first");
  both_ways (under_mutex);
}

static void
test_under_mutex_idle (void)
{
  g_test_summary ("C3: the same among idle ones");
  both_ways (under_mutex_idle);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  aio_test_add ("/bh-order/fifo", test_fifo);
  aio_test_add ("/bh-order/kinds", test_fifo_kinds);
  aio_test_add ("/bh-order/idle", test_fifo_idle);
  aio_test_add ("/bh-order/mixed", test_fifo_mixed);
  aio_test_add ("/bh-order/keeps-place", test_keeps_place);
  aio_test_add ("/bh-order/cancelled-place", test_cancelled_place);
  aio_test_add ("/bh-order/never-inline", test_never_inline);
  aio_test_add ("/bh-order/home-thread", test_home_thread);
  aio_test_add ("/bh-order/neighbours", test_neighbours);
  aio_test_add ("/bh-order/cancelled-in-pass", test_cancelled_in_pass);
  aio_test_add ("/bh-order/self-scheduling", test_self_scheduling);
  aio_test_add ("/bh-order/self-scheduling-idle", test_self_scheduling_idle);
  aio_test_add ("/bh-order/causal", test_causal);
  aio_test_add ("/bh-order/causal-idle", test_causal_idle);
  aio_test_add ("/bh-order/mutex", test_under_mutex);
  aio_test_add ("/bh-order/mutex-idle", test_under_mutex_idle);
  return g_test_run ();
}
