/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See explore.h. The explorer itself is one thread; everything here may be as plain as it gets. */
#include "explore.h"

#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <ucontext.h>

#define ARENA_SIZE  16384
#define STACK_SIZE  32768
#define MAX_BLOCKS  32
#define MAX_REGIONS 4
#define MAX_PUSHED  16
#define MAX_STEPS   64
#define BUFFER_SIZE 16
#define NO_HANDLER  EXPLORE_MAX_THREADS
#define ENOUGH_HOLES 4
#define WIPED       4096
#define MAX_LOCAL   100000      /* accesses in a row that nobody else can see */

typedef enum
{
  OP_NONE,
  OP_LOAD,
  OP_EXCHANGE,
  OP_ADD,
  OP_SWAP_IF,
  OP_LOCK,
  OP_UNLOCK,
  OP_WAIT,              /* unlocks, and waits to be told */
  OP_TOLD,
  OP_TELL,
  OP_SLEEP,
  OP_CHOOSE,
  OP_PAUSE,
  OP_BARRIER,
} OpKind;

static const char *const op_names[] = {
  "-", "load", "exchange", "add", "compare-and-swap", "lock", "unlock", "wait", "go on", "tell",
  "sleep", "choose", "pause", "membarrier",
};

/* What a thread is about to do. */
typedef struct
{
  OpKind kind;
  guint size;
  void *p;
  guint64 value;
  guint64 expected;
  void *mutex;
  guint may_go;         /* OP_TOLD: was told; OP_SLEEP: a timeout, or a signal */
  guint no_fence;
  const char *func;
  const char *what;
} Op;

typedef struct
{
  jmp_buf jump;
  char *sp;
  Op op;
  guint64 result;
  guint done;
  guint unused;
} Thread;

typedef struct
{
  void *p;
  guint64 value;
  guint size;
  guint release;
} Store;

typedef struct
{
  Store stores[BUFFER_SIZE];
  gsize n;
} Buffer;

typedef struct
{
  gsize begin;
  gsize end;
  gsize freed;
} Block;

/* The whole world, together with the stacks. */
typedef struct
{
  Thread threads[EXPLORE_MAX_THREADS];
  Buffer buffers[EXPLORE_MAX_THREADS];
  Block blocks[MAX_BLOCKS];
  gsize n_blocks;
  gsize used;
  AioNode *tail;        /* as it was when a thread went on */
  AioNode *pushed[MAX_PUSHED];  /* since the tail was seen last, oldest first */
  gsize n_pushed;
  _Alignas (64) char arena[ARENA_SIZE];
} Machine;

typedef struct
{
  void *p;
  gsize size;
} Region;

/* One step: a thread does what it is about to do, or a store leaves a buffer. */
typedef struct
{
  guint8 flush;
  guint8 who;
  guint8 which;         /* choice, or place in the buffer */
} Step;

/* A state on the way from the beginning. */
typedef struct
{
  char *copy;
  guint id;
  guint n;
  guint next;
  Step steps[MAX_STEPS];
} Frame;

static Machine machine;
static _Alignas (64) char stacks[EXPLORE_MAX_THREADS][STACK_SIZE];
static Region regions[MAX_REGIONS];
static guint n_regions;

static const ExploreCase *now_case;
static AioContext *explored;            /* the one context that there is */
static const ExplorePlant *now_plant;
static ExploreOrder now_order;
static guint n_threads, handler_index;
static int current = -1;                /* the thread that runs; -1: the explorer */
static char *failure;
static guint n_local;

/* Which threads use an address of the arena; grows from one search to the next. */
static guint8 users[ARENA_SIZE];
static gboolean more_shared;

static jmp_buf scheduler;
static sigjmp_buf crashed;
static volatile sig_atomic_t catches_crashes;

/* --- The side of the threads ------------------------------------------------------------------ */

static char *
stack_pointer (void)
{
  char *sp;

#if defined (__x86_64__)
  __asm__ ("mov %%rsp, %0" : "=r" (sp));
#elif defined (__aarch64__)
  __asm__ ("mov %0, sp" : "=r" (sp));
#else
  sp = (char *) __builtin_frame_address (0) - 256;
#endif
  return sp;
}

static void G_GNUC_NO_INLINE
suspend (void)
{
  Thread *thread = &machine.threads[current];

  thread->sp = stack_pointer ();
  if (_setjmp (thread->jump) == 0)
    _longjmp (scheduler, 1);
}

static guint64
request (const Op *op)
{
  Thread *thread = &machine.threads[current];
  guint64 result;

  thread->op = *op;
  suspend ();
  thread = &machine.threads[current];
  result = thread->result;
  thread->result = 0;
  return result;
}

void
explore_fail (const char *format,
              ...)
{
  va_list args;

  va_start (args, format);
  if (failure == NULL)
    failure = g_strdup_vprintf (format, args);
  va_end (args);
  if (current >= 0)
    {
      machine.threads[current].done = TRUE;
      suspend ();
    }
}

