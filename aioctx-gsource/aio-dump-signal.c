/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A dump when a signal comes. The handler schedules a bottom half, which it may, and that one
 * writes the dump, in a thread that does nothing else; so it works also while all others hang. */
#include <aioctx-gsource/aio-dump-private.h>
#include <aioctx-gsource/aio-bh.h>
#include <aioctx-gsource/aio-debug-private.h>
#include <aioctx-gsource/aio-fork-private.h>
#include <aioctx-gsource/aio-io-thread.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define THREAD_NAME "aioctx-dump"

/* Lives as long as the process. The child of a fork() makes itself another one. */
typedef struct
{
  /* Immutable. */
  guint fork_generation;
  AioIOThread *thread;
  AioBH *bh;
  char *path;                   /* NULL: stderr */
  AioDumpFormat format;

  /* The thread's own. */
  gboolean warned;
} Dumper;

static _Atomic (Dumper *) dumper;

/* FALSE with errno set: not all of it was written. */
static gboolean
write_whole (int         fd,
             const char *text)
{
  gsize left = strlen (text);

  while (left != 0)
    {
      gssize n = write (fd, text, left);

      if (n < 0 && errno != EINTR)
        return FALSE;
      text += MAX (n, 0);
      left -= MAX (n, 0);
    }
  return TRUE;
}

