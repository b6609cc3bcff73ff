/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A file name may hold any byte but '/' and NUL. In a list of sums, which has one file a line,
 * sha256sum and its kin write three of them as \n, \r and \\, and mark the line with a backslash
 * in front of the sum. */
#include "hasher.h"

#include <string.h>

static const char plain[] = "\n\r\\";
static const char letters[] = "nr\\";

gboolean
escape_is_needed (const char *name)
{
  return strpbrk (name, plain) != NULL;
}

char *
escape_name (const char *name)
{
  GString *escaped = g_string_sized_new (strlen (name) + 8);

  for (; *name != '\0'; name++)
    {
      const char *found = strchr (plain, *name);

      if (found != NULL)
        g_string_append_c (escaped, '\\');
      g_string_append_c (escaped, found != NULL ? letters[found - plain] : *name);
    }
  return g_string_free (escaped, FALSE);
}

/* Returns NULL for what escape_name() never writes. */
char *
unescape_name (const char *name)
{
  g_autoptr (GString) unescaped = g_string_sized_new (strlen (name));

  for (; *name != '\0'; name++)
    {
      const char *found;

      if (*name != '\\')
        {
          g_string_append_c (unescaped, *name);
          continue;
        }
      name++;
      found = strchr (letters, *name);
      if (found == NULL || *found == '\0')
        return NULL;
      g_string_append_c (unescaped, plain[found - letters]);
    }
  return g_string_free (g_steal_pointer (&unescaped), FALSE);
}

/* For messages: a name must not be able to write lines of its own or to steer the terminal.
 * Bytes above ASCII stay, they are letters in most of the world. */
char *
printable_name (const char *name)
{
  char exceptions[0x100 - 0x80 + 1 + 1];
  guint n = 0;

  for (guint byte = 0x80; byte <= 0xff; byte++)
    exceptions[n++] = (char) byte;
  exceptions[n++] = '"';
  exceptions[n] = '\0';
  return g_strescape (name, exceptions);
}
