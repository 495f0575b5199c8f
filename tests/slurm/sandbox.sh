#!/bin/bash
# Starts a SLURM cluster on this machine, runs one command, and ends the cluster. The daemons munge, slurmctld and
# several slurmd run in separate namespaces.
#
#   sandbox.sh COMMAND [ARGS...]
#
# The script starts the cluster, runs COMMAND with SLURM_CONF set, and ends the cluster. If COMMAND is bash, you can use
# sinfo, sbatch and squeue in an interactive shell.
#
# The exit status is that of COMMAND. The exit status is 77 if the cluster cannot run, and 124 if COMMAND has run
# longer than LIMIT. These environment variables are optional: NODES is the number of nodes (default 3). CPUS is
# the number of cores of each node (default 2). GRACE is the number of seconds after which SLURM kills a preempted job
# (default 10). LIMIT is the time limit of the whole script in seconds (default 300).
#
# The script needs root with the capability CAP_SYS_ADMIN. The script also needs the packages slurm-wlm, munge, iproute2
# and util-linux. The script creates these namespaces:
#
# - The process namespace ensures that no process remains after the script has ended.
# - The network namespace ensures that ports are not already in use, and that no port can be reached from outside.
# - Because of the namespaces of the nodes, each node has a separate host name, /dev/shm and PMIx folder. If nodes
#   shared a host name, Open MPI would treat the nodes as one node. If nodes shared these folders, the files of
#   different nodes would have the same names.
#
# The cluster has two partitions, `batch` and `urgent`. If a job in `urgent` needs nodes on which jobs in `batch` run,
# SLURM requeues the jobs in `batch`. The cluster uses neither cgroups nor accounting.
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
NODES=${NODES:-3} CPUS=${CPUS:-2} GRACE=${GRACE:-10} LIMIT=${LIMIT:-300}

die() { echo "slurm sandbox: $*" >&2; exit 1; }
skip() { echo "skipped: $*"; exit 77; }

require() {
  [ "$(id -u)" = 0 ] || skip "a SLURM cluster of namespaces needs root"
  local program
  for program in munged mungekey slurmctld slurmd sbatch ip unshare; do
    command -v $program >/dev/null || skip "$program is missing: tools/install-dependencies.sh test"
  done
  unshare --mount --uts --net --pid --fork true 2>/dev/null || skip "no right to make namespaces (CAP_SYS_ADMIN)"
}

wait_until() { # arguments: SECONDS COMMAND...
  local deadline=$((SECONDS + $1))
  shift
  while ! "$@" 2>/dev/null; do
    [ $SECONDS -lt $deadline ] || return 1
    sleep 0.1
  done
}

start_munge() {
  mkdir -m 700 "$DIR/munge"
  mkdir -m 755 "$DIR/run" # all users must be able to read the folder of the socket, but not the folder of the key
  mungekey --create --keyfile="$DIR/munge/key" >"$DIR/log/mungekey" 2>&1
  munged --foreground --force --key-file="$DIR/munge/key" --socket="$DIR/run/munge.socket" \
    --pid-file="$DIR/munge/pid" --log-file="$DIR/munge/log" --seed-file="$DIR/munge/seed" \
    >"$DIR/log/munged" 2>&1 &
  wait_until 60 test -S "$DIR/run/munge.socket" || die "munged did not start: $(tail -n 3 "$DIR/log/munged")"
}

write_hosts() {
  local i
  echo "127.0.0.1 localhost control"
  for i in $(seq "$NODES"); do echo "127.0.0.1 node$i"; done
}

write_configuration() {
  cat <<C
ClusterName=sandbox
SlurmctldHost=control(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$DIR/run/munge.socket
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool/%n
SlurmctldPidFile=$DIR/slurmctld.pid
SlurmdPidFile=$DIR/slurmd.%n.pid
SlurmctldLogFile=$DIR/log/slurmctld
SlurmdLogFile=$DIR/log/slurmd.%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=pmix
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
# the intervals are short, so that the tests need not wait long
KillWait=5
SlurmdTimeout=30
CompleteWait=0
MinJobAge=3600
InactiveLimit=0
JobRequeue=1
SchedulerParameters=sched_interval=2,sched_min_interval=100000,bf_interval=2,batch_sched_delay=0
# a preempted job must also receive the signal of its option --signal
SlurmctldParameters=preempt_send_user_signal
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
C
  local i
  for i in $(seq "$NODES"); do
    echo "NodeName=node$i NodeHostname=control NodeAddr=127.0.0.1 Port=$((7000 + i)) CPUs=$CPUS RealMemory=1000"
  done
  echo "PartitionName=batch Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=$GRACE"
  echo "PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF"
}

start_node() { # arguments: NAME
  mkdir -p "$DIR/spool/$1"
  mkdir -m 1777 "$DIR/pmix.$1"
  unshare --uts --mount --propagation private sh -c '
    hostname "$1" && mount --bind "$2/pmix.$1" "$2/pmix" && mount -t tmpfs -o size=25% none /dev/shm &&
    exec slurmd -D -N "$1"' sh "$1" "$DIR" >"$DIR/log/slurmd.$1.out" 2>&1 &
}

nodes_are_idle() { [ "$(timeout 3 sinfo -h -N -p batch -t idle -o %N | wc -l)" = "$NODES" ]; }

# Runs COMMAND. This process is the first process of the namespaces. When the process ends, the kernel therefore kills
# all other processes in the namespaces.
inside() { # arguments: COMMAND...
  # SLURM looks up host names with the flag AI_ADDRCONFIG. With this flag, a look-up finds no name if the machine has
  # only addresses in 127.0.0.0/8.
  ip link set lo up
  ip address add 10.77.1.1/32 dev lo
  hostname control
  mkdir -p "$DIR"/{state,spool,log}
  mkdir -m 1777 "$DIR/pmix" "$DIR/tmp"
  write_hosts >"$DIR/hosts"
  mount --bind "$DIR/hosts" /etc/hosts
  mount -t tmpfs -o size=25% none /dev/shm
  export SLURM_CONF=$DIR/slurm.conf TMPDIR=$DIR/tmp
  export PMIX_MCA_gds=hash # WlTest.cmake explains this setting, which the daemons also require
  start_munge
  write_configuration >"$SLURM_CONF"
  echo "PMIxCliTmpDirBase=$DIR/pmix" >"$DIR/mpi.conf"
  slurmctld -D -c -i >"$DIR/log/slurmctld.out" 2>&1 &
  local i
  for i in $(seq "$NODES"); do start_node "node$i"; done
  wait_until 90 nodes_are_idle || { tail -n 5 "$DIR"/log/slurm* >&2; die "the nodes did not come up"; }
  # the nodes communicate over the loopback interface, which Open MPI uses only if a setting names it
  export OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_oob_tcp_if_include=lo
  "$@"
}

outside() { # arguments: COMMAND...
  [ $# -gt 0 ] || { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 64; }
  . "$(dirname "$0")/../harness/namespaces.sh"
  own_root "$0" "$@"
  require
  in_namespaces slurm "$0" "$@"
}

if [ "${1:-}" = --inside ]; then shift; inside "$@"; else outside "$@"; fi
