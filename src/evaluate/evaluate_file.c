/* evaluate_file.c - writes an evaluation as an HDF5 file with one group for each case. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evaluate/evaluate.h"
#include "io/checkpoint.h"

enum { FIELDS_OF_CASE = 11, NAME_LENGTH = 32 };

/* The values of one case in the layout of the datasets, copied from the entries of the case. */
typedef struct tables {
  /* these arrays have the shape [rules][seeds], except `curve`, which has the shape
   * [rules][seeds][steps] */
  double *curve, *final, *heldout, *accuracy;
  double *rate;                               /* [rules] */
  int64_t *diverged;                          /* [rules] */
  uint8_t *names;                             /* [rules][NAME_LENGTH] name of each rule */
  /* four numbers: mean loss at theta_0; difference of log10 of the final losses; half width of the
   * interval of this difference; verdict */
  double summary[4];
  /* two numbers: final loss of the learned rule minus final loss of the best hand-designed rule;
   * half width of the interval of this difference */
  double gap[2];
  /* three numbers: coverage of the warp; advantage of the warp; half width of the interval of the
   * advantage */
  double warp[3];
} tables;

static wl_status fill(const wl_eval_case *c, tables *t) {
  const size_t seeds = (size_t)c->seeds, steps = (size_t)c->steps, rules = (size_t)c->entries;
  WL_TRY(WL_NEW(t->curve, rules * seeds * steps));
  WL_TRY(WL_NEW(t->final, rules * seeds));
  WL_TRY(WL_NEW(t->heldout, rules * seeds));
  WL_TRY(WL_NEW(t->accuracy, rules * seeds));
  WL_TRY(WL_NEW(t->rate, rules));
  WL_TRY(WL_NEW(t->diverged, rules));
  WL_TRY(WL_NEW(t->names, rules * NAME_LENGTH));
  for (size_t i = 0; i < rules; i++) {
    const wl_eval_entry *e = &c->entry[i];
    memcpy(t->curve + i * seeds * steps, e->curve, seeds * steps * sizeof(double));
    memcpy(t->final + i * seeds, e->final, seeds * sizeof(double));
    memcpy(t->heldout + i * seeds, e->heldout, seeds * sizeof(double));
    memcpy(t->accuracy + i * seeds, e->accuracy, seeds * sizeof(double));
    memcpy(t->names + i * NAME_LENGTH, e->rule,
           strlen(e->rule) < NAME_LENGTH ? strlen(e->rule) : NAME_LENGTH - 1);
    t->rate[i] = e->rate;
    t->diverged[i] = e->diverged;
  }
  const double summary[] = {c->start, c->difference, c->difference_half, c->verdict};
  memcpy(t->summary, summary, sizeof summary);
  const double gap[] = {c->gap, c->gap_half};
  memcpy(t->gap, gap, sizeof gap);
  const double warp[] = {c->coverage, c->advantage, c->advantage_half};
  memcpy(t->warp, warp, sizeof warp);
  return WL_OK;
}

static void clear(tables *t) {
  void *const owned[] = {t->curve, t->final,    t->heldout, t->accuracy,
                         t->rate,  t->diverged, t->names};
  for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) wl_free(owned[i]);
}

/* The dimensions of a dataset: number of dimensions, and name and length of each dimension. */
typedef struct extent {
  int ndim;
  struct {
    const char *name;
    int64_t length;
  } side[3];
} extent;

/* Returns the description of the dataset "case-NN/name", where NN is `number`. */
static wl_field field(int number, const char *name, wl_type type, extent over, void *data,
                      const char *meaning) {
  wl_field f = {.type = type, .ndim = over.ndim, .data = data, .units = "1"};
  snprintf(f.name, sizeof f.name, "case-%02d/%s", number, name);
  snprintf(f.long_name, sizeof f.long_name, "%s", meaning);
  for (int i = 0; i < over.ndim; i++) {
    f.shape[i] = over.side[i].length;
    snprintf(f.dims[i], sizeof f.dims[i], "%s", over.side[i].name);
  }
  return f;
}

