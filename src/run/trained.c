/* trained.c - reads a trained optimizer from a run directory or a file. */
#include "run/trained.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/finite.h"
#include "base/path.h"
#include "train/schema.h"
#include "unroll/model.h"

/* Returns an error if the kind of the file is neither "checkpoint" nor "optimizer", because files
 * of all other kinds contain no meta-parameters. */
static wl_status require_meta_parameters(const char *path, const wl_file *file) {
  char *kind = NULL;
  WL_TRY(wl_file_attribute(file, "kind", &kind));
  const bool holds = strcmp(kind, "checkpoint") == 0 || strcmp(kind, "optimizer") == 0;
  const wl_status status =
      holds ? WL_OK
            : WL_FAIL(WL_ERR_DATA,
                      "'%s' contains no trained optimizer (its kind is '%s'): name a run directory, a checkpoint "
                      "or an exported file",
                      path, kind);
  free(kind);
  return status;
}

/* Opens the newest checkpoint of a run directory, or the file at `path`. `source` receives the name of the opened
 * file. */
static wl_status open_source(const char *path, char *source, size_t size, wl_file **file) {
  int64_t step;
  const bool run = wl_is_directory(path);
  if (run) WL_TRY(wl_checkpoint_open_newest(path, file, &step));
  else WL_TRY(wl_file_open(path, NULL, file));
  snprintf(source, size, "%s", wl_file_path(*file));
  const wl_status status = run ? WL_OK : require_meta_parameters(path, *file);
  if (status != WL_OK) wl_file_close(file);
  return status;
}

/* Checks and stores the digest and the number of meta-steps. The digest must have 16 hexadecimal
 * digits, and the number must have only decimal digits. */
static wl_status take_provenance(const char *digest, const char *steps, wl_trained *t) {
  char *end = NULL;
  snprintf(t->digest, sizeof t->digest, "%s", digest);
  t->meta_steps = strtoll(steps, &end, 10);
  if (strlen(digest) == 16 && strspn(digest, "0123456789abcdef") == 16 && end > steps && !*end &&
      t->meta_steps >= 0)
    return WL_OK;
  return WL_FAIL(WL_ERR_DATA, "'%s' has no digest or number of meta-steps (found '%.40s', '%.40s')",
                 t->source, digest, steps);
}

/* Returns true if the section `rule` is an LSTM without the key `momentum`. Older versions of
 * Warploom wrote sections without this key. */
static bool lacks_momentum(const char *text) {
  const char *rule = strstr(text, "\nrule:\n");
  if (!rule) return false;
  const char *end = rule + strlen("\nrule:\n");
  while (*end == ' ') {
    end += strcspn(end, "\n");
    end += *end == '\n';
  }
  const char *const lstm = strstr(rule, "\n  name: lstm\n"), *const momentum =
                                                                 strstr(rule, "\n  momentum:");
  return lstm && lstm < end && !(momentum && momentum < end);
}

/* Parses a stored configuration. Defaults may have changed since the file was written. Keys that the stored
 * configuration lacks therefore get their old defaults. */
static wl_status parse_stored(const char *text, const wl_override *overrides, int n_overrides,
                              wl_trained *t) {
  wl_override *all = NULL;
  int n = 0;
  WL_TRY(WL_NEW(all, n_overrides + 1));
  if (lacks_momentum(text))
    all[n++] = (wl_override){.kind = WL_OVERRIDE_REAL, .path = "rule.momentum", .real = 0.0};
  for (int i = 0; i < n_overrides; i++) all[n++] = overrides[i];
  const wl_status status = wl_config_parse(text, t->source, wl_schema(), all, n, &t->config);
  wl_free(all);
  return status;
}

static wl_status read_attributes(const wl_file *file, const wl_override *overrides, int n_overrides,
                                 wl_trained *t) {
  char *text = NULL, *digest = NULL, *steps = NULL;
  wl_status status = wl_file_attribute(file, "configuration", &text);
  if (status == WL_OK) status = wl_file_attribute(file, "digest", &digest);
  if (status == WL_OK) status = wl_file_attribute(file, "meta_steps", &steps);
  if (status == WL_OK) {
    status = take_provenance(digest, steps, t);
    if (status == WL_OK) status = parse_stored(text, overrides, n_overrides, t);
  }
  free(text);
  free(digest);
  free(steps);
  return status;
}

wl_status wl_trained_open(const char *path, const wl_override *overrides, int n_overrides,
                          wl_trained *out, wl_file **file) {
  WL_TRY(open_source(path, out->source, sizeof out->source, file));
  return read_attributes(*file, overrides, n_overrides, out);
}

/* Describes the dataset of a tensor in a group, such as "phi/<name>". */
static wl_field block_field(const char *group, const wl_tensor_entry *b, double *phi) {
  wl_field field = {.type = WL_FLOAT64,
                    .ndim = b->ndim,
                    .data = phi + b->offset,
                    .units = "1",
                    .long_name = "meta-parameters"};
  snprintf(field.name, sizeof field.name, "%s/%s", group, b->name);
  memcpy(field.shape, b->shape, sizeof field.shape);
  return field;
}

