"""The shipped proton gantry says what the published beam model says, in the words of the project."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spotline.machine import load_beamline
from spotline.machine.accelerator import Cyclotron
from spotline.machine.library import load_library
from spotline.machine.load import SHIPPED
from spotline.machine.optics import spot_sigma_mm
from spotline.machine.real_beams import momentum_spread_percent, real_beam
from spotline.physics.ionization import particles_per_count
from spotline.physics.ions import PROTON
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy, mean_excitation_eV
from spotline.units import FWHM_PER_SIGMA
from tools import make_dcpt_line
from tools.make_dcpt_line import PLANES_mm, between, errors, held_out, read_beam_model, thinned

LINE = load_beamline("dcpt-like")
TABLE = "DCPT_beam_model__v2.csv"


def test_it_cannot_be_taken_for_the_clinical_line():
    assert LINE.name.endswith("-like")
    assert "not the clinical line" in LINE.facts.title
    assert "CC BY 4.0" in LINE.facts.sources["BM"]


def test_what_plans_for_such_a_machine_ask_for():
    facts = LINE.facts
    assert facts.geometry.gantry_range_deg == (0.0, 360.0)
    assert LINE.match_energy("proton", 83.419) == 83.419
    assert LINE.match_energy("proton", 69.9) is None
    assert facts.passive_elements.range_shifters["RS_5CM"] == 57.0
    assert LINE.foci("proton") == ("4.0",)
    assert isinstance(facts.accelerator, Cyclotron)
    assert facts.accelerator.switch_s(100.0, 90.0) == 0.6
    assert facts.accelerator.switch_s(90.0, 100.0) == 6.0


def test_monitor_units_are_the_same_charge_at_all_energies():
    """So a count is the same part of one, and both tables have one factor between them."""
    table = LINE.energies["proton"]
    assert table.particles_per_MU is not None
    counts = table.particles_per_MU / table.particles_per_count
    np.testing.assert_allclose(counts, 239.0, rtol=1e-4)
    # Our ionization of nitrogen knows nothing of the table; 5 % are the monitors before the gap, and what is
    # published as stopping power of air.
    assert table.beam_MeV_u is not None
    counted = particles_per_count(PROTON, table.beam_MeV_u, charge_quantum_C=200e-15, gap_mm=5.5)
    np.testing.assert_allclose(table.particles_per_count / counted, 1.0, atol=0.05)


def test_beams_are_not_what_they_are_called():
    real = real_beam(LINE, "proton", 70.0)
    assert real.energy_MeV_u == 71.38
    assert real.sigma_relative == pytest.approx(1.23 / 71.38)
    assert real_beam(LINE, "proton", 244.0).energy_MeV_u == 243.86


@pytest.mark.stored
def test_library_is_of_the_real_beams():
    """Range and spread of the entries, and the peaks that come of them."""
    library = load_library(LINE, "proton")
    ranges = RangeEnergy(PROTON, WATER, mean_excitation_eV(PROTON, WATER))
    table = LINE.energies["proton"]
    np.testing.assert_array_equal(library.energy_MeV_u, table.energy_MeV_u)
    np.testing.assert_allclose(library.arrays.range_mm, ranges.range_mm(table.beam_MeV_u), atol=1e-6)
    nominal_mm = ranges.range_mm(table.energy_MeV_u)
    assert abs(library.arrays.range_mm - nominal_mm).max() > 1.0, "not those that the names would give"
    # The spread widens the peak at the low end, where it is large, and hardly at the high end: distal fall
    # over the straggling of Bortfeld (1997).
    fall = []
    for energy in (70.0, 244.0):
        found = library.entry(energy).ranges()
        fall.append(found.distal_80_20_mm / (0.12 * (found.R80_mm / 10.0) ** 0.935))
    assert fall[0] > 2.0 * fall[1]


def test_momentum_spread():
    """Of 1.23 MeV at 71.38 MeV: gamma is 1.0761, so dp/p is 0.5183 of dT/T, and 2.355 sigma are the width."""
    found = momentum_spread_percent(PROTON, *real_beam(LINE, "proton", 70.0))
    assert found == pytest.approx(100.0 * 2.3548 * 0.51832 * 1.23 / 71.38, rel=1e-3)


def test_spots_are_those_that_eclipse_planned_with():
    """Plans of 2022 for one room give 9.92 x 9.26 mm at 149.4 MeV and 13.04 x 12.69 mm at 83.4 MeV.

    The model is a mean over three rooms, and air scatters what is half a percent: 3 %.
    """
    for energy, planned in ((149.419, (9.92, 9.26)), (83.419, (13.04, 12.69))):
        size = LINE.spot_size("proton", energy)
        assert size is not None
        assert (size.fwhm_x_mm, size.fwhm_y_mm) == pytest.approx(planned, rel=0.03)


def test_spots_at_the_chambers_are_those_of_the_nozzle():
    optics = LINE.optics["proton", "4.0", 0]
    sigma = spot_sigma_mm(LINE, "proton", optics.energy_MeV_u, to_isocentre_mm=1072.5)
    for found, table in zip(sigma, (optics.fwhm_box_x_mm, optics.fwhm_box_y_mm), strict=True):
        np.testing.assert_allclose(FWHM_PER_SIGMA * found, table, atol=1e-3)


# With the published table at hand


@pytest.fixture(scope="module")
def published(shared_plans: Path) -> Path:
    return shared_plans / "dcpt" / TABLE


def test_files_are_what_the_tool_writes(published: Path):
    made = make_dcpt_line.make_line(published)
    shipped = {path.name: path.read_bytes() for path in (SHIPPED / "dcpt-like").iterdir()}
    assert made.files == shipped, "run python -m tools.make_dcpt_line"


def test_between_the_rows_that_were_taken(published: Path):
    """1705 energies that the line was not made with."""
    found = {what: (largest, unit) for what, largest, unit in held_out(LINE, read_beam_model(published))}
    assert len(found) == 5 + len(PLANES_mm)
    limits = {"MeV": 0.01, "%": 0.3}
    for what, (largest, unit) in list(found.items())[:5]:
        assert largest < limits[unit], what


def test_widths_away_from_the_isocentre(published: Path):
    """At energies that have no part in the fit: 2.5 %, less than half of what the beam widens by on 20 cm."""
    model = read_beam_model(published)
    some = between(model)
    some = some.rows(np.arange(3, len(some.nominal_MeV), 97))
    assert abs(errors(LINE, some)).max() < 0.025
    assert not set(some.nominal_MeV) & set(thinned(model).nominal_MeV)
    widened = some.sigma_at_mm("x", -200.0) / some.sigma_at_mm("x", 0.0)
    assert widened.mean() > 1.06


def test_table_without_a_plane_is_refused(tmp_path: Path):
    path = tmp_path / "table.csv"
    path.write_text("#a table\n1,2,3,4,5,6,7,8,9,10\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="does not say its plane"):
        read_beam_model(path)
