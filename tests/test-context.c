/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The context by itself: its name and priority, its own poll, and its life as a guest in a foreign
 * epoll or poll loop. */
#include "aio-test.h"
#include <sys/epoll.h>

#define SILENCE_USEC 20000

/* The other thread sleeps first, so that the home thread is most likely asleep when it acts. */
typedef struct
{
  AioContext *context;
  AioBH *bh;
  atomic_int flag;
} Other;

static void
count (gpointer data)
{
  ++*(int *) data;
}

static gboolean
is_positive (gpointer data)
{
  return *(int *) data > 0;
}

static gboolean
never (gpointer data)
{
  if (data != NULL)
    ++*(int *) data;
  return FALSE;
}

static void
test_name (void)
{
  char name[] = "disk";
  g_autoptr (AioContext) named = NULL;
  g_autoptr (AioContext) unnamed = NULL;
  g_autoptr (AioContext) null = NULL;
  g_autoptr (GError) error = NULL;

  g_test_summary ("C28: each context has a name for messages, copied from the caller's");

  named = aio_context_new_full (name, &error);
  g_assert_no_error (error);
  name[0] = 'x';
  g_assert_cmpstr (aio_context_get_name (named), ==, "disk");

  unnamed = aio_context_new ();
  g_assert_nonnull (aio_context_get_name (unnamed));
  null = aio_context_new_full (NULL, NULL);
  g_assert_nonnull (aio_context_get_name (null));
}

static void
test_boxed (void)
{
  AioContext *context = aio_context_new ();
  gpointer copy;
  int destroyed = 0;

  g_test_summary ("C23: the boxed type copies by reference, the last reference ends the context");

  g_assert_true (g_type_is_a (AIO_TYPE_CONTEXT, G_TYPE_BOXED));
  copy = g_boxed_copy (AIO_TYPE_CONTEXT, context);
  g_assert_true (copy == context);
  g_assert_true (aio_context_ref (context) == context);
  g_assert_true (aio_context_post (context, count, &destroyed, count));

  aio_context_unref (context);
  g_boxed_free (AIO_TYPE_CONTEXT, copy);
  g_assert_cmpint (destroyed, ==, 0);
  aio_context_unref (context);
  g_assert_cmpint (destroyed, ==, 1);
}

static void
test_priority (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("prio", NULL);
  g_autoptr (GMainContext) loop = g_main_context_new ();

  g_test_summary ("C19: the priority of a context is its shell's, and is kept for later shells");

  g_assert_cmpint (aio_context_get_priority (context), ==, G_PRIORITY_DEFAULT);
  aio_context_set_priority (context, G_PRIORITY_HIGH);
  g_assert_cmpint (aio_context_get_priority (context), ==, G_PRIORITY_HIGH);
  g_assert_cmpint (g_source_get_priority (aio_context_get_source (context)), ==, G_PRIORITY_HIGH);

  aio_context_attach (context, loop);
  aio_context_set_priority (context, G_PRIORITY_LOW);
  g_assert_cmpint (g_source_get_priority (aio_context_get_source (context)), ==, G_PRIORITY_LOW);
  aio_context_detach (context);

  g_assert_cmpint (aio_context_get_priority (context), ==, G_PRIORITY_LOW);
  aio_context_attach (context, loop);
  g_assert_cmpint (g_source_get_priority (aio_context_get_source (context)), ==, G_PRIORITY_LOW);
}

static void
test_source (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("shelly", NULL);
  GSource *source;

  g_test_summary ("G5, C23: one named shell a context, that may recurse");

  source = aio_context_get_source (context);
  g_assert_nonnull (source);
  g_assert_true (aio_context_get_source (context) == source);
  g_assert_null (g_source_get_context (source));
  g_assert_true (g_source_get_can_recurse (source));
  g_assert_nonnull (strstr (g_source_get_name (source), "shelly"));
}

static void
test_poll_nothing (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  int i;

  g_test_summary ("C11: poll (FALSE) never blocks, and with nothing to do it is no progress");

  for (i = 0; i < 1000; i++)
    g_assert_false (aio_context_poll (context, FALSE));
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
}

