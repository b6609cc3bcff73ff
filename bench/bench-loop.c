/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the loop costs when descriptors and timers hang on it, beside GLib and libuv.
 *
 *   bench-loop [fds] [timers] [arm] [trip] [source]
 *
 * The peers are used as their manuals say. GLib: "The Main Event Loop", g_unix_fd_source_new(),
 * g_timeout_source_new(), g_idle_source_new(), g_main_context_invoke_full(). libuv: "uv_timer_t".
 *
 * Floors show what there is to reach: a GSource written by hand that does nothing but what the
 * question asks for, or two threads that share nothing but a cache line. */
#include "bench.h"

#include <aioctx-gsource/aioctx-gsource.h>
#include <glib-unix.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#ifdef HAVE_LIBUV
#include <uv.h>
#endif

#define HOUR_MS (3600 * 1000)

static guint n_ran;

static void
count_run (gpointer data)
{
  n_ran++;
}

static gboolean
count_source (gpointer data)
{
  n_ran++;
  return G_SOURCE_REMOVE;
}

/* --- A GSource with one polled descriptor, written by hand: the floor ------------------------- */

typedef struct
{
  GSource parent;
  gboolean scheduled;
  int fd;
  gpointer tag;
} Bare;

static gboolean
bare_prepare (GSource *source,
              int     *timeout)
{
  *timeout = -1;
  return ((Bare *) source)->scheduled;
}

static gboolean
bare_check (GSource *source)
{
  Bare *self = (Bare *) source;

  return self->scheduled || g_source_query_unix_fd (source, self->tag) != 0;
}

/* With an epoll descriptor, what is ready has its eventfd's number in the event. */
static gboolean
bare_dispatch (GSource     *source,
               GSourceFunc  callback,
               gpointer     data)
{
  Bare *self = (Bare *) source;
  struct epoll_event events[16];
  int n;

  if (self->scheduled)
    {
      self->scheduled = FALSE;
      n_ran++;
    }
  if (g_source_query_unix_fd (source, self->tag) == 0)
    return G_SOURCE_CONTINUE;
  n = epoll_wait (self->fd, events, G_N_ELEMENTS (events), 0);
  for (int i = 0; i < n; i++)
    {
      eventfd_t value;

      eventfd_read (events[i].data.fd, &value);
      n_ran++;
    }
  return G_SOURCE_CONTINUE;
}

static void
bare_finalize (GSource *source)
{
  close (((Bare *) source)->fd);
}

static GSourceFuncs bare_funcs = {
  .prepare = bare_prepare,
  .check = bare_check,
  .dispatch = bare_dispatch,
  .finalize = bare_finalize
};

static Bare *
bare_new (GMainContext *main_context,
          int           fd)
{
  Bare *self = (Bare *) g_source_new (&bare_funcs, sizeof (Bare));

  self->fd = fd;
  self->tag = g_source_add_unix_fd (&self->parent, fd, G_IO_IN);
  g_source_set_can_recurse (&self->parent, TRUE);
  g_source_attach (&self->parent, main_context);
  return self;
}

static void
bare_free (Bare *self)
{
  g_source_destroy (&self->parent);
  g_source_unref (&self->parent);
}

static AioContext *
attached_context_new (GMainContext *main_context)
{
  AioContext *context = aio_context_new ();

  aio_context_attach (context, main_context);
  return context;
}

static void
attached_context_free (AioContext *context)
{
  aio_context_detach (context);
  aio_context_unref (context);
}

/* --- One ready of N descriptors, under a GMainContext ----------------------------------------- */

#define MAX_FDS 10000

typedef struct
{
  GMainContext *main_context;
  const int *fds;
  guint n_fds;
  guint next;

  AioContext *context;          /* one of these three has the descriptors */
  GSource *sources[MAX_FDS];
  Bare *bare;
} Fds;

static void
read_eventfd (gpointer fd)
{
  eventfd_t value;

  eventfd_read (GPOINTER_TO_INT (fd), &value);
  n_ran++;
}

static gboolean
on_unix_fd (int          fd,
            GIOCondition condition,
            gpointer     data)
{
  read_eventfd (GINT_TO_POINTER (fd));
  return G_SOURCE_CONTINUE;
}

