/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-bh.h>
#include <aioctx-gsource/aio-compat-private.h>
#include <aioctx-gsource/aio-context-private.h>

#define NS_PER_MS 1000000

/* Runs the callback here and now, scheduled or not. The public interface has no such thing, because
 * a callback there always runs in a pass. The callback may delete the bottom half. */
void
aio_compat_call_bh (AioBH *bh)
{
  bh->func (bh->data);
}

static gint64
timeout_of_bhs (AioContext *context)
{
  guint32 timeout_ms = G_MAXUINT32;

  aio_bh_update_timeout (context, &timeout_ms);
  return timeout_ms == G_MAXUINT32 ? -1 : (gint64) timeout_ms * NS_PER_MS;
}

/* How long the context could sleep, in nanoseconds, -1 for ever. Only asks: who goes to sleep calls
 * aio_context_get_timeout_ns(), which marks the context as asleep and takes a notification. */
gint64
aio_compat_ask_timeout (AioContext *context)
{
  gint64 timeout = timeout_of_bhs (context);

  for (guint clock = 0; clock < AIO_N_CLOCKS && timeout != 0; clock++)
    {
      gint64 earliest = aio_timer_set_earliest (context->timers, clock);
      gint64 now, left;

      if (earliest == AIO_TIMER_NEVER)
        continue;
      now = aio_timer_set_now (context->timers, clock);
      left = earliest <= now ? 0 : earliest - now;
      timeout = timeout < 0 ? left : MIN (timeout, left);
    }
  return timeout;
}
