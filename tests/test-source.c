/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The context under a GMainContext. The first half pins what GLib itself does, because the design
 * stands on it; the second half is about our source. */
#include "aio-test.h"
#include <sys/ioctl.h>

#define MAX_FDS 8

static void
count (gpointer data)
{
  ++*(int *) data;
}

/* How often a descriptor was written since it was last drained; -1 if nobody can tell. */
static int
unread_writes (int fd)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fdinfo/%d", fd);
  g_autofree char *text = NULL;
  const char *field;
  int n;

  if (g_file_get_contents (path, &text, NULL, NULL) &&
      (field = strstr (text, "eventfd-count:")) != NULL)
    return (int) strtoull (field + strlen ("eventfd-count:"), NULL, 16);
  return ioctl (fd, FIONREAD, &n) == 0 ? n : -1;
}

/* One turn of a loop that is not GLib's own, phase by phase. */
typedef struct
{
  GMainContext *loop;
  gboolean ready;
  int priority;
  int timeout;
  int n_fds;
  GPollFD fds[MAX_FDS];
} Turn;

static void
turn_prepare (Turn         *turn,
              GMainContext *loop)
{
  turn->loop = loop;
  turn->ready = g_main_context_prepare (loop, &turn->priority);
  turn->n_fds = g_main_context_query (loop, turn->priority, &turn->timeout, turn->fds, MAX_FDS);
  g_assert_cmpint (turn->n_fds, <=, MAX_FDS);
}

/* A signal may end a wait, but not make a mere look fail. */
static int
turn_poll (Turn *turn,
           int   timeout)
{
  int i, n;

  do
    {
      for (i = 0; i < turn->n_fds; i++)
        turn->fds[i].revents = 0;
      n = g_poll (turn->fds, turn->n_fds, timeout);
    }
  while (n < 0 && errno == EINTR && timeout == 0);
  return n;
}

static gboolean
turn_check (Turn *turn)
{
  return g_main_context_check (turn->loop, turn->priority, turn->fds, turn->n_fds);
}

static void
turn_finish (Turn *turn)
{
  turn_check (turn);
  g_main_context_dispatch (turn->loop);
}

static GMainContext *
new_owned_loop (void)
{
  GMainContext *loop = g_main_context_new ();

  g_assert_true (g_main_context_acquire (loop));
  return loop;
}

static void
free_owned_loop (GMainContext *loop)
{
  g_main_context_release (loop);
  g_main_context_unref (loop);
}

/* A source that counts its calls and says what it was told to say. */
typedef struct
{
  GSource parent;
  gboolean prepare_says;
  gboolean check_says;
  int prepared;
  int checked;
  int dispatched;
  gpointer data;
  void (*on_prepare) (GSource *source);
  void (*on_dispatch) (GSource *source);
} Probe;

static gboolean
probe_prepare (GSource *source,
               int     *timeout)
{
  Probe *probe = (Probe *) source;

  *timeout = -1;
  probe->prepared++;
  if (probe->on_prepare != NULL)
    probe->on_prepare (source);
  return probe->prepare_says;
}

static gboolean
probe_check (GSource *source)
{
  Probe *probe = (Probe *) source;

  probe->checked++;
  return probe->check_says;
}

static gboolean
probe_dispatch (GSource     *source,
                GSourceFunc  callback,
                gpointer     user_data)
{
  Probe *probe = (Probe *) source;

  probe->dispatched++;
  if (probe->on_dispatch != NULL)
    probe->on_dispatch (source);
  return callback == NULL || callback (user_data);
}

static GSourceFuncs probe_funcs = { probe_prepare, probe_check, probe_dispatch, NULL, NULL, NULL };

static Probe *
probe_new (GMainContext *loop,
           int           priority,
           gboolean      prepare_says,
           gboolean      check_says)
{
  Probe *probe = (Probe *) g_source_new (&probe_funcs, sizeof *probe);

  probe->prepare_says = prepare_says;
  probe->check_says = check_says;
  g_source_set_priority (&probe->parent, priority);
  g_source_attach (&probe->parent, loop);
  return probe;
}

static void
probe_free (Probe *probe)
{
  g_source_destroy (&probe->parent);
  g_source_unref (&probe->parent);
}

/* What GLib does. */

static void
test_glib_ready_sticks (void)
{
  GMainContext *loop = new_owned_loop ();
  Probe *probe = probe_new (loop, G_PRIORITY_LOW, TRUE, FALSE);
  Probe *greedy;
  int i;

  g_test_summary ("G1: after prepare() said TRUE neither it nor check() comes before dispatch()");

  g_assert_true (g_main_context_pending (loop));
  probe->prepare_says = FALSE;
  greedy = probe_new (loop, G_PRIORITY_DEFAULT, FALSE, TRUE);
  for (i = 0; i < 5; i++)
    {
      g_assert_true (g_main_context_pending (loop));
      g_main_context_iteration (loop, FALSE);
    }
  g_assert_cmpint (greedy->dispatched, ==, 5);
  g_assert_cmpint (probe->prepared, ==, 1);
  g_assert_cmpint (probe->checked, ==, 0);
  g_assert_cmpint (probe->dispatched, ==, 0);

  probe_free (greedy);
  g_main_context_iteration (loop, FALSE);
  g_assert_cmpint (probe->dispatched, ==, 1);
  g_assert_cmpint (probe->prepared, ==, 1);
  g_assert_cmpint (probe->checked, ==, 0);
  g_main_context_iteration (loop, FALSE);
  g_assert_cmpint (probe->prepared, ==, 2);

  probe_free (probe);
  free_owned_loop (loop);
}

static void *
change_poll_set (void *data)
{
  Turn *turn = data;
  GPollFD record = { .fd = turn->fds[0].fd, .events = G_IO_IN };

  g_main_context_add_poll (turn->loop, &record, G_PRIORITY_DEFAULT);
  g_main_context_remove_poll (turn->loop, &record);
  return NULL;
}

static void
test_glib_poll_set_changes (void)
{
  GMainContext *loop = new_owned_loop ();
  Probe *probe = probe_new (loop, G_PRIORITY_DEFAULT, FALSE, TRUE);
  Turn turn;

  g_test_summary ("G2: when the poll set changes during poll, check() is not called");

  turn_prepare (&turn, loop);
  thread_run (change_poll_set, &turn);
  turn_poll (&turn, 0);
  g_assert_false (turn_check (&turn));
  g_main_context_dispatch (loop);
  g_assert_cmpint (probe->prepared, ==, 1);
  g_assert_cmpint (probe->checked, ==, 0);
  g_assert_cmpint (probe->dispatched, ==, 0);
  turn_prepare (&turn, loop);
  g_assert_cmpint (probe->prepared, ==, 2);

  probe_free (probe);
  free_owned_loop (loop);
}

static void
test_glib_starved (void)
{
  GMainContext *loop = new_owned_loop ();
  Probe *probe = probe_new (loop, G_PRIORITY_LOW, FALSE, TRUE);
  Probe *greedy = probe_new (loop, G_PRIORITY_DEFAULT, TRUE, FALSE);
  int i;

  g_test_summary ("G3: under a ready source of higher priority our phases are left out, from "
                  "prepare() on, from check() on, or dispatch() alone");

  for (i = 0; i < 5; i++)
    g_main_context_iteration (loop, FALSE);
  g_assert_cmpint (probe->prepared, ==, 0);

  greedy->prepare_says = FALSE;
  greedy->check_says = TRUE;
  for (i = 0; i < 5; i++)
    g_main_context_iteration (loop, FALSE);
  g_assert_cmpint (probe->prepared, ==, 5);
  g_assert_cmpint (probe->checked, ==, 0);

  greedy->check_says = FALSE;
  g_assert_true (g_main_context_pending (loop));
  g_assert_cmpint (probe->checked, ==, 1);
  greedy->prepare_says = TRUE;
  for (i = 0; i < 5; i++)
    g_main_context_iteration (loop, FALSE);
  g_assert_cmpint (probe->checked, ==, 1);
  g_assert_cmpint (probe->dispatched, ==, 0);

  probe_free (greedy);
  probe_free (probe);
  free_owned_loop (loop);
}

