"""The shipped CNAO lines reproduce every figure that is published about them.

DDS: Giordanengo et al., Med. Phys. 42 (2015) 263.  QA: Mirandola et al., Med. Phys. 42 (2015),
doi 10.1118/1.4928397.  SL: S. Rossi, slides, 27 Feb 2026.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spotline.machine import BeamLine, geometry, load_beamline
from spotline.machine.load import SHIPPED
from spotline.machine.true_line import true_line_of
from spotline.moves import transit_time_us
from spotline.physics.ions import CARBON, PROTON, Ion
from tests.lines.edit import copy_line
from tests.places import SHARED
from tools import make_cnao_tables

REFERENCE = SHARED / "reference"
LINES = ("cnao-h", "cnao-v")


@pytest.fixture(scope="module", params=LINES)
def line(request: pytest.FixtureRequest) -> BeamLine:
    """Each of the two lines."""
    return load_beamline(str(request.param))


@pytest.fixture(scope="module")
def horizontal() -> BeamLine:
    """The horizontal line."""
    return load_beamline("cnao-h")


# --- energies and depths: QA 2.A.1, abstract, 2.A.6.a, 2.A.9; DDS IV.C ----------------------------


@pytest.mark.parametrize(("ion", "number", "deepest_mm"), [("proton", 146, 320.0), ("carbon", 121, 270.0)])
def test_number_of_energies_and_depths(line: BeamLine, ion: str, number: int, deepest_mm: float):
    table = line.energies[ion]
    assert len(table.energy_MeV_u) == number
    np.testing.assert_array_equal(table.range_mm, np.arange(30.0, deepest_mm + 1.0, 2.0))


@pytest.mark.stored
@pytest.mark.parametrize(
    ("ion", "depth_mm", "energy_MeV_u"),
    [
        ("proton", 30.0, 62.73),
        ("proton", 50.0, 81.56),
        ("proton", 250.0, 198.11),
        ("proton", 320.0, 228.57),
        ("carbon", 30.0, 115.23),
        ("carbon", 50.0, 150.71),
        ("carbon", 100.0, 221.45),
        ("carbon", 150.0, 279.97),
        ("carbon", 250.0, 380.45),
        ("carbon", 270.0, 398.84),
    ],
)
def test_quoted_energies_come_out_exactly(line: BeamLine, ion: str, depth_mm: float, energy_MeV_u: float):
    table = line.energies[ion]
    assert table.energy_MeV_u[table.range_mm == depth_mm] == [energy_MeV_u]


def test_energy_off_the_grid_is_not_taken_for_a_neighbour(line: BeamLine):
    """148.80 MeV [QA 2.A.9] lies between the energies of 150 and 152 mm."""
    assert line.match_energy("proton", 148.80) is None
    assert float(line.range_mm("proton", 148.80)) == pytest.approx(151.0, abs=0.1)


@pytest.mark.stored
@pytest.mark.skipif(not REFERENCE.is_dir(), reason="the reference tables are not beside the repository")
@pytest.mark.parametrize(
    ("ion", "name", "column", "largest_MeV_u"),
    [
        ("carbon", "cnao_carbon_energy_depth.csv", "E_MeV_u", 0.095),
        ("proton", "cnao_proton_energy_depth_model.csv", "E_model_MeV", 0.065),
    ],
)
def test_lists_against_reference(line: BeamLine, ion: str, name: str, column: str, largest_MeV_u: float):
    """Carbon: what is most likely the true list.  Protons: another model.  The tolerance bridges both."""
    lines = [text for text in (REFERENCE / name).read_text().splitlines() if not text.startswith("#")]
    reference = np.genfromtxt(lines, delimiter=",", names=True)[column]
    listed = line.energies[ion].energy_MeV_u
    assert np.abs(listed - reference).max() < largest_MeV_u
    np.testing.assert_array_equal([line.match_energy(ion, energy) for energy in reference], listed)


@pytest.mark.stored
def test_tables_are_what_the_generator_writes(tmp_path: Path):
    make_cnao_tables.write_all(tmp_path)
    for name in (*LINES, "cnao-research"):
        written = sorted(path.name for path in (tmp_path / name).iterdir())
        assert written == sorted(path.name for path in (SHIPPED / name).glob("*.csv"))
        for table in written:
            assert (tmp_path / name / table).read_bytes() == (SHIPPED / name / table).read_bytes(), table


# --- monitors: DDS III.B.1, IV -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "energy_MeV_u", "expected"),
    [("proton", 62.0, 7.2e3), ("proton", 226.0, 1.9e4), ("carbon", 115.0, 341.0), ("carbon", 399.0, 767.0)],
)
def test_particles_per_count_model(name: str, energy_MeV_u: float, expected: float):
    """At the round energies that the paper quotes, which lie just outside the list."""
    upstream = make_cnao_tables.upstream_thickness_mm()
    quoted = make_cnao_tables.QUOTED[name]
    gap = make_cnao_tables.effective_gap_mm(quoted, upstream)
    counts = make_cnao_tables.counted_particles(quoted.ion, np.array([energy_MeV_u]), upstream, gap)
    assert counts == pytest.approx([expected], rel=0.001)


def test_particles_per_count_of_the_list(line: BeamLine):
    """The table itself, at its ends: within the distance to the quoted round energies."""
    for ion, quoted in (("proton", (7.2e3, 1.9e4)), ("carbon", (341.0, 767.0))):
        counts = line.energies[ion].particles_per_count
        assert (counts[0], counts[-1]) == pytest.approx(quoted, rel=0.011)
        assert np.all(np.diff(counts) > 0.0)


def test_fitted_chamber_is_physical():
    """The effective gap is some 5.5 mm for both ions, and the layer upstream a few mm of water."""
    upstream = make_cnao_tables.upstream_thickness_mm()
    gaps = [
        make_cnao_tables.effective_gap_mm(quoted, upstream) for quoted in make_cnao_tables.QUOTED.values()
    ]
    assert upstream == pytest.approx(3.5, abs=0.2)
    assert gaps == pytest.approx([5.53, 5.18], abs=0.05)


def test_chambers(line: BeamLine):
    facts = line.facts
    by_role = {monitor.role: monitor for monitor in facts.monitors}
    assert list(by_role) == ["int1", "strip_x", "strip_y", "int2", "pixel"]
    strips, pixels = by_role["strip_x"], by_role["pixel"]
    assert facts.strips == (strips.channels, strips.pitch_mm) == (128, 1.65)
    assert facts.pixels == (pixels.channels, pixels.pitch_mm) == (32, 6.6)
    assert strips.width_mm == pytest.approx(pixels.width_mm)
    assert facts.chambers.charge_quantum_fC == 200.0
    assert [box.high_voltage_V for box in facts.boxes] == [400.0, 400.0]
    assert [monitor.box for monitor in facts.monitors] == ["BOX1"] * 3 + ["BOX2"] * 2


def test_boxes_stand_where_they_are_said_to_be(line: BeamLine):
    """About 70 cm from the isocentre, spread over 20 cm, between the ripple filters at 680 and 980 mm."""
    order = [monitor.distance_mm for monitor in line.facts.monitors]
    assert order == sorted(order, reverse=True), "BOX1 upstream of BOX2"
    assert 680.0 < order[-1] < order[0] < 980.0
    assert order[0] - order[-1] <= 200.0


def test_gain_maps(line: BeamLine):
    """Uniform within 1.5 % over the field, 1 in the middle."""
    x, y = np.meshgrid(np.linspace(-100.0, 100.0, 41), np.linspace(-100.0, 100.0, 41))
    for gain in (line.int1_gain, line.int2_gain):
        assert float(gain(0.0, 0.0)) == 1.0
        deviation = np.abs(gain(x, y) - 1.0).max()
        assert 0.012 < deviation <= 0.015


def test_collection_efficiency(line: BeamLine):
    """99.99 % at 400 V, saturated above 150 V [DDS IV.A], for carbon at clinical intensity."""
    chambers = true_line_of(line).simulation.chambers
    current_A = 6.0e7 / 341.0 * 200e-15

    def efficiency(voltage: float) -> float:
        losses = chambers.recombination_V / voltage + chambers.recombination_V2_per_A * current_A / voltage**2
        return 1.0 / (1.0 + losses)

    assert efficiency(400.0) == pytest.approx(0.9999, abs=1e-5)
    assert efficiency(150.0) == pytest.approx(0.9995, abs=1e-5)
    assert efficiency(50.0) < 0.997


# --- scanning: DDS II.A, II.C, III.B.2.1; QA 1 ----------------------------------------------------


def test_field_and_magnets(line: BeamLine):
    g = line.facts.geometry
    assert (g.field_x_mm, g.field_y_mm) == (200.0, 200.0)
    assert (g.x_source_to_isocentre_mm, g.y_source_to_isocentre_mm) == (6200.0, 5500.0)


@pytest.mark.parametrize("plane", ["x", "y"])
def test_current_step_and_reach(line: BeamLine, plane: str):
    axis = getattr(line.facts.scanning, plane)
    source = getattr(line.facts.geometry, f"{plane}_source_to_isocentre_mm")

    def position(current_A: float, rigidity_T_m: float) -> float:
        return float(
            geometry.position_iso_mm(current_A, source, rigidity_T_m, axis.integral_field_mT_m_per_A)
        )

    # 55 mA move protons by 200 um and carbon by 70 um at the lowest energies of Table 1.
    assert axis.current_step_A == 0.055
    assert position(axis.current_step_A, PROTON.rigidity_T_m(60.0)) == pytest.approx(0.200, rel=0.02)
    assert position(axis.current_step_A, CARBON.rigidity_T_m(120.0)) == pytest.approx(0.070, rel=0.02)
    # 21 mrad is the largest angle, for the stiffest beam.
    largest = position(axis.current_limit_A, CARBON.rigidity_T_m(400.0)) / source * 1e3
    assert 21.0 <= largest < 24.0
    assert position(axis.current_limit_A, CARBON.rigidity_T_m(398.84)) > 100.0


@pytest.mark.parametrize("plane", ["x", "y"])
@pytest.mark.parametrize(
    ("ion", "energy_MeV_u", "step_mm"),
    [
        (CARBON, 398.84, 2.0),
        (CARBON, 115.23, 2.0),
        (PROTON, 228.57, 3.0),
        (PROTON, 62.73, 3.0),
        (CARBON, 398.84, 2.9),
    ],
)
def test_transit_between_spots(line: BeamLine, plane: str, ion: Ion, energy_MeV_u: float, step_mm: float):
    """Less than 200 us at the spacings of the plans, more than 15 m/s on average for these steps."""
    time_us = transit_time_us(step_mm, getattr(line.moves(ion.name, energy_MeV_u), plane))
    assert time_us < 200.0
    assert step_mm / time_us * 1e3 > 14.9, "mm per us times 1000 is m/s"


def test_rates_and_thresholds(line: BeamLine):
    control = line.facts.control
    assert (control.scan_period_us, control.strip_period_us, control.pixel_period_us) == (25, 50, 100)
    assert control.beam_off_jump_mm == 20.0
    assert not control.anticipate_beam_off


# --- accelerator: DDS II.A, Table 1; QA 1 ---------------------------------------------------------


def test_accelerator(line: BeamLine):
    accelerator = line.facts.accelerator
    assert 4.0 <= accelerator.cycle_period_s <= 5.0
    assert accelerator.spill_length_s == 1.5
    assert accelerator.intensity_levels == (1.0, 0.5, 0.2, 0.1)
    intensities = {beam.name: beam.full_intensity_per_s for beam in line.facts.ions}
    assert intensities == {"proton": 3.0e9, "carbon": 6.0e7}


def test_chopper_acts_within_a_few_hundred_microseconds(line: BeamLine):
    chopper = line.facts.chopper
    assert chopper.off_delay_us + chopper.off_ramp_us <= 300.0


# --- interlocks: DDS Tables 4 and 5 ---------------------------------------------------------------


def test_fast_interlocks(line: BeamLine):
    fast = line.facts.fast_interlocks
    assert fast.int_difference_counts == 100
    assert fast.int_ratio == 0.10
    assert fast.position_mm == 2.0
    largest = {beam.name: beam.largest_intensity_per_s for beam in line.facts.ions}
    assert largest == {"proton": 3.0e10, "carbon": 5.0e8}


def test_slow_interlocks(line: BeamLine):
    slow = line.facts.slow_interlocks
    assert slow.temperature_C == (16.0, 26.0)
    assert slow.pressure_Pa == (9.0e4, 11.0e4)
    assert slow.high_voltage_V == (395.0, 405.0)
    assert slow.period_s == 1.0


def test_a_healthy_simulation_is_within_tolerance(line: BeamLine):
    slow, gas = line.facts.slow_interlocks, true_line_of(line).simulation.gas
    assert slow.temperature_C[0] < gas.temperature_C < slow.temperature_C[1]
    assert slow.pressure_Pa[0] < gas.pressure_Pa < slow.pressure_Pa[1]
    assert slow.high_voltage_V[0] < gas.high_voltage_V < slow.high_voltage_V[1]
    background_fA = line.facts.fast_interlocks.background_counts_per_s * line.facts.chambers.charge_quantum_fC
    assert true_line_of(line).simulation.chambers.background_fA < min(200.0, background_fA)


# --- spot sizes and nozzle: QA abstract, 3.A.2, 2.A.1, 2.B.1 --------------------------------------

SIZES = [
    ("proton", None, 0, (62.73, 228.57), (22.0, 7.0)),
    ("carbon", "small", 0, (115.23, 398.84), (8.0, 4.0)),
    ("carbon", "small", 2, (115.23, 398.84), (10.0, 5.0)),
    ("carbon", "large", 0, (115.23, 398.84), (11.0, 8.0)),
]


@pytest.mark.parametrize(("ion", "focus", "filters", "energies", "expected"), SIZES)
def test_spot_sizes(
    horizontal: BeamLine,
    ion: str,
    focus: str | None,
    filters: int,
    energies: tuple[float, float],
    expected: tuple[float, float],
):
    sizes = [horizontal.spot_size(ion, energy, focus, filters) for energy in energies]
    assert [size.fwhm_x_mm for size in sizes if size] == pytest.approx(expected)
    assert [size.fwhm_y_mm for size in sizes if size] == pytest.approx(expected)
    middle = horizontal.spot_size(ion, sum(energies) / 2.0, focus, filters)
    assert middle is not None
    assert expected[0] > middle.fwhm_x_mm > expected[1]
    assert 0.5 * middle.fwhm_x_mm <= middle.fwhm_box_x_mm < middle.fwhm_x_mm


@pytest.mark.parametrize(("ion", "focus", "filters", "energies", "expected"), SIZES)
def test_vertical_line_differs_little(
    ion: str, focus: str | None, filters: int, energies: tuple[float, float], expected: tuple[float, float]
):
    """Horizontal and vertical carbon lines differ by less than 0.5 mm [QA 3.A.2]."""
    h, v = (load_beamline(name) for name in LINES)
    for energy in np.linspace(*energies, 20):
        one, other = h.spot_size(ion, energy, focus, filters), v.spot_size(ion, energy, focus, filters)
        assert one is not None
        assert other is not None
        assert abs(one.fwhm_x_mm - other.fwhm_x_mm) < 0.5
        assert (one.fwhm_x_mm == other.fwhm_x_mm) == (ion == "proton")


def test_default_optics(line: BeamLine):
    assert line.foci("carbon")[0] == "small"
    first = line.facts.ions[1].optics[0]
    assert (first.focus, first.range_modulators) == ("small", 0)


def test_range_shifters_are_rw3(line: BeamLine):
    for name, wet_mm in line.facts.passive_elements.range_shifters.items():
        thickness_mm = float(name.removeprefix("RW3-").removesuffix("mm"))
        assert wet_mm == pytest.approx(1.048 * thickness_mm)


def test_at_most_two_ripple_filters(line: BeamLine):
    assert len(line.facts.passive_elements.range_modulators) == 2
    assert all(wet_mm < 2.0 for wet_mm in line.facts.passive_elements.range_modulators.values())


def test_angles():
    assert load_beamline("cnao-h").facts.geometry.gantry_angles_deg == (90.0,)
    assert load_beamline("cnao-v").facts.geometry.gantry_angles_deg == (0.0,)


# --- how the figures are documented ----------------------------------------------------------------


@pytest.mark.parametrize("name", [*LINES, "cnao-research"])
def test_every_figure_names_its_source(name: str):
    """Each key of a figure has a comment that starts with, or contains, the code of a source."""
    path = SHIPPED / name / "beamline.toml"
    text = path.read_text(encoding="utf-8")
    codes = tuple(f"[{code}" for code in load_beamline(name).facts.sources)
    told = ("schema", "name", "title", "version", "energies", "energy_selection", "optics", "library")
    in_sources = False
    for number, row in enumerate(text.splitlines(), start=1):
        if row.startswith("["):
            in_sources = row.startswith("[sources]")
        key, equals, rest = row.partition(" = ")
        if not equals or in_sources or row.startswith("#") or key.strip() in told:
            continue
        comment = rest.partition("#")[2]
        said = any(code in comment for code in codes) or comment.strip().startswith(
            ("likewise", "above 150 V")
        )
        assert said, f"{path.name}:{number}: {row}"


def test_a_copy_is_the_same_line(tmp_path: Path):
    assert load_beamline(copy_line("cnao-h", tmp_path)).sha256 == load_beamline("cnao-h").sha256
