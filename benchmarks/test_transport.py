"""The Monte Carlo transport in water, per primary."""

from __future__ import annotations

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy
from spotline.physics.transport.geometry import water
from spotline.physics.transport.run import Tally, simulate
from spotline.physics.transport.source import pencil_source
from spotline.physics.transport.tally import TallyPlan

ROUNDS = 5
PRIMARIES = 20_000


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    ("ion", "energy_MeV_u"), [(PROTON, 150.0), (HELIUM, 150.0), (CARBON, 280.0), (OXYGEN, 300.0)]
)
def test_transport(benchmark: BenchmarkFixture, ion: Ion, energy_MeV_u: float, threads: int) -> None:
    """Everything that a library needs is scored: 300 depth bins, rings, spectra."""
    end_mm = 1.3 * float(RangeEnergy(ion, WATER).range_mm(energy_MeV_u))
    depth_mm = np.linspace(0.0, end_mm, 301)
    layer_mm = np.column_stack([depth_mm[:-1:15], depth_mm[1::15]])
    plan = TallyPlan(depth_mm, depth_mm[::5], np.geomspace(0.1, 200.0, 40), layer_mm=layer_mm)
    source, geometry = pencil_source(ion, energy_MeV_u), water(end_mm)

    def run(primaries: int = PRIMARIES) -> Tally:
        return simulate(source, geometry, plan, primaries=primaries, seed=1, threads=threads)

    run(64)  # compiles
    tally = benchmark.pedantic(run, rounds=ROUNDS)  # type: ignore[no-untyped-call]
    assert tally.lost == 0
    benchmark.extra_info.update(
        kind="transport",
        name=f"{ion.name} {energy_MeV_u:g} MeV/u",
        threads=threads,
        primaries=PRIMARIES,
    )
