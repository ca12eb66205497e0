"""Read a DICOM RT Structure Set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydicom import Dataset, config
from pydicom.uid import UID, RTStructureSetStorage

from spotline.arrays import Floats
from spotline.dicom.attributes import (
    items,
    number,
    numbers,
    one_line,
    read_dataset,
    required_integer,
    required_items,
    text,
)
from spotline.dicom.image_planes import as_dose_error
from spotline.dose.grid import Point
from spotline.dose.planes import SAME_PLANE_mm
from spotline.dose.structures import Contour, Structure, StructureSet
from spotline.errors import DoseError

_ADVICE = "export the structure set again"
_XOR = "CLOSEDPLANAR_XOR"
_CLOSED = ("CLOSED_PLANAR", _XOR)

NO_WIDTH_mm = 1e-6
"""Corners that lie this close to a line enclose nothing."""


def read_structures(path: str | Path) -> StructureSet:
    """Read a DICOM RT Structure Set and check it.

    Only closed contours in transverse planes make a structure.  A structure with any other contour, or with
    none, is left out as a whole and named in `StructureSet.notes`, with the reason; single points are kept as
    `StructureSet.points_mm`.  Of a structure, a contour that encloses nothing (a point, two, or corners on a
    line) is left out alone, and `StructureSet.notes` says so.

    Parameters
    ----------
    path : str or Path
        DICOM file.

    Returns
    -------
    StructureSet

    Raises
    ------
    DoseError
        If the file is no RT Structure Set, is damaged, or its structures are in several frames of reference.
    """
    path = Path(path)
    where = str(path)
    with as_dose_error(_ADVICE):
        dataset, _ = read_dataset(path)
        kind = UID(text(dataset, "SOPClassUID", where), validation_mode=config.IGNORE)
        if kind != RTStructureSetStorage:
            raise DoseError(
                f"{where}: SOPClassUID is {one_line(kind.name)}, not RT Structure Set Storage; give a DICOM "
                "RT Structure Set"
            )
        return _read(dataset, where)


def _read(dataset: Dataset, where: str) -> StructureSet:
    heads: dict[int, Dataset] = {}
    for head in required_items(dataset, "StructureSetROISequence", where):
        number_ = required_integer(head, "ROINumber", where)
        if number_ in heads:
            raise DoseError(
                f"{where}: ROINumber {number_} is twice in StructureSetROISequence, so contours of it have "
                f"two names; {_ADVICE}"
            )
        heads[number_] = head
    frames = {text(head, "ReferencedFrameOfReferenceUID", where) for head in heads.values()} - {""}
    if len(frames) > 1:
        raise DoseError(
            f"{where}: structures are in {len(frames)} frames of reference (ReferencedFrameOfReferenceUID); "
            "export those of one image"
        )
    observed = _observations(dataset, where)
    structures: list[Structure] = []
    points: dict[str, Point] = {}
    notes: list[str] = []
    drawn = set()
    for item in items(dataset, "ROIContourSequence", where):
        roi = required_integer(item, "ReferencedROINumber", where)
        if roi not in heads:
            raise DoseError(
                f"{where}: ROIContourSequence refers to ROI {roi}, which is not in StructureSetROISequence; "
                f"{_ADVICE}"
            )
        if roi in drawn:
            raise DoseError(f"{where}: ROI {roi} has contours twice in ROIContourSequence; {_ADVICE}")
        drawn.add(roi)
        name = one_line(text(heads[roi], "ROIName", where)) or f"ROI {roi}"
        found, idle = _contours(item, f"{where}: structure {roi} ({name})")
        if isinstance(found, str):
            notes.append(f"structure {roi} ({name}) is left out: {found}")
        elif isinstance(found, Contour):
            x, y = found.xy_mm[0].tolist()
            points[name] = (x, y, found.z_mm)
        else:
            interpreted, rsp = observed.get(roi, ("", None))
            structures.append(Structure(roi, name, interpreted, found, rsp))
            if idle:
                notes.append(
                    f"structure {roi} ({name}): contour {', '.join(map(str, idle))} encloses nothing (a "
                    "point, two, or corners on a line) and is left out"
                )
    for roi in heads.keys() - drawn:
        name = one_line(text(heads[roi], "ROIName", where))
        notes.append(f"structure {roi} ({name}) is left out: it has no contours")
    return StructureSet(
        structures=tuple(structures),
        points_mm=points,
        frame_of_reference_uid=frames.pop() if frames else text(dataset, "FrameOfReferenceUID", where),
        label=one_line(text(dataset, "StructureSetLabel", where)),
        notes=tuple(notes),
    )


def _contours(item: Dataset, where: str) -> tuple[tuple[Contour, ...] | Contour | str, list[int]]:
    """Contours of a structure, a single point as a contour of one corner, or why it cannot be used.

    With them, the indices of those that enclose nothing.
    """
    contours: list[Contour] = []
    points_alone: list[Contour] = []
    idle: list[int] = []
    for index, entry in enumerate(items(item, "ContourSequence", where)):
        place = f"{where}, contour {index}"
        kind = one_line(text(entry, "ContourGeometricType", place)).upper()
        data = numbers(entry, "ContourData", place)
        if data is None or len(data) % 3:
            raise DoseError(
                f"{place}: ContourData has {0 if data is None else len(data)} values, which are no points of "
                f"three coordinates; {_ADVICE}"
            )
        count = number(entry, "NumberOfContourPoints", place)
        points = data.reshape(-1, 3)
        offset_mm = numbers(entry, "ContourOffsetVector", place)
        if offset_mm is not None and np.any(offset_mm != 0.0):
            raise DoseError(
                f"{place}: ContourOffsetVector is {', '.join(f'{mm:g}' for mm in offset_mm)} mm, which "
                "Spotline does not apply (DICOM has retired it); export the contours where they are"
            )
        if count is not None and count != len(points):
            raise DoseError(
                f"{place}: NumberOfContourPoints is {count:g}, but ContourData has {len(points)} points; "
                f"{_ADVICE}"
            )
        z_mm = float(np.median(points[:, 2]))
        contour = Contour(z_mm, np.ascontiguousarray(points[:, :2]), kind == _XOR)
        if kind == "POINT" and len(points) == 1:
            points_alone.append(contour)
            idle.append(index)
            continue
        if kind not in _CLOSED:
            return f"contour {index} is {kind or 'of no type'}, not CLOSED_PLANAR", []
        if _has_no_width(contour.xy_mm):
            idle.append(index)
            continue
        if np.ptp(points[:, 2]) > SAME_PLANE_mm:
            reason = f"contour {index} is not in a transverse plane (its z spans {np.ptp(points[:, 2]):g} mm)"
            return reason, []
        contours.append(contour)
    if contours:
        return tuple(contours), idle
    if not idle:
        return "it has no contours", []
    if len(points_alone) < len(idle):
        return f"none of its {len(idle)} contours encloses anything", []
    return (points_alone[0] if len(points_alone) == 1 else "it is made of several points"), []


def _has_no_width(xy_mm: Floats) -> bool:
    """Whether corners lie on a line or a point."""
    if len(xy_mm) < 3:
        return True
    from_middle = xy_mm - xy_mm.mean(axis=0)
    return bool(np.linalg.svd(from_middle, compute_uv=False)[1] <= NO_WIDTH_mm * np.sqrt(len(xy_mm)))


def _observations(dataset: Dataset, where: str) -> dict[int, tuple[str, float | None]]:
    """Interpreted type and relative stopping power by ROI number."""
    found: dict[int, tuple[str, float | None]] = {}
    for item in items(dataset, "RTROIObservationsSequence", where):
        roi = required_integer(item, "ReferencedROINumber", where)
        rsp = None
        for entry in items(item, "ROIPhysicalPropertiesSequence", where):
            if text(entry, "ROIPhysicalProperty", where) == "REL_STOP_RATIO":
                rsp = number(entry, "ROIPhysicalPropertyValue", where)
                if rsp is not None and rsp < 0.0:
                    raise DoseError(
                        f"{where}: ROIPhysicalPropertyValue of ROI {roi} (REL_STOP_RATIO) is {rsp:g}; a "
                        f"stopping power is not negative, {_ADVICE}"
                    )
        found[roi] = (one_line(text(item, "RTROIInterpretedType", where)).upper(), rsp)
    return found
