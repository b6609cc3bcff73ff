/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sleeping and waking: that a notification ends every sleep, that nothing else does, and what it
 * costs in writes to the wakeup descriptor. */
#include "aio-test.h"
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SILENCE_USEC 20000

/* This write() stands in for the C library's, and counts what goes into one descriptor. */
static atomic_int watched_fd = -1;
static atomic_uint n_writes;

ssize_t
write (int         fd,
       const void *buffer,
       size_t      size)
{
  if (fd == atomic_load (&watched_fd))
    atomic_fetch_add (&n_writes, 1);
  return syscall (SYS_write, fd, buffer, size);
}

static int
find_write_fd (int read_fd)
{
#ifdef AIO_WAKEUP_PIPE
  struct stat end, other;
  int fd;

  g_assert_cmpint (fstat (read_fd, &end), ==, 0);
  for (fd = 0; fd < 1024; fd++)
    {
      if (fd != read_fd && fstat (fd, &other) == 0 && other.st_ino == end.st_ino &&
          other.st_dev == end.st_dev)
        return fd;
    }
  g_assert_not_reached ();
#else
  return read_fd;
#endif
}

static void
watch_writes (AioContext *context)
{
  atomic_store (&watched_fd, find_write_fd (aio_context_get_fd (context)));
  atomic_store (&n_writes, 0);
}

static guint
end_watch (void)
{
  atomic_store (&watched_fd, -1);
  return atomic_load (&n_writes);
}

static AioContextStats
get_stats (AioContext *context)
{
  AioContextStats stats;

  aio_context_get_stats (context, &stats, sizeof stats);
  return stats;
}

static void
count (gpointer data)
{
  atomic_fetch_add ((atomic_int *) data, 1);
}

static gboolean
never (gpointer data)
{
  if (data != NULL)
    ++*(int *) data;
  return FALSE;
}

/* One context and the three kinds of loop that may sleep for it. */
typedef struct
{
  AioContext *context;
  GMainContext *loop;
  int epfd;
  atomic_int flag;
} Home;

static void
home_init (Home *home)
{
  struct epoll_event event = { .events = EPOLLIN };

  *home = (Home) { .context = aio_context_new_full ("home", NULL) };
  home->loop = g_main_context_new ();
  home->epfd = epoll_create1 (EPOLL_CLOEXEC);
  g_assert_cmpint (epoll_ctl (home->epfd, EPOLL_CTL_ADD, aio_context_get_fd (home->context),
                              &event), ==, 0);
}

static void
home_clear (Home *home)
{
  aio_context_unref (home->context);
  g_main_context_unref (home->loop);
  close (home->epfd);
}

static void
turn_own (Home *home)
{
  aio_context_poll (home->context, TRUE);
}

static void
turn_main_loop (Home *home)
{
  g_main_context_iteration (home->loop, TRUE);
}

static void
turn_epoll (Home *home)
{
  gint64 timeout = aio_context_get_timeout_ns (home->context);
  struct epoll_event event;

  epoll_wait (home->epfd, &event, 1, timeout < 0 ? -1 : (int) ((timeout + 999999) / 1000000));
  aio_context_dispatch (home->context);
}

typedef void (*TurnFunc) (Home *home);

static const TurnFunc turns[] = { turn_own, turn_main_loop, turn_epoll };

/* GLib wakes itself up for a new descriptor; that is over when this returns. */
static void
begin_kind (Home *home,
            guint kind)
{
  if (turns[kind] != turn_main_loop)
    return;
  g_assert_cmpuint (aio_context_attach (home->context, home->loop), >, 0);
  g_main_context_iteration (home->loop, FALSE);
}

static void
end_kind (Home *home,
          guint kind)
{
  if (turns[kind] == turn_main_loop)
    aio_context_detach (home->context);
}

static void
wait_for_flag (Home *home,
               guint kind,
               int   value)
{
  while (atomic_load (&home->flag) != value)
    turns[kind] (home);
}

/* Writes. */

