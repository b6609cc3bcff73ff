/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A worker hashes files in a thread of its own.
 *
 * An AioIOThread is a thread that does nothing but run an AioContext. Our work in it is one bottom
 * half that reads one block, and schedules itself again as long as there is more to read. Between
 * two blocks the thread's loop is free to do other things: to take the next file that is posted,
 * and to stop. That is why nothing in here asks "was I cancelled?": aio_io_thread_stop() lets the
 * run that is scheduled come to its end, and does not wait for the one that this one schedules. */
#include "hasher.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_SIZE (BLOCK_KIB * 1024)

struct _Worker
{
  /* Immutable. */
  Hasher *hasher;
  AioIOThread *thread;
  AioBH *work;

  /* Main thread only: what is with this worker, in order. It reads the first. */
  GQueue given;
  guint64 load;

  /* Any thread; the worker's writes. For a picture only, so nothing depends on its order. */
  _Atomic guint64 position;     /* read so far of that file */

  /* The worker's thread only. */
  GQueue jobs;                  /* borrowed: the main thread's queue owns them */
  Job *job;                     /* the one that is being read, or NULL */
  int fd;                       /* its file, or -1 */
  GChecksum *checksum;
  guchar *block;
};

/* What this job adds to the load. Both ends of its stay have to agree on that. */
static guint64
job_get_load (Job *job)
{
  return job->size + FILE_COST;
}

/* Main thread: a job comes back. Only here may it be marked as done. If the worker did that, the
 * main thread might see the mark at once, hand the job on and free it, and this post would still be
 * to come. */
static void
worker_done (gpointer data)
{
  Job *job = data;
  Worker *self = job->worker;

  g_queue_pop_head (&self->given);
  self->load -= job_get_load (job);
  job->done = TRUE;
  flow_done (self->hasher, job);
}

static void
worker_finish_job (Worker *self)
{
  Job *job = g_steal_pointer (&self->job);

  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;

  /* From here on the job is the main thread's. */
  aio_context_post (self->hasher->context, worker_done, job, NULL);
}

/* The file may have changed since it was found: it may be gone, or be a pipe by now. O_NONBLOCK
 * keeps us from waiting for somebody to open the other end of that pipe. */
static void
worker_open (Worker *self)
{
  struct stat st;

  self->fd = open (self->job->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (self->fd < 0 || fstat (self->fd, &st) < 0)
    self->job->error_number = errno;
  else if (S_ISDIR (st.st_mode))
    self->job->error_number = EISDIR;
  else if (!S_ISREG (st.st_mode))
    self->job->problem = "not a regular file, not read";
  g_checksum_reset (self->checksum);
  atomic_store_explicit (&self->position, 0, memory_order_relaxed);
}

/* Reads until the block is full, because files in /proc come in small pieces. Returns FALSE when
 * there is no more to read. */
static gboolean
worker_read_block (Worker *self)
{
  gsize filled = 0;
  gssize n = 1;

  while (n > 0 && filled < BLOCK_SIZE)
    {
      n = read (self->fd, self->block + filled, BLOCK_SIZE - filled);
      if (n > 0)
        filled += n;
    }
  if (n < 0)
    self->job->error_number = errno;

  g_checksum_update (self->checksum, self->block, filled);
  atomic_fetch_add_explicit (&self->hasher->bytes, filled, memory_order_relaxed);
  atomic_fetch_add_explicit (&self->position, filled, memory_order_relaxed);
  if (n == 0)
    self->job->digest = g_strdup (g_checksum_get_string (self->checksum));
  return n > 0;
}

/* The bottom half: one block. */
static void
worker_work (gpointer data)
{
  Worker *self = data;

  if (self->job == NULL)
    {
      self->job = g_queue_pop_head (&self->jobs);
      if (self->job == NULL)
        return;
      worker_open (self);
    }

  if (job_has_failed (self->job) || !worker_read_block (self))
    worker_finish_job (self);
  self->hasher->events->ticked (self->hasher->data);

  /* Legal, and no endless loop: it runs again in the next pass, never in this one. */
  aio_bh_schedule (self->work);
}

/* Worker's thread: a job has arrived. */
static void
worker_take (gpointer data)
{
  Job *job = data;
  Worker *self = job->worker;

  g_queue_push_tail (&self->jobs, job);
  aio_bh_schedule (self->work);
}

/* Main thread: hands over a job. */
void
worker_give (Worker *self,
             Job    *job)
{
  job->worker = self;
  g_queue_push_tail (&self->given, job);
  self->load += job_get_load (job);
  aio_context_post (worker_get_context (self), worker_take, job, NULL);
}

guint64
worker_get_load (Worker *self)
{
  return self->load;
}

gboolean
worker_is_full (Worker *self)
{
  return self->given.length == FILES_PER_WORKER;
}

/* Main thread: the file that the worker reads, or NULL; and how much of it is read, from 0 to 1. It
 * may have gone on to the next one a moment ago: good enough for whoever looks at it. */
const char *
worker_get_current (Worker *self,
                    double *fraction)
{
  Job *job = g_queue_peek_head (&self->given);
  guint64 position = atomic_load_explicit (&self->position, memory_order_relaxed);

  /* A small file is read at one go. */
  *fraction = job == NULL ? 0.0 : 1.0;
  if (job != NULL && job->size > BLOCK_SIZE)
    *fraction = MIN ((double) position / (double) job->size, 1.0);
  return job != NULL ? job->path : NULL;
}

AioContext *
worker_get_context (Worker *self)
{
  return aio_io_thread_get_context (self->thread);
}

Worker *
worker_new (Hasher  *hasher,
            guint    number,
            GError **error)
{
  g_autofree char *name = g_strdup_printf ("worker-%u", number);
  g_autoptr (AioIOThread) thread = aio_io_thread_new (name, error);
  Worker *self;

  if (thread == NULL)
    return NULL;

  self = g_new0 (Worker, 1);
  self->hasher = hasher;
  self->thread = g_steal_pointer (&thread);
  self->work = aio_bh_new (worker_get_context (self), worker_work, self);
  self->fd = -1;
  self->checksum = g_checksum_new (hasher->work.algorithm);
  self->block = g_malloc (BLOCK_SIZE);
  return self;
}

/* Afterwards the thread is gone, and what was its own is ours. The jobs that it has finished are
 * on their way to the main thread and need the worker once more, so this does not free it. */
void
worker_stop (Worker *self)
{
  aio_io_thread_stop (self->thread);
}

void
worker_free (Worker *self)
{
  aio_bh_delete (self->work);
  aio_io_thread_unref (self->thread);
  if (self->fd >= 0)
    close (self->fd);
  g_queue_clear (&self->jobs);
  g_queue_clear (&self->given);
  g_checksum_free (self->checksum);
  g_free (self->block);
  g_free (self);
}
