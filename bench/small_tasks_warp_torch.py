"""Runs Warp-Grad with convolutions in PyTorch, with the settings of bench/warp-conv.yaml.

  python small_tasks_warp_torch.py chain|channels-last|func|compile

Each of the four layers has a convolution (16 filters, 3 x 3), batch norm, ReLU, a 2 x 2 max-pool, and a warp
convolution. The last layer is dense. A meta-step uses 4 tasks. Each task has 10 inner steps with batches of 20 images
of 28 x 28 pixels. After each step, the program computes the gradient of the look-ahead loss L(theta - a grad L(theta;
phi); phi) on the next batch. The gradient is exact and is taken with respect to the warp parameters phi. Adam updates
phi after the four tasks. The program needs `pip install torch`.

- `chain`: Evaluates every loss once. The look-ahead loss of a step is also the inner loss of the next step, and the
  graph of this loss is used twice.
- `channels-last`: Computes as `chain` does, but stores images and filters in PyTorch's memory format channels_last.
- `func`: Differentiates the look-ahead loss of each step by torch.func.grad.
- `compile`: Computes as `func` does, but compiles the step by torch.compile.
"""
import sys

import torch
import torch.nn.functional as F
from torch.func import grad, grad_and_value

import versus

LAYERS, FILTERS, CLASSES, SIDE = 4, 16, 10, 28
TASKS, STEPS, BATCH, RATE, META_RATE = 4, 10, 20, 0.1, 1e-3
FORMAT = torch.channels_last if sys.argv[1] == "channels-last" else torch.contiguous_format


def start_theta():
    """Returns the initial theta: filters, bias, scale and shift of each convolution layer, and the parameters of the
    dense layer."""
    theta = []
    for layer in range(LAYERS):
        channels = FILTERS if layer else 1
        weight = torch.randn(FILTERS, channels, 3, 3) * (2 / (9 * channels)) ** 0.5
        theta += [weight.to(memory_format=FORMAT), torch.zeros(FILTERS), torch.ones(FILTERS), torch.zeros(FILTERS)]
    return theta + [torch.randn(FILTERS, CLASSES) * (2 / FILTERS) ** 0.5, torch.zeros(CLASSES)]


def start_phi():
    """Returns the initial warp convolutions, which compute the identity."""
    warp = torch.zeros(FILTERS, FILTERS, 3, 3)
    warp[range(FILTERS), range(FILTERS), 1, 1] = 1
    return [warp.clone(memory_format=FORMAT) for _ in range(LAYERS)]


def loss(theta, phi, x, labels):
    for layer in range(LAYERS):
        weight, bias, scale, shift = theta[4 * layer:4 * layer + 4]
        x = F.conv2d(x, weight, bias, padding=1)
        x = F.batch_norm(x, None, None, scale, shift, training=True)
        x = F.conv2d(F.max_pool2d(F.relu(x), 2), phi[layer], padding=1)
    return F.cross_entropy(x.flatten(1) @ theta[-2] + theta[-1], labels)


class Images:
    """Contains as many random images as Warploom's built-in data set has images. draw() draws a minibatch with
    replacement."""

    def __init__(self, count=4096):
        self.x = torch.rand(count, 1, SIDE, SIDE)
        self.labels = torch.randint(CLASSES, (count,))

    def draw(self):
        index = torch.randint(len(self.labels), (BATCH,))
        return self.x[index].contiguous(memory_format=FORMAT), self.labels[index]


def chained(phi, images):
    """Returns the meta-gradient of one task by the mode `chain`. The function evaluates each loss once, and
    differentiates each loss twice."""
    total = [torch.zeros_like(p) for p in phi]
    theta = [p.requires_grad_() for p in start_theta()]
    gradient = torch.autograd.grad(loss(theta, phi, *images.draw()), theta, create_graph=True)
    for _ in range(STEPS):
        after = [(p - RATE * g).detach().requires_grad_() for p, g in zip(theta, gradient)]
        value = loss(after, phi, *images.draw())
        both = torch.autograd.grad(value, after + phi, create_graph=True)
        adjoint = [-RATE * g.detach() for g in both[:len(after)]]
        mixed = torch.autograd.grad(gradient, phi, adjoint)
        for t, direct, m in zip(total, both[len(after):], mixed):
            t += direct.detach() + m
        theta, gradient = after, both[:len(after)]
    return total, value.detach()


def look_ahead(phi, theta, batch, following):
    gradient = grad(loss)(theta, phi, *batch)
    after = [p - RATE * g for p, g in zip(theta, gradient)]
    return loss(after, phi, *following), after


step = grad_and_value(look_ahead, has_aux=True)


def functional(phi, images, step):
    """Returns the meta-gradient of one task. The function calls `step` once for each inner step. `step` returns the
    gradient and the value of the look-ahead loss."""
    total, theta, batch = [torch.zeros_like(p) for p in phi], start_theta(), images.draw()
    for _ in range(STEPS):
        following = images.draw()
        gradient, (value, theta) = step(phi, theta, batch, following)
        torch._foreach_add_(total, gradient)
        batch = following
    return total, value


def main():
    mode = sys.argv[1]
    torch.manual_seed(1)
    phi, images = start_phi(), Images()
    optimizer = torch.optim.Adam(phi, lr=META_RATE)
    one_step = torch.compile(step) if mode == "compile" else step

    def meta_step():
        total = [torch.zeros_like(p) for p in phi]
        for _ in range(TASKS):
            if mode in ("func", "compile"):
                gradient, value = functional([p.detach() for p in phi], images, one_step)
            else:
                gradient, value = chained([p.requires_grad_() for p in phi], images)
            torch._foreach_add_(total, gradient, alpha=1 / TASKS)
        for p, g in zip(phi, total):
            p.grad = g
        optimizer.step()
        return float(value)

    meta_step()
    meta_step()
    versus.serve(lambda: versus.timed(meta_step, 2), f"torch {torch.__version__}, {torch.get_num_threads()} threads")


main()
