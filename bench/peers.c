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
  BENCH_OTHERS
  &bench_bare,
  &bench_bare_eventfd,
  &bench_bare_epoll,
  NULL
};
