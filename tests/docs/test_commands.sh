#!/bin/bash
# Runs the ```sh blocks of the documentation in a copy of the source tree without its git history, and checks their
# results. Also checks that the target of each relative link exists.
set -euo pipefail
: "${WL_BIN:?run the tests through ctest}" "${WL_SOURCE:?}"
fail() { echo "FAILED: $*" >&2; exit 1; }

links() { # arguments: PAGE
  local target
  grep -oE '\]\([^)#]+' "$1" | sed 's/^](//' | grep -v '^http' | sort -u >links || true
  while read -r target; do
    [ -e "$(dirname "$1")/$target" ] || fail "$1 links to $target, which does not exist"
  done <links
}

run_blocks() { # arguments: PAGE
  awk '/^```sh$/ { on = 1; next } /^```$/ { on = 0 } on' "$1" >block.sh
  [ -s block.sh ] || fail "no sh block in $1"
  bash -euo pipefail block.sh >"$2" 2>errors || { cat errors >&2; fail "a command of $1 fails"; }
}

for page in "$WL_SOURCE"/README.md "$WL_SOURCE"/CONTRIBUTING.md "$WL_SOURCE"/docs/*.md "$WL_SOURCE"/jobs/README.md; do
  links "$page"
done
echo "ok: links"

mkdir tree
cp -r "$WL_SOURCE"/{docs,examples,jobs,python,tests,tools,include,CONTRIBUTING.md} tree/
cd tree
ln -s "$(dirname "$WL_BIN")" build

# Trains the run that an earlier section of the guide trains.
build/warploom train jobs/quadratic-gaussian.yaml --quiet --set output=runs/quadratic-gaussian \
  --set outer.steps=150 --set outer.learning_rate=5e-3 --set task.batch=16 --set trajectory.every=0 --set threads=1 >/dev/null
run_blocks docs/guide.md guide.out
awk '$1 == "step" { if (!n++) first = $4; last = $4 } END { print "ok: train_network: " first " to " last; exit !(last < first) }' \
  guide.out || { cat guide.out >&2; fail "the guide's C program does not lower its loss"; }

run_blocks docs/reproducibility.md reproducibility.out
[ "$(grep -c '^digest [0-9a-f]* step 20$' reproducibility.out)" = 3 ] || { cat reproducibility.out >&2; fail "three digests expected"; }
[ "$(grep ' step 20$' reproducibility.out | sort -u | wc -l)" = 1 ] || { cat reproducibility.out >&2; fail "digests differ"; }
echo "ok: reproducibility: $(tail -n 1 reproducibility.out)"

run_blocks CONTRIBUTING.md contributing.out
grep -q '^All passed' contributing.out || fail "check of the example did not pass"

# Runs the smallest experiment of mathematics.md and checks the table that it prints.
WARPLOOM=$PWD/build/warploom docs/experiments/run.sh containment >containment.out
awk -F'|' '$2 ~ /mean/ { print "ok: containment:" $3 "and" $4; found = 1; d = $3 - $4; if (d < 0) d = -d; exit !(d < 0.1 * $3) }
  END { if (!found) exit 1 }' containment.out || { cat containment.out >&2; fail "Meta-SGD and the scale warp disagree"; }
