/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floor 4. All that the g_test kit (testing/), a library of its own, sees of this one beside the
 * public interface. Both come from one source tree and have to have the same version. */
#pragma once

#include <aioctx-gsource/aioctx-gsource.h>
#include <aioctx-gsource/aio-test-entry-private.h>

typedef struct _AioTestHooks AioTestHooks;

/* From the least urgent on. */
typedef enum
{
  AIO_TEST_RESTING,
  AIO_TEST_IDLE,        /* scheduled as idle */
  AIO_TEST_DUE
} AioTestState;

typedef enum
{
  AIO_TEST_BH,
  AIO_TEST_ONESHOT,     /* without a name: a post */
  AIO_TEST_FD,
  AIO_TEST_TIMER
} AioTestKind;

/* Something that is in a context. */
typedef struct
{
  AioTestKind kind;
  AioTestState state;
  const char *name;     /* of a bottom half, a one-shot or a timer; may be NULL */
  int fd;
  gconstpointer timer;
  gpointer func;        /* of a timer */
  gint64 deadline_ns;   /* of a timer; -1: not armed */
} AioTestItem;

typedef void (*AioTestVisitor) (gpointer           data,
                                const AioTestItem *item);

struct _AioTestHooks
{
  const char *version;

  /* Makes a fresh context one of the kit's: on the virtual clock, with data. */
  void         (*adopt)         (AioContext     *context,
                                 gpointer        data,
                                 GDestroyNotify  destroy);
  /* NULL: not one of the kit's. */
  gpointer     (*get_data)      (AioContext     *context);
  gboolean     (*may_act)       (AioContext     *context,
                                 const char     *where);

  /* Home thread. Both decide how entries are arranged; 0 and NULL: they run in the order in which
   * they were scheduled. */
  void         (*set_shuffle)   (AioContext     *context,
                                 guint32         seed);
  void         (*set_arrange)   (AioContext     *context,
                                 AioTestArrange  arrange);
  guint64      (*count_reordered) (AioContext   *context);      /* passes */
  void         (*set_time_ns)   (AioContext     *context,
                                 gint64          now_ns);
  gint64       (*next_deadline_ns) (AioContext  *context);      /* G_MAXINT64: nothing is armed */
  AioTestState (*look)          (AioContext     *context);
  void         (*list)          (AioContext     *context,
                                 AioTestVisitor  visit,
                                 gpointer        data);
  guint        (*get_refs)      (AioContext     *context);
  gboolean     (*is_attached)   (AioContext     *context);
  guint64      (*count_timers)  (AioContext     *context);
  /* Calls something before each run of a bottom half; data is freed with g_free(). */
  void         (*call_before)   (AioBH          *bh,
                                 AioBHFunc       before,
                                 gpointer        data);

  /* Any thread: what it schedules is scheduled by this producer, which has the bit
   * AIO_TEST_DECLARED; 0: by itself again. */
  guint64      (*declare_producer) (guint64      id);

  /* Any thread. For the whole process; NULL: no faults. */
  void         (*set_fault)     (gboolean      (*fault) (void));
};

AIO_EXPORT const AioTestHooks *aio__test_hooks (void);
