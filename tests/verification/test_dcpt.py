"""The page of the line dcpt-like says what it could not look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotline import load_beamline
from spotline.machine.library import load_library
from verification.dcpt import Given, command_part, eclipse_part, entry_cells, line_part, raystation_part

LINE = load_beamline("dcpt-like")


@pytest.mark.parametrize("folder", [None, Path("nowhere")])
def test_reference_data_that_are_not_there(folder: Path | None):
    given, library = Given(folder), load_library(LINE, "proton")
    for parts in (
        line_part(LINE, given),
        raystation_part(LINE, library, given, 100),
        eclipse_part(LINE, library, given),
        command_part(given),
    ):
        heading, skipped = parts
        assert heading.startswith("## ")
        assert skipped.startswith("Skipped: `")


def test_curves_that_are_the_same_do_not_differ():
    library = load_library(LINE, "proton")
    assert [float(cell) for cell in entry_cells(library.entry(100.0), library.entry(100.0))] == [0.0] * 6
    peak, *_, largest, _ = (float(cell) for cell in entry_cells(library.entry(105.0), library.entry(100.0)))
    assert peak == pytest.approx(6.9, abs=0.2)
    assert largest > 10.0
