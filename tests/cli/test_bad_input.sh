# Checks how the program reports bad input. The program must print exactly one clear error on standard error, and exit
# with the code that sysexits.h defines for this error. No rank may hang. The program must never give an incomplete file
# its final name.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

cat >good.yaml <<'C'
seed: 1
threads: 1
task: {family: quadratic, dimension: 3, batch: 4}
rule: {name: lstm, hidden: [4]}
episode: {steps: 10}
window: {steps: 5}
outer: {steps: 4, units: 2}
C

cases=0
# Runs `warploom ARGS` on RANKS ranks. If RANKS is 1, the program runs without mpirun. Expects the exit code CODE and
# exactly one error line, which must contain every word of WORDS.
expect() { # arguments: RANKS CODE WORDS(|-separated) ARGS...
  local ranks=$1 code=$2 words=$3 got=0 word lines launch=()
  [ "$ranks" = 1 ] || launch=("$WL_MPIEXEC" -n "$ranks")
  shift 3
  cases=$((cases + 1))
  timeout -k 5 60 "${launch[@]}" "$WL_BIN" "$@" >out.txt 2>err.txt || got=$?
  [ $got = "$code" ] || { cat err.txt >&2; fail "warploom $*: exit $got, expected $code"; }
  lines=$(grep -c 'warploom: error' err.txt || true)
  [ "$lines" = 1 ] || { cat err.txt >&2; fail "warploom $*: $lines error lines, expected one"; }
  IFS='|' read -ra wanted <<<"$words"
  for word in "${wanted[@]}"; do
    grep -qF -- "$word" err.txt || { cat err.txt >&2; fail "warploom $*: the error does not say '$word'"; }
  done
}
# Calls `expect` with the valid configuration after OVERRIDES have changed it.
expect_key() { # arguments: WORDS OVERRIDES...
  local words=$1 options=() o
  shift
  for o in "$@"; do options+=(--set "$o"); done
  expect 2 78 "$words" train good.yaml "${options[@]}"
}

# Errors of the command line must be reported.
expect 1 64 "trian|train" trian good.yaml
expect 1 64 "stop-aftr|stop-after" train good.yaml --stop-aftr 3
expect 1 64 "--stop-after|x" train good.yaml --stop-after x
expect 1 64 "--time-limit|soon" train good.yaml --time-limit soon
expect 2 64 "CONFIG" train
long=$(printf 'x%.0s' {1..5000})
expect 2 78 "output|longer than" train good.yaml --set output="$long"
expect 2 64 "--output|longer than" eval good.yaml --output "$long"
expect 1 64 "--vary|longer than" eval "$WL_SOURCE/jobs/trained/sinusoid-maml-5-shot.h5" --vary "$long"
expect 1 64 "planets" train --list planets

# Errors of keys, types and values must be reported.
expect_key "outer.stepps|steps" outer.stepps=3
expect_key "outer.steps" outer.steps=many
expect_key "window.steps" window.steps=0
expect_key "rule.name|lstm" rule.name=lstn
expect_key "task.family|quadratic" task.family=quadratics
expect_key "window.weights|6" "window.weights=[1, 2]"
expect_key "window.split|fresh" window.split=heldout
expect_key "outer.units" outer.units=-1
expect_key "task.proportion|cannot be drawn" "task.proportion={one_of: [1, 2]}"
expect_key "task.family|list of maps" "task.family={one_of: [quadratic, mlp]}"
expect_key "episode.steps|low at most high" "episode.steps=[9, 3]"
mkfifo pipe
expect 2 66 "pipe|regular file" train good.yaml --set "task={family: language-model, text: pipe}"
expect 1 78 "through_inputs" check good.yaml --set rule.momentum=0.9 --set rule.through_inputs=false --set window.order=second
printf 'seed: 1\ntask: {family: quadratic}\nouter:\n  units: 2\n  unitss: 3\n' >typo.yaml
expect 2 78 "typo.yaml:5|unitss|units" train typo.yaml
printf 'seed: 1\ntask: {family: quadratic\nouter: 3\n' >broken.yaml
expect 2 78 "broken.yaml" train broken.yaml
printf 'seed: 1\n' >empty.yaml
expect 2 78 "task" train empty.yaml
printf 'task: {family: quadratic}\nrule: {name: adam}\n' >nothing.yaml
expect 2 78 "nothing.yaml:2|rule.name|nothing to learn" train nothing.yaml

# The program must report errors that result only from a combination of valid settings. The option --dry-run
# constructs the same objects as a training.
expect_parts() { # arguments: WORDS OVERRIDES...
  local words=$1 options=() o
  shift
  for o in "$@"; do options+=(--set "$o"); done
  expect 1 78 "$words" train good.yaml "${options[@]}" --dry-run
}
mixture='task=[{family: quadratic, dimension: 3}, {family: quadratic, dimension: 4}]'
expect_parts "task.1.warp" 'task=[{family: quadratic}, {family: mlp, widths: [4], batch: 4, warp: linear}]'
expect_parts "task.warp_loss|sinusoid" 'task={family: mlp, widths: [4], batch: 4, warp_loss: 3}'
expect_parts "precondition.name|mixture" "$mixture" precondition.name=diagonal
expect_parts "initialisation.name|mixture" "$mixture" initialisation.name=maml
expect_parts 'initialisation.leap|also in the list `maml`' 'task={family: mlp, widths: [4], batch: 4}' \
  'initialisation={name: reptile, maml: [dense1.bias], leap: [dense1.bias]}'
