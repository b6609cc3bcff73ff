/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The windows of the wakeup protocol, held open: first each alone, for as long as it takes, then
 * all of them for random moments. After each event there is silence, since more traffic would
 * repair a wakeup that was lost. */
#include "aio-test.h"
#include <aioctx-gsource/aio-context-private.h>
#include <fcntl.h>
#include <sys/epoll.h>

#define HOLD_USEC 3000

/* One thread stops at one point, once, until it is told to go on. */
static __thread gboolean is_victim;
static atomic_int armed_point = -1;
static atomic_int reached;
static atomic_int may_go;

static void
hold_victim (AioPausePoint point)
{
  int expected = point;

  if (!is_victim || !atomic_compare_exchange_strong (&armed_point, &expected, -1))
    return;
  atomic_store (&reached, 1);
  while (atomic_load (&may_go) == 0)
    sched_yield ();
}

static void
arm (AioPausePoint point)
{
  atomic_store (&reached, 0);
  atomic_store (&may_go, 0);
  atomic_store (&armed_point, point);
}

static void
wait_until_reached (void)
{
  while (atomic_load (&reached) == 0)
    sched_yield ();
}

/* Until the flag is up: who comes now has to write, and the sleeper finds something to drain. */
static void
wait_until_asleep (AioContext *context)
{
  while (aio_load_acquire (&context->anchor->notify.state) != AIO_NOTIFY_ASLEEP)
    sched_yield ();
}

/* One context and the three kinds of loop that may sleep for it. */
typedef struct
{
  AioContext *context;
  GMainContext *loop;
  int epfd;
  AioBH *bh;
  AioBH *idle;
  AioBH *kick;
  atomic_int flag;
} Home;

static void
set_flag (gpointer data)
{
  atomic_store (&((Home *) data)->flag, 1);
}

static void
home_init (Home *home)
{
  struct epoll_event event = { .events = EPOLLIN };

  *home = (Home) { .context = aio_context_new_full ("home", NULL) };
  home->loop = g_main_context_new ();
  home->epfd = epoll_create1 (EPOLL_CLOEXEC);
  g_assert_cmpint (epoll_ctl (home->epfd, EPOLL_CTL_ADD, aio_context_get_fd (home->context),
                              &event), ==, 0);
  home->bh = aio_bh_new_full (home->context, "flag", set_flag, home, set_flag);
  home->idle = aio_bh_new (home->context, set_flag, home);
  home->kick = aio_bh_new (home->context, nothing, NULL);
}

static void
home_clear (Home *home)
{
  aio_bh_delete (home->bh);
  aio_bh_delete (home->idle);
  aio_bh_delete (home->kick);
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
               guint kind)
{
  while (atomic_load (&home->flag) == 0)
    turns[kind] (home);
}

/* What another thread may do to the context, so that the flag gets set. */
static void
by_schedule (Home *home)
{
  aio_bh_schedule (home->bh);
}

static void
by_idle (Home *home)
{
  aio_bh_schedule_idle (home->idle);
}

static void
by_promotion (Home *home)
{
  aio_bh_schedule_idle (home->idle);
  aio_bh_schedule (home->idle);
}

static void
by_rescheduling (Home *home)
{
  aio_bh_schedule (home->bh);
  aio_bh_cancel (home->bh);
  aio_bh_schedule (home->bh);
}

static void
by_post (Home *home)
{
  g_assert_true (aio_context_post (home->context, set_flag, home, NULL));
}

static void
by_delete (Home *home)
{
  aio_bh_delete (home->bh);
}

static void
by_notify (Home *home)
{
  set_flag (home);
  aio_context_notify (home->context);
}

typedef void (*ChangeFunc) (Home *home);

static const ChangeFunc changes[] = {
  by_schedule, by_idle, by_promotion, by_rescheduling, by_post, by_delete, by_notify,
};

/* The home thread is held. */

