"""The beam lines that other tests use say what they are meant to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from spotline.machine import load_beamline
from tests.lines.trip import write_trip_line


def test_trip(tmp_path: Path) -> None:
    line = load_beamline(write_trip_line(tmp_path / "trip"))
    assert line.name == "trip"
    assert line.match_energy("carbon", 229.76) == 229.76
    assert line.match_energy("proton", 120.20) == 120.20
    assert line.facts.passive_elements.range_modulators == {"3 mm RIFI": 1.5}
    for energy, focus in ((229.76, 3.7), (283.76, 3.4)):
        size = line.spot_size("carbon", energy, range_modulators=1)
        assert size is not None
        assert size.fwhm_x_mm == pytest.approx(focus)
