/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rig.h"

#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_SUBJECTS 32
#define HOUR_MS      (3600 * 1000)
#define N_OFFSETS    4096

/* Of a descriptor that is far from the last one, among any number that 7919 does not divide. */
#define STRIDE       7919

static int *all_fds;
static guint n_all_fds;

guint
bench_open_fds (guint n)
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  all_fds = g_new (int, n);
  while (n_all_fds < n &&
         (all_fds[n_all_fds] = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK)) >= 0)
    n_all_fds++;
  return n_all_fds;
}

void
bench_close_fds (void)
{
  while (n_all_fds > 0)
    close (all_fds[--n_all_fds]);
  g_clear_pointer (&all_fds, g_free);
}

/* Between one and two hours from now, drawn beforehand: random numbers cost as much as timers. */
static const guint *
far_offsets (void)
{
  static guint offsets[N_OFFSETS];

  if (offsets[0] == 0)
    for (guint i = 0; i < N_OFFSETS; i++)
      offsets[i] = (guint) g_random_int_range (HOUR_MS, 2 * HOUR_MS);
  return offsets;
}

static void
read_fd (gpointer fd)
{
  eventfd_t value;

  eventfd_read (GPOINTER_TO_INT (fd), &value);
  bench_ran++;
}

gpointer
bench_rig_new (gconstpointer data)
{
  const BenchRigConfig *config = data;
  const BenchPeer *peer = config->peer;
  const BenchPlan *plan = &config->plan;
  BenchRig *self = g_new0 (BenchRig, 1);

  self->peer = peer;
  self->plan = *plan;
  self->loop = peer->open ();
  self->calls = g_new (gpointer, plan->n_calls);
  self->fds = g_new (gpointer, plan->n_fds);
  self->timers = g_new (gpointer, plan->n_timers);
  for (guint i = 0; i < plan->n_calls; i++)
    self->calls[i] = peer->call_new (self->loop, bench_count, NULL);
  for (guint i = 0; i < plan->n_fds; i++)
    self->fds[i] = peer->fd_new (self->loop, all_fds[i], read_fd, GINT_TO_POINTER (all_fds[i]));
  if (peer->timer_new == NULL)
    self->plan.n_timers = 0;
  for (guint i = 0; i < self->plan.n_timers; i++)
    {
      self->timers[i] = peer->timer_new (self->loop, bench_count, NULL);
      peer->arm (self->timers[i], far_offsets ()[i % N_OFFSETS]);
    }
  if (plan->sort == BENCH_OF_TIMERS)
    self->timer = peer->timer_new (self->loop, bench_count, NULL);
  /* Makes this thread the one whose loop it is. */
  peer->iterate (self->loop);
  return self;
}

void
bench_rig_free (gpointer data)
{
  BenchRig *self = data;
  const BenchPeer *peer = self->peer;

  if (self->timer != NULL)
    peer->timer_free (self->timer);
  for (guint i = 0; i < self->plan.n_timers; i++)
    peer->timer_free (self->timers[i]);
  for (guint i = 0; i < self->plan.n_fds; i++)
    peer->fd_free (self->fds[i]);
  for (guint i = 0; i < self->plan.n_calls; i++)
    peer->call_free (self->calls[i]);
  peer->close (self->loop);
  g_free (self->timers);
  g_free (self->fds);
  g_free (self->calls);
  g_free (self);
}

/* Those in the middle of all, so that no order is at an advantage. */
void
bench_rig_burst (gpointer data,
                 guint    n)
{
  BenchRig *self = data;
  gpointer *calls = &self->calls[(self->plan.n_calls - self->plan.burst) / 2];

  self->peer->burst (self->loop, calls, self->plan.burst, n);
}

void
bench_rig_merge (gpointer data,
                 guint    n)
{
  BenchRig *self = data;

  self->peer->merge (self->calls[0], n);
  self->peer->iterate (self->loop);
}

/* With other descriptors each time, what it costs is also the kernel's and the processor's, whose
 * caches do not hold all of them. */
void
bench_rig_ready (gpointer data,
                 guint    n)
{
  BenchRig *self = data;
  const BenchPlan *plan = &self->plan;

  for (guint i = 0; i < n; i++)
    {
      guint target = bench_ran + plan->n_ready;

      for (guint k = 0; k < plan->n_ready; k++)
        {
          eventfd_write (all_fds[self->next_fd], 1);
          if (!plan->same_fd)
            self->next_fd = (self->next_fd + STRIDE) % plan->n_fds;
        }
      while (bench_ran != target)
        self->peer->iterate (self->loop);
    }
}

void
bench_rig_arm_cancel (gpointer data,
                      guint    n)
{
  BenchRig *self = data;

  self->peer->arm_cancel (self->timer, far_offsets (), N_OFFSETS, n);
}

void
bench_rig_fire (gpointer data,
                guint    n)
{
  BenchRig *self = data;

  for (guint i = 0; i < n; i++)
    {
      guint target = bench_ran + 1;

      self->peer->arm (self->timer, 0);
      while (bench_ran != target)
        self->peer->iterate (self->loop);
    }
}

static gboolean
can_answer (const BenchPeer *peer,
            const BenchPlan *plan)
{
  return (plan->n_calls == 0 || peer->burst != NULL) &&
         (plan->burst <= 1 || !peer->one_call_at_once) &&
         (plan->n_fds == 0 || peer->fd_new != NULL) &&
         ((plan->sort != BENCH_OF_MERGES && plan->sort != BENCH_OF_REGISTERED) ||
          peer->merge != NULL) &&
         (plan->sort != BENCH_OF_TIMERS || peer->timer_new != NULL);
}

static const char *
how (const BenchPeer *peer,
     BenchSort        sort)
{
  return sort == BENCH_OF_FDS ? peer->fd_how :
         sort == BENCH_OF_TIMERS ? peer->timer_how : peer->call_how;
}

void
bench_rigs_run (const BenchQuestion    *question,
                const BenchPeer *const *peers,
                const BenchPlan        *plan,
                void                  (*work) (gpointer rig, guint n),
                const BenchSubject     *more,
                guint                   n_more)
{
  BenchRigConfig configs[MAX_SUBJECTS];
  BenchSubject subjects[MAX_SUBJECTS];
  guint n = 0;

  if (!bench_takes (question->size))
    return;
  for (; *peers != NULL; peers++)
    {
      if (!can_answer (*peers, plan))
        continue;
      configs[n] = (BenchRigConfig) { *peers, *plan };
      subjects[n] = (BenchSubject) {
        (*peers)->name, how (*peers, plan->sort), bench_rig_new, work, bench_rig_free, &configs[n]
      };
      n++;
    }
  for (guint i = 0; i < n_more; i++)
    subjects[n++] = more[i];
  bench_run (question, subjects, n);
}
