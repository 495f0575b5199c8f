#!/bin/bash
# Trains a configuration with every combination of values of some keys, and compares the runs at the end.
#
#   jobs/sweep.sh CONFIG --over KEY=VALUES [--over KEY=VALUES...] [OPTIONS] [-- OPTIONS OF SBATCH, QSUB OR FLUX...]
#
#   --over KEY=VALUES  values separated by commas, or whole numbers FIRST..LAST; a value may be a list in brackets:
#                      --over rule.hidden=[10,10],[20,20] --over seed=1..5
#   --set KEY=VALUE    a setting for all runs, as for `warploom train`
#   --local            train one run after the other on this machine, without a batch system
#   --batch SYSTEM     slurm (the default), pbs or flux
#   --dry-run          check and list the runs without starting them
#
# Under SLURM the runs are one array of chains (sweep-array.sbatch). Another job (aggregate.sbatch) starts after the
# last run. It evaluates and compares the runs. Under PBS and Flux each run is a separate chain (chain.pbs, chain.flux).
# When all runs are complete, repeat the command with --local and RUN=<folder> to compare the runs. If a sweep with
# --local was stopped, repeat its command with RUN=<folder> to continue the sweep. The folder of results is $RUN, by
# default runs/sweep-<date or job>. It contains a folder for each run and the files comparison.txt and training.png.
# WARPLOOM_LAUNCH and the other variables of common.sh have the same effect as in the batch scripts.
set -euo pipefail
usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }
die() { echo "sweep: $2" >&2; exit "$1"; }

config='' local_run=0 batch=slurm dry=0 keys=() values=() settings=() submit=()
add_axis() { # KEY=VALUES
  case $1 in [a-z]*=?*) ;; *) die 64 "--over $1: give KEY=VALUE,VALUE... or KEY=FIRST..LAST" ;; esac
  keys+=("${1%%=*}") values+=("${1#*=}")
}
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage; exit 0 ;;
    --over | --set | --batch) [ $# -gt 1 ] || die 64 "$1 needs a value" ;;&
    --over) add_axis "$2"; shift 2 ;;
    --over=*) add_axis "${1#*=}"; shift ;;
    --set) settings+=(--set "$2"); shift 2 ;;
    --set=*) settings+=(--set "${1#*=}"); shift ;;
    --batch) batch=$2; shift 2 ;;
    --local) local_run=1; shift ;;
    --dry-run) dry=1; shift ;;
    --) shift; submit=("$@"); break ;;
    -*) die 64 "unknown option $1; options of the batch system follow --" ;;
    *) [ -z "$config" ] || die 64 "give one configuration, not $config and $1"
      config=$1; shift ;;
  esac
