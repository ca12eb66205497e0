"""Read a series of CT slices from a folder.

Slices are put in order by where they lie (ImagePositionPatient), never by their names or numbers.  What does
not make one evenly spaced volume is refused: a dose through a gap would be wrong without a sign of it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, config
from pydicom.uid import UID, CTImageStorage

from spotline.dicom.attributes import integer, number, one_line, read_dataset, text
from spotline.dicom.image_planes import (
    Plane,
    SPACING_TOLERANCE_mm,
    as_dose_error,
    frame_of_reference,
    pixels,
    read_plane,
    stack,
    straight_line,
    uneven,
)
from spotline.dose.ct import AIR_HU, CtImage
from spotline.errors import DoseError
from spotline.wording import several

_ADVICE = "export the CT series again"
_SUFFIXES = (".dcm", ".ima", ".dicom")


@dataclass(frozen=True, slots=True, eq=False)
class _Slice:
    name: str
    plane: Plane
    hu: NDArray[np.float32]
    series_uid: str
    frame_of_reference_uid: str
    patient_position: str
    description: str
    padded: int

    @property
    def along_mm(self) -> float:
        """Position along the normal."""
        axis, sense = self.plane.normal
        return sense * self.plane.first_mm[axis]

    @property
    def across_mm(self) -> tuple[float, ...]:
        """Position of the first pixel within its plane."""
        return tuple(np.delete(self.plane.first_mm, self.plane.normal[0]).tolist())


def read_ct(folder: str | Path, *, series_uid: str = "") -> CtImage:
    """Read all CT slices of a folder.

    Plans, structures, doses and registrations in the same folder are left alone, and so are localizers and
    files that are no DICOM; `CtImage.notes` tells how many.  Pixels with the PixelPaddingValue are air.
    Slices whose positions are rounded to 0.1 mm are taken to lie on the straight line through them, with a
    note.

    Parameters
    ----------
    folder : str or Path
    series_uid : str
        Series Instance UID to read, if the folder has several; by default there must be one.

    Returns
    -------
    CtImage

    Raises
    ------
    DoseError
        If the folder has no CT, several series, another modality, or slices that are damaged, oblique,
        double, missing, unevenly spaced or of different sizes or frames of reference.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DoseError(f"{folder}: is not a folder; give the folder with the slices of a CT series")
    slices: list[_Slice] = []
    localizers: list[str] = []
    others: dict[str, str] = {}
    strangers = 0
    for path in sorted(folder.iterdir()):
        if not path.is_file() or not _may_be_dicom(path):
            strangers += path.is_file()
            continue
        with as_dose_error(_ADVICE):
            dataset, _ = read_dataset(path)
            if not _is_ct(dataset, str(path)):
                strangers += 1
                continue
            if "LOCALIZER" in text(dataset, "ImageType", str(path)).upper():
                localizers.append(path.name)
                continue
            series = text(dataset, "SeriesInstanceUID", str(path))
            if series_uid and series != series_uid:
                others.setdefault(series, one_line(text(dataset, "SeriesDescription", str(path))))
                strangers += 1
                continue
            slices.append(_read_slice(dataset, path))
    if series_uid and not slices and others:
        listed = ", ".join(f"{uid} ({words or 'no description'})" for uid, words in others.items())
        raise DoseError(
            f"{folder}: has no series {series_uid}; the SeriesInstanceUIDs of those in it are: {listed}"
        )
    if len(slices) < 2:
        wanted = f"series {series_uid}" if series_uid else "a CT series"
        raise DoseError(
            f"{folder}: has {len(slices)} slice{'' if len(slices) == 1 else 's'} of {wanted}; a volume needs "
            "two or more, give the folder they are in"
        )
    _check_one_series(slices, folder)
    slices.sort(key=lambda one: one.along_mm)
    _check_spacing(slices, folder)
    first, step_mm, off_mm = _line(slices)
    grid, hu = stack(np.stack([one.hu for one in slices]), first, step_mm)
    notes = []
    if off_mm > SPACING_TOLERANCE_mm:
        notes.append(
            f"positions of the slices are up to {off_mm:.2f} mm off even steps of {step_mm:.4g} mm, as if "
            "they were rounded when they were written; even steps are taken"
        )
    if localizers:
        notes.append(
            f"{several(len(localizers), 'localizer')} in {folder} ({', '.join(localizers[:3])}"
            f"{', ...' if len(localizers) > 3 else ''}): left out"
        )
    if strangers:
        notes.append(f"{strangers} files in {folder} are no slices of the series")
    padded = sum(one.padded for one in slices)
    if padded:
        notes.append(f"{padded} pixels outside the image (PixelPaddingValue) are taken for air")
    return CtImage(
        grid=grid,
        hu=hu,
        frame_of_reference_uid=slices[0].frame_of_reference_uid,
        patient_position=slices[0].patient_position,
        series_uid=slices[0].series_uid,
        description=slices[0].description,
        notes=tuple(notes),
    )


