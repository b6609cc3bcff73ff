/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the g_test kit share. */
#pragma once

#include "../aio-test.h"
#include <aioctx-gsource/testing/aio-testing.h>

#define MSEC G_GINT64_CONSTANT (1000000)
#define SEC  (1000 * MSEC)
#define HOUR (3600 * SEC)

/* The end of a case that has used no fixture. */
static inline void
end (AioContext *context)
{
  aio_testing_assert_clean (context);
  aio_context_unref (context);
}

static inline gint64
now_ns (AioContext *context)
{
  return aio_context_get_time_ns (context, AIO_CLOCK_VIRTUAL);
}

/* Callbacks that tell who ran, and when. */
typedef struct
{
  AioContext *context;
  GString *log;
} Log;

typedef struct
{
  Log *log;
  const char *name;
} Entry;

static inline void
write_entry (gpointer data)
{
  Entry *entry = data;

  g_string_append_printf (entry->log->log, "%s@%" G_GINT64_FORMAT " ", entry->name,
                          now_ns (entry->log->context));
}

static inline void
write_name (gpointer data)
{
  Entry *entry = data;

  g_string_append (entry->log->log, entry->name);
}

static inline void
log_begin (Log *log)
{
  log->context = aio_testing_context_new ();
  log->log = g_string_new (NULL);
}

static inline void
log_end (Log *log)
{
  g_string_free (log->log, TRUE);
  end (log->context);
}

static inline void
count_run (gpointer data)
{
  guint *n = data;

  (*n)++;
}

static inline gboolean
is_set (gpointer data)
{
  return *(guint *) data != 0;
}
