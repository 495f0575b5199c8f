/* warp.c - adds warp layers to networks, and sets the initial values of their parameters. The header warp.h lists the
 * stages of a warp layer. */
#include "task/warp.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "task/family.h"

/* The kind of initial values that a parameter has. */
typedef enum role { ROLE_IDENTITY, ROLE_ONES, ROLE_ZEROS, ROLE_FAN_IN } role;

enum { MAX_STAGES = 8, MAX_LAYERS = 32, MAX_PARAMETERS = 512 };

typedef struct stage {
  const char *name;
  bool dense, image; /* accepts (B,n); accepts (B,C,H,W) */
  wl_node (*apply)(wl_warp *warp, wl_tape *tape, wl_node h, const wl_warp_site *site);
} stage;

struct wl_warp {
  const stage *stages[MAX_STAGES];
  bool stage_used[MAX_STAGES];
  int n_stages;
  char layers[MAX_LAYERS][WL_NAME_SIZE]; /* names of the layers that `warp_after` lists */
  bool layer_used[MAX_LAYERS];
  int n_layers;
  bool all; /* true: `warp_after` contains "all" */
  wl_warp_side side;
  int64_t width, loss;
  double noise;
  wl_node hidden;          /* output of the last hidden layer that was added to the network */
  /* number of channels of `hidden`, or 0 if there is no hidden layer, or -1 if `hidden` is an
   * image */
  int64_t hidden_channels;
  bool loss_used;
  char met[512];             /* names of the layers that the network has, for messages */
  /* start of the parameter names of the stage that is being added, such as "warp.dense1.linear" */
  char prefix[WL_NAME_SIZE];
  role roles[MAX_PARAMETERS];
  /* number of entries of `roles`. The entries have the order of the tensors in the tape's layout of
   * phi. */
  int n_parameters;
};

/* Adds a parameter of the stage that is being added. Returns -1 if there are too many parameters,
 * and the tape then reports an error for this node. */
static wl_node parameter(wl_warp *w, wl_tape *t, const char *part, role start, int ndim,
                         const int64_t *shape) {
  char name[2 * WL_NAME_SIZE];
  if (w->n_parameters == MAX_PARAMETERS) return -1;
  w->roles[w->n_parameters++] = start;
  snprintf(name, sizeof name, "%s.%s", w->prefix, part);
  return wl_tape_phi(t, "warp", name, ndim, shape);
}

/* ---- Stages ---------------------------------------------------------------------------------- */

static wl_node apply_linear(wl_warp *w, wl_tape *t, wl_node h, const wl_warp_site *site) {
  const int64_t n = site->channels;
  return wl_op_matmul(t, h, parameter(w, t, "weight", ROLE_IDENTITY, 2, (const int64_t[]){n, n}));
}

static wl_node apply_scale(wl_warp *w, wl_tape *t, wl_node h, const wl_warp_site *site) {
  return wl_op_mul_channel(t, h, parameter(w, t, "scale", ROLE_ONES, 1, &site->channels));
}

static wl_node apply_conv3x3(wl_warp *w, wl_tape *t, wl_node h, const wl_warp_site *site) {
  return wl_op_conv2d(t, h,
                      parameter(w, t, "weight", ROLE_IDENTITY, 4,
                                (const int64_t[]){site->channels, site->channels, 3, 3}),
                      1, 1);
}

static wl_node apply_conv1x1(wl_warp *w, wl_tape *t, wl_node h, const wl_warp_site *site) {
  return wl_op_conv2d(t, h,
                      parameter(w, t, "weight", ROLE_IDENTITY, 4,
                                (const int64_t[]){site->channels, site->channels, 1, 1}),
                      1, 0);
}

/* Adds an affine map, which is x W + b for rows and x * K + b for images. The number of the map, 1
 * or 2, is part of the names of its parameters. The initial parameters of map 2 are 0. */
