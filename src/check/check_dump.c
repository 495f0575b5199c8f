/* check_dump.c - writes the data for an independent recomputation of a meta-gradient as one HDF5 file.
 *
 *   phi/BLOCK                      meta-parameters, each in its shape
 *   task<i>/t0, steps, start_loss  first inner step, K, outer loss at the episode's start
 *   task<i>/theta_start/TENSOR     inner parameters at the window's start
 *   task<i>/theta_offset/TENSOR    index of the tensor's first element in rows over the n coordinates
 *   task<i>/state_start            (n, width) state of the rule for each coordinate; for the LSTM
 *                                  h and c of layer 1, h and c of layer 2, ...
 *   task<i>/input/inner/LEAF       (K+1, ...) inputs of the inner loss at theta_0 .. theta_K;
 *                                  (1, ...) if all steps share them
 *   task<i>/input/outer/LEAF       inputs of the outer loss in the same layout, if it has separate batches
 *   task<i>/inner_loss (K), outer_loss (K+1; NaN without weight), gradient (K, n),
 *   task<i>/theta (K+1, n), update (K, n), meta_loss, meta_gradient/BLOCK
 *
 * Labels and counts are int64, and all other numbers are float64. The attribute `configuration`
 * contains the settings. docs/hdf5-schema.md describes the file. tests/reference/check_window.py
 * recomputes the meta-gradient with PyTorch. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/check_impl.h"
#include "io/checkpoint.h"

struct wl_dump {
  const wl_problem *problem;
  wl_field *fields; /* datasets of the file [count]; each field owns its data */
  int count, capacity;
};

typedef struct extents {
  int ndim;
  int64_t size[WL_MAX_DIMS];
} extents;

/* Adds a field and allocates its data. The caller fills *data. */
static wl_status add(wl_dump *d, const char *name, wl_type type, extents shape, const char *meaning,
                     void **data) {
  if (d->count == d->capacity)
    return WL_FAIL(WL_ERR_SOFTWARE, "a dump has more than %d fields", d->capacity);
  wl_field *f = &d->fields[d->count];
  *f = (wl_field){.type = type, .ndim = shape.ndim, .units = "1"};
  memcpy(f->shape, shape.size, sizeof f->shape);
  if (snprintf(f->name, sizeof f->name, "%s", name) >= (int)sizeof f->name)
    return WL_FAIL(WL_ERR_SOFTWARE, "the name '%s' is too long for a dump", name);
  snprintf(f->long_name, sizeof f->long_name, "%s", meaning);
  WL_TRY(wl_alloc(data, (size_t)wl_field_count(f), wl_type_size(type)));
  f->data = *data;
  d->count++;
  return WL_OK;
}

static wl_status add_count(wl_dump *d, int task, const char *key, int64_t value,
                           const char *meaning) {
  char name[128];
  int64_t *data = NULL;
  snprintf(name, sizeof name, "task%d/%s", task, key);
  WL_TRY(add(d, name, WL_INT64, (extents){1, {1}}, meaning, (void **)&data));
  *data = value;
  return WL_OK;
}

static wl_status add_number(wl_dump *d, int task, const char *key, double value,
                            const char *meaning) {
  char name[128];
  double *data = NULL;
  snprintf(name, sizeof name, "task%d/%s", task, key);
  WL_TRY(add(d, name, WL_FLOAT64, (extents){1, {1}}, meaning, (void **)&data));
  *data = value;
  return WL_OK;
}

/* Sets the names of the dimensions of the last field. `columns` is NULL if the field has one
 * dimension. */
static void name_dimensions(wl_dump *d, const char *rows, const char *columns) {
  wl_field *f = &d->fields[d->count - 1];
  snprintf(f->dims[0], sizeof f->dims[0], "%s", rows);
  if (columns) snprintf(f->dims[1], sizeof f->dims[1], "%s", columns);
}

/* Returns the name of the first dimension of a dataset with `rows` rows. The name is "step" for the
 * K steps of the window, and "point" for the K+1 points theta_0 .. theta_K. */
static const char *along(const wl_check_window *w, int64_t rows) {
  return rows == w->steps ? "step" : "point";
}

/* Adds a field with the first n elements of each row of `from`, whose shape is (rows, pad). */
static wl_status add_rows(wl_dump *d, const wl_check_window *w, const char *key, int64_t rows,
                          const wl_real *from, const char *meaning) {
  char name[128];
  double *data = NULL;
  snprintf(name, sizeof name, "task%d/%s", w->number, key);
  WL_TRY(add(d, name, WL_FLOAT64, (extents){2, {rows, w->n}}, meaning, (void **)&data));
  name_dimensions(d, along(w, rows), "coordinate");
  for (int64_t r = 0; r < rows; r++)
    for (int64_t i = 0; i < w->n; i++) data[r * w->n + i] = (double)from[r * w->pad + i];
  return WL_OK;
}

