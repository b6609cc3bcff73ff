/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads a list of sums to check, a line at a time: "SUM  NAME" or "SUM *NAME", with a backslash in
 * front if the name is escaped. Empty lines and comments are passed over. */
#include "hasher.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct
{
  Source parent;
  FILE *file;
  gsize digest_length;          /* in hexadecimal digits */
  guint number;                 /* of the line */
  char *line;
  size_t size;                  /* of the buffer that getline() keeps in line */
} List;

/* Without the newline, or the CR and newline of a list that went through DOS. */
static void
strip_line_end (char *line)
{
  gsize length = strlen (line);

  if (length > 0 && line[length - 1] == '\n')
    line[--length] = '\0';
  if (length > 0 && line[length - 1] == '\r')
    line[--length] = '\0';
}

/* Returns NULL when the line is none of a list. */
static Job *
parse_line (const char *line,
            gsize       digest_length)
{
  gboolean escaped = line[0] == '\\';
  const char *digest = escaped ? line + 1 : line;
  gsize length = strspn (digest, "0123456789abcdefABCDEF");
  const char *name = digest + length;
  g_autofree char *path = NULL;
  struct stat st;
  Job *job;

  if (length != digest_length || *name++ != ' ')
    return NULL;
  if (*name == ' ' || *name == '*')
    name++;
  path = escaped ? unescape_name (name) : g_strdup (name);
  if (path == NULL || *path == '\0')
    return NULL;

  job = job_new (path, stat (path, &st) == 0 ? (guint64) st.st_size : 0);
  job->expected = g_strndup (digest, digest_length);
  return job;
}

static gboolean
list_step (Source  *source,
           Job    **job)
{
  List *self = (List *) source;
  gssize length = getline (&self->line, &self->size, self->file);

  if (length < 0 && !ferror (self->file))
    return FALSE;

  self->number++;
  if (length < 0)
    *job = job_new_failed (NULL, errno, NULL);
  else
    {
      strip_line_end (self->line);
      if (*self->line == '\0' || *self->line == '#')
        return TRUE;
      *job = parse_line (self->line, self->digest_length);
      if (*job == NULL)
        *job = job_new_failed (NULL, 0, "improperly formatted checksum line");
    }
  (*job)->line = self->number;
  return length >= 0;
}

static void
list_free (Source *source)
{
  List *self = (List *) source;

  fclose (self->file);
  free (self->line);
  g_free (self);
}

Source *
list_new (const char     *path,
          GChecksumType   algorithm,
          GError        **error)
{
  FILE *file = fopen (path, "re");
  List *self;

  if (file == NULL)
    {
      g_autofree char *printable = printable_name (path);

      g_set_error (error, G_FILE_ERROR, g_file_error_from_errno (errno), "%s: %s", printable,
                   g_strerror (errno));
      return NULL;
    }

  self = g_new0 (List, 1);
  self->parent.step = list_step;
  self->parent.free = list_free;
  self->file = file;
  self->digest_length = 2 * g_checksum_type_get_length (algorithm);
  return &self->parent;
}
