#!/bin/bash
# Creates several simulated hosts on this machine, on which mpirun can start ranks. The hosts exist until the given
# command has ended. Each host is a network namespace. A bridge connects the namespaces. Each host has its own host
# name, its own address 10.77.0.N, and its own /dev/shm.
#
#   cluster.sh COMMAND [ARGS...]
#
# The script creates the hosts, runs COMMAND, and removes the hosts. If COMMAND is bash, you can run for example
# `$CLUSTER on h2 ip address` in an interactive shell.
#
# The exit status is that of COMMAND. The exit status is 77 if namespaces cannot be created, and 124 if COMMAND has
# run longer than LIMIT. COMMAND can read the path of this script from $CLUSTER. The script then accepts the commands
# below. The script sets environment variables with which mpirun starts ranks on the hosts and uses only the network
# between the hosts.
#
# - `$CLUSTER on hN COMMAND...`: Runs COMMAND on the host hN.
# - `$CLUSTER cut hN`: Removes the port of the host from the bridge. Packets to and from the host are then lost, but the
#   processes of the host continue to run.
# - `$CLUSTER heal hN`: Adds the port to the bridge again, and returns when the host answers again.
# - `$CLUSTER kill hN`: Kills every process of the host.
#
# These environment variables are optional: HOSTS is the number of hosts (default 3). LIMIT is the time limit of the
# whole script in seconds (default 300). RATE limits the bandwidth of each host, for example to 100mbit. The script
# needs root with the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN. The script also needs the packages iproute2 and
# util-linux. The script does not use the network of the machine. No process remains after the script has ended.
set -euo pipefail
export LC_ALL=C PATH=$PATH:/usr/sbin:/sbin
HOSTS=${HOSTS:-3} LIMIT=${LIMIT:-300} RATE=${RATE:-}

die() { echo "netns cluster: $*" >&2; exit 1; }
skip() { echo "skipped: $*"; exit 77; }

require() {
  [ "$(id -u)" = 0 ] || skip "hosts made of namespaces need root"
  local program
  for program in ip unshare nsenter mpirun; do
    command -v $program >/dev/null || skip "$program is missing: tools/install-dependencies.sh build test"
  done
  unshare --mount --uts --net --pid --fork ip link add br0 type bridge 2>/dev/null ||
    skip "no right to make namespaces and bridges (CAP_SYS_ADMIN, CAP_NET_ADMIN)"
}

holder() { cat "$DIR/holder.$1" 2>/dev/null || die "no host '$1'"; }
on() { # arguments: HOST COMMAND...
  local pid
  pid=$(holder "$1")
  shift
  nsenter -t "$pid" --net --uts --mount --root --wd="$PWD" "$@"
}

# For each host, a process that only sleeps keeps the namespaces of the host open. Commands on the host enter the
# namespaces of this process.
make_host() { # arguments: NUMBER
  local host=h$1 pid deadline=$((SECONDS + 60))
  unshare --net --uts --mount --propagation private sh -c '
    hostname "$1" && mount --bind "$2/hosts" /etc/hosts && mount -t tmpfs -o size=25% none /dev/shm &&
    : >"$2/ready.$1" && exec sleep infinity' sh "$host" "$DIR" &
  pid=$!
  echo "$pid" >"$DIR/holder.$host"
  until [ -e "$DIR/ready.$host" ]; do
    [ $SECONDS -lt $deadline ] || die "$host did not start"
    sleep 0.05
  done
  ip link add "port$1" type veth peer name eth0 netns "$pid"
  ip link set "port$1" master br0 up
  on "$host" ip link set lo up
  on "$host" ip address add "10.77.0.$1/24" dev eth0
  on "$host" ip link set eth0 up
  [ -z "$RATE" ] || on "$host" tc qdisc add dev eth0 root tbf rate "$RATE" burst 256kb latency 50ms
}

# A host is reachable if it answers, even if it refuses the connection. When the host answers, the other hosts have also
# stored its network address again.
answers() { # arguments: NUMBER
  { on "h$(($1 == 1 ? 2 : 1))" timeout 1 bash -c "exec 3<>/dev/tcp/10.77.0.$1/9" 2>&1 || true; } | grep -q refused
}
heal() { # arguments: NUMBER
  local deadline=$((SECONDS + 20))
  ip link set "port$1" master br0
  until answers "$1"; do
    [ $SECONDS -lt $deadline ] || die "h$1 does not answer though its link is back"
    sleep 0.2
  done
}

# mpirun runs this generated script as `rsh HOST COMMAND`.
write_rsh() {
  cat <<R
#!/bin/bash
host=\$1
shift
exec "$CLUSTER" on "\$host" /bin/sh -c "\$*"
R
}

# Restricts Open MPI to the network of the bridge.
export_mpi_settings() {
  export OMPI_MCA_plm_rsh_agent=$DIR/rsh OMPI_MCA_pml=ob1 OMPI_MCA_btl=tcp,vader,self
  export OMPI_MCA_btl_tcp_if_include=10.77.0.0/24 OMPI_MCA_oob_tcp_if_include=10.77.0.0/24
  export OMPI_MCA_orte_tmpdir_base=$DIR/tmp
}

kill_host() { # arguments: HOST
  local hold network process
  hold=$(holder "$1")
  network=$(readlink "/proc/$hold/ns/net")
  for process in /proc/[0-9]*; do
    [ "$(readlink "$process/ns/net" 2>/dev/null)" = "$network" ] || continue
    [ "${process#/proc/}" = "$hold" ] || kill -KILL "${process#/proc/}" 2>/dev/null || true
  done
}

# Runs COMMAND. This process is the first process of the namespaces. When the process ends, the kernel therefore kills
# all other processes in the namespaces.
inside() { # arguments: COMMAND...
  local i
  export CLUSTER=$DIR/cluster # the script is copied, because its original path may contain spaces
  cp "$0" "$CLUSTER"
  ip link set lo up
  ip link add br0 type bridge
  ip link set br0 up
  { echo "127.0.0.1 localhost"; for i in $(seq "$HOSTS"); do echo "10.77.0.$i h$i"; done; } >"$DIR/hosts"
  mkdir -m 1777 "$DIR/tmp"
  for i in $(seq "$HOSTS"); do make_host "$i"; done
  write_rsh >"$DIR/rsh"
  chmod 755 "$DIR/rsh" "$CLUSTER"
  export_mpi_settings
  "$@"
}

outside() { # arguments: COMMAND...
  [ $# -gt 0 ] || { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; exit 64; }
  . "$(dirname "$0")/../harness/namespaces.sh"
  own_root "$0" "$@"
  require
  in_namespaces netns "$0" "$@"
}

case ${CLUSTER:+within}:${1:-} in
  within:on) shift; on "$@" ;;
  within:cut) ip link set "port${2#h}" nomaster ;;
  within:heal) heal "${2#h}" ;;
  within:kill) kill_host "$2" ;;
  *:--inside) shift; inside "$@" ;;
  *) outside "$@" ;;
esac
