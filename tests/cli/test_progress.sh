# Checks the messages of a training. The progress line must show means over complete episodes. The warning that the
# rule has no effect must appear only if the rule really has no effect. After the number 1, a noun must be in the
# singular.
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
! grep -q warning busy.err || { cat busy.err >&2; fail "a warning about a rule that learns"; }
grep -q ' 1 unit on 1 rank x 1 thread' busy.err && grep -q '^1 meta-parameter ' busy.err || fail "$(head -n 1 busy.err)"
# A window of one step has only one loss, so its losses cannot show whether the rule has an effect.
"$WL_BIN" train idle.yaml --set output=single --set episode.steps=1 --set window.steps=1 --set window.weights=sum >/dev/null 2>single.err
! grep -q warning single.err || { cat single.err >&2; fail "a warning from windows of one step"; }
! grep -qE '(^| )1 (units|ranks|threads|checkpoints|meta-parameters)' busy.err || fail "the output has a plural after the number 1"

# an episode consists of 4 windows, so the last 20 meta-steps are 5 complete episodes
"$WL_PYTHON" - "$(grep '^meta-step 150/150' busy.err)" <<'P' || fail "the last progress line has wrong figures"
import json, re, sys
lines = [json.loads(line) for line in open("busy/metrics.jsonl")][-20:]
shown = [float(x) for x in re.search(r"meta-loss (\S+)  window's last loss (\S+)", sys.argv[1]).groups()]
for got, key in zip(shown, ("meta_loss", "last_loss")):
    mean = sum(line[key] for line in lines) / 20
    assert abs(got - mean) <= 1e-3 * abs(mean), (key, got, mean)
P

# The final loss of outer.validate on fixed tasks must not depend on the number of ranks or on a resume. The
# validation must not change the training
cat >valid.yaml <<'C'
seed: 1
threads: 1
output: plain
task: {family: quadratic, dimension: 4, batch: 4}
rule: {name: lstm, hidden: [4]}
episode: {steps: 20}
window: {steps: 5}
outer: {steps: 30, units: 2, learning_rate: 1e-2}
trajectory: {every: 10, units: 1}
C
digest() { awk '/^digest/ { print $2 }' "$1"; }
"$WL_BIN" train valid.yaml --quiet >plain.out
"$WL_BIN" train valid.yaml --quiet --set output=one --set outer.validate=7 >one.out
"$WL_MPIEXEC" -n 2 "$WL_BIN" train valid.yaml --quiet --set output=two --set outer.validate=7 --stop-after 10 >stopped.out || [ $? = 75 ]
"$WL_MPIEXEC" -n 2 "$WL_BIN" train valid.yaml --quiet --set output=two --set outer.validate=7 --resume >two.out
expect_same "the digest with validation" "$(digest plain.out)" "$(digest one.out)"
expect_same "the digest on two ranks" "$(digest plain.out)" "$(digest two.out)"
"$WL_PYTHON" - <<'P' || fail "validation"
import json
def losses(run):
    return {line["meta_step"]: line["validation_loss"] for line in map(json.loads, open(run + "/metrics.jsonl"))}
one, two, plain = losses("one"), losses("two"), losses("plain")
assert {step for step, loss in one.items() if loss is not None} == {7, 14, 21, 28, 30}, one
assert one == two and set(plain.values()) == {None}
import h5py
with h5py.File("one/trajectory.h5") as file:
    table = dict(zip(file["metrics/meta_step"][:], file["metrics/validation_loss"][:]))
assert all(table[s] != table[s] if loss is None else abs(table[s] - loss) <= 1e-7 * abs(loss) for s, loss in one.items()), table
assert one[30] < one[7], one
P
echo ok