static void
nested_query (GSource *source)
{
  Probe *probe = (Probe *) source;
  GMainContext *loop = g_source_get_context (source);
  int before = probe->prepared;
  Turn turn;

  turn_prepare (&turn, loop);
  g_assert_cmpint (turn.n_fds, ==, g_source_get_can_recurse (source) ? 2 : 1);
  g_assert_cmpint (probe->prepared, ==, before + (g_source_get_can_recurse (source) ? 1 : 0));
}

static void
test_glib_recursion (void)
{
  GMainContext *loop = new_owned_loop ();
  Probe *probe = probe_new (loop, G_PRIORITY_DEFAULT, FALSE, TRUE);
  Turn turn;
  GPollFD record;

  g_test_summary ("G5: without can_recurse a nested loop sees neither the source nor its fds");

  turn_prepare (&turn, loop);
  g_assert_cmpint (turn.n_fds, ==, 1);
  record = (GPollFD) { .fd = dup (turn.fds[0].fd), .events = G_IO_PRI };
  turn_poll (&turn, 0);
  turn_finish (&turn);

  g_source_add_poll (&probe->parent, &record);
  probe->on_dispatch = nested_query;
  g_main_context_iteration (loop, FALSE);
  g_source_set_can_recurse (&probe->parent, TRUE);
  g_main_context_iteration (loop, FALSE);
  g_assert_cmpint (probe->dispatched, ==, 3);

  probe_free (probe);
  close (record.fd);
  free_owned_loop (loop);
}

static void
test_glib_wakeups_cost (void)
{
  GMainContext *loop = new_owned_loop ();
  Probe *probe = probe_new (loop, G_PRIORITY_DEFAULT, FALSE, FALSE);
  int fd;
  Turn turn;

  g_test_summary ("G6: g_source_set_ready_time and g_main_context_wakeup write on each call");

  turn_prepare (&turn, loop);
  fd = turn.fds[0].fd;
  turn_poll (&turn, 0);
  turn_finish (&turn);
  if (unread_writes (fd) < 0)
    g_test_skip ("the wakeups of a GMainContext cannot be counted here");
  else
    {
      g_assert_cmpint (unread_writes (fd), ==, 0);
      g_main_context_wakeup (loop);
      g_main_context_wakeup (loop);
      g_assert_cmpint (unread_writes (fd), ==, 2);
      g_source_set_ready_time (&probe->parent, G_MAXINT64);
      g_source_set_ready_time (&probe->parent, G_MAXINT64 - 1);
      g_assert_cmpint (unread_writes (fd), ==, 4);
      g_source_set_ready_time (&probe->parent, G_MAXINT64 - 1);
      g_assert_cmpint (unread_writes (fd), ==, 4);
    }

  probe_free (probe);
  free_owned_loop (loop);
}

static void *
destroy_source (void *data)
{
  g_source_destroy (data);
  return NULL;
}

static void
destroy_from_thread (GSource *source)
{
  thread_run (destroy_source, source);
  g_assert_true (g_source_is_destroyed (source));
}

static void
attach_more (GSource *source)
{
  Probe *probe = (Probe *) source;

  if (probe->prepared == 1)
    probe_free (probe_new (g_source_get_context (source), G_PRIORITY_DEFAULT, FALSE, FALSE));
}

static void
test_glib_destroy (void)
{
  GMainContext *loop = new_owned_loop ();
  Probe *probe = probe_new (loop, G_PRIORITY_DEFAULT, TRUE, FALSE);
  GPollFD record = { .fd = 0, .events = 0 };

  g_test_summary ("G8: g_source_destroy does not wait for the callback; a destroyed source's fds "
                  "may not be removed; prepare() runs without the context's lock");

  probe->on_prepare = attach_more;
  probe->on_dispatch = destroy_from_thread;
  g_main_context_iteration (loop, FALSE);
  g_assert_cmpint (probe->dispatched, ==, 1);

  g_test_expect_message ("GLib", G_LOG_LEVEL_CRITICAL, "*g_source_remove_poll*SOURCE_DESTROYED*");
  g_source_remove_poll (&probe->parent, &record);
  g_test_assert_expected_messages ();

  g_source_unref (&probe->parent);
  free_owned_loop (loop);
}

static gboolean
keep_going (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static void
test_glib_callback_data (void)
{
  GMainContext *loop = g_main_context_new ();
  Probe *destroyed = probe_new (loop, G_PRIORITY_DEFAULT, FALSE, FALSE);
  Probe *orphaned = probe_new (loop, G_PRIORITY_DEFAULT, FALSE, FALSE);
  int dropped = 0;

  g_test_summary ("G8a: callback data is dropped at g_source_destroy and at the end of the "
                  "GMainContext, whoever holds the source");

  g_source_set_callback (&destroyed->parent, keep_going, &dropped, count);
  g_source_set_callback (&orphaned->parent, keep_going, &dropped, count);
  g_source_destroy (&destroyed->parent);
  g_assert_cmpint (dropped, ==, 1);
  g_main_context_unref (loop);
  g_assert_cmpint (dropped, ==, 2);
  g_assert_true (g_source_is_destroyed (&orphaned->parent));

  g_source_unref (&destroyed->parent);
  g_source_unref (&orphaned->parent);
}

static void *
attach_idle (void *data)
{
  GSource *source = g_idle_source_new ();

  g_source_set_callback (source, keep_going, NULL, NULL);
  g_source_attach (source, data);
  g_source_destroy (source);
  g_source_unref (source);
  return NULL;
}

static void
test_glib_ownerless (void)
{
  GMainContext *loop = g_main_context_new ();
  Turn turn;

  g_test_summary ("G9: polling a GMainContext that nobody owns loses wakeups");

  turn_prepare (&turn, loop);
  turn_poll (&turn, 0);
  turn_check (&turn);
  turn_prepare (&turn, loop);
  thread_run (attach_idle, loop);
  g_assert_cmpint (turn_poll (&turn, 0), ==, 0);
  turn_check (&turn);

  g_assert_true (g_main_context_acquire (loop));
  turn_prepare (&turn, loop);
  thread_run (attach_idle, loop);
  g_assert_cmpint (turn_poll (&turn, 0), ==, 1);
  turn_finish (&turn);
  free_owned_loop (loop);
}

/* What our source does. */

/* Several bottom halves that write their letter into a log. */
typedef struct _Letters Letters;

typedef struct
{
  Letters *letters;
  AioBH *bh;
  char letter;
} Letter;

struct _Letters
{
  AioContext *context;
  GMainContext *loop;
  Letter letter[6];
  GString *log;
};

static void
write_letter (gpointer data)
{
  Letter *letter = data;

  g_string_append_c (letter->letters->log, letter->letter);
}

static void
letters_init (Letters      *letters,
              GMainContext *loop,
              AioBHFunc     func)
{
  guint i;

  *letters = (Letters) { .context = aio_context_new_full ("letters", NULL), .loop = loop };
  letters->log = g_string_new (NULL);
  for (i = 0; i < G_N_ELEMENTS (letters->letter); i++)
    {
      Letter *letter = &letters->letter[i];

      letter->letters = letters;
      letter->letter = 'a' + i;
      letter->bh = aio_bh_new (letters->context, i == 0 ? func : write_letter, letter);
    }
}

static void
letters_schedule (Letters    *letters,
                  const char *which)
{
  for (; *which != '\0'; which++)
    {
      if (g_ascii_isupper (*which))
        aio_bh_schedule_idle (letters->letter[*which - 'A'].bh);
      else
        aio_bh_schedule (letters->letter[*which - 'a'].bh);
    }
}

static void
letters_expect (Letters    *letters,
                const char *log)
{
  g_assert_cmpstr (letters->log->str, ==, log);
  g_string_truncate (letters->log, 0);
}

static void
letters_clear (Letters *letters)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (letters->letter); i++)
    aio_bh_delete (letters->letter[i].bh);
  aio_context_unref (letters->context);
  g_string_free (letters->log, TRUE);
}

