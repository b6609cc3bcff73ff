/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The context as a GSource. The source is a shell without any state but the way to its context.
 *
 * Who owns whom, without a circle: the context owns its shell; the shell's pointer back is no
 * reference. Attached by aio_context_attach(), the shell's callback data holds a reference to the
 * context on behalf of the GMainContext. GLib drops callback data when the source is destroyed and
 * when the GMainContext ends, whoever else holds the source, and keeps it during a dispatch. */
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-fork-private.h>

#define NSEC_PER_MSEC G_GINT64_CONSTANT (1000000)

/* Who began to rest last in this thread, and in which iteration of which GMainContext: GLib reads
 * the clock once for all prepare() of an iteration. All of it is compared and never followed. */
typedef struct
{
  AioContext *context;
  GMainContext *main_context;
  int priority;
  gint64 time;                  /* of g_source_get_time() */
} RestMark;

static __thread RestMark last_rest;

static int
ms_from_ns (gint64 ns)
{
  if (ns < 0)
    return -1;
  return (int) MIN ((ns + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC, G_MAXINT);
}

static gboolean
has_live_shell (AioContext *context)
{
  return context->shell != NULL && !g_source_is_destroyed (&context->shell->parent);
}

/* GLib calls this in the thread that owns the GMainContext, so a move of home is no surprise. In a
 * forked child, and after the end of the context, the source is silent. */
static AioContext *
begin_phase (GSource *source)
{
  AioContext *context = ((AioShell *) source)->context;

  if (context == NULL || aio_anchor_is_forked (context->anchor))
    return NULL;
  if (!aio_home_is_self (&context->anchor->home) && !aio_home_take_over (&context->anchor->home))
    return NULL;
  aio_home_enter (&context->anchor->home);
  return context;
}

/* In a forked child what GLib polls for us is shared with the parent, and may be readable for ever.
 * To take the records out would write to the wakeup descriptor of the GMainContext, which is shared
 * as well; so nothing is asked for. */
static void
polls_nothing (AioShell *shell)
{
  shell->polled.events = 0;
  for (guint i = 0; i < shell->n_others; i++)
    shell->others[i].events = 0;
}

/* After begin_phase() said NULL: because another thread iterates the context? That one is on its
 * way out of the callback that moved it here, so look again soon. */
static int
timeout_of_nobody (AioShell *shell)
{
  if (shell->context == NULL)
    return -1;
  if (!aio_anchor_is_forked (shell->context->anchor))
    return 1;
  polls_nothing (shell);
  return -1;
}

static void
end_phase (AioContext *context)
{
  aio_home_leave (&context->anchor->home);
}

static void
drop_others (AioShell *shell)
{
  for (guint i = 0; i < shell->n_others; i++)
    g_source_remove_poll (&shell->parent, &shell->others[i]);
  g_clear_pointer (&shell->others, g_free);
  shell->n_others = 0;
}

/* With a monitor that has no descriptor to stand for all others GLib has to poll each of them. */
static void
poll_others (AioContext *context,
             AioShell   *shell)
{
  guint n_changes = aio_load_full (&context->fds.n_changes);

  if (shell->n_changes == n_changes)
    return;
  shell->n_changes = n_changes;
  drop_others (shell);
  shell->others = aio_fd_set_list_polled (&context->fds, &shell->n_others);
  for (guint i = 0; i < shell->n_others; i++)
    g_source_add_poll (&shell->parent, &shell->others[i]);
}

/* The plain wakeup descriptor is polled as long as it is enough. Called by prepare(), behind the
 * raise of the flag: who adds the first handler in another thread wakes us if it comes later. GLib
 * keeps its records in the order of their numbers, so the number cannot be changed in place. */
static void
update_polled (AioContext *context,
               AioShell   *shell)
{
  int fd;

  if (!aio_fd_set_is_active (&context->fds))
    return;
  fd = aio_load_relaxed (&context->fds.fd);
  if (fd < 0)
    poll_others (context, shell);
  else if (fd != shell->polled.fd)
    {
      g_source_remove_poll (&shell->parent, &shell->polled);
      shell->polled.fd = fd;
      g_source_add_poll (&shell->parent, &shell->polled);
    }
}

/* GLib has stored what poll() said, in check() and also when it does not call that. */
static void
collect_if_ready (AioContext *context,
                  AioShell   *shell)
{
  gboolean ready = shell->polled.revents != 0;

  for (guint i = 0; i < shell->n_others && !ready; i++)
    ready = shell->others[i].revents != 0;
  if (!ready)
    return;
  aio_context_collect (context);
  shell->polled.revents = 0;
  for (guint i = 0; i < shell->n_others; i++)
    shell->others[i].revents = 0;
}

/* Has GLib to be told of another descriptor than the one it polls? */
gboolean
aio_context_polls_other (AioContext *context)
{
  int fd = aio_load_relaxed (&context->fds.fd);

  if (!has_live_shell (context) || !aio_fd_set_is_active (&context->fds))
    return FALSE;
  if (fd >= 0)
    return fd != context->shell->polled.fd;
  return context->shell->n_changes != aio_load_full (&context->fds.n_changes);
}

/* Busy polling: the flag stays down until the GPollFunc has looked for a while. */
static AioPark
park_later (AioContext *context)
{
  AioPark park = { aio_context_look (context) == AIO_LOOK_WORK, FALSE, -1 };

  context->busy.left_to_poll = !park.ready;
  if (!park.ready && aio_fd_set_is_active (&context->fds))
    aio_fd_set_suspend_runs (&context->fds);
  return park;
}

/* Is it our GPollFunc that is going to be called? */
static gboolean
polls_busily (AioContext *context,
              GSource    *source)
{
  return aio_context_get_for_thread () == context &&
         g_main_context_get_poll_func (g_source_get_context (source)) == aio_context_poll_func;
}

static AioPark
park (AioContext *context,
      GSource    *source)
{
  if (G_UNLIKELY (context->busy.max_ns != 0) && polls_busily (context, source))
    return park_later (context);
  return aio_context_park (context, AIO_SLEEP_COARSE);
}

static RestMark
rest_mark (AioContext *context,
           GSource    *source)
{
  return (RestMark) { context, g_source_get_context (source), g_source_get_priority (source),
                      g_source_get_time (source) };
}

/* Two contexts in one GMainContext whose turns are all cut short, and who rest by turns, would let
 * nobody of lower priority through. So one whose rest is over goes on resting if that of another
 * one has begun in this very iteration: from then on they rest together. One of another priority
 * has no part in it; the higher one would make the lower one rest for ever. */
static gboolean
rests_along (AioContext *context,
             GSource    *source)
{
  RestMark mark = rest_mark (context, source);

  return last_rest.context != context && last_rest.main_context == mark.main_context &&
         last_rest.priority == mark.priority && last_rest.time == mark.time;
}

/* An iteration begins: is it the one after a turn that was cut short? The flag is down, so what
 * comes meanwhile needs no wakeup; and nobody sleeps. */
static gboolean
rests_now (AioContext *context,
           GSource    *source)
{
  if (G_LIKELY (context->rest == AIO_REST_NONE))
    return FALSE;
  if (context->rest == AIO_REST_NEXT)
    last_rest = rest_mark (context, source);
  else if (!rests_along (context, source))
    {
      context->rest = AIO_REST_NONE;
      return FALSE;
    }
  context->rest = AIO_REST_NOW;
  context->busy.left_to_poll = FALSE;
  return TRUE;
}

/* May be the last that GLib calls of us for several iterations, whatever it returns. */
static gboolean
prepare (GSource *source,
         int     *timeout)
{
  AioContext *context = begin_phase (source);
  AioPark parked;

  if (context == NULL)
    {
      *timeout = timeout_of_nobody ((AioShell *) source);
      return FALSE;
    }
  if (rests_now (context, source))
    {
      end_phase (context);
      *timeout = 0;
      return FALSE;
    }
  parked = park (context, source);
  context->parked_shell = (AioShell *) source;
  context->parked_shell->notified |= parked.notified;
  update_polled (context, (AioShell *) source);
  end_phase (context);
  *timeout = ms_from_ns (parked.timeout_ns);
  return parked.ready;
}

/* A notification is dispatched, although there may be nothing to run: so whoever iterates the
 * GMainContext until that says that it did something gets it, too. */
static gboolean
check (GSource *source)
{
  AioShell *shell = (AioShell *) source;
  AioContext *context = begin_phase (source);
  gboolean due = FALSE;

  if (context == NULL)
    return FALSE;
  if (context->rest != AIO_REST_NOW)
    {
      gboolean slept = context->parked;

      shell->notified |= aio_context_unpark (context);
      collect_if_ready (context, shell);
      if (G_UNLIKELY (context->wakes != NULL) && slept)
        aio_context_note_wake (context, shell->notified);
      due = aio_context_is_due (context) || shell->notified;
    }
  end_phase (context);
  return due;
}

/* May come without prepare() or check() right before it, when nothing is pending any more. */
static gboolean
dispatch (GSource     *source,
          GSourceFunc  callback,
          gpointer     user_data)
{
  AioContext *context = ((AioShell *) source)->context;
  AioVisit visit;

  if (context == NULL || !aio_context_enter (context, G_STRFUNC, &visit))
    return G_SOURCE_CONTINUE;
  /* Who slept for us is who calls us now. */
  visit.parked = FALSE;
  ((AioShell *) source)->notified = FALSE;
  collect_if_ready (context, (AioShell *) source);
  aio_context_run_turn (context, AIO_SLEEP_COARSE, source);
  aio_context_leave (context, &visit);
  return G_SOURCE_CONTINUE;
}

/* GLib has forgotten the poll records by now. */
static void
finalize (GSource *source)
{
  g_free (((AioShell *) source)->others);
}

static GSourceFuncs shell_funcs = { prepare, check, dispatch, finalize, NULL, NULL };

/* can_recurse: else GLib would take the descriptor out of the poll set during each dispatch, wake
 * itself up for it, and a nested main loop would see nothing of this context. */
static AioShell *
shell_new (AioContext *context)
{
  GSource *source = g_source_new (&shell_funcs, sizeof (AioShell));
  AioShell *shell = (AioShell *) source;
  char *name = g_strdup_printf ("[AioContext] %s", context->anchor->name);

  shell->context = context;
  shell->polled.fd = context->anchor->notify.wakeup.read_fd;
  shell->polled.events = G_IO_IN;
  g_source_set_name (source, name);
  g_source_set_priority (source, aio_load_relaxed (&context->priority));
  g_source_set_can_recurse (source, TRUE);
  g_source_add_poll (source, &shell->polled);
  g_free (name);
  return shell;
}

/* Is this the shell that drives the context now? A shell that has gone does not sleep any more. */
gboolean
aio_context_is_live_shell (AioContext *context,
                           AioShell   *shell)
{
  return context->shell == shell && has_live_shell (context);
}

/* A shell that was destroyed stays destroyed; then it is time for another one. */
static GSource *
ensure_shell (AioContext *context)
{
  if (context->shell != NULL && !has_live_shell (context))
    aio_context_let_go_of_shell (context);
  if (context->shell == NULL)
    context->shell = shell_new (context);
  return &context->shell->parent;
}

/* Ends the present shell. This may drop the last reference to the context, but not while the caller
 * is inside an iteration. If it was the shell that slept for the context, nobody does any more; a
 * foreign loop sleeps on. */
void
aio_context_let_go_of_shell (AioContext *context)
{
  AioShell *shell = context->shell;

  if (context->parked && context->parked_shell == shell)
    aio_context_stop_sleep (context);
  context->shell = NULL;
  shell->context = NULL;
  /* Destroying it would write to the wakeup descriptor of the GMainContext, which a forked child
   * shares with its parent. */
  if (!aio_anchor_is_forked (context->anchor))
    g_source_destroy (&shell->parent);
  g_source_unref (&shell->parent);
}

/* The GMainContext that drives the context, however it was attached; NULL if none does. */
GMainContext *
aio_context_get_main (AioContext *context)
{
  return has_live_shell (context) ? g_source_get_context (&context->shell->parent) : NULL;
}

/**
 * aio_context_get_source:
 * @context: a context
 *
 * Gets the #GSource that drives the context, which is made on demand. Use this to attach it with
 * g_source_attach(): then nobody holds a reference to the context on behalf of the #GMainContext,
 * and you have to keep one. A source that was destroyed is replaced.
 *
 * In a destroy notify at the end of the context there is none: that is a critical warning, and
 * %NULL.
 *
 * Thread: home thread.
 *
 * Returns: (transfer none): the source
 *
 * Since: 1.0
 */
GSource *
aio_context_get_source (AioContext *context)
{
  g_return_val_if_fail (context != NULL, NULL);
  if (!aio_context_takes_new (context, G_STRFUNC) || !aio_context_may_act (context, G_STRFUNC))
    return NULL;

  return ensure_shell (context);
}

/* Callback data of a shell is gone: the GMainContext gives up its reference. The shell that this
 * belongs to may have had a successor by now. */
static void
detached (gpointer data)
{
  AioAttachment *attachment = data;
  AioContext *context = attachment->context;

  if (context != NULL)
    {
      aio_home_lock (&context->anchor->home);
      if (context->attachment == attachment)
        context->attachment = NULL;
      aio_home_unlock (&context->anchor->home);
      aio_context_unref (context);
    }
  g_free (attachment);
}

/* In a forked child: the GMainContext may be held for ever by a thread of the parent, and
 * destroying the source would wake that. So its reference is dropped, and the source left as it
 * is. */
void
aio_context_abandon_attachment (AioContext *context)
{
  AioAttachment *attachment = g_steal_pointer (&context->attachment);

  if (attachment == NULL)
    return;
  attachment->context = NULL;
  aio_context_unref (context);
}

static AioAttachment *
attachment_new (AioContext   *context,
                GMainContext *main_context)
{
  AioAttachment *attachment = g_new (AioAttachment, 1);

  attachment->context = aio_context_ref (context);
  attachment->main_context = main_context;
  aio_home_lock (&context->anchor->home);
  context->attachment = attachment;
  aio_home_unlock (&context->anchor->home);
  return attachment;
}

/**
 * aio_context_attach:
 * @context: a context
 * @main_context: (nullable): a #GMainContext; %NULL for the default one
 *
 * Lets a #GMainContext drive the context. It holds a reference to the context until
 * [method@Aio.Context.detach], the destruction of the source, or its own end.
 *
 * Thread: home thread.
 *
 * Returns: the id of the source within @main_context; 0, with a critical warning, if the context is
 *   attached already, or in a destroy notify at its end
 *
 * Since: 1.0
 */
guint
aio_context_attach (AioContext   *context,
                    GMainContext *main_context)
{
  GSource *source;

  g_return_val_if_fail (context != NULL, 0);
  if (!aio_context_takes_new (context, G_STRFUNC) || !aio_context_may_act (context, G_STRFUNC))
    return 0;
  if (aio_context_get_main (context) != NULL)
    {
      g_critical ("%s: AioContext “%s” is attached already", G_STRFUNC, context->anchor->name);
      return 0;
    }

  if (main_context == NULL)
    main_context = g_main_context_default ();
  source = ensure_shell (context);
  g_source_set_callback (source, NULL, attachment_new (context, main_context), detached);
  return g_source_attach (source, main_context);
}

/**
 * aio_context_detach:
 * @context: a context
 *
 * Takes the context out of its #GMainContext. What is pending stays pending, and the context may be
 * attached again, there or elsewhere. In a callback the pass that called it ends behind it. Does
 * nothing if the context is not attached. The context of an I/O thread stays where it is: that is a
 * critical warning.
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_context_detach (AioContext *context)
{
  g_return_if_fail (context != NULL);
  if (!aio_context_may_act (context, G_STRFUNC))
    return;

  if (aio_context_get_for_thread () == context)
    g_critical ("%s: AioContext “%s” belongs to its I/O thread", G_STRFUNC, context->anchor->name);
  else if (aio_context_get_main (context) != NULL)
    aio_context_let_go_of_shell (context);
}

/**
 * aio_context_set_priority:
 * @context: a context
 * @priority: a priority as of g_source_set_priority(); lower numbers go first
 *
 * Sets the priority of the context among the sources of its #GMainContext. It is kept when the
 * context is attached elsewhere. At first it is %G_PRIORITY_DEFAULT.
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_context_set_priority (AioContext *context,
                          int         priority)
{
  g_return_if_fail (context != NULL);
  if (!aio_context_may_act (context, G_STRFUNC))
    return;

  aio_store_relaxed (&context->priority, priority);
  if (has_live_shell (context))
    g_source_set_priority (&context->shell->parent, priority);
}

/**
 * aio_context_get_priority:
 * @context: a context
 *
 * Gets the priority set with [method@Aio.Context.set_priority].
 *
 * Thread: any thread.
 *
 * Returns: the priority
 *
 * Since: 1.0
 */
int
aio_context_get_priority (AioContext *context)
{
  g_return_val_if_fail (context != NULL, G_PRIORITY_DEFAULT);

  return aio_load_relaxed (&context->priority);
}
