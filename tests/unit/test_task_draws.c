/* test_task_draws.c - tests the values that task families draw. The values must have the documented distributions. The
 * tests check the shape and both ends of each distribution, the frequencies of uniform choices, and the independence of
 * tasks, batches and steps. */
#include "glyphs_fixture.h"
#include "harness/distribution.h"
#include "task/dataset.h"

enum { TASKS = 4000 };

static wl_episode train_episode(int64_t index) {
  return (wl_episode){.seed = 11, .space = WL_SPACE_TRAIN, .index = index / 2, .unit = index % 2};
}

static void bind(fixture *f, int64_t index) {
  const wl_episode episode = train_episode(index);
  assert_ok(wl_task_bind(f->task, f->ws, &episode));
}

/* Returns the values of the input `name` of the task's tape after the most recent load of a batch. */
static const wl_real *input(const fixture *f, const char *name, int64_t *size) {
  for (int i = 0; i < wl_tape_leaf_count(f->task->tape); i++) {
    const wl_tape_leaf leaf = wl_tape_leaf_at(f->task->tape, i);
    if (strcmp(leaf.name, name) != 0) continue;
    if (size) *size = leaf.size;
    return wl_tape_input_data(wl_task_ws_tape(f->ws), leaf.node);
  }
  fail_msg("no input '%s'", name);
  return NULL;
}

static double *sample_of(int64_t n) {
  double *x = NULL;
  assert_ok(WL_NEW(x, n));
  return x;
}

/* ---- Sinusoids: a wave is fitted to its points ----------------------------------------------- */

typedef struct wave {
  double amplitude, phase, frequency, residual;
} wave;

/* Fits y = a sin(w x) + b cos(w x) to the points by least squares for a given frequency w. */
static wave fit_at(const wl_real *x, const wl_real *y, int64_t n, double w) {
  double ss = 0, sc = 0, cc = 0, ys = 0, yc = 0, yy = 0;
  for (int64_t i = 0; i < n; i++) {
    const double s = sin(w * (double)x[i]), c = cos(w * (double)x[i]), v = (double)y[i];
    ss += s * s, sc += s * c, cc += c * c, ys += v * s, yc += v * c, yy += v * v;
  }
  const double det = ss * cc - sc * sc;
  const double a = (ys * cc - yc * sc) / det, b = (yc * ss - ys * sc) / det;
  return (wave){hypot(a, b), atan2(b, a), w, yy - a * ys - b * yc};
}

/* Finds the frequency by a coarse search and then by a golden-section search, and fits the wave. */
static wave fit(const wl_real *x, const wl_real *y, int64_t n) {
  wave best = fit_at(x, y, n, 0.7);
  for (double w = 0.72; w <= 1.31; w += 0.02) {
    const wave here = fit_at(x, y, n, w);
    if (here.residual < best.residual) best = here;
  }
  double low = best.frequency - 0.02, high = best.frequency + 0.02;
  for (int i = 0; i < 30; i++) {
    const double a = high - 0.618034 * (high - low), b = low + 0.618034 * (high - low);
    if (fit_at(x, y, n, a).residual < fit_at(x, y, n, b).residual) high = b;
    else low = a;
  }
  return fit_at(x, y, n, 0.5 * (low + high));
}

