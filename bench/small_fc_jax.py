#!/usr/bin/env python3
"""Runs the meta-step of small_fc.yaml in JAX in float32. The script small_fc.py measures this program. One meta-step
is one function that `jit` compiles.

    small_fc_jax.py [--form plain|columns|folded] [--over vmap|map] [--check]

A meta-step runs 50 inner steps of 8 antithetic pairs with lax.scan. The meta-step then computes the PES estimate and
updates the rule by Adam. The formulas are in src/rule/feature_net.h.

- `plain`: The features of a coordinate are a row of the network's input (n, 39).
- `columns`: The features of a coordinate are a column of the network's input (39, n).
- `folded`: The layout is that of `columns`. Two small products compute what the row moments and the column moments
  contribute to the first layer, and broadcasting adds both contributions to each coordinate. The weights of the
  first layer include the factors that normalise the features. The bias of the first layer includes the contribution
  of the time inputs.
- `vmap`: All 16 particles are computed in one batch.
- `map`: The particles are computed one after another by jax.lax.map.

--check compares three steps of the rule in float64 with tests/reference/tensor_rules.py, and then stops."""

import argparse
import os
import sys

import numpy as np

import versus

parser = argparse.ArgumentParser()
parser.add_argument("--form", choices=("plain", "columns", "folded"), default="folded")
parser.add_argument("--over", choices=("vmap", "map"), default="map")
parser.add_argument("--check", action="store_true")
arguments = parser.parse_args()

import jax  # noqa: E402  (imported after the arguments have been checked)
import jax.numpy as jnp  # noqa: E402
import jaxlib  # noqa: E402
from jax import lax  # noqa: E402

UNITS, WINDOW, BATCH, SIGMA, RATE = 8, 50, 128, 0.01, 1e-4
SHAPES = {"w1": (64, 32), "b1": (32,), "w2": (32, 10), "b2": (10,)}
SIZE = sum(int(np.prod(shape)) for shape in SHAPES.values())
TAU = np.array([1, 3, 10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5])
SCALE = 1e-3


# ---- The rule: AdafacMLPLOpt ------------------------------------------------------------------------

def decay(first, shift):
    return 1 - (1 - first) * jnp.exp(10 * shift)


def decays(phi):
    first = jnp.array([0.9, 0.99, 0.999], phi["m"].dtype)
    return decay(first, phi["m"]), decay(0.999, phi["v"]), decay(first, phi["factored"])


def rsqrt_above(x):
    return lax.rsqrt(jnp.maximum(x, 1e-9))


def state_start(shape, dtype):
    r = shape if len(shape) == 1 else (shape[0], 1) if shape[0] <= shape[1] else (1, shape[1])
    c = (0,) if len(shape) == 1 else (1, shape[1]) if shape[0] <= shape[1] else (shape[0], 1)
    return {"m": jnp.zeros((3, *shape), dtype), "v": jnp.zeros(shape, dtype),
            "r": jnp.zeros((3, *r), dtype), "c": jnp.zeros((3, *c), dtype)}


def moments(phi, g, s):
    """Returns the new state, and the two factors by which the features multiply the gradient g and the momentum m."""
    bm, bv, bf = decays(phi)
    wide = lambda b: b.reshape(3, *[1] * g.ndim)
    follow = lambda old, mean: wide(bf) * old + (1 - wide(bf)) * mean
    square = g * g + 1e-30
    new = {"m": wide(bm) * s["m"] + (1 - wide(bm)) * g, "v": bv * s["v"] + (1 - bv) * g * g}
    if g.ndim == 1:
        v = follow(s["r"], square)
        return {**new, "r": v, "c": s["c"]}, rsqrt_above(v + 1e-9), lax.rsqrt(v + 1e-6)
    largest = 1 if g.shape[1] >= g.shape[0] else 0
    r = follow(s["r"], square.mean(largest, keepdims=True))
    c = follow(s["c"], square.mean(1 - largest, keepdims=True))
    factor = rsqrt_above(r / (r.mean(2 - largest, keepdims=True) + 1e-9)) * rsqrt_above(c)
    return {**new, "r": r, "c": c}, factor, factor


def own_features(g, p, s, g_factor, m_factor):
    """Returns the features that have a separate value for each coordinate, as an array (16, ...). The 16 features
    consist of groups of 2, 3, 1, 3, 1, 3 and 3 features, in the order in which this function lists them."""
    inverse = lax.rsqrt(s["v"] + 1e-6)
    return jnp.concatenate([jnp.stack([g, p]), s["m"], s["v"][None], s["m"] * inverse, inverse[None], g * g_factor,
                            s["m"] * m_factor])


def table_features(s):
    """Returns two arrays (6, ...): the features that have one value for each row, and those that have one value for
    each column. For a vector, both arrays contain the features of the rows."""
    r, c = s["r"], s["r"] if s["c"].size == 0 else s["c"]
    return jnp.concatenate([r, lax.rsqrt(r + 1e-8)]), jnp.concatenate([c, lax.rsqrt(c + 1e-8)])


