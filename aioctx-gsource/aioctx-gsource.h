/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The one header that programs include; all others refuse to be included directly. */
#pragma once

#define AIOCTX_GSOURCE_INSIDE
#include <aioctx-gsource/aio-macros.h>
#include <aioctx-gsource/aio-version.h>
#include <aioctx-gsource/aio-types.h>
#include <aioctx-gsource/aio-wake.h>
#include <aioctx-gsource/aio-context.h>
#include <aioctx-gsource/aio-bh.h>
#include <aioctx-gsource/aio-bh-object.h>
#include <aioctx-gsource/aio-fd.h>
#include <aioctx-gsource/aio-event-notifier.h>
#include <aioctx-gsource/aio-timer.h>
#include <aioctx-gsource/aio-io-thread.h>
#include <aioctx-gsource/aio-introspect.h>
#include <aioctx-gsource/aio-dump.h>
#include <aioctx-gsource/aio-invoke.h>
#include <aioctx-gsource/aio-gio.h>
#undef AIOCTX_GSOURCE_INSIDE
