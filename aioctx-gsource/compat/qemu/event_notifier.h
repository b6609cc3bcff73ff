/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "../aio-qemu-base.h"

G_BEGIN_DECLS

typedef struct EventNotifier EventNotifier;

typedef void EventNotifierHandler         (EventNotifier *e);
typedef int  AioFlushEventNotifierHandler (EventNotifier *e);

struct EventNotifier
{
  /*< private >*/
  AioEventNotifier native;
  bool initialized;
};

/* Returns 0, or a negative errno. */
static inline int
event_notifier_init (EventNotifier *e,
                     int            active)
{
  e->initialized = aio_event_notifier_init (&e->native, active != 0, NULL);
  return e->initialized ? 0 : -errno;
}

/* An eventfd(2) that is there already; event_notifier_cleanup() closes it. */
static inline void
event_notifier_init_fd (EventNotifier *e,
                        int            fd)
{
  e->native.read_fd = fd;
  e->native.write_fd = fd;
  e->initialized = true;
}

static inline void
event_notifier_cleanup (EventNotifier *e)
{
  if (!e->initialized)
    return;
  aio_event_notifier_clear (&e->native);
  e->initialized = false;
}

static inline int
event_notifier_get_fd (const EventNotifier *e)
{
  return e->native.read_fd;
}

static inline int
event_notifier_get_wfd (const EventNotifier *e)
{
  return e->native.write_fd;
}

static inline int
event_notifier_set (EventNotifier *e)
{
  if (!e->initialized)
    return -1;
  aio_event_notifier_set (&e->native);
  return 0;
}

static inline int
event_notifier_test_and_clear (EventNotifier *e)
{
  return e->initialized && aio_event_notifier_test_and_clear (&e->native);
}

/* In the main loop, as qemu_set_fd_handler(). With two arguments, or with is_external in between;
 * NULL removes. */
AIO_EXPORT int aio_qemu_notifier_set_handler (EventNotifier        *e,
                                              EventNotifierHandler *handler);

#define event_notifier_set_handler(...) \
  AIO_QEMU_CALL (aio_qemu_notifier_set_handler_, __VA_ARGS__)
#define aio_qemu_notifier_set_handler_2(e, handler) \
  aio_qemu_notifier_set_handler ((e), (handler))
#define aio_qemu_notifier_set_handler_3(e, is_external, handler) \
  aio_qemu_notifier_set_handler ((e), (handler))

G_END_DECLS
