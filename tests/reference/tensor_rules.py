#!/usr/bin/env python3
"""Computes reference values of the update rules that use the shapes of tensors, from their formulas, in NumPy with
float64.

The script writes tensor_rules_values.h. For each case, this header contains the updates of STEPS steps with a fixed
sequence of gradients. The tensors have the shapes SHAPES. This command
writes the header again:

    /usr/bin/python3 tests/reference/tensor_rules.py > tests/reference/tensor_rules_values.h"""
import math

import numpy as np

STEPS, T = 3, 4
SHAPES = [(7,), (17, 16), (3, 16), (3, 2, 2, 2), (1,)]
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
    return np.sqrt(np.mean(x * x))


def newton_schulz(x):
    """Applies five Newton-Schulz steps to a matrix. The number of rows of the Gram matrix is the smaller dimension of
    the matrix."""
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
    """Runs the rule `controller`. If `net` is false, the rule has no network."""

    def __init__(self, net, ns, correction=None, precondition=False):
        self.net, self.ns, self.correction, self.precondition = net, ns, correction, precondition
        first = [math.log(.065), 1, 0, 0, .45, 0, .35, .35, 0, .03, .25, .8, 0, 0]
        second = [math.log(.007), 0, 1, 0, .3, .05, .4, .5, 0, .03, .25, .7, 0, 0]
        sole = [math.log(.185), 0, 1, 0, .45, .05, .55, 0, -.2, 0, -.7, .7, 1.6, .25]
        if not ns:
            first[1:4] = 0, 1, 0
        count = 42 + (17 * 16 + 16 + 16 * 16 + 16 + 6 * 16 + 6 if net else 0)
        rows, inputs = {"mlp": (8, 4), "lstm": (32, 12), None: (0, 0)}[correction]
        count += (rows * (inputs + 1) + 9 if correction else 0)
        self.phi = wiggle(count)
        phi = self.phi + np.array(first + second + sole + [0.0] * (count - 42))
        self.base = phi[:42].reshape(3, 14)  # the third row is for a network with only one matrix
        if net:
            sizes, at, self.layers = [17, 16, 16, 6], 42, []
            for i, o in zip(sizes, sizes[1:]):
                w = phi[at:at + i * o].reshape(o, i)
                self.layers.append((w, phi[at + i * o:at + i * o + o]))
                at += i * o + o
        self.m, self.s, self.v = ([np.zeros(s) for s in SHAPES] for _ in range(3))
        self.fast = self.slow = 0.0
        if correction:
            at = count - rows * (inputs + 1) - 9
            self.hidden = phi[at:at + rows * inputs].reshape(rows, inputs), phi[at + rows * inputs:count - 9]
            self.head = phi[count - 9:]
            self.h, self.c = ([np.zeros(s + (8,)) for s in SHAPES] for _ in range(2))

    def corrected(self, j, u, inputs):
        """Returns the corrected update. A network scales each coordinate.
        The inputs of the network are the normalised gradient, the momenta and the time."""
        weight, bias = self.hidden
        if self.correction == "mlp":
            h = np.tanh(inputs @ weight.T + bias)
        else:
            sigmoid = lambda x: 1 / (1 + np.exp(-x))
            i, candidate, f, o = np.split(np.concatenate([inputs, self.h[j]], axis=-1) @ weight.T + bias, 4, axis=-1)
            self.c[j] = sigmoid(f + 1) * self.c[j] + sigmoid(i) * np.tanh(candidate)
            h = self.h[j] = sigmoid(o) * np.tanh(self.c[j])
        return u * np.exp(3 * np.tanh((h @ self.head[:8] + self.head[8]) / 3))

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
        cos = lambda a, b: np.sum(a * b) / np.sqrt(np.sum(a * a) * np.sum(b * b))
        denominators = [np.sqrt(y) + 1e-8 * rms(np.sqrt(y)) for y in v]
        own = [[cos(g[j], m[j]), cos(m[j], s[j]), cos(p[j], m[j]),
                np.log(rms(m[j]) / rms(np.sqrt(v[j]))), np.log(rms(s[j]) / rms(np.sqrt(v[j]))),
                rms(m[j] / denominators[j])] for j in range(len(SHAPES))]
        both = [2 * x - 1, 2 * (1 - x) ** 4 - 1, math.exp(-t / 10), math.exp(-t / 100),
                min(2, max(-2, (math.log(T) - 6) / 1.5)), np.clip(np.log(fast / slow), -3, 3),
                np.clip(np.log(fast / self.first), -3, 3), 3 * math.exp(-20 * (1 - x)),
                sum(o[0] for o in own) / len(own), sum(o[1] for o in own) / len(own)]
        sizes = [rms(p[j]) * math.sqrt(fan_in(s)) for j, s in enumerate(SHAPES) if len(s) > 1]
        updates = []
        for j, shape in enumerate(SHAPES):
            matrix = len(shape) > 1
            b, a0, a1, a2, k1, k2, tau, alpha, q, w, decline, deepen, quiet, trust = self.base[0 if matrix else 1]
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
                half = np.sqrt(np.sqrt(v[j]) + .1 * rms(np.sqrt(v[j]))) if self.precondition else 1
                n = orthogonal(z / half, flat=True)
                u = u + (a0 + o[1]) * n / rms(n)
            r = rms(p[j]) * math.sqrt(fan_in(shape)) if matrix else sum(sizes) / len(sizes)
            rate = np.exp(b) * (T / 2000) ** -tau * r ** alpha * (1 - x) ** np.exp(q)
            rate = rate * min(1, (t + 1) / (max(w, 0) * T + 1)) * np.exp(3 * np.tanh(o[0] / 3))
            rate = rate * (len(sizes) / 3) ** -deepen
            rate = rate * np.exp(decline * min(0, np.log(fast / self.first)) + quiet * min(0, own[j][4] - own[j][3]))
            averaged = .01 / 1.99 * (1 + .99 ** (t + 1)) / (1 - .99 ** (t + 1))  # variance of s, divided by the variance of g
            share = (rms(s[j]) ** 2 / rms(np.sqrt(v[j])) ** 2 - averaged) / (1 - averaged) if t else 1
            rate = rate * ((max(0, share) + .02) / .52) ** trust
            if matrix:
                rate = rate / math.sqrt(fan_in(shape))
            if self.correction:
                own_inputs = [y / denominators[j] for y in (g[j], m[j], s[j])] + [np.full(shape, 2 * x - 1)]
                u = self.corrected(j, u, np.stack(own_inputs, axis=-1))
            updates.append(-rate * u)
        return updates


