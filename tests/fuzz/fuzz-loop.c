/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A stateful fuzz target: bytes are operations on several contexts, some of them attached to a
 * GMainContext, and on what is in them. Callbacks take their operations from the same bytes, so
 * that every input ends. The model (model.c) is told of each step and knows what may follow.
 *
 * One thread, virtual time, no sleep that is not sure to end: an input always does the same. */
#include "fuzz.h"
#include "model.h"

#include <aioctx-gsource/aio-test-hooks-private.h>
#include <aioctx-gsource/aioctx-gsource.h>

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define N_BHS      12
#define N_TIMERS   6
#define N_MAINS    2
#define N_SOURCES  2
#define MAX_NESTED 6
#define MAX_LEVEL  8

typedef struct
{
  ModelContext *model;
  AioContext *context;
} Context;

typedef struct
{
  Thing *thing;
  AioBH *bh;
  guint refs;                   /* that the program holds */
} Bottom;

typedef struct
{
  Thing *thing;
  AioTimer *timer;
} Timer;

typedef struct
{
  ModelMain model;
  GMainContext *main;
} Main;

typedef enum
{
  FILE_EVENTFD,
  FILE_PIPE,
  FILE_NOTIFIER
} FileKind;

typedef struct
{
  ModelFile model;
  FileKind kind;
  int fds[2];
  AioEventNotifier notifier;
  gboolean open;
} File;

static struct
{
  const guint8 *bytes;
  gsize n_bytes;
  Context contexts[MODEL_CONTEXTS];
  Bottom bhs[N_BHS];
  Timer timers[N_TIMERS];
  Main mains[N_MAINS];
  File files[MODEL_FILES];
  GSource *sources[N_SOURCES];
  Thing *running;               /* the innermost callback */
  guint depth;                  /* of steps */
  gboolean trace;
  guint frozen;                 /* what GLib polls must not change now */
  const char *expected;         /* a critical warning */
} run;

static void step (void);

/* --- Bytes ------------------------------------------------------------------------------------ */

static guint
next_byte (void)
{
  if (run.n_bytes == 0)
    return 0;
  run.n_bytes--;
  return *run.bytes++;
}

/* So many operations, as many as the next byte says. */
static void
program (guint max)
{
  guint n = next_byte () % (max + 1);

  while (n-- > 0 && run.n_bytes > 0)
    step ();
}

static Context *
slot_of (ModelContext *model)
{
  return &run.contexts[model->slot];
}

static gboolean
is_there (Context *context)
{
  return context->model != NULL && !context->model->ended;
}

/* Half of the time a callback means what is nearest to it. */
static Context *
any_context (void)
{
  guint byte = next_byte ();
  Context *context = &run.contexts[byte % MODEL_CONTEXTS];

  if (byte & 0x80 && run.running != NULL)
    context = slot_of (run.running->context);
  return is_there (context) ? context : NULL;
}

/* One that may be attached and dropped: it does not end behind this iteration already. */
static Context *
firm_context (void)
{
  Context *context = any_context ();

  return context != NULL && context->model->refs != 0 ? context : NULL;
}

static gboolean
is_usable (Bottom *bottom)
{
  return bottom->thing != NULL && (bottom->thing->live || bottom->refs != 0);
}

static Bottom *
any_bh (void)
{
  guint byte = next_byte ();
  Bottom *bottom = &run.bhs[byte % N_BHS];

  for (guint i = 0; byte & 0x80 && i < N_BHS; i++)
    if (run.running != NULL && run.bhs[i].thing == run.running)
      bottom = &run.bhs[i];
  return is_usable (bottom) ? bottom : NULL;
}

static Timer *
any_timer (void)
{
  guint byte = next_byte ();
  Timer *timer = &run.timers[byte % N_TIMERS];

  for (guint i = 0; byte & 0x80 && i < N_TIMERS; i++)
    if (run.running != NULL && run.timers[i].thing == run.running)
      timer = &run.timers[i];
  return timer->thing != NULL ? timer : NULL;
}

static Main *
any_main (void)
{
  Main *main = &run.mains[next_byte () % N_MAINS];

  return main->main != NULL ? main : NULL;
}

/* --- Callbacks -------------------------------------------------------------------------------- */

