/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ends under fire: bottom halves and contexts that go while others still use them. Wants to be run
 * under a sanitizer, too. */
#include "bh-test.h"

/* ---- The callback drops the last references (R8) ---- */

typedef enum
{
  LAST_BH,
  LAST_ONESHOT,
  LAST_POST,
  LAST_CANCELLED,       /* a bottom half whose entry is in the queue, but was cancelled */
  N_LASTS
} Last;

typedef struct
{
  AioContext *context;
  GMainContext *main_context;
  Last kind;
  AioBH *bh;
  AioBH *gate;
  guint round;
  atomic_uint offered;          /* the round that the other thread is to send for */
  atomic_uint sent;             /* the round for which it has */
  atomic_uint dropped;          /* the round in which the callback ran */
  atomic_uint destroyed;
  guint n_rounds;
  guint32 random;
} Drop;

static void
drop_cb (gpointer data)
{
  Drop *drop = data;

  if (drop->bh != NULL)
    aio_bh_delete (drop->bh);
  if (drop->main_context != NULL)
    aio_context_detach (drop->context);
  aio_context_unref (drop->context);
  atomic_store (&drop->dropped, atomic_load (&drop->offered));
}

static void
drop_destroy (gpointer data)
{
  atomic_fetch_add (&((Drop *) data)->destroyed, 1);
}

/* Owns nothing: from the moment that its entry can run, all of it may be gone. */
static void *
drop_thread (void *data)
{
  Drop *drop = data;
  guint round;

  for (round = 1; round <= drop->n_rounds; round++)
    {
      while (atomic_load (&drop->offered) != round)
        sched_yield ();
      spin (next_random (&drop->random) % 3000);
      if (drop->kind == LAST_ONESHOT)
        aio_bh_schedule_oneshot_full (drop->context, "last", drop_cb, drop, drop_destroy);
      else if (drop->kind == LAST_POST)
        aio_context_post (drop->context, drop_cb, drop, drop_destroy);
      else
        aio_bh_schedule (drop->bh);
      atomic_store (&drop->sent, round);
    }
  return NULL;
}

/* Runs just before the entry that was cancelled, and waits until that is due again. */
static void
gate_cb (gpointer data)
{
  Drop *drop = data;

  atomic_store (&drop->offered, drop->round);
  while (!aio_bh_is_scheduled (drop->bh))
    sched_yield ();
  aio_bh_delete (drop->gate);
}

static void
drop_iterate (Drop     *drop,
              gboolean  blocking)
{
  if (drop->main_context != NULL)
    g_main_context_iteration (drop->main_context, blocking);
  else
    aio_context_poll (drop->context, blocking);
}

static void
drop_prepare (Drop *drop)
{
  drop->context = aio_context_new ();
  drop->kind = drop->round % N_LASTS;
  drop->bh = NULL;
  if (drop->kind == LAST_BH || drop->kind == LAST_CANCELLED)
    drop->bh = aio_bh_new_full (drop->context, "last", drop_cb, drop, drop_destroy);
  if (drop->main_context != NULL)
    aio_context_attach (drop->context, drop->main_context);
  drop_iterate (drop, FALSE);
  if (drop->kind != LAST_CANCELLED)
    {
      atomic_store (&drop->offered, drop->round);
      return;
    }
  drop->gate = aio_bh_new (drop->context, gate_cb, drop);
  aio_bh_schedule (drop->gate);
  aio_bh_schedule (drop->bh);
  aio_bh_cancel (drop->bh);
}

static void
drop_rounds (gboolean attached)
{
  Drop drop = { .n_rounds = g_test_thorough () ? 1000000 : 3000 };
  pthread_t thread;

  if (attached)
    drop.main_context = g_main_context_new ();
  drop.random = g_test_rand_int () | 1;
  g_assert_cmpint (pthread_create (&thread, NULL, drop_thread, &drop), ==, 0);
  for (drop.round = 1; drop.round <= drop.n_rounds; drop.round++)
    {
      drop_prepare (&drop);
      while (atomic_load (&drop.dropped) != drop.round)
        drop_iterate (&drop, drop.round % 3 == 0);
      g_assert_cmpuint (atomic_load (&drop.destroyed), ==, drop.round);
      while (atomic_load (&drop.sent) != drop.round)
        sched_yield ();
      aio_test_moved ();
    }
  pthread_join (thread, NULL);
  if (attached)
    g_main_context_unref (drop.main_context);
}

