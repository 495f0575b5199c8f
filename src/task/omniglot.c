/* omniglot.c - defines the task family `omniglot`: a convolutional network (convnet.h) classifies
 * handwritten characters. There are two protocols.
 *
 * - multi-shot: A task has `ways` characters of one alphabet. All tasks with the same alphabet have
 *   the same characters in the same order. The images by `shots` drawers are for training, and the
 *   images by `query` other drawers are held out. Minibatches are drawn with replacement.
 *   `alphabets` alphabets are for training, and `test_alphabets` alphabets are for evaluation. The
 *   remaining alphabets are for tuning. Flennerhag et al. 2019 and 2020 use 20 characters, 15
 *   drawers for training and 5 held-out drawers. These authors use 25 alphabets for training and 10
 *   alphabets for evaluation.
 * - few-shot: A task has `ways` characters of any alphabets. The support set has the images of each
 *   character by `shots` drawers, and the query set has the images by `query` other drawers. Every
 *   inner step uses the full support set. The alphabets of images_background are for training and
 *   tuning, and the alphabets of images_evaluation are for evaluation. Characters that are turned
 *   by 90, 180 or 270 degrees can be additional classes (Vinyals et al. 2016).
 *
 * In few-shot tasks, a batch with the purpose WL_FOR_INNER_BATCH is the support set, and a batch with the purpose
 * WL_FOR_OUTER_BATCH is the query set. In evaluations, the training split is the support set, and the held-out split is
 * the query set. The network is built for a batch of the size of the larger set. The smaller set is repeated to fill
 * the batch, and the repetition changes neither the mean loss nor the statistics of the batch. */
#include <string.h>

#include "task/convnet.h"
#include "task/glyph_image.h"

typedef struct pool {
  int64_t *at; /* indices of alphabets (multi-shot) or of characters (few-shot) [count] */
  int64_t count;
} pool;

enum { FOR_TRAINING, FOR_TUNING, FOR_EVALUATION, POOLS };

/* The values of the keys of the family. If `ways`, `shots` or `query` is 0, the usual number of the
 * protocol is used. */
typedef struct omniglot_keys {
  const char *file;
  enum { MULTI_SHOT, FEW_SHOT } protocol;
  int64_t ways, shots, query, batch, alphabets, test_alphabets, alphabet_seed;
  bool quarter_turns, centre;
  int64_t smooth;
  double augment_rotate, augment_shift, augment_scale, augment_stretch;
} omniglot_keys;

typedef struct omniglot {
  omniglot_keys keys;
  const wl_glyphs *glyphs; /* the shared characters; `destroy` releases them */
  bool few_shot;
  int64_t ways, shots, query;
  int64_t batch;    /* number of images in a batch */
  int64_t quarters; /* number of classes of a character: 4 if turned characters are extra classes,
                     * otherwise 1 */
  wl_distortion distortion;
  /* indices of the characters, sorted by alphabet and in a random order within an alphabet
   * [characters] */
  int64_t *member;
  int64_t *start;  /* index in `member` of the first character of each alphabet [alphabets + 1] */
  pool pools[POOLS];
  wl_convnet net;
} omniglot;

/* A drawn task. All arrays are in the memory `draw`, which the caller provides. */
typedef struct drawn {
  int64_t *character; /* [ways] for each class, index of the character */
  int64_t *turn;      /* [ways] for each class, number of turns by 90 degrees */
  /* indices of the drawers of each class [ways][drawers]. The images by the first `shots`
   * drawers are the support set (few-shot) or the training split (multi-shot). The images by the
   * next `query` drawers are the query set or the held-out split. */
  int64_t *drawer;
  /* multi-shot: a random order of the images for evaluations, [ways * shots] for the training
   * split and [ways * query] for the held-out split */
  int64_t *order[2];
} drawn;

/* The values of wl_stream.step for the numbers that are drawn for a task. */
enum { DRAW_POOL, DRAW_CHARACTERS, DRAW_TURNS, DRAW_ORDER, DRAW_DRAWERS };
/* The values of wl_stream.index for the numbers that are drawn once for all tasks. */
enum { SPLIT_ALPHABETS, SPLIT_CHARACTERS };

