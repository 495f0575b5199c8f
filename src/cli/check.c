/* check.c - `warploom check CONFIG`: compares meta-gradients with central differences and prints a table. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "check/check.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "train/schema.h"

static const wl_argument arguments[] = {
    {"set", "KEY=VALUE",
     "override a key of the configuration, such as --set window.order=second; this option may be repeated"},
    {"directions", "N", "number of random directions along which each block is checked; default 3"},
    {"tolerance", "X", "largest relative error with which a block passes; default 1e-7"},
    {"windows", "N",
     "number of windows that run before the checked window, so that the rule has a nonzero state. The default "
     "is 1. If the episode is too short or theta_0 is learned, the default is 0"},
    {"dump", "FILE",
     "also write an HDF5 file from which another program can compute the meta-gradients"},
    {"json", "FILE", "also write the table as JSON to FILE; the name - means standard output"},
    {0}};

/* ---- For people ----------------------------------------------------------------------------- */

static void shape_text(const wl_check_block *b, char *text, size_t size) {
  size_t used = 0;
  text[0] = '\0';
  for (int d = 0; d < b->ndim && used < size; d++)
    used += (size_t)snprintf(text + used, size - used, "%s%lld", d ? " x " : "",
                             (long long)b->shape[d]);
}

static const char *verdict(const wl_check_block *b) {
  if (b->zero) return "zero";
  if (b->kink) return "kink";
  if (b->faint) return "faint";
  return b->passed ? "ok" : "WRONG";
}

static void print_block(const wl_check_block *b, FILE *out) {
  char shape[64], slope[16] = "-";
  shape_text(b, shape, sizeof shape);
  if (!isnan(b->slope)) snprintf(slope, sizeof slope, "%.2f", b->slope);
  fprintf(out, "  %-28s %16s %12.5g %10.1e %6s  %s\n", b->name, shape, b->norm, b->error, slope,
          verdict(b));
}

static void print_task(const wl_check_task *t, int number, FILE *out) {
  fprintf(out, "task %d: %s, %lld inner parameters, window from step %lld to step %lld, meta-loss %.10g\n", number,
          t->family, (long long)t->n, (long long)t->t0, (long long)(t->t0 + t->steps),
          t->meta_loss);
  fprintf(out, "  relative difference of the training engine and the separate rollout: %.1e, %s\n", t->disagreement,
          t->passed ? "ok" : "WRONG");
  fprintf(out, "  %-28s %16s %12s %10s %6s\n", "block", "shape", "|gradient|", "error", "slope");
}

static void print_report(const wl_check_report *r, double tolerance, FILE *out) {
  fprintf(out, "Comparison of the meta-gradients of %s order with central differences%s\n",
          r->second_order ? "second" : "first",
          r->second_order ? "" : " of the meta-loss with frozen inner gradients");
  for (int i = 0, b = 0; i < r->n_tasks; i++) {
    print_task(&r->tasks[i], i, out);
    for (; b < r->count && r->blocks[b].task == i; b++) print_block(&r->blocks[b], out);
  }
  int kinks = 0, faint = 0;
  for (int i = 0; i < r->count; i++) kinks += r->blocks[i].kink, faint += r->blocks[i].faint;
  fprintf(
      out,
      "%s. A block passes if its relative error at the best step size h is at most %.0e, and if the error falls "
      "as h^2 (slope 2) where the slope can be measured.\n",
      !r->passed          ? "FAILED"
      : r->untested       ? "NOT TESTED"
      : kinks + faint > 0 ? "None failed"
                          : "All passed",
      tolerance);
  if (r->moved > 0)
    fprintf(out,
            "Before the check, small random values were added to %d block%s that started at zero.\n",
            r->moved, r->moved == 1 ? "" : "s");
  if (kinks > 0)
    fprintf(
        out,
        "Number of blocks that neither passed nor failed because a kink of the loss is too close for the finite "
        "differences: %d. Try a smooth activation or another seed.\n",
        kinks);
  if (faint > 0)
    fprintf(
        out,
        "Number of blocks that neither passed nor failed because their gradient is below the noise of the "
        "finite differences: %d. Try another seed or a smaller task.\n",
        faint);
}

/* ---- For scripts ---------------------------------------------------------------------------- */

static json_t *block_json(const wl_check_block *b) {
  json_t *o = json_object(), *shape = json_array();
  for (int d = 0; d < b->ndim; d++) json_array_append_new(shape, json_integer(b->shape[d]));
  json_object_set_new(o, "name", json_string(b->name));
  json_object_set_new(o, "shape", shape);
  json_object_set_new(o, "gradient_norm", wl_json_number(b->norm));
  json_object_set_new(o, "relative_error", wl_json_number(b->error));
  json_object_set_new(o, "slope", wl_json_number(b->slope));
  json_object_set_new(o, "zero", json_boolean(b->zero));
  json_object_set_new(o, "kink", json_boolean(b->kink));
  json_object_set_new(o, "faint", json_boolean(b->faint));
  json_object_set_new(o, "passed", json_boolean(b->passed));
  return o;
}

