/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-fork-private.h>

volatile guint aio_fork_generation;

static void
count_fork (void)
{
  aio_fork_generation++;
}

AIO_FORK_HANDLERS (NULL, NULL, count_fork)
