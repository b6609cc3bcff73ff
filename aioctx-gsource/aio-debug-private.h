/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 0.5. What the environment variable AIOCTX_DEBUG asks for: it is read once, before the first
 * context is made, and holds for all of them. */
#pragma once

#include <glib.h>

typedef struct
{
  gboolean help;
  gboolean leaks;
  gboolean profile;
  gboolean threads;
  gboolean wakes;
  gint64 slow_ns;               /* 0: not asked for */
  guint32 shuffle;              /* a seed; 0: not asked for */
  char *dump;                   /* the name of a signal; NULL: not asked for */
  char *fdmon;                  /* the name of a monitor; NULL: not asked for */
} AioDebug;

void            aio_debug_parse    (const char *text,
                                    AioDebug   *debug,
                                    GPtrArray  *complaints);
void            aio_debug_clear    (AioDebug   *debug);
char           *aio_debug_help     (void);

const char     *aio_debug_getenv   (const char *name);
const AioDebug *aio_debug_get      (void);
void            aio_debug_complain (const char *key,
                                    const char *value,
                                    const char *expected);
