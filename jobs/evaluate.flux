#!/bin/bash
# Compares the losses of the trained optimizer of RUN with the losses of tuned hand-designed rules, on fresh tasks.
#
#   flux batch --queue=NAME jobs/evaluate.flux RUN [options of warploom eval...]
#
# See common.sh for modules, Spack and other settings.
#flux: --job-name=evaluate
#flux: -N 1
#flux: -n 2
#flux: -t 1h
#flux: --output=evaluate-{{id}}.out

jobs=${WARPLOOM_JOBS:-$PWD/jobs} # the batch system runs a copy of this file in another folder
. "$jobs/common.sh" || { echo "submit the job from Warploom's folder, or set WARPLOOM_JOBS to the folder jobs/" >&2; exit 78; }
wl_job_evaluate "$@"