static const AioPausePoint home_points[] = {
  AIO_PAUSE_LOOKED, AIO_PAUSE_RAISED, AIO_PAUSE_LOWERED, AIO_PAUSE_DRAINED, AIO_PAUSE_RUN_BEGUN,
  AIO_PAUSE_RELEASED, AIO_PAUSE_RUN_ENDED,
};

typedef struct
{
  Home *home;
  AioPausePoint point;
  ChangeFunc change;
} Attack;

static void *
change_while_held (void *data)
{
  Attack *attack = data;

  /* The points on the way into sleep are reached without help, those on the way out of it need a
   * reason to wake up. */
  if (attack->point != AIO_PAUSE_LOOKED && attack->point != AIO_PAUSE_RAISED)
    {
      wait_until_asleep (attack->home->context);
      aio_bh_schedule (attack->home->kick);
    }
  wait_until_reached ();
  attack->change (attack->home);
  atomic_store (&may_go, 1);
  return NULL;
}

static void
hold_home_once (guint         kind,
                AioPausePoint point,
                ChangeFunc    change)
{
  Home home;
  Attack attack = { &home, point, change };
  pthread_t thread;
  AioBH *bh;

  home_init (&home);
  /* It may be deleted twice, then, here and in the end. */
  bh = aio_bh_ref (home.bh);
  begin_kind (&home, kind);
  aio_context_poll (home.context, FALSE);
  is_victim = TRUE;
  arm (point);
  thread = thread_start (change_while_held, &attack);
  wait_for_flag (&home, kind);
  thread_join (thread);
  is_victim = FALSE;
  end_kind (&home, kind);
  home_clear (&home);
  aio_bh_unref (bh);
}

static void
test_home_held (void)
{
  guint kind, i, j;

  g_test_summary ("C12, R3, R4, R6, R7: a change at any point of the home thread's way into sleep "
                  "and out of it is seen, without another one");

  aio_pause_hook = hold_victim;
  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      for (i = 0; i < G_N_ELEMENTS (home_points); i++)
        {
          for (j = 0; j < G_N_ELEMENTS (changes); j++)
            hold_home_once (kind, home_points[i], changes[j]);
        }
    }
  aio_pause_hook = NULL;
}

/* Kicks the home thread out of its sleep without giving it work, which comes when it is held. */
static void *
notify_then_schedule (void *data)
{
  Home *home = data;

  g_usleep (HOLD_USEC);
  aio_context_notify (home->context);
  wait_until_reached ();
  aio_bh_schedule (home->bh);
  atomic_store (&may_go, 1);
  return NULL;
}

static void
test_look_after_drain (void)
{
  static const AioPausePoint points[] = { AIO_PAUSE_LOWERED, AIO_PAUSE_DRAINED };
  guint kind, i;

  g_test_summary ("R3, G7, C12: after the flag is lowered and the descriptor drained everything is "
                  "looked at again, in the same iteration");

  aio_pause_hook = hold_victim;
  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      for (i = 0; i < G_N_ELEMENTS (points); i++)
        {
          Home home;
          pthread_t thread;

          home_init (&home);
          begin_kind (&home, kind);
          is_victim = TRUE;
          arm (points[i]);
          thread = thread_start (notify_then_schedule, &home);
          do
            turns[kind] (&home);
          while (atomic_load (&reached) == 0);
          g_assert_cmpint (atomic_load (&home.flag), ==, 1);
          is_victim = FALSE;
          thread_join (thread);
          end_kind (&home, kind);
          home_clear (&home);
        }
    }
  aio_pause_hook = NULL;
}

static void *
kick_while_held (void *data)
{
  Home *home = data;

  wait_until_reached ();
  aio_bh_schedule (home->kick);
  atomic_store (&may_go, 1);
  return NULL;
}

static void *
schedule_both (void *data)
{
  Home *home = data;

  aio_bh_schedule (home->bh);
  aio_bh_schedule_idle (home->idle);
  return NULL;
}

static guint64
writes (Home *home)
{
  AioContextStats stats;

  aio_context_get_stats (home->context, &stats, sizeof stats);
  return stats.wakeups_sent;
}

