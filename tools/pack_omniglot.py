#!/usr/bin/env python3
"""Packs the archives of Omniglot into one HDF5 file for the task family `omniglot`.

The tool reads images_background.zip and images_evaluation.zip of https://github.com/brendenlake/omniglot (python/). The
archives contain ALPHABET/characterNN/*.png, with 20 drawings of each character. An image has 105 x 105 pixels and shows
black ink on white. The tool sorts the alphabets of both archives by name.

  image                  (character, drawer, row, column) uint8   1: ink, 0: paper
  alphabet_of_character  (character) int32                        index into alphabet_name
  alphabet_name          (alphabet) text
  background             (alphabet) uint8                         1: of the first archive, 0: of the second
  character_name         (character) text                         name of the character's folder, characterNN; NN counts the
                                                                characters of one alphabet

For a side below 105, row and column i of an image are the row and column floor(i * 105 / side) of the original. Ink has
the value 1. Some papers use inverted images.

Examples:
  pack_omniglot.py images_background.zip images_evaluation.zip -o omniglot28.h5
  pack_omniglot.py images_background.zip images_evaluation.zip --side 105 -o omniglot105.h5
  WARPLOOM_DATA=. warploom train jobs/omniglot-warp-leap.yaml
"""
import io
import os
import re
import zipfile

import warploom_needs  # imported first, because this module reports missing packages

import h5py
import numpy as np

import warploom_files as wf

PATTERN = re.compile(r"(?:^|/)([^/]+)/(character\d+)/([^/]+)\.png$")


def open_archive(path):
    wf.require_path(path)
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise wf.ToolError(wf.DATA, f"{path}: is not a zip archive: download it again ({error})") from error


def list_images(archive, path):
    """Returns {(alphabet, character): [sorted names of its images]}."""
    characters = {}
    for name in archive.namelist():
        match = PATTERN.search(name)
        if match and "__MACOSX" not in name:
            characters.setdefault(match.group(1, 2), []).append(name)
    if not characters:
        raise wf.ToolError(wf.DATA, f"{path}: has no ALPHABET/characterNN/*.png: is it an archive of Omniglot?")
    return {key: sorted(names) for key, names in sorted(characters.items())}


def read_ink(archive, path, name, side):
    """Reads one image (side, side). A pixel with ink is 1."""
    from PIL import Image, UnidentifiedImageError
    try:
        pixels = np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("L"))
    except (UnidentifiedImageError, OSError, zipfile.BadZipFile) as error:
        raise wf.ToolError(wf.DATA, f"{path}: {name} cannot be read: download the archive again ({error})") from error
    if pixels.shape[0] != pixels.shape[1] or pixels.shape[0] < side:
        raise wf.ToolError(wf.DATA, f"{path}: {name} is {pixels.shape[0]} x {pixels.shape[1]}, "
                                    f"but a square of at least {side} pixels is expected")
    at = np.arange(side) * pixels.shape[0] // side
    return (pixels[np.ix_(at, at)] < 128).astype(np.uint8)


def read_archive(path, side):
    """Reads an archive and returns [(alphabet, character, images (drawers, side, side))]."""
    with open_archive(path) as archive:
        listed = list_images(archive, path)
        return [(alphabet, character, np.stack([read_ink(archive, path, name, side) for name in names]))
                for (alphabet, character), names in listed.items()]


def check_drawers(characters):
    drawers = len(characters[0][2])
    for alphabet, character, images in characters:
        if len(images) != drawers:
            raise wf.ToolError(wf.DATA, f"{alphabet}/{character} has {len(images)} images, but the first character "
                                        f"has {drawers}: the archives are incomplete, download them again")


def check_alphabets(background, evaluation):
    both = sorted({c[0] for c in background} & {c[0] for c in evaluation})
    if both:
        raise wf.ToolError(wf.USAGE, f"the alphabet {both[0]} is in both archives: name images_background.zip "
                                     "and images_evaluation.zip, in this order")


def write_packed(path, background, evaluation, side):
    characters = sorted(background + evaluation, key=lambda c: c[:2])
    names = sorted({c[0] for c in characters})
    first = {c[0] for c in background}
    images = np.stack([c[2] for c in characters])
    temporary = f"{path}.tmp-{os.getpid()}"
    with h5py.File(temporary, "w", libver=("earliest", "v108")) as file:
        file.attrs["title"] = f"Omniglot, {side}x{side}, one bit, ink = 1"
        file.attrs["source"] = "Lake, Salakhutdinov, Tenenbaum 2015 (MIT licence), packed by Warploom's pack_omniglot.py"
        file.create_dataset("image", data=images, chunks=(1, *images.shape[1:]), compression="gzip", shuffle=False)
        file["alphabet_of_character"] = np.array([names.index(c[0]) for c in characters], np.int32)
        file["alphabet_name"] = np.array(names, "S")
        file["background"] = np.array([name in first for name in names], np.uint8)
        file["character_name"] = np.array([c[1] for c in characters], "S")
    os.replace(temporary, path)
    print(f"{path}: {len(characters)} characters of {len(names)} alphabets ({len(first)} background), "
          f"{images.shape[1]} drawers, {side} x {side}, {100 * images.mean():.2f} % ink")


def main():
    parser = wf.Parser(__doc__)
    parser.add_argument("background", metavar="BACKGROUND.zip", help="images_background.zip")
    parser.add_argument("evaluation", metavar="EVALUATION.zip", help="images_evaluation.zip")
    parser.add_argument("--side", type=int, default=28, metavar="N",
                        help="side of the images in pixels, at most 105 (default 28)")
    parser.add_argument("-o", "--output", metavar="FILE", help="file to write (default: omniglotN.h5)")
    a = parser.parse_args()
    if a.side < 1:
        parser.error("--side: must be at least 1")
    background, evaluation = read_archive(a.background, a.side), read_archive(a.evaluation, a.side)
    check_alphabets(background, evaluation)
    check_drawers(background + evaluation)
    output = a.output or f"omniglot{a.side}.h5"
    try:
        write_packed(output, background, evaluation, a.side)
    except OSError as error:
        raise wf.ToolError(wf.CANNOT_CREATE, f"{output}: cannot be written: {error}") from error


if __name__ == "__main__":
    wf.run_tool(main)
