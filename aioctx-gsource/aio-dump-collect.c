/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a dump tells, as a tree.
 *
 * First everything is copied, under the locks and with nothing but memory to allocate; then the
 * copy is made into a tree without any lock, because names of functions come from the dynamic
 * linker, which has locks of its own. Each part (bottom halves, descriptors, timers) is right in
 * itself; between two of them the home thread goes on. */
#include <aioctx-gsource/aio-dump-private.h>
#include <aioctx-gsource/aio-bh-watch-private.h>
#include <aioctx-gsource/aio-func-name-private.h>
#include <aioctx-gsource/aio-gio-private.h>
#include <aioctx-gsource/aio-introspect.h>
#include <aioctx-gsource/aio-oneshot-private.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_UNKNOWN G_GINT64_CONSTANT (-1)

typedef enum
{
  ITEM_RUNNING      = 1 << 0,   /* on the stack of the home thread */
  ITEM_PENDING      = 1 << 1,   /* a run is due */
  ITEM_PENDING_IDLE = 1 << 2,   /* only an idle one */
  ITEM_ARMED        = 1 << 3,   /* a timer */
  ITEM_CANCELLED    = 1 << 4,   /* nothing is due, but the entry is in the queue still */
  ITEM_BROKEN       = 1 << 5,   /* a descriptor that was closed too early */
  ITEM_DEAD         = 1 << 6    /* deleted, and not gone yet */
} ItemState;

/* One thing that a context has. */
typedef struct
{
  const char *kind;
  const char *name;             /* interned; NULL: it has none */
  AioBHFunc func;               /* whose address names it then; never called */
  gconstpointer address;
  guint state;                  /* of ItemState */
  int fd;                       /* -1: none */
  guint events;                 /* of poll(2) */
  gboolean counts_runs;
  guint64 runs;
  gint64 total_ns;
  gint64 longest_ns;
  gint64 scheduled_ns;          /* monotonic */
  const char *clock;            /* of a timer that is armed */
  gint64 deadline_ns;
  gint64 clock_ns;              /* what it shows now */
} Item;

/* A copy of a context. */
typedef struct
{
  gconstpointer address;
  char *name;
  gboolean forked;              /* the parent's: nothing else is told of it */
  AioContextStats stats;
  guint state;                  /* AioNotifyState */
  guint depth;
  int priority;
  guint max_callbacks;
  gint64 max_usec;
  gboolean profiles;
  gint64 now;                   /* monotonic, when the rest had been copied */

  /* Under the home lock. */
  gboolean home_locked;         /* somebody else has it: what follows is not known */
  gboolean attached;
  gboolean has_home;
  gboolean is_home;             /* it is this thread */
  int tid;
  gboolean logs_wakes;
  guint n_wakes;
  AioWake wakes[AIO_N_WAKES];
  gboolean knows_oneshots;

  gboolean fds_locked;
  gboolean timers_locked;
  GArray *items;                /* of Item */
} Shot;

/* --- The copy --------------------------------------------------------------------------------- */

static guint
bh_state (AioBH *bh)
{
  guint64 pending = aio_load_acquire (&bh->state);
  guint state = AIO_RUN_DEPTH (aio_load_acquire (&bh->run)) != 0 ? ITEM_RUNNING : 0;

  if (aio_load_acquire (&bh->life) != AIO_BH_LIVE)
    return state | ITEM_DEAD;
  if (pending & AIO_BH_BUSY)
    return state | ITEM_PENDING;
  if (pending & AIO_BH_PENDING)
    return state | ITEM_PENDING_IDLE;
  return pending != 0 ? state | ITEM_CANCELLED : state;
}

static void
copy_figures (Shot  *shot,
              AioBH *bh,
              Item  *item)
{
  AioBHFigures *figures = aio_load_acquire (&bh->figures);
  gint64 scheduled_ns;

  if (!shot->profiles || figures == NULL)
    return;
  item->total_ns = aio_load_relaxed (&figures->total_ns);
  item->longest_ns = aio_load_relaxed (&figures->longest_ns);
  scheduled_ns = aio_load_relaxed (&figures->scheduled_ns);
  if (scheduled_ns != 0 && item->state & (ITEM_PENDING | ITEM_PENDING_IDLE))
    item->scheduled_ns = scheduled_ns;
}

