/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 3. A context is a composition of parts that know nothing of each other. */
#pragma once

#include <aioctx-gsource/aio-bh-private.h>
#include <aioctx-gsource/aio-context.h>
#include <aioctx-gsource/aio-fd-private.h>
#include <aioctx-gsource/aio-timer-private.h>
#include <aioctx-gsource/aio-timerfd-private.h>
#include <aioctx-gsource/aio-wake.h>

/* An idle bottom half runs this long after its schedule at the latest, in milliseconds. */
#define AIO_IDLE_DELAY_MS 10

/* How many wakeups are remembered when they are logged. */
#define AIO_N_WAKES 64

/* The GSource: prepares, checks and dispatches for its context. */
typedef struct
{
  GSource parent;
  AioContext *context;          /* no reference; NULL once the context has let go of it */
  GPollFD polled;               /* the one descriptor it polls */
  GPollFD *others;              /* with a monitor that has none: those of the handlers */
  guint n_others;
  guint n_changes;              /* the handlers' count of changes when others was made */
  gboolean notified;            /* a notification was taken, and is to be dispatched */
} AioShell;

/* See aio-context-wakes.c. */
typedef struct _AioWakeLog AioWakeLog;

/* The callback data of a shell that aio_context_attach() attached: the reference that the
 * GMainContext holds. GLib drops it when the source is destroyed and when the GMainContext ends. */
typedef struct
{
  AioContext *context;          /* NULL once it was abandoned */
  GMainContext *main_context;   /* no reference */
} AioAttachment;

/* See aio-context-busy.c. Home thread only. */
typedef struct
{
  gint64 max_ns;                /* 0: off */
  gint64 current_ns;            /* what it has adapted itself to */
  gint64 began;                 /* monotonic ns: the present wait */
  guint n_found;                /* waits of an I/O thread that ended while it looked */
  gboolean left_to_poll;        /* prepare() has left parking to aio_context_poll_func() */
} AioBusyPoll;

/* What a turn runs, in this order. One that was cut short leaves the first place to the kind that
 * would have come next: the one behind that which was cut, or, if that had not begun, itself. So
 * none waits for ever. */
typedef enum
{
  AIO_KIND_BHS,
  AIO_KIND_FDS,
  AIO_KIND_TIMERS,
  AIO_N_KINDS
} AioKind;

/* Under a GMainContext, after a turn that used its budget up and has more to do: the context sits
 * one iteration out, so that ready sources of lower priority get theirs. */
typedef enum
{
  AIO_REST_NONE,
  AIO_REST_NEXT,                /* the next iteration is the one */
  AIO_REST_NOW                  /* its prepare() has been called */
} AioRest;

struct AioContext
{
  AioBHSet bhs;
  AioFdSet fds;

  AioMeter meter;

  /* Immutable. */
  AioAnchor *anchor;
  AioTimerSet *timers;

  /* Atomic, any thread. */
  _Atomic (guint) refs;
  _Atomic (int) priority;
  _Atomic (guint) given_opening;        /* of the monitor: when aio_context_get_fd() was asked */
  _Atomic (guint64) n_iterations;       /* written by the home thread, as the next two */
  _Atomic (guint) max_callbacks;        /* the budget of each turn, see AioBudget */
  _Atomic (gint64) max_usec;
  _Atomic (guint) is_own;       /* the library's, there for dumps: reports leave it out */

  /* Home thread only. */
  AioTimerFd timerfds[AIO_N_CLOCKS - 1];        /* one for each clock of the system */
  AioBusyPoll busy;
  gboolean timer_fired;         /* one of them was readable */
  AioKind first_kind;           /* the next turn begins with it */
  AioRest rest;
  AioWakeLog *wakes;            /* NULL: nobody wants to know; written under the home lock */
  gboolean ending;              /* in aio_context_finalize() */
  AioShell *shell;              /* at most one that is alive; one reference is ours */
  gboolean parked;              /* the flag is up: somebody sleeps for us, or is about to */
  AioShell *parked_shell;       /* for whom, if it was prepare(); compared, never followed */
  gint64 wakes_at;              /* monotonic ns: when who is parked comes back by itself */
  guint n_taken;                /* notifications taken so far */
  guint n_events;               /* handlers and timers called so far */
  guint n_holes;                /* looks in a row that found a hole */
  gint64 idle_since;            /* monotonic ns when idle ones were first seen; 0: none seen */
  guint n_overdue;              /* parks in a row that found them overdue */

