"""How much water the nozzle of a line is worth, from the depths at which its peaks lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats
from spotline.errors import LibraryError
from spotline.machine.library.model import BeamLibrary


@dataclass(frozen=True, slots=True, eq=False)
class NozzleFit:
    """One thickness for all energies of an ion on a line.

    Attributes
    ----------
    nozzle_mm : float
        Water-equivalent thickness, as in the beam line.
    energy_MeV_u : ndarray, shape (n,)
        Energies that it was fitted to.
    residual_mm : ndarray, shape (n,)
        Depth of the simulated peak behind that nozzle less the depth that it should have.
    """

    nozzle_mm: float
    energy_MeV_u: Floats
    residual_mm: Floats


def calibrate_nozzle(library: BeamLibrary, energy_MeV_u: ArrayLike, depth_mm: ArrayLike) -> NozzleFit:
    """Fit the thickness that brings simulated peaks to measured depths, by least squares.

    Without ripple filters: a nominal depth is that of the beam without them.  The published pairs of CNAO
    tell so, since protons, which have none, and carbon ions then need the same thickness.

    Parameters
    ----------
    library : BeamLibrary
        The ion's.
    energy_MeV_u : array_like, shape (n,)
        Energies of known depth.
    depth_mm : array_like, shape (n,)
        Depths of the peak behind the nozzle.

    Raises
    ------
    LibraryError
        If the peaks lie deeper than the beam reaches, or the library lacks an energy.
    """
    energies = np.atleast_1d(np.asarray(energy_MeV_u, dtype=float))
    peaks = np.array([library.entry(energy).ranges().peak_mm for energy in energies])
    ahead_mm = peaks - np.atleast_1d(np.asarray(depth_mm, dtype=float))
    nozzle_mm = float(ahead_mm.mean())
    if nozzle_mm < 0.0:
        raise LibraryError(
            f"{library.path or 'beam library'}: peaks lie {-nozzle_mm:.2f} mm deeper than the beam reaches "
            "in water; check energies and depths"
        )
    return NozzleFit(nozzle_mm, energies, ahead_mm - nozzle_mm)
