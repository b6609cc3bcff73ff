/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 0. Every atomic access of the library goes through this header.
 *
 *   relaxed   no order; for words that one thread writes, or whose order another access gives
 *   acquire   a load: what the writer did before its release is visible afterwards
 *   release   a store: what this thread did before is visible to who acquires it
 *   full      sequentially consistent: takes part in the one total order of all "full" accesses
 *
 * What they cost on x86-64: relaxed, acquire and release loads and stores and a full load are plain
 * moves; an exchange, add or compare-and-swap is one locked instruction (18 to 25 cycles), whatever
 * its order. A full store would be an exchange too, so there is none: write the exchange.
 * On aarch64 with LSE each of them is one instruction as well, so none of them is a retry loop. */
#pragma once

#include <stdatomic.h>

#define aio_load_relaxed(p)             atomic_load_explicit ((p), memory_order_relaxed)
#define aio_load_acquire(p)             atomic_load_explicit ((p), memory_order_acquire)
#define aio_load_full(p)                atomic_load_explicit ((p), memory_order_seq_cst)

#define aio_store_relaxed(p, value)     atomic_store_explicit ((p), (value), memory_order_relaxed)
#define aio_store_release(p, value)     atomic_store_explicit ((p), (value), memory_order_release)

#define aio_exchange_full(p, value)     atomic_exchange_explicit ((p), (value), \
                                                                  memory_order_seq_cst)
#define aio_fetch_add_full(p, value)    atomic_fetch_add_explicit ((p), (value), \
                                                                   memory_order_seq_cst)
#define aio_fetch_sub_full(p, value)    atomic_fetch_sub_explicit ((p), (value), \
                                                                   memory_order_seq_cst)
#define aio_compare_and_swap_full(p, expected, value) \
  atomic_compare_exchange_strong_explicit ((p), (expected), (value), \
                                           memory_order_seq_cst, memory_order_seq_cst)

/* A counter that one thread writes and any thread reads. Relaxed is enough: nothing is ordered by
 * it. No locked instruction. */
#define aio_count(p, n) \
  aio_store_relaxed ((p), aio_load_relaxed (p) + (n))

/* Tells the processor that this is a wait loop. */
static inline void
aio_cpu_relax (void)
{
#if defined (__x86_64__) || defined (__i386__)
  __builtin_ia32_pause ();
#elif defined (__aarch64__)
  __asm__ __volatile__ ("yield");
#endif
}
