/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <aioctx-gsource/aio-types.h>

#include <stdio.h>

G_BEGIN_DECLS

/**
 * AioDumpFormat:
 * @AIO_DUMP_TEXT: a line for each thing, for people and for grep
 * @AIO_DUMP_JSON: one object in one line
 *
 * How a dump is written. Both say the same.
 *
 * Since: 1.0
 */
typedef enum
{
  AIO_DUMP_TEXT,
  AIO_DUMP_JSON
} AioDumpFormat;

AIO_EXPORT char    *aio_context_dump       (AioContext    *context);
AIO_EXPORT char    *aio_context_dump_json  (AioContext    *context);
AIO_EXPORT void     aio_dump_all           (FILE          *stream);
AIO_EXPORT char    *aio_dump_all_to_string (AioDumpFormat  format);
AIO_EXPORT gboolean aio_dump_on_signal     (int            signum);

G_END_DECLS
