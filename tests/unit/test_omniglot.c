/* test_omniglot.c - tests the batches of the family omniglot. The test searches the file for each image of a batch.
 * The position of the image determines its character, its drawer and the number of quarter turns. These values must
 * agree with the label. */
#include "glyphs_fixture.h"
#include "task/glyph_image.h"

enum { MOST_ROWS = 64, EPISODES = 12, UNITS = 2, TURNS = 4 };

typedef struct found {
  int64_t character, drawer, turn, label;
} found;

/* Returns the pixel in row i and column j of an image after `turn` quarter turns. */
static uint8_t turned(int64_t character, int64_t drawer, int64_t turn, int64_t i, int64_t j) {
  for (int64_t t = 0; t < turn; t++) {
    const int64_t row = i;
    i = j;
    j = GLYPH_SIDE - 1 - row;
  }
  return glyph_pixel(character, drawer, i * GLYPH_SIDE + j);
}

static bool shows(const wl_real *x, int64_t character, int64_t drawer, int64_t turn) {
  for (int64_t p = 0; p < GLYPH_PIXELS; p++)
    if (x[p] != turned(character, drawer, turn, p / GLYPH_SIDE, p % GLYPH_SIDE)) return false;
  return true;
}

static found identify(const wl_real *x, int32_t label) {
  for (int64_t i = 0; i < GLYPH_CHARACTERS * GLYPH_DRAWERS * TURNS; i++) {
    const found f = {i / TURNS / GLYPH_DRAWERS, i / TURNS % GLYPH_DRAWERS, i % TURNS, label};
    if (shows(x, f.character, f.drawer, f.turn)) return f;
  }
  fail_msg("an image that is not in the file");
  return (found){0};
}

/* Finds the character, the drawer and the number of quarter turns of each row of a batch in the bound episode.
 * Returns the number of rows. */
static int64_t look(fixture *f, wl_batch batch, found rows[MOST_ROWS]) {
  wl_tape_ws *tape = wl_task_ws_tape(f->ws);
  wl_task_load(f->task, f->ws, &batch);
  const wl_tape_leaf x = wl_tape_leaf_at(f->task->tape, 0),
                     labels = wl_tape_leaf_at(f->task->tape, 1);
  for (int64_t r = 0; r < labels.size; r++)
    rows[r] = identify(wl_tape_input_data(tape, x.node) + r * GLYPH_PIXELS,
                       wl_tape_label_data(tape, labels.node)[r]);
  return labels.size;
}

static void bind(fixture *f, wl_space space, int64_t index, int64_t unit) {
  const wl_episode episode = {.seed = 3, .space = space, .index = index, .unit = unit};
  assert_ok(wl_task_bind(f->task, f->ws, &episode));
}

/* ---- Multi-shot ------------------------------------------------------------------------------ */

#define BASE "{family: omniglot, file: tiny.glyphs, ways: 5, query: 2, test_alphabets: 1"
#define MULTI BASE ", shots: 4, batch: 10, alphabets: 2, filters: [2]"

/* character[a][c] is the number of the character with the label c in the alphabet a. This number must be the same in
 * all episodes. The number is -1 if no episode has contained this label. space[a] is the random space in which the
 * alphabet a occurs, or -1 if the alphabet has not occurred. */
typedef struct seen {
  int64_t character[GLYPH_ALPHABETS][5], space[GLYPH_ALPHABETS];
} seen;

static void note(seen *s, const found *row, wl_space space) {
  const int64_t a = glyph_alphabet(row->character);
  if (s->character[a][row->label] < 0) s->character[a][row->label] = row->character;
  assert_int_equal(s->character[a][row->label], row->character);
  if (s->space[a] < 0) s->space[a] = space;
  assert_int_equal(s->space[a], space);
}

static int64_t check_multi_shot_batch(fixture *f, seen *s, wl_space space, wl_batch batch) {
  found rows[MOST_ROWS];
  const int64_t n = look(f, batch, rows);
  assert_int_equal(n, 10);
  for (int64_t r = 0; r < n; r++) {
    note(s, &rows[r], space);
    assert_int_equal(rows[r].turn, 0);
    assert_int_equal(rows[r].drawer < 4, batch.split == WL_SPLIT_TRAIN);
    assert_int_equal(glyph_alphabet(rows[r].character), glyph_alphabet(rows[0].character));
  }
  return glyph_alphabet(rows[0].character);
}

