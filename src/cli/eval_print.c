/* eval_print.c - prints the tables of an evaluation, and whether the learned rule wins, ties, loses or fails. */
#include "cli/eval_print.h"

#include <math.h>
#include <string.h>

#include "cli/json.h"

static const char *const verdicts[] = {"wins", "ties", "loses", "fails"};

static void print_pair(FILE *out, double mean, double half, int digits) {
  char text[48];
  if (isnan(mean)) snprintf(text, sizeof text, "-");
  else snprintf(text, sizeof text, "%.*f +- %.*f", digits, mean, digits, half);
  fprintf(out, "  %20s", text);
}

/* Prints the row of one rule. For few-shot tasks, the row has the loss and the accuracy on the
 * query set. For other tasks, the row has the final loss, the logarithm of the final loss, and the
 * held-out loss. */
static void print_entry(const wl_eval_case *c, int i, bool accuracy, FILE *out) {
  const wl_eval_entry *e = &c->entry[i];
  double mean, half;
  char rate[32] = "-";
  if (!isnan(e->rate)) snprintf(rate, sizeof rate, "%.3g", e->rate);
  fprintf(out, "  %-18s %9s", e->rule, rate);
  print_pair(out, e->mean, e->half_width, 4);
  if (!c->few_shot) print_pair(out, e->log10_mean, e->log10_half, 3);
  wl_evaluate_interval(e->heldout, c->seeds, &mean, &half);
  if (!c->few_shot) print_pair(out, mean, half, 4);
  wl_evaluate_interval(e->accuracy, c->seeds, &mean, &half);
  if (accuracy) print_pair(out, mean, half, 4);
  fprintf(out, "  %s%s\n", e->diverged > 0 ? "diverged " : "",
          i > 0 && i == c->best ? "<- best hand-designed" : "");
  if (e->diverged > 0)
    fprintf(out, "  %-18s   %lld runs became non-finite\n", "", (long long)e->diverged);
}

static bool has_accuracy(const wl_eval_case *c) {
  for (int i = 0; i < c->entries; i++)
    if (!isnan(c->entry[i].accuracy[0])) return true;
  return false;
}

/* Prints the verdict with the difference of the final losses. The verdict has no ratio of losses if
 * a loss is not positive or if every hand-designed rule diverged. */
static void print_gap(const wl_eval_case *c, FILE *out) {
  static const char *const words[] = {"wins against", "ties with", "loses to"};
  if (isnan(c->gap))
    fprintf(out,
            "  The learned rule wins: every hand-designed rule diverges on at least one of these tasks.\n");
  else
    fprintf(
        out,
        "  The learned rule %s tuned %s: the difference of the final losses is %.4g (95 %% interval: %.4g to "
        "%.4g).\n",
        words[c->verdict], c->entry[c->best].rule, c->gap, c->gap - c->gap_half,
        c->gap + c->gap_half);
}

static void print_verdict(const wl_eval_case *c, FILE *out) {
  if (isnan(c->difference) && c->verdict != WL_FAILS) {
    print_gap(c, out);
    return;
  }
  const char *against = c->entry[c->best].rule;
  const double ratio = pow(10.0, c->difference), times = pow(10.0, c->difference_half);
  switch (c->verdict) {
    case WL_WINS:
      fprintf(
          out,
          "  The learned rule wins: its final loss is %.2f times the final loss of tuned %s (95 %% interval: "
          "%.2f to %.2f).\n",
          ratio, against, ratio / times, ratio * times);
      return;
    case WL_TIES:
      fprintf(
          out,
          "  The learned rule ties with tuned %s: the ratio of the final losses is %.2f (95 %% interval: %.2f "
          "to %.2f).\n",
          against, ratio, ratio / times, ratio * times);
      return;
    case WL_LOSES:
      fprintf(
          out,
          "  The learned rule loses to tuned %s: its final loss is %.2f times the final loss of this rule (95 "
          "%% "
          "interval: %.2f to %.2f).\n",
          against, ratio, ratio / times, ratio * times);
      return;
    case WL_FAILS:
      fprintf(out, "  The learned rule fails here: %s.\n",
              c->entry[0].diverged > 0 ? "it diverges" : "its final loss is not below its first loss");
      return;
  }
}

static void print_table(const wl_eval_case *c, FILE *out) {
  const bool accuracy = has_accuracy(c);
  if (c->few_shot) {
    fprintf(
        out,
        ": %lld fresh tasks. The loss on the query set is %.4g before adaptation. After %lld step%s of "
        "adaptation:\n",
        (long long)c->seeds, c->start, (long long)c->steps, c->steps == 1 ? "" : "s");
    fprintf(out, "  %-18s %9s  %20s%s\n", "rule", "rate", "query loss",
            accuracy ? "        query accuracy" : "");
  } else {
    fprintf(out, ": %lld steps on %lld sets of fresh tasks, with a mean loss of %.4g at theta_0\n",
            (long long)c->steps, (long long)c->seeds, c->start);
    fprintf(out, "  %-18s %9s  %20s  %20s  %20s%s\n", "rule", "rate", "final loss", "log10 of final loss",
            "held-out loss", accuracy ? "     held-out accuracy" : "");
  }
  for (int i = 0; i < c->entries; i++) print_entry(c, i, accuracy, out);
}

/* Prints the coverage and the advantage of an explicit warp of the plane. The file evaluate_warp.c
 * defines coverage and advantage. */
