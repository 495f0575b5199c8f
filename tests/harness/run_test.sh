#!/bin/sh
# run_test.sh COMMAND [ARGS...] - empties the scratch folder of a test and runs COMMAND, the command of the test, in
# this folder.
set -eu
: "${WL_TEST_SCRATCH:?run the tests through ctest, which sets WL_TEST_SCRATCH}"
case $WL_TEST_SCRATCH in
  */scratch/?*) ;;
  *) echo "run_test.sh: '$WL_TEST_SCRATCH' is not a scratch directory: not emptying it" >&2; exit 1 ;;
esac
rm -rf -- "$WL_TEST_SCRATCH"
mkdir -p -- "$WL_TEST_SCRATCH"
cd -- "$WL_TEST_SCRATCH"
exec "$@"
