/* small_fc.c - defines the update rule `small_fc`, which is AdafacMLPLOpt of Metz et al. 2022. A
 * small network reads momenta and factored second moments. The decays of the moments are learned. A
 * decay is 1 - (1 - b) exp(10 phi), where phi starts at 0 and this file sets b. The file
 * feature_net.h contains the formulas. */
#include "rule/feature_net.h"

static const wl_option small_fc_options[] = {
    WL_HIDDEN_OPTION("[4, 4]", " PyLO uses [32, 32]."), WL_STEP_OPTIONS(" PyLO uses 0.01."), {0}};

static const wl_feature_rule small_fc_rule = {.kind = WL_FEATURES_SMALL_FC,
                                              .features = 28,
                                              .times = WL_TIMES,
                                              .momenta = 3,
                                              .outputs = 2,
                                              .learned_decays = true,
                                              .m_decay = {0.9, 0.99, 0.999},
                                              .v_decay = 0.999,
                                              .factored_decay = {0.9, 0.99, 0.999},
                                              .epsilon = 1e-5};

WL_DEFINE_RULE(small_fc,
               "small network that reads momenta and factored second moments (AdafacMLPLOpt)",
               feature_rule);
