/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct
{
  Thing *things;                /* the youngest first */
  GPtrArray *contexts;
  ModelFrame *top;
  guint64 time;
  guint n_frames_ever;
  guint n_contexts_ever;
  guint n_destroying;           /* destroy notifies on the stack */
  Thing *owed;                  /* its destroy notify is the next thing to happen */
} model;

static const char *kind_names[] = { "bottom half", "one-shot", "timer", "handler" };

void
model_fail (const char *format,
            ...)
{
  va_list args;

  va_start (args, format);
  fputs ("MODEL: ", stderr);
  vfprintf (stderr, format, args);
  fputc ('\n', stderr);
  va_end (args);
  abort ();
}

static void G_GNUC_NORETURN
fail_thing (Thing      *thing,
            const char *what)
{
  model_fail ("%s %s of %s: %s", kind_names[thing->kind], thing->name, thing->context->name, what);
}

static guint64
tick (void)
{
  return ++model.time;
}

static void
free_context (gpointer data)
{
  ModelContext *context = data;

  g_free (context->report);
  g_free (context);
}

void
model_begin (void)
{
  memset (&model, 0, sizeof model);
  model.contexts = g_ptr_array_new_with_free_func (free_context);
}

/* By now everything has to be over. */
void
model_end (void)
{
  Thing *next;

  for (guint i = 0; i < model.contexts->len; i++)
    if (!((ModelContext *) model.contexts->pdata[i])->ended)
      model_fail ("%s is still there", ((ModelContext *) model.contexts->pdata[i])->name);
  for (Thing *thing = model.things; thing != NULL; thing = next)
    {
      next = thing->next;
      if (thing->has_destroy && thing->n_destroys != 1)
        fail_thing (thing, "C7, C8, C21: the destroy notify did not run");
      g_free (thing);
    }
  g_ptr_array_unref (model.contexts);
}

guint
model_depth (void)
{
  guint depth = 0;

  for (ModelFrame *frame = model.top; frame != NULL; frame = frame->outer)
    depth++;
  return depth;
}

/* --- Things ----------------------------------------------------------------------------------- */

Thing *
model_thing_new (ModelContext *context,
                 ThingKind     kind,
                 gboolean      has_destroy)
{
  Thing *thing = g_new0 (Thing, 1);

  thing->next = model.things;
  thing->kind = kind;
  thing->context = context;
  thing->live = TRUE;
  thing->has_destroy = has_destroy;
  thing->made_at = tick ();
  model.things = thing;
  if (kind == THING_SHOT)
    model_bh_schedule (thing, NORMAL);
  return thing;
}

static void
bury (Thing *thing)
{
  thing->live = FALSE;
  thing->armed = FALSE;
  thing->pending = RESTING;
}

/* It is about to be deleted, removed, replaced or freed, in the home thread. */
void
model_thing_kill (Thing *thing)
{
  bury (thing);
}

/* C7, C21: the destroy notify runs before that returns, or, if the callback is on the stack, when
 * its outermost run is over. */
void
model_thing_killed (Thing *thing)
{
  if (thing->has_destroy && thing->n_destroys != (thing->depth == 0))
    fail_thing (thing, "C7, C21: the destroy notify ran at the wrong time");
}

static void
expect_nothing_owed (void)
{
  if (model.owed != NULL)
    fail_thing (model.owed, "C7, C21: the destroy notify did not run right after the callback");
}

gboolean
model_is_destroying (void)
{
  return model.n_destroying != 0;
}

static void context_ends (ModelContext *context);

/* No iteration of it is on the stack; or only one that has come to its end. */
static gboolean
may_end (ModelContext *context)
{
  return context->refs == 0 && context->n_running == 0 &&
         (context->n_frames == 0 || (context->n_frames == 1 && model.top->context == context));
}

/* Its destroy notify begins. */
void
model_thing_destroys (Thing *thing)
{
  if (!thing->has_destroy || thing->n_destroys++ != 0)
    fail_thing (thing, "C7, C8, C21: the destroy notify runs a second time");
  if (thing->depth != 0)
    fail_thing (thing, "C7, C21: the destroy notify runs while the callback does");
  if (model.owed == thing)
    model.owed = NULL;
  else
    expect_nothing_owed ();
  /* C23: the context ends behind the outermost iteration, and this is the first that one sees of
   * it. */
  if (thing->live && !thing->context->ended && may_end (thing->context))
    context_ends (thing->context);
  if (thing->live)
    fail_thing (thing, "C7, C8, C21: the destroy notify runs too early");
  model.n_destroying++;
}

