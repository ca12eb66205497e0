"""Fit the shell correction and the effective charge of ions in water to the tables of ICRU Report 90.

::

    python -m verification.stopping_fit

Prints the numbers that stand in `spotline.physics.corrections`.  Only the rows with even indices take part;
verification.matter reports on all, and on ions that took no part.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import least_squares

from spotline.physics import corrections
from spotline.physics.ions import CARBON, HELIUM, PROTON, Ion
from spotline.physics.materials import WATER
from spotline.physics.stopping import mass_stopping_power_MeV_cm2_per_g
from verification.reference import read_reference

EXCITATION_eV = 78.0
SHELL_ENERGIES_MeV_u = (0.5, 450.0)
CHARGE_ENERGIES_MeV_u = (0.1, 10.0)


def deviations(ion: Ion, letter: str, ends_MeV_u: tuple[float, float]) -> np.ndarray:
    """Relative deviation of the stopping power from the table, at every second energy."""
    table = read_reference(f"stopping_range_water_{letter}.csv")[::2]
    table = table[(table["E_MeV_u"] >= ends_MeV_u[0]) & (table["E_MeV_u"] <= ends_MeV_u[1])]
    ours = mass_stopping_power_MeV_cm2_per_g(ion, table["E_MeV_u"], WATER, EXCITATION_eV)
    return np.asarray(ours / table["S_ref_MeVcm2_g"] - 1.0)


def fit_shell() -> tuple[float, ...]:
    """Numbers for `corrections.SHELL_FIT`."""

    def residuals(numbers: np.ndarray) -> np.ndarray:
        corrections.SHELL_FIT = tuple(numbers)
        return deviations(PROTON, "p", SHELL_ENERGIES_MeV_u)

    return tuple(least_squares(residuals, corrections.SHELL_FIT, x_scale="jac").x)


def fit_charge() -> tuple[float, ...]:
    """Numbers for `corrections.CHARGE_FIT`."""

    def residuals(numbers: np.ndarray) -> np.ndarray:
        corrections.CHARGE_FIT = tuple(numbers)
        parts = [deviations(ion, x, CHARGE_ENERGIES_MeV_u) for ion, x in ((HELIUM, "he"), (CARBON, "c"))]
        return np.concatenate(parts)

    return tuple(least_squares(residuals, corrections.CHARGE_FIT, x_scale="jac").x)


def main() -> int:
    """Fit and print."""
    for name, fit in (("SHELL_FIT", fit_shell), ("CHARGE_FIT", fit_charge)):
        print(name, "=", tuple(float(f"{number:.4g}") for number in fit()))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
