"""Spills of a delivery that runs are handed out once each, in order."""

from __future__ import annotations

import shutil
from pathlib import Path

from spotline.record.arriving import ArrivingSpills
from spotline.record.model import Record


def test_each_spill_once_as_it_comes(small: Record, tmp_path: Path):
    (field,) = small.fields
    here = tmp_path / field.path.name
    arriving = ArrivingSpills()
    assert list(arriving.new_in(tmp_path)) == []
    shutil.copytree(field.path, here, ignore=shutil.ignore_patterns("spill-*.h5"))
    assert list(arriving.new_in(tmp_path)) == [], "a field that has begun, and no spill yet"
    numbers = []
    for path in sorted(field.path.glob("spills/*.h5")):
        (here / "spills").mkdir(exist_ok=True)
        shutil.copy(path, here / "spills")
        (arrived,) = arriving.new_in(tmp_path)
        numbers.append(arrived.spill.header.spill)
        assert arrived.field == field.number
        assert [s.n_spots for s in arrived.slices] == [s.n_spots for s in field.prescribed]
    assert numbers == list(field.spills["spill"])
    assert len(numbers) > 1


def test_what_nobody_took_comes_again(small: Record):
    arriving = ArrivingSpills()
    waiting = arriving.new_in(small.path)
    first = next(waiting)
    waiting.close()  # as when who takes it fails
    again = list(arriving.new_in(small.path))
    assert again[0].spill.header == first.spill.header
    assert len(again) == len(small.fields[0].spills)