static void
test_drop (void)
{
  g_test_summary ("C1, C8, C23, R8: a callback drops the last references to bottom half and "
                  "context while the thread that scheduled it is still inside schedule");
  drop_rounds (FALSE);
  drop_rounds (TRUE);
}

/* ---- Threads make and delete their own (R9, R10) ---- */

typedef struct
{
  Loop *loop;
  atomic_uint made;
  atomic_uint destroyed;
  atomic_uint runs;
  guint n_rounds;
} Mill;

typedef struct
{
  Mill *mill;
  guint32 random;
} Miller;

/* Freed by the destroy notify, and used by the callback: the allocator or a sanitizer tells. */
typedef struct
{
  Mill *mill;
  guint magic;
} Grain;

#define MAGIC 0x600dda7a

static void
grain_cb (gpointer data)
{
  Grain *grain = data;

  g_assert_cmpuint (grain->magic, ==, MAGIC);
  atomic_fetch_add (&grain->mill->runs, 1);
  g_assert_cmpuint (grain->magic, ==, MAGIC);
}

static void
grain_destroy (gpointer data)
{
  Grain *grain = data;

  g_assert_cmpuint (grain->magic, ==, MAGIC);
  g_assert_true (aio_context_is_home_thread (grain->mill->loop->context));
  grain->magic = 0;
  atomic_fetch_add (&grain->mill->destroyed, 1);
  g_free (grain);
}

static AioBH *
grain_new (Mill *mill)
{
  Grain *grain = g_new (Grain, 1);

  grain->mill = mill;
  grain->magic = MAGIC;
  atomic_fetch_add (&mill->made, 1);
  return aio_bh_new_full (mill->loop->context, "grain", grain_cb, grain, grain_destroy);
}

static void
poke (AioBH   *bh,
      guint32  random)
{
  switch (random % 8)
    {
    case 0:
      aio_bh_schedule_idle (bh);
      break;
    case 1:
      aio_bh_cancel (bh);
      break;
    case 2:
      aio_bh_cancel_sync (bh);
      break;
    case 3:
      sched_yield ();
      break;
    default:
      aio_bh_schedule (bh);
      break;
    }
}

static atomic_uint threads_left;

static void *
miller_thread (void *data)
{
  Miller *miller = data;
  guint round, n;
  AioBH *bh;

  for (round = 0; round < miller->mill->n_rounds; round++)
    {
      bh = grain_new (miller->mill);
      for (n = next_random (&miller->random) % 4; n > 0; n--)
        poke (bh, next_random (&miller->random));
      aio_bh_delete (bh);
      if (round % 256 == 0)
        {
          nap (30);
          aio_test_moved ();
        }
    }
  atomic_fetch_sub (&threads_left, 1);
  aio_context_notify (miller->mill->loop->context);
  return NULL;
}

static void
mill_run (Loop *loop)
{
  Mill mill = { .loop = loop, .n_rounds = g_test_thorough () ? 2000000 : 30000 };
  Miller millers[3];
  pthread_t threads[3];
  guint i;

  atomic_store (&threads_left, G_N_ELEMENTS (millers));
  for (i = 0; i < G_N_ELEMENTS (millers); i++)
    {
      millers[i].mill = &mill;
      millers[i].random = g_test_rand_int () | 1;
      g_assert_cmpint (pthread_create (&threads[i], NULL, miller_thread, &millers[i]), ==, 0);
    }
  while (atomic_load (&threads_left) != 0)
    loop_iterate (loop, TRUE);
  for (i = 0; i < G_N_ELEMENTS (millers); i++)
    pthread_join (threads[i], NULL);
  /* The next pass owes what is left, no later one. */
  loop_iterate (loop, FALSE);
  g_assert_cmpuint (atomic_load (&mill.destroyed), ==, atomic_load (&mill.made));
  g_assert_cmpuint (atomic_load (&mill.runs), >, 0);
}