static void test_multi_shot(void **state) {
  (void)state;
  static const wl_space spaces[] = {WL_SPACE_TRAIN, WL_SPACE_TUNE, WL_SPACE_EVAL};
  fixture f = open_fixture(MULTI "}");
  seen s;
  memset(&s, -1, sizeof s);
  for (int k = 0; k < 3; k++)
    for (int64_t index = 0; index < EPISODES; index++) {
      int64_t alphabet[UNITS];
      for (int64_t unit = 0; unit < UNITS; unit++) {
        bind(&f, spaces[k], index, unit);
        alphabet[unit] = check_multi_shot_batch(
            &f, &s, spaces[k], (wl_batch){WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, index});
        check_multi_shot_batch(&f, &s, spaces[k],
                               (wl_batch){WL_FOR_OUTER_BATCH, WL_SPLIT_HELDOUT, index});
      }
      /* if there are enough alphabets, two units must have different alphabets */
      if (spaces[k] == WL_SPACE_TRAIN) assert_true(alphabet[0] != alphabet[1]);
    }
  int of_space[3] = {0};
  for (int a = 0; a < GLYPH_ALPHABETS; a++)
    for (int k = 0; k < 3; k++) of_space[k] += s.space[a] == (int64_t)spaces[k];
  assert_int_equal(of_space[0], 2);
  assert_int_equal(of_space[1], 1); /* this split contains one of the four alphabets with enough characters */
  assert_int_equal(of_space[2], 1);
  assert_int_equal(s.space[1], -1); /* an alphabet with only three characters */
  close_fixture(&f);
}

/* An evaluation of the held-out split must use each image exactly once. */
static void test_evaluation_sample(void **state) {
  (void)state;
  fixture f = open_fixture(BASE ", shots: 4, batch: 5, alphabets: 2, filters: [2]}");
  int64_t count[GLYPH_CHARACTERS][GLYPH_DRAWERS] = {{0}}, seen_once = 0;
  assert_int_equal(f.task->eval_batches, 2);
  for (int64_t b = 0; b < 2; b++) {
    found rows[MOST_ROWS];
    const int64_t n = look(&f, (wl_batch){WL_FOR_EVAL_BATCH, WL_SPLIT_HELDOUT, b}, rows);
    for (int64_t r = 0; r < n; r++) count[rows[r].character][rows[r].drawer]++;
  }
  for (int64_t i = 0; i < GLYPH_CHARACTERS * GLYPH_DRAWERS; i++)
    seen_once += count[i / GLYPH_DRAWERS][i % GLYPH_DRAWERS] == 1;
  assert_int_equal(seen_once, 10);
  close_fixture(&f);
}

/* In a network without convolutions, batch norm must follow each dense layer, as in the published fully connected
 * network. */
static void test_fully_connected(void **state) {
  (void)state;
  fixture f = open_fixture(BASE ", shots: 4, batch: 5, alphabets: 2, filters: [], widths: [7, 3]}");
  const wl_layout *theta = wl_task_theta(f.task);
  assert_int_equal(f.n, (GLYPH_PIXELS + 1) * 7 + 2 * 7 + 8 * 3 + 2 * 3 + 4 * 5);
  assert_non_null(wl_layout_find(theta, "dense_norm2.scale"));
  close_fixture(&f);
  f = open_fixture(BASE ", shots: 4, batch: 5, alphabets: 2, filters: [2], widths: [7]}");
  assert_null(wl_layout_find(wl_task_theta(f.task), "dense_norm1.scale"));
  close_fixture(&f);
}

/* If norm_statistics is `training`, the loss of an evaluation must differ from the loss that is computed with the
 * statistics of each batch. Repeated evaluations must have the same loss, and they must not change the loss of inner
 * steps. */
static void test_statistics(void **state) {
  (void)state;
  double loss[2], accuracy;
  for (int held = 0; held < 2; held++) {
    fixture f = open_fixture(held ? MULTI ", norm_statistics: training}" : MULTI "}");
    const wl_batch inner = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 0};
    const double before =
        wl_task_loss(f.task, f.ws, &(wl_task_point){&inner, f.theta, NULL}, f.grad, NULL);
    loss[held] = wl_task_evaluate(f.task, f.ws, WL_SPLIT_HELDOUT, f.theta, NULL, &accuracy);
    assert_true(wl_task_evaluate(f.task, f.ws, WL_SPLIT_HELDOUT, f.theta, NULL, &accuracy) ==
                loss[held]);
    assert_true(wl_task_loss(f.task, f.ws, &(wl_task_point){&inner, f.theta, NULL}, f.grad, NULL) ==
                before);
    close_fixture(&f);
  }
  assert_true(isfinite(loss[1]) && loss[0] != loss[1]);
}

