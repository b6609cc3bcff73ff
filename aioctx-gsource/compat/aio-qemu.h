/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's AioContext and main loop. Whichever of QEMU's headers a program includes for them, it gets
 * all of this: at QEMU things have moved between those headers more than once. */
#pragma once

#include "aio-qemu-base.h"
#include "qemu/event_notifier.h"
#include "qemu/thread.h"
#include "qemu/timer.h"
#include "aio-qemu-aio.h"
#include "aio-qemu-acb.h"
#include "aio-qemu-main-loop.h"
#include "aio-qemu-wait.h"
