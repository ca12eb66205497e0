"""Spread of a Gaussian beam through a stack of layers: the moments of Fermi and Eyges.

In one plane a beam is a Gaussian in position and angle with three moments: the variance of the angle, the
covariance, and the variance of the position.  A layer of thickness L with scattering power T(x) makes of
them (Eyges, Phys. Rev. 74 (1948) 1534)::

    A0 -> A0 + int T dx
    A1 -> A1 + A0 L + int T (L - x) dx
    A2 -> A2 + 2 A1 L + A0 L^2 + int T (L - x)^2 dx
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats
from spotline.errors import OptionError
from spotline.physics.ions import Ion
from spotline.physics.materials import Material
from spotline.physics.phase_space import PhaseSpace
from spotline.physics.scattering import range_table, scattering_power_rad2_cm2_per_g

# Points and weights of Gauss on 0..1.  So many hold the logarithm at the beginning of a path to 1e-4.
_POINTS, _WEIGHTS = (0.5 * (np.polynomial.legendre.leggauss(32)[k] + (1.0, 0.0)[k]) for k in (0, 1))


class Layer(NamedTuple):
    """A homogeneous part of the way.

    Attributes
    ----------
    material : Material or None
        None: vacuum.
    thickness_mm : float
        Along the beam, not below 0.
    """

    material: Material | None
    thickness_mm: float


class Transported(NamedTuple):
    """A beam behind a stack of layers.

    Attributes
    ----------
    phase_space : PhaseSpace
        Its moments, arrays of the shape of the energies.
    energy_MeV_u : ndarray
        What is left of the energy.
    """

    phase_space: PhaseSpace
    energy_MeV_u: Floats


def propagate(
    phase_space: PhaseSpace,
    ion: Ion,
    energy_MeV_u: ArrayLike,
    layers: Sequence[Layer],
    *,
    initial_energy_MeV_u: ArrayLike | None = None,
) -> Transported:
    """Carry a beam through layers, with energy loss and multiple scattering.

    Parameters
    ----------
    phase_space : PhaseSpace
        The beam in front of the first layer; floats, or arrays of the shape of `energy_MeV_u`.
    ion : Ion
        Its particles.
    energy_MeV_u : array_like
        Their kinetic energy per nucleon there.
    layers : sequence of Layer
        In the order in which the beam meets them.
    initial_energy_MeV_u : array_like, optional
        Energy with which the beam met the first matter of its way, which the scattering power wants to know;
        by default `energy_MeV_u`.

    Returns
    -------
    Transported
        With arrays of the shape of `energy_MeV_u`.

    Raises
    ------
    OptionError
        If a thickness is negative or the ion stops in a layer.
    """
    energy = np.asarray(energy_MeV_u, dtype=float)
    initial = energy if initial_energy_MeV_u is None else np.asarray(initial_energy_MeV_u, dtype=float)
    nothing = np.zeros(energy.shape)
    # In mm and mrad: a way in metres turns mrad into mm.
    a0 = nothing + np.square(phase_space.divergence_mrad)
    a1 = nothing + phase_space.covariance_mm_mrad
    a2 = nothing + np.square(phase_space.sigma_mm)
    for layer in layers:
        if not layer.thickness_mm >= 0.0:
            raise OptionError(f"layer: its thickness is {layer.thickness_mm:g} mm; give 0 or more")
        length_m = layer.thickness_mm / 1000.0
        a2 = a2 + 2.0 * a1 * length_m + a0 * length_m**2
        a1 = a1 + a0 * length_m
        if layer.material is None or layer.thickness_mm == 0.0:
            continue
        before = energy
        energy, way_m, power = _along(ion, energy, initial, layer.material, layer.thickness_mm)
        if not np.all(np.isfinite(energy)):
            raise OptionError(
                f"{ion.name} of {float(np.min(before)):.4g} MeV/u stops in {layer.thickness_mm:g} mm of "
                f"{layer.material.name}; use a higher energy or a thinner layer"
            )
        a0 = a0 + np.sum(power, axis=0)
        a1 = a1 + np.sum(power * way_m, axis=0)
        a2 = a2 + np.sum(power * way_m**2, axis=0)
    return Transported(PhaseSpace(np.sqrt(a2), np.sqrt(a0), a1), energy)


def _along(
    ion: Ion, energy_MeV_u: Floats, initial_MeV_u: Floats, material: Material, thickness_mm: float
) -> tuple[Floats, Floats, Floats]:
    """Energy behind a layer; at points along it the way still to go in m, and the scattering in mrad2.

    The points have a first axis more.  They are even in the logarithm of the range left, in which the
    scattering power changes slowly down to the end of the range.
    """
    table = range_table(ion, material)
    first = table.range_mm(energy_MeV_u)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.log1p(-thickness_mm / first)
    points = _POINTS.reshape(-1, *([1] * energy_MeV_u.ndim))
    weights = _WEIGHTS.reshape(points.shape)
    left_mm = first * np.exp(ratio * points)
    per_g = scattering_power_rad2_cm2_per_g(ion, table.energy_MeV_u(left_mm), material, initial_MeV_u)
    step_mm = -ratio * left_mm * weights
    power = per_g * 1e6 * material.density_g_cm3 * step_mm / 10.0
    way_m = (left_mm - (first - thickness_mm)) / 1000.0
    return table.energy_MeV_u(first - thickness_mm), way_m, power
