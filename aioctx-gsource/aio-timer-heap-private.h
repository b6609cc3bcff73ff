/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 2. A pairing heap of timers (Fredman, Sedgewick, Sleator, Tarjan: "The pairing heap: a new
 * form of self-adjusting heap", Algorithmica 1, 1986). Intrusive; inserting costs O(1), looking at
 * the first one O(1), taking any of them out O(log n) amortised.
 *
 * Each node has a list of children, which all come later than it. The previous of a first child is
 * its parent. */
#pragma once

#include <aioctx-gsource/aio-timer-private.h>

static inline gboolean
aio_timer_is_earlier (const AioTimerNode *a,
                      const AioTimerNode *b)
{
  return a->deadline < b->deadline || (a->deadline == b->deadline && a->order < b->order);
}

/* Makes one heap of two; either may be empty. */
static inline AioTimerNode *
aio_timer_heap_meld (AioTimerNode *a,
                     AioTimerNode *b)
{
  AioTimerNode *later = b;

  if (a == NULL || b == NULL)
    return a != NULL ? a : b;
  if (aio_timer_is_earlier (b, a))
    {
      later = a;
      a = b;
    }
  later->next = a->child;
  if (later->next != NULL)
    later->next->previous = later;
  later->previous = a;
  a->child = later;
  return a;
}

/* Makes one heap of a list of siblings: in pairs from the left, then all from the right. */
static inline AioTimerNode *
aio_timer_heap_meld_siblings (AioTimerNode *first)
{
  AioTimerNode *pairs = NULL;
  AioTimerNode *root = NULL;

  while (first != NULL)
    {
      AioTimerNode *a = first;
      AioTimerNode *b = a->next;
      AioTimerNode *pair;

      first = b != NULL ? b->next : NULL;
      a->next = NULL;
      if (b != NULL)
        b->next = NULL;
      pair = aio_timer_heap_meld (a, b);
      pair->next = pairs;
      pairs = pair;
    }
  while (pairs != NULL)
    {
      AioTimerNode *rest = pairs->next;

      pairs->next = NULL;
      root = aio_timer_heap_meld (root, pairs);
      pairs = rest;
    }
  if (root != NULL)
    root->previous = NULL;
  return root;
}

static inline void
aio_timer_heap_insert (AioTimerNode **heap,
                       AioTimerNode  *timer)
{
  timer->child = timer->next = timer->previous = NULL;
  *heap = aio_timer_heap_meld (*heap, timer);
}

static inline void
aio_timer_heap_remove (AioTimerNode **heap,
                       AioTimerNode  *timer)
{
  AioTimerNode *children = aio_timer_heap_meld_siblings (timer->child);

  if (*heap == timer)
    {
      *heap = children;
      return;
    }
  if (timer->previous->child == timer)
    timer->previous->child = timer->next;
  else
    timer->previous->next = timer->next;
  if (timer->next != NULL)
    timer->next->previous = timer->previous;
  *heap = aio_timer_heap_meld (*heap, children);
}
