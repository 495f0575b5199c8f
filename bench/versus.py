"""versus.py - what the comparisons with other programs share: rounds taken in turn, versions, a table of ratios.

A contender is a process of its own, so that threads, libraries and compiled code of one never
touch another. It builds and compiles, says `ready` with its versions, and then waits: each `go` on
its standard input is one measurement, answered by seconds per unit of work on a line of its own.

  worker side      versus.serve(measure, "torch 2.15.0")          measure() -> seconds
  driver's side    with versus.Worker("PyTorch, vmap", command, cores=1) as a: ...
                   times = versus.rounds([a, b], 7)
                   versus.report(times, reference="warploom")

Only one contender runs at a time; all are measured in every round, so that a change of the clock or
a neighbour on the machine meets all of them alike.
"""
import os
import platform
import statistics
import subprocess
import sys
import time


def serve(measure, about):
    """Answers the driver: `ready` once, then one measurement for each line of standard input."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the answers
    print("ready " + about, file=out, flush=True)
    for _ in sys.stdin:
        print(f"{measure():.9e}", file=out, flush=True)


def timed(function, repeats=1):
    """Seconds of one call of `function`, averaged over `repeats`."""
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


class Worker:
    """A contender in a process of its own on the first `cores` cores that this process may use."""

    def __init__(self, name, command, cores=1):
        self.name, self.cores = name, cores
        chosen = sorted(os.sched_getaffinity(0))[:cores]
        env = dict(os.environ, OMP_NUM_THREADS=str(cores), MKL_NUM_THREADS=str(cores), OPENBLAS_NUM_THREADS=str(cores))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
                                        preexec_fn=lambda: os.sched_setaffinity(0, chosen))
        start = time.perf_counter()
        self.about = self._line().removeprefix("ready ")
        self.start_seconds = time.perf_counter() - start

    def _line(self):
        line = self.process.stdout.readline().strip()
        if not line:
            raise SystemExit(f"{self.name}: ended with status {self.process.wait()}; its messages stand above")
        return line

    def __call__(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return float(self._line())

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def rounds(contenders, count):
    """{name: [seconds]}: every contender once in each round, after one round that is not counted."""
    times = {c.name: [] for c in contenders}
    for turn in range(count + 1):
        for c in contenders:
            seconds = c()
            if turn > 0:
                times[c.name].append(seconds)
    return times


def processor():
    """Name of the processor and how many cores this process may use."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            keys = dict((k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in f if ":" in line))
        name = keys.get("model name", name)
        if "cpu family" in keys:
            name += f" (family {keys['cpu family']}, model {keys.get('model')})"
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def report(times, reference, unit="ms", scale=1e3):
    """The table: least and median time of each contender, and how many times the reference's it is."""
    width = max(len(name) for name in times)
    print(f"{'':{width}}  least {unit:>4}  median {unit:>4}  ratio of least  of medians")
    base = times[reference]
    for name, seconds in times.items():
        print(f"{name:{width}}  {scale * min(seconds):10.3f}  {scale * statistics.median(seconds):11.3f}"
              f"  {min(seconds) / min(base):14.2f}  {statistics.median(seconds) / statistics.median(base):10.2f}")
