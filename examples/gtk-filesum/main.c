/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gtk-filesum.h"

#include <locale.h>

int
main (int    argc,
      char **argv)
{
  g_autoptr (FilesumApp) app = NULL;
  int status;

  setlocale (LC_ALL, "");
  app = filesum_app_new ();
  status = g_application_run (G_APPLICATION (app), argc, argv);
  return status != 0 ? status : filesum_app_get_status (app);
}
