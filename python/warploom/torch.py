"""Makes a trained optimizer available as torch.optim.Optimizer. The steps are computed in PyTorch or in the C library.

    import warploom.torch
    optimizer = warploom.torch.LearnedOptimizer(model.parameters(), "optimizer.h5", horizon=2000)
    for inputs, targets in batches:
        loss = loss_of(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step(loss=loss)
"""
import copy
import warnings

import numpy as np
import torch

from . import library, precondition
from .errors import CONFIG, DATA, NO_INPUT, USAGE, ToolError
from .rules import ELEMENTWISE, Bundle, Elementwise, Lstm, LstmAdam, Moment, RnnProp, Tensor
from .tensor_rules import Controller, FeatureNet, Lbfgs, Muon
from .trained import open_trained, read_phi

_CLASSES = {"lstm": Lstm, "rnnprop": RnnProp, "controller": Controller, "muon": Muon, "lbfgs": Lbfgs}
_NETS = ("mlp", "small_fc", "celo2", "celo2base")
RULES = (*_CLASSES, *_NETS, *ELEMENTWISE)


def _make_rule(name, options, phi, steps):
    if name in ELEMENTWISE:
        return Elementwise(name, options, phi, steps)
    if name in _NETS:
        return FeatureNet(name, options, phi, steps)
    if name == "lstm" and options.get("preprocessing") == "adam":
        return LstmAdam(options, phi, steps)
    return _CLASSES[name](options, phi, steps)


def _whole(horizon):
    """Returns the horizon as an int, or None if no horizon is given."""
    if horizon is None:
        return None
    try:
        steps = int(horizon)
    except (TypeError, ValueError, OverflowError):  # for example NaN or infinity
        steps = 0
    if steps != horizon or not 1 <= steps < 2**63:
        raise ToolError(USAGE, f"horizon is {horizon!r}; give at least 1 step, as a whole number such as 400 or 400.0, "
                               "or None")
    return steps


def _after_horizon(c):
    """Returns the effect of the steps after the horizon on the training, or None if the rule does not use the
    horizon."""
    if c["rule.name"] == "lbfgs":
        return "the learning rate of the rule stays at its last value"
    if c["rule.name"] == "controller":
        return "the updates of the rule are 0" if c.get("rule.horizon", True) else None
    if c.get("rule.schedule") not in ("linear", "cosine", "warmup_cosine"):
        return None
    final = c.get("rule.final_fraction", 0.0)
    return f"the learning rate of the rule is {final:g} times its largest value" if final else "the updates of the rule are 0"


def _require_rule_alone(path, c):
    """Raises a ToolError if PyTorch does not support the rule, or if the optimizer contains learned initial parameters
    or warp layers, which belong to the network of the training."""
    name = c.get("rule.name")
    if name not in RULES:
        raise ToolError(DATA, f"{path}: the rule '{name}' is not supported in PyTorch yet; supported: "
                              + ", ".join(RULES))
    if c.get("initialisation.name", "none") != "none":
        raise ToolError(DATA, f"{path}: was trained with initialisation '{c['initialisation.name']}', which belongs to its "
                              "task's network and is not supported in PyTorch; train an optimizer with `initialisation: "
                              "{name: none}`")
    for key, value in c.items():
        if key.startswith("task") and key.endswith(".warp") and value not in ("none", ["none"], []):
            raise ToolError(DATA, f"{path}: was trained with warp layers, which are part of the task's network and "
                                  "cannot act on a gradient alone; train an optimizer with `task.warp: none`")


def _read(path):
    """Returns the configuration, the meta-parameters rounded to float32, and the digest. The function closes the file,
    because the C library cannot open a file that is still open in h5py."""
    with open_trained(path) as file:
        phi = {name: x.astype(np.float32).astype(np.float64) for name, x in read_phi(file).items()}
        return file.configuration, phi, file.attributes.get("digest", "")


