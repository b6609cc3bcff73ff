/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-bh-watch-private.h>
#include <aioctx-gsource/aio-oneshot-private.h>

#include <sched.h>

/* How often a producer that has not stored its link yet is waited for. */
#define LINK_YIELDS 1000

/* What was said of the calling thread; 0: nothing, the thread stands for itself. */
static __thread guint64 declared_producer __attribute__ ((tls_model ("initial-exec")));

/* One-shots have no room to write down who has pushed them. */
typedef struct
{
  AioBHFunc func;
  gpointer data;
  GDestroyNotify destroy;
  guint64 producer;
} Recorded;

/* Something that is called before each run of a bottom half. */
typedef struct
{
  AioBHFunc func;
  gpointer data;
  GDestroyNotify destroy;
  AioBHFunc before;
  gpointer before_data;
} Wrapped;

/* Nobody may have pushed anything yet. One that is watched already goes on as it is, with other
 * data. */
void
aio_bh_set_watch (AioBHSet       *set,
                  gpointer        data,
                  GDestroyNotify  destroy)
{
  if (set->watch == NULL)
    set->watch = g_new0 (AioBHWatch, 1);
  set->watch->data = data;
  set->watch->destroy = destroy;
  aio_bh_set_choose_flag (set);
}

void
aio_bh_watch_free (AioBHWatch *watch)
{
  if (watch->destroy != NULL)
    watch->destroy (watch->data);
  g_free (watch);
}

/* What the calling thread pushes from now on is pushed by this one; 0: by itself again. Returns the
 * one before. */
guint64
aio_bh_declare_producer (guint64 id)
{
  guint64 former = declared_producer;

  declared_producer = id;
  return former;
}

/* --- Producers -------------------------------------------------------------------------------- */

static void
run_recorded (gpointer data)
{
  Recorded *recorded = data;

  recorded->func (recorded->data);
}

static void
drop_recorded (gpointer data)
{
  Recorded *recorded = data;

  if (recorded->destroy != NULL)
    recorded->destroy (recorded->data);
  g_free (recorded);
}

/* What it is there to call: whoever names it by its function means this one. */
AioBHFunc
aio_bh_watch_func (const AioOneshot *oneshot)
{
  return oneshot->func == run_recorded ? ((Recorded *) oneshot->data)->func : oneshot->func;
}

/* One that runs nothing is left as it is: nobody cares for its place. */
static void
record_oneshot (AioOneshot *oneshot,
                guint64     producer)
{
  Recorded *recorded;

  if (oneshot->func == NULL)
    return;
  recorded = g_new (Recorded, 1);
  *recorded = (Recorded) { oneshot->func, oneshot->data, oneshot->destroy, producer };
  oneshot->func = run_recorded;
  oneshot->data = recorded;
  oneshot->destroy = drop_recorded;
}

/* Any thread; for a bottom half also a signal handler. The entry has its place and is not linked
 * yet, so it belongs to the caller. */
void
aio_bh_watch_push (AioEntry entry)
{
  guint64 producer = declared_producer != 0 ? declared_producer : aio_home_self ();

  if (aio_entry_kind (entry) == AIO_ENTRY_ONESHOT)
    record_oneshot ((AioOneshot *) aio_entry_node (entry), producer);
  else
    aio_entry_bh (entry)->producer = producer;
}

/* --- Arranging, in the home thread ------------------------------------------------------------ */

static AioTestEntry
test_entry_of (AioEntry entry,
               guint64  self)
{
  AioOneshot *oneshot = (AioOneshot *) aio_entry_node (entry);

  if (aio_entry_kind (entry) != AIO_ENTRY_ONESHOT)
    return (AioTestEntry) { aio_entry_bh (entry)->name, aio_entry_bh (entry)->producer, entry };
  if (oneshot->func != run_recorded)
    return (AioTestEntry) { "", self, entry };
  return (AioTestEntry) { oneshot->u.name, ((Recorded *) oneshot->data)->producer, entry };
}

static AioEntry
wait_for_next (AioNode *node)
{
  AioEntry next = aio_queue_next (node);

  for (guint i = 0; next == 0 && i < LINK_YIELDS; i++)
    {
      sched_yield ();
      next = aio_queue_next (node);
    }
  return next;
}

static gboolean
is_last_of_a_pass (AioBHSet *set,
                   AioNode  *node)
{
  for (AioPass *pass = set->passes; pass != NULL; pass = pass->outer)
    if (pass->last == node)
      return TRUE;
  return FALSE;
}

