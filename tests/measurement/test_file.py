"""The file of results: the same text for the same results, and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from spotline.errors import MeasurementError, OutputError
from spotline.measurement import (
    Limits,
    Provenance,
    Result,
    ResultSet,
    read_results,
    results_text,
    write_results,
)

RESULTS = ResultSet(
    title="Daily check",
    command="python -m check",
    program="spotline 0.1.0",
    date="2026-03-01",
    results=(
        Result(
            name="range",
            value=101.5,
            unit="mm",
            uncertainty=0.2,
            reference=100,
            tolerance=Limits.within(1),
            action=Limits.within(2),
            source="TG-224",
        ),
        Result(name="symmetry of µ", value=None, unit="percent"),
    ),
    warnings=("one of the two chambers was cold",),
    provenance=(Provenance(source="record"),),
)


def test_comes_back(tmp_path: Path):
    path = tmp_path / "results.json"
    write_results(RESULTS, path)
    found = read_results(path)
    assert found == RESULTS
    assert path.read_text(encoding="utf-8") == results_text(RESULTS) == results_text(found)
    assert [one.name for one in tmp_path.iterdir()] == ["results.json"]


def test_text_is_plain_json_with_verdicts():
    content = json.loads(results_text(RESULTS))
    assert (content["format"], content["version"]) == ("spotline results", 1)
    assert [one["verdict"] for one in content["results"]] == ["tolerance exceeded", "not judged"]
    assert content["results"][0]["tolerance"] == {"low": -1.0, "high": 1.0}
    assert results_text(RESULTS).count("\n  {") == 2  # a line for each


def test_numbers_of_numpy_are_numbers():
    made = Result(
        name="share", value=np.float64(0.5), reference=np.float32(0.25), tolerance=Limits(high=np.int64(1))
    )
    (row,) = json.loads(results_text(msgspec.structs.replace(RESULTS, results=(made,))))["results"]
    assert (row["value"], row["reference"], row["tolerance"]) == (0.5, 0.25, {"high": 1.0})


def test_no_results(tmp_path: Path):
    empty = ResultSet(title="none", command="", program="", date="", results=())
    write_results(empty, tmp_path / "none.json")
    assert read_results(tmp_path / "none.json") == empty


def test_names_are_unique():
    with pytest.raises(MeasurementError, match="Daily check: the name 'range' stands twice"):
        ResultSet(title="Daily check", command="", program="", date="", results=RESULTS.results[:1] * 2)


def _set(*place: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in place[:-1]:
            content = content[key]
        content[place[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("format", to="cookery"), "is no file of results"),
        (_set("version", to=2), "results of version 2"),
        (_set("colour", to="red"), "unknown field `colour`"),
        (_set("results", 0, "colour", to="red"), "unknown field `colour`"),
        (_set("results", 0, "value", to="much"), "Expected `float | null`"),
        (_set("results", 0, "unit", to="ell"), "unit 'ell' is unknown"),
        (_set("results", 1, "name", to="range"), "'range' stands twice"),
        (_set("results", 0, "verdict", to="pass"), "the verdict is 'pass', but its numbers say"),
        (_set("results", 0, "value", to=100.0), "the file was altered"),
        (_set("results", to={}), "Expected `array`"),
        (_set("results", to=[3]), "Expected `object`"),
        (_set("results", to=3), "Expected `array`"),
        (_set("results", 0, "tolerance", to={}), "none is given"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str):
    content = json.loads(results_text(RESULTS))
    change(content)
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(MeasurementError, match=message) as caught:
        read_results(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"[" * 100_000, b'{"a": NaN}'])
def test_what_is_no_file_of_results(tmp_path: Path, content: bytes):
    path = tmp_path / "results.json"
    path.write_bytes(content)
    with pytest.raises(MeasurementError, match=r"no JSON|no file of results"):
        read_results(path)


def test_no_file(tmp_path: Path):
    with pytest.raises(MeasurementError, match="cannot be read: No such file"):
        read_results(tmp_path / "none.json")


def test_a_place_where_nothing_can_be_written(tmp_path: Path):
    with pytest.raises(OutputError, match="cannot be written"):
        write_results(RESULTS, tmp_path / "none" / "results.json")
    taken = tmp_path / "taken.json"
    taken.mkdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write_results(RESULTS, taken)
    assert [one.name for one in tmp_path.iterdir()] == ["taken.json"]
