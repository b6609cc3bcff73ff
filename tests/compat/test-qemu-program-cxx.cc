/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test-qemu-program.c"
