#!/bin/bash
# A minute's trial of a new installation: trains a few meta-steps, once straight through and once
# stopped and resumed, and compares the two digests. Its last line says `smoke: ok` or what failed.
#
#   flux batch --queue=NAME jobs/smoke.flux [CONFIG] [options of warploom train...]
#
# See common.sh for modules, Spack and other settings.
#flux: --job-name=smoke
#flux: -N 1
#flux: -n 2
#flux: -t 5m
#flux: --output=smoke-{{id}}.out

jobs=${WARPLOOM_JOBS:-$PWD/jobs} # flux runs a copy of this file, so not $0
. "$jobs/common.sh" || { echo "submit from Warploom's folder, or set WARPLOOM_JOBS to its jobs/" >&2; exit 78; }
wl_job_smoke "$@"
