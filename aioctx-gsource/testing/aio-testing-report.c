/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the kit says when a test fails. */
#include <aioctx-gsource/testing/aio-testing-private.h>

#include <dlfcn.h>

/* Between a macro and the function it calls; empty otherwise. */
static __thread Place caller;

/**
 * aio_testing_called_from: (skip)
 * @domain: (nullable): a log domain
 * @file: a file
 * @line: a line
 * @func: a function
 *
 * Tells the next function of the kit where it is called from. The macros of the kit do that.
 *
 * Thread: any thread.
 *
 * Since: 1.0
 */
void
aio_testing_called_from (const char *domain,
                         const char *file,
                         int         line,
                         const char *func)
{
  caller = (Place) { domain, file, line, func };
}

/* Without the macro the best there is to say is which function of the kit was called. */
Place
take_place (const char *func)
{
  Place place = caller;

  caller = (Place) { NULL, NULL, 0, NULL };
  if (place.file == NULL)
    place = (Place) { G_LOG_DOMAIN, "aio-testing", 0, func };
  return place;
}

/* The test fails; returns only where g_test_set_nonfatal_assertions() was called. */
static void
fail_at (const Place *place,
         const char  *message)
{
  g_assertion_message (place->domain, place->file, place->line, place->func, message);
}

/* Takes the message, which goes on after the name of the context. */
void
fail (const Place *place,
      Kit         *kit,
      char        *message)
{
  g_autofree char *rest = message;
  g_autofree char *seed = NULL;
  g_autofree char *all = NULL;

  if (kit->seed != 0)
    seed = g_strdup_printf (" (shuffled with seed %u)", kit->seed);
  all = g_strdup_printf ("AioContext “%s” %s%s", aio_context_get_name (kit->context), rest,
                         seed != NULL ? seed : "");
  fail_at (place, all);
}

/* --- Naming what is in a context -------------------------------------------------------------- */

/* The name of the function, if the dynamic linker knows it: of one that is not static, in a library
 * or in a program that was linked with -rdynamic. */
static const char *
function_name (gpointer func)
{
  Dl_info info;

  if (dladdr (func, &info) == 0 || info.dli_saddr != func)
    return NULL;
  return info.dli_sname;
}

static void
append_timer (GString           *text,
              const AioTestItem *item)
{
  const char *func = function_name (item->func);

  if (item->name != NULL)
    g_string_append_printf (text, "timer “%s” (", item->name);
  else
    g_string_append_printf (text, "timer %p (", (gpointer) item->timer);
  if (func != NULL)
    g_string_append_printf (text, "calls %s, ", func);
  if (item->deadline_ns >= 0)
    g_string_append_printf (text, "armed for %" G_GINT64_FORMAT " ns)", item->deadline_ns);
  else
    g_string_append (text, "not armed)");
}

static const char *
state_name (AioTestState state)
{
  static const char *names[] = { "", " (scheduled as idle)", " (scheduled)" };

  return names[state];
}

static void
append_item (gpointer           data,
             const AioTestItem *item)
{
  GString *text = data;

  if (text->len != 0)
    g_string_append (text, ", ");
  switch (item->kind)
    {
    case AIO_TEST_BH:
      g_string_append_printf (text, "bottom half “%s”%s", item->name, state_name (item->state));
      break;
    case AIO_TEST_ONESHOT:
      if (item->name != NULL)
        g_string_append_printf (text, "one-shot “%s”", item->name);
      else
        g_string_append (text, "a post");
      break;
    case AIO_TEST_FD:
      g_string_append_printf (text, "descriptor %d%s", item->fd,
                              item->state == AIO_TEST_DUE ? " (ready)" : "");
      break;
    case AIO_TEST_TIMER:
      append_timer (text, item);
      break;
    }
}

static void
append_busy (gpointer           data,
             const AioTestItem *item)
{
  if (item->state != AIO_TEST_RESTING)
    append_item (data, item);
}

/* What is due, after hooks->look() has said that something is. */
char *
list_busy (Kit *kit)
{
  GString *text = g_string_new (NULL);

  hooks->list (kit->context, append_busy, text);
  return g_string_free (text, FALSE);
}

/* All there is. */
char *
list_left_over (Kit *kit)
{
  GString *text = g_string_new (NULL);

  hooks->list (kit->context, append_item, text);
  return g_string_free (text, FALSE);
}

/* --- Assertions ------------------------------------------------------------------------------- */

/**
 * aio_testing_assert_clean:
 * @context: a testing context
 *
 * Asserts that nothing is left in the context: no bottom half that was not deleted, one-shot or
 * post that is pending, descriptor handler, armed timer, or timer that was not freed; and that it
 * is not attached to a #GMainContext. The message names all that is left.
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_testing_assert_clean (AioContext *context)
{
  Place place = take_place (G_STRFUNC);
  Kit *kit = kit_of (context, G_STRFUNC);
  g_autofree char *left = NULL;

  if (kit == NULL)
    return;

  left = list_left_over (kit);
  if (left[0] != '\0')
    fail (&place, kit, g_strdup_printf ("is not clean, there is: %s", left));
  else if (hooks->is_attached (context))
    fail (&place, kit, g_strdup ("is not clean, it is attached to a GMainContext"));
}

static void
assert_bh (AioBH       *bh,
           gboolean     scheduled,
           const Place *place)
{
  g_autofree char *message = NULL;

  if (aio_bh_is_scheduled (bh) == scheduled)
    return;
  message = g_strdup_printf ("bottom half “%s” is %sscheduled", aio_bh_get_name (bh),
                             scheduled ? "not " : "");
  fail_at (place, message);
}

/**
 * aio_testing_assert_scheduled:
 * @bh: a bottom half
 *
 * Asserts that a run of the bottom half is due, normal or idle. The message names it.
 *
 * Thread: any thread.
 *
 * Since: 1.0
 */
void
aio_testing_assert_scheduled (AioBH *bh)
{
  Place place = take_place (G_STRFUNC);

  g_return_if_fail (bh != NULL);

  assert_bh (bh, TRUE, &place);
}

/**
 * aio_testing_assert_not_scheduled:
 * @bh: a bottom half
 *
 * Asserts that no run of the bottom half is due. The message names it.
 *
 * Thread: any thread.
 *
 * Since: 1.0
 */
void
aio_testing_assert_not_scheduled (AioBH *bh)
{
  Place place = take_place (G_STRFUNC);

  g_return_if_fail (bh != NULL);

  assert_bh (bh, FALSE, &place);
}
