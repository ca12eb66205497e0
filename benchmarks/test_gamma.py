"""Gamma of a million voxels, by Spotline and, if it is installed, by pymedphys."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from spotline.dose.evaluation.gamma import gamma_index
from verification.gamma import changed_cube, cube, pymedphys_gamma

ROUNDS = 5
CRITERIA: dict[str, Any] = {"dose_percent": 3.0, "distance_mm": 2.0}


@pytest.mark.parametrize("noise", [0.0, 0.005])
@pytest.mark.parametrize("threads", [1, 2])
def test_gamma(benchmark: BenchmarkFixture, noise: float, threads: int) -> None:
    doses = cube(100, 2.0), changed_cube(100, 2.0, noise)
    gamma_index(*doses, **CRITERIA)  # compiles

    found = benchmark.pedantic(  # type: ignore[no-untyped-call]
        gamma_index, doses, {**CRITERIA, "threads": threads}, rounds=ROUNDS
    )
    assert found.compared > 100_000
    benchmark.extra_info.update(
        kind="gamma", name=_name(noise), by="Spotline", threads=threads, points=found.compared
    )


@pytest.mark.parametrize("noise", [0.0, 0.005])
def test_pymedphys(benchmark: BenchmarkFixture, noise: float) -> None:
    pytest.importorskip("pymedphys", reason="pymedphys is no dependency")
    reference, evaluated = cube(100, 2.0), changed_cube(100, 2.0, noise)
    pymedphys_gamma(cube(8, 2.0), changed_cube(8, 2.0, 0.0), CRITERIA)  # compiles
    benchmark.pedantic(pymedphys_gamma, (reference, evaluated, CRITERIA), rounds=1)  # type: ignore[no-untyped-call]
    points = int((reference.dose_Gy >= 0.1 * reference.dose_Gy.max()).sum())
    benchmark.extra_info.update(kind="gamma", name=_name(noise), by="pymedphys", threads=1, points=points)


def _name(noise: float) -> str:
    return f"{100.0 * noise:g} % noise" if noise else "smooth"
