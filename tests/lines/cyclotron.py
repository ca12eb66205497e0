"""The shipped line cnao-h with a cyclotron in place of its synchrotron: all of it assumed, for tests."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from spotline.machine import BeamLine, load_beamline
from spotline.machine.accelerator import Cyclotron
from tests.lines.edit import copy_line
from tests.lines.facts import with_facts

TABLE = """\
[accelerator]
kind = "cyclotron"
first_beam_s = 3.0
switch_down_s = 0.6
switch_down_s_per_MeV_u = 0.001
switch_up_s = 5.0
repeat_s = 0.1
longest_beam_s = 10.0
beam_rise_s = 0.001
beam_fall_s = 0.001
intensity_levels = [1.0, 0.5, 0.2, 0.1]
line = 1
event_tolerance_us = 2000
extraction_stop_us = 500
degrader = { energy_MeV_u = 400.0, transmission = [] }

"""
CYCLOTRON = msgspec.convert(tomllib.loads(TABLE)["accelerator"], Cyclotron)


def with_accelerator(toml: Path, table: str) -> Path:
    """Give a line another accelerator, by its table in the file."""
    text = toml.read_text(encoding="utf-8")
    first, past = text.index("[accelerator]"), text.index("[passive_elements")
    toml.write_text(text[:first] + table + text[past:], encoding="utf-8")
    return toml


def write_cyclotron_line(folder: Path) -> Path:
    """Write the line into a folder, and return its TOML file."""
    return with_accelerator(copy_line("cnao-h", folder), TABLE)


def cyclotron_line(**changes: Any) -> BeamLine:
    """The line, with some keys of its accelerator changed."""
    line = load_beamline("cnao-h")
    # No ring is empty before its end, so that counts are missed at once.
    line = with_facts(line, {"accelerator": CYCLOTRON, "fast_interlocks.no_counts_us": 10_000})
    return with_facts(line, {f"accelerator.{key}": value for key, value in changes.items()})
