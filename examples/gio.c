/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An I/O thread for the work, the main loop for the rest, and objects of GIO in both. */
#include <aioctx-gsource/aioctx-gsource.h>
#include <string.h>
#include <sys/socket.h>

/* ---- Work in another thread, and its result ---- */

typedef struct
{
  const char *text;
  guint n_words;
} Count;

static gboolean
count_words (gpointer       data,
             GCancellable  *cancellable,
             GError       **error)
{
  Count *count = data;
  g_auto (GStrv) words = g_strsplit (count->text, " ", -1);

  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  count->n_words = g_strv_length (words);
  return TRUE;
}

/* ---- The program ---- */

typedef struct
{
  GMainLoop *loop;
  AioContext *context;          /* in the main loop */
  AioContext *worker;           /* in the I/O thread */
  GSocket *here;
  GSocket *there;
  Count count;
  GCancellable *cancellable;
} Program;

static gboolean
on_answer (GSocket      *socket,
           GIOCondition  condition,
           gpointer      data)
{
  Program *program = data;
  char text[64] = "";

  g_socket_receive (socket, text, sizeof text - 1, NULL, NULL);
  g_print ("the socket says: %s\n", text);
  g_main_loop_quit (program->loop);
  return G_SOURCE_REMOVE;
}

static void
on_counted (GObject      *source,
            GAsyncResult *result,
            gpointer      data)
{
  Program *program = data;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  if (!aio_context_invoke_finish (program->worker, result, &error))
    text = g_strdup (error->message);
  else
    text = g_strdup_printf ("%u words", program->count.n_words);
  g_socket_send (program->there, text, strlen (text), NULL, NULL);
}

static void
greet (gpointer object)                    /* the object is there as long as this runs */
{
  const char *name = g_object_get_data (object, "name");

  g_print ("hello %s\n", name);
}

static void
show_object (Program *program)
{
  GObject *object = g_object_new (G_TYPE_OBJECT, NULL);
  AioBH *bh = aio_bh_ref (aio_bh_new_for_object (program->context, greet, object));

  g_object_set_data (object, "name", "object");
  aio_bh_schedule (bh);
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  aio_bh_schedule (bh);
  g_object_unref (object);                 /* and with it goes the bottom half */
  g_print ("scheduled still: %s\n", aio_bh_is_scheduled (bh) ? "yes" : "no");
  aio_bh_unref (bh);
}

static void
never (gpointer unused)
{
  g_print ("never printed\n");
}

static void
show_cancellable (Program *program)
{
  AioBH *bh = aio_bh_new (program->context, never, NULL);

  aio_bh_connect_cancellable (bh, program->cancellable);
  aio_bh_schedule (bh);
  g_cancellable_cancel (program->cancellable);
  g_print ("pending after the cancel: %s\n", aio_bh_is_scheduled (bh) ? "yes" : "no");
  aio_bh_delete (bh);
  g_cancellable_reset (program->cancellable);
}

static void
show_sync (Program *program)
{
  g_autoptr (GError) error = NULL;
  Count count = { "one two", 0 };

  if (!aio_context_invoke_sync (program->worker, count_words, &count, NULL, &error))
    g_printerr ("%s\n", error->message);
  g_print ("%u words\n", count.n_words);
}

static gboolean
show_async (Program  *program,
            GError  **error)
{
  if (!aio_context_set_socket_handler (program->context, program->here, G_IO_IN, on_answer, program,
                                       NULL, error))
    return FALSE;
  aio_context_invoke_async (program->worker, count_words, &program->count, NULL,
                            program->cancellable, on_counted, program);
  g_main_loop_run (program->loop);
  return TRUE;
}

static gboolean
make_sockets (Program  *program,
              GError  **error)
{
  int fds[2];

  if (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
    {
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_FAILED, "No sockets");
      return FALSE;
    }
  program->here = g_socket_new_from_fd (fds[0], error);
  program->there = program->here != NULL ? g_socket_new_from_fd (fds[1], error) : NULL;
  return program->there != NULL;
}

int
main (int    argc,
      char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (AioIOThread) thread = aio_io_thread_new ("worker", &error);
  Program program = { .count = { "there are five words here", 0 } };

  if (thread == NULL || !make_sockets (&program, &error))
    g_error ("%s", error->message);
  program.worker = aio_io_thread_get_context (thread);
  program.loop = g_main_loop_new (NULL, FALSE);
  program.cancellable = g_cancellable_new ();
  program.context = aio_context_new ();
  aio_context_attach (program.context, NULL);

  show_object (&program);
  show_cancellable (&program);
  show_sync (&program);
  if (!show_async (&program, &error))
    g_error ("%s", error->message);

  aio_context_detach (program.context);
  aio_context_unref (program.context);
  g_object_unref (program.cancellable);
  g_object_unref (program.here);
  g_object_unref (program.there);
  g_main_loop_unref (program.loop);
  return 0;
}
