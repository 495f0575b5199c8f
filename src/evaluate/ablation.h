/* ablation.h - what each part of a joint system is worth: every subset of its parts, trained alike.
 *
 *   lstm           else plain descent with a learned rate
 *   warp           warp layers in the task's network
 *   precondition   a learned map of the gradient
 *   theta0         the learned initialisation
 *
 * The parts are those that the configuration has. All subsets get its meta-steps, tasks and seed, run
 * one after the other over all ranks, and are evaluated on the same fresh tasks, so that differences
 * are paired over sets of tasks. */
#ifndef WL_EVALUATE_ABLATION_H
#define WL_EVALUATE_ABLATION_H

#include "evaluate/evaluate.h"
#include "train/train.h"

enum { WL_PARTS = 4, WL_MAX_SUBSETS = 1 << WL_PARTS };
/* Names of the parts by bit. */
extern const char *const wl_part_names[WL_PARTS];

typedef struct wl_ablation_request {
  const char *path;             /* the configuration's file */
  const char *const *overrides; /* [n_overrides] */
  int n_overrides;
  double rate; /* plain descent's, at the start */
  wl_eval_setting evaluation;
  wl_train_request training; /* `resume` passes over subsets that are done */
} wl_ablation_request;

/* One subset: its run, and how it did. */
typedef struct wl_ablation_row {
  unsigned parts; /* bits */
  char name[64];  /* "lstm+warp"; "rate" for none */
  char run[4096]; /* run directory, below the configuration's `output` */
  char digest[17];
  wl_eval_case result;     /* the whole system's has the hand-designed rules too */
  double difference, half; /* to the whole system: log10 of the ratio of losses, or their difference
                              where `result.few_shot` or losses are not positive; 95 % half width */
} wl_ablation_row;

typedef struct wl_ablation {
  unsigned parts; /* that the configuration has */
  bool ratios;    /* `difference` is of logarithms */
  int count;
  wl_ablation_row *row; /* [count], the whole system first */
  char output[4096];
} wl_ablation;

/* Collective. WL_TRY_AGAIN when a training stopped early with a checkpoint. The caller clears. */
wl_status wl_ablate(const wl_ablation_request *request, wl_comm *comm, wl_ablation *out);
void wl_ablation_clear(wl_ablation *ablation);

#endif
