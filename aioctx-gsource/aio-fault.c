/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-fault-private.h>

#include <errno.h>

_Atomic (AioFaultFunc) aio_fault;

/* Asked right before the system is asked for something that it may refuse. TRUE: take it for
 * refused; errno says why. The acquire pairs with the exchange in set_fault(): what the function
 * looks at was written before. */
gboolean
aio_fault_strikes (void)
{
  AioFaultFunc fault = aio_load_acquire (&aio_fault);

  if (G_LIKELY (fault == NULL) || !fault ())
    return FALSE;
  errno = EMFILE;
  return TRUE;
}
