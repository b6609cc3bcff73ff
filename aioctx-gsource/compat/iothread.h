/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "aio-qemu.h"

G_BEGIN_DECLS

typedef struct IOThread IOThread;

AIO_EXPORT IOThread     *aio_qemu_io_thread_new      (const char *id,
                                                      Error     **errp);
AIO_EXPORT void          aio_qemu_io_thread_stop     (IOThread   *iothread);
AIO_EXPORT void          aio_qemu_io_thread_free     (IOThread   *iothread);
AIO_EXPORT IOThread     *aio_qemu_io_thread_by_id    (const char *id);
AIO_EXPORT const char   *aio_qemu_io_thread_get_id   (IOThread   *iothread);
AIO_EXPORT AioContext   *aio_qemu_io_thread_get_ctx  (IOThread   *iothread);
AIO_EXPORT GMainContext *aio_qemu_io_thread_get_main (IOThread   *iothread);

static inline AioContext *
iothread_get_aio_context (IOThread *iothread)
{
  return aio_qemu_io_thread_get_ctx (iothread);
}

static inline GMainContext *
iothread_get_g_main_context (IOThread *iothread)
{
  return aio_qemu_io_thread_get_main (iothread);
}

/* --- As QEMU's unit tests have it ------------------------------------------------------------- */

static inline IOThread *
iothread_new (void)
{
  return aio_qemu_io_thread_new (NULL, &aio_qemu_error_abort);
}

/* Ends the thread, waits for it, and frees it. */
static inline void
iothread_join (IOThread *iothread)
{
  aio_qemu_io_thread_free (iothread);
}

/* --- As QEMU itself has it -------------------------------------------------------------------- */

static inline IOThread *
iothread_create (const char  *id,
                 Error      **errp)
{
  return aio_qemu_io_thread_new (id, errp);
}

static inline void
iothread_stop (IOThread *iothread)
{
  aio_qemu_io_thread_stop (iothread);
}

static inline void
iothread_destroy (IOThread *iothread)
{
  aio_qemu_io_thread_free (iothread);
}

static inline IOThread *
iothread_by_id (const char *id)
{
  return aio_qemu_io_thread_by_id (id);
}

/* The caller frees it. */
static inline char *
iothread_get_id (IOThread *iothread)
{
  return g_strdup (aio_qemu_io_thread_get_id (iothread));
}

G_END_DECLS
