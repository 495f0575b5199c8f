#!/bin/bash
# test_one_rank_fails.sh [all] - makes an allocation or a write fail on one of two ranks. Without `all`, the test
# makes a few selected allocations and writes of the commands train, eval and check fail. The job must always end with
# exactly one error message, and this message must name the rank. The exit code of the job must be the code of this
# error.
#
# With `all`, the test makes each allocation and each write of every command fail in turn. This takes several minutes.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

PATIENCE=30 # time limit of a run in seconds; a run without a failure takes less than one second
EXIT_OS=71 EXIT_IO=74

# The configuration uses every part that allocates memory: replay, the trajectory, a learned initialisation, warp
# layers, and the LSTM.
cat >joint.yaml <<'Y'
threads: 1
task: {family: sinusoid, shots: 4, widths: [5], activation: tanh, warp: linear}
rule: {name: lstm, hidden: [4], output_scale: 0.1}
initialisation: {name: maml}
episode: {steps: 3}
window: {steps: 3, weights: last, batch: fresh, order: second}
outer: {steps: 4, units: 3, every: episode, learning_rate: 1e-2}
replay: {capacity: 1, keep: 2, batch: 4}
checkpoint: {every: 2}
trajectory: {every: 1, units: 3}
Y
"$WL_BIN" train joint.yaml --quiet --set output=trained >trained.out

command_of() { # arguments: NAME
  case $1 in
    train) echo train joint.yaml --quiet --set output=run ;;
    resume) echo train joint.yaml --quiet --set output=run --resume --set outer.steps=6 ;;
    eval) echo eval trained --quiet --steps 3 --seeds 2 --tune-units 2 --no-picture --output curves.h5 --vary horizon ;;
    check) echo check joint.yaml --quiet --set outer.steps=1 --set rule.through_inputs=true --directions 1 ;;
  esac
}

# Runs the command with a failure on one rank. Sets `code` to the exit code and writes standard error to the file `err`.
# A rank reads its rank number from a variable that the launcher sets.
run_failing() { # arguments: RANK VARIABLE NUMBER COMMAND
  rm -rf run
  [ "$4" != resume ] || cp -r trained run
  code=0
  # shellcheck disable=SC2046,SC2016
  timeout -k 2 $PATIENCE "$WL_MPIEXEC" -n 2 sh -c '
    [ "$OMPI_COMM_WORLD_RANK" != "$1" ] || export "$2=$3"
    shift 3; exec "$@"' sh "$1" "$2" "$3" "$WL_BIN" $(command_of "$4") >out 2>err || code=$?
}

# Makes one allocation or write fail and checks the error message. Returns 1 if the command ended before this
# allocation or write.
fails_well() { # arguments: RANK VARIABLE NUMBER COMMAND CODE
  local at="$4, rank $1, $2=$3"
  run_failing "$@"
  [ $code != 0 ] || return 1
  [ $code = "$5" ] || { cat err >&2; fail "$at: exit code $code, not $5"; }
  [ "$(grep -c 'warploom: error' err)" = 1 ] || { cat err >&2; fail "$at: not one error"; }
  grep 'warploom: error' err | grep -q "rank $1: " || { cat err >&2; fail "$at: the error does not name the rank"; }
  grep 'warploom: error' err | grep -q "$2\|out of memory" || { cat err >&2; fail "$at: another error"; }
  hits=$((hits + 1))
}

try_points() { # arguments: RANK VARIABLE COMMAND CODE NUMBERS...
  local rank=$1 variable=$2 command=$3 expected=$4 hits=0 k
  shift 4
  for k in "$@"; do fails_well "$rank" "$variable" "$k" "$command" "$expected" || break; done
  [ "$hits" -gt 0 ] || fail "$command does not reach the points $*"
  echo "ok: $command, $variable on rank $rank: $hits points"
}

if [ "${1:-}" = all ]; then
  for command in ${2:-train resume eval check}; do
    for rank in ${3:-1 0}; do try_points "$rank" WL_FAIL_ALLOC "$command" $EXIT_OS $(seq 1 "${4:-1}" 100000); done
    [ "$command" = check ] || try_points 0 WL_FAIL_IO "$command" $EXIT_IO $(seq 1 100000)
  done
  exit
fi
try_points 1 WL_FAIL_ALLOC train $EXIT_OS 1 10 400 700
try_points 0 WL_FAIL_ALLOC train $EXIT_OS 560 600
try_points 0 WL_FAIL_IO train $EXIT_IO 6
try_points 1 WL_FAIL_ALLOC resume $EXIT_OS 900
try_points 1 WL_FAIL_ALLOC eval $EXIT_OS 600 4000
try_points 0 WL_FAIL_ALLOC check $EXIT_OS 300
