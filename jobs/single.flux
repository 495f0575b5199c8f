#!/bin/bash
# Meta-trains with the configuration CONFIG in one job on one or more nodes. The job stops with a checkpoint before the
# time limit and prints the command that resumes the run. chain.flux resumes automatically.
#
#   flux batch --queue=NAME jobs/single.flux [CONFIG] [options of warploom train...]
#   flux batch -N 4 -n 8 jobs/single.flux CONFIG                   uses four nodes
#
# See common.sh for modules, Spack and other settings.
#flux: --job-name=single
#flux: -N 1
#flux: -n 2
#flux: -t 4h
#flux: --output=single-{{id}}.out

jobs=${WARPLOOM_JOBS:-$PWD/jobs} # the batch system runs a copy of this file in another folder
. "$jobs/common.sh" || { echo "submit the job from Warploom's folder, or set WARPLOOM_JOBS to the folder jobs/" >&2; exit 78; }
wl_job_train single "$@"
