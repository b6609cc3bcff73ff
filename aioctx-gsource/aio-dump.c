/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-dump-private.h>

static char *
dump_context (AioContext    *context,
              AioDumpFormat  format)
{
  GVariant *tree = aio_dump_collect_context (context);
  char *text = aio_dump_print_context (tree, format);

  g_variant_unref (tree);
  return text;
}

/**
 * aio_context_dump:
 * @context: a context
 *
 * Tells what the context is doing and what it holds, as text.
 *
 * There is a line for the context, some for its figures, one for each bottom half, descriptor
 * handler, event notifier and timer, and one for each remembered wakeup (see
 * [method@Aio.Context.set_wake_log]).
 *
 * A line has a kind, a name in quotes as in JSON, and a state: "running" (on the stack just now),
 * "pending", "pending-idle", "armed" (a timer), "resting" (nothing to do), "cancelled" (but still
 * in the queue), "broken" (a descriptor that was closed too early), "dead" (deleted, to be gone
 * soon), or two of these with a "+" in between. What is not known is "-": times of callbacks
 * without profiling ([method@Aio.Context.set_profiling]), say.
 *
 * While other threads go on it is a snapshot. The bottom halves are right among themselves, and so
 * are descriptors and timers; the figures of the context are read one by one. One-shots and posts
 * that are pending are told only in the home thread, and while there is none. Timers that are
 * embedded are told only while they are armed or run.
 *
 * It waits for no lock for longer than 200 milliseconds; the part that it guards is then told as
 * "(locked)". So a debugger may call it while it holds the other threads. (One that has stopped
 * within malloc() may still be in the way; the commands for gdb that come with the library call
 * nothing, and work on core files, too.)
 *
 * Of a context that was made before a fork() the child tells just that.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: (transfer full): the text
 *
 * Since: 1.0
 */
char *
aio_context_dump (AioContext *context)
{
  g_return_val_if_fail (context != NULL, NULL);

  return dump_context (context, AIO_DUMP_TEXT);
}

/**
 * aio_context_dump_json:
 * @context: a context
 *
 * As [method@Aio.Context.dump], as a JSON object in one line.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: (transfer full): the object
 *
 * Since: 1.0
 */
char *
aio_context_dump_json (AioContext *context)
{
  g_return_val_if_fail (context != NULL, NULL);

  return dump_context (context, AIO_DUMP_JSON);
}

/**
 * aio_dump_all_to_string:
 * @format: text or JSON
 *
 * Dumps all contexts of the process as [method@Aio.Context.dump] does, the oldest first, with the
 * time and the number of the process in front.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: (transfer full): the dump
 *
 * Since: 1.0
 */
char *
aio_dump_all_to_string (AioDumpFormat format)
{
  GVariant *tree;
  char *text;

  g_return_val_if_fail (format == AIO_DUMP_TEXT || format == AIO_DUMP_JSON, NULL);

  tree = aio_dump_collect_all ();
  text = aio_dump_print_all (tree, format);
  g_variant_unref (tree);
  return text;
}

/**
 * aio_dump_all: (skip)
 * @stream: where to write to
 *
 * Writes a dump of all contexts, as text, and flushes the stream. In a debugger:
 * `call aio_dump_all (stderr)`.
 *
 * Thread: any thread. Not signal safe.
 *
 * Since: 1.0
 */
void
aio_dump_all (FILE *stream)
{
  char *text;

  g_return_if_fail (stream != NULL);

  text = aio_dump_all_to_string (AIO_DUMP_TEXT);
  fputs (text, stream);
  fflush (stream);
  g_free (text);
}
