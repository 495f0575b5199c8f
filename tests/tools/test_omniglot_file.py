"""Checks the real Omniglot data in the packed file WARPLOOM_OMNIGLOT. The test checks the layout of the file. A
network of the family `omniglot` must learn to distinguish characters. The test is skipped if this file does not
exist."""
import json
import os
import sys
from pathlib import Path

import h5py
import numpy as np

from fixture import expect, expect_equal, program, train

PATH = os.environ.get("WARPLOOM_OMNIGLOT", "")
if not os.path.isfile(PATH):
    print("skipped: WARPLOOM_OMNIGLOT " + (f"names no file: '{PATH}'" if PATH else "is not set") +
          "; it must name Omniglot as tools/pack_omniglot.py packs it")
    sys.exit(77)

CHARACTERS, DRAWERS, ALPHABETS, BACKGROUND, BACKGROUND_CHARACTERS = 1623, 20, 50, 30, 964
INK = {28: 0.0805}  # the key is the side of the images in pixels, the value is the expected fraction of pixels with ink
RUN = """
seed: 1
threads: 1
task: {family: omniglot, filters: [16, 16, 16, 16], warp: conv3x3}
rule: {name: sgd, rate: 0.1}
initialisation: {name: leap, fresh: [dense1.weight, dense1.bias]}
episode: {steps: 10}
window: {steps: 10, weights: last, batch: fresh}
outer: {steps: 3, units: 2, every: episode, optimizer: sgd, learning_rate: 0.1}
replay: {capacity: 8, batch: 4, stride: 5}
"""


def check_layout():
    with h5py.File(PATH) as file:
        image, alphabet = file["image"][()], file["alphabet_of_character"][()]
        background, names = file["background"][()].astype(bool), file["alphabet_name"][()].astype("S").tolist()
    side = image.shape[2]
    expect_equal("shape", (CHARACTERS, DRAWERS, side, side), image.shape)
    expect_equal("types", [np.uint8, np.int32], [image.dtype, alphabet.dtype])
    expect_equal("values", [0, 1], np.unique(image).tolist())
    expect(image.any(axis=(2, 3)).all(), "an image is empty")
    expect(abs(image.mean() - INK.get(side, image.mean())) < 5e-4, f"share of ink {image.mean()}")
    expect_equal("alphabets", (ALPHABETS, sorted(names)), (len(set(names)), names))
    expect_equal("background alphabets", BACKGROUND, int(background.sum()))
    expect_equal("background characters", BACKGROUND_CHARACTERS, int(background[alphabet].sum()))
    expect_equal("order of characters", sorted(alphabet), list(alphabet))


def check_learning():
    """After 150 steps, the accuracy must be far above the 5 % of random guesses. The digest on two ranks must be the
    same as on one rank."""
    run = train(RUN, "run", f"task.file={PATH}")
    program("eval", run, "--learned-only", "--quiet", "--steps", "150", "--seeds", "4", "--json", "accuracy.json")
    accuracy = json.loads(Path("accuracy.json").read_text())["cases"][0]["rules"][0]["heldout_accuracy"]
    expect(accuracy > 0.25, f"accuracy {accuracy}")
    lines = [program("train", "run.yaml", "--quiet", "--set", f"task.file={PATH}", "--set", f"output=run{r}", ranks=r) for r in (1, 2)]
    expect_equal("digest on two ranks", *lines)


check_layout()
check_learning()
