"""The research line: the clinical ions as they are, and two more that are said to be assumed."""

from __future__ import annotations

import numpy as np
import pytest

from spotline.machine import load_beamline
from spotline.machine.load import SHIPPED
from spotline.physics.ions import IONS
from tools import make_cnao_tables

LINE = load_beamline("cnao-research")


def test_ions():
    assert LINE.ion_names == ("proton", "carbon", "helium", "oxygen")
    assert "assumed" in LINE.facts.title


@pytest.mark.parametrize("ion", ["proton", "carbon"])
def test_clinical_ions_are_those_of_the_horizontal_line(ion: str):
    horizontal = load_beamline("cnao-h")
    assert LINE.beam(ion) == horizontal.beam(ion)
    np.testing.assert_array_equal(LINE.energies[ion].energy_MeV_u, horizontal.energies[ion].energy_MeV_u)


@pytest.mark.parametrize("ion", ["helium", "oxygen"])
def test_lists(ion: str):
    """Every 2 mm from 30 mm, as deep as 300 mm or what carbon of 400 MeV/u needs of the magnets."""
    table = LINE.energies[ion]
    np.testing.assert_array_equal(table.range_mm, 30.0 + 2.0 * np.arange(len(table.range_mm)))
    rigidity = IONS[ion].rigidity_T_m(float(table.energy_MeV_u[-1]))
    assert rigidity <= make_cnao_tables.LARGEST_RIGIDITY_T_m
    step = IONS[ion].rigidity_T_m(float(2.0 * table.energy_MeV_u[-1] - table.energy_MeV_u[-2]))
    assert table.range_mm[-1] == 300.0 or step > make_cnao_tables.LARGEST_RIGIDITY_T_m
    assert np.all(np.diff(table.particles_per_count) > 0.0)


def test_ions_of_the_same_velocity_count_as_their_charge():
    """Four times as few helium ions as protons make a count, at the same energy per nucleon."""
    energies = np.array([80.0, 150.0, 200.0])
    ratio = LINE.particles_per_count("proton", energies) / LINE.particles_per_count("helium", energies)
    np.testing.assert_allclose(ratio, 4.0, rtol=0.05)
    energies = np.array([200.0, 300.0])
    ratio = LINE.particles_per_count("carbon", energies) / LINE.particles_per_count("oxygen", energies)
    np.testing.assert_allclose(ratio, 64.0 / 36.0, rtol=0.05)


@pytest.mark.parametrize("ion", ["helium", "oxygen"])
def test_tables_say_that_they_are_assumed(ion: str):
    for path in (SHIPPED / "cnao-research").glob(f"{ion}_*.csv"):
        assert "[ASSUMED" in path.read_text(encoding="utf-8"), path.name
