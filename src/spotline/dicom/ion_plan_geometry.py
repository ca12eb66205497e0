"""Read the geometry of an ion plan by the table of `spotline.dicom.plan_geometry`.

What the table refuses is refused, what it notes is told, and what the treatment record repeats is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydicom import Dataset

from spotline.dicom.attributes import (
    integer,
    items,
    missing,
    numbers,
    one_line,
    required_integer,
    text,
)
from spotline.dicom.plan_geometry import GeometryRow, Place, rows_of
from spotline.errors import PlanError

SAME = 1e-3
"""Largest difference (mm or degrees) between numbers that count as the same; they are often rounded."""

Stated = str | float


@dataclass(frozen=True, slots=True)
class BeamGeometry:
    """What a beam says of the geometry beyond gantry, patient support and isocentre.

    Attributes
    ----------
    patient_position : str
        How the patient lies for this beam; empty if the plan does not say.
    setup_number : int or None
        Patient Setup Number; None if the plan has no such setup.
    source_axis_distances_mm : tuple of two floats or None
        Virtual Source-Axis Distances in x and y.
    as_planned : dict of str to str or float
        What the treatment record repeats, by DICOM keyword.
    notes : tuple of str
        What the plan says and nothing follows.
    """

    patient_position: str
    setup_number: int | None
    source_axis_distances_mm: tuple[float, float] | None
    as_planned: dict[str, Stated] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def plan_notes(dataset: Dataset, where: str) -> tuple[str, ...]:
    """Tell what a plan says as a whole, and nothing follows."""
    return _notes([_noted("plan", dataset, where)])


def read_geometry(
    beam: Dataset, setups: Sequence[Dataset], points: Sequence[Dataset], where: str
) -> BeamGeometry:
    """Read the geometry of a beam.

    Parameters
    ----------
    beam : Dataset
        Item of the Ion Beam Sequence.
    setups : sequence of Dataset
        Items of the Patient Setup Sequence.
    points : sequence of Dataset
        Control points of the beam, at least one.
    where : str
        Beginning of the messages: file and field.

    Raises
    ------
    PlanError
        If it says what the table refuses, or not how the patient lies although there are several setups.
    """
    setup, setup_notes = _setup_of(beam, setups, where)
    _check("beam", beam, where)
    for index, point in enumerate(points):
        _check("control point", point, f"{where}, control point {index}")
    first = f"{where}, control point 0"
    told = [_noted("beam", beam, where), _noted("control point", points[0], first)]
    position, number_ = "", None
    if setup is not None:
        place = f"{where}, patient setup"
        told.insert(0, _noted("patient setup", setup, place))
        position = one_line(text(setup, "PatientPosition", place)).upper()
        number_ = integer(setup, "PatientSetupNumber", place)
    return BeamGeometry(
        patient_position=position,
        setup_number=number_,
        source_axis_distances_mm=_source_axis_distances_mm(beam, where),
        as_planned={**_recorded("beam", beam, where), **_recorded("control point", points[0], first)},
        notes=(*setup_notes, *_notes(told)),
    )


def _setup_of(beam: Dataset, setups: Sequence[Dataset], where: str) -> tuple[Dataset | None, tuple[str, ...]]:
    """The setup that a beam refers to, or the only one there can be; and what is to be told of it."""
    wanted = integer(beam, "ReferencedPatientSetupNumber", where)
    if not setups:
        if wanted is None:
            return None, ()
        return None, (f"the plan refers to patient setup {wanted}, which it does not have",)
    if wanted is None:
        positions = sorted({one_line(text(setup, "PatientPosition", where)) or "none" for setup in setups})
        if len(positions) > 1:
            raise missing(
                "ReferencedPatientSetupNumber",
                where,
                f"and the patient setups of the plan differ in PatientPosition ({', '.join(positions)})",
            )
        return setups[0], ()
    # A setup without a number can be meant by nobody; one is enough for a plan with one setup.
    found = [
        setup
        for setup in setups
        if required_integer(setup, "PatientSetupNumber", f"{where}: PatientSetupSequence") == wanted
    ]
    if len(found) != 1:
        how = "twice" if found else "not"
        raise PlanError(
            f"{where}: ReferencedPatientSetupNumber is {wanted}, which is {how} in PatientSetupSequence; "
            "export the plan again"
        )
    return found[0], ()


def _source_axis_distances_mm(beam: Dataset, where: str) -> tuple[float, float] | None:
    keyword = "VirtualSourceAxisDistances"
    found = numbers(beam, keyword, where)
    if found is None:
        return None
    if len(found) != 2:
        raise PlanError(f"{where}: {keyword} has {len(found)} values instead of two; export the plan again")
    return float(found[0]), float(found[1])


def _check(place: Place, dataset: Dataset, where: str) -> None:
    for row in rows_of(place):
        if row.handling == "refused":
            said = _said(row, dataset, where)
            if said:
                raise PlanError(f"{where}: {row.keyword} is {said}, but {row.meaning}")


def _noted(place: Place, dataset: Dataset, where: str) -> Iterator[str]:
    for row in rows_of(place):
        if row.handling == "noted":
            said = _said(row, dataset, where)
            if said:
                yield f"{row.keyword} is {said} ({row.meaning})"


def _notes(told: Sequence[Iterator[str]]) -> tuple[str, ...]:
    found = [one for part in told for one in part]
    return (f"the plan states what nothing here follows: {'; '.join(found)}",) if found else ()


def _said(row: GeometryRow, dataset: Dataset, where: str) -> str:
    """A value that is not the default, in words; empty if there is none."""
    if row.vr == "SQ":
        found = len(items(dataset, row.keyword, where))
        return f"a list of {found}" if found else ""
    if row.is_number:
        values = numbers(dataset, row.keyword, where)
        if values is None:
            return ""
        if isinstance(row.default, float) and np.all(np.abs(values - row.default) <= SAME):
            return ""
        return ", ".join(f"{value:g}" for value in values)
    said = one_line(text(dataset, row.keyword, where))
    return "" if said.upper() == row.default else said


def _recorded(place: Place, dataset: Dataset, where: str) -> dict[str, Stated]:
    """What the treatment record repeats, as far as it is stated."""
    found: dict[str, Stated] = {}
    for row in rows_of(place):
        if not row.recorded:
            continue
        if not row.is_number:
            said = text(dataset, row.keyword, where)
            if said:
                found[row.keyword] = said
            continue
        values = numbers(dataset, row.keyword, where)
        if values is not None:
            if len(values) != 1:
                raise PlanError(
                    f"{where}: {row.keyword} has {len(values)} values instead of one; export the plan again"
                )
            found[row.keyword] = float(values[0])
    return found
