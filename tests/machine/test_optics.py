"""The beam from the vacuum window to the patient: published spots come out, and physics holds elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotline.errors import BeamLineError, OptionError
from spotline.machine import BeamLine, load_beamline
from spotline.machine.optics import beam_at, nozzle_layers, spot_sigma_mm, window_phase_space
from spotline.physics.fermi_eyges import propagate
from spotline.physics.ions import PROTON
from spotline.physics.materials import AIR, RW3, WATER
from spotline.physics.scattering import highland_angle_mrad
from spotline.physics.stopping import RangeEnergy
from spotline.units import FWHM_PER_SIGMA
from tests.lines.edit import edit

CNAO = load_beamline("cnao-h")
SETTINGS = [
    ("proton", "standard", ()),
    ("carbon", "small", ()),
    ("carbon", "small", ("RIFI1", "RIFI2")),
    ("carbon", "large", ()),
]


@pytest.mark.parametrize("name", ["cnao-h", "cnao-v", "cnao-research"])
@pytest.mark.parametrize(("ion", "focus", "modulators"), SETTINGS)
def test_spots_at_the_isocentre_are_the_tabulated_ones(
    name: str, ion: str, focus: str, modulators: tuple[str, ...]
):
    line = load_beamline(name)
    energies = line.energies[ion].energy_MeV_u[::20]
    found = spot_sigma_mm(line, ion, energies, focus=focus, passive_elements=modulators)
    for k, energy in enumerate(energies):
        size = line.spot_size(ion, float(energy), focus, len(modulators))
        assert size is not None
        assert found[0][k] * FWHM_PER_SIGMA == pytest.approx(size.fwhm_x_mm, rel=1e-9)
        assert found[1][k] * FWHM_PER_SIGMA == pytest.approx(size.fwhm_y_mm, rel=1e-9)


# Mirandola et al. (2015), abstract and 3.A.2: full width at half maximum from lowest to highest energy.
@pytest.mark.parametrize(
    ("setting", "published_mm"), list(zip(SETTINGS, [(22, 7), (8, 4), (10, 5), (11, 8)], strict=True))
)
def test_published_spot_sizes(setting: tuple[str, str, tuple[str, ...]], published_mm: tuple[float, float]):
    ion, focus, modulators = setting
    ends = CNAO.energies[ion].energy_MeV_u[[0, -1]]
    sigma, _ = spot_sigma_mm(CNAO, ion, ends, focus=focus, passive_elements=modulators)
    np.testing.assert_allclose(sigma * FWHM_PER_SIGMA, published_mm, rtol=1e-6)


def test_emittance_at_the_window():
    """That of the line over beta gamma, which is 0.3707 for protons of 62.73 MeV."""
    start = window_phase_space(CNAO, "proton", 62.73, "x")
    assert CNAO.facts.nozzle is not None
    emittance = CNAO.facts.nozzle.emittance_mm_mrad["proton"] / 0.3717
    assert float(start.emittance_mm_mrad) == pytest.approx(emittance, rel=0.002)
    at_isocentre = start.drift(CNAO.facts.nozzle.window_to_isocentre_mm)
    assert at_isocentre.covariance_mm_mrad == pytest.approx(0.0, abs=1e-9), "a waist"


@given(setting=st.sampled_from(SETTINGS), at_mm=st.floats(-1000.0, 1112.0), share=st.floats(0.0, 1.0))
def test_going_on_by_hand_from_any_plane(
    setting: tuple[str, str, tuple[str, ...]], at_mm: float, share: float
):
    """The stack cut at a plane, and its rest, make up the whole."""
    ion, focus, modulators = setting
    energies = CNAO.energies[ion].energy_MeV_u
    energy = float(energies[0] + share * (energies[-1] - energies[0]))
    beam, end_mm = CNAO.beam(ion), -1000.0
    assert beam is not None
    half = beam_at(CNAO, ion, energy, "x", focus=focus, passive_elements=modulators, to_isocentre_mm=at_mm)
    whole = beam_at(CNAO, ion, energy, "x", focus=focus, passive_elements=modulators, to_isocentre_mm=end_mm)
    cut, full = (nozzle_layers(CNAO, modulators, plane) for plane in (at_mm, end_mm))
    assert sum(layer.thickness_mm for layer in full) == pytest.approx(1113.0 + 1000.0)
    rest = list(full[len(cut) - 1 :]) if cut else list(full)
    if cut:
        rest[0] = rest[0]._replace(thickness_mm=rest[0].thickness_mm - cut[-1].thickness_mm)
    joined = propagate(half.phase_space, beam.ion, half.energy_MeV_u, rest, initial_energy_MeV_u=energy)
    assert joined.phase_space.sigma_mm == pytest.approx(whole.phase_space.sigma_mm, rel=2e-4)
    assert joined.energy_MeV_u == pytest.approx(whole.energy_MeV_u, rel=1e-5)


@pytest.mark.parametrize(("ion", "focus", "modulators"), SETTINGS)
def test_spots_grow_behind_the_isocentre(ion: str, focus: str, modulators: tuple[str, ...]):
    """What was scattered upstream goes on straight, and the vacuum beam leaves its waist."""
    energies = CNAO.energies[ion].energy_MeV_u[::30]
    sizes = [
        spot_sigma_mm(CNAO, ion, energies, focus=focus, passive_elements=modulators, to_isocentre_mm=plane)[0]
        for plane in (0.0, -100.0, -500.0)
    ]
    assert np.all(sizes[0] < sizes[1])
    assert np.all(sizes[1] < sizes[2])


@pytest.mark.parametrize("name", ["cnao-h", "cnao-v", "cnao-research"])
def test_layers_stop_as_much_as_the_nozzle_is_said_to(name: str):
    """``nozzle_mm`` of the ions is fitted to the depths of the peaks; the layers are to explain it."""
    line = load_beamline(name)
    for beam in line.facts.ions:
        energy = float(line.energies[beam.name].energy_MeV_u[-1])
        behind = float(beam_at(line, beam.name, energy, "x").energy_MeV_u)
        range_mm = RangeEnergy(beam.ion, WATER, 78.0).range_mm([energy, behind])
        assert float(range_mm[0] - range_mm[1]) == pytest.approx(beam.nozzle_mm, abs=0.3)


def test_layers_of_the_shipped_nozzle():
    layers = nozzle_layers(CNAO, ("RIFI2", "RIFI1"))
    assert [layer.material.name for layer in layers if layer.material is not None] == [
        *("water", "air", "water", "air", "water", "air", "water", "air")
    ]
    water_mm = sum(
        layer.thickness_mm * layer.material.density_g_cm3
        for layer in layers
        if layer.material is not None and layer.material.name == "water"
    )
    assert water_mm == pytest.approx(1.4 + 0.9 + 1.0 + 1.0)
    assert sum(layer.thickness_mm for layer in layers) == pytest.approx(1113.0)
    assert layers[1].material is AIR


def test_range_shifters_stand_behind_each_other():
    layers = nozzle_layers(CNAO, ("RW3-10mm", "RW3-30mm"))
    slabs = [layer.thickness_mm for layer in layers if layer.material is RW3]
    assert slabs == pytest.approx([10.0, 30.0])
    assert layers[-1].thickness_mm == pytest.approx(600.0 - 40.0)


def test_an_element_of_unknown_substance_is_as_much_water():
    """Then it scatters a tenth more: the moments of Fermi and Eyges grow with the scattering power."""
    unknown = CNAO.changed({"passive_elements.made_of": None}, source="test")
    slabs = [one.thickness_mm for one in nozzle_layers(unknown, ("RW3-20mm",)) if one.material is WATER]
    assert slabs == pytest.approx([1.4, 20.96])
    known_mm, unknown_mm = (
        float(beam_at(line, "proton", 110.0, "x", passive_elements=["RW3-20mm"]).phase_space.sigma_mm)
        for line in (CNAO, unknown)
    )
    plain_mm = float(beam_at(CNAO, "proton", 110.0, "x").phase_space.sigma_mm)
    added = (known_mm**2 - plain_mm**2) / (unknown_mm**2 - plain_mm**2)
    assert added == pytest.approx(0.81, abs=0.02)


def test_plane_within_the_chambers():
    """The air between window and boxes, and 85 of 200 mm of the boxes."""
    layers = nozzle_layers(CNAO, (), 815.0)
    assert layers[-1].thickness_mm == pytest.approx(85.0)
    assert layers[-1].material is not None
    assert layers[-1].material.density_g_cm3 == pytest.approx(0.9 / 200.0)


def test_range_shifter_widens_spots_and_takes_energy():
    """As if all were scattered in the middle of the slab, by Highland's angle of the energy there."""
    plain = beam_at(CNAO, "proton", 110.0, "x")
    shifted = beam_at(CNAO, "proton", 110.0, "x", passive_elements=["RW3-30mm"])
    added = np.sqrt(np.square(shifted.phase_space.sigma_mm) - np.square(plain.phase_space.sigma_mm))
    middle = 0.5 * float(plain.energy_MeV_u + shifted.energy_MeV_u)
    angle = highland_angle_mrad(PROTON, middle, RW3, 30.0)
    assert float(added) == pytest.approx(angle * (0.6 - 0.015), rel=0.05)
    range_mm = RangeEnergy(PROTON, WATER, 78.0).range_mm([plain.energy_MeV_u, shifted.energy_MeV_u])
    # 1.022 mm of water per mm of RW3 by its data sheet, less what the air has in place of the slab.
    assert float(range_mm[0] - range_mm[1]) == pytest.approx(30.0 * 1.022, abs=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ion_name": "neon"}, "there is no ion 'neon'; there are proton, carbon"),
        ({"focus": "medium"}, "no spot sizes of carbon with focus 'medium' and 0 range modulators"),
        ({"passive_elements": ["RIFI1"]}, "no spot sizes of carbon with focus 'small' and 1 range"),
        ({"passive_elements": ["wedge"]}, "there is no passive element 'wedge'"),
        ({"energy_MeV_u": 60.0}, "that hold from 115.23 to 398.84 MeV/u"),
        ({"to_isocentre_mm": 1500.0}, "is in the vacuum; choose one below 1113 mm"),
        ({"passive_elements": ["RW3-30mm", "RW3-10mm"], "energy_MeV_u": 116.0}, "stops in"),
    ],
)
def test_refusals(options: dict[str, object], message: str):
    asked = {"ion_name": "carbon", "energy_MeV_u": 200.0, "plane": "x", **options}
    with pytest.raises(OptionError, match=message):
        beam_at(CNAO, **asked)  # type: ignore[arg-type]


