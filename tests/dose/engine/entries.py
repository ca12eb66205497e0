"""Library entries made up for tests: smooth curves with known figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spotline.machine.library import BeamLibrary, Entry, LibraryArrays
from spotline.machine.library.letd import LETD_GROUPS
from spotline.physics.ions import PROTON, Ion
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy


def made_up_entry(range_mm: float = 100.0, core_mm: float = 3.0, halo_share: float = 0.1) -> Entry:
    """A depth dose with a broad peak; a core that grows with depth and halos of 8 and 20 mm."""
    depth = np.linspace(0.25, range_mm * 1.2, 300)
    dose = 5.0 + 15.0 * np.exp(-0.5 * ((depth - range_mm) / 4.0) ** 2)
    dose = np.where(depth < range_mm, dose, 20.0 * np.exp(-0.5 * ((depth - range_mm) / 2.0) ** 2))
    lateral = np.linspace(0.0, range_mm * 1.2, 60)
    shape = np.ones((60, 2))
    return Entry(
        PROTON,
        100.0,
        range_mm,
        1.0,
        depth,
        dose,
        np.zeros((0, len(depth))),
        0.0 * dose,
        np.tile(1.0 + depth / range_mm, (len(LETD_GROUPS), 1)),
        np.ones((len(LETD_GROUPS), len(depth))),
        lateral,
        core_mm * (lateral / range_mm) ** 1.5,
        shape * [8.0, 20.0],
        shape * [0.7 * halo_share, 0.3 * halo_share],
        np.array([10.0, 50.0]),
        np.geomspace(1.0, 100.0, 5),
        np.zeros((2, 10, 4)),
    )


def made_up_library(ion: Ion, energies_MeV_u: Sequence[float]) -> BeamLibrary:
    """A library of such entries, each with the range of its energy."""
    ranges = RangeEnergy(ion, WATER).range_mm(energies_MeV_u)
    entries = [
        replace(made_up_entry(float(r)), ion=ion, energy_MeV_u=float(e))
        for e, r in zip(energies_MeV_u, ranges, strict=True)
    ]
    columns = [np.array([getattr(entry, name) for entry in entries]) for name in LibraryArrays._fields]
    return BeamLibrary({"ion": ion.name}, LibraryArrays(*columns))