/* GLib wakes itself up for each new descriptor; that is over when this returns. */
static void
attach_and_settle (AioContext   *context,
                   GMainContext *loop)
{
  g_assert_cmpuint (aio_context_attach (context, loop), >, 0);
  g_assert_false (g_main_context_iteration (loop, FALSE));
}

static guint64
writes (AioContext *context)
{
  AioContextStats stats;

  aio_context_get_stats (context, &stats, sizeof stats);
  return stats.wakeups_sent;
}

static void
test_attach (void)
{
  g_autoptr (AioContext) context = aio_context_new_full ("traveller", NULL);
  g_autoptr (GMainContext) here = g_main_context_new ();
  g_autoptr (GMainContext) there = g_main_context_new ();
  int ran = 0;
  AioBH *bh = aio_bh_new (context, count, &ran);
  GSource *source;
  guint id;

  g_test_summary ("C18, C23: attach, detach, attach elsewhere; what is scheduled travels along");

  id = aio_context_attach (context, here);
  g_assert_cmpuint (id, >, 0);
  source = aio_context_get_source (context);
  g_assert_true (g_main_context_find_source_by_id (here, id) == source);
  g_assert_true (g_source_get_context (source) == here);
  aio_bh_schedule (bh);
  g_assert_true (g_main_context_iteration (here, FALSE));
  g_assert_cmpint (ran, ==, 1);

  aio_bh_schedule (bh);
  aio_context_detach (context);
  g_assert_null (g_main_context_find_source_by_id (here, id));
  g_assert_false (g_main_context_iteration (here, FALSE));
  g_assert_cmpint (ran, ==, 1);

  g_assert_cmpuint (aio_context_attach (context, there), >, 0);
  g_assert_false (g_main_context_iteration (here, FALSE));
  g_assert_true (g_main_context_iteration (there, FALSE));
  g_assert_cmpint (ran, ==, 2);

  aio_bh_schedule (bh);
  aio_context_detach (context);
  g_assert_true (aio_context_poll (context, TRUE));
  g_assert_cmpint (ran, ==, 3);
  aio_bh_delete (bh);
}

static void
test_attach_default (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  int ran = 0;

  g_test_summary ("C18: attach (NULL) means the default GMainContext");

  aio_context_attach (context, NULL);
  g_assert_true (g_source_get_context (aio_context_get_source (context)) ==
                 g_main_context_default ());
  aio_bh_schedule_oneshot (context, count, &ran);
  g_assert_true (g_main_context_iteration (NULL, FALSE));
  g_assert_cmpint (ran, ==, 1);
  aio_context_detach (context);
}

static void
test_phases (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters letters;
  Turn turn;

  g_test_summary ("C31, R13: 0 and TRUE with a normal BH, at most 10 ms and FALSE with idle ones "
                  "only, -1 and FALSE with none");

  letters_init (&letters, loop, write_letter);
  attach_and_settle (letters.context, loop);
  turn_prepare (&turn, loop);
  g_assert_false (turn.ready);
  g_assert_cmpint (turn.timeout, ==, -1);
  g_assert_cmpint (turn_poll (&turn, 0), ==, 0);
  g_assert_false (turn_check (&turn));

  letters_schedule (&letters, "A");
  turn_prepare (&turn, loop);
  g_assert_false (turn.ready);
  g_assert_cmpint (turn.timeout, >=, 0);
  g_assert_cmpint (turn.timeout, <=, 10);
  turn_poll (&turn, turn.timeout);
  turn_finish (&turn);
  while (letters.log->len == 0)
    g_main_context_iteration (loop, TRUE);
  letters_expect (&letters, "a");

  letters_schedule (&letters, "Bc");
  turn_prepare (&turn, loop);
  g_assert_true (turn.ready);
  g_assert_cmpint (turn.timeout, ==, 0);
  turn_finish (&turn);
  g_assert_cmpuint (letters.log->len, ==, 2);
  letters_expect (&letters, letters.log->str[0] == 'b' ? "bc" : "cb");

  turn_prepare (&turn, loop);
  g_assert_false (turn.ready);
  g_assert_cmpint (turn.timeout, ==, -1);
  letters_clear (&letters);
  free_owned_loop (loop);
}

static void
test_cancelled_phases (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters letters;
  Turn turn;
  int i;

  g_test_summary ("C31, C10: what was cancelled does not count, whenever it was cancelled");

  letters_init (&letters, loop, write_letter);
  attach_and_settle (letters.context, loop);
  for (i = 0; i < 4; i++)
    {
      letters_schedule (&letters, "aB");
      if (i > 0)
        turn_prepare (&turn, loop);
      aio_bh_cancel (letters.letter[0].bh);
      aio_bh_cancel (letters.letter[1].bh);
      if (i == 2)
        turn_poll (&turn, 0);
      if (i > 1)
        turn_finish (&turn);
      /* The first of these may come to a dispatch() that was due, the second may drain. */
      g_main_context_iteration (loop, FALSE);
      g_main_context_iteration (loop, FALSE);
      turn_prepare (&turn, loop);
      g_assert_false (turn.ready);
      g_assert_cmpint (turn.timeout, ==, -1);
      g_assert_cmpint (turn_poll (&turn, 0), ==, 0);
    }
  letters_expect (&letters, "");
  letters_clear (&letters);
  free_owned_loop (loop);
}

static void
test_dispatch_order (void)
{
  static const char *const orders[] = { "abcdef", "fedcba", "aBcDeF", "FedCBa", "ABCDEF", "aabba" };
  g_autoptr (GMainContext) loop = g_main_context_new ();
  Letters attached, polled;
  guint i;

  g_test_summary ("C31, C3: dispatch runs what aio_bh_poll would run, in its order");

  letters_init (&attached, loop, write_letter);
  letters_init (&polled, loop, write_letter);
  aio_context_attach (attached.context, loop);
  for (i = 0; i < G_N_ELEMENTS (orders); i++)
    {
      letters_schedule (&attached, orders[i]);
      letters_schedule (&polled, orders[i]);
      while (attached.log->len == 0)
        g_main_context_iteration (loop, TRUE);
      aio_bh_poll (polled.context);
      g_assert_cmpuint (polled.log->len, >, 0);
      g_assert_cmpstr (attached.log->str, ==, polled.log->str);
      letters_expect (&attached, polled.log->str);
      g_string_truncate (polled.log, 0);
    }
  letters_clear (&attached);
  letters_clear (&polled);
}

static void
test_sticky_notify (void)
{
  GMainContext *loop = new_owned_loop ();
  g_autoptr (AioContext) context = aio_context_new ();
  Turn turn;

  g_test_summary ("C12: a notify while nobody iterates makes the next prepare() not sleep, once");

  aio_context_attach (context, loop);
  aio_context_notify (context);
  aio_context_notify (context);
  turn_prepare (&turn, loop);
  g_assert_false (turn.ready);
  g_assert_cmpint (turn.timeout, ==, 0);
  turn_poll (&turn, 0);
  turn_finish (&turn);

  turn_prepare (&turn, loop);
  g_assert_cmpint (turn.timeout, ==, -1);
  g_assert_cmpint (turn_poll (&turn, 0), ==, 0);
  turn_finish (&turn);

  turn_prepare (&turn, loop);
  aio_context_notify (context);
  g_assert_cmpint (turn_poll (&turn, turn.timeout), ==, 1);
  turn_finish (&turn);
  turn_prepare (&turn, loop);
  g_assert_cmpint (turn_poll (&turn, 0), ==, 0);
  turn_finish (&turn);
  free_owned_loop (loop);
}

