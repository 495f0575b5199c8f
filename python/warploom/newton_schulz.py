"""Computes five Newton-Schulz steps towards the orthogonal factor of a matrix. The operations have the order of
src/rule/newton_schulz.c.

The steps amplify the rounding errors of small singular values up to 3.4445^5 = 485 times. Products and sums are
therefore computed in the same order as in the C library. Most float32 results are therefore bitwise equal to those of
the C library."""
import torch

STEPS, A, B, C, EPSILON = 5, 3.4445, -4.7750, 2.0315, 1e-8


def _polynomial(gram, a):
    """Returns a I + b gram + c gram^2."""
    p = B * gram + C * (gram @ gram)
    p.diagonal(dim1=-2, dim2=-1).add_(a)
    return p


def _normalised(x):
    wide = x if x.device.type == "mps" else x.double()
    norm = wide.square().sum(dim=(-2, -1), keepdim=True).sqrt()
    return x * (1 / (norm + EPSILON)).to(x.dtype)


def _apply(p, x):
    """Multiplies X by P along the shorter side of X: returns P X or X P."""
    return p @ x if x.shape[-2] <= x.shape[-1] else x @ p


def _gram(x):
    return x @ x.transpose(-2, -1) if x.shape[-2] <= x.shape[-1] else x.transpose(-2, -1) @ x


def newton_schulz(x):
    """Applies the Newton-Schulz steps to each matrix of x (..., rows, columns), on the side of its smaller
    dimension."""
    x = _normalised(x)
    if 12 * min(x.shape[-2:]) >= 8 * max(x.shape[-2:]):
        for _ in range(STEPS):
            x = A * x + _apply(_polynomial(_gram(x), 0), x)
        return x
    gram, q = _gram(x), None
    for step in range(STEPS):
        p = _polynomial(gram, A)
        q = p if q is None else p @ q
        if step + 1 < STEPS:
            gram = (gram @ p) @ p
    return _apply(q, x)


def orthogonal(z):
    """Orthogonalises a tensor as a matrix over its first two axes, separately for each position in a convolution
    kernel."""
    if z.dim() == 2:
        return newton_schulz(z)
    by_tap = z.flatten(2).permute(2, 0, 1)
    return newton_schulz(by_tap).permute(1, 2, 0).reshape(z.shape)
