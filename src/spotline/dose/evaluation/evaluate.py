"""The dose of a plan or of what was delivered, and what there is to say of it.

All that is looked at is given: records, plan, image, structures and doses that others have read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spotline.dose.engine.beams import Widths, check_widths
from spotline.dose.engine.reconstruct import (
    DoseSum,
    Progress,
    Reconstruction,
    add_up,
    libraries_for,
)
from spotline.dose.engine.sources import Source, beams_of
from spotline.dose.evaluation.compare import OTHER_FRAME, OTHER_MAXIMUM, USUAL, compare_doses
from spotline.dose.evaluation.dvh import DoseStatistics, dose_statistics
from spotline.dose.evaluation.findings import Compared, Evaluation, doses_of
from spotline.dose.evaluation.gamma import LEAST_COMPARED_percent
from spotline.dose.evaluation.given import Computed, of_as_many
from spotline.dose.evaluation.patients import Met, WaterBox, put_on_grid
from spotline.dose.grid import DoseGrid, Grid, Point
from spotline.dose.masks import Mask, mask_of
from spotline.dose.rbe import RbeModel
from spotline.dose.structures import StructureSet
from spotline.errors import DoseError
from spotline.given import is_whole
from spotline.machine.library import BeamLibrary
from spotline.machine.load import BeamLine, load_beamline
from spotline.plan.model import Plan
from spotline.record.kept import beamline_of
from spotline.record.model import Record
from spotline.treatment.treatment import Treatment


@dataclass(frozen=True, slots=True, eq=False)
class DoseOptions:
    """How a dose is computed, and of what.

    Attributes
    ----------
    beamline : BeamLine, optional
        Line that delivers; by default that of the treatment, or the one that the first record names.
    grid_mm : float
        Size of the voxels of the dose, which lie wherever the beams leave dose.
    grid : Grid, optional
        Where dose is wanted instead.
    rbe : RbeModel, optional
        For RBE-weighted dose beside the physical one.
    libraries : mapping of str to BeamLibrary
        By name of the ion; by default those of the line.
    fields : sequence of int, optional
        Numbers of the only fields to take.
    isocentres_mm : mapping of int to point
        By number of the field, in patient coordinates; they outrank those of records and plan.
    per_field : bool
        Whether to give the physical dose of each field too.
    widths : {"measured", "planned"}
        Of the spots of what was measured: as the strips found them, or as the plan has them.
    fractions : int
        So many fractions were, or are to be, like all that is given.
    compared_percent : float
        A note tells of a comparison in which fewer of the points with enough dose are compared.

    Raises
    ------
    DoseError
        If the size of the voxels is none, nobody knows such widths, or fractions are no whole number from 1.
    """

    beamline: BeamLine | None = None
    grid_mm: float = 2.0
    grid: Grid | None = None
    rbe: RbeModel | None = None
    libraries: Mapping[str, BeamLibrary] = field(default_factory=dict)
    fields: Sequence[int] | None = None
    isocentres_mm: Mapping[int, Point] = field(default_factory=dict)
    per_field: bool = False
    widths: Widths = "measured"
    fractions: int = 1
    compared_percent: float = LEAST_COMPARED_percent

    def __post_init__(self) -> None:
        if not (math.isfinite(self.grid_mm) and self.grid_mm > 0.0):
            raise DoseError(f"dose grid: {self.grid_mm:g} mm is no size of a voxel; give more than 0")
        check_widths(self.widths)
        fractions: Any = self.fractions
        if not (is_whole(fractions) and fractions >= 1):
            raise DoseError(f"fractions: {fractions!r} is none; give a whole number from 1")
        if not isinstance(self.per_field, bool):
            raise DoseError(f"per_field: {self.per_field!r} is neither; give True or False")


def evaluate(
    source: Source,
    patient: Met,
    *,
    plan: Plan | None = None,
    structures: StructureSet | None = None,
    prescribed_Gy: Mapping[str, float] | None = None,
    compare: Mapping[str, DoseGrid] | None = None,
    options: DoseOptions | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Compute the doses of a plan or of what was delivered, compare them, and take statistics.

    Parameters and outcome are those of `spotline.evaluate`, which has looked whether the plan is that of the
    source.

    Raises
    ------
    DoseError
        If something does not go with the rest, or is not there.
    LibraryError
        If a beam library cannot be had.
    RecordError
        If no record says which beam line delivered it, and none is given.
    """
    chosen = options or DoseOptions()
    if plan is None and isinstance(source, Treatment):
        plan = source.plan
    identity = {} if plan is None else plan.identity
    prescribed = _prescribed(prescribed_Gy or {}, structures)
    given = dict(compare or {})
    _check_kinds(given, chosen.rbe)
    line = chosen.beamline or _line_of(source)

    notes = [] if plan is None else _plan_notes(plan, chosen.fields)
    places = _isocentres(source, plan, chosen.isocentres_mm, isinstance(patient, WaterBox), notes)
    beams = beams_of(
        source,
        line,
        fields=chosen.fields,
        isocentres_mm=places,
        widths=chosen.widths,
        fractions=chosen.fractions,
    )
    every = [one for group in beams.beams.values() for one in group]
    libraries = libraries_for(line, every, chosen.libraries)
    met = put_on_grid(patient, every, line, chosen.grid or chosen.grid_mm, identity, structures)
    adding = DoseSum(line, met.patient, met.grid, libraries, chosen.rbe)
    done = add_up(beams, adding, per_field=chosen.per_field, progress=progress)

    masks = _masks(structures, met.grid, notes)
    numbers = sorted({one.number for one in every})
    computed = doses_of(done)
    given = {
        name: of_as_many(dose, name, plan, Computed(computed, done.fractions, tuple(numbers)), notes)
        for name, dose in given.items()
    }
    for name, dose in given.items():
        if met.frame_of_reference_uid and dose.frame_of_reference_uid not in ("", met.frame_of_reference_uid):
            notes.append(f"{name}: {OTHER_FRAME}")
    comparisons = _compare(computed, given)
    first = [
        *(note for one in comparisons for note in one.notes(chosen.compared_percent)),
        *_other_than_prescribed(computed, prescribed, chosen.rbe),
    ]
    return Evaluation(
        reconstruction=done,
        beamline=line,
        patient=met,
        structures=masks,
        comparisons=comparisons,
        statistics=_statistics(computed, masks, prescribed, chosen.rbe),
        letd_keV_um={mask.name: _mean_letd_keV_um(done, mask) for mask in masks},
        rbe="" if chosen.rbe is None else chosen.rbe.name,
        notes=tuple(dict.fromkeys([*first, *done.notes, *met.notes, *notes])),
        first_notes=tuple(dict.fromkeys(first)),
    )


