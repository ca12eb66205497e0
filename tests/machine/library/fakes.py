"""Libraries from a formula instead of a simulation: a CSDA curve spread by a Gaussian, with a known halo."""

from __future__ import annotations

import functools

import numpy as np

from spotline.hdf5 import keys_of
from spotline.machine.library import grid
from spotline.machine.library.areas import CHAMBER, FIELD, as_header
from spotline.machine.library.build import condense, energy_sigma
from spotline.machine.library.letd import LETD_GROUPS
from spotline.machine.library.model import BeamLibrary, stack
from spotline.physics.ions import IONS, Ion
from spotline.physics.materials import WATER
from spotline.physics.stopping import RangeEnergy
from spotline.physics.transport.run import Tally

SPREAD_percent = {"proton": 0.15, "helium": 0.18, "carbon": 0.18, "oxygen": 0.18}
HALO = (0.08, 0.03)
"""Shares of the two halos at the range; they grow straight from the surface."""


def widths_mm(depth_mm: np.ndarray, range_mm: float) -> np.ndarray:
    """Standard deviations of core and halos, shape (3, n)."""
    x = depth_mm / range_mm
    return np.stack([0.02 + 0.02 * range_mm * x**1.7, 4.0 + 6.0 * x, 20.0 + 5.0 * x])


def fake_tally(ion: Ion, energy_MeV_u: float, range_mm: float, sigma_mm: float) -> Tally:
    """What a simulation would score."""
    edges = grid.depth_edges_mm(range_mm, sigma_mm)
    table = RangeEnergy(ion, WATER)
    # Energy left by ions whose range lies around the mean one, from their residual energies at the edges.
    left = np.zeros(len(edges) - 1)
    lost_let = np.zeros(len(edges) - 1)
    shifts = np.linspace(-5.0, 5.0, 201) * sigma_mm
    weights = np.exp(-0.5 * (shifts / sigma_mm) ** 2)
    for shift, weight in zip(shifts, weights / weights.sum(), strict=True):
        energy = np.nan_to_num(table.energy_MeV_u(np.maximum(range_mm + shift - edges, 1e-9)))
        loss = -np.diff(energy) * ion.mass_number
        left += weight * loss
        lost_let += weight * loss**2 / np.diff(edges)  # MeV^2 per mm is MeV keV/um
    rings_mm = grid.RING_EDGES_mm
    ring_depth = edges[np.abs(edges[:, None] - grid.ring_depth_edges_mm(range_mm, sigma_mm)).argmin(axis=0)]
    middle = grid.middles(ring_depth)
    share = np.minimum(middle / range_mm, 1.0)[None, :] * np.array(HALO)[:, None]
    parts = np.concatenate([1.0 - share.sum(axis=0, keepdims=True), share])
    outside = np.exp(-0.5 * (rings_mm[:, None, None] / widths_mm(middle, range_mm)) ** 2)
    in_ring = (parts * (outside[:-1] - outside[1:])).sum(axis=1).T
    cumulative = np.concatenate([[0.0], np.cumsum(left)])
    per_depth = np.diff(np.interp(ring_depth, edges, cumulative))
    spectrum = np.zeros((len(grid.PLANES), 10, grid.N_SPECTRUM))
    layers = grid.layers_mm(edges, range_mm, sigma_mm)
    bins = grid.spectrum_edges_MeV_u(energy_MeV_u)
    for k, plane in enumerate(layers.mean(axis=1)):
        if plane < range_mm:
            residual = float(table.energy_MeV_u(range_mm - plane))
            spectrum[k, 0, np.clip(np.searchsorted(bins, residual) - 1, 0, grid.N_SPECTRUM - 1)] = 1.0
    energy, let = np.zeros((10, len(left))), np.zeros((10, len(left)))
    energy[0], let[0] = left, lost_let
    return Tally(
        primaries=1000,
        depth_mm=edges,
        energy_MeV=energy,
        energy_error_MeV=0.01 * left,
        areas=(FIELD, CHAMBER),
        within_MeV=np.array([left, 0.99 * left]),
        let_MeV_keV_um=let,
        ring_depth_mm=ring_depth,
        ring_mm=rings_mm,
        ring_MeV=in_ring * per_depth[:, None],
        plane_mm=np.zeros(0),
        crossing=np.zeros((0, 10)),
        layer_mm=layers,
        spectrum_MeV_u=bins,
        fluence=spectrum,
        voxel_MeV=np.zeros((0, 0, 0)),
        voxel_error_MeV=np.zeros((0, 0, 0)),
        voxel_let_MeV_keV_um=np.zeros((0, 0, 0)),
        lost=0,
    )


@functools.cache
def fake_entry(ion_name: str, energy_MeV_u: float):
    """One energy."""
    ion = IONS[ion_name]
    range_mm = float(RangeEnergy(ion, WATER).range_mm(energy_MeV_u))
    spread = energy_sigma(ion, energy_MeV_u, SPREAD_percent[ion_name])
    sigma_mm = grid.range_sigma_mm(ion, energy_MeV_u, spread)
    tally = fake_tally(ion, energy_MeV_u, range_mm, sigma_mm)
    return condense(ion, energy_MeV_u, range_mm, sigma_mm, tally)


@functools.cache
def fake_library(ion_name: str, *energies_MeV_u: float) -> BeamLibrary:
    """Some energies of an ion."""
    header = {
        "ion": ion_name,
        "beamline": "cnao-h",
        "momentum_spread_percent": SPREAD_percent[ion_name],
        "areas": [keys_of(area) for area in as_header((CHAMBER,))],
        "letd_groups": list(LETD_GROUPS),
        "mean_excitation_eV": 77.0,
        "primaries": 1000,
        "seed": 0,
        "made": "2026-01-01T00:00:00+00:00",
        "command": "made up",
        "versions": {},
        "physics_sha256": "0" * 64,
        "lateral_residual": {"mean": 0.0, "largest": 0.0},
        "lost": 0,
    }
    return BeamLibrary(header, stack([fake_entry(ion_name, energy).entry for energy in energies_MeV_u]))
