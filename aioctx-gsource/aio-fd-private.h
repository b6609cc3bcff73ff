/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 2. All descriptor handlers of one context, and the monitor that watches the descriptors. */
#pragma once

#include <aioctx-gsource/aio-anchor-private.h>
#include <aioctx-gsource/aio-fd.h>
#include <aioctx-gsource/aio-meter-private.h>
#include <aioctx-gsource/aio-turn-private.h>

typedef struct _AioFdSet AioFdSet;
typedef struct _AioFdHandler AioFdHandler;
typedef struct _AioFdRun AioFdRun;

struct _AioFdHandler
{
  /* Immutable. */
  AioFdSet *set;
  int fd;
  guint32 generation;           /* tells it from others that had or will have the same number */
  AioFdFunc on_read;
  AioFdFunc on_write;
  AioPollFunc io_poll;
  AioFdFunc io_poll_ready;
  gpointer data;
  GDestroyNotify destroy;

  /* Atomic, any thread. */
  _Atomic (guint) removed;
  _Atomic (guint) depth;        /* runs on the stack; written by the home thread, as the rest */
  _Atomic (guint) ready;        /* AioFdReady; not 0: in the ready list */
  _Atomic (guint64) n_runs;
  _Atomic (guint64) total_ns;   /* with profiling, as the next */
  _Atomic (gint64) longest_ns;

  /* Under the lock of the set. */
  gboolean watched;             /* the monitor has it */
  gboolean always;              /* a regular file: always ready, no monitor takes it */
  gboolean broken;              /* closed before it was removed, reported, left alone */
  AioFdHandler *all_next;       /* all that are in the table, see AioFdSet */
  AioFdHandler *all_previous;

  /* Home thread only. */
  guint refs;                   /* the set's, the ready list's, each run's */
  gboolean suspended;           /* not watched while it is there */
  gboolean refused;             /* it was, and the monitor has not taken it back; under the lock */
  guint ready_since;            /* the set's n_passes when it was put there */
  AioFdHandler *ready_next;
  AioFdHandler *ready_previous;
};

typedef enum
{
  AIO_FD_READ     = 1 << 0,
  AIO_FD_WRITE    = 1 << 1,
  AIO_FD_POLLED   = 1 << 2,     /* its io_poll function said so */
  AIO_FD_OWED     = 1 << 3      /* a turn ended before on_write, which goes first now */
} AioFdReady;

/* A handler on the stack. */
struct _AioFdRun
{
  AioFdRun *outer;
  AioFdHandler *handler;
};

/* What else a monitor watches for its context, and reports as a mask of 1 << tag. */
typedef enum
{
  AIO_FD_TAG_WAKEUP,
  AIO_FD_TAG_TIMER,             /* and one for each clock */
  AIO_FD_N_TAGS = AIO_FD_TAG_TIMER + 3
} AioFdTag;

/* A way to watch descriptors. */
typedef struct
{
  const char *name;
  gboolean is_one_fd;           /* one descriptor stands for all, and tags can be watched */

  gboolean (*open)      (AioFdSet      *set,
                         GError       **error);
  void     (*close)     (AioFdSet      *set);

  /* Under the lock. The handler takes the place of another one for the same descriptor, or NULL.
   * Reports nothing and changes nothing if it fails. */
  gboolean (*watch)     (AioFdSet      *set,
                         AioFdHandler  *handler,
                         AioFdHandler  *former,
                         GError       **error);
  /* Under the lock. Returns 0 or an errno. */
  int      (*unwatch)   (AioFdSet      *set,
                         AioFdHandler  *handler);
  gboolean (*watch_tag) (AioFdSet      *set,
                         AioFdTag       tag,
                         int            fd);

  /* Home thread, without the lock: sleeps, marks handlers ready, returns the tags. */
  guint    (*wait)      (AioFdSet      *set,
                         gint64         timeout_ns);
} AioFdMonitor;

struct _AioFdSet
{
  /* Immutable once it is active. */
  AioAnchor *anchor;
  AioMeter *meter;
  const AioFdMonitor *monitor;

