/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What every test program shares: it counts the open descriptors around each case. */
#pragma once

#include <aioctx-gsource/aioctx-gsource.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static inline guint
aio_test_count_fds (void)
{
  DIR *dir = opendir ("/proc/self/fd");
  guint n = 0;

  g_assert_nonnull (dir);
  while (readdir (dir) != NULL)
    n++;
  closedir (dir);
  return n;
}

typedef struct _AioTestCase AioTestCase;

struct _AioTestCase
{
  AioTestCase *next;
  GTestFunc func;
};

static inline void
aio_test_run_case (gconstpointer data)
{
  const AioTestCase *test = data;
  guint before = aio_test_count_fds ();

  test->func ();
  g_assert_cmpuint (aio_test_count_fds (), ==, before);
}

/* Adds a case that must leave as many descriptors open as it found. The cases stay in a list: a
 * child process of g_test_trap_subprocess() runs one and frees none, which would be called a
 * leak. */
static inline void
aio_test_add (const char *path,
              GTestFunc   func)
{
  static AioTestCase *cases;
  AioTestCase *test = g_new0 (AioTestCase, 1);

  test->func = func;
  test->next = cases;
  cases = test;
  g_test_add_data_func (path, test, aio_test_run_case);
}
