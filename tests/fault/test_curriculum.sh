# Checks the stages of a curriculum. The digest must be the same on any number of ranks and threads. The digest must
# also be the same in two other cases: after a kill, and after a stop in a later stage and a resume on another number
# of ranks. The log contains the loss of each evaluation, and these losses determine the meta-step at which each new
# stage must begin.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

cat >stages.yaml <<'C'
seed: 1
threads: 1
task: {family: quadratic, dimension: 4, batch: 4}
rule: {name: lstm, hidden: [4]}
curriculum: {steps: [5, 10], every: 6, tasks: 3}
episode: {steps: [20, 30]}
window: {steps: 5}
outer: {steps: 75, units: 3, learning_rate: 3e-2, average: 0.9}
checkpoint: {every: 7}
C
"$WL_BIN" train stages.yaml --set output=one >one.out 2>one.err
expected=$(digest_line one.out)
for ranks in 2 3; do
  expect_same "$ranks ranks" "$expected" "$(train_on $ranks stages.yaml ranks-$ranks)"
done
expect_same "2 threads" "$expected" "$(train_on 1 stages.yaml threads --set threads=2)"
[ "$(train_on 1 stages.yaml plain --set curriculum.steps=[])" != "$expected" ] || fail "the stages have no effect on the digest"
train_on 3 stages.yaml cut --stop-after 61 >/dev/null
expect_same "stopped on 3 ranks, ended on 2" "$expected" "$(train_on 2 stages.yaml cut --resume)"
kill_in_the_middle stages.yaml killed
train_on 3 stages.yaml killed --resume --set outer.steps="$(($(checkpoint_step killed) + 20))" >killed.digest
steps=$(awk '{ print $4 }' killed.digest)
expect_same "killed and resumed" "$(train_on 2 stages.yaml long --set outer.steps="$steps")" "$(cat killed.digest)"

# A new stage must begin after each evaluation whose loss is not below the lowest loss of the stage so far. Episodes
# must have the length that their stage sets.
"$WL_PYTHON" - <<'P'
import json, math, re

import h5py
import numpy as np

log = open("one.err").read()
rows = [json.loads(line) for line in open("one/metrics.jsonl")]
found = re.findall(r"meta-step (\d+): stage (\d+) of 3, loss (\S+) after (\d+) steps", log)
assert len(found) == 12, (len(found), log)
stage, best, changes = 1, math.inf, []
for step, shown, loss, steps in ((int(a), int(b), float(c), int(d)) for a, b, c, d in found):
    assert shown == stage and steps == {1: 10, 2: 30, 3: 30}[stage], (step, shown, stage, steps)
    if loss < best:
        best = loss
    elif stage < 3:
        stage, best = stage + 1, math.inf
        changes.append(step)
assert stage == 3, changes
for row in rows:
    # an episode with K remaining steps may end in the next stage
    step = row["meta_step"]
    if step <= changes[0]:
        assert row["inner_steps"] == 5, row
    elif changes[0] + 1 < step <= changes[1]:
        assert row["inner_steps"] == 10, row
    elif step > changes[1] + 2:
        assert 20 <= row["inner_steps"] <= 30, row
with h5py.File("one/checkpoints/step-00000075.h5") as file, h5py.File("one/optimizer.h5") as trained:
    assert file["curriculum/stage"][0] == 2 and abs(file["curriculum/best_loss"][0] / best - 1) < 1e-3
    def flat(group):
        out = []
        group.visititems(lambda name, item: out.append((name, item[:].tobytes())) if isinstance(item, h5py.Dataset) else None)
        return out
    # the exported rule must be the rule with the lowest loss of the last stage
    exported, kept = dict(flat(trained["phi"])), dict(flat(file["curriculum/best"]))
    assert exported and all(kept[name] == data for name, data in exported.items()), "not the best"
print("ok: stages", changes)
P

# A run directory must contain the same optimizer as the file that was exported from it.
result() { # arguments: SOURCE
  "$WL_BIN" eval "$1" --learned-only --seeds 2 --quiet --json result.json >result.out 2>&1 || fail "eval $1: $(cat result.out)"
  "$WL_PYTHON" -c 'import json; print(json.load(open("result.json"))["cases"][0]["rules"][0]["final_loss_of_set"])'
}
expect_same "losses of run directory and exported rule" "$(result one/optimizer.h5)" "$(result one)"

code=0
"$WL_BIN" train stages.yaml --set output=wrong --set curriculum.steps=[20,10] >wrong.out 2>wrong.err || code=$?
[ $code = 78 ] && grep -q 'each stage must be longer than the previous one' wrong.err || fail "stages that do not grow ended with $code: $(cat wrong.err)"
echo "ok: stages that do not grow are refused"