static void check_waves(bool varying) {
  enum { WAVES = 2000, POINTS = 12 };
  double *amplitude = sample_of(WAVES), *phase = sample_of(WAVES), *frequency = sample_of(WAVES);
  double *x = sample_of(WAVES * POINTS);
  fixture f = open_fixture(varying ? "{family: sinusoid, shots: 12, frequency: varying}"
                                   : "{family: sinusoid, shots: 12}");
  for (int64_t i = 0; i < WAVES; i++) {
    const wl_batch batch = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, i};
    bind(&f, i);
    wl_task_load(f.task, f.ws, &batch);
    const wl_real *points = input(&f, "x", NULL), *y = input(&f, "y", NULL);
    const wave w = varying ? fit(points, y, POINTS) : fit_at(points, y, POINTS, 1.0);
    assert_true(w.residual <= 1e-4 * w.amplitude * w.amplitude);
    amplitude[i] = w.amplitude;
    phase[i] = varying ? w.phase : -w.phase;
    if (phase[i] < -0.01) phase[i] += 2 * M_PI; /* the fit may find the equivalent wave with a negative phase */
    frequency[i] = w.frequency;
    for (int64_t j = 0; j < POINTS; j++) x[i * POINTS + j] = (double)points[j];
  }
  const double slack = varying ? 5e-4 : 1e-5; /* largest accepted error of the fit */
  assert_uncorrelated("amplitude and phase", amplitude, phase, WAVES);
  assert_uncorrelated("amplitudes of two units", amplitude, amplitude + 1, WAVES - 1);
  if (varying) assert_uncorrelated("phase and frequency", phase, frequency, WAVES);
  assert_reaches_ends("amplitude", amplitude, WAVES, 0.1 - slack, 5 + slack, 1);
  assert_reaches_ends("phase", phase, WAVES, -slack, M_PI + slack, 1);
  assert_reaches_ends("x", x, WAVES * POINTS, -5, 5, 1);
  assert_distributed("amplitude", amplitude, WAVES, cdf_uniform, 0.1, 5);
  assert_distributed("phase", phase, WAVES, cdf_uniform, 0, M_PI);
  assert_distributed("x", x, WAVES * POINTS, cdf_uniform, -5, 5);
  if (varying) {
    assert_reaches_ends("frequency", frequency, WAVES, 0.8 - slack, 1.2 + slack, 1);
    assert_distributed("frequency", frequency, WAVES, cdf_uniform, 0.8, 1.2);
  }
  close_fixture(&f);
  wl_free(amplitude);
  wl_free(phase);
  wl_free(frequency);
  wl_free(x);
}

static void fixed_waves(void **state) {
  (void)state;
  check_waves(false);
}
static void varying_waves(void **state) {
  (void)state;
  check_waves(true);
}

/* The points of the query set must differ from the points of the support set. Within an episode, the support set and
 * the query set must be the same at every step. */
static void support_and_query(void **state) {
  (void)state;
  enum { POINTS = 50 };
  fixture f = open_fixture("{family: sinusoid, shots: 50}");
  double x[2][POINTS];
  for (int64_t step = 0; step < 2; step++)
    for (int query = 0; query < 2; query++) {
      const wl_batch batch = {query ? WL_FOR_OUTER_BATCH : WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN,
                              step};
      wl_task_load(f.task, f.ws, &batch);
      for (int64_t i = 0; i < POINTS; i++) {
        const double now = (double)input(&f, "x", NULL)[i];
        if (step > 0) assert_true(x[query][i] == now);
        x[query][i] = now;
      }
    }
  assert_uncorrelated("support and query", x[0], x[1], POINTS);
  close_fixture(&f);
}

/* ---- Families of functions ------------------------------------------------------------------- */

/* Collects all values of an input of the task's tape over several episodes. The caller must free the returned
 * array. */
static double *collect_input(const char *yaml, const char *name, int64_t episodes, int64_t *n) {
  fixture f = open_fixture(yaml);
  int64_t size = 0;
  input(&f, name, &size);
  double *x = sample_of(episodes * size);
  const wl_batch batch = {WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 0};
  for (int64_t e = 0; e < episodes; e++) {
    bind(&f, e);
    wl_task_load(f.task, f.ws, &batch);
    for (int64_t i = 0; i < size; i++) x[e * size + i] = (double)input(&f, name, NULL)[i];
  }
  close_fixture(&f);
  *n = episodes * size;
  return x;
}

static void check_input(const char *yaml, const char *name, distribution_cdf cdf, double a,
                        double b) {
  char what[256];
  int64_t n = 0;
  double *x = collect_input(yaml, name, 40, &n);
  snprintf(what, sizeof what, "%s of %s", name, yaml);
  if (cdf == cdf_uniform) assert_reaches_ends(what, x, n, a, b, 1);
  assert_distributed(what, x, n, cdf, a, b);
  wl_free(x);
}

static void quadratics(void **state) {
  (void)state;
  static const char gaussian[] = "{family: quadratic, dimension: 5, batch: 20}",
                    uniform[] =
                        "{family: quadratic, dimension: 5, batch: 20, distribution: uniform}";
  check_input(gaussian, "w", cdf_normal, 0, 1);
  check_input(gaussian, "y", cdf_normal, 0, 1);
  check_input(uniform, "w", cdf_uniform, 0, 1);
  check_input(uniform, "y", cdf_uniform, 0, 1);
}