def _plan_notes(plan: Plan, numbers: Sequence[int] | None) -> list[str]:
    """What the plan says of itself and its fields."""
    fields = [field for field in plan.fields if numbers is None or field.number in numbers]
    of_fields = [f"field {field.number}: {note}" for field in fields for note in field.notes]
    return [*plan.remarks, *of_fields]


def _prescribed(wanted_Gy: Mapping[str, float], structures: StructureSet | None) -> dict[str, float]:
    """Prescriptions by the names that the structures have."""
    if wanted_Gy and structures is None:
        raise DoseError("prescription: names structures, but there are none; give them")
    for name, dose_Gy in wanted_Gy.items():
        if not (math.isfinite(dose_Gy) and dose_Gy > 0.0):
            raise DoseError(f"prescription: {dose_Gy:g} Gy for {name}; give more than 0")
    return {} if structures is None else {structures.named(name).name: Gy for name, Gy in wanted_Gy.items()}


def _check_kinds(given: Mapping[str, DoseGrid], rbe: RbeModel | None) -> None:
    """Refuse a dose that none of those to come can be held against, before any work is done."""
    for name, dose in given.items():
        if dose.kind == "effective" and rbe is None:
            raise DoseError(
                f"{name}: holds {dose.kind} dose, but none of that kind was computed; "
                "give --rbe (such as constant for protons)"
            )


def _line_of(source: Source) -> BeamLine:
    if isinstance(source, Treatment):
        return source.beamline
    records = _records(source)
    if not records:
        raise DoseError("dose: there is no record to reconstruct; give at least one")
    return load_beamline(beamline_of(records[0]))


def _records(source: Record | Sequence[Record]) -> list[Record]:
    return [source] if isinstance(source, Record) else list(source)