void
model_thing_destroyed (Thing *thing)
{
  model.n_destroying--;
}

static gboolean
is_timer_due (Thing  *timer,
              gint64  now)
{
  /* Timers of the other clock are armed for the past or for never. */
  return timer->armed && (timer->clock == 0 ? timer->deadline <= now
                                            : timer->deadline != G_MAXINT64);
}

gboolean
model_thing_is_due (Thing *thing)
{
  switch (thing->kind)
    {
    case THING_BH:
    case THING_SHOT:
      return thing->pending == NORMAL;
    case THING_TIMER:
      return is_timer_due (thing, thing->context->now);
    case THING_HANDLER:
      return thing->live && thing->depth == 0 &&
             (thing->writes || (thing->reads && thing->file->level != 0));
    }
  return FALSE;
}

/* --- Bottom halves ---------------------------------------------------------------------------- */

void
model_bh_schedule (Thing   *bh,
                   Pending  pending)
{
  if (!bh->live || pending <= bh->pending)
    return;
  if (bh->pending == RESTING)
    {
      bh->since = tick ();
      /* C6: it may keep the place that it had before a cancel. */
      bh->oldest = bh->held != 0 ? bh->held : bh->since;
      bh->place = bh->since;
    }
  else
    /* C5: idle work becomes normal work. Among the normal ones its place may be that of the first
     * schedule or of this one: C3 says nothing of an order between the two kinds. */
    bh->place = tick ();
  bh->pending = pending;
}

gboolean
model_bh_cancel (Thing *bh)
{
  gboolean was_pending = bh->pending != RESTING;

  if (was_pending)
    bh->held = bh->oldest;
  bh->pending = RESTING;
  return was_pending;
}

/* It is not at a place from before that moment: then at the next one that it can be at. */
static void
forget_places_before (Thing   *bh,
                      guint64  moment)
{
  if (bh->oldest < moment)
    bh->oldest = bh->since > moment ? bh->since : bh->place;
}

/* C3, and C4: is it this one's turn in a pass that began then? */
static void
check_turn (Thing   *bh,
            guint64  pass_began)
{
  if (bh->pending == RESTING)
    fail_thing (bh, "C6: runs although it is not pending");
  /* One that was cancelled before or in this pass and scheduled again may have its old place (C6),
   * and so run in this pass. */
  if (bh->since >= pass_began && bh->oldest >= pass_began)
    fail_thing (bh, "C4: runs in the pass in which it was scheduled");
  for (Thing *other = model.things; other != NULL; other = other->next)
    {
      if (other == bh || other->context != bh->context || other->pending != bh->pending)
        continue;
      if (other->place < bh->oldest)
        fail_thing (bh, "C3: runs before one that was scheduled earlier");
      forget_places_before (other, bh->oldest);
    }
}

/* --- Timers ----------------------------------------------------------------------------------- */

void
model_timer_arm (Thing  *timer,
                 gint64  deadline)
{
  if (!timer->live)
    return;
  timer->armed = TRUE;
  timer->deadline = MAX (deadline, 0);
  timer->armed_at = tick ();
}

gboolean
model_timer_disarm (Thing *timer)
{
  gboolean was_armed = timer->armed;

  timer->armed = FALSE;
  return was_armed;
}

static void
check_timer (Thing      *timer,
             ModelFrame *frame)
{
  if (!timer->armed)
    fail_thing (timer, "C22: fires without being armed");
  if (!is_timer_due (timer, timer->context->now))
    fail_thing (timer, "C22: fires early");
  if (frame->kind == FRAME_BH_POLL)
    fail_thing (timer, "C9: fires in aio_bh_poll()");
  /* C22: timers that arm each other for the past run once a pass each. What a pass that was cut
   * short has left (C16) is due in the next one, also if that is further out on the stack. */
  if (timer->last_frame == frame->id && !frame->disturbed)
    fail_thing (timer, "C22: fires a second time in one pass");
  /* Strictly the contract speaks of equal deadlines only. Of an earlier one that was also armed
   * earlier there is no reason why it should come later. */
  for (Thing *other = model.things; other != NULL; other = other->next)
    if (other->armed && other->context == timer->context && other->clock == timer->clock &&
        other->deadline <= timer->deadline && other->armed_at < timer->armed_at)
      fail_thing (timer, "C22: fires before one with an earlier deadline, or armed earlier");
}

