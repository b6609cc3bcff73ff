/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The same calls from C++. */
#include "main-loop.h"
#include "qemu/aio.h"
#include "iothread.h"

#include <unistd.h>

#define aio_test_add(path, func) g_test_add_func ((path), (func))
#include "signatures.h"

int
main (int   argc,
      char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  add_signature_tests ();
  return g_test_run ();
}
