"""Checks warploom.import_weights.

The test contains an implementation in NumPy and float64, which was written only from the published formulas. If the C
library uses the imported weights, it must make the same steps as this implementation. `warploom eval` must be able to
read the imported file. Wrong weights must result in an error."""
import os
import sys

from fixture import PROGRAM, expect

os.environ["WARPLOOM"] = PROGRAM
try:
    import h5py  # noqa: F401
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}; the package needs Debian's python3-h5py")
    sys.exit(77)

import warploom
from warploom import library

SHAPES, STEPS, HORIZON = [(6, 9), (9,), (9, 4), (4,)], 12, 50
TAU = np.array([1, 3, 10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5])


def weights_of(sizes, draw):
    return [a for n, m in zip(sizes, sizes[1:]) for a in (draw.standard_normal((n, m)) / np.sqrt(n), 0.1 * draw.standard_normal(m))]


def net(x, weights):
    for w, b in zip(weights[:-2:2], weights[1:-2:2]):
        x = np.maximum(x @ w + b, 0)
    return x @ weights[-2] + weights[-1]


class Accumulators:
    """Updates the accumulators m, v, R and C of a tensor with one or two axes by the formulas in common.py of
    learned_optimization."""

    def __init__(self, shape, b_m, b_v, b_f):
        self.b_m, self.b_v, self.b_f = b_m, b_v, b_f
        self.m, self.v = [np.zeros(shape) for _ in b_m], np.zeros(shape)
        self.large = 1 if len(shape) == 2 and shape[1] >= shape[0] else 0
        self.r, self.c = [0.0] * 3, [0.0] * 3

    def take(self, g):
        """Updates all accumulators with the gradient g.
        Returns R, C, the factored gradient and the factored momentum, as the formulas define them."""
        self.m = [b * m + (1 - b) * g for b, m in zip(self.b_m, self.m)]
        self.v = self.b_v * self.v + (1 - self.b_v) * g**2
        square, fg, fm = g**2 + 1e-30, [], []
        for k, b in enumerate(self.b_f):
            if g.ndim == 1:
                self.r[k] = self.c[k] = b * self.r[k] + (1 - b) * square
                fg.append(g / np.sqrt(np.maximum(self.r[k] + 1e-9, 1e-9)))
                fm.append(self.m[k] / np.sqrt(self.r[k] + 1e-6))
                continue
            other = 1 - self.large
            self.r[k] = b * self.r[k] + (1 - b) * square.mean(self.large, keepdims=True)
            self.c[k] = b * self.c[k] + (1 - b) * square.mean(other, keepdims=True)
            row = 1 / np.sqrt(np.maximum(self.r[k] / (self.r[k].mean(other, keepdims=True) + 1e-9), 1e-9))
            factor = row / np.sqrt(np.maximum(self.c[k], 1e-9))
            fg.append(g * factor)
            fm.append(self.m[k] * factor)
        wide = lambda tables: [np.broadcast_to(t, g.shape) for t in tables]  # noqa: E731
        return wide(self.r), wide(self.c), fg, fm


def normalised(x, epsilon):
    return x / np.sqrt(epsilon + np.mean(x**2))


def tables(r, c):
    return r + c + [1 / np.sqrt(x + 1e-8) for x in r] + [1 / np.sqrt(x + 1e-8) for x in c]


class SmallFc:
    def __init__(self, weights, shifts, step_scale, exponent_scale):
        self.weights, self.scales = weights, (step_scale, exponent_scale)
        decay = lambda bs, name: [1 - (1 - b) * np.exp(10 * s) for b, s in zip(bs, shifts[name])]  # noqa: E731
        self.decays = (decay([0.9, 0.99, 0.999], "momentum_decays"), decay([0.999], "rms_decay")[0],
                       decay([0.9, 0.99, 0.999], "adafactor_decays"))
        self.state = [Accumulators(shape, *self.decays) for shape in SHAPES]

    def step(self, j, g, p, t):
        a = self.state[j]
        r, c, fg, fm = a.take(g)
        root = np.sqrt(a.v + 1e-6)
        x = [g, p, *a.m, a.v, *(m / root for m in a.m), 1 / root, *fg, *tables(r, c), *fm]
        x = np.stack([normalised(f, 1e-5) for f in x], -1)
        time = np.broadcast_to(np.tanh(t / TAU - 1), (*g.shape, 11))
        out = net(np.concatenate([x, time], -1), self.weights)
        return p - self.scales[0] * out[..., 0] * np.exp(self.scales[1] * out[..., 1])


def newton_schulz(s):
    x = s / (np.linalg.norm(s) + 1e-8)
    x = x.T if x.shape[0] > x.shape[1] else x
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return x.T if s.shape[0] > s.shape[1] else x


class Celo2:
    def __init__(self, weights, rate, decay, base):
        self.weights, self.rate, self.decay, self.base = weights, rate, decay, base
        self.state = [Accumulators(shape, [0.9, 0.99, 0.999], 0.95, [0.9, 0.99, 0.999]) for shape in SHAPES]

    def step(self, j, g, p, t):
        a, g = self.state[j], np.clip(g, -1000, 1000)
        r, c, fg, fm = a.take(g)
        if g.ndim == 1 and not self.base:
            m, v = a.m[0] / (1 - 0.9**(t + 1)), a.v / (1 - 0.95**(t + 1))
            return p - 20 * self.rate * (m / np.sqrt(v + 1e-8) + self.decay * p)
        root = np.sqrt(a.v + 1e-8)
        x = [g, np.clip(g, -0.1, 0.1), p, *a.m, a.v, *(m / root for m in a.m), 1 / root, *fg, g / root, *tables(r, c), *fm]
        x = np.stack([normalised(f, 1e-9) for f in x], -1)
        first = self.weights[0]
        if g.ndim == 1:
            x, first = x[..., :15], first[:15]
        s = net(x, [first, *self.weights[1:]])[..., 0]
        if g.ndim == 2 and not self.base:
            s = newton_schulz(s)
        return p - self.rate * (normalised(s, 1e-9) + self.decay * p)