/* --- Handlers --------------------------------------------------------------------------------- */

/* The one that is set now. */
Thing *
model_handler_of (ModelContext *context,
                  ModelFile    *file)
{
  for (Thing *thing = model.things; thing != NULL; thing = thing->next)
    if (thing->live && thing->context == context && thing->file == file)
      return thing;
  return NULL;
}

void
model_file_filled (ModelFile *file)
{
  if (file->level++ == 0)
    file->readable_since = tick ();
  for (Thing *thing = model.things; thing != NULL; thing = thing->next)
    if (thing->file == file)
      thing->was_readable = TRUE;
}

static void
check_handler (Thing      *handler,
               ModelFrame *frame,
               gboolean    is_write)
{
  guint last_frame = is_write ? handler->last_write_frame : handler->last_frame;

  if (handler->depth != 0)
    fail_thing (handler, "C13: is entered again");
  if (frame->kind == FRAME_BH_POLL)
    fail_thing (handler, "C9: runs in aio_bh_poll()");
  if (is_write ? !handler->writes : !handler->reads)
    fail_thing (handler, "C20: the wrong callback is called");
  /* Found ready, it may run although another one has emptied the file meanwhile. */
  if (!is_write && !handler->was_readable)
    fail_thing (handler, "C20: was never ready");
  if (last_frame == frame->id)
    fail_thing (handler, "C20: runs a second time in one pass");
}

/* --- Runs ------------------------------------------------------------------------------------- */

static gboolean
covers (ModelFrame   *frame,
        ModelContext *context)
{
  if (frame->kind == FRAME_MAIN)
    return context->main == frame->main;
  return frame->context == context;
}

/* When did the pass of this iteration begin? Of a GMainContext one sees only the first callback. */
static guint64
pass_began (ModelFrame   *frame,
            ModelContext *context)
{
  guint slot = context->slot;

  if (frame->kind != FRAME_MAIN)
    return frame->began;
  if (frame->of[slot].context != context || frame->of[slot].pass_began == 0)
    {
      frame->of[slot].context = context;
      frame->of[slot].attached_at = context->attached_at;
      frame->of[slot].pass_began = tick ();
    }
  else if (frame->of[slot].attached_at != context->attached_at)
    model_fail ("%s: C16: a pass goes on behind a detach", context->name);
  return frame->of[slot].pass_began;
}

static void
note_progress (Thing *thing)
{
  gboolean is_bh = thing->kind == THING_BH || thing->kind == THING_SHOT;

  /* C11: whatever runs counts for each iteration that it runs in. */
  model.top->dispatched = TRUE;
  for (ModelFrame *frame = model.top; frame != NULL; frame = frame->outer)
    {
      if (frame->context != thing->context || (is_bh && thing->pending != NORMAL))
        continue;
      frame->ran = TRUE;
      frame->ran_bh |= is_bh;
    }
}

static void end_doomed (ModelContext *but);

/* Its callback begins. */
void
model_thing_runs (Thing    *thing,
                  gboolean  is_write)
{
  ModelContext *context = thing->context;
  ModelFrame *frame = model.top;

  expect_nothing_owed ();
  end_doomed (context);
  if (model.n_destroying != 0)
    fail_thing (thing, "runs in a destroy notify");
  if (frame == NULL || !covers (frame, context))
    fail_thing (thing, "runs outside of an iteration of its context");
  if (!thing->live)
    fail_thing (thing, "C7, C8, C21: runs although it is gone");

  switch (thing->kind)
    {
    case THING_BH:
    case THING_SHOT:
      check_turn (thing, pass_began (frame, context));
      break;
    case THING_TIMER:
      pass_began (frame, context);
      check_timer (thing, frame);
      break;
    case THING_HANDLER:
      pass_began (frame, context);
      check_handler (thing, frame, is_write);
      break;
    }
  note_progress (thing);
  if (thing->kind == THING_SHOT)
    thing->live = FALSE;
  thing->pending = RESTING;
  thing->held = 0;
  thing->armed = FALSE;
  *(is_write ? &thing->wrote_at : &thing->ran_at) = tick ();
  thing->read_waits &= is_write;
  *(is_write ? &thing->last_write_frame : &thing->last_frame) = frame->id;
  thing->depth++;
  context->n_running++;
}