/* Opened each time: whoever turns log files over need not tell us. Returns FALSE with errno set. */
static gboolean
append_to_file (const char *path,
                const char *text)
{
  gboolean done;
  int fd, kept_errno;

  do
    fd = open (path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
  while (fd < 0 && errno == EINTR);
  if (fd < 0)
    return FALSE;
  done = write_whole (fd, text);
  kept_errno = errno;
  close (fd);
  errno = kept_errno;
  return done;
}

static void
complain (Dumper *self,
          int     reason)
{
  if (self->warned)
    return;
  self->warned = TRUE;
  g_warning ("AIOCTX_DUMP: cannot write to “%s”: %s; dumps go to stderr", self->path,
             g_strerror (reason));
}

/* What does not fit into the file is said again, whole. */
static void
write_dump (gpointer data)
{
  Dumper *self = data;
  char *text = aio_dump_all_to_string (self->format);

  if (self->path == NULL)
    write_whole (STDERR_FILENO, text);
  else if (!append_to_file (self->path, text))
    {
      complain (self, errno);
      write_whole (STDERR_FILENO, text);
    }
  g_free (text);
}

/* Acquire: pairs with the swap in make_dumper(). In the child of a fork() the thread is gone,
 * and it is the parent that was meant. */
static void
on_signal (int signum)
{
  int kept_errno = errno;
  Dumper *self = aio_load_acquire (&dumper);

  if (!aio_fork_is_child (self->fork_generation))
    aio_bh_schedule (self->bh);
  errno = kept_errno;
}

static char *
chosen_path (void)
{
  const char *path = aio_debug_getenv ("AIOCTX_DUMP");

  return path != NULL && *path != '\0' ? g_strdup (path) : NULL;
}

static Dumper *
dumper_new (GError **error)
{
  AioIOThread *thread = aio_io_thread_new (THREAD_NAME, error);
  Dumper *self;

  if (thread == NULL)
    return NULL;
  self = g_new0 (Dumper, 1);
  self->fork_generation = aio_fork_generation;
  self->thread = thread;
  self->bh = aio_bh_new_full (aio_io_thread_get_context (thread), THREAD_NAME, write_dump, self,
                              NULL);
  aio_store_relaxed (&aio_io_thread_get_context (thread)->is_own, TRUE);
  self->path = chosen_path ();
  if (self->path != NULL && g_str_has_suffix (self->path, ".json"))
    self->format = AIO_DUMP_JSON;
  return self;
}

/* Nobody else knows it. */
static void
dumper_free (Dumper *self)
{
  aio_bh_delete (self->bh);
  aio_io_thread_stop (self->thread);
  aio_io_thread_unref (self->thread);
  g_free (self->path);
  g_free (self);
}

/* The swap pairs with the acquire in on_signal(), which runs only after it. Of two threads that are
 * the first one wins. */
static gboolean
make_dumper (GError **error)
{
  Dumper *former = aio_load_acquire (&dumper);
  Dumper *self;

  if (former != NULL && !aio_fork_is_child (former->fork_generation))
    return TRUE;
  self = dumper_new (error);
  if (self == NULL)
    return FALSE;
  if (!aio_compare_and_swap_full (&dumper, &former, self))
    dumper_free (self);
  return TRUE;
}

/* Not those that nobody can handle, and not those that tell of a mistake of the program: a handler
 * that returns would run into it again, for ever. */
static gboolean
is_fit (int signum)
{
  static const int unfit[] = { SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };

  for (guint i = 0; i < G_N_ELEMENTS (unfit); i++)
    if (signum == unfit[i])
      return FALSE;
  return signum > 0;
}

static gboolean
install (int      signum,
         GError **error)
{
  struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

  sigemptyset (&action.sa_mask);
  if (is_fit (signum) && sigaction (signum, NULL, NULL) == 0)
    return make_dumper (error) && sigaction (signum, &action, NULL) == 0;
  g_set_error (error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "signal %d is not fit for it",
               signum);
  return FALSE;
}

/**
 * aio_dump_on_signal:
 * @signum: a signal, say `SIGUSR1`
 *
 * Has all contexts dumped when the signal comes, to stderr, or to the file that the environment
 * variable AIOCTX_DUMP names. Where that cannot be written, a warning says so, once, and the dump
 * goes to stderr. Dumps are appended to it, each beginning with a line that has the
 * time and the number of the process; if its name ends in ".json", each is a JSON object in one
 * line.
 *
 * The first call starts a thread, "aioctx-dump", which writes the dumps, so that it works also
 * while all other threads hang. Its own context is in no dump. Signals that come while a dump is
 * being made may share one.
 *
 * Takes the place of another handler of the signal. System calls that it interrupts go on. A child
 * made by fork() stays silent, unless it calls this function itself.
 *
 * Signals that cannot be handled, or that tell of a mistake of the program (`SIGSEGV`, say), are
 * refused with a critical warning.
 *
 * Thread: any thread. Not signal safe.
 *
 * Returns: whether it is so now
 *
 * Since: 1.0
 */
gboolean
aio_dump_on_signal (int signum)
{
  g_autoptr (GError) error = NULL;

  if (install (signum, &error))
    return TRUE;
  g_critical ("%s: no dump on signal %d: %s", G_STRFUNC, signum,
              error != NULL ? error->message : g_strerror (errno));
  return FALSE;
}

/* 0: there is none of that name. */
static int
signal_by_name (const char *name)
{
  static const struct { const char *name; int signum; } signals[] = {
    { "HUP", SIGHUP }, { "INT", SIGINT }, { "QUIT", SIGQUIT }, { "USR1", SIGUSR1 },
    { "USR2", SIGUSR2 }, { "PIPE", SIGPIPE }, { "ALRM", SIGALRM }, { "TERM", SIGTERM },
    { "CONT", SIGCONT }, { "TSTP", SIGTSTP }, { "URG", SIGURG }, { "VTALRM", SIGVTALRM },
    { "PROF", SIGPROF }, { "WINCH", SIGWINCH }, { "IO", SIGIO },
  };
  guint64 number = 0;

  if (g_ascii_string_to_unsigned (name, 10, 1, G_MAXINT, &number, NULL))
    return number;
  if (g_str_has_prefix (name, "SIG"))
    name += strlen ("SIG");
  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    if (strcmp (signals[i].name, name) == 0)
      return signals[i].signum;
  return 0;
}

gboolean
aio_dump_on_signal_name (const char *name)
{
  return install (signal_by_name (name), NULL);
}
