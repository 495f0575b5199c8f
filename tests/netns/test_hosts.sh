#!/bin/bash
# Checks that a training on three hosts over TCP has the same digest as a training on one host without a network. If a
# host is disconnected, or if all its processes are killed, the job must end within a given time and print a message.
# The run must then resume on other hosts and end with the digest of an uninterrupted run.
[ -n "${CLUSTER:-}" ] || exec "$WL_SOURCE/tests/netns/cluster.sh" bash "$0"
. "$WL_SOURCE/tests/harness/training.sh"

# If a host is silent for TIME seconds, Open MPI tests the connection to it. Open MPI closes the connection after
# PROBES unanswered tests at intervals of INTERVAL seconds.
TIME=5 INTERVAL=2 PROBES=3
export OMPI_MCA_oob_tcp_keepalive_time=$TIME OMPI_MCA_oob_tcp_keepalive_intvl=$INTERVAL
export OMPI_MCA_oob_tcp_keepalive_probes=$PROBES
TAKE_DOWN=20 # seconds within which the job must end; an idle machine needs two seconds
END_OF_CUT_HOST=$((TIME + PROBES * INTERVAL + TAKE_DOWN))
END_OF_KILLED_HOST=$TAKE_DOWN

write_config train.yaml
steps=$(steps_in 4 train.yaml)
every=$((steps / 10 + 1))
expected=$(straight_digest train.yaml "$steps" straight)
echo "$steps meta-steps, a checkpoint every $every"

train_on() { # arguments: HOSTS RUN STEPS OUTPUT
  "$CLUSTER" on "${1:0:2}" timeout -k 2 200 "$WL_MPIEXEC" --host "$1" "$WL_BIN" train train.yaml --resume \
    --set outer.steps="$3" --set checkpoint.every="$every" --set output="$2" >"$4" 2>&1
}
no_rank_left() { ! pgrep -f "$WL_BIN train train.yaml --resume" >/dev/null; }

# lose NAME HOSTS LIMIT COMMAND... starts the run NAME on HOSTS with 1,000,000 meta-steps, so that the run cannot end
# before it is interrupted. After the first checkpoint, the function calls COMMAND, which interrupts the run. The job
# must end within LIMIT seconds.
lose() {
  local name=$1 hosts=$2 limit=$3 code=0 start took
  shift 3
  train_on "$hosts" "$name" 1000000 "$name.out" &
  local job=$!
  wait_for 90 "a checkpoint of $name" has_checkpoint_after "$name" 0
  start=$(seconds_now)
  "$@"
  wait "$job" || code=$?
  took=$(seconds_since "$start")
  [ "$code" != 0 ] || { cat "$name.out" >&2; fail "$name: the job ended without reporting the lost host"; }
  expect_below "$name: seconds until the job ended" "$limit" "$took"
  grep -qiE 'lost (communication|connection)|unable to reliably start|failed' "$name.out" || { cat "$name.out" >&2; fail "$name: no message"; }
  wait_for 15 "the far ranks to be gone" no_rank_left
  expect_below "$name: meta-steps to repeat" "$((2 * every))" "$(steps_beyond_checkpoint "$name")"
}

# go_on NAME HOSTS resumes the run NAME on HOSTS for some meta-steps and compares the digest with that of an
# uninterrupted run.
go_on() {
  local name=$1 hosts=$2 to
  to=$(($(checkpoint_step "$name") + every))
  train_on "$hosts" "$name" "$to" resumed.out || { cat resumed.out >&2; fail "$name: resume on $hosts failed"; }
  expect_same "$name: digest on $hosts" "$(straight_digest train.yaml "$to" "straight-$name")" "$(digest_line resumed.out)"
}

train_on h1:2,h2:2,h3:2 three "$steps" three.out || { cat three.out >&2; fail "the run over three hosts failed"; }
expect_same "digest on three hosts" "$expected" "$(digest_line three.out)"

lose cut h1:2,h2:2,h3:2 "$END_OF_CUT_HOST" "$CLUSTER" cut h3
go_on cut h1:2,h2:2

"$CLUSTER" heal h3
lose killed h1:2,h2:2,h3:2 "$END_OF_KILLED_HOST" "$CLUSTER" kill h2
go_on killed h1:3,h3:1 # the host h3 has been reconnected
