/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* I/O threads: what runs in them, and how they end. */
#include "aio-test.h"

static void
count (gpointer data)
{
  atomic_fetch_add ((atomic_int *) data, 1);
}

static void
wait_for (atomic_int *word,
          int         value)
{
  while (atomic_load (word) != value)
    g_usleep (100);
}

typedef struct
{
  AioIOThread *thread;
  AioContext *context;
  AioBH *bhs[2];
  atomic_int step;
  atomic_int ran;
  atomic_int stopper;
  pthread_t where;
  GSourceFunc in_source;
} Fixture;

static void
fixture_init (Fixture *fixture)
{
  *fixture = (Fixture) { .thread = aio_io_thread_new ("worker", NULL) };
  g_assert_nonnull (fixture->thread);
  fixture->context = aio_io_thread_get_context (fixture->thread);
}

static void
look_around (gpointer data)
{
  Fixture *fixture = data;

  fixture->where = pthread_self ();
  g_assert_true (g_source_get_context (aio_context_get_source (fixture->context)) ==
                 aio_io_thread_get_main_context (fixture->thread));
  g_assert_true (g_main_context_get_thread_default () ==
                 aio_io_thread_get_main_context (fixture->thread));
  g_assert_true (g_main_context_is_owner (aio_io_thread_get_main_context (fixture->thread)));
  g_assert_true (aio_context_get_current () == fixture->context);
  g_assert_true (aio_context_is_home_thread (fixture->context));
  atomic_fetch_add (&fixture->step, 1);
}