static void print_warp(const wl_eval_case *c, FILE *out) {
  if (isnan(c->coverage)) return;
  fprintf(
      out,
      "  The warp reaches %.1f %% of the square from which starting points are drawn.\n"
      "  If the same rule starts at the same points of the surface, the warp lowers its final loss by %.4g +- "
      "%.2g.\n",
      100.0 * c->coverage, c->advantage, c->advantage_half);
}

static void print_case(const wl_eval_case *c, FILE *out) {
  fprintf(out, "\n%s", c->name);
  if (c->note[0] || c->entries == 0) {
    fprintf(out, ": not run, %s\n", c->note);
    return;
  }
  print_table(c, out);
  if (c->entries > 1) print_verdict(c, out);
  print_warp(c, out);
}

/* Prints a line for each verdict. The line contains the names of the settings that have this
 * verdict. */
static void print_summary(const wl_eval_case *cases, int count, FILE *out) {
  static const char *const heads[] = {"Wins", "Ties", "Loses", "Fails"};
  fprintf(out, "\nIn short\n");
  for (int v = WL_WINS; v <= WL_FAILS; v++) {
    int named = 0;
    for (int i = 0; i < count; i++) {
      if (cases[i].entries == 0 || (int)cases[i].verdict != v) continue;
      if (named++ == 0) fprintf(out, "  %s: %s", heads[v], cases[i].name);
      else fprintf(out, ", %s", cases[i].name);
    }
    if (named > 0) fprintf(out, "\n");
  }
}

void wl_eval_print(const wl_trained *t, const wl_eval_case *cases, int count, FILE *out) {
  fprintf(out, "%s: %lld meta-steps, digest %s\n", t->source, (long long)t->meta_steps, t->digest);
  fprintf(out, "%sThe number after +- is the half width of a 95 %% interval over sets; for few-shot tasks, "
               "each set is one task.\n",
          count > 0 && cases[0].entries == 1
              ? ""
              : "The rates of hand-designed rules are tuned for each horizon on other tasks. ");
  for (int i = 0; i < count; i++) print_case(&cases[i], out);
  if (count > 1 && cases[0].entries != 1) print_summary(cases, count, out);
}

static json_t *numbers(const double *values, int64_t n) {
  json_t *list = json_array();
  for (int64_t i = 0; i < n; i++) json_array_append_new(list, wl_json_number(values[i]));
  return list;
}

static json_t *entry_json(const wl_eval_entry *e, int64_t seeds) {
  json_t *o = json_object();
  double mean, half;
  json_object_set_new(o, "rule", json_string(e->rule));
  json_object_set_new(o, "learning_rate", wl_json_number(e->rate));
  json_object_set_new(o, "final_loss", wl_json_number(e->mean));
  json_object_set_new(o, "final_loss_half_width", wl_json_number(e->half_width));
  json_object_set_new(o, "log10_final_loss", wl_json_number(e->log10_mean));
  json_object_set_new(o, "log10_final_loss_half_width", wl_json_number(e->log10_half));
  json_object_set_new(o, "final_loss_of_set", numbers(e->final, seeds));
  json_object_set_new(o, "heldout_loss_of_set", numbers(e->heldout, seeds));
  json_object_set_new(o, "heldout_accuracy_of_set", numbers(e->accuracy, seeds));
  wl_evaluate_interval(e->accuracy, seeds, &mean, &half);
  json_object_set_new(o, "heldout_accuracy", wl_json_number(mean));
  json_object_set_new(o, "heldout_accuracy_half_width", wl_json_number(half));
  json_object_set_new(o, "diverged", json_integer(e->diverged));
  return o;
}

static void set_comparison(const wl_eval_case *c, json_t *o) {
  json_object_set_new(o, "best_hand_designed", json_string(c->entry[c->best].rule));
  json_object_set_new(o, "log10_ratio", wl_json_number(c->difference));
  json_object_set_new(o, "log10_ratio_half_width", wl_json_number(c->difference_half));
  json_object_set_new(o, "difference", wl_json_number(c->gap));
  json_object_set_new(o, "difference_half_width", wl_json_number(c->gap_half));
  json_object_set_new(o, "verdict", json_string(verdicts[c->verdict]));
}

static json_t *case_json(const wl_eval_case *c) {
  json_t *o = json_object(), *rules = json_array();
  json_object_set_new(o, "name", json_string(c->name));
  if (c->entries == 0) json_object_set_new(o, "note", json_string(c->note));
  else {
    json_object_set_new(o, "steps", json_integer(c->steps));
    json_object_set_new(o, "few_shot", json_boolean(c->few_shot));
    json_object_set_new(o, "start_loss", wl_json_number(c->start));
    if (c->entries > 1) set_comparison(c, o);
    if (!isnan(c->coverage)) {
      json_object_set_new(o, "warp_coverage", wl_json_number(c->coverage));
      json_object_set_new(o, "warp_advantage", wl_json_number(c->advantage));
      json_object_set_new(o, "warp_advantage_half_width", wl_json_number(c->advantage_half));
    }
  }
  for (int i = 0; i < c->entries; i++)
    json_array_append_new(rules, entry_json(&c->entry[i], c->seeds));
  json_object_set_new(o, "rules", rules);
  return o;
}

wl_status wl_eval_print_json(const wl_trained *t, const wl_eval_case *cases, int count,
                             const char *path) {
  json_t *root = json_object(), *list = json_array();
  json_object_set_new(root, "source", json_string(t->source));
  json_object_set_new(root, "meta_steps", json_integer(t->meta_steps));
  json_object_set_new(root, "digest", json_string(t->digest));
  for (int i = 0; i < count; i++) json_array_append_new(list, case_json(&cases[i]));
  json_object_set_new(root, "cases", list);
  return wl_json_write(root, path);
}