/* The entries before the last one, or before one that nothing overtakes; what passes further out
 * have left keeps its place before them. The one before a hole is not among them, because its link
 * is still going to be written. Returns the node that leads to the first of them, and stores the
 * entry behind them. */
static AioNode *
collect (AioBHSet *set,
         AioNode  *last,
         GArray   *entries,
         AioEntry *behind)
{
  guint64 self = aio_home_self ();
  AioNode *start = set->queue.tail;
  AioNode *node = start;

  *behind = 0;
  for (;;)
    {
      AioEntry entry = wait_for_next (node);
      AioTestEntry found;

      if (entry == 0 && entries->len != 0)
        g_array_set_size (entries, entries->len - 1);
      if (entry == 0)
        return start;
      *behind = entry;
      node = aio_entry_node (entry);
      if (node == last)
        return start;
      found = test_entry_of (entry, self);
      if (found.producer == AIO_PRODUCER_FENCE)
        return start;
      g_array_append_val (entries, found);
      if (!is_last_of_a_pass (set, node))
        continue;
      start = node;
      g_array_set_size (entries, 0);
    }
}

/* The nodes belong to the home thread: each of them has been linked, so no producer touches it any
 * more. Relaxed is enough, as this thread reads them itself. */
static void
relink (AioNode *start,
        GArray  *entries,
        AioEntry behind)
{
  for (guint i = 0; i < entries->len; i++)
    {
      AioEntry entry = g_array_index (entries, AioTestEntry, i).entry;

      aio_store_relaxed (&start->next, entry);
      start = aio_entry_node (entry);
    }
  aio_store_relaxed (&start->next, behind);
}

/* A pass begins. The youngest entry cannot be moved, since the next push writes its link: so an
 * empty one is pushed behind it. */
void
aio_bh_watch_arrange (AioBHSet *set)
{
  AioBHWatch *watch = set->watch;
  GArray *entries;
  AioNode *start;
  AioEntry behind;

  if (watch->arrange == NULL || aio_queue_is_empty (&set->queue))
    return;
  aio_bh_set_add_oneshot (set, NULL, NULL, NULL, NULL);
  entries = g_array_new (FALSE, FALSE, sizeof (AioTestEntry));
  start = collect (set, aio_load_full (&set->queue.head), entries, &behind);
  if (entries->len > 1)
    {
      watch->arrange (watch->arrange_data, (AioTestEntry *) entries->data, entries->len);
      relink (start, entries, behind);
    }
  g_array_unref (entries);
}

/* --- Looking and changing, in the home thread ------------------------------------------------- */

/* All bottom halves that were not deleted, then all one-shots and posts that are pending. */
void
aio_bh_set_list (AioBHSet     *set,
                 AioBHVisitor  visit,
                 gpointer      data)
{
  AioEntry entry;

  aio_home_lock (&set->anchor->home);
  for (AioBH *bh = set->first; bh != NULL; bh = bh->next)
    if (aio_load_acquire (&bh->life) == AIO_BH_LIVE)
      visit (data, bh, bh->name, aio_load_acquire (&bh->state));
  aio_home_unlock (&set->anchor->home);

  for (entry = aio_queue_next (set->queue.tail); entry != 0;
       entry = aio_queue_next (aio_entry_node (entry)))
    {
      AioOneshot *oneshot = (AioOneshot *) aio_entry_node (entry);

      if (aio_entry_kind (entry) == AIO_ENTRY_ONESHOT && oneshot->func != NULL)
        visit (data, NULL, oneshot->u.name, AIO_BH_NORMAL);
    }
}

static void
run_wrapped (gpointer data)
{
  Wrapped *wrapped = data;

  if (wrapped->before != NULL)
    wrapped->before (wrapped->before_data);
  wrapped->func (wrapped->data);
}

static void
drop_wrapped (gpointer data)
{
  Wrapped *wrapped = data;

  if (wrapped->destroy != NULL)
    wrapped->destroy (wrapped->data);
  g_free (wrapped->before_data);
  g_free (wrapped);
}

/* Before each run of the bottom half this is called, in place of what was given here before. The
 * data is freed with g_free(). */
void
aio_bh_wrap (AioBH     *bh,
             AioBHFunc  before,
             gpointer   data)
{
  Wrapped *wrapped = bh->data;

  if (bh->func != run_wrapped)
    {
      wrapped = g_new0 (Wrapped, 1);
      *wrapped = (Wrapped) { bh->func, bh->data, bh->destroy, NULL, NULL };
      bh->func = run_wrapped;
      bh->data = wrapped;
      bh->destroy = drop_wrapped;
    }
  g_free (wrapped->before_data);
  wrapped->before = before;
  wrapped->before_data = data;
}
