"""Forward dose: pencil beams of a library, layer by layer.

The dose of a spot at a voxel is its particles times the depth dose at the water-equivalent depth of the
voxel, spread over a core and two wider Gaussians (Pedroni et al., Phys. Med. Biol. 50 (2005) 541).  A voxel
takes the depth of its own ray from the source; where the rays around it are of other depths, the core is
sampled in seven of them (`spotline.dose.engine.sub_rays`).  So a spot is in effect cut into sub-spots as
fine as the grid.

Voxels and spots meet in maps of fluence (`spotline.dose.engine.fluence`), so the time goes with the number of
spots plus the number of voxels, not with their product.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from spotline.arrays import Floats
from spotline.dose.engine.fluence import (
    LOG_RATIO,
    Maps,
    Spots,
    Widths,
    draw_spots,
    empty_maps,
    widths_for,
)
from spotline.dose.engine.lever_arms import lever_weights
from spotline.dose.engine.sub_rays import SubRays, no_sub_rays
from spotline.dose.engine.voxel_loop import (
    AMOUNT,
    COMPONENTS,
    NARROWEST,
    PLACE,
    QUARTERS,
    SLOPE,
    VARIANCE,
    Rays,
    accumulate,
)
from spotline.machine.library import Entry
from spotline.units import ELEMENTARY_CHARGE_C

GY_PER_MEV_PER_G = ELEMENTARY_CHARGE_C * 1e6 * 1e3
MM2_PER_CM2 = 100.0
DEPTH_STEP_mm = 0.1
"""Of the tables of a layer; a peak of carbon at 115 MeV/u is 0.9 mm wide."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """How a scanned beam widens along the axis.

    Attributes
    ----------
    x_source_mm, y_source_mm : float
        Distances of the centres of the scanning magnets from the isocentre.
    linear_mm, quadratic : float
        Variance of a spot in air at a height h above the isocentre, less that at it:
        ``linear_mm h + quadratic h^2`` (mm2).
    """

    x_source_mm: float
    y_source_mm: float
    linear_mm: float = 0.0
    quadratic: float = 0.0

    @property
    def numbers(self) -> Floats:
        """For the kernel."""
        return np.array([self.x_source_mm, self.y_source_mm, self.linear_mm, self.quadratic])


@dataclass(frozen=True, slots=True, eq=False)
class Weighting:
    """Quantities that are summed with the dose as their weight.

    Attributes
    ----------
    sums : ndarray, shape (n, q)
        Dose of each voxel times each quantity, added to.
    quantities : callable
        Gives the quantities at depths of shape (m,) in mm: shape (m, q), as LET or the coefficients of a
        biological model.
    """

    sums: Floats
    quantities: Callable[[Floats], Floats]


def add_layer(
    rays: Rays,
    entry: Entry,
    spots: Spots,
    divergence: Divergence,
    dose_Gy: Floats,
    weighting: Weighting | None = None,
    threads: int | None = None,
    sub: SubRays | None = None,
) -> None:
    """Add the dose of all spots of one energy.

    Parameters
    ----------
    rays : Rays
        Voxels.
    entry : Entry
        What the beam does in water, behind everything that lies before the patient.
    spots : Spots
        What was delivered, or is to be.
    divergence : Divergence
    dose_Gy : ndarray, shape (n,)
        Dose of the voxels, added to.
    weighting : Weighting, optional
        What else is summed, weighted with dose.
    threads : int, optional
        By default as many as there are processors.  The result does not depend on it.
    sub : SubRays, optional
        Rays beside those of the voxels; by default none.
    """
    if len(spots.x_mm) == 0:
        return
    sub = no_sub_rays() if sub is None else sub
    count = threads or os.cpu_count() or 1
    if weighting is None:
        weighting = Weighting(np.zeros((len(dose_Gy), 0)), lambda depth: np.zeros((len(depth), 0)))
    end_mm = float(entry.depth_mm[-1])
    depth_mm = np.arange(0.0, end_mm + 2.0 * DEPTH_STEP_mm, DEPTH_STEP_mm)
    beam = divergence.numbers
    changes = _changes_mm2(rays, divergence)
    weights = lever_weights(entry, depth_mm) if len(rays.lever) else np.zeros((len(depth_mm), QUARTERS))
    tables, widths = _tables(entry, spots, depth_mm, changes, _stretched(rays, weights))
    columns = weighting.quantities(depth_mm)
    pyramids = tuple(empty_maps(spots, width) for width in widths)
    parts = 4 * count

    def draw(part: int) -> None:
        for maps, width in zip(pyramids, widths, strict=True):
            _draw(maps, range(part, width.number, parts), width, spots)

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(draw, range(parts)))
        bounds = np.linspace(0, len(dose_Gy), parts + 1).astype(int)

        def work(part: int) -> None:
            accumulate(
                int(bounds[part]),
                int(bounds[part + 1]),
                rays,
                sub,
                tables,
                weights,
                columns,
                1.0 / DEPTH_STEP_mm,
                beam,
                pyramids[0],
                pyramids[1],
                dose_Gy,
                weighting.sums,
            )

        list(pool.map(work, range(parts)))


def _changes_mm2(rays: Rays, divergence: Divergence) -> tuple[float, float]:
    """Least and largest variance that the way in air adds within the voxels."""
    if len(rays.height_mm) == 0:
        return 0.0, 0.0
    heights = np.array([rays.height_mm.min(), 0.0, rays.height_mm.max()], dtype=float)
    if divergence.quadratic != 0.0:
        turn = -0.5 * divergence.linear_mm / divergence.quadratic
        heights = np.append(heights, np.clip(turn, heights[0], heights[-1]))
    changes = divergence.linear_mm * heights + divergence.quadratic * heights**2
    return float(changes.min()), float(changes.max())


def _stretched(rays: Rays, weights: Floats) -> tuple[Floats, Floats]:
    """Factors between which what was scattered changes, by depth; bounds, as if quarters went together."""
    least, most = rays.lever_ends
    low, high = 1.0 + weights @ np.minimum(least, 0.0), 1.0 + weights @ np.maximum(most, 0.0)
    return np.maximum(low, 1.0 + NARROWEST), high


def _tables(
    entry: Entry,
    spots: Spots,
    depth_mm: Floats,
    changes_mm2: tuple[float, float],
    stretched: tuple[Floats, Floats],
) -> tuple[Floats, tuple[Widths, Widths]]:
    """Components by depth, shape (n_depths, 3, 4), and the widths of the maps of core and halos."""
    lateral = entry.lateral(depth_mm)
    dose = entry.dose_MeV_cm2_g(depth_mm) * GY_PER_MEV_PER_G * MM2_PER_CM2
    shares = np.column_stack([1.0 - lateral.halo_share.sum(axis=1), lateral.halo_share])
    variances = np.column_stack([lateral.core_mm**2, lateral.halo_mm**2])
    used = shares[:, 1:] * dose[:, None] > 0.0
    halo = variances[:, 1:][used] if used.any() else np.array([variances[-1, 0]])
    scattered = np.maximum(variances[:, 0] - variances[0, 0], 0.0)
    narrowest, widest = (variances[:, 0] + (factor - 1.0) * scattered for factor in stretched)
    least, most = changes_mm2
    widths = (
        widths_for(spots, float(narrowest.min()) + least, float(widest.max()) + most),
        widths_for(spots, float(halo.min()) + least, float(halo.max()) + most),
    )
    tables = np.zeros((len(depth_mm), COMPONENTS, 4))
    for component in range(COMPONENTS):
        width = widths[min(component, 1)]
        variance = variances[:, component]
        tables[:, component, AMOUNT] = dose * shares[:, component]
        tables[:, component, PLACE] = width.place(variance)
        tables[:, component, SLOPE] = 1.0 / (LOG_RATIO * (width.base_mm2 + variance))
        tables[:, component, VARIANCE] = variance
    return tables, widths


def _draw(maps: Maps, levels: Sequence[int], widths: Widths, spots: Spots) -> None:
    row, added_mm2 = np.zeros(int(maps.columns.max())), widths.added_mm2
    for level in levels:
        draw_spots(
            maps,
            level,
            float(added_mm2[level]),
            spots.x_mm,
            spots.y_mm,
            spots.particles,
            spots.sigma_x_mm,
            spots.sigma_y_mm,
            row,
        )
