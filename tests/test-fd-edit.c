/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handlers are set, replaced and removed: by other threads while the loop sleeps, by callbacks
 * while others are about to run, and by everybody at once. */
#include "loop-test.h"

/* --- From other threads ----------------------------------------------------------------------- */

typedef struct
{
  Loop *loop;
  Watch *watch;
  Watch *other;
  gboolean reads;
  gboolean writes;
} Edit;

static void *
set_later (void *data)
{
  Edit *edit = data;

  thread_wait_asleep (edit->loop->tid);
  watch_set (edit->watch, edit->reads, edit->writes);
  return NULL;
}

static void
test_first_from_thread (Loop *loop)
{
  int rounds = g_test_thorough () ? 2000 : 40;
  int fds[2];
  int i;

  g_test_summary ("C20, R7, R16: the very first handler, set by another thread while the context "
                  "sleeps, is in force for this sleep");

  open_pipe (fds);
  put (fds[1]);
  for (i = 0; i < rounds; i++)
    {
      Loop fresh;
      Watch watch = { .loop = &fresh, .fd = fds[0] };
      Edit edit = { .loop = &fresh, .watch = &watch, .reads = TRUE };
      pthread_t thread;

      loop_init (&fresh, loop->way, "fresh");
      thread = thread_start (set_later, &edit);
      LOOP_WAIT (&fresh, watch.n_read > 0);
      thread_join (thread);
      watch_remove (&watch);
      loop_clear (&fresh);
      g_assert_cmpuint (watch.n_destroyed, ==, 1);
    }
  close_both (fds);
}

static void
test_add_from_thread (Loop *loop)
{
  int fds[2], other[2];
  Watch before = { .loop = loop };
  int i;

  g_test_summary ("C20, R7: a handler that another thread adds is in force for the sleep that has "
                  "begun");

  open_pipe (other);
  open_pipe (fds);
  put (fds[1]);
  before.fd = other[0];
  watch_set (&before, TRUE, FALSE);
  loop_pass (loop);
  for (i = 0; i < 20; i++)
    {
      Watch watch = { .loop = loop, .fd = fds[0] };
      Edit edit = { .loop = loop, .watch = &watch, .reads = TRUE };
      pthread_t thread = thread_start (set_later, &edit);

      LOOP_WAIT (loop, watch.n_read > 0);
      thread_join (thread);
      watch_remove (&watch);
      loop_pass (loop);
      g_assert_cmpuint (watch.n_destroyed, ==, 1);
    }
  watch_remove (&before);
  close_both (fds);
  close_both (other);
}

static void
test_plain_file_from_thread (Loop *loop)
{
  int fd = open ("/dev/null", O_RDWR | O_CLOEXEC);
  int i;

  g_test_summary ("C20, R7: a regular file, which no kernel interface watches, that another thread "
                  "adds while the context sleeps ends the sleep");

  for (i = 0; i < 20; i++)
    {
      Watch watch = { .loop = loop, .fd = fd };
      Edit edit = { .loop = loop, .watch = &watch, .reads = i % 2, .writes = !(i % 2) };
      pthread_t thread = thread_start (set_later, &edit);

      LOOP_WAIT (loop, watch.n_read + watch.n_write > 0);
      thread_join (thread);
      watch_remove (&watch);
    }
  loop_assert_quiet (loop);
  close (fd);
}

static void
test_replace_from_thread (Loop *loop)
{
  int fds[2];
  Watch first = { .loop = loop };
  Watch second = { .loop = loop };
  Edit edit = { .loop = loop, .watch = &second, .writes = TRUE };
  int i;

  g_test_summary ("C20, R7, R16: a handler that another thread replaces by one for which there is "
                  "something to do runs, with its own data");

  open_pair (fds);
  first.fd = second.fd = fds[0];
  for (i = 0; i < 20; i++)
    {
      pthread_t thread;

      watch_set (&first, TRUE, FALSE);
      thread = thread_start (set_later, &edit);
      LOOP_WAIT (loop, (int) second.n_write > i);
      thread_join (thread);
      g_assert_cmpuint (first.n_read, ==, 0);
      watch_set (&first, TRUE, FALSE);
      second.n_write = i + 1;
      loop_pass (loop);
      g_assert_cmpuint (second.n_destroyed, ==, 1);
      watch_remove (&first);
    }
  close_both (fds);
}

static void *
remove_now (void *data)
{
  Watch *watch = data;

  watch_remove (watch);
  return NULL;
}

