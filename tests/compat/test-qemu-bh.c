/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bottom halves and one-shots, by QEMU's names. */
#include "compat-test.h"

typedef struct
{
  QEMUBH *bh;
  int n;
  int max;              /* schedule again up to this count */
  QEMUBH *victims[4];   /* deleted by the callback */
} BHTest;

static void
count_cb (void *opaque)
{
  BHTest *test = opaque;

  test->n++;
  if (test->n < test->max)
    qemu_bh_schedule (test->bh);
}

static void
delete_cb (void *opaque)
{
  BHTest *test = opaque;

  test->n++;
  for (size_t i = 0; i < ARRAY_SIZE (test->victims) && test->victims[i] != NULL; i++)
    qemu_bh_delete (test->victims[i]);
  qemu_bh_delete (test->bh);
  test->bh = NULL;
}

static void
test_schedule (void)
{
  BHTest test = { 0 };

  g_test_summary ("C2, C11: a schedule causes one run, however often it came");
  test.bh = aio_bh_new (ctx, count_cb, &test);
  settle ();
  g_assert_cmpint (test.n, ==, 0);

  qemu_bh_schedule (test.bh);
  qemu_bh_schedule (test.bh);
  g_assert_cmpint (test.n, ==, 0);
  g_assert_true (step (true));
  g_assert_cmpint (test.n, ==, 1);
  g_assert_false (step (false));
  g_assert_cmpint (test.n, ==, 1);
  qemu_bh_delete (test.bh);
}

static void
test_schedule_ten_times (void)
{
  BHTest test = { .max = 10 };

  g_test_summary ("C4: scheduled from its own callback it runs in the next pass, ten times over");
  test.bh = aio_bh_new (ctx, count_cb, &test);
  qemu_bh_schedule (test.bh);
  for (int i = 1; i <= 10; i++)
    {
      g_assert_true (step (true));
      g_assert_cmpint (test.n, ==, i);
    }
  g_assert_false (step (false));
  g_assert_cmpint (test.n, ==, 10);
  qemu_bh_delete (test.bh);
}

static void
test_cancel (void)
{
  BHTest test = { 0 };

  g_test_summary ("C6: a cancelled bottom half does not run, and can be scheduled again");
  test.bh = aio_bh_new (ctx, count_cb, &test);
  qemu_bh_schedule (test.bh);
  qemu_bh_cancel (test.bh);
  settle ();
  g_assert_cmpint (test.n, ==, 0);
  qemu_bh_schedule (test.bh);
  settle ();
  g_assert_cmpint (test.n, ==, 1);
  qemu_bh_delete (test.bh);
}

static void
test_delete (void)
{
  BHTest test = { 0 };

  g_test_summary ("C7: a deleted bottom half does not run");
  test.bh = aio_bh_new (ctx, count_cb, &test);
  qemu_bh_schedule (test.bh);
  qemu_bh_delete (test.bh);
  settle ();
  g_assert_cmpint (test.n, ==, 0);
}

static void
test_delete_from_callback (void)
{
  BHTest test = { 0 };

  g_test_summary ("C7: a bottom half deletes itself");
  test.bh = aio_bh_new (ctx, delete_cb, &test);
  qemu_bh_schedule (test.bh);
  g_assert_true (step (true));
  g_assert_cmpint (test.n, ==, 1);
  g_assert_null (test.bh);
  settle ();
  g_assert_cmpint (test.n, ==, 1);
}

static void
test_delete_many_from_callback (void)
{
  BHTest first = { 0 }, others[4] = { { 0 } };

  g_test_summary ("C7: a bottom half deletes those scheduled before and behind it, and itself");
  for (int i = 0; i < 4; i++)
    others[i].bh = first.victims[i] = aio_bh_new (ctx, count_cb, &others[i]);
  first.bh = aio_bh_new (ctx, delete_cb, &first);
  qemu_bh_schedule (others[0].bh);
  qemu_bh_schedule (first.bh);
  for (int i = 1; i < 4; i++)
    qemu_bh_schedule (others[i].bh);
  settle ();
  g_assert_cmpint (first.n, ==, 1);
  g_assert_cmpint (others[0].n, ==, 1);
  for (int i = 1; i < 4; i++)
    g_assert_cmpint (others[i].n, ==, 0);
}

static void
test_flush (void)
{
  BHTest tests[3] = { { .max = 1 }, { .max = 4 }, { .max = 7 } };

  g_test_summary ("C9: until nothing is left: a flush runs also what the callbacks schedule");
  for (int i = 0; i < 3; i++)
    {
      tests[i].bh = aio_bh_new (ctx, count_cb, &tests[i]);
      qemu_bh_schedule (tests[i].bh);
    }
  if (main_context == NULL)
    while (aio_bh_poll (ctx))
      ;
  else
    settle ();
  for (int i = 0; i < 3; i++)
    {
      g_assert_cmpint (tests[i].n, ==, tests[i].max);
      qemu_bh_delete (tests[i].bh);
    }
}

static void
test_aio_flush (void)
{
  BHTest test = { .max = 5 };

  g_test_summary ("C4: aio_flush() goes on until no bottom half is scheduled, and does not block");
  test.bh = aio_bh_new (ctx, count_cb, &test);
  qemu_bh_schedule (test.bh);
  aio_flush (ctx);
  g_assert_cmpint (test.n, ==, 5);
  aio_flush (ctx);
  qemu_bh_delete (test.bh);
}

