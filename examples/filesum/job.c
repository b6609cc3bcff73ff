/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hasher.h"

Job *
job_new (const char *path,
         guint64     size)
{
  Job *job = g_new0 (Job, 1);

  job->path = g_strdup (path);
  job->size = size;
  return job;
}

/* A job that failed before it began. It is a job all the same: so its message comes out in its
 * place, between those of its neighbours, whatever thread is the first to know. */
Job *
job_new_failed (const char *path,
                int         error_number,
                const char *problem)
{
  Job *job = job_new (path, 0);

  job->error_number = error_number;
  job->problem = problem;
  job->done = TRUE;
  return job;
}

gboolean
job_has_failed (Job *job)
{
  return job->error_number != 0 || job->problem != NULL;
}

const char *
job_get_problem (Job *job)
{
  return job->problem != NULL ? job->problem : g_strerror (job->error_number);
}

/* The line of a list of sums, as sha256sum prints it; the job must not have failed. */
char *
job_format_sum (Job *job)
{
  gboolean escape = escape_is_needed (job->path);
  g_autofree char *name = escape_name (job->path);

  return g_strdup_printf ("%s%s  %s\n", escape ? "\\" : "", job->digest, name);
}

void
job_free (Job *job)
{
  g_free (job->path);
  g_free (job->expected);
  g_free (job->digest);
  g_free (job);
}