/* Only the key alphabet_seed determines to which split each alphabet belongs. The seed of the run must not change
 * this division, so that all evaluations use the same alphabets. */
static void test_alphabet_seed(void **state) {
  (void)state;
  int64_t different = 0;
  found a[MOST_ROWS], b[MOST_ROWS];
  for (int seed = 2; seed < 8; seed++) {
    char yaml[256];
    snprintf(yaml, sizeof yaml, MULTI ", alphabet_seed: %d}", seed);
    fixture f = open_fixture(MULTI "}"), g = open_fixture(yaml);
    bind(&f, WL_SPACE_EVAL, 0, 0);
    bind(&g, WL_SPACE_EVAL, 0, 0);
    look(&f, (wl_batch){WL_FOR_EVAL_BATCH, WL_SPLIT_HELDOUT, 0}, a);
    look(&g, (wl_batch){WL_FOR_EVAL_BATCH, WL_SPLIT_HELDOUT, 0}, b);
    different += glyph_alphabet(a[0].character) != glyph_alphabet(b[0].character);
    close_fixture(&f);
    close_fixture(&g);
  }
  assert_true(different > 0);
}

/* ---- Few-shot -------------------------------------------------------------------------------- */

/* Checks that all images with the same label are of the same character in the same quarter turn. The images must come
 * from `each` different drawers, and each of these drawers must occur in `times` images. Two labels must not have the
 * same character in the same quarter turn. If the drawer d occurs, sets bit number d of drawers[label]. */
static void check_set(const found *rows, int64_t n, int64_t ways, int64_t each, int64_t times,
                      uint64_t drawers[]) {
  int64_t count[8][GLYPH_DRAWERS] = {{0}}, character[8], turn[8];
  assert_int_equal(n, ways * each * times);
  memset(character, -1, sizeof character);
  for (int64_t r = 0; r < n; r++) {
    const int64_t c = rows[r].label;
    if (character[c] < 0) character[c] = rows[r].character, turn[c] = rows[r].turn;
    assert_int_equal(character[c], rows[r].character);
    assert_int_equal(turn[c], rows[r].turn);
    count[c][rows[r].drawer]++;
  }
  for (int64_t c = 0; c < ways; c++) {
    drawers[c] = 0;
    for (int64_t d = 0; d < GLYPH_DRAWERS; d++) {
      if (count[c][d] == 0) continue;
      assert_int_equal(count[c][d], times);
      drawers[c] |= UINT64_C(1) << d;
    }
    assert_int_equal(__builtin_popcountll(drawers[c]), each);
    for (int64_t b = 0; b < c; b++)
      assert_false(character[b] == character[c] && turn[b] == turn[c]);
  }
}

/* Checks the support set and the query set of one episode. Returns the largest number of quarter turns in these
 * sets. */
static int64_t check_few_shot_episode(fixture *f, wl_space space) {
  found support[MOST_ROWS], query[MOST_ROWS];
  uint64_t of_support[8], of_query[8];
  int64_t turn = 0;
  const int64_t n = look(f, (wl_batch){WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 0}, support);
  check_set(support, n, 4, 1, 3, of_support);
  check_set(query, look(f, (wl_batch){WL_FOR_OUTER_BATCH, WL_SPLIT_TRAIN, 0}, query), 4, 3, 1,
            of_query);
  for (int64_t c = 0; c < 4; c++) assert_int_equal(of_support[c] & of_query[c], 0);
  for (int64_t r = 0; r < n; r++) {
    assert_int_equal(glyph_background[glyph_alphabet(support[r].character)],
                     space != WL_SPACE_EVAL);
    turn = support[r].turn > turn ? support[r].turn : turn;
  }
  found again[MOST_ROWS];
  look(f, (wl_batch){WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 5}, again);
  assert_memory_equal(again, support, (size_t)n * sizeof *again);
  look(f, (wl_batch){WL_FOR_EVAL_BATCH, WL_SPLIT_HELDOUT, 0}, again);
  assert_memory_equal(again, query, (size_t)n * sizeof *again);
  return turn;
}

