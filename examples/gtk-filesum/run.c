/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A hasher at work, from its start until its threads are gone.
 *
 * A window must not wait. hasher_join() waits, if only for a block to be read, which may be long
 * from a slow disk; so it is called in a thread of GTask's. */
#include "gtk-filesum.h"

#include <unistd.h>

/* How far the threads stand back when there are not enough processors for all. */
#define NICENESS 10

struct _Run
{
  GObject parent;

  /* Immutable. */
  AioContext *context;
  AioBH *tick;                  /* scheduled when there is something new to see, by any thread */
  GStrv paths;
  SumList *sums;

  Hasher *hasher;               /* NULL when its threads are gone */
  gboolean stopping;
  gboolean cancelled;
  gint64 started;
  gint64 ended;                 /* or 0 */

  guint64 files;                /* these stay when the hasher is gone */
  guint64 bytes;
  guint64 problems;
  guint64 total;
  gboolean total_is_known;
};

enum
{
  ENDED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

G_DEFINE_FINAL_TYPE (Run, run, G_TYPE_OBJECT)

static gboolean
on_job_done (gpointer  data,
             Job      *job)
{
  Run *self = data;

  self->problems += job_has_failed (job);
  sum_list_add (self->sums, job);
  return TRUE;
}

static void
on_counted (gpointer data,
            guint64  files,
            guint64  bytes)
{
  Run *self = data;

  self->total = files;
  self->total_is_known = TRUE;
}

/* In the thread of a worker, some thousand times a second. It holds a reference, for the window
 * may take the bottom half along at any time. */
static void
on_ticked (gpointer data)
{
  Run *self = data;

  aio_bh_schedule_idle (self->tick);
}

static void
run_end (gpointer data)
{
  Run *self = data;

  /* What the threads had sent before they ended is here by now, and goes into the list. */
  flow_advance (self->hasher);
  sum_list_flush (self->sums, G_MAXUINT);
  self->files = run_get_files (self);
  self->bytes = run_get_bytes (self);
  self->ended = g_get_monotonic_time ();
  g_clear_pointer (&self->hasher, hasher_free);
  g_signal_emit (self, signals[ENDED], 0);
  g_object_unref (self);        /* of run_start() */
}

static void
join_in_thread (GTask        *task,
                gpointer      run,
                gpointer      task_data,
                GCancellable *cancellable)
{
  hasher_join (FILESUM_RUN (run)->hasher);
  g_task_return_boolean (task, TRUE);
}

/* The main thread again, and the threads are gone. This post is behind all that they posted. */
static void
on_joined (GObject      *object,
           GAsyncResult *result,
           gpointer      data)
{
  Run *self = FILESUM_RUN (object);

  aio_context_post (self->context, run_end, g_object_ref (self), g_object_unref);
}

static void
run_join (Run *self)
{
  g_autoptr (GTask) task = g_task_new (self, NULL, on_joined, NULL);

  self->stopping = TRUE;
  hasher_stop (self->hasher);
  g_task_run_in_thread (task, join_in_thread);
}

static void
on_finished (gpointer data)
{
  run_join (data);
}

static const HasherEvents events = { on_job_done, on_counted, on_finished, on_ticked };

/* The user has seen enough. Returns at once; "ended" is emitted when the threads are gone. */
void
run_stop (Run *self)
{
  if (self->stopping || self->hasher == NULL)
    return;
  self->cancelled = TRUE;
  run_join (self);
}

/* In the thread of a worker. On Linux each thread has a niceness of its own. */
static void
be_nice (gpointer data)
{
  int before G_GNUC_UNUSED = nice (NICENESS);
}

/* Stays alive until it has ended, even if its window goes. */
void
run_start (Run *self)
{
  g_object_ref (self);
  for (guint i = 0; i < self->hasher->workers->len; i++)
    aio_context_post (worker_get_context (g_ptr_array_index (self->hasher->workers, i)), be_nice,
                      NULL, NULL);
  self->started = g_get_monotonic_time ();
  hasher_start (self->hasher);
}

/* Only one that never started still has a hasher here. */
static void
run_finalize (GObject *object)
{
  Run *self = FILESUM_RUN (object);

  if (self->hasher != NULL)
    hasher_join (self->hasher);
  g_clear_pointer (&self->hasher, hasher_free);
  g_clear_object (&self->sums);
  aio_bh_unref (self->tick);
  aio_context_unref (self->context);
  g_strfreev (self->paths);
  G_OBJECT_CLASS (run_parent_class)->finalize (object);
}

static void
run_class_init (RunClass *class)
{
  G_OBJECT_CLASS (class)->finalize = run_finalize;
  signals[ENDED] = g_signal_new ("ended", RUN_TYPE, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                                 G_TYPE_NONE, 0);
}

static void
run_init (Run *self)
{
}

Run *
run_new (AioContext        *context,
         const char *const *paths,
         int                n_workers,
         AioBH             *tick,
         GError           **error)
{
  g_autoptr (Run) self = g_object_new (RUN_TYPE, NULL);
  Work work = { .algorithm = G_CHECKSUM_SHA256, .n_workers = n_workers, .count = TRUE };

  self->context = aio_context_ref (context);
  self->tick = aio_bh_ref (tick);
  self->sums = sum_list_new ();
  self->paths = g_strdupv ((GStrv) paths);
  work.paths = self->paths;
  self->hasher = hasher_new (context, &work, &events, self, error);
  return self->hasher != NULL ? g_steal_pointer (&self) : NULL;
}

SumList *
run_get_sums (Run *self)
{
  return self->sums;
}

guint
run_get_n_workers (Run *self)
{
  return self->hasher != NULL ? self->hasher->workers->len : 0;
}

const char *
run_get_current (Run    *self,
                 guint   nth_worker,
                 double *fraction)
{
  return worker_get_current (g_ptr_array_index (self->hasher->workers, nth_worker), fraction);
}

gboolean
run_is_active (Run *self)
{
  return self->hasher != NULL;
}

gboolean
run_was_cancelled (Run *self)
{
  return self->cancelled;
}

double
run_get_seconds (Run *self)
{
  gint64 until = self->ended != 0 ? self->ended : g_get_monotonic_time ();

  return (double) (until - self->started) / G_USEC_PER_SEC;
}

guint64
run_get_files (Run *self)
{
  return self->hasher != NULL ? self->hasher->files : self->files;
}

guint64
run_get_bytes (Run *self)
{
  if (self->hasher == NULL)
    return self->bytes;
  return atomic_load_explicit (&self->hasher->bytes, memory_order_relaxed);
}

guint64
run_get_problems (Run *self)
{
  return self->problems;
}

/* FALSE while they are being counted. */
gboolean
run_get_total (Run     *self,
               guint64 *files)
{
  *files = self->total;
  return self->total_is_known;
}
