/* optimizer_load.c - creates a handle from an optimizer file, a checkpoint or a run directory. Also writes an optimizer
 * file from given meta-parameters.
 *
 * The file contains the configuration of its training. The update rule and the preconditioner are created from this
 * configuration as in training. The tensors of phi are read by name. The task and its data are needed only if a part of
 * the optimizer depends on the task's network. */
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "api/optimizer_impl.h"
#include "base/digest.h"
#include "base/float_state.h"
#include "base/plugin_open.h"
#include "io/h5_library.h"
#include "run/trained.h"
#include "train/schema.h"

static bool chosen(const wl_optimizer *o, const char *section) {
  return strcmp(wl_map_variant(wl_config_map(o->config, section, 0)), "none") != 0;
}

static wl_status refuse_warp(const wl_optimizer *o, const char *source) {
  if (!wl_task_wants_warp(wl_config_map(o->config, "task", 0))) return WL_OK;
  return WL_FAIL(WL_ERR_DATA,
                 "%s was trained with warp layers, which are layers of the task's network. A step with them needs the "
                 "network and not only its gradient. Train an optimizer with `task.warp: none`",
                 source);
}

/* Creates the task if it does not exist yet. The callers need the layout of the task's network. */
static wl_status need_network(wl_optimizer *o) {
  if (o->task) return WL_OK;
  const uint64_t seed = (uint64_t)wl_schema_run(o->config).seed;
  return wl_task_create(wl_config_map(o->config, "task", 0), seed, &o->task);
}

/* First tries to create the rule without a network, as for a mixture of tasks. A coordinatewise
 * rule can be created without a network. If a rule has scalars for each tensor, this attempt fails,
 * and the function then creates the rule for the task's network. */
static wl_status create_rule(wl_optimizer *o) {
  static const wl_layout no_tensors;
  const wl_map *options = wl_config_map(o->config, "rule", 0);
  const wl_rule_setting any = {&no_tensors, o->horizon, true};
  const wl_status status = wl_rule_create(options, &any, &o->rule);
  if (!wl_map_table(options)) return status; /* the rule is from a plug-in, which was not loaded */
  if (status != WL_ERR_CONFIG || wl_config_count(o->config, "task") > 1) return status;
  WL_TRY(need_network(o));
  const wl_rule_setting one = {wl_task_theta(o->task), o->horizon, false};
  return wl_rule_create(options, &one, &o->rule);
}

static wl_status create_parts(wl_optimizer *o) {
  o->horizon = wl_episode_longest(o->config);
  WL_TRY(create_rule(o));
  if (!chosen(o, "precondition") && !chosen(o, "initialisation"))
    /* no network is needed if the optimizer has no preconditioner and no learned theta_0 */
    return wl_precondition_create(o->config, NULL, &o->precondition);
  WL_TRY(need_network(o));
  const wl_layout *theta = wl_task_theta(o->task);
  WL_TRY(wl_precondition_create(o->config, theta, &o->precondition));
  return wl_initialisation_create(wl_config_map(o->config, "initialisation", 0), theta,
                                  &o->initialisation);
}

/* Reads tensors and converts them from float64 to the working precision of the handle. */
static wl_status read_blocks(const wl_file *file, const wl_layout *layout, wl_optimizer *o,
                             wl_real **out) {
  double *values = NULL;
  WL_TRY(WL_NEW(values, layout->size + 1));
  wl_status status = WL_NEW(*out, layout->size + 1);
  if (status == WL_OK) status = wl_trained_read_blocks(file, layout, values);
  for (int64_t i = 0; status == WL_OK && i < layout->size; i++) (*out)[i] = (wl_real)values[i];
  if (status == WL_OK) o->meta_parameters += layout->size;
  wl_free(values);
  return status;
}

static wl_status read_phi(const wl_file *file, wl_optimizer *o) {
  WL_TRY(read_blocks(file, &o->rule->phi, o, &o->rule_phi));
  if (o->precondition) WL_TRY(read_blocks(file, &o->precondition->phi, o, &o->precondition_phi));
  if (o->initialisation) WL_TRY(read_blocks(file, &o->initialisation->phi, o, &o->theta0));
  return WL_OK;
}

/* The arguments and results of a call that works with a file. */
typedef struct file_job {
  const char *path;
  wl_optimizer *o;
  const char *configuration; /* YAML text of the configuration, which is written into the file */
  int count;                 /* number of given tensors of meta-parameters */
  const wl_meta_parameters *given;
} file_job;

static wl_status load(const file_job *job) {
  const char *const path = job->path;
  wl_optimizer *const o = job->o;
  wl_trained trained = {0};
  wl_file *file = NULL;
  wl_status status = wl_trained_open(path, NULL, 0, &trained, &file);
  o->config = trained.config;
  o->meta_steps = trained.meta_steps;
  memcpy(o->digest, trained.digest, sizeof o->digest);
  if (status == WL_OK) status = refuse_warp(o, trained.source);
  if (status == WL_OK) status = create_parts(o);
  if (status == WL_OK) status = read_phi(file, o);
  wl_file_close(&file);
  return status;
}

/* Sets the locale, the floating-point state and the error handler of HDF5 for work with files,
 * calls `act`, and restores the caller's settings. The locale has a decimal point, and HDF5 prints
 * no errors. A lock lets only one thread at a time work with files. */
