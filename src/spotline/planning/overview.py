"""What is in a plan, as plain data: for the terminal, a page, or a program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spotline.arrays import Floats
from spotline.errors import PlanError
from spotline.machine import BeamLine
from spotline.plan.instructions import Instruction
from spotline.plan.model import Field, Layer, Plan


@dataclass(frozen=True, slots=True)
class LayerOverview:
    """One layer of a field.

    Attributes
    ----------
    index : int
        Position in the field, from 0.
    energy_MeV_u : float
        As planned.
    range_mm : float or None
        Depth of the Bragg peak in water, by the beam line; None without one, or outside its table.
    n_spots : int
        Number of spots.
    meterset : float
        Sum of the spots, in the unit of the field.
    particles : float or None
        The same in particles; None where the plan is in monitor units that nobody can convert.
    smallest, largest : float
        Weakest and strongest spot, in the unit of the field.
    x_iso_mm, y_iso_mm : tuple of two floats
        From where to where the positions reach.
    spacing_mm : float or None
        Median distance from a position to its nearest neighbour; None if there is only one.
    tune_id : str
        Optics that were asked for.
    paintings : int
        How often the layer is to be scanned.
    """

    index: int
    energy_MeV_u: float
    range_mm: float | None
    n_spots: int
    meterset: float
    particles: float | None
    smallest: float
    largest: float
    x_iso_mm: tuple[float, float]
    y_iso_mm: tuple[float, float]
    spacing_mm: float | None
    tune_id: str
    paintings: int


@dataclass(frozen=True, slots=True)
class SliceOverview:
    """One slice of a prepared field.

    Attributes
    ----------
    index : int
        Position in the order of delivery, from 0.
    layers : tuple of int
        Layers that it paints.
    energy_MeV_u : float
        Energy that the accelerator is asked for.
    focus : str
        Optics that it is asked for.
    intensity_level : float
        Fraction of the full intensity.
    visits : int
        Visits to spots.
    paintings : int
        How many paintings of a layer it holds.
    meterset : float
        What it delivers, in the unit of the field.
    beam_off_jumps : int
        On the way to how many spots the beam is switched off.
    cycle_code : int or None
        What the accelerator is asked for; None without the beam line.
    asks_for : str
        The same in words; empty without the beam line.
    spills, beam_on_s, treatment_s : float or None
        What it is expected to take; None without the beam line.
    """

    index: int
    layers: tuple[int, ...]
    energy_MeV_u: float
    focus: str
    intensity_level: float
    visits: int
    paintings: int
    meterset: float
    beam_off_jumps: int
    cycle_code: int | None = None
    asks_for: str = ""
    spills: float | None = None
    beam_on_s: float | None = None
    treatment_s: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FieldOverview:
    """One field.

    Attributes
    ----------
    field : Field
        The field itself.
    layers : tuple of LayerOverview
        In the order of the plan.
    slices : tuple of SliceOverview
        In the order of delivery; empty if the plan was not prepared and there is no beam line that could
        deliver it.
    follows_plan : bool
        Whether the slices are those of the instructions in the plan, and not made for this overview.
    problems : tuple of str
        Why the beam line cannot deliver the field.
    warnings : tuple of str
        What one should know although it can.
    instructions : tuple of Instruction
        What the slices were made from.
    """

    field: Field
    layers: tuple[LayerOverview, ...]
    slices: tuple[SliceOverview, ...] = ()
    follows_plan: bool = False
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    instructions: tuple[Instruction, ...] = ()

    @property
    def particles(self) -> float | None:
        """Particles of all layers; None if those of one are not known."""
        known = [layer.particles for layer in self.layers if layer.particles is not None]
        return sum(known) if len(known) == len(self.layers) else None

    @property
    def spills(self) -> float | None:
        """Expected number of spills; None without a beam line that can deliver the field."""
        return _sum([slice_.spills for slice_ in self.slices])

    @property
    def beam_on_s(self) -> float | None:
        """Expected time with beam; None as above."""
        return _sum([slice_.beam_on_s for slice_ in self.slices])

    @property
    def treatment_s(self) -> float | None:
        """Expected time from the start of the field to the end of its last spill; None as above."""
        return _sum([slice_.treatment_s for slice_ in self.slices])


@dataclass(frozen=True, slots=True, eq=False)
class PlanOverview:
    """A plan, and what a beam line would make of it.

    Attributes
    ----------
    plan : Plan
        The plan itself.
    fields : tuple of FieldOverview
        Those that were looked at.
    beamline : BeamLine or None
        What they were judged by.
    """

    plan: Plan
    fields: tuple[FieldOverview, ...]
    beamline: BeamLine | None = None


def plan_overview(
    plan: Plan,
    beamline: BeamLine | None = None,
    *,
    field: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PlanOverview:
    """Say what is in a plan.

    With a beam line the fields are prepared for it: by the instructions in the plan if these are for
    this line, else with the usual choices.  What speaks against a field is told as its problems.

    Parameters
    ----------
    plan : Plan
        Any plan, prepared or not.
    beamline : BeamLine, optional
        Where it might be delivered.
    field : int, optional
        Beam number of the only field to look at.
    progress : callable, optional
        Told, for each field, how many slices of how many are prepared.

    Returns
    -------
    PlanOverview

    Raises
    ------
    PlanError
        If the plan has no field of that number.
    """
    fields = plan.fields if field is None else (plan.field_by_number(field),)
    return PlanOverview(plan, tuple(_field(plan, f, beamline, progress) for f in fields), beamline)


look_at = plan_overview
"""The name of before, which programs may still use."""


def _field(
    plan: Plan,
    field: Field,
    beamline: BeamLine | None,
    progress: Callable[[int, int], None] | None,
) -> FieldOverview:
    layers = tuple(_layer(layer, field, beamline) for layer in field.layers)
    by_plan = tuple(_slice(i, instruction) for i, instruction in enumerate(field.instructions))
    told = (*plan.remarks, *field.notes)
    if beamline is None:
        return FieldOverview(
            field,
            layers,
            by_plan,
            follows_plan=bool(by_plan),
            warnings=told,
            instructions=field.instructions,
        )
    from spotline.treatment import prepare
    from spotline.treatment.cycle_code import in_words
    from spotline.treatment.demands import obstacles
    from spotline.treatment.duration import predict_duration

    problems = tuple(obstacles(field, beamline))
    if not problems:
        try:
            (treatment,) = prepare(plan, beamline, field=field.number, progress=progress).fields
        except PlanError as error:
            problems = (str(error),)
    if problems:
        return FieldOverview(
            field, layers, by_plan, follows_plan=bool(by_plan), problems=problems, warnings=told
        )
    times = predict_duration(treatment, beamline).slices
    slices = tuple(
        _slice(
            slice_.index,
            instruction,
            cycle_code=slice_.cycle_code,
            asks_for=in_words(slice_.cycle_code, beamline),
            spills=time.spills,
            beam_on_s=time.beam_on_s,
            treatment_s=time.treatment_s,
        )
        for slice_, instruction, time in zip(treatment.slices, treatment.instructions, times, strict=True)
    )
    follows_plan = bool(field.instructions) and treatment.instructions is field.instructions
    return FieldOverview(
        field,
        layers,
        slices,
        follows_plan,
        warnings=treatment.warnings,
        instructions=treatment.instructions,
    )


def _layer(layer: Layer, field: Field, beamline: BeamLine | None) -> LayerOverview:
    meterset = float(layer.meterset.sum())
    per_meterset = _particles_per_meterset(layer, field, beamline)
    return LayerOverview(
        index=layer.index,
        energy_MeV_u=layer.energy_MeV_u,
        range_mm=_range_mm(layer, field, beamline),
        n_spots=layer.n_spots,
        meterset=meterset,
        particles=None if per_meterset is None else meterset * per_meterset,
        smallest=float(layer.meterset.min()),
        largest=float(layer.meterset.max()),
        x_iso_mm=_reach(layer.x_iso_mm),
        y_iso_mm=_reach(layer.y_iso_mm),
        spacing_mm=_spacing_mm(layer),
        tune_id=layer.tune_id,
        paintings=layer.paintings,
    )


def _particles_per_meterset(layer: Layer, field: Field, beamline: BeamLine | None) -> float | None:
    if field.unit == "NP":
        return 1.0
    if beamline is None or beamline.beam(field.ion.name) is None:
        return None
    energy = beamline.match_energy(field.ion.name, layer.energy_MeV_u)
    per_MU = None if energy is None else beamline.particles_per_MU(field.ion.name, energy)
    return None if per_MU is None else float(per_MU)


def _range_mm(layer: Layer, field: Field, beamline: BeamLine | None) -> float | None:
    if beamline is None or beamline.beam(field.ion.name) is None:
        return None
    found = float(beamline.range_mm(field.ion.name, layer.energy_MeV_u))
    return found if np.isfinite(found) else None


def _reach(positions_mm: Floats) -> tuple[float, float]:
    return float(positions_mm.min()), float(positions_mm.max())


def _spacing_mm(layer: Layer) -> float | None:
    from scipy.spatial import KDTree

    positions = np.unique(np.column_stack([layer.x_iso_mm, layer.y_iso_mm]), axis=0)
    if len(positions) < 2:
        return None
    distances, _ = KDTree(positions).query(positions, k=2)
    return float(np.median(distances[:, 1]))


def _slice(
    index: int,
    instruction: Instruction,
    *,
    cycle_code: int | None = None,
    asks_for: str = "",
    spills: float | None = None,
    beam_on_s: float | None = None,
    treatment_s: float | None = None,
) -> SliceOverview:
    return SliceOverview(
        index=index,
        layers=tuple(np.unique(instruction.layer).tolist()),
        energy_MeV_u=instruction.energy_MeV_u,
        focus=instruction.focus,
        intensity_level=instruction.intensity_level,
        visits=instruction.n_visits,
        paintings=len(np.unique(instruction.painting)),
        meterset=float(instruction.meterset.sum()),
        beam_off_jumps=int(instruction.beam_off.sum()),
        cycle_code=cycle_code,
        asks_for=asks_for,
        spills=spills,
        beam_on_s=beam_on_s,
        treatment_s=treatment_s,
    )


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if values and len(known) == len(values) else None