static void
count (gpointer data)
{
  ++*(guint *) data;
}

static void
test_remove_from_thread (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };
  guint n = 0;

  g_test_summary ("C21: after another thread has removed a handler that was not running it does "
                  "not start again, and its destroy notify runs once, in the home thread");

  open_pipe (fds);
  watch.fd = fds[0];
  watch_set (&watch, TRUE, FALSE);
  loop_pass (loop);
  thread_run (remove_now, &watch);
  put (fds[1]);
  aio_bh_schedule_oneshot (loop->context, count, &n);
  LOOP_WAIT (loop, n > 0);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 0);
  g_assert_cmpuint (watch.n_destroyed, ==, 1);

  put (fds[1]);
  watch_set (&watch, TRUE, FALSE);
  thread_run (remove_now, &watch);
  loop_pass (loop);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 0);
  g_assert_cmpuint (watch.n_destroyed, ==, 1);
  loop_assert_quiet (loop);
  close_both (fds);
}

/* The destroy notify looks whose thread this is. */
typedef struct
{
  Loop *loop;
  int fd;
  atomic_int n_destroyed;
} Owned;

static void
owned_destroyed (gpointer data)
{
  Owned *owned = data;

  g_assert_cmpint (gettid (), ==, owned->loop->tid);
  atomic_fetch_add (&owned->n_destroyed, 1);
}

static void
owned_read (gpointer data)
{
  g_assert_not_reached ();
}

static void *
remove_owned_later (void *data)
{
  Owned *owned = data;

  thread_wait_asleep (owned->loop->tid);
  aio_context_set_fd_handler (owned->loop->context, owned->fd, NULL, NULL, NULL);
  return NULL;
}

static void
test_destroy_wakes (Loop *loop)
{
  int fds[2];
  Owned owned = { .loop = loop };
  pthread_t thread;

  g_test_summary ("C21, R7: a removal by another thread wakes the sleeper for the destroy notify, "
                  "which runs in the home thread");

  open_pipe (fds);
  owned.fd = fds[0];
  g_assert_true (aio_context_set_fd_handler_full (loop->context, fds[0], owned_read, NULL, NULL,
                                                  NULL, &owned, owned_destroyed, NULL));
  thread = thread_start (remove_owned_later, &owned);
  LOOP_WAIT (loop, atomic_load (&owned.n_destroyed) > 0);
  thread_join (thread);
  g_assert_cmpint (atomic_load (&owned.n_destroyed), ==, 1);
  close_both (fds);
}

/* --- From callbacks --------------------------------------------------------------------------- */

static void
set_the_other (Watch *watch)
{
  Watch *other = watch->data;

  if (watch->n_read == 1)
    watch_set (other, TRUE, FALSE);
}

static void
test_add_from_callback (Loop *loop)
{
  int fds[2], more[2];
  Watch watch = { .loop = loop };
  Watch other = { .loop = loop };

  g_test_summary ("C20: a handler that another one adds runs in the next pass, not in this one");

  open_pipe (fds);
  open_pipe (more);
  put (fds[1]);
  put (more[1]);
  other.fd = more[0];
  watch = (Watch) { .loop = loop, .fd = fds[0], .act = set_the_other, .data = &other };
  watch_set (&watch, TRUE, FALSE);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 1);
  g_assert_cmpuint (other.n_read, ==, 0);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, ==, 2);
  g_assert_cmpuint (other.n_read, ==, 1);
  watch_remove (&watch);
  watch_remove (&other);
  close_both (fds);
  close_both (more);
}

static void
replace_me (Watch *watch)
{
  Watch *other = watch->data;

  watch_set (other, TRUE, TRUE);
  g_assert_cmpuint (watch->n_destroyed, ==, 0);
}

static void
test_replace_self (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };
  Watch other = { .loop = loop };

  g_test_summary ("C20, C21: a read handler that replaces itself: neither its own write handler "
                  "nor the new ones run with the wrong data");

  open_pair (fds);
  put (fds[1]);
  other.fd = fds[0];
  watch = (Watch) { .loop = loop, .fd = fds[0], .act = replace_me, .data = &other };
  watch_set (&watch, TRUE, TRUE);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read + watch.n_write, ==, 1);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read + watch.n_write, ==, 1);
  g_assert_cmpuint (watch.n_destroyed, ==, 1);
  g_assert_cmpuint (other.n_read, >=, 1);
  g_assert_cmpuint (other.n_write, >=, 1);
  watch_remove (&other);
  close_both (fds);
}

