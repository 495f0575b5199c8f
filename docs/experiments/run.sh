#!/bin/bash
# Computes the tables of results in docs/mathematics.md again. Usage: docs/experiments/run.sh [TABLE...]
#
# An argument TABLE is one of these names:
#
# - cost: The table shows the time of a meta-step in seconds for several numbers of inner parameters. Each time is the
#   minimum over 11 meta-steps.
# - truncation: The learning rate of gradient descent is learned with windows of 1, 20, 100 and 400 inner steps.
# - order: This learning rate is learned with first-order and with second-order meta-gradients. A second table shows the
#   norms of the meta-gradients.
# - containment: The factors of Meta-SGD and of the warp `scale` are learned. The table shows that the factors of both
#   methods agree.
# - failures: A trained optimizer is evaluated on tasks for which it was not trained. This table needs Fashion-MNIST.
#
# Without arguments, the script computes all tables except `failures`. These tables take about a minute on an idle core.
#
# Environment variables:
#
# - WARPLOOM is the path of the program (default: build/warploom).
# - OUTPUT is the folder of the runs (default: runs/experiments).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
warploom=${WARPLOOM:-$here/../../build/warploom}
output=${OUTPUT:-runs/experiments}
export OPENBLAS_NUM_THREADS=1

case ${1:-} in -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; exit 0 ;; esac
[ -x "$warploom" ] || { echo "run.sh: no program $warploom: build it, or set WARPLOOM" >&2; exit 66; }

train() { # arguments: name of the configuration, name of the run, options of `warploom train`
  local config=$here/$1.yaml run=$output/$2
  shift 2
  "$warploom" train "$config" --quiet --set output="$run" "$@" >/dev/null
}
# Prints the values of a tensor of meta-parameters on one line, separated by spaces. The values are read from the output
# of h5dump, where a line looks like "   (0): a, b, c".
parameters() { # arguments: name of the run, name of the tensor of phi
  h5dump -d "/phi/$2" "$output/$1/optimizer.h5" | awk '/DATA \{/ { on = 1; next } on && /\}/ { exit } on' |
    sed 's/^ *([0-9,]*)://; s/,/ /g' | xargs
}
# Prints the final loss of a rule, which is read from the first table in the output of `warploom eval`.
final_loss() { # arguments: file with the output of `warploom eval`, name of the rule
  sed -n "s/^ *$2 *[^ ]* *\([0-9.]* +- [0-9.]*\).*/\1/p" "$1" | head -n 1
}
rate_row() { # Prints a row with a learned rate and its final loss; arguments: text of the first column, name of the run
  "$warploom" eval "$output/$2" --quiet --no-picture --units 4 >"$output/$2/table.txt"
  printf '| %s | %.4f | %s |\n' "$1" "$(parameters "$2" rule.rate)" \
    "$(final_loss "$output/$2/table.txt" 'learned (sgd)')"
}

cost() {
  printf '\n| n | seconds of a meta-step | microseconds for each coordinate-step |\n| --- | --- | --- |\n'
  local batch
  for batch in 10 100 1000; do
    train cost cost-$batch --set task.batch=$batch
    grep -o '"compute_seconds":[0-9.e+-]*' "$output/cost-$batch/metrics.jsonl" | cut -d: -f2 | sort -g | head -n 1 |
      awk -v n=$((10 * batch)) '{ printf "| %d | %.4f | %.3f |\n", n, $1, 1e6 * $1 / n / 20 }'
  done
}

truncation() {
  printf '\n| K | learned rate | final loss after 400 steps |\n| --- | --- | --- |\n'
  local row
  for row in "1 1600" "20 1600" "100 800" "400 200"; do
    set -- $row
    train truncation truncation-$1 --set window.steps=$1 --set outer.steps=$2
    rate_row "$1" truncation-$1
  done
  sed -n 's/^ *sgd *\([0-9.]*\) *\([0-9.]* +- [0-9.]*\).*/| rate tuned for 400 steps, without learning | \1 | \2 |/p' \
    "$output/truncation-400/table.txt"
}

# Prints the Euclidean norm of the meta-gradient over all tensors of phi. The norms of the tensors are read from the
# fourth column from the right in the output of `warploom check`.
gradient_norm() { # arguments: number of inner steps in the window, order (first, second), options of `warploom check`
  "$warploom" check "$here/truncation.yaml" --quiet --windows 0 --set window.steps=$1 --set window.order=$2 "${@:3}" |
    awk '/ (ok|WRONG)$/ && /^  [a-z0-9]+[.]/ { sum += $(NF - 3)^2 } END { printf "%.4g", sqrt(sum) }'
}
norm_row() { # arguments: text of the first column, number of inner steps in the window, options of `warploom check`
  printf '| %s | %d | %s | %s |\n' "$1" $2 "$(gradient_norm $2 first "${@:3}")" "$(gradient_norm $2 second "${@:3}")"
}

order() {
  printf '\n| order, K = 400 | learned rate | final loss after 400 steps |\n| --- | --- | --- |\n'
  local K
  for order in first second; do
    train truncation order-$order --set window.order=$order
    rate_row "$order" order-$order
  done
  printf '\n| rule | K | first order, length of dF/dphi | second order |\n| --- | --- | --- | --- |\n'
  for K in 1 5 20 100; do norm_row "sgd, rate 0.1" $K; done
  norm_row "lstm, untrained" 100 --set "rule={name: lstm, hidden: [20, 20], preprocessing: log, preprocessing_strength: 10,
    gradient_scale: 30, output_scale: 0.1}"
}

containment() {
  train containment meta-sgd --set precondition.name=diagonal
  train containment warp-scale --set task.warp=scale
  printf '\n| coordinate | Meta-SGD, alpha | scale warp, s^2 |\n| --- | --- | --- |\n'
  paste <(parameters meta-sgd precondition.x | tr ' ' '\n') \
    <(parameters warp-scale warp.x.scale.scale | tr ' ' '\n') |
    awk '{ printf "| %d | %.3f | %.3f |\n", NR, $1, $2 * $2; a += $1; b += $2 * $2 }
         END { printf "| mean | %.3f | %.3f |\n", a / NR, b / NR }'
}

failures() {
  "$warploom" eval "$here/../../jobs/trained/fashion-mlp.h5" --vary horizon,width,depth,activation,scale --seeds 3 \
    --no-picture --output "$output/failures.h5"
}

mkdir -p "$output"
for table in ${*:-cost truncation order containment}; do
  case $table in
    cost | truncation | order | containment | failures) $table ;;
    *) echo "run.sh: no table '$table'; see --help" >&2; exit 64 ;;
  esac
done
