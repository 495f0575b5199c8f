/* language_model.c - defines the task family `language-model`: recurrent networks that predict the
 * next character of a text.
 *
 * - The input x_t of a time step is the row E_{token_t} (d) of the embedding table E. The cell computes h_t and c_t
 *   from x_t, h_{t-1} and c_{t-1}. The states h_0 and c_0 are learned and are initially zero.
 * - The loss L is the mean of cross-entropy(h_t W + b, token_{t+1}) over the T time steps and B sequences.
 * - The cell `vanilla` computes h' = tanh(x W_x + h W_h + b).
 * - The cell `gru` computes gates z, r = sigmoid(x W_x + h W_h + b) and a = tanh(x W_x + (r h) W_h + b), and then
 *   h' = h + z (a - h) (Cho et al. 2014).
 * - The cell `lstm` computes i, g, f, o = x W_x + h W_h + b, and then c' = sigmoid(f + 1) c + sigmoid(i) tanh g and
 *   h' = sigmoid(o) tanh c'.
 *
 * The matrices W_x and W_h of all gates are stored as one weight [W_x; W_h] of shape (d + H, G H),
 * where G is the number of gates. In the weight [W_x; W_h], the gates have the order of the
 * formulas above. The fan-in of the weight [W_x; W_h] is d + H. Sizes and initial values are the
 * same as in google/learned_optimization (tasks/fixed/rnn_lm.py). The rows of a time step are
 * contiguous: token t of sequence b is row t B + b. */
#include "task/family.h"
#include "task/initialiser.h"
#include "task/text.h"

typedef struct language_model {
  wl_text_source source;
  wl_initialiser initialiser;
  enum { VANILLA, GRU, LSTM } cell;
  int64_t embedding, hidden; /* d, H */
  wl_node tokens, next, ones;
} language_model;

/* The nodes of the cell at the time step that is being added to the tape. */
typedef struct cell {
  wl_tape *tape;
  int64_t hidden;    /* H */
  wl_node recurrent; /* W_h (H, gates H) */
  wl_node h, c;      /* state h and cell state c, each of shape (B,H); only the LSTM has c */
} cell;

static const wl_option options[] = {
    WL_TEXT_OPTIONS(language_model, source),
    {"cell", WL_OPT_CHOICE, "lstm", "vanilla|gru|lstm", 0, 0, "1", "Recurrent cell.",
     WL_SLOT(language_model, cell)},
    {"embedding", WL_OPT_INT, "64", NULL, 1, 1e5, "1", "Number of elements of the vector for a "
                                                       "character.",
     WL_SLOT(language_model, embedding)},
    {"hidden", WL_OPT_INT, "128", NULL, 1, 1e5, "1", "Number of units of the cell.",
     WL_SLOT(language_model, hidden)},
    WL_INITIALISER_OPTIONS("fan-in", language_model, initialiser),
    {0}};

static wl_node gate(const cell *m, wl_node gates, int64_t number) {
  return wl_op_columns(m->tape, gates, number * m->hidden, m->hidden);
}

static void step_vanilla(cell *m, wl_node x) {
  wl_tape *t = m->tape;
  m->h = wl_op_tanh(t, wl_op_add(t, x, wl_op_matmul(t, m->h, m->recurrent)));
}

static void step_gru(cell *m, wl_node x) {
  wl_tape *t = m->tape;
  const wl_node of_gates = wl_op_columns(t, m->recurrent, 0, 2 * m->hidden),
                of_candidate = gate(m, m->recurrent, 2);
  const wl_node gates = wl_op_sigmoid(
      t, wl_op_add(t, wl_op_columns(t, x, 0, 2 * m->hidden), wl_op_matmul(t, m->h, of_gates)));
  const wl_node reset = wl_op_mul(t, gate(m, gates, 1), m->h);
  const wl_node candidate =
      wl_op_tanh(t, wl_op_add(t, gate(m, x, 2), wl_op_matmul(t, reset, of_candidate)));
  const wl_node change = wl_op_mul(t, gate(m, gates, 0), wl_op_sub(t, candidate, m->h));
  m->h = wl_op_add(t, m->h, change);
}

static void step_lstm(cell *m, wl_node x) {
  wl_tape *t = m->tape;
  const wl_node gates = wl_op_add(t, x, wl_op_matmul(t, m->h, m->recurrent));
  const wl_node input = wl_op_sigmoid(t, gate(m, gates, 0)),
                candidate = wl_op_tanh(t, gate(m, gates, 1));
  const wl_node forget = wl_op_sigmoid(t, wl_op_shift(t, gate(m, gates, 2), 1.0));
  m->c = wl_op_add(t, wl_op_mul(t, forget, m->c), wl_op_mul(t, input, candidate));
  m->h = wl_op_mul(t, wl_op_sigmoid(t, gate(m, gates, 3)), wl_op_tanh(t, m->c));
}

static const struct {
  int64_t gates;
  void (*step)(cell *m, wl_node x);
} cells[] = {[VANILLA] = {1, step_vanilla}, [GRU] = {3, step_gru}, [LSTM] = {4, step_lstm}};