static void
test_notify_is_dispatched (void)
{
  g_autoptr (GMainContext) loop = g_main_context_new ();
  g_autoptr (AioContext) context = aio_context_new ();

  g_test_summary ("C12, C11: an iteration that a notify ended did something, the next one did not; "
                  "with a poll in between that takes the notify there is nothing to dispatch");

  aio_context_attach (context, loop);
  while (g_main_context_iteration (loop, FALSE))
    ;
  for (guint i = 0; i < 3; i++)
    {
      aio_context_notify (context);
      g_assert_true (g_main_context_iteration (loop, TRUE));
      g_assert_false (g_main_context_iteration (loop, FALSE));
    }
  aio_context_notify (context);
  g_assert_false (aio_context_poll (context, TRUE));
  g_assert_false (g_main_context_iteration (loop, FALSE));
  aio_context_detach (context);
}

static void
test_one_fd (void)
{
  GMainContext *loop = new_owned_loop ();
  g_autoptr (AioContext) context = aio_context_new ();
  AioBH *bhs[100];
  Turn turn;
  guint i;

  g_test_summary ("C31, G6: one polled descriptor whatever hangs on it, and none after detach");

  turn_prepare (&turn, loop);
  g_assert_cmpint (turn.n_fds, ==, 1);
  aio_context_attach (context, loop);
  turn_prepare (&turn, loop);
  g_assert_cmpint (turn.n_fds, ==, 2);
  for (i = 0; i < G_N_ELEMENTS (bhs); i++)
    bhs[i] = aio_bh_new (context, nothing, NULL);
  turn_prepare (&turn, loop);
  g_assert_cmpint (turn.n_fds, ==, 2);
  for (i = 0; i < G_N_ELEMENTS (bhs); i++)
    aio_bh_delete (bhs[i]);
  aio_context_detach (context);
  turn_prepare (&turn, loop);
  g_assert_cmpint (turn.n_fds, ==, 1);
  free_owned_loop (loop);
}

static void *
schedule_and_cancel (void *data)
{
  aio_bh_schedule (data);
  g_assert_true (aio_bh_cancel (data));
  return NULL;
}

static void
test_drained_for_nothing (void)
{
  GMainContext *loop = new_owned_loop ();
  g_autoptr (AioContext) context = aio_context_new ();
  AioBH *bh = aio_bh_new (context, nothing, NULL);
  int i, with_check;
  Turn turn;

  g_test_summary ("G7: the descriptor is drained also when nothing is dispatched, else it spins");

  attach_and_settle (context, loop);
  for (with_check = 0; with_check < 2; with_check++)
    {
      turn_prepare (&turn, loop);
      thread_run (schedule_and_cancel, bh);
      g_assert_cmpint (turn_poll (&turn, turn.timeout), ==, 1);
      if (with_check)
        turn_finish (&turn);
      for (i = 0; i < 3; i++)
        {
          turn_prepare (&turn, loop);
          turn_poll (&turn, 0);
          turn_finish (&turn);
        }
      turn_prepare (&turn, loop);
      g_assert_cmpint (turn.timeout, ==, -1);
      g_assert_cmpint (turn_poll (&turn, 0), ==, 0);
      turn_finish (&turn);
    }
  aio_bh_delete (bh);
  free_owned_loop (loop);
}

static void
test_cancelled_while_ready (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters letters;
  Turn turn;

  g_test_summary ("G1: dispatch() may come long after prepare(), with nothing pending any more");

  letters_init (&letters, loop, write_letter);
  aio_context_attach (letters.context, loop);
  letters_schedule (&letters, "a");
  g_assert_true (g_main_context_pending (loop));
  g_assert_true (aio_bh_cancel (letters.letter[0].bh));
  g_main_context_iteration (loop, FALSE);
  letters_expect (&letters, "");

  letters_schedule (&letters, "b");
  g_assert_true (g_main_context_pending (loop));
  g_assert_true (g_main_context_pending (loop));
  g_assert_true (aio_context_poll (letters.context, FALSE));
  letters_expect (&letters, "b");
  g_main_context_iteration (loop, FALSE);

  turn_prepare (&turn, loop);
  g_assert_false (turn.ready);
  g_assert_cmpint (turn.timeout, ==, -1);
  turn_finish (&turn);
  letters_expect (&letters, "");
  letters_clear (&letters);
  free_owned_loop (loop);
}

static void *
schedule_it (void *data)
{
  aio_bh_schedule (data);
  return NULL;
}

static void
test_poll_set_changes (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters letters;
  Turn turn;

  g_test_summary ("G2: nothing is lost when check() is left out because the poll set has changed");

  letters_init (&letters, loop, write_letter);
  attach_and_settle (letters.context, loop);
  turn_prepare (&turn, loop);
  thread_run (schedule_it, letters.letter[0].bh);
  thread_run (change_poll_set, &turn);
  turn_poll (&turn, turn.timeout);
  turn_finish (&turn);
  letters_expect (&letters, "");
  turn_prepare (&turn, loop);
  turn_poll (&turn, turn.timeout);
  turn_finish (&turn);
  letters_expect (&letters, "a");

  turn_prepare (&turn, loop);
  turn_poll (&turn, 0);
  turn_finish (&turn);
  turn_prepare (&turn, loop);
  g_assert_cmpint (turn_poll (&turn, 0), ==, 0);
  letters_clear (&letters);
  free_owned_loop (loop);
}

static void
schedule_data (GSource *source)
{
  aio_bh_schedule (((Probe *) source)->data);
}

static void
schedule_and_cancel_data (GSource *source)
{
  schedule_and_cancel (((Probe *) source)->data);
}

static void
test_starved (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters letters;
  Probe *greedy;
  guint64 before;
  int i;

  g_test_summary ("G3, C15: starved by a higher priority nothing is lost, and it costs at most one "
                  "write per prepare()");

  letters_init (&letters, loop, write_letter);
  attach_and_settle (letters.context, loop);

  before = writes (letters.context);
  greedy = probe_new (loop, G_PRIORITY_HIGH, FALSE, TRUE);
  greedy->data = letters.letter[0].bh;
  greedy->on_dispatch = schedule_and_cancel_data;
  for (i = 0; i < 20; i++)
    g_main_context_iteration (loop, FALSE);
  g_assert_cmpint (greedy->dispatched, ==, 20);
  g_assert_cmpuint (writes (letters.context) - before, <=, 20);

  greedy->on_dispatch = schedule_data;
  for (i = 0; i < 20; i++)
    g_main_context_iteration (loop, FALSE);

  before = writes (letters.context);
  greedy->prepare_says = TRUE;
  for (i = 0; i < 20; i++)
    g_main_context_iteration (loop, FALSE);
  g_assert_cmpuint (writes (letters.context) - before, <=, 1);
  letters_expect (&letters, "");

  probe_free (greedy);
  g_main_context_iteration (loop, FALSE);
  letters_expect (&letters, "a");
  letters_clear (&letters);
  free_owned_loop (loop);
}

static void
test_starved_before_prepare (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters letters;
  Probe *greedy;
  guint64 before;
  int i;

  g_test_summary ("G3, C15: what is scheduled while not even prepare() is called is run later, for "
                  "one write at most");

  letters_init (&letters, loop, write_letter);
  aio_context_attach (letters.context, loop);
  greedy = probe_new (loop, G_PRIORITY_HIGH, TRUE, FALSE);
  before = writes (letters.context);
  for (i = 0; i < 20; i++)
    {
      thread_run (schedule_it, letters.letter[i % 6].bh);
      g_main_context_iteration (loop, FALSE);
    }
  g_assert_cmpuint (writes (letters.context) - before, <=, 1);
  letters_expect (&letters, "");
  probe_free (greedy);
  g_main_context_iteration (loop, FALSE);
  letters_expect (&letters, "abcdef");
  letters_clear (&letters);
  free_owned_loop (loop);
}

