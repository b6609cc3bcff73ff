/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 3. A context is a composition of parts that know nothing of each other. */
#pragma once

#include <aioctx-gsource/aio-bh-private.h>
#include <aioctx-gsource/aio-context.h>

/* An idle bottom half runs this long after its schedule at the latest, in milliseconds. */
#define AIO_IDLE_DELAY_MS 10

/* The GSource: prepares, checks and dispatches for its context. */
typedef struct
{
  GSource parent;
  AioContext *context;          /* no reference; NULL once the context has let go of it */
  GPollFD wakeup;               /* the one descriptor it polls */
} AioShell;

/* The callback data of a shell that aio_context_attach() attached: the reference that the
 * GMainContext holds. GLib drops it when the source is destroyed and when the GMainContext ends. */
typedef struct
{
  AioContext *context;          /* NULL once it was abandoned */
  GMainContext *main_context;   /* no reference */
} AioAttachment;

struct _AioContext
{
  AioBHSet bhs;

  /* Immutable. */
  AioAnchor *anchor;

  /* Atomic, any thread. */
  _Atomic (guint) refs;
  _Atomic (int) priority;
  _Atomic (guint64) n_iterations;       /* written by the home thread */

  /* Home thread only. */
  AioShell *shell;              /* at most one that is alive; one reference is ours */
  gboolean parked;              /* the flag is up: somebody sleeps for us, or is about to */
  AioShell *parked_shell;       /* for whom, if it was prepare(); compared, never followed */
  guint n_taken;                /* notifications taken so far */
  guint n_holes;                /* looks in a row that found a hole */
  gint64 idle_since;            /* monotonic ns when idle ones were first seen; 0: none seen */
  guint n_overdue;              /* parks in a row that found them overdue */

  /* Under the home lock. */
  AioAttachment *attachment;    /* the present one; NULL while not attached, or by hand */
};

/* One entry into the context from outside, on the stack of the home thread. */
typedef struct
{
  AioContext *outer;            /* what was current before */
  gboolean parked;              /* somebody slept for the context when we came */
  AioShell *parked_shell;       /* who, if it was a GMainContext */
  guint n_taken;                /* notifications taken until then */
  AioNotifyState found;         /* what the flag was then */
} AioVisit;

/* What somebody who sleeps for the context has to know. */
typedef struct
{
  gboolean ready;               /* there is something to run: do not sleep */
  gboolean notified;            /* a notification was taken: do not sleep */
  gint64 timeout_ns;            /* -1 for ever */
} AioPark;

/* aio-context.c: the phases. */
gboolean      aio_context_take_home       (AioContext *context,
                                           const char *where);
gboolean      aio_context_enter           (AioContext *context,
                                           const char *where,
                                           AioVisit   *visit);
void          aio_context_leave           (AioContext *context,
                                           AioVisit   *visit);
AioPark       aio_context_park            (AioContext *context);
gboolean      aio_context_unpark          (AioContext *context,
                                           gboolean    drain);
gboolean      aio_context_is_due          (AioContext *context);
AioPassResult aio_context_run             (AioContext *context,
                                           GSource    *source);
void          aio_context_set_for_thread  (AioContext *context);

/* aio-context-life.c */
gboolean      aio_context_may_act         (AioContext *context,
                                           const char *where);
void          aio_context_report_taken    (AioContext *context,
                                           const char *where);
void          aio_context_finalize        (AioContext *context);

/* aio-context-source.c */
GMainContext *aio_context_get_main        (AioContext *context);
gboolean      aio_context_is_live_shell   (AioContext *context,
                                           AioShell   *shell);
void          aio_context_abandon_attachment (AioContext *context);
void          aio_context_let_go_of_shell (AioContext *context);