static void
test_mill (void)
{
  g_test_summary ("C7, R9, R10: three threads make, schedule, cancel and delete: each destroy "
                  "notify runs once, in the home thread, by the next pass, and nothing touches "
                  "the data afterwards");
  both_ways_at_home (mill_run);
}

/* One delete aimed at the moment in which the home thread releases the entry: the delay between
 * schedule and delete wanders over it. */
static void *
aiming_thread (void *data)
{
  Miller *miller = data;
  Mill *mill = miller->mill;
  guint round;
  AioBH *bh;

  for (round = 1; round <= mill->n_rounds; round++)
    {
      bh = grain_new (mill);
      aio_bh_schedule (bh);
      spin (next_random (&miller->random) % 200);
      aio_bh_delete (bh);
      while (atomic_load (&mill->destroyed) != round)
        sched_yield ();
      if (round % 256 == 0)
        aio_test_moved ();
    }
  atomic_fetch_sub (&threads_left, 1);
  return NULL;
}

static void
aimed_delete (Loop *loop)
{
  Mill mill = { .loop = loop, .n_rounds = g_test_thorough () ? 5000000 : 20000 };
  Miller miller = { &mill, g_test_rand_int () | 1 };
  pthread_t thread;

  atomic_store (&threads_left, 1);
  g_assert_cmpint (pthread_create (&thread, NULL, aiming_thread, &miller), ==, 0);
  while (atomic_load (&threads_left) != 0)
    loop_iterate (loop, FALSE);
  pthread_join (thread, NULL);
  g_assert_cmpuint (atomic_load (&mill.runs), <=, mill.n_rounds);
}

static void
test_aimed_delete (void)
{
  g_test_summary ("C7, R10: a delete in another thread at the moment in which the entry is taken: "
                  "destroyed once, and nothing of it is left, or the context could not end");
  both_ways_at_home (aimed_delete);
}

/* ---- The home thread deletes what others schedule (R9) ---- */

/* A slot with a living one; users take a reference under the lock, and use it without. */
typedef struct
{
  pthread_mutex_t lock;
  AioBH *bh;
} Slot;

typedef struct
{
  Mill mill;
  Slot slots[4];
  guint32 random;               /* the home thread's */
  guint depth;
} Bazaar;

typedef struct
{
  Bazaar *bazaar;
  guint32 random;
} Visitor;

static AioBH *
slot_get (Slot *slot)
{
  AioBH *bh;

  pthread_mutex_lock (&slot->lock);
  bh = aio_bh_ref (slot->bh);
  pthread_mutex_unlock (&slot->lock);
  return bh;
}

static void
slot_replace (Slot  *slot,
              AioBH *bh)
{
  AioBH *old;

  pthread_mutex_lock (&slot->lock);
  old = slot->bh;
  slot->bh = bh;
  pthread_mutex_unlock (&slot->lock);
  aio_bh_delete (old);
  aio_bh_unref (old);
}

static AioBH *bazaar_bh_new (Bazaar *bazaar);

static void *
visitor_thread (void *data)
{
  Visitor *visitor = data;
  Bazaar *bazaar = visitor->bazaar;
  guint round, n;
  AioBH *bh;

  for (round = 0; round < bazaar->mill.n_rounds; round++)
    {
      Slot *slot = &bazaar->slots[next_random (&visitor->random) % G_N_ELEMENTS (bazaar->slots)];

      bh = slot_get (slot);
      for (n = next_random (&visitor->random) % 4; n > 0; n--)
        poke (bh, next_random (&visitor->random));
      /* Another one in its place, or soon all would be dead, and none left to wake the home thread
       * for. */
      if (next_random (&visitor->random) % 16 == 0)
        {
          aio_bh_delete (bh);
          slot_replace (slot, bazaar_bh_new (bazaar));
        }
      aio_bh_unref (bh);
      if (round % 256 == 0)
        {
          nap (30);
          aio_test_moved ();
        }
    }
  atomic_fetch_sub (&threads_left, 1);
  aio_context_notify (bazaar->mill.loop->context);
  return NULL;
}

