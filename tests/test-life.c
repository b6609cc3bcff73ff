/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who keeps a context alive, when it ends, and what it says about those it still owns then. */
#include "aio-test.h"

static int n_criticals;
static GString *criticals;

static void
take_critical (const char     *domain,
               GLogLevelFlags  level,
               const char     *message,
               gpointer        data)
{
  n_criticals++;
  g_string_append_printf (criticals, "%s\n", message);
}

/* What other domains have to complain about remains fatal. */
static void
fail_on_others (const char     *domain,
                GLogLevelFlags  level,
                const char     *message,
                gpointer        data)
{
  g_log_default_handler (domain, level, message, data);
  if ((level & (G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING)) != 0)
    abort ();
}

static void
expect_no_critical (void)
{
  g_assert_cmpstr (criticals->str, ==, "");
  g_assert_cmpint (n_criticals, ==, 0);
}

/* One message so far, in which this text is; it may be asked for several texts. */
static void
expect_critical (const char *text)
{
  if (n_criticals != 1 || strstr (criticals->str, text) == NULL)
    g_printerr ("“%s” expected in: “%s”\n", text, criticals->str);
  g_assert_cmpint (n_criticals, ==, 1);
  g_assert_nonnull (strstr (criticals->str, text));
}

static void
forget_criticals (void)
{
  n_criticals = 0;
  g_string_truncate (criticals, 0);
}

static void
count (gpointer data)
{
  ++*(int *) data;
}

static void
run_in_thread (void *(*func) (void *),
               void *data)
{
  pthread_t thread;

  g_assert_cmpint (pthread_create (&thread, NULL, func, data), ==, 0);
  g_assert_cmpint (pthread_join (thread, NULL), ==, 0);
}

/* A pending post tells when its context ends: it is then dropped, and was never run. */
typedef struct
{
  int ran;
  int dropped;
} Witness;

static void
witness_ran (gpointer data)
{
  ((Witness *) data)->ran++;
}

static void
witness_dropped (gpointer data)
{
  ((Witness *) data)->dropped++;
}

static void
witness_init (Witness    *witness,
              AioContext *context)
{
  *witness = (Witness) { 0, 0 };
  g_assert_true (aio_context_post (context, witness_ran, witness, witness_dropped));
}

static void
expect_alive (Witness *witness)
{
  g_assert_cmpint (witness->ran, ==, 0);
  g_assert_cmpint (witness->dropped, ==, 0);
}

static void
expect_ended (Witness *witness)
{
  g_assert_cmpint (witness->ran, ==, 0);
  g_assert_cmpint (witness->dropped, ==, 1);
}

static void
test_unattached (void)
{
  AioContext *context;
  GSource *source;
  Witness witness;

  g_test_summary ("C23: a context that is not attached dies with its last reference, whether or "
                  "not get_source was called");

  context = aio_context_new ();
  witness_init (&witness, context);
  aio_context_unref (context);
  expect_ended (&witness);

  context = aio_context_new ();
  witness_init (&witness, context);
  g_assert_nonnull (aio_context_get_source (context));
  aio_context_unref (context);
  expect_ended (&witness);

  context = aio_context_new ();
  witness_init (&witness, context);
  source = g_source_ref (aio_context_get_source (context));
  aio_context_unref (context);
  expect_ended (&witness);
  g_assert_true (g_source_is_destroyed (source));
  g_source_unref (source);
  expect_no_critical ();
}

static void
end_by_detach (AioContext    *context,
               GMainContext **loop)
{
  aio_context_detach (context);
}

static void
end_by_destroy (AioContext    *context,
                GMainContext **loop)
{
  g_source_destroy (aio_context_get_source (context));
}

static void
end_by_loop (AioContext    *context,
             GMainContext **loop)
{
  g_clear_pointer (loop, g_main_context_unref);
}

