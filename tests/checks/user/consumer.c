/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A program that is built the way users build theirs: outside of the tree, with nothing but what an
 * installed library or a subproject gives it. */
#include <aioctx-gsource/aioctx-gsource.h>

#include <stdio.h>

static void
count (gpointer data)
{
  int *runs = data;

  (*runs)++;
}

int
main (void)
{
  AioContext *context = aio_context_new ();
  AioBH *bh;
  int runs = 0;

  bh = aio_bh_new (context, count, &runs);
  aio_bh_schedule (bh);
  aio_context_poll (context, TRUE);
  aio_bh_delete (bh);
  aio_context_unref (context);

  printf ("%s %d\n", AIO_VERSION_S, runs);
  return runs == 1 ? 0 : 1;
}
