/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An I/O thread that works, and a main loop that shows how far it is. */
#include <aioctx-gsource/aioctx-gsource.h>
#include <stdatomic.h>

#define N_SLICES 4

typedef struct
{
  GMainLoop *loop;
  AioBH *next;                  /* in the I/O thread */
  AioBH *progress;              /* in the main loop */
  AioBH *finished;              /* in the main loop */
  atomic_int n_done;            /* read while the I/O thread goes on, hence atomic */
  guint64 sum;                  /* read when it has finished, hence not */
} Job;

/* In the I/O thread: a slice of the work, and then the next one. */
static void
on_next (gpointer data)
{
  Job *job = data;
  int n_done = atomic_load (&job->n_done);

  for (int i = 0; i < 1000; i++)
    job->sum += n_done * 1000 + i;
  atomic_store (&job->n_done, n_done + 1);
  aio_bh_schedule (job->progress);
  aio_bh_schedule (n_done + 1 < N_SLICES ? job->next : job->finished);
}

/* In the main loop. Schedules merge, so this runs up to once for each slice. */
static void
on_progress (gpointer data)
{
  Job *job = data;

  g_print ("%d %%\n", 100 * atomic_load (&job->n_done) / N_SLICES);
}

/* In the main loop, behind the last progress. */
static void
on_finished (gpointer data)
{
  Job *job = data;

  g_print ("the sum is %" G_GUINT64_FORMAT "\n", job->sum);
  g_main_loop_quit (job->loop);
}

int
main (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (AioContext) context = aio_context_new ();
  g_autoptr (AioIOThread) thread = aio_io_thread_new ("worker", &error);
  Job job = { .loop = g_main_loop_new (NULL, FALSE) };

  if (thread == NULL)
    g_error ("%s", error->message);
  aio_context_attach (context, NULL);
  job.next = aio_bh_new (aio_io_thread_get_context (thread), on_next, &job);
  job.progress = aio_bh_new (context, on_progress, &job);
  job.finished = aio_bh_new (context, on_finished, &job);

  aio_bh_schedule (job.next);
  g_main_loop_run (job.loop);

  aio_bh_delete (job.next);
  aio_io_thread_stop (thread);             /* nobody uses the job any more */
  aio_bh_delete (job.progress);
  aio_bh_delete (job.finished);
  aio_context_detach (context);
  g_main_loop_unref (job.loop);
  return 0;
}
