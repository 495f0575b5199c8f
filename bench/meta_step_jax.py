#!/usr/bin/env python3
"""Runs complete meta-steps in JAX, for meta_step.py. One meta-step is one function that `jit` compiles.

    meta_step_jax.py TASK [--form whole|stored|blocks|stored-blocks] [--block N] [--check DUMP]

Arrays have one column for each coordinate. One product of the matrices (80, in + 20) and (in + 20, n) computes all
gates of a layer. Here `in` is the number of inputs of the layer, and n is the number of coordinates. In first order,
the meta-loss has the same gradient as sum_k <stop_gradient(g_k), theta_k(phi)>, where g_k is the gradient of the task
at inner step k. The program therefore computes the gradient of the task once at each step, and the backward pass
treats it as a constant.

- `whole`: Applies jax.value_and_grad to the window, lax.scan to the steps, and jax.checkpoint to each step.
- `stored`: Does not use jax.checkpoint, so the activations of all steps are stored.
- `blocks`: Computes the window block by block, because the coordinates are independent in first order. A forward pass
  stores only the gradients. The gradient of the window is then computed for one block of coordinates after another,
  with jax.checkpoint.
- `stored-blocks`: Computes as `blocks` does, but without jax.checkpoint.

--check compares the meta-gradient of one window with a file that `warploom check --dump` wrote, and then stops."""

import argparse
import sys

import versus
from meta_step_data import check, load_images, phi_start
from meta_step_tasks import HIDDEN, LEARNING_RATE, LOG_EPSILON, SCALE, STEPS, STRENGTH, TASKS

parser = argparse.ArgumentParser()
parser.add_argument("task", choices=TASKS)
parser.add_argument("--form", choices=("whole", "stored", "blocks", "stored-blocks"), default="whole")
parser.add_argument("--block", type=int, default=2000)
parser.add_argument("--check", metavar="DUMP")
arguments = parser.parse_args()

import jax  # noqa: E402  (imported after the arguments have been checked)
import jax.numpy as jnp  # noqa: E402
import jaxlib  # noqa: E402
from jax import lax  # noqa: E402

KEEP = arguments.form.startswith("stored")
BLOCKED = arguments.form.endswith("blocks")


# ---- The coordinatewise LSTM with one column for each coordinate --------------------------------

def inputs(g):
    size = jnp.maximum(jnp.log(jnp.abs(g) + LOG_EPSILON) / STRENGTH, -1.0)
    return jnp.stack([size, jnp.clip(g * jnp.exp(STRENGTH), -1.0, 1.0)])


def layer(weight, bias, below, h, c):
    enter, candidate, forget, leave = jnp.split(
        weight @ jnp.concatenate([below, h]) + bias[:, None], 4)
    c = jax.nn.sigmoid(forget + 1.0) * c + jax.nn.sigmoid(enter) * jnp.tanh(candidate)
    return jax.nn.sigmoid(leave) * jnp.tanh(c), c


def rule(phi, g, state):
    """Returns the update (n) and the new state for the gradient g (n) and a state of four arrays (20, n)."""
    h1, c1, h2, c2 = state
    h1, c1 = layer(phi["lstm1.weight"], phi["lstm1.bias"], inputs(g), h1, c1)
    h2, c2 = layer(phi["lstm2.weight"], phi["lstm2.bias"], h1, h2, c2)
    u = phi["output.weight"] @ h2 + phi["output.bias"][:, None]
    return SCALE * u[0], (h1, c1, h2, c2)


trained_rule = rule if KEEP else jax.checkpoint(rule)


# ---- The loss of a task for a flat theta and a batch --------------------------------------------

def quadratic_loss(theta, batch):
    w, y = batch
    return jnp.sum((jnp.einsum("bij,bj->bi", w, theta.reshape(y.shape)) - y) ** 2) / len(y)


def perceptron_loss(theta, batch):
    x, labels = batch
    pixels, width, classes = x.shape[1], TASKS[arguments.task]["width"], 10
    sizes = [pixels * width, width, width * classes, classes]
    at = [sum(sizes[:i]) for i in range(5)]
    w1, b1, w2, b2 = (theta[at[i]:at[i + 1]] for i in range(4))
    hidden = jax.nn.sigmoid(x @ w1.reshape(pixels, width) + b1)
    logits = hidden @ w2.reshape(width, classes) + b2
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], 1))


task_gradient = jax.value_and_grad(perceptron_loss if "width" in TASKS[arguments.task] else quadratic_loss)


# ---- A window function returns the loss, the phi gradient, theta, and the state -----------------

def whole_window(phi, theta, state, batch_of):
    def window(phi):
        def step(carry, k):
            theta, state, total, loss = carry
            value, g = task_gradient(lax.stop_gradient(theta), batch_of(k))
            u, state = trained_rule(phi, g, state)
            return (theta + u, state, total + jnp.vdot(g, theta), loss + value), None
        (last, after, total, loss), _ = lax.scan(step, (theta, state, 0.0, 0.0), jnp.arange(STEPS))
        value, g = task_gradient(lax.stop_gradient(last), batch_of(STEPS))
        return total + jnp.vdot(g, last), (loss + value, last, after)
    (_, (loss, theta, state)), gradient = jax.value_and_grad(window, has_aux=True)(phi)
    return loss, gradient, theta, state


def cut(rows):
    """Pads the last axis with zeros and divides it into blocks: (..., n) becomes (number of blocks, ..., block
    size)."""
    block = min(arguments.block, rows.shape[-1])
    count = -(-rows.shape[-1] // block)
    filled = jnp.pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, count * block - rows.shape[-1])])
    return jnp.moveaxis(filled.reshape(*rows.shape[:-1], count, block), -2, 0)


