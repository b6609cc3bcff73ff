/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the kit share. */
#pragma once

#include <aioctx-gsource/testing/aio-testing.h>
#include <aioctx-gsource/aio-test-hooks-private.h>

/* Here the names are those of the functions. */
#undef aio_testing_advance_ns
#undef aio_testing_advance_to_next
#undef aio_testing_run_until_idle
#undef aio_testing_run_until
#undef aio_testing_assert_clean
#undef aio_testing_assert_scheduled
#undef aio_testing_assert_not_scheduled

#define NSEC_PER_USEC G_GINT64_CONSTANT (1000)
#define NSEC_PER_MSEC G_GINT64_CONSTANT (1000000)

/* No clock gets there. */
#define NEVER G_MAXINT64

typedef struct _Kit Kit;

/* What the kit knows of a context. Owned by that. Home thread only. */
struct _Kit
{
  AioContext *context;          /* no reference */
  guint64 n_clock_moves;
  guint32 seed;                 /* 0: the shuffle is off */
  GHashTable *producers;        /* name to id of those that were declared; NULL: none yet */
};

/* Where a test has called the kit. */
typedef struct
{
  const char *domain;
  const char *file;
  int line;
  const char *func;
} Place;

extern const AioTestHooks *hooks;

/* aio-testing-context.c */
Kit     *kit_of               (AioContext   *context,
                               const char   *where);
gint64   kit_now              (Kit          *kit);
void     kit_move_clock       (Kit          *kit,
                               gint64        now);

/* aio-testing-report.c */
Place    take_place           (const char   *func);
void     fail                 (const Place  *place,
                               Kit          *kit,
                               char         *message);
char    *list_busy            (Kit          *kit);
char    *list_left_over       (Kit          *kit);
