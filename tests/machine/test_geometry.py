"""Projections, magnet currents and interpolation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.machine import geometry
from spotline.physics.ions import CARBON, PROTON
from spotline.tables import GainMap

POSITIONS_mm = st.floats(-200.0, 200.0)
SOURCES_mm = st.floats(1500.0, 10_000.0)
CHAMBERS_mm = st.floats(0.0, 1400.0)


def test_projection_published():
    """100 mm at the isocentre are 87 to 89 (X) and 84 to 87 mm (Y) at chambers 0.7 to 0.9 m upstream."""
    for source, low, high in ((6200.0, 85.4, 88.8), (5500.0, 83.6, 87.3)):
        near, far = (float(geometry.project_to_chamber_mm(100.0, source, d)) for d in (700.0, 900.0))
        assert near == pytest.approx(high, abs=0.1)
        assert far == pytest.approx(low, abs=0.1)


@given(position=POSITIONS_mm, source=SOURCES_mm, chamber=CHAMBERS_mm)
def test_projection_by_similar_triangles(position: float, source: float, chamber: float):
    at_chamber = float(geometry.project_to_chamber_mm(position, source, chamber))
    assert abs(at_chamber) <= abs(position)
    assert at_chamber * source == pytest.approx(position * (source - chamber), abs=1e-6)


@given(
    position=POSITIONS_mm, source=SOURCES_mm, rigidity=st.floats(1.0, 7.0), sensitivity=st.floats(0.1, 5.0)
)
def test_current_and_back(position: float, source: float, rigidity: float, sensitivity: float):
    current = geometry.current_A(position, source, rigidity, sensitivity)
    assert float(geometry.position_iso_mm(current, source, rigidity, sensitivity)) == pytest.approx(
        position, abs=1e-9
    )


def test_current_by_hand():
    """100 mm from 5.5 m are 18.18 mrad: 0.1152 T m for 6.336 T m, 153.6 A at 0.75 mT m/A."""
    assert float(geometry.current_A(100.0, 5500.0, 6.336, 0.75)) == pytest.approx(153.6, abs=0.05)
    np.testing.assert_array_equal(geometry.current_A([-50.0, 0.0, 50.0], 5500.0, 6.336, 0.75)[1], 0.0)


def test_small_angles():
    """The linear form is within 0.02 % of the exact one (sine and tangent) over the field."""
    rigidity, source, sensitivity = 6.336, 5500.0, 0.75
    exact = np.sin(np.arctan(100.0 / source)) * rigidity / sensitivity * 1e3
    assert float(geometry.current_A(100.0, source, rigidity, sensitivity)) == pytest.approx(exact, rel=2e-4)


def test_interpolation():
    energy, values = np.array([100.0, 150.0, 210.0, 300.0]), np.array([8.0, 6.0, 5.0, 4.5])
    np.testing.assert_allclose(geometry.interpolate(energy, energy, values), values)
    assert np.all(np.diff(geometry.interpolate(np.linspace(100.0, 300.0, 201), energy, values)) < 0.0), (
        "monotone"
    )
    assert np.all(np.isnan(geometry.interpolate([99.9, 300.1], energy, values)))
    alone = geometry.interpolate([100.0, 100.1], energy[:1], values[:1])
    np.testing.assert_array_equal(alone, [8.0, np.nan])


AXIS = np.array([-100.0, -20.0, 0.0, 60.0, 100.0])
MAP = GainMap(AXIS, AXIS[1:], 1.0 + 0.01 * np.arange(20.0).reshape(4, 5) ** 0.5)


def test_gain_at_the_points_of_the_map():
    x, y = np.meshgrid(MAP.x_iso_mm, MAP.y_iso_mm)
    np.testing.assert_allclose(geometry.gain_at(MAP, x, y), MAP.gain)


@given(x=POSITIONS_mm, y=POSITIONS_mm)
def test_gain_against_an_oracle(x: float, y: float):
    along_x = [np.interp(x, MAP.x_iso_mm, row) for row in MAP.gain]
    expected = np.interp(y, MAP.y_iso_mm, along_x)
    assert float(geometry.gain_at(MAP, x, y)) == pytest.approx(float(expected), abs=1e-12)


def test_gain_of_a_uniform_chamber():
    np.testing.assert_array_equal(geometry.gain_at(None, [1.0, 2.0, 3.0], 0.0), [1.0, 1.0, 1.0])


def test_sensitivity_of_the_magnets():
    """One step of 55 mA: 70 um for carbon at 120 MeV/u, 200 um for protons at 60 MeV (Giordanengo, II.C)."""
    for source, sensitivity in ((6200.0, 0.67), (5500.0, 0.75)):
        for ion, energy, expected in ((CARBON, 120.0, 0.070), (PROTON, 60.0, 0.200)):
            step = geometry.position_iso_mm(0.055, source, ion.rigidity_T_m(energy), sensitivity)
            assert float(step) == pytest.approx(expected, rel=0.02)
