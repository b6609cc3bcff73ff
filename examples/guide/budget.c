/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A flood of posts, and a source of lower priority that wants its turns, too. */
#include <aioctx-gsource/aioctx-gsource.h>

static gboolean
on_idle (gpointer data)
{
  g_print ("  a frame is drawn\n");
  return G_SOURCE_CONTINUE;
}

static void
work (gpointer number)
{
  g_print ("work %d\n", GPOINTER_TO_INT (number));
}

static void
run (AioContext *context)
{
  for (int i = 1; i <= 5; i++)
    aio_context_post (context, work, GINT_TO_POINTER (i), NULL);
  for (int i = 0; i < 6; i++)
    g_main_context_iteration (NULL, FALSE);
}

int
main (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  guint idle;

  aio_context_set_priority (context, G_PRIORITY_DEFAULT);
  aio_context_attach (context, NULL);
  idle = g_idle_add (on_idle, NULL);       /* G_PRIORITY_DEFAULT_IDLE: behind the context */

  aio_context_set_budget (context, 2, 0);  /* two callbacks in a turn, however long they take */
  run (context);

  g_source_remove (idle);
  aio_context_detach (context);
  return 0;
}
