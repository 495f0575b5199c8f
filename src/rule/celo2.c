/* celo2.c - a small net whose normalised output, orthogonalised, is the step of a matrix; vectors by Adam
 * (Moudgil et al. 2026: Celo2, and without Newton-Schulz steps Celo2-base). Formulas: feature_net.h. Only the first of
 * the net's three outputs acts. Below rank 2, where the net serves vectors too, it reads its first 15 features alone. */
#include "rule/feature_net.h"

#define CELO2_OPTIONS                                                                             \
  {"hidden", WL_OPT_INTS,       "[8, 8]", NULL,                                                   \
   1,        WL_NET_MOST_WIDTH, "1",      "units of each hidden layer, one to three layers"},     \
      {"rate", WL_OPT_REAL, "0.001", NULL, 0, 1e9, "1", "learning rate"}, WL_SCHEDULE_OPTIONS, {  \
    "weight_decay", WL_OPT_REAL, "0", NULL, 0, 1e9, "1", "decoupled weight decay, times the rate" \
  }

static const wl_option celo2_options[] = {
    CELO2_OPTIONS,
    {"newton_schulz", WL_OPT_BOOL, "true", NULL, 0, 0, NULL,
     "whether matrices move along the orthogonal factor of the net's output; it has no adjoint, so that "
     "the rule is then for forward-only estimators"},
    {"vector_rate", WL_OPT_REAL, "20", NULL, 0, 1e9, "1",
     "rate of vectors as a multiple of `rate`"},
    {NULL, 0, NULL, NULL, 0, 0, NULL, NULL}};

static const wl_option celo2base_options[] = {CELO2_OPTIONS,
                                              {NULL, 0, NULL, NULL, 0, 0, NULL, NULL}};

static wl_status create(const wl_map *options, const wl_rule_setting *setting, wl_rule *rule,
                        bool base) {
  wl_feature_rule *f = NULL;
  WL_TRY(WL_NEW(f, 1));
  rule->impl = f;
  *f = (wl_feature_rule){.kind = WL_FEATURES_CELO2,
                         .features = 30,
                         .momenta = 3,
                         .outputs = 3,
                         .m_decay = {0.9, 0.99, 0.999},
                         .v_decay = 0.95,
                         .factored_decay = {0.9, 0.99, 0.999},
                         .epsilon = 1e-9,
                         .newton_schulz = !base && wl_map_bool(options, "newton_schulz"),
                         .adam_vectors = !base,
                         .rate = wl_map_real(options, "rate"),
                         .weight_decay = wl_map_real(options, "weight_decay"),
                         .vector_rate = base ? 1 : wl_map_real(options, "vector_rate")};
  WL_TRY(wl_feature_rule_widths(options, f));
  WL_TRY(wl_schedule_read(options, setting->episode_steps, &f->schedule));
  return wl_feature_rule_complete(f, rule);
}

static wl_status celo2_create(const wl_map *options, const wl_rule_setting *setting,
                              wl_rule *rule) {
  return create(options, setting, rule, false);
}

static wl_status celo2base_create(const wl_map *options, const wl_rule_setting *setting,
                                  wl_rule *rule) {
  return create(options, setting, rule, true);
}

WL_FEATURE_RULE(celo2, "small net, its output orthogonalised for matrices; vectors by Adam");
WL_FEATURE_RULE(celo2base, "small net over normalised features for all tensors (Celo2-base)");