static void
test_idle (void)
{
  BHTest test = { 0 };
  uint32_t timeout = UINT32_MAX;

  g_test_summary ("C5, C10: idle ones ask for 10 ms; a schedule makes them normal ones");
  test.bh = aio_bh_new (ctx, count_cb, &test);
  aio_bh_update_timeout (ctx, &timeout);
  g_assert_cmpuint (timeout, ==, UINT32_MAX);
  g_assert_cmpint (aio_compute_timeout (ctx), ==, -1);

  qemu_bh_schedule_idle (test.bh);
  aio_bh_update_timeout (ctx, &timeout);
  g_assert_cmpuint (timeout, ==, 10);
  g_assert_cmpint (aio_compute_timeout (ctx), ==, 10 * SCALE_MS);
  if (main_context == NULL)
    g_assert_false (aio_poll (ctx, false));
  while (test.n == 0)
    step (true);

  qemu_bh_schedule_idle (test.bh);
  qemu_bh_schedule (test.bh);
  timeout = UINT32_MAX;
  aio_bh_update_timeout (ctx, &timeout);
  g_assert_cmpuint (timeout, ==, 0);
  g_assert_cmpint (aio_compute_timeout (ctx), ==, 0);
  g_assert_true (step (false));
  g_assert_cmpint (test.n, ==, 2);
  qemu_bh_delete (test.bh);
}

static void
test_oneshot (void)
{
  BHTest test = { 0 };

  g_test_summary ("C3, C8: one-shots run once and free themselves");
  aio_bh_schedule_oneshot (ctx, count_cb, &test);
  aio_bh_schedule_oneshot_full (ctx, count_cb, &test, "a name");
  settle ();
  g_assert_cmpint (test.n, ==, 2);
}

static void
test_call (void)
{
  BHTest test = { 0 };

  g_test_summary ("C7: aio_bh_call() runs the callback at once and leaves the schedule alone");
  test.bh = aio_bh_new (ctx, count_cb, &test);
  aio_bh_call (test.bh);
  g_assert_cmpint (test.n, ==, 1);
  settle ();
  g_assert_cmpint (test.n, ==, 1);
  qemu_bh_schedule (test.bh);
  aio_bh_call (test.bh);
  g_assert_cmpint (test.n, ==, 2);
  settle ();
  g_assert_cmpint (test.n, ==, 3);
  qemu_bh_delete (test.bh);
}

typedef struct
{
  MemReentrancyGuard guard;
  bool seen;
} GuardTest;

static void
guarded_cb (void *opaque)
{
  GuardTest *test = opaque;

  test->seen = test->guard.engaged_in_io;
}

static void
test_guard (void)
{
  GuardTest test = { { false }, false };
  QEMUBH *bh = aio_bh_new_guarded (ctx, guarded_cb, &test, &test.guard);

  g_test_summary ("C2: the guard of a device is engaged while its bottom half runs");
  qemu_bh_schedule (bh);
  settle ();
  g_assert_true (test.seen);
  g_assert_false (test.guard.engaged_in_io);
  qemu_bh_delete (bh);
}

static void
note_order (void *opaque)
{
  GString *order = opaque;

  g_string_append_c (order, (char) ('a' + order->len));
}

static void
first_cb (void *opaque)
{
  g_string_append_c (opaque, '1');
}

static void
second_cb (void *opaque)
{
  g_string_append_c (opaque, '2');
}

static void
test_fifo (void)
{
  GString *order = g_string_new (NULL);
  QEMUBH *first = aio_bh_new (ctx, first_cb, order);
  QEMUBH *second = aio_bh_new (ctx, second_cb, order);

  g_test_summary ("C3: first in, first out, in whatever order they were made");
  qemu_bh_schedule (second);
  qemu_bh_schedule (first);
  aio_bh_schedule_oneshot (ctx, note_order, order);
  settle ();
  g_assert_cmpstr (order->str, ==, "21c");
  qemu_bh_delete (first);
  qemu_bh_delete (second);
  g_string_free (order, TRUE);
}

static void
test_notify (void)
{
  g_test_summary ("C12: aio_notify() ends a blocking poll, without progress");
  aio_notify (ctx);
  if (main_context == NULL)
    g_assert_false (aio_poll (ctx, true));
  else
    step (true);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  add_case ("/bh/schedule", test_schedule);
  add_case ("/bh/schedule-ten-times", test_schedule_ten_times);
  add_case ("/bh/cancel", test_cancel);
  add_case ("/bh/delete", test_delete);
  add_case ("/bh/delete-from-callback", test_delete_from_callback);
  add_case ("/bh/delete-many-from-callback", test_delete_many_from_callback);
  add_case ("/bh/flush", test_flush);
  add_case ("/bh/aio-flush", test_aio_flush);
  add_case ("/bh/idle", test_idle);
  add_case ("/bh/oneshot", test_oneshot);
  add_case ("/bh/call", test_call);
  add_case ("/bh/guard", test_guard);
  add_case ("/bh/fifo", test_fifo);
  add_case ("/bh/notify", test_notify);
  return g_test_run ();
}
