/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The g_test kit: the order of what several producers schedule. */
#include "testing-test.h"

#define N_SEEDS 200

/* Something that a producer does: schedules these bottom halves. */
typedef struct
{
  AioBH *bhs[3];
} Producer;

static void
schedule_all (gpointer data)
{
  Producer *producer = data;

  for (guint i = 0; i < G_N_ELEMENTS (producer->bhs) && producer->bhs[i] != NULL; i++)
    aio_bh_schedule (producer->bhs[i]);
}

static void *
schedule_all_in_thread (void *data)
{
  schedule_all (data);
  return NULL;
}

static void
run_thread (Producer *producer)
{
  pthread_t thread;

  g_assert_cmpint (pthread_create (&thread, NULL, schedule_all_in_thread, producer), ==, 0);
  pthread_join (thread, NULL);
}

/* Bottom halves that are named by letters. */
typedef struct
{
  Log log;
  Entry entries[6];
  AioBH *bhs[6];
} Letters;

static void
letters_begin (Letters *letters)
{
  static const char *names[] = { "a", "b", "c", "d", "e", "f" };

  log_begin (&letters->log);
  for (guint i = 0; i < G_N_ELEMENTS (letters->bhs); i++)
    {
      letters->entries[i] = (Entry) { &letters->log, names[i] };
      letters->bhs[i] = aio_bh_new_full (letters->log.context, names[i], write_name,
                                         &letters->entries[i], NULL);
    }
}

static void
letters_end (Letters *letters)
{
  for (guint i = 0; i < G_N_ELEMENTS (letters->bhs); i++)
    aio_bh_delete (letters->bhs[i]);
  log_end (&letters->log);
}

static AioBH *
bh (Letters *letters,
    char     name)
{
  return letters->bhs[name - 'a'];
}

/* What has run since the last time. */
static char *
take_order (Letters *letters)
{
  aio_testing_run_until_idle (letters->log.context, 1);
  return g_string_free (g_steal_pointer (&letters->log.log), FALSE);
}

static const char *
run_once (Letters     *letters,
          GHashTable  *seen)
{
  char *order = take_order (letters);

  letters->log.log = g_string_new (NULL);
  g_hash_table_add (seen, order);
  return order;
}

static GHashTable *
seen_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

static void
test_off (void)
{
  GHashTable *seen = seen_new ();
  AioTestingCounters counters;
  Letters letters;

  g_test_summary ("C3: without a seed, and with seed 0, things run as they were scheduled");

  letters_begin (&letters);
  for (int i = 0; i < 20; i++)
    {
      if (i == 10)
        {
          aio_testing_set_shuffle (letters.log.context, 17);
          aio_testing_set_shuffle (letters.log.context, 0);
        }
      run_thread (&(Producer) { { bh (&letters, 'b') } });
      aio_testing_produce (letters.log.context, "x", schedule_all,
                           &(Producer) { { bh (&letters, 'a') } });
      run_thread (&(Producer) { { bh (&letters, 'c') } });
      g_assert_cmpstr (run_once (&letters, seen), ==, "bac");
    }
  aio_testing_get_counters (letters.log.context, &counters, sizeof counters);
  g_assert_cmpuint (counters.reordered, ==, 0);
  g_hash_table_unref (seen);
  letters_end (&letters);
}

static void
test_one_producer (void)
{
  Letters letters;
  GHashTable *seen = seen_new ();

  g_test_summary ("C3: what one thread schedules, and what one declared producer does, stays in "
                  "order with every seed");

  letters_begin (&letters);
  for (guint32 seed = 1; seed <= N_SEEDS; seed++)
    {
      aio_testing_set_shuffle (letters.log.context, seed);
      run_thread (&(Producer) { { bh (&letters, 'c'), bh (&letters, 'a'), bh (&letters, 'b') } });
      g_assert_cmpstr (run_once (&letters, seen), ==, "cab");
      for (int i = 0; i < 3; i++)
        aio_testing_produce (letters.log.context, "p", schedule_all,
                             &(Producer) { { bh (&letters, "cab"[i]) } });
      g_assert_cmpstr (run_once (&letters, seen), ==, "cab");
      schedule_all (&(Producer) { { bh (&letters, 'c'), bh (&letters, 'a'), bh (&letters, 'b') } });
      g_assert_cmpstr (run_once (&letters, seen), ==, "cab");
    }
  g_assert_cmpuint (g_hash_table_size (seen), ==, 1);
  g_hash_table_unref (seen);
  letters_end (&letters);
}

static void
assert_order (const char *order,
              char        first,
              char        second)
{
  g_assert_nonnull (strchr (order, first));
  g_assert_nonnull (strchr (order, second));
  g_assert_true (strchr (order, first) < strchr (order, second));
}