  /* Atomic, any thread. */
  _Atomic (guint) active;       /* the monitor is open, and there may be something in it */
  _Atomic (int) fd;             /* what stands for all others when polled, -1: there is none */
  _Atomic (guint) n_openings;   /* files that fd has stood for; their numbers may be the same */
  _Atomic (guint) n_handlers;
  _Atomic (guint) n_always;     /* handlers of regular files */
  _Atomic (guint) n_io_poll;    /* length of with_io_poll */
  _Atomic (guint) n_changes;    /* moves with each change of what is watched */

  /* Guards the table, the monitor's set, and what is marked so in the handlers. A leaf. */
  pthread_mutex_t lock;
  GHashTable *handlers;         /* fd to AioFdHandler */
  AioFdHandler *all;            /* what is in the table, for debuggers, to which that is opaque */
  GPtrArray *with_io_poll;      /* of these, those with an io_poll function */
  guint32 n_generations;
  int tag_fds[AIO_FD_N_TAGS];   /* the context's own descriptors that are watched, else -1 */
  int former_fd;                /* the number before the present one, kept from others; or -1 */
  gboolean maybe_stale;         /* the monitor may still have one that was closed too early */
  GString *report;              /* to be said when the lock is given up; NULL: nothing */

  /* Home thread only. */
  AioFdHandler *first_ready, *last_ready;
  AioFdRun *runs;               /* innermost first */
  guint n_passes;               /* begun so far */
  gboolean has_refused;         /* there may be a handler that is marked so */
};

extern const AioFdMonitor aio_fdmon_epoll;
extern const AioFdMonitor aio_fdmon_poll;

typedef void (*AioFdVisitor) (gpointer            data,
                              const AioFdHandler *handler);

const AioFdMonitor *aio_fd_monitor_by_name (const char *name);

void          aio_fd_set_init         (AioFdSet        *set,
                                       AioAnchor       *anchor,
                                       AioMeter        *meter);
void          aio_fd_set_close        (AioFdSet        *set,
                                       GString         *names);
void          aio_fd_set_drop_all     (AioFdSet        *set);
void          aio_fd_set_clear        (AioFdSet        *set);
gboolean      aio_fd_set_activate     (AioFdSet        *set,
                                       GError         **error);
gboolean      aio_fd_set_watch_tag    (AioFdSet        *set,
                                       AioFdTag         tag,
                                       int              fd);
gboolean      aio_fd_set_replace      (AioFdSet        *set,
                                       int              fd,
                                       AioFdHandler    *handler,
                                       AioFdHandler   **former,
                                       GError         **error);
AioFdHandler *aio_fd_set_remove       (AioFdSet        *set,
                                       int              fd,
                                       gpointer         data);
AioFdHandler *aio_fd_handler_new      (AioFdSet        *set,
                                       int              fd);
void          aio_fd_handler_forget   (AioFdHandler    *handler);
void          aio_fd_handler_unref    (AioFdHandler    *handler);
AioFdHandler *aio_fd_set_lookup       (AioFdSet        *set,
                                       int              fd,
                                       guint32          generation);
void          aio_fd_set_mark_ready   (AioFdSet        *set,
                                       AioFdHandler    *handler,
                                       guint            poll_events);
void          aio_fd_set_report_closed (AioFdSet       *set,
                                       AioFdHandler    *handler,
                                       int              reason);
void          aio_fd_set_mark_always  (AioFdSet        *set);
gboolean      aio_fd_set_ask_io_poll  (AioFdSet        *set);
void          aio_fd_set_suspend_runs (AioFdSet        *set);
gboolean      aio_fd_set_watch_refused (AioFdSet       *set);
void          aio_fd_set_list         (AioFdSet        *set,
                                       AioFdVisitor     visit,
                                       gpointer         data);
gboolean      aio_fd_set_try_list     (AioFdSet        *set,
                                       AioFdVisitor     visit,
                                       gpointer         data);
guint         aio_fd_set_run          (AioFdSet        *set,
                                       AioTurn         *turn);
GPollFD      *aio_fd_set_list_polled  (AioFdSet        *set,
                                       guint           *n);
guint         aio_fd_handler_events   (AioFdHandler    *handler);
void          aio_fd_set_lock         (AioFdSet        *set);
void          aio_fd_set_unlock       (AioFdSet        *set);

static inline gboolean
aio_fd_set_has_handlers (AioFdSet *set)
{
  return aio_load_full (&set->n_handlers) != 0;
}

static inline gboolean
aio_fd_set_is_active (AioFdSet *set)
{
  return aio_load_full (&set->active) != 0;
}
