"""Checks that tools/pack_omniglot.py packs artificial archives, and that the family `omniglot` can use the packed
file. With this family, `warploom train` must work on one and two ranks, and `warploom check` must pass in first and
second order. The test test_omniglot_file.py checks the real data."""
import functools
import io
import os
import subprocess
import sys
import zipfile

import h5py
import numpy as np

from fixture import PROGRAM, expect, expect_equal, program, tool, tool_fails, train

try:
    from PIL import Image
except ImportError:
    print("skipped: the tool needs Debian's python3-pil")
    sys.exit(77)

USAGE, DATA, NO_INPUT = 64, 65, 66
SIDE, SMALL, DRAWERS = 105, 28, 20
BACKGROUND = {"Angelic": 3, "Latin": 4, "Tagalog": 2}
EVALUATION = {"Atlantean": 3, "Keble": 3}


@functools.lru_cache(None)
def ink(alphabet, character, drawer):
    """Draws an artificial character of three strokes. The number of the character determines the strokes, and the
    number of the drawer shifts them a little."""
    image = np.zeros((SIDE, SIDE), bool)
    strokes = np.random.default_rng([*alphabet.encode(), character]).integers(15, 90, (3, 2, 1, 2))
    shift = np.random.default_rng([drawer, character]).integers(-4, 5, 2)
    t = np.linspace(0, 1, 100)[:, None]
    points = (strokes[:, 0] + t * (strokes[:, 1] - strokes[:, 0]) + shift).astype(int).reshape(-1, 2)
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        image[points[:, 0] + row, points[:, 1] + column] = True
    return image


def write_archive(name, alphabets, drop=None):
    with zipfile.ZipFile(f"{name}.zip", "w") as archive:
        for alphabet, characters in alphabets.items():
            for c in range(characters):
                for d in range(DRAWERS):
                    if (alphabet, c, d) == drop:
                        continue
                    data = io.BytesIO()
                    Image.fromarray(np.where(ink(alphabet, c, d), 0, 255).astype(np.uint8)).convert("1").save(data, "PNG")
                    path = f"{name}/{alphabet}/character{c + 1:02d}/{c:04d}_{d + 1:02d}.png"
                    archive.writestr(path, data.getvalue())
                    if d == 0:
                        archive.writestr(f"__MACOSX/{path}", b"")


def check_layout(path, side):
    with h5py.File(path) as file:
        names = sorted({**BACKGROUND, **EVALUATION})
        expect_equal("alphabets", [n.encode() for n in names], list(file["alphabet_name"][()]))
        expect_equal("background", [n in BACKGROUND for n in names], [bool(b) for b in file["background"][()]])
        sizes = {**BACKGROUND, **EVALUATION}
        characters = [(n, c) for n in names for c in range(sizes[n])]
        expect_equal("shape", (len(characters), DRAWERS, side, side), file["image"].shape)
        expect_equal("type", np.uint8, file["image"].dtype)
        expect_equal("alphabets of characters", [names.index(n) for n, _ in characters],
                     file["alphabet_of_character"][()].tolist())
        expect_equal("characters", [b"character%02d" % (c + 1) for _, c in characters], list(file["character_name"][()]))
        at = [int(i * SIDE / side) for i in range(side)]
        for i, (n, c) in enumerate(characters):
            for d in (0, 7, DRAWERS - 1):
                expect((file["image"][i, d] == ink(n, c, d)[np.ix_(at, at)]).all(), f"{n} {c} {d} at {side}")


def check_tool():
    write_archive("background", BACKGROUND)
    write_archive("evaluation", EVALUATION)
    for side in (SMALL, SIDE):
        said = tool("pack_omniglot.py", "background.zip", "evaluation.zip", "--side", side, "-o", f"o{side}.h5")
        expect("15 characters of 5 alphabets (3 background), 20 drawers" in said, said)
        check_layout(f"o{side}.h5", side)
    expect(not [n for n in os.listdir(".") if ".tmp-" in n], "a temporary file was not removed")
    write_archive("short", EVALUATION, drop=("Keble", 2, 4))
    with open("text.zip", "w") as file:
        file.write("no archive\n")
    with zipfile.ZipFile("other.zip", "w") as archive:
        archive.writestr("readme", "other")
    pack = "pack_omniglot.py"
    text = tool(pack, "--help")
    expect(all(word in text for word in ("usage:", "Examples:", "--side", "alphabet_of_character")), text)
    tool_fails(DATA, ["Keble/character03", "19"], pack, "background.zip", "short.zip")
    tool_fails(DATA, ["text.zip"], pack, "text.zip", "evaluation.zip")
    tool_fails(DATA, ["other.zip", "characterNN"], pack, "background.zip", "other.zip")
    tool_fails(USAGE, ["Angelic", "both"], pack, "background.zip", "background.zip")
    tool_fails(NO_INPUT, ["nowhere.zip"], pack, "nowhere.zip", "evaluation.zip")
    tool_fails(DATA, ["105 x 105", "200"], pack, "background.zip", "evaluation.zip", "--side", "200")


MULTI = """
seed: 1
threads: 1
task: {family: omniglot, file: o28.h5, ways: 3, alphabets: 2, test_alphabets: 1, batch: 10, filters: [4, 4, 4, 4],
       warp: conv3x3, augment_rotate: 20, augment_shift: 0.1, augment_scale: 0.1}
rule: {name: sgd, rate: 0.1}
initialisation: {name: leap, fresh: [dense1.weight, dense1.bias]}
episode: {steps: 4}
window: {steps: 4, weights: last, batch: fresh}
outer: {steps: 2, units: 2, every: episode, optimizer: sgd, learning_rate: 0.1}
replay: {capacity: 8, batch: 4}
"""
FEW = """
seed: 1
threads: 1
task: {family: omniglot, file: o28.h5, protocol: few-shot, ways: 3, shots: 1, query: 2, filters: [2, 2], activation: tanh,
       quarter_turns: true}
rule: {name: sgd, rate: 0.1}
initialisation: {name: maml}
episode: {steps: 2}
window: {steps: 2, weights: last, batch: fresh, order: second}
outer: {steps: 2, units: 2, every: episode, learning_rate: 1e-2}
"""


def digest(run, ranks=1):
    return program("train", f"{run}.yaml", "--quiet", "--set", f"output={run}-{ranks}", ranks=ranks)


def check_family():
    for name, text in (("multi", MULTI), ("few", FEW)):
        train(text, name)
        expect_equal(f"{name}: digest on two ranks", digest(name), digest(name, 2))
    for order in ("first", "second"):
        program("check", "few.yaml", "--windows", "0", "--quiet", "--set", f"window.order={order}")
    failed = subprocess.run([PROGRAM, "train", "multi.yaml", "--set", "task.file=o28.h5.gone"], capture_output=True, text=True)
    expect_equal("exit code without the file", NO_INPUT, failed.returncode)
    expect("pack_omniglot" in failed.stderr, failed.stderr)


check_tool()
check_family()
