/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of what was done. Thousands of files a second may come in. Each only waits to be shown,
 * and however many they are, sum_list_flush() enters them into the list at once: a GtkColumnView
 * has work to do for each items-changed. */
#include "gtk-filesum.h"

struct _SumRow
{
  GObject parent;
  char *path;
  char *digest;                 /* or NULL, and a problem */
  char *problem;
  guint64 size;
};

G_DEFINE_FINAL_TYPE (SumRow, sum_row, G_TYPE_OBJECT)

static void
sum_row_finalize (GObject *object)
{
  SumRow *self = SUM_ROW (object);

  g_free (self->path);
  g_free (self->digest);
  g_free (self->problem);
  G_OBJECT_CLASS (sum_row_parent_class)->finalize (object);
}

static void
sum_row_class_init (SumRowClass *class)
{
  G_OBJECT_CLASS (class)->finalize = sum_row_finalize;
}

static void
sum_row_init (SumRow *self)
{
}

static SumRow *
sum_row_new (Job *job)
{
  SumRow *self = g_object_new (SUM_TYPE_ROW, NULL);

  self->path = g_steal_pointer (&job->path);
  self->size = job->size;
  if (job_has_failed (job))
    self->problem = g_strdup (job_get_problem (job));
  else
    self->digest = g_steal_pointer (&job->digest);
  return self;
}

/* A name may hold what is no text. It may not write lines of its own either. */
char *
sum_row_get_name (SumRow *self)
{
  g_autofree char *printable = printable_name (self->path);

  return g_utf8_make_valid (printable, -1);
}

char *
sum_row_get_size (SumRow *self)
{
  return self->digest != NULL ? g_format_size (self->size) : g_strdup ("");
}

/* Or why there is none. */
const char *
sum_row_get_sum (SumRow *self)
{
  return self->digest != NULL ? self->digest : self->problem;
}

/* The line that filesum prints for it; NULL if there is none. */
char *
sum_row_format (SumRow *self)
{
  Job job = { .path = self->path, .digest = self->digest };

  return self->digest != NULL ? job_format_sum (&job) : NULL;
}

struct _SumList
{
  GObject parent;
  GPtrArray *rows;
  guint n_shown;                /* the others wait for sum_list_flush() */
};

static GType
sum_list_get_item_type (GListModel *model)
{
  return SUM_TYPE_ROW;
}

static guint
sum_list_get_n_items (GListModel *model)
{
  return SUM_LIST (model)->n_shown;
}

static gpointer
sum_list_get_item (GListModel *model,
                   guint       position)
{
  SumList *self = SUM_LIST (model);

  return position < self->n_shown ? g_object_ref (g_ptr_array_index (self->rows, position)) : NULL;
}

static void
sum_list_init_model (GListModelInterface *iface)
{
  iface->get_item_type = sum_list_get_item_type;
  iface->get_n_items = sum_list_get_n_items;
  iface->get_item = sum_list_get_item;
}

G_DEFINE_FINAL_TYPE_WITH_CODE (SumList, sum_list, G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (G_TYPE_LIST_MODEL, sum_list_init_model))

static void
sum_list_finalize (GObject *object)
{
  SumList *self = SUM_LIST (object);

  g_ptr_array_unref (self->rows);
  G_OBJECT_CLASS (sum_list_parent_class)->finalize (object);
}

static void
sum_list_class_init (SumListClass *class)
{
  G_OBJECT_CLASS (class)->finalize = sum_list_finalize;
}

static void
sum_list_init (SumList *self)
{
  self->rows = g_ptr_array_new_with_free_func (g_object_unref);
}

SumList *
sum_list_new (void)
{
  return g_object_new (SUM_TYPE_LIST, NULL);
}

void
sum_list_add (SumList *self,
              Job     *job)
{
  g_ptr_array_add (self->rows, sum_row_new (job));
}

/* Shows what waits, but no more than this. */
void
sum_list_flush (SumList *self,
                guint    at_most)
{
  guint position = self->n_shown;
  guint added = MIN (self->rows->len - position, at_most);

  self->n_shown += added;
  if (added > 0)
    g_list_model_items_changed (G_LIST_MODEL (self), position, 0, added);
}

/* All sums, as filesum prints them. */
char *
sum_list_format (SumList *self,
                 gsize   *length)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < self->rows->len; i++)
    {
      g_autofree char *line = sum_row_format (g_ptr_array_index (self->rows, i));

      if (line != NULL)
        g_string_append (text, line);
    }
  *length = text->len;
  return g_string_free (text, FALSE);
}
