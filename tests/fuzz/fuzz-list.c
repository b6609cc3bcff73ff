/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fuzz target for what filesum --check reads: a list of sums that anybody may have written. Each
 * line is compared with what a simple reader makes of it. */
#include "fuzz.h"

#include "../../examples/filesum/hasher.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define DIGITS 64

/* The name on a line, NULL if the line is none of a list. Lines end at a NUL as C strings do. */
static char *
name_on_line (const char *line)
{
  gboolean escaped = *line == '\\';
  g_autoptr (GString) name = g_string_new (NULL);
  const char *digest = line + escaped;
  guint n = 0;

  while (g_ascii_isxdigit (digest[n]))
    n++;
  if (n != DIGITS || digest[n] != ' ')
    return NULL;
  line = digest + n + 1;
  if (*line == ' ' || *line == '*')
    line++;
  for (; *line != '\0'; line++)
    {
      if (!escaped || *line != '\\')
        g_string_append_c (name, *line);
      else if (*++line == 'n' || *line == 'r' || *line == '\\')
        g_string_append_c (name, *line == 'n' ? '\n' : *line == 'r' ? '\r' : '\\');
      else
        return NULL;
    }
  return name->len != 0 ? g_string_free (g_steal_pointer (&name), FALSE) : NULL;
}

/* What is written of a name can be read again, on one line, and leaves the terminal alone. */
static void
check_name (const char *name)
{
  g_autofree char *escaped = escape_name (name);
  g_autofree char *back = unescape_name (escaped);
  g_autofree char *printable = printable_name (name);

  g_assert_cmpstr (back, ==, name);
  g_assert_null (strpbrk (escaped, "\n\r"));
  g_assert_cmpint (escape_is_needed (name), ==, strcmp (escaped, name) != 0);
  for (const char *c = printable; *c != '\0'; c++)
    g_assert_false (g_ascii_iscntrl (*c));
}

static void
check_job (Job        *job,
           const char *line)
{
  g_autofree char *name = name_on_line (line);

  g_assert_cmpstr (job->path, ==, name);
  g_assert_cmpint (job_has_failed (job), ==, name == NULL);
  if (name == NULL)
    {
      g_assert_cmpstr (job_get_problem (job), ==, "improperly formatted checksum line");
      return;
    }
  g_assert_cmpuint (strlen (job->expected), ==, DIGITS);
  g_assert_true (strncmp (job->expected, line + (*line == '\\'), DIGITS) == 0);
  check_name (job->path);
}

static char *
next_line (const char **bytes,
           const char  *end)
{
  const char *newline = memchr (*bytes, '\n', end - *bytes);
  gsize length = (newline != NULL ? newline : end) - *bytes;
  char *line = g_strndup (*bytes, length);

  *bytes += length + (newline != NULL);
  length = strlen (line);
  if (length > 0 && line[length - 1] == '\r')
    line[length - 1] = '\0';
  return line;
}

static void
check_list (Source     *source,
            const char *bytes,
            const char *end)
{
  guint number = 0;

  while (bytes < end)
    {
      g_autofree char *line = next_line (&bytes, end);
      Job *job = NULL;

      number++;
      g_assert_true (source->step (source, &job));
      g_assert_cmpint (job == NULL, ==, *line == '\0' || *line == '#');
      if (job == NULL)
        continue;
      g_assert_cmpuint (job->line, ==, number);
      check_job (job, line);
      job_free (job);
    }
}

const char fuzz_name[] = "list";
const char fuzz_summary[] =
  "filesum --check reads what the fuzzer has made up as a simple reader does";

int
LLVMFuzzerTestOneInput (const uint8_t *bytes,
                        size_t         n_bytes)
{
  int fd = memfd_create ("list", MFD_CLOEXEC);
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  g_autoptr (GError) error = NULL;
  Job *job = NULL;
  Source *source;

  g_assert_cmpint (write (fd, bytes, n_bytes), ==, n_bytes);
  source = list_new (path, G_CHECKSUM_SHA256, &error);
  g_assert_no_error (error);
  check_list (source, (const char *) bytes, (const char *) bytes + n_bytes);
  g_assert_false (source->step (source, &job));
  g_assert_null (job);
  source->free (source);
  close (fd);
  return 0;
}
