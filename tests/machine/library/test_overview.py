"""What is said about a library on a line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spotline.errors import OptionError
from spotline.hdf5 import keys_of
from spotline.machine import load_beamline
from spotline.machine.library import overview
from tests.machine.library.fakes import fake_library

LINE = load_beamline("cnao-h")
LIBRARY = fake_library("carbon", 115.23, 279.97)


def test_all_energies():
    view = overview.library_overview(LIBRARY, LINE)
    assert [one.energy_MeV_u for one in view.energies] == [115.23, 279.97]
    assert [one.nominal_mm for one in view.energies] == pytest.approx([30.0, 150.0], abs=0.01)
    assert view.thickness.mean_mm == pytest.approx(LINE.facts.ions[1].nozzle_mm)


def test_depths_go_from_the_surface_to_the_peak():
    (one,) = overview.library_overview(LIBRARY, LINE, 279.97, range_modulators=["RIFI1"]).energies
    rows = overview.depth_figures(one)
    assert rows[0].depth_mm == 0.0
    assert rows[-1].depth_mm == pytest.approx(one.ranges.peak_mm)
    assert rows[-1].dose_MeV_cm2_g == pytest.approx(one.ranges.peak_MeV_cm2_g, rel=0.01)
    assert np.all(np.diff([row.core_mm for row in rows]) > 0.0)


def test_what_is_not_there_is_none():
    """An energy that the line does not have lies at no nominal depth; JSON knows no NaN."""
    view = overview.library_overview(fake_library("carbon", 100.0, 279.97), LINE, 105.0)
    row = overview.energy_figures(view.energies[0])
    assert row.nominal_depth_mm is None
    json.dumps(keys_of(overview.figures_of(view, in_full=True)), allow_nan=False)


def test_beam_that_is_stopped():
    with pytest.raises(OptionError, match="lie before it"):
        overview.library_overview(LIBRARY, LINE, 115.23, range_shifters=["RW3-30mm"])
    left = overview.library_overview(LIBRARY, LINE, range_shifters=["RW3-30mm"])
    assert [one.energy_MeV_u for one in left.energies] == [279.97]
