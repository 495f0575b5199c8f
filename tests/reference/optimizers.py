#!/usr/bin/env python3
"""Computes reference values of the hand-designed update rules with torch.optim in float64.

The script writes optimizers_values.h. For each rule, this header contains the parameters after each of STEPS steps with
a fixed sequence of gradients. The gradients do not depend on the parameters. This command
writes the header again:

    /usr/bin/python3 tests/reference/optimizers.py > tests/reference/optimizers_values.h"""
import math

import torch

STEPS, SIZE = 12, 5


def gradient(t, i):
    """Returns a gradient whose sign and size depend on the step t and the coordinate i. The gradient of coordinate 4 is
    zero in the first six steps."""
    if i == 4 and t < 6:
        return 0.0
    return math.sin(1.3 * t + 0.7 * i) * 10.0 ** (i - 2)


START = [0.5, -1.25, 2.0, -0.03125, 0.75]

class NAdam:
    """Runs Nadam of Dozat 2016 without its momentum schedule, like optax.nadam. With decoupled weight decay, it is like
    optax.nadamw."""

    def __init__(self, p, lr, betas=(0.9, 0.999), eps=1e-8, decay=0.0):
        self.p, self.lr, self.betas, self.eps, self.decay, self.t = p[0], lr, betas, eps, decay, 0
        self.m = self.v = torch.zeros_like(self.p.detach())

    def step(self):
        (b1, b2), g = self.betas, self.p.grad
        self.t += 1
        self.m, self.v = b1 * self.m + (1 - b1) * g, b2 * self.v + (1 - b2) * g * g
        m = b1 * self.m / (1 - b1 ** (self.t + 1)) + (1 - b1) * g / (1 - b1 ** self.t)
        x = m / ((self.v / (1 - b2 ** self.t)).sqrt() + self.eps)
        with torch.no_grad():
            self.p -= self.lr * (x + self.decay * self.p)


class Lion:
    """Runs the optimizer Lion of Chen et al. 2023."""

    def __init__(self, p, lr, betas=(0.9, 0.99), decay=0.0):
        self.p, self.lr, self.betas, self.decay = p[0], lr, betas, decay
        self.m = torch.zeros_like(self.p.detach())

    def step(self):
        (b1, b2), g = self.betas, self.p.grad
        with torch.no_grad():
            self.p -= self.lr * (torch.sign(b1 * self.m + (1 - b1) * g) + self.decay * self.p)
        self.m = b2 * self.m + (1 - b2) * g


CASES = [
    ("sgd", "rate: 0.1", lambda p: torch.optim.SGD(p, lr=0.1), None),
    ("momentum", "rate: 0.05", lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), None),
    ("nesterov", "rate: 0.05", lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True), None),
    ("pamela", "rate: 0.05, skip: -0.9", lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), None),
    ("pamela", "rate: 0.1, decay: 0.02", lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.2), None),
    ("rmsprop", "rate: 0.02", lambda p: torch.optim.RMSprop(p, lr=0.02, alpha=0.9, eps=1e-8), None),
    ("adam", "rate: 0.03", lambda p: torch.optim.Adam(p, lr=0.03), None),
    ("adamw", "rate: 0.03, weight_decay: 0.2", lambda p: torch.optim.AdamW(p, lr=0.03, weight_decay=0.2), None),
    ("adam", "rate: 0.03, beta1: 0.8, beta2: 0.95, epsilon: 0.001, schedule: cosine, final_fraction: 0.25",
     lambda p: torch.optim.Adam(p, lr=0.03, betas=(0.8, 0.95), eps=1e-3),
     lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, T_max=STEPS, eta_min=0.03 * 0.25)),
    ("nesterov", "rate: 0.05, momentum: 0.7, schedule: step, decay_every: 4, decay_factor: 0.5",
     lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.7, nesterov=True),
     lambda o: torch.optim.lr_scheduler.StepLR(o, step_size=4, gamma=0.5)),
    ("adam", "rate: 0.03, schedule: linear, final_fraction: 0.25", lambda p: torch.optim.Adam(p, lr=0.03),
     lambda o: torch.optim.lr_scheduler.LinearLR(o, start_factor=1.0, end_factor=0.25, total_iters=STEPS)),
    ("nadam", "rate: 0.03", lambda p: NAdam(p, 0.03), None),
    ("nadamw", "rate: 0.03, beta1: 0.8, weight_decay: 0.2", lambda p: NAdam(p, 0.03, (0.8, 0.999), 1e-8, 0.2), None),
    ("lion", "rate: 0.01, weight_decay: 0.2", lambda p: Lion(p, 0.01, (0.9, 0.99), 0.2), None),
]


def run(make, schedule):
    theta = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = make([theta])
    scheduler = schedule(optimizer) if schedule else None
    rows = []
    for t in range(STEPS):
        theta.grad = torch.tensor([gradient(t, i) for i in range(SIZE)], dtype=torch.float64)
        optimizer.step()
        if scheduler:
            scheduler.step()
        rows.append(theta.detach().tolist())
    return rows


def braces(row):
    return "{" + ", ".join(f"{x:.17g}" for x in row) + "}"


def main():
    print(f"/* optimizers.py has made this file with PyTorch {torch.__version__} in float64. Do not edit it. */")
    print(f"enum {{ REFERENCE_STEPS = {STEPS}, REFERENCE_SIZE = {SIZE}, REFERENCE_CASES = {len(CASES)} }};")
    print(f"static const double reference_start[REFERENCE_SIZE] = {braces(START)};")
    print("static const double reference_gradient[REFERENCE_STEPS][REFERENCE_SIZE] = {")
    for t in range(STEPS):
        print("    " + braces([gradient(t, i) for i in range(SIZE)]) + ",")
    print("};")
    print("static const struct reference_case {")
    print("  const char *rule, *options;")
    print("  double theta[REFERENCE_STEPS][REFERENCE_SIZE]; /* parameters after each step */")
    print("} reference_cases[REFERENCE_CASES] = {")
    for name, options, make, schedule in CASES:
        print(f'    {{"{name}", "{options}",\n     {{')
        for row in run(make, schedule):
            print("         " + braces(row) + ",")
        print("     }},")
    print("};")


if __name__ == "__main__":
    main()