static void
test_count_is_true (void)
{
  Home home;
  int i;

  g_test_summary ("C15: what the statistics call wakeups sent are the writes");

  home_init (&home);
  watch_writes (home.context);
  for (i = 1; i <= 20; i++)
    {
      g_assert_cmpint (aio_context_get_timeout_ns (home.context), ==, -1);
      if (i % 2 == 0)
        g_assert_true (aio_context_post (home.context, nothing, NULL, NULL));
      aio_context_notify (home.context);
      aio_context_notify (home.context);
      if (i % 2 == 1)
        g_assert_true (aio_context_post (home.context, nothing, NULL, NULL));
      g_assert_true (is_readable (aio_context_get_fd (home.context)));
      aio_context_dispatch (home.context);
      g_assert_cmpuint (get_stats (home.context).wakeups_sent, ==, i);
      /* The notification came last, and asks for one more iteration. */
      aio_context_poll (home.context, FALSE);
    }
  g_assert_cmpuint (end_watch (), ==, 20);
  home_clear (&home);
}

typedef struct
{
  AioContext *context;
  AioBH *bhs[16];
  atomic_int ran;
  atomic_int over;
} Storm;

static void
storm_init (Storm      *storm,
            AioContext *context)
{
  guint i;

  *storm = (Storm) { .context = context };
  for (i = 0; i < G_N_ELEMENTS (storm->bhs); i++)
    storm->bhs[i] = aio_bh_new (context, count, &storm->ran);
}

static void
storm_clear (Storm *storm)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (storm->bhs); i++)
    aio_bh_delete (storm->bhs[i]);
}

static void *
storm_once (void *data)
{
  Storm *storm = data;
  guint i;

  for (i = 0; i < 500; i++)
    {
      aio_bh_schedule (storm->bhs[i % G_N_ELEMENTS (storm->bhs)]);
      aio_context_notify (storm->context);
      g_assert_true (aio_context_post (storm->context, count, &storm->ran, NULL));
      aio_bh_schedule_idle (storm->bhs[i * 7 % G_N_ELEMENTS (storm->bhs)]);
    }
  return NULL;
}

static void
storm_from_all_sides (Storm *storm)
{
  pthread_t threads[3];
  guint i;

  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = thread_start (storm_once, storm);
  for (i = 0; i < G_N_ELEMENTS (threads); i++)
    thread_join (threads[i]);
}

static void
storm_in_callback (gpointer data)
{
  storm_from_all_sides (data);
  storm_once (data);
}

static void
test_no_writes_awake (void)
{
  Home home;
  Storm storm;
  guint kind;

  g_test_summary ("C15: no write while the home thread is awake, in a callback and between polls");

  home_init (&home);
  storm_init (&storm, home.context);
  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      begin_kind (&home, kind);
      g_assert_true (aio_context_post (home.context, storm_in_callback, &storm, NULL));
      watch_writes (home.context);
      turns[kind] (&home);
      g_assert_cmpuint (end_watch (), ==, 0);
      g_assert_cmpint (atomic_load (&storm.ran), >=, 0);
      end_kind (&home, kind);

      watch_writes (home.context);
      storm_from_all_sides (&storm);
      storm_once (&storm);
      g_assert_cmpuint (end_watch (), ==, 0);
      while (aio_context_poll (home.context, FALSE))
        ;
    }
  g_assert_cmpint (atomic_load (&storm.ran), >=, 3 * 8 * 500);
  storm_clear (&storm);
  home_clear (&home);
}

static void *
storm_on (void *data)
{
  Storm *storm = data;
  guint i = 0;

  while (atomic_load (&storm->over) == 0)
    {
      aio_bh_schedule (storm->bhs[i++ % G_N_ELEMENTS (storm->bhs)]);
      if (i % 64 == 0)
        g_usleep (i % 128);
    }
  return NULL;
}

