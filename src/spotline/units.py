"""Physical constants, and the unit suffixes that names in this project may carry.

Every dimensional name ends in its unit (``x_iso_mm``, ``cycle_period_s``).  A unit keeps its usual
capitals, so an ampere is ``_A`` and a millimetre ``_mm``.  A ratio of units joins with ``_per_``
(``slew_A_per_s``).
"""

from __future__ import annotations

import math

SPEED_OF_LIGHT_m_per_s = 299_792_458.0
ELEMENTARY_CHARGE_C = 1.602_176_634e-19
ELECTRON_MASS_MeV = 0.510_998_950
ATOMIC_MASS_UNIT_MeV = 931.494_102_42
FINE_STRUCTURE = 1.0 / 137.035_999

# The spelling of before, in capitals throughout; for programs that import it.
SPEED_OF_LIGHT_M_PER_S = SPEED_OF_LIGHT_m_per_s
ELECTRON_MASS_MEV = ELECTRON_MASS_MeV
ATOMIC_MASS_UNIT_MEV = ATOMIC_MASS_UNIT_MeV

ABSOLUTE_ZERO_C = -273.15

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))
"""Full width at half maximum of a Gaussian over its standard deviation."""

UNIT_SUFFIXES = frozenset(
    "mm cm m um mm2 cm3 s ms us ns Hz kHz ticks MeV keV MeV_u MeV_u2 mrad mm_mrad rad deg T T_m mT_m A V V2 "  # noqa: SIM905
    "K C h Pa fC fA count counts particles MU Gy eV g_cm2 mb percent HU".split()
)
"""Units that a name may end in, before or after a ``_per_``; checked by the tests over every beam line."""


def is_unit(suffix: str) -> bool:
    """Whether a text is a unit as names carry it: a suffix, or several that ``_per_`` joins.

    The empty text is that of a number without unit; a bare ``per_Gy`` is the reciprocal of a unit.
    """
    above, *below = f"_{suffix}".split("_per_")
    return above in {"", "_"} | {f"_{unit}" for unit in UNIT_SUFFIXES} and all(
        unit in UNIT_SUFFIXES for unit in below
    )
