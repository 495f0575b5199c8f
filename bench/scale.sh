#!/bin/bash
# Measures how the parallel efficiency of training depends on the number of ranks. Warploom runs under SimGrid's SMPI
# on a simulated cluster.
#
#   bench/scale.sh [--build DIR] [--output DIR] [--ranks "64 256 1024"] [--units N] [--steps N]
#                  [--spread SHARE]
#
# 1. One rank computes tasks of four sizes, and the script records the time of a window of each size.
# 2. With 1 rank and with each number of ranks in --ranks, the program trains N units for each rank (weak scaling).
#    The default of N is 8.
#    The units are drawn from the mixture of scale/mixture.yaml. The simulated program computes the plan and sends the
#    messages of a real training. The simulated program does not compute the windows. Instead, a window advances the
#    simulated clock
#    by its measured time, multiplied by a random factor. The factor has the measured spread, or the spread that
#    --spread sets.
#    The script writes the efficiency and the time of each phase as a table (scale.txt) and a picture (scale.svg).
#
# The cluster has nodes of 8 cores. A fat tree of two levels connects the nodes. The links have a bandwidth of 12.5
# GB/s and a latency of 1 us. The simulation assumes that cores do not slow one another down and that the network has
# no other traffic. The only file that the simulated program writes is the final checkpoint. The collective operations
# use the algorithms of Open MPI. The script needs SimGrid (tools/install-dependencies.sh bench).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=build output=build/scale ranks="64 256 1024" units=8 steps=10 spread="" cores=8
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=$2 ;;
    --output) output=$2 ;;
    --ranks) ranks=$2 ;;
    --units) units=$2 ;;
    --steps) steps=$2 ;;
    --spread) spread=$2 ;;
    *) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" >&2; [ "$1" = --help ] || exit 64; exit 0 ;;
  esac
  shift 2
done
case $build in /*) ;; *) build=$PWD/$build ;; esac
program=$build/warploom_smpi.so
if ! command -v smpirun >/dev/null || [ ! -e "$program" ]; then
  echo "bench/scale.sh: SimGrid or $program is missing: run tools/install-dependencies.sh bench, then configure and build again" >&2
  exit 77
fi
mkdir -p "$output"
output=$(cd "$output" && pwd)
here=$PWD/bench/scale

describe_cluster() { # arguments: RANKS
  local nodes=$((($1 + cores - 1) / cores)) leaves
  leaves=$(((nodes + 15) / 16))
  cat >"$output/cluster.xml" <<XML
<?xml version='1.0'?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
  <cluster id="cluster" prefix="node-" suffix="" radical="0-$((16 * leaves - 1))" speed="1Gf" core="$cores"
    bw="12.5GBps" lat="1us" loopback_bw="10GBps" loopback_lat="300ns"
    topology="FAT_TREE" topo_parameters="2;16,$leaves;1,8;1,1"/>
</platform>
XML
  for ((i = 0; i < nodes; i++)); do echo "node-$i:$cores"; done >"$output/hosts"
}

simulate() { # arguments: RANKS NAME UNITS STEPS
  describe_cluster "$1"
  rm -rf -- "${output:?}/$2"
  (cd "$output" && smpirun -quiet -np "$1" -platform cluster.xml -hostfile hosts --log=root.thresh:warning \
    --cfg=smpi/simulate-computation:no --cfg=smpi/host-speed:1Gf --cfg=smpi/coll-selector:ompi \
    --cfg=contexts/stack-size:1024 \
    "$program" train "$here/mixture.yaml" --quiet --set "output=$2" --set "outer.units=$3" --set "outer.steps=$4" >"$2.log" 2>&1) ||
    { tail -n 5 "$output/$2.log" >&2; exit 1; }
}

echo "scale: measuring the time of a unit's work"
WL_FOLD_MEASURE=$output/work.txt simulate 1 measured "$((2 * units))" 4
if [ -n "$spread" ]; then sed -i -E "s/ [0-9.]+\$/ $spread/" "$output/work.txt"; fi
for n in 1 $ranks; do
  start=$SECONDS
  WL_FOLD=$output/work.txt simulate "$n" "ranks-$n" "$((n * units))" "$steps"
  echo "scale: $n ranks simulated in $((SECONDS - start)) s"
done
python=/usr/bin/python3 # the system's Python is preferred, because it usually has matplotlib
[ -x "$python" ] || python=python3
# shellcheck disable=SC2086 # the variable is a list of words
"$python" "$here/table.py" "$output" 1 $ranks
