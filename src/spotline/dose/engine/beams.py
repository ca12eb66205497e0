"""Beams of a dose: spots of a plan, or of a record as prescribed, as measured, or as they truly were."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.dose.engine.fluence import Spots
from spotline.errors import DoseError
from spotline.physics.ions import IONS, Ion
from spotline.record.model import FieldRecord
from spotline.record.widths import mean_widths
from spotline.treatment.treatment import FieldTreatment, Slice, Treatment
from spotline.units import FWHM_PER_SIGMA

What = Literal["planned", "measured", "true"]
"""Of a record: what was prescribed, what the chambers measured, what the simulation knows."""

Widths = Literal["measured", "planned"]
"""Width of the spots of what was measured: as the strips found it, or as the plan has it."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerBeam:
    """Spots of one energy.

    Attributes
    ----------
    slice : int
        Index of the slice, from 0.
    energy_MeV_u : float
        Kinetic energy per nucleon in vacuum.
    focus : str
        Optics of the beam line.
    spots : Spots
        In the plane of the isocentre.
    planned_sigma_mm : tuple of two floats or None
        Standard deviations that the plan has, where those of `spots` may be others; None: they are these.
    """

    slice: int
    energy_MeV_u: float
    focus: str
    spots: Spots
    planned_sigma_mm: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FieldBeams:
    """All beams of a field.

    Attributes
    ----------
    number, name : int, str
        As in the plan.
    ion : Ion
    passive_elements : tuple of str
        Names of the ripple filters and range shifters in the beam.
    gantry_deg, patient_support_deg : float
        Angles (IEC 61217).
    isocentre_mm : tuple of three floats
        In patient coordinates.
    layers : tuple of LayerBeam
        In the order of delivery.
    patient_position : str
        How the patient lies for this field, such as ``"HFS"``; empty if nothing says, then it is as for all.
    """

    number: int
    name: str
    ion: Ion
    passive_elements: tuple[str, ...]
    gantry_deg: float
    patient_support_deg: float
    isocentre_mm: tuple[float, float, float]
    layers: tuple[LayerBeam, ...]
    patient_position: str = ""

    @property
    def particles(self) -> float:
        """Of all spots."""
        return float(sum(layer.spots.particles.sum() for layer in self.layers))


def beams_of_treatment(treatment: Treatment) -> tuple[FieldBeams, ...]:
    """Beams of a plan that was prepared for a beam line."""
    return tuple(_of_field_treatment(prepared) for prepared in treatment.fields)


def _of_field_treatment(prepared: FieldTreatment) -> FieldBeams:
    field = prepared.field
    return FieldBeams(
        number=field.number,
        name=field.name,
        ion=field.ion,
        passive_elements=prepared.passive_elements,
        gantry_deg=field.gantry_angle_deg or 0.0,
        patient_support_deg=field.patient_support_angle_deg or 0.0,
        isocentre_mm=field.isocentre_mm or (0.0, 0.0, 0.0),
        layers=tuple(_planned(part) for part in prepared.slices),
        patient_position=field.patient_position,
    )


def check_widths(widths: object) -> None:
    """Refuse widths that nobody knows, which would be taken for one of those that are known.

    Raises
    ------
    DoseError
        If they are none.
    """
    if widths not in get_args(Widths):
        raise DoseError(f"widths: {widths!r} are none; choose one of {', '.join(get_args(Widths))}")


def beams_of_record(
    field: FieldRecord,
    what: What,
    isocentre_mm: tuple[float, float, float] | None = None,
    widths: Widths = "measured",
) -> FieldBeams:
    """Beams of a field that was delivered.

    Parameters
    ----------
    field : FieldRecord
    what : {"planned", "measured", "true"}
        Prescribed: all spots, delivered or not.  Measured: particles of INT1 at the positions of the strips,
        see `measured_places_mm`.  True: what the simulation knows.
    isocentre_mm : tuple of three floats, optional
        In patient coordinates; by default that of the record.
    widths : {"measured", "planned"}
        Of what was measured: see `measured_widths_mm`.  A record without widths has the planned ones.

    Raises
    ------
    DoseError
        If the truth is asked for and the record has none, or nobody knows what is asked for.
    """
    check_widths(widths)
    if what not in get_args(What):
        raise DoseError(f"dose of {what!r}: is none; ask for one of {', '.join(get_args(What))}")
    facts, slices = field.facts, field.prescribed
    layers = tuple(_planned(part) for part in slices)
    if what != "planned":
        table = field.spots if what == "measured" else field.truth
        if table is None:
            raise DoseError(
                f"{field.path}: the record has no truth, because no simulation made it; ask for what was "
                "measured"
            )
        layers = tuple(
            _delivered(layer, table[table["slice"] == part.index], what, widths)
            for layer, part in zip(layers, slices, strict=True)
        )
    return FieldBeams(
        number=field.number,
        name=field.name,
        ion=IONS[facts.ion],
        passive_elements=facts.passive_elements,
        gantry_deg=facts.gantry_angle_deg or 0.0,
        patient_support_deg=facts.patient_support_angle_deg or 0.0,
        isocentre_mm=isocentre_mm or facts.isocentre_mm or (0.0, 0.0, 0.0),
        layers=layers,
        patient_position=facts.patient_position,
    )