static wl_status add_vector(wl_dump *d, const wl_check_window *w, const char *key, int64_t rows,
                            const double *from, const char *meaning) {
  char name[128];
  double *data = NULL;
  snprintf(name, sizeof name, "task%d/%s", w->number, key);
  WL_TRY(add(d, name, WL_FLOAT64, (extents){1, {rows}}, meaning, (void **)&data));
  name_dimensions(d, along(w, rows), NULL);
  memcpy(data, from, (size_t)rows * sizeof *from);
  return WL_OK;
}

static wl_status add_blocks(wl_dump *d, const char *prefix, const wl_layout *layout,
                            const double *vector, const char *meaning) {
  for (int i = 0; i < layout->count; i++) {
    const wl_tensor_entry *b = &layout->tensors[i];
    char name[128];
    double *data = NULL;
    snprintf(name, sizeof name, "%s/%s", prefix, b->name);
    extents shape = {.ndim = b->ndim};
    memcpy(shape.size, b->shape, sizeof shape.size);
    WL_TRY(add(d, name, WL_FLOAT64, shape, meaning, (void **)&data));
    memcpy(data, vector + b->offset, (size_t)b->size * sizeof *data);
  }
  return WL_OK;
}

/* Adds the first index of each tensor in the rows of theta, gradient and update. */
static wl_status add_offsets(wl_dump *d, const wl_check_window *w) {
  const wl_layout *theta = wl_task_theta(w->task);
  for (int i = 0; i < theta->count; i++) {
    char key[WL_NAME_SIZE + 16];
    snprintf(key, sizeof key, "theta_offset/%s", theta->tensors[i].name);
    WL_TRY(add_count(d, w->number, key, theta->tensors[i].offset,
                     "index of the tensor's first element in the dimension coordinate"));
  }
  return WL_OK;
}

/* Adds theta_start with one field for each tensor. */
static wl_status add_theta_start(wl_dump *d, const wl_check_window *w) {
  double *flat = NULL;
  char prefix[64];
  WL_TRY(WL_NEW(flat, w->n));
  for (int64_t i = 0; i < w->n; i++) flat[i] = (double)w->theta_start[i];
  snprintf(prefix, sizeof prefix, "task%d/theta_start", w->number);
  const wl_status status =
      add_blocks(d, prefix, wl_task_theta(w->task), flat, "inner parameters at the window's start");
  wl_free(flat);
  return status;
}

/* Adds the state of the rule, converted from [blocks][width][16] to (n, width). */
static wl_status add_state(wl_dump *d, const wl_check_window *w) {
  const int64_t width = w->problem->model->rule->state_width;
  char name[64];
  double *data = NULL;
  if (width == 0) return WL_OK;
  snprintf(name, sizeof name, "task%d/state_start", w->number);
  WL_TRY(add(d, name, WL_FLOAT64, (extents){2, {w->n, width}},
             "state of the rule at the window's start; for an LSTM: h and c of layer 1, h and c of layer 2, and "
             "so on",
             (void **)&data));
  name_dimensions(d, "coordinate", "state");
  for (int64_t i = 0; i < w->n; i++)
    for (int64_t j = 0; j < width; j++)
      data[i * width + j] =
          (double)w->state_start[wl_rule_state_index(w->problem->model->rule, w->n, i, j)];
  return WL_OK;
}

/* Copies the values of one input of the loss from the workspace to row `row`. */
static void copy_leaf(wl_tape_ws *ws, const wl_tape_leaf *leaf, int64_t row, void *data) {
  for (int64_t i = 0; i < leaf->size; i++) {
    if (leaf->labels)
      ((int64_t *)data)[row * leaf->size + i] = wl_tape_label_data(ws, leaf->node)[i];
    else ((double *)data)[row * leaf->size + i] = (double)wl_tape_input_data(ws, leaf->node)[i];
  }
}

