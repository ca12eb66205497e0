"""Control points of an ion beam: the rules they must obey, and the layers they make.

The weights of a control point are delivered between it and the next one, while the cumulative
meterset weight grows by their sum (DICOM PS3.3 C.8.8.25.7).  Exporters write each layer as a pair, the
second control point with weights of zero; a chain with one control point a layer follows the same rule
and is read too.  What a control point does not state is as at the one before.

How far the sum of the weights may be from the step of the cumulative weight: the weights are 32-bit
floats and the cumulative weights decimal strings, which some exporters cut to six digits, and each
exporter sums in its own precision.  Allowed are `SUM_TOLERANCE` of the layer, far below the accuracy of
a dosimeter and below the share of most single spots, plus the rounding of the two decimal strings as
they are written, plus the 32-bit rounding of the cumulative weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from spotline.arrays import Floats
from spotline.dicom.attributes import (
    integer,
    items,
    missing,
    number,
    numbers,
    one_line,
    required_integer,
    required_items,
    required_number,
    text,
    value,
    written_rounding,
)
from spotline.dicom.ion_plan_devices import SETTINGS_SEQUENCES
from spotline.dicom.ion_plan_geometry import SAME
from spotline.dicom.plan_geometry import STATIC_NUMBERS
from spotline.errors import PlanError
from spotline.plan.model import Layer

SUM_TOLERANCE = 1e-4
"""Allowed difference between the weights of a layer and its cumulative step, relative to the layer."""

NO_TUNE = "NONE"
"""Scan Spot Tune ID of a plan that asks for no particular tune: DICOM does not let it be empty."""

_FLOAT32_ROUNDING = 2.0**-24
_STATIC_SEQUENCES = (*SETTINGS_SEQUENCES, "BeamLimitingDevicePositionSequence")


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    """What holds at a control point, inherited values included."""

    energy_MeV_u: float
    tune_id: str
    fwhm_mm: tuple[float, float] | None
    paintings: int
    position_map_mm: Floats | None


@dataclass(frozen=True, slots=True)
class _Cumulative:
    """Cumulative meterset weight of a control point, and how far it may have been rounded."""

    weight: float
    rounding: float


def read_layers(beam: Dataset, meterset_per_weight: float, where: str) -> tuple[Layer, ...]:
    """Check the control points of a beam and make its layers.

    Parameters
    ----------
    beam : Dataset
        Item of the Ion Beam Sequence.
    meterset_per_weight : float
        Beam Meterset divided by Final Cumulative Meterset Weight.
    where : str
        Beginning of the messages: file and field.

    Returns
    -------
    tuple of Layer
        Layers in the order of the file; control points without any weight make none.

    Raises
    ------
    PlanError
        If the control points contradict each other or lack what a layer needs.
    """
    points = required_items(beam, "IonControlPointSequence", where)
    _check_count(beam, points, where)
    cumulative = _read_cumulative(beam, points, where)
    _check_static(points, where)

    layers: list[Layer] = []
    state: _State | None = None
    delivering = False  # whether the control point before this one carries weights
    for index, point in enumerate(points):
        place = _place(where, len(layers) - 1 if delivering else len(layers), index)
        weights = _read_weights(point, place)
        is_layer = _is_layer(cumulative, index, weights, place)
        if is_layer:
            place = _place(where, len(layers), index)
        before, state = state, _read_state(point, state, place)
        if delivering and not is_layer and before is not None:
            _check_pair(before, state, place)
        if is_layer:
            _check_sum(weights, cumulative[index], cumulative[index + 1], index, place)
            positions_mm = _read_positions(state, weights, place)
            layer = _layer(len(layers), index, state, positions_mm, weights * meterset_per_weight)
            layers.append(layer)
        delivering = is_layer
    if not layers:
        raise PlanError(
            f"{where}: has no spots: ScanSpotMetersetWeights are zero or missing at every control point; "
            "export the plan with its spots"
        )
    return tuple(layers)


def _place(where: str, layer: int, control_point: int) -> str:
    return f"{where}, layer {layer} (control point {control_point})"


def _check_count(beam: Dataset, points: list[Dataset], where: str) -> None:
    expected = required_integer(beam, "NumberOfControlPoints", where)
    if expected != len(points):
        raise PlanError(
            f"{where}: NumberOfControlPoints is {expected} but IonControlPointSequence has {len(points)} "
            "items; the file is incomplete, export the plan again"
        )
    if len(points) < 2:
        raise PlanError(
            f"{where}: IonControlPointSequence has one item, but a layer lies between two control points; "
            "export the plan again"
        )
    for index, point in enumerate(points):
        place = f"{where}, control point {index}"
        found = required_integer(point, "ControlPointIndex", place)
        if found != index:
            raise PlanError(
                f"{place}: ControlPointIndex is {found}; they must count 0, 1, 2, ... in the order of the "
                "file, export the plan again"
            )


def _read_cumulative(beam: Dataset, points: list[Dataset], where: str) -> list[_Cumulative]:
    keyword = "CumulativeMetersetWeight"
    cumulative: list[_Cumulative] = []
    for index, point in enumerate(points):
        place = f"{where}, control point {index}"
        found = _Cumulative(required_number(point, keyword, place), written_rounding(point, keyword, place))
        if index == 0 and found.weight != 0.0:
            raise PlanError(
                f"{place}: {keyword} is {found.weight:g} but must begin at 0; export the plan again"
            )
        if cumulative and cumulative[-1].weight - found.weight > _rounding(cumulative[-1], found):
            raise PlanError(
                f"{place}: {keyword} falls from {cumulative[-1].weight:.10g} to {found.weight:.10g}; it may "
                "only grow, export the plan again"
            )
        cumulative.append(found)
    _check_final(beam, cumulative[-1], where)
    return cumulative


def _check_final(beam: Dataset, last: _Cumulative, where: str) -> None:
    keyword = "FinalCumulativeMetersetWeight"
    final = _Cumulative(required_number(beam, keyword, where), written_rounding(beam, keyword, where))
    if abs(final.weight - last.weight) > _rounding(last, final):
        raise PlanError(
            f"{where}: {keyword} is {final.weight:.10g} but CumulativeMetersetWeight ends at "
            f"{last.weight:.10g} at the last control point; export the plan again"
        )


def _check_static(points: list[Dataset], where: str) -> None:
    for keyword in STATIC_NUMBERS:
        first = numbers(points[0], keyword, f"{where}, control point 0")
        for index, point in enumerate(points[1:], start=1):
            place = f"{where}, control point {index}"
            later = numbers(point, keyword, place)
            if later is not None and not _same_numbers(first, later):
                shown = "absent" if first is None else one_line(first.tolist())
                raise _changes(
                    f"{keyword} is {one_line(later.tolist())} but {shown} at control point 0", place
                )
    for keyword in _STATIC_SEQUENCES:
        for index, point in enumerate(points[1:], start=1):
            place = f"{where}, control point {index}"
            if items(point, keyword, place) and _content(points[0], keyword, place) != _content(
                point, keyword, place
            ):
                raise _changes(f"{keyword} differs from control point 0", place)


def _same_numbers(first: Floats | None, later: Floats) -> bool:
    return (
        first is not None
        and len(first) == len(later)
        and bool(np.allclose(first, later, rtol=0.0, atol=SAME))
    )


def _content(point: Dataset, keyword: str, place: str) -> list[dict[str, str]]:
    return [
        {name: str(value(item, name, place)) for name in item.dir()} for item in items(point, keyword, place)
    ]


def _changes(what: str, place: str) -> PlanError:
    return PlanError(f"{place}: {what}, and must not change during a field; make a field of each setting")


def _read_weights(point: Dataset, place: str) -> Floats:
    keyword = "ScanSpotMetersetWeights"
    weights = numbers(point, keyword, place)
    if weights is None:
        return np.zeros(0)
    negative = np.flatnonzero(weights < 0.0)
    if negative.size:
        raise PlanError(
            f"{place}: {keyword} has the negative weight {weights[negative[0]]:g} at spot {negative[0]}; "
            "correct it in the plan"
        )
    expected = integer(point, "NumberOfScanSpotPositions", place)
    if expected is not None and expected != len(weights):
        raise PlanError(
            f"{place}: {keyword} has {len(weights)} values but NumberOfScanSpotPositions is {expected}; "
            "export the plan again"
        )
    return weights


def _read_state(point: Dataset, before: _State | None, place: str) -> _State:
    energy_MeV_u = number(point, "NominalBeamEnergy", place)
    if energy_MeV_u is None:
        if before is None:
            raise missing("NominalBeamEnergy", place)
        energy_MeV_u = before.energy_MeV_u
    if energy_MeV_u <= 0.0:
        raise PlanError(
            f"{place}: NominalBeamEnergy is {energy_MeV_u:g} MeV/u, which must be greater than zero; "
            "correct it in the plan"
        )
    unit = text(point, "NominalBeamEnergyUnit", place).upper()
    if unit not in ("", "MEV", "MEV/U"):
        raise PlanError(
            f"{place}: NominalBeamEnergyUnit is {one_line(unit)}, which is no energy of an ion; "
            "export the plan in MeV per nucleon"
        )
    paintings = integer(point, "NumberOfPaintings", place)
    if paintings is not None and paintings < 1:
        raise PlanError(f"{place}: NumberOfPaintings is {paintings}; it must be 1 or more, correct it")
    tune_id = text(point, "ScanSpotTuneID", place) or (before.tune_id if before else "")
    size_mm = numbers(point, "ScanningSpotSize", place)
    fwhm_mm = (before.fwhm_mm if before else None) if size_mm is None else _fwhm_mm(size_mm, place)
    position_map_mm = numbers(point, "ScanSpotPositionMap", place)
    if before is None:
        return _State(energy_MeV_u, tune_id, fwhm_mm, paintings or 1, position_map_mm)
    return _State(
        energy_MeV_u=energy_MeV_u,
        tune_id=tune_id,
        fwhm_mm=fwhm_mm,
        paintings=paintings or before.paintings,
        position_map_mm=before.position_map_mm if position_map_mm is None else position_map_mm,
    )


def _fwhm_mm(size_mm: Floats, place: str) -> tuple[float, float] | None:
    if not size_mm.any():
        return None  # a size of zero is how some exporters say that they do not know it
    if len(size_mm) != 2 or bool((size_mm <= 0.0).any()):
        raise PlanError(
            f"{place}: ScanningSpotSize is {one_line(size_mm.tolist())} but must be two widths (FWHM in mm, "
            "X and Y) greater than zero; correct it in the plan"
        )
    return float(size_mm[0]), float(size_mm[1])


def _is_layer(cumulative: list[_Cumulative], index: int, weights: Floats, place: str) -> bool:
    """Check that there are weights where the cumulative weight grows, and nowhere else; say whether."""
    start = cumulative[index]
    last = index == len(cumulative) - 1
    end = start if last else cumulative[index + 1]
    step = end.weight - start.weight
    if weights.any() and step <= 0.0:
        reason = "is the last" if last else "ends its layer (CumulativeMetersetWeight does not grow after it)"
        raise PlanError(
            f"{place}: ScanSpotMetersetWeights add up to {weights.sum():.10g}, but this control point "
            f"{reason} and must carry weights of zero; export the plan again"
        )
    if not weights.any() and step > _rounding(start, end):
        lacking = "are all zero" if len(weights) else "are missing"
        raise PlanError(
            f"{place}: ScanSpotMetersetWeights {lacking} but CumulativeMetersetWeight grows by {step:.10g} "
            "until the next control point; export the plan again"
        )
    return bool(weights.any())


def _rounding(start: _Cumulative, end: _Cumulative) -> float:
    """How far the difference of two cumulative weights may be off because of how they are written."""
    return start.rounding + end.rounding + 2.0 * _FLOAT32_ROUNDING * abs(end.weight)


def _check_pair(start: _State, end: _State, place: str) -> None:
    """The control point that ends a layer repeats the layer: a ramp cannot be delivered."""
    for keyword, first, second in (
        ("NominalBeamEnergy", f"{start.energy_MeV_u:.10g}", f"{end.energy_MeV_u:.10g}"),
        ("ScanSpotTuneID", one_line(start.tune_id), one_line(end.tune_id)),
    ):
        if first != second:
            raise _ramp(f"{keyword} is {second} but {first} at the control point before", place)
    if start.position_map_mm is None or end.position_map_mm is None:
        return
    if not np.array_equal(start.position_map_mm, end.position_map_mm):
        raise _ramp("ScanSpotPositionMap differs from the control point before", place)


def _ramp(what: str, place: str) -> PlanError:
    return PlanError(
        f"{place}: {what}, so it would change while the layer is delivered; export the plan with both "
        "control points of a layer alike"
    )


def _check_sum(weights: Floats, start: _Cumulative, end: _Cumulative, index: int, place: str) -> None:
    total = float(weights.sum())
    step = end.weight - start.weight
    allowed = SUM_TOLERANCE * max(total, step) + _rounding(start, end)
    if abs(total - step) > allowed:
        raise PlanError(
            f"{place}: ScanSpotMetersetWeights add up to {total:.10g} but CumulativeMetersetWeight grows by "
            f"{step:.10g} until control point {index + 1} (tolerance {allowed:.2g}); export the plan again"
        )


def _read_positions(state: _State, weights: Floats, place: str) -> Floats:
    keyword = "ScanSpotPositionMap"
    if state.position_map_mm is None:
        raise missing(keyword, place)
    if len(state.position_map_mm) != 2 * len(weights):
        raise PlanError(
            f"{place}: {keyword} has {len(state.position_map_mm)} values but {len(weights)} spots need "
            f"{2 * len(weights)} (X and Y of each); export the plan again"
        )
    return state.position_map_mm.reshape(-1, 2)


def _layer(index: int, control_point: int, state: _State, positions_mm: Floats, meterset: Floats) -> Layer:
    kept = np.flatnonzero(meterset > 0.0)
    fwhm_x_mm, fwhm_y_mm = state.fwhm_mm or (None, None)
    return Layer(
        index=index,
        energy_MeV_u=state.energy_MeV_u,
        x_iso_mm=positions_mm[kept, 0],
        y_iso_mm=positions_mm[kept, 1],
        meterset=meterset[kept],
        fwhm_x_mm=fwhm_x_mm,
        fwhm_y_mm=fwhm_y_mm,
        tune_id="" if state.tune_id == NO_TUNE else state.tune_id,
        paintings=state.paintings,
        control_point=control_point,
        spot_index=None if len(kept) == len(meterset) else kept,
    )
