"""Compares warploom.torch.LearnedOptimizer with the C library on a small network that classifies digits.

The Python class and the C library must make the same steps if they receive the same gradients. If the class and the
library each compute their gradients at separate parameters, the loss curves must be the same. The test also covers
exact resumes, parameter groups, and errors.

The measure of difference is |theta_torch - theta_C| / |theta_C - theta_0| after all steps. For this measure, the
class and the library receive the same gradients, which are computed at theta_torch. Each step rounds theta to
float32. The measure is therefore about 1e-7 if the distance |theta_C - theta_0| is about the norm of theta. The table
RULES contains a separate limit of the measure for each rule."""
import copy
import io
import os
import subprocess
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

from fixture import PROGRAM, SOURCE, COptimizer, expect, train, train_all

try:
    import h5py
    import numpy as np
    import torch
except ImportError as missing:
    print(f"skipped: {missing}; the package needs Debian's python3-torch")
    sys.exit(77)

import warploom
from warploom import footer
from warploom.files import ToolError
from warploom.rules import Bundle
from warploom.tensor_rules import Controller
from warploom.torch import LearnedOptimizer, load_initial_parameters

torch.set_num_threads(1)
# For each name: the section `rule`, the number of steps, the limit of the measure, and the number of steps whose losses
# are compared. Some limits are larger, because Newton-Schulz steps amplify the rounding of small singular values, and
# because the C library computes the controller's network in float32. At the learning rates of the controller,
# training is chaotic: after about 50 steps, a difference in the last bit of theta changes the loss noticeably.
RULES = {
    "controller": ("{name: controller}", 1000, 5e-5, 30),
    "lstm": ("{name: lstm, output_scale: 0.01}", 1000, 1e-6, 1000),
    "nesterov": ("{name: nesterov, rate: 0.02, learn: [rate, momentum]}", 1000, 1e-6, 1000),
    "celo2": ("{name: celo2, rate: 0.003, schedule: cosine}", 200, 1e-6, 0),
    "blind": ("{name: controller, mix: false, losses: false, horizon: false, precondition: true}", 60, 5e-5, 0),
    "no_net": ("{name: controller, net: false, newton_schulz: false}", 60, 1e-6, 0),
    "paper": ("{name: lstm, hidden: [6], preprocessing: paper, momentum: 0, output_scale: 0.01}", 60, 1e-6, 0),
    "lstm_adam": ("{name: lstm, hidden: [6], preprocessing: adam, rate: 0.003, output_scale: 0.01}", 60, 1e-6, 0),
    "raw": ("{name: lstm, hidden: [6, 5], preprocessing: none}", 60, 1e-6, 0),
    "adam": ("{name: adam, learn: [rate, beta1, beta2], learn_per: step, schedule: warmup_cosine, warmup_steps: 5}", 60, 1e-6, 0),
    "adamw": ("{name: adamw, weight_decay: 0.1, learn: [rate]}", 60, 1e-6, 0),
    "nadamw": ("{name: nadamw, weight_decay: 0.1, learn: [rate, beta1], schedule: linear}", 60, 1e-6, 0),
    "rmsprop": ("{name: rmsprop, learn: [rate, decay], schedule: step, decay_every: 20}", 60, 1e-6, 0),
    "lion": ("{name: lion, rate: 0.001, learn: [rate, beta2]}", 60, 1e-6, 0),
    "pamela": ("{name: pamela, rate: 0.02, skip: -0.5, learn: [rate, skip]}", 60, 1e-6, 0),
    "momentum": ("{name: momentum, learn: [rate, momentum]}", 60, 1e-6, 0),
    "sgd": ("{name: sgd, learn: [rate]}", 60, 1e-6, 0),
    "mlp": ("{name: mlp, step_scale: 0.01, exponent_scale: 0.1}", 60, 1e-6, 0),
    "small_fc": ("{name: small_fc, step_scale: 0.01, exponent_scale: 0.1}", 60, 1e-6, 0),
    "celo2base": ("{name: celo2base, rate: 0.003, weight_decay: 0.1}", 60, 1e-6, 0),
    "lbfgs": ("{name: lbfgs, damping: 0.3, growth: 1}", 60, 1e-5, 0),
    "lbfgs_tensor": ("{name: lbfgs, per: tensor, memory: 2, damping: 0.3, growth: 1}", 60, 1e-5, 0),
    "rnnprop": ("{name: rnnprop, hidden: [6], rate: 0.01}", 60, 1e-6, 0),
}


