/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>

G_BEGIN_DECLS

/**
 * AIO_TYPE_TIMER:
 *
 * The boxed type of #AioTimer.
 *
 * Since: 1.0
 */
#define AIO_TYPE_TIMER (aio_timer_get_type ())

/**
 * AioClock:
 * @AIO_CLOCK_MONOTONIC: as g_get_monotonic_time(): never jumps, stands still in suspend
 * @AIO_CLOCK_BOOTTIME: never jumps, and goes on in suspend
 * @AIO_CLOCK_REALTIME: the time of day since 1970, UTC; jumps when it is set
 * @AIO_CLOCK_VIRTUAL: belongs to the context, begins at 0, and stands still until it is moved
 *
 * What a deadline is measured by.
 *
 * Since: 1.0
 */
typedef enum
{
  AIO_CLOCK_MONOTONIC,
  AIO_CLOCK_BOOTTIME,
  AIO_CLOCK_REALTIME,
  AIO_CLOCK_VIRTUAL
} AioClock;

/**
 * AioTimerFunc:
 * @data: (closure): what was given with the timer
 *
 * Called in the home thread when the deadline of a timer has come. It may do whatever an
 * #AioBHFunc may; among other things re-arm the timer, clear it, and free the memory it lies in.
 *
 * Since: 1.0
 */
typedef void (*AioTimerFunc) (gpointer data);

typedef struct _AioTimer AioTimer;

/**
 * AioTimer:
 *
 * A callback that runs once at a deadline, each time it is armed. It can be embedded by value.
 *
 * Since: 1.0
 */
struct _AioTimer
{
  /*< private >*/
  gpointer priv[16 + (8 - GLIB_SIZEOF_VOID_P)];
};

AIO_EXPORT GType     aio_timer_get_type          (void) G_GNUC_CONST;
AIO_EXPORT void      aio_timer_init              (AioTimer       *timer,
                                                  AioContext     *context,
                                                  AioClock        clock,
                                                  AioTimerFunc    func,
                                                  gpointer        data);
AIO_EXPORT void      aio_timer_set_name          (AioTimer       *timer,
                                                  const char     *name);
AIO_EXPORT void      aio_timer_clear             (AioTimer       *timer);
AIO_EXPORT AioTimer *aio_timer_new               (AioContext     *context,
                                                  AioClock        clock,
                                                  AioTimerFunc    func,
                                                  gpointer        data,
                                                  GDestroyNotify  destroy);
AIO_EXPORT void      aio_timer_delete            (AioTimer       *timer);
AIO_EXPORT void      aio_timer_free              (AioTimer       *timer);
AIO_EXPORT void      aio_timer_mod_ns            (AioTimer       *timer,
                                                  gint64          deadline_ns);
AIO_EXPORT gboolean  aio_timer_mod_anticipate_ns (AioTimer       *timer,
                                                  gint64          deadline_ns);
AIO_EXPORT gboolean  aio_timer_del               (AioTimer       *timer);
AIO_EXPORT gboolean  aio_timer_del_sync          (AioTimer       *timer);
AIO_EXPORT gboolean  aio_timer_pending           (AioTimer       *timer);
AIO_EXPORT gint64    aio_timer_expire_time_ns    (AioTimer       *timer);
AIO_EXPORT gint64    aio_context_get_time_ns     (AioContext     *context,
                                                  AioClock        clock);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (AioTimer, aio_timer_free)

G_END_DECLS
