/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fuzz target for AIOCTX_DEBUG, which whoever starts a program may set to anything. What is made
 * of each text is compared with what a simple reader makes of it. */
#include "fuzz.h"

#include <aioctx-gsource/aio-debug-private.h>
#include <string.h>

/* What is asked for, and the words that are to be complained about, in order. */
typedef struct
{
  AioDebug debug;
  GPtrArray *refused;
} Reading;

/* The number in front of the rest of a text; 0: there is none, or it is above max. */
static guint64
take_number (const char **text,
             guint64      max)
{
  guint64 number = 0;

  for (; **text >= '0' && **text <= '9'; (*text)++)
    {
      guint64 digit = **text - '0';

      if (number > (max - digit) / 10)
        return 0;
      number = number * 10 + digit;
    }
  return number;
}

/* From the end: the last letters say the unit, and all before them has to be the number. */
static gint64
read_time (const char *value)
{
  static const struct { const char *name; gint64 ns; } units[] = {
    { "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 }
  };
  g_autofree char *text = g_ascii_strdown (value, -1);

  for (guint i = 0; i < G_N_ELEMENTS (units); i++)
    if (g_str_has_suffix (text, units[i].name))
      {
        const char *rest = text;
        gint64 number = take_number (&rest, G_MAXINT64 / units[i].ns);

        return strcmp (rest, units[i].name) == 0 ? number * units[i].ns : 0;
      }
  return 0;
}

static guint32
read_seed (const char *value)
{
  guint32 number = take_number (&value, G_MAXUINT32);

  return *value == '\0' ? number : 0;
}

static gboolean
read_name (char       **name,
           const char  *value)
{
  if (value == NULL || *value == '\0')
    return FALSE;
  g_free (*name);
  *name = g_strdup (value);
  return TRUE;
}

static gboolean
read_switch (gboolean   *field,
             const char *value)
{
  *field |= value == NULL;
  return value == NULL;
}

/* FALSE: it is not understood. */
static gboolean
read_pair (AioDebug   *debug,
           const char *key,
           const char *value)
{
  gint64 time_ns = value != NULL ? read_time (value) : 0;
  guint32 seed = value != NULL ? read_seed (value) : 0;

  if (strcmp (key, "help") == 0)
    return read_switch (&debug->help, value);
  if (strcmp (key, "leaks") == 0)
    return read_switch (&debug->leaks, value);
  if (strcmp (key, "profile") == 0)
    return read_switch (&debug->profile, value);
  if (strcmp (key, "threads") == 0)
    return read_switch (&debug->threads, value);
  if (strcmp (key, "wakes") == 0)
    return read_switch (&debug->wakes, value);
  if (strcmp (key, "dump") == 0)
    return read_name (&debug->dump, value);
  if (strcmp (key, "fdmon") == 0)
    return read_name (&debug->fdmon, value);
  if (strcmp (key, "slow") == 0 && time_ns != 0)
    debug->slow_ns = time_ns;
  else if (strcmp (key, "shuffle") == 0 && seed != 0)
    debug->shuffle = seed;
  else
    return FALSE;
  return TRUE;
}

static void
read_word (Reading    *reading,
           const char *word)
{
  const char *equals = strchr (word, '=');
  g_autofree char *name = equals != NULL ? g_strndup (word, equals - word) : g_strdup (word);
  g_autofree char *key = g_ascii_strdown (name, -1);

  if (!read_pair (&reading->debug, key, equals != NULL ? equals + 1 : NULL))
    g_ptr_array_add (reading->refused, g_steal_pointer (&name));
}

static void
read_text (Reading    *reading,
           const char *text)
{
  while (*text != '\0')
    {
      gsize length = strcspn (text, ",;: \t\n");

      if (length != 0)
        {
          g_autofree char *word = g_strndup (text, length);

          read_word (reading, word);
        }
      text += length + (text[length] != '\0');
    }
}

static void
check_same (const AioDebug *found,
            const AioDebug *expected)
{
  g_assert_cmpint (found->help, ==, expected->help);
  g_assert_cmpint (found->leaks, ==, expected->leaks);
  g_assert_cmpint (found->profile, ==, expected->profile);
  g_assert_cmpint (found->threads, ==, expected->threads);
  g_assert_cmpint (found->wakes, ==, expected->wakes);
  g_assert_cmpint (found->slow_ns, ==, expected->slow_ns);
  g_assert_cmpuint (found->shuffle, ==, expected->shuffle);
  g_assert_cmpstr (found->dump, ==, expected->dump);
  g_assert_cmpstr (found->fdmon, ==, expected->fdmon);
}

/* One for each word that was refused, which it names. */
static void
check_complaints (const GPtrArray *complaints,
                  const GPtrArray *refused)
{
  g_assert_cmpuint (complaints->len, ==, refused->len);
  for (guint i = 0; i < refused->len; i++)
    {
      g_assert_true (g_str_has_prefix (complaints->pdata[i], "AIOCTX_DEBUG: "));
      /* Of a key that is known, its name as the help has it. */
      if (strstr (complaints->pdata[i], refused->pdata[i]) == NULL)
        {
          g_autofree char *key = g_ascii_strdown (refused->pdata[i], -1);

          g_assert_nonnull (strstr (complaints->pdata[i], key));
        }
    }
}

const char fuzz_name[] = "debug";
const char fuzz_summary[] =
  "C28: AIOCTX_DEBUG, whatever the fuzzer has made up, asks for what a simple reader sees in it, "
  "and each word that is not understood is named";

int
LLVMFuzzerTestOneInput (const uint8_t *bytes,
                        size_t         n_bytes)
{
  g_autofree char *text = g_strndup ((const char *) bytes, n_bytes);
  g_autoptr (GPtrArray) complaints = g_ptr_array_new_with_free_func (g_free);
  Reading reading = { .refused = g_ptr_array_new_with_free_func (g_free) };
  AioDebug debug;

  aio_debug_parse (text, &debug, complaints);
  read_text (&reading, text);
  check_same (&debug, &reading.debug);
  check_complaints (complaints, reading.refused);
  aio_debug_clear (&debug);
  aio_debug_clear (&reading.debug);
  g_ptr_array_unref (reading.refused);
  return 0;
}