/* Tests an integer coefficient of the surfaces. All integers must be equally frequent, and the coefficients of
 * different units and surfaces must be uncorrelated. */
static void check_coefficient(const char *name, int low, int high) {
  char what[64];
  int64_t n = 0, counts[16] = {0};
  double *x = collect_input("{family: mountain}", name, TASKS, &n);
  for (int64_t i = 0; i < n; i++) {
    const double value = strcmp(name, "inverse_s") == 0 ? 1.0 / x[i] : x[i];
    const int64_t k = llround(value) - low;
    assert_close(value, (double)(low + k), 1e-5);
    if (k >= 0 && k <= high - low) counts[k]++;
  }
  snprintf(what, sizeof what, "mountain's %s", name);
  assert_counts(what, counts, high - low + 1, NULL, n);
  assert_uncorrelated(what, x, x + 1, n - 1);
  wl_free(x);
}

/* Two coefficients of the same surface must also be uncorrelated. */
static void check_pair(const char *one, const char *other) {
  char what[64];
  int64_t n = 0;
  double *x = collect_input("{family: mountain}", one, TASKS, &n);
  double *y = collect_input("{family: mountain}", other, TASKS, &n);
  snprintf(what, sizeof what, "mountain's %s and %s", one, other);
  assert_uncorrelated(what, x, y, n);
  wl_free(x);
  wl_free(y);
}

static void mountains(void **state) {
  (void)state;
  check_pair("a1", "a2");
  check_pair("a2", "a3");
  check_pair("a3", "b1");
  check_pair("b1", "b2");
  check_pair("b2", "b3");
  check_pair("b3", "inverse_s");
  check_coefficient("a1", -1, 1);
  check_coefficient("a2", -1, 1);
  check_coefficient("a3", -1, 1);
  check_coefficient("b1", -5, 5);
  check_coefficient("b2", -5, 5);
  check_coefficient("b3", -5, 5);
  check_coefficient("inverse_s", 1, 10);
}

/* The difference between a point and the mean of its class must be distributed as N(0, I). Over all tasks, the means
 * must be distributed as N(0, separation^2 / d). */
static void logistic_points(void **state) {
  (void)state;
  enum { D = 4, SAMPLES = 400, BATCH = 400, EPISODES = 60 };
  static double means[EPISODES * 3 * D], around[EPISODES * BATCH * D];
  int64_t classes[3] = {0}, at = 0;
  fixture f = open_fixture(
      "{family: logistic, dimension: 4, classes: 3, samples: 400, batch: 400, separation: 3}");
  for (int64_t e = 0; e < EPISODES; e++) {
    /* this batch contains each point once */
    const wl_batch all = {WL_FOR_EVAL_BATCH, WL_SPLIT_TRAIN, 0};
    bind(&f, e);
    wl_task_load(f.task, f.ws, &all);
    const wl_real *x = input(&f, "x", NULL);
    const int32_t *label = NULL;
    for (int i = 0; i < wl_tape_leaf_count(f.task->tape); i++) {
      const wl_tape_leaf leaf = wl_tape_leaf_at(f.task->tape, i);
      if (strcmp(leaf.name, "labels") == 0)
        label = wl_tape_label_data(wl_task_ws_tape(f.ws), leaf.node);
    }
    double sum[3][D] = {{0}};
    int64_t members[3] = {0};
    for (int64_t i = 0; i < BATCH; i++) {
      members[label[i]]++;
      for (int64_t j = 0; j < D; j++) sum[label[i]][j] += (double)x[i * D + j];
    }
    for (int c = 0; c < 3; c++) {
      classes[c] += members[c];
      for (int64_t j = 0; j < D; j++) means[(e * 3 + c) * D + j] = sum[c][j] /= (double)members[c];
    }
    /* the test estimates the mean from the same points, so the test rescales the deviations */
    for (int64_t i = 0; i < BATCH; i++)
      for (int64_t j = 0; j < D; j++)
        around[at++] = ((double)x[i * D + j] - sum[label[i]][j]) *
                       sqrt((double)members[label[i]] / ((double)members[label[i]] - 1));
  }
  assert_counts("classes", classes, 3, NULL, (int64_t)EPISODES * BATCH);
  assert_distributed("class means", means, EPISODES * 3 * D, cdf_normal, 0,
                     sqrt(9.0 / D + 3.0 / SAMPLES));
  assert_distributed("points around them", around, at, cdf_normal, 0, 1);
  close_fixture(&f);
}

