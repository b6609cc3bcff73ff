/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory of bottom halves: two cache lines each. malloc keeps a header in front of each block, so
 * blocks that begin at a cache line lie a line and more apart. Here they lie side by side, in
 * chunks that stay for later ones: a program has about as many bottom halves as it ever had. */
#include <aioctx-gsource/aio-bh-private.h>
#include <aioctx-gsource/aio-fork-private.h>

#include <pthread.h>
#include <string.h>

#define CELLS_PER_CHUNK 64

/* AddressSanitizer is to see each bottom half come and go. */
#ifdef __has_feature
#if __has_feature (address_sanitizer)
#define ONE_BY_ONE 1
#endif
#endif
#if defined (__SANITIZE_ADDRESS__) && !defined (ONE_BY_ONE)
#define ONE_BY_ONE 1
#endif

#ifdef ONE_BY_ONE

AioBH *
aio_bh_alloc (void)
{
  return g_aligned_alloc0 (1, sizeof (AioBH), G_ALIGNOF (AioBH));
}

void
aio_bh_free (AioBH *bh)
{
  g_aligned_free (bh);
}

#else

typedef union _Cell Cell;

union _Cell
{
  AioBH bh;
  Cell *next_free;
};

static pthread_mutex_t cells_lock = PTHREAD_MUTEX_INITIALIZER;
static Cell *free_cells;        /* under the lock */

static void
lock_cells (void)
{
  pthread_mutex_lock (&cells_lock);
}

static void
unlock_cells (void)
{
  pthread_mutex_unlock (&cells_lock);
}

/* The child of a fork() gets the lock free. */
AIO_FORK_HANDLERS (lock_cells, unlock_cells, unlock_cells)

/* The first in memory is the first to be taken. */
static void
add_chunk_locked (void)
{
  Cell *cells = g_aligned_alloc (CELLS_PER_CHUNK, sizeof (Cell), G_ALIGNOF (Cell));

  for (guint i = CELLS_PER_CHUNK; i-- > 0; free_cells = &cells[i])
    cells[i].next_free = free_cells;
}

/* Any thread; not signal safe. All zeros. */
AioBH *
aio_bh_alloc (void)
{
  Cell *cell;

  lock_cells ();
  if (free_cells == NULL)
    add_chunk_locked ();
  cell = free_cells;
  free_cells = cell->next_free;
  unlock_cells ();
  return memset (cell, 0, sizeof (Cell));
}

void
aio_bh_free (AioBH *bh)
{
  Cell *cell = (Cell *) bh;

  lock_cells ();
  cell->next_free = free_cells;
  free_cells = cell;
  unlock_cells ();
}

#endif
