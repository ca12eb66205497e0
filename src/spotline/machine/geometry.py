"""From the isocentre to the chambers and magnets, and between the rows of tables.

Pure functions on numbers and arrays.  Angles are at most 21 mrad, so that sine, tangent and angle agree
within 2e-4; everything here is linear in the angle.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator

from spotline.arrays import Floats
from spotline.tables import GainMap

if TYPE_CHECKING:
    from spotline.machine.model import BeamLineFile
    from spotline.machine.monitors import Monitor, Plane


Distance = TypeVar("Distance", float, Floats)


def per_isocentre(source_mm: float, distance_mm: Distance) -> Distance:
    """Position in some plane per position at the isocentre, of a beam from a virtual source.

    Parameters
    ----------
    source_mm : float
        Distance of the virtual source (the magnet) from the isocentre.
    distance_mm : float or ndarray
        Distance of the plane from the isocentre, upstream positive.
    """
    if math.isinf(source_mm):  # a parallel beam
        return 1.0 + 0.0 * distance_mm
    return (source_mm - distance_mm) / source_mm


def isocentre_per(source_mm: float, distance_mm: Distance) -> Distance:
    """Position at the isocentre per position in some plane: the inverse of `per_isocentre`."""
    if math.isinf(source_mm):
        return 1.0 + 0.0 * distance_mm
    return source_mm / (source_mm - distance_mm)


def project_to_chamber_mm(position_iso_mm: ArrayLike, source_mm: float, chamber_mm: float) -> Floats:
    """Where a beam aimed at a position at the isocentre crosses a chamber.

    Parameters
    ----------
    position_iso_mm : array_like
        Position at the isocentre in the plane of the magnet.
    source_mm : float
        Distance of the magnet (virtual source) from the isocentre.
    chamber_mm : float
        Distance of the chamber from the isocentre, upstream positive.
    """
    projected: Floats = np.asarray(position_iso_mm, dtype=float) * per_isocentre(source_mm, chamber_mm)
    return projected


def position_at_mm(
    facts: BeamLineFile, monitor: Monitor | None, plane: Plane, position_iso_mm: Floats
) -> Floats:
    """Where beams aimed at positions at the isocentre cross a monitor; NaN without the monitor."""
    if monitor is None:
        return np.full(np.shape(position_iso_mm), np.nan)
    source_mm = facts.geometry.source_to_isocentre_mm(plane)
    return project_to_chamber_mm(position_iso_mm, source_mm, monitor.distance_mm)


def isocentre_per_monitor(facts: BeamLineFile, monitor: Monitor | None, plane: Plane) -> float | None:
    """Position at the isocentre per position at a monitor, in a plane; None without the monitor."""
    if monitor is None:
        return None
    return isocentre_per(facts.geometry.source_to_isocentre_mm(plane), monitor.distance_mm)


def current_A(
    position_iso_mm: ArrayLike, source_mm: float, rigidity_T_m: float, integral_field_mT_m_per_A: float
) -> Floats:
    """Magnet current that bends the beam to a position at the isocentre.

    ``I = (x / L) (B rho) / (B l / I)``: the angle is the integrated field over the rigidity.

    Parameters
    ----------
    position_iso_mm : array_like
        Position at the isocentre.
    source_mm : float
        Distance of the magnet from the isocentre.
    rigidity_T_m : float
        Magnetic rigidity of the ion, `spotline.physics.ions.Ion.rigidity_T_m`.
    integral_field_mT_m_per_A : float
        Integrated field per current.
    """
    angle_mrad = np.asarray(position_iso_mm, dtype=float) / source_mm * 1e3
    current: Floats = angle_mrad * rigidity_T_m / integral_field_mT_m_per_A
    return current


def position_iso_mm(
    current_A: ArrayLike, source_mm: float, rigidity_T_m: float, integral_field_mT_m_per_A: float
) -> Floats:
    """Position at the isocentre that a magnet current bends the beam to: inverse of `current_A`."""
    angle_mrad = np.asarray(current_A, dtype=float) * integral_field_mT_m_per_A / rigidity_T_m
    position: Floats = angle_mrad * source_mm * 1e-3
    return position


def interpolate(energy_MeV_u: ArrayLike, table_MeV_u: Floats, values: Floats) -> Floats:
    """Interpolate a column of a table in energy.

    Piecewise cubic that keeps monotony (PCHIP: Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5 (1984)
    300); NaN outside the table.  A table of one row holds at its one energy only.
    """
    energy = np.asarray(energy_MeV_u, dtype=float)
    if len(table_MeV_u) == 1:
        return np.where(energy == table_MeV_u[0], values[0], np.nan)
    interpolated: Floats = PchipInterpolator(table_MeV_u, values, extrapolate=False)(energy)
    return interpolated


def gain_at(gain_map: GainMap | None, x_iso_mm: ArrayLike, y_iso_mm: ArrayLike) -> Floats:
    """Relative gain at positions at the isocentre, bilinear between the points of the map.

    Parameters
    ----------
    gain_map : GainMap or None
        None stands for a uniform chamber.
    x_iso_mm, y_iso_mm : array_like
        Positions, of one shape.  Beyond the map its edge holds.

    Returns
    -------
    ndarray
        Same shape as the positions.
    """
    x, y = np.broadcast_arrays(np.asarray(x_iso_mm, dtype=float), np.asarray(y_iso_mm, dtype=float))
    if gain_map is None:
        return np.ones(x.shape)
    column, u = _cell(gain_map.x_iso_mm, x)
    row, v = _cell(gain_map.y_iso_mm, y)
    g = gain_map.gain
    near = (1.0 - u) * g[row, column] + u * g[row, column + 1]
    far = (1.0 - u) * g[row + 1, column] + u * g[row + 1, column + 1]
    gain: Floats = (1.0 - v) * near + v * far
    return gain


def _cell(grid: Floats, position: Floats) -> tuple[NDArray[np.intp], Floats]:
    """Index of the grid interval that holds each position, and the fraction of the way through it."""
    clipped = np.clip(position, grid[0], grid[-1])
    index = np.clip(np.searchsorted(grid, clipped, side="right") - 1, 0, len(grid) - 2)
    fraction: Floats = (clipped - grid[index]) / (grid[index + 1] - grid[index])
    return index, fraction
