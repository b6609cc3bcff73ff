/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Handlers of the main loop. Most are handlers of a context of their own and nothing more. One with
 * a can-read predicate is watched for input only while the predicate says so, and it is asked
 * before each wait of the default GMainContext, by a source that does nothing else. */
#include "aio-qemu-private.h"

#include <aioctx-gsource/aio-atomic-private.h>

typedef struct
{
  /* Immutable. */
  int fd;
  IOCanReadHandler *can_read;
  IOHandler *io_read;
  IOHandler *io_write;
  void *opaque;

  /* Atomic, any thread. */
  _Atomic (guint) refs;
  _Atomic (gboolean) removed;

  /* The thread of the main loop only, once it is in the table. */
  bool reads;                   /* watched for input */
} Record;

/* Guards what follows; a leaf. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static AioContext *context;
static GHashTable *records;
static guint n_predicates;

static void
record_unref (gpointer data)
{
  Record *record = data;

  /* Pairs with itself: the last one sees what all others did to the record. */
  if (aio_fetch_sub_full (&record->refs, 1) == 1)
    g_free (record);
}

/* Relaxed would do for one that there is already, but the header has no such addition. */
static Record *
record_ref (Record *record)
{
  aio_fetch_add_full (&record->refs, 1);
  return record;
}

/* --- Watching --------------------------------------------------------------------------------- */

static void
on_read (gpointer data)
{
  Record *record = data;

  /* It may have changed its mind since the wait began. */
  if (record->can_read == NULL || record->can_read (record->opaque) > 0)
    record->io_read (record->opaque);
}

static void
on_write (gpointer data)
{
  Record *record = data;

  record->io_write (record->opaque);
}

static bool
watch (Record  *record,
       GError **error)
{
  if (!record->reads && record->io_write == NULL)
    {
      aio_context_set_fd_handler (context, record->fd, NULL, NULL, NULL);
      return true;
    }
  if (aio_context_set_fd_handler_full (context, record->fd, record->reads ? on_read : NULL,
                                       record->io_write != NULL ? on_write : NULL, NULL, NULL,
                                       record_ref (record), record_unref, error))
    return true;
  record_unref (record);
  return false;
}

/* All that are there, or those with a predicate; with references. */
static GPtrArray *
list_records (bool only_predicates)
{
  GPtrArray *list = g_ptr_array_new_with_free_func (record_unref);
  GHashTableIter iter;
  gpointer value;

  pthread_mutex_lock (&table_lock);
  if (records != NULL && (!only_predicates || n_predicates != 0))
    {
      g_hash_table_iter_init (&iter, records);
      while (g_hash_table_iter_next (&iter, NULL, &value))
        if (!only_predicates || ((Record *) value)->can_read != NULL)
          g_ptr_array_add (list, record_ref (value));
    }
  pthread_mutex_unlock (&table_lock);
  return list;
}

/* Relaxed, as in replace(): who removes it from another thread may come too late anyway. */
static bool
is_removed (Record *record)
{
  return aio_load_relaxed (&record->removed);
}

static void
ask_all (void)
{
  GPtrArray *list = list_records (true);

  for (guint i = 0; i < list->len; i++)
    {
      Record *record = list->pdata[i];
      bool reads;

      if (is_removed (record))
        continue;
      reads = record->io_read != NULL && record->can_read (record->opaque) > 0;
      if (reads == record->reads || is_removed (record))
        continue;
      record->reads = reads;
      watch (record, NULL);
    }
  g_ptr_array_unref (list);
}

/* Of a higher priority than the context's source: GLib prepares it before that one. */
static gboolean
prepare (GSource *source,
         int     *timeout)
{
  *timeout = -1;
  ask_all ();
  return FALSE;
}

static gboolean
check (GSource *source)
{
  return FALSE;
}

static gboolean
dispatch (GSource     *source,
          GSourceFunc  callback,
          gpointer     user_data)
{
  return G_SOURCE_CONTINUE;
}

static void
attach_asker (void)
{
  static GSourceFuncs funcs = { prepare, check, dispatch, NULL, NULL, NULL };
  GSource *source = g_source_new (&funcs, sizeof (GSource));

  g_source_set_name (source, "[AioContext] qemu-io-handler predicates");
  g_source_set_priority (source, G_PRIORITY_HIGH);
  g_source_attach (source, NULL);
  g_source_unref (source);
}

AioContext *
aio_qemu_io_handler_context (void)
{
  AioContext *ctx;

  pthread_mutex_lock (&table_lock);
  if (context == NULL)
    {
      attach_asker ();
      context = aio_context_new_full ("qemu-io-handler", NULL);
      if (context == NULL)
        g_error ("There is no descriptor left for the main loop");
      aio_context_attach (context, NULL);
    }
  ctx = context;
  pthread_mutex_unlock (&table_lock);
  return ctx;
}

/* --- The table -------------------------------------------------------------------------------- */

static void
replace (int     fd,
         Record *record)
{
  Record *former;

  pthread_mutex_lock (&table_lock);
  if (records == NULL)
    records = g_hash_table_new_full (NULL, NULL, NULL, record_unref);
  former = g_hash_table_lookup (records, GINT_TO_POINTER (fd));
  if (former != NULL)
    {
      aio_store_relaxed (&former->removed, TRUE);       /* see is_removed() */
      n_predicates -= former->can_read != NULL;
      g_hash_table_remove (records, GINT_TO_POINTER (fd));
    }
  if (record != NULL)
    {
      n_predicates += record->can_read != NULL;
      g_hash_table_insert (records, GINT_TO_POINTER (fd), record_ref (record));
    }
  pthread_mutex_unlock (&table_lock);
}

