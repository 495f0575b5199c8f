"""Draws pictures of runs. The methods plot_training, plot_trajectories and plot_evaluation of warploom.Run use these
modules, and so do the tools."""
