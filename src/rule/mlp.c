/* mlp.c - a small net over gradient, parameter, six momenta and time (Metz et al. 2022: MLPLOpt). Formulas: feature_net.h. */
#include "rule/feature_net.h"

static const wl_option mlp_options[] = {
    {"hidden", WL_OPT_INTS, "[32, 32]", NULL, 1, WL_NET_MOST_WIDTH, "1",
     "units of each hidden layer, one to three layers"},
    {"step_scale", WL_OPT_REAL, "0.001", NULL, 0, 1e9, "1", "multiplies the step"},
    {"exponent_scale", WL_OPT_REAL, "0.001", NULL, 0, 1e3, "1",
     "multiplies the second output, of which the step is proportional to the exponential"},
    {NULL, 0, NULL, NULL, 0, 0, NULL, NULL}};

static wl_status mlp_create(const wl_map *options, const wl_rule_setting *setting, wl_rule *rule) {
  (void)setting;
  wl_feature_rule *f = NULL;
  WL_TRY(WL_NEW(f, 1));
  rule->impl = f;
  *f = (wl_feature_rule){.kind = WL_FEATURES_MLP,
                         .features = 8,
                         .times = WL_TIMES,
                         .momenta = 6,
                         .outputs = 2,
                         .m_decay = {0.1, 0.5, 0.9, 0.99, 0.999, 0.9999},
                         .epsilon = 1e-5,
                         .step_scale = wl_map_real(options, "step_scale"),
                         .exponent_scale = wl_map_real(options, "exponent_scale")};
  WL_TRY(wl_feature_rule_widths(options, f));
  return wl_feature_rule_complete(f, rule);
}

WL_FEATURE_RULE(mlp, "small net over gradient, parameter, six momenta and time (MLPLOpt)");
