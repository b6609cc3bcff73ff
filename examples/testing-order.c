/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How to find an order bug: the shuffle tries orders that a real run has once in a month. */
#include <aioctx-gsource/testing/aio-testing.h>

/* --- The code under test ---------------------------------------------------------------------- */

/* One thread reads the index of an archive, another one its contents. Each posts to the main loop
 * when it is done. A file can be shown when both are there. */
typedef struct
{
  gboolean flawed;
  gboolean has_index;
  gboolean has_contents;
  guint n_shown;
} Archive;

static void
archive_show (Archive *archive)
{
  if (archive->has_index && archive->has_contents)
    archive->n_shown++;
}

/* The index is small, so "it is always there first": the flawed version relies on that. */
static void
on_index (gpointer data)
{
  Archive *archive = data;

  archive->has_index = TRUE;
  if (!archive->flawed)
    archive_show (archive);
}

static void
on_contents (gpointer data)
{
  Archive *archive = data;

  archive->has_contents = TRUE;
  archive_show (archive);
}

/* --- Its tests -------------------------------------------------------------------------------- */

typedef struct
{
  AioContext *context;
  Archive archive;
} Load;

static void
index_thread (gpointer data)
{
  Load *load = data;

  aio_context_post (load->context, on_index, &load->archive, NULL);
}

static void
contents_thread (gpointer data)
{
  Load *load = data;

  aio_context_post (load->context, on_contents, &load->archive, NULL);
}

/* The threads of the program, one after the other: so the test is the same each time. For the
 * shuffle they are concurrent. */
static guint
load_archive (AioContext *context,
              gboolean    flawed)
{
  Load load = { context, { flawed, FALSE, FALSE, 0 } };

  aio_testing_produce (context, "index", index_thread, &load);
  aio_testing_produce (context, "contents", contents_thread, &load);
  aio_testing_run_until_idle (context, 10);
  return load.archive.n_shown;
}

/* Without the shuffle the bug is there, and no test sees it. */
static void
test_flawed_as_it_comes (AioTestingFixture *fixture,
                         gconstpointer      data)
{
  for (int i = 0; i < 20; i++)
    g_assert_cmpuint (load_archive (fixture->context, TRUE), ==, 1);
}

/* With the shuffle some seeds find it. */
static void
test_flawed_shuffled (AioTestingFixture *fixture,
                      gconstpointer      data)
{
  guint n_found = 0;

  for (guint32 seed = 1; seed <= 20; seed++)
    {
      aio_testing_set_shuffle (fixture->context, seed);
      n_found += load_archive (fixture->context, TRUE) != 1;
    }
  g_assert_cmpuint (n_found, >, 0);
  g_assert_cmpuint (n_found, <, 20);
}

/* This is the test that one writes. The seed is another one each time it runs; when it fails, its
 * output says which --seed brings the failure back. */
static void
test_shuffled (AioTestingFixture *fixture,
               gconstpointer      data)
{
  for (int i = 0; i < 20; i++)
    {
      aio_testing_set_shuffle (fixture->context, g_test_rand_int ());
      g_assert_cmpuint (load_archive (fixture->context, FALSE), ==, 1);
    }
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_testing_add ("/order/flawed/as-it-comes", NULL, test_flawed_as_it_comes);
  aio_testing_add ("/order/flawed/shuffled", NULL, test_flawed_shuffled);
  aio_testing_add ("/order/shuffled", NULL, test_shuffled);
  return g_test_run ();
}