static void
test_poll_pending (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  int ran = 0;
  AioBH *bh = aio_bh_new (context, count, &ran);

  g_test_summary ("C11: a poll that starts with a normal BH pending runs it and returns TRUE");

  aio_bh_schedule (bh);
  g_assert_true (aio_context_poll (context, FALSE));
  g_assert_cmpint (ran, ==, 1);

  aio_bh_schedule (bh);
  g_assert_true (aio_context_poll (context, TRUE));
  g_assert_cmpint (ran, ==, 2);

  aio_bh_schedule (bh);
  g_assert_cmpint (aio_bh_poll (context), ==, 1);
  g_assert_cmpint (ran, ==, 3);

  g_assert_false (aio_context_poll (context, FALSE));
  g_assert_cmpint (ran, ==, 3);
  aio_bh_delete (bh);
}

static void *
schedule_now (void *data)
{
  Other *other = data;

  aio_bh_schedule (other->bh);
  return NULL;
}

static void
test_poll_pending_elsewhere (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  int ran = 0;
  AioBH *bh = aio_bh_new (context, count, &ran);
  Other other = { .context = context, .bh = bh };
  int i;

  g_test_summary ("C11: so does one whose schedule happened before it in another thread");

  for (i = 1; i <= 30; i++)
    {
      thread_join (thread_start (schedule_now, &other));
      if (i % 3 == 0)
        g_assert_cmpint (aio_bh_poll (context), ==, 1);
      else
        g_assert_true (aio_context_poll (context, i % 3 == 1));
      g_assert_cmpint (ran, ==, i);
    }
  aio_bh_delete (bh);
}

static void *
schedule_later (void *data)
{
  Other *other = data;

  g_usleep (SILENCE_USEC);
  atomic_store (&other->flag, 1);
  aio_bh_schedule (other->bh);
  return NULL;
}

static void
test_poll_blocks (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  int ran = 0;
  AioBH *bh = aio_bh_new (context, count, &ran);
  Other other = { .context = context, .bh = bh };
  pthread_t thread;

  g_test_summary ("C11: poll (TRUE) sleeps until something ran; that poll and no earlier is TRUE");

  thread = thread_start (schedule_later, &other);
  while (!aio_context_poll (context, TRUE))
    g_assert_cmpint (ran, ==, 0);
  g_assert_cmpint (ran, ==, 1);
  g_assert_cmpint (atomic_load (&other.flag), ==, 1);
  thread_join (thread);
  aio_bh_delete (bh);
}

static void *
delete_now (void *data)
{
  Other *other = data;

  aio_bh_delete (other->bh);
  return NULL;
}

static void
test_poll_progress (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  int ran = 0, gone = 0;
  AioBH *bh = aio_bh_new_full (context, "counter", count, &ran, count);
  Other other = { .context = context };

  g_test_summary ("C11: TRUE iff a normal BH, one-shot or post ran; "
                  "idle BHs, destroy notifies and notify are no progress");

  aio_bh_schedule_oneshot (context, count, &ran);
  g_assert_true (aio_context_poll (context, FALSE));
  g_assert_true (aio_context_post (context, count, &ran, NULL));
  g_assert_true (aio_context_poll (context, FALSE));
  g_assert_cmpint (ran, ==, 2);

  aio_bh_schedule_idle (bh);
  g_assert_false (aio_context_poll (context, FALSE));
  g_assert_cmpint (ran, ==, 3);
  aio_bh_schedule_idle (bh);
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
  g_assert_cmpint (ran, ==, 4);

  aio_bh_schedule_idle (bh);
  aio_bh_schedule_oneshot (context, count, &ran);
  g_assert_true (aio_context_poll (context, FALSE));
  g_assert_cmpint (ran, ==, 6);

  aio_context_notify (context);
  g_assert_false (aio_context_poll (context, FALSE));

  aio_bh_schedule (bh);
  g_assert_true (aio_bh_cancel (bh));
  g_assert_false (aio_context_poll (context, FALSE));
  g_assert_cmpint (ran, ==, 6);
  aio_bh_delete (bh);

  other.bh = aio_bh_new_full (context, "deleted", count, &ran, count);
  aio_bh_schedule (other.bh);
  gone = ran;
  thread_join (thread_start (delete_now, &other));
  g_assert_false (aio_context_poll (context, FALSE));
  g_assert_cmpint (ran, ==, gone + 1);
}