static void
test_attached (void)
{
  static void (*const ends[]) (AioContext *, GMainContext **) = {
    end_by_detach, end_by_destroy, end_by_loop,
  };
  guint i;

  g_test_summary ("C23, G8a: an attached context lives until detach, g_source_destroy or the end "
                  "of its GMainContext, and ends there at once");

  for (i = 0; i < G_N_ELEMENTS (ends); i++)
    {
      AioContext *context = aio_context_new ();
      GMainContext *loop = g_main_context_new ();
      Witness witness;

      aio_context_attach (context, loop);
      witness_init (&witness, context);
      aio_context_unref (context);
      expect_alive (&witness);
      ends[i] (context, &loop);
      expect_ended (&witness);
      g_clear_pointer (&loop, g_main_context_unref);
    }
  expect_no_critical ();
}

static void
test_attached_with_source_held (void)
{
  static void (*const ends[]) (AioContext *, GMainContext **) = {
    end_by_detach, end_by_destroy, end_by_loop,
  };
  guint i;

  g_test_summary ("C23, G8a: also when somebody holds a reference on the shell");

  for (i = 0; i < G_N_ELEMENTS (ends); i++)
    {
      AioContext *context = aio_context_new ();
      GMainContext *loop = g_main_context_new ();
      GSource *source;
      Witness witness;

      aio_context_attach (context, loop);
      source = g_source_ref (aio_context_get_source (context));
      witness_init (&witness, context);
      aio_context_unref (context);
      ends[i] (context, &loop);
      expect_ended (&witness);
      g_assert_true (g_source_is_destroyed (source));
      g_source_unref (source);
      g_clear_pointer (&loop, g_main_context_unref);
    }
  expect_no_critical ();
}

static void
test_by_hand (void)
{
  AioContext *context = aio_context_new ();
  GMainContext *loop = g_main_context_new ();
  GSource *source = aio_context_get_source (context);
  guint id;
  Witness witness;

  g_test_summary ("C23: a shell attached by hand holds no reference; it removes itself");

  id = g_source_attach (source, loop);
  witness_init (&witness, context);
  aio_context_unref (context);
  expect_ended (&witness);
  g_assert_false (g_main_context_iteration (loop, FALSE));
  g_assert_null (g_main_context_find_source_by_id (loop, id));
  g_main_context_unref (loop);
  expect_no_critical ();
}

static void
test_ends_between_phases (void)
{
  int n_phases;

  g_test_summary ("C23, G1, G4: the context may end between any two phases of its shell");

  for (n_phases = 0; n_phases < 4; n_phases++)
    {
      g_autoptr (GMainContext) loop = g_main_context_new ();
      AioContext *context = aio_context_new ();
      GSource *source = g_source_ref (aio_context_get_source (context));
      int priority, timeout, n_fds;
      GPollFD fds[4];
      Witness witness;

      g_assert_true (g_main_context_acquire (loop));
      g_source_attach (source, loop);
      if (n_phases % 2 == 0)
        witness_init (&witness, context);
      g_main_context_prepare (loop, &priority);
      if (n_phases < 2)
        g_clear_pointer (&context, aio_context_unref);
      n_fds = g_main_context_query (loop, priority, &timeout, fds, G_N_ELEMENTS (fds));
      g_poll (fds, n_fds, 0);
      g_main_context_check (loop, priority, fds, n_fds);
      g_clear_pointer (&context, aio_context_unref);
      g_main_context_dispatch (loop);
      if (n_phases % 2 == 0)
        expect_ended (&witness);
      g_assert_true (g_source_is_destroyed (source));
      g_source_unref (source);
      g_assert_false (g_main_context_iteration (loop, FALSE));
      g_main_context_release (loop);
    }
  expect_no_critical ();
}

static void
test_no_reference_leaks (void)
{
  AioContext *context = aio_context_new ();
  GMainContext *loop = g_main_context_new ();
  Witness witness;
  int i;

  g_test_summary ("C23: each attach takes one reference, and each way to end it gives it back");

  witness_init (&witness, context);
  for (i = 0; i < 100; i++)
    {
      GMainContext *brief = g_main_context_new ();

      aio_context_attach (context, loop);
      aio_context_detach (context);
      aio_context_attach (context, loop);
      g_source_destroy (aio_context_get_source (context));
      aio_context_attach (context, brief);
      g_main_context_unref (brief);
      g_source_attach (aio_context_get_source (context), loop);
      aio_context_detach (context);
    }
  expect_alive (&witness);
  aio_context_unref (context);
  expect_ended (&witness);
  g_main_context_unref (loop);
  expect_no_critical ();
}