expect_parts "outer.every|episode" replay.capacity=1
expect_parts "replay.epochs|outer.steps" replay.capacity=1 outer.every=episode outer.steps=2000000000 replay.epochs=2
expect_parts "task.1.family|single task" "$mixture" replay.capacity=1 outer.every=episode
expect_parts "groups.group|no meta-parameters in this group" 'groups={group: warp, learning_rate: 0.1}'
expect_parts 'rule.precondition|needs `newton_schulz: true`' 'rule={name: controller, newton_schulz: false, precondition: true}'
expect_parts "rule.memory|from 1 to 10" 'rule={name: lbfgs, memory: 11}'
expect_parts "rule.per|tensor, slice" 'rule={name: lbfgs, per: row}'
expect_parts 'rule.name|has no adjoint|nres' 'rule={name: lbfgs}'
expect_parts "window.memory|MiB" window.steps=100 episode.steps=100 window.memory=0.0001
expect_key "window.memory|MiB" window.steps=100 episode.steps=100 window.memory=0.0001

# Missing and damaged files must be reported.
expect 2 66 "missing.yaml" train missing.yaml
expect 2 66 "nowhere" train good.yaml --set "task={family: mlp, data: nowhere}"
mkdir -p bits && head -c 100 /dev/urandom >bits/train-images-idx3-ubyte && cp bits/train-images-idx3-ubyte bits/train-labels-idx1-ubyte
cp bits/train-images-idx3-ubyte bits/t10k-images-idx3-ubyte && cp bits/train-images-idx3-ubyte bits/t10k-labels-idx1-ubyte
expect 2 65 "bits/train-" train good.yaml --set "task={family: mlp, data: bits}"
expect 1 66 "no-such-run" eval no-such-run
expect 1 66 "no-such-file" info no-such-file
head -c 3000 /dev/urandom >noise.h5
expect 1 65 "noise.h5" eval noise.h5

# A resume with a different configuration or with damaged checkpoints must be reported.
"$WL_MPIEXEC" -n 2 "$WL_BIN" train good.yaml --quiet --set output=run >/dev/null
expect 2 78 "outer.units" train good.yaml --set output=run --set outer.units=3 --resume
for file in run/checkpoints/step-*.h5; do
  size=$(stat -c %s "$file")
  truncate -s $((size / 2)) "$file"
done
expect 2 65 "run/checkpoints" train good.yaml --set output=run --resume

# Input files of a wrong kind, and outputs that cannot be written, must be reported before any work begins.
"$WL_BIN" train good.yaml --quiet --set output=whole --set trajectory.every=1 >/dev/null
expect 1 65 "whole/trajectory.h5|kind" eval whole/trajectory.h5
expect 2 73 "nowhere/curves.h5" eval whole --output nowhere/curves.h5 --seeds 10000

# An output file must not replace an input file or a file of a run.
cp whole/optimizer.h5 alone.h5
ln alone.h5 linked.h5
cp good.yaml spare.yaml
evaluated="--seeds 2 --tune-units 1 --steps 3 --no-picture"
expect 2 73 "alone.h5|itself" eval alone.h5 $evaluated --output ./alone.h5
expect 1 73 "linked.h5|itself" eval alone.h5 $evaluated --json linked.h5
expect 1 73 "itself" export alone.h5 --output linked.h5
mkdir else && cp -r whole else/run
(cd else/run && expect 1 73 "itself" export optimizer.h5) || exit 1
(cd else/run && expect 1 73 "is not the input" export ../../alone.h5) || exit 1
expect 1 73 "whole/optimizer.h5" eval whole $evaluated --output whole/optimizer.h5
expect 1 73 "whole/metrics.jsonl" info whole --json whole/metrics.jsonl
ln -s whole/metrics.jsonl link.json
expect 1 73 "link.json" info whole --json link.json
expect 1 73 "whole/checkpoints/latest" info whole --json whole/checkpoints/latest
expect 1 73 "is not the input" info alone.h5 --json whole/description.json
expect 1 73 "spare.yaml|itself" check spare.yaml --dump spare.yaml
expect 1 73 "step-00000004.h5" export whole --output whole/checkpoints/step-00000004.h5
mkdir project
cp good.yaml project/config.yaml
expect 2 73 "project|which the file config.yaml of the run would replace" train project/config.yaml --set output=project
cmp -s good.yaml project/config.yaml || fail "the configuration was replaced"
cmp -s good.yaml spare.yaml && cmp -s alone.h5 whole/optimizer.h5 || fail "an input was changed"
"$WL_BIN" export whole --output whole/optimizer.h5 --quiet || fail "export cannot renew its own file"
"$WL_BIN" info whole --json whole/description.json >/dev/null || fail "no further file in the run's own folder"

# If ranks have read different configurations, the program must report an error.
cat >disagree.sh <<'S'
#!/bin/sh
exec "$WL_BIN" train good.yaml --set output=split --set seed="$((1 + OMPI_COMM_WORLD_RANK))"
S
chmod +x disagree.sh
got=0
timeout -k 5 60 "$WL_MPIEXEC" -n 2 ./disagree.sh >out.txt 2>err.txt || got=$?
expect_same "exit code when ranks disagree" 76 $got
grep -q "configuration" err.txt || fail "the error of ranks that disagree does not name the configuration"
[ ! -e split/checkpoints ] || fail "ranks that disagree have written checkpoints"

# The program must report an output in a folder without write permission. It must also report an output whose parent
# path is a file. Root may write to any folder, so the test omits the first case for root.
if [ "$(id -u)" != 0 ]; then
  mkdir locked && chmod 555 locked
  expect 2 77 "locked" train good.yaml --set output=locked/run
fi
echo file >plain
expect 2 73 "plain" train good.yaml --set output=plain/run

[ -z "$(find . -name '*.tmp*')" ] || fail "temporary files are left: $(find . -name '*.tmp*')"
echo "ok: $cases cases"
