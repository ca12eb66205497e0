"""The interlock register: what stopped the beam stays until an operator resets it (section III.C.1).

It is the memory of the patient interlock system from spill to spill, and from one run of a treatment to the
next: it goes into files as JSON and comes back from them.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import msgspec

from spotline.control.interlocks import CAUSES
from spotline.errors import OptionError, RecordError


class Latched(msgspec.Struct, frozen=True, kw_only=True):
    """A cause that has been latched.

    Attributes
    ----------
    cause : int
        Code of the interlock table.
    value, limit : float or None
        What was measured and its limit, in the unit of the cause; None for what is not a finite number.
    time_us : int
        Sample in which it tripped, on the clock of the field.
    spill : int
        Number of the spill; 0 before the first.
    """

    cause: int
    value: float | None
    limit: float | None
    time_us: int
    spill: int


class Reset(msgspec.Struct, frozen=True, kw_only=True):
    """A reset by an operator.

    Attributes
    ----------
    identity, reason : str
        Who did it, and why it was safe.
    time_us : int
        When, on the clock of the field.
    released : tuple of Latched
        What had been latched, the first cause first.
    """

    identity: str
    reason: str
    time_us: int
    released: tuple[Latched, ...]


class InterlockRegister(msgspec.Struct, kw_only=True):
    """Latched causes, and the history of resets.

    Attributes
    ----------
    latched : tuple of Latched
        In the order in which they came, each cause once: the first one is what stopped the beam.
    resets : tuple of Reset
        In the order in which they were made.
    """

    latched: tuple[Latched, ...] = ()
    resets: tuple[Reset, ...] = ()

    @property
    def is_clear(self) -> bool:
        """Whether beam may be requested: nothing is latched."""
        return not self.latched

    @property
    def first(self) -> Latched | None:
        """The cause that came first since the last reset."""
        return self.latched[0] if self.latched else None

    def latch(self, cause: int, value: float, limit: float, time_us: int, spill: int) -> None:
        """Keep a cause until it is reset; one that is latched already keeps its first value.

        Raises
        ------
        ValueError
            If the interlock table has no such cause.
        """
        if cause not in CAUSES:
            raise ValueError(f"interlock {cause} is not in the table")
        if all(known.cause != cause for known in self.latched):
            row = Latched(
                cause=cause,
                value=_finite(value),
                limit=_finite(limit),
                time_us=int(time_us),
                spill=int(spill),
            )
            self.latched += (row,)

    def reset(self, identity: str, reason: str, time_us: int, persisting: Collection[int] = ()) -> Reset:
        """Release everything that is latched.

        Parameters
        ----------
        identity, reason : str
            Who resets, and why.
        time_us : int
            Clock of the field.
        persisting : collection of int
            Causes whose condition is still there, as far as that can be seen without beam.

        Returns
        -------
        Reset
            As it stands in the history.

        Raises
        ------
        OptionError
            If identity or reason is missing, or a condition persists; then nothing is released.
        """
        for word, text in (("identity", identity), ("reason", reason)):
            if not text.strip():
                raise OptionError(f"reset of the interlocks: the operator's {word} is missing; give it")
        if persisting:
            names = ", ".join(CAUSES[cause].name for cause in sorted(persisting))
            raise OptionError(f"reset of the interlocks: {names} persists; remove the condition first")
        reset = Reset(
            identity=identity.strip(), reason=reason.strip(), time_us=int(time_us), released=self.latched
        )
        self.resets += (reset,)
        self.latched = ()
        return reset

    def to_json(self) -> bytes:
        """The register as JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, content: bytes | str) -> InterlockRegister:
        """The register that `to_json` wrote.

        Raises
        ------
        RecordError
            If it is not one.
        """
        try:
            register = msgspec.json.decode(content, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RecordError(f"interlock register: altered ({error}); restore it from a copy") from error
        rows = (*register.latched, *(row for reset in register.resets for row in reset.released))
        for row in rows:
            if row.cause not in CAUSES:
                raise RecordError(
                    f"interlock register: has interlock {row.cause}, which is not in the table; "
                    "use the Spotline that wrote it"
                )
        return register


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
