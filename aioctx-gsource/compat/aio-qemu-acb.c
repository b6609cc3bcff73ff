/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "aio-qemu-private.h"

G_STATIC_ASSERT (sizeof (BlockAIOCB) == sizeof (BlockDriverAIOCB));
G_STATIC_ASSERT (G_STRUCT_OFFSET (BlockAIOCB, next) == G_STRUCT_OFFSET (BlockDriverAIOCB, next));

static void *
set_up (BlockDriverAIOCB    *acb,
        BlockDriverState    *bs,
        BlockCompletionFunc *cb,
        void                *opaque)
{
  acb->bs = bs;
  acb->cb = cb;
  acb->opaque = opaque;
  acb->next = NULL;
  acb->refcnt = 1;
  return acb;
}

/* A block that was released before is not wiped: drivers keep a bottom half in it, say. */
void *
aio_qemu_acb_get_pool (AIOPool             *pool,
                       BlockDriverState    *bs,
                       BlockCompletionFunc *cb,
                       void                *opaque)
{
  BlockDriverAIOCB *acb = pool->free_aiocb;

  if (acb != NULL)
    pool->free_aiocb = acb->next;
  else
    acb = g_malloc0 (pool->aiocb_size);
  acb->pool = pool;
  return set_up (acb, bs, cb, opaque);
}

void *
aio_qemu_acb_get_info (const AIOCBInfo     *info,
                       BlockDriverState    *bs,
                       BlockCompletionFunc *cb,
                       void                *opaque)
{
  BlockDriverAIOCB *acb = g_malloc0 (info->aiocb_size);

  acb->aiocb_info = info;
  return set_up (acb, bs, cb, opaque);
}

void
aio_qemu_acb_ref (void *p)
{
  BlockDriverAIOCB *acb = p;

  acb->refcnt++;
}

void
aio_qemu_acb_unref (void *p)
{
  BlockDriverAIOCB *acb = p;

  g_return_if_fail (acb->refcnt > 0);
  if (--acb->refcnt > 0)
    return;
  if (acb->pool == NULL)
    {
      g_free (acb);
      return;
    }
  acb->next = acb->pool->free_aiocb;
  acb->pool->free_aiocb = acb;
}
