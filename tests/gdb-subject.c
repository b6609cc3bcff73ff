/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What test-gdb.py looks at: a program with one of each kind, which stops in a callback. */
#include <aioctx-gsource/aioctx-gsource.h>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct
{
  AioContext *context;
  AioBH *resting;
  AioBH *pending;
  AioBH *crashing;
  AioTimer *timer;
  AioTimer embedded;
  AioEventNotifier notifier;
  int fds[2];
} Subject;

static void
nothing (gpointer data)
{
}

static void
on_set (AioEventNotifier *notifier)
{
}

static void
on_crash (gpointer data)
{
  Subject *self = data;

  aio_bh_schedule (self->pending);
  aio_bh_schedule_oneshot_full (self->context, "one-shot", nothing, NULL, NULL);
  raise (SIGABRT);
  nothing (self);
}

static void
fill (Subject *self)
{
  self->resting = aio_bh_new_full (self->context, "quiet \"one\"\n", nothing, NULL, NULL);
  self->pending = aio_bh_new_full (self->context, "eager", nothing, NULL, NULL);
  self->crashing = aio_bh_new_full (self->context, "crashing", on_crash, self, NULL);
  if (pipe (self->fds) != 0 || !aio_event_notifier_init (&self->notifier, FALSE, NULL))
    exit (1);
  aio_context_set_fd_handler (self->context, self->fds[0], nothing, NULL, NULL);
  aio_context_set_event_notifier (self->context, &self->notifier, on_set, NULL, NULL);
  self->timer = aio_timer_new (self->context, AIO_CLOCK_VIRTUAL, nothing, NULL, NULL);
  aio_timer_set_name (self->timer, "on the heap");
  aio_timer_init (&self->embedded, self->context, AIO_CLOCK_VIRTUAL, nothing, NULL);
  aio_timer_set_name (&self->embedded, "embedded");
  aio_timer_mod_ns (&self->embedded, 1500000);
}

int
main (void)
{
  Subject self = { aio_context_new_full ("subject", NULL), NULL, NULL, NULL, NULL, { { 0 } },
                   { 0 }, { -1, -1 } };
  AioContext *other = aio_context_new_full ("other", NULL);

  fill (&self);
  aio_context_set_wake_log (self.context, TRUE);
  aio_bh_schedule (self.pending);
  aio_context_poll (self.context, FALSE);
  aio_context_get_timeout_ns (self.context);
  aio_context_dispatch (self.context);
  aio_context_get_timeout_ns (self.context);
  aio_bh_schedule (self.crashing);
  aio_context_dispatch (self.context);
  aio_context_unref (other);
  return 1;
}
