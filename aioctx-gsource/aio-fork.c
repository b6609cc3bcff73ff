/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-fork-private.h>

/* How many fork() calls lie between the first process and this one. Written only by the child's
 * atfork handler, when the process has one thread; so a plain word is enough, also for signal
 * handlers. */
static volatile guint fork_generation;

static void
count_fork (void)
{
  fork_generation++;
}

AIO_FORK_HANDLERS (NULL, NULL, count_fork)

/* The generation to remember in an object that is being made. */
guint
aio_fork_generation (void)
{
  return fork_generation;
}

/* Was the object made before a fork() whose child this process is? Signal safe. */
gboolean
aio_fork_is_child (guint generation)
{
  return generation != fork_generation;
}
