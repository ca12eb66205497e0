"""Kernels that turn polygons into shares of pixels.

Every row of pixels is cut into lines.  Between the crossings of a line with the edges of all polygons, taken
in pairs (the even-odd rule), the line is inside: along it lengths are exact, across lines the mean over lines
stands for the integral.
"""

from __future__ import annotations

import math

from spotline.arrays import Floats, Integers
from spotline.jit import kernel


@kernel
def first_line(y_mm: float, origin_mm: float, step_mm: float) -> int:
    """Number of the first line at or above a height; lines are at origin + (number + 1/2) step."""
    return math.ceil((y_mm - origin_mm) / step_mm - 0.5)


@kernel
def count_crossings(
    corners_mm: Floats, starts: Integers, origin_mm: float, step_mm: float, counts: Integers
) -> None:
    """Count how often every line crosses an edge.

    Parameters
    ----------
    corners_mm : ndarray, shape (n, 2)
        x and y of the corners of all polygons.
    starts : ndarray of int, shape (polygons + 1,)
        Where each polygon begins, and the end of the last.
    origin_mm, step_mm : float
        Lower face of the first line and distance of lines.
    counts : ndarray of int, shape (lines,)
        Added to.
    """
    for polygon in range(len(starts) - 1):
        last = starts[polygon + 1] - 1
        for corner in range(starts[polygon], starts[polygon + 1]):
            y0, y1 = corners_mm[last, 1], corners_mm[corner, 1]
            last = corner
            # Half open: a line through a corner belongs to the edge above it, so each crossing counts once.
            begin = max(first_line(min(y0, y1), origin_mm, step_mm), 0)
            end = min(first_line(max(y0, y1), origin_mm, step_mm), len(counts))
            for line in range(begin, end):
                counts[line] += 1


@kernel
def fill_crossings(
    corners_mm: Floats,
    starts: Integers,
    origin_mm: float,
    step_mm: float,
    begins: Integers,
    ends: Integers,
    x_mm: Floats,
) -> None:
    """Write the x of all crossings, line after line, sorted within a line.

    Parameters
    ----------
    corners_mm, starts, origin_mm, step_mm
        See `count_crossings`.
    begins : ndarray of int, shape (lines,)
        Where the crossings of each line begin.
    ends : ndarray of int, shape (lines,)
        Comes as a copy of `begins`, and is moved on with every crossing.
    x_mm : ndarray, shape (crossings,)
    """
    for polygon in range(len(starts) - 1):
        last = starts[polygon + 1] - 1
        for corner in range(starts[polygon], starts[polygon + 1]):
            x0, y0 = corners_mm[last, 0], corners_mm[last, 1]
            x1, y1 = corners_mm[corner, 0], corners_mm[corner, 1]
            last = corner
            begin = max(first_line(min(y0, y1), origin_mm, step_mm), 0)
            end = min(first_line(max(y0, y1), origin_mm, step_mm), len(ends))
            for line in range(begin, end):
                y = origin_mm + (line + 0.5) * step_mm
                x = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
                at = ends[line]
                while at > begins[line] and x_mm[at - 1] > x:
                    x_mm[at] = x_mm[at - 1]
                    at -= 1
                x_mm[at] = x
                ends[line] += 1


@kernel
def join_lines(
    first_mm: Floats,
    first_starts: Integers,
    second_mm: Floats,
    second_starts: Integers,
    is_united: bool,
    x_mm: Floats,
    counts: Integers,
) -> int:
    """Join the crossings of two shapes, line by line.

    Parameters
    ----------
    first_mm, second_mm : ndarray
        Crossings, sorted within each line, where each shape is entered and left in turn.
    first_starts, second_starts : ndarray of int, shape (lines + 1,)
        Where each line begins.
    is_united : bool
        Inside is what lies in either shape; else, what lies in one and not in the other.
    x_mm : ndarray
        As long as both together; gets the crossings of what is inside.
    counts : ndarray of int, shape (lines,)
        Gets the number of crossings of each line.

    Returns
    -------
    int
        How many crossings there are.
    """
    used = 0
    for line in range(len(counts)):
        i, j = first_starts[line], second_starts[line]
        end_i, end_j = first_starts[line + 1], second_starts[line + 1]
        in_first, in_second, was_inside = False, False, False
        begin = used
        while i < end_i or j < end_j:
            if j >= end_j or (i < end_i and first_mm[i] <= second_mm[j]):
                x = first_mm[i]
            else:
                x = second_mm[j]
            while i < end_i and first_mm[i] == x:
                in_first = not in_first
                i += 1
            while j < end_j and second_mm[j] == x:
                in_second = not in_second
                j += 1
            is_inside = (in_first or in_second) if is_united else (in_first != in_second)
            if is_inside != was_inside:
                x_mm[used] = x
                used += 1
                was_inside = is_inside
        counts[line] = used - begin
    return used


@kernel
def add_line(
    x_mm: Floats, begin: int, end: int, origin_mm: float, size_mm: float, weight: float, row: Floats
) -> None:
    """Add the shares of one line to a row of pixels.

    Parameters
    ----------
    x_mm : ndarray
        Crossings; those of the line are from `begin` to before `end`, sorted, of even number.
    begin, end : int
    origin_mm, size_mm : float
        Lower face of the first pixel, and size of a pixel.
    weight : float
        What a pixel gets that is wholly inside.
    row : ndarray, shape (pixels,)
    """
    n = len(row)
    pair = begin
    while pair + 1 < end:
        left = min(max((x_mm[pair] - origin_mm) / size_mm, 0.0), float(n))
        right = min(max((x_mm[pair + 1] - origin_mm) / size_mm, 0.0), float(n))
        pair += 2
        if right > left:
            i, j = min(int(left), n - 1), min(int(right), n - 1)
            if i == j:
                row[i] += weight * (right - left)
            else:
                row[i] += weight * (i + 1 - left)
                for pixel in range(i + 1, j):
                    row[pixel] += weight
                row[j] += weight * (right - j)


@kernel
def fill_rows(
    x_mm: Floats,
    begins: Integers,
    ends: Integers,
    origin_mm: float,
    size_mm: float,
    lines: int,
    area: Floats,
) -> None:
    """Write the shares of all pixels of a plane.

    Parameters
    ----------
    x_mm, begins, ends
        Crossings by line, see `fill_crossings`.
    origin_mm, size_mm
        See `add_line`.
    lines : int
        Lines per row.
    area : ndarray, shape (rows, pixels)
        Comes as zeros.
    """
    for line in range(len(ends)):
        add_line(x_mm, begins[line], ends[line], origin_mm, size_mm, 1.0 / lines, area[line // lines])
