/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>

G_BEGIN_DECLS

/**
 * AIO_TYPE_EVENT_NOTIFIER:
 *
 * The boxed type of #AioEventNotifier.
 *
 * Since: 1.0
 */
#define AIO_TYPE_EVENT_NOTIFIER (aio_event_notifier_get_type ())

typedef struct _AioEventNotifier AioEventNotifier;

/**
 * AioEventNotifier:
 *
 * A flag with a descriptor: setting it makes the descriptor readable until it is cleared. It can be
 * embedded by value.
 *
 * Since: 1.0
 */
struct _AioEventNotifier
{
  /*< private >*/
  int read_fd;
  int write_fd;
};

/**
 * AioEventNotifierFunc: (skip)
 * @notifier: the notifier
 *
 * Called in the home thread while a notifier is set. It does its own
 * [method@Aio.EventNotifier.test_and_clear].
 *
 * Since: 1.0
 */
typedef void (*AioEventNotifierFunc) (AioEventNotifier *notifier);

/**
 * AioEventNotifierPollFunc: (skip)
 * @notifier: the notifier
 *
 * As #AioPollFunc, for a notifier.
 *
 * Returns: %TRUE when there is something to do
 *
 * Since: 1.0
 */
typedef gboolean (*AioEventNotifierPollFunc) (AioEventNotifier *notifier);

AIO_EXPORT GType             aio_event_notifier_get_type       (void) G_GNUC_CONST;
AIO_EXPORT gboolean          aio_event_notifier_init           (AioEventNotifier  *notifier,
                                                                gboolean           initially_set,
                                                                GError           **error);
AIO_EXPORT void              aio_event_notifier_clear          (AioEventNotifier  *notifier);
AIO_EXPORT AioEventNotifier *aio_event_notifier_new            (gboolean           initially_set,
                                                                GError           **error);
AIO_EXPORT void              aio_event_notifier_free           (AioEventNotifier  *notifier);
AIO_EXPORT void              aio_event_notifier_set            (AioEventNotifier  *notifier);
AIO_EXPORT gboolean          aio_event_notifier_test_and_clear (AioEventNotifier  *notifier);
AIO_EXPORT int               aio_event_notifier_get_fd         (AioEventNotifier  *notifier);

AIO_EXPORT void aio_context_set_event_notifier (AioContext               *context,
                                                AioEventNotifier         *notifier,
                                                AioEventNotifierFunc      on_set,
                                                AioEventNotifierPollFunc  io_poll,
                                                AioEventNotifierFunc      io_poll_ready);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AioEventNotifier, aio_event_notifier_free)

G_END_DECLS
