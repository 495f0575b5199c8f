#!/usr/bin/env python3
"""Runs `warploom check` for many combinations of rules, tasks, orders, preconditioners, initialisations and window
policies.

The gradient of every block (tensor of phi) must agree with central differences within 1e-7. The test also checks the
exit codes of the command, the blocks that the command reports as without effect, and the JSON report.
"""

import json
import os
import subprocess
import sys

QUADRATIC = "family: quadratic, dimension: 3, batch: 2"
LOGISTIC = "family: logistic, dimension: 4, samples: 16, batch: 4"
MLP = "family: mlp, widths: [3], batch: 4"


def lstm(keys):
    """Returns the configuration of the LSTM as published in 2016, where `keys` replace some of the published
    values."""
    published = {"preprocessing": "none", "gradient_scale": "1.0", "output_scale": "1.0", "momentum": "0",
                 "through_inputs": "true"}
    rest = ", ".join(f"{key}: {value}" for key, value in published.items() if f"{key}:" not in keys)
    return f"name: lstm, {keys}, {rest}"


LSTM = lstm("output_scale: 0.1")
SMALL = lstm("output_scale: 0.1, hidden: [4]")

# each row consists of a task, a rule, a window, and other sections of the configuration
GRID = [
    # these cases test the LSTM as published in 2016, in first and second order, on quadratic functions and on the MLP
    *[(task, lstm(f"output_scale: 0.1, preprocessing: {input_}"), f"steps: 6, order: {order}", "episode: {steps: 12}")
      for task in (QUADRATIC, MLP) for input_ in ("none", "log", "paper") for order in ("first", "second")],
    # with momentum, the output layer of the LSTM starts at zero, so the gradients of the layers before it would be
    # zero
    *[(task, lstm("output_scale: 0.1, hidden: [4], momentum: 0.9"), f"steps: 6, order: {order}", "episode: {steps: 12}")
      for task, order in ((QUADRATIC, "first"), (LOGISTIC, "second"))],
    # these cases test hand-designed rules with learned scalars
    (QUADRATIC, "name: sgd, rate: 0.05, learn: [rate], learn_per: step", "steps: 4, order: second", ""),
    (QUADRATIC, "name: momentum, rate: 0.05, learn: [rate, momentum]", "steps: 4, order: second", ""),
    (QUADRATIC, "name: nesterov, rate: 0.05, learn: [rate, momentum]", "steps: 4, order: second", ""),
    (LOGISTIC, "name: rmsprop, rate: 0.05, learn: [rate]", "steps: 4, order: second", ""),
    (LOGISTIC, "name: adam, rate: 0.05, learn: [rate, beta1, beta2]", "steps: 4, order: second", ""),
    (LOGISTIC, "name: adam, rate: 0.05, learn: [rate], learn_per: tensor", "steps: 4", ""),
    # these cases test tasks with a scaled loss, scaled parameters and noise, in first and second order
    *[(MLP + ", reparametrise: parameter, reparametrise_range: [0.5, 2], loss_scale: {log_uniform: [0.5, 2]}, "
       "gradient_noise: 0.01, scale_jitter: 1, warp: [linear], warp_noise: 0.1", SMALL, f"steps: 4, order: {order}", "")
      for order in ("first", "second")],
    ("family: language-model, embedding: 3, hidden: 3, length: 4, batch: 2", SMALL, "steps: 3, order: second", ""),
    ("family: transformer, width: 4, length: 4, batch: 2", SMALL, "steps: 3, order: second", ""),
    # these cases test rules that use the shapes of tensors, and the rule RNNprop
    *[("family: logistic, dimension: 3, classes: 3, samples: 16, batch: 4", rule, "steps: 3, order: second",
       "seed: 5\nepisode: {steps: 6}")
      for rule in ("name: mlp, hidden: [4, 4], step_scale: 0.1", "name: small_fc, step_scale: 0.1",
                   "name: celo2, newton_schulz: false, rate: 0.01", "name: celo2base, rate: 0.01",
                   "name: controller, newton_schulz: false",
                   "name: controller, newton_schulz: false, correction: mlp",
                   "name: controller, newton_schulz: false, correction: lstm", "name: rnnprop, hidden: [3, 2], rate: 0.01")],
    # The minibatch loss is an input of the controller. In second order, the meta-gradient therefore contains the
    # derivatives of this loss with respect to theta and to the warp layers.
    ("family: mlp, widths: [4, 3], batch: 4, activation: tanh, warp: [linear, tanh], warp_noise: 0.1, gradient_noise: 0.01",
     "name: controller, newton_schulz: false", "steps: 3, order: second",
     # at 3 % of the steps, the learning rate's warm-up has a kink
     "episode: {steps: 200}\nprecondition: {name: scalar, per: tensor}"),
    # these cases test preconditioners and initialisations, with and without the LSTM
    (MLP, "name: sgd, rate: 0.3", "steps: 3, order: second", "precondition: {name: diagonal}"),
    (MLP, "name: sgd, rate: 0.3", "steps: 3, order: second", "precondition: {name: kronecker}"),
    # at the usual initial scale, the GAP factors of the hidden layer would change the loss only by rounding errors
    (MLP + ", activation: tanh, initial_scale: 0.5", "name: sgd, rate: 0.3", "steps: 3, order: second",
     "precondition: {name: gap, noise: 0.2}"),
    (LOGISTIC, SMALL, "steps: 4", "precondition: {name: scalar, per: step_tensor, learn_decay: true}"),
    # these cases test gradient skip connections before a rule that has a state; the window has several chunks, and the
    # episode has several windows
    *[(LOGISTIC, "name: momentum, rate: 0.05, learn: [rate]", f"steps: 25, order: {order}",
       "episode: {steps: 60}\nprecondition: {name: scalar, per: step_tensor, learn_skip: true, initial_skip: 0.3}")
      for order in ("first", "second")],
    # this case tests a task network whose support loss contains a learned term
    ("family: sinusoid, shots: 4, query: 6, widths: [5, 4], activation: tanh, warp: residual, warp_loss: 3, warp_noise: 0.3",
     "name: sgd, rate: 0.1", "steps: 2, weights: last, batch: fresh, order: second",
     "episode: {steps: 2}\ninitialisation: {name: maml}"),
    (LOGISTIC, SMALL, "steps: 4, order: second",
     "precondition: {name: diagonal}\ninitialisation: {name: maml}"),
    (LOGISTIC, SMALL, "steps: 4", "precondition: {name: diagonal}\ninitialisation: {name: maml}"),
    # these cases test the joint system; at the usual step of the differences, the diagonal preconditioner would change
    # the loss by less than a rounding error
    *[("family: mlp, widths: [4, 3], batch: 4, activation: tanh, warp: [linear, tanh, linear], warp_noise: 0.1", SMALL,
       f"steps: 2, weights: last, batch: fresh, order: {order}",
       "episode: {steps: 2}\nprecondition: {name: diagonal}\ninitialisation: {name: maml}") for order in ("first", "second")],
    # near a gradient of zero, the square root in Adam makes the curvature of the loss large
    ("family: mlp, widths: [4, 3], batch: 4, activation: tanh, warp: [linear, tanh, linear], warp_noise: 0.1",
     "name: adamw, rate: 0.05, learn: [rate, beta1, beta2]", "steps: 3, weights: last, batch: fresh, order: second",
     "episode: {steps: 3}\nprecondition: {name: kronecker}\ninitialisation: {name: maml}"),
    # these cases test the weights and transforms of the losses in a window; the last window of an episode is shorter
    # than the others
    *[(LOGISTIC, SMALL, f"steps: 4, order: second, loss: {loss}, weights: {weights}", "episode: {steps: 7}")
      for loss, weights in (("log", "mean"), ("log_ratio", "last"), ("plain", "[1, 0, -1, 2, 3]"))],
    (LOGISTIC, SMALL, "steps: 4, loss: log_ratio, order: second", "initialisation: {name: maml}"),
    (LOGISTIC, SMALL, "steps: 4, batch: fresh, split: heldout, order: second", ""),
    # these cases test imitation on the path of the teacher and each term of the imitation loss; some cases have a rule
    # whose input includes theta, a window with snapshots, or a learned theta_0
    (MLP, SMALL, "steps: 6", "episode: {steps: 12}\nimitation: {teacher: adam, rate: 0.01}"),
    (MLP, SMALL, "steps: 5, loss: log_ratio, weights: mean",
     "episode: {steps: 9}\nimitation: {teacher: momentum, force: 0.4, distance: 0.2, cosine: 0.3, magnitude: 0.2}"),
    (LOGISTIC, "name: adamw, rate: 0.05, weight_decay: 0.3, learn: [rate, weight_decay]", "steps: 6, batch: fresh",
     "initialisation: {name: maml}\nimitation: {teacher: muon, rate: 0.01, force: 0.7, distance: 0.3, cosine: 0.3}"),
    (QUADRATIC, SMALL, "steps: 60, storage: snapshots",
     "episode: {steps: 120}\nprecondition: {name: diagonal}\nimitation: {teacher: nesterov, force: 0.5, distance: 0.5}"),
    (QUADRATIC, SMALL, "steps: 60, memory: 0.035, order: second", "episode: {steps: 120}"),  # in segments
]