static void
test_one_write_per_sleep (void)
{
  Home home;
  Storm storm;
  pthread_t threads[3];
  guint kind, i, n_turns;
  guint64 before;

  g_test_summary ("C15: at most one write a sleep, however many producers");

  home_init (&home);
  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      storm_init (&storm, home.context);
      begin_kind (&home, kind);
      watch_writes (home.context);
      before = get_stats (home.context).iterations;
      for (i = 0; i < G_N_ELEMENTS (threads); i++)
        threads[i] = thread_start (storm_on, &storm);
      for (n_turns = 0; n_turns < 3000; n_turns++)
        turns[kind] (&home);
      atomic_store (&storm.over, 1);
      for (i = 0; i < G_N_ELEMENTS (threads); i++)
        thread_join (threads[i]);
      /* Each sleep of our own poll is followed by an iteration; the others sleep once a turn. */
      if (turns[kind] == turn_own)
        n_turns = get_stats (home.context).iterations - before;
      g_assert_cmpuint (end_watch (), <=, n_turns);
      g_assert_cmpint (atomic_load (&storm.ran), >, 0);
      end_kind (&home, kind);
      storm_clear (&storm);
    }
  home_clear (&home);
}

/* Notifications. */

static void *
notify_later (void *data)
{
  Home *home = data;

  g_usleep (SILENCE_USEC);
  atomic_fetch_add (&home->flag, 1);
  aio_context_notify (home->context);
  return NULL;
}

static void
notify_now (gpointer data)
{
  Home *home = data;

  atomic_fetch_add (&home->flag, 1);
  aio_context_notify (home->context);
}

static void
test_ends_sleep (void)
{
  Home home;
  guint kind;

  g_test_summary ("C12: set flag; notify ends a loop that sleeps, of each kind");

  home_init (&home);
  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      pthread_t thread = thread_start (notify_later, &home);

      begin_kind (&home, kind);
      wait_for_flag (&home, kind, kind + 1);
      end_kind (&home, kind);
      thread_join (thread);
    }
  home_clear (&home);
}

static Home *home_of_signal;

static void
notify_in_handler (int signum)
{
  aio_context_notify (home_of_signal->context);
}

static void
raise_signal (gpointer data)
{
  raise (SIGUSR1);
}

static void *
signal_later (void *data)
{
  g_usleep (SILENCE_USEC);
  atomic_fetch_add (&home_of_signal->flag, 1);
  pthread_kill (*(pthread_t *) data, SIGUSR1);
  return NULL;
}

/* The flag is not looked at here: each notification has to end one sleep by itself. */
static void
test_is_sticky (void)
{
  struct sigaction action = { .sa_handler = notify_in_handler, .sa_flags = SA_RESTART };
  Home home;
  guint kind;

  g_test_summary ("C12: it is remembered until an iteration begins, wherever it came from");

  home_init (&home);
  home_of_signal = &home;
  sigaction (SIGUSR1, &action, NULL);
  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      begin_kind (&home, kind);
      aio_context_notify (home.context);
      turns[kind] (&home);

      g_assert_true (aio_context_post (home.context, notify_now, &home, NULL));
      turns[kind] (&home);
      turns[kind] (&home);

      raise (SIGUSR1);
      turns[kind] (&home);

      g_assert_true (aio_context_post (home.context, raise_signal, NULL, NULL));
      turns[kind] (&home);
      turns[kind] (&home);
      end_kind (&home, kind);

      begin_kind (&home, kind);
      aio_context_notify (home.context);
      end_kind (&home, kind);
      turn_own (&home);
    }
  g_assert_cmpint (atomic_load (&home.flag), ==, 3);
  signal (SIGUSR1, SIG_DFL);
  home_clear (&home);
}

static void
test_sticky_over_attach (void)
{
  Home home;
  int priority, timeout;
  GPollFD fds[4];

  g_test_summary ("C12: it is remembered over an attach");

  home_init (&home);
  aio_context_notify (home.context);
  aio_context_attach (home.context, home.loop);
  g_assert_true (g_main_context_acquire (home.loop));
  g_main_context_prepare (home.loop, &priority);
  g_main_context_query (home.loop, priority, &timeout, fds, G_N_ELEMENTS (fds));
  g_assert_cmpint (timeout, ==, 0);
  g_main_context_release (home.loop);
  home_clear (&home);
}