static const wl_option options[] = {
    {"file", WL_OPT_STRING, "omniglot28.h5", NULL, 0, 0, "1",
     "File of characters, which tools/pack_omniglot.py makes. The value is a path, or a name in the folder "
     "$WARPLOOM_DATA.",
     WL_SLOT(omniglot, keys.file), WL_KEY_PATH},
    {"protocol", WL_OPT_CHOICE, "multi-shot", "multi-shot|few-shot", 0, 0, "1",
     "Protocol of a task. multi-shot: a task has characters of one alphabet, by many drawers. few-shot: a task has "
     "random characters, by a few drawers.",
     WL_SLOT(omniglot, keys.protocol)},
    {"ways", WL_OPT_INT, "0", NULL, 0, 1000, "1",
     "Number of classes of a task. 0 stands for 20 in multi-shot, and for 5 in few-shot.",
     WL_SLOT(omniglot, keys.ways)},
    {"shots", WL_OPT_INT, "0", NULL, 0, 1000, "1",
     "Number of drawers of each class on which a task adapts. 0 stands for 15 in multi-shot, and for 1 in few-shot.",
     WL_SLOT(omniglot, keys.shots)},
    {"query", WL_OPT_INT, "0", NULL, 0, 1000, "1",
     "Number of drawers of each class besides those of `shots`. The images by these drawers are "
     "held out in multi-shot, and are the query set in few-shot. 0 stands for 5 in multi-shot, and for the "
     "value of `shots` in few-shot.",
     WL_SLOT(omniglot, keys.query)},
    {"batch", WL_OPT_INT, "20", NULL, 1, 1e6, "1",
     "Multi-shot: number of images in a minibatch. The images are drawn with replacement.",
     WL_SLOT(omniglot, keys.batch)},
    {"alphabets", WL_OPT_INT, "25", NULL, 1, 1e6, "1",
     "Multi-shot: number of alphabets for training.", WL_SLOT(omniglot, keys.alphabets)},
    {"test_alphabets", WL_OPT_INT, "10", NULL, 1, 1e6, "1",
     "Multi-shot: number of alphabets for evaluation. The remaining alphabets are for tuning.",
     WL_SLOT(omniglot, keys.test_alphabets)},
    {"alphabet_seed", WL_OPT_INT, "1", NULL, 0, 9e18, "1",
     "Multi-shot: seed of the random split of the alphabets, and of the order of their characters. Training and "
     "evaluation must use the same seed, so that no alphabet is used for both.",
     WL_SLOT(omniglot, keys.alphabet_seed)},
    {"quarter_turns", WL_OPT_BOOL, "false", NULL, 0, 0, "1",
     "Few-shot: characters rotated by 90, 180 and 270 degrees are separate classes.",
     WL_SLOT(omniglot, keys.quarter_turns)},
    {"smooth", WL_OPT_INT, "0", NULL, 0, 100, "1",
     "Number of times that each image is smoothed by the filter (1 2 1) / 4 along rows and columns. Smoothed images "
     "have shades of grey.",
     WL_SLOT(omniglot, keys.smooth)},
    {"centre", WL_OPT_BOOL, "false", NULL, 0, 0, "1",
     "Move each character by whole pixels, so that its centre of mass is at the centre of the image.",
     WL_SLOT(omniglot, keys.centre)},
    {"augment_rotate", WL_OPT_REAL, "0", NULL, 0, 180, "degrees",
     "Largest angle of the random rotation of an image.", WL_SLOT(omniglot, keys.augment_rotate)},
    {"augment_shift", WL_OPT_REAL, "0", NULL, 0, 0.5, "1",
     "Largest random shift of an image, as a fraction of the side of the image.",
     WL_SLOT(omniglot, keys.augment_shift)},
    {"augment_scale", WL_OPT_REAL, "0", NULL, 0, 0.9, "1",
     "Largest random change of the size of a character, as a fraction of the size.",
     WL_SLOT(omniglot, keys.augment_scale)},
    {"augment_stretch", WL_OPT_REAL, "0", NULL, 0, 1, "1",
     "Largest random stretch of an image along a random direction, as a fraction of the size. The image is "
     "compressed by the same factor across this direction.",
     WL_SLOT(omniglot, keys.augment_stretch)},
    WL_CONVNET_OPTIONS("[64, 64, 64, 64]", "pool-norm-act", omniglot, net),
    {0}};

