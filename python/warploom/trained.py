"""Reads the meta-parameters of an optimizer file, a checkpoint or a run directory, and writes optimizer files."""
import json
import os

import numpy as np

from . import files, library
from .files import DATA, USAGE, ToolError


def open_trained(path):
    """Opens a trained optimizer and returns it as a files.File. If the path is a run directory, the newest checkpoint
    is opened."""
    if os.path.isdir(path):
        file = files.Run(path).newest()
        if file is None:
            raise ToolError(DATA, f"{path}: has no readable checkpoint")
        return file
    file = files.File(path)
    if file.kind not in ("optimizer", "checkpoint"):
        raise ToolError(DATA, f"{path}: has no trained optimizer; its kind is '{file.kind}'")
    return file


def read_phi(file):
    """Returns the meta-parameters as {name: float64 array}. For a training with outer.average, the returned values are
    averages over meta-steps."""
    group = file.h5["average" if "average" in file else "phi"]
    phi = {name: item[()] for name, item in group.items() if not files.is_bare_scale(item)}
    if not all(np.isfinite(values).all() for values in phi.values()):
        raise ToolError(DATA, f"{file.path}: its meta-parameters are not finite, because the training diverged; "
                              "name a checkpoint from before the divergence")
    return phi


def export_npz(path, output):
    """Writes the meta-parameters (an array for each block) and the string `configuration` into a NumPy archive."""
    with open_trained(path) as file:
        np.savez(output, configuration=file.attributes["configuration"], **read_phi(file))


INPUTS = {"small_fc": 39, "celo2": 30, "celo2base": 30, "mlp": 19}
OUTPUTS = {"small_fc": 2, "celo2": 3, "celo2base": 3, "mlp": 2}
DECAYS = {"momentum_decays": 3, "rms_decay": 1, "adafactor_decays": 3}  # one array `weights` ends with these decays
TASK = {"family": "mlp", "data": "digits", "widths": [32], "batch": 64}


def _layers(rule, hidden):
    """Returns {name: shape} for the tensors of a network, in the order of the published weights of learned_optimization and Celo2. Each layer has a weight
    (in, out) and then a bias."""
    sizes = [INPUTS[rule], *hidden, OUTPUTS[rule]]
    return {f"layer{l}.{part}": shape for l, (n, m) in enumerate(zip(sizes, sizes[1:]), 1)
            for part, shape in (("weight", (n, m)), ("bias", (m,)))}


def _named(rule, weights, hidden):
    """Converts the given weights to {name: array}. Also returns the widths of the hidden layers."""
    if isinstance(weights, dict):
        named = {name: np.asarray(values, dtype=float) for name, values in weights.items()}
        widths = [named[f"layer{l}.bias"].size for l in range(1, len(named)) if f"layer{l + 1}.bias" in named]
    elif isinstance(weights, np.ndarray):
        widths = list(hidden or ([8, 8] if rule.startswith("celo2") else [32, 32]))
        shapes = _layers(rule, widths)
        if rule == "small_fc" and weights.size == sum(map(np.prod, shapes.values())) + 7:
            shapes.update({name: (size,) for name, size in DECAYS.items()})
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
        if weights.ndim != 1 or weights.size != ends[-1]:
            raise ToolError(USAGE, f"{weights.size} weights of shape {weights.shape} were given, but {rule} with hidden "
                                   f"layers {widths} has {ends[-1]}")
        named = {name: part.reshape(shapes[name]) for name, part in zip(shapes, np.split(weights.astype(float), ends[:-1]))}
    else:
        arrays = [np.asarray(a, dtype=float) for a in weights]
        widths = [a.size for a in arrays[1:-1:2]]
        named = dict(zip(_layers(rule, widths), arrays))
        if len(named) != len(arrays):
            raise ToolError(USAGE, f"{len(arrays)} arrays were given, but the weight and the bias of each layer are "
                                   "necessary")
    for name, shape in _layers(rule, widths).items():
        if name not in named or named[name].shape != shape:
            raise ToolError(USAGE, f"{name} has the shape {named[name].shape if name in named else None}, but {rule} "
                                   f"needs {shape}")
    return named, widths


def import_weights(rule, weights, output, *, hidden=None, options=None, horizon=2000, task=None):
    """Writes weights that were published or trained elsewhere into the optimizer file `output`.

    rule       small_fc, celo2, celo2base or mlp
    weights    a list of arrays, with the weight (in, out) and the bias of each layer.
               One array with all numbers in this order is also accepted (celo2: 347 numbers; small_fc with 32-32 units:
               2,402 numbers), and so is {name: array} with the names of the file, such as "layer1.weight". If `weights`
               does not contain the decays of small_fc, they have their initial values.
    hidden     widths of the hidden layers if `weights` is one array.
               None stands for [8, 8] for celo2, and for [32, 32] for the other rules.
    options    keys of the rule, such as {"step_scale": 0.01, "exponent_scale": 0.01} for PyLO's small_fc
    horizon    number of inner steps of the longest episode of the meta-training.
               The schedules of the rule use this number.
    task       task that `warploom eval` uses.
               If `task` is None, the task is a small network that classifies the built-in digits.

    The inputs of the network must have the order of src/rule/feature_kernel.h, which is also the order in
    learned_optimization and Celo2."""
    if rule not in INPUTS:
        raise ToolError(USAGE, f"rule '{rule}': weights can be imported only for {', '.join(INPUTS)}")
    named, widths = _named(rule, weights, hidden)
    if rule == "small_fc":
        named.update({name: np.zeros(size) for name, size in DECAYS.items() if name not in named})
    configuration = {"task": task or TASK, "rule": {"name": rule, "hidden": widths, **(options or {})},
                     "episode": {"steps": horizon}, "window": {"steps": min(20, horizon)}}
    library.write_optimizer(output, json.dumps(configuration, allow_nan=False), named)
