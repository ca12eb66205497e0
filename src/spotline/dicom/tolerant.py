"""Repair plans that break the standard where their meaning is not in doubt.

Research systems write plans that lack what the standard demands: OpenTPS has another Modality, no numbers of
items, no cumulative weights, no last control point and no unit.  Such a plan is refused unless somebody asks
for it to be repaired, and every repair is told.  No spot, weight, energy or angle is touched: what is
repaired says the same once more, or follows from the weights of the spots, which must add up to Final
Cumulative Meterset Weight.  A unit that nobody states is taken as MU.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator

import numpy as np
from pydicom import Dataset
from pydicom.uid import RTIonPlanStorage

from spotline.dicom.attributes import integer, items, number, numbers, one_line, text, undecodable
from spotline.dicom.encoding import decimal
from spotline.dicom.ion_plan_devices import DEVICES
from spotline.dicom.ion_plan_layers import SUM_TOLERANCE
from spotline.errors import PlanError

WEIGHTS = "ScanSpotMetersetWeights"
CUMULATIVE = "CumulativeMetersetWeight"
FINAL = "FinalCumulativeMetersetWeight"


def repair(dataset: Dataset, where: str) -> tuple[str, ...]:
    """Repair a plan in place.

    Parameters
    ----------
    dataset : Dataset
        What may be an RT Ion Plan; anything else is left as it is.
    where : str
        Beginning of the messages: the file.

    Returns
    -------
    tuple of str
        What was repaired; empty if nothing had to be.

    Raises
    ------
    PlanError
        If the file is damaged.
    """
    if text(dataset, "SOPClassUID", where) != RTIonPlanStorage:
        return ()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that are not valid, which is what this is about
            return tuple(_repairs(dataset, where))
    except PlanError:
        raise
    except Exception as error:
        raise undecodable("the plan", where, error) from None


def _repairs(dataset: Dataset, where: str) -> Iterator[str]:
    modality = one_line(text(dataset, "Modality", where))
    if modality.upper() != "RTPLAN":
        dataset.Modality = "RTPLAN"
        yield f"Modality is {modality or 'missing'}, taken as RTPLAN because the SOP class is RT Ion Plan"
    for group in items(dataset, "FractionGroupSequence", where)[:1]:
        if integer(group, "FractionGroupNumber", where) is None:
            group.FractionGroupNumber = 1
            yield "FractionGroupNumber is missing, taken as 1"
        references = items(group, "ReferencedBeamSequence", where)
        if references and integer(group, "NumberOfBeams", where) is None:
            group.NumberOfBeams = len(references)
            yield f"NumberOfBeams is missing, taken as the {len(references)} beams that are listed"
    for index, beam in enumerate(items(dataset, "IonBeamSequence", where)):
        name = one_line(text(beam, "BeamName", where)) or f"item {index} of IonBeamSequence"
        for what in _beam_repairs(beam, f"{where}: {name}"):
            yield f"{name}: {what}"


def _beam_repairs(beam: Dataset, where: str) -> Iterator[str]:
    if not text(beam, "PrimaryDosimeterUnit", where):
        beam.PrimaryDosimeterUnit = "MU"
        yield "PrimaryDosimeterUnit is missing, taken as MU"
    points = items(beam, "IonControlPointSequence", where)
    if not points:
        return
    yield from _device_repairs(beam, points, where)
    if integer(beam, "NumberOfControlPoints", where) is None:
        beam.NumberOfControlPoints = len(points)
        yield f"NumberOfControlPoints is missing, taken as the {len(points)} that are listed"
    yield from _weight_repairs(beam, points, where)


def _device_repairs(beam: Dataset, points: list[Dataset], where: str) -> Iterator[str]:
    """An empty item in the place of no device, or the only device without its number."""
    for device in DEVICES:
        listed = items(beam, device.sequence, where)
        if len(listed) != 1 or not device.settings:
            continue
        (only,) = listed
        settings = [one for point in points for one in items(point, device.settings, where)]
        if integer(beam, device.count, where) == 0 and len(only) == 0:
            delattr(beam, device.sequence)
            for point in points:
                if device.settings in point:
                    delattr(point, device.settings)
            yield f"{device.sequence} has an empty item but {device.count} is 0, taken as no device"
        elif integer(only, device.number, where) is None:
            referred = {integer(one, device.reference, where) for one in settings} - {None}
            if len(referred) <= 1:
                (number_,) = referred or {1}
                setattr(only, device.number, number_)
                yield f"{device.number} of the only item is missing, taken as {number_}"


def _weight_repairs(beam: Dataset, points: list[Dataset], where: str) -> Iterator[str]:
    """Cumulative weights that are not those of the spots, and the last control point."""
    sums = np.array([_sum_of(point, where) for point in points])
    if integer(beam, "NumberOfControlPoints", where) != len(points):
        return  # some are lost
    total = float(sums.sum())
    final = number(beam, FINAL, where)
    if total <= 0.0 or (final is not None and abs(final - total) > SUM_TOLERANCE * total):
        return  # what a weight is worth would be a guess
    if final is None:
        setattr(beam, FINAL, decimal(total))
        yield f"{FINAL} is missing, taken as the sum of the weights of all spots, {total:.10g}"
        final = total
    stated = [number(point, CUMULATIVE, where) for point in points]
    before = np.concatenate([[0.0], np.cumsum(sums)])
    allowed = SUM_TOLERANCE * total
    wrong = [
        index
        for index, (one, right) in enumerate(zip(stated, before[:-1], strict=True))
        if one is None or abs(one - right) > allowed
    ]
    if wrong:
        if sums[-1] == 0.0:
            before[-2] = final
        for point, right in zip(points, before[:-1], strict=True):
            setattr(point, CUMULATIVE, decimal(float(right)))
        how = (
            "missing"
            if all(stated[index] is None for index in wrong)
            else "not the sum of the weights before"
        )
        first, more = wrong[0], f" and {len(wrong) - 1} more" * (len(wrong) > 1)
        yield f"{CUMULATIVE} is {how} at control point {first}{more}: summed from the weights of the spots"
    if sums[-1] > 0.0:
        yield _add_last(beam, points, final, where)


def _add_last(beam: Dataset, points: list[Dataset], final: float, where: str) -> str:
    """End the last layer with a control point of its own, of the same positions without weights."""
    last = Dataset()
    for keyword in (
        "NominalBeamEnergy",
        "ScanSpotTuneID",
        "NumberOfScanSpotPositions",
        "ScanSpotPositionMap",
    ):
        if keyword in points[-1]:
            last[keyword] = copy.deepcopy(points[-1][keyword])
    weights = numbers(points[-1], WEIGHTS, where)
    setattr(last, WEIGHTS, [0.0] * (0 if weights is None else len(weights)))
    last.ControlPointIndex = len(points)
    setattr(last, CUMULATIVE, decimal(final))
    beam.IonControlPointSequence.append(last)
    beam.NumberOfControlPoints = len(points) + 1
    return f"the last control point ({len(points) - 1}) has spots and none ends it: one is added"


def _sum_of(point: Dataset, where: str) -> float:
    weights = numbers(point, WEIGHTS, where)
    return 0.0 if weights is None else float(weights.sum())
