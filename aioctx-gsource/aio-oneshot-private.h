/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 2. Entries that are queued once: one-shots and posts. */
#pragma once

#include <aioctx-gsource/aio-bh-queue-private.h>
#include <aioctx-gsource/aio-types.h>

typedef struct _AioOneshot AioOneshot;

struct _AioOneshot
{
  AioNode node;                 /* first: an entry is cast to its one-shot */
  AioBHFunc func;               /* NULL: nothing to run */
  gpointer data;
  GDestroyNotify destroy;
  union
  {
    const char *name;           /* interned or a literal, may be NULL */
    AioOneshot *next_free;      /* while it is in a free list */
  } u;
  gint64 scheduled_ns;          /* monotonic, with profiling; else 0 */
};

AioOneshot *aio_oneshot_alloc (void);
void        aio_oneshot_free  (AioOneshot *oneshot);
