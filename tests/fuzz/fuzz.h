/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a fuzz target is made of: libFuzzer calls it with bytes that it has made up, replay.c with
 * those of the corpus. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The corpus is in the folder of this name. */
extern const char fuzz_name[];
extern const char fuzz_summary[];

int LLVMFuzzerTestOneInput (const uint8_t *bytes,
                            size_t         n_bytes);
