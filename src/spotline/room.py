"""The seam between the dose delivery and the room it works in.

A room is an accelerator, a fast loop and slow sensors.  `spotline.sim.room` simulates one; hardware
would put its drivers behind the same three.  They may raise what they like: any exception is an interlock,
and so is an answer that cannot be (`spotline.delivery.guard`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spotline.control.interlocks import STOP
from spotline.control.memory import LawSettings, SliceMemory
from spotline.control.slow import SlowReading

Table = NDArray[Any]

TRUTH_COLUMNS = 7
"""Columns of `SpillResult.truth`."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """What the timing system announces before a spill.

    Attributes
    ----------
    code : int
        Cycle-code of the cycle under way.
    extraction_start_us, extraction_end_us : int
        On the clock of the field.
    """

    code: int
    extraction_start_us: int
    extraction_end_us: int


@dataclass(frozen=True, slots=True, eq=False)
class RawSamples:
    """Every frame of every chamber in a block.

    Attributes
    ----------
    integrals : ndarray of uint16, shape (n_samples, 2)
        Counts of INT1 and INT2 per microsecond.
    strips : ndarray of uint16, shape (n_frames, 2, n_strips)
        Counts of StripX and StripY.
    pixels : ndarray of uint16, shape (n_frames, n_pixels, n_pixels)
        Counts of the pixel chamber, rows along y.
    currents_A : ndarray of float, shape (n_periods, 4)
        x and y read back, x and y set.
    inputs : ndarray of uint16, shape (n_periods,)
        Events of the timing system, lines of the interlock systems and what did not arrive: bits
        ``INPUT_...`` of `spotline.control.memory`.
    aborts : Table
        What `FastLoop.abort` was called with before samples of the block, columns `ABORT`.
    """

    integrals: NDArray[np.uint16]
    strips: NDArray[np.uint16]
    pixels: NDArray[np.uint16]
    currents_A: NDArray[np.float64]
    inputs: NDArray[np.uint16]
    aborts: Table


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """What a stretch of samples left behind.

    Attributes
    ----------
    n_samples : int
        Microseconds that were run.
    finished : bool
        Whether the spill is over.
    trend : Table
        One row per whole millisecond, columns `spotline.control.memory.TREND`.
    spot : int
        Index of the current spot in the memory boards, to show progress.
    parts : Table
        Columns `PART`: what was current in the block, the last row with what it has so far.
    raw : RawSamples or None
    """

    n_samples: int
    finished: bool
    trend: Table
    spot: int
    parts: Table
    raw: RawSamples | None


@dataclass(frozen=True, slots=True, eq=False)
class SpillResult:
    """What the fast control has in its memories at the end of a spill.

    Attributes
    ----------
    parts, commands, interlocks : Table
        Columns `PART`, `COMMAND` and `INTERLOCK` of `spotline.control.memory`.
    end_reason : int
        Why it ended, a code of `spotline.control.memory`.
    start_us, end_us : int
        First and last sample, on the clock of the field.
    int1_counts, int2_counts : int
        Counts of the whole spill.
    truth : ndarray of float, shape (n_parts, TRUTH_COLUMNS), or None
        Ions, sums of x, x^2, y, y^2 in mm at the isocentre, and sums of the variance in mm^2 of the beam
        about its centre at the strips in x and y, for each part; None in a real room.
    last_ion_us : int or None
        End of the scan period in which the last ion passed the chopper (0: none); None in a real room.
    readings : Table or None
        What monitors without a role in the law measured, columns `READING` of `spotline.control.planes`; None
        if the line has none.
    boards_sha256 : str or None
        Of what the memory boards hold when the spill is over: `boards_sha256` of it, read again; None: they
        cannot be read.
    """

    parts: Table
    commands: Table
    interlocks: Table
    end_reason: int
    start_us: int
    end_us: int
    int1_counts: int
    int2_counts: int
    truth: NDArray[np.float64] | None
    last_ion_us: int | None = None
    readings: Table | None = None
    boards_sha256: str | None = None


def boards_sha256(settings: LawSettings, memory: SliceMemory) -> str:
    """SHA-256 over everything that a spill is loaded with, hexadecimal: names, types and values in order."""
    digest = hashlib.sha256()
    for name, value in (*_named("", settings), *_named("", memory)):
        array = np.ascontiguousarray(value)
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _named(prefix: str, values: Any) -> Iterator[tuple[str, Any]]:
    """The values of a tuple by their names, those of tuples in it too."""
    for name, value in zip(values._fields, values, strict=True):
        if isinstance(value, tuple):
            yield from _named(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value


class Accelerator(Protocol):
    """What delivers the beam to the line: it is asked for one spill after the other.

    A spill is the beam that comes of one request, whatever the kind of the accelerator.
    """

    def request_beam(self, code: int, after_us: int = 0, gantry_angle_deg: float | None = None) -> Broadcast:
        """Ask for a spill.

        Parameters
        ----------
        code : int
            Cycle-code: ion, energy, focus, intensity and line.
        after_us : int
            When it is asked for, on the clock of the field: it comes later.
        gantry_angle_deg : float or None
            IEC 61217 gantry angle of the field, on which optics and alignment may depend; None: the plan
            has none.

        Returns
        -------
        Broadcast
            What the timing system then announces.
        """

    def beam_off(self) -> None:
        """Tell the accelerator that no further spill is wanted."""


class FastLoop(Protocol):
    """The fast control with its memory boards, chambers and magnets: it delivers one spill at a time.

    It runs the control law of `spotline.control` where the samples are, and returns blocks of them.
    """

    def load(self, settings: LawSettings, memory: SliceMemory, broadcast: Broadcast) -> str:
        """Load the memory boards for the announced spill.

        Returns
        -------
        str
            What they then hold: `boards_sha256` of it.
        """

    def run(self, max_samples: int) -> Block:
        """Run for at most so many samples (a multiple of 1000), or to the end of the spill."""

    def abort(self, cause: int, value: float, limit: float, action: int = STOP) -> None:
        """End the spill, or the treatment, for a cause that the fast control does not see itself."""

    def confirm(self) -> None:
        """Tell the fast control that the recovery journal holds everything so far."""

    def raise_line(self, line: int) -> None:
        """Activate an input of the patient interlock system (``INPUT_...``) for the rest of the spill."""

    def result(self) -> SpillResult:
        """Return what the spill left behind, once it is over."""


class SlowSensors(Protocol):
    """What is read about once a second: gas, high voltage, passive elements; and the background."""

    def read(self, time_us: int) -> SlowReading | None:
        """Read all sensors; None if the boards do not answer."""

    def measure_background(self, duration_s: float) -> tuple[float, float]:
        """Return the counts per second of INT1 and INT2 without beam."""


@dataclass(frozen=True, eq=False)
class Room:
    """A place where a field can be delivered: three devices, and nothing reaches past them.

    Attributes
    ----------
    accelerator : Accelerator
    loop : FastLoop
    sensors : SlowSensors
    """

    accelerator: Accelerator
    loop: FastLoop
    sensors: SlowSensors