/* Adds the inputs of all steps. An input with four dimensions is flattened, because the steps add another dimension. */
static wl_status add_inputs(wl_dump *d, const wl_check_window *w, wl_task_ws *ws, bool outer) {
  const int64_t rows = w->task->family->load ? w->steps + 1 : 1;
  for (int i = 0; i < wl_tape_leaf_count(w->task->tape); i++) {
    const wl_tape_leaf leaf = wl_tape_leaf_at(w->task->tape, i);
    const bool fits = leaf.ndim < WL_MAX_DIMS;
    extents shape = {fits ? leaf.ndim + 1 : 2, {rows, leaf.size}};
    for (int k = 0; fits && k < leaf.ndim; k++) shape.size[k + 1] = leaf.shape[k];
    char name[128];
    void *data = NULL;
    snprintf(name, sizeof name, "task%d/input/%s/%s", w->number, outer ? "outer" : "inner",
             leaf.name);
    WL_TRY(add(d, name, leaf.labels ? WL_INT64 : WL_FLOAT64, shape,
               "inputs of the loss at each step", &data));
    if (rows > 1) name_dimensions(d, "point", NULL);
    for (int64_t k = 0; k < rows; k++) {
      const wl_batch batch = outer ? wl_rollout_outer_batch(w, k) : wl_rollout_inner_batch(w, k);
      wl_task_load(w->task, ws, &batch);
      copy_leaf(wl_task_ws_tape(ws), &leaf, k, data);
    }
  }
  return WL_OK;
}

static wl_status add_run(wl_dump *d, const wl_check_window *w, const wl_rollout *r) {
  const int64_t steps = w->steps, points = w->steps + 1;
  WL_TRY(add_vector(d, w, "inner_loss", steps, r->inner_loss, "inner loss at each step"));
  WL_TRY(add_vector(d, w, "outer_loss", points, r->outer_loss,
                    "outer loss at theta_0 .. theta_K; NaN if its weight is zero"));
  WL_TRY(add_rows(d, w, "gradient", steps, r->g, "gradient of the inner loss at each step"));
  WL_TRY(add_rows(d, w, "update", steps, r->updates, "update of the rule at each step"));
  return add_rows(d, w, "theta", points, r->thetas, "inner parameters theta_0 .. theta_K");
}

wl_status wl_dump_add(wl_dump *d, const wl_check_window *w, wl_rollout *r) {
  const int i = w->number;
  char prefix[64];
  WL_TRY(add_count(d, i, "t0", w->t0, "inner step of the episode at which the window starts"));
  WL_TRY(add_count(d, i, "steps", w->steps, "number K of inner steps of the window"));
  WL_TRY(add_number(d, i, "start_loss", w->start_loss,
                    "outer loss at the episode's start; this value is used only if t0 > 0"));
  WL_TRY(add_offsets(d, w));
  WL_TRY(add_theta_start(d, w));
  WL_TRY(add_state(d, w));
  WL_TRY(add_inputs(d, w, r->task_ws, false));
  if (w->problem->spec.fresh) WL_TRY(add_inputs(d, w, r->task_ws, true));
  WL_TRY(add_run(d, w, r));
  WL_TRY(add_number(d, i, "meta_loss", w->meta_loss, "meta-loss of the window"));
  snprintf(prefix, sizeof prefix, "task%d/meta_gradient", i);
  return add_blocks(d, prefix, &w->problem->model->phi, w->gradient, "gradient of the meta-loss");
}

wl_status wl_dump_create(const wl_problem *problem, const double *phi, wl_dump **out) {
  wl_dump *d = NULL;
  WL_TRY(WL_NEW(d, 1));
  d->problem = problem;
  d->capacity = problem->model->phi.count;
  for (int i = 0; i < problem->n_tasks; i++)
    d->capacity += problem->model->phi.count + 2 * wl_task_theta(problem->tasks[i])->count +
                   2 * wl_tape_leaf_count(problem->tasks[i]->tape) + 16;
  wl_status status = WL_NEW(d->fields, d->capacity);
  if (status == WL_OK) status = add_blocks(d, "phi", &problem->model->phi, phi, "meta-parameters");
  if (status != WL_OK) wl_dump_destroy(&d);
  *out = d;
  return status;
}

void wl_dump_destroy(wl_dump **dump) {
  wl_dump *d = *dump;
  if (!d) return;
  for (int i = 0; i < d->count; i++) wl_free(d->fields[i].data);
  wl_free(d->fields);
  wl_free(d);
  *dump = NULL;
}

wl_status wl_dump_write(const wl_dump *d, const wl_config *config, const char *path) {
  char *text = NULL;
  WL_TRY(wl_config_to_yaml(config, &text));
  const wl_attribute attributes[] = {{"configuration", text}, {"precision", WL_REAL_NAME}};
  const wl_status status = wl_file_write(path, "dump", d->fields, d->count, attributes, 2);
  free(text);
  return status;
}