static void
notify_context (gpointer context)
{
  aio_context_notify (context);
}

static void
test_notify_in_own_poll_between (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters letters;
  Turn turn;

  g_test_summary ("C12, R5: a notification out of a poll of our own between GLib's prepare and its "
                  "poll is there for the next of our own, and GLib's poll ends, too");

  letters_init (&letters, loop, write_letter);
  attach_and_settle (letters.context, loop);
  turn_prepare (&turn, loop);
  aio_bh_schedule_oneshot (letters.context, notify_context, letters.context);
  g_assert_true (aio_context_poll (letters.context, TRUE));
  /* Does not sleep: the notification is younger than the iteration that it came out of. */
  g_assert_false (aio_context_poll (letters.context, TRUE));
  g_assert_cmpint (turn_poll (&turn, turn.timeout), ==, 1);
  turn_finish (&turn);
  letters_clear (&letters);
  free_owned_loop (loop);
}

static void
notify_when_set (AioEventNotifier *notifier)
{
  aio_event_notifier_test_and_clear (notifier);
  aio_context_notify (aio_context_get_current ());
}

static void
test_handler_notifies_between (void)
{
  GMainContext *loop = new_owned_loop ();
  AioEventNotifier notifier;
  Letters letters;
  Turn turn;

  g_test_summary ("C12, R5: the same out of a handler of a descriptor, which wakes the sleeper in "
                  "its own way");

  letters_init (&letters, loop, write_letter);
  g_assert_true (aio_event_notifier_init (&notifier, FALSE, NULL));
  aio_context_set_event_notifier (letters.context, &notifier, notify_when_set, NULL, NULL);
  attach_and_settle (letters.context, loop);
  turn_prepare (&turn, loop);
  aio_event_notifier_set (&notifier);
  g_assert_true (aio_context_poll (letters.context, TRUE));
  g_assert_false (aio_context_poll (letters.context, TRUE));
  g_assert_cmpint (turn_poll (&turn, turn.timeout), ==, 1);
  turn_finish (&turn);
  aio_context_set_event_notifier (letters.context, &notifier, NULL, NULL, NULL);
  aio_event_notifier_clear (&notifier);
  letters_clear (&letters);
  free_owned_loop (loop);
}

static gboolean
nothing_invoked (gpointer       data,
                 GCancellable  *cancellable,
                 GError       **error)
{
  return TRUE;
}

static void
bh_poll_it (AioContext *context)
{
  g_assert_cmpint (aio_bh_poll (context), ==, 0);
}

static void
invoke_in_it (AioContext *context)
{
  g_assert_true (aio_context_invoke_sync (context, nothing_invoked, NULL, NULL, NULL));
}

/* Neither begins an iteration, nor does the end of the source. */
static void
test_notified_before_visit (void)
{
  static void (*const visits[]) (AioContext *context) =
    { bh_poll_it, invoke_in_it, aio_context_detach };

  g_test_summary ("C12, R5: a notification between GLib's prepare and its poll stays for the next "
                  "iteration when something comes in between that is none");

  for (guint i = 0; i < G_N_ELEMENTS (visits); i++)
    {
      GMainContext *loop = new_owned_loop ();
      Letters letters;
      Turn turn;

      letters_init (&letters, loop, write_letter);
      attach_and_settle (letters.context, loop);
      turn_prepare (&turn, loop);
      aio_context_notify (letters.context);
      visits[i] (letters.context);
      /* Does not sleep. */
      g_assert_false (aio_context_poll (letters.context, TRUE));
      g_assert_cmpint (turn_poll (&turn, 0), >=, visits[i] != aio_context_detach);
      turn_finish (&turn);
      letters_clear (&letters);
      free_owned_loop (loop);
    }
}

static void
test_dispatch_between (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters letters;
  Turn turn;

  g_test_summary ("G4, R5: a dispatch for a foreign loop between GLib's prepare and its poll does "
                  "not end GLib's sleep: what is scheduled then does");

  letters_init (&letters, loop, write_letter);
  attach_and_settle (letters.context, loop);
  turn_prepare (&turn, loop);
  g_assert_cmpint (turn.timeout, ==, -1);
  aio_context_dispatch (letters.context);
  thread_run (schedule_it, letters.letter[0].bh);
  g_assert_cmpint (turn_poll (&turn, 0), ==, 1);
  turn_finish (&turn);
  letters_expect (&letters, "a");
  letters_clear (&letters);
  free_owned_loop (loop);
}

static gboolean
poll_and_notify (AioEventNotifier *notifier)
{
  aio_context_notify (aio_context_get_current ());
  return FALSE;
}

static void
test_busy_poll_between (void)
{
  GMainContext *loop = new_owned_loop ();
  AioContext *context = aio_context_new ();
  AioEventNotifier notifier;
  Turn turn;

  g_test_summary ("C12, R5: a notification during the busy look of a poll between GLib's prepare "
                  "and its poll ends GLib's poll, too");

  g_assert_true (aio_event_notifier_init (&notifier, FALSE, NULL));
  aio_context_set_event_notifier (context, &notifier, notify_when_set, poll_and_notify, NULL);
  g_assert_true (aio_context_set_busy_poll (context, G_MAXINT64, NULL));
  attach_and_settle (context, loop);
  turn_prepare (&turn, loop);
  g_assert_cmpint (turn.timeout, ==, -1);
  g_assert_false (aio_context_poll (context, TRUE));
  g_assert_cmpint (turn_poll (&turn, 0), ==, 1);
  turn_finish (&turn);
  aio_context_set_event_notifier (context, &notifier, NULL, NULL, NULL);
  aio_event_notifier_clear (&notifier);
  aio_context_unref (context);
  free_owned_loop (loop);
}

static void
test_own_poll_between (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters letters;
  Turn turn;
  int blocking;

  g_test_summary ("G4, R5: a poll of our own between GLib's prepare and its poll leaves the "
                  "context asleep: what is scheduled then ends GLib's poll");

  letters_init (&letters, loop, write_letter);
  attach_and_settle (letters.context, loop);
  for (blocking = 0; blocking < 2; blocking++)
    {
      turn_prepare (&turn, loop);
      g_assert_cmpint (turn.timeout, ==, -1);
      if (blocking)
        letters_schedule (&letters, "b");
      g_assert_cmpint (aio_context_poll (letters.context, blocking), ==, blocking);
      thread_run (schedule_it, letters.letter[0].bh);
      g_assert_cmpint (turn_poll (&turn, turn.timeout), ==, 1);
      turn_finish (&turn);
      letters_expect (&letters, blocking ? "ba" : "a");
    }
  letters_clear (&letters);
  free_owned_loop (loop);
}

static void
write_and_schedule_next (gpointer data)
{
  Letter *letter = data;

  write_letter (letter);
  letters_schedule (letter->letters, "b");
}

static void
test_own_poll_leaves_work (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters letters;
  Turn turn;
  int how;

  g_test_summary ("G4: if such a poll leaves something pending it writes the descriptor itself");

  letters_init (&letters, loop, write_and_schedule_next);
  attach_and_settle (letters.context, loop);
  for (how = 0; how < 3; how++)
    {
      turn_prepare (&turn, loop);
      g_assert_cmpint (turn.timeout, ==, -1);
      letters_schedule (&letters, "a");
      if (how == 2)
        g_assert_cmpint (aio_bh_poll (letters.context), ==, 1);
      else
        g_assert_true (aio_context_poll (letters.context, how == 1));
      letters_expect (&letters, "a");
      g_assert_cmpint (turn_poll (&turn, turn.timeout), ==, 1);
      turn_finish (&turn);
      letters_expect (&letters, "b");
    }
  letters_clear (&letters);
  free_owned_loop (loop);
}

