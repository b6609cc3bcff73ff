/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a unit test of 2012's AioContext would say, to the letter of what each call returns. One
 * context for all cases, attached to the default GMainContext, and polled by itself as well. */
#include "qemu-common.h"
#include "qemu-aio.h"
#include "main-loop.h"

#include "../aio-test.h"

static AioContext *ctx;

static bool
iterate (bool may_block)
{
  return g_main_context_iteration (NULL, may_block);
}

static void
settle (void)
{
  while (iterate (false))
    ;
}

/* --- Bottom halves ---------------------------------------------------------------------------- */

typedef struct
{
  QEMUBH *bh;
  int n, max;
} BHTest;

static void
bh_cb (void *opaque)
{
  BHTest *test = opaque;

  if (++test->n < test->max)
    qemu_bh_schedule (test->bh);
}

static void
bh_delete_cb (void *opaque)
{
  BHTest *test = opaque;

  bh_cb (test);
  if (test->n < test->max)
    return;
  qemu_bh_delete (test->bh);
  test->bh = NULL;
}

static void
test_bh_poll (void)
{
  BHTest test = { .max = 10 };

  g_test_summary ("C4, C11: each aio_poll() is a pass, and says whether it was an empty one");
  test.bh = aio_bh_new (ctx, bh_cb, &test);
  qemu_bh_schedule (test.bh);
  g_assert_cmpint (test.n, ==, 0);
  g_assert_true (aio_poll (ctx, false));
  g_assert_cmpint (test.n, ==, 1);
  g_assert_true (aio_poll (ctx, true));
  g_assert_cmpint (test.n, ==, 2);
  aio_flush (ctx);
  g_assert_cmpint (test.n, ==, 10);
  g_assert_false (aio_poll (ctx, false));
  qemu_bh_delete (test.bh);
}

static void
test_bh_source (void)
{
  BHTest test = { .max = 10 };

  g_test_summary ("C4, C18: each iteration of the GMainContext is a pass, and says whether there "
                  "was something to do");
  test.bh = aio_bh_new (ctx, bh_cb, &test);
  qemu_bh_schedule (test.bh);
  g_assert_cmpint (test.n, ==, 0);
  g_assert_true (iterate (false));
  g_assert_cmpint (test.n, ==, 1);
  g_assert_true (iterate (true));
  g_assert_cmpint (test.n, ==, 2);
  settle ();
  g_assert_cmpint (test.n, ==, 10);
  g_assert_false (iterate (false));
  qemu_bh_schedule (test.bh);
  qemu_bh_cancel (test.bh);
  settle ();
  qemu_bh_schedule (test.bh);
  qemu_bh_delete (test.bh);
  settle ();
  g_assert_cmpint (test.n, ==, 10);
}

static void
test_bh_delete_many (void)
{
  BHTest tests[] = { { .max = 1 }, { .max = 3 }, { .max = 2 }, { .max = 4 } };

  g_test_summary ("C7: four delete themselves in their callbacks, after one run or "
                  "more");
  for (size_t i = 0; i < ARRAY_SIZE (tests); i++)
    {
      tests[i].bh = aio_bh_new (ctx, bh_delete_cb, &tests[i]);
      qemu_bh_schedule (tests[i].bh);
    }
  g_assert_true (aio_poll (ctx, false));
  for (size_t i = 0; i < ARRAY_SIZE (tests); i++)
    g_assert_cmpint (tests[i].n, ==, 1);
  g_assert_null (tests[0].bh);
  aio_flush (ctx);
  for (size_t i = 0; i < ARRAY_SIZE (tests); i++)
    {
      g_assert_cmpint (tests[i].n, ==, tests[i].max);
      g_assert_null (tests[i].bh);
    }
}

/* --- Notifications ---------------------------------------------------------------------------- */

static void
test_notify (void)
{
  g_test_summary ("C12: a notification ends one wait, without progress");
  g_assert_false (aio_poll (ctx, false));
  aio_notify (ctx);
  g_assert_false (aio_poll (ctx, true));
  g_assert_false (aio_poll (ctx, false));
  aio_notify (ctx);
  aio_flush (ctx);
  g_assert_false (aio_poll (ctx, false));
}

static void
test_notify_source (void)
{
  g_test_summary ("C12: the GMainContext dispatches a notification, once");
  settle ();
  aio_notify (ctx);
  g_assert_true (iterate (true));
  g_assert_false (iterate (false));
}

/* --- Event notifiers -------------------------------------------------------------------------- */

typedef struct
{
  EventNotifier e;
  int n, active;
  bool auto_set;
} NotifierTest;

static int
active_cb (EventNotifier *e)
{
  return container_of (e, NotifierTest, e)->active > 0;
}

static void
ready_cb (EventNotifier *e)
{
  NotifierTest *test = container_of (e, NotifierTest, e);

  g_assert_true (event_notifier_test_and_clear (e));
  test->n++;
  if (test->active > 0)
    test->active--;
  if (test->auto_set && test->active > 0)
    event_notifier_set (e);
}

static void
add (NotifierTest                 *test,
     AioFlushEventNotifierHandler *io_flush)
{
  g_assert_cmpint (event_notifier_init (&test->e, false), ==, 0);
  aio_set_event_notifier (ctx, &test->e, ready_cb, io_flush);
}

static void
drop (NotifierTest *test)
{
  aio_set_event_notifier (ctx, &test->e, NULL, NULL);
  g_assert_false (aio_poll (ctx, false));
  event_notifier_cleanup (&test->e);
}

