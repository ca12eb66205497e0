"""Hold the results of one version against those of another.

::

    python -m verification.compare OLD NEW             # two files of results, or two folders of them
    python -m verification.compare OLD NEW --json      # the same for programs

A figure has moved if its difference is more than `--sigmas` times the combined statistical error of both or,
where neither has one, more than `EXACT` of the larger of them; if it has a value in one only; and if its unit
is another.  Exit status: 0 if nothing moved, 1 if something did, 2 if the input cannot be used.  Figures that
came or went, and verdicts that changed, are listed and do not count as moved.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spotline.errors import MeasurementError
from spotline.measurement import Result, read_results
from verification.figures import table

SIGMAS = 3.0
"""So far apart may two figures lie; of a thousand with statistical errors, three lie further by chance."""
EXACT = 1e-6
"""Relative difference beyond which a figure without statistical error has moved."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A figure that both have.

    Attributes
    ----------
    name, unit : str
    old, new : float or None
    difference : float or None
        New minus old; None if one has no value.
    uncertainty : float or None
        Combined standard uncertainty of the difference; None if both are exact or unknown.
    sigmas : float or None
        The difference in units of it.
    has_moved : bool
    old_verdict, new_verdict : str
    """

    name: str
    unit: str
    old: float | None
    new: float | None
    difference: float | None
    uncertainty: float | None
    sigmas: float | None
    has_moved: bool
    old_verdict: str
    new_verdict: str

    @property
    def has_other_verdict(self) -> bool:
        """Whether the verdicts differ."""
        return self.old_verdict != self.new_verdict


@dataclass(frozen=True, slots=True)
class Compared:
    """Two sets of results, figure by figure.

    Attributes
    ----------
    pairs : tuple of Pair
        In the order of the old set.
    appeared, vanished : tuple of str
        Names that only the new set has, and only the old one.
    """

    pairs: tuple[Pair, ...]
    appeared: tuple[str, ...]
    vanished: tuple[str, ...]

    @property
    def moved(self) -> tuple[Pair, ...]:
        """Figures that moved."""
        return tuple(pair for pair in self.pairs if pair.has_moved)

    @property
    def other_verdicts(self) -> tuple[Pair, ...]:
        """Figures whose verdict changed."""
        return tuple(pair for pair in self.pairs if pair.has_other_verdict)

    def as_dict(self) -> dict[str, Any]:
        """Return all, as for JSON."""
        return {
            "compared": len(self.pairs),
            "moved": [pair.name for pair in self.moved],
            "verdicts_changed": [pair.name for pair in self.other_verdicts],
            "appeared": list(self.appeared),
            "vanished": list(self.vanished),
            "figures": [asdict(pair) for pair in self.pairs],
        }


def compare(old: Mapping[str, Result], new: Mapping[str, Result], sigmas: float = SIGMAS) -> Compared:
    """Compare results by their names."""
    return Compared(
        pairs=tuple(pair_of(name, old[name], new[name], sigmas) for name in old if name in new),
        appeared=tuple(name for name in new if name not in old),
        vanished=tuple(name for name in old if name not in new),
    )


def pair_of(name: str, old: Result, new: Result, sigmas: float = SIGMAS) -> Pair:
    """Compare two results of one name."""
    difference = None if old.value is None or new.value is None else new.value - old.value
    error = math.hypot(old.uncertainty or 0.0, new.uncertainty or 0.0) or None
    has_other_unit = old.unit != new.unit
    if difference is None:
        has_moved = old.value is not new.value
    else:
        larger = max(abs(old.value or 0.0), abs(new.value or 0.0))
        # Two runs of the same seeds agree to the last digits, whatever their error.
        has_moved = abs(difference) > max(EXACT * larger, sigmas * (error or 0.0))
    return Pair(
        name=name,
        unit=old.unit if not has_other_unit else f"{old.unit or 'none'} -> {new.unit or 'none'}",
        old=old.value,
        new=new.value,
        difference=difference,
        uncertainty=error,
        sigmas=None if difference is None or error is None else difference / error,
        has_moved=has_moved or has_other_unit,
        old_verdict=old.verdict.value,
        new_verdict=new.verdict.value,
    )


def read_all(path: Path) -> dict[str, Result]:
    """Read a file of results, or all of a folder, whose names then begin with that of their file.

    Raises
    ------
    MeasurementError
        If there is none, or one cannot be used.
    """
    if not path.is_dir():
        return {result.name: result for result in read_results(path).results}
    files = sorted(path.glob("*.json"))
    if not files:
        raise MeasurementError(f"{path}: no files of results (*.json) in this folder; give another")
    return {f"{file.stem}: {result.name}": result for file in files for result in read_results(file).results}


def report(found: Compared) -> str:
    """Write what differs as text."""
    parts = []
    for title, pairs in (("Moved", found.moved), ("Another verdict", found.other_verdicts)):
        if pairs:
            parts += [f"{title}:", table(HEADER, [_row(pair) for pair in pairs])]
    for title, names in (("Appeared", found.appeared), ("Vanished", found.vanished)):
        if names:
            parts += [f"{title}:", "\n".join(f"  {name}" for name in names)]
    parts.append(
        f"{len(found.pairs)} compared: {len(found.moved)} moved, {len(found.other_verdicts)} with another "
        f"verdict; {len(found.appeared)} appeared, {len(found.vanished)} vanished"
    )
    return "\n\n".join(parts) + "\n"


HEADER = ("Figure", "unit", "old", "new", "difference", "sigma", "verdict")


def _row(pair: Pair) -> tuple[str, ...]:
    verdict = f"{pair.old_verdict} -> {pair.new_verdict}" if pair.has_other_verdict else pair.new_verdict
    figures = (_text(value) for value in (pair.old, pair.new, pair.difference))
    return (pair.name, pair.unit, *figures, "-" if pair.sigmas is None else f"{pair.sigmas:+.1f}", verdict)


def _text(value: float | None) -> str:
    return "-" if value is None else f"{value:.8g}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and print what differs."""
    parser = argparse.ArgumentParser(
        prog="python -m verification.compare", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("old", type=Path, help="file of results, or folder of such files")
    parser.add_argument("new", type=Path, help="the same of the other version")
    parser.add_argument(
        "--sigmas", type=float, default=SIGMAS, help=f"statistical errors that may lie between ({SIGMAS:g})"
    )
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    asked = parser.parse_args(arguments)
    try:
        if not (math.isfinite(asked.sigmas) and asked.sigmas >= 0.0):
            raise MeasurementError(f"--sigmas is {asked.sigmas:g}; give a number of 0 or more")
        if asked.old.is_dir() != asked.new.is_dir():
            raise MeasurementError(
                f"{asked.old} and {asked.new}: one is a folder, the other none; give two files or two folders"
            )
        found = compare(read_all(asked.old), read_all(asked.new), asked.sigmas)
        if not found.pairs:
            raise MeasurementError(
                f"{asked.old} and {asked.new}: have no figure of the same name, so nothing was compared; "
                "give results of the same page"
            )
    except MeasurementError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found.as_dict(), indent=1) + "\n" if asked.json else report(found), end="")
    return 1 if found.moved else 0


if __name__ == "__main__":
    sys.exit(main())
