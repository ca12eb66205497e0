"""The end of the process that delivers, as far as a simulation can show it."""

from __future__ import annotations


class SimulatedCrash(BaseException):
    """The process was killed, or the power failed.

    No part of a delivery may handle it: it is not an `Exception`, as `KeyboardInterrupt` is none.

    Attributes
    ----------
    kind : str
        ``process.kill`` or ``power.loss``.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind
