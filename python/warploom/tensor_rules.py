"""Contains the rules that use the shapes of tensors: controller, muon, lbfgs, and the networks on features (mlp,
small_fc, celo2 and celo2base)."""
import math

import numpy as np
import torch

from .errors import DATA, ToolError
from .newton_schulz import newton_schulz, orthogonal
from .rules import Rule, Schedule, correction, decayed, total, wide

TINY = 1e-30


class Controller(Rule):
    """The rule controller, which is a form of Muon that uses the horizon. A network sets the learning rate and the
    mixture of momenta for each tensor (src/rule/controller.c)."""
    tensorwise = True
    fields = ("momentum", "slow_momentum", "second_moment")
    MIDDLE_HORIZON, LEAST_SIZE = 2000, 1e-3

    def __init__(self, options, phi, steps):
        super().__init__(options, phi, steps)
        if self.option("correction", "none") != "none":
            raise ToolError(DATA, "the controller in PyTorch does not support rule.correction: use backend=\"c\"")
        if self.phi["base"].shape != (3, 14):
            raise ToolError(DATA, f"the controller's meta-parameters rule.base have the shape {tuple(self.phi['base'].shape)}"
                            ", expected (3, 14): an earlier version trained them; train the rule again")

    def update(self, tensors, now):
        T, left = self._horizon(now)
        q = [correction(0.9, now.t), correction(0.99, now.t), correction(0.99, now.t)]
        passes = [self._moments(x, q) for x in tensors]
        sums = torch.stack([own.cpu() for _, own in passes]).double().numpy()
        losses = self._follow_loss(now)
        inputs = self._inputs(tensors, sums, q, now, losses)
        sizes, matrices = self._sizes(tensors, sums), sum(x.matrix for x in tensors)
        return [self._update_one(x, passes[j][0], q, self._steer(x, inputs[j], sizes[j], (now.t, T, left, losses[1], matrices)))
                for j, x in enumerate(tensors)]

    def _horizon(self, now):
        """Returns the horizon T and the remaining fraction of T.
        If the horizon is unknown, T is 6 (t + 1) and the fraction is 1/2 at step t."""
        if self.option("horizon") and now.horizon:
            return now.horizon, 1 - min(1, now.t / now.horizon)
        return 6 * (now.t + 1), 0.5

    @staticmethod
    def _moments(x, q):
        """Updates the running means in the state. Returns epsilon and nine sums over the tensor."""
        g, p, state = x.g, x.p, x.state
        m = decayed(state["momentum"], 0.9, g, 0.1)
        s = decayed(state["slow_momentum"], 0.99, g, 0.01)
        v = decayed(state["second_moment"], 0.99, g * g, 0.01)
        of_v = total(v)
        epsilon = (1e-8 * (q[2] * of_v / g.numel()).sqrt() + TINY).to(g.dtype)
        ratio = m * q[0] / ((v * q[2]).sqrt_() + epsilon)
        pairs = [(g, m), (g, g), (m, m), (m, s), (s, s), (p, m), (p, p), (ratio, ratio)]
        return epsilon, torch.stack([total(a * b) for a, b in pairs] + [of_v])

    def _follow_loss(self, now):
        """Returns ln(fast average / slow average) and ln(fast average / first loss) of the loss.
        Both values are 0 if the loss is unknown."""
        w, known = now.whole, self.option("losses") and math.isfinite(now.loss)
        loss = now.loss if known else 0.0
        if now.t == 0:
            w["loss_first"] = loss
        w["loss_fast"] = 0.9 * w.get("loss_fast", 0.0) + 0.1 * loss
        w["loss_slow"] = 0.98 * w.get("loss_slow", 0.0) + 0.02 * loss
        fast, slow = w["loss_fast"] * correction(0.9, now.t), w["loss_slow"] * correction(0.98, now.t)
        ratio = lambda b: math.log(fast / b) if known and fast > 0 and b > 0 else 0.0  # noqa: E731
        return ratio(slow), ratio(w.get("loss_first", 0.0))

    def _inputs(self, tensors, sums, q, now, losses):
        gm, gg, mm, ms, ss, pm, pp, ratio, of_v = sums.T
        cosine = lambda ab, aa, bb: ab / (np.sqrt(aa * bb) + TINY)  # noqa: E731
        log_rms = lambda a, b: 0.5 * np.log((a + TINY) / (b + TINY))  # noqa: E731
        T, left = self._horizon(now)
        x = 1 - left
        agree, slow_agree = cosine(gm, gg, mm), cosine(ms, mm, ss)
        to_slow, to_first = (min(3, max(-3, ratio)) for ratio in losses)
        both = [2 * x - 1, 2 * (1 - x)**4 - 1, math.exp(-now.t / 10), math.exp(-now.t / 100),
                min(2, max(-2, (math.log(T) - 6) / 1.5)), to_slow, to_first, 3 * math.exp(-20 * (1 - x)),
                agree.mean(), slow_agree.mean()]
        own = [agree, slow_agree, cosine(pm, pp, mm), log_rms(q[0]**2 * mm, q[2] * of_v),
               log_rms(q[1]**2 * ss, q[2] * of_v), np.sqrt(ratio / [x.g.numel() for x in tensors])]
        return [[o[j] for o in own] + both + [1.0 if x.matrix else 0.0] for j, x in enumerate(tensors)]

    @staticmethod
    def _sizes(tensors, sums):
        """Returns the size RMS(p) sqrt(fan-in) for each matrix.
        For each vector, the function returns the mean of RMS(p) sqrt(fan-in) over the matrices. If there is no matrix, the
        mean is over all tensors."""
        own = [math.sqrt(s[6] / x.g.numel() * x.fan_in) for x, s in zip(tensors, sums)]
        among = [size for x, size in zip(tensors, own) if x.matrix] or own
        return [size if x.matrix else sum(among) / len(among) for x, size in zip(tensors, own)]

    def _net(self, inputs):
        if not self.option("net"):
            return np.zeros(6)
        h = np.array(inputs)
        for l in (1, 2):
            h = np.tanh(self.phi[f"net{l}.weight"] @ h + self.phi[f"net{l}.bias"])
        return self.phi["net3.weight"] @ h + self.phi["net3.bias"]

    @staticmethod
    def _signal(log_ratio, t):
        """Estimates the share of the gradient's mean square that is not noise. log_ratio is ln(RMS(s) / RMS(sqrt v))."""
        if t == 0:
            return 1.0
        averaged = 0.01 / 1.99 * (1 + 0.99**(t + 1)) / (1 - 0.99**(t + 1))
        return max(0.0, (math.exp(2 * log_ratio) - averaged) / (1 - averaged))

    def _steer(self, x, inputs, size, moment):
        """Returns the factors k1 and k2 of the mixture of momenta.
        Also returns the factors c0, c1 and c2 of the three terms of the step."""
        t, T, left, to_first, matrices = moment
        row = 1 if not x.matrix else 2 if matrices == 1 else 0
        b, a0, a1, a2, k1, k2, tau, alpha, power, w, decline, deepen, quieten, trust = self.phi["base"][row]
        o = self._net(inputs)
        if not self.option("mix"):
            k1, k2, o[4], o[5] = 0.3, 0.05, 0.0, 0.0
        rate = math.exp(b) * (T / self.MIDDLE_HORIZON)**-tau * max(size, self.LEAST_SIZE)**alpha
        rate *= left**math.exp(power) * min(1, (t + 1) / (max(0, w) * T + 1)) * math.exp(3 * math.tanh(o[0] / 3))
        rate *= (max(2, matrices) / 3)**-deepen
        rate *= math.exp(decline * max(-9, min(0, to_first)) + quieten * min(0, inputs[4] - inputs[3]))
        rate *= ((self._signal(inputs[4], t) + 0.02) / 0.52)**trust
        if x.matrix:
            rate /= math.sqrt(x.fan_in)
        return [float(y) for y in (k1 + 0.3 * o[4], k2 + 0.3 * o[5], -rate * (a0 + o[1]), -rate * (a1 + o[2]),
                                   -rate * (a2 + o[3]))]

    @staticmethod
    def _halved(x, z, of_v, epsilon):
        """Returns z / sqrt(sqrt v + 0.1 RMS(sqrt v)). epsilon is 1e-8 RMS(sqrt v)."""
        return z / ((x.state["second_moment"] * of_v).sqrt_() + 1e7 * epsilon).sqrt_()

    def _update_one(self, x, epsilon, q, factors):
        k1, k2, c0, c1, c2 = factors
        m, s = x.state["momentum"] * q[0], x.state["slow_momentum"] * q[1]
        ahead = torch.add(-m, x.state["slow_momentum"], alpha=q[1])
        z = torch.add(torch.add(m, x.g - m, alpha=k1), ahead, alpha=k2)
        u = (c1 * z + c2 * s) / ((x.state["second_moment"] * q[2]).sqrt_() + epsilon)
        if x.matrix and self.option("newton_schulz"):
            n = self._halved(x, z, q[2], epsilon) if self.option("precondition", False) else z
            n = newton_schulz(n.flatten(1)).view(x.g.shape)
            u = u + n * (c0 / ((total(n * n) / n.numel()).sqrt() + TINY)).to(n.dtype)
        return u