static json_t *task_json(const wl_check_report *r, int number_of_task) {
  const wl_check_task *t = &r->tasks[number_of_task];
  json_t *o = json_object(), *blocks = json_array();
  json_object_set_new(o, "family", json_string(t->family));
  json_object_set_new(o, "inner_parameters", json_integer(t->n));
  json_object_set_new(o, "first_step", json_integer(t->t0));
  json_object_set_new(o, "steps", json_integer(t->steps));
  json_object_set_new(o, "meta_loss", wl_json_number(t->meta_loss));
  json_object_set_new(o, "disagreement", wl_json_number(t->disagreement));
  for (int b = 0; b < r->count; b++)
    if (r->blocks[b].task == number_of_task)
      json_array_append_new(blocks, block_json(&r->blocks[b]));
  json_object_set_new(o, "blocks", blocks);
  return o;
}

static wl_status write_json(const wl_check_report *r, double tolerance, const char *path) {
  json_t *root = json_object(), *tasks = json_array();
  json_object_set_new(root, "order", json_string(r->second_order ? "second" : "first"));
  json_object_set_new(root, "tolerance", json_real(tolerance));
  json_object_set_new(root, "passed", json_boolean(r->passed && !r->untested));
  for (int i = 0; i < r->n_tasks; i++) json_array_append_new(tasks, task_json(r, i));
  json_object_set_new(root, "tasks", tasks);
  return wl_json_write(root, path);
}

/* ---- The command ---------------------------------------------------------------------------- */

static wl_status read_request(const wl_arguments *a, wl_check_request *q) {
  int64_t directions = 3;
  *q = (wl_check_request){.tolerance = 1e-7, .windows = -1};
  WL_TRY(wl_argument_int(a, "directions", 1, 100, &directions));
  WL_TRY(wl_argument_real(a, "tolerance", 0.0, 1.0, &q->tolerance));
  WL_TRY(wl_argument_int(a, "windows", 0, INT64_MAX, &q->windows));
  q->directions = (int)directions;
  q->dump = wl_argument_text(a, "dump", NULL);
  return WL_OK;
}

static wl_status show(const wl_arguments *a, const char *estimator, const wl_check_report *r,
                      const wl_check_request *q) {
  const char *json = wl_argument_text(a, "json", NULL);
  print_report(r, q->tolerance, wl_json_text_stream(json));
  if (strcmp(estimator, "bptt") != 0)
    fprintf(wl_json_text_stream(json),
            "The table shows the gradients of back-propagation. The training estimates the meta-gradients with "
            "the estimator %s.\n",
            estimator);
  if (json) WL_TRY(write_json(r, q->tolerance, json));
  if (q->dump)
    wl_log_info("the file %s contains the data from which another program can compute these meta-gradients",
                q->dump);
  if (r->passed && r->untested)
    return WL_FAIL(WL_ERR_DATA,
                   "%d of %d blocks do not change the loss, so their gradients are not tested; try more window.steps "
                   "or other window.weights",
                   r->zeros, r->count);
  if (r->passed) return WL_OK;
  return WL_FAIL(WL_ERR_SOFTWARE,
                 "a meta-gradient differs from its central differences; the table marks the block with WRONG");
}

/* Rank 0 checks the windows, and the other ranks wait for the result. */
static wl_status check(wl_cli *cli, const char *path) {
  wl_override overrides[WL_ARGUMENTS_MAX];
  const int n = wl_argument_overrides(&cli->arguments, overrides);
  wl_config *config = NULL;
  wl_check_request request;
  wl_check_report report = {0};
  WL_TRY(read_request(&cli->arguments, &request));
  WL_TRY(wl_config_read(path, wl_schema(), overrides, n, &config));
  wl_status status = wl_check(config, &request, &report);
  if (status == WL_OK)
    status = show(&cli->arguments, wl_map_variant(wl_config_map(config, "estimator", 0)), &report,
                  &request);
  wl_check_report_clear(&report);
  wl_config_destroy(&config);
  return status;
}

static wl_status run_check(wl_cli *cli, int argc, char **argv) {
  (void)argc;
  return wl_comm_agree(cli->comm, wl_comm_rank(cli->comm) == 0 ? check(cli, argv[0]) : WL_OK);
}

const wl_command wl_command_check = {
    "check",
    "CONFIG",
    "compares every block of the meta-gradient with central differences in float64",
    1,
    1,
    arguments,
    wl_command_help_keys,
    true,
    run_check,
    "Computes the meta-gradient of one window of each task with the code that a training uses (the engine). "
    "Then separate code, the rollout, computes central differences of the meta-loss along random directions "
    "and for several step sizes h. Each block of the meta-gradient is compared with these central differences. "
    "A block "
    "passes if the relative error at the best step size h is within the tolerance and the error falls as h^2. "
    "The rollout has its own "
    "code for the loop over steps, the weights of the window, the transforms of the loss and the batches. "
    "Rollout and engine share the code of the task's loss, the rule's step and the preconditioner's product. "
    "The rollout does not use the derivatives of the loss, the step or the product. Use --set to make a large "
    "task small, "
    "because the "
    "check computes many losses. Before the comparison, check computes data, initial parameters, losses and "
    "updates twice, in different orders. If the bits of a value differ between the two orders, check names the "
    "value and exits with code 70. A block of zeros may make the gradients of other blocks zero. If a gradient "
    "is exactly zero, check therefore first adds small random values to the blocks that start at zero. If "
    "most blocks still do not change the loss, check reports these blocks and exits with code 65. Exit code 0 "
    "means that no block failed.",
    "warploom check jobs/quickstart.yaml --set task.batch=8 --set rule.momentum=0 --set window.order=first\n"
    "warploom check jobs/maml-sinusoid.yaml\n"
    "warploom check jobs/maml-sinusoid.yaml --dump window.h5   # data for another program\n"};
