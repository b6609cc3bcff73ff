/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Producers, and the order among what they schedule.
 *
 * The contract promises an order between two schedules only if one happens before the other. The
 * shuffle takes any other order for possible, and looks at entries as follows:
 *
 *   - those of one producer, that is of one thread, stay in order;
 *   - those of the home thread stay in their place among those of other threads: it may have joined
 *     or started these, or passed them something, which orders them;
 *   - those of declared producers may come anywhere. */
#include <aioctx-gsource/aio-bh-watch-private.h>

#include <string.h>

/* Only so many of the oldest entries are considered for each place. */
#define WINDOW 256

/* Sebastiano Vigna's splitmix64, public domain: the same numbers for a seed on all systems. */
static guint64
next_random (AioShuffle *shuffle)
{
  guint64 z = shuffle->random += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);

  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* What stands before an entry, of what has not got its place yet. */
typedef struct
{
  guint64 self;                 /* the home thread */
  GArray *producers;            /* ids */
  gboolean home;
  gboolean others;              /* threads */
} Before;

static gboolean
contains (GArray  *producers,
          guint64  id)
{
  for (guint i = 0; i < producers->len; i++)
    if (g_array_index (producers, guint64, i) == id)
      return TRUE;
  return FALSE;
}

/* May the entry come before all those? Adds it to them. */
static gboolean
may_be_next (Before  *before,
             guint64  producer)
{
  gboolean is_home = producer == before->self;
  gboolean known = contains (before->producers, producer);
  gboolean ordered = known;

  if (!(producer & AIO_TEST_DECLARED))
    {
      ordered |= before->home || (is_home && before->others);
      before->home |= is_home;
      before->others |= !is_home;
    }
  if (!known)
    g_array_append_val (before->producers, producer);
  return !ordered;
}

typedef struct
{
  const char *name;
  guint index;
} Candidate;

/* By name: threads push in an order that differs from run to run, and a seed has to mean the same
 * whatever that was. */
static int
compare_candidates (gconstpointer a,
                    gconstpointer b)
{
  const Candidate *first = a;
  const Candidate *second = b;
  int order = g_strcmp0 (first->name, second->name);

  return order != 0 ? order : (int) first->index - (int) second->index;
}

static void
find_candidates (AioTestEntry *todo,
                 guint         n,
                 Before       *before,
                 GArray       *candidates)
{
  g_array_set_size (candidates, 0);
  g_array_set_size (before->producers, 0);
  before->home = before->others = FALSE;
  for (guint i = 0; i < MIN (n, WINDOW); i++)
    if (may_be_next (before, todo[i].producer))
      {
        Candidate candidate = { todo[i].name, i };

        g_array_append_val (candidates, candidate);
      }
  g_array_sort (candidates, compare_candidates);
}

/* Fills one place after the other with any of those that may come next. */
static void
arrange (gpointer      data,
         AioTestEntry *entries,
         guint         n)
{
  AioShuffle *shuffle = data;
  Before before = { aio_home_self (), g_array_new (FALSE, FALSE, sizeof (guint64)), FALSE,
                    FALSE };
  GArray *candidates = g_array_new (FALSE, FALSE, sizeof (Candidate));
  AioTestEntry *place = entries;
  gboolean reordered = FALSE;

  for (guint left = n; left > 1; left--, place++)
    {
      AioTestEntry chosen;
      guint index;

      find_candidates (place, left, &before, candidates);
      index = g_array_index (candidates, Candidate, next_random (shuffle) % candidates->len).index;
      chosen = place[index];
      memmove (place + 1, place, index * sizeof *place);
      *place = chosen;
      reordered |= index != 0;
    }
  shuffle->n_reordered += reordered;
  g_array_unref (before.producers);
  g_array_unref (candidates);
}

/* Home thread. 0: entries run in the order of their pushes. */
void
aio_bh_set_shuffle (AioBHSet *set,
                    guint32   seed)
{
  AioBHWatch *watch = set->watch;

  watch->shuffle.random = seed;
  watch->arrange = seed != 0 ? arrange : NULL;
  watch->arrange_data = &watch->shuffle;
}
