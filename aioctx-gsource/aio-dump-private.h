/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 4. A dump is made in two steps: a tree of what there is, and text or JSON of that tree. So
 * the two cannot say different things. What is not known is there as a "maybe" that holds nothing:
 * "-" in text, null in JSON. */
#pragma once

#include <aioctx-gsource/aio-context-private.h>
#include <aioctx-gsource/aio-dump.h>

/* aio-dump-collect.c: a{sv}, no floating reference. */
GVariant *aio_dump_collect_context (AioContext *context);
GVariant *aio_dump_collect_all     (void);

/* aio-dump-print.c: the caller frees it. */
char     *aio_dump_print_context   (GVariant      *context,
                                    AioDumpFormat  format);
char     *aio_dump_print_all       (GVariant      *all,
                                    AioDumpFormat  format);

/* aio-dump-signal.c: by a name as "USR1", "SIGUSR1" or "10". FALSE: no such signal, or one that is
 * not fit for it. Says nothing. */
gboolean  aio_dump_on_signal_name  (const char *name);
