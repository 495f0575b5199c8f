# Compares each dataset in the files of an interrupted run with the same dataset of an uninterrupted run. The run is
# stopped or killed, and then resumed on another number of ranks. Some units diverge in the middle of an episode.
# The divergence ends this episode.
. "$WL_SOURCE/tests/harness/training.sh"

# At this learning rate, trainings of the quadratic functions diverge, and trainings of the perceptrons do not.
cat >job.yaml <<'Y'
seed: 5
threads: 1
task:
  - {family: quadratic, dimension: 4, batch: 4}
  - {family: mlp, data: synthetic, widths: [3], batch: 8}
rule: {name: sgd, rate: 1e6, learn: [rate]}
episode: {steps: 30}
window: {steps: 5, weights: last}
outer: {steps: 18, units: 4, learning_rate: 1e-12, patience: 0}
checkpoint: {every: 2, keep: 2}
trajectory: {every: 1, units: 4, coordinates: 2, hidden: true, snapshot_stride: 2}
Y

# Compares all datasets of two runs, except those that contain times, and prints the datasets that differ.
cat >compare.py <<'P'
import sys
import h5py
import numpy as np
from pathlib import Path

one, two = Path(sys.argv[1]), Path(sys.argv[2])
files = sorted(str(p.relative_to(one)) for p in one.rglob("*.h5"))
other = sorted(str(p.relative_to(two)) for p in two.rglob("*.h5"))
wrong = [] if files == other else [f"files {files} and {other}"]
compared = 0
for name in set(files) & set(other):
    with h5py.File(one / name) as a, h5py.File(two / name) as b:
        names = [[], []]
        for file, found in ((a, names[0]), (b, names[1])):
            file.visititems(lambda n, d: found.append(n) if isinstance(d, h5py.Dataset) else None)
        if names[0] != names[1]:
            wrong.append(f"{name}: datasets {set(names[0]) ^ set(names[1])}")
        for dataset in set(names[0]) & set(names[1]):
            if "seconds" in dataset:
                continue
            compared += 1
            x, y = a[dataset][()], b[dataset][()]
            if x.shape != y.shape or x.tobytes() != y.tobytes():
                wrong.append(f"{name}: {dataset}")
with h5py.File(one / "trajectory.h5") as file:
    stopped = int(np.sum(file["steps"][()] < 5))
    print(f"{len(files)} files, {compared} datasets, {stopped} windows of stopped units")
    if stopped == 0:
        wrong.append("no unit stopped: the test compares nothing")
sys.exit("\n".join(wrong) if wrong else 0)
P
compare() { "$WL_PYTHON" compare.py straight "$1" || fail "$1 has other files than an uninterrupted run"; }

code=0
"$WL_BIN" train job.yaml --quiet --set output=straight >/dev/null || code=$?
expect_same "exit code" 0 "$code"
for stop in 3 8; do
  "$WL_BIN" train job.yaml --quiet --set output=stopped-$stop --stop-after $stop >/dev/null || [ $? = $EXIT_STOPPED ]
  "$WL_MPIEXEC" -n 2 "$WL_BIN" train job.yaml --quiet --set output=stopped-$stop --resume >/dev/null
  compare stopped-$stop
done

# The run is killed after its fourth meta-step, when the trajectory contains meta-steps that follow the last
# checkpoint.
"$WL_BIN" train job.yaml --quiet --set output=killed --set outer.steps=100000 >/dev/null 2>&1 &
victim=$!
for _ in $(seq 3000); do ! has_checkpoint_after killed 5 || break; sleep 0.02; done
kill -KILL $victim
wait $victim 2>/dev/null || true
newest=$(basename "$(ls killed/checkpoints/step-*.h5 | tail -n 1)")
if [[ $newest > step-00000016.h5 ]]; then echo "the kill came too late: not tested"; exit 0; fi
"$WL_BIN" train job.yaml --quiet --set output=killed --resume >/dev/null
compare killed
exit 0
