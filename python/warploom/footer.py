"""Checks the footer at the end of a file. The footer contains hashes of the bytes of the file (src/base/footer.h).

The hash is XXH3-64 with seed 0. The function `xxh3` computes this hash for at least 17 bytes, which is enough because
every hashed part of a file is longer.
"""
import io
import re

import numpy as np

from .errors import DATA, IO, NO_PERMISSION, ToolError

END = re.compile(rb"end ([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{16})\n")
END_BYTES, COVERED = 72, 55  # length of the line "end", and length of its part that the last hash covers
PIECE = 1 << 22              # number of bytes that are read at once, a multiple of BLOCK

# ---- XXH3-64 -------------------------------------------------------------------------------

MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")
STRIPE, STRIPES = 64, 16     # bytes of a stripe, and stripes of a block
BLOCK = STRIPE * STRIPES
START = np.array([P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1], np.uint64)


def _words(data, offset, count):
    return np.frombuffer(data, "<u8", count, offset)


KEYS = np.stack([_words(SECRET, 8 * n, 8) for n in range(STRIPES)])  # the words of the secret for each stripe of a block


def _fold(data, at, secret, offset):
    """Returns the product of two words of the data, each combined with a word of the secret, as 64 bits."""
    (a, b), (c, d) = ([int(x) for x in _words(*place, 2)] for place in ((data, at), (secret, offset)))
    product = (a ^ c) * (b ^ d)
    return (product & MASK64) ^ (product >> 64)


def _avalanche(h):
    h ^= h >> 37
    h = h * 0x165667919E3779F9 & MASK64
    return h ^ h >> 32


def _hash_short(data):
    """Returns the hash of 17 to 240 bytes."""
    n = len(data)
    h = n * P64_1
    if n <= 128:
        for i in range((n - 1) // 32 + 1):
            h += _fold(data, 16 * i, SECRET, 32 * i) + _fold(data, n - 16 * (i + 1), SECRET, 32 * i + 16)
        return _avalanche(h & MASK64)
    h = _avalanche((h + sum(_fold(data, 16 * i, SECRET, 16 * i) for i in range(8))) & MASK64)
    h += sum(_fold(data, 16 * i, SECRET, 16 * (i - 8) + 3) for i in range(8, n // 16))
    return _avalanche((h + _fold(data, n - 16, SECRET, 119)) & MASK64)


def _sums(data, keys):
    """Returns the sums that the stripes add to the accumulators. `data` has the shape (..., stripe, word)."""
    mixed = data ^ keys
    products = (mixed & np.uint64(MASK32)) * (mixed >> np.uint64(32))
    swapped = data.reshape(*data.shape[:-1], 4, 2)[..., ::-1].reshape(data.shape)
    return (products + swapped).sum(axis=-2, dtype=np.uint64)


def _add_blocks(accumulators, data):
    """Returns the accumulators after complete blocks."""
    key, prime, shift = _words(SECRET, 128, 8), np.uint64(P32_1), np.uint64(47)
    for block in _sums(_words(data, 0, len(data) // 8).reshape(-1, STRIPES, 8), KEYS):
        accumulators = accumulators + block
        accumulators = (accumulators ^ accumulators >> shift ^ key) * prime
    return accumulators


def _hash_long(read, size):
    """Returns the hash of more than 240 bytes. `read(n)` returns the next n bytes."""
    accumulators, left, last = START, size, b""
    while left > BLOCK:
        last = read(min(PIECE, (left - 1) // BLOCK * BLOCK))
        accumulators = _add_blocks(accumulators, last)
        left -= len(last)
    rest = read(left)
    full = (left - 1) // STRIPE
    if full:
        accumulators = accumulators + _sums(_words(rest, 0, 8 * full).reshape(full, 8), KEYS[:full])
    end = (last[-STRIPE:] + rest)[-STRIPE:]
    accumulators = accumulators + _sums(_words(end, 0, 8).reshape(1, 8), _words(SECRET, 121, 8))
    h = size * P64_1
    h += sum(_fold(accumulators.tobytes(), 16 * i, SECRET, 11 + 16 * i) for i in range(4))
    return _avalanche(h & MASK64)


def xxh3(read, size):
    """Returns the XXH3-64 hash of `size` bytes, at least 17. `read(n)` returns the next n bytes."""
    return _hash_long(read, size) if size > 240 else _hash_short(read(size))


# ---- files ---------------------------------------------------------------------------------

def _damage(file, size):
    """Returns the reason why the file is damaged, or None."""
    if size < END_BYTES:
        return "the file is too short: the file was not written completely, or is not a Warploom file"
    file.seek(size - END_BYTES)
    end = END.fullmatch(file.read(END_BYTES))
    if not end:
        return ("the file does not end with a footer: the file was truncated or changed by another program, or is not a "
                "Warploom file")
    image, image_hash, text, text_hash = (int(digits, 16) for digits in end.groups())
    if image + text + END_BYTES != size or image <= 16:
        return "the length of the file differs from the length in the footer"
    file.seek(image)
    if xxh3(file.read, text + COVERED) != text_hash:
        return "the footer does not match the hash in its last line"
    file.seek(0)
    return None if xxh3(file.read, image) == image_hash else "the content does not match the hash in the footer"


def check(path):
    """Raises a ToolError if the file cannot be read, or if its bytes do not match the hashes in its footer."""
    try:
        with open(path, "rb") as file:
            reason = _damage(file, file.seek(0, 2))
    except OSError as error:
        code = NO_PERMISSION if isinstance(error, PermissionError) else IO
        raise ToolError(code, f"{path}: cannot be read: {error.strerror or error}") from error
    if reason:
        raise ToolError(DATA, f"{path}: is damaged: {reason}; use an older file or write this file again")


def append(path):
    """Appends a footer to an HDF5 file without one. The tests call this function for files that they have changed."""
    with open(path, "r+b") as file:
        image = file.read()
        text = b"\nwarploom footer\n"
        end = text + b"end %016x %016x %016x " % (len(image), xxh3(io.BytesIO(image).read, len(image)), len(text))
        file.write(end + b"%016x\n" % xxh3(io.BytesIO(end).read, len(end)))