static void
test_source_destroyed_first (void)
{
  g_autoptr (GMainContext) loop = g_main_context_new ();
  AioContext *context = aio_context_new ();
  int ran = 0, destroyed = 0;
  AioBH *bh = aio_bh_new_full (context, "survivor", count, &ran, count);
  AioBH *other = aio_bh_new_full (context, "other", nothing, &destroyed, count);
  GSource *source, *next;

  g_test_summary ("R20, C23: after g_source_destroy all else goes on; the next shell is another");

  aio_context_poll (context, FALSE);
  aio_context_attach (context, loop);
  source = g_source_ref (aio_context_get_source (context));
  aio_bh_schedule (bh);
  g_source_destroy (source);
  aio_bh_schedule (other);
  aio_bh_delete (other);
  g_assert_cmpint (destroyed, ==, 1);
  aio_context_notify (context);
  aio_context_detach (context);
  g_assert_true (g_source_is_destroyed (source));

  next = aio_context_get_source (context);
  g_assert_true (next != source);
  g_assert_false (g_source_is_destroyed (next));
  g_assert_cmpuint (aio_context_attach (context, loop), >, 0);
  g_assert_true (aio_context_get_source (context) == next);
  g_assert_true (g_main_context_iteration (loop, FALSE));
  g_assert_cmpint (ran, ==, 1);
  aio_bh_delete (bh);
  g_assert_cmpint (ran, ==, 2);
  g_source_unref (source);
  aio_context_unref (context);
  expect_no_critical ();
}

static void
test_loop_freed_first (void)
{
  g_autoptr (GMainContext) elsewhere = g_main_context_new ();
  AioContext *context = aio_context_new ();
  GMainContext *loop = g_main_context_new ();
  int ran = 0;
  AioBH *bh = aio_bh_new (context, count, &ran);
  GSource *source;

  g_test_summary ("R21, C23: the GMainContext may be freed before the source and the context");

  aio_context_attach (context, loop);
  source = g_source_ref (aio_context_get_source (context));
  aio_bh_schedule (bh);
  g_main_context_unref (loop);
  g_assert_true (g_source_is_destroyed (source));
  g_source_unref (source);

  g_assert_true (aio_context_poll (context, FALSE));
  g_assert_cmpint (ran, ==, 1);
  aio_bh_schedule (bh);
  aio_context_attach (context, elsewhere);
  g_assert_true (g_main_context_iteration (elsewhere, FALSE));
  g_assert_cmpint (ran, ==, 2);
  aio_bh_delete (bh);
  aio_context_unref (context);
  expect_no_critical ();
}

/* Each order in which one can let go of four things. */
typedef enum
{
  NOT_ATTACHED,
  ATTACHED,
  ATTACHED_BY_HAND,
  N_ATTACHMENTS
} Attachment;

typedef struct
{
  Attachment attachment;
  AioContext *context;
  GMainContext *loop;
  GSource *source;
  AioBH *bh;
  Witness witness;
  int destroyed;
} Heap;

static void
drop_context (Heap *heap)
{
  g_clear_pointer (&heap->context, aio_context_unref);
}

static void
drop_loop (Heap *heap)
{
  g_clear_pointer (&heap->loop, g_main_context_unref);
}

static void
drop_source (Heap *heap)
{
  g_clear_pointer (&heap->source, g_source_unref);
}

static void
drop_bh (Heap *heap)
{
  aio_bh_delete (heap->bh);
  g_clear_pointer (&heap->bh, aio_bh_unref);
}

static void (*const drops[]) (Heap *heap) = { drop_context, drop_loop, drop_source, drop_bh };

static void
check_heap (Heap     *heap,
            gboolean *ended)
{
  gboolean ends = heap->context == NULL && (heap->loop == NULL || heap->attachment != ATTACHED);

  g_assert_cmpint (heap->witness.dropped, ==, ends ? 1 : 0);
  g_assert_cmpint (heap->destroyed, ==, ends || heap->bh == NULL ? 1 : 0);
  if (ends && !*ended && heap->bh != NULL)
    expect_critical ("heaped");
  else
    expect_no_critical ();
  forget_criticals ();
  *ended = ends;
}