/* Stacks the matrices of `count` nodes below each other (along the first dimension). The function
 * calls itself for each
 * half of the nodes. */
static wl_node stack(wl_tape *t, const wl_node *nodes, int64_t count) {
  if (count == 1) return nodes[0];
  return wl_op_concat(t, stack(t, nodes, count / 2),
                      stack(t, nodes + count / 2, count - count / 2));
}

/* Adds a learned initial state (H), which all sequences share, and returns a copy of this state for
 * each sequence (B,H). The result is the product of a column of ones (B,1) and a row (1,H). */
static wl_node initial_state(const language_model *m, wl_tape *t, const char *name) {
  const wl_node row = wl_tape_theta(t, name, 1, &m->hidden);
  return wl_op_matmul(t, m->ones, wl_op_reshape(t, row, 2, (const int64_t[]){1, m->hidden}));
}

/* Adds the operators of all time steps of the cell to the tape. *out is the node with the states
 * h_1 to h_T, of shape (T B,H). */
static wl_status unroll(const language_model *m, wl_tape *t, wl_node *out) {
  const int64_t batch = m->source.batch, length = m->source.length, d = m->embedding;
  const int64_t width = cells[m->cell].gates * m->hidden;
  const wl_node table =
      wl_tape_theta(t, "embedding.weight", 2, (const int64_t[]){m->source.text->vocabulary, d});
  const wl_node weight =
      wl_tape_theta(t, "cell.weight", 2, (const int64_t[]){d + m->hidden, width});
  const wl_node bias = wl_tape_theta(t, "cell.bias", 1, &width);
  const wl_node x = wl_op_embedding(t, table, m->tokens);
  const wl_node inputs = wl_op_add_bias(t, wl_op_matmul(t, x, wl_op_rows(t, weight, 0, d)), bias);
  cell state = {t, m->hidden, wl_op_rows(t, weight, d, m->hidden), initial_state(m, t, "initial.h"),
                -1};
  if (m->cell == LSTM) state.c = initial_state(m, t, "initial.c");
  wl_node *h = NULL;
  WL_TRY(WL_NEW(h, length));
  for (int64_t i = 0; i < length; i++) {
    cells[m->cell].step(&state, wl_op_rows(t, inputs, i * batch, batch));
    h[i] = state.h;
  }
  *out = stack(t, h, length);
  wl_free(h);
  return WL_OK;
}

static wl_status build(language_model *m, wl_task *task) {
  WL_TRY(wl_tape_create(&task->tape));
  wl_tape *t = task->tape;
  const int64_t rows = m->source.batch * m->source.length;
  m->tokens = wl_tape_labels(t, "tokens", rows);
  m->next = wl_tape_labels(t, "next", rows);
  m->ones = wl_tape_input(t, "ones", 2, (const int64_t[]){m->source.batch, 1});
  wl_node h;
  WL_TRY(unroll(m, t, &h));
  const wl_node logits = wl_net_dense(t, h, 1, m->hidden, m->source.text->vocabulary);
  return wl_tape_finish(t, wl_op_softmax_cross_entropy(t, logits, m->next), logits, m->next);
}

static wl_status create(const wl_map *map, uint64_t seed, wl_task *task) {
  /* `seed` is unused: the text does not depend on the seed, and random numbers are drawn only for
   * an episode. */
  (void)seed;
  language_model *m = NULL;
  WL_TRY(WL_NEW(m, 1));
  task->impl = m;
  wl_map_read(map, options, m);
  WL_TRY(wl_text_source_open(map, task, &m->source));
  WL_TRY(build(m, task));
  task->n = wl_task_theta(task)->size;
  return WL_OK;
}

static void destroy(wl_task *task) {
  language_model *m = task->impl;
  wl_text_source_close(&m->source);
  wl_free(m);
}

static wl_status theta0(const wl_task *task, const wl_episode *episode, wl_real *theta) {
  const language_model *m = task->impl;
  return wl_initialiser_theta0(&m->initialiser, task, episode, theta);
}

static void bind(const wl_task *task, const wl_episode *episode, const void *draw,
                 wl_tape_ws *tape_ws) {
  (void)episode, (void)draw;
  const language_model *m = task->impl;
  wl_real *ones = wl_tape_input_data(tape_ws, m->ones);
  for (int64_t b = 0; b < m->source.batch; b++) ones[b] = 1;
}

static void load(const wl_task *task, const wl_episode *episode, const void *draw,
                 const wl_batch *batch, wl_tape_ws *tape_ws) {
  (void)draw;
  const language_model *m = task->impl;
  wl_text_source_load(&m->source, episode, batch, false, wl_tape_label_data(tape_ws, m->tokens),
                      wl_tape_label_data(tape_ws, m->next));
}

const wl_task_family wl_task_language_model = {
    .name = "language-model",
    .summary = "a recurrent network predicts the next character of a text; the cell is a vanilla, "
               "GRU or LSTM cell",
    .options = options,
    .create = create,
    .destroy = destroy,
    .theta0 = theta0,
    .bind = bind,
    .load = load,
};