static void
narrow_me (Watch *watch)
{
  if (watch->n_read == 1)
    aio_context_set_fd_handler (watch->loop->context, watch->fd, watch_read, NULL, watch);
}

static void
test_drop_writer_in_reader (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };

  g_test_summary ("C20: a read handler that gives up the write handler of the same descriptor is "
                  "obeyed in this pass");

  open_pair (fds);
  put (fds[1]);
  watch = (Watch) { .loop = loop, .fd = fds[0], .act = narrow_me };
  aio_context_set_fd_handler (loop->context, fds[0], watch_read, watch_write, &watch);
  loop_pass (loop);
  loop_pass (loop);
  g_assert_cmpuint (watch.n_read, >=, 1);
  g_assert_cmpuint (watch.n_write, ==, 0);
  watch_remove (&watch);
  close_both (fds);
}

/* Handler i of several that are all ready, and who does what to whom. */
#define N_HANDLERS 4

typedef enum
{
  DO_REMOVE,
  DO_REPLACE,
  DO_REMOVE_AND_CLOSE,
  N_DEEDS
} Deed;

typedef struct _Scene Scene;

typedef struct
{
  Scene *scene;
  guint index;
  int fds[2];
  guint *magic;                 /* freed by the destroy notify: reading it is the test */
  guint n_runs;
  guint n_destroyed;
  gboolean gone;
  guint on_stack;
} Actor;

struct _Scene
{
  Loop *loop;
  guint depth;                  /* at which the deed is done */
  guint victim;                 /* in the order in which they run: 0 is the actor itself */
  Deed deed;
  gboolean done;
  guint n_on_stack;
  guint n_replacements;
  guint order[N_HANDLERS];      /* in which they have run */
  guint n_order;
  Actor actors[N_HANDLERS];
};

static void scene_add (Scene *scene,
                       guint  index);

static void
actor_destroyed (gpointer data)
{
  Actor *actor = data;

  g_assert_cmpuint (actor->on_stack, ==, 0);
  actor->n_destroyed++;
  g_clear_pointer (&actor->magic, g_free);
}

static void
replacement_read (gpointer data)
{
  Actor *actor = data;

  g_assert_true (actor->gone);
  take (actor->fds[0]);
  actor->scene->n_replacements++;
}

/* Whom the actor meets at this distance among those that still have to run, or itself, or, beyond
 * those, the ones that have run. */
static Actor *
find_victim (Scene *scene,
             Actor *actor)
{
  guint i;
  guint n = scene->victim;

  if (n == 0)
    return actor;
  for (i = 0; i < N_HANDLERS; i++)
    if (scene->actors[i].n_runs == 0 && --n == 0)
      return &scene->actors[i];
  return &scene->actors[scene->order[(n - 1) % scene->n_order]];
}

static void
do_deed (Scene *scene,
         Actor *actor)
{
  Actor *victim = find_victim (scene, actor);
  AioContext *context = scene->loop->context;

  scene->done = TRUE;
  victim->gone = TRUE;
  if (scene->deed == DO_REPLACE)
    aio_context_set_fd_handler (context, victim->fds[0], replacement_read, NULL, victim);
  else
    aio_context_set_fd_handler (context, victim->fds[0], NULL, NULL, NULL);
  if (scene->deed == DO_REMOVE_AND_CLOSE)
    close_both (victim->fds);
}

static void
actor_read (gpointer data)
{
  Actor *actor = data;
  Scene *scene = actor->scene;

  g_assert_false (actor->gone);
  g_assert_cmpuint (*actor->magic, ==, actor->index);
  if (actor->n_runs == 0)
    scene->order[scene->n_order++] = actor->index;
  actor->n_runs++;
  actor->on_stack++;
  scene->n_on_stack++;
  if (!scene->done && scene->n_on_stack < scene->depth)
    loop_pass (scene->loop);
  if (!scene->done && scene->n_on_stack == scene->depth)
    do_deed (scene, actor);
  if (actor->magic != NULL)
    g_assert_cmpuint (*actor->magic, ==, actor->index);
  if (!actor->gone || scene->deed != DO_REMOVE_AND_CLOSE)
    take (actor->fds[0]);
  scene->n_on_stack--;
  actor->on_stack--;
}