static void
test_two_threads (void)
{
  GHashTable *seen = seen_new ();
  AioTestingCounters counters;
  Letters letters;

  g_test_summary ("C3: of two threads every order comes up in which each of them keeps its own");

  letters_begin (&letters);
  for (guint32 seed = 1; seed <= N_SEEDS; seed++)
    {
      const char *order;

      aio_testing_set_shuffle (letters.log.context, seed);
      run_thread (&(Producer) { { bh (&letters, 'a'), bh (&letters, 'b') } });
      run_thread (&(Producer) { { bh (&letters, 'c'), bh (&letters, 'd') } });
      order = run_once (&letters, seen);
      g_assert_cmpuint (strlen (order), ==, 4);
      assert_order (order, 'a', 'b');
      assert_order (order, 'c', 'd');
    }
  g_assert_cmpuint (g_hash_table_size (seen), ==, 6);
  aio_testing_get_counters (letters.log.context, &counters, sizeof counters);
  g_assert_cmpuint (counters.reordered, >, 0);
  g_assert_cmpuint (counters.reordered, <, N_SEEDS);
  g_hash_table_unref (seen);
  letters_end (&letters);
}

static void
test_home (void)
{
  GHashTable *seen = seen_new ();
  Letters letters;

  g_test_summary ("C3: what the home thread schedules stays between what other threads did before "
                  "and after it: it may have joined and started them");

  letters_begin (&letters);
  for (guint32 seed = 1; seed <= N_SEEDS; seed++)
    {
      aio_testing_set_shuffle (letters.log.context, seed);
      run_thread (&(Producer) { { bh (&letters, 'a') } });
      run_thread (&(Producer) { { bh (&letters, 'b') } });
      aio_bh_schedule (bh (&letters, 'c'));
      run_thread (&(Producer) { { bh (&letters, 'd') } });
      run_thread (&(Producer) { { bh (&letters, 'e') } });
      run_once (&letters, seen);
    }
  g_assert_cmpuint (g_hash_table_size (seen), ==, 4);
  g_assert_true (g_hash_table_contains (seen, "abcde"));
  g_assert_true (g_hash_table_contains (seen, "baced"));
  g_hash_table_unref (seen);
  letters_end (&letters);
}

static void
test_declared (void)
{
  GHashTable *seen = seen_new ();
  Letters letters;

  g_test_summary ("A declared producer is concurrent with the home thread, with other threads and "
                  "with other declared ones");

  letters_begin (&letters);
  for (guint32 seed = 1; seed <= N_SEEDS; seed++)
    {
      aio_testing_set_shuffle (letters.log.context, seed);
      aio_bh_schedule (bh (&letters, 'a'));
      aio_testing_produce (letters.log.context, "p", schedule_all,
                           &(Producer) { { bh (&letters, 'b') } });
      aio_testing_produce (letters.log.context, "q", schedule_all,
                           &(Producer) { { bh (&letters, 'c') } });
      run_once (&letters, seen);
    }
  g_assert_cmpuint (g_hash_table_size (seen), ==, 6);
  g_hash_table_remove_all (seen);

  for (guint32 seed = 1; seed <= N_SEEDS; seed++)
    {
      aio_testing_set_shuffle (letters.log.context, seed);
      run_thread (&(Producer) { { bh (&letters, 'a') } });
      aio_testing_produce (letters.log.context, "p", schedule_all,
                           &(Producer) { { bh (&letters, 'b'), bh (&letters, 'c') } });
      assert_order (run_once (&letters, seen), 'b', 'c');
    }
  g_assert_cmpuint (g_hash_table_size (seen), ==, 3);
  g_hash_table_unref (seen);
  letters_end (&letters);
}

/* What N_SEEDS passes give, with the threads coming in one order or the other. */
static char *
fingerprint (guint32  seed,
             gboolean swapped)
{
  GHashTable *seen = seen_new ();
  GString *all = g_string_new (NULL);
  Letters letters;

  letters_begin (&letters);
  aio_testing_set_shuffle (letters.log.context, seed);
  for (int i = 0; i < N_SEEDS; i++)
    {
      Producer first = { { bh (&letters, 'a'), bh (&letters, 'b') } };
      Producer second = { { bh (&letters, 'c'), bh (&letters, 'd') } };

      run_thread (swapped ? &second : &first);
      run_thread (swapped ? &first : &second);
      g_string_append (all, run_once (&letters, seen));
    }
  g_hash_table_unref (seen);
  letters_end (&letters);
  return g_string_free (all, FALSE);
}