static void
test_no_write_when_ready (void)
{
  guint kind;

  g_test_summary ("C15, G4: what comes between the two looks is work: the flag is down again, and "
                  "further work costs no write");

  aio_pause_hook = hold_victim;
  for (kind = 1; kind < G_N_ELEMENTS (turns); kind++)
    {
      Home home;
      pthread_t thread;
      guint64 before;
      int priority;

      home_init (&home);
      begin_kind (&home, kind);
      g_assert_true (g_main_context_acquire (home.loop));
      is_victim = TRUE;
      arm (AIO_PAUSE_LOOKED);
      thread = thread_start (kick_while_held, &home);
      if (turns[kind] == turn_main_loop)
        g_assert_true (g_main_context_prepare (home.loop, &priority));
      else
        g_assert_cmpint (aio_context_get_timeout_ns (home.context), ==, 0);
      is_victim = FALSE;
      thread_join (thread);

      before = writes (&home);
      thread_join (thread_start (schedule_both, &home));
      g_assert_cmpuint (writes (&home), ==, before);
      while (aio_context_poll (home.context, FALSE))
        ;
      g_main_context_release (home.loop);
      end_kind (&home, kind);
      home_clear (&home);
    }
  aio_pause_hook = NULL;
}

/* A producer is held. */

static const AioPausePoint producer_points[] = {
  AIO_PAUSE_CLAIMED, AIO_PAUSE_SWAPPED, AIO_PAUSE_WAKER, AIO_PAUSE_LINKED, AIO_PAUSE_WRITTEN,
};

static const ChangeFunc producing[] = { by_schedule, by_idle, by_promotion, by_post };

static void *
change_and_be_held (void *data)
{
  Attack *attack = data;

  is_victim = TRUE;
  wait_until_asleep (attack->home->context);
  attack->change (attack->home);
  return NULL;
}

static void *
let_go_later (void *data)
{
  Attack *attack = data;
  int i;

  /* Not every change passes every point. */
  for (i = 0; i < 50 && atomic_load (&reached) == 0; i++)
    g_usleep (1000);
  aio_bh_schedule (attack->home->kick);
  g_usleep (HOLD_USEC);
  atomic_store (&may_go, 1);
  return NULL;
}

static void
hold_producer_once (guint         kind,
                    AioPausePoint point,
                    ChangeFunc    change)
{
  Home home;
  Attack attack = { &home, point, change };
  pthread_t producer, releaser;

  home_init (&home);
  begin_kind (&home, kind);
  arm (point);
  producer = thread_start (change_and_be_held, &attack);
  releaser = thread_start (let_go_later, &attack);
  wait_for_flag (&home, kind);
  while (aio_bh_is_scheduled (home.kick))
    turns[kind] (&home);
  thread_join (releaser);
  thread_join (producer);
  end_kind (&home, kind);
  home_clear (&home);
}

static void
test_producer_held (void)
{
  guint kind, i, j;

  g_test_summary ("C2, R2, R7: a producer that is stopped inside schedule delays what comes behind "
                  "it; once it goes on all is delivered");

  aio_pause_hook = hold_victim;
  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      for (i = 0; i < G_N_ELEMENTS (producer_points); i++)
        {
          for (j = 0; j < G_N_ELEMENTS (producing); j++)
            hold_producer_once (kind, producer_points[i], producing[j]);
        }
    }
  aio_pause_hook = NULL;
}

/* A producer is held that has seen an awake home thread: it is not going to wake anybody. */
static void *
change_now_and_be_held (void *data)
{
  Attack *attack = data;

  is_victim = TRUE;
  attack->change (attack->home);
  return NULL;
}

static void *
let_sleeper_go (void *data)
{
  wait_until_reached ();
  g_usleep (HOLD_USEC);
  atomic_store (&may_go, 1);
  return NULL;
}

