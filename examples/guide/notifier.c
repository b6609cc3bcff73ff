/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An event notifier that a child process sets, and its parent's loop waits for. */
#include <aioctx-gsource/aioctx-gsource.h>
#include <sys/wait.h>
#include <unistd.h>

static gboolean done;

static void
on_set (AioEventNotifier *notifier)
{
  aio_event_notifier_test_and_clear (notifier);
  g_print ("the child has set it\n");
  done = TRUE;
}

static void
wait_for_child (AioContext       *context,
                AioEventNotifier *notifier)
{
  aio_context_set_event_notifier (context, notifier, on_set, NULL, NULL);
  while (!done)
    aio_context_poll (context, TRUE);
  aio_context_set_event_notifier (context, notifier, NULL, NULL, NULL);
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (AioContext) context = aio_context_new ();
  AioEventNotifier notifier;
  pid_t child;

  if (!aio_event_notifier_init (&notifier, FALSE, &error))
    g_error ("%s", error->message);
  child = fork ();
  if (child == 0)
    {
      aio_event_notifier_set (&notifier);
      _exit (0);
    }
  wait_for_child (context, &notifier);
  waitpid (child, NULL, 0);
  aio_event_notifier_clear (&notifier);
  return 0;
}
