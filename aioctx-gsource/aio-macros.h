/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#if !defined (AIOCTX_GSOURCE_INSIDE) && !defined (AIOCTX_GSOURCE_COMPILATION)
#error "Only <aioctx-gsource/aioctx-gsource.h> can be included directly."
#endif

/**
 * AIO_EXPORT: (skip)
 *
 * Marks a prototype as part of the public interface; everything else is hidden.
 *
 * Since: 1.0
 */
#ifdef __GNUC__
#define AIO_EXPORT __attribute__ ((visibility ("default"))) extern
#else
#define AIO_EXPORT extern
#endif
