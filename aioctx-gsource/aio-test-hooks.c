/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the g_test kit needs. Nothing here is called in other programs. */
#include <aioctx-gsource/aio-test-hooks-private.h>
#include <aioctx-gsource/aio-bh-watch-private.h>
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-fault-private.h>

static void
adopt (AioContext     *context,
       gpointer        data,
       GDestroyNotify  destroy)
{
  aio_bh_set_watch (&context->bhs, data, destroy);
  context->timers->all_virtual = TRUE;
}

static gpointer
get_data (AioContext *context)
{
  return context->bhs.watch != NULL ? context->bhs.watch->data : NULL;
}

static void
set_arrange (AioContext     *context,
             AioTestArrange  arrange)
{
  AioBHWatch *watch = context->bhs.watch;

  watch->arrange = arrange;
  watch->arrange_data = watch->data;
}

static void
set_shuffle (AioContext *context,
             guint32     seed)
{
  aio_bh_set_shuffle (&context->bhs, seed);
}

static guint64
count_reordered (AioContext *context)
{
  return context->bhs.watch->shuffle.n_reordered;
}

/* --- The clock -------------------------------------------------------------------------------- */

static void
set_time_ns (AioContext *context,
             gint64      now_ns)
{
  aio_timer_set_move_clock (context->timers, now_ns);
}

static gint64
next_deadline_ns (AioContext *context)
{
  return aio_timer_set_earliest (context->timers, AIO_CLOCK_VIRTUAL);
}

static guint64
count_timers (AioContext *context)
{
  return aio_timer_set_count_runs (context->timers);
}

/* --- Looking ---------------------------------------------------------------------------------- */

/* Descriptors are looked at as well, if there are any: they are ready when the system says so. */
static AioTestState
look (AioContext *context)
{
  AioLook found;

  if (aio_fd_set_is_active (&context->fds))
    aio_context_collect (context);
  found = aio_context_look (context);
  if (found >= AIO_LOOK_HOLE)
    return AIO_TEST_DUE;
  return found == AIO_LOOK_IDLE ? AIO_TEST_IDLE : AIO_TEST_RESTING;
}

typedef struct
{
  AioTestVisitor visit;
  gpointer data;
  gint64 now;
} Listing;

static void
list_bh (gpointer    data,
         AioBH      *bh,
         const char *name,
         guint64     state)
{
  Listing *listing = data;
  AioTestItem item = { bh != NULL ? AIO_TEST_BH : AIO_TEST_ONESHOT, AIO_TEST_RESTING, name,
                       -1, NULL, NULL, -1 };

  if (state & AIO_BH_BUSY)
    item.state = AIO_TEST_DUE;
  else if (state & AIO_BH_PENDING)
    item.state = AIO_TEST_IDLE;
  listing->visit (listing->data, &item);
}

static void
list_fd (gpointer            data,
         const AioFdHandler *handler)
{
  Listing *listing = data;
  gboolean ready = aio_load_relaxed (&handler->ready) != 0;
  AioTestItem item = { AIO_TEST_FD, ready ? AIO_TEST_DUE : AIO_TEST_RESTING, NULL, handler->fd,
                       NULL, NULL, -1 };

  listing->visit (listing->data, &item);
}

static void
list_timer (gpointer            data,
            const AioTimerNode *timer)
{
  Listing *listing = data;
  gboolean armed = timer->state != AIO_TIMER_IDLE;
  AioTestItem item = { AIO_TEST_TIMER, AIO_TEST_RESTING, timer->name, -1, timer,
                       (gpointer) (guintptr) timer->func, armed ? timer->deadline : -1 };

  if (armed && timer->deadline <= listing->now)
    item.state = AIO_TEST_DUE;
  listing->visit (listing->data, &item);
}

static void
list (AioContext     *context,
      AioTestVisitor  visit,
      gpointer        data)
{
  Listing listing = { visit, data, aio_timer_set_now (context->timers, AIO_CLOCK_VIRTUAL) };

  aio_bh_set_list (&context->bhs, list_bh, &listing);
  aio_fd_set_list (&context->fds, list_fd, &listing);
  aio_timer_set_list (context->timers, list_timer, &listing);
}

static guint
get_refs (AioContext *context)
{
  return aio_load_acquire (&context->refs);
}

static gboolean
is_attached (AioContext *context)
{
  return aio_context_get_main (context) != NULL;
}

/* --- Faults ----------------------------------------------------------------------------------- */

static void
set_fault (gboolean (*fault) (void))
{
  aio_exchange_full (&aio_fault, fault);
}

/* Exported, and no part of the public interface: it changes with any version. */
const AioTestHooks *
aio__test_hooks (void)
{
  static const AioTestHooks hooks = {
    .version = AIO_VERSION_S,
    .adopt = adopt,
    .get_data = get_data,
    .may_act = aio_context_may_act,
    .set_shuffle = set_shuffle,
    .set_arrange = set_arrange,
    .count_reordered = count_reordered,
    .set_time_ns = set_time_ns,
    .next_deadline_ns = next_deadline_ns,
    .look = look,
    .list = list,
    .get_refs = get_refs,
    .is_attached = is_attached,
    .count_timers = count_timers,
    .call_before = aio_bh_wrap,
    .declare_producer = aio_bh_declare_producer,
    .set_fault = set_fault,
  };

  return &hooks;
}
