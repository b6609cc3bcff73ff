/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 0. What the g_test kit sees of an entry that a pass is about to run. */
#pragma once

#include <glib.h>

/* Ids of declared producers have this bit, those of threads do not. */
#define AIO_TEST_DECLARED (G_GUINT64_CONSTANT (1) << 63)

typedef struct
{
  const char *name;     /* NULL: a post */
  guint64 producer;     /* who has scheduled it: the id of a thread, or a declared one */
  guintptr entry;       /* an AioEntry */
} AioTestEntry;

/* Puts entries, oldest first, into the order in which they are to run. */
typedef void (*AioTestArrange) (gpointer      data,
                                AioTestEntry *entries,
                                guint         n);
