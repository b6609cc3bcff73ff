/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the program that the README begins with. QUICKSTART is the path of it. */
#include "aio-test.h"

static void
test_output (void)
{
  char *argv[] = { (char *) g_getenv ("QUICKSTART"), NULL };
  g_autoptr (GError) error = NULL;
  g_autofree char *out = NULL;
  g_autofree char *err = NULL;
  int status;

  g_test_summary ("C2: what the I/O thread schedules runs in the main loop; C23, C24: nothing "
                  "is left over, so there is no message");

  g_spawn_sync (NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &err, &status, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (out, ==, "working\ndone\n");
  g_assert_cmpstr (err, ==, "");
  g_assert_cmpint (status, ==, 0);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_assert_nonnull (g_getenv ("QUICKSTART"));
  aio_test_add ("/quickstart/output", test_output);
  return g_test_run ();
}