static void
called (Thing    *thing,
        gboolean  is_write)
{
  Thing *outer = run.running;

  model_thing_runs (thing, is_write);
  if (aio_context_get_current () != slot_of (thing->context)->context)
    model_fail ("%s: another context is current", thing->name);
  run.running = thing;
  if (run.trace)
    g_printerr ("%*s%s runs\n", (int) run.depth * 2, "", thing->name);
  program (3);
  run.running = outer;
  model_thing_ran (thing);
}

static void
on_run (gpointer thing)
{
  called (thing, FALSE);
}

static void
on_write (gpointer thing)
{
  called (thing, TRUE);
}

/* A destroy notify may schedule and delete; it may not iterate. */
static void op_schedule (void);
static void op_schedule_idle (void);
static void op_cancel (void);
static void op_delete (void);

static void
on_destroy (gpointer data)
{
  static void (*const ops[]) (void) = { op_schedule, op_schedule_idle, op_cancel, op_delete };

  model_thing_destroys (data);
  if (run.n_bytes != 0)
    {
      guint n = next_byte () % 8;

      if (n < G_N_ELEMENTS (ops))
        ops[n] ();
    }
  model_thing_destroyed (data);
}

/* --- Contexts --------------------------------------------------------------------------------- */

static void
make_context (guint slot)
{
  Context *context = &run.contexts[slot];

  if (is_there (context))
    return;
  context->model = model_context_new (slot);
  context->context = aio_context_new_full (context->model->name, NULL);
}

static void
op_context_new (void)
{
  make_context (next_byte () % MODEL_CONTEXTS);
}

static void
op_context_ref (void)
{
  Context *context = firm_context ();

  if (context == NULL)
    return;
  context->model->refs++;
  context->model->user_refs++;
  aio_context_ref (context->context);
}

static void
drop_context (Context *context)
{
  model_context_unref (context->model);
  aio_context_unref (context->context);
  model_settle ();
}

/* What GLib polls changes when one ends that was attached by hand. */
static void
op_context_unref (void)
{
  Context *context = firm_context ();

  if (context != NULL && context->model->user_refs != 0 && run.frozen == 0)
    drop_context (context);
}

static void
op_notify (void)
{
  Context *context = any_context ();

  if (context == NULL)
    return;
  aio_context_notify (context->context);
  context->model->notified = context->model->may_be_notified = TRUE;
}

static void
op_busy_poll (void)
{
  Context *context = any_context ();

  if (context != NULL)
    aio_context_set_busy_poll (context->context, next_byte () & 1 ? 1000 : 0, NULL);
}

/* C10. */
static void
op_update_timeout (void)
{
  static const guint32 values[] = { 0, 3, 10, 1000, G_MAXUINT32 };
  Context *context = any_context ();
  guint32 value = values[next_byte () % G_N_ELEMENTS (values)];
  guint32 timeout = value;
  Pending pending;

  if (context == NULL)
    return;
  pending = model_context_pending (context->model);
  aio_bh_update_timeout (context->context, &timeout);
  if (timeout != (pending == NORMAL ? 0 : pending == IDLE ? MIN (value, 10) : value))
    model_fail ("%s: C10: a timeout of %u became %u", context->model->name, value, timeout);
}

static void
op_clock (void)
{
  Context *context = any_context ();

  if (context == NULL)
    return;
  context->model->now += next_byte () & 15;
  aio__test_hooks ()->set_time_ns (context->context, context->model->now);
  if (aio_context_get_time_ns (context->context, AIO_CLOCK_VIRTUAL) != context->model->now)
    model_fail ("%s: C22: the virtual clock is wrong", context->model->name);
}

/* --- Iterations ------------------------------------------------------------------------------- */

static void
iterate (Context   *context,
         FrameKind  kind,
         gboolean   blocking)
{
  ModelFrame frame;
  gboolean result;

  model_frame_enter (&frame, kind, context->model, NULL);
  if (kind == FRAME_BH_POLL)
    result = aio_bh_poll (context->context);
  else if (kind == FRAME_DISPATCH)
    result = aio_context_dispatch (context->context);
  else
    result = aio_context_poll (context->context, blocking);
  model_frame_leave (&frame, result);
}

