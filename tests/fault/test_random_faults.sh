#!/bin/bash
# test_random_faults.sh [FAULTS] [SEED] - interrupts trainings by random faults at random times. Each training is then
# resumed on a random number of ranks. The training must end with the digest of the uninterrupted run. The test causes
# these kinds of faults:
#
# - `kill`: One rank receives SIGKILL. In a third of the cases, the rank receives the signal while the job starts.
# - `signal`: One rank receives SIGTERM, SIGINT or SIGUSR1. The job must end within one meta-step with exit code 75. A
#   resumed run must not repeat any meta-step.
# - `truncated`: One rank receives SIGKILL, and the newest checkpoint is then truncated.
# - `flipped`: One rank receives SIGKILL, and one bit of the newest checkpoint is then changed.
# - `disk`: The disk, a small tmpfs, becomes full during a write.
# - `cut`: One of three hosts loses its network connection permanently. The hosts are network namespaces.
#
# Every wait has a time limit, so a job that hangs makes the test fail. The test prints a line for each fault and a
# table at the end. Without root, the test leaves out `disk` and `cut` and prints a message.
HOSTS_MADE_BY=$WL_SOURCE/tests/netns/cluster.sh
if [ -z "${CLUSTER:-}" ]; then
  code=0
  "$HOSTS_MADE_BY" true >hosts.out 2>&1 || code=$?
  [ $code = 0 ] && exec "$HOSTS_MADE_BY" bash "$0" "$@"
  [ $code = 77 ] || { cat hosts.out >&2; exit 1; }
  sed 's/^skipped: /left out: faults disk and cut: /' hosts.out
fi
. "$WL_SOURCE/tests/harness/training.sh"
. "$WL_SOURCE/tests/fault/mlp_job.sh"

FAULTS=${1:-12}
RANDOM=${2:-20161} # seed of all random choices. The times of the faults also depend on the machine
STEPS=20           # number of meta-steps of the job
PATIENCE=120       # seconds within which a job must start or reach a meta-step; an idle machine needs much less time
END=60             # seconds within which a job must end after the job has lost a rank or its disk
# If a host is silent for TIME seconds, Open MPI tests the connection to it. Open MPI closes the connection after
# PROBES unanswered tests at intervals of INTERVAL seconds.
TIME=3 INTERVAL=1 PROBES=3
export OMPI_MCA_oob_tcp_keepalive_time=$TIME OMPI_MCA_oob_tcp_keepalive_intvl=$INTERVAL
export OMPI_MCA_oob_tcp_keepalive_probes=$PROBES
KINDS=(kill signal truncated flipped)
if [ -n "${CLUSTER:-}" ]; then
  KINDS+=(disk cut)
  # these settings restrict mpirun to the network between the simulated hosts, so only jobs on these hosts use the
  # settings
  over_hosts=(env OMPI_MCA_{btl,oob}_tcp_if_include="$OMPI_MCA_btl_tcp_if_include")
  unset OMPI_MCA_btl_tcp_if_include OMPI_MCA_oob_tcp_if_include
fi

# Windows are short, so that the job has many meta-steps. The inner states occupy several MB, so that writing a
# checkpoint takes a noticeable time.
write_mlp_config job.yaml
sed -i -e 's/every: 4/every: 1/' -e 's/steps: 20, weights/steps: 7, weights/' job.yaml
expected=$(train_on 2 job.yaml undisturbed)
echo "seed ${2:-20161}: $FAULTS faults of the kinds ${KINDS[*]}; undisturbed: $expected"

