/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs the example program and compares it with coreutils. FILESUM is the path of it. */
#include "aio-test.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <linux/capability.h>

#define N_ELEMENTS(array) G_N_ELEMENTS (array)

/* The bounds that filesum sets itself, in files and in bytes. */
#define FILES_IN_FLIGHT 1024
#define BLOCK (256 * 1024)
#define EXIT_INTERRUPTED 130

/* -- Folders to work on -------------------------------------------------------------------- */

/* Thousands of small files are made here; that is much faster in memory than on some disks. */
static void
prefer_memory (void)
{
  const char *memory = "/dev/shm";
  struct statvfs room;

  if (g_getenv ("TMPDIR") == NULL && access (memory, W_OK | X_OK) == 0 &&
      statvfs (memory, &room) == 0 && room.f_bavail * room.f_frsize >= 256 * 1024 * 1024)
    g_setenv ("TMPDIR", memory, TRUE);
}

static char *
tree_new (void)
{
  g_autoptr (GError) error = NULL;
  char *dir = g_dir_make_tmp ("test-filesum-XXXXXX", &error);

  g_assert_no_error (error);
  return dir;
}

static void
tree_free (char *dir)
{
  char *argv[] = { (char *) "rm", (char *) "-rf", (char *) "--", dir, NULL };

  g_assert_true (g_spawn_sync (NULL, argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL,
                               NULL));
  g_free (dir);
}

static void
tree_add_folder (const char *dir,
                 const char *name)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);

  g_assert_cmpint (g_mkdir_with_parents (path, 0755), ==, 0);
}

static void
tree_add (const char *dir,
          const char *name,
          const char *content,
          gssize      length)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);
  g_autofree char *folder = g_path_get_dirname (path);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir_with_parents (folder, 0755), ==, 0);
  g_file_set_contents_full (path, content, length, G_FILE_SET_CONTENTS_NONE, 0644, &error);
  g_assert_no_error (error);
}

/* A file full of nothing, which takes no room and as long as you like to read. */
static void
tree_add_sparse (const char *dir,
                 const char *name,
                 off_t       size)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);

  tree_add (dir, name, "", 0);
  g_assert_cmpint (truncate (path, size), ==, 0);
}

static void
tree_add_pattern (const char *dir,
                  const char *name,
                  gsize       size)
{
  g_autofree char *content = g_malloc (size + 1);

  for (gsize i = 0; i < size; i++)
    content[i] = (char) (i * 7 + i / 251);
  tree_add (dir, name, content, size);
}

static void
tree_add_link (const char *dir,
               const char *name,
               const char *target)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);

  g_assert_cmpint (symlink (target, path), ==, 0);
}

static void
tree_chmod (const char *dir,
            const char *name,
            mode_t      mode)
{
  g_autofree char *path = g_build_filename (dir, name, NULL);

  g_assert_cmpint (chmod (path, mode), ==, 0);
}