static void
copy_bh (Shot  *shot,
         AioBH *bh)
{
  Item item = { .kind = "bh", .name = bh->name, .func = bh->func, .address = bh,
                .state = bh_state (bh), .fd = -1, .counts_runs = TRUE,
                .runs = AIO_RUN_EPOCH (aio_load_acquire (&bh->run)), .total_ns = NS_UNKNOWN,
                .longest_ns = NS_UNKNOWN, .scheduled_ns = NS_UNKNOWN };

  copy_figures (shot, bh, &item);
  g_array_append_val (shot->items, item);
}

static void
copy_oneshot (Shot       *shot,
              AioOneshot *oneshot)
{
  Item item = { .kind = "oneshot", .name = oneshot->u.name,
                .func = aio_bh_watch_func (oneshot),
                .address = oneshot, .state = ITEM_PENDING, .fd = -1, .total_ns = NS_UNKNOWN,
                .longest_ns = NS_UNKNOWN, .scheduled_ns = NS_UNKNOWN };

  if (shot->profiles && oneshot->scheduled_ns != 0)
    item.scheduled_ns = oneshot->scheduled_ns;
  if (oneshot->func != NULL)
    g_array_append_val (shot->items, item);
}

/* Only the home thread may follow the queue: it is the one that frees what is in it. While there is
 * none, nobody becomes it without the lock. */
static void
copy_oneshots_locked (Shot     *shot,
                      AioBHSet *set)
{
  shot->knows_oneshots = TRUE;
  for (AioEntry entry = aio_queue_next (set->queue.tail); entry != 0;
       entry = aio_queue_next (aio_entry_node (entry)))
    if (aio_entry_kind (entry) == AIO_ENTRY_ONESHOT)
      copy_oneshot (shot, (AioOneshot *) aio_entry_node (entry));
}

static void
copy_home_locked (Shot       *shot,
                  AioContext *context)
{
  AioHome *home = &context->anchor->home;

  shot->attached = context->attachment != NULL;
  shot->has_home = aio_load_relaxed (&home->thread) != 0;
  shot->is_home = aio_home_is_self (home);
  shot->tid = aio_load_relaxed (&home->tid);
  shot->logs_wakes = context->wakes != NULL;
  shot->n_wakes = aio_context_list_wakes (context, shot->wakes, AIO_N_WAKES);
}

/* The newest bottom half is first in the list. */
static void
reverse (GArray *items)
{
  for (guint i = 0; i < items->len / 2; i++)
    {
      Item *first = &g_array_index (items, Item, i);
      Item *last = &g_array_index (items, Item, items->len - 1 - i);
      Item kept = *first;

      *first = *last;
      *last = kept;
    }
}

static void
copy_home (Shot       *shot,
           AioContext *context)
{
  AioHome *home = &context->anchor->home;

  shot->home_locked = !aio_home_try_lock (home);
  if (shot->home_locked)
    return;
  copy_home_locked (shot, context);
  for (AioBH *bh = context->bhs.first; bh != NULL; bh = bh->next)
    copy_bh (shot, bh);
  reverse (shot->items);
  if (shot->is_home || !shot->has_home)
    copy_oneshots_locked (shot, &context->bhs);
  aio_home_unlock (home);
}

static void
copy_fd (gpointer            data,
         const AioFdHandler *handler)
{
  Shot *shot = data;
  AioFdFunc func = handler->on_read != NULL ? handler->on_read : handler->on_write;
  gboolean is_notifier = aio_context_is_notifier (handler, &func);
  Item item = { .kind = is_notifier ? "notifier" : "fd", .func = func, .address = handler,
                .fd = handler->fd, .counts_runs = TRUE,
                .events = aio_fd_handler_events ((AioFdHandler *) handler),
                .runs = aio_load_relaxed (&handler->n_runs), .total_ns = NS_UNKNOWN,
                .longest_ns = NS_UNKNOWN, .scheduled_ns = NS_UNKNOWN };

  if (!is_notifier && aio_gio_find_func (handler, &func))
    item.func = func;
  item.state = (aio_load_relaxed (&handler->depth) != 0 ? ITEM_RUNNING : 0) |
               (aio_load_relaxed (&handler->ready) != 0 ? ITEM_PENDING : 0) |
               (handler->broken ? ITEM_BROKEN : 0);
  if (shot->profiles)
    {
      item.total_ns = aio_load_relaxed (&handler->total_ns);
      item.longest_ns = aio_load_relaxed (&handler->longest_ns);
    }
  g_array_append_val (shot->items, item);
}

