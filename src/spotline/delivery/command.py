"""What can be ordered of a delivery."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from spotline.errors import OptionError
from spotline.signature import signed


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
        Who wants it and why, on one line each; without, nothing is ordered.

    Raises
    ------
    OptionError
        If it is none of the commands, or has no identity or no reason, or one that is no line of text.
    """

    command: Command
    identity: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        # The delivery acts on it while there is beam: what is wrong with it is said to who makes it.
        given: object = self.command
        if not isinstance(given, Command):
            known = ", ".join(f"Command.{command.name}" for command in Command)
            raise OptionError(f"order {given!r}: is no command; give one of {known}")
        what = f"order {self.command.value!r}: "
        if not (signed(f"{what}identity", self.identity) and signed(f"{what}reason", self.reason)):
            raise OptionError(f"{what}give the identity and the reason: who orders it, and why")