def digits():
    rows = np.frombuffer(zlib.decompress((SOURCE / "data/digits.z").read_bytes()), np.uint8).reshape(-1, 65)
    return torch.tensor(rows[:, :64] / 16.0, dtype=torch.float32).view(-1, 1, 8, 8), torch.tensor(rows[:, 64]).long()


IMAGES, LABELS = digits()


def network():
    torch.manual_seed(1)
    return torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, stride=2), torch.nn.ReLU(), torch.nn.Flatten(),
                               torch.nn.Linear(36, 12), torch.nn.Tanh(), torch.nn.Linear(12, 10))


def loss_of(model, t):
    batch = slice(32 * t % 1760, 32 * t % 1760 + 32)
    return torch.nn.functional.cross_entropy(model(IMAGES[batch]), LABELS[batch])


def flat(tensors):
    """Transposes matrices into the order of axes that Warploom uses. Returns one flat array with all values, and the
    list of transposed arrays."""
    arrays = [(x.t() if x.dim() == 2 else x).detach().numpy() for x in tensors]
    return np.concatenate([a.reshape(-1) for a in arrays]), arrays


def run(model, optimizer, first, steps, watch=lambda loss: None):
    losses = []
    for t in range(first, first + steps):
        loss = loss_of(model, t)
        optimizer.zero_grad()
        loss.backward()
        watch(loss)
        losses.append(loss.item())
        optimizer.step(loss=loss)
    return losses


def same_steps(path, steps, make=network, **options):
    """Returns two results: the measure of difference when both implementations receive the same gradients, and the
    losses of the run. `options` are passed to LearnedOptimizer."""
    model = make()
    theta, arrays = flat(model.parameters())
    start = theta.copy()
    c = COptimizer(path, arrays, steps)
    optimizer = LearnedOptimizer(model.parameters(), path, horizon=steps, **{"backend": "torch", **options})
    losses = run(model, optimizer, 0, steps,
                 lambda loss: c.step(flat([p.grad for p in model.parameters()])[0], theta, loss.item()))
    c.close()
    return np.linalg.norm(flat(model.parameters())[0] - theta) / np.linalg.norm(theta - start), losses


def curve_of_c(path, horizon, steps):
    """Returns the losses of the first steps of a run in which the C library updates the parameters. Each gradient is
    computed at these parameters."""
    model = network()
    theta, arrays = flat(model.parameters())
    c, losses = COptimizer(path, arrays, horizon), []
    for t in range(steps):
        model.zero_grad()
        loss = loss_of(model, t)
        loss.backward()
        losses.append(loss.item())
        c.step(flat([p.grad for p in model.parameters()])[0], theta, loss.item())
        at = 0
        for p in model.parameters():
            part = torch.from_numpy(theta[at:at + p.numel()].copy())
            p.data.copy_(part.view(p.t().shape).t() if p.dim() == 2 else part.view(p.shape))
            at += p.numel()
    c.close()
    return losses


def test_rules(paths):
    """Compares the steps of each rule with those of the C library. For some rules, also compares the loss curve with
    that of a run in which the C library uses gradients at its own parameters."""
    for name, (_, steps, limit, curve) in RULES.items():
        measure, losses = same_steps(paths[name], steps)
        print(f"{name}: {steps} steps, difference {measure:.2e}, loss {losses[0]:.3f} to {np.mean(losses[-20:]):.4f}")
        expect(measure <= limit, f"{name}: differs from the C library by {measure:.2e}, limit {limit:.0e}")
        if curve == 0:
            continue
        expect(np.mean(losses[-20:]) < 0.3 * losses[0], f"{name}: does not train")
        apart = np.max(np.abs(np.array(losses[:curve]) - curve_of_c(paths[name], steps, curve)))
        print(f"{name}: loss curves over {curve} steps at most {apart:.2e} apart")
        expect(apart <= 100 * limit, f"{name}: the loss curve is {apart:.2e} from the C library's")


