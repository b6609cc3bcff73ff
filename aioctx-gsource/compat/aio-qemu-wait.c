/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "aio-qemu-private.h"

#include <aioctx-gsource/aio-atomic-private.h>

/* Atomic, any thread: how many threads are inside AIO_WAIT_WHILE(). */
static _Atomic (guint) n_waiters;

bool
aio_qemu_wait_is_here (AioContext *ctx)
{
  return ctx != NULL && in_aio_context_home_thread (ctx);
}

/* Counts in, and then the condition is looked at; aio_qemu_wait_kick() comes after the change of
 * the condition, and looks at the count. Full on both sides, so one of them sees the other: pairs
 * with the addition in aio_qemu_wait_kick(). */
void
aio_qemu_wait_begin (void)
{
  aio_fetch_add_full (&n_waiters, 1);
}

/* Full for want of a cheaper one: nothing is ordered by it. */
void
aio_qemu_wait_end (void)
{
  aio_fetch_sub_full (&n_waiters, 1);
}

void
aio_qemu_wait_once (AioContext *ctx,
                    bool        unlock)
{
  guint depth = unlock ? aio_qemu_context_let_go (ctx) : 0;

  aio_qemu_poll (aio_qemu_main_context (), true);
  aio_qemu_context_take_back (ctx, depth);
}

/* An addition of nothing, because a plain load could come before the change of the condition: pairs
 * with aio_qemu_wait_begin(). */
void
aio_qemu_wait_kick (void)
{
  if (aio_fetch_add_full (&n_waiters, 0) != 0)
    aio_context_notify (aio_qemu_main_context ());
}

typedef struct
{
  QEMUBHFunc *cb;
  void *opaque;

  /* Atomic, any thread. */
  _Atomic (gboolean) done;      /* the last that the other thread touches */
} Oneshot;

static void
run_oneshot (void *opaque)
{
  Oneshot *oneshot = opaque;

  oneshot->cb (oneshot->opaque);
  aio_store_release (&oneshot->done, TRUE);     /* pairs with aio_qemu_wait_bh_oneshot() */
  aio_qemu_wait_kick ();
}

void
aio_qemu_wait_bh_oneshot (AioContext *ctx,
                          QEMUBHFunc *cb,
                          void       *opaque)
{
  Oneshot oneshot = { cb, opaque, FALSE };

  aio_qemu_bh_schedule_oneshot (ctx, run_oneshot, &oneshot, "aio_wait_bh_oneshot");
  AIO_WAIT_WHILE (ctx, !aio_load_acquire (&oneshot.done));      /* pairs with run_oneshot() */
}
