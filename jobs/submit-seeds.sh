#!/bin/bash
# Submits a training over several seeds, and the job that puts them side by side when all are done.
#
#   jobs/submit-seeds.sh [--seeds 1-5] [sbatch options such as --partition=NAME] -- [CONFIG] [options]
#
# Everything before `--` but --seeds goes to sbatch (of both jobs: partition, account ...), the
# rest to warploom train. Results: runs/seeds-<job id>/, or $RUN where that is set.
set -euo pipefail

case ${1:-} in -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 0 ;; esac
seeds=1-5
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --seeds) seeds=${2:?--seeds needs a list such as 1-5 or 1,3,7}; shift 2 ;;
    --seeds=*) seeds=${1#*=}; shift ;;
    --) shift; break ;;
    --*=* | --*) options+=("$1"); shift ;;
    *) break ;;
  esac
done
command -v sbatch >/dev/null || { echo "submit-seeds: no sbatch here: run it on a login node" >&2; exit 69; }
jobs=$(cd "$(dirname "$0")" && pwd)
export WARPLOOM_JOBS=$jobs

# What is wrong with the configuration is found before anything is queued, where the program runs on this machine.
warploom=${WARPLOOM:-$jobs/../build/warploom}
if [ -x "$warploom" ] || warploom=$(command -v warploom); then
  code=0
  "$warploom" train "${@:-$jobs/quickstart.yaml}" --dry-run --quiet >/dev/null || code=$?
  case $code in 6[4-9] | 7[0-8]) echo "submit-seeds: nothing was submitted" >&2; exit "$code" ;; esac
fi

array=$(sbatch --parsable --array="$seeds" "${options[@]}" "$jobs/seeds-array.sbatch" "$@")
array=${array%%;*} # a federation adds the cluster's name
export RUN=${RUN:-runs/seeds-$array}
aggregate=$(sbatch --parsable --dependency="afterok:$array" --kill-on-invalid-dep=yes "${options[@]}" \
  "$jobs/aggregate.sbatch")
echo "seeds $seeds: job $array; aggregate: job ${aggregate%%;*}, after the last seed"
echo "results: $RUN/seed-*, then $RUN/comparison.txt (final losses of all seeds) and $RUN/training.png"
echo "watch:   squeue --me"
