"""Checks that the files which tools export contain the values of metrics.jsonl. The test decodes the event files for
TensorBoard, and it parses the text files for Prometheus."""
import json
import math
import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

from fixture import QUADRATIC, TOOLS, expect, expect_equal, run_tool, tool, tool_fails, train


def rows_of(run):
    return [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]


# ---- Prometheus

LINE = re.compile(r'warploom_(\w+)\{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*)\} (\S+)')


def read_page(path):
    """Parses the text of a file for Prometheus. Returns a dictionary from (quantity, run, state) to the value. Checks
    that every line has the text format of Prometheus."""
    values, typed = {}, set()
    for line in Path(path).read_text().splitlines():
        if line.startswith("# TYPE "):
            typed.add(line.split()[2])
            expect(line.endswith(" gauge"), line)
        if line.startswith("#"):
            expect(re.fullmatch(r"# (HELP|TYPE) warploom_\w+ .+", line), f"a line of {path}: {line}")
            continue
        match = LINE.fullmatch(line)
        expect(match, f"a line of {path}: {line}")
        name, labels, value = match.groups()
        expect(f"warploom_{name}" in typed, f"no TYPE before {line}")
        labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels))
        values[name, labels["run"], labels.get("state")] = float(value)
        expect_equal("the task", "quadratic", labels["task"])
    return values


def check_prometheus():
    tool("export_prometheus.py", "runs", "-o", "out.prom")
    page = read_page("out.prom")
    for name in ("first", 'odd "name"'):
        last = rows_of(f"runs/{name}")[-1]
        label = name.replace('"', r"\"")
        for key, value in last.items():
            got = page[key, label, None]
            expect(math.isnan(got) if value is None else got == value, f"{key} of {name}: expected {value}, got {got}")
        expect_equal("planned", 60, page["meta_steps_planned", label, None])
    expect_equal("states", [0, 0, 1], [page["state", "first", s] for s in ("running", "quiet", "finished")])
    text = Path("out.prom").read_text()
    expect("# HELP warploom_meta_loss meta-loss F, mean over the counted units" in text, "the page of metrics does not have the description of the meta-loss")
    expect_equal("mode", 0o644, os.stat("out.prom").st_mode & 0o777)
    expect_equal("other files", [], [n for n in os.listdir() if n.endswith(".tmp")])
    tool_fails(64, [".prom"], "export_prometheus.py", "runs", "-o", "out.txt")
    tool_fails(66, ["absent"], "export_prometheus.py", "absent", "-o", "out.prom")
    tool_fails(73, ["nowhere"], "export_prometheus.py", "runs", "-o", "nowhere/out.prom")


def check_rename():
    """While the tool writes the file for Prometheus, a reader must always find a complete page of metrics."""
    os.makedirs("begun")
    with open("runs/first/config.yaml") as config, open("begun/config.yaml", "w") as copy:
        copy.write(config.read())  # this run does not end, so the tool continues to write
    writing = subprocess.Popen([sys.executable, TOOLS / "export_prometheus.py", "runs", "begun", "-o", "live.prom", "--every", "0.001"])
    pages = set()
    until = time.time() + 20
    while len(pages) < 4 and time.time() < until:
        if os.path.exists("live.prom"):
            text = Path("live.prom").read_text()
            expect(text.endswith("\n") and "warploom_state{" in text.splitlines()[-1], f"a part of a page: {text[-200:]!r}")
            page = os.stat("live.prom")
            # a new file may have the inode number of a removed file, so the time is compared too
            pages.add((page.st_ino, page.st_mtime_ns))
    expect(len(pages) >= 4, "the page of metrics was written fewer than four times in 20 s")
    writing.terminate()
    writing.wait(timeout=30)


# ---- TensorBoard: a record consists of length, masked CRC-32C, bytes and CRC; the bytes are messages of the types
# Event and Summary

