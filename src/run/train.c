/* train.c - opens or resumes a run, runs its meta-steps, writes its files, and ends the run. */
#include "run/train.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/path.h"
#include "run/memory.h"
#include "run/progress.h"
#include "run/recorder.h"
#include "run/run_files.h"
#include "run/state.h"
#include "run/trained.h"
#include "run/validate.h"
#include "train/schema.h"

static const double MIB = 1048576.0;

/* The state of a run except the trainer. */
typedef struct run {
  const wl_config *config;
  const wl_train_request *request;
  wl_comm *comm;
  const char *path;
  const char *config_path;
  wl_trainer *trainer;
  wl_recorder *recorder;
  wl_run_files *files;
  int64_t every, keep; /* values of checkpoint.every and checkpoint.keep */
  int64_t validate;    /* number of meta-steps between validations; 0 if there are no validations */
  int64_t saved;       /* meta-step of the last checkpoint; -1 if there is no checkpoint */
  bool resumed;
  bool diverged;
  bool warned;    /* true if the user has been warned that non-finite units are left out of the
                   * meta-gradient */
  double started; /* time at which the program started */
  double began;   /* time at which the first meta-step started */
  double longest; /* duration of the longest meta-step, including the writing of its files */
  double memory;  /* estimated memory of the rank that needs most memory, in bytes */
  wl_progress *progress;
  bool told; /* true if the user has been warned that the rule has no effect */
} run;

/* Finds the run directory, which is the value of the key `output`. If the configuration file
 * NAME.yaml does not have this key, the run directory is runs/NAME. Returns WL_ERR_CONFIG if the
 * path is too long. */
static wl_status run_directory(const wl_config *config, const char *config_path, char *path,
                               size_t size) {
  const char *given = wl_schema_run(config).output;
  const char *slash = strrchr(config_path, '/'), *name = slash ? slash + 1 : config_path,
             *dot = strrchr(name, '.');
  const int length = dot && dot != name ? (int)(dot - name) : (int)strlen(name);
  const int used =
      *given ? snprintf(path, size, "%s", given) : snprintf(path, size, "runs/%.*s", length, name);
  if (used >= 0 && (size_t)used < size) return WL_OK;
  return WL_FAIL(WL_ERR_CONFIG, "key 'output': the folder's name is longer than %zu bytes",
                 size - 1);
}

/* Checks that all ranks have read the same plug-ins and modules. Each rank reads these files from its own file
 * system. */
static wl_status same_files(const run *r) {
  const char *file = NULL, *hash = NULL;
  char what[512] = "a file of the configuration (";
  uint64_t value = 0;
  int n = 0;
  for (; wl_config_hashed_file(r->config, n, &file, &hash); n++) {
    const size_t used = strlen(what);
    snprintf(what + used, sizeof what - used, "%s%.200s", n > 0 ? ", " : "", file);
    value = value * 31 + strtoull(hash, NULL, 16); /* if there is only one file, `value` is the hash of this file */
  }
  snprintf(what + strlen(what), sizeof what - strlen(what), ")");
  return wl_comm_same(r->comm, what, value);
}

/* Checks that all ranks have the same configuration. Ranks with different configurations must not average their
 * gradients. */
static wl_status same_configuration(const run *r) {
  WL_TRY(same_files(r));
  char *text = NULL;
  wl_digest digest = {0};
  const wl_status mine = wl_config_to_yaml(r->config, &text);
  if (mine == WL_OK) wl_digest_add(&digest, "configuration", text, strlen(text));
  free(text);
  WL_TRY(wl_comm_agree(r->comm, mine));
  return wl_comm_same(r->comm, "the configuration", digest.value);
}

/* Creates the trainer and sets its initial meta-parameters. */
static wl_status create_trainer(run *r) {
  WL_TRY(wl_trainer_create(r->config, r->comm, &r->trainer));
  const wl_problem *p = &wl_setup_of(r->trainer)->problem;
  wl_trainer_state *s = wl_state_of(r->trainer);
  WL_TRY(wl_trained_start(r->config, p->model, p->tasks[0], p->seed, s->phi));
  if (s->average) memcpy(s->average, s->phi, (size_t)p->model->phi.size * sizeof *s->phi);
  return WL_OK;
}

static bool has_checkpoints(const char *folder) {
  char path[4200];
  snprintf(path, sizeof path, "%s/checkpoints", folder);
  return wl_is_directory(path);
}

/* Returns an error if the run directory was moved or copied. The configuration of a moved or copied
 * run still names the old folder as `output`, and the old folder contains no run to resume. */
