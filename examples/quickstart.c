/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aioctx-gsource.h>

static AioContext *context;

static void
show (gpointer number)                     /* runs in the main loop */
{
  g_print ("step %d\n", GPOINTER_TO_INT (number));
}

static void
work (gpointer done)                       /* runs in the I/O thread */
{
  for (int i = 1; i <= 3; i++)
    aio_context_post (context, show, GINT_TO_POINTER (i), NULL);
  aio_bh_schedule (done);
}

static void
finish (gpointer loop)                     /* runs in the main loop, behind the three posts */
{
  g_print ("done\n");
  g_main_loop_quit (loop);
}

int
main (void)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (AioIOThread) thread = aio_io_thread_new ("worker", NULL);
  AioBH *done;

  context = aio_context_new ();
  aio_context_attach (context, NULL);      /* NULL: the default GMainContext */
  done = aio_bh_new (context, finish, loop);
  aio_context_post (aio_io_thread_get_context (thread), work, done, NULL);
  g_main_loop_run (loop);
  aio_bh_delete (done);
  aio_context_detach (context);
  aio_context_unref (context);
  return 0;
}
