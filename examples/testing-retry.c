/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How to test a retry with back-off: 24 hours by the virtual clock, which take milliseconds. */
#include <aioctx-gsource/testing/aio-testing.h>

#define SEC  G_GINT64_CONSTANT (1000000000)
#define HOUR (3600 * SEC)

/* --- The code under test ---------------------------------------------------------------------- */

/* Tries to connect: at once, then after 1 s, 2 s, 4 s, and so on, but at least once an hour. After
 * 24 hours it gives up. When somebody sets the notifier, because the network is back, it begins
 * anew. */
typedef gboolean (*ConnectFunc) (gpointer data);

typedef struct
{
  AioContext *context;
  AioEventNotifier online;
  AioTimer timer;
  ConnectFunc connect;
  gpointer data;
  gint64 began;
  gint64 pause;
  gboolean connected;
  gboolean given_up;
} Uplink;

static void
uplink_try (gpointer data)
{
  Uplink *uplink = data;
  gint64 now = aio_context_get_time_ns (uplink->context, AIO_CLOCK_BOOTTIME);

  uplink->connected = uplink->connect (uplink->data);
  if (uplink->connected)
    return;
  uplink->given_up = now - uplink->began >= 24 * HOUR;
  if (uplink->given_up)
    return;
  aio_timer_mod_ns (&uplink->timer, now + uplink->pause);
  uplink->pause = MIN (2 * uplink->pause, HOUR);
}

static void
uplink_begin (Uplink *uplink)
{
  uplink->began = aio_context_get_time_ns (uplink->context, AIO_CLOCK_BOOTTIME);
  uplink->pause = SEC;
  aio_timer_mod_ns (&uplink->timer, uplink->began);
}

static void
on_online (gpointer data)
{
  Uplink *uplink = data;

  aio_event_notifier_test_and_clear (&uplink->online);
  if (!uplink->connected)
    uplink_begin (uplink);
}

static void
uplink_free (Uplink *uplink)
{
  int fd = aio_event_notifier_get_fd (&uplink->online);

  aio_context_set_fd_handler (uplink->context, fd, NULL, NULL, NULL);
  aio_event_notifier_clear (&uplink->online);
  aio_timer_clear (&uplink->timer);
  g_free (uplink);
}

static Uplink *
uplink_new (AioContext   *context,
            ConnectFunc   connect,
            gpointer      data,
            GError      **error)
{
  Uplink *uplink = g_new0 (Uplink, 1);

  if (!aio_event_notifier_init (&uplink->online, FALSE, error))
    {
      g_free (uplink);
      return NULL;
    }
  if (!aio_context_set_fd_handler_full (context, aio_event_notifier_get_fd (&uplink->online),
                                        on_online, NULL, NULL, NULL, uplink, NULL, error))
    {
      aio_event_notifier_clear (&uplink->online);
      g_free (uplink);
      return NULL;
    }
  uplink->context = context;
  uplink->connect = connect;
  uplink->data = data;
  aio_timer_init (&uplink->timer, context, AIO_CLOCK_BOOTTIME, uplink_try, uplink);
  uplink_begin (uplink);
  return uplink;
}

/* --- Its tests -------------------------------------------------------------------------------- */

/* A network that answers the n-th time. */
typedef struct
{
  guint n_tries;
  guint good_try;               /* 0: never */
} Network;

static gboolean
connect_to (gpointer data)
{
  Network *network = data;

  return ++network->n_tries == network->good_try;
}

static gboolean
has_given_up (gpointer data)
{
  return ((Uplink *) data)->given_up;
}

/* 12 tries until the pause is an hour, then one an hour. */
static void
test_gives_up (AioTestingFixture *fixture,
               gconstpointer      data)
{
  gint64 began = g_get_monotonic_time ();
  Network network = { 0, 0 };
  Uplink *uplink = uplink_new (fixture->context, connect_to, &network, NULL);

  g_assert_true (aio_testing_run_until (fixture->context, has_given_up, uplink,
                                        25 * G_TIME_SPAN_HOUR));
  g_assert_cmpint (aio_context_get_time_ns (fixture->context, AIO_CLOCK_BOOTTIME), >=, 24 * HOUR);
  g_assert_cmpint (aio_context_get_time_ns (fixture->context, AIO_CLOCK_BOOTTIME), <, 25 * HOUR);
  g_assert_cmpuint (network.n_tries, ==, 13 + 23);
  g_test_message ("24 hours took %" G_GINT64_FORMAT " us", g_get_monotonic_time () - began);

  g_assert_false (aio_testing_advance_to_next (fixture->context));
  uplink_free (uplink);
}

/* The pauses double. */
static void
test_pauses (AioTestingFixture *fixture,
             gconstpointer      data)
{
  Network network = { 0, 5 };
  Uplink *uplink = uplink_new (fixture->context, connect_to, &network, NULL);

  g_assert_cmpint (aio_testing_advance_ns (fixture->context, 0), ==, 0);
  g_assert_cmpuint (network.n_tries, ==, 1);
  for (guint i = 1; i < 5; i++)
    {
      g_assert_true (aio_testing_advance_to_next (fixture->context));
      g_assert_cmpuint (network.n_tries, ==, i + 1);
      g_assert_cmpint (aio_testing_advance_ns (fixture->context, 0), ==, ((1 << i) - 1) * SEC);
    }
  g_assert_true (uplink->connected);
  g_assert_false (aio_testing_advance_to_next (fixture->context));
  uplink_free (uplink);
}

/* A real descriptor works on the virtual clock, too. */
static void
test_online (AioTestingFixture *fixture,
             gconstpointer      data)
{
  Network network = { 0, 0 };
  Uplink *uplink = uplink_new (fixture->context, connect_to, &network, NULL);
  guint before;

  aio_testing_advance_ns (fixture->context, 12 * HOUR);
  before = network.n_tries;
  aio_event_notifier_set (&uplink->online);
  aio_testing_advance_ns (fixture->context, 3 * SEC);
  g_assert_cmpuint (network.n_tries, ==, before + 3);
  uplink_free (uplink);
}

/* Each step of making one fails in turn. What it had by then must not be left over: the fixture
 * looks. */
static void
test_no_descriptor (AioTestingFixture *fixture,
                    gconstpointer      data)
{
  Network network = { 0, 0 };
  guint nth;

  for (nth = 1; ; nth++)
    {
      g_autoptr (GError) error = NULL;
      Uplink *uplink;

      aio_testing_fail_creation (nth);
      uplink = uplink_new (fixture->context, connect_to, &network, &error);
      if (uplink != NULL)
        {
          uplink_free (uplink);
          break;
        }
      g_assert_error (error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES);
    }
  g_assert_false (aio_testing_creation_failed ());
  g_assert_cmpuint (nth, ==, 3);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_testing_add ("/retry/gives-up", NULL, test_gives_up);
  aio_testing_add ("/retry/pauses", NULL, test_pauses);
  aio_testing_add ("/retry/online", NULL, test_online);
  aio_testing_add ("/retry/no-descriptor", NULL, test_no_descriptor);
  return g_test_run ();
}