static void
test_interrupting_handler (void)
{
  struct sigaction action = { .sa_handler = notify_in_handler, .sa_flags = SA_RESTART };
  pthread_t self = pthread_self (), thread;
  Home home;
  guint kind;

  g_test_summary ("C12: a signal handler may notify the sleep that it interrupts");

  home_init (&home);
  home_of_signal = &home;
  sigaction (SIGUSR1, &action, NULL);
  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      begin_kind (&home, kind);
      thread = thread_start (signal_later, &self);
      wait_for_flag (&home, kind, kind + 1);
      thread_join (thread);
      end_kind (&home, kind);
      aio_context_poll (home.context, FALSE);
    }
  signal (SIGUSR1, SIG_DFL);
  home_clear (&home);
}

static void *
schedule_and_cancel (void *data)
{
  AioBH *bh = data;

  aio_bh_schedule (bh);
  aio_bh_cancel (bh);
  return NULL;
}

static void
test_not_wiped (void)
{
  Home home;
  AioBH *bh;
  guint kind;

  g_test_summary ("C12: a schedule that comes after it, and is cancelled, does not wipe it");

  home_init (&home);
  bh = aio_bh_new (home.context, nothing, NULL);
  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      begin_kind (&home, kind);
      aio_context_notify (home.context);
      thread_join (thread_start (schedule_and_cancel, bh));
      turns[kind] (&home);

      g_assert_cmpint (aio_context_get_timeout_ns (home.context), ==, -1);
      aio_context_notify (home.context);
      thread_join (thread_start (schedule_and_cancel, bh));
      turns[kind] (&home);
      end_kind (&home, kind);
    }
  aio_bh_delete (bh);
  home_clear (&home);
}

static void
test_once (void)
{
  Home home;
  int asked = 0;

  g_test_summary ("C12, C14: however often, it ends one sleep and not the next");

  home_init (&home);
  aio_context_notify (home.context);
  aio_context_notify (home.context);
  aio_context_notify (home.context);
  g_assert_false (aio_context_poll (home.context, TRUE));
  g_assert_false (aio_context_poll_until (home.context, never, &asked, 100000));
  g_assert_cmpint (asked, <=, 5);
  home_clear (&home);
}

static gboolean
notify_in_predicate (gpointer data)
{
  Home *home = data;

  if (atomic_fetch_add (&home->flag, 1) == 0)
    aio_context_notify (home->context);
  return atomic_load (&home->flag) > 1;
}

static void
test_in_predicate (void)
{
  Home home;

  g_test_summary ("C12: a predicate may notify as well, and is asked again");

  home_init (&home);
  g_assert_true (aio_context_poll_until (home.context, notify_in_predicate, &home, -1));
  home_clear (&home);
}

/* The other thread and the home thread take turns: nothing else happens that could repair a
 * notification that is lost. */
typedef struct
{
  Home *home;
  int n_rounds;
  guint seed;
  atomic_int seen;
} Rounds;

static void *
notify_from_random_phase (void *data)
{
  Rounds *rounds = data;
  guint seed = rounds->seed;
  int i, spin;

  for (i = 1; i <= rounds->n_rounds; i++)
    {
      for (spin = rand_r (&seed) % 400; spin > 0; spin--)
        atomic_load (&rounds->seen);
      atomic_store (&rounds->home->flag, i);
      aio_context_notify (rounds->home->context);
      while (atomic_load (&rounds->seen) != i)
        sched_yield ();
    }
  return NULL;
}

