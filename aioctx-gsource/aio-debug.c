/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/aio-debug-private.h>
#include <aioctx-gsource/aio-atomic-private.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* As g_parse_debug_string() has them. */
#define SEPARATORS ",;: \t\n"

#define NSEC_PER_SEC  G_GINT64_CONSTANT (1000000000)
#define NSEC_PER_MSEC G_GINT64_CONSTANT (1000000)
#define NSEC_PER_USEC G_GINT64_CONSTANT (1000)

/* --- Values ----------------------------------------------------------------------------------- */

/* Digits, from 1 to max. Returns what stands behind them; NULL: it is no such number. */
static const char *
parse_number (const char *text,
              guint64     max,
              guint64    *number)
{
  char *end;

  if (!g_ascii_isdigit (text[0]))
    return NULL;
  *number = g_ascii_strtoull (text, &end, 10);
  return *number >= 1 && *number <= max ? end : NULL;
}

static gboolean
parse_duration (const char *text,
                gpointer    field)
{
  static const struct { const char *name; gint64 ns; } units[] = {
    { "us", NSEC_PER_USEC }, { "ms", NSEC_PER_MSEC }, { "s", NSEC_PER_SEC }
  };
  guint64 number;
  const char *unit = parse_number (text, G_MAXINT64, &number);

  for (guint i = 0; unit != NULL && i < G_N_ELEMENTS (units); i++)
    if (g_ascii_strcasecmp (unit, units[i].name) == 0)
      {
        if (number > (guint64) (G_MAXINT64 / units[i].ns))
          return FALSE;
        *(gint64 *) field = (gint64) number * units[i].ns;
        return TRUE;
      }
  return FALSE;
}

static gboolean
parse_seed (const char *text,
            gpointer    field)
{
  guint64 number;
  const char *end = parse_number (text, G_MAXUINT32, &number);

  if (end == NULL || *end != '\0')
    return FALSE;
  *(guint32 *) field = number;
  return TRUE;
}

static gboolean
parse_name (const char *text,
            gpointer    field)
{
  if (text[0] == '\0')
    return FALSE;
  g_free (*(char **) field);
  *(char **) field = g_strdup (text);
  return TRUE;
}

/* --- Keys ------------------------------------------------------------------------------------- */

typedef struct
{
  const char *name;
  gsize field;                  /* within AioDebug */
  gboolean (*parse) (const char *text,
                     gpointer    field);        /* NULL: it takes no value */
  const char *value;            /* for people, in the help */
  const char *expected;         /* for people, in a complaint */
  const char *help;
} Key;

static const Key keys[] = {
  { "dump", G_STRUCT_OFFSET (AioDebug, dump), parse_name, "SIGNAL", "a signal such as USR1",
    "on this signal (USR1, say) print all contexts, to stderr or to the file AIOCTX_DUMP" },
  { "fdmon", G_STRUCT_OFFSET (AioDebug, fdmon), parse_name, "NAME", "epoll or poll",
    "watch descriptors with epoll or poll; goes before AIOCTX_FDMON" },
  { "help", G_STRUCT_OFFSET (AioDebug, help), NULL, NULL, NULL, "print this list" },
  { "leaks", G_STRUCT_OFFSET (AioDebug, leaks), NULL, NULL, NULL,
    "at exit, print the contexts that were not finalised, and what they hold" },
  { "profile", G_STRUCT_OFFSET (AioDebug, profile), NULL, NULL, NULL,
    "measure every context, as aio_context_set_profiling() does" },
  { "shuffle", G_STRUCT_OFFSET (AioDebug, shuffle), parse_seed, "SEED",
    "a number from 1 to 4294967295",
    "run bottom halves in another order that is allowed as well" },
  { "slow", G_STRUCT_OFFSET (AioDebug, slow_ns), parse_duration, "TIME",
    "a time such as 500us, 20ms or 1s", "name callbacks that take so long (20ms, say)" },
  { "threads", G_STRUCT_OFFSET (AioDebug, threads), NULL, NULL, NULL,
    "be strict about what only the home thread may call" },
  { "wakes", G_STRUCT_OFFSET (AioDebug, wakes), NULL, NULL, NULL,
    "note why every context wakes, as aio_context_set_wake_log() does" },
};

/* The caller frees it. */
char *
aio_debug_help (void)
{
  GString *help = g_string_new ("AIOCTX_DEBUG takes, separated by commas:\n");

  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      char *left = keys[i].value != NULL ? g_strdup_printf ("%s=%s", keys[i].name, keys[i].value)
                                         : g_strdup (keys[i].name);

      g_string_append_printf (help, "  %-13s %s\n", left, keys[i].help);
      g_free (left);
    }
  return g_string_free (help, FALSE);
}

