#!/usr/bin/python3
"""Computes values and adjoints of the coordinatewise LSTM with PyTorch in float64. The test test_lstm_torch.c uses
these values.

    lstm_reference.py > lstm_values.h

torch.nn.LSTMCell computes the cells. Autograd computes the derivatives of F = sum_k lam_{k+1} . u_k + mu . s_K, where
lam_{k+1} = lam0 + the loss terms of later steps. The inputs are exact fractions, which a C program can compute with
the same bits: uniform(seed, i) = ((i + 1) (2 seed + 1) 2654435761 mod 2^32) / 2^32."""
import sys

import numpy as np
import torch

torch.set_default_dtype(torch.float64)
GRADIENT_SCALE, OUTPUT_SCALE, FORGET_BIAS, RATE = 1.5, 0.7, 1.0, 0.3
EPSILON = 1.1920928955078125e-7
# for each case: its name, the preprocessing, the units of each layer, the number of coordinates, the number of steps,
# and the momentum
CASES = [("raw", "raw", [20, 20], 20, 20, 0), ("log", "log", [5, 3], 7, 6, 0), ("paper", "paper", [4, 1, 6], 18, 5, 0),
         ("nesterov", "log", [6, 5], 17, 6, 0.9)]


def uniform(seed, n, spread=1.0):
    i = np.arange(1, n + 1, dtype=np.uint64)
    bits = (i * np.uint64(2 * seed + 1) * np.uint64(2654435761)) % np.uint64(2**32)
    return (2 * bits.astype(np.float64) / 2**32 - 1) * spread


def gradients(steps, n):
    powers = np.arange(steps * n) % 23
    return (uniform(2, steps * n) * 2.0**-powers).reshape(steps, n)


def preprocess(kind, g):
    v = GRADIENT_SCALE * g
    if kind == "raw":
        return v[:, None]
    if kind == "log":
        return torch.stack([torch.clamp(torch.log(abs(v) + EPSILON) / 5, min=-1),
                            torch.clamp(v * np.exp(5), -1, 1)], 1)
    large = abs(v) >= np.exp(-10)
    safe = torch.where(large, v, torch.ones_like(v))
    return torch.stack([torch.where(large, torch.log(abs(safe)) / 10, -torch.ones_like(v)),
                        torch.where(large, torch.sign(v), np.exp(10) * v)], 1)


class Net:
    """Computes steps of an LSTM. phi has Warploom's layout, in which the gates have the order input, candidate, forget,
    output."""

    def __init__(self, inputs, hidden, phi, momentum):
        self.cells, self.momentum, at = [], momentum, 0
        heads = 2 if momentum else 1
        for units in hidden:
            shape = (4 * units, inputs + units)
            weight = phi[at:at + shape[0] * shape[1]].reshape(shape)
            bias = phi[at + weight.numel():at + weight.numel() + 4 * units]
            at += weight.numel() + 4 * units
            self.cells.append((inputs, units, weight, bias))
            inputs = units
        self.head_weight = phi[at:at + heads * inputs].reshape(heads, inputs)
        self.head_bias = phi[at + heads * inputs:]

    def step(self, kind, g, state, total):
        """Returns the update u, the state after the step, and the running sum V' after the step."""
        x, after = preprocess(kind, g), []
        if self.momentum:
            total = self.momentum * total + g
            x = torch.cat([x, preprocess(kind, (1 - self.momentum) * total)], 1)
        for (inputs, units, weight, bias), (h, c) in zip(self.cells, state):
            order = torch.cat([torch.arange(units) + units * gate for gate in (0, 2, 1, 3)])
            shift = torch.zeros(4 * units)
            shift[2 * units:3 * units] = FORGET_BIAS
            w, b = weight[order], (bias + shift)[order]
            h, c = torch._VF.lstm_cell(x, (h, c), w[:, :inputs], w[:, inputs:], b, torch.zeros_like(b))
            after.append((h, c))
            x = h
        out = x @ self.head_weight.T + self.head_bias
        u = OUTPUT_SCALE * out[:, 0]
        if self.momentum:
            u = u - RATE * torch.exp(out[:, 1]) * (g + self.momentum * total)
        return u, after, total


def split(rows, hidden):
    """Converts rows [n][width] with the columns h1 c1 h2 c2 ... into a list of pairs (h, c)."""
    out, at = [], 0
    for units in hidden:
        out.append((rows[:, at:at + units], rows[:, at + units:at + 2 * units]))
        at += 2 * units
    return out


def run(kind, hidden, n, steps, momentum):
    heads = 2 if momentum else 1
    inputs, width = heads * (1 if kind == "raw" else 2), 2 * sum(hidden) + heads - 1
    sizes = [4 * h * (i + h + 1) for i, h in zip([inputs] + hidden, hidden)]
    phi = torch.tensor(uniform(1, sum(sizes) + heads * (hidden[-1] + 1), 0.5), requires_grad=True)
    g = torch.tensor(gradients(steps, n), requires_grad=True)
    start = torch.tensor(uniform(3, n * width, 0.5).reshape(n, width), requires_grad=True)
    lam = torch.tensor(uniform(4, n))
    mu = torch.tensor(uniform(5, n * width, 0.5).reshape(n, width))
    loss_grad = torch.tensor(uniform(6, steps * n).reshape(steps, n))
    weight = 0.5 + 0.0625 * torch.arange(steps)

    net, state, total, updates = Net(inputs, hidden, phi, momentum), split(start, hidden), start[:, -1], []
    for k in range(steps):
        u, state, total = net.step(kind, g[k], state, total)
        updates.append(u)
    after = torch.cat([part for pair in state for part in pair] + ([total[:, None]] if momentum else []), 1)
    objective = (mu * after).sum()
    for k in reversed(range(steps)):
        objective = objective + (lam * updates[k]).sum()
        lam = lam + weight[k] * loss_grad[k]
    objective.backward()
    return {"u": torch.stack(updates), "after": after, "phi_grad": phi.grad, "gbar": g.grad,
            "mu": start.grad, "lam": lam}


def emit(name, values):
    flat = values.detach().numpy().ravel()
    print(f"static const double {name}[{flat.size}] = {{")
    for i in range(0, flat.size, 6):
        print("  " + ", ".join(f"{v:.15g}" for v in flat[i:i + 6]) + ",")
    print("};")


print(f"/* The script lstm_reference.py computed these values with PyTorch {torch.__version__} in float64. Do not edit this file. */")
for case, kind, hidden, n, steps, momentum in CASES:
    print(f"/* Preprocessing {kind}, layers of {hidden} units, {n} coordinates, {steps} steps, and momentum {momentum}. */", file=sys.stdout)
    for name, values in run(kind, hidden, n, steps, momentum).items():
        emit(f"{case}_{name}", values)
