/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 2. All bottom halves of one context, and the passes that run them.
 *
 * The state of a bottom half is one word: NORMAL, HOLD and a count of idle schedules.
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
 * A deleted bottom half keeps NORMAL for ever: later schedules take themselves for merged. */
#pragma once

#include <aioctx-gsource/aio-anchor-private.h>
#include <aioctx-gsource/aio-bh-queue-private.h>
#include <aioctx-gsource/aio-turn-private.h>
#include <aioctx-gsource/aio-types.h>

#define AIO_BH_NORMAL   G_GUINT64_CONSTANT (1)  /* scheduled */
#define AIO_BH_HOLD     G_GUINT64_CONSTANT (2)  /* cancelled; the entry is still in the queue */
#define AIO_BH_IDLE     G_GUINT64_CONSTANT (4)  /* one idle schedule; 2^62 of them fit */
#define AIO_BH_PENDING  (~AIO_BH_HOLD)          /* any of the other bits: a run is due */

typedef enum
{
  AIO_BH_LIVE,
  AIO_BH_DELETED,       /* its destroy notify is still to be called */
  AIO_BH_DESTROYED      /* it has been called */
} AioBHLife;

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

  /* Atomic, any thread. One belongs to the set until the bottom half is reaped. */
  _Atomic (guint) refs;
};

/* A pass that is on the stack. What it still has to do is in the queue, up to last. */
typedef struct _AioPass AioPass;

struct _AioPass
{
  AioPass *outer;
  AioNode *last;                /* the youngest entry that belongs to this pass */
  gboolean done;                /* last was taken, by this pass or by one inside it */
};

struct _AioBHSet
{
  /* Immutable. */
  AioAnchor *anchor;
  AioContext *context;          /* whose bottom halves these are; opaque here */
  AioNotifyFlag *flag;          /* what a push looks at: the notifier's, see aio_bh_watch_push() */
  AioBHWatch *watch;            /* a context of the g_test kit; else NULL */

  /* Atomic, any thread. */
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

  /* Under the home lock. */
  AioBH *first;                 /* all that are not reaped */
};

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
  gboolean progress;    /* one of them was not idle */
} AioPassResult;

void          aio_bh_set_init        (AioBHSet       *set,
                                      AioAnchor      *anchor,
                                      AioContext     *context);
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
AioPassResult aio_bh_set_run         (AioBHSet       *set,
                                      AioTurn        *turn);
void          aio_bh_set_end_passes  (AioBHSet       *set);

/* Between aio-bh.c and aio-bh-pass.c. */
void aio_bh_push          (AioBH *bh);
void aio_bh_unlink_locked (AioBH *bh);
void aio_bh_disown        (AioBH *bh);
void aio_bh_call_destroy  (AioBH *bh);
