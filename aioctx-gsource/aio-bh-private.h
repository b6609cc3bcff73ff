/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 2. All bottom halves of one context, and the passes that run them.
 *
 * The state of a bottom half is one word: NORMAL, HOLD, COUNTED and a count of idle schedules.
 *
 *   schedule        old = exchange (NORMAL)       one locked instruction, none behind it if merged
 *   schedule_idle   old = add (IDLE)
 *   cancel          old = exchange (HOLD)         only if something is pending
 *   delete          old = exchange (NORMAL)       after life was set to "deleted"
 *   pass            old = exchange (0)            run if NORMAL or idle was set
 *
 * Not 0 means: it is in the queue, or whoever made it so is about to put it there. So:
 * **who turns 0 into something else must push an entry**, and nobody else may. There is at most one
 * entry of a bottom half in the queue, and each operation above is one instruction, at which it
 * takes effect, whatever other threads and signal handlers do meanwhile.
 *
 * All are read-modify-writes of one word, so they stand in one order and each sees what the ones
 * before it published: the run sees everything that was written before any schedule that merged
 * into it.
 *
 * A deleted bottom half keeps NORMAL for ever: later schedules take themselves for merged.
 *
 * While any context in the process is profiled, schedule exchanges COUNTED for NORMAL. It means the
 * same, but who finds it there takes the way of the rare cases, and is counted: so merged schedules
 * are counted without an instruction more when nobody wants to know. */
#pragma once

#include <aioctx-gsource/aio-anchor-private.h>
#include <aioctx-gsource/aio-bh-queue-private.h>
#include <aioctx-gsource/aio-meter-private.h>
#include <aioctx-gsource/aio-turn-private.h>
#include <aioctx-gsource/aio-types.h>

#define AIO_BH_NORMAL   G_GUINT64_CONSTANT (1)  /* scheduled */
#define AIO_BH_HOLD     G_GUINT64_CONSTANT (2)  /* cancelled; the entry is still in the queue */
#define AIO_BH_COUNTED  G_GUINT64_CONSTANT (4)  /* scheduled; who merges with it is counted */
#define AIO_BH_IDLE     G_GUINT64_CONSTANT (8)  /* one idle schedule; 2^61 of them fit */
#define AIO_BH_BUSY     (AIO_BH_NORMAL | AIO_BH_COUNTED)        /* scheduled, not idle */
#define AIO_BH_PENDING  (~AIO_BH_HOLD)          /* any of the other bits: a run is due */

typedef enum
{
  AIO_BH_LIVE,
  AIO_BH_DELETED,       /* its destroy notify is still to be called */
  AIO_BH_DESTROYED      /* it has been called */
} AioBHLife;

/* With profiling. */
typedef struct
{
  /* Written by who turned state from 0. */
  _Atomic (gint64) scheduled_ns;        /* monotonic; 0: unknown */

  /* Written by the home thread, read by any. */
  _Atomic (guint64) total_ns;
  _Atomic (gint64) longest_ns;
} AioBHFigures;

typedef struct _AioBHSet AioBHSet;
typedef struct _AioBHWatch AioBHWatch;

struct _AioBH
{
  /* One cache line holds all that schedule and run need. */

  /* Atomic, any thread. */
  _Alignas (64) _Atomic (guint64) state;
  _Atomic (guint64) run;        /* written by the home thread, see aio_run_begin() */
  AioNode nodes[2];             /* in the queue by turns */
  _Atomic (guint8) life;        /* an AioBHLife; leaves LIVE under the home lock */

  /* Owned by whoever turned state from 0; handed on by the exchanges of it. */
  guint8 turn;                  /* the node that was pushed last */

  /* Home thread only. */
  guint8 unqueued;              /* deleted, and no entry of it is in the queue or coming */

  /* Immutable. */
  AioBHFunc func;
  gpointer data;
  AioBHSet *set;                /* valid while life is LIVE, or an entry is in the queue */

  /* The second line. Immutable. */
  AioAnchor *anchor;
  GDestroyNotify destroy;
  const char *name;             /* interned */

  /* Owned as turn is. */
  guint64 producer;             /* who has pushed it last; written in the contexts of the kit */

  /* Under the home lock: the list in AioBHSet. */
  AioBH *previous;
  AioBH *next;

  /* Atomic, any thread. */
  _Atomic (AioBHFigures *) figures;     /* made under the home lock, once; NULL: not profiled yet */
  _Atomic (guint) refs;         /* one belongs to the set until the bottom half is reaped */
};

/* A pass that is on the stack. What it still has to do is in the queue, up to last. */
typedef struct _AioPass AioPass;