static gboolean
is_in_arena (const volatile void *p)
{
  return (const char *) p >= machine.arena && (const char *) p < machine.arena + ARENA_SIZE;
}

static void
check_alive (const volatile void *p,
             const char          *func,
             const char          *what)
{
  gsize offset = (const char *) p - machine.arena;

  for (gsize i = 0; i < machine.n_blocks; i++)
    if (machine.blocks[i].freed && offset >= machine.blocks[i].begin &&
        offset < machine.blocks[i].end)
      explore_fail ("%s: %s was freed", func, what);
}

/* Does anybody else use it? Then the others get a chance before it is used. */
static gboolean
is_shared (const volatile void *p,
           const char          *func,
           const char          *what)
{
  guint8 *mask;
  guint8 before;

  if (current < 0 || !is_in_arena (p))
    return FALSE;
  check_alive (p, func, what);
  mask = &users[(const char *) p - machine.arena];
  before = *mask;
  *mask |= 1u << current;
  if (*mask != before && before != 0 && (before & (before - 1)) == 0)
    more_shared = TRUE;
  if (++n_local > MAX_LOCAL)
    explore_fail ("%s: goes round for ever", func);
  return (*mask & (*mask - 1)) != 0;
}

static ExploreFault
fault_at (const char *func,
          const char *what)
{
  if (now_plant == NULL || current < 0 || strcmp (now_plant->func, func) != 0 ||
      strcmp (now_plant->what, what) != 0)
    return EXPLORE_NO_FAULT;
  return now_plant->fault;
}

static Buffer *
buffer_of (int thread)
{
  return &machine.buffers[thread == (int) handler_index ? 0 : thread];
}

static guint64
read_memory (const volatile void *p,
             gsize                size)
{
  guint64 value = 0;

  memcpy (&value, (const void *) p, size);
  return value;
}

static void
write_memory (volatile void *p,
              gsize          size,
              guint64        value)
{
  memcpy ((void *) p, &value, size);
}

/* A thread sees its own stores at once. */
static Store *
find_store (Buffer              *buffer,
            const volatile void *p)
{
  for (gsize i = buffer->n; i > 0; i--)
    if (buffer->stores[i - 1].p == p)
      return &buffer->stores[i - 1];
  return NULL;
}

guint64
explore_load (const volatile void *p,
              gsize                size,
              const char          *func,
              const char          *what)
{
  Store *store;

  if (fault_at (func, what) == EXPLORE_NOTHING)
    return 0;
  if (!is_shared (p, func, what))
    return read_memory (p, size);
  store = find_store (buffer_of (current), p);
  if (store != NULL)
    return store->value;
  return request (&(Op) { .kind = OP_LOAD, .size = size, .p = (void *) p, .func = func,
                          .what = what });
}

void
explore_store (volatile void *p,
               gsize          size,
               guint64        value,
               gboolean       release,
               const char    *func,
               const char    *what)
{
  Buffer *buffer;

  if (!now_case->counts_runs && strcmp (func, "aio_run_end") == 0)
    value = AIO_RUN_DEPTH (value);
  if (!is_shared (p, func, what))
    {
      write_memory (p, size, value);
      return;
    }
  buffer = buffer_of (current);
  if (buffer->n == BUFFER_SIZE)
    explore_fail ("%s: the store buffer is full", func);
  buffer->stores[buffer->n++] = (Store) { (void *) p, value, size, release };
}

static guint64
modify (OpKind         kind,
        volatile void *p,
        gsize          size,
        guint64        value,
        guint64        expected,
        const char    *func,
        const char    *what)
{
  ExploreFault fault = fault_at (func, what);
  Op op = { .kind = kind, .size = size, .p = (void *) p, .value = value, .expected = expected,
            .no_fence = fault == EXPLORE_NO_FENCE, .func = func, .what = what };
  guint64 old;

  if (fault == EXPLORE_PLAIN || fault == EXPLORE_SKIP)
    {
      old = explore_load (p, size, func, what);
      if (fault == EXPLORE_SKIP && old == value)
        return old;
      if (fault == EXPLORE_PLAIN)
        explore_store (p, size, kind == OP_ADD ? old + value : value, FALSE, func, what);
      if (fault == EXPLORE_PLAIN)
        return old;
    }
  if (is_shared (p, func, what))
    return request (&op);
  old = read_memory (p, size);
  if (kind != OP_SWAP_IF || old == expected)
    write_memory (p, size, kind == OP_ADD ? old + value : value);
  return old;
}

guint64
explore_exchange (volatile void *p,
                  gsize          size,
                  guint64        value,
                  const char    *func,
                  const char    *what)
{
  return modify (OP_EXCHANGE, p, size, value, 0, func, what);
}

guint64
explore_add (volatile void *p,
             gsize          size,
             guint64        value,
             const char    *func,
             const char    *what)
{
  /* Statistics, see aio_count(). */
  if (strcmp (what, "&notify->writes") == 0)
    return 0;
  return modify (OP_ADD, p, size, value, 0, func, what);
}

