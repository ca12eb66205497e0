"""What the machine is: a believed line, and what is true of it in the simulated room.

Read by the simulated room and its instruments, and by who judges a delivery by the truth: campaigns,
commissioning, verification.  Whoever controls, prepares or records knows the believed line only.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from spotline.errors import BeamLineError
from spotline.machine.load import BeamLine, load_beamline, parse_toml
from spotline.machine.simulation import Simulation

__all__ = ["TrueLine", "load_true_line", "true_line_of"]


@dataclass(frozen=True, slots=True, eq=False)
class TrueLine:
    """A beam line as it is.

    Attributes
    ----------
    believed : BeamLine
        The line that is believed, from which the true one deviates.
    simulation : Simulation
        How it does: noise, drifts, errors of calibration.
    """

    believed: BeamLine
    simulation: Simulation


def true_line_of(beamline: BeamLine) -> TrueLine:
    """What is true of a line, from the ``simulation`` table that was read and hashed with it.

    Raises
    ------
    BeamLineError
        If its file has no such table: it is that of a real room.
    """
    table = parse_toml(beamline.path, beamline.files[beamline.path.name]).get("simulation")
    if table is None:
        raise BeamLineError(f"{beamline.path}: simulation: is missing; add the key")
    return TrueLine(beamline, msgspec.convert(table, Simulation))


def load_true_line(name_or_path: str | Path) -> TrueLine:
    """Load a beam line with its truth; parameters and errors as of `spotline.load_beamline`."""
    return true_line_of(load_beamline(name_or_path))
