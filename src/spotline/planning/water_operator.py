"""Dose of regular grids of spots in a water phantom, as a linear operator and its adjoint.

Spots of all layers stand on one grid, and so do the points in which dose is wanted, in rays from the source.
Across the beam a Gaussian is then the product of two matrices, one per axis, and neither needs more than
some thousand numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spotline.dose.engine.pencil_beams import GY_PER_MEV_PER_G, MM2_PER_CM2, Divergence
from spotline.dose.engine.voxel_loop import COMPONENTS
from spotline.machine.library import Entry

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class WaterPoints:
    """Where dose is wanted; the points are all combinations.

    Attributes
    ----------
    depth_mm : ndarray, shape (nz,)
        Depths in water.
    x_iso_mm, y_iso_mm : ndarray, shapes (nx,), (ny,)
        Where their rays cross the plane of the isocentre.
    isocentre_depth_mm : float
        Depth of the isocentre.
    """

    depth_mm: Floats
    x_iso_mm: Floats
    y_iso_mm: Floats
    isocentre_depth_mm: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Numbers of depths, rows (y) and columns (x)."""
        return len(self.depth_mm), len(self.y_iso_mm), len(self.x_iso_mm)


class WaterOperator:
    """From particles of spots to dose in points, and back.

    Parameters
    ----------
    entries : sequence of Entry
        What the beam of each layer does in water, behind everything that lies before it.
    sigma_mm : sequence of (float, float)
        Standard deviations of the spots of each layer in air, in x and y, at the isocentre.
    x_mm, y_mm : ndarray, shapes (columns,), (rows,)
        Positions of the spots, the same in all layers.
    points : WaterPoints
    divergence : sequence of Divergence
        Of each layer.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        sigma_mm: Sequence[tuple[float, float]],
        x_mm: Floats,
        y_mm: Floats,
        points: WaterPoints,
        divergence: Sequence[Divergence],
    ) -> None:
        self.entries = tuple(entries)
        self.points = points
        self.shape = (len(self.entries), len(y_mm), len(x_mm))
        height = points.isocentre_depth_mm - points.depth_mm
        n = len(points.depth_mm)
        self._amount = np.zeros((n, len(self.entries), COMPONENTS))
        self._across_x = np.zeros((n, len(self.entries), COMPONENTS, len(points.x_iso_mm), len(x_mm)))
        self._across_y = np.zeros((n, len(self.entries), COMPONENTS, len(points.y_iso_mm), len(y_mm)))
        for k, (entry, sigmas, beam) in enumerate(zip(self.entries, sigma_mm, divergence, strict=True)):
            scale_x = beam.x_source_mm / (beam.x_source_mm - height)
            scale_y = beam.y_source_mm / (beam.y_source_mm - height)
            change = beam.linear_mm * height + beam.quadratic * height**2
            lateral = entry.lateral(points.depth_mm)
            shares = np.column_stack([1.0 - lateral.halo_share.sum(axis=1), lateral.halo_share])
            added = np.column_stack([lateral.core_mm**2, lateral.halo_mm**2]) + change[:, None]
            added *= (scale_x * scale_y)[:, None]
            dose = entry.dose_MeV_cm2_g(points.depth_mm) * scale_x * scale_y
            self._amount[:, k] = shares * dose[:, None] * GY_PER_MEV_PER_G * MM2_PER_CM2
            for across, at, spots, sigma in (
                (self._across_x, points.x_iso_mm, x_mm, sigmas[0]),
                (self._across_y, points.y_iso_mm, y_mm, sigmas[1]),
            ):
                variance = (sigma**2 + added)[:, :, None, None]
                away = (at[:, None] - spots[None, :]) ** 2
                across[:, k] = np.exp(-0.5 * away / variance) / np.sqrt(2.0 * np.pi * variance)
        self._used = self._amount > 1e-6 * self._amount.max()

    @property
    def size(self) -> int:
        """Number of spots."""
        return int(np.prod(self.shape))

    def weights(self, quantity: Floats | None = None) -> Floats:
        """Amounts of dose by depth, layer and component; times a quantity of shape (nz, layers) if given."""
        return self._amount if quantity is None else self._amount * quantity[:, :, None]

    def core(self, depth: int, layer: int) -> tuple[Floats, Floats]:
        """Core of the spots of a layer at a depth: along y, shape (ny, rows), and along x, (nx, columns)."""
        return self._across_y[depth, layer, 0], self._across_x[depth, layer, 0]

    def dose(self, particles: Floats, quantity: Floats | None = None) -> Floats:
        """Dose in Gy, or dose times a quantity of shape (nz, layers), for particles of shape `shape`."""
        amount = self.weights(quantity)
        dose = np.zeros(self.points.shape)
        for z in range(len(dose)):
            layer, component = np.nonzero(self._used[z])
            across = self._across_y[z, layer, component] @ particles[layer]
            across *= amount[z, layer, component][:, None, None]
            dose[z] = np.einsum("kyc,kxc->yx", across, self._across_x[z, layer, component], optimize=True)
        return dose

    def adjoint(self, values: Floats, quantity: Floats | None = None) -> Floats:
        """Transpose of `dose`: from values in the points to the spots."""
        amount = self.weights(quantity)
        particles = np.zeros(self.shape)
        for z in range(len(values)):
            layer, component = np.nonzero(self._used[z])
            back = np.swapaxes(self._across_y[z, layer, component], 1, 2) @ values[z]
            back = back @ self._across_x[z, layer, component]
            back *= amount[z, layer, component][:, None, None]
            np.add.at(particles, layer, back)
        return particles