class Muon:
    """Runs Muon of Jordan et al. 2024, with a learning rate that decreases linearly to 0 at step T. Vectors are updated
    by Adam with 0.3 times the learning rate."""

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


DECAYS = {"mlp": ([.1, .5, .9, .99, .999, .9999], None), "small_fc": ([.9, .99, .999], .999),
          "celo2": ([.9, .99, .999], .95)}
FACTORED = [.9, .99, .999]
TAU = [1, 3, 10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5]


def safe_rsqrt(x):
    return 1 / np.sqrt(np.maximum(x, 1e-9))


class FeatureNet:
    """Runs MLPLOpt, AdafacMLPLOpt and Celo2. The decays of small_fc are changed by meta-parameters."""

    def __init__(self, kind, hidden, base=False, ns=False, **options):
        self.kind, self.base, self.ns, self.options = kind, base, ns, options
        self.count = {"mlp": 8, "small_fc": 28, "celo2": 30}[kind]
        sizes = [self.count + (0 if kind == "celo2" else 11)] + hidden + [3 if kind == "celo2" else 2]
        learned = 7 if kind == "small_fc" else 0
        self.phi = phi = wiggle(sum(i * o + o for i, o in zip(sizes, sizes[1:])) + learned)
        self.layers, at = [], 0
        for i, o in zip(sizes, sizes[1:]):
            self.layers.append((phi[at:at + i * o].reshape(i, o), phi[at + i * o:at + i * o + o]))
            at += i * o + o
        self.beta, self.beta2 = DECAYS[kind]
        self.factored = FACTORED
        if learned:
            change = lambda b, x: 1 - np.exp(10 * (math.log(1 - b) / 10 + x))
            self.beta = [change(b, x) for b, x in zip(self.beta, phi[at:at + 3])]
            self.beta2 = change(self.beta2, phi[at + 3])
            self.factored = [change(b, x) for b, x in zip(self.factored, phi[at + 4:at + 7])]
        self.m = [[np.zeros(s) for _ in self.beta] for s in SHAPES]
        self.v = [np.zeros(s) for s in SHAPES]
        self.r, self.c = [[0.0] * 3 for _ in SHAPES], [[0.0] * 3 for _ in SHAPES]

    def inputs(self, j, g, p):
        """Updates the accumulators of tensor j with g. Returns the features before normalisation."""
        shape = SHAPES[j]
        if self.kind == "celo2":
            g = np.clip(g, -1000, 1000)
        m = self.m[j] = [b * x + (1 - b) * g for b, x in zip(self.beta, self.m[j])]
        if self.kind == "mlp":
            return [g, p] + m
        v = self.v[j] = self.beta2 * self.v[j] + (1 - self.beta2) * g * g
        inverse = 1 / np.sqrt(v + (1e-6 if self.kind == "small_fc" else 1e-8))
        scaled_g, rows, columns, inverse_r, inverse_c, scaled_m = [], [], [], [], [], []
        for k, b in enumerate(self.factored):
            square = g * g + 1e-30
            if len(shape) < 2:
                f = self.r[j][k] = b * self.r[j][k] + (1 - b) * square
                scaled_g.append(g * safe_rsqrt(f + 1e-9))
                r = c = f
                scaled_m.append(m[k] / np.sqrt(f + 1e-6))
            else:
                second, largest = np.argsort(shape, kind="stable")[-2:]
                r = self.r[j][k] = b * self.r[j][k] + (1 - b) * square.mean(axis=largest, keepdims=True)
                c = self.c[j][k] = b * self.c[j][k] + (1 - b) * square.mean(axis=second, keepdims=True)
                factor = safe_rsqrt(r / (r.mean(axis=second, keepdims=True) + 1e-9)) * safe_rsqrt(c)
                scaled_g.append(g * factor)
                scaled_m.append(m[k] * factor)
            rows.append(r + 0 * g)
            columns.append(c + 0 * g)
            inverse_r.append(1 / np.sqrt(r + 1e-8) + 0 * g)
            inverse_c.append(1 / np.sqrt(c + 1e-8) + 0 * g)
        tail = rows + columns + inverse_r + inverse_c + scaled_m
        if self.kind == "small_fc":
            return [g, p] + m + [v] + [x * inverse for x in m] + [inverse] + scaled_g + tail
        return ([g, np.clip(g, -.1, .1), p] + m + [v] + [x * inverse for x in m] + [inverse] + scaled_g +
                [g * inverse] + tail)

    def normalise(self, x):
        if self.kind != "celo2":
            return x / np.sqrt(1e-5 + np.mean(x * x))
        axes = (0, 1) if x.ndim > 1 else 0
        return x / np.sqrt(1e-9 + np.mean(x * x, axis=axes, keepdims=True))

    def net(self, x):
        for i, (w, b) in enumerate(self.layers):
            x = x @ (w[:x.shape[-1]] if self.kind == "celo2" and i == 0 else w) + b
            if i + 1 < len(self.layers):
                x = np.maximum(x, 0)
        return x

    def step(self, t, g, p, value):
        updates, o = [], self.options
        for j, shape in enumerate(SHAPES):
            raw = self.inputs(j, g[j], p[j])
            x = np.stack([self.normalise(f) for f in raw], axis=-1)
            if self.kind != "celo2":
                times = np.tanh(t / np.array(TAU) - 1)
                out = self.net(np.concatenate([x, np.broadcast_to(times, shape + (11,))], axis=-1))
                updates.append(-o["scale"] * out[..., 0] * np.exp(o["exponent"] * out[..., 1]))
                continue
            rate = o["rate"] * (1 - t / T)
            if len(shape) < 2 and not self.base:
                m, v = self.m[j][0] / (1 - .9 ** (t + 1)), self.v[j] / (1 - .95 ** (t + 1))
                updates.append(-20 * rate * (m / np.sqrt(v + 1e-8) + o["decay"] * p[j]))
                continue
            d = self.net(x if len(shape) > 1 else x[..., :15])[..., 0]
            if self.ns:
                d = orthogonal(d)
            updates.append(-rate * (self.normalise(d) + o["decay"] * p[j]))
        return updates


