"""Contains the learned preconditioners of a gradient in PyTorch (src/precondition): diagonal (Meta-SGD) and gap.

A learned preconditioner can be used only for the network on which it was trained. The tensors of a model must have the
same shapes, order and axes as the tensors of this network."""
import math
import re

import numpy as np
import torch

from .errors import DATA, ToolError

PREFIX = "precondition."


def _in_order(phi):
    """Returns [(name, values)] in the order of the layers of the network. For each layer, the weight is before the
    bias."""
    names = [name for name in phi if name.startswith(PREFIX)]
    place = lambda name: ([int(n) for n in re.findall(r"\d+", name)], name.endswith("bias"), name)  # noqa: E731
    return [(name[len(PREFIX):], phi[name]) for name in sorted(names, key=place)]


class Diagonal:
    """Computes g~ = alpha g for each coordinate."""

    def __init__(self, options, phi):
        self.factors = _in_order(phi)

    def apply(self, tensors):
        for x in tensors:
            name, factors = self._factors(x)
            if tuple(x.g.shape) != factors.shape:
                raise ToolError(DATA, f"tensor {x.index} has the shape {tuple(x.g.shape)}, but the preconditioner was "
                                      f"trained for '{name}' of shape {factors.shape}")
            x.g = x.g * torch.as_tensor(factors).to(x.g.device, x.g.dtype)

    def _factors(self, x):
        if x.index >= len(self.factors):
            raise ToolError(DATA, f"the preconditioner was trained for a network of {len(self.factors)} tensors, but "
                                  "the model has more tensors")
        return self.factors[x.index]


class Gap:
    """Computes G~ = U diag(m) U^T G for the gradient of each weight. The gradient is reshaped to a matrix G (out, rest)
    with the singular value decomposition U S V^T. Vectors are unchanged."""

    def __init__(self, options, phi):
        self.approximate, self.numbers, self.tensors = options["approximate"], _in_order(phi), None

    def apply(self, tensors):
        matrices = [x for x in tensors if x.matrix]
        if len(matrices) != len(self.numbers):
            raise ToolError(DATA, f"the preconditioner was trained for a network of {len(self.numbers)} matrices, but "
                                  f"{len(matrices)} matrices have a gradient")
        for x, (name, numbers) in zip(matrices, self.numbers):
            x.g = self._apply(x.g, name, numbers)

    def _apply(self, g, name, numbers):
        dense = g.dim() == 2
        matrix = g.t() if dense else g.flatten(1)
        if min(matrix.shape) != numbers.size:
            raise ToolError(DATA, f"a matrix has the shape {tuple(g.shape)}, but the preconditioner has "
                                  f"{numbers.size} factors for '{name}'")
        excess = np.log1p((1 - math.exp(-2)) * np.expm1(2 * numbers)) / 2  # m - 1
        excess = torch.as_tensor(excess).to(g.device, g.dtype)
        if self.approximate:
            rows = matrix.shape[0] <= matrix.shape[1]
            change = matrix * (excess.unsqueeze(1) if rows else excess)
        else:
            u, s, _ = torch.linalg.svd(matrix, full_matrices=False)
            u = u * (s > s.max() * max(matrix.shape) * torch.finfo(g.dtype).eps)
            change = u @ (excess.unsqueeze(1) * (u.t() @ matrix))
        result = matrix + change
        return result.t() if dense else result.reshape(g.shape)


def make(name, options, phi):
    """Returns the preconditioner of an optimizer file, or None if the optimizer has no preconditioner."""
    if name == "none":
        return None
    kinds = {"diagonal": Diagonal, "gap": Gap}
    if name not in kinds:
        raise ToolError(DATA, f"was trained with the preconditioner '{name}', which is not supported in PyTorch; supported: "
                              + ", ".join(kinds) + '; the C library (backend="c") supports all preconditioners')
    return kinds[name](options, phi)
