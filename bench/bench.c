/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "bench.h"

#define MAX_ROUNDS    101
#define MAX_SUBJECTS  32
#define ROUND_NS      10e6
#define QUICK_NS      0.1e6
#define QUICK_SIZE    100

_Thread_local guint bench_ran;

static struct
{
  gboolean json;
  gboolean quick;
  int rounds;
} options = { .rounds = 15 };

static GString *results;
static char *title_printed;

void
bench_count (gpointer data)
{
  bench_ran++;
}

gboolean
bench_is_quick (void)
{
  return options.quick;
}

gboolean
bench_takes (guint size)
{
  return !options.quick || size <= QUICK_SIZE;
}

void
bench_begin (int    argc,
             char **argv)
{
  const GOptionEntry entries[] = {
    { "json", 0, 0, G_OPTION_ARG_NONE, &options.json, "Print JSON", NULL },
    { "quick", 0, 0, G_OPTION_ARG_NONE, &options.quick, "Only show that it works", NULL },
    { "rounds", 0, 0, G_OPTION_ARG_INT, &options.rounds, "How many rounds", "N" },
    { NULL, 0, 0, 0, NULL, NULL, NULL }
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || argc > 1)
    {
      g_printerr ("%s: see --help\n", argv[0]);
      exit (2);
    }
  if (options.quick)
    options.rounds = 1;
  options.rounds = CLAMP (options.rounds, 1, MAX_ROUNDS);
  results = g_string_new (NULL);
}

int
bench_end (void)
{
  if (options.json)
    g_print ("{\"results\": [%s\n]}\n", results->str);
  g_string_free (results, TRUE);
  g_free (title_printed);
  return 0;
}

static void
add_result (const BenchQuestion *question,
            const char          *unit,
            const char          *name,
            const char          *how,
            const double         figures[3])
{
  char text[3][G_ASCII_DTOSTR_BUF_SIZE];

  for (guint i = 0; i < 3; i++)
    g_ascii_formatd (text[i], sizeof text[i], "%.4g", figures[i]);
  g_string_append_printf (results, "%s\n  {\"question\": \"%s\", \"title\": \"%s\", \"size\": %u, "
                          "\"unit\": \"%s\", \"name\": \"%s\", \"how\": \"%s\", "
                          "\"median\": %s, \"low\": %s, \"high\": %s}",
                          results->len > 0 ? "," : "", question->key, question->title,
                          question->size, unit, name, how, text[0], text[1], text[2]);
}

static void
print_title (const BenchQuestion *question)
{
  char *title = g_strdup_printf ("%s (%s, %u)", question->title, question->key, question->size);

  if (!options.json && g_strcmp0 (title, title_printed) != 0)
    g_print ("%s\n", title);
  g_free (title_printed);
  title_printed = title;
}

static int
compare_figures (gconstpointer a,
                 gconstpointer b)
{
  double x = *(const double *) a;
  double y = *(const double *) b;

  return (x > y) - (x < y);
}

static double
measure (const BenchSubject *subject,
         gpointer            state,
         guint               n)
{
  gint64 begin = g_get_monotonic_time ();

  subject->work (state, n);
  return (double) (g_get_monotonic_time () - begin) * 1000.0;
}

static gpointer
set_up (const BenchSubject *subject)
{
  return subject->setup != NULL ? subject->setup (subject->config) : (gpointer) subject->config;
}

static void
tear_down (const BenchSubject *subject,
           gpointer            state)
{
  if (subject->teardown != NULL)
    subject->teardown (state);
}

/* How many operations a round needs to be long enough for the clock. */
static guint
calibrate (const BenchSubject *subject)
{
  double enough = options.quick ? QUICK_NS : ROUND_NS;
  gpointer state = set_up (subject);
  guint n = 1;

  while (n < 1 << 20 && measure (subject, state, n) < enough)
    n *= 2;
  tear_down (subject, state);
  return n;
}

/* What is done for the first time is not measured. */
static double
play_round (const BenchSubject *subject,
            guint               n)
{
  gpointer state = set_up (subject);
  double ns;

  subject->work (state, n / 8 + 1);
  ns = measure (subject, state, n) / n;
  tear_down (subject, state);
  return ns;
}

static void
report (const BenchQuestion *question,
        const BenchSubject  *subject,
        const double        *rounds,
        double               ours)
{
  double median = rounds[options.rounds / 2];
  double low = rounds[0], high = rounds[options.rounds - 1];

  add_result (question, "ns", subject->name, subject->how, (double[]) { median, low, high });
  if (!options.json)
    g_print ("  %-22s %-46s %11.1f ns  [%.1f .. %.1f]  %7.2f x\n", subject->name, subject->how,
             median, low, high, median / ours);
}

void
bench_run (const BenchQuestion *question,
           const BenchSubject  *subjects,
           guint                n_subjects)
{
  static double rounds[MAX_SUBJECTS][MAX_ROUNDS];
  guint n[MAX_SUBJECTS];

  g_assert (n_subjects <= MAX_SUBJECTS);
  print_title (question);
  for (guint i = 0; i < n_subjects; i++)
    n[i] = calibrate (&subjects[i]);
  for (int round = 0; round < options.rounds; round++)
    for (guint i = 0; i < n_subjects; i++)
      rounds[i][round] = play_round (&subjects[i], n[i]);
  for (guint i = 0; i < n_subjects; i++)
    {
      qsort (rounds[i], options.rounds, sizeof (double), compare_figures);
      report (question, &subjects[i], rounds[i], rounds[0][options.rounds / 2]);
    }
}

void
bench_tell (const BenchQuestion *question,
            const char          *unit,
            const char          *name,
            const char          *how,
            double               value)
{
  print_title (question);
  add_result (question, unit, name, how, (double[]) { value, value, value });
  if (!options.json)
    g_print ("  %-22s %-46s %11.1f %s\n", name, how, value, unit);
}
