/* celo2.c - a small net; its output, orthogonalised and normalised, is the step of a matrix; vectors by Adam
 * (Moudgil et al. 2026: Celo2, and without Newton-Schulz steps Celo2-base). Formulas: feature_net.h. Only the first
 * of the net's three outputs is used. If the net also updates tensors below rank 2, it reads only the first 15 features
 * of these. */
#include "rule/feature_net.h"

/* clang-format off */
#define CELO2_OPTIONS                                                                             \
  WL_HIDDEN_OPTION("[8, 8]", ""),                                                                 \
  {"rate", WL_OPT_REAL, "0.001", NULL, 0, 1e9, "1", "learning rate", WL_SLOT(wl_feature_rule, rate)}, \
  WL_SCHEDULE_OPTIONS(wl_feature_rule, schedule),                                                 \
  {"weight_decay", WL_OPT_REAL, "0", NULL, 0, 1e9, "1", "decoupled weight decay, times the rate", \
   WL_SLOT(wl_feature_rule, weight_decay)}
/* Common keys of both rules. */
#define CELO2_RULE                                                                                \
  .kind = WL_FEATURES_CELO2, .features = 30, .momenta = 3, .outputs = 3,                          \
  .m_decay = {0.9, 0.99, 0.999}, .v_decay = 0.95, .factored_decay = {0.9, 0.99, 0.999},           \
  .epsilon = 1e-9
/* clang-format on */

static const wl_option celo2_options[] = {
    CELO2_OPTIONS,
    {"newton_schulz", WL_OPT_BOOL, "true", NULL, 0, 0, NULL,
     "whether matrices move along the orthogonal factor of the net's output; it has no adjoint, so that "
     "the rule is then for forward-only estimators",
     WL_SLOT(wl_feature_rule, newton_schulz)},
    {"vector_rate", WL_OPT_REAL, "20", NULL, 0, 1e9, "1", "rate of vectors as a multiple of `rate`",
     WL_SLOT(wl_feature_rule, vector_rate)},
    {0}};

static const wl_option celo2base_options[] = {CELO2_OPTIONS, {0}};

static const wl_feature_rule celo2_rule = {CELO2_RULE, .adam_vectors = true};
static const wl_feature_rule celo2base_rule = {CELO2_RULE, .vector_rate = 1};

WL_FEATURE_RULE(celo2, "small net, its output orthogonalised for matrices; vectors by Adam");
WL_FEATURE_RULE(celo2base, "small net over normalised features for all tensors (Celo2-base)");
