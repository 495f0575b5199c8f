#!/bin/bash
# Tries the indented commands of README, docs/guide.md and jobs/README in a copy of the source tree. The test runs
# commands of warploom with options that shorten them, and Python tools with --help. The other commands install, build
# or submit a job. For these commands, the test only checks that their programs and files exist. Continuous
# integration and the SLURM tests execute these commands. The test also runs `train --dry-run` with the
# configuration in README. In all Markdown files, each row of a table must have as many cells as its header.
set -euo pipefail
: "${WL_BIN:?run the tests through ctest}" "${WL_SOURCE:?}" "${WL_MPIEXEC:?}" "${WL_PYTHON:?}"
fail() { echo "FAILED: $*" >&2; exit 1; }

"$WL_PYTHON" "$WL_SOURCE/tests/docs/table_rows.py" "$WL_SOURCE" || fail "rows of tables with a wrong number of cells"

mkdir tree
cp -r "$WL_SOURCE"/{docs,jobs,python,tests,tools,README.md} tree/
cd tree
ln -s "$(dirname "$WL_BIN")" build

# Trains, for only two meta-steps, a run that a command of the documentation uses.
need_run() { # arguments: NAME
  [ -e "runs/$1" ] || build/warploom train "jobs/$1.yaml" --quiet --set threads=1 --set outer.steps=2 --set outer.units=2 >/dev/null
}

# Prints options that reduce the work of the command in the arguments.
less_of() { # arguments: WORDS...
  local eval="--steps 1 --seeds 2 --units 1" speedup="--speedup suite.yaml --curves suite.h5 --baselines adam"
  case "$*" in
    *" train "*) echo --dry-run ;;
    *" eval --speedup"*) echo "$speedup" ;; # computes only curves and does not write a report
    *" eval "*--speedup*) echo "$speedup --no-picture --output report.json" ;;
    *" eval "*fashion*) echo "$eval --learned-only --set task.data=synthetic" ;; # uses the built-in data set
    *" eval "*) echo "$eval --tune-units 1 --no-picture --output curves.h5" ;;
    *" check "*sinusoid*) echo "--directions 1 --set task.widths=[4,4]" ;;
    *" check "*) echo "--directions 1 --set task.batch=2 --set task.widths=[2] --set rule.hidden=[2]" ;;
    *" ablate "*) echo "--set outer.steps=1 --set outer.units=2 --set task.widths=[4,4] --seeds 2 --set output=runs/ablation" ;;
  esac
}

try_warploom() { # arguments: WORDS...
  local words less
  read -ra less < <(less_of "$@"; echo)
  words=("$@" "${less[@]}")
  [ "$1" != mpirun ] || words[0]=$WL_MPIEXEC
  "${words[@]}" >out 2>err </dev/null || { cat out err >&2; fail "$*"; }
}

# The first word must be a program that exists. Every other word that begins with the name of a folder of the tree
# must name an existing file or folder.
look_at() { # arguments: WORDS...
  local word
  [ -x "$1" ] || [ "$1" = sbatch ] || command -v "$1" >/dev/null || fail "no program $1: $*"
  for word in "${@:2}"; do
    case $word in jobs/* | tools/* | tests/* | docs/*) [ -e "$word" ] || fail "no file $word: $*" ;; esac
  done
  case $1 in tools/*.py) "$WL_PYTHON" "$1" --help >/dev/null || fail "$1 --help" ;; esac
}

try_line() { # arguments: LINE
  local line=$1 words word
  line=${line//CONFIG/jobs\/quadratic-gaussian.yaml} line=${line//RUN/runs\/quadratic-gaussian}
  line=${line//step-NNNNNNNN/step-00000002}
  mapfile -t words < <(xargs -n 1 printf '%s\n' <<<"$line") # quoted text remains one word
  for word in "${words[@]}"; do
    case $word in runs/chain-*) ;; runs/*/*) ;; runs/*) need_run "${word#runs/}" ;; esac
  done
  case $line in *build/warploom*) try_warploom "${words[@]}" ;; *) look_at "${words[@]}" ;; esac
  echo "ok: $1"
  tried=$((tried + 1))
}

printf 'suite: small\nseeds: 1\ntasks: [{name: q, horizons: [3], family: quadratic, dimension: 2}]\n' >suite.yaml
tried=0
need_run quadratic-gaussian
while read -r line; do try_line "$line"; done < <(
  sed -n 's/^    //p' README.md docs/guide.md jobs/README.md |
    grep -E '^(build|mpirun|jobs|tools|tests|docs|sbatch|cmake|ctest)[/ ]' | sed 's/ *#.*//' | sort -u)
[ "$tried" -ge 20 ] || fail "$tried commands found"

sed -n 's/^    //p' README.md | grep -E '^(seed|task|rule|episode|window|outer|checkpoint):' >readme.yaml
build/warploom train readme.yaml --set task.data=synthetic --dry-run >/dev/null 2>err || { cat err >&2; fail "README's configuration"; }
