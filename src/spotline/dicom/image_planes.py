"""What CT slices and dose grids have in common: planes of pixels that lie in the patient.

An image says where its first pixel is, and along which axes of the patient its columns, rows and planes
follow each other (DICOM PS3.3, C.7.6.2).  Images along the axes, in any order and sense, are turned into
that of `spotline.dose.grid`; oblique ones are refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from spotline.arrays import Floats
from spotline.dicom.attributes import missing, numbers, one_line, required_integer, text
from spotline.dose.grid import Grid
from spotline.errors import DoseError, PlanError

ALONG_AXIS = 1e-4
"""Largest direction cosine that still counts as 0: an error of 0.05 mm at the end of 500 mm."""

SPACING_TOLERANCE_mm = 0.01
"""Positions of planes are rounded when they are written; this much may be rounding."""

LINE_TOLERANCE_mm = 0.06
"""Planes so far from where a straight line through all has them are evenly spaced, and their positions are
rounded to 0.1 mm: that alone moves a plane by 0.05 mm, and its distance to the next by up to 0.1 mm.
"""


@contextmanager
def as_dose_error(advice: str) -> Iterator[None]:
    """Turn the errors of `spotline.dicom.attributes`, which are made for plans, into `DoseError`.

    Parameters
    ----------
    advice : str
        What to do, in the place of what they advise after their last semicolon.
    """
    try:
        yield
    except PlanError as error:
        what, _, _ = str(error).rpartition("; ")
        raise DoseError(f"{what}; {advice}") from None


@dataclass(frozen=True, slots=True)
class Plane:
    """Where an image, or the first of a stack, lies.

    Attributes
    ----------
    first_mm : tuple of three floats
        Centre of the first pixel.
    along_row, along_column, normal : tuple of (int, int)
        Axis of the patient (0 is x, 1 is y, 2 is z) and sense (1 or -1): from pixel to pixel within a row,
        from row to row, and their vector product.
    spacing_mm : tuple of two floats
        Distance of pixels within a row, and of rows.
    rows, columns : int
    """

    first_mm: tuple[float, float, float]
    along_row: tuple[int, int]
    along_column: tuple[int, int]
    normal: tuple[int, int]
    spacing_mm: tuple[float, float]
    rows: int
    columns: int


def read_plane(dataset: Dataset, where: str) -> Plane:
    """Read where an image lies.

    Raises
    ------
    DoseError
        If it is oblique.
    PlanError
        If an attribute is missing or broken.
    """
    first = _vector(dataset, "ImagePositionPatient", 3, where)
    cosines = _vector(dataset, "ImageOrientationPatient", 6, where)
    row = _axis(cosines[:3])
    column = _axis(cosines[3:])
    if row is None or column is None or row[0] == column[0]:
        values = ", ".join(f"{cosine:g}" for cosine in cosines)
        raise DoseError(
            f"{where}: ImageOrientationPatient is ({values}), which is not along the axes of the patient; "
            "resample the image along them (a tilted gantry cannot be used)"
        )
    normal = np.cross(_unit(row), _unit(column))
    axis = 3 - row[0] - column[0]
    between = _vector(dataset, "PixelSpacing", 2, where)
    if between.min() <= 0.0:
        raise DoseError(f"{where}: PixelSpacing is {between[0]:g}, {between[1]:g}; it must be above 0")
    return Plane(
        first_mm=(float(first[0]), float(first[1]), float(first[2])),
        along_row=row,
        along_column=column,
        normal=(axis, int(normal[axis])),
        # PixelSpacing has the distance of rows first.
        spacing_mm=(float(between[1]), float(between[0])),
        rows=required_integer(dataset, "Rows", where),
        columns=required_integer(dataset, "Columns", where),
    )


def stack(array: NDArray[Any], plane: Plane, step_mm: float) -> tuple[Grid, NDArray[Any]]:
    """Turn a stack of planes into an array on a grid.

    Parameters
    ----------
    array : ndarray, shape (planes, rows, columns)
    plane : Plane
        The first one.
    step_mm : float
        From plane to plane along the normal, in either sense.

    Returns
    -------
    grid : Grid
    array : ndarray, shape (nz, ny, nx)
        A view of the array if the planes are transverse.
    """
    # For each axis of the array: axis of the patient, and signed distance.
    axes = [
        (plane.normal[0], plane.normal[1] * step_mm),
        (plane.along_column[0], plane.along_column[1] * plane.spacing_mm[1]),
        (plane.along_row[0], plane.along_row[1] * plane.spacing_mm[0]),
    ]
    origin = list(plane.first_mm)
    spacing = [0.0, 0.0, 0.0]
    for index, (axis, distance_mm) in enumerate(axes):
        spacing[axis] = abs(distance_mm)
        if distance_mm < 0.0:
            origin[axis] += distance_mm * (array.shape[index] - 1)
            array = np.flip(array, index)
    places = [axis for axis, _ in axes]
    turned = np.transpose(array, [places.index(axis) for axis in (2, 1, 0)])
    nz, ny, nx = turned.shape
    grid = Grid((origin[0], origin[1], origin[2]), (spacing[0], spacing[1], spacing[2]), (nz, ny, nx))
    return grid, turned


def uneven(positions_mm: Floats) -> int | None:
    """Index of the first plane after which the distance to the next is not the usual one.

    Parameters
    ----------
    positions_mm : ndarray, shape (n,)
        In their order, n at least 2.

    Returns
    -------
    int or None
        None if all distances agree with their median, or all planes with a straight line, and none is 0.
    """
    distances = np.diff(positions_mm)
    usual = float(np.median(distances))
    is_bad = (np.abs(distances - usual) > SPACING_TOLERANCE_mm) | (distances * usual <= 0.0)
    if not is_bad.any() or (np.all(distances * usual > 0.0) and straight_line(positions_mm) is not None):
        return None
    return int(np.flatnonzero(is_bad)[0])


def straight_line(positions_mm: Floats) -> tuple[float, float, float] | None:
    """Where the first plane is, and the step, if all planes lie on a straight line.

    Parameters
    ----------
    positions_mm : ndarray, shape (n,)
        In their order, n at least 2.

    Returns
    -------
    first_mm, step_mm, largest_mm : float
        Of the line, and by how much a plane is off it; or None if one is by more than `LINE_TOLERANCE_mm`.
        Planes that are as evenly spaced as they can be written are taken as they are, from the first to the
        last; of others the line is that of least squares.
    """
    count = len(positions_mm)
    first, step = float(positions_mm[0]), float(positions_mm[-1] - positions_mm[0]) / (count - 1)
    index = np.arange(count)
    off_mm = float(np.abs(positions_mm - (first + step * index)).max())
    if off_mm > SPACING_TOLERANCE_mm:
        step, first = (float(value) for value in np.polyfit(index, positions_mm, 1))
        off_mm = float(np.abs(positions_mm - (first + step * index)).max())
    return None if off_mm > LINE_TOLERANCE_mm else (first, step, off_mm)


def pixels(dataset: Dataset, frames: int, where: str) -> NDArray[Any]:
    """Decode the stored values.

    Parameters
    ----------
    dataset : Dataset
    frames : int
        How many planes there must be.
    where : str
        Beginning of messages.

    Returns
    -------
    ndarray of an integer type, shape (frames, rows, columns)

    Raises
    ------
    DoseError
        If they are missing, of another number, or cannot be decoded.
    """
    bits = required_integer(dataset, "BitsAllocated", where)
    rows, columns = (required_integer(dataset, keyword, where) for keyword in ("Rows", "Columns"))
    if "PixelData" not in dataset:
        raise DoseError(f"{where}: PixelData is missing; export the file with its pixels")
    if bits not in (8, 16, 32):
        raise DoseError(f"{where}: BitsAllocated is {bits}; export the pixels with 16 or 32 bits")
    syntax, is_compressed = _transfer_syntax(dataset, where)
    need, found = frames * rows * columns * bits // 8, len(dataset.PixelData)
    if not is_compressed and not need <= found <= need + 1:
        raise DoseError(
            f"{where}: PixelData has {found} bytes, but {frames} planes of {rows} rows and {columns} columns "
            f"with {bits} bits need {need}; copy or export the file again"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array: NDArray[Any] = np.asarray(dataset.pixel_array)
    except Exception as error:
        raise DoseError(
            f"{where}: PixelData ({syntax}) cannot be decoded ({one_line(error)}); export the file "
            "again, without compression"
        ) from None
    if array.size != frames * rows * columns or array.dtype.kind not in "iu":
        raise DoseError(
            f"{where}: PixelData has {array.dtype} values of shape {array.shape} instead of {frames} planes "
            f"of {rows} rows and {columns} columns; export the file again"
        )
    return array.reshape(frames, rows, columns)


def _transfer_syntax(dataset: Dataset, where: str) -> tuple[str, bool]:
    """Transfer syntax of a file, and whether it compresses; without a header, what the file was read with."""
    if getattr(dataset, "file_meta", None) is None:
        dataset.file_meta = FileMetaDataset()
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit = dataset.original_encoding[0] is not False
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    found = dataset.file_meta.TransferSyntaxUID
    try:
        return found.name, found.is_compressed
    except (AttributeError, ValueError):  # several values, or an identifier of something else
        raise DoseError(
            f"{where}: TransferSyntaxUID is {one_line(found)}, which is not known; export the file again, "
            "without compression"
        ) from None


def frame_of_reference(dataset: Dataset, where: str) -> str:
    """Frame of Reference UID, which must be there."""
    uid = text(dataset, "FrameOfReferenceUID", where)
    if not uid:
        raise missing("FrameOfReferenceUID", where, "so nothing says which images and plans it belongs to")
    return uid


def _vector(dataset: Dataset, keyword: str, size: int, where: str) -> Floats:
    found = numbers(dataset, keyword, where)
    if found is None:
        raise missing(keyword, where)
    if len(found) != size:
        raise DoseError(
            f"{where}: {keyword} has {len(found)} values instead of {size}; export the file again"
        )
    return found


def _axis(cosines: Floats) -> tuple[int, int] | None:
    axis = int(np.argmax(np.abs(cosines)))
    others = np.delete(cosines, axis)
    if np.abs(others).max() > ALONG_AXIS or abs(abs(cosines[axis]) - 1.0) > ALONG_AXIS:
        return None
    return axis, int(np.sign(cosines[axis]))


def _unit(axis: tuple[int, int]) -> Floats:
    vector = np.zeros(3)
    vector[axis[0]] = axis[1]
    return vector
