"""From dose and its coefficients to RBE-weighted dose.

The linear-quadratic model gives the effect ``-ln S = alpha D + beta D^2``.  Divided by the beta of photons,
which is all that is done here, it needs three figures only (names of Carabe-Fernandez, Dale and Jones, Int.
J. Radiat. Biol. 83 (2007) 27)::

    E = (alpha/beta)_x RBE_max D + RBE_min^2 D^2
    RBE_max = alpha / alpha_x        the RBE of very small doses
    RBE_min = sqrt(beta / beta_x)    the RBE of very large doses

In a mixed field both are means weighted with dose (Zaider and Rossi, Radiat. Res. 83 (1980) 732), so that
sums of dose times RBE_max and of dose times RBE_min are all that has to be kept of any number of beams.
RBE-weighted dose is the dose of photons of the same effect, given in as many fractions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from spotline.arrays import Floats
from spotline.errors import DoseError

RBE_MAX, RBE_MIN = range(2)
"""Columns of the quantities of a linear-quadratic model."""


@dataclass(frozen=True, slots=True)
class Tissue:
    """How photons act on a tissue.

    Attributes
    ----------
    alpha_beta_Gy : float
        Ratio of alpha and beta.
    cut_Gy : float
        Dose above which the effect grows in a straight line, for photons and for ions
        (Kraemer and Scholz, Phys. Med. Biol. 45 (2000) 3319); by default it never does.

    Raises
    ------
    DoseError
        If a figure is not above 0.
    """

    alpha_beta_Gy: float
    cut_Gy: float = math.inf

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha_beta_Gy) and self.alpha_beta_Gy > 0.0):
            raise DoseError(
                f"tissue: alpha/beta of {self.alpha_beta_Gy:g} Gy; give a number above 0, such as 2"
            )
        if not self.cut_Gy > 0.0:
            raise DoseError(f"tissue: cut of {self.cut_Gy:g} Gy; give a dose above 0, or none")

    @property
    def steepest_Gy(self) -> float:
        """Effect per dose above the cut, over the beta of photons."""
        return self.alpha_beta_Gy + 2.0 * self.cut_Gy

    def photon_dose_Gy(self, effect_Gy2: Floats) -> Floats:
        """Dose of photons in one fraction for an effect over the beta of photons; same shape."""
        ratio = self.alpha_beta_Gy
        # This form of the solution keeps its digits where the effect is small.
        dose = 2.0 * effect_Gy2 / (ratio + np.sqrt(ratio**2 + 4.0 * effect_Gy2))
        if math.isinf(self.cut_Gy):
            return dose
        at_cut = self.cut_Gy * (ratio + self.cut_Gy)
        return np.where(effect_Gy2 > at_cut, self.cut_Gy + (effect_Gy2 - at_cut) / self.steepest_Gy, dose)


def linear_quadratic_dose(dose_Gy: Floats, weighted: Floats, tissue: Tissue, fractions: int = 1) -> Floats:
    """RBE-weighted dose from dose and the sums of dose times RBE_max and RBE_min.

    Parameters
    ----------
    dose_Gy : ndarray
        Physical dose of all fractions together, any shape.
    weighted : ndarray
        The shape of `dose_Gy` and (2,): dose times RBE_max, dose times RBE_min.
    tissue : Tissue
    fractions : int
        Number of equal fractions.

    Returns
    -------
    ndarray
        Gy (RBE) of all fractions together, the shape of `dose_Gy`.
    """
    dose = np.asarray(dose_Gy, dtype=float) / fractions
    linear = weighted[..., RBE_MAX] / fractions
    root = weighted[..., RBE_MIN] / fractions
    if math.isinf(tissue.cut_Gy):
        return fractions * tissue.photon_dose_Gy(tissue.alpha_beta_Gy * linear + root**2)
    curved = tissue.cut_Gy / np.maximum(dose, tissue.cut_Gy)
    effect = tissue.alpha_beta_Gy * linear * curved + (root * curved) ** 2
    effect += np.maximum(dose - tissue.cut_Gy, 0.0) * tissue.steepest_Gy
    return fractions * tissue.photon_dose_Gy(effect)


def check_sums(name: str, dose_Gy: Floats, weighted: Floats, number: int, fractions: int) -> None:
    """Refuse sums that do not belong to a model.

    Parameters
    ----------
    name : str
        Of the model, for the message.
    dose_Gy, weighted, fractions
        As of `linear_quadratic_dose`.
    number : int
        How many quantities the model has.

    Raises
    ------
    DoseError
        If shapes do not fit, or there is less than one fraction.
    """
    if fractions < 1:
        raise DoseError(f"RBE model {name}: {fractions} fractions; give 1 or more")
    if weighted.shape != (*dose_Gy.shape, number):
        raise DoseError(
            f"RBE model {name}: dose of shape {dose_Gy.shape}, weighted sums of shape {weighted.shape}; the "
            f"model needs {number} sums per voxel, those of its own quantities"
        )
