/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "peers.h"

const BenchPeer *const bench_peers[] = {
  &bench_ours_poll,
  &bench_ours_source,
  &bench_ours_bh_poll,
  &bench_ours_home,
  &bench_ours_io_thread,
  &bench_glib,
  &bench_glib_ready_time,
  &bench_glib_invoke,
#ifdef HAVE_LIBUV
  &bench_libuv,
#endif
#ifdef HAVE_LIBEV
  &bench_libev,
#endif
#ifdef HAVE_LIBEVENT
  &bench_libevent,
#endif
#ifdef HAVE_LIBSYSTEMD
  &bench_sd_event,
#endif
  &bench_bare,
  &bench_bare_eventfd,
  &bench_bare_epoll,
  NULL
};
