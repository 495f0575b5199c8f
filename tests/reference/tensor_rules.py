#!/usr/bin/env python3
"""Reference values of the update rules that see tensors, in NumPy float64, written from their formulas.

Writes tensor_rules_values.h: for each case the updates of STEPS steps along a fixed trace of gradients over
tensors of SHAPES. Rerun with
    /usr/bin/python3 tests/reference/tensor_rules.py > tests/reference/tensor_rules_values.h
"""
import math

import numpy as np

STEPS, T = 3, 10
SHAPES = [(7,), (12, 5), (3, 20), (3, 2, 2, 2), (1,)]
N = sum(math.prod(s) for s in SHAPES)


def split(flat):
    out, at = [], 0
    for s in SHAPES:
        out.append(flat[at:at + math.prod(s)].reshape(s))
        at += math.prod(s)
    return out


def join(tensors):
    return np.concatenate([x.ravel() for x in tensors])


INDEX = np.arange(N, dtype=float)
START = 0.3 * np.sin(1.1 * INDEX + 0.2)
SCALE = join([np.full(s, 0.01 * (j + 1)) for j, s in enumerate(SHAPES)])


def gradient(t):
    return SCALE * np.sin(0.9 * INDEX + 1.7 * t + 0.01 * INDEX * INDEX)


def loss(t):
    return 2.0 / (1.0 + t)


def wiggle(n):
    return 0.2 * np.sin(0.6 * np.arange(n) + 0.1)


def rms(x):
    return math.sqrt(np.mean(x * x))


def newton_schulz(x):
    """Five steps on a matrix, on the side of its smaller dimension."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = x / (np.linalg.norm(x) + 1e-8)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


def orthogonal(z, flat=False):
    if flat:
        return newton_schulz(z.reshape(z.shape[0], -1)).reshape(z.shape)
    if z.ndim == 2:
        return newton_schulz(z)
    out = np.empty_like(z)
    for tap in np.ndindex(z.shape[2:]):
        out[(slice(None), slice(None)) + tap] = newton_schulz(z[(slice(None), slice(None)) + tap])
    return out


def fan_in(shape):
    return shape[0] if len(shape) == 2 else math.prod(shape[1:])


class Controller:
    """The prototype's rule C3; C0 without the net."""

    def __init__(self, net, ns):
        self.net, self.ns = net, ns
        first = [math.log(.07), 1, 0, 0, .1, 0, .25, .5, 0, .03]
        second = [math.log(.006), 0, 1, 0, .1, 0, .25, .5, 0, .03]
        if not ns:
            first[1:4] = 0, 1, 0
        count = 20 + (17 * 16 + 16 + 16 * 16 + 16 + 6 * 16 + 6 if net else 0)
        phi = wiggle(count)
        phi[:20] += np.array(first + second)
        self.base = phi[:20].reshape(2, 10)
        if net:
            sizes, at, self.layers = [17, 16, 16, 6], 20, []
            for i, o in zip(sizes, sizes[1:]):
                w = phi[at:at + i * o].reshape(o, i)
                self.layers.append((w, phi[at + i * o:at + i * o + o]))
                at += i * o + o
        self.m, self.s, self.v = ([np.zeros(s) for s in SHAPES] for _ in range(3))
        self.fast = self.slow = 0.0

    def step(self, t, g, p, value):
        if t == 0:
            self.first = value
        self.fast, self.slow = .9 * self.fast + .1 * value, .98 * self.slow + .02 * value
        fast, slow = self.fast / (1 - .9 ** (t + 1)), self.slow / (1 - .98 ** (t + 1))
        x, m, s, v = t / T, [], [], []
        for j in range(len(SHAPES)):
            self.m[j] = .9 * self.m[j] + .1 * g[j]
            self.s[j] = .99 * self.s[j] + .01 * g[j]
            self.v[j] = .99 * self.v[j] + .01 * g[j] ** 2
            m.append(self.m[j] / (1 - .9 ** (t + 1)))
            s.append(self.s[j] / (1 - .99 ** (t + 1)))
            v.append(self.v[j] / (1 - .99 ** (t + 1)))
        cos = lambda a, b: np.sum(a * b) / math.sqrt(np.sum(a * a) * np.sum(b * b))
        denominators = [np.sqrt(y) + 1e-8 * rms(np.sqrt(y)) for y in v]
        own = [[cos(g[j], m[j]), cos(m[j], s[j]), cos(p[j], m[j]),
                math.log(rms(m[j]) / rms(np.sqrt(v[j]))), math.log(rms(s[j]) / rms(np.sqrt(v[j]))),
                rms(m[j] / denominators[j])] for j in range(len(SHAPES))]
        both = [2 * x - 1, 2 * (1 - x) ** 4 - 1, math.exp(-t / 10), math.exp(-t / 100),
                np.clip((math.log(T) - 6) / 1.5, -2, 2), np.clip(math.log(fast / slow), -3, 3),
                np.clip(math.log(fast / self.first), -3, 3), 3 * math.exp(-20 * (1 - x)),
                np.mean([o[0] for o in own]), np.mean([o[1] for o in own])]
        sizes = [rms(p[j]) * math.sqrt(fan_in(s)) for j, s in enumerate(SHAPES) if len(s) > 1]
        updates = []
        for j, shape in enumerate(SHAPES):
            matrix = len(shape) > 1
            b, a0, a1, a2, k1, k2, tau, alpha, q, w = self.base[0 if matrix else 1]
            o = np.zeros(6)
            if self.net:
                h = np.array(own[j] + both + [1.0 if matrix else 0.0])
                for weight, bias in self.layers[:2]:
                    h = np.tanh(weight @ h + bias)
                o = self.layers[2][0] @ h + self.layers[2][1]
            k1, k2 = k1 + .3 * o[4], k2 + .3 * o[5]
            z = m[j] + k1 * (g[j] - m[j]) + k2 * (s[j] - m[j])
            u = (a1 + o[2]) * z / denominators[j] + (a2 + o[3]) * s[j] / denominators[j]
            if matrix and self.ns:
                n = orthogonal(z)
                u = u + (a0 + o[1]) * n / rms(n)
            r = rms(p[j]) * math.sqrt(fan_in(shape)) if matrix else np.mean(sizes)
            rate = math.exp(b) * (T / 2000) ** -tau * r ** alpha * (1 - x) ** math.exp(q)
            rate *= min(1, (t + 1) / (max(w, 0) * T + 1)) * math.exp(3 * math.tanh(o[0] / 3))
            if matrix:
                rate /= math.sqrt(fan_in(shape))
            updates.append(-rate * u)
        return updates