/* Many small files, each with another content, a few hundred in a folder. */
static void
tree_add_many (const char *dir,
               guint       n)
{
  for (guint i = 0; i < n; i++)
    {
      g_autofree char *folder = g_strdup_printf ("%s/many-%03u", dir, i / 250);
      g_autofree char *path = g_strdup_printf ("%s/file-%06u", folder, i);
      g_autofree char *content = g_strdup_printf ("content %u\n", i);
      int fd;

      if (i % 250 == 0)
        g_assert_cmpint (g_mkdir_with_parents (folder, 0755), ==, 0);
      fd = open (path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
      g_assert_cmpint (fd, >=, 0);
      g_assert_cmpint (write (fd, content, strlen (content)), ==, strlen (content));
      close (fd);
    }
}

/* -- Running programs ---------------------------------------------------------------------- */

typedef struct
{
  int status;                   /* the exit status, or minus the signal that ended it */
  char *out;
  char *err;
} Run;

static void
run_free (Run *run)
{
  g_free (run->out);
  g_free (run->err);
  g_free (run);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Run, run_free)

static const char *
filesum (void)
{
  return g_getenv ("FILESUM");
}

/* Not a GSubprocess: that one is finalised in a thread of GLib's own, some time later, and the
 * descriptors that it holds until then would be counted against the test. */
typedef struct
{
  GPid pid;
  int out;                      /* the ends of pipes, or -1 */
  int err;
} Child;

typedef struct
{
  GSpawnChildSetupFunc func;
  gpointer data;
} Setup;

/* A test that fails leaves no program behind that hashes on for an hour. */
static void
set_up_child (gpointer data)
{
  const Setup *setup = data;

  prctl (PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (setup->func != NULL)
    setup->func (setup->data);
}

/* With stdout_fd, which it closes, nothing is to be read from out. */
static Child
child_start (const char           *dir,
             GSpawnChildSetupFunc  func,
             gpointer              data,
             const char *const    *argv,
             int                   stdout_fd)
{
  g_auto (GStrv) environment = g_get_environ ();
  g_autoptr (GError) error = NULL;
  Setup setup = { func, data };
  Child child = { 0, -1, -1 };

  /* ThreadSanitizer does not see how GLib's slices go from thread to thread. */
  environment = g_environ_setenv (environment, "G_SLICE", "always-malloc", TRUE);
  environment = g_environ_setenv (environment, "LC_ALL", "C", TRUE);
  g_spawn_async_with_pipes_and_fds (dir, argv, (const char *const *) environment,
                                    G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD,
                                    set_up_child, &setup, -1, stdout_fd, -1, NULL, NULL, 0,
                                    &child.pid, NULL, stdout_fd < 0 ? &child.out : NULL,
                                    &child.err, &error);
  g_assert_no_error (error);
  if (stdout_fd >= 0)
    close (stdout_fd);
  return child;
}

/* At the end it closes the descriptor. */
static void
read_some (int     *fd,
           GString *text)
{
  char buffer[65536];
  gssize n = read (*fd, buffer, sizeof buffer);

  g_assert_cmpint (n, >=, 0);
  g_string_append_len (text, buffer, n);
  if (n == 0)
    {
      close (*fd);
      *fd = -1;
    }
}

/* Byte by byte, so that the rest stays for child_finish(). */
static char *
child_read_line (Child *child)
{
  GString *line = g_string_new (NULL);
  char byte = '\0';

  while (byte != '\n')
    {
      g_assert_cmpint (read (child->out, &byte, 1), ==, 1);
      g_string_append_c (line, byte);
    }
  return g_string_free (line, FALSE);
}

static void
child_skip_lines (Child *child,
                  guint  n_lines)
{
  for (guint i = 0; i < n_lines; i++)
    g_free (child_read_line (child));
}

static int
child_wait (Child *child)
{
  int status = 0;

  g_assert_cmpint (waitpid (child->pid, &status, 0), ==, child->pid);
  return WIFSIGNALED (status) ? -WTERMSIG (status) : WEXITSTATUS (status);
}

static Run *
child_finish (Child *child)
{
  Run *run = g_new0 (Run, 1);
  GString *out = g_string_new (NULL);
  GString *err = g_string_new (NULL);

  while (child->out >= 0 || child->err >= 0)
    {
      struct pollfd fds[] = { { child->out, POLLIN, 0 }, { child->err, POLLIN, 0 } };

      g_assert_cmpint (poll (fds, 2, -1), >, 0);
      if (fds[0].revents != 0)
        read_some (&child->out, out);
      if (fds[1].revents != 0)
        read_some (&child->err, err);
    }
  run->status = child_wait (child);
  run->out = g_string_free (out, FALSE);
  run->err = g_string_free (err, FALSE);
  return run;
}

static Run *
run_setup (const char           *dir,
           GSpawnChildSetupFunc  func,
           gpointer              data,
           const char *const    *argv)
{
  Child child = child_start (dir, func, data, argv, -1);

  return child_finish (&child);
}

#define RUN(dir, ...) run_setup ((dir), NULL, NULL, (const char *[]) { __VA_ARGS__, NULL })

static void
assert_contains (const char *text,
                 const char *part)
{
  if (strstr (text, part) == NULL)
    g_error ("\"%s\" is not in:\n%s", part, text);
}

static void
assert_lacks (const char *text,
              const char *part)
{
  if (strstr (text, part) != NULL)
    g_error ("\"%s\" is in:\n%s", part, text);
}

static void
assert_fails (Run        *run,
              int         status,
              const char *message)
{
  g_assert_cmpint (run->status, ==, status);
  assert_contains (run->err, message);
}

/* -- Sums ---------------------------------------------------------------------------------- */

/* In the order in which they have to be printed: a folder's names in byte order, each folder in
 * its place. ("a-b" sorts before "a/x" as a path, but behind "a" as a name.) */
static const char *const nasty[] = {
  "\001control",
  " leading",
  "\"quoted\"",
  "#comment",
  "*star",
  "-dash",
  "A",
  "a/deep/er/x",
  "a/deep/x",
  "a/new\nline/back\\slash",
  "a/new\nline/cr\rand\nboth\\",
  "a/x",
  "a-b",
  "a.b",
  "back\\slash",
  "back\\slash\\",
  "cr\r",
  "empty",
  "new\nline",
  "tab\t",
  "trailing ",
  "\303\244\303\266",
  "\377\376not utf-8",
};

static char *
nasty_tree_new (void)
{
  char *dir = tree_new ();

  for (guint i = 0; i < N_ELEMENTS (nasty); i++)
    {
      g_autofree char *name = g_strdup_printf ("t/%s", nasty[i]);
      g_autofree char *content = g_strdup_printf ("content of %u\n", i);

      tree_add (dir, name, content, -1);
    }
  tree_add (dir, "t/empty", "", 0);
  tree_add_folder (dir, "t/an empty folder");
  return dir;
}

/* "PROGRAM -- PATH…" for all of the nasty names. */
static Run *
run_coreutils (const char *dir,
               const char *program)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new_with_free_func (g_free);

  g_ptr_array_add (argv, g_strdup (program));
  g_ptr_array_add (argv, g_strdup ("--"));
  for (guint i = 0; i < N_ELEMENTS (nasty); i++)
    g_ptr_array_add (argv, g_strdup_printf ("t/%s", nasty[i]));
  g_ptr_array_add (argv, NULL);
  return run_setup (dir, NULL, NULL, (const char *const *) argv->pdata);
}

static void
test_names (void)
{
  char *dir = nasty_tree_new ();
  g_autoptr (Run) expected = NULL;
  g_autoptr (Run) run = NULL;
  g_autoptr (Run) slash = NULL;

  g_test_summary ("The sums of a tree of nasty names are what sha256sum prints");

  expected = run_coreutils (dir, "sha256sum");
  g_assert_cmpint (expected->status, ==, 0);

  run = RUN (dir, filesum (), "t");
  g_assert_cmpstr (run->out, ==, expected->out);
  g_assert_cmpstr (run->err, ==, "");
  g_assert_cmpint (run->status, ==, 0);

  slash = RUN (dir, filesum (), "t/");
  g_assert_cmpstr (slash->out, ==, expected->out);
  tree_free (dir);
}

static void
test_algorithms (void)
{
  static const char *const programs[][2] = {
    { "md5", "md5sum" },
    { "sha1", "sha1sum" },
    { "sha256", "sha256sum" },
    { "sha384", "sha384sum" },
    { "sha512", "sha512sum" },
    { "SHA512", "sha512sum" },
  };
  char *dir = nasty_tree_new ();

  g_test_summary ("Every --algorithm prints what the program of coreutils prints");

  for (guint i = 0; i < N_ELEMENTS (programs); i++)
    {
      g_autoptr (Run) expected = run_coreutils (dir, programs[i][1]);
      g_autoptr (Run) run = RUN (dir, filesum (), "--algorithm", programs[i][0], "t");

      g_assert_cmpstr (run->out, ==, expected->out);
      g_assert_cmpint (run->status, ==, 0);
    }
  tree_free (dir);
}

static void
test_sizes (void)
{
  static const gsize sizes[] = { 0, 1, 4095, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 17 };
  char *dir = tree_new ();
  g_autoptr (Run) expected = NULL;
  g_autoptr (Run) run = NULL;

  g_test_summary ("C4: a bottom half that schedules itself goes on to the last block, and stops");

  for (guint i = 0; i < N_ELEMENTS (sizes); i++)
    {
      g_autofree char *name = g_strdup_printf ("%u", i);

      tree_add_pattern (dir, name, sizes[i]);
    }
  expected = RUN (dir, "sha256sum", "0", "1", "2", "3", "4", "5", "6");
  run = RUN (dir, filesum (), "0", "1", "2", "3", "4", "5", "6");
  g_assert_cmpstr (run->out, ==, expected->out);
  g_assert_cmpint (run->status, ==, 0);
  tree_free (dir);
}

static void
test_jobs (void)
{
  static const char *const numbers[] = { "1", "2", "8" };
  char *dir = tree_new ();
  g_autoptr (Run) expected = NULL;

  g_test_summary ("C8, C19: one context a thread, 1, 2 and 8 of them, print the same bytes; every "
                  "post runs once, also with more files than may be in flight");

  /* A long one first, and one in the middle, let the others get ahead. */
  tree_add_pattern (dir, "0", 16 * BLOCK);
  tree_add_many (dir, 3 * FILES_IN_FLIGHT);
  tree_add_pattern (dir, "many-005/a", 8 * BLOCK);
  expected = RUN (dir, "sh", "-c", "sha256sum 0 */*");
  g_assert_cmpint (expected->status, ==, 0);

  for (guint i = 0; i < N_ELEMENTS (numbers); i++)
    {
      g_autoptr (Run) run = RUN (dir, filesum (), "-j", numbers[i], "./");
      g_autoptr (Run) named = RUN (dir, "sh", "-c", "exec $0 -j$1 *", filesum (), numbers[i]);
      g_auto (GStrv) lines = g_strsplit (run->out, "  ./", -1);
      g_autofree char *stripped = g_strjoinv ("  ", lines);

      g_assert_cmpint (run->status, ==, 0);
      g_assert_cmpstr (stripped, ==, expected->out);
      g_assert_cmpstr (named->out, ==, expected->out);
    }
  tree_free (dir);
}

/* -- What cannot be read ------------------------------------------------------------------- */

static void
test_links (void)
{
  char *dir = tree_new ();
  g_autoptr (Run) expected = NULL;
  g_autoptr (Run) run = NULL;
  g_autoptr (Run) loop = NULL;

  g_test_summary ("Links on the command line are followed, those in a folder are not");

  tree_add (dir, "t/file", "1", 1);
  tree_add_link (dir, "t/dangling", "nowhere");
  tree_add_link (dir, "t/parent", "..");
  tree_add_link (dir, "t/to-file", "file");
  tree_add_link (dir, "to-file", "t/file");
  tree_add_link (dir, "to-folder", "t");
  tree_add_link (dir, "loop", "loop");

  expected = RUN (dir, "sha256sum", "t/file", "to-file", "to-folder/file");
  run = RUN (dir, filesum (), "t", "to-file", "to-folder");
  g_assert_cmpstr (run->out, ==, expected->out);
  g_assert_cmpstr (run->err, ==, "");
  g_assert_cmpint (run->status, ==, 0);

  loop = RUN (dir, filesum (), "loop", "t/dangling", "t/file/", "t/file");
  assert_fails (loop, 1, "filesum: loop: Too many levels of symbolic links\n"
                         "filesum: t/dangling: No such file or directory\n"
                         "filesum: t/file/: Not a directory\n");
  g_assert_true (g_str_has_suffix (loop->out, "  t/file\n"));
  tree_free (dir);
}

static void
test_special_files (void)
{
  char *dir = tree_new ();
  g_autofree char *pipe_path = g_build_filename (dir, "t", "pipe", NULL);
  g_autofree char *socket_path = g_build_filename (dir, "t", "socket", NULL);
  g_autoptr (Run) expected = NULL;
  g_autoptr (Run) run = NULL;

  g_test_summary ("Devices, pipes and sockets are named and not read");

  tree_add (dir, "t/a", "1", 1);
  tree_add (dir, "t/z", "2", 1);
  g_assert_cmpint (mkfifo (pipe_path, 0644), ==, 0);
  g_assert_cmpint (mknod (socket_path, S_IFSOCK | 0644, 0), ==, 0);

  expected = RUN (dir, "sha256sum", "t/a", "t/z");
  run = RUN (dir, filesum (), "/dev/null", "t", "/dev/zero");
  g_assert_cmpstr (run->out, ==, expected->out);
  g_assert_cmpstr (run->err, ==,
                   "filesum: /dev/null: character device, not read\n"
                   "filesum: t/pipe: named pipe, not read\n"
                   "filesum: t/socket: socket, not read\n"
                   "filesum: /dev/zero: character device, not read\n");
  g_assert_cmpint (run->status, ==, 1);
  tree_free (dir);
}

static void
test_proc (void)
{
  g_autoptr (Run) expected = RUN ("/", "sha256sum", "/proc/version", "/proc/cmdline");
  g_autoptr (Run) run = RUN ("/", filesum (), "/proc/version", "/proc/self/mem", "/proc/cmdline");

  g_test_summary ("What /proc calls empty is read, and a read that fails is not the end");

  g_assert_cmpstr (run->out, ==, expected->out);
  g_assert_cmpstr (run->err, ==, "filesum: /proc/self/mem: Input/output error\n");
  g_assert_cmpint (run->status, ==, 1);
}

/* The descriptor with which filesum reads this very folder is in it, and is closed by the time
 * that its name is looked at. */
static void
test_vanished (void)
{
  g_autoptr (Run) run = RUN ("/", filesum (), "/proc/self/fdinfo");

  g_test_summary ("A file that vanishes on the way is named, and the rest goes on");

  g_assert_true (g_str_has_prefix (run->err, "filesum: /proc/self/fdinfo/"));
  assert_fails (run, 1, ": No such file or directory\n");
  assert_contains (run->out, "  /proc/self/fdinfo/0\n");
}

/* Root may read everything, unless told beforehand that it may not. */
static void
drop_override (gpointer data)
{
  prctl (PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0);
  prctl (PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH, 0, 0, 0);
}

static void
test_unreadable (void)
{
  char *dir = tree_new ();
  g_autoptr (Run) cat = NULL;
  g_autoptr (Run) run = NULL;
  g_autoptr (Run) expected = NULL;

  g_test_summary ("Files and folders without permission are named, and the rest goes on");

  tree_add (dir, "t/a", "1", 1);
  tree_add (dir, "t/locked", "2", 1);
  tree_add (dir, "t/shut/inside", "3", 1);
  tree_add (dir, "t/z", "4", 1);
  tree_chmod (dir, "t/locked", 0);
  tree_chmod (dir, "t/shut", 0);

  cat = run_setup (dir, drop_override, NULL, (const char *[]) { "cat", "t/locked", NULL });
  if (cat->status == 0)
    g_test_skip ("this user may read everything");
  else
    {
      expected = RUN (dir, "sha256sum", "t/a", "t/z");
      run = run_setup (dir, drop_override, NULL, (const char *[]) { filesum (), "t", NULL });
      g_assert_cmpstr (run->out, ==, expected->out);
      g_assert_cmpstr (run->err, ==,
                       "filesum: t/locked: Permission denied\n"
                       "filesum: t/shut: Permission denied\n");
      g_assert_cmpint (run->status, ==, 1);
    }
  tree_chmod (dir, "t/shut", 0755);
  tree_free (dir);
}

/* Mounts t once more in t/sub/loop, for the program that is about to run and nobody else. */
static void
mount_loop (gpointer dir)
{
  if (unshare (CLONE_NEWNS) == 0 && mount (NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0)
    mount (dir, "sub/loop", NULL, MS_BIND, NULL);
}

static void
test_folder_loop (void)
{
  char *dir = tree_new ();
  g_autoptr (Run) seen = NULL;
  g_autoptr (Run) run = NULL;

  g_test_summary ("A folder that lies in itself is named and not entered");

  tree_add (dir, "a", "1", 1);
  tree_add (dir, "sub/loop/hidden", "2", 1);
  tree_add (dir, "z", "3", 1);
  seen = run_setup (dir, mount_loop, dir,
                    (const char *[]) { "cmp", "a", "sub/loop/a", NULL });
  if (seen->status != 0)
    g_test_skip ("this user may not mount");
  else
    {
      run = run_setup (dir, mount_loop, dir, (const char *[]) { filesum (), ".", NULL });
      assert_fails (run, 1, "filesum: ./sub/loop: folder loop");
      assert_contains (run->out, "  ./a\n");
      assert_contains (run->out, "  ./z\n");
      assert_lacks (run->out, "loop");
    }
  tree_free (dir);
}

/* A name must not be able to write lines or steer the terminal. */
static void
test_messages (void)
{
  g_autoptr (Run) run = RUN ("/", filesum (), "/no\nfilesum: such\033[2J\\file");

  g_test_summary ("Messages stay on a line each");
  g_assert_cmpstr (run->err, ==,
                   "filesum: /no\\nfilesum: such\\033[2J\\\\file: No such file or directory\n");
  g_assert_cmpint (run->status, ==, 1);
}

/* -- --check ------------------------------------------------------------------------------- */

static void
assert_same_check (const char *dir,
                   const char *list,
                   int         status)
{
  g_autoptr (Run) expected = RUN (dir, "sha256sum", "--check", list);
  g_autoptr (Run) run = RUN (dir, filesum (), "--check", list);
  const char *warnings = strstr (expected->err, "sha256sum: WARNING");

  g_assert_cmpstr (run->out, ==, expected->out);
  g_assert_cmpint (run->status, ==, status);
  g_assert_cmpint (expected->status, ==, status);
  if (warnings != NULL)
    {
      g_auto (GStrv) parts = g_strsplit (warnings, "sha256sum: ", -1);
      g_autofree char *ours = g_strjoinv ("filesum: ", parts);

      assert_contains (run->err, ours);
    }
}

static void
test_check_good (void)
{
  char *dir = nasty_tree_new ();
  g_autoptr (Run) sums = RUN (dir, filesum (), "t");
  g_autoptr (Run) quiet = NULL;
  g_autoptr (Run) upper = NULL;

  g_test_summary ("--check finds good what is good, and says so as sha256sum does");

  tree_add (dir, "list", sums->out, -1);
  assert_same_check (dir, "list", 0);

  quiet = RUN (dir, filesum (), "--check", "list");
  g_assert_cmpstr (quiet->err, ==, "");
  upper = RUN (dir, "sh", "-c",
               "sed '/\\\\/d; s/^[0-9a-f]*/\\U&/; s/  /  /; s/$/\\r/' list > crlf");
  g_assert_cmpint (upper->status, ==, 0);
  assert_same_check (dir, "crlf", 0);
  tree_free (dir);
}

static void
test_check_bad (void)
{
  char *dir = tree_new ();
  g_autoptr (Run) sums = NULL;
  g_autoptr (Run) run = NULL;
  g_autofree char *list = NULL;

  g_test_summary ("--check names what is not good, and the line it stands in");

  tree_add (dir, "changed", "1", 1);
  tree_add (dir, "good", "2", 1);
  tree_add (dir, "new\nline", "3", 1);
  tree_add (dir, "was a file", "4", 1);
  sums = RUN (dir, filesum (), "changed", "good", "new\nline", "was a file");
  list = g_strdup_printf ("# comment\n%s"
                          "\n"
                          "not a sum\n"
                          "00000000000000000000000000000000  md5\n"
                          "%064d\n"
                          "%064d  \n"
                          "%064d  missing\n"
                          "%064d *star\n"
                          "\\%064d  bad\\escape\n"
                          "%064d  no newline",
                          sums->out, 0, 0, 0, 0, 0, 0);
  tree_add (dir, "list", list, -1);
  tree_add (dir, "changed", "one", -1);
  tree_add (dir, "new\nline", "three", -1);
  tree_add (dir, "no newline", "five", -1);
  run = RUN (dir, "sh", "-c", "rm 'was a file' && mkdir 'was a file'");
  g_assert_cmpint (run->status, ==, 0);
  g_clear_pointer (&run, run_free);

  run = RUN (dir, filesum (), "--check", "list");
  g_assert_cmpstr (run->out, ==,
                   "changed: FAILED\n"
                   "good: OK\n"
                   "\\new\\nline: FAILED\n"
                   "was a file: FAILED open or read\n"
                   "missing: FAILED open or read\n"
                   "star: FAILED open or read\n"
                   "no newline: FAILED\n");
  g_assert_cmpstr (run->err, ==,
                   "filesum: list:2: changed: computed checksum did NOT match\n"
                   "filesum: list:4: new\\nline: computed checksum did NOT match\n"
                   "filesum: list:5: was a file: Is a directory\n"
                   "filesum: list:7: improperly formatted checksum line\n"
                   "filesum: list:8: improperly formatted checksum line\n"
                   "filesum: list:9: improperly formatted checksum line\n"
                   "filesum: list:10: improperly formatted checksum line\n"
                   "filesum: list:11: missing: No such file or directory\n"
                   "filesum: list:12: star: No such file or directory\n"
                   "filesum: list:13: improperly formatted checksum line\n"
                   "filesum: list:14: no newline: computed checksum did NOT match\n"
                   "filesum: WARNING: 5 lines are improperly formatted\n"
                   "filesum: WARNING: 3 listed files could not be read\n"
                   "filesum: WARNING: 3 computed checksums did NOT match\n");
  g_assert_cmpint (run->status, ==, 1);
  tree_free (dir);
}

/* A bad line alone is enough for status 1 here; sha256sum wants --strict for that. */
static void
test_check_lines (void)
{
  char *dir = tree_new ();
  g_autoptr (Run) run = NULL;
  g_autoptr (Run) from_pipe = NULL;
  g_autofree char *list = NULL;

  g_test_summary ("A list may be a file or a pipe; bad lines count");

  tree_add (dir, "good", "2", 1);
  run = RUN (dir, filesum (), "good");
  list = g_strconcat (run->out, "bad\n", NULL);
  tree_add (dir, "list", list, -1);
  g_clear_pointer (&run, run_free);

  run = RUN (dir, filesum (), "-c", "list");
  g_assert_cmpstr (run->out, ==, "good: OK\n");
  g_assert_cmpstr (run->err, ==,
                   "filesum: list:2: improperly formatted checksum line\n"
                   "filesum: WARNING: 1 line is improperly formatted\n");
  g_assert_cmpint (run->status, ==, 1);

  from_pipe = RUN (dir, "sh", "-c", "head -n 1 list | $0 --progress=always --check /dev/stdin",
                   filesum ());
  g_assert_cmpstr (from_pipe->out, ==, "good: OK\n");
  g_assert_cmpint (from_pipe->status, ==, 0);
  tree_free (dir);
}

static void
test_check_nothing (void)
{
  char *dir = tree_new ();
  g_autoptr (Run) empty = NULL;
  g_autoptr (Run) missing = NULL;
  g_autoptr (Run) folder = NULL;
  g_autoptr (Run) other = NULL;
  g_autoptr (Run) path = NULL;

  g_test_summary ("A list that is none, or is not there, is named");

  tree_add (dir, "empty", "", 0);
  tree_add (dir, "md5", "d41d8cd98f00b204e9800998ecf8427e  empty\n", -1);
  empty = RUN (dir, filesum (), "--check", "empty");
  assert_fails (empty, 1, "filesum: empty: no properly formatted SHA256 checksum lines found\n");
  missing = RUN (dir, filesum (), "--check", "missing");
  assert_fails (missing, 1, "filesum: missing: No such file or directory\n");
  folder = RUN (dir, filesum (), "--check", ".");
  assert_fails (folder, 1, "filesum: .:1: Is a directory\n");
  other = RUN (dir, filesum (), "--check", "md5");
  assert_fails (other, 1, "filesum: md5: no properly formatted SHA256 checksum lines found\n");
  path = RUN (dir, filesum (), "--algorithm=md5", "--check", "md5");
  g_assert_cmpstr (path->out, ==, "empty: OK\n");
  g_assert_cmpint (path->status, ==, 0);
  tree_free (dir);
}

/* -- The command line ---------------------------------------------------------------------- */

static void
assert_usage_error (const char *message,
                    const char *first,
                    const char *second,
                    const char *third)
{
  g_autoptr (Run) run = RUN ("/", filesum (), first, second, third);

  assert_fails (run, 2, message);
  assert_contains (run->err, "filesum --help");
  g_assert_cmpstr (run->out, ==, "");
}

static void
test_usage (void)
{
  g_test_summary ("What is wrong with the command line is named, and nothing is done");

  assert_usage_error ("PATH: missing", NULL, NULL, NULL);
  assert_usage_error ("PATH: missing", "-j", "2", NULL);
  assert_usage_error ("--wrong", "--wrong", "/dev/null", NULL);
  assert_usage_error ("1 to 256", "-j", "0", "/dev/null");
  assert_usage_error ("1 to 256", "-j", "-1", "/dev/null");
  assert_usage_error ("1 to 256", "-j", "257", "/dev/null");
  assert_usage_error ("for -j", "-j", "x", "/dev/null");
  assert_usage_error ("crc: --algorithm", "--algorithm", "crc", "/dev/null");
  assert_usage_error ("sometimes: --progress", "--progress", "sometimes", "/dev/null");
  assert_usage_error ("/dev/null: --check", "--check", "list", "/dev/null");
  assert_usage_error ("standard input", "/dev/null", "-", NULL);
  assert_usage_error ("/dev/stdin", "--check", "-", NULL);
}

static void
test_help (void)
{
  g_autoptr (Run) help = RUN ("/", filesum (), "--help");
  g_autoptr (Run) version = RUN ("/", filesum (), "--version");

  g_test_summary ("--help lists the options and the bounds");

  g_assert_cmpint (help->status, ==, 0);
  g_assert_cmpstr (help->err, ==, "");
  assert_contains (help->out, " PATH");
  assert_contains (help->out, "--jobs=N");
  assert_contains (help->out, "--algorithm=NAME");
  assert_contains (help->out, "--check=FILE");
  assert_contains (help->out, "--progress=WHEN");
  assert_contains (help->out, "--stats");
  assert_contains (help->out, "--version");
  assert_contains (help->out, G_STRINGIFY (FILES_IN_FLIGHT) " files in flight");
  assert_contains (help->out, "256 KiB");
  assert_contains (help->out, "Symbolic links inside a folder are passed over");

  g_assert_cmpint (version->status, ==, 0);
  assert_contains (version->out, AIO_VERSION_S);
}

static void
test_stats (void)
{
  char *dir = nasty_tree_new ();
  g_autoptr (Run) bytes = RUN (dir, "sh", "-c", "find t -type f -exec cat {} + | wc -c");
  g_autoptr (Run) run = RUN (dir, filesum (), "--stats", "t");
  guint64 n_files, n_bytes, runs, wakeups;

  g_test_summary ("--stats says how much work there was, in all threads together");

  g_assert_cmpint (sscanf (run->err,
                           "filesum: %" G_GUINT64_FORMAT " files, %" G_GUINT64_FORMAT " bytes, %"
                           G_GUINT64_FORMAT " bottom halves run, %" G_GUINT64_FORMAT
                           " wakeups sent\n", &n_files, &n_bytes, &runs, &wakeups), ==, 4);
  g_assert_cmpuint (n_files, ==, N_ELEMENTS (nasty));
  g_assert_cmpuint (n_bytes, ==, g_ascii_strtoull (bytes->out, NULL, 10));
  /* Each file is posted to a worker, read there, and posted back. */
  g_assert_cmpuint (runs, >=, 3 * n_files);
  g_assert_cmpuint (wakeups, >, 0);
  g_assert_cmpuint (wakeups, <=, runs);
  tree_free (dir);
}

/* -- Ctrl-C, and an output that goes away -------------------------------------------------- */

static void
test_interrupt (void)
{
  char *dir = tree_new ();
  const char *argv[] = { filesum (), "-j", "2", "1", "2", "huge", "many-000", NULL };
  g_autoptr (Run) expected = NULL;
  g_autoptr (Run) rest = NULL;
  g_autofree char *first = NULL;
  g_autofree char *second = NULL;
  g_autofree char *out = NULL;
  Child child;

  g_test_summary ("C1: a signal handler schedules a bottom half; C26: a thread stops although its "
                  "bottom half schedules itself for ever; what is printed is a prefix");

  /* It would take an hour to read. */
  tree_add (dir, "1", "1", 1);
  tree_add (dir, "2", "2", 1);
  tree_add_sparse (dir, "huge", (off_t) 1 << 40);
  tree_add_many (dir, 200);
  expected = RUN (dir, "sha256sum", "1", "2");

  child = child_start (dir, NULL, NULL, argv, -1);
  first = child_read_line (&child);
  second = child_read_line (&child);
  g_assert_cmpint (kill (child.pid, SIGINT), ==, 0);
  rest = child_finish (&child);

  g_assert_cmpint (rest->status, ==, EXIT_INTERRUPTED);
  out = g_strconcat (first, second, rest->out, NULL);
  g_assert_cmpstr (out, ==, expected->out);
  g_assert_cmpstr (rest->err, ==, "filesum: interrupted\n");
  tree_free (dir);
}

/* The second Ctrl-C finds no handler: not even a read that hangs can hold it up. */
static void
test_interrupt_twice (void)
{
  char *dir = tree_new ();
  g_autofree char *path = g_build_filename (dir, "list", NULL);
  const char *argv[] = { filesum (), "--check", "list", NULL };
  g_autoptr (Run) sum = NULL;
  siginfo_t info = { 0 };
  Child child;
  int fd;

  g_test_summary ("Ctrl-C twice ends the program whatever it is waiting for");

  g_assert_cmpint (mkfifo (path, 0644), ==, 0);
  tree_add (dir, "empty", "", 0);
  sum = RUN (dir, filesum (), "empty");
  child = child_start (dir, NULL, NULL, argv, -1);

  /* A list that never comes to its end. When all of it is printed, the thread that reads it either
   * waits for more or is about to. */
  fd = open (path, O_WRONLY | O_CLOEXEC);
  g_assert_cmpint (fd, >=, 0);
  for (guint i = 0; i < FILES_IN_FLIGHT; i++)
    g_assert_cmpint (write (fd, sum->out, strlen (sum->out)), ==, strlen (sum->out));
  for (guint i = 0; i < FILES_IN_FLIGHT; i++)
    {
      g_autofree char *line = child_read_line (&child);

      g_assert_cmpstr (line, ==, "empty: OK\n");
    }

  /* Two that come too close to each other may be one. */
  while (info.si_pid == 0)
    {
      kill (child.pid, SIGINT);
      g_usleep (10 * 1000);
      g_assert_cmpint (waitid (P_PID, child.pid, &info, WEXITED | WNOHANG | WNOWAIT), ==, 0);
    }
  sum->status = child_wait (&child);
  g_assert_cmpint (sum->status, ==, -SIGINT);
  close (child.out);
  close (child.err);
  close (fd);
  tree_free (dir);
}

static void
set_sigpipe (gpointer data)
{
  signal (SIGPIPE, data != NULL ? SIG_IGN : SIG_DFL);
}

static Run *
run_into (int         fd,
          const char *dir,
          gpointer    ignore_sigpipe)
{
  const char *argv[] = { filesum (), "a", "huge", NULL };
  Child child = child_start (dir, set_sigpipe, ignore_sigpipe, argv, fd);

  return child_finish (&child);
}

static int
broken_pipe_new (void)
{
  int fds[2];

  g_assert_cmpint (pipe2 (fds, O_CLOEXEC), ==, 0);
  close (fds[0]);
  return fds[1];
}

static void
test_broken_output (void)
{
  char *dir = tree_new ();
  g_autoptr (Run) killed = NULL;
  g_autoptr (Run) told = NULL;
  g_autoptr (Run) full = NULL;

  g_test_summary ("C26: threads stop in the middle of their work, here when nobody takes the "
                  "sums any more");

  tree_add (dir, "a", "1", 1);
  tree_add_sparse (dir, "huge", (off_t) 1 << 40);
  killed = run_into (broken_pipe_new (), dir, NULL);
  g_assert_cmpint (killed->status, ==, -SIGPIPE);
  told = run_into (broken_pipe_new (), dir, dir);
  g_assert_cmpstr (told->err, ==, "filesum: write error: Broken pipe\n");
  g_assert_cmpint (told->status, ==, 1);
  full = run_into (open ("/dev/full", O_WRONLY | O_CLOEXEC), dir, NULL);
  g_assert_cmpstr (full->err, ==, "filesum: write error: No space left on device\n");
  g_assert_cmpint (full->status, ==, 1);
  tree_free (dir);
}

static void
limit_descriptors (gpointer data)
{
  struct rlimit limit = { 24, 24 };

  setrlimit (RLIMIT_NOFILE, &limit);
}

static void
test_no_threads (void)
{
  const char *argv[] = { filesum (), "-j", "200", "/proc/version", NULL };
  g_autoptr (Run) run = run_setup ("/", limit_descriptors, NULL, argv);

  g_test_summary ("C27: an I/O thread that cannot be made gives an error, and those that were made "
                  "come down again");

  g_assert_cmpint (run->status, ==, 1);
  assert_contains (run->err, "Too many open files");
  g_assert_cmpstr (run->out, ==, "");
}

/* -- Progress ------------------------------------------------------------------------------ */

static guint
count_char (const char *text,
            char        wanted)
{
  guint n = 0;

  for (; *text != '\0'; text++)
    n += *text == wanted;
  return n;
}

static void
test_progress (void)
{
  char *dir = tree_new ();
  g_autoptr (Run) plain = NULL;
  g_autoptr (Run) never = NULL;
  g_autoptr (Run) always = NULL;
  gint64 before, seconds;

  g_test_summary ("C5: an idle bottom half, scheduled by every block of every thread, merges; it "
                  "redraws at most ten times a second");

  tree_add_many (dir, 500);
  tree_add_sparse (dir, "big", 256 * BLOCK);
  plain = RUN (dir, filesum (), "-a", "md5", ".");
  g_assert_cmpstr (plain->err, ==, "");
  never = RUN (dir, filesum (), "-a", "md5", "--progress=never", ".");
  g_assert_cmpstr (never->err, ==, "");

  before = g_get_monotonic_time ();
  always = RUN (dir, filesum (), "-a", "md5", "--progress=always", ".");
  seconds = 1 + (g_get_monotonic_time () - before) / G_USEC_PER_SEC;
  g_assert_cmpint (always->status, ==, 0);
  g_assert_cmpstr (always->out, ==, plain->out);
  g_assert_cmpuint (count_char (always->err, '\r'), >=, 1);
  g_assert_cmpuint (count_char (always->err, '\r'), <=, 10 * seconds);
  assert_contains (always->err, "[####################] 100%  501/501 files  67.");
  g_assert_cmpuint (count_char (always->err, '\n'), ==, 1);
  tree_free (dir);
}

static void
test_progress_messages (void)
{
  char *dir = tree_new ();
  g_autoptr (Run) run = NULL;

  g_test_summary ("Messages do not run into the progress bar");

  tree_add_sparse (dir, "big", 256 * BLOCK);
  run = RUN (dir, filesum (), "--progress=always", "big", "missing");
  g_assert_cmpint (run->status, ==, 1);
  assert_contains (run->err, " 1/1 files ");
  if (!g_str_has_prefix (run->err, "filesum: missing: "))
    assert_contains (run->err, "\r\033[Kfilesum: missing: No such file or directory\n");
  tree_free (dir);
}

/* -- Memory -------------------------------------------------------------------------------- */

/* Kilobytes, since it was started. Not from getrusage(): that counts what it was before its
 * exec, a copy of this process. */
static gulong
child_get_peak (Child *child)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/status", (int) child->pid);
  g_autofree char *status = NULL;
  const char *peak;

  g_assert_true (g_file_get_contents (path, &status, NULL, NULL));
  peak = strstr (status, "VmHWM:");
  g_assert_nonnull (peak);
  return g_ascii_strtoull (peak + strlen ("VmHWM:"), NULL, 10);
}

/* Behind the slow first file as much piles up as ever can. The last one does not end, so that there
 * is still a process to look at when all others are done. */
static gulong
measure_peak (guint n_files)
{
  const char *argv[] = { filesum (), "-j2", "-a", "md5", "a", ".", "z", NULL };
  char *dir = tree_new ();
  g_autoptr (Run) run = NULL;
  Child child;
  gulong peak;

  tree_add_sparse (dir, "a", 64 * BLOCK);
  tree_add_many (dir, n_files);
  tree_add_sparse (dir, "z", (off_t) 1 << 40);

  /* "a" comes twice, by its name and in the folder. */
  child = child_start (dir, NULL, NULL, argv, -1);
  child_skip_lines (&child, n_files + 2);
  peak = child_get_peak (&child);

  g_assert_cmpint (kill (child.pid, SIGINT), ==, 0);
  run = child_finish (&child);
  g_assert_cmpint (run->status, ==, EXIT_INTERRUPTED);
  tree_free (dir);
  return peak;
}

static gboolean
memory_is_measurable (void)
{
#if defined (__SANITIZE_ADDRESS__) || defined (__SANITIZE_THREAD__)
  return FALSE;
#elif defined (__has_feature)
#if __has_feature (address_sanitizer) || __has_feature (thread_sanitizer)
  return FALSE;
#endif
#endif
  return g_getenv ("FILESUM_SKIP_MEMORY") == NULL;
}

static void
test_memory (void)
{
  guint n_files = g_test_thorough () ? 20000 : 2000;
  gulong few, many;

  g_test_summary ("C8: posts free themselves, so that ten times the files take no more memory, "
                  "also with a slow one before them all");

  if (!memory_is_measurable ())
    {
      g_test_skip ("a sanitizer keeps memory of its own");
      return;
    }

  few = measure_peak (n_files);
  many = measure_peak (10 * n_files);
  g_test_message ("%lu kB with %u files, %lu kB with %u", few, n_files, many, 10 * n_files);
  g_assert_cmpuint (many, <=, few + 1024);
}

int
main (int    argc,
      char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_assert_nonnull (filesum ());
  prefer_memory ();

  aio_test_add ("/filesum/sums/names", test_names);
  aio_test_add ("/filesum/sums/algorithms", test_algorithms);
  aio_test_add ("/filesum/sums/sizes", test_sizes);
  aio_test_add ("/filesum/sums/jobs", test_jobs);
  aio_test_add ("/filesum/failing/links", test_links);
  aio_test_add ("/filesum/failing/special-files", test_special_files);
  aio_test_add ("/filesum/failing/proc", test_proc);
  aio_test_add ("/filesum/failing/vanished", test_vanished);
  aio_test_add ("/filesum/failing/unreadable", test_unreadable);
  aio_test_add ("/filesum/failing/folder-loop", test_folder_loop);
  aio_test_add ("/filesum/failing/messages", test_messages);
  aio_test_add ("/filesum/check/good", test_check_good);
  aio_test_add ("/filesum/check/bad", test_check_bad);
  aio_test_add ("/filesum/check/lines", test_check_lines);
  aio_test_add ("/filesum/check/nothing", test_check_nothing);
  aio_test_add ("/filesum/usage/errors", test_usage);
  aio_test_add ("/filesum/usage/help", test_help);
  aio_test_add ("/filesum/usage/stats", test_stats);
  aio_test_add ("/filesum/end/interrupt", test_interrupt);
  aio_test_add ("/filesum/end/interrupt-twice", test_interrupt_twice);
  aio_test_add ("/filesum/end/broken-output", test_broken_output);
  aio_test_add ("/filesum/end/no-threads", test_no_threads);
  aio_test_add ("/filesum/progress/bar", test_progress);
  aio_test_add ("/filesum/progress/messages", test_progress_messages);
  aio_test_add ("/filesum/memory/flat", test_memory);
  return g_test_run ();
}
