"""Dose cubes of TRiP98."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from spotline.dose.trip98 import read_trip98_dose
from spotline.errors import DoseError

HEADER = """version 1.2
modality CT
data_type integer
num_bytes 2
byte_order {order}
slice_dimension 3
pixel_size 0.5
slice_distance 3
dimx 3
dimy 4
dimz 5
xoffset 0
yoffset 2
"""
CUBE = np.zeros((5, 4, 3), dtype=int)
CUBE[1:3, 2:4, 1:3] = np.arange(1, 9).reshape(2, 2, 2) * 125


@pytest.fixture(params=["vms", "aix"])
def header(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "cube.hed"
    path.write_text(HEADER.format(order=request.param))
    content = CUBE.astype("<i2" if request.param == "vms" else ">i2").tobytes()
    (tmp_path / "cube.dos.gz").write_bytes(gzip.compress(content))
    return path


def test_cube(header: Path):
    dose = read_trip98_dose(header, 2.0, kind="effective", crop=False)
    np.testing.assert_allclose(dose.dose_Gy, CUBE * 0.002, rtol=1e-6)
    assert dose.grid.origin_mm == (0.25, 1.25, 1.5)
    assert dose.grid.spacing_mm == (0.5, 0.5, 3.0)
    assert dose.kind == "effective"


def test_cropped_cube(header: Path):
    dose = read_trip98_dose(header, 2.0)
    np.testing.assert_allclose(dose.dose_Gy, CUBE[1:3, 2:4, 1:3] * 0.002, rtol=1e-6)
    assert dose.grid.origin_mm == (0.75, 2.25, 4.5)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("dimx 3", "dimx 4", "has 120 bytes, but .* need 160"),
        ("dimx 3", "", "has no dimx"),
        ("dimx 3", "dimx three", "cannot be understood"),
        ("integer", "double", "cannot be understood"),
        ("pixel_size 0.5", "pixel_size 0", "spacing_mm"),
    ],
)
def test_broken_header(old: str, new: str, words: str, header: Path):
    header.write_text(header.read_text().replace(old, new))
    with pytest.raises(DoseError, match=words):
        read_trip98_dose(header, 2.0)


def test_broken_cube(header: Path):
    cube = header.with_suffix(".dos.gz")
    cube.write_bytes(cube.read_bytes()[:-12])
    with pytest.raises(DoseError, match=r"cube\.dos\.gz cannot be read"):
        read_trip98_dose(header, 2.0)
    cube.write_bytes(gzip.compress(bytes(120)))
    with pytest.raises(DoseError, match="from 0 to 0, which is no dose"):
        read_trip98_dose(header, 2.0)
    cube.unlink()
    with pytest.raises(DoseError, match="cannot be read"):
        read_trip98_dose(header, 2.0)
    with pytest.raises(DoseError, match="cannot be read"):
        read_trip98_dose(header.with_name("none.hed"), 2.0)
    with pytest.raises(DoseError, match="prescribed dose of 0"):
        read_trip98_dose(header, 0.0)


def test_carbon_cube(shared_plans: Path):
    """A target of 50 mm about (128, 128, 150) mm, drawn from 103 to 153 mm and on slices 42 to 59; 2 Gy."""
    dose = read_trip98_dose(shared_plans / "trip98" / "tst003012.hed", 2.0)
    x, y, z = dose.grid.x_mm, dose.grid.y_mm, dose.grid.z_mm
    inside = dose.dose_Gy[
        np.ix_(np.abs(z - 150.0) < 20.0, np.abs(y - 128.0) < 20.0, np.abs(x - 128.0) < 20.0)
    ]
    assert inside.mean() == pytest.approx(2.0, rel=0.03)
    assert np.std(inside) < 0.02
    # The beam comes from high x.
    assert dose.dose_Gy[:, :, x > 250.0].max() > 5.0 * dose.dose_Gy[:, :, x < 20.0].max()