static void
check_drained (gpointer data)
{
  Letter *letter = data;

  g_assert_cmpint (unread_writes (aio_context_get_fd (letter->letters->context)), ==, 0);
  write_letter (letter);
}

static void *
schedule_all_thrice (void *data)
{
  letters_schedule (data, "abcdefabcdefabcdef");
  return NULL;
}

static void
test_one_write_per_sleep (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters letters;
  pthread_t threads[4];
  guint64 before;
  guint i, round;
  Turn turn;

  g_test_summary ("C15, G7: however many producers, one write per prepare() that returned FALSE; "
                  "it is read before anything runs");

  letters_init (&letters, loop, check_drained);
  attach_and_settle (letters.context, loop);
  for (round = 0; round < 20; round++)
    {
      turn_prepare (&turn, loop);
      g_assert_false (turn.ready);
      before = writes (letters.context);
      for (i = 0; i < G_N_ELEMENTS (threads); i++)
        threads[i] = thread_start (schedule_all_thrice, &letters);
      for (i = 0; i < G_N_ELEMENTS (threads); i++)
        thread_join (threads[i]);
      g_assert_cmpuint (writes (letters.context) - before, ==, 1);
      g_assert_cmpint (unread_writes (aio_context_get_fd (letters.context)), ==, 1);
      g_assert_cmpint (turn_poll (&turn, turn.timeout), ==, 1);
      turn_finish (&turn);
      g_assert_cmpuint (letters.log->len, ==, 6);
      g_string_truncate (letters.log, 0);
      g_assert_cmpint (unread_writes (aio_context_get_fd (letters.context)), ==, 0);
    }
  letters_clear (&letters);
  free_owned_loop (loop);
}

static void
check_no_writes (gpointer data)
{
  Letter *letter = data;
  AioContext *context = letter->letters->context;
  guint64 before = writes (context);

  write_letter (letter);
  thread_run (schedule_all_thrice, letter->letters);
  letters_schedule (letter->letters, "fedcba");
  aio_context_notify (context);
  g_assert_cmpuint (writes (context), ==, before);
  g_assert_cmpint (unread_writes (aio_context_get_fd (context)), ==, 0);
}

static void
test_no_writes_awake (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters letters;
  guint64 before;
  Turn turn;

  g_test_summary ("C15, G4: no write while this context dispatches, nor after prepare() said TRUE");

  letters_init (&letters, loop, check_no_writes);
  attach_and_settle (letters.context, loop);
  letters_schedule (&letters, "a");
  g_main_context_iteration (loop, FALSE);
  g_assert_cmpint (letters.log->str[0], ==, 'a');
  aio_bh_cancel (letters.letter[0].bh);
  while (g_main_context_iteration (loop, FALSE))
    ;
  g_string_truncate (letters.log, 0);

  letters_schedule (&letters, "b");
  turn_prepare (&turn, loop);
  g_assert_true (turn.ready);
  before = writes (letters.context);
  thread_run (schedule_it, letters.letter[2].bh);
  letters_schedule (&letters, "d");
  g_assert_cmpuint (writes (letters.context), ==, before);
  turn_finish (&turn);
  letters_expect (&letters, "bcd");
  letters_clear (&letters);
  free_owned_loop (loop);
}

static void
iterate_nested (gpointer data)
{
  Letter *letter = data;
  Letters *letters = letter->letters;

  write_letter (letter);
  if (letters->log->len > 1)
    return;
  letters_schedule (letters, "da");
  g_main_context_iteration (letters->loop, FALSE);
  g_string_append_c (letters->log, '.');
}

static void
poll_nested (gpointer data)
{
  Letter *letter = data;
  Letters *letters = letter->letters;

  write_letter (letter);
  if (letters->log->len > 1)
    return;
  letters_schedule (letters, "da");
  g_assert_true (aio_context_poll (letters->context, TRUE));
  g_string_append_c (letters->log, '.');
}

static void
test_nested (void)
{
  static const AioBHFunc nests[] = { iterate_nested, poll_nested };
  guint i, outer;

  g_test_summary ("C13: a nested iteration, of either kind inside either kind, first continues the "
                  "interrupted pass, then does what is new; BHs may be entered again");

  for (i = 0; i < G_N_ELEMENTS (nests); i++)
    {
      for (outer = 0; outer < 2; outer++)
        {
          g_autoptr (GMainContext) loop = g_main_context_new ();
          Letters letters;

          letters_init (&letters, loop, nests[i]);
          aio_context_attach (letters.context, loop);
          letters_schedule (&letters, "abc");
          if (outer == 0)
            g_assert_true (g_main_context_iteration (loop, FALSE));
          else
            g_assert_true (aio_context_poll (letters.context, FALSE));
          letters_expect (&letters, "abcda.");
          g_assert_false (g_main_context_iteration (loop, FALSE));
          letters_expect (&letters, "");
          letters_clear (&letters);
        }
    }
}

#define DEPTH 100

typedef struct
{
  AioContext *context;
  GMainContext *loop;
  AioBH *bhs[DEPTH];
  int begun;
  int ended;
} Chain;

static void
wait_for_next (gpointer data)
{
  Chain *chain = data;
  int mine = chain->begun++;

  while (mine < DEPTH - 1 && chain->begun <= mine + 1)
    {
      if (mine % 2 == 0)
        g_main_context_iteration (chain->loop, TRUE);
      else
        aio_context_poll (chain->context, TRUE);
    }
  chain->ended++;
}

static void
test_nested_deep (void)
{
  g_autoptr (GMainContext) loop = g_main_context_new ();
  Chain chain = { .context = aio_context_new_full ("chain", NULL), .loop = loop };
  int i;

  g_test_summary ("C13, R11, R2: each BH of a pass iterates until the next of the same pass has "
                  "run, a hundred deep");

  aio_context_attach (chain.context, loop);
  for (i = 0; i < DEPTH; i++)
    {
      chain.bhs[i] = aio_bh_new (chain.context, wait_for_next, &chain);
      aio_bh_schedule (chain.bhs[i]);
    }
  g_main_context_iteration (loop, TRUE);
  g_assert_cmpint (chain.ended, ==, DEPTH);
  g_assert_cmpint (chain.begun, ==, DEPTH);
  for (i = 0; i < DEPTH; i++)
    aio_bh_delete (chain.bhs[i]);
  aio_context_unref (chain.context);
}

static void
write_and_detach (gpointer data)
{
  Letter *letter = data;

  write_letter (letter);
  aio_context_detach (letter->letters->context);
}

static void
write_and_move (gpointer data)
{
  Letter *letter = data;

  write_and_detach (letter);
  aio_context_attach (letter->letters->context, letter->letters->loop);
}

static void
test_detach_in_callback (void)
{
  g_autoptr (GMainContext) loop = g_main_context_new ();
  g_autoptr (GMainContext) other = g_main_context_new ();
  Letters letters;

  g_test_summary ("C16: a detach in a callback ends the pass after it; the rest stays pending");

  letters_init (&letters, loop, write_and_detach);
  aio_context_attach (letters.context, loop);
  letters_schedule (&letters, "abc");
  g_main_context_iteration (loop, FALSE);
  letters_expect (&letters, "a");
  g_assert_false (g_main_context_iteration (loop, FALSE));
  letters_expect (&letters, "");
  aio_context_attach (letters.context, other);
  g_assert_true (g_main_context_iteration (other, FALSE));
  letters_expect (&letters, "bc");

  letters_clear (&letters);

  letters_init (&letters, other, write_and_move);
  aio_context_attach (letters.context, loop);
  letters_schedule (&letters, "abc");
  g_main_context_iteration (loop, FALSE);
  letters_expect (&letters, "a");
  g_assert_false (g_main_context_iteration (loop, FALSE));
  g_assert_true (g_main_context_iteration (other, FALSE));
  letters_expect (&letters, "bc");
  letters_clear (&letters);
}

