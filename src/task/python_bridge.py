"""Answers the requests of the task family `python`. The file src/task/python.c sends this source to a new Python
interpreter. The interpreter then reads requests from the socket with the file descriptor 3, and writes replies to
this socket:

- Before the first request, the settings are sent. Each line has the form "key<TAB>value".
- A request has the format REQUEST: the operation, the number of parameters, the episode and the batch. The values of
  the parameters follow if the operation is LOSS or GRADIENT.
- A reply has the format REPLY: 1 for an error and 0 for no error, the loss, and the number of bytes that follow. These
  bytes are an error message, a description or an array.

All random numbers are functions of the episode and the batch. Every process therefore sends the same reply to a
request."""
import ast
import importlib.util
import os
import random
import signal
import struct
import sys
import traceback

DESCRIBE, START, LOSS, GRADIENT = range(4)
REQUEST = struct.Struct("=8q")  # the same members as the struct `request` in python.c
REPLY = struct.Struct("=qdq")
OF_TASK, OF_START, OF_BATCH = range(3)  # purposes for which random numbers are drawn
KEPT = 32  # largest number of drawn problems that are stored


def receive(size):
    data = bytearray(size)
    view = memoryview(data)
    while size > 0:
        try:
            got = connection.recv_into(view[len(data) - size:], size)
        except ConnectionResetError:
            got = 0
        if got == 0:
            os._exit(0)  # the socket is closed, because Warploom has ended
        size -= got
    return data


def reply(code, loss, data):
    try:
        connection.sendall(REPLY.pack(code, loss, len(data)) + data)
    except (BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the socket is closed, because Warploom has ended


def reply_error(error):
    """Writes the traceback to standard error. Sends the error message and the line of the error to Warploom."""
    names = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID")
    rank = next((os.environ[name] for name in names if name in os.environ), None)
    outer = error.__traceback__
    while outer and outer.tb_frame.f_code.co_filename in ("warploom-bridge", "<frozen importlib._bootstrap>",
                                                          "<frozen importlib._bootstrap_external>"):
        outer = outer.tb_next
    text = "".join(traceback.format_exception(type(error), error, outer))
    sys.stderr.write("".join(f"rank {rank}: {line}\n" for line in text.splitlines()) if rank else text)
    sys.stderr.flush()
    own = [frame for frame in traceback.extract_tb(outer) if "-packages/" not in frame.filename]
    place = f" ({own[-1].filename}:{own[-1].lineno}, in {own[-1].name})" if own else ""
    message = " ".join(f"{type(error).__name__}: {error}".split())
    reply(1, 0.0, (message + place).encode())


def random_for(what, *key):
    """Returns a random generator whose seed depends only on `what` and `key`. Also seeds the global generators of
    Python, NumPy and PyTorch, because the user's code may use them."""
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([what, *key])))
    seed = int(generator.integers(2**32))
    random.seed(seed)
    np.random.seed(seed)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)
    return generator


class Arrays:
    """Wraps a user's task that has `parameters` (names and shapes) and a function `loss` for loss and gradients."""

    def __init__(self, task):
        self.task = task
        self.shapes = [(name, tuple(int(n) for n in np.atleast_1d(shape)) if np.size(shape) else ())
                       for name, shape in dict(task.parameters).items()]

    def split(self, flat):
        named, at = {}, 0
        for name, shape in self.shapes:
            size = int(np.prod(shape, dtype=int))
            named[name] = flat[at:at + size].reshape(shape)
            at += size
        return named

    def join(self, named, what):
        if not isinstance(named, dict):
            named = dict(zip([name for name, _ in self.shapes], named, strict=True))
        flat = []
        for name, shape in self.shapes:
            if name not in named:
                raise ValueError(f"{what}: the parameter '{name}' is missing")
            value = np.asarray(named[name], dtype)
            if value.shape != shape:
                raise ValueError(f"{what} of '{name}' has the shape {value.shape}, but the parameter has {shape}")
            flat.append(value.reshape(-1))
        return np.concatenate(flat)

    def start(self, generator):
        return self.join(self.task.start(generator), "start")

    def loss(self, flat, problem, generator, split, gradient):
        result = self.task.loss(self.split(flat), problem, generator, split)
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(f"loss returned {type(result).__name__}, but must return (loss, gradients)")
        return float(result[0]), self.join(result[1], "gradient") if gradient else None