static AioNode **
queue_tail (void)
{
  return &explored->bhs.queue.tail;
}

gboolean
explore_swap_if (volatile void *p,
                 gsize          size,
                 void          *expected,
                 guint64        value,
                 const char    *func,
                 const char    *what)
{
  ExploreFault fault = fault_at (func, what);
  AioNode *moved = *queue_tail ();
  guint64 wanted = read_memory (expected, size);
  guint64 old;

  if (fault == EXPLORE_EARLY_SWAP)
    *queue_tail () = machine.tail;
  old = modify (fault == EXPLORE_ANYWAY ? OP_EXCHANGE : OP_SWAP_IF, p, size, value, wanted, func,
                what);
  if (fault == EXPLORE_EARLY_SWAP && old == wanted)
    {
      explore_pause ();
      *queue_tail () = moved;
    }
  if (old == wanted)
    return TRUE;
  write_memory (expected, size, old);
  return FALSE;
}

int
explore_lock (pthread_mutex_t *mutex)
{
  if (is_shared (mutex, "lock", "mutex"))
    request (&(Op) { .kind = OP_LOCK, .size = 4, .p = mutex, .func = "lock", .what = "mutex" });
  return 0;
}

int
explore_unlock (pthread_mutex_t *mutex)
{
  if (is_shared (mutex, "unlock", "mutex"))
    request (&(Op) { .kind = OP_UNLOCK, .size = 4, .p = mutex, .func = "unlock",
                     .what = "mutex" });
  return 0;
}

int
explore_wait (pthread_cond_t  *cond,
              pthread_mutex_t *mutex)
{
  is_shared (cond, "wait", "condition");
  request (&(Op) { .kind = OP_WAIT, .p = cond, .mutex = mutex, .func = "wait",
                   .what = "condition" });
  request (&(Op) { .kind = OP_TOLD, .p = cond, .func = "wait", .what = "condition" });
  return explore_lock (mutex);
}

int
explore_tell_all (pthread_cond_t *cond)
{
  if (is_shared (cond, "tell", "condition"))
    request (&(Op) { .kind = OP_TELL, .p = cond, .func = "tell", .what = "condition" });
  return 0;
}

/* The number of a descriptor leads to its count, see explore-parts.c. A signal that comes between
 * the last access of the caller and the call does not interrupt it. */
int
explore_poll (struct pollfd         *fds,
              nfds_t                 n,
              const struct timespec *timeout)
{
  guint64 *count = explore_count (fds[0].fd);
  gboolean now = timeout != NULL && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
  guint64 ready;

  /* Whether it sleeps for no time or for a short one makes no difference here. */
  if (explored->n_holes != 0)
    explored->n_holes = ENOUGH_HOLES;
  if (now)
    ready = explore_load (count, sizeof *count, "poll", "descriptor");
  else
    {
      explore_pause ();
      is_shared (count, "sleep", "descriptor");
      ready = request (&(Op) { .kind = OP_SLEEP, .size = sizeof *count, .p = count,
                               .may_go = timeout != NULL, .func = "sleep",
                               .what = "descriptor" });
    }
  fds[0].revents = ready != 0 ? POLLIN : 0;
  return ready != 0;
}

guint
explore_choose (guint n)
{
  return request (&(Op) { .kind = OP_CHOOSE, .value = n, .func = "case", .what = "-" });
}

void
explore_pause (void)
{
  request (&(Op) { .kind = OP_PAUSE, .func = "pause", .what = "-" });
}

void
explore_drain_all (void)
{
  if (fault_at ("aio_membarrier", "-") != EXPLORE_NOTHING)
    request (&(Op) { .kind = OP_BARRIER, .func = "aio_membarrier", .what = "-" });
}

/* --- Memory and time -------------------------------------------------------------------------- */

gpointer
explore_alloc (gsize n,
               gsize size,
               gsize alignment)
{
  gsize begin = (machine.used + alignment - 1) & ~(alignment - 1);

  g_assert (machine.n_blocks < MAX_BLOCKS && begin + n * size <= ARENA_SIZE);
  machine.used = begin + n * size;
  machine.blocks[machine.n_blocks++] = (Block) { begin, machine.used, FALSE };
  memset (machine.arena + begin, 0, n * size);
  return machine.arena + begin;
}

gpointer
explore_new (gsize size)
{
  return explore_alloc (1, size, 64);
}

/* The numbers of descriptors are places in the arena. */
int
explore_new_descriptor (void)
{
  return (int) ((char *) explore_new (sizeof (guint64)) - machine.arena);
}

guint64 *
explore_count (int fd)
{
  return (guint64 *) (machine.arena + fd);
}

/* What is outside of the arena stays. What is freed is not used again, and reads as something that
 * leads nowhere. */
