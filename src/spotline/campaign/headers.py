"""What ``campaign.json`` says, as types."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class FixedFault(Struct, frozen=True, kw_only=True):
    """A fault that strikes in every run, as `spotline.sim.faults.Fault` has it."""

    kind: str
    value: float | None
    spill: int
    at_us: int
    duration_us: int | None


class Worst(Struct, frozen=True, kw_only=True):
    """The run that comes nearest to its bound, or lies furthest beyond.

    Attributes
    ----------
    value, bound : float
        In the unit of the column.
    run : int
    slice, spot, prescribed : int, int, float or UNSET
        The spot, if it is one that received too much.
    """

    value: int | float
    bound: float
    run: int
    slice: int | UnsetType = UNSET
    spot: int | UnsetType = UNSET
    prescribed: float | UnsetType = UNSET


class ViolatingRun(Struct, frozen=True, kw_only=True):
    """A run in which an invariant did not hold: its number, the names, and what did not hold in words."""

    run: int
    invariants: tuple[str, ...]
    remarks: str


class Delay(Struct, frozen=True, kw_only=True):
    """From the begin of a fault to the first interlock; None if none came."""

    median: float | None
    largest: int | None


class KindFigures(Struct, frozen=True, kw_only=True):
    """What became of one kind of fault.

    Attributes
    ----------
    runs, struck, detected : int
        Runs with it; those in which it struck; of these, those with an interlock.
    by : dict of str to int
        How often each interlock came first.
    detection_us : Delay
    worst_excess, worst_excess_undetected, worst_beam_off : Worst or None
    worst_misplaced, worst_misplaced_undetected, worst_displacement_mm : float or None
    outcomes, violations : dict of str to int
        Runs by outcome, and that violate each invariant.
    """

    runs: int
    struck: int
    detected: int
    by: dict[str, int]
    detection_us: Delay
    worst_excess: Worst | None
    worst_excess_undetected: Worst | None
    worst_beam_off: Worst | None
    worst_misplaced: float | None
    worst_misplaced_undetected: float | None
    worst_displacement_mm: float | None
    outcomes: dict[str, int]
    violations: dict[str, int]


class Provenance(Struct, frozen=True, kw_only=True):
    """Everything that the runs of a campaign depend on.

    Attributes
    ----------
    drawn_from : tuple of str
        Kinds of faults.
    fixed : tuple of FixedFault
        That strike in every run instead.
    pairs : bool
        Whether two strike in each run.
    """

    seed: int
    plan: str
    plan_label: str
    plan_sha256: str
    beamline: str
    beamline_version: str
    beamline_sha256: str
    drawn_from: tuple[str, ...]
    fixed: tuple[FixedFault, ...]
    pairs: bool
    versions: dict[str, str]


class Failure(Struct, frozen=True, kw_only=True):
    """An error of the program that ended deliveries.

    Attributes
    ----------
    error : str
        Its kind and message, and whatever else did not hold in these runs.
    runs : int
        So many.
    first : int
        Number of the first of them; it can be made again alone.
    """

    error: str
    runs: int
    first: int


class CampaignFile(Provenance, frozen=True, kw_only=True):
    """Content of ``campaign.json``.

    Attributes
    ----------
    runs, faults, detections : int
        Runs; those in which a fault struck; of these, those with an interlock.
    outcomes, violations : dict of str to int
        Runs by outcome, and that violate each invariant.
    violating_runs : tuple of ViolatingRun
    failures : tuple of Failure
        Those that ended in an error of the program, by error, the most frequent first.
    worst_excess, worst_excess_field, worst_beam_off : Worst or None
    kinds : dict of str to KindFigures
        The same by kind of fault, for runs with that fault alone and, as ``"A + B"``, for pairs.
    """

    runs: int
    faults: int
    detections: int
    outcomes: dict[str, int]
    violations: dict[str, int]
    violating_runs: tuple[ViolatingRun, ...]
    failures: tuple[Failure, ...] = ()
    worst_excess: Worst | None
    worst_excess_field: Worst | None
    worst_beam_off: Worst | None
    kinds: dict[str, KindFigures]
