/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-meter-private.h>
#include <aioctx-gsource/aio-func-name-private.h>

#define NSEC_PER_SEC  G_GINT64_CONSTANT (1000000000)
#define NSEC_PER_MSEC G_GINT64_CONSTANT (1000000)

/* Of one context at most one message in this time, so that a flood of slow callbacks does not
 * become one of messages, which would be slow, too. */
#define NS_BETWEEN_MESSAGES NSEC_PER_SEC

void
aio_meter_init (AioMeter   *meter,
                AioContext *context,
                const char *context_name)
{
  meter->context = context;
  meter->context_name = context_name;
}

void
aio_meter_clear (AioMeter *meter)
{
  aio_meter_set_slow (meter, 0, NULL, NULL, NULL);
  g_free (aio_load_relaxed (&meter->figures));
}

static void
forget_durations (AioHistogram histogram)
{
  for (guint i = 0; i < AIO_METER_BUCKETS; i++)
    aio_store_relaxed (&histogram[i], 0);
}

/* The histograms begin anew. Release: pairs with the acquire of who reads them in another thread.
 */
static void
begin_figures (AioMeter *meter)
{
  AioMeterFigures *figures = aio_load_relaxed (&meter->figures);

  if (figures == NULL)
    {
      aio_store_release (&meter->figures, g_new0 (AioMeterFigures, 1));
      return;
    }
  forget_durations (figures->latency);
  forget_durations (figures->run_time);
}

/* Home thread. */
void
aio_meter_use (AioMeter    *meter,
               AioMeterUse  use,
               gboolean     on)
{
  guint uses = aio_load_relaxed (&meter->on);

  if (on && use == AIO_METER_PROFILE)
    begin_figures (meter);
  aio_store_relaxed (&meter->on, on ? uses | use : uses & ~(guint) use);
}

static AioSlowHook *
hook_new (AioSlowFunc     func,
          gpointer        data,
          GDestroyNotify  destroy)
{
  AioSlowHook *hook = g_new (AioSlowHook, 1);

  *hook = (AioSlowHook) { 1, func, data, destroy };
  return hook;
}

static void
hook_unref (AioSlowHook *hook)
{
  if (--hook->refs != 0)
    return;
  if (hook->destroy != NULL)
    hook->destroy (hook->data);
  g_free (hook);
}

/* Home thread. 0 ns: no report. */
void
aio_meter_set_slow (AioMeter       *meter,
                    gint64          slow_ns,
                    AioSlowFunc     func,
                    gpointer        data,
                    GDestroyNotify  destroy)
{
  AioSlowHook *former = meter->slow_hook;

  meter->slow_ns = slow_ns;
  meter->slow_hook = func != NULL || destroy != NULL ? hook_new (func, data, destroy) : NULL;
  aio_meter_use (meter, AIO_METER_SLOW, slow_ns > 0);
  if (former != NULL)
    hook_unref (former);
}

static void
count_duration (AioHistogram histogram,
                gint64       ns)
{
  guint bucket = ns > 0 ? g_bit_storage (ns) - 1 : 0;

  aio_count (&histogram[MIN (bucket, AIO_METER_BUCKETS - 1)], 1);
}

/* Before a callback; when it was scheduled, or 0 if nobody knows. Returns the time. */
gint64
aio_meter_begin (AioMeter *meter,
                 gint64    scheduled_ns)
{
  gint64 now = aio_meter_now ();

  if (scheduled_ns != 0 && aio_meter_profiles (meter))
    count_duration (aio_load_relaxed (&meter->figures)->latency, now - scheduled_ns);
  return now;
}

/* “bottom half “on_tick””, “handler of descriptor 7”. The caller frees it. */
char *
aio_work_describe (const AioWork *work)
{
  if (work->fd >= 0)
    return g_strdup_printf ("%s %d", work->kind, work->fd);
  return g_strdup_printf ("%s “%s”", work->kind,
                          work->name != NULL ? work->name : aio_func_name (work->func));
}

static void
say_slow (AioMeter   *meter,
          const char *what,
          gint64      ran_ns,
          gint64      now)
{
  if (meter->reported_ns != 0 && now - meter->reported_ns < NS_BETWEEN_MESSAGES)
    {
      meter->n_unsaid++;
      return;
    }
  if (meter->n_unsaid == 0)
    g_message ("AioContext “%s”: %s took %.3f ms", meter->context_name, what,
               (double) ran_ns / NSEC_PER_MSEC);
  else
    g_message ("AioContext “%s”: %s took %.3f ms (and %u more were slow since the last message)",
               meter->context_name, what, (double) ran_ns / NSEC_PER_MSEC, meter->n_unsaid);
  meter->n_unsaid = 0;
  meter->reported_ns = now;
}

/* The callback is over, and so is all that this thread needs to know of it; so the function that
 * is told may do whatever a callback may. It may have another one take its place: then its data
 * stays until it has returned. */
static void
report_slow (AioMeter      *meter,
             const AioWork *work,
             gint64         ran_ns,
             gint64         now)
{
  char *what = aio_work_describe (work);
  AioSlowHook *hook = meter->slow_hook;

  aio_count (&meter->n_slow, 1);
  if (hook != NULL && hook->func != NULL)
    {
      hook->refs++;
      hook->func (meter->context, what, ran_ns, hook->data);
      hook_unref (hook);
    }
  else
    say_slow (meter, what, ran_ns, now);
  g_free (what);
}

/* Behind a callback. Returns how long it has run: with all that it has iterated. */
gint64
aio_meter_end (AioMeter      *meter,
               const AioWork *work,
               gint64         began_ns)
{
  gint64 now = aio_meter_now ();
  gint64 ran_ns = now - began_ns;

  if (aio_meter_profiles (meter))
    count_duration (aio_load_relaxed (&meter->figures)->run_time, ran_ns);
  if (meter->slow_ns > 0 && ran_ns >= meter->slow_ns)
    report_slow (meter, work, ran_ns, now);
  return ran_ns;
}
