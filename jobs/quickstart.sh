#!/bin/bash
# Trains an optimizer from a fresh clone and draws its loss curves, in a few minutes on two cores. The script installs
# missing packages (on Debian), builds Warploom, meta-trains an optimizer, and compares the result with tuned SGD,
# momentum, Nesterov, RMSprop and Adam. Then it builds the rest of Warploom except the tests. The script needs no data
# set and asks no questions.
#
#   jobs/quickstart.sh [--ranks N] [--output DIR]
#
#   --ranks N       MPI ranks (default: 2)
#   --output DIR    run directory (default: runs/quickstart; if it exists, runs/quickstart-2, -3 ...)
#   BUILD_DIR       environment variable: build directory (default: build)
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD_DIR:-build}
RANKS=2
OUTPUT=
STEP="reading the command line"

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
wrong() { echo "quickstart: $1; see jobs/quickstart.sh --help" >&2; trap - EXIT; exit 64; }
step() { STEP=$1; printf '\n[%3d s] %s\n' "$SECONDS" "$STEP"; }
at_end() {
  local code=$?
  [ "$code" = 0 ] || printf '\nquickstart: failed after %d s while %s (exit code %d)\n' "$SECONDS" "$STEP" "$code" >&2
  exit "$code"
}
trap at_end EXIT

read_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      -h | --help) usage; exit 0 ;;
      --ranks=* | --output=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
      --ranks) RANKS=${2:-}; shift $(($# > 1 ? 2 : 1)) ;;
      --output) OUTPUT=${2:-}; [ -n "$OUTPUT" ] || wrong "--output needs a folder"; shift 2 ;;
      *) wrong "unknown argument '$1'" ;;
    esac
  done
  case $RANKS in '' | 0* | *[!0-9]*) wrong "--ranks needs a number of at least 1, not '$RANKS'" ;; esac
  case $OUTPUT in '' | /*) ;; *) OUTPUT=$PWD/$OUTPUT ;; esac
}

# Chooses a run directory that does not exist yet.
choose_output() {
  local i=1
  OUTPUT=runs/quickstart
  while [ -e "$OUTPUT" ]; do
    i=$((i + 1))
    OUTPUT=runs/quickstart-$i
  done
}

build_directory() { case $BUILD in /*) echo "$BUILD" ;; *) echo "$ROOT/$BUILD" ;; esac }
generator_jobs() { nproc 2>/dev/null || echo 2; }

# If there are more ranks than cores, a rank that waits must yield its core. The ranks are not bound to cores, because
# two concurrent launches would be bound to the same core.
set_mpi_environment() {
  export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
  export OMPI_MCA_hwloc_base_binding_policy=none OPENBLAS_NUM_THREADS=1
  if [ "$(id -u)" = 0 ]; then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
}

main() {
  read_arguments "$@"
  cd "$ROOT"
  local build
  build=$(build_directory)
  [ -n "$OUTPUT" ] || choose_output
  set_mpi_environment

  step "installing missing packages"
  tools/install-dependencies.sh build

  step "building in $build"
  cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release
  cmake --build "$build" -j "$(generator_jobs)" --target warploom

  step "meta-training a learned optimizer on $RANKS ranks"
  mpirun -n "$RANKS" "$build/warploom" train jobs/quickstart.yaml --set "output=$OUTPUT" </dev/null

  step "comparing it with tuned hand-designed rules"
  mpirun -n "$RANKS" "$build/warploom" eval "$OUTPUT" </dev/null

  # if eval has found the plotting tools, it has already drawn this picture
  step "drawing the loss curves"
  [ -s "$OUTPUT/evaluation.png" ] ||
    /usr/bin/python3 tools/plot_evaluation.py "$OUTPUT/evaluation.h5" --output "$OUTPUT/evaluation.png"

  step "building the rest: gradient check, C library, manual pages"
  cmake --build "$build" -j "$(generator_jobs)" --target warploom64 warploom_library man

  step "done"
  echo "  table of losses   above, or: $build/warploom info $OUTPUT/evaluation.h5"
  echo "  loss curves       $OUTPUT/evaluation.png"
  echo "  everything else   $OUTPUT/"
}

main "$@"