void
explore_free (gpointer p)
{
  gsize begin = (char *) p - machine.arena;

  for (gsize i = 0; i < machine.n_blocks; i++)
    if (machine.blocks[i].begin == begin)
      {
        if (machine.blocks[i].freed)
          explore_fail ("freed twice");
        machine.blocks[i].freed = TRUE;
        memset (p, 0xa5, machine.blocks[i].end - begin);
      }
}

/* Something outside the arena that belongs to the state. */
void
explore_keep (gpointer p,
              gsize    size)
{
  g_assert (n_regions < MAX_REGIONS);
  regions[n_regions++] = (Region) { p, size };
}

/* One string for all, never freed: who goes back to an earlier state would free it twice. */
GString *
explore_string (const char *text)
{
  static GString *string;

  if (string == NULL)
    string = g_string_new (NULL);
  return g_string_assign (string, text != NULL ? text : "");
}

/* Strings are for reports, which nobody here reads. */
char *
explore_end_string (GString *string)
{
  return string->str;
}

gint64
explore_time (void)
{
  return G_USEC_PER_SEC;
}

gboolean
explore_is_asleep (guint thread)
{
  return !machine.threads[thread].done && machine.threads[thread].op.kind == OP_SLEEP;
}

static int
find_thread_locals (struct dl_phdr_info *info,
                    size_t               size,
                    void                *data)
{
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_TLS && info->dlpi_tls_data != NULL)
      explore_keep (info->dlpi_tls_data, info->dlpi_phdr[i].p_memsz);
  return 1;             /* the first one is the program */
}

/* --- Steps ------------------------------------------------------------------------------------ */

static void
enter_thread (void)
{
  suspend ();
  if (current == (int) handler_index)
    now_case->handler ();
  else
    now_case->threads[current] ();
  machine.threads[current].done = TRUE;
  machine.threads[current].op = (Op) { 0 };
  suspend ();
}

/* What calls that have returned left behind would be found in gaps between the variables of the
 * next ones, and states would differ for nothing. */
static void
wipe (Thread *thread,
      guint   index)
{
  gsize n = MIN (thread->sp - stacks[index], WIPED);

  memset (thread->sp - n, 0, n);
}

/* Lets a thread run until it is about to do something that others can see. */
static void
resume (guint thread)
{
  current = thread;
  n_local = 0;
  aio_home_thread_id = (thread == handler_index ? 0 : thread) + 1;
  if (now_plant != NULL && now_plant->fault == EXPLORE_EARLY_SWAP)
    machine.tail = *queue_tail ();
  if (sigsetjmp (crashed, 0) != 0)
    failure = failure != NULL ? failure : g_strdup ("crash");
  else if (_setjmp (scheduler) == 0)
    {
      catches_crashes = TRUE;
      _longjmp (machine.threads[thread].jump, 1);
    }
  catches_crashes = FALSE;
  aio_home_thread_id = 0;
  wipe (&machine.threads[thread], thread);
  current = -1;
}

static void
start_thread (guint thread)
{
  static ucontext_t context;

  getcontext (&context);
  context.uc_stack.ss_sp = stacks[thread];
  context.uc_stack.ss_size = STACK_SIZE;
  context.uc_link = NULL;
  makecontext (&context, enter_thread, 0);
  machine.threads[thread].op = (Op) { .kind = OP_PAUSE, .func = "begin", .what = "-" };
  current = thread;
  if (_setjmp (scheduler) == 0)
    setcontext (&context);
  current = -1;
}

static void
flush (Buffer *buffer,
       gsize   i)
{
  Store *store = &buffer->stores[i];

  check_alive (store->p, "a store buffer", "memory");
  write_memory (store->p, store->size, store->value);
  buffer->n--;
  memmove (store, store + 1, (buffer->n - i) * sizeof *store);
  memset (&buffer->stores[buffer->n], 0, sizeof *store);
}

static void
drain (Buffer *buffer)
{
  while (buffer->n > 0)
    flush (buffer, 0);
}

/* May this store reach memory before those that are older? */
static gboolean
may_flush (Buffer *buffer,
           gsize   i)
{
  if (i == 0)
    return TRUE;
  if (now_order == EXPLORE_X86 || buffer->stores[i].release)
    return FALSE;
  for (gsize older = 0; older < i; older++)
    if (buffer->stores[older].p == buffer->stores[i].p)
      return FALSE;
  return TRUE;
}

static void
tell_all (void *cond)
{
  for (guint i = 0; i < n_threads; i++)
    if (machine.threads[i].op.kind == OP_TOLD && machine.threads[i].op.p == cond)
      machine.threads[i].op.may_go = TRUE;
}

/* Entries that have no link yet count as well, so it is not enough to follow the links. */
static void
forget_taken (void)
{
  for (gsize i = machine.n_pushed; i > 0; i--)
    if (machine.pushed[i - 1] == *queue_tail ())
      {
        machine.n_pushed -= i;
        memmove (machine.pushed, machine.pushed + i, machine.n_pushed * sizeof (AioNode *));
        return;
      }
}

