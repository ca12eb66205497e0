"""A linear-quadratic model given as tables of alpha and beta by ion and energy.

Two kinds of files are read: a CSV table of ours, and the RBE tables of TRiP98 (``.rbe``), as the local effect
model fills them.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spotline.arrays import Floats
from spotline.dose.rbe.effect import Tissue, check_sums, linear_quadratic_dose
from spotline.dose.rbe.spectrum import NUCLIDES, dose_weighted
from spotline.errors import DoseError
from spotline.machine.library import Entry

COLUMNS = ("charge_number", "energy_MeV_u", "alpha_per_Gy", "beta_per_Gy2")
SYMBOLS = tuple(nuclide.symbol.lstrip("0123456789") for nuclide in NUCLIDES)


@dataclass(frozen=True, slots=True, eq=False)
class IonTable:
    """RBE_max and RBE_min of one charge number; arrays have shape (n,).

    Attributes
    ----------
    energy_MeV_u : ndarray
        Ascending.
    rbe_max, rbe_min : ndarray
        At these energies.
    """

    energy_MeV_u: Floats
    rbe_max: Floats
    rbe_min: Floats


@dataclass(frozen=True, slots=True, eq=False)
class TableModel:
    """A model by tables: straight in the logarithm of the energy between two, constant beyond the ends.

    Attributes
    ----------
    name : str
        What the model is called, usually the file.
    tables : dict of int to IonTable
        By charge number.
    tissue : Tissue
        How photons act.
    """

    name: str
    tables: dict[int, IonTable]
    tissue: Tissue

    @property
    def number(self) -> int:
        """How many quantities are summed."""
        return 2

    def coefficients(self, charge_number: int, energy_MeV_u: Floats) -> Floats:
        """RBE_max and RBE_min of a charge number at energies of shape (n,): shape (n, 2).

        Raises
        ------
        DoseError
            If there is no table of the charge number.
        """
        table = self.tables.get(charge_number)
        if table is None:
            raise DoseError(
                f"{self.name}: has no table of {SYMBOLS[charge_number - 1]}, which is in the beam; add one"
            )
        at, nodes = np.log(energy_MeV_u), np.log(table.energy_MeV_u)
        return np.column_stack([np.interp(at, nodes, table.rbe_max), np.interp(at, nodes, table.rbe_min)])

    def quantities(self, entry: Entry) -> Callable[[Floats], Floats]:
        """Return a function that gives RBE_max and RBE_min at depths of shape (m,): shape (m, 2)."""
        return dose_weighted(entry, self.coefficients)

    def effective_dose(self, dose_Gy: Floats, weighted: Floats, fractions: int = 1) -> Floats:
        """RBE-weighted dose; arguments as of `spotline.dose.rbe.effect.linear_quadratic_dose`."""
        check_sums(self.name, dose_Gy, weighted, self.number, fractions)
        return linear_quadratic_dose(dose_Gy, weighted, self.tissue, fractions)


def read_csv_table(path: Path, photon_alpha_per_Gy: float, photon_beta_per_Gy2: float) -> TableModel:
    """Read a table with the columns charge_number, energy_MeV_u, alpha_per_Gy and beta_per_Gy2.

    Lines that begin with ``#`` are comments.

    Parameters
    ----------
    path : Path
        The file.
    photon_alpha_per_Gy, photon_beta_per_Gy2 : float
        Of the radiation that RBE refers to.

    Raises
    ------
    DoseError
        If the file cannot be read or a figure of it cannot be.
    """
    for name, value in (("alpha", photon_alpha_per_Gy), ("beta", photon_beta_per_Gy2)):
        if not (math.isfinite(value) and value > 0.0):
            raise DoseError(f"{path}: a photon {name} of {value:g}; give a number above 0")
    lines = [
        (number, [cell.strip() for cell in next(csv.reader([line]))])
        for number, line in enumerate(_text(path).splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines or tuple(lines[0][1]) != COLUMNS:
        raise DoseError(f"{path}: the first line must name the columns {','.join(COLUMNS)}")
    rows: dict[int, list[tuple[float, float, float]]] = {}
    for number, cells in lines[1:]:
        if len(cells) != len(COLUMNS):
            raise DoseError(f"{path}, line {number}: {len(cells)} cells; there are {len(COLUMNS)} columns")
        charge, energy, alpha, beta = (
            _number(path, number, column, cell) for column, cell in zip(COLUMNS, cells, strict=True)
        )
        if charge not in range(1, len(NUCLIDES) + 1):
            raise DoseError(f"{path}, line {number}: charge_number {charge:g}; use 1 to {len(NUCLIDES)}")
        if alpha < 0.0 or beta < 0.0:
            raise DoseError(f"{path}, line {number}: alpha or beta is negative; give 0 or more")
        rows.setdefault(int(charge), []).append(
            (energy, alpha / photon_alpha_per_Gy, math.sqrt(beta / photon_beta_per_Gy2))
        )
    return TableModel(path.name, _tables(path, rows), Tissue(photon_alpha_per_Gy / photon_beta_per_Gy2))


def read_trip98_rbe(path: Path) -> TableModel:
    """Read a table of TRiP98: the initial RBE of each projectile by energy.

    ``RBE = alpha / alpha_x``, and ``beta = (s_max - alpha) / (2 D_cut)`` with the final slope of photons
    ``s_max = alpha_x + 2 beta_x D_cut`` (Kraemer and Scholz, Phys. Med. Biol. 45 (2000) 3319), or 0 where
    that is negative.  Of a file with tables for mean, minimum and maximum the mean is taken.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    DoseError
        If the file cannot be read or a figure of it cannot be.
    """
    photon: dict[str, float] = {}
    initial: dict[int, list[tuple[float, float]]] = {}
    charge, reading = 0, False
    for number, line in enumerate(_text(path).splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        key = words[0].lower()
        if key in ("!min", "!max"):
            break
        if key.startswith("!"):
            reading = key == "!rbe"
            if key == "!projectile":
                charge = _charge_number(path, number, words)
            elif key in ("!alpha", "!beta", "!cut"):
                if len(words) < 2:
                    raise DoseError(f"{path}, line {number}: {key} without a number; complete it")
                photon[key[1:]] = _number(path, number, key, words[1])
            elif reading and charge == 0:
                raise DoseError(f"{path}, line {number}: !rbe without a !projectile before it; name one")
        elif reading and charge <= len(NUCLIDES):
            if len(words) < 2:
                raise DoseError(f"{path}, line {number}: one number; give energy and RBE")
            energy, rbe = (_number(path, number, "!rbe", word) for word in words[:2])
            if rbe <= 0.0:
                raise DoseError(f"{path}, line {number}: RBE of {rbe:g}; give a number above 0")
            initial.setdefault(charge, []).append((energy, rbe))
    for key in ("alpha", "beta", "cut"):
        if not photon.get(key, 0.0) > 0.0:
            raise DoseError(f"{path}: has no !{key} above 0; complete the header")
    tissue = Tissue(photon["alpha"] / photon["beta"], photon["cut"])
    rows = {
        charge: [(energy, rbe, _smallest(rbe, tissue)) for energy, rbe in pairs]
        for charge, pairs in initial.items()
    }
    return TableModel(path.name, _tables(path, rows), tissue)


def _smallest(rbe_max: float, tissue: Tissue) -> float:
    ratio = (tissue.steepest_Gy - tissue.alpha_beta_Gy * rbe_max) / (2.0 * tissue.cut_Gy)
    return math.sqrt(max(ratio, 0.0))


def _charge_number(path: Path, number: int, words: list[str]) -> int:
    symbol = words[1].lstrip("0123456789").capitalize() if len(words) > 1 else ""
    if symbol in SYMBOLS:
        return SYMBOLS.index(symbol) + 1
    if symbol.isalpha():
        return len(NUCLIDES) + 1  # heavier than anything in a beam of ours
    raise DoseError(f"{path}, line {number}: !projectile without an element; name it, such as 12C")


def _tables(path: Path, rows: dict[int, list[tuple[float, float, float]]]) -> dict[int, IonTable]:
    if not rows:
        raise DoseError(f"{path}: holds no figures; add a row for each ion and energy")
    tables = {}
    for charge, values in sorted(rows.items()):
        energy, largest, smallest = np.array(values).T
        if energy[0] <= 0.0 or not np.all(np.diff(energy) > 0.0):
            raise DoseError(
                f"{path}: the energies of {SYMBOLS[charge - 1]} do not ascend from above 0; sort them, "
                "without duplicates"
            )
        tables[charge] = IonTable(energy, largest, smallest)
    return tables


def _number(path: Path, line: int, column: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise DoseError(f"{path}, line {line}, {column}: {text!r} is no number; write one")
    return value


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DoseError(f"{path}: cannot be read ({error}); give a text file") from None
