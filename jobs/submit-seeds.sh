#!/bin/bash
# Submits trainings with several seeds, and a job that compares these runs when all of them are done.
#
#   jobs/submit-seeds.sh [--seeds 1-5] [sbatch options such as --partition=NAME] -- [CONFIG] [options]
#
# All options before `--` except --seeds are options of sbatch (partition, account ...) and are used for both jobs. The
# options after `--` are options of warploom train. The results are in $RUN if it is set, or else in runs/seeds-<job
# id>/.
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
command -v sbatch >/dev/null || { echo "submit-seeds: sbatch not found: run this script on a login node" >&2; exit 69; }
jobs=$(cd "$(dirname "$0")" && pwd)
export WARPLOOM_JOBS=$jobs

# If the program can run on this machine, the program checks the configuration before a job is submitted.
warploom=${WARPLOOM:-$jobs/../build/warploom}
if [ -x "$warploom" ] || warploom=$(command -v warploom); then
  code=0
  "$warploom" train "${@:-$jobs/quickstart.yaml}" --dry-run --quiet >/dev/null || code=$?
  case $code in 6[4-9] | 7[0-8]) echo "submit-seeds: nothing was submitted" >&2; exit "$code" ;; esac
fi

array=$(sbatch --parsable --array="$seeds" "${options[@]}" "$jobs/seeds-array.sbatch" "$@")
array=${array%%;*} # removes the name of the cluster, which a federation of clusters appends
export RUN=${RUN:-runs/seeds-$array}
aggregate=$(sbatch --parsable --dependency="afterok:$array" --kill-on-invalid-dep=yes "${options[@]}" \
  "$jobs/aggregate.sbatch")
echo "seeds $seeds: job $array; aggregate: job ${aggregate%%;*}, after the last seed"
echo "results: $RUN/seed-*, then $RUN/comparison.txt (final losses of all seeds) and $RUN/training.png"
echo "watch:   squeue --me"
