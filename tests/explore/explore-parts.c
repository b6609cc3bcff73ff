/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stands in for parts of the library that call the system. A descriptor is a number in the arena of
 * the explorer, and what it is counted up to stands there. */
#include "explore.h"

#include <aioctx-gsource/aio-event-notifier.h>
#include <aioctx-gsource/aio-fork-private.h>
#include <aioctx-gsource/aio-membarrier-private.h>
#include <aioctx-gsource/aio-oneshot-private.h>

gboolean
aio_event_notifier_init (AioEventNotifier  *notifier,
                         gboolean           initially_set,
                         GError           **error)
{
  notifier->read_fd = notifier->write_fd = explore_new_descriptor ();
  return TRUE;
}

void
aio_event_notifier_clear (AioEventNotifier *notifier)
{
  explore_free (explore_count (notifier->read_fd));
}

void
aio_event_notifier_set (AioEventNotifier *notifier)
{
  explore_exchange (explore_count (notifier->write_fd), sizeof (guint64), 1, "write", "descriptor");
}

gboolean
aio_event_notifier_test_and_clear (AioEventNotifier *notifier)
{
  return explore_exchange (explore_count (notifier->read_fd), sizeof (guint64), 0, "read",
                           "descriptor") != 0;
}

int
aio_event_notifier_get_fd (AioEventNotifier *notifier)
{
  return notifier->read_fd;
}

/* Nobody forks. */
volatile guint aio_fork_generation;

gboolean
aio_membarrier (void)
{
  explore_drain_all ();
  return TRUE;
}

AioBH *
aio_bh_alloc (void)
{
  return explore_new (sizeof (AioBH));
}

void
aio_bh_free (AioBH *bh)
{
  explore_free (bh);
}

AioOneshot *
aio_oneshot_alloc (void)
{
  return explore_new (sizeof (AioOneshot));
}

void
aio_oneshot_free (AioOneshot *oneshot)
{
  explore_free (oneshot);
}