static int list_case(int i, const wl_eval_case *c, tables *t, wl_field *out) {
  const extent rules = {1, {{"rule", c->entries}}},
               sets = {2, {{"rule", c->entries}, {"seed", c->seeds}}},
               steps = {3, {{"rule", c->entries}, {"seed", c->seeds}, {"inner_step", c->steps}}},
               names = {2, {{"rule", c->entries}, {"character", NAME_LENGTH}}},
               text = {1, {{"character", (int64_t)strlen(c->name)}}}, four = {1, {{"quantity", 4}}},
               three = {1, {{"quantity", 3}}}, two = {1, {{"quantity", 2}}};
  const wl_field all[] = {
      field(i, "name", WL_UINT8, text, (void *)c->name,
            "name of the case, which says what differs from the trained setting, in ASCII"),
      field(i, "rule_name", WL_UINT8, names, t->names,
            "name of each rule in ASCII, padded with zeros"),
      field(i, "curve", WL_FLOAT64, steps, t->curve,
            "minibatch loss at theta_t, as a mean over the tasks of a set"),
      field(i, "final_loss", WL_FLOAT64, sets, t->final,
            "loss on the fixed sample after the last step"),
      field(i, "heldout_loss", WL_FLOAT64, sets, t->heldout, "loss on the held-out split after the last step"),
      field(i, "heldout_accuracy", WL_FLOAT64, sets, t->accuracy,
            "fraction of the held-out samples that are classified correctly"),
      field(i, "learning_rate", WL_FLOAT64, rules, t->rate, "tuned learning rate; NaN for the learned rule"),
      field(i, "diverged", WL_INT64, rules, t->diverged, "number of runs whose loss became non-finite"),
      field(
          i, "summary", WL_FLOAT64, four, t->summary,
          "loss at theta_0; log10 of the ratio of final losses (learned / best rule); half width of its "
          "interval; verdict (0 wins, 1 ties, 2 loses, 3 fails)"),
      field(i, "difference", WL_FLOAT64, two, t->gap,
            "mean over sets of the final loss of the learned rule minus the final loss of the best "
            "hand-designed rule; half width of the interval of this mean"),
      field(
          i, "warp", WL_FLOAT64, three, t->warp,
          "fraction of the starting square that the warp reaches; final loss without the warp minus final "
          "loss with it; half width of the interval of this difference")};
  _Static_assert(sizeof all == FIELDS_OF_CASE * sizeof *all, "FIELDS_OF_CASE must be the number of elements of "
                                                             "`all`");
  /* the last dataset exists only in a case with an explicit warp */
  const bool warped = !isnan(c->coverage);
  const int count = (int)(sizeof all / sizeof *all) - (warped ? 0 : 1);
  memcpy(out, all, (size_t)count * sizeof *all);
  return count;
}

static wl_status write(const char *path, const wl_trained *trained, const char *settings,
                       const wl_field *fields, int count) {
  char *text = NULL, steps[32];
  snprintf(steps, sizeof steps, "%lld", (long long)trained->meta_steps);
  wl_status status = wl_config_to_yaml(trained->config, &text);
  const wl_attribute attributes[] = {{"configuration", text},     {"digest", trained->digest},
                                     {"meta_steps", steps},       {"source", trained->source},
                                     {"precision", WL_REAL_NAME}, {"settings", settings}};
  if (status == WL_OK) status = wl_file_write(path, "evaluation", fields, count, attributes, 6);
  free(text);
  return status;
}

wl_status wl_eval_write(const char *path, const wl_trained *trained, const char *settings,
                        const wl_eval_case *cases, int count) {
  tables *t = NULL;
  wl_field *fields = NULL;
  int n = 0;
  wl_status status = WL_NEW(t, count);
  if (status == WL_OK) status = WL_NEW(fields, count * FIELDS_OF_CASE);
  for (int i = 0; status == WL_OK && i < count; i++) {
    if (cases[i].entries == 0) continue;
    status = fill(&cases[i], &t[i]);
    if (status == WL_OK) n += list_case(i, &cases[i], &t[i], fields + n);
  }
  if (status == WL_OK) status = write(path, trained, settings, fields, n);
  for (int i = 0; t && i < count; i++) clear(&t[i]);
  wl_free(t);
  wl_free(fields);
  return status;
}
