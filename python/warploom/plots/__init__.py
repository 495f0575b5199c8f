"""Draws pictures of runs: warploom.Run.plot_training, plot_trajectories, plot_evaluation. The tools use these
modules."""
