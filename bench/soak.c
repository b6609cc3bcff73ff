/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Everything at once, at a steady rate, for as long as one likes: nothing may be lost, and neither
 * memory nor descriptors may grow.
 *
 * usage: soak [SECONDS [ROUNDS-PER-SECOND]]       60 s, 200 rounds a second
 *
 * A round sends work to a few I/O threads in each way that there is and waits until all of it came
 * back; every so many rounds a thread, a context or a handler is made anew. A line a second, or a
 * minute in a long run, says what there is. The exit status is 1 if something was lost or grew. */
#include <aioctx-gsource/aioctx-gsource.h>

#include <dirent.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define N_THREADS 3
#define N_POSTS   20
/* What malloc and the kernel may round up. */
#define SLACK_KIB 4096

typedef struct
{
  AioIOThread *thread;
  AioContext *context;
  AioBH *bh;
  AioTimer *timer;
  AioEventNotifier *notifier;
  /* Atomic, any thread: the number of the last round that was sent, and that came back. */
  atomic_uint bh_sent;
  atomic_uint bh_seen;
  atomic_uint timer_seen;
  atomic_uint notifier_seen;
  atomic_uint n_posts;
} Worker;

static Worker workers[N_THREADS];
static guint64 n_operations;
static guint64 n_lost;

static void
on_bh (gpointer data)
{
  Worker *worker = data;

  atomic_store (&worker->bh_seen,
                atomic_load_explicit (&worker->bh_sent, memory_order_relaxed));
}

static void
on_timer (gpointer data)
{
  atomic_fetch_add (&((Worker *) data)->timer_seen, 1);
}

static void
on_post (gpointer data)
{
  atomic_fetch_add (&((Worker *) data)->n_posts, 1);
}

static void
on_notifier (AioEventNotifier *notifier)
{
  for (guint i = 0; i < N_THREADS; i++)
    if (workers[i].notifier == notifier && aio_event_notifier_test_and_clear (notifier))
      atomic_fetch_add (&workers[i].notifier_seen, 1);
}

static gboolean
run_sync (gpointer       data,
          GCancellable  *cancellable,
          GError       **error)
{
  ++*(guint *) data;
  return TRUE;
}

static void
fail (const char *what,
      GError     *error)
{
  fprintf (stderr, "soak: %s: %s\n", what, error != NULL ? error->message : "refused");
  exit (2);
}

static void
worker_start (Worker *worker)
{
  GError *error = NULL;

  worker->notifier = aio_event_notifier_new (FALSE, &error);
  if (worker->notifier == NULL)
    fail ("notifier", error);
  worker->thread = aio_io_thread_new ("soak", &error);
  if (worker->thread == NULL)
    fail ("I/O thread", error);
  worker->context = aio_io_thread_get_context (worker->thread);
  worker->bh = aio_bh_new_full (worker->context, "soak", on_bh, worker, NULL);
  worker->timer = aio_timer_new (worker->context, AIO_CLOCK_BOOTTIME, on_timer, worker, NULL);
  aio_context_set_event_notifier (worker->context, worker->notifier, on_notifier, NULL, NULL);
}

static void
worker_stop (Worker *worker)
{
  aio_context_set_event_notifier (worker->context, worker->notifier, NULL, NULL, NULL);
  aio_bh_delete (worker->bh);
  aio_io_thread_stop (worker->thread);
  aio_timer_free (worker->timer);
  aio_io_thread_unref (worker->thread);
  aio_event_notifier_free (worker->notifier);
}

static void
workers_start (void)
{
  for (guint i = 0; i < N_THREADS; i++)
    worker_start (&workers[i]);
}

static void
workers_stop (void)
{
  for (guint i = 0; i < N_THREADS; i++)
    worker_stop (&workers[i]);
}

static void
send_round (Worker *worker)
{
  gint64 now = aio_context_get_time_ns (worker->context, AIO_CLOCK_BOOTTIME);

  atomic_store (&worker->timer_seen, 0);
  atomic_store (&worker->notifier_seen, 0);
  atomic_store (&worker->n_posts, 0);
  aio_timer_mod_ns (worker->timer, now + g_random_int_range (0, 200000));
  for (guint i = 0; i < N_POSTS; i++)
    if (!aio_context_post (worker->context, on_post, worker, NULL))
      n_lost++;
  atomic_fetch_add_explicit (&worker->bh_sent, 1, memory_order_relaxed);
  aio_bh_schedule (worker->bh);
  aio_event_notifier_set (worker->notifier);
  n_operations += 3 + N_POSTS;
}

static gboolean
is_back (Worker *worker)
{
  return atomic_load (&worker->bh_seen) == atomic_load (&worker->bh_sent) &&
         atomic_load (&worker->timer_seen) == 1 && atomic_load (&worker->notifier_seen) == 1 &&
         atomic_load (&worker->n_posts) == N_POSTS;
}

