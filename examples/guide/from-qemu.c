/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Code in QEMU's form, with a native call beside it where the two share a name. */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "block/aio.h"
#include "qemu/main-loop.h"

static void
step (void *opaque)
{
  int *n_steps = opaque;

  printf ("step %d\n", ++*n_steps);
}

static void
destroy (gpointer data)
{
  printf ("destroy notify\n");
}

static void
run_until_nothing_is_left (QEMUBH *bh)
{
  qemu_bh_schedule (bh);
  while (qemu_bh_poll ())
    ;
}

static void
make_both (AioContext *ctx,
           int        *opaque)
{
  QEMUBHFunc *cb = step;
  QEMUBH *bh;

  bh = aio_bh_new_full (ctx, cb, opaque, "name", NULL);          /* QEMU's */
  run_until_nothing_is_left (bh);
  qemu_bh_delete (bh);
  bh = (aio_bh_new_full) (ctx, "name", cb, opaque, destroy);     /* native */
  run_until_nothing_is_left (bh);
  qemu_bh_delete (bh);
}

int
main (void)
{
  int n_steps = 0;

  qemu_init_main_loop (&error_abort);
  make_both (qemu_get_aio_context (), &n_steps);
  return 0;
}