class RNNprop:
    """Runs RNNprop of Lv, Jiang and Li 2017. If `rate` is not 0, the network has a second output e, and the rule adds
    an update of Adam with the learning rate rate * exp(e). If `plain` is true, the network has no dense layer before
    the LSTM, and the output has no tanh."""

    def __init__(self, hidden, rate=0, plain=False):
        self.hidden, self.rate, self.plain = hidden, rate, plain
        sizes, n = ([], 2) if plain else ([(hidden[0], 2), (hidden[0],)], hidden[0])
        for h in hidden:
            sizes += [(4 * h, n + h), (4 * h,)]
            n = h
        heads = 2 if rate else 1
        sizes += [(heads, n), (heads,)]
        phi, at, self.w = wiggle(sum(math.prod(s) for s in sizes)), 0, []
        for s in sizes:
            self.w.append(phi[at:at + math.prod(s)].reshape(s))
            at += math.prod(s)
        self.m, self.v = np.zeros(N), np.zeros(N)
        self.h, self.c = ([np.zeros((N, h)) for h in hidden] for _ in range(2))

    def step(self, t, g, p, value):
        g, sigmoid = join(g), lambda x: 1 / (1 + np.exp(-x))
        self.m, self.v = .95 * self.m + .05 * g, .95 * self.v + .05 * g * g
        q = 1 / (1 - .95 ** (t + 1))
        below = np.sqrt(self.v * q) + 1e-8
        adam = self.m * q / below
        y, first = np.stack([g / below, adam], axis=-1), 0
        if not self.plain:
            y, first = y @ self.w[0].T + self.w[1], 2
            y = np.where(y > 0, y, np.exp(np.minimum(y, 0)) - 1)
        for l in range(len(self.hidden)):
            z = np.concatenate([y, self.h[l]], axis=-1) @ self.w[first + 2 * l].T + self.w[first + 1 + 2 * l]
            i, j, f, o = np.split(z, 4, axis=-1)
            self.c[l] = sigmoid(f + 1) * self.c[l] + sigmoid(i) * np.tanh(j)
            self.h[l] = y = sigmoid(o) * np.tanh(self.c[l])
        out = y @ self.w[-2].T + self.w[-1]
        u = .1 * out[..., 0] if self.plain else -.1 * np.tanh(out[..., 0])
        return split(u - self.rate * np.exp(out[..., 1]) * adam if self.rate else u)