static void *
notify_later (void *data)
{
  Other *other = data;

  g_usleep (SILENCE_USEC);
  atomic_store (&other->flag, 1);
  aio_context_notify (other->context);
  return NULL;
}

static void
test_poll_notified (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Other other = { .context = context };
  pthread_t thread;

  g_test_summary ("C11, C12: poll (TRUE) returns when notify was called, and that is no progress");

  thread = thread_start (notify_later, &other);
  while (!atomic_load (&other.flag))
    g_assert_false (aio_context_poll (context, TRUE));
  thread_join (thread);

  aio_context_notify (context);
  g_assert_false (aio_context_poll (context, TRUE));
}

static void
test_until_values (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  int ran = 0, asked = 0;
  gint64 begin;

  g_test_summary ("C11: poll_until returns the predicate's last value; 0 is one pass that does not "
                  "block, a timeout ends it");

  ran = 1;
  g_assert_true (aio_context_poll_until (context, is_positive, &ran, -1));
  g_assert_true (aio_context_poll_until (context, is_positive, &ran, 0));
  ran = 0;
  g_assert_false (aio_context_poll_until (context, is_positive, &ran, 0));

  aio_bh_schedule_oneshot (context, count, &ran);
  g_assert_true (aio_context_poll_until (context, is_positive, &ran, 0));

  begin = g_get_monotonic_time ();
  g_assert_false (aio_context_poll_until (context, never, &asked, SILENCE_USEC));
  g_assert_cmpint (g_get_monotonic_time () - begin, >=, SILENCE_USEC);
  g_assert_cmpint (asked, >, 0);
}

typedef struct
{
  AioContext *context;
  AioBH *bh;
  int left;
  int done;
} Countdown;

static void
count_down (gpointer data)
{
  Countdown *countdown = data;

  if (--countdown->left > 0)
    aio_bh_schedule (countdown->bh);
  else
    countdown->done = 1;
}

static void
test_until_many_passes (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Countdown countdown = { .context = context, .left = 100 };

  g_test_summary ("C11: poll_until goes on for ever if told so; with 0 it makes one pass only");

  countdown.bh = aio_bh_new (context, count_down, &countdown);
  aio_bh_schedule (countdown.bh);
  g_assert_false (aio_context_poll_until (context, is_positive, &countdown.done, 0));
  g_assert_cmpint (countdown.left, ==, 99);
  g_assert_true (aio_context_poll_until (context, is_positive, &countdown.done, -1));
  g_assert_cmpint (countdown.left, ==, 0);

  countdown.left = 100;
  countdown.done = 0;
  aio_bh_schedule (countdown.bh);
  g_assert_true (aio_context_poll_until (context, is_positive, &countdown.done,
                                         60 * G_USEC_PER_SEC));
  aio_bh_delete (countdown.bh);
}

static gboolean
flag_is_set (gpointer data)
{
  Other *other = data;

  return atomic_load (&other->flag);
}

static void
test_until_notified (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Other other = { .context = context };
  pthread_t thread;

  g_test_summary ("C11, C12: a notify makes poll_until ask again");

  thread = thread_start (notify_later, &other);
  g_assert_true (aio_context_poll_until (context, flag_is_set, &other, -1));
  thread_join (thread);

  atomic_store (&other.flag, 0);
  thread = thread_start (notify_later, &other);
  g_assert_true (aio_context_poll_until (context, flag_is_set, &other, 50 * G_USEC_PER_SEC));
  thread_join (thread);
}

typedef struct
{
  AioContext *outer;
  AioContext *inner;
  int inner_ran;
  int outer_ran;
} Current;

static void
check_inner (gpointer data)
{
  Current *current = data;

  g_assert_true (aio_context_get_current () == current->inner);
  current->inner_ran++;
}

static void
check_outer (gpointer data)
{
  Current *current = data;

  g_assert_true (aio_context_get_current () == current->outer);
  aio_bh_schedule_oneshot (current->inner, check_inner, current);
  g_assert_true (aio_context_poll (current->inner, FALSE));
  g_assert_cmpint (current->inner_ran, ==, 1);
  g_assert_true (aio_context_get_current () == current->outer);
  current->outer_ran++;
}

static void
check_current_in_thread (gpointer data)
{
  g_assert_true (aio_context_get_current () == data);
}