static void
test_silent_producer_held (void)
{
  static const ChangeFunc silent[] = { by_schedule, by_post };

  g_test_summary ("C2, R15: a producer that is stopped behind its look at the flag wakes nobody; "
                  "the home thread comes back by itself");

  aio_pause_hook = hold_victim;
  for (guint kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    for (guint i = 0; i < G_N_ELEMENTS (silent); i++)
      {
        Home home;
        Attack attack = { &home, AIO_PAUSE_FLAG_SEEN, silent[i] };
        pthread_t producer, releaser;

        home_init (&home);
        begin_kind (&home, kind);
        arm (AIO_PAUSE_FLAG_SEEN);
        producer = thread_start (change_now_and_be_held, &attack);
        wait_until_reached ();
        releaser = thread_start (let_sleeper_go, NULL);
        wait_for_flag (&home, kind);
        thread_join (releaser);
        thread_join (producer);
        end_kind (&home, kind);
        home_clear (&home);
      }
  aio_pause_hook = NULL;
}

static int quiet_fds[2];

/* Wakes, and leaves nothing to run: the notification that follows is all there is. */
static void
by_quiet_handler (Home *home)
{
  aio_context_set_fd_handler (home->context, quiet_fds[0], nothing, NULL, NULL);
}

static void *
notify_behind_producer (void *data)
{
  wait_until_reached ();
  by_notify (data);
  atomic_store (&may_go, 1);
  return NULL;
}

static void
test_notified_while_waking (void)
{
  g_test_summary ("C12, R6: a notification that comes between a producer's turning of the flag and "
                  "its write ends the sleep");

  aio_pause_hook = hold_victim;
  for (guint kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      Home home;
      Attack attack = { &home, AIO_PAUSE_LINKED, by_quiet_handler };
      pthread_t producer, notifier;

      g_assert_cmpint (pipe2 (quiet_fds, O_CLOEXEC), ==, 0);
      home_init (&home);
      begin_kind (&home, kind);
      arm (AIO_PAUSE_LINKED);
      producer = thread_start (change_and_be_held, &attack);
      notifier = thread_start (notify_behind_producer, &home);
      wait_for_flag (&home, kind);
      thread_join (notifier);
      thread_join (producer);
      aio_context_set_fd_handler (home.context, quiet_fds[0], NULL, NULL, NULL);
      close (quiet_fds[0]);
      close (quiet_fds[1]);
      end_kind (&home, kind);
      home_clear (&home);
    }
  aio_pause_hook = NULL;
}

/* A post that is held while the I/O thread is stopped. */
typedef struct
{
  AioIOThread *thread;
  gboolean accepted;
  atomic_int ran;
  atomic_int dropped;
} Post;

static void
post_ran (gpointer data)
{
  atomic_fetch_add (&((Post *) data)->ran, 1);
}

static void
post_dropped (gpointer data)
{
  atomic_fetch_add (&((Post *) data)->dropped, 1);
}

static void *
post_and_be_held (void *data)
{
  Post *post = data;

  is_victim = TRUE;
  g_usleep (HOLD_USEC);
  post->accepted = aio_context_post (aio_io_thread_get_context (post->thread), post_ran, post,
                                     post_dropped);
  atomic_store (&reached, 1);
  return NULL;
}

static void *
let_post_go (void *data)
{
  wait_until_reached ();
  g_usleep (HOLD_USEC);
  atomic_store (&may_go, 1);
  return NULL;
}

static void
test_post_against_stop (void)
{
  guint i;

  g_test_summary ("C26: a post that stop overtakes at any point gets TRUE if it runs, and FALSE if "
                  "not");

  aio_pause_hook = hold_victim;
  for (i = 0; i < G_N_ELEMENTS (producer_points); i++)
    {
      Post post = { .thread = aio_io_thread_new ("overtaken", NULL) };
      pthread_t poster, releaser;

      aio_test_moved ();
      arm (producer_points[i]);
      poster = thread_start (post_and_be_held, &post);
      releaser = thread_start (let_post_go, NULL);
      wait_until_reached ();
      aio_io_thread_stop (post.thread);
      thread_join (poster);
      thread_join (releaser);
      g_assert_cmpint (atomic_load (&post.ran), ==, post.accepted ? 1 : 0);
      g_assert_cmpint (atomic_load (&post.dropped), ==, 1);
      aio_io_thread_unref (post.thread);
    }
  aio_pause_hook = NULL;
}

static void *
let_go_after_a_while (void *data)
{
  wait_until_reached ();
  g_usleep (100000);
  atomic_store (&may_go, 1);
  return NULL;
}

static void
test_hole_does_not_spin (void)
{
  guint kind;

  g_test_summary ("C2, R15: meanwhile the home thread neither spins nor sleeps for ever");

  aio_pause_hook = hold_victim;
  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      Home home;
      Attack attack = { &home, AIO_PAUSE_SWAPPED, by_schedule };
      AioContextStats stats;
      pthread_t producer, releaser;
      gint64 begin = g_get_monotonic_time ();
      guint n_turns = 0;

      home_init (&home);
      begin_kind (&home, kind);
      arm (AIO_PAUSE_SWAPPED);
      producer = thread_start (change_and_be_held, &attack);
      releaser = thread_start (let_go_after_a_while, NULL);
      while (atomic_load (&home.flag) == 0)
        {
          turns[kind] (&home);
          n_turns++;
        }
      aio_context_get_stats (home.context, &stats, sizeof stats);
      n_turns = MAX (n_turns, stats.iterations);
      /* One a millisecond, and some at the start that do not wait. */
      g_assert_cmpint (n_turns, <=, 2 * ((g_get_monotonic_time () - begin) / 1000) + 20);
      thread_join (releaser);
      thread_join (producer);
      end_kind (&home, kind);
      home_clear (&home);
    }
  aio_pause_hook = NULL;
}

