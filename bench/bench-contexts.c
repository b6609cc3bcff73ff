/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an iteration costs when M contexts hang on one GMainContext and one of them has work, beside
 * as many sources written by hand. */
#include "bench.h"

#include <aioctx-gsource/aioctx-gsource.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_CONTEXTS 1000

typedef struct
{
  GSource parent;
  gboolean scheduled;
  int fd;                       /* -1: nothing is polled */
  gpointer tag;
} Bare;

typedef enum
{
  OURS,
  BARE,
  BARE_WITH_FD
} Kind;

typedef struct
{
  Kind kind;
  guint n;
} Config;

typedef struct
{
  Config config;
  GMainContext *main_context;
  AioContext *contexts[MAX_CONTEXTS];
  AioBH *bh;
  Bare *bare[MAX_CONTEXTS];
} Hall;

static gboolean
bare_prepare (GSource *source,
              int     *timeout)
{
  *timeout = -1;
  return ((Bare *) source)->scheduled;
}

static gboolean
bare_check (GSource *source)
{
  Bare *self = (Bare *) source;

  return self->scheduled || (self->tag != NULL && g_source_query_unix_fd (source, self->tag) != 0);
}

static gboolean
bare_dispatch (GSource     *source,
               GSourceFunc  callback,
               gpointer     data)
{
  ((Bare *) source)->scheduled = FALSE;
  bench_ran++;
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs bare_funcs = {
  .prepare = bare_prepare,
  .check = bare_check,
  .dispatch = bare_dispatch
};

static Bare *
bare_new (GMainContext *main_context,
          gboolean      has_fd)
{
  Bare *self = (Bare *) g_source_new (&bare_funcs, sizeof (Bare));

  self->fd = has_fd ? eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK) : -1;
  if (has_fd)
    self->tag = g_source_add_unix_fd (&self->parent, self->fd, G_IO_IN);
  g_source_set_can_recurse (&self->parent, TRUE);
  g_source_attach (&self->parent, main_context);
  return self;
}

static void
bare_free (Bare *self)
{
  int fd = self->fd;

  g_source_destroy (&self->parent);
  g_source_unref (&self->parent);
  if (fd >= 0)
    close (fd);
}

static gpointer
hall_new (gconstpointer config)
{
  Hall *self = g_new0 (Hall, 1);

  self->config = *(const Config *) config;
  self->main_context = g_main_context_new ();
  for (guint i = 0; i < self->config.n; i++)
    {
      if (self->config.kind == OURS)
        {
          self->contexts[i] = aio_context_new ();
          aio_context_attach (self->contexts[i], self->main_context);
        }
      else
        {
          self->bare[i] = bare_new (self->main_context, self->config.kind == BARE_WITH_FD);
        }
    }
  if (self->config.kind == OURS)
    self->bh = aio_bh_new (self->contexts[self->config.n / 2], bench_count, NULL);
  g_main_context_iteration (self->main_context, FALSE);
  return self;
}

static void
hall_free (gpointer data)
{
  Hall *self = data;

  g_clear_pointer (&self->bh, aio_bh_delete);
  for (guint i = 0; i < self->config.n; i++)
    {
      if (self->contexts[i] != NULL)
        {
          aio_context_detach (self->contexts[i]);
          aio_context_unref (self->contexts[i]);
        }
      g_clear_pointer (&self->bare[i], bare_free);
    }
  g_main_context_unref (self->main_context);
  g_free (self);
}

static void
one_has_work (gpointer data,
              guint    n)
{
  Hall *self = data;
  Bare *bare = self->bare[self->config.n / 2];

  for (guint i = 0; i < n; i++)
    {
      if (self->bh != NULL)
        aio_bh_schedule (self->bh);
      else
        bare->scheduled = TRUE;
      g_main_context_iteration (self->main_context, FALSE);
    }
}

static void
ask (guint n)
{
  const Config configs[] = { { OURS, n }, { BARE, n }, { BARE_WITH_FD, n } };
  const BenchSubject subjects[] = {
    { "ours in GMainContext", "contexts", hall_new, one_has_work, hall_free, &configs[0] },
    { "floor: bare GSource", "sources that poll nothing", hall_new, one_has_work, hall_free,
      &configs[1] },
    { "floor: with an eventfd", "sources with an eventfd each", hall_new, one_has_work, hall_free,
      &configs[2] },
  };

  if (bench_takes (n))
    bench_run (&(BenchQuestion) { "contexts", "N contexts in one GMainContext, one has work", n },
               subjects, G_N_ELEMENTS (subjects));
}

int
main (int    argc,
      char **argv)
{
  bench_begin (argc, argv);
  for (guint n = 1; n <= MAX_CONTEXTS; n *= 10)
    ask (n);
  return bench_end ();
}
