# Checks the files that `eval` writes. An evaluation must not overwrite an evaluation with other settings, an input of
# a command, or a file of a run. A picture must not show the data of an earlier evaluation. An evaluation of a trained
# file must not write into the folder that contains the trained file. The installed tree must contain no evaluations.
# The test also checks which baseline `eval` uses for a few-shot system with warp layers.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

cat >q.yaml <<'C'
seed: 1
threads: 1
output: run
task: {family: quadratic, dimension: 3, batch: 4}
rule: {name: lstm, hidden: [4]}
episode: {steps: 10}
window: {steps: 5}
outer: {steps: 4, units: 2}
checkpoint: {every: 2}
C
"$WL_BIN" train q.yaml --quiet >/dev/null
evaluate() { "$WL_BIN" eval "$@" --seeds 2 --tune-units 1 --no-picture --quiet >/dev/null; }
steps_of() { "$WL_BIN" info "$1" --json - --quiet 2>/dev/null | grep -o 'steps [0-9]* seeds' | cut -d' ' -f2; }

# if the settings differ, `eval` renames the data and the picture of the earlier evaluation instead of replacing them
evaluate run --steps 3
echo picture >run/evaluation.png
evaluate run --steps 4
expect_same "the new evaluation" 4 "$(steps_of run/evaluation.h5)"
expect_same "the earlier evaluation" 3 "$(steps_of run/evaluation-previous-1.h5)"
[ -e run/evaluation-previous-1.png ] && [ ! -e run/evaluation.png ] || fail "a picture shows other data than the evaluation"
# if the settings are equal, `eval` replaces the earlier evaluation. With --no-picture, `eval` also deletes the
# picture of the earlier evaluation
echo picture >run/evaluation.png
evaluate run --steps 4
[ ! -e run/evaluation-previous-2.h5 ] || fail "an evaluation of the same settings was kept"
[ ! -e run/evaluation.png ] || fail "--no-picture left a picture of the evaluation before"
# Evaluations of two optimizers whose files have the same name must not replace each other.
"$WL_BIN" train q.yaml --quiet --set output=other --set seed=5 >/dev/null
evaluate run --steps 4 --output table.h5
evaluate other --steps 4 --output table.h5
[ -e table-previous-1.h5 ] || fail "another optimizer's evaluation was replaced"

# an evaluation must not write into the folder that contains the trained file
mkdir shelf here
cp run/optimizer.h5 shelf/trained.h5
(cd here && evaluate ../shelf/trained.h5 --steps 3)
[ "$(ls shelf)" = trained.h5 ] && [ -e here/trained-evaluation.h5 ] || fail "an evaluation was written into the folder of the trained file"

refuses() { # arguments: WORDS ARGUMENTS...
  local code=0
  "$WL_BIN" "${@:2}" >out 2>err || code=$?
  [ $code = 73 ] && grep -q -- "$1" err && [ "$(grep -c error: err)" = 1 ] || fail "${*:2}: exit code $code, $(cat err)"
}
cp run/optimizer.h5 own.h5
cp q.yaml keep.yaml
sums() { find run own.h5 q.yaml -type f ! -name lock -exec md5sum {} + | sort; }
sums >before
refuses "is the input" eval own.h5 --steps 3 --seeds 2 --output own.h5
refuses "is the input" eval own.h5 --steps 3 --seeds 2 --learned-only --json own.h5
refuses "run" eval run --steps 3 --seeds 2 --output run/optimizer.h5
refuses "run" info run --json run/metrics.jsonl
refuses "run" info run --json run/config.yaml
refuses "run" check q.yaml --dump run/optimizer.h5
refuses "is the input" check q.yaml --dump q.yaml
refuses "is the input" check q.yaml --json q.yaml
refuses "not an HDF5 file" export run --output keep.yaml
refuses "not an HDF5 file" check q.yaml --dump keep.yaml
refuses "the same file" eval run --output twice.h5 --json ./twice.h5
refuses "part of the run" train q.yaml --set output=run/checkpoints
printf 'suite: s\ntasks: [{name: q, horizons: [5], family: quadratic}]\n' >suite.yaml
refuses "the same file" eval run --speedup suite.yaml --json suite.yaml
for again in 1 2; do "$WL_BIN" eval own.h5 --speedup suite.yaml --no-picture --output report.json >/dev/null 2>err || fail "a second report: $(cat err)"; done
refuses "run" export run --output "$(ls run/checkpoints/step-*.h5 | tail -n 1)"
cp own.h5 keep.h5
refuses "not an evaluation" eval run --steps 3 --seeds 2 --output keep.h5
refuses "not an HDF5 file" eval run --steps 3 --seeds 2 --output keep.yaml
sums | cmp - before || fail "a refused output was written"
cmp keep.h5 own.h5 && cmp keep.yaml q.yaml || fail "a file that is not an evaluation was replaced"
"$WL_BIN" export run --output run/optimizer.h5 --quiet || fail "export refuses to write its default file, the optimizer of the run"

# Warp-Grad is compared with gradient descent on the same network without warp layers, and the rate of gradient
# descent is tuned
cat >warp.yaml <<'C'
seed: 1
threads: 1
output: warp
task: {family: sinusoid, frequency: fixed, shots: 5, widths: [6], activation: tanh, warp: linear}
rule: {name: sgd, rate: 0.05}
initialisation: {name: maml}
episode: {steps: 2}
window: {steps: 2, weights: last, batch: fresh, order: second}
outer: {steps: 30, units: 3, every: episode, learning_rate: 2e-2}
C
"$WL_BIN" train warp.yaml --quiet >/dev/null
tables() { "$WL_BIN" eval "$2" --seeds 30 --quiet --json "$1.json" "${@:3}" >/dev/null; }
tables warped warp --no-picture --output warped.h5
rate=$("$WL_PYTHON" -c 'import json; print(repr(json.load(open("warped.json"))["cases"][0]["rules"][1]["learning_rate"]))')
tables tuned warp --learned-only --set "rule.rate=$rate"
tables plain warp --learned-only --set "rule.rate=$rate" --set task.warp=none
"$WL_PYTHON" - <<'P' || fail "the baseline of Warp-Grad"
import json
load = lambda name: json.load(open(name + ".json"))["cases"][0]["rules"]
learned, baseline = load("warped")
assert baseline["final_loss_of_set"] == load("plain")[0]["final_loss_of_set"], "not the unwarped network"
assert baseline["final_loss_of_set"] != load("tuned")[0]["final_loss_of_set"], "compared with itself"
P
echo ok