/* A node must not be pushed while it is in the queue or the stub of it, nor while the other node of
 * the same bottom half is in the queue. The two are side by side. */
static void
check_push (AioNode *node)
{
  forget_taken ();
  if (node == *queue_tail ())
    explore_fail ("a node is pushed while it is the tail");
  for (gsize i = 0; i < machine.n_pushed; i++)
    if (ABS (machine.pushed[i] - node) <= 1)
      explore_fail ("a bottom half is pushed that is in the queue");
  if (machine.n_pushed == MAX_PUSHED)
    explore_fail ("too many entries for the explorer");
  else
    machine.pushed[machine.n_pushed++] = node;
}

static guint64
act (guint thread,
     Op   *op,
     guint choice)
{
  guint64 old = 0;

  check_alive (op->p, op->func, op->what);
  if (op->kind != OP_LOAD && op->kind != OP_CHOOSE && op->kind != OP_PAUSE && !op->no_fence)
    drain (buffer_of (thread));
  switch (op->kind)
    {
    case OP_LOAD:
    case OP_SLEEP:
      return read_memory (op->p, op->size);
    case OP_EXCHANGE:
    case OP_ADD:
    case OP_SWAP_IF:
      old = read_memory (op->p, op->size);
      if (strcmp (op->what, "&queue->head") == 0)
        check_push ((AioNode *) op->value);
      if (op->kind != OP_SWAP_IF || old == op->expected)
        write_memory (op->p, op->size, op->kind == OP_ADD ? old + op->value : op->value);
      return old;
    case OP_LOCK:
    case OP_UNLOCK:
      write_memory (op->p, op->size, op->kind == OP_LOCK);
      return 0;
    case OP_WAIT:
      write_memory (op->mutex, 4, 0);
      return 0;
    case OP_TELL:
      tell_all (op->p);
      return 0;
    case OP_BARRIER:
      for (guint i = 0; i < EXPLORE_MAX_THREADS; i++)
        drain (&machine.buffers[i]);
      return 0;
    case OP_CHOOSE:
      return choice;
    default:
      return 0;
    }
}

/* A handler that begins ends the sleep of the thread that it interrupts. */
static void
begin_handler (void)
{
  if (machine.threads[0].op.kind == OP_SLEEP)
    machine.threads[0].op.may_go = TRUE;
}

static void
perform (Step step)
{
  Thread *thread = &machine.threads[step.who];
  Op op;

  if (step.flush)
    {
      flush (&machine.buffers[step.who], step.which);
      return;
    }
  op = thread->op;
  if (step.who == handler_index && strcmp (op.func, "begin") == 0)
    begin_handler ();
  thread->op = (Op) { 0 };
  thread->result = act (step.who, &op, step.which);
  if (failure == NULL)
    resume (step.who);
}

static gboolean
handler_runs (void)
{
  Thread *handler = &machine.threads[handler_index];

  if (handler_index == NO_HANDLER || handler->done)
    return FALSE;
  return handler->op.func == NULL || strcmp (handler->op.func, "begin") != 0;
}

static gboolean
can_go (guint thread)
{
  Op *op = &machine.threads[thread].op;

  if (machine.threads[thread].done || (thread == 0 && handler_runs ()))
    return FALSE;
  if (op->kind == OP_LOCK)
    return read_memory (op->p, op->size) == 0;
  if (op->kind == OP_SLEEP)
    return op->may_go || read_memory (op->p, op->size) != 0;
  return op->kind != OP_TOLD || op->may_go;
}

static guint
list_steps (Step *steps)
{
  guint n = 0;

  for (guint i = 0; i < n_threads; i++)
    {
      Op *op = &machine.threads[i].op;
      guint n_choices = op->kind == OP_CHOOSE ? op->value : 1;

      for (guint choice = 0; can_go (i) && choice < n_choices; choice++)
        steps[n++] = (Step) { FALSE, i, choice };
    }
  for (guint i = 0; i < EXPLORE_MAX_THREADS; i++)
    for (guint j = 0; j < machine.buffers[i].n; j++)
      if (may_flush (&machine.buffers[i], j))
        steps[n++] = (Step) { TRUE, i, j };
  g_assert (n <= MAX_STEPS);
  return n;
}

static void
begin (void)
{
  memset (&machine, 0, sizeof machine);
  memset (stacks, 0, sizeof stacks);
  n_regions = 0;
  dl_iterate_phdr (find_thread_locals, NULL);
  explored = now_case->setup ();
  for (n_threads = 0; n_threads < EXPLORE_MAX_THREADS && now_case->threads[n_threads] != NULL;)
    n_threads++;
  handler_index = now_case->handler != NULL ? n_threads++ : NO_HANDLER;
  for (guint i = 0; i < n_threads; i++)
    start_thread (i);
}

/* --- States ----------------------------------------------------------------------------------- */

typedef void (*RegionFunc) (gpointer data,
                            void    *p,
                            gsize    size);