static void
test_random_phase (void)
{
  guint kind;

  g_test_summary ("C12, R6: a bare notification is never optimised away, from random phases");

  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      Home home;
      Rounds rounds = { &home, g_test_thorough () ? 350000 : 10000, kind, 0 };
      pthread_t thread;
      int i;

      home_init (&home);
      begin_kind (&home, kind);
      thread = thread_start (notify_from_random_phase, &rounds);
      for (i = 1; i <= rounds.n_rounds; i++)
        {
          wait_for_flag (&home, kind, i);
          atomic_store (&rounds.seen, i);
          if (i % 1000 == 0)
            aio_test_moved ();
        }
      thread_join (thread);
      end_kind (&home, kind);
      home_clear (&home);
    }
}

/* Two threads are home in turns. One takes a look without blocking, the other one sleeps: the look
 * must not eat the notification that is meant for the sleep. */
typedef struct
{
  AioContext *context;
  atomic_int turn;
  atomic_int flag;
  int n_rounds;
} TakeTurns;

static void *
look_in_turn (void *data)
{
  TakeTurns *take = data;
  int i;

  for (i = 0; i < take->n_rounds; i++)
    {
      while (atomic_load (&take->turn) != 2 * i)
        sched_yield ();
      aio_context_poll (take->context, FALSE);
      atomic_store (&take->turn, 2 * i + 1);
    }
  return NULL;
}

static void *
notify_in_turn (void *data)
{
  TakeTurns *take = data;
  int i;

  for (i = 0; i < take->n_rounds; i++)
    {
      while (atomic_load (&take->turn) < 2 * i)
        sched_yield ();
      atomic_store (&take->flag, i + 1);
      aio_context_notify (take->context);
    }
  return NULL;
}

static void
test_look_eats_nothing (void)
{
  TakeTurns take = { .context = aio_context_new () };
  pthread_t looker, notifier;
  int i;

  g_test_summary ("R5, C12: a look without blocking does not eat what is meant for the sleeper");

  take.n_rounds = g_test_thorough () ? 200000 : 2000;
  looker = thread_start (look_in_turn, &take);
  notifier = thread_start (notify_in_turn, &take);

  for (i = 0; i < take.n_rounds; i++)
    {
      if (i % 1000 == 0)
        aio_test_moved ();
      while (atomic_load (&take.turn) != 2 * i + 1)
        sched_yield ();
      while (atomic_load (&take.flag) != i + 1)
        aio_context_poll (take.context, TRUE);
      atomic_store (&take.turn, 2 * i + 2);
    }
  thread_join (looker);
  thread_join (notifier);
  aio_context_unref (take.context);
}

/* Mutators. */

typedef struct
{
  Home *home;
  AioBH *bh;
  void (*mutate) (gpointer data);
} Mutator;

static void
set_flag (gpointer data)
{
  atomic_store (&((Home *) data)->flag, 1);
}

static void
mutate_schedule (gpointer data)
{
  aio_bh_schedule (((Mutator *) data)->bh);
}

static void
mutate_schedule_idle (gpointer data)
{
  aio_bh_schedule_idle (((Mutator *) data)->bh);
}

static void
mutate_promote (gpointer data)
{
  Mutator *mutator = data;

  aio_bh_schedule_idle (mutator->bh);
  aio_bh_schedule (mutator->bh);
}

static void
mutate_cancel_and_schedule (gpointer data)
{
  Mutator *mutator = data;

  aio_bh_schedule (mutator->bh);
  aio_bh_cancel (mutator->bh);
  g_usleep (SILENCE_USEC);
  aio_bh_schedule (mutator->bh);
}

static void
mutate_oneshot (gpointer data)
{
  Mutator *mutator = data;

  aio_bh_schedule_oneshot (mutator->home->context, set_flag, mutator->home);
}

static void
mutate_post (gpointer data)
{
  Mutator *mutator = data;

  g_assert_true (aio_context_post (mutator->home->context, set_flag, mutator->home, NULL));
}

static void
mutate_delete (gpointer data)
{
  aio_bh_delete (((Mutator *) data)->bh);
}

