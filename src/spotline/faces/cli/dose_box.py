"""The box of ``spotline dose --box``: where dose is wanted."""

from __future__ import annotations

from collections.abc import Sequence

from spotline.dose.engine.water_and_grid import checked_grid
from spotline.dose.evaluation.patients import CtPatient, WaterBox
from spotline.dose.grid import Grid
from spotline.dose.planes import slabs_of
from spotline.dose.structures import StructureSet
from spotline.errors import OptionError

IMAGE = "image"


def grid_of(
    words: Sequence[str], spacing_mm: float, patient: CtPatient | WaterBox, structures: StructureSet | None
) -> Grid:
    """Make the grid of a box.

    Parameters
    ----------
    words : sequence of str
        ``image``, the name of a structure, or six numbers in mm: lowest and highest x, y and z.
    spacing_mm : float
        Size of the voxels; the box is made larger until they fill it.
    patient : CtPatient or WaterBox
    structures : StructureSet, optional

    Raises
    ------
    OptionError
        If the words are none of these.
    DoseError
        If there is no such structure, or the grid is too large.
    """
    if len(words) == 6:
        lower_mm, upper_mm = _numbers(words)
    elif len(words) != 1:
        raise OptionError(
            f"--box: {len(words)} words are no box; give {IMAGE!r}, the name of a structure (in quotes, if "
            "it has blanks), or six numbers: lowest and highest x, y and z in mm"
        )
    elif words[0] == IMAGE:
        if not isinstance(patient, CtPatient):
            raise OptionError("--box image: there is no image in water; give six numbers, or --ct")
        lower_mm, upper_mm = list(patient.image.grid.lower_mm), list(patient.image.grid.upper_mm)
    elif structures is None:
        raise OptionError(f"--box: {words[0]!r} names a structure: give --structures")
    else:
        lower_mm, upper_mm = slabs_of(structures.named(words[0]).contours, spacing_mm).box_mm()
    return checked_grid(Grid.covering(lower_mm, upper_mm, spacing_mm))


def _numbers(words: Sequence[str]) -> tuple[list[float], list[float]]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise OptionError(f"--box: {' '.join(words)} are not six numbers in mm") from None
    lower, upper = values[::2], values[1::2]
    for axis, low, high in zip("xyz", lower, upper, strict=True):
        if not low < high:
            raise OptionError(
                f"--box: from {low:g} to {high:g} mm in {axis} is no box; give the lower one first"
            )
    return lower, upper