struct _AioPass
{
  AioPass *outer;
  AioNode *last;                /* the youngest entry that belongs to this pass */
  gboolean done;                /* last was taken, by this pass or by one inside it */
  gboolean progress;            /* in a pass inside it */
};

struct _AioBHSet
{
  /* Immutable. */
  AioAnchor *anchor;
  AioContext *context;          /* whose bottom halves these are; opaque here */
  AioMeter *meter;
  AioBHWatch *watch;            /* a context of the g_test kit; else NULL */

  /* Atomic, any thread. */
  _Atomic (AioNotifyFlag *) flag;       /* what a push looks at, see aio_bh_set_choose_flag() */
  _Atomic (guint) closed;       /* posts are refused */

  AioQueue queue;

  /* Home thread only. */
  AioEntry retired;             /* owner of queue.tail, to be freed as soon as the tail moves on */
  AioPass *passes;              /* innermost first */

  /* Written by the home thread, read by any. */
  _Atomic (guint64) n_passes;
  _Atomic (guint64) n_runs;
  _Atomic (guint64) n_cancels;
  _Atomic (guint64) max_depth;
  _Atomic (guint64) n_scheduled;        /* with profiling: entries that were taken */
  _Atomic (guint64) n_idle_merged;      /* with profiling */

  /* Under the home lock. */
  AioBH *first;                 /* all that are not reaped */
};

/* What schedule exchanges for the state: NORMAL, or COUNTED. (Internal: then it is one instruction
 * as it was with a constant.) */
extern G_GNUC_INTERNAL _Atomic (guint64) aio_bh_mark;

/* The bottom half that an entry is of; not for that of a one-shot. */
static inline AioBH *
aio_entry_bh (AioEntry entry)
{
  AioNode *first = aio_entry_node (entry) - aio_entry_kind (entry);

  return (AioBH *) ((char *) first - G_STRUCT_OFFSET (AioBH, nodes));
}

/* What a look at the queue found; the later ones outdo the earlier. */
typedef enum
{
  AIO_LOOK_NOTHING,
  AIO_LOOK_IDLE,        /* idle ones only */
  AIO_LOOK_HOLE,        /* a producer is between swap and link: look again soon */
  AIO_LOOK_WORK
} AioLook;

typedef struct
{
  guint n_entries;      /* taken from the queue */
  guint n_runs;         /* callbacks among them */
  gboolean progress;    /* one of them, or of those of a pass inside, was not idle */
} AioPassResult;

void          aio_bh_set_init        (AioBHSet       *set,
                                      AioAnchor      *anchor,
                                      AioContext     *context,
                                      AioMeter       *meter);
void          aio_bh_set_choose_flag (AioBHSet       *set);
void          aio_bh_set_profile     (AioBHSet       *set,
                                      gboolean        on);
void          aio_bh_set_name_all    (AioBHSet       *set,
                                      GString        *names);
void          aio_bh_set_close       (AioBHSet       *set,
                                      GString        *names);
void          aio_bh_set_drop_all    (AioBHSet       *set);
AioBH        *aio_bh_set_add         (AioBHSet       *set,
                                      const char     *name,
                                      AioBHFunc       func,
                                      gpointer        data,
                                      GDestroyNotify  destroy);
void          aio_bh_set_add_oneshot (AioBHSet       *set,
                                      const char     *name,
                                      AioBHFunc       func,
                                      gpointer        data,
                                      GDestroyNotify  destroy);
gboolean      aio_bh_set_post        (AioBHSet       *set,
                                      AioBHFunc       func,
                                      gpointer        data,
                                      GDestroyNotify  destroy);
void          aio_bh_set_add_disposal (AioBHSet      *set,
                                      GDestroyNotify  destroy,
                                      gpointer        data);
void          aio_bh_set_end_with    (AioBHSet       *set,
                                      AioBHFunc       func,
                                      gpointer        data);
AioLook       aio_bh_set_look        (AioBHSet       *set);
gboolean      aio_bh_set_peek        (AioBHSet       *set,
                                      AioWork        *work);
AioPassResult aio_bh_set_run         (AioBHSet       *set,
                                      AioTurn        *turn);
void          aio_bh_set_end_passes  (AioBHSet       *set);

/* Between the aio-bh-*.c. */
AioBH        *aio_bh_alloc           (void);
void          aio_bh_free            (AioBH          *bh);
void          aio_bh_add_figures     (AioBH          *bh);
void          aio_bh_stamp           (AioEntry        entry);
void          aio_bh_push            (AioBH          *bh);
void          aio_bh_unlink_locked   (AioBH          *bh);
void          aio_bh_disown          (AioBH          *bh);
void          aio_bh_call_destroy    (AioBH          *bh);
