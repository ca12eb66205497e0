"""What a beam line answers of energies, ranges, spot sizes and gains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spotline.machine import BeamLine, load_beamline
from tests.lines.edit import edit


@pytest.fixture(scope="module")
def cnao() -> BeamLine:
    """The shipped horizontal line."""
    return load_beamline("cnao-h")


def test_match_listed_energy(cnao: BeamLine):
    assert cnao.match_energy("carbon", 150.71) == 150.71
    assert cnao.match_energy("carbon", 150.86) == 150.71, "a border value is inside"
    assert cnao.match_energy("carbon", 150.87) is None
    assert cnao.match_energy("carbon", 398.90) == 398.84
    assert cnao.match_energy("carbon", float("nan")) is None
    assert cnao.match_energy("helium", 150.0) is None


def test_match_continuous_energy(toml: Path):
    text = toml.read_text(encoding="utf-8")
    toml.write_text(
        text.replace('energy_selection = "listed"', 'energy_selection = "continuous"'), encoding="utf-8"
    )
    line = load_beamline(toml)
    assert line.match_energy("carbon", 200.123) == 200.123
    assert line.match_energy("carbon", 115.1) == 115.23
    assert line.match_energy("carbon", 398.95) == 398.84
    assert line.match_energy("carbon", 115.0) is None
    assert line.match_energy("carbon", 400.0) is None


def test_interpolated_columns_go_through_the_rows(cnao: BeamLine):
    table = cnao.energies["carbon"]
    np.testing.assert_allclose(cnao.range_mm("carbon", table.energy_MeV_u), table.range_mm)
    np.testing.assert_allclose(
        cnao.particles_per_count("carbon", table.energy_MeV_u), table.particles_per_count
    )
    assert np.isnan(cnao.range_mm("carbon", 500.0))
    assert cnao.particles_per_MU("carbon", 200.0) is None


def test_spot_sizes_by_focus(cnao: BeamLine):
    assert cnao.foci("carbon") == ("small", "large")
    assert cnao.foci("helium") == ()
    default, small = cnao.spot_size("carbon", 200.0), cnao.spot_size("carbon", 200.0, "small")
    assert default == small
    large = cnao.spot_size("carbon", 200.0, "large")
    assert default is not None
    assert large is not None
    assert large.fwhm_x_mm > default.fwhm_x_mm > default.fwhm_box_x_mm
    assert cnao.spot_size("carbon", 200.0, "tiny") is None
    assert cnao.spot_size("carbon", 200.0, range_modulators=1) is None
    assert cnao.spot_size("helium", 200.0) is None


def test_uniform_chamber_without_gain_map(toml: Path):
    edit(toml, ('int1_gain_map = "int1_gain.csv"', ""))
    line = load_beamline(toml)
    assert line.int1_gain_map is None
    np.testing.assert_array_equal(line.int1_gain([0.0, 50.0], [0.0, 50.0]), 1.0)