/* ---- Creation -------------------------------------------------------------------------------- */

static int64_t or_default(int64_t value, int64_t when_zero) {
  return value > 0 ? value : when_zero;
}

static void read_options(const wl_map *map, omniglot *o) {
  const omniglot_keys *k = &o->keys;
  wl_map_read(map, options, o);
  o->few_shot = k->protocol == FEW_SHOT;
  o->ways = or_default(k->ways, o->few_shot ? 5 : 20);
  o->shots = or_default(k->shots, o->few_shot ? 1 : 15);
  o->query = or_default(k->query, o->few_shot ? o->shots : 5);
  o->quarters = o->few_shot && k->quarter_turns ? 4 : 1;
  o->batch = o->few_shot ? o->ways * (o->shots > o->query ? o->shots : o->query) : k->batch;
  o->distortion = (wl_distortion){.rotate = k->augment_rotate,
                                  .shift = k->augment_shift,
                                  .scale = k->augment_scale,
                                  .stretch = k->augment_stretch,
                                  .centre = k->centre};
}

static wl_status check_options(const wl_map *map, const omniglot *o) {
  const wl_glyphs *g = o->glyphs;
  if (o->shots + o->query > g->drawers)
    return wl_map_fail(map, "shots",
                       "`shots` (%lld) and `query` (%lld) together need more drawers than the "
                       "%lld drawers of the file; set smaller numbers",
                       (long long)o->shots, (long long)o->query, (long long)g->drawers);
  const int64_t more = o->shots > o->query ? o->shots : o->query,
                fewer = o->shots + o->query - more;
  if (o->few_shot && more % fewer != 0)
    return wl_map_fail(map, "query",
                       "`query` is %lld and `shots` is %lld, but one of these numbers must be a "
                       "multiple of the other, so that a batch can contain either set",
                       (long long)o->query, (long long)o->shots);
  if (g->rows != g->columns && (o->quarters > 1 || o->distortion.rotate > 0))
    return wl_map_fail(map, "augment_rotate",
                       "only square images can be turned, but the images of the file are %lld x "
                       "%lld; set `quarter_turns: false` and `augment_rotate: 0`",
                       (long long)g->rows, (long long)g->columns);
  return WL_OK;
}

/* Sorts the characters by alphabet. The key alphabet_seed determines the order of the characters
 * within an alphabet. */
static wl_status sort_members(omniglot *o) {
  const wl_glyphs *g = o->glyphs;
  int64_t *order = NULL;
  WL_TRY(WL_NEW(o->member, g->characters));
  WL_TRY(WL_NEW(o->start, g->alphabets + 1));
  WL_TRY(WL_NEW(order, g->characters));
  wl_stream stream = {.seed = (uint64_t)o->keys.alphabet_seed,
                      .purpose = WL_FOR_DATASET,
                      .index = SPLIT_CHARACTERS};
  for (int64_t a = 0, n = 0; a < g->alphabets; a++) {
    int64_t *at = o->member + n, count = 0;
    for (int64_t c = 0; c < g->characters; c++)
      if (g->alphabet[c] == a) at[count++] = c;
    stream.task = (uint64_t)a;
    wl_rng_permutation(stream, count, order);
    for (int64_t i = 0; i < count; i++) order[i] = at[order[i]];
    memcpy(at, order, (size_t)count * sizeof *order);
    o->start[a + 1] = n += count;
  }
  wl_free(order);
  return WL_OK;
}

static wl_status new_pool(pool *p, int64_t room) {
  p->count = 0;
  return WL_NEW(p->at, room > 0 ? room : 1);
}

/* Assigns the alphabets to training, evaluation and tuning. `eligible` contains the alphabets in a
 * random order. If no alphabet remains for tuning, the alphabets for training are used. */