class Lbfgs:
    """Runs L-BFGS. The rule computes the inverse Hessian H as a matrix. BFGS updates are applied to H_0, from the
    oldest pair to the newest."""

    def __init__(self, memory, sliced, rate=1, first=.03, damping=1e-3, growth=3):
        phi = np.log([rate] * 4 + [first, damping, growth, 1]) + wiggle(8)
        self.rates, (self.first, self.damping, self.growth, self.scale) = phi[:4], np.exp(phi[4:])
        self.memory, self.sliced, self.before, self.pairs = memory, sliced, None, {}

    def rows(self, x):
        """Returns the slices of a tensor as the rows of a matrix."""
        return x.reshape(x.shape[0] if self.sliced and x.ndim >= 2 else 1, -1)

    def update(self, key, rate, g, s, y):
        pairs, n, norm = self.pairs.setdefault(key, []), len(g), np.linalg.norm
        if s is not None:
            y = y + self.damping * norm(y) / norm(s) * s
            if s @ y > 1e-4 * norm(s) * norm(y):
                pairs[:] = (pairs + [(s, y)])[-self.memory:]
        if not pairs:
            return -self.first * math.sqrt(n) * g / norm(g)
        s, y = pairs[-1]
        h = self.scale * (s @ y) / (y @ y) * np.eye(n)
        for s, y in pairs:
            v = np.eye(n) - np.outer(y, s) / (s @ y)
            h = v.T @ h @ v + np.outer(s, s) / (s @ y)
        u, bound = -rate * h @ g, self.growth * max(norm(s) for s, _ in pairs)
        return u * min(1, bound / norm(u))

    def step(self, t, g, p, value):
        rate, out = math.exp(np.interp(3 * t / T, np.arange(4), self.rates)), []
        for j in range(len(SHAPES)):
            rows = self.rows(g[j])
            if t > 0:
                s, y = (self.rows(now[j] - before[j]) for now, before in zip((p, g), self.before))
            out.append(np.reshape([self.update((j, i), rate, row, *((s[i], y[i]) if t > 0 else (None, None)))
                                   for i, row in enumerate(rows)], SHAPES[j]))
        self.before = [x.copy() for x in p], [x.copy() for x in g]
        return out


