#!/bin/bash
# Checks the batch scripts for PBS and Flux. Debian does not package PBS and Flux. The test therefore replaces qsub,
# qstat and flux by its own programs, which record their arguments and print fixed answers. The test also sets the
# environment variables that the batch systems set for a job. The test cannot check how the real batch systems process
# directives and send signals. The test also runs shellcheck on all scripts.
. "$WL_SOURCE/tests/harness/training.sh"
export WARPLOOM=$WL_BIN WARPLOOM_JOBS=$WL_SOURCE/jobs WARPLOOM_PYTHON=${WL_PYTHON:-python3}
unset SLURM_JOB_ID RUN

for script in "$WARPLOOM_JOBS"/*.{sh,sbatch,pbs,flux}; do
  bash -n "$script" || fail "$script: not a shell script"
  ! command -v shellcheck >/dev/null || shellcheck -s bash -e SC1091,SC2015 "$script" || fail "shellcheck: $script"
done
# All variants of a script do the same work, so their last lines must be the same.
for name in smoke single chain evaluate; do
  expect_same "what $name does in PBS" "$(tail -n 1 "$WARPLOOM_JOBS/$name.sbatch")" "$(tail -n 1 "$WARPLOOM_JOBS/$name.pbs")"
  expect_same "what $name does in Flux" "$(tail -n 1 "$WARPLOOM_JOBS/$name.sbatch")" "$(tail -n 1 "$WARPLOOM_JOBS/$name.flux")"
  grep -q '^#PBS -l walltime=' "$WARPLOOM_JOBS/$name.pbs" || fail "$name.pbs asks for no time"
  grep -q '^#flux: -t ' "$WARPLOOM_JOBS/$name.flux" || fail "$name.flux asks for no time"
done

mkdir bin
cat >bin/qsub <<'C'
#!/bin/bash
printf '%s\n' "$@" >submitted # writes each argument on a separate line
while [ $# -gt 0 ]; do
  if [ "$1" = -v ]; then
    for name in ${2//,/ }; do printf 'export %s=%q\n' "$name" "${!name}"; done >variables
  fi
  shift
done
echo 124.server
C
cat >bin/qstat <<'C'
#!/bin/bash
[ "$1" = -f ] && [ "$2" = "$PBS_JOBID" ] || exit 1
printf 'Job Id: %s\n    resources_used.walltime = 00:00:00\n    Resource_List.walltime = %s\n' "$2" "$(cat walltime)"
C
cat >bin/flux <<'C'
#!/bin/bash
case "$1 $2" in
  "resource list") echo 2 ;;
  "job timeleft") cat timeleft ;;
  "run -n") # arguments: run -n RANKS [-o pmi=pmix] PROGRAM ARGS...
    ranks=$3
    shift 3
    if [ "$1" = -o ]; then shift 2; fi
    exec "$WL_MPIEXEC" -n "$ranks" "$@" ;;
  "--parent batch") printf '%s\n' "$@" >submitted ;;
  *) echo "flux: $*" >&2; exit 1 ;;
esac
C
chmod +x bin/*
export PATH=$PWD/bin:$PATH

write_config train.yaml
submitted() { grep -qxF -- "$1" submitted || { cat submitted >&2; fail "the next job is not submitted with $1"; }; }
output_has() { grep -qE -- "$2" "$1" || { cat "$1" >&2; fail "$1 does not say: $2"; }; }
run_script() { # arguments: CODE OUTPUT SCRIPT ARGS...
  local code=0
  timeout 120 bash "$WARPLOOM_JOBS/$3" "${@:4}" >"$2" 2>&1 || code=$?
  [ "$code" = "$1" ] || { cat "$2" >&2; fail "$3: exit code $code, expected $1"; }
}

# ---- PBS: a chain of two jobs, of which the first stops before its time limit
pbs() { # arguments: JOB CODE OUTPUT SCRIPT
  PBS_JOBID=$1 PBS_JOBNAME=mine PBS_O_WORKDIR=$PWD PBS_NODEFILE=$PWD/nodes OMP_NUM_THREADS=1 run_script "${@:2}"
}
printf 'localhost\nlocalhost\n' >nodes
echo 00:00:04 >walltime
CONFIG=train.yaml ARGS='--set checkpoint.every=50' WARPLOOM_SUBMIT='-q long' pbs 123.server 75 pbs-1.out chain.pbs
output_has pbs-1.out '^job 123.server on '
output_has pbs-1.out '^launcher: .* -n 2 -machinefile '
output_has pbs-1.out 'on 2 ranks'
output_has pbs-1.out 'requeueing job 123.server'
output_has pbs-1.out 'qsub -v CONFIG=runs/mine-123 jobs/evaluate.pbs'
submitted depend=afterany:123.server
submitted "$WARPLOOM_JOBS/chain.pbs"
submitted long
steps=$(($(checkpoint_step runs/mine-123) + 100))
sed -i "s/steps: 1000000,/steps: $steps,/" train.yaml
echo 01:00:00 >walltime
(. ./variables && pbs 124.server 0 pbs-2.out chain.pbs)
output_has pbs-2.out 'continuing runs/mine-123 from step'
expected=$(straight_digest train.yaml $steps straight --set checkpoint.every=50)
expect_same "digest of the chain under PBS" "$expected" "$(digest_line pbs-2.out)"

# The scripts must exit with an error if there are more ranks than units, or if no configuration is given.
for _ in 1 2 3 4 5 6; do echo localhost; done >>nodes
CONFIG=train.yaml pbs 125.server 78 pbs-3.out single.pbs
output_has pbs-3.out '8 ranks, of which 6 can work .*: submit with -l select=1:ncpus=6:mpiprocs=6'
printf 'localhost\nlocalhost\n' >nodes
CONFIG=absent.yaml pbs 126.server 66 pbs-4.out single.pbs

# ---- Flux
flux_job() { FLUX_ENCLOSING_ID=$1 run_script "${@:2}"; } # arguments: JOB CODE OUTPUT SCRIPT ARGS...
sed -i "s/steps: $steps,/steps: 1000000,/" train.yaml
echo 4.7 >timeleft
WARPLOOM_SUBMIT='--queue=long' flux_job f58A 75 flux-1.out chain.flux train.yaml --set checkpoint.every=50
output_has flux-1.out '^launcher: flux run -n 2 -o pmi=pmix'
output_has flux-1.out 'on 2 ranks'
for argument in --parent batch --dependency=afterany:f58A --queue=long "$WARPLOOM_JOBS/chain.flux" train.yaml checkpoint.every=50; do
  submitted "$argument"
done
steps=$(($(checkpoint_step runs/flux-f58A) + 100))
sed -i "s/steps: 1000000,/steps: $steps,/" train.yaml
echo inf >timeleft
RUN=runs/flux-f58A flux_job f58B 0 flux-2.out chain.flux train.yaml --set checkpoint.every=50
expected=$(straight_digest train.yaml $steps straight-flux --set checkpoint.every=50)
expect_same "digest of the chain under Flux" "$expected" "$(digest_line flux-2.out)"
# ---- Sweeps: each combination of settings has its own chain of jobs, and each job receives the settings and the
# folder of the run
cat >small.yaml <train.yaml
sed -i "s/steps: $steps, units: 6/steps: 3, units: 2/" small.yaml
sweep() { "$WARPLOOM_JOBS/sweep.sh" small.yaml --over rule.hidden=[4],[6,5] --over seed=1..2 "$@"; }
RUN=swept-pbs sweep --batch pbs -- -q long >sweep-pbs.out || { cat sweep-pbs.out >&2; fail "sweep.sh --batch pbs"; }
[ "$(grep -c '^00[1-4]_hidden=.*: job 124.server$' sweep-pbs.out)" = 4 ] || { cat sweep-pbs.out >&2; fail "not four jobs"; }
submitted "$WARPLOOM_JOBS/chain.pbs"
submitted long
(. ./variables && pbs 130.server 0 sweep-run.out chain.pbs)
expected=$("$WL_BIN" train small.yaml --quiet --set rule.hidden=[6,5] --set seed=2 --set output=single-run)
expect_same "digest of a run of the sweep under PBS" "$expected" "$(digest_line sweep-run.out)"
[ -e swept-pbs/004_hidden=6-5_seed=2/optimizer.h5 ] || fail "the run is not in its folder"
sed -i 's/"--parent batch")/"batch -t" | &/' bin/flux
RUN=swept-flux sweep --batch flux -- -t 1h >sweep-flux.out 2>&1 || { cat sweep-flux.out >&2; fail "sweep.sh --batch flux"; }
for argument in "$WARPLOOM_JOBS/chain.flux" small.yaml 'rule.hidden=[6,5]' seed=2; do submitted "$argument"; done

flux_job f58C 0 flux-3.out smoke.flux train.yaml --set episode.steps=40
expect_same "last line of smoke.flux" "smoke: ok" "$(tail -n 1 flux-3.out)"
flux_job f58D 64 flux-4.out evaluate.flux
output_has flux-4.out 'flux batch jobs/evaluate.flux RUN'