static gboolean
check_current_in_source (gpointer data)
{
  Other *other = data;

  g_assert_true (aio_context_get_current () == other->context);
  atomic_store (&other->flag, 1);
  return G_SOURCE_REMOVE;
}

/* Made in the I/O thread: sanitizers that do not see into GLib know then that it is not shared. */
static void
add_current_source (gpointer data)
{
  GSource *source = g_idle_source_new ();

  g_source_set_callback (source, check_current_in_source, data, NULL);
  g_source_attach (source, g_main_context_get_thread_default ());
  g_source_unref (source);
}

static void
test_current (void)
{
  Current current = { aio_context_new (), aio_context_new (), 0, 0 };
  AioIOThread *thread = aio_io_thread_new ("current", NULL);
  Other other = { .context = aio_io_thread_get_context (thread) };

  g_test_summary ("C17: current is the innermost callback's context, else this I/O thread's, "
                  "else none");

  g_assert_null (aio_context_get_current ());
  aio_bh_schedule_oneshot (current.outer, check_outer, &current);
  aio_context_poll (current.outer, FALSE);
  g_assert_cmpint (current.outer_ran, ==, 1);
  g_assert_null (aio_context_get_current ());

  g_assert_true (aio_context_post (other.context, check_current_in_thread, other.context, NULL));
  g_assert_true (aio_context_post (other.context, add_current_source, &other, NULL));
  while (!atomic_load (&other.flag))
    g_usleep (100);
  g_assert_null (aio_context_get_current ());

  aio_io_thread_unref (thread);
  aio_context_unref (current.outer);
  aio_context_unref (current.inner);
}

static int
to_msec (gint64 timeout_ns)
{
  return timeout_ns < 0 ? -1 : (int) ((timeout_ns + 999999) / 1000000);
}

static gboolean
poll_and_dispatch (AioContext *context)
{
  struct pollfd record = { .fd = aio_context_get_fd (context), .events = POLLIN };
  int timeout = to_msec (aio_context_get_timeout_ns (context));

  if (poll (&record, 1, timeout) < 0)
    g_assert_cmpint (errno, ==, EINTR);
  return aio_context_dispatch (context);
}

static gboolean
epoll_and_dispatch (AioContext *context,
                    int         epfd)
{
  struct epoll_event event;
  int timeout = to_msec (aio_context_get_timeout_ns (context));

  if (epoll_wait (epfd, &event, 1, timeout) < 0)
    g_assert_cmpint (errno, ==, EINTR);
  return aio_context_dispatch (context);
}

static void
test_foreign_timeouts (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  int ran = 0;
  AioBH *bh = aio_bh_new (context, count, &ran);

  g_test_summary ("C18, C31: get_timeout_ns is -1 with nothing due, 0 with a normal BH, "
                  "at most 10 ms with idle ones only");

  g_assert_cmpint (aio_context_get_timeout_ns (context), ==, -1);
  g_assert_false (aio_context_dispatch (context));

  aio_bh_schedule (bh);
  g_assert_cmpint (aio_context_get_timeout_ns (context), ==, 0);
  g_assert_true (aio_context_dispatch (context));
  g_assert_cmpint (ran, ==, 1);

  aio_bh_schedule_idle (bh);
  g_assert_cmpint (aio_context_get_timeout_ns (context), >=, 0);
  g_assert_cmpint (aio_context_get_timeout_ns (context), <=, 10000000);
  g_assert_false (aio_context_dispatch (context));
  g_assert_cmpint (ran, ==, 2);

  aio_bh_schedule (bh);
  aio_bh_cancel (bh);
  aio_context_dispatch (context);
  g_assert_cmpint (aio_context_get_timeout_ns (context), ==, -1);
  g_assert_false (aio_context_dispatch (context));
  g_assert_cmpint (ran, ==, 2);
  aio_bh_delete (bh);
}

static gboolean
fd_is_readable (AioContext *context)
{
  struct pollfd record = { .fd = aio_context_get_fd (context), .events = POLLIN };

  return poll (&record, 1, 0) == 1;
}