static void
test_wait (void)
{
  NotifierTest test = { .active = 1 };

  g_test_summary ("C20: aio_poll() is true while a handler is busy, and false as soon as none is");
  add (&test, active_cb);
  g_assert_true (aio_poll (ctx, false));
  g_assert_cmpint (test.n, ==, 0);
  g_assert_cmpint (test.active, ==, 1);
  event_notifier_set (&test.e);
  g_assert_true (aio_poll (ctx, false));
  g_assert_cmpint (test.n, ==, 1);
  g_assert_cmpint (test.active, ==, 0);
  g_assert_false (aio_poll (ctx, false));
  g_assert_false (aio_poll (ctx, true));
  g_assert_cmpint (test.n, ==, 1);
  drop (&test);
}

static void
test_wait_no_flush (void)
{
  NotifierTest test = { .n = 0 }, dummy = { .active = 1 };

  g_test_summary ("C20: without a predicate a handler is not waited for, and is no progress; it is "
                  "run while another one is busy");
  add (&test, NULL);
  g_assert_false (aio_poll (ctx, false));
  g_assert_cmpint (test.n, ==, 0);
  event_notifier_set (&test.e);
  g_assert_false (aio_poll (ctx, true));
  test.n = 0;

  add (&dummy, active_cb);
  for (int i = 1; i <= 2; i++)
    {
      event_notifier_set (&test.e);
      g_assert_true (aio_poll (ctx, false));
      g_assert_cmpint (test.n, ==, i);
      g_assert_true (aio_poll (ctx, false));
      g_assert_cmpint (test.n, ==, i);
    }
  event_notifier_set (&dummy.e);
  aio_flush (ctx);
  g_assert_cmpint (test.n, ==, 2);
  g_assert_cmpint (dummy.n, ==, 1);
  g_assert_cmpint (dummy.active, ==, 0);
  drop (&dummy);
  drop (&test);
}

static void
test_flush_ten_deep (void)
{
  NotifierTest test = { .active = 10, .auto_set = true };

  g_test_summary ("C20: one request at a time, and the last eight by a flush");
  add (&test, active_cb);
  g_assert_true (aio_poll (ctx, false));
  g_assert_cmpint (test.n, ==, 0);
  event_notifier_set (&test.e);
  for (int i = 1; i <= 2; i++)
    {
      g_assert_true (aio_poll (ctx, false));
      g_assert_cmpint (test.n, ==, i);
      g_assert_cmpint (test.active, ==, 10 - i);
    }
  aio_flush (ctx);
  g_assert_cmpint (test.n, ==, 10);
  g_assert_cmpint (test.active, ==, 0);
  drop (&test);
}

static void
test_source_handlers (void)
{
  NotifierTest test = { .active = 10, .auto_set = true }, plain = { .n = 0 };

  g_test_summary ("C18, C20: under the GMainContext the predicate changes nothing");
  add (&test, active_cb);
  add (&plain, NULL);
  settle ();
  g_assert_cmpint (test.n + plain.n, ==, 0);
  event_notifier_set (&plain.e);
  g_assert_true (iterate (true));
  g_assert_cmpint (plain.n, ==, 1);
  g_assert_false (iterate (false));
  event_notifier_set (&test.e);
  for (int i = 1; i <= 2; i++)
    {
      g_assert_true (iterate (false));
      g_assert_cmpint (test.n, ==, i);
    }
  settle ();
  g_assert_cmpint (test.n, ==, 10);
  g_assert_false (iterate (false));
  g_assert_cmpint (plain.n, ==, 1);
  drop (&plain);
  drop (&test);
}

/* Sooner or later a context lies where one was that went while its handler was there. It has to
 * know nothing of that. */
static void
test_end (void)
{
  NotifierTest test = { .active = 1 };

  g_test_summary ("C24: a handler that was forgotten is reported, and not asked any more");
  event_notifier_init (&test.e, false);
  for (int i = 0; i < 50; i++)
    {
      AioContext *other = aio_context_new ();

      g_assert_false (aio_poll (other, false));
      aio_set_event_notifier (other, &test.e, ready_cb, active_cb);
      g_assert_true (aio_poll (other, false));
      g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*not deleted*");
      aio_context_unref (other);
      g_test_assert_expected_messages ();
    }
  event_notifier_cleanup (&test.e);
}

static void
ignore (void *opaque)
{
  (void) opaque;
}

int
main (int   argc,
      char *argv[])
{
  GSource *source;

  g_test_init (&argc, &argv, NULL);
  ctx = aio_context_new ();
  source = aio_get_g_source (ctx);
  g_source_attach (source, NULL);
  g_source_unref (source);
  /* The first handler costs the context a descriptor, which it keeps. */
  aio_set_fd_handler (ctx, 0, ignore, NULL, NULL, NULL);
  aio_set_fd_handler (ctx, 0, NULL, NULL, NULL, NULL);
  settle ();

  aio_test_add ("/unit/bh/poll", test_bh_poll);
  aio_test_add ("/unit/bh/source", test_bh_source);
  aio_test_add ("/unit/bh/delete-many", test_bh_delete_many);
  aio_test_add ("/unit/notify/poll", test_notify);
  aio_test_add ("/unit/notify/source", test_notify_source);
  aio_test_add ("/unit/event/wait", test_wait);
  aio_test_add ("/unit/event/wait-no-flush", test_wait_no_flush);
  aio_test_add ("/unit/event/flush-ten-deep", test_flush_ten_deep);
  aio_test_add ("/unit/event/source", test_source_handlers);
  aio_test_add ("/unit/end", test_end);
  return g_test_run ();
}