static void
copy_timer (gpointer            data,
            const AioTimerNode *timer)
{
  static const char *clocks[] = { "monotonic", "boottime", "realtime", "virtual" };
  Shot *shot = data;
  Item item = { .kind = "timer", .name = timer->name, .func = timer->func, .address = timer,
                .fd = -1, .counts_runs = TRUE, .runs = timer->n_runs, .total_ns = NS_UNKNOWN,
                .longest_ns = shot->profiles ? timer->longest_ns : NS_UNKNOWN,
                .scheduled_ns = NS_UNKNOWN };

  item.state = (aio_timer_is_running (timer) ? ITEM_RUNNING : 0) |
               (timer->state == AIO_TIMER_DUE ? ITEM_PENDING : 0) |
               (timer->state == AIO_TIMER_ARMED ? ITEM_ARMED : 0) |
               (timer->freed ? ITEM_DEAD : 0);
  if (timer->state != AIO_TIMER_IDLE)
    {
      item.clock = clocks[timer->clock];
      item.deadline_ns = timer->deadline;
      item.clock_ns = aio_timer_set_now (timer->set, timer->clock);
    }
  g_array_append_val (shot->items, item);
}

static int
compare_fds (gconstpointer a,
             gconstpointer b)
{
  return ((const Item *) a)->fd - ((const Item *) b)->fd;
}

static int
compare_timers (gconstpointer a,
                gconstpointer b)
{
  const Item *left = a, *right = b;
  int by_clock = g_strcmp0 (left->clock, right->clock);

  if (by_clock != 0)
    return by_clock;
  if (left->deadline_ns != right->deadline_ns)
    return left->deadline_ns < right->deadline_ns ? -1 : 1;
  return left->address < right->address ? -1 : 1;
}

static void
sort_from (GArray       *items,
           guint         first,
           GCompareFunc  compare)
{
  if (items->len > first)
    qsort (&g_array_index (items, Item, first), items->len - first, sizeof (Item), compare);
}

/* What needs no lock. */
static void
copy_words (Shot       *shot,
            AioContext *context)
{
  aio_context_get_stats (context, &shot->stats, sizeof shot->stats);
  shot->state = aio_load_relaxed (&context->anchor->notify.state);
  shot->depth = aio_load_relaxed (&context->anchor->home.depth);
  shot->priority = aio_load_relaxed (&context->priority);
  shot->max_callbacks = aio_load_relaxed (&context->max_callbacks);
  shot->max_usec = aio_load_relaxed (&context->max_usec);
  shot->profiles = aio_meter_profiles (&context->meter);
}

/* Any thread. */
static Shot *
shot_new (AioContext *context)
{
  Shot *shot = g_new0 (Shot, 1);
  guint first;

  shot->address = context;
  shot->name = g_utf8_make_valid (context->anchor->name, -1);
  shot->items = g_array_new (FALSE, FALSE, sizeof (Item));
  shot->forked = aio_anchor_is_forked (context->anchor);
  if (shot->forked)
    return shot;

  copy_words (shot, context);
  copy_home (shot, context);
  first = shot->items->len;
  shot->fds_locked = !aio_fd_set_try_list (&context->fds, copy_fd, shot);
  sort_from (shot->items, first, compare_fds);
  first = shot->items->len;
  shot->timers_locked = !aio_timer_set_try_list (context->timers, copy_timer, shot);
  sort_from (shot->items, first, compare_timers);
  shot->now = aio_meter_now ();
  return shot;
}

static void
shot_free (Shot *shot)
{
  g_array_unref (shot->items);
  g_free (shot->name);
  g_free (shot);
}

/* --- The tree --------------------------------------------------------------------------------- */

static void
add (GVariantBuilder *tree,
     const char      *key,
     GVariant        *value)
{
  g_variant_builder_add (tree, "{sv}", key, value);
}

