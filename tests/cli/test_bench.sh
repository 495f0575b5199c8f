# Checks `warploom bench` on one and two ranks. `bench` prints a table and writes the same values as JSON. The command
# must write no other file, and it must reject bad arguments.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

SHORT=(--coordinates 640 --threads 1 --repeats 3 --megabytes 1)
for ranks in 1 2; do
  mkdir -p files
  "$WL_MPIEXEC" -n $ranks "$WL_BIN" bench "${SHORT[@]}" --folder files --json figures.json >table.txt
  [ "$(grep -c '% of the peak' table.txt)" = 3 ] || fail "the table does not have three shares of the peak"
  [ "$(grep -c 'kFLOP' table.txt)" = 1 ] || fail "each rank prints a table"
  [ -z "$(ls files)" ] || fail "files are left behind: $(ls files)"
  "$WL_PYTHON" - $ranks <<'P' || fail "the JSON figures of $ranks ranks are wrong"
import json, sys
ranks, f = int(sys.argv[1]), json.load(open("figures.json"))
kernel, files = f["kernel"], f["files"]
assert f["ranks"] == ranks and kernel["threads"] == 1 and kernel["coordinates"] == 640
assert kernel["peak_least"] <= kernel["peak_most"]
for r in kernel["activations"], kernel["recompute"], kernel["vanishing"]:
    assert r["rate_least"] <= r["rate_most"]
    assert ranks * r["rate_least"] <= r["rate"] * 1.001 and r["rate"] <= ranks * r["rate_most"] * 1.001
    assert abs(r["share"] - r["rate"] * kernel["flop"] / kernel["peak"]) < 1e-6 and 0 < r["share"] < 1.6
assert [s["numbers"] for s in f["exact_sum"]] == [5141, 65536, 1048576] and all(s["seconds"] > 0 for s in f["exact_sum"])
assert files["bytes"] == 1000000 and files["plain"] > 0 and files["checkpoint"] > 0
P
done
echo "ok: figures at 1 and 2 ranks"

"$WL_BIN" bench "${SHORT[@]}" --megabytes 0 --json - 2>table.txt | "$WL_PYTHON" -c '
import json, sys; assert "files" not in json.load(sys.stdin)' || fail "--json - does not print valid figures on standard output"
grep -q 'Exact sum over 1 rank,' table.txt || fail "the table is not on standard error when JSON is on standard output"
"$WL_BIN" bench --coordinates 20000 --threads 1 --repeats 1 --megabytes 0 --json - 2>table.txt | "$WL_PYTHON" -c '
import json, sys; k = json.load(sys.stdin)["kernel"]; assert "activations" not in k and k["recompute"]["rate"] > 0' ||
  fail "activations of more than 256 MiB are kept"
echo "ok: JSON on standard output; no activations of more than 256 MiB"

core=$("$WL_PYTHON" -c 'import os; print(min(os.sched_getaffinity(0)))')
taskset -c "$core" "$WL_BIN" bench --coordinates 640 --repeats 3 --megabytes 0 --json - 2>table.txt | "$WL_PYTHON" -c '
import json, sys; assert json.load(sys.stdin)["kernel"]["threads"] == 1' || fail "a rank bound to one core has more threads"
echo "ok: no more threads than the rank is bound to"

expect() { # arguments: CODE WORD ARGS...
  local code=$1 word=$2 got=0
  shift 2
  timeout 60 "$WL_MPIEXEC" -n 2 "$WL_BIN" bench "$@" >out.txt 2>err.txt || got=$?
  [ $got = "$code" ] || { cat err.txt >&2; fail "warploom bench $*: exit $got, expected $code"; }
  [ "$(grep -c 'warploom: error' err.txt)" = 1 ] || { cat err.txt >&2; fail "warploom bench $*: one error line expected"; }
  grep -qF -- "$word" err.txt || { cat err.txt >&2; fail "warploom bench $*: the error does not say '$word'"; }
}
expect 64 --coordinates --coordinates 0
expect 64 --repeats --repeats many
expect 64 operands extra
expect 64 folder --foldr x
expect 73 nowhere "${SHORT[@]}" --folder nowhere
expect 73 nowhere/f.json "${SHORT[@]}" --megabytes 0 --json nowhere/f.json
echo "ok: bad input"
