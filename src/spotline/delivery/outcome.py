"""What came of the delivery of a field, apart from its files."""

from __future__ import annotations

from dataclasses import dataclass, field

from spotline.control.register import InterlockRegister


@dataclass(slots=True)
class Outcome:
    """What came of a field.

    Attributes
    ----------
    complete : bool
        Whether nothing is left to deliver.
    spills : int
        Spills used, those of earlier sessions too.
    loop_wall_s : float
        Time that the fast loop took.
    register : InterlockRegister
        What is latched, and who reset what.
    is_written : bool
        Whether everything of it is in its files: the disk took it all.
    """

    complete: bool = False
    spills: int = 0
    loop_wall_s: float = 0.0
    register: InterlockRegister = field(default_factory=InterlockRegister)
    is_written: bool = False