static void
drop_in_order (const int  *order,
               Attachment  attachment,
               gboolean    scheduled)
{
  Heap heap = { .attachment = attachment, .context = aio_context_new () };
  gboolean ended = FALSE;
  guint i;

  aio_context_poll (heap.context, FALSE);
  heap.loop = g_main_context_new ();
  heap.source = g_source_ref (aio_context_get_source (heap.context));
  heap.bh = aio_bh_ref (aio_bh_new_full (heap.context, "heaped", nothing, &heap.destroyed, count));
  if (attachment == ATTACHED)
    aio_context_attach (heap.context, heap.loop);
  else if (attachment == ATTACHED_BY_HAND)
    g_source_attach (heap.source, heap.loop);
  if (scheduled)
    aio_bh_schedule (heap.bh);
  witness_init (&heap.witness, heap.context);

  for (i = 0; i < G_N_ELEMENTS (drops); i++)
    {
      drops[order[i]] (&heap);
      check_heap (&heap, &ended);
      if (heap.loop != NULL && ended)
        g_assert_false (g_main_context_iteration (heap.loop, FALSE));
    }
  g_assert_true (ended);
  g_assert_cmpint (heap.witness.ran, ==, 0);
}

static gboolean
is_permutation (const int *order)
{
  return ((1 << order[0]) | (1 << order[1]) | (1 << order[2]) | (1 << order[3])) == 15;
}

static void
for_each_order (void (*func) (const int *order))
{
  int i;

  for (i = 0; i < 256; i++)
    {
      int order[] = { i & 3, (i >> 2) & 3, (i >> 4) & 3, i >> 6 };

      if (is_permutation (order))
        func (order);
    }
}

static void
drop_each_attachment (const int *order)
{
  int attachment;

  for (attachment = 0; attachment < N_ATTACHMENTS; attachment++)
    {
      drop_in_order (order, attachment, FALSE);
      drop_in_order (order, attachment, TRUE);
    }
}

static void
test_any_order (void)
{
  g_test_summary ("C23, C24, R20, R21: context, shell, GMainContext and BH may go in any order");

  for_each_order (drop_each_attachment);
}

/* The same with an I/O thread, its context, its GMainContext and a BH. */
static void
drop_thread_in_order (const int *order)
{
  AioIOThread *thread = aio_io_thread_new ("short", NULL);
  AioContext *context = aio_context_ref (aio_io_thread_get_context (thread));
  GMainContext *loop = g_main_context_ref (aio_io_thread_get_main_context (thread));
  AioBH *bh = aio_bh_ref (aio_bh_new_full (context, "threaded", nothing, NULL, nothing));
  int bh_at = 0, last_at = 0, i;

  for (i = 0; i < 4; i++)
    {
      if (order[i] == 0)
        g_clear_pointer (&thread, aio_io_thread_unref);
      else if (order[i] == 1)
        g_clear_pointer (&context, aio_context_unref);
      else if (order[i] == 2)
        g_clear_pointer (&loop, g_main_context_unref);
      else
        aio_bh_delete (bh);
      if (order[i] == 3)
        bh_at = i;
      else if (order[i] != 2)
        last_at = i;
    }
  aio_bh_unref (bh);

  if (bh_at < last_at)
    expect_no_critical ();
  else
    expect_critical ("threaded");
  forget_criticals ();
}

static void
test_io_thread_any_order (void)
{
  g_test_summary ("C23, C26: so may an I/O thread, its context, its GMainContext and a BH");

  for_each_order (drop_thread_in_order);
}

/* The last reference goes inside a callback. */
typedef struct
{
  AioContext *context;
  GMainContext *loop;
  AioBH *bh;
  Witness witness;
  int destroyed;
  int depth;
} Last;

static void
drop_last (gpointer data)
{
  Last *last = data;

  witness_init (&last->witness, last->context);
  aio_context_unref (last->context);
  expect_alive (&last->witness);
  aio_context_notify (last->context);
}

