#!/usr/bin/env python3
"""Recomputes windows that `warploom check CONFIG --dump FILE` has written, with PyTorch in float64.

    check_window.py DUMP ...
    check_window.py --make-values WARPLOOM [--case NAME ...]

For dumps, the script recomputes losses, theta and meta-gradients and compares them with the dump, within a relative
difference of 1e-9. With --make-values, the script computes the files values/*.h5 for the cases of window_cases.py.

The script contains no source code of Warploom. The LSTM follows Andrychowicz et al. 2016 and the details of
google-deepmind/learning-to-learn. Autograd computes the derivatives. In first order, the inner gradient is detached
from the graph. In second order, the inner gradient remains in the graph.

    g_t = grad L_in(theta_t);  (u_t, s_{t+1}) = rule(P g_t, s_t);  theta_{t+1} = theta_t + u_t
    F   = sum_k w_k T(L_out(theta_k))"""

import argparse
import math
import sys
import tempfile

import h5py
import numpy as np
import torch
import yaml

import window_cases

# the preprocessing `log` adds this number to |g|, so that the logarithm of zero gradients is finite
FLOAT32_EPSILON = 2.0 ** -23
ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu,
               "elu": torch.nn.functional.elu}


def unknown(what, name):
    return SystemExit(f"check_window.py: {what} '{name}' is not among those recomputed here")


# ---- The names of warp layers consist of the layer, the side and the stage ------------------------

class Warp:
    """Applies the warp layers of a task's network. The network calls this object at each place where a warp layer is
    possible."""

    STAGES = ("linear", "scale", "residual", "conv3x3", "conv1x1", "batch_norm", *ACTIVATIONS)

    def __init__(self, setting, phi):
        stages = setting["warp"] if isinstance(setting["warp"], list) else [setting["warp"]]
        after = setting["warp_after"] if isinstance(setting["warp_after"], list) else [setting["warp_after"]]
        self.stages = [] if stages == ["none"] else stages
        self.after, self.side, self.phi = after, setting["warp_side"], phi
        self.hidden = None
        for name in self.stages:
            if name not in self.STAGES:
                raise unknown("warp layer", name)

    def __call__(self, h, layer, side, output=False):
        h = self.warped(h, layer, side, output)
        if side == "after":
            self.hidden = h
        return h

    def learned_loss(self, y):
        """Returns the learned loss l(h, y) for the target y.
        h is the last hidden layer of the most recent evaluation of the network."""
        inside = self.affine("warp.loss.", "1", self.hidden) + y @ self.phi["warp.loss.target"]
        return torch.tanh(inside) @ self.phi["warp.loss.weight2"]

    def warped(self, h, layer, side, output):
        if side not in (self.side, "only") or not (layer in self.after or "all" in self.after and not output):
            return h
        for i, name in enumerate(self.stages):
            if name.startswith("conv") and h.ndim == 2 or name == "linear" and h.ndim == 4:
                continue
            number = self.stages[:i + 1].count(name)
            h = self.stage(name, f"warp.{layer}.{name}{number if number > 1 else ''}.", h)
        return h

    def stage(self, name, prefix, h):
        if name in ACTIVATIONS:
            return ACTIVATIONS[name](h)
        if name == "linear":
            return h @ self.phi[prefix + "weight"]
        if name == "scale":
            return h * per_channel(self.phi[prefix + "scale"], h)
        if name == "batch_norm":
            return normalise(h, self.phi[prefix + "scale"], self.phi[prefix + "shift"])
        if name == "residual":
            inside = torch.tanh(self.affine(prefix, "1", h))
            return h + self.affine(prefix, "2", inside)
        return convolve(h, self.phi[prefix + "weight"])

    def affine(self, prefix, number, h):
        weight, bias = self.phi[prefix + "weight" + number], self.phi[prefix + "bias" + number]
        return (h @ weight if h.ndim == 2 else convolve(h, weight)) + per_channel(bias, h)


def per_channel(values, h):
    """Reshapes a tensor with C values, one for each channel, so that it broadcasts to (B, C) or (B, C, H, W)."""
    return values if h.ndim == 2 else values[:, None, None]