static gboolean
is_too_deep (void)
{
  return model_depth () >= MAX_NESTED;
}

static void
op_poll (void)
{
  Context *context = any_context ();

  if (context != NULL && !is_too_deep ())
    iterate (context, FRAME_POLL, FALSE);
}

/* Only if it does not wait for ever. */
static void
op_poll_blocking (void)
{
  Context *context = any_context ();

  if (context != NULL && !is_too_deep () && model_context_is_due (context->model))
    iterate (context, FRAME_POLL, TRUE);
}

static void
op_bh_poll (void)
{
  Context *context = any_context ();

  if (context != NULL && !is_too_deep ())
    iterate (context, FRAME_BH_POLL, FALSE);
}

/* Is there nothing in it that could make it wake up by itself? */
static gboolean
has_no_events (Context *context)
{
  for (guint i = 0; i < N_TIMERS; i++)
    if (run.timers[i].thing != NULL && run.timers[i].thing->context == context->model)
      return FALSE;
  for (guint i = 0; i < MODEL_FILES; i++)
    if (model_handler_of (context->model, &run.files[i].model) != NULL)
      return FALSE;
  return !context->model->may_be_notified;
}

/* C5, C31, and what docs say of aio_context_get_timeout_ns(). */
static void
check_timeout (Context *context,
               gint64   timeout,
               gint64   max_idle)
{
  Pending pending = model_context_pending (context->model);
  gboolean may_be_for_ever = has_no_events (context);

  context->model->may_be_notified = FALSE;
  if (pending == NORMAL ? timeout != 0
                        : pending == IDLE ? timeout < 0 || timeout > max_idle
                                          : timeout != -1 && may_be_for_ever)
    model_fail ("%s: C31: the timeout is %" G_GINT64_FORMAT, context->model->name, timeout);
}

static gboolean
is_readable (int fd)
{
  struct pollfd polled = { fd, POLLIN, 0 };

  return poll (&polled, 1, 0) == 1;
}

/* A foreign loop that does something else between asking and waiting. While the context is not
 * attached that cannot get lost. */
static void
op_foreign (void)
{
  Context *context = any_context ();
  ModelContext *model;
  guint64 attached_at;
  guint n_dispatches;
  gint64 timeout;
  int fd;

  if (context == NULL || is_too_deep ())
    return;
  model = context->model;
  n_dispatches = model->n_dispatches;
  attached_at = model->attached_at;
  fd = aio_context_get_fd (context->context);
  timeout = aio_context_get_timeout_ns (context->context);
  check_timeout (context, timeout, 10 * 1000 * 1000);
  model->notified = FALSE;
  program (3);
  if (!is_there (context) || context->model != model)
    return;
  if (timeout != 0 && model->main == NULL && model->attached_at == attached_at &&
      model->n_dispatches == n_dispatches && model_context_pending (model) == NORMAL &&
      !is_readable (fd))
    model_fail ("%s: C2: the foreign loop is not told of work", model->name);
  iterate (context, FRAME_DISPATCH, FALSE);
}

/* --- GMainContexts ---------------------------------------------------------------------------- */

static void
make_main (Main *main)
{
  if (main->main != NULL)
    return;
  main->main = g_main_context_new ();
  main->model = (ModelMain) { 0 };
}

static void
op_main_new (void)
{
  make_main (&run.mains[next_byte () % N_MAINS]);
}

static void
drop_main (Main *main)
{
  model_main_end (&main->model);
  g_main_context_unref (g_steal_pointer (&main->main));
  model_settle ();
}

/* Nobody may iterate one that is gone; aio_context_poll() acquires that of its context. */
static void
op_main_unref (void)
{
  Main *main = any_main ();

  if (main != NULL && model_depth () == 0)
    drop_main (main);
}

static void
op_attach (void)
{
  Context *context = firm_context ();
  Main *main = any_main ();

  if (context == NULL || main == NULL || run.frozen != 0)
    return;
  if (context->model->main != NULL)
    {
      run.expected = "is attached already";
      if (aio_context_attach (context->context, main->main) != 0 || run.expected != NULL)
        model_fail ("C28: attached twice");
      return;
    }
  model_context_attach (context->model, &main->model, TRUE);
  aio_context_attach (context->context, main->main);
}

