/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the servers that examples/echo.c is compared with have in common. */
#pragma once

#include <glib.h>
#include <stdlib.h>
#include <sys/resource.h>

#define ECHO_BUFFER_SIZE (64 * 1024)

static inline void
echo_raise_descriptor_limit (void)
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
}

/* The same line as that of examples/echo.c: echo-load reads the port from it. */
static inline void
echo_print_port (int port)
{
  g_print ("listening on 127.0.0.1 port %d\n", port);
}

static inline int
echo_parse_port (int    argc,
                 char **argv)
{
  return argc > 1 ? atoi (argv[1]) : 0;
}
