/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A model checker for the library's own code. A few threads of a few calls each are run in every
 * order that there is.
 *
 * The sources are compiled with the header in shim/ in place of aio-atomic-private.h. Threads are
 * coroutines. Each atomic access, lock and wait hands over to the explorer, which keeps what the
 * thread is about to do and lets any of them go first. The processor is modelled, too: a store
 * that is not an exchange goes into a buffer of its thread, and reaches memory at any later moment,
 * in order (as on x86-64), or overtaking others that are no releases; a locked instruction or a
 * call into the system waits until the buffer is empty. Loads are not reordered.
 *
 * After each step the state of the whole world is hashed: the memory that the threads share, their
 * stacks and registers, their buffers. A state that was met before is not followed again; so loops
 * end, and the search is complete when it returns, for the threads and calls of the case. (A hash
 * has 64 bits: among millions of states two are taken for one with a chance of one to a million.)
 * An address that only one thread ever uses is no reason to stop there: which these are is found
 * out by exploring until no more turn out to be shared. What is no atomic access belongs to the
 * step before it.
 *
 * What it reports: a state in which everybody waits, or has ended, that the case's check refuses
 * (a lost wakeup is one that waits for ever); a broken assertion on the way; a touch of memory that
 * was freed; a crash; a state from which no such end can be reached. */
#pragma once

#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-bh.h>

/* What the shim takes over is taken over in the library, not in the explorer. */
#undef g_free
#undef g_string_free
#undef g_string_new

#define EXPLORE_MAX_THREADS 4

typedef enum
{
  EXPLORE_X86,          /* stores reach memory in order */
  EXPLORE_WEAK          /* one that is no release may overtake others */
} ExploreOrder;

/* A fault that is put into one access of the library: it is named by the function it is in and its
 * first argument, as written. */
typedef enum
{
  EXPLORE_NO_FAULT,
  EXPLORE_NO_FENCE,     /* it does not wait for the buffer: earlier stores may come after it */
  EXPLORE_PLAIN,        /* a load, then a store that goes into the buffer */
  EXPLORE_SKIP,         /* left out, but for the load, if it would change nothing */
  EXPLORE_ANYWAY,       /* a compare-and-swap that stores whatever it finds */
  EXPLORE_EARLY_SWAP,   /* a compare-and-swap that comes before the move of the tail above it */
  EXPLORE_NOTHING       /* a membarrier that is none; a load that reads 0 */
} ExploreFault;

typedef struct
{
  const char *name;
  ExploreFault fault;
  const char *func;
  const char *what;
} ExplorePlant;

typedef struct
{
  const char *name;
  AioContext *(*setup) (void);                  /* makes what the threads work with */
  void (*threads[EXPLORE_MAX_THREADS]) (void);  /* the first one is the home thread */
  void (*handler) (void);                       /* a signal handler: interrupts the first, once */
  void (*check) (void);                         /* in each end: all have ended or wait for ever */
  gboolean counts_runs;                         /* somebody waits for runs: how many makes states */
} ExploreCase;

typedef struct
{
  char *failure;        /* NULL: nothing was found */
  GString *trace;       /* the way there, if it was asked for */
  guint64 n_states;
  guint64 n_steps;
  guint64 n_ends;
} ExploreResult;

void     explore_run       (const ExploreCase  *thing,
                            const ExplorePlant *plant,
                            ExploreOrder        order,
                            gboolean            wants_trace,
                            ExploreResult      *result);
void     explore_clear     (ExploreResult      *result);

/* For the code of a case. */
gpointer explore_new       (gsize       size);
void     explore_keep      (gpointer    p,
                            gsize       size);
guint    explore_choose    (guint       n);
void     explore_pause     (void);
gboolean explore_is_asleep (guint       thread);
void     explore_fail      (const char *format,
                            ...) G_GNUC_PRINTF (1, 2);

#define explore_assert(condition) \
  do { if (!(condition)) explore_fail ("%s: %s", __func__, #condition); } while (0)

/* For explore-parts.c. */
void      explore_drain_all      (void);
int       explore_new_descriptor (void);
guint64  *explore_count          (int fd);
