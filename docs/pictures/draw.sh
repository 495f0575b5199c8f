#!/bin/bash
# Draws the pictures in this folder and writes docs/example-report.html. Usage: docs/pictures/draw.sh [NAME...]
#
# An argument NAME is one of these names. Without arguments, the script draws all pictures and writes the report.
#
# - quadratic: The picture shows the loss curves of a trained optimizer and of tuned hand-designed rules on quadratics.
# - training: The picture shows the metrics of three trainings on quadratics with different seeds. Each training has
#   1,001 meta-steps.
# - rule: The picture shows recorded inner runs of the training with seed 1, and the update of the trained rule as a
#   function of the gradient.
# - mountain: The picture shows inner runs as paths in the plane, and the parameters of a warp during its meta-training.
# - report: The script writes docs/example-report.html, which is a report about a training with jobs/quickstart.yaml.
#
# Environment variables:
#
# - WARPLOOM is the path of the program (default: build/warploom).
# - OUTPUT is the folder of the runs (default: runs/pictures). The script does not repeat runs that this folder
#   contains.
# - PYTHON is the Python interpreter that runs the tools (default: /usr/bin/python3).
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
warploom=${WARPLOOM:-$root/build/warploom} output=${OUTPUT:-runs/pictures} python=${PYTHON:-/usr/bin/python3}
export OPENBLAS_NUM_THREADS=1

case ${1:-} in -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;; esac
[ -x "$warploom" ] || { echo "draw.sh: no program $warploom: build it, or set WARPLOOM" >&2; exit 66; }

tool() { # arguments: name of a script in tools/, arguments of this script
  "$python" "$root/tools/$1.py" "${@:2}"
}
train() { # arguments: name of the job, name of the run, options of `warploom train`
  [ -e "$output/$2/optimizer.h5" ] || "$warploom" train "$root/jobs/$1.yaml" --quiet --set output="$output/$2" "${@:3}"
}
evaluate() { # arguments: run or trained file, output file, options of `warploom eval`
  [ -e "$2" ] || "$warploom" eval "$1" --quiet --no-picture --output "$2" "${@:3}"
}
train_seeds() { # arguments: the seeds of the trainings
  local seed
  for seed; do
    train quadratic-gaussian quadratics/seed-$seed --set threads=1 --set seed=$seed --set outer.steps=1500 \
      --set trajectory.every=21 --set trajectory.units=2 --stop-after 1001 || [ $? = 75 ]
  done
}

quadratic() {
  evaluate "$root/jobs/trained/quadratic-gaussian.h5" "$output/quadratic.h5" --units 8
  tool plot_evaluation "$output/quadratic.h5" --output "$root/docs/pictures/quadratic.png"
}
training() {
  train_seeds 1 2 3
  tool plot_training "$output"/quadratics/seed-{1,2,3} --output "$root/docs/pictures/training.png"
}
rule() {
  train_seeds 1
  evaluate "$output/quadratics/seed-1" "$output/quadratics/seed-1/evaluation.h5" --units 8
  tool plot_trajectories "$output/quadratics/seed-1" --show loss,rule --output "$root/docs/pictures/rule.png"
}
mountain() {
  train warp-mountain mountain --set checkpoint.every=10 --set checkpoint.keep=11 --set trajectory.every=10 \
    --set trajectory.snapshot_stride=1
  tool plot_trajectories "$output/mountain" --show phase,parameters --output "$root/docs/pictures/mountain.png"
}
report() {
  train quickstart quickstart
  evaluate "$output/quickstart" "$output/quickstart/evaluation.h5"
  tool report "$output/quickstart" --pictures png --output "$root/docs/example-report.html"
}

mkdir -p "$output"
for picture in ${*:-quadratic training rule mountain report}; do
  case $picture in
    quadratic | training | rule | mountain | report) $picture ;;
    *) echo "draw.sh: no picture '$picture'; see --help" >&2; exit 64 ;;
  esac
done
