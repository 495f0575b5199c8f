"""Provides the functions that the comparisons with other programs share. The functions run the compared programs
alternately, and print the versions of the programs and the ratios of their times.

A contender is one of the compared programs. Each contender is a separate process, so threads, libraries and compiled
code of one contender do not affect another. A contender compiles, prints `ready` with its versions, and waits. For
each line `go` on its standard input, the contender makes one measurement and prints the seconds of one unit of work.
For each line `memory`, a contender that supports this request prints the peak memory of the work in bytes.

  contender           versus.serve(measure, "torch 2.15.0")          measure() -> seconds
  comparing script    with versus.Worker("PyTorch, vmap", command, cores=1) as a: ...
                      times = versus.rounds([a, b], 7)
                      versus.report(times, reference="warploom")

Only one contender runs at a time. During a measurement, all threads and ranks of the other contenders are suspended
by SIGSTOP. Every round measures all contenders. A change of the clock rate or other load on the machine therefore
affects all contenders alike.
"""
import atexit
import ctypes
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import time

# Settings of Open MPI: ranks may run on all cores that the comparing script selects, and root may start them.
MPI = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
       "OMPI_MCA_mpi_yield_when_idle": "0"}


def serve(measure, about, memory=None):
    """Serves the requests of the comparing script: prints `ready` once, and then prints one measurement for each line
    of standard input."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # redirects what libraries print, so that their output cannot mix with the answers
    print("ready " + about, file=out, flush=True)
    for line in sys.stdin:
        print(f"{memory() if line.strip() == 'memory' else measure():.9e}", file=out, flush=True)


def timed(function, repeats=1):
    """Calls `function` `repeats` times and returns the mean time of a call in seconds. This time is CPU time if
    VERSUS_CLOCK is `cpu`, otherwise wall time."""
    clock = time.process_time if os.environ.get("VERSUS_CLOCK") == "cpu" else time.perf_counter
    start = clock()
    for _ in range(repeats):
        function()
    return (clock() - start) / repeats


def repeated(function, turn=1.0):
    """Returns a function that calls `function` repeatedly for about `turn` seconds and returns the mean time of a call
    in seconds. The first call only determines the number of calls, unless it alone takes `turn` seconds."""
    def measure():
        once = timed(function)
        return once if once >= turn else timed(function, round(turn / once))
    return measure


def _status(field):
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:
        return 1024 * int(re.search(field + r":\s*(\d+)", status.read()).group(1))


def peak_during(action):
    """Returns the peak memory during `action()` in bytes, minus the memory of this process before the call."""
    # malloc keeps memory that earlier work has freed, and `action` would use this memory again without an increase of
    # the peak; this call therefore returns the memory to the system
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/clear_refs", "w", encoding="ascii") as clear:
        clear.write("5")  # resets the peak of the resident memory
    before = _status("VmRSS")
    action()
    return _status("VmHWM") - before


def _family(pid):
    """Returns a list with the process number `pid` and the process numbers of all its descendants."""
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as stat:
                children.setdefault(int(stat.read().rpartition(")")[2].split()[1]), []).append(int(entry))
        except OSError:
            continue  # the process ended after /proc was listed
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return found


class Worker:
    """Runs a contender in a separate process, on the first `cores` of the cores on which this process may run."""

    def __init__(self, name, command, cores=1, environment=None):
        self.name, self.cores = name, cores
        chosen = sorted(os.sched_getaffinity(0))[:cores]
        env = dict(os.environ, OMP_NUM_THREADS=str(cores), MKL_NUM_THREADS=str(cores), OPENBLAS_NUM_THREADS=str(cores),
                   **(environment or {}))
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env,
                                        preexec_fn=lambda: os.sched_setaffinity(0, chosen))
        atexit.register(self._signal, signal.SIGKILL)  # a suspended process would not end with this script
        start = time.perf_counter()
        self.about = self._line().removeprefix("ready ")
        self.start_seconds = time.perf_counter() - start
        self._signal(signal.SIGSTOP)

    def _signal(self, number):
        for pid in _family(self.process.pid):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def _line(self):
        line = self.process.stdout.readline().strip()
        if not line:
            raise SystemExit(f"{self.name}: ended with status {self.process.wait()}; see its messages above")
        return line

    def ask(self, what):
        self._signal(signal.SIGCONT)
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        answer = float(self._line())
        self._signal(signal.SIGSTOP)
        return answer

    def __call__(self):
        return self.ask("go")

    def close(self):
        self._signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()
        atexit.unregister(self._signal)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Cores:
    """Checks with BUILD/bench/bench_cores whether two virtual cores compute as fast as two real cores. For seconds or
    minutes, a host may run both virtual cores as hyperthreads of one real core. Measurements on two cores wait until
    the host runs the virtual cores on separate real cores again."""
    TWO, TRIES, PAUSE = 1.9, 6, 2.0

    def __init__(self, build):
        self.probe = Worker("cores", [os.path.join(build, "bench", "bench_cores")], 2, {"OMP_WAIT_POLICY": "passive"})
        self.kept = []

    def __call__(self, measure):
        """Repeats measure() until bench_cores finds two full cores before and after the call, and returns the result.
        After TRIES tries, the function accepts any measurement."""
        for turn in range(self.TRIES):
            before = self.probe()
            if before < self.TWO and turn < self.TRIES - 1:
                time.sleep(self.PAUSE)
                continue
            seconds = measure()
            seen = min(before, self.probe())
            if seen >= self.TWO:
                break
        self.kept.append(seen)
        return seconds

    def report(self):
        good = sum(seen >= self.TWO for seen in self.kept)
        return (f"{good} of {len(self.kept)} measurements on two cores were made while both cores had their full rate "
                f"(lowest ratio of the rate of both to the rate of one: {min(self.kept):.2f})")


def rounds(contenders, count, look=None):
    """Returns a dictionary from the name of each contender to the list of its measured seconds. Each round measures
    every contender once. The first round is not counted. `look`: a Cores."""
    times = {c.name: [] for c in contenders}
    for turn in range(count + 1):
        for c in contenders:
            seconds = look(c) if look and turn > 0 and c.cores > 1 else c()
            if turn > 0:
                times[c.name].append(seconds)
    return times


def processor():
    """Returns the name of the processor and the number of cores that this process may use."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
            keys = dict((k.strip(), v.strip()) for k, _, v in (line.partition(":") for line in f if ":" in line))
        name = keys.get("model name", name)
        if "cpu family" in keys:
            name += f" (family {keys['cpu family']}, model {keys.get('model')})"
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def report(times, reference, unit="ms", scale=1e3):
    """Prints a table with the least and the median time of each contender. Also prints the ratios of these times to
    the times of the reference."""
    width = max(len(name) for name in times)
    print(f"{'':{width}}  least {unit:>4}  median {unit:>4}  ratio of least  of medians")
    base = times[reference]
    for name, seconds in times.items():
        print(f"{name:{width}}  {scale * min(seconds):10.3f}  {scale * statistics.median(seconds):11.3f}"
              f"  {min(seconds) / min(base):14.2f}  {statistics.median(seconds) / statistics.median(base):10.2f}")
