"""Where runs are made changes nothing in what comes out."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import spotline
from spotline import OptionError, OutputError, Treatment
from spotline.campaign import Campaign, run_campaign
from spotline.campaign.workers import chunks_of
from spotline.sim.faults import KINDS

RUNS, SEED = 5, 11


def test_chunks_hold_every_run_once():
    for n, workers in ((1, 1), (7, 2), (1000, 3), (10_000, 8)):
        chunks = chunks_of(range(n), workers)
        assert [number for chunk in chunks for number in chunk] == list(range(n))
        assert max(map(len, chunks)) <= 50


@pytest.fixture(scope="module")
def alone(treatment: Treatment, tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    out = tmp_path_factory.mktemp("alone") / "out"
    return run_campaign(treatment, out, runs=RUNS, seed=SEED)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_written(alone: Campaign):
    assert alone.path is not None
    assert set(contents(alone.path)) == {"runs.parquet", "campaign.json"}
    assert alone.runs.column("run").to_pylist() == list(range(RUNS))
    assert alone.runs.column("fault1").to_pylist() == list(KINDS)[:RUNS]


def test_two_processes_write_the_same_bytes(alone: Campaign, treatment: Treatment, tmp_path: Path):
    run_campaign(treatment, tmp_path / "two", runs=RUNS, seed=SEED, workers=2)
    assert alone.path is not None
    assert contents(tmp_path / "two") == contents(alone.path)


def test_a_run_alone_is_the_same_row(alone: Campaign, treatment: Treatment, tmp_path: Path):
    again = run_campaign(treatment, tmp_path / "again", runs=RUNS, seed=SEED, run=3)
    assert again.runs.equals(alone.runs.slice(3, 1))
    assert (tmp_path / "again" / "delivery" / "summary.json").is_file()


@pytest.mark.slow
# What a cluster of another project leaves behind when it is closed is not looked at.
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_writes_the_same_bytes(alone: Campaign, treatment: Treatment, tmp_path: Path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        run_campaign(
            treatment, tmp_path / "cluster", runs=RUNS, seed=SEED, scheduler=cluster.scheduler_address
        )
    assert alone.path is not None
    assert contents(tmp_path / "cluster") == contents(alone.path)


def test_without_dask_there_is_no_cluster(treatment: Treatment, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(OptionError, match=r"Dask is not installed here; install spotline\[cluster\]"):
        run_campaign(treatment, runs=2, scheduler="tcp://127.0.0.1:1")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_an_unknown_cluster(treatment: Treatment, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("spotline.campaign.workers.CONNECT_s", 1)
    with pytest.raises(OptionError, match=r"scheduler tcp://127\.0\.0\.1:1: cannot be reached"):
        run_campaign(treatment, runs=2, scheduler="tcp://127.0.0.1:1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runs": 0}, "runs: 0 is too few; give 1 or more"),
        ({"workers": 0}, "workers: 0 is too few"),
        ({"seed": -1}, "seed: -1 is too few; give 0 or more"),
        ({"seed": 2**63}, "seed: 9223372036854775808 is too large"),
        ({"runs": 5, "run": 5}, "run: 5 is none of the runs 0 to 4"),
        ({"faults": "none", "pairs": True}, "pairs: faults are drawn in pairs"),
    ],
)
def test_choices_that_cannot_be_had(
    treatment: Treatment, tmp_path: Path, options: dict[str, object], message: str
):
    with pytest.raises(OptionError, match=message):
        run_campaign(treatment, tmp_path / "out", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_in_use(treatment: Treatment, tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="is not empty; choose another folder for the campaign"):
        run_campaign(treatment, tmp_path, runs=1)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_names_of_the_package():
    assert spotline.run_campaign is run_campaign
    assert spotline.Campaign is Campaign