static void
test_foreign_fd (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  int ran = 0;
  AioBH *bh = aio_bh_new (context, count, &ran);
  Other other = { .context = context, .bh = bh };

  g_test_summary ("C18, G7: what comes after get_timeout_ns makes the descriptor readable, and "
                  "dispatch takes that back");

  g_assert_cmpint (aio_context_get_timeout_ns (context), ==, -1);
  g_assert_false (fd_is_readable (context));
  thread_join (thread_start (schedule_now, &other));
  g_assert_true (fd_is_readable (context));
  g_assert_true (aio_context_dispatch (context));
  g_assert_cmpint (ran, ==, 1);
  g_assert_false (fd_is_readable (context));

  g_assert_cmpint (aio_context_get_timeout_ns (context), ==, -1);
  aio_context_notify (context);
  g_assert_true (fd_is_readable (context));
  g_assert_false (aio_context_dispatch (context));
  g_assert_false (fd_is_readable (context));

  /* Scheduled from the foreign loop's own thread, by a handler of its own say. */
  g_assert_cmpint (aio_context_get_timeout_ns (context), ==, -1);
  aio_bh_schedule (bh);
  g_assert_true (fd_is_readable (context));
  g_assert_true (aio_context_dispatch (context));
  aio_bh_delete (bh);
}

static void *
keep_scheduling (void *data)
{
  Other *other = data;
  int i, seen;

  /* Each schedule waits for the one before it: a lost wakeup is not repaired by the next. */
  for (i = 0; i < 500; i++)
    {
      seen = atomic_load (&other->flag);
      aio_bh_schedule (other->bh);
      while (atomic_load (&other->flag) == seen)
        sched_yield ();
    }
  return NULL;
}

static void
acknowledge (gpointer data)
{
  Other *other = data;

  atomic_fetch_add (&other->flag, 1);
}

static void
test_foreign_loops (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  struct epoll_event event = { .events = EPOLLIN };
  Other other = { .context = context };
  int epfd = epoll_create1 (EPOLL_CLOEXEC), round = 0;
  pthread_t thread;

  g_test_summary ("C18: get_fd, get_timeout_ns and dispatch serve a foreign poll and epoll loop");

  g_assert_cmpint (epoll_ctl (epfd, EPOLL_CTL_ADD, aio_context_get_fd (context), &event), ==, 0);
  other.bh = aio_bh_new (context, acknowledge, &other);
  thread = thread_start (keep_scheduling, &other);
  while (atomic_load (&other.flag) < 500)
    {
      if (round++ % 2 == 0)
        poll_and_dispatch (context);
      else
        epoll_and_dispatch (context, epfd);
    }
  thread_join (thread);
  close (epfd);
  aio_bh_delete (other.bh);
}

static void
test_foreign_idle (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  int ran = 0, i;
  AioBH *bh = aio_bh_new (context, count, &ran);

  g_test_summary ("C5, C18: a foreign loop that obeys the timeout runs idle BHs without an event");

  for (i = 1; i <= 5; i++)
    {
      aio_bh_schedule_idle (bh);
      while (ran < i)
        g_assert_false (poll_and_dispatch (context));
    }
  aio_bh_delete (bh);
}

typedef void (*PrepareFunc) (AioContext *context, AioBH *bh);

static void
state_fresh (AioContext *context,
             AioBH      *bh)
{
}

static void
state_has_run (AioContext *context,
               AioBH      *bh)
{
  aio_bh_schedule (bh);
  aio_context_poll (context, FALSE);
}

static void
state_cancelled (AioContext *context,
                 AioBH      *bh)
{
  aio_bh_schedule (bh);
  aio_bh_cancel (bh);
}

static void
state_notified (AioContext *context,
                AioBH      *bh)
{
  aio_context_notify (context);
}

static void
state_deleted (AioContext *context,
               AioBH      *bh)
{
  AioBH *other = aio_bh_new (context, count, NULL);

  aio_bh_schedule (other);
  aio_bh_delete (other);
}

static void
state_source_made (AioContext *context,
                   AioBH      *bh)
{
  g_assert_nonnull (aio_context_get_source (context));
}

static void
state_was_attached (AioContext *context,
                    AioBH      *bh)
{
  g_autoptr (GMainContext) loop = g_main_context_new ();

  aio_context_attach (context, loop);
  while (g_main_context_iteration (loop, FALSE))
    ;
  aio_context_detach (context);
}

static void
state_left_asleep (AioContext *context,
                   AioBH      *bh)
{
  aio_context_get_timeout_ns (context);
}

