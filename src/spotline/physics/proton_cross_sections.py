"""Nuclear cross sections of protons, per element: elastic on hydrogen, elastic and inelastic on nuclei.

* Proton on proton: Cugnon, L'Hote and Vandermeulen, Nucl. Instrum. Methods B 111 (1996) 215, elastic branch.
* Inelastic (nonelastic) on C, N, O, Al and Ca from 5 to 250 MeV: the evaluated values of ICRU Report 63
  (2000), constant above.  Elements between these are interpolated in the logarithm of the mass number; all
  others are scaled with A^(2/3) from the nearest.
* Elastic on nuclei, the nuclear part alone (what is Coulomb scattering belongs to multiple scattering): the
  angular distributions of ICRU 63 beyond 10 degrees, continued to forward angles with their own exponential
  slope in the square of the momentum transfer.  Only oxygen is tabulated; the others are scaled with A^0.9,
  which holds for C, N, Al and Ca within a quarter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Floats
from spotline.errors import PhysicsError
from spotline.physics.elements import ELEMENTS
from spotline.physics.ions import PROTON

LOWEST_MeV = 3.0
"""Below, protons have less than 0.2 mm of water to go, and no nuclear reactions."""
HIGHEST_MeV = 450.0

_INELASTIC_MeV = (
    *(3.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 15.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 120.0),
    *(150.0, 180.0, 200.0, 250.0),
)
# ICRU 63, in mb, at the energies above.
_INELASTIC_mb: dict[int, tuple[float, ...]] = {
    6: (
        0, 76, 295, 320, 358, 333, 320, 345, 382, 441, 424, 401, 363, 334, 306, 256, 227, 222,
        222, 214, 210, 210,
    ),
    7: (
        0, 295, 327, 356, 381, 399, 415, 448, 481, 519, 511, 472, 424, 362, 330, 279, 260, 258,
        257, 257, 257, 257,
    ),
    8: (
        0, 0, 50, 208, 308, 381, 425, 479, 518, 535, 530, 501, 449, 401, 362, 313, 297, 295,
        295, 295, 295, 295,
    ),
    13: (
        0, 619, 633, 653, 678, 706, 732, 754, 764, 760, 720, 686, 626, 575, 515, 454, 421, 401,
        399, 400, 400, 400,
    ),
    20: (
        0, 45, 165, 382, 528, 632, 703, 783, 838, 843, 880, 880, 812, 755, 706, 631, 583, 557,
        537, 527, 529, 535,
    ),
}  # fmt: skip

_ELASTIC_MeV = (3.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 120.0, 150.0, 180.0, 200.0, 250.0)
_ELASTIC_OXYGEN_mb = (0, 680, 780, 740, 635, 520, 420, 327, 232, 171, 113, 80, 68, 58)
ELASTIC_POWER = 0.9
"""Of the mass number, for elements other than oxygen."""


def mass_number(atomic_number: int) -> int:
    """Nucleons of the commonest isotope of an element.

    Raises
    ------
    PhysicsError
        If there is no such element in `ELEMENTS`.
    """
    if atomic_number not in ELEMENTS:
        known = ", ".join(map(str, ELEMENTS))
        raise PhysicsError(
            f"nuclear reactions: no element of atomic number {atomic_number}; there are {known}"
        )
    return round(ELEMENTS[atomic_number].atomic_mass_u)


def elastic_slope_MeV2(nucleons: ArrayLike) -> Floats:
    """Slope b of elastic scattering, exp(-b t) in the squared momentum transfer t; in (MeV/c)^-2.

    35 A^0.3 (GeV/c)^-2, fitted to the angular distributions of ICRU 63 from 80 to 200 MeV (C 81, O 76,
    Al 100, Ca 104).
    """
    slope: Floats = 35e-6 * np.asarray(nucleons, dtype=float) ** 0.3
    return slope


def proton_proton_mb(energy_MeV: ArrayLike) -> Floats:
    """Elastic cross section of a proton on a proton, in mb; same shape as `energy_MeV`.

    Cugnon et al. (1996), with the numbers of codes that use it (SMASH) and the momentum p in GeV/c:
    34 (p/0.4)^-2.104 below 0.44, and 23.5 + 1000 (p - 0.7)^4 up to 0.8.  Above (300 MeV), where pions begin
    to be made, it stays 23.5.
    """
    energy = np.asarray(energy_MeV, dtype=float)
    p = np.sqrt(energy * (energy + 2.0 * PROTON.mass_MeV)) * 1e-3
    slow = 34.0 * (np.maximum(p, 1e-3) / 0.4) ** -2.104
    fast = 23.5 + 1000.0 * (np.minimum(p, 0.7) - 0.7) ** 4
    cross_section: Floats = np.where(p < 0.44, slow, fast)
    return np.where(energy < LOWEST_MeV, 0.0, cross_section)


def inelastic_mb(atomic_number: int, energy_MeV: ArrayLike) -> Floats:
    """Inelastic (nonelastic) cross section of a proton on a nucleus, in mb; zero for hydrogen.

    Parameters
    ----------
    atomic_number : int
        Of the target.
    energy_MeV : array_like
        Kinetic energy; constant above 250 MeV, and zero where a nucleus has no channel open.
    """
    energy = np.asarray(energy_MeV, dtype=float)
    nucleons = mass_number(atomic_number)
    if atomic_number == 1:
        return np.zeros_like(energy)
    known = np.array(list(_INELASTIC_mb))
    masses = np.array([mass_number(int(z)) for z in known], dtype=float)
    # A cross section over A^(2/3) varies little, so that beyond the ends it is simply held.
    reduced = np.array([np.interp(energy, _INELASTIC_MeV, _INELASTIC_mb[int(z)]) for z in known])
    reduced = reduced / masses.reshape(-1, *[1] * energy.ndim) ** (2.0 / 3.0)
    upper = int(np.clip(np.searchsorted(masses, nucleons), 1, len(masses) - 1))
    share = np.log(nucleons / masses[upper - 1]) / np.log(masses[upper] / masses[upper - 1])
    share = float(np.clip(share, 0.0, 1.0))
    value = (1.0 - share) * reduced[upper - 1] + share * reduced[upper]
    cross_section: Floats = value * nucleons ** (2.0 / 3.0)
    return cross_section


def elastic_mb(atomic_number: int, energy_MeV: ArrayLike) -> Floats:
    """Nuclear elastic cross section of a proton on a nucleus (on hydrogen: on a proton), in mb."""
    if atomic_number == 1:
        return proton_proton_mb(energy_MeV)
    scale = (mass_number(atomic_number) / 16.0) ** ELASTIC_POWER
    energy = np.asarray(energy_MeV, dtype=float)
    cross_section: Floats = np.asarray(np.interp(energy, _ELASTIC_MeV, _ELASTIC_OXYGEN_mb)) * scale
    return cross_section
