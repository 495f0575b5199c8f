# `ablate`: every subset of the parts once, each the very run that `train` makes with those parts, the same
# table on any ranks, and passed over by --resume.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

cat >joint.yaml <<'Y'
threads: 1
task: {family: sinusoid, shots: 4, widths: [5], activation: tanh, warp: linear}
rule: {name: lstm, hidden: [4], output_scale: 0.1}
initialisation: {name: maml}
episode: {steps: 2}
window: {steps: 2, weights: last, batch: fresh, order: second}
outer: {steps: 6, units: 3, every: episode, learning_rate: 1e-2}
groups:
  - {group: warp, learning_rate: 1e-3, from_step: 2}
  - {group: rule, clip_norm: 1}
Y
ablate_on() { # RANKS NAME [ARGUMENT...]
  local ranks=$1 name=$2
  shift 2
  "$WL_MPIEXEC" -n "$ranks" "$WL_BIN" ablate joint.yaml --rate 0.02 --seeds 20 --quiet --set output=subsets \
    --json "$name.json" "$@" >"$name.out"
}
ablate_on 2 two
ablate_on 1 resumed --resume
cmp two.json resumed.json || fail "the table depends on the number of ranks, or --resume trained again"
[ ! -e subsets/lstm/previous-1 ] || fail "--resume started anew"

by_hand() { "$WL_BIN" train joint.yaml --quiet --set output="$1" "${@:2}" | awk '{ print $2 }'; }
descent="rule={name: sgd, rate: 0.02, learn: [rate]}"
{
  by_hand whole
  by_hand plain --set "$descent" --set task.warp=none --set "initialisation={name: none}" --set "groups=[{group: rule, clip_norm: 1}]"
  by_hand warped --set "$descent" --set "initialisation={name: none}"
} >by_hand

"$WL_PYTHON" - <<'P' || fail "the table is wrong"
import itertools, json
table = json.load(open("two.json"))
rows = {frozenset(row["parts"]): row for row in table["subsets"]}
parts = ("lstm", "warp", "theta0")
assert set(rows) == {frozenset(c) for k in range(4) for c in itertools.combinations(parts, k)} and len(table["subsets"]) == 8
whole, plain, warped = open("by_hand").read().split()
assert rows[frozenset(parts)]["digest"] == whole, "the whole system"
assert rows[frozenset()]["digest"] == plain, "no part"
assert rows[frozenset(["warp"])]["digest"] == warped, "the warp alone"
assert table["few_shot"] and table["sets"] == 20 and table["hand_designed"][0]["rule"] == "sgd from theta_0"
assert rows[frozenset(parts)]["difference_to_whole"] == 0 and rows[frozenset()]["half_width"] > 0
P
[ "$(grep -c ' yes\| - ' two.out)" = 8 ] || fail "the table has not 8 rows"

code=0
"$WL_BIN" ablate "$WL_SOURCE/jobs/quadratic-gaussian.yaml" --set 'rule={name: sgd, rate: 0.1, learn: [rate]}' >out 2>err || code=$?
[ $code = 78 ] && grep -q "nothing to leave out" err || fail "a system without parts: exit code $code, $(cat err)"
echo "ok"