static void
drop_last_by_detach (gpointer data)
{
  Last *last = data;

  witness_init (&last->witness, last->context);
  aio_context_detach (last->context);
  expect_alive (&last->witness);
}

static void
drop_last_by_destroy (gpointer data)
{
  Last *last = data;

  witness_init (&last->witness, last->context);
  g_source_destroy (aio_context_get_source (last->context));
  expect_alive (&last->witness);
}

static void
iterate_poll (Last *last)
{
  aio_context_poll (last->context, FALSE);
}

static void
iterate_poll_blocking (Last *last)
{
  aio_context_poll (last->context, TRUE);
}

static void
iterate_bh_poll (Last *last)
{
  aio_bh_poll (last->context);
}

static void
iterate_dispatch (Last *last)
{
  aio_context_dispatch (last->context);
}

static void
iterate_loop (Last *last)
{
  g_main_context_iteration (last->loop, FALSE);
}

static void (*const iterators[]) (Last *last) = {
  iterate_poll, iterate_poll_blocking, iterate_bh_poll, iterate_dispatch, iterate_loop,
};

static void
test_last_in_callback (void)
{
  guint i;

  g_test_summary ("C23: the last reference may go inside a callback, the end comes after the "
                  "iteration");

  for (i = 0; i < G_N_ELEMENTS (iterators) - 1; i++)
    {
      Last last = { .context = aio_context_new () };

      aio_bh_schedule_oneshot (last.context, drop_last, &last);
      aio_bh_schedule_oneshot (last.context, nothing, NULL);
      iterators[i] (&last);
      expect_ended (&last.witness);
    }
  expect_no_critical ();
}

static void
test_last_in_callback_attached (void)
{
  static const AioBHFunc funcs[] = { drop_last_by_detach, drop_last_by_destroy };
  guint i, j;

  g_test_summary ("C23: also when it is the GMainContext's reference that goes inside a callback");

  for (i = 0; i < G_N_ELEMENTS (iterators); i++)
    {
      for (j = 0; j < G_N_ELEMENTS (funcs); j++)
        {
          Last last = { .context = aio_context_new (), .loop = g_main_context_new () };

          aio_context_attach (last.context, last.loop);
          aio_context_unref (last.context);
          aio_bh_schedule_oneshot (last.context, funcs[j], &last);
          iterators[i] (&last);
          expect_ended (&last.witness);
          g_main_context_unref (last.loop);
        }
    }
  expect_no_critical ();
}

static void
test_last_by_hand (void)
{
  Last last = { .context = aio_context_new (), .loop = g_main_context_new () };
  GSource *source = g_source_ref (aio_context_get_source (last.context));

  g_test_summary ("C23: also under a shell that was attached by hand");

  g_source_attach (source, last.loop);
  aio_bh_schedule_oneshot (last.context, drop_last, &last);
  g_main_context_iteration (last.loop, FALSE);
  expect_ended (&last.witness);
  g_assert_true (g_source_is_destroyed (source));
  g_source_unref (source);
  g_assert_false (g_main_context_iteration (last.loop, FALSE));
  g_main_context_unref (last.loop);
  expect_no_critical ();
}

static void
nest_and_drop (gpointer data)
{
  Last *last = data;

  if (last->depth-- == 0)
    {
      drop_last (last);
      return;
    }
  aio_bh_schedule_oneshot (last->context, nest_and_drop, last);
  iterators[last->depth % G_N_ELEMENTS (iterators)] (last);
  expect_alive (&last->witness);
}

static void
test_last_nested (void)
{
  guint i;

  g_test_summary ("C23: the end comes after the outermost iteration, whatever the depth and kinds");

  for (i = 0; i < 2 * G_N_ELEMENTS (iterators); i++)
    {
      Last last = { .context = aio_context_new (), .loop = g_main_context_new (), .depth = i };
      GSource *source = g_source_ref (aio_context_get_source (last.context));

      g_source_attach (source, last.loop);
      aio_bh_schedule_oneshot (last.context, nest_and_drop, &last);
      iterators[i % G_N_ELEMENTS (iterators)] (&last);
      expect_ended (&last.witness);
      g_source_unref (source);
      g_main_context_unref (last.loop);
    }
  expect_no_critical ();
}