static void
make_ready (Fds   *self,
            guint  nth)
{
  guint before = n_ran;

  eventfd_write (self->fds[nth], 1);
  while (n_ran == before)
    g_main_context_iteration (self->main_context, FALSE);
}

static void
same_one_ready (gpointer data,
                guint    n)
{
  Fds *self = data;

  for (guint i = 0; i < n; i++)
    make_ready (self, self->n_fds / 2);
}

/* Another descriptor each time, far from the last one. What that costs is mostly the kernel's and
 * the processor's, whose caches do not hold all of them. */
static void
another_one_ready (gpointer data,
                   guint    n)
{
  Fds *self = data;

  for (guint i = 0; i < n; i++)
    {
      make_ready (self, self->next);
      self->next = (self->next + 7919) % self->n_fds;
    }
}

static Fds *
fds_new (const int *fds,
         guint      n_fds)
{
  Fds *self = g_new0 (Fds, 1);

  self->main_context = g_main_context_new ();
  self->fds = fds;
  self->n_fds = n_fds;
  return self;
}

static Fds *
fds_new_ours (const int *fds,
              guint      n_fds)
{
  Fds *self = fds_new (fds, n_fds);

  self->context = attached_context_new (self->main_context);
  for (guint i = 0; i < n_fds; i++)
    aio_context_set_fd_handler (self->context, fds[i], read_eventfd, NULL,
                                GINT_TO_POINTER (fds[i]));
  return self;
}

static Fds *
fds_new_glib (const int *fds,
              guint      n_fds)
{
  Fds *self = fds_new (fds, n_fds);

  for (guint i = 0; i < n_fds; i++)
    {
      self->sources[i] = g_unix_fd_source_new (fds[i], G_IO_IN);
      g_source_set_callback (self->sources[i], G_SOURCE_FUNC (on_unix_fd), NULL, NULL);
      g_source_attach (self->sources[i], self->main_context);
    }
  return self;
}

static Fds *
fds_new_bare (const int *fds,
              guint      n_fds)
{
  Fds *self = fds_new (fds, n_fds);
  int epoll_fd = epoll_create1 (EPOLL_CLOEXEC);

  for (guint i = 0; i < n_fds; i++)
    {
      struct epoll_event event = { .events = EPOLLIN, .data.fd = fds[i] };

      epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fds[i], &event);
    }
  self->bare = bare_new (self->main_context, epoll_fd);
  return self;
}

static void
fds_free (Fds *self)
{
  if (self->context != NULL)
    {
      for (guint i = 0; i < self->n_fds; i++)
        aio_context_set_fd_handler (self->context, self->fds[i], NULL, NULL, NULL);
      attached_context_free (self->context);
    }
  for (guint i = 0; i < self->n_fds && self->sources[i] != NULL; i++)
    {
      g_source_destroy (self->sources[i]);
      g_source_unref (self->sources[i]);
    }
  g_clear_pointer (&self->bare, bare_free);
  g_main_context_unref (self->main_context);
  g_free (self);
}

static void
bench_fds_with (BenchFunc   func,
                const char *which,
                const int  *fds,
                guint       n_fds)
{
  g_autofree char *question = g_strdup_printf ("1 ready of %u descriptors under a GMainContext, "
                                               "%s each time", n_fds, which);
  Fds *ours = fds_new_ours (fds, n_fds);
  Fds *glib = fds_new_glib (fds, n_fds);
  Fds *bare = fds_new_bare (fds, n_fds);

  bench_run (question, (BenchPeer[]) {
    { "aio_context_set_fd_handler", func, ours },
    { "g_unix_fd_source_new", func, glib },
    { "floor: bare GSource with an epoll fd", func, bare },
  }, 3);
  fds_free (ours);
  fds_free (glib);
  fds_free (bare);
}

static void
raise_descriptor_limit (void)
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
}

