/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Iterations inside the callbacks of descriptors, notifiers and timers: they go on with what the
 * interrupted pass still has to do, and enter no descriptor's handler a second time. */
#include "loop-test.h"

/* How a callback iterates: as the loop that it was called by does, or by the context's own poll. */
static void
nest (Loop     *loop,
      gboolean  blocking)
{
  if (loop->n_turns % 2 == 0)
    loop_turn (loop, blocking);
  else
    aio_context_poll (loop->context, blocking);
}

static gint64
now_ns (Loop *loop)
{
  return aio_context_get_time_ns (loop->context, AIO_CLOCK_MONOTONIC);
}

/* --- A chain: each callback iterates until the next one has run ------------------------------- */

#define MAX_LINKS 100

typedef enum
{
  LINK_FD,
  LINK_NOTIFIER,
  LINK_TIMER,
  LINK_BH,
  N_KINDS,
  LINK_MIXED = N_KINDS          /* each in turn */
} LinkKind;

typedef struct _Chain Chain;

typedef struct
{
  Chain *chain;
  LinkKind kind;
  int fds[2];
  AioEventNotifier notifier;
  AioTimer timer;
  AioBH *bh;
  guint n_runs;
} Link;

struct _Chain
{
  Loop *loop;
  guint n;
  guint n_started;
  guint n_ended;
  Link links[MAX_LINKS];
};

/* Whoever comes next is next: the order is not what this is about. */
static void
link_run (Link *link)
{
  Chain *chain = link->chain;
  guint mine = ++chain->n_started;

  link->n_runs++;
  g_assert_cmpuint (link->n_runs, ==, 1);
  if (link->kind == LINK_FD)
    take (link->fds[0]);
  else if (link->kind == LINK_NOTIFIER)
    g_assert_true (aio_event_notifier_test_and_clear (&link->notifier));
  while (mine < chain->n && chain->n_started == mine)
    nest (chain->loop, TRUE);
  chain->n_ended++;
}

static void
link_called (gpointer data)
{
  link_run (data);
}

static void
link_notified (AioEventNotifier *notifier)
{
  link_run ((Link *) ((char *) notifier - G_STRUCT_OFFSET (Link, notifier)));
}

static void
link_init (Link     *link,
           Chain    *chain,
           LinkKind  kind)
{
  AioContext *context = chain->loop->context;

  *link = (Link) { .chain = chain, .kind = kind };
  switch (kind)
    {
    case LINK_FD:
      open_pipe (link->fds);
      put (link->fds[1]);
      aio_context_set_fd_handler (context, link->fds[0], link_called, NULL, link);
      break;
    case LINK_NOTIFIER:
      g_assert_true (aio_event_notifier_init (&link->notifier, TRUE, NULL));
      aio_context_set_event_notifier (context, &link->notifier, link_notified, NULL, NULL);
      break;
    case LINK_TIMER:
      aio_timer_init (&link->timer, context, AIO_CLOCK_MONOTONIC, link_called, link);
      aio_timer_mod_ns (&link->timer, 0);
      break;
    case LINK_BH:
    case LINK_MIXED:
      link->bh = aio_bh_new (context, link_called, link);
      aio_bh_schedule (link->bh);
      break;
    }
}

static void
link_clear (Link *link)
{
  AioContext *context = link->chain->loop->context;

  switch (link->kind)
    {
    case LINK_FD:
      aio_context_set_fd_handler (context, link->fds[0], NULL, NULL, NULL);
      close_both (link->fds);
      break;
    case LINK_NOTIFIER:
      aio_context_set_event_notifier (context, &link->notifier, NULL, NULL, NULL);
      aio_event_notifier_clear (&link->notifier);
      break;
    case LINK_TIMER:
      aio_timer_clear (&link->timer);
      break;
    case LINK_BH:
    case LINK_MIXED:
      aio_bh_delete (link->bh);
      break;
    }
}

static void
run_chain (Loop     *loop,
           LinkKind  kind,
           guint     n)
{
  g_autofree Chain *chain = g_new0 (Chain, 1);
  guint i;

  chain->loop = loop;
  chain->n = n;
  for (i = 0; i < n; i++)
    link_init (&chain->links[i], chain, kind == LINK_MIXED ? (i * 7 + i / 5) % N_KINDS : kind);
  LOOP_WAIT (loop, chain->n_ended == n);
  loop_pass (loop);
  for (i = 0; i < n; i++)
    {
      g_assert_cmpuint (chain->links[i].n_runs, ==, 1);
      link_clear (&chain->links[i]);
    }
}

