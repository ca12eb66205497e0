"""What can be ordered of a delivery."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from spotline.errors import OptionError


class Command(Enum):
    """What can be ordered, and by whom."""

    PAUSE = "operator: beam off, go on later"
    RESUME = "operator: go on after a pause"
    STOP = "operator: stop the treatment"
    RESET = "operator: reset the interlocks and go on"
    CLOSE = "operator: give the rest up"
    ABORT = "supervision: abort the treatment"


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants of a delivery.

    Attributes
    ----------
    command : Command
        What to do.
    identity, reason : str
        Who wants it and why; a reset cannot do without.

    Raises
    ------
    OptionError
        If a reset has no identity or no reason.
    """

    command: Command
    identity: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        if self.command is Command.RESET and not (self.identity.strip() and self.reason.strip()):
            raise OptionError("order to reset the interlocks: give the operator's identity and the reason")