typedef struct
{
  AioContext *context;
  gboolean dropped;
  atomic_int posted;
} End;

static void
drop_context (gpointer data)
{
  End *end = data;

  end->dropped = TRUE;
  aio_context_unref (end->context);
}

static void *
post_the_end (void *data)
{
  End *end = data;

  is_victim = TRUE;
  wait_until_asleep (end->context);
  aio_bh_schedule_oneshot (end->context, drop_context, end);
  atomic_store (&end->posted, 1);
  return NULL;
}

static void *
let_go_soon (void *data)
{
  End *end = data;

  while (atomic_load (&reached) == 0 && atomic_load (&end->posted) == 0)
    sched_yield ();
  g_usleep (HOLD_USEC);
  atomic_store (&may_go, 1);
  return NULL;
}

static gboolean
is_dropped (gpointer data)
{
  return ((End *) data)->dropped;
}

static void
test_end_waits_for_waker (void)
{
  static const AioPausePoint points[] = { AIO_PAUSE_LINKED, AIO_PAUSE_WRITTEN };
  guint i;

  g_test_summary ("C1, C23: a context that ends in a callback waits for the producer that still "
                  "has to wake it");

  aio_pause_hook = hold_victim;
  for (i = 0; i < G_N_ELEMENTS (points); i++)
    {
      End end = { .context = aio_context_new () };
      pthread_t producer, releaser;

      aio_test_moved ();
      arm (points[i]);
      producer = thread_start (post_the_end, &end);
      releaser = thread_start (let_go_soon, &end);
      /* By the timeout it wakes up even while the one who has to write is held. */
      while (!end.dropped)
        aio_context_poll_until (end.context, is_dropped, &end, HOLD_USEC / 2);
      thread_join (producer);
      thread_join (releaser);
    }
  aio_pause_hook = NULL;
}

/* All points at once, for random moments. */

static __thread guint32 dice;

static guint32
roll (void)
{
  if (dice == 0)
    dice = (guint32) (gsize) &dice | 1;
  dice ^= dice << 13;
  dice ^= dice >> 17;
  dice ^= dice << 5;
  return dice;
}

