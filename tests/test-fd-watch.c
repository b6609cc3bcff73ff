/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A descriptor with one function for all conditions. */
#include "invoke-test.h"

/* A context that watches one end of a pair. */
typedef struct
{
  AioContext *context;
  int fds[2];
  guint n;
  guint n_destroyed;
  GIOCondition seen;
  guint remove_after;           /* answers G_SOURCE_REMOVE at this run; 0: never */
  gboolean replace;             /* sets another one before it answers */
} Subject;

static void
count_destroyed (gpointer data)
{
  Subject *subject = data;

  subject->n_destroyed++;
}

static gboolean
on_other (int           fd,
          GIOCondition  condition,
          gpointer      data)
{
  Subject *subject = data;

  subject->n += 100;
  return G_SOURCE_REMOVE;
}

static void
subject_watch (Subject        *subject,
           GIOCondition    condition,
           AioFdWatchFunc  func)
{
  GError *error = NULL;

  g_assert_true (aio_context_set_fd_watch (subject->context, subject->fds[0], condition, func,
                                           subject, count_destroyed, &error));
  g_assert_no_error (error);
}

static void
subject_unwatch (Subject *subject)
{
  g_assert_true (aio_context_set_fd_watch (subject->context, subject->fds[0], 0, NULL, NULL, NULL,
                                           NULL));
}