static wl_status refuse_moved(const run *r) {
  char folder[4096];
  const char *const slash = strrchr(r->config_path, '/');
  const int length = slash ? (int)(slash - r->config_path) : 1;
  snprintf(folder, sizeof folder, "%.*s", length, slash ? r->config_path : ".");
  if (has_checkpoints(r->path) || !has_checkpoints(folder)) return WL_OK;
  return WL_FAIL(
      WL_ERR_CONFIG,
      "%s is in a run directory, but its key `output` names '%s', which contains no run to resume. Perhaps the run was "
      "moved. Add --set output=%s",
      r->config_path, r->path, folder);
}

static wl_status open_run(run *r) {
  WL_TRY(same_configuration(r));
  WL_TRY(wl_comm_agree(r->comm, create_trainer(r)));
  if (r->request->resume)
    WL_TRY(wl_comm_agree(r->comm, wl_comm_rank(r->comm) == 0 ? refuse_moved(r) : WL_OK));
  WL_TRY(wl_run_files_open(r->path, r->request->resume, r->comm, &r->files));
  const wl_checkpoint_keys keys = wl_schema_checkpoint(r->config);
  r->every = keys.every;
  r->keep = keys.keep;
  r->saved = -1;
  r->validate = wl_outer_read(r->config).validate;
  if (r->request->resume) {
    WL_TRY(wl_state_load(r->trainer, r->path, wl_schema(), &r->resumed));
    if (r->resumed) r->saved = wl_state_of(r->trainer)->meta_step;
    else wl_log_info("nothing to resume in %s: starting a new run", r->path);
  }
  WL_TRY(wl_comm_agree(r->comm, wl_recorder_create(r->trainer, &r->recorder)));
  WL_TRY(wl_comm_agree(r->comm, wl_progress_create(r->trainer, &r->progress)));
  return wl_run_files_start(r->files, r->config, r->trainer, r->recorder);
}

static void close_run(run *r) {
  wl_run_files_close(&r->files);
  wl_recorder_destroy(&r->recorder);
  wl_progress_destroy(&r->progress);
  wl_trainer_destroy(&r->trainer);
}

static const char *plural(int64_t n) { return n == 1 ? "" : "s"; }

static void describe_storage(const wl_trainer *tr, const wl_task *task, char *text, size_t size) {
  const wl_trainer_setup *s = wl_setup_of(tr);
  char kind[80];
  if (!s->estimator->ops->traces) {
    snprintf(text, size, "the estimator %s stores no steps of a window",
             s->estimator->ops->name);
    return;
  }
  wl_unroll_describe_storage(s->problem.model, task, &s->problem.spec, kind, sizeof kind);
  snprintf(text, size, "windows are stored as %s", kind);
}

/* Prints the estimate of the memory. At the end of the run, the peak is printed for comparison. */
static wl_status announce(run *r) {
  const wl_trainer *tr = r->trainer;
  r->memory = wl_memory_estimate(tr);
  WL_TRY(wl_comm_max(r->comm, &r->memory, 1));
  const wl_task *most = wl_setup_of(tr)->problem.tasks[0];
  for (int i = 1; i < wl_setup_of(tr)->problem.n_tasks; i++)
    if (wl_setup_of(tr)->problem.tasks[i]->n > most->n) most = wl_setup_of(tr)->problem.tasks[i];
  char storage[160];
  describe_storage(tr, most, storage, sizeof storage);
  wl_log_info(
      "%lld meta-parameter%s (rule %s), %lld inner parameter%s, %lld unit%s on %d rank%s x %d thread%s%s",
      (long long)wl_setup_of(tr)->problem.model->phi.size,
      plural(wl_setup_of(tr)->problem.model->phi.size),
      wl_setup_of(tr)->problem.model->rule->ops->name, (long long)most->n, plural(most->n),
      (long long)wl_state_of(tr)->plan->units, plural(wl_state_of(tr)->plan->units),
      wl_comm_size(r->comm), plural(wl_comm_size(r->comm)), wl_setup_of(tr)->threads,
      plural(wl_setup_of(tr)->threads), wl_setup_of(tr)->bound ? ", bound to cores" : "");
  wl_log_info("memory estimate: %.1f MiB for each rank; %s; results are in %s", r->memory / MIB,
              storage, r->path);
  const wl_problem *p = &wl_setup_of(tr)->problem;
  const int64_t longest = p->horizon[p->n_horizon - 1];
  if (p->spec.steps > longest)
    wl_log_warning(
        "window.steps (%lld) is larger than episode.steps (%lld): windows end with the episode",
        (long long)p->spec.steps, (long long)longest);
  if (wl_comm_size(r->comm) > wl_state_of(tr)->plan->units)
    wl_log_warning(
        "%lld of %d ranks have no work: at most outer.units = %lld ranks can work; start fewer ranks or raise "
        "outer.units",
        (long long)(wl_comm_size(r->comm) - wl_state_of(tr)->plan->units), wl_comm_size(r->comm),
        (long long)wl_state_of(tr)->plan->units);
  return WL_OK;
}