  /* Under the home lock. */
  AioAttachment *attachment;    /* the present one; NULL while not attached, or by hand */

  /* Under the lock of the list: all contexts of the process, see aio_context_for_each(). */
  AioContext *list_previous;
  AioContext *list_next;
};

/* One entry into the context from outside, on the stack of the home thread. */
typedef struct
{
  AioContext *outer;            /* what was current before */
  gboolean parked;              /* somebody slept for the context when we came */

  /* Only if somebody slept. */
  AioNotifyState found;         /* what the flag was then */
  AioShell *parked_shell;       /* who, if it was a GMainContext */
  gint64 wakes_at;              /* when that one comes back by itself */
  guint n_taken;                /* notifications taken until then */
} AioVisit;

typedef void (*AioContextVisitor) (gpointer    data,
                                   AioContext *context);

/* Who sleeps: does it keep a timeout to the nanosecond? GLib's has milliseconds, so a descriptor
 * has to tell the deadline. */
typedef enum
{
  AIO_SLEEP_EXACT,
  AIO_SLEEP_COARSE
} AioSleep;

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
AioPark       aio_context_park            (AioContext *context,
                                           AioSleep    sleep);
gboolean      aio_context_unpark          (AioContext *context);
AioNotifyState aio_context_stop_sleep     (AioContext *context);
void          aio_context_collect         (AioContext *context);
gboolean      aio_context_run_bhs         (AioContext *context);
gboolean      aio_context_is_due          (AioContext *context);
AioPassResult aio_context_run             (AioContext *context,
                                           AioSleep    sleep,
                                           AioTurn    *turn);
gboolean      aio_context_run_turn        (AioContext *context,
                                           AioSleep    sleep,
                                           GSource    *source);
AioLook       aio_context_look            (AioContext *context);
void          aio_context_set_for_thread  (AioContext *context);
AioContext   *aio_context_get_for_thread  (void);

/* aio-context-busy.c */
gboolean      aio_context_busy_wait       (AioContext *context,
                                           gint64      deadline);
void          aio_context_busy_done       (AioContext *context);
int           aio_context_poll_func       (GPollFD    *fds,
                                           guint       n,
                                           int         timeout_ms);

/* aio-context-fd.c */
gboolean      aio_context_is_notifier     (const AioFdHandler  *handler,
                                           AioFdFunc           *on_set);
void          aio_context_remove_fd_handler (AioContext        *context,
                                           int                  fd,
                                           gpointer             data);

/* aio-context-life.c */
gboolean      aio_context_may_act         (AioContext *context,
                                           const char *where);
gboolean      aio_context_takes_new       (AioContext *context,
                                           const char *where);
void          aio_context_report_taken    (AioContext *context,
                                           const char *where);
void          aio_context_finalize        (AioContext *context);
gboolean      aio_context_try_ref         (AioContext *context);
gboolean      aio_context_borrow          (AioContext  *context,
                                           AioHomeLoan *loan);
gboolean      aio_context_may_move        (AioContext *context);

/* aio-context-debug.c */
void          aio_context_apply_debug     (AioContext *context);
void          aio_context_frown_at_thread (AioContext *context,
                                           const char *where);

/* aio-context-list.c */
void          aio_context_enlist          (AioContext *context);
void          aio_context_delist          (AioContext *context);
gboolean      aio_context_for_each        (AioContextVisitor visit,
                                           gpointer          data);

/* aio-context-wakes.c */
void          aio_context_log_wakes       (AioContext *context,
                                           gboolean    on);
void          aio_context_note_wake       (AioContext *context,
                                           gboolean    notified);
guint         aio_context_list_wakes      (AioContext *context,
                                           AioWake    *wakes,
                                           guint       n);

/* aio-context-source.c */
GMainContext *aio_context_get_main        (AioContext *context);
gboolean      aio_context_polls_other     (AioContext *context);
gboolean      aio_context_is_live_shell   (AioContext *context,
                                           AioShell   *shell);
void          aio_context_abandon_attachment (AioContext *context);
void          aio_context_let_go_of_shell (AioContext *context);
