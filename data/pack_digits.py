#!/usr/bin/env python3
"""Packs the handwritten digits of scikit-learn into data/digits.z, which the build embeds in the program.

    python3 data/pack_digits.py /usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz data/digits.z

The packed file is a zlib stream of 1797 records of 65 bytes: 64 pixels with values from 0 to 16, row by row, and then
the digit. In Debian, the package python3-sklearn contains the source file.
"""
import gzip
import sys
import zlib

IMAGES, PIXELS = 1797, 64


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with gzip.open(sys.argv[1], "rt", encoding="ascii") as file:
        rows = [[int(float(value)) for value in line.split(",")] for line in file]
    if len(rows) != IMAGES or any(len(row) != PIXELS + 1 or max(row[:PIXELS]) > 16 or row[PIXELS] > 9 for row in rows):
        sys.exit(f"{sys.argv[1]}: expected {IMAGES} lines of {PIXELS} pixels from 0 to 16 and a digit")
    with open(sys.argv[2], "wb") as file:
        file.write(zlib.compress(bytes(value for row in rows for value in row), 9))


if __name__ == "__main__":
    main()