/* All that makes up a state. */
static void
for_each_region (RegionFunc func,
                 gpointer   data)
{
  func (data, &machine, G_STRUCT_OFFSET (Machine, arena) + machine.used);
  for (guint i = 0; i < n_threads; i++)
    if (!machine.threads[i].done)
      func (data, machine.threads[i].sp, stacks[i] + STACK_SIZE - machine.threads[i].sp);
  for (guint i = 0; i < n_regions; i++)
    func (data, regions[i].p, regions[i].size);
}

static void
add_to_hash (gpointer data,
             void    *p,
             gsize    size)
{
  guint64 *hash = data;
  guint64 a = hash[0], b = hash[1];
  const guint64 *words = p;
  gsize n = size / sizeof *words;

  for (gsize i = 0; i + 1 < n; i += 2)
    {
      a = (a ^ words[i]) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
      b = (b ^ words[i + 1]) * G_GUINT64_CONSTANT (0xc2b2ae3d27d4eb4f);
      a ^= a >> 29;
      b ^= b >> 31;
    }
  for (gsize i = n / 2 * 2 * sizeof *words; i < size; i++)
    a = (a ^ ((guchar *) p)[i]) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15);
  hash[0] = a;
  hash[1] = b;
}

static guint64
hash_state (void)
{
  guint64 hash[2] = { 1, 2 };
  guint64 all;

  for_each_region (add_to_hash, hash);
  all = hash[0] ^ (hash[1] * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15));
  return all != 0 ? all : 1;
}

static void
add_size (gpointer data,
          void    *p,
          gsize    size)
{
  *(gsize *) data += size;
}

static void
copy_out (gpointer data,
          void    *p,
          gsize    size)
{
  char **to = data;

  memcpy (*to, p, size);
  *to += size;
}

static char *
save_state (void)
{
  gsize size = 0;
  char *copy, *to;

  for_each_region (add_size, &size);
  copy = to = g_malloc (size);
  for_each_region (copy_out, &to);
  return copy;
}

static void
copy_in (gpointer data,
         void    *p,
         gsize    size)
{
  const char **from = data;

  memcpy (p, *from, size);
  *from += size;
}

/* The machine first: it says where the stacks are, and how much of the arena is used. */
static void
restore_state (const char *copy)
{
  memcpy (&machine, copy, G_STRUCT_OFFSET (Machine, arena));
  for_each_region (copy_in, &copy);
}

/* --- The search ------------------------------------------------------------------------------- */

typedef struct
{
  guint64 hash;
  guint id;
} Slot;

typedef struct
{
  guint from;
  guint to;
} Edge;

typedef struct
{
  guint parent;
  Step step;
  guint8 ends;          /* an end can be reached from here */
} State;

typedef struct
{
  Slot *slots;
  gsize n_slots;
  GArray *states;       /* of State */
  GArray *edges;        /* of Edge */
  GPtrArray *path;      /* of Frame: the way to the present state */
  GQueue todo;          /* of Frame: states that are to be followed, nearest first */
  ExploreResult *result;
} Search;

static Slot *
find_slot (Search  *search,
           guint64  hash)
{
  gsize i = hash & (search->n_slots - 1);

  while (search->slots[i].hash != 0 && search->slots[i].hash != hash)
    i = (i + 1) & (search->n_slots - 1);
  return &search->slots[i];
}

static void
make_room (Search *search)
{
  Slot *old = search->slots;
  gsize n = search->n_slots;

  if (search->states->len < n / 2)
    return;
  search->n_slots = 2 * n;
  search->slots = g_new0 (Slot, search->n_slots);
  for (gsize i = 0; i < n; i++)
    if (old[i].hash != 0)
      *find_slot (search, old[i].hash) = old[i];
  g_free (old);
}

/* Has the present state to be followed, is it new? */
static gboolean
note_state (Search *search,
            guint   parent,
            Step    step,
            guint  *id)
{
  guint64 hash = hash_state ();
  State state = { parent, step, FALSE };
  Slot *slot;

  make_room (search);
  slot = find_slot (search, hash);
  *id = slot->id;
  if (slot->hash != 0)
    return FALSE;
  *slot = (Slot) { hash, search->states->len };
  *id = slot->id;
  g_array_append_val (search->states, state);
  return TRUE;
}

/* Nothing can be done any more. Only the home thread may wait for ever. */
static void
check_end (void)
{
  for (guint i = 1; i < n_threads; i++)
    if (!machine.threads[i].done)
      explore_fail ("thread %u waits for ever: %s", i, machine.threads[i].op.func);
  if (now_case->check != NULL)
    now_case->check ();
}

/* The present state, with all that can be done in it. */
static Frame *
frame_new (Search *search,
           guint   id)
{
  Frame *frame = g_new (Frame, 1);

  frame->id = id;
  frame->next = 0;
  frame->n = list_steps (frame->steps);
  frame->copy = frame->n > 0 ? save_state () : NULL;
  if (frame->n == 0)
    {
      search->result->n_ends++;
      g_array_index (search->states, State, id).ends = TRUE;
      check_end ();
    }
  return frame;
}