static void
mutate_delete_scheduled (gpointer data)
{
  Mutator *mutator = data;

  aio_bh_schedule_idle (mutator->bh);
  aio_bh_delete (mutator->bh);
}

static void (*const mutators[]) (gpointer data) = {
  mutate_schedule, mutate_schedule_idle, mutate_promote, mutate_cancel_and_schedule,
  mutate_oneshot, mutate_post, mutate_delete, mutate_delete_scheduled,
};

static void *
mutate_later (void *data)
{
  Mutator *mutator = data;

  g_usleep (SILENCE_USEC);
  mutator->mutate (mutator);
  return NULL;
}

static void
test_mutators (void)
{
  guint kind, i;

  g_test_summary ("R7, C7: each change that another thread makes ends an endless sleep");

  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      for (i = 0; i < G_N_ELEMENTS (mutators); i++)
        {
          Home home;
          Mutator mutator = { .home = &home, .mutate = mutators[i] };
          pthread_t thread;

          home_init (&home);
          begin_kind (&home, kind);
          aio_context_poll (home.context, FALSE);
          mutator.bh = aio_bh_new_full (home.context, "mutated", set_flag, &home, set_flag);
          thread = thread_start (mutate_later, &mutator);
          wait_for_flag (&home, kind, 1);
          thread_join (thread);
          if (i < 6)
            aio_bh_delete (mutator.bh);
          end_kind (&home, kind);
          home_clear (&home);
        }
    }
}

/* Silence. */

typedef struct
{
  Home *home;
  guint kind;
  atomic_int tid;
  AioBH *bh;
} Sleeper;

static void *
sleep_on (void *data)
{
  Sleeper *sleeper = data;

  atomic_store (&sleeper->tid, syscall (SYS_gettid));
  wait_for_flag (sleeper->home, sleeper->kind, 1);
  return NULL;
}

static guint64
count_switches (int tid)
{
  static const char field[] = "\nvoluntary_ctxt_switches:";
  g_autofree char *path = g_strdup_printf ("/proc/self/task/%d/status", tid);
  g_autofree char *text = NULL;
  const char *found = NULL;

  if (g_file_get_contents (path, &text, NULL, NULL))
    found = strstr (text, field);
  return found != NULL ? g_ascii_strtoull (found + strlen (field), NULL, 10) : 0;
}

static gboolean
is_silent_for (Sleeper *sleeper,
               gulong   usec)
{
  guint64 switches = count_switches (atomic_load (&sleeper->tid));
  guint64 iterations = get_stats (sleeper->home->context).iterations;

  g_usleep (usec);
  return switches == count_switches (atomic_load (&sleeper->tid)) &&
         iterations == get_stats (sleeper->home->context).iterations;
}

static void
test_silence (void)
{
  guint kind, tries;

  g_test_summary ("C14, R15: with nothing due it sleeps, and wakes up for nothing");

  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      Home home;
      Sleeper sleeper = { .home = &home, .kind = kind };
      pthread_t thread;

      home_init (&home);
      begin_kind (&home, kind);
      thread = thread_start (sleep_on, &sleeper);
      while (atomic_load (&sleeper.tid) == 0)
        g_usleep (100);
      /* It takes a moment until it sleeps; a wakeup every 200 ms or less would never end this. */
      for (tries = 0; tries < 20 && !is_silent_for (&sleeper, 200000); tries++)
        ;
      g_assert_cmpuint (tries, <, 20);
      atomic_store (&home.flag, 1);
      aio_context_notify (home.context);
      thread_join (thread);
      end_kind (&home, kind);
      home_clear (&home);
    }
}

static gint64
cpu_time_usec (void)
{
  struct timespec spent;

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &spent);
  return spent.tv_sec * G_USEC_PER_SEC + spent.tv_nsec / 1000;
}

static void
test_no_cpu (void)
{
  Home home;
  gint64 before;

  g_test_summary ("C14: sleeping costs no CPU");

  home_init (&home);
  before = cpu_time_usec ();
  g_assert_false (aio_context_poll_until (home.context, never, NULL, 400000));
  g_assert_cmpint (cpu_time_usec () - before, <, 100000);
  home_clear (&home);
}

