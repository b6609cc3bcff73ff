/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The main loop and its one global context. It is made when it is first asked for; from
 * qemu_init_main_loop() or the first main_loop_wait() on the default GMainContext drives it.
 *
 * Handlers set with qemu_set_fd_handler() are in a second context, as at QEMU, so that waiting for
 * the global one does not run them. */
#pragma once

#include "aio-qemu-aio.h"
#include "qemu/thread.h"

#include <sys/select.h>

G_BEGIN_DECLS

AIO_EXPORT int         aio_qemu_init_main_loop     (Error            **errp);
AIO_EXPORT int         aio_qemu_main_loop_wait     (int                nonblocking);
AIO_EXPORT void        aio_qemu_notify_event       (void);
AIO_EXPORT AioContext *aio_qemu_get_current        (void);
AIO_EXPORT void        aio_qemu_set_current        (AioContext        *ctx);
AIO_EXPORT bool        aio_qemu_in_main_thread     (void);
AIO_EXPORT AioContext *aio_qemu_io_handler_context (void);
AIO_EXPORT int         aio_qemu_add_io_handler     (int                fd,
                                                    IOCanReadHandler  *fd_read_poll,
                                                    IOHandler         *fd_read,
                                                    IOHandler         *fd_write,
                                                    void              *opaque);
AIO_EXPORT void        aio_qemu_io_handlers_fill   (int               *pnfds,
                                                    fd_set            *readfds,
                                                    fd_set            *writefds,
                                                    fd_set            *xfds);
AIO_EXPORT void        aio_qemu_io_handlers_poll   (fd_set            *readfds,
                                                    fd_set            *writefds,
                                                    fd_set            *xfds,
                                                    int                ret);
AIO_EXPORT void        aio_qemu_io_handlers_fill_array (GArray        *pollfds);
AIO_EXPORT void        aio_qemu_io_handlers_poll_array (GArray        *pollfds,
                                                        int            ret);
AIO_EXPORT int         aio_qemu_add_child_watch    (pid_t              pid);
AIO_EXPORT void        aio_qemu_bql_lock           (void);
AIO_EXPORT void        aio_qemu_bql_unlock         (void);
AIO_EXPORT bool        aio_qemu_bql_locked         (void);
AIO_EXPORT void        aio_qemu_bql_cond_wait      (QemuCond          *cond);

/* --- The loop --------------------------------------------------------------------------------- */

/* Without an argument as in 2012, or with an Error **. 0, or a negative errno. */
#define qemu_init_main_loop(...) \
  AIO_QEMU_CALL_OPTIONAL (aio_qemu_init_main_loop_, __VA_ARGS__)

static inline int
aio_qemu_init_main_loop_0 (void)
{
  return aio_qemu_init_main_loop (NULL);
}

static inline int
aio_qemu_init_main_loop_1 (Error **errp)
{
  return aio_qemu_init_main_loop (errp);
}

/* One iteration of the default GMainContext. The global mutex is released while it sleeps. Returns
 * what poll() did. */
static inline int
main_loop_wait (int nonblocking)
{
  return aio_qemu_main_loop_wait (nonblocking);
}

/* Any thread, and signal handlers. */
static inline void
qemu_notify_event (void)
{
  aio_qemu_notify_event ();
}

static inline AioContext *
qemu_get_aio_context (void)
{
  return aio_qemu_main_context ();
}

/* The context of this thread: its I/O thread's, the one that was set for it, or in the thread that
 * runs the main loop, or holds its mutex, the global one. */
static inline AioContext *
qemu_get_current_aio_context (void)
{
  return aio_qemu_get_current ();
}

static inline void
qemu_set_current_aio_context (AioContext *ctx)
{
  aio_qemu_set_current (ctx);
}

static inline bool
in_aio_context_home_thread (AioContext *ctx)
{
  return ctx == aio_qemu_get_current ();
}

static inline bool
qemu_in_main_thread (void)
{
  return aio_qemu_in_main_thread ();
}

/* --- Bottom halves of the global context ------------------------------------------------------ */

