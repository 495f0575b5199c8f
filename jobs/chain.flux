#!/bin/bash
# Trains for longer than the time limit: the job stops with a checkpoint before its limit and submits the next job. The
# next job resumes from the checkpoint, until the last meta-step of CONFIG is done.
#
#   flux batch --queue=NAME jobs/chain.flux [CONFIG] [options of warploom train...]
#   RUN=runs/chain-1234 flux batch jobs/chain.flux CONFIG          continues an earlier chain
#   WARPLOOM_SUBMIT='--queue=NAME -t 8h'                           options of the jobs after the first
#
# See common.sh for modules, Spack and other settings.
#flux: --job-name=chain
#flux: -N 1
#flux: -n 2
#flux: -t 1h
#flux: --output=chain-{{id}}.out

jobs=${WARPLOOM_JOBS:-$PWD/jobs} # flux runs a copy of this file, so $0 is not its path
. "$jobs/common.sh" || { echo "submit the job from Warploom's folder, or set WARPLOOM_JOBS to the folder jobs/" >&2; exit 78; }
wl_job_train chain "$@"
