/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 0.5. The g_test kit lets the creation of things fail, as if the system had refused. */
#pragma once

#include <aioctx-gsource/aio-atomic-private.h>
#include <glib.h>

/* Any thread. Whether the step that is about to be taken is to fail. */
typedef gboolean (*AioFaultFunc) (void);

/* Atomic, any thread. NULL outside of tests. */
extern _Atomic (AioFaultFunc) aio_fault;

gboolean aio_fault_strikes (void);