/* ---- Initial parameters ---------------------------------------------------------------------- */

/* Collects the elements of the tensor `name` of theta_0 over many episodes and tests their distribution. */
static void check_theta0(const char *yaml, const char *name, int64_t episodes, distribution_cdf cdf,
                         double a, double b) {
  char what[320];
  fixture f = open_fixture(yaml);
  const wl_tensor_entry *block = wl_layout_find(wl_task_theta(f.task), name);
  assert_non_null(block);
  const int64_t n = episodes * block->size;
  double *x = sample_of(n);
  for (int64_t e = 0; e < episodes; e++) {
    bind(&f, e);
    assert_ok(wl_task_theta0(f.task, f.ws, f.theta));
    for (int64_t i = 0; i < block->size; i++)
      x[e * block->size + i] = (double)f.theta[block->offset + i];
  }
  snprintf(what, sizeof what, "theta_0 %s of %s", name, yaml);
  if (cdf == NULL)
    for (int64_t i = 0; i < n; i++) assert_true(x[i] == a);
  else {
    assert_uncorrelated(what, x, x + 1, n - 1);
    if (cdf == cdf_uniform) assert_reaches_ends(what, x, n, a, b, 1);
    if (cdf == cdf_truncated)
      assert_reaches_ends(what, x, n, a - 2.0001 * b, a + 2.0001 * b, TRUNCATED_DENSITY);
    assert_distributed(what, x, n, cdf, a, b);
  }
  close_fixture(&f);
  wl_free(x);
}

static void initial_parameters(void **state) {
  (void)state;
  check_theta0("{family: sinusoid}", "dense2.weight", 8, cdf_truncated, 0, 0.01);
  check_theta0("{family: sinusoid}", "dense1.weight", 100, cdf_truncated, 0, 0.01);
  check_theta0("{family: sinusoid}", "dense1.bias", 3, NULL, 0, 0);
  check_theta0("{family: quadratic, dimension: 10, batch: 50}", "x", 8, cdf_normal, 0, 0.01);
  check_theta0("{family: mountain}", "x", TASKS, cdf_uniform, -3, 3);
  check_theta0("{family: rosenbrock, dimension: 4}", "x", TASKS, cdf_uniform, -2, 2);
  check_theta0("{family: rosenbrock, dimension: 4, start: normal, spread: 0.5}", "x", TASKS,
               cdf_normal, 0, 0.5);
  check_theta0("{family: logistic, dimension: 50, classes: 5, samples: 4, batch: 2}", "weight", 20,
               cdf_normal, 0, 0.01);
  check_theta0("{family: mlp, widths: [20], initial_scale: 0.3}", "dense1.weight", 2, cdf_normal, 0,
               0.3);
  check_theta0("{family: mlp, widths: [20]}", "dense1.bias", 200, cdf_normal, 0, 0.01);
}

static void initial_convolutions(void **state) {
  (void)state;
  static const char
      he[] = "{family: conv, filters: [6, 8], batch: 2, initialisation: he, batch_norm: true}",
      plain[] =
          "{family: conv, filters: [6, 8], batch: 2, initialisation: normal, initial_scale: 0.2}";
  check_theta0(he, "conv2.weight", 10, cdf_normal, 0, sqrt(2.0 / (6 * 9)));
  check_theta0(he, "conv2.bias", 2, NULL, 0, 0);
  check_theta0(he, "norm1.scale", 2, NULL, 1, 0);
  check_theta0(he, "norm1.shift", 2, NULL, 0, 0);
  check_theta0(plain, "conv2.weight", 10, cdf_normal, 0, 0.2);
  check_theta0(plain, "conv2.bias", 400, cdf_normal, 0, 0.2);
}

/* If the key data_seed is set, all episodes must have the same points, but different initial values theta_0. Another
 * value of data_seed must result in other points. If data_seed is not set, the points must differ between episodes. */
