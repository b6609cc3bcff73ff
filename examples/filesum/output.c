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

/* Standard output may be a full disk, or a pipe that nobody reads any more. */
static void
output_line (Filesum    *self,
             const char *line)
{
  if (self->progress != NULL)
    progress_hide (self->progress, stdout);
  if (fputs (line, stdout) != EOF && fflush (stdout) != EOF)
    return;

  output_message (self, "write error: %s", g_strerror (errno));
  self->broken = TRUE;
  self->status = EXIT_SOME_FAILED;
}

static void
output_sum (Filesum *self,
            Job     *job)
{
  gboolean escape = escape_is_needed (job->path);
  g_autofree char *name = escape_name (job->path);
  g_autofree char *line = g_strdup_printf ("%s%s  %s\n", escape ? "\\" : "", job->digest, name);

  output_line (self, line);
}

/* As sha256sum -c does it: here, other than in a list, only a newline makes it escape the name. */
static void
output_check (Filesum    *self,
              Job        *job,
              const char *verdict)
{
  gboolean escape = strchr (job->path, '\n') != NULL;
  g_autofree char *name = escape ? escape_name (job->path) : g_strdup (job->path);
  g_autofree char *line = g_strdup_printf ("%s%s: %s\n", escape ? "\\" : "", name, verdict);

  output_line (self, line);
}

/* What went wrong and with what: the file, and with --check the line of the list before it. */
static void
output_problem (Filesum    *self,
                Job        *job,
                const char *problem)
{
  GString *text = g_string_new (NULL);

  if (self->options.check != NULL)
    {
      g_autofree char *list = printable_name (self->options.check);

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

static void
output_checked_job (Filesum *self,
                    Job     *job)
{
  if (job->path == NULL)
    {
      self->n_bad_lines++;
      output_problem (self, job, job_get_problem (job));
    }
  else if (job_has_failed (job))
    {
      self->n_unreadable++;
      output_problem (self, job, job_get_problem (job));
      output_check (self, job, "FAILED open or read");
    }
  else if (g_ascii_strcasecmp (job->digest, job->expected) != 0)
    {
      self->n_differ++;
      output_problem (self, job, "computed checksum did NOT match");
      output_check (self, job, "FAILED");
    }
  else
    {
      self->n_matched++;
      output_check (self, job, "OK");
    }
}

void
output_job (Filesum *self,
            Job     *job)
{
  if (self->options.check != NULL)
    output_checked_job (self, job);
  else if (job_has_failed (job))
    output_problem (self, job, job_get_problem (job));
  else
    output_sum (self, job);
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
  g_autofree char *list = printable_name (self->options.check);

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
