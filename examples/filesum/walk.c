/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Walks folders, depth first, the names of each in byte order.
 *
 * A recursive function would be shorter, but it could not stop in the middle and go on later. So
 * the stack that such a function would have is kept here, and walk_step() does one thing on it. */
#include "hasher.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* How many names are read from a folder in one step. */
#define NAMES_PER_STEP 1000

typedef struct
{
  char *path;
  dev_t device;                 /* these two tell which folder it is, under whatever name */
  ino_t inode;
  DIR *dir;                     /* open while its names are being read, then NULL */
  GPtrArray *names;
  guint next;                   /* the name to visit next */
} Folder;

typedef struct
{
  Source parent;
  char **next_path;             /* the rest of the command line */
  GPtrArray *stack;             /* of Folder: where we are, the innermost last */
} Walk;

static void
folder_free (gpointer data)
{
  Folder *folder = data;

  if (folder->dir != NULL)
    closedir (folder->dir);
  g_ptr_array_unref (folder->names);
  g_free (folder->path);
  g_free (folder);
}

static gint
compare_names (gconstpointer a,
               gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/* Mount points and some network file systems can make a folder appear inside itself. */
static gboolean
walk_is_inside (Walk              *self,
                const struct stat *st)
{
  for (guint i = 0; i < self->stack->len; i++)
    {
      Folder *folder = g_ptr_array_index (self->stack, i);

      if (folder->inode == st->st_ino && folder->device == st->st_dev)
        return TRUE;
    }
  return FALSE;
}

static Job *
walk_enter (Walk              *self,
            const char        *path,
            const struct stat *st)
{
  Folder *folder;
  DIR *dir;

  if (walk_is_inside (self, st))
    return job_new_failed (path, 0, "folder loop: it is one of the folders that it lies in");
  dir = opendir (path);
  if (dir == NULL)
    return job_new_failed (path, errno, NULL);

  folder = g_new0 (Folder, 1);
  folder->path = g_strdup (path);
  folder->device = st->st_dev;
  folder->inode = st->st_ino;
  folder->dir = dir;
  folder->names = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (self->stack, folder);
  return NULL;
}

static const char *
describe_special_file (mode_t mode)
{
  switch (mode & S_IFMT)
    {
    case S_IFCHR:
      return "character device, not read";
    case S_IFBLK:
      return "block device, not read";
    case S_IFIFO:
      return "named pipe, not read";
    case S_IFSOCK:
      return "socket, not read";
    default:
      return "not a regular file, not read";
    }
}

/* Links are followed when they stand on the command line, because the user named them, and passed
 * over inside a folder, because what they point to has a name of its own. */
static Job *
walk_visit (Walk       *self,
            const char *path,
            gboolean    follow)
{
  struct stat st;

  if ((follow ? stat (path, &st) : lstat (path, &st)) < 0)
    return job_new_failed (path, errno, NULL);
  if (S_ISDIR (st.st_mode))
    return walk_enter (self, path, &st);
  if (S_ISREG (st.st_mode))
    return job_new (path, st.st_size);
  if (S_ISLNK (st.st_mode))
    return NULL;
  return job_new_failed (path, 0, describe_special_file (st.st_mode));
}

/* A folder whose reading breaks off is left with the names that came before. */
static Job *
folder_read_names (Folder *folder)
{
  struct dirent *entry = NULL;
  Job *failed = NULL;

  for (guint i = 0; i < NAMES_PER_STEP; i++)
    {
      errno = 0;
      entry = readdir (folder->dir);
      if (entry == NULL)
        break;
      if (strcmp (entry->d_name, ".") != 0 && strcmp (entry->d_name, "..") != 0)
        g_ptr_array_add (folder->names, g_strdup (entry->d_name));
    }
  if (entry != NULL)
    return NULL;

  if (errno != 0)
    failed = job_new_failed (folder->path, errno, NULL);
  closedir (g_steal_pointer (&folder->dir));
  g_ptr_array_sort (folder->names, compare_names);
  return failed;
}

static Job *
walk_visit_next_name (Walk   *self,
                      Folder *folder)
{
  const char *name = g_ptr_array_index (folder->names, folder->next++);
  const char *slash = g_str_has_suffix (folder->path, "/") ? "" : "/";
  g_autofree char *path = g_strconcat (folder->path, slash, name, NULL);

  return walk_visit (self, path, FALSE);
}

static gboolean
walk_step (Source  *source,
           Job    **job)
{
  Walk *self = (Walk *) source;
  Folder *folder = NULL;

  if (self->stack->len > 0)
    folder = g_ptr_array_index (self->stack, self->stack->len - 1);

  if (folder == NULL && *self->next_path == NULL)
    return FALSE;

  if (folder == NULL)
    *job = walk_visit (self, *self->next_path++, TRUE);
  else if (folder->dir != NULL)
    *job = folder_read_names (folder);
  else if (folder->next < folder->names->len)
    *job = walk_visit_next_name (self, folder);
  else
    g_ptr_array_set_size (self->stack, self->stack->len - 1);
  return TRUE;
}

static void
walk_free (Source *source)
{
  Walk *self = (Walk *) source;

  g_ptr_array_unref (self->stack);
  g_free (self);
}

Source *
walk_new (char **paths)
{
  Walk *self = g_new0 (Walk, 1);

  self->parent.step = walk_step;
  self->parent.free = walk_free;
  self->next_path = paths;
  self->stack = g_ptr_array_new_with_free_func (folder_free);
  return &self->parent;
}
