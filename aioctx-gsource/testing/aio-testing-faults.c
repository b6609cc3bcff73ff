/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes wrong in real life: a loop that is late, callbacks that take long, a system that has
 * nothing left to give. */
#include <aioctx-gsource/testing/aio-testing-private.h>
#include <aioctx-gsource/aio-atomic-private.h>

/* --- Delays ----------------------------------------------------------------------------------- */

static void
stall (Kit    *kit,
       gint64  duration_ns)
{
  gint64 now = kit_now (kit);

  kit_move_clock (kit, duration_ns < NEVER - now ? now + duration_ns : NEVER);
}

/**
 * aio_testing_stall_ns:
 * @context: a testing context
 * @duration_ns: for how long, in nanoseconds
 *
 * Lets virtual time pass and runs nothing meanwhile, as if the loop was held up. Timers that are
 * due by then are late: they fire together, and each finds the clock where it is now.
 *
 * In a callback: that callback takes so long.
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_testing_stall_ns (AioContext *context,
                      gint64      duration_ns)
{
  Kit *kit = kit_of (context, G_STRFUNC);

  g_return_if_fail (duration_ns >= 0);

  if (kit != NULL)
    stall (kit, duration_ns);
}

typedef struct
{
  Kit *kit;
  gint64 duration_ns;
} Delay;

static void
on_delay (gpointer data)
{
  Delay *delay = data;

  stall (delay->kit, delay->duration_ns);
}

/**
 * aio_testing_delay_bh:
 * @bh: a bottom half of a testing context
 * @delay_ns: how much, in nanoseconds; 0: no delay any more
 *
 * Lets each run of a bottom half begin that much later by the virtual clock, as if the system was
 * busy with something else. What comes after it is late as well: it keeps its place.
 *
 * Thread: home thread, and not in the callback of @bh.
 *
 * Since: 1.0
 */
void
aio_testing_delay_bh (AioBH  *bh,
                      gint64  delay_ns)
{
  AioContext *context;
  Kit *kit;
  Delay *delay;

  g_return_if_fail (bh != NULL);
  g_return_if_fail (delay_ns >= 0);

  context = aio_bh_get_context (bh);
  g_return_if_fail (context != NULL);
  kit = kit_of (context, G_STRFUNC);
  if (kit == NULL)
    return;
  delay = g_new (Delay, 1);
  *delay = (Delay) { kit, delay_ns };
  hooks->call_before (bh, on_delay, delay);
}

/* --- Failing creation ------------------------------------------------------------------------- */

/* Atomic, any thread: steps until the one that fails; 0: none does. */
static _Atomic (guint) steps_left;

/* Atomic, any thread: it has failed. */
static _Atomic (guint) has_failed;

/* Relaxed is enough for the first look: whoever has set it in another thread has to synchronise
 * with who creates things, or it does not matter which step fails. */
static gboolean
strike (void)
{
  guint left = aio_load_relaxed (&steps_left);

  while (left != 0)
    {
      if (!aio_compare_and_swap_full (&steps_left, &left, left - 1))
        continue;
      if (left != 1)
        return FALSE;
      /* Pairs with aio_testing_creation_failed(). */
      aio_store_release (&has_failed, TRUE);
      return TRUE;
    }
  return FALSE;
}

static void
stop_failing (gpointer unused)
{
  aio_exchange_full (&steps_left, 0);
  if (hooks != NULL)
    hooks->set_fault (NULL);
}

/**
 * aio_testing_fail_creation:
 * @nth: which one; 1: the next one; 0: none
 *
 * Lets the creation of something fail once, as if the system had no descriptor or no thread left.
 *
 * It is the @nth step from now on, in any thread and for any context, of making a context, an event
 * notifier or an I/O thread (which takes several), or of setting a descriptor handler. Who creates
 * it gets the #GError that the system's refusal would give.
 *
 * It is over at the end of the test case, at the latest.
 *
 * Thread: any thread.
 *
 * Since: 1.0
 */
void
aio_testing_fail_creation (guint nth)
{
  aio_exchange_full (&has_failed, FALSE);
  aio_exchange_full (&steps_left, nth);
  hooks = aio__test_hooks ();
  hooks->set_fault (nth != 0 ? strike : NULL);
  if (nth != 0 && g_test_initialized ())
    g_test_queue_destroy (stop_failing, NULL);
}

/**
 * aio_testing_creation_failed:
 *
 * Asks whether the failure that was ordered with [func@testing_fail_creation] has happened. So a
 * loop over 1, 2, 3… has tried each step in turn when this is %FALSE.
 *
 * Thread: any thread.
 *
 * Returns: whether it has happened since it was ordered
 *
 * Since: 1.0
 */
gboolean
aio_testing_creation_failed (void)
{
  /* Pairs with strike(). */
  return aio_load_acquire (&has_failed) != 0;
}
