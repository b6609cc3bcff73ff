/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the foreign loop examples do; it does not know which loop drives its context. */
#pragma once

#include <aioctx-gsource/aioctx-gsource.h>

typedef struct _Work Work;

Work *work_new  (AioContext *context,
                 AioBHFunc   finished,
                 gpointer    data);
void  work_free (Work       *self);
