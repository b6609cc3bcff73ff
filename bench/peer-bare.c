/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A GSource written by hand that does nothing but what the question asks for: what it costs is what
 * a GMainContext costs. */
#include "peers.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_EVENTS 16

typedef struct _Bare Bare;

typedef struct
{
  Bare *bare;
  BenchCall func;
  gpointer data;
  int fd;
} Handle;

struct _Bare
{
  GSource parent;
  Handle *scheduled;
  int fd;                       /* -1: nothing is polled */
  gboolean is_epoll;
  gpointer tag;
  GMainContext *main_context;
};

static gboolean
bare_prepare (GSource *source,
              int     *timeout)
{
  *timeout = -1;
  return ((Bare *) source)->scheduled != NULL;
}

static gboolean
bare_check (GSource *source)
{
  Bare *self = (Bare *) source;

  return self->scheduled != NULL ||
         (self->is_epoll && g_source_query_unix_fd (source, self->tag) != 0);
}

static gboolean
bare_dispatch (GSource     *source,
               GSourceFunc  callback,
               gpointer     data)
{
  Bare *self = (Bare *) source;
  Handle *handle = self->scheduled;
  struct epoll_event events[MAX_EVENTS];
  int n;

  self->scheduled = NULL;
  if (handle != NULL)
    handle->func (handle->data);
  if (!self->is_epoll || g_source_query_unix_fd (source, self->tag) == 0)
    return G_SOURCE_CONTINUE;
  n = epoll_wait (self->fd, events, MAX_EVENTS, 0);
  for (int i = 0; i < n; i++)
    {
      handle = events[i].data.ptr;
      handle->func (handle->data);
    }
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs bare_funcs = {
  .prepare = bare_prepare,
  .check = bare_check,
  .dispatch = bare_dispatch
};

static Bare *
bare_open (int      fd,
           gboolean is_epoll)
{
  Bare *self = (Bare *) g_source_new (&bare_funcs, sizeof (Bare));

  self->fd = fd;
  self->is_epoll = is_epoll;
  self->main_context = g_main_context_new ();
  if (fd >= 0)
    self->tag = g_source_add_unix_fd (&self->parent, fd, G_IO_IN);
  g_source_set_can_recurse (&self->parent, TRUE);
  g_source_attach (&self->parent, self->main_context);
  return self;
}

static gpointer
plain_open (void)
{
  return bare_open (-1, FALSE);
}

static gpointer
eventfd_open (void)
{
  return bare_open (eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK), FALSE);
}

static gpointer
epoll_open (void)
{
  return bare_open (epoll_create1 (EPOLL_CLOEXEC), TRUE);
}

static void
bare_close (gpointer loop)
{
  Bare *self = loop;
  GMainContext *main_context = self->main_context;
  int fd = self->fd;

  g_source_destroy (&self->parent);
  g_source_unref (&self->parent);
  g_main_context_unref (main_context);
  if (fd >= 0)
    close (fd);
}

static inline void
bare_iterate (gpointer loop)
{
  g_main_context_iteration (((Bare *) loop)->main_context, FALSE);
}

static gpointer
bare_call_new (gpointer  loop,
               BenchCall func,
               gpointer  data)
{
  Handle *handle = g_new (Handle, 1);

  *handle = (Handle) { loop, func, data, -1 };
  return handle;
}

static inline void
bare_send (gpointer call)
{
  Handle *handle = call;

  handle->bare->scheduled = handle;
}

BENCH_REPEAT (bare, bare_send, bare_iterate)

static gpointer
bare_fd_new (gpointer  loop,
             int       fd,
             BenchCall func,
             gpointer  data)
{
  Handle *handle = bare_call_new (loop, func, data);
  struct epoll_event event = { .events = EPOLLIN, .data.ptr = handle };

  handle->fd = fd;
  epoll_ctl (handle->bare->fd, EPOLL_CTL_ADD, fd, &event);
  return handle;
}

static void
bare_fd_free (gpointer data)
{
  Handle *handle = data;

  epoll_ctl (handle->bare->fd, EPOLL_CTL_DEL, handle->fd, NULL);
  g_free (handle);
}

#define CALLS .close = bare_close, .iterate = bare_iterate, \
  .call_new = bare_call_new, .call_free = g_free, .send = bare_send, .burst = bare_burst, \
  .one_call_at_once = TRUE

const BenchPeer bench_bare = {
  .name = "floor: bare GSource",
  .open = plain_open, .call_how = "a flag + g_main_context_iteration", CALLS
};

const BenchPeer bench_bare_eventfd = {
  .name = "floor: with an eventfd",
  .open = eventfd_open, .call_how = "a flag + g_main_context_iteration", CALLS
};

const BenchPeer bench_bare_epoll = {
  .name = "floor: with an epoll fd",
  .open = epoll_open, .call_how = "a flag + g_main_context_iteration", CALLS,
  .fd_how = "epoll_wait in a bare GSource",
  .fd_new = bare_fd_new, .fd_free = bare_fd_free
};
