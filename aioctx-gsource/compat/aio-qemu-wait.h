/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting in the main loop's thread for what happens in an I/O thread. */
#pragma once

#include "aio-qemu-main-loop.h"

G_BEGIN_DECLS

AIO_EXPORT bool aio_qemu_wait_is_here    (AioContext *ctx);
AIO_EXPORT void aio_qemu_wait_begin      (void);
AIO_EXPORT void aio_qemu_wait_once       (AioContext *ctx,
                                          bool        unlock);
AIO_EXPORT void aio_qemu_wait_end        (void);
AIO_EXPORT void aio_qemu_wait_kick       (void);
AIO_EXPORT void aio_qemu_wait_bh_oneshot (AioContext *ctx,
                                          QEMUBHFunc *cb,
                                          void       *opaque);

/* Polls until the condition is false, and says whether it had to. In the home thread of the context
 * that one is polled; in the main loop's thread the global one is, and whoever changes the
 * condition calls aio_wait_kick() after that. */
#define AIO_QEMU_WAIT_WHILE(ctx, cond, unlock) \
  __extension__ ({ \
    bool aio_wait_waited_ = false; \
    AioContext *aio_wait_ctx_ = (ctx); \
    if (aio_qemu_wait_is_here (aio_wait_ctx_)) \
      { \
        while ((cond)) \
          { \
            aio_poll (aio_wait_ctx_, true); \
            aio_wait_waited_ = true; \
          } \
      } \
    else \
      { \
        aio_qemu_wait_begin (); \
        while ((cond)) \
          { \
            aio_qemu_wait_once (aio_wait_ctx_, (unlock)); \
            aio_wait_waited_ = true; \
          } \
        aio_qemu_wait_end (); \
      } \
    aio_wait_waited_; })

/* The first gives up the lock of the context while it waits for another thread, if this one has
 * acquired it. */
#define AIO_WAIT_WHILE(ctx, cond)          AIO_QEMU_WAIT_WHILE (ctx, cond, true)
#define AIO_WAIT_WHILE_UNLOCKED(ctx, cond) AIO_QEMU_WAIT_WHILE (ctx, cond, false)

static inline void
aio_wait_kick (void)
{
  aio_qemu_wait_kick ();
}

/* Runs a callback in another context, and waits until it is over. */
static inline void
aio_wait_bh_oneshot (AioContext *ctx,
                     QEMUBHFunc *cb,
                     void       *opaque)
{
  aio_qemu_wait_bh_oneshot (ctx, cb, opaque);
}

G_END_DECLS
