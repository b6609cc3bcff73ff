/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One-shots and posts: they free themselves, and their destroy notify runs once, come what may. */
#include "bh-test.h"

/* ---- What becomes of one ---- */

typedef enum
{
  KIND_ONESHOT,
  KIND_POST,
  N_KINDS
} Kind;

typedef struct
{
  Loop *loop;
  guint runs;
  guint destroyed;
  Kind kind;
} Fate;

/* Freed by the destroy notify: a sanitizer sees who touches it later. */
typedef struct
{
  Fate *fate;
} FateData;

static void
fate_cb (gpointer data)
{
  Fate *fate = ((FateData *) data)->fate;

  g_assert_cmpuint (fate->destroyed, ==, fate->runs);
  fate->runs++;
}

static void
fate_destroy (gpointer data)
{
  ((FateData *) data)->fate->destroyed++;
  g_free (data);
}

static void
send (AioContext *context,
      Fate       *fate)
{
  FateData *data = g_new (FateData, 1);

  data->fate = fate;
  if (fate->kind == KIND_POST)
    g_assert_true (aio_context_post (context, fate_cb, data, fate_destroy));
  else
    aio_bh_schedule_oneshot_full (context, "fate", fate_cb, data, fate_destroy);
}

static void
runs_once (Loop *loop)
{
  Fate fate = { .loop = loop };
  guint round;

  for (round = 1; round <= 20; round++)
    {
      fate.kind = round % N_KINDS;
      send (loop->context, &fate);
      g_assert_cmpuint (fate.runs, ==, round - 1);
      g_assert_true (loop_iterate (loop, FALSE));
      g_assert_cmpuint (fate.runs, ==, round);
      g_assert_cmpuint (fate.destroyed, ==, round);
      g_assert_false (loop_iterate (loop, FALSE));
      g_assert_cmpuint (fate.runs, ==, round);
    }
}

static void
test_runs_once (void)
{
  g_test_summary ("C8, C4: a one-shot and a post run once, not inline, and their destroy notify "
                  "follows the run, once");
  both_ways (runs_once);
}

static void
test_instead (void)
{
  AioContext *context = aio_context_new ();
  Fate fate = { .kind = KIND_ONESHOT };
  guint i;

  g_test_summary ("C8, C24: dropped with their context they do not run, their destroy notify "
                  "does, and nobody complains");
  for (i = 0; i < 10; i++)
    {
      fate.kind = i % N_KINDS;
      send (context, &fate);
    }
  g_assert_cmpuint (fate.destroyed, ==, 0);
  aio_context_unref (context);
  g_assert_cmpuint (fate.runs, ==, 0);
  g_assert_cmpuint (fate.destroyed, ==, 10);
}

static void
test_instead_attached (void)
{
  AioContext *context = aio_context_new ();
  GMainContext *main_context = g_main_context_new ();
  Fate fate = { .kind = KIND_POST };

  g_test_summary ("C8, C24, C23: the same when a GMainContext held the last reference");
  aio_context_attach (context, main_context);
  send (context, &fate);
  g_main_context_iteration (main_context, FALSE);
  send (context, &fate);
  send (context, &fate);
  aio_context_unref (context);
  g_assert_cmpuint (fate.destroyed, ==, 1);
  g_main_context_unref (main_context);
  g_assert_cmpuint (fate.runs, ==, 1);
  g_assert_cmpuint (fate.destroyed, ==, 3);
}

static void
without_notify (Loop *loop)
{
  guint runs = 0;

  aio_bh_schedule_oneshot (loop->context, count_run, &runs);
  (aio_bh_schedule_oneshot) (loop->context, count_run, &runs);
  aio_bh_schedule_oneshot_full (loop->context, NULL, count_run, &runs, NULL);
  g_assert_true (aio_context_post (loop->context, count_run, &runs, NULL));
  g_assert_true (loop_iterate (loop, FALSE));
  g_assert_cmpuint (runs, ==, 4);
}

static void
test_without_notify (void)
{
  g_test_summary ("C8: a destroy notify is not needed; the macro and the function under it do "
                  "the same");
  both_ways (without_notify);
}

static void
test_closed (void)
{
  AioIOThread *thread = aio_io_thread_new ("closed", NULL);
  AioContext *context = aio_context_ref (aio_io_thread_get_context (thread));
  FateData *data = g_new (FateData, 1);
  Fate fate = { .kind = KIND_POST };

  g_test_summary ("C8, C26: a post to an I/O thread that has stopped is refused: FALSE, no run, "
                  "and the destroy notify has run");
  aio_io_thread_stop (thread);
  data->fate = &fate;
  g_assert_false (aio_context_post (context, fate_cb, data, fate_destroy));
  g_assert_cmpuint (fate.runs, ==, 0);
  g_assert_cmpuint (fate.destroyed, ==, 1);
  aio_context_unref (context);
  aio_io_thread_unref (thread);
  g_assert_cmpuint (fate.runs, ==, 0);
  g_assert_cmpuint (fate.destroyed, ==, 1);
}