class _CRun:
    """A run of the C library on the parameters of an optimizer. The run owns the states of the parameters."""

    def __init__(self, path, digest):
        self.optimizer = library.Optimizer(path)
        if self.optimizer.digest != digest:
            raise ToolError(DATA, f"{path}: changed while it was read; name a file instead of a run directory")
        self.parameters, self.saved = None, None

    @staticmethod
    def obstacle(p):
        """Returns the reason why the library cannot update a parameter, or None."""
        if p.device.type != "cpu" or p.dtype != torch.float32:
            return f"it is {p.dtype} on {p.device}"
        if not p.is_contiguous():
            return "it is not contiguous"
        if p.dim() > library.MOST_AXES or p.numel() == 0:
            return f"its shape is {tuple(p.shape)}"
        return "its gradient is sparse" if p.grad is not None and p.grad.is_sparse else None

    def _transposed(self, p, group):
        return self.optimizer.sees_tensors and p.dim() == 2 and group["layout"] == "out_in"

    def _start(self, work, run, threads):
        shapes = [tuple(p.shape)[::-1] if self._transposed(p, group) else tuple(p.shape) or (1,) for p, group in work]
        self.optimizer.start(shapes, run["horizon"], threads)
        self.parameters = [p for p, _ in work]
        if self.saved is not None:
            self.optimizer.set_state(self.saved.numel(), self.saved.data_ptr(), run["step"])
            self.saved = None

    def step(self, work, run, loss, threads):
        """Computes a step. `work` contains (parameter, group) for all parameters with a gradient."""
        if self.parameters is None:
            self._start(work, run, threads)
        if len(work) != len(self.parameters) or any(p is not q for (p, _), q in zip(work, self.parameters)):
            raise ToolError(USAGE, "the parameters with a gradient are not the same as in the first step; compute a "
                                   'gradient for each parameter, or use backend="torch"')
        gradients = [p.grad.to(torch.float32).contiguous() for p, _ in work]
        self.optimizer.step([(g.data_ptr(), p.data_ptr(), self._transposed(p, group), group["lr"], group["weight_decay"])
                             for g, (p, group) in zip(gradients, work)], loss)
        _note_change(self.parameters)

    def state(self):
        """Returns the states of all parameters in the order of the library, or None before the first step."""
        if self.parameters is None:
            return None if self.saved is None else self.saved.clone()
        state = torch.empty(self.optimizer.state_size)
        self.optimizer.get_state(state.data_ptr())
        return state

    def restore(self, state):
        self.parameters, self.saved = None, state if state is None else state.detach().cpu().float().contiguous().clone()


def _note_change(parameters):
    """Reports the change of a parameter to autograd, because autograd detects only changes by PyTorch. Before PyTorch
    2.1, such a report was not possible."""
    increment = getattr(torch.autograd.graph, "increment_version", None)
    if increment:
        for p in parameters:
            increment(p)


def load_initial_parameters(params, path, *, layout="out_in"):
    """Copies initial parameters that were learned with the initialisation maml, leap or reptile into the parameters of
    a model.

    params  parameters of the model (model.parameters()), with the order and the shapes of the training's network
    path    path of an optimizer.h5, a checkpoint, or a run directory
    layout  order of the axes of matrices, as for LearnedOptimizer

    If the configuration key `initialisation.fresh` names a tensor, the meta-training draws this tensor again for each
    episode. The function does not change this tensor of the model. The function needs the C library."""
    if layout not in ("out_in", "in_out"):
        raise ToolError(USAGE, f"layout is '{layout}', but it must be out_in or in_out")
    params = list(params)
    exchanged = [p.dim() == 2 and layout == "out_in" for p in params]
    seen = [p.detach().t() if t else p.detach().reshape(tuple(p.shape) or (1,)) for p, t in zip(params, exchanged)]
    optimizer = library.Optimizer(path)
    optimizer.start([tuple(x.shape) for x in seen], 0, 1)
    theta = torch.cat([x.to("cpu", torch.float32).reshape(-1) for x in seen])
    optimizer.initial(theta.numel(), theta.data_ptr())
    with torch.no_grad():
        for p, x, t, values in zip(params, seen, exchanged, theta.split([x.numel() for x in seen])):
            values = values.reshape(x.shape)
            p.copy_((values.t() if t else values).reshape(p.shape))


