"""Learned optimizers trained by Warploom: `warploom.torch.LearnedOptimizer`; runs as arrays: `warploom.open_run`."""
__version__ = "0.1.0"
