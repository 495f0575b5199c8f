#!/bin/bash
# Installs what the tests need (Debian), builds, and runs every test through CTest.
#
#   tests/run.sh [--quick] [CTEST OPTIONS...]
#
#   --quick     leave out the tests labelled slow (SLURM, several hosts, long fault runs)
#   BUILD_DIR   environment variable: build directory (default: build)
#
# Fails when a test fails, and also when fewer tests ran than there should be: a test that is not
# built or not found is no success. Skipped tests are named with their reasons.
set -euo pipefail

FLOOR=90       # tests that must have run and passed, whole suite: all but those of SLURM and several hosts, which need root
FLOOR_QUICK=88 # the same with --quick

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BUILD=${BUILD_DIR:-build}
case $BUILD in /*) ;; *) BUILD=$ROOT/$BUILD ;; esac
quick=0
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
  FLOOR=1 # a choice of tests by hand
fi

# How many tests the log of CTest says had this result: Passed, Failed, Skipped, Timeout, "Not Run" ...
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
  echo "skipped, with the reasons they gave:"
  grep -h '^skipped: ' "$BUILD/Testing/Temporary/LastTest.log" | sort | uniq -c || true
fi
[ "$code" = 0 ] || die "tests failed"
[ "$passed" -ge "$FLOOR" ] || die "only $passed tests passed, at least $FLOOR should: something was not built or was skipped"