static void
frame_free (gpointer data)
{
  Frame *frame = data;

  g_free (frame->copy);
  g_free (frame);
}

/* Takes the next step from a state; returns the state that it leads to, if that is new. */
static Frame *
follow (Search *search,
        Frame  *frame,
        Step    step)
{
  Edge edge = { frame->id, 0 };
  gboolean is_new;

  restore_state (frame->copy);
  perform (step);
  search->result->n_steps++;
  if (failure != NULL || more_shared)
    return NULL;
  is_new = note_state (search, frame->id, step, &edge.to);
  g_array_append_val (search->edges, edge);
  return is_new ? frame_new (search, edge.to) : NULL;
}

/* As far as it goes, then back: takes little memory. */
static void
search_deep (Search *search,
             Frame  *first)
{
  g_ptr_array_add (search->path, first);
  while (search->path->len > 0 && failure == NULL && !more_shared)
    {
      Frame *frame = search->path->pdata[search->path->len - 1];
      Frame *next = NULL;

      if (frame->next == frame->n)
        g_ptr_array_set_size (search->path, search->path->len - 1);
      else
        next = follow (search, frame, frame->steps[frame->next++]);
      if (next != NULL)
        g_ptr_array_add (search->path, next);
    }
}

/* All that is one step away, then all that is two: finds the shortest way to a failure. Returns the
 * state from which its last step goes. */
static Frame *
search_wide (Search *search,
             Frame  *first)
{
  Frame *frame = first;

  while (frame != NULL && failure == NULL)
    {
      while (frame->next < frame->n && failure == NULL)
        {
          Frame *next = follow (search, frame, frame->steps[frame->next++]);

          if (next != NULL)
            g_queue_push_tail (&search->todo, next);
        }
      if (failure != NULL)
        return frame;
      frame_free (frame);
      frame = g_queue_pop_head (&search->todo);
    }
  return frame;
}

/* Marks each state from which an end can be reached; returns one from which none can, or -1. */
static int
find_endless (Search *search)
{
  guint n = search->states->len;
  guint *first = g_new0 (guint, n + 1);
  guint *from = g_new (guint, search->edges->len);
  guint *todo = g_new (guint, n);
  guint n_todo = 0;
  int endless = -1;

  for (guint i = 0; i < search->edges->len; i++)
    first[g_array_index (search->edges, Edge, i).to + 1]++;
  for (guint i = 0; i < n; i++)
    first[i + 1] += first[i];
  for (guint i = search->edges->len; i > 0; i--)
    {
      Edge *edge = &g_array_index (search->edges, Edge, i - 1);

      from[--first[edge->to + 1]] = edge->from;
    }
  for (guint i = 0; i < n; i++)
    if (g_array_index (search->states, State, i).ends)
      todo[n_todo++] = i;
  while (n_todo > 0)
    {
      guint id = todo[--n_todo];
      guint end = id + 2 <= n ? first[id + 2] : search->edges->len;

      for (guint i = first[id + 1]; i < end; i++)
        {
          State *state = &g_array_index (search->states, State, from[i]);

          if (!state->ends)
            todo[n_todo++] = from[i];
          state->ends = TRUE;
        }
    }
  for (guint i = 0; i < n && endless < 0; i++)
    if (!g_array_index (search->states, State, i).ends)
      endless = i;
  g_free (first);
  g_free (from);
  g_free (todo);
  return endless;
}

/* --- What is told of a failure ---------------------------------------------------------------- */

/* Addresses in the arena are told as the distance from its beginning. */
static void
tell_value (GString *trace,
            guint64  value)
{
  if (is_in_arena ((void *) value))
    g_string_append_printf (trace, "+%ld", (long) ((char *) value - machine.arena));
  else
    g_string_append_printf (trace, "%#lx", (gulong) value);
}

static void
tell_op (GString  *trace,
         const Op *op)
{
  g_string_append_printf (trace, "%s: %s %s", op->func, op_names[op->kind], op->what);
  if (op->p == NULL)
    return;
  g_string_append (trace, " at ");
  tell_value (trace, (gsize) op->p);
  if (op->size == 0)
    return;
  g_string_append (trace, ", which is ");
  tell_value (trace, read_memory (op->p, op->size));
  if (op->kind != OP_EXCHANGE && op->kind != OP_ADD && op->kind != OP_SWAP_IF)
    return;
  g_string_append (trace, op->kind == OP_ADD ? ", and " : ", with ");
  tell_value (trace, op->value);
}

