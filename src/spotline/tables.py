"""The CSV tables of a beam line: energies, spot sizes, gain maps.

All have lines starting with ``#`` for comments, one line of column names that carry their units, and
rows of numbers.  Nothing is optional unless said so, and nothing unknown is passed over.
"""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spotline.arrays import Floats
from spotline.errors import BeamLineError


@dataclass(frozen=True, slots=True, eq=False)
class EnergyTable:
    """Columns of an ion's energy table, each of shape (n_energies,), ascending in energy.

    Attributes
    ----------
    energy_MeV_u : ndarray
        Kinetic energy per nucleon.
    range_mm : ndarray
        Depth of the Bragg peak in water behind the nozzle.
    particles_per_count : ndarray
        Particles whose ionization of an integral chamber is one count.
    particles_per_MU : ndarray or None
        Particles of one monitor unit, for lines whose plans come in monitor units.
    beam_MeV_u : ndarray or None
        Mean kinetic energy of the beam that plans and machine call `energy_MeV_u`; None: that energy.
    beam_sigma_MeV_u : ndarray or None
        Standard deviation of its energy; None: that of the ion's momentum spread.
    """

    energy_MeV_u: Floats
    range_mm: Floats
    particles_per_count: Floats
    particles_per_MU: Floats | None
    beam_MeV_u: Floats | None = None
    beam_sigma_MeV_u: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class OpticsTable:
    """Columns of a spot-size table, each of shape (n_rows,), ascending in energy.

    ``fwhm_x_mm`` and ``fwhm_y_mm`` are sizes in air at the isocentre, ``fwhm_box_x_mm`` and
    ``fwhm_box_y_mm`` at the chambers.
    """

    energy_MeV_u: Floats
    fwhm_x_mm: Floats
    fwhm_y_mm: Floats
    fwhm_box_x_mm: Floats
    fwhm_box_y_mm: Floats


@dataclass(frozen=True, slots=True, eq=False)
class GainMap:
    """Relative gain of an integral chamber on a rectangular grid at the isocentre.

    ``x_iso_mm`` has shape (n_x,) and ``y_iso_mm`` shape (n_y,), both ascending; ``gain`` has shape
    (n_y, n_x).
    """

    x_iso_mm: Floats
    y_iso_mm: Floats
    gain: Floats


def closest(word: str, known: Collection[str]) -> str:
    """Return a hint at the known word that was probably meant, or the list of all."""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"


@dataclass(frozen=True, slots=True)
class _Rows:
    """Numbers of one CSV file, with what is needed to point at any of them."""

    where: str
    columns: dict[str, Floats]
    lines: list[int]

    def fault(self, row: int, column: str, wrong: str, remedy: str) -> BeamLineError:
        value = self.columns[column][row]
        return BeamLineError(
            f"{self.where}, line {self.lines[row]}, column {column}: {value:g} {wrong}; {remedy}"
        )

    def refuse_not_positive(self, names: Sequence[str]) -> None:
        for name in names:
            for row in np.flatnonzero(self.columns[name] <= 0.0)[:1]:
                raise self.fault(int(row), name, "is not above 0", "every figure of this column must be")

    def refuse_not_ascending(self, name: str) -> None:
        values = self.columns[name]
        for row in np.flatnonzero(np.diff(values) <= 0.0)[:1]:
            wrong = f"does not lie above {values[row]:g} of the row before"
            raise self.fault(int(row) + 1, name, wrong, "sort the rows and remove duplicates")