static void
test_detach_in_own_poll (void)
{
  g_autoptr (GMainContext) loop = g_main_context_new ();
  Letters letters;

  g_test_summary ("C11, C16: a poll of our own runs what was pending, detached meanwhile or not");

  letters_init (&letters, loop, write_and_detach);
  aio_context_attach (letters.context, loop);
  letters_schedule (&letters, "abc");
  g_assert_true (aio_context_poll (letters.context, FALSE));
  letters_expect (&letters, "abc");
  g_assert_true (g_main_context_acquire (loop));
  g_main_context_release (loop);
  letters_clear (&letters);
}

static void
write_and_destroy (gpointer data)
{
  Letter *letter = data;

  write_letter (letter);
  g_source_destroy (aio_context_get_source (letter->letters->context));
}

static void
test_destroy_in_callback (void)
{
  g_autoptr (GMainContext) loop = g_main_context_new ();
  Letters letters;

  g_test_summary ("C23, G8: g_source_destroy in a callback loses nothing either");

  letters_init (&letters, loop, write_and_destroy);
  aio_context_attach (letters.context, loop);
  letters_schedule (&letters, "abc");
  g_main_context_iteration (loop, FALSE);
  g_assert_false (g_main_context_iteration (loop, FALSE));
  aio_context_poll (letters.context, FALSE);
  letters_expect (&letters, "abc");
  letters_clear (&letters);
}

static void
test_destroyed_elsewhere (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters letters;
  Turn turn;

  g_test_summary ("G8, R20: another thread may destroy the shell while the loop is about to poll");

  letters_init (&letters, loop, write_letter);
  aio_context_attach (letters.context, loop);
  turn_prepare (&turn, loop);
  thread_run (destroy_source, aio_context_get_source (letters.context));
  letters_schedule (&letters, "a");
  turn_poll (&turn, 0);
  turn_finish (&turn);
  letters_expect (&letters, "");
  aio_context_attach (letters.context, loop);
  g_assert_true (g_main_context_iteration (loop, FALSE));
  letters_expect (&letters, "a");
  letters_clear (&letters);
  free_owned_loop (loop);
}

static void
test_attached_by_hand (void)
{
  g_autoptr (GMainContext) loop = g_main_context_new ();
  Letters letters;

  g_test_summary ("C18, C23: a shell attached with g_source_attach works like any other");

  letters_init (&letters, loop, write_letter);
  g_source_attach (aio_context_get_source (letters.context), loop);
  letters_schedule (&letters, "ab");
  g_assert_true (g_main_context_iteration (loop, FALSE));
  letters_expect (&letters, "ab");
  aio_context_detach (letters.context);
  letters_schedule (&letters, "c");
  g_assert_false (g_main_context_iteration (loop, FALSE));
  aio_context_attach (letters.context, loop);
  g_assert_true (g_main_context_iteration (loop, FALSE));
  letters_expect (&letters, "c");
  letters_clear (&letters);
}

/* Ways to iterate. Each event waits until the one before it was seen, so that a lost wakeup is
 * not repaired by the next event. */
typedef struct
{
  AioContext *context;
  GMainContext *loop;
  GMainLoop *running;
  AioBH *bh;
  atomic_int seen;
  int goal;
  guint turns;
} Mixed;

static void
see (gpointer data)
{
  Mixed *mixed = data;

  atomic_fetch_add (&mixed->seen, 1);
  if (mixed->running != NULL)
    g_main_loop_quit (mixed->running);
}

static void *
schedule_one_by_one (void *data)
{
  Mixed *mixed = data;
  int i;

  for (i = 0; i < mixed->goal; i++)
    {
      aio_bh_schedule (mixed->bh);
      while (atomic_load (&mixed->seen) == i)
        sched_yield ();
    }
  return NULL;
}

static void
way_iteration (Mixed *mixed)
{
  g_main_context_iteration (mixed->loop, TRUE);
}

static void
way_may_not_block (Mixed *mixed)
{
  g_main_context_iteration (mixed->loop, FALSE);
}

static void
way_run (Mixed *mixed)
{
  mixed->running = g_main_loop_new (mixed->loop, FALSE);
  g_main_loop_run (mixed->running);
  g_clear_pointer (&mixed->running, g_main_loop_unref);
}

static void
way_pending (Mixed *mixed)
{
  g_main_context_pending (mixed->loop);
  g_main_context_iteration (mixed->loop, TRUE);
}

static void
way_foreign (Mixed *mixed)
{
  Turn turn;

  turn_prepare (&turn, mixed->loop);
  turn_poll (&turn, turn.timeout);
  turn_finish (&turn);
}

static void
way_foreign_skips_check (Mixed *mixed)
{
  Turn turn;

  turn_prepare (&turn, mixed->loop);
  turn_poll (&turn, turn.timeout);
  if (mixed->turns++ % 3 == 0)
    turn_finish (&turn);
}

static void
way_foreign_changes_poll_set (Mixed *mixed)
{
  Turn turn;

  turn_prepare (&turn, mixed->loop);
  if (mixed->turns++ % 2 == 0)
    change_poll_set (&turn);
  turn_poll (&turn, turn.timeout);
  turn_finish (&turn);
}

static void
way_foreign_own_poll_between (Mixed *mixed)
{
  Turn turn;

  turn_prepare (&turn, mixed->loop);
  aio_context_poll (mixed->context, FALSE);
  if (atomic_load (&mixed->seen) < mixed->goal)
    turn_poll (&turn, turn.timeout);
  turn_finish (&turn);
}

static void
way_own (Mixed *mixed)
{
  aio_context_poll (mixed->context, TRUE);
}

static void
way_own_may_not_block (Mixed *mixed)
{
  aio_context_poll (mixed->context, FALSE);
}

static void
way_bh_poll (Mixed *mixed)
{
  aio_bh_poll (mixed->context);
}

static void (*const ways[]) (Mixed *mixed) = {
  way_iteration, way_may_not_block, way_run, way_pending, way_foreign, way_foreign_skips_check,
  way_foreign_changes_poll_set, way_foreign_own_poll_between, way_own, way_own_may_not_block,
  way_bh_poll,
};

static void
mixed_init (Mixed *mixed,
            int    goal)
{
  *mixed = (Mixed) { .context = aio_context_new_full ("mixed", NULL), .goal = goal };
  mixed->loop = new_owned_loop ();
  mixed->bh = aio_bh_new (mixed->context, see, mixed);
  aio_context_attach (mixed->context, mixed->loop);
}

static void
mixed_clear (Mixed *mixed)
{
  g_assert_cmpint (atomic_load (&mixed->seen), ==, mixed->goal);
  aio_bh_delete (mixed->bh);
  aio_context_unref (mixed->context);
  free_owned_loop (mixed->loop);
}

static void
test_each_way (void)
{
  guint i;

  g_test_summary ("C18: every event is seen, whichever way the loop is driven");

  for (i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      pthread_t thread;
      Mixed mixed;

      mixed_init (&mixed, 200);
      thread = thread_start (schedule_one_by_one, &mixed);
      while (atomic_load (&mixed.seen) < mixed.goal)
        ways[i] (&mixed);
      thread_join (thread);
      mixed_clear (&mixed);
    }
}

