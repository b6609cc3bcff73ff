/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 2. All timers of one context, in a heap for each clock. */
#pragma once

#include <aioctx-gsource/aio-anchor-private.h>
#include <aioctx-gsource/aio-timer.h>
#include <aioctx-gsource/aio-meter-private.h>
#include <aioctx-gsource/aio-turn-private.h>

#define AIO_N_CLOCKS 4

/* A deadline that no clock reaches: nothing is armed. */
#define AIO_TIMER_NEVER G_MAXINT64

typedef struct _AioTimerSet AioTimerSet;
typedef struct _AioTimerNode AioTimerNode;
typedef struct _AioTimerRun AioTimerRun;

typedef enum
{
  AIO_TIMER_IDLE,
  AIO_TIMER_ARMED,      /* in the heap of its clock */
  AIO_TIMER_DUE         /* in the list of those that a pass is going to call */
} AioTimerState;

/* What an AioTimer is inside. */
struct _AioTimerNode
{
  /* Immutable. */
  AioTimerSet *set;             /* a reference; NULL: not in use */
  AioTimerFunc func;
  gpointer data;
  GDestroyNotify destroy;
  guint8 clock;
  guint8 on_heap;               /* made by aio_timer_new() */

  /* Under the lock of the set. */
  guint8 state;                 /* an AioTimerState */
  guint8 freed;                 /* on the heap: free it when its outermost run is over */
  guint8 dead;                  /* on the heap: deleted, though there may be copies */
  guint refs;                   /* on the heap: boxed copies */
  gint64 deadline;
  guint64 order;                /* of arming: breaks ties */
  AioTimerNode *child;          /* pairing heap: the first of those that come later */
  AioTimerNode *next;           /* its next sibling; the next one that is due */
  AioTimerNode *previous;       /* its previous sibling, or the parent of the first */
  AioTimerNode *all_next;       /* on the heap: the list of them, for the leak report */
  AioTimerNode *all_previous;
  const char *name;             /* interned; NULL: it has none */
  guint64 n_runs;
  gint64 longest_ns;            /* with profiling */
};

G_STATIC_ASSERT (sizeof (AioTimerNode) <= sizeof (AioTimer));

/* A callback on the stack of the home thread. */
struct _AioTimerRun
{
  AioTimerRun *outer;
  AioTimerNode *timer;          /* NULL once it was cleared: its memory may be gone */
  AioTimerNode *called;         /* the same, but never followed: tells waiters whose run this is */
  guint64 serial;               /* from 1: tells runs apart */
};

/* Outlives the context as long as there are timers of it: they may be cleared in any order. */
struct _AioTimerSet
{
  /* Immutable. */
  AioAnchor *anchor;
  AioMeter *meter;              /* followed in runs only: it goes with the context */
  gboolean all_virtual;         /* a context of the g_test kit: each clock is the virtual one */

  /* Atomic, any thread. */
  _Atomic (guint) refs;
  _Atomic (gint64) earliest[AIO_N_CLOCKS];      /* written under the lock */
  _Atomic (guint) n_due;                        /* written under the lock */
  _Atomic (gint64) virtual_now;

  /* Guards the rest, and all timers. A leaf: no callback runs while it is held. */
  pthread_mutex_t lock;
  pthread_cond_t run_ended;
  AioTimerNode *heaps[AIO_N_CLOCKS];
  AioTimerNode *first_due, *last_due;
  AioTimerNode *all;
  AioTimerRun *runs;                            /* innermost first */
  guint64 n_armed_ever;
  guint64 n_runs;                               /* serials given to runs */
  guint n_waiters;
  gboolean closed;                              /* the context is gone */
};

/* What is listed: whatever is armed, and all that were made on the heap. */
typedef void (*AioTimerVisitor) (gpointer            data,
                                 const AioTimerNode *timer);

AioTimerSet *aio_timer_set_new           (AioAnchor   *anchor,
                                          AioMeter    *meter);
void         aio_timer_set_unref         (AioTimerSet *set);
void         aio_timer_set_close         (AioTimerSet *set,
                                          GString     *names);
void         aio_timer_set_drop_all      (AioTimerSet *set);
gint64       aio_timer_set_now           (AioTimerSet *set,
                                          AioClock     clock);
void         aio_timer_set_move_clock    (AioTimerSet *set,
                                          gint64       now);
void         aio_timer_set_list          (AioTimerSet *set,
                                          AioTimerVisitor visit,
                                          gpointer     data);
gboolean     aio_timer_set_try_list      (AioTimerSet *set,
                                          AioTimerVisitor visit,
                                          gpointer     data);
gboolean     aio_timer_is_running        (const AioTimerNode *timer);
guint64      aio_timer_set_count_runs    (AioTimerSet *set);
gboolean     aio_timer_set_peek          (AioTimerSet *set,
                                          AioWork     *work);
guint        aio_timer_set_run           (AioTimerSet *set,
                                          AioTurn     *turn);
void         aio_timer_node_init         (AioTimerNode   *timer,
                                          AioTimerSet    *set,
                                          AioClock        clock,
                                          AioTimerFunc    func,
                                          gpointer        data,
                                          GDestroyNotify  destroy);
void         aio_timer_node_put_on_heap  (AioTimerNode   *timer);

/* The clock that is meant. */
static inline AioClock
aio_timer_set_clock (AioTimerSet *set,
                     AioClock     clock)
{
  return set->all_virtual ? AIO_CLOCK_VIRTUAL : clock;
}

/* Any thread. Full: pairs with the notifier's flag as a push does, although the lock orders it
 * already. AIO_TIMER_NEVER while nothing is armed. */
static inline gint64
aio_timer_set_earliest (AioTimerSet *set,
                        AioClock     clock)
{
  return aio_load_full (&set->earliest[clock]);
}

/* Are there timers that the clock has caught up with as far as one can tell without asking the
 * system: left over by an interrupted pass, or on the virtual clock? */
static inline gboolean
aio_timer_set_is_due (AioTimerSet *set)
{
  gint64 earliest = aio_timer_set_earliest (set, AIO_CLOCK_VIRTUAL);

  return aio_load_relaxed (&set->n_due) != 0 ||
         (earliest <= aio_load_acquire (&set->virtual_now) && earliest != AIO_TIMER_NEVER);
}

/* Home thread. Is there any timer at all that one would have to ask the clocks for? */
static inline gboolean
aio_timer_set_is_idle (AioTimerSet *set)
{
  for (guint clock = 0; clock < AIO_N_CLOCKS; clock++)
    if (aio_timer_set_earliest (set, clock) != AIO_TIMER_NEVER)
      return FALSE;
  return aio_load_relaxed (&set->n_due) == 0;
}
