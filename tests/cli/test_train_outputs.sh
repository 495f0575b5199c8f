# Checks what a training prints and writes: the digest line, the metrics, the trained optimizer, and the resolved
# configuration, which contains all defaults. A training with the resolved configuration must reproduce the run. The
# metrics must contain one line for each meta-step, even if the run was resumed.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

write_mlp_config mlp.yaml
code=0
"$WL_MPIEXEC" -n 2 "$WL_BIN" train mlp.yaml --set output=run --stop-after 6 >first.out 2>first.err || code=$?
expect_same "exit code of a stopped run" 75 $code
expect_same "its step" 6 "$(digest_step first.out)"
digest=$(train_on 2 mlp.yaml run --resume)
expect_same "steps of the ended run" 20 "$(digest_step run.out)"
expect_same "last line of standard output" "$(tail -n 1 run.out)" "$digest"

steps=$(grep -o '"meta_step":[0-9]*' run/metrics.jsonl | grep -o '[0-9]*$' | tr '\n' ' ')
expect_same "metrics" "$(seq -s ' ' 1 20) " "$steps"

"$WL_PYTHON" - <<'P' || fail "the files of the run do not have the expected content"
import json, math, h5py
for line in open("run/metrics.jsonl"):
    m = json.loads(line)
    assert all(type(m[name]) is int for name in ("meta_step", "units", "skipped_units", "inner_steps")), m
    assert m["units"] == 7 and m["skipped_units"] == 0 and math.isfinite(m["meta_loss"]), m
with h5py.File("run/optimizer.h5") as f:
    shapes = {k: v.shape for k, v in f["phi"].items() if v.attrs.get("CLASS") != b"DIMENSION_SCALE"}
    assert sum(math.prod(s) for s in shapes.values()) == 5141, shapes
with h5py.File("run/trajectory.h5") as f:
    assert f.attrs["kind"] is not None
P

# outer.average sets an exponential average of phi over meta-steps, in which the first meta-steps have smaller
# weights. The exported optimizer must contain this average.
train_on 2 mlp.yaml average --set outer.steps=4 --set outer.average=0.3 --set checkpoint.every=1 --set checkpoint.keep=9 >/dev/null
"$WL_PYTHON" - <<'P' || fail "outer.average: the average of phi is wrong"
import h5py
import numpy as np


def read(path, group):
    with h5py.File(path) as f:
        blocks = f[group]
        return np.concatenate([blocks[k][:].ravel() for k in sorted(blocks) if blocks[k].attrs.get("CLASS") != b"DIMENSION_SCALE"])


at = [f"average/checkpoints/step-{n:08d}.h5" for n in range(1, 5)]
for n in range(1, 4):
    keep = min(0.3, (1 + n) / (10 + n))
    expected = keep * read(at[n - 1], "average") + (1 - keep) * read(at[n], "phi")
    assert np.allclose(read(at[n], "average"), expected, rtol=1e-14, atol=0), n
assert (read("average/optimizer.h5", "phi") == read(at[3], "average")).all()
assert (read(at[3], "phi") != read(at[3], "average")).any()
P

expect_same "run from the resolved configuration" "$digest" "$(train_on 1 run/config.yaml again)"
"$WL_BIN" train mlp.yaml --set output=run --dry-run >dry.yaml
cmp dry.yaml run/config.yaml || fail "--dry-run differs from the resolved configuration"
# --dry-run also prints how much memory a rank requires, and warns if a rank has no unit.
"$WL_MPIEXEC" -n 3 "$WL_BIN" train mlp.yaml --set outer.units=2 --dry-run 2>dry.err >dry.out
grep -q '^memory estimate: .* MiB for each rank' dry.err || fail "--dry-run does not print the memory"
grep -q '1 of 3 ranks have no work' dry.err || fail "idle ranks are not reported: $(cat dry.err)"
# The estimated memory must be close to the peak memory that the run reports. In the first case, the
# final checkpoint contains units. In the second case, the final checkpoint contains no units. The third case is a run
# with the storage `states`.
for job in "3 first recompute" "5 first recompute" "2 second states"; do
  read -r steps order storage <<<"$job"
  "$WL_BIN" train mlp.yaml --set output="memory-$order-$steps" --set 'task={family: mlp, data: synthetic, widths: [120], batch: 16}' \
    --set rule.hidden=[20,20] --set episode.steps=100 --set window.steps=20 --set window.order="$order" \
    --set window.storage="$storage" --set outer.units=2 --set outer.steps="$steps" 2>memory.err >/dev/null
  off=$(sed -n 's/^memory peak: .* a difference of [+-]\([0-9.]*\) %$/\1/p' memory.err)
  expect_below "error of the memory's estimate in percent, after $steps meta-steps with $storage" 10 "${off:-999}"
done
for list in tasks rules preconditioners initialisations estimators; do
  [ "$("$WL_BIN" train --list $list | wc -l)" -ge 2 ] || fail "--list $list is empty"
done
echo "ok"