static gboolean
never (gpointer data)
{
  return FALSE;
}

static void
test_last_in_poll_until (void)
{
  Last last = { .context = aio_context_new () };

  g_test_summary ("C23: poll_until survives the end of its context as long as it needs it");

  aio_bh_schedule_oneshot (last.context, drop_last, &last);
  g_assert_false (aio_context_poll_until (last.context, never, NULL, 0));
  g_assert_cmpint (last.witness.dropped, ==, 1);

  last.context = aio_context_new ();
  aio_bh_schedule_oneshot (last.context, drop_last, &last);
  g_assert_false (aio_context_poll_until (last.context, never, NULL, 20000));
  g_assert_cmpint (last.witness.dropped, ==, 1);
  expect_no_critical ();
}

static void
delete_and_drop (gpointer data)
{
  Last *last = data;

  aio_bh_delete (last->bh);
  drop_last (last);
  g_assert_cmpint (last->destroyed, ==, 0);
}

static void
count_destroyed (gpointer data)
{
  ((Last *) data)->destroyed++;
}

static void
test_last_in_deleted_bh (void)
{
  guint i;

  g_test_summary ("C23, C7: a BH may delete itself and drop the last reference to its context");

  for (i = 0; i < G_N_ELEMENTS (iterators) - 1; i++)
    {
      Last last = { .context = aio_context_new () };

      last.bh = aio_bh_new_full (last.context, "self", delete_and_drop, &last, count_destroyed);
      aio_bh_schedule (last.bh);
      iterators[i] (&last);
      expect_ended (&last.witness);
      g_assert_cmpint (last.destroyed, ==, 1);
    }
  expect_no_critical ();
}

static void
test_last_in_leaked_bh (void)
{
  guint i;

  g_test_summary ("C24: a BH that drops the last reference and stays is a leak like any other");

  for (i = 0; i < G_N_ELEMENTS (iterators) - 1; i++)
    {
      Last last = { .context = aio_context_new_full ("sunk", NULL) };

      last.bh = aio_bh_new_full (last.context, "captain", drop_last, &last, count_destroyed);
      aio_bh_schedule (last.bh);
      iterators[i] (&last);
      expect_ended (&last.witness);
      expect_critical ("captain");
      forget_criticals ();
      g_assert_cmpint (last.destroyed, ==, 1);
    }
}

static void *
unref_in_thread (void *data)
{
  aio_context_unref (data);
  return NULL;
}

static void
test_last_elsewhere (void)
{
  AioContext *context = aio_context_new ();
  Witness witness;

  g_test_summary ("C23: the last reference may be dropped in another thread");

  aio_context_poll (context, FALSE);
  witness_init (&witness, context);
  run_in_thread (unref_in_thread, context);
  expect_ended (&witness);
  expect_no_critical ();
}

static void
test_leak_report (void)
{
  AioContext *context = aio_context_new_full ("forgetful", NULL);
  int ran = 0, destroyed = 0;
  AioBH *alpha = aio_bh_new_full (context, "alpha", count, &ran, NULL);
  AioBH *gamma;

  g_test_summary ("C24: one g_critical lists each BH that is left, by name; their destroy notifies "
                  "run once; nothing else runs");

  aio_context_poll (context, FALSE);
  aio_bh_new_full (context, "beta", nothing, &destroyed, count);
  gamma = aio_bh_new (context, nothing, NULL);
  aio_bh_schedule (aio_bh_new_full (context, "delta", nothing, &destroyed, count));
  aio_bh_delete (aio_bh_new_full (context, "epsilon", nothing, &destroyed, count));
  g_assert_cmpint (destroyed, ==, 1);
  aio_bh_schedule (alpha);
  aio_bh_schedule_idle (gamma);
  expect_no_critical ();

  aio_context_unref (context);
  expect_critical ("forgetful");
  expect_critical ("alpha");
  expect_critical ("beta");
  expect_critical ("nothing");
  expect_critical ("delta");
  g_assert_null (strstr (criticals->str, "epsilon"));
  forget_criticals ();
  g_assert_cmpint (destroyed, ==, 3);
  g_assert_cmpint (ran, ==, 0);
}

