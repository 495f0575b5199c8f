/* transformer.c - defines the task family `transformer`: a transformer with one block predicts the
 * next character of a text.
 *
 * - The input is x = E_{token} + P_t (B,T,d), where E and P are the embeddings of tokens and positions.
 * - The block computes x <- x + attention(norm x) W_o + b_o, and then x <- x + gelu(norm x W_1 + b_1) W_2 + b_2.
 * - The loss L is the mean of cross-entropy(norm x W + b, next token) over sequences and tokens.
 *
 * The attention (Vaswani et al. 2017) computes queries, keys and values (q, k, v) = x W_qkv + b,
 * and divides them into `heads` parts. The result of each head is softmax(q k^T / sqrt(d / heads))
 * v. Each token attends only to itself and to the tokens before it. Each norm is a layer norm with
 * scale and shift. As in GPT-2, there is a norm before the attention, before the dense part and
 * before the output layer. Token t of sequence b is row b T + t. */
#include <math.h>

#include "task/family.h"
#include "task/initialiser.h"
#include "task/text.h"

typedef struct transformer {
  wl_text_source source;
  wl_initialiser initialiser;
  /* width d, number of attention heads, and number of hidden units of the dense part */
  int64_t width, heads, hidden;
  wl_node tokens, next;
} transformer;

static const wl_option options[] = {
    WL_TEXT_OPTIONS(transformer, source),
    {"width", WL_OPT_INT, "32", NULL, 1, 1e5, "1", "Number of elements d of the vector for a token.",
     WL_SLOT(transformer, width)},
    {"heads", WL_OPT_INT, "2", NULL, 1, 1e4, "1", "Number of attention heads. `width` must be a "
                                                  "multiple of this number.",
     WL_SLOT(transformer, heads)},
    {"hidden", WL_OPT_INT, "0", NULL, 0, 1e6, "1",
     "Number of hidden units of the dense part. With 0, this number is four times `width`.",
     WL_SLOT(transformer, hidden)},
    WL_INITIALISER_OPTIONS("fan-in", transformer, initialiser),
    {0}};

/* Returns x W + b. `weight` and `bias` are the names of the parameters W (in,out) and b (out). */
static wl_node affine(wl_tape *t, wl_node x, const char *weight, const char *bias, int64_t in,
                      int64_t out) {
  const wl_node w = wl_tape_theta(t, weight, 2, (const int64_t[]){in, out});
  return wl_op_add_bias(t, wl_op_matmul(t, x, w), wl_tape_theta(t, bias, 1, &out));
}

/* Returns q, k or v (for `number` 0, 1 or 2) from qkv (B T, 3 d), divided into heads. The result
 * has the shape (B heads, T, d / heads). */
static wl_node head_part(const transformer *m, wl_tape *t, wl_node qkv, int64_t number) {
  const int64_t b = m->source.batch, length = m->source.length, h = m->heads, d = m->width / h;
  const wl_node part = wl_op_columns(t, qkv, number * m->width, m->width);
  const wl_node split = wl_op_reshape(t, part, 4, (const int64_t[]){b, length, h, d});
  return wl_op_reshape(t, wl_op_swap(t, split), 3, (const int64_t[]){b * h, length, d});
}

static wl_node attend(const transformer *m, wl_tape *t, wl_node x) {
  const int64_t b = m->source.batch, length = m->source.length, h = m->heads, d = m->width / h;
  const wl_node qkv = affine(t, x, "qkv.weight", "qkv.bias", m->width, 3 * m->width);
  const wl_node q = head_part(m, t, qkv, 0), k = head_part(m, t, qkv, 1),
                v = head_part(m, t, qkv, 2);
  const wl_node scores = wl_op_scale(t, wl_op_batched_matmul_nt(t, q, k), 1.0 / sqrt((double)d));
  const wl_node mixed = wl_op_batched_matmul(t, wl_op_causal_softmax(t, scores), v);
  const wl_node heads =
      wl_op_swap(t, wl_op_reshape(t, mixed, 4, (const int64_t[]){b, h, length, d}));
  const wl_node joined = wl_op_reshape(t, heads, 2, (const int64_t[]){b * length, m->width});
  return affine(t, joined, "attention.weight", "attention.bias", m->width, m->width);
}

