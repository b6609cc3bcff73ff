/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A block driver on a file in the style of 2012: requests go to a worker thread, completions come
 * back through an event notifier, control blocks come from a pool, and draining is
 * qemu_aio_flush(). On top of it a random read/write/verify run. */
#include "qemu-aio.h"
#include "main-loop.h"
#include "qemu/thread.h"
#include "../aio-test.h"

#include <fcntl.h>

#define SECTOR_SIZE  512
#define N_SECTORS    256
#define MAX_SECTORS  8
#define QUEUE_DEPTH  16

/* --- The driver ------------------------------------------------------------------------------- */

typedef struct FileAIOCB
{
  BlockDriverAIOCB common;
  struct FileAIOCB *next;
  bool is_write;
  bool canceled;
  int64_t offset;
  uint8_t *buf;
  size_t size;
  int ret;
} FileAIOCB;

typedef struct
{
  FileAIOCB *first;
  FileAIOCB **last;
} Queue;

struct BlockDriverState
{
  int fd;
  int in_flight;                /* main thread only */
  EventNotifier e;
  QemuThread worker;
  QemuMutex lock;               /* guards the rest */
  QemuCond work;
  Queue todo, done;
  bool quit;
};

static void
queue_init (Queue *queue)
{
  queue->first = NULL;
  queue->last = &queue->first;
}

static void
queue_push (Queue     *queue,
            FileAIOCB *acb)
{
  acb->next = NULL;
  *queue->last = acb;
  queue->last = &acb->next;
}

static FileAIOCB *
queue_pop (Queue *queue)
{
  FileAIOCB *acb = queue->first;

  if (acb == NULL)
    return NULL;
  queue->first = acb->next;
  if (queue->first == NULL)
    queue->last = &queue->first;
  return acb;
}

static void
file_do (BlockDriverState *bs,
         FileAIOCB        *acb)
{
  ssize_t n;

  if (acb->is_write)
    n = pwrite (bs->fd, acb->buf, acb->size, acb->offset);
  else
    n = pread (bs->fd, acb->buf, acb->size, acb->offset);
  acb->ret = n == (ssize_t) acb->size ? 0 : -EIO;
}

static void *
file_worker (void *opaque)
{
  BlockDriverState *bs = opaque;

  qemu_mutex_lock (&bs->lock);
  while (!bs->quit || bs->todo.first != NULL)
    {
      FileAIOCB *acb = queue_pop (&bs->todo);

      if (acb == NULL)
        {
          qemu_cond_wait (&bs->work, &bs->lock);
          continue;
        }
      qemu_mutex_unlock (&bs->lock);
      file_do (bs, acb);
      qemu_mutex_lock (&bs->lock);
      queue_push (&bs->done, acb);
      event_notifier_set (&bs->e);
    }
  qemu_mutex_unlock (&bs->lock);
  return NULL;
}

/* The callback of this one may wait for the others: for that the event has to be set as long as
 * there are any. */
static FileAIOCB *
file_next_done (BlockDriverState *bs)
{
  FileAIOCB *acb;

  qemu_mutex_lock (&bs->lock);
  acb = queue_pop (&bs->done);
  if (bs->done.first != NULL)
    event_notifier_set (&bs->e);
  qemu_mutex_unlock (&bs->lock);
  return acb;
}

static void
file_completed (EventNotifier *e)
{
  BlockDriverState *bs = container_of (e, BlockDriverState, e);
  FileAIOCB *acb;

  event_notifier_test_and_clear (e);
  while ((acb = file_next_done (bs)) != NULL)
    {
      bs->in_flight--;
      if (!acb->canceled)
        acb->common.cb (acb->common.opaque, acb->ret);
      qemu_aio_release (acb);
    }
}

static int
file_flush (EventNotifier *e)
{
  return container_of (e, BlockDriverState, e)->in_flight > 0;
}

/* The request goes on; its callback is not called. */
static void
file_cancel (BlockDriverAIOCB *acb)
{
  container_of (acb, FileAIOCB, common)->canceled = true;
}

static AIOPool file_pool = {
  .aiocb_size = sizeof (FileAIOCB),
  .cancel = file_cancel,
};

static BlockDriverAIOCB *
file_submit (BlockDriverState          *bs,
             bool                       is_write,
             int64_t                    sector,
             uint8_t                   *buf,
             int                        n_sectors,
             BlockDriverCompletionFunc *cb,
             void                      *opaque)
{
  FileAIOCB *acb = qemu_aio_get (&file_pool, bs, cb, opaque);

  acb->is_write = is_write;
  acb->canceled = false;
  acb->offset = sector * SECTOR_SIZE;
  acb->buf = buf;
  acb->size = (size_t) n_sectors * SECTOR_SIZE;
  bs->in_flight++;
  qemu_mutex_lock (&bs->lock);
  queue_push (&bs->todo, acb);
  qemu_cond_signal (&bs->work);
  qemu_mutex_unlock (&bs->lock);
  return &acb->common;
}

