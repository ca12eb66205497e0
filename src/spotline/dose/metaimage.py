"""Write a map on a grid as a MetaImage (.mha), which viewers of medical images read.

RT Dose has no place for LET.  A MetaImage is a header of plain text and the values behind it (MetaIO, of
the Insight Toolkit); its coordinates are those of the DICOM patient.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from spotline.dose.grid import Grid, on_grid


def write_metaimage(values: ArrayLike, grid: Grid, path: Path, comment: str = "") -> None:
    """Write a map to a new file.

    Parameters
    ----------
    values : array_like, shape (nz, ny, nx)
        Written as 32-bit floats.
    grid : Grid
    path : Path
    comment : str
        One line of ASCII that says what it is.

    Raises
    ------
    DoseError
        If the values are not on the grid.
    """
    array = on_grid(values, grid, np.dtype("<f4"), "map")
    header = {
        "ObjectType": "Image",
        **({"Comment": comment} if comment else {}),
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": _row(grid.origin_mm),
        "ElementSpacing": _row(grid.spacing_mm),
        "DimSize": _row(grid.counts),
        "ElementType": "MET_FLOAT",
        "ElementDataFile": "LOCAL",  # must be the last
    }
    lines = "".join(f"{key} = {value}\n" for key, value in header.items())
    with path.open("xb") as file:
        file.write(lines.encode("ascii"))
        file.write(array.tobytes())


def _row(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.12g}" for value in values)