static wl_status in_own_settings(wl_status (*act)(const file_job *), const file_job *job) {
  static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
  wl_float_state callers;
  const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  if (plain == (locale_t)0)
    return WL_FAIL(WL_ERR_OS, "%s: there is no memory for a locale", job->path);
  const locale_t callers_locale = uselocale(plain);
  wl_float_state_enter(&callers);
  pthread_mutex_lock(&lock);
  wl_plugin_refuse(true); /* reading a file must not run code from other files */
  const wl_h5_printing printing = wl_h5_save_printing();
  const wl_status status = act(job);
  wl_h5_restore_printing(printing);
  pthread_mutex_unlock(&lock);
  wl_float_state_leave(&callers);
  uselocale(callers_locale);
  freelocale(plain);
  return status;
}

wl_status wl_optimizer_load(const char *path, wl_optimizer **optimizer) {
  if (!optimizer)
    return WL_FAIL(WL_ERR_USAGE,
                   "wl_optimizer_load: `optimizer` is NULL; give the address of a handle");
  *optimizer = NULL;
  if (!path)
    return WL_FAIL(WL_ERR_USAGE,
                   "wl_optimizer_load: `path` is NULL; name a file or a run directory");
  wl_optimizer *o = NULL;
  WL_TRY(WL_NEW(o, 1));
  o->threads = 1;
  const wl_status status = in_own_settings(load, &(file_job){.path = path, .o = o});
  if (status != WL_OK) wl_optimizer_destroy(&o);
  *optimizer = o;
  return status;
}

void wl_optimizer_destroy(wl_optimizer **optimizer) {
  if (!optimizer || !*optimizer) return;
  wl_optimizer *o = *optimizer;
  wl_optimizer_run_clear(&o->run);
  wl_initialisation_destroy(&o->initialisation);
  wl_precondition_destroy(&o->precondition);
  wl_rule_destroy(&o->rule);
  wl_task_destroy(&o->task);
  wl_config_destroy(&o->config);
  wl_free(o->rule_phi);
  wl_free(o->precondition_phi);
  wl_free(o->theta0);
  wl_free(o);
  *optimizer = NULL;
}

/* ---- A file from given meta-parameters --------------------------------------------------------- */

static const wl_meta_parameters *find_given(const file_job *job, const char *name) {
  for (int i = 0; i < job->count; i++)
    if (strcmp(job->given[i].name, name) == 0) return &job->given[i];
  return NULL;
}

/* Copies the given tensors to `values`. Each tensor of phi must be given once. Any other tensor
 * causes an error. */
static wl_status take_given(const file_job *job, const wl_layout *phi, double *values) {
  for (int j = 0; j < phi->count; j++) {
    const wl_tensor_entry *const t = &phi->tensors[j];
    const wl_meta_parameters *const given = find_given(job, t->name);
    if (!given || given->size != t->size)
      return WL_FAIL(
          WL_ERR_USAGE,
          "wl_optimizer_write: the rule has %lld meta-parameters '%s', but %lld are given",
          (long long)t->size, t->name, given ? (long long)given->size : 0LL);
    memcpy(values + t->offset, given->values, (size_t)t->size * sizeof *values);
  }
  for (int i = 0; i < job->count; i++)
    if (!wl_layout_find(phi, job->given[i].name))
      return WL_FAIL(WL_ERR_USAGE, "wl_optimizer_write: the rule has no meta-parameters '%s'",
                     job->given[i].name);
  for (int64_t i = 0; i < phi->size; i++)
    if (!isfinite(values[i]))
      return WL_FAIL(WL_ERR_USAGE, "wl_optimizer_write: a meta-parameter is not finite");
  return WL_OK;
}

static wl_status write_phi(const file_job *job, double *values) {
  const wl_layout *const phi = &job->o->rule->phi;
  wl_digest digest = {0};
  WL_TRY(take_given(job, phi, values));
  wl_digest_add(&digest, job->o->rule->ops->name, values, (size_t)phi->size * sizeof *values);
  wl_digest_hex(digest, job->o->digest);
  return wl_trained_write(job->path, job->o->config, phi, values, job->o->digest, 0);
}

static wl_status write(const file_job *job) {
  wl_optimizer *const o = job->o;
  double *values = NULL;
  WL_TRY(wl_config_parse(job->configuration, "configuration", wl_schema(), NULL, 0, &o->config));
  if (chosen(o, "precondition") || chosen(o, "initialisation"))
    return WL_FAIL(
        WL_ERR_USAGE,
        "wl_optimizer_write: the configuration has a preconditioner or an initialisation; only "
        "an update rule can be written");
  WL_TRY(refuse_warp(o, "the configuration"));
  o->horizon = wl_episode_longest(o->config);
  WL_TRY(create_rule(o));
  WL_TRY(WL_NEW(values, o->rule->phi.size + 1));
  const wl_status status = write_phi(job, values);
  wl_free(values);
  return status;
}

wl_status wl_optimizer_write(const char *path, const char *configuration, int count,
                             const wl_meta_parameters *given) {
  bool complete = path && configuration && (given || count == 0);
  for (int i = 0; complete && i < count; i++) complete = given[i].name && given[i].values;
  if (!complete)
    return WL_FAIL(WL_ERR_USAGE,
                   "wl_optimizer_write: an argument is NULL; give a path, a configuration, and "
                   "meta-parameters with names and values");
  wl_optimizer *o = NULL;
  WL_TRY(WL_NEW(o, 1));
  const wl_status status = in_own_settings(
      write,
      &(file_job){
          .path = path, .o = o, .configuration = configuration, .count = count, .given = given});
  wl_optimizer_destroy(&o);
  return status;
}