static void
bench_fds (void)
{
  static const guint sizes[] = { 10, 1000, 10000 };
  int *fds = g_new (int, MAX_FDS);
  guint n = 0;

  raise_descriptor_limit ();
  while (n < MAX_FDS && (fds[n] = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0)
    n++;
  for (guint i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      if (sizes[i] > n)
        {
          g_print ("%u descriptors: the limit is %u\n", sizes[i], n);
          continue;
        }
      bench_fds_with (same_one_ready, "the same", fds, sizes[i]);
      bench_fds_with (another_one_ready, "another", fds, sizes[i]);
    }
  while (n > 0)
    close (fds[--n]);
  g_free (fds);
}

/* --- An iteration with N far timers, under a GMainContext ------------------------------------- */

typedef struct
{
  GMainContext *main_context;
  guint n;

  AioContext *context;          /* ours */
  AioBH *bh;
  AioTimer *timers;

  GSource **sources;            /* or GLib's */
} Timers;

static gboolean
on_timeout (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static void
schedule_and_iterate (gpointer data,
                      guint    n)
{
  Timers *self = data;

  for (guint i = 0; i < n; i++)
    {
      aio_bh_schedule (self->bh);
      g_main_context_iteration (self->main_context, FALSE);
    }
}

static void
idle_and_iterate (gpointer data,
                  guint    n)
{
  GMainContext *main_context = *(GMainContext **) data;

  for (guint i = 0; i < n; i++)
    {
      GSource *idle = g_idle_source_new ();

      g_source_set_callback (idle, count_source, NULL, NULL);
      g_source_attach (idle, main_context);
      g_source_unref (idle);
      g_main_context_iteration (main_context, FALSE);
    }
}

/* Between one and two hours from now. */
static gint64
far_offset_ms (void)
{
  return HOUR_MS + g_random_int_range (0, HOUR_MS);
}

static AioTimer *
timers_of_ours_new (AioContext *context,
                    guint       n)
{
  AioTimer *timers = g_new (AioTimer, n);
  gint64 now = aio_context_get_time_ns (context, AIO_CLOCK_MONOTONIC);

  for (guint i = 0; i < n; i++)
    {
      aio_timer_init (&timers[i], context, AIO_CLOCK_MONOTONIC, count_run, NULL);
      aio_timer_mod_ns (&timers[i], now + far_offset_ms () * 1000000);
    }
  return timers;
}

static Timers *
timers_new_ours (guint n)
{
  Timers *self = g_new0 (Timers, 1);

  self->main_context = g_main_context_new ();
  self->n = n;
  self->context = attached_context_new (self->main_context);
  self->bh = aio_bh_new (self->context, count_run, NULL);
  self->timers = timers_of_ours_new (self->context, n);
  return self;
}

static Timers *
timers_new_glib (guint n)
{
  Timers *self = g_new0 (Timers, 1);

  self->main_context = g_main_context_new ();
  self->n = n;
  self->sources = g_new (GSource *, n);
  for (guint i = 0; i < n; i++)
    {
      self->sources[i] = g_timeout_source_new ((guint) far_offset_ms ());
      g_source_set_callback (self->sources[i], on_timeout, NULL, NULL);
      g_source_attach (self->sources[i], self->main_context);
    }
  return self;
}

static void
timers_free (Timers *self)
{
  for (guint i = 0; i < self->n && self->timers != NULL; i++)
    aio_timer_clear (&self->timers[i]);
  for (guint i = 0; i < self->n && self->sources != NULL; i++)
    {
      g_source_destroy (self->sources[i]);
      g_source_unref (self->sources[i]);
    }
  g_clear_pointer (&self->bh, aio_bh_delete);
  g_clear_pointer (&self->context, attached_context_free);
  g_main_context_unref (self->main_context);
  g_free (self->timers);
  g_free (self->sources);
  g_free (self);
}

static void
bench_timers (void)
{
  Timers *ours_none = timers_new_ours (0), *ours_many = timers_new_ours (10000);
  Timers *glib_none = timers_new_glib (0), *glib_many = timers_new_glib (10000);

  bench_run ("One callback and one iteration of a GMainContext, with far timers armed",
             (BenchPeer[]) {
    { "ours, no timer", schedule_and_iterate, ours_none },
    { "ours, 10 000 timers", schedule_and_iterate, ours_many },
    { "g_idle_source, no g_timeout_source", idle_and_iterate, glib_none },
    { "g_idle_source, 10 000 g_timeout_source", idle_and_iterate, glib_many },
  }, 4);
  timers_free (ours_none);
  timers_free (ours_many);
  timers_free (glib_none);
  timers_free (glib_many);
}

/* --- Arm and cancel one among many ------------------------------------------------------------ */

#define N_ARMED   100000
#define N_OFFSETS 4096

/* Drawn beforehand: random numbers cost as much as timers. */
static gint64 offsets_ms[N_OFFSETS];

typedef struct
{
  AioContext *context;
  AioTimer *timers;
  AioTimer one;
  gint64 now;
} OurTimers;

static void
arm_and_cancel_ours (gpointer data,
                     guint    n)
{
  OurTimers *self = data;

  for (guint i = 0; i < n; i++)
    {
      aio_timer_mod_ns (&self->one, self->now + offsets_ms[i % N_OFFSETS] * 1000000);
      aio_timer_del (&self->one);
    }
}

static void
arm_and_cancel_glib (gpointer data,
                     guint    n)
{
  GMainContext *main_context = *(GMainContext **) data;

  for (guint i = 0; i < n; i++)
    {
      GSource *source = g_timeout_source_new ((guint) offsets_ms[i % N_OFFSETS]);

      g_source_set_callback (source, on_timeout, NULL, NULL);
      g_source_attach (source, main_context);
      g_source_destroy (source);
      g_source_unref (source);
    }
}

static OurTimers *
our_timers_new (guint n)
{
  OurTimers *self = g_new0 (OurTimers, 1);

  self->context = aio_context_new ();
  self->timers = timers_of_ours_new (self->context, n);
  self->now = aio_context_get_time_ns (self->context, AIO_CLOCK_MONOTONIC);
  aio_timer_init (&self->one, self->context, AIO_CLOCK_MONOTONIC, count_run, NULL);
  /* Makes this thread the home thread. */
  aio_context_poll (self->context, FALSE);
  return self;
}

static void
our_timers_free (OurTimers *self,
                 guint      n)
{
  aio_timer_clear (&self->one);
  for (guint i = 0; i < n; i++)
    aio_timer_clear (&self->timers[i]);
  aio_context_unref (self->context);
  g_free (self->timers);
  g_free (self);
}

#ifdef HAVE_LIBUV
typedef struct
{
  uv_loop_t loop;
  uv_timer_t *timers;
  uv_timer_t one;
} UvTimers;

static void
on_uv_timer (uv_timer_t *timer)
{
  n_ran++;
}

static void
arm_and_cancel_libuv (gpointer data,
                      guint    n)
{
  UvTimers *self = data;

  for (guint i = 0; i < n; i++)
    {
      uv_timer_start (&self->one, on_uv_timer, (guint64) offsets_ms[i % N_OFFSETS], 0);
      uv_timer_stop (&self->one);
    }
}

static UvTimers *
uv_timers_new (guint n)
{
  UvTimers *self = g_new0 (UvTimers, 1);

  uv_loop_init (&self->loop);
  uv_timer_init (&self->loop, &self->one);
  self->timers = g_new (uv_timer_t, n);
  for (guint i = 0; i < n; i++)
    {
      uv_timer_init (&self->loop, &self->timers[i]);
      uv_timer_start (&self->timers[i], on_uv_timer, (guint64) far_offset_ms (), 0);
    }
  return self;
}

static void
uv_timers_free (UvTimers *self,
                guint     n)
{
  uv_close ((uv_handle_t *) &self->one, NULL);
  for (guint i = 0; i < n; i++)
    uv_close ((uv_handle_t *) &self->timers[i], NULL);
  uv_run (&self->loop, UV_RUN_DEFAULT);
  uv_loop_close (&self->loop);
  g_free (self->timers);
  g_free (self);
}
#endif

static void
bench_arm_among (guint n)
{
  g_autofree char *question = g_strdup_printf ("Arm and cancel a timer among %u", n);
  OurTimers *ours = our_timers_new (n);
  Timers *glib = timers_new_glib (n);
  BenchPeer peers[3] = {
    { "aio_timer_mod_ns + aio_timer_del", arm_and_cancel_ours, ours },
    { "g_source_attach + g_source_destroy", arm_and_cancel_glib, glib },
  };
  guint n_peers = 2;
#ifdef HAVE_LIBUV
  UvTimers *uv = uv_timers_new (n);

  peers[n_peers++] = (BenchPeer) { "uv_timer_start + uv_timer_stop", arm_and_cancel_libuv, uv };
#endif

  bench_run (question, peers, n_peers);
  our_timers_free (ours, n);
  timers_free (glib);
#ifdef HAVE_LIBUV
  uv_timers_free (uv, n);
#endif
}

static void
bench_arm (void)
{
  for (guint i = 0; i < N_OFFSETS; i++)
    offsets_ms[i] = far_offset_ms ();
  bench_arm_among (1000);
  bench_arm_among (N_ARMED);
}

/* --- A round trip between two threads --------------------------------------------------------- */

#define BUSY_POLL_NS 200000

/* Where the main thread sleeps until the others have done what it asked for. */
typedef struct
{
  pthread_mutex_t lock;
  pthread_cond_t changed;
  gboolean done;
} Gate;

#define GATE_INIT { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, FALSE }

static void
gate_open (Gate *self)
{
  pthread_mutex_lock (&self->lock);
  self->done = TRUE;
  pthread_cond_signal (&self->changed);
  pthread_mutex_unlock (&self->lock);
}

static void
gate_wait (Gate *self)
{
  pthread_mutex_lock (&self->lock);
  while (!self->done)
    pthread_cond_wait (&self->changed, &self->lock);
  self->done = FALSE;
  pthread_mutex_unlock (&self->lock);
}

/* Two contexts, whoever iterates them, and a ball that goes to and fro. */
typedef struct
{
  AioContext *context[2];
  AioBH *ping, *pong;
  guint left;                   /* ping's */
  Gate gate;

  AioIOThread *io_thread[2];    /* either these */
  pthread_t thread[2];          /* or those */
  gint64 busy_ns;
  atomic_bool quit;
} Pair;

static void
pair_ping (gpointer data)
{
  Pair *self = data;

  if (self->left-- == 0)
    gate_open (&self->gate);
  else
    aio_bh_schedule (self->pong);
}

static void
pair_pong (gpointer data)
{
  Pair *self = data;

  aio_bh_schedule (self->ping);
}

static void
pair_play (gpointer data,
           guint    n)
{
  Pair *self = data;

  self->left = n;
  aio_bh_schedule (self->ping);
  gate_wait (&self->gate);
}

static Pair *
pair_new (gint64 busy_ns)
{
  Pair *self = g_new0 (Pair, 1);

  self->gate = (Gate) GATE_INIT;
  self->busy_ns = busy_ns;
  return self;
}

static void
pair_make_bhs (Pair *self)
{
  self->ping = aio_bh_new (self->context[0], pair_ping, self);
  self->pong = aio_bh_new (self->context[1], pair_pong, self);
}

static void
busy_poll_here (AioContext *context,
                gint64      busy_ns)
{
  GError *error = NULL;

  if (busy_ns > 0 && !aio_context_set_busy_poll (context, busy_ns, &error))
    g_error ("%s", error->message);
}

static void
pair_busy_poll (gpointer data)
{
  Pair *self = data;

  busy_poll_here (aio_context_get_current (), self->busy_ns);
  gate_open (&self->gate);
}

static Pair *
pair_new_io_threads (gint64 busy_ns)
{
  Pair *self = pair_new (busy_ns);

  for (guint i = 0; i < 2; i++)
    {
      self->io_thread[i] = aio_io_thread_new ("pair", NULL);
      self->context[i] = aio_context_ref (aio_io_thread_get_context (self->io_thread[i]));
      aio_context_post (self->context[i], pair_busy_poll, self, NULL);
      gate_wait (&self->gate);
    }
  pair_make_bhs (self);
  return self;
}

typedef struct
{
  Pair *pair;
  AioContext *context;
} Player;

static gpointer
poll_thread (gpointer data)
{
  Player *player = data;
  Pair *pair = player->pair;
  AioContext *context = player->context;

  g_free (player);
  busy_poll_here (context, pair->busy_ns);
  while (!atomic_load (&pair->quit))
    aio_context_poll (context, TRUE);
  return NULL;
}

static Pair *
pair_new_own_poll (gint64 busy_ns)
{
  Pair *self = pair_new (busy_ns);

  for (guint i = 0; i < 2; i++)
    self->context[i] = aio_context_new ();
  pair_make_bhs (self);
  for (guint i = 0; i < 2; i++)
    {
      Player *player = g_new (Player, 1);

      *player = (Player) { self, self->context[i] };
      pthread_create (&self->thread[i], NULL, poll_thread, player);
    }
  return self;
}

static void
pair_free (Pair *self)
{
  atomic_store (&self->quit, TRUE);
  for (guint i = 0; i < 2; i++)
    {
      if (self->io_thread[i] != NULL)
        {
          aio_io_thread_unref (self->io_thread[i]);
        }
      else
        {
          aio_context_notify (self->context[i]);
          pthread_join (self->thread[i], NULL);
        }
    }
  aio_bh_delete (self->ping);
  aio_bh_delete (self->pong);
  for (guint i = 0; i < 2; i++)
    aio_context_unref (self->context[i]);
  g_free (self);
}

/* GLib: each thread runs a GMainLoop. */
typedef struct
{
  GMainContext *main_context[2];
  GMainLoop *loop[2];
  GThread *thread[2];
  guint left;
  Gate gate;
} GlibPair;

static gpointer
main_loop_thread (gpointer loop)
{
  g_main_loop_run (loop);
  return NULL;
}

static gboolean glib_ping (gpointer data);

static gboolean
glib_pong (gpointer data)
{
  GlibPair *self = data;

  g_main_context_invoke_full (self->main_context[0], G_PRIORITY_DEFAULT, glib_ping, self, NULL);
  return G_SOURCE_REMOVE;
}

static gboolean
glib_ping (gpointer data)
{
  GlibPair *self = data;

  if (self->left-- == 0)
    gate_open (&self->gate);
  else
    g_main_context_invoke_full (self->main_context[1], G_PRIORITY_DEFAULT, glib_pong, self, NULL);
  return G_SOURCE_REMOVE;
}

static void
glib_play (gpointer data,
           guint    n)
{
  GlibPair *self = data;

  self->left = n;
  g_main_context_invoke_full (self->main_context[0], G_PRIORITY_DEFAULT, glib_ping, self, NULL);
  gate_wait (&self->gate);
}

static GlibPair *
glib_pair_new (void)
{
  GlibPair *self = g_new0 (GlibPair, 1);

  self->gate = (Gate) GATE_INIT;
  for (guint i = 0; i < 2; i++)
    {
      self->main_context[i] = g_main_context_new ();
      self->loop[i] = g_main_loop_new (self->main_context[i], FALSE);
      self->thread[i] = g_thread_new ("glib", main_loop_thread, self->loop[i]);
      while (!g_main_loop_is_running (self->loop[i]))
        g_usleep (100);
    }
  return self;
}

static void
glib_pair_free (GlibPair *self)
{
  for (guint i = 0; i < 2; i++)
    {
      g_main_loop_quit (self->loop[i]);
      g_thread_join (self->thread[i]);
      g_main_loop_unref (self->loop[i]);
      g_main_context_unref (self->main_context[i]);
    }
  g_free (self);
}

#ifdef HAVE_LIBUV
/* libuv: each thread runs a loop that a uv_async_t of the other one wakes. */
typedef struct
{
  uv_loop_t loop[2];
  uv_async_t ball[2];
  uv_async_t quit[2];
  uv_thread_t thread[2];
  guint left;
  Gate gate;
} UvPair;

static void
uv_ping (uv_async_t *async)
{
  UvPair *self = async->data;

  if (self->left-- == 0)
    gate_open (&self->gate);
  else
    uv_async_send (&self->ball[1]);
}

static void
uv_pong (uv_async_t *async)
{
  UvPair *self = async->data;

  uv_async_send (&self->ball[0]);
}

static void
uv_quit (uv_async_t *async)
{
  UvPair *self = async->data;
  guint i = async == &self->quit[1];

  uv_close ((uv_handle_t *) &self->ball[i], NULL);
  uv_close ((uv_handle_t *) async, NULL);
}

static void
uv_play (gpointer data,
         guint    n)
{
  UvPair *self = data;

  self->left = n;
  uv_async_send (&self->ball[0]);
  gate_wait (&self->gate);
}

static void
uv_loop_thread (void *loop)
{
  uv_run (loop, UV_RUN_DEFAULT);
}

static UvPair *
uv_pair_new (void)
{
  UvPair *self = g_new0 (UvPair, 1);

  self->gate = (Gate) GATE_INIT;
  for (guint i = 0; i < 2; i++)
    {
      self->ball[i].data = self->quit[i].data = self;
      uv_loop_init (&self->loop[i]);
      uv_async_init (&self->loop[i], &self->ball[i], i == 0 ? uv_ping : uv_pong);
      uv_async_init (&self->loop[i], &self->quit[i], uv_quit);
    }
  for (guint i = 0; i < 2; i++)
    uv_thread_create (&self->thread[i], uv_loop_thread, &self->loop[i]);
  return self;
}

static void
uv_pair_free (UvPair *self)
{
  for (guint i = 0; i < 2; i++)
    {
      uv_async_send (&self->quit[i]);
      uv_thread_join (&self->thread[i]);
      uv_loop_close (&self->loop[i]);
    }
  g_free (self);
}
#endif

/* Floors: two threads and a cache line that they spin on, or two eventfds that they sleep on. */
typedef struct
{
  _Alignas (128) atomic_uint ball;
  guint n;
  int fd[2];
} Floor;

static gpointer
line_pong (gpointer data)
{
  Floor *self = data;

  for (guint i = 0; i < self->n; i++)
    {
      while (atomic_load_explicit (&self->ball, memory_order_acquire) != 2 * i + 1)
        ;
      atomic_store_explicit (&self->ball, 2 * i + 2, memory_order_release);
    }
  return NULL;
}

static void
line_play (gpointer data,
           guint    n)
{
  Floor *self = data;
  pthread_t thread;

  self->n = n;
  atomic_store (&self->ball, 0);
  pthread_create (&thread, NULL, line_pong, self);
  for (guint i = 0; i < n; i++)
    {
      atomic_store_explicit (&self->ball, 2 * i + 1, memory_order_release);
      while (atomic_load_explicit (&self->ball, memory_order_acquire) != 2 * i + 2)
        ;
    }
  pthread_join (thread, NULL);
}

static gpointer
eventfd_pong (gpointer data)
{
  Floor *self = data;
  eventfd_t value;

  for (guint i = 0; i < self->n; i++)
    {
      eventfd_read (self->fd[1], &value);
      eventfd_write (self->fd[0], 1);
    }
  return NULL;
}

static void
eventfd_play (gpointer data,
              guint    n)
{
  Floor *self = data;
  eventfd_t value;
  pthread_t thread;

  self->n = n;
  pthread_create (&thread, NULL, eventfd_pong, self);
  for (guint i = 0; i < n; i++)
    {
      eventfd_write (self->fd[1], 1);
      eventfd_read (self->fd[0], &value);
    }
  pthread_join (thread, NULL);
}

static void
bench_trip_asleep (void)
{
  Floor floor = { .fd = { eventfd (0, EFD_CLOEXEC), eventfd (0, EFD_CLOEXEC) } };
  Pair *own = pair_new_own_poll (0), *io = pair_new_io_threads (0);
  GlibPair *glib = glib_pair_new ();
  BenchPeer peers[5] = {
    { "two AioIOThreads", pair_play, io },
    { "two threads with aio_context_poll", pair_play, own },
    { "g_main_context_invoke_full", glib_play, glib },
    { "floor: two eventfds", eventfd_play, &floor },
  };
  guint n_peers = 4;
#ifdef HAVE_LIBUV
  UvPair *uv = uv_pair_new ();

  peers[n_peers++] = (BenchPeer) { "uv_async_send", uv_play, uv };
#endif

  bench_run ("Round trip between two threads that sleep", peers, n_peers);
  pair_free (own);
  pair_free (io);
  glib_pair_free (glib);
#ifdef HAVE_LIBUV
  uv_pair_free (uv);
#endif
  close (floor.fd[0]);
  close (floor.fd[1]);
}

static void
bench_trip (void)
{
  Floor floor = { 0 };
  Pair *own, *io;

  bench_trip_asleep ();
  own = pair_new_own_poll (BUSY_POLL_NS);
  io = pair_new_io_threads (BUSY_POLL_NS);
  bench_run ("Round trip between two threads that poll busily", (BenchPeer[]) {
    { "two AioIOThreads", pair_play, io },
    { "two threads with aio_context_poll", pair_play, own },
    { "floor: a cache line", line_play, &floor },
  }, 3);
  pair_free (own);
  pair_free (io);
}

/* --- What the GSource itself costs ------------------------------------------------------------ */

typedef struct
{
  GMainContext *main_context;
  Bare *bare;
} BareLoop;

static void
bare_and_iterate (gpointer data,
                  guint    n)
{
  BareLoop *self = data;

  for (guint i = 0; i < n; i++)
    {
      self->bare->scheduled = TRUE;
      g_main_context_iteration (self->main_context, FALSE);
    }
}

static BareLoop *
bare_loop_new (int fd)
{
  BareLoop *self = g_new0 (BareLoop, 1);

  self->main_context = g_main_context_new ();
  self->bare = bare_new (self->main_context, fd);
  return self;
}

static void
bare_loop_free (BareLoop *self)
{
  bare_free (self->bare);
  g_main_context_unref (self->main_context);
  g_free (self);
}

/* With an empty eventfd in its set, so that it is not an easier one than ours. */
static int
epoll_fd_with (int fd)
{
  int epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

  epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fd, &event);
  return epoll_fd;
}

static void
bench_source (void)
{
  int fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  Timers *plain = timers_new_ours (0), *full = timers_new_ours (1), *glib = timers_new_glib (0);
  BareLoop *bare_epoll = bare_loop_new (epoll_fd_with (fd));
  BareLoop *bare_eventfd = bare_loop_new (eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK));

  aio_context_set_fd_handler (full->context, fd, read_eventfd, NULL, GINT_TO_POINTER (fd));
  bench_run ("Schedule and one iteration of a GMainContext, with a descriptor and a timer",
             (BenchPeer[]) {
    { "ours", schedule_and_iterate, full },
    { "bare GSource with an epoll fd", bare_and_iterate, bare_epoll },
    { "g_idle_source", idle_and_iterate, glib },
  }, 3);
  bench_run ("Schedule and one iteration of a GMainContext, with bottom halves only",
             (BenchPeer[]) {
    { "ours", schedule_and_iterate, plain },
    { "bare GSource with an eventfd", bare_and_iterate, bare_eventfd },
    { "g_idle_source", idle_and_iterate, glib },
  }, 3);
  aio_context_set_fd_handler (full->context, fd, NULL, NULL, NULL);
  timers_free (plain);
  timers_free (full);
  timers_free (glib);
  bare_loop_free (bare_epoll);
  bare_loop_free (bare_eventfd);
  close (fd);
}

/* --- All of them ------------------------------------------------------------------------------ */

static const struct
{
  const char *name;
  void (*run) (void);
} benches[] = {
  { "fds", bench_fds },
  { "timers", bench_timers },
  { "arm", bench_arm },
  { "trip", bench_trip },
  { "source", bench_source },
};

static gboolean
is_asked_for (const char *name,
              int         argc,
              char      **argv)
{
  for (int i = 1; i < argc; i++)
    if (strcmp (argv[i], name) == 0)
      return TRUE;
  return argc == 1;
}

int
main (int    argc,
      char **argv)
{
  for (guint i = 0; i < G_N_ELEMENTS (benches); i++)
    if (is_asked_for (benches[i].name, argc, argv))
      benches[i].run ();
  return 0;
}