def normaliser(x):
    """Returns 1 / sqrt(1e-5 + mean of x^2) for each channel of x, where axis 0 contains the channels."""
    return lax.rsqrt(1e-5 + (x * x).mean(tuple(range(1, x.ndim))))


# Indices of rows of the first layer's weight matrix. The three lists select the rows that multiply the features of
# coordinates, of tensor rows and of tensor columns.
OWN, ROWS, COLUMNS = [*range(13), 25, 26, 27], [13, 14, 15, 19, 20, 21], [16, 17, 18, 22, 23, 24]


def above(phi, x):
    """Computes the second and third layer of the network from the output x (32, n) of the first layer."""
    y = jax.nn.relu(phi["w2"].T @ x + phi["b2"][:, None])
    return phi["w3"].T @ y + phi["b3"][:, None]


def net_folded(phi, own, rows, columns, time, shape):
    w = phi["w1"]
    part = lambda x, at: jnp.einsum("ku,k...->u...", w[jnp.array(at)] * normaliser(x)[:, None], x)
    bias = (phi["b1"] + time @ w[28:]).reshape(-1, *[1] * len(shape))
    x = part(own.reshape(16, -1), OWN).reshape(-1, *shape) + part(rows, ROWS) + part(columns, COLUMNS) + bias
    return above(phi, jax.nn.relu(x).reshape(len(w[0]), -1))


def inputs(own, rows, columns, shape):
    tables = [jnp.broadcast_to(x, (6, *shape)) for x in (rows, columns)]
    x = jnp.concatenate([own[:13], tables[0][:3], tables[1][:3], tables[0][3:], tables[1][3:], own[13:]])
    return (x * normaliser(x).reshape(-1, *[1] * len(shape))).reshape(28, -1)


def net_columns(phi, own, rows, columns, time, shape):
    x = inputs(own, rows, columns, shape)
    x = jnp.concatenate([x, jnp.broadcast_to(time[:, None], (11, x.shape[1]))])
    return above(phi, jax.nn.relu(phi["w1"].T @ x + phi["b1"][:, None]))


def net_plain(phi, own, rows, columns, time, shape):
    x = inputs(own, rows, columns, shape).T
    x = jnp.concatenate([x, jnp.broadcast_to(time, (len(x), 11))], 1)
    for i in "12":
        x = jax.nn.relu(x @ phi["w" + i] + phi["b" + i])
    return (x @ phi["w3"] + phi["b3"]).T


NET = {"plain": net_plain, "columns": net_columns, "folded": net_folded}[arguments.form]


def rule(phi, t, g, p, s, scale=SCALE, exponent=SCALE):
    s, g_factor, m_factor = moments(phi, g, s)
    time = jnp.tanh(t / TAU.astype(g.dtype) - 1)
    out = NET(phi, own_features(g, p, s, g_factor, m_factor), *table_features(s), time, g.shape)
    return p - (scale * out[0] * jnp.exp(exponent * out[1])).reshape(g.shape), s


# ---- The meta-step ----------------------------------------------------------------------------------

def task_loss(theta, images, labels):
    hidden = jax.nn.relu(images @ theta["w1"] + theta["b1"])
    logits = hidden @ theta["w2"] + theta["b2"]
    return (jax.nn.logsumexp(logits, 1) - jnp.take_along_axis(logits, labels[:, None], 1)[:, 0]).mean()


def window(phi, theta, state, t, key, data):
    """Runs the window of one particle of a unit. Returns the last theta, the last rule state and the mean loss."""
    def step(carry, k):
        theta, state = carry
        index = jax.random.randint(jax.random.fold_in(key, k), (BATCH,), 0, len(data[0]))
        loss, g = jax.value_and_grad(task_loss)(theta, data[0][index], data[1][index])
        new = {name: rule(phi, t + k, g[name], theta[name], state[name]) for name in theta}
        return ({n: x[0] for n, x in new.items()}, {n: x[1] for n, x in new.items()}), loss
    (theta, state), losses = lax.scan(step, (theta, state), jnp.arange(WINDOW))
    return theta, state, losses.mean()


def over_particles(function, shared, *each):
    if arguments.over == "map":
        return lax.map(lambda x: function(*x, *shared), each)
    return jax.vmap(lambda *x: function(*x, *shared))(*each)


def draw_like(key, tree):
    leaves, shape = jax.tree.flatten(tree)
    return jax.tree.unflatten(shape, [SIGMA * jax.random.normal(jax.random.fold_in(key, i), x.shape)
                                      for i, x in enumerate(leaves)])