/* Finds the group of a file that contains the meta-parameters to export. */
static wl_status find_result(const wl_file *file, const wl_layout *layout, const char **group) {
  int64_t exported = 0;
  char average[WL_NAME_SIZE + 16];
  snprintf(average, sizeof average, "average/%s", layout->tensors[0].name);
  if (wl_file_has(file, "curriculum/exported"))
    WL_TRY(wl_file_read_range(file, "curriculum/exported", WL_INT64, 0, 1, &exported));
  *group = exported ? "curriculum/best" : wl_file_has(file, average) ? "average" : "phi";
  return WL_OK;
}

/* Reads the tensors of the meta-parameters. The model of the configuration determines which tensors
 * must exist. */
wl_status wl_trained_read_blocks(const wl_file *file, const wl_layout *layout, double *phi) {
  const char *group = "phi";
  if (layout->count > 0) WL_TRY(find_result(file, layout, &group));
  for (int i = 0; i < layout->count; i++) {
    wl_field field = block_field(group, &layout->tensors[i], phi);
    WL_TRY(wl_file_read(file, &field));
  }
  if (wl_finite_doubles(phi, layout->size)) return WL_OK;
  return WL_FAIL(
      WL_ERR_DATA,
      "'%s': its meta-parameters are not finite, because the training diverged; name a checkpoint from before the "
      "divergence",
      wl_file_path(file));
}

/* Reads only phi [layout->size] from a file that wl_trained_read can read. */
static wl_status read_start(const char *path, const wl_layout *layout, double *phi) {
  char source[4096];
  wl_file *file = NULL;
  WL_TRY(open_source(path, source, sizeof source, &file));
  const wl_status status = wl_trained_read_blocks(file, layout, phi);
  wl_file_close(&file);
  return status;
}

static wl_status write_blocks(const char *path, const wl_layout *layout, double *phi,
                              const wl_attribute *attributes, int count) {
  wl_field *fields = NULL;
  WL_TRY(WL_NEW(fields, layout->count + 1));
  for (int i = 0; i < layout->count; i++) fields[i] = block_field("phi", &layout->tensors[i], phi);
  const wl_status status =
      wl_file_write(path, "optimizer", fields, layout->count, attributes, count);
  wl_free(fields);
  return status;
}

wl_status wl_trained_write(const char *path, const wl_config *config, const wl_layout *layout,
                           double *phi, const char *digest, int64_t meta_steps) {
  char *text = NULL, steps[32];
  snprintf(steps, sizeof steps, "%lld", (long long)meta_steps);
  WL_TRY(wl_config_to_yaml(config, &text));
  const wl_attribute attributes[] = {{"configuration", text},
                                     {"digest", digest},
                                     {"meta_steps", steps},
                                     {"precision", WL_REAL_NAME}};
  const wl_status status = write_blocks(path, layout, phi, attributes, 4);
  free(text);
  return status;
}

static wl_status read_phi(const wl_file *file, wl_trained *t) {
  wl_task *task = NULL;
  wl_model *model = NULL;
  const uint64_t seed = (uint64_t)wl_schema_run(t->config).seed;
  wl_status status = wl_task_create(wl_config_map(t->config, "task", 0), seed, &task);
  if (status == WL_OK)
    status = wl_model_create(t->config, (const wl_task *const *)&task, 1, &model);
  if (status == WL_OK) status = wl_layout_append(&t->layout, &model->phi, NULL);
  if (status == WL_OK) status = WL_NEW(t->phi, t->layout.size + 1);
  if (status == WL_OK) status = wl_trained_read_blocks(file, &t->layout, t->phi);
  wl_model_destroy(&model);
  wl_task_destroy(&task);
  return status;
}

wl_status wl_trained_read(const char *path, const wl_override *overrides, int n_overrides,
                          wl_trained **out) {
  wl_trained *t = NULL;
  wl_file *file = NULL;
  WL_TRY(WL_NEW(t, 1));
  wl_status status = wl_trained_open(path, overrides, n_overrides, t, &file);
  if (status == WL_OK) status = read_phi(file, t);
  wl_file_close(&file);
  if (status != WL_OK) wl_trained_destroy(&t);
  *out = t;
  return status;
}

int64_t wl_trained_horizon(const wl_trained *trained) {
  const wl_ints steps = wl_episode_read(trained->config).steps;
  return steps.at[steps.count - 1];
}

void wl_trained_destroy(wl_trained **trained) {
  if (!*trained) return;
  wl_config_destroy(&(*trained)->config);
  wl_free((*trained)->phi);
  wl_layout_clear(&(*trained)->layout);
  wl_free(*trained);
  *trained = NULL;
}

wl_status wl_trained_start(const wl_config *config, const wl_model *model, const wl_task *task,
                           uint64_t seed, double *phi) {
  const char *trained = wl_schema_run(config).start;
  if (*trained) return read_start(trained, &model->phi, phi);
  return wl_model_init(model, task, seed, phi);
}
