#!/bin/bash
# Measures the time that libwarploom needs for one step over a million parameters. Compares the times of two trained
# LSTMs with the time of Adam. One LSTM has two layers of 20 units, and the other has one layer. Each round measures
# every rule, with one thread and with two threads.
#
#   bench/update.sh [BUILD [PARAMETERS]]
set -euo pipefail
case ${1:-} in -*) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; [ "$1" = --help ] || exit 64; exit 0 ;; esac
build=${1:-build} parameters=${2:-1000000}
scratch=$(mktemp -d)
trap 'rm -rf -- "$scratch"' EXIT

make() { # arguments: NAME RULE. Trains for one meta-step, because the speed does not depend on the training
  printf 'seed: 1\nthreads: 1\ntask: {family: quadratic, batch: 4}\nepisode: {steps: 5}\nwindow: {steps: 5}\nouter: {steps: 1, units: 1}\n' >"$scratch/$1.yaml"
  "$build/warploom" train "$scratch/$1.yaml" --quiet --set "rule=$2" --set "output=$scratch/$1" >/dev/null
}
make lstm '{name: lstm, hidden: [20, 20], preprocessing: log, gradient_scale: 1.0, output_scale: 1.0, momentum: 0}'
make small '{name: lstm, hidden: [20], preprocessing: log, gradient_scale: 1.0, output_scale: 1.0, momentum: 0}'
make adam '{name: adam, learn: [rate]}'

"$build/warploom" --version | grep -E '^(warploom|processor|compiler)'
for threads in 1 2; do
  "$build/bench/bench_update" "$parameters" $threads "$scratch"/{lstm,small,adam}/optimizer.h5
done