static void
test_all_ways (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (18);
  pthread_t thread;
  Mixed mixed;

  g_test_summary ("C18: and in any mixture of the ways");

  mixed_init (&mixed, 2000);
  thread = thread_start (schedule_one_by_one, &mixed);
  while (atomic_load (&mixed.seen) < mixed.goal)
    ways[g_rand_int_range (rand, 0, G_N_ELEMENTS (ways))] (&mixed);
  thread_join (thread);
  mixed_clear (&mixed);
}

static void
test_several (void)
{
  static const int priorities[] = { G_PRIORITY_LOW, G_PRIORITY_HIGH, G_PRIORITY_DEFAULT };
  g_autoptr (GMainContext) loop = g_main_context_new ();
  Letters letters[3];
  guint i;

  g_test_summary ("C19: contexts in one GMainContext run by priority and do not see each other");

  for (i = 0; i < G_N_ELEMENTS (letters); i++)
    {
      letters_init (&letters[i], loop, write_letter);
      aio_context_set_priority (letters[i].context, priorities[i]);
      aio_context_attach (letters[i].context, loop);
    }
  g_assert_false (g_main_context_iteration (loop, FALSE));
  letters_schedule (&letters[0], "ab");
  letters_schedule (&letters[1], "cd");
  letters_schedule (&letters[2], "ef");

  g_assert_true (g_main_context_iteration (loop, FALSE));
  letters_expect (&letters[1], "cd");
  letters_expect (&letters[2], "");
  g_assert_true (g_main_context_iteration (loop, FALSE));
  letters_expect (&letters[2], "ef");
  letters_expect (&letters[0], "");
  g_assert_true (g_main_context_iteration (loop, FALSE));
  letters_expect (&letters[0], "ab");
  g_assert_false (g_main_context_iteration (loop, FALSE));

  letters_schedule (&letters[0], "a");
  aio_context_poll (letters[0].context, FALSE);
  letters_expect (&letters[0], "a");
  for (i = 0; i < G_N_ELEMENTS (letters); i++)
    letters_clear (&letters[i]);
}

static void
test_neighbours_sleep (void)
{
  GMainContext *loop = new_owned_loop ();
  Letters first, second;
  Turn turn;

  g_test_summary ("C19, C15: an event of one context writes nothing for its neighbour");

  letters_init (&first, loop, write_letter);
  letters_init (&second, loop, write_letter);
  attach_and_settle (first.context, loop);
  attach_and_settle (second.context, loop);
  turn_prepare (&turn, loop);
  letters_schedule (&first, "a");
  g_assert_cmpint (turn_poll (&turn, 0), ==, 1);
  turn_finish (&turn);
  letters_expect (&first, "a");
  letters_expect (&second, "");
  g_assert_cmpuint (writes (second.context), ==, 0);
  letters_clear (&first);
  letters_clear (&second);
  free_owned_loop (loop);
}

static gboolean
set_flag (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

static void
test_no_spin (void)
{
  g_autoptr (GMainContext) loop = g_main_context_new ();
  g_autoptr (GSource) timeout = g_timeout_source_new (200);
  Letters letters;
  gboolean over = FALSE;
  int turns = 0;

  g_test_summary ("R15, C14: with nothing due an attached context does not make its loop turn");

  letters_init (&letters, loop, write_letter);
  aio_context_attach (letters.context, loop);
  letters_schedule (&letters, "abC");
  aio_bh_cancel (letters.letter[1].bh);
  aio_context_notify (letters.context);
  g_source_set_callback (timeout, set_flag, &over, NULL);
  g_source_attach (timeout, loop);
  while (!over)
    {
      g_main_context_iteration (loop, TRUE);
      turns++;
    }
  if (g_test_verbose ())
    g_test_message ("%d turns", turns);
  g_assert_cmpint (turns, <=, 10);
  letters_clear (&letters);
}

/* Cases that count wakeups make no sense while a signal ends every sleep. */
static const struct
{
  const char *path;
  GTestFunc func;
  gboolean counts_wakeups;
} cases[] = {
  { "/source/glib/ready-sticks", test_glib_ready_sticks, FALSE },
  { "/source/glib/poll-set-changes", test_glib_poll_set_changes, FALSE },
  { "/source/glib/starved", test_glib_starved, FALSE },
  { "/source/glib/recursion", test_glib_recursion, FALSE },
  { "/source/glib/wakeups-cost", test_glib_wakeups_cost, FALSE },
  { "/source/glib/destroy", test_glib_destroy, FALSE },
  { "/source/glib/callback-data", test_glib_callback_data, FALSE },
  { "/source/glib/ownerless", test_glib_ownerless, FALSE },
  { "/source/attach", test_attach, FALSE },
  { "/source/attach-default", test_attach_default, FALSE },
  { "/source/attached-by-hand", test_attached_by_hand, FALSE },
  { "/source/phases", test_phases, FALSE },
  { "/source/phases-cancelled", test_cancelled_phases, FALSE },
  { "/source/dispatch-order", test_dispatch_order, FALSE },
  { "/source/sticky-notify", test_sticky_notify, FALSE },
  { "/source/notify-is-dispatched", test_notify_is_dispatched, FALSE },
  { "/source/one-fd", test_one_fd, FALSE },
  { "/source/drained-for-nothing", test_drained_for_nothing, FALSE },
  { "/source/cancelled-while-ready", test_cancelled_while_ready, FALSE },
  { "/source/poll-set-changes", test_poll_set_changes, FALSE },
  { "/source/starved", test_starved, FALSE },
  { "/source/starved-before-prepare", test_starved_before_prepare, FALSE },
  { "/source/own-poll-between", test_own_poll_between, FALSE },
  { "/source/own-poll-between/notify", test_notify_in_own_poll_between, FALSE },
  { "/source/own-poll-between/handler-notifies", test_handler_notifies_between, FALSE },
  { "/source/own-poll-between/notified-before", test_notified_before_visit, FALSE },
  { "/source/own-poll-between/dispatch", test_dispatch_between, FALSE },
  { "/source/own-poll-between/busy", test_busy_poll_between, FALSE },
  { "/source/own-poll-leaves-work", test_own_poll_leaves_work, FALSE },
  { "/source/one-write-per-sleep", test_one_write_per_sleep, FALSE },
  { "/source/no-writes-awake", test_no_writes_awake, FALSE },
  { "/source/nested", test_nested, FALSE },
  { "/source/nested-deep", test_nested_deep, FALSE },
  { "/source/detach-in-callback", test_detach_in_callback, FALSE },
  { "/source/detach-in-own-poll", test_detach_in_own_poll, FALSE },
  { "/source/destroy-in-callback", test_destroy_in_callback, FALSE },
  { "/source/destroyed-elsewhere", test_destroyed_elsewhere, FALSE },
  { "/source/each-way", test_each_way, FALSE },
  { "/source/all-ways", test_all_ways, FALSE },
  { "/source/several", test_several, FALSE },
  { "/source/neighbours-sleep", test_neighbours_sleep, FALSE },
  { "/source/no-spin", test_no_spin, TRUE },
};

static void
test_interrupted (void)
{
  guint i;

  g_test_summary ("R25: the whole program again under a signal every millisecond");

  aio_test_interrupt (TRUE);
  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      if (!cases[i].counts_wakeups)
        cases[i].func ();
      aio_test_moved ();
    }
  aio_test_interrupt (FALSE);
  g_assert_cmpuint (atomic_load (&aio_test_n_signals), >, 0);
}

int
main (int    argc,
      char **argv)
{
  guint i;

  g_test_init (&argc, &argv, NULL);
  aio_test_start_watchdog ();
  /* The first user makes it, and GLib keeps it: not a descriptor that leaked. */
  g_main_context_default ();
  for (i = 0; i < G_N_ELEMENTS (cases); i++)
    aio_test_add (cases[i].path, cases[i].func);
  aio_test_add ("/source/interrupted", test_interrupted);
  return g_test_run ();
}