static wl_status deal_alphabets(const wl_map *map, omniglot *o, const int64_t *eligible,
                                int64_t count) {
  const int64_t train = o->keys.alphabets, test = o->keys.test_alphabets;
  if (train + test > count)
    return wl_map_fail(
        map, "alphabets",
        "%lld alphabets for training and %lld alphabets in `test_alphabets` are needed, but the "
        "file has only %lld alphabets with %lld characters or more (`ways`); set smaller numbers",
        (long long)train, (long long)test, (long long)count, (long long)o->ways);
  for (int64_t i = 0; i < count; i++) {
    pool *p = &o->pools[i < train ? FOR_TRAINING : i < train + test ? FOR_EVALUATION : FOR_TUNING];
    p->at[p->count++] = eligible[i];
  }
  if (o->pools[FOR_TUNING].count > 0) return WL_OK;
  memcpy(o->pools[FOR_TUNING].at, o->pools[FOR_TRAINING].at, (size_t)train * sizeof(int64_t));
  o->pools[FOR_TUNING].count = train;
  return WL_OK;
}

static wl_status split_alphabets(const wl_map *map, omniglot *o) {
  const int64_t all = o->glyphs->alphabets;
  int64_t *order = NULL, count = 0;
  WL_TRY(WL_NEW(order, all));
  wl_rng_permutation((wl_stream){.seed = (uint64_t)o->keys.alphabet_seed,
                                 .purpose = WL_FOR_DATASET,
                                 .index = SPLIT_ALPHABETS},
                     all, order);
  for (int64_t i = 0; i < all; i++)
    if (o->start[order[i] + 1] - o->start[order[i]] >= o->ways) order[count++] = order[i];
  const wl_status status = deal_alphabets(map, o, order, count);
  wl_free(order);
  return status;
}

static wl_status split_characters(const wl_map *map, omniglot *o) {
  const wl_glyphs *g = o->glyphs;
  for (int64_t c = 0; c < g->characters; c++) {
    const bool background = g->background[g->alphabet[c]] != 0;
    for (int p = 0; p < POOLS; p++)
      if (background == (p != FOR_EVALUATION)) o->pools[p].at[o->pools[p].count++] = c;
  }
  for (int p = 0; p < POOLS; p++)
    if (o->pools[p].count * o->quarters < o->ways)
      return wl_map_fail(map, "ways", "%lld classes are needed, but images_%s has only %lld "
                                      "characters; set a smaller number",
                         (long long)o->ways, p == FOR_EVALUATION ? "evaluation" : "background",
                         (long long)o->pools[p].count);
  return WL_OK;
}

static wl_status split(const wl_map *map, omniglot *o) {
  for (int p = 0; p < POOLS; p++)
    WL_TRY(new_pool(&o->pools[p], o->few_shot ? o->glyphs->characters : o->glyphs->alphabets));
  if (o->few_shot) return split_characters(map, o);
  WL_TRY(sort_members(o));
  return split_alphabets(map, o);
}

static size_t draw_size(const omniglot *o) {
  return (size_t)o->ways * (size_t)(2 + o->glyphs->drawers + o->shots + o->query) * sizeof(int64_t);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  /* The key alphabet_seed determines the split of the alphabets and the order of the characters in an
   * alphabet. All other random numbers are drawn for an episode. */
  (void)seed;
  omniglot *o = NULL;
  WL_TRY(WL_NEW(o, 1));
  task->impl = o;
  read_options(map, o);
  WL_TRY(wl_glyphs_open(o->keys.file, &o->glyphs));
  WL_TRY(check_options(map, o));
  WL_TRY(split(map, o));
  const wl_convnet_shape shape = {o->batch, 1, o->glyphs->rows, o->glyphs->columns, o->ways};
  WL_TRY(wl_convnet_build(map, &shape, task, &o->net));
  const int64_t images = o->ways * (o->shots < o->query ? o->shots : o->query);
  task->eval_batches = !o->few_shot && images >= o->batch ? images / o->batch : 1;
  task->draw_bytes = draw_size(o);
  return WL_OK;
}

