#!/usr/bin/env python3
"""Compares the meta-gradients that `warploom check --dump` writes with stored results of PyTorch, within a relative
error of 1e-9.

Each case must also pass `warploom check`, which compares the gradient with central differences. If PyTorch is
installed, the test also recomputes the meta-gradient by PyTorch (tests/reference/check_window.py)."""

import os
import sys

sys.path.insert(0, os.path.join(os.environ["WL_SOURCE"], "tests", "reference"))
import window_cases  # pylint: disable=wrong-import-position

try:
    import check_window  # pylint: disable=wrong-import-position
    check_window.torch.set_default_dtype(check_window.torch.float64)
    check_window.torch.set_num_threads(1)
except ImportError:
    check_window = None


def check_case(case):
    dump = window_cases.make_dump(os.environ["WL_BIN"], case, os.getcwd())
    largest, changed = window_cases.compare_with_values(case, dump)
    if changed:
        print(f"{case}: the problem is not the reference's: {', '.join(changed)} differ; if that is "
              "meant, run tests/reference/check_window.py --make-values WARPLOOM")
        return False
    good = largest <= window_cases.TOLERANCE
    print(f"{case}: {'ok' if good else 'WRONG'}, largest relative difference {largest:.1e}")
    if check_window is not None:
        good = check_window.report(case + " recomputed", check_window.recompute(dump)[1]) and good
    return good


def main():
    if check_window is None:
        print("PyTorch is not installed: only the committed values are compared")
    stored = {name[:-3] for name in os.listdir(window_cases.VALUES) if name.endswith(".h5")}
    if stored != set(window_cases.CASES):
        print(f"values and cases differ: {sorted(stored ^ set(window_cases.CASES))}")
        return 1
    results = [check_case(case) for case in window_cases.CASES]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
