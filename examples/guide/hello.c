/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The smallest program: a context that is attached to nothing, and a bottom half. */
#include <aioctx-gsource/aioctx-gsource.h>

static void
greet (gpointer name)
{
  g_print ("hello %s\n", (char *) name);
}

int
main (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  AioBH *bh = aio_bh_new (context, greet, (char *) "world");

  aio_bh_schedule (bh);
  g_print ("scheduled\n");
  aio_context_poll (context, TRUE);
  aio_bh_delete (bh);
  return 0;
}