typedef struct
{
  Grain grain;
  Bazaar *bazaar;
} BazaarGrain;

/* Deletes some, itself perhaps, at any depth. */
static void
bazaar_cb (gpointer data)
{
  BazaarGrain *grain = data;
  Bazaar *bazaar = grain->bazaar;
  guint n;

  grain_cb (&grain->grain);
  for (n = next_random (&bazaar->random) % 3; n > 0; n--)
    slot_replace (&bazaar->slots[next_random (&bazaar->random) % G_N_ELEMENTS (bazaar->slots)],
                  bazaar_bh_new (bazaar));
  if (bazaar->depth < 4 && next_random (&bazaar->random) % 4 == 0)
    {
      bazaar->depth++;
      loop_iterate (bazaar->mill.loop, FALSE);
      bazaar->depth--;
    }
  g_assert_cmpuint (grain->grain.magic, ==, MAGIC);
}

/* With a reference for the slot: a visitor may find one that another visitor has deleted. */
static AioBH *
bazaar_bh_new (Bazaar *bazaar)
{
  BazaarGrain *grain = g_new (BazaarGrain, 1);

  grain->grain.mill = &bazaar->mill;
  grain->grain.magic = MAGIC;
  grain->bazaar = bazaar;
  atomic_fetch_add (&bazaar->mill.made, 1);
  return aio_bh_ref (aio_bh_new_full (bazaar->mill.loop->context, "bazaar", bazaar_cb, grain,
                                      grain_destroy));
}

static void
bazaar_init (Bazaar *bazaar,
             Loop   *loop)
{
  guint i;

  memset (bazaar, 0, sizeof *bazaar);
  bazaar->mill.loop = loop;
  bazaar->mill.n_rounds = g_test_thorough () ? 2000000 : 50000;
  bazaar->random = g_test_rand_int () | 1;
  for (i = 0; i < G_N_ELEMENTS (bazaar->slots); i++)
    {
      pthread_mutex_init (&bazaar->slots[i].lock, NULL);
      bazaar->slots[i].bh = bazaar_bh_new (bazaar);
    }
}

static void
bazaar_clear (Bazaar *bazaar)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (bazaar->slots); i++)
    {
      aio_bh_delete (bazaar->slots[i].bh);
      aio_bh_unref (bazaar->slots[i].bh);
      pthread_mutex_destroy (&bazaar->slots[i].lock);
    }
  loop_iterate (bazaar->mill.loop, FALSE);
  g_assert_cmpuint (atomic_load (&bazaar->mill.destroyed), ==, atomic_load (&bazaar->mill.made));
  g_assert_cmpuint (atomic_load (&bazaar->mill.runs), >, 0);
}

static void
bazaar_run (Loop *loop)
{
  Bazaar bazaar;
  Visitor visitors[2];
  pthread_t threads[2];
  guint i;

  bazaar_init (&bazaar, loop);
  atomic_store (&threads_left, G_N_ELEMENTS (visitors));
  for (i = 0; i < G_N_ELEMENTS (visitors); i++)
    {
      visitors[i].bazaar = &bazaar;
      visitors[i].random = g_test_rand_int () | 1;
      g_assert_cmpint (pthread_create (&threads[i], NULL, visitor_thread, &visitors[i]), ==, 0);
    }
  while (atomic_load (&threads_left) != 0)
    {
      loop_iterate (loop, next_random (&bazaar.random) % 8 == 0);
      if (next_random (&bazaar.random) % 8 == 0)
        slot_replace (&bazaar.slots[next_random (&bazaar.random) % G_N_ELEMENTS (bazaar.slots)],
                      bazaar_bh_new (&bazaar));
    }
  for (i = 0; i < G_N_ELEMENTS (visitors); i++)
    pthread_join (threads[i], NULL);
  bazaar_clear (&bazaar);
}

