/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the program says: sums and verdicts on standard output, as sha256sum writes them, and all
 * else on standard error. */
#include "filesum.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

/* Says it on standard error, above the progress bar. */
void
output_message (Filesum    *self,
                const char *format,
                ...)
{
  va_list args;

  if (self->progress != NULL)
    progress_hide (self->progress, stderr);
  fputs ("filesum: ", stderr);
  va_start (args, format);
  vfprintf (stderr, format, args);
  va_end (args);
  fputc ('\n', stderr);
}

/* Standard output may be a full disk, or a pipe that nobody reads any more. FALSE then. */
static gboolean
output_line (Filesum    *self,
             const char *line)
{
  if (self->progress != NULL)
    progress_hide (self->progress, stdout);
  if (fputs (line, stdout) != EOF && fflush (stdout) != EOF)
    return TRUE;

  output_message (self, "write error: %s", g_strerror (errno));
  self->status = EXIT_SOME_FAILED;
  return FALSE;
}

static gboolean
output_sum (Filesum *self,
            Job     *job)
{
  g_autofree char *line = job_format_sum (job);

  return output_line (self, line);
}

/* As sha256sum -c does it: here, other than in a list, only a newline makes it escape the name. */
static gboolean
output_check (Filesum    *self,
              Job        *job,
              const char *verdict)
{
  gboolean escape = strchr (job->path, '\n') != NULL;
  g_autofree char *name = escape ? escape_name (job->path) : g_strdup (job->path);
  g_autofree char *line = g_strdup_printf ("%s%s: %s\n", escape ? "\\" : "", name, verdict);

  return output_line (self, line);
}

/* What went wrong and with what: the file, and with --check the line of the list before it. */
static void
output_problem (Filesum    *self,
                Job        *job,
                const char *problem)
{
  GString *text = g_string_new (NULL);

  if (self->options.work.check != NULL)
    {
      g_autofree char *list = printable_name (self->options.work.check);

      g_string_append_printf (text, "%s:%u: ", list, job->line);
    }
  if (job->path != NULL)
    {
      g_autofree char *name = printable_name (job->path);

      g_string_append_printf (text, "%s: ", name);
    }
  output_message (self, "%s%s", text->str, problem);
  g_string_free (text, TRUE);
  self->status = EXIT_SOME_FAILED;
}

static gboolean
output_checked_job (Filesum *self,
                    Job     *job)
{
  if (job->path == NULL)
    {
      self->n_bad_lines++;
      output_problem (self, job, job_get_problem (job));
      return TRUE;
    }
  if (job_has_failed (job))
    {
      self->n_unreadable++;
      output_problem (self, job, job_get_problem (job));
      return output_check (self, job, "FAILED open or read");
    }
  if (g_ascii_strcasecmp (job->digest, job->expected) != 0)
    {
      self->n_differ++;
      output_problem (self, job, "computed checksum did NOT match");
      return output_check (self, job, "FAILED");
    }
  self->n_matched++;
  return output_check (self, job, "OK");
}

/* FALSE: there is no point in going on. */
gboolean
output_job (Filesum *self,
            Job     *job)
{
  if (self->options.work.check != NULL)
    return output_checked_job (self, job);
  if (!job_has_failed (job))
    return output_sum (self, job);
  output_problem (self, job, job_get_problem (job));
  return TRUE;
}

static void
output_warning (Filesum    *self,
                guint64     n,
                const char *one,
                const char *many)
{
  if (n > 0)
    output_message (self, "WARNING: %" G_GUINT64_FORMAT " %s", n, n == 1 ? one : many);
}

/* What --check says at the end. */
void
output_verdict (Filesum *self)
{
  guint64 n_good_lines = self->n_matched + self->n_differ + self->n_unreadable;
  g_autofree char *list = printable_name (self->options.work.check);

  if (n_good_lines == 0)
    {
      output_message (self, "%s: no properly formatted %s checksum lines found", list,
                      self->options.algorithm_name);
      self->status = EXIT_SOME_FAILED;
      return;
    }
  output_warning (self, self->n_bad_lines, "line is improperly formatted",
                  "lines are improperly formatted");
  output_warning (self, self->n_unreadable, "listed file could not be read",
                  "listed files could not be read");
  output_warning (self, self->n_differ, "computed checksum did NOT match",
                  "computed checksums did NOT match");
}
