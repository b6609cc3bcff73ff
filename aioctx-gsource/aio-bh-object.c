/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bottom halves that end with an object.
 *
 * What makes it safe, whatever thread drops the last reference to the object: for each run a weak
 * pointer is turned into a strong reference. Either that succeeds, and the object lives until the
 * callback has returned, or there is no run. And one weak notify for each object deletes its bottom
 * halves when it is disposed of.
 *
 * The notify stays until then, and is not removed with a bottom half: it may be about to be called
 * in another thread, or be on the stack, as when a widget is destroyed that somebody references. */
#include <aioctx-gsource/aio-atomic-private.h>
#include <aioctx-gsource/aio-bh-object.h>
#include <aioctx-gsource/aio-bh-private.h>
#include <aioctx-gsource/aio-bh.h>
#include <aioctx-gsource/aio-fork-private.h>

typedef struct _Guard Guard;

/* The bottom halves of one object. It is the object's data, and that of its weak notify. */
typedef struct
{
  /* Atomic, any thread. */
  _Atomic (guint) refs;

  /* Under the lock. */
  Guard *first;
  gboolean gone;                /* the notify has been called; the object may live on */
} Ward;

/* Data of a bottom half. */
struct _Guard
{
  /* Immutable. */
  GWeakRef object;
  AioBHFunc func;
  gpointer data;
  GDestroyNotify destroy;

  /* Atomic, any thread. */
  _Atomic (guint) gone;         /* the object is */

  /* Under the lock. */
  AioBH *bh;                    /* valid while in the list */
  Ward *ward;                   /* NULL: not in the list any more, or not yet */
  Guard *previous;
  Guard *next;
};

/* Guards all wards. Nothing of the user's is called while it is held. */
static pthread_mutex_t wards_lock = PTHREAD_MUTEX_INITIALIZER;

static void
lock_wards (void)
{
  pthread_mutex_lock (&wards_lock);
}

static void
unlock_wards (void)
{
  pthread_mutex_unlock (&wards_lock);
}

/* The child of a fork() gets the lock free. */
AIO_FORK_HANDLERS (lock_wards, unlock_wards, unlock_wards)

static void
ward_unref (gpointer data)
{
  Ward *ward = data;

  if (aio_fetch_sub_full (&ward->refs, 1) == 1)
    g_free (ward);
}

static void
link_locked (Guard *guard,
             Ward  *ward)
{
  guard->ward = ward;
  guard->next = ward->first;
  if (guard->next != NULL)
    guard->next->previous = guard;
  ward->first = guard;
}

static void
unlink_locked (Guard *guard)
{
  Ward *ward = g_steal_pointer (&guard->ward);

  if (ward == NULL)
    return;
  if (guard->previous != NULL)
    guard->previous->next = guard->next;
  else
    ward->first = guard->next;
  if (guard->next != NULL)
    guard->next->previous = guard->previous;
}

/* Takes one bottom half out, with a reference to it. Being in the list, it has not been destroyed,
 * so its context still has one. */
static AioBH *
take_one_locked (Ward *ward)
{
  Guard *guard = ward->first;

  if (guard == NULL)
    return NULL;
  unlink_locked (guard);
  aio_store_release (&guard->gone, TRUE);
  return aio_bh_ref (guard->bh);
}

static AioBH *
take_one (Ward *ward)
{
  AioBH *bh;

  lock_wards ();
  ward->gone = TRUE;
  bh = take_one_locked (ward);
  unlock_wards ();
  return bh;
}

/* Any thread. In a forked child there is nothing to delete. */
static void
on_object_gone (gpointer  data,
                GObject  *where_it_was)
{
  AioBH *bh;

  while ((bh = take_one (data)) != NULL)
    {
      if (!aio_anchor_is_forked (bh->anchor))
        aio_bh_delete (bh);
      aio_bh_unref (bh);
    }
  ward_unref (data);
}

/* An object that was disposed of, and is used again, gets another one. */
static Ward *
ensure_ward_locked (GObject *object)
{
  GQuark quark = g_quark_from_static_string ("aio-bh-ward");
  Ward *ward = g_object_get_qdata (object, quark);

  if (ward != NULL && !ward->gone)
    return ward;
  ward = g_new0 (Ward, 1);
  aio_store_relaxed (&ward->refs, 2);
  g_object_set_qdata_full (object, quark, ward, ward_unref);
  g_object_weak_ref (object, on_object_gone, ward);
  return ward;
}

