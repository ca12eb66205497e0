"""A byte-order mark, as editors of Windows begin text with, changes nothing: every reader of text files."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import spotline
from spotline.dose.calibration import read_calibration
from spotline.dose.rbe import rbe_model
from spotline.dose.rbe.table import read_csv_table, read_trip98_rbe
from spotline.dose.trip98 import read_trip98_dose
from spotline.files import read_json
from spotline.machine.load import load_beamline
from spotline.machine.overview import figures_of
from spotline.measurement import read_results, write_results
from spotline.sim.faults.files import read_faults
from tests.dose.rbe.test_table import TABLE, TRIP98
from tests.dose.test_calibration import CURVE
from tests.dose.test_trip98 import CUBE, HEADER
from tests.lines.edit import copy_line
from tests.measurement.test_file import RESULTS
from tests.places import ROOT
from tests.planning.test_trip98 import GOOD


def cube(path: Path) -> Any:
    path.with_suffix(".dos.gz").write_bytes(gzip.compress(CUBE.astype("<i2").tobytes()))
    dose = read_trip98_dose(path, 2.0)
    return dose.grid, dose.dose_Gy.tolist()


def raster(path: Path) -> Any:
    (field,) = spotline.read_plan(path).fields
    return field.ion, [
        (one.energy_MeV_u, one.x_iso_mm.tolist(), one.meterset.tolist()) for one in field.layers
    ]


READERS: dict[str, tuple[str, str, Callable[[Path], Any]]] = {
    "faults": ("f.toml", (ROOT / "faults" / "beam-shift.toml").read_text(encoding="utf-8"), read_faults),
    "calibration, TOML": ("c.toml", CURVE, lambda path: repr(read_calibration(path))),
    "calibration, CSV": ("c.csv", "HU,rsp\n-1000,0\n0,1\n", lambda path: repr(read_calibration(path))),
    "RBE, CSV": ("r.csv", TABLE, lambda path: repr(read_csv_table(path, 0.1, 0.05))),
    "RBE, TRiP98": ("r.rbe", TRIP98, lambda path: repr(read_trip98_rbe(path))),
    "RBE, TOML": ("r.toml", 'model = "constant"\nrbe = 1.2\n', lambda path: rbe_model(str(path))),
    "plan of TRiP98": ("p.rst", GOOD, raster),
    "cube of TRiP98": ("d.hed", HEADER.format(order="vms"), cube),
    "JSON of a record": ("summary.json", '{"a": 1}', read_json),
}


@pytest.mark.parametrize("name", READERS)
def test_files(name: str, tmp_path: Path):
    file, content, read = READERS[name]
    path = tmp_path / file
    path.write_bytes(content.encode())
    plain = read(path)
    path.write_bytes(codecs.BOM_UTF8 + content.encode())
    assert read(path) == plain


def test_results(tmp_path: Path):
    path = tmp_path / "results.json"
    write_results(RESULTS, path)
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes())
    assert read_results(path) == RESULTS


def test_beam_line_with_its_tables(tmp_path: Path):
    toml = copy_line("cnao-h", tmp_path / "line")
    sources = figures_of(load_beamline(toml)).sources
    files = [*toml.parent.glob("*.toml"), *toml.parent.glob("*.csv")]
    assert len(files) > 1
    for file in files:
        file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())
    assert spotline.check_beamline(toml) == []
    assert load_beamline(toml).facts == load_beamline("cnao-h").facts
    assert figures_of(load_beamline(toml)).sources == sources