def difference(path, reference):
    """Returns |theta_C - theta| / |theta - theta_0| after some steps. Here theta_C is the result of the C library,
    and theta is the result of `reference`."""
    draw = np.random.default_rng(5)
    theta = [draw.standard_normal(shape).astype(np.float32) for shape in SHAPES]
    expected = [p.astype(float) for p in theta]
    start = np.concatenate([p.ravel() for p in expected])
    optimizer = library.Optimizer(path)
    optimizer.start(SHAPES, HORIZON, 1)
    for t in range(STEPS):
        gradients = [draw.standard_normal(shape).astype(np.float32) * (0.3 + j) for j, shape in enumerate(SHAPES)]
        optimizer.step([(g.ctypes.data, p.ctypes.data, False, 1, 0) for g, p in zip(gradients, theta)], float("nan"))
        expected = [reference.step(j, g.astype(float), p, t) for j, (g, p) in enumerate(zip(gradients, expected))]
    got, right = (np.concatenate([p.ravel() for p in each]) for each in (theta, expected))
    return np.linalg.norm(got - right) / np.linalg.norm(right - start)


def check(name, path, reference, limit=1e-5):
    apart = difference(path, reference)
    print(f"{name}: the C library differs from NumPy by {apart:.1e}")
    expect(apart <= limit, f"{name}: {apart:.1e}, limit {limit:.0e}")


def test_small_fc(draw):
    weights = weights_of([39, 32, 32, 2], draw)
    shifts = {"momentum_decays": np.array([0.01, -0.02, 0.03]), "rms_decay": np.array([-0.01]),
              "adafactor_decays": np.array([0.02, 0.01, -0.03])}
    options = {"step_scale": 0.01, "exponent_scale": 0.1}
    named = {f"layer{k // 2 + 1}.{'bias' if k % 2 else 'weight'}": a for k, a in enumerate(weights)}
    warploom.import_weights("small_fc", {**named, **shifts}, "small_fc.h5", options=options)
    check("small_fc", "small_fc.h5", SmallFc(weights, shifts, 0.01, 0.1))
    flat = np.concatenate([a.ravel() for a in weights])
    expect(flat.size == 2402, f"small_fc has {flat.size} weights")
    warploom.import_weights("small_fc", flat, "flat.h5", options=options)
    check("small_fc, one array", "flat.h5", SmallFc(weights, {k: 0 * v for k, v in shifts.items()}, 0.01, 0.1))


def test_celo2(draw):
    weights = weights_of([30, 8, 8, 3], draw)
    flat = np.concatenate([a.ravel() for a in weights])
    expect(flat.size == 347, f"celo2 has {flat.size} weights")
    warploom.import_weights("celo2", flat, "celo2.h5", options={"rate": 0.01, "weight_decay": 0.1})
    check("celo2", "celo2.h5", Celo2(weights, 0.01, 0.1, False))
    warploom.import_weights("celo2base", weights, "base.h5", options={"rate": 0.01})
    check("celo2base", "base.h5", Celo2(weights, 0.01, 0, True))
    warploom.export_npz("celo2.h5", "celo2.npz")
    with np.load("celo2.npz") as archive:
        expect(np.array_equal(archive["layer2.weight"], weights[2]), "export_npz gives other weights")


def expect_error(words, *given, **options):
    try:
        warploom.import_weights(*given, **options)
    except warploom.ToolError as error:
        expect(words in str(error), f"'{error}', expected '{words}'")
        return
    expect(False, f"no error; expected '{words}'")


def test_errors(draw):
    weights = weights_of([30, 8, 8, 3], draw)
    expect_error("346 weights", "celo2", np.zeros(346), "bad.h5")
    expect_error("layer1.weight has the shape", "small_fc", weights, "bad.h5")
    expect_error("can be imported only for", "lstm", weights, "bad.h5")
    expect_error("not finite", "celo2", np.full(347, np.nan), "bad.h5")
    expect_error("rule.rat", "celo2", weights, "bad.h5", options={"rat": 1})
    named = {f"layer{k // 2 + 1}.{'bias' if k % 2 else 'weight'}": a for k, a in enumerate(weights)}
    expect_error("no meta-parameters 'extra'", "celo2", {**named, "extra": [1.0]}, "bad.h5")
    expect_error("nowhere/bad.h5", "celo2", weights, "nowhere/bad.h5")
    expect(not os.path.exists("bad.h5"), "a refused import leaves a file")


def main():
    draw = np.random.default_rng(3)
    test_small_fc(draw)
    test_celo2(draw)
    test_errors(draw)
    evaluation = warploom.evaluate("celo2.h5", "evaluation.h5", quiet=True, seeds=2, units=1, steps=20)
    expect(np.isfinite(evaluation.cases[0].final[0]).all(), "the program does not run imported weights")
    print("ok")


main()
