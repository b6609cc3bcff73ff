/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A context in the default GMainContext, beside a source of GLib's own. */
#include <aioctx-gsource/aioctx-gsource.h>

typedef struct
{
  GMainLoop *loop;
  AioBH *step;
  int n_steps;
} Program;

static void
on_step (gpointer data)
{
  Program *program = data;

  g_print ("step %d\n", ++program->n_steps);
  if (program->n_steps == 3)
    g_main_loop_quit (program->loop);
  else
    aio_bh_schedule (program->step);       /* one pass later */
}

static gboolean
on_timeout (gpointer data)
{
  Program *program = data;

  g_print ("GLib's timeout\n");
  aio_bh_schedule (program->step);
  aio_bh_schedule (program->step);         /* merges: still one run */
  return G_SOURCE_REMOVE;
}

int
main (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  Program program = { g_main_loop_new (NULL, FALSE), NULL, 0 };

  aio_context_attach (context, NULL);
  program.step = aio_bh_new (context, on_step, &program);
  g_timeout_add (10, on_timeout, &program);
  g_main_loop_run (program.loop);
  aio_bh_delete (program.step);
  aio_context_detach (context);
  g_main_loop_unref (program.loop);
  return 0;
}