static void
test_chain (Loop *loop)
{
  LinkKind kind;

  g_test_summary ("R11, C13: each callback of a pass waits in a nested iteration for the next one "
                  "of the same pass: descriptors, notifiers, timers, and all mixed; depth 100");

  for (kind = 0; kind <= LINK_MIXED; kind++)
    {
      run_chain (loop, kind, 2);
      run_chain (loop, kind, 3);
      run_chain (loop, kind, MAX_LINKS);
      loop->n_turns++;
    }
}

/* --- No handler twice on the stack ------------------------------------------------------------ */

typedef struct
{
  Loop *loop;
  int fds[2];
  AioEventNotifier notifier;
  guint depth;
  guint max_depth;
  guint n_runs;
  guint n_inner;                /* iterations inside */
  gboolean blocks;
  atomic_bool over;
} Stubborn;

/* Leaves the reason for its call alone, and iterates. */
static void
stubborn_run (Stubborn *stubborn)
{
  guint i;

  stubborn->n_runs++;
  stubborn->depth++;
  stubborn->max_depth = MAX (stubborn->max_depth, stubborn->depth);
  g_assert_cmpuint (stubborn->depth, ==, 1);
  for (i = 0; i < 3; i++)
    loop_pass (stubborn->loop);
  if (stubborn->blocks)
    loop_assert_quiet (stubborn->loop);
  stubborn->depth--;
}

static void
stubborn_called (gpointer data)
{
  stubborn_run (data);
}

static void
stubborn_notified (AioEventNotifier *notifier)
{
  stubborn_run ((Stubborn *) ((char *) notifier - G_STRUCT_OFFSET (Stubborn, notifier)));
}

/* Three runs, the last with a nested iteration that sleeps. */
static void
stubborn_nests (Stubborn *stubborn)
{
  loop_pass (stubborn->loop);
  loop_pass (stubborn->loop);
  g_assert_cmpuint (stubborn->n_runs, ==, 2);
  stubborn->blocks = TRUE;
  LOOP_WAIT (stubborn->loop, stubborn->n_runs > 2);
  stubborn->blocks = FALSE;
}

static void
test_not_entered_again (Loop *loop)
{
  Stubborn stubborn = { .loop = loop };

  g_test_summary ("R12, C13: a nested iteration does not enter a handler that is on the stack; it "
                  "sleeps, and does not spin; afterwards the handler is called again");

  open_pipe (stubborn.fds);
  put (stubborn.fds[1]);
  aio_context_set_fd_handler (loop->context, stubborn.fds[0], stubborn_called, NULL, &stubborn);
  stubborn_nests (&stubborn);
  LOOP_WAIT (loop, stubborn.n_runs > 3);
  take (stubborn.fds[0]);
  loop_assert_quiet (loop);
  g_assert_cmpuint (stubborn.n_runs, ==, 4);
  put (stubborn.fds[1]);
  LOOP_WAIT (loop, stubborn.n_runs > 4);
  aio_context_set_fd_handler (loop->context, stubborn.fds[0], NULL, NULL, NULL);
  close_both (stubborn.fds);
}

static void
test_notifier_not_entered_again (Loop *loop)
{
  Stubborn stubborn = { .loop = loop };

  g_test_summary ("R12, C13: nor does it enter a notifier's handler that is on the stack");

  g_assert_true (aio_event_notifier_init (&stubborn.notifier, TRUE, NULL));
  aio_context_set_event_notifier (loop->context, &stubborn.notifier, stubborn_notified, NULL,
                                  NULL);
  stubborn_nests (&stubborn);
  g_assert_true (aio_event_notifier_test_and_clear (&stubborn.notifier));
  loop_assert_quiet (loop);
  g_assert_cmpuint (stubborn.n_runs, ==, 3);
  aio_event_notifier_set (&stubborn.notifier);
  LOOP_WAIT (loop, stubborn.n_runs > 3);
  aio_context_set_event_notifier (loop->context, &stubborn.notifier, NULL, NULL, NULL);
  aio_event_notifier_clear (&stubborn.notifier);
}

