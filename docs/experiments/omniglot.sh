#!/bin/bash
# Repeats the runs of the first table in omniglot.md. Usage: docs/experiments/omniglot.sh [METHOD-HEAD-SEED...]
#
# An argument METHOD-HEAD-SEED, such as warp-kept-1, selects a run. Without arguments, the script runs every combination
# of a method, a head and a seed in the table.
#
# METHOD is one of these names:
#
# - leap: Leap learns theta_0, and there are no warp layers.
# - warp: Warp-Leap (offline) learns warp layers, which are 3x3 convolutions, from replayed windows. The meta-gradients
#   are of first order.
# - exact: The method is the same as `warp`, but the meta-gradients are exact (second order).
# - online: Warp-Leap (online) sums the gradient of the warp layers over the windows of the current episode.
# - gap: The method is the same as `warp`, but the preconditioner GAP is learned instead of warp layers.
#
# HEAD is one of these names:
#
# - kept: The initial values of the last layer are a part of the learned theta_0.
# - fresh: The initial values of the last layer are drawn at random for each episode.
#
# SEED is the seed of the run. The seed also selects the alphabets.
#
# Environment variables:
#
# - OMNIGLOT is the file that tools/pack_omniglot.py has written (default: omniglot28.h5). The program searches for this
#   file in the current folder and in the folder that the environment variable WARPLOOM_DATA names.
# - META_STEPS is the number of meta-steps of each run (default: 30).
# - INNER_STEPS is the number of inner steps of each episode in the training (default: 25).
# - PASSES is the number of evaluations of each test alphabet (default: 4). Each evaluation draws other minibatches.
# - WARPLOOM is the path of the program (default: build/warploom).
# - OUTPUT is the folder of the runs (default: runs/omniglot-META_STEPS). If this folder contains the trained optimizer
#   of a run, the script does not repeat the training.
#
# For each run, the script prints the held-out accuracy after 100 inner steps, averaged over the 10 test alphabets and
# their evaluations. For each head and method, the script prints the accuracy for each seed and the mean accuracy. It
# also prints the accuracy of `warp` minus the accuracy of the method, averaged over the seeds with a 95 % interval
# (Student's t).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
warploom=${WARPLOOM:-$here/../../build/warploom}
output=${OUTPUT:-runs/omniglot-${META_STEPS:-30}}
file=${OMNIGLOT:-omniglot28.h5}
export OPENBLAS_NUM_THREADS=1

case ${1:-} in -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;; esac
[ -x "$warploom" ] || { echo "omniglot.sh: no program $warploom: build it, or set WARPLOOM" >&2; exit 66; }

# Sets the array `options` to the options of `warploom train` for a method and a head.
choose_options() { # METHOD HEAD
  options=()
  case $1 in
    leap) options+=(--set task.warp=none --set "groups=[{group: initialisation}]" --set replay.capacity=0 --set window.steps="$inner") ;;
    warp) options+=(--set window.steps="$inner") ;;
    exact) options+=(--set window.steps="$inner" --set window.order=second) ;;
    gap) options+=(--set task.warp=none --set precondition.name=gap --set window.steps="$inner"
                   --set "groups=[{group: precondition, optimizer: adam, learning_rate: 1e-2}]") ;;
    online) options+=(--set window.steps=1 --set replay.capacity=0) ;;
    *) echo "omniglot.sh: no method '$1'; see --help" >&2; exit 64 ;;
  esac
  case $2 in
    kept) ;;
    fresh) options+=(--set "initialisation.fresh=[dense1.weight, dense1.bias]") ;;
    *) echo "omniglot.sh: no head '$2'; see --help" >&2; exit 64 ;;
  esac
}

cell() { # arguments: the method, the head and the seed of a run
  local run=$output/$1-$2-$3 inner=${INNER_STEPS:-25} options
  choose_options "$1" "$2"
  if [ ! -e "$run/optimizer.h5" ]; then
    "$warploom" train "$here/../../jobs/omniglot-warp-leap.yaml" --quiet --set output="$run" --set task.file="$file" \
      --set seed="$3" --set task.alphabet_seed="$3" --set outer.steps="${META_STEPS:-30}" --set threads=1 \
      --set episode.steps="$inner" --set checkpoint.every=0 "${options[@]}" >/dev/null
  fi
  if [ ! -e "$run/accuracy.json" ]; then
    "$warploom" eval "$run" --quiet --learned-only --steps 100 --seeds "${PASSES:-4}" --units 10 --json "$run/accuracy.json" >/dev/null
  fi
  awk -v cell="$1 | $2 | $3" -F '[:,]' '/"heldout_accuracy":/ { printf "| %s | %.1f |\n", cell, 100 * $2 }' "$run/accuracy.json"
}

# Reads the rows that the function `cell` printed. For each head and method, prints the accuracy for each seed, the mean
# accuracy, and the mean difference between the accuracies of `warp` and of the method over the seeds.
summarise() {
  printf '\n| head | method | by seed | mean | advantage of warp |\n| --- | --- | --- | --- | --- |\n'
  awk -F ' *[|] *' '
    BEGIN { split("12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262", student, " ") }
    { accuracy[$2, $3, $4] = $5; methods[$2]; heads[$3]; if (!seen[$4]++) seed[++seeds] = $4 }
    function interval(n, sum, squares,   rest) {
      rest = squares - sum * sum / n
      return n == 1 ? sprintf("%+.1f", sum) : sprintf("%+.1f +- %.1f", sum / n, student[n - 1] * sqrt((rest > 0 ? rest : 0) / (n - 1) / n))
    }
    END {
      for (h in heads) for (m in methods) {
        n = sum = pairs = gaps = squares = 0
        list = ""
        for (i = 1; i <= seeds; i++) if ((m, h, seed[i]) in accuracy) {
          sum += accuracy[m, h, seed[i]]
          list = list (n++ ? ", " : "") accuracy[m, h, seed[i]]
          if (m == "warp" || !(("warp", h, seed[i]) in accuracy)) continue
          gap = accuracy["warp", h, seed[i]] - accuracy[m, h, seed[i]]
          pairs++
          gaps += gap
          squares += gap * gap
        }
        if (n) printf "| %s | %s | %s | %.1f | %s |\n", h, m, list, sum / n, pairs ? interval(pairs, gaps, squares) : ""
      }
    }' | sort
}

every_cell() {
  local seed head method
  for seed in 1 2 3; do
    for head in kept fresh; do
      for method in leap warp exact online gap; do echo "$method-$head-$seed"; done
    done
  done
}

mkdir -p "$output"
if [ $# = 0 ]; then mapfile -t cells < <(every_cell); else cells=("$@"); fi
printf '| method | head | seed | held-out accuracy, %% |\n| --- | --- | --- | --- |\n'
for name in "${cells[@]}"; do
  IFS=- read -r method head seed <<<"$name"
  cell "$method" "$head" "${seed:-1}"
done | tee "$output/rows"
summarise <"$output/rows"