def _planned(part: Slice) -> LayerBeam:
    """All visits of a slice, those of a spot of the plan joined."""
    sigma = np.ones(part.n_spots) / FWHM_PER_SIGMA
    return LayerBeam(
        part.index,
        part.energy_MeV_u,
        part.focus,
        Spots(part.x_iso_mm, part.y_iso_mm, part.particles, part.fwhm_x_mm * sigma, part.fwhm_y_mm * sigma),
    )


def _delivered(layer: LayerBeam, rows: np.ndarray, what: What, widths: Widths) -> LayerBeam:
    spot = rows["spot"]
    planned = layer.spots
    sigma_x_mm, sigma_y_mm = planned.sigma_x_mm[spot], planned.sigma_y_mm[spot]
    if what == "measured" and widths == "measured":
        sigma_x_mm = measured_widths_mm(
            rows["sigma_x_mm"], rows["sigma_error_x_mm"], rows["spill"], sigma_x_mm
        )
        sigma_y_mm = measured_widths_mm(
            rows["sigma_y_mm"], rows["sigma_error_y_mm"], rows["spill"], sigma_y_mm
        )
    elif what == "true":
        sigma_x_mm = np.where(np.isfinite(rows["sigma_x_mm"]), rows["sigma_x_mm"], sigma_x_mm)
        sigma_y_mm = np.where(np.isfinite(rows["sigma_y_mm"]), rows["sigma_y_mm"], sigma_y_mm)

    names = rows.dtype.names or ()
    valid = rows["position_valid"] if "position_valid" in names else np.ones(len(rows), dtype=bool)
    x_mm = measured_places_mm(rows["x_mm"], valid, planned.x_mm[spot])
    y_mm = measured_places_mm(rows["y_mm"], valid, planned.y_mm[spot])
    # Of the truth: a beam that moved while the spot was the current one is as much wider.
    wander = [rows[f"{axis}_sd_mm"] ** 2 if f"{axis}_sd_mm" in names else 0.0 for axis in "xy"]
    spots = Spots(
        x_mm,
        y_mm,
        rows["particles"].astype(float),
        np.sqrt(sigma_x_mm**2 + np.nan_to_num(wander[0])),
        np.sqrt(sigma_y_mm**2 + np.nan_to_num(wander[1])),
    )
    return replace(layer, spots=with_particles(spots), planned_sigma_mm=planned_sigma_mm(layer))


def planned_sigma_mm(layer: LayerBeam) -> tuple[float, float] | None:
    """Width that the plan gives the spots of a layer, all the same; None without any spot."""
    spots = layer.spots
    return (float(spots.sigma_x_mm[0]), float(spots.sigma_y_mm[0])) if len(spots.x_mm) else None


def measured_widths_mm(sigma_mm: Floats, error_mm: Floats, spill: Integers, planned_mm: Floats) -> Floats:
    """Most likely widths of the spots of a slice in one plane.

    A spill is one beam, so that its spots share a width: the mean of what was measured in them, weighted by
    the uncertainty.  A spill without a measured width has that of the slice, and a slice without one that of
    the plan.

    Parameters
    ----------
    sigma_mm, error_mm : ndarray, shape (n,)
        Measured standard deviations and their uncertainty; NaN where nothing was measured.
    spill : ndarray of int, shape (n,)
        Number of the spill of each spot.
    planned_mm : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)
        In mm.
    """
    if not len(sigma_mm):
        return planned_mm
    _, row = np.unique(spill, return_inverse=True)
    of_spill, _ = mean_widths(sigma_mm, error_mm, row, int(row.max()) + 1)
    of_slice, _ = mean_widths(sigma_mm, error_mm, np.zeros(len(row), np.int64), 1)
    found = np.where(np.isfinite(of_spill[row]), of_spill[row], of_slice[0])
    return np.where(np.isfinite(found), found, planned_mm)


def measured_places_mm(measured_mm: Floats, valid: np.ndarray, prescribed_mm: Floats) -> Floats:
    """Most likely positions of the spots of a slice in one plane.

    A spot of few counts has no centre of gravity: the strip with most of them tells its place to some
    millimetres only, while the magnets put it beside its neighbours to a tenth of one.  So it lies where it
    was prescribed, displaced as the spots of the slice that have a centre of gravity are in the mean; if
    none has, as the strips are.

    Parameters
    ----------
    measured_mm : ndarray, shape (n,)
        At the isocentre; NaN where nothing was measured.
    valid : ndarray of bool, shape (n,)
        Whether the position is a centre of gravity.
    prescribed_mm : ndarray, shape (n,)

    Returns
    -------
    ndarray, shape (n,)
        In mm.
    """
    measured = np.asarray(measured_mm, dtype=float)
    known = np.isfinite(measured)
    centred = known & valid
    measurable = centred if centred.any() else known
    shift = float(np.mean((measured - prescribed_mm)[measurable])) if measurable.any() else 0.0
    return np.where(centred, measured, prescribed_mm + shift)


def with_particles(spots: Spots) -> Spots:
    """Leave out the spots that got nothing."""
    some = spots.particles > 0.0
    return Spots(*(getattr(spots, name)[some] for name in Spots.__slots__))


def together(fields: Iterable[FieldBeams]) -> Iterator[tuple[FieldBeams, LayerBeam]]:
    """All layers of all fields, each with its field."""
    for field in fields:
        for layer in field.layers:
            yield field, layer