class Muon(Rule):
    """Updates matrices by the orthogonal factor of their Nesterov momentum and vectors by Adam (src/rule/muon.c)."""
    tensorwise = True

    def __init__(self, options, phi, steps):
        super().__init__(options, phi, steps)
        self.schedule = Schedule(self)

    def start(self, p):
        names = ("momentum",) if p.dim() >= 2 else ("momentum", "second_moment")
        return {name: torch.zeros_like(p, memory_format=torch.contiguous_format) for name in names}

    def update_one(self, x, now):
        rate = self.option("rate") * self.schedule.at(now.t, now.horizon)
        step, factor = self._matrix(x) if x.matrix else self._vector(x, now.t)
        return (step * factor + x.p * self.option("weight_decay")) * -(rate if x.matrix else rate * self.option("vector_rate"))

    def _matrix(self, x):
        b = self.option("momentum")
        z = torch.add((1 - b) * x.g, decayed(x.state["momentum"], b, x.g), alpha=b)
        fan_out = x.g.numel() / x.fan_in
        return newton_schulz(z.flatten(1)).view(x.g.shape), math.sqrt(max(1, fan_out / x.fan_in))

    def _vector(self, x, t):
        m = decayed(x.state["momentum"], self.option("beta1"), x.g)
        v = decayed(x.state["second_moment"], self.option("beta2"), x.g * x.g)
        root = (v * correction(self.option("beta2"), t)).sqrt_() + self.option("epsilon")
        return m / root, correction(self.option("beta1"), t)