static void
test_plain_file_not_entered_again (Loop *loop)
{
  Stubborn stubborn = { .loop = loop };

  g_test_summary ("R12, C13, C14: a regular file, that is always ready, is not while its handler "
                  "is on the stack");

  stubborn.fds[0] = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  aio_context_set_fd_handler (loop->context, stubborn.fds[0], stubborn_called, NULL, &stubborn);
  stubborn_nests (&stubborn);
  LOOP_WAIT (loop, stubborn.n_runs > 3);
  aio_context_set_fd_handler (loop->context, stubborn.fds[0], NULL, NULL, NULL);
  close (stubborn.fds[0]);
}

/* Several that never read: each nested iteration runs one that is not on the stack yet. */
#define N_STUBBORN 5

typedef struct
{
  Loop *loop;
  guint depth;
  guint max_depth;
  guint n_runs;
  int fds[N_STUBBORN][2];
} Crowd;

static void
crowd_read (gpointer data)
{
  Crowd *crowd = data;

  crowd->n_runs++;
  crowd->depth++;
  crowd->max_depth = MAX (crowd->max_depth, crowd->depth);
  g_assert_cmpuint (crowd->depth, <=, N_STUBBORN);
  loop_pass (crowd->loop);
  loop_pass (crowd->loop);
  crowd->depth--;
}

static void
test_crowd (Loop *loop)
{
  Crowd crowd = { .loop = loop };
  guint i;

  g_test_summary ("R12, C13: handlers that leave their data unread and nest are on the stack once "
                  "each at most");

  for (i = 0; i < N_STUBBORN; i++)
    {
      open_pipe (crowd.fds[i]);
      put (crowd.fds[i][1]);
      aio_context_set_fd_handler (loop->context, crowd.fds[i][0], crowd_read, NULL, &crowd);
    }
  loop_pass (loop);
  g_assert_cmpuint (crowd.max_depth, ==, N_STUBBORN);
  for (i = 0; i < N_STUBBORN; i++)
    {
      aio_context_set_fd_handler (loop->context, crowd.fds[i][0], NULL, NULL, NULL);
      close_both (crowd.fds[i]);
    }
}

/* --- What the nested iteration does, and what is left ----------------------------------------- */

static char trace[64];

static void
trace_add (char c)
{
  gsize n = strlen (trace);

  g_assert_cmpuint (n + 1, <, sizeof trace);
  trace[n] = c;
  trace[n + 1] = '\0';
}

typedef struct
{
  Loop *loop;
  char letter;
  int fds[2];
  AioTimer timer;
  void (*act) (gpointer data);
  gpointer data;
} Letter;

static void
letter_called (gpointer data)
{
  Letter *letter = data;

  trace_add (letter->letter);
  if (letter->fds[0] >= 0)
    take (letter->fds[0]);
  if (letter->act != NULL)
    letter->act (letter->data);
}

static void
letter_init_fd (Letter   *letter,
                Loop     *loop,
                char      name,
                gboolean  ready)
{
  *letter = (Letter) { .loop = loop, .letter = name };
  open_pipe (letter->fds);
  if (ready)
    put (letter->fds[1]);
  aio_context_set_fd_handler (loop->context, letter->fds[0], letter_called, NULL, letter);
}

static void
letter_clear_fd (Letter *letter)
{
  aio_context_set_fd_handler (letter->loop->context, letter->fds[0], NULL, NULL, NULL);
  close_both (letter->fds);
}

static void
letter_init_timer (Letter *letter,
                   Loop   *loop,
                   char    name,
                   gint64  deadline)
{
  *letter = (Letter) { .loop = loop, .letter = name, .fds = { -1, -1 } };
  aio_timer_init (&letter->timer, loop->context, AIO_CLOCK_MONOTONIC, letter_called, letter);
  if (deadline >= 0)
    aio_timer_mod_ns (&letter->timer, deadline);
}

static void
nest_once (gpointer data)
{
  Letter *letters = data;

  trace_add ('(');
  loop_pass (letters->loop);
  loop_pass (letters->loop);
  trace_add (')');
}

/* The first of them that runs makes the last one ready, that was not, and nests. */
static void
nest_with_new_work (gpointer data)
{
  Letter *letters = data;

  if (strlen (trace) > 1)
    return;
  if (letters[3].fds[0] >= 0)
    put (letters[3].fds[1]);
  else
    aio_timer_mod_ns (&letters[3].timer, 0);
  nest_once (data);
}

