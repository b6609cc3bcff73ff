/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What AIOCTX_DEBUG does to contexts. */
#include <aioctx-gsource/aio-bh-watch-private.h>
#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-debug-private.h>

#include <stdio.h>
#include <stdlib.h>

/* What is started makes a context of its own, which is none of the program's, and stays. */
static __thread gboolean starting;

/* --- Contexts that are left at exit ----------------------------------------------------------- */

static void
append_name (GString    *names,
             const char *name)
{
  g_string_append_printf (names, "%s%s", names->len != 0 ? ", " : "", name);
}

static void
append_fd (gpointer            data,
           const AioFdHandler *handler)
{
  char *name = g_strdup_printf ("descriptor %d", handler->fd);

  append_name (data, name);
  g_free (name);
}

static void
append_timer (gpointer            data,
              const AioTimerNode *timer)
{
  AioWork work = { "timer", timer->name, timer->func, -1 };
  char *name = aio_work_describe (&work);

  append_name (data, name);
  g_free (name);
}

static gboolean
is_attached (AioContext *context)
{
  gboolean attached;

  aio_home_lock (&context->anchor->home);
  attached = context->attachment != NULL;
  aio_home_unlock (&context->anchor->home);
  return attached;
}

/* Other threads may be at work. What a forked child has of its parent's is no leak. */
static void
print_leak (gpointer    data,
            AioContext *context)
{
  guint *n = data;
  guint refs = aio_load_acquire (&context->refs);
  GString *names;

  if (aio_anchor_is_forked (context->anchor) || aio_load_relaxed (&context->is_own))
    return;
  (*n)++;
  names = g_string_new (NULL);
  aio_bh_set_name_all (&context->bhs, names);
  aio_fd_set_list (&context->fds, append_fd, names);
  aio_timer_set_list (context->timers, append_timer, names);
  fprintf (stderr, "AIOCTX_DEBUG=leaks: AioContext “%s” was not finalised (%u reference%s%s): %s\n",
           context->anchor->name, refs, refs == 1 ? "" : "s",
           is_attached (context) ? ", attached" : "", names->len != 0 ? names->str : "empty");
  g_string_free (names, TRUE);
}

static void
print_leaks (void)
{
  guint n = 0;

  aio_context_for_each (print_leak, &n);
  if (n == 0)
    fputs ("AIOCTX_DEBUG=leaks: every AioContext was finalised\n", stderr);
}

/* --- Every context ---------------------------------------------------------------------------- */

/* The one function of a higher floor that is called from here, and only if it was asked for: dumps
 * are made in an I/O thread. FALSE: there is no such signal. */
gboolean aio_dump_on_signal_name (const char *name);

static void
start_dumps (const char *name)
{
  if (!aio_dump_on_signal_name (name))
    aio_debug_complain ("dump", name, "a signal such as USR1");
}

/* For what is there once in a process. */
static void
start (const AioDebug *debug)
{
  starting = TRUE;
  if (debug->leaks)
    atexit (print_leaks);
  if (debug->dump != NULL)
    start_dumps (debug->dump);
  starting = FALSE;
}

static void
apply (AioContext     *context,
       const AioDebug *debug)
{
  if (debug->slow_ns != 0)
    aio_meter_set_slow (&context->meter, debug->slow_ns, NULL, NULL, NULL);
  if (debug->shuffle != 0)
    {
      aio_bh_set_watch (&context->bhs, NULL, NULL);
      aio_bh_set_shuffle (&context->bhs, debug->shuffle);
    }
  if (debug->profile)
    {
      aio_meter_use (&context->meter, AIO_METER_PROFILE, TRUE);
      aio_bh_set_profile (&context->bhs, TRUE);
    }
  if (debug->wakes)
    aio_context_log_wakes (context, TRUE);
}

/* A context was made, and nobody else knows of it yet. */
void
aio_context_apply_debug (AioContext *context)
{
  static _Atomic (gboolean) started;
  const AioDebug *debug = aio_debug_get ();

  if (starting)
    return;
  if (!aio_exchange_full (&started, TRUE))
    start (debug);
  apply (context, debug);
}

/* --- Strict about threads --------------------------------------------------------------------- */

/* The calling thread is not the home thread; by the contract it may do what is reserved for that as
 * long as nobody iterates. Asked for strictness this is reported, and goes on all the same: a
 * debugging aid must not change what the program does. The owner of the GMainContext is about to be
 * the home thread. */
void
aio_context_frown_at_thread (AioContext *context,
                             const char *where)
{
  AioHome *home = &context->anchor->home;
  GMainContext *main_context;

  if (!aio_debug_get ()->threads || aio_home_is_self (home) || !aio_home_is_there (home))
    return;
  main_context = aio_context_get_main (context);
  if (main_context != NULL && g_main_context_is_owner (main_context))
    return;
  g_critical ("%s: the calling thread is not the home thread of AioContext “%s”", where,
              context->anchor->name);
}
