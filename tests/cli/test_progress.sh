# What a training says of itself: means over whole episodes on the progress line, a warning where the rule does nothing and only
# there, and one of a thing in the singular.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

cat >idle.yaml <<'C'
seed: 1
threads: 1
output: idle
task: {family: mlp, data: synthetic, widths: [4], batch: 8}
rule: {name: sgd, rate: 1e-9, learn: [rate]}
episode: {steps: 20}
window: {steps: 5}
outer: {steps: 150, units: 1, learning_rate: 1e-9}
C
"$WL_BIN" train idle.yaml >/dev/null 2>idle.err
[ "$(grep -c 'warning: meta-step 100: an episode lowers the loss by' idle.err)" = 1 ] || { cat idle.err >&2; fail "an idle rule: not one warning"; }
"$WL_BIN" train idle.yaml --set output=busy --set task.widths=[16] --set task.batch=64 --set task.activation=tanh --set task.initialisation=fan-in --set rule.rate=1 >/dev/null 2>busy.err
! grep -q warning busy.err || { cat busy.err >&2; fail "a rule that learns is warned of"; }
grep -q ' 1 unit on 1 rank x 1 thread' busy.err && grep -q '^1 meta-parameter ' busy.err || fail "$(head -n 1 busy.err)"
! grep -qE '(^| )1 (units|ranks|threads|checkpoints|meta-parameters)' busy.err || fail "a plural of one"

# 4 windows make an episode: the means of the last 20 meta-steps are those of 5 episodes
"$WL_PYTHON" - "$(grep '^meta-step 150/150' busy.err)" <<'P' || fail "the progress line"
import json, re, sys
lines = [json.loads(line) for line in open("busy/metrics.jsonl")][-20:]
shown = [float(x) for x in re.search(r"meta-loss (\S+)  window's last loss (\S+)", sys.argv[1]).groups()]
for got, key in zip(shown, ("meta_loss", "last_loss")):
    mean = sum(line[key] for line in lines) / 20
    assert abs(got - mean) <= 1e-3 * abs(mean), (key, got, mean)
P
echo ok
