"""The ions that Spotline knows, and their relativistic kinematics.

``energy_MeV_u`` is kinetic energy divided by the mass number, as in the energy lists of ion centres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from spotline.units import ATOMIC_MASS_UNIT_MeV, ELECTRON_MASS_MeV, SPEED_OF_LIGHT_m_per_s


@dataclass(frozen=True, slots=True)
class Ion:
    """A fully stripped ion.

    Attributes
    ----------
    name : str
        Name used in beam lines and reports, such as ``"carbon"``.
    symbol : str
        Chemical symbol with mass number, such as ``"12C"``.
    charge_number : int
        Number of elementary charges (DICOM Radiation Atomic Number).
    mass_number : int
        Number of nucleons (DICOM Radiation Mass Number).
    mass_MeV : float
        Rest energy of the bare nucleus.
    """

    name: str
    symbol: str
    charge_number: int
    mass_number: int
    mass_MeV: float

    def beta(self, energy_MeV_u: float) -> float:
        """Velocity in units of the speed of light."""
        gamma = self.gamma(energy_MeV_u)
        return math.sqrt(1.0 - 1.0 / gamma**2)

    def gamma(self, energy_MeV_u: float) -> float:
        """Lorentz factor."""
        return 1.0 + energy_MeV_u * self.mass_number / self.mass_MeV

    def momentum_MeV_c(self, energy_MeV_u: float) -> float:
        """Momentum of the whole ion in MeV/c."""
        kinetic_MeV = energy_MeV_u * self.mass_number
        return math.sqrt(kinetic_MeV * (kinetic_MeV + 2.0 * self.mass_MeV))

    def rigidity_T_m(self, energy_MeV_u: float) -> float:
        """Magnetic rigidity B rho = p / q in tesla metres."""
        return self.momentum_MeV_c(energy_MeV_u) * 1e6 / (SPEED_OF_LIGHT_m_per_s * self.charge_number)


def nucleus(name: str, symbol: str, z: int, a: int, atomic_mass_u: float) -> Ion:
    """Make an ion of a nuclide from the mass of its neutral atom (the binding of electrons is left out)."""
    return Ion(name, symbol, z, a, atomic_mass_u * ATOMIC_MASS_UNIT_MeV - z * ELECTRON_MASS_MeV)


# Atomic masses: AME2020, Wang et al., Chinese Physics C 45 (2021) 030003.
PROTON = nucleus("proton", "1H", 1, 1, 1.007825031898)
HELIUM = nucleus("helium", "4He", 2, 4, 4.002603254130)
CARBON = nucleus("carbon", "12C", 6, 12, 12.0)
OXYGEN = nucleus("oxygen", "16O", 8, 16, 15.994914619257)

IONS = {ion.name: ion for ion in (PROTON, HELIUM, CARBON, OXYGEN)}
"""All ions by name."""


def ion_from_numbers(charge_number: int, mass_number: int) -> Ion | None:
    """Find an ion by atomic number and mass number; None if Spotline does not know it."""
    for ion in IONS.values():
        if (ion.charge_number, ion.mass_number) == (charge_number, mass_number):
            return ion
    return None