wl_status wl_train_preview(const wl_config *config, const char *config_path, wl_comm *comm) {
  char path[4096];
  run r = {.config = config, .comm = comm, .path = path};
  WL_TRY(wl_comm_agree(comm, run_directory(config, config_path, path, sizeof path)));
  WL_TRY(same_configuration(&r));
  wl_status status = wl_comm_agree(comm, create_trainer(&r));
  if (status == WL_OK) status = announce(&r);
  wl_trainer_destroy(&r.trainer);
  return status;
}

/* Prints the time that training spent on files. Most writing is done in the background. */
static void report_files(const run *r) {
  const wl_run_files_cost cost = wl_run_files_spent(r->files);
  const double took = wl_seconds() - r->began;
  wl_log_info(
      "files: training spent %.2f s on files, %.2f %% of its %.1f s; the background thread took %.2f s to write "
      "%lld checkpoint%s of %.1f MiB in total%s",
      cost.waited, 100.0 * cost.waited / took, took, cost.written, (long long)cost.checkpoints,
      plural(cost.checkpoints), (double)cost.bytes / MIB, r->recorder ? " and the trajectory" : "");
}

/* Prints the peak memory of the run, and the number of non-finite units that were left out of the
 * meta-gradient. */
static wl_status leave_background(const run *r) {
  const wl_trainer *tr = r->trainer;
  double peak = wl_memory_peak();
  WL_TRY(wl_comm_max(r->comm, &peak, 1));
  wl_log_info("memory peak: %.1f MiB for each rank; the estimate was %.1f MiB, a difference of %+.1f %%",
              peak / MIB, r->memory / MIB, 100.0 * (r->memory / peak - 1.0));
  report_files(r);
  if (wl_state_of(tr)->skipped > 0)
    wl_log_warning(
        "%lld unit%s left out as non-finite; if there are many, lower rule.output_scale or outer.learning_rate",
        (long long)wl_state_of(tr)->skipped, wl_state_of(tr)->skipped == 1 ? " was" : "s were");
  return WL_OK;
}

static wl_status save(run *r) {
  WL_TRY(wl_run_files_save(r->files, r->trainer, (int)r->keep));
  r->saved = wl_state_of(r->trainer)->meta_step;
  return WL_OK;
}

static void show_progress(const run *r) {
  char text[128];
  snprintf(text, sizeof text, "meta-loss %.4g  window's last loss %.4g  skipped %lld",
           wl_progress_meta_loss(r->progress), wl_progress_last_loss(r->progress),
           (long long)wl_state_of(r->trainer)->skipped);
  wl_log_progress("meta-step", (long)wl_state_of(r->trainer)->meta_step,
                  (long)wl_setup_of(r->trainer)->steps, text);
}

/* Warns once during the training if the rule has almost no effect. */
static void warn_of_idleness(run *r) {
  static const double WORTH_IT = 0.01;
  const double gain = wl_progress_gain(r->progress);
  if (r->told || !(gain < WORTH_IT)) return;
  r->told = true;
  wl_log_warning(
      "meta-step %lld: an episode lowers the loss by only %.1f %%, so the rule has almost no effect. Start from a "
      "rule that works, such as rule.momentum: 0.9 with rule.rate near the rate of tuned Nesterov, or raise "
      "rule.output_scale",
      (long long)wl_state_of(r->trainer)->meta_step, 100.0 * gain);
}

/* Writes the recorded windows and the metrics of a meta-step. Writes a checkpoint after every `checkpoint.every`
 * meta-steps. */
static wl_status write_step(run *r, wl_meta_report *report, bool stopping) {
  const int64_t step = wl_state_of(r->trainer)->meta_step;
  const bool last = stopping || r->diverged || step == wl_setup_of(r->trainer)->steps;
  if (wl_comm_rank(r->comm) == 0) {
    wl_trainer_keep_failure(r->trainer, wl_run_files_log(r->files, step, report, r->resumed));
    wl_progress_add(r->progress, report);
    show_progress(r);
    warn_of_idleness(r);
  }
  if (!last && (r->every == 0 || step % r->every != 0))
    return WL_OK; /* the next reduction reports a failure to the other ranks */
  WL_TRY(wl_comm_agree(r->comm, wl_trainer_raise_failure(r->trainer)));
  return save(r);
}

