/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's Error is a GError here. */
#include "aio-qemu-private.h"

#include <stdlib.h>

Error *aio_qemu_error_abort;
Error *aio_qemu_error_fatal;

/* Takes the error. */
void
aio_qemu_error_take (Error  **errp,
                     GError  *error)
{
  if (errp == &aio_qemu_error_abort)
    g_error ("Unexpected error: %s", error->message);
  if (errp == &aio_qemu_error_fatal)
    {
      g_printerr ("%s\n", error->message);
      exit (EXIT_FAILURE);
    }
  if (errp != NULL && *errp == NULL)
    *errp = (Error *) error;
  else
    g_error_free (error);
}

void
aio_qemu_error_set (Error      **errp,
                    const char  *format,
                    ...)
{
  GError *error;
  va_list args;

  va_start (args, format);
  error = g_error_new_valist (G_IO_ERROR, G_IO_ERROR_FAILED, format, args);
  va_end (args);
  aio_qemu_error_take (errp, error);
}

void
aio_qemu_error_propagate (Error **errp,
                          Error  *error)
{
  if (error != NULL)
    aio_qemu_error_take (errp, (GError *) error);
}

const char *
aio_qemu_error_get_pretty (const Error *error)
{
  return ((const GError *) error)->message;
}

void
aio_qemu_error_free (Error *error)
{
  if (error != NULL)
    g_error_free ((GError *) error);
}

void
aio_qemu_error_report (Error *error)
{
  g_printerr ("%s\n", aio_qemu_error_get_pretty (error));
  aio_qemu_error_free (error);
}
