"""Defines a task family in NumPy: the minimisation of a function with a curved valley (docs/plugins.md). The
coefficients c_i are drawn for each problem.

    loss(x) = mean over i of  c_i (x_{i+1} - x_i^2)^2 + (1 - x_i)^2
"""
import numpy as np


class Valley:
    def __init__(self, dimension):
        self.parameters = {"x": (dimension,)}

    def sample(self, rng):
        return rng.uniform(0.5, 2.0, self.parameters["x"][0] - 1)

    def start(self, rng):
        return {"x": rng.uniform(-1.0, 1.0, self.parameters["x"])}

    def loss(self, parameters, problem, rng, split):
        x, c = parameters["x"], problem
        wall, floor = x[1:] - x[:-1] ** 2, 1 - x[:-1]
        gradient = np.zeros_like(x)
        gradient[1:] += 2 * c * wall
        gradient[:-1] -= 4 * c * wall * x[:-1] + 2 * floor
        return np.mean(c * wall**2 + floor**2), {"x": gradient / len(c)}


def make_task(dimension=10):
    return Valley(dimension)