static void
test_many_leaks (void)
{
  AioContext *context = aio_context_new ();
  int destroyed = 0, i;

  g_test_summary ("C24: one message however many are left, and none is left out");

  for (i = 0; i < 300; i++)
    {
      g_autofree char *name = g_strdup_printf ("leak-%03d.", i);

      aio_bh_new_full (context, name, nothing, &destroyed, count);
    }
  aio_context_unref (context);
  for (i = 0; i < 300; i++)
    {
      g_autofree char *name = g_strdup_printf ("leak-%03d.", i);

      expect_critical (name);
    }
  forget_criticals ();
  g_assert_cmpint (destroyed, ==, 300);
}

static void
test_leaked_but_referenced (void)
{
  AioContext *context = aio_context_new ();
  int ran = 0, destroyed = 0;
  AioBH *bh = aio_bh_ref (aio_bh_new_full (context, "kept", count, &ran, NULL));
  AioBH *other = aio_bh_new_full (context, "other", count, &destroyed, count);

  g_test_summary ("C24, C23: a leaked BH that somebody holds is dead, and its pointer valid");

  aio_bh_schedule (bh);
  aio_bh_delete (other);
  aio_context_unref (context);
  expect_critical ("kept");
  forget_criticals ();

  aio_bh_schedule (bh);
  aio_bh_schedule_idle (bh);
  g_assert_false (aio_bh_is_scheduled (bh));
  g_assert_false (aio_bh_cancel (bh));
  g_assert_false (aio_bh_cancel_sync (bh));
  g_assert_null (aio_bh_get_context (bh));
  g_assert_cmpstr (aio_bh_get_name (bh), ==, "kept");
  aio_bh_delete (bh);
  aio_bh_unref (bh);
  g_assert_cmpint (ran, ==, 0);
  g_assert_cmpint (destroyed, ==, 1);
  expect_no_critical ();
}

static void *
delete_in_thread (void *data)
{
  aio_bh_delete (data);
  return NULL;
}

static void
test_no_leaks (void)
{
  AioContext *context = aio_context_new ();
  int dropped = 0;
  AioBH *bh;

  g_test_summary ("C24, R10: pending one-shots, posts and deleted BHs go without a message");

  aio_context_poll (context, FALSE);
  aio_bh_schedule_oneshot (context, nothing, NULL);
  aio_bh_schedule_oneshot_full (context, "oneshot", nothing, &dropped, count);
  g_assert_true (aio_context_post (context, nothing, &dropped, count));
  g_assert_true (aio_context_post (context, nothing, NULL, NULL));
  bh = aio_bh_new_full (context, "deleted here", nothing, &dropped, count);
  aio_bh_schedule (bh);
  aio_bh_delete (bh);
  bh = aio_bh_new_full (context, "deleted there", nothing, &dropped, count);
  aio_bh_schedule (bh);
  run_in_thread (delete_in_thread, bh);
  bh = aio_bh_new_full (context, "deleted while at rest", nothing, &dropped, count);
  run_in_thread (delete_in_thread, bh);

  aio_context_unref (context);
  g_assert_cmpint (dropped, ==, 5);
  expect_no_critical ();
}

typedef struct
{
  AioBH *others[3];
  int destroyed;
} Family;

static void
pull_the_others_down (gpointer data)
{
  Family *family = data;
  guint i;

  family->destroyed++;
  for (i = 0; i < G_N_ELEMENTS (family->others); i++)
    {
      aio_bh_schedule (family->others[i]);
      aio_bh_delete (family->others[i]);
    }
}

