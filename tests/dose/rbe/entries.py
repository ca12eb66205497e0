"""Entries of a library made up for tests, of particles that are known one by one."""

from __future__ import annotations

import math

import numpy as np

from spotline.machine.library import Entry
from spotline.machine.library.grid import depth_edges_mm, middles, planes_mm, spectrum_edges_MeV_u
from spotline.machine.library.letd import LETD_GROUPS
from spotline.machine.library.model import N_GROUPS
from spotline.physics.ions import Ion
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy


def entry_of(
    ion: Ion,
    energy_MeV_u: float,
    *,
    sigma_mm: float = 0.5,
    attenuation_per_mm: float = 0.0,
    fragments: dict[int, tuple[float, float]] | None = None,
) -> Entry:
    """Primaries that slow down and are lost, and fragments that stay the same at all depths.

    Parameters
    ----------
    fragments : dict, optional
        Energy in MeV/u and number per primary, by charge number.
    """
    track = RangeEnergy(ion, WATER)
    range_mm = float(track.range_mm(energy_MeV_u))
    edges = spectrum_edges_MeV_u(energy_MeV_u)
    planes = planes_mm(range_mm)
    spectrum = np.zeros((len(planes), N_GROUPS, len(edges) - 1))
    for plane, depth in enumerate(planes):
        reach = 0.5 * math.erfc((depth - range_mm) / sigma_mm / math.sqrt(2.0))
        rest = np.clip(range_mm - depth, float(track.range_mm(edges[0])), None)
        at = np.searchsorted(edges, float(track.energy_MeV_u(rest))) - 1
        spectrum[plane, 0, max(at, 0)] = reach * math.exp(-attenuation_per_mm * min(depth, range_mm))
        for charge_number, (fragment_MeV_u, number) in (fragments or {}).items():
            spectrum[plane, charge_number, np.searchsorted(edges, fragment_MeV_u) - 1] = number
    depth = middles(depth_edges_mm(range_mm, sigma_mm))
    nothing = np.zeros_like(depth)
    lateral = np.array([0.0, range_mm])
    return Entry(
        ion,
        energy_MeV_u,
        range_mm,
        sigma_mm,
        depth,
        np.ones_like(depth),
        np.zeros((0, len(depth))),
        nothing,
        np.tile(1.0 + depth / range_mm, (len(LETD_GROUPS), 1)),
        np.ones((len(LETD_GROUPS), len(depth))),
        lateral,
        np.ones(2),
        np.ones((2, 2)),
        np.zeros((2, 2)),
        planes,
        edges,
        spectrum,
    )
