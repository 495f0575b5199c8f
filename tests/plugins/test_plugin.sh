#!/bin/bash
# Checks the examples of docs/plugins.md. Each example must be built by one command. All commands must work with the
# examples as with built-in families and rules: describe, check, train, resume, evaluate and export.
. "$WL_SOURCE/tests/harness/training.sh"
cp "$WL_SOURCE"/examples/plugins/{welsch.c,soft_clip.c,welsch.yaml} .
"$WL_BIN" plugin build welsch.c 2>build.err || { cat build.err >&2; fail "plugin build welsch.c"; }
grep -q "^welsch.so: a task family 'welsch' for float32, float64$" build.err || fail "what was built: $(cat build.err)"
"$WL_BIN" plugin build soft_clip.c 2>build.err || { cat build.err >&2; fail "plugin build soft_clip.c"; }

shows() { # arguments: CASE PATTERN COMMAND...
  local what=$1 pattern=$2
  shift 2
  "$@" >shown.out 2>shown.err || { cat shown.err >&2; fail "$what: $*"; }
  grep -q "$pattern" shown.out || fail "$what: no '$pattern' in the output of $*"
}
shows "keys of the task" '^  task\.outliers$' "$WL_BIN" plugin info welsch.so
shows "keys of the rule" '^  rule\.bound$' "$WL_BIN" plugin info soft_clip.so
shows "--help with the configuration" '^  task\.outliers$' "$WL_BIN" train welsch.yaml --help
shows "the JSON Schema" '"outliers": {' "$WL_BIN" train --json-schema welsch.yaml
shows "the resolved configuration" '^  outliers: 0.1$' "$WL_BIN" train welsch.yaml --dry-run
hash=$("$WL_BIN" plugin info welsch.so | awk '$1 == "hash" { print $2 }')
shows "the hash" "^  plugin_hash: \"\\?$hash\"\\?$" "$WL_BIN" train welsch.yaml --dry-run

for order in first second; do
  "$WL_BIN" check welsch.yaml --set window.order=$order >check.out 2>check.err || { cat check.* >&2; fail "check, $order order"; }
  for block in rule.rate rule.bound; do
    grep "$block" check.out | grep -q ' ok$' || { cat check.out >&2; fail "check does not pass on $block"; }
  done
done

# Trains on one rank from a working folder that does not contain the configuration, and then trains on two ranks. The
# path of a plug-in is relative to the folder that contains the configuration.
mkdir elsewhere
(cd elsewhere && "$WL_BIN" train ../welsch.yaml --set output=../one --quiet) >one.out
"$WL_MPIEXEC" -n 2 "$WL_BIN" train welsch.yaml --set output=two --quiet >two.out
expect_same "two ranks" "$(digest_line one.out)" "$(digest_line two.out)"
awk -F'"meta_loss":' '{ split($2, v, /[,}]/); if (NR <= 5) a += v[1]; if (NR > 35) b += v[1] }
  END { print "ok: meta-loss " a / 5 " to " b / 5; exit !(b < 0.9 * a) }' one/metrics.jsonl ||
  fail "training did not lower the meta-loss by a tenth"

# Trains on a mixture of tasks with drawn keys, by a forward-only estimator and with several threads.
cat >mixed.yaml <<'Y'
seed: 2
task:
  - {plugin: ./welsch.so, dimension: {one_of: [3, 20]}, points: 16, loss_scale: {log_uniform: [0.5, 2]}}
  - {family: quadratic, dimension: 5, batch: 4}
rule: {plugin: ./soft_clip.so, rate: 0.3, learn: [rate, bound]}
episode: {steps: 12}
window: {steps: 4}
estimator: {name: nres}
outer: {steps: 6, units: 6}
Y
for run in "1 1" "1 2" "2 1"; do
  set -- $run
  "$WL_MPIEXEC" -n $1 "$WL_BIN" train mixed.yaml --set threads=$2 --set output=mixed-$1-$2 --quiet >mixed-$1-$2.out
  expect_same "mixture, $1 ranks, $2 threads" "$(digest_line mixed-1-1.out)" "$(digest_line mixed-$1-$2.out)"
