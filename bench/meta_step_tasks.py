"""Defines the settings and the task sizes that meta_step.py, meta_step_jax.py and meta_step_torch.py use.

The optimizer is an LSTM with two layers of 20 units. The inputs of the LSTM are log |g| and the sign of the gradient
g, as in Andrychowicz et al. 2016. The section `rule` of meta_step.yaml has the same settings. Windows have 20 steps,
and episodes have 100 steps. The meta-loss is the sum of the losses at theta_0 .. theta_20. Meta-gradients are
first-order, and the outer optimizer is Adam."""

STEPS, HIDDEN, SCALE, STRENGTH, LEARNING_RATE = 20, 20, 0.1, 5.0, 1e-3
LOG_EPSILON = 2.0 ** -23

TASKS = {
    "quadratic-1280": {"n": 1280},
    "mlp-15910": {"n": 15910, "width": 20},
    "mlp-101770": {"n": 101770, "width": 128},
    "mlp-check": {"n": 2494, "width": 12},  # classifies the built-in synthetic images
}


def task_override(name):
    """Returns the option of Warploom's command line that sets the task."""
    if "width" not in TASKS[name]:
        return "task={family: quadratic, dimension: 10, batch: 128}"
    return f"task={{family: mlp, data: fashion-mnist, widths: [{TASKS[name]['width']}], batch: 128}}"
