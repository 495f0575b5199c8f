/* mlp.c - defines the update rule `mlp`, which is MLPLOpt of Metz et al. 2022. A small network
 * reads the gradient, the parameter, six momenta and the time. The file feature_net.h contains the
 * formulas. */
#include "rule/feature_net.h"

static const wl_option mlp_options[] = {WL_HIDDEN_OPTION("[32, 32]", ""), WL_STEP_OPTIONS(""), {0}};

static const wl_feature_rule mlp_rule = {.kind = WL_FEATURES_MLP,
                                         .features = 8,
                                         .times = WL_TIMES,
                                         .momenta = 6,
                                         .outputs = 2,
                                         .m_decay = {0.1, 0.5, 0.9, 0.99, 0.999, 0.9999},
                                         .epsilon = 1e-5};

WL_DEFINE_RULE(
    mlp, "small network that reads the gradient, the parameter, six momenta and the time (MLPLOpt)",
    feature_rule);