static void
add_if (GVariantBuilder    *tree,
        const char         *key,
        const GVariantType *type,
        gboolean            known,
        GVariant           *value)
{
  g_variant_ref_sink (value);
  add (tree, key, g_variant_new_maybe (type, known ? value : NULL));
  g_variant_unref (value);
}

static void
add_ns (GVariantBuilder *tree,
        const char      *key,
        gint64           ns)
{
  add_if (tree, key, G_VARIANT_TYPE_INT64, ns != NS_UNKNOWN, g_variant_new_int64 (ns));
}

static void
add_string (GVariantBuilder *tree,
            const char      *key,
            const char      *string)
{
  char *valid = string != NULL ? g_utf8_make_valid (string, -1) : NULL;

  add_if (tree, key, G_VARIANT_TYPE_STRING, valid != NULL,
          g_variant_new_string (valid != NULL ? valid : ""));
  g_free (valid);
}

static void
add_address (GVariantBuilder *tree,
             gconstpointer    address)
{
  char *text = g_strdup_printf ("0x%" G_GINTPTR_MODIFIER "x", (guintptr) address);

  add (tree, "address", g_variant_new_take_string (text));
}

/* "running+pending": what is on the stack may be due again. */
static GVariant *
state_of (const Item *item)
{
  static const char *names[] = { "running", "pending", "pending-idle", "armed", "cancelled",
                                 "broken", "dead" };
  GString *state = g_string_new (NULL);
  GVariant *value;

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (item->state & 1u << i)
      g_string_append_printf (state, "%s%s", state->len != 0 ? "+" : "", names[i]);
  value = g_variant_new_string (state->len != 0 ? state->str : "resting");
  g_string_free (state, TRUE);
  return value;
}

static gboolean
is_wake_of (const AioWake *wake,
            const Item    *item,
            const char    *name)
{
  if (wake->reason == AIO_WAKE_FD)
    return wake->fd == item->fd && item->fd >= 0;
  if (wake->reason == AIO_WAKE_BH && strcmp (item->kind, "bh") != 0)
    return FALSE;
  if (wake->reason == AIO_WAKE_TIMER && strcmp (item->kind, "timer") != 0)
    return FALSE;
  return wake->name != NULL && g_strcmp0 (wake->name, name) == 0;
}

/* When it woke the context last, as far as that is remembered. */
static gint64
last_wake (const Shot *shot,
           const Item *item,
           const char *name)
{
  for (guint i = 0; i < shot->n_wakes; i++)
    if (is_wake_of (&shot->wakes[i], item, name))
      return shot->now - shot->wakes[i].time_ns;
  return NS_UNKNOWN;
}

static void
add_deadline (GVariantBuilder *tree,
              const Item      *item)
{
  gboolean armed = item->clock != NULL;

  add_string (tree, "clock", item->clock);
  add_if (tree, "deadline_ns", G_VARIANT_TYPE_INT64, armed,
          g_variant_new_int64 (item->deadline_ns));
  add_if (tree, "due_in_ns", G_VARIANT_TYPE_INT64, armed,
          g_variant_new_int64 (item->deadline_ns - item->clock_ns));
}

static void
add_events (GVariantBuilder *tree,
            const Item      *item)
{
  if (item->fd < 0)
    return;
  add (tree, "fd", g_variant_new_int32 (item->fd));
  add (tree, "read", g_variant_new_boolean ((item->events & G_IO_IN) != 0));
  add (tree, "write", g_variant_new_boolean ((item->events & G_IO_OUT) != 0));
}

static GVariant *
item_tree (const Shot *shot,
           const Item *item)
{
  const char *function = aio_func_name (item->func);
  const char *name = item->name != NULL ? item->name : function;
  GVariantBuilder tree;

  g_variant_builder_init (&tree, G_VARIANT_TYPE_VARDICT);
  add (&tree, "kind", g_variant_new_string (item->kind));
  add_string (&tree, "name", name);
  add_events (&tree, item);
  add (&tree, "state", state_of (item));
  add_if (&tree, "runs", G_VARIANT_TYPE_UINT64, item->counts_runs,
          g_variant_new_uint64 (item->runs));
  add_ns (&tree, "total_ns", item->total_ns);
  add_ns (&tree, "longest_ns", item->longest_ns);
  add_ns (&tree, "waits_ns", item->scheduled_ns != NS_UNKNOWN ? shot->now - item->scheduled_ns
                                                              : NS_UNKNOWN);
  if (strcmp (item->kind, "timer") == 0)
    add_deadline (&tree, item);
  add_ns (&tree, "woke_ago_ns", last_wake (shot, item, name));
  add_string (&tree, "function", function);
  add_address (&tree, item->address);
  return g_variant_builder_end (&tree);
}

