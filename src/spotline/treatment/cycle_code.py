"""Cycle-codes: what the accelerator is asked for, in one number.

The dose delivery paper (III.A) names the contents: energy, beam size, flux and particle type.  The
layout is ours, from the lowest bit:

==========  =====  ===========================================
bits        width  contents
==========  =====  ===========================================
0 to 19     20     energy in units of 0.01 MeV/u
20 to 23    4      focus, as index in the ion's list of optics
24 to 27    4      intensity, as index in the list of levels
28 to 33    6      atomic number of the ion
34 to 37    4      number of the beam line
==========  =====  ===========================================
"""

from __future__ import annotations

from dataclasses import dataclass

from spotline.machine import BeamLine
from spotline.physics.ions import IONS

ENERGY_STEPS_PER_MEV_U = 100
BITS = 38


@dataclass(frozen=True, slots=True)
class Cycle:
    """What a cycle-code asks for.

    Attributes
    ----------
    charge_number : int
        Atomic number of the ion.
    energy_MeV_u : float
        Energy, in steps of 0.01 MeV/u.
    focus : int
        Index of the focus.
    intensity : int
        Index of the intensity level.
    line : int
        Number of the beam line.
    """

    charge_number: int
    energy_MeV_u: float
    focus: int
    intensity: int
    line: int


def encode(cycle: Cycle) -> int:
    """Pack a cycle into its code.

    Raises
    ------
    ValueError
        If a part does not fit into its bits.
    """
    energy = round(cycle.energy_MeV_u * ENERGY_STEPS_PER_MEV_U)
    parts = ((energy, 20), (cycle.focus, 4), (cycle.intensity, 4), (cycle.charge_number, 6), (cycle.line, 4))
    code = shift = 0
    for value, bits in parts:
        if not 0 <= value < 1 << bits:
            raise ValueError(f"{cycle} does not fit into a cycle-code: {value} needs more than {bits} bits")
        code |= value << shift
        shift += bits
    return code


def decode(code: int) -> Cycle:
    """Unpack a cycle-code.

    Raises
    ------
    ValueError
        If the number has bits that belong to no part.
    """
    if not 0 <= code < 1 << BITS:
        raise ValueError(f"{code} is no cycle-code: it needs more than {BITS} bits")
    return Cycle(
        charge_number=code >> 28 & 0x3F,
        energy_MeV_u=(code & 0xFFFFF) / ENERGY_STEPS_PER_MEV_U,
        focus=code >> 20 & 0xF,
        intensity=code >> 24 & 0xF,
        line=code >> 34 & 0xF,
    )


def in_words(code: int, beamline: BeamLine) -> str:
    """Say what a cycle-code asks for, as in ``carbon 221.45 MeV/u, focus small, intensity 20 %, line 1``.

    Numbers that the beam line has no name for are shown as they are.
    """
    cycle = decode(code)
    ion = next((i.name for i in IONS.values() if i.charge_number == cycle.charge_number), None)
    foci = beamline.foci(ion or "")
    levels = beamline.facts.accelerator.intensity_levels
    focus = foci[cycle.focus] if cycle.focus < len(foci) else f"number {cycle.focus}"
    level = f"{levels[cycle.intensity]:.0%}" if cycle.intensity < len(levels) else f"number {cycle.intensity}"
    return (
        f"{ion or f'ion of charge {cycle.charge_number}'} {cycle.energy_MeV_u:.2f} MeV/u, focus {focus}, "
        f"intensity {level.replace('%', ' %')}, line {cycle.line}"
    )
