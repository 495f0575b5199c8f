"""Trained optimizers as torch.optim.Optimizer, in PyTorch alone.

    import warploom.torch
    optimizer = warploom.torch.LearnedOptimizer(model.parameters(), "optimizer.h5", horizon=2000)
    for inputs, targets in batches:
        loss = loss_of(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(loss=loss)
"""
import copy

import numpy as np
import torch

from .files import DATA, USAGE, ToolError
from .rules import ELEMENTWISE, Elementwise, Lstm, Moment, RnnProp, Tensor
from .tensor_rules import Controller, FeatureNet
from .trained import open_trained, read_phi

_CLASSES = {"lstm": Lstm, "rnnprop": RnnProp, "controller": Controller}
_NETS = ("mlp", "small_fc", "celo2", "celo2base")
RULES = (*_CLASSES, *_NETS, *ELEMENTWISE)


def _make_rule(name, options, phi, steps):
    if name in ELEMENTWISE:
        return Elementwise(name, options, phi, steps)
    if name in _NETS:
        return FeatureNet(name, options, phi, steps)
    return _CLASSES[name](options, phi, steps)


def _require_rule_alone(path, c):
    """Parts that belong to the network of the training's task act nowhere else."""
    name = c.get("rule.name")
    if name not in RULES:
        raise ToolError(DATA, f"{path}: the rule '{name}' is not supported in PyTorch yet; supported: "
                              + ", ".join(RULES))
    for part in ("precondition", "initialisation"):
        if c.get(f"{part}.name", "none") != "none":
            raise ToolError(DATA, f"{path}: was trained with {part} '{c[part + '.name']}', which belongs to its task's "
                                  f"network and is not supported in PyTorch yet; train one with `{part}: {{name: none}}`")
    for key, value in c.items():
        if key.startswith("task") and key.endswith(".warp") and value not in ("none", ["none"], []):
            raise ToolError(DATA, f"{path}: was trained with warp layers, which are part of the task's network and "
                                  "cannot act on a gradient alone; train one with `task.warp: none`")


