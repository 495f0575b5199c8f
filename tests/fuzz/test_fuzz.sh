# test_fuzz.sh FUZZ_HDF5 RUNS - writes one file of each kind, then reads RUNS changed versions of these files. No case
# may crash, take 5 seconds, or require 1 GiB of memory.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

cat >job.yaml <<'C'
seed: 1
threads: 1
output: run
task: {family: quadratic, dimension: 3, batch: 4}
rule: {name: lstm, hidden: [4]}
episode: {steps: 10}
window: {steps: 4}
outer: {steps: 4, units: 2}
checkpoint: {every: 2}
trajectory: {every: 1, units: 2, coordinates: 3, hidden: true, snapshot_stride: 2}
C
"$WL_BIN" train job.yaml --quiet >/dev/null
"$WL_BIN" eval run --seeds 2 --tune-units 1 --steps 3 --no-picture --quiet >/dev/null
"$WL_PYTHON" - <<'P'
import h5py, numpy as np
for name, version, filters in (("packed-old.h5", ("earliest", "v108"), {"compression": "gzip"}),
                               ("packed-new.h5", ("v110", "v110"), {"compression": "gzip"}),
                               ("packed-plain.h5", ("v110", "v110"), {}), ("packed-shuffle.h5", ("v110", "v110"), {"shuffle": True})):
    with h5py.File(name, "w", libver=version) as file:
        images = np.random.default_rng(1).integers(0, 2, (12, 4, 6, 6), dtype="u1")
        file.create_dataset("image", data=images, chunks=(1, 4, 6, 6), **filters)
        file["alphabet_of_character"] = np.repeat(np.arange(3, dtype="i4"), 4)
        file["background"] = np.array([1, 1, 0], dtype="u1")
P
mkdir fuzz
cd fuzz
"$1" --runs "$2" --first "${FIRST:-0}" ../run/checkpoints/step-0000000[24].h5 ../run/optimizer.h5 ../run/trajectory.h5 \
  ../run/trajectory/part-00000001.h5 ../run/evaluation.h5 ../packed-{old,new,plain,shuffle}.h5
