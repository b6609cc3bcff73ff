/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tree as text, and as JSON. The locale has no say in either. */
#include <aioctx-gsource/aio-dump-private.h>

#include <string.h>

#define NSEC_PER_USEC G_GINT64_CONSTANT (1000)
#define NSEC_PER_MSEC G_GINT64_CONSTANT (1000000)
#define NSEC_PER_SEC  G_GINT64_CONSTANT (1000000000)

/* --- Both ------------------------------------------------------------------------------------- */

static void
append_escaped (GString    *out,
                const char *string)
{
  static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";

  g_string_append_c (out, '"');
  for (const char *c = string; *c != '\0'; c++)
    {
      const char *found = strchr (plain, *c);

      if (found != NULL)
        g_string_append_printf (out, "\\%c", letters[found - plain]);
      else if ((guchar) *c < 0x20 || *c == 0x7f)
        g_string_append_printf (out, "\\u%04x", (guint) (guchar) *c);
      else
        g_string_append_c (out, *c);
    }
  g_string_append_c (out, '"');
}

/* --- JSON ------------------------------------------------------------------------------------- */

static void append_json (GString  *out,
                         GVariant *value);

/* Arrays, and dictionaries with strings as keys. */
static void
append_json_container (GString  *out,
                       GVariant *value)
{
  gboolean is_object = g_variant_type_is_subtype_of (g_variant_get_type (value),
                                                     G_VARIANT_TYPE_DICTIONARY);

  g_string_append_c (out, is_object ? '{' : '[');
  for (gsize i = 0; i < g_variant_n_children (value); i++)
    {
      GVariant *child = g_variant_get_child_value (value, i);

      if (i != 0)
        g_string_append (out, ", ");
      append_json (out, child);
      g_variant_unref (child);
    }
  g_string_append_c (out, is_object ? '}' : ']');
}

static void
append_json_entry (GString  *out,
                   GVariant *entry)
{
  GVariant *key = g_variant_get_child_value (entry, 0);
  GVariant *value = g_variant_get_child_value (entry, 1);

  append_json (out, key);
  g_string_append (out, ": ");
  append_json (out, value);
  g_variant_unref (value);
  g_variant_unref (key);
}

/* NULL is what a "maybe" without a value holds. Takes the reference. */
static void
append_json_inner (GString  *out,
                   GVariant *inner)
{
  if (inner == NULL)
    {
      g_string_append (out, "null");
      return;
    }
  append_json (out, inner);
  g_variant_unref (inner);
}

static void
append_json (GString  *out,
             GVariant *value)
{
  switch (g_variant_classify (value))
    {
    case G_VARIANT_CLASS_STRING:
      append_escaped (out, g_variant_get_string (value, NULL));
      break;
    case G_VARIANT_CLASS_VARIANT:
      append_json_inner (out, g_variant_get_variant (value));
      break;
    case G_VARIANT_CLASS_MAYBE:
      append_json_inner (out, g_variant_get_maybe (value));
      break;
    case G_VARIANT_CLASS_ARRAY:
      append_json_container (out, value);
      break;
    case G_VARIANT_CLASS_DICT_ENTRY:
      append_json_entry (out, value);
      break;
    default:    /* a boolean or an integer, which GLib writes as JSON does */
      {
        char *text = g_variant_print (value, FALSE);

        g_string_append (out, text);
        g_free (text);
      }
    }
}

static char *
print_json (GVariant *tree)
{
  GString *out = g_string_new (NULL);

  append_json (out, tree);
  g_string_append_c (out, '\n');
  return g_string_free (out, FALSE);
}

/* --- What is in the tree ---------------------------------------------------------------------- */

/* NULL: not there, or not known. The caller drops the reference. */
static GVariant *
look_up (GVariant   *tree,
         const char *key)
{
  GVariant *value = g_variant_lookup_value (tree, key, NULL);
  GVariant *inner;

  if (value == NULL || g_variant_classify (value) != G_VARIANT_CLASS_MAYBE)
    return value;
  inner = g_variant_get_maybe (value);
  g_variant_unref (value);
  return inner;
}

static gboolean
is_true (GVariant   *tree,
         const char *key)
{
  g_autoptr (GVariant) value = look_up (tree, key);

  return value != NULL && g_variant_get_boolean (value);
}

static gboolean
get_ns (GVariant   *tree,
        const char *key,
        gint64     *ns)
{
  g_autoptr (GVariant) value = look_up (tree, key);

  if (value == NULL)
    return FALSE;
  *ns = g_variant_get_int64 (value);
  return TRUE;
}

/* --- Text ------------------------------------------------------------------------------------- */

/* A string as it stands, a number, or "-". */
static void
append_plain (GString    *out,
              GVariant   *tree,
              const char *key)
{
  g_autoptr (GVariant) value = look_up (tree, key);
  g_autofree char *text = NULL;

  if (value == NULL)
    text = g_strdup ("-");
  else if (g_variant_is_of_type (value, G_VARIANT_TYPE_STRING))
    text = g_variant_dup_string (value, NULL);
  else
    text = g_variant_print (value, FALSE);
  g_string_append (out, text);
}

