/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* AioContext, bottom halves, handlers: what takes a context. */
#pragma once

#include "aio-qemu-base.h"
#include "qemu/event_notifier.h"

G_BEGIN_DECLS

typedef void QEMUBHFunc      (void *opaque);
typedef bool AioPollFn       (void *opaque);
typedef int  AioFlushHandler (void *opaque);

/* Of a device: its bottom halves are not run inside each other. */
typedef struct MemReentrancyGuard
{
  bool engaged_in_io;
} MemReentrancyGuard;

AIO_EXPORT AioContext *aio_qemu_main_context         (void);
AIO_EXPORT AioContext *aio_qemu_context_new_1        (Error               **errp);
AIO_EXPORT QEMUBH     *aio_qemu_bh_new               (AioContext           *ctx,
                                                      QEMUBHFunc           *cb,
                                                      void                 *opaque,
                                                      const char           *name,
                                                      MemReentrancyGuard   *guard);
AIO_EXPORT void        aio_qemu_bh_call              (QEMUBH               *bh);
AIO_EXPORT bool        aio_qemu_poll                 (AioContext           *ctx,
                                                      bool                  blocking);
AIO_EXPORT bool        aio_qemu_wait                 (AioContext           *ctx);
AIO_EXPORT int64_t     aio_qemu_compute_timeout      (AioContext           *ctx);
AIO_EXPORT void        aio_qemu_set_poll_params      (AioContext           *ctx,
                                                      int64_t               max_ns,
                                                      Error               **errp);
AIO_EXPORT int         aio_qemu_set_fd_handler       (AioContext           *ctx,
                                                      int                   fd,
                                                      IOHandler            *io_read,
                                                      IOHandler            *io_write,
                                                      AioPollFn            *io_poll,
                                                      IOHandler            *io_poll_ready,
                                                      void                 *opaque);
AIO_EXPORT int         aio_qemu_set_fd_flush         (AioContext           *ctx,
                                                      int                   fd,
                                                      IOHandler            *io_read,
                                                      IOHandler            *io_write,
                                                      AioFlushHandler      *io_flush,
                                                      void                 *opaque);
AIO_EXPORT int         aio_qemu_set_event_notifier   (AioContext           *ctx,
                                                      EventNotifier        *notifier,
                                                      EventNotifierHandler *io_read,
                                                      AioPollFn            *io_poll,
                                                      EventNotifierHandler *io_poll_ready);
AIO_EXPORT int         aio_qemu_set_notifier_flush   (AioContext           *ctx,
                                                      EventNotifier        *notifier,
                                                      EventNotifierHandler *io_read,
                                                      AioFlushEventNotifierHandler *io_flush);
AIO_EXPORT void        aio_qemu_context_acquire      (AioContext           *ctx);
AIO_EXPORT void        aio_qemu_context_release      (AioContext           *ctx);
AIO_EXPORT unsigned    aio_qemu_context_let_go       (AioContext           *ctx);
AIO_EXPORT void        aio_qemu_context_take_back    (AioContext           *ctx,
                                                      unsigned              depth);

/* --- Contexts --------------------------------------------------------------------------------- */

static inline AioContext *
aio_qemu_context_new_0 (void)
{
  return aio_context_new ();
}

/* Without an argument, or with an Error **. */
#define aio_context_new(...) AIO_QEMU_CALL_OPTIONAL (aio_qemu_context_new_, __VA_ARGS__)

/* A reference to the source, not to the context: whoever attaches it keeps the context. */
static inline GSource *
aio_get_g_source (AioContext *ctx)
{
  return g_source_ref (aio_context_get_source (ctx));
}

/* True if there was progress. While there are handlers that were set by 2012's calls, with a place
 * for a flush predicate, it is 2012's: true if a bottom half ran or one of them is busy, and it
 * does not block when none is. */
static inline bool
aio_poll (AioContext *ctx,
          bool        blocking)
{
  return aio_qemu_poll (ctx, blocking);
}

static inline void
aio_notify (AioContext *ctx)
{
  aio_context_notify (ctx);
}

static inline void
aio_dispatch (AioContext *ctx)
{
  aio_context_dispatch (ctx);
}

/* Nanoseconds, -1 for ever. */
static inline int64_t
aio_compute_timeout (AioContext *ctx)
{
  return aio_qemu_compute_timeout (ctx);
}

/* Busy polling adapts itself: grow and shrink are not used. */
static inline void
aio_context_set_poll_params (AioContext  *ctx,
                             int64_t      max_ns,
                             int64_t      grow,
                             int64_t      shrink,
                             Error      **errp)
{
  (void) grow;
  (void) shrink;
  aio_qemu_set_poll_params (ctx, max_ns, errp);
}

