#!/bin/bash
# Checks `warploom selftest`. The command must pass on this machine, report the checks that it skips, and name each
# failed check.
set -euo pipefail
: "${WL_BIN:?run the tests through ctest}" "${WL_MPIEXEC:?}"
fail() { echo "FAILED: $*" >&2; exit 1; }
export TMPDIR=$PWD

selftest() { # arguments: CODE OPTIONS...
  local code=0
  "${PROGRAM:-$WL_BIN}" selftest "${@:2}" >table 2>errors || code=$?
  [ "$code" = "$1" ] || { cat table errors >&2; fail "selftest ${*:2}: exit code $code, expected $1"; }
}
expect() { # arguments: FILE PATTERN
  grep -qE -- "$2" "$1" || { cat table errors >&2; fail "$1 does not say: $2"; }
}

selftest 0 --launch "$WL_MPIEXEC -n 2" --json result.json
expect table '^1[0-9] passed, 0 failed, 0 skipped in'
for isa in $("$WL_BIN" --version | sed -n 's/^kernels.*has \(.*\);.*/\1/p' | tr -d ,); do
  expect table "^  kernels $isa: .* passed"
done
expect result.json '"failed": 0'
[ "$(grep -c '"result": "passed"' result.json)" = "$(grep -c '  passed ' table)" ] || fail "table and JSON differ"
[ -z "$(find . -maxdepth 1 -name 'warploom-selftest-*')" ] || fail "temporary files are left behind"

# During the following calls, PATH contains no MPI launcher.
PATH=$PWD/empty PROGRAM=$(realpath "$WL_BIN") selftest 0 --only 'LSTM: 1 and 2 ranks'
expect table 'SKIPPED .*no launcher of the MPI library was found in PATH'
selftest 0 --only 'LSTM: 1 and 2 ranks' --launch none
expect table 'SKIPPED .*--launch none'

# Three programs replace the launcher in turn. The first starts separate processes without MPI, the second fails
# immediately, and the third changes the seed of the training.
printf '#!/bin/sh\nexec "$@"\n' >separate
printf '#!/bin/sh\nexec "%s" -n 2 "$@" --set seed=99\n' "$WL_MPIEXEC" >other
chmod +x separate other
selftest 70 --only 'LSTM: 1 and 2 ranks' --launch ./separate
expect errors "1 of 1 checks failed: 'LSTM: 1 and 2 ranks'"
expect table 'FAILED .*belongs to another MPI library'
selftest 70 --only 'ranks' --launch false
expect table 'FAILED .*train ended with exit code 1 instead of 0'
expect errors '3 of 3 checks failed'
selftest 70 --only 'LSTM: 1 and 2 ranks' --launch ./other
expect table 'FAILED .*digest [0-9a-f]{16} step 3, but on one rank .* digest [0-9a-f]{16} step 3'

# In these cases, the float64 program is missing or computes different numbers.
mkdir doctored
cp "$WL_BIN" doctored/
PROGRAM=$PWD/doctored/warploom selftest 70 --only 'kernels baseline'
expect table 'FAILED .*warploom64 is not installed'
printf '#!/bin/sh\nexec "%s64" "$@" --set seed=99\n' "$WL_BIN" >doctored/warploom64
chmod +x doctored/warploom64
PROGRAM=$PWD/doctored/warploom selftest 70 --only 'kernels baseline'
expect table 'FAILED .*the relative differences from float64 are .*'

selftest 64 --only nothing
code=0
"$WL_MPIEXEC" -n 2 "$WL_BIN" selftest >table 2>errors || code=$?
[ "$code" = 64 ] || fail "selftest on two ranks: exit code $code"
expect errors 'runs as one process; call it without mpirun'
echo "ok: selftest"