static void
scene_add (Scene *scene,
           guint  index)
{
  Actor *actor = &scene->actors[index];

  *actor = (Actor) { .scene = scene, .index = index };
  actor->magic = g_new (guint, 1);
  *actor->magic = index;
  open_pipe (actor->fds);
  put (actor->fds[1]);
  g_assert_true (aio_context_set_fd_handler_full (scene->loop->context, actor->fds[0], actor_read,
                                                  NULL, NULL, NULL, actor, actor_destroyed, NULL));
}

static void
scene_play (Loop  *loop,
            guint  depth,
            guint  victim,
            Deed   deed)
{
  Scene scene = { .loop = loop, .depth = depth, .victim = victim, .deed = deed };
  guint i, n_ran = 0;

  for (i = 0; i < N_HANDLERS; i++)
    scene_add (&scene, i);
  loop_pass (loop);
  loop_pass (loop);
  g_assert_true (scene.done);
  for (i = 0; i < N_HANDLERS; i++)
    {
      Actor *actor = &scene.actors[i];

      g_assert_cmpuint (actor->n_runs, <=, 1);
      n_ran += actor->n_runs;
      g_assert_cmpuint (actor->n_destroyed, ==, actor->gone ? 1 : 0);
      if (actor->gone && deed == DO_REMOVE_AND_CLOSE)
        continue;
      aio_context_set_fd_handler (loop->context, actor->fds[0], NULL, NULL, NULL);
      close_both (actor->fds);
    }
  g_assert_cmpuint (n_ran, >=, N_HANDLERS - 1);
  g_assert_cmpuint (n_ran + scene.n_replacements, >=, N_HANDLERS - (deed != DO_REPLACE));
  loop_pass (loop);
  for (i = 0; i < N_HANDLERS; i++)
    g_assert_cmpuint (scene.actors[i].n_destroyed, ==, 1);
}

static void
test_matrix (Loop *loop)
{
  guint depth, victim;
  Deed deed;

  g_test_summary ("R9, C20, C21: from a handler remove, replace, or remove and close itself, the "
                  "next, the last, one that has run or is on the stack; at depth 1 to 3");

  for (depth = 1; depth <= 3; depth++)
    for (victim = 0; victim < N_HANDLERS + 2; victim++)
      for (deed = 0; deed < N_DEEDS; deed++)
        scene_play (loop, depth, victim, deed);
}

/* From a bottom half, that runs in the same pass before the descriptors do. */
typedef struct
{
  Watch *watch;
  gboolean replaces;
  Watch *other;
} Meddler;

static void
meddle (gpointer data)
{
  Meddler *meddler = data;

  if (meddler->replaces)
    watch_set (meddler->other, TRUE, FALSE);
  else
    watch_remove (meddler->watch);
}

static void
test_from_bottom_half (Loop *loop)
{
  int fds[2];
  Watch watch = { .loop = loop };
  Watch other = { .loop = loop };
  Meddler meddler = { .watch = &watch, .other = &other };
  int i;

  g_test_summary ("C21, C20: a bottom half removes or replaces the handler of a descriptor that is "
                  "ready in the same pass: the old one does not run any more");

  open_pipe (fds);
  put (fds[1]);
  watch.fd = other.fd = fds[0];
  for (i = 0; i < 10; i++)
    {
      guint n = watch.n_read;

      meddler.replaces = i % 2;
      watch_set (&watch, TRUE, FALSE);
      if (i >= 4)
        LOOP_WAIT (loop, watch.n_read > n);
      n = watch.n_read;
      other.n_read = 0;
      aio_bh_schedule_oneshot (loop->context, meddle, &meddler);
      loop_pass (loop);
      loop_pass (loop);
      g_assert_cmpuint (watch.n_read, ==, n);
      g_assert_cmpuint (watch.n_destroyed, ==, 1);
      g_assert_cmpuint (other.n_read, >=, meddler.replaces ? 1 : 0);
      watch_remove (&other);
    }
  close_both (fds);
}

/* --- Numbers that are used again -------------------------------------------------------------- */