static BlockDriverState *
file_open (void)
{
  BlockDriverState *bs = g_new0 (BlockDriverState, 1);
  char *name = NULL;

  bs->fd = g_file_open_tmp ("aio-disk-XXXXXX", &name, NULL);
  g_assert_cmpint (bs->fd, >=, 0);
  unlink (name);
  g_free (name);
  g_assert_cmpint (ftruncate (bs->fd, N_SECTORS * SECTOR_SIZE), ==, 0);
  queue_init (&bs->todo);
  queue_init (&bs->done);
  qemu_mutex_init (&bs->lock);
  qemu_cond_init (&bs->work);
  g_assert_cmpint (event_notifier_init (&bs->e, false), ==, 0);
  qemu_aio_set_event_notifier (&bs->e, file_completed, file_flush);
  qemu_thread_create (&bs->worker, file_worker, bs, QEMU_THREAD_JOINABLE);
  return bs;
}

static void
file_close (BlockDriverState *bs)
{
  qemu_aio_flush ();
  g_assert_cmpint (bs->in_flight, ==, 0);
  qemu_mutex_lock (&bs->lock);
  bs->quit = true;
  qemu_cond_signal (&bs->work);
  qemu_mutex_unlock (&bs->lock);
  qemu_thread_join (&bs->worker);
  qemu_aio_set_event_notifier (&bs->e, NULL, NULL);
  event_notifier_cleanup (&bs->e);
  qemu_cond_destroy (&bs->work);
  qemu_mutex_destroy (&bs->lock);
  close (bs->fd);
  g_free (bs);
}

/* --- The run ---------------------------------------------------------------------------------- */

typedef struct Run Run;

typedef struct
{
  Run *run;
  bool busy;
  bool is_write;
  int sector, n_sectors;
  uint8_t buf[MAX_SECTORS * SECTOR_SIZE];
} Job;

struct Run
{
  BlockDriverState *bs;
  Job jobs[QUEUE_DEPTH];
  bool locked[N_SECTORS];               /* by a job in flight */
  uint32_t content[N_SECTORS];          /* what each sector was filled from */
  uint32_t last_seed;
  int started, completed;
  QEMUBH *refill;
  int left;
};

static void
fill_sector (uint8_t  *buf,
             int       sector,
             uint32_t  seed)
{
  for (int i = 0; i < SECTOR_SIZE; i++)
    buf[i] = seed == 0 ? 0 : (uint8_t) (seed * 31 + (uint32_t) sector * 7 + (uint32_t) i);
}

static void
set_locked (Job  *job,
            bool  locked)
{
  for (int i = 0; i < job->n_sectors; i++)
    job->run->locked[job->sector + i] = locked;
}

static void
verify (Job *job)
{
  uint8_t expected[SECTOR_SIZE];

  for (int i = 0; i < job->n_sectors; i++)
    {
      fill_sector (expected, job->sector + i, job->run->content[job->sector + i]);
      g_assert_cmpmem (job->buf + i * SECTOR_SIZE, SECTOR_SIZE, expected, SECTOR_SIZE);
    }
}

static void
job_done (void *opaque,
          int   ret)
{
  Job *job = opaque;

  g_assert_cmpint (ret, ==, 0);
  g_assert_true (job->busy);
  if (!job->is_write)
    verify (job);
  set_locked (job, false);
  job->busy = false;
  job->run->completed++;
  qemu_bh_schedule (job->run->refill);
}

static void
prepare_write (Job *job)
{
  for (int i = 0; i < job->n_sectors; i++)
    {
      uint32_t seed = ++job->run->last_seed;

      job->run->content[job->sector + i] = seed;
      fill_sector (job->buf + i * SECTOR_SIZE, job->sector + i, seed);
    }
}

/* FALSE: another job is at work there. */
static bool
choose_place (Job *job)
{
  job->n_sectors = g_test_rand_int_range (1, MAX_SECTORS + 1);
  job->sector = g_test_rand_int_range (0, N_SECTORS - job->n_sectors + 1);
  for (int i = 0; i < job->n_sectors; i++)
    if (job->run->locked[job->sector + i])
      return false;
  return true;
}

static void
refill_cb (void *opaque)
{
  Run *run = opaque;

  for (int i = 0; i < QUEUE_DEPTH && run->left > 0; i++)
    {
      Job *job = &run->jobs[i];

      if (job->busy || !choose_place (job))
        continue;
      job->busy = true;
      job->is_write = g_test_rand_bit ();
      set_locked (job, true);
      if (job->is_write)
        prepare_write (job);
      run->left--;
      run->started++;
      file_submit (run->bs, job->is_write, job->sector, job->buf, job->n_sectors, job_done, job);
    }
}

