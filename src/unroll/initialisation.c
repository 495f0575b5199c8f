/* initialisation.c - decides which tensors of theta_0 are learned, and computes the gradients of Leap and Reptile. The
 * formulas are in initialisation.h. */
#include "unroll/initialisation.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct wl_initialisation_ops {
  const char *name; /* name of the method; the key with this name lists the tensors that the method
                     * learns */
  bool adjoint;     /* true if the method learns with the adjoint of theta_0 */
  bool losses;      /* true if the function `step` uses the member next_loss of wl_path_step */
  /* For the tensors of the method, adds the gradient of one path step to `grad` [phi.size]. NULL if
   * the method does not use path steps. */
  void (*step)(const wl_initialisation *init, const wl_path_step *step, double *grad);
};

enum { MAML, LEAP, REPTILE, N_METHODS };

/* Values of the keys in the section `initialisation`. `fresh` and `shared` are lists of tensor
 * names, and `by_method` has such a list for each method. */
typedef struct initialisation_keys {
  wl_strings fresh, by_method[N_METHODS], shared;
  bool loss_term, stabilise;
} initialisation_keys;

static const wl_option options[] = {
    {"fresh", WL_OPT_STRINGS, "[]", NULL, 0, 0, "1",
     "Tensors that are not learned, but drawn again for each episode. An example is [dense1.weight, "
     "dense1.bias], the last layer of a network.",
     WL_SLOT(initialisation_keys, fresh)},
    {"maml", WL_OPT_STRINGS, "[]", NULL, 0, 0, "1", "Tensors that MAML learns, whatever the value of `name` is.",
     WL_SLOT(initialisation_keys, by_method[MAML])},
    {"leap", WL_OPT_STRINGS, "[]", NULL, 0, 0, "1", "Tensors that Leap learns, whatever the value of `name` is.",
     WL_SLOT(initialisation_keys, by_method[LEAP])},
    {"reptile", WL_OPT_STRINGS, "[]", NULL, 0, 0, "1",
     "Tensors that Reptile learns, whatever the value of `name` is.",
     WL_SLOT(initialisation_keys, by_method[REPTILE])},
    {"shared", WL_OPT_STRINGS, "[]", NULL, 0, 0, "1",
     "Weights and biases of dense layers in which all outputs start with the same vector, for example the last "
     "layer (UNICORN-MAML). All classes then have equal logits before adaptation. The vector of a tensor that "
     "is also in the list `fresh` is drawn for each episode. The vectors of all other tensors are learned.",
     WL_SLOT(initialisation_keys, shared)},
    {"loss_term", WL_OPT_BOOL, "true", NULL, 0, 0, "1",
     "Whether the length of a path step also contains the change of the loss, for Leap.",
     WL_SLOT(initialisation_keys, loss_term)},
    {"stabilise", WL_OPT_BOOL, "true", NULL, 0, 0, "1",
     "Whether the gradient contains -|dL| instead of the change dL of the loss, for Leap. A rise of the "
     "loss then does not move theta_0 to higher losses.",
     WL_SLOT(initialisation_keys, stabilise)},
    {0}};

const wl_variant wl_initialisation_variants[] = {
    {"none", "theta_0 is not learned, but drawn for each episode by the task family", NULL},
    {"maml",
     "theta_0 is learned with the gradient of the meta-loss through the window (MAML); window.order chooses "
     "exact or first-order MAML",
     options},
    {"leap",
     "theta_0 is learned so that the path of adaptation on the loss surface becomes shorter (Leap)",
     options},
    {"reptile", "theta_0 is moved towards the parameters after adaptation (Reptile)", options},
    {NULL, NULL, NULL}};

/* ---- Paths ----------------------------------------------------------------------------------- */

static void leap_step(const wl_initialisation *init, const wl_path_step *s, double *grad);
static void reptile_step(const wl_initialisation *init, const wl_path_step *s, double *grad);

static const wl_initialisation_ops table[N_METHODS] = {
    [MAML] = {.name = "maml", .adjoint = true},
    [LEAP] = {.name = "leap", .losses = true, .step = leap_step},
    [REPTILE] = {.name = "reptile", .step = reptile_step},
};

static double squared_length(const wl_initialisation *init, const wl_real *u) {
  double sum = 0.0;
  for (int j = 0; j < init->phi.count; j++) {
    if (init->method[j] != &table[LEAP]) continue;
    const int64_t size = init->phi.tensors[j].size * init->copies[j];
    for (int64_t i = init->from[j]; i < init->from[j] + size; i++)
      sum += (double)u[i] * (double)u[i];
  }
  return sum;
}

