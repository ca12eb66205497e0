"""What a simulated room is set up for: a field of a line, with its random numbers."""

from __future__ import annotations

from dataclasses import dataclass

from spotline.machine.true_line import TrueLine


@dataclass(frozen=True, slots=True)
class Setup:
    """What the devices of a simulated room share from the start.

    Attributes
    ----------
    line : TrueLine
    field_number, seed : int
        For the random numbers.
    mounted : tuple of str
        Passive elements that should be in the nozzle.
    """

    line: TrueLine
    field_number: int
    seed: int
    mounted: tuple[str, ...]