def test_single_matrix(paths):
    """Tests a network with only one matrix, for which a controller has separate learned scalars."""
    make = lambda: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))  # noqa: E731
    measure, losses = same_steps(paths["controller"], 60, make)
    print(f"one matrix: difference {measure:.2e}, loss {losses[0]:.3f} to {losses[-1]:.3f}")
    expect(measure <= 5e-5, f"one matrix: differs from the C library by {measure:.2e}")


def test_library(paths):
    """With backend="c", the steps of each rule must have the same bits as the steps of the C library."""
    for name, path in paths.items():
        measure, losses = same_steps(path, 60, backend="c")
        expect(measure == 0, f"{name}: backend c differs from the library by {measure:.2e}")
        expect(losses[-1] != losses[0], f"{name}: backend c takes no steps")


def test_backends(paths):
    """If backend is "auto", LearnedOptimizer must use the C library whenever the library can update all parameters. A
    saved state can be loaded only with the backend that saved it. Also checks which requests result in an error with
    backend="c"."""
    model, lstm = network(), paths["lstm"]
    optimizer = LearnedOptimizer(model.parameters(), lstm)
    run(model, optimizer, 0, 2)
    expect(optimizer.backend == "c", "auto does not take the library")
    state = optimizer.state_dict()
    expect_error("made with backend", lambda: LearnedOptimizer(model.parameters(), lstm, backend="torch").load_state_dict(state))
    double = network().double()
    other = LearnedOptimizer(double.parameters(), lstm)
    loss_of_double = torch.nn.functional.cross_entropy(double(IMAGES[:32].double()), LABELS[:32])
    loss_of_double.backward()
    other.step()
    expect(other.backend == "torch", "auto gives float64 parameters to the library")
    forced = LearnedOptimizer(double.parameters(), lstm, backend="c")
    expect_error("torch.float64 on cpu", forced.step)
    model[0].bias.grad = None
    expect_error("not the same as in the first step", optimizer.step)
    expect_error("auto, torch or c", lambda: LearnedOptimizer(model.parameters(), lstm, backend="jax"))
    model[3].weight.grad[0, 0] = float("nan")
    broken = LearnedOptimizer(model.parameters(), lstm, backend="c")
    before = parameters_of(model)
    expect_error("is not finite at step 0", broken.step)
    expect(equal(before, parameters_of(model)), "a gradient that is not finite moved parameters")


def test_preconditioners():
    """An optimizer with a preconditioner must accept only networks with the tensor shapes of its training. PyTorch
    supports only some of the preconditioners."""

    def perceptron():
        torch.manual_seed(2)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10))

    for name, rule, precondition, limit in (
            ("diagonal", "sgd, rate: 1, learn: [rate]", "diagonal, initial_range: [0.5, 2]", 1e-6),
            ("gap", "sgd, rate: 0.1, learn: [rate]", "gap, noise: 0.5", 1e-5),
            ("gap_rows", "adam, learn: [rate]", "gap, noise: 0.5, approximate: true", 1e-6),
            ("muon", "muon, rate: 0.02, momentum: 0.9, weight_decay: 0.1, schedule: linear", "diagonal", 5e-5),
            ("kronecker", "sgd, rate: 0.1, learn: [rate]", "kronecker", None)):
        path = train(name, f"{{name: {rule}}}", f"precondition: {{name: {precondition}}}\n")
        measure, _ = same_steps(path, 20, perceptron, backend="auto")
        expect(measure == 0, f"{name}: differs from the library by {measure:.2e}")
        expect_error("network of 4", lambda: run(*with_optimizer(network(), path), 0, 1))
        if limit is None:
            expect_error("supported", lambda: with_optimizer(perceptron(), path, backend="torch"))
            continue
        measure, _ = same_steps(path, 20, perceptron, backend="torch")
        print(f"{name}: difference {measure:.2e}")
        expect(measure <= limit, f"{name}: differs from the C library by {measure:.2e}")
        expect_error("was trained for", lambda: run(*with_optimizer(network(), path, backend="torch"), 0, 1))