#define qemu_bh_new(cb, opaque) \
  aio_qemu_bh_new (aio_qemu_main_context (), (cb), (opaque), #cb, NULL)
#define qemu_bh_new_guarded(cb, opaque, guard) \
  aio_qemu_bh_new (aio_qemu_main_context (), (cb), (opaque), #cb, (guard))
#define qemu_bh_new_full(...) AIO_QEMU_CALL (aio_qemu_bh_new_main_, __VA_ARGS__)
#define aio_qemu_bh_new_main_3(cb, opaque, name) \
  aio_qemu_bh_new (aio_qemu_main_context (), (cb), (opaque), (name), NULL)
#define aio_qemu_bh_new_main_4(cb, opaque, name, guard) \
  aio_qemu_bh_new (aio_qemu_main_context (), (cb), (opaque), (name), (guard))

static inline int
qemu_bh_poll (void)
{
  return aio_bh_poll (aio_qemu_main_context ());
}

static inline void
qemu_bh_update_timeout (uint32_t *timeout)
{
  aio_bh_update_timeout (aio_qemu_main_context (), timeout);
}

/* --- 2012: handlers of the global context, and waiting for them ------------------------------- */

static inline int
qemu_aio_set_fd_handler (int              fd,
                         IOHandler       *io_read,
                         IOHandler       *io_write,
                         AioFlushHandler *io_flush,
                         void            *opaque)
{
  return aio_qemu_set_fd_flush (aio_qemu_main_context (), fd, io_read, io_write, io_flush, opaque);
}

static inline void
qemu_aio_set_event_notifier (EventNotifier                *notifier,
                             EventNotifierHandler         *io_read,
                             AioFlushEventNotifierHandler *io_flush)
{
  aio_qemu_set_notifier_flush (aio_qemu_main_context (), notifier, io_read, io_flush);
}

/* Runs what is scheduled; if there is nothing, waits for the handlers that are busy. False when
 * none is. */
static inline bool
qemu_aio_wait (void)
{
  return aio_qemu_wait (aio_qemu_main_context ());
}

static inline void
qemu_aio_flush (void)
{
  while (qemu_aio_wait ())
    ;
}

/* --- Handlers of the main loop ---------------------------------------------------------------- */

/* The predicate is asked before each wait. Both callbacks NULL removes. 0, or a negative errno. */
static inline int
qemu_set_fd_handler2 (int               fd,
                      IOCanReadHandler *fd_read_poll,
                      IOHandler        *fd_read,
                      IOHandler        *fd_write,
                      void             *opaque)
{
  return aio_qemu_add_io_handler (fd, fd_read_poll, fd_read, fd_write, opaque);
}

static inline int
qemu_set_fd_handler (int        fd,
                     IOHandler *fd_read,
                     IOHandler *fd_write,
                     void      *opaque)
{
  return aio_qemu_add_io_handler (fd, NULL, fd_read, fd_write, opaque);
}

static inline AioContext *
iohandler_get_aio_context (void)
{
  return aio_qemu_io_handler_context ();
}

static inline GSource *
iohandler_get_g_source (void)
{
  return aio_get_g_source (aio_qemu_io_handler_context ());
}

/* For loops of one's own: around select(), or with one or two arguments around g_poll(). */
#define qemu_iohandler_fill(...) AIO_QEMU_CALL (aio_qemu_iohandler_fill_, __VA_ARGS__)
#define aio_qemu_iohandler_fill_1(pollfds) aio_qemu_io_handlers_fill_array (pollfds)
#define aio_qemu_iohandler_fill_4(pnfds, readfds, writefds, xfds) \
  aio_qemu_io_handlers_fill ((pnfds), (readfds), (writefds), (xfds))

#define qemu_iohandler_poll(...) AIO_QEMU_CALL (aio_qemu_iohandler_poll_, __VA_ARGS__)
#define aio_qemu_iohandler_poll_2(pollfds, ret) \
  aio_qemu_io_handlers_poll_array ((pollfds), (ret))
#define aio_qemu_iohandler_poll_4(readfds, writefds, xfds, ret) \
  aio_qemu_io_handlers_poll ((readfds), (writefds), (xfds), (ret))

/* Nothing to do where descriptors are files. */
static inline void
qemu_fd_register (int fd)
{
  (void) fd;
}

/* The child is reaped by the main loop when it ends. 1 if it is watched already. */
static inline int
qemu_add_child_watch (pid_t pid)
{
  return aio_qemu_add_child_watch (pid);
}

/* --- The global mutex ------------------------------------------------------------------------- */

static inline void
qemu_mutex_lock_iothread (void)
{
  aio_qemu_bql_lock ();
}

static inline void
qemu_mutex_unlock_iothread (void)
{
  aio_qemu_bql_unlock ();
}

static inline bool
qemu_mutex_iothread_locked (void)
{
  return aio_qemu_bql_locked ();
}

static inline void
qemu_cond_wait_iothread (QemuCond *cond)
{
  aio_qemu_bql_cond_wait (cond);
}

/* Which functions may be called where. Who calls the first kind is in the main thread. */
#define GLOBAL_STATE_CODE() g_assert (qemu_in_main_thread ())
#define IO_CODE()           ((void) 0)
#define IO_OR_GS_CODE()     ((void) 0)

#define bql_lock()           aio_qemu_bql_lock ()
#define bql_unlock()         aio_qemu_bql_unlock ()
#define bql_locked()         aio_qemu_bql_locked ()
#define qemu_cond_wait_bql(cond) aio_qemu_bql_cond_wait (cond)

G_END_DECLS
