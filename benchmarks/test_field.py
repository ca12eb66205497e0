"""Whole fields, as `spotline deliver` delivers them: with a report of each."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import spotline
from benchmarks.cases import FIELDS, FieldCase


@pytest.mark.parametrize("raw", [False, True], ids=["", "raw"])
@pytest.mark.parametrize("case", FIELDS, ids=lambda case: case.name)
def test_field(benchmark: BenchmarkFixture, case: FieldCase, raw: bool, tmp_path: Path) -> None:
    if not case.plan.is_file():
        pytest.skip("the plan is not beside the repository")
    treatment = case.treatment(raw=raw)
    number = itertools.count()
    records: list[spotline.Record] = []

    def deliver() -> None:
        folder = tmp_path / f"record-{next(number)}"
        records.append(spotline.deliver(treatment, folder, raw=raw))
        spotline.write_report(records[-1], folder / "report.html")
        shutil.rmtree(folder)  # raw samples of many rounds would fill the disk

    benchmark.pedantic(deliver, rounds=case.rounds, warmup_rounds=1 if case.rounds > 1 else 0)  # type: ignore[no-untyped-call]
    summaries = [record.summary for record in records]
    beam_on_s = summaries[0]["beam_on_s"]
    name = case.name
    if raw and case.raw_layers:
        name += f", first layers ({case.raw_layers})"
    benchmark.extra_info.update(
        kind="field",
        name=name,
        raw=raw,
        spots=summaries[0]["spots_delivered"],
        spills=summaries[0]["spills"],
        beam_on_s=beam_on_s,
        loop_wall_s=min(summary["loop_wall_s"] for summary in summaries),
        wall_s=min(summary["wall_s"] for summary in summaries),
    )
    assert summaries[0]["status"] == "complete"