TABLE = []
for byte in range(256):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    TABLE.append(byte)


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(data):
    while data:
        length, = struct.unpack("<Q", data[:8])
        body = data[12:12 + length]
        expect_equal("checksums of a record", struct.unpack("<I", data[8:12]) + struct.unpack("<I", data[12 + length:16 + length]),
                     (masked_crc(data[:8]), masked_crc(body)))
        yield body
        data = data[16 + length:]


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def fields(data):
    """Decodes a message in the format of protocol buffers. Returns a dictionary from each field number to the list of
    its values."""
    found, at = {}, 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack("<d", data[at:at + 8])[0], at + 8
        elif key & 7 == 5:
            value, at = struct.unpack("<f", data[at:at + 4])[0], at + 4
        else:
            length, at = varint(data, at)
            value, at = data[at:at + length], at + length
        found.setdefault(key >> 3, []).append(value)
    return found


def read_events(folder):
    """Returns two results: a dictionary from (tag, step) to (value, time) for the scalars, and the set of tags of all
    other values."""
    scalars, others = {}, set()
    path, = Path(folder).glob("events.out.tfevents.*")
    for body in records(path.read_bytes()):
        event = fields(body)
        for summary in event.get(5, []):
            for value in fields(summary).get(1, []):
                value = fields(value)
                tag = value[1][0].decode()
                if 2 in value:
                    scalars[tag, event.get(2, [0])[0]] = value[2][0], event[1][0]
                else:
                    others.add(tag)
    return scalars, others


def check_tensorboard():
    done = run_tool("export_tensorboard.py", "runs", "events", env={**os.environ, "PYTHONPATH": ""})
    if "no tensorboardX" in done.stderr:
        expect_equal("code without tensorboardX", 69, done.returncode)
        expect("pip install tensorboardX" in done.stderr, done.stderr)
    pip = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", "packages", "tensorboardX",
                          "protobuf", "packaging"], capture_output=True, text=True, timeout=100)
    if pip.returncode != 0:
        print(f"skipped: no tensorboardX from PyPI: {pip.stderr.strip().splitlines()[-1]}")
        sys.exit(77)
    environment = {**os.environ, "PYTHONPATH": os.path.abspath("packages")}
    done = run_tool("export_tensorboard.py", "runs", "events", env=environment)
    expect_equal(f"exit code: {done.stderr}", 0, done.returncode)
    expect_equal("folders", {"first", 'odd "name"'}, set(os.listdir("events")))
    scalars, others = read_events("events/first")
    expect("configuration/text_summary" in others or "configuration" in others, f"no configuration: {others}")
    rows = rows_of("runs/first")
    tags = {"meta_loss": "loss/meta_loss", "gradient_norm": "gradient/gradient_norm", "compute_seconds": "seconds/compute_seconds",
            "learning_rate": "run/learning_rate"}
    for row in rows:
        for key, tag in tags.items():
            got = scalars[tag, row["meta_step"]][0]
            expect(abs(got - row[key]) <= 1e-6 * abs(row[key]), f"{tag} at {row['meta_step']}: expected {row[key]}, got {got}")
    expect(not any(tag == "loss/validation_loss" for tag, _ in scalars), "the events have a validation loss, but the run has no validation")
    times = [scalars["loss/meta_loss", row["meta_step"]][1] for row in rows]
    expect(times == sorted(times) and abs(times[-1] - os.path.getmtime("runs/first/metrics.jsonl")) < 2, f"times: {times[-1]}")
    done = run_tool("export_tensorboard.py", "runs", "events", env=environment)
    expect(done.returncode == 73 and "already contains event files" in done.stderr, f"a folder with event files is not refused: {done.stderr}")
    done = run_tool("export_tensorboard.py", "runs/first", "runs/first", env=environment)
    expect(done.returncode == 73 and "run directory" in done.stderr, f"a run directory as output is not refused: {done.stderr}")


train(QUADRATIC, "first")
train(QUADRATIC, "second", "seed=2")
os.makedirs("runs")
os.rename("first", "runs/first")
os.rename("second", 'runs/odd "name"')
check_prometheus()
check_rename()
check_tensorboard()
print("ok")