def convolve(h, weight):
    return torch.nn.functional.conv2d(h, weight, padding=weight.shape[-1] // 2)


def normalise(h, scale, shift):
    """Returns the batch norm of h, computed with the mean and the variance of the batch."""
    over = (0,) if h.ndim == 2 else (0, 2, 3)
    mean = h.mean(dim=over, keepdim=True)
    variance = ((h - mean) ** 2).mean(dim=over, keepdim=True)
    return (h - mean) / torch.sqrt(variance + 1e-5) * per_channel(scale, h) + per_channel(shift, h)


# ---- Inner losses: functions of tensors, inputs and warp layers that return a scalar -----------------

def quadratic_loss(setting, theta, inputs, _):
    """Returns the mean of ||W x - y||^2 over the functions of the batch."""
    residual = torch.einsum("bij,bj->bi", inputs["w"], theta["x"]) - inputs["y"]
    return (residual ** 2).sum() / setting["batch"]


def perceptron(setting, theta, hidden, warp):
    layers = len(setting["widths"]) + 1
    for layer in range(1, layers + 1):
        name, last = f"dense{layer}", layer == layers
        hidden = hidden @ theta[name + ".weight"] + theta[name + ".bias"]
        hidden = warp(hidden, name, "only" if last else "before", last)
        if not last:
            hidden = warp(ACTIVATIONS[setting["activation"]](hidden), name, "after")
    return hidden


def mlp_loss(setting, theta, inputs, warp):
    """Returns the mean cross-entropy of a perceptron over the batch."""
    logits = perceptron(setting, theta, inputs["x"], warp)
    return setting["loss_scale"] * torch.nn.functional.cross_entropy(logits, inputs["labels"])


def conv_loss(setting, theta, inputs, warp):
    """Returns the mean cross-entropy of a convolutional network over the batch. The network consists of convolution
    layers and a perceptron after them."""
    batch, side = setting["batch"], math.isqrt(inputs["x"].numel() // setting["batch"])
    h = inputs["x"].reshape(batch, 1, side, side)
    for layer in range(1, len(setting["filters"]) + 1):
        h = convolve(h, theta[f"conv{layer}.weight"]) + theta[f"conv{layer}.bias"][:, None, None]
        h = warp(h, f"conv{layer}", "before")
        for stage in setting["order"].split("-"):
            if stage == "norm" and setting["batch_norm"]:
                h = normalise(h, theta[f"norm{layer}.scale"], theta[f"norm{layer}.shift"])
            elif stage == "act":
                h = ACTIVATIONS[setting["activation"]](h)
            elif stage == "pool":
                h = torch.nn.functional.max_pool2d(h, 2)
        h = warp(h, f"conv{layer}", "after")
    logits = perceptron(setting, theta, h.reshape(batch, -1), warp)
    return torch.nn.functional.cross_entropy(logits, inputs["labels"])


def sinusoid_loss(setting, theta, inputs, warp):
    """Returns the weighted sum of the squared errors of the network at the points of the sinusoid. Rows of the batch
    that contain no point of the set have the weight 0. If the task has a learned loss, the function adds this loss."""
    error = perceptron(setting, theta, inputs["x"], warp) - inputs["y"]
    loss = (inputs["weight"] * error ** 2).sum()
    if "learned" in inputs:
        loss = loss + (inputs["learned"] * warp.learned_loss(inputs["y"])).sum()
    return loss


def mountain_loss(_, theta, inputs, warp):
    x1, x2 = warp(theta["x"], "x", "only")[0]
    c = {name: value.reshape(()) for name, value in inputs.items()}
    return (c["b1"] * (c["a1"] - x1) ** 2 * torch.exp(-x1 ** 2 - (x2 + c["a2"]) ** 2)
            - c["b2"] * (x1 * c["inverse_s"] - x1 ** 3 - x2 ** 5) * torch.exp(-x1 ** 2 - x2 ** 2)
            - c["b3"] * torch.exp(-(x1 + c["a3"]) ** 2 - x2 ** 2))


LOSSES = {"quadratic": quadratic_loss, "mlp": mlp_loss, "conv": conv_loss, "sinusoid": sinusoid_loss,
          "mountain": mountain_loss}


# ---- Update rules: functions of a gradient (n) and a state that return an update (n) and a state

def lstm_inputs(setting, gradient):
    """Returns the inputs of the LSTM as an array (n, 1) or (n, 2)."""
    gradient = setting["gradient_scale"] * gradient
    kind = setting["preprocessing"]
    if kind == "none":
        return gradient[:, None]
    strength = setting["preprocessing_strength"] or {"log": 5.0, "paper": 10.0}[kind]
    if kind == "log":
        size = torch.log(gradient.abs() + FLOAT32_EPSILON) / strength
        value = (gradient * math.exp(strength)).clamp(-1.0, 1.0)
        return torch.stack([size.clamp(min=-1.0), value], dim=1)
    large = gradient.abs() >= math.exp(-strength)
    magnitude = torch.where(large, gradient.abs(), torch.ones_like(gradient))
    size = torch.where(large, torch.log(magnitude) / strength, -torch.ones_like(gradient))
    value = torch.where(large, torch.sign(gradient), math.exp(strength) * gradient)
    return torch.stack([size, value], dim=1)


def lstm_rule(setting, phi, gradient, state):
    """Computes one step of the coordinatewise LSTM. The state (n, width) has two columns h and c for each unit of
    each layer. If the rule has momentum, one more column V follows."""
    below, after, column, momentum = lstm_inputs(setting, gradient), [], 0, setting["momentum"]
    if momentum:
        total = momentum * state[:, -1] + gradient
        below = torch.cat([below, lstm_inputs(setting, (1 - momentum) * total)], dim=1)
    for layer, units in enumerate(setting["hidden"], start=1):
        h, c = state[:, column:column + units], state[:, column + units:column + 2 * units]
        column += 2 * units
        gates = torch.cat([below, h], dim=1) @ phi[f"lstm{layer}.weight"].T + phi[f"lstm{layer}.bias"]
        enter, candidate, forget, leave = gates.split(units, dim=1)
        c = torch.sigmoid(forget + setting["forget_bias"]) * c \
            + torch.sigmoid(enter) * torch.tanh(candidate)
        below = torch.sigmoid(leave) * torch.tanh(c)
        after += [below, c]
    output = below @ phi["output.weight"].T + phi["output.bias"]
    update = setting["output_scale"] * output[:, 0]
    if momentum:
        update = update - setting["rate"] * torch.exp(output[:, 1]) * (gradient + momentum * total)
        after.append(total[:, None])
    return update, torch.cat(after, dim=1)


def sgd_rule(setting, phi, gradient, state):
    if setting["schedule"] != "constant" or setting["learn_per"] != "run":
        raise unknown("schedule", setting["schedule"])
    return -phi.get("rule.rate", torch.tensor(setting["rate"])) * gradient, state


RULES = {"lstm": lstm_rule, "sgd": sgd_rule}


# ---- The teacher of an imitation: torch.optim computes its updates, which are constants --------

class Teacher:
    """Computes the updates of the teacher, which is a hand-designed rule. The updates follow a path that begins at
    the start of the episode."""

    def __init__(self, setting, tensors):
        self.setting, self.tensors = setting, tensors
        self.point = torch.nn.Parameter(torch.zeros(sum(math.prod(shape) for _, shape in tensors)))
        if setting["teacher"] == "adam":
            self.rule = torch.optim.Adam([self.point], lr=setting["rate"], eps=setting["epsilon"],
                                         betas=(setting["beta1"], setting["beta2"]))
        elif setting["teacher"] == "momentum":
            self.rule = torch.optim.SGD([self.point], lr=setting["rate"], momentum=setting["momentum"])
        else:
            raise unknown("teacher", setting["teacher"])
        if setting["schedule"] != "constant" or setting["hold"] or setting["fade"]:
            raise unknown("schedule", setting["schedule"])

    def update(self, gradient):
        self.point.data.zero_()
        self.point.grad = gradient.detach().clone()
        self.rule.step()
        return self.point.detach().clone()

    def matrices(self, flat):
        """Divides a flat array into tensors, and returns the tensors with several axes. If no tensor has several axes,
        the function returns all tensors."""
        parts = list(flat.split([math.prod(shape) for _, shape in self.tensors]))
        chosen = [part for part, (_, shape) in zip(parts, self.tensors) if len(shape) > 1]
        return chosen or parts

    def apart(self, expert, learned):
        """Returns the imitation loss a D_cos + b D_mag + c D_dist of one step.
        The weights a, b and c are the keys cosine, magnitude and distance of `imitation`."""
        pairs = list(zip(self.matrices(expert), self.matrices(learned)))
        cosine = sum(1 - torch.nn.functional.cosine_similarity(e, l, dim=0, eps=0.0) for e, l in pairs) / len(pairs)
        magnitude = sum((e.abs() - l.abs()).abs().mean() for e, l in pairs) / len(pairs)
        distance = torch.nn.functional.mse_loss(learned, expert, reduction="sum") / expert.square().sum()
        return self.setting["cosine"] * cosine + self.setting["magnitude"] * magnitude + self.setting["distance"] * distance

    def task_weight(self):
        return 1 - self.setting["cosine"] - self.setting["magnitude"] - self.setting["distance"]


# ---- The window ---------------------------------------------------------------------------------

GAP_START = 0.5 * math.log(math.exp(2) - 1)  # softplus_2 of this value is 1


class Window:
    """Contains one task of a dump and its settings."""

    def __init__(self, file, number=0):
        self.setting = yaml.safe_load(file.attrs["configuration"])
        task = self.setting["task"]
        self.task = task[number] if isinstance(task, list) else task
        group = file[f"task{number}"]
        self.dump = window_cases.read_group(group)
        self.phi = {name: torch.tensor(array, requires_grad=True)
                    for name, array in window_cases.read_group(file["phi"]).items()}
        self.warp = Warp(self.task, self.phi)
        self.steps, self.t0 = int(self.dump["steps"][0]), int(self.dump["t0"][0])
        offsets = window_cases.read_group(group["theta_offset"])
        shapes = window_cases.read_group(group["theta_start"])
        self.tensors = [(name, shapes[name].shape) for name in sorted(offsets, key=offsets.get)]
        for what, table, name in (("task", LOSSES, self.task["family"]),
                                  ("rule", RULES, self.setting["rule"]["name"]),
                                  ("initialisation", ("none", "maml"),
                                   self.setting["initialisation"]["name"])):
            if name not in table:
                raise unknown(what, name)
        for name in self.phi:
            if not name.startswith(("lstm", "output.", "rule.", "precondition.", "theta0.", "warp.")):
                raise unknown("meta-parameter", name)

    def inputs(self, which, k):
        """Returns the inputs of the inner or outer loss at step k.
        If the first dimension of an array is 1, all steps use the same input."""
        prefix = f"input/{which}/"
        if not any(name.startswith(prefix) for name in self.dump):
            prefix = "input/inner/"
        return {name[len(prefix):]: torch.tensor(array[k if len(array) > 1 else 0])
                for name, array in self.dump.items() if name.startswith(prefix)}

    def loss(self, which, k, theta):
        named, at = {}, 0
        for name, shape in self.tensors:
            size = math.prod(shape)
            named[name] = theta[at:at + size].reshape(shape)
            at += size
        return LOSSES[self.task["family"]](self.task, named, self.inputs(which, k), self.warp)

    def start(self):
        """Returns theta at the start of the window.
        If the window is the first window of an episode, learned tensors are read from phi instead of the dump."""
        parts = []
        for name, shape in self.tensors:
            value = self.phi.get("theta0." + name) if self.t0 == 0 else None
            if value is None:
                value = torch.tensor(self.dump["theta_start/" + name])
            elif value.numel() < math.prod(shape):  # all outputs share one vector
                value = value.reshape(-1, 1).expand(-1, shape[-1])
            parts.append(value.reshape(-1))
        return torch.cat(parts)

    def clip(self, gradient):
        """Clips the gradient first by `episode.clip_value` and then by `episode.clip_norm`."""
        value, norm = (self.setting["episode"][key] for key in ("clip_value", "clip_norm"))
        if value > 0:
            gradient = gradient.clamp(-value, value)
        if norm > 0 and gradient.norm() > norm:
            gradient = gradient * (norm / gradient.norm())
        return gradient

    before = 0.0  # result of the preconditioner at the previous step

    def precondition(self, gradient, k, theta):
        name, at, out = self.setting["precondition"]["name"], 0, []
        gradient = self.clip(gradient)
        if name == "none":
            return gradient
        if name == "scalar":
            return self.scalar(gradient, k, theta)
        if name not in ("diagonal", "kronecker", "gap"):
            raise unknown("preconditioner", name)
        for tensor, shape in self.tensors:
            size = math.prod(shape)
            apply = getattr(self, name)
            out.append(apply(tensor, gradient[at:at + size].reshape(shape)).reshape(-1))
            at += size
        return torch.cat(out)

    def scalar(self, gradient, k, theta):
        """Returns a linear combination of the gradient, the parameters theta and the result of the previous step.
        Each of the three terms has a separate learned factor for each step and tensor."""
        if self.setting["precondition"]["per"] != "step_tensor":
            raise unknown("per", self.setting["precondition"]["per"])
        alpha, decay, skip = (self.phi.get("precondition." + key) for key in ("alpha", "decay", "skip"))
        sizes = torch.tensor([math.prod(shape) for _, shape in self.tensors])
        row = min(self.t0 + k, len(alpha) - 1)
        out = alpha[row].repeat_interleave(sizes) * gradient
        if decay is not None:
            out = out + decay[row].repeat_interleave(sizes) * theta
        if skip is not None:
            out = self.before = out + skip[row].repeat_interleave(sizes) * self.before
        return out

    def gap(self, tensor, gradient):
        """Multiplies the singular values of the gradient by the learned factors m.
        The left singular vectors of the gradient, as a matrix (out, rest), are treated as constants."""
        if gradient.ndim < 2:
            return gradient
        shape, dense = gradient.shape, gradient.ndim == 2
        m = 0.5 * torch.log1p(torch.exp(2 * (self.phi["precondition." + tensor] + GAP_START)))
        matrix = gradient.T if dense else gradient.reshape(shape[0], -1)
        if self.setting["precondition"]["approximate"]:
            out = m[:, None] * matrix if len(m) == len(matrix) else matrix * m
        else:
            vectors, values, _ = torch.linalg.svd(matrix.detach(), full_matrices=False)
            rank = int((values > 1e-13 * values[0]).sum())
            vectors = vectors[:, :rank]
            out = matrix + vectors @ ((m[:rank] - 1)[:, None] * (vectors.T @ matrix))
        return (out.T if dense else out).reshape(shape)

    def diagonal(self, tensor, gradient):
        return gradient * self.phi["precondition." + tensor]

    def kronecker(self, tensor, gradient):
        """For a matrix G, returns M0 G M1 with learned matrices M0 and M1.
        For a tensor with more axes, a third matrix multiplies the remaining axes."""
        shape, factor = gradient.shape, lambda d: self.phi[f"precondition.{tensor}.axis{d}"]
        gradient = gradient.reshape(*shape[:2], -1) if len(shape) > 2 else gradient
        gradient = torch.tensordot(factor(0), gradient, dims=([1], [0]))
        for d in range(1, gradient.ndim):
            gradient = torch.tensordot(gradient, factor(d), dims=([d], [0])).movedim(-1, d)
        return gradient.reshape(shape)

    def teacher(self):
        setting = self.setting["imitation"]
        if setting["teacher"] == "none":
            return None
        if self.t0 > 0:
            raise unknown("first step of a window that imitates", self.t0)
        return Teacher(setting, self.tensors)

    def weights(self):
        kind = self.setting["window"]["weights"]
        table = {"sum": [1.0] * (self.steps + 1), "last": [0.0] * self.steps + [1.0],
                 "mean": [1.0 / (self.steps + 1)] * (self.steps + 1)}
        return table[kind] if isinstance(kind, str) else kind[-(self.steps + 1):]

    def transform(self, loss, start):
        kind = self.setting["window"]["loss"]
        if kind == "log":
            return torch.log(loss)
        if kind == "log_ratio":
            return torch.log(loss / start)
        return loss.clamp(max=self.setting["window"]["clip"]) if kind == "clipped" else loss

    def inner_gradient(self, k, theta):
        """Returns the loss at theta_k and its gradient before preconditioning.
        In second order, the gradient remains in the graph. In first order, the gradient is a constant."""
        second = self.setting["window"]["order"] == "second"
        point = theta if second and theta.requires_grad else theta.detach().requires_grad_()
        loss = self.loss("inner", k, point)
        gradient, = torch.autograd.grad(loss, point, create_graph=second)
        return loss.item(), gradient if second else gradient.detach()

    def step(self, k, theta, state):
        loss, gradient = self.inner_gradient(k, theta)
        rule = self.setting["rule"]
        update, state = RULES[rule["name"]](rule, self.phi, self.precondition(gradient, k, theta), state)
        return loss, gradient, update, state

    def run(self):
        """Computes all results that the dump contains. Returns them in a dictionary whose keys are the names of the
        datasets in the dump."""
        theta = self.start()
        state = torch.tensor(self.dump["state_start"]) if "state_start" in self.dump else None
        rows = {"theta": [theta], "update": [], "gradient": [], "inner_loss": []}
        teacher, apart = self.teacher(), torch.zeros(())
        outer = [self.loss("outer", 0, theta)]
        for k in range(self.steps):
            loss, gradient, update, state = self.step(k, theta, state)
            if teacher:
                expert = teacher.update(gradient)
                apart = apart + teacher.apart(expert, update) / self.steps
                force = teacher.setting["force"]
                update = force * expert + (1 - force) * update
            theta = theta + update
            outer.append(self.loss("outer", k + 1, theta))
            for name, row in (("theta", theta), ("update", update), ("gradient", gradient),
                              ("inner_loss", torch.tensor(loss))):
                rows[name].append(row)
        start = outer[0] if self.t0 == 0 else torch.tensor(self.dump["start_loss"][0])
        total = sum(weight * self.transform(loss, start)
                    for weight, loss in zip(self.weights(), outer) if weight != 0.0)
        if teacher:
            total = teacher.task_weight() * total + sum(self.weights()) * apart
        total.backward()
        found = {name: torch.stack(list_).detach().numpy() for name, list_ in rows.items()}
        found["outer_loss"] = torch.stack(outer).detach().numpy()
        found["meta_loss"] = np.array([total.item()])
        found["meta_gradient"] = {name: (p.grad if p.grad is not None else torch.zeros_like(p)).numpy()
                                  for name, p in self.phi.items()}
        return found


def recompute(dump):
    """Recomputes the results of task 0 of a dump with PyTorch. Returns these results, and the largest relative
    difference of each result from the value in the dump."""
    with h5py.File(dump, "r") as file:
        window = Window(file)
    found = window.run()
    worst = {}
    for name in ("inner_loss", "outer_loss", "gradient", "update", "theta", "meta_loss"):
        told = window.dump[name]
        known = ~np.isnan(told) if name == "outer_loss" else np.ones(told.shape, dtype=bool)
        worst[name] = window_cases.difference(told[known], found[name][known])
    nothing = window_cases.ROUNDING * window_cases.largest(found["meta_gradient"].values())
    for name, block in found["meta_gradient"].items():
        worst["meta_gradient/" + name] = window_cases.difference(
            window.dump.get("meta_gradient/" + name), block, nothing)
    return found, worst


def report(name, worst):
    """Prints one line of results for the dump `name`. Returns true if all differences are within the tolerance."""
    largest = max(worst, key=worst.get)
    good = all(value <= window_cases.TOLERANCE for value in worst.values())
    print(f"{name}: {'ok' if good else 'WRONG'}, {len(worst)} arrays, "
          f"largest relative difference {worst[largest]:.1e} ({largest})")
    return good


def make_values(program, cases):
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            dump = window_cases.make_dump(program, case, folder)
            found, worst = recompute(dump)
            good = report(case, worst) and good
            window_cases.write_values(case, dump, found["meta_gradient"])
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("dumps", nargs="*", metavar="DUMP", help="files of warploom check --dump")
    parser.add_argument("--make-values", metavar="WARPLOOM", help="write the reference values anew")
    parser.add_argument("--case", action="append", choices=list(window_cases.CASES), help="only this case")
    arguments = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    cases = arguments.case or window_cases.CASES
    good = make_values(arguments.make_values, cases) if arguments.make_values else True
    for dump in arguments.dumps:
        good = report(dump, recompute(dump)[1]) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