def join(blocks, n):
    return jnp.moveaxis(blocks, 0, -2).reshape(*blocks.shape[1:-1], -1)[..., :n]


def blocked_window(phi, theta, state, batch_of):
    """Computes a window, one block of coordinates after another. The state remains divided into blocks between
    windows."""
    n = theta.size

    def forward(carry, k):
        theta, state, loss = carry
        value, g = task_gradient(theta, batch_of(k))
        u, state = lax.map(lambda block: rule(phi, *block), (cut(g), state))
        return (theta + join(u, n), state, loss + value), g
    (last, after, loss), gs = lax.scan(forward, (theta, state, 0.0), jnp.arange(STEPS))
    value, g = task_gradient(last, batch_of(STEPS))

    # Apart from a term of theta_0, which does not depend on phi, sum_k <g_k, theta_k> equals the sum over k of
    # <g_{k+1} + ... + g_STEPS, u_k>, where u_k is the update of step k.
    later = jnp.cumsum(jnp.concatenate([g[None], gs[:0:-1]]), axis=0)[::-1]

    def share(phi, gs, later, state):
        def step(carry, now):
            total, state = carry
            u, state = trained_rule(phi, now[0], state)
            return (total + jnp.vdot(now[1], u), state), None
        return lax.scan(step, (0.0, state), (gs, later))[0][0]

    def add(gradient, block):
        return jax.tree.map(jnp.add, gradient, jax.grad(share)(phi, *block)), None
    gradient, _ = lax.scan(add, jax.tree.map(jnp.zeros_like, phi), (cut(gs), cut(later), state))
    return loss + value, gradient, last, after


window = blocked_window if BLOCKED else whole_window


def zero_state(n):
    state = tuple(jnp.zeros((HIDDEN, n)) for _ in range(4))
    return jax.tree.map(cut, state) if BLOCKED else state


# ---- Complete meta-steps ---------------------------------------------------------------------------

def adam(phi, gradient, moments, t):
    first, second = moments
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
    rate = LEARNING_RATE * jnp.sqrt(1 - 0.999 ** t) / (1 - 0.9 ** t)
    phi = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), phi, first, second)
    return phi, (first, second)


class Training:
    """Runs episodes of five windows, with one update of phi after each window."""

    def __init__(self):
        self.setting = TASKS[arguments.task]
        self.images = "width" in self.setting
        self.data = tuple(map(jnp.asarray, load_images())) if self.images else ()
        self.phi = jax.tree.map(jnp.asarray, phi_start())
        self.moments = tuple(jax.tree.map(jnp.zeros_like, self.phi) for _ in range(2))
        self.key = jax.random.key(1)
        self.windows = 0
        self.begin = jax.jit(self.draw_episode)
        self.step = jax.jit(self.meta_step, donate_argnums=(0, 1, 3, 4))

    def draw_episode(self, key):
        """Returns theta, the rule state and the data at the start of a new episode."""
        a, b, c = jax.random.split(key, 3)
        n = self.setting["n"]
        theta = 0.01 * jax.random.normal(a, (n,))
        drawn = () if self.images else (jax.random.normal(b, (128, 10, 10)), jax.random.normal(c, (128, 10)))
        return theta, zero_state(n), drawn

    def meta_step(self, phi, moments, t, theta, state, drawn, data, key):
        if self.images:
            pixels, labels = data
            chosen = jax.random.randint(key, (STEPS + 1, 128), 0, len(labels))

            def batch_of(k):
                return pixels[chosen[k]].astype(jnp.float32) / 255.0, labels[chosen[k]]
        else:
            def batch_of(_):
                return drawn
        loss, gradient, theta, state = window(phi, theta, state, batch_of)
        phi, moments = adam(phi, gradient, moments, t)
        return phi, moments, theta, state, loss

    def arguments(self):
        """Returns the arguments of the next meta-step. Every fifth call begins a new episode."""
        self.key, key = jax.random.split(self.key)
        if self.windows % 5 == 0:
            self.theta, self.state, self.drawn = self.begin(key)
        return (self.phi, self.moments, float(self.windows + 1), self.theta, self.state, self.drawn, self.data, key)

    def once(self):
        self.phi, self.moments, self.theta, self.state, loss = self.step(*self.arguments())
        self.windows += 1
        loss.block_until_ready()

    def memory(self):
        """Returns how many bytes the compiled function allocates in addition to its arguments and results."""
        return self.step.lower(*self.arguments()).compile().memory_analysis().temp_size_in_bytes


def checked_window(dump):
    batches = dump["batches"]
    phi, theta = (jax.tree.map(jnp.asarray, dump[name]) for name in ("phi", "theta"))
    state = tuple(map(jnp.asarray, dump["state"]))
    state = jax.tree.map(cut, state) if BLOCKED else state

    @jax.jit
    def run(phi, theta, state, batches):
        return window(phi, theta, state, lambda k: jax.tree.map(lambda b: b[k % len(b)], batches))
    loss, gradient, _, _ = run(phi, theta, state, jax.tree.map(jnp.asarray, batches))
    return float(loss), gradient


if arguments.check:
    sys.exit(check(arguments.check, checked_window))
training = Training()
training.once()
versus.serve(versus.repeated(training.once), f"JAX {jax.__version__}, jaxlib {jaxlib.__version__}",
             training.memory)