static wl_node affine(wl_warp *w, wl_tape *t, wl_node x, const wl_warp_site *site, int number,
                      const int64_t size[2]) {
  const int64_t in = size[0], out = size[1];
  const role start = number == 1 ? ROLE_FAN_IN : ROLE_ZEROS;
  char weight[16], bias[16];
  snprintf(weight, sizeof weight, "weight%d", number);
  snprintf(bias, sizeof bias, "bias%d", number);
  if (site->ndim == 2) {
    const wl_node y =
        wl_op_matmul(t, x, parameter(w, t, weight, start, 2, (const int64_t[]){in, out}));
    return wl_op_add_bias(t, y, parameter(w, t, bias, ROLE_ZEROS, 1, &out));
  }
  const wl_node y =
      wl_op_conv2d(t, x, parameter(w, t, weight, start, 4, (const int64_t[]){out, in, 3, 3}), 1, 1);
  return wl_op_add_channel(t, y, parameter(w, t, bias, ROLE_ZEROS, 1, &out));
}

static wl_node apply_residual(wl_warp *w, wl_tape *t, wl_node h, const wl_warp_site *site) {
  const int64_t n = site->channels, width = w->width > 0 ? w->width : n;
  const wl_node hidden = wl_op_tanh(t, affine(w, t, h, site, 1, (const int64_t[]){n, width}));
  return wl_op_add(t, h, affine(w, t, hidden, site, 2, (const int64_t[]){width, n}));
}

static wl_node apply_batch_norm(wl_warp *w, wl_tape *t, wl_node h, const wl_warp_site *site) {
  const wl_node unit = wl_op_batch_norm(t, h, 1e-5);
  const wl_node scaled =
      wl_op_mul_channel(t, unit, parameter(w, t, "scale", ROLE_ONES, 1, &site->channels));
  return wl_op_add_channel(t, scaled, parameter(w, t, "shift", ROLE_ZEROS, 1, &site->channels));
}

#define ACTIVATION(id)                                                                     \
  static wl_node apply_##id(wl_warp *w, wl_tape *t, wl_node h, const wl_warp_site *site) { \
    (void)w, (void)site;                                                                   \
    return wl_op_##id(t, h);                                                               \
  }
ACTIVATION(sigmoid)
ACTIVATION(tanh)
ACTIVATION(relu)
ACTIVATION(elu)

static const stage table[] = {
    {"linear", true, false, apply_linear},    {"scale", true, true, apply_scale},
    {"residual", true, true, apply_residual}, {"conv3x3", false, true, apply_conv3x3},
    {"conv1x1", false, true, apply_conv1x1},  {"batch_norm", true, true, apply_batch_norm},
    {"sigmoid", true, true, apply_sigmoid},   {"tanh", true, true, apply_tanh},
    {"relu", true, true, apply_relu},         {"elu", true, true, apply_elu},
};
enum { STAGES = sizeof table / sizeof *table };

/* ---- Options --------------------------------------------------------------------------------- */

static wl_status find_stages(const wl_strings *names, const wl_map *options, wl_warp *w) {
  if (names->count > MAX_STAGES)
    return wl_map_fail(options, "warp", "there are %d stages, but at most %d are possible; remove "
                                        "stages",
                       names->count, MAX_STAGES);
  for (int i = 0; i < names->count; i++) {
    for (int k = 0; k < STAGES; k++)
      if (strcmp(names->at[i], table[k].name) == 0) w->stages[w->n_stages] = &table[k];
    if (!w->stages[w->n_stages])
      return wl_map_fail(options, "warp",
                         "'%s' is not a stage of a warp layer; the stages are linear, scale, "
                         "residual, conv3x3, conv1x1, batch_norm, sigmoid, tanh, relu and elu, and "
                         "`warp: none` means no warp layers",
                         names->at[i]);
    w->n_stages++;
  }
  return WL_OK;
}

