"""Provides the inputs for the programs of meta_step.py: images, initial meta-parameters, and windows with a reference
meta-gradient."""

import gzip
import os

import numpy as np

from meta_step_tasks import HIDDEN

# Largest accepted relative difference between the results of a window in float32 and those of `warploom check` in
# float64.
TOLERANCE = 1e-4


def read_idx(name):
    folder = os.path.join(os.environ.get("WARPLOOM_DATA", "/usr/share/datasets"), "fashion-mnist")
    with gzip.open(os.path.join(folder, name), "rb") as file:
        data = file.read()
    shape = np.frombuffer(data, ">i4", data[3], 4)
    return np.frombuffer(data, np.uint8, -1, 4 + 4 * data[3]).reshape(shape)


def load_images():
    """Returns two arrays with the training images of Fashion-MNIST: the pixels (60000, 784), one byte each, and the
    labels. The images are in the same order as in Warploom."""
    images, labels = read_idx("train-images-idx3-ubyte.gz"), read_idx("train-labels-idx1-ubyte.gz")
    return images.reshape(len(images), -1).copy(), labels.astype(np.int32)


def phi_start():
    """Returns a dictionary from the name of each meta-parameter tensor to its initial values. The values are
    drawn from the distribution of Warploom's initial values, without the truncation that Warploom applies."""
    draw = np.random.default_rng(1)
    sizes = {"lstm1.weight": ((80, 22), 22), "lstm1.bias": ((80,), 22), "lstm2.weight": ((80, 40), 40),
             "lstm2.bias": ((80,), 40), "output.weight": ((1, 20), 20)}
    phi = {name: (draw.standard_normal(shape) / np.sqrt(fan)).clip(-2, 2).astype(np.float32)
           for name, (shape, fan) in sizes.items()}
    return {**phi, "output.bias": np.zeros(1, np.float32)}


def read_dump(path):
    """Reads a window that `warploom check --dump` wrote. The window contains the meta-parameters phi, the parameters
    theta (n), a state of four arrays (20, n), and the batches of all inner steps."""
    import h5py  # the import is here because only the check needs h5py
    with h5py.File(path, "r") as file:
        task = file["task0"]
        inner = {name: task["input/inner"][name][:] for name in task["input/inner"]}
        state = task["state_start"][:].T.astype(np.float32)
        return {
            "phi": {name: file["phi"][name][:].astype(np.float32) for name in phi_start()},
            "theta": task["theta"][0].astype(np.float32),
            "state": tuple(np.ascontiguousarray(state[at:at + HIDDEN]) for at in range(0, 4 * HIDDEN, HIDDEN)),
            "batches": ((inner["w"].astype(np.float32), inner["y"].astype(np.float32)) if "w" in inner else
                        (inner["x"].astype(np.float32), inner["labels"].astype(np.int32))),
            "meta_loss": float(task["meta_loss"][0]),
            "meta_gradient": {name: task["meta_gradient"][name][:] for name in phi_start()},
        }


def check(path, window):
    """Calls window(dump), which returns a meta-loss and a dictionary of gradients, and compares these results with
    the values in the file `path`. Prints the largest relative difference. Returns 0 if this difference is at most
    TOLERANCE, otherwise 1."""
    dump = read_dump(path)
    loss, gradient = window(dump)
    worst = abs(loss - dump["meta_loss"]) / abs(dump["meta_loss"])
    whole = np.sqrt(sum(np.sum(block ** 2) for block in dump["meta_gradient"].values()))
    for name, block in dump["meta_gradient"].items():
        difference = np.linalg.norm(np.asarray(gradient[name], np.float64) - block)
        # the terms of the gradient of the output bias nearly cancel, so the divisor is at least 5 % of the norm of the
        # complete gradient
        worst = max(worst, difference / max(np.linalg.norm(block), 0.05 * whole))
    good = worst <= TOLERANCE
    print(f"meta-gradient {'ok' if good else 'WRONG'}: largest relative difference {worst:.1e}")
    return 0 if good else 1