/* The acquire pairs with take_one_locked(): disposed of elsewhere, though referenced still. */
static void
run (gpointer data)
{
  Guard *guard = data;
  GObject *object = g_weak_ref_get (&guard->object);

  if (object == NULL)
    return;
  if (!aio_load_acquire (&guard->gone))
    guard->func (guard->data);
  g_object_unref (object);
}

static void
on_bh_gone (gpointer data)
{
  Guard *guard = data;

  lock_wards ();
  unlink_locked (guard);
  unlock_wards ();
  if (guard->destroy != NULL)
    guard->destroy (guard->data);
  g_weak_ref_clear (&guard->object);
  g_free (guard);
}

static Guard *
guard_new (GObject        *object,
           AioBHFunc       func,
           gpointer        data,
           GDestroyNotify  destroy)
{
  Guard *guard = g_new0 (Guard, 1);

  g_weak_ref_init (&guard->object, object);
  guard->func = func;
  guard->data = data;
  guard->destroy = destroy;
  return guard;
}

/**
 * aio_bh_new_for_object: (skip)
 * @context: a context
 * @func: what to run
 * @object: an object, which is passed to @func
 *
 * Makes a bottom half that ends with an object: see [ctor@Aio.BH.new_for_object_full].
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: (transfer none): the bottom half; it belongs to the context until
 *   [method@Aio.BH.delete] or until @object is disposed of
 *
 * Since: 1.0
 */
AioBH *
aio_bh_new_for_object (AioContext *context,
                       AioBHFunc   func,
                       GObject    *object)
{
  return aio_bh_new_for_object_full (context, NULL, object, func, object, NULL);
}

/**
 * aio_bh_new_for_object_full: (constructor) (rename-to aio_bh_new_for_object)
 * @context: a context
 * @name: (nullable): a name for reports, else that of the type of @object; it is interned
 * @object: an object, a widget for instance
 * @func: (scope notified) (closure data) (destroy destroy): what to run
 * @data: passed to @func
 * @destroy: (nullable): called once with @data when the bottom half ends
 *
 * Makes a bottom half that never runs when @object is gone. When that is disposed of, in whatever
 * thread, it is deleted as by [method@Aio.BH.delete]. You may delete it earlier.
 *
 * It holds no reference to @object, save while it runs: @func may rely on it. If another thread
 * drops the last reference during the run, @object ends in the home thread, behind @func. So types
 * that must end in one thread want that one to be the home thread.
 *
 * The pointer is valid until @object or the context ends; who schedules from elsewhere takes a
 * reference with [method@Aio.BH.ref].
 *
 * (For one that keeps its object alive, hand [ctor@Aio.BH.new_full] a reference as data, and
 * g_object_unref() as destroy notify.)
 *
 * Thread: any thread. Not signal safe. The caller holds a reference to @object.
 *
 * Returns: (transfer none): the bottom half; it belongs to the context until
 *   [method@Aio.BH.delete] or until @object is disposed of
 *
 * Since: 1.0
 */
AioBH *
aio_bh_new_for_object_full (AioContext     *context,
                            const char     *name,
                            GObject        *object,
                            AioBHFunc       func,
                            gpointer        data,
                            GDestroyNotify  destroy)
{
  Guard *guard;
  AioBH *bh;

  g_return_val_if_fail (context != NULL, NULL);
  g_return_val_if_fail (G_IS_OBJECT (object), NULL);
  g_return_val_if_fail (func != NULL, NULL);

  guard = guard_new (object, func, data, destroy);
  if (name == NULL)
    name = G_OBJECT_TYPE_NAME (object);
  bh = aio_bh_new_full (context, name, run, guard, on_bh_gone);
  if (bh == NULL)
    {
      guard->destroy = NULL;
      on_bh_gone (guard);
      return NULL;
    }
  lock_wards ();
  guard->bh = bh;
  link_locked (guard, ensure_ward_locked (object));
  unlock_wards ();
  return bh;
}