static Run *
run_new (int n)
{
  Run *run = g_new0 (Run, 1);

  run->bs = file_open ();
  run->left = n;
  run->refill = qemu_bh_new (refill_cb, run);
  for (int i = 0; i < QUEUE_DEPTH; i++)
    run->jobs[i].run = run;
  qemu_bh_schedule (run->refill);
  return run;
}

/* Reads all of it once more. */
static void
verify_all (Run *run)
{
  Job *job = &run->jobs[0];

  for (int sector = 0; sector < N_SECTORS; sector += MAX_SECTORS)
    {
      job->busy = true;
      job->is_write = false;
      job->sector = sector;
      job->n_sectors = MAX_SECTORS;
      file_submit (run->bs, false, sector, job->buf, MAX_SECTORS, job_done, job);
      qemu_aio_flush ();
      g_assert_false (job->busy);
    }
}

static void
run_free (Run *run)
{
  g_assert_cmpint (run->left, ==, 0);
  g_assert_cmpint (run->completed, ==, run->started);
  verify_all (run);
  qemu_bh_delete (run->refill);
  file_close (run->bs);
  g_free (run);
}

static int
n_requests (void)
{
  return g_test_thorough () ? 100000 : 5000;
}

static void
test_flush (void)
{
  Run *run = run_new (n_requests ());

  g_test_summary ("C20, C11: one qemu_aio_flush() drives the whole run");
  qemu_aio_flush ();
  run_free (run);
}

static void
test_main_loop (void)
{
  Run *run = run_new (n_requests ());

  g_test_summary ("C18: the main loop drives it");
  while (run->left > 0 || run->completed < run->started)
    main_loop_wait (false);
  run_free (run);
}

static void
test_mixed (void)
{
  Run *run = run_new (n_requests ());

  g_test_summary ("C18: the main loop, drained now and then");
  while (run->left > 0 || run->completed < run->started)
    {
      main_loop_wait (false);
      if (g_test_rand_int_range (0, 50) == 0)
        qemu_aio_flush ();
    }
  run_free (run);
}

static void
never_called (void *opaque,
              int   ret)
{
  (void) opaque;
  (void) ret;
  g_assert_not_reached ();
}

static void
test_cancel (void)
{
  BlockDriverState *bs = file_open ();
  uint8_t buf[SECTOR_SIZE] = { 0 };
  BlockDriverAIOCB *acb = file_submit (bs, false, 0, buf, 1, never_called, NULL);

  g_test_summary ("C20: a request is cancelled by way of its pool");
  acb->pool->cancel (acb);
  qemu_aio_flush ();
  file_close (bs);
}

/* --- Drained by a completion ------------------------------------------------------------------ */

typedef struct
{
  BlockDriverState *bs;
  int completed;
} Drain;

static void
drain_in_callback (void *opaque,
                   int   ret)
{
  Drain *drain = opaque;

  g_assert_cmpint (ret, ==, 0);
  if (drain->completed++ != 0)
    return;
  qemu_aio_flush ();
  g_assert_cmpint (drain->completed, ==, 10);
}

static void
test_drain_in_callback (void)
{
  Drain drain = { file_open (), 0 };
  uint8_t buf[10][SECTOR_SIZE];

  g_test_summary ("C13: a completion callback drains the other requests");
  for (int i = 0; i < 10; i++)
    file_submit (drain.bs, false, i, buf[i], 1, drain_in_callback, &drain);
  qemu_aio_flush ();
  g_assert_cmpint (drain.completed, ==, 10);
  file_close (drain.bs);
}

int
main (int   argc,
      char *argv[])
{
  EventNotifier e;

  g_test_init (&argc, &argv, NULL);
  g_assert_cmpint (qemu_init_main_loop (), ==, 0);
  /* What the global context opens for its first handler it keeps. */
  g_assert_cmpint (event_notifier_init (&e, false), ==, 0);
  qemu_aio_set_event_notifier (&e, file_completed, NULL);
  qemu_aio_set_event_notifier (&e, NULL, NULL);
  event_notifier_cleanup (&e);
  main_loop_wait (true);

  aio_test_add ("/driver/flush", test_flush);
  aio_test_add ("/driver/main-loop", test_main_loop);
  aio_test_add ("/driver/mixed", test_mixed);
  aio_test_add ("/driver/cancel", test_cancel);
  aio_test_add ("/driver/drain-in-callback", test_drain_in_callback);
  return g_test_run ();
}