static void
test_same_seed (void)
{
  g_autofree char *one = fingerprint (1, FALSE);
  g_autofree char *again = fingerprint (1, FALSE);
  g_autofree char *swapped = fingerprint (1, TRUE);
  g_autofree char *two = fingerprint (2, FALSE);

  g_test_summary ("A seed means the same order each time, also if the threads come in another one");

  g_assert_cmpstr (one, ==, again);
  g_assert_cmpstr (one, ==, swapped);
  g_assert_cmpstr (one, !=, two);
}

typedef struct
{
  Letters *letters;
  const char *before;
} Nested;

/* Two more producers while a pass is on the stack, then a nested pass. */
static void
nest (gpointer data)
{
  Nested *nested = data;
  Letters *letters = nested->letters;

  g_string_append_c (letters->log.log, '(');
  run_thread (&(Producer) { { bh (letters, 'c') } });
  aio_testing_produce (letters->log.context, "d", schedule_all,
                       &(Producer) { { bh (letters, 'd') } });
  aio_context_poll (letters->log.context, FALSE);
  g_string_append_c (letters->log.log, ')');
}

static void
test_nested (void)
{
  GHashTable *seen = seen_new ();
  Letters letters;
  Nested nested = { &letters, NULL };
  AioBH *nesting;

  g_test_summary ("C13: a nested pass continues the interrupted one first, in its order; only what "
                  "is new is mixed");

  letters_begin (&letters);
  nesting = aio_bh_new (letters.log.context, nest, &nested);
  for (guint32 seed = 1; seed <= N_SEEDS; seed++)
    {
      const char *order;

      aio_testing_set_shuffle (letters.log.context, seed);
      aio_bh_schedule (nesting);
      aio_bh_schedule (bh (&letters, 'e'));
      run_thread (&(Producer) { { bh (&letters, 'a') } });
      run_thread (&(Producer) { { bh (&letters, 'b') } });
      order = run_once (&letters, seen);
      g_assert_true (g_str_has_prefix (order, "(e"));
      assert_order (order, 'a', 'c');
      assert_order (order, 'b', 'c');
      assert_order (order, 'a', 'd');
      assert_order (order, 'd', ')');
      assert_order (order, 'c', ')');
    }
  g_assert_cmpuint (g_hash_table_size (seen), ==, 4);
  aio_bh_delete (nesting);
  g_hash_table_unref (seen);
  letters_end (&letters);
}

static void
delete_it (gpointer data)
{
  aio_bh_delete (data);
}

static void
test_cancelled (void)
{
  GHashTable *seen = seen_new ();
  Letters letters;
  guint n_destroyed = 0;

  g_test_summary ("C6, C7: cancelled ones do not run, deleted ones are destroyed once, wherever "
                  "the shuffle puts them");

  letters_begin (&letters);
  for (guint32 seed = 1; seed <= N_SEEDS; seed++)
    {
      AioBH *doomed = aio_bh_new_full (letters.log.context, "doomed", delete_it, NULL, NULL);
      AioBH *dying = aio_bh_new_full (letters.log.context, "dying", count_run, &n_destroyed,
                                      count_run);

      aio_testing_set_shuffle (letters.log.context, seed);
      run_thread (&(Producer) { { bh (&letters, 'a'), doomed, bh (&letters, 'b') } });
      run_thread (&(Producer) { { dying, bh (&letters, 'c'), bh (&letters, 'd') } });
      aio_bh_cancel (bh (&letters, 'a'));
      aio_bh_delete (doomed);
      aio_bh_delete (dying);
      run_once (&letters, seen);
      g_assert_cmpuint (n_destroyed, ==, seed);
      aio_bh_schedule (bh (&letters, 'a'));
      g_assert_cmpstr (run_once (&letters, seen), ==, "a");
    }
  g_assert_cmpuint (g_hash_table_size (seen), ==, 4);
  g_hash_table_unref (seen);
  letters_end (&letters);
}

static void
post_letter (gpointer data)
{
  Entry *entry = data;

  aio_context_post (entry->log->context, write_name, entry, NULL);
  aio_bh_schedule_oneshot (entry->log->context, write_name, entry);
}

static void
test_posts (void)
{
  GHashTable *seen = seen_new ();
  Letters letters;

  g_test_summary ("C3, C8: posts and one-shots are mixed as bottom halves are");

  letters_begin (&letters);
  for (guint32 seed = 1; seed <= N_SEEDS; seed++)
    {
      aio_testing_set_shuffle (letters.log.context, seed);
      aio_testing_produce (letters.log.context, "p", post_letter, &letters.entries[0]);
      aio_testing_produce (letters.log.context, "q", post_letter, &letters.entries[1]);
      g_assert_cmpuint (strlen (run_once (&letters, seen)), ==, 4);
    }
  g_assert_cmpuint (g_hash_table_size (seen), ==, 6);
  g_hash_table_unref (seen);
  letters_end (&letters);
}

/* --- Threads that do not wait for each other -------------------------------------------------- */

