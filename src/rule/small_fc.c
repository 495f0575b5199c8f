/* small_fc.c - a small net over momenta and factored second moments, whose decays it learns (Metz et al. 2022:
 * AdafacMLPLOpt). Formulas: feature_net.h. A decay is 1 - (1 - b) exp(10 phi), phi from 0; b as configured here. */
#include "rule/feature_net.h"

static const wl_option small_fc_options[] = {
    {"hidden", WL_OPT_INTS, "[4, 4]", NULL, 1, WL_NET_MOST_WIDTH, "1",
     "units of each hidden layer, one to three layers; [32, 32] in PyLO"},
    {"step_scale", WL_OPT_REAL, "0.001", NULL, 0, 1e9, "1", "multiplies the step; 0.01 in PyLO"},
    {"exponent_scale", WL_OPT_REAL, "0.001", NULL, 0, 1e3, "1",
     "multiplies the second output, of which the step is proportional to the exponential"},
    {NULL, 0, NULL, NULL, 0, 0, NULL, NULL}};

static wl_status small_fc_create(const wl_map *options, const wl_rule_setting *setting,
                                 wl_rule *rule) {
  (void)setting;
  wl_feature_rule *f = NULL;
  WL_TRY(WL_NEW(f, 1));
  rule->impl = f;
  *f = (wl_feature_rule){.kind = WL_FEATURES_SMALL_FC,
                         .features = 28,
                         .times = WL_TIMES,
                         .momenta = 3,
                         .outputs = 2,
                         .learned_decays = true,
                         .m_decay = {0.9, 0.99, 0.999},
                         .v_decay = 0.999,
                         .factored_decay = {0.9, 0.99, 0.999},
                         .epsilon = 1e-5,
                         .step_scale = wl_map_real(options, "step_scale"),
                         .exponent_scale = wl_map_real(options, "exponent_scale")};
  WL_TRY(wl_feature_rule_widths(options, f));
  return wl_feature_rule_complete(f, rule);
}

WL_FEATURE_RULE(small_fc, "small net over momenta and factored second moments (AdafacMLPLOpt)");