class LearnedOptimizer(torch.optim.Optimizer):
    """A trained optimizer: (u, s) = rule(g, theta, s, t), theta <- theta + lr (u - weight_decay theta).

    params        parameters or groups, as for every optimizer of PyTorch
    path          optimizer.h5, a checkpoint, or a run directory
    lr            multiplies the update; schedulers of PyTorch act on it. The rule has a rate of its own: 1 is the rule
                  as trained
    weight_decay  decoupled, times lr
    horizon       steps that the run will take, for rules that look at t / T; None: those of the training
    layout        axes of matrices: "out_in" as in torch.nn.Linear, "in_out" as in torch.nn.Embedding

    lr, weight_decay and layout may differ between groups. State is kept in the precision of the parameters, float32 at
    least. Parameters without a gradient are left out of a step.
    """

    def __init__(self, params, path, *, lr=1.0, weight_decay=0.0, horizon=None, layout="out_in"):
        if horizon is not None and horizon < 1:
            raise ToolError(USAGE, f"horizon is {horizon}; give at least 1 step, or None")
        with open_trained(path) as file:
            c = file.configuration
            _require_rule_alone(path, c)
            options = {key[5:]: value for key, value in c.items() if key.startswith("rule.")}
            steps = c["episode.steps"]
            self.trained_horizon = steps[-1] if isinstance(steps, list) else steps
            # In the values that the float32 program works with.
            phi = {name: x.astype(np.float32).astype(np.float64) for name, x in read_phi(file).items()}
            self.rule = _make_rule(options["name"], options, phi, self.trained_horizon)
            self.digest, self.rule_name = file.attributes.get("digest", ""), options["name"]
        self._clip_value, self._clip_norm = c.get("episode.clip_value", 0.0), c.get("episode.clip_norm", 0.0)
        self._run = {"step": 0, "horizon": horizon or self.trained_horizon, "whole": {}}
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "layout": layout})

    def add_param_group(self, param_group):
        layout = param_group.get("layout", self.defaults["layout"])
        if layout not in ("out_in", "in_out"):
            raise ToolError(USAGE, f"layout '{layout}': give out_in or in_out")
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure=None, *, loss=None):
        """One step. closure: computes loss and gradients anew; loss: the minibatch loss at the present parameters, for
        rules that follow it (controller)."""
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        known = float(loss) if loss is not None and self.rule.reads_loss else float("nan")
        count = sum(len(group["params"]) for group in self.param_groups)
        if self.rule.tensors not in (None, count):
            raise ToolError(DATA, f"the optimizer has scalars for each of {self.rule.tensors} tensors, in their order; "
                                  f"the model has {count}")
        work = self._gather()
        if work:
            tensors = [x for _, _, _, x in work]
            self._clip(tensors)
            now = Moment(self._run["step"], self._run["horizon"], known, self._run["whole"])
            for (p, group, transposed, x), u in zip(work, self.rule.update(tensors, now)):
                if group["weight_decay"]:
                    u = u - group["weight_decay"] * x.p
                u = u.t() if transposed else u
                p.add_(u.reshape(p.shape).to(p.dtype), alpha=group["lr"])
        self._run["step"] += 1
        return loss

    def _gather(self):
        """(parameter, group, whether its axes are exchanged, tensor as the rule sees it) of all with a gradient."""
        work, index = [], -1
        for group in self.param_groups:
            for p in group["params"]:
                index += 1
                if p.grad is None:
                    continue
                if p.grad.is_sparse:
                    raise ToolError(USAGE, "a gradient is sparse; give dense gradients (torch.nn.Embedding: sparse=False)")
                dtype = p.dtype if p.dtype in (torch.float32, torch.float64) else torch.float32
                transposed = self.rule.tensorwise and p.dim() == 2 and group["layout"] == "out_in"
                g, theta = ((y.t().contiguous() if transposed else y.reshape(1) if y.dim() == 0 else y).to(dtype)
                            for y in (p.grad, p.detach()))
                if p not in self.state:
                    self.state[p] = self.rule.start(theta)
                work.append((p, group, transposed, Tensor(index, g, theta, self.state[p])))
        return work

    def _clip(self, tensors):
        """The clip of gradients that the rule was trained behind: each value, then the norm of all."""
        if self._clip_value > 0:
            for x in tensors:
                x.g = x.g.clamp(-self._clip_value, self._clip_value)
        if self._clip_norm > 0:
            norm = torch.stack([x.g.norm().double().cpu() for x in tensors]).norm().item()
            if norm > self._clip_norm:
                for x in tensors:
                    x.g = x.g * (self._clip_norm / norm)

    def state_dict(self):
        """As every optimizer's, and under "warploom" the step, the horizon, what the rule knows of the losses and the
        digest of its meta-parameters."""
        return {**super().state_dict(), "warploom": {**copy.deepcopy(self._run), "digest": self.digest}}

    def load_state_dict(self, state_dict):
        own = state_dict.get("warploom")
        if own is None:
            raise ToolError(DATA, "the state is another optimizer's: it has no entry 'warploom'")
        if own["digest"] != self.digest:
            raise ToolError(DATA, f"the state belongs to the trained optimizer {own['digest']}, this is {self.digest}")
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "warploom"})
        self._run = {key: copy.deepcopy(value) for key, value in own.items() if key != "digest"}
        self._restore_precision(state_dict)

    def _restore_precision(self, state_dict):
        """PyTorch casts states to the precision of the parameters; those of half precision have float32 states."""
        numbers = [i for group in state_dict["param_groups"] for i in group["params"]]
        for number, p in zip(numbers, (p for group in self.param_groups for p in group["params"])):
            if number in state_dict["state"]:
                self.state[p] = {key: value.clone().to(p.device) for key, value in state_dict["state"][number].items()}
