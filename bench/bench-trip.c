/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How long a round trip between two loops takes that run in threads of their own: asleep or polling
 * busily, both on one processor, each on one of its own, or where the system puts them. */
#include "peers.h"

#include <aioctx-gsource/aioctx-gsource.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BUSY_POLL_NS 200000

typedef enum
{
  UNPINNED,
  TOGETHER,
  APART
} Place;

typedef struct
{
  const BenchPeer *peer;
  Place place;
  gint64 busy_ns;
} Config;

/* Where the main thread sleeps until the others have done what it asked for. */
typedef struct
{
  pthread_mutex_t lock;
  pthread_cond_t changed;
  gboolean is_open;
} Gate;

static void
gate_open (Gate *self)
{
  pthread_mutex_lock (&self->lock);
  self->is_open = TRUE;
  pthread_cond_signal (&self->changed);
  pthread_mutex_unlock (&self->lock);
}

static void
gate_wait (Gate *self)
{
  pthread_mutex_lock (&self->lock);
  while (!self->is_open)
    pthread_cond_wait (&self->changed, &self->lock);
  self->is_open = FALSE;
  pthread_mutex_unlock (&self->lock);
}

typedef struct _Pair Pair;

typedef struct
{
  Pair *pair;
  guint index;
  gpointer loop;
  gpointer ball, begin, end;
  pthread_t thread;
} Player;

struct _Pair
{
  Config config;
  Player players[2];
  guint left;
  Gate gate;
};

/* The processors that this process may use, in turn. */
static void
pin (guint nth)
{
  cpu_set_t allowed, one;
  guint n = 0;

  sched_getaffinity (getpid (), sizeof allowed, &allowed);
  nth %= (guint) CPU_COUNT (&allowed);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
    if (CPU_ISSET (cpu, &allowed) && n++ == nth)
      {
        CPU_ZERO (&one);
        CPU_SET (cpu, &one);
        pthread_setaffinity_np (pthread_self (), sizeof one, &one);
        return;
      }
}

static void
take_place (Place place,
            guint index)
{
  if (place != UNPINNED)
    pin (place == APART ? index : 0);
}

static void
on_ball (gpointer data)
{
  Player *self = data;
  Pair *pair = self->pair;
  const BenchPeer *peer = pair->config.peer;

  if (self->index == 1)
    peer->send (pair->players[0].ball);
  else if (pair->left-- == 0)
    gate_open (&pair->gate);
  else
    peer->send (pair->players[1].ball);
}

static void
on_begin (gpointer data)
{
  Player *self = data;
  Pair *pair = self->pair;
  GError *error = NULL;

  take_place (pair->config.place, self->index);
  if (pair->config.busy_ns > 0 &&
      !aio_context_set_busy_poll (aio_context_get_current (), pair->config.busy_ns, &error))
    g_error ("%s", error->message);
  gate_open (&pair->gate);
}

static void
on_end (gpointer data)
{
  Player *self = data;

  self->pair->config.peer->stop (self->loop);
}

static gpointer
run (gpointer data)
{
  Player *self = data;

  self->pair->config.peer->run (self->loop);
  return NULL;
}

static void
player_begin (Player *self,
              Pair   *pair,
              guint   index)
{
  const BenchPeer *peer = pair->config.peer;

  self->pair = pair;
  self->index = index;
  self->loop = peer->open ();
  self->ball = peer->call_new (self->loop, on_ball, self);
  self->begin = peer->call_new (self->loop, on_begin, self);
  self->end = peer->call_new (self->loop, on_end, self);
  if (peer->run != NULL)
    pthread_create (&self->thread, NULL, run, self);
  peer->send (self->begin);
  gate_wait (&pair->gate);
}

static void
player_end (Player *self)
{
  const BenchPeer *peer = self->pair->config.peer;

  if (peer->run == NULL)
    return;
  peer->send (self->end);
  pthread_join (self->thread, NULL);
}

/* To be called when both have ended: one that has sent the ball may still be about to wake the
 * other one. */
static void
player_free (Player *self)
{
  const BenchPeer *peer = self->pair->config.peer;

  peer->call_free (self->ball);
  peer->call_free (self->begin);
  peer->call_free (self->end);
  peer->close (self->loop);
}

static gpointer
pair_new (gconstpointer config)
{
  Pair *self = g_new0 (Pair, 1);

  self->config = *(const Config *) config;
  pthread_mutex_init (&self->gate.lock, NULL);
  pthread_cond_init (&self->gate.changed, NULL);
  player_begin (&self->players[0], self, 0);
  player_begin (&self->players[1], self, 1);
  return self;
}

static void
pair_free (gpointer data)
{
  Pair *self = data;

  player_end (&self->players[0]);
  player_end (&self->players[1]);
  player_free (&self->players[0]);
  player_free (&self->players[1]);
  pthread_mutex_destroy (&self->gate.lock);
  pthread_cond_destroy (&self->gate.changed);
  g_free (self);
}

static void
play (gpointer data,
      guint    n)
{
  Pair *self = data;

  self->left = n;
  self->config.peer->send (self->players[0].ball);
  gate_wait (&self->gate);
}

