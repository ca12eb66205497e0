"""A beam line on a terminal, or in a pipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from spotline.faces.cli.columns import print_columns
from spotline.hdf5 import keys_of
from spotline.machine.overview import IonFigures, LineFigures

_OF_THE_FILE = (
    "geometry",
    "scanning",
    "chambers",
    "boxes",
    "monitors",
    "chopper",
    "accelerator",
    "passive_elements",
    "nozzle",
)


def print_line(line: LineFigures) -> None:
    """Print what there is to say of a line."""
    print(f"{line.name}: {line.title}, version {line.version}")
    print(f"{line.path}, SHA-256 {line.sha256[:12]}...")
    print("\nions")
    _print_ions(line.ions)
    print("\nspots, full width at half maximum at the lowest and highest energy")
    _print_spots(line.ions)
    for name in _OF_THE_FILE:
        table = getattr(line, name)
        if table is not None:
            print(f"\n{name}")
            if isinstance(table, tuple):
                _print_rows([keys_of(row) for row in table])
                continue
            pairs = list(_flat(keys_of(table)))
            width = max((len(key) for key, _ in pairs), default=0)
            for key, value in pairs:
                print(f"  {key:<{width}}  {value}")
    print("\nsources, and how many lines of the file name each")
    width = max((len(source.code) for source in line.sources), default=0)
    for source in line.sources:
        print(f"  {source.code:<{width}}  {source.lines:>4}  {source.source}")


def _print_ions(ions: Sequence[IonFigures]) -> None:
    rows: list[tuple[str, ...]] = [
        ("ion", "energies", "energy", "range", "particles per count", "full intensity", "library"),
        ("", "", "MeV/u", "mm", "", "1/s", ""),
    ]
    for ion in ions:
        rows.append(
            (
                ion.name,
                str(ion.energies) if ion.energy_selection == "listed" else "continuous",
                _from_to(ion.energy_MeV_u),
                _from_to(ion.range_mm),
                _from_to(ion.particles_per_count),
                f"{ion.full_intensity_per_s:g}",
                ion.library or "none",
            )
        )
    print_columns(rows)


def _print_spots(ions: Sequence[IonFigures]) -> None:
    rows: list[tuple[str, ...]] = [
        ("ion", "focus", "ripple filters", "isocentre x", "isocentre y", "chambers x", "chambers y"),
        ("", "", "", "mm", "mm", "mm", "mm"),
    ]
    for ion in ions:
        for spot in ion.spots:
            sizes = (spot.fwhm_x_mm, spot.fwhm_y_mm, spot.fwhm_box_x_mm, spot.fwhm_box_y_mm)
            rows.append((ion.name, spot.focus, str(spot.range_modulators), *map(_from_to, sizes)))
    print_columns(rows)


def _print_rows(table: Sequence[Mapping[str, Any]]) -> None:
    """Print rows of the file, a column for each key; what a row does not have is a dash."""
    keys = list(table[0]) if table else []
    rows = [tuple("-" if row[key] is None else _plain(row[key]) for key in keys) for row in table]
    print_columns([tuple(keys), *rows])


def _from_to(ends: Sequence[float]) -> str:
    first, last = (f"{end:.4g}" if end < 1e4 else f"{end:.0f}" for end in ends)
    return first if first == last else f"{first} to {last}"


def _flat(table: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Keys and values of a table of the file, those of inner tables with the way to them."""
    for key, value in table.items():
        if value is None or value == [] or value == {}:
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{key}.")
        elif isinstance(value, list) and isinstance(value[0], Mapping):
            for index, item in enumerate(value):
                yield from _flat(item, f"{before}{key}[{index}].")
        elif isinstance(value, list):
            yield f"{before}{key}", ", ".join(_plain(item) for item in value)
        else:
            yield f"{before}{key}", _plain(value)


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