static GVariant *
items_tree (const Shot *shot)
{
  GVariantBuilder tree;

  g_variant_builder_init (&tree, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < shot->items->len; i++)
    g_variant_builder_add_value (&tree, item_tree (shot, &g_array_index (shot->items, Item, i)));
  return g_variant_builder_end (&tree);
}

static GVariant *
wake_tree (const Shot    *shot,
           const AioWake *wake)
{
  static const char *reasons[] = { "other", "bh", "fd", "timer", "notify" };
  GVariantBuilder tree;

  g_variant_builder_init (&tree, G_VARIANT_TYPE_VARDICT);
  add_ns (&tree, "ago_ns", MAX (shot->now - wake->time_ns, 0));
  add (&tree, "reason", g_variant_new_string (reasons[wake->reason]));
  add_string (&tree, "name", wake->name);
  add_if (&tree, "fd", G_VARIANT_TYPE_INT32, wake->fd >= 0, g_variant_new_int32 (wake->fd));
  return g_variant_builder_end (&tree);
}

static GVariant *
wakes_tree (const Shot *shot)
{
  GVariantBuilder tree;

  g_variant_builder_init (&tree, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < shot->n_wakes; i++)
    g_variant_builder_add_value (&tree, wake_tree (shot, &shot->wakes[i]));
  return g_variant_builder_end (&tree);
}

static GVariant *
histogram_tree (const guint64 *buckets)
{
  return g_variant_new_fixed_array (G_VARIANT_TYPE_UINT64, buckets, AIO_STATS_BUCKETS,
                                    sizeof *buckets);
}

static void
add_stats (GVariantBuilder *tree,
           const Shot      *shot)
{
  const AioContextStats *stats = &shot->stats;
  GVariantType *histogram = g_variant_type_new ("at");

  add (tree, "iterations", g_variant_new_uint64 (stats->iterations));
  add (tree, "passes", g_variant_new_uint64 (stats->passes));
  add (tree, "runs", g_variant_new_uint64 (stats->runs));
  add (tree, "wakeups_sent", g_variant_new_uint64 (stats->wakeups_sent));
  add (tree, "wakeups_saved", g_variant_new_uint64 (stats->wakeups_saved));
  add (tree, "cancels", g_variant_new_uint64 (stats->cancels));
  add (tree, "max_depth", g_variant_new_uint64 (stats->max_depth));
  add (tree, "slow_callbacks", g_variant_new_uint64 (stats->slow_callbacks));
  add_if (tree, "schedules", G_VARIANT_TYPE_UINT64, shot->profiles,
          g_variant_new_uint64 (stats->schedules));
  add_if (tree, "coalesced", G_VARIANT_TYPE_UINT64, shot->profiles,
          g_variant_new_uint64 (stats->coalesced));
  add_if (tree, "latency", histogram, shot->profiles, histogram_tree (stats->latency));
  add_if (tree, "run_time", histogram, shot->profiles, histogram_tree (stats->run_time));
  g_variant_type_free (histogram);
}

static void
add_home (GVariantBuilder *tree,
          const Shot      *shot)
{
  gboolean known = !shot->home_locked;

  add_if (tree, "attached", G_VARIANT_TYPE_BOOLEAN, known, g_variant_new_boolean (shot->attached));
  add_if (tree, "has_home_thread", G_VARIANT_TYPE_BOOLEAN, known,
          g_variant_new_boolean (shot->has_home));
  add_if (tree, "home_thread", G_VARIANT_TYPE_INT32, known && shot->tid != 0,
          g_variant_new_int32 (shot->tid));
  add_if (tree, "in_home_thread", G_VARIANT_TYPE_BOOLEAN, known,
          g_variant_new_boolean (shot->is_home));
}

