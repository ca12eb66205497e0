"""The verb ``spotline gamma``: what it prints and writes, its exit status, and what it refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from spotline.dicom.dose import write_dose
from spotline.dose.grid import DoseGrid, Grid
from spotline.faces import cli

GRID = Grid((-20.0, -20.0, -30.0), (4.0, 4.0, 5.0), (12, 11, 11))
FRAME = "1.2.826.0.1.3680043.8.498.1"


def hill(scale: float = 1.0, grid: Grid = GRID, frame: str = FRAME) -> DoseGrid:
    z, y, x = grid.z_mm[:, None, None], grid.y_mm[:, None], grid.x_mm
    dose_Gy = 2.0 * scale * np.exp(-((x / 20.0) ** 2) - (y / 15.0) ** 2 - (z / 25.0) ** 2)
    return DoseGrid(grid, dose_Gy, frame_of_reference_uid=frame)


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    write_dose(hill(), tmp_path / "reference.dcm")
    return tmp_path / "reference.dcm"


def run(*arguments: str | Path) -> int:
    return cli.run(["gamma", *map(str, arguments)])


def written(folder: Path, dose: DoseGrid, name: str = "evaluated.dcm") -> Path:
    write_dose(dose, folder / name)
    return folder / name


def test_doses_that_agree(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    assert run(reference, written(tmp_path, hill(1.01))) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert re.match(r"passed: 100\.00 % of \d+ points pass 3 %/2 mm global", said.out)
    assert "note" not in said.out


def test_doses_that_differ(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    evaluated = written(tmp_path, hill(1.2))
    assert run(reference, evaluated) == 1
    assert "\nFAILED: " in capsys.readouterr().out
    assert run(reference, evaluated, "--pass-percent", "0") == 0


def test_json(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    evaluated = written(tmp_path, hill(1.08))
    options = "--dose-percent 2 --distance-mm 1 --local --cutoff-percent 20 --normalisation-Gy 1.9 --json"
    assert run(reference, evaluated, *options.split(), "--pass-percent", "99.9") == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["passed"] is False
    assert (printed["reference"], printed["evaluated"]) == ("reference.dcm", "evaluated.dcm")
    (found,) = printed["gamma"]
    assert (found["dose_percent"], found["distance_mm"], found["local"]) == (2.0, 1.0, True)
    assert (found["normalisation_Gy"], found["lower_cutoff_percent"]) == (1.9, 20.0)
    assert found["compared"] == (hill().dose_Gy >= 0.2 * 1.9).sum()
    assert printed["difference"]["highest_Gy"] == pytest.approx(0.16, abs=1e-3)


def test_page(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    page = tmp_path / "page.html"
    assert run(reference, written(tmp_path, hill(1.2)), "--html", page) == 1
    html = page.read_text(encoding="utf-8")
    assert html.count("<svg") == 2
    assert "evaluated.dcm against reference.dcm" in html
    assert "✖" in html
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", html), "needs nothing else"
    capsys.readouterr()
    assert run(reference, reference, "--html", page) == 2
    assert "exists already" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == html


def test_page_of_a_single_plane(tmp_path: Path):
    plane = Grid((-20.0, -20.0, 0.0), (4.0, 4.0, 5.0), (1, 11, 11))
    paths = [written(tmp_path, hill(scale, plane), f"{scale}.dcm") for scale in (1.0, 1.01)]
    assert run(*paths, "--html", tmp_path / "page.html") == 0
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("<svg") == 2


def test_other_frame_and_smaller_grid_are_told(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    small = Grid((-16.0, -16.0, -20.0), (4.0, 4.0, 5.0), (9, 9, 9))
    evaluated = written(tmp_path, hill(grid=small, frame=FRAME + ".9"))
    assert run(reference, evaluated, "--compared-percent", "50") == 0
    said = capsys.readouterr().out
    assert "note: the files name different frames of reference" in said
    assert re.search(r"note: \d+ reference points above the cut-off lie outside", said)


def test_points_that_are_not_compared_are_no_points_that_pass(
    reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    """The very same dose, but on a grid without most of the points with dose."""
    small = Grid((-8.0, -8.0, -10.0), (4.0, 4.0, 5.0), (5, 5, 5))
    evaluated = written(tmp_path, hill(grid=small))
    high = hill().dose_Gy >= 0.1 * hill().dose_Gy.max()
    share = 100.0 * 125 / high.sum()
    assert share < 50.0
    assert run(reference, evaluated, "--html", tmp_path / "page.html") == 1
    said = capsys.readouterr().out
    assert said.startswith("FAILED: 100.00 % of 125 points pass 3 %/2 mm global")
    assert f"{share:.2f} % of {high.sum()} points are compared (at least 95 % asked for)" in said
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "✖" in page
    assert f"{share:.2f} % of {high.sum()} points are compared" in page
    assert run(reference, evaluated, "--json") == 1
    printed = json.loads(capsys.readouterr().out)
    assert (printed["passed"], printed["required_compared_percent"]) == (False, 95.0)
    assert printed["gamma"][0]["compared_percent"] == pytest.approx(share)
    for least, status in ((share - 0.01, 0), (share + 0.01, 1)):
        assert run(reference, evaluated, "--compared-percent", f"{least}") == status
    assert capsys.readouterr().out.splitlines()[0].startswith("passed: ")


def test_other_maxima_are_said_first(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    """A dose of two fractions against one; a tenth more is not told yet."""
    assert run(reference, written(tmp_path, hill(2.0))) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("note: the largest doses are not alike: 4 Gy against 2 Gy")
    assert said[1].startswith("FAILED: ")
    assert sum("not alike" in line for line in said) == 1
    for scale, is_told in ((1.09, False), (1.11, True), (0.91, False), (0.89, True)):
        (tmp_path / "evaluated.dcm").unlink()
        run(reference, written(tmp_path, hill(scale)))
        assert ("not alike" in capsys.readouterr().out) is is_told, scale


def test_where_the_largest_difference_is(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    changed = np.array(hill().dose_Gy)
    changed[5, 4, 7] -= 0.3  # z = -5, y = -4, x = 8
    run(reference, written(tmp_path, DoseGrid(GRID, changed, frame_of_reference_uid=FRAME)))
    said = capsys.readouterr().out
    assert "largest at x, y, z = 8, -4, -5 mm" in said
    points = (hill().dose_Gy >= 0.2).sum()
    assert f"(of the {points} points compared, with at least 10 % of 2 Gy)" in said


def test_bad_input(reference: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    far = Grid((500.0, 0.0, 0.0), (4.0, 4.0, 5.0), GRID.shape)
    moved = written(tmp_path, DoseGrid(far, hill().dose_Gy))
    (tmp_path / "text.dcm").write_text("no dose", encoding="utf-8")
    for arguments, message in (
        ((reference, tmp_path / "missing.dcm"), "missing.dcm"),
        ((reference, tmp_path / "text.dcm"), "text.dcm"),
        ((reference, moved), "does not overlap"),
        ((reference, reference, "--dose-percent", "0"), "dose_percent is 0"),
        ((reference, reference, "--distance-mm", "-2"), "distance_mm is -2"),
        ((reference, reference, "--pass-percent", "120"), "--pass-percent: 120"),
        ((reference, reference, "--compared-percent", "-1"), "--compared-percent: -1"),
        ((reference, reference, "--cutoff-percent", "150"), "above the cut-off"),
    ):
        assert run(*arguments) == 2
        said = capsys.readouterr()
        assert message in said.err
        assert len(said.err.splitlines()) == 1
        assert said.out == ""