static void
pause_at_random (AioPausePoint point)
{
  guint32 number = roll ();
  struct timespec nap = { 0, number / 64 % 20000 };
  guint spin;

  if (number % 8 == 0)
    sched_yield ();
  else if (number % 64 == 1)
    nanosleep (&nap, NULL);
  else if (number % 8 == 2)
    {
      for (spin = number / 64 % 2000; spin > 0; spin--)
        atomic_signal_fence (memory_order_seq_cst);
    }
}

#define N_PRODUCERS 4

typedef struct _Nest Nest;

typedef struct
{
  Nest *nest;
  AioBH *bh;
  atomic_int asked;
  atomic_int seen;
} Producer;

struct _Nest
{
  Home home;
  Producer producers[N_PRODUCERS];
  int n_rounds;
  int left;
  int depth;
  guint kind;
};

static void
see_and_nest (gpointer data)
{
  Producer *producer = data;
  Nest *nest = producer->nest;

  /* An idle schedule that was to be promoted may have run before: then it runs twice. */
  if (atomic_load (&producer->seen) == atomic_load (&producer->asked))
    return;
  nest->left--;
  atomic_fetch_add (&producer->seen, 1);
  /* While any are left one of them is on its way, so the blocking poll will come back. */
  if (nest->left > 0 && nest->depth < 3 && roll () % 4 == 0)
    {
      nest->depth++;
      if (nest->kind == 1 && roll () % 2 == 0)
        g_main_context_iteration (nest->home.loop, TRUE);
      else
        aio_context_poll (nest->home.context, TRUE);
      nest->depth--;
    }
}

static void *
schedule_one_by_one (void *data)
{
  Producer *producer = data;
  int i;

  for (i = 0; i < producer->nest->n_rounds; i++)
    {
      atomic_store (&producer->asked, i + 1);
      if (roll () % 4 == 0)
        aio_bh_schedule_idle (producer->bh);
      aio_bh_schedule (producer->bh);
      while (atomic_load (&producer->seen) == i)
        sched_yield ();
    }
  return NULL;
}

static void
run_nest (guint kind,
          guint n_producers,
          int   n_rounds)
{
  Nest nest = { .kind = kind, .n_rounds = n_rounds, .left = n_producers * n_rounds };
  pthread_t threads[N_PRODUCERS];
  guint i;

  home_init (&nest.home);
  begin_kind (&nest.home, kind);
  for (i = 0; i < n_producers; i++)
    {
      nest.producers[i].nest = &nest;
      nest.producers[i].bh = aio_bh_new (nest.home.context, see_and_nest, &nest.producers[i]);
    }
  for (i = 0; i < n_producers; i++)
    threads[i] = thread_start (schedule_one_by_one, &nest.producers[i]);
  while (nest.left > 0)
    {
      turns[kind] (&nest.home);
      if (nest.left % 256 == 0)
        aio_test_moved ();
    }
  for (i = 0; i < n_producers; i++)
    {
      thread_join (threads[i]);
      g_assert_cmpint (atomic_load (&nest.producers[i].seen), ==, n_rounds);
      aio_bh_delete (nest.producers[i].bh);
    }
  end_kind (&nest.home, kind);
  home_clear (&nest.home);
}

static void
test_random_nested (void)
{
  int n_rounds = g_test_thorough () ? 30000 : 500;
  guint kind;

  g_test_summary ("R2, C18: nested blocking polls inside each kind of loop, four schedulers, "
                  "random pauses at all points");

  aio_pause_hook = pause_at_random;
  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      run_nest (kind, N_PRODUCERS, n_rounds);
      /* One alone: nobody else's wakeup may help. */
      run_nest (kind, 1, 4 * n_rounds);
    }
  aio_pause_hook = NULL;
}

typedef struct
{
  Home *home;
  int n_rounds;
  atomic_int seen;
} Rounds;

static void *
notify_one_by_one (void *data)
{
  Rounds *rounds = data;
  int i;

  for (i = 1; i <= rounds->n_rounds; i++)
    {
      atomic_store (&rounds->home->flag, i);
      aio_context_notify (rounds->home->context);
      while (atomic_load (&rounds->seen) != i)
        sched_yield ();
    }
  return NULL;
}

