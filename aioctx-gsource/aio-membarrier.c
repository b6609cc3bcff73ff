/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-membarrier-private.h>

#include <unistd.h>

#ifdef __linux__
#include <linux/membarrier.h>
#include <sys/syscall.h>
#endif

#if defined (__linux__) && defined (SYS_membarrier)

/* Makes each running thread of this process execute a full barrier, see membarrier(2). FALSE where
 * the kernel has none or a sandbox forbids it: the caller then has to look again after a while. */
gboolean
aio_membarrier (void)
{
  if (syscall (SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0)
    return TRUE;
  /* A process has to register once before its first use. Registering twice does no harm. */
  return syscall (SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0 &&
         syscall (SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0;
}

#else

gboolean
aio_membarrier (void)
{
  return FALSE;
}

#endif