def test_bundles(paths):
    """PyTorch updates small tensors together. The updates must be the same as when PyTorch updates one tensor after
    another, even if one tensor has no gradient."""
    for name in ("adam", "lstm", "rnnprop"):
        results = []
        for most in (Bundle.MOST, 0):
            with mock.patch.object(Bundle, "MOST", most):
                model = network()
                optimizer = LearnedOptimizer(model.parameters(), paths[name], backend="torch")
                run(model, optimizer, 0, 4)
                model[0].bias.requires_grad_(False)
                model[0].bias.grad = None
                run(model, optimizer, 4, 4)
                model[0].bias.requires_grad_(True)
                run(model, optimizer, 8, 4)
                expect((len(optimizer._bundles) > 0) == (most > 0), f"{name}: {len(optimizer._bundles)} bundles")
                results.append(parameters_of(model))
        for ours, theirs in zip(*results):
            expect(torch.allclose(ours, theirs, rtol=1e-5, atol=1e-6), f"{name}: bundled tensors get other updates")


def test_threads(paths):
    """Two optimizers that run in two threads must make the same steps as when they run one after the other."""
    def draw_model():
        # All threads share one random generator of torch, so random numbers are drawn before the threads start.
        torch.manual_seed(3)
        return torch.nn.Linear(64, 10)

    def train_one(name, model):
        optimizer = LearnedOptimizer(model.parameters(), paths[name], horizon=40, backend="c", threads=1)
        for t in range(40):
            torch.nn.functional.cross_entropy(model(IMAGES[t:t + 32].flatten(1)), LABELS[t:t + 32]).backward()
            optimizer.step()
            optimizer.zero_grad()
        return parameters_of(model)

    names = ["lstm", "controller"]
    alone = [train_one(name, draw_model()) for name in names]
    models = [draw_model() for _ in names]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(train_one, names, models))
    expect(all(map(equal, alone, together)), "two optimizers in two threads disturb each other")


def parameters_of(model):
    return [p.detach().clone() for p in model.parameters()]


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b))


def test_resume(paths):
    """A run of 30 steps must have the same bits as a run of 18 steps whose state is saved to a file and loaded for 12
    more steps."""
    for name, backend in [(name, backend) for name in ("controller", "lstm", "small_fc", "lbfgs", "adam", "rnnprop")
                          for backend in ("torch", "c")]:
        model = network()
        optimizer = LearnedOptimizer(model.parameters(), paths[name], horizon=30, backend=backend)
        run(model, optimizer, 0, 18)
        file = io.BytesIO()
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
        run(model, optimizer, 18, 12)
        other = network()
        resumed = LearnedOptimizer(other.parameters(), paths[name])
        file.seek(0)
        saved = torch.load(file)
        other.load_state_dict(saved["model"])
        fresh = copy.deepcopy(other)
        resumed.load_state_dict(saved["optimizer"])
        run(other, resumed, 18, 12)
        expect(equal(parameters_of(model), parameters_of(other)), f"{name}: a resume changes bits")
        run(fresh, LearnedOptimizer(fresh.parameters(), paths[name], horizon=30, backend=backend), 18, 12)
        expect(not equal(parameters_of(model), parameters_of(fresh)), f"{name}: the resume does not need its state")


