/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Marks in a capture of sysprof. The test is the profiler: it gives the program, itself, a ring
 * buffer when asked, as sysprof does through a socket. */
#include "aio-test.h"

#include <sys/socket.h>
#include <sysprof-capture.h>

/* In libsysprof-capture-4, and in no header that is installed. */
typedef struct _MappedRingBuffer MappedRingBuffer;
typedef bool (*RingFunc) (const void *data,
                          size_t     *length,
                          void       *user_data);
MappedRingBuffer *mapped_ring_buffer_new_reader (size_t            size);
int               mapped_ring_buffer_get_fd     (MappedRingBuffer *self);
bool              mapped_ring_buffer_drain      (MappedRingBuffer *self,
                                                 RingFunc          func,
                                                 void             *user_data);
void              mapped_ring_buffer_unref      (MappedRingBuffer *self);

#define REQUEST "CreatRing"

static MappedRingBuffer *ring;

static void
send_fd (int socket,
         int fd)
{
  char control[CMSG_SPACE (sizeof (int))] = { 0 };
  char byte = 0;
  struct iovec vec = { &byte, 1 };
  struct msghdr message = { .msg_iov = &vec, .msg_iovlen = 1, .msg_control = control,
                            .msg_controllen = sizeof control };
  struct cmsghdr *header = CMSG_FIRSTHDR (&message);

  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN (sizeof (int));
  memcpy (CMSG_DATA (header), &fd, sizeof fd);
  g_assert_cmpint (sendmsg (socket, &message, 0), ==, 1);
}

static void *
give_ring (void *data)
{
  int socket = *(int *) data;
  char request[sizeof REQUEST];

  if (recv (socket, request, sizeof request, MSG_WAITALL) != sizeof request)
    return NULL;
  g_assert_cmpstr (request, ==, REQUEST);
  ring = mapped_ring_buffer_new_reader (0);
  send_fd (socket, mapped_ring_buffer_get_fd (ring));
  return NULL;
}

static void
dispatch (guint n_callbacks)
{
  g_autoptr (AioContext) context = aio_context_new_full ("marked", NULL);

  for (guint i = 0; i < n_callbacks; i++)
    aio_bh_schedule_oneshot (context, nothing, NULL);
  aio_context_poll (context, FALSE);
  aio_context_poll (context, FALSE);
}

static bool
collect_mark (const void *data,
              size_t     *length,
              void       *user_data)
{
  const SysprofCaptureFrame *frame = data;
  const SysprofCaptureMark *mark = data;
  GString *marks = user_data;

  *length = frame->len;
  if (frame->type == SYSPROF_CAPTURE_FRAME_MARK)
    {
      g_assert_cmpint (mark->duration, >=, 0);
      g_string_append_printf (marks, "%s/%s/%s;", mark->group, mark->name, mark->message);
    }
  return true;
}

static void
test_marks (void)
{
  g_autoptr (GString) marks = g_string_new (NULL);
  pthread_t profiler;
  int ends[2];
  char number[16];

  g_test_summary ("C9: a capture has a mark for each dispatch that called something, none for "
                  "others");

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, ends), ==, 0);
  g_snprintf (number, sizeof number, "%d", ends[0]);
  g_setenv ("SYSPROF_CONTROL_FD", number, TRUE);
  pthread_create (&profiler, NULL, give_ring, &ends[1]);
  dispatch (2);
  dispatch (5);
  shutdown (ends[0], SHUT_RDWR);
  pthread_join (profiler, NULL);

  g_assert_nonnull (ring);
  mapped_ring_buffer_drain (ring, collect_mark, marks);
  g_assert_cmpstr (marks->str, ==, "aioctx-gsource/marked/2 callbacks;"
                                   "aioctx-gsource/marked/5 callbacks;");
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  /* Descriptors stay open: the collector of a thread keeps its buffer. */
  g_test_add_func ("/marks/dispatches", test_marks);
  return g_test_run ();
}
