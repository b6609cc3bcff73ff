/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A signal handler that does nothing but schedule; the work is done in the main loop. */
#include <aioctx-gsource/aioctx-gsource.h>
#include <signal.h>

static AioBH *reload;           /* set before the handler is installed, and never freed under it */

static void
on_sighup (int signum)
{
  aio_bh_schedule (reload);
}

static void
on_reload (gpointer loop)
{
  g_print ("reloading\n");
  g_main_loop_quit (loop);
}

static void
catch (int    signum,
       void (*handler) (int))
{
  struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };

  if (sigaction (signum, &action, NULL) != 0)
    g_error ("sigaction failed");
}

int
main (void)
{
  g_autoptr (GMainLoop) loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (AioContext) context = aio_context_new ();

  aio_context_attach (context, NULL);
  reload = aio_bh_new (context, on_reload, loop);
  catch (SIGHUP, on_sighup);
  for (int i = 0; i < 3; i++)
    raise (SIGHUP);
  g_main_loop_run (loop);
  catch (SIGHUP, SIG_DFL);                 /* one thread: nobody is inside the handler any more */
  aio_bh_delete (reload);
  aio_context_detach (context);
  return 0;
}