#define N_THREADS 4
#define N_POSTS   500

typedef struct Storm Storm;

typedef struct
{
  Storm *storm;
  guint n_posted;
  guint n_run;
  AioBH *bh;
  gboolean bh_has_run;
} Stormer;

struct Storm
{
  AioContext *context;
  Stormer stormers[N_THREADS];
};

typedef struct
{
  Stormer *stormer;
  guint number;
} Post;

static void
on_post (gpointer data)
{
  Post *post = data;

  g_assert_cmpuint (post->number, ==, post->stormer->n_run);
  post->stormer->n_run++;
}

static void
on_storm_bh (gpointer data)
{
  ((Stormer *) data)->bh_has_run = TRUE;
}

static void *
storm (void *data)
{
  Stormer *stormer = data;

  for (guint i = 0; i < N_POSTS; i++)
    {
      Post *post = g_new (Post, 1);

      *post = (Post) { stormer, i };
      aio_context_post (stormer->storm->context, on_post, post, g_free);
      aio_bh_schedule (stormer->bh);
    }
  return NULL;
}

static gboolean
has_all_run (gpointer data)
{
  Storm *all = data;
  gboolean done = TRUE;

  for (guint i = 0; i < N_THREADS; i++)
    done &= all->stormers[i].n_run == N_POSTS && all->stormers[i].bh_has_run;
  return done;
}

static void
test_storm (void)
{
  Storm all = { aio_testing_context_new (), { { 0 } } };
  pthread_t threads[N_THREADS];

  g_test_summary ("C3: with threads that schedule while the shuffle works nothing is lost, and "
                  "each thread keeps its order");

  aio_testing_set_shuffle (all.context, 4711);
  for (guint i = 0; i < N_THREADS; i++)
    {
      all.stormers[i].storm = &all;
      all.stormers[i].bh = aio_bh_new (all.context, on_storm_bh, &all.stormers[i]);
      g_assert_cmpint (pthread_create (&threads[i], NULL, storm, &all.stormers[i]), ==, 0);
    }
  g_assert_true (aio_testing_run_until (all.context, has_all_run, &all, -1));
  for (guint i = 0; i < N_THREADS; i++)
    pthread_join (threads[i], NULL);
  aio_testing_run_until_idle (all.context, 10);
  for (guint i = 0; i < N_THREADS; i++)
    aio_bh_delete (all.stormers[i].bh);
  end (all.context);
}

/* --- The seed of g_test ----------------------------------------------------------------------- */

/* Prints a random order. */
static void
test_print (void)
{
  g_autofree char *all = NULL;

  g_test_summary ("Run by another case");

  all = fingerprint (g_test_rand_int (), FALSE);
  g_print ("# order: %s\n", all);
}

static char *
run_with_seed (const char *seed)
{
  g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *option = g_strdup_printf ("--seed=%s", seed);
  char *argv[] = { program, option, (char *) "-p", (char *) "/testing/shuffle/print", NULL };
  g_autofree char *out = NULL;
  char *order;
  int status;

  g_assert_true (g_spawn_sync (NULL, argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, NULL, &status,
                               NULL));
  g_assert_cmpint (status, ==, 0);
  g_assert_nonnull (strstr (out, "is shuffled with seed "));
  order = strstr (out, "order: ");
  g_assert_nonnull (order);
  return g_strndup (order, strcspn (order, "\n"));
}

static void
test_seed (void)
{
  g_autofree char *one = NULL, *again = NULL, *other = NULL;

  g_test_summary ("g_test's --seed repeats a shuffle that is seeded with g_test_rand_int (), and "
                  "the seed is printed");

  one = run_with_seed ("R02S00000000000000000000000000000001");
  again = run_with_seed ("R02S00000000000000000000000000000001");
  other = run_with_seed ("R02S00000000000000000000000000000002");
  g_assert_cmpstr (one, ==, again);
  g_assert_cmpstr (one, !=, other);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  aio_test_add ("/testing/shuffle/off", test_off);
  aio_test_add ("/testing/shuffle/one-producer", test_one_producer);
  aio_test_add ("/testing/shuffle/two-threads", test_two_threads);
  aio_test_add ("/testing/shuffle/home", test_home);
  aio_test_add ("/testing/shuffle/declared", test_declared);
  aio_test_add ("/testing/shuffle/same-seed", test_same_seed);
  aio_test_add ("/testing/shuffle/nested", test_nested);
  aio_test_add ("/testing/shuffle/cancelled", test_cancelled);
  aio_test_add ("/testing/shuffle/posts", test_posts);
  aio_test_add ("/testing/shuffle/storm", test_storm);
  aio_test_add ("/testing/shuffle/print", test_print);
  aio_test_add ("/testing/shuffle/seed", test_seed);
  return g_test_run ();
}