static void destroy(wl_task *task) {
  omniglot *o = task->impl;
  for (int p = 0; p < POOLS; p++) wl_free(o->pools[p].at);
  wl_free(o->member);
  wl_free(o->start);
  wl_glyphs_close(&o->glyphs);
  wl_free(o);
}

/* ---- Drawing a task -------------------------------------------------------------------------- */

static drawn view(const omniglot *o, void *draw) {
  drawn d = {.character = draw};
  d.turn = d.character + o->ways;
  d.drawer = d.turn + o->ways;
  d.order[WL_SPLIT_TRAIN] = d.drawer + o->ways * o->glyphs->drawers;
  d.order[WL_SPLIT_HELDOUT] = d.order[WL_SPLIT_TRAIN] + o->ways * o->shots;
  return d;
}

static const pool *pool_of(const omniglot *o, wl_space space) {
  return &o->pools[space == WL_SPACE_EVAL   ? FOR_EVALUATION
                   : space == WL_SPACE_TUNE ? FOR_TUNING
                                            : FOR_TRAINING];
}

/* Draws the alphabet of an episode's unit. The alphabets are in a random order, and unit i uses
 * alphabet i modulo the number of alphabets. Two units have the same alphabet only if there are
 * more units than alphabets. */
static wl_status draw_alphabet(const omniglot *o, const wl_episode *episode, int64_t *alphabet) {
  const pool *p = pool_of(o, episode->space);
  wl_stream stream = wl_episode_stream(episode, WL_FOR_TASK, DRAW_POOL);
  int64_t *order = NULL;
  stream.task = 0;
  WL_TRY(WL_NEW(order, p->count));
  wl_rng_permutation(stream, p->count, order);
  *alphabet = p->at[order[episode->unit % p->count]];
  wl_free(order);
  return WL_OK;
}

static wl_status draw_multi_shot(const omniglot *o, const wl_episode *episode, drawn *d) {
  int64_t alphabet;
  WL_TRY(draw_alphabet(o, episode, &alphabet));
  memcpy(d->character, o->member + o->start[alphabet], (size_t)o->ways * sizeof *d->character);
  for (int64_t c = 0; c < o->ways; c++)
    for (int64_t i = 0; i < o->glyphs->drawers; i++) d->drawer[c * o->glyphs->drawers + i] = i;
  for (int s = 0; s < 2; s++)
    wl_rng_permutation(wl_episode_stream(episode, WL_FOR_TASK, (uint64_t)(DRAW_ORDER + 16 * s)),
                       o->ways * (s == WL_SPLIT_TRAIN ? o->shots : o->query), d->order[s]);
  return WL_OK;
}

/* Draws `ways` different classes from the characters that training, tuning or evaluation may use.
 * If a class was drawn before, another class is drawn in its place. */
static void draw_classes(const omniglot *o, const wl_episode *episode, drawn *d) {
  const pool *p = pool_of(o, episode->space);
  const wl_stream stream = wl_episode_stream(episode, WL_FOR_TASK, DRAW_CHARACTERS);
  const uint64_t classes = (uint64_t)(p->count * o->quarters);
  uint64_t element = 0;
  for (int64_t c = 0; c < o->ways; c++) {
    bool seen = true;
    while (seen) {
      int64_t drawn_class;
      wl_rng_index(stream, element++, 1, classes, &drawn_class);
      d->character[c] = p->at[drawn_class / o->quarters];
      d->turn[c] = drawn_class % o->quarters;
      seen = false;
      for (int64_t i = 0; i < c; i++)
        seen = seen || (d->character[i] == d->character[c] && d->turn[i] == d->turn[c]);
    }
  }
}

static wl_status sample(const wl_task *task, const wl_episode *episode, void *draw) {
  const omniglot *o = task->impl;
  drawn d = view(o, draw);
  if (!o->few_shot) return draw_multi_shot(o, episode, &d);
  draw_classes(o, episode, &d);
  for (int64_t c = 0; c < o->ways; c++)
    wl_rng_permutation(wl_episode_stream(episode, WL_FOR_TASK, (uint64_t)(DRAW_DRAWERS + 16 * c)),
                       o->glyphs->drawers, d.drawer + c * o->glyphs->drawers);
  return WL_OK;
}

