/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a loop costs with nothing due: how often its thread wakes up in a second, and for how long
 * it runs, beside 100 descriptors, 100 callbacks and 100 timers. */
#include "rig.h"

#include <pthread.h>
#include <sys/resource.h>
#include <time.h>

#define N_THINGS 100

static const BenchPeer *const peers[] = {
  &bench_ours_poll, &bench_ours_source, &bench_glib,
#ifdef HAVE_LIBUV
  &bench_libuv,
#endif
#ifdef HAVE_LIBEV
  &bench_libev,
#endif
#ifdef HAVE_LIBEVENT
  &bench_libevent,
#endif
};

typedef struct
{
  BenchRig *rig;
  gpointer begin, end;
  double cpu_us;
  long n_switches;
} Idler;

static double
thread_us (void)
{
  struct timespec now;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  return (double) now.tv_sec * 1e6 + (double) now.tv_nsec * 1e-3;
}

static long
thread_switches (void)
{
  struct rusage usage;

  getrusage (RUSAGE_THREAD, &usage);
  return usage.ru_nvcsw;
}

static void
on_begin (gpointer data)
{
  Idler *self = data;

  self->cpu_us = -thread_us ();
  self->n_switches = -thread_switches ();
}

/* It woke up once for this. */
static void
on_end (gpointer data)
{
  Idler *self = data;

  self->cpu_us += thread_us ();
  self->n_switches += thread_switches () - 1;
  self->rig->peer->stop (self->rig->loop);
}

static gpointer
run (gpointer data)
{
  Idler *self = data;

  self->rig->peer->run (self->rig->loop);
  return NULL;
}

static void
tell (const BenchPeer *peer,
      const Idler     *idler,
      double           seconds)
{
  bench_tell (&(BenchQuestion) { "idle-wakeups", "Nothing is due: wakeups", N_THINGS }, "1/s",
              peer->name, peer->call_how, (double) MAX (idler->n_switches, 0) / seconds);
  bench_tell (&(BenchQuestion) { "idle-cpu", "Nothing is due: time on a processor", N_THINGS },
              "us/s", peer->name, peer->call_how, idler->cpu_us / seconds);
}

static void
idle (const BenchPeer *peer)
{
  BenchPlan plan = { .n_calls = N_THINGS, .n_fds = N_THINGS, .n_timers = N_THINGS };
  BenchRigConfig config = { peer, plan };
  guint usec = bench_is_quick () ? 20000 : G_USEC_PER_SEC;
  Idler idler = { .rig = NULL };
  pthread_t thread;

  if (peer->fd_new == NULL)
    config.plan.n_fds = 0;
  idler.rig = bench_rig_new (&config);
  idler.begin = peer->call_new (idler.rig->loop, on_begin, &idler);
  idler.end = peer->call_new (idler.rig->loop, on_end, &idler);
  pthread_create (&thread, NULL, run, &idler);
  peer->send (idler.begin);
  g_usleep (usec);
  peer->send (idler.end);
  pthread_join (thread, NULL);
  peer->call_free (idler.begin);
  peer->call_free (idler.end);
  bench_rig_free (idler.rig);
  tell (peer, &idler, (double) usec / G_USEC_PER_SEC);
}

int
main (int    argc,
      char **argv)
{
  bench_begin (argc, argv);
  bench_open_fds (N_THINGS);
  for (guint i = 0; i < G_N_ELEMENTS (peers); i++)
    idle (peers[i]);
  bench_close_fds ();
  return bench_end ();
}
