"""Hounsfield units to stopping power: curves, their range, overrides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spotline.dicom.ct import read_ct
from spotline.dose.calibration import Override, nominal_calibration, read_calibration, stopping_power
from spotline.dose.ct import CtImage
from spotline.dose.grid import Grid
from spotline.dose.masks import Mask
from spotline.errors import DoseError
from tools import make_nominal_calibration as generator

GRID = Grid((0.0, 0.0, 0.0), (1.0, 2.0, 3.0), (1, 2, 3))
CT = CtImage(GRID, [[[-1500.0, -1000.0, 0.0], [500.0, 1200.0, 3000.0]]], "1.2.3.5")

CURVE = """
name = "of a test"
valid_from_HU = -1000.0
valid_to_HU = 1200.0
below = "clamp"
above = "clamp"
points = [[-1000.0, 0.0], [0.0, 1.0], [2000.0, 2.0]]
"""


def written(folder: Path, content: str, name: str = "curve.toml") -> Path:
    path = folder / name
    path.write_text(content)
    return path


def test_between_points_it_is_straight_and_beyond_its_range_it_holds(tmp_path: Path):
    curve = read_calibration(written(tmp_path, CURVE))
    found = stopping_power(CT, curve)
    np.testing.assert_allclose(found.rsp[0], [[0.0, 0.0, 1.0], [1.25, 1.6, 1.6]], rtol=1e-6)
    assert found.frame_of_reference_uid == "1.2.3.5"
    assert found.notes == (
        (
            "1 voxels (0.01 cm3) are below -1000 HU (to -1500 HU), where the calibration of a test is not "
            "valid: they have its value there, 0"
        ),
        (
            "1 voxels (0.01 cm3) are above 1200 HU (to 3000 HU), where the calibration of a test is not "
            "valid: they have its value there, 1.6"
        ),
    )


def test_beyond_its_range_it_may_refuse(tmp_path: Path):
    curve = read_calibration(written(tmp_path, CURVE.replace('above = "clamp"', 'above = "error"')))
    with pytest.raises(DoseError, match=r"1 voxels .* above 1200 HU \(to 3000 HU\).* at \(2, 2, 0\) mm"):
        stopping_power(CT, curve)


def test_overrides_come_on_top(tmp_path: Path):
    curve = read_calibration(written(tmp_path, CURVE.replace('above = "clamp"', 'above = "error"')))
    titanium = Mask("implant", GRID, np.array([[[0, 0, 0.5], [0, 0, 1]]], dtype=np.float32), 0.009)
    found = stopping_power(CT, curve, [Override(titanium, 3.13)])
    np.testing.assert_allclose(found.rsp[0], [[0.0, 0.0, 2.065], [1.25, 1.6, 3.13]], rtol=1e-6)
    assert "stopping power of implant (0.0 cm3) set to 3.13" in found.notes
    second = Mask("air", GRID, np.ones(GRID.shape, dtype=np.float32), 0.036)
    np.testing.assert_array_equal(
        stopping_power(CT, curve, [Override(titanium, 3.13), Override(second, 0)]).rsp, 0
    )


@pytest.mark.parametrize(("rsp", "words"), [(-0.1, "-0.1 relative"), (30.0, "30 relative"), (np.nan, "nan")])
def test_overrides_that_cannot_be(rsp: float, words: str):
    mask = Mask("implant", GRID, np.ones(GRID.shape, dtype=np.float32), 0.036)
    with pytest.raises(DoseError, match=words):
        stopping_power(CT, nominal_calibration(), [Override(mask, rsp)])
    other = Grid((1.0, 0.0, 0.0), (1.0, 2.0, 3.0), (1, 2, 3))
    with pytest.raises(DoseError, match="not on the grid of the CT"):
        stopping_power(CT, nominal_calibration(), [Override(Mask("x", other, mask.share, 0.036), 1.0)])


def test_a_table(tmp_path: Path):
    curve = read_calibration(written(tmp_path, "# CIRS\nHU,rsp\n-1000,0.001\n0,1\n1200,1.7\n", "cirs.csv"))
    assert (curve.name, curve.valid_HU, curve.above) == ("cirs", (-1000.0, 1200.0), "error")
    assert float(curve.at(600.0)) == pytest.approx(1.35)
    # As a spreadsheet writes it.
    marked = read_calibration(written(tmp_path, "\ufeffHU,rsp\r\n-1000,0.001\r\n0,1\r\n", "marked.csv"))
    assert marked.rsp.tolist() == [0.001, 1.0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("c.toml", CURVE.replace("points", "point"), "is no calibration"),
        ("c.toml", CURVE.replace('"clamp"', '"hold"', 1), "is no calibration"),
        ("c.toml", CURVE.replace("[0.0, 1.0], ", "[-1000.0, 1.0], "), "does not rise"),
        ("c.toml", CURVE.replace("[2000.0, 2.0]", "[2000.0, -2.0]"), "rsp goes from -2"),
        ("c.toml", CURVE.replace("1200.0", "2200.0"), "valid from -1000 to 2200"),
        ("c.toml", CURVE.replace("1200.0", "-1200.0"), "valid from -1000 to -1200"),
        ("c.toml", CURVE.replace("[0.0, 1.0], [2000.0, 2.0]", ""), "points has 1 rows"),
        ("c.toml", CURVE.replace("[0.0, 1.0]", "[nan, 1.0]"), "finite"),
        ("c.toml", "points = [", "is no calibration"),
        ("c.csv", "hu;rsp\n0,1\n", "first line is not HU,rsp"),
        ("c.csv", "HU,rsp\n0,1\n10,abc\n", "row 2 is 10,abc"),
        ("c.csv", "HU,rsp\n0,1\n10\n", "row 2 is 10"),
        ("c.csv", "HU,rsp\n", "points has 0 rows"),
    ],
)
def test_broken_curves(name: str, content: str, words: str, tmp_path: Path):
    with pytest.raises(DoseError, match=words) as caught:
        read_calibration(written(tmp_path, content, name))
    assert name in str(caught.value)


def test_no_file(tmp_path: Path):
    with pytest.raises(DoseError, match="cannot be read"):
        read_calibration(tmp_path / "none.toml")


@pytest.mark.stored
def test_nominal_curve_is_what_its_tool_makes():
    assert generator.PATH.read_text(encoding="utf-8") == generator.text(), (
        "run tools/make_nominal_calibration.py"
    )


@pytest.mark.stored
def test_nominal_curve():
    """Water is 1 at 0 HU; published: cortical bone 1524 HU in a scanner with these parameters."""
    curve = nominal_calibration()
    assert float(curve.at(0.0)) == 1.0
    assert curve.hu[-1] == pytest.approx(1524.0, abs=0.5)
    assert np.all(np.diff(curve.rsp) >= 0.0)
    assert "no real scanner" in curve.name


def test_head_phantom(shared_plans: Path):
    """Nothing of the phantom is beyond the curve without a note, and water-like tissue is near 1."""
    ct = read_ct(shared_plans / "headphantom")
    found = stopping_power(ct, nominal_calibration())
    beyond = int(np.count_nonzero(ct.hu > nominal_calibration().valid_HU[1]))
    assert beyond == 0 or any(note.startswith(f"{beyond} voxels") for note in found.notes)
    assert np.median(found.rsp[np.abs(ct.hu) < 10.0]) == pytest.approx(1.0, abs=0.01)