def test_unknown_modulator():
    with pytest.raises(OptionError, match="there is no range modulator 'RIFI3'; there are RIFI1, RIFI2"):
        window_phase_space(CNAO, "carbon", 200.0, "x", range_modulators=["RIFI3"])


def without_nozzle(toml: Path) -> BeamLine:
    text = toml.read_text(encoding="utf-8")
    begin, end = text.index("# What scatters the beam"), text.index("[control]")
    toml.write_text(text[:begin] + text[end:], encoding="utf-8")
    return load_beamline(toml)


def test_line_without_nozzle_loads_and_says_what_it_lacks(toml: Path):
    with pytest.raises(BeamLineError, match="nozzle: is missing"):
        spot_sigma_mm(without_nozzle(toml), "proton", 100.0)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("RIFI1 = 680.0", "passive_elements_mm: 'RIFI1' is missing; add its distance"),
        ("carbon = 0.75", "emittance_mm_mrad: 'carbon' is missing; add the emittance"),
    ],
)
def test_what_a_nozzle_lacks_is_missed_when_it_is_needed(toml: Path, line: str, message: str):
    edit(toml, (line, "# "))
    cut = load_beamline(toml)
    spot_sigma_mm(cut, "proton", 100.0)
    with pytest.raises(BeamLineError, match=message):
        spot_sigma_mm(cut, "carbon", 200.0, passive_elements=["RIFI1", "RIFI2"])


