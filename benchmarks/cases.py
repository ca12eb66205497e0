"""What is measured: beams, fields, and a room ready to run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spotline.control.memory import NEVER, LawSettings, SliceMemory
from spotline.delivery.loading import law_settings, slice_memory
from spotline.machine import BeamLine, load_beamline
from spotline.machine.true_line import true_line_of
from spotline.plan import Plan
from spotline.planning.phantom_plan import Setup
from spotline.planning.qa_fields import uniform_plan
from spotline.planning.read import read_plan
from spotline.room import Broadcast
from spotline.sim.fast_loop import PRE_ROLL_us
from spotline.sim.room import SimulatedRoom
from spotline.treatment import Treatment, prepare
from tests.lines.facts import with_facts

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
SHARED = ROOT.parent / "shared"

FLAT_TOP_us = 100_000
"""After the start of extraction the intensity no longer rises."""
TIMED_us = 100_000
"""Samples of beam that a round of the benchmark of the loop runs."""


@dataclass(frozen=True, slots=True)
class Beam:
    """A beam, as it is on its flat top.

    Attributes
    ----------
    ion : str
        Name of the ion.
    energy_MeV_u : float
        Listed energy.
    level : float
        Intensity, relative to the full one.
    particles : float
        Per spot.
    """

    ion: str
    energy_MeV_u: float
    level: float
    particles: float

    @property
    def name(self) -> str:
        """Name in tables."""
        return f"{self.ion} {self.energy_MeV_u:g} MeV/u, {self.level:.0%}".replace("%", " %")


BEAMS = tuple(
    Beam(ion, energy, level, particles)
    for ion, energy, particles in (
        ("carbon", 221.45, 5e4),
        ("proton", 62.73, 1e7),
        ("proton", 148.27, 1e7),
        ("proton", 228.57, 1e7),
    )
    for level in (1.0, 0.1)
)


def square_plan(beam: Beam) -> Plan:
    """30 x 30 equal spots, 2 mm apart."""
    setup = Setup(ion=beam.ion, gantry_angle_deg=90.0)
    return uniform_plan(setup, [beam.energy_MeV_u], size_mm=60.0, spacing_mm=2.0, particles=beam.particles)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A field whose first spill is ready to be loaded into a room."""

    line: BeamLine
    settings: LawSettings
    memory: SliceMemory
    cycle_code: int

    def room(self, *, raw: bool, seed: int = 0) -> tuple[SimulatedRoom, Broadcast]:
        """A room with the spill in its memory boards."""
        room = SimulatedRoom(true_line_of(self.line), 1, seed, raw=raw)
        broadcast = room.accelerator.request_beam(self.cycle_code)
        room.loop.load(self.settings, self.memory, broadcast)
        return room, broadcast

    def room_with_beam(self, *, raw: bool) -> SimulatedRoom:
        """A room in the middle of the spill, its code compiled."""
        room, _ = self.room(raw=raw)
        room.loop.run(PRE_ROLL_us + FLAT_TOP_us)
        return room


def loaded(beam: Beam) -> Loaded:
    """Prepare a square of a beam."""
    line = with_facts(load_beamline("cnao-h"), {"accelerator.intensity_levels": (beam.level,)})
    field = prepare(square_plan(beam), line).fields[0]
    slice_ = field.slices[0]
    memory = slice_memory(slice_, np.arange(slice_.n_spots), slice_.int1_counts, slice_.int2_counts)
    settings = law_settings(line.facts, field.beam, slice_)
    # No journal confirms here what was delivered.
    return Loaded(line, settings._replace(unconfirmed_counts=NEVER), memory, slice_.cycle_code)


@dataclass(frozen=True, slots=True)
class FieldCase:
    """A field to deliver.

    Attributes
    ----------
    name : str
        In tables.
    plan : Path
        Its file; need not exist.
    line : str
        Name of the beam line.
    raw_layers : int
        With raw samples only so many layers are delivered, 0 for all: raw samples of minutes of beam fill
        the disk.
    rounds : int
        How often it is delivered.
    """

    name: str
    plan: Path
    line: str
    raw_layers: int
    rounds: int

    def treatment(self, *, raw: bool) -> Treatment:
        """Prepare it."""
        plan = read_plan(self.plan)
        if raw and self.raw_layers:
            fields = tuple(replace(field, layers=field.layers[: self.raw_layers]) for field in plan.fields)
            plan = replace(plan, fields=fields)
        return prepare(plan, load_beamline(self.line))


FIELDS = (
    FieldCase("uniform_carbon_60mm", EXAMPLES / "uniform_carbon_60mm.dcm", "cnao-h", 0, 5),
    FieldCase("three_layers_proton", EXAMPLES / "three_layers_proton.dcm", "cnao-h", 0, 5),
    FieldCase(
        "carbon cube (not in the repository)",
        SHARED / "plans" / "cubes" / "carbon_cube_15cm_plan.dcm",
        "cnao-v",
        1,
        1,
    ),
    FieldCase(
        "proton SOBP (not in the repository)",
        SHARED / "plans" / "dcpt" / "eclipse_sobp_plan.dcm",
        "dcpt-like",
        4,
        2,
    ),
)


def large_plan() -> Plan:
    """100 layers of carbon with 23 x 23 spots each, 52 900 altogether."""
    energies_MeV_u = load_beamline("cnao-h").energies["carbon"].energy_MeV_u[:100].tolist()
    setup = Setup(ion="carbon", focus="small", gantry_angle_deg=90.0)
    return uniform_plan(setup, energies_MeV_u, size_mm=46.0, spacing_mm=2.0, particles=5e4)
