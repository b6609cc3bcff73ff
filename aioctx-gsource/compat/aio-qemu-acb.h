/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control blocks of requests in flight: from a pool as in 2012, or counted as at present. */
#pragma once

#include "aio-qemu-base.h"

G_BEGIN_DECLS

typedef struct BlockDriverAIOCB BlockDriverAIOCB;       /* until 2014 */
typedef struct BlockAIOCB BlockAIOCB;                   /* since then */

typedef void BlockCompletionFunc       (void *opaque, int ret);
typedef void BlockDriverCompletionFunc (void *opaque, int ret);

/* 2012. Released blocks stay in the pool, with what the driver has left in them. Not locked. */
typedef struct AIOPool
{
  void (*cancel) (BlockDriverAIOCB *acb);
  int aiocb_size;
  BlockDriverAIOCB *free_aiocb;
} AIOPool;

/* Since the end of 2012. */
typedef struct AIOCBInfo
{
  union
  {
    void (*cancel_async) (BlockAIOCB *acb);
    void (*cancel) (BlockDriverAIOCB *acb);
  };
  size_t aiocb_size;
  AioContext *(*get_aio_context) (BlockAIOCB *acb);
} AIOCBInfo;

/* At the start of the driver's own struct. Two types, as code of one time declares the one itself,
 * and code of another time the other one; the fields are the same. */
struct BlockDriverAIOCB
{
  const AIOCBInfo *aiocb_info;  /* or NULL, and a pool */
  BlockDriverState *bs;
  BlockCompletionFunc *cb;
  void *opaque;
  int refcnt;
  AIOPool *pool;
  BlockDriverAIOCB *next;       /* in the pool */
};

struct BlockAIOCB
{
  const AIOCBInfo *aiocb_info;
  BlockDriverState *bs;
  BlockCompletionFunc *cb;
  void *opaque;
  int refcnt;
  /*< private >*/
  AIOPool *pool;
  BlockDriverAIOCB *next;
};

AIO_EXPORT void *aio_qemu_acb_get_pool (AIOPool             *pool,
                                        BlockDriverState    *bs,
                                        BlockCompletionFunc *cb,
                                        void                *opaque);
AIO_EXPORT void *aio_qemu_acb_get_info (const AIOCBInfo     *info,
                                        BlockDriverState    *bs,
                                        BlockCompletionFunc *cb,
                                        void                *opaque);
AIO_EXPORT void  aio_qemu_acb_ref      (void                *acb);
AIO_EXPORT void  aio_qemu_acb_unref    (void                *acb);

static inline void
qemu_aio_ref (void *acb)
{
  aio_qemu_acb_ref (acb);
}

static inline void
qemu_aio_unref (void *acb)
{
  aio_qemu_acb_unref (acb);
}

static inline void
qemu_aio_release (void *acb)
{
  aio_qemu_acb_unref (acb);
}

G_END_DECLS

#ifdef __cplusplus

static inline void *
qemu_aio_get (AIOPool             *pool,
              BlockDriverState    *bs,
              BlockCompletionFunc *cb,
              void                *opaque)
{
  return aio_qemu_acb_get_pool (pool, bs, cb, opaque);
}

static inline void *
qemu_aio_get (const AIOCBInfo     *info,
              BlockDriverState    *bs,
              BlockCompletionFunc *cb,
              void                *opaque)
{
  return aio_qemu_acb_get_info (info, bs, cb, opaque);
}

#else

#define qemu_aio_get(pool, bs, cb, opaque) \
  _Generic ((pool), AIOPool *: aio_qemu_acb_get_pool, default: aio_qemu_acb_get_info) \
    ((pool), (bs), (cb), (opaque))

#endif
