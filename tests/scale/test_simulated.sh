#!/bin/bash
# Checks Warploom under the simulated MPI of SimGrid (SMPI). A run on 8 simulated ranks must have the same digest as
# a run on one real rank. In a second run on 16 ranks, the simulated clock advances by given times instead of
# computing windows. In this run, units with tasks of different sizes must be distributed evenly, and the waiting
# times must be reported.
set -euo pipefail
module=$WL_BUILD/warploom_smpi.so
if ! command -v smpirun >/dev/null || [ ! -e "$module" ]; then
  echo "SimGrid is not installed: skipped"
  exit 77
fi
fail() { echo "FAILED: $*" >&2; exit 1; }

cat >cluster.xml <<'XML'
<?xml version='1.0'?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
  <cluster id="c" prefix="node-" suffix="" radical="0-1" speed="1Gf" core="8" bw="12.5GBps" lat="1us"/>
</platform>
XML
printf 'node-0:8\nnode-1:8\n' >hosts
cat >small.yaml <<'YAML'
task:
  - {family: quadratic, dimension: 4, batch: 3, proportion: 0.5}
  - {family: quadratic, dimension: 5, batch: 4, proportion: 0.5}
rule: {name: lstm, hidden: [4]}
episode: {steps: 6}
window: {steps: 3}
outer: {steps: 5, units: 24}
trajectory: {every: 2, units: 20}
threads: 1
YAML
simulate() { # arguments: RANKS OPTIONS...
  local ranks=$1
  shift
  smpirun -quiet -np "$ranks" -platform cluster.xml -hostfile hosts --log=root.thresh:warning \
    --cfg=smpi/simulate-computation:no --cfg=smpi/host-speed:1Gf --cfg=smpi/coll-selector:ompi \
    "$module" train small.yaml --quiet "$@" 2>&1
}

real=$("$WL_BIN" train small.yaml --quiet --set output=real)
simulated=$(simulate 8 --set output=simulated) || fail "$simulated"
grep -qx "$real" <<<"$simulated" || fail "8 simulated ranks: '$simulated', one real rank: '$real'"
"$WL_BIN" info simulated/trajectory.h5 --verify >/dev/null || fail "the trajectory that 8 simulated ranks recorded"

# A window of 3 steps takes 0.3 s for the smaller task and 0.1 s for the larger task. The cost model wrongly expects the
# larger task to take longer.
cat >work.txt <<'EOT'
window quadratic-12 0.1 0
window quadratic-20 0.0333333333 0
start quadratic-12 0 0
start quadratic-20 0 0
rest - 0 0
EOT
folded=$(WL_FOLD=$PWD/work.txt simulate 16 --set output=folded --set outer.units=128 --set episode.steps=3) || fail "$folded"
/usr/bin/env python3 - <<'PY' || fail "the times of 16 simulated ranks"
import json
rows = [json.loads(line) for line in open("folded/metrics.jsonl")]
for row in rows:
    busy, wait, reduce = row["compute_seconds"], row["wait_seconds"], row["reduce_seconds"]
    assert 1.2 <= busy <= 2.2, row    # each of 16 ranks has 8 of the 128 units, whose mean time is 0.2 s
    assert 0 <= wait <= 0.3, row      # a rank waits at most for the time of the slowest unit
    assert wait <= busy - row["compute_seconds_least"] <= 0.31, row
    assert 0 < reduce < 1e-3, row     # the simulated network has a latency of some microseconds
PY
echo ok