static void
test_number_again (Loop *loop)
{
  int rounds = g_test_thorough () ? 5000 : 200;
  int fds[2], number = -1;
  int i;

  g_test_summary ("R17, C20: removed, closed and opened anew, a number belongs to its new handler");

  for (i = 0; i < rounds; i++)
    {
      Watch watch = { .loop = loop };

      open_pipe (fds);
      g_assert_true (number < 0 || number == fds[0]);
      number = watch.fd = fds[0];
      watch_set (&watch, TRUE, FALSE);
      if (i % 3 != 0)
        loop_pass (loop);
      g_assert_cmpuint (watch.n_read, ==, 0);
      put (fds[1]);
      if (i % 2 != 0)
        LOOP_WAIT (loop, watch.n_read > 0);
      watch_remove (&watch);
      close_both (fds);
      if (i % 5 == 0)
        loop_pass (loop);
    }
}

static void
test_twin_stays (Loop *loop)
{
  int fds[2], twin;
  Watch watch = { .loop = loop };

  g_test_summary ("R17, C21: after its removal a descriptor is out of the set, whose duplicate "
                  "lives on and is readable");

  open_pipe (fds);
  twin = dup (fds[0]);
  watch.fd = fds[0];
  watch_set (&watch, TRUE, FALSE);
  loop_pass (loop);
  watch_remove (&watch);
  close (fds[0]);
  put (fds[1]);
  loop_assert_quiet (loop);
  g_assert_cmpuint (watch.n_read, ==, 0);

  watch.fd = twin;
  watch_set (&watch, TRUE, FALSE);
  LOOP_WAIT (loop, watch.n_read > 0);
  watch_remove (&watch);
  close (twin);
  close (fds[1]);
}

/* Two pipes are readable; the first handler that runs closes the other one's and opens a pipe at
 * the same number, that is empty. */
typedef struct
{
  Watch watches[2];
  int fds[2][2];
  Watch fresh;
  int fresh_fds[2];
} Swap;

static void
swap_the_other (Watch *watch)
{
  Swap *swap = watch->data;
  guint i = watch == &swap->watches[0] ? 1 : 0;
  Watch *other = &swap->watches[i];

  if (swap->fresh.fd >= 0)
    return;
  watch_remove (other);
  close_both (swap->fds[i]);
  open_pipe (swap->fresh_fds);
  if (swap->fresh_fds[0] != other->fd)
    {
      g_assert_cmpint (dup3 (swap->fresh_fds[0], other->fd, O_CLOEXEC), ==, other->fd);
      close (swap->fresh_fds[0]);
      swap->fresh_fds[0] = other->fd;
    }
  swap->fds[i][0] = -1;
  swap->fresh.fd = other->fd;
  watch_set (&swap->fresh, TRUE, FALSE);
}

static void
test_stale_event (Loop *loop)
{
  Swap swap = { .fresh = { .loop = loop, .fd = -1 } };
  int i;

  g_test_summary ("R16, R17, C20: what was ready under a number is not handed to the handler that "
                  "has the number now");

  for (i = 0; i < 2; i++)
    {
      open_pipe (swap.fds[i]);
      put (swap.fds[i][1]);
      swap.watches[i] = (Watch) { .loop = loop, .fd = swap.fds[i][0], .act = swap_the_other };
      swap.watches[i].data = &swap;
      watch_set (&swap.watches[i], TRUE, FALSE);
    }
  LOOP_WAIT (loop, swap.fresh.fd >= 0);
  loop_pass (loop);
  g_assert_cmpuint (swap.fresh.n_read, ==, 0);
  for (i = 0; i < 2; i++)
    {
      if (swap.fds[i][0] < 0)
        g_assert_cmpuint (swap.watches[i].n_read, ==, 0);
      else
        {
          watch_remove (&swap.watches[i]);
          close_both (swap.fds[i]);
        }
    }
  loop_assert_quiet (loop);
  put (swap.fresh_fds[1]);
  LOOP_WAIT (loop, swap.fresh.n_read > 0);
  watch_remove (&swap.fresh);
  close_both (swap.fresh_fds);
}

/* --- All at once ------------------------------------------------------------------------------ */

#define N_CHURNED 100

typedef enum
{
  KIND_A = 0x5a5a,
  KIND_B = 0xb4b4
} Kind;

typedef struct _Churn Churn;

/* What one handler is given; each time one is set it gets a new one. */
typedef struct
{
  Churn *churn;
  Kind kind;
  guint index;
} Ticket;

struct _Churn
{
  Loop *loop;
  guint rounds;
  int fds[N_CHURNED][2];
  guint n_seen;                 /* home thread */
  atomic_uint n_written;
  atomic_uint n_tickets;
  atomic_uint n_destroyed;
  atomic_bool over;
};

