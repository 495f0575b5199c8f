#!/usr/bin/env python3
"""Computes reference gradients of the rules in tensor_rules.py, by PyTorch's automatic differentiation in float64. The
differentiated function is

    F = sum_k w_k sum_i sin(c_i theta_k,i + k) + <r, s_K>

where the gradients of the steps are the fixed sequence of tensor_rules.py. The function is differentiated with respect
to the gradients of the steps, theta_0 and the meta-parameters. This command writes the header again:

    /usr/bin/python3 tests/reference/tensor_rules_grad.py > tests/reference/tensor_rules_grad_values.h"""
import numpy
import torch

import tensor_rules as rules

torch.set_default_dtype(torch.float64)
WEIGHTS = [0.3, -0.7, 1.1, 0.9]


class Torch:
    """Provides the functions of NumPy that tensor_rules.py calls, for tensors of PyTorch."""
    exp, tanh, log, sum = torch.exp, torch.tanh, torch.log, torch.sum
    ndarray = torch.Tensor

    @staticmethod
    def sqrt(x):
        return torch.sqrt(torch.clamp(x, min=1e-300))  # because of the clamp, the derivative at zero is zero

    @staticmethod
    def zeros(shape):
        return torch.zeros(shape)

    @staticmethod
    def array(x):
        return torch.stack([torch.as_tensor(value, dtype=torch.float64) for value in x])

    @staticmethod
    def maximum(x, least):
        return torch.clamp(x, min=least)

    @staticmethod
    def clip(x, low, high):
        return torch.clamp(x, low, high)

    @staticmethod
    def full(shape, value):
        return torch.full(shape, value)

    @staticmethod
    def split(x, parts, axis):
        return torch.chunk(x, parts, dim=axis)

    @staticmethod
    def stack(tensors, axis):
        return torch.stack(tensors, dim=axis)

    @staticmethod
    def concatenate(tensors, axis=0):
        return torch.cat(list(tensors), dim=axis)

    @staticmethod
    def broadcast_to(x, shape):
        return x.expand(shape)

    @staticmethod
    def mean(x, axis=None, keepdims=False):
        return x.mean() if axis is None else x.mean(dim=axis, keepdim=keepdims)

    @staticmethod
    def argsort(shape, kind):
        return [int(i) for i in numpy.argsort(shape, kind=kind)]


CASES = [
    ("name: mlp, hidden: [6, 5], step_scale: 0.1, exponent_scale: 0.3",
     lambda: rules.FeatureNet("mlp", [6, 5], scale=.1, exponent=.3)),
    ("name: small_fc, step_scale: 0.1, exponent_scale: 0.3",
     lambda: rules.FeatureNet("small_fc", [4, 4], scale=.1, exponent=.3)),
    ("name: celo2, hidden: [5, 6, 7], newton_schulz: false, rate: 0.01, weight_decay: 0.1, schedule: linear",
     lambda: rules.FeatureNet("celo2", [5, 6, 7], rate=.01, decay=.1)),
    ("name: celo2base, rate: 0.01, weight_decay: 0.1, schedule: linear",
     lambda: rules.FeatureNet("celo2", [8, 8], base=True, rate=.01, decay=.1)),
    ("name: controller, newton_schulz: false", lambda: rules.Controller(True, False)),
    ("name: controller, net: false, newton_schulz: false", lambda: rules.Controller(False, False)),
    ("name: controller, newton_schulz: false, correction: mlp", lambda: rules.Controller(True, False, "mlp")),
    ("name: controller, net: false, newton_schulz: false, correction: lstm", lambda: rules.Controller(False, False, "lstm")),
]


def fields(rule):
    """Returns the arrays of the state in the order of the fields of the rule in C."""
    if isinstance(rule, rules.Controller):
        units = [[x[..., k] for x in y] for y in (rule.h, rule.c) for k in range(8)] if rule.correction == "lstm" else []
        return [torch.cat([x.reshape(-1) for x in field]) for field in (rule.m, rule.s, rule.v, *units)] + [
            x.reshape(1) for x in (rule.fast, rule.slow, rule.first)]
    out = [torch.cat([m[k].reshape(-1) for m in rule.m]) for k in range(len(rule.m[0]))]
    if rule.kind == "mlp":
        return out
    out.append(torch.cat([v.reshape(-1) for v in rule.v]))
    out += [torch.cat([r[k].reshape(-1) for r in rule.r]) for k in range(3)]
    return out + [torch.cat([c[k].reshape(-1) for c in rule.c if torch.is_tensor(c[k])]) for k in range(3)]


def gradients(make):
    traces = [torch.tensor(rules.gradient(t)) for t in range(rules.STEPS)]
    start = torch.tensor(rules.START)
    index = torch.arange(rules.N, dtype=torch.float64)
    losses = [torch.tensor(rules.loss(t)) for t in range(rules.STEPS)]
    leaves = traces + losses + [start]
    rules.np, rules.wiggle = Torch, lambda n: (0.2 * torch.sin(0.6 * torch.arange(n) + 0.1)).requires_grad_()
    for x in leaves:
        x.requires_grad_()
    rule, theta = make(), start
    total = WEIGHTS[0] * torch.sin((1 + 0.01 * index) * theta).sum()
    for t in range(rules.STEPS):
        u = rule.step(t, rules.split(traces[t]), rules.split(theta), losses[t])
        theta = theta + torch.cat([x.reshape(-1) for x in u])
        total = total + WEIGHTS[t + 1] * torch.sin((1 + 0.01 * index) * theta + t + 1).sum()
    for f, x in enumerate(fields(rule)):
        total = total + (torch.sin(0.3 * torch.arange(len(x)) + f) * x).sum()
    return [torch.zeros_like(x) if g is None else g
            for g, x in zip(torch.autograd.grad(total, leaves + [rule.phi], allow_unused=True), leaves + [rule.phi])]


def main():
    print(f"/* tensor_rules_grad.py has made this file with PyTorch {torch.__version__} in float64. Do not edit this file. */")
    print(f"enum {{ GRAD_CASES = {len(CASES)}, GRAD_MOST_PHI = 800 }};")
    print("static const struct grad_case {\n  const char *options;\n  double g[TENSOR_STEPS][TENSOR_N];")
    print("  double loss[TENSOR_STEPS], theta[TENSOR_N], phi[GRAD_MOST_PHI];\n} grad_cases[GRAD_CASES] = {")
    for options, make in CASES:
        numpy_module, wiggle = rules.np, rules.wiggle
        *trace, theta, phi = (x.tolist() for x in gradients(make))
        g, losses = trace[:rules.STEPS], trace[rules.STEPS:]
        rules.np, rules.wiggle = numpy_module, wiggle
        rows = ",\n     ".join(rules.braces(r) for r in g)
        print(f'    {{"{options}",\n    {{{rows}}},\n    {rules.braces(losses)},\n    {rules.braces(theta)},\n    {rules.braces(phi)}}},')
    print("};")


if __name__ == "__main__":
    main()