class Model:
    """Wraps a user's task that has a `model` (a torch.nn.Module) and a function `loss` that returns a scalar tensor."""

    def __init__(self, task):
        self.task = task
        self.torch = sys.modules["torch"]
        self.model = task.model.to(self.torch.float64 if dtype == np.float64 else self.torch.float32)
        self.named = [(name, p) for name, p in self.model.named_parameters() if p.requires_grad]
        self.shapes = [(name, tuple(p.shape)) for name, p in self.named]

    def start(self, generator):
        with self.torch.no_grad():
            if hasattr(self.task, "start"):
                self.task.start(self.model, generator)
            else:
                for module in self.model.modules():
                    if hasattr(module, "reset_parameters"):
                        module.reset_parameters()
        return np.concatenate([p.detach().numpy().reshape(-1) for _, p in self.named])

    def loss(self, flat, problem, generator, split, gradient):
        at = 0
        with self.torch.no_grad():
            for _, p in self.named:
                p.copy_(self.torch.from_numpy(flat[at:at + p.numel()]).reshape(p.shape))
                p.grad = None
                at += p.numel()
        with self.torch.set_grad_enabled(gradient):
            value = self.task.loss(self.model, problem, generator, split)
        if not isinstance(value, self.torch.Tensor) or value.numel() != 1:
            raise TypeError("loss must return a tensor with one element")
        if not gradient:
            return float(value), None
        value.backward()
        return float(value.detach()), np.concatenate(
            [np.zeros(p.numel(), dtype) if p.grad is None else p.grad.numpy().reshape(-1) for _, p in self.named])


def load(settings):
    """Calls the function of the user's module, and returns the resulting task as an Arrays or a Model object."""
    path = settings["module"]
    sys.path.insert(0, os.path.dirname(path))
    specification = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(path))[0], path)
    if specification is None:
        raise ImportError(f"{path}: this is not a Python file")
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.set_num_threads(1)
        torch.set_default_dtype(torch.float64 if dtype == np.float64 else torch.float32)
    random_for(OF_START, 0)
    function = getattr(module, settings["function"], None)
    if not callable(function):
        raise AttributeError(f"{path} has no function '{settings['function']}'")
    task = function(**arguments(settings["arguments"]))
    for name in ("loss",) if hasattr(task, "model") else ("loss", "start", "parameters"):
        if not hasattr(task, name):
            raise AttributeError(f"the object that {settings['function']} returned has no `{name}`")
    return Model(task) if hasattr(task, "model") else Arrays(task)


def arguments(text):
    """Parses items of the form "name=value" that the unit separator (byte 31) separates. If a value is not a Python
    literal, the value is a text."""
    result = {}
    for item in text.split("\x1f") if text else []:
        name, equals, value = item.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ValueError(f"arguments: '{item}' does not have the form name=value")
        try:
            result[name.strip()] = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError):
            result[name.strip()] = value.strip()
    return result


def describe(task):
    """Returns one line for each parameter: the name, the number of dimensions, and the size of each dimension.
    There are at most four dimensions, and further dimensions are combined with the fourth."""
    lines = []
    for name, shape in task.shapes:
        if not name or len(name) > 63 or any(c.isspace() for c in name):
            raise ValueError(f"parameters: '{name}' is not a name of at most 63 characters without blanks")
        sizes = list(shape) or [1]
        sizes = sizes[:3] + [int(np.prod(sizes[3:]))] if len(sizes) > 4 else sizes
        if min(sizes) < 1:
            raise ValueError(f"parameters: the parameter '{name}' has no elements")
        lines.append(" ".join(map(str, [name, len(sizes), *sizes])) + "\n")
    if not lines:
        raise ValueError("the task has no parameters; define at least one")
    return "".join(lines).encode()


def draw(task, problems, episode):
    """Returns the drawn problem of an episode. Stores the last KEPT problems that were drawn."""
    if episode not in problems:
        generator = random_for(OF_TASK, *episode)
        problems[episode] = task.task.sample(generator) if hasattr(task.task, "sample") else None
        if len(problems) > KEPT:
            del problems[next(iter(problems))]
    return problems[episode]


def answer(task, problems, request):
    operation, number, *episode, purpose, step = request
    # read the whole request first, so that the next request starts at the right byte even after a failure
    flat = np.frombuffer(receive(number * np.dtype(dtype).itemsize), dtype)
    episode = tuple(episode)
    if operation == DESCRIBE:
        return 0.0, describe(task)
    if operation == START:
        return 0.0, np.ascontiguousarray(task.start(random_for(OF_START, *episode)), dtype).tobytes()
    problem = draw(task, problems, episode)
    generator = random_for(OF_BATCH, *episode, purpose, step)
    loss, gradient = task.loss(flat, problem, generator, "heldout" if purpose % 2 else "train", operation == GRADIENT)
    return loss, b"" if gradient is None else np.ascontiguousarray(gradient, dtype).tobytes()


def main():
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"):
        # this process must end only when Warploom closes the socket
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    global np, dtype
    settings = receive(struct.unpack("=q", receive(8))[0]).decode()
    settings = dict(line.split("\t", 1) for line in settings.splitlines())
    task, problems, failure = None, {}, None
    try:
        try:
            import numpy as np
        except ImportError as error:
            raise ImportError(f"{error}; NumPy is needed: set the key `python` to an interpreter with NumPy instead of "
                              f"{sys.executable}") from None
        dtype = np.dtype(settings["precision"])
        task = load(settings)
    except BaseException as error:
        failure = error
    while True:
        request = REQUEST.unpack(receive(REQUEST.size))
        try:
            if failure:
                raise failure
            loss, data = answer(task, problems, request)
        except BaseException as error:
            reply_error(error)
        else:
            reply(0, loss, data)


main()
