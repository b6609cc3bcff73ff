/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all compat headers stand on. Include one of QEMU's headers instead. */
#pragma once

/* Code that comes from QEMU declares "struct QEMUBH" by itself, before these headers or behind
 * them, and means AioBH. Where these headers are the first to include the native one, AioBH gets
 * that tag. Otherwise it has its own already, and what looks like another struct is turned into
 * it. */
#ifndef AIO_TYPE_BH
#define _AioBH QEMUBH
#include <aioctx-gsource/aioctx-gsource.h>
#undef _AioBH
#else
#define QEMUBH _AioBH
#endif

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

G_BEGIN_DECLS

/* --- Telling signatures apart ----------------------------------------------------------------- */

/* Some functions took other arguments at other times. Their names are macros over functions
 * aio_qemu_NAME_N, where N is the number of arguments. To get the native function of such a name,
 * write the name in parentheses. */
#define AIO_QEMU_PASTE(a, b)  AIO_QEMU_PASTE_ (a, b)
#define AIO_QEMU_PASTE_(a, b) a##b

#define AIO_QEMU_COUNT(...) AIO_QEMU_COUNT_ (__VA_ARGS__, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define AIO_QEMU_COUNT_(a, b, c, d, e, f, g, h, n, ...) n

#define AIO_QEMU_CALL(name, ...) \
  AIO_QEMU_PASTE (name, AIO_QEMU_COUNT (__VA_ARGS__)) (__VA_ARGS__)

/* For none or one: NAME_0 or NAME_1. An empty argument lets AIO_QEMU_COMMA meet the parentheses
 * behind it; one that is in parentheses itself meets it before that. */
#define AIO_QEMU_COMMA(...) ,
#define AIO_QEMU_HAS_COMMA(...) AIO_QEMU_COUNT_ (__VA_ARGS__, 1, 1, 1, 1, 1, 1, 1, 0, 0)
#define AIO_QEMU_00 1
#define AIO_QEMU_01 0
#define AIO_QEMU_10 1
#define AIO_QEMU_11 1
#define AIO_QEMU_PICK(a, b) AIO_QEMU_PASTE (AIO_QEMU_, AIO_QEMU_PASTE (a, b))
#define AIO_QEMU_COUNT_OPTIONAL(...) \
  AIO_QEMU_PICK (AIO_QEMU_HAS_COMMA (AIO_QEMU_COMMA __VA_ARGS__), \
                 AIO_QEMU_HAS_COMMA (AIO_QEMU_COMMA __VA_ARGS__ ()))

#define AIO_QEMU_CALL_OPTIONAL(name, ...) \
  AIO_QEMU_PASTE (name, AIO_QEMU_COUNT_OPTIONAL (__VA_ARGS__)) (__VA_ARGS__)

/* --- What QEMU's common headers bring along --------------------------------------------------- */

#ifndef container_of
#define container_of(pointer, type, member) \
  ((type *) (void *) ((char *) (pointer) - offsetof (type, member)))
#endif

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array) (sizeof (array) / sizeof ((array)[0]))
#endif

typedef struct QEMUBH QEMUBH;                   /* the same type as AioBH */

typedef struct BlockDriverState BlockDriverState;

typedef void IOHandler        (void *opaque);
typedef void IOReadHandler    (void *opaque, const uint8_t *buf, int size);
typedef int  IOCanReadHandler (void *opaque);

/* --- Error ------------------------------------------------------------------------------------ */

/* A GError by another name, never defined as a struct. See qapi/error.h. */
typedef struct Error Error;

AIO_EXPORT Error *aio_qemu_error_abort;
AIO_EXPORT Error *aio_qemu_error_fatal;

AIO_EXPORT void        aio_qemu_error_set        (Error      **errp,
                                                  const char  *format,
                                                  ...) G_GNUC_PRINTF (2, 3);
AIO_EXPORT void        aio_qemu_error_propagate  (Error      **errp,
                                                  Error       *error);
AIO_EXPORT const char *aio_qemu_error_get_pretty (const Error *error);
AIO_EXPORT void        aio_qemu_error_free       (Error       *error);
AIO_EXPORT void        aio_qemu_error_report     (Error       *error);

G_END_DECLS