void
model_thing_ran (Thing *thing)
{
  expect_nothing_owed ();
  thing->depth--;
  thing->context->n_running--;
  if (thing->kind == THING_HANDLER)
    thing->was_readable = thing->file->level != 0;
  /* C8 says only that it comes after the run of a one-shot: see check_shots(). */
  if (!thing->live && thing->kind != THING_SHOT && thing->depth == 0 && thing->has_destroy &&
      thing->n_destroys == 0)
    model.owed = thing;
}

/* --- Contexts --------------------------------------------------------------------------------- */

ModelContext *
model_context_new (guint slot)
{
  ModelContext *context = g_new0 (ModelContext, 1);

  context->slot = slot;
  context->refs = context->user_refs = 1;
  g_snprintf (context->name, sizeof context->name, "context %u", model.n_contexts_ever++);
  g_ptr_array_add (model.contexts, context);
  return context;
}

/* Nobody holds it any more, and it is there only as long as an iteration is on the stack. */
gboolean
model_context_is_doomed (ModelContext *context)
{
  return !context->ended && context->refs == 0;
}

static int
compare_names (gconstpointer a,
               gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* C24 does not say in which order they are listed. */
static char *
join_names (GPtrArray *names)
{
  g_ptr_array_sort (names, compare_names);
  g_ptr_array_add (names, NULL);
  return g_strjoinv (", ", (char **) names->pdata);
}

/* C24: is it to be listed? Of embedded timers those that are armed. */
static gboolean
is_leak (Thing *thing)
{
  return thing->live && thing->kind != THING_SHOT &&
         (thing->kind != THING_TIMER || thing->on_heap || thing->armed);
}

static void check_done (ModelFrame   *frame,
                        ModelContext *context);

static void
context_ends (ModelContext *context)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  if (model.top != NULL && model.top->context == context)
    check_done (model.top, context);
  context->ended = TRUE;
  for (Thing *thing = model.things; thing != NULL; thing = thing->next)
    {
      if (thing->context != context)
        continue;
      if (is_leak (thing))
        g_ptr_array_add (names, thing->name);
      bury (thing);
    }
  if (names->len != 0)
    context->report = join_names (names);
}

/* C23: at once, or behind the outermost iteration. */
static void
drop_ref (ModelContext *context)
{
  if (--context->refs == 0 && context->n_frames == 0 && context->n_running == 0)
    context_ends (context);
}

void
model_context_unref (ModelContext *context)
{
  context->user_refs--;
  drop_ref (context);
}

void
model_context_attach (ModelContext *context,
                      ModelMain    *main,
                      gboolean      with_ref)
{
  context->main = main;
  context->main_has_ref = with_ref;
  context->attached_at = tick ();
  if (with_ref)
    context->refs++;
}

/* Also by the end of its GSource. */
void
model_context_detach (ModelContext *context)
{
  if (context->main == NULL)
    return;
  context->main = NULL;
  context->attached_at = tick ();
  for (ModelFrame *frame = model.top; frame != NULL; frame = frame->outer)
    frame->disturbed = TRUE;
  if (context->main_has_ref)
    drop_ref (context);
}

void
model_main_end (ModelMain *main)
{
  main->ended = TRUE;
  for (guint i = 0; i < model.contexts->len; i++)
    if (((ModelContext *) model.contexts->pdata[i])->main == main)
      model_context_detach (model.contexts->pdata[i]);
}

/* Is a blocking poll sure to return? */
gboolean
model_context_is_due (ModelContext *context)
{
  if (context->notified)
    return TRUE;
  for (Thing *thing = model.things; thing != NULL; thing = thing->next)
    if (thing->context == context && model_thing_is_due (thing))
      return TRUE;
  return FALSE;
}

Pending
model_context_pending (ModelContext *context)
{
  Pending pending = RESTING;

  for (Thing *thing = model.things; thing != NULL; thing = thing->next)
    if (thing->context == context)
      pending = MAX (pending, thing->pending);
  return pending;
}

