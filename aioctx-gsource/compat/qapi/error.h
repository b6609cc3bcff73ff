/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As much of QEMU's errors as the callers of these headers need. */
#pragma once

#include "../aio-qemu-base.h"

/* Passed as errp: end the program. */
#define error_abort aio_qemu_error_abort
#define error_fatal aio_qemu_error_fatal

#define error_setg(errp, ...)         aio_qemu_error_set ((errp), __VA_ARGS__)
#define error_propagate(errp, error)  aio_qemu_error_propagate ((errp), (error))
#define error_get_pretty(error)       aio_qemu_error_get_pretty (error)
#define error_free(error)             aio_qemu_error_free (error)
#define error_report_err(error)       aio_qemu_error_report (error)
