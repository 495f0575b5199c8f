#!/usr/bin/env python3
"""Runs complete meta-steps in PyTorch, for meta_step.py.

    meta_step_torch.py TASK [--form step|window|blocks|cell] [--threads N] [--block N] [--check DUMP]

In all forms except `cell`, arrays have one column for each coordinate. One product of the matrices (80, in + 20) and
(in + 20, n) computes all gates of a layer. Here `in` is the number of inputs of the layer, and n is the number of
coordinates. In first order, the meta-loss has the same gradient as sum_k <g_k, theta_k(phi)>, where g_k is the
detached gradient of the task at inner step k. The program therefore computes the gradient of the task once at each
step, and the backward pass treats it as a constant.

- `step`: Compiles the step of the LSTM and the gradient of the task. Autograd differentiates the loop over steps.
- `window`: Compiles the whole window, in which the 20 steps are unrolled.
- `blocks`: Computes the window block by block, because the coordinates are independent in first order. A forward pass
  without a graph stores only the gradients. A compiled function then computes the gradient of one block of coordinates
  after another.
- `cell`: Uses torch.nn.LSTMCell, with one row for each coordinate, and compiles nothing. PyTorch programs usually
  have this form.

--check compares the meta-gradient of one window with a file that `warploom check --dump` wrote, and then stops."""

import argparse
import sys

import numpy as np

import versus
from meta_step_data import check, load_images, phi_start
from meta_step_tasks import HIDDEN, LEARNING_RATE, LOG_EPSILON, SCALE, STEPS, STRENGTH, TASKS

parser = argparse.ArgumentParser()
parser.add_argument("task", choices=TASKS)
parser.add_argument("--form", choices=("step", "window", "blocks", "cell"), default="step")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--block", type=int, default=2000)
parser.add_argument("--check", metavar="DUMP")
arguments = parser.parse_args()

import torch  # noqa: E402  (imported after the arguments have been checked)
from torch.nn import functional  # noqa: E402

torch.set_num_threads(arguments.threads)
torch._dynamo.config.recompile_limit = 64
SETTING = TASKS[arguments.task]
IMAGES = "width" in SETTING
CELL = arguments.form == "cell"


# ---- The coordinatewise LSTM --------------------------------------------------------------------

def inputs(g, axis):
    size = (torch.log(g.abs() + LOG_EPSILON) / STRENGTH).clamp(min=-1.0)
    return torch.stack([size, (g * float(np.exp(STRENGTH))).clamp(-1.0, 1.0)], dim=axis)


def layer(weight, bias, below, h, c):
    enter, candidate, forget, leave = torch.addmm(bias[:, None], weight, torch.cat([below, h])).chunk(4)
    c = torch.sigmoid(forget + 1.0) * c + torch.sigmoid(enter) * torch.tanh(candidate)
    return torch.sigmoid(leave) * torch.tanh(c), c


def columns_rule(phi, g, state):
    """Returns the update (n) and the new state for the gradient g (n) and a state of four arrays (20, n)."""
    h1, c1, h2, c2 = state
    h1, c1 = layer(phi["lstm1.weight"], phi["lstm1.bias"], inputs(g, 0), h1, c1)
    h2, c2 = layer(phi["lstm2.weight"], phi["lstm2.bias"], h1, h2, c2)
    u = torch.addmm(phi["output.bias"][:, None], phi["output.weight"], h2)
    return SCALE * u[0], (h1, c1, h2, c2)


class Cells:
    """Computes the LSTM by torch.nn.LSTMCell. The meta-parameters are the same as in the other
    forms, but the gates have the order that LSTMCell expects."""

    def __init__(self):
        self.cells = [torch.nn.LSTMCell(2, HIDDEN), torch.nn.LSTMCell(HIDDEN, HIDDEN)]

    def gates(self, rows):
        enter, candidate, forget, leave = rows.chunk(4)
        return torch.cat([enter, forget, candidate, leave])

    def weights(self, phi, number, cell):
        weight, bias = self.gates(phi[f"lstm{number}.weight"]), self.gates(phi[f"lstm{number}.bias"])
        one = torch.zeros(4 * HIDDEN)
        one[HIDDEN:2 * HIDDEN] = 1.0
        inner = weight.shape[1] - HIDDEN
        return {"weight_ih": weight[:, :inner], "weight_hh": weight[:, inner:], "bias_ih": bias, "bias_hh": one}

    def __call__(self, phi, g, state):
        """Returns the update (n) and the new state for the gradient g (n) and a state of four arrays (n, 20)."""
        h1, c1, h2, c2 = state
        first, second = (torch.func.functional_call for _ in range(2))
        h1, c1 = first(self.cells[0], self.weights(phi, 1, self.cells[0]), (inputs(g, 1), (h1, c1)))
        h2, c2 = second(self.cells[1], self.weights(phi, 2, self.cells[1]), (h1, (h2, c2)))
        return SCALE * functional.linear(h2, phi["output.weight"], phi["output.bias"])[:, 0], (h1, c1, h2, c2)


# ---- The loss of a task for a flat theta and a batch --------------------------------------------

def quadratic_loss(theta, w, y):
    return ((torch.einsum("bij,bj->bi", w, theta.reshape(y.shape)) - y) ** 2).sum() / len(y)


def perceptron_loss(theta, x, labels):
    pixels, width, classes = x.shape[1], SETTING["width"], 10
    w1, b1, w2, b2 = theta.split([pixels * width, width, width * classes, classes])
    hidden = torch.sigmoid(torch.addmm(b1, x, w1.reshape(pixels, width)))
    return functional.cross_entropy(torch.addmm(b2, hidden, w2.reshape(width, classes)), labels)


task_gradient = torch.func.grad_and_value(perceptron_loss if IMAGES else quadratic_loss)


