/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets everything up, runs the main loop, and takes everything down again. */
#include "filesum.h"

#include <locale.h>
#include <signal.h>

/* A signal handler gets no data, so this has to be global. */
static AioBH *interrupt;

/* All that a signal handler may do is what is signal safe, and that is next to nothing: no malloc,
 * no lock, no printf. To schedule a bottom half is. The work is then done by interrupted(), in the
 * main loop, where everything is allowed. */
static void
on_sigint (int signum)
{
  aio_bh_schedule (interrupt);
}

static void
interrupted (gpointer data)
{
  Filesum *self = data;

  self->interrupted = TRUE;
  g_main_loop_quit (self->loop);
}

/* SA_RESETHAND: the next Ctrl-C finds no handler and ends the program as it always did. */
static void
catch_sigint (Filesum *self)
{
  struct sigaction action = { .sa_handler = on_sigint, .sa_flags = SA_RESTART | SA_RESETHAND };

  interrupt = self->interrupt;
  sigemptyset (&action.sa_mask);
  sigaction (SIGINT, &action, NULL);
}

static gboolean
on_job_done (gpointer  data,
             Job      *job)
{
  return output_job (data, job);
}

static void
on_counted (gpointer data,
            guint64  files,
            guint64  bytes)
{
  Filesum *self = data;

  progress_set_total (self->progress, files, bytes);
}

static void
on_finished (gpointer data)
{
  Filesum *self = data;

  g_main_loop_quit (self->loop);
}

/* In the thread of a worker. */
static void
on_ticked (gpointer data)
{
  Filesum *self = data;

  if (self->progress != NULL)
    progress_tick (self->progress);
}

static const HasherEvents events = { on_job_done, on_counted, on_finished, on_ticked };

/* One AioContext, attached to a plain GMainLoop: from here on it runs with everything else that a
 * GLib program has in its main loop. */
static gboolean
filesum_init (Filesum  *self,
              GError  **error)
{
  self->context = aio_context_new_full ("main", error);
  if (self->context == NULL)
    return FALSE;
  aio_context_attach (self->context, NULL);
  self->loop = g_main_loop_new (NULL, FALSE);

  self->interrupt = aio_bh_new (self->context, interrupted, self);
  if (self->options.progress)
    self->progress = progress_new (self);
  self->hasher = hasher_new (self->context, &self->options.work, &events, self, error);
  return self->hasher != NULL;
}

/* The threads stop, each within one block. What they had sent us by then is still on its way, and
 * one last look at the context takes delivery of it. */
static void
filesum_stop (Filesum *self)
{
  hasher_stop (self->hasher);
  hasher_join (self->hasher);
  while (aio_context_poll (self->context, FALSE))
    ;
}

static void
add_stats (AioContextStats *sum,
           AioContext      *context)
{
  AioContextStats stats;

  aio_context_get_stats (context, &stats, sizeof stats);
  sum->runs += stats.runs;
  sum->wakeups_sent += stats.wakeups_sent;
}

static void
filesum_print_stats (Filesum *self)
{
  AioContextStats sum = { 0 };

  add_stats (&sum, self->context);
  add_stats (&sum, finder_get_context (self->hasher->finder));
  for (guint i = 0; i < self->hasher->workers->len; i++)
    add_stats (&sum, worker_get_context (g_ptr_array_index (self->hasher->workers, i)));

  output_message (self,
                  "%" G_GUINT64_FORMAT " files, %" G_GUINT64_FORMAT " bytes, "
                  "%" G_GUINT64_FORMAT " bottom halves run, %" G_GUINT64_FORMAT " wakeups sent",
                  self->hasher->files, self->hasher->bytes, sum.runs, sum.wakeups_sent);
}

/* The last words, when all the work is done or Ctrl-C was pressed. */
static void
filesum_conclude (Filesum *self)
{
  if (self->progress != NULL)
    progress_finish (self->progress);
  if (self->interrupted)
    output_message (self, "interrupted");
  else if (self->options.work.check != NULL)
    output_verdict (self);
  if (self->options.stats)
    filesum_print_stats (self);
}

/* Whoever makes a bottom half deletes it before its context goes: else the library complains, and
 * names it. The signal handler goes first. No other thread is left that could still be in it. */
static void
filesum_clear (Filesum *self)
{
  signal (SIGINT, SIG_DFL);
  g_clear_pointer (&self->interrupt, aio_bh_delete);
  g_clear_pointer (&self->progress, progress_free);
  g_clear_pointer (&self->hasher, hasher_free);

  if (self->context == NULL)
    return;
  aio_context_detach (self->context);
  aio_context_unref (self->context);
  g_main_loop_unref (self->loop);
}

static ExitStatus
filesum_run (Filesum  *self,
             GError  **error)
{
  ExitStatus status = EXIT_SOME_FAILED;

  if (filesum_init (self, error))
    {
      catch_sigint (self);
      hasher_start (self->hasher);
      g_main_loop_run (self->loop);
      filesum_stop (self);
      filesum_conclude (self);
      status = self->interrupted ? EXIT_INTERRUPTED : self->status;
    }
  filesum_clear (self);
  return status;
}

int
main (int    argc,
      char **argv)
{
  Filesum filesum = { .status = EXIT_OK };
  g_autoptr (GError) error = NULL;
  ExitStatus status = EXIT_OK;

  setlocale (LC_ALL, "");

  if (!options_parse (&filesum.options, argv, &error))
    status = EXIT_USAGE;
  else if (filesum.options.version)
    g_print ("filesum (aioctx-gsource) %s\n", AIO_VERSION_S);
  else
    status = filesum_run (&filesum, &error);

  if (error != NULL)
    g_printerr ("filesum: %s\n", error->message);
  if (status == EXIT_USAGE)
    g_printerr ("Try 'filesum --help'.\n");
  options_clear (&filesum.options);
  return status;
}