static void
op_attach_by_hand (void)
{
  Context *context = firm_context ();
  Main *main = any_main ();

  if (context == NULL || main == NULL || context->model->main != NULL || run.frozen != 0)
    return;
  model_context_attach (context->model, &main->model, FALSE);
  g_source_attach (aio_context_get_source (context->context), main->main);
}

static void
op_detach (void)
{
  Context *context = firm_context ();
  gboolean by_source = next_byte () & 1;

  if (context == NULL || run.frozen != 0)
    return;
  model_context_detach (context->model);
  if (by_source)
    g_source_destroy (aio_context_get_source (context->context));
  else
    aio_context_detach (context->context);
  model_settle ();
}

static void
op_hold_source (void)
{
  GSource **source = &run.sources[next_byte () % N_SOURCES];
  Context *context = firm_context ();

  g_clear_pointer (source, g_source_unref);
  if (context != NULL)
    *source = g_source_ref (aio_context_get_source (context->context));
}

static void
op_main_iteration (void)
{
  Main *main = any_main ();
  ModelFrame frame;

  if (main == NULL || is_too_deep () || run.frozen != 0)
    return;
  model_frame_enter (&frame, FRAME_MAIN, NULL, &main->model);
  model_frame_leave (&frame, g_main_context_iteration (main->main, FALSE));
}

/* G1. Not inside a dispatch of the same GMainContext: GLib 2.74 leaks a reference to each source
 * that it finds ready then. */
static void
op_main_pending (void)
{
  Main *main = any_main ();

  if (main == NULL || main->model.n_frames != 0 || run.frozen != 0)
    return;
  g_main_context_pending (main->main);
  main->model.stale = TRUE;
  for (guint i = 0; i < MODEL_CONTEXTS; i++)
    if (is_there (&run.contexts[i]) && run.contexts[i].model->main == &main->model)
      run.contexts[i].model->notified = FALSE;
}

/* C31 speaks of a context that is alone in its GMainContext. */
static Context *
only_context (Main *main)
{
  Context *only = NULL;

  for (guint i = 0; i < MODEL_CONTEXTS; i++)
    {
      Context *context = &run.contexts[i];

      if (!is_there (context) || context->model->main != &main->model)
        continue;
      if (only != NULL)
        return NULL;
      only = context;
    }
  return only;
}

static void
op_main_steps (void)
{
  Main *main = any_main ();
  gboolean skip_check = (next_byte () & 7) == 0;
  GPollFD fds[16];
  ModelFrame frame;
  gboolean dispatched = FALSE;
  Context *only;
  int priority, timeout, n;

  if (main == NULL || is_too_deep () || run.frozen != 0)
    return;
  only = main->model.stale ? NULL : only_context (main);
  g_main_context_acquire (main->main);
  g_main_context_prepare (main->main, &priority);
  n = g_main_context_query (main->main, priority, &timeout, fds, G_N_ELEMENTS (fds));
  if (only != NULL)
    check_timeout (only, timeout, 10);
  model_frame_enter (&frame, FRAME_MAIN, NULL, &main->model);

  /* Between prepare() and the poll: what is scheduled now wakes it. */
  run.frozen++;
  program (3);
  run.frozen--;
  model_frame_looks (&frame);
  frame.stale = TRUE;
  frame.cut = skip_check;
  poll ((struct pollfd *) fds, MIN (n, (int) G_N_ELEMENTS (fds)), 0);
  if (!skip_check && g_main_context_check (main->main, priority, fds, n))
    {
      g_main_context_dispatch (main->main);
      dispatched = TRUE;
    }
  model_frame_leave (&frame, dispatched);
  g_main_context_release (main->main);
}

/* --- Bottom halves ---------------------------------------------------------------------------- */

static void
op_bh_new (void)
{
  guint slot = next_byte () % N_BHS;
  Bottom *bottom = &run.bhs[slot];
  Context *context = any_context ();
  gboolean has_destroy = next_byte () & 1;

  if (context == NULL || is_usable (bottom))
    return;
  bottom->thing = model_thing_new (context->model, THING_BH, has_destroy);
  g_snprintf (bottom->thing->name, sizeof bottom->thing->name, "bh-%u", slot);
  bottom->bh = aio_bh_new_full (context->context, bottom->thing->name, on_run, bottom->thing,
                                has_destroy ? on_destroy : NULL);
}