done
[ -n "$config" ] || { usage >&2; exit 64; }
case $batch in slurm | pbs | flux) ;; *) die 64 "--batch $batch: give slurm, pbs or flux" ;; esac
[ ${#keys[@]} -gt 0 ] || die 64 "no --over: nothing to vary"
[ -r "$config" ] || die 66 "no configuration '$config'"
jobs=$(cd "$(dirname "$0")" && pwd)

# Prints the values of a key, one on each line. Expands a range such as 1..5. Splits any other string at the commas that
# are outside of brackets and braces.
values_of() { # VALUES
  if [[ $1 =~ ^(-?[0-9]+)\.\.(-?[0-9]+)$ ]]; then
    seq "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
    return
  fi
  awk -v text="$1" 'BEGIN {
    for (i = 1; i <= length(text); i++) {
      c = substr(text, i, 1)
      if (c ~ /[[{(]/) depth++
      if (c ~ /[])}]/) depth--
      if (c == "," && depth == 0) { print value; value = "" } else value = value c
    }
    print value }'
}

# Prints one line for each combination of values, which is one run. A line contains the folder and the settings of the
# run, separated by tabs.
combinations() {
  local lines=("") next axis line value i last
  for i in "${!keys[@]}"; do
    next=()
    mapfile -t axis < <(values_of "${values[i]}")
    [ ${#axis[@]} -gt 0 ] || die 64 "--over ${keys[i]}=${values[i]}: no values"
    for line in "${lines[@]}"; do
      for value in "${axis[@]}"; do
        [ -n "$value" ] || die 64 "--over ${keys[i]}=${values[i]}: an empty value"
        next+=("$line"$'\t'"${keys[i]}=$value")
      done
    done
    lines=("${next[@]}")
  done
  i=0
  for line in "${lines[@]}"; do
    i=$((i + 1)) last=${line//$'\t'/_}
    last=$(sed 's/_[a-z_0-9.]*\.\([a-z_0-9]*=\)/_\1/g; s/[][{} ]//g; s/[^A-Za-z0-9=._-]\{1,\}/-/g' <<<"$last")
    printf '%03d%s%s\n' $i "$last" "$line"
  done
}
runs=$(combinations) || exit $?
count=$(wc -l <<<"$runs")

. "$jobs/common.sh"
wl_find_program
config_of() { # LINE: stores the arguments of `warploom train` for the run of this line in `arguments`
  local fields field
  IFS=$'\t' read -ra fields <<<"$1"
  arguments=("$config" ${settings[@]+"${settings[@]}"})
  for field in "${fields[@]:1}"; do arguments+=(--set "$field"); done
}

# Checks the configurations of all combinations before the first run starts.
while IFS= read -r line; do
  config_of "$line"
  "$WARPLOOM" train "${arguments[@]}" --dry-run --quiet </dev/null >/dev/null || die $? "nothing was started: ${line//$'\t'/ }"
done <<<"$runs"
if [ $dry = 1 ]; then
  echo "$count runs:"
  echo "$runs"
  exit 0
fi

# ---- With --local, the runs are executed one after another on this machine. If a run fails, the next run starts. A
# signal ends the sweep.
if [ $local_run = 1 ]; then
  # shellcheck disable=SC2034 # common.sh uses it
  WL_NAME=sweep
  wl_begin
  folder=$RUN code=0 failed=() finished=()
  mkdir -p "$folder"
  echo "$runs" >"$folder/sweep.tsv"
  while IFS= read -r line <&3; do
    RUN=$folder/${line%%$'\t'*} this=0
    config_of "$line"
    wl_train "${arguments[@]}" </dev/null >"$RUN.out" 2>"$RUN.err" || this=$?
    case $this in
      0) finished+=("$RUN"); wl_say "$(basename "$RUN"): $(tail -n 1 "$RUN.out")" ;;
      "$WL_STOPPED_EARLY") die 75 "stopped in $RUN; continue with RUN=$folder and the same command" ;;
      *) failed+=("$(basename "$RUN")"); code=$this; wl_say "$(basename "$RUN"): ended with code $this: $(tail -n 1 "$RUN.err")" ;;
    esac
  done 3<<<"$runs"
  [ ${#finished[@]} -lt 2 ] || wl_compare "$folder" "${finished[@]}"
  [ ${#failed[@]} = 0 ] || die "$code" "${#failed[@]} of $count runs failed: ${failed[*]}"
  exit 0
fi

# ---- Under PBS and Flux, a separate chain is submitted for each run
submit_chain() { # LINE: submits the run of this line and prints the id of its job
  config_of "$1"
  RUN=$folder/${1%%$'\t'*}
  if [ "$batch" = flux ]; then
    flux batch ${submit[@]+"${submit[@]}"} "$jobs/chain.flux" "${arguments[@]}"
    return
  fi
  local argument
  for argument in "${arguments[@]}"; do
    case $argument in *[[:space:]]*) die 64 "PBS passes no values with spaces: $argument" ;; esac
  done
  export CONFIG=$config ARGS=${arguments[*]:1}
  qsub -N sweep -v "$(wl_variables | paste -sd ,)" ${submit[@]+"${submit[@]}"} "$jobs/chain.pbs"
}
if [ "$batch" != slurm ]; then
  submitter='qsub'
  [ "$batch" = pbs ] || submitter='flux'
  command -v $submitter >/dev/null || die 69 "$submitter not found: run this script on a login node, or with --local"
  export WARPLOOM_JOBS=$jobs WARPLOOM RUN=${RUN:-runs/sweep-$(date +%Y%m%d-%H%M%S)-$$}
  # shellcheck disable=SC2034 # common.sh uses it
  WL_OWN_LAUNCH=${WARPLOOM_LAUNCH:-}
  mkdir -p "$RUN"
  folder=$(cd "$RUN" && pwd)
  echo "$runs" >"$folder/sweep.tsv"
  while IFS= read -r line <&3; do
    job=$(submit_chain "$line") || die 69 "$submitter failed for ${line%%$'\t'*}"
    echo "${line%%$'\t'*}: job $job"
  done 3<<<"$runs"
  echo "results: $folder/*/; when all runs are complete, RUN=$folder and the same command with --local compare them"
  exit 0
fi

# ---- Under SLURM, an array of chains and a job that compares the runs are submitted
command -v sbatch >/dev/null || die 69 "sbatch not found: run this script on a login node, or with --local"
export WARPLOOM_JOBS=$jobs WARPLOOM
RUN=${RUN:-runs/sweep-$(date +%Y%m%d-%H%M%S)-$$}
mkdir -p "$RUN"
RUN=$(cd "$RUN" && pwd)
export RUN
echo "$runs" >"$RUN/sweep.tsv"
array=$(sbatch --parsable --array="1-$count" ${submit[@]+"${submit[@]}"} "$jobs/sweep-array.sbatch" "$config" ${settings[@]+"${settings[@]}"})
array=${array%%;*} # removes the name of the cluster, which a federation of clusters appends
aggregate=$(sbatch --parsable --dependency="afterok:$array" --kill-on-invalid-dep=yes ${submit[@]+"${submit[@]}"} "$jobs/aggregate.sbatch")
echo "$count runs: job $array; comparison: job ${aggregate%%;*}, after the last run"
echo "results: $RUN/*/, then $RUN/comparison.txt and $RUN/training.png"
echo "watch:   squeue --me"