static gboolean
on_ready (int           fd,
          GIOCondition  condition,
          gpointer      data)
{
  Subject *subject = data;

  g_assert_cmpint (fd, ==, subject->fds[0]);
  subject->seen |= condition;
  if (condition == G_IO_IN)
    take (fd);
  subject->n++;
  if (subject->replace)
    subject_watch (subject, G_IO_IN, on_other);
  return subject->n == subject->remove_after ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void
subject_init (Subject *subject)
{
  *subject = (Subject) { .context = aio_context_new () };
  open_pair (subject->fds);
}

static void
subject_clear (Subject *subject)
{
  aio_context_unref (subject->context);
  close_both (subject->fds);
}

static void
test_in (void)
{
  Subject subject;

  g_test_summary ("C33, C20, C21: a watch runs while its descriptor is ready, and not when it has "
                  "been removed; then its data ends");
  subject_init (&subject);
  subject_watch (&subject, G_IO_IN | G_IO_ERR | G_IO_HUP, on_ready);
  g_assert_false (aio_context_poll (subject.context, FALSE));
  put (subject.fds[1]);
  put (subject.fds[1]);
  while (subject.n < 2)
    g_assert_true (aio_context_poll (subject.context, TRUE));
  g_assert_cmpuint (subject.seen, ==, G_IO_IN);
  subject_unwatch (&subject);
  g_assert_cmpuint (subject.n_destroyed, ==, 1);
  put (subject.fds[1]);
  g_assert_false (aio_context_poll (subject.context, FALSE));
  subject_clear (&subject);
}

static void
test_in_and_out (void)
{
  Subject subject;

  g_test_summary ("C33, C20: readable and writable come one by one");
  subject_init (&subject);
  subject_watch (&subject, G_IO_OUT, on_ready);
  aio_context_poll (subject.context, TRUE);
  g_assert_cmpuint (subject.seen, ==, G_IO_OUT);
  subject_watch (&subject, G_IO_IN | G_IO_OUT, on_ready);
  g_assert_cmpuint (subject.n_destroyed, ==, 1);
  put (subject.fds[1]);
  aio_context_poll (subject.context, TRUE);
  g_assert_cmpuint (subject.n, ==, 3);
  g_assert_cmpuint (subject.seen, ==, G_IO_IN | G_IO_OUT);
  subject.remove_after = 4;
  aio_context_poll (subject.context, TRUE);
  subject_clear (&subject);
}

static void
test_hang_up (void)
{
  Subject subject;

  g_test_summary ("C33, C20: a hang-up comes as what was asked for");
  subject_init (&subject);
  subject.remove_after = 1;
  subject_watch (&subject, G_IO_OUT, on_ready);
  fill (subject.fds[0]);
  g_assert_false (aio_context_poll (subject.context, FALSE));
  close (subject.fds[1]);
  subject.fds[1] = -1;
  g_assert_true (aio_context_poll (subject.context, TRUE));
  g_assert_cmpuint (subject.seen, ==, G_IO_OUT);
  subject_clear (&subject);
}

static void
test_source_remove (void)
{
  Subject subject;

  g_test_summary ("C33: G_SOURCE_REMOVE removes the watch, but not another one that the callback "
                  "has set in its place");
  subject_init (&subject);
  subject.remove_after = 1;
  subject_watch (&subject, G_IO_IN, on_ready);
  put (subject.fds[1]);
  put (subject.fds[1]);
  aio_context_poll (subject.context, TRUE);
  g_assert_false (aio_context_poll (subject.context, FALSE));
  g_assert_cmpuint (subject.n, ==, 1);
  g_assert_cmpuint (subject.n_destroyed, ==, 1);

  subject.n = subject.n_destroyed = 0;
  subject.replace = TRUE;
  subject_watch (&subject, G_IO_IN, on_ready);
  aio_context_poll (subject.context, TRUE);
  g_assert_cmpuint (subject.n, ==, 1);
  g_assert_cmpuint (subject.n_destroyed, ==, 1);
  put (subject.fds[1]);
  aio_context_poll (subject.context, TRUE);
  g_assert_cmpuint (subject.n, ==, 101);
  g_assert_cmpuint (subject.n_destroyed, ==, 2);
  subject_clear (&subject);
}

static gboolean
on_notifier (int           fd,
             GIOCondition  condition,
             gpointer      data)
{
  g_assert_true (aio_event_notifier_test_and_clear (data));
  return G_SOURCE_REMOVE;
}

/* Another thread sets a watch when this one is about to be removed. */
typedef struct
{
  Subject subject;
  atomic_uint n_answered;
  atomic_uint n_set;
} Contested;

#define N_CONTESTED 20000

static gboolean
answer_remove (int           fd,
               GIOCondition  condition,
               gpointer      data)
{
  Contested *contested = data;

  atomic_fetch_add (&contested->n_answered, 1);
  return G_SOURCE_REMOVE;
}

static gboolean
count_run (int           fd,
           GIOCondition  condition,
           gpointer      n)
{
  ++*(guint *) n;
  return G_SOURCE_CONTINUE;
}

static void *
set_another (void *data)
{
  Contested *contested = data;
  Subject *subject = &contested->subject;

  for (guint i = 1; i <= N_CONTESTED; i++)
    {
      /* Mostly without a yield: it has to come within the same instant. */
      for (guint looks = 1; atomic_load (&contested->n_answered) < i; looks++)
        if (looks % 1000 == 0)
          sched_yield ();
      g_assert_true (aio_context_set_fd_watch (subject->context, subject->fds[0], G_IO_IN,
                                               count_run, &subject->n, NULL, NULL));
      atomic_store (&contested->n_set, i);
    }
  return NULL;
}

static void
test_source_remove_contested (void)
{
  Contested contested = { 0 };
  Subject *subject = &contested.subject;
  pthread_t thread;

  g_test_summary ("C33: a watch whose function says so is removed, and not the one that another "
                  "thread sets just then");
  subject_init (subject);
  put (subject->fds[1]);
  thread = thread_start (set_another, &contested);
  for (guint i = 1; i <= N_CONTESTED; i++)
    {
      subject->n = 0;
      aio_context_set_fd_watch (subject->context, subject->fds[0], G_IO_IN, answer_remove,
                                &contested, NULL, NULL);
      aio_context_poll (subject->context, TRUE);
      while (atomic_load (&contested.n_set) < i)
        sched_yield ();
      aio_context_poll (subject->context, FALSE);
      aio_context_poll (subject->context, FALSE);
      g_assert_cmpuint (subject->n, >, 0);
    }
  thread_join (thread);
  subject_unwatch (subject);
  subject_clear (subject);
}

static void
test_event_notifier (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  g_autoptr (AioEventNotifier) notifier = aio_event_notifier_new (FALSE, NULL);

  g_test_summary ("C33: an event notifier is watched by its descriptor");
  g_assert_true (aio_context_set_fd_watch (context, aio_event_notifier_get_fd (notifier), G_IO_IN,
                                           on_notifier, notifier, NULL, NULL));
  g_assert_false (aio_context_poll (context, FALSE));
  aio_event_notifier_set (notifier);
  g_assert_true (aio_context_poll (context, TRUE));
  aio_event_notifier_set (notifier);
  g_assert_false (aio_context_poll (context, FALSE));
}

static void
test_refused (void)
{
  Subject subject;
  GError *error = NULL;

  g_test_summary ("C33, C28: the context's own descriptor, and misuse; the data does not end");
  subject_init (&subject);
  subject_watch (&subject, G_IO_IN, on_ready);
  g_assert_false (aio_context_set_fd_watch (subject.context, aio_context_get_fd (subject.context),
                                            G_IO_IN, on_ready, &subject, count_destroyed, &error));
  g_assert_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT);
  g_clear_error (&error);
  expect_critical ("*descriptor -1*");
  g_assert_false (aio_context_set_fd_watch (subject.context, -1, G_IO_IN, on_ready, &subject,
                                            count_destroyed, &error));
  expect_critical ("*condition*");
  g_assert_false (aio_context_set_fd_watch (subject.context, subject.fds[0], G_IO_HUP, on_ready,
                                            &subject, count_destroyed, &error));
  expect_critical ("*context != NULL*");
  g_assert_false (aio_context_set_fd_watch (NULL, subject.fds[0], G_IO_IN, on_ready, &subject,
                                            count_destroyed, &error));
  g_test_assert_expected_messages ();
  g_assert_no_error (error);
  g_assert_cmpuint (subject.n_destroyed, ==, 0);
  put (subject.fds[1]);
  aio_context_poll (subject.context, TRUE);
  g_assert_cmpuint (subject.n, ==, 1);
  subject_unwatch (&subject);
  subject_clear (&subject);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  aio_test_add ("/fd-watch/in", test_in);
  aio_test_add ("/fd-watch/in-and-out", test_in_and_out);
  aio_test_add ("/fd-watch/hang-up", test_hang_up);
  aio_test_add ("/fd-watch/source-remove", test_source_remove);
  aio_test_add ("/fd-watch/source-remove-contested", test_source_remove_contested);
  aio_test_add ("/fd-watch/event-notifier", test_event_notifier);
  aio_test_add ("/fd-watch/refused", test_refused);
  return g_test_run ();
}
