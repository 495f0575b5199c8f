# Checks that a signal ends the program with exit code 75 in every phase. Before a training, the program has nothing
# to save and must end immediately. During a training, the program must first save a checkpoint. If a pipe is closed
# or a file reaches the limit of its size, the process must continue, and the write must return an error.
set -euo pipefail
. "$WL_SOURCE/tests/harness/training.sh"

write_config endless.yaml
sed -e 's/steps: 1000000,/steps: 4,/' -e '$a checkpoint: {every: 1}' endless.yaml >short.yaml

wait_for() { # arguments: SECONDS COMMAND...
  local tries=$(($1 * 20))
  shift
  until "$@"; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || fail "not within the time: $*"
    sleep 0.05
  done
}
gone() { ! kill -0 "$1" 2>/dev/null; }
# Starts the program with the default signal handlers, because bash makes background jobs ignore SIGINT.
start() { # arguments: ARGS...
  env --default-signal "$WL_BIN" "$@" >out.txt 2>err.txt </dev/null &
  process=$!
}
end_by() { # arguments: SIGNAL CODE CASE
  local code=0
  kill -"$1" $process
  wait_for 20 gone $process
  wait $process || code=$?
  [ $code = "$2" ] || { cat err.txt >&2; fail "SIG$1 $3: exit $code, expected $2"; }
}
reads_the_pipe() { [ -e /proc/$process/fd ] && ls -l /proc/$process/fd | grep -q waiting.yaml; }

# The configuration is a named pipe that contains no data. A background process opens the pipe for writing, because
# otherwise the program would wait in open().
mkfifo waiting.yaml
sleep 60 >waiting.yaml &
writer=$!
trap 'kill $writer 2>/dev/null || true' EXIT
for signal in TERM INT HUP XCPU USR1 USR2; do
  start train waiting.yaml --set output=unborn
  wait_for 10 reads_the_pipe
  end_by $signal 75 "while the configuration is read"
  [ ! -e unborn ] || fail "SIG$signal before the training left a run directory"
  [ "$(grep -c 'a signal ended the program' err.txt)" = 1 ] || fail "SIG$signal: not exactly one message names the signal"
done
echo "ok: six signals while the configuration is read"

for signal in HUP XCPU USR2; do
  rm -rf run
  start train endless.yaml --set output=run --quiet
  wait_for 20 test -s run/metrics.jsonl
  end_by $signal 75 "in a training"
  has_checkpoint_after run 0 || fail "SIG$signal left no checkpoint"
done
echo "ok: signals in a training"

# Under nohup, the program must ignore SIGHUP.
rm -rf run
env --ignore-signal=HUP "$WL_BIN" train endless.yaml --set output=run --quiet >out.txt 2>err.txt </dev/null &
process=$!
wait_for 20 test -s run/metrics.jsonl
kill -HUP $process
sleep 0.3
! gone $process || fail "a hangup ended a training under nohup"
end_by TERM 75 "under nohup"
echo "ok: nohup"

# The program that reads standard output and standard error of the training exits early. The training must continue. At
# the end of the training, warploom must report that it could not print its result.
code=0
{ env --default-signal "$WL_BIN" train short.yaml --set output=piped 2>&1 && echo 0 >code || echo $? >code; } | true
[ "$(cat code)" = 74 ] || fail "closed pipe: exit $(cat code), expected 74"
[ "$(checkpoint_step piped)" = 4 ] || fail "a closed pipe ended the training"
echo "ok: closed pipes"

# The warning signals of a batch system must end only `train`. SIGTERM must end the other commands too.
start eval piped --seeds 100 --steps 2000 --no-picture --output eval.h5
wait_for 10 grep -q . err.txt
kill -USR1 $process
kill -USR2 $process
sleep 0.2
! gone $process || { cat err.txt >&2; fail "SIGUSR1 ended an evaluation"; }
end_by TERM 143 "in an evaluation"
echo "ok: an evaluation"