def warnings_of(action):
    """Returns the texts of the warnings of the package during an action."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        action()
    return [str(w.message) for w in caught if "horizon" in str(w.message) or "received no loss" in str(w.message)]


def expect_warnings(what, found, *wanted):
    expect(len(found) == len(wanted) and all(w in f for w, f in zip(wanted, found)), f"{what}: warnings {found}")


def test_horizon(paths):
    """The first step after the horizon must cause one warning, with the effect that the step then has. Rules that do
    not use the horizon must cause no warning."""
    for name, effect in (("controller", "updates of the rule are 0"), ("celo2", "updates of the rule are 0"),
                         ("nadamw", "updates of the rule are 0"), ("lbfgs", "stays at its last value"),
                         ("blind", None), ("adamw", None), ("lstm", None)):
        for backend in ("torch", "c", "auto"):
            model, optimizer = with_optimizer(network(), paths[name], horizon=4, backend=backend)
            what = f"{name}, backend {backend}"
            expect_warnings(what, warnings_of(lambda: run(model, optimizer, 0, 4)))
            before = parameters_of(model)
            found = warnings_of(lambda: run(model, optimizer, 4, 3))
            expect_warnings(what, found, *([f"{effect}. Create the optimizer with horizon=N"] if effect else []))
            expect(equal(before, parameters_of(model)) == (effect == "updates of the rule are 0"), f"{what}: wrong effect")
    for horizon in (0, -1, 400.5, float("nan"), float("inf"), 2**63, "400", [400]):
        for backend in ("torch", "c", "auto"):
            expect_error("at least 1 step", lambda: with_optimizer(network(), paths["lstm"], horizon=horizon, backend=backend))


def test_other_horizon(paths):
    """A horizon that is given to the constructor must replace the horizon of a loaded state, with a warning. The
    further steps must then be those of a run with this horizon."""
    for backend in ("torch", "c"):
        options = {"backend": backend}
        model, optimizer = with_optimizer(network(), paths["controller"], horizon=6, **options)
        run(model, optimizer, 0, 6)
        state = optimizer.state_dict()
        for horizon, wanted in ((None, []), (6.0, []), (12, ["saved with horizon=6, but this optimizer was created with horizon=12"])):
            other, resumed = with_optimizer(copy.deepcopy(model), paths["controller"], horizon=horizon, **options)
            expect_warnings(f"state with horizon {horizon}", warnings_of(lambda: resumed.load_state_dict(state)), *wanted)
            used = resumed.state_dict()["warploom"]["horizon"]
            expect(used == (horizon or 6), f"horizon {horizon}: {used} is used")
            found = warnings_of(lambda: run(other, resumed, 6, 3))
            expect_warnings(f"steps after a resume with {horizon}", found, *([] if wanted else ["step 7 is after the horizon of 6"]))
            moves = not equal(parameters_of(other), parameters_of(model))
            expect(moves == bool(wanted), f"horizon {horizon}: the steps after 6 move parameters: {moves}")


def test_missing_loss(paths):
    """A step without a loss must cause one warning, but only if the rule uses the loss."""
    for name, wanted in (("controller", ["Call step(loss=loss)"]), ("blind", []), ("lstm", [])):
        for backend in ("torch", "c", "auto"):
            model, optimizer = with_optimizer(network(), paths[name], backend=backend)
            loss_of(model, 0).backward()
            expect_warnings(f"{name}, backend {backend}", warnings_of(lambda: [optimizer.step() for _ in range(3)]), *wanted)
            expect_warnings(f"{name} with loss", warnings_of(lambda: run(*with_optimizer(network(), paths[name], backend=backend), 0, 2)))


def test_groups(paths):
    for backend in ("torch", "c"):
        check_groups(paths["controller"], backend)


def check_groups(path, backend):
    """The options lr and weight_decay, and a scheduler of the learning rate, must work as documented. In a parameter
    group with lr 0, no parameter may change."""
    model = network()
    convolution, rest = model[0].parameters(), [p for layer in model[1:] for p in layer.parameters()]
    optimizer = LearnedOptimizer([{"params": convolution, "lr": 0.0}, {"params": rest}], path, backend=backend)
    before = parameters_of(model)
    run(model, optimizer, 0, 3)
    expect(equal(before[:2], parameters_of(model)[:2]), "a group of lr 0 moved")
    expect(not equal(before[2:], parameters_of(model)[2:]), "the other group did not move")

    moved = []  # for each rule: how the parameters change in the first step, without and with weight decay
    for settings in ({}, {"weight_decay": 0.25}):
        model = network()
        optimizer = LearnedOptimizer(model.parameters(), path, lr=0.5, backend=backend, **settings)
        before = parameters_of(model)
        run(model, optimizer, 0, 1)
        moved.append([new - old for new, old in zip(parameters_of(model), before)])
    for plain, decayed, old in zip(*moved, before):
        expect(torch.allclose(decayed - plain, -0.125 * old, atol=1e-6), "weight decay is not lr w theta")

    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.0)
    run(model, optimizer, 1, 1)
    scheduler.step()
    before = parameters_of(model)
    run(model, optimizer, 2, 1)
    expect(equal(before, parameters_of(model)), "a scheduler has no effect")


def test_parameters(paths):
    """Checks closures, a scalar parameter, parameters without gradients, float64, and half precision."""
    double, single = network().double(), network()
    theirs, ours = (LearnedOptimizer(m.parameters(), paths["lstm"]) for m in (double, single))
    for t in range(20):
        def closure(model, optimizer, images):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(images), LABELS[:32])
            loss.backward()
            return loss
        a = theirs.step(lambda: closure(double, theirs, IMAGES[:32].double()))
        b = ours.step(lambda: closure(single, ours, IMAGES[:32]))
        expect(abs(a.item() - b.item()) < 1e-4, f"float64 and float32 part at step {t}: {a} and {b}")
    expect(all(s.dtype == torch.float64 for s in theirs.state[double[0].weight].values()), "a state is not float64")

    half, scalar, idle = (torch.nn.Parameter(torch.ones(shape, dtype=dtype))
                          for shape, dtype in (((4, 3), torch.bfloat16), ((), torch.float32), ((2,), torch.float32)))
    optimizer = LearnedOptimizer([half, scalar, idle], paths["controller"])
    half.grad, scalar.grad = torch.ones_like(half), torch.ones_like(scalar)
    optimizer.step()
    expect(bool((half < 1).all()), "half precision did not move")
    expect(scalar.item() < 1 and idle.eq(1).all(), "a scalar did not move, or one without gradient did")
    state = optimizer.state[half]["momentum"].clone()
    optimizer.load_state_dict(optimizer.state_dict())
    expect(state.dtype == torch.float32 and torch.equal(optimizer.state[half]["momentum"], state),
           "a state of half-precision parameters loses precision in a resume")


def expect_error(words, action):
    try:
        action()
    except ToolError as error:
        expect(words in str(error), f"an error says '{error}', without '{words}'")
        return
    expect(False, f"no error; expected one with '{words}'")


def check_damage(model, path):
    """A damaged file must be an error with each backend. The backend "auto" must select PyTorch only if the library is
    not installed."""
    whole = Path(path).read_bytes()
    middle = len(whole) // 2
    for content in (whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:], whole[:-1]):
        Path("damaged.h5").write_bytes(content)
        for backend in ("auto", "torch", "c"):
            expect_error("is damaged", lambda: LearnedOptimizer(model.parameters(), "damaged.h5", backend=backend))
    with mock.patch.dict(os.environ, {"WARPLOOM_LIBRARY": "/nowhere.so"}):
        expect(LearnedOptimizer(model.parameters(), path).backend == "torch", "a missing library is not replaced by PyTorch")
    with mock.patch("warploom.torch.library.Optimizer", side_effect=ToolError(65, "changed now")):
        expect_error("changed now", lambda: LearnedOptimizer(model.parameters(), path))


def test_errors(paths):
    model, lstm = network(), paths["lstm"]
    sgd = train("warped", "{name: sgd, learn: [rate]}", "initialisation: {name: maml}\n")
    expect_error("initialisation 'maml'", lambda: LearnedOptimizer(model.parameters(), sgd, backend="torch"))
    expect_error("no such file", lambda: LearnedOptimizer(model.parameters(), "nowhere.h5"))
    expect_error("does not end with a footer", lambda: LearnedOptimizer(model.parameters(), "lstm.yaml"))
    with h5py.File("other.h5", "w") as other:
        other.attrs.update({"format": "warploom", "kind": "evaluation", "complete": 1, "schema_version": 2})
    footer.append("other.h5")
    expect_error("its kind is 'evaluation'", lambda: LearnedOptimizer(model.parameters(), "other.h5"))
    check_damage(model, lstm)
    expect_error("at least 1 step", lambda: LearnedOptimizer(model.parameters(), lstm, horizon=0))
    expect_error("out_in or in_out", lambda: LearnedOptimizer(model.parameters(), lstm, layout="rows"))
    first, second = (LearnedOptimizer(model.parameters(), paths[name]) for name in ("lstm", "raw"))
    expect_error("belongs to the trained optimizer", lambda: second.load_state_dict(first.state_dict()))
    adam = torch.optim.Adam(model.parameters())
    expect_error("another optimizer", lambda: first.load_state_dict(adam.state_dict()))
    checkpoint = LearnedOptimizer(model.parameters(), "lstm")
    expect(checkpoint.digest == first.digest, "a run directory is not its newest checkpoint")


def test_old_controller():
    """An earlier version of Warploom trained controllers that have no scalars kappa and nu.
    The file of such a controller must be rejected."""
    expect_error("(3, 12), expected (3, 14): an earlier version", lambda: Controller({}, {"base": torch.zeros(3, 12)}, 10))


def test_initial_parameters(paths):
    """load_initial_parameters must copy learned initial parameters to the tensors with the same names. Tensors whose
    initial values are drawn must keep their values."""
    path = train("initial", "{name: sgd, learn: [rate]}", "initialisation: {name: maml, fresh: [dense2.bias]}\n")
    model = torch.nn.Sequential(torch.nn.Linear(64, 8, dtype=torch.float64), torch.nn.ReLU(), torch.nn.Linear(8, 10))
    drawn = model[2].bias.detach().clone()
    load_initial_parameters(model.parameters(), path)
    with h5py.File(path) as file:
        phi = {name[7:]: item[()].astype(np.float32) for name, item in file["phi"].items() if name.startswith("theta0.")}
    expect(set(phi) == {"dense1.weight", "dense1.bias", "dense2.weight"}, f"learned tensors: {sorted(phi)}")
    for name, layer in (("dense1", model[0]), ("dense2", model[2])):
        expect(np.array_equal(layer.weight.detach().numpy(), phi[f"{name}.weight"].T), f"{name}.weight is not the learned one")
    expect(np.array_equal(model[0].bias.detach().numpy(), phi["dense1.bias"]), "dense1.bias is not the learned one")
    expect(torch.equal(model[2].bias, drawn), "a drawn tensor was changed")
    expect_error("network of 4", lambda: load_initial_parameters(network().parameters(), path))
    expect_error("no initial parameters were learned", lambda: load_initial_parameters(model.parameters(), paths["lstm"]))
    expect_error("out_in or in_out", lambda: load_initial_parameters(model.parameters(), path, layout="rows"))


def test_per_tensor():
    """Tests learned scalars for each step and tensor. Such scalars can be used only on networks with the same tensors
    as in the training."""
    path = train("tensor", "{name: adamw, learn: [rate, beta1, weight_decay], learn_per: step_tensor}")

    def perceptron():
        torch.manual_seed(2)
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 10))

    measure, _ = same_steps(path, 60, perceptron)
    print(f"scalars for each tensor: difference {measure:.2e}")
    expect(measure <= 1e-6, f"scalars for each tensor: differs from the C library by {measure:.2e}")
    expect_error("each of 4 tensors", lambda: run(*with_optimizer(network(), path, backend="torch"), 0, 1))


def with_optimizer(model, path, **options):
    return model, LearnedOptimizer(model.parameters(), path, **options)


def test_version():
    said = subprocess.run([PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.split()
    expect(warploom.__version__ in said, f"the package is {warploom.__version__}, the program {said}")


def main():
    paths = train_all({name: rule for name, (rule, *_) in RULES.items()})
    test_version()
    test_errors(paths)
    test_old_controller()
    test_parameters(paths)
    test_single_matrix(paths)
    test_library(paths)
    test_backends(paths)
    test_preconditioners()
    test_initial_parameters(paths)
    test_threads(paths)
    test_bundles(paths)
    test_groups(paths)
    test_resume(paths)
    test_horizon(paths)
    test_other_horizon(paths)
    test_missing_loss(paths)
    test_per_tensor()
    test_rules(paths)


main()
