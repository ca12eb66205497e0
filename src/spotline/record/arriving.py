"""Spills of a delivery that is still running, as their files appear in its folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spotline.record.spill_file import Spill, read_spill
from spotline.treatment.treatment import Slice
from spotline.treatment.treatment_file import NAME, read_treatment_file


@dataclass(frozen=True, slots=True, eq=False)
class ArrivedSpill:
    """A spill that was not there before.

    Attributes
    ----------
    field : int
        Number of its field.
    slices : tuple of Slice
        Of this field, as they are delivered.
    spill : Spill
    """

    field: int
    slices: tuple[Slice, ...]
    spill: Spill


class ArrivingSpills:
    """Hands out every spill of a delivery once."""

    def __init__(self) -> None:
        self._seen: set[Path] = set()

    def new_in(self, folder: str | Path) -> Iterator[ArrivedSpill]:
        """Read the spills that a delivery has written to its folder since the last time.

        Fields come in the order of their folders, and the spills of a field in the order of delivery.  A
        spill counts as handed out when the next one is asked for: if who takes it fails, it comes again.

        Raises
        ------
        RecordError
            If a file is truncated or altered.
        """
        for treatment in sorted(Path(folder).glob(f"*/{NAME}")):
            waiting = sorted(set(treatment.parent.glob("spills/spill-*.h5")) - self._seen)
            if not waiting:
                continue
            file = read_treatment_file(treatment.parent)
            for path in waiting:
                yield ArrivedSpill(file.header.number, file.slices, read_spill(path))
                self._seen.add(path)
