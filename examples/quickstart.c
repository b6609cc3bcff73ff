/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aioctx-gsource.h>

static void
work (gpointer finished)                   /* in the I/O thread */
{
  g_print ("working\n");
  aio_bh_schedule (finished);              /* any thread may do this, and any signal handler */
}

static void
finish (gpointer loop)                     /* in the main loop */
{
  g_print ("done\n");
  g_main_loop_quit (loop);
}

int
main (void)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (AioContext) context = aio_context_new ();
  g_autoptr (AioIOThread) thread = aio_io_thread_new ("worker", NULL);
  AioBH *finished = aio_bh_new (context, finish, loop);

  aio_context_attach (context, NULL);      /* NULL: the default GMainContext */
  aio_context_post (aio_io_thread_get_context (thread), work, finished, NULL);
  g_main_loop_run (loop);
  aio_bh_delete (finished);
  aio_context_detach (context);
  return 0;
}
