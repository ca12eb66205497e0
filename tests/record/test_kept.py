"""What a record keeps beside its measurements."""

from __future__ import annotations

from pathlib import Path

from spotline.record.kept import beamline_of, plan_file, sha256_of
from spotline.record.model import Record
from spotline.record.read import open_record


def test_its_beam_line(small: Record, copy: Path):
    assert beamline_of(small) == "cnao-h"
    moved = Record(copy, small.summary, small.fields)
    (copy / "delivery.json").unlink()
    assert beamline_of(moved) == "cnao-h", "the header of a field tells too"


def test_a_plan_that_came_from_no_file_has_no_copy(small: Record, copy: Path):
    assert plan_file(small) is None
    (copy / "delivery.json").unlink()
    assert plan_file(Record(copy, small.summary, small.fields)) is None


def test_hash_is_of_what_was_measured(small: Record, copy: Path):
    before = sha256_of(small)
    assert sha256_of(open_record(copy)) == before, "wherever it lies"
    (copy / "summary.json").write_bytes((copy / "summary.json").read_bytes() + b"\n")
    assert sha256_of(open_record(copy)) == before
    moved = open_record(copy)
    spill = min(copy.glob("*/spills/*.h5"))
    spill.write_bytes(spill.read_bytes() + b"x")
    assert sha256_of(moved) != before