/* What is not back after ten seconds never comes. */
static void
await_round (Worker *worker)
{
  gint64 end = g_get_monotonic_time () + 10 * G_USEC_PER_SEC;
  guint n = 0;

  while (!is_back (worker) && g_get_monotonic_time () < end)
    g_usleep (50);
  if (!is_back (worker))
    n_lost++;
  if (!aio_context_invoke_sync (worker->context, run_sync, &n, NULL, NULL) || n != 1)
    n_lost++;
  n_operations++;
}

static void
on_visit (gpointer data)
{
  ++*(guint *) data;
}

/* A context of its own in a GMainContext of its own, for a moment. */
static void
visit_main_context (void)
{
  GMainContext *loop = g_main_context_new ();
  AioContext *context = aio_context_new ();
  guint n = 0;

  aio_context_attach (context, loop);
  aio_bh_schedule_oneshot (context, on_visit, &n);
  for (guint i = 0; i < 10 && n == 0; i++)
    g_main_context_iteration (loop, FALSE);
  if (n != 1)
    n_lost++;
  aio_context_detach (context);
  aio_context_unref (context);
  g_main_context_unref (loop);
  n_operations++;
}

static void
do_round (guint64 round)
{
  for (guint i = 0; i < N_THREADS; i++)
    send_round (&workers[i]);
  for (guint i = 0; i < N_THREADS; i++)
    await_round (&workers[i]);
  visit_main_context ();
  if (round % 16 == 0)
    {
      worker_stop (&workers[round / 16 % N_THREADS]);
      worker_start (&workers[round / 16 % N_THREADS]);
    }
}

static long
resident_kib (void)
{
  FILE *file = fopen ("/proc/self/statm", "re");
  long size = 0, resident = 0;

  if (file != NULL)
    {
      if (fscanf (file, "%ld %ld", &size, &resident) != 2)
        resident = 0;
      fclose (file);
    }
  return resident * (sysconf (_SC_PAGESIZE) / 1024);
}

static int
count_fds (void)
{
  DIR *dir = opendir ("/proc/self/fd");
  int n = 0;

  if (dir == NULL)
    return 0;
  while (readdir (dir) != NULL)
    n++;
  closedir (dir);
  return n;
}

typedef struct
{
  gint64 began;
  gint64 end;
  gint64 next_line;
  long kib;                     /* when it had warmed up; 0: not yet */
  int fds;                      /* while no worker was there */
} Soak;

static void
print_line (Soak   *soak,
            gint64  now)
{
  printf ("%6.0f s  %12" G_GUINT64_FORMAT " operations  %" G_GUINT64_FORMAT
          " lost  %ld KiB  %d descriptors\n",
          (now - soak->began) / 1e6, n_operations, n_lost, resident_kib (), count_fds ());
  fflush (stdout);
}

static void
soak_run (Soak  *soak,
          guint  rate)
{
  gint64 line = soak->end - soak->began > 120 * G_USEC_PER_SEC ? 60 * G_USEC_PER_SEC
                                                               : G_USEC_PER_SEC;
  gint64 now, due = soak->began;

  soak->next_line = soak->began + line;
  for (guint64 round = 1; (now = g_get_monotonic_time ()) < soak->end && n_lost == 0; round++)
    {
      do_round (round);
      if (soak->kib == 0 && round >= 2 * rate)
        soak->kib = resident_kib ();
      if (now >= soak->next_line)
        {
          print_line (soak, now);
          soak->next_line += line;
        }
      due += G_USEC_PER_SEC / rate;
      if (due > g_get_monotonic_time ())
        g_usleep (due - g_get_monotonic_time ());
    }
}

int
main (int    argc,
      char **argv)
{
  gint64 seconds = argc > 1 ? g_ascii_strtoll (argv[1], NULL, 10) : 60;
  guint rate = argc > 2 ? (guint) g_ascii_strtoull (argv[2], NULL, 10) : 200;
  Soak soak = { .began = g_get_monotonic_time () };
  gboolean grew;

  if (seconds <= 0 || rate == 0 || rate > 100000)
    fail ("usage: soak [SECONDS [ROUNDS-PER-SECOND]]", NULL);
  /* GLib opens some with the first thread, and keeps them. */
  workers_start ();
  workers_stop ();
  soak.fds = count_fds ();
  workers_start ();
  soak.end = soak.began + seconds * G_USEC_PER_SEC;
  soak_run (&soak, rate);
  print_line (&soak, g_get_monotonic_time ());
  grew = soak.kib != 0 && resident_kib () > soak.kib + SLACK_KIB;
  workers_stop ();
  grew |= count_fds () != soak.fds;
  printf ("%s\n", n_lost != 0 ? "something was lost"
                  : grew      ? "memory or descriptors grew"
                              : "nothing lost, nothing grew");
  return n_lost != 0 || grew;
}