def _isocentres(
    source: Source, plan: Plan | None, given: Mapping[int, Point], is_water: bool, notes: list[str]
) -> dict[int, Point]:
    """Isocentres that the source does not say or that are given.

    Water can lie around any point: where no isocentre is known, the origin is one.
    """
    found: dict[int, Point | None]
    places: dict[int, Point] = {}
    if isinstance(source, Treatment):
        found = {one.field.number: one.field.isocentre_mm for one in source.fields}
    else:
        fields = [one for record in _records(source) for one in record.fields]
        found = {one.number: one.facts.isocentre_mm for one in fields}
        known = {number for number, at in found.items() if at is not None}
        planned = () if plan is None else plan.fields
        places = {
            one.number: one.isocentre_mm for one in planned if one.isocentre_mm and one.number not in known
        }
    places |= given
    lost = [number for number, at in found.items() if at is None and number not in places]
    if lost and is_water:
        notes.append(
            f"field {', '.join(map(str, lost))}: no isocentre is known; it is taken as (0, 0, 0) in the water"
        )
        places |= dict.fromkeys(lost, (0.0, 0.0, 0.0))
    return places


def _masks(structures: StructureSet | None, grid: Grid, notes: list[str]) -> tuple[Mask, ...]:
    """Structures on the dose grid; those without any part of it are told and left out."""
    if structures is None:
        return ()
    masks = []
    notes += structures.notes
    for one in structures.structures:
        try:
            mask = mask_of(one, grid)
        except DoseError as error:
            what, _, _ = str(error).partition("; ")
            notes.append(f"{what}; nothing is said about it")
            continue
        masks.append(mask)
        for note in mask.notes:
            is_outside = note == mask.outside_note
            notes.append(f"{note}; this part counts as without dose (--box)" if is_outside else note)
    return tuple(masks)


def _compare(doses: Mapping[str, DoseGrid], given: Mapping[str, DoseGrid]) -> tuple[Compared, ...]:
    """Hold measured and true dose against the planned one, and all against those that are given."""
    pairs = [
        ("planned", doses["planned"], name)
        for name in ("measured", "true")
        if "planned" in doses and name in doses and doses["planned"].dose_Gy.max() > 0.0
    ]
    pairs += [
        (known, reference, name)
        for known, reference in given.items()
        for name, dose in doses.items()
        if dose.kind == reference.kind
    ]
    return tuple(
        Compared((known, name), reference, doses[name], compare_doses(reference, doses[name], criteria=USUAL))
        for known, reference, name in pairs
    )


def _prescribed_kind(rbe: RbeModel | None) -> str:
    """With a model of the RBE it is weighted dose that is prescribed."""
    return "physical" if rbe is None else "effective"


def _other_than_prescribed(
    doses: Mapping[str, DoseGrid], prescribed_Gy: Mapping[str, float], rbe: RbeModel | None
) -> list[str]:
    """Tell of doses whose largest value is not that of the highest prescription, by more than a tenth.

    Of several prescriptions the highest is what the largest dose belongs to: the others lie in or beside it.
    """
    if not prescribed_Gy:
        return []
    name, wanted_Gy = max(prescribed_Gy.items(), key=lambda one: one[1])
    return [
        f"{what}: the largest dose is {largest_Gy:.4g} Gy, {largest_Gy / wanted_Gy:.3g} times the "
        f"{wanted_Gy:g} Gy prescribed to {name}; check ripple filters and range shifters, fractions "
        "(--fractions) and fields, and whether the prescription is of this kind of dose (--rbe)"
        for what, dose in doses.items()
        if dose.kind == _prescribed_kind(rbe)
        and abs((largest_Gy := float(dose.dose_Gy.max())) / wanted_Gy - 1.0) > OTHER_MAXIMUM
    ]


def _statistics(
    doses: Mapping[str, DoseGrid],
    masks: Sequence[Mask],
    prescribed_Gy: Mapping[str, float],
    rbe: RbeModel | None,
) -> dict[str, dict[str, DoseStatistics]]:
    kind = _prescribed_kind(rbe)
    return {
        mask.name: {
            name: dose_statistics(
                dose,
                mask.share,
                prescription_Gy=prescribed_Gy.get(mask.name) if dose.kind == kind else None,
                name=mask.name,
                outside_cm3=mask.outside_cm3,
            )
            for name, dose in doses.items()
        }
        for mask in masks
    }


def _mean_letd_keV_um(reconstruction: Reconstruction, mask: Mask) -> dict[str, float]:
    found = {}
    for what, dose in reconstruction.doses.items():
        weight = (mask.share * dose.physical.dose_Gy)[dose.letd_keV_um > 0.0].astype(float)
        if weight.sum() > 0.0:
            letd = dose.letd_keV_um[dose.letd_keV_um > 0.0]
            found[str(what)] = float(np.average(letd, weights=weight))
    return found