class Lbfgs(Rule):
    """Limited-memory BFGS for each slice of a tensor (src/rule/lbfgs.c). The methods store the slices of a tensor as
    the rows of one matrix."""
    tensorwise = True
    LEAST_COSINE, TINY = 1e-4, 1e-60

    def _rows(self, p):
        return p.reshape(p.shape[0] if self.option("per") == "slice" and p.dim() >= 2 else 1, -1)

    def _learned(self, name):
        return math.exp(float(self.phi[name][0]))

    def start(self, p):
        rows, memory = torch.zeros_like(self._rows(p)), self.option("memory")
        return {"gradient": rows, "parameters": rows.clone(), "steps": rows.repeat(memory, 1, 1),
                "changes": rows.repeat(memory, 1, 1), "started": rows.new_zeros(())}

    def update_one(self, x, now):
        g, p = self._rows(x.g), self._rows(x.p)
        if x.state["started"]:
            self._remember(x.state, g, p)
        for name, value in (("gradient", g), ("parameters", p), ("started", torch.ones_like(x.state["started"]))):
            x.state[name].copy_(value)
        q, longest = self._two_loops(x.state, wide(g))
        length, empty = q.square().sum(1, keepdim=True).sqrt(), longest == 0
        bound = torch.where(empty, self._learned("first_step") * math.sqrt(g.shape[1]), self._learned("growth") * longest)
        rate = math.exp(np.interp(3 * now.t / now.horizon, np.arange(4), self.phi["rate"]))
        factor = torch.where(empty | (rate * length > bound), bound / length, torch.full_like(length, rate))
        moves = (length > 0) & torch.isfinite(factor * length) & (factor > 0)
        return torch.where(moves, -factor * q, torch.zeros_like(q)).to(x.p.dtype).view(x.p.shape)

    def _remember(self, state, g, p):
        """Stores the newest step and the newest change of the gradient at the front of the memory.
        The memory of a slice without positive curvature does not change."""
        s, y = wide(p) - wide(state["parameters"]), wide(g) - wide(state["gradient"])
        ss, sy, yy = ((a * b).sum(1, keepdim=True) for a, b in ((s, s), (s, y), (y, y)))
        d = self._learned("damping") * (yy / ss).sqrt()
        damped_sy, damped_yy = sy + d * ss, yy + 2 * d * sy + d * d * ss
        stored = (ss > self.TINY) & (yy > self.TINY) & (damped_yy < 1 / self.TINY) & (yy < 1 / self.TINY)
        accepted = stored & (damped_sy > self.LEAST_COSINE * (ss * damped_yy).sqrt())
        step = p - state["parameters"]
        for name, new in (("steps", step), ("changes", (y + d * wide(step)).to(p.dtype))):
            shifted = torch.cat([new[None], state[name][:-1]])
            state[name].copy_(torch.where(accepted, shifted, state[name]))

    def _two_loops(self, state, q):
        """Returns H q and the length of the longest step in memory. The length is 0 if the memory is empty."""
        past, longest = [], torch.zeros_like(q[:, :1])
        for s, y in zip(wide(state["steps"]), wide(state["changes"])):
            ss, sy, yy = ((a * b).sum(1, keepdim=True) for a, b in ((s, s), (s, y), (y, y)))
            inverse = torch.where(sy > 0, 1 / sy, torch.zeros_like(sy))
            a = inverse * (s * q).sum(1, keepdim=True)
            q, longest = q - a * y, torch.maximum(longest, ss)
            past.append((s, y, a, inverse, yy))
        _, _, _, inverse, yy = past[0]
        q = q * torch.where(inverse > 0, self._learned("scale") / (inverse * yy), torch.ones_like(yy))
        for s, y, a, inverse, _ in reversed(past):
            q = q + (a - inverse * (y * q).sum(1, keepdim=True)) * s
        return q, longest.sqrt()