static void
churn_take (Ticket *ticket,
            Kind    kind)
{
  Churn *churn = ticket->churn;

  g_assert_cmpint (ticket->kind, ==, kind);
  g_assert_cmpuint (ticket->index, <, N_CHURNED);
  if (take (churn->fds[ticket->index][0]))
    churn->n_seen++;
}

static void
on_a (gpointer data)
{
  churn_take (data, KIND_A);
}

static void
on_b (gpointer data)
{
  churn_take (data, KIND_B);
}

static void
ticket_free (gpointer data)
{
  Ticket *ticket = data;

  atomic_fetch_add (&ticket->churn->n_destroyed, 1);
  ticket->kind = 0;
  ticket->index = G_MAXUINT;
  g_free (ticket);
}

static void
churn_set (Churn *churn,
           guint  index,
           Kind   kind)
{
  Ticket *ticket = g_new (Ticket, 1);

  *ticket = (Ticket) { churn, kind, index };
  atomic_fetch_add (&churn->n_tickets, 1);
  g_assert_true (aio_context_set_fd_handler_full (churn->loop->context, churn->fds[index][0],
                                                  kind == KIND_A ? on_a : on_b, NULL, NULL, NULL,
                                                  ticket, ticket_free, NULL));
}

static void *
churn_run (void *data)
{
  Churn *churn = data;
  guint32 seed = 1;
  guint i;

  for (i = 0; i < churn->rounds; i++)
    {
      guint index = (seed = seed * 1664525 + 1013904223) >> 8;
      guint what = index / N_CHURNED % 4;

      index %= N_CHURNED;
      if (what == 0)
        aio_context_set_fd_handler (churn->loop->context, churn->fds[index][0], NULL, NULL, NULL);
      else if (what == 1)
        churn_set (churn, index, KIND_A);
      else if (what == 2)
        churn_set (churn, index, KIND_B);
      else
        {
          put (churn->fds[index][1]);
          atomic_fetch_add (&churn->n_written, 1);
        }
      /* A pipe holds more than this even if nobody reads. */
      if (i % 1024 == 0)
        aio_test_moved ();
    }
  for (i = 0; i < N_CHURNED; i++)
    churn_set (churn, i, i % 2 ? KIND_A : KIND_B);
  atomic_store (&churn->over, TRUE);
  aio_context_notify (churn->loop->context);
  return NULL;
}

static void
test_churn (Loop *loop)
{
  Churn churn = { .loop = loop, .rounds = g_test_thorough () ? 1000000 : 20000 };
  pthread_t thread;
  guint i;

  g_test_summary ("R16, C20, C21: a thread sets, replaces and removes over 100 descriptors while "
                  "the loop runs: each written byte is seen, no handler meets another one's data, "
                  "each destroy notify runs once");

  for (i = 0; i < N_CHURNED; i++)
    open_pipe (churn.fds[i]);
  thread = thread_start (churn_run, &churn);
  LOOP_WAIT (loop, atomic_load (&churn.over) &&
                   churn.n_seen == atomic_load (&churn.n_written));
  thread_join (thread);
  for (i = 0; i < N_CHURNED; i++)
    {
      aio_context_set_fd_handler (loop->context, churn.fds[i][0], NULL, NULL, NULL);
      close_both (churn.fds[i]);
    }
  loop_pass (loop);
  loop_pass (loop);
  g_assert_cmpuint (atomic_load (&churn.n_destroyed), ==, atomic_load (&churn.n_tickets));
  g_assert_cmpuint (loop->n_guests, <=, 2);
}

/* A thread opens, watches, writes, waits, removes and closes: as a server with connections that do
 * not live long. Its numbers come and go while the loop is about to handle them. */
typedef struct
{
  Loop *loop;
  guint rounds;
  atomic_bool over;
  atomic_uint n_live;
} Server;

typedef struct
{
  Server *server;
  int fd;
  atomic_bool seen;
} Connection;

static void
connection_read (gpointer data)
{
  Connection *connection = data;

  g_assert_true (take (connection->fd));
  atomic_store (&connection->seen, TRUE);
}

static void
connection_free (gpointer data)
{
  Connection *connection = data;

  atomic_fetch_sub (&connection->server->n_live, 1);
  g_free (connection);
}

