/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The main thread's part: what the finder found is dealt out to the workers, what they have done is
 * handed on, and all of it is kept within bounds.
 *
 * Whatever happens, a batch found or a file done, is noted, and "advance" is scheduled to see what
 * can be done next. A hundred files may be done before it runs; it runs once. */
#include "hasher.h"

/* A job stands in line until all before it are handed on. That makes the output the same, whatever
 * worker was first. */
static void
flow_hand_on (Hasher *self)
{
  Job *job = g_queue_peek_head (&self->order);

  while (job != NULL && job->done && !self->refused)
    {
      self->refused = !self->events->job_done (self->data, job);
      job_free (g_queue_pop_head (&self->order));
      job = g_queue_peek_head (&self->order);
    }
}

static Worker *
flow_choose_worker (Hasher *self)
{
  Worker *lightest = g_ptr_array_index (self->workers, 0);

  for (guint i = 1; i < self->workers->len; i++)
    {
      Worker *worker = g_ptr_array_index (self->workers, i);

      if (worker_get_load (worker) < worker_get_load (lightest))
        lightest = worker;
    }
  return lightest;
}

/* A worker gets a few files ahead, so that it need not wait for us between two. A small file never
 * goes behind a huge one while another worker has less to do: load counts bytes. */
static void
flow_deal (Hasher *self)
{
  Worker *worker = flow_choose_worker (self);

  while (!g_queue_is_empty (&self->waiting) && !worker_is_full (worker))
    {
      worker_give (worker, g_queue_pop_head (&self->waiting));
      worker = flow_choose_worker (self);
    }
}

/* This is what keeps memory flat: the finder goes on only when there is room for a batch. */
static void
flow_ask (Hasher *self)
{
  if (self->asked || finder_at_end (self->finder))
    return;
  if (self->order.length + FILES_PER_BATCH > FILES_IN_FLIGHT)
    return;
  self->asked = TRUE;
  finder_ask (self->finder);
}

static gboolean
flow_is_over (Hasher *self)
{
  return self->refused || (!self->asked && g_queue_is_empty (&self->order));
}

void
flow_advance (gpointer hasher)
{
  Hasher *self = hasher;

  flow_hand_on (self);
  if (self->stopping)
    return;

  flow_deal (self);
  flow_ask (self);
  if (self->finished || !flow_is_over (self))
    return;
  self->finished = TRUE;
  self->events->finished (self->data);
}

void
flow_found (gpointer hasher)
{
  Hasher *self = hasher;
  Job *job;

  self->asked = FALSE;
  for (guint i = 0; (job = finder_take (self->finder, i)) != NULL; i++)
    {
      g_queue_push_tail (&self->order, job);
      if (!job->done)
        g_queue_push_tail (&self->waiting, job);
    }
  aio_bh_schedule (self->advance);
}

void
flow_done (Hasher *self,
           Job    *job)
{
  if (job->digest != NULL)
    self->files++;
  aio_bh_schedule (self->advance);
}