def test_spots_smaller_than_scattering_are_refused(toml: Path):
    edit(toml, ("thickness_mm = 1.4 ", "thickness_mm = 6.0 "))
    message = r"scatters proton of 62\.73 MeV/u to \d+\.\d\d mm .* to have 22\.00 mm"
    with pytest.raises(BeamLineError, match=message):
        spot_sigma_mm(load_beamline(toml), "proton", [62.73, 200.0])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("RIFI1 = 680.0", "RIFI9 = 680.0", "passive_elements_mm.RIFI9: is no passive element"),
        ("carbon = 0.75 ", "carbom = 0.75 ", "emittance_mm_mrad.carbom: is not an ion that Spotline knows"),
        ("RIFI2 = 980.0", "RIFI2 = 1980.0", "RIFI2: 1980 mm is in the vacuum"),
        ("upstream_mm = 900.0", "upstream_mm = 1200.0", r"layers\[1\].upstream_mm: 1200 mm is in the vacuum"),
        (
            'material = "water"                      # [DDS',
            'material = "watre"  # [DDS',
            "did you mean 'water'",
        ),
        ("upstream_mm = 900.0", "upstream_mm = 1112.5", "'vacuum window' reaches to 1111.6 mm"),
        ("thickness_mm = 0.9 ", "thickness_mm = 0.0 ", "expected float > 0.0"),
    ],
)
def test_faults_in_the_nozzle(toml: Path, old: str, new: str, message: str):
    edit(toml, (old, new))
    with pytest.raises(BeamLineError, match=message) as caught:
        load_beamline(toml)
    assert "nozzle." in str(caught.value)
