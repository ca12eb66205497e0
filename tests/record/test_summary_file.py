"""Summary and status of a record: what is missing or something else is said in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spotline import RecordError
from spotline.delivery.progress import Progress
from spotline.delivery.status import STATUS_COLUMNS, status_of
from spotline.hdf5 import keys_of
from spotline.record.headers import InterlockRow, ReadingRow
from spotline.record.model import INTERLOCK, SLOW_CONTROL
from spotline.record.status_file import Status, read_status
from spotline.record.summary_file import FieldSummary, Statistics, SummaryFile, read_summary

FIGURES: dict[str, Any] = {
    "spots_planned": 3,
    "spots_delivered": 2,
    "particles_planned": 3e6,
    "particles_delivered": 2e6,
    "spills": 1,
    "beam_on_s": 0.5,
    "treatment_s": 4.5,
}
FIELD = {**FIGURES, "status": "interlock", "folder": "field-01"}
SUMMARY = {**FIGURES, "status": "interlock", "fields": [FIELD]}


def written(folder: Path, content: object) -> Path:
    (folder / "summary.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_what_an_earlier_version_did_not_write(tmp_path: Path):
    summary = read_summary(written(tmp_path, {**SUMMARY, "of a later version": [1, 2]}))
    assert (summary.status, summary.spots_delivered, summary.position_rms_mm) == ("interlock", 2, None)
    (field,) = summary.fields
    assert (field.folder, field.spills, field.assumed.int1_counts, field.interlocks) == ("field-01", 1, 0, ())


@pytest.mark.parametrize("key", [*FIGURES, "status", "fields"])
def test_without_a_key(key: str, tmp_path: Path):
    where = written(tmp_path, {name: value for name, value in SUMMARY.items() if name != key})
    with pytest.raises(RecordError) as caught:
        read_summary(where)
    assert str(caught.value) == (
        f"{tmp_path / 'summary.json'}: truncated or altered (no '{key}'); restore it from a copy"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spills": "many"}, "Expected `int`, got `str` - at `$.spills`"),
        ({"fields": [{**FIELD, "spots_planned": None}]}, "at `$.fields[0].spots_planned`"),
        ({"fields": [{"status": "complete"}]}, "missing required field"),
        ({"fields": [{**FIELD, "folder": "../other"}]}, "folder is '../other'"),
        ({"interlocks": [{"cause": "position x"}]}, "at `$.interlocks[0]`"),
    ],
)
def test_something_else(change: dict[str, Any], words: str, tmp_path: Path):
    with pytest.raises(RecordError) as caught:
        read_summary(written(tmp_path, SUMMARY | change))
    assert str(caught.value).startswith(f"{tmp_path / 'summary.json'}: truncated or altered (")
    assert str(caught.value).endswith("); restore it from a copy")
    assert words in str(caught.value)


def test_a_status_is_for_displays(tmp_path: Path):
    path, status = tmp_path / "status.json", status_of(Progress())
    assert read_status(path) is None
    path.write_text(json.dumps(keys_of(status)), encoding="utf-8")
    assert read_status(path) == status
    for text in (
        "",
        "{",
        "[]",
        '{"field": 1}',
        json.dumps(keys_of(status)).replace('"spill": 0', '"spill": "x"'),
    ):
        path.write_text(text, encoding="utf-8")
        assert read_status(path) is None, text


def test_types_are_those_of_the_tables():
    assert ReadingRow.__struct_fields__ == SLOW_CONTROL.names
    assert InterlockRow.__struct_fields__ == (*INTERLOCK.names, "detail")
    assert [column.name for column in STATUS_COLUMNS] == list(Status.__struct_fields__[:-1])
    for kind in (FieldSummary, SummaryFile):
        assert issubclass(kind, Statistics)
