#!/bin/bash
# Tests a new installation in a minute. The job trains 20 meta-steps without a stop and again with a stop and a resume,
# and compares the two digests. The last line of the output is `smoke: ok` or names the failure.
#
#   flux batch --queue=NAME jobs/smoke.flux [CONFIG] [options of warploom train...]
#
# See common.sh for modules, Spack and other settings.
#flux: --job-name=smoke
#flux: -N 1
#flux: -n 2
#flux: -t 5m
#flux: --output=smoke-{{id}}.out

jobs=${WARPLOOM_JOBS:-$PWD/jobs} # the batch system runs a copy of this file in another folder
. "$jobs/common.sh" || { echo "submit the job from Warploom's folder, or set WARPLOOM_JOBS to the folder jobs/" >&2; exit 78; }
wl_job_smoke "$@"