static void
again_idle (gpointer data)
{
  Sleeper *sleeper = data;

  atomic_fetch_add (&sleeper->home->flag, 1);
  aio_bh_schedule_idle (sleeper->bh);
}

static void
test_idle_pace (void)
{
  guint kind;

  g_test_summary ("C14, C5, R13: an idle BH costs at most 100 wakeups a second, in loops of each "
                  "kind");

  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      Home home;
      Sleeper sleeper = { .home = &home };
      gint64 begin = g_get_monotonic_time (), elapsed = 0;
      int n_turns = 0;

      home_init (&home);
      begin_kind (&home, kind);
      sleeper.bh = aio_bh_new (home.context, again_idle, &sleeper);
      aio_bh_schedule_idle (sleeper.bh);
      while (elapsed < 300000)
        {
          turns[kind] (&home);
          n_turns++;
          elapsed = g_get_monotonic_time () - begin;
        }
      /* Some slack for the turns at the beginning and for clocks of different grain. */
      g_assert_cmpint (atomic_load (&home.flag), <=, elapsed / 9000 + 4);
      g_assert_cmpint (n_turns, <=, elapsed / 9000 + 6);
      g_assert_cmpint (atomic_load (&home.flag), >, 0);
      aio_bh_delete (sleeper.bh);
      end_kind (&home, kind);
      home_clear (&home);
    }
}

/* Both have an entry in the queue while the home thread sleeps, so no push wakes it. */
static void
test_more_urgent (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  AioBH *idle = aio_bh_new (context, nothing, NULL);
  AioBH *cancelled = aio_bh_new (context, nothing, NULL);
  AioBH *const bhs[] = { idle, cancelled };

  g_test_summary ("C5, C6, R7: an idle bottom half that is scheduled, and a cancelled one, wake "
                  "the sleeper that had seen nothing urgent in them");

  for (guint i = 0; i < G_N_ELEMENTS (bhs); i++)
    {
      aio_bh_schedule_idle (idle);
      aio_bh_schedule (cancelled);
      g_assert_true (aio_bh_cancel (cancelled));
      g_assert_cmpint (aio_context_get_timeout_ns (context), >, 0);
      g_assert_false (is_readable (aio_context_get_fd (context)));
      aio_bh_schedule (bhs[i]);
      g_assert_true (is_readable (aio_context_get_fd (context)));
      g_assert_true (aio_context_dispatch (context));
      while (aio_bh_is_scheduled (idle))
        aio_context_poll (context, TRUE);
    }
  aio_bh_delete (idle);
  aio_bh_delete (cancelled);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  aio_test_add ("/notify/writes/count-is-true", test_count_is_true);
  aio_test_add ("/notify/writes/none-awake", test_no_writes_awake);
  aio_test_add ("/notify/writes/one-per-sleep", test_one_write_per_sleep);
  aio_test_add ("/notify/ends-sleep", test_ends_sleep);
  aio_test_add ("/notify/is-sticky", test_is_sticky);
  aio_test_add ("/notify/sticky-over-attach", test_sticky_over_attach);
  aio_test_add ("/notify/interrupting-handler", test_interrupting_handler);
  aio_test_add ("/notify/not-wiped", test_not_wiped);
  aio_test_add ("/notify/once", test_once);
  aio_test_add ("/notify/in-predicate", test_in_predicate);
  aio_test_add ("/notify/random-phase", test_random_phase);
  aio_test_add ("/notify/look-eats-nothing", test_look_eats_nothing);
  aio_test_add ("/notify/mutators", test_mutators);
  aio_test_add ("/notify/more-urgent", test_more_urgent);
  aio_test_add ("/notify/silence", test_silence);
  aio_test_add ("/notify/no-cpu", test_no_cpu);
  aio_test_add ("/notify/idle-pace", test_idle_pace);
  return g_test_run ();
}
