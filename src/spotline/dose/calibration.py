"""From Hounsfield units to stopping power relative to water.

A curve is a TOML file::

    name = "CT room 2, head protocol"
    valid_from_HU = -1000.0
    valid_to_HU = 1200.0
    below = "clamp"
    above = "error"
    points = [[-1000.0, 0.001], [0.0, 1.0], [1200.0, 1.7]]

or a table with the columns ``HU,rsp`` (CSV, lines that begin with # are comments), which is valid over its
points, and refuses what is beyond them.  Between points the curve is straight.  Beyond its range of validity
a curve either holds its last valid value, and the voxels are counted and told (``clamp``), or the image is
refused (``error``).
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from spotline.arrays import Float32s, Floats
from spotline.dose.ct import CtImage
from spotline.dose.grid import Grid, on_grid
from spotline.dose.masks import Mask
from spotline.errors import DoseError

Beyond = Literal["clamp", "error"]

NOMINAL = "nominal.toml"
"""Curve of no real scanner, that comes with the package."""

HIGHEST_RSP = 25.0
"""Above that of any metal: gold has some 10."""


class CalibrationFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A calibration as it stands in its file; see the module."""

    name: str
    valid_from_HU: float
    valid_to_HU: float
    below: Beyond
    above: Beyond
    points: list[tuple[float, float]]
    about: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Stopping power relative to water as a function of Hounsfield units.

    Attributes
    ----------
    name : str
    hu, rsp : ndarray, shape (n,)
        Points, by rising HU.
    valid_HU : tuple of two floats
        Range that the curve may be used in.
    below, above : {"clamp", "error"}
        What happens outside it.
    about : str
        Where the curve comes from.
    """

    name: str
    hu: Floats
    rsp: Floats
    valid_HU: tuple[float, float]
    below: Beyond
    above: Beyond
    about: str = ""

    def at(self, hu: ArrayLike) -> Floats:
        """Look up the curve, holding its value at the limits of validity beyond them; same shape as `hu`."""
        found: Floats = np.interp(np.clip(hu, *self.valid_HU), self.hu, self.rsp)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Override:
    """A structure whose stopping power is set by hand.

    Attributes
    ----------
    mask : Mask
    rsp : float
    """

    mask: Mask
    rsp: float


@dataclass(frozen=True, slots=True, eq=False)
class StoppingPower:
    """Stopping power relative to water on a grid: what beams are traced through.

    Attributes
    ----------
    grid : Grid
    rsp : ndarray of float32, shape (nz, ny, nx)
    frame_of_reference_uid : str
        Empty for phantoms.
    notes : tuple of str
        What was done beyond the calibration.
    """

    grid: Grid
    rsp: Float32s
    frame_of_reference_uid: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "rsp", on_grid(self.rsp, self.grid, np.float32, "stopping power"))
        if not np.all((self.rsp >= 0.0) & (self.rsp <= HIGHEST_RSP)):
            raise DoseError(
                f"stopping power: from {self.rsp.min():g} to {self.rsp.max():g} relative to water; it is "
                f"between 0 and {HIGHEST_RSP:g}, check the calibration"
            )


def read_calibration(path: str | Path) -> Calibration:
    """Read a calibration from a TOML or CSV file.

    Raises
    ------
    DoseError
        If the file cannot be read, has unknown or missing keys, or makes no curve: fewer than two points, HU
        that do not rise, negative stopping powers, or a range of validity beyond the points.
    """
    path = Path(path)
    try:
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise DoseError(
            f"{path}: cannot be read ({error.strerror or error}); give a calibration of HU, TOML or CSV"
        ) from None
    if path.suffix.lower() == ".csv":
        return _checked(_read_table(content, path), str(path))
    try:
        return _checked(msgspec.toml.decode(content, type=CalibrationFile), str(path))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DoseError(f"{path}: is no calibration: {error}; see the keys in the documentation") from None


def nominal_calibration() -> Calibration:
    """Curve that comes with the package: of tissues by the stoichiometric method, and of no real scanner."""
    content = resources.files("spotline.dose").joinpath("calibrations", NOMINAL).read_bytes()
    return _checked(msgspec.toml.decode(content, type=CalibrationFile), NOMINAL)


def stopping_power(ct: CtImage, curve: Calibration, overrides: Sequence[Override] = ()) -> StoppingPower:
    """Convert a CT image.

    Overrides come in their order, the last one on top; a voxel that is partly in a structure is mixed by its
    share.  Only voxels that no override fills count as beyond the curve.

    Parameters
    ----------
    ct : CtImage
    curve : Calibration
    overrides : sequence of Override
        Masks on the grid of the image.

    Returns
    -------
    StoppingPower
        Its notes tell how many voxels are beyond the curve, and what was overridden.

    Raises
    ------
    DoseError
        If voxels are beyond the curve where it says "error", or a mask is on another grid.
    """
    rsp = np.empty(ct.grid.shape, dtype=np.float32)
    for index, plane in enumerate(ct.hu):  # the interpolation works in 64 bits
        rsp[index] = curve.at(plane)
    filled = np.zeros(ct.grid.shape, dtype=bool)
    notes = list(ct.notes)
    for override in overrides:
        name = override.mask.name
        if not override.mask.grid.same_as(ct.grid):
            raise DoseError(f"override of {name}: its mask is not on the grid of the CT; rasterise it there")
        if not 0.0 <= override.rsp <= HIGHEST_RSP:
            raise DoseError(
                f"override of {name}: a stopping power of {override.rsp:g} relative to water; give one "
                f"between 0 and {HIGHEST_RSP:g}"
            )
        share = override.mask.share
        rsp += share * (np.float32(override.rsp) - rsp)
        filled |= share >= 1.0
        notes.append(f"stopping power of {name} ({override.mask.volume_cm3:.1f} cm3) set to {override.rsp:g}")
    low, high = curve.valid_HU
    for what, beyond, limit, extreme in (
        (curve.below, ct.hu < low, low, np.min),
        (curve.above, ct.hu > high, high, np.max),
    ):
        beyond &= ~filled
        count = int(np.count_nonzero(beyond))
        if not count:
            continue
        found = float(extreme(ct.hu[beyond]))
        side = "below" if found < limit else "above"
        outside = (
            f"{count} voxels ({count * ct.grid.voxel_cm3:.2f} cm3) are {side} {limit:g} HU (to {found:g} "
            f"HU), where the calibration {curve.name} is not valid"
        )
        if what == "error":
            z, y, x = np.argwhere(beyond)[0].tolist()
            place = f"({ct.grid.x_mm[x]:g}, {ct.grid.y_mm[y]:g}, {ct.grid.z_mm[z]:g}) mm"
            raise DoseError(
                f"CT: {outside}, the first at {place}; override the stopping power of that structure, or "
                "use a calibration that covers it"
            )
        notes.append(f"{outside}: they have its value there, {float(curve.at(limit)):.4g}")
    return StoppingPower(ct.grid, rsp, ct.frame_of_reference_uid, tuple(notes))


def _read_table(content: bytes, path: Path) -> CalibrationFile:
    # Spreadsheets begin a table with the mark of UTF-8.
    text = content.decode("utf-8-sig", "replace")
    lines = [line for line in text.splitlines() if line.strip() and line[0] != "#"]
    rows = list(csv.reader(lines))
    if not rows or [cell.strip() for cell in rows[0]] != ["HU", "rsp"]:
        raise DoseError(f"{path}: the first line is not HU,rsp; give a table with these two columns")
    points = []
    for number, row in enumerate(rows[1:], start=1):
        try:
            hu, rsp = (float(cell) for cell in row)
        except ValueError:
            raise DoseError(
                f"{path}: row {number} is {','.join(row)}; give two numbers, HU and rsp"
            ) from None
        points.append((hu, rsp))
    first, last = (points[0][0], points[-1][0]) if points else (0.0, 0.0)
    return CalibrationFile(path.stem, first, last, "error", "error", points)


def _checked(file: CalibrationFile, where: str) -> Calibration:
    table = np.array(file.points, dtype=float).reshape(-1, 2)
    hu, rsp = table.T.copy()
    if len(hu) < 2 or not np.all(np.isfinite(table)):
        raise DoseError(
            f"{where}: points has {len(hu)} rows of HU and rsp; give two or more, of finite numbers"
        )
    falls = np.flatnonzero(np.diff(hu) <= 0.0)
    if falls.size:
        raise DoseError(
            f"{where}: point {falls[0] + 1} ({hu[falls[0] + 1]:g} HU) does not rise above the one before; "
            "sort the points, one for each HU"
        )
    if rsp.min() < 0.0 or rsp.max() > HIGHEST_RSP:
        raise DoseError(
            f"{where}: rsp goes from {rsp.min():g} to {rsp.max():g}; it is from 0 to {HIGHEST_RSP:g}"
        )
    if not hu[0] <= file.valid_from_HU < file.valid_to_HU <= hu[-1]:
        raise DoseError(
            f"{where}: valid from {file.valid_from_HU:g} to {file.valid_to_HU:g} HU, but the points go from "
            f"{hu[0]:g} to {hu[-1]:g}; a curve is valid within its points only"
        )
    return Calibration(
        file.name, hu, rsp, (file.valid_from_HU, file.valid_to_HU), file.below, file.above, file.about
    )
