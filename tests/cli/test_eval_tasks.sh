# Checks what `eval` reports about few-shot tasks and explicit warps. Confidence intervals must be computed over 600
# tasks. The baseline must be gradient descent from the learned theta_0. If a warp has not been trained, the
# losses of the learned rule and of the baseline must not differ at all. The values must not depend on the number of
# ranks.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

cat >sinusoid.yaml <<'Y'
threads: 1
output: sinusoid
task: {family: sinusoid, shots: 5, widths: [8]}
rule: {name: sgd, rate: 1e-3}
initialisation: {name: maml}
episode: {steps: 1}
window: {steps: 1, weights: last, batch: fresh, order: second}
outer: {steps: 60, units: 5, every: episode, learning_rate: 1e-2}
Y
cat >mountain.yaml <<'Y'
threads: 1
output: mountain
task: {family: mountain, surface: shared, warp: residual, warp_width: 30}
rule: {name: sgd, rate: 0.1}
episode: {steps: 20}
window: {steps: 1, weights: last, order: second}
outer: {steps: 4, units: 3, every: episode, learning_rate: 3e-2}
Y
# eval_on RANKS NAME RUN [ARGUMENT...] evaluates RUN and writes NAME.json.
eval_on() {
  local ranks=$1 name=$2
  shift 2
  "$WL_MPIEXEC" -n "$ranks" "$WL_BIN" eval "$@" --quiet --no-picture --output "$name.h5" --json "$name.json" >"$name.out"
}
"$WL_BIN" train sinusoid.yaml >/dev/null
"$WL_BIN" train mountain.yaml >/dev/null
"$WL_BIN" train mountain.yaml --set output=start --set outer.steps=0 >/dev/null

eval_on 1 few sinusoid
eval_on 2 again sinusoid
cmp few.json again.json || fail "figures depend on the number of ranks"
rate=$("$WL_PYTHON" -c 'import json; print(repr(json.load(open("few.json"))["cases"][0]["rules"][1]["learning_rate"]))')
eval_on 1 same sinusoid --set "rule.rate=$rate"
"$WL_BIN" eval sinusoid --learned-only --quiet --json alone.json >alone.out
[ ! -e sinusoid/evaluation.h5 ] || fail "--learned-only writes a file"
"$WL_PYTHON" - <<'P'
import json
few, alone = (json.load(open(f"{name}.json"))["cases"][0] for name in ("few", "alone"))
assert alone["rules"] == few["rules"][:1] and "verdict" in few and "verdict" not in alone, alone
P
eval_on 1 start start --seeds 4 --units 2
eval_on 2 warped mountain --seeds 4 --units 2

"$WL_PYTHON" - <<'P' || fail "the figures in the JSON files are wrong"
import json, math, statistics

def case(name):
    return json.load(open(name + ".json"))["cases"][0]

few, same, start, warped = map(case, ("few", "same", "start", "warped"))
learned, plain = few["rules"]
losses = learned["final_loss_of_set"]
assert few["few_shot"] and few["steps"] == 1 and len(losses) == 600, few["steps"]
error = statistics.stdev(losses) / math.sqrt(600)
assert math.isclose(learned["final_loss"], statistics.fmean(losses), rel_tol=1e-12)
assert math.isclose(learned["final_loss_half_width"], 1.964 * error, rel_tol=1e-3), (learned, error)
assert plain["rule"] == "sgd from theta_0" and learned["heldout_loss_of_set"] == losses
# the learned rule is gradient descent, so its result equals that of the baseline if both use the tuned learning rate
assert same["rules"][0]["final_loss_of_set"] == plain["final_loss_of_set"], "the baseline is not descent from theta_0"
assert plain["final_loss"] < few["start_loss"], "tuned descent from theta_0 does not adapt"

# the file must contain the data from which `eval` computes its verdict on few-shot tasks
import h5py
with h5py.File("few.h5") as file:
    stored = list(file["case-00/difference"])
assert stored == [few["difference"], few["difference_half_width"]] and stored[1] > 0, stored
assert math.isclose(stored[0], learned["final_loss"] - plain["final_loss"], rel_tol=1e-9), stored

assert start["warp_advantage"] == 0 and start["warp_advantage_half_width"] == 0, start["warp_advantage"]
assert start["warp_coverage"] == 1
assert warped["warp_advantage"] != 0 and 0 < warped["warp_coverage"] <= 1
P
# Each combination of choices must be one case, and a repeated choice must not be a second case. If there are more
# than 32 combinations, only the first combination of each entry of `task` is evaluated, and a line must give the number
# of other combinations. --vary must refuse several settings.
cat >mixture.yaml <<'Y'
threads: 1
output: mixture
task:
  - {family: quadratic, dimension: {one_of: [2, 3, 2]}, batch: {one_of: [2, 4, 8, 16]}, distribution: {one_of: [gaussian, uniform]}}
  - {family: rosenbrock}
  - {family: mlp, data: synthetic, side: 2, widths: {one_of: [[2], [3]]}, activation: {one_of: [relu, tanh]}}
rule: {name: lstm, hidden: [2]}
episode: {steps: 2}
outer: {steps: 0, units: 1}
Y
"$WL_BIN" train mixture.yaml --quiet >/dev/null
titles() { "$WL_BIN" eval mixture --learned-only --seeds 2 --steps 1 --quiet "$@" >titles.out && sed -n '/^task/p' titles.out | cut -d: -f1-5; }
titles >few.titles
[ "$(wc -l <few.titles)" = 21 ] && [ -z "$(sort few.titles | uniq -d)" ] || fail "the settings: $(cat few.titles)"
! grep -q "not evaluated" titles.out || fail "eval reports settings that were not evaluated"
titles --set 'task.0.batch={one_of: [2, 4, 8, 16, 32, 64, 128]}' >many.titles
[ "$(cut -d, -f1,2 many.titles | cut -d: -f1 | tr '\n' ' ')" = "task 0, quadratic task 1, rosenbrock task 2, mlp " ] ||
  fail "the first setting of each entry: $(cat many.titles)"
grep -q "^30 other combinations .*--set task=" titles.out || fail "no line about other combinations: $(tail -n 1 titles.out)"
code=0
"$WL_BIN" eval mixture --learned-only --seeds 2 --steps 1 --vary scale >vary.out 2>vary.err || code=$?
[ $code = 64 ] && grep -q -- "21 settings .*--set task=" vary.err && [ ! -s vary.out ] || fail "--vary with several settings: $code, $(cat vary.err)"
titles --vary horizon --set 'task={family: rosenbrock}'
grep -q '^horizon x 5' titles.out || fail "--vary with one chosen setting: $(cat titles.out)"
# Drawing a picture must not change the JSON on standard output.
"$WL_BIN" eval mountain --seeds 2 --output drawn.h5 --json - 2>/dev/null | "$WL_PYTHON" -c 'import json, sys; json.load(sys.stdin)' ||
  fail "no JSON on standard output"
"$WL_PYTHON" "$WL_SOURCE/tools/plot_evaluation.py" few.h5 --output few.png >/dev/null || fail "no picture of a few-shot evaluation"
grep -q "600 fresh tasks" few.out || fail "the table does not give the number of tasks"
grep -q "warp reaches" warped.out || fail "the table does not say how much the warp reaches"
echo "ok"
