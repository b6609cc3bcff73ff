/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 2. The bottom halves of a context that the g_test kit has made, or that is shuffled: who
 * has pushed an entry is written down, and a pass begins by putting the entries into another order
 * that the contract allows as well.
 *
 * It costs other contexts one predictable branch a pass, and schedule nothing: a push looks at a
 * flag anyway, and takes the slow path when that is raised. Here it looks at one that always is. */
#pragma once

#include <aioctx-gsource/aio-bh-private.h>
#include <aioctx-gsource/aio-oneshot-private.h>
#include <aioctx-gsource/aio-test-entry-private.h>

/* Home thread only. */
typedef struct
{
  guint64 random;               /* the state of its generator */
  guint64 n_reordered;          /* passes */
} AioShuffle;

struct _AioBHWatch
{
  /* Home thread only. */
  AioTestArrange arrange;       /* NULL: entries run in the order of their pushes */
  gpointer arrange_data;
  AioShuffle shuffle;

  /* Immutable once the context is in use. */
  gpointer data;                /* of the kit; NULL: the context is not one of its own */
  GDestroyNotify destroy;
};

/* The producer of an entry that nothing overtakes, in either direction. */
#define AIO_PRODUCER_FENCE G_MAXUINT64

/* What is listed. A name of NULL is that of a post. */
typedef void (*AioBHVisitor) (gpointer    data,
                              AioBH      *bh,
                              const char *name,
                              guint64     state);

void aio_bh_set_watch        (AioBHSet       *set,
                              gpointer        data,
                              GDestroyNotify  destroy);
void aio_bh_set_list         (AioBHSet       *set,
                              AioBHVisitor    visit,
                              gpointer        data);
void aio_bh_wrap             (AioBH          *bh,
                              AioBHFunc       before,
                              gpointer        data);
guint64 aio_bh_declare_producer (guint64      id);

/* aio-bh-shuffle.c; the set is watched. */
void aio_bh_set_shuffle      (AioBHSet       *set,
                              guint32         seed);

/* For aio-bh.c and aio-bh-pass.c. */
void aio_bh_watch_push       (AioEntry        entry);
void aio_bh_watch_arrange    (AioBHSet       *set);
void aio_bh_watch_free       (AioBHWatch     *watch);

/* For reports, too. */
AioBHFunc aio_bh_watch_func (const AioOneshot *oneshot);
