"""The beam lines that other tests use say what they are meant to say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spotline.machine import load_beamline
from tests.lines.dcpt import PLANE_TO_ISOCENTRE_mm, fwhm_mm, read_beam_model, write_dcpt_line
from tests.lines.trip import write_trip_line
from tests.places import SHARED

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the reference data are not beside the repository"
)


@needs_shared
def test_dcpt(tmp_path: Path) -> None:
    line = load_beamline(write_dcpt_line(tmp_path / "dcpt", SHARED))
    assert line.ion_names == ("proton",)
    assert line.match_energy("proton", 83.419) == 83.419
    assert line.facts.geometry.gantry_range_deg == (0.0, 360.0)
    assert line.facts.passive_elements.range_shifters == {"RS_5CM": 57.0}
    assert line.foci("proton") == ("4.0",)
    per_MU = line.particles_per_MU("proton", [70.0, 244.0])
    assert per_MU is not None
    np.testing.assert_array_equal(per_MU, [2106924.0, 4749489.0])


@needs_shared
def test_dcpt_between_the_rows_that_were_taken(tmp_path: Path) -> None:
    """Every tenth row of the published table is enough for the others."""
    line = load_beamline(write_dcpt_line(tmp_path / "dcpt", SHARED))
    model = read_beam_model(SHARED)
    per_MU = line.particles_per_MU("proton", model[:, 0])
    assert per_MU is not None
    np.testing.assert_allclose(per_MU, model[:, 3], rtol=3e-4)
    published = fwhm_mm(model[:, 4], model[:, 6], model[:, 8], PLANE_TO_ISOCENTRE_mm)
    sizes = [line.spot_size("proton", float(energy)) for energy in model[:, 0]]
    np.testing.assert_allclose([size.fwhm_x_mm for size in sizes if size], published, atol=0.02)


@needs_shared
def test_dcpt_spots_are_those_that_eclipse_planned_with(tmp_path: Path) -> None:
    """The plans give 9.92 x 9.26 mm at 149.4 MeV and 13.04 x 12.69 mm at 83.4 MeV."""
    line = load_beamline(write_dcpt_line(tmp_path / "dcpt", SHARED))
    for energy, planned in ((149.419, (9.92, 9.26)), (83.419, (13.04, 12.69))):
        size = line.spot_size("proton", energy)
        assert size is not None
        assert (size.fwhm_x_mm, size.fwhm_y_mm) == pytest.approx(planned, abs=0.2)


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
