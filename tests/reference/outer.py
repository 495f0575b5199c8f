#!/usr/bin/env python3
"""Computes reference values of the outer optimizers with torch.optim in float64.

The script writes outer_values.h. For each case, this header contains phi after each of STEPS meta-steps with a fixed
sequence of gradients. The gradients do not depend on the meta-parameters. The meta-parameters form three groups: rule
(3 numbers), precondition (2 numbers) and initialisation (2 numbers). This command writes the header again:

    /usr/bin/python3 tests/reference/outer.py > tests/reference/outer_values.h"""
import math
from dataclasses import dataclass, field

import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR, StepLR

STEPS = 12
GROUPS = {"rule": 3, "precondition": 2, "initialisation": 2}
SIZE = sum(GROUPS.values())
START = [0.5, -1.25, 2.0, -0.03125, 0.75, 1.5, -0.375]


def gradient(t, i):
    """Returns a gradient whose sign and size depend on the meta-step t and the coordinate i. The gradient of the last
    coordinate is zero in the first four meta-steps."""
    if i == SIZE - 1 and t < 4:
        return 0.0
    return math.sin(1.3 * t + 0.7 * i) * 10.0 ** (i % 5 - 2)


def adam(**kwargs):
    return lambda p: torch.optim.Adam(p, **kwargs)


def adamw(**kwargs):
    return lambda p: torch.optim.AdamW(p, **kwargs)


def sgd(**kwargs):
    return lambda p: torch.optim.SGD(p, **kwargs)


def warm_cosine(rate, warm, final):
    def schedule(o):
        return SequentialLR(o, [LinearLR(o, 1 / warm, 1.0, warm - 1), CosineAnnealingLR(o, STEPS - warm, rate * final)], [warm])
    return schedule


@dataclass
class Group:
    """Contains the settings of one group. The group is trained in the meta-steps first, ..., last - 1, and it is
    frozen in all other meta-steps."""
    make: object = None
    clip_norm: float = 0.0
    first: int = 0
    last: int = STEPS


@dataclass
class Case:
    yaml: str
    make: object
    schedule: object = None
    clip_value: float = 0.0
    clip_norm: float = 0.0
    groups: dict = field(default_factory=dict)


CASES = [
    Case("outer: {optimizer: adam, learning_rate: 0.03}", adam(lr=0.03)),
    Case("outer: {optimizer: adam, learning_rate: 0.03, beta1: 0.8, beta2: 0.95, epsilon: 0.001, schedule: cosine, warmup_steps: 3, final_fraction: 0.25, steps: 12}",
         adam(lr=0.03, betas=(0.8, 0.95), eps=1e-3), warm_cosine(0.03, 3, 0.25)),
    Case("outer: {optimizer: adamw, learning_rate: 0.03, weight_decay: 0.2, schedule: step, decay_every: 4, decay_factor: 0.5}",
         adamw(lr=0.03, weight_decay=0.2), lambda o: StepLR(o, step_size=4, gamma=0.5)),
    Case("outer: {optimizer: sgd, learning_rate: 0.05, warmup_steps: 5}", sgd(lr=0.05), lambda o: LinearLR(o, 0.2, 1.0, 4)),
    Case("outer: {optimizer: sgd, learning_rate: 0.05, momentum: 0.9}", sgd(lr=0.05, momentum=0.9)),
    Case("outer: {optimizer: sgd, learning_rate: 0.05, clip_norm: 20}", sgd(lr=0.05), clip_norm=20),
    Case("outer: {optimizer: adam, learning_rate: 0.05, clip_value: 0.5}", adam(lr=0.05), clip_value=0.5),
    Case("outer: {optimizer: sgd, learning_rate: 0.05, momentum: 0.8, clip_value: 0.7, clip_norm: 1.1}",
         sgd(lr=0.05, momentum=0.8), clip_value=0.7, clip_norm=1.1),
    Case("outer: {optimizer: adam, learning_rate: 0.01, momentum: 0.6, weight_decay: 0.3, clip_norm: 5}\\n"
         "groups: [{group: rule, optimizer: sgd, learning_rate: 0.02, clip_norm: 0.3}, "
         "{group: precondition, optimizer: adamw, from_step: 4}, "
         "{group: initialisation, learning_rate: 0.1, until_step: 7}]",
         adam(lr=0.01), clip_norm=5,
         groups={"rule": Group(sgd(lr=0.02, momentum=0.6), clip_norm=0.3),
                 "precondition": Group(adamw(lr=0.01, weight_decay=0.3), first=4),
                 "initialisation": Group(adam(lr=0.1), last=7)}),
]


def run(case):
    parts, optimizers, schedulers, at = [], [], [], 0
    for name, size in GROUPS.items():
        parts.append(torch.tensor(START[at:at + size], dtype=torch.float64, requires_grad=True))
        optimizers.append((case.groups[name].make if name in case.groups else case.make)([parts[-1]]))
        schedulers.append(case.schedule(optimizers[-1]) if case.schedule else None)
        at += size
    rows, groups = [], [case.groups.get(name, Group()) for name in GROUPS]
    for t in range(STEPS):
        at = 0
        active = [g.first <= t < g.last for g in groups]
        for part, group, on in zip(parts, groups, active):
            part.grad = torch.tensor([gradient(t, at + i) for i in range(len(part))], dtype=torch.float64) if on else None
            at += len(part)
            if on and group.clip_norm:
                clip_exactly([part], group.clip_norm)
        if case.clip_value:
            clip_grad_value_(parts, case.clip_value)
        if case.clip_norm:
            clip_exactly(parts, case.clip_norm)
        for optimizer, scheduler, on in zip(optimizers, schedulers, active):
            if on:
                optimizer.step()
            if scheduler:
                scheduler.step()
        rows.append([x for part in parts for x in part.detach().tolist()])
    return rows


def clip_exactly(parts, bound):
    """clip_grad_norm_ divides by the norm plus 1e-6 instead of the norm. This function therefore corrects the bound,
    so that the clipped norm equals `bound`."""
    norm = clip_grad_norm_(parts, math.inf).item()
    if norm > bound:
        clip_grad_norm_(parts, bound * (norm + 1e-6) / norm)


def braces(row):
    return "{" + ", ".join(f"{x:.17g}" for x in row) + "}"


def main():
    print(f"/* The script outer.py computed these values with PyTorch {torch.__version__} in float64. Do not edit this file. */")
    print(f"enum {{ OUTER_STEPS = {STEPS}, OUTER_SIZE = {SIZE}, OUTER_CASES = {len(CASES)}, OUTER_GROUPS = {len(GROUPS)} }};")
    print("static const struct outer_group {\n  const char *name;\n  int64_t size;\n} outer_groups[OUTER_GROUPS] = {")
    print(",\n".join(f'    {{"{name}", {size}}}' for name, size in GROUPS.items()) + "};")
    print(f"static const double outer_start[OUTER_SIZE] = {braces(START)};")
    print("static const double outer_gradient[OUTER_STEPS][OUTER_SIZE] = {")
    for t in range(STEPS):
        print("    " + braces([gradient(t, i) for i in range(SIZE)]) + ",")
    print("};")
    print("static const struct outer_case {")
    print("  const char *yaml;")
    print("  double phi[OUTER_STEPS][OUTER_SIZE]; /* meta-parameters after each meta-step */")
    print("} outer_cases[OUTER_CASES] = {")
    for case in CASES:
        print(f'    {{"{case.yaml}",\n     {{')
        for row in run(case):
            print("         " + braces(row) + ",")
        print("     }},")
    print("};")


if __name__ == "__main__":
    main()
