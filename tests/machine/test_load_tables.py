"""The CSV tables of a beam line: each fault of them is named, with the place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from spotline.machine import load_beamline
from tests.machine.refused import refusal_of

Change = Callable[[str], str]

CSV_FAULTS: list[tuple[str, Change, str]] = [
    (
        "carbon_energies.csv",
        lambda t: t.replace("range_mm,", "depth_mm,"),
        "column 'depth_mm' is not known; known are",
    ),
    ("carbon_energies.csv", lambda t: t.replace("range_mm,", "rang_mm,"), "did you mean 'range_mm'?"),
    (
        "carbon_energies.csv",
        lambda t: t.replace("range_mm,", "energy_MeV_u,"),
        "column 'energy_MeV_u' stands there twice",
    ),
    (
        "carbon_energies.csv",
        lambda t: t.replace("150.71,50,", "150.71,fifty,"),
        "line 19, column range_mm: 'fifty' is not",
    ),
    (
        "carbon_energies.csv",
        lambda t: t.replace("150.71,50,", "150.71,nan,"),
        "line 19, column range_mm: 'nan' is not",
    ),
    (
        "carbon_energies.csv",
        lambda t: t.replace("150.71,50,", "150.71,,"),
        "line 19, column range_mm: '' is not a finite",
    ),
    (
        "carbon_energies.csv",
        lambda t: t.replace("150.71,50,", "150.71,"),
        "line 19: has 2 cells, the header 3",
    ),
    (
        "carbon_energies.csv",
        lambda t: t.replace("150.71,", "140.00,"),
        "line 19, column energy_MeV_u: 140 does not lie above",
    ),
    (
        "carbon_energies.csv",
        lambda t: t.replace("150.71,50,", "150.71,48,"),
        "line 19, column range_mm: 48 does not lie above",
    ),
    (
        "carbon_energies.csv",
        lambda t: t.replace("150.71,50,", "150.71,-50,"),
        "line 19, column range_mm: -50 is not above 0",
    ),
    ("carbon_energies.csv", lambda _: "# nothing\n", "has no rows"),
    ("carbon_energies.csv", lambda _: "energy_MeV_u,range_mm,particles_per_count\n", "has no rows"),
    (
        "carbon_energies.csv",
        lambda _: "energy_MeV_u,range_mm\n1,2\n",
        "column 'particles_per_count' is missing; the table needs",
    ),
    (
        "carbon_energies.csv",
        lambda t: t + "420,300,900\n",
        "covers 115.23..398.84 MeV/u, but the ion has 115.23..420",
    ),
    (
        "carbon_optics_small_0.csv",
        lambda t: "\n".join(t.splitlines()[:-1]),
        "carbon_optics_small_0.csv: covers 115.23..",
    ),
    (
        "carbon_optics_small_0.csv",
        lambda t: t.replace(",fwhm_box_x_mm,", ",fwhm_bax_x_mm,"),
        "did you mean 'fwhm_box_x_mm'?",
    ),
    (
        "carbon_optics_small_0.csv",
        lambda t: t.replace("8.000,8.000", "8.000,0.000"),
        "column fwhm_y_mm: 0 is not above 0",
    ),
    (
        "int1_gain.csv",
        lambda t: t.replace("\n0,0,1.00000", ""),
        "not rectangular, x_iso_mm 0 y_iso_mm 0 is missing",
    ),
    ("int1_gain.csv", lambda t: t + "0,0,1.0\n", "x_iso_mm: 0 with y_iso_mm 0 stands there twice; keep one"),
    ("int1_gain.csv", lambda t: t.replace("\n0,0,1.00000", "\n0,0,0.0"), "column gain: 0 is not above 0"),
    (
        "int1_gain.csv",
        lambda _: "x_iso_mm,y_iso_mm,gain\n0,0,1\n0,1,1\n",
        "the grid has 1 x 2 points; it needs two",
    ),
    (
        "int1_gain.csv",
        lambda t: t.replace("104,", "99,"),
        "calibration.int1_gain_map: the map reaches from -99 to 99 mm in x",
    ),
]


@pytest.mark.parametrize(
    ("name", "change", "message"), CSV_FAULTS, ids=[fault[2][:60] for fault in CSV_FAULTS]
)
def test_fault_in_table(toml: Path, name: str, change: Change, message: str):
    path = toml.parent / name
    before = path.read_text(encoding="utf-8")
    after = change(before)
    assert after != before
    path.write_text(after, encoding="utf-8")
    assert message in refusal_of(toml)


def test_table_that_is_no_text(toml: Path):
    (toml.parent / "int1_gain.csv").write_bytes(b"x_iso_mm\xff")
    assert "int1_gain.csv: byte 8 is not UTF-8 text" in refusal_of(toml)


def test_table_as_a_spreadsheet_saves_it(toml: Path):
    """Byte order mark, CRLF, quotes and spaces are no reason to refuse."""
    path = toml.parent / "carbon_energies.csv"
    rows = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    quoted = "\r\n".join(", ".join(f'"{cell}"' for cell in row.split(",")).replace(", ", ",") for row in rows)
    path.write_bytes(b"\xef\xbb\xbf" + quoted.encode() + b"\r\n\r\n")
    np.testing.assert_array_equal(
        load_beamline(toml).energies["carbon"].energy_MeV_u,
        load_beamline("cnao-h").energies["carbon"].energy_MeV_u,
    )


def test_gain_map_in_any_order(toml: Path):
    path = toml.parent / "int1_gain.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines.index("x_iso_mm,y_iso_mm,gain")
    path.write_text("\n".join([*lines[: header + 1], *reversed(lines[header + 1 :])]), encoding="utf-8")
    read, shipped = load_beamline(toml).int1_gain_map, load_beamline("cnao-h").int1_gain_map
    assert read is not None
    assert shipped is not None
    np.testing.assert_array_equal(read.gain, shipped.gain)
