"""A beam line, a treatment and a seed leave the same bytes, and nothing else decides about them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from spotline import BeamLine
from spotline.errors import OptionError
from tests.delivery.deliveries import CARBON, PROTON, deliver, hashes
from tests.processors import PROCESSORS, environment_of

pytestmark = pytest.mark.stored

PROGRAM = """
import sys, spotline, spotline.delivery.session as session
session._write_report = lambda record: None
plan, out = sys.argv[1:]
treatment = spotline.prepare(spotline.read_plan(plan), spotline.load_beamline("cnao-h"))
spotline.deliver(treatment, out, seed=1)
"""

SPILLS = [f"field-01/spills/spill-000{n}.h5" for n in (1, 2, 3)]


def test_again(protons: Path, line: BeamLine, tmp_path: Path):
    deliver(PROTON, line, tmp_path, seed=1)
    assert list(hashes(tmp_path)) == ["field-01/DDS_treatment.h5", *SPILLS]
    assert hashes(tmp_path) == hashes(protons)


@pytest.mark.parametrize("block_us", [1000, 7000, 1_000_000])
def test_size_of_the_blocks(block_us: int, protons: Path, line: BeamLine, tmp_path: Path):
    deliver(PROTON, line, tmp_path, seed=1, block_us=block_us)
    assert hashes(tmp_path) == hashes(protons)


@pytest.mark.parametrize("block_us", [1000, 7000, 250_000])
def test_size_of_the_blocks_with_raw_samples(
    block_us: int, protons_raw: Path, line: BeamLine, tmp_path: Path
):
    deliver(PROTON, line, tmp_path, seed=1, raw=True, block_us=block_us)
    assert hashes(tmp_path) == hashes(protons_raw)


def test_another_process(protons: Path, tmp_path: Path):
    out = tmp_path / "out"
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(PROTON), str(out)],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONHASHSEED": "17", "TZ": "Asia/Tokyo", "OMP_NUM_THREADS": "1"},
    )
    assert hashes(out) == hashes(protons)


@pytest.mark.slow
def test_another_processor(protons: Path, tmp_path: Path):
    """The simplest processor there is compiles everything for itself, and yet delivers the same."""
    simplest = PROCESSORS[-1]
    if obstacle := simplest.obstacle():
        pytest.skip(obstacle)
    out = tmp_path / "out"
    subprocess.run(
        [sys.executable, "-c", PROGRAM, str(PROTON), str(out)],
        check=True,
        cwd=tmp_path,
        env=environment_of(simplest),
    )
    assert hashes(out) == hashes(protons)


def test_other_seed(protons: Path, line: BeamLine, tmp_path: Path):
    deliver(PROTON, line, tmp_path, seed=2)
    here, there = hashes(tmp_path), hashes(protons)
    assert all(here[path] != there[path] for path in SPILLS)


def test_very_large_seed(line: BeamLine, tmp_path: Path):
    record = deliver(CARBON, line, tmp_path, seed=10**30)
    assert (record.summary["status"], record.summary["seed"]) == ("complete", 10**30)


def test_start_of_the_treatment(protons: Path, line: BeamLine, tmp_path: Path):
    """The date goes into the header of the field and the DICOM record, and nowhere else."""
    started = datetime(1997, 8, 29, 2, 14, tzinfo=timezone(timedelta(hours=-7)))
    record = deliver(PROTON, line, tmp_path, seed=1, started=started)
    assert record.fields[0].header["started"] == "1997-08-29T02:14:00.000000-07:00"
    assert hashes(tmp_path) == hashes(protons)
    log = Path("field-01", "log.json")
    assert (tmp_path / log).read_bytes() == (protons / log).read_bytes()
    assert (tmp_path / "field-01" / "record.dcm").read_bytes() != (
        protons / "field-01" / "record.dcm"
    ).read_bytes()


def test_who_watches(protons: Path, line: BeamLine, tmp_path: Path):
    """Progress is reported about ten times per second of beam, in order, and changes nothing."""
    seen = []
    deliver(PROTON, line, tmp_path, seed=1, progress=seen.append)
    assert hashes(tmp_path) == hashes(protons)
    assert [p.treatment_s for p in seen] == sorted(p.treatment_s for p in seen)
    assert [p.spots for p in seen] == sorted(p.spots for p in seen)
    assert {(p.field, p.n_fields, p.n_slices, p.n_spots) for p in seen} == {(1, 1, 3, 147)}
    assert {p.slice for p in seen} == {p.spill for p in seen} == {1, 2, 3}
    assert seen[-1].spots in (146, 147), "the last spot is current until the spill is over"
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert len(seen) >= 10 * summary["beam_on_s"]


@pytest.mark.parametrize("options", [{"block_us": 0}, {"block_us": -1000}, {"block_us": 1500}, {"seed": -1}])
def test_options_that_make_no_sense(options: dict[str, int], line: BeamLine, tmp_path: Path):
    with pytest.raises(OptionError, match=r"must be a multiple of 1000|give a whole number"):
        deliver(CARBON, line, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
