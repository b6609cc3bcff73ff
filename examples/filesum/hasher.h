/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The hasher: files are looked for, dealt out to threads, hashed, and come back in order. It knows
 * nothing of terminals or windows. The program around it runs its context, and is told what
 * happened by four functions, HasherEvents.
 *
 * A tour, in the order in which to read the files:
 *
 *   hasher.c    makes the threads, and takes them down again
 *   flow.c      the main thread's part: what is found is dealt out, what is done is handed on
 *   worker.c    a thread that hashes, block by block
 *   finder.c    a thread that looks for files, and counts them
 *   walk.c      where the files come from: folders and what is in them ...
 *   list.c      ... or the lines of a list of sums to check
 *   job.c       one file
 *   escape.c    file names that hold newlines and backslashes
 *
 * The threads share next to nothing and hold no lock. They hand things over, in two ways:
 *
 *   aio_context_post()   "run this function over there": each post runs, in order;
 *   aio_bh_schedule()    "it is your turn": any number of schedules merge into one run.
 *
 * What was written before either of them is visible to the function that runs then. So a thing
 * needs no lock as long as it is clear whose it is; the comments below say whose.
 */
#pragma once

#include <aioctx-gsource/aioctx-gsource.h>
#include <stdatomic.h>

/* These bounds keep memory flat, however many files there are. */
#define FILES_IN_FLIGHT 1024           /* found, but not yet handed on */
#define FILES_PER_BATCH 128            /* found at once */
#define FILES_PER_WORKER 16            /* handed to one worker, the one it reads included */
#define BLOCK_KIB 256                  /* read at once: whoever stops has to wait for no more */

/* What a file costs beside its bytes; balances the workers, and steadies a progress bar. */
#define FILE_COST (16 * 1024)

typedef struct _Finder Finder;
typedef struct _Hasher Hasher;
typedef struct _HasherEvents HasherEvents;
typedef struct _Job Job;
typedef struct _Source Source;
typedef struct _Work Work;
typedef struct _Worker Worker;

/* What is to be hashed, and how. The strings belong to the program, and outlive the hasher. */
struct _Work
{
  char **paths;
  char *check;                  /* the list of sums to check, or NULL to sum up the paths */
  GChecksumType algorithm;
  int n_workers;
  gboolean count;               /* find out beforehand how much it will be */
};

/* One file. It travels from the finder through the main thread to a worker and back, and whoever
 * has it may touch it. Only the mark that it is done stays in the main thread, which looks at it
 * while the job is away. */
struct _Job
{
  char *path;                   /* NULL only for a bad line of a list */
  guint64 size;                 /* as the finder saw it; only a hint */
  char *expected;               /* of a list to check: the sum on it ... */
  guint line;                   /* ... and where that stands there */
  Worker *worker;
  char *digest;                 /* the sum; or, where there is none, one of these two: */
  int error_number;             /* why, from errno; not 0 */
  const char *problem;          /* why, for what errno has no word; a literal */
  gboolean done;                /* main thread only */
};

/* Where jobs come from. One step does little, so that whoever calls it stays responsive: it finds
 * a job, or it only gets nearer to one (*job stays NULL). FALSE means that it was the last step. */
struct _Source
{
  gboolean (*step) (Source *source,
                    Job   **job);
  void     (*free) (Source *source);
};

/* What the program is told. All but "ticked" are called in the main thread. */
struct _HasherEvents
{
  gboolean (*job_done) (gpointer data,          /* the next one in order; it is freed afterwards */
                        Job     *job);          /* FALSE: go no further */
  void     (*counted)  (gpointer data,          /* with work.count: so much will it be */
                        guint64  files,
                        guint64  bytes);
  void     (*finished) (gpointer data);         /* once; not if the program stopped it */
  void     (*ticked)   (gpointer data);         /* any worker's thread: a block was read */
};

/* Main thread only, but for the fields that say otherwise. */
struct _Hasher
{
  /* Immutable. */
  Work work;
  const HasherEvents *events;
  gpointer data;                /* for the events */
  AioContext *context;          /* the main thread's; other threads post to it */

  AioBH *advance;               /* deal out, hand on, ask for more; scheduled by all that changes */
  AioBH *found;                 /* scheduled by the finder: its batch is ours now */

  Finder *finder;
  GPtrArray *workers;

  GQueue order;                 /* every job in flight, in order; owns them */
  GQueue waiting;               /* those of them that no worker has yet */
  gboolean asked;               /* the finder is at work on a batch */
  gboolean stopping;            /* nothing is dealt out or asked for any more */
  gboolean refused;             /* "job_done" wants no more */
  gboolean finished;

  _Atomic guint64 bytes;        /* any thread: read so far */
  guint64 files;                /* hashed so far */
};

/* hasher.c */
Hasher       *hasher_new          (AioContext          *context,
                                   const Work          *work,
                                   const HasherEvents  *events,
                                   gpointer             data,
                                   GError             **error);
void          hasher_start        (Hasher              *self);
void          hasher_stop         (Hasher              *self);
void          hasher_join         (Hasher              *self);
void          hasher_free         (Hasher              *self);

/* flow.c */
void          flow_advance        (gpointer             hasher);
void          flow_found          (gpointer             hasher);
void          flow_done           (Hasher              *self,
                                   Job                 *job);

/* worker.c */
Worker       *worker_new          (Hasher              *hasher,
                                   guint                number,
                                   GError             **error);
void          worker_give         (Worker              *self,
                                   Job                 *job);
guint64       worker_get_load     (Worker              *self);
gboolean      worker_is_full      (Worker              *self);
const char   *worker_get_current  (Worker              *self,
                                   double              *fraction);
AioContext   *worker_get_context  (Worker              *self);
void          worker_stop         (Worker              *self);
void          worker_free         (Worker              *self);

/* finder.c */
Finder       *finder_new          (Hasher              *hasher,
                                   GError             **error);
void          finder_ask          (Finder              *self);
Job          *finder_take         (Finder              *self,
                                   guint                nth);
gboolean      finder_at_end       (Finder              *self);
AioContext   *finder_get_context  (Finder              *self);
void          finder_stop         (Finder              *self);
void          finder_free         (Finder              *self);

/* walk.c, list.c */
Source       *walk_new            (char               **paths);
Source       *list_new            (const char          *path,
                                   GChecksumType        algorithm,
                                   GError             **error);

/* job.c */
Job          *job_new             (const char          *path,
                                   guint64              size);
Job          *job_new_failed      (const char          *path,
                                   int                  error_number,
                                   const char          *problem);
gboolean      job_has_failed      (Job                 *job);
const char   *job_get_problem     (Job                 *job);
char         *job_format_sum      (Job                 *job);
void          job_free            (Job                 *job);

/* escape.c */
gboolean      escape_is_needed    (const char          *name);
char         *escape_name         (const char          *name);
char         *unescape_name       (const char          *name);
char         *printable_name      (const char          *name);
