/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The finder looks for files, in a thread of its own: disks and networks may be slow, and the main
 * thread has better things to do than to wait for them.
 *
 * It and the main thread take turns with the batch, and two bottom halves say whose turn it is.
 * finder_ask() schedules "search" over here, and when the batch is full, we schedule "found" over
 * there. Between the one and the other the batch is ours. No message is allocated, no lock is held,
 * and there is never more than one batch on the way.
 *
 * For a progress bar the finder also counts how many files there will be. That is a second bottom
 * half in the same thread, with a walk of its own; as both do a little and schedule themselves
 * again, they go on side by side. */
#include "hasher.h"

/* How many steps of a source make up one run of a bottom half. */
#define STEPS_PER_RUN 64

struct _Finder
{
  /* Immutable. */
  Hasher *hasher;
  AioIOThread *thread;
  AioBH *search;
  AioBH *count;                 /* NULL if there is nothing to count for */

  /* The finder's thread, from "search" to "found"; the main thread, from "found" to "search". */
  GPtrArray *batch;
  gboolean at_end;

  /* The finder's thread only. */
  Source *source;
  Source *counted;              /* the same once more, for count */

  /* The finder's thread, until the count is over; then the main thread. */
  guint64 n_files;
  guint64 n_bytes;
};

static void
finder_search (gpointer data)
{
  Finder *self = data;

  for (guint i = 0; i < STEPS_PER_RUN && !self->at_end && self->batch->len < FILES_PER_BATCH; i++)
    {
      Job *job = NULL;

      self->at_end = !self->source->step (self->source, &job);
      if (job != NULL)
        g_ptr_array_add (self->batch, job);
    }

  if (self->at_end || self->batch->len == FILES_PER_BATCH)
    aio_bh_schedule (self->hasher->found);
  else
    aio_bh_schedule (self->search);
}

/* Main thread: the count is over. It came by a post, so its numbers are there to be read. */
static void
finder_counted (gpointer data)
{
  Finder *self = data;
  Hasher *hasher = self->hasher;

  hasher->events->counted (hasher->data, self->n_files, self->n_bytes);
}

static void
finder_count (gpointer data)
{
  Finder *self = data;
  gboolean more = TRUE;

  for (guint i = 0; i < STEPS_PER_RUN && more; i++)
    {
      Job *job = NULL;

      more = self->counted->step (self->counted, &job);
      if (job == NULL)
        continue;
      if (!job_has_failed (job))
        {
          self->n_files++;
          self->n_bytes += job->size;
        }
      job_free (job);
    }

  if (more)
    aio_bh_schedule (self->count);
  else
    aio_context_post (self->hasher->context, finder_counted, self, NULL);
}

/* Main thread: starts the search for the next batch. */
void
finder_ask (Finder *self)
{
  g_ptr_array_set_size (self->batch, 0);
  aio_bh_schedule (self->search);
}

/* Main thread, in "found": takes a job out of the batch; NULL behind the last one. */
Job *
finder_take (Finder *self,
             guint   nth)
{
  return nth < self->batch->len ? g_steal_pointer (&g_ptr_array_index (self->batch, nth)) : NULL;
}

gboolean
finder_at_end (Finder *self)
{
  return self->at_end;
}

AioContext *
finder_get_context (Finder *self)
{
  return aio_io_thread_get_context (self->thread);
}

static Source *
source_new (const Work  *work,
            GError     **error)
{
  if (work->check != NULL)
    return list_new (work->check, work->algorithm, error);
  return walk_new (work->paths);
}

/* A list that comes through a pipe can be read only once. */
static gboolean
can_be_counted (const Work *work)
{
  return work->check == NULL || g_file_test (work->check, G_FILE_TEST_IS_REGULAR);
}

Finder *
finder_new (Hasher  *hasher,
            GError **error)
{
  Finder *self = g_new0 (Finder, 1);

  self->hasher = hasher;
  self->batch = g_ptr_array_new ();
  self->source = source_new (&hasher->work, error);
  if (self->source != NULL)
    self->thread = aio_io_thread_new ("finder", error);
  if (self->thread == NULL)
    {
      finder_free (self);
      return NULL;
    }

  self->search = aio_bh_new (finder_get_context (self), finder_search, self);
  if (hasher->work.count && can_be_counted (&hasher->work))
    self->counted = source_new (&hasher->work, NULL);
  if (self->counted != NULL)
    {
      self->count = aio_bh_new (finder_get_context (self), finder_count, self);
      aio_bh_schedule (self->count);
    }
  return self;
}

void
finder_stop (Finder *self)
{
  aio_io_thread_stop (self->thread);
}

void
finder_free (Finder *self)
{
  Job *job;

  for (guint i = 0; i < self->batch->len; i++)
    {
      job = finder_take (self, i);
      g_clear_pointer (&job, job_free);
    }
  g_ptr_array_unref (self->batch);
  g_clear_pointer (&self->search, aio_bh_delete);
  g_clear_pointer (&self->count, aio_bh_delete);
  g_clear_pointer (&self->thread, aio_io_thread_unref);
  if (self->source != NULL)
    self->source->free (self->source);
  if (self->counted != NULL)
    self->counted->free (self->counted);
  g_free (self);
}
