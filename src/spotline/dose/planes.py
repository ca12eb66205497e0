"""The contours of a structure in order: by plane, each once, and those that overlap united.

What is inside is what an odd number of contours encloses, so that a contour within another is a hole, and one
in the hole an island.  Systems that draw by hand or join structures leave what this rule would read as holes:

- the same contour twice, which would be nothing at all: it counts once;
- contours that overlap in part, whose common part would be a hole: they are united;
- parts of one structure whose planes differ by some hundredths of a millimetre: they are one plane.

Contours of the type CLOSEDPLANAR_XOR say that they mean the rule and nothing else (DICOM PS3.3, C.8.8.6.3);
planes with such are taken as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spotline.arrays import Floats, Integers
from spotline.dose.rasterise import count_crossings, fill_crossings, join_lines
from spotline.dose.structures import Contour

SAME_PLANE_mm = 0.09
"""Contours whose z differ by less lie in one plane: positions are written with a digit or two."""
GAP = 1.5
"""Planes further apart than so many usual distances belong to different pieces."""
OVERLAP = 0.01
"""Part of the smaller of two contours that is rounding: with less in common they lie apart, with all but that
one lies in the other."""
SAME_AREA = 1e-4
"""Relative difference of the areas of two contours, and of what both cover, that makes them one."""
AREA_LINES = 1024
"""Lines that the area of contours which overlap is taken from."""


@dataclass(frozen=True, slots=True, eq=False)
class Crossings:
    """Where lines along x enter and leave what is inside.

    Attributes
    ----------
    x_mm : ndarray
        Sorted within each line, of even number.
    starts : ndarray of int, shape (lines + 1,)
        Where each line begins in `x_mm`.
    """

    x_mm: Floats
    starts: Integers

    def length_mm(self) -> float:
        """Length inside, of all lines together."""
        return float((self.x_mm[1::2] - self.x_mm[::2]).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Slab:
    """A plane, and how far it reaches.

    Attributes
    ----------
    lower_mm, upper_mm : float
    shapes : tuple of tuple of Contour
        Contours of one shape are united; between shapes the even-odd rule holds.
    """

    lower_mm: float
    upper_mm: float
    shapes: tuple[tuple[Contour, ...], ...]

    @property
    def contours(self) -> tuple[Contour, ...]:
        """All contours of the plane."""
        return tuple(contour for shape in self.shapes for contour in shape)

    def crossings(self, origin_mm: float, step_mm: float, lines: int) -> Crossings:
        """Cut the plane into lines.

        Parameters
        ----------
        origin_mm, step_mm : float
            Lower face of the first line, and the distance of lines.
        lines : int
        """
        if all(len(shape) == 1 for shape in self.shapes):
            return crossings_of(self.contours, origin_mm, step_mm, lines)
        found: Crossings | None = None
        for shape in self.shapes:
            one = crossings_of(shape[:1], origin_mm, step_mm, lines)
            for contour in shape[1:]:
                one = _joined(one, crossings_of((contour,), origin_mm, step_mm, lines), is_united=True)
            found = one if found is None else _joined(found, one, is_united=False)
        assert found is not None
        return found

    def area_mm2(self) -> float:
        """Area inside: exact if no contour crosses another or itself, from lines where some are united."""
        if all(len(shape) == 1 for shape in self.shapes):
            return area_mm2(self.contours)
        y_mm = np.concatenate([contour.xy_mm[:, 1] for contour in self.contours])
        step_mm = float(np.ptp(y_mm)) / AREA_LINES
        return self.crossings(float(y_mm.min()), step_mm, AREA_LINES).length_mm() * step_mm


@dataclass(frozen=True, slots=True, eq=False)
class Slabs:
    """The planes of a structure, and what was made of its contours.

    Attributes
    ----------
    slabs : tuple of Slab
        In the order of z.
    spacing_mm : float
        The usual distance of planes.
    doubles : int
        Contours that are left out, as the same one is there already.
    united : tuple of float
        z in mm of the planes in which contours overlap.
    """

    slabs: tuple[Slab, ...]
    spacing_mm: float
    doubles: int
    united: tuple[float, ...]

    def box_mm(self) -> tuple[list[float], list[float]]:
        """Lowest and highest x, y and z of what the contours reach, half a slice beyond the last ones too."""
        corners = np.concatenate([contour.xy_mm for slab in self.slabs for contour in slab.contours])
        lower = [*corners.min(axis=0).tolist(), self.slabs[0].lower_mm]
        return lower, [*corners.max(axis=0).tolist(), self.slabs[-1].upper_mm]

    def notes(self, name: str) -> tuple[str, ...]:
        """What the reader has to know of it, of the structure of that name."""
        said = []
        if self.doubles == 1:
            said.append(f"structure {name}: a contour is there twice; it counts once")
        elif self.doubles:
            said.append(f"structure {name}: {self.doubles} contours are there twice; they count once")
        if self.united:
            where = ", ".join(f"{z:g}" for z in self.united[:3]) + (", ..." if len(self.united) > 3 else "")
            said.append(
                f"structure {name}: contours overlap in {len(self.united)} of {len(self.slabs)} planes "
                f"(z = {where} mm); they are united, no hole is taken where they overlap"
            )
        return tuple(said)


def slabs_of(contours: Sequence[Contour], single_mm: float) -> Slabs:
    """Group contours by plane, and give each plane its extent.

    Parameters
    ----------
    contours : sequence of Contour
    single_mm : float
        Extent of a plane that is alone.
    """
    planes: list[list[Contour]] = []
    for contour in sorted(contours, key=lambda contour: contour.z_mm):
        if planes and contour.z_mm - planes[-1][0].z_mm <= SAME_PLANE_mm:
            planes[-1].append(contour)
        else:
            planes.append([contour])
    z = np.array([float(np.median([contour.z_mm for contour in plane])) for plane in planes])
    distances = np.diff(z)
    usual = float(np.median(distances)) if distances.size else single_mm
    joined = distances <= GAP * usual
    half_way = 0.5 * (z[1:] + z[:-1])
    lower = np.concatenate([[z[0] - 0.5 * usual], np.where(joined, half_way, z[1:] - 0.5 * usual)])
    upper = np.concatenate([np.where(joined, half_way, z[:-1] + 0.5 * usual), [z[-1] + 0.5 * usual]])
    shapes = [_shapes(plane) for plane in planes]
    return Slabs(
        slabs=tuple(
            Slab(float(low), float(high), shape)
            for low, high, shape in zip(lower, upper, shapes, strict=True)
        ),
        spacing_mm=usual,
        doubles=sum(len(plane) for plane in planes) - sum(len(one) for shape in shapes for one in shape),
        united=tuple(
            float(at) for at, shape in zip(z, shapes, strict=True) if any(len(one) > 1 for one in shape)
        ),
    )


def crossings_of(contours: Sequence[Contour], origin_mm: float, step_mm: float, lines: int) -> Crossings:
    """Cut contours into lines; see `Slab.crossings`. Between contours the even-odd rule holds."""
    corners = np.concatenate([contour.xy_mm for contour in contours])
    starts = np.cumsum([0] + [len(contour.xy_mm) for contour in contours], dtype=np.int64)
    counts = np.zeros(lines, dtype=np.int64)
    count_crossings(corners, starts, origin_mm, step_mm, counts)
    begins = np.concatenate([[0], np.cumsum(counts)])
    x_mm = np.empty(int(begins[-1]))
    fill_crossings(corners, starts, origin_mm, step_mm, begins[:-1], begins[:-1].copy(), x_mm)
    return Crossings(x_mm, begins)


def area_mm2(contours: Sequence[Contour]) -> float:
    """Area that the contours of one plane enclose by the even-odd rule, if none crosses another or itself."""
    total = 0.0
    for index, contour in enumerate(contours):
        around = sum(_lies_in(contour.xy_mm, other.xy_mm) for i, other in enumerate(contours) if i != index)
        total += _area_mm2(contour) if around % 2 == 0 else -_area_mm2(contour)
    return total


def _joined(first: Crossings, second: Crossings, *, is_united: bool) -> Crossings:
    """The union of what is inside of two, or what is inside of one alone."""
    x_mm = np.empty(len(first.x_mm) + len(second.x_mm))
    counts = np.zeros(len(first.starts) - 1, dtype=np.int64)
    used = join_lines(first.x_mm, first.starts, second.x_mm, second.starts, is_united, x_mm, counts)
    return Crossings(x_mm[:used], np.concatenate([[0], np.cumsum(counts)]))


def _shapes(plane: list[Contour]) -> tuple[tuple[Contour, ...], ...]:
    """The contours of a plane, those that overlap together, and each once."""
    if len(plane) == 1 or any(contour.is_xor for contour in plane):
        return tuple((contour,) for contour in plane)
    shapes: list[list[Contour]] = []
    for contour in plane:
        touched, is_double = [], False
        for shape in shapes:
            relations = {_relation(contour, other) for other in shape}
            if "same" in relations:
                is_double = True
                break
            if "overlap" in relations:
                touched.append(shape)
        if is_double:
            continue
        # A contour may join shapes that lay apart without it.
        shapes = [shape for shape in shapes if all(shape is not one for one in touched)]
        shapes.append([one for shape in touched for one in shape] + [contour])
    return tuple(map(tuple, shapes))


def _relation(first: Contour, second: Contour) -> str:
    """How two contours of a plane lie: ``apart`` (or one in the other), ``overlap`` or ``same``."""
    corners = (first.xy_mm, second.xy_mm)
    lower = [one.min(axis=0) for one in corners]
    upper = [one.max(axis=0) for one in corners]
    if np.any(np.minimum(*upper) <= np.maximum(*lower)):
        return "apart"
    if _same_corners(*corners):
        return "same"
    origin_mm = float(min(lower[0][1], lower[1][1]))
    step_mm = (float(max(upper[0][1], upper[1][1])) - origin_mm) / AREA_LINES
    one, other = (crossings_of((contour,), origin_mm, step_mm, AREA_LINES) for contour in (first, second))
    lengths = one.length_mm(), other.length_mm()
    both = sum(lengths) - _joined(one, other, is_united=True).length_mm()
    small, large = min(lengths), max(lengths)
    if both >= (1.0 - SAME_AREA) * large:
        return "same"
    return "overlap" if OVERLAP * small < both < (1.0 - OVERLAP) * small else "apart"


def _same_corners(first: Floats, second: Floats) -> bool:
    """Whether two polygons have the same corners in the same order, in either sense, wherever they begin."""
    if len(first) != len(second):
        return False
    if np.array_equal(first, second):
        return True
    at = np.flatnonzero(np.all(second == first[0], axis=1))
    return any(
        np.array_equal(first, np.roll(second, -start, axis=0))
        or np.array_equal(first, np.roll(second[::-1], start + 1, axis=0))
        for start in at.tolist()
    )


def _area_mm2(contour: Contour) -> float:
    x, y = contour.xy_mm.T
    return 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))


def _lies_in(polygon: Floats, other: Floats) -> bool:
    """Whether most corners of a polygon lie in another, brought inwards by more than edges are rounded."""
    middle = polygon.mean(axis=0)
    some = middle + (1.0 - OVERLAP) * (polygon[:: max(len(polygon) // 15, 1)] - middle)
    return 2 * sum(_encloses(other, corner) for corner in some) > len(some)


def _encloses(polygon: Floats, point: Floats) -> bool:
    x, y = polygon.T
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    crosses = (y <= point[1]) != (next_y <= point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x + (point[1] - y) / (next_y - y) * (next_x - x)
    return bool(np.count_nonzero(crosses & (at > point[0])) % 2)
