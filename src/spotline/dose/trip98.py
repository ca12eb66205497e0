"""Read a dose cube of TRiP98: a header (``.hed``) and whole numbers (``.dos``, or ``.dos.gz``).

The numbers are thousandths of the prescribed dose, which the files do not hold.  Positions count from the
outer corner of the first voxel, so that the centre of voxel i lies at (i + 1/2) times its size (as in the
contours of TRiP98, in sixteenths of a pixel).
"""

from __future__ import annotations

import codecs
import gzip
import math
from pathlib import Path

import numpy as np

from spotline.dose.grid import DoseGrid, DoseKind, Grid
from spotline.errors import DoseError

_BYTE_ORDERS = {"vms": "<", "aix": ">"}
_TYPES = {("integer", 2): "i2", ("integer", 4): "i4", ("float", 4): "f4"}
_REQUIRED = (
    "data_type",
    "num_bytes",
    "byte_order",
    "pixel_size",
    "slice_distance",
    "dimx",
    "dimy",
    "dimz",
)
_ADVICE = "copy the header and the cube again"


def read_trip98_dose(
    header: str | Path, prescribed_Gy: float, *, kind: DoseKind = "physical", crop: bool = True
) -> DoseGrid:
    """Read a dose cube.

    Parameters
    ----------
    header : str or Path
        The ``.hed`` file; the cube has the same name with ``.dos`` or ``.dos.gz``.
    prescribed_Gy : float
        Dose that 1000 stands for.
    kind : {"physical", "effective"}
        What the dose is; the files do not say.
    crop : bool
        Whether to keep only the smallest box with all voxels that have dose.

    Returns
    -------
    DoseGrid

    Raises
    ------
    DoseError
        If a file is missing or of another size than the header says, or has no dose.
    """
    path = Path(header)
    if not (math.isfinite(prescribed_Gy) and prescribed_Gy > 0.0):
        raise DoseError(f"{path}: a prescribed dose of {prescribed_Gy:g} Gy; give what 1000 stands for")
    words = _header(path)
    try:
        dtype = _BYTE_ORDERS[words["byte_order"]] + _TYPES[words["data_type"], int(words["num_bytes"])]
        shape = (int(words["dimz"]), int(words["dimy"]), int(words["dimx"]))
        pixel_mm, slice_mm = float(words["pixel_size"]), float(words["slice_distance"])
        shifts = [int(words.get(name, "0")) for name in ("xoffset", "yoffset", "zoffset")]
    except (KeyError, ValueError) as error:
        raise DoseError(f"{path}: cannot be understood ({error}); {_ADVICE}") from None
    spacing = (pixel_mm, pixel_mm, slice_mm)
    x, y, z = ((shift + 0.5) * size for shift, size in zip(shifts, spacing, strict=True))
    grid = Grid((x, y, z), spacing, shape)
    content = _cube(path)
    if len(content) != np.dtype(dtype).itemsize * math.prod(shape):
        raise DoseError(
            f"{path}: the cube has {len(content)} bytes, but {shape} voxels (z, y, x) of {dtype} need "
            f"{np.dtype(dtype).itemsize * math.prod(shape)}; {_ADVICE}"
        )
    stored = np.frombuffer(content, dtype).reshape(shape)
    if stored.min() < 0 or stored.max() <= 0:
        raise DoseError(
            f"{path}: the cube goes from {stored.min()} to {stored.max()}, which is no dose; {_ADVICE}"
        )
    if crop:
        stored, grid = _cropped(stored, grid)
    return DoseGrid(grid, stored * np.float32(prescribed_Gy / 1000.0), kind)


def _header(path: Path) -> dict[str, str]:
    try:
        lines = path.read_bytes().removeprefix(codecs.BOM_UTF8).decode("latin-1").splitlines()
    except OSError as error:
        raise DoseError(
            f"{path}: cannot be read ({error.strerror or error}); give the .hed of a cube"
        ) from None
    words = {key: value.strip() for key, _, value in (line.strip().partition(" ") for line in lines) if key}
    for key in _REQUIRED:
        if key not in words:
            raise DoseError(f"{path}: has no {key}; give the .hed of a cube of TRiP98")
    return words


def _cube(path: Path) -> bytes:
    plain, packed = path.with_suffix(".dos"), path.with_suffix(".dos.gz")
    try:
        return plain.read_bytes() if plain.exists() else gzip.decompress(packed.read_bytes())
    except (OSError, EOFError) as error:
        raise DoseError(
            f"{path}: its cube {plain.name} or {packed.name} cannot be read ({error}); {_ADVICE}"
        ) from None


def _cropped(stored: np.ndarray, grid: Grid) -> tuple[np.ndarray, Grid]:
    """Cut a cube to the voxels with dose."""
    spans = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        filled = np.flatnonzero(stored.max(axis=others))
        spans.append((int(filled[0]), int(filled[-1]) + 1))
    (z0, z1), (y0, y1), (x0, x1) = spans
    x, y, z = (
        origin + first * size
        for origin, first, size in zip(grid.origin_mm, (x0, y0, z0), grid.spacing_mm, strict=True)
    )
    return stored[z0:z1, y0:y1, x0:x1], Grid((x, y, z), grid.spacing_mm, (z1 - z0, y1 - y0, x1 - x0))
