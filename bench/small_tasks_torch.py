"""Runs MAML and Meta-SGD on the sinusoid in PyTorch, with torch.func and with vmap over the tasks.

  python small_tasks_torch.py maml|meta-sgd eager|compile|compile-step

The settings are those of jobs/maml-sinusoid.yaml with 10 shots. The network has layers of 1, 40, 40 and 1 units with
ReLU. A meta-step draws 25 tasks. Each task has 10 points for one inner step and 10 points for the meta-loss. The
meta-step computes the second-order gradient and updates theta_0 by Adam. The program needs `pip install torch`.
  `eager`         Computes the meta-gradient by torch.func without compilation.
  `compile`       Compiles the meta-gradient by torch.compile.
  `compile-step`  Compiles the whole meta-step, which draws the tasks, computes the meta-gradient and applies Adam.
"""
import math
import sys

import torch
from torch.func import grad, grad_and_value, vmap

import versus

TASKS, SHOTS, RATE, META_RATE, STEPS = 25, 10, 1e-3, 1e-3, 200


def start(algorithm):
    """Returns theta_0. For Meta-SGD, the result also contains one learning rate for each parameter."""
    shapes = [(1, 40), (40,), (40, 40), (40,), (40, 1), (1,)]
    theta = [torch.nn.init.trunc_normal_(torch.empty(s), std=0.01, a=-0.02, b=0.02) if len(s) == 2 else torch.zeros(s)
             for s in shapes]
    rates = [torch.empty(s).uniform_(1e-3, 1e-2) for s in shapes] if algorithm == "meta-sgd" else []
    return theta, rates


def loss(theta, x, y):
    w1, b1, w2, b2, w3, b3 = theta
    hidden = torch.relu(torch.relu(x @ w1 + b1) @ w2 + b2)
    return torch.mean((hidden @ w3 + b3 - y) ** 2)


def task_loss(theta, rates, support, query):
    """Returns the loss of one task on its query set after one inner step on its support set."""
    gradient = grad(loss)(theta, *support)
    if rates:
        adapted = [p - a * g for p, a, g in zip(theta, rates, gradient)]
    else:
        adapted = [p - RATE * g for p, g in zip(theta, gradient)]
    return loss(adapted, *query)


def meta_loss(meta, support, query):
    theta, rates = meta
    return vmap(task_loss, in_dims=(None, None, 0, 0))(theta, rates, support, query).mean()


def draw():
    """Draws the support sets and the query sets of all tasks. Returns arrays of the shape (TASKS, SHOTS, 1)."""
    amplitude = torch.empty(TASKS, 1, 1).uniform_(0.1, 5.0)
    phase = torch.empty(TASKS, 1, 1).uniform_(0.0, math.pi)
    x = torch.empty(TASKS, 2 * SHOTS, 1).uniform_(-5.0, 5.0)
    y = amplitude * torch.sin(x - phase)
    return (x[:, :SHOTS], y[:, :SHOTS]), (x[:, SHOTS:], y[:, SHOTS:])


meta_gradient = grad_and_value(meta_loss)


class Adam:
    """Updates `leaves`, the tensors of meta-parameters, with torch.optim.Adam. The mode compile-step uses the
    function adam() instead, so that torch.compile can compile the update with the rest of the meta-step."""

    def __init__(self, leaves):
        self.leaves = leaves
        self.optimizer = torch.optim.Adam(leaves, lr=META_RATE, foreach=True)

    def __call__(self, gradient):
        for leaf, g in zip(self.leaves, gradient):
            leaf.grad = g
        self.optimizer.step()


def adam(leaves, first, second, gradient, t):
    """Returns the new meta-parameters and the new moments after one step of Adam. The arguments remain unchanged.
    `t` is a tensor."""
    first = [0.9 * m + 0.1 * g for m, g in zip(first, gradient)]
    second = [0.999 * v + 0.001 * g * g for v, g in zip(second, gradient)]
    left1, left2 = 1 - 0.9 ** t, 1 - 0.999 ** t
    leaves = [p - META_RATE * (m / left1) / (torch.sqrt(v / left2) + 1e-8) for p, m, v in zip(leaves, first, second)]
    return leaves, first, second


def stepwise(theta, rates, mode):
    """Returns a function that computes one meta-step. In the mode compile, torch.compile compiles only the
    meta-gradient."""
    compute = torch.compile(meta_gradient, fullgraph=True) if mode == "compile" else meta_gradient
    update = Adam(theta + rates)

    def step():
        gradient, value = compute((theta, rates), *draw())
        update(gradient[0] + gradient[1])
        return value

    return step


def fused(theta, rates):
    """Returns a function that computes one meta-step. torch.compile compiles the whole function."""
    leaves, split = theta + rates, len(theta)
    state = [leaves, [torch.zeros_like(p) for p in leaves], [torch.zeros_like(p) for p in leaves], torch.zeros(())]

    @torch.compile(fullgraph=True)
    def advance(leaves, first, second, t):
        gradient, value = meta_gradient((leaves[:split], leaves[split:]), *draw())
        return *adam(leaves, first, second, gradient[0] + gradient[1], t + 1), t + 1, value

    def step():
        *state[:], value = advance(*state)
        return value

    return step


def main():
    algorithm, mode = sys.argv[1:]
    torch.manual_seed(1)
    theta, rates = start(algorithm)
    step = fused(theta, rates) if mode == "compile-step" else stepwise(theta, rates, mode)
    for _ in range(30):
        last = step()

    def measure():
        def work():
            float(step())  # copies the loss to the CPU, as a program that logs the loss would
        return versus.timed(work, STEPS)

    if not math.isfinite(float(last)):
        raise SystemExit("the meta-loss is not finite")
    versus.serve(measure, f"torch {torch.__version__}, {torch.get_num_threads()} threads")


main()