class Muon:
    """Jordan et al. 2024; Adam on vectors at 0.3 of the rate; linear schedule."""

    def __init__(self, rate, decay):
        self.rate, self.decay = rate, decay
        self.m, self.v = ([np.zeros(s) for s in SHAPES] for _ in range(2))

    def step(self, t, g, p, value):
        updates, rate = [], self.rate * (1 - t / T)
        for j, shape in enumerate(SHAPES):
            if len(shape) > 1:
                self.m[j] = .95 * self.m[j] + .05 * g[j]
                n = orthogonal(.05 * g[j] + .95 * self.m[j], flat=True)
                inward = fan_in(shape)
                n = n * math.sqrt(max(1, math.prod(shape) / inward / inward))
                updates.append(-rate * (n + self.decay * p[j]))
            else:
                self.m[j] = .9 * self.m[j] + .1 * g[j]
                self.v[j] = .999 * self.v[j] + .001 * g[j] ** 2
                x = self.m[j] / (1 - .9 ** (t + 1)) / (np.sqrt(self.v[j] / (1 - .999 ** (t + 1))) + 1e-8)
                updates.append(-.3 * rate * (x + self.decay * p[j]))
        return updates


CASES = [
    ("name: muon, rate: 0.02, weight_decay: 0.1, schedule: linear", lambda: Muon(.02, .1)),
    ("name: controller", lambda: Controller(True, True)),
    ("name: controller, net: false", lambda: Controller(False, True)),
    ("name: controller, newton_schulz: false", lambda: Controller(True, False)),
]


def run(make):
    rule, theta, rows = make(), START.copy(), []
    for t in range(STEPS):
        u = join(rule.step(t, split(gradient(t)), split(theta), loss(t)))
        theta = theta + u
        rows.append(u)
    return rows


def braces(row):
    return "{" + ", ".join(f"{x:.17g}" for x in row) + "}"


def main():
    print("/* Made by tensor_rules.py with NumPy, float64. Do not edit. */")
    print(f"enum {{ TENSOR_STEPS = {STEPS}, TENSOR_T = {T}, TENSOR_N = {N}, TENSOR_CASES = {len(CASES)} }};")
    print("static const struct tensor_case {\n  const char *options;\n  double u[TENSOR_STEPS][TENSOR_N];")
    print("} tensor_cases[TENSOR_CASES] = {")
    for options, make in CASES:
        rows = ",\n     ".join(braces(r) for r in run(make))
        print(f'    {{"{options}",\n    {{{rows}}}}},')
    print("};")


if __name__ == "__main__":
    main()
