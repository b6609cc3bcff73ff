/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a callback costs that nobody registered before. */
#include "peers.h"

#include <aioctx-gsource/aioctx-gsource.h>

#ifdef HAVE_LIBEVENT
#include <event2/event.h>
#endif

static gpointer
context_new (gconstpointer config)
{
  return aio_context_new ();
}

static void
context_free (gpointer context)
{
  aio_context_unref (context);
}

static void
oneshot (gpointer context,
         guint    n)
{
  for (guint i = 0; i < n; i++)
    {
      aio_bh_schedule_oneshot (context, bench_count, NULL);
      aio_bh_poll (context);
    }
}

static void
post (gpointer context,
      guint    n)
{
  for (guint i = 0; i < n; i++)
    {
      aio_context_post (context, bench_count, NULL, NULL);
      aio_bh_poll (context);
    }
}

static gboolean
count_once (gpointer data)
{
  bench_count (data);
  return G_SOURCE_REMOVE;
}

static void
idle_add (gpointer state,
          guint    n)
{
  for (guint i = 0; i < n; i++)
    {
      g_idle_add (count_once, NULL);
      g_main_context_iteration (NULL, FALSE);
    }
}

#ifdef HAVE_LIBEVENT
static gpointer
base_new (gconstpointer config)
{
  return bench_libevent.open ();
}

static void
base_free (gpointer base)
{
  bench_libevent.close (base);
}

static void
on_event (evutil_socket_t fd,
          short           what,
          void           *data)
{
  bench_count (data);
}

/* event_base_once() with EV_TIMEOUT and no time, as "One-off events" in libevent's book says. */
static void
base_once (gpointer base,
           guint    n)
{
  for (guint i = 0; i < n; i++)
    {
      event_base_once (base, -1, EV_TIMEOUT, on_event, NULL, NULL);
      event_base_loop (base, EVLOOP_NONBLOCK);
    }
}
#endif

int
main (int    argc,
      char **argv)
{
  const BenchSubject subjects[] = {
    { "ours", "aio_bh_schedule_oneshot", context_new, oneshot, context_free, NULL },
    { "ours, post", "aio_context_post", context_new, post, context_free, NULL },
    { "GLib", "g_idle_add", NULL, idle_add, NULL, NULL },
#ifdef HAVE_LIBEVENT
    { "libevent", "event_base_once", base_new, base_once, base_free, NULL },
#endif
  };

  bench_begin (argc, argv);
  bench_run (&(BenchQuestion) { "oneshot", "A callback that is not registered, and its run", 1 },
             subjects, G_N_ELEMENTS (subjects));
  return bench_end ();
}
