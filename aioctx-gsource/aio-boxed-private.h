/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 0. As G_DEFINE_BOXED_TYPE(), which passes functions through a union that ISO C lacks. */
#pragma once

#include <glib-object.h>

#define AIO_DEFINE_BOXED_TYPE(TypeName, type_name, copy_func, free_func) \
  GType \
  type_name##_get_type (void) \
  { \
    static gsize type; \
    if (g_once_init_enter (&type)) \
      g_once_init_leave (&type, g_boxed_type_register_static (g_intern_static_string (#TypeName), \
                                                              (GBoxedCopyFunc) copy_func, \
                                                              (GBoxedFreeFunc) free_func)); \
    return type; \
  }
