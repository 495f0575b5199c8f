"""Contains the update rules in PyTorch. The rules compute the formulas of src/rule for one tensor at a time.

A rule is created from the options of its configuration (keys without `rule.`), its meta-parameters {name: array} and
the steps of the longest episode in training. `start` returns the initial state of a tensor, which is zero. `update`
receives the tensors of a step, changes their states in place and returns the updates u of theta <- theta + u.
"""
import dataclasses
import math

import torch

from .errors import DATA, ToolError


@dataclasses.dataclass
class Tensor:
    """The data of one parameter at one step. The axes have Warploom's order, which is (in, out) for dense weights and
    (out, in, ...) for convolutions."""
    index: int
    g: torch.Tensor
    p: torch.Tensor
    state: dict

    @property
    def matrix(self):
        return self.g.dim() >= 2

    @property
    def fan_in(self):
        shape = self.g.shape
        if len(shape) < 2:
            return 1
        return shape[0] if len(shape) == 2 else self.g.numel() // shape[0]


@dataclasses.dataclass
class Moment:
    """Values that are equal for all tensors: the number t of steps done, the number of steps of the run, the minibatch
    loss (NaN if unknown), and the state that all tensors share."""
    t: int
    horizon: int
    loss: float
    whole: dict


class Bundle:
    """Small tensors that are processed as one tensor, so that the operations are fewer and larger. The states of these
    tensors are views of the bundle's state.

    States that the rule lists as `fields` have the shape of the tensor. Other states have the shape (hidden units,
    coordinates)."""
    MOST = 1 << 14  # largest number of coordinates of a tensor that is bundled

    def __init__(self, fields, states, shapes):
        self.states, self.sizes, self.state = states, [math.prod(shape) for shape in shapes], {}
        for name in states[0]:
            flat = [s[name].reshape(-1) if name in fields else s[name] for s in states]
            self.state[name] = torch.cat(flat, dim=-1)
            for own, part, shape in zip(states, self.state[name].split(self.sizes, dim=-1), shapes):
                own[name] = part.view(shape) if name in fields else part

    def holds(self, states):
        return len(states) == len(self.states) and all(a is b for a, b in zip(states, self.states))

    def tensor(self, tensors):
        flat = lambda parts: torch.cat([part.reshape(-1) for part in parts])  # noqa: E731
        return Tensor(0, flat([x.g for x in tensors]), flat([x.p for x in tensors]), self.state)

    def split(self, u, tensors):
        return [part.view(x.g.shape) for part, x in zip(u.split(self.sizes), tensors)]


def total(x, **axes):
    """Returns a sum, computed in float64 if the device supports it."""
    return x.sum(**axes, dtype=x.dtype if x.device.type == "mps" else torch.float64)


def wide(x):
    return x if x.device.type == "mps" else x.double()


def correction(decay, t):
    """Returns the factor that corrects the bias of a running mean that started at zero."""
    return 1 / (1 - decay ** (t + 1))


def decayed(mean, keep, new, take=None):
    """Computes mean <- keep * mean + take * new in place, where `keep` and `take` are numbers. If the device has fused
    multiply-adds, the results are rounded as in the C library."""
    return torch.add(new * (1 - keep if take is None else take), mean, alpha=keep, out=mean)


class Rule:
    """The base class of the rules. `fields` contains the names of the states that have one number for each
    coordinate."""
    tensorwise = False  # True if the result depends on the positions of the coordinates in the tensor
    tensors = None  # number of tensors if the rule has meta-parameters for each tensor
    fields = ()

    def __init__(self, options, phi, steps):
        self.options, self.phi, self.steps = options, phi, steps
        self._placed = {}

    def option(self, key, default=None):
        value = self.options.get(key, default)
        if value is None:
            raise ToolError(DATA, f"the optimizer's configuration has no key rule.{key}")
        return value

    def placed(self, name, like):
        """Returns the meta-parameters `name` on the device and in the precision of a tensor."""
        key = (name, like.device, like.dtype)
        if key not in self._placed:
            if name not in self.phi:
                raise ToolError(DATA, f"the optimizer's file has no meta-parameters phi/{name}")
            self._placed[key] = torch.as_tensor(self.phi[name]).to(like.device, like.dtype)
        return self._placed[key]

    def start(self, p):
        return {name: torch.zeros_like(p, memory_format=torch.contiguous_format) for name in self.fields}

    @property
    def by_coordinate(self):
        """Returns True if the coordinates of several tensors can be treated as coordinates of one tensor."""
        return not self.tensorwise and self.tensors is None

    def update(self, tensors, now):
        return [self.update_one(x, now) for x in tensors]

    def update_one(self, x, now):
        raise NotImplementedError