static void shared_points(void **state) {
  (void)state;
  static const char *const seeds[] = {"0", "5", "6"};
  wl_real point[3][2][8], theta[2][12];
  for (int s = 0; s < 3; s++) {
    char text[160];
    snprintf(text, sizeof text,
             "{family: logistic, dimension: 2, classes: 3, samples: 4, batch: 4, data_seed: %s}",
             seeds[s]);
    fixture f = open_fixture(text);
    for (int e = 0; e < 2; e++) {
      bind(&f, e);
      wl_task_load(f.task, f.ws, &(wl_batch){WL_FOR_EVAL_BATCH, WL_SPLIT_TRAIN, 0});
      memcpy(point[s][e], input(&f, "x", NULL), sizeof point[s][e]);
      assert_int_equal(wl_task_theta0(f.task, f.ws, theta[e]), WL_OK);
    }
    assert_true(memcmp(theta[0], theta[1], 6 * sizeof(wl_real)) != 0);
    close_fixture(&f);
  }
  assert_true(memcmp(point[0][0], point[0][1], sizeof point[0][0]) != 0);
  assert_true(memcmp(point[1][0], point[1][1], sizeof point[1][0]) == 0);
  assert_true(memcmp(point[1][0], point[2][0], sizeof point[1][0]) != 0);
}

/* ---- Batches --------------------------------------------------------------------------------- */

/* Finds which point each row of a batch contains, and returns the numbers of these points. The value of a point's
 * only feature identifies the point. */
static void draw_points(fixture *f, wl_batch batch, const double *point, int64_t n, double *which) {
  int64_t rows;
  wl_task_load(f->task, f->ws, &batch);
  const wl_real *x = input(f, "x", &rows);
  for (int64_t r = 0; r < rows; r++) {
    int64_t k = 0;
    while (k < n && point[k] != (double)x[r]) k++;
    assert_true(k < n);
    which[r] = (double)k;
  }
}

/* All points must be equally frequent in minibatches. Minibatches that differ in step, purpose or unit must contain
 * different points. */
static void minibatches(void **state) {
  (void)state;
  enum { POINTS = 16, BATCH = 32, STEPS = 300, N = BATCH * STEPS };
  static double first[N], outer[N];
  double point[POINTS];
  int64_t counts[2][POINTS] = {{0}};
  fixture f = open_fixture("{family: logistic, dimension: 1, samples: 16, batch: 32}");
  bind(&f, 0);
  wl_task_load(f.task, f.ws, &(wl_batch){WL_FOR_EVAL_BATCH, WL_SPLIT_TRAIN, 0});
  for (int64_t i = 0; i < POINTS; i++) point[i] = (double)input(&f, "x", NULL)[i];
  for (int64_t s = 0; s < STEPS; s++) {
    draw_points(&f, (wl_batch){WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, s}, point, POINTS,
                first + s * BATCH);
    draw_points(&f, (wl_batch){WL_FOR_OUTER_BATCH, WL_SPLIT_TRAIN, s}, point, POINTS,
                outer + s * BATCH);
  }
  for (int64_t i = 0; i < N; i++) {
    counts[0][(int)first[i]]++;
    counts[1][(int)outer[i]]++;
  }
  assert_counts("inner batches", counts[0], POINTS, NULL, N);
  assert_counts("outer batches", counts[1], POINTS, NULL, N);
  assert_uncorrelated("rows of a batch", first, first + 1, N - 1);
  assert_uncorrelated("batches of two steps", first, first + BATCH, N - BATCH);
  assert_uncorrelated("inner and outer batches", first, outer, N);
  close_fixture(&f);
}

/* ---- Characters ------------------------------------------------------------------------------ */

/* Finds the character and the drawer of an image without distortion. The result is -1 if the file does not contain
 * the image. */
static void identify(const wl_real *x, int64_t *character, int64_t *drawer) {
  *character = *drawer = -1;
  for (int64_t i = 0; i < GLYPH_CHARACTERS * GLYPH_DRAWERS; i++) {
    int64_t p = 0;
    while (p < GLYPH_PIXELS && x[p] == glyph_pixel(i / GLYPH_DRAWERS, i % GLYPH_DRAWERS, p)) p++;
    if (p == GLYPH_PIXELS) *character = i / GLYPH_DRAWERS, *drawer = i % GLYPH_DRAWERS;
  }
}

