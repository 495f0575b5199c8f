"""Tests the check of a file's footer in the Python package. The hashes must be those of the C library xxHash. The
package must refuse each damaged file that the program refuses, with the same exit code."""
import io
import shutil
import subprocess
import sys

from fixture import PROGRAM, SOURCE, expect

try:
    import numpy as np
except ImportError as missing:
    print(f"skipped: {missing}; the package needs Debian's python3-numpy and python3-h5py")
    sys.exit(77)

from warploom import footer
from warploom.files import DATA, File, ToolError

# XXH3_64bits of the first n bytes of the array in test_hashes, computed by xxHash 0.8.1 in C
HASHES = {17: 0x85b86fb76a78e347, 72: 0xc43ec84f710e428f, 128: 0xa05397602c0d7380, 129: 0xb0be8561055fb150,
          240: 0x2599f7836101b7c7, 241: 0xfa3e3f950b821a67, 1024: 0xd8a431d42f118225, 1025: 0xab266b19578c011e,
          4194305: 0x143c0e5dd8c77573, 4195400: 0x9dd25c83ef77ee7a}
TRAINED = SOURCE / "jobs/trained/general.h5"


def test_hashes():
    i = np.arange(max(HASHES), dtype=np.uint64)
    data = (i * i % np.uint64(65521) % np.uint64(251)).astype(np.uint8).tobytes()
    for n, wanted in HASHES.items():
        got = footer.xxh3(io.BytesIO(data[:n]).read, n)
        expect(got == wanted, f"hash of {n} bytes: {got:016x}, expected {wanted:016x}")


def error_of(path):
    try:
        File(path).close()
    except ToolError as error:
        return error
    return None


def test_damage():
    """Changes a byte in the data, in the heading of the footer and in each number of the footer. Also removes and
    appends bytes."""
    whole = TRAINED.read_bytes()
    n = len(whole)
    expect(error_of(TRAINED) is None, "an undamaged file is refused")
    cases = {f"byte {at}": whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:]
             for at in (0, 100, n // 2, n - 90, n - 85, n - 72, n - 60, n - 43, n - 26, n - 9, n - 1)}
    cases.update({"last byte missing": whole[:-1], "footer missing": whole[:-89], "half": whole[:n // 2],
                  "longer": whole + b"\n", "short": b"HDF", "empty": b""})
    for name, content in cases.items():
        with open("damaged.h5", "wb") as file:
            file.write(content)
        error = error_of("damaged.h5")
        expect(error and error.code == DATA and "is damaged" in str(error), f"{name}: the package says {error}")
    shutil.copy(TRAINED, "flip.h5")
    with open("flip.h5", "r+b") as file:
        file.write(b"\0")
    done = subprocess.run([PROGRAM, "info", "flip.h5"], capture_output=True, text=True, check=False)
    reason = "the content does not match the hash in the footer; use an older file or write this file again"
    expect(done.returncode == error_of("flip.h5").code and reason in done.stderr and reason in str(error_of("flip.h5")),
           f"the program says {done.returncode}, {done.stderr}; the package says {error_of('flip.h5')}")


test_hashes()
test_damage()
