"""Forward dose of the same spots by Spotline and, if it is installed, by pyRadPlan; same base data."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from spotline.machine import load_beamline
from spotline.machine.library import BeamLibrary, load_library
from verification.peers import (
    SINGLE,
    Timed,
    field_of,
    line_of,
    our_dose,
    our_machine,
    phantom_of,
    timed_cases,
)
from verification.pyradplan import Peer

ROUNDS = 5


@pytest.fixture(scope="module")
def library() -> BeamLibrary:
    return load_library(load_beamline("cnao-h"), "proton")


@pytest.fixture(scope="module")
def case(library: BeamLibrary) -> Timed:
    """2700 spots of protons in water."""
    return timed_cases({"proton": library, "carbon": load_library(load_beamline("cnao-h"), "carbon")})[1]


@pytest.mark.parametrize("threads", [1, 2])
def test_spotline(benchmark: BenchmarkFixture, case: Timed, library: BeamLibrary, threads: int) -> None:
    line, power, field = line_of(case.ion), phantom_of(case), field_of(case)
    our_dose(line, power, field, library, threads)  # compiles
    dose = benchmark.pedantic(  # type: ignore[no-untyped-call]
        our_dose, (line, power, field, library, threads), rounds=ROUNDS
    )
    assert dose.dose_Gy.max() > 0.0
    benchmark.extra_info.update(_info(case, dose.dose_Gy.size), by="Spotline", threads=threads)


@pytest.mark.filterwarnings("ignore")  # theirs
def test_pyradplan(benchmark: BenchmarkFixture, case: Timed, library: BeamLibrary) -> None:
    pytest.importorskip("pyRadPlan", reason="pyRadPlan is no dependency")
    power = phantom_of(case)
    peer = Peer(power, field_of(case), our_machine(case, library), SINGLE)
    dose = benchmark.pedantic(peer.dose, rounds=1, warmup_rounds=1)  # type: ignore[no-untyped-call]
    assert dose.dose_Gy.max() > 0.0
    benchmark.extra_info.update(_info(case, dose.dose_Gy.size), by="pyRadPlan", threads=1)


def _info(case: Timed, voxels: int) -> dict[str, object]:
    spots = len(case.energies_MeV_u) * case.side**2
    return {"kind": "peer", "name": case.name, "spots": spots, "voxels": voxels}