/* In few-shot tasks, all characters of Omniglot's background alphabets must be equally frequent, and so must all
 * drawers. */
static void few_shot_characters(void **state) {
  (void)state;
  enum { WAYS = 3, EPISODES = 1200 };
  int64_t characters[GLYPH_CHARACTERS] = {0}, drawers[GLYPH_DRAWERS] = {0}, at = 0;
  static double drawn[WAYS * EPISODES];
  fixture f = open_fixture(
      "{family: omniglot, file: tiny.glyphs, protocol: few-shot, ways: 3, shots: 1, query: 1, "
      "filters: [2]}");
  for (int64_t e = 0; e < EPISODES; e++) {
    bind(&f, e);
    wl_task_load(f.task, f.ws, &(wl_batch){WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, 0});
    for (int64_t r = 0; r < WAYS; r++) {
      int64_t character, drawer;
      identify(input(&f, "x", NULL) + r * GLYPH_PIXELS, &character, &drawer);
      assert_true(character >= 0 && glyph_background[glyph_alphabet(character)]);
      characters[character]++;
      drawers[drawer]++;
      drawn[e * WAYS + r] = (double)drawer;
    }
  }
  for (int64_t c = 0; c < GLYPH_CHARACTERS; c++)
    if (glyph_background[glyph_alphabet(c)]) characters[at++] = characters[c];
  assert_counts("characters", characters, at, NULL, WAYS * EPISODES);
  assert_counts("drawers", drawers, GLYPH_DRAWERS, NULL, WAYS * EPISODES);
  assert_uncorrelated("drawers of two characters", drawn, drawn + 1, WAYS * EPISODES - 1);
  close_fixture(&f);
}

/* In multi-shot tasks, all alphabets for training must be equally frequent, and so must all images of the split. */
static void multi_shot_images(void **state) {
  (void)state;
  enum { ROWS = 10, EPISODES = 1200 };
  int64_t alphabets[GLYPH_ALPHABETS] = {0}, drawers[GLYPH_DRAWERS] = {0}, used = 0;
  static double drawn[ROWS * EPISODES];
  fixture f = open_fixture(
      "{family: omniglot, file: tiny.glyphs, ways: 5, shots: 4, query: 2, batch: 10, "
      "alphabets: 2, test_alphabets: 1, filters: [2]}");
  for (int64_t e = 0; e < EPISODES; e++) {
    const wl_episode episode = {11, WL_SPACE_TRAIN, e, 0};
    int64_t character = -1, drawer = -1;
    assert_ok(wl_task_bind(f.task, f.ws, &episode));
    wl_task_load(f.task, f.ws, &(wl_batch){WL_FOR_INNER_BATCH, WL_SPLIT_TRAIN, e});
    for (int64_t r = 0; r < ROWS; r++) {
      identify(input(&f, "x", NULL) + r * GLYPH_PIXELS, &character, &drawer);
      drawers[drawer]++;
      drawn[e * ROWS + r] = (double)drawer;
    }
    alphabets[glyph_alphabet(character)]++;
  }
  for (int64_t a = 0; a < GLYPH_ALPHABETS; a++)
    if (alphabets[a] > 0) alphabets[used++] = alphabets[a];
  assert_int_equal(used, 2);
  assert_counts("alphabets", alphabets, 2, NULL, EPISODES);
  assert_counts("drawers to train on", drawers, 4, NULL, ROWS * EPISODES);
  assert_uncorrelated("images of a batch", drawn, drawn + 1, ROWS * EPISODES - 1);
  close_fixture(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fixed_waves),
      cmocka_unit_test(varying_waves),
      cmocka_unit_test(support_and_query),
      cmocka_unit_test(quadratics),
      cmocka_unit_test(mountains),
      cmocka_unit_test(logistic_points),
      cmocka_unit_test(shared_points),
      cmocka_unit_test(initial_parameters),
      cmocka_unit_test(initial_convolutions),
      cmocka_unit_test(minibatches),
      cmocka_unit_test(few_shot_characters),
      cmocka_unit_test(multi_shot_images),
  };
  install_glyphs();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
