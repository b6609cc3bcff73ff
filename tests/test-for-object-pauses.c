/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An object that is disposed of between the moment when its bottom half is taken from the queue and
 * the call, stopped there by a pause point. */
#include "invoke-test.h"

#include <aioctx-gsource/aio-pause-private.h>

static GObject *doomed;
static pthread_t disposer;
static Gate gate = GATE_INIT;

static void *
dispose (void *object)
{
  g_object_run_dispose (object);
  return NULL;
}

/* A weak notify that comes after the library's. */
static void
stop_disposal (gpointer  unused,
               GObject  *where_it_was)
{
  gate_pass (&gate);
}

static void
dispose_elsewhere (AioPausePoint point)
{
  if (point != AIO_PAUSE_RELEASED || doomed == NULL)
    return;
  disposer = thread_start (dispose, g_steal_pointer (&doomed));
  gate_wait_reached (&gate);
}

static void
count (gpointer n)
{
  ++*(guint *) n;
}

static void
test_disposed (void)
{
  g_autoptr (AioContext) context = aio_context_new ();
  g_autoptr (GObject) object = g_object_new (G_TYPE_OBJECT, NULL);
  guint n = 0;

  g_test_summary ("C32: a run that is due does not start once its object is being disposed of in "
                  "another thread, though that is referenced");
  aio_bh_schedule (aio_bh_new_for_object_full (context, NULL, object, count, &n, NULL));
  g_object_weak_ref (object, stop_disposal, NULL);
  doomed = object;
  aio_pause_hook = dispose_elsewhere;
  aio_context_poll (context, FALSE);
  aio_pause_hook = NULL;
  gate_open (&gate);
  thread_join (disposer);
  aio_context_poll (context, FALSE);
  g_assert_cmpuint (n, ==, 0);
}

int
main (int    argc,
      char **argv)
{
  loop_test_init (&argc, &argv);
  aio_test_add ("/for-object-pauses/disposed", test_disposed);
  return g_test_run ();
}