/* 2014 to 2023: a lock that may be taken again by who has it. It keeps out only those who take it,
 * too: callbacks run without it. */
static inline void
aio_context_acquire (AioContext *ctx)
{
  aio_qemu_context_acquire (ctx);
}

static inline void
aio_context_release (AioContext *ctx)
{
  aio_qemu_context_release (ctx);
}

/* 2012: runs until no bottom half is scheduled and no handler says that it is busy. */
static inline void
aio_flush (AioContext *ctx)
{
  while (aio_qemu_wait (ctx))
    ;
}

/* --- Bottom halves ---------------------------------------------------------------------------- */

/* The names are the native functions' too; in parentheses they are those. */
#undef aio_bh_new
#undef aio_bh_schedule_oneshot

#define aio_bh_new(ctx, cb, opaque) \
  aio_qemu_bh_new ((ctx), (cb), (opaque), #cb, NULL)
#define aio_bh_new_guarded(ctx, cb, opaque, guard) \
  aio_qemu_bh_new ((ctx), (cb), (opaque), #cb, (guard))

/* With or without a guard. */
#define aio_bh_new_full(...) AIO_QEMU_CALL (aio_qemu_bh_new_full_, __VA_ARGS__)
#define aio_qemu_bh_new_full_4(ctx, cb, opaque, name) \
  aio_qemu_bh_new ((ctx), (cb), (opaque), (name), NULL)
#define aio_qemu_bh_new_full_5(ctx, cb, opaque, name, guard) \
  aio_qemu_bh_new ((ctx), (cb), (opaque), (name), (guard))

static inline void
aio_qemu_bh_schedule_oneshot (AioContext *ctx,
                              QEMUBHFunc *cb,
                              void       *opaque,
                              const char *name)
{
  aio_bh_schedule_oneshot_full (ctx, name, cb, opaque, NULL);
}

#define aio_bh_schedule_oneshot(ctx, cb, opaque) \
  aio_qemu_bh_schedule_oneshot ((ctx), (cb), (opaque), #cb)
#define aio_bh_schedule_oneshot_full(ctx, cb, opaque, name) \
  aio_qemu_bh_schedule_oneshot ((ctx), (cb), (opaque), (name))

/* Runs the callback here and now, scheduled or not. */
static inline void
aio_bh_call (QEMUBH *bh)
{
  aio_qemu_bh_call (bh);
}

static inline void
qemu_bh_schedule (QEMUBH *bh)
{
  aio_bh_schedule (bh);
}

static inline void
qemu_bh_schedule_idle (QEMUBH *bh)
{
  aio_bh_schedule_idle (bh);
}

static inline void
qemu_bh_cancel (QEMUBH *bh)
{
  aio_bh_cancel (bh);
}

static inline void
qemu_bh_delete (QEMUBH *bh)
{
  aio_bh_delete (bh);
}

/* --- Handlers --------------------------------------------------------------------------------- */

/* What the third argument is where the number of them does not tell: is_external, or a callback. */
#ifdef __cplusplus
#define AIO_QEMU_BY_THIRD(third, if_external, if_not) if_not
#else
#define AIO_QEMU_BY_THIRD(third, if_external, if_not) \
  _Generic ((third), bool: if_external, int: if_external, default: if_not)
#endif

/* ctx, fd, io_read, io_write, then
 *   2012      io_flush, opaque
 *   2013      opaque
 *   present   io_poll, io_poll_ready, opaque
 * and in between, with is_external in front of io_read: opaque; io_poll, opaque; io_poll,
 * io_poll_ready, opaque. */
#define aio_set_fd_handler(...) AIO_QEMU_CALL (aio_qemu_set_fd_handler_, __VA_ARGS__)

#define aio_qemu_set_fd_handler_5(ctx, fd, io_read, io_write, opaque) \
  aio_qemu_fd_poll ((ctx), (fd), (io_read), (io_write), NULL, NULL, (opaque))
#define aio_qemu_set_fd_handler_6(ctx, fd, third, fourth, fifth, opaque) \
  AIO_QEMU_BY_THIRD (third, aio_qemu_fd_external, aio_qemu_fd_flush) \
    ((ctx), (fd), (third), (fourth), (fifth), (opaque))
#define aio_qemu_set_fd_handler_7(ctx, fd, third, fourth, fifth, sixth, opaque) \
  AIO_QEMU_BY_THIRD (third, aio_qemu_fd_external_poll, aio_qemu_fd_poll) \
    ((ctx), (fd), (third), (fourth), (fifth), (sixth), (opaque))
#define aio_qemu_set_fd_handler_8(ctx, fd, is_external, io_read, io_write, io_poll, io_poll_ready, \
                                  opaque) \
  aio_qemu_fd_poll ((ctx), (fd), (io_read), (io_write), (io_poll), (io_poll_ready), (opaque))

static inline void
aio_qemu_fd_flush (AioContext      *ctx,
                   int              fd,
                   IOHandler       *io_read,
                   IOHandler       *io_write,
                   AioFlushHandler *io_flush,
                   void            *opaque)
{
  aio_qemu_set_fd_flush (ctx, fd, io_read, io_write, io_flush, opaque);
}

static inline void
aio_qemu_fd_poll (AioContext *ctx,
                  int         fd,
                  IOHandler  *io_read,
                  IOHandler  *io_write,
                  AioPollFn  *io_poll,
                  IOHandler  *io_poll_ready,
                  void       *opaque)
{
  aio_qemu_set_fd_handler (ctx, fd, io_read, io_write, io_poll, io_poll_ready, opaque);
}

static inline void
aio_qemu_fd_external (AioContext *ctx,
                      int         fd,
                      bool        is_external,
                      IOHandler  *io_read,
                      IOHandler  *io_write,
                      void       *opaque)
{
  (void) is_external;
  aio_qemu_set_fd_handler (ctx, fd, io_read, io_write, NULL, NULL, opaque);
}

static inline void
aio_qemu_fd_external_poll (AioContext *ctx,
                           int         fd,
                           bool        is_external,
                           IOHandler  *io_read,
                           IOHandler  *io_write,
                           AioPollFn  *io_poll,
                           void       *opaque)
{
  (void) is_external;
  aio_qemu_set_fd_handler (ctx, fd, io_read, io_write, io_poll, NULL, opaque);
}

/* ctx, notifier, io_read, then
 *   2012      io_flush
 *   2013      nothing
 *   present   io_poll, io_poll_ready
 * and in between, with is_external in front of io_read: nothing; io_poll; io_poll,
 * io_poll_ready. */
#define aio_set_event_notifier(...) AIO_QEMU_CALL (aio_qemu_set_event_notifier_, __VA_ARGS__)

#define aio_qemu_set_event_notifier_3(ctx, notifier, io_read) \
  aio_qemu_notifier_poll ((ctx), (notifier), (io_read), NULL, NULL)
#define aio_qemu_set_event_notifier_4(ctx, notifier, third, fourth) \
  AIO_QEMU_BY_THIRD (third, aio_qemu_notifier_external, aio_qemu_notifier_flush) \
    ((ctx), (notifier), (third), (fourth))
#define aio_qemu_set_event_notifier_5(ctx, notifier, third, fourth, fifth) \
  AIO_QEMU_BY_THIRD (third, aio_qemu_notifier_external_poll, aio_qemu_notifier_poll) \
    ((ctx), (notifier), (third), (fourth), (fifth))
#define aio_qemu_set_event_notifier_6(ctx, notifier, is_external, io_read, io_poll, io_poll_ready) \
  aio_qemu_notifier_poll ((ctx), (notifier), (io_read), (io_poll), (io_poll_ready))

static inline void
aio_qemu_notifier_flush (AioContext                   *ctx,
                         EventNotifier                *notifier,
                         EventNotifierHandler         *io_read,
                         AioFlushEventNotifierHandler *io_flush)
{
  aio_qemu_set_notifier_flush (ctx, notifier, io_read, io_flush);
}

static inline void
aio_qemu_notifier_poll (AioContext           *ctx,
                        EventNotifier        *notifier,
                        EventNotifierHandler *io_read,
                        AioPollFn            *io_poll,
                        EventNotifierHandler *io_poll_ready)
{
  aio_qemu_set_event_notifier (ctx, notifier, io_read, io_poll, io_poll_ready);
}

static inline void
aio_qemu_notifier_external (AioContext           *ctx,
                            EventNotifier        *notifier,
                            bool                  is_external,
                            EventNotifierHandler *io_read)
{
  (void) is_external;
  aio_qemu_set_event_notifier (ctx, notifier, io_read, NULL, NULL);
}

static inline void
aio_qemu_notifier_external_poll (AioContext           *ctx,
                                 EventNotifier        *notifier,
                                 bool                  is_external,
                                 EventNotifierHandler *io_read,
                                 AioPollFn            *io_poll)
{
  (void) is_external;
  aio_qemu_set_event_notifier (ctx, notifier, io_read, io_poll, NULL);
}

G_END_DECLS
