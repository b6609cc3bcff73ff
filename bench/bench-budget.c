/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a budget costs that is not hit. */
#include "bench.h"

#include <aioctx-gsource/aioctx-gsource.h>

#define PASS 64

typedef struct
{
  AioContext *context;
  GMainContext *main_context;
  AioBH *bh[PASS];
} Limited;

typedef struct
{
  AioBHFunc func;
  guint max_callbacks;
  gint64 max_usec;
} Budget;

/* About 200 ns of work, which is little for a callback. */
static void
work_a_little (gpointer data)
{
  static volatile guint sink;

  for (guint i = 0; i < 110; i++)
    sink++;
}

static void
limited_init (Limited   *limited,
              AioBHFunc  func,
              guint      max_callbacks,
              gint64     max_usec)
{
  limited->context = aio_context_new ();
  limited->main_context = g_main_context_new ();
  aio_context_set_budget (limited->context, max_callbacks, max_usec);
  for (guint i = 0; i < PASS; i++)
    limited->bh[i] = aio_bh_new (limited->context, func, NULL);
  aio_context_attach (limited->context, limited->main_context);
}

static void
limited_clear (Limited *limited)
{
  for (guint i = 0; i < PASS; i++)
    aio_bh_delete (limited->bh[i]);
  aio_context_detach (limited->context);
  aio_context_unref (limited->context);
  g_main_context_unref (limited->main_context);
}

static void
iterate_limited (gpointer data,
                 guint    n)
{
  Limited *limited = data;

  for (guint i = 0; i < n; i += PASS)
    {
      for (guint k = 0; k < PASS; k++)
        aio_bh_schedule (limited->bh[k]);
      g_main_context_iteration (limited->main_context, FALSE);
    }
}

static gpointer
limited_setup (gconstpointer config)
{
  Limited *limited = g_new (Limited, 1);
  const Budget *budget = config;

  limited_init (limited, budget->func, budget->max_callbacks, budget->max_usec);
  return limited;
}

static void
limited_free (gpointer limited)
{
  limited_clear (limited);
  g_free (limited);
}

static void
ask (const char *key,
     const char *title,
     AioBHFunc   func)
{
  const Budget budgets[] = { { func, 0, 0 }, { func, 1000, 0 }, { func, 0, G_USEC_PER_SEC } };
  const BenchSubject subjects[] = {
    { "ours", "no budget", limited_setup, iterate_limited, limited_free, &budgets[0] },
    { "ours, callbacks", "1000 callbacks", limited_setup, iterate_limited, limited_free,
      &budgets[1] },
    { "ours, time", "1 second", limited_setup, iterate_limited, limited_free, &budgets[2] },
  };

  bench_run (&(BenchQuestion) { key, title, PASS }, subjects, G_N_ELEMENTS (subjects));
}

int
main (int    argc,
      char **argv)
{
  bench_begin (argc, argv);
  ask ("budget-nothing", "A budget that is not hit, callbacks that do nothing; each", bench_count);
  ask ("budget-little", "A budget that is not hit, callbacks that do a little; each",
       work_a_little);
  return bench_end ();
}