static void test_few_shot(void **state) {
  (void)state;
  for (int quarter_turns = 0; quarter_turns < 2; quarter_turns++) {
    char yaml[256];
    int64_t turn = 0;
    snprintf(
        yaml, sizeof yaml,
        "{family: omniglot, file: tiny.glyphs, protocol: few-shot, ways: 4, shots: 1, query: 3, "
        "filters: [2], quarter_turns: %s}",
        quarter_turns ? "true" : "false");
    fixture f = open_fixture(yaml);
    for (int64_t index = 0; index < 2 * EPISODES; index++) {
      const wl_space space = index % 2 ? WL_SPACE_EVAL : WL_SPACE_TRAIN;
      bind(&f, space, index, 1);
      const int64_t largest = check_few_shot_episode(&f, space);
      turn = largest > turn ? largest : turn;
    }
    assert_int_equal(turn, quarter_turns ? 3 : 0);
    close_fixture(&f);
  }
}

/* ---- Distortions ----------------------------------------------------------------------------- */

typedef struct distorted {
  wl_glyphs glyphs;
  uint8_t ink[GLYPH_PIXELS];
  wl_real x[GLYPH_PIXELS];
} distorted;

static distorted distort(int64_t turn, wl_distortion d, double u0, double u1, double u2,
                         double u3) {
  distorted out = {.glyphs = {.rows = GLYPH_SIDE, .columns = GLYPH_SIDE, .pixels = GLYPH_PIXELS}};
  const double u[WL_DISTORTION_DRAWS] = {u0, u1, u2, u3};
  for (int64_t p = 0; p < GLYPH_PIXELS; p++) out.ink[p] = glyph_pixel(4, 2, p);
  wl_glyph_image(&out.glyphs, out.ink, turn, &d, u, out.x);
  return out;
}

/* Returns the ink in row i and column j of the image, and 0 for positions outside of the image. */
static double ink_at(const distorted *d, int64_t i, int64_t j) {
  return i >= 0 && i < GLYPH_SIDE && j >= 0 && j < GLYPH_SIDE ? d->ink[i * GLYPH_SIDE + j] : 0;
}

static void test_distortions(void **state) {
  (void)state;
  const distorted shifted =
      distort(0, (wl_distortion){.shift = 0.25}, 0, 1, 0, 0); /* this distortion moves the image by two pixels */
  const distorted small = distort(0, (wl_distortion){.scale = 0.5}, 0, 0, 0, 0); /* the distorted image has half the
                                                                                  * size */
  const distorted large =
      distort(0, (wl_distortion){.scale = 0.5}, 0, 0, 0, 1); /* the distorted image is 1.5 times as large */
  for (int64_t i = 0; i < GLYPH_SIDE; i++)
    for (int64_t j = 0; j < GLYPH_SIDE; j++) {
      const int64_t at = i * GLYPH_SIDE + j;
      assert_close((double)shifted.x[at], ink_at(&shifted, i - 2, j + 2), 0);
      assert_close((double)small.x[at], ink_at(&small, 2 * i - 3, 2 * j - 3), 0);
      assert_close((double)large.x[at], ink_at(&large, (2 * i + 5) / 3, (2 * j + 5) / 3), 0);
    }
  const distorted by_angle =
      distort(0, (wl_distortion){.rotate = 180}, 0.75, 0, 0, 0); /* 90 degrees */
  const distorted by_turn = distort(1, (wl_distortion){0}, 0, 0, 0, 0);
  assert_memory_equal(by_angle.x, by_turn.x, sizeof by_turn.x);
  assert_true(shows(by_turn.x, 4, 2, 1));
}

/* Along the direction with the angle b, a point of the source image is 1 / k times as far from the centre as the
 * corresponding point of the output. Perpendicular to this direction, the point of the source image is k times as far
 * from the centre. Quarter turns must rotate the stretched image. */
