#!/bin/bash
# Measures the trained optimizer of RUN against tuned hand-designed ones on fresh tasks.
#
#   flux batch --queue=NAME jobs/evaluate.flux RUN [options of warploom eval...]
#
# See common.sh for modules, Spack and other settings.
#flux: --job-name=evaluate
#flux: -N 1
#flux: -n 2
#flux: -t 1h
#flux: --output=evaluate-{{id}}.out

jobs=${WARPLOOM_JOBS:-$PWD/jobs} # flux runs a copy of this file, so not $0
. "$jobs/common.sh" || { echo "submit from Warploom's folder, or set WARPLOOM_JOBS to its jobs/" >&2; exit 78; }
wl_job_evaluate "$@"
