"""Starts the commands train, eval and check of the program, and returns their results.

Every value is one argument of the program, and no shell is used. `config` is the path of a configuration or a
dictionary of its keys. `program` is the path of the program. The default is $WARPLOOM if this variable is set, or else
`warploom` on the PATH. `launcher` is the command that starts several ranks.
"""
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from . import files
from .files import NO_INPUT, USAGE, ToolError

FAILED_CHECK = 70  # exit code of `warploom check` if a gradient is wrong; the program then also prints the table
LAST_LINES = 20


def _program(program):
    found = program or os.environ.get("WARPLOOM") or shutil.which("warploom")
    if not found:
        raise ToolError(NO_INPUT, "no program 'warploom' on the PATH: build and install it, or set the environment "
                                  "variable WARPLOOM to its path")
    return str(found)


def _text(value):
    """Returns a value as YAML. A string is returned unchanged."""
    return value if isinstance(value, str) else os.fspath(value) if isinstance(value, os.PathLike) else json.dumps(
        value, allow_nan=False)


def _settings(settings):
    return [word for key, value in (settings or {}).items() for word in ("--set", f"{key}={_text(value)}")]


def _options(options):
    """Converts seeds=3 to --seeds 3, learned_only=True to --learned-only, and vary=["width", "depth"] to --vary
    width,depth."""
    words = []
    for key, value in options.items():
        if value is None or value is False:
            continue
        words.append("--" + key.replace("_", "-"))
        if value is not True:
            words.append(",".join(map(_text, value)) if isinstance(value, (list, tuple)) else _text(value))
    return words


def _config_file(config, folder):
    """Returns the path of a configuration. If `config` is a dictionary, the function first writes the dictionary into
    the folder as JSON, which is also YAML."""
    if not isinstance(config, dict):
        return os.fspath(config)
    path = Path(folder) / "config.yaml"
    path.write_text(json.dumps(config, allow_nan=False), encoding="utf-8")
    return str(path)


def _print_line(line):
    print(line, file=sys.stderr, flush=True)


def _notebook_line():
    """Returns a function that replaces the line below the cell of a notebook, or None outside of a notebook."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if not hasattr(shell, "kernel"):
        return None
    from IPython.display import display
    handle = display({"text/plain": ""}, raw=True, display_id=True)
    return lambda line: handle.update({"text/plain": line}, raw=True)


def _follow(stream, last, show, show_progress):
    """Shows each line of a stream as soon as it arrives, and stores the last lines. In a notebook, a line of progress
    replaces the previous one."""
    for line in stream:
        last.append(line.rstrip("\n"))
        (show_progress if last[-1].startswith("meta-step ") else show)(last[-1])


def _run(words, ranks, launcher, quiet, accepted=()):
    """Runs the program. If the exit code is neither 0 nor in `accepted`, raises a ToolError with the message of the
    program."""
    if ranks < 1:
        raise ToolError(USAGE, f"ranks is {ranks}, but at least 1 rank is necessary")
    command = ([*launcher, str(ranks)] if ranks > 1 else []) + words
    last, progress = collections.deque(maxlen=LAST_LINES), None if quiet else _notebook_line()
    try:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    except OSError as error:
        raise ToolError(NO_INPUT, f"{command[0]}: cannot be started: {error.strerror}") from error
    with process:
        show = (lambda line: None) if quiet else _print_line
        reader = threading.Thread(target=_follow, args=(process.stderr, last, show, progress or show))
        reader.start()
        try:
            process.wait()
        except BaseException:  # if the notebook is interrupted, the program writes its checkpoint and ends
            process.terminate()
            process.wait()
            raise
        finally:
            reader.join()
    if process.returncode != 0 and process.returncode not in accepted:
        errors = [line for line in last if "error:" in line][:1] or [line for line in last if line.strip(" -")]
        raise ToolError(process.returncode, "\n".join(errors) or f"{words[0]}: exit code {process.returncode}")


def train(config, output, *, ranks=1, settings=None, resume=False, time_limit=None, stop_after=None, quiet=False,
          program=None, launcher=("mpirun", "-n")):
    """Meta-trains with the run directory `output`. Returns the run as warploom.open_run does.

    `settings` overrides keys of the configuration, as in {"outer.steps": 100}. If the run ends early (because of
    time_limit, stop_after or a signal), the function raises a ToolError with code 75. A second call with resume=True
    then continues the run."""
    with tempfile.TemporaryDirectory() as folder:
        words = [_program(program), "train", _config_file(config, folder), *_settings(settings),
                 *_settings({"output": os.fspath(output)}),
                 *_options({"resume": resume, "time_limit": time_limit, "stop_after": stop_after, "quiet": quiet})]
        _run(words, ranks, launcher, quiet)
    return files.Run(output)


def evaluate(trained, output, *, ranks=1, settings=None, quiet=False, program=None, launcher=("mpirun", "-n"), **options):
    """Evaluates a run directory or a file. Writes the result to the file `output` and returns this file as a
    files.Evaluation.

    `options` are options of `warploom eval`, such as seeds=3, units=2, steps=400 or vary=["width", "horizon"]."""
    for key in ("learned_only", "speedup"):
        if options.get(key):
            raise ToolError(USAGE, f"{key} writes no evaluation file; use the program, `warploom eval`")
    words = [_program(program), "eval", os.fspath(trained), *_settings(settings),
             *_options({"no_picture": True, "quiet": quiet, **options, "output": os.fspath(output)})]
    _run(words, ranks, launcher, quiet)
    return files.Evaluation(output)


def check(config, *, settings=None, quiet=False, program=None, **options):
    """Returns the table of `warploom check` as a dictionary. "passed" is true if every meta-gradient agrees with its
    central difference within the tolerance.

    `options` are options of the command, such as directions=3, tolerance=1e-7 or windows=1."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "table.json"
        words = [_program(program), "check", _config_file(config, folder), *_settings(settings),
                 *_options({"quiet": quiet, **options, "json": table})]
        _run(words, 1, (), quiet, accepted=(FAILED_CHECK,))
        return json.loads(table.read_text(encoding="utf-8"))