static void test_stretch(void **state) {
  (void)state;
  const double k = 1.4, b = 0.3 * M_PI, along[2] = {cos(b), sin(b)};
  distorted x[2];
  for (int64_t turn = 0; turn < 2; turn++) {
    x[turn] =
        (distorted){.glyphs = {.rows = GLYPH_SIDE, .columns = GLYPH_SIDE, .pixels = GLYPH_PIXELS}};
    for (int64_t p = 0; p < GLYPH_PIXELS; p++) x[turn].ink[p] = glyph_pixel(4, 2, p);
    wl_glyph_image(&x[turn].glyphs, x[turn].ink, turn, &(wl_distortion){.stretch = 0.8},
                   (const double[WL_DISTORTION_DRAWS]){0, 0, 0, 0, 0.3, 0.5}, x[turn].x);
  }
  const double middle = 0.5 * (GLYPH_SIDE - 1);
  for (int64_t i = 0; i < GLYPH_SIDE; i++)
    for (int64_t j = 0; j < GLYPH_SIDE; j++) {
      const double r = (double)i - middle, c = (double)j - middle;
      const double far = (along[0] * r + along[1] * c) / k,
                   side = (along[0] * c - along[1] * r) * k;
      const double row = middle + along[0] * far - along[1] * side,
                   column = middle + along[1] * far + along[0] * side;
      assert_close((double)x[0].x[i * GLYPH_SIDE + j],
                   ink_at(&x[0], (int64_t)floor(row + 0.5), (int64_t)floor(column + 0.5)), 0);
      assert_close((double)x[1].x[i * GLYPH_SIDE + j],
                   (double)x[0].x[j * GLYPH_SIDE + GLYPH_SIDE - 1 - i], 0);
    }
}

/* The image must move by whole pixels, so that its centre of mass is near the centre of the square. The image must be
 * moved before it is turned. An empty image must remain unchanged. */
static void test_centre(void **state) {
  (void)state;
  const wl_glyphs g = {.rows = 5, .columns = 5, .pixels = 25};
  const wl_distortion d = {.centre = true};
  const double u[WL_DISTORTION_DRAWS] = {0};
  uint8_t ink[25] = {0};
  wl_real x[25], nothing[25] = {0};
  wl_glyph_image(&g, ink, 0, &d, u, x);
  assert_memory_equal(x, nothing, sizeof x);
  /* the centre of mass is in row 0.25 and column 0.75, so the image moves down by two pixels and right by one
   * pixel */
  ink[0] = ink[1] = ink[2] = ink[5] = 1;
  wl_glyph_image(&g, ink, 0, &d, u, x);
  for (int p = 0; p < 25; p++)
    assert_true(x[p] == (wl_real)(p == 11 || p == 12 || p == 13 || p == 16));
  wl_glyph_image(&g, ink, 2, &d, u, x);
  for (int p = 0; p < 25; p++)
    assert_true(x[p] == (wl_real)(p == 13 || p == 12 || p == 11 || p == 8));
}

/* An image of one point must become the outer product of the filter with itself. Ink that the filter moves beyond the
 * edge of the image must be lost. */
static void test_smoothing(void **state) {
  (void)state;
  const wl_glyphs g = {.rows = 3, .columns = 4, .pixels = 12};
  wl_real x[12] = {0}, y[12] = {0};
  x[1 * 4 + 0] = 16;
  wl_glyph_smooth(&g, 1, x);
  const double expected[12] = {2, 1, 0, 0, 4, 2, 0, 0, 2, 1, 0, 0};
  for (int p = 0; p < 12; p++) assert_close((double)x[p], expected[p], 0);
  y[1 * 4 + 0] = 16;
  wl_glyph_smooth(&g, 1, x);
  wl_glyph_smooth(&g, 2, y);
  assert_memory_equal(x, y, sizeof x);
  wl_glyph_smooth(&g, 0, y);
  assert_memory_equal(x, y, sizeof x);
}

/* The key `smooth` must change the images of a batch. */
static void test_smooth_batch(void **state) {
  (void)state;
  fixture plain = open_fixture(MULTI "}"), smooth = open_fixture(MULTI ", smooth: 2}");
  const wl_tape_leaf x = wl_tape_leaf_at(plain.task->tape, 0);
  const wl_batch batch = {WL_FOR_EVAL_BATCH, WL_SPLIT_TRAIN, 0};
  wl_task_load(plain.task, plain.ws, &batch);
  wl_task_load(smooth.task, smooth.ws, &batch);
  wl_real *from = wl_tape_input_data(wl_task_ws_tape(plain.ws), x.node);
  const wl_real *to = wl_tape_input_data(wl_task_ws_tape(smooth.ws), x.node);
  const wl_glyphs g = {.rows = GLYPH_SIDE, .columns = GLYPH_SIDE, .pixels = GLYPH_PIXELS};
  for (int r = 0; r < 10; r++) wl_glyph_smooth(&g, 2, from + r * GLYPH_PIXELS);
  assert_memory_equal(from, to, 10 * GLYPH_PIXELS * sizeof *from);
  close_fixture(&plain);
  close_fixture(&smooth);
}

