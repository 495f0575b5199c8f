/* memory.c - estimates and measures the memory of a rank, in bytes.
 *
 *   estimate = max(peak so far, current resident memory + libraries + workspaces + units of this
 *   rank + exact sum + replay + checkpoint)
 *
 * A workspace is counted for every task, because a unit of any task may be assigned to any rank. Units that are within
 * an episode when a meta-step starts are copied, so they count twice. On rank 0, a checkpoint needs twice the memory of
 * its fields: once for the gathered fields and once for the file image. If a checkpoint is due within an episode, its
 * fields include the units. A signal can cause a checkpoint within an episode, which may need more
 * memory than the estimate. */
#include "run/memory.h"

#include <stdio.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/resource.h>
#include <unistd.h>

#include "train/replay.h"
#include "train/schema.h"

static const double LIBRARIES =
    5.5 * 1048576.0; /* measured number of bytes that MPI and HDF5 allocate at their first use */

double wl_memory_peak(void) {
  struct rusage used;
  return getrusage(RUSAGE_SELF, &used) == 0 ? 1024.0 * (double)used.ru_maxrss : 0.0;
}

/* Returns the current resident memory, or the peak if the system does not report resident memory. The function first
 * releases freed memory to the system. Without this release, memory that was freed after reading
 * data would be counted twice. */
static double resident(void) {
  long all = 0, here = 0;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  FILE *const file = fopen("/proc/self/statm", "r");
  const int got = file ? fscanf(file, "%ld %ld", &all, &here) : 0;
  if (file) fclose(file);
  return got == 2 ? (double)here * (double)sysconf(_SC_PAGESIZE) : wl_memory_peak();
}

/* Returns the bytes of one unit of the largest task. */
static double unit_bytes(const wl_trainer *tr) {
  int64_t most = 0;
  for (int i = 0; i < wl_setup_of(tr)->problem.n_tasks; i++) {
    const int64_t bytes =
        wl_unit_bytes(wl_setup_of(tr)->problem.model, wl_setup_of(tr)->problem.tasks[i],
                      &wl_setup_of(tr)->estimator->shape);
    if (bytes > most) most = bytes;
  }
  return (double)most;
}

/* Returns true if units are copied, because meta-steps begin within episodes. */
static bool copies_units(const wl_trainer *tr) {
  const wl_problem *p = &wl_setup_of(tr)->problem;
  if (wl_setup_of(tr)->per_episode) return false;
  return p->horizon[p->n_horizon - 1] > p->spec.steps || wl_state_of(tr)->plan->setting.stagger;
}

/* Returns true if a checkpoint is due while episodes are unfinished. */
static bool saves_units(const wl_trainer *tr) {
  const int64_t longest = wl_setup_of(tr)->problem.horizon[wl_setup_of(tr)->problem.n_horizon - 1];
  if (wl_setup_of(tr)->per_episode || longest <= wl_setup_of(tr)->problem.spec.steps) return false;
  if (wl_state_of(tr)->plan->setting.n_horizon > 1 || wl_state_of(tr)->plan->setting.stagger) return true;
  const int64_t windows =
      (longest + wl_setup_of(tr)->problem.spec.steps - 1) / wl_setup_of(tr)->problem.spec.steps;
  const int64_t every = wl_schema_checkpoint(wl_setup_of(tr)->config).every;
  return wl_setup_of(tr)->steps % windows != 0 ||
         (every < wl_setup_of(tr)->steps && every % windows != 0);
}

/* Returns the size of the fields of a checkpoint in bytes. */
static double checkpoint_bytes(const wl_trainer *tr) {
  const double replay = wl_replay_lasts(wl_state_of(tr)->replay)
                            ? wl_replay_reals(wl_state_of(tr)->replay) * sizeof(wl_real)
                            : 0.0;
  const double units =
      saves_units(tr) ? (double)wl_state_of(tr)->plan->units * unit_bytes(tr) : 0.0;
  const double vectors =
      3.0 + (wl_state_of(tr)->curriculum != NULL) + (wl_state_of(tr)->average != NULL);
  return vectors * (double)wl_setup_of(tr)->problem.model->phi.size * sizeof(double) + units + replay;
}

double wl_memory_estimate(const wl_trainer *tr) {
  const int size = wl_comm_size(wl_setup_of(tr)->comm), rank = wl_comm_rank(wl_setup_of(tr)->comm);
  const int64_t own =
      wl_state_of(tr)->plan->units / size + (rank < wl_state_of(tr)->plan->units % size);
  double bytes = resident() + LIBRARIES +
                 /* the exact sum of gradients needs this number of integers */
                 (double)wl_trainer_sum_size(tr) * sizeof(int64_t);
  if (own > 0)
    bytes += wl_trainer_workspace_bytes(tr) +
             (copies_units(tr) ? 2.0 : 1.0) * (double)own * unit_bytes(tr);
  if (wl_state_of(tr)->replay) bytes += wl_replay_memory(wl_state_of(tr)->replay, tr);
  if (rank == 0) bytes += 2.0 * checkpoint_bytes(tr); /* copy of the fields, and file image */
  const double peak = wl_memory_peak();
  return bytes > peak ? bytes : peak;
}