static wl_status copy_layers(const wl_strings *names, const wl_map *options, wl_warp *w) {
  for (int i = 0; i < names->count; i++) {
    if (strcmp(names->at[i], "all") == 0) w->all = true;
    else if (w->n_layers == MAX_LAYERS || strlen(names->at[i]) >= WL_NAME_SIZE)
      return wl_map_fail(options, "warp_after", "there are more than %d names, or a name has %d "
                                                "characters or more; give fewer or shorter names",
                         MAX_LAYERS, WL_NAME_SIZE);
    else snprintf(w->layers[w->n_layers++], WL_NAME_SIZE, "%s", names->at[i]);
  }
  if (w->all || w->n_layers > 0) return WL_OK;
  return wl_map_fail(options, "warp_after",
                     "the empty list selects no layer; give all or the names of layers, or set "
                     "`warp: none`");
}

static bool has_stages(const wl_warp_keys *keys) {
  const wl_strings *s = &keys->stages;
  return s->count > 1 || (s->count == 1 && strcmp(s->at[0], "none") != 0);
}

bool wl_warp_wanted(const wl_warp_keys *keys) { return has_stages(keys) || keys->loss > 0; }

wl_status wl_warp_create(const wl_warp_keys *keys, const wl_map *options, wl_warp **out) {
  *out = NULL;
  if (!wl_warp_wanted(keys)) return WL_OK;
  wl_warp *w = NULL;
  WL_TRY(WL_NEW(w, 1));
  w->side = keys->side;
  w->width = keys->width;
  w->loss = keys->loss;
  w->noise = keys->noise;
  wl_status status = has_stages(keys) ? find_stages(&keys->stages, options, w) : WL_OK;
  if (status == WL_OK) status = copy_layers(&keys->after, options, w);
  if (status != WL_OK) wl_warp_destroy(&w);
  *out = w;
  return status;
}

void wl_warp_destroy(wl_warp **warp) {
  wl_free(*warp);
  *warp = NULL;
}

/* ---- Placement ------------------------------------------------------------------------------- */

static void note_layer(wl_warp *w, const wl_warp_site *site) {
  const size_t used = strlen(w->met);
  if (site->side == WL_WARP_AFTER) return; /* already listed */
  snprintf(w->met + used, sizeof w->met - used, "%s%s", used ? ", " : "", site->layer);
}

/* Returns true if the options select a warp layer at this site. */
static bool selects(wl_warp *w, const wl_warp_site *site) {
  if (site->side != w->side && site->side != WL_WARP_ONLY) return false;
  for (int i = 0; i < w->n_layers; i++)
    if (strcmp(w->layers[i], site->layer) == 0) return w->layer_used[i] = true;
  return w->all && !site->output;
}

/* Sets the prefix of a stage to "warp.<layer>.<stage>". If a warp layer has several stages of a
 * kind, a number is appended to the prefix of every stage of this kind except the first. */
static void name_stage(wl_warp *w, int s, const char *layer) {
  int same = 1;
  for (int i = 0; i < s; i++) same += w->stages[i] == w->stages[s];
  const int used = snprintf(w->prefix, sizeof w->prefix, "warp.%s.%s", layer, w->stages[s]->name);
  if (same > 1) snprintf(w->prefix + used, sizeof w->prefix - (size_t)used, "%d", same);
}

/* Adds the stages of the warp layer at a site. Stages that do not fit the shape are skipped. */
static wl_node apply_stages(wl_warp *w, wl_tape *t, wl_node h, const wl_warp_site *site) {
  for (int s = 0; s < w->n_stages; s++) {
    if (!(site->ndim == 2 ? w->stages[s]->dense : w->stages[s]->image)) continue;
    w->stage_used[s] = true;
    name_stage(w, s, site->layer);
    h = w->stages[s]->apply(w, t, h, site);
  }
  return h;
}

wl_node wl_warp_insert(wl_warp *w, wl_tape *t, wl_node h, const wl_warp_site *site) {
  if (!w) return h;
  note_layer(w, site);
  if (selects(w, site)) h = apply_stages(w, t, h, site);
  if (site->side == WL_WARP_AFTER) {
    w->hidden = h;
    w->hidden_channels = site->ndim == 2 ? site->channels : -1;
  }
  return h;
}