static int
add (Record *record)
{
  GError *error = NULL;

  if (watch (record, &error))
    {
      replace (record->fd, record);
      return 0;
    }
  if (error != NULL)
    g_critical ("qemu_set_fd_handler2: %s", error->message);
  g_clear_error (&error);
  return -EIO;
}

int
aio_qemu_add_io_handler (int               fd,
                         IOCanReadHandler *fd_read_poll,
                         IOHandler        *fd_read,
                         IOHandler        *fd_write,
                         void             *opaque)
{
  Record *record;
  int ret;

  aio_qemu_io_handler_context ();
  if (fd_read == NULL && fd_write == NULL)
    {
      replace (fd, NULL);
      aio_context_set_fd_handler (context, fd, NULL, NULL, NULL);
      return 0;
    }
  record = g_new0 (Record, 1);
  record->fd = fd;
  record->can_read = fd_read_poll;
  record->io_read = fd_read;
  record->io_write = fd_write;
  record->opaque = opaque;
  aio_store_relaxed (&record->refs, 1);         /* nobody else knows it yet */
  /* With a predicate not before it was asked. */
  record->reads = fd_read != NULL && fd_read_poll == NULL;
  ret = add (record);
  record_unref (record);
  if (fd_read_poll != NULL)
    aio_context_notify (context);
  return ret;
}

/* --- Loops of one's own ----------------------------------------------------------------------- */

static bool
wants_read (Record *record)
{
  return record->io_read != NULL &&
         (record->can_read == NULL || record->can_read (record->opaque) > 0);
}

static void
run_ready (Record *record,
           bool    readable,
           bool    writable)
{
  if (readable && record->io_read != NULL && !is_removed (record))
    record->io_read (record->opaque);
  if (writable && record->io_write != NULL && !is_removed (record))
    record->io_write (record->opaque);
}

void
aio_qemu_io_handlers_fill (int    *pnfds,
                           fd_set *readfds,
                           fd_set *writefds,
                           fd_set *xfds)
{
  GPtrArray *list = list_records (false);

  for (guint i = 0; i < list->len; i++)
    {
      Record *record = list->pdata[i];

      if (record->fd >= FD_SETSIZE)
        continue;
      if (wants_read (record))
        {
          FD_SET (record->fd, readfds);
          *pnfds = MAX (*pnfds, record->fd);
        }
      if (record->io_write != NULL)
        {
          FD_SET (record->fd, writefds);
          *pnfds = MAX (*pnfds, record->fd);
        }
    }
  g_ptr_array_unref (list);
}

void
aio_qemu_io_handlers_poll (fd_set *readfds,
                           fd_set *writefds,
                           fd_set *xfds,
                           int     ret)
{
  GPtrArray *list;

  if (ret <= 0)
    return;
  list = list_records (false);
  for (guint i = 0; i < list->len; i++)
    {
      Record *record = list->pdata[i];

      if (record->fd < FD_SETSIZE)
        run_ready (record, FD_ISSET (record->fd, readfds), FD_ISSET (record->fd, writefds));
    }
  g_ptr_array_unref (list);
}

void
aio_qemu_io_handlers_fill_array (GArray *pollfds)
{
  GPtrArray *list = list_records (false);

  for (guint i = 0; i < list->len; i++)
    {
      Record *record = list->pdata[i];
      GPollFD polled = { record->fd, 0, 0 };

      if (wants_read (record))
        polled.events |= G_IO_IN | G_IO_HUP | G_IO_ERR;
      if (record->io_write != NULL)
        polled.events |= G_IO_OUT | G_IO_ERR;
      if (polled.events != 0)
        g_array_append_val (pollfds, polled);
    }
  g_ptr_array_unref (list);
}

static guint
events_of (GArray *pollfds,
           int     fd)
{
  for (guint i = 0; i < pollfds->len; i++)
    {
      GPollFD *polled = &g_array_index (pollfds, GPollFD, i);

      if (polled->fd == fd)
        return polled->revents & (polled->events | G_IO_HUP | G_IO_ERR);
    }
  return 0;
}

void
aio_qemu_io_handlers_poll_array (GArray *pollfds,
                                 int     ret)
{
  GPtrArray *list;

  if (ret <= 0)
    return;
  list = list_records (false);
  for (guint i = 0; i < list->len; i++)
    {
      Record *record = list->pdata[i];
      guint events = events_of (pollfds, record->fd);

      run_ready (record, events & (G_IO_IN | G_IO_HUP | G_IO_ERR), events & (G_IO_OUT | G_IO_ERR));
    }
  g_ptr_array_unref (list);
}

/* --- Event notifiers -------------------------------------------------------------------------- */

int
aio_qemu_notifier_set_handler (EventNotifier        *e,
                               EventNotifierHandler *handler)
{
  aio_qemu_set_event_notifier (aio_qemu_io_handler_context (), e, handler, NULL, NULL);
  return 0;
}