/* In a destroy notify the context may be about to end, and the model learns that too late. */
static Bottom *
any_bh_to_change (void)
{
  Bottom *bottom = any_bh ();

  if (bottom != NULL && model_is_destroying () &&
      model_context_is_doomed (bottom->thing->context))
    return NULL;
  return bottom;
}

static void
op_schedule (void)
{
  Bottom *bottom = any_bh_to_change ();

  if (bottom == NULL)
    return;
  model_bh_schedule (bottom->thing, NORMAL);
  aio_bh_schedule (bottom->bh);
}

static void
op_schedule_idle (void)
{
  Bottom *bottom = any_bh_to_change ();

  if (bottom == NULL)
    return;
  model_bh_schedule (bottom->thing, IDLE);
  aio_bh_schedule_idle (bottom->bh);
}

static void
op_cancel (void)
{
  Bottom *bottom = any_bh_to_change ();
  gboolean sync = next_byte () & 1;
  gboolean expected;

  if (bottom == NULL)
    return;
  expected = model_bh_cancel (bottom->thing);
  if ((sync ? aio_bh_cancel_sync (bottom->bh) : aio_bh_cancel (bottom->bh)) != expected)
    model_fail ("%s: C6: cancel should return %d", bottom->thing->name, expected);
}

static void
op_delete (void)
{
  Bottom *bottom = any_bh_to_change ();
  Thing *thing;

  if (bottom == NULL)
    return;
  thing = bottom->thing;
  if (!thing->live)
    {
      aio_bh_delete (bottom->bh);
      return;
    }
  model_thing_kill (thing);
  aio_bh_delete (bottom->bh);
  model_thing_killed (thing);
}

static void
op_bh_ref (void)
{
  Bottom *bottom = any_bh ();

  if (bottom == NULL)
    return;
  bottom->refs++;
  aio_bh_ref (bottom->bh);
}

static void
op_bh_unref (void)
{
  Bottom *bottom = any_bh ();

  if (bottom == NULL || bottom->refs == 0)
    return;
  bottom->refs--;
  aio_bh_unref (bottom->bh);
}

static void
op_oneshot (void)
{
  Context *context = any_context ();
  guint how = next_byte ();
  GDestroyNotify destroy = how & 1 ? on_destroy : NULL;
  Thing *thing;

  if (context == NULL)
    return;
  thing = model_thing_new (context->model, THING_SHOT, how & 1);
  if (how & 2)
    aio_bh_schedule_oneshot_full (context->context, "shot", on_run, thing, destroy);
  else if (!aio_context_post (context->context, on_run, thing, destroy))
    model_fail ("C26: a post was refused");
}

/* --- Timers ----------------------------------------------------------------------------------- */

static void
op_timer_new (void)
{
  Timer *timer = &run.timers[next_byte () % N_TIMERS];
  Context *context = any_context ();
  guint how = next_byte ();
  AioClock clock = (how & 0x30) == 0x30 ? AIO_CLOCK_MONOTONIC : AIO_CLOCK_VIRTUAL;
  gboolean on_heap = how & 1, has_destroy = (how & 3) == 3;

  if (context == NULL || timer->thing != NULL || (clock != AIO_CLOCK_VIRTUAL && run.frozen != 0))
    return;
  timer->thing = model_thing_new (context->model, THING_TIMER, has_destroy);
  timer->thing->on_heap = on_heap;
  timer->thing->clock = clock != AIO_CLOCK_VIRTUAL;
  if (on_heap)
    timer->timer = aio_timer_new (context->context, clock, on_run, timer->thing,
                                  has_destroy ? on_destroy : NULL);
  else
    {
      timer->timer = g_new (AioTimer, 1);
      aio_timer_init (timer->timer, context->context, clock, on_run, timer->thing);
    }
  g_snprintf (timer->thing->name, sizeof timer->thing->name, "timer %p (%s)",
              (gpointer) timer->timer, timer->thing->clock == 0 ? "virtual" : "monotonic");
}