def _may_be_dicom(path: Path) -> bool:
    """Whether a file claims to be DICOM, by its mark or by its name."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM" or path.suffix.lower() in _SUFFIXES
    except OSError as error:
        raise DoseError(f"{path}: cannot be read ({error.strerror or error}); {_ADVICE}") from None


def _is_ct(dataset: Dataset, where: str) -> bool:
    """Whether a file is an image of a CT; no images and doses are not."""
    kind = UID(text(dataset, "SOPClassUID", where), validation_mode=config.IGNORE)
    modality = one_line(text(dataset, "Modality", where)).upper()
    if kind != CTImageStorage or modality != "CT":
        if "PixelData" not in dataset or modality == "RTDOSE":
            return False
        raise DoseError(
            f"{where}: is an image of Modality {modality or '(none)'} ({one_line(kind.name)}), not a CT "
            "slice; keep the CT series in a folder of its own"
        )
    return True


def _read_slice(dataset: Dataset, path: Path) -> _Slice:
    where = str(path)
    tilt_deg = number(dataset, "GantryDetectorTilt", where) or 0.0
    if abs(tilt_deg) > 0.01:
        raise DoseError(
            f"{where}: GantryDetectorTilt is {tilt_deg:g} degrees; scan without tilt or resample the series"
        )
    if (integer(dataset, "NumberOfFrames", where) or 1) != 1:
        raise DoseError(f"{where}: NumberOfFrames is not 1; export the series as one file per slice")
    unit = one_line(text(dataset, "RescaleType", where)).upper()
    if unit not in ("", "HU", "HU_MOD"):
        raise DoseError(f"{where}: RescaleType is {unit}, not HU; export the series in Hounsfield units")
    hu, padded = _hounsfield(dataset, where)
    return _Slice(
        name=path.name,
        plane=read_plane(dataset, where),
        hu=hu,
        series_uid=text(dataset, "SeriesInstanceUID", where),
        frame_of_reference_uid=frame_of_reference(dataset, where),
        patient_position=one_line(text(dataset, "PatientPosition", where)).upper(),
        description=one_line(text(dataset, "SeriesDescription", where)),
        padded=padded,
    )


def _hounsfield(dataset: Dataset, where: str) -> tuple[NDArray[np.float32], int]:
    stored = pixels(dataset, 1, where)[0]
    slope = number(dataset, "RescaleSlope", where)
    intercept = number(dataset, "RescaleIntercept", where)
    if slope is None or intercept is None or slope == 0.0:
        raise DoseError(
            f"{where}: RescaleSlope and RescaleIntercept do not make Hounsfield units of the pixels; "
            f"{_ADVICE}"
        )
    hu = (stored * slope + intercept).astype(np.float32)
    padding = _padding_value(dataset, stored.dtype, where)
    if padding is None:
        return hu, 0
    padded = stored == padding
    hu[padded] = AIR_HU
    return hu, int(np.count_nonzero(padded))


def _padding_value(dataset: Dataset, dtype: np.dtype[Any], where: str) -> int | None:
    padding = integer(dataset, "PixelPaddingValue", where)
    if padding is None:
        return None
    # Writers store it with the other sign than the pixels now and then; the bits are the same.
    size = 1 << (8 * dtype.itemsize)
    return padding % size if dtype.kind == "u" else (padding + size // 2) % size - size // 2


def _check_one_series(slices: list[_Slice], folder: Path) -> None:
    """Check what all slices of a series share."""
    by_series: dict[str, list[_Slice]] = defaultdict(list)
    for one in slices:
        by_series[one.series_uid].append(one)
    if len(by_series) > 1:
        listed = ", ".join(
            f"{uid} ({members[0].description or 'no description'}, {len(members)} slices, {members[0].name})"
            for uid, members in by_series.items()
        )
        raise DoseError(
            f"{folder}: mixes {len(by_series)} CT series: {listed}; say which by its "
            "SeriesInstanceUID (--ct-series), or keep one in a folder of its own"
        )
    first = slices[0]
    for one in slices:
        for what, is_other in (
            ("FrameOfReferenceUID", one.frame_of_reference_uid != first.frame_of_reference_uid),
            ("PatientPosition", one.patient_position != first.patient_position),
            (
                "ImageOrientationPatient",
                (one.plane.along_row, one.plane.along_column)
                != (first.plane.along_row, first.plane.along_column),
            ),
            ("Rows or Columns", one.hu.shape != first.hu.shape),
            ("PixelSpacing", not np.allclose(one.plane.spacing_mm, first.plane.spacing_mm, rtol=1e-5)),
        ):
            if is_other:
                raise DoseError(
                    f"{folder}: {what} of {one.name} is not that of {first.name}; slices of one series "
                    f"agree, {_ADVICE}"
                )
        if not np.allclose(one.across_mm, first.across_mm, atol=SPACING_TOLERANCE_mm):
            raise DoseError(
                f"{folder}: {one.name} begins at {_words(one)} mm and {first.name} at {_words(first)} mm, so "
                "slices are shifted sideways, as with a tilted gantry; resample the series"
            )


def _line(slices: list[_Slice]) -> tuple[Plane, float, float]:
    """The first plane and the step of slices that are evenly spaced, and by how much one is off."""
    line = straight_line(np.array([one.along_mm for one in slices]))
    assert line is not None  # `_check_spacing` has seen to it
    first_mm, step_mm, off_mm = line
    plane = slices[0].plane
    axis, sense = plane.normal
    place = list(plane.first_mm)
    place[axis] = sense * first_mm
    return replace(plane, first_mm=(place[0], place[1], place[2])), step_mm, off_mm


def _check_spacing(slices: list[_Slice], folder: Path) -> None:
    """Check that slices in their order are evenly spaced."""
    positions = np.array([one.along_mm for one in slices])
    close = np.flatnonzero(np.diff(positions) < SPACING_TOLERANCE_mm)
    if close.size:
        one, other = slices[close[0]], slices[close[0] + 1]
        raise DoseError(
            f"{folder}: {one.name} and {other.name} lie at the same place ({_words(one)} mm); remove one"
        )
    at = uneven(positions)
    if at is None:
        return
    usual, found = float(np.median(np.diff(positions))), float(positions[at + 1] - positions[at])
    missing = found / usual - 1.0
    what = (
        f"{round(missing)} slice{'s' if round(missing) > 1 else ''} missing"
        if round(missing) >= 1 and abs(missing - round(missing)) * usual < 0.1
        else "the spacing is uneven"
    )
    raise DoseError(
        f"{folder}: {what}: from {slices[at].name} to {slices[at + 1].name} ({_words(slices[at])} mm to "
        f"{_words(slices[at + 1])} mm) are {found:g} mm instead of {usual:g} mm; copy all slices, or "
        "resample the series evenly"
    )


def _words(one: _Slice) -> str:
    return "(" + ", ".join(f"{value:g}" for value in one.plane.first_mm) + ")"