/* Floors: two threads and a cache line that they spin on, or two eventfds that they sleep on. */
typedef struct
{
  _Alignas (128) atomic_uint ball;
  Place place;
  guint n;
  int fd[2];
} Floor;

static gpointer
floor_new (gconstpointer config)
{
  Floor *self = g_aligned_alloc0 (1, sizeof (Floor), 128);

  self->place = ((const Config *) config)->place;
  self->fd[0] = eventfd (0, EFD_CLOEXEC);
  self->fd[1] = eventfd (0, EFD_CLOEXEC);
  return self;
}

static void
floor_free (gpointer data)
{
  Floor *self = data;

  close (self->fd[0]);
  close (self->fd[1]);
  g_aligned_free (self);
}

static gpointer
line_ping (gpointer data)
{
  Floor *self = data;

  take_place (self->place, 0);
  for (guint i = 0; i < self->n; i++)
    {
      atomic_store_explicit (&self->ball, 2 * i + 1, memory_order_release);
      while (atomic_load_explicit (&self->ball, memory_order_acquire) != 2 * i + 2)
        ;
    }
  return NULL;
}

static gpointer
line_pong (gpointer data)
{
  Floor *self = data;

  take_place (self->place, 1);
  for (guint i = 0; i < self->n; i++)
    {
      while (atomic_load_explicit (&self->ball, memory_order_acquire) != 2 * i + 1)
        ;
      atomic_store_explicit (&self->ball, 2 * i + 2, memory_order_release);
    }
  return NULL;
}

static gpointer
eventfd_ping (gpointer data)
{
  Floor *self = data;
  eventfd_t value;

  take_place (self->place, 0);
  for (guint i = 0; i < self->n; i++)
    {
      eventfd_write (self->fd[1], 1);
      eventfd_read (self->fd[0], &value);
    }
  return NULL;
}

static gpointer
eventfd_pong (gpointer data)
{
  Floor *self = data;
  eventfd_t value;

  take_place (self->place, 1);
  for (guint i = 0; i < self->n; i++)
    {
      eventfd_read (self->fd[1], &value);
      eventfd_write (self->fd[0], 1);
    }
  return NULL;
}

static void
floor_play (Floor    *self,
            guint     n,
            gpointer (*ping) (gpointer),
            gpointer (*pong) (gpointer))
{
  pthread_t threads[2];

  self->n = n;
  atomic_store (&self->ball, 0);
  pthread_create (&threads[0], NULL, ping, self);
  pthread_create (&threads[1], NULL, pong, self);
  pthread_join (threads[0], NULL);
  pthread_join (threads[1], NULL);
}

static void
line_play (gpointer floor,
           guint    n)
{
  floor_play (floor, n, line_ping, line_pong);
}

static void
eventfd_play (gpointer floor,
              guint    n)
{
  floor_play (floor, n, eventfd_ping, eventfd_pong);
}

static const BenchPeer *const sleepers[] = {
  &bench_ours_io_thread, &bench_ours_poll, &bench_ours_source, &bench_glib_invoke,
#ifdef HAVE_LIBUV
  &bench_libuv,
#endif
#ifdef HAVE_LIBEV
  &bench_libev,
#endif
#ifdef HAVE_LIBEVENT
  &bench_libevent,
#endif
  NULL
};

static const BenchPeer *const busy_ones[] = { &bench_ours_io_thread, &bench_ours_poll, NULL };

static const char *const place_titles[] = {
  "where the system puts them", "on one processor", "on two processors"
};

static const char *const place_keys[] = { "unpinned", "together", "apart" };

static void
ask (Place place,
     gint64 busy_ns)
{
  const BenchPeer *const *peers = busy_ns > 0 ? busy_ones : sleepers;
  g_autofree char *key = g_strdup_printf ("trip-%s-%s", busy_ns > 0 ? "busy" : "asleep",
                                          place_keys[place]);
  g_autofree char *title = g_strdup_printf ("Round trip between two threads that %s, %s",
                                            busy_ns > 0 ? "poll busily" : "sleep",
                                            place_titles[place]);
  BenchSubject subjects[16];
  Config configs[16];
  guint n = 0;

  for (; peers[n] != NULL; n++)
    {
      configs[n] = (Config) { peers[n], place, busy_ns };
      subjects[n] = (BenchSubject) {
        peers[n]->name, peers[n]->call_how, pair_new, play, pair_free, &configs[n]
      };
    }
  configs[n] = (Config) { NULL, place, busy_ns };
  subjects[n] = busy_ns > 0
    ? (BenchSubject) { "floor: a cache line", "two threads that spin on it", floor_new, line_play,
                       floor_free, &configs[n] }
    : (BenchSubject) { "floor: two eventfds", "read and write", floor_new, eventfd_play,
                       floor_free, &configs[n] };
  /* Threads that spin on one processor wait for the system to part them. */
  if (busy_ns == 0 || place != TOGETHER)
    n++;
  bench_run (&(BenchQuestion) { key, title, 1 }, subjects, n);
}

int
main (int    argc,
      char **argv)
{
  bench_begin (argc, argv);
  for (Place place = UNPINNED; place <= APART; place++)
    {
      ask (place, 0);
      ask (place, BUSY_POLL_NS);
    }
  return bench_end ();
}
