/* model.h - the parts that are meta-trained (update rule, preconditioner, warp layers, initialisation), and their
 * positions in the flat vector phi. */
#ifndef WL_UNROLL_MODEL_H
#define WL_UNROLL_MODEL_H

#include "precondition/precondition.h"
#include "rule/rule.h"
#include "task/task.h"
#include "unroll/initialisation.h"

typedef struct wl_model {
  wl_rule *rule;
  wl_precondition *precondition;     /* NULL: none */
  wl_initialisation *initialisation; /* NULL if theta_0 is drawn, not learned */
  wl_layout phi; /* all meta-parameters, in the order rule, precondition, warp, theta_0 */
  int64_t rule_at, precondition_at, warp_at, theta0_at; /* offsets of the parts in phi */
  int64_t warp_size;
} wl_model;

/* Builds the model for tasks [count] from the configuration's sections `rule`, `precondition` and `initialisation`.
 * Returns WL_ERR_CONFIG if a part belongs to one network (preconditioner, warp layers, theta_0) and the tasks are a
 * mixture. Borrows `tasks`, which must exist as long as the model. Not collective. */
wl_status wl_model_create(const wl_config *config, const wl_task *const *tasks, int count,
                          wl_model **out);
/* Builds a model with a hand-designed rule, for baselines. The model owns the rule, even after a failure. If `config`
 * is NULL, phi is empty. Otherwise, phi holds the warp layers of `task` and the initialisation in the configuration, in
 * the same order as at the end of the trained model's phi. */
wl_status wl_model_create_fixed(wl_rule *rule, const wl_config *config, const wl_task *task,
                                wl_model **out);
void wl_model_destroy(wl_model **model);

/* Computes the initial meta-parameters [phi.size]. They depend only on the arguments. */
wl_status wl_model_init(const wl_model *model, const wl_task *task, uint64_t seed, double *phi);

/* Returns the number of wl_reals of a unit's state: the state of the rule, followed by the state of the
 * preconditioner. */
int64_t wl_model_state(const wl_model *model, const wl_layout *theta);
/* Returns true if some meta-parameter is learned by back-propagation and not only from the path. */
bool wl_model_needs_adjoint(const wl_model *model);

#endif
