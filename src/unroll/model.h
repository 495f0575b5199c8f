/* model.h - declares the model, which consists of all parts that are meta-trained: update rule,
 * preconditioner, warp layers and initialisation. The meta-parameters of all parts form the flat
 * vector phi. */
#ifndef WL_UNROLL_MODEL_H
#define WL_UNROLL_MODEL_H

#include "precondition/precondition.h"
#include "rule/rule.h"
#include "task/task.h"
#include "unroll/initialisation.h"

typedef struct wl_model {
  wl_rule *rule;
  wl_precondition *precondition;     /* the preconditioner; NULL if the model has no
                                      * preconditioner */
  wl_initialisation *initialisation; /* the learned initialisation; NULL if theta_0 is drawn */
  /* layout of all meta-parameters, in the order rule, preconditioner, warp layers, theta_0 */
  wl_layout phi;
  /* index in phi of the first meta-parameter of each part */
  int64_t rule_at, precondition_at, warp_at, theta0_at;
  int64_t warp_size;
} wl_model;

/* Creates the model for tasks [count] from the sections `rule`, `precondition` and `initialisation`
 * of the configuration. The shapes of the preconditioner, of the warp layers and of the learned
 * theta_0 depend on the network of a task. The function therefore returns WL_ERR_CONFIG if the
 * tasks are a mixture and the model has a preconditioner, warp layers or a learned theta_0. Borrows
 * `tasks`, which must exist as long as the model. Not collective. */
wl_status wl_model_create(const wl_config *config, const wl_task *const *tasks, int count,
                          wl_model **out);
/* Creates a model with a hand-designed rule, for baselines. The model owns the rule; after a
 * failure, the function frees the rule. If `config` is NULL, phi is empty. If `config` is not NULL,
 * phi consists of the warp layers of `task` and the initialisation of the configuration. The warp
 * layers and the initialisation have the same layout as the last two parts of a trained phi. */
wl_status wl_model_create_fixed(wl_rule *rule, const wl_config *config, const wl_task *task,
                                wl_model **out);
void wl_model_destroy(wl_model **model);

/* Computes the initial meta-parameters `phi` [phi.size]. The initial meta-parameters depend only on
 * the model, the task and the seed. */
wl_status wl_model_init(const wl_model *model, const wl_task *task, uint64_t seed, double *phi);

/* Returns the number of elements (wl_real) of a unit's state. The state consists of the state of
 * the rule, followed by the state of the preconditioner. */
int64_t wl_model_state(const wl_model *model, const wl_layout *theta);
/* Returns true if the gradient of at least one meta-parameter needs the backward pass of a
 * window. */
bool wl_model_needs_adjoint(const wl_model *model);

#endif