/* Returns true if this meta-step must be the last one, because the next meta-step might end after
 * the time limit. */
static bool out_of_time(const run *r) {
  return wl_comm_rank(r->comm) == 0 && r->request->time_limit > 0 &&
         wl_seconds() - r->started + 2.0 * r->longest > r->request->time_limit;
}

static bool is_asked_for(const run *r) {
  return r->request->stop_after > 0 && wl_state_of(r->trainer)->meta_step >= r->request->stop_after;
}

/* Prints a warning when the first non-finite unit is left out of the meta-gradient, so that the
 * user can react before the end of the run. */
static void warn_of_skipped(run *r, const wl_meta_report *report) {
  if (r->warned || report->skipped == 0) return;
  r->warned = true;
  wl_log_warning(
      "meta-step %lld: %lld of %lld units became non-finite and were left out; further non-finite units are "
      "counted under `skipped`",
      (long long)wl_state_of(r->trainer)->meta_step, (long long)report->skipped,
      (long long)report->units);
}

/* Returns the time at which rank 0 interrupts a meta-step; 0 means never. The first meta-step is always completed, so
 * that each start makes progress. */
static double deadline(const run *r) {
  const double limit = r->request->time_limit;
  if (wl_comm_rank(r->comm) != 0 || !(limit > 0) || !(r->longest > 0)) return 0.0;
  return r->started + fmax(limit - 0.5, 0.5 * limit);
}

/* Validates the rule every r->validate meta-steps, and after the last meta-step. */
static wl_status validate(const run *r, wl_meta_report *report) {
  const int64_t step = wl_state_of(r->trainer)->meta_step;
  report->validation_loss = NAN;
  if (r->validate == 0 || (step % r->validate != 0 && step != wl_setup_of(r->trainer)->steps))
    return WL_OK;
  const wl_problem *p = &wl_setup_of(r->trainer)->problem;
  const wl_validation whole = {p->horizon[p->n_horizon - 1], WL_VALIDATION_TASKS};
  WL_TRY(wl_run_validate(r->trainer, &whole, &report->validation_loss));
  if (wl_comm_rank(r->comm) == 0)
    wl_log_info("meta-step %lld: validation loss %.4g", (long long)step, report->validation_loss);
  return WL_OK;
}

/* Evaluates the rule for the curriculum every curriculum.every meta-steps. After an evaluation, the next stage may
 * begin. */
static wl_status evaluate_stage(const run *r) {
  const wl_curriculum *c = wl_state_of(r->trainer)->curriculum;
  const int64_t step = wl_state_of(r->trainer)->meta_step;
  double loss;
  if (!c || step % c->every != 0) return WL_OK;
  const wl_validation next = {wl_curriculum_horizon(c), c->tasks};
  WL_TRY(wl_run_validate(r->trainer, &next, &loss));
  const double best = c->best_loss;
  const bool advances = wl_trainer_judge(r->trainer, loss);
  if (wl_comm_rank(r->comm) != 0) return WL_OK;
  wl_log_info("meta-step %lld: stage %lld of %lld, loss %.4g after %lld steps, best %.4g",
              (long long)step, (long long)(c->stage + !advances), (long long)c->stages, loss,
              (long long)next.steps, fmin(best, loss));
  if (advances)
    wl_log_info("meta-step %lld: stage %lld begins, with episodes of up to %lld steps",
                (long long)step, (long long)(c->stage + 1), (long long)c->length[2 * c->stage + 1]);
  return WL_OK;
}

/* Runs one meta-step and writes its files. *stopping has the same value on all ranks. */
static wl_status step(run *r, bool *stopping) {
  wl_meta_report report = {0};
  wl_trainer *tr = r->trainer;
  const double start = wl_seconds();
  const bool recorded = wl_recorder_wants(r->recorder, wl_state_of(tr)->meta_step);
  const wl_watcher watcher = wl_recorder_watcher(r->recorder);
  const wl_meta_request request = {.watcher = recorded ? &watcher : NULL,
                                   .stop = r->request->stop,
                                   .last = out_of_time(r),
                                   .deadline = deadline(r)};
  wl_meta_outcome outcome = WL_META_GO_ON;
  WL_TRY(wl_trainer_meta_step(tr, &request, &outcome, &report));
  *stopping = outcome != WL_META_GO_ON || is_asked_for(r);
  if (outcome == WL_META_ABANDONED) return WL_OK;
  r->diverged = wl_trainer_has_diverged(tr);
  warn_of_skipped(r, &report);
  WL_TRY(validate(r, &report));
  WL_TRY(evaluate_stage(r));
  WL_TRY(write_step(r, &report, *stopping));
  r->longest = fmax(r->longest, wl_seconds() - start);
  return WL_OK;
}