static void
tell_step (GString *trace,
           Step     step)
{
  static const char *const names[] = { "home", "A", "B", "C", "D" };
  const char *name = step.who == handler_index ? "handler" : names[step.who];

  if (step.flush)
    {
      Store *store = &machine.buffers[step.who].stores[step.which];

      g_string_append_printf (trace, "  %-8s store to ", names[step.who]);
      tell_value (trace, (gsize) store->p);
      g_string_append (trace, " reaches memory: ");
      tell_value (trace, store->value);
    }
  else
    {
      g_string_append_printf (trace, "  %-8s ", name);
      tell_op (trace, &machine.threads[step.who].op);
      if (machine.threads[step.who].op.kind == OP_CHOOSE)
        g_string_append_printf (trace, " %u", step.which);
    }
  g_string_append_c (trace, '\n');
}

static void
tell_way (GString *trace,
          GArray  *steps)
{
  char *told = g_steal_pointer (&failure);

  begin ();
  for (guint i = 0; i < steps->len && failure == NULL; i++)
    {
      tell_step (trace, g_array_index (steps, Step, i));
      perform (g_array_index (steps, Step, i));
    }
  g_free (failure);
  failure = told;
}

/* The steps from the beginning to a state. */
static GArray *
way_to (Search *search,
        guint   id)
{
  GArray *steps = g_array_new (FALSE, FALSE, sizeof (Step));

  for (; id != 0; id = g_array_index (search->states, State, id).parent)
    g_array_prepend_val (steps, g_array_index (search->states, State, id).step);
  return steps;
}

/* --- Running ---------------------------------------------------------------------------------- */

static Frame *
search_begin (Search        *search,
              ExploreResult *result)
{
  guint id;

  *search = (Search) { .result = result, .n_slots = 4096 };
  search->slots = g_new0 (Slot, search->n_slots);
  search->states = g_array_new (FALSE, FALSE, sizeof (State));
  search->edges = g_array_new (FALSE, FALSE, sizeof (Edge));
  search->path = g_ptr_array_new_with_free_func (frame_free);
  result->n_steps = result->n_ends = 0;
  begin ();
  note_state (search, 0, (Step) { 0 }, &id);
  return frame_new (search, id);
}

static void
search_end (Search *search)
{
  search->result->n_states = search->states->len;
  g_ptr_array_unref (search->path);
  g_queue_clear_full (&search->todo, frame_free);
  g_array_unref (search->edges);
  g_array_unref (search->states);
  g_free (search->slots);
}

/* All of it; what is wrong is in the result. FALSE: it has to be done again. */
static gboolean
search_all (ExploreResult *result)
{
  Search search;
  GArray *steps;
  int endless = -1;

  search_deep (&search, search_begin (&search, result));
  if (failure == NULL && !more_shared)
    endless = find_endless (&search);
  if (endless >= 0)
    {
      failure = g_strdup ("it goes on for ever");
      steps = way_to (&search, endless);
      tell_way (result->trace, steps);
      g_array_unref (steps);
    }
  if (!more_shared)
    result->failure = g_steal_pointer (&failure);
  g_clear_pointer (&failure, g_free);
  search_end (&search);
  return !more_shared;
}

/* There is a failure: looks for the shortest way to it. */
static void
search_trace (ExploreResult *result)
{
  Search search;
  Frame *last = search_wide (&search, search_begin (&search, result));
  GArray *steps;

  if (last != NULL)
    {
      g_free (result->failure);
      result->failure = g_steal_pointer (&failure);
      steps = way_to (&search, last->id);
      g_array_append_val (steps, last->steps[last->next - 1]);
      tell_way (result->trace, steps);
      g_array_unref (steps);
      frame_free (last);
      g_clear_pointer (&failure, g_free);
    }
  search_end (&search);
}

static void
on_crash (int signum)
{
  if (!catches_crashes)
    {
      signal (signum, SIG_DFL);
      raise (signum);
    }
  siglongjmp (crashed, 1);
}

static void
catch_crashes (gboolean yes)
{
  static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGTRAP };
  static char alternate[65536];
  stack_t stack = { .ss_sp = alternate, .ss_size = sizeof alternate };
  struct sigaction action = { .sa_flags = SA_NODEFER | SA_ONSTACK };

  sigaltstack (&stack, NULL);
  action.sa_handler = yes ? on_crash : SIG_DFL;
  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    sigaction (signals[i], &action, NULL);
}

/* Searches until it is known which addresses are shared. */
void
explore_run (const ExploreCase  *thing,
             const ExplorePlant *plant,
             ExploreOrder        order,
             gboolean            wants_trace,
             ExploreResult      *result)
{
  *result = (ExploreResult) { .trace = g_string_new (NULL) };
  now_case = thing;
  now_plant = plant;
  now_order = order;
  memset (users, 0, sizeof users);
  catch_crashes (TRUE);
  do
    more_shared = FALSE;
  while (!search_all (result));
  if (result->failure != NULL && result->trace->len == 0 && wants_trace)
    search_trace (result);
  catch_crashes (FALSE);
}

void
explore_clear (ExploreResult *result)
{
  g_free (result->failure);
  g_string_free (result->trace, TRUE);
}
