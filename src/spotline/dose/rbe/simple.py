"""Models of RBE that need no spectrum: a constant, and functions of the dose-averaged LET of protons."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spotline.arrays import Floats
from spotline.dose.rbe.effect import Tissue, check_sums, linear_quadratic_dose
from spotline.errors import DoseError
from spotline.machine.library import Entry

PROTON_RBE = 1.1
"""ICRU Report 78 (2007), section 2."""


@dataclass(frozen=True, slots=True)
class ConstantRbe:
    """The same RBE at any depth, dose and place.

    Attributes
    ----------
    rbe : float
        Its value.
    ion : str
        The only ion that it is meant for.
    name : str
        What the model is called.

    Raises
    ------
    DoseError
        If the RBE is not above 0.
    """

    rbe: float = PROTON_RBE
    ion: str = "proton"
    name: str = "constant"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rbe) and self.rbe > 0.0):
            raise DoseError(f"RBE model {self.name}: RBE of {self.rbe:g}; give a number above 0")

    @property
    def number(self) -> int:
        """How many quantities are summed."""
        return 0

    def quantities(self, entry: Entry) -> Callable[[Floats], Floats]:
        """Return a function that gives no quantities, shape (m, 0); fails for another ion."""
        refuse_other(self.name, entry, self.ion)
        return lambda depth_mm: np.zeros((len(depth_mm), 0))

    def effective_dose(self, dose_Gy: Floats, weighted: Floats, fractions: int = 1) -> Floats:
        """RBE-weighted dose; arguments as of `spotline.dose.rbe.effect.linear_quadratic_dose`."""
        check_sums(self.name, dose_Gy, weighted, self.number, fractions)
        return self.rbe * np.asarray(dose_Gy, dtype=float)


@dataclass(frozen=True, slots=True)
class LetdModel:
    """RBE_max and RBE_min of protons, both linear in the dose-averaged LET L of hydrogen nuclei.

    ``RBE_max = p0 + p1 L / (alpha/beta)`` and ``RBE_min = p2 + p3 L (alpha/beta)^power``.

    Attributes
    ----------
    name : str
        What the model is called.
    p0, p1, p2, p3, power : float
        Its coefficients; p1 in Gy um/keV, p3 in um/keV times Gy to the -power.
    tissue : Tissue
        What is irradiated.
    """

    name: str
    p0: float
    p1: float
    p2: float
    p3: float
    power: float
    tissue: Tissue

    @property
    def number(self) -> int:
        """How many quantities are summed."""
        return 2

    def coefficients(self, letd_keV_um: Floats) -> Floats:
        """RBE_max and RBE_min at values of LETd of shape (m,): shape (m, 2)."""
        ratio = self.tissue.alpha_beta_Gy
        largest = self.p0 + self.p1 * letd_keV_um / ratio
        # Far above the LET that it was made for the fit would go below 0.
        smallest = np.maximum(self.p2 + self.p3 * letd_keV_um * ratio**self.power, 0.0)
        return np.column_stack([largest, smallest])

    def quantities(self, entry: Entry) -> Callable[[Floats], Floats]:
        """Return a function that gives RBE_max and RBE_min at depths; fails for other ions than protons.

        L is LETd of hydrogen nuclei, or of all charged particles if the library is old and has no other.
        """
        refuse_other(self.name, entry, "proton")
        return lambda depth_mm: self.coefficients(entry.letd(depth_mm))

    def effective_dose(self, dose_Gy: Floats, weighted: Floats, fractions: int = 1) -> Floats:
        """RBE-weighted dose; arguments as of `spotline.dose.rbe.effect.linear_quadratic_dose`."""
        check_sums(self.name, dose_Gy, weighted, self.number, fractions)
        return linear_quadratic_dose(dose_Gy, weighted, self.tissue, fractions)


def wedenberg(tissue: Tissue) -> LetdModel:
    """Wedenberg, Lind and Hardemark, Acta Oncol. 52 (2013) 580: ten cell lines, up to 30 keV/um."""
    return LetdModel("wedenberg", 1.0, 0.434, 1.0, 0.0, 0.0, tissue)


def mcnamara(tissue: Tissue) -> LetdModel:
    """McNamara, Schuemann and Paganetti, Phys. Med. Biol. 60 (2015) 8399: 285 points, up to 20 keV/um."""
    return LetdModel("mcnamara", 0.99064, 0.35605, 1.1012, -0.0038703, 0.5, tissue)


def carabe(tissue: Tissue) -> LetdModel:
    """Carabe et al., Phys. Med. Biol. 57 (2012) 1159: V79 cells, of alpha/beta 2.686 Gy, up to 20 keV/um."""
    return LetdModel("carabe", 0.843, 0.154 * 2.686, 1.09, 0.006 * 2.686, -1.0, tissue)


def refuse_other(name: str, entry: Entry, ion: str) -> None:
    """Refuse a beam that a model was not made for.

    Raises
    ------
    DoseError
        If the entry is of another ion.
    """
    if entry.ion.name != ion:
        raise DoseError(
            f"RBE model {name}: is for {ion}s and the beam is {entry.ion.name}; use mkm, or a table of "
            "this ion"
        )