static const PrepareFunc states[] = {
  state_fresh, state_has_run, state_cancelled, state_notified, state_deleted, state_source_made,
  state_was_attached, state_left_asleep,
};

static void
test_no_spin (void)
{
  guint i;

  g_test_summary ("R15, C14: with nothing due a blocking poll sleeps, whatever was before");

  for (i = 0; i < G_N_ELEMENTS (states); i++)
    {
      g_autoptr (AioContext) context = aio_context_new ();
      int ran = 0, asked = 0;
      AioBH *bh = aio_bh_new (context, count, &ran);

      states[i] (context, bh);
      g_assert_false (aio_context_poll_until (context, never, &asked, 100000));
      if (g_test_verbose ())
        g_test_message ("state %u: %d looks", i, asked);
      /* At the start, for what the state before left behind, at the timeout; and some slack. */
      g_assert_cmpint (asked, <=, 8);
      aio_bh_delete (bh);
    }
}

static void
again_idle (gpointer data)
{
  Countdown *countdown = data;

  countdown->done++;
  aio_bh_schedule_idle (countdown->bh);
}

static void
test_idle_pace (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Countdown countdown = { .context = context };
  gint64 begin = g_get_monotonic_time (), elapsed;
  int asked = 0;

  g_test_summary ("C14, R13, R15: an idle BH that schedules itself costs at most 100 wakeups/s");

  countdown.bh = aio_bh_new (context, again_idle, &countdown);
  aio_bh_schedule_idle (countdown.bh);
  aio_context_poll_until (context, never, &asked, 300000);
  elapsed = g_get_monotonic_time () - begin;
  /* Each timer of 10 ms may be cut short by the granularity of the clock, never below 9. */
  g_assert_cmpint (countdown.done, <=, elapsed / 9000 + 4);
  g_assert_cmpint (asked, <=, 2 * (elapsed / 9000) + 8);
  g_assert_cmpint (countdown.done, >, 0);
  aio_bh_delete (countdown.bh);
}

/* Cases that count wakeups make no sense while a signal ends every sleep. */
static const struct
{
  const char *path;
  GTestFunc func;
  gboolean counts_wakeups;
} cases[] = {
  { "/context/name", test_name, FALSE },
  { "/context/boxed", test_boxed, FALSE },
  { "/context/priority", test_priority, FALSE },
  { "/context/source", test_source, FALSE },
  { "/context/poll/nothing", test_poll_nothing, FALSE },
  { "/context/poll/pending", test_poll_pending, FALSE },
  { "/context/poll/pending-elsewhere", test_poll_pending_elsewhere, FALSE },
  { "/context/poll/blocks", test_poll_blocks, FALSE },
  { "/context/poll/progress", test_poll_progress, FALSE },
  { "/context/poll/notified", test_poll_notified, FALSE },
  { "/context/until/values", test_until_values, FALSE },
  { "/context/until/many-passes", test_until_many_passes, FALSE },
  { "/context/until/notified", test_until_notified, FALSE },
  { "/context/current", test_current, FALSE },
  { "/context/foreign/timeouts", test_foreign_timeouts, FALSE },
  { "/context/foreign/fd", test_foreign_fd, FALSE },
  { "/context/foreign/loops", test_foreign_loops, FALSE },
  { "/context/foreign/idle", test_foreign_idle, FALSE },
  { "/context/no-spin", test_no_spin, TRUE },
  { "/context/idle-pace", test_idle_pace, TRUE },
};

static void
test_interrupted (void)
{
  guint i;

  g_test_summary ("R25: the whole program again under a signal every millisecond");

  aio_test_interrupt (TRUE);
  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      if (!cases[i].counts_wakeups)
        cases[i].func ();
      aio_test_moved ();
    }
  aio_test_interrupt (FALSE);
  g_assert_cmpuint (atomic_load (&aio_test_n_signals), >, 0);
}

int
main (int    argc,
      char **argv)
{
  guint i;

  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  /* An I/O thread would make it, and GLib keeps it: not a descriptor that leaked. */
  g_main_context_default ();
  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    aio_test_add (cases[i].path, cases[i].func);
  aio_test_add ("/context/interrupted", test_interrupted);
  return g_test_run ();
}