static void leap_step(const wl_initialisation *init, const wl_path_step *s, double *grad) {
  double rise = init->loss_term ? s->next_loss - s->loss : 0.0;
  const double length = sqrt(squared_length(init, s->u) + rise * rise);
  if (!(length > 0.0)) return; /* a path step of length 0 has no gradient */
  if (init->stabilise) rise = -fabs(rise);
  for (int j = 0; j < init->phi.count; j++) {
    if (init->method[j] != &table[LEAP]) continue;
    const wl_tensor_entry *b = &init->phi.tensors[j];
    const wl_real *u = s->u + init->from[j], *g = s->g + init->from[j];
    for (int64_t i = 0; i < b->size; i++)
      for (int64_t k = i * init->copies[j]; k < (i + 1) * init->copies[j]; k++)
        grad[b->offset + i] += (-(double)u[k] - rise * (double)g[k]) / length;
  }
}

/* Adds a term to the gradient of the learned tensor j. Each element of the tensor in phi has
 * init->copies[j] copies in theta. The function adds `factor` times the sum of x over the copies of
 * each element. */
static void add_copies(const wl_initialisation *init, int j, double factor, const wl_real *x,
                       double *grad) {
  const wl_tensor_entry *b = &init->phi.tensors[j];
  const int64_t copies = init->copies[j];
  for (int64_t i = 0; i < b->size; i++)
    for (int64_t k = i * copies; k < (i + 1) * copies; k++)
      grad[b->offset + i] += factor * (double)x[init->from[j] + k];
}

static void reptile_step(const wl_initialisation *init, const wl_path_step *s, double *grad) {
  for (int j = 0; j < init->phi.count; j++) {
    if (init->method[j] != &table[REPTILE]) continue;
    add_copies(init, j, -1, s->u, grad);
  }
}

void wl_initialisation_step(const wl_initialisation *init, const wl_path_step *step, double *grad) {
  for (int m = 0; m < N_METHODS; m++)
    if (table[m].step) table[m].step(init, step, grad);
}

/* ---- Tensors --------------------------------------------------------------------------------- */

/* The section `initialisation` of the configuration, and the values of its keys. */
typedef struct request {
  const wl_map *map;
  initialisation_keys keys;
} request;

static bool lists(const wl_strings *names, const char *name) {
  for (int i = 0; i < names->count; i++)
    if (strcmp(names->at[i], name) == 0) return true;
  return false;
}

/* Returns an error if `names` contains a name that no tensor of theta has. The message lists the
 * tensors of the task. */
static wl_status check_names(const wl_map *map, const char *key, const wl_strings *names,
                             const wl_layout *theta) {
  char known[512] = "";
  for (int i = 0; i < theta->count; i++) {
    const size_t used = strlen(known);
    snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", theta->tensors[i].name);
  }
  for (int i = 0; i < names->count; i++)
    if (!wl_layout_find(theta, names->at[i]))
      return wl_map_fail(map, key, "this task has no tensor '%s'; the tensors of the task are: %s", names->at[i],
                         known);
  return WL_OK;
}

/* Sets *out to the method that learns the tensor. If the tensor is in the list of a method, *out is
 * this method. If the tensor is in the list `fresh`, *out is NULL. For all other tensors, *out is
 * the method that the key `name` sets. */
static wl_status choose_method(const request *r, const char *tensor,
                               const wl_initialisation_ops **out) {
  const char *found = lists(&r->keys.fresh, tensor) ? "fresh" : NULL;
  *out = NULL;
  for (int m = 0; m < N_METHODS; m++) {
    if (!found && strcmp(table[m].name, wl_map_variant(r->map)) == 0) *out = &table[m];
    if (!lists(&r->keys.by_method[m], tensor)) continue;
    if (found)
      return wl_map_fail(r->map, table[m].name,
                         "the tensor '%s' is also in the list `%s`; name each tensor in only one list", tensor,
                         found);
    found = table[m].name;
    *out = &table[m];
  }
  return WL_OK;
}

/* Sets *copies to the number of elements of theta that start with the same learned or drawn number.
 * For a tensor in the list `shared`, *copies is the number of outputs of the layer, which is the
 * last dimension of the tensor. For all other tensors, *copies is 1. */
static wl_status count_copies(const request *r, const wl_tensor_entry *b, int64_t *copies) {
  *copies = 1;
  if (!lists(&r->keys.shared, b->name)) return WL_OK;
  if (b->ndim != 1 && b->ndim != 2)
    return wl_map_fail(r->map, "shared",
                       "the tensor '%s' cannot be shared, because it is neither a weight nor a bias of a dense "
                       "layer",
                       b->name);
  *copies = b->shape[b->ndim - 1];
  return WL_OK;
}

static wl_status add_tensor(const request *r, wl_initialisation *init, const wl_tensor_entry *b,
                            const wl_initialisation_ops *method) {
  char name[WL_NAME_SIZE];
  if (snprintf(name, sizeof name, "theta0.%s", b->name) >= (int)sizeof name)
    return WL_FAIL(WL_ERR_SOFTWARE, "the name of the tensor '%s' is too long for the name of a meta-parameter", b->name);
  init->from[init->phi.count] = b->offset;
  init->method[init->phi.count] = method;
  init->adjoint |= method->adjoint;
  init->losses |= method->losses;
  init->path |= method->step != NULL;
  int64_t *copies = &init->copies[init->phi.count];
  WL_TRY(count_copies(r, b, copies));
  const bool shared = lists(&r->keys.shared, b->name);
  const int64_t vector = b->size / *copies;
  return wl_layout_add(&init->phi, "initialisation", name, shared ? 1 : b->ndim,
                       shared ? &vector : b->shape, NULL);
}