static void
test_interrupted_first (Loop *loop)
{
  Letter letters[4];
  guint i;

  g_test_summary ("C13: a nested iteration goes on with the descriptors of the interrupted pass, "
                  "and comes to new ones after them; the outer pass finds nothing left, and runs "
                  "none twice");

  trace[0] = '\0';
  for (i = 0; i < 4; i++)
    letter_init_fd (&letters[i], loop, 'a' + i, i < 3);
  for (i = 0; i < 3; i++)
    {
      letters[i].act = nest_with_new_work;
      letters[i].data = letters;
    }
  loop_pass (loop);
  loop_pass (loop);
  g_assert_cmpuint (strlen (trace), ==, 6);
  for (i = 0; i < 3; i++)
    g_assert_nonnull (strchr (trace, 'a' + i));
  g_assert_cmpint (trace[1], ==, '(');
  g_assert_cmpint (trace[4], ==, 'd');
  g_assert_cmpint (trace[5], ==, ')');
  for (i = 0; i < 4; i++)
    letter_clear_fd (&letters[i]);
}

static void
test_timers_interrupted_first (Loop *loop)
{
  Letter letters[4];
  gint64 now = now_ns (loop);
  guint i;

  g_test_summary ("C13, C22: a nested iteration goes on with the timers of the interrupted pass in "
                  "their order, and comes to one that was armed since after them, though its "
                  "deadline is before theirs");

  trace[0] = '\0';
  for (i = 0; i < 3; i++)
    letter_init_timer (&letters[i], loop, 'a' + i, now - 100 + i);
  letter_init_timer (&letters[3], loop, 'd', -1);
  letters[0].act = nest_with_new_work;
  letters[0].data = letters;
  loop_pass (loop);
  g_assert_cmpstr (trace, ==, "a(bcd)");
  loop_pass (loop);
  g_assert_cmpstr (trace, ==, "a(bcd)");
  for (i = 0; i < 4; i++)
    aio_timer_clear (&letters[i].timer);
}

static void
trace_h (gpointer data)
{
  trace_add ('h');
}

static void
poll_bottom_halves (gpointer data)
{
  Loop *loop = data;

  if (strlen (trace) > 1)
    return;
  aio_bh_schedule_oneshot (loop->context, trace_h, NULL);
  trace_add ('(');
  g_assert_cmpint (aio_bh_poll (loop->context), ==, 1);
  trace_add (')');
}

static void
test_outer_goes_on (Loop *loop)
{
  Letter fds[3], timers[2];
  gint64 now = now_ns (loop);
  guint i;

  g_test_summary ("C13, C9: a nested aio_bh_poll runs bottom halves and no descriptors or timers; "
                  "the outer pass goes on with them");

  trace[0] = '\0';
  for (i = 0; i < 3; i++)
    {
      letter_init_fd (&fds[i], loop, 'a' + i, TRUE);
      fds[i].act = poll_bottom_halves;
      fds[i].data = loop;
    }
  for (i = 0; i < 2; i++)
    letter_init_timer (&timers[i], loop, 's' + i, now - 100 + i);
  loop_pass (loop);
  g_assert_cmpuint (strlen (trace), ==, 8);
  g_assert_cmpint (strncmp (trace + 1, "(h)", 3), ==, 0);
  g_assert_true (g_str_has_suffix (trace, "st"));
  loop_pass (loop);
  g_assert_cmpuint (strlen (trace), ==, 8);
  for (i = 0; i < 3; i++)
    letter_clear_fd (&fds[i]);
  for (i = 0; i < 2; i++)
    aio_timer_clear (&timers[i].timer);
}

static void
test_left_over (Loop *loop)
{
  Letter timer, fd;
  AioBH *bh;

  g_test_summary ("C13: a bottom half that nests goes on with the descriptors and timers of its "
                  "pass; each runs once");

  trace[0] = '\0';
  letter_init_fd (&fd, loop, 'f', TRUE);
  letter_init_timer (&timer, loop, 't', 0);
  bh = aio_bh_new (loop->context, nest_once, &fd);
  aio_bh_schedule (bh);
  loop_pass (loop);
  g_assert_cmpstr (trace, ==, "(ft)");
  loop_pass (loop);
  g_assert_cmpstr (trace, ==, "(ft)");
  aio_bh_delete (bh);
  letter_clear_fd (&fd);
  aio_timer_clear (&timer.timer);
}

