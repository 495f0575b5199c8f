#!/bin/bash
# Installs the Debian packages that the tests require, builds the program, and runs every test with CTest.
#
#   tests/run.sh [--quick] [CTEST OPTIONS...]
#
# With --quick, the script omits the tests with the label `slow`. These tests use SLURM or several hosts, or they
# cause many faults.
#
# Without CTEST OPTIONS, the script runs the MPI tests a second time with MPICH (mpicc.mpich, mpiexec.mpich). For
# MPICH, the script builds the program in a separate folder. The script compares the digests of the two MPI libraries.
#
# The environment variable BUILD_DIR sets the build directory (default: build).
#
# The script fails if a test fails. The script also fails if too few tests pass, because CTest reports no
# failure for a test that is missing from the build. The script prints the reason for each skipped test.
set -euo pipefail

FLOOR=122      # smallest number of tests that must pass; 132 tests pass if all optional packages are installed
FLOOR_MPICH=10 # smallest number of tests that must pass with MPICH
# Only the tests whose names match this pattern run with MPICH, because waiting ranks of MPICH occupy their cores.
MPICH_TESTS='^(comm_n[123]|comm_singleton|exact_sum_n[1-4]|subnormals|mpi_libraries)$'
FLOOR_QUICK=120 # smallest number of tests that must pass with --quick

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD_DIR:-build}
case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
quick=0
mpich=1
options=()

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"; }
step() { printf '\n[%4d s] %s\n' "$SECONDS" "$1"; }
die() { echo "tests/run.sh: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --quick) quick=1 ;;
    *) options+=("$1") ;;
  esac
  shift
done
if [ "$quick" = 1 ]; then
  FLOOR=$FLOOR_QUICK
  options+=(-LE slow)
elif [ ${#options[@]} -gt 0 ]; then
  FLOOR=1 # CTEST OPTIONS may have selected a single test
  mpich=0
fi

# Prints how many tests in the log of CTest have the given result, which is Passed, Failed, Skipped, Timeout or "Not
# Run".
count() { grep -cE "^ *[0-9]+/[0-9]+ Test +#[0-9]+: .*\*?\*?\*?$1" "$log" || true; }

cd "$ROOT"
step "installing what is missing"
tools/install-dependencies.sh build test

step "building in $BUILD"
cmake -S . -B "$BUILD" -DCMAKE_BUILD_TYPE=Release
cmake --build "$BUILD" -j "$(nproc 2>/dev/null || echo 2)"

step "testing"
log=$BUILD/tests.log
code=0
ctest --test-dir "$BUILD" -j 2 --output-on-failure --no-tests=error "${options[@]}" </dev/null 2>&1 | tee "$log" || code=$?

passed=$(count '   Passed')
skipped=$(count 'Skipped')
step "$passed tests passed, $skipped skipped, CTest's exit code $code (log: $log)"
if [ "$skipped" -gt 0 ]; then
  echo "skipped, with these reasons:"
  grep -h '^skipped: ' "$BUILD/Testing/Temporary/LastTest.log" | sort | uniq -c || true
fi
# Builds the program with MPICH and runs the MPI tests. The function builds only the targets that the MPI tests use.
test_with_mpich() {
  local folder=$BUILD-mpich log=$BUILD-mpich/tests.log code=0 passed
  cmake -S . -B "$folder" -DCMAKE_BUILD_TYPE=Release -DMPI_C_COMPILER="$(command -v mpicc.mpich)" \
    -DMPIEXEC_EXECUTABLE="$(command -v mpiexec.mpich)" -DWL_OTHER_BIN="$BUILD/warploom" \
    -DWL_OTHER_MPIEXEC="$(command -v mpirun.openmpi || command -v mpirun)" >"$folder.log" 2>&1 ||
    { tail -n 5 "$folder.log" >&2; die "no configuration with MPICH (log: $folder.log)"; }
  cmake --build "$folder" -j "$(nproc 2>/dev/null || echo 2)" --target warploom comm exact_sum
  ctest --test-dir "$folder" -j 2 --output-on-failure -R "$MPICH_TESTS" </dev/null 2>&1 | tee "$log" || code=$?
  passed=$(count '   Passed')
  step "$passed tests passed with MPICH"
  [ "$code" = 0 ] || die "tests with MPICH failed"
  [ "$passed" -ge "$FLOOR_MPICH" ] || die "only $passed tests passed with MPICH, at least $FLOOR_MPICH should"
}

[ "$code" = 0 ] || die "tests failed"
[ "$passed" -ge "$FLOOR" ] || die "only $passed tests passed, at least $FLOOR should: a test was not built or was skipped"
if [ "$mpich" = 1 ]; then
  step "building and testing with MPICH in $BUILD-mpich"
  test_with_mpich
fi
