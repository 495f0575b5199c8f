#!/bin/bash
# Trains for longer than the time limit of one job. The job stops with a checkpoint before its limit and submits the
# next job, which resumes from the checkpoint. When the last meta-step of CONFIG is complete, the job submits no further
# job.
#
#   flux batch --queue=NAME jobs/chain.flux [CONFIG] [options of warploom train...]
#   RUN=runs/chain-1234 flux batch jobs/chain.flux CONFIG          resumes an earlier chain
#   WARPLOOM_SUBMIT='--queue=NAME -t 8h'                           sets the options of later jobs
#
# See common.sh for modules, Spack and other settings.
#flux: --job-name=chain
#flux: -N 1
#flux: -n 2
#flux: -t 1h
#flux: --output=chain-{{id}}.out

jobs=${WARPLOOM_JOBS:-$PWD/jobs} # the batch system runs a copy of this file in another folder
. "$jobs/common.sh" || { echo "submit the job from Warploom's folder, or set WARPLOOM_JOBS to the folder jobs/" >&2; exit 78; }
wl_job_train chain "$@"