/* Returns, for each token, the sum of the token's embedding and the position's embedding, of shape
 * (B T, d). */
static wl_node embed(const transformer *m, wl_tape *t) {
  const int64_t b = m->source.batch, size = m->source.length * m->width;
  const wl_node table = wl_tape_theta(t, "embedding.weight", 2,
                                      (const int64_t[]){m->source.text->vocabulary, m->width});
  const wl_node places = wl_op_reshape(
      t, wl_tape_theta(t, "embedding.places", 2, (const int64_t[]){m->source.length, m->width}), 1,
      &size);
  const wl_node x =
      wl_op_reshape(t, wl_op_embedding(t, table, m->tokens), 2, (const int64_t[]){b, size});
  return wl_op_reshape(t, wl_op_add_bias(t, x, places), 2,
                       (const int64_t[]){b * m->source.length, m->width});
}

static wl_status build(transformer *m, wl_task *task) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  const int64_t rows = m->source.batch * m->source.length, d = m->width;
  m->tokens = wl_tape_labels(t, "tokens", rows);
  m->next = wl_tape_labels(t, "next", rows);
  wl_node x = embed(m, t);
  x = wl_op_add(t, x, attend(m, t, wl_net_normalise(t, x, "norm1", d, WL_NORM_LAYER)));
  const wl_node unit = wl_net_normalise(t, x, "norm2", d, WL_NORM_LAYER);
  const wl_node hidden =
      wl_op_gelu(t, affine(t, unit, "dense1.weight", "dense1.bias", d, m->hidden));
  x = wl_op_add(t, x, affine(t, hidden, "dense2.weight", "dense2.bias", m->hidden, d));
  const wl_node logits = wl_net_dense(t, wl_net_normalise(t, x, "norm3", d, WL_NORM_LAYER), 3, d,
                                      m->source.text->vocabulary);
  return wl_tape_finish(t, wl_op_softmax_cross_entropy(t, logits, m->next), logits, m->next);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  /* `seed` is unused: the text does not depend on the seed, and random numbers are drawn only for
   * an episode. */
  (void)seed;
  transformer *m = NULL;
  WL_TRY(WL_NEW(m, 1));
  task->impl = m;
  wl_map_read(map, options, m);
  WL_TRY(wl_text_source_open(map, task, &m->source));
  if (m->hidden == 0) m->hidden = 4 * m->width;
  if (m->width % m->heads != 0)
    return wl_map_fail(map, "heads", "the number of heads %lld does not divide the width %lld; "
                                     "choose a divisor of the width", (long long)m->heads,
                       (long long)m->width);
  WL_TRY(build(m, task));
  task->n = wl_task_theta(task)->size;
  return WL_OK;
}

static void destroy(wl_task *task) {
  transformer *m = task->impl;
  wl_text_source_close(&m->source);
  wl_free(m);
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  const transformer *m = task->impl;
  return wl_initialiser_theta0(&m->initialiser, task, episode, theta);
}

static void load(const wl_task *task, const wl_episode *episode, const void *draw,
                 const wl_batch *batch, wl_tape_ws *tape_ws) {
  (void)draw;
  const transformer *m = task->impl;
  wl_text_source_load(&m->source, episode, batch, true, wl_tape_label_data(tape_ws, m->tokens),
                      wl_tape_label_data(tape_ws, m->next));
}

const wl_task_family wl_task_transformer = {
    .name = "transformer",
    .summary = "a transformer with one block of attention and dense layers predicts the next "
               "character of a text",
    .options = options,
    .create = create,
    .destroy = destroy,
    .theta0 = theta0,
    .load = load,
};
