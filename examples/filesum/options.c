/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line, read with GOption. */
#include "filesum.h"

#include <string.h>
#include <unistd.h>

#define MAX_WORKERS 256
#define ALGORITHMS "md5, sha1, sha256 (default), sha384 or sha512"

static const char summary[] =
  "Prints the checksums of files, and of all files in folders, as sha256sum does.\n"
  "Several files are read at the same time. The output is in order all the same: depth first,\n"
  "the names in a folder in byte order.";

/* The bounds are the ones that hasher.h sets. */
static const char description[] =
  "A PATH that is a symbolic link is followed. Symbolic links inside a folder are passed over.\n"
  "Other things that are no regular files (devices, pipes, sockets) are named on standard error\n"
  "and not read. What cannot be read is named there as well, and the rest goes on.\n"
  "\n"
  "--check prints OK or FAILED for each line of FILE, as sha256sum -c does, and names bad lines\n"
  "on standard error with their numbers.\n"
  "\n"
  "Memory does not grow with the number of files. At any time there are at most\n"
  G_STRINGIFY (FILES_IN_FLIGHT) " files in flight (found and not yet printed), of them "
  G_STRINGIFY (FILES_PER_WORKER) " with each thread, which\n"
  "reads one of them, in blocks of " G_STRINGIFY (BLOCK_KIB) " KiB. Beside these, the names in the "
  "folders on the way\n"
  "down are remembered, to sort them.\n"
  "\n"
  "Ctrl-C ends the program within one block; what is printed by then is complete. Ctrl-C again\n"
  "ends it at once, should a disk or a network hang.\n"
  "\n"
  "Exit status: 0 if all went well, 1 if a file could not be read or a sum did not match, 2 for a\n"
  "wrong command line, 130 after Ctrl-C.";

static const struct
{
  const char *name;
  const char *upper_name;
  GChecksumType type;
} algorithms[] = {
  { "md5", "MD5", G_CHECKSUM_MD5 },
  { "sha1", "SHA1", G_CHECKSUM_SHA1 },
  { "sha256", "SHA256", G_CHECKSUM_SHA256 },
  { "sha384", "SHA384", G_CHECKSUM_SHA384 },
  { "sha512", "SHA512", G_CHECKSUM_SHA512 },
};

static gboolean
usage_error (GError     **error,
             const char  *what,
             const char  *problem)
{
  g_autofree char *printable = printable_name (what);

  g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE, "%s: %s", printable, problem);
  return FALSE;
}

static gboolean
options_set_algorithm (Options     *options,
                       const char  *name,
                       GError     **error)
{
  for (guint i = 0; i < G_N_ELEMENTS (algorithms); i++)
    if (g_ascii_strcasecmp (name, algorithms[i].name) == 0)
      {
        options->work.algorithm = algorithms[i].type;
        options->algorithm_name = algorithms[i].upper_name;
        return TRUE;
      }
  return usage_error (error, name, "--algorithm is " ALGORITHMS);
}

static gboolean
options_set_progress (Options     *options,
                      const char  *when,
                      GError     **error)
{
  if (strcmp (when, "auto") == 0)
    options->progress = isatty (STDERR_FILENO);
  else if (strcmp (when, "always") == 0)
    options->progress = TRUE;
  else if (strcmp (when, "never") == 0)
    options->progress = FALSE;
  else
    return usage_error (error, when, "--progress is auto, always or never");
  options->work.count = options->progress;
  return TRUE;
}

/* What fits the option table alone may still make no sense, or not together. */
static gboolean
options_validate (const Options  *options,
                  GError        **error)
{
  if (options->work.n_workers < 1 || options->work.n_workers > MAX_WORKERS)
    return usage_error (error, "-j", "the number of threads is 1 to " G_STRINGIFY (MAX_WORKERS));
  if (options->version)
    return TRUE;

  if (options->work.check != NULL && options->work.paths != NULL)
    return usage_error (error, options->work.paths[0], "--check takes no PATH beside its FILE");
  if (options->work.check == NULL && options->work.paths == NULL)
    return usage_error (error, "PATH", "missing, name a file or a folder");

  if (options->work.check != NULL && strcmp (options->work.check, "-") == 0)
    return usage_error (error, "-", "write /dev/stdin for standard input");
  if (options->work.check == NULL
      && g_strv_contains ((const char *const *) options->work.paths, "-"))
    return usage_error (error, "-", "standard input is not read; write ./- for a file named so");
  return TRUE;
}

/* GOption wants a space between -j and its number; people's fingers do not. */
static GStrv
split_short_options (char **argv)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  gboolean in_options = TRUE;

  for (; *argv != NULL; argv++)
    {
      gboolean split = in_options && g_str_has_prefix (*argv, "-j") && (*argv)[2] != '\0';

      in_options = in_options && strcmp (*argv, "--") != 0;
      if (split)
        g_strv_builder_add (builder, "-j");
      g_strv_builder_add (builder, split ? *argv + 2 : *argv);
    }
  return g_strv_builder_end (builder);
}

gboolean
options_parse (Options  *options,
               char    **argv,
               GError  **error)
{
  g_auto (GStrv) arguments = split_short_options (argv);
  g_autofree char *algorithm = NULL;
  g_autofree char *progress = NULL;
  const GOptionEntry entries[] = {
    { "jobs", 'j', 0, G_OPTION_ARG_INT, &options->work.n_workers,
      "Hash with N threads (default: one per processor)", "N" },
    { "algorithm", 'a', 0, G_OPTION_ARG_STRING, &algorithm, ALGORITHMS, "NAME" },
    { "check", 'c', 0, G_OPTION_ARG_FILENAME, &options->work.check,
      "Read sums from FILE and check them", "FILE" },
    { "progress", 0, 0, G_OPTION_ARG_STRING, &progress,
      "Show a progress bar: auto (default: on a terminal), always or never", "WHEN" },
    { "stats", 0, 0, G_OPTION_ARG_NONE, &options->stats,
      "Say on standard error how much work it was", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &options->version, "Print the version", NULL },
    { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &options->work.paths, NULL, "PATH…" },
    G_OPTION_ENTRY_NULL
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);

  options->work.n_workers = CLAMP (g_get_num_processors (), 1, MAX_WORKERS);
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_summary (context, summary);
  g_option_context_set_description (context, description);
  return g_option_context_parse_strv (context, &arguments, error)
         && options_set_algorithm (options, algorithm != NULL ? algorithm : "sha256", error)
         && options_set_progress (options, progress != NULL ? progress : "auto", error)
         && options_validate (options, error);
}

void
options_clear (Options *options)
{
  g_strfreev (options->work.paths);
  g_free (options->work.check);
}