/* Near the present time, or one of the extremes. Real time is not waited for. */
static gint64
any_deadline (Timer *timer)
{
  static const gint64 extremes[] = { 0, -1, G_MAXINT64, G_MININT64 };
  guint byte = next_byte ();

  if (timer->thing->clock != 0)
    return byte & 3 ? 0 : G_MAXINT64;
  if (byte >= 0xf0)
    return extremes[byte & 3];
  return timer->thing->context->now + (byte & 15) - 4;
}

static void
op_timer_mod (void)
{
  Timer *timer = any_timer ();
  gint64 deadline;

  if (timer == NULL)
    return;
  deadline = any_deadline (timer);
  model_timer_arm (timer->thing, deadline);
  aio_timer_mod_ns (timer->timer, deadline);
}

static void
op_timer_anticipate (void)
{
  Timer *timer = any_timer ();
  Thing *thing;
  gint64 deadline;
  gboolean expected;

  if (timer == NULL)
    return;
  thing = timer->thing;
  deadline = any_deadline (timer);
  expected = thing->live && (!thing->armed || MAX (deadline, 0) < thing->deadline);
  if (expected)
    model_timer_arm (thing, deadline);
  if (aio_timer_mod_anticipate_ns (timer->timer, deadline) != expected)
    model_fail ("%s: C22: mod_anticipate should return %d", thing->name, expected);
}

static void
op_timer_del (void)
{
  Timer *timer = any_timer ();
  gboolean sync = next_byte () & 1;
  gboolean expected;

  if (timer == NULL)
    return;
  expected = model_timer_disarm (timer->thing);
  if ((sync ? aio_timer_del_sync (timer->timer) : aio_timer_del (timer->timer)) != expected)
    model_fail ("%s: C22: del should return %d", timer->thing->name, expected);
}

static void
drop_timer (Timer *timer)
{
  Thing *thing = g_steal_pointer (&timer->thing);

  model_thing_kill (thing);
  if (thing->on_heap)
    aio_timer_free (timer->timer);
  else
    {
      aio_timer_clear (timer->timer);
      g_free (timer->timer);
    }
  model_thing_killed (thing);
}

static void
op_timer_free (void)
{
  Timer *timer = any_timer ();

  if (timer != NULL)
    drop_timer (timer);
}

/* --- Descriptors ------------------------------------------------------------------------------ */

static void
open_file (File *file)
{
  if (file->open)
    return;
  file->open = TRUE;
  file->kind = (FileKind) MAX (0, (int) (file - run.files) - 1);
  if (file->kind == FILE_NOTIFIER)
    aio_event_notifier_init (&file->notifier, FALSE, NULL);
  else if (file->kind == FILE_EVENTFD)
    file->fds[0] = file->fds[1] = eventfd (0, EFD_NONBLOCK | EFD_CLOEXEC);
  else if (pipe2 (file->fds, O_NONBLOCK | O_CLOEXEC) != 0)
    model_fail ("no pipe");
  file->model.number = file->kind == FILE_NOTIFIER ? aio_event_notifier_get_fd (&file->notifier)
                                                   : file->fds[0];
}

static void
close_file (File *file)
{
  if (!file->open)
    return;
  file->open = FALSE;
  if (file->kind == FILE_NOTIFIER)
    {
      aio_event_notifier_clear (&file->notifier);
      return;
    }
  close (file->fds[0]);
  if (file->kind == FILE_PIPE)
    close (file->fds[1]);
}

static File *
any_file (void)
{
  File *file = &run.files[next_byte () % MODEL_FILES];

  open_file (file);
  return file;
}

/* The handler of a notifier is called without data of its own. */
static void
on_set (AioEventNotifier *notifier)
{
  Thing *handler = NULL;

  for (guint i = 0; i < MODEL_FILES; i++)
    for (guint slot = 0; slot < MODEL_CONTEXTS; slot++)
      if (&run.files[i].notifier == notifier && is_there (&run.contexts[slot]) &&
          run.contexts[slot].context == aio_context_get_current ())
        handler = model_handler_of (run.contexts[slot].model, &run.files[i].model);
  if (handler == NULL)
    model_fail ("C21: the handler of a notifier runs although it is gone");
  called (handler, FALSE);
}

