/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An I/O thread from its creation to its end. */
#include <aioctx-gsource/aioctx-gsource.h>

static void
write_line (gpointer text)
{
  g_print ("%s\n", (char *) text);
}

/* ---- A source of GLib's, in the GMainContext of the thread ---- */

static gboolean
on_timeout (gpointer seen)
{
  aio_bh_schedule (seen);
  return G_SOURCE_REMOVE;
}

static void
use_timeout (AioIOThread *thread)
{
  g_autoptr (AioContext) here = aio_context_new ();
  g_autoptr (GSource) source = g_timeout_source_new (1);
  AioBH *seen = aio_bh_new (here, write_line, (char *) "a timeout of GLib's");

  g_source_set_callback (source, on_timeout, seen, NULL);
  g_source_attach (source, aio_io_thread_get_main_context (thread));
  while (!aio_context_poll (here, TRUE))
    ;
  aio_bh_delete (seen);
}

/* ---- A function whose result is waited for ---- */

/* The caller waits meanwhile, so the answer may lie on its stack. */
static gboolean
get_answer (gpointer       data,
            GCancellable  *cancellable,
            GError       **error)
{
  int *answer = data;

  *answer = 42;
  return TRUE;
}

static void
use_context (AioIOThread *thread)
{
  AioContext *context = aio_io_thread_get_context (thread);
  g_autoptr (GError) error = NULL;
  int answer;

  if (!aio_context_invoke_sync (context, get_answer, &answer, NULL, &error))
    g_error ("%s", error->message);
  g_print ("the answer is %d\n", answer);
  aio_context_post (context, write_line, (char *) "posted before the stop", NULL);
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (AioIOThread) thread = aio_io_thread_new ("disk", &error);

  if (thread == NULL)
    g_error ("%s", error->message);
  use_timeout (thread);
  use_context (thread);
  aio_io_thread_stop (thread);             /* returns when the thread has ended */
  if (!aio_context_post (aio_io_thread_get_context (thread), write_line, g_strdup ("late"),
                         g_free))
    g_print ("refused after the stop\n");
  return 0;
}