def _text_lines(where: str, content: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BeamLineError(
            f"{where}: byte {error.start} is not UTF-8 text; save the table as UTF-8"
        ) from None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, [cell.strip() for cell in next(csv.reader([line]))]


def _check_header(
    where: str, header: Sequence[str], required: Sequence[str], optional: Sequence[str]
) -> None:
    for name in header:
        if name not in (*required, *optional):
            hint = closest(name, [*required, *optional])
            raise BeamLineError(f"{where}: column {name!r} is not known; {hint}")
        if header.count(name) > 1:
            raise BeamLineError(f"{where}: column {name!r} stands there twice; keep one")
    for name in required:
        if name not in header:
            raise BeamLineError(f"{where}: column {name!r} is missing; the table needs {', '.join(required)}")


def _number(where: str, line: int, column: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BeamLineError(
            f"{where}, line {line}, column {column}: {cell!r} is not a finite number; correct the cell"
        )
    return value


def _read_rows(where: str, content: bytes, required: Sequence[str], optional: Sequence[str] = ()) -> _Rows:
    lines = list(_text_lines(where, content))
    if len(lines) < 2:
        raise BeamLineError(
            f"{where}: has no rows; it needs column names ({', '.join(required)}) and numbers"
        )
    _, header = lines[0]
    _check_header(where, header, required, optional)
    values = np.empty((len(lines) - 1, len(header)))
    for row, (number, cells) in enumerate(lines[1:]):
        if len(cells) != len(header):
            raise BeamLineError(
                f"{where}, line {number}: has {len(cells)} cells, the header {len(header)}; complete the row"
            )
        values[row] = [_number(where, number, name, cell) for name, cell in zip(header, cells, strict=True)]
    columns = {name: np.ascontiguousarray(values[:, i]) for i, name in enumerate(header)}
    for column in columns.values():
        column.setflags(write=False)
    return _Rows(where, columns, [number for number, _ in lines[1:]])


def read_energy_table(where: str, content: bytes) -> EnergyTable:
    """Read the energy table of an ion.

    Parameters
    ----------
    where : str
        Name of the file, for messages.
    content : bytes
        Its content.

    Raises
    ------
    BeamLineError
        Naming line and column of what is wrong.
    """
    required = ("energy_MeV_u", "range_mm", "particles_per_count")
    optional = ("particles_per_MU", "beam_MeV_u", "beam_sigma_MeV_u")
    rows = _read_rows(where, content, required, optional)
    rows.refuse_not_positive(list(rows.columns))
    for name in ("energy_MeV_u", "range_mm", "beam_MeV_u"):
        if name in rows.columns:
            rows.refuse_not_ascending(name)
    c = rows.columns
    energy, depth, count = (c[name] for name in required)
    per_MU, beam, sigma = (c.get(name) for name in optional)
    return EnergyTable(energy, depth, count, per_MU, beam, sigma)


def read_optics_table(where: str, content: bytes) -> OpticsTable:
    """Read a table of spot sizes; parameters and errors as in `read_energy_table`."""
    required = ("energy_MeV_u", "fwhm_x_mm", "fwhm_y_mm", "fwhm_box_x_mm", "fwhm_box_y_mm")
    rows = _read_rows(where, content, required)
    rows.refuse_not_positive(required)
    rows.refuse_not_ascending("energy_MeV_u")
    return OpticsTable(*(rows.columns[name] for name in required))


def read_gain_map(where: str, content: bytes) -> GainMap:
    """Read a gain map: one row per grid point, in any order.

    Parameters and errors as in `read_energy_table`.
    """
    rows = _read_rows(where, content, ("x_iso_mm", "y_iso_mm", "gain"))
    rows.refuse_not_positive(["gain"])
    x, column = np.unique(rows.columns["x_iso_mm"], return_inverse=True)
    y, row = np.unique(rows.columns["y_iso_mm"], return_inverse=True)
    if len(x) < 2 or len(y) < 2:
        raise BeamLineError(
            f"{where}: the grid has {len(x)} x {len(y)} points; it needs two along x and along y"
        )
    gain = np.full((len(y), len(x)), np.nan)
    for i, (at_y, at_x) in enumerate(zip(row, column, strict=True)):
        if not math.isnan(gain[at_y, at_x]):
            raise rows.fault(i, "x_iso_mm", f"with y_iso_mm {y[at_y]:g} stands there twice", "keep one")
        gain[at_y, at_x] = rows.columns["gain"][i]
    for at_y, at_x in np.argwhere(np.isnan(gain))[:1]:
        raise BeamLineError(
            f"{where}: the grid is not rectangular, x_iso_mm {x[at_x]:g} y_iso_mm {y[at_y]:g} is missing; "
            "add that row"
        )
    for array in (x, y, gain):
        array.setflags(write=False)
    return GainMap(x, y, gain)