done

# The run is killed before its end and resumed on another number of ranks.
steps=3000
whole=$(straight_digest welsch.yaml $steps whole --set checkpoint.every=100)
"$WL_BIN" train welsch.yaml --set outer.steps=$steps --set checkpoint.every=100 --set output=killed --quiet &
wait_for 30 "a checkpoint" has_checkpoint_after killed 0
kill -9 $!
wait $! 2>/dev/null && fail "the run ended before it was killed; it had $steps meta-steps"
"$WL_MPIEXEC" -n 2 "$WL_BIN" train welsch.yaml --set outer.steps=$steps --set checkpoint.every=100 --set output=killed \
  --resume --quiet >killed.out
expect_same "killed and resumed" "$whole" "$(digest_line killed.out)"

"$WL_BIN" eval one --seeds 2 --units 1 --steps 10 --vary scale --quiet >eval.out 2>eval.err ||
  { cat eval.err >&2; fail "eval"; }
grep -q 'learned (soft_clip)' eval.out || fail "no row of the rule in $(cat eval.out)"

printf 'seed: 1\ntask: [{family: quadratic}, {plugin: ./welsch.so}]\nrule: {name: sgd, learn: [rate]}\nepisode: {steps: 4}\nwindow: {steps: 4}\nouter: {steps: 2, units: 2}\n' >mixture.yaml
"$WL_BIN" train mixture.yaml --set output=mixture --quiet >mixture.out || fail "a mixture with a plug-in cannot be trained"
# If a plug-in has changed since the run was started, the error message must name both hashes. If the configuration
# contains the new hash, the resume must succeed.
sed 's/OUTLIER = 10.0/OUTLIER = 11.0/' welsch.c >changed.c
"$WL_BIN" plugin build changed.c --output welsch.so 2>build.err
new=$("$WL_BIN" plugin info welsch.so | awk '$1 == "hash" { print $2 }')
[ "$new" != "$hash" ] || fail "another file has the same hash"
code=0
"$WL_BIN" train welsch.yaml --set output=one --set outer.steps=50 --resume >resume.out 2>resume.err || code=$?
[ $code = 78 ] || fail "a resume with another plug-in ended with $code: $(cat resume.err)"
grep -q "task.plugin_hash: $hash | $new" resume.err || fail "message of the resume: $(cat resume.err)"
"$WL_BIN" train mixture.yaml --set output=mixture --resume >mixture.out 2>mixture.err && fail "a mixture resumed with another plug-in"
grep -q "add --set task.1.plugin_hash=$new\$" mixture.err || fail "message of the mixture: $(cat mixture.err)"
grep -q "add --set task.plugin_hash=$new\$" resume.err || fail "the resume does not name the option: $(cat resume.err)"
code=0
"$WL_BIN" eval one --seeds 2 >eval.out 2>eval.err || code=$?
[ $code = 78 ] || fail "an evaluation with another plug-in ended with $code"
grep -q "has the hash $new, not $hash" eval.err || fail "message of the evaluation: $(cat eval.err)"
"$WL_BIN" train welsch.yaml --set output=one --set outer.steps=50 --set task.plugin_hash=$new --resume --quiet >resume.out ||
  fail "a resume that accepts the new plug-in"
grep -q '^digest .* step 50$' resume.out || fail "the resume that accepts: $(cat resume.out)"

# For the following run, the plug-in was moved to another path. The identity of a run depends on the hash of a
# plug-in, but not on the path of the plug-in.
mkdir moved && mv welsch.so soft_clip.so welsch.yaml moved
"$WL_BIN" train moved/welsch.yaml --set output=one --set outer.steps=60 --set task.plugin_hash=$new --resume --quiet >moved.out ||
  fail "a resume with moved plug-ins"
grep -q '^digest .* step 60$' moved.out || fail "the resume with moved plug-ins: $(cat moved.out)"
"$WL_BIN" export one --output exported.h5 --quiet || fail "export"
"$WL_BIN" info exported.h5 >info.out && grep -q "plugin_hash" info.out || fail "the exported file does not have the plug-in's hash"
echo "ok: hashes"