def meta_step(carry, data):
    phi, adam, theta, state, accumulated, t, key = carry
    key, draw, batches = jax.random.split(key, 3)
    eps = jax.vmap(lambda k: draw_like(k, phi))(jax.random.split(draw, UNITS))
    accumulated = jax.tree.map(lambda a, e: jnp.where(t == 0, 0, a) + e, accumulated, eps)
    both = jax.tree.map(lambda x, e: jnp.concatenate([x + e, x - e]), phi, eps)
    keys = jnp.tile(jax.random.split(batches, UNITS), (2, 1))
    theta, state, loss = over_particles(lambda phi, theta, state, key, *rest: window(phi, theta, state, t, key, *rest),
                                        (data,), both, theta, state, keys)
    slope = (loss[:UNITS] - loss[UNITS:]) / (2 * SIGMA ** 2) / UNITS
    gradient = jax.tree.map(lambda a: jnp.tensordot(slope, a, 1), accumulated)
    count = adam["count"] + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, adam["m"], gradient)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, adam["v"], gradient)
    phi = jax.tree.map(lambda x, m, v: x - RATE * (m / (1 - 0.9 ** count)) / (jnp.sqrt(v / (1 - 0.999 ** count)) + 1e-8),
                       phi, m, v)
    return (phi, {"m": m, "v": v, "count": count}, theta, state, accumulated, t + WINDOW, key), loss.mean()


# ---- Start, check and measurement --------------------------------------------------------------------

def phi_start(key):
    sizes = [39, 32, 32, 2]
    phi = {"m": jnp.zeros(3), "v": jnp.zeros(()), "factored": jnp.zeros(3)}
    for i, (n, units) in enumerate(zip(sizes, sizes[1:]), 1):
        phi[f"w{i}"] = jax.random.truncated_normal(jax.random.fold_in(key, i), -2, 2, (n, units)) / np.sqrt(n)
        phi[f"b{i}"] = jnp.zeros(units)
    return phi


def theta_start(key):
    return {name: jax.random.truncated_normal(jax.random.fold_in(key, i), -2, 2, shape) / np.sqrt(shape[0])
            if len(shape) == 2 else jnp.zeros(shape) for i, (name, shape) in enumerate(SHAPES.items())}


def carry_start():
    key = jax.random.PRNGKey(1)
    phi = phi_start(key)
    # `jit` reuses the memory of each argument for the results, so two arguments must not be the same array
    zeros = lambda: jax.tree.map(jnp.zeros_like, phi)
    one = jax.vmap(theta_start)(jax.random.split(key, UNITS))
    theta = jax.tree.map(lambda x: jnp.concatenate([x, x]), one)
    state = jax.tree.map(lambda x: jnp.zeros((2 * UNITS, *x.shape)),
                         {name: state_start(shape, jnp.float32) for name, shape in SHAPES.items()})
    accumulated = jax.tree.map(lambda x: jnp.zeros((UNITS, *x.shape)), phi)
    return phi, {"m": zeros(), "v": zeros(), "count": 0}, theta, state, accumulated, 0, key


def load_data():
    from meta_step_data import load_images
    images, labels = load_images()
    small = jax.image.resize(jnp.asarray(images, jnp.float32).reshape(-1, 28, 28) / 255, (len(images), 8, 8), "linear",
                             antialias=False)
    return small.reshape(-1, 64), jnp.asarray(labels)


def check():
    """Compares three steps of the rule with the reference in NumPy. Prints the largest relative difference. Returns 0
    if this difference is small enough, otherwise 1."""
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "reference"))
    import tensor_rules
    jax.config.update("jax_enable_x64", True)
    tensor_rules.SHAPES = list(SHAPES.values())
    reference, draw = tensor_rules.FeatureNet("small_fc", [32, 32], scale=0.1, exponent=0.3), np.random.default_rng(1)
    flat = iter([x for layer in reference.layers for x in layer])
    phi = {f"{kind}{i}": jnp.asarray(next(flat)) for i in (1, 2, 3) for kind in "wb"}
    phi.update(zip(("m", "v", "factored"), np.split(reference.phi[-7:], (3, 4))))
    phi = {name: jnp.asarray(x if name != "v" else x[0]) for name, x in phi.items()}
    state = {name: state_start(shape, jnp.float64) for name, shape in SHAPES.items()}
    theta = {name: jnp.asarray(0.3 * draw.standard_normal(shape)) for name, shape in SHAPES.items()}
    worst = 0.0
    for t in range(3):
        g = {name: 0.1 * draw.standard_normal(shape) for name, shape in SHAPES.items()}
        want = reference.step(t, list(g.values()), [np.asarray(x) for x in theta.values()], 0)
        for name, u in zip(SHAPES, want):
            new, state[name] = rule(phi, t, jnp.asarray(g[name]), theta[name], state[name], 0.1, 0.3)
            worst = max(worst, float(np.max(np.abs(new - theta[name] - u)) / np.max(np.abs(u))))
            theta[name] = new
    good = worst <= 1e-9
    print(f"{arguments.form}: {'ok' if good else 'WRONG'}: largest relative difference {worst:.1e}")
    return 0 if good else 1


def main():
    if arguments.check:
        return check()
    data = load_data()
    step = jax.jit(meta_step, donate_argnums=0)
    carry, loss = step(carry_start(), data)

    def once():
        nonlocal carry, loss
        carry, loss = step(carry, data)
        loss.block_until_ready()
    if not np.isfinite(loss):
        raise SystemExit("small_fc_jax: the loss is not finite")
    versus.serve(versus.repeated(once), f"jax {jax.__version__}, jaxlib {jaxlib.__version__}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
