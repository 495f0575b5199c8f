# Defines functions that run small trainings of perceptrons. These trainings are short enough to be repeated many
# times. Source this file after harness/training.sh. The configuration uses the loss log_ratio. This loss is relative to
# the loss at the start of the episode. A resumed run must restore the loss at the start.
write_mlp_config() { # arguments: FILE
  cat >"$1" <<'C'
seed: 3
threads: 1
task: {family: mlp, data: synthetic, widths: [8], batch: 32}
rule: {name: lstm, hidden: [20, 20], preprocessing: log, output_scale: 0.1, gradient_scale: 1.0, momentum: 0, through_inputs: true}
episode: {steps: 50}
window: {steps: 20, weights: sum, loss: log_ratio}
outer: {steps: 20, units: 7, optimizer: adam, learning_rate: 3e-3, schedule: cosine, clip_norm: 1}
checkpoint: {every: 4}
trajectory: {every: 3, units: 2}
C
}

# Writes a configuration with tasks of different sizes, a second-order meta-gradient, and one meta-step for each
# complete episode.
write_mixture_config() { # arguments: FILE
  cat >"$1" <<'C'
seed: 5
threads: 1
task:
  - {family: mlp, data: synthetic, widths: [4], batch: 16, proportion: 0.4}
  - {family: quadratic, dimension: 6, batch: 11, proportion: 0.6}
rule: {name: lstm, hidden: [12, 7], preprocessing: paper, output_scale: 0.1, gradient_scale: 1.0, momentum: 0, through_inputs: true}
episode: {steps: [20, 60]}
window: {steps: 15, weights: mean, order: second, batch: fresh, split: heldout}
outer: {steps: 12, units: 5, every: episode, optimizer: adamw, learning_rate: 1e-2, weight_decay: 0.01}
checkpoint: {every: 3}
C
}

# Writes a configuration with two task families. Each episode of a unit draws new shapes, activations, scales and noise.
write_drawn_config() { # arguments: FILE
  cat >"$1" <<'C'
seed: 5
threads: 1
task:
  - {family: mlp, data: digits, widths: {one_of: [[4], [5, 3]]}, activation: {one_of: [relu, tanh, gelu]},
     batch: {one_of: [8, 16]}, loss_scale: {log_uniform: [1e-3, 1e3]}, reparametrise: tensor, scale_jitter: 0.25,
     gradient_noise: {log_uniform: [1e-5, 1e-2]}, data_fraction: {uniform: [0.1, 1]}, proportion: 0.7}
  - {family: test-function, dimension: 6, function: {one_of: [rastrigin, beale]}, proportion: 0.3}
rule: {name: lstm, hidden: [7], preprocessing: log, output_scale: 0.1}
episode: {steps: [10, 30]}
window: {steps: 10, weights: mean, loss: log_ratio, order: second, batch: fresh, split: heldout}
outer: {steps: 12, units: 5, optimizer: adam, learning_rate: 1e-2}
checkpoint: {every: 3}
C
}

# Writes a configuration whose units have tasks of different sizes. The episodes of the units begin and end at different
# meta-steps.
write_staggered_config() { # arguments: FILE
  cat >"$1" <<'C'
seed: 3
threads: 1
task:
  - {family: mlp, data: synthetic, widths: [8], batch: 16, proportion: 0.5}
  - {family: quadratic, dimension: 6, batch: 11, proportion: 0.5}
rule: {name: lstm, hidden: [20, 20], preprocessing: log, output_scale: 0.1, gradient_scale: 1.0, momentum: 0, through_inputs: true}
episode: {steps: [20, 50], stagger: true}
window: {steps: 10, weights: sum, loss: log_ratio}
outer: {steps: 20, units: 7, optimizer: adam, learning_rate: 3e-3}
checkpoint: {every: 1}
C
}

# Trains CONFIG on RANKS ranks with the output folder RUN, and prints the digest line.
train_on() { # arguments: RANKS CONFIG RUN [OPTIONS...]
  local ranks=$1 config=$2 run=$3 code=0
  shift 3
  timeout -k 2 300 "$WL_MPIEXEC" -n "$ranks" "$WL_BIN" train "$config" --quiet --set output="$run" "$@" >"$run.out" 2>"$run.err" || code=$?
  [ $code = 0 ] || [ $code = $EXIT_STOPPED ] || { cat "$run.err" >&2; fail "training on $ranks ranks ended with $code"; }
  digest_line "$run.out"
}

# Trains CONFIG on two ranks with the output folder RUN. Sends SIGKILL to the job as soon as a second checkpoint exists.
# Many of the 1,000,000 meta-steps must remain at that time, because the test would otherwise interrupt nothing.
kill_in_the_middle() { # arguments: CONFIG RUN [OPTIONS...]
  local config=$1 run=$2 code=0 launcher
  shift 2
  setsid "$WL_MPIEXEC" -n 2 "$WL_BIN" train "$config" --quiet --set output="$run" --set outer.steps=1000000 "$@" >"$run.out" 2>&1 &
  launcher=$!
  wait_for 60 "the second checkpoint of $run" has_checkpoint_after "$run" 1
  kill -KILL -- "-$launcher"
  wait "$launcher" || code=$?
  [ "$code" = 137 ] || fail "the killed job ended with $code"
  # after the launcher of the ranks has ended, the ranks continue to run and to write for up to a second
  wait_for 30 "the end of the killed job's ranks" flock -n "$run/lock" true
}