/* A critical warning of the library: the only one that is expected is the report of C24. */
void
model_report (const char *message)
{
  const char *list = strstr (message, " was finalised with callbacks that were not deleted: ");
  ModelContext *context = NULL;
  g_auto (GStrv) names = NULL;
  g_autoptr (GPtrArray) sorted = g_ptr_array_new ();
  g_autofree char *joined = NULL;

  for (guint i = 0; list != NULL && i < model.contexts->len; i++)
    {
      ModelContext *one = model.contexts->pdata[i];
      g_autofree char *head = g_strdup_printf ("AioContext “%s”", one->name);

      if (strlen (head) == (gsize) (list - message) && g_str_has_prefix (message, head))
        context = one;
    }
  if (context == NULL)
    model_fail ("unexpected warning: %s", message);
  if (!context->ended && may_end (context))
    context_ends (context);

  names = g_strsplit (strstr (list, ": ") + 2, ", ", -1);
  for (char **name = names; *name != NULL; name++)
    g_ptr_array_add (sorted, *name);
  joined = join_names (sorted);
  if (!context->ended || g_strcmp0 (joined, context->report) != 0)
    model_fail ("C24: wrong report: %s; expected: %s", message,
                context->report != NULL ? context->report : "none");
  g_clear_pointer (&context->report, g_free);
}

/* What has to happen at the end of a context has happened by now. */
void
model_settle (void)
{
  if (model.n_destroying != 0)
    return;
  for (guint i = 0; i < model.contexts->len; i++)
    {
      ModelContext *context = model.contexts->pdata[i];

      if (!context->ended || context->settled)
        continue;
      context->settled = TRUE;
      if (context->report != NULL)
        model_fail ("%s: C24: no report of %s", context->name, context->report);
      for (Thing *thing = model.things; thing != NULL; thing = thing->next)
        if (thing->context == context && thing->has_destroy && thing->n_destroys != 1)
          fail_thing (thing, "C7, C8, C21: no destroy notify at the end of the context");
    }
}

/* C23: behind their outermost iteration those end that nobody holds. */
static void
end_doomed (ModelContext *but)
{
  for (guint i = 0; i < model.contexts->len; i++)
    {
      ModelContext *context = model.contexts->pdata[i];

      if (context != but && model_context_is_doomed (context) && context->n_running == 0 &&
          context->n_frames == 0)
        context_ends (context);
    }
  model_settle ();
}

/* --- Iterations ------------------------------------------------------------------------------- */

/* The iteration begins to look at what is due. */
void
model_frame_looks (ModelFrame *frame)
{
  frame->began = tick ();
  for (guint i = 0; i < model.contexts->len; i++)
    {
      ModelContext *context = model.contexts->pdata[i];

      if (context->ended || !covers (frame, context))
        continue;
      frame->of[context->slot].context = context;
      frame->of[context->slot].attached_at = context->attached_at;
      frame->of[context->slot].now = context->now;
      context->notified = FALSE;
    }
}

/* A nested iteration of a GMainContext may dispatch what the outer one has found. */
static void
enter_main (ModelFrame *frame)
{
  ModelMain *main = frame->main;

  main->stale |= main->n_frames != 0;
  frame->stale = main->stale;
  main->n_frames++;
  for (ModelFrame *outer = frame->outer; outer != NULL; outer = outer->outer)
    if (outer->main == main)
      outer->stale = outer->nested = TRUE;
}

void
model_frame_enter (ModelFrame   *frame,
                   FrameKind     kind,
                   ModelContext *context,
                   ModelMain    *main)
{
  *frame = (ModelFrame) { .outer = model.top, .kind = kind, .context = context, .main = main };
  frame->id = ++model.n_frames_ever;
  expect_nothing_owed ();
  model.top = frame;
  if (main != NULL)
    enter_main (frame);
  else
    {
      context->n_frames++;
      context->n_dispatches += kind == FRAME_DISPATCH;
    }
  model_frame_looks (frame);
  frame->entered = frame->began;
}

/* A turn that ended between its two callbacks owes it the write, and nothing else in the next
 * iteration. So its read may come one later. */
