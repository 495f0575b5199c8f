# Checks a training in which parameters and adjoints become smaller than the smallest normal floating-point number.
# The digests must be the same with 1 and 2 threads and on 1 and 2 ranks. The stored parameters and states of the
# units must not contain a subnormal number.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

# The parameters start at zero, and their updates are subnormal. Two rules are tested. All threads compute the updates
# of the LSTM, but only the main thread computes the updates of sgd. The adjoints also become subnormal.
write_vanishing() { # arguments: FILE RULE
  cat >"$1" <<C
seed: 5
threads: 1
task: {family: mlp, data: synthetic, widths: [12], batch: 16, initial_scale: 0}
rule: $2
episode: {steps: 20}
window: {steps: 5}
outer: {steps: 3, units: 2, learning_rate: 1e-45}
C
}
write_vanishing lstm.yaml '{name: lstm, hidden: [6], output_scale: 2e-39, preprocessing: none, gradient_scale: 1.0, momentum: 0}'
write_vanishing sgd.yaml '{name: sgd, rate: 1e-37, learn: [rate]}'

train() { # arguments: RANKS CONFIG RUN ARGS...
  "$WL_MPIEXEC" -n "$1" "$WL_BIN" train "$2" --quiet --set "output=$3" "${@:4}" | grep '^digest'
}
expected=$(train 1 lstm.yaml one)
expect_same "2 threads" "$expected" "$(train 1 lstm.yaml lstm --set threads=2)"
expect_same "2 ranks of 2 threads" "$expected" "$(train 2 lstm.yaml ranks --set threads=2)"
train 1 sgd.yaml sgd

"$WL_PYTHON" - lstm sgd <<'P' || fail "subnormal numbers in a checkpoint"
import glob, h5py, numpy, sys
for run in sys.argv[1:]:
    with h5py.File(sorted(glob.glob(run + "/checkpoints/step-*.h5"))[-1]) as file:
        values = numpy.concatenate([file[name][...] for name in ("units/theta", "units/state") if name in file])
    assert values.size > 0
    bits = values.view(numpy.uint32) & 0x7fffffff
    found = numpy.count_nonzero((bits > 0) & (bits < 0x00800000))
    if found:
        raise SystemExit(f"{run}: {found} subnormal numbers")
P
echo "ok: no subnormal number in the units' parameters and states"