class Schedule:
    """Returns the factor of the learning rate at step t (src/rule/schedule.c)."""

    def __init__(self, rule):
        self.kind = rule.option("schedule", "constant")
        self.final = rule.option("final_fraction", 0.0)
        self.every, self.factor = rule.option("decay_every", 1000), rule.option("decay_factor", 0.5)
        self.warmup = rule.option("warmup_steps", 0) if self.kind == "warmup_cosine" else 0
        self.warmup_fraction = rule.option("warmup_fraction", 0.0)

    def at(self, t, steps):
        warmup = math.floor(self.warmup_fraction * steps + 0.5) if self.warmup_fraction > 0 else self.warmup
        if t < warmup:
            return (t + 1) / warmup
        if self.kind == "step":
            return self.factor ** (t // self.every)
        if self.kind == "constant":
            return 1.0
        done = min((t - warmup) / (steps - warmup), 1.0) if steps > warmup else 1.0
        left = 1 - done if self.kind == "linear" else 0.5 * (1 + math.cos(math.pi * done))
        return self.final + (1 - self.final) * left


# ---- Hand-designed rules with learned scalars ------------------------------------------------------------------------

@dataclasses.dataclass
class Coefficient:
    """A scalar of a rule at one step. `complement` (1 - value) and the bias correction are used only for scalars
    between 0 and 1."""
    value: float
    complement: float = 0.0
    correction: float = 1.0


def _sgd(c, x):
    return x.g * -c["rate"].value


def _momentum(c, x):
    return x.state["v"].mul_(c["momentum"].value).add_(x.g) * -c["rate"].value


def _nesterov(c, x):
    v = x.state["v"].mul_(c["momentum"].value).add_(x.g)
    return (x.g + c["momentum"].value * v) * -c["rate"].value


def _rmsprop(c, x):
    v = decayed(x.state["v"], c["decay"].value, x.g * x.g, c["decay"].complement)
    return x.g / (v.sqrt() + c["epsilon"].value) * -c["rate"].value


def _moments(c, x):
    m = decayed(x.state["m"], c["beta1"].value, x.g, c["beta1"].complement)
    v = x.state["v"].mul_(c["beta2"].value).addcmul_(x.g, x.g, value=c["beta2"].complement)
    return m, (v * c["beta2"].correction).sqrt_().add_(c["epsilon"].value)


def _adam(c, x):
    m, root = _moments(c, x)
    return (m / root).mul_(-c["rate"].value * c["beta1"].correction)


def _nadam(c, x):
    m, root = _moments(c, x)
    b = c["beta1"]
    ahead = 1 / (1 - b.value * (1 - 1 / b.correction))
    return (m * (b.value * ahead) + x.g * (b.complement * b.correction)) / root * -c["rate"].value


def _with_decay(update):
    return lambda c, x: update(c, x) - x.p * (c["rate"].value * c["weight_decay"].value)


def _lion(c, x):
    m = x.state["m"]
    sign = (m * c["beta1"].value + x.g * (1 - c["beta1"].value)).sign_()
    decayed(m, c["beta2"].value, x.g, c["beta2"].complement)
    return (sign + x.p * c["weight_decay"].value) * -c["rate"].value


def _pamela(c, x):
    u = -(x.g * c["rate"].value) - x.p * c["decay"].value - x.state["u"] * c["skip"].value
    return x.state["u"].copy_(u)


FREE, UNIT, CONSTANT = "free", "between 0 and 1", "not learnable"
_ADAM = {"rate": FREE, "beta1": UNIT, "beta2": UNIT, "epsilon": CONSTANT}
_ADAMW = {**_ADAM, "weight_decay": FREE}
# For each rule: its name, the function that computes the update, the names of its states, and its scalars.
ELEMENTWISE = {
    "sgd": (_sgd, (), {"rate": FREE}),
    "momentum": (_momentum, ("v",), {"rate": FREE, "momentum": UNIT}),
    "nesterov": (_nesterov, ("v",), {"rate": FREE, "momentum": UNIT}),
    "pamela": (_pamela, ("u",), {"rate": FREE, "decay": FREE, "skip": FREE}),
    "rmsprop": (_rmsprop, ("v",), {"rate": FREE, "decay": UNIT, "epsilon": CONSTANT}),
    "adam": (_adam, ("m", "v"), _ADAM),
    "adamw": (_with_decay(_adam), ("m", "v"), _ADAMW),
    "nadam": (_nadam, ("m", "v"), _ADAM),
    "nadamw": (_with_decay(_nadam), ("m", "v"), _ADAMW),
    "lion": (_lion, ("m",), {"rate": FREE, "beta1": CONSTANT, "beta2": UNIT, "weight_decay": FREE}),
}


class Elementwise(Rule):
    """A hand-designed rule. Each of its scalars is configured or learned. A learned scalar has one value for the run,
    or separate values for steps, for tensors or for both. phi then has up to (steps, tensors) numbers."""

    def __init__(self, name, options, phi, steps):
        super().__init__(options, phi, steps)
        self.update_by, self.fields, self.scalars = ELEMENTWISE[name]
        self.schedule = Schedule(self)
        self.learned = {key: self._table(key) for key in self.option("learn", [])}
        if "tensor" in self.option("learn_per", "run") and self.learned:
            self.tensors = len(next(iter(self.learned.values()))[0])

    def _table(self, key):
        """Returns the values [step][tensor] of a learned scalar."""
        if f"rule.{key}" not in self.phi:
            raise ToolError(DATA, f"the optimizer's file has no meta-parameters phi/rule.{key}")
        per = self.option("learn_per", "run")
        numbers = self.phi[f"rule.{key}"]
        rows = self.steps if per.startswith("step") else 1
        return numbers.reshape(rows, -1).tolist()

    def _decode(self, key, number):
        """Converts a number of phi to the value and the complement of a scalar."""
        if self.scalars[key] != UNIT:
            return number, 0.0
        return 1 / (1 + math.exp(-number)), 1 / (1 + math.exp(number))

    def _coefficient(self, key, t, tensor):
        if key not in self.learned:
            value = self.option(key)
            unit = self.scalars[key] == UNIT
            return Coefficient(value, 1 - value, correction(value, t) if unit else 1.0)
        rows = self.learned[key]
        column = [row[tensor if self.tensors else 0] for row in rows]
        value, complement = self._decode(key, column[min(t, len(column) - 1)])
        if self.scalars[key] != UNIT:
            return Coefficient(value)
        beyond = t + 1 - len(column)
        power = math.prod(self._decode(key, x)[0] for x in column[:t + 1]) * value ** max(beyond, 0)
        return Coefficient(value, complement, 1 / (1 - power))

    def coefficients(self, now, tensor):
        c = {key: self._coefficient(key, now.t, tensor) for key in self.scalars}
        c["rate"].value *= self.schedule.at(now.t, now.horizon)
        return c

    def update(self, tensors, now):
        if not self.tensors:
            c = self.coefficients(now, 0)
            return [self.update_by(c, x) for x in tensors]
        return [self.update_by(self.coefficients(now, x.index), x) for x in tensors]


# ---- Recurrent rules -------------------------------------------------------------------------------------------------

ROWS = {"cpu": 1 << 12}  # number of coordinates in a portion on the CPU, so that their gates stay in the caches
MOST_ROWS = 1 << 18  # number of coordinates in a portion on other devices, to limit the memory of the gates


class Recurrent(Rule):
    """The base class of the LSTM and RNNprop. This class evaluates the layers, stores their states, and processes
    coordinates in portions."""

    def __init__(self, options, phi, steps):
        super().__init__(options, phi, steps)
        self.hidden = self.option("hidden")

    def start(self, p):
        state = super().start(p)
        for l, units in enumerate(self.hidden, 1):
            state[f"h{l}"] = p.new_zeros(units, p.numel())
            state[f"c{l}"] = p.new_zeros(units, p.numel())
        return state

    def layers(self, x, state, forget_bias):
        """Returns the outputs (heads, n) of all layers for x (inputs, n).
        The order of gates is input, candidate, forget, output."""
        for l, units in enumerate(self.hidden, 1):
            h, c = state[f"h{l}"], state[f"c{l}"]
            weight = self.placed(f"lstm{l}.weight", x)
            z = torch.addmm(self.placed(f"lstm{l}.bias", x).unsqueeze(1), weight, torch.cat([x, h]))
            i, j, f, o = z.split(units)
            c.mul_(torch.sigmoid(f + forget_bias)).add_(torch.sigmoid(i) * torch.tanh(j))
            x = h.copy_(torch.sigmoid(o) * torch.tanh(c))
        return torch.addmm(self.placed("output.bias", x).unsqueeze(1), self.placed("output.weight", x), x)

    def update_one(self, x, now):
        g, u = x.g.reshape(-1), torch.empty(x.g.numel(), device=x.g.device, dtype=x.g.dtype)
        rows = ROWS.get(g.device.type, MOST_ROWS)
        for first in range(0, g.numel(), rows):
            part = slice(first, first + rows)
            state = {name: s.view(-1)[part] if name in self.fields else s[:, part] for name, s in x.state.items()}
            u[part] = self.update_part(g[part], state, now)
        return u.view(x.g.shape)

    def update_part(self, g, state, now):
        raise NotImplementedError


class Lstm(Recurrent):
    """The coordinatewise LSTM (src/rule/lstm.c). If the option `momentum` is positive, the update also contains a
    Nesterov step."""
    EPSILON = 1.1920928955078125e-7

    def __init__(self, options, phi, steps):
        super().__init__(options, phi, steps)
        self.kind = self.option("preprocessing")
        self.strength = self.option("preprocessing_strength", 0.0) or (10.0 if self.kind == "paper" else 5.0)
        self.gradient_scale, self.output_scale = self.option("gradient_scale"), self.option("output_scale")
        self.forget_bias = self.option("forget_bias")
        self.momentum, self.rate = self.option("momentum", 0.0), self.option("rate", 1.0)
        self.fields = ("sum",) if self.momentum > 0 else ()

    def preprocess(self, g):
        v = g * self.gradient_scale
        if self.kind == "none":
            return [v]
        grown = v * math.exp(self.strength)
        if self.kind == "log":
            return [(torch.log(v.abs() + self.EPSILON) / self.strength).clamp_(min=-1), grown.clamp_(-1, 1)]
        large = grown.abs() >= 1
        size = torch.log(torch.where(large, v.abs(), torch.ones_like(v))) / self.strength
        return [torch.where(large, size, -torch.ones_like(v)), torch.where(large, v.sign(), grown)]

    def update_part(self, g, state, now):
        x = self.preprocess(g)
        if self.momentum > 0:
            after = state["sum"].mul_(self.momentum).add_(g)
            x += self.preprocess(after * (1 - self.momentum))
        out = self.layers(torch.stack(x), state, self.forget_bias)
        u = out[0] * self.output_scale
        if self.momentum > 0:
            u = u - self.rate * torch.exp(out[1]) * (g + self.momentum * after)
        return u


class RnnProp(Recurrent):
    """An LSTM whose inputs are the gradient and the momentum, normalised as in Adam (src/rule/rnnprop.c)."""
    DECAY = 0.95
    fields = ("m", "v")

    def update_part(self, g, state, now):
        m, v = decayed(state["m"], self.DECAY, g), decayed(state["v"], self.DECAY, g * g)
        q = correction(self.DECAY, now.t)
        below = (v * q).sqrt_() + 1e-8
        adam = m * q / below
        out = self.layers(self.first(torch.stack([g / below, adam])), state, 1.0)
        u = self.bounded(out[0]) * self.option("output_scale")
        rate = self.option("rate", 0.0)
        return u - rate * torch.exp(out[1]) * adam if rate > 0 else u

    def first(self, x):
        x = torch.addmm(self.placed("input.bias", x).unsqueeze(1), self.placed("input.weight", x), x)
        return torch.nn.functional.elu(x)

    def bounded(self, out):
        return -torch.tanh(out)


class LstmAdam(RnnProp):
    """The LSTM with `preprocessing: adam`. This rule is RNNprop without its dense layer and without the bound on its
    output."""

    def first(self, x):
        return x

    def bounded(self, out):
        return out
