"""Draw the house, docs/images/architecture.svg, from the contract of layers in pyproject.toml.

A row of boxes for each line of the contract, the top of the house above; in each box the first sentence of
the docstring of the room.  Run it after a change of the contract or of such a sentence.
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "spotline"
PICTURE = ROOT / "docs" / "images" / "architecture.svg"

WIDTH, MARGIN, GAP = 880, 20, 10
LINE, PADDING = 15, 9
LETTER = 6.1
"""Width of a letter of the small text, on average."""


def layers() -> list[list[str]]:
    """Rooms of each line of the contract, from the top."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = (
        one
        for one in project["tool"]["importlinter"]["contracts"]
        if one["type"] == "layers" and one["containers"] == ["spotline"]
    )
    return [[name.strip() for name in line.split("|")] for line in contract["layers"]]


def purpose(room: str) -> str:
    """First sentence of a room's docstring."""
    path = SOURCE / room / "__init__.py"
    text = ast.get_docstring(ast.parse((path if path.exists() else SOURCE / f"{room}.py").read_text("utf-8")))
    assert text is not None
    return " ".join(text.split("\n\n")[0].split()).partition(". ")[0].rstrip(".").replace("`", "")


def picture() -> str:
    """The picture as it should be."""
    boxes: list[str] = []
    top = MARGIN
    for rooms in layers():
        if rooms == ["__main__"]:  # only starts the command line
            continue
        width = (WIDTH - 2 * MARGIN - GAP * (len(rooms) - 1)) / len(rooms)
        texts = [textwrap.wrap(purpose(room), int((width - 2 * PADDING) / LETTER)) for room in rooms]
        height = 2 * PADDING + LINE * (1 + max(len(lines) for lines in texts))
        for index, (room, lines) in enumerate(zip(rooms, texts, strict=True)):
            boxes += _box(room, lines, MARGIN + index * (width + GAP), top, width, height)
        top += height + GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top - GAP + MARGIN}" '
        'font-family="sans-serif" font-size="12">'
    )
    ground = f'<rect width="{WIDTH}" height="{top - GAP + MARGIN}" fill="#ffffff"/>'
    return "\n".join([head, "<title>The rooms of Spotline</title>", ground, *boxes, "</svg>", ""])


def _box(room: str, lines: list[str], left: float, top: int, width: float, height: int) -> list[str]:
    is_package = (SOURCE / room).is_dir()
    name = f"{room}/" if is_package else f"{room}.py"
    fill = "#e8eef7" if is_package else "#f3f1ea"
    box = (
        f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{height}" rx="4" '
        f'fill="{fill}" stroke="#7a8aa0"/>'
    )
    at = f'x="{left + PADDING:.1f}"'
    parts = [
        box,
        f'<text {at} y="{top + PADDING + 11}" font-weight="bold" font-size="13" fill="#1b2a41">{name}</text>',
    ]
    for number, line in enumerate(lines, start=1):
        parts.append(
            f'<text {at} y="{top + PADDING + 11 + LINE * number}" fill="#333333">{escape(line)}</text>'
        )
    return parts


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