static gboolean
is_read_late (Thing      *handler,
              ModelFrame *frame)
{
  if (!handler->reads || handler->file->level == 0 ||
      handler->file->readable_since >= frame->began || handler->ran_at >= frame->began)
    return FALSE;
  if (handler->read_waits || !handler->writes)
    return TRUE;
  handler->read_waits = TRUE;
  return FALSE;
}

/* Stricter than C11, which lets a poll return FALSE for no visible reason: with nobody else around
 * a descriptor that is overlooked is lost. */
static gboolean
is_handler_late (Thing      *handler,
                 ModelFrame *frame)
{
  if (!handler->live || handler->depth != 0 || handler->made_at >= frame->began)
    return FALSE;
  return (handler->writes && handler->wrote_at < frame->began) || is_read_late (handler, frame);
}

/* The iteration is over: what was due when it began has run. */
static void
check_done (ModelFrame   *frame,
            ModelContext *context)
{
  gint64 now = frame->of[context->slot].now;

  for (Thing *thing = model.things; thing != NULL; thing = thing->next)
    {
      if (thing->context != context)
        continue;
      /* C5: an iteration that finds idle work pending makes a pass. */
      if (thing->pending != RESTING && thing->since < frame->began)
        fail_thing (thing, "C2, C5, C11: did not run");
      if (frame->kind == FRAME_BH_POLL || frame->stale)
        continue;
      if (thing->kind == THING_TIMER && is_timer_due (thing, now) &&
          thing->armed_at < frame->began)
        fail_thing (thing, "C22: did not fire");
      if (thing->kind == THING_HANDLER && is_handler_late (thing, frame))
        fail_thing (thing, "C20: did not run");
    }
}

static void
check_shots (ModelContext *context)
{
  for (Thing *thing = model.things; thing != NULL; thing = thing->next)
    if (thing->kind == THING_SHOT && thing->context == context && !thing->live &&
        thing->depth == 0 && thing->has_destroy && thing->n_destroys == 0)
      fail_thing (thing, "C8: the destroy notify did not run");
}

/* A pass that was not cut short has taken all the places that cancels had left. */
static void
forget_places (ModelFrame   *frame,
               ModelContext *context)
{
  for (Thing *thing = model.things; thing != NULL; thing = thing->next)
    {
      if (thing->context != context)
        continue;
      if (thing->held < frame->began)
        thing->held = 0;
      forget_places_before (thing, frame->began);
    }
}

static void
leave_context (ModelFrame   *frame,
               ModelContext *context)
{
  gboolean was_there = frame->of[context->slot].context == context &&
                       frame->of[context->slot].attached_at == context->attached_at;

  if (frame->kind != FRAME_MAIN)
    {
      check_done (frame, context);
      forget_places (frame, context);
    }
  else if (was_there && !frame->cut && context->attached_at < frame->entered)
    {
      check_done (frame, context);
      if (frame->of[context->slot].pass_began != 0)
        forget_places (frame, context);
    }
  check_shots (context);
}

static void
check_result (ModelFrame *frame,
              gboolean    result)
{
  if (frame->kind == FRAME_BH_POLL && result != frame->ran_bh)
    model_fail ("%s: C9: aio_bh_poll() returned %d", frame->context->name, result);
  if ((frame->kind == FRAME_POLL || frame->kind == FRAME_DISPATCH) && result != frame->ran)
    model_fail ("%s: C11: the iteration returned %d", frame->context->name, result);
  if (frame->kind == FRAME_MAIN && frame->dispatched && !result)
    model_fail ("the iteration of the GMainContext returned FALSE");
}

void
model_frame_leave (ModelFrame *frame,
                   gboolean    result)
{
  expect_nothing_owed ();
  check_result (frame, result);
  for (guint i = 0; i < model.contexts->len; i++)
    {
      ModelContext *context = model.contexts->pdata[i];

      if (!context->ended && covers (frame, context))
        leave_context (frame, context);
    }
  model.top = frame->outer;
  /* GLib has forgotten what the outer ones were about to dispatch; the next one will (G1). */
  for (ModelFrame *outer = frame->outer; outer != NULL && frame->cut; outer = outer->outer)
    outer->cut |= outer->main == frame->main;
  if (frame->main == NULL)
    frame->context->n_frames--;
  else if (--frame->main->n_frames == 0)
    frame->main->stale = frame->nested || frame->cut;
  end_doomed (NULL);
}
