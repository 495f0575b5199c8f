#!/bin/bash
# Checks that `warploom init` prints a valid configuration for every task family. A training with the configuration
# for mlp must reduce the loss.
. "$WL_SOURCE/tests/harness/training.sh"

count=0
while read -r family _; do
  "$WL_BIN" init --task "$family" --output "$family.yaml" || fail "init --task $family"
  grep -q '^  # ' "$family.yaml" || fail "$family.yaml has no comments"
  count=$((count + 1))
  # The families omniglot and python are skipped, because their data set or their Python module may be missing.
  case $family in omniglot | python) continue ;; esac
  "$WL_BIN" train "$family.yaml" --dry-run >/dev/null 2>dry.err || fail "$family.yaml: $(tail -n 1 dry.err)"
done < <("$WL_BIN" train --list tasks)
[ "$count" -ge 10 ] || fail "init was tried on $count families"

# Trains briefly and prints a mean loss in thousandths. The mean is taken over the last quarter of the training, and
# each window contributes its last loss. Random guesses have a loss of 2303 thousandths (log 10).
loss_of() { # arguments: CONFIG STEPS
  "$WL_BIN" train "$1" --quiet --set threads=1 --set outer.steps="$2" --set output="run-$1" >/dev/null
  awk -F'"last_loss":' '{split($2, v, /[,}]/); a[NR] = v[1]}
    END {n = int(NR / 4); for (i = NR - n + 1; i <= NR; i++) sum += a[i]; printf "%d", 1000 * sum / n}' "run-$1/metrics.jsonl"
}
expect_below "the perceptron's loss with its recipe" 1400 "$(loss_of mlp.yaml 40)"
printf 'task: {family: mlp, data: synthetic}\nrule: {name: lstm}\n' >defaults.yaml
expect_below "the perceptron's loss with defaults alone" 2000 "$(loss_of defaults.yaml 80)"

code=0
"$WL_BIN" init --task mlp --output mlp.yaml 2>err || code=$?
[ "$code" = 73 ] && grep -q mlp.yaml err || fail "an existing file: $code"
code=0
"$WL_BIN" init --task mpl 2>err || code=$?
[ "$code" = 64 ] && grep -q "did you mean 'mlp'" err || fail "an unknown family: $code"
echo "ok"
