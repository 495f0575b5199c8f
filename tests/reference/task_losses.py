#!/usr/bin/env python3
"""Computes losses and gradients of every task family with NumPy. The script contains no code of Warploom.

    python3 tests/reference/task_losses.py > tests/unit/task_reference.inc

The random numbers are those of NumPy's Philox4x64-10, with the keys that src/base/rng.h documents. The script
computes the losses from their formulas. The script computes the gradients as complex-step derivatives, which are
exact except for rounding (Squire and Trapp 1998). The parameters are theta_i = sin(1 + i) / 2. For each gradient, the
output contains three projections: the scalar products with cos(1 + k i) for k = 1, 2, 3. The episode has the seed 7,
the random space "tune", the index 5 and the unit number 2."""
import numpy as np

SEED, SPACE, INDEX, UNIT = 7, 1, 5, 2
FOR_TASK, INNER, OUTER, EVAL = 3, 5, 6, 7
TRAIN, HELDOUT = 0, 1


# ---- random numbers ----

def bits(purpose, step, n):
    """Returns the first n 64-bit words of a random stream. The stream has the counters (block, step, unit, index) and
    the key (seed, purpose | space << 32)."""
    words = []
    for block in range((n + 3) // 4):
        counter = block | step << 64 | UNIT << 128 | INDEX << 192
        # NumPy increments the counter before it computes the first block
        generator = np.random.Philox(counter=(counter - 1) % 2**256, key=SEED | (purpose | SPACE << 32) << 64)
        words += [int(w) for w in generator.random_raw(4)]
    return words[:n]


def uniform(purpose, step, n, low=0.0, high=1.0):
    return np.array([low + (high - low) * ((w >> 11) * 2.0**-53) for w in bits(purpose, step, n)])


def normal(purpose, step, n, sd=1.0):
    words = bits(purpose, step, n + n % 2)
    u = np.array([((w >> 11) + 1) * 2.0**-53 for w in words[0::2]])
    angle = 2 * np.pi * np.array([(w >> 11) * 2.0**-53 for w in words[1::2]])
    radius = np.sqrt(-2 * np.log(u))
    return sd * np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()[:n]


def index(purpose, step, n, bound):
    return np.array([w * bound >> 64 for w in bits(purpose, step, n)])


# ---- The images that tests/unit/task_fixture.h also creates ----

SIDE, CLASSES, COUNT = 8, 3, (40, 24)


def tiny(split):
    i, p = np.arange(COUNT[split])[:, None], np.arange(SIDE * SIDE)[None, :]
    pixels = (i * i * 37 + p * p * 11 + i * p + 50 * split) % 256
    labels = (i[:, 0] + i[:, 0] // 5 + split) % CLASSES
    return pixels / 255.0, labels


def resize(images, side):
    """Resizes images by bilinear interpolation between the centres of pixels. Each resize multiplies an image from
    the left and from the right by a matrix. If PyTorch is installed, the function compares the result with that of
    PyTorch."""
    n = int(round(images.shape[1]**0.5))
    x = (np.arange(side) + 0.5) * n / side - 0.5
    low, part = np.floor(x).astype(int), x - np.floor(x)
    weights = np.zeros((side, n))
    for i in range(side):
        weights[i, max(low[i], 0)] += 1 - part[i]
        weights[i, min(low[i] + 1, n - 1)] += part[i]
    resized = np.einsum("rm,bmn,cn->brc", weights, images.reshape(-1, n, n), weights)
    try:
        import torch
        theirs = torch.nn.functional.interpolate(torch.tensor(images.reshape(-1, 1, n, n)), size=(side, side),
                                                 mode="bilinear", align_corners=False, antialias=False)
        assert np.allclose(theirs[:, 0].numpy(), resized, atol=1e-14)
    except ImportError:
        pass
    return resized.reshape(len(images), -1)


def images_of(purpose, split, step, batch, side=SIDE, fraction=1.0):
    """Returns a minibatch, or all images of the split if the purpose is EVAL. For EVAL, the order of the rows may
    differ from Warploom's order, because the mean loss does not depend on the order."""
    x, labels = tiny(split)
    if side != SIDE:
        x = resize(x, side)
    if split == TRAIN:
        x, labels = x[:int(fraction * len(x))], labels[:int(fraction * len(x))]
    if purpose == EVAL:
        assert batch == len(x)
        return x, labels
    chosen = index(purpose, step, batch, len(x))
    return x[chosen], labels[chosen]


def sequences(purpose, split, step, batch, length):
    """Returns two arrays (batch, length): tokens, and for each of them the next token of the text. The text is the
    one that tests/unit/task_fixture.h creates."""
    i = np.arange(400)
    text = (7 * i * i + 3 * i + i // 9) % 11
    _, text = np.unique(text, return_inverse=True)
    text = text[:360] if split == TRAIN else text[360:]
    at = index(purpose, step, batch, len(text) - length)[:, None] + np.arange(length)
    return text[at], text[at + 1]


# ---- Layers that also accept complex numbers ----

ACTIVATION = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.where(z.real > 0, z, 0),
    "elu": lambda z: np.where(z.real > 0, z, np.exp(z) - 1),
    "gelu": lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
}


class Parameters:
    """Divides a flat parameter vector into tensors. take() returns the next tensor, which has the given shape."""

    def __init__(self, theta):
        self.theta, self.at = theta, 0

    def take(self, *shape):
        size = int(np.prod(shape))
        self.at += size
        return self.theta[self.at - size:self.at].reshape(shape)


def cross_entropy(logits, labels):
    peak = logits.real.max(1, keepdims=True)
    log_sum = np.log(np.exp(logits - peak).sum(1)) + peak[:, 0]
    return (log_sum - logits[np.arange(len(labels)), labels]).mean()


def dense(p, x, out):
    weight = p.take(x.shape[1], out)
    return x @ weight + p.take(out)


def convolve(x, weight):
    pad = weight.shape[2] // 2
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows, columns = x.shape[2] - 2 * pad, x.shape[3] - 2 * pad
    out = 0
    for i in range(weight.shape[2]):
        for j in range(weight.shape[3]):
            out = out + np.einsum("bchw,oc->bohw", x[:, :, i:i + rows, j:j + columns], weight[:, :, i, j])
    return out


def pool(x):
    b, c, h, w = x.shape
    x = x.reshape(b, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(b, c, h // 2, w // 2, 4)
    return np.take_along_axis(x, x.real.argmax(-1)[..., None], -1)[..., 0]


def normalise(x, axes=(0, 2, 3)):
    centred = x - x.mean(axes, keepdims=True)
    return centred / np.sqrt((centred * centred).mean(axes, keepdims=True) + 1e-5)


def per_channel(v):
    return v[None, :, None, None]


# ---- the families ----

def quadratic(distribution, batch, d):
    draw = uniform if distribution == "uniform" else normal
    w = draw(FOR_TASK, 0, batch * d * d).reshape(batch, d, d)
    y = draw(FOR_TASK, 1, batch * d).reshape(batch, d)

    def loss(theta):
        r = np.einsum("bij,bj->bi", w, theta.reshape(batch, d)) - y
        return (r * r).sum() / batch
    return loss, batch * d


def mlp(widths, activation, batch, purpose, split, step, scale, norm=None, side=SIDE, fraction=1.0):
    x, labels = images_of(purpose, split, step, batch, side, fraction)
    sizes = [side * side] + widths + [CLASSES]

    def loss(theta):
        p, h = Parameters(theta), x
        for width in widths:
            h = dense(p, h, width)
            if norm is not None:
                h = normalise(h, norm) * p.take(width) + p.take(width)
            h = ACTIVATION[activation](h)
        return scale * cross_entropy(dense(p, h, CLASSES), labels)
    return loss, sum((a + 1) * b for a, b in zip(sizes, sizes[1:])) + (2 * sum(widths) if norm is not None else 0)


def strided_conv(batch, step):
    """Computes the loss of a network with two convolution layers. The first layer has 3 filters and stride 2, and the
    second layer has 2 filters and stride 1. Each layer applies GELU and then layer norm. The output of the second
    layer is averaged over the image."""
    x, labels = images_of(INNER, TRAIN, step, batch)
    x = x.reshape(batch, 1, SIDE, SIDE)

    def loss(theta):
        p, h = Parameters(theta), x
        for filters, stride in (3, 2), (2, 1):
            h = convolve(h, p.take(filters, h.shape[1], 3, 3))[:, :, ::stride, ::stride] + per_channel(p.take(filters))
            h = normalise(ACTIVATION["gelu"](h), 1) * per_channel(p.take(filters)) + per_channel(p.take(filters))
        return cross_entropy(dense(p, h.mean((2, 3)), CLASSES), labels)
    return loss, 3 * 9 + 3 * 3 + 2 * 27 + 3 * 2 + 3 * CLASSES


def conv(order, batch, purpose, split, step, filters=2, kernel=3):
    x, labels = images_of(purpose, split, step, batch)
    x = x.reshape(batch, 1, SIDE, SIDE)

    def loss(theta):
        p = Parameters(theta)
        h = convolve(x, p.take(filters, 1, kernel, kernel)) + per_channel(p.take(filters))
        for stage in order.split("-"):
            if stage == "norm":
                h = normalise(h) * per_channel(p.take(filters)) + per_channel(p.take(filters))
            elif stage == "act":
                h = np.tanh(h)
            else:
                h = pool(h)
        return cross_entropy(dense(p, h.reshape(batch, -1), CLASSES), labels)
    return loss, filters * kernel * kernel + 3 * filters + (filters * SIDE * SIDE // 4 + 1) * CLASSES


def logistic(classes, d, samples, separation, l2, split):
    means = normal(FOR_TASK, 0, classes * d, separation / np.sqrt(d)).reshape(classes, d)
    labels = index(FOR_TASK, 2, 2 * samples, classes)
    points = normal(FOR_TASK, 1, 2 * samples * d).reshape(-1, d) + means[labels]
    part = slice(split * samples, (split + 1) * samples)

    def loss(theta):
        p = Parameters(theta)
        weight = p.take(d, classes - 1)
        z = points[part] @ weight + p.take(classes - 1)
        logits = np.concatenate([np.zeros((samples, 1)), z], 1)
        return cross_entropy(logits, labels[part]) + l2 / 2 * (weight * weight).sum()
    return loss, (d + 1) * (classes - 1)


def rosenbrock(n, pairs, curvature):
    step = 2 if pairs else 1

    def loss(x):
        head, tail = x[:-1:step], x[1::step]
        return (curvature * (tail - head * head)**2 + (1 - head)**2).sum()
    return loss, n


def test_function(name, n, shift):
    place = uniform(FOR_TASK, 0, n, -shift, shift)

    def loss(x):
        z = x - place
        if name == "rastrigin":
            return 10 * n + (z * z - 10 * np.cos(2 * np.pi * z)).sum()
        if name == "ackley":
            return (-20 * np.exp(-0.2 * np.sqrt((z * z).mean())) - np.exp(np.cos(2 * np.pi * z).mean()) + 20 + np.e)
        if name == "rosenbrock":
            return (100 * (z[1:] - z[:-1]**2)**2 + (1 - z[:-1])**2).sum()
        if name == "styblinski-tang":
            return (z**4 - 16 * z**2 + 5 * z).sum() / 2 + 39.166165703771415 * n
        a, b = z[::2], z[1::2]
        return ((1.5 - a + a * b)**2 + (2.25 - a + a * b**2)**2 + (2.625 - a + a * b**3)**2).sum()
    return loss, n


def autoencoder(widths, batch, step):
    x, _ = images_of(INNER, TRAIN, step, batch)
    sizes = [SIDE * SIDE] + widths + [SIDE * SIDE]

    def loss(theta):
        p, h = Parameters(theta), x
        for width in widths:
            h = ACTIVATION["relu"](dense(p, h, width))
        return ((x - ACTIVATION["sigmoid"](dense(p, h, SIDE * SIDE)))**2).mean()
    return loss, sum((a + 1) * b for a, b in zip(sizes, sizes[1:]))


def language_model(cell, d, hidden, length, batch, step):
    tokens, following = sequences(INNER, TRAIN, step, batch, length)
    sigmoid, gates = ACTIVATION["sigmoid"], {"vanilla": 1, "gru": 3, "lstm": 4}[cell]
    letters = 11

    def loss(theta):
        p = Parameters(theta)
        table, weight, bias = p.take(letters, d), p.take(d + hidden, gates * hidden), p.take(gates * hidden)
        h = np.tile(p.take(hidden), (batch, 1))
        c = np.tile(p.take(hidden), (batch, 1)) if cell == "lstm" else None
        out, ends = p.take(hidden, letters), p.take(letters)
        total = 0
        for t in range(length):
            x = table[tokens[:, t]] @ weight[:d] + bias
            if cell == "vanilla":
                h = np.tanh(x + h @ weight[d:])
            elif cell == "gru":
                z, r = np.split(sigmoid((x + h @ weight[d:])[:, :2 * hidden]), 2, axis=1)
                a = np.tanh(x[:, 2 * hidden:] + (r * h) @ weight[d:, 2 * hidden:])
                h = (1 - z) * h + z * a
            else:
                i, g, f, o = np.split(x + h @ weight[d:], 4, axis=1)
                c = sigmoid(f + 1) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
            total = total + cross_entropy(h @ out + ends, following[:, t]) / length
        return total
    return loss, (letters * d + (d + hidden + 1) * gates * hidden + hidden * (2 if cell == "lstm" else 1)
                  + (hidden + 1) * letters)


def transformer(d, heads, hidden, length, batch, step):
    tokens, following = sequences(INNER, TRAIN, step, batch, length)
    letters = 11

    def loss(theta):
        p = Parameters(theta)
        x = p.take(letters, d)[tokens]
        x = x + p.take(length, d)

        def norm(x):
            return normalise(x, -1) * p.take(d) + p.take(d)

        def affine(x, out):
            weight = p.take(x.shape[-1], out)
            return x @ weight + p.take(out)
        q, k, v = np.split(affine(norm(x), 3 * d), 3, axis=-1)
        mixed = np.zeros_like(q)
        for b in range(batch):
            for h in range(heads):
                part = slice(h * d // heads, (h + 1) * d // heads)
                for t in range(length):
                    scores = k[b, :t + 1, part] @ q[b, t, part] / np.sqrt(d // heads)
                    share = np.exp(scores - scores.real.max())
                    mixed[b, t, part] = share @ v[b, :t + 1, part] / share.sum()
        x = x + affine(mixed, d)
        x = x + affine(ACTIVATION["gelu"](affine(norm(x), hidden)), d)
        return cross_entropy(affine(norm(x), letters).reshape(-1, letters), following.ravel())
    return loss, (letters * d + length * d + 6 * d + (d + 1) * 3 * d + (d + 1) * d + (d + 1) * hidden + (hidden + 1) * d
                  + (d + 1) * letters)


def sinusoid(varying, shots, query, widths, purpose):
    u = uniform(FOR_TASK, 0, 3)
    amplitude, phase = 0.1 + 4.9 * u[0], np.pi * u[1]
    count = shots if purpose == INNER else query
    x = uniform(FOR_TASK, 1 if purpose == INNER else 2, count, -5, 5)
    y = amplitude * (np.sin((0.8 + 0.4 * u[2]) * x + phase) if varying else np.sin(x - phase))

    def loss(theta):
        p, h = Parameters(theta), x[:, None]
        for width in widths:
            h = ACTIVATION["relu"](dense(p, h, width))
        return ((dense(p, h, 1)[:, 0] - y)**2).mean()
    sizes = [1] + widths + [1]
    return loss, sum((a + 1) * b for a, b in zip(sizes, sizes[1:]))


def mountain():
    words = bits(FOR_TASK, 0, 7)
    draw = [(w * m >> 64) + low for w, m, low in zip(words, [3, 3, 3, 11, 11, 11, 10], [-1, -1, -1, -5, -5, -5, 1])]
    a1, a2, a3, b1, b2, b3, s = draw

    def loss(theta):
        x1, x2 = theta
        return (b1 * (a1 - x1)**2 * np.exp(-x1**2 - (x2 + a2)**2)
                - b2 * (x1 / s - x1**3 - x2**5) * np.exp(-x1**2 - x2**2) - b3 * np.exp(-(x1 + a3)**2 - x2**2))
    return loss, 2


def cases():
    """Yields a tuple for each case: (configuration, purpose, split, step, (loss function, number of parameters))."""
    for distribution in "gaussian", "uniform":
        yield (f"{{family: quadratic, dimension: 3, batch: 4, distribution: {distribution}}}", INNER, TRAIN, 0,
               quadratic(distribution, 4, 3))
    for activation in ACTIVATION:
        yield (f"{{family: mlp, data: tiny, widths: [4, 5], activation: {activation}, batch: 40}}", EVAL, TRAIN, 0,
               mlp([4, 5], activation, 40, EVAL, TRAIN, 0, 1))
    yield ("{family: mlp, data: tiny, widths: [4], batch: 9, loss_scale: 2.5}", INNER, TRAIN, 3,
           mlp([4], "sigmoid", 9, INNER, TRAIN, 3, 2.5))
    yield ("{family: mlp, data: tiny, widths: [], batch: 9}", OUTER, HELDOUT, 4,
           mlp([], "sigmoid", 9, OUTER, HELDOUT, 4, 1))
    yield ("{family: mlp, data: tiny, widths: [4, 5], activation: gelu, normalisation: layer, side: 5, batch: 9}",
           INNER, TRAIN, 3, mlp([4, 5], "gelu", 9, INNER, TRAIN, 3, 1, norm=1, side=5))
    yield ("{family: mlp, data: tiny, widths: [4, 5], activation: tanh, normalisation: batch, side: 11, batch: 9, "
           "data_fraction: 0.8}", INNER, TRAIN, 3,
           mlp([4, 5], "tanh", 9, INNER, TRAIN, 3, 1, norm=0, side=11, fraction=0.8))
    yield ("{family: conv, data: tiny, filters: [3, 2], strides: [2, 1], layer_norm: true, activation: gelu, "
           "pooling: none, features: mean, order: act-pool-norm, batch: 9}", INNER, TRAIN, 3, strided_conv(9, 3))
    for order in "norm-act-pool", "pool-norm-act", "act-pool-norm":
        yield (f"{{family: conv, data: tiny, filters: [2], activation: tanh, order: {order}, batch: 9}}", INNER,
               TRAIN, 3, conv(order, 9, INNER, TRAIN, 3))
    for split in TRAIN, HELDOUT:
        yield ("{family: logistic, dimension: 4, classes: 3, samples: 16, batch: 16, separation: 1.5, l2: 0.2}", EVAL,
               split, 0, logistic(3, 4, 16, 1.5, 0.2, split))
    yield ("{family: logistic, dimension: 4, samples: 16, batch: 16}", EVAL, TRAIN, 0,
           logistic(2, 4, 16, 2.0, 0.0, TRAIN))
    yield "{family: rosenbrock, dimension: 5}", INNER, TRAIN, 0, rosenbrock(5, False, 100.0)
    yield ("{family: rosenbrock, dimension: 6, coupling: pairs, curvature: 10}", INNER, TRAIN, 0,
           rosenbrock(6, True, 10.0))
    for cell in "vanilla", "gru", "lstm":
        yield (f"{{family: language-model, text: tiny.txt, cell: {cell}, embedding: 3, hidden: 4, length: 6, batch: 5}}",
               INNER, TRAIN, 3, language_model(cell, 3, 4, 6, 5, 3))
    yield ("{family: transformer, text: tiny.txt, width: 6, heads: 2, hidden: 7, length: 6, batch: 5}", INNER, TRAIN, 3,
           transformer(6, 2, 7, 6, 5, 3))
    for function in "rastrigin", "ackley", "beale", "rosenbrock", "styblinski-tang":
        yield (f"{{family: test-function, function: {function}, dimension: 6, shift: 1.5}}", INNER, TRAIN, 0,
               test_function(function, 6, 1.5))
    yield ("{family: autoencoder, data: tiny, widths: [5, 3, 5], batch: 9}", INNER, TRAIN, 3,
           autoencoder([5, 3, 5], 9, 3))
    for purpose in INNER, OUTER:
        yield ("{family: sinusoid, shots: 5, query: 7, widths: [6, 5]}", purpose, TRAIN, 0,
               sinusoid(False, 5, 7, [6, 5], purpose))
        yield ("{family: sinusoid, frequency: varying, shots: 10, widths: [6, 5]}", purpose, TRAIN, 0,
               sinusoid(True, 10, 10, [6, 5], purpose))
    yield "{family: mountain}", INNER, TRAIN, 0, mountain()


def complex_step(loss, theta):
    gradient = np.empty(len(theta))
    for i in range(len(theta)):
        moved = theta.astype(complex)
        moved[i] += 1e-30j
        gradient[i] = loss(moved).imag / 1e-30
    return gradient


def main():
    names = {INNER: "WL_FOR_INNER_BATCH", OUTER: "WL_FOR_OUTER_BATCH", EVAL: "WL_FOR_EVAL_BATCH"}
    splits = ["WL_SPLIT_TRAIN", "WL_SPLIT_HELDOUT"]
    print("/* The script tests/reference/task_losses.py computed these values. A row contains the configuration, the batch (purpose,\n"
          " * split, step), the number of parameters, the loss, and three projections of the gradient. */")
    for yaml, purpose, split, step, (loss, n) in cases():
        i = np.arange(n)
        theta = 0.5 * np.sin(1.0 + i)
        gradient = complex_step(loss, theta)
        projections = ", ".join(f"{gradient @ np.cos(1.0 + k * i):.17g}" for k in (1, 2, 3))
        print(f'{{"{yaml}",\n {{{names[purpose]}, {splits[split]}, {step}}}, {n}, '
              f"{loss(theta.astype(complex)).real:.17g}, {{{projections}}}}},")


if __name__ == "__main__":
    main()
