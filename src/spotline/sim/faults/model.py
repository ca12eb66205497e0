"""One fault: which device fails, how, and when."""

from __future__ import annotations

import math

from msgspec import Struct

from spotline.errors import FaultError
from spotline.sim.faults.catalogue import KINDS, closest_kind

LONGEST_us = 3_600_000_000_000
"""A thousand hours: beyond, a time is a mistake."""
MOST_SPILLS = 1_000_000


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """A device that fails in one of its ways.

    Attributes
    ----------
    device, mode : str
        What fails and how; together they name one of `spotline.sim.faults.KINDS`.
    value : float or None
        How badly, in the unit of the kind; None if it has none.
    spill : int
        Spill of the field at which it begins, counted from 1.
    at_us : int
        After the start of the extraction of that spill; negative is before it.
    duration_us : int or None
        How long it lasts; None: for good.
    """

    device: str
    mode: str
    value: float | None = None
    spill: int = 1
    at_us: int = 0
    duration_us: int | None = None

    @property
    def kind(self) -> str:
        """Name of its kind."""
        return f"{self.device}.{self.mode}"


def check_fault(fault: Fault, where: str = "fault") -> None:
    """Check that a fault is one of the catalogue.

    Parameters
    ----------
    fault : Fault
    where : str
        Begins the message.

    Raises
    ------
    FaultError
        If the device or the mode is unknown, or a number cannot be.
    """
    kind = KINDS.get(fault.kind)
    if kind is None:
        raise FaultError(f"{where}: {fault.kind!r} is not a kind of fault; {closest_kind(fault.kind)}")
    if kind.legal is None and fault.value is not None:
        raise FaultError(f"{where}: {kind.name} takes no value; leave the key away")
    if kind.legal is not None:
        low, high = kind.legal
        if fault.value is None:
            raise FaultError(f"{where}: value is missing; give {low:g} to {high:g} ({kind.unit})")
        if math.isnan(fault.value) or not low <= fault.value <= high:
            raise FaultError(
                f"{where}: value is {fault.value:g}, but {kind.name} takes {low:g} to {high:g} "
                f"({kind.unit}); correct it"
            )
        if kind.is_whole and fault.value != int(fault.value):
            raise FaultError(f"{where}: value is {fault.value:g}; {kind.name} takes a whole number")
    if not 1 <= fault.spill <= MOST_SPILLS:
        raise FaultError(f"{where}: spill is {fault.spill}; spills are counted from 1 to {MOST_SPILLS}")
    if abs(fault.at_us) > LONGEST_us:
        raise FaultError(f"{where}: at_us is {fault.at_us}; give less than {LONGEST_us} to each side")
    if fault.duration_us is None:
        if not kind.may_stay:
            raise FaultError(f"{where}: {kind.name} does not last for good; add duration_us")
    elif not 1 <= fault.duration_us <= LONGEST_us:
        raise FaultError(f"{where}: duration_us is {fault.duration_us}; give 1 to {LONGEST_us}")