CASES = [
    ("name: rnnprop, hidden: [3, 2]", lambda: RNNprop([3, 2])),
    ("name: rnnprop, hidden: [3, 2], rate: 0.02", lambda: RNNprop([3, 2], .02)),
    ("name: lstm, preprocessing: adam, hidden: [3, 2], rate: 0.02", lambda: RNNprop([3, 2], .02, plain=True)),
    ("name: lstm, preprocessing: adam, hidden: [4], rate: 0", lambda: RNNprop([4], plain=True)),
    ("name: mlp, hidden: [32, 32], step_scale: 0.1, exponent_scale: 0.3",
     lambda: FeatureNet("mlp", [32, 32], scale=.1, exponent=.3)),
    ("name: small_fc, step_scale: 0.1, exponent_scale: 0.3",
     lambda: FeatureNet("small_fc", [4, 4], scale=.1, exponent=.3)),
    ("name: small_fc, hidden: [6], step_scale: 0.1, exponent_scale: 0.3",
     lambda: FeatureNet("small_fc", [6], scale=.1, exponent=.3)),
    ("name: small_fc, hidden: [32, 32], step_scale: 0.1, exponent_scale: 0.1",
     lambda: FeatureNet("small_fc", [32, 32], scale=.1, exponent=.1)),
    ("name: celo2, rate: 0.01, weight_decay: 0.1, schedule: linear",
     lambda: FeatureNet("celo2", [8, 8], ns=True, rate=.01, decay=.1)),
    ("name: celo2, hidden: [5, 6, 7], newton_schulz: false, rate: 0.01, weight_decay: 0.1, schedule: linear",
     lambda: FeatureNet("celo2", [5, 6, 7], rate=.01, decay=.1)),
    ("name: celo2base, rate: 0.01, weight_decay: 0.1, schedule: linear",
     lambda: FeatureNet("celo2", [8, 8], base=True, rate=.01, decay=.1)),
    ("name: muon, rate: 0.02, weight_decay: 0.1, schedule: linear", lambda: Muon(.02, .1)),
    ("name: lbfgs", lambda: Lbfgs(5, True)),
    ("name: lbfgs, memory: 1, growth: 0.5", lambda: Lbfgs(1, True, growth=.5)),
    ("name: lbfgs, per: tensor, rate: 0.5, first_step: 0.1, damping: 0.1, growth: 100",
     lambda: Lbfgs(5, False, .5, .1, .1, 100)),
    ("name: controller", lambda: Controller(True, True)),
    ("name: controller, net: false", lambda: Controller(False, True)),
    ("name: controller, precondition: true", lambda: Controller(True, True, precondition=True)),
    ("name: controller, newton_schulz: false", lambda: Controller(True, False)),
    ("name: controller, correction: mlp", lambda: Controller(True, True, "mlp")),
    ("name: controller, net: false, newton_schulz: false, correction: lstm", lambda: Controller(False, False, "lstm")),
]


def run(make):
    rule, theta, rows = make(), START.copy(), []
    for t in range(STEPS):
        u = join(rule.step(t, split(gradient(t)), split(theta), loss(t)))
        theta = theta + u
        rows.append(u)
    return rows


def braces(row):
    return "{" + ", ".join(f"{x:.12g}" for x in row) + "}"


def main():
    print("/* tensor_rules.py has made this file with NumPy in float64. Do not edit this file. */")
    print(f"enum {{ TENSOR_STEPS = {STEPS}, TENSOR_T = {T}, TENSOR_N = {N}, TENSOR_CASES = {len(CASES)} }};")
    print("static const struct tensor_case {\n  const char *options;\n  double u[TENSOR_STEPS][TENSOR_N];")
    print("} tensor_cases[TENSOR_CASES] = {")
    for options, make in CASES:
        rows = ",\n     ".join(braces(r) for r in run(make))
        print(f'    {{"{options}",\n    {{{rows}}}}},')
    print("};")


if __name__ == "__main__":
    main()