def configuration(task, rule, window, more):
    return f"task: {{{task}}}\nrule: {{{rule}}}\nwindow: {{{window}}}\n{more}\n"


def check(text, *options):
    """Returns the exit code of `check`, its JSON report, and its printed output. The report is None if `check` did
    not write it."""
    with open("config.yaml", "w", encoding="utf-8") as file:
        file.write(text)
    if os.path.exists("report.json"):
        os.remove("report.json")
    done = subprocess.run([os.environ["WL_BIN"], "check", "config.yaml", "--quiet", "--json", "report.json", *options],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    report = None
    if os.path.exists("report.json"):
        with open("report.json", encoding="utf-8") as file:
            report = json.load(file)
    return done.returncode, report, done.stdout


def grid_passes(case):
    code, report, said = check(configuration(*case), "--directions", "1")
    blocks = [block for task in (report or {"tasks": []})["tasks"] for block in task["blocks"]]
    good = code == 0 and len(blocks) > 0 and report["passed"] and all(
        block["passed"] and not block["zero"] and block["relative_error"] <= 1e-7
        and (block["slope"] is None or 1.7 <= block["slope"] <= 2.3) for block in blocks)
    if not good:
        print(f"WRONG, code {code}:\n{configuration(*case)}{said}")
    return good


def slopes_seen():
    """Checks that the error of the central differences, as `check` measures it, is proportional to the square of their
    step."""
    _, report, _ = check(configuration(QUADRATIC, LSTM, "steps: 6, order: second", ""))
    return all(1.9 <= block["slope"] <= 2.1 for block in report["tasks"][0]["blocks"])


def a_failure_is_told():
    code, report, said = check(configuration(LOGISTIC, SMALL, "steps: 4", ""), "--tolerance", "1e-30")
    return code == 70 and not report["passed"] and "WRONG" in said and "FAILED" in said


def zero_is_named():
    """Checks that theta_0 has no effect on the loss of a later window, and that `check` reports the gradient with
    respect to theta_0 as zero."""
    text = configuration(LOGISTIC, SMALL, "steps: 4", "initialisation: {name: maml}")
    code, report, said = check(text, "--windows", "1")
    zero = [block["name"] for block in report["tasks"][0]["blocks"] if block["zero"]]
    return code == 0 and " zero" in said and bool(zero) and all(name.startswith("theta0.") for name in zero)


def untested_is_told():
    """If most blocks have no effect on the loss, `check` must not pass, and its exit code must be 65. If most blocks
    have no effect, the agreement of the other blocks proves nothing."""
    code, report, said = check(configuration(MLP, "name: sgd, rate: 0.1, learn: [rate]", "steps: 2", "initialisation: {name: maml}"),
                               "--windows", "1")
    blocks = report["tasks"][0]["blocks"]
    return code == 65 and "NOT TESTED" in said and not report["passed"] and sum(b["zero"] for b in blocks) == len(blocks) - 1


CONV = "family: conv, data: synthetic, filters: [2, 3], batch: 4, warp: [conv3x3, scale, residual], warp_noise: 0.1"


def rounding_is_no_gradient():
    """Checks the gradient with respect to a bias before a batch norm. Such a bias has no effect on the loss. The
    computed gradient consists only of rounding errors, and `check` must report this gradient as zero."""
    for order in ("first", "second"):
        text = configuration(CONV, "name: sgd, rate: 0.1", f"steps: 2, weights: last, batch: fresh, order: {order}",
                             "episode: {steps: 2}\ninitialisation: {name: maml}\nprecondition: {name: kronecker}")
        code, report, said = check(text, "--directions", "1")
        blocks = report["tasks"][0]["blocks"]
        zero = {block["name"] for block in blocks if block["zero"]}
        wanted = {block["name"] for block in blocks if ".conv1.bias" in block["name"] or ".conv2.bias" in block["name"]}
        undecided = [block["name"] for block in blocks if block["kink"] or block["faint"]]
        if code != 0 or zero != wanted or undecided or not all(block["passed"] for block in blocks):
            print(said, sorted(zero ^ wanted), undecided)
            return False
    return True


def kinks_are_told_from_errors():
    """Checks a loss that is just below the clip bound. Finite differences cannot resolve a kink at such a small
    distance. If the clip bound is well above the value of the loss, the bound must have no effect on the result."""
    def verdicts(window):
        code, report, said = check(configuration(LOGISTIC, SMALL, f"steps: 4, weights: last, order: second, {window}", ""))
        return code, report["tasks"][0]["meta_loss"], [block["kink"] for block in report["tasks"][0]["blocks"]], said
    _, loss, _, _ = verdicts("loss: plain")
    near, _, kinks, said = verdicts(f"loss: clipped, clip: {loss * (1 + 1e-12)!r}")
    far, _, none, _ = verdicts(f"loss: clipped, clip: {loss * (1 + 1e-3)!r}")
    return (near, far) == (0, 0) and all(kinks) and not any(none) and "neither passed nor failed" in said


def faint_is_told_from_errors():
    """Checks preconditioners whose gradients are smaller than the noise of the finite differences, because epsilon is
    large. `check` must pass. The report must name the blocks whose gradient is below the noise, but must not call
    them wrong."""
    text = configuration("family: mlp, widths: [4, 3], batch: 4, activation: tanh", "name: adamw, rate: 0.05, epsilon: 0.01",
                         "steps: 3, weights: last, order: second", "episode: {steps: 3}\nprecondition: {name: kronecker}")
    code, report, said = check(text)
    blocks = report["tasks"][0]["blocks"]
    faint = [block for block in blocks if block["faint"]]
    return code == 0 and bool(faint) and "below the noise of the finite differences" in said and all(b["gradient_norm"] < 1e-4 for b in faint)


def bad_requests_are_refused():
    text = configuration(LOGISTIC, SMALL, "steps: 4", "episode: {steps: 8}")
    late, _, said = check(text, "--windows", "2")
    diverged, _, why = check(configuration(QUADRATIC, "name: sgd, rate: 1e9, learn: [rate]", "steps: 10", ""))
    nothing, _, hint = check(configuration(QUADRATIC, "name: sgd", "steps: 4", ""))
    return (late, diverged, nothing) == (64, 65, 78) and "at most 1" in said and "not finite" in why and "learn" in hint


def main():
    checks = [slopes_seen, a_failure_is_told, zero_is_named, untested_is_told, rounding_is_no_gradient, kinks_are_told_from_errors,
              faint_is_told_from_errors, bad_requests_are_refused]
    failed = [function.__name__ for function in checks if not function()]
    failed += [str(case) for case in GRID if not grid_passes(case)]
    print(f"{len(GRID)} configurations, {len(checks)} checks of the command; failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