wl_node wl_warp_learned_loss(wl_warp *w, wl_tape *t, wl_node y) {
  if (!w || w->loss == 0 || w->hidden_channels <= 0) return -1;
  const int64_t width = w->loss;
  const wl_warp_site site = {.layer = "loss", .ndim = 2, .channels = w->hidden_channels};
  w->loss_used = true;
  snprintf(w->prefix, sizeof w->prefix, "warp.loss");
  const wl_node seen = affine(w, t, w->hidden, &site, 1, (const int64_t[]){site.channels, width});
  const wl_node target = parameter(w, t, "target", ROLE_FAN_IN, 2, (const int64_t[]){1, width});
  const wl_node unit = wl_op_tanh(t, wl_op_add(t, seen, wl_op_matmul(t, y, target)));
  return wl_op_matmul(t, unit,
                      parameter(w, t, "weight2", ROLE_ZEROS, 2, (const int64_t[]){width, 1}));
}

wl_status wl_warp_placed(const wl_warp *w, const wl_map *options) {
  if (!w) return WL_OK;
  if (w->loss > 0 && !w->loss_used)
    return wl_map_fail(options, "warp_loss",
                       "a learned loss needs a regression with hidden layers, such as `family: "
                       "sinusoid` with `widths`");
  for (int i = 0; i < w->n_layers; i++)
    if (!w->layer_used[i])
      return wl_map_fail(options, "warp_after",
                         "this network has no layer '%s' that a warp layer can follow; choose from "
                         "its layers: %s",
                         w->layers[i], w->met[0] ? w->met : "none");
  for (int s = 0; s < w->n_stages; s++)
    if (!w->stage_used[s])
      return wl_map_fail(options, "warp",
                         "the stage '%s' fits none of the selected layers: conv3x3 and conv1x1 "
                         "need convolutions, and linear needs dense layers; the layers are: %s",
                         w->stages[s]->name, w->met[0] ? w->met : "none");
  return WL_OK;
}

/* ---- Initial values -------------------------------------------------------------------------- */

/* Sets a weight (n,n) or (C,C,k,k) to the identity. The caller has set all elements to 0. The
 * function sets an element to 1 if the indices of its input and its output are equal and the
 * element is at the centre of the kernel. */
static void set_identity(const wl_tensor_entry *b, wl_real *out) {
  const int64_t taps = b->ndim == 4 ? b->shape[2] * b->shape[3] : 1;
  for (int64_t c = 0; c < b->shape[0]; c++) out[(c * b->shape[1] + c) * taps + taps / 2] = 1;
}

static void add_noise(uint64_t seed, const wl_tensor_entry *b, double sd, wl_real *out) {
  const wl_stream stream = {.seed = seed, .purpose = WL_FOR_META_INIT, .task = WL_INIT_WARP_NOISE};
  wl_real draw;
  for (int64_t i = 0; i < b->size; i++) {
    wl_rng_normal(stream, (uint64_t)(b->offset + i), 1, sd, &draw);
    out[i] += draw;
  }
}

void wl_warp_init(const wl_warp *w, const wl_layout *phi, uint64_t seed, wl_real *out) {
  const wl_stream stream = {.seed = seed, .purpose = WL_FOR_META_INIT, .task = WL_INIT_WARP};
  memset(out, 0, (size_t)phi->size * sizeof *out);
  for (int j = 0; w && j < phi->count; j++) {
    const wl_tensor_entry *b = &phi->tensors[j];
    wl_real *at = out + b->offset;
    if (w->roles[j] == ROLE_IDENTITY) set_identity(b, at);
    for (int64_t i = 0; w->roles[j] == ROLE_ONES && i < b->size; i++) at[i] = 1;
    if (w->roles[j] == ROLE_FAN_IN)
      wl_rng_normal(stream, (uint64_t)b->offset, b->size, 1.0 / sqrt((double)wl_net_fan_in(b)), at);
    if (w->noise > 0.0) add_noise(seed, b, w->noise, at);
  }
}
