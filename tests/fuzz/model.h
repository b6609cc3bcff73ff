/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The contract as a simple program: what a context may do next, and what it must have done, said
 * with nothing but lists that are searched from end to end. It is written from docs/contract.md and
 * knows nothing of the library.
 *
 * Whoever calls the library tells the model first, or when a callback begins and ends. The model
 * aborts as soon as something happens that the contract forbids, or does not happen in time. Where
 * the contract leaves a choice the model takes any of them; comments name the sentence. */
#pragma once

#include <glib.h>

#define MODEL_CONTEXTS 4
#define MODEL_FILES    4

typedef struct _ModelContext ModelContext;
typedef struct _ModelFile ModelFile;
typedef struct _ModelFrame ModelFrame;
typedef struct _ModelMain ModelMain;
typedef struct _Thing Thing;

typedef enum
{
  THING_BH,
  THING_SHOT,           /* a one-shot or a post */
  THING_TIMER,
  THING_HANDLER
} ThingKind;

typedef enum
{
  RESTING,
  IDLE,
  NORMAL
} Pending;

/* Anything that has a callback. It outlives what the library knows of it, so that a callback that
 * comes too late is met by somebody who can tell. */
struct _Thing
{
  Thing *next;                  /* the one that was made before it */
  ThingKind kind;
  ModelContext *context;
  char name[64];                /* as the report of leaks has it */
  gboolean live;                /* a run may begin */
  guint depth;                  /* of its runs on the stack */
  gboolean has_destroy;
  guint n_destroys;
  guint64 made_at;
  guint64 ran_at;               /* when the last run began */
  guint last_frame;             /* in which iteration that was */

  /* Bottom halves and one-shots. Times are places in the queue. */
  Pending pending;
  guint64 since;                /* from when on it has been pending */
  guint64 place;                /* the last place that it can be at ... */
  guint64 oldest;               /* ... and the first, if a cancel has left it one (C6) */
  guint64 held;                 /* the place that a cancel may have left behind; 0: none */

  /* Timers. */
  guint clock;
  gboolean armed;
  gint64 deadline;
  guint64 armed_at;
  gboolean on_heap;

  /* Handlers. */
  ModelFile *file;
  gboolean reads;
  gboolean writes;
  gboolean was_readable;        /* at some moment since its last run */
  guint64 wrote_at;             /* as ran_at and last_frame, of its write callback */
  guint last_write_frame;
  gboolean read_waits;          /* for one iteration: in the last one only its write ran */
};

struct _ModelContext
{
  guint slot;
  char name[32];
  guint refs;                   /* the attachment's, too */
  guint user_refs;
  gboolean ended;
  gboolean settled;             /* what has to happen at the end was seen to have happened */
  char *report;                 /* of leaks, due and not seen yet */
  ModelMain *main;              /* that it is attached to */
  gboolean main_has_ref;
  guint64 attached_at;
  guint n_frames;               /* iterations of its own on the stack */
  guint n_running;              /* callbacks on the stack */
  guint n_dispatches;           /* for a foreign loop, so far */
  gint64 now;                   /* the virtual clock */
  gboolean notified;            /* and no iteration has begun since */
  gboolean may_be_notified;     /* C11, C12: an iteration may have had no need to know */
};

struct _ModelMain
{
  gboolean ended;
  guint n_frames;
  gboolean stale;               /* GLib may hold sources to be ready that it has not polled (G1) */
};

struct _ModelFile
{
  int number;                   /* the descriptor that handlers are set for */
  guint64 level;                /* how much can be read */
  guint64 readable_since;
};

typedef enum
{
  FRAME_BH_POLL,
  FRAME_POLL,
  FRAME_DISPATCH,
  FRAME_MAIN
} FrameKind;

/* An iteration. */
struct _ModelFrame
{
  ModelFrame *outer;
  FrameKind kind;
  guint id;
  ModelContext *context;
  ModelMain *main;
  guint64 entered;
  guint64 began;                /* to look at what is due */
  gboolean stale;               /* as of the GMainContext */
  gboolean nested;              /* that was iterated inside of this iteration, too */
  gboolean cut;                 /* nothing is sure to run */
  gboolean disturbed;           /* some context was detached meanwhile */
  gboolean ran_bh;              /* in it or in a nested one: a bottom half that was not idle */
  gboolean ran;                 /* anything that is progress */
  gboolean dispatched;          /* in it itself: anything at all */
  struct
  {
    ModelContext *context;
    guint64 attached_at;
    gint64 now;
    guint64 pass_began;         /* before its first callback; 0: none was called yet */
  } of[MODEL_CONTEXTS];
};

void          model_begin               (void);
void          model_end                 (void);
void          model_fail                (const char   *format,
                                         ...) G_GNUC_PRINTF (1, 2) G_GNUC_NORETURN;

ModelContext *model_context_new         (guint         slot);
void          model_context_unref       (ModelContext *context);
gboolean      model_context_is_doomed   (ModelContext *context);
void          model_context_attach      (ModelContext *context,
                                         ModelMain    *main,
                                         gboolean      with_ref);
void          model_context_detach      (ModelContext *context);
gboolean      model_context_is_due      (ModelContext *context);
Pending       model_context_pending     (ModelContext *context);
void          model_main_end            (ModelMain    *main);
void          model_report              (const char   *message);
void          model_settle              (void);

Thing        *model_thing_new           (ModelContext *context,
                                         ThingKind     kind,
                                         gboolean      has_destroy);
void          model_thing_kill          (Thing        *thing);
void          model_thing_killed        (Thing        *thing);
void          model_thing_destroys      (Thing        *thing);
void          model_thing_destroyed     (Thing        *thing);
void          model_thing_runs          (Thing        *thing,
                                         gboolean      is_write);
void          model_thing_ran           (Thing        *thing);
gboolean      model_is_destroying       (void);

void          model_bh_schedule         (Thing        *bh,
                                         Pending       pending);
gboolean      model_bh_cancel           (Thing        *bh);

void          model_timer_arm           (Thing        *timer,
                                         gint64        deadline);
gboolean      model_timer_disarm        (Thing        *timer);

Thing        *model_handler_of          (ModelContext *context,
                                         ModelFile    *file);
gboolean      model_thing_is_due        (Thing        *thing);
void          model_file_filled         (ModelFile    *file);

void          model_frame_enter         (ModelFrame   *frame,
                                         FrameKind     kind,
                                         ModelContext *context,
                                         ModelMain    *main);
void          model_frame_looks         (ModelFrame   *frame);
void          model_frame_leave         (ModelFrame   *frame,
                                         gboolean      result);
guint         model_depth               (void);