static void
test_random_notify (void)
{
  guint kind;
  int i;

  g_test_summary ("C12, R6, R5: bare notifications with random pauses; looks that do not block lie "
                  "between the sleeps");

  aio_pause_hook = pause_at_random;
  for (kind = 0; kind < G_N_ELEMENTS (turns); kind++)
    {
      Home home;
      Rounds rounds = { &home, g_test_thorough () ? 100000 : 2000, 0 };
      pthread_t thread;

      home_init (&home);
      begin_kind (&home, kind);
      thread = thread_start (notify_one_by_one, &rounds);
      for (i = 1; i <= rounds.n_rounds; i++)
        {
          while (atomic_load (&home.flag) != i)
            {
              if (roll () % 4 == 0)
                aio_context_poll (home.context, FALSE);
              else
                turns[kind] (&home);
            }
          atomic_store (&rounds.seen, i);
          if (i % 256 == 0)
            aio_test_moved ();
        }
      thread_join (thread);
      end_kind (&home, kind);
      home_clear (&home);
    }
  aio_pause_hook = NULL;
}

/* The context to notify when its thread is about to raise the flag. */
static __thread AioContext *notified_at_raise;

static void
notify_at_raise (AioPausePoint point)
{
  AioContext *context = notified_at_raise;

  if (context == NULL || point != AIO_PAUSE_LOOKED)
    return;
  notified_at_raise = NULL;
  aio_context_notify (context);
}

static void
iterate_notified (gpointer dispatched)
{
  GMainContext *main_context = g_main_context_get_thread_default ();

  g_assert_true (aio_context_set_busy_poll (aio_context_get_current (), 1, NULL));
  while (g_main_context_iteration (main_context, FALSE))
    continue;
  notified_at_raise = aio_context_get_current ();
  atomic_store ((atomic_int *) dispatched, 1 + g_main_context_iteration (main_context, TRUE));
}

static void
test_notified_after_look (void)
{
  AioIOThread *thread;
  atomic_int dispatched = 0;

  g_test_summary ("C12: a notification that comes when the busy look of an I/O thread is over, and "
                  "before its sleep, is dispatched as any other");

  aio_pause_hook = notify_at_raise;
  thread = aio_io_thread_new ("looking", NULL);
  g_assert_true (aio_context_post (aio_io_thread_get_context (thread), iterate_notified,
                                   &dispatched, NULL));
  while (atomic_load (&dispatched) == 0)
    g_usleep (1000);
  g_assert_cmpint (atomic_load (&dispatched), ==, 1 + TRUE);
  aio_io_thread_stop (thread);
  aio_pause_hook = NULL;
  aio_io_thread_unref (thread);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  /* An I/O thread would make it, and GLib keeps it: not a descriptor that leaked. */
  g_main_context_default ();
  aio_test_add ("/notify-pauses/home-held", test_home_held);
  aio_test_add ("/notify-pauses/look-after-drain", test_look_after_drain);
  aio_test_add ("/notify-pauses/no-write-when-ready", test_no_write_when_ready);
  aio_test_add ("/notify-pauses/producer-held", test_producer_held);
  aio_test_add ("/notify-pauses/silent-producer-held", test_silent_producer_held);
  aio_test_add ("/notify-pauses/notified-while-waking", test_notified_while_waking);
  aio_test_add ("/notify-pauses/notified-after-look", test_notified_after_look);
  aio_test_add ("/notify-pauses/post-against-stop", test_post_against_stop);
  aio_test_add ("/notify-pauses/hole-does-not-spin", test_hole_does_not_spin);
  aio_test_add ("/notify-pauses/end-waits-for-waker", test_end_waits_for_waker);
  aio_test_add ("/notify-pauses/random-nested", test_random_nested);
  aio_test_add ("/notify-pauses/random-notify", test_random_notify);
  return g_test_run ();
}
