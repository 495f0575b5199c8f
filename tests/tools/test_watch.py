"""Checks tools/watch.py. The test covers the states of a run that the tool prints, and the output on a terminal. The
tool must end after the run has ended."""
import json
import os
import pty
import subprocess
import sys
import time

from fixture import PROGRAM, QUADRATIC, TOOLS, expect, expect_equal, tool, train


def state_of(run):
    return json.loads(tool("watch.py", run, "--once", "--json", "-"))[0]


def check_states():
    train(QUADRATIC, "stopped", code=75, options=["--stop-after", "25"])
    s = state_of("stopped")
    expect_equal("step", (25, 60, "running", 25), (s["meta_step"], s["of"], s["state"], s["last_checkpoint"]))
    expect(s["steps_a_second"] > 0 and abs(s["seconds_left"] * s["steps_a_second"] - 35) < 1e-6, f"time left: {s}")
    long_ago = time.time() - 10000
    os.utime("stopped/metrics.jsonl", (long_ago, long_ago))
    expect_equal("state of one that is silent", "quiet", state_of("stopped")["state"])
    expect("--resume" in tool("watch.py", "stopped", "--once"), "the output does not say how to resume the run")
    train(QUADRATIC, "stopped", options=["--resume"])
    expect_equal("state at the end", ("finished", 60), tuple(state_of("stopped")[k] for k in ("state", "meta_step")))
    text = tool("watch.py", "stopped", "--once")
    expect("100 %" in text and "finished" in text and "quadratic" in text, text)
    with open("stopped/metrics.jsonl", "a") as file:
        file.write('{"meta_step":61,"meta_lo')
    expect_equal("a line half written", 60, state_of("stopped")["meta_step"])
    os.makedirs("empty")
    with open("stopped/config.yaml") as config, open("empty/config.yaml", "w") as copy:
        copy.write(config.read())
    expect("waiting for the first meta-step" in tool("watch.py", "empty", "--once"), "the output does not say that the run has no meta-step yet")


def check_follow():
    """On a terminal, the tool must overwrite its previous output, and it must end when the run ends."""
    with open("live.yaml", "w") as file:
        file.write(QUADRATIC)
    os.makedirs("live")
    with open("stopped/config.yaml") as config, open("live/config.yaml", "w") as copy:
        copy.write(config.read())
    master, slave = pty.openpty()
    watching = subprocess.Popen([sys.executable, TOOLS / "watch.py", "live", "--every", "0.2"], stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    while b"waiting for the first" not in shown:
        shown += os.read(master, 65536)
    subprocess.run([PROGRAM, "train", "live.yaml", "--quiet", "--set", "output=live", "--set", "outer.steps=300"], check=True,
                   stdout=subprocess.DEVNULL, timeout=100)
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:  # the other end of the pseudo-terminal has been closed
            break
        if not piece:
            break
        shown += piece
    expect_equal("exit code of watch.py", 0, watching.wait(timeout=30))
    expect(b"\x1b[" in shown and b"waiting for the first" in shown and b"100 %" in shown, f"{shown[-400:]!r}")


def check_several():
    """For four or more runs, the tool must print one line for each run. If the argument is a folder, the tool must
    show all runs in this folder, in order of their names."""
    os.makedirs("sweep")
    for number in (1, 2, 3):
        os.rename(train(QUADRATIC, f"run-{number}", f"seed={number}", "outer.steps=8"), f"sweep/run-{number}")
    expect_equal("runs of a folder", ["sweep/run-1", "sweep/run-2", "sweep/run-3"],
                 [s["run"] for s in json.loads(tool("watch.py", "sweep", "--once", "--json", "-"))])
    expect("last loss" in tool("watch.py", "sweep", "--once"), "three runs are not printed as separate blocks")
    lines = tool("watch.py", "sweep", "empty", "--once").splitlines()
    expect_equal("lines", 6, len(lines))
    for number in (1, 2, 3):
        loss = [json.loads(line)["meta_loss"] for line in open(f"sweep/run-{number}/metrics.jsonl")]
        words = lines[number].split()
        expect_equal("words of a run", [f"run-{number}", "8/8", "finished"], [words[0], words[1], words[-1]])
        expect(min(loss) <= float(words[3]) <= max(loss), f"meta-loss {words[3]} of {loss}")
    expect(lines[4].split()[0] == "empty" and lines[4].endswith("waiting"), lines[4])
    expect_equal("summary", "3 of 4 finished, 1 waiting", lines[5])
    expect(all(len(line) <= 80 for line in lines), f"wider than 80 columns: {lines}")
    expect_equal("state of a waiting run", "waiting", state_of("empty")["state"])


check_states()
check_several()
check_follow()
print("ok")