static void
test_notify_deletes (void)
{
  AioContext *context = aio_context_new ();
  Family family = { .destroyed = 0 };
  guint i;

  g_test_summary ("C24: a destroy notify in the finaliser may schedule and delete its neighbours");

  for (i = 0; i < G_N_ELEMENTS (family.others); i++)
    family.others[i] = aio_bh_ref (aio_bh_new_full (context, "sibling", nothing, &family,
                                                    pull_the_others_down));
  g_assert_true (aio_context_post (context, nothing, &family, pull_the_others_down));
  aio_context_unref (context);
  g_assert_cmpint (family.destroyed, ==, 4);
  for (i = 0; i < G_N_ELEMENTS (family.others); i++)
    aio_bh_unref (family.others[i]);
  g_assert_cmpint (n_criticals, <=, 1);
  forget_criticals ();
}

typedef struct
{
  AioContext *context;          /* no reference */
  GMainContext *main_context;
} Late;

static void
attach_late (gpointer data)
{
  Late *late = data;

  g_assert_cmpuint (aio_context_attach (late->context, late->main_context), ==, 0);
}

static void
get_source_late (gpointer data)
{
  Late *late = data;

  g_assert_null (aio_context_get_source (late->context));
}

/* A source made now would outlive the context that it drives. */
static void
test_notify_attaches (void)
{
  const GDestroyNotify notifies[] = { attach_late, get_source_late };
  const char *names[] = { "aio_context_attach", "aio_context_get_source" };
  Late late = { .main_context = g_main_context_new () };
  guint i;

  g_test_summary ("C24, C28: a destroy notify in the finaliser cannot attach the context again");

  for (i = 0; i < G_N_ELEMENTS (notifies); i++)
    {
      late.context = aio_context_new_full ("ending", NULL);
      g_assert_nonnull (aio_context_get_source (late.context));
      g_assert_true (aio_context_post (late.context, nothing, &late, notifies[i]));
      aio_context_unref (late.context);
      expect_critical (names[i]);
      expect_critical ("“ending” is being finalised");
      forget_criticals ();
      g_assert_false (g_main_context_iteration (late.main_context, FALSE));
    }
  g_main_context_unref (late.main_context);
}

int
main (int    argc,
      char **argv)
{
  int status;

  g_test_init (&argc, &argv, NULL);
  /* An I/O thread would make it, and GLib keeps it: not a descriptor that leaked. */
  g_main_context_default ();
  criticals = g_string_new (NULL);
  g_log_set_always_fatal (G_LOG_FATAL_MASK);
  g_log_set_default_handler (fail_on_others, NULL);
  g_log_set_handler ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, take_critical, NULL);
  aio_test_add ("/life/unattached", test_unattached);
  aio_test_add ("/life/attached", test_attached);
  aio_test_add ("/life/attached-with-source-held", test_attached_with_source_held);
  aio_test_add ("/life/by-hand", test_by_hand);
  aio_test_add ("/life/ends-between-phases", test_ends_between_phases);
  aio_test_add ("/life/no-reference-leaks", test_no_reference_leaks);
  aio_test_add ("/life/source-destroyed-first", test_source_destroyed_first);
  aio_test_add ("/life/loop-freed-first", test_loop_freed_first);
  aio_test_add ("/life/any-order", test_any_order);
  aio_test_add ("/life/io-thread-any-order", test_io_thread_any_order);
  aio_test_add ("/life/last/in-callback", test_last_in_callback);
  aio_test_add ("/life/last/attached", test_last_in_callback_attached);
  aio_test_add ("/life/last/by-hand", test_last_by_hand);
  aio_test_add ("/life/last/nested", test_last_nested);
  aio_test_add ("/life/last/in-poll-until", test_last_in_poll_until);
  aio_test_add ("/life/last/in-deleted-bh", test_last_in_deleted_bh);
  aio_test_add ("/life/last/in-leaked-bh", test_last_in_leaked_bh);
  aio_test_add ("/life/last/elsewhere", test_last_elsewhere);
  aio_test_add ("/life/leaks/report", test_leak_report);
  aio_test_add ("/life/leaks/many", test_many_leaks);
  aio_test_add ("/life/leaks/referenced", test_leaked_but_referenced);
  aio_test_add ("/life/leaks/none", test_no_leaks);
  aio_test_add ("/life/leaks/notify-deletes", test_notify_deletes);
  aio_test_add ("/life/leaks/notify-attaches", test_notify_attaches);
  status = g_test_run ();
  g_string_free (criticals, TRUE);
  return status;
}