static void
append_quoted (GString    *out,
               GVariant   *tree,
               const char *key)
{
  g_autoptr (GVariant) value = look_up (tree, key);

  if (value == NULL)
    g_string_append_c (out, '-');
  else
    append_escaped (out, g_variant_get_string (value, NULL));
}

/* "1.5 ms"; cut off, not rounded. */
static void
append_duration (GString *out,
                 guint64  ns)
{
  static const struct { const char *name; guint64 ns; } units[] = {
    { "s", NSEC_PER_SEC }, { "ms", NSEC_PER_MSEC }, { "us", NSEC_PER_USEC },
  };

  for (guint i = 0; i < G_N_ELEMENTS (units); i++)
    if (ns >= units[i].ns)
      {
        guint64 tenths = ns / (units[i].ns / 10);

        g_string_append_printf (out, "%" G_GUINT64_FORMAT ".%u %s", tenths / 10,
                                (guint) (tenths % 10), units[i].name);
        return;
      }
  g_string_append_printf (out, "%" G_GUINT64_FORMAT " ns", ns);
}

static void
append_ns (GString    *out,
           GVariant   *tree,
           const char *key)
{
  gint64 ns;

  if (get_ns (tree, key, &ns))
    append_duration (out, MAX (ns, 0));
  else
    g_string_append_c (out, '-');
}

/* "3.2 ms ago" */
static void
append_ago (GString    *out,
            GVariant   *tree,
            const char *key)
{
  gint64 ns;

  append_ns (out, tree, key);
  if (get_ns (tree, key, &ns))
    g_string_append (out, " ago");
}

/* "passes 3", behind a comma. */
static void
append_figure (GString    *out,
               GVariant   *tree,
               const char *key,
               const char *label)
{
  g_string_append_printf (out, ", %s ", label);
  append_plain (out, tree, key);
}

static void
append_deadline (GString  *out,
                 GVariant *item)
{
  gint64 due_in;

  if (!get_ns (item, "due_in_ns", &due_in))
    return;
  g_string_append (out, due_in < 0 ? ", overdue by " : ", in ");
  append_duration (out, due_in < 0 ? -(guint64) due_in : (guint64) due_in);
  g_string_append (out, " (");
  append_plain (out, item, "clock");
  g_string_append (out, " ");
  append_plain (out, item, "deadline_ns");
  g_string_append (out, " ns)");
}

/* Those of a descriptor have it in the place where others have their name. */
static void
append_identity (GString  *out,
                 GVariant *item)
{
  g_string_append (out, "  ");
  append_plain (out, item, "kind");
  g_string_append_c (out, ' ');
  if (!g_variant_lookup (item, "fd", "i", NULL))
    {
      append_quoted (out, item, "name");
      return;
    }
  append_plain (out, item, "fd");
  g_string_append_c (out, ' ');
  append_quoted (out, item, "name");
}

static void
append_events (GString  *out,
               GVariant *item)
{
  if (is_true (item, "read"))
    g_string_append (out, ", read");
  if (is_true (item, "write"))
    g_string_append (out, ", write");
}

static void
append_item (GString  *out,
             GVariant *item)
{
  gint64 waits;

  append_identity (out, item);
  g_string_append_c (out, ' ');
  append_plain (out, item, "state");
  append_events (out, item);
  append_deadline (out, item);
  if (get_ns (item, "waits_ns", &waits))
    {
      g_string_append (out, ", scheduled ");
      append_ago (out, item, "waits_ns");
    }
  append_figure (out, item, "runs", "runs");
  g_string_append (out, ", total ");
  append_ns (out, item, "total_ns");
  g_string_append (out, ", longest ");
  append_ns (out, item, "longest_ns");
  g_string_append (out, ", woke ");
  append_ago (out, item, "woke_ago_ns");
  g_string_append (out, ", calls ");
  append_plain (out, item, "function");
  g_string_append_c (out, '\n');
}

static void
append_wake (GString  *out,
             GVariant *wake)
{
  g_autoptr (GVariant) fd = look_up (wake, "fd");
  g_autoptr (GVariant) name = look_up (wake, "name");

  g_string_append (out, "  wake ");
  append_ago (out, wake, "ago_ns");
  g_string_append (out, ": ");
  append_plain (out, wake, "reason");
  if (fd != NULL)
    g_string_append_printf (out, " %d", g_variant_get_int32 (fd));
  if (name != NULL)
    {
      g_string_append_c (out, ' ');
      append_escaped (out, g_variant_get_string (name, NULL));
    }
  g_string_append_c (out, '\n');
}

/* Each of what is under a key. */
static void
append_each (GString    *out,
             GVariant   *tree,
             const char *key,
             void      (*append) (GString  *out,
                                  GVariant *each))
{
  g_autoptr (GVariant) all = look_up (tree, key);

  for (gsize i = 0; all != NULL && i < g_variant_n_children (all); i++)
    {
      g_autoptr (GVariant) each = g_variant_get_child_value (all, i);

      append (out, each);
    }
}

