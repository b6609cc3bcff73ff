/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-func-name-private.h>

#include <dlfcn.h>

/* The symbol, if it is exported; else where it is in which file, which addr2line understands.
 * Interned. Not signal safe. */
const char *
aio_func_name (void (*func) (gpointer))
{
  guintptr address = (guintptr) func;
  Dl_info info = { 0 };
  const char *name;
  char *where;
  char *file;

  if (dladdr ((gpointer) address, &info) == 0 || info.dli_fname == NULL)
    where = g_strdup_printf ("%p", (gpointer) address);
  else if (info.dli_sname != NULL && (guintptr) info.dli_saddr == address)
    where = g_strdup (info.dli_sname);
  else
    {
      file = g_path_get_basename (info.dli_fname);
      where = g_strdup_printf ("%s+0x%" G_GINTPTR_MODIFIER "x", file,
                               address - (guintptr) info.dli_fbase);
      g_free (file);
    }
  name = g_intern_string (where);
  g_free (where);
  return name;
}
