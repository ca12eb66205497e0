"""The charged nuclei that the Monte Carlo transports: the beams and what becomes of them.

Kernels know a species by its index in `SPECIES`.
"""

from __future__ import annotations

import numpy as np

from spotline.physics.ions import CARBON, HELIUM, OXYGEN, PROTON, Ion, nucleus

# Atomic masses: AME2020, Wang et al., Chinese Physics C 45 (2021) 030003.
SPECIES: tuple[Ion, ...] = (
    PROTON,
    nucleus("deuteron", "2H", 1, 2, 2.014101777844),
    nucleus("triton", "3H", 1, 3, 3.016049281320),
    nucleus("helium-3", "3He", 2, 3, 3.016029321967),
    HELIUM,
    nucleus("lithium-6", "6Li", 3, 6, 6.015122887),
    nucleus("lithium-7", "7Li", 3, 7, 7.016003434),
    nucleus("beryllium-7", "7Be", 4, 7, 7.016928714),
    nucleus("beryllium-9", "9Be", 4, 9, 9.012183062),
    nucleus("beryllium-10", "10Be", 4, 10, 10.013534692),
    nucleus("boron-10", "10B", 5, 10, 10.012936862),
    nucleus("boron-11", "11B", 5, 11, 11.009305166),
    nucleus("carbon-10", "10C", 6, 10, 10.016853217),
    nucleus("carbon-11", "11C", 6, 11, 11.011432597),
    CARBON,
    nucleus("carbon-13", "13C", 6, 13, 13.003354835),
    nucleus("nitrogen-13", "13N", 7, 13, 13.005738609),
    nucleus("nitrogen-14", "14N", 7, 14, 14.003074004),
    nucleus("nitrogen-15", "15N", 7, 15, 15.000108898),
    nucleus("oxygen-15", "15O", 8, 15, 15.003065636),
    OXYGEN,
)

NAMES = tuple(ion.symbol for ion in SPECIES)
INDEX: dict[str, int] = {symbol: index for index, symbol in enumerate(NAMES)}
"""Index of a species by its symbol."""

CHARGE = np.array([ion.charge_number for ion in SPECIES], dtype=np.int64)
MASS_NUMBER = np.array([ion.mass_number for ion in SPECIES], dtype=np.int64)
MASS_MeV = np.array([ion.mass_MeV for ion in SPECIES])
NEUTRON_MASS_MeV = 939.565_420_52