/* The images of different batches must have different distortions. The images of the same batch must always have the
 * same distortions. */
static void check_augmentation(const char *config) {
  fixture f = open_fixture(config);
  const wl_tape_leaf x = wl_tape_leaf_at(f.task->tape, 0);
  const wl_batch batch = {WL_FOR_EVAL_BATCH, WL_SPLIT_TRAIN, 0},
                 other = {WL_FOR_EVAL_BATCH, WL_SPLIT_TRAIN, 2};
  wl_real first[10 * GLYPH_PIXELS];
  wl_task_load(f.task, f.ws, &batch);
  memcpy(first, wl_tape_input_data(wl_task_ws_tape(f.ws), x.node), sizeof first);
  /* the data set has 20 images, and batches have 10 images, so batch 2 has the same images as batch 0 */
  wl_task_load(f.task, f.ws, &other);
  assert_memory_not_equal(first, wl_tape_input_data(wl_task_ws_tape(f.ws), x.node), sizeof first);
  wl_task_load(f.task, f.ws, &batch);
  assert_memory_equal(first, wl_tape_input_data(wl_task_ws_tape(f.ws), x.node), sizeof first);
  close_fixture(&f);
}

static void test_augmentation(void **state) {
  (void)state;
  check_augmentation(MULTI ", augment_rotate: 30, augment_shift: 0.1, augment_scale: 0.2}");
  check_augmentation(MULTI ", augment_stretch: 0.5}");
}

/* ---- Failures -------------------------------------------------------------------------------- */

static void test_impossible_options(void **state) {
  (void)state;
  static const char *const bad[][2] = {
      {BASE ", shots: 5, alphabets: 2, filters: [2]}", "shots"},
      {BASE ", shots: 4, alphabets: 4, filters: [2]}", "only 4"},
      {BASE ", shots: 4, alphabets: 2, filters: [2, 2, 2, 2]}", "filters"},
      {"{family: omniglot, file: tiny.glyphs, protocol: few-shot, shots: 2, query: 3}", "must be a multiple"},
      {"{family: omniglot, file: tiny.glyphs, protocol: few-shot, ways: 15, filters: [2]}",
       "background"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    wl_task *task = NULL;
    assert_int_equal(task_from(bad[i][0], &task), WL_ERR_CONFIG);
    assert_null(task);
    if (!strstr(wl_last_error(), bad[i][1])) fail_msg("no '%s' in: %s", bad[i][1], wl_last_error());
  }
}

static void grey(wl_field *fields) { ((uint8_t *)fields[0].data)[17] = 2; }
static void stray(wl_field *fields) { ((int64_t *)fields[1].data)[3] = GLYPH_ALPHABETS; }
static void longer(wl_field *fields) { fields[0].shape[0]--; }

static void test_damaged_file(void **state) {
  (void)state;
  static const struct {
    void (*damage)(wl_field *);
    const char *word;
  } cases[] = {{grey, "pixel 17"}, {stray, "character 3"}, {longer, "25 characters"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    wl_task *task = NULL;
    glyph_damage = cases[i].damage;
    assert_int_equal(task_from(MULTI "}", &task), WL_ERR_DATA);
    assert_non_null(strstr(wl_last_error(), cases[i].word));
  }
  glyph_damage = NULL;
  wl_task *task = NULL;
  assert_int_equal(task_from("{family: omniglot, file: nowhere.h5}", &task), WL_ERR_NO_INPUT);
  assert_non_null(strstr(wl_last_error(), "pack_omniglot"));
}

int main(void) {
  install_glyphs();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_multi_shot),      cmocka_unit_test(test_evaluation_sample),
      cmocka_unit_test(test_alphabet_seed),   cmocka_unit_test(test_few_shot),
      cmocka_unit_test(test_fully_connected), cmocka_unit_test(test_statistics),
      cmocka_unit_test(test_distortions),     cmocka_unit_test(test_centre),
      cmocka_unit_test(test_stretch),         cmocka_unit_test(test_smoothing),
      cmocka_unit_test(test_smooth_batch),    cmocka_unit_test(test_augmentation),
      cmocka_unit_test(test_damaged_file),    cmocka_unit_test(test_impossible_options)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
