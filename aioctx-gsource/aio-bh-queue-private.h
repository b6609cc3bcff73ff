/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 2. The queue between producers in any thread and the home thread: Dmitry Vyukov's intrusive
 * multi-producer single-consumer queue ("Intrusive MPSC node-based queue", 1024cores.net, 2010),
 * with one change: the consumer never puts a stub back. The node consumed last stays behind as the
 * stub until the next one is consumed, so a producer pays one exchange and the consumer none. In
 * return whoever owns a node must
 *
 *   - not free it while it is the tail (see AioBHSet's retired), and
 *   - not push it again while it may be the tail: a bottom half has two nodes and takes turns, and
 *     may be claimed for the next push only after the tail has moved onto the last one.
 *
 * A producer swaps the head, then links the former head to its node. In between the queue has a
 * hole: the entries behind it cannot be reached until the producer goes on. The former head is
 * alive all that time, because the tail cannot move past it without the link. */
#pragma once

#include <aioctx-gsource/aio-atomic-private.h>
#include <aioctx-gsource/aio-pause-private.h>
#include <glib.h>

/* What a node is part of; kept in the low bits of the link that leads to it. */
typedef enum
{
  AIO_ENTRY_BH_0,       /* the first node of an AioBH */
  AIO_ENTRY_BH_1,       /* its second node */
  AIO_ENTRY_ONESHOT,    /* an AioOneshot */
} AioEntryKind;

#define AIO_ENTRY_KIND_MASK ((guintptr) 3)

typedef struct _AioNode AioNode;

struct _AioNode
{
  _Atomic (guintptr) next;      /* a node and its AioEntryKind, 0 while there is none */
};

/* A link: 0, or a node with its kind. */
typedef guintptr AioEntry;

typedef struct
{
  /* Atomic, any thread. On a line of its own: each push takes it. */
  _Alignas (64) _Atomic (AioNode *) head;

  /* Home thread only. */
  _Alignas (64) AioNode *tail;  /* consumed; what comes next is tail->next */
  AioNode stub;                 /* the first tail */
} AioQueue;

static inline AioNode *
aio_entry_node (AioEntry entry)
{
  return (AioNode *) (entry & ~AIO_ENTRY_KIND_MASK);
}

static inline AioEntryKind
aio_entry_kind (AioEntry entry)
{
  return (AioEntryKind) (entry & AIO_ENTRY_KIND_MASK);
}

static inline void
aio_queue_init (AioQueue *queue)
{
  aio_store_relaxed (&queue->head, &queue->stub);
  queue->tail = &queue->stub;
}

/* Any thread, wait-free, one locked instruction: takes a place in the queue. The order of these
 * exchanges is the order in which the entries run. Must be followed by aio_queue_link() with what
 * it returns. Full: pairs with aio_queue_is_empty() of a sleeper, by way of the notifier. */
static inline AioNode *
aio_queue_swap (AioQueue *queue,
                AioNode  *node)
{
  AioNode *former;

  AIO_PAUSE (CLAIMED);
  /* Relaxed: nobody sees the node before the exchange. */
  aio_store_relaxed (&node->next, 0);
  former = aio_exchange_full (&queue->head, node);
  AIO_PAUSE (SWAPPED);
  return former;
}

/* Any thread: makes the entry reachable. From here on it may run, and its owner be gone. The
 * release pairs with the acquire in aio_queue_next(). */
static inline void
aio_queue_link (AioNode      *former,
                AioNode      *node,
                AioEntryKind  kind)
{
  aio_store_release (&former->next, (AioEntry) node | kind);
}

/* Home thread. The load pairs with aio_queue_swap(), see there; a plain move on x86-64. */
static inline gboolean
aio_queue_is_empty (AioQueue *queue)
{
  return aio_load_full (&queue->head) == queue->tail;
}

/* Home thread: the entry behind a node, 0 if there is none or it is not linked yet. Pairs with
 * aio_queue_link(). */
static inline AioEntry
aio_queue_next (AioNode *node)
{
  return aio_load_acquire (&node->next);
}

/* Home thread: takes the next entry; 0 when the queue is empty or has a hole here. */
static inline AioEntry
aio_queue_pop (AioQueue *queue)
{
  AioEntry entry = aio_queue_next (queue->tail);

  if (entry != 0)
    queue->tail = aio_entry_node (entry);
  return entry;
}