/* --- Timers and bottom halves may be entered again -------------------------------------------- */

typedef struct
{
  Loop *loop;
  AioTimer timer;
  guint depth;
  guint n_runs;
} Recursive;

static void
recurse (gpointer data)
{
  Recursive *self = data;

  self->n_runs++;
  if (++self->depth < 100)
    {
      aio_timer_mod_ns (&self->timer, 0);
      nest (self->loop, TRUE);
      g_assert_cmpuint (self->n_runs, ==, 100);
    }
  self->depth--;
}

static void
test_timer_entered_again (Loop *loop)
{
  Recursive self = { .loop = loop };

  g_test_summary ("C13, C22: a timer that re-arms itself and nests is entered again, 100 deep");

  aio_timer_init (&self.timer, loop->context, AIO_CLOCK_MONOTONIC, recurse, &self);
  aio_timer_mod_ns (&self.timer, 0);
  LOOP_WAIT (loop, self.n_runs > 0);
  loop_pass (loop);
  g_assert_cmpuint (self.n_runs, ==, 100);
  g_assert_cmpuint (self.depth, ==, 0);
  aio_timer_clear (&self.timer);
}

/* --- Edits below a handler on the stack ------------------------------------------------------- */

typedef struct
{
  Loop *loop;
  Watch outer;
  Watch inner;
  Watch again;
  int outer_fds[2];
  int inner_fds[2];
  gboolean sets_again;
} Pair;

static void
outer_nests (Watch *watch)
{
  Pair *pair = watch->data;

  put (pair->inner_fds[1]);
  while (pair->inner.n_read == 0)
    nest (pair->loop, TRUE);
  g_assert_cmpuint (watch->n_destroyed, ==, 0);
  loop_pass (pair->loop);
  g_assert_cmpuint (watch->n_destroyed, ==, 0);
  g_assert_cmpuint (watch->n_read, ==, 1);
}

static void
inner_removes (Watch *watch)
{
  Pair *pair = watch->data;

  if (pair->sets_again)
    watch_set (&pair->again, TRUE, FALSE);
  else
    watch_remove (&pair->outer);
  g_assert_cmpuint (pair->outer.n_destroyed, ==, 0);
}

static void
test_removed_below (Loop *loop)
{
  int round;

  g_test_summary ("C21, C13, R9: a handler that is removed or replaced by one nested in it keeps "
                  "its data until it returns");

  for (round = 0; round < 4; round++)
    {
      Pair pair = { .loop = loop, .sets_again = round % 2 };

      open_pipe (pair.outer_fds);
      open_pipe (pair.inner_fds);
      put (pair.outer_fds[1]);
      pair.outer = (Watch) { .loop = loop, .fd = pair.outer_fds[0], .act = outer_nests };
      pair.inner = (Watch) { .loop = loop, .fd = pair.inner_fds[0], .takes = TRUE };
      pair.again = (Watch) { .loop = loop, .fd = pair.outer_fds[0] };
      pair.inner.act = inner_removes;
      pair.inner.data = pair.outer.data = &pair;
      watch_set (&pair.outer, TRUE, FALSE);
      watch_set (&pair.inner, TRUE, FALSE);
      LOOP_WAIT (loop, pair.outer.n_read > 0);
      loop_pass (loop);
      g_assert_cmpuint (pair.outer.n_read, ==, 1);
      g_assert_cmpuint (pair.outer.n_destroyed, ==, 1);
      if (pair.sets_again)
        LOOP_WAIT (loop, pair.again.n_read > 0);
      watch_remove (&pair.again);
      watch_remove (&pair.inner);
      close_both (pair.outer_fds);
      close_both (pair.inner_fds);
      loop->n_turns++;
    }
}

static void *
set_while_on_stack (void *data)
{
  Stubborn *stubborn = data;
  AioContext *context = stubborn->loop->context;

  thread_wait_asleep (stubborn->loop->tid);
  aio_context_set_fd_handler (context, stubborn->fds[0], NULL, NULL, NULL);
  atomic_store (&stubborn->over, TRUE);
  aio_context_notify (context);
  return NULL;
}