static void
test_bazaar (void)
{
  g_test_summary ("C7, C13, R9: callbacks at any depth delete themselves and others, while other "
                  "threads schedule, cancel and delete the same ones");
  both_ways_at_home (bazaar_run);
}

/* ---- Contexts end while references to their bottom halves are in use ---- */

typedef struct
{
  pthread_mutex_t lock;
  AioBH *bh;                    /* a reference, NULL at the end */
  atomic_uint runs;
  atomic_uint destroyed;
} Relic;

static void
relic_cb (gpointer data)
{
  atomic_fetch_add (&((Relic *) data)->runs, 1);
}

static void
relic_destroy (gpointer data)
{
  atomic_fetch_add (&((Relic *) data)->destroyed, 1);
}

static AioBH *
relic_get (Relic *relic)
{
  AioBH *bh;

  pthread_mutex_lock (&relic->lock);
  bh = relic->bh != NULL ? aio_bh_ref (relic->bh) : NULL;
  pthread_mutex_unlock (&relic->lock);
  return bh;
}

/* Takes over the caller's reference and gives one up. */
static void
relic_set (Relic *relic,
           AioBH *bh)
{
  AioBH *old;

  pthread_mutex_lock (&relic->lock);
  old = relic->bh;
  relic->bh = bh;
  pthread_mutex_unlock (&relic->lock);
  if (old != NULL)
    aio_bh_unref (old);
}

static void *
relic_thread (void *data)
{
  Relic *relic = data;
  guint32 random = 0x12345u;
  AioBH *bh;

  while ((bh = relic_get (relic)) != NULL)
    {
      poke (bh, next_random (&random));
      poke (bh, next_random (&random));
      aio_bh_unref (bh);
    }
  return NULL;
}

static void
relic_round (Relic   *relic,
             guint32 *random)
{
  AioContext *context = aio_context_new ();
  AioBH *bh = aio_bh_new_full (context, "relic", relic_cb, relic, relic_destroy);
  guint n;

  aio_bh_poll (context);
  relic_set (relic, aio_bh_ref (bh));
  for (n = next_random (random) % 20; n > 0; n--)
    aio_context_poll (context, FALSE);
  spin (next_random (random) % 500);
  aio_bh_delete (bh);
  if (next_random (random) % 2 == 0)
    aio_context_poll (context, FALSE);
  aio_context_unref (context);
}

static void
test_relics (void)
{
  guint round, n_rounds = g_test_thorough () ? 500000 : 10000;
  guint32 random = g_test_rand_int () | 1;
  Relic relic = { .bh = NULL };
  AioContext *first = aio_context_new ();
  pthread_t threads[2];
  guint i;

  g_test_summary ("C7, C23, C1: contexts end while two threads schedule and cancel one of their "
                  "bottom halves, to which they have a reference: silently nothing, and no one "
                  "is destroyed twice");
  pthread_mutex_init (&relic.lock, NULL);
  relic_set (&relic, aio_bh_ref (aio_bh_new_full (first, "first", relic_cb, &relic,
                                                  relic_destroy)));
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    g_assert_cmpint (pthread_create (&threads[i], NULL, relic_thread, &relic), ==, 0);
  aio_bh_poll (first);
  aio_bh_delete (relic.bh);
  aio_context_unref (first);
  for (round = 0; round < n_rounds; round++)
    {
      relic_round (&relic, &random);
      aio_test_moved ();
    }
  relic_set (&relic, NULL);
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    pthread_join (threads[i], NULL);
  g_assert_cmpuint (atomic_load (&relic.destroyed), ==, n_rounds + 1);
  pthread_mutex_destroy (&relic.lock);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  aio_test_add ("/stress-delete/drop", test_drop);
  aio_test_add ("/stress-delete/mill", test_mill);
  aio_test_add ("/stress-delete/aimed-delete", test_aimed_delete);
  aio_test_add ("/stress-delete/bazaar", test_bazaar);
  aio_test_add ("/stress-delete/relics", test_relics);
  return g_test_run ();
}
