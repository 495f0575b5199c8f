/* test_vary.c - tests which settings `warploom eval --vary` adds to an evaluation. The option must vary only keys
 * that the task family has, and it must omit settings that are equal to the present setting. If the family has no
 * key that the option can vary, a message must name the family. */
#include "cmocka_all.h"

#include <stdio.h>
#include <string.h>

#include "evaluate/evaluate.h"
#include "train/schema.h"

/* Prints an override of a key as "task.widths=[40, 60]", and an override of the horizon as "5" or "x 2". */
static void write_variation(const wl_variation *v, FILE *out) {
  const wl_override *o = &v->override;
  if (!o->path) {
    fprintf(out, v->steps > 0 ? "%lld" : "x %lld",
            (long long)(v->steps > 0 ? v->steps : v->steps_factor));
    return;
  }
  fprintf(out, "%s=", o->path);
  if (o->kind == WL_OVERRIDE_TEXT) fputs(o->text, out);
  if (o->kind == WL_OVERRIDE_REAL) fprintf(out, "%.17g", o->real);
  if (o->kind != WL_OVERRIDE_INTS) return;
  for (int i = 0; i < o->ints.count; i++)
    fprintf(out, "%s%lld", i ? ", " : "[", (long long)o->ints.at[i]);
  fputc(']', out);
}

/* Tests which overrides the value `axis` of --vary causes for a task. `wanted` contains the expected overrides,
 * separated by spaces. If no override is expected, `wanted` is the expected explanation. */
static void expect(const char *task, const char *axis, const char *wanted) {
  char text[2048], found[1024] = "", note[160];
  wl_config *config = NULL;
  wl_variation v[WL_MAX_VARIATIONS];
  int count = 0;
  snprintf(text, sizeof text, "task: %s\n", task);
  assert_int_equal(wl_config_parse(text, "test", wl_schema(), NULL, 0, &config), WL_OK);
  assert_int_equal(wl_variations(config, axis, v, &count, note, sizeof note), WL_OK);
  FILE *const stream = fmemopen(found, sizeof found, "w");
  assert_non_null(stream);
  for (int i = 0; i < count; i++) {
    if (i) fputc(' ', stream);
    write_variation(&v[i], stream);
  }
  fclose(stream);
  assert_string_equal(count > 0 ? found : note, wanted);
  wl_config_destroy(&config);
}

static void horizons(void **state) {
  (void)state;
  expect("{family: quadratic}", "horizon", "x 2 x 5");
  expect("{family: sinusoid}\nepisode: {steps: 5}", "steps", "1 10");
  expect("{family: sinusoid}\nepisode: {steps: [1, 20]}", "steps", "1 5 10");
}

static void widths(void **state) {
  (void)state;
  expect("{family: mlp, widths: [20, 30]}", "width", "task.widths=[40, 60]");
  expect("{family: mlp, widths: []}", "width",
         "the task family 'mlp' has no setting of the axis 'width' in this configuration");
  expect("{family: mlp, widths: []}", "depth",
         "the task family 'mlp' has no setting of the axis 'depth' in this configuration");
  expect("{family: conv, filters: [8, 16]}", "width", "task.filters=[16, 32]");
  expect("{family: conv, filters: [8, 16]}", "depth", "task.filters=[8, 16, 16]");
  expect("{family: omniglot, filters: [8], widths: [5]}", "width",
         "task.widths=[10] task.filters=[16]");
  expect("{family: quadratic}", "width", "task.dimension=20");
}

static void data(void **state) {
  (void)state;
  expect("{family: quadratic}", "data", "task.distribution=uniform");
  expect("{family: mlp}", "data",
         "task.data=digits task.data=fashion-mnist task.data=mnist task.data=cifar-10");
  expect("{family: sinusoid}", "data", "task.frequency=varying");
  expect("{family: mountain}", "data", "task.surface=shared");
  expect("{family: logistic, separation: 3}", "data", "task.separation=1.5 task.separation=6");
  expect("{family: omniglot}", "data",
         "the task family 'omniglot' has no setting of the axis 'data' in this configuration");
}

static void scales(void **state) {
  (void)state;
  expect("{family: mlp, loss_scale: 2}", "scale",
         "task.loss_scale=0.20000000000000001 task.loss_scale=20");
  expect(
      "{family: rosenbrock}", "scale",
      "task.loss_scale=0.10000000000000001 task.loss_scale=10 task.curvature=10 task.curvature=1000");
  expect("{family: sinusoid}", "activation",
         "task.activation=sigmoid task.activation=tanh task.activation=elu task.activation=gelu");
}

/* An override whose string is too long for its field must be omitted. */
static void long_lists(void **state) {
  (void)state;
  char task[2000] = "{family: mlp, widths: [";
  for (size_t i = 0; i < WL_VARIED_INTS; i++) strcat(task, "100, ");
  strcat(task, "100]}");
  expect(task, "width", "the task family 'mlp' has no setting of the axis 'width' in this configuration");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(horizons), cmocka_unit_test(widths),
                                     cmocka_unit_test(data), cmocka_unit_test(scales),
                                     cmocka_unit_test(long_lists)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