static void
wait_for_thread (gpointer data)
{
  Stubborn *stubborn = data;
  pthread_t thread = thread_start (set_while_on_stack, stubborn);

  stubborn->n_runs++;
  while (!atomic_load (&stubborn->over))
    nest (stubborn->loop, TRUE);
  thread_join (thread);
}

static void
test_removed_by_thread_below (Loop *loop)
{
  Stubborn stubborn = { .loop = loop };

  g_test_summary ("C21, C13: another thread removes the handler that is on the stack while a "
                  "nested iteration sleeps, which it does though there is something to read");

  open_pipe (stubborn.fds);
  put (stubborn.fds[1]);
  aio_context_set_fd_handler (loop->context, stubborn.fds[0], wait_for_thread, NULL, &stubborn);
  LOOP_WAIT (loop, stubborn.n_runs > 0);
  loop_assert_quiet (loop);
  g_assert_cmpuint (stubborn.n_runs, ==, 1);
  close_both (stubborn.fds);
}

/* A nested blocking iteration waits for what its own thread's handler on another descriptor gets
 * from another thread; meanwhile the one on the stack becomes ready again and again. */
typedef struct
{
  Loop *loop;
  int noisy[2];
  int reply[2];
  guint n_noisy;
  guint n_replies;
  guint depth;
} Request;

static void
reply_read (gpointer data)
{
  Request *request = data;

  take (request->reply[0]);
  request->n_replies++;
}

static void *
reply_later (void *data)
{
  Request *request = data;
  int i;

  for (i = 0; i < 10; i++)
    {
      put (request->noisy[1]);
      g_usleep (100);
    }
  put (request->reply[1]);
  return NULL;
}

static void
noisy_read (gpointer data)
{
  Request *request = data;
  guint before = request->n_replies;
  pthread_t thread;

  g_assert_cmpuint (request->depth++, ==, 0);
  drain (request->noisy[0]);
  request->n_noisy++;
  if (request->n_noisy == 1)
    {
      thread = thread_start (reply_later, request);
      while (request->n_replies == before)
        nest (request->loop, TRUE);
      thread_join (thread);
      g_assert_cmpuint (request->n_noisy, ==, 1);
    }
  request->depth--;
}

static void
test_request (Loop *loop)
{
  Request request = { .loop = loop };

  g_test_summary ("R11, R12, C13: a handler that waits in a nested iteration for another "
                  "descriptor gets it; what arrived on its own meanwhile is not lost");

  open_pipe (request.noisy);
  open_pipe (request.reply);
  put (request.noisy[1]);
  aio_context_set_fd_handler (loop->context, request.reply[0], reply_read, NULL, &request);
  aio_context_set_fd_handler (loop->context, request.noisy[0], noisy_read, NULL, &request);
  LOOP_WAIT (loop, request.n_noisy > 1);
  g_assert_cmpuint (request.n_replies, ==, 1);
  aio_context_set_fd_handler (loop->context, request.reply[0], NULL, NULL, NULL);
  aio_context_set_fd_handler (loop->context, request.noisy[0], NULL, NULL, NULL);
  close_both (request.noisy);
  close_both (request.reply);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  loop_test_add_interrupted ("/fd-nested/chain", test_chain);
  loop_test_add ("/fd-nested/not-entered-again", test_not_entered_again);
  loop_test_add ("/fd-nested/notifier-not-entered-again", test_notifier_not_entered_again);
  loop_test_add ("/fd-nested/plain-file-not-entered-again", test_plain_file_not_entered_again);
  loop_test_add ("/fd-nested/crowd", test_crowd);
  loop_test_add ("/fd-nested/interrupted-first", test_interrupted_first);
  loop_test_add ("/fd-nested/timers-interrupted-first", test_timers_interrupted_first);
  loop_test_add ("/fd-nested/left-over", test_left_over);
  loop_test_add ("/fd-nested/outer-goes-on", test_outer_goes_on);
  loop_test_add ("/fd-nested/timer-entered-again", test_timer_entered_again);
  loop_test_add ("/fd-nested/removed-below", test_removed_below);
  loop_test_add ("/fd-nested/removed-by-thread-below", test_removed_by_thread_below);
  loop_test_add_interrupted ("/fd-nested/request", test_request);
  return g_test_run ();
}
