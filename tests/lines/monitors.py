"""Lines like cnao-h with other monitors: one strip plane more, or without what the law can do without."""

from __future__ import annotations

import re
from pathlib import Path

from tests.lines.edit import copy_line, edit

SECOND_STRIPS = """\
[[monitors]]
name = "Strip2X"
kind = "strip"
plane = "x"
box = "BOX2"
distance_mm = 700.0
gap_mm = 5.53
channels = 96
pitch_mm = 2.2

"""
"""A second plane that measures x, wider and coarser than StripX."""


def more_strips(folder: Path) -> Path:
    """Write a line with a second StripX in BOX2, without a role; return its TOML file."""
    toml = _renamed(copy_line("cnao-h", folder), "more-strips")
    edit(
        toml,
        ("[calibration]\n", f"{SECOND_STRIPS}[calibration]\n"),
        ("\nint1_gain = ", "\ngains = { Strip2X = 0.9 }\nint1_gain = "),
    )
    return toml


def without_pixels(folder: Path) -> Path:
    """Write a line without a pixel chamber; return its TOML file."""
    return _without(_renamed(copy_line("cnao-h", folder), "no-pixels"), "PIX")


def one_box(folder: Path) -> Path:
    """Write a line whose five chambers stand in one box, the only one; return its TOML file."""
    toml = _renamed(copy_line("cnao-h", folder), "one-box")
    text = toml.read_text(encoding="utf-8").replace('box = "BOX2"', 'box = "BOX1"')
    text = re.sub(r'\[\[boxes\]\]\nname = "BOX2".*?\n\n', "", text, count=1, flags=re.DOTALL)
    toml.write_text(text, encoding="utf-8")
    return toml


def without_strips_in_x(folder: Path) -> Path:
    """Write a line in which the pixel chamber alone measures x; return its TOML file."""
    return _without(_renamed(copy_line("cnao-h", folder), "no-strip-x"), "StripX")


def without_strips(folder: Path) -> Path:
    """Write a line in which the pixel chamber alone measures positions; return its TOML file."""
    toml = _renamed(copy_line("cnao-h", folder), "no-strips")
    return _without(_without(toml, "StripX"), "StripY")


def with_old_keys(folder: Path) -> Path:
    """Write cnao-h with the keys from before there were rows; return its TOML file."""
    toml = copy_line("cnao-h", folder)
    text = toml.read_text(encoding="utf-8")
    begin, end = text.index("[[boxes]]"), text.index("[calibration]")
    text = text[:begin] + OLD_CHAMBERS + text[end:]
    toml.write_text(text.replace("\n[scanning.x]", f"{OLD_GEOMETRY}\n[scanning.x]"), encoding="utf-8")
    return toml


OLD_GEOMETRY = """\
int1_to_isocentre_mm = 830.0            # [ASSUMED] BOX1
strip_x_to_isocentre_mm = 815.0         # [ASSUMED] BOX1
strip_y_to_isocentre_mm = 800.0         # [ASSUMED] BOX1
int2_to_isocentre_mm = 730.0            # [ASSUMED] BOX2
pixel_to_isocentre_mm = 715.0           # [ASSUMED] BOX2
"""

OLD_CHAMBERS = """\
gap_mm = 5.53                           # [CALC]
high_voltage_V = 400.0                  # [DDS IV.A, Table 5]
strips = 128                            # [DDS III.B.1]
strip_pitch_mm = 1.65                   # [DDS III.B.1]
pixels = 32                             # [DDS III.B.1]
pixel_pitch_mm = 6.6                    # [DDS III.B.1]

"""


def _renamed(toml: Path, name: str) -> Path:
    edit(toml, ('name = "cnao-h"', f'name = "{name}"'))
    return toml


def _without(toml: Path, monitor: str) -> Path:
    """Take the row of a monitor out of a file."""
    text = toml.read_text(encoding="utf-8")
    begin = text.index(f'[[monitors]]\nname = "{monitor}"')
    end = text.index("\n\n", begin) + 2
    toml.write_text(text[:begin] + text[end:], encoding="utf-8")
    return toml
