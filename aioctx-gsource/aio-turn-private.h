/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 1. One turn of a context: a dispatch by whoever drives it, and when that has to end. It
 * ends early when its source is destroyed, and when its budget is used up. Each part of a context
 * asks before every callback, so what the turn leaves is still where it was, in order.
 *
 * Cost of a callback: a count, and a comparison with the next number at which there is anything to
 * find out. The clock costs more than most callbacks, so it is read after 1, 2, 4, 8, 16 callbacks
 * and then after every 16: a turn of slow ones ends in time, and one of fast ones is not slowed
 * down. */
#pragma once

#include <glib.h>

#define AIO_TURN_LOOK_EVERY 16

/* How much a turn may do. */
typedef struct
{
  guint max_callbacks;          /* 0: no limit */
  gint64 max_usec;              /* 0: no limit */
} AioBudget;

/* On the stack of the home thread. */
typedef struct
{
  GSource *source;              /* NULL: it is no source that is dispatched */
  AioBudget budget;
  gint64 ends_at;               /* monotonic us */
  guint n_callbacks;            /* begun so far */
  guint next_stop;              /* of n_callbacks: find out whether it goes on */
  gboolean cut;                 /* the budget is used up, and something is left */
  gboolean called_fds;          /* and only the kernel knows whether they are ready again */
} AioTurn;

/* The next number of callbacks at which the clock is read. */
static inline guint
aio_turn_next_look (const AioTurn *turn)
{
  guint n = turn->n_callbacks;

  return n < AIO_TURN_LOOK_EVERY ? MAX (2 * n, 1) : n + AIO_TURN_LOOK_EVERY;
}

static inline void
aio_turn_set_next_stop (AioTurn *turn)
{
  guint limit = turn->budget.max_callbacks != 0 ? turn->budget.max_callbacks : G_MAXUINT;
  guint look = turn->budget.max_usec != 0 ? aio_turn_next_look (turn) : G_MAXUINT;

  turn->next_stop = MIN (limit, look);
}

static inline void
aio_turn_begin (AioTurn         *turn,
                GSource         *source,
                const AioBudget *budget)
{
  *turn = (AioTurn) { .source = source, .budget = *budget };
  if (budget->max_usec != 0)
    turn->ends_at = g_get_monotonic_time () + budget->max_usec;
  aio_turn_set_next_stop (turn);
}

/* Is there any budget? */
static inline gboolean
aio_turn_is_limited (const AioTurn *turn)
{
  return turn->next_stop != G_MAXUINT;
}

/* One of the numbers has come. */
static inline gboolean
aio_turn_is_used_up (const AioTurn *turn)
{
  const AioBudget *budget = &turn->budget;

  return (budget->max_callbacks != 0 && turn->n_callbacks >= budget->max_callbacks) ||
         (budget->max_usec != 0 && g_get_monotonic_time () >= turn->ends_at);
}

static inline gboolean
aio_turn_has_ended (const AioTurn *turn)
{
  return turn->cut || (turn->source != NULL && g_source_is_destroyed (turn->source));
}

/* Before each callback. Without a turn there is no end. FALSE: leave it, and all that follows. */
static inline gboolean
aio_turn_goes_on (AioTurn *turn)
{
  if (turn == NULL)
    return TRUE;
  if (aio_turn_has_ended (turn))
    return FALSE;
  if (G_UNLIKELY (turn->n_callbacks >= turn->next_stop))
    {
      turn->cut = aio_turn_is_used_up (turn);
      if (turn->cut)
        return FALSE;
      aio_turn_set_next_stop (turn);
    }
  turn->n_callbacks++;
  return TRUE;
}
