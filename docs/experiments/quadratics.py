#!/usr/bin/python3
"""Prints the final losses of optimization methods that use the curvature. Everything is computed in NumPy, without
Warploom.

The methods minimise the tasks of jobs/quadratic-*.yaml. A task consists of 128 functions ||W x - y||^2. A run has 100
steps. Losses and exact gradients are computed in float32. Each method is run in two forms. The first form
estimates one curvature for all coordinates of theta. The second form estimates a separate curvature for each of the 128
functions. The table shows log10 of the mean final loss over 20 tasks. The script takes half a minute.
"""
import numpy as np

FUNCTIONS, DIMENSION, STEPS, SETS = 128, 10, 100, 20
FIRST_STEP = 0.1  # Euclidean length of the first step of theta, or of the coordinates of each function
TINY = 1e-38


def draw(distribution, seed):
    rng = np.random.default_rng(seed)
    draw_one = rng.standard_normal if distribution == "Gaussian" else rng.random
    w, y = draw_one((FUNCTIONS, DIMENSION, DIMENSION)), draw_one((FUNCTIONS, DIMENSION))
    return (a.astype(np.float32) for a in (w, y, 0.01 * rng.standard_normal(y.shape)))


def sums(separate):
    """Returns a function that computes scalar products in float64: one product over all coordinates of theta, or one
    product for each of the 128 functions if `separate` is true."""
    return lambda a, b: np.sum(a.astype(float) * b, -1 if separate else None, keepdims=True)


def curvature(dot, s, y):
    return np.maximum(dot(s, y), TINY), np.maximum(dot(y, y), TINY)


def conjugate_gradients(x, gradient, dot, multiply):
    """Runs conjugate gradients with exact line search. In exact arithmetic, the loss after k steps is the lowest loss
    in the Krylov space that the first k gradients span."""
    g = gradient(x)
    d = -g
    for _ in range(STEPS):
        x = x - dot(g, d) / np.maximum(dot(d, multiply(d)), TINY) * d
        new = gradient(x)
        d = -new + np.maximum(0, dot(new, new - g) / np.maximum(dot(g, g), TINY)) * d
        g = new
    return x


def barzilai_borwein(x, gradient, dot, _, short=True):
    """Runs gradient descent with the Barzilai-Borwein rates s.y / y.y (short) or s.s / s.y (long). s is the last step,
    and y is the change of the gradient in this step."""
    g = gradient(x)
    a = FIRST_STEP / np.sqrt(dot(g, g))
    for _ in range(STEPS):
        s = -a * g
        x, y = x + s, gradient(x + s) - g
        g = g + y
        sy, yy = curvature(dot, s, y)
        a = np.where(dot(s, y) > 0, sy / yy if short else dot(s, s) / sy, a)
    return x


def lbfgs(x, gradient, dot, _, memory=5):
    g, pairs = gradient(x), []
    u = -FIRST_STEP * g / np.sqrt(dot(g, g))
    for _ in range(STEPS):
        new = gradient(x + u)
        pairs = (pairs + [(u, new - g)])[-memory:]
        x, g, q, kept = x + u, new, new, []
        for s, y in reversed(pairs):
            rho = np.where(dot(s, y) > 1e-30, 1 / curvature(dot, s, y)[0], 0)
            a = rho * dot(s, q)
            q = q - a * y
            kept.append((s, y, a, rho))
        sy, yy = curvature(dot, *pairs[-1])
        q = q * (sy / yy)
        for s, y, a, rho in reversed(kept):
            q = q + (a - rho * dot(y, q)) * s
        u = -q
    return x


def anderson(x, gradient, dot, _, depth=5):
    """Runs Anderson acceleration (type II) of gradient descent with the rate s.y / y.y. For stability, 1e-10 is added
    to the diagonal of the normalised matrix of the least-squares problem."""
    g, pairs = gradient(x), []
    u = -FIRST_STEP * g / np.sqrt(dot(g, g))
    for _ in range(STEPS):
        new = gradient(x + u)
        pairs = (pairs + [(u, new - g)])[-depth:]
        x, g = x + u, new
        sy, yy = curvature(dot, *pairs[-1])
        norms = [np.sqrt(curvature(dot, s, y)[1]) for s, y in pairs]
        s, y = ([p[i] / n for p, n in zip(pairs, norms)] for i in (0, 1))
        gram = np.array([[dot(a, b)[..., 0] for b in y] for a in y]) + 1e-10 * np.eye(len(y))[..., None]
        right = np.array([dot(a, g)[..., 0] for a in y])
        c = np.linalg.solve(np.moveaxis(gram, -1, 0), np.moveaxis(right, -1, 0)[..., None])[..., 0]
        c = [c[:, k:k + 1] for k in range(len(y))]
        u = -sum(k * a for k, a in zip(c, s)) - sy / yy * (g - sum(k * a for k, a in zip(c, y)))
    return x


def final_loss(method, distribution, separate, seed, options):
    w, y, x = draw(distribution, seed)
    residual = lambda x: np.einsum("bij,bj->bi", w, x.astype(np.float32)) - y  # noqa: E731
    gradient_of = lambda r: np.float32(2 / FUNCTIONS) * np.einsum("bij,bi->bj", w, r)  # noqa: E731
    multiply = lambda v: gradient_of(np.einsum("bij,bj->bi", w, v))  # noqa: E731
    gradient = lambda x: gradient_of(residual(x))  # noqa: E731
    x = method(x, gradient, sums(separate), multiply, **options)
    return np.mean(np.sum(residual(x).astype(float) ** 2, -1))


METHODS = [("conjugate gradients with exact line search", conjugate_gradients, {}),
           ("Barzilai-Borwein, long", barzilai_borwein, {"short": False}),
           ("Barzilai-Borwein, short", barzilai_borwein, {}),
           *((f"Anderson acceleration, depth {m}", anderson, {"depth": m}) for m in (3, 5)),
           *((f"L-BFGS, {m} pairs", lbfgs, {"memory": m}) for m in (3, 5, 20))]

if __name__ == "__main__":
    print("| method | uniform, all of theta | Gaussian, all of theta | uniform, each function | Gaussian, each function |")
    print("| --- | --- | --- | --- | --- |")
    for name, method, options in METHODS:
        cells = [np.log10(np.mean([final_loss(method, distribution, separate, 1000 + k, options) for k in range(SETS)]))
                 for separate in (False, True) for distribution in ("uniform", "Gaussian")]
        print(f"| {name} | " + " | ".join(f"{x:.2f}" for x in cells) + " |")