static void
append_locked (GString  *out,
               GVariant *part)
{
  g_string_append_printf (out, "  %s (locked)\n", g_variant_get_string (part, NULL));
}

static void
append_home (GString  *out,
             GVariant *context)
{
  g_autoptr (GVariant) has_home = look_up (context, "has_home_thread");
  g_autoptr (GVariant) attached = look_up (context, "attached");

  if (has_home == NULL || attached == NULL)
    {
      g_string_append (out, ", attached -, home thread -");
      return;
    }
  g_string_append (out, g_variant_get_boolean (attached) ? ", attached" : ", not attached");
  if (!g_variant_get_boolean (has_home))
    {
      g_string_append (out, ", no home thread");
      return;
    }
  append_figure (out, context, "home_thread", "home thread");
  if (is_true (context, "in_home_thread"))
    g_string_append (out, " (this one)");
}

static void
append_state (GString  *out,
              GVariant *context)
{
  g_string_append_c (out, ' ');
  append_plain (out, context, "state");
  append_figure (out, context, "depth", "iterations on the stack");
  append_home (out, context);
  append_figure (out, context, "priority", "priority");
  append_figure (out, context, "max_callbacks", "budget");
  g_string_append (out, " callbacks ");
  append_plain (out, context, "max_usec");
  g_string_append (out, " us\n");
}

static void
append_stats (GString  *out,
              GVariant *context)
{
  g_string_append (out, "  stats: iterations ");
  append_plain (out, context, "iterations");
  append_figure (out, context, "passes", "passes");
  append_figure (out, context, "runs", "runs");
  append_figure (out, context, "wakeups_sent", "wakeups sent");
  append_figure (out, context, "wakeups_saved", "wakeups saved");
  append_figure (out, context, "cancels", "cancels");
  append_figure (out, context, "max_depth", "deepest pass");
  append_figure (out, context, "slow_callbacks", "slow callbacks");
  append_figure (out, context, "schedules", "schedules");
  append_figure (out, context, "coalesced", "coalesced");
  g_string_append_c (out, '\n');
}

/* "1.0 us: 17" for those from 1.024 to 2.048 us. */
static void
append_histogram (GString    *out,
                  GVariant   *context,
                  const char *key,
                  const char *label)
{
  g_autoptr (GVariant) buckets = look_up (context, key);

  g_string_append_printf (out, "  %s:", label);
  if (buckets == NULL)
    g_string_append (out, " -");
  for (gsize i = 0; buckets != NULL && i < g_variant_n_children (buckets); i++)
    {
      guint64 n;

      g_variant_get_child (buckets, i, "t", &n);
      if (n == 0)
        continue;
      g_string_append (out, " from ");
      append_duration (out, G_GUINT64_CONSTANT (1) << i);
      g_string_append_printf (out, ": %" G_GUINT64_FORMAT ";", n);
    }
  g_string_append_c (out, '\n');
}

static void
append_context (GString  *out,
                GVariant *context)
{
  g_autoptr (GVariant) wakes = look_up (context, "wakes");

  g_string_append (out, "context ");
  append_quoted (out, context, "name");
  if (is_true (context, "forked"))
    {
      g_string_append (out, " was made before fork() and belongs to the parent process\n");
      return;
    }
  append_state (out, context);
  append_stats (out, context);
  append_histogram (out, context, "latency", "latency");
  append_histogram (out, context, "run_time", "run time");
  append_each (out, context, "locked", append_locked);
  append_each (out, context, "items", append_item);
  if (!is_true (context, "knows_oneshots"))
    g_string_append (out, "  oneshots - (the home thread knows them)\n");
  if (wakes == NULL)
    g_string_append (out, "  wakes -\n");
  append_each (out, context, "wakes", append_wake);
}

static void
append_heading (GString  *out,
                GVariant *all)
{
  g_autoptr (GVariant) contexts = look_up (all, "contexts");

  g_string_append (out, "aioctx dump ");
  append_plain (out, all, "time");
  append_figure (out, all, "pid", "pid");
  g_string_append (out, ", program ");
  append_quoted (out, all, "program");
  if (contexts == NULL)
    g_string_append (out, ", contexts (locked)\n");
  else
    g_string_append_printf (out, ", contexts %" G_GSIZE_FORMAT "\n",
                            g_variant_n_children (contexts));
}

char *
aio_dump_print_context (GVariant      *context,
                        AioDumpFormat  format)
{
  GString *out;

  if (format == AIO_DUMP_JSON)
    return print_json (context);
  out = g_string_new (NULL);
  append_context (out, context);
  return g_string_free (out, FALSE);
}

char *
aio_dump_print_all (GVariant      *all,
                    AioDumpFormat  format)
{
  GString *out;

  if (format == AIO_DUMP_JSON)
    return print_json (all);
  out = g_string_new (NULL);
  append_heading (out, all);
  append_each (out, all, "contexts", append_context);
  return g_string_free (out, FALSE);
}
