/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined (AIOCTX_GSOURCE_INSIDE) && !defined (AIOCTX_GSOURCE_COMPILATION)
#error "Only <aioctx-gsource/aioctx-gsource.h> can be included directly."
#endif

#include <aioctx-gsource/aio-macros.h>
#include <gio/gio.h>

G_BEGIN_DECLS

/* The tag is the name, because code that comes from QEMU declares "struct AioContext" by itself. */
typedef struct AioContext AioContext;
typedef struct _AioBH AioBH;
typedef struct _AioIOThread AioIOThread;

/**
 * AioBHFunc:
 * @data: (closure): what was given when the bottom half was made
 *
 * The callback of a bottom half, a one-shot or a post.
 *
 * It runs in the home thread of its context, with no lock held. It may schedule, cancel and delete
 * any bottom half (itself too), iterate the context, and drop the last reference to it. To leave it
 * by longjmp() or by a C++ exception is undefined.
 *
 * Since: 1.0
 */
typedef void (*AioBHFunc) (gpointer data);

/**
 * AioSlowFunc:
 * @context: the context that it ran in
 * @what: what ran, for people: its kind and its name
 * @duration_ns: how long it ran, in nanoseconds, with all that it has iterated
 * @data: (closure): what was given with the function
 *
 * Is told of a callback that was slow. It runs in the home thread, right behind that callback.
 *
 * Since: 1.0
 */
typedef void (*AioSlowFunc) (AioContext *context,
                             const char *what,
                             gint64      duration_ns,
                             gpointer    data);

/**
 * AioPredicate:
 * @data: (closure): what was given with the predicate
 *
 * A condition that aio_context_poll_until() waits for.
 *
 * It is called in the home thread and should be cheap.
 *
 * Returns: %TRUE when the condition holds
 *
 * Since: 1.0
 */
typedef gboolean (*AioPredicate) (gpointer data);

G_END_DECLS