/* ---- Batches --------------------------------------------------------------------------------- */

/* Returns the split from which the images of a batch are taken. In few-shot tasks, the training
 * split is the support set. */
static wl_split split_of(const omniglot *o, const wl_batch *batch) {
  if (!o->few_shot || batch->purpose == WL_FOR_EVAL_BATCH) return batch->split;
  return batch->purpose == WL_FOR_INNER_BATCH ? WL_SPLIT_TRAIN : WL_SPLIT_HELDOUT;
}

/* Returns the index, among the `images` images of the split, of the image in row r of the batch. */
static int64_t choose(const omniglot *o, const wl_episode *episode, const drawn *d,
                      const wl_batch *batch, int64_t images, int64_t r) {
  if (o->few_shot) return r % images;
  if (batch->purpose == WL_FOR_EVAL_BATCH)
    return d->order[batch->split][(batch->step * o->batch + r) % images];
  int64_t chosen;
  wl_rng_index(wl_episode_stream(episode, batch->purpose, (uint64_t)batch->step), (uint64_t)r, 1,
               (uint64_t)images, &chosen);
  return chosen;
}

/* Index, in the stream of a batch, of the first random number that determines a stretch of an
 * image. */
#define FIRST_STRETCH ((uint64_t)1 << 40)

/* Draws the random numbers for the distortion of the image in row r of this batch. */
static void draw_distortion(const wl_episode *episode, const wl_batch *batch, int64_t r,
                            double *u) {
  const uint64_t kind = 2 * (uint64_t)batch->purpose + (uint64_t)batch->split;
  const wl_stream stream =
      wl_episode_stream(episode, WL_FOR_AUGMENT, 64 * (uint64_t)batch->step + kind);
  const int64_t others = WL_DISTORTION_DRAWS - WL_STRETCH_DRAWS;
  wl_rng_uniform_double(stream, (uint64_t)(r * others), others, 0.0, 1.0, u);
  wl_rng_uniform_double(stream, FIRST_STRETCH + (uint64_t)(r * WL_STRETCH_DRAWS), WL_STRETCH_DRAWS,
                        0.0, 1.0, u + others);
}

static void load(const wl_task *task, const wl_episode *episode, const void *draw,
                 const wl_batch *batch, wl_tape_ws *tape_ws) {
  const omniglot *o = task->impl;
  const drawn d = view(o, (void *)draw);
  const wl_glyphs *g = o->glyphs;
  const bool adapting = split_of(o, batch) == WL_SPLIT_TRAIN;
  const int64_t per_class = adapting ? o->shots : o->query, first = adapting ? 0 : o->shots;
  wl_real *x = wl_tape_input_data(tape_ws, o->net.x);
  int32_t *labels = wl_tape_label_data(tape_ws, o->net.labels);
  for (int64_t r = 0; r < o->batch; r++) {
    const int64_t image = choose(o, episode, &d, batch, o->ways * per_class, r),
                  class = image / per_class;
    const int64_t drawer = d.drawer[class * g->drawers + first + image % per_class];
    double u[WL_DISTORTION_DRAWS];
    draw_distortion(episode, batch, r, u);
    wl_glyph_image(g, wl_glyphs_image(g, d.character[class], drawer), d.turn[class], &o->distortion,
                   u, x + r * g->pixels);
    wl_glyph_smooth(g, o->keys.smooth, x + r * g->pixels);
    labels[r] = (int32_t) class;
  }
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  const omniglot *o = task->impl;
  return wl_initialiser_theta0(&o->net.initialiser, task, episode, theta);
}

const wl_task_family wl_task_omniglot = {
    .name = "omniglot",
    .summary =
        "a convolutional network classifies handwritten characters of many alphabets, multi-shot "
        "or few-shot",
    .options = options,
    .few_shot = true,
    .create = create,
    .destroy = destroy,
    .sample = sample,
    .theta0 = theta0,
    .load = load,
};
