/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* gtk-filesum is filesum with a window: drop folders on it, and the list fills with sums.
 *
 * The hashing is filesum's own, ../filesum/hasher.h. Around it, in the order in which to read:
 *
 *   app.c          the context in the main loop of GTK, and the command line
 *   run.c          a hasher at work, from its start until its threads are gone
 *   sum-list.c     the list of what was done, a GListModel
 *   window.c       the window, and its actions
 *   thread-bar.c   what one I/O thread is at
 *   frame-meter.c  how long the frames of the window take
 *   benchmark.c    --benchmark, --output and --screenshot
 *
 * window.ui has what stands where. All here runs in the main thread, unless it says otherwise.
 */
#pragma once

#include "../filesum/hasher.h"

#include <gtk/gtk.h>

#define APP_ID "org.example.GtkFilesum"
#define APP_RESOURCES "/org/example/GtkFilesum"

/* sum-list.c */
#define SUM_TYPE_ROW (sum_row_get_type ())
G_DECLARE_FINAL_TYPE (SumRow, sum_row, SUM, ROW, GObject)

char         *sum_row_get_name         (SumRow            *self);
char         *sum_row_get_size         (SumRow            *self);
const char   *sum_row_get_sum          (SumRow            *self);
char         *sum_row_format           (SumRow            *self);

#define SUM_TYPE_LIST (sum_list_get_type ())
G_DECLARE_FINAL_TYPE (SumList, sum_list, SUM, LIST, GObject)

SumList      *sum_list_new             (void);
void          sum_list_add             (SumList           *self,
                                        Job               *job);
void          sum_list_flush           (SumList           *self,
                                        guint              at_most);
char         *sum_list_format          (SumList           *self,
                                        gsize             *length);

/* run.c */
#define RUN_TYPE (run_get_type ())
G_DECLARE_FINAL_TYPE (Run, run, FILESUM, RUN, GObject)

Run          *run_new                  (AioContext        *context,
                                        const char *const *paths,
                                        int                n_workers,
                                        AioBH             *tick,
                                        GError           **error);
void          run_start                (Run               *self);
void          run_stop                 (Run               *self);
SumList      *run_get_sums             (Run               *self);
guint         run_get_n_workers        (Run               *self);
const char   *run_get_current          (Run               *self,
                                        guint              nth_worker,
                                        double            *fraction);
gboolean      run_is_active            (Run               *self);
gboolean      run_was_cancelled        (Run               *self);
double        run_get_seconds          (Run               *self);
guint64       run_get_files            (Run               *self);
guint64       run_get_bytes            (Run               *self);
guint64       run_get_problems         (Run               *self);
gboolean      run_get_total            (Run               *self,
                                        guint64           *files);

/* thread-bar.c */
#define THREAD_TYPE_BAR (thread_bar_get_type ())
G_DECLARE_FINAL_TYPE (ThreadBar, thread_bar, THREAD, BAR, GtkWidget)

GtkWidget    *thread_bar_new           (guint              number);
void          thread_bar_set           (ThreadBar         *self,
                                        const char        *path,
                                        double             fraction);

/* frame-meter.c */
#define FRAME_TYPE_METER (frame_meter_get_type ())
G_DECLARE_FINAL_TYPE (FrameMeter, frame_meter, FRAME, METER, GtkWidget)

void          frame_meter_start        (FrameMeter        *self);
void          frame_meter_stop         (FrameMeter        *self);
guint         frame_meter_get_n_frames (FrameMeter        *self);
double        frame_meter_get_ms       (FrameMeter        *self,
                                        double             quantile);

/* window.c */
#define FILESUM_TYPE_WINDOW (filesum_window_get_type ())
G_DECLARE_FINAL_TYPE (FilesumWindow, filesum_window, FILESUM, WINDOW, GtkApplicationWindow)

FilesumWindow *filesum_window_new      (GtkApplication    *app,
                                        AioContext        *context,
                                        int                n_workers);
void          filesum_window_open      (FilesumWindow     *self,
                                        const char *const *paths);
Run          *filesum_window_get_run   (FilesumWindow     *self);
FrameMeter   *filesum_window_get_meter (FilesumWindow     *self);

/* benchmark.c */
typedef struct
{
  GStrv paths;                  /* or NULL */
  int n_workers;
  int priority;
  int budget;                   /* in microseconds; 0: none */
  int flood;                    /* how many callbacks */
  gboolean benchmark;
  char *output;
  char *screenshot;
  int screenshot_at;            /* how many files are in the picture; 0: all */
  int status;                   /* what the program ends with */
} Options;

void          benchmark_start          (FilesumWindow     *window,
                                        AioContext        *context,
                                        Options           *options);

/* app.c */
#define FILESUM_TYPE_APP (filesum_app_get_type ())
G_DECLARE_FINAL_TYPE (FilesumApp, filesum_app, FILESUM, APP, GtkApplication)

FilesumApp   *filesum_app_new          (void);
int           filesum_app_get_status   (FilesumApp        *self);