static Thing *
make_handler (Context  *context,
              File     *file,
              guint     how)
{
  Thing *thing = model_thing_new (context->model, THING_HANDLER,
                                  file->kind != FILE_NOTIFIER && (how & 1) != 0);

  thing->file = &file->model;
  thing->writes = file->kind == FILE_EVENTFD && (how & 6) == 6;
  thing->reads = !thing->writes || (how & 8) != 0;
  thing->was_readable = file->model.level != 0;
  g_snprintf (thing->name, sizeof thing->name, "descriptor %d", file->model.number);
  return thing;
}

static void
set_handler (Context *context,
             File    *file,
             Thing   *thing)
{
  if (file->kind == FILE_NOTIFIER)
    aio_context_set_event_notifier (context->context, &file->notifier, thing ? on_set : NULL,
                                    NULL, NULL);
  else if (thing == NULL)
    aio_context_set_fd_handler (context->context, file->model.number, NULL, NULL, NULL);
  else if (!aio_context_set_fd_handler_full (context->context, file->model.number,
                                             thing->reads ? on_run : NULL,
                                             thing->writes ? on_write : NULL, NULL, NULL, thing,
                                             thing->has_destroy ? on_destroy : NULL, NULL))
    model_fail ("C27: a handler was refused");
}

/* Sets, replaces or removes. */
static void
change_handler (gboolean set)
{
  Context *context = any_context ();
  File *file = any_file ();
  guint how = next_byte ();
  Thing *former, *thing = NULL;

  if (context == NULL || run.frozen != 0)
    return;
  former = model_handler_of (context->model, &file->model);
  if (former != NULL)
    model_thing_kill (former);
  if (set)
    thing = make_handler (context, file, how);
  set_handler (context, file, thing);
  if (former != NULL)
    model_thing_killed (former);
}

static void
op_handler_set (void)
{
  change_handler (TRUE);
}

static void
op_handler_remove (void)
{
  change_handler (FALSE);
}

static void
op_write (void)
{
  File *file = any_file ();
  guint64 one = 1;

  if (file->model.level >= MAX_LEVEL)
    return;
  if (file->kind == FILE_NOTIFIER)
    aio_event_notifier_set (&file->notifier);
  else if (write (file->fds[1], &one, file->kind == FILE_PIPE ? 1 : sizeof one) <= 0)
    model_fail ("cannot write");
  model_file_filled (&file->model);
}

static void
op_read (void)
{
  File *file = any_file ();
  gboolean expected = file->model.level != 0;
  gboolean found;
  guint64 data;

  if (file->kind == FILE_NOTIFIER)
    found = aio_event_notifier_test_and_clear (&file->notifier);
  else
    found = read (file->fds[0], &data, file->kind == FILE_PIPE ? 1 : sizeof data) > 0;
  if (found != expected)
    model_fail ("C20: descriptor %d has %d instead of %d", file->model.number, found, expected);
  if (found)
    file->model.level = file->kind == FILE_PIPE ? file->model.level - 1 : 0;
}

/* --- Steps ------------------------------------------------------------------------------------ */

/* The library says of each thing what the model says. */
static void
compare (void)
{
  for (guint i = 0; i < N_BHS; i++)
    {
      Bottom *bottom = &run.bhs[i];

      if (!is_usable (bottom))
        continue;
      if (aio_bh_is_scheduled (bottom->bh) != (bottom->thing->pending != RESTING))
        model_fail ("%s: pending should be %d", bottom->thing->name, bottom->thing->pending);
      if (aio_bh_get_context (bottom->bh) !=
          (bottom->thing->live ? slot_of (bottom->thing->context)->context : NULL))
        model_fail ("%s: C7: wrong context", bottom->thing->name);
    }
  for (guint i = 0; i < N_TIMERS; i++)
    {
      Thing *thing = run.timers[i].thing;

      if (thing != NULL && aio_timer_expire_time_ns (run.timers[i].timer) !=
                             (thing->armed ? thing->deadline : -1))
        model_fail ("%s: C22: armed should be %d", thing->name, thing->armed);
    }
}

/* What is common stands here more than once. */
#define OP(name) { #name, op_##name }

