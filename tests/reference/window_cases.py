"""Defines test cases for the comparison of meta-gradients with PyTorch. Also reads and compares the dumps of the cases.

A case is a configuration that has a name. `warploom check CONFIG --dump FILE` writes the problem of the case, and the
results of Warploom. The file values/CASE.h5 contains the meta-gradient of each block, which check_window.py computes
with PyTorch. The file also contains checksums of the problem. If a comparison fails, the checksums show whether the
problem has changed or the gradient is wrong.

check_window.py writes these files, and tests/grad/check_reference.py compares these files with new dumps. Both scripts
import this module, which requires only h5py and NumPy."""

import os
import subprocess

import h5py
import numpy as np

TOLERANCE = 1e-9  # largest accepted difference, relative to the largest value of a block
# If all values of a block are smaller than this fraction of the largest value in all blocks, differences are relative
# to that fraction of the largest value.
ROUNDING = 1e-4
VALUES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "values")

HIDDEN = "hidden: [20, 20]"
GAUSSIAN = "family: quadratic, dimension: 5, batch: 3"
UNIFORM = GAUSSIAN + ", distribution: uniform"
MLP = "family: mlp, data: synthetic, widths: [7], batch: 8"
HELDOUT = "batch: fresh, split: heldout"
CONV = "family: conv, data: synthetic, filters: [2, 3], batch: 4, widths: [5]"
MAML = "initialisation: {name: maml}\n"
DIAGONAL = "precondition: {name: diagonal, initial_range: [0.1, 0.9]}\n"
GAP = "precondition: {name: gap, noise: 0.3}\n"
DECAY = ("precondition: {name: scalar, per: step_tensor, initial: 0.4, learn_decay: true, "
         "initial_decay: 0.05}\n")
SKIP = ("precondition: {name: scalar, per: step_tensor, initial: 0.4, learn_skip: true, initial_skip: 0.3, "
        "learn_decay: true, initial_decay: 0.05}\n")
KRONECKER = "precondition: {name: kronecker, noise: 0.1}\n"


def lstm(keys):
    """Returns the configuration of the LSTM as published in 2016, where `keys` replace some of the published
    values."""
    published = {"preprocessing": "none", "gradient_scale": "1.0", "output_scale": "1.0", "momentum": "0",
                 "through_inputs": "true"}
    rest = ", ".join(f"{key}: {value}" for key, value in published.items() if f"{key}:" not in keys)
    return f"name: lstm, {keys}, {rest}"


def configuration(task, rule, window, steps, more=""):
    return (f"task: {{{task}}}\nrule: {{{rule}}}\nwindow: {{{window}}}\n"
            f"episode: {{steps: {steps}}}\n{more}")


