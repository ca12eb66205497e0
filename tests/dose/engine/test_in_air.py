"""Spots in air: those of the tables, and how they widen where the line says so."""

from __future__ import annotations

import numpy as np
import pytest

from spotline import load_beamline
from spotline.dose.engine.in_air import beam_in_air
from spotline.errors import OptionError
from spotline.machine.optics import spot_sigma_mm
from spotline.units import FWHM_PER_SIGMA
from tests.lines.facts import with_facts

LINE = load_beamline("cnao-v")
BARE = with_facts(LINE, {"nozzle": None})


@pytest.mark.parametrize("line", [LINE, BARE], ids=["nozzle", "none"])
def test_sizes_at_the_isocentre_are_those_of_the_tables(line):
    beam = beam_in_air(line, "carbon", 279.97, passive_elements=("RIFI1", "RIFI2"))
    size = line.spot_size("carbon", 279.97, range_modulators=2)
    assert (beam.sigma_x_mm, beam.sigma_y_mm) == pytest.approx(
        (size.fwhm_x_mm / FWHM_PER_SIGMA, size.fwhm_y_mm / FWHM_PER_SIGMA), rel=1e-6
    )
    assert (beam.divergence.x_source_mm, beam.divergence.y_source_mm) == (6200.0, 5500.0)


def test_variance_along_the_axis_is_that_of_the_optics():
    beam = beam_in_air(LINE, "proton", 120.0)
    for height_mm in (150.0, -50.0):
        x_mm, _ = spot_sigma_mm(LINE, "proton", 120.0, to_isocentre_mm=height_mm)
        change = beam.divergence.linear_mm * height_mm + beam.divergence.quadratic * height_mm**2
        # What air scatters on the way is not in it.
        assert np.sqrt(beam.sigma_x_mm**2 + change) == pytest.approx(float(x_mm), rel=0.01)


def test_without_a_nozzle_spots_keep_their_size():
    divergence = beam_in_air(BARE, "proton", 120.0).divergence
    assert (divergence.linear_mm, divergence.quadratic) == (0.0, 0.0)


def test_a_size_that_the_line_does_not_have():
    with pytest.raises(OptionError, match="no spot size of proton of 120 MeV/u with 1 ripple filters"):
        beam_in_air(BARE, "proton", 120.0, passive_elements=("RIFI1",))
    with pytest.raises(OptionError, match="no spot size of proton of 900 MeV/u"):
        beam_in_air(BARE, "proton", 900.0)
