#!/bin/bash
# One job on one or more nodes: meta-trains CONFIG. Stops with a checkpoint ahead of the time limit, and then says how to
# continue; chain.flux continues by itself.
#
#   flux batch --queue=NAME jobs/single.flux [CONFIG] [options of warploom train...]
#   flux batch -N 4 -n 8 jobs/single.flux CONFIG                   four nodes
#
# See common.sh for modules, Spack and other settings.
#flux: --job-name=single
#flux: -N 1
#flux: -n 2
#flux: -t 4h
#flux: --output=single-{{id}}.out

jobs=${WARPLOOM_JOBS:-$PWD/jobs} # flux runs a copy of this file, so not $0
. "$jobs/common.sh" || { echo "submit from Warploom's folder, or set WARPLOOM_JOBS to its jobs/" >&2; exit 78; }
wl_job_train single "$@"