/* Made in the I/O thread: sanitizers that do not see into GLib know then that it is not shared. */
static void
add_source (gpointer data)
{
  Fixture *fixture = data;
  GSource *source = g_idle_source_new ();

  g_source_set_callback (source, fixture->in_source, fixture, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  g_source_unref (source);
}

static gboolean
look_around_in_source (gpointer data)
{
  look_around (data);
  return G_SOURCE_REMOVE;
}

static void
test_surroundings (void)
{
  Fixture fixture;
  pthread_t where;

  g_test_summary ("C26, C17: a thread with its own context and GMainContext, which is "
                  "thread-default there");

  fixture_init (&fixture);
  g_assert_nonnull (strstr (aio_context_get_name (fixture.context), "worker"));
  g_assert_true (aio_context_post (fixture.context, look_around, &fixture, NULL));
  wait_for (&fixture.step, 1);
  where = fixture.where;
  g_assert_false (pthread_equal (where, pthread_self ()));
  fixture.in_source = look_around_in_source;
  g_assert_true (aio_context_post (fixture.context, add_source, &fixture, NULL));
  wait_for (&fixture.step, 2);
  g_assert_true (pthread_equal (where, fixture.where));
  aio_io_thread_unref (fixture.thread);
}

static void
test_boxed (void)
{
  Fixture fixture;
  AioIOThread *copy;

  g_test_summary ("C26: references are counted; the last one stops the thread");

  fixture_init (&fixture);
  g_assert_true (g_type_is_a (AIO_TYPE_IO_THREAD, G_TYPE_BOXED));
  copy = g_boxed_copy (AIO_TYPE_IO_THREAD, fixture.thread);
  g_assert_true (copy == fixture.thread);
  g_assert_true (aio_io_thread_ref (copy) == copy);
  aio_io_thread_unref (copy);
  aio_io_thread_unref (fixture.thread);
  g_assert_true (aio_context_post (fixture.context, count, &fixture.ran, NULL));
  g_boxed_free (AIO_TYPE_IO_THREAD, copy);
  g_assert_cmpint (atomic_load (&fixture.ran), ==, 1);
}

static void
test_stop_at_once (void)
{
  int i;

  g_test_summary ("C26, R23: stop may come before the first iteration");

  for (i = 0; i < 200; i++)
    {
      Fixture fixture;

      fixture_init (&fixture);
      aio_io_thread_stop (fixture.thread);
      g_assert_false (aio_context_is_home_thread (fixture.context));
      aio_io_thread_unref (fixture.thread);
      fixture_init (&fixture);
      aio_io_thread_unref (fixture.thread);
    }
}

static void
test_stop_twice (void)
{
  Fixture fixture;

  g_test_summary ("C26, R23: stop may come twice; it joins");

  while (aio_test_count_threads () != 0)
    g_usleep (100);
  fixture_init (&fixture);
  g_assert_true (aio_context_post (fixture.context, count, &fixture.ran, NULL));
  g_assert_cmpuint (aio_test_count_threads (), ==, 1);
  aio_io_thread_stop (fixture.thread);
  g_assert_cmpint (atomic_load (&fixture.ran), ==, 1);
  /* The kernel takes the thread out of the list a moment after it told who joins. */
  while (aio_test_count_threads () != 0)
    g_usleep (100);
  aio_io_thread_stop (fixture.thread);
  aio_io_thread_stop (fixture.thread);
  aio_io_thread_unref (fixture.thread);
}

static void *
stop_it (void *data)
{
  Fixture *fixture = data;

  atomic_store (&fixture->stopper, gettid ());
  aio_io_thread_stop (fixture->thread);
  return NULL;
}

static void
test_stop_from_all_sides (void)
{
  pthread_t threads[4];
  guint i, round;

  g_test_summary ("C26: several threads may stop it at once, each returns when it has ended");

  for (round = 0; round < 50; round++)
    {
      Fixture fixture;

      fixture_init (&fixture);
      g_assert_true (aio_context_post (fixture.context, count, &fixture.ran, NULL));
      for (i = 0; i < G_N_ELEMENTS (threads); i++)
        threads[i] = thread_start (stop_it, &fixture);
      aio_io_thread_stop (fixture.thread);
      g_assert_cmpint (atomic_load (&fixture.ran), ==, 1);
      for (i = 0; i < G_N_ELEMENTS (threads); i++)
        thread_join (threads[i]);
      aio_io_thread_unref (fixture.thread);
    }
}

static void
test_runs_what_was_before (void)
{
  Fixture fixture;
  AioBH *bh, *idle, *cancelled;
  int i;

  g_test_summary ("C26: stop runs what was scheduled or posted before it");

  for (i = 0; i < 50; i++)
    {
      fixture_init (&fixture);
      bh = aio_bh_new (fixture.context, count, &fixture.ran);
      idle = aio_bh_new (fixture.context, count, &fixture.ran);
      cancelled = aio_bh_new (fixture.context, count, &fixture.ran);
      aio_bh_schedule (bh);
      aio_bh_schedule_oneshot (fixture.context, count, &fixture.ran);
      g_assert_true (aio_context_post (fixture.context, count, &fixture.ran, count));
      aio_bh_schedule_idle (idle);
      aio_io_thread_stop (fixture.thread);
      g_assert_cmpint (atomic_load (&fixture.ran), ==, 5);
      g_assert_false (aio_bh_cancel (cancelled));
      aio_bh_delete (bh);
      aio_bh_delete (idle);
      aio_bh_delete (cancelled);
      aio_io_thread_unref (fixture.thread);
    }
}

static void
wait_inside (gpointer data)
{
  Fixture *fixture = data;

  atomic_store (&fixture->step, 1);
  wait_for (&fixture->step, 2);
}

static void
schedule_the_other (gpointer data)
{
  Fixture *fixture = data;

  count (&fixture->ran);
  aio_bh_schedule (fixture->bhs[1]);
  aio_bh_schedule (fixture->bhs[0]);
}

/* Holds the thread inside a callback, stops it from another one, and goes on when the stop has
 * begun: then the context takes no posts any more. */
static void
stop_in_midpass (Fixture *fixture)
{
  pthread_t stopper;
  atomic_int dropped = 0;

  g_assert_true (aio_context_post (fixture->context, wait_inside, fixture, NULL));
  wait_for (&fixture->step, 1);
  aio_bh_schedule (fixture->bhs[0]);
  stopper = thread_start (stop_it, fixture);
  while (aio_context_post (fixture->context, nothing, NULL, NULL))
    g_usleep (100);
  g_assert_false (aio_context_post (fixture->context, nothing, &dropped, count));
  g_assert_cmpint (atomic_load (&dropped), ==, 1);
  atomic_store (&fixture->step, 2);
  thread_join (stopper);
}

static void
test_not_what_that_schedules (void)
{
  Fixture fixture;

  g_test_summary ("C26: not what that schedules, which stays pending; then there is no home "
                  "thread, and anybody may poll");

  fixture_init (&fixture);
  fixture.bhs[0] = aio_bh_new (fixture.context, schedule_the_other, &fixture);
  fixture.bhs[1] = aio_bh_new (fixture.context, count, &fixture.ran);
  stop_in_midpass (&fixture);
  g_assert_cmpint (atomic_load (&fixture.ran), ==, 1);
  g_assert_true (aio_bh_is_scheduled (fixture.bhs[0]));
  g_assert_true (aio_bh_is_scheduled (fixture.bhs[1]));
  g_assert_false (aio_context_is_home_thread (fixture.context));

  g_assert_true (aio_context_poll (fixture.context, FALSE));
  g_assert_true (aio_context_is_home_thread (fixture.context));
  g_assert_cmpint (atomic_load (&fixture.ran), ==, 3);
  aio_bh_delete (fixture.bhs[0]);
  aio_bh_delete (fixture.bhs[1]);
  aio_io_thread_unref (fixture.thread);
}

static void
schedule_and_nest (gpointer data)
{
  Fixture *fixture = data;

  atomic_store (&fixture->step, 1);
  wait_for (&fixture->step, 2);
  aio_bh_schedule (fixture->bhs[0]);
  if (fixture->in_source != NULL)
    aio_context_poll (fixture->context, FALSE);
  else
    g_main_context_iteration (aio_io_thread_get_main_context (fixture->thread), FALSE);
}

static void
test_not_what_nests (void)
{
  int kind;

  g_test_summary ("C26, C13: nor in an iteration that is nested in what was before");

  for (kind = 0; kind < 2; kind++)
    {
      Fixture fixture;
      pthread_t stopper;

      fixture_init (&fixture);
      fixture.in_source = kind == 0 ? look_around_in_source : NULL;
      fixture.bhs[0] = aio_bh_new (fixture.context, count, &fixture.ran);
      g_assert_true (aio_context_post (fixture.context, schedule_and_nest, &fixture, NULL));
      wait_for (&fixture.step, 1);
      stopper = thread_start (stop_it, &fixture);
      while (aio_context_post (fixture.context, nothing, NULL, NULL))
        g_usleep (100);
      /* The mark behind which nothing runs comes right after the first post that is refused, and
       * before it waits for the thread to end. */
      thread_await_asleep (atomic_load (&fixture.stopper));
      atomic_store (&fixture.step, 2);
      thread_join (stopper);
      g_assert_cmpint (atomic_load (&fixture.ran), ==, 0);
      g_assert_true (aio_bh_is_scheduled (fixture.bhs[0]));
      aio_bh_delete (fixture.bhs[0]);
      aio_io_thread_unref (fixture.thread);
    }
}

static void
iterate_nested (gpointer data)
{
  Fixture *fixture = data;

  atomic_store (&fixture->step, 1);
  wait_for (&fixture->step, 2);
  g_main_context_iteration (aio_io_thread_get_main_context (fixture->thread), FALSE);
  aio_context_poll (fixture->context, FALSE);
  count (&fixture->ran);
}

static void
test_stop_while_nested (void)
{
  Fixture fixture;
  pthread_t stopper;

  g_test_summary ("C26, C13: a nested iteration may meet the end; nothing is lost by that");

  fixture_init (&fixture);
  g_assert_true (aio_context_post (fixture.context, iterate_nested, &fixture, NULL));
  wait_for (&fixture.step, 1);
  aio_bh_schedule_oneshot (fixture.context, count, &fixture.ran);
  stopper = thread_start (stop_it, &fixture);
  while (aio_context_post (fixture.context, nothing, NULL, NULL))
    g_usleep (100);
  atomic_store (&fixture.step, 2);
  thread_join (stopper);
  g_assert_cmpint (atomic_load (&fixture.ran), ==, 2);
  aio_io_thread_unref (fixture.thread);
}

static void
test_after_stop (void)
{
  Fixture fixture;
  AioBH *bh;
  atomic_int dropped = 0;

  g_test_summary ("C26: after stop a post is refused, its destroy notify has run; a schedule stays "
                  "pending; the GMainContext is still valid");

  fixture_init (&fixture);
  bh = aio_bh_new (fixture.context, count, &fixture.ran);
  aio_io_thread_stop (fixture.thread);
  g_assert_false (aio_context_post (fixture.context, count, &fixture.ran, NULL));
  g_assert_false (aio_context_post (fixture.context, count, &dropped, count));
  g_assert_cmpint (atomic_load (&dropped), ==, 1);

  aio_bh_schedule (bh);
  g_assert_true (aio_bh_is_scheduled (bh));
  g_assert_true (aio_io_thread_get_context (fixture.thread) == fixture.context);
  g_assert_false (g_main_context_iteration (aio_io_thread_get_main_context (fixture.thread),
                                            FALSE));
  g_assert_cmpint (atomic_load (&fixture.ran), ==, 0);
  g_assert_true (aio_context_poll (fixture.context, TRUE));
  g_assert_cmpint (atomic_load (&fixture.ran), ==, 1);
  g_assert_false (aio_context_post (fixture.context, count, &fixture.ran, NULL));
  aio_bh_delete (bh);
  aio_io_thread_unref (fixture.thread);
}

static void
test_beyond_thread (void)
{
  Fixture fixture;
  AioBH *bh;

  g_test_summary ("C26, C23: the context lives on if somebody holds it, and may be attached anew");

  fixture_init (&fixture);
  aio_context_ref (fixture.context);
  bh = aio_bh_new (fixture.context, count, &fixture.ran);
  aio_io_thread_unref (fixture.thread);
  aio_bh_schedule (bh);
  g_assert_cmpuint (aio_context_attach (fixture.context, NULL), >, 0);
  g_assert_true (g_main_context_iteration (NULL, FALSE));
  g_assert_cmpint (atomic_load (&fixture.ran), ==, 1);
  aio_context_detach (fixture.context);
  aio_bh_delete (bh);
  aio_context_unref (fixture.context);
}

static void
drop_thread (gpointer data)
{
  Fixture *fixture = data;

  aio_io_thread_unref (fixture->thread);
  count (&fixture->ran);
}

static void
test_last_reference_inside (void)
{
  guint fds = aio_test_count_fds ();
  int i;

  g_test_summary ("C26: the last reference dropped in its own callback asks the thread to end, and "
                  "does not join");

  for (i = 0; i < 20; i++)
    {
      Fixture fixture;
      atomic_int ran = 0;

      fixture_init (&fixture);
      aio_context_ref (fixture.context);
      g_assert_true (aio_context_post (fixture.context, wait_inside, &fixture, NULL));
      wait_for (&fixture.step, 1);
      g_assert_true (aio_context_post (fixture.context, drop_thread, &fixture, NULL));
      g_assert_true (aio_context_post (fixture.context, count, &ran, NULL));
      aio_bh_schedule_oneshot (fixture.context, count, &ran);
      atomic_store (&fixture.step, 2);
      while (aio_test_count_threads () != 0)
        g_usleep (100);
      g_assert_cmpint (atomic_load (&fixture.ran), ==, 1);
      g_assert_cmpint (atomic_load (&ran), ==, 2);
      g_assert_false (aio_context_post (fixture.context, count, &ran, NULL));
      aio_context_unref (fixture.context);
    }
  g_assert_cmpuint (aio_test_count_fds (), ==, fds);
}

static void
borrow_thread (gpointer data)
{
  Fixture *fixture = data;

  count (&fixture->ran);
  /* The end has begun when no post is taken any more. */
  while (aio_context_post (fixture->context, nothing, NULL, NULL))
    g_usleep (100);
  aio_io_thread_unref (aio_io_thread_ref (fixture->thread));
}

static void
test_borrowed_while_it_ends (void)
{
  int inside;

  g_test_summary ("C26, C23: what runs while the last reference stops the thread may take one and "
                  "drop it, whoever dropped that");

  for (inside = FALSE; inside <= TRUE; inside++)
    {
      Fixture fixture;

      fixture_init (&fixture);
      aio_context_ref (fixture.context);
      g_assert_true (aio_context_post (fixture.context, wait_inside, &fixture, NULL));
      wait_for (&fixture.step, 1);
      if (inside)
        g_assert_true (aio_context_post (fixture.context, drop_thread, &fixture, NULL));
      g_assert_true (aio_context_post (fixture.context, borrow_thread, &fixture, NULL));
      g_assert_true (aio_context_post (fixture.context, borrow_thread, &fixture, NULL));
      atomic_store (&fixture.step, 2);
      if (!inside)
        aio_io_thread_unref (fixture.thread);
      while (aio_test_count_threads () != 0)
        g_usleep (100);
      g_assert_cmpint (atomic_load (&fixture.ran), ==, inside ? 3 : 2);
      aio_context_unref (fixture.context);
    }
}

static void
detach_own (gpointer data)
{
  Fixture *fixture = data;

  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*worker*I/O thread*");
  aio_context_detach (fixture->context);
  g_test_assert_expected_messages ();
  count (&fixture->ran);
}

static void
destroy_own_source (gpointer data)
{
  Fixture *fixture = data;

  g_source_destroy (aio_context_get_source (fixture->context));
  count (&fixture->ran);
}

static void
test_stays_attached (void)
{
  Fixture fixture;

  g_test_summary ("C26, C28: a callback that takes the context out of its thread: detach is a "
                  "critical warning and does nothing, a source that was destroyed is replaced; "
                  "what comes later runs, and stop returns");

  fixture_init (&fixture);
  g_assert_true (aio_context_post (fixture.context, detach_own, &fixture, NULL));
  g_assert_true (aio_context_post (fixture.context, destroy_own_source, &fixture, NULL));
  g_assert_true (aio_context_post (fixture.context, destroy_own_source, &fixture, NULL));
  wait_for (&fixture.ran, 3);
  g_assert_true (aio_context_post (fixture.context, destroy_own_source, &fixture, NULL));
  aio_io_thread_stop (fixture.thread);
  g_assert_cmpint (atomic_load (&fixture.ran), ==, 4);
  aio_io_thread_unref (fixture.thread);
}

static void
stop_in_callback (gpointer data)
{
  Fixture *fixture = data;

  g_test_expect_message ("aioctx-gsource", G_LOG_LEVEL_CRITICAL, "*worker*");
  aio_io_thread_stop (fixture->thread);
  g_test_assert_expected_messages ();
  count (&fixture->ran);
}

static gboolean
stop_in_source (gpointer data)
{
  stop_in_callback (data);
  return G_SOURCE_REMOVE;
}

static void
test_stop_in_callback (void)
{
  Fixture fixture;

  g_test_summary ("C26: stop in a callback of its own is a g_critical, and the thread runs on");

  fixture_init (&fixture);
  g_assert_true (aio_context_post (fixture.context, stop_in_callback, &fixture, NULL));
  g_assert_true (aio_context_post (fixture.context, wait_inside, &fixture, NULL));
  wait_for (&fixture.step, 1);
  fixture.in_source = stop_in_source;
  g_assert_true (aio_context_post (fixture.context, add_source, &fixture, NULL));
  atomic_store (&fixture.step, 2);
  wait_for (&fixture.ran, 2);
  aio_io_thread_unref (fixture.thread);
  g_assert_cmpint (atomic_load (&fixture.ran), ==, 2);
}

/* Posts that race with the stop. */
typedef struct
{
  Fixture *fixture;
  atomic_int *go;
  int posted;
  int accepted;
  int ran;
  atomic_int dropped;           /* by the I/O thread, and a refused one by the poster */
} Poster;

static void
post_ran (gpointer data)
{
  ((Poster *) data)->ran++;
}

static void
post_dropped (gpointer data)
{
  atomic_fetch_add (&((Poster *) data)->dropped, 1);
}

static void *
post_until_refused (void *data)
{
  Poster *poster = data;
  int before;

  while (atomic_load (poster->go) == 0)
    ;
  do
    {
      poster->posted++;
      before = poster->accepted;
      poster->accepted += aio_context_post (poster->fixture->context, post_ran, poster,
                                            post_dropped);
    }
  while (poster->accepted != before);
  return NULL;
}

static void
race_once (guint n_posters,
           guint delay)
{
  Fixture fixture;
  Poster posters[4];
  pthread_t threads[4];
  atomic_int go = 0;
  guint i;

  fixture_init (&fixture);
  for (i = 0; i < n_posters; i++)
    {
      posters[i] = (Poster) { .fixture = &fixture, .go = &go };
      threads[i] = thread_start (post_until_refused, &posters[i]);
    }
  atomic_store (&go, 1);
  if (delay > 0)
    g_usleep (delay);
  aio_io_thread_stop (fixture.thread);
  for (i = 0; i < n_posters; i++)
    {
      thread_join (threads[i]);
      g_assert_cmpint (posters[i].ran, ==, posters[i].accepted);
      g_assert_cmpint (atomic_load (&posters[i].dropped), ==, posters[i].posted);
      g_assert_cmpint (posters[i].posted, ==, posters[i].accepted + 1);
    }
  aio_io_thread_unref (fixture.thread);
}

static void
test_posts_against_stop (void)
{
  guint i, n = g_test_thorough () ? 10000 : 150;

  g_test_summary ("C26: posts concurrent with stop get TRUE if they run and FALSE if not, exactly");

  for (i = 0; i < n; i++)
    race_once (1 + i % 4, i % 5 * 50);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  /* An I/O thread would make it, and GLib keeps it: not a descriptor that leaked. */
  g_main_context_default ();
  aio_test_count_threads ();
  aio_test_add ("/io-thread/surroundings", test_surroundings);
  aio_test_add ("/io-thread/boxed", test_boxed);
  aio_test_add ("/io-thread/stays-attached", test_stays_attached);
  aio_test_add ("/io-thread/stop/at-once", test_stop_at_once);
  aio_test_add ("/io-thread/stop/twice", test_stop_twice);
  aio_test_add ("/io-thread/stop/from-all-sides", test_stop_from_all_sides);
  aio_test_add ("/io-thread/stop/runs-what-was-before", test_runs_what_was_before);
  aio_test_add ("/io-thread/stop/not-what-that-schedules", test_not_what_that_schedules);
  aio_test_add ("/io-thread/stop/not-what-nests", test_not_what_nests);
  aio_test_add ("/io-thread/stop/while-nested", test_stop_while_nested);
  aio_test_add ("/io-thread/stop/in-callback", test_stop_in_callback);
  aio_test_add ("/io-thread/after-stop", test_after_stop);
  aio_test_add ("/io-thread/beyond-thread", test_beyond_thread);
  aio_test_add ("/io-thread/last-reference-inside", test_last_reference_inside);
  aio_test_add ("/io-thread/borrowed-while-it-ends", test_borrowed_while_it_ends);
  aio_test_add ("/io-thread/posts-against-stop", test_posts_against_stop);
  return g_test_run ();
}