static void
ignore_run (gpointer data)
{
}

/* ---- One sends the next ---- */

typedef struct
{
  Loop *loop;
  guint runs;
  guint destroyed;
  guint limit;
} Relay;

static void relay_destroy (gpointer data);

static void
relay_cb (gpointer data)
{
  Relay *relay = data;

  if (++relay->runs < relay->limit)
    aio_bh_schedule_oneshot_full (relay->loop->context, "relay", relay_cb, relay, relay_destroy);
}

static void
relay_destroy (gpointer data)
{
  Relay *relay = data;

  relay->destroyed++;
  g_assert_cmpuint (relay->destroyed, ==, relay->runs);
}

static void
relay_run (Loop *loop)
{
  Relay relay = { loop, 0, 0, 1000 };
  guint passes;

  g_assert_true (aio_context_post (loop->context, relay_cb, &relay, relay_destroy));
  for (passes = 1; passes <= relay.limit; passes++)
    {
      g_assert_true (loop_iterate (loop, TRUE));
      g_assert_cmpuint (relay.runs, ==, passes);
      g_assert_cmpuint (relay.destroyed, ==, passes);
    }
  g_assert_false (loop_iterate (loop, FALSE));
}

static void
test_relay (void)
{
  g_test_summary ("C8, C4: one-shots that send the next one: one a pass, without a sleep between");
  both_ways (relay_run);
}

static void
count_relay (gpointer data)
{
  ((Relay *) data)->runs++;
}

static void
send_in_destroy (gpointer data)
{
  Relay *relay = data;

  relay->destroyed++;
  if (relay->runs < relay->limit)
    g_assert_true (aio_context_post (relay->loop->context, count_relay, relay, send_in_destroy));
}

static void
destroy_sends (Loop *loop)
{
  Relay relay = { loop, 0, 0, 10 };

  g_assert_true (aio_context_post (loop->context, count_relay, &relay, send_in_destroy));
  while (relay.runs < relay.limit)
    g_assert_true (loop_iterate (loop, TRUE));
  g_assert_cmpuint (relay.destroyed, ==, relay.limit);
  g_assert_false (loop_iterate (loop, FALSE));
}

static void
test_destroy_sends (void)
{
  g_test_summary ("C8, C7: a destroy notify may post again");
  both_ways (destroy_sends);
}

typedef struct
{
  AioBH *bh;
  guint destroyed;
} Owner;

static void
owner_destroy (gpointer data)
{
  Owner *owner = data;

  aio_bh_delete (owner->bh);
  owner->destroyed++;
}

static void
destroy_deletes (Loop *loop)
{
  guint runs = 0;
  Owner owner = { aio_bh_new (loop->context, count_run, &runs), 0 };

  aio_bh_schedule (owner.bh);
  aio_bh_schedule_oneshot_full (loop->context, "owner", ignore_run, &owner, owner_destroy);
  aio_bh_schedule (owner.bh);
  g_assert_true (loop_iterate (loop, FALSE));
  g_assert_cmpuint (owner.destroyed, ==, 1);
  g_assert_cmpuint (runs, ==, 1);
}

static void
test_destroy_deletes (void)
{
  g_test_summary ("C8, C7: a destroy notify may delete a bottom half");
  both_ways (destroy_deletes);
}

/* ---- The end of the context inside one ---- */

typedef struct
{
  Loop *loop;
  guint pending_destroyed;
  guint destroyed;
} LastOne;

static void
last_reference (gpointer data)
{
  LastOne *last = data;

  aio_context_unref (last->loop->context);
  g_assert_cmpuint (last->pending_destroyed, ==, 0);
}

static void
last_destroy (gpointer data)
{
  LastOne *last = data;

  last->destroyed++;
}

static void
pending_destroy (gpointer data)
{
  LastOne *last = data;

  g_assert_cmpuint (last->destroyed, ==, 1);
  last->pending_destroyed++;
}

static void
drop_inside (Loop *loop,
             Kind  kind)
{
  LastOne last = { loop, 0, 0 };

  if (kind == KIND_POST)
    aio_context_post (loop->context, last_reference, &last, last_destroy);
  else
    aio_bh_schedule_oneshot_full (loop->context, "last", last_reference, &last, last_destroy);
  aio_context_post (loop->context, ignore_run, &last, pending_destroy);
  g_assert_true (loop_iterate (loop, FALSE));
  g_assert_cmpuint (last.destroyed, ==, 1);
  g_assert_cmpuint (last.pending_destroyed, ==, 1);
}