static void *
serve (void *data)
{
  Server *server = data;
  guint i;

  for (i = 0; i < server->rounds; i++)
    {
      Connection *connection = g_new0 (Connection, 1);
      int fds[2];
      guint spins = i % 64;

      open_pipe (fds);
      connection->server = server;
      connection->fd = fds[0];
      atomic_fetch_add (&server->n_live, 1);
      g_assert_true (aio_context_set_fd_handler_full (server->loop->context, fds[0],
                                                      connection_read, NULL, NULL, NULL,
                                                      connection, connection_free, NULL));
      put (fds[1]);
      while (!atomic_load (&connection->seen))
        sched_yield ();
      while (spins-- > 0)
        continue;
      aio_context_set_fd_handler (server->loop->context, fds[0], NULL, NULL, NULL);
      close_both (fds);
    }
  atomic_store (&server->over, TRUE);
  aio_context_notify (server->loop->context);
  return NULL;
}

static void
test_connections (Loop *loop)
{
  Server server = { .loop = loop, .rounds = g_test_thorough () ? 100000 : 1000 };
  pthread_t thread;

  g_test_summary ("R17, C21: numbers are closed right after another thread has removed them, and "
                  "come again at once: none is read that is not readable");

  thread = thread_start (serve, &server);
  LOOP_WAIT (loop, atomic_load (&server.over));
  thread_join (thread);
  loop_pass (loop);
  loop_pass (loop);
  g_assert_cmpuint (atomic_load (&server.n_live), ==, 0);
  /* None was closed too early, so there was no need for another descriptor but the first. */
  g_assert_cmpuint (loop->n_guests, <=, 2);
}

/* Two that are ready in the same pass: whichever runs first has the other removed elsewhere. */
typedef struct _Rival Rival;

struct _Rival
{
  Loop *loop;
  Rival *other;
  int fds[2];
  guint n;
};

static void *
remove_rival (void *data)
{
  Rival *rival = data;

  aio_context_set_fd_handler (rival->loop->context, rival->fds[0], NULL, NULL, NULL);
  return NULL;
}

static void
on_rival (gpointer data)
{
  Rival *rival = data;

  rival->n++;
  drain (rival->fds[0]);
  thread_run (remove_rival, rival->other);
}

static void
test_remove_ready_from_thread (Loop *loop)
{
  Rival rivals[2];

  g_test_summary ("C21: one that is ready and is removed by another thread before its turn does "
                  "not run, as the removal has returned");

  for (guint i = 0; i < 2; i++)
    {
      rivals[i] = (Rival) { loop, &rivals[1 - i], { -1, -1 }, 0 };
      open_pipe (rivals[i].fds);
      put (rivals[i].fds[1]);
      aio_context_set_fd_handler (loop->context, rivals[i].fds[0], on_rival, NULL, &rivals[i]);
    }
  LOOP_WAIT (loop, rivals[0].n + rivals[1].n > 0);
  g_assert_cmpuint (rivals[0].n + rivals[1].n, ==, 1);
  for (guint i = 0; i < 2; i++)
    {
      remove_rival (&rivals[i]);
      close_both (rivals[i].fds);
    }
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  loop_test_add ("/fd-edit/first-from-thread", test_first_from_thread);
  loop_test_add_interrupted ("/fd-edit/add-from-thread", test_add_from_thread);
  loop_test_add ("/fd-edit/plain-file-from-thread", test_plain_file_from_thread);
  loop_test_add_interrupted ("/fd-edit/replace-from-thread", test_replace_from_thread);
  loop_test_add ("/fd-edit/remove-from-thread", test_remove_from_thread);
  loop_test_add ("/fd-edit/remove-ready-from-thread", test_remove_ready_from_thread);
  loop_test_add ("/fd-edit/destroy-wakes", test_destroy_wakes);
  loop_test_add ("/fd-edit/add-from-callback", test_add_from_callback);
  loop_test_add ("/fd-edit/replace-self", test_replace_self);
  loop_test_add ("/fd-edit/drop-writer-in-reader", test_drop_writer_in_reader);
  loop_test_add ("/fd-edit/matrix", test_matrix);
  loop_test_add ("/fd-edit/from-bottom-half", test_from_bottom_half);
  loop_test_add ("/fd-edit/number-again", test_number_again);
  loop_test_add ("/fd-edit/twin-stays", test_twin_stays);
  loop_test_add ("/fd-edit/stale-event", test_stale_event);
  loop_test_add_interrupted ("/fd-edit/churn", test_churn);
  loop_test_add_interrupted ("/fd-edit/connections", test_connections);
  return g_test_run ();
}
