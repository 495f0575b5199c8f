# Checks `warploom ablate`. The parts of a configuration are the LSTM, the warp layers, the preconditioner and the
# learned theta_0. `ablate` trains the system once with each subset of these parts. Each run must have the same result
# as a run of `train` with the same parts. The name of the output folder contains `#` and `:`. YAML reads such a name as
# one string only if the name is in quotes. The printed table must not depend on the number of ranks. With --resume,
# `ablate` must not train a finished run again. All subsets must be checked before the first training begins.
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
ablate_on() { # arguments: RANKS|"" NAME [ARGUMENT...]
  local ranks=$1 name=$2
  shift 2
  "$WL_BIN" ablate joint.yaml --rate 0.02 --seeds 20 --set 'output=sub #1: sets' --launch "${ranks:+$WL_MPIEXEC -n $ranks}" \
    --json "$name.json" "$@" >"$name.out" 2>"$name.err" || { tail -n 5 "$name.err" >&2; fail "ablate, $name"; }
}
ablate_on 2 two
ablate_on "" resumed --resume
cmp two.json resumed.json || fail "the table depends on the number of ranks, or --resume trained again"
[ -d "sub #1: sets/lstm" ] && [ ! -e "sub #1: sets/lstm/previous-1" ] || fail "--resume started anew"

by_hand() { "$WL_BIN" train joint.yaml --quiet --set output="$1" "${@:2}" | awk '{ print $2 }'; }
descent="rule={name: sgd, rate: 0.02, learn: [rate]}"
{
  by_hand whole
  by_hand plain --set "$descent" --set task.warp=none --set "initialisation={name: none}" --set "groups=[{group: rule, clip_norm: 1}]"
  by_hand warped --set "$descent" --set "initialisation={name: none}"
} >by_hand

"$WL_PYTHON" - <<'P' || fail "the table in two.json is wrong"
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
[ "$(grep -c ' yes\| - ' two.out)" = 8 ] || fail "the printed table does not have 8 rows"

refuses() { # arguments: CODE WORDS ARGUMENTS...
  local code=0
  "$WL_BIN" ablate "${@:3}" >out 2>err || code=$?
  [ $code = "$1" ] && grep -q -- "$2" err && [ "$(grep -c error: err)" = 1 ] || fail "ablate ${*:3}: exit code $code, $(cat err)"
}
refuses 78 "nothing to leave out" "$WL_SOURCE/jobs/quadratic-gaussian.yaml" --set 'rule={name: sgd, rate: 0.1, learn: [rate]}'
refuses 64 "--seeds" joint.yaml --seeds 1
refuses 66 "nowhere.yaml" nowhere.yaml
# In the following call, one subset is not a valid configuration. No run may be trained, because all subsets are
# checked before the first training.
cat >program <<'P'
#!/bin/bash
case "$*" in *"--dry-run"*task.warp=*none*) echo "warploom: error: no such warp" >&2; exit 78 ;; esac
echo "$*" >>calls
exec "$WL_BIN" "$@"
P
chmod +x program
WARPLOOM=$PWD/program refuses 78 "subset lstm+theta0: no such warp" joint.yaml --set output=late
! grep -v -- --dry-run calls || fail "a subset was trained before all had been checked"
code=0
"$WL_MPIEXEC" -n 2 "$WL_BIN" ablate joint.yaml >out 2>err || code=$?
[ $code = 64 ] && grep -q "without mpirun" err || fail "under mpirun: exit code $code, $(cat err)"
echo "ok"
