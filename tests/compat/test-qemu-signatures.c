/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every call that QEMU has had with different arguments, in each form, and natively. That it
 * compiles without a warning is most of the test. */
#include "qemu/main-loop.h"
#include "qemu-aio.h"
#include "qemu/timer.h"
#include "qemu/thread.h"
#include "../aio-test.h"

#include "signatures.h"

static void
test_native (void)
{
  int n = 0;
  AioContext *ctx = (aio_context_new) ();
  AioBH *bh = (aio_bh_new) (ctx, count, &n);
  AioBH *full = (aio_bh_new_full) (ctx, "name", count, &n, NULL);
  AioTimer *timer = (aio_timer_new) (ctx, AIO_CLOCK_MONOTONIC, count, &n, NULL);
  AioTimer embedded;

  g_test_summary ("C2: a name in parentheses is the native function");
  (aio_timer_init) (&embedded, ctx, AIO_CLOCK_MONOTONIC, count, &n);
  (aio_bh_schedule_oneshot) (ctx, count, &n);
  (aio_bh_schedule_oneshot_full) (ctx, "name", count, &n, NULL);
  aio_bh_schedule (bh);
  aio_bh_schedule (full);
  aio_timer_mod_ns (timer, 0);
  aio_timer_mod_ns (&embedded, 0);
  while (aio_context_poll (ctx, FALSE))
    ;
  g_assert_cmpint (n, ==, 6);
  g_assert_cmpstr (aio_bh_get_name (full), ==, "name");
  aio_bh_delete (bh);
  aio_bh_delete (full);
  aio_timer_free (timer);
  aio_timer_clear (&embedded);
  aio_context_unref (ctx);
}

/* From 2015 to 2023 there was is_external; only C can tell it apart. */
static void
test_external (void)
{
  int n = 0, fds[2];
  AioContext *ctx = aio_context_new (NULL);
  EventNotifier e;
  bool external = false;

  g_test_summary ("C20: is_external in front of the callbacks");
  g_assert_cmpint (pipe (fds), ==, 0);
  g_assert_cmpint (event_notifier_init (&e, true), ==, 0);
  aio_set_fd_handler (ctx, fds[1], false, NULL, count, &n);
  aio_poll (ctx, false);
  aio_set_fd_handler (ctx, fds[1], true, NULL, count, NULL, &n);
  aio_poll (ctx, false);
  aio_set_fd_handler (ctx, fds[1], external, NULL, count, NULL, NULL, &n);
  aio_poll (ctx, false);
  g_assert_cmpint (n, ==, 3);
  aio_set_fd_handler (ctx, fds[1], false, NULL, NULL, NULL, NULL, NULL);

  aio_set_event_notifier (ctx, &e, false, notifier_count);
  aio_poll (ctx, false);
  aio_set_event_notifier (ctx, &e, external, notifier_count, NULL);
  aio_poll (ctx, false);
  aio_set_event_notifier (ctx, &e, true, notifier_count, NULL, NULL);
  aio_poll (ctx, false);
  g_assert_cmpint (notifier_counter, ==, 3);
  aio_set_event_notifier (ctx, &e, false, NULL);
  event_notifier_set_handler (&e, false, NULL);
  event_notifier_cleanup (&e);
  close (fds[0]);
  close (fds[1]);
  aio_context_unref (ctx);
}

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  add_signature_tests ();
  aio_test_add ("/signatures/native", test_native);
  aio_test_add ("/signatures/external", test_external);
  return g_test_run ();
}
