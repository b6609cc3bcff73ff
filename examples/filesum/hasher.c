/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Makes the threads, and takes them down again. */
#include "hasher.h"

static gboolean
hasher_start_threads (Hasher  *self,
                      GError **error)
{
  for (int i = 0; i < self->work.n_workers; i++)
    {
      Worker *worker = worker_new (self, i, error);

      if (worker == NULL)
        return FALSE;
      g_ptr_array_add (self->workers, worker);
    }
  self->finder = finder_new (self, error);
  return self->finder != NULL;
}

/* The context is the one that the main thread runs. Nothing is hashed before hasher_start(), and
 * the events come from that context then. */
Hasher *
hasher_new (AioContext          *context,
            const Work          *work,
            const HasherEvents  *events,
            gpointer             data,
            GError             **error)
{
  Hasher *self = g_new0 (Hasher, 1);

  self->work = *work;
  self->events = events;
  self->data = data;
  self->context = aio_context_ref (context);
  self->advance = aio_bh_new (context, flow_advance, self);
  self->found = aio_bh_new (context, flow_found, self);
  self->workers = g_ptr_array_new ();
  g_queue_init (&self->order);
  g_queue_init (&self->waiting);

  if (!hasher_start_threads (self, error))
    {
      hasher_stop (self);
      hasher_join (self);
      hasher_free (self);
      return NULL;
    }
  return self;
}

void
hasher_start (Hasher *self)
{
  aio_bh_schedule (self->advance);
}

/* Nothing new is begun from here on. What is done, is still handed on. */
void
hasher_stop (Hasher *self)
{
  self->stopping = TRUE;
}

/* Waits until the threads are gone, each within one block. What they sent us by then is still on
 * its way: the program has to run the context once more. Not for two threads at once, but for any
 * one: a program that must not wait calls it in a thread of its own, behind hasher_stop(). */
void
hasher_join (Hasher *self)
{
  if (self->finder != NULL)
    finder_stop (self->finder);
  for (guint i = 0; i < self->workers->len; i++)
    worker_stop (g_ptr_array_index (self->workers, i));
}

/* Behind hasher_join(). Whoever makes a bottom half deletes it before its context goes: else the
 * library complains, and names it. */
void
hasher_free (Hasher *self)
{
  aio_bh_delete (self->advance);
  aio_bh_delete (self->found);
  g_clear_pointer (&self->finder, finder_free);
  for (guint i = 0; i < self->workers->len; i++)
    worker_free (g_ptr_array_index (self->workers, i));
  g_ptr_array_unref (self->workers);
  g_queue_clear (&self->waiting);
  g_queue_clear_full (&self->order, (GDestroyNotify) job_free);
  aio_context_unref (self->context);
  g_free (self);
}