static void
test_drop_inside (void)
{
  Loop loop;
  Kind kind;

  g_test_summary ("C8, C23, R8: a one-shot drops the last reference to its context: the end "
                  "comes after the iteration, and destroys what is left, once");
  for (kind = 0; kind < N_KINDS; kind++)
    {
      loop.context = aio_context_new ();
      loop.main_context = NULL;
      drop_inside (&loop, kind);
    }
}

/* ---- From many threads ---- */

typedef struct
{
  Loop *loop;
  atomic_uint sent;
  guint runs;
  guint destroyed;
  guint n_each;
} Crowd;

static void
crowd_cb (gpointer data)
{
  ((Crowd *) data)->runs++;
}

static void
crowd_destroy (gpointer data)
{
  ((Crowd *) data)->destroyed++;
}

static void *
crowd_thread (void *data)
{
  Crowd *crowd = data;
  guint i;

  for (i = 0; i < crowd->n_each; i++)
    {
      if (i % 3 == 0)
        g_assert_true (aio_context_post (crowd->loop->context, crowd_cb, crowd, crowd_destroy));
      else
        aio_bh_schedule_oneshot_full (crowd->loop->context, "crowd", crowd_cb, crowd,
                                      crowd_destroy);
      if (i % 4096 == 0)
        nap (100);
    }
  return NULL;
}

static void
crowd_run (Loop *loop)
{
  pthread_t threads[4];
  Crowd crowd = { .loop = loop, .n_each = g_test_thorough () ? 1000000 : 25000 };
  guint i;

  /* Made here, so that thread sanitizers, who do not see GLib's lock, see who has written it. */
  g_intern_string ("crowd");
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    g_assert_cmpint (pthread_create (&threads[i], NULL, crowd_thread, &crowd), ==, 0);
  while (crowd.runs < G_N_ELEMENTS (threads) * crowd.n_each)
    {
      loop_iterate (loop, TRUE);
      aio_test_moved ();
    }
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    pthread_join (threads[i], NULL);
  g_assert_false (loop_iterate (loop, FALSE));
  g_assert_cmpuint (crowd.runs, ==, G_N_ELEMENTS (threads) * crowd.n_each);
  g_assert_cmpuint (crowd.destroyed, ==, crowd.runs);
}

static void
test_crowd (void)
{
  g_test_summary ("C8, C2: four threads send one-shots and posts: each runs once and is "
                  "destroyed once");
  both_ways (crowd_run);
}

static void *
send_and_end_thread (void *data)
{
  Fate *fate = data;
  guint i;

  for (i = 0; i < 300; i++)
    {
      fate->kind = i % N_KINDS;
      send (fate->loop->context, fate);
    }
  return NULL;
}

/* Threads that end right after sending, and a thread that only frees: what they cache must go with
 * them, which the leak sanitizer watches. */
static void *
iterate_elsewhere_thread (void *data)
{
  Fate *fate = data;

  while (fate->runs < 3 * 300)
    aio_context_poll (fate->loop->context, TRUE);
  return NULL;
}

static void
test_short_threads (void)
{
  Loop loop = { aio_context_new (), NULL };
  Fate fate = { .loop = &loop };
  guint i;

  g_test_summary ("C8, C17: threads that end after sending, and a thread that ends after running "
                  "them all, leave nothing behind");
  for (i = 0; i < 3; i++)
    thread_run (send_and_end_thread, &fate);
  thread_run (iterate_elsewhere_thread, &fate);
  g_assert_cmpuint (fate.destroyed, ==, fate.runs);
  aio_context_unref (loop.context);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  /* GLib makes it when the first thread pushes a context of its own: not to be counted. */
  g_main_context_default ();
  aio_test_add ("/oneshot/runs-once", test_runs_once);
  aio_test_add ("/oneshot/instead", test_instead);
  aio_test_add ("/oneshot/instead-attached", test_instead_attached);
  aio_test_add ("/oneshot/without-notify", test_without_notify);
  aio_test_add ("/oneshot/closed", test_closed);
  aio_test_add ("/oneshot/relay", test_relay);
  aio_test_add ("/oneshot/destroy-sends", test_destroy_sends);
  aio_test_add ("/oneshot/destroy-deletes", test_destroy_deletes);
  aio_test_add ("/oneshot/drop-inside", test_drop_inside);
  aio_test_add ("/oneshot/crowd", test_crowd);
  aio_test_add ("/oneshot/short-threads", test_short_threads);
  return g_test_run ();
}
