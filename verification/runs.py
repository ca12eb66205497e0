"""Deliveries to measure: which plan, on which line, with which seed, and what came out.

A delivery goes the same way as one of the command line: prepared, delivered in a simulated room, written
to files and read back.  Only the DICOM record and the report are left out.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import spotline
from spotline.arrays import Floats
from spotline.machine import BeamLine, load_beamline
from spotline.plan import Plan
from spotline.planning.phantom_plan import Setup
from spotline.planning.qa_fields import uniform_plan
from spotline.planning.read import read_plan
from spotline.record.model import FieldRecord, Table
from spotline.record.spill_file import read_raw, read_spill
from spotline.room import RawSamples
from spotline.treatment import Options, Slice, Treatment, prepare
from spotline.treatment.treatment_file import read_treatment_file
from tests.lines.facts import with_facts

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
SHARED = ROOT.parent / "shared"

Changes = tuple[tuple[str, Any], ...]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Square:
    """A square of equal spots, scanned row by row, there and back.

    Attributes
    ----------
    ion : str
        Name of the ion.
    energy_MeV_u : float
        A listed energy of the line.
    side : int
        Spots per side.
    spacing_mm : float
        Distance of neighbours.
    particles : float
        Particles of each spot ...
    spread : float
        ... times a factor between 1 - `spread` and 1 + `spread`, the same in every delivery.
    focus : str
        Optics; empty for the default.
    """

    ion: str
    energy_MeV_u: float
    side: int
    spacing_mm: float
    particles: float
    spread: float = 0.0
    focus: str = ""

    @property
    def spots(self) -> int:
        """Number of spots."""
        return self.side**2

    def plan(self) -> Plan:
        """Make the plan."""
        setup = Setup(ion=self.ion, focus=self.focus or None, gantry_angle_deg=90.0)
        plan = uniform_plan(
            setup,
            [self.energy_MeV_u],
            size_mm=float(self.side),
            spacing_mm=1.0,
            particles=self.particles,
        )
        (field,) = plan.fields
        (layer,) = field.layers
        factors = 1.0 + self.spread * np.random.Generator(np.random.PCG64(1)).uniform(-1.0, 1.0, self.spots)
        layer = replace(
            layer,
            x_iso_mm=layer.x_iso_mm * self.spacing_mm,  # 0: all spots at one place
            y_iso_mm=layer.y_iso_mm * self.spacing_mm,
            meterset=layer.meterset * factors,
        )
        return replace(plan, fields=(replace(field, layers=(layer,)),))


@dataclass(frozen=True, slots=True)
class Job:
    """One delivery.

    Attributes
    ----------
    plan : Square or Plan or str
        A square, a plan, or the path of one.
    seed : int
    changes : tuple of (str, value)
        What differs from the beam-line file, such as ``("control.feedback_gain", 0.0)``; an ion goes by
        its name: ``("ions.carbon.full_intensity_per_s", 1e8)``.
    line : str
        Name or path of the beam line.
    field : int
        Position of the field in the plan.
    raw : bool
        Whether to return the raw samples.
    options : Options or None
        How to prepare the plan.
    """

    plan: Square | Plan | str
    seed: int = 0
    changes: Changes = ()
    line: str = "cnao-h"
    field: int = 0
    raw: bool = False
    options: Options | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Delivered:
    """What came out of a delivery.

    Attributes
    ----------
    job : Job
    record : FieldRecord
        As read back; its path no longer exists.
    slices : tuple of Slice
        What was prescribed, in counts.
    commands : tuple of Table
        Log of commands of each spill.
    raw : tuple of RawSamples
        Raw samples of each spill, if the job asked for them.
    loop_wall_s : float
        Time that the fast loop took.
    """

    job: Job
    record: FieldRecord
    slices: tuple[Slice, ...]
    commands: tuple[Table, ...]
    raw: tuple[RawSamples, ...] = ()
    loop_wall_s: float = field(default=0.0, compare=False)

    @property
    def measured(self) -> Floats:
        """Measured particles over prescribed ones, minus 1, of every complete spot."""
        spots = self.record.spots[self.record.spots["complete"]]
        return np.asarray(spots["particles"] / spots["particles_planned"] - 1.0)

    @property
    def true(self) -> Floats:
        """The same of the particles that were truly delivered."""
        assert self.record.truth is not None
        complete = self.record.spots["complete"]
        planned = self.record.spots["particles_planned"][complete]
        return np.asarray(self.record.truth["particles"][complete] / planned - 1.0)


@functools.cache
def line_of(name: str) -> BeamLine:
    """A beam line by name or path, loaded once."""
    return load_beamline(name)


def treatment_of(job: Job) -> Treatment:
    """Prepare the plan of a job."""
    plan = job.plan.plan() if isinstance(job.plan, Square) else job.plan
    plan = read_plan(plan) if isinstance(plan, str) else plan
    return prepare(plan, with_facts(line_of(job.line), dict(job.changes)), options=job.options)


def deliver(job: Job) -> Delivered:
    """Deliver a job in a simulated room, through the files of a record."""
    treatment = treatment_of(job)
    treatment = replace(treatment, fields=(treatment.fields[job.field],))
    with tempfile.TemporaryDirectory() as name:
        record = spotline.deliver(
            treatment, Path(name) / "record", seed=job.seed, raw=job.raw, documents=False
        )
        (field,) = record.fields
        files = sorted((field.path / "spills").glob("*.h5"))
        spills = [read_spill(path) for path in files]
        raw = [read_raw(path) for path in files] if job.raw else []
        slices = read_treatment_file(field.path).slices
    return Delivered(
        job=job,
        record=field,
        slices=slices,
        commands=tuple(spill.commands for spill in spills),
        raw=tuple(samples for samples in raw if samples is not None),
        loop_wall_s=record.summary["loop_wall_s"],
    )


class Workers:
    """Processes that work side by side.

    Parameters
    ----------
    number : int
        Processes; 1 works in this one.
    """

    def __init__(self, number: int) -> None:
        self._pool = ProcessPoolExecutor(number, mp_context=get_context("spawn")) if number > 1 else None

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Apply a function of a module to every item; results come in the order of the items."""
        listed = list(items)
        if self._pool is None:
            return [function(item) for item in listed]
        chunk = max(1, min(8, len(listed) // 8))
        return list(self._pool.map(function, listed, chunksize=chunk))

    def deliver(self, jobs: Iterable[Job]) -> list[Delivered]:
        """Deliver jobs."""
        return self.map(deliver, jobs)

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown()


def over_seeds(job: Job, seeds: int) -> list[Job]:
    """The same job with the seeds 0 to `seeds` - 1."""
    return [replace(job, seed=seed) for seed in range(seeds)]


def groups(results: Sequence[R], size: int) -> list[Sequence[R]]:
    """Cut a list into parts of equal size."""
    return [results[start : start + size] for start in range(0, len(results), size)]


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over seeds and its standard error."""

    value: float
    error: float


def mean_of(values: Iterable[float]) -> Mean:
    """Mean over seeds, with the standard error that their scatter gives."""
    array = np.array(list(values), dtype=float)
    error = float(array.std(ddof=1) / np.sqrt(len(array))) if len(array) > 1 else float("nan")
    return Mean(float(array.mean()), error)
