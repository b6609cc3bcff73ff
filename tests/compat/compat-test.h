/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each case runs twice: with aio_poll(), and with the GSource in a GMainContext. */
#pragma once

#include "qemu/aio.h"

#include "../aio-test.h"

static AioContext *ctx;
static GMainContext *main_context;      /* NULL: aio_poll() */

/* One iteration. Says whether something ran; under a GMainContext that something was dispatched. */
static inline bool
step (bool blocking)
{
  if (main_context != NULL)
    return g_main_context_iteration (main_context, blocking);
  return aio_poll (ctx, blocking);
}

static inline void
settle (void)
{
  while (step (false))
    ;
}

static inline void
run_case (bool      with_source,
          GTestFunc func)
{
  guint before = aio_test_count_fds ();

  ctx = aio_context_new (NULL);
  if (with_source)
    {
      GSource *source = aio_get_g_source (ctx);

      main_context = g_main_context_new ();
      g_source_attach (source, main_context);
      g_source_unref (source);
    }
  func ();
  aio_context_unref (ctx);
  g_clear_pointer (&main_context, g_main_context_unref);
  g_assert_cmpuint (aio_test_count_fds (), ==, before);
}

static inline void
run_with_poll (gconstpointer data)
{
  run_case (false, ((const AioTestCase *) data)->func);
}

static inline void
run_with_source (gconstpointer data)
{
  run_case (true, ((const AioTestCase *) data)->func);
}

/* Adds the case under /poll and under /source. */
static inline void
add_case (const char *name,
          GTestFunc   func)
{
  static const struct
  {
    const char *prefix;
    GTestDataFunc run;
  } ways[] = { { "/poll", run_with_poll }, { "/source", run_with_source } };

  for (guint i = 0; i < G_N_ELEMENTS (ways); i++)
    {
      AioTestCase *test = g_new0 (AioTestCase, 1);
      char *path = g_strconcat (ways[i].prefix, name, NULL);

      test->func = func;
      g_test_add_data_func_full (path, test, ways[i].run, g_free);
      g_free (path);
    }
}
