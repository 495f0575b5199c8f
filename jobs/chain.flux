#!/bin/bash
# A training longer than the time limit: a job that stops with a checkpoint ahead of its limit and submits the next
# one, which goes on where it was, until CONFIG's last meta-step.
#
#   flux batch --queue=NAME jobs/chain.flux [CONFIG] [options of warploom train...]
#   RUN=runs/chain-1234 flux batch jobs/chain.flux CONFIG          takes a chain up again
#   WARPLOOM_SUBMIT='--queue=NAME -t 8h'                           options of the jobs after the first
#
# See common.sh for modules, Spack and other settings.
#flux: --job-name=chain
#flux: -N 1
#flux: -n 2
#flux: -t 1h
#flux: --output=chain-{{id}}.out

jobs=${WARPLOOM_JOBS:-$PWD/jobs} # flux runs a copy of this file, so not $0
. "$jobs/common.sh" || { echo "submit from Warploom's folder, or set WARPLOOM_JOBS to its jobs/" >&2; exit 78; }
wl_job_train chain "$@"