CASES = {
    "quadratic-first": configuration(GAUSSIAN, lstm(f"{HIDDEN}, output_scale: 0.1"), "steps: 20", 40),
    "quadratic-second": configuration(
        GAUSSIAN, lstm(f"{HIDDEN}, output_scale: 0.1"), "steps: 20, order: second", 40),
    "uniform-log-second": configuration(
        UNIFORM, lstm(f"{HIDDEN}, output_scale: 0.1, preprocessing: log"),
        "steps: 20, order: second, loss: log", 40),
    "uniform-paper-last": configuration(
        UNIFORM, lstm(f"{HIDDEN}, output_scale: 0.1, preprocessing: paper"), "steps: 20, weights: last", 40),
    "mlp-first": configuration(MLP, lstm(f"{HIDDEN}, output_scale: 0.1"), "steps: 10", 20),
    "mlp-log-second-last": configuration(
        MLP, lstm(f"{HIDDEN}, output_scale: 0.1, preprocessing: log"),
        f"steps: 10, order: second, loss: log, weights: last, {HELDOUT}", 20),
    "mlp-paper-second": configuration(
        MLP, lstm(f"{HIDDEN}, output_scale: 0.1, preprocessing: paper"), "steps: 10, order: second", 20),
    "mlp-ratio-mean": configuration(
        MLP, lstm(f"{HIDDEN}, output_scale: 0.1, preprocessing: log, gradient_scale: 3.0"),
        "steps: 10, weights: mean, loss: log_ratio", 20),
    "mlp-nesterov-second": configuration(
        MLP, lstm(f"{HIDDEN}, output_scale: 0.1, preprocessing: log, momentum: 0.9, rate: 0.3"),
        "steps: 10, order: second", 20),
    "maml-first": configuration(
        MLP, "name: sgd, rate: 0.5, learn: [rate]", f"steps: 3, weights: last, {HELDOUT}", 3,
        "initialisation: {name: maml}\n"),
    "meta-sgd": configuration(
        MLP, "name: sgd, rate: 1.0", f"steps: 3, order: second, weights: last, {HELDOUT}", 3,
        "initialisation: {name: maml}\n"
        "precondition: {name: diagonal, initial_range: [0.1, 0.9]}\n"),
    # these cases test warp layers of each kind and at each position, together with preconditioners, a learned theta_0
    # and the LSTM
    "warp-linear-second": configuration(
        MLP + ", warp: [linear, scale], warp_side: before, warp_noise: 0.1",
        "name: sgd, rate: 0.5, learn: [rate]", f"steps: 3, order: second, weights: last, {HELDOUT}", 3,
        MAML + KRONECKER),
    "warp-residual-first": configuration(
        MLP + ", warp: [residual, batch_norm, tanh, residual], warp_width: 4, warp_noise: 0.1",
        "name: sgd, rate: 0.5", "steps: 4", 8),
    "joint-mlp-second": configuration(
        MLP + ", warp: [residual, linear], warp_after: [all, dense2], warp_noise: 0.1",
        lstm("hidden: [5], output_scale: 0.1, preprocessing: log"),
        f"steps: 4, order: second, {HELDOUT}", 4, MAML + DIAGONAL),
    "joint-sinusoid-first": configuration(
        "family: sinusoid, widths: [6, 5], activation: tanh, warp: [scale, residual], warp_noise: 0.1",
        lstm("hidden: [5], output_scale: 0.1"), "steps: 3, weights: last, batch: fresh", 3,
        MAML + KRONECKER),
    "mountain-online": configuration(
        "family: mountain, warp: residual, warp_width: 30, warp_noise: 0.2", "name: sgd, rate: 0.1",
        "steps: 1, weights: last, order: second", 5),
    "conv-warp-second": configuration(
        CONV + ", activation: tanh, warp: [conv3x3, conv1x1, scale, linear], warp_noise: 0.1",
        "name: sgd, rate: 0.1", "steps: 2, weights: last, batch: fresh, order: second", 2,
        MAML + KRONECKER),
    "conv-residual-first": configuration(
        CONV + ", order: pool-norm-act, warp: [residual, batch_norm], warp_noise: 0.1",
        lstm("hidden: [5], output_scale: 0.1"), "steps: 3, batch: fresh", 3, MAML + DIAGONAL),
    # these cases test the preconditioner GAP with exact singular values, for tall matrices, wide matrices, and matrices
    # of low rank
    "gap-mlp-second": configuration(
        "family: mlp, data: synthetic, widths: [12, 4], batch: 6, activation: tanh, initial_scale: 0.5",
        "name: sgd, rate: 0.5, learn: [rate]", f"steps: 3, order: second, weights: last, {HELDOUT}", 3,
        MAML + GAP),
    "gap-conv-second": configuration(
        CONV + ", activation: tanh, warp: [scale], warp_noise: 0.1", "name: sgd, rate: 0.2",
        "steps: 2, batch: fresh, order: second", 2, MAML + GAP),
    "gap-lstm-first": configuration(
        MLP, lstm("hidden: [5], output_scale: 0.1"), "steps: 4", 8, GAP),
    "gap-approximate-second": configuration(
        CONV + ", activation: tanh", "name: sgd, rate: 0.2", "steps: 2, batch: fresh, order: second", 2,
        MAML + "precondition: {name: gap, noise: 0.3, approximate: true}\n"),
    # this case tests a last layer whose outputs all start with equal weights
    "shared-head-second": configuration(
        MLP, "name: sgd, rate: 0.5", f"steps: 3, order: second, weights: last, {HELDOUT}", 3,
        "initialisation: {name: maml, shared: [dense2.weight, dense2.bias]}\n"),
    # these cases test learned rates and decays for each step and tensor; the gradient is clipped before the
    # preconditioner
    "step-decay-second": configuration(
        MLP, "name: sgd, rate: 1", f"steps: 3, order: second, {HELDOUT}", "3, clip_norm: 0.3, clip_value: 0.1",
        MAML + DECAY),
    "step-decay-first": configuration(
        MLP, lstm("hidden: [5], output_scale: 0.1"), "steps: 4", "6, clip_norm: 0.2", DECAY),
    # these cases test gradient skip connections before gradient descent and before an LSTM
    "step-skip-second": configuration(
        MLP, "name: sgd, rate: 1", f"steps: 4, order: second, {HELDOUT}", 4, MAML + SKIP),
    "step-skip-first": configuration(
        MLP, lstm("hidden: [5], output_scale: 0.1"), "steps: 4", 4, SKIP),
    # this case tests a task network whose support loss contains a learned term
    "learned-loss-second": configuration(
        "family: sinusoid, shots: 4, query: 6, widths: [6, 5], activation: tanh, warp: residual, warp_width: 4, "
        "warp_loss: 3, warp_noise: 0.3", "name: sgd, rate: 0.1",
        "steps: 2, weights: last, batch: fresh, order: second", 2, MAML + DIAGONAL),
    # these cases test imitation on the path of the teacher, and on mixed paths with every term of the imitation loss
    "imitation-adam-first": configuration(
        MLP, lstm("hidden: [5], output_scale: 0.01, preprocessing: log"), "steps: 25", 25,
        "imitation: {teacher: adam, rate: 0.01}\n"),
    "imitation-momentum-first": configuration(
        MLP, lstm("hidden: [5], output_scale: 0.01, preprocessing: log"),
        "steps: 25, weights: mean, loss: log_ratio", 25,
        MAML + "imitation: {teacher: momentum, rate: 0.3, force: 0.4, cosine: 0.3, magnitude: 0.2, "
        "distance: 0.1}\n"),
}


