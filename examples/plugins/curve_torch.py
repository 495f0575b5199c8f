"""Defines a task family in PyTorch: a network is trained to fit noisy sine curves (docs/plugins.md)."""
import math

import torch


class Curve:
    def __init__(self, width):
        self.model = torch.nn.Sequential(torch.nn.Linear(1, width), torch.nn.Tanh(), torch.nn.Linear(width, 1))

    def sample(self, rng):
        return {"amplitude": rng.uniform(0.5, 2.0), "phase": rng.uniform(0.0, math.pi)}

    def loss(self, model, problem, rng, split):
        x = torch.as_tensor(rng.uniform(-3.0, 3.0, (16, 1)), dtype=torch.get_default_dtype())
        y = problem["amplitude"] * torch.sin(x + problem["phase"])
        return torch.nn.functional.mse_loss(model(x), y)


def make_task(width=8):
    return Curve(width)
