#!/usr/bin/env python3
"""table_rows.py FOLDER checks the tables of all Markdown files below FOLDER. Each row must have as many cells as the
header of its table. The script skips folders with the name `runs`, with a name that begins with `build`, and with a
name that begins with a dot."""
import pathlib
import re
import sys

SEPARATOR = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")


def markdown_files(folder):
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if not path.name.startswith((".", "build")) and path.name != "runs":
                yield from markdown_files(path)
        elif path.suffix == ".md":
            yield path


def cells(row):
    row = row.strip().replace("\\|", "")
    return row.removeprefix("|").removesuffix("|").count("|") + 1


def outside_fences(lines):
    """Returns the lines of a file. Each line of a fenced code block is replaced by an empty line."""
    inside, kept = False, []
    for line in lines:
        fence = line.lstrip().startswith(("```", "~~~"))
        inside ^= fence
        kept.append("" if inside or fence else line)
    return kept


def wrong_rows(lines):
    """Yields the line number and the text of each row whose number of cells differs from the number of cells in the
    table's header. A row without a header above it is also yielded."""
    width = 0
    lines = outside_fences(lines)
    for number, line in enumerate(lines, 1):
        below = lines[number] if number < len(lines) else ""
        if not line.strip():
            width = 0
        elif width == 0 and "|" in line and "|" in below and SEPARATOR.fullmatch(below):
            width = cells(line)
        if (line.startswith("|") or width > 0) and cells(line) != width:
            yield number, line


folder = pathlib.Path(sys.argv[1])
rows, wrong = 0, 0
for path in markdown_files(folder):
    lines = path.read_text(encoding="utf-8").splitlines()
    rows += sum(line.startswith("|") for line in outside_fences(lines))
    for number, line in wrong_rows(lines):
        wrong += 1
        print(f"{path.relative_to(folder)}:{number}: number of cells {cells(line)} differs from the header: {line[:80]}")
if rows == 0:
    sys.exit(f"{folder} has no tables")
sys.exit(wrong > 0)