static void poll_signals(const run *r, bool polled) {
  if (r->request->polled) *r->request->polled = polled;
}

static wl_status loop(run *r, bool *stopped) {
  wl_trainer *tr = r->trainer;
  r->began = wl_seconds();
  *stopped = is_asked_for(r); /* a resumed run may already be complete */
  r->diverged = wl_trainer_has_diverged(tr);
  while (wl_state_of(tr)->meta_step < wl_setup_of(tr)->steps && !*stopped && !r->diverged)
    WL_TRY(step(r, stopped));
  wl_log_progress_end();
  if (r->saved != wl_state_of(tr)->meta_step) WL_TRY(save(r));
  WL_TRY(wl_run_files_finish(r->files));
  *stopped = wl_state_of(tr)->meta_step < wl_setup_of(tr)->steps;
  return leave_background(r);
}

/* Returns WL_ERR_DIVERGED. The message reports the divergence, names the checkpoints from before
 * the divergence, and suggests a remedy. */
static wl_status report_divergence(const run *r) {
  const wl_trainer *tr = r->trainer;
  const long long last_counted = (long long)wl_state_of(tr)->last_counted,
                  done = (long long)wl_state_of(tr)->meta_step;
  if (last_counted == 0)
    WL_FAIL(WL_ERR_DIVERGED, "no unit of the first %lld meta-steps stayed finite: lower %s", done,
            *wl_schema_run(r->config).start
                ? "the rate, or set `start` to a checkpoint from before the divergence of its training"
                : "rule.output_scale or the rule's rate");
  else
    WL_FAIL(
        WL_ERR_DIVERGED,
        "the training diverged at meta-step %lld of %lld: since then %s; lower outer.learning_rate or set "
        "outer.clip_norm: 1; checkpoints in %s/checkpoints of meta-steps below %lld are valid: a new run can "
        "`start` from one of them",
        last_counted, (long long)wl_setup_of(tr)->steps,
        wl_state_of(tr)->episodes_without_finite_unit > 0 ? "no unit stayed finite"
                                    : "its meta-parameters are not finite",
        r->path, last_counted);
  wl_error_share(true);
  return WL_ERR_DIVERGED;
}

static wl_status finish(run *r, bool stopped, wl_train_outcome *outcome) {
  char path[4160];
  wl_digest digest;
  snprintf(path, sizeof path, "%s/optimizer.h5", r->path);
  WL_TRY(wl_comm_agree(r->comm, wl_state_digest(r->trainer, &digest)));
  outcome->digest = digest.value;
  outcome->meta_steps = wl_state_of(r->trainer)->meta_step;
  if (r->diverged) return report_divergence(r);
  WL_TRY(wl_state_export(r->trainer, path));
  if (!stopped) return WL_OK;
  WL_FAIL(
      WL_TRY_AGAIN,
      "stopped after meta-step %lld of %lld with a checkpoint in %s; run again with --resume to continue",
      (long long)wl_state_of(r->trainer)->meta_step, (long long)wl_setup_of(r->trainer)->steps,
      r->path);
  wl_error_share(true); /* all ranks have the same flags, so all ranks return this status */
  return WL_TRY_AGAIN;
}

wl_status wl_train(const wl_config *config, const char *config_path,
                   const wl_train_request *request, wl_comm *comm, wl_train_outcome *outcome) {
  run r = {.config = config,
           .request = request,
           .comm = comm,
           .path = outcome->run,
           .config_path = config_path,
           .started = wl_seconds()};
  bool stopped = false;
  wl_status status = wl_comm_agree(
      comm, run_directory(config, config_path, outcome->run, sizeof outcome->run));
  if (status == WL_OK) status = open_run(&r);
  if (status == WL_OK) status = announce(&r);
  poll_signals(&r, status == WL_OK);
  if (status == WL_OK) status = loop(&r, &stopped);
  if (status == WL_OK) status = finish(&r, stopped, outcome);
  close_run(&r);
  return status;
}