/* Adds a tensor that is drawn for each episode. If the tensor is in the list `shared`, all outputs
 * will start with the drawn values of the first output. */
static wl_status add_drawn(const request *r, wl_initialisation *init, const wl_tensor_entry *b) {
  wl_drawn_vector *drawn = &init->drawn[init->n_drawn];
  *drawn = (wl_drawn_vector){.from = b->offset};
  WL_TRY(count_copies(r, b, &drawn->copies));
  drawn->size = b->size / drawn->copies;
  if (drawn->copies > 1) init->n_drawn++;
  return WL_OK;
}

static wl_status choose_tensors(const request *r, const wl_layout *theta, wl_initialisation *init) {
  WL_TRY(check_names(r->map, "fresh", &r->keys.fresh, theta));
  WL_TRY(check_names(r->map, "shared", &r->keys.shared, theta));
  for (int m = 0; m < N_METHODS; m++)
    WL_TRY(check_names(r->map, table[m].name, &r->keys.by_method[m], theta));
  WL_TRY(WL_NEW(init->from, theta->count));
  WL_TRY(WL_NEW(init->method, theta->count));
  WL_TRY(WL_NEW(init->copies, theta->count));
  WL_TRY(WL_NEW(init->drawn, theta->count));
  for (int i = 0; i < theta->count; i++) {
    const wl_initialisation_ops *method;
    WL_TRY(choose_method(r, theta->tensors[i].name, &method));
    WL_TRY(method ? add_tensor(r, init, &theta->tensors[i], method)
                  : add_drawn(r, init, &theta->tensors[i]));
  }
  init->any_fresh = init->phi.count < theta->count;
  if (init->phi.count > 0) return WL_OK;
  return wl_map_fail(
      r->map, "fresh",
      "every tensor is in the list `fresh`, so theta_0 is not learned; use `initialisation: {name: none}`");
}

wl_status wl_initialisation_create(const wl_map *map, const wl_layout *theta,
                                   wl_initialisation **out) {
  *out = NULL;
  if (strcmp(wl_map_variant(map), "none") == 0) return WL_OK;
  wl_initialisation *init = NULL;
  WL_TRY(WL_NEW(init, 1));
  request r = {.map = map};
  wl_map_read(map, options, &r.keys);
  init->loss_term = r.keys.loss_term;
  init->stabilise = r.keys.stabilise;
  const wl_status status = choose_tensors(&r, theta, init);
  if (status != WL_OK) wl_initialisation_destroy(&init);
  *out = init;
  return status;
}

void wl_initialisation_destroy(wl_initialisation **init) {
  if (!*init) return;
  wl_layout_clear(&(*init)->phi);
  wl_free((*init)->from);
  wl_free((*init)->method);
  wl_free((*init)->copies);
  wl_free((*init)->drawn);
  wl_free(*init);
  *init = NULL;
}

/* Divides the array into `size` groups of `copies` elements, and copies the first element of each
 * group to the other elements of the group. */
static void repeat(wl_real *at, int64_t size, int64_t copies) {
  for (int64_t i = 0; i < size; i++)
    for (int64_t k = i * copies + 1; k < (i + 1) * copies; k++) at[k] = at[i * copies];
}

void wl_initialisation_start(const wl_initialisation *init, const wl_real *theta0, wl_real *theta) {
  for (int j = 0; j < init->phi.count; j++) {
    const wl_tensor_entry *b = &init->phi.tensors[j];
    wl_real *at = theta + init->from[j];
    for (int64_t i = 0; i < b->size; i++) at[i * init->copies[j]] = theta0[b->offset + i];
    repeat(at, b->size, init->copies[j]);
  }
  for (int j = 0; j < init->n_drawn; j++)
    repeat(theta + init->drawn[j].from, init->drawn[j].size, init->drawn[j].copies);
}

void wl_initialisation_extract(const wl_initialisation *init, const wl_real *theta,
                               wl_real *theta0) {
  for (int j = 0; j < init->phi.count; j++) {
    const wl_tensor_entry *b = &init->phi.tensors[j];
    const wl_real *at = theta + init->from[j];
    for (int64_t i = 0; i < b->size; i++) theta0[b->offset + i] = at[i * init->copies[j]];
  }
}

bool wl_initialisation_is_adjoint(const wl_initialisation *init, int64_t offset) {
  for (int j = 0; j < init->phi.count; j++)
    if (init->phi.tensors[j].offset == offset) return init->method[j]->adjoint;
  return false;
}

void wl_initialisation_adjoint(const wl_initialisation *init, const wl_real *lam, double *grad) {
  for (int j = 0; j < init->phi.count; j++) {
    if (!init->method[j]->adjoint) continue;
    add_copies(init, j, 1, lam, grad);
  }
}
