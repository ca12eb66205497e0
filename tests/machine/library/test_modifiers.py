"""Thickness in the beam: slabs, ripple filters, and all of them on a line."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.errors import OptionError
from spotline.machine import load_beamline
from spotline.machine.library.modifiers import in_beam, ripple_filter, slab, together


def test_slab():
    thickness = slab(3.25)
    assert (thickness.mean_mm, thickness.variance_mm2) == (3.25, 0.0)


def test_ripple_filter_is_uniform():
    """From 0 to twice the mean, and fine enough for the narrowest peak."""
    thickness = ripple_filter(1.0)
    assert thickness.share.sum() == pytest.approx(1.0)
    assert thickness.mean_mm == pytest.approx(1.0)
    assert thickness.variance_mm2 == pytest.approx(4.0 / 12.0, rel=1e-3)
    assert thickness.thickness_mm[0] < 0.03
    assert thickness.thickness_mm[-1] > 1.97
    assert np.diff(thickness.thickness_mm).max() < 0.05


def test_two_crossed_filters_make_a_triangle():
    both = together([ripple_filter(1.0), ripple_filter(1.0)])
    assert both.mean_mm == pytest.approx(2.0)
    assert both.variance_mm2 == pytest.approx(2.0 * 4.0 / 12.0, rel=1e-3)
    assert both.thickness_mm[np.argmax(both.share)] == pytest.approx(2.0)
    triangle = 1.0 - np.abs(both.thickness_mm - 2.0) / 2.0
    np.testing.assert_allclose(both.share / both.share.max(), triangle, atol=0.03)
    assert len(both.share) < 150, "equal sums are joined"


def test_nothing():
    assert together([]).mean_mm == 0.0


def test_elements_of_a_line():
    line = load_beamline("cnao-h")
    nozzle = line.facts.ions[1].nozzle_mm
    assert in_beam(line, "carbon").mean_mm == pytest.approx(nozzle)
    names = {"range_modulators": ("RIFI1", "RIFI2"), "range_shifters": ("RW3-20mm",)}
    assert in_beam(line, "carbon", **names).mean_mm == pytest.approx(nozzle + 2.0 + 20.96)


@pytest.mark.parametrize(
    ("ion", "names", "message"),
    [
        ("helium", {}, "ion 'helium': cnao-h does not deliver it"),
        (
            "carbon",
            {"range_modulators": ["RIFI3"]},
            "ripple filter 'RIFI3': cnao-h has no such; did you mean",
        ),
        ("carbon", {"range_modulators": ["RIFI1", "RIFI1"]}, "'RIFI1' is named more than once"),
        (
            "carbon",
            {"range_shifters": ["Lucite"]},
            "range shifter 'Lucite': cnao-h has no such; known are RW3",
        ),
    ],
)
def test_what_is_not_there(ion: str, names: dict, message: str):
    with pytest.raises(OptionError, match=message):
        in_beam(load_beamline("cnao-h"), ion, **names)
