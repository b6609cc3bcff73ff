/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of invoked functions share. */
#pragma once

#include "loop-test.h"

/* A thread stays at a gate until another one opens it. */
typedef struct
{
  pthread_mutex_t lock;
  pthread_cond_t cond;
  gboolean reached;
  gboolean open;
  guint n_inside;
} Gate;

#define GATE_INIT { .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER }

static inline void
gate_pass (gpointer data)
{
  Gate *gate = data;

  pthread_mutex_lock (&gate->lock);
  gate->reached = TRUE;
  gate->n_inside++;
  pthread_cond_broadcast (&gate->cond);
  while (!gate->open)
    pthread_cond_wait (&gate->cond, &gate->lock);
  gate->n_inside--;
  pthread_cond_broadcast (&gate->cond);
  pthread_mutex_unlock (&gate->lock);
}

static inline void
gate_wait_reached (Gate *gate)
{
  pthread_mutex_lock (&gate->lock);
  while (!gate->reached)
    pthread_cond_wait (&gate->cond, &gate->lock);
  pthread_mutex_unlock (&gate->lock);
}

/* Waits until who stood there has left: the gate is on the stack of the caller. */
static inline void
gate_open (Gate *gate)
{
  pthread_mutex_lock (&gate->lock);
  gate->open = TRUE;
  pthread_cond_broadcast (&gate->cond);
  while (gate->n_inside != 0)
    pthread_cond_wait (&gate->cond, &gate->lock);
  pthread_mutex_unlock (&gate->lock);
}

/* Holds an I/O thread up in a callback. */
static inline void
gate_block (Gate       *gate,
            AioContext *context)
{
  g_assert_true (aio_context_post (context, gate_pass, gate, NULL));
  gate_wait_reached (gate);
}

static inline AioIOThread *
io_new (const char *name)
{
  GError *error = NULL;
  AioIOThread *thread = aio_io_thread_new (name, &error);

  g_assert_no_error (error);
  return thread;
}

/* Until all that is posted has run. */
static inline gboolean
do_nothing (gpointer       data,
            GCancellable  *cancellable,
            GError       **error)
{
  return TRUE;
}

static inline void
io_settle (AioIOThread *thread)
{
  GError *error = NULL;

  aio_context_invoke_sync (aio_io_thread_get_context (thread), do_nothing, NULL, NULL, &error);
  g_assert_no_error (error);
}

/* A function that counts its calls and says where it ran. */
typedef struct
{
  AioContext *context;
  guint n;
  pthread_t thread;
  guint n_destroyed;
  pthread_t destroyed_in;
} Counted;

static inline gboolean
counted_run (gpointer       data,
             GCancellable  *cancellable,
             GError       **error)
{
  Counted *counted = data;

  g_assert_cmpuint (counted->n_destroyed, ==, 0);
  g_assert_true (aio_context_get_current () == counted->context);
  g_assert_true (aio_context_is_home_thread (counted->context));
  counted->n++;
  counted->thread = pthread_self ();
  return TRUE;
}

static inline void
counted_destroyed (gpointer data)
{
  Counted *counted = data;

  counted->n_destroyed++;
  counted->destroyed_in = pthread_self ();
}

static inline gboolean
fail_busy (gpointer       data,
           GCancellable  *cancellable,
           GError       **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "No time for %s", (const char *) data);
  return FALSE;
}

static inline gboolean
fail_silently (gpointer       data,
               GCancellable  *cancellable,
               GError       **error)
{
  return FALSE;
}

static inline gboolean
succeed_with_error (gpointer       data,
                    GCancellable  *cancellable,
                    GError       **error)
{
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_BUSY, "but why");
  return TRUE;
}

/* Begins, waits until it is cancelled, and succeeds in spite of it. */
static inline gboolean
succeed_when_cancelled (gpointer       data,
                        GCancellable  *cancellable,
                        GError       **error)
{
  Gate *begun = data;

  gate_pass (begun);
  while (!g_cancellable_is_cancelled (cancellable))
    g_usleep (100);
  return TRUE;
}

/* In a thread: cancels the first after as many rounds as the second says. */
static inline void *
cancel_soon (void *data)
{
  gpointer *args = data;
  guint spins = GPOINTER_TO_UINT (args[1]);

  for (guint i = 0; i < spins; i++)
    atomic_thread_fence (memory_order_seq_cst);
  g_cancellable_cancel (args[0]);
  return NULL;
}
