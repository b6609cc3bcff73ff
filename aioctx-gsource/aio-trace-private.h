/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 0. Static probes for bpftrace, perf, systemtap and gdb: provider aioctx_gsource. A probe is
 * one nop in the code, and a note elsewhere in the file that says where it is and where its
 * arguments are. Whoever traces puts a breakpoint there. So an argument costs nothing as long as it
 * is in a register or in memory anyway; on the way of a schedule there are no others.
 *
 *   schedule (bh, name)           every schedule; bh is 0 for a one-shot or a post, which has no
 *                                 name either; built with clang, name is 0 if bh is not
 *   coalesce (bh)                 it merged with one before; only while a context is profiled, as
 *                                 nobody else notices
 *   notify__saved (set)           the home thread is awake: no wakeup to send; the set of bottom
 *                                 halves is the beginning of the AioContext
 *   notify__sent (name)           a wakeup is written; the name of the context
 *   dispatch__begin (name)        a pass over everything begins
 *   dispatch__end (name, n)       ... has ended, and has called n callbacks
 *   bh__begin (name)              the callback of a bottom half, a one-shot or a post
 *   bh__end (name)
 *   timer (name, deadline, clock) a timer fires; name may be 0; nanoseconds, by an AioClock, so
 *                                 whoever traces can tell how late it is
 *   fd (fd)                       the handler of a descriptor is called
 *   leak (name, names)            a context is finalised and was not empty; what is left in it
 *
 * And marks for sysprof, if the library was built with it: one for each dispatch that has called
 * anything, while a capture is being made. */
#pragma once

#include <glib.h>

#ifdef HAVE_SYS_SDT_H

/* Where gcc may choose among constraints it takes what it has; clang takes memory, and stores on
 * the stack what is in a register. So it gets no choice; and what would have to be loaded on the
 * way of a schedule it does not tell. */
#ifdef __clang__
#pragma clang diagnostic ignored "-Wgnu-zero-variadic-macro-arguments"
#define STAP_SDT_ARG_CONSTRAINT nr
#define AIO_TRACE_IN_MEMORY(x) ((gpointer) 0)
#else
#define AIO_TRACE_IN_MEMORY(x) (x)
#endif

#include <sys/sdt.h>

#define AIO_TRACE1(probe, a)       STAP_PROBE1 (aioctx_gsource, probe, a)
#define AIO_TRACE2(probe, a, b)    STAP_PROBE2 (aioctx_gsource, probe, a, b)
#define AIO_TRACE3(probe, a, b, c) STAP_PROBE3 (aioctx_gsource, probe, a, b, c)

#else

#define AIO_TRACE_IN_MEMORY(x)     (x)

/* Not evaluated, but made use of: what is there for a probe alone is no mistake without it. */
#define AIO_TRACE1(probe, a)       ((void) sizeof (a))
#define AIO_TRACE2(probe, a, b)    ((void) (sizeof (a) + sizeof (b)))
#define AIO_TRACE3(probe, a, b, c) ((void) (sizeof (a) + sizeof (b) + sizeof (c)))

#endif

#ifdef HAVE_SYSPROF

#include <sysprof-capture.h>

/* 0: there is no capture. */
static inline gint64
aio_trace_mark_begin (void)
{
  return sysprof_collector_is_active () ? SYSPROF_CAPTURE_CURRENT_TIME : 0;
}

static inline void
aio_trace_mark_end (gint64      began,
                    const char *context_name,
                    guint       n_callbacks)
{
  if (began != 0 && n_callbacks != 0)
    sysprof_collector_mark_printf (began, SYSPROF_CAPTURE_CURRENT_TIME - began, "aioctx-gsource",
                                   context_name, "%u callbacks", n_callbacks);
}

#else

static inline gint64
aio_trace_mark_begin (void)
{
  return 0;
}

static inline void
aio_trace_mark_end (gint64      began,
                    const char *context_name,
                    guint       n_callbacks)
{
}

#endif
