"""Layers of a plan as they were delivered, and the control points of a treatment record they make.

Each layer of the plan is a pair of control points, as in the plan: the first lists the spots, the second
ends the layer with zeros.  The metersets of the first are delivered until the second, and their sum is
the step of the delivered meterset between the two (DICOM PS3.3, Table C.8.8.26-1).

A repainted spot is listed once for each visit, all with its index in the plan (PS3.3, C.8.8.26.2.6), and
all with the layer that it belongs to, even if other layers were delivered in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from spotline.arrays import Floats, Integers
from spotline.dicom.encoding import SHORT_STRING, decimal
from spotline.dicom.ion_plan_layers import NO_TUNE
from spotline.errors import RecordError
from spotline.plan.model import Field, Layer
from spotline.record.model import FieldRecord, Table
from spotline.units import FWHM_PER_SIGMA

PRIVATE_GROUP = 0x3009
"""Group of the private elements of a treatment record."""

PRIVATE_CREATOR = "SPOTLINE"

UNMEASURED_POSITIONS = 0x01
"""Private element: which spots of the control point have no measured position, counting from 1."""

INDEX_BASE = 1
"""Scan Spot Prescribed Indices count from this number.

Table C.8.8.26-1 of DICOM PS3.3 lets them "start at one", and so do the examples of section C.8.8.26.2;
only a sentence of C.8.8.26.2.1 lets the index of the prescription start at 0.
"""


@dataclass(frozen=True, slots=True, eq=False)
class DeliveredLayer:
    """A layer of the plan and what was delivered of it.

    All arrays have shape (n_spots,) and are in the order of delivery; a repainted spot comes once for each
    visit.  A layer of which nothing was delivered has all its planned spots, with metersets of zero.

    Attributes
    ----------
    planned : Layer
        The layer of the plan.
    paintings : int
        How often the layer was to be painted.
    x_iso_mm, y_iso_mm : ndarray
        Measured positions; the planned ones where `unmeasured`.
    meterset : ndarray
        Delivered, in the unit of the field, rounded to what a 32-bit float holds.
    prescribed_index : ndarray of int
        Index of each spot in the file of the plan, from 0.
    as_planned : bool
        Whether these are the spots of the plan, all of them, once and in its order.
    unmeasured : ndarray of bool
        Whether the position was never measured.
    time_offset_us : ndarray or None
        From the start of the layer until the beam was at the spot; None if nothing was delivered.
    start_us, end_us : int
        First and last tick of the layer, on the clock of the field.
    fwhm_mm : tuple of two floats or None
        Spot size that the planning system assumed.
    sizes_mm : ndarray, shape (n_spots, 2), or None
        Full widths at half maximum in x and y, of a spot as the strips measured it, and where they did not
        that of the slice; None unless there is one for every spot.
    tune_id : str
        Optics that the accelerator was asked for; empty if it has no name.
    """

    planned: Layer
    paintings: int
    x_iso_mm: Floats
    y_iso_mm: Floats
    meterset: Floats
    prescribed_index: Integers
    as_planned: bool
    unmeasured: NDArray[np.bool_]
    time_offset_us: Floats | None
    start_us: int
    end_us: int
    fwhm_mm: tuple[float, float] | None
    sizes_mm: Floats | None
    tune_id: str

    @property
    def n_spots(self) -> int:
        """Number of spots, or of visits to them."""
        return len(self.meterset)


def delivered_layers(record: FieldRecord, field: Field, where: str) -> tuple[DeliveredLayer, ...]:
    """Sort the spots of a record into the layers of the plan.

    Neighbouring layers of one energy are one slice of the record, and with repainting several slices can
    belong to one layer, so the layers are not its slices.

    Parameters
    ----------
    record : FieldRecord
        What was delivered.
    field : Field
        The field of the plan.
    where : str
        Beginning of the messages: folder and field.

    Returns
    -------
    tuple of DeliveredLayer
        One per layer of the plan, whether delivered or not.

    Raises
    ------
    RecordError
        If the record has spots that the plan does not have, or numbers that cannot be.
    """
    _check_spots(record, field, where)
    spots = record.spots[np.lexsort((record.spots["spot"], record.spots["slice"]))]
    per_particle = np.asarray(record.facts.meterset_per_particle, np.float64)
    end_us = int(
        max(spots["end_us"].max(initial=0), 0 if len(spots) else record.spills["end_us"].max(initial=0))
    )
    layers = []
    for layer in field.layers:
        visits = record.visits[record.visits["planned_layer"] == layer.index]
        rows = spots[spots["planned_layer"] == layer.index]
        fwhm_mm = _fwhm_mm(layer, visits, record)
        paintings = int(visits["painting"].max()) + 1 if len(visits) else layer.paintings
        tune_id = _tune_id(layer, visits, record)
        if len(rows):
            sizes_mm = _sizes_mm(rows, record)
            layers.append(_delivered(layer, paintings, rows, per_particle, (fwhm_mm, sizes_mm), tune_id))
        else:
            layers.append(_undelivered(layer, paintings, end_us, fwhm_mm, tune_id))
    return tuple(layers)


def _tune_id(layer: Layer, visits: Table, record: FieldRecord) -> str:
    """Optics of the slice that the layer went into, or of the plan if it went into none."""
    return record.facts.focus[visits["slice"][0]] if len(visits) else layer.tune_id


def _fwhm_mm(layer: Layer, visits: Table, record: FieldRecord) -> tuple[float, float] | None:
    """Spot size of the slice that the layer went into, or of the plan if it went into none."""
    if len(visits):
        slice_ = record.slices[visits["slice"][0]]
        size_mm = (float(slice_["fwhm_x_mm"]), float(slice_["fwhm_y_mm"]))
    else:
        size_mm = (layer.fwhm_x_mm or 0.0, layer.fwhm_y_mm or 0.0)
    return size_mm if min(size_mm) > 0.0 else None


def _sizes_mm(rows: Table, record: FieldRecord) -> Floats | None:
    """Measured sizes of spots; those without one have that of their slice."""
    sizes_mm = np.empty((len(rows), 2))
    for column, name in enumerate(("sigma_x_mm", "sigma_y_mm")):
        of_slice = record.slices[name][rows["slice"]]
        sizes_mm[:, column] = np.where(rows["width_valid"], rows[name], of_slice) * FWHM_PER_SIGMA
    return sizes_mm if (sizes_mm > 0.0).all() else None


def _check_spots(record: FieldRecord, field: Field, where: str) -> None:
    slices, given = len(record.slices), len(record.facts.meterset_per_particle)
    if given != slices:
        raise RecordError(
            f"{where}: meterset_per_particle has {given} values for {slices} slices; "
            " restore the record from a copy"
        )
    spots, visits = record.spots, record.visits
    broken = "cannot be; restore the record from a copy"
    for table, right, what in (
        (spots, _is_planned(spots, field), "is not in the plan; give the plan that was delivered"),
        (visits, _is_planned(visits, field), "is not in the plan; give the plan that was delivered"),
        (spots, _is_in_slices(spots, slices), f"has a slice that {broken}"),
        (visits, _is_in_slices(visits, slices), f"has a slice that {broken}"),
        (
            spots,
            np.isfinite(spots["particles"]) & (spots["particles"] >= 0.0),
            f"has a number of particles that {broken}",
        ),
    ):
        if not right.all():
            bad = table[np.argmin(right)]
            particles = f", {bad['particles']:g} particles" if table is spots else ""
            raise RecordError(
                f"{where}, slice {bad['slice']}: spot {bad['spot']} (layer {bad['planned_layer']}, spot "
                f"{bad['planned_spot']}{particles}) {what}"
            )


def _is_planned(spots: Table, field: Field) -> NDArray[np.bool_]:
    n_spots = np.array([layer.n_spots for layer in field.layers])
    layer, spot = spots["planned_layer"], spots["planned_spot"]
    known: NDArray[np.bool_] = (layer >= 0) & (layer < len(n_spots)) & (spot >= 0)
    known[known] &= spot[known] < n_spots[layer[known]]
    return known


def _is_in_slices(spots: Table, slices: int) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (spots["slice"] >= 0) & (spots["slice"] < slices)
    return inside


def _delivered(
    layer: Layer,
    paintings: int,
    rows: Table,
    per_particle: Floats,
    sizes: tuple[tuple[float, float] | None, Floats | None],
    tune_id: str,
) -> DeliveredLayer:
    index = rows["planned_spot"]
    x_mm, y_mm = rows["x_mm"].astype(np.float64), rows["y_mm"].astype(np.float64)
    no_x, no_y = ~np.isfinite(x_mm), ~np.isfinite(y_mm)
    start_us = int(rows["start_us"].min())
    return DeliveredLayer(
        planned=layer,
        paintings=paintings,
        x_iso_mm=np.where(no_x, layer.x_iso_mm[index], x_mm),
        y_iso_mm=np.where(no_y, layer.y_iso_mm[index], y_mm),
        meterset=_as_stored(rows["particles"] * per_particle[rows["slice"]]),
        prescribed_index=layer.file_index[index],
        as_planned=layer.spot_index is None and np.array_equal(index, np.arange(layer.n_spots)),
        unmeasured=no_x | no_y,
        time_offset_us=(rows["start_us"] - start_us).astype(np.float64),
        start_us=start_us,
        end_us=int(rows["end_us"].max()),
        fwhm_mm=sizes[0],
        sizes_mm=sizes[1],
        tune_id=tune_id,
    )


def _undelivered(
    layer: Layer, paintings: int, end_us: int, fwhm_mm: tuple[float, float] | None, tune_id: str
) -> DeliveredLayer:
    return DeliveredLayer(
        planned=layer,
        paintings=paintings,
        x_iso_mm=layer.x_iso_mm,
        y_iso_mm=layer.y_iso_mm,
        meterset=np.zeros(layer.n_spots),
        prescribed_index=layer.file_index,
        as_planned=layer.spot_index is None,
        unmeasured=np.zeros(layer.n_spots, np.bool_),
        time_offset_us=None,
        start_us=end_us,
        end_us=end_us,
        fwhm_mm=fwhm_mm,
        sizes_mm=None,
        tune_id=tune_id,
    )


def _as_stored(values: Floats) -> Floats:
    # The cumulative meterset is the sum of what is stored, so that both agree to the last digit.
    return values.astype(np.float32).astype(np.float64)


def cumulative_meterset(layers: tuple[DeliveredLayer, ...]) -> list[float]:
    """Delivered meterset before each layer and after the last."""
    return _cumulative([layer.meterset for layer in layers])


def specified_meterset(layers: tuple[DeliveredLayer, ...]) -> list[float]:
    """Planned meterset before each layer and after the last."""
    return _cumulative([layer.planned.meterset for layer in layers])


def _cumulative(metersets: list[Floats]) -> list[float]:
    steps = [0.0, *(float(meterset.sum()) for meterset in metersets)]
    return [float(total) for total in np.cumsum(steps)]


def first_control_points(field: Field, numbered: bool) -> list[int]:
    """Index of the control point of the plan at which each layer begins.

    Parameters
    ----------
    field : Field
        The field of the plan.
    numbered : bool
        Whether its file has control points; if not, or if they do not grow from layer to layer, they are
        counted in pairs, as the plan writer would write them.
    """
    indices = [layer.control_point for layer in field.layers]
    if numbered and all(later > earlier for earlier, later in pairwise(indices)):
        return indices
    return [2 * layer for layer in range(len(field.layers))]


def control_points(
    layers: tuple[DeliveredLayer, ...], indices: list[int], started: datetime
) -> list[Dataset]:
    """Make the control points of a field: two per layer, unless the plan has one per layer and a last one.

    Parameters
    ----------
    layers : tuple of DeliveredLayer
        All layers of the plan.
    indices : list of int
        From `first_control_points`.
    started : datetime
        Tick 0 of the clock of the field.

    Returns
    -------
    list of Dataset
        Items of the Ion Control Point Delivery Sequence, without the geometry that the first one needs.
    """
    specified, delivered = specified_meterset(layers), cumulative_meterset(layers)
    points = []
    for position, layer in enumerate(layers):
        index = indices[position]
        first = _control_point(layer, layer.meterset)
        if layer.time_offset_us is not None:
            first.ScanSpotTimeOffset = layer.time_offset_us.tolist()
        _set_progress(first, index, specified[position], delivered[position])
        _set_time(first, started, layer.start_us)
        points.append(first)
        if indices[position + 1 : position + 2] != [index + 1]:
            second = _control_point(layer, np.zeros(layer.n_spots))
            _set_progress(second, index + 1, specified[position + 1], delivered[position + 1])
            _set_time(second, started, layer.end_us)
            points.append(second)
    return points


def _set_progress(point: Dataset, index: int, specified: float, delivered: float) -> None:
    point.ReferencedControlPointIndex = index
    point.SpecifiedMeterset = decimal(specified)
    point.DeliveredMeterset = decimal(delivered)


def _set_time(point: Dataset, started: datetime, time_us: int) -> None:
    moment = started.replace(tzinfo=None) + timedelta(microseconds=time_us)
    point.TreatmentControlPointDate = moment.strftime("%Y%m%d")
    point.TreatmentControlPointTime = moment.strftime("%H%M%S.%f")


def _control_point(layer: DeliveredLayer, meterset: Floats) -> Dataset:
    point = Dataset()
    point.NominalBeamEnergy = decimal(layer.planned.energy_MeV_u)
    point.ScanSpotTuneID = short(layer.tune_id or layer.planned.tune_id) or NO_TUNE
    point.NumberOfScanSpotPositions = layer.n_spots
    point.ScanSpotPositionMap = np.column_stack([layer.x_iso_mm, layer.y_iso_mm]).ravel().tolist()
    point.ScanSpotMetersetsDelivered = meterset.tolist()
    point.NumberOfPaintings = layer.paintings
    point.ScanSpotReordered = "NO" if layer.as_planned else "YES"
    if not layer.as_planned:
        point.ScanSpotPrescribedIndices = (layer.prescribed_index + INDEX_BASE).tolist()
    if layer.fwhm_mm is not None:
        point.ScanningSpotSize = list(layer.fwhm_mm)
    if layer.sizes_mm is not None:
        point.ScanSpotSizesDelivered = layer.sizes_mm.ravel().tolist()
    if layer.unmeasured.any():
        block = point.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
        block.add_new(UNMEASURED_POSITIONS, "UL", (np.flatnonzero(layer.unmeasured) + 1).tolist())
    return point


def short(text: str) -> str:
    """Shorten a name to what a short string holds: after a delivery its record must be written."""
    return text.replace("\\", "/")[:SHORT_STRING]