# ---- The window returns losses, gradients, theta and the state ----------------------------------

def window(rule, gradient_of, phi, theta, state, batches):
    """Runs the inner steps of a window. Returns four values: sum_k <g_k, theta_k>, the sum of the losses, the last
    theta, and the last state. The first value is differentiable with respect to phi."""
    total, loss = 0.0, 0.0
    for k in range(STEPS + 1):
        g, value = gradient_of(theta.detach(), *batches[k])
        loss = loss + value
        total = total + torch.dot(g, theta)
        if k < STEPS:
            u, state = rule(phi, g, state)
            theta = theta + u
    return total, loss, theta, state


def block_share(phi, gs, later, state):
    total = 0.0
    for k in range(STEPS):
        u, state = columns_rule(phi, gs[k], state)
        total = total + torch.dot(later[k], u)
    return total


def differentiated(form, phi, theta, state, batches):
    names = list(phi)
    total, loss, theta, state = form(phi, theta, state, batches)
    gradients = torch.autograd.grad(total, [phi[name] for name in names])
    return loss.detach(), dict(zip(names, gradients)), theta.detach(), tuple(s.detach() for s in state)


class Blocks:
    def __init__(self):
        self.rule = torch.compile(columns_rule, dynamic=False)
        self.gradient_of = torch.compile(task_gradient, dynamic=False)
        self.share = torch.compile(block_share, dynamic=False)

    def forward(self, phi, theta, state, batches):
        gs, loss = [], 0.0
        with torch.no_grad():
            for k in range(STEPS + 1):
                g, value = self.gradient_of(theta, *batches[k])
                gs.append(g)
                loss = loss + value
                if k < STEPS:
                    pieces = [self.rule(phi, gb, sb) for gb, sb in zip(g.split(arguments.block), state)]
                    theta = theta + torch.cat([u for u, _ in pieces])
                    state = [after for _, after in pieces]
        return gs, loss, theta, state

    def __call__(self, phi, theta, state, batches):
        gs, loss, last, after = self.forward(phi, theta, state, batches)
        gs = torch.stack(gs)
        later = gs[1:].flip(0).cumsum(0).flip(0)
        names = list(phi)
        sums = None
        for gb, lb, sb in zip(gs[:STEPS].split(arguments.block, 1), later.split(arguments.block, 1), state):
            total = self.share(phi, gb.contiguous(), lb.contiguous(), sb)
            found = torch.autograd.grad(total, [phi[name] for name in names])
            sums = found if sums is None else [a + b for a, b in zip(sums, found)]
        return loss, dict(zip(names, sums)), last, after

    def cut(self, state):
        return list(zip(*(s.split(arguments.block, 1) for s in state)))


def make_window():
    if arguments.form == "blocks":
        return Blocks()
    if CELL:
        cells = Cells()
        form = lambda *a: window(cells, task_gradient, *a)  # noqa: E731
    elif arguments.form == "step":
        rule, gradient_of = torch.compile(columns_rule, dynamic=False), torch.compile(task_gradient, dynamic=False)
        form = lambda *a: window(rule, gradient_of, *a)  # noqa: E731
    else:
        form = torch.compile(lambda *a: window(columns_rule, task_gradient, *a), dynamic=False)
    return lambda *a: differentiated(form, *a)


def arrange(state):
    """Converts a state of four arrays (20, n) to the layout that the selected form uses."""
    if CELL:
        return tuple(s.T.contiguous() for s in state)
    return run_window.cut([s.contiguous() for s in state]) if arguments.form == "blocks" else state


run_window = make_window()


# ---- Complete meta-steps ---------------------------------------------------------------------------

def parameters(values):
    return {name: torch.tensor(value).requires_grad_() for name, value in values.items()}


class Training:
    """Runs episodes of five windows, with one update of phi after each window."""

    def __init__(self):
        self.data = tuple(map(torch.as_tensor, load_images())) if IMAGES else ()
        self.data = (self.data[0], self.data[1].long()) if IMAGES else ()
        self.phi = parameters(phi_start())
        self.adam = torch.optim.Adam(self.phi.values(), lr=LEARNING_RATE)
        self.windows = 0

    def begin(self):
        n = SETTING["n"]
        self.theta = 0.01 * torch.randn(n)
        self.state = arrange(tuple(torch.zeros(HIDDEN, n) for _ in range(4)))
        self.drawn = None if IMAGES else (torch.randn(128, 10, 10), torch.randn(128, 10))

    def batches(self):
        if not IMAGES:
            return [self.drawn] * (STEPS + 1)
        chosen = torch.randint(len(self.data[1]), (STEPS + 1, 128))
        return [(self.data[0][rows].float() / 255.0, self.data[1][rows]) for rows in chosen]

    def once(self):
        if self.windows % 5 == 0:
            self.begin()
        self.windows += 1
        _, gradient, self.theta, self.state = run_window(self.phi, self.theta, self.state, self.batches())
        for name, parameter in self.phi.items():
            parameter.grad = gradient[name]
        self.adam.step()


def checked_window(dump):
    first, second = dump["batches"]
    batches = [(torch.tensor(first[k % len(first)]),
                torch.tensor(second[k % len(second)]).long() if IMAGES else torch.tensor(second[k % len(second)]))
               for k in range(STEPS + 1)]
    state = arrange(tuple(torch.tensor(s) for s in dump["state"]))
    loss, gradient, _, _ = run_window(parameters(dump["phi"]), torch.tensor(dump["theta"]), state, batches)
    return float(loss), gradient


if arguments.check:
    sys.exit(check(arguments.check, checked_window))
training = Training()
training.once()
versus.serve(versus.repeated(training.once), f"PyTorch {torch.__version__}", lambda: versus.peak_during(training.once))