static void
complain_unknown (const char *name,
                  GPtrArray  *complaints)
{
  GString *text = g_string_new (NULL);

  g_string_printf (text, "AIOCTX_DEBUG: there is no key “%s”, only", name);
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    g_string_append_printf (text, "%s %s", i != 0 ? "," : "", keys[i].name);
  g_ptr_array_add (complaints, g_string_free (text, FALSE));
}

static char *
describe_bad_value (const char *key,
                    const char *value,
                    const char *expected)
{
  if (value == NULL)
    return g_strdup_printf ("AIOCTX_DEBUG: “%s” wants %s behind a “=”", key, expected);
  return g_strdup_printf ("AIOCTX_DEBUG: “%s=%s” is not understood, %s is expected", key, value,
                          expected);
}

static void
take_value (const Key  *key,
            const char *value,
            AioDebug   *debug,
            GPtrArray  *complaints)
{
  gpointer field = (char *) debug + key->field;

  if (key->parse == NULL && value != NULL)
    g_ptr_array_add (complaints, describe_bad_value (key->name, value, "no value"));
  else if (key->parse == NULL)
    *(gboolean *) field = TRUE;
  else if (value == NULL || !key->parse (value, field))
    g_ptr_array_add (complaints, describe_bad_value (key->name, value, key->expected));
}

static void
take_word (char      *word,
           AioDebug  *debug,
           GPtrArray *complaints)
{
  char *equals = strchr (word, '=');
  char *value = equals != NULL ? equals + 1 : NULL;

  if (equals != NULL)
    *equals = '\0';
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    if (g_ascii_strcasecmp (keys[i].name, word) == 0)
      {
        take_value (&keys[i], value, debug, complaints);
        return;
      }
  complain_unknown (word, complaints);
}

/* Of a key that is there twice the later value counts, if it is a good one. Whatever else the text
 * is, there is a complaint for each word that was not understood: a string to be freed. */
void
aio_debug_parse (const char *text,
                 AioDebug   *debug,
                 GPtrArray  *complaints)
{
  char **words = g_strsplit_set (text, SEPARATORS, -1);

  *debug = (AioDebug) { 0 };
  for (guint i = 0; words[i] != NULL; i++)
    if (words[i][0] != '\0')
      take_word (words[i], debug, complaints);
  g_strfreev (words);
}

void
aio_debug_clear (AioDebug *debug)
{
  g_clear_pointer (&debug->dump, g_free);
  g_clear_pointer (&debug->fdmon, g_free);
}

/* --- The environment -------------------------------------------------------------------------- */

static AioDebug settings;                       /* immutable once it was read */
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* Atomic, any thread: what is still to be said; who takes it says it. */
static _Atomic (GPtrArray *) unsaid;

/* Who runs a program with more rights than his own chooses neither the files that it writes nor the
 * signals that it survives. NULL: not set, or not for us. */
const char *
aio_debug_getenv (const char *name)
{
#ifdef __linux__
  return secure_getenv (name);
#else
  return getuid () == geteuid () && getgid () == getegid () ? getenv (name) : NULL;
#endif
}

static void
read_environment (void)
{
  const char *text = aio_debug_getenv ("AIOCTX_DEBUG");
  GPtrArray *complaints;

  if (text == NULL)
    return;
  complaints = g_ptr_array_new_with_free_func (g_free);
  aio_debug_parse (text, &settings, complaints);
  /* Full: pairs with say(). */
  aio_exchange_full (&unsaid, complaints);
}

/* A message is not fatal, not in a test either. Not inside of the pthread_once(): a log handler may
 * make contexts. */
static void
say (void)
{
  GPtrArray *complaints = aio_exchange_full (&unsaid, NULL);

  if (complaints == NULL)
    return;
  for (guint i = 0; i < complaints->len; i++)
    g_message ("%s", (char *) complaints->pdata[i]);
  g_ptr_array_unref (complaints);
  if (settings.help)
    {
      char *help = aio_debug_help ();

      fputs (help, stderr);
      g_free (help);
    }
}

/* Any thread. What the variable said at the first call. */
const AioDebug *
aio_debug_get (void)
{
  pthread_once (&once, read_environment);
  /* Full: pairs with the exchange in say(), which only one caller wins. */
  if (G_UNLIKELY (aio_load_full (&unsaid) != NULL))
    say ();
  return &settings;
}

/* A value is of no use, which only its user can tell. */
void
aio_debug_complain (const char *key,
                    const char *value,
                    const char *expected)
{
  char *complaint = describe_bad_value (key, value, expected);

  g_message ("%s", complaint);
  g_free (complaint);
}
