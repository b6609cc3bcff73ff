/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Gives a fuzz target what is in the corpus, or the files that are named on the command line. */
#include "fuzz.h"

#include "../aio-test.h"

static const char *corpus;

static void
replay_file (const char *path)
{
  g_autofree char *bytes = NULL;
  g_autoptr (GError) error = NULL;
  gsize n_bytes;

  if (!g_file_get_contents (path, &bytes, &n_bytes, &error))
    g_error ("%s", error->message);
  LLVMFuzzerTestOneInput ((const uint8_t *) bytes, n_bytes);
}

static int
compare_names (gconstpointer a,
               gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* Sorted, so that two runs are the same. */
static GPtrArray *
list_folder (const char *folder)
{
  GPtrArray *paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (folder, 0, &error);
  const char *name;

  g_assert_no_error (error);
  while ((name = g_dir_read_name (dir)) != NULL)
    g_ptr_array_add (paths, g_build_filename (folder, name, NULL));
  g_ptr_array_sort (paths, compare_names);
  return paths;
}

/* An input that fails aborts, and the last line on standard error says which one it was. */
static void
test_corpus (void)
{
  g_autoptr (GPtrArray) paths = list_folder (corpus);

  g_test_summary (fuzz_summary);
  g_assert_cmpuint (paths->len, !=, 0);
  for (guint i = 0; i < paths->len; i++)
    {
      g_test_message ("%s", (const char *) paths->pdata[i]);
      replay_file (paths->pdata[i]);
    }
}

int
main (int    argc,
      char **argv)
{
  g_autofree char *path = NULL;

  if (argc > 1 && argv[1][0] != '-')
    {
      for (int i = 1; i < argc; i++)
        replay_file (argv[i]);
      return 0;
    }
  g_test_init (&argc, &argv, NULL);
  corpus = g_test_build_filename (G_TEST_DIST, "fuzz", "corpus", fuzz_name, NULL);
  path = g_strdup_printf ("/fuzz/%s/corpus", fuzz_name);
  aio_test_add (path, test_corpus);
  return g_test_run ();
}
