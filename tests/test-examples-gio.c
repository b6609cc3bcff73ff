/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The example of GIO prints what its page says. */
#include <gio/gio.h>

static void
test_gio (void)
{
  const char *argv[] = { g_getenv ("GIO_EXAMPLE"), NULL };
  g_autofree char *output = NULL;
  GError *error = NULL;
  int status;

  g_test_summary ("C29, C32, C33: the example, in which all of it is used");
  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, 0, NULL, NULL, &output, NULL, &status,
                               &error));
  g_assert_no_error (error);
  g_assert_true (g_spawn_check_wait_status (status, NULL));
  g_assert_cmpstr (output, ==,
                   "hello object\n"
                   "scheduled still: no\n"
                   "pending after the cancel: no\n"
                   "2 words\n"
                   "the socket says: 5 words\n");
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/examples/gio", test_gio);
  return g_test_run ();
}