class LearnedOptimizer(torch.optim.Optimizer):
    """A trained optimizer. A step computes (u, s) = rule(g, theta, s, t) and theta <- theta + lr (u - weight_decay
    theta).

    params        parameters or groups, as for every optimizer of PyTorch
    path          path of an optimizer.h5, a checkpoint, or a run directory
    lr            factor of the update, which schedulers of PyTorch can change.
                  The update includes the learning rate of the rule, so lr = 1 applies the rule as it was trained.
    weight_decay  coefficient of decoupled weight decay, which is multiplied by lr
    horizon       number of steps of the whole training of the model, for rules that use t / T.
                  With None, the rule controller uses a schedule for an unknown number of steps, and other rules use the
                  longest episode of the meta-training. A step after the horizon causes a warning.
                  When a state is loaded, a given horizon replaces the horizon of the state with a warning.
    layout        order of the axes of matrices: "out_in" as in torch.nn.Linear, or "in_out" as in torch.nn.Embedding
    backend       "torch", "c" or "auto".
                  "c" is the C library, for contiguous float32 parameters on the CPU. "auto" selects the C library if it
                  is installed and all parameters meet this condition. After the first step, the attribute `backend`
                  contains the selected backend.
    threads       number of threads of the C library; None stands for torch.get_num_threads()

    lr, weight_decay and layout may differ between groups. The state is float64 for float64 parameters and float32 for
    all other parameters. Parameters without a gradient are left out of a step.
    """

    def __init__(self, params, path, *, lr=1.0, weight_decay=0.0, horizon=None, layout="out_in", backend="auto",
                 threads=None):
        self._given_horizon = _whole(horizon)
        if backend not in ("auto", "torch", "c"):
            raise ToolError(USAGE, f"backend is '{backend}', but it must be auto, torch or c")
        c, phi, self.digest = _read(path)
        if "rule.plugin" in c:
            raise ToolError(DATA, f"{path}: its rule is a plug-in, {c['rule.plugin']}, which only the program "
                                  "warploom runs")
        steps = c["episode.steps"]
        self.trained_horizon, self.rule_name = steps[-1] if isinstance(steps, list) else steps, c["rule.name"]
        self.backend, self._threads, self._c, self.rule = backend, threads, None, None
        self._precondition, self._warned = None, set()
        self._after_horizon = _after_horizon(c)
        self._reads_loss = self.rule_name == "controller" and c.get("rule.losses", True)
        if backend != "torch":
            self._open_library(path)
        if backend != "c":
            self._open_rule(path, c, phi)
        self._clip_value, self._clip_norm = c.get("episode.clip_value", 0.0), c.get("episode.clip_norm", 0.0)
        unknown = 0 if self.rule_name == "controller" else self.trained_horizon
        self._run = {"step": 0, "horizon": self._given_horizon or unknown, "whole": {}}
        self._bundles = {}
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "layout": layout})

    def _open_library(self, path):
        """Opens the optimizer in the library.
        With backend "auto", PyTorch runs the optimizer if the library is not installed, does not know a key of the
        configuration, or does not find the data set of a task."""
        try:
            self._c = _CRun(path, self.digest)
        except ToolError as error:
            if self.backend == "c" or error.code not in (NO_INPUT, CONFIG):
                raise
            self.backend = "torch"

    def _open_rule(self, path, c, phi):
        """Creates the rule in PyTorch.
        With backend "auto", the library runs the optimizer if PyTorch does not support the optimizer."""
        try:
            _require_rule_alone(path, c)
            options = {key[5:]: value for key, value in c.items() if key.startswith("rule.")}
            given = {key[13:]: value for key, value in c.items() if key.startswith("precondition.")}
            self._precondition = precondition.make(given.get("name", "none"), given, phi)
            self.rule = _make_rule(self.rule_name, options, phi, self.trained_horizon)
        except ToolError:
            if self._c is None:
                raise
            self.backend = "c"

    def add_param_group(self, param_group):
        layout = param_group.get("layout", self.defaults["layout"])
        if layout not in ("out_in", "in_out"):
            raise ToolError(USAGE, f"layout is '{layout}', but it must be out_in or in_out")
        super().add_param_group(param_group)

    def _with_gradient(self):
        return [(p, group) for group in self.param_groups for p in group["params"] if p.grad is not None]

    def _choose_backend(self):
        """Chooses the backend for "auto" at the first step.
        The backend is the library if the library can update all parameters and all parameters have gradients, or else
        PyTorch."""
        parameters = [p for group in self.param_groups for p in group["params"]]
        every = all(p.grad is not None for p in parameters)
        fits = every and all(self._c.obstacle(p) is None for p in parameters)
        self.backend = "c" if fits else "torch"

    @torch.no_grad()
    def step(self, closure=None, *, loss=None):
        """Takes one step. `closure` is a function that computes the loss and the gradients again.
        `loss` is the minibatch loss at the current parameters, for rules that use it (controller). If such a rule
        receives no loss, the first step causes a warning."""
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self.backend == "auto":
            self._choose_backend()
        self._warn_of_step(loss)
        known = float(loss) if self._reads_loss and loss is not None else float("nan")
        if self.backend == "c":
            self._step_in_library(known)
        else:
            self._step_in_torch(known)
        self._run["step"] += 1
        return loss

    def _warn_of_step(self, loss):
        """Warns once of a step after the horizon, and once of a step without the loss that the rule uses."""
        step, horizon = self._run["step"], self._run["horizon"]
        if self._after_horizon and horizon and step >= horizon:
            self._warn_once("horizon", f"step {step + 1} is after the horizon of {horizon} steps. After the horizon, "
                            f"{self._after_horizon}. Create the optimizer with horizon=N, where N is the number of steps "
                            "of the whole training")
        if self._reads_loss and loss is None:
            self._warn_once("loss", f"the rule '{self.rule_name}' uses the minibatch loss, but step() received no loss. "
                            "Call step(loss=loss), or pass a closure that returns the loss")

    def _warn_once(self, what, text):
        if what not in self._warned:
            self._warned.add(what)
            warnings.warn(text, stacklevel=2)

    def _step_in_library(self, loss):
        work = self._with_gradient()
        for p, _ in work:
            obstacle = self._c.obstacle(p)
            if obstacle:
                raise ToolError(USAGE, f"the C library cannot change a parameter: {obstacle}; "
                                       'use backend="torch", or contiguous float32 parameters on the CPU')
        if work:
            threads = torch.get_num_threads() if self._threads is None else self._threads
            self._c.step(work, self._run, loss, threads)

    def _step_in_torch(self, loss):
        count = sum(len(group["params"]) for group in self.param_groups)
        if self.rule.tensors not in (None, count):
            raise ToolError(DATA, f"the optimizer has separate scalars for each of {self.rule.tensors} tensors in "
                                  f"its training, but the model has {count} tensors")
        work = self._gather()
        if not work:
            return
        tensors = [x for _, _, _, x in work]
        self._clip(tensors)
        if self._precondition:
            self._precondition.apply(tensors)
        now = Moment(self._run["step"], self._run["horizon"], loss, self._run["whole"])
        for (p, group, transposed, x), u in zip(work, self._update(tensors, now)):
            if group["weight_decay"]:
                u = u - group["weight_decay"] * x.p
            u = u.t() if transposed else u
            p.add_(u.reshape(p.shape).to(p.dtype), alpha=group["lr"])

    def _update(self, tensors, now):
        """Returns the updates of all tensors.
        A coordinatewise rule processes small tensors together if they have the same device and precision."""
        kinds = {}
        for j, x in enumerate(tensors):
            if self.rule.by_coordinate and x.g.numel() <= Bundle.MOST:
                kinds.setdefault((x.g.device, x.g.dtype), []).append(j)
        bundled = {key: chosen for key, chosen in kinds.items() if len(chosen) > 1}
        inside = {j for chosen in bundled.values() for j in chosen}
        rest = [j for j in range(len(tensors)) if j not in inside]
        updates = dict(zip(rest, self.rule.update([tensors[j] for j in rest], now)))
        for key, chosen in bundled.items():
            own = [tensors[j] for j in chosen]
            bundle = self._bundles.get(key)
            if bundle is None or not bundle.holds([x.state for x in own]):
                bundle = self._bundles[key] = Bundle(
                    self.rule.fields, [x.state for x in own], [x.g.shape for x in own])
            u = self.rule.update([bundle.tensor(own)], now)[0]
            updates.update(zip(chosen, bundle.split(u, own)))
        return [updates[j] for j in range(len(tensors))]

    def _gather(self):
        """Returns a list with one entry for each parameter that has a gradient.
        An entry is (parameter, group, True if the axes are exchanged, tensor in the rule's order of axes)."""
        work, index = [], -1
        seen = self.rule.tensorwise or self._precondition is not None
        for group in self.param_groups:
            for p in group["params"]:
                index += 1
                if p.grad is None:
                    continue
                if p.grad.is_sparse:
                    raise ToolError(USAGE, "a gradient is sparse; use dense gradients (torch.nn.Embedding: "
                                           "sparse=False)")
                dtype = p.dtype if p.dtype in (torch.float32, torch.float64) else torch.float32
                transposed = seen and p.dim() == 2 and group["layout"] == "out_in"
                g, theta = ((y.t().contiguous() if transposed else y.reshape(1) if y.dim() == 0 else y).to(dtype)
                            for y in (p.grad, p.detach()))
                if p not in self.state:
                    self.state[p] = self.rule.start(theta)
                work.append((p, group, transposed, Tensor(index, g, theta, self.state[p])))
        return work

    def _clip(self, tensors):
        """Clips gradients as in the training of the rule. First, each value is clipped.
        Then all gradients are multiplied by one factor that limits their common norm."""
        if self._clip_value > 0:
            for x in tensors:
                x.g = x.g.clamp(-self._clip_value, self._clip_value)
        if self._clip_norm > 0:
            norm = torch.stack([x.g.norm().double().cpu() for x in tensors]).norm().item()
            if norm > self._clip_norm:
                for x in tensors:
                    x.g = x.g * (self._clip_norm / norm)

    def state_dict(self):
        """Returns the state in the form of every PyTorch optimizer.
        The entry "warploom" of the state contains the step, the horizon, the rule's averages of the loss, the digest of
        its meta-parameters and the backend. For the C library, the entry also contains the states of all parameters."""
        own = {**copy.deepcopy(self._run), "digest": self.digest, "backend": self.backend}
        if self.backend == "c":
            own["state"] = self._c.state()
        return {**super().state_dict(), "warploom": own}

    def load_state_dict(self, state_dict):
        """Loads a state of state_dict(). If the optimizer was created with a horizon that differs from the horizon of
        the state, the optimizer's horizon applies to all further steps, and the function warns."""
        own = state_dict.get("warploom")
        if own is None:
            raise ToolError(DATA, "the state belongs to another optimizer: it has no entry 'warploom'")
        if own["digest"] != self.digest:
            raise ToolError(DATA, f"the state belongs to the trained optimizer {own['digest']}, but this optimizer is "
                                  f"{self.digest}")
        self._take_backend(own["backend"])
        self._bundles = {}
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "warploom"})
        self._run = {key: copy.deepcopy(own[key]) for key in ("step", "horizon", "whole")}
        self._keep_given_horizon()
        if self.backend == "c":
            self._c.restore(own["state"])
        self._restore_precision(state_dict)

    def _keep_given_horizon(self):
        given, loaded = self._given_horizon, self._run["horizon"]
        if given not in (None, loaded):
            warnings.warn(f"the state was saved with horizon={loaded or None}, but this optimizer was created with horizon={given}. "
                          f"The further steps use horizon={given}. To keep the horizon of the state, create the optimizer "
                          "without horizon", stacklevel=3)
            self._run["horizon"] = given

    def _take_backend(self, theirs):
        """Raises a ToolError if the state was saved with a backend that this optimizer does not use."""
        possible = {"auto": True, "c": self._c is not None, "torch": self.rule is not None}
        if self.backend not in (theirs, "auto") and theirs != "auto" or not possible[theirs]:
            raise ToolError(USAGE, f'the state was made with backend="{theirs}", but this optimizer has backend='
                                   f'"{self.backend}"; create the optimizer with backend="{theirs}"')
        if theirs != "auto":
            self.backend = theirs

    def _restore_precision(self, state_dict):
        """Restores float32 states of half-precision parameters.
        This is necessary because PyTorch casts states to the precision of the parameters."""
        numbers = [i for group in state_dict["param_groups"] for i in group["params"]]
        for number, p in zip(numbers, (p for group in self.param_groups for p in group["params"])):
            if number in state_dict["state"]:
                self.state[p] = {key: value.clone().to(p.device) for key, value in state_dict["state"][number].items()}
