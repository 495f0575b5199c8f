"""Five Newton-Schulz steps towards the orthogonal factor of a matrix (src/rule/newton_schulz.c)."""
import torch

STEPS, A, B, C, EPSILON = 5, 3.4445, -4.7750, 2.0315, 1e-8


def _polynomial(gram, a):
    """b gram + c gram^2, plus a on the diagonal."""
    p = B * gram + C * (gram @ gram)
    p.diagonal(dim1=-2, dim2=-1).add_(a)
    return p


def newton_schulz(x):
    """x (..., rows, columns): each matrix on the side of its smaller dimension."""
    norm = torch.linalg.vector_norm(x, dim=(-2, -1), keepdim=True)
    x = x / (norm + EPSILON)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.transpose(-2, -1)
    rows, columns = x.shape[-2:]
    if 12 * rows >= 8 * columns:
        for _ in range(STEPS):
            x = A * x + _polynomial(x @ x.transpose(-2, -1), 0) @ x
    else:
        gram, q = x @ x.transpose(-2, -1), None
        for step in range(STEPS):
            p = _polynomial(gram, A)
            q = p if q is None else p @ q
            if step + 1 < STEPS:
                gram = p @ (gram @ p)
        x = q @ x
    return x.transpose(-2, -1) if tall else x


def orthogonal(z):
    """Of a tensor by its first two axes, each tap of a convolution by itself."""
    if z.dim() == 2:
        return newton_schulz(z)
    by_tap = z.flatten(2).permute(2, 0, 1)
    return newton_schulz(by_tap).permute(1, 2, 0).reshape(z.shape)
