/* options_fixture.c - defines a small table of configuration sections with keys of every type. */
#include "unit/options_fixture.h"

#include <math.h>

static const wl_option top[] = {
    {"seed", WL_OPT_INT, "1", NULL, 0, 0, "1", "seed of every random stream"},
    {"output", WL_OPT_STRING, "", NULL, 0, 0, "1", "run directory",
     .flags = WL_KEY_FREE | WL_KEY_PATH},
    {0}};

static const wl_option task_common[] = {
    {"proportion", WL_OPT_REAL, "1.0", NULL, 1e-300, 1e300, "1", "share in a mixture"},
    {"noise", WL_OPT_REAL, "0", NULL, 0, 100, "1", "drawn at any time", {WL_SLOT_DRAW, 0},
     WL_KEY_DRAW},
    {0}};
const wl_option *const fixture_noise = &task_common[1];

const wl_option fixture_quadratic_options[] = {
    {"dimension", WL_OPT_INT, NULL, NULL, 1, 1e6, "1", "number of parameters",
     WL_SLOT(fixture_quadratic, dimension)},
    {"distribution", WL_OPT_CHOICE, "gaussian", "gaussian|uniform", 0, 0, "1", "of the matrix",
     WL_SLOT(fixture_quadratic, distribution)},
    {0}};

const wl_option fixture_mlp_options[] = {
    {"hidden", WL_OPT_INTS, "[20]", NULL, 1, 1e6, "1", "units of each hidden layer",
     WL_SLOT(fixture_mlp, hidden)},
    {"files", WL_OPT_STRINGS, "[]", NULL, 0, 0, "1", "data files", WL_SLOT(fixture_mlp, files)},
    {0}};

static const wl_variant families[] = {
    {"quadratic", "random quadratic functions", fixture_quadratic_options},
    {"mlp", "small networks", fixture_mlp_options},
    {0}};

static const wl_option adam[] = {
    {"betas", WL_OPT_REALS, "[0.9, 0.999]", NULL, 0, 1, "1", "decay of the moments"}, {0}};

static const wl_variant rules[] = {
    {"lstm", "coordinatewise LSTM", NULL}, {"adam", "Kingma and Ba 2015", adam}, {0}};

const wl_option fixture_outer_options[] = {
    {"steps", WL_OPT_INT, "10000", NULL, 1, 1e15, "steps", "meta-steps",
     WL_SLOT(fixture_outer, steps), WL_KEY_EXTENDS},
    {"learning_rate", WL_OPT_REAL, "1e-3", NULL, 1e-300, INFINITY, "1", "of the outer optimizer",
     WL_SLOT(fixture_outer, learning_rate)},
    {"clip", WL_OPT_REAL, ".inf", NULL, 0, INFINITY, "1", "bound of the gradient norm",
     WL_SLOT(fixture_outer, clip)},
    {"nesterov", WL_OPT_BOOL, "false", NULL, 0, 0, "1", "look ahead",
     WL_SLOT(fixture_outer, nesterov)},
    {"weights", WL_OPT_CHOICE_OR_REALS, "sum", "sum|mean|last|{last: N}", 0, 0, "1",
     "of the losses", WL_SLOT(fixture_outer, weights)},
    {0}};

const wl_section fixture_sections[] = {
    {.name = "", .doc = "", .options = top},
    {.name = "task",
     .doc = "what is learned on",
     .options = task_common,
     .selector = "family",
     .variants = families,
     .list = true,
     .flags = WL_KEY_ONE_OF},
    {.name = "rule",
     .doc = "the update rule",
     .selector = "name",
     .variants = rules,
     .fallback_variant = "adam"},
    {.name = "outer", .doc = "the outer loop", .options = fixture_outer_options},
    {0}};
