/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/testing/aio-testing-private.h>

#include <string.h>

const AioTestHooks *hooks;

static void
kit_free (gpointer data)
{
  Kit *kit = data;

  g_clear_pointer (&kit->producers, g_hash_table_unref);
  g_free (kit);
}

/* The path of the test case that is running is a name that every reader of a report knows. */
static AioContext *
make_context (void)
{
  const char *name = g_test_initialized () ? g_test_get_path () : "";
  GError *error = NULL;
  AioContext *context = aio_context_new_full (name[0] != '\0' ? name : "testing", &error);

  if (context == NULL)
    g_error ("%s", error->message);
  return context;
}

/* The hooks change with each version, so one may not be mixed with another. */
static void
find_hooks (void)
{
  const AioTestHooks *found = aio__test_hooks ();

  if (strcmp (found->version, AIO_VERSION_S) != 0)
    g_error ("The g_test kit of aioctx-gsource %s cannot be used with aioctx-gsource %s",
             AIO_VERSION_S, found->version);
  hooks = found;
}

/**
 * aio_testing_context_new:
 *
 * Makes a context for a test. It has the name of the test case that is running.
 *
 * It works as any other but for its clocks. All of them are one virtual clock: a timer fires, and
 * [method@Aio.Context.get_time_ns] tells the time, by it, whatever #AioClock they were given. It
 * begins at 0, and time passes only in [func@testing_advance_ns], [func@testing_advance_to_next],
 * [func@testing_run_until], [func@testing_stall_ns] and bottom halves that are delayed; while the
 * callbacks of a timer run it stands at the deadline.
 *
 * Thread: any thread.
 *
 * Returns: (transfer full): the context
 *
 * Since: 1.0
 */
AioContext *
aio_testing_context_new (void)
{
  AioContext *context;
  Kit *kit;

  find_hooks ();
  context = make_context ();
  kit = g_new0 (Kit, 1);
  kit->context = context;
  hooks->adopt (context, kit, kit_free);
  return context;
}

/* NULL, with a critical warning, if it is not one of the kit's or not for this thread. */
Kit *
kit_of (AioContext *context,
        const char *where)
{
  Kit *kit;

  g_return_val_if_fail (context != NULL, NULL);

  kit = hooks != NULL ? hooks->get_data (context) : NULL;
  if (kit == NULL)
    g_critical ("%s: AioContext “%s” was not made by aio_testing_context_new()", where,
                aio_context_get_name (context));
  else if (hooks->may_act (context, where))
    return kit;
  return NULL;
}

gint64
kit_now (Kit *kit)
{
  return aio_context_get_time_ns (kit->context, AIO_CLOCK_VIRTUAL);
}

/* Never back: a callback may have moved it further than who called the callback wants it. */
void
kit_move_clock (Kit    *kit,
                gint64  now)
{
  if (now <= kit_now (kit))
    return;
  hooks->set_time_ns (kit->context, now);
  kit->n_clock_moves++;
}

/**
 * aio_testing_get_counters:
 * @context: a testing context
 * @counters: (out caller-allocates): where to store the figures
 * @size: the size of what @counters points to, `sizeof (AioTestingCounters)`
 *
 * Tells what has happened in the context so far.
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_testing_get_counters (AioContext         *context,
                          AioTestingCounters *counters,
                          gsize               size)
{
  AioTestingCounters all = { 0 };
  AioContextStats stats;
  Kit *kit = kit_of (context, G_STRFUNC);

  g_return_if_fail (counters != NULL);
  if (kit == NULL)
    return;

  aio_context_get_stats (context, &stats, sizeof stats);
  all.iterations = stats.iterations;
  all.runs = stats.runs;
  all.timer_runs = hooks->count_timers (context);
  all.clock_moves = kit->n_clock_moves;
  all.reordered = hooks->count_reordered (context);
  memset (counters, 0, size);
  memcpy (counters, &all, MIN (size, sizeof all));
}