/* Of which parts somebody has kept the lock. */
static GVariant *
locked_tree (const Shot *shot)
{
  GVariantBuilder tree;

  g_variant_builder_init (&tree, G_VARIANT_TYPE_STRING_ARRAY);
  if (shot->home_locked)
    g_variant_builder_add (&tree, "s", "bottom halves");
  if (shot->fds_locked)
    g_variant_builder_add (&tree, "s", "descriptors");
  if (shot->timers_locked)
    g_variant_builder_add (&tree, "s", "timers");
  return g_variant_builder_end (&tree);
}

static void
add_all (GVariantBuilder *tree,
         const Shot      *shot)
{
  static const char *states[] = { [AIO_NOTIFY_AWAKE] = "awake", [AIO_NOTIFY_ASLEEP] = "asleep",
                                  [AIO_NOTIFY_NOTIFIED] = "notified" };

  add (tree, "state", g_variant_new_string (states[shot->state]));
  add (tree, "depth", g_variant_new_uint32 (shot->depth));
  add_home (tree, shot);
  add (tree, "priority", g_variant_new_int32 (shot->priority));
  add (tree, "max_callbacks", g_variant_new_uint32 (shot->max_callbacks));
  add (tree, "max_usec", g_variant_new_int64 (shot->max_usec));
  add (tree, "profiling", g_variant_new_boolean (shot->profiles));
  add_stats (tree, shot);
  add (tree, "locked", locked_tree (shot));
  add (tree, "knows_oneshots", g_variant_new_boolean (shot->knows_oneshots));
  add (tree, "items", items_tree (shot));
  add_if (tree, "wakes", G_VARIANT_TYPE ("aa{sv}"), shot->logs_wakes, wakes_tree (shot));
}

static GVariant *
shot_tree (const Shot *shot)
{
  GVariantBuilder tree;

  g_variant_builder_init (&tree, G_VARIANT_TYPE_VARDICT);
  add_string (&tree, "name", shot->name);
  add_address (&tree, shot->address);
  add (&tree, "forked", g_variant_new_boolean (shot->forked));
  if (!shot->forked)
    add_all (&tree, shot);
  return g_variant_builder_end (&tree);
}

/* Any thread. */
GVariant *
aio_dump_collect_context (AioContext *context)
{
  Shot *shot = shot_new (context);
  GVariant *tree = g_variant_ref_sink (shot_tree (shot));

  shot_free (shot);
  return tree;
}

static void
add_shot (gpointer    data,
          AioContext *context)
{
  if (!aio_load_relaxed (&context->is_own))
    g_ptr_array_add (data, shot_new (context));
}

/* The list has the oldest last. */
static GVariant *
shots_tree (GPtrArray *shots)
{
  GVariantBuilder tree;

  g_variant_builder_init (&tree, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = shots->len; i > 0; i--)
    g_variant_builder_add_value (&tree, shot_tree (shots->pdata[i - 1]));
  return g_variant_builder_end (&tree);
}

static GVariant *
time_tree (void)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();

  return g_variant_new_take_string (g_date_time_format (now, "%Y-%m-%dT%H:%M:%S.%fZ"));
}

static const char *
program_name (void)
{
  const char *name = g_get_prgname ();

#ifdef __linux__
  if (name == NULL)
    name = program_invocation_short_name;
#endif
  return name;
}

/* Any thread. */
GVariant *
aio_dump_collect_all (void)
{
  GPtrArray *shots = g_ptr_array_new_with_free_func ((GDestroyNotify) shot_free);
  GVariantBuilder tree;
  gboolean listed = aio_context_for_each (add_shot, shots);

  g_variant_builder_init (&tree, G_VARIANT_TYPE_VARDICT);
  add (&tree, "time", time_tree ());
  add (&tree, "pid", g_variant_new_int32 (getpid ()));
  add_string (&tree, "program", program_name ());
  add_if (&tree, "contexts", G_VARIANT_TYPE ("aa{sv}"), listed, shots_tree (shots));
  g_ptr_array_unref (shots);
  return g_variant_ref_sink (g_variant_builder_end (&tree));
}
