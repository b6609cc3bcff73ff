/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* As much of what QEMU's files include first as code around these headers tends to need. A program
 * that brings its own finds that one first. */
#pragma once

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

#include "../aio-qemu-base.h"

#ifndef likely
#define likely(x)   G_LIKELY (x)
#define unlikely(x) G_UNLIKELY (x)
#endif

#ifndef DO_UPCAST
#define DO_UPCAST(type, field, pointer) container_of (pointer, type, field)
#endif