def make_dump(program, case, folder):
    """Runs `warploom check` on a case and returns the path of the dump. Raises an error if `warploom check` fails."""
    config, dump = (os.path.join(folder, case + suffix) for suffix in (".yaml", ".h5"))
    with open(config, "w", encoding="utf-8") as file:
        file.write(CASES[case])
    command = [program, "check", config, "--directions", "1", "--quiet", "--dump", dump]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with code {done.returncode}:\n{done.stdout}")
    return dump


def read_group(group):
    """Returns all datasets below a group as a dictionary from path to array. Datasets that only name a dimension are
    omitted."""
    arrays = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and item.dtype != np.dtype(">f4"):
            arrays[name] = item[()]
    group.visititems(visit)
    return arrays


def checksums(file):
    """Returns two numbers for each array of the problem: its norm, and a sum that depends on the order of its
    elements."""
    sums = {}
    problem = {"phi/" + name: array for name, array in read_group(file["phi"]).items()}
    for part in ("theta_start", "state_start", "input"):
        if part not in file["task0"]:
            continue
        item = file["task0"][part]
        arrays = read_group(item) if isinstance(item, h5py.Group) else {"": item[()]}
        problem.update({f"{part}/{name}".rstrip("/"): array for name, array in arrays.items()})
    for name, array in problem.items():
        flat = np.asarray(array, dtype=np.float64).ravel()
        sums[name] = np.array([np.linalg.norm(flat), flat @ np.cos(1.0 + np.arange(flat.size))])
    return sums


def largest(blocks):
    """Returns the largest absolute value over all blocks. The rounding errors of small blocks are relative to this
    value."""
    return max(np.max(np.abs(block), initial=0.0) for block in blocks)


def difference(actual, wanted, least=0.0):
    """Returns the largest absolute difference, divided by the largest absolute value of `wanted`. If `least` is
    larger than the largest absolute value of `wanted`, the divisor is `least` instead. `least` is required because
    the values of a block may be zero up to rounding errors. The result is infinite if the shapes differ or if a
    difference is NaN."""
    if actual is None or actual.shape != wanted.shape:
        return np.inf
    scale = max(np.max(np.abs(wanted), initial=0.0), least)
    worst = np.max(np.abs(actual - wanted), initial=0.0)
    if worst == 0.0:
        return 0.0
    return worst / scale if np.isfinite(worst) and scale > 0.0 else np.inf


def write_values(case, dump, gradient):
    with h5py.File(os.path.join(VALUES, case + ".h5"), "w") as out, h5py.File(dump, "r") as file:
        for name, array in gradient.items():
            out.create_dataset("meta_gradient/" + name, data=array)
        for name, pair in checksums(file).items():
            out["checksum/" + name.replace("/", ":")] = pair
        out.attrs["configuration"] = CASES[case]
        out.attrs["made_by"] = "tests/reference/check_window.py with PyTorch in float64"


def compare_with_values(case, dump):
    """Returns the largest difference of a block, and the names of the arrays in which the problem differs from the
    reference problem."""
    with h5py.File(os.path.join(VALUES, case + ".h5"), "r") as want, h5py.File(dump, "r") as file:
        sums = checksums(file)
        changed = [name for name in want["checksum"]
                   if not difference(sums.get(name.replace(":", "/")), want["checksum"][name][()])
                   <= TOLERANCE]
        gradient = read_group(file["task0/meta_gradient"])
        blocks = read_group(want["meta_gradient"])
        if set(blocks) != set(gradient) or len(sums) != len(want["checksum"]):
            return np.inf, changed or ["the list of blocks"]
        nothing = ROUNDING * largest(blocks.values())
        return max(difference(gradient[name], blocks[name], nothing) for name in blocks), changed
