"""The modified microdosimetric kinetic model.

``alpha = alpha_0 + beta z*`` and a beta of its own for all radiations (Hawkins, Radiat. Res. 140 (1994) 366;
Kase et al., Radiat. Res. 166 (2006) 629; Inaniwa et al., Phys. Med. Biol. 55 (2010) 6721; the numbers of
their equations are not at hand, `verification.rbe` has figures of theirs and of another code)::

    z* = sum(z_0^2 (1 - exp(-z^2 / z_0^2)) A) / sum(z A)
    z_0 = (R_n / r_d)^2 / sqrt(beta (1 + (R_n / r_d)^2))

z is the dose that one ion leaves in a domain of radius r_d (`spotline.dose.rbe.track`), summed over all
the area A that it may pass through; z_0, of a nucleus of radius R_n, saturates what is more than enough to
kill.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from spotline.arrays import Floats
from spotline.dose.rbe.effect import Tissue, check_sums, linear_quadratic_dose
from spotline.dose.rbe.spectrum import NUCLIDES, dose_weighted
from spotline.dose.rbe.track import domain_events
from spotline.errors import DoseError
from spotline.machine.library import Entry
from spotline.physics.stopping import HIGHEST_ENERGY_MeV_u, LOWEST_ENERGY_MeV_u

LOW_LET = "mkm-low-let"
"""Name of the model whose photons have alpha_0."""
LEAST_AT_SMALL_LET = 0.7
"""Least alpha_0 over that of photons for beams of protons.  What X-rays have of LET themselves, a z* of about
1 Gy, makes it 0.74; below that figures of two sources do not belong together."""

NODES_MeV_u: Floats = np.geomspace(LOWEST_ENERGY_MeV_u, HIGHEST_ENERGY_MeV_u, 80)


@dataclass(frozen=True, slots=True)
class Mkm:
    """The model with its figures; by default those of human salivary gland cells.

    alpha_0, beta and both radii: Inaniwa et al., Phys. Med. Biol. 60 (2015) 3271.  Photons: 200 kV X-rays on
    the same cells, measured by Furusawa et al., Radiat. Res. 154 (2000) 485, fitted by Friedrich et al., J.
    Radiat. Res. 54 (2013) 494, figure 8.

    Attributes
    ----------
    alpha_0_per_Gy, beta_per_Gy2 : float
        alpha in the limit of small LET, and beta of all ions.
    domain_radius_um, nucleus_radius_um : float
        r_d and R_n.
    photon_alpha_per_Gy, photon_beta_per_Gy2 : float
        Of the radiation that RBE refers to.
    name : str
        What the model is called.

    Raises
    ------
    DoseError
        If a figure is not above 0, or the domain not within the nucleus.
    """

    alpha_0_per_Gy: float = 0.172
    beta_per_Gy2: float = 0.0615
    domain_radius_um: float = 0.32
    nucleus_radius_um: float = 3.9
    photon_alpha_per_Gy: float = 0.313
    photon_beta_per_Gy2: float = 0.0615
    name: str = "mkm"

    def __post_init__(self) -> None:
        for field in fields(self)[:-1]:
            value = getattr(self, field.name)
            if not (math.isfinite(value) and value > 0.0):
                raise DoseError(f"RBE model {self.name}: {field.name} of {value:g}; give a number above 0")
        if self.domain_radius_um >= self.nucleus_radius_um:
            raise DoseError(
                f"RBE model {self.name}: a domain of {self.domain_radius_um:g} um in a nucleus of "
                f"{self.nucleus_radius_um:g} um; domain_radius_um must be the smaller one"
            )

    @property
    def number(self) -> int:
        """How many quantities are summed."""
        return 2

    @property
    def tissue(self) -> Tissue:
        """How photons act."""
        return Tissue(self.photon_alpha_per_Gy / self.photon_beta_per_Gy2)

    @property
    def _at_small_let(self) -> float:
        """RBE_max in the limit of small LET."""
        return self.alpha_0_per_Gy / self.photon_alpha_per_Gy

    @property
    def saturation_Gy(self) -> float:
        """z_0."""
        ratio2 = (self.nucleus_radius_um / self.domain_radius_um) ** 2
        return ratio2 / math.sqrt(self.beta_per_Gy2 * (1.0 + ratio2))

    def specific_energy_Gy(self, charge_number: int, energy_MeV_u: Floats) -> Floats:
        """z* at energies of shape (n,) of the nuclide that stands for a charge number from 1 to 8."""
        table = _specific_energies_Gy(self.domain_radius_um, self.saturation_Gy)[charge_number - 1]
        specific: Floats = np.exp(np.interp(np.log(energy_MeV_u), np.log(NODES_MeV_u), np.log(table)))
        return specific

    def alpha_per_Gy(self, charge_number: int, energy_MeV_u: Floats) -> Floats:
        """Return alpha at energies of shape (n,); arguments as of `specific_energy_Gy`."""
        alpha: Floats = self.alpha_0_per_Gy + self.beta_per_Gy2 * self.specific_energy_Gy(
            charge_number, energy_MeV_u
        )
        return alpha

    def quantities(self, entry: Entry) -> Callable[[Floats], Floats]:
        """Return a function that gives RBE_max and RBE_min at depths of shape (m,): shape (m, 2).

        Raises
        ------
        DoseError
            If the beam is of protons, and alpha_0 and that of photons do not belong together.
        """
        if entry.ion.charge_number == 1 and self._at_small_let < LEAST_AT_SMALL_LET:
            raise DoseError(
                f"RBE model {self.name}: has alpha_0 of {self.alpha_0_per_Gy:g} and photons of "
                f"{self.photon_alpha_per_Gy:g} /Gy, of two sources, so that fast protons would have an RBE "
                f"of {self._at_small_let:.2f} at small doses; for protons use {LOW_LET}, a model by LETd, or "
                "a TOML file with figures of one source"
            )
        largest = dose_weighted(
            entry, lambda z, energy: self.alpha_per_Gy(z, energy)[:, None] / self.photon_alpha_per_Gy
        )
        smallest = math.sqrt(self.beta_per_Gy2 / self.photon_beta_per_Gy2)
        return lambda depth_mm: np.column_stack([largest(depth_mm), np.full(len(depth_mm), smallest)])

    def effective_dose(self, dose_Gy: Floats, weighted: Floats, fractions: int = 1) -> Floats:
        """RBE-weighted dose; arguments as of `spotline.dose.rbe.effect.linear_quadratic_dose`."""
        check_sums(self.name, dose_Gy, weighted, self.number, fractions)
        return linear_quadratic_dose(dose_Gy, weighted, self.tissue, fractions)


def low_let_mkm() -> Mkm:
    """Return the model with photons that act as radiation of small LET does in it: RBE is 1 there."""
    return Mkm(photon_alpha_per_Gy=Mkm().alpha_0_per_Gy, name=LOW_LET)


@functools.lru_cache(maxsize=16)
def _specific_energies_Gy(domain_um: float, saturation_Gy: float) -> Floats:
    """z* by charge number from 1 on and energy, shape (8, n)."""
    tables = []
    for nuclide in NUCLIDES:
        specific, area = domain_events(nuclide, NODES_MeV_u, domain_um)
        saturated = -(saturation_Gy**2) * np.expm1(-((specific / saturation_Gy) ** 2))
        tables.append((saturated * area).sum(axis=1) / (specific * area).sum(axis=1))
    return np.array(tables)