static const struct
{
  const char *name;
  void (*func) (void);
} ops[] = {
  OP (bh_new), OP (bh_new), OP (schedule), OP (schedule), OP (schedule), OP (schedule_idle),
  OP (cancel), OP (cancel), OP (delete), OP (bh_ref), OP (bh_unref), OP (oneshot), OP (oneshot),
  OP (poll), OP (poll), OP (poll), OP (poll_blocking), OP (bh_poll), OP (update_timeout),
  OP (notify), OP (foreign), OP (busy_poll), OP (clock), OP (context_new), OP (context_ref),
  OP (context_unref), OP (attach), OP (attach), OP (attach_by_hand), OP (detach),
  OP (hold_source), OP (main_new), OP (main_unref), OP (main_iteration), OP (main_iteration),
  OP (main_pending), OP (main_steps), OP (timer_new), OP (timer_mod), OP (timer_mod),
  OP (timer_anticipate), OP (timer_del), OP (timer_free), OP (handler_set), OP (handler_set),
  OP (handler_remove), OP (write), OP (read),
};

static void
step (void)
{
  guint op = next_byte () % G_N_ELEMENTS (ops);

  if (run.trace)
    g_printerr ("%*s%s %u\n", (int) run.depth * 2, "", ops[op].name,
                run.n_bytes != 0 ? *run.bytes : 0);
  run.depth++;
  ops[op].func ();
  run.depth--;
  model_settle ();
  compare ();
}

static void
on_message (const char     *domain,
            GLogLevelFlags  level,
            const char     *message,
            gpointer        data)
{
  if (run.expected != NULL && strstr (message, run.expected) != NULL)
    run.expected = NULL;
  else
    model_report (message);
}

/* C23: in one order or the other. */
static void
drop_all (gboolean mains_first)
{
  for (guint i = 0; i < N_MAINS && mains_first; i++)
    if (run.mains[i].main != NULL)
      drop_main (&run.mains[i]);
  for (guint i = 0; i < MODEL_CONTEXTS; i++)
    while (is_there (&run.contexts[i]) && run.contexts[i].model->user_refs != 0)
      drop_context (&run.contexts[i]);
  for (guint i = 0; i < N_MAINS; i++)
    if (run.mains[i].main != NULL)
      drop_main (&run.mains[i]);
  compare ();
  for (guint i = 0; i < N_TIMERS; i++)
    if (run.timers[i].thing != NULL)
      drop_timer (&run.timers[i]);
  for (guint i = 0; i < N_BHS; i++)
    while (run.bhs[i].refs != 0 && run.bhs[i].refs-- != 0)
      aio_bh_unref (run.bhs[i].bh);
  for (guint i = 0; i < N_SOURCES; i++)
    g_clear_pointer (&run.sources[i], g_source_unref);
  for (guint i = 0; i < MODEL_FILES; i++)
    close_file (&run.files[i]);
}

static guint
count_fds (void)
{
  guint n = 0;

  for (int fd = 0; fd < 64; fd++)
    n += fcntl (fd, F_GETFD) != -1;
  return n;
}

const char fuzz_name[] = "loop";
const char fuzz_summary[] =
  "C2 to C11, C13, C20 to C24, C31: in what the fuzzer has made up the library does what a model "
  "of the contract allows";

int
LLVMFuzzerTestOneInput (const uint8_t *bytes,
                        size_t         n_bytes)
{
  guint n_fds = count_fds ();
  gboolean mains_first;

  g_log_set_always_fatal (G_LOG_FATAL_MASK);
  g_log_set_default_handler (on_message, NULL);
  memset (&run, 0, sizeof run);
  run.bytes = bytes;
  run.n_bytes = n_bytes;
  run.trace = g_getenv ("FUZZ_TRACE") != NULL;
  model_begin ();
  mains_first = next_byte () & 1;
  make_context (0);
  make_context (1);
  make_main (&run.mains[0]);
  while (run.n_bytes > 0)
    step ();
  drop_all (mains_first);
  model_end ();
  if (count_fds () != n_fds)
    model_fail ("C27: %u descriptors were left open", count_fds () - n_fds);
  g_log_set_default_handler (g_log_default_handler, NULL);
  return 0;
}