# ---- Networks on features ---------------------------------------------------------------------------------------------

FACTORED = 3
TAU = np.array([1, 3, 10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5])


def safe_inverse_root(x):
    return x.clamp(min=1e-9).rsqrt()


class FeatureNet(Rule):
    """The rules mlp, small_fc, celo2 and celo2base. Each of them is a small network on normalised features
    (src/rule/feature_net.h)."""
    tensorwise = True
    VECTOR_FEATURES = 15

    def __init__(self, name, options, phi, steps):
        super().__init__(options, phi, steps)
        self.celo2, self.factors = name.startswith("celo2"), name != "mlp"
        self.small = 1e-8 if self.celo2 else 1e-6
        self.decays = {"mlp": [0.1, 0.5, 0.9, 0.99, 0.999, 0.9999]}.get(name, [0.9, 0.99, 0.999])
        self.v_decay, self.factored = 0.95 if self.celo2 else 0.999, [0.9, 0.99, 0.999]
        if name == "small_fc":
            self.decays = self._shifted("momentum_decays", self.decays)
            self.v_decay = self._shifted("rms_decay", [self.v_decay])[0]
            self.factored = self._shifted("adafactor_decays", self.factored)
        self.adam_vectors = name == "celo2"
        self.newton_schulz = name == "celo2" and self.option("newton_schulz")
        self.layers = len(self.option("hidden")) + 1
        if self.celo2:
            self.schedule = Schedule(self)

    def _shifted(self, name, decays):
        shifts = self.phi[name].reshape(-1).tolist()
        return [min(1, max(0, 1 - (1 - b) * math.exp(10 * shift))) for b, shift in zip(decays, shifts)]

    def start(self, p):
        state = {f"momentum{j}": p.new_zeros(p.shape) for j in range(1, len(self.decays) + 1)}
        if not self.factors:
            return state
        state["second_moment"] = p.new_zeros(p.shape)
        for j in range(1, FACTORED + 1):
            rows, columns = list(p.shape), list(p.shape)
            if p.dim() >= 2:
                second, largest = self._axes(p)
                rows[largest] = columns[second] = 1
                state[f"columns{j}"] = p.new_zeros(columns)
            state[f"rows{j}"] = p.new_zeros(rows)
        return state

    @staticmethod
    def _axes(p):
        """Returns the indices of the second largest and the largest axis.
        If two axes have the same size, the later axis counts as larger."""
        return sorted(range(p.dim()), key=lambda a: p.shape[a])[-2:]

    def _vector_factors(self, x, g, k):
        """Updates the accumulator of a tensor with fewer than two axes.
        Returns this accumulator twice (as R and as C), and the factors by which g and m are multiplied."""
        f = x.state[f"rows{k + 1}"]
        f.copy_(self.factored[k] * wide(f) + (1 - self.factored[k]) * (wide(g)**2 + 1e-30))
        return f, f, safe_inverse_root(wide(f) + 1e-9).to(g.dtype), (wide(f) + 1e-6).rsqrt().to(g.dtype)

    def _matrix_factors(self, x, g, k):
        second, largest = self._axes(g)
        r, c, keep = x.state[f"rows{k + 1}"], x.state[f"columns{k + 1}"], self.factored[k]
        square = g * g
        r.copy_(keep * wide(r) + (1 - keep) * (wide(square).mean(largest, True) + 1e-30))
        c.copy_(keep * wide(c) + (1 - keep) * (wide(square).mean(second, True) + 1e-30))
        row = safe_inverse_root(wide(r) / (wide(r).mean(second, True) + 1e-9)).to(g.dtype)
        factor = row * safe_inverse_root(wide(c)).to(g.dtype)
        return r, c, factor, factor

    def _features(self, x, g):
        """Updates the accumulators with g and returns the features in the order of feature_kernel.h."""
        m = [decayed(x.state[f"momentum{j + 1}"], b, g) for j, b in enumerate(self.decays)]
        if not self.factors:
            return [g, x.p] + m
        v = decayed(x.state["second_moment"], self.v_decay, g * g)
        inverse = 1 / (v + self.small).sqrt_()
        tables = [(self._matrix_factors if x.matrix else self._vector_factors)(x, g, k) for k in range(FACTORED)]
        root = lambda table: (wide(table) + 1e-8).rsqrt().to(g.dtype)  # noqa: E731
        r, c = [t[0] for t in tables], [t[1] for t in tables]
        head = [g] + ([g.clamp(-0.1, 0.1)] if self.celo2 else []) + [x.p] + m + [v] + [y * inverse for y in m]
        middle = [inverse] + [g * t[2] for t in tables] + ([g * inverse] if self.celo2 else [])
        return (head + middle + r + c + [root(y) for y in r] + [root(y) for y in c] +
                [y * t[3] for y, t in zip(m, tables)])

    def _inverse_rms(self, f):
        """Returns 1 / sqrt(e + mean f^2).
        For Celo2, the mean is computed separately for each position in a convolution kernel."""
        axes = (0, 1) if self.celo2 and f.dim() > 2 else tuple(range(f.dim()))
        mean = total(f * f, dim=axes, keepdim=True) / math.prod(f.shape[a] for a in axes)
        return ((1e-9 if self.celo2 else 1e-5) + mean).rsqrt().to(f.dtype)

    def _net(self, features, now):
        """Returns the outputs (output, ...) of the network at each coordinate."""
        shape = features[0].shape
        h = torch.stack([(f * self._inverse_rms(f)).expand(shape) for f in features]).view(len(features), -1)
        for l in range(1, self.layers + 1):
            weight, bias = self.placed(f"layer{l}.weight", h), self.placed(f"layer{l}.bias", h)
            if l == 1 and not self.celo2:
                times = torch.as_tensor(np.tanh(now.t / TAU - 1)).to(h.device, h.dtype)
                bias = bias + times @ weight[len(features):]
            h = torch.addmm(bias.unsqueeze(1), weight[:h.shape[0]].t(), h)
            if l < self.layers:
                h.relu_()
        return h.view(-1, *shape)

    def update_one(self, x, now):
        g = x.g.clamp(-1000, 1000) if self.celo2 else x.g
        features = self._features(x, g)
        if self.celo2:
            return self._celo2(x, features, now)
        out = self._net(features, now)
        return out[0] * torch.exp(out[1] * self.option("exponent_scale")) * -self.option("step_scale")

    def _celo2(self, x, features, now):
        rate = self.option("rate") * self.schedule.at(now.t, now.horizon)
        decay = x.p * self.option("weight_decay")
        if self.adam_vectors and not x.matrix:
            m, v = x.state["momentum1"], x.state["second_moment"]
            step = m * correction(0.9, now.t) / (v * correction(self.v_decay, now.t) + 1e-8).sqrt_()
            return (step + decay) * (-rate * self.option("vector_rate"))
        out = self._net(features if x.matrix else features[:self.VECTOR_FEATURES], now)[0]
        if self.newton_schulz:
            out = orthogonal(out)
        return (out * self._inverse_rms(out) + decay) * -rate
