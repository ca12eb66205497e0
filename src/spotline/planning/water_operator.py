"""Dose of regular grids of spots in a water phantom, as a linear operator.

Spots of all layers stand on one grid, and so do the points in which dose is wanted, in rays from the source.
Across the beam a Gaussian is then the product of two matrices, one per axis, and neither needs more than
some thousand numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spotline.arrays import Floats
from spotline.dose.engine.pencil_beams import GY_PER_MEV_PER_G, MM2_PER_CM2, Divergence
from spotline.dose.engine.voxel_loop import COMPONENTS
from spotline.machine.geometry import isocentre_per
from spotline.machine.library import Entry


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
    """From particles of spots to dose in points.

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
            scale_x = isocentre_per(beam.x_source_mm, height)
            scale_y = isocentre_per(beam.y_source_mm, height)
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

    def separable(self, layer: int, along_y: Floats, along_x: Floats) -> Floats:
        """Dose in Gy of a layer for all products of some weights along y and some along x.

        Parameters
        ----------
        layer : int
        along_y, along_x : ndarray, shapes (i, rows), (j, columns)

        Returns
        -------
        ndarray, shape (nz, ny, nx, i * j)
        """
        rows = np.einsum("zcyr,ir->zcyi", self._across_y[:, layer], along_y, optimize=True)
        columns = np.einsum("zcxr,jr->zcxj", self._across_x[:, layer], along_x, optimize=True)
        rows *= self._amount[:, layer, :, None, None]
        dose = np.einsum("zcyi,zcxj->zyxij", rows, columns, optimize=True)
        return dose.reshape(*self.points.shape, -1)

    def dose(self, particles: Floats, quantity: Floats | None = None) -> Floats:
        """Dose in Gy, or dose times a quantity of shape (nz, layers), for particles of shape `shape`."""
        amount = self._amount if quantity is None else self._amount * quantity[:, :, None]
        dose = np.zeros(self.points.shape)
        for z in range(len(dose)):
            layer, component = np.nonzero(self._used[z])
            across = self._across_y[z, layer, component] @ particles[layer]
            across *= amount[z, layer, component][:, None, None]
            dose[z] = np.einsum("kyc,kxc->yx", across, self._across_x[z, layer, component], optimize=True)
        return dose
