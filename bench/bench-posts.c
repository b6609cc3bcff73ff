/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a piece of work costs that one of several threads hands to a loop.
 *
 * libuv and libev merge what is sent to a handle, so their manuals say to bring a queue of one's
 * own: "uv_async_send" in "uv_async_t — Async handle", and "Queueing" in ev(3). */
#include "peers.h"

#include <aioctx-gsource/aioctx-gsource.h>
#include <pthread.h>

#define MAX_PRODUCERS 8

typedef struct _Receiver Receiver;

typedef struct
{
  const char *name;
  const char *how;
  const BenchPeer *peer;        /* NULL: ours */
  void (*post) (Receiver *receiver);
} Way;

typedef struct
{
  const Way *way;
  guint n_producers;
} Config;

typedef struct _Work Work;

struct _Work
{
  BenchCall func;
  gpointer data;
  Work *next;
};

struct _Receiver
{
  Config config;
  AioContext *context;
  GMainContext *main_context;
  gpointer loop;
  gpointer call;
  guint n_each;

  pthread_mutex_t lock;
  Work *first, **last;
};

static void
post_ours (Receiver *self)
{
  aio_context_post (self->context, bench_count, NULL, NULL);
}

static gboolean
count_once (gpointer data)
{
  bench_count (data);
  return G_SOURCE_REMOVE;
}

static void
post_glib (Receiver *self)
{
  g_main_context_invoke (self->main_context, count_once, NULL);
}

static void
post_queued (Receiver *self)
{
  Work *work = g_new (Work, 1);

  *work = (Work) { bench_count, NULL, NULL };
  pthread_mutex_lock (&self->lock);
  *self->last = work;
  self->last = &work->next;
  pthread_mutex_unlock (&self->lock);
  self->config.way->peer->send (self->call);
}

static void
drain (gpointer data)
{
  Receiver *self = data;
  Work *work;

  pthread_mutex_lock (&self->lock);
  work = g_steal_pointer (&self->first);
  self->last = &self->first;
  pthread_mutex_unlock (&self->lock);
  while (work != NULL)
    {
      Work *next = work->next;

      work->func (work->data);
      g_free (work);
      work = next;
    }
}

static gpointer
receiver_new (gconstpointer config)
{
  Receiver *self = g_new0 (Receiver, 1);
  const BenchPeer *peer;

  self->config = *(const Config *) config;
  peer = self->config.way->peer;
  pthread_mutex_init (&self->lock, NULL);
  self->last = &self->first;
  if (peer != NULL)
    {
      self->loop = peer->open ();
      self->call = peer->call_new (self->loop, drain, self);
      return self;
    }
  /* Acquired, or g_main_context_invoke() would run the callback in the producer's thread. */
  self->main_context = g_main_context_new ();
  g_main_context_acquire (self->main_context);
  self->context = aio_context_new ();
  if (self->config.way->post == post_ours)
    aio_context_attach (self->context, self->main_context);
  return self;
}

static void
receiver_free (gpointer data)
{
  Receiver *self = data;
  const BenchPeer *peer = self->config.way->peer;

  if (peer != NULL)
    {
      peer->call_free (self->call);
      peer->close (self->loop);
    }
  else
    {
      if (self->config.way->post == post_ours)
        aio_context_detach (self->context);
      aio_context_unref (self->context);
      g_main_context_release (self->main_context);
      g_main_context_unref (self->main_context);
    }
  pthread_mutex_destroy (&self->lock);
  g_free (self);
}

static gpointer
produce (gpointer data)
{
  Receiver *self = data;

  for (guint i = 0; i < self->n_each; i++)
    self->config.way->post (self);
  return NULL;
}

/* Waits in a way that a producer ends. The peers' loops are stopped by nobody, so they are asked
 * again and again; that is to their advantage. */
static void
iterate (Receiver *self)
{
  if (self->main_context != NULL)
    g_main_context_iteration (self->main_context, TRUE);
  else
    self->config.way->peer->iterate (self->loop);
}

static void
receive (gpointer data,
         guint    n)
{
  Receiver *self = data;
  guint n_producers = self->config.n_producers;
  pthread_t producers[MAX_PRODUCERS];
  guint begin = bench_ran;

  self->n_each = (n + n_producers - 1) / n_producers;
  for (guint i = 0; i < n_producers; i++)
    pthread_create (&producers[i], NULL, produce, self);
  while (bench_ran - begin < self->n_each * n_producers)
    iterate (self);
  for (guint i = 0; i < n_producers; i++)
    pthread_join (producers[i], NULL);
}

static const Way ways[] = {
  { "ours in GMainContext", "aio_context_post", NULL, post_ours },
  { "GLib", "g_main_context_invoke", NULL, post_glib },
#ifdef HAVE_LIBUV
  { "libuv", "a queue with a lock + uv_async_send", &bench_libuv, post_queued },
#endif
#ifdef HAVE_LIBEV
  { "libev", "a queue with a lock + ev_async_send", &bench_libev, post_queued },
#endif
#ifdef HAVE_LIBEVENT
  { "libevent", "a queue with a lock + event_active", &bench_libevent, post_queued },
#endif
};

static void
ask (guint n_producers)
{
  const BenchQuestion question = {
    "posts", "Other threads post, a loop runs it; each", n_producers
  };
  BenchSubject subjects[G_N_ELEMENTS (ways)];
  Config configs[G_N_ELEMENTS (ways)];

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      configs[i] = (Config) { &ways[i], n_producers };
      subjects[i] = (BenchSubject) {
        ways[i].name, ways[i].how, receiver_new, receive, receiver_free, &configs[i]
      };
    }
  bench_run (&question, subjects, G_N_ELEMENTS (ways));
}

int
main (int    argc,
      char **argv)
{
  bench_begin (argc, argv);
  for (guint n_producers = 1; n_producers <= MAX_PRODUCERS; n_producers *= 2)
    ask (n_producers);
  return bench_end ();
}