one_of() { shift $((RANDOM % $#)); echo "$1"; }
between() { echo $(($1 + RANDOM % ($2 - $1 + 1))); }
nap() { sleep "$(awk -v r=$RANDOM -v most="$1" 'BEGIN { printf "%.3f", r / 32768 * most }')"; }

last_step() { # arguments: RUN. Prints the number of the last meta-step that the run reported
  tail -q -n 2 "$1"/metrics.jsonl 2>/dev/null | sed -n 's/.*"meta_step":\([0-9]*\),.*/\1/p' | tail -n 1 | grep . || echo 0
}
has_done() { [ "$(last_step "$1")" -ge "$2" ] || ! kill -0 "$job" 2>/dev/null; }
checkpoints_of() { printf '%s\n' "$1"/checkpoints/step-*.h5 | sort; }
whole_step() { # arguments: RUN. Prints the meta-step of the newest undamaged checkpoint, or 0
  checkpoints_of "$1" | grep -vxF "$damaged" | tail -n 1 | sed -n 's/.*step-0*\([0-9][0-9]*\).h5/\1/p' | grep . || echo 0
}
random_below() { echo $(((RANDOM * 32768 + RANDOM) % $1)); }
ranks_of() { pgrep -f "^$WL_BIN train .*output=$1 " || true; }
no_rank_of() { [ -z "$(ranks_of "$1")" ]; }
has_rank_of() { ! no_rank_of "$1" || ! kill -0 "$job" 2>/dev/null; }

# Starts the job in the background and sets `job` to the process number of its launcher. The function reads the
# variables `run` and `every`.
launch() { # arguments: LAUNCHER-AND-RANKS...
  timeout -k 2 $PATIENCE "$@" "$WL_BIN" train job.yaml --resume --quiet --set output="$run" --set checkpoint.every="$every" \
    >"$run.out" 2>"$run.err" &
  job=$!
}
launch_here() { launch "$WL_MPIEXEC" -n "$(between 1 4)"; }

# Waits until the job ends. Sets `code` to the exit code of the job, and `took` to the seconds since `start`.
await_end() { # arguments: SECONDS
  local deadline=$((SECONDS + $1))
  while kill -0 $job 2>/dev/null && [ $SECONDS -lt $deadline ]; do sleep 0.05; done
  took=$(seconds_since "$start")
  if kill -0 $job 2>/dev/null; then
    # the launcher of Open MPI sometimes hangs after a rank has been killed, and then no rank is running
    no_rank_of "$run" || { ps -eo pid,stat,wchan:24,time,args >&2; fail "$kind: ranks are left after $took s"; }
    launcher_hangs=$((launcher_hangs + 1))
    kill $job
  fi
  code=0
  wait $job || code=$?
  wait_for 15 "the ranks of $run to be gone" no_rank_of "$run"
}

kill_one() { # arguments: SIGNAL
  local ranks
  mapfile -t ranks < <(ranks_of "$run")
  [ ${#ranks[@]} -gt 0 ] || return 0
  kill "-$1" "${ranks[RANDOM % ${#ranks[@]}]}" 2>/dev/null || true
}

# Waits until the job has completed a random number of meta-steps, between LEAST and MOST, and a part of the next
# meta-step.
wait_for_moment() { # arguments: LEAST MOST
  wait_for $PATIENCE "a meta-step of $run" has_done "$run" "$(between "$1" "$2")"
  nap 0.1
  start=$(seconds_now)
}

# Each of these functions starts a job, causes one kind of fault after some time, and waits until the job ends.
strike_kill() {
  launch_here
  if [ $((RANDOM % 3)) = 0 ]; then
    wait_for $PATIENCE "a rank of $run" has_rank_of "$run"
    nap 0.8
    start=$(seconds_now)
  else
    wait_for_moment 1 $((STEPS - 3))
  fi
  kill_one KILL
  await_end $END
}
strike_signal() {
  launch_here
  wait_for_moment 1 $((STEPS - 3))
  local before name
  name=$(one_of TERM INT USR1)
  kill_one "$name"
  before=$(last_step "$run")
  await_end $END
  [ "$code" != 0 ] || return 0
  [ "$code" = $EXIT_STOPPED ] || fail "$name to one rank: exit $code, not $EXIT_STOPPED: $(cat "$run.err")"
  # the job may complete the current meta-step, and also the next meta-step if its reduction has begun
  [ $(($(last_step "$run") - before)) -le 2 ] || fail "$name: $(last_step "$run") meta-steps done, $before at the signal"
  [ "$(last_step "$run")" = "$(checkpoint_step "$run")" ] || fail "$name: the checkpoint does not have all meta-steps"
}
strike_damaged() { # arguments: COMMAND, which damages the file
  launch_here
  wait_for_moment $((2 * every + 1)) $((STEPS - 2))
  kill_one KILL
  await_end $END
  [ "$code" != 0 ] || return 0
  damaged=$(checkpoints_of "$run" | tail -n 1)
  "$1" "$damaged"
  ! "$WL_BIN" info "$damaged" --verify >/dev/null 2>&1 || fail "$kind: the damage to $damaged was not detected"
}
cut_short() { truncate -s "$(random_below "$(stat -c %s "$1")")" "$1"; }
flip_bit() {
  local at byte
  at=$(random_below "$(stat -c %s "$1")")
  byte=$(od -An -tu1 -j $at -N 1 "$1")
  printf "\\x$(printf %02x $((byte ^ (1 << RANDOM % 8))))" | dd of="$1" bs=1 seek=$at conv=notrunc status=none
}
strike_truncated() { strike_damaged cut_short; }
strike_flipped() { strike_damaged flip_bit; }
# Fills the disk except for a space that is smaller than a checkpoint.
strike_disk() {
  mkdir -p "$run"
  mount -t tmpfs -o size=48m none "$run"
  launch_here
  wait_for_moment 2 $((STEPS - 4))
  local room
  room=$(random_below 4000000)
  head -c $((48 * 1024 * 1024)) /dev/zero >"$run/filler" 2>/dev/null || true
  truncate -s -"$room" "$run/filler"
  await_end $END
  rm "$run/filler"
  [ "$code" != 0 ] || return 0
  [ "$code" = 74 ] || [ "$code" = 73 ] || fail "a full disk: exit $code: $(cat "$run.err")"
  grep -qi 'no space left\|disk' "$run.err" || fail "a full disk is not named: $(cat "$run.err")"
}
strike_cut() {
  local host
  host=$(one_of h2 h3)
  launch "${over_hosts[@]}" "$CLUSTER" on h1 timeout -k 2 $PATIENCE "$WL_MPIEXEC" --host h1:1,h2:1,h3:1 -n 3
  wait_for_moment 1 $((STEPS - 6))
  "$CLUSTER" cut "$host"
  await_end $((TIME + INTERVAL * PROBES + END))
  [ "$code" = 0 ] || grep -qiE 'lost (communication|connection)|unable to reliably|failed' "$run.err" ||
    fail "cut: no message: $(cat "$run.err")"
  "$CLUSTER" heal "$host"
}

# Causes one fault of the given kind and resumes the job. Sets struck=0 if the job completed its training before the
# fault.
fault() { # arguments: NAME KIND
  run=$1 kind=$2 every=$(between 1 3) damaged='' code=0 struck=1
  "strike_$kind"
  if [ "$code" = 0 ]; then struck=0; return 0; fi
  local reported resumed_at digest
  reported=$(last_step "$run") resumed_at=$(whole_step "$run")
  if [ -z "$damaged" ] && [ "$resumed_at" -gt 0 ]; then
    "$WL_BIN" info "$run" --verify >/dev/null || fail "$kind left a checkpoint that does not verify"
  fi
  # While a checkpoint is written in the background, the job may complete another checkpoint interval. If a checkpoint
  # is damaged, the job loses one more interval
  [ $((reported - resumed_at)) -le $(((2 + (${#damaged} > 0)) * every)) ] || fail "$kind: step $resumed_at is the newest of $reported"
  digest=$(train_on "$(between 1 4)" job.yaml "$run" --resume --set checkpoint.every="$every")
  [ "$digest" = "$expected" ] || fail "$run, $kind: expected '$expected', got '$digest'"
  [ -z "$damaged" ] || grep -q "$(basename "$damaged")" "$run.err" || fail "$kind: $damaged is not named: $(cat "$run.err")"
  printf '%s %s %s\n' "$kind" "$((reported - resumed_at))" "$took" >>figures
  echo "ok: $run $kind: ended with $code after $took s at meta-step $reported; resumed from $resumed_at"
}

clean_up() { # arguments: RUN
  if [ "$kind" = disk ]; then umount "$1"; fi
  rm -rf "$1" "$1".*
}

report() {
  sort -k1,1 -k3,3g figures | awk '
    { kind = $1; n[kind]++; t[kind, n[kind]] = $3; sum[kind] += $2; if ($2 > most[kind]) most[kind] = $2 }
    END { printf "%-10s %6s  %-28s  %s\n", "fault", "times", "meta-steps repeated", "seconds to the end of the job"
      for (kind in n) printf "%-10s %6d  mean %4.1f, most %d %12s  median %s, most %s\n", kind, n[kind],
        sum[kind] / n[kind], most[kind], "", t[kind, int((n[kind] + 1) / 2)], t[kind, n[kind]] }'
  echo "ok: $FAULTS faults, $FAULTS resumes to $expected, $launcher_hangs times the launcher hung with no rank left"
}

launcher_hangs=0 number=0 too_late=0 bag=()
while [ $number -lt "$FAULTS" ]; do
  [ ${#bag[@]} -gt 0 ] || mapfile -t bag < <(printf '%s\n' "${KINDS[@]}" | shuf --random-source=<(yes $RANDOM))
  # fault() is not called in a condition, because `set -e` would then have no effect inside it
  fault "run-$((number + 1))" "${bag[0]}"
  if [ $struck = 1 ]; then
    number=$((number + 1)) bag=("${bag[@]:1}")
  else
    too_late=$((too_late + 1))
    [ $too_late -le $((10 + FAULTS)) ] || fail "$too_late jobs ended before their fault"
  fi
  clean_up "$run"
done
report
