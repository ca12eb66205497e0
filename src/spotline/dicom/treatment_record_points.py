"""Read the control points of a treatment record, and the rules they must obey.

The step of the delivered meterset from one control point to the next must be the sum of the spots
delivered in between (DICOM PS3.3, Table C.8.8.26-1).  Section C.8.8.21.2.2 asks for something else: at
control points that were completed, the delivered meterset is the specified one, whatever was measured.
Of a record that does that, the steps may differ from the spots by `AS_SPECIFIED_TOLERANCE`, which is no
more than a warning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from spotline.arrays import Floats, Integers
from spotline.dicom.attributes import (
    missing,
    number,
    numbers,
    one_line,
    required_integer,
    required_number,
    text,
    written_rounding,
)
from spotline.dicom.ion_plan_layers import SUM_TOLERANCE
from spotline.dicom.raw_values import numbers_of
from spotline.dicom.recorded import RecordedControlPoint
from spotline.dicom.treatment_record_layers import PRIVATE_CREATOR, PRIVATE_GROUP, UNMEASURED_POSITIONS
from spotline.errors import RecordError

AS_SPECIFIED_TOLERANCE = 0.05
"""Allowed difference between a step and its spots, relative, where the steps are those of the plan."""

ADVICE = "export the record again"

_FLOAT32_ROUNDING = 2.0**-24
_DATE_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.(\d{1,6}))?)?)?)?([+-]\d{4})?")


@dataclass(frozen=True, slots=True)
class _Meterset:
    """Meterset of a control point, and how far writing it may have rounded it."""

    value: float
    rounding: float


def read_control_points(
    points: list[Dataset], index_base: int, offset: str, where: str, warnings: list[str]
) -> tuple[RecordedControlPoint, ...]:
    """Read the control points of a beam and check them.

    Parameters
    ----------
    points : list of Dataset
        Items of the Ion Control Point Delivery Sequence.
    index_base : int
        What the prescribed indices count from.
    offset : str
        Timezone Offset From UTC of the record; empty if it has none.
    where : str
        Beginning of the messages: file and field.
    warnings : list of str
        Where warnings are added.

    Raises
    ------
    RecordError, spotline.errors.PlanError
        If the control points contradict each other or lack what makes a spot.
    """
    places = _places(points, where)
    delivered = _growing(points, places, "DeliveredMeterset", required=True)
    _growing(points, places, "SpecifiedMeterset", required=False)
    recorded = tuple(
        _read_point(point, index_base, offset, place) for point, place in zip(points, places, strict=True)
    )
    _check_steps(recorded, delivered, places, warnings)
    return recorded


def _places(points: list[Dataset], where: str) -> list[str]:
    places: list[str] = []
    last = -1
    for position, point in enumerate(points):
        place = f"{where}, control point item {position}"
        index = required_integer(point, "ReferencedControlPointIndex", place)
        if index <= last:
            raise RecordError(
                f"{place}: ReferencedControlPointIndex is {index} after {last}; it must grow, {ADVICE}"
            )
        last = index
        places.append(f"{where}, control point {index}")
    return places


def _growing(points: list[Dataset], places: list[str], keyword: str, *, required: bool) -> list[_Meterset]:
    """Values of a cumulative meterset, which may not fall."""
    found: list[_Meterset] = []
    for point, place in zip(points, places, strict=True):
        meterset = number(point, keyword, place)
        if meterset is None:
            if required:
                raise missing(keyword, place)
            continue
        now = _Meterset(meterset, written_rounding(point, keyword, place))
        before = found[-1] if found else _Meterset(0.0, 0.0)
        if before.value - now.value > before.rounding + now.rounding:
            raise RecordError(
                f"{place}: {keyword} is {now.value:.10g} but {before.value:.10g} before; it may only "
                f"grow, {ADVICE}"
            )
        found.append(now)
    return found


def _read_point(point: Dataset, index_base: int, offset: str, place: str) -> RecordedControlPoint:
    n_spots = required_integer(point, "NumberOfScanSpotPositions", place)
    if n_spots < 0:
        raise RecordError(f"{place}: NumberOfScanSpotPositions is {n_spots}, less than zero; {ADVICE}")
    positions_mm = _spots(point, "ScanSpotPositionMap", n_spots, place, per_spot=2)
    meterset = _spots(point, "ScanSpotMetersetsDelivered", n_spots, place)
    negative = np.flatnonzero(meterset < 0.0)
    if negative.size:
        raise RecordError(
            f"{place}: ScanSpotMetersetsDelivered is {meterset[negative[0]]:g} at spot {negative[0]}, less "
            f"than zero; {ADVICE}"
        )
    return RecordedControlPoint(
        index=required_integer(point, "ReferencedControlPointIndex", place),
        time=_control_point_time(point, offset, place),
        energy_MeV_u=number(point, "NominalBeamEnergy", place),
        specified_meterset=number(point, "SpecifiedMeterset", place),
        delivered_meterset=required_number(point, "DeliveredMeterset", place),
        x_iso_mm=positions_mm[0::2],
        y_iso_mm=positions_mm[1::2],
        meterset=meterset,
        measured=_measured(point, n_spots, place),
        reordered=_reordered(point, place),
        prescribed_index=_prescribed_index(point, n_spots, index_base, place),
        time_offset_us=_optional_spots(point, "ScanSpotTimeOffset", n_spots, place),
        fwhm_mm=_fwhm_mm(point, place),
        sizes_mm=_sizes_mm(point, n_spots, place),
        tune_id=text(point, "ScanSpotTuneID", place),
    )


def _spots(point: Dataset, keyword: str, n_spots: int, place: str, per_spot: int = 1) -> Floats:
    found = _optional_spots(point, keyword, n_spots, place, per_spot)
    if found is not None:
        return found
    if n_spots:
        raise missing(keyword, place, f"but NumberOfScanSpotPositions is {n_spots}")
    return np.zeros(0)


def _optional_spots(
    point: Dataset, keyword: str, n_spots: int, place: str, per_spot: int = 1
) -> Floats | None:
    found = numbers(point, keyword, place)
    if found is not None and len(found) != per_spot * n_spots:
        raise RecordError(
            f"{place}: {keyword} has {len(found)} values but NumberOfScanSpotPositions {n_spots} needs "
            f"{per_spot * n_spots}; {ADVICE}"
        )
    return found


def _reordered(point: Dataset, place: str) -> bool | None:
    found = one_line(text(point, "ScanSpotReordered", place)).upper()
    if found not in ("", "YES", "NO"):
        raise RecordError(f"{place}: ScanSpotReordered is {found}, neither YES nor NO; {ADVICE}")
    return found == "YES" if found else None


def _prescribed_index(point: Dataset, n_spots: int, index_base: int, place: str) -> Integers | None:
    keyword = "ScanSpotPrescribedIndices"
    found = _optional_spots(point, keyword, n_spots, place)
    if found is None:
        if _reordered(point, place) and n_spots:
            raise missing(keyword, place, "but ScanSpotReordered is YES")
        return None
    bad = np.flatnonzero((found < index_base) | (found != np.floor(found)) | (found > 2.0**31))
    if bad.size:
        raise RecordError(
            f"{place}: {keyword} is {found[bad[0]]:g} at spot {bad[0]}, which is no index; {ADVICE}"
        )
    return found.astype(np.int64) - index_base


def _fwhm_mm(point: Dataset, place: str) -> tuple[float, float] | None:
    found = numbers(point, "ScanningSpotSize", place)
    if found is None:
        return None
    if len(found) != 2:
        raise RecordError(f"{place}: ScanningSpotSize has {len(found)} values instead of two; {ADVICE}")
    return float(found[0]), float(found[1])


def _sizes_mm(point: Dataset, n_spots: int, place: str) -> Floats | None:
    found = _optional_spots(point, "ScanSpotSizesDelivered", n_spots, place, per_spot=2)
    return None if found is None or not n_spots else found.reshape(n_spots, 2)


def _measured(point: Dataset, n_spots: int, place: str) -> NDArray[np.bool_]:
    measured = np.ones(n_spots, np.bool_)
    try:
        block = point.private_block(PRIVATE_GROUP, PRIVATE_CREATOR)
        raw = numbers_of(block, UNMEASURED_POSITIONS, "UL")
        measured[raw.astype(np.int64) - 1] = False
        in_range = bool((raw >= 1).all())
    except KeyError:
        return measured
    except Exception:
        in_range = False
    if not in_range:
        raise RecordError(
            f"{place}: the list of unmeasured positions (private element of {PRIVATE_CREATOR}) is "
            f"damaged; {ADVICE}"
        )
    return measured


def _check_steps(
    recorded: tuple[RecordedControlPoint, ...],
    delivered: list[_Meterset],
    places: list[str],
    warnings: list[str],
) -> None:
    """Compare the steps of the delivered meterset with the spots."""
    as_specified = _is_as_specified(recorded)
    ends = [*delivered[1:], delivered[-1]]
    for point, start, end, place in zip(recorded, delivered, ends, places, strict=True):
        total, step = float(point.meterset.sum()), end.value - start.value
        larger = max(total, abs(step))
        allowed = (
            SUM_TOLERANCE * larger + start.rounding + end.rounding + 2.0 * _FLOAT32_ROUNDING * abs(end.value)
        )
        if abs(total - step) <= allowed:
            continue
        what = (
            f"{place}: ScanSpotMetersetsDelivered add up to {total:.10g} but DeliveredMeterset grows by "
            f"{step:.10g} until the next control point"
        )
        if not as_specified or abs(total - step) > AS_SPECIFIED_TOLERANCE * larger:
            raise RecordError(f"{what} (tolerance {allowed:.2g}); {ADVICE}")
        warnings.append(f"{what}: the record repeats the plan there (DICOM PS3.3, C.8.8.21.2.2)")


def _is_as_specified(recorded: tuple[RecordedControlPoint, ...]) -> bool:
    """Whether the delivered metersets follow C.8.8.21.2.2: specified values between start and end."""
    if any(point.specified_meterset is None for point in recorded):
        return False
    specified = np.array([point.specified_meterset for point in recorded], np.float64)
    delivered = np.array([point.delivered_meterset for point in recorded])
    expected = np.clip(specified, delivered[0], delivered[-1])
    return bool(np.allclose(delivered, expected, rtol=1e-6, atol=0.0))


def _control_point_time(point: Dataset, offset: str, place: str) -> datetime | None:
    date = text(point, "TreatmentControlPointDate", place)
    time = text(point, "TreatmentControlPointTime", place)
    return parse_time(date + time, offset, "TreatmentControlPointTime", place) if date else None


def parse_time(written: str, offset: str, keyword: str, place: str) -> datetime | None:
    """Read a date and time of DICOM, with the offset from UTC that it or the record gives.

    Raises
    ------
    RecordError
        If it is none.
    """
    if not written:
        return None
    match = _DATE_TIME.fullmatch(written)
    try:
        if match is None:
            raise ValueError
        year, month, day, *clock, fraction, zone = match.groups()
        hour, minute, second = (int(part or 0) for part in clock)
        microsecond = int((fraction or "0").ljust(6, "0"))
        moment = datetime(int(year), int(month), int(day), hour, minute, second, microsecond)  # noqa: DTZ001
        return moment.replace(tzinfo=_zone(zone or offset))
    except ValueError:
        raise RecordError(
            f"{place}: {keyword} is {one_line(written)}, which is no date and time; {ADVICE}"
        ) from None


def _zone(offset: str) -> timezone | None:
    match = re.fullmatch(r"([+-])(\d\d)(\d\d)", offset)
    if match is None:
        return None  # without an offset a time is local
    sign, hours, minutes = match.groups()
    shift = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-shift if sign == "-" else shift)
